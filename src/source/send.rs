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
const GRACE: Duration = Duration::from_secs(5);

/// Sends `parts` as one simple query; none of them may take longer than `limit`.
///
/// # Errors
/// Where it stopped, or that nothing more can be sent.
pub async fn send<S: AsRef<str>>(client: &Client, parts: &[S], limit: Duration) -> Result<(), Result<Stopped, Lost>> {
    let text = parts.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(BETWEEN);
    let mut done = 0;
    let mut deadline = Instant::now() + limit;
    let mut asked = false;
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
                    Err(_) if asked => return Err(Err(Lost::Endless(done.min(parts.len().saturating_sub(1))))),
                    Err(_) => {
                        asked = true;
                        // Where that does not work, the end of the session will end it.
                        let _ = timeout_at(Instant::now() + GRACE, client.cancel_token().cancel_query(NoTls)).await;
                        deadline = Instant::now() + GRACE;
                    }
                }
            }
        }
    };
    let Some(e) = failed else { return Ok(()) };
    let Some(db) = e.as_db_error() else { return Err(Err(e.into())) };
    let mut stopped = stopped(db, parts, &text, done);
    if asked && stopped.error.code == TOO_LONG {
        stopped.error.message = format!("it takes longer than {} s on a database without rows", limit.as_secs());
    }
    Err(Ok(stopped))
}

/// query_canceled.
const TOO_LONG: &str = "57014";

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
