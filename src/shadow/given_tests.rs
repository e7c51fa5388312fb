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
    assert_eq!(error.code(), "shadow::missing-right");
    assert!(error.to_string().contains("CREATEDB"), "{error}");
    let other = Properties { major: properties.major - 1, ..properties.clone() };
    assert_eq!(Shadow::open(&Choice::Target, &other, Some(&target)).await.err().unwrap().code(), "shadow::other-version");
    assert_eq!(Shadow::open(&Choice::Target, &other, None).await.err().unwrap().code(), "shadow::no-target");
}
