//! Folders of fixtures.

use std::path::{Path, PathBuf};

/// A path below the crate.
pub fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The folders in a folder, sorted; none when it does not exist.
pub fn folders(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let mut list: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    list.sort();
    list
}

/// All files below a folder, sorted.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let mut list = Vec::new();
    let Ok(entries) = std::fs::read_dir(path) else { return list };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() { list.extend(files(&path)) } else { list.push(path) }
    }
    list.sort();
    list
}

pub fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

pub fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// How many threads work.
pub fn jobs() -> usize {
    let given = std::env::var("PLUMB_JOBS").ok().map(|j| j.parse().expect("PLUMB_JOBS is a number"));
    given.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, |n| n.get()))
}
