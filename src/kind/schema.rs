//! Schemas: `pg_namespace`.

use super::{BASE, Kind, Query, Renaming, comment_object, grant_object, owner_object, privileges};
use crate::catalog::{Id, Object};
use crate::sql::ident;
use crate::statement::Statement;

/// The rights on `public` before 15, with the bootstrap superuser's under the name that the owner goes by here.
const PUBLIC_ACL: &str = "(CASE WHEN n.nspname = 'public' AND n.nspowner = 10 THEN (SELECT array_agg(makeaclitem( \
     CASE g.grantee WHEN 10 THEN 'pg_database_owner'::regrole::oid ELSE g.grantee END, 'pg_database_owner'::regrole::oid, \
     g.privilege_type, g.is_grantable)) FROM aclexplode(n.nspacl) g) ELSE n.nspacl END)";

/// The kind.
pub static KIND: Kind = Kind {
    class: "schema",
    query: Some(|version| Query {
        // Before 15 the bootstrap superuser owns `public`, whatever its name; since 15 it is pg_database_owner.
        owner: Some(if version < 150_000 {
            "CASE WHEN n.nspname = 'public' AND n.nspowner = 10 THEN 'pg_database_owner'::regrole::oid ELSE n.nspowner END"
        } else {
            "n.nspowner"
        }),
        acl: Some((if version < 150_000 { PUBLIC_ACL } else { "n.nspacl" }, 'n')),
        ..Query::over(
            "pg_namespace",
            "n.oid",
            "n.nspname",
            "FROM pg_namespace n WHERE (n.oid >= 16384 OR n.nspname = 'public') AND n.nspname !~ '^pg_(temp|toast)'",
        )
    }),
    create: |_, o| vec![Statement::new(format!("CREATE SCHEMA {}", ident(o.id.base())))],
    drop: |_, o| vec![Statement::new(format!("DROP SCHEMA {}", ident(o.id.base())))],
    effects: super::effects::gone,
    renaming: Renaming::Whole("SCHEMA", None),
    ..BASE
};

/// What a new database of this version holds: the schema `public` (`pg_namespace.dat`, `initdb`).
pub fn fresh(version: u32) -> Vec<Object> {
    let id = Id::new("schema", ["public"]);
    let schema = Object { id: id.clone(), parent: None, definition: Default::default(), detail: Default::default() };
    let owner = "pg_database_owner";
    let acl = |public: &str| privileges::parse(&[format!("{owner}=UC/{owner}"), format!("={public}/{owner}")], Some(owner));
    let given = acl(if version < 150_000 { "UC" } else { "U" });
    let default = privileges::parse(&[format!("{owner}=UC/{owner}")], Some(owner));
    vec![schema, owner_object(&id, owner), grant_object(&id, &given, &default), comment_object(&id, "standard public schema")]
}
