//! Renames that are probable and not declared: in the document, in sentences, and in the hazards of what would go.

use super::build::Context;
use super::document::{Group, Plan, Proposal};
use crate::catalog::Id;
use crate::change;
use crate::kind;
use crate::sql::{ident, literal, qualified};

/// The proposals of a plan.
pub fn proposals(context: &Context) -> Vec<Proposal> {
    let one = |p: change::Proposal| {
        let name = p.old.first().map(|old| written(old, &p.new)).unwrap_or_default();
        let source = (context.source)(&p.new);
        Proposal { directive: format!("-- plumb: renamed from {name}"), source, new: p.new, old: p.old, others: p.others }
    };
    change::proposals(context.changes, context.live, context.desired).into_iter().map(one).collect()
}

/// The old name as a directive has it.
fn written(old: &Id, new: &Id) -> String {
    match old.class() {
        kind::LABEL => literal(old.base()),
        class if kind::moves(class) && old.first() != new.first() => qualified(old.name()),
        _ => ident(old.base()),
    }
}

/// Whoever is told that something is lost is told that it may only be called otherwise.
pub fn in_hazards(proposals: &[Proposal], groups: &mut [Group]) {
    for step in groups.iter_mut().flat_map(|g| &mut g.steps) {
        let of_step = |p: &&Proposal| p.old.iter().any(|old| kind::bearer(old) == step.object);
        let Some(proposal) = proposals.iter().find(of_step) else { continue };
        for hazard in step.hazards.iter_mut().filter(|h| ["loses-rows", "loses-values"].contains(&h.code.as_str())) {
            hazard.message += &format!(", unless it is {} by its old name", proposal.new);
        }
    }
}

/// What somebody can do about each.
pub fn sentences(plan: &Plan) -> Vec<String> {
    plan.proposals.iter().map(sentence).collect()
}

fn sentence(proposal: &Proposal) -> String {
    let Proposal { new, old, others, directive, source } = proposal;
    let at = source.as_ref().map_or(String::new(), |s| format!(" at {}:{}", s.file, s.line));
    match old.as_slice() {
        [old] if !others => {
            format!(
                "Perhaps a rename: {new} comes, and {old} is the same but for its name and goes. If it is one, write above it{at}: {directive}"
            )
        }
        _ => {
            let names: Vec<String> = old.iter().map(ToString::to_string).collect();
            let which = if old.len() > 1 { "any of these" } else { "it, or other new things" };
            format!(
                "Perhaps a rename, and it is not clear of what: {new} may be {which}: {}. Write above it{at} which one: {directive}",
                names.join(", ")
            )
        }
    }
}
