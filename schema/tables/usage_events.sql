-- One row per billable event, partitioned by quarter.
CREATE TABLE usage_events (
    id              uuid NOT NULL DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    metric          text NOT NULL,
    quantity        numeric(20,4) NOT NULL DEFAULT 1,
    occurred_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, occurred_at)
) PARTITION BY RANGE (occurred_at);

CREATE TABLE usage_events_2025q4 PARTITION OF usage_events
    FOR VALUES FROM ('2025-10-01 00:00:00+00') TO ('2026-01-01 00:00:00+00');

CREATE TABLE usage_events_2026q1 PARTITION OF usage_events
    FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-04-01 00:00:00+00');

-- Whatever is older or too early ends up here.
CREATE TABLE usage_events_default PARTITION OF usage_events DEFAULT;

CREATE INDEX usage_events_org_metric_idx ON usage_events (organization_id, metric, occurred_at);
