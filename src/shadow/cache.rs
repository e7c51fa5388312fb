//! plumb's cache folder: server programs that were downloaded, and clusters that were initdb'ed once.

use super::error::ShadowError;
use super::privileges;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The cache folder: `$PLUMB_CACHE`, `$XDG_CACHE_HOME/plumb`, `~/.cache/plumb`, `/var/cache/plumb`, or one under the temporary
/// folder; the first that can be made, is ours, and can be reached by the server's user.
///
/// # Errors
/// When none can.
pub(super) fn directory() -> Result<PathBuf, ShadowError> {
    let candidates = candidates();
    match candidates.iter().find(|path| is_usable(path)) {
        Some(path) => Ok(path.clone()),
        None => {
            let tried: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
            Err(ShadowError::File { path: "cache folder".into(), reason: format!("none of {} can be used", tried.join(", ")) })
        }
    }
}

fn candidates() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = rustix::process::geteuid().as_raw();
    let paths = [
        variable("PLUMB_CACHE"),
        variable("XDG_CACHE_HOME").map(|path| path.join("plumb")),
        std::env::home_dir().map(|home| home.join(".cache/plumb")),
        Some(PathBuf::from("/var/cache/plumb")),
        Some(std::env::temp_dir().join(format!("plumb-cache-{user}"))),
    ];
    paths.into_iter().flatten().filter(|path| path.is_absolute()).collect()
}

/// True when `path` is, or can be made, a folder of ours that others cannot write to and the server's user can reach.
fn is_usable(path: &Path) -> bool {
    if !path.parent().is_some_and(|parent| nearest_existing(parent).is_some_and(privileges::is_reachable)) {
        return false;
    }
    let made = DirBuilder::new().recursive(true).mode(0o755).create(path).is_ok();
    let ours = |metadata: std::fs::Metadata| {
        metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o022 == 0
    };
    made && path.symlink_metadata().is_ok_and(ours) && privileges::is_reachable(path)
}

fn nearest_existing(path: &Path) -> Option<&Path> {
    path.ancestors().find(|path| path.exists())
}

/// Makes `path` and what is above it, open for reading.
///
/// # Errors
/// What the system says.
pub(super) fn make(path: &Path) -> Result<(), ShadowError> {
    DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(|error| ShadowError::file(path, &error))
}

/// Waits for and takes the lock file `path`; it is let go when the file is dropped, or when plumb dies.
///
/// # Errors
/// What the system says.
pub(super) fn lock(path: &Path) -> Result<File, ShadowError> {
    open(path).and_then(|file| file.lock().map(|()| file)).map_err(|error| ShadowError::file(path, &error))
}

/// As [`lock`], together with others that take it so.
///
/// # Errors
/// What the system says.
pub(super) fn lock_shared(path: &Path) -> Result<File, ShadowError> {
    open(path).and_then(|file| file.lock_shared().map(|()| file)).map_err(|error| ShadowError::file(path, &error))
}

/// As [`lock`], if nobody has it.
pub(super) fn try_lock(path: &Path) -> Option<File> {
    open(path).ok().filter(|file| file.try_lock().is_ok())
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(path)
}

/// As [`lock`], without holding up the other tasks of this thread, one of which may have the lock.
///
/// # Errors
/// What the system says.
pub(super) async fn lock_patiently(path: &Path) -> Result<File, ShadowError> {
    let file = open(path).map_err(|error| ShadowError::file(path, &error))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            Err(TryLockError::Error(error)) => return Err(ShadowError::file(path, &error)),
        }
    }
}

/// A word that no other run uses: for names of folders and databases.
pub(super) fn random_word() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    format!("{:016x}", RandomState::new().build_hasher().finish())
}
