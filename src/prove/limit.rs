//! How long the server may work on a copy, which has no rows: what files make may call code that never ends.

use std::future::Future;
use std::time::Duration;
use tokio::time::timeout;

use crate::pg::Session;
use crate::source::send::{ANOTHER, GRACE};

/// The time for so many statements when one may take `each`.
pub fn of(each: Duration, statements: usize) -> Duration {
    each + ANOTHER * u32::try_from(statements).unwrap_or(u32::MAX)
}

/// Does the work within the limit; otherwise what the sessions run is broken off, and there is no answer.
pub async fn within<T>(sessions: &[&Session], limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::pin!(work);
    if let Ok(done) = timeout(limit, &mut work).await {
        return Some(done);
    }
    // twice: what failed as a whole is tried once more piece by piece, to see where
    for _ in 0..2 {
        for session in sessions {
            let _ = timeout(GRACE, session.cancel()).await;
        }
        if timeout(GRACE, &mut work).await.is_ok() {
            break;
        }
    }
    None
}
