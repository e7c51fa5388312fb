//! Everything of this process that must be gone when it ends, in one place, so that a signal handler can see to it.

use super::janitor::Janitor;
use super::server::{self, Leftovers};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::process::{Child, ChildStdin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a private server may take to stop by itself.
const PATIENCE: Duration = Duration::from_secs(2);

static LIVE: Mutex<BTreeMap<u64, Live>> = Mutex::new(BTreeMap::new());
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Something that must be undone.
pub(super) enum Live {
    /// A private server under its watchdog.
    Cluster(Running),
    /// Databases and roles on a server that is not ours.
    Server(Box<Leftovers>),
}

/// A watchdog, the pipe that keeps it waiting, and who removes the directory after it.
pub(super) struct Running {
    pub(super) watchdog: Child,
    pub(super) pipe: Option<ChildStdin>,
    pub(super) janitor: Janitor,
}

/// The table, usable even after a panic elsewhere.
fn live() -> MutexGuard<'static, BTreeMap<u64, Live>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes note of `live` and gives it a number.
pub(super) fn add(entry: Live) -> u64 {
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    live().insert(id, entry);
    id
}

/// Lets `change` work on entry `id`, if it is still there.
pub(super) fn with<T>(id: u64, change: impl FnOnce(&mut Live) -> T) -> Option<T> {
    live().get_mut(&id).map(change)
}

/// Takes entry `id` out without undoing it.
pub(super) fn take(id: u64) -> Option<Live> {
    live().remove(&id)
}

/// Undoes entry `id`; nothing happens when it is undone already.
pub(super) fn undo(id: u64) {
    if let Some(entry) = take(id) {
        entry.undo();
    }
}

/// Stops every private server of this process, and drops every scratch database and role it made elsewhere. For the handlers
/// of Ctrl-C and SIGTERM; blocks for a few milliseconds a server. (After SIGKILL the watchdogs see to the private servers.)
pub fn cleanup_all() {
    let all = std::mem::take(&mut *live());
    for entry in all.into_values() {
        entry.undo();
    }
}

impl Live {
    /// True for a private server that has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        match self {
            Live::Cluster(running) => running.has_ended(),
            Live::Server(_) => false,
        }
    }

    fn undo(self) {
        match self {
            Live::Cluster(running) => running.stop(),
            Live::Server(leftovers) => server::drop_blocking(*leftovers),
        }
    }
}

impl Running {
    fn has_ended(&mut self) -> bool {
        !matches!(self.watchdog.try_wait(), Ok(None))
    }

    /// Lets the watchdog do its work, and does it for it when that takes too long. What is left of the directory goes with the
    /// janitor.
    fn stop(mut self) {
        drop(self.pipe.take());
        let deadline = Instant::now() + PATIENCE;
        while !self.has_ended() {
            if Instant::now() > deadline {
                tracing::warn!("the private server in {} does not stop; killing it", self.janitor.directory().display());
                if let Some(group) = i32::try_from(self.watchdog.id()).ok().and_then(Pid::from_raw) {
                    let _ = kill_process_group(group, Signal::KILL);
                }
                let _ = self.watchdog.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
