//! Wanted schemas as they were read after their files had been loaded, kept for the next command that wants the same: loading takes as
//! long as the server needs for all that DDL. What is kept is a text without rows or passwords, found by everything that made it.

use super::binaries::{self, Binaries};
use super::template::facts;
use super::{Properties, ShadowError, cache, prune};
use flate2::Crc;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A text that nobody has asked for so long is of a schema that is another one by now.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 3600);

/// What all texts together may take; those that were used last stay.
const ROOM: u64 = 256 << 20;

/// The place of one text, whether or not it is there.
#[derive(Debug, Clone)]
pub struct Compiled {
    folder: PathBuf,
    name: String,
}

impl Compiled {
    /// The place for what is the same as long as `key` is, in scratch databases like `properties` on a private server: its programs
    /// and the extensions that they have are part of the key. None where the programs are not on this machine, or nothing can be kept.
    pub fn new(properties: &Properties, key: &[u8]) -> Option<Compiled> {
        let binaries = binaries::find(properties.major)?;
        let at = || -> Result<Compiled, ShadowError> {
            let folder = cache::directory()?.join("compiled");
            cache::make(&folder)?;
            let mut digest = Sha256::new();
            digest.update(facts(&binaries.program("postgres"), &binaries.version)?);
            digest.update(extensions(&binaries).join("\n"));
            digest.update(format!("\n{properties:?}\n{}\n", own()?));
            digest.update(key);
            let hex: String = digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            Ok(Compiled { folder, name: format!("{}-{hex}", binaries.major) })
        };
        at().inspect_err(|error| tracing::debug!("no wanted schema is kept: {error}")).ok()
    }

    fn path(&self, part: &str) -> PathBuf {
        self.folder.join(format!("{}.{part}", self.name))
    }

    /// The part with this name, if it is kept and whole.
    pub fn find(&self, part: &str) -> Option<String> {
        let path = self.path(part);
        let text = std::fs::read_to_string(&path).ok()?;
        let (sum, text) = text.split_once('\n')?;
        if sum != sum_of(text) {
            tracing::info!("{} is damaged and is made anew", path.display());
            return None;
        }
        prune::touch(&path);
        Some(text.to_owned())
    }

    /// Keeps a part. That it cannot be kept is told to nobody but a log: there is only more to do the next time.
    pub fn keep(&self, part: &str, text: &str) {
        let working = prune::unfinished(&self.folder, self.name.as_ref());
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&working)?;
            writeln!(file, "{}", sum_of(text))?;
            file.write_all(text.as_bytes())?;
            std::fs::rename(&working, self.path(part))
        };
        if let Err(error) = write() {
            tracing::debug!("{}: {error}", working.display());
            let _ = std::fs::remove_file(&working);
        }
        tidy(&self.folder, ROOM);
    }
}

/// A file that was cut off, or that a disk has changed, is not what it was.
fn sum_of(text: &str) -> String {
    let mut crc = Crc::new();
    crc.update(text.as_bytes());
    format!("{:08x} {}", crc.sum(), text.len())
}

/// Which plumb this is: its version, and the program, since one that is being worked on keeps its version.
fn own() -> Result<String, ShadowError> {
    let program = std::env::current_exe().map_err(|error| ShadowError::file(Path::new("plumb"), &error))?;
    let metadata = program.metadata().map_err(|error| ShadowError::file(&program, &error))?;
    Ok(format!("{} {} {} {}", env!("CARGO_PKG_VERSION"), metadata.mtime(), metadata.mtime_nsec(), metadata.len()))
}

/// The control files of the extensions that these programs have: an upgrade of one changes what `CREATE EXTENSION` makes.
fn extensions(binaries: &Binaries) -> Vec<String> {
    let home = |below: &str| binaries.directory.join("..").join(below);
    let versioned = PathBuf::from(format!("/usr/share/postgresql/{}/extension", binaries.major));
    let folders = [home("share/extension"), home("share/postgresql/extension"), versioned];
    let files = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let controls = files.filter(|entry| entry.path().extension().is_some_and(|e| e == "control"));
    let mut all: Vec<String> = controls
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some(format!("{} {} {}", entry.path().display(), metadata.mtime(), metadata.len()))
        })
        .collect();
    all.sort();
    all
}

/// Removes what nobody has used for long, the oldest texts when all take too much room, and what was not finished.
fn tidy(folder: &Path, room: u64) {
    let Some(_one) = lock(folder) else { return };
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut files: Vec<(Duration, bool, PathBuf, u64)> = entries
        .flatten()
        .filter(|entry| entry.file_name() != prune::MAKING)
        .filter_map(|entry| {
            let unfinished = entry.file_name().as_encoded_bytes().starts_with(b".");
            let metadata = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some((metadata.modified().ok()?.elapsed().unwrap_or_default(), unfinished, entry.path(), metadata.len()))
        })
        .collect();
    files.sort();
    let mut taken = 0;
    for (age, unfinished, path, size) in files {
        taken += size;
        if age > if unfinished { prune::ABANDONED } else { UNUSED } || taken > room && !unfinished {
            let _ = std::fs::remove_file(&path);
        }
    }
}

fn lock(folder: &Path) -> Option<File> {
    cache::try_lock(&folder.join(prune::MAKING))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> Compiled {
        let folder = std::env::temp_dir().join(format!("plumb-compiled-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Compiled { folder, name: "15-a".to_owned() }
    }

    #[test]
    fn what_is_damaged_or_another_is_not_found() {
        let place = place("damaged");
        assert_eq!(place.find("catalog"), None);
        place.keep("catalog", "{\"a\": \"ü\"}\n");
        assert_eq!(place.find("catalog").as_deref(), Some("{\"a\": \"ü\"}\n"));
        assert_eq!(place.find("settled"), None);
        let path = place.path("catalog");
        let whole = std::fs::read(&path).unwrap();
        for damaged in [&whole[..whole.len() - 2], b"", b"0 0", &whole[3..]] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(place.find("catalog"), None);
        }
        place.keep("catalog", "again");
        assert_eq!(place.find("catalog").as_deref(), Some("again"));
        std::fs::remove_dir_all(place.folder).unwrap();
    }

    #[test]
    fn the_oldest_go_when_there_is_no_room() {
        let place = place("room");
        for (part, days) in [("new", 0), ("old", 3), ("unused", 31)] {
            let then = std::time::SystemTime::now() - Duration::from_secs(days * 24 * 3600 + 60);
            std::fs::write(place.path(part), "x".repeat(40)).unwrap();
            File::options().write(true).open(place.path(part)).unwrap().set_modified(then).unwrap();
        }
        let there = || ["new", "old", "unused"].map(|part| place.path(part).exists());
        // another test's child that is about to begin may hold this process's locks for a moment
        for _ in 0..100 {
            tidy(&place.folder, 100);
            if !there()[2] {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(there(), [true, true, false]);
        for _ in 0..100 {
            tidy(&place.folder, 50);
            if !there()[1] {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(there(), [true, false, false]);
        std::fs::remove_dir_all(place.folder).unwrap();
    }
}
