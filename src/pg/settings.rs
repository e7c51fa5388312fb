//! What a session is pinned to, so that the same catalog always reads as the same text.

use super::session::Session;

/// Setting and value, in the order in which they are sent. They change how the server deparses or prints
/// something that plumb compares, or slow a long reading down or cut it off (manual: chapter 20; pg_dump pins nearly the same).
const PINNED: &[(&str, &str)] = &[
    // Names outside pg_catalog are printed with their schema. Where pg_temp is not named it comes first: a table of that name made by
    // what a stranger's file runs would stand for a catalog.
    ("search_path", "pg_catalog, pg_temp"),
    ("TimeZone", "'UTC'"),       // timestamptz literals, partition bounds
    ("DateStyle", "'ISO, MDY'"), // date and timestamp literals
    ("IntervalStyle", "'postgres'"),
    ("extra_float_digits", "3"), // floats survive the round trip
    ("bytea_output", "'hex'"),
    ("quote_all_identifiers", "off"),
    ("xmloption", "content"),
    ("lc_monetary", "'C'"),
    ("standard_conforming_strings", "on"),
    ("client_encoding", "'UTF8'"), // whatever is read is read as that
    ("client_min_messages", "warning"),
    ("jit", "off"), // compiling the catalog queries takes longer than running them
    ("statement_timeout", "0"),
    ("lock_timeout", "0"), // who waits for a lock sets it for the transaction
];

/// The same for a setting that older servers do not know (17 and later).
const NEWER: &str =
    "SELECT set_config('transaction_timeout', '0', false) WHERE current_setting('transaction_timeout', true) IS NOT NULL";

/// Pins a session in one round trip. `row_security` is left alone: reading catalogs does not meet it. Loading and proving take their
/// time, and the connection is needed after them: it may be idle as long as it is watched.
///
/// # Errors
/// What the server says when it refuses a setting, or when the line is lost.
pub async fn pin(session: &Session) -> Result<(), tokio_postgres::Error> {
    let batch: String = PINNED.iter().map(|(name, value)| format!("SET {name} = {value}; ")).collect();
    session.client.batch_execute(&format!("{batch}{}{NEWER}", session.idle_limits())).await
}
