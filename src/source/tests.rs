//! Loading real files into a real server: a throwaway PostgreSQL of `PLUMB_TEST_PG`, or the newest that the machine has.

use super::*;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tokio_postgres::{Client, NoTls};

pub(super) const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared");

/// The folder of the server's programs.
fn bin() -> String {
    let named = std::env::var("PLUMB_TEST_PG").ok().map(PathBuf::from).filter(|p| p.is_dir());
    let found = named.or_else(|| crate::shadow::newest_binaries().map(|b| b.directory));
    found.expect("a PostgreSQL server: `make test` installs one").display().to_string()
}

/// A server of this test process, in a directory of its own, gone with the process.
struct Server {
    directory: PathBuf,
}

fn as_postgres(program: &str, args: &[&str]) {
    let mut all = vec!["-u", "postgres", "--", program];
    let root = rustix::process::geteuid().is_root();
    all.extend_from_slice(args);
    let status = if root {
        Command::new("runuser").args(&all).current_dir("/").status()
    } else {
        Command::new(program).args(args).current_dir("/").status()
    };
    assert!(status.expect("starts").success(), "{program} {args:?}");
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let directory = std::env::temp_dir().join(format!("plumb-source-{}", std::process::id()));
        let shown = directory.display().to_string();
        let data = format!("{shown}/data");
        as_postgres("mkdir", &["-p", &shown]);
        as_postgres(
            &format!("{}/initdb", bin()),
            &["-D", &data, "-A", "trust", "-U", "plumb_root", "-E", "UTF8", "--locale=C.UTF-8", "-N"],
        );
        let options =
            format!("-c listen_addresses= -c unix_socket_directories={shown} -c fsync=off -c max_locks_per_transaction=512");
        let log = format!("{shown}/log");
        as_postgres(&format!("{}/pg_ctl", bin()), &["-D", &data, "-w", "-o", &options, "-l", &log, "start"]);
        // the last one out: a watcher stops the server when this process has ended
        let stop = format!(
            "while kill -0 {}; do sleep 1; done; {bin}/pg_ctl -D {data} -m immediate stop; rm -rf {shown}",
            std::process::id(),
            bin = bin()
        );
        let stop = format!("({stop}) >/dev/null 2>&1 &");
        as_postgres("sh", &["-c", &stop.replace("kill -0", "test -d /proc/").replace("/proc/ ", "/proc/")]);
        Server { directory }
    })
}

async fn connect(user: &str, database: &str) -> Client {
    let host = server().directory.display().to_string();
    let (client, connection) =
        tokio_postgres::Config::new().host_path(host).user(user).dbname(database).connect(NoTls).await.expect("connects");
    tokio::spawn(connection);
    client
}

/// Roles are the cluster's: tests that make and drop them run one after the other.
pub(super) async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static LOCK: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    LOCK.lock().await
}

/// An empty database with its unprivileged owner.
pub(super) struct Scratch {
    pub(super) loader: Client,
    pub(super) administrator: Client,
}

pub(super) async fn scratch(name: &str) -> Scratch {
    let root = connect("plumb_root", "postgres").await;
    for statement in [
        format!("DROP DATABASE IF EXISTS {name}"),
        format!("DROP ROLE IF EXISTS {name}"),
        format!("CREATE ROLE {name} LOGIN"),
        format!("CREATE DATABASE {name} OWNER {name} TEMPLATE template0"),
    ] {
        root.batch_execute(&statement).await.expect("makes a database");
    }
    Scratch { loader: connect(name, name).await, administrator: connect("plumb_root", name).await }
}

async fn load(name: &str, files: &Files, policy: &Policy) -> Result<Loaded, Problems> {
    let s = scratch(name).await;
    load_statements(&s.loader, Some(&s.administrator), files, policy).await
}

pub(super) async fn problems(name: &str, text: &str) -> Problems {
    load(name, &Files::text("a.sql", text), &Policy::default()).await.expect_err("does not load")
}

pub(super) fn shown(problems: &Problems) -> Vec<(String, &str, &str)> {
    let at = |p: &Problem| {
        let place = p.place.as_ref().expect("a place");
        let (line, column) = problems.files.line_column(place);
        (format!("{line}:{column}"), problems.files.at(place))
    };
    problems.list.iter().map(|p| (at(p).0, p.code, at(p).1)).collect()
}

#[tokio::test]
async fn unknown_names_are_all_found_and_explained() {
    let text = "CREATE TABLE users (id int PRIMARY KEY, email citext);\n\
                CREATE VIEW v AS SELECT * FROM users;\n\
                CREATE TABLE orders (id int PRIMARY KEY, person int REFERENCES persons);\n\
                CREATE VIEW w AS SELECT idd FROM orders2;\n\
                CREATE TABLE orders2 (id int);\n\
                CREATE TABLE nowhere.t (id int);\n\
                CREATE TABLE x (id uuid DEFAULT uuid_generate_v4());\n\
                CREATE VIEW y AS SELECT * FROM orders3;\n\
                CREATE TABLE ééé (a int, b spilt.type);\n";
    let p = problems("unknown_names", text).await;
    assert_eq!(
        shown(&p),
        [
            ("1:47".into(), "source::unknown_type", "citext"),
            ("3:64".into(), "source::unknown_table", "persons"),
            ("4:25".into(), "source::unknown_column", "idd"),
            ("6:14".into(), "source::unknown_schema", "nowhere"),
            ("7:33".into(), "source::unknown_function", "uuid_generate_v4"),
            ("8:32".into(), "source::unknown_table", "orders3"),
            ("9:28".into(), "source::unknown_schema", "spilt"),
        ]
    );
    assert_eq!(p.following.len(), 1);
    assert!(p.list[0].help.as_ref().is_some_and(|h| h.contains("CREATE EXTENSION citext;")), "{:?}", p.list[0]);
    assert!(p.list[4].help.as_ref().is_some_and(|h| h.contains("CREATE EXTENSION \"uuid-ossp\";")));
    assert_eq!(p.list[5].help.as_deref(), Some("did you mean orders?"));
}

#[tokio::test]
async fn broken_bodies_are_found_at_their_line() {
    let text = "CREATE FUNCTION good() RETURNS int LANGUAGE sql AS 'SELECT count(*)::int FROM later';\n\
                CREATE TABLE later (id int);\n\
                CREATE FUNCTION bad() RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n  RETURN 1 +;\n  IF;\nEND $$;\n\
                CREATE FUNCTION worse() RETURNS int LANGUAGE sql AS $x$\n  SELECT 1\n  FROM nowhere\n$x$;\n\
                CREATE FUNCTION own_path() RETURNS int LANGUAGE sql SET search_path = s AS 'SELECT a FROM t';\n\
                CREATE SCHEMA s CREATE TABLE t (a int);\n";
    let p = problems("broken_bodies", text).await;
    let found = shown(&p);
    assert_eq!(
        found.iter().map(|f| (f.1, f.2)).collect::<Vec<_>>(),
        [("source::function_body", ";"), ("source::function_body", "nowhere")]
    );
    assert_eq!((found[0].0.as_str(), found[1].0.as_str()), ("5:13", "10:8"));
}

#[tokio::test]
async fn extensions_owners_and_rights_load_without_a_superuser() {
    let text = "GRANT SELECT ON t TO reader;\nREVOKE ALL ON t FROM writer;\nGRANT INSERT ON t TO writer;\n\
                ALTER TABLE t OWNER TO writer;\nALTER TABLE s.t OWNER TO writer;\n\
                COMMENT ON EXTENSION earthdistance IS 'x';\nCREATE TABLE t (a citext, g earth, i uuid DEFAULT uuid_generate_v4());\n\
                CREATE ROLE reader;\nCREATE EXTENSION earthdistance;\nCREATE EXTENSION cube;\nCREATE EXTENSION citext;\nCREATE EXTENSION \"uuid-ossp\";\n\
                CREATE SCHEMA s AUTHORIZATION writer;\nCREATE TABLE s.t (LIKE public.t);\n\
                ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO reader;\n\
                ALTER TABLE t ENABLE ROW LEVEL SECURITY;\nCREATE POLICY p ON t TO reader USING (f(a));\n\
                CREATE FUNCTION f(citext) RETURNS bool LANGUAGE sql AS 'SELECT true';\n\
                CREATE MATERIALIZED VIEW m AS SELECT * FROM t;\nCREATE INDEX CONCURRENTLY i ON m (a);\nINSERT INTO t VALUES ('a');";
    let _alone = alone().await;
    let s = scratch("owners").await;
    let loaded = load_statements(&s.loader, Some(&s.administrator), &Files::text("a.sql", text), &Policy::default()).await;
    let loaded = loaded.unwrap_or_else(|p| panic!("{p}"));
    assert_eq!(loaded.created_roles.iter().map(String::as_str).collect::<Vec<_>>(), ["reader", "writer"]);
    assert_eq!(loaded.skipped_data, 1);
    assert_eq!(loaded.notices, ["outside scope: role reader", "1 statement on rows skipped: rows are not part of the schema"]);
    let row = s.loader.query_one("SELECT relacl::text, relowner::regrole::text FROM pg_class WHERE relname = 't' AND relnamespace = 'public'::regnamespace", &[]);
    let row = row.await.expect("a row");
    assert_eq!(row.get::<_, &str>(0), "{reader=r/writer,writer=a/writer}");
    assert_eq!(row.get::<_, &str>(1), "writer");
    let policy = ["public".to_owned(), "t".to_owned(), "p".to_owned()];
    assert!(loaded.place_of(Class::Policy, &policy).is_some());
    drop(s);
    drop_roles("owners").await;
}

#[tokio::test]
async fn a_missing_extension_names_the_ways_out() {
    let p = problems("missing_extension", "CREATE EXTENSION nosuch;\n").await;
    assert_eq!(p.list[0].code, "source::missing_extension");
    assert!(p.list[0].help.as_ref().is_some_and(|h| h.contains("--shadow")));
}

#[tokio::test]
async fn objects_of_a_superuser_and_of_others_are_refused() {
    let p = problems("superuser_owner", "CREATE TABLE t ();\nALTER TABLE t OWNER TO plumb_root;").await;
    assert_eq!(p.list[0].code, "source::refused");
    let p = problems("superuser_schema", "CREATE SCHEMA s AUTHORIZATION plumb_root;").await;
    assert_eq!(p.list[0].code, "source::statement");
}

#[tokio::test]
async fn the_servers_own_objects_cannot_be_taken() {
    let _alone = alone().await;
    let policy = Policy { allow_extensions: vec!["dblink".into()], ..Policy::default() };
    for (n, text) in [
        "ALTER FUNCTION pg_read_file(text) OWNER TO thief;",
        "CREATE EXTENSION dblink;\nALTER FUNCTION dblink(text) OWNER TO thief;",
    ]
    .iter()
    .enumerate()
    {
        let p = load(&format!("taken{n}"), &Files::text("a.sql", text), &policy).await.expect_err("must not load");
        assert!(p.list[0].message.starts_with("the files give function"), "{p}");
        drop_roles(&format!("taken{n}")).await;
    }
    let p = problems("given", "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO public;").await;
    assert_eq!(
        (p.list[0].code, p.list[0].message.as_str()),
        ("source::statement", "permission denied for function pg_read_file")
    );
    let text = "CREATE EXTENSION dblink;\nGRANT ALL ON FUNCTION dblink_connect_u(text) TO thief;";
    let loaded = load("rights_on_extension", &Files::text("a.sql", text), &policy).await.unwrap_or_else(|p| panic!("{p}"));
    assert_eq!(loaded.notices, ["not run: rights on objects of extensions (1)"]);
    drop_roles("rights_on_extension").await;
}

#[tokio::test]
async fn an_enum_label_may_be_used_after_it_was_added() {
    let text = "CREATE TYPE k AS ENUM ('a');\nALTER TYPE k ADD VALUE 'b';\nCREATE TABLE t (k k DEFAULT 'b' CHECK (k = 'b'));";
    load("enum_label", &Files::text("a.sql", text), &Policy::default()).await.unwrap_or_else(|p| panic!("{p}"));
}

#[tokio::test]
async fn circles_are_cut_where_sql_has_a_cut() {
    let text = "CREATE TABLE a (id int PRIMARY KEY, b int REFERENCES b DEFERRABLE);\n\
                CREATE TABLE b (id int PRIMARY KEY, a int, CONSTRAINT back FOREIGN KEY (a) REFERENCES a ON DELETE CASCADE);\n\
                CREATE SEQUENCE s OWNED BY t.id;\nCREATE TABLE t (id int DEFAULT nextval('s'));";
    let s = scratch("circles").await;
    let loaded = load_statements(&s.loader, Some(&s.administrator), &Files::text("a.sql", text), &Policy::default()).await;
    loaded.unwrap_or_else(|p| panic!("{p}"));
    let rows = s.loader.query("SELECT conname::text FROM pg_constraint WHERE contype = 'f' ORDER BY 1", &[]).await.expect("keys");
    assert_eq!(rows.iter().map(|r| r.get::<_, &str>(0)).collect::<Vec<_>>(), ["a_b_fkey", "back"]);
    let owned = s.loader.query_one("SELECT pg_get_serial_sequence('t', 'id')", &[]).await.expect("a row");
    assert_eq!(owned.get::<_, Option<&str>>(0), Some("public.s"));
    let p = problems("real_circle", "CREATE VIEW v AS SELECT * FROM w;\nCREATE VIEW w AS SELECT * FROM v;").await;
    assert_eq!(p.list.len(), 2);
}

#[tokio::test]
async fn statements_out_of_order_load() {
    let Ok(cases) = std::fs::read_to_string(format!("{SHARED}/cases/out_of_order.jsonl")) else {
        return eprintln!("skipped: {SHARED} is not there");
    };
    let mut wrong = Vec::new();
    for line in cases.lines() {
        let case: serde_json::Value = serde_json::from_str(line).expect("json");
        let text = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
        if let Err(p) = load("out_of_order", &Files::text("new.sql", &text("new")), &Policy::default()).await {
            wrong.push(format!("{}: {p}", text("name")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Roles outlive the database that named them.
pub(super) async fn drop_roles(database: &str) {
    let root = connect("plumb_root", "postgres").await;
    root.batch_execute(&format!("DROP DATABASE {database} WITH (FORCE)")).await.expect("drops the database");
    let roles =
        "SELECT rolname::text FROM pg_roles WHERE rolname !~ '^(pg_|plumb_root)' AND (NOT rolcanlogin OR rolname = 'postgres')";
    for role in root.query(roles, &[]).await.expect("roles").iter().map(|r| r.get::<_, String>(0)) {
        root.batch_execute(&format!("DROP ROLE {}", crate::sql::ident(&role))).await.expect("drops a role");
    }
}

#[path = "corpora_tests.rs"]
mod corpora;
