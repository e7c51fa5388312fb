//! Old templates in the cache. Upgrades of PostgreSQL and of plumb leave one behind each, tens of megabytes.

use super::cache;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A template that no run has used for so long is made again when one comes.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 3600);

/// As [`UNUSED`], when the programs that made it are not there as they were. Not at once: another machine or container that shares
/// the cache may have programs of its own at the same place.
pub(super) const OUTDATED: Duration = Duration::from_secs(24 * 3600);

/// What somebody worked at so long ago, without holding the lock now, was given up. An initdb goes on for a moment when its
/// plumb is killed.
pub(super) const ABANDONED: Duration = Duration::from_secs(600);

/// How the names of unfinished templates end. They begin with a dot.
const UNFINISHED: &str = ".new";

/// The file that a plumb holds locked, for itself, while it makes a template.
pub(super) const MAKING: &str = ".lock";

/// The file that a plumb holds locked, together with others, while it looks for a template and copies it.
pub(super) const COPYING: &str = ".use";

/// A place in `folder` to make template `name` at, or to move it to before it is removed: never seen half done.
pub(super) fn unfinished(folder: &Path, name: &OsStr) -> PathBuf {
    folder.join(format!(".{}-{}{UNFINISHED}", name.to_string_lossy(), &cache::random_word()[..8]))
}

/// Removes what nobody needs from the folder of templates. `is_outdated` tells whether a template can still be asked for.
/// Nothing is done while another plumb makes or copies a template; the next one will see to it.
pub(super) fn prune(folder: &Path, is_outdated: impl Fn(&Path) -> bool) {
    if old(folder, &is_outdated).is_empty() {
        return;
    }
    let Some(_making) = cache::try_lock(&folder.join(MAKING)) else { return };
    let Some(_copying) = cache::try_lock(&folder.join(COPYING)) else { return };
    for path in old(folder, &is_outdated) {
        remove(folder, &path);
    }
}

/// Removes `path` from `folder`: never seen half done.
pub(super) fn remove(folder: &Path, path: &Path) {
    tracing::debug!("removing {}, which is not used any more", path.display());
    let away = unfinished(folder, path.file_name().unwrap_or_default());
    if std::fs::rename(path, &away).is_ok() {
        let _ = std::fs::remove_dir_all(&away); // what stays is tried again by a later run
    }
}

/// Removes what others began in `folder` and gave up. The caller holds the lock of those who make something.
pub(super) fn remove_abandoned(folder: &Path) {
    for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') && name.ends_with(UNFINISHED) && age(&path).is_some_and(|age| age > ABANDONED) {
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

/// What may go now.
fn old(folder: &Path, is_outdated: &impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    paths
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let limit = match (name.starts_with('.'), name.ends_with(UNFINISHED)) {
                (true, true) => ABANDONED,
                (true, false) => return false,
                (false, _) => UNUSED,
            };
            let Some(age) = age(path) else { return false };
            age > limit || limit == UNUSED && age > OUTDATED && is_outdated(path)
        })
        .collect()
}

/// How long ago `path`, a folder, was used or changed.
pub(super) fn age(path: &Path) -> Option<Duration> {
    let metadata = path.symlink_metadata().ok().filter(std::fs::Metadata::is_dir)?;
    metadata.modified().ok()?.elapsed().ok()
}

/// Takes note that the template is used.
pub(super) fn touch(template: &Path) {
    // Where that is not possible a template is made again once a month.
    let _ = std::fs::File::open(template).and_then(|folder| folder.set_modified(std::time::SystemTime::now()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs::File;
    use std::time::SystemTime;

    /// A folder with templates of these ages, in days.
    fn folder(name: &str, templates: &[(&str, u64)]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("plumb-prune-{name}-{}", std::process::id()));
        for (template, days) in templates {
            let path = folder.join(template);
            std::fs::create_dir_all(path.join("base")).unwrap();
            let then = SystemTime::now() - Duration::from_secs(days * 24 * 3600 + 3600);
            File::open(path).unwrap().set_modified(then).unwrap();
        }
        folder
    }

    fn left(folder: &Path) -> BTreeSet<String> {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name != MAKING && name != COPYING).collect()
    }

    #[test]
    fn what_is_used_stays() {
        let all =
            [("15-used", 29), ("15-unused", 31), ("16-outdated", 2), ("16-just-outdated", 0), (".17-a.new", 0), (".other", 99)];
        let folder = folder("used", &all);
        let outdated = |path: &Path| path.to_string_lossy().contains("outdated");
        prune(&folder, outdated);
        assert_eq!(left(&folder), [".other", "15-used", "16-just-outdated"].map(str::to_owned).into());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn nothing_is_taken_from_under_others() {
        let folder = folder("others", &[("15-a", 31), (".15-b.new", 1)]);
        for lock in [cache::lock(&folder.join(MAKING)).unwrap(), cache::lock_shared(&folder.join(COPYING)).unwrap()] {
            prune(&folder, |_| true);
            assert_eq!(left(&folder).len(), 2);
            drop(lock);
        }
        touch(&folder.join("15-a"));
        prune(&folder, |_| true);
        assert_eq!(left(&folder), ["15-a".to_owned()].into());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
