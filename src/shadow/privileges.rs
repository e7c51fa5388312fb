//! Who the private server runs as. PostgreSQL refuses to run as root, so root hands it to an ordinary user.

use std::os::unix::fs::{MetadataExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

/// An unprivileged user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    /// User id.
    pub(super) uid: u32,
    /// Group id.
    pub(super) gid: u32,
}

/// The users to run as, best first. Not `postgres` before `nobody`: on a database host that user may read the live data.
const CANDIDATES: &[&str] = &["nobody", "postgres", "daemon", "bin"];

/// Whom the server runs as when plumb is root; None when plumb is an ordinary user and the server runs as the same one.
pub(super) fn unprivileged() -> Option<Identity> {
    static IDENTITY: LazyLock<Option<Identity>> = LazyLock::new(|| {
        let root = rustix::process::geteuid().is_root();
        root.then(|| choose(&std::fs::read_to_string("/etc/passwd").unwrap_or_default()))
    });
    *IDENTITY
}

/// The best candidate that `/etc/passwd` knows. initdb wants the user to have a name there.
fn choose(passwd: &str) -> Identity {
    let find = |name: &&str| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2).map(str::parse);
        let (uid, gid) = (fields.next()?.ok()?, fields.next()?.ok()?);
        (uid != 0).then_some(Identity { uid, gid })
    };
    CANDIDATES.iter().find_map(find).unwrap_or(Identity { uid: 65_534, gid: 65_534 })
}

/// A command that runs `program` unprivileged, in English, and without the caller's `PG*` variables.
pub(super) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").env("LC_ALL", "C").env("TZ", "UTC");
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    if let Some(Identity { uid, gid }) = unprivileged() {
        command.gid(gid).uid(uid);
    }
    command
}

/// Gives `path` itself to the server's user when plumb is root.
///
/// # Errors
/// What the system says.
pub(super) fn hand_over(path: &Path) -> std::io::Result<()> {
    match unprivileged() {
        Some(Identity { uid, gid }) => lchown(path, Some(uid), Some(gid)),
        None => Ok(()),
    }
}

/// Takes back `path` and everything in it when plumb is root, so that only root can change it.
///
/// # Errors
/// What the system says.
pub(super) fn take_back(path: &Path) -> std::io::Result<()> {
    if unprivileged().is_none() {
        return Ok(());
    }
    lchown(path, Some(0), Some(0))?;
    if path.symlink_metadata()?.is_dir() {
        for entry in std::fs::read_dir(path)? {
            take_back(&entry?.path())?;
        }
    }
    Ok(())
}

/// True when the server's user can get to `directory`: always for an ordinary user; for root only when everybody may pass
/// through it and all above it (`/root` is closed to others).
pub(super) fn is_reachable(directory: &Path) -> bool {
    let open = |path: &Path| path.metadata().is_ok_and(|metadata| metadata.mode() & 0o001 != 0);
    unprivileged().is_none() || directory.ancestors().filter(|path| path.exists()).all(open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_before_postgres_before_a_bare_number() {
        let root = "root:x:0:0::/root:/bin/sh\n";
        assert_eq!(choose(root), Identity { uid: 65_534, gid: 65_534 });
        let postgres = format!("{root}postgres:x:101:104::/var/lib/postgresql:/bin/bash\n");
        assert_eq!(choose(&postgres), Identity { uid: 101, gid: 104 });
        let nobody = format!("{postgres}nobody:x:99:98::/:/sbin/nologin\n");
        assert_eq!(choose(&nobody), Identity { uid: 99, gid: 98 });
    }
}
