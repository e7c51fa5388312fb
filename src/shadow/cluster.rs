//! A private server: copied from a template, reachable by nobody else, gone when plumb is.

use super::BOOTSTRAP;
use super::binaries::Binaries;
use super::error::ShadowError;
use super::janitor::Janitor;
use super::registry::{self, Live, Running};
use super::{cache, place, privileges, sweep, template};
use crate::pg::{self, ConnectError, Session, Target};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The port in the name of the socket. The server does not listen on TCP.
const PORT: u16 = 5432;

/// How long a server may take to start on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Settings of a server whose data is worth nothing, that must be ready at once and leave nothing outside its directory
/// (manual: 14.5 "Non-Durable Settings").
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "max_connections=20",
    "max_locks_per_transaction=1024",
    "shared_buffers=16MB",
    "huge_pages=off",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "wal_init_zero=off",
    "wal_recycle=off",
    "max_wal_senders=0",
    "max_wal_size=1GB",
    "checkpoint_timeout=1h",
    "log_checkpoints=off",
    "max_worker_processes=0",
    "dynamic_shared_memory_type=mmap",
    "max_logical_replication_workers=0",
    "autovacuum=off",
    "jit=off",
    "logging_collector=off",
    "log_min_messages=fatal",
    "log_min_error_statement=panic",
    "timezone=UTC",
    "log_timezone=UTC",
    "lc_messages=C",
    "shared_preload_libraries=",
];

/// A running private server. It and its directory are gone after [`Cluster::stop`], when this value is dropped, when
/// [`super::cleanup_all`] is called, and when plumb is killed.
pub struct Cluster {
    /// The directory of its data and its socket.
    directory: PathBuf,
    id: u64,
    _lock: File,
}

impl Cluster {
    /// Starts a server of `binaries` and gives a session of its superuser in `template1` with it.
    ///
    /// # Errors
    /// An initdb or a server that fails, folders that cannot be written.
    pub async fn start(binaries: &Binaries) -> Result<(Cluster, Session), ShadowError> {
        let template = template::ensure(binaries)?;
        Cluster::start_at(binaries, &template.path.clone(), template).await
    }

    /// The same on a copy of the folder `from`, which nobody removes as long as `held` lives.
    ///
    /// # Errors
    /// As for [`Cluster::start`].
    pub(super) async fn start_at<T>(binaries: &Binaries, from: &Path, held: T) -> Result<(Cluster, Session), ShadowError> {
        let begun = Instant::now();
        place::folders().iter().for_each(|folder| sweep::sweep(folder));
        let directory = place::choose().join(format!("{}{}-{}", sweep::PREFIX, std::process::id(), &cache::random_word()[..8]));
        let janitor = Janitor::hire(&directory).map_err(|error| ShadowError::file(&directory, &error))?;
        let lock = populate(&directory, from).map_err(|error| ShadowError::file(&directory, &error))?;
        drop(held);
        let copied = begun.elapsed();
        let (running, mut log) = launch(binaries, janitor)?;
        let id = registry::add(Live::Cluster(running));
        let cluster = Cluster { directory, id, _lock: lock };
        let session = cluster.wait_until_ready(binaries, &mut log).await?;
        tracing::debug!("private PostgreSQL {} ready in {:?} (copied in {copied:?})", session.version, begun.elapsed());
        Ok((cluster, session))
    }

    /// Where `user` finds `database` in it.
    pub fn target(&self, database: &str, user: &str) -> Target {
        Target::on_socket(&self.directory.to_string_lossy(), PORT, database, user)
    }

    /// The directory of its data and its socket.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Stops the server at once and removes its directory.
    pub fn stop(self) {}

    /// Asks until the server answers, or until its watchdog has ended.
    async fn wait_until_ready(&self, binaries: &Binaries, log: &mut File) -> Result<Session, ShadowError> {
        let target = self.target("template1", BOOTSTRAP);
        let socket = self.directory.join(format!(".s.PGSQL.{PORT}"));
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if socket.exists() {
                match pg::connect(&target).await {
                    Err(ConnectError::Unreachable { .. }) => {}
                    result => return result.map_err(ShadowError::Connect),
                }
            }
            let ended = registry::with(self.id, Live::has_ended).unwrap_or(true);
            if ended || Instant::now() > deadline {
                return Err(ShadowError::Start { binaries: binaries.directory.clone(), reason: last_words(log, ended) });
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        registry::undo(self.id);
    }
}

/// Makes `directory` a copy of `template` that belongs to the server's user, and takes the lock that says it is alive.
fn populate(directory: &Path, template: &Path) -> std::io::Result<File> {
    DirBuilder::new().mode(0o700).create(directory)?;
    let lock = OpenOptions::new().create_new(true).write(true).mode(0o600).open(directory.join(sweep::LOCK))?;
    lock.lock()?;
    copy(template, directory)?;
    privileges::hand_over(directory)?;
    Ok(lock)
}

/// Copies what is in `from` into `to`. The files keep their modes; `to` is handed over last, by the caller, so that the other
/// user cannot reach in while root works.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            DirBuilder::new().mode(0o700).create(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
        privileges::hand_over(&target)?;
    }
    Ok(())
}

/// Starts the watchdog, which starts the server. It is the head of a process group of its own, so that Ctrl-C on the terminal
/// reaches plumb only.
fn launch(binaries: &Binaries, janitor: Janitor) -> Result<(Running, File), ShadowError> {
    let directory = janitor.directory();
    let failed = |error: std::io::Error| ShadowError::file(directory, &error);
    let path = directory.join("server.log");
    let log = OpenOptions::new().create_new(true).read(true).append(true).mode(0o600).open(&path).map_err(failed)?;
    let mut command = privileges::command(Path::new("/bin/sh"));
    command.args(["-c", include_str!("watchdog.sh"), "plumb-watchdog"]).arg(directory);
    command.arg(binaries.program("postgres")).arg("-D").arg(directory).arg("-k").arg(directory);
    let newer: &[&str] = if binaries.major >= 18 { &["io_method=sync"] } else { &[] };
    for setting in SETTINGS.iter().chain(newer) {
        command.args(["-c", setting]);
    }
    command.stdin(Stdio::piped()).stdout(janitor.leash().map_err(failed)?).stderr(log.try_clone().map_err(failed)?);
    let mut watchdog = command.process_group(0).spawn().map_err(failed)?;
    let pipe = watchdog.stdin.take();
    Ok((Running { watchdog, pipe, janitor }, log))
}

/// The end of the server's log. The file may be unlinked already; plumb has it open.
fn last_words(log: &mut File, ended: bool) -> String {
    let mut bytes = Vec::new();
    let _ = log.seek(SeekFrom::Start(0)).and_then(|_| log.read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    match (lines.is_empty(), ended) {
        (false, _) => lines[lines.len().saturating_sub(5)..].join("\n"),
        (true, true) => "it ended without a word".to_owned(),
        (true, false) => format!("it does not answer within {} s", START_LIMIT.as_secs()),
    }
}
