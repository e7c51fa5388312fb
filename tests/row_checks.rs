//! Rows that would be in the way of a step: found when the plan is made, refused before anything is applied, and no others.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use support::desk::desk;

/// One way to fail: the live database, the files, the condition's words, the rows that are found, and what mends it. An expression
/// of the files that calls somebody's functions is asked by `apply` only.
struct Way {
    name: &'static str,
    live: &'static str,
    wanted: &'static str,
    says: &'static str,
    keys: &'static str,
    mend: &'static str,
    evaluates: bool,
}

const WAYS: &[Way] = &[
    Way {
        name: "not_null",
        live: "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t SELECT n, CASE WHEN n <> 7 THEN 'x' END FROM generate_series(1, 9) n",
        wanted: "CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL);",
        says: "every row of public.t has a value in a, and 1 row would be in the way",
        keys: ": 7",
        mend: "UPDATE t SET a = 'x'",
        evaluates: false,
    },
    Way {
        name: "column_without_value",
        live: "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)",
        wanted: "CREATE TABLE t (id int PRIMARY KEY, \"Sé\"\"lect\" text NOT NULL);",
        says: "public.t has no rows, for which \"Sé\"\"lect\" would have no value, and 2 rows would be in the way",
        keys: ": 1; 2",
        mend: "DELETE FROM t",
        evaluates: false,
    },
    Way {
        name: "column_of_domain_without_value",
        live: "CREATE DOMAIN d AS text NOT NULL; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)",
        wanted: "CREATE DOMAIN d AS text NOT NULL; CREATE TABLE t (id int PRIMARY KEY, a d);",
        says: "public.t has no rows, for which a would have no value, and 2 rows would be in the way",
        keys: ": 1; 2",
        mend: "DELETE FROM t",
        evaluates: false,
    },
    Way {
        name: "unique",
        live: "CREATE TABLE t (a int, b int); INSERT INTO t VALUES (1, 1), (1, 1), (1, NULL), (1, NULL)",
        wanted: "CREATE TABLE t (a int, b int, UNIQUE (a, b));",
        says: "no two rows of public.t have the same (a, b), and 1 row would be in the way",
        keys: ": (1,1)",
        mend: "DELETE FROM t WHERE ctid = '(0,1)'",
        evaluates: false,
    },
    Way {
        name: "primary_key",
        live: "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1), (NULL)",
        wanted: "CREATE TABLE t (a int PRIMARY KEY);",
        says: "no two rows of public.t have the same (a), and 1 row would be in the way",
        keys: ": (1)",
        mend: "DELETE FROM t WHERE ctid <> '(0,1)'",
        evaluates: false,
    },
    Way {
        name: "unique_index",
        live: "CREATE TABLE t (id int PRIMARY KEY, a text, gone bool); INSERT INTO t VALUES (1, 'x', false), (2, 'X', false), (3, 'x', true)",
        wanted: "CREATE TABLE t (id int PRIMARY KEY, a text, gone bool); CREATE UNIQUE INDEX u ON t (lower(a)) WHERE NOT gone;",
        says: "no two rows of public.t have the same (lower(a)), and 1 row would be in the way",
        keys: ": (x)",
        mend: "DELETE FROM t WHERE id = 2",
        evaluates: false,
    },
    Way {
        name: "exclusion",
        live: "CREATE TABLE t (id int PRIMARY KEY, \"Sé\"\"lect\" int4range); INSERT INTO t VALUES (1, '[1,5)'), (2, '[5,9)'), (3, '[8,12)'), (4, NULL)",
        wanted: "CREATE TABLE t (id int PRIMARY KEY, \"Sé\"\"lect\" int4range, EXCLUDE USING gist (\"Sé\"\"lect\" WITH &&));",
        says: "exclude each other: EXCLUDE USING gist (\"Sé\"\"lect\" WITH &&), and 2 rows would be in the way",
        keys: ": 2; 3",
        mend: "DELETE FROM t WHERE id = 3",
        evaluates: false,
    },
    Way {
        name: "exclusion_of_some",
        live: "CREATE TABLE t (id int PRIMARY KEY, a int, t text); INSERT INTO t VALUES (1, 5, 'x'), (2, -5, 'x'), (3, 5, 'y'), (4, 6, 'x')",
        wanted: "CREATE TABLE t (id int PRIMARY KEY, a int, t text, EXCLUDE USING btree (abs(a) WITH =) WHERE (t <> 'y'));",
        says: "exclude each other: EXCLUDE USING btree (abs(a) WITH =) WHERE ((t <> 'y'::text)), and 2 rows would be in the way",
        keys: ": 1; 2",
        mend: "DELETE FROM t WHERE id = 1",
        evaluates: false,
    },
    Way {
        name: "check",
        live: "CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 5), (2, -5), (3, NULL)",
        wanted: "CREATE TABLE t (id int PRIMARY KEY, a int CONSTRAINT positive CHECK (a > 0));",
        says: "every row of public.t fulfils positive: (a > 0), and 1 row would be in the way",
        keys: ": 2",
        mend: "DELETE FROM t WHERE id = 2",
        evaluates: false,
    },
    Way {
        name: "check_that_calls_a_function",
        live: "CREATE FUNCTION fine(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 > 0'; CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 5), (2, -5)",
        wanted: "CREATE FUNCTION fine(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 > 0'; CREATE TABLE t (id int PRIMARY KEY, a int CONSTRAINT positive CHECK (fine(a)));",
        says: "every row of public.t fulfils positive: ",
        keys: ": 2",
        mend: "DELETE FROM t WHERE id = 2",
        evaluates: true,
    },
    Way {
        name: "check_of_an_enum",
        live: "CREATE TYPE \"É'm\" AS ENUM ('a', 'b'); CREATE TABLE t (id int PRIMARY KEY, a \"É'm\"); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
        wanted: "CREATE TYPE \"É'm\" AS ENUM ('a', 'b'); CREATE TABLE t (id int PRIMARY KEY, a \"É'm\" CONSTRAINT c CHECK (a = ANY ('{a}')));",
        says: "every row of public.t fulfils c: ",
        keys: ": 2",
        mend: "DELETE FROM t WHERE id = 2",
        evaluates: false,
    },
    Way {
        name: "foreign_key",
        live: "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, p int); INSERT INTO p VALUES (1); INSERT INTO t VALUES (1, 1), (2, 2), (3, NULL)",
        wanted: "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, p int REFERENCES p);",
        says: "every row of public.t refers with (p) to one of public.p, and 1 row would be in the way",
        keys: ": 2",
        mend: "DELETE FROM t WHERE id = 2",
        evaluates: false,
    },
    Way {
        name: "fewer_characters",
        live: "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'abc'), (2, 'abcd')",
        wanted: "CREATE TABLE t (id int PRIMARY KEY, a varchar(3));",
        says: "every value of public.t.a fits into character varying(3), and 1 row would be in the way",
        keys: ": 2",
        mend: "DELETE FROM t WHERE id = 2",
        evaluates: false,
    },
    Way {
        name: "fewer_digits",
        live: "CREATE TABLE t (id int PRIMARY KEY, a bigint); INSERT INTO t VALUES (1, 5), (2, 3000000000)",
        wanted: "CREATE TABLE t (id int PRIMARY KEY, a int);",
        says: "every value of public.t.a fits into integer, and 1 row would be in the way",
        keys: ": 2",
        mend: "DELETE FROM t WHERE id = 2",
        evaluates: false,
    },
    Way {
        name: "another_type",
        live: "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, '2026-01-01'), (2, 'soon')",
        wanted: "CREATE TABLE t (id int PRIMARY KEY, a date);",
        says: "every value of public.t.a fits into date, and one does not: invalid input syntax for type date: \"soon\"",
        keys: "",
        mend: "DELETE FROM t WHERE id = 2",
        evaluates: false,
    },
    Way {
        name: "enum_label",
        live: "CREATE TYPE e AS ENUM ('a', 'b', 'c'); CREATE TABLE t (id int PRIMARY KEY, a e); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
        wanted: "CREATE TYPE e AS ENUM ('a', 'c'); CREATE TABLE t (id int PRIMARY KEY, a e);",
        says: "no row of public.t has 'b' in a, and 1 row would be in the way",
        keys: ": 2",
        mend: "DELETE FROM t WHERE id = 2",
        evaluates: false,
    },
    Way {
        name: "domain",
        live: "CREATE DOMAIN d AS int; CREATE TABLE t (id int PRIMARY KEY, a d); INSERT INTO t VALUES (1, 5), (2, -5)",
        wanted: "CREATE DOMAIN d AS int CHECK (VALUE > 0); CREATE TABLE t (id int PRIMARY KEY, a d);",
        says: "every value of public.t.a fulfils (VALUE > 0), and 1 row would be in the way",
        keys: ": 2",
        mend: "DELETE FROM t WHERE id = 2",
        evaluates: false,
    },
    Way {
        name: "partition",
        live: "CREATE TABLE m (id int) PARTITION BY RANGE (id); CREATE TABLE t (id int); INSERT INTO t VALUES (1), (20)",
        wanted: "CREATE TABLE m (id int) PARTITION BY RANGE (id); CREATE TABLE t PARTITION OF m FOR VALUES FROM (1) TO (10);",
        says: "every row of public.t fulfils FOR VALUES FROM (1) TO (10)",
        keys: "t (0,2)",
        mend: "DELETE FROM t WHERE id = 20",
        evaluates: false,
    },
];

#[test]
fn rows_in_the_way_are_found_and_refused() {
    for way in WAYS {
        desk(&format!("rows_{}", way.name), async |d| {
            d.sql(way.live).await;
            d.place.write("schema/all.sql", way.wanted);
            let plan = d.exits(2, "plan --db $DB --out plan.json");
            if way.evaluates {
                assert!(plan.stdout.contains("not asked whether"), "{}: {}", way.name, plan.stdout);
            } else {
                let text = plan.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(text.contains("fails: ") && text.contains(way.says), "{}: {}", way.name, plan.stdout);
                assert!(text.contains("--allow rows"), "{}: {}", way.name, plan.stdout);
            }
            let allowed = "--allow loses-values --allow loses-rows";
            let refused = d.exits(3, &format!("apply plan.json --db $DB {allowed}"));
            assert!(refused.stderr.contains("apply::rows"), "{}: {}", way.name, refused.stderr);
            let text = refused.stderr.split_whitespace().filter(|w| !["│", "|"].contains(w)).collect::<Vec<_>>().join(" ");
            assert!(text.contains(way.says) && text.contains(way.keys), "{}: {text}", way.name);
            d.sql(way.mend).await;
            d.exits(0, &format!("apply plan.json --db $DB {allowed}"));
            let again = d.run("plan --db $DB --out plan.json");
            assert!(again.stdout.starts_with("No changes"), "{}: {}", way.name, again.stdout);
        });
    }
}

#[test]
fn what_takes_too_long_is_said_to_be_unknown() {
    desk("rows_late", async |d| {
        d.sql("CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t SELECT n FROM generate_series(1, 400000) n").await;
        d.place.write("schema/all.sql", "CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL);");
        d.place.write("plumb.toml", "row_check_timeout = \"1ms\"\n");
        let plan = d.exits(2, "plan --db $DB --out plan.json");
        assert!(plan.stdout.contains("not asked whether"), "{}", plan.stdout);
        d.place.write("plumb.toml", "row_check_timeout = \"0s\"\n");
        let plan = d.exits(2, "plan --db $DB --out plan.json");
        assert!(!plan.stdout.contains("not asked whether") && !plan.stdout.contains("fails: "), "{}", plan.stdout);
    });
}
