//! A live connection and what is known about it.

use super::error::ConnectError;
use super::silence::Watcher;
use super::target::Target;
use super::version::Version;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_postgres::error::DbError;
use tokio_postgres::{AsyncMessage, CancelToken, Client, Connection, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A connection to a server, its driver running on the current tokio runtime.
pub struct Session {
    /// The client that statements are sent through.
    pub client: Arc<Client>,
    /// The server's version.
    pub version: Version,
    /// The role we are (`current_user`), which may differ from the one asked for when the server maps or sets roles.
    pub user: String,
    /// The database we are in.
    pub database: String,
    /// Where this session was made; another one is made with [`super::connect`].
    pub target: Target,
    /// The host of the target that answered.
    pub host: String,
    pub(super) notices: Notices,
    pub(super) driver: JoinHandle<()>,
    pub(super) watcher: Option<Watcher>,
    pub(super) canceller: Canceller,
}

/// How long a server may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(5);

/// How many notices of a session are kept, and how many characters of each: code that a server runs may say as much as it likes.
const NOTICES: usize = 1_000;
const NOTICE: usize = 2_000;

impl Session {
    /// Says goodbye to the server and waits until the line is down.
    pub async fn close(mut self) {
        drop(self.watcher);
        drop(self.client);
        match tokio::time::timeout(FAREWELL, &mut self.driver).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("connection driver: {error}"),
            // The server still runs a statement that nothing ends but the end of its session.
            Err(_) => self.driver.abort(),
        }
    }

    /// Asks the server to break off the statement that runs now (manual: 53.2.8 "Canceling Requests in Progress"). It may be over already.
    ///
    /// # Errors
    /// When the server cannot be reached for it.
    pub async fn cancel(&self) -> Result<(), ConnectError> {
        self.canceller.cancel().await
    }

    /// What cancels this session's statements from elsewhere, such as a signal handler.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Takes the notices and warnings that came since the last call, each as `SEVERITY: message`, in order.
    pub fn take_notices(&self) -> Vec<String> {
        std::mem::take(&mut self.notices.lines())
    }

    /// False when the server has closed the line.
    pub fn is_open(&self) -> bool {
        !self.client.is_closed()
    }
}

/// Notices of one session, filled by its driver.
#[derive(Clone, Default)]
pub(super) struct Notices(Arc<Mutex<Vec<String>>>);

impl Notices {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, notice: &DbError) {
        let mut lines = self.lines();
        if lines.len() < NOTICES {
            let detail = notice.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
            let line = format!("{}: {}{detail}", notice.severity(), notice.message());
            lines.push(line.chars().take(NOTICE).collect());
        }
    }
}

/// Runs the connection until its client is gone, collecting notices.
pub(super) fn drive<S, T>(mut connection: Connection<S, T>, notices: Notices) -> JoinHandle<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        while let Some(message) = std::future::poll_fn(|context| connection.poll_message(context)).await {
            match message {
                Ok(AsyncMessage::Notice(notice)) => notices.add(&notice),
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!("connection lost: {error}");
                    break;
                }
            }
        }
    })
}

/// Cancels what a session runs. Independent of the session's borrow.
#[derive(Clone)]
pub struct Canceller {
    pub(super) token: CancelToken,
    pub(super) tls: Option<MakeRustlsConnect>,
    pub(super) target: Target,
    pub(super) host: String,
}

impl Canceller {
    /// Asks the server to break off the session's current statement.
    ///
    /// # Errors
    /// When the server cannot be reached for it.
    pub async fn cancel(&self) -> Result<(), ConnectError> {
        let sent = match &self.tls {
            Some(tls) => self.token.cancel_query(tls.clone()).await,
            None => self.token.cancel_query(NoTls).await,
        };
        sent.map_err(|error| super::connect::explain(&error, &self.target, &self.host, true))
    }
}
