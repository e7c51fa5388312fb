//! What had to be made as administrator belongs to the loading role, as it would on a server where that one is what it is called.

use super::BOOTSTRAP;
use super::guard::quietly;
use crate::sql::ident;
use tokio_postgres::{Client, Error};

/// Objects of the session's role in this database, but for the server's own and for members of extensions and of other objects:
/// what to alter, and whether only a superuser may own it. Kinds that an administrator is asked to make, and schemas, which
/// extensions make.
const MINE: &str = "
SELECT CASE o.class WHEN 'pg_proc' THEN 'ROUTINE' ELSE pg_catalog.translate(pg_catalog.upper(i.type), '-', ' ') END || ' ' || i.identity, o.class IN ('pg_event_trigger', 'pg_foreign_data_wrapper')
FROM (SELECT 'pg_proc', oid, proowner FROM pg_catalog.pg_proc
      UNION ALL SELECT 'pg_type', t.oid, typowner FROM pg_catalog.pg_type t
                 WHERE typtype = 'b' AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid)
      UNION ALL SELECT 'pg_opclass', oid, opcowner FROM pg_catalog.pg_opclass
      UNION ALL SELECT 'pg_opfamily', oid, opfowner FROM pg_catalog.pg_opfamily
      UNION ALL SELECT 'pg_language', oid, lanowner FROM pg_catalog.pg_language
      UNION ALL SELECT 'pg_namespace', oid, nspowner FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_'
      UNION ALL SELECT 'pg_foreign_data_wrapper', oid, fdwowner FROM pg_catalog.pg_foreign_data_wrapper
      UNION ALL SELECT 'pg_event_trigger', oid, evtowner FROM pg_catalog.pg_event_trigger) AS o (class, oid, owner),
     LATERAL pg_catalog.pg_identify_object(('pg_catalog.' || o.class)::pg_catalog.regclass, o.oid, 0) AS i
WHERE o.oid >= 16384 AND o.owner = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.classid = ('pg_catalog.' || o.class)::pg_catalog.regclass AND d.objid = o.oid AND d.deptype IN ('e', 'i'))
ORDER BY 1";

/// Gives `owner` what the administrator's role has made in this database.
///
/// In a private cluster that goes for what only a superuser may own too: there `owner` is one for the length of a transaction,
/// which no other session sees. On a given server such things stay the administrator's.
///
/// # Errors
/// What the server refuses.
pub async fn adopt(administrator: &Client, owner: &str) -> Result<(), Error> {
    let me = "SELECT rolname::text, rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
    let row = administrator.query_one(me, &[]).await?;
    let (me, superuser): (String, bool) = (row.get(0), row.get(1));
    if me == owner || !superuser {
        return Ok(());
    }
    let rows = administrator.query(MINE, &[]).await?;
    let (superusers, ordinary): (Vec<_>, Vec<_>) = rows
        .iter()
        .map(|row| (row.get(1), format!("ALTER {} OWNER TO {};\n", row.get::<_, String>(0), ident(owner))))
        .partition(|(superuser, _)| *superuser);
    let text = |list: Vec<(bool, String)>| list.into_iter().map(|(_, sql)| sql).collect::<String>();
    let mut batch = text(ordinary);
    if me == BOOTSTRAP && !superusers.is_empty() {
        batch.push_str(&as_superuser(&ident(owner), &text(superusers)));
    }
    if batch.is_empty() {
        return Ok(());
    }
    // Event triggers would see this, and run as superuser.
    quietly(administrator, &batch).await
}

/// Statements of a private cluster's administrator that need `role`, as it stands in SQL, to be a superuser. To be sent in one
/// transaction.
pub fn as_superuser(role: &str, statements: &str) -> String {
    // Roles are the cluster's: a proof's two copies, or two plumbs, may do this at the same time, and the server refuses the second
    // change of a role's row instead of waiting. Advisory locks would not do, they end at the database.
    let alone = "LOCK TABLE pg_catalog.pg_authid IN SHARE ROW EXCLUSIVE MODE";
    format!("{alone};\nALTER ROLE {role} SUPERUSER;\n{statements}\nALTER ROLE {role} NOSUPERUSER;\n")
}
