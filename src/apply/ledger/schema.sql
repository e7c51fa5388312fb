-- The ledger as it is wanted. plumb plans from nothing to here, or from an older ledger, and what it plans is kept beside this file
-- (`1.sql`; tests/ledger_schema.rs), so that a database that has its first plan applied needs no scratch database for that.
-- Every table has a primary key, so that rows may change while all tables are published.

CREATE SCHEMA plumb;
COMMENT ON SCHEMA plumb IS 'The ledger of plumb: which plans were applied to this database, when, by whom, and how they ended. plumb compares none of it.';

CREATE TABLE plumb.ledger_version (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    version integer NOT NULL
);
COMMENT ON TABLE plumb.ledger_version IS 'The form that the tables of the ledger have.';

CREATE TABLE plumb.plan (
    id text PRIMARY KEY,
    document json NOT NULL,
    stored timestamp with time zone NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE plumb.plan IS 'Plan documents, as they were reviewed.';

CREATE TABLE plumb.snapshot (
    id text PRIMARY KEY,
    catalog bytea NOT NULL,
    stored timestamp with time zone NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
ALTER TABLE plumb.snapshot ALTER COLUMN catalog SET STORAGE EXTERNAL;
COMMENT ON TABLE plumb.snapshot IS 'The schema before and after the last deployments: what plumb snapshot writes, compressed by gzip.';

CREATE TABLE plumb.deployment (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan text NOT NULL REFERENCES plumb.plan,
    state text NOT NULL CHECK (state IN ('open', 'done', 'void', 'abandoned')),
    steps integer NOT NULL,
    before text REFERENCES plumb.snapshot ON DELETE SET NULL,
    after text REFERENCES plumb.snapshot ON DELETE SET NULL,
    started timestamp with time zone NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    ended timestamp with time zone
);
COMMENT ON TABLE plumb.deployment IS 'A plan on its way: open until its last group is committed, void when nothing of it was applied.';
CREATE UNIQUE INDEX deployment_only_one_is_open ON plumb.deployment ((true)) WHERE state = 'open';

CREATE TABLE plumb.run (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    deployment bigint NOT NULL REFERENCES plumb.deployment,
    role text NOT NULL DEFAULT current_user,
    login text NOT NULL DEFAULT session_user,
    os_user text,
    host text,
    ci text,
    plumb text NOT NULL,
    started timestamp with time zone NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    ended timestamp with time zone,
    outcome text CHECK (outcome IN ('done', 'differs', 'failed', 'interrupted', 'lost', 'abandoned')),
    message text
);
COMMENT ON TABLE plumb.run IS 'Each plumb that worked at a deployment. One that was killed has no end: the next one finds it lost.';

CREATE TABLE plumb.step (
    deployment bigint NOT NULL REFERENCES plumb.deployment,
    number integer NOT NULL,
    run bigint NOT NULL REFERENCES plumb.run,
    object text NOT NULL,
    state text NOT NULL CHECK (state IN ('started', 'done', 'failed')),
    started timestamp with time zone,
    ended timestamp with time zone,
    rows bigint,
    message text,
    PRIMARY KEY (deployment, number)
);
COMMENT ON TABLE plumb.step IS 'Steps. One in a transaction is done when that is committed, and only then is its row there.';

CREATE TABLE plumb.lease (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    token bigint NOT NULL,
    run bigint REFERENCES plumb.run,
    pid integer,
    backend_start timestamp with time zone,
    renewed timestamp with time zone
);
COMMENT ON TABLE plumb.lease IS 'Who may apply: each transaction of a plan first makes sure that its token is still the one here.';
