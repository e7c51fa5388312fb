//! The plans that are disturbed: one that has everything that a plan is made of, and one of two hundred steps.

use super::site::Script;
use std::fmt::Write;

/// Transactions, indexes made and dropped concurrently, constraints that are validated, values in batches, a label of an enum that
/// is used, partitions that come and go.
pub const RICH: Script<'static> = Script {
    before: "
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, email text);
CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint, total numeric(10, 2), mood mood, note text);
CREATE INDEX orders_note ON orders (note);
CREATE TABLE events (id bigint NOT NULL, at date NOT NULL, kind text) PARTITION BY RANGE (at);
CREATE TABLE events_2023 PARTITION OF events FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE events_2025 (id bigint NOT NULL, at date NOT NULL, kind text);
CREATE VIEW totals AS SELECT customer, sum(total) AS total FROM orders GROUP BY customer;
INSERT INTO customers SELECT n, 'customer ' || n, 'c' || n || '@example.org' FROM generate_series(1, 240) n;
INSERT INTO orders SELECT n, 1 + n % 240, n, CASE n % 2 WHEN 0 THEN 'ok'::mood END, 'note ' || n FROM generate_series(1, 500) n;
INSERT INTO events SELECT n, date '2023-01-01' + n % 700, 'kind' FROM generate_series(1, 300) n;
INSERT INTO events_2025 SELECT n, date '2025-01-01' + n % 300, 'kind' FROM generate_series(1, 100) n;
",
    after: "
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE customers (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    email text UNIQUE,
    -- plumb: backfill upper(name)
    code text
);
CREATE TABLE orders (
    id bigint PRIMARY KEY,
    customer bigint REFERENCES customers,
    total numeric(10, 2),
    mood mood DEFAULT 'happy',
    note text
);
CREATE INDEX orders_customer ON orders (customer);
COMMENT ON TABLE orders IS 'What was ordered; it''s paid.';
CREATE TABLE events (id bigint NOT NULL, at date NOT NULL, kind text) PARTITION BY RANGE (at);
CREATE TABLE events_2023 (id bigint NOT NULL, at date NOT NULL, kind text);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE VIEW totals AS SELECT customer, sum(total) AS total, count(*) AS orders FROM orders GROUP BY customer;
CREATE TABLE \"Sélect\"\"; --\" (id bigint PRIMARY KEY, x text);
",
    config: "backfill_batch = 100\nbackfill_pause = \"1ms\"\n",
};

/// How many tables the plan of two hundred steps is about.
const TABLES: usize = 14;

/// The plan of two hundred steps: before, and after it.
pub fn long() -> (String, String) {
    let (mut before, mut after) = (String::new(), String::new());
    before += "CREATE TYPE state AS ENUM ('new');\n";
    after += "CREATE TYPE state AS ENUM ('new', 'old');\n";
    for n in 1..=TABLES {
        let other = if n == 1 { TABLES } else { n - 1 };
        write!(
            before,
            "CREATE TABLE t{n} (id bigint PRIMARY KEY, other bigint, word text, state state, gone text);
             INSERT INTO t{n} SELECT i, 1 + i % 2000, CASE WHEN i % 4 > 0 THEN 'word ' || i END, 'new', 'gone' FROM generate_series(1, 2000) i;
"
        )
        .unwrap();
        write!(
            after,
            "CREATE TABLE t{n} (
    id bigint PRIMARY KEY,
    other bigint REFERENCES t{other},
    -- plumb: backfill 'word'
    word text NOT NULL,
    state state DEFAULT 'old',
    more integer CHECK (more > 0)
);
CREATE INDEX t{n}_other ON t{n} (other);
CREATE INDEX t{n}_word ON t{n} (word);
CREATE VIEW v{n} AS SELECT id, word FROM t{n};
COMMENT ON VIEW v{n} IS 'view {n}';
"
        )
        .unwrap();
    }
    (before, after)
}
