//! What has to be true before a plan or one of its steps: queries that change nothing.

use tokio_postgres::Client;

use super::run::server_message;

/// Makes what follows unable to write, until it is taken back.
const INSIDE: (&str, &str) = (
    "SAVEPOINT plumb_assertion; SET LOCAL transaction_read_only = on",
    "ROLLBACK TO SAVEPOINT plumb_assertion; RELEASE SAVEPOINT plumb_assertion",
);
const OUTSIDE: (&str, &str) = ("BEGIN READ ONLY; SET LOCAL search_path = pg_catalog, pg_temp", "ROLLBACK");

/// Whether the query's only row has a true first column. It is asked in a read-only transaction, or, where one is open already, in
/// a read-only part of it: what it sees is then what the steps before have done.
///
/// # Errors
/// Why not, as the end of a sentence; or what the server says.
pub async fn holds(client: &Client, query: &str, in_transaction: bool) -> Result<(), String> {
    let (begin, end) = if in_transaction { INSIDE } else { OUTSIDE };
    let server = |e: tokio_postgres::Error| server_message(&e).0;
    client.batch_execute(begin).await.map_err(server)?;
    // As one statement: the server takes no second one that way.
    let answer = client.query(query, &[]).await;
    let ended = client.batch_execute(end).await;
    let rows = answer.map_err(server)?;
    ended.map_err(server)?;
    match rows.as_slice() {
        [row] => match row.try_get::<_, Option<bool>>(0) {
            Ok(Some(true)) => Ok(()),
            Ok(Some(false)) => Err("it is false".to_owned()),
            Ok(None) => Err("it is null".to_owned()),
            Err(_) => Err("its answer is no boolean".to_owned()),
        },
        rows => Err(format!("it has {} rows instead of one", rows.len())),
    }
}

/// Whether the server understands it, and what it is called wrong for; nothing of it is run.
///
/// # Errors
/// The server's words.
pub async fn understood(client: &Client, query: &str) -> Result<(), String> {
    let statement = client.prepare(query).await.map_err(|e| server_message(&e).0)?;
    match statement.columns() {
        [column] if column.type_() == &tokio_postgres::types::Type::BOOL => Ok(()),
        [column] => Err(format!("an assertion is true or false, and this gives {}", column.type_())),
        columns => Err(format!("an assertion gives one column, and this gives {}", columns.len())),
    }
}
