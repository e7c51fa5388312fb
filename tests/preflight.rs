//! Whether the role that applies a plan may do every step is known before the first one.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use support::command::url_as;
use support::desk::desk;

const BEFORE: &str = "CREATE TABLE mine (id int, name text);
CREATE TABLE theirs (id int, name text);
CREATE VIEW seen AS SELECT id FROM theirs;
CREATE INDEX theirs_name ON theirs (name);
";
const AFTER: &str = "CREATE TABLE mine (id int, name text, more int);
CREATE TABLE theirs (id int NOT NULL, name text, more int CHECK (more > 0));
CREATE VIEW seen AS SELECT id FROM theirs WHERE id > 0;
CREATE INDEX theirs_id ON theirs (id);
CREATE TABLE fresh (id int);
CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
";

#[test]
fn every_step_is_looked_at_before_the_first() {
    desk("may", async |d| {
        let (deploy, owner) = (format!("deploy_{}", d.database), format!("owner_{}", d.database));
        d.sql(&format!("CREATE ROLE {deploy} LOGIN; CREATE ROLE {owner}; REVOKE CREATE ON SCHEMA public FROM PUBLIC")).await;
        d.sql(&format!("GRANT CREATE ON DATABASE {} TO {deploy}", d.database)).await;
        d.sql(BEFORE).await;
        d.sql(&format!("ALTER TABLE mine OWNER TO {deploy}")).await;
        for of in ["TABLE theirs", "VIEW seen"] {
            d.sql(&format!("ALTER {of} OWNER TO {owner}")).await;
        }
        let owners = format!(
            "ALTER TABLE theirs OWNER TO {owner}; ALTER VIEW seen OWNER TO {owner}; REVOKE CREATE ON SCHEMA public FROM PUBLIC;\n"
        );
        d.place.write("schema/all.sql", &format!("{AFTER}{owners}"));
        d.place.write("plumb.toml", &format!("owner = \"{deploy}\"\n"));
        let db = url_as(&d.database, &deploy);
        d.exits(2, &format!("plan --db {db} --out plan.json"));
        let refused = d.exits(3, &format!("apply plan.json --db {db} --allow breaks-code")).stderr;
        let belongs = format!("belongs to {owner}");
        for said in ["apply::rights", "column public.theirs.more", "view public.seen", "index public.theirs_id", &belongs] {
            assert!(refused.contains(said), "{said}: {refused}");
        }
        assert!(refused.contains("it takes CREATE on schema public"), "{refused}");
        assert!(!refused.contains("public.mine"), "{refused}");
        let begun = "SELECT count(*) FROM pg_attribute WHERE attname = 'more'";
        assert_eq!(d.number(begun).await, 0, "nothing was begun");
        // Insisting leads to the server's own words.
        let tried = d.exits(1, &format!("apply plan.json --db {db} --allow breaks-code --allow rights")).stderr;
        assert!(tried.contains("apply::step") && tried.contains("42501") || tried.contains("has no right"), "{tried}");
        d.sql(&format!(
            "GRANT {owner} TO {deploy}; GRANT CREATE ON SCHEMA public TO {deploy}; GRANT CREATE ON SCHEMA public TO {owner}"
        ))
        .await;
        let grants = format!("GRANT CREATE ON SCHEMA public TO {deploy}; GRANT CREATE ON SCHEMA public TO {owner};\n");
        d.place.write("schema/all.sql", &format!("{AFTER}{owners}{grants}"));
        d.exits(2, &format!("plan --db {db} --out again.json"));
        d.exits(0, &format!("apply again.json --db {db} --allow breaks-code"));
        d.exits(0, &format!("drift --db {db}"));
    });
}

/// The server only warns of a grant that gives nothing; the plan would end as one that did not do what it says.
#[test]
fn rights_that_nobody_may_pass_on_are_known_before() {
    desk("grants", async |d| {
        let names = ["deploy", "owner", "reader"].map(|n| format!("{n}_{}", d.database));
        let [deploy, owner, reader] = &names;
        d.sql(&format!(
            "CREATE ROLE {deploy} LOGIN; CREATE ROLE {owner}; CREATE ROLE {reader}; GRANT CREATE ON DATABASE {} TO {deploy}",
            d.database
        ))
        .await;
        let before = format!(
            "CREATE SCHEMA app; CREATE TABLE app.t (id int, name text); CREATE TABLE app.lent (id int, name text);\n\
             ALTER SCHEMA app OWNER TO {owner}; ALTER TABLE app.t OWNER TO {owner}; ALTER TABLE app.lent OWNER TO {owner};\n\
             GRANT USAGE ON SCHEMA app TO {deploy}; GRANT SELECT ON app.t TO {deploy}; GRANT SELECT ON app.lent TO {deploy} WITH GRANT OPTION;\n"
        );
        d.sql(&before).await;
        let lent = format!("GRANT SELECT (name) ON app.lent TO {reader};\n");
        let after = format!("{lent}GRANT USAGE ON SCHEMA app TO {reader};\nGRANT SELECT ON app.t TO {reader};\n");
        d.place.write("plumb.toml", &format!("owner = \"{deploy}\"\n"));
        let db = url_as(&d.database, deploy);
        d.place.write("schema/all.sql", &format!("{before}{after}"));
        d.exits(2, &format!("plan --db {db} --out plan.json"));
        let refused = d.exits(3, &format!("apply plan.json --db {db} --allow widens-rights")).stderr;
        let said: Vec<&str> = refused.split(|c: char| c.is_whitespace() || c == '|').filter(|w| !w.is_empty()).collect();
        for (step, of) in [("(grant of schema app)", "schema app"), ("(grant of table app.t)", "table app.t")] {
            let why = format!("{step}: {of} belongs to {owner}, and none of its rights may be passed on");
            assert!(said.join(" ").contains(&why), "{why}: {refused}");
        }
        assert!(!refused.contains("app.lent"), "{refused}");
        // Where the right may be passed on, it is.
        d.place.write("schema/all.sql", &format!("{before}{lent}"));
        d.exits(2, &format!("plan --db {db} --out lent.json"));
        d.exits(0, &format!("apply lent.json --db {db} --allow widens-rights"));
        d.exits(0, &format!("drift --db {db}"));
    });
}
