//! The real binary, run in a folder of its own against the test server, with nothing of the caller's libpq environment.

use super::server::{USER, server};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder that is gone when it is left. Short, for it is the TMPDIR of what runs in it, and sockets have short paths.
pub struct Place(PathBuf);

/// What a command did.
#[derive(Debug)]
pub struct Done {
    /// Exit code; -1 when a signal ended it.
    pub exit: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new(name: &str) -> Place {
        // Two tests of a program may have chosen the same name.
        static PLACES: AtomicUsize = AtomicUsize::new(0);
        let number = PLACES.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("pt{}-{number}{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file below it.
    pub fn write(&self, file: &str, text: &str) {
        let path = self.0.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.join(file)).unwrap()
    }

    /// plumb, about to be started here.
    pub fn command(&self, arguments: &[impl AsRef<str>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plumb"));
        command.args(arguments.iter().map(AsRef::as_ref)).current_dir(&self.0);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|n| n.starts_with("PG") || n == "DATABASE_URL" || n == "NO_COLOR") {
                command.env_remove(name);
            }
        }
        command.env("PGPASSFILE", "/nonexistent").env("PGSERVICEFILE", "/nonexistent");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs plumb here to its end.
    pub fn plumb(&self, arguments: &[impl AsRef<str>]) -> Done {
        finish(self.spawn(arguments))
    }

    pub fn spawn(&self, arguments: &[impl AsRef<str>]) -> Child {
        self.command(arguments).spawn().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Waits for its end.
pub fn finish(child: Child) -> Done {
    let out = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Done { exit: out.status.code().unwrap_or(-1), stdout: text(out.stdout), stderr: text(out.stderr) }
}

/// The directory of the test server's socket.
pub fn socket() -> String {
    let target = server().arguments("template1");
    target[1].clone()
}

/// The URL of a database of the test server.
pub fn url(database: &str) -> String {
    url_as(database, USER)
}

pub fn url_as(database: &str, user: &str) -> String {
    format!("postgresql://{user}@/{database}?host={}", socket())
}

/// A role that has to give its password.
pub async fn scram(session: &plumb::pg::Session, role: &str, password: &str) {
    let file = Path::new(&socket()).join("pg_hba.conf");
    let rules = std::fs::read_to_string(&file).unwrap();
    let rule = format!("local all {role} scram-sha-256\n");
    if !rules.contains(&rule) {
        std::fs::write(&file, rule + &rules).unwrap();
    }
    let sql = format!(
        "DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN PASSWORD '{password}'; SELECT pg_reload_conf(), pg_sleep(0.2)"
    );
    session.client.batch_execute(&sql).await.unwrap();
}
