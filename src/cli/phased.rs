//! A plan of phases before the last one, of files that call something otherwise: code that runs survives no other name, so that
//! these are left for `contract`, and the plan is one to a schema in which everything is called as it is now.

use super::arguments::Wanted;
use super::failure::Failure;
use super::renames::called_back;
use super::settling::settled;
use super::side::Side;
use super::workspace::Workspace;
use crate::catalog::{Catalog, Id};
use crate::kind;
use crate::plan::{Made, Pending, Phase, Plan, Renamed, Sides, Source, cut, make};

/// The plan up to a phase that leaves all renames for later; `sides` are those of it then.
pub async fn before_renames(
    workspace: &mut Workspace,
    live: &Side,
    wanted: &Wanted,
    (sides, renamed): (&mut Sides, &Renamed),
    last: Phase,
    source: &dyn Fn(&Id) -> Option<Source>,
    warnings: Vec<String>,
) -> Result<Made, Failure> {
    let whole = make(sides, source, warnings.clone())?;
    let cut = cut(sides, &whole, last);
    let between = with_outside(sides, &cut.desired);
    let moves: Vec<(Id, Id)> = renamed.moves().cloned().collect();
    // What takes the old name of something comes only when that has another one.
    let taken = |(from, to): &&(Id, Id)| kind::has(&between, from) && kind::has(&between, to);
    if let Some(names) = moves.iter().find(taken) {
        return Err(taken_over(names, last));
    }
    let called = called_back(workspace, live, &between, &moves, wanted).await?;
    let old = called.map_or(between, |called| called.whole);
    let Sides { online, batch, quarantine, .. } = sides.clone();
    *sides = Sides { online, batch, quarantine, ..Sides::within(renamed.whole.clone(), &old, sides.scope.clone()) };
    settled(workspace, live, wanted, sides).await?;
    let warnings: Vec<String> = warnings.into_iter().chain(cut.warnings).collect();
    let mut made = make(sides, source, warnings.clone())?;
    if made.steps.is_empty() {
        // What only other steps would bring about comes with them.
        sides.desired = sides.live.clone().with_header(&sides.desired);
        made = make(sides, source, warnings)?;
    }
    let contract = || Phase::Contract.name().to_owned();
    let renames = moves.into_iter().map(|(_, to)| Pending { phase: contract(), object: to, change: "rename".to_owned() });
    let pending = renames.chain(cut.pending).collect();
    let plan = Plan { pending, up_to: Some(last.name().to_owned()), ..made.plan }.seal();
    Ok(Made { plan, ..made })
}

/// The part of a schema that is in scope with everything around it.
fn with_outside(sides: &Sides, inside: &Catalog) -> Catalog {
    let outside = |id: &Id| !sides.scope.holds(id);
    let objects = inside.objects().chain(sides.whole.objects().filter(|o| outside(&o.id))).cloned();
    let edges = sides.whole.edges().filter(|e| outside(&e.dependent) || outside(&e.referenced));
    Catalog::new(objects.collect(), inside.edges().chain(edges)).with_header(&sides.whole)
}

fn taken_over((from, to): &(Id, Id), last: Phase) -> Failure {
    let message = format!(
        "{from} becomes {to}, and something new takes its name: that needs the rename, which belongs to the phase contract"
    );
    let help = format!(
        "plan and apply without --phase, or take what is called {} out of the files until after {}",
        from.label(),
        last.name()
    );
    Failure::new("rename::phase", message).help(help)
}
