//! The privileges on an object, where they differ from what its owner has by default. A satellite of anything with an acl.

use serde::Deserialize;
use serde_json::{Map, json};
use std::collections::BTreeSet;

use super::default_privileges::initial;
use super::privileges::{OWNER, PUBLIC, Privileges, Target, changes, effects};
use super::{Absorbed, BASE, Carried, Context, Cost, Kind, field, reads_as};
use crate::catalog::{Catalog, Id, Object};
use crate::sql::ident;
use crate::statement::{Effect, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Grant {
    privileges: Privileges,
}

/// The privileges on `target` as an object; `default` is what `acldefault` gives for its class.
pub fn object(target: &Id, privileges: &Privileges, default: &Privileges) -> Object {
    let mut definition = Map::new();
    definition.insert("privileges".to_owned(), json!(privileges));
    let mut detail = Map::new();
    detail.insert("default".to_owned(), json!(default));
    Object { id: Id::satellite("grant", target), parent: Some(target.clone()), definition, detail }
}

fn default(object: &Object) -> Privileges {
    object.detail.get("default").and_then(|d| serde_json::from_value(d.clone()).ok()).unwrap_or_default()
}

fn target(context: &Context, object: &Object) -> Option<Target> {
    // What a column's last grant hung on may be on one side only.
    let find = |id: &Id| context.desired.get(id).or_else(|| context.live.get(id));
    let of = object.id.of()?;
    let owner = owner(&find, of)?;
    let owned = if matches!(of.class(), "column" | "view column") { find(of)?.parent.clone()? } else { of.clone() };
    let word = match owned.class() {
        "table" | "view" | "materialized view" => "TABLE",
        "enum" | "composite type" | "range type" | "domain" => "TYPE",
        "sequence" | "identity sequence" => "SEQUENCE",
        "procedure" => "PROCEDURE",
        "schema" => "SCHEMA",
        _ => "FUNCTION",
    };
    let columns = if owned == *of { String::new() } else { format!(" ({})", ident(of.base())) };
    let all = default(object).remove(OWNER).unwrap_or_default();
    Some(Target { on: format!("{word} {}", owned.sql()), columns, owner, all })
}

/// The owner of an object, or of the nearest that it is part of.
fn owner<'a>(find: &impl Fn(&Id) -> Option<&'a Object>, id: &Id) -> Option<String> {
    match find(&Id::satellite("owner", id)) {
        Some(owner) => Some(owner.text("role").to_owned()),
        None => owner(find, find(id)?.parent.as_ref()?),
    }
}

/// A REVOKE on a table takes the grantee's privileges on its columns along: those that stay are given again.
fn columns_again(context: &Context, object: &Object, old: &Privileges, new: &Privileges) -> Vec<Statement> {
    let Some(of) = object.id.of() else { return Vec::new() };
    let loses =
        |grantee: &String| old.get(grantee).is_some_and(|before| !new.get(grantee).is_some_and(|after| before.is_subset(after)));
    let mut statements = Vec::new();
    for column in context.desired.children(of).filter(|c| matches!(c.id.class(), "column" | "view column")) {
        // A column that comes with this plan gets its grants when it comes.
        if !context.live.contains(&column.id) {
            continue;
        }
        let Some(grant) = context.desired.get(&Id::satellite("grant", &column.id)) else { continue };
        let mut kept = granted(grant);
        kept.retain(|grantee, _| loses(grantee));
        statements.extend(between(context, grant, &Privileges::new(), &kept));
    }
    statements
}

fn between(context: &Context, object: &Object, old: &Privileges, new: &Privileges) -> Vec<Statement> {
    let Some(target) = target(context, object) else { return Vec::new() };
    let mut statements: Vec<Statement> =
        changes(&passed_on(old, &target.owner), new, &target).into_iter().map(Statement::new).collect();
    // Whoever is a member of a role that may pass the privileges on revokes in its name, and nothing was given in that.
    let revokes = statements.iter().any(|s| s.sql.starts_with("REVOKE"));
    let above = [context.live, context.desired].map(|side| above(side, object).is_some_and(|o| some_pass_on(&granted(o))));
    let passed = some_pass_on(old) || above[0];
    // Nor may such a role pass those of a column on that it has of the table.
    let passes = statements.iter().any(|s| s.sql.starts_with("GRANT") && s.sql.ends_with(" WITH GRANT OPTION"));
    let lends = passes && above.contains(&true);
    // Before 15 that is what the bootstrap superuser is called as the owner of `public`: whoever may change its rights is one too.
    let is_bootstrap = context.live.server < 150_000 && target.owner == "pg_database_owner";
    // What somebody has without the option and gets with it would be two grants, of the owner and of that role.
    let plain = |to: &String, p: &str| old.get(to).is_some_and(|before| before.contains(p.trim_end_matches('*')));
    let twice = passes && new.iter().any(|(to, set)| set.iter().any(|p| p.ends_with('*') && plain(to, p)));
    if ((revokes || twice) && passed || lends) && target.owner != context.live.role && !is_bootstrap {
        in_name_of_owner(context, object, &target.owner, &mut statements);
    }
    statements
}

/// What a grant gives to whom.
pub(crate) fn granted(grant: &Object) -> Privileges {
    grant.read::<Grant>().privileges
}

/// Whether one of these privileges may be given on.
pub(crate) fn passes_on(privileges: &BTreeSet<String>) -> bool {
    privileges.iter().any(|p| p.ends_with('*'))
}

/// Whether somebody beside the owner may give on what he was given.
fn some_pass_on(privileges: &Privileges) -> bool {
    privileges.iter().any(|(to, set)| to != OWNER && passes_on(set))
}

/// For a column's rights: those on its table, which go for the column too.
fn above<'a>(side: &'a Catalog, object: &Object) -> Option<&'a Object> {
    let of = object.id.of().filter(|of| matches!(of.class(), "column" | "view column"))?;
    let table = side.get(of)?.parent.as_ref()?;
    side.get(&Id::satellite("grant", table))
}

/// Runs statements as the owner, who may use the schema for as long as that takes.
fn in_name_of_owner(context: &Context, object: &Object, owner: &str, statements: &mut Vec<Statement>) {
    let schema = object.id.of().filter(|of| of.class() != "schema").map(|of| Id::new("schema", [of.first()]));
    let sides = [context.live, context.desired];
    // The right itself as the plan has it must not go with the one that is lent.
    let own = |schema: &Id| sides.iter().any(|side| owns(side, schema, owner) || may_use(side, schema, owner));
    let open = |schema: &Id| {
        let on = |side: &&Catalog| [owner, PUBLIC].iter().any(|to| may_use(side, schema, to)) || owns(side, schema, owner);
        // A schema that comes with this plan has its rights by then.
        sides.iter().filter(|side| side.contains(schema)).all(on)
    };
    let closed = schema.filter(|schema| !open(schema));
    if closed.as_ref().is_some_and(own) {
        return;
    }
    let role = ident(owner);
    let lend = closed.as_ref().map(|s| Statement::new(format!("GRANT USAGE ON SCHEMA {} TO {role}", s.sql())));
    let back = closed.as_ref().map(|s| Statement::new(format!("REVOKE USAGE ON SCHEMA {} FROM {role}", s.sql())));
    let first = lend.into_iter().chain([Statement::new(format!("SET LOCAL ROLE {role}"))]);
    *statements = first.chain(std::mem::take(statements)).chain([Statement::new("RESET ROLE")]).chain(back).collect();
}

fn owns(side: &Catalog, schema: &Id, role: &str) -> bool {
    side.get(&Id::satellite("owner", schema)).is_some_and(|o| o.text("role") == role)
}

/// Whether a role, or PUBLIC, is given the use of a schema.
fn may_use(side: &Catalog, schema: &Id, role: &str) -> bool {
    let given = side.get(&Id::satellite("grant", schema)).map(granted).unwrap_or_default();
    given.get(role).is_some_and(|set| set.iter().any(|p| p.trim_end_matches('*') == "USAGE"))
}

/// The old privileges under the new owner: with the object it takes over those of the old one, and keeps its own.
fn passed_on(old: &Privileges, owner: &str) -> Privileges {
    let mut old = old.clone();
    if let Some(own) = old.remove(owner) {
        old.entry(OWNER.to_owned()).or_default().extend(own);
    }
    old
}

fn change(context: &Context, object: &Object, old: &Privileges, new: &Privileges) -> Vec<Statement> {
    let mut statements = between(context, object, old, new);
    statements.extend(columns_again(context, object, old, new));
    statements
}

fn create(context: &Context, object: &Object) -> Vec<Statement> {
    change(context, object, &default(object), &granted(object))
}

/// Who may do more or less. Of something new only what everybody may do is worth a word: nobody had anything of it before.
fn turns(context: &Context, old: Option<&Object>, new: Option<&Object>) -> Vec<Effect> {
    let Some((object, of)) = old.or(new).and_then(|o| Some((o, o.id.of()?))) else { return Vec::new() };
    if !context.desired.contains(of) {
        return Vec::new();
    }
    let given = |o: Option<&Object>| o.map_or_else(|| default(object), granted);
    let (mut before, mut after) = (given(old), given(new));
    let find = |id: &Id| context.desired.get(id).or_else(|| context.live.get(id));
    let owner = owner(&find, of).unwrap_or_default();
    if !context.live.contains(of) {
        before.retain(|grantee, _| grantee == PUBLIC);
        after.retain(|grantee, _| grantee == PUBLIC);
        return effects(&of.to_string(), &before, &after, &owner)
            .into_iter()
            .filter(|e| matches!(e, Effect::GivesRights(_)))
            .collect();
    }
    effects(&of.to_string(), &passed_on(&before, &owner), &after, &owner)
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "grant",
    check: reads_as::<Grant>,
    fields: &[field("privileges", Cost::Alter)],
    create,
    alter: |context, old, new, _| change(context, new, &granted(old), &granted(new)),
    drop: |context, o| change(context, o, &granted(o), &default(o)),
    absorbed: Absorbed::After,
    carried: Carried::Always,
    roles: |o| granted(o).into_keys().collect(),
    // Default privileges in force give a new object grants that nobody wrote.
    state: Some(|live, target| {
        let default: Privileges = serde_json::from_value(target.detail.get("acl_default")?.clone()).ok()?;
        let given = initial(live, &target.id, &default)?;
        (given != default).then(|| object(&target.id, &given, &default))
    }),
    effects: turns,
    ..BASE
};
