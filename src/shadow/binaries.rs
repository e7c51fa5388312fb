//! Finding the server programs that are on this machine.

use super::{cache, privileges};
use crate::pg::Version;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A folder that holds `postgres` and `initdb` of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder, with symbolic links resolved.
    pub directory: PathBuf,
    /// Major version.
    pub major: u32,
    /// What `postgres --version` says, such as `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
    pub version: String,
}

impl Binaries {
    /// The program `name`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The programs in `directory`; None when one is missing or cannot be run by the server's user.
    pub fn at(directory: &Path) -> Option<Binaries> {
        let directory = home_of(directory)?;
        let output = privileges::command(&directory.join("postgres")).arg("--version").output().ok()?;
        let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        Some(Binaries { major: major(&version)?, directory, version })
    }
}

/// Where the `postgres` of `directory` really is, provided that `initdb` is there too. Distributions put links or wrappers
/// into the PATH, and a server finds its libraries from its real place.
fn home_of(directory: &Path) -> Option<PathBuf> {
    let real = directory.join("postgres").canonicalize().ok()?;
    let home = real.parent()?;
    (real.is_file() && home.join("initdb").is_file()).then(|| home.to_owned())
}

/// The major version in the words of `postgres --version`.
fn major(version: &str) -> Option<u32> {
    let number = version.strip_prefix("postgres (PostgreSQL) ")?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The server programs of major version `major` that are on this machine: from `PLUMB_PG_BIN`, the PATH, the folders that
/// distributions and Homebrew use, or plumb's cache, in that order.
pub fn find(major: u32) -> Option<Binaries> {
    folders().iter().filter_map(|folder| Binaries::at(folder)).find(|binaries| binaries.major == major)
}

/// The newest server programs on this machine of a version that plumb knows.
pub fn newest() -> Option<Binaries> {
    let all = folders().into_iter().filter_map(|folder| Binaries::at(&folder));
    let known = all.filter(|binaries| (Version::OLDEST..=Version::NEWEST).contains(&binaries.major));
    known.reduce(|best, next| if next.major > best.major { next } else { best })
}

/// The folders to look into, best first, each once.
fn folders() -> Vec<PathBuf> {
    let listed =
        |name: &str| std::env::var_os(name).map(|list| std::env::split_paths(&list).collect::<Vec<_>>()).unwrap_or_default();
    let downloaded = cache::directory().map(|cache| children(&cache.join("server"), "")).unwrap_or_default();
    let versioned = [
        children(Path::new("/usr/lib/postgresql"), ""),
        children(Path::new("/usr"), "pgsql-"),
        children(Path::new("/opt/homebrew/opt"), "postgresql@"),
        children(Path::new("/usr/local/opt"), "postgresql@"),
        children(Path::new("/home/linuxbrew/.linuxbrew/opt"), "postgresql@"),
        children(Path::new("/Applications/Postgres.app/Contents/Versions"), ""),
        downloaded,
    ];
    let versioned = versioned.into_iter().flatten().map(|folder| folder.join("bin"));
    let all = listed("PLUMB_PG_BIN").into_iter().chain(listed("PATH")).chain(versioned);
    let mut seen = BTreeSet::new();
    all.filter(|folder| home_of(folder).is_some_and(|home| seen.insert(home))).collect()
}

/// What is in `folder` under names that begin with `prefix`, the last name first, so that newer releases come first.
fn children(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let fits = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(fits).collect();
    found.sort_by(|a, b| b.cmp(a));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_line_is_read() {
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("postgres (PostgreSQL) 19devel"), Some(19));
        assert_eq!(major("Postgres-XL 10"), None);
    }

    #[test]
    fn a_folder_without_initdb_is_not_taken() {
        assert!(Binaries::at(Path::new("/usr/bin")).is_none());
    }
}
