use super::*;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables: BTreeMap<String, String> = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let socket_directories = vec![PathBuf::from("/nowhere/plumb-a"), PathBuf::from("/nowhere/plumb-b")];
    Environment { variables, home: None, os_user: Some("ann".into()), socket_directories }
}

fn target(text: &str) -> Target {
    Target::parse_in(text, &environment(&[])).unwrap()
}

fn message(text: &str) -> String {
    Target::parse_in(text, &environment(&[])).unwrap_err().to_string()
}

fn password(target: &Target) -> Option<&str> {
    target.password_for(&target.endpoints[0]).map(Secret::reveal)
}

#[test]
fn defaults_are_those_of_libpq() {
    let target = target("");
    assert_eq!((target.user(), target.database(), target.host().as_str()), ("ann", "ann", "/tmp"));
    assert_eq!(target.application_name, "plumb");
    assert_eq!(target.timeout, Some(DEFAULT_TIMEOUT));
    assert_eq!(target.to_string(), "ann on /tmp");
}

#[test]
fn the_database_defaults_to_the_role() {
    assert_eq!(target("user=bob").database(), "bob");
    assert_eq!(target("postgres://bob@h").database(), "bob");
}

#[test]
fn explicit_before_variables_before_defaults() {
    let environment =
        environment(&[("PGHOST", "env.host"), ("PGPORT", "6000"), ("PGDATABASE", "env"), ("PGUSER", ""), ("PGAPPNAME", "x")]);
    let target = Target::parse_in("postgres://h/d", &environment).unwrap();
    assert_eq!(target.to_string(), "d on h:6000");
    assert_eq!(target.user(), "ann");
    assert_eq!(target.application_name, "x");
    let target = Target::from_environment_in(&environment).unwrap().unwrap();
    assert_eq!(target.to_string(), "env on env.host:6000");
}

#[test]
fn a_password_alone_names_no_target() {
    assert!(Target::from_environment_in(&environment(&[("PGPASSWORD", "x"), ("PGSSLMODE", "require")])).unwrap().is_none());
    assert!(Target::from_environment_in(&environment(&[("PGDATABASE", "x")])).unwrap().is_some());
    assert!(Target::from_environment_in(&environment(&[("PGDATABASE", "")])).unwrap().is_none());
}

#[test]
fn hosts_ports_and_addresses_pair_up() {
    assert_eq!(target("host=a,b,/s port=1,,3").host(), "a:1, b, /s:3");
    assert_eq!(target("host=a,b port=7").host(), "a:7, b:7");
    assert_eq!(target("postgres://[::1]:5433/").host(), "[::1]:5433");
    let both = target("host=db hostaddr=10.0.0.1");
    assert_eq!(both.endpoints[0].address, Some("10.0.0.1".parse().unwrap()));
    assert_eq!(target("hostaddr=::1").host(), "::1");
    assert!(message("host=a,b hostaddr=10.0.0.1").contains("1 addresses for 2 hosts"));
    assert!(message("host=a port=1,2").contains("2 ports for 1 hosts"));
    assert!(message("host=a port=0").contains("1 to 65535"));
    assert!(message("host=a port=99999").contains("1 to 65535"));
    assert!(message("hostaddr=db").contains("numeric"));
    assert!(message("host=@abstract").contains("abstract"));
}

#[test]
fn values_from_a_short_list_are_checked() {
    assert_eq!(target("target_session_attrs=prefer-standby").role_wanted, ServerRole::PreferStandby);
    let error = message("target_session_attrs=primry");
    assert!(error.contains("primry") && error.contains("prefer-standby"), "{error}");
    assert!(message("sslmode=verify").contains("verify-full"));
    assert!(message("connect_timeout=soon").contains("seconds"));
    assert_eq!(target("connect_timeout=0").timeout, None);
    assert_eq!(target("connect_timeout=5").timeout, Some(Duration::from_secs(5)));
}

#[test]
fn protections_we_cannot_give_are_refused() {
    assert!(message("requirepeer=postgres").contains("requirepeer"));
    assert!(message("gssencmode=require").contains("gssencmode"));
    assert!(target("gssencmode=disable").warnings.is_empty());
    let refused = Target::parse_in("", &environment(&[("PGREQUIREPEER", "postgres")]));
    assert_eq!(refused.unwrap_err().code(), "connect::unsupported_parameter");
}

#[test]
fn other_schemes_are_explained() {
    for text in ["mysql://a/b", "jdbc:postgresql://h/d", "postgres:/h/d?a=b"] {
        assert!(Target::parse_in(text, &environment(&[])).is_err(), "{text}");
    }
    assert!(message("mysql://a/b?x=y").contains("postgresql://"));
}

#[test]
fn a_password_is_shown_nowhere() {
    let target = target("postgres://u:hunter2@h/d");
    assert_eq!(password(&target), Some("hunter2"));
    assert!(!format!("{target} {target:?} {target:#?}").contains("hunter2"));
}

#[test]
fn pgpass_gives_the_password_of_each_database() {
    let path = std::env::temp_dir().join(format!("plumb-target-{}", std::process::id()));
    std::fs::write(&path, "localhost:*:app:ann:local\nh:5432:app:ann:remote\nh:*:*:ann:other\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let environment = environment(&[("PGPASSFILE", path.to_str().unwrap())]);
    let parse = |text: &str| Target::parse_in(text, &environment).unwrap();
    assert_eq!(password(&parse("dbname=app")), Some("local"));
    assert_eq!(password(&parse("host=/nowhere/plumb-a dbname=app")), Some("local"));
    assert_eq!(password(&parse("host=h dbname=app")), Some("remote"));
    assert_eq!(password(&parse("host=h dbname=app").with_database("x")), Some("other"));
    assert_eq!(password(&parse("host=h dbname=app password=given").with_database("x")), Some("given"));
    assert_eq!(password(&parse("host=elsewhere dbname=app")), None);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_service_comes_between_explicit_and_variables() {
    let path = std::env::temp_dir().join(format!("plumb-target-service-{}", std::process::id()));
    std::fs::write(&path, "[app]\nhost=s.host\nport=7000\ndbname=s\n").unwrap();
    let environment = environment(&[("PGSERVICEFILE", path.to_str().unwrap()), ("PGPORT", "6000"), ("PGUSER", "env")]);
    let target = Target::parse_in("service=app dbname=d", &environment).unwrap();
    assert_eq!((target.to_string().as_str(), target.user()), ("d on s.host:7000", "env"));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn ssl_settings_are_checked_together() {
    assert!(message("sslrootcert=system sslmode=require").contains("verify-full"));
    assert!(message("sslnegotiation=direct sslmode=prefer").contains("require"));
    target("sslrootcert=system");
}

#[test]
fn settings_travel_as_options() {
    let target = target("host=h options='-c a=b'").with_setting("role", r"odd \ name").with_setting("TimeZone", "UTC");
    assert_eq!(target.options.as_deref(), Some(r"-c a=b -c role=odd\ \\\ name -c TimeZone=UTC"));
}
