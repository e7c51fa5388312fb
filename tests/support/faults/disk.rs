//! A disk of a size that can be changed: a file system in memory, where the tests may mount one.

use super::throwaway::folder;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Disk(PathBuf);

fn run(program: &str, words: &[&str]) -> Result<String, String> {
    let out = Command::new(program).args(words).output().map_err(|e| format!("{program}: {e}"))?;
    if !out.status.success() {
        return Err(format!("{program}: {}", String::from_utf8_lossy(&out.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

impl Disk {
    /// A new one in a folder that is made for it. None where this user may not mount anything.
    pub fn new(path: &Path) -> Option<Disk> {
        folder(path);
        let name = path.to_string_lossy();
        if let Err(why) = run("mount", &["-t", "tmpfs", "-o", "size=1g,mode=0777", "tmpfs", &name]) {
            println!("faults: no disk is full, since none can be mounted here: {why}");
            return None;
        }
        let disk = Disk(path.to_owned());
        folder(&disk.space());
        Some(disk)
    }

    /// The folder in it.
    pub fn space(&self) -> PathBuf {
        self.0.join("space")
    }

    /// So many kilobytes; plenty when nothing is said.
    pub fn resize(&self, kilobytes: Option<u64>) -> Result<(), String> {
        let size = kilobytes.map_or("1g".to_owned(), |k| format!("{k}k"));
        run("mount", &["-o", &format!("remount,size={size}"), &self.0.to_string_lossy()]).map(drop)
    }

    /// Kilobytes that are used.
    pub fn used(&self) -> Result<u64, String> {
        let told = run("df", &["-k", "--output=used", &self.0.to_string_lossy()])?;
        told.lines().last().and_then(|line| line.trim().parse().ok()).ok_or(format!("df says {told}"))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        _ = run("umount", &["-l", &self.0.to_string_lossy()]);
        _ = std::fs::remove_dir(&self.0);
    }
}
