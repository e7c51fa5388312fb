CREATE TYPE org_plan AS ENUM ('free', 'pro', 'enterprise');
-- From least to most powerful: the order is used in comparisons.
CREATE TYPE member_role AS ENUM ('viewer', 'member', 'admin', 'owner');
CREATE TYPE task_status AS ENUM ('queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled');

CREATE DOMAIN slug AS text
    CONSTRAINT slug_format CHECK (VALUE ~ '^[a-z0-9]+(-[a-z0-9]+)*$');
COMMENT ON DOMAIN slug IS 'Lower-case words joined by single hyphens, safe in a URL';

-- What one agent run consumed.
CREATE TYPE agent_usage AS (
    input_tokens  integer,
    output_tokens integer,
    cost_usd      numeric(12,6)
);
