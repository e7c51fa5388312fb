//! No password leaves plumb: whatever it is given one in, and whatever it writes.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use std::path::Path;
use support::command::{self, Done, Place, finish, socket, url_as};
use support::desk::{Desk, TABLE, desk};

/// How one command is given the password.
struct Way {
    name: &'static str,
    /// `$URL` has no password, `$FULL` has it.
    db: &'static str,
    variable: bool,
    file: bool,
}

const WAYS: &[Way] = &[
    Way { name: "url", db: "$FULL", variable: false, file: false },
    Way { name: "keywords", db: "$WORDS", variable: false, file: false },
    Way { name: "variable", db: "$URL", variable: true, file: false },
    Way { name: "file", db: "$URL", variable: false, file: true },
];

/// Commands with everything that they can be made to say.
const COMMANDS: &[&str] = &[
    "snapshot --db $ -vv",
    "plan --db $ --out plan.json -vv",
    "plan --db $ --out - --format markdown",
    "plan --db $ --out - --format html",
    "plan --db $ --out - --format json",
    "plan --db $ --out - --format sql",
    "prove plan.json --db $ -vv",
    "apply plan.json --db $ -vv",
    "apply plan.json --db $",
    "drift --db $ --format json",
    "diff $ schema -vv",
    "dump --db $",
    "check --db $",
    "plan --db $ --shadow $ --out - -vv",
    "plan --db $ --schema no_such_folder",
];

/// Commands that fail while they know it.
const FAILING: &[&str] =
    &["plan --db $&sslmode=require", "plan --db $&connect_timeout=x", "plan --db $&nonsense=1", "plan --db $ --shadow nowhere"];

/// Everything that a command has written: its output, and every file in its folder.
fn written(place: &Place, done: &Done) -> String {
    fn all(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            match entry.is_dir() {
                true => all(&entry, text),
                false if entry.ends_with("pgpass") || entry.ends_with("plumb.toml") => {}
                false => *text += &String::from_utf8_lossy(&std::fs::read(&entry).unwrap()),
            }
        }
    }
    let mut text = format!("{}{}", done.stdout, done.stderr);
    all(place.path(), &mut text);
    text
}

fn none_of(secrets: &[&str], text: &str, what: &str) {
    for secret in secrets {
        let at = text.find(secret).map(|n| text[..n].rsplit('\n').next().unwrap_or_default().to_owned());
        assert!(at.is_none(), "{what}: the password stands behind {at:?}");
    }
}

/// As it is, and as URLs write it.
const SECRET: &str = "Zw3i&Birnen/7";
const ENCODED: &str = "Zw3i%26Birnen%2F7";

fn run(d: &Desk<'_>, way: &Way, role: &str, line: &str) -> Done {
    let url = url_as(&d.database, role);
    let full = url.replacen(&format!("{role}@"), &format!("{role}:{ENCODED}@"), 1);
    let words = format!("host={} dbname={} user={role} password={SECRET}", socket(), d.database);
    let db = way.db.replace("$URL", &url).replace("$FULL", &full).replace("$WORDS", &words);
    let arguments: Vec<String> = line.split(' ').map(|w| w.replace('$', &db)).collect();
    let mut command = d.place.command(&arguments);
    if way.variable {
        command.env("PGPASSWORD", SECRET);
    }
    if way.file {
        let path = d.place.path().join("pgpass");
        std::fs::write(&path, format!("*:*:*:{role}:{SECRET}\n")).unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        command.env("PGPASSFILE", path);
    }
    finish(command.spawn().unwrap())
}

#[test]
fn the_password_of_a_connection_is_written_nowhere() {
    for way in WAYS {
        let role = format!("secret_{}", way.name);
        desk(&format!("secret-{}", way.name), async |d| {
            command::scram(&d.session, &role, SECRET).await;
            d.sql(&format!("ALTER ROLE {role} SUPERUSER")).await;
            d.place.write("schema/users.sql", TABLE);
            for line in COMMANDS {
                let done = run(d, way, &role, line);
                let fine = if line.contains("no_such") { vec![1] } else { vec![0, 2] };
                assert!(fine.contains(&done.exit), "{}: plumb {line}: {done:?}", way.name);
                none_of(&[SECRET, ENCODED], &written(&d.place, &done), &format!("{}: plumb {line}", way.name));
            }
            for line in FAILING.iter().filter(|_| way.name == "url") {
                let done = run(d, way, &role, line);
                none_of(&[SECRET, ENCODED], &written(&d.place, &done), &format!("{}: plumb {line}", way.name));
            }
            let wrong = Way { name: "wrong", ..*way };
            d.sql(&format!("ALTER ROLE {role} PASSWORD 'another'")).await;
            let done = run(d, &wrong, &role, "plan --db $ -vv");
            assert_eq!(done.exit, 1, "{done:?}");
            none_of(&[SECRET, ENCODED], &written(&d.place, &done), "a wrong password");
            d.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
        });
    }
}

#[test]
fn a_configured_password_is_written_nowhere() {
    desk("secret-config", async |d| {
        d.place.write("schema/users.sql", TABLE);
        let url = url_as(&d.database, "nobody_of_this_name").replacen('@', &format!(":{ENCODED}@"), 1);
        d.place.write(
            "plumb.toml",
            &format!(
                "[env.a]\nurl = \"{url}\"\n[env.b]\nurl = \"${{URL}}\"\n[env.c]\nurl = \"postgres://x:{ENCODED}@h:port/d\"\n"
            ),
        );
        for line in ["plan --env a -vv", "plan --env b -vv", "plan --env c -vv", "plan --env d"] {
            let words: Vec<&str> = line.split(' ').collect();
            let done = finish(d.place.command(&words).env("URL", &url).spawn().unwrap());
            assert_eq!(done.exit, 1, "{done:?}");
            none_of(&[SECRET, ENCODED], &format!("{}{}", done.stdout, done.stderr), line);
        }
        // an error in the configuration shows its line
        d.place.write("plumb.toml", &format!("[env.a]\nurl = \"postgres://x:{ENCODED}@h/d\" oops\n"));
        let done = d.exits(1, "plan --env a");
        assert!(done.stderr.contains("config::"), "{done:?}");
        none_of(&[SECRET, ENCODED], &done.stderr, "an error in the configuration");
    });
}

/// Objects that hold passwords: none of them is managed; each is named.
const HOLDERS: &str = "
CREATE FOREIGN DATA WRAPPER w OPTIONS (secret_of_w 'Apf3l');
CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'h', password 'Apf3l');
CREATE FOREIGN TABLE ft (a int OPTIONS (token 'Apf3l')) SERVER s OPTIONS (password 'Apf3l');
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (user 'u', password 'Apf3l');
CREATE SUBSCRIPTION sub CONNECTION 'host=h user=u password=Apf3l' PUBLICATION p WITH (connect = false, slot_name = NONE);
";

#[test]
fn passwords_in_options_are_written_nowhere() {
    desk("secret-options", async |d| {
        d.sql(HOLDERS).await;
        d.place.write("schema/users.sql", TABLE);
        for line in ["plan --db $DB --out plan.json -vv", "plan --db $DB --out - --format html", "drift --db $DB --format json"] {
            let done = d.exits(2, line);
            none_of(&["Apf3l"], &written(&d.place, &done), line);
            assert!(done.stdout.contains("user mapping"), "it is named: {}", done.stdout);
        }
        let snapshot = d.exits(0, "snapshot --db $DB");
        none_of(&["Apf3l"], &snapshot.stdout, "snapshot");
        // whoever guesses a short password must not find it by the digest
        d.sql(&HOLDERS_CHANGED.replace("NEW", "B1rne")).await;
        let changed = d.exits(0, "snapshot --db $DB");
        assert_eq!(snapshot.stdout, changed.stdout, "digests depend on passwords");
        d.sql("ALTER SERVER s OPTIONS (SET host 'other')").await;
        assert_ne!(d.exits(0, "snapshot --db $DB").stdout, changed.stdout, "an option that is no secret counts");
        d.sql("DROP SUBSCRIPTION sub").await;
    });
}

const HOLDERS_CHANGED: &str = "
ALTER FOREIGN DATA WRAPPER w OPTIONS (SET secret_of_w 'NEW');
ALTER SERVER s OPTIONS (SET password 'NEW');
ALTER FOREIGN TABLE ft OPTIONS (SET password 'NEW');
ALTER FOREIGN TABLE ft ALTER COLUMN a OPTIONS (SET token 'NEW');
ALTER USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (SET password 'NEW');
ALTER SUBSCRIPTION sub CONNECTION 'host=h user=u password=NEW';
";

#[test]
fn an_error_at_a_line_with_a_password_does_not_show_it() {
    desk("secret-line", async |d| {
        for sql in [
            "CREATE USER MAPPING FOR CURRENT_USER SERVER nowhere OPTIONS (user 'u', password 'Apf3l');",
            "CREATE SUBSCRIPTION sub CONNECTION 'host=h user=u password=Apf3l' PUBLICATION p;",
            "CREATE SUBSCRIPTION sub CONNECTION 'postgres://u:Apf3l@h/d' PUBLICATION p;",
            "ALTER ROLE x PASSWORD 'Apf3l' oops;",
        ] {
            d.place.write("schema/a.sql", sql);
            let done = d.exits(1, "plan --db $DB -vv");
            none_of(&["Apf3l"], &format!("{}{}", done.stdout, done.stderr), sql);
        }
    });
}
