CREATE TABLE organizations (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name       text NOT NULL,
    slug       slug NOT NULL UNIQUE,
    plan       org_plan NOT NULL DEFAULT 'free',
    settings   jsonb NOT NULL DEFAULT '{}',
    seat_limit integer NOT NULL DEFAULT 5,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CONSTRAINT organizations_seat_limit_check CHECK (seat_limit BETWEEN 1 AND 100000)
);

CREATE TRIGGER organizations_set_updated_at BEFORE UPDATE ON organizations
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER organizations_audit AFTER INSERT OR UPDATE OR DELETE ON organizations
    FOR EACH ROW EXECUTE FUNCTION audit_row_change('id');

COMMENT ON TABLE organizations IS 'Tenants of the platform';
COMMENT ON COLUMN organizations.deleted_at IS 'Set on soft delete; rows are purged after 90 days';
