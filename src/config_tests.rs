use super::*;

const FULL: &str = r#"
schema = "db/schema"
plans = "db/plans"
owner = "app_owner"
shadow = "auto"
lock_timeout = "500ms"

[scope]
schemas = ["public", "billing"]

[screen]
allow_do = true
allow_languages = ["plpython3u"]
allow_superuser = true

[env.production]
url = "postgresql://deploy:${DEPLOY_PASSWORD}@db.internal/app?x=$y"
direct_url = "${DIRECT}"
schema = "db/production"
shadow = "target"
owner = "prod_owner"

[env.local]
"#;

fn failed(text: &str) -> ConfigError {
    read("plumb.toml", text).expect_err("an error")
}

fn underlined(error: &ConfigError) -> &str {
    &error.text[error.span.clone().expect("a span")]
}

#[test]
fn everything_is_read() {
    let config = read("team/plumb.toml", FULL).expect("reads");
    assert_eq!((config.schema.as_str(), config.plans.as_str()), ("team/db/schema", "team/db/plans"));
    assert_eq!(config.lock_timeout, Some(Duration::from_millis(500)));
    assert_eq!(config.scope.schemas, ["public", "billing"]);
    assert!(config.screen.allow_do && config.screen.allow_superuser);
    assert_eq!(config.screen.allow_languages, ["plpython3u"]);
    assert_eq!(config.environments(), ["local", "production"]);
    let variable = |name: &str| Some(name.to_lowercase());
    let Ok(production) = config.environment_in("production", &variable) else { panic!("an environment") };
    assert_eq!(production.url.as_deref(), Some("postgresql://deploy:deploy_password@db.internal/app?x=$y"));
    assert_eq!(production.direct_url.as_deref(), Some("direct"));
    assert_eq!(production.schema.as_deref(), Some("team/db/production"));
    assert!(config.environment_in("local", &variable).ok() == Some(Environment::default()));
}

#[test]
fn an_absent_default_is_no_error() {
    let config = read("plumb.toml", "").expect("reads");
    assert_eq!((config.schema.as_str(), config.plans.as_str()), ("schema", "plans"));
    assert_eq!(load(Some(Path::new("/nowhere/plumb.toml"))).expect_err("an error").code, "config::unreadable");
}

#[test]
fn a_misspelt_key_is_underlined_with_a_suggestion() {
    let top = failed("schma = \"x\"\n");
    assert_eq!((top.code, top.message.as_ref(), underlined(&top)), ("config::unknown_key", "unknown key `schma`", "schma"));
    assert_eq!(top.help.as_deref(), Some("did you mean `schema`?"));
    let inner = failed("[env.prod]\nurl = \"x\"\ndirekt_url = \"y\"\n");
    assert_eq!((underlined(&inner), inner.help.as_deref()), ("direkt_url", Some("did you mean `direct_url`?")));
    let table = failed("[scopes]\nschemas = []\n");
    assert_eq!((underlined(&table), table.help.as_deref()), ("scopes", Some("did you mean `scope`?")));
    let far = failed("[scope]\nzzzzzz = 1\n");
    assert_eq!(far.help.as_deref(), Some("known here: schemas"));
}

#[test]
fn rules_have_levels_and_unknown_ones_are_underlined() {
    use crate::report::Level;
    let rule = |code: &str| lint::find(code).expect("a rule");
    let text =
        "[lint]\nserial = \"off\"\nmissing-primary-key = \"error\"\ntenant_column = \"tenant_id\"\ntenant_schemas = [\"app\"]\n";
    let read = read("plumb.toml", text).expect("reads").lint;
    assert_eq!((read.level(rule("serial")), read.level(rule("missing-primary-key"))), (Level::Off, Level::Error));
    assert_eq!(read.level(rule("json-type")), rule("json-type").level);
    assert_eq!((read.tenant_column.as_deref(), read.tenant_schemas), (Some("tenant_id"), vec!["app".to_owned()]));
    let unknown = failed("[lint]\njson-type = \"off\"\nmising-primary-key = \"error\"\n");
    assert_eq!((unknown.code, underlined(&unknown)), ("config::unknown_key", "mising-primary-key"));
    assert_eq!(unknown.help.as_deref(), Some("did you mean `missing-primary-key`?"));
    let level = failed("[lint]\nserial = \"warn\"\n");
    assert_eq!((level.code, underlined(&level)), ("config::value", "\"warn\""));
    assert_eq!(level.help.as_deref(), Some("write one of: error, warning, off"));
    assert_eq!(failed("[lint]\ntenant_column = 3\n").code, "config::value");
}

#[test]
fn wrong_values_and_syntax_have_their_place() {
    let value = failed("[screen]\nallow_do = \"yes\"\n");
    assert_eq!((value.code, underlined(&value)), ("config::value", "\"yes\""));
    let timeout = failed("lock_timeout = \"soon\"\n");
    assert_eq!((timeout.code, underlined(&timeout)), ("config::value", "\"soon\""));
    assert_eq!(failed("schema = \n").code, "config::syntax");
}

#[test]
fn variables_and_environments_that_are_missing_are_named() {
    let config = read("plumb.toml", FULL).expect("reads");
    let Err(unset) = config.environment_in("production", &|_| None) else { panic!("an error") };
    assert_eq!((unset.code, underlined(&unset)), ("config::variable", "${DEPLOY_PASSWORD}"));
    assert!(unset.message.contains("DEPLOY_PASSWORD"));
    let Err(unknown) = config.environment_in("prodction", &|_| None) else { panic!("an error") };
    assert_eq!(unknown.help.as_deref(), Some("did you mean \"production\"?"));
}

#[test]
fn durations_have_units() {
    assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
    assert_eq!(duration("1m"), Ok(Duration::from_secs(60)));
    assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
    assert!(duration("soon").is_err() && duration("2 weeks").is_err());
}
