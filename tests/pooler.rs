//! A real PgBouncer between plumb and the server: one that gives each transaction another session is refused before anything is set
//! in it, one that keeps sessions apart is taken, and `direct_url` goes around both.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, missing_docs)]

mod support;

use plumb::apply::ledger::{Ended, LedgerError, Record, Who, prepare};
use plumb::plan::read;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::command::{finish, socket};
use support::desk::{Desk, desk, until, waits};

/// PgBouncer, until this is left.
struct Bouncer {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
        _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Where it is; `make setup` installs it where it may.
fn program() -> Option<PathBuf> {
    let listed = std::env::var_os("PATH").map(|p| std::env::split_paths(&p).collect::<Vec<_>>()).unwrap_or_default();
    let found = listed.into_iter().chain(["/usr/sbin".into()]).map(|folder| folder.join("pgbouncer")).find(|p| p.exists());
    if found.is_none() {
        eprintln!("skipped: pgbouncer is not on this machine, and only root can install it");
    }
    found
}

impl Bouncer {
    fn start(program: &Path, mode: &str, ignores: &str) -> Bouncer {
        Bouncer::start_with(program, mode, ignores, 4)
    }

    /// With so many sessions of the server.
    fn start_with(program: &Path, mode: &str, ignores: &str, sessions: usize) -> Bouncer {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = PathBuf::from(format!("/tmp/plumb-bouncer-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(folder.join("users.txt"), "\"postgres\" \"\"\n").unwrap();
        let text = format!(
            "[databases]\n* = host={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             auth_file = {}/users.txt\npool_mode = {mode}\ndefault_pool_size = {sessions}\nignore_startup_parameters = extra_float_digits{ignores}\n",
            socket(),
            folder.display()
        );
        // `any` logs everybody in as one user, which has to be said
        let text = text.replace("* = host=", "* = user=postgres host=");
        std::fs::write(folder.join("bouncer.ini"), text).unwrap();
        let owner = std::fs::metadata(socket()).unwrap();
        let mut command = Command::new(program);
        command.arg(folder.join("bouncer.ini")).stdout(Stdio::null()).stderr(std::fs::File::create(folder.join("log")).unwrap());
        if rustix::process::geteuid().is_root() {
            command.uid(owner.uid()).gid(owner.gid());
        }
        Bouncer { child: command.spawn().unwrap(), folder, port }
    }

    fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    async fn ready(&self) {
        until("pgbouncer listens", async || std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()).await;
    }
}

fn schema(d: &Desk<'_>) {
    d.place.write("schema/t.sql", "CREATE TABLE t (a int);\n");
}

#[test]
fn one_that_gives_each_transaction_another_session_is_refused_and_nothing_is_left_in_it() {
    let Some(program) = program() else { return };
    // 1.18 takes no options; where an administrator lets it ignore them, they are lost
    for (n, ignores) in ["", ", options"].into_iter().enumerate() {
        desk(&format!("bouncer{n}"), async |d| {
            let bouncer = Bouncer::start(&program, "transaction", ignores);
            bouncer.ready().await;
            schema(d);
            let url = bouncer.url(&d.database);
            for line in ["plan", "drift", "apply --yes", "dump", "snapshot", "history", "apply --abandon --yes", "rollback"] {
                let done = d.exits(1, &format!("{line} --db {url}"));
                assert!(done.stderr.contains("connect::pooler") && done.stderr.contains("direct_url"), "{line}: {}", done.stderr);
            }
            // whoever gets those sessions next finds nothing of plumb's
            let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            let answer = client.simple_query("SHOW search_path").await.unwrap();
            let path =
                answer.iter().find_map(|m| if let tokio_postgres::SimpleQueryMessage::Row(r) = m { r.get(0) } else { None });
            assert_eq!(path, Some("\"$user\", public"));
            assert_eq!(d.number("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid <> 0 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())").await, 0);
        });
    }
}

#[test]
fn a_direct_url_goes_around_it() {
    let Some(program) = program() else { return };
    desk("bouncerdirect", async |d| {
        let bouncer = Bouncer::start(&program, "transaction", "");
        bouncer.ready().await;
        schema(d);
        let url = bouncer.url(&d.database);
        d.place.write("plumb.toml", &format!("[env.live]\nurl = \"{url}\"\n"));
        d.exits(1, "plan --env live");
        d.place.write("plumb.toml", &format!("[env.live]\nurl = \"{url}\"\ndirect_url = \"{}\"\n", d.db));
        d.exits(2, "plan --env live --out plan.json");
        d.exits(0, "apply plan.json --env live --yes");
        d.exits(0, "drift --env live");
    });
}

#[test]
fn one_that_keeps_sessions_apart_is_taken_and_two_applies_exclude_each_other_through_it() {
    let Some(program) = program() else { return };
    for (n, ignores) in ["", ", options"].into_iter().enumerate() {
        desk(&format!("bouncersession{n}"), async |d| {
            let bouncer = Bouncer::start(&program, "session", ignores);
            bouncer.ready().await;
            d.sql("CREATE TABLE t (a int)").await;
            d.place.write("schema/t.sql", "CREATE TABLE t (a int, b int);\n");
            let url = bouncer.url(&d.database);
            d.exits(2, &format!("plan --db {url} --out plan.json"));
            d.sql("BEGIN; LOCK TABLE t IN ACCESS SHARE MODE").await;
            let first = d.start(&format!("apply plan.json --db {url} --yes --lock-timeout 5s"));
            waits(d).await;
            let second = d.exits(3, &format!("apply plan.json --db {url} --yes"));
            assert!(second.stderr.contains("apply::busy"), "{}", second.stderr);
            // around the pooler it is the same
            let third = d.exits(3, "apply plan.json --db $DB --yes");
            assert!(third.stderr.contains("apply::busy"), "{}", third.stderr);
            d.sql("COMMIT").await;
            let first = finish(first);
            assert_eq!(first.exit, 0, "{}", first.stderr);
            tokio::time::sleep(Duration::from_millis(50)).await;
            d.exits(0, &format!("drift --db {url}"));
        });
    }
}

/// A client of the pooler, as tokio-postgres has it.
async fn client(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// What an advisory lock cannot do there, the lease does: the ledger is asked by way of the pooler, by two clients that have the same session
/// of the server in turn.
#[test]
fn the_lease_keeps_two_applies_apart_where_the_advisory_lock_does_not() {
    let Some(program) = program() else { return };
    desk("bouncerlease", async |d| {
        schema(d);
        d.exits(2, "plan --db $DB --out plan.json");
        let plan = read(&std::fs::read_to_string(d.place.path().join("plan.json")).unwrap()).unwrap();
        // one session for all
        let bouncer = Bouncer::start_with(&program, "transaction", "", 1);
        bouncer.ready().await;
        let url = bouncer.url(&d.database);
        let (first, second) = (client(&url).await, client(&url).await);
        for both in [&first, &second] {
            let answer = both.simple_query("SELECT pg_try_advisory_lock(7)").await.unwrap();
            let got =
                answer.iter().find_map(|m| if let tokio_postgres::SimpleQueryMessage::Row(r) = m { r.get(0) } else { None });
            assert_eq!(got, Some("t"), "an advisory lock keeps nobody out here, or this test shows nothing");
        }
        prepare(&first).await.unwrap();
        let who = Who::default();
        let begin = async |client| Record::begin(client, &plan, None, None, &who).await;
        let holder = begin(&first).await.unwrap();
        let refused = begin(&second).await.unwrap_err();
        assert!(matches!(&refused, LedgerError::Busy { run, .. } if *run == holder.run), "{refused}");
        // whoever is heard of keeps it, whichever session says so
        holder.renew(&second).await.unwrap();
        assert!(matches!(begin(&second).await, Err(LedgerError::Busy { .. })));
        // one that was not heard of for long loses it, and changes nothing any more
        d.sql("UPDATE plumb.lease SET renewed = renewed - interval '61 seconds'").await;
        let heir = begin(&second).await.unwrap();
        let group = &plan.groups[0];
        first.batch_execute("BEGIN; CREATE TABLE t (a int)").await.unwrap();
        assert!(matches!(holder.enter(&first).await, Err(LedgerError::Overtaken)));
        first.batch_execute("ROLLBACK").await.unwrap();
        assert!(matches!(holder.end(&first, &Ended::Done, None).await, Err(LedgerError::Overtaken)));
        // and the one that has it does, in a transaction of which the lease is a part
        second.batch_execute("BEGIN").await.unwrap();
        heir.enter(&second).await.unwrap();
        second.batch_execute(&format!("CREATE TABLE t (a int); {}COMMIT", heir.leave(group, &[]))).await.unwrap();
        heir.end(&second, &Ended::Done, None).await.unwrap();
        assert_eq!(d.number("SELECT count(*) FROM plumb.run WHERE outcome = 'lost'").await, 1);
        assert_eq!(d.number("SELECT count(*) FROM plumb.lease WHERE run IS NULL").await, 1);
        d.exits(0, "drift --db $DB");
    });
}
