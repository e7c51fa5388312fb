//! What the extension plpgsql_check finds in PL/pgSQL bodies, where the server has it: it plans every statement of a body and runs
//! none. Only in a scratch database, from which it goes again.

use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::{Client, Error, Row};

use crate::shadow::quietly;
use crate::sql::idents;

/// Routines of users, a trigger's function once for each table that it is for.
const ROUTINES: &str = "SELECT p.oid, coalesce(t.relid, 0::oid), CASE WHEN p.prokind = 'p' THEN 'procedure ' ELSE 'function ' END || p.oid::regprocedure, \
     n.nspname::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang AND l.lanname = 'plpgsql' \
     LEFT JOIN LATERAL (SELECT DISTINCT g.tgrelid AS relid FROM pg_trigger g WHERE g.tgfoid = p.oid) t ON true \
     WHERE p.oid >= 16384 AND (p.prorettype <> 'trigger'::regtype OR t.relid IS NOT NULL) \
     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e') ORDER BY 4, 1, 2";

const INSTALLED: &str = "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'plpgsql_check'";
const AVAILABLE: &str = "SELECT count(*) FROM pg_available_extensions WHERE name = 'plpgsql_check'";
const SCHEMAS: &str = "SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'plumb plpgsql_check') ORDER BY 1";

/// What it is put into where the database has it not.
const MAKE: &str = "CREATE SCHEMA \"plumb plpgsql_check\"; CREATE EXTENSION plpgsql_check SCHEMA \"plumb plpgsql_check\"; \
     GRANT USAGE ON SCHEMA \"plumb plpgsql_check\" TO PUBLIC";
const REMOVE: &str = "DROP EXTENSION plpgsql_check; DROP SCHEMA \"plumb plpgsql_check\"";

/// The findings as sentences, each with its routine; none where the server does not have the extension. `client` is a session of
/// the loading role that has run no routine yet, whose search path is another one afterwards.
///
/// # Errors
/// What the server refuses.
pub async fn findings(client: &Client, administrator: &Client) -> Result<BTreeSet<(String, String)>, Error> {
    client.batch_execute("SET search_path = pg_catalog").await?;
    let routines = client.query(ROUTINES, &[]).await?;
    if routines.is_empty() {
        return Ok(BTreeSet::new());
    }
    let installed = client.query_opt(INSTALLED, &[]).await?.map(|row| row.get::<_, String>(0));
    if installed.is_none() && client.query_one(AVAILABLE, &[]).await?.get::<_, i64>(0) == 0 {
        return Ok(BTreeSet::new());
    }
    let Some(schema) = installed else {
        // On a server that is somebody else's the administrator need not be a superuser. Event triggers would run as one.
        if let Err(error) = quietly(administrator, MAKE).await {
            tracing::info!("without plpgsql_check: {error}");
            return Ok(BTreeSet::new());
        }
        let found = all(client, "\"plumb plpgsql_check\"", &routines).await;
        quietly(administrator, REMOVE).await?;
        return found;
    };
    all(client, &schema, &routines).await
}

/// Who calls a routine that sets no search path is not known: it counts only what is found with its own schema first and with
/// `public` first.
async fn all(client: &Client, schema: &str, routines: &[Row]) -> Result<BTreeSet<(String, String)>, Error> {
    let rows = client.query(SCHEMAS, &[]).await?;
    let schemas: Vec<String> = rows.iter().map(|r| r.get(0)).collect();
    let path = |first: &[&str]| {
        let rest = schemas.iter().map(String::as_str).filter(|s| !first.contains(s));
        idents(&first.iter().copied().chain(rest).map(str::to_owned).collect::<Vec<_>>())
    };
    let mut by_schema: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for routine in routines {
        by_schema.entry(routine.get(3)).or_default().push(routine);
    }
    let mut found = BTreeSet::new();
    for (own, routines) in &by_schema {
        found.extend(under(client, schema, routines, &path(&[*own, "public"])).await?);
    }
    let every: Vec<&Row> = routines.iter().collect();
    let wide = under(client, schema, &every, &path(&["public"])).await?;
    Ok(found.into_iter().filter(|finding| wide.contains(finding)).collect())
}

/// The findings under a search path. What cannot be checked has none.
async fn under(client: &Client, schema: &str, routines: &[&Row], path: &str) -> Result<BTreeSet<(String, String)>, Error> {
    client.batch_execute(&format!("SET search_path = {path}")).await?;
    let one = async |routine: &&Row| {
        let (function, table): (u32, u32) = (routine.get(0), routine.get(1));
        let query = format!(
            "SELECT f.level, f.lineno::int4, f.message, f.hint FROM {schema}.plpgsql_check_function_tb({function}::oid::regprocedure, \
             {table}::oid::regclass, fatal_errors => false, extra_warnings => false) f WHERE f.level IN ('error', 'warning')"
        );
        client.query(&query, &[]).await.map(|rows| rows.iter().map(|row| (routine.get(2), sentence(row))).collect::<Vec<_>>())
    };
    let mut found = BTreeSet::new();
    for (routine, rows) in routines.iter().zip(join_all(routines.iter().map(one)).await) {
        match rows {
            Ok(rows) => found.extend(rows),
            Err(error) if error.as_db_error().is_none() => return Err(error),
            Err(error) => tracing::info!("plpgsql_check: {}: {error}", routine.get::<_, String>(2)),
        }
    }
    Ok(found)
}

/// `error in line 3: column "x" does not exist`.
fn sentence(row: &Row) -> String {
    let (level, message): (String, String) = (row.get(0), row.get(2));
    let place = row.get::<_, Option<i32>>(1).map_or(String::new(), |line| format!(" in line {line}"));
    let hint = row.get::<_, Option<String>>(3).map_or(String::new(), |hint| format!(" ({hint})"));
    format!("{level}{place}: {message}{hint}")
}
