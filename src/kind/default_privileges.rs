//! Default privileges: `pg_default_acl`. They are changed after everything else, so that what a plan creates gets what stood before.

use serde::Deserialize;

use super::privileges::{Privileges, Target, changes, effects, parse};
use super::{BASE, Cost, Kind, Query, field, reads_as};
use crate::catalog::{Catalog, Id, Object};
use crate::sql::ident;
use crate::statement::{Effect, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DefaultPrivileges {
    acl: Vec<String>,
    /// What applies without an entry; empty for an entry of one schema, which only adds.
    base: Vec<String>,
}

impl DefaultPrivileges {
    fn privileges(&self, role: &str) -> Privileges {
        parse(&self.acl, Some(role))
    }

    fn base(&self, role: &str) -> Privileges {
        parse(&self.base, Some(role))
    }
}

/// `defaclobjtype` and the word of ALTER DEFAULT PRIVILEGES, with the classes that it is for.
const TYPES: &[(&str, &str, &[&str])] = &[
    ("r", "TABLES", &["table", "view", "materialized view"]),
    ("S", "SEQUENCES", &["sequence", "identity sequence"]),
    ("f", "FUNCTIONS", &["function", "procedure", "aggregate"]),
    ("T", "TYPES", &["enum", "composite type", "range type", "domain"]),
    ("n", "SCHEMAS", &["schema"]),
    // 18; large objects themselves are data.
    ("L", "LARGE OBJECTS", &[]),
];

/// The privileges that an object has the moment it is created, when default privileges say something about it.
pub fn initial(live: &Catalog, target: &Id, default: &Privileges) -> Option<Privileges> {
    let (letter, ..) = TYPES.iter().find(|(_, _, classes)| classes.contains(&target.class()))?;
    let entry = |schema: &str| {
        let id = Id::new("default privileges", [schema, &live.role, letter]);
        Some(live.get(&id)?.read::<DefaultPrivileges>().privileges(&live.role))
    };
    let (everywhere, here) = (entry(""), if target.class() == "schema" { None } else { entry(target.first()) });
    if everywhere.is_none() && here.is_none() {
        return None;
    }
    let mut privileges = everywhere.unwrap_or_else(|| default.clone());
    for (grantee, set) in here.unwrap_or_default() {
        privileges.entry(grantee).or_default().extend(set);
    }
    Some(privileges)
}

fn between(object: &Object, old: &Privileges, new: &Privileges) -> Vec<Statement> {
    let [schema, role, letter] = object.id.name() else { return Vec::new() };
    let word = TYPES.iter().find(|(l, ..)| l == letter).map_or("TABLES", |(_, w, _)| w);
    let place = if schema.is_empty() { String::new() } else { format!(" IN SCHEMA {}", ident(schema)) };
    let target = Target { on: (*word).to_owned(), columns: String::new(), owner: role.clone(), all: Default::default() };
    changes(old, new, &target)
        .into_iter()
        .map(|sql| Statement::new(format!("ALTER DEFAULT PRIVILEGES FOR ROLE {}{place} {sql}", ident(role))))
        .collect()
}

/// Who may do more with what is made from now on; what stands keeps its rights.
fn turns(old: Option<&Object>, new: Option<&Object>) -> Vec<Effect> {
    let Some(object) = old.or(new) else { return Vec::new() };
    let [schema, role, letter] = object.id.name() else { return Vec::new() };
    let word = TYPES.iter().find(|(l, ..)| l == letter).map_or("TABLES", |(_, w, _)| w).to_lowercase();
    let place = if schema.is_empty() { String::new() } else { format!(" in schema {}", ident(schema)) };
    let base = object.read::<DefaultPrivileges>().base(role);
    let given = |o: Option<&Object>| o.map_or_else(|| base.clone(), |o| o.read::<DefaultPrivileges>().privileges(role));
    let what = format!("{word} that {} makes{place}", ident(role));
    effects(&what, &given(old), &given(new), role).into_iter().filter(|e| matches!(e, Effect::GivesRights(_))).collect()
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "default privileges",
    present: "EXISTS (SELECT FROM pg_default_acl)",
    query: Some(|_| {
        Query::over(
            "pg_default_acl",
            "d.oid",
            "coalesce(n.nspname, ''), pg_get_userbyid(d.defaclrole), d.defaclobjtype::text",
            "FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace WHERE d.oid >= 16384",
        )
        .define(
            "'acl', (SELECT coalesce(json_agg(a::text ORDER BY a::text), '[]') FROM unnest(d.defaclacl) a), \
             'base', CASE WHEN d.defaclnamespace = 0 THEN to_json(acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole)::text[]) ELSE '[]' END",
        )
    }),
    check: reads_as::<DefaultPrivileges>,
    fields: &[field("acl", Cost::Alter), field("base", Cost::Alter)],
    create: |_, o| {
        let (d, role) = (o.read::<DefaultPrivileges>(), o.id.name()[1].as_str());
        between(o, &d.base(role), &d.privileges(role))
    },
    roles: |o| {
        let role = o.id.name()[1].clone();
        o.read::<DefaultPrivileges>().privileges(&role).into_keys().chain([role]).collect()
    },
    alter: |_, old, new, _| {
        let role = new.id.name()[1].as_str();
        between(new, &old.read::<DefaultPrivileges>().privileges(role), &new.read::<DefaultPrivileges>().privileges(role))
    },
    drop: |_, o| {
        let (d, role) = (o.read::<DefaultPrivileges>(), o.id.name()[1].as_str());
        between(o, &d.privileges(role), &d.base(role))
    },
    effects: |_, old, new| turns(old, new),
    ..BASE
};
