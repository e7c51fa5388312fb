//! Triggers: `pg_trigger`, less those that constraints make.

use serde::Deserialize;

use super::{BASE, Cost, Kind, Query, Renaming, expression, field, on_table, reads_as};
use crate::catalog::Object;
use crate::sql::ident;
use crate::statement::{LockMode, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trigger {
    /// Everything after `CREATE`, as `pg_get_triggerdef` gives it.
    definition: String,
    #[serde(default)]
    #[allow(dead_code, reason = "read through Object::flag")]
    constraint: bool,
    enabled: Option<String>,
    /// It is a copy of the partitioned table's trigger, made and dropped with it.
    #[serde(default)]
    inherited: bool,
}

fn enable(object: &Object) -> Statement {
    let words = match object.read::<Trigger>().enabled.as_deref() {
        Some("D") => "DISABLE",
        Some("R") => "ENABLE REPLICA",
        Some("A") => "ENABLE ALWAYS",
        _ => "ENABLE",
    };
    let table = object.id.table_sql();
    Statement::new(format!("ALTER TABLE {table} {words} TRIGGER {}", ident(object.id.base())))
        .lock(table, LockMode::ShareRowExclusive)
        .partitions()
}

fn create(object: &Object, words: &str) -> Vec<Statement> {
    let t: Trigger = object.read();
    let mut statements = Vec::new();
    if !t.inherited {
        let sql = format!("{words} {}", t.definition);
        let made = Statement::new(sql).lock(object.id.table_sql(), LockMode::ShareRowExclusive);
        statements.push(if for_each_row(object) { made.partitions() } else { made });
    }
    statements.extend(t.enabled.map(|_| enable(object)));
    statements
}

fn for_each_row(object: &Object) -> bool {
    object.text("definition").contains(" FOR EACH ROW ")
}

/// OR REPLACE exists for ordinary triggers (14); a constraint trigger is dropped and made again. So is one that is no more for each
/// row: OR REPLACE would leave the partitions theirs.
fn replaceable(old: &Object, new: &Object) -> bool {
    let ordinary = !old.flag("constraint") && !new.flag("constraint");
    ordinary && old.flag("inherited") == new.flag("inherited") && for_each_row(old) == for_each_row(new)
}

fn alter(new: &Object, changed: &[String]) -> Vec<Statement> {
    // OR REPLACE enables the trigger again, so that a disabled one is disabled after it.
    if changed.iter().any(|c| c == "definition") && !new.flag("inherited") {
        return create(new, "CREATE OR REPLACE");
    }
    if changed.iter().any(|c| c == "enabled") { vec![enable(new)] } else { Vec::new() }
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "trigger",
    query: Some(|_| {
        Query::over(
            "pg_trigger",
            "t.oid",
            "n.nspname, c.relname, t.tgname",
            "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid AND c.relpersistence <> 't' JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE (NOT t.tgisinternal OR t.tgparentid <> 0 AND t.tgconstraint = 0) AND t.oid >= 16384",
        )
        .part_of("pg_class", "c.oid")
        .define(
            "'definition', substr(pg_get_triggerdef(t.oid), 8), 'constraint', CASE WHEN t.tgconstraint <> 0 THEN true END, \
             'enabled', CASE WHEN t.tgenabled <> 'O' THEN t.tgenabled::text END, 'inherited', CASE WHEN t.tgparentid <> 0 THEN true END",
        )
    }),
    check: reads_as::<Trigger>,
    fields: &[
        expression("definition", Cost::AlterOrReplace(replaceable)),
        field("constraint", Cost::Replace),
        field("enabled", Cost::Alter),
        field("inherited", Cost::AlterOrReplace(replaceable)),
    ],
    create: |_, o| create(o, "CREATE"),
    alter: |_, _, new, changed| alter(new, changed),
    drop: |_, o| {
        // What a partition has from its parent goes with the parent's, or when the two are parted.
        if o.flag("inherited") {
            return Vec::new();
        }
        let table = o.id.table_sql();
        let sql = format!("DROP TRIGGER {} ON {table}", ident(o.id.base()));
        vec![Statement::new(sql).lock(table, LockMode::AccessExclusive).partitions()]
    },
    made_by_parent: true,
    comment: |id| on_table("TRIGGER", id),
    only_definition: true,
    renaming: Renaming::On("TRIGGER"),
    ..BASE
};
