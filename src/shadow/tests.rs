//! Tests on real servers: the newest version that this machine has, or the one that `PLUMB_TEST_PG` names.

use super::*;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

pub(super) fn programs() -> Binaries {
    let wanted = std::env::var("PLUMB_TEST_PG").ok().and_then(|text| text.parse().ok());
    wanted.map_or_else(newest_binaries, find_binaries).expect("PostgreSQL server programs are needed to run the tests")
}

async fn shadow() -> (Shadow, Properties) {
    (Shadow::private(&programs()).await.unwrap(), Properties { major: programs().major, ..Properties::default() })
}

fn directory(shadow: &Shadow) -> PathBuf {
    match &shadow.place {
        Place::Private(cluster) => cluster.directory().to_owned(),
        Place::Given { .. } => panic!("not a private cluster"),
    }
}

/// The server process of the cluster in `directory`.
fn server_process(directory: &Path) -> u32 {
    std::fs::read_to_string(directory.join("postmaster.pid")).unwrap().lines().next().unwrap().parse().unwrap()
}

/// Waits until neither the directory nor the process is there.
fn assert_gone(directory: &Path, process: u32) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let there = || directory.exists() || Path::new(&format!("/proc/{process}")).exists();
    while there() {
        assert!(Instant::now() < deadline, "{} or process {process} is still there", directory.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(super) fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub(super) async fn text(session: &Session, query: &str) -> String {
    session.client.query_one(query, &[]).await.unwrap_or_else(|error| panic!("{query}: {error:?}")).get(0)
}

#[tokio::test]
async fn the_owner_is_an_ordinary_role_of_its_own_name() {
    let (shadow, properties) = shadow().await;
    let scratch =
        shadow.scratch(&properties, "postgres", &names(&["app", "Report Reader", "public", "pg_monitor"])).await.unwrap();
    assert_eq!(scratch.session.user, "postgres");
    assert_eq!(scratch.session.database, scratch.name);
    assert_eq!(text(&scratch.session, "SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user").await, "false");
    assert_eq!(text(&scratch.administrator, "SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user").await, "true");
    assert_eq!(
        text(&scratch.session, "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()").await,
        "postgres"
    );
    let sql = "CREATE SCHEMA s; GRANT CREATE ON SCHEMA s TO app; CREATE TABLE s.t (id int); ALTER TABLE s.t OWNER TO app; GRANT app TO \"Report Reader\"; \
               CREATE TABLE public.p (); ALTER SCHEMA s OWNER TO \"Report Reader\";";
    scratch.session.client.batch_execute(sql).await.unwrap();
    assert_eq!(text(&scratch.session, "SELECT pg_has_role('pg_monitor', 'MEMBER')::text").await, "false");
    let refused = scratch.session.client.batch_execute("COPY s.t FROM PROGRAM 'true'").await;
    assert!(refused.is_err());
    scratch.drop().await.unwrap();
    shadow.close().await.unwrap();
}

#[tokio::test]
async fn public_is_as_in_a_fresh_database() {
    let (shadow, properties) = shadow().await;
    let scratch = shadow.scratch(&properties, "ann", &BTreeSet::new()).await.unwrap();
    let owner = text(&scratch.session, "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public'").await;
    assert_eq!(owner, "pg_database_owner", "before 15, too: rights on it may be taken from everybody");
    assert_eq!(text(&scratch.session, "SELECT obj_description('public'::regnamespace)").await, "standard public schema");
}

#[tokio::test]
async fn trusted_extensions_belong_to_the_owner() {
    let (shadow, properties) = shadow().await;
    let scratch = shadow.scratch(&properties, "ann", &BTreeSet::new()).await.unwrap();
    let offered = "SELECT count(*)::text FROM pg_available_extensions WHERE name = 'citext'";
    if text(&scratch.session, offered).await == "1" {
        scratch.session.client.batch_execute("CREATE EXTENSION citext").await.unwrap();
    }
}

#[tokio::test]
async fn sessions_start_with_the_targets_settings() {
    let (shadow, mut properties) = shadow().await;
    properties.settings = vec![
        ("TimeZone".into(), "America/New_York".into()),
        ("default_text_search_config".into(), "pg_catalog.german".into()),
        ("default_table_access_method".into(), "columnar".into()),
    ];
    let scratch = shadow.scratch(&properties, "ann", &BTreeSet::new()).await.unwrap();
    pg::settings::pin(&scratch.session).await.unwrap();
    assert_eq!(text(&scratch.session, "SHOW TimeZone").await, "UTC");
    let read = Properties::read(&scratch.session).await.unwrap();
    let setting = |name: &str| read.settings.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!(setting("TimeZone"), Some("America/New_York"));
    assert_eq!(setting("default_text_search_config"), Some("pg_catalog.german"));
    assert_eq!(setting("default_table_access_method"), Some("heap"));
    assert_eq!((read.encoding.as_str(), read.collate.as_str()), ("UTF8", "C.UTF-8"));
    scratch.session.client.batch_execute("RESET ALL").await.unwrap();
    assert_eq!(text(&scratch.session, "SHOW TimeZone").await, "America/New_York");
}

#[tokio::test]
async fn a_missing_locale_falls_back() {
    let (shadow, mut properties) = shadow().await;
    properties.collate = "xx_XX.UTF-8".into();
    let scratch = shadow.scratch(&properties, "ann", &BTreeSet::new()).await.unwrap();
    assert_eq!(Properties::read(&scratch.session).await.unwrap().collate, "C.UTF-8");
}

#[tokio::test]
async fn two_scratches_of_two_owners_do_not_meet() {
    let (shadow, properties) = shadow().await;
    let first = shadow.scratch(&properties, "ann", &names(&["bob", "app"])).await.unwrap();
    let second = shadow.scratch(&properties, "bob", &names(&["ann", "app"])).await.unwrap();
    first.session.client.batch_execute("CREATE TABLE public.t ()").await.unwrap();
    assert_eq!(text(&second.session, "SELECT coalesce(to_regclass('public.t')::text, 'none')").await, "none");
    first.drop().await.unwrap();
    assert!(second.session.is_open());
}

#[tokio::test]
async fn the_owner_may_be_among_the_roles() {
    let (shadow, properties) = shadow().await;
    for _ in 0..2 {
        let scratch = shadow.scratch(&properties, "ann", &names(&["ann", "app"])).await.unwrap();
        assert_eq!(text(&scratch.session, "SELECT pg_has_role('app', 'MEMBER')::text").await, "true");
    }
}

#[tokio::test]
async fn closing_leaves_nothing() {
    let (shadow, properties) = shadow().await;
    let (directory, process) = (directory(&shadow), server_process(&directory(&shadow)));
    let scratch = shadow.scratch(&properties, "ann", &BTreeSet::new()).await.unwrap();
    shadow.close().await.unwrap();
    assert!(!directory.exists(), "gone before close returns");
    assert_gone(&directory, process);
    drop(scratch);
}

#[tokio::test]
async fn dropping_leaves_nothing_even_with_work_going_on() {
    let (shadow, properties) = shadow().await;
    let (directory, process) = (directory(&shadow), server_process(&directory(&shadow)));
    let scratch = shadow.scratch(&properties, "ann", &BTreeSet::new()).await.unwrap();
    let work = tokio::spawn(async move {
        scratch.session.client.batch_execute("SELECT sum(x) FROM generate_series(1, 1e12::bigint) x").await
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(shadow);
    assert_gone(&directory, process);
    assert!(work.await.unwrap().is_err());
}

/// What the names of our directories begin with, and how many there are now.
fn directories_of_this_process() -> usize {
    let prefix = format!("{}{}-", sweep::PREFIX, std::process::id());
    let ours = |folder: PathBuf| {
        std::fs::read_dir(folder).unwrap().flatten().filter(|e| e.file_name().to_string_lossy().starts_with(&prefix)).count()
    };
    place::folders().into_iter().map(ours).sum()
}

/// In a process of its own, since it counts directories.
#[tokio::test]
#[ignore = "a helper process of another test"]
async fn helper_that_gives_up_while_starting() {
    if std::env::var_os("PLUMB_TEST_HELPER").is_none() {
        return;
    }
    let programs = programs();
    for milliseconds in [0, 0, 0, 4, 8, 16, 24, 32] {
        let begun = Instant::now();
        let started = tokio::time::timeout(Duration::from_millis(milliseconds), Cluster::start(&programs)).await;
        drop(started);
        assert_eq!(directories_of_this_process(), 0);
        assert!(begun.elapsed() < Duration::from_millis(1900), "the watchdog had to be helped: {:?}", begun.elapsed());
    }
}

/// This test program, running one of its own helpers.
fn helper(name: &str) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("shadow::tests::{name}"), "--ignored", "--nocapture"]).env("PLUMB_TEST_HELPER", "1");
    command
}

#[test]
fn a_server_that_is_still_starting_can_be_given_up() {
    let output = helper("helper_that_gives_up_while_starting").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn two_clusters_at_once_are_strangers() {
    let programs = programs();
    let (first, second) = tokio::join!(Cluster::start(&programs), Cluster::start(&programs));
    let ((first, one), (second, two)) = (first.unwrap(), second.unwrap());
    assert_ne!(first.directory(), second.directory());
    first.stop();
    assert_eq!(text(&two, "SELECT 'alive'").await, "alive");
    assert!(one.client.batch_execute("SELECT 1").await.is_err());
    second.stop();
}

#[tokio::test]
async fn the_template_is_made_once() {
    let programs = programs();
    let made = |path: &Path| std::fs::metadata(path.join("PG_VERSION")).unwrap().modified().unwrap();
    let template = template::ensure(&programs).unwrap().path;
    let before = made(&template);
    let (cluster, _) = Cluster::start(&programs).await.unwrap();
    cluster.stop();
    assert_eq!(template::ensure(&programs).unwrap().path, template);
    assert_eq!(made(&template), before);
}

#[tokio::test]
async fn a_warm_start_is_quick() {
    let programs = programs();
    drop(template::ensure(&programs).unwrap());
    let mut best = Duration::MAX;
    let properties = Properties { major: programs.major, ..Properties::default() };
    // Other tests run at the same time; the quickest of some tries is what the machine can do.
    for _ in 0..10 {
        if best < Duration::from_millis(500) {
            break;
        }
        let begun = Instant::now();
        let shadow = Shadow::open(&Choice::Auto, &properties, None).await.unwrap();
        let started = begun.elapsed();
        let scratch = shadow.scratch(&properties, "ann", &BTreeSet::new()).await.unwrap();
        best = best.min(begun.elapsed());
        let ready = begun.elapsed();
        drop(scratch);
        shadow.close().await.unwrap();
        eprintln!("open {started:?}, with a scratch database {ready:?}, closed after {:?}", begun.elapsed());
    }
    assert!(best < Duration::from_millis(500), "{best:?}");
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let directory = std::env::temp_dir().join(format!("plumb-broken-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    for program in ["postgres", "initdb"] {
        let path = directory.join(program);
        std::fs::write(
            &path,
            "#!/bin/sh\ncase \"$1\" in --version) echo 'postgres (PostgreSQL) 15.0';; *) echo broken disk >&2; exit 1;; esac\n",
        )
        .unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let broken = Binaries::at(&directory).unwrap();
    let error = Shadow::private(&broken).await.err().unwrap();
    assert_eq!(error.code(), "shadow::initdb");
    assert!(error.to_string().contains("broken disk"), "{error}");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test]
async fn connection_errors_have_their_names() {
    let (cluster, ruler) = Cluster::start(&programs()).await.unwrap();
    let code =
        async |database: &str, user: &str| pg::connect(&cluster.target(database, user)).await.err().map(|error| error.code());
    assert_eq!(code("nowhere", BOOTSTRAP).await, Some("connect::no_such_database"));
    assert_eq!(code("template1", "nobody_here").await, Some("connect::no_such_role"));
    ruler
        .client
        .batch_execute("CREATE ROLE idle NOLOGIN; CREATE ROLE ann LOGIN; REVOKE CONNECT ON DATABASE template1 FROM public")
        .await
        .unwrap();
    assert_eq!(code("template1", "idle").await, Some("connect::not_permitted"));
    assert_eq!(code("template1", "ann").await, Some("connect::not_permitted"));
}

#[tokio::test]
async fn the_advisory_lock_keeps_a_second_plumb_out() {
    let (cluster, first) = Cluster::start(&programs()).await.unwrap();
    let second = pg::connect(&cluster.target("template1", BOOTSTRAP)).await.unwrap();
    assert!(pg::lock::holder(&first.client).await.unwrap().is_none());
    assert!(pg::lock::try_lock(&first.client).await.unwrap());
    assert!(!pg::lock::try_lock(&second.client).await.unwrap());
    let holder = pg::lock::holder(&second.client).await.unwrap().unwrap();
    assert_eq!((holder.application.as_deref(), holder.user.as_deref()), (Some("plumb"), Some(BOOTSTRAP)));
    assert!(pg::lock::unlock(&first.client).await.unwrap());
    assert!(pg::lock::try_lock(&second.client).await.unwrap());
    second.close().await;
    while !pg::lock::try_lock(&first.client).await.unwrap() {
        tokio::time::sleep(Duration::from_millis(5)).await; // the server notices a moment later
    }
}

#[tokio::test]
async fn notices_are_kept_and_statements_cancelled() {
    let (_cluster, session) = Cluster::start(&programs()).await.unwrap();
    session.client.batch_execute("DO $$ BEGIN RAISE WARNING 'first'; RAISE NOTICE 'second'; END $$").await.unwrap();
    assert_eq!(session.take_notices(), ["WARNING: first", "NOTICE: second"]);
    assert!(session.take_notices().is_empty());
    let canceller = session.canceller();
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        canceller.cancel().await.unwrap();
    };
    let (result, ()) = tokio::join!(session.client.batch_execute("SELECT pg_sleep(30)"), cancel);
    assert_eq!(result.unwrap_err().code().unwrap().code(), "57014");
}

/// The process that [`a_killed_plumb_leaves_nothing`] kills.
#[tokio::test]
#[ignore = "a helper process of another test"]
async fn helper_that_waits_to_be_killed() {
    if std::env::var_os("PLUMB_TEST_HELPER").is_none() {
        return;
    }
    let (cluster, _session) = Cluster::start(&programs()).await.unwrap();
    eprintln!("directory {}", cluster.directory().display());
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_killed_plumb_leaves_nothing() {
    let mut helper = helper("helper_that_waits_to_be_killed").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(helper.stderr.take().unwrap()).lines().map_while(Result::ok);
    let directory = lines.filter_map(|line| line.strip_prefix("directory ").map(PathBuf::from)).next().unwrap();
    let process = server_process(&directory);
    helper.kill().unwrap();
    helper.wait().unwrap();
    assert_gone(&directory, process);
}

/// Not run by default: it downloads 10 to 40 MB. `PLUMB_TEST_DOWNLOAD=17 cargo test --lib download_once -- --ignored`
#[tokio::test]
#[ignore = "needs Maven Central"]
async fn programs_are_downloaded_once() {
    let major = std::env::var("PLUMB_TEST_DOWNLOAD").ok().and_then(|text| text.parse().ok()).unwrap_or(17);
    let begun = Instant::now();
    let programs = find_or_download(major).await.unwrap();
    eprintln!("{programs:?} after {:?}", begun.elapsed());
    assert_eq!(find_or_download(major).await.unwrap(), programs);
    let properties = Properties { major, ..Properties::default() };
    let shadow = Shadow::open(&Choice::Auto, &properties, None).await.unwrap();
    let scratch = shadow.scratch(&properties, "ann", &names(&["app"])).await.unwrap();
    eprintln!("{} {}", scratch.session.version, text(&scratch.session, "SELECT version()").await);
    let begun = Instant::now();
    let icu = Properties { provider: 'i', icu_locale: Some("de-DE".into()), ..properties.clone() };
    let icu = shadow.scratch(&icu, "ann", &names(&["app"])).await.unwrap();
    eprintln!("icu: {:?} {:?}", Properties::read(&icu.session).await.unwrap(), begun.elapsed());
    shadow.close().await.unwrap();
}

#[tokio::test]
async fn the_owner_adopts_what_the_administrator_made() {
    let (shadow, properties) = shadow().await;
    let scratch = shadow.scratch(&properties, "ann", &BTreeSet::new()).await.unwrap();
    let sql = "CREATE SCHEMA s; CREATE FUNCTION s.f(int) RETURNS int LANGUAGE sql LEAKPROOF AS 'SELECT $1'; \
               CREATE AGGREGATE s.n(*) (sfunc = int8inc, stype = int8, initcond = '0'); CREATE PROCEDURE s.p() LANGUAGE sql AS 'SELECT 1'; \
               CREATE FOREIGN DATA WRAPPER w; CREATE FUNCTION s.e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; \
               CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION s.e(); CREATE OPERATOR FAMILY s.o USING btree";
    scratch.administrator.client.batch_execute(sql).await.unwrap();
    adopt(&scratch.administrator.client, "ann").await.unwrap();
    let owners = "SELECT string_agg(DISTINCT pg_get_userbyid(o)::text || rolsuper, ',') FROM pg_roles, (SELECT proowner o FROM pg_proc WHERE oid >= 16384 \
                  UNION ALL SELECT nspowner FROM pg_namespace WHERE nspname = 's' UNION ALL SELECT fdwowner FROM pg_foreign_data_wrapper \
                  UNION ALL SELECT evtowner FROM pg_event_trigger UNION ALL SELECT opfowner FROM pg_opfamily WHERE oid >= 16384) x WHERE rolname = 'ann'";
    assert_eq!(text(&scratch.session, owners).await, "annfalse");
}

#[tokio::test]
async fn two_databases_make_superusers_things_at_the_same_time() {
    let (shadow, properties) = shadow().await;
    let one = shadow.scratch(&properties, "ann", &BTreeSet::new()).await.unwrap();
    let other = shadow.scratch(&properties, "ann", &BTreeSet::new()).await.unwrap();
    for _ in 0..50 {
        let statements = as_superuser("ann", "CREATE SCHEMA s; DROP SCHEMA s;");
        let [one, other] = [&one, &other].map(|scratch| scratch.administrator.client.batch_execute(&statements));
        let (one, other) = tokio::join!(one, other);
        one.and(other).unwrap();
    }
}
