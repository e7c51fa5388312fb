//! Who removes the directory of a private server, whatever happens to plumb.

use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// A process that is there before the directory is and removes it when plumb and the server's watchdog are gone.
///
/// It has plumb's own rights. The watchdog of a plumb that is root runs as another user: that one can empty the directory, but
/// not remove it from a folder which is root's. When this value is dropped plumb does the work itself and sends the process home.
pub(super) struct Janitor {
    directory: PathBuf,
    process: Child,
    pipe: Option<ChildStdin>,
}

impl Janitor {
    /// Starts it. `directory` does not have to exist yet.
    ///
    /// # Errors
    /// When there is no shell.
    pub(super) fn hire(directory: &Path) -> std::io::Result<Janitor> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", include_str!("janitor.sh"), "plumb-janitor"]).arg(directory);
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut process = command.spawn()?;
        let pipe = process.stdin.take();
        Ok(Janitor { directory: directory.to_owned(), process, pipe })
    }

    /// The directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Something for another process to hold: while that one lives, nothing is removed behind its back.
    ///
    /// # Errors
    /// When the system has no more of them.
    pub(super) fn leash(&self) -> std::io::Result<OwnedFd> {
        let closed = || std::io::Error::from(ErrorKind::BrokenPipe);
        self.pipe.as_ref().ok_or_else(closed)?.as_fd().try_clone_to_owned()
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        let removed = match std::fs::remove_dir_all(&self.directory) {
            Ok(()) => true,
            Err(error) => error.kind() == ErrorKind::NotFound,
        };
        if let Some(mut pipe) = self.pipe.take()
            && removed
        {
            let _ = pipe.write_all(b"\n"); // one that was killed removes nothing anyway
        }
        let _ = self.process.wait();
    }
}
