//! Quoted bodies, of whose contents the server keeps no dependencies: plans that bring what they need, and plans that break them.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use support::desk::desk;

/// Bodies that work as long as `app.orders` has its column.
const LIVE: &str = r#"CREATE SCHEMA app; CREATE SCHEMA other;
CREATE TABLE app.orders (id int PRIMARY KEY, total int, note text);
CREATE FUNCTION other.sum_of() RETURNS bigint LANGUAGE sql AS 'SELECT sum(total) FROM app.orders';
CREATE FUNCTION other.path_set() RETURNS bigint LANGUAGE sql SET search_path = app AS 'SELECT sum(total) FROM orders';
CREATE FUNCTION other.row_of(r app.orders) RETURNS int LANGUAGE sql AS 'SELECT (r).total';
CREATE FUNCTION other.declares() RETURNS void LANGUAGE plpgsql AS 'DECLARE x app.orders.total%TYPE; BEGIN x := 1; END';
CREATE FUNCTION other.broken_before() RETURNS bigint LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION other.calls() RETURNS int LANGUAGE sql AS 'SELECT app.helper(1)';
CREATE FUNCTION app.helper(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
"#;

#[test]
fn bodies_that_a_plan_breaks_are_named() {
    desk("breaks", async |d| {
        let live = format!("SET check_function_bodies = off; {}", LIVE.replace("AS 'SELECT 1'", "AS 'SELECT nothing'"));
        d.sql(&live).await;
        let wanted = "CREATE SCHEMA app;\nCREATE TABLE app.orders (id int PRIMARY KEY, note text);\n";
        d.place.write("schema/app.sql", wanted);
        let plan = d.exits(2, "plan --db $DB --out plan.json");
        assert!(plan.stdout.contains("Proven"), "{}", plan.stdout);
        let stored = d.place.read("plan.json");
        for name in ["sum_of()", "path_set()", "row_of(app.orders)", "declares()"] {
            let sentence = format!("function other.{name} names column app.orders.total, which goes");
            assert!(stored.contains(&sentence), "{name}: {stored}");
        }
        assert!(stored.contains("function other.calls() names function app.helper(integer), which goes"), "{stored}");
        // What a hazard says is not said again, and what was broken before is nobody's fault.
        assert!(!stored.contains("does not work after this plan") && !stored.contains("broken_before() names"), "{stored}");
        let underlined = "line 1 of the body: SELECT sum(total) FROM app.orders\n";
        let at = plan.stdout.find(underlined).unwrap_or_else(|| panic!("{}", plan.stdout)) + underlined.len();
        let marks = plan.stdout[at..].lines().next().unwrap();
        let column = plan.stdout[..at].lines().last().unwrap().find("total").unwrap();
        assert_eq!(marks.trim(), "^^^^^");
        assert_eq!(marks.find('^'), Some(column), "{}", plan.stdout);
        let words = |text: &str| text.replace("--", " ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&plan.stdout).contains("breaks-body: function other.sum_of() names"), "{}", plan.stdout);
        let sql = d.exits(2, "plan --db $DB --out - --format sql").stdout;
        assert!(words(&sql).contains("breaks-body: function other.sum_of() names"), "{sql}");
    });
}

const QUOTED: &str = r#"CREATE FUNCTION app.total() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    found bigint;
BEGIN
    SELECT sum("O""; --".amount) INTO found FROM app."O""; --";
    RETURN found;
END $$;
CREATE FUNCTION app.touched() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.amount := 1;
    RETURN NEW;
END $$;
CREATE FUNCTION app.innocent(amount int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    RETURN amount + (SELECT count(*) FROM app."O""; --");
END $$;
"#;

#[test]
fn lines_of_bodies_are_those_of_the_files() {
    desk("lines", async |d| {
        let trigger = r#"CREATE TRIGGER t BEFORE UPDATE ON app."O""; --" FOR EACH ROW EXECUTE FUNCTION app.touched();"#;
        let table = |more: &str| format!(r#"CREATE SCHEMA app; CREATE TABLE app."O""; --" (id int PRIMARY KEY{more});"#);
        d.sql(&format!("{} {QUOTED} {trigger}", table(", amount int"))).await;
        d.place.write("schema/app.sql", &format!("{}\n{QUOTED}{trigger}\n", table("")));
        let plan = d.exits(2, "plan --db $DB --out plan.json");
        assert!(plan.stdout.contains("app.sql:6: ") && plan.stdout.contains("app.sql:11: "), "{}", plan.stdout);
        assert!(!d.place.read("plan.json").contains("innocent(integer) names"), "{}", plan.stdout);
        d.exits(3, "apply plan.json --db $DB --allow loses-values");
        d.exits(0, "apply plan.json --db $DB --allow loses-values --allow breaks-body");
    });
}

#[test]
fn bodies_that_a_plan_leaves_alone_are_not_named() {
    desk("leaves", async |d| {
        d.sql(&format!("SET check_function_bodies = off; {LIVE}")).await;
        d.place.write(
            "schema/app.sql",
            "CREATE SCHEMA app;\nCREATE TABLE app.orders (id int PRIMARY KEY, total int, more int);\n\
             CREATE FUNCTION app.helper(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1';\n",
        );
        let plan = d.exits(2, "plan --db $DB --out plan.json");
        assert!(plan.stdout.contains("Proven"), "{}", plan.stdout);
        assert!(!d.place.read("plan.json").contains("does not work"), "{}", plan.stdout);
    });
}

/// Bodies that plpgsql takes, and plpgsql_check does not; what was so before the plan is not the plan's.
const CHECKED: &str = r#"CREATE TABLE orders (id int PRIMARY KEY, total int);
CREATE FUNCTION before() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT missing FROM orders); END $$;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  NEW.total := 1;
  RETURN NEW;
END $$;
CREATE TRIGGER touch BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch();
"#;

#[test]
fn what_plpgsql_check_finds_in_the_copy_is_a_warning() {
    desk("plpgsql_check", async |d| {
        if d.number("SELECT count(*) FROM pg_available_extensions WHERE name = 'plpgsql_check'").await == 0 {
            println!("skipped: the server does not have plpgsql_check (Debian: postgresql-15-plpgsql-check)");
            return;
        }
        d.sql(CHECKED).await;
        let made = r#"CREATE FUNCTION "Sé""lect; --"() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
  RETURN (SELECT lost FROM orders);
END $$;
CREATE FUNCTION fine() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT sum(id) FROM orders); END $$;"#;
        let wanted = CHECKED.replace("NEW.total", "NEW.totals") + made;
        d.place.write("schema/all.sql", &wanted);
        let plan = d.exits(2, "plan --db $DB --out plan.json");
        let text = plan.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        let says = |words: &str| text.contains(&format!("plpgsql_check says {words}"));
        assert!(says("error in line 2: column \"lost\" does not exist"), "{}", plan.stdout);
        assert!(text.contains(r#"Warning: function public."Sé""lect; --"()"#), "{}", plan.stdout);
        assert!(says("error in line 2: record \"new\" has no field \"totals\""), "{}", plan.stdout);
        assert!(!text.contains("before()") && !text.contains("fine() :") && !text.contains("fine():"), "{}", plan.stdout);
        d.exits(0, "apply plan.json --db $DB");
        assert_eq!(d.number("SELECT count(*) FROM pg_extension WHERE extname = 'plpgsql_check'").await, 0);
    });
}
