-- Views run with their owner's rights; security_barrier keeps a caller's conditions from seeing other rows first.
-- plumb: ignore view-without-security-invoker: it shows the caller's organizations only
CREATE VIEW agent_task_overview WITH (security_barrier) AS
SELECT t.id,
       t.organization_id,
       t.agent_name,
       t.status,
       t.priority,
       t.finished_at - t.started_at AS duration
FROM agent_tasks t
WHERE t.organization_id IN (SELECT user_organizations());

COMMENT ON VIEW agent_task_overview IS 'Tasks of the caller''s organizations';

-- plumb: ignore view-without-security-invoker: it shows the caller's own sessions only
CREATE VIEW active_sessions WITH (security_barrier) AS
SELECT s.id, s.user_id, s.ip_address, s.expires_at
FROM sessions s
WHERE s.expires_at > now()
  AND s.user_id = current_user_id();

-- For the billing job; refreshed every hour.
CREATE MATERIALIZED VIEW usage_by_day AS
SELECT e.organization_id,
       (e.occurred_at AT TIME ZONE 'UTC')::date AS day,
       e.metric,
       count(*) AS events,
       sum(e.quantity) AS quantity
FROM usage_events e
GROUP BY 1, 2, 3;

-- Needed by REFRESH ... CONCURRENTLY.
CREATE UNIQUE INDEX usage_by_day_key ON usage_by_day (organization_id, day, metric);
