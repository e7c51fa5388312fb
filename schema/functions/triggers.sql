CREATE FUNCTION set_updated_at() RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END;
$$;

-- Writes one audit_logs row per changed row. The trigger argument names the
-- column that identifies the row.
CREATE FUNCTION audit_row_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_old jsonb;
    v_new jsonb;
    v_row jsonb;
BEGIN
    IF TG_OP <> 'INSERT' THEN v_old := to_jsonb(OLD); END IF;
    IF TG_OP <> 'DELETE' THEN v_new := to_jsonb(NEW); END IF;
    v_row := coalesce(v_new, v_old);
    INSERT INTO public.audit_logs (organization_id, actor_id, action, table_name, row_id, old_row, new_row)
    VALUES (
        CASE WHEN TG_TABLE_NAME = 'organizations' THEN (v_row ->> 'id')::uuid
             ELSE (v_row ->> 'organization_id')::uuid END,
        public.current_user_id(), TG_OP, TG_TABLE_NAME, v_row ->> TG_ARGV[0], v_old, v_new
    );
    RETURN NULL;
END;
$$;
