-- Who is asking, and what may they do? The policies are built on these.
CREATE FUNCTION current_user_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT NULLIF(current_setting('app.current_user_id', true), '')::uuid
$$;

COMMENT ON FUNCTION current_user_id() IS 'User of the current request (app.current_user_id), or NULL';

-- SECURITY DEFINER: must see memberships that the caller's policies hide.
-- The fixed search_path keeps callers from slipping in objects of their own.
CREATE FUNCTION user_organizations() RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT m.organization_id
    FROM public.organization_members m
    WHERE m.user_id = public.current_user_id()
$$;

CREATE FUNCTION user_has_permission(p_user_id uuid, p_organization_id uuid, p_resource text, p_action text)
    RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT EXISTS (
        SELECT 1
        FROM public.user_roles ur
        JOIN public.role_permissions rp ON rp.role_id = ur.role_id
        JOIN public.permissions p ON p.id = rp.permission_id
        WHERE ur.user_id = p_user_id
          AND ur.organization_id = p_organization_id
          AND (ur.expires_at IS NULL OR ur.expires_at > now())
          AND p.resource = p_resource
          AND p.action = p_action
    )
$$;
