//! A real PgBouncer between plumb and the server: one that gives each transaction another session is refused before anything is set
//! in it, one that keeps sessions apart is taken, and `direct_url` goes around both.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, missing_docs)]

mod support;

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
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = PathBuf::from(format!("/tmp/plumb-bouncer-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(folder.join("users.txt"), "\"postgres\" \"\"\n").unwrap();
        let text = format!(
            "[databases]\n* = host={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             auth_file = {}/users.txt\npool_mode = {mode}\ndefault_pool_size = 4\nignore_startup_parameters = extra_float_digits{ignores}\n",
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
