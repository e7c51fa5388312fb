//! A line on which nothing comes any more, and that nobody has closed: a host that is gone, a firewall that has forgotten the
//! connection, a network that is cut.
//!
//! The system's keepalives find a host that is gone (manual: 34.1.2, `keepalives`). A proxy in between answers them in the place of the
//! server, so that each session asks the server itself now and then. When no answer comes while the server, asked on another
//! line, has nothing to do for us, or cannot be reached either, then the line is lost: what waits for it fails, and does not wait for
//! ever (docs/decisions/0021).

use super::error::TargetError;
use super::keyword::Values;
use super::session::Session;
use super::target::{Endpoint, Target};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, Config};

/// What a server answers with one byte, whoever asks (manual: 53.7 "Message Formats", SSLRequest).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// How long asking on another line may take at most.
const ASKING: Duration = Duration::from_secs(10);

/// Whether nobody of ours but who asks works. Behind a pooler the session that works for us is another one than the last time, so that
/// it is not asked for by its process id. What waits for its client to read or write has nothing else to do.
const NOBODY_WORKS: &str = "SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a \
     WHERE a.usesysid = me.usesysid AND a.datid = me.datid AND a.application_name = me.application_name AND a.pid <> me.pid \
     AND (a.state IS NULL OR a.state NOT LIKE 'idle%') AND a.wait_event_type IS DISTINCT FROM 'Client') \
     FROM pg_catalog.pg_stat_activity me WHERE me.pid = pg_catalog.pg_backend_pid()";

/// How long a line may be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patience {
    /// After this time the server is asked (`keepalives_idle`).
    idle: Duration,
    /// How long an answer may take before it is asked on another line, again and again (`keepalives_interval`).
    interval: Duration,
    /// How often in a row nobody may be at work for us, or nothing be heard at all (`keepalives_count`).
    count: u32,
    /// How long what was sent may be unconfirmed by the other host (`tcp_user_timeout`).
    unconfirmed: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        let (idle, interval, count) = (Duration::from_secs(10), Duration::from_secs(5), 3);
        Patience { idle, interval, count, unconfirmed: idle + interval * count }
    }
}

impl Patience {
    /// As a connection string has it; nothing when it wants none (`keepalives=0`). What is 0 is as it is by itself, as for libpq.
    pub(super) fn from_values(values: &Values) -> Result<Option<Patience>, TargetError> {
        let number = |key: &'static str| -> Result<Option<u32>, TargetError> {
            let parsed = |text: &String| text.trim().parse::<u32>().map_err(|_| TargetError::bad(key, "is not a number"));
            values.get(key).map(parsed).transpose()
        };
        let positive = |key| number(key).map(|n| n.filter(|n| *n > 0));
        let seconds = |key| positive(key).map(|n| n.map(|n| Duration::from_secs(n.into())));
        if number("keepalives")? == Some(0) {
            return Ok(None);
        }
        let usual = Patience::default();
        let (idle, interval) = (seconds("keepalives_idle")?, seconds("keepalives_interval")?);
        let (idle, interval) = (idle.unwrap_or(usual.idle), interval.unwrap_or(usual.interval));
        let count = positive("keepalives_count")?.unwrap_or(usual.count);
        let unconfirmed = positive("tcp_user_timeout")?.map(|ms| Duration::from_millis(ms.into()));
        Ok(Some(Patience { idle, interval, count, unconfirmed: unconfirmed.unwrap_or(idle + interval * count) }))
    }

    /// What the system does for it.
    pub(super) fn configure(patience: Option<Patience>, config: &mut Config) {
        let Some(patience) = patience else {
            config.keepalives(false);
            return;
        };
        config.keepalives_idle(patience.idle).keepalives_interval(patience.interval);
        config.keepalives_retries(patience.count).tcp_user_timeout(patience.unconfirmed);
    }

    /// From when on a line that is silent is lost.
    fn all(&self) -> Duration {
        self.idle + self.interval * self.count
    }

    /// How long, in milliseconds, a session may be idle: a watched one never is for so long.
    fn limits(&self) -> [(&'static str, u128); 2] {
        let [(transaction, _), (session, _)] = NO_LIMITS;
        [(transaction, self.gone().as_millis()), (session, self.gone().as_millis() * 2)]
    }

    /// How long what a session was doing may wait for its client before that is taken for gone.
    fn gone(&self) -> Duration {
        self.all() * 2
    }
}

/// For sessions that nobody watches.
const NO_LIMITS: [(&str, u128); 2] = [("idle_in_transaction_session_timeout", 0), ("idle_session_timeout", 0)];

/// The target whose sessions are limited from their first moment on, if they will be watched.
pub(super) fn limited(target: &Target, endpoint: &Endpoint) -> Target {
    let Some(patience) = target.patience.filter(|_| !endpoint.is_socket()) else { return target.clone() };
    patience.limits().iter().fold(target.clone(), |target, (name, ms)| target.with_setting(name, &ms.to_string()))
}

/// Watches a line as long as its client is used.
pub(super) struct Watcher(AbortHandle);

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Watcher {
    /// Watches the line to `endpoint`; when that is lost, `driver` is ended, and with it everything that waits for an answer.
    pub(super) fn new(client: &Arc<Client>, driver: AbortHandle, target: &Target, endpoint: &Endpoint) -> Option<Watcher> {
        // A server on this machine closes its sockets when it goes.
        let patience = target.patience.filter(|_| !endpoint.is_socket())?;
        let watching = watch(Arc::downgrade(client), driver, target.only(endpoint), endpoint.clone(), patience);
        Some(Watcher(tokio::spawn(watching).abort_handle()))
    }
}

async fn watch(client: Weak<Client>, driver: AbortHandle, other: Target, endpoint: Endpoint, patience: Patience) {
    loop {
        sleep(patience.idle).await;
        let Some(client) = client.upgrade().filter(|client| !client.is_closed()) else { return };
        if !answers(&client, &other, &endpoint, patience).await {
            tracing::warn!("the line to {endpoint} is silent for {} s and given up", patience.all().as_secs());
            driver.abort();
            return;
        }
    }
}

/// Whether the server answers, be it after whatever it works at; false when it is silent and does nothing for us.
async fn answers(client: &Client, other: &Target, endpoint: &Endpoint, patience: Patience) -> bool {
    // Sent after what is under way, and answered after that. It changes nothing, in a transaction or outside of one.
    let mut answer = pin!(client.batch_execute(""));
    let mut silent = 0;
    while silent < patience.count {
        let asking = async {
            sleep(patience.interval).await;
            is_silent(other, endpoint, patience).await
        };
        tokio::select! {
            _ = &mut answer => return true,
            nothing = asking => silent = if nothing { silent + 1 } else { 0 },
        }
    }
    false
}

/// Asks on another line: whether nothing is heard there either, or nobody works for us. A server that refuses is there; what it
/// does is not known then.
async fn is_silent(other: &Target, endpoint: &Endpoint, patience: Patience) -> bool {
    if !timeout(patience.interval, is_there(endpoint)).await.is_ok_and(|there| there.is_ok()) {
        return true;
    }
    let asked = async {
        let session = super::connect(other).await.ok()?;
        let row = session.client.query_one(NOBODY_WORKS, &[]).await.ok()?;
        session.close().await;
        row.try_get::<_, bool>(0).ok()
    };
    timeout(ASKING, asked).await.ok().flatten().unwrap_or(false)
}

/// Whether something answers at all.
async fn is_there(endpoint: &Endpoint) -> std::io::Result<()> {
    let mut line = match endpoint.address {
        Some(address) => TcpStream::connect((address, endpoint.port)).await?,
        None => TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?,
    };
    line.write_all(&SSL_REQUEST).await?;
    line.read_u8().await.map(drop)
}

impl Session {
    /// Statements that set how long the session may be idle before the server ends it, and all that it holds: not long after nothing is
    /// heard of us any more. As long as we are there it is asked more often than that (manual: 20.11.1 "Statement Behavior"). Without
    /// end where nobody asks.
    pub(super) fn idle_limits(&self) -> String {
        self.patience().map_or(NO_LIMITS, |patience| patience.limits()).map(|(name, ms)| format!("SET {name} = {ms}; ")).concat()
    }

    /// How long nothing may be heard of this session before whoever uses it is gone; none where nobody asks.
    pub fn heard_within(&self) -> Option<Duration> {
        self.patience().map(|patience| patience.gone())
    }

    /// How long what another session was doing may wait for its client where it does not say itself.
    pub fn believes_for(&self) -> Duration {
        self.target.patience.unwrap_or_default().gone()
    }

    fn patience(&self) -> Option<Patience> {
        self.target.patience.filter(|_| self.watcher.is_some())
    }

    /// Has the server end what it does for us when we are gone, whether it is told so or only hears nothing any more: what it does
    /// is of no use to anybody, and it holds locks (manual: 20.3.2 "TCP Settings").
    pub async fn ends_with_us(&self) {
        // Systems that cannot do that refuse it.
        self.client.batch_execute("SET client_connection_check_interval = '2s'").await.ok();
        let Some(Patience { idle, interval, count, unconfirmed }) = self.patience() else { return };
        let settings = [
            ("tcp_keepalives_idle", idle.as_secs().into()),
            ("tcp_keepalives_interval", interval.as_secs().into()),
            ("tcp_keepalives_count", u128::from(count)),
            ("tcp_user_timeout", unconfirmed.as_millis()),
        ];
        let all: String = settings.iter().map(|(name, value)| format!("SET {name} = {value}; ")).collect();
        self.client.batch_execute(&format!("{all}{}", self.idle_limits())).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience(pairs: &[(&'static str, &str)]) -> Result<Option<Patience>, TargetError> {
        Patience::from_values(&pairs.iter().map(|(key, value)| (*key, (*value).to_owned())).collect())
    }

    #[test]
    fn patience_is_what_libpq_calls_keepalives() {
        let usual = Patience::default();
        assert_eq!(patience(&[]).unwrap(), Some(usual));
        assert_eq!(usual.all(), Duration::from_secs(25));
        assert_eq!(patience(&[("keepalives", "0"), ("keepalives_idle", "3")]).unwrap(), None);
        let stated =
            patience(&[("keepalives_idle", "1"), ("keepalives_interval", "0"), ("keepalives_count", "2")]).unwrap().unwrap();
        assert_eq!((stated.idle, stated.interval, stated.count), (Duration::from_secs(1), usual.interval, 2));
        assert_eq!(stated.unconfirmed, Duration::from_secs(11), "as long as all of it");
        let stated = patience(&[("tcp_user_timeout", "1500")]).unwrap().unwrap();
        assert_eq!(stated.unconfirmed, Duration::from_millis(1500));
        assert!(patience(&[("keepalives_idle", "soon")]).is_err());
    }
}
