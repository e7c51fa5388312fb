CREATE TABLE agent_tasks (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    -- plumb: ignore foreign-key-without-index: users are deactivated, hardly ever deleted
    created_by      uuid REFERENCES users (id) ON DELETE SET NULL,
    agent_name      text NOT NULL,
    status          task_status NOT NULL DEFAULT 'queued',
    payload         jsonb NOT NULL DEFAULT '{}',
    attempts        smallint NOT NULL DEFAULT 0,
    scheduled_at    timestamptz NOT NULL DEFAULT now(),
    started_at      timestamptz,
    finished_at     timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    priority        smallint NOT NULL DEFAULT 5,
    CONSTRAINT agent_tasks_priority_check CHECK (priority BETWEEN 1 AND 10),
    CONSTRAINT agent_tasks_finished_after_start CHECK (finished_at IS NULL OR finished_at >= started_at)
);

-- What the workers ask: the most urgent, then the oldest task that waits.
CREATE INDEX agent_tasks_queue_idx ON agent_tasks (priority DESC, scheduled_at) WHERE status = 'queued';
CREATE INDEX agent_tasks_org_status_idx ON agent_tasks (organization_id, status, created_at DESC);

CREATE TRIGGER agent_tasks_set_updated_at BEFORE UPDATE ON agent_tasks
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER agent_tasks_audit AFTER INSERT OR UPDATE OR DELETE ON agent_tasks
    FOR EACH ROW EXECUTE FUNCTION audit_row_change('id');

COMMENT ON TABLE agent_tasks IS 'Queued, paused and executing agent tasks';
COMMENT ON COLUMN agent_tasks.priority IS '10 runs first';
