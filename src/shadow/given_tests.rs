//! Tests of scratch databases on a server that is not plumb's own.

use super::tests::{names, programs, text};
use super::*;

/// A given server: a private cluster in the role of somebody's.
async fn given(user: &str, attributes: &str) -> (Cluster, Session, Target, Properties) {
    let (cluster, ruler) = Cluster::start(&programs()).await.unwrap();
    ruler.client.batch_execute(&format!("CREATE ROLE {user} LOGIN {attributes}")).await.unwrap();
    ruler.client.batch_execute(&format!("CREATE DATABASE live OWNER {user}")).await.unwrap();
    let target = cluster.target("live", user);
    let live = pg::connect(&target).await.unwrap();
    let properties = Properties::read(&live).await.unwrap();
    live.close().await;
    (cluster, ruler, target, properties)
}

const REMAINS: &str = "SELECT ((SELECT count(*) FROM pg_database WHERE datname LIKE 'plumb%') + \
                       (SELECT count(*) FROM pg_roles WHERE rolname IN ('app', 'other')))::text";

#[tokio::test]
async fn a_given_server_is_left_as_it_was() {
    let (_cluster, ruler, target, properties) = given("deploy", "CREATEDB CREATEROLE").await;
    let shadow = Shadow::open(&Choice::Target, &properties, Some(&target)).await.unwrap();
    let scratch = shadow.scratch(&properties, "app", &names(&["app", "other"])).await.unwrap();
    assert_eq!((scratch.session.user.as_str(), scratch.administrator.user.as_str()), ("app", "deploy"));
    scratch.session.client.batch_execute("RESET ROLE; CREATE SCHEMA s; CREATE TABLE s.t ()").await.unwrap();
    shadow.close().await.unwrap();
    assert_eq!(text(&ruler, REMAINS).await, "0");
    drop(scratch);
    let shadow = Shadow::open(&Choice::Target, &properties, Some(&target)).await.unwrap();
    let _scratch = shadow.scratch(&properties, "deploy", &names(&["deploy", "other"])).await.unwrap();
    drop(shadow);
    assert_eq!(text(&ruler, REMAINS).await, "0");
}

#[tokio::test]
async fn missing_rights_are_named() {
    let (_cluster, _ruler, target, properties) = given("deploy", "").await;
    let error = Shadow::open(&Choice::Target, &properties, Some(&target)).await.err().unwrap();
    assert_eq!(error.code(), "shadow::missing_right");
    assert!(error.to_string().contains("CREATEDB"), "{error}");
    let other = Properties { major: properties.major - 1, ..properties.clone() };
    assert_eq!(Shadow::open(&Choice::Target, &other, Some(&target)).await.err().unwrap().code(), "shadow::other_version");
    assert_eq!(Shadow::open(&Choice::Target, &other, None).await.err().unwrap().code(), "shadow::no_target");
}

#[tokio::test]
async fn what_a_killed_plumb_left_is_removed() {
    let (_cluster, ruler, target, properties) = given("deploy", "CREATEDB CREATEROLE").await;
    let maker = pg::connect(&target).await.unwrap();
    for name in ["plumb_scratch_0123456789abcdef", "plumb_scratch_notes"] {
        maker.client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await.unwrap();
    }
    for role in ["app", "other", "adopted"] {
        maker.client.batch_execute(&claim::create_role(role)).await.unwrap();
    }
    maker.client.batch_execute("ALTER ROLE adopted LOGIN").await.unwrap();
    let claimed = ["app", "plumb_scratch_0123456789abcdef"];
    claim::claim(&maker, claimed.into_iter()).await.unwrap();
    let open = async || Shadow::open(&Choice::Target, &properties, Some(&target)).await.unwrap();
    let left = "SELECT (SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE datname LIKE 'plumb%') || ' ' || \
                (SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolname IN ('app', 'other', 'adopted'))";
    open().await.close().await.unwrap();
    assert_eq!(text(&ruler, left).await, "plumb_scratch_0123456789abcdef plumb_scratch_notes adopted app", "in use");
    maker.close().await;
    while text(&ruler, "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory'").await != "0" {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await; // the server notices a moment later
    }
    open().await.close().await.unwrap();
    assert_eq!(text(&ruler, left).await, "plumb_scratch_notes adopted");
}

#[tokio::test]
async fn a_role_stays_as_long_as_somebody_needs_it() {
    let (_cluster, ruler, target, properties) = given("deploy", "CREATEDB CREATEROLE").await;
    let open = async || Shadow::open(&Choice::Target, &properties, Some(&target)).await.unwrap();
    let first = open().await;
    first.scratch(&properties, "deploy", &names(&["app"])).await.unwrap();
    let second = open().await;
    let scratch = second.scratch(&properties, "deploy", &names(&["app"])).await.unwrap();
    first.close().await.unwrap();
    open().await.close().await.unwrap();
    scratch.session.client.batch_execute("CREATE TABLE t (); GRANT SELECT ON t TO app").await.unwrap();
    second.close().await.unwrap();
    assert_eq!(text(&ruler, REMAINS).await, "0");
}
