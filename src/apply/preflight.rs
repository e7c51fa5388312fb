//! Before the first step: may this role do all of them? (manual: 5.8 "Privileges"). Only what is sure is said: who does not own what
//! only its owner may change, and who may not create in a schema. Everything else the server says when its step is run.

use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::{Client, Error};

use crate::catalog::{Catalog, Id};
use crate::kind::grant::{granted, passes_on};
use crate::plan::{Group, PlanStep};
use crate::sql::ident;

/// What the role of a session may do in its database.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    /// Nothing is refused to it.
    pub superuser: bool,
    /// The roles whose rights it has (`pg_has_role(..., 'USAGE')`), itself included.
    pub roles: BTreeSet<String>,
    /// The schemas in which it may create objects.
    pub schemas: BTreeSet<String>,
    /// Whether it may create schemas.
    pub database: bool,
}

const QUERY: &str = "SELECT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user), \
     ARRAY(SELECT rolname::text FROM pg_catalog.pg_roles WHERE pg_catalog.pg_has_role(oid, 'USAGE')), \
     ARRAY(SELECT nspname::text FROM pg_catalog.pg_namespace WHERE pg_catalog.has_schema_privilege(oid, 'CREATE')), \
     pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')";

impl Rights {
    /// Asks the server.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn read(client: &Client) -> Result<Rights, Error> {
        let row = client.query_one(QUERY, &[]).await?;
        let (roles, schemas): (Vec<String>, Vec<String>) = (row.try_get(1)?, row.try_get(2)?);
        Ok(Rights {
            superuser: row.try_get(0)?,
            roles: roles.into_iter().collect(),
            schemas: schemas.into_iter().collect(),
            database: row.try_get(3)?,
        })
    }
}

/// What takes other rights than the owner's: what the table's TRIGGER or REFERENCES allows, what hosts allow beside the server's own
/// rules, and satellites of what has no owner.
const OTHER_RIGHTS: &[&str] = &["default privileges", "extension", "event trigger", "trigger", "schema"];

/// What can hold other objects and has an owner.
const RELATIONS: &[&str] = &["table", "view", "materialized view"];

/// The steps that this role may not do, as sentences; `now` is the database before the first of them.
pub fn forbidden(groups: &[Group], now: &Catalog, rights: &Rights) -> Vec<String> {
    if rights.superuser {
        return Vec::new();
    }
    let steps = || groups.iter().flat_map(|g| &g.steps);
    // What gets another owner on the way is not looked at.
    let given: BTreeSet<&Id> = steps().filter(|s| s.object.class() == "owner").filter_map(|s| s.object.of()).collect();
    let made: BTreeSet<&str> =
        steps().filter(|s| s.object.class() == "schema" && s.change != "drop").map(|s| s.object.base()).collect();
    let relations = now.objects().filter(|o| RELATIONS.contains(&o.id.class())).map(|o| (o.id.sql(), &o.id)).collect();
    let why = |step: &PlanStep| {
        let owner = owner(step, now, &relations);
        not_owned(step, owner, now, rights, &given).or_else(|| no_room(step, now, rights, &made))
    };
    steps().filter_map(|step| Some(format!("step {} ({}): {}", step.id, step.object, why(step)?))).collect()
}

/// Somebody else owns what the step changes, or what it is a part of.
fn not_owned(
    step: &PlanStep,
    owner: Option<(Id, &str)>,
    now: &Catalog,
    rights: &Rights,
    given: &BTreeSet<&Id>,
) -> Option<String> {
    let object = &step.object;
    if OTHER_RIGHTS.contains(&object.class()) && !(object.class() == "schema" && step.change == "drop") {
        return None;
    }
    let (owned, owner) = owner?;
    if rights.roles.contains(owner) || given.contains(&owned) {
        return None;
    }
    let belongs = format!("{owned} belongs to {}", ident(owner));
    match object.class() {
        "grant" if may_pass_on(object, now, rights) => None,
        "grant" => Some(format!("{belongs}, and none of its rights may be passed on")),
        _ => Some(belongs),
    }
}

/// Whether some right on the object, or on what it is a part of, was given with the option to give it on. Without one the server only
/// warns that nothing is given or taken, and goes on (manual: GRANT, "Notes").
fn may_pass_on(grant: &Id, now: &Catalog, rights: &Rights) -> bool {
    let given = |of: &Id| now.get(&Id::satellite("grant", of)).map(granted).unwrap_or_default();
    let mut of = grant.of().cloned();
    while let Some(id) = of {
        let mine = |(grantee, set): (String, BTreeSet<String>)| rights.roles.contains(&grantee) && passes_on(&set);
        if given(&id).into_iter().any(mine) {
            return true;
        }
        of = now.get(&id).and_then(|o| o.parent.clone());
    }
    false
}

/// What has to be owned, and who owns it; `relations` are those of the database by their SQL names.
fn owner<'a>(step: &PlanStep, now: &'a Catalog, relations: &BTreeMap<String, &Id>) -> Option<(Id, &'a str)> {
    let role = |id: &Id| now.get(&Id::satellite("owner", id)).map(|o| o.text("role"));
    let mut id = step.object.of().unwrap_or(&step.object).clone();
    loop {
        if let Some(role) = role(&id) {
            return Some((id, role));
        }
        match now.get(&id).and_then(|o| o.parent.clone()) {
            Some(parent) => id = parent,
            None => break,
        }
    }
    // A part that is still to come: its name begins with that of its table, an index locks it.
    let mut tables: Vec<Id> = Vec::new();
    if let [schema, table, _] = id.name() {
        tables.extend(RELATIONS.iter().map(|class| Id::new(class, [schema, table])));
    }
    if id.class() == "index" {
        tables.extend(step.locks.iter().find_map(|lock| relations.get(&lock.relation)).map(|table| (*table).clone()));
    }
    tables.into_iter().find_map(|table| Some((role(&table)?, table))).map(|(role, table)| (table, role))
}

/// It may not create where the step does.
fn no_room(step: &PlanStep, now: &Catalog, rights: &Rights, made: &BTreeSet<&str>) -> Option<String> {
    let takes_room =
        |schema: &str| (!rights.schemas.contains(schema)).then(|| format!("it takes CREATE on schema {}", ident(schema)));
    if let Some(to) =
        step.renamed.as_ref().map(|names| &names.to).filter(|to| step.change == "quarantine" && to.name().len() == 2)
    {
        let there = now.contains(&Id::new("schema", [to.first()]));
        return match there {
            true => takes_room(to.first()),
            false => (!rights.database).then(|| format!("making the schema {} takes CREATE on the database", ident(to.first()))),
        };
    }
    // A column that is exchanged for another one has a function for as long as that takes.
    if step.object.class() == "column" && step.sql.iter().any(|sql| sql.starts_with("CREATE FUNCTION ")) {
        return takes_room(step.object.first());
    }
    if step.change != "create" || step.object.of().is_some() {
        return None;
    }
    if step.object.class() == "schema" {
        return (!rights.database).then(|| "creating a schema takes CREATE on the database".to_owned());
    }
    let schema = match step.object.name() {
        [schema, _] => schema.as_str(),
        _ => return None,
    };
    let there = now.contains(&Id::new("schema", [schema])) && !made.contains(schema);
    takes_room(schema).filter(|_| there)
}
