//! Where the directory of a private server goes.

use super::{privileges, sweep};
use std::path::{Path, PathBuf};

/// Linux's file system in memory. A server makes three files for a table, and on a disk every one of them costs: starting up
/// and loading a schema are several times faster here.
const MEMORY: &str = "/dev/shm";

/// What must be free in it, for the schema that is loaded; and what must be left of the machine's memory besides.
const MEMORY_NEEDED: u64 = 1 << 30;

/// The folders to choose from, best first: TMPDIR when it is set, memory when there is plenty, the usual temporary folder.
/// All of them are swept.
pub(super) fn folders() -> Vec<PathBuf> {
    let chosen = std::env::var_os("TMPDIR").filter(|value| !value.is_empty()).map(PathBuf::from);
    let memory = Some(PathBuf::from(MEMORY)).filter(|path| path.is_dir());
    let mut folders: Vec<PathBuf> = [chosen, memory, Some(PathBuf::from("/tmp"))].into_iter().flatten().collect();
    folders.dedup();
    folders
}

/// The first folder that will do. A short path, for the socket in it; open to the server's user; with room.
pub(super) fn choose() -> PathBuf {
    let folders = folders().into_iter().map(|path| path.canonicalize().unwrap_or(path));
    let fits = |path: &PathBuf| is_short(path) && privileges::is_reachable(path) && (path != Path::new(MEMORY) || has_memory());
    folders.into_iter().find(fits).unwrap_or_else(|| PathBuf::from("/tmp"))
}

/// True when the path of a socket below `path` stays under what the system can take (107 bytes, 103 on macOS).
fn is_short(path: &Path) -> bool {
    let below = sweep::PREFIX.len() + "/4194304-12345678/.s.PGSQL.5432".len();
    path.is_absolute() && path.as_os_str().len() + below < 100
}

/// True when memory has room for a schema and the machine is not short of it.
fn has_memory() -> bool {
    let free = rustix::fs::statvfs(MEMORY).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize));
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text)).unwrap_or_default();
    free >= MEMORY_NEEDED && machine >= 2 * MEMORY_NEEDED
}

/// The bytes in the line `MemAvailable` of `/proc/meminfo`.
fn available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_is_read() {
        assert_eq!(available("MemTotal:  9 kB\nMemAvailable:   24163172 kB\n"), Some(24_163_172 * 1024));
        assert_eq!(available("MemTotal:  9 kB\n"), None);
    }

    #[test]
    fn long_paths_do_not_hold_sockets() {
        assert!(is_short(Path::new("/tmp")));
        assert!(!is_short(Path::new(&format!("/{}", "x".repeat(60)))));
        assert!(!is_short(Path::new("tmp")));
    }
}
