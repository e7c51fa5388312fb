//! The whole way from two catalogs to a plan: scope, comparison, order, document.

use std::collections::{BTreeMap, BTreeSet};

use super::build::{Context, bare, build};
use super::document::{Group, Plan, Source};
use super::phases::{Phase, cut};
use super::renamed::Renamed;
use super::standing::Touched;
use crate::catalog::{Catalog, Id, Magnitude};
use crate::change::{Asides, Blocked, Changes, Scope, asides, compare, held, replace};
use crate::kind::{self, quarantine};
use crate::order::{Cycle, Op, Step, order};
use crate::statement::{BATCH, Online};

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// No order exists.
    #[error("the steps have no order that works:\n{}", .0.sentences.join("\n"))]
    Cycle(Cycle),
    /// Something outside the scope stands in the way.
    #[error("{}", blocked(.0))]
    Blocked(Vec<Blocked>),
}

fn blocked(list: &[Blocked]) -> String {
    let lines: Vec<String> = list
        .iter()
        .map(|b| format!("{} has to change, and {} rests on it, which a plan may not touch", b.change, b.by))
        .collect();
    lines.join("\n")
}

/// Two sides and the scope between them.
#[derive(Clone)]
pub struct Sides {
    /// The live database, whole; as it is when everything has the names that are declared.
    pub whole: Catalog,
    /// The same, in scope.
    pub live: Catalog,
    /// The wanted one, in scope.
    pub desired: Catalog,
    /// The scope.
    pub scope: Scope,
    /// When changes of tables take their online forms.
    pub online: Online,
    /// What gets another name before anything else.
    pub renamed: Option<Renamed>,
    /// How many rows are given their values in one transaction.
    pub batch: u32,
    /// The schema in which tables are put aside instead of being dropped, and columns in their tables; none when they are dropped.
    pub quarantine: Option<String>,
}

impl Sides {
    /// Cuts both sides to the scope that `desired` has, or that is stated. All changes take their direct forms.
    pub fn new(whole: Catalog, desired: &Catalog, stated: &[String]) -> Sides {
        let scope = Scope::new(desired, stated);
        Sides::within(whole, desired, scope)
    }

    /// Cuts both sides to a scope. Indexes that were not built to their end are wanted finished, partitions that were not detached to the end attached.
    pub fn within(whole: Catalog, desired: &Catalog, scope: Scope) -> Sides {
        let mut desired = scope.of(desired);
        desired.server = whole.server;
        desired.put(kind::finished(&desired));
        desired.put(kind::attached(&desired));
        let (online, renamed, batch, quarantine) = (Online::Never, None, BATCH, None);
        Sides { live: scope.of(&whole), desired, whole, scope, online, renamed, batch, quarantine }
    }

    /// The live database, whole, as it is before the plan.
    pub fn begin(&self) -> &Catalog {
        self.renamed.as_ref().map_or(&self.whole, |r| &r.whole)
    }

    /// Whether changes of a table take their online forms: what nobody has counted may hold rows.
    fn is_hot(&self, table: &Id) -> bool {
        let size = || self.whole.sizes.get(&table.sql()).and_then(|s| s.magnitude());
        match self.online {
            Online::Always => true,
            Online::Auto => size() != Some(Magnitude::Empty),
            Online::Never => false,
        }
    }

    /// The changes between them.
    pub fn changes(&self) -> Changes {
        compare(&self.live, &self.desired, &self.whole)
    }
}

/// A plan with the steps that it was written from.
pub struct Made {
    /// The document, unproven.
    pub plan: Plan,
    /// The steps.
    pub steps: Vec<Step>,
    /// The changes.
    pub changes: Changes,
}

/// Makes a plan.
///
/// # Errors
/// When no order exists, or something outside the scope stands in the way.
pub fn make(sides: &Sides, source: &dyn Fn(&Id) -> Option<Source>, warnings: Vec<String>) -> Result<Made, MakeError> {
    let (changes, steps) = ordered(sides)?;
    let steps = match &sides.renamed {
        Some(renamed) => renamed.first(&steps),
        None => steps,
    };
    let plan = build(&context(sides, &changes, source, &BTreeMap::new(), warnings), &steps);
    Ok(Made { plan, steps, changes })
}

/// What is said of what stands in the way and is only there since it was put aside.
pub const PUT_ASIDE_BEFORE: &str = " (put aside before)";

/// What a plan would run, and nothing of what it would say of that.
///
/// # Errors
/// As for [`make`].
pub fn make_bare(sides: &Sides) -> Result<Vec<Group>, MakeError> {
    ordered(sides).map(|(_, steps)| bare(steps))
}

/// The changes, and the steps in an order that works.
fn ordered(sides: &Sides) -> Result<(Changes, Vec<Step>), MakeError> {
    let mut changes = sides.changes();
    loop {
        held(&mut changes, &sides.scope, &sides.whole);
        let aside = match &sides.quarantine {
            Some(schema) => asides(&mut changes, &sides.scope, &sides.desired, &sides.whole, schema),
            None => Asides::default(),
        };
        if !changes.blocked.is_empty() {
            let aside: BTreeSet<String> =
                sides.whole.objects().filter(|o| sides.scope.quarantines(&o.id)).map(|o| o.id.to_string()).collect();
            for blocked in changes.blocked.iter_mut().filter(|b| aside.contains(&b.by)) {
                blocked.by += PUT_ASIDE_BEFORE;
            }
            return Err(MakeError::Blocked(changes.blocked));
        }
        match order((&sides.live, &sides.desired), &changes, &aside.moves, &|table| sides.is_hot(table)) {
            Ok(mut steps) => {
                put_aside(sides, &aside, &mut steps);
                return Ok((changes, steps));
            }
            // What holds nothing but its definition can go before and come back after, where it cannot change in between.
            Err(cycle) if replace(&mut changes, &cycle.altered, &sides.live, &sides.desired, &sides.whole) => {}
            Err(cycle) => return Err(MakeError::Cycle(cycle)),
        }
    }
}

/// The schema for what is put aside is made when the first of it needs it; what is dropped all the same is said.
fn put_aside(sides: &Sides, aside: &Asides, steps: &mut [Step]) {
    let mut there: BTreeSet<&str> = BTreeSet::new();
    for step in steps {
        if let Some(why) = aside.dropped.get(&step.node.id).filter(|_| step.node.op == Op::Drop)
            && let Some(last) = step.statements.last_mut()
        {
            last.warnings.push(format!("{} is dropped and not put aside: {why}", step.node.id));
        }
        let Some(to) = aside.moves.get(&step.node.id).filter(|_| step.renamed.is_some() && step.node.op == Op::Drop) else {
            continue;
        };
        let missing = to.name().len() == 2 && !sides.whole.contains(&Id::new("schema", [to.first()])) && there.insert(to.first());
        if missing {
            step.statements.splice(0..0, quarantine::schema(to.first()));
        }
    }
}

/// Makes a plan up to a phase: to a schema in between, which takes the place of the wanted one, when anything is left for later.
///
/// # Errors
/// As for [`make`].
pub fn make_up_to(
    sides: &mut Sides,
    last: Phase,
    source: &dyn Fn(&Id) -> Option<Source>,
    warnings: Vec<String>,
) -> Result<Made, MakeError> {
    let whole = make(sides, source, warnings.clone())?;
    if last == Phase::Contract {
        return Ok(whole);
    }
    let cut = cut(sides, &whole, last);
    if cut.pending.is_empty() {
        return Ok(whole);
    }
    sides.desired = cut.desired;
    let warnings: Vec<String> = warnings.into_iter().chain(cut.warnings).collect();
    let mut made = make(sides, source, warnings.clone())?;
    if made.steps.is_empty() {
        // What only other steps would bring about comes with them.
        sides.desired = sides.live.clone().with_header(&sides.desired);
        made = make(sides, source, warnings)?;
    }
    let plan = Plan { pending: cut.pending, up_to: Some(last.name().to_owned()), ..made.plan }.seal();
    Ok(Made { plan, ..made })
}

/// The same plan with what was seen of its steps instead of what they declare.
pub fn observed(sides: &Sides, made: &Made, source: &dyn Fn(&Id) -> Option<Source>, seen: &BTreeMap<u32, Touched>) -> Plan {
    let Plan { warnings, pending, up_to, .. } = made.plan.clone();
    let plan = build(&context(sides, &made.changes, source, seen, warnings), &made.steps);
    Plan { pending, up_to, ..plan }.seal()
}

fn context<'a>(
    sides: &'a Sides,
    changes: &'a Changes,
    source: &'a dyn Fn(&Id) -> Option<Source>,
    seen: &'a BTreeMap<u32, Touched>,
    warnings: Vec<String>,
) -> Context<'a> {
    let Sides { whole, live, desired, scope, renamed, batch, .. } = sides;
    Context { whole, live, desired, renamed: renamed.as_ref(), scope, changes, source, seen, warnings, batch: *batch }
}
