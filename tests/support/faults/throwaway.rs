//! A server of the tests' own that may be killed and started again: its data outlives it, until the test is over.

use super::server;
use plumb::pg::{Session, Target};
use plumb::shadow::Binaries;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use std::os::unix::fs::{DirBuilderExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, Once};
use std::time::{Duration, Instant};

const PORT: u16 = 5432;

/// What every one of them is started with. The system stays up, so that nothing has to be on a disk.
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "fsync=off",
    "full_page_writes=off",
    "autovacuum=off",
    "jit=off",
    "shared_buffers=32MB",
    "max_wal_size=2GB",
    "checkpoint_timeout=1h",
    "max_locks_per_transaction=256",
    "dynamic_shared_memory_type=mmap",
    "timezone=UTC",
    "lc_messages=C",
];

/// Starts the server, and stops it when whoever holds its standard input is gone. It says the server's process id.
const KEEPER: &str =
    r#"ulimit -f ${LIMIT:-unlimited}; trap "" XFSZ; "$@" & echo $!; cat >/dev/null; kill -QUIT $! 2>/dev/null; wait"#;

pub struct Throwaway {
    directory: PathBuf,
    binaries: Binaries,
    settings: Vec<String>,
    keeper: Mutex<Option<(Child, u32)>>,
}

/// Whom a server runs as, when the tests are root.
fn unprivileged() -> Option<(u32, u32)> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let number = |line: &str, n: usize| line.split(':').nth(n)?.parse().ok();
    let of = |name: &str| {
        passwd.lines().find(|l| l.split(':').next() == Some(name)).and_then(|l| Some((number(l, 2)?, number(l, 3)?)))
    };
    geteuid().is_root().then(|| of("nobody").or_else(|| of("postgres")).expect("an unprivileged user"))
}

/// A program that runs as that one.
pub fn program(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.current_dir("/").env("LC_ALL", "C");
    if let Some((uid, gid)) = unprivileged() {
        command.gid(gid).uid(uid);
    }
    command
}

/// A folder that it may write to.
pub fn folder(path: &Path) {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).unwrap();
    if let Some((uid, gid)) = unprivileged() {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
}

/// Where such folders are: in memory, where there is some. Those of a test that was killed are taken away first.
fn place(name: &str) -> PathBuf {
    static SWEPT: Once = Once::new();
    let memory = Path::new("/dev/shm");
    let root = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    SWEPT.call_once(|| sweep(&root));
    root.join(format!("plumb-faults-{}-{name}", std::process::id()))
}

fn sweep(root: &Path) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix("plumb-faults-").and_then(|rest| rest.split('-').next()).map(str::to_owned);
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            for below in std::fs::read_dir(entry.path()).into_iter().flatten().flatten() {
                _ = Command::new("umount").arg("-lq").arg(below.path()).output();
            }
            _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

impl Throwaway {
    /// A new one, running.
    pub fn start(name: &str, settings: &[&str]) -> Throwaway {
        let directory = place(name);
        folder(&directory);
        let binaries = server::server().binaries.clone();
        let data = directory.join("data");
        let mut initdb = program(&binaries.program("initdb"));
        initdb.arg("-D").arg(&data).args(["-U", server::USER, "--auth=trust", "-N", "-E", "UTF8", "--locale=C"]);
        let done = initdb.output().unwrap();
        assert!(done.status.success(), "initdb: {}", String::from_utf8_lossy(&done.stderr));
        Throwaway::at(directory, binaries, settings)
    }

    /// One whose data is there already, in the folder `data` of this one.
    pub fn at(directory: PathBuf, binaries: Binaries, settings: &[&str]) -> Throwaway {
        let settings = settings.iter().map(ToString::to_string).collect();
        let throwaway = Throwaway { directory, binaries, settings, keeper: Mutex::new(None) };
        throwaway.up();
        throwaway
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.join(format!(".s.PGSQL.{PORT}"))
    }

    /// A URL for plumb.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://{}@/{database}?host={}", server::USER, self.directory.display())
    }

    /// The same by way of a port of this machine, with little patience for a line that says nothing.
    pub fn url_by(&self, port: u16, database: &str) -> String {
        let patience = "connect_timeout=4&keepalives_idle=1&keepalives_interval=1&keepalives_count=2";
        format!("postgresql://{}@127.0.0.1:{port}/{database}?sslmode=disable&{patience}", server::USER)
    }

    pub fn target(&self, database: &str) -> Target {
        Target::on_socket(&self.directory.to_string_lossy(), PORT, database, server::USER)
    }

    pub async fn session(&self, database: &str) -> Session {
        let session = server::connect(&self.target(database)).await;
        session.client.batch_execute("SET statement_timeout = '120s'; SET client_min_messages = warning").await.unwrap();
        session
    }

    /// The process of the postmaster.
    pub fn postmaster(&self) -> u32 {
        self.keeper.lock().unwrap().as_ref().expect("it runs").1
    }

    /// Starts it, and waits until it takes sessions. What was killed before may still be about to end.
    pub fn up(&self) {
        let limit = Instant::now() + Duration::from_secs(60);
        loop {
            let keeper = self.launch();
            *self.keeper.lock().unwrap() = Some(keeper);
            while Instant::now() < limit && self.runs() {
                if self.answers() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            assert!(Instant::now() < limit, "the server does not start: {}", self.log());
            self.down(None);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn launch(&self) -> (Child, u32) {
        use std::io::{BufRead, BufReader};
        let log = std::fs::File::options().create(true).append(true).open(self.directory.join("log")).unwrap();
        let mut keeper = program(Path::new("/bin/sh"));
        keeper.args(["-c", KEEPER, "keeper"]).arg(self.binaries.program("postgres"));
        keeper.arg("-D").arg(self.directory.join("data")).arg("-k").arg(&self.directory);
        for setting in SETTINGS.iter().map(ToString::to_string).chain(self.settings.clone()) {
            match setting.strip_prefix("LIMIT=") {
                Some(limit) => _ = keeper.env("LIMIT", limit),
                None => _ = keeper.args(["-c", &setting]),
            }
        }
        keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).process_group(0);
        let mut child = keeper.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid = line.trim().parse().unwrap_or_else(|_| panic!("no process id: {line:?}"));
        (child, pid)
    }

    fn runs(&self) -> bool {
        let state = std::fs::read_to_string(format!("/proc/{}/stat", self.postmaster())).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z ")
    }

    /// Whether it takes sessions.
    pub fn answers(&self) -> bool {
        let target = self.target("template1");
        let asked = move || {
            server::runtime().block_on(async {
                let Ok(session) = plumb::pg::connect(&target).await else { return false };
                session.close().await;
                true
            })
        };
        // The caller may be at work in a runtime of its own.
        std::thread::spawn(asked).join().unwrap_or(false)
    }

    /// What the server has said last.
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Sends the postmaster a signal.
    pub fn signal(&self, signal: Signal) {
        send(self.postmaster(), signal);
    }

    /// Ends it, with a signal first where that is wanted, and waits until it has ended.
    pub fn down(&self, signal: Option<Signal>) {
        let Some((mut child, pid)) = self.keeper.lock().unwrap().take() else { return };
        if let Some(signal) = signal {
            send(pid, signal);
        }
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        self.down(None);
        _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Sends a signal to a process that may be gone.
pub fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process");
    _ = kill_process(pid, signal);
}
