//! What only deparsing writes in two ways is settled before two sides are compared.

use super::arguments::Wanted;
use super::asked::Asked;
use super::compiled;
use super::failure::Failure;
use super::renames::called;
use super::side::Side;
use super::workspace::Workspace;
use crate::catalog::Catalog;
use crate::change::Scope;
use crate::kind;
use crate::plan::Sides;
use crate::prove::{Pair, Settled, candidates, settle, surroundings};

/// Both sides cut to the scope, with what only deparsing writes in two ways settled.
pub async fn between(
    workspace: &mut Workspace,
    (from, to): (&Side, &Side),
    wanted: &Wanted,
    renames: &[String],
) -> Result<Sides, Failure> {
    let scope = Asked::new(workspace, &wanted.scope).scope(&to.catalog);
    kept_free(to, &scope)?;
    let sides = Sides::within(from.catalog.clone(), &to.catalog, scope.clone());
    let mut sides = match called(workspace, (from, to), wanted, renames, &scope).await? {
        Some(called) => called.turn(sides, &from.catalog),
        None => sides,
    };
    let mut known = to.compiled.as_ref().map(compiled::settled).unwrap_or_default();
    let pairs = candidates(&sides.live, &sides.desired);
    let (same, pairs): (Vec<Pair>, Vec<Pair>) = pairs.into_iter().partition(|pair| known.contains(&compiled::mark(pair)));
    sides.desired.put(same.into_iter().map(|p| p.left));
    if pairs.is_empty() {
        return Ok(sides);
    }
    workspace.progress.stage(format!("settling {} expressions", pairs.len()));
    let settled = match (&to.scratch, &from.scratch) {
        (Some(scratch), _) | (None, Some(scratch)) => settle(&scratch.session, &to.catalog, &pairs).await?,
        (None, None) => settle_apart(workspace, to, &to.catalog, wanted, &pairs).await?,
    };
    let same: Vec<Pair> = pairs.into_iter().filter(|pair| settled.equal.contains(&pair.left.id)).collect();
    if let Some(place) = to.compiled.as_ref().filter(|_| !same.is_empty()) {
        known.extend(same.iter().map(compiled::mark));
        compiled::keep_settled(place, &known);
    }
    sides.desired.put(same.into_iter().map(|p| p.left));
    Ok(sides)
}

/// What files want has no name of what is put aside: no plan would touch it.
fn kept_free(to: &Side, scope: &Scope) -> Result<(), Failure> {
    let wanted = to.catalog.objects().filter(|_| to.places.is_some()).find(|o| scope.quarantines(&o.id) && o.id.of().is_none());
    let Some(object) = wanted else { return Ok(()) };
    let at = to.source(&object.id).map_or(String::new(), |s| format!("{}:{}: ", s.file, s.line));
    Err(Failure::new(
        "source::quarantine",
        format!("{at}{} has a name that is kept for what is put aside instead of being dropped", object.id),
    )
    .help("give it another name"))
}

/// Settles what only deparsing writes in two ways where no scratch database holds one of the sides, both being of the server of `side`.
pub async fn settled(workspace: &mut Workspace, side: &Side, wanted: &Wanted, sides: &mut Sides) -> Result<(), Failure> {
    let pairs = candidates(&sides.live, &sides.desired);
    if !pairs.is_empty() {
        let settled = settle_apart(workspace, side, &sides.desired, wanted, &pairs).await?;
        sides.desired.put(pairs.into_iter().map(|p| p.left).filter(|l| settled.equal.contains(&l.id)));
    }
    Ok(())
}

/// Settles pairs on a copy of what the few of them rest on, which is made in no time; of everything only when that was not enough.
async fn settle_apart(
    workspace: &mut Workspace,
    side: &Side,
    around: &Catalog,
    wanted: &Wanted,
    pairs: &[Pair],
) -> Result<Settled, Failure> {
    let settled = settle_on(workspace, side, &surroundings(around, pairs), wanted, pairs).await?;
    if settled.unmade { settle_on(workspace, side, around, wanted, pairs).await } else { Ok(settled) }
}

/// Settles pairs in a scratch database with a copy of `part` of a side; nothing is settled when that cannot be built.
async fn settle_on(
    workspace: &mut Workspace,
    side: &Side,
    part: &Catalog,
    wanted: &Wanted,
    pairs: &[Pair],
) -> Result<Settled, Failure> {
    let roles = kind::roles(part);
    let scratch = workspace.scratch(wanted.shadow.as_deref(), &side.properties, None, &side.catalog.owner, &roles).await?;
    let settled = match crate::prove::copy(&scratch, part).await? {
        Ok(()) => settle(&scratch.session, part, pairs).await?,
        Err(why) => {
            tracing::info!("no copy to settle expressions on: {why}");
            Settled { unmade: true, ..Settled::default() }
        }
    };
    scratch.drop().await?;
    Ok(settled)
}
