//! Directories of private servers whose plumb and watchdog were both killed.

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::fs::File;
use std::path::Path;

/// What the names of all directories of private servers begin with; the process id follows.
pub(super) const PREFIX: &str = "plumb-shadow-";

/// The file in such a directory that its plumb holds locked.
pub(super) const LOCK: &str = "plumb.lock";

/// Removes stale directories under `temporary`, and stops servers that still run in them.
pub(super) fn sweep(temporary: &Path) {
    let Ok(entries) = std::fs::read_dir(temporary) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_name().to_str().and_then(owner).is_some_and(|pid| is_stale(pid, &path)) {
            tracing::debug!("removing {}, left by a plumb that was killed", path.display());
            stop_server(&path);
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

/// The process id in the name of such a directory.
fn owner(name: &str) -> Option<Pid> {
    let pid = name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()?;
    Pid::from_raw(pid)
}

/// Nobody has this process id, and nobody holds the lock. Both, because containers that share a temporary folder do not see
/// each other's processes, and because the lock is taken a moment after the directory is made.
fn is_stale(pid: Pid, directory: &Path) -> bool {
    let gone = test_kill_process(pid) == Err(rustix::io::Errno::SRCH);
    gone && File::open(directory.join(LOCK)).map_or(true, |file| file.try_lock().is_ok())
}

/// Stops the server that runs in `directory`, if the process that `postmaster.pid` names is really in there.
fn stop_server(directory: &Path) {
    let Ok(text) = std::fs::read_to_string(directory.join("postmaster.pid")) else { return };
    let Some(pid) = text.lines().next().and_then(|line| line.trim().parse().ok()).and_then(Pid::from_raw) else { return };
    let there = std::fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).is_ok_and(|cwd| cwd == directory);
    if there {
        let _ = kill_process(pid, Signal::QUIT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_their_owner() {
        assert_eq!(owner("plumb-shadow-42-abc"), Pid::from_raw(42));
        assert_eq!(owner("plumb-shadow-x-abc"), None);
        assert_eq!(owner("plumb-cache-0"), None);
    }

    #[test]
    fn only_the_stale_ones_go() {
        let temporary = std::env::temp_dir().join(format!("plumb-sweep-{}", std::process::id()));
        let stale = temporary.join(format!("{PREFIX}2147483646-a"));
        let locked = temporary.join(format!("{PREFIX}2147483646-b"));
        let ours = temporary.join(format!("{PREFIX}{}-c", std::process::id()));
        for directory in [&stale, &locked, &ours] {
            std::fs::create_dir_all(directory).unwrap();
        }
        let lock = File::create(locked.join(LOCK)).unwrap();
        lock.lock().unwrap();
        sweep(&temporary);
        assert!(!stale.exists() && locked.exists() && ours.exists());
        std::fs::remove_dir_all(&temporary).unwrap();
    }
}
