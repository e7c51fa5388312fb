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
