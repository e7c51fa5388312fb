//! `missing-tenant-column`: a table that cannot be told apart by tenant.

use super::{Found, Rule, Schema};
use crate::catalog::Object;
use crate::report::Level;

fn find(schema: &Schema) -> Vec<Found> {
    let settings = schema.settings;
    let Some(column) = &settings.tenant_column else { return Vec::new() };
    let scoped = |t: &&Object| settings.tenant_schemas.is_empty() || settings.tenant_schemas.iter().any(|s| s == t.id.first());
    let exempt = |t: &Object| {
        let whole = t.id.name().join(".");
        settings.tenant_exempt.iter().any(|e| e == t.id.base() || *e == whole)
    };
    let has = |t: &Object| schema.parts(&t.id, "column").any(|c| c.id.base() == column.as_str());
    let bare = schema.tables().filter(scoped).filter(|t| !exempt(t) && !has(t));
    bare.map(|t| Found::new(t, format!("{} has no column {}", t.id, crate::sql::ident(column)))).collect()
}

/// The rule.
pub static RULE: Rule = Rule {
    code: "missing-tenant-column",
    meaning: "A table of a schema whose tables belong to tenants does not have the tenant's column.",
    why: "Rows without it can be protected only by way of another table, and are forgotten when a tenant is exported or removed. It is asked \
          only where plumb.toml names the column; shared tables are listed in tenant_exempt, by name or as schema.name.",
    bad: "CREATE SCHEMA app;\nCREATE TABLE app.plans (id bigint PRIMARY KEY);\nCREATE TABLE app.notes (id bigint PRIMARY KEY);",
    good: "CREATE SCHEMA app;\nCREATE TABLE app.plans (id bigint PRIMARY KEY);\n\
           CREATE TABLE app.notes (id bigint PRIMARY KEY, tenant_id bigint NOT NULL);",
    config: Some("[lint]\ntenant_column = \"tenant_id\"\ntenant_schemas = [\"app\"]\ntenant_exempt = [\"app.plans\"]\n"),
    since: 0,
    level: Level::Warning,
    also: &[],
    find,
};
