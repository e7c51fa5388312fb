-- What plumb plans from nothing to schema.sql. It is run in one transaction, by the role that applies the first plan.
CREATE SCHEMA plumb;
COMMENT ON SCHEMA plumb IS 'The ledger of plumb: which plans were applied to this database, when, by whom, and how they ended. plumb compares none of it.';
CREATE TABLE plumb.deployment (
    id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    plan text NOT NULL,
    state text NOT NULL,
    steps integer NOT NULL,
    before text,
    after text,
    started timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended timestamp with time zone,
    CONSTRAINT deployment_pkey PRIMARY KEY (id),
    CONSTRAINT deployment_state_check CHECK ((state = ANY (ARRAY['open'::text, 'done'::text, 'void'::text, 'abandoned'::text])))
);
COMMENT ON TABLE plumb.deployment IS 'A plan on its way: open until its last group is committed, void when nothing of it was applied.';
CREATE TABLE plumb.lease (
    only_one boolean DEFAULT true NOT NULL,
    token bigint NOT NULL,
    run bigint,
    pid integer,
    backend_start timestamp with time zone,
    renewed timestamp with time zone,
    CONSTRAINT lease_pkey PRIMARY KEY (only_one),
    CONSTRAINT lease_only_one_check CHECK (only_one)
);
COMMENT ON TABLE plumb.lease IS 'Who may apply: each transaction of a plan first makes sure that its token is still the one here.';
CREATE TABLE plumb.ledger_version (
    only_one boolean DEFAULT true NOT NULL,
    version integer NOT NULL,
    CONSTRAINT ledger_version_pkey PRIMARY KEY (only_one),
    CONSTRAINT ledger_version_only_one_check CHECK (only_one)
);
COMMENT ON TABLE plumb.ledger_version IS 'The form that the tables of the ledger have.';
CREATE TABLE plumb.plan (
    id text NOT NULL,
    document json NOT NULL,
    stored timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT plan_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE plumb.plan IS 'Plan documents, as they were reviewed.';
CREATE TABLE plumb.run (
    id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    deployment bigint NOT NULL,
    role text DEFAULT CURRENT_USER NOT NULL,
    login text DEFAULT SESSION_USER NOT NULL,
    os_user text,
    host text,
    ci text,
    plumb text NOT NULL,
    started timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended timestamp with time zone,
    outcome text,
    message text,
    CONSTRAINT run_pkey PRIMARY KEY (id),
    CONSTRAINT run_outcome_check CHECK ((outcome = ANY (ARRAY['done'::text, 'differs'::text, 'failed'::text, 'interrupted'::text, 'lost'::text, 'abandoned'::text])))
);
COMMENT ON TABLE plumb.run IS 'Each plumb that worked at a deployment. One that was killed has no end: the next one finds it lost.';
CREATE TABLE plumb.snapshot (
    id text NOT NULL,
    catalog bytea NOT NULL,
    stored timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT snapshot_pkey PRIMARY KEY (id)
);
ALTER TABLE ONLY plumb.snapshot ALTER COLUMN catalog SET STORAGE EXTERNAL;
COMMENT ON TABLE plumb.snapshot IS 'The schema before and after the last deployments: what plumb snapshot writes, compressed by gzip.';
CREATE TABLE plumb.step (
    deployment bigint NOT NULL,
    number integer NOT NULL,
    run bigint NOT NULL,
    object text NOT NULL,
    state text NOT NULL,
    started timestamp with time zone,
    ended timestamp with time zone,
    rows bigint,
    message text,
    CONSTRAINT step_pkey PRIMARY KEY (deployment, number),
    CONSTRAINT step_state_check CHECK ((state = ANY (ARRAY['started'::text, 'done'::text, 'failed'::text])))
);
COMMENT ON TABLE plumb.step IS 'Steps. One in a transaction is done when that is committed, and only then is its row there.';
CREATE UNIQUE INDEX deployment_only_one_is_open ON plumb.deployment USING btree ((true)) WHERE (state = 'open'::text);
ALTER TABLE plumb.deployment ADD CONSTRAINT deployment_after_fkey FOREIGN KEY (after) REFERENCES plumb.snapshot (id) ON DELETE SET NULL;
ALTER TABLE plumb.deployment ADD CONSTRAINT deployment_before_fkey FOREIGN KEY (before) REFERENCES plumb.snapshot (id) ON DELETE SET NULL;
ALTER TABLE plumb.deployment ADD CONSTRAINT deployment_plan_fkey FOREIGN KEY (plan) REFERENCES plumb.plan (id);
ALTER TABLE plumb.lease ADD CONSTRAINT lease_run_fkey FOREIGN KEY (run) REFERENCES plumb.run (id);
ALTER TABLE plumb.run ADD CONSTRAINT run_deployment_fkey FOREIGN KEY (deployment) REFERENCES plumb.deployment (id);
ALTER TABLE plumb.step ADD CONSTRAINT step_deployment_fkey FOREIGN KEY (deployment) REFERENCES plumb.deployment (id);
ALTER TABLE plumb.step ADD CONSTRAINT step_run_fkey FOREIGN KEY (run) REFERENCES plumb.run (id);
