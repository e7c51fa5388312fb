//! A step that gives rows their values is watched on rows: some are made up for its table, and nothing of it stays. The loading role
//! does all of it: checks, triggers and the expression itself are code that nobody has read.

use tokio_postgres::Error;

use crate::apply::run::server_message;
use crate::plan::PlanStep;
use crate::shadow::Scratch;
use crate::statement::Batches;

/// The columns of a table that can be given values, less the one that is filled and those that may do without referring to another
/// table: name, type, category and name of the type itself.
const COLUMNS: &str = "SELECT quote_ident(a.attname), format_type(a.atttypid, a.atttypmod), t.typcategory::text, t.typname::text \
     FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 \
     AND NOT a.attisdropped AND a.attgenerated = '' AND quote_ident(a.attname) <> $2 AND (a.attnotnull OR NOT EXISTS \
     (SELECT FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype = 'f' AND a.attnum = ANY (k.conkey))) ORDER BY a.attnum";

/// How many rows are made up.
const ROWS: i64 = 3;

/// What was seen, as a sentence, where it is worth telling.
///
/// # Errors
/// When the copy is lost.
pub async fn rehearse(copy: &Scratch, step: &PlanStep, batches: &Batches) -> Result<Option<String>, Error> {
    let client = &copy.session.client;
    client.batch_execute("BEGIN; SET LOCAL search_path = pg_catalog; SET LOCAL TimeZone = 'UTC'").await?;
    let found = tried(copy, step, batches).await;
    client.batch_execute("ROLLBACK").await?;
    let of = format!("step {} ({})", step.id, step.object);
    Ok(match found {
        Ok(Seen { made: 0, .. }) => Some(format!("{of} was not watched on rows: {} takes none that are made up", batches.table)),
        Ok(Seen { left: 0, .. }) => None,
        Ok(Seen { made, left }) => Some(format!("{of} leaves {left} of {made} made-up rows without a value")),
        Err((made, error)) => {
            let words = server_message(&error).0;
            let words = words.lines().next().unwrap_or_default();
            Some(match made {
                true => format!("{of} fails on rows that were made up for {}: {words}", batches.table),
                false => format!("{of} was not watched on rows: none can be made up for {}: {words}", batches.table),
            })
        }
    })
}

struct Seen {
    made: i64,
    left: i64,
}

/// Whether the rows were made, and what the server said then.
async fn tried(copy: &Scratch, step: &PlanStep, batches: &Batches) -> Result<Seen, (bool, Error)> {
    let client = &copy.session.client;
    let unmade = |e| (false, e);
    let made_up = |e| (true, e);
    let columns = client.query(COLUMNS, &[&batches.table, &batches.column]).await.map_err(unmade)?;
    let (mut names, mut values): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for column in &columns {
        let (data_type, category, name): (&str, &str, &str) = (column.get(1), column.get(2), column.get(3));
        if let Some(value) = value(data_type, category, name) {
            names.push(column.get(0));
            values.push(value);
        }
    }
    let insert = format!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM pg_catalog.generate_series(1, {ROWS}) AS n",
        batches.table,
        names.join(", "),
        values.join(", ")
    );
    if names.is_empty() {
        return Ok(Seen { made: 0, left: 0 });
    }
    client.batch_execute(&insert).await.map_err(unmade)?;
    let count = |condition: &str| format!("SELECT count(*) FROM {} WHERE {condition}", batches.table);
    let made: i64 = client.query_one(&count("true"), &[]).await.map_err(made_up)?.get(0);
    client.batch_execute(&step.sql.join("; ")).await.map_err(made_up)?;
    let left: i64 = client.query_one(&count(&batches.left()), &[]).await.map_err(made_up)?.get(0);
    Ok(Seen { made, left })
}

/// A value of a type for the row `n`, as SQL; none for types that nothing is known of.
fn value(data_type: &str, category: &str, name: &str) -> Option<String> {
    let value = match (category, name) {
        (_, "uuid") => "pg_catalog.gen_random_uuid()".to_owned(),
        (_, "json" | "jsonb") => "'{}'".to_owned(),
        (_, "bytea") => "'\\x00'::bytea".to_owned(),
        ("N", _) => "n".to_owned(),
        ("S", _) => "('row ' || n)".to_owned(),
        ("B", _) => "(n % 2 = 0)".to_owned(),
        ("D", _) => "('2000-01-01 00:00:00+00'::timestamptz + n * interval '1 day')".to_owned(),
        ("T", _) => "(n * interval '1 hour')".to_owned(),
        ("I", _) => "'10.0.0.1'".to_owned(),
        ("R", _) => "'empty'".to_owned(),
        ("A", _) => "'{}'".to_owned(),
        ("E", _) => format!("(pg_catalog.enum_range(NULL::{data_type}))[1]"),
        _ => return None,
    };
    Some(format!("{value}::{data_type}"))
}
