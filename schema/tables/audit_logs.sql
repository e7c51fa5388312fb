CREATE TABLE audit_logs (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id uuid,
    actor_id        uuid,
    action          text NOT NULL,
    table_name      text NOT NULL,
    row_id          text,
    old_row         jsonb,
    new_row         jsonb,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT audit_logs_action_check CHECK (action IN ('INSERT', 'UPDATE', 'DELETE'))
);

CREATE INDEX audit_logs_org_time_idx ON audit_logs (organization_id, created_at DESC);

-- No foreign keys on purpose: the trail outlives what it describes.
COMMENT ON TABLE audit_logs IS 'System-wide audit trail, kept for at least 90 days';
