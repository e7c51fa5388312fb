//! Event triggers: `pg_event_trigger`. They belong to the whole database.

use serde::Deserialize;

use super::{BASE, Cost, Kind, Query, Renaming, field, reads_as};
use crate::catalog::Object;
use crate::sql::{ident, literal};
use crate::statement::Statement;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventTrigger {
    event: String,
    function: String,
    #[serde(default)]
    tags: Vec<String>,
    enabled: Option<String>,
}

fn enable(object: &Object) -> Statement {
    let words = match object.read::<EventTrigger>().enabled.as_deref() {
        Some("D") => "DISABLE",
        Some("R") => "ENABLE REPLICA",
        Some("A") => "ENABLE ALWAYS",
        _ => "ENABLE",
    };
    Statement::new(format!("ALTER EVENT TRIGGER {} {words}", ident(object.id.base())))
}

fn create(object: &Object) -> Vec<Statement> {
    let e: EventTrigger = object.read();
    let tags: Vec<String> = e.tags.iter().map(|t| literal(t)).collect();
    let when = if tags.is_empty() { String::new() } else { format!(" WHEN TAG IN ({})", tags.join(", ")) };
    let sql = format!("CREATE EVENT TRIGGER {} ON {}{when} EXECUTE FUNCTION {}()", ident(object.id.base()), e.event, e.function);
    let mut statements = vec![Statement::new(sql)];
    statements.extend(e.enabled.map(|_| enable(object)));
    statements
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "event trigger",
    present: "EXISTS (SELECT FROM pg_event_trigger)",
    query: Some(|_| {
        Query {
            owner: Some("e.evtowner"),
            ..Query::over(
                "pg_event_trigger",
                "e.oid",
                "e.evtname",
                "FROM pg_event_trigger e JOIN pg_proc p ON p.oid = e.evtfoid JOIN pg_namespace n ON n.oid = p.pronamespace WHERE e.oid >= 16384",
            )
        }
        .define(
            "'event', e.evtevent, 'function', quote_ident(n.nspname) || '.' || quote_ident(p.proname), 'tags', to_json(e.evttags), \
             'enabled', CASE WHEN e.evtenabled <> 'O' THEN e.evtenabled::text END",
        )
    }),
    check: reads_as::<EventTrigger>,
    fields: &[
        field("event", Cost::Replace),
        field("function", Cost::Replace),
        field("tags", Cost::Replace),
        field("enabled", Cost::Alter),
    ],
    create: |_, o| create(o),
    alter: |_, _, o, _| vec![enable(o)],
    drop: |_, o| vec![Statement::new(format!("DROP EVENT TRIGGER {}", ident(o.id.base())))],
    renaming: Renaming::Whole("EVENT TRIGGER", None),
    ..BASE
};
