//! One private PostgreSQL server per test process, and databases on it.
//!
//! The server is a [`Cluster`] of plumb's own: on a unix socket, without root's rights, and gone when this process ends in
//! whatever way. A missing program fails the test; it never skips it.

use plumb::pg::{self, Session, Target};
use plumb::shadow::{self, Binaries, Cluster, Properties, Scratch, Shadow};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The superuser that the tests are: dumps of others name it as owner.
pub const USER: &str = "postgres";

const PORT: u16 = 5432;

/// The server of this process.
pub struct Server {
    cluster: Cluster,
    pub binaries: Binaries,
    pub pg_dump: PathBuf,
    /// `server_version_num`.
    pub version: u32,
}

/// A runtime for one thread; sessions belong to the runtime that they were opened on.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The server programs that the tests run on.
fn binaries() -> Binaries {
    let wanted = std::env::var("PLUMB_TEST_MAJOR").ok().map(|m| m.parse().expect("PLUMB_TEST_MAJOR is a number"));
    let found = match wanted {
        Some(major) => shadow::find_binaries(major),
        // Golden plans show views as one version deparses them.
        None => shadow::find_binaries(15).or_else(shadow::newest_binaries),
    };
    found.expect("PostgreSQL server programs are needed to run the tests (postgres and initdb; `make setup` gets them)")
}

/// The pg_dump of the server's version, or a newer one. `PLUMB_PG_DUMP=none` goes without the oracle, for a server that no pg_dump
/// on this machine can read.
fn pg_dump(binaries: &Binaries) -> PathBuf {
    let listed = std::env::var_os("PATH").map(|p| std::env::split_paths(&p).collect::<Vec<_>>()).unwrap_or_default();
    let given = std::env::var_os("PLUMB_PG_DUMP").map(PathBuf::from);
    if let Some(none) = given.as_ref().filter(|g| g.as_os_str() == "none") {
        return none.clone();
    }
    let own = binaries.program("pg_dump");
    let versioned = (binaries.major..=18).map(|m| PathBuf::from(format!("/usr/lib/postgresql/{m}/bin/pg_dump")));
    let candidates = given.into_iter().chain([own]).chain(versioned).chain(listed.into_iter().map(|d| d.join("pg_dump")));
    let major = |path: &PathBuf| -> Option<u32> {
        let out = Command::new(path).arg("--version").output().ok()?;
        let text = String::from_utf8(out.stdout).ok()?;
        text.strip_prefix("pg_dump (PostgreSQL) ")?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let fits = |path: &PathBuf| major(path).is_some_and(|m| m >= binaries.major);
    candidates.into_iter().find(fits).unwrap_or_else(|| {
        panic!("pg_dump {} or newer is needed to run the tests: PATH, PLUMB_PG_DUMP or /usr/lib/postgresql", binaries.major)
    })
}

/// The server, started at the first call.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        runtime().block_on(async {
            let binaries = binaries();
            let pg_dump = pg_dump(&binaries);
            let (cluster, session) = Cluster::start(&binaries).await.unwrap_or_else(|e| panic!("the test server: {e}"));
            session.client.batch_execute(&format!("CREATE ROLE {USER} SUPERUSER LOGIN")).await.unwrap();
            let version = session.version.0;
            session.close().await;
            Server { cluster, binaries, pg_dump, version }
        })
    })
}

/// A second server, in which plans are proven as the product does it. Its administrator's connection is driven by a thread of
/// its own, for as long as the process lives.
pub fn shadow() -> &'static Shadow {
    static SHADOW: OnceLock<Shadow> = OnceLock::new();
    SHADOW.get_or_init(|| {
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            runtime().block_on(async {
                send.send(Shadow::private(&binaries()).await).ok();
                std::future::pending::<()>().await;
            });
        });
        receive.recv().unwrap().unwrap_or_else(|e| panic!("the shadow: {e}"))
    })
}

/// A scratch database in it, one at a time: what makes it looks for roles and then makes those that are missing.
pub async fn scratch(properties: &Properties, owner: &str, roles: &BTreeSet<String>) -> Scratch {
    static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _one = ONE.lock().await;
    shadow().scratch(properties, owner, roles).await.unwrap_or_else(|e| panic!("a scratch database: {e}"))
}

/// Takes everything away; to be called at the end of `main`. Without it the watchdogs do the same a moment later.
pub fn cleanup() {
    shadow::cleanup_all();
}

impl Server {
    pub fn target(&self, database: &str) -> Target {
        self.cluster.target(database, USER)
    }

    pub fn major(&self) -> u32 {
        self.version / 10_000
    }

    /// The arguments by which PostgreSQL's own programs reach a database.
    pub fn arguments(&self, database: &str) -> Vec<String> {
        let host = self.cluster.directory().to_string_lossy().into_owned();
        vec!["-h".into(), host, "-p".into(), PORT.to_string(), "-U".into(), USER.into(), "-d".into(), database.into()]
    }
}

/// A thread's place to work at: databases that are dropped when it is left.
pub struct Bench {
    admin: Session,
    made: std::cell::RefCell<Vec<String>>,
}

static NUMBER: AtomicUsize = AtomicUsize::new(1);

impl Bench {
    /// Runs `work` at a bench and drops its databases afterwards; a panic is its caller's affair.
    pub fn work<T>(work: impl AsyncFnOnce(&Bench) -> T) -> T {
        let server = server();
        runtime().block_on(async {
            let admin = connect(&server.target("template1")).await;
            let bench = Bench { admin, made: Default::default() };
            let result = work(&bench).await;
            for name in bench.made.take() {
                bench.drop(&name).await;
            }
            bench.admin.close().await;
            result
        })
    }

    /// A new empty database.
    pub async fn create(&self) -> String {
        let name = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let strategy = if server().version >= 150_000 { " STRATEGY FILE_COPY" } else { "" };
        let sql = format!("CREATE DATABASE {name} TEMPLATE template0{strategy}");
        self.admin.client.batch_execute(&sql).await.unwrap_or_else(|e| panic!("{sql}: {}", message(&e)));
        self.made.borrow_mut().push(name.clone());
        name
    }

    pub async fn drop(&self, name: &str) {
        self.made.borrow_mut().retain(|n| n != name);
        let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        self.admin.client.batch_execute(&sql).await.unwrap_or_else(|e| panic!("{sql}: {}", message(&e)));
    }

    /// Makes the roles that are not there.
    pub async fn roles(&self, roles: &[String]) {
        for role in roles {
            let sql = format!("CREATE ROLE {}", plumb::sql::ident(role));
            if let Err(e) = self.admin.client.batch_execute(&sql).await {
                let code = e.code().map(|c| c.code().to_owned()).unwrap_or_default();
                assert!(["42710", "23505"].contains(&code.as_str()), "{sql}: {}", message(&e));
            }
        }
    }
}

pub async fn connect(target: &Target) -> Session {
    pg::connect(target).await.unwrap_or_else(|e| panic!("{e}"))
}

/// A session in one of the databases.
pub async fn session(database: &str) -> Session {
    let session = connect(&server().target(database)).await;
    session.client.batch_execute("SET statement_timeout = '120s'; SET client_min_messages = warning").await.unwrap();
    session
}

pub fn message(error: &tokio_postgres::Error) -> String {
    plumb::apply::run::server_message(error).0
}
