//! Owners and rights. Owners are set as administrator, since a new owner needs no right to create in the schema; what that could
//! be misused for is checked here.

use super::files::Files;
use super::name::Class;
use super::problem::{Problem, Problems};
use super::read::{Statement, option, words};
use super::roles;
use super::run::{Failure, Item, Runner};
use super::screen::{Action, new_owners};
use crate::shadow;
use pg_query::NodeEnum;
use pg_query::protobuf::{AlterDefaultPrivilegesStmt, ObjectType, RoleSpecType};
use std::collections::BTreeSet;
use tokio_postgres::Client;

/// Roles that nothing of the files may belong to: their functions could run with the rights of these.
pub async fn powerful(loader: &Client, administrator: Option<&Client>) -> Result<BTreeSet<String>, Problem> {
    let Some(administrator) = administrator else { return Ok(BTreeSet::new()) };
    let lost = |e| Problem::general("source::connection", roles::text(&e));
    let me: String = loader.query_one("SELECT current_user::text", &[]).await.map_err(lost)?.get(0);
    shadow::powerful(administrator, &me).await.map_err(lost)
}

/// Objects of a powerful role would run their code with its rights; nothing in a schema may do that.
pub fn powerful_owners(statements: &[Statement], powerful: &BTreeSet<String>) -> Vec<Problem> {
    let owners = statements.iter().filter(|s| s.action == Action::Owner);
    let named = owners.filter_map(|s| {
        let role = new_owners(&s.node).into_iter().map(|r| &r.rolename).find(|r| powerful.contains(*r))?;
        Some((s, role))
    });
    let problem = |(s, role): (&Statement, &String)| {
        let own = role.starts_with("pg_") || role == shadow::BOOTSTRAP;
        let (label, help) = match own {
            true => ("a role of the server's own", "give it to a role of yours"),
            false => (
                "this role may do more on the shadow server than load a schema",
                "let plumb start its own shadow (--shadow auto), where this role is an ordinary one",
            ),
        };
        Problem::at("source::refused", s.place.clone(), format!("owner {role} is refused"), label).help(help)
    };
    named.map(problem).collect()
}

/// The roles whose default privileges it changes; none when it does not name them.
pub fn privileges_of(statement: &AlterDefaultPrivilegesStmt) -> BTreeSet<String> {
    let Some(NodeEnum::List(list)) = option(&statement.options, "roles").and_then(|n| n.node.as_ref()) else {
        return BTreeSet::new();
    };
    let name = |n: &pg_query::Node| match &n.node {
        Some(NodeEnum::RoleSpec(r)) if r.roletype() == RoleSpecType::RolespecCstring => Some(r.rolename.clone()),
        _ => None,
    };
    // one that only says who asks would be the administrator
    list.items.iter().map(name).collect::<Option<_>>().unwrap_or_default()
}

/// The roles that the files make owners of what only a superuser may own. In a private cluster, where every role is an ordinary one,
/// they have to be superusers while owners are set; nothing of the files runs as one of them meanwhile.
pub async fn owners_to_raise(runner: &Runner<'_>) -> Result<BTreeSet<String>, Problem> {
    let Some(administrator) = runner.administrator.filter(|_| runner.policy.allow_superuser) else { return Ok(BTreeSet::new()) };
    let wanted = |s: &&Statement| match &s.node {
        NodeEnum::AlterOwnerStmt(o) => matches!(o.object_type(), ObjectType::ObjectEventTrigger | ObjectType::ObjectFdw),
        _ => false,
    };
    let roles: BTreeSet<String> =
        runner.statements.iter().filter(wanted).flat_map(|s| roles::roles(std::slice::from_ref(s))).collect();
    let row = administrator.query_one("SELECT current_user::text", &[]).await;
    let me: String = row.map_err(|e| Problem::general("source::connection", roles::text(&e)))?.get(0);
    Ok(if me == shadow::BOOTSTRAP { roles } else { BTreeSet::new() })
}

/// Makes them superusers, or ordinary roles again.
pub async fn set_superusers(runner: &Runner<'_>, roles: &BTreeSet<String>, yes: bool) -> Result<(), Problem> {
    let Some(administrator) = runner.administrator.filter(|_| !roles.is_empty()) else { return Ok(()) };
    let word = if yes { "SUPERUSER" } else { "NOSUPERUSER" };
    let batch: Vec<String> = roles.iter().map(|r| format!("ALTER ROLE {} {word}", crate::sql::ident(r))).collect();
    let done = administrator.batch_execute(&batch.join("; ")).await;
    done.map_err(|e| Problem::general("source::connection", roles::text(&e)))
}

/// Parts off what only the bootstrap superuser may say in a private cluster: rights on the schema `public` before 15, where it does
/// not belong to the database's owner. As anybody else the server takes them with a warning and does nothing.
pub async fn on_public(runner: &Runner<'_>, items: Vec<Item>) -> Result<(Vec<Item>, Vec<Item>), Problem> {
    let lost = |e| Problem::general("source::connection", roles::text(&e));
    let Some(administrator) = runner.administrator else { return Ok((Vec::new(), items)) };
    let query = "SELECT current_user::text, current_setting('server_version_num')::int4";
    let row = administrator.query_one(query, &[]).await.map_err(lost)?;
    if row.get::<_, &str>(0) != shadow::BOOTSTRAP || row.get::<_, i32>(1) >= 150_000 {
        return Ok((Vec::new(), items));
    }
    Ok(items.into_iter().partition(|i| is_on_public(&runner.statements[i.statement].node)))
}

/// GRANT or REVOKE on the schema `public` alone, for roles that are named.
fn is_on_public(node: &NodeEnum) -> bool {
    let NodeEnum::GrantStmt(s) = node else { return false };
    let named = |n: &pg_query::Node| match &n.node {
        Some(NodeEnum::RoleSpec(r)) => matches!(r.roletype(), RoleSpecType::RolespecCstring | RoleSpecType::RolespecPublic),
        _ => false,
    };
    let on = s.objtype() == ObjectType::ObjectSchema && words(&s.objects) == ["public"];
    on && s.grantor.is_none() && s.grantees.iter().all(named)
}

/// Objects of the server or of an extension that somebody else owns now. The schema public and the language plpgsql are everybody's.
const FOREIGN: &str = "
SELECT pg_catalog.pg_describe_object(s.classid, s.objid, s.objsubid)
FROM pg_catalog.pg_shdepend s
WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) AND s.deptype = 'o'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = s.refobjid AND (r.rolsuper OR r.rolname = current_user))
  AND NOT (s.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND s.objid = 2200)
  AND s.classid <> 'pg_catalog.pg_language'::pg_catalog.regclass
  AND (s.objid < 16384 OR EXISTS (SELECT FROM pg_catalog.pg_depend d
                                  WHERE d.classid = s.classid AND d.objid = s.objid AND d.deptype = 'e'))
ORDER BY 1";

/// An ALTER ... OWNER that took an object of the server or of an extension: refused.
pub async fn no_foreign_owner(runner: &Runner<'_>, files: &Files) -> Result<(), Problems> {
    if runner.administrator.is_none() || runner.policy.script {
        return Ok(());
    }
    let rows = runner.loader.query(FOREIGN, &[]).await;
    let rows = rows.map_err(|e| Problems::new(files, vec![Problem::general("source::connection", roles::text(&e))]))?;
    let problem = |what: String| {
        Problem::general("source::refused", format!("the files give {what} an owner"))
            .help("it belongs to the server or to an extension: remove its ALTER ... OWNER TO")
    };
    let mut list: Vec<Problem> = rows.iter().map(|r| problem(r.get(0))).collect();
    let powerful: Vec<&str> = runner.powerful.iter().map(String::as_str).collect();
    let rows = runner.loader.query(OWNED, &[&powerful]).await;
    let rows = rows.map_err(|e| Problems::new(files, vec![Problem::general("source::connection", roles::text(&e))]))?;
    let problem = |what: String, role: String| {
        Problem::general("source::refused", format!("{what} belongs to {role}"))
            .help("this role may do more on the shadow's server than load a schema: give it to another one")
    };
    list.extend(rows.iter().map(|r| problem(r.get(0), r.get(1))));
    if list.is_empty() { Ok(()) } else { Err(Problems::new(files, list)) }
}

/// Routines and relations that belong to one of these roles, but for those of extensions and for what the server makes with a range.
const OWNED: &str = "
SELECT pg_catalog.pg_describe_object(o.class, o.oid, 0), r.rolname::text
FROM (SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, oid, proowner FROM pg_catalog.pg_proc
      UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, oid, relowner FROM pg_catalog.pg_class
                 WHERE relkind IN ('r', 'p', 'v', 'm', 'f')) AS o (class, oid, owner)
     JOIN pg_catalog.pg_roles r ON r.oid = o.owner
WHERE o.oid >= 16384 AND r.rolname = ANY ($1) AND r.rolname <> current_user
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype IN ('e', 'i'))
ORDER BY 1";

const MEMBERS: &str = "
SELECT c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_depend d ON d.classid = 1259 AND d.objid = c.oid WHERE d.deptype = 'e'
UNION SELECT p.proname FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_depend d ON d.classid = 1255 AND d.objid = p.oid WHERE d.deptype = 'e'
UNION SELECT t.typname FROM pg_catalog.pg_type t JOIN pg_catalog.pg_depend d ON d.classid = 1247 AND d.objid = t.oid WHERE d.deptype = 'e'";

/// Rights on objects of extensions, which the loading role does not own: a notice, since plumb does not manage these. Returns the
/// other failures.
pub async fn of_extensions(
    runner: &Runner<'_>,
    failures: Vec<Failure>,
    notices: &mut Vec<String>,
) -> Result<Vec<Failure>, Problem> {
    if !failures.iter().any(|f| f.error.code == "42501") {
        return Ok(failures);
    }
    let rows = runner.loader.query(MEMBERS, &[]).await.map_err(|e| Problem::general("source::connection", roles::text(&e)))?;
    let members: BTreeSet<String> = rows.iter().map(|r| r.get(0)).collect();
    let of_extension = |f: &Failure| {
        let requires = &runner.statements[f.item.statement].hints.requires;
        let objects: Vec<_> = requires.iter().filter(|m| matches!(m.name.class, Class::Relation | Class::Routine)).collect();
        f.error.code == "42501" && !objects.is_empty() && objects.iter().all(|m| members.contains(m.name.base()))
    };
    let (skipped, rest): (Vec<_>, Vec<_>) = failures.into_iter().partition(of_extension);
    if !skipped.is_empty() {
        notices.push(format!("not run: rights on objects of extensions ({})", skipped.len()));
    }
    Ok(rest)
}
