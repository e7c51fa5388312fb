//! The plan document (JSON).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

use super::seals::Seals;
use crate::catalog::{Id, Magnitude, Unmanaged, digest};
use crate::change::Scope;
use crate::hazard::Hazard;
pub use crate::report::Source;
use crate::statement::{Batches, LockMode, RowCheck};

/// The version of the document's form; 0 until it is declared stable.
pub const FORMAT: u32 = 0;

/// The whole document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`FORMAT`] of the plumb that wrote it.
    pub format: u32,
    /// The plumb that wrote it.
    pub plumb: String,
    /// `server_version_num` of the live database.
    pub server: u32,
    /// SHA-256 over everything but `observed`.
    pub id: String,
    /// The name of the live database.
    pub database: String,
    /// The role that the plan was made as and has to be applied as: it owns what it creates.
    pub role: String,
    /// The id of the plan that this one takes back: it leads from where that one ends to where that one begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes_back: Option<String>,
    /// The last phase whose steps it has, when there are `pending` ones of later phases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<String>,
    /// Roles that the wanted schema names: they have to exist on the server, and plumb does not create them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Fingerprints of the live database.
    pub from: Fingerprints,
    /// The fingerprint that the scope has afterwards.
    pub to: String,
    /// The beginnings of the fingerprints that whole objects have afterwards, by name, where they are not those of `from`; empty
    /// for what is gone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub to_objects: BTreeMap<String, String>,
    /// The schemas that the plan may touch.
    pub scope: Scope,
    /// The steps, cut into transactions.
    pub groups: Vec<Group>,
    /// Steps of phases that were not selected.
    pub pending: Vec<Pending>,
    /// Objects that plumb does not manage and that exist on one side or both.
    pub unmanaged: Vec<UnmanagedDifference>,
    /// Whole objects outside the scope, by name.
    pub outside_scope: Vec<String>,
    /// What is probably a rename and was not declared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proposals: Vec<Proposal>,
    /// What a reviewer should know.
    pub warnings: Vec<String>,
    /// What was proven.
    pub proof: Proof,
    /// What varies from run to run: durations and estimates. Outside the id.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub observed: Map<String, Value>,
    /// What its parts were when the document was written, to tell edited statements from edited facts; only in the document itself.
    /// Outside the id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seals: Seals,
}

/// An object that is not managed, and on which side it exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnmanagedDifference {
    /// The class in PostgreSQL's words.
    pub class: String,
    /// The identity.
    pub identity: String,
    /// `live`, `desired`, `both`, or `differs`: on both sides, with another definition.
    pub side: String,
}

/// Fingerprints of the live database before the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprints {
    /// Over everything in scope.
    pub scope: String,
    /// Over what the plan touches, what that uses and what depends on it.
    pub closure: String,
    /// The first eight characters of the fingerprint of each object with its parts, by name: they only serve to say later
    /// which ones are not as they were.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub objects: BTreeMap<String, String>,
}

/// Steps that run together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// 1, 2, ...
    pub id: u32,
    /// Whether they run in one transaction.
    pub transactional: bool,
    /// The fingerprint of the scope after the group, when it was proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The steps in order.
    pub steps: Vec<PlanStep>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanStep {
    /// 1, 2, ... over all groups.
    pub id: u32,
    /// `expand`, `migrate` or `contract`.
    pub phase: String,
    /// Its statements, each without the closing semicolon.
    pub sql: Vec<String>,
    /// The object.
    pub object: Id,
    /// `create`, `alter`, `drop` or `rename`.
    pub change: String,
    /// What is called otherwise, for `rename`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed: Option<Names>,
    /// Where it is a part of a change that is made in several steps, so that others can work meanwhile: which one, from 1, and of
    /// how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<(usize, usize)>,
    /// Fields that change, for `alter`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// Why the object changes.
    pub reason: String,
    /// Where the wanted definition stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Steps that come before, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<(u32, String)>,
    /// Locks on relations that existed before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<LockFact>,
    /// Relations that are written anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rewrites: Vec<String>,
    /// Relations that are read in full.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scans: Vec<String>,
    /// Constraints that all rows are held to, as `name of table`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub validates: Vec<String>,
    /// How its statement, which gives rows their values, is cut by `apply`: each batch is a transaction of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batches: Option<Batches>,
    /// What the rows that stand have to be like for it to succeed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<RowCheck>,
    /// Queries of the files that have to give true before it runs (`-- plumb: assert`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asserts: Vec<String>,
    /// Whether locks, rewrites and scans were seen on a copy; else they are what plumb knows of such a step.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub observed: bool,
    /// Whether its statements were edited by hand, and proven since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub edited: bool,
    /// What may hurt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hazards: Vec<Hazard>,
    /// What the size of relations was taken for where it decided about a hazard.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sizes: BTreeMap<String, Magnitude>,
    /// The way back.
    pub reverse: Reverse,
    /// The definition before and after, as SQL, for what is altered or replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The definition afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
}

impl PlanStep {
    /// A step that does nothing to an object and of which nothing is known.
    pub fn of(object: Id) -> PlanStep {
        PlanStep {
            id: 0,
            phase: String::new(),
            sql: Vec::new(),
            object,
            change: String::new(),
            renamed: None,
            part: None,
            fields: Vec::new(),
            reason: String::new(),
            source: None,
            after: Vec::new(),
            locks: Vec::new(),
            rewrites: Vec::new(),
            scans: Vec::new(),
            validates: Vec::new(),
            batches: None,
            checks: Vec::new(),
            asserts: Vec::new(),
            observed: false,
            edited: false,
            hazards: Vec::new(),
            sizes: BTreeMap::new(),
            reverse: Reverse { sql: None, why: None },
            before: None,
            definition: None,
        }
    }
}

/// Something that comes, and what goes and is the same but for its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// What comes.
    pub new: Id,
    /// What goes; several where nobody can tell which of them it was.
    pub old: Vec<Id>,
    /// Whether other things that come are like it, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub others: bool,
    /// The line that says it for the first of `old`, to be written above what comes.
    pub directive: String,
    /// Where that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// Both names of what is called otherwise: `from` when the statement runs, `to` from then on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// The old one.
    pub from: Id,
    /// The new one.
    pub to: Id,
}

/// The way back from a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reverse {
    /// The SQL, or nothing.
    pub sql: Option<Vec<String>>,
    /// Why there is none, or what it does not bring back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A lock on a relation that existed before the plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockFact {
    /// The relation as a SQL name.
    pub relation: String,
    /// The mode.
    pub mode: LockMode,
    /// Whether only catalog work is done under it.
    pub brief: bool,
}

/// A step that was left for another phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// The phase.
    pub phase: String,
    /// The object.
    pub object: Id,
    /// `create`, `alter` or `drop`.
    pub change: String,
}

/// What was proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Proof {
    /// Run on a copy of the live schema, the plan ended in `to`.
    Equal {
        /// `server_version_num` of the copy's server.
        server: u32,
        /// How the copy was made.
        copy: String,
    },
    /// It was not proven.
    Unproven {
        /// Why not.
        reason: String,
    },
}

/// What differs from the fingerprints `before`, empty for what is gone.
pub fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let gone = before.keys().filter(|name| !after.contains_key(*name)).map(|name| (name.clone(), String::new()));
    let new = after.iter().filter(|(name, print)| before.get(*name) != Some(*print));
    new.map(|(name, print)| (name.clone(), print.clone())).chain(gone).collect()
}

impl Plan {
    /// All steps of all groups.
    pub fn steps(&self) -> impl Iterator<Item = &PlanStep> {
        self.groups.iter().flat_map(|g| &g.steps)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The first eight characters of the id: what people call the plan by.
    pub fn short_id(&self) -> &str {
        short(&self.id)
    }

    /// The same of the plan that this one takes back.
    pub fn short_takes_back(&self) -> Option<&str> {
        self.takes_back.as_deref().map(short)
    }

    /// The id that the content has.
    pub fn content_id(&self) -> String {
        let mut bare = self.clone();
        bare.id = String::new();
        bare.observed = Map::new();
        bare.seals = Seals::new();
        digest(&bare)
    }

    /// Gives the plan the id of its content.
    pub fn seal(mut self) -> Plan {
        self.id = self.content_id();
        self
    }
}

/// The first eight characters of an id, or what there is of them.
pub fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// How unmanaged objects stand on both sides.
pub fn unmanaged(live: &[Unmanaged], desired: &[Unmanaged]) -> Vec<UnmanagedDifference> {
    type Key<'a> = (&'a str, &'a str);
    let mut found: BTreeMap<Key, (Option<&str>, Option<&str>)> = BTreeMap::new();
    for u in live {
        found.entry((&u.class, &u.identity)).or_default().0 = Some(&u.digest);
    }
    for u in desired {
        found.entry((&u.class, &u.identity)).or_default().1 = Some(&u.digest);
    }
    let side = |digests| match digests {
        (Some(live), Some(desired)) if live != desired => "differs",
        (Some(_), Some(_)) => "both",
        (Some(_), None) => "live",
        _ => "desired",
    };
    let one = |((class, identity), digests): (Key, _)| UnmanagedDifference {
        class: class.to_owned(),
        identity: identity.to_owned(),
        side: side(digests).to_owned(),
    };
    found.into_iter().map(one).collect()
}
