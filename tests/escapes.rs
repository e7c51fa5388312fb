//! Attempts to escape: `fixtures/escapes/*.toml`. A pull request's SQL is untrusted; docs/security.md says what holds it.
//!
//! Each attempt is a schema (and perhaps a `live` database and a `config`) that the real binary plans as anybody would: loaded, proven,
//! shown. It is `refused` with a code, at a line if one is named, or `harmless` for the reason given. In both cases nothing has happened
//! outside: no file at `$CANARY`, nobody at `$PORT`, no new role, no other database, the target as it was, the shadow gone.
//! `$PAYLOAD` is PL/pgSQL that tries all of it and says nothing; `a_superuser_can_do_all_of_it` shows that it is able to.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use libtest_mimic::{Arguments, Failed, Trial};
use plumb::pg::Session;
use serde::Deserialize;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::{Bench, command, server};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    attempt: Vec<Attempt>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Attempt {
    name: String,
    live: Option<String>,
    config: Option<String>,
    schema: String,
    #[serde(default)]
    arguments: Vec<String>,
    /// The beginning of an error's code, and a line.
    refused: Option<String>,
    /// Why nothing happens.
    harmless: Option<String>,
    /// What is to be seen in the output.
    shows: Option<String>,
    /// What must not be.
    hides: Option<String>,
}

/// The fewest attempts that there have to be.
const FEWEST: usize = 100;

/// In a volatile function of its own: the server itself lets no other one do such things.
const PAYLOAD: &str = "
begin execute 'copy (select 1) to program ''touch $CANARY'''; exception when others then null; end;
begin execute 'copy (select 1) to ''$CANARY'''; exception when others then null; end;
begin perform pg_catalog.lo_export(pg_catalog.lo_create(0), '$CANARY'); exception when others then null; end;
begin execute 'create role plumb_escaped superuser'; exception when others then null; end;
begin execute 'alter role current_user superuser'; exception when others then null; end;
begin execute 'copy (select 1) to program ''bash -c \"exec 3<>/dev/tcp/127.0.0.1/$PORT\"'''; exception when others then null; end;
";

const FUNCTION: &str =
    "create function public.payload() returns void language plpgsql as $payload$ begin $DEEDS end $payload$;\n";

fn main() {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/escapes");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&root).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let read = |path: &PathBuf| toml::from_str::<File>(&std::fs::read_to_string(path).unwrap()).unwrap();
    let attempts: Vec<Attempt> = files.iter().flat_map(|path| read(path).attempt).collect();
    let count = attempts.len();
    let mut trials = vec![
        Trial::test("there_are_enough_attempts", move || enough(count).map_err(Failed::from)),
        Trial::test("a_superuser_can_do_all_of_it", || able().map_err(Failed::from)),
    ];
    trials.extend(
        attempts
            .into_iter()
            .enumerate()
            .map(|(n, attempt)| Trial::test(attempt.name.clone(), move || check(n, &attempt).map_err(Failed::from))),
    );
    let conclusion = libtest_mimic::run(&arguments, trials);
    server::cleanup();
    conclusion.exit();
}

fn enough(count: usize) -> Result<(), String> {
    if count >= FEWEST { Ok(()) } else { Err(format!("{count} attempts, and {FEWEST} are promised")) }
}

/// Where an attempt would leave its traces.
struct Canaries {
    folder: PathBuf,
    listener: TcpListener,
}

/// A temporary folder that the servers' user can come to, which a TMPDIR of one's own need not be: where nobody else can leave a
/// trace, none would be found.
fn open() -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let folders = [std::env::temp_dir(), "/tmp".into(), "/dev/shm".into(), "/var/tmp".into()];
    let passed = |folder: &Path| folder.metadata().is_ok_and(|m| m.permissions().mode() & 0o001 != 0);
    let found = folders.iter().filter_map(|f| f.canonicalize().ok()).find(|f| f.ancestors().all(passed));
    found.expect("a temporary folder that everybody can come to")
}

impl Canaries {
    fn new(name: &str) -> Canaries {
        use std::os::unix::fs::PermissionsExt;
        let folder = open().join(format!("plumb-canary-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        // the shadow's server runs as another user
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Canaries { folder, listener }
    }

    fn filled(&self, text: &str) -> String {
        text.replace("$PAYLOAD", "perform public.payload();")
            .replace("$DEEDS", PAYLOAD)
            .replace("$CANARY", &self.folder.join("canary").display().to_string())
            .replace("$PORT", &self.listener.local_addr().unwrap().port().to_string())
            .replace("$OPEN", &"(".repeat(100_000))
            .replace("$CLOSE", &")".repeat(100_000))
    }

    /// What was touched.
    fn touched(&self) -> Vec<String> {
        let files = std::fs::read_dir(&self.folder).unwrap().map(|e| format!("{} was written", e.unwrap().path().display()));
        let called = self.listener.accept().ok().map(|(_, from)| format!("somebody called from {from}"));
        files.chain(called).collect()
    }
}

impl Drop for Canaries {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The payload does everything that is looked for, where a superuser runs it.
fn able() -> Result<(), String> {
    let canaries = Canaries::new("able");
    Bench::work(async |bench| {
        let database = bench.create().await;
        let session = server::session(&database).await;
        // rolled back: other attempts look at the server's roles meanwhile
        let sql = canaries.filled("begin; do $x$ begin $DEEDS end $x$");
        session.client.batch_execute(&sql).await.unwrap_or_else(|e| panic!("{}", server::message(&e)));
        let found = session.client.query("SELECT FROM pg_roles WHERE rolname = 'plumb_escaped' AND rolsuper", &[]).await.unwrap();
        session.client.batch_execute("ROLLBACK").await.unwrap();
        session.close().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let touched = canaries.touched();
        if found.len() == 1 && touched.len() == 2 { Ok(()) } else { Err(format!("a blunt payload: {touched:?}, {found:?}")) }
    })
}

/// Roles and databases of the server, settings of its databases, and all that the target's catalog holds.
async fn picture(session: &Session) -> Vec<String> {
    // roles that the fixtures' live databases need are the server's, and other attempts make theirs meanwhile
    const SQL: &str = "SELECT 'role ' || rolname || ' ' || rolsuper FROM pg_roles WHERE rolname !~ '^escape_' \
         UNION ALL SELECT 'class ' || oid::regclass || ' ' || relowner::regrole || coalesce(relacl::text, '') FROM pg_class WHERE oid >= 16384 \
         UNION ALL SELECT 'proc ' || oid::regprocedure || ' ' || md5(prosrc) FROM pg_proc WHERE oid >= 16384 \
         UNION ALL SELECT 'trigger ' || evtname || ' ' || evtenabled::text FROM pg_event_trigger \
         UNION ALL SELECT 'extension ' || extname FROM pg_extension \
         UNION ALL SELECT 'setting ' || setconfig::text FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         UNION ALL SELECT 'scratch ' || datname FROM pg_database WHERE datname ~ 'escaped' ORDER BY 1";
    session.client.query(SQL, &[]).await.unwrap().iter().map(|r| r.get(0)).collect()
}

fn check(number: usize, attempt: &Attempt) -> Result<(), String> {
    let canaries = Canaries::new(&number.to_string());
    let place = command::Place::new(&format!("escape{number}"));
    place.write("schema/a.sql", canaries.filled(&attempt.schema).trim_start());
    if attempt.schema.contains("$PAYLOAD") {
        place.write("schema/b.sql", &canaries.filled(FUNCTION));
    }
    if let Some(config) = &attempt.config {
        place.write("plumb.toml", config);
    }
    Bench::work(async |bench| {
        let database = bench.create().await;
        let session = server::session(&database).await;
        if let Some(live) = &attempt.live {
            session.client.batch_execute(&canaries.filled(live)).await.unwrap_or_else(|e| panic!("{}", server::message(&e)));
        }
        let before = picture(&session).await;
        let mut arguments = vec!["plan".to_owned(), "--db".to_owned(), command::url(&database)];
        arguments.extend(attempt.arguments.iter().cloned());
        let child = place.command(&arguments).env("TMPDIR", place.path()).spawn().unwrap();
        let pid = child.id();
        let done = command::finish(child);
        let mut wrong = canaries.touched();
        if picture(&session).await != before {
            wrong.push(format!("the target is not what it was: {before:#?}, {:#?}", picture(&session).await));
        }
        let left =
            "SELECT datname::text FROM pg_database WHERE datname ~ '^plumb_scratch_' AND datdba = 'escape_loader'::regrole";
        if attempt.arguments.contains(&"target".to_owned()) {
            let left = session.client.query(left, &[]).await.map(|r| r.len());
            if left.is_ok_and(|n| n > 0) {
                wrong.push("a scratch database is left".to_owned());
            }
        }
        session.close().await;
        wrong.extend(left_behind(place.path(), pid));
        wrong.extend(answered(attempt, &done));
        if wrong.is_empty() { Ok(()) } else { Err(format!("{}\n{}\n{}", wrong.join("\n"), done.stdout, done.stderr)) }
    })
}

/// The private server's directory, in any of the places where it may be.
fn left_behind(place: &Path, pid: u32) -> Vec<String> {
    let mark = format!("-{pid}-");
    let folders = [place, Path::new("/dev/shm"), Path::new("/tmp")];
    let entries = folders.into_iter().filter_map(|f| std::fs::read_dir(f).ok()).flatten().flatten();
    let ours = entries.filter(|e| e.file_name().to_string_lossy().contains(&mark) && e.path().join("PG_VERSION").exists());
    ours.map(|e| format!("the shadow is left: {}", e.path().display())).collect()
}

/// Whether plumb said what the attempt says that it would.
fn answered(attempt: &Attempt, done: &command::Done) -> Vec<String> {
    let mut wrong = Vec::new();
    match (&attempt.refused, &attempt.harmless) {
        (Some(refused), None) => {
            let (code, line) = refused.split_once(' ').unwrap_or((refused, ""));
            let at = format!("schema/a.sql:{line}:");
            if done.exit != 1 || !done.stderr.contains(code) || !line.is_empty() && !done.stderr.contains(&at) {
                wrong.push(format!("exit {}: it is not refused as {refused}", done.exit));
            }
        }
        (None, Some(_)) if ![0, 2].contains(&done.exit) => wrong.push(format!("exit {}: it is not planned", done.exit)),
        (None, Some(_)) => {}
        _ => wrong.push("an attempt is refused or harmless".to_owned()),
    }
    // lines are broken at the width of a page
    let words = [&done.stdout, &done.stderr].map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    let shown = |text: &String| words.iter().any(|words| words.contains(text));
    wrong.extend(attempt.shows.iter().filter(|t| !shown(t)).map(|t| format!("\"{t}\" is not shown")));
    wrong.extend(attempt.hides.iter().filter(|t| shown(t)).map(|t| format!("\"{t}\" is shown")));
    if done.stdout.contains('\u{7}') || done.stderr.contains('\u{7}') || done.stderr.contains('\u{1b}') {
        wrong.push("the terminal is steered".to_owned());
    }
    if done.stderr.len() + done.stdout.len() > 100_000 {
        wrong.push("the output is endless".to_owned());
    }
    wrong
}
