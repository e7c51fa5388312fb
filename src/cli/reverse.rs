//! `plumb plan --reverse`: the plan from where a plan ends back to what the live database is now.

use super::arguments::{Database, Wanted};
use super::failure::Failure;
use super::plan::{Making, Planned, Proven, estimates, filled, forward, located, measured, other_owner, proven};
use super::renames::called_back;
use super::settling::settled;
use super::side::Side;
use super::workspace::Workspace;
use crate::catalog::{Catalog, Id, Object, fingerprint};
use crate::change::Scope;
use crate::kind;
use crate::plan::{ANSWERS, Answer, Answered, Names, Plan, PlanStep, Proof, Sides, make};

/// Plans both ways; what is given is the way back.
pub async fn backward(
    workspace: &mut Workspace,
    database: &Database,
    wanted: &Wanted,
    making: Making<'_>,
) -> Result<Planned, Failure> {
    let forward = forward(workspace, database, wanted, making).await?;
    let Planned { sides, plan, live, .. } = &forward;
    let whole = end(&forward);
    let start = fingerprint(&sides.scope.of(&whole));
    let mut back = turned(workspace, (sides, plan), live, whole, wanted).await?;
    let supposed = (start != plan.to).then(|| "it is not known for sure where the other plan ends".to_owned());
    let doubt = match &plan.proof {
        Proof::Unproven { reason } => Some(format!("the plan that it takes back is not: {reason}")),
        Proof::Equal { .. } => supposed,
    };
    settled(workspace, live, wanted, &mut back).await?;
    workspace.progress.stage("planning the way back");
    let made = make(&back, &|_| None, other_owner(live).into_iter().collect())?;
    let wish = making.proven && doubt.is_none();
    let proven = proven(workspace, live, wanted, &back, &made, &|_| None, (wish, None)).await?;
    let Proven { plan: proven, after, .. } = proven;
    let proof = match (doubt, proven.proof.clone()) {
        _ if made.plan.is_empty() => proven.proof.clone(),
        (Some(reason), _) => Proof::Unproven { reason },
        (None, Proof::Equal { server, .. }) => {
            Proof::Equal { server, copy: "built from the catalog that the other plan leaves, in an empty database".to_owned() }
        }
        (None, unproven) => unproven,
    };
    let takes_back = Some(plan.id.clone()).filter(|_| !made.plan.is_empty());
    let mut plan = located(Plan { takes_back, proof, ..proven }, &forward.wanted).seal();
    not_asked(&mut plan);
    estimates(&forward.live, back.renamed.as_ref(), &mut plan).await?;
    let Planned { live, wanted, .. } = forward;
    Ok(measured(workspace, Planned { live, wanted, sides: back, filled: filled(&made), changes: made.changes, plan, after }))
}

/// What a plan has given other names, or put aside, and still stands so. What has its old name again in the meantime, or has it only
/// since a plan brought it back, is not called as before.
pub fn moves(plan: &Plan, after: &Catalog, scope: &Scope) -> Vec<(Id, Id)> {
    let names = plan.steps().filter_map(|step| Some((step, step.renamed.as_ref()?)));
    let free = |step: &PlanStep, from: &Id| step.change != "quarantine" || !after.contains(from);
    let stands = |(step, names): &(&PlanStep, &Names)| {
        kind::has(after, &names.to) && !scope.quarantines(&names.from) && free(step, &names.from)
    };
    names.filter(stands).map(|(_, names)| (names.from.clone(), names.to.clone())).collect()
}

/// The sides of the way back from `whole`: what has another name, or was put aside, gets its old one first.
async fn turned(
    workspace: &mut Workspace,
    (sides, plan): (&Sides, &Plan),
    live: &Side,
    whole: Catalog,
    wanted: &Wanted,
) -> Result<Sides, Failure> {
    let (scope, quarantine) = (sides.scope.clone(), sides.quarantine.clone());
    let desired = sides.renamed.as_ref().map_or(&sides.live, |renamed| &renamed.live);
    let back = Sides { online: sides.online, batch: sides.batch, quarantine, ..Sides::within(whole.clone(), desired, scope) };
    Ok(match called_back(workspace, live, &whole, &moves(plan, &whole, &sides.scope), wanted).await? {
        Some(called) => called.turn(back, &whole),
        None => back,
    })
}

/// The database as the plan leaves it: the copy on which it was run, with the texts of what stays as they are now. Without one, what
/// is wanted and what is outside the scope.
fn end(planned: &Planned) -> Catalog {
    let Planned { sides, changes, after, .. } = planned;
    let outside = |id: &Id| !sides.scope.holds(id);
    let end = match after {
        Some(after) => {
            let stays = |o: &&Object| !changes.list.contains_key(&o.id) && after.contains(&o.id);
            let mut end = after.clone();
            end.put(sides.whole.objects().filter(stays).cloned());
            end
        }
        None => {
            let objects = sides.desired.objects().chain(sides.whole.objects().filter(|o| outside(&o.id))).cloned();
            let beyond = sides.whole.edges().filter(|e| outside(&e.dependent) || outside(&e.referenced));
            Catalog::new(objects.collect(), sides.desired.edges().chain(beyond))
        }
    };
    end.with_header(&sides.whole)
}

/// The rows are those of a schema that is still to come.
fn not_asked(plan: &mut Plan) {
    let why = Answer::Unknown("the plan that this one takes back is not applied yet; `plumb apply` asks".to_owned());
    let checks = plan.steps().flat_map(|s| s.checks.iter().map(|c| (s.id, c.condition.clone())));
    let answers: Vec<Answered> =
        checks.map(|(step, condition)| Answered { step, condition, answer: why.clone(), took: None }).collect();
    if !answers.is_empty() {
        plan.observed.insert(ANSWERS.to_owned(), serde_json::to_value(answers).unwrap_or_default());
    }
}
