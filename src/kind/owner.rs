//! The owner of an object. A satellite: every object that can have an owner has exactly one.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Absorbed, BASE, Carried, Cost, Kind, field, reads_as};
use crate::catalog::{Id, Object};
use crate::kind::sequence_owner::{self, stays_owned};
use crate::sql::ident;
use crate::statement::{Effect, LockMode, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Owner {
    role: String,
}

/// The owner of `target` as an object.
pub fn object(target: &Id, role: &str) -> Object {
    let mut definition = Map::new();
    definition.insert("role".to_owned(), Value::from(role));
    Object { id: Id::satellite("owner", target), parent: Some(target.clone()), definition, detail: Map::new() }
}

fn word(class: &str) -> String {
    match class {
        "enum" | "composite type" | "range type" => "TYPE".to_owned(),
        other => other.to_uppercase(),
    }
}

/// Classes whose owner is a lock on a relation.
const RELATIONS: &[&str] = &["table", "view", "materialized view", "sequence"];

/// `ALTER ... OWNER TO`, to the one that `owner` names.
pub fn change_owner(target: &Id, owner: &Object) -> Statement {
    let sql = format!("ALTER {} {} OWNER TO {}", word(target.class()), target.sql(), ident(&owner.read::<Owner>().role));
    let statement = Statement::new(sql);
    if RELATIONS.contains(&target.class()) { statement.lock(target.sql(), LockMode::AccessExclusive) } else { statement }
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "owner",
    check: reads_as::<Owner>,
    fields: &[field("role", Cost::Alter)],
    alter: |context, _, new, _| {
        let Some(target) = new.id.of() else { return Vec::new() };
        // A sequence that belongs to a column follows the table.
        let follows = target.class() == "sequence" && stays_owned(context, target).is_some();
        if follows {
            return Vec::new();
        }
        let sequences = sequence_owner::of_table(context.live, target);
        let change = |s: Statement, sequence: String| s.lock(sequence, LockMode::AccessExclusive);
        vec![sequences.into_iter().fold(change_owner(target, new), change)]
    },
    absorbed: Absorbed::After,
    carried: Carried::Always,
    roles: |o| vec![o.text("role").to_owned()],
    // Whoever runs the plan owns what it creates.
    state: Some(|live, target| Some(object(&target.id, &live.role))),
    effects: |_, old, new| match (old, new, new.and_then(|n| n.id.of())) {
        (Some(old), Some(new), Some(target)) if old.text("role") != new.text("role") => {
            let words = format!("{} owns {target}, and may do with it what it likes", ident(new.text("role")));
            vec![Effect::GivesRights(words)]
        }
        _ => Vec::new(),
    },
    ..BASE
};
