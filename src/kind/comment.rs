//! Comments: `pg_description`. A satellite of anything.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Absorbed, BASE, Carried, Cost, Kind, field, reads_as};
use crate::catalog::{Id, Object};
use crate::sql::literal;
use crate::statement::{LockMode, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Comment {
    text: String,
}

/// The comment on `target` as an object.
pub fn object(target: &Id, text: &str) -> Object {
    let mut definition = Map::new();
    definition.insert("text".to_owned(), Value::from(text));
    Object { id: Id::satellite("comment", target), parent: Some(target.clone()), definition, detail: Map::new() }
}

fn comment(target: &Id, text: &str) -> Vec<Statement> {
    let statement = Statement::new(format!("COMMENT ON {} IS {text}", (super::of(target).comment)(target)));
    vec![match target.class() {
        "table" | "view" | "materialized view" | "index" | "sequence" | "constraint index" | "identity sequence" => {
            statement.lock(target.sql(), LockMode::ShareUpdateExclusive)
        }
        "column" | "view column" => statement.lock(target.table_sql(), LockMode::ShareUpdateExclusive),
        _ => statement,
    }]
}

fn set(object: &Object) -> Vec<Statement> {
    object.id.of().map(|target| comment(target, &literal(&object.read::<Comment>().text))).unwrap_or_default()
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "comment",
    check: reads_as::<Comment>,
    fields: &[field("text", Cost::Alter)],
    create: |_, o| set(o),
    alter: |_, _, o, _| set(o),
    drop: |_, o| o.id.of().map(|target| comment(target, "NULL")).unwrap_or_default(),
    absorbed: Absorbed::After,
    carried: Carried::Always,
    ..BASE
};

/// `TRIGGER name ON table` in COMMENT ON.
pub fn on_table(word: &str, id: &Id) -> String {
    format!("{word} {} ON {}", crate::sql::ident(id.base()), id.table_sql())
}
