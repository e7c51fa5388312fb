//! Clusters that hold the copy of a live schema, kept for the next plan of the same one: building it takes as long as loading the
//! files does. They hold a schema and no rows. Nobody trusts them: what is taken from here is read and compared as if it had just
//! been built.

use super::binaries::Binaries;
use super::error::ShadowError;
use super::template::{FACTS, facts, is_outdated};
use super::{cache, prune};
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A copy that no plan has asked for so long is of a schema that is another one by now.
const UNUSED: Duration = Duration::from_secs(7 * 24 * 3600);

/// What all copies together may take; those that were used last stay.
const ROOM: u64 = 1 << 30;

/// The file in a copy that says how many bytes it takes.
const SIZE: &str = "plumb.size";

/// What a running server leaves in its directory for itself.
const OF_THE_RUN: &[&str] = &["postmaster.pid", "postmaster.opts", "plumb.lock", "server.log", "pg_stat_tmp", "pg_dynshmem"];

/// Where the copy of one schema is kept, whether or not it is there.
#[derive(Debug, Clone)]
pub(super) struct Keep {
    folder: PathBuf,
    name: String,
    facts: String,
}

/// A copy that nobody removes as long as this value lives.
pub(super) struct Kept {
    /// Its folder.
    pub(super) path: PathBuf,
    _using: File,
}

impl Keep {
    /// The place for what is the same as long as `key` is, for these programs.
    ///
    /// # Errors
    /// A cache that cannot be written.
    pub(super) fn new(binaries: &Binaries, key: &str) -> Result<Keep, ShadowError> {
        let folder = cache::directory()?.join("copy");
        cache::make(&folder)?;
        let facts = facts(&binaries.program("postgres"), &binaries.version)?;
        let digest = Sha256::digest(format!("{facts}\n{key}").as_bytes());
        let hex: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        Ok(Keep { folder, name: format!("{}-{hex}", binaries.major), facts })
    }

    fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// What is kept here, if anything is.
    pub(super) fn find(&self) -> Option<Kept> {
        prune(&self.folder, ROOM);
        let using = cache::lock_shared(&self.folder.join(prune::COPYING)).ok()?;
        let path = self.path();
        if !path.is_dir() {
            return None;
        }
        prune::touch(&path);
        Some(Kept { path, _using: using })
    }

    /// Keeps the directory of a server that has written down everything and is at rest.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn store(&self, directory: &Path) -> std::io::Result<()> {
        let Some(_making) = cache::try_lock(&self.folder.join(prune::MAKING)) else { return Ok(()) };
        if self.path().exists() {
            return Ok(());
        }
        let working = prune::unfinished(&self.folder, self.name.as_ref());
        let result = DirBuilder::new()
            .mode(0o700)
            .create(&working)
            .and_then(|()| save(directory, &working))
            .and_then(|bytes| std::fs::write(working.join(SIZE), bytes.to_string()))
            .and_then(|()| std::fs::write(working.join(FACTS), &self.facts))
            .and_then(|()| std::fs::rename(&working, self.path()));
        if result.is_err() {
            let _ = std::fs::remove_dir_all(&working);
        }
        result
    }

    /// Throws away what is kept here: it is not what it should be.
    pub(super) fn forget(&self) {
        // Another plumb that takes it just now finds out by itself, and the next one throws it away.
        if let Some(_using) = cache::try_lock(&self.folder.join(prune::COPYING)) {
            prune::remove(&self.folder, &self.path());
        }
    }
}

/// Copies what is in `from` into `to`, but for what belongs to the run, and the maps that a server makes again; tells the bytes.
fn save(from: &Path, to: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let (text, target) = (name.to_string_lossy(), to.join(&name));
        let of_the_run = OF_THE_RUN.contains(&&*text) || text.starts_with(".s.");
        if entry.file_type()?.is_dir() {
            DirBuilder::new().mode(0o700).create(&target)?;
            bytes += if of_the_run { 0 } else { save(&entry.path(), &target)? };
        } else if !of_the_run && !text.ends_with("_fsm") && !text.ends_with("_vm") {
            bytes += std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(bytes)
}

/// Removes the copies that nobody has used for long, those of other programs, and the oldest ones when all take too much room.
/// Nothing is done while another plumb makes or takes one; the next one will see to it.
fn prune(folder: &Path, room: u64) {
    let Some(_making) = cache::try_lock(&folder.join(prune::MAKING)) else { return };
    let Some(_using) = cache::try_lock(&folder.join(prune::COPYING)) else { return };
    prune::remove_abandoned(folder);
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let copies = entries.flatten().filter(|e| !e.file_name().as_encoded_bytes().starts_with(b".")).map(|e| e.path());
    let mut copies: Vec<(Duration, PathBuf)> = copies.filter_map(|path| Some((prune::age(&path)?, path))).collect();
    copies.sort();
    let mut taken = 0;
    for (age, path) in copies {
        let size = std::fs::read_to_string(path.join(SIZE)).ok().and_then(|bytes| bytes.parse().ok());
        taken += size.unwrap_or(room);
        if age > UNUSED || taken > room || age > prune::OUTDATED && is_outdated(&path) {
            prune::remove(folder, &path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn folder(name: &str, copies: &[(&str, u64, &str)]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("plumb-kept-{name}-{}", std::process::id()));
        for (copy, days, bytes) in copies {
            let path = folder.join(copy);
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join(SIZE), bytes).unwrap();
            let then = std::time::SystemTime::now() - Duration::from_secs(days * 24 * 3600 + 60);
            File::open(path).unwrap().set_modified(then).unwrap();
        }
        folder
    }

    fn left(folder: &Path) -> BTreeSet<String> {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name != prune::MAKING && name != prune::COPYING).collect()
    }

    /// Prunes until so much is left: other tests start programs, and one that is about to begin still has this process's locks.
    fn pruned(folder: &Path, room: u64, wanted: &[&str]) {
        let wanted: BTreeSet<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        for _ in 0..100 {
            prune(folder, room);
            if left(folder) == wanted {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(left(folder), wanted);
    }

    #[test]
    fn the_oldest_go_when_there_is_no_room_and_none_when_one_is_taken() {
        // These have no facts, so that only those of today count as not outdated.
        let folder = folder("room", &[("15-new", 0, "40"), ("15-other", 0, "40"), ("15-old", 8, "1"), ("15-outdated", 2, "1")]);
        let using = cache::lock_shared(&folder.join(prune::COPYING)).unwrap();
        prune(&folder, 100);
        assert_eq!(left(&folder).len(), 4);
        drop(using);
        pruned(&folder, 100, &["15-new", "15-other"]);
        prune::touch(&folder.join("15-new"));
        pruned(&folder, 50, &["15-new"]);
        std::fs::write(folder.join("15-new").join(SIZE), "much").unwrap();
        prune(&folder, 50);
        assert_eq!(left(&folder), ["15-new".to_owned()].into(), "what fits alone stays");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_kept_is_found_under_its_own_key_only() {
        let folder = folder("key", &[]);
        let from = folder.join(".from");
        std::fs::create_dir_all(from.join("base/1")).unwrap();
        for file in ["base/1/2", "base/1/2_vm", "postmaster.pid", ".s.PGSQL.5432.lock", "PG_VERSION"] {
            std::fs::write(from.join(file), "x").unwrap();
        }
        let keep = |name: &str| Keep { folder: folder.clone(), name: name.to_owned(), facts: String::new() };
        assert!(keep("15-a").find().is_none());
        keep("15-a").store(&from).unwrap();
        let kept = keep("15-a").find().unwrap();
        assert!(kept.path.join("base/1/2").is_file() && kept.path.join("PG_VERSION").is_file());
        for of_the_run in ["base/1/2_vm", "postmaster.pid", ".s.PGSQL.5432.lock"] {
            assert!(!kept.path.join(of_the_run).exists(), "{of_the_run}");
        }
        assert!(keep("15-b").find().is_none());
        keep("15-a").forget();
        assert!(kept.path.exists(), "somebody takes it just now");
        drop(kept);
        keep("15-a").forget();
        assert!(keep("15-a").find().is_none());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
