//! Several statements as one simple query: which of them the server did not take, and what it said. A statement that never ends is
//! broken off.

use futures_util::StreamExt;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::error::{DbError, ErrorPosition};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// What the server said.
#[derive(Clone, Debug, Default)]
pub struct ServerError {
    /// SQLSTATE.
    pub code: String,
    /// The message.
    pub message: String,
    /// Its detail.
    pub detail: Option<String>,
    /// Its hint.
    pub hint: Option<String>,
    /// Byte within the statement.
    pub at: Option<usize>,
    /// Byte within a text that the server read inside of the statement (a body), and that text.
    pub inside: Option<(usize, String)>,
    /// Where it happened, in the server's words.
    pub context: Option<String>,
}

/// Why a batch stopped: at which part, and the server's error.
pub struct Stopped {
    /// Index of the part.
    pub part: usize,
    /// The error.
    pub error: ServerError,
}

/// Why nothing more can be sent.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The line is down.
    #[error("the shadow server went away: {0}")]
    Line(#[from] tokio_postgres::Error),
    /// The part with this index does not end, and cannot be broken off.
    #[error("a statement does not end, and does not let itself be broken off")]
    Endless(usize),
}

/// How long the server may take to break a statement off.
pub const GRACE: Duration = Duration::from_secs(5);

/// So much more for every other statement that is sent with one: the server keeps what it says of them to itself for a while.
pub const ANOTHER: Duration = Duration::from_millis(50);

/// Ends the other session in a scratch database. What it has said until then is heard: which statement it was.
const END: &str = "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
     WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid() AND state = 'active'";

/// Sends `parts` as one simple query; none of them may take longer than `limit`. One that catches its own end is ended with its session
/// by `other`.
///
/// # Errors
/// Where it stopped, or that nothing more can be sent.
pub async fn send<S: AsRef<str>>(
    client: &Client,
    parts: &[S],
    limit: Duration,
    other: Option<&Client>,
) -> Result<(), Result<Stopped, Lost>> {
    let text = parts.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(BETWEEN);
    let limit = limit + ANOTHER * u32::try_from(parts.len().saturating_sub(1)).unwrap_or(u32::MAX);
    let mut done = 0;
    let mut deadline = Instant::now() + limit;
    let mut asked = 0;
    let failed = match client.simple_query_raw(&text).await {
        Err(e) => Some(e),
        Ok(stream) => {
            let mut stream = std::pin::pin!(stream);
            loop {
                match timeout_at(deadline, stream.next()).await {
                    Ok(None) => break None,
                    Ok(Some(Ok(SimpleQueryMessage::CommandComplete(_)))) => {
                        done += 1;
                        deadline = Instant::now() + limit;
                    }
                    Ok(Some(Ok(_))) => {}
                    Ok(Some(Err(e))) => break Some(e),
                    Err(_) => {
                        asked += 1;
                        deadline = Instant::now() + GRACE;
                        // Where that does not work, the end of the connection will end it.
                        let _ = match (asked, other) {
                            (1, _) => timeout_at(deadline, client.cancel_token().cancel_query(NoTls)).await.is_ok(),
                            (2, Some(other)) => timeout_at(deadline, other.batch_execute(END)).await.is_ok(),
                            _ => return Err(Err(Lost::Endless(done.min(parts.len().saturating_sub(1))))),
                        };
                    }
                }
            }
        }
    };
    let Some(e) = failed else { return Ok(()) };
    let Some(db) = e.as_db_error() else { return Err(Err(e.into())) };
    if asked > 1 && db.code().code() == ENDED {
        return Err(Err(Lost::Endless(done.min(parts.len().saturating_sub(1)))));
    }
    let mut stopped = stopped(db, parts, &text, done);
    if asked > 0 && stopped.error.code == TOO_LONG {
        stopped.error.message = format!("it takes longer than {} s on a database without rows", limit.as_secs());
    }
    Err(Ok(stopped))
}

/// query_canceled.
const TOO_LONG: &str = "57014";

/// admin_shutdown.
const ENDED: &str = "57P01";

/// What stands between two parts: a part may end in a comment.
const BETWEEN: &str = "\n;\n";

fn stopped<S: AsRef<str>>(db: &DbError, parts: &[S], text: &str, done: usize) -> Stopped {
    let mut error = ServerError {
        code: db.code().code().to_owned(),
        message: bounded(db.message()),
        detail: db.detail().map(bounded),
        hint: db.hint().map(bounded),
        context: db.where_().map(bounded),
        ..ServerError::default()
    };
    let mut part = done.min(parts.len().saturating_sub(1));
    match db.position() {
        Some(ErrorPosition::Original(n)) => {
            let byte = byte_of(text, *n);
            let mut start = 0;
            for (i, p) in parts.iter().enumerate() {
                // what is missing at the end of a part is missing where the next token stands
                if byte < start + p.as_ref().len() + BETWEEN.len() {
                    (part, error.at) = (i, Some(byte.saturating_sub(start).min(p.as_ref().len())));
                    break;
                }
                start += p.as_ref().len() + BETWEEN.len();
            }
        }
        Some(ErrorPosition::Internal { position, query }) => error.inside = Some((byte_of(query, *position), query.clone())),
        None => {}
    }
    Stopped { part, error }
}

/// Code that runs while files are loaded may raise errors of any length.
fn bounded(text: &str) -> String {
    text.chars().take(4_000).collect()
}

/// The server counts characters from 1; files are cut by bytes from 0.
fn byte_of(text: &str, position: u32) -> usize {
    let n = usize::try_from(position).unwrap_or(1).saturating_sub(1);
    text.char_indices().nth(n).map_or(text.len(), |(i, _)| i)
}
