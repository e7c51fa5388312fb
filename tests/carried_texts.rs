//! A type change makes the server read and write the definitions of what rests on the column once more, and their texts may be other
//! ones then: the plan knows what they will be.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use support::desk::desk;

fn schema(state: u32, email: u32) -> String {
    format!(
        "CREATE TABLE t (id bigint PRIMARY KEY, state varchar({state}) CHECK (state IN ('a', 'b', 'c')), email varchar({email}),
            EXCLUDE USING btree (email WITH =) WHERE (email IN ('x', 'y')));
        CREATE INDEX t_open ON t (id) WHERE state IN ('a', 'b');
        CREATE INDEX t_mail ON t (email) WHERE email IN ('a', 'b');
        CREATE INDEX t_both ON t ((email IN ('p', 'q'))) WHERE state NOT IN ('a');"
    )
}

#[test]
fn what_the_server_writes_anew_is_what_the_plan_says() {
    desk("carried", async |d| {
        d.sql(&format!("{} INSERT INTO t SELECT n, 'a', 'm' || n FROM generate_series(1, 2000) n; ANALYZE t", schema(20, 40)))
            .await;
        for (online, state, email) in [("auto", 20, 80), ("always", 30, 80), ("never", 40, 90), ("auto", 50, 100)] {
            d.place.write("schema/all.sql", &schema(state, email));
            d.exits(2, &format!("plan --db $DB --online {online} --out plan.json"));
            d.exits(0, "apply plan.json --db $DB");
            assert!(d.exits(0, "plan --db $DB").stdout.contains("No changes"), "{online}");
        }
    });
}
