-- Every tenant-scoped table is closed unless a policy opens it. FORCE makes the
-- policies hold for the owner too; it is left off where the SECURITY DEFINER
-- helpers have to read.
ALTER TABLE organizations ENABLE ROW LEVEL SECURITY;
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE organization_members ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_roles ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions FORCE ROW LEVEL SECURITY;
ALTER TABLE api_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_tokens FORCE ROW LEVEL SECURITY;
ALTER TABLE agent_tasks ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent_results ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent_reservations ENABLE ROW LEVEL SECURITY;
ALTER TABLE invoices ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_logs FORCE ROW LEVEL SECURITY;

CREATE POLICY organizations_select ON organizations FOR SELECT
    USING (id IN (SELECT user_organizations()));
CREATE POLICY organizations_update ON organizations FOR UPDATE
    USING (user_has_permission(current_user_id(), id, 'organization', 'update'));

-- People see themselves and whoever shares an organization with them.
CREATE POLICY users_select ON users FOR SELECT
    USING (
        id = current_user_id()
        OR EXISTS (
            SELECT 1 FROM organization_members m
            WHERE m.user_id = users.id
              AND m.organization_id IN (SELECT user_organizations())
        )
    );
CREATE POLICY users_update_self ON users FOR UPDATE
    USING (id = current_user_id());

CREATE POLICY organization_members_select ON organization_members FOR SELECT
    USING (organization_id IN (SELECT user_organizations()));
CREATE POLICY organization_members_insert ON organization_members FOR INSERT
    WITH CHECK (user_has_permission(current_user_id(), organization_id, 'members', 'invite'));
CREATE POLICY organization_members_delete ON organization_members FOR DELETE
    USING (user_id = current_user_id() OR user_has_permission(current_user_id(), organization_id, 'members', 'remove'));

CREATE POLICY user_roles_select ON user_roles FOR SELECT
    USING (organization_id IN (SELECT user_organizations()));

CREATE POLICY sessions_own ON sessions
    USING (user_id = current_user_id())
    WITH CHECK (user_id = current_user_id());

CREATE POLICY api_tokens_own ON api_tokens
    USING (user_id = current_user_id())
    WITH CHECK (user_id = current_user_id() AND organization_id IN (SELECT user_organizations()));

CREATE POLICY agent_tasks_select ON agent_tasks FOR SELECT
    USING (organization_id IN (SELECT user_organizations()));
CREATE POLICY agent_tasks_insert ON agent_tasks FOR INSERT
    WITH CHECK (
        created_by = current_user_id()
        AND user_has_permission(current_user_id(), organization_id, 'agents', 'run')
    );
CREATE POLICY agent_tasks_update ON agent_tasks FOR UPDATE
    USING (user_has_permission(current_user_id(), organization_id, 'agents', 'run'));
CREATE POLICY agent_tasks_service ON agent_tasks TO service_role
    USING (true) WITH CHECK (true);

CREATE POLICY agent_results_select ON agent_results FOR SELECT
    USING (organization_id IN (SELECT user_organizations()));
CREATE POLICY agent_results_service ON agent_results TO service_role
    USING (true) WITH CHECK (true);

CREATE POLICY agent_reservations_members ON agent_reservations
    USING (organization_id IN (SELECT user_organizations()))
    WITH CHECK (user_has_permission(current_user_id(), organization_id, 'agents', 'run'));

CREATE POLICY invoices_select ON invoices FOR SELECT
    USING (user_has_permission(current_user_id(), organization_id, 'billing', 'read'));

CREATE POLICY usage_events_select ON usage_events FOR SELECT
    USING (organization_id IN (SELECT user_organizations()));

-- The audit trigger may append, nobody updates or deletes.
CREATE POLICY audit_logs_insert ON audit_logs FOR INSERT
    WITH CHECK (true);
CREATE POLICY audit_logs_select ON audit_logs FOR SELECT
    USING (user_has_permission(current_user_id(), organization_id, 'audit', 'read'));
