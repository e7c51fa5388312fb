CREATE TABLE sessions (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token_digest bytea NOT NULL UNIQUE,
    ip_address   inet,
    expires_at   timestamptz NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sessions_expiry_check CHECK (expires_at > created_at)
);

CREATE INDEX sessions_user_idx ON sessions (user_id, expires_at DESC);

COMMENT ON TABLE sessions IS 'Active user sessions';
COMMENT ON COLUMN sessions.token_digest IS 'SHA-256 of the bearer token, never the token itself';
