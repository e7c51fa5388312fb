-- The log of DDL, in the schema of the ledger: who has changed what, and when. It holds no statement, since these may have passwords in
-- them, and no row of anybody's.

CREATE TABLE plumb.ddl (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamp with time zone NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    tag text NOT NULL,
    class text NOT NULL,
    object text,
    role text NOT NULL,
    login text NOT NULL,
    application text,
    client inet
);
COMMENT ON TABLE plumb.ddl IS 'DDL commands as the event triggers plumb_watch and plumb_watch_drop saw them: tag, object, role and client, never the statement.';
CREATE INDEX ddl_object ON plumb.ddl (object, id);

CREATE FUNCTION plumb.note_ddl() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
-- Types of arguments are noted without the schema of the server's own, which it writes before some of them.
DECLARE
    as_role text := nullif(current_setting('role'), 'none');
    newest bigint;
BEGIN
    IF TG_EVENT = 'sql_drop' THEN
        INSERT INTO plumb.ddl (tag, class, object, role, login, application, client)
        SELECT TG_TAG, object_type, replace(object_identity, 'pg_catalog.', ''), coalesce(as_role, session_user), session_user,
               nullif(current_setting('application_name'), ''), inet_client_addr()
          FROM pg_event_trigger_dropped_objects()
         WHERE original AND NOT is_temporary AND schema_name IS DISTINCT FROM 'plumb';
    ELSE
        INSERT INTO plumb.ddl (tag, class, object, role, login, application, client)
        SELECT command_tag, object_type, replace(object_identity, 'pg_catalog.', ''), coalesce(as_role, session_user), session_user,
               nullif(current_setting('application_name'), ''), inet_client_addr()
          FROM pg_event_trigger_ddl_commands()
         WHERE NOT in_extension AND schema_name IS DISTINCT FROM 'plumb' AND schema_name IS DISTINCT FROM 'pg_temp'
           AND command_tag <> 'REFRESH MATERIALIZED VIEW';
    END IF;
    -- The newest hundred thousand are kept; most commands look no further than this.
    SELECT max(id) INTO newest FROM plumb.ddl;
    IF newest % 1000 = 0 THEN
        DELETE FROM plumb.ddl WHERE id <= newest - 100000;
    END IF;
EXCEPTION WHEN OTHERS THEN
    -- Nobody's DDL fails for the log's sake.
    RAISE WARNING 'plumb does not note this command: %', SQLERRM;
END
$function$;
REVOKE ALL ON FUNCTION plumb.note_ddl() FROM PUBLIC;
