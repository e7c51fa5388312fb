-- app_user: the API, always with app.current_user_id set.
GRANT SELECT, UPDATE ON organizations TO app_user;
GRANT SELECT (id, email, display_name, is_active), UPDATE (first_name, last_name) ON users TO app_user;
GRANT SELECT, INSERT, DELETE ON organization_members TO app_user;
GRANT SELECT ON roles, permissions, role_permissions, user_roles TO app_user;
GRANT SELECT, INSERT, DELETE ON sessions TO app_user;
GRANT SELECT, INSERT, UPDATE (label, revoked_at) ON api_tokens TO app_user;
GRANT SELECT, INSERT, UPDATE ON agent_tasks, agent_reservations TO app_user;
GRANT SELECT ON agent_results, invoices, usage_events, audit_logs TO app_user;
GRANT SELECT ON agent_task_overview, active_sessions TO app_user;

-- service_role: the workers.
GRANT SELECT, UPDATE ON agent_tasks TO service_role;
GRANT SELECT, INSERT ON agent_results TO service_role;
GRANT SELECT ON usage_by_day TO service_role;

-- readonly: analysts, who see neither payloads nor addresses.
GRANT SELECT (id, organization_id, agent_name, status, created_at, finished_at) ON agent_tasks TO readonly;
GRANT SELECT (id, display_name, created_at) ON users TO readonly;
GRANT SELECT ON usage_by_day TO readonly;

-- Functions are closed to PUBLIC and opened one by one.
REVOKE ALL ON FUNCTION user_organizations() FROM PUBLIC;
REVOKE ALL ON FUNCTION user_has_permission(uuid, uuid, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION audit_row_change() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION user_organizations() TO app_user, service_role, readonly;
GRANT EXECUTE ON FUNCTION user_has_permission(uuid, uuid, text, text) TO app_user, service_role, readonly;
