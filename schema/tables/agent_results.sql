CREATE TABLE agent_results (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    task_id         uuid NOT NULL REFERENCES agent_tasks (id) ON DELETE CASCADE,
    -- plumb: ignore foreign-key-without-index: results are found by their task
    organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    output          jsonb NOT NULL DEFAULT '{}',
    summary         text,
    -- real[] so that this example runs without pgvector, where it would be vector(1536).
    embedding       real[],
    usage           agent_usage,
    created_at      timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX agent_results_task_idx ON agent_results (task_id);
CREATE INDEX agent_results_search_idx ON agent_results USING gin (to_tsvector('english', coalesce(summary, '')));

COMMENT ON TABLE agent_results IS 'Agent execution results';
