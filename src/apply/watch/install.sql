-- The log of DDL, in the schema of the ledger: who has changed what, and when. Of a statement it holds what is left when every constant
-- and every comment is taken out, since these may be passwords and rows of somebody's.

CREATE TABLE plumb.ddl (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamp with time zone NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    tag text NOT NULL,
    class text NOT NULL,
    object text,
    role text NOT NULL,
    login text NOT NULL,
    application text,
    client inet,
    query text
);
COMMENT ON TABLE plumb.ddl IS 'DDL commands as the event triggers plumb_watch and plumb_watch_drop saw them: tag, object, role and client, and the statement without its constants and comments.';
CREATE INDEX ddl_object ON plumb.ddl (object, id);

CREATE FUNCTION plumb.redacted(query text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $function$
-- Cuts a statement as the server's scanner does (manual: 4.1 "Lexical Structure"), and lists what stays: names, keywords, operators,
-- parameters. What is not ASCII is a letter. Where it cannot be known where a constant ends, all that follows is taken for a part of it.
DECLARE
    letter text := '[^\u0001-\u0040\u005b-\u005e\u0060\u007b-\u007f]';
    -- Letters and digits, without the dollar that names may have in them.
    tagged text := '[^\u0001-\u002f\u003a-\u0040\u005b-\u005e\u0060\u007b-\u007f]';
    -- The beginning of a long statement tells what it is.
    rest text := left(query, 8000);
    kept text := '';
    ahead text;
    token text;
    body integer;
    -- Whether a string that goes on in the next line has backslashes that escape.
    escapes boolean := false;
    escaped boolean;
    -- What keeps a constant from becoming one with what stands before it.
    apart text;
    gap text;
BEGIN
    WHILE rest <> '' AND length(kept) < 1000 LOOP
        escaped := escapes;
        escapes := false;
        apart := CASE WHEN right(kept, 1) IN (' ', '(', ',', '=', '') THEN '' ELSE ' ' END;
        gap := CASE WHEN right(kept, 1) IN (' ', '') THEN '' ELSE ' ' END;
        ahead := left(rest, 3);
        IF ahead ~ '^(?:[\t\n\u000b\f\r ]|--)' THEN
            token := plumb.token_at(rest, '^(?:[\t\n\u000b\f\r ]+|--[^\n\r]*)');
            escapes := escaped;
            kept := kept || gap;
        ELSIF starts_with(ahead, '/*') THEN
            token := plumb.comment_at(rest);
            kept := kept || gap;
        ELSIF ahead ~ '^[eE]''' OR escaped AND starts_with(ahead, '''') THEN
            token := plumb.token_at(rest, '^[eE]?''(?:[^''\\]|\\.|'''')*''');
            escapes := true;
            kept := kept || apart || '''***''';
        ELSIF ahead ~ '^(?:[uU]&|[bBxXnN])?''' THEN
            token := plumb.token_at(rest, '^[^'']*''(?:[^'']|'''')*''');
            -- It depends on standard_conforming_strings, when the statement was sent, whether this is its end.
            token := CASE WHEN strpos(token, '\''') = 0 THEN token END;
            kept := kept || apart || '''***''';
        ELSIF ahead ~ '^(?:[uU]&)?"' THEN
            token := plumb.token_at(rest, '^(?:[uU]&)?"(?:[^"]|"")*"');
            kept := kept || coalesce(token, apart || '''***''');
        ELSIF starts_with(ahead, '$') AND rest ~ ('^\$(?:' || letter || tagged || '*)?\$') THEN
            token := substring(rest FROM '^\$[^$]*\$');
            body := strpos(substr(rest, length(token) + 1), token);
            token := CASE WHEN body > 0 THEN left(rest, 2 * length(token) + body - 1) END;
            kept := kept || apart || '''***''';
        ELSIF ahead ~ '^\.?[0-9]' THEN
            token := plumb.token_at(rest, '^\.?[0-9](?:[eE][+-]|[0-9._]|' || letter || ')*');
            -- Before 15 letters after digits are a name of their own.
            token := CASE WHEN substr(rest, length(token) + 1, 1) <> '$' THEN token END;
            kept := kept || apart || '0';
        ELSE
            token := plumb.token_at(rest, '^(?:\$[0-9]+|' || letter || '(?:' || tagged || '|\$)*|.)');
            kept := kept || token;
        END IF;
        rest := substr(rest, length(coalesce(token, rest)) + 1);
    END LOOP;
    RETURN btrim(kept) || CASE WHEN rest <> '' THEN ' ...' ELSE '' END;
END
$function$;

CREATE FUNCTION plumb.token_at(rest text, pattern text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $function$
-- What a text begins with. Most is short, and looking at all of a long text each time would take long.
DECLARE
    near CONSTANT integer := 100;
    found text := substring(left(rest, near) FROM pattern);
BEGIN
    RETURN CASE WHEN length(found) < near THEN found ELSE substring(rest FROM pattern) END;
END
$function$;

CREATE FUNCTION plumb.comment_at(rest text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $function$
-- The comment that a text begins with; comments may have comments in them.
DECLARE
    depth integer := 0;
    at integer := 1;
    mark text;
BEGIN
    LOOP
        mark := substring(substr(rest, at) FROM '/\*|\*/');
        IF mark IS NULL THEN
            RETURN rest;
        END IF;
        at := at + strpos(substr(rest, at), mark) + 1;
        depth := depth + CASE mark WHEN '/*' THEN 1 ELSE -1 END;
        IF depth = 0 THEN
            RETURN left(rest, at - 1);
        END IF;
    END LOOP;
END
$function$;

CREATE FUNCTION plumb.note_ddl() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
-- Types of arguments are noted without the schema of the server's own, which it writes before some of them.
DECLARE
    as_role text := nullif(current_setting('role'), 'none');
    statement text;
    newest bigint;
BEGIN
    -- Not where it is declared: what fails there nobody catches.
    statement := nullif(plumb.redacted(current_query()), '');
    IF TG_EVENT = 'sql_drop' THEN
        INSERT INTO plumb.ddl (tag, class, object, role, login, application, client, query)
        SELECT TG_TAG, object_type, replace(object_identity, 'pg_catalog.', ''), coalesce(as_role, session_user), session_user,
               nullif(current_setting('application_name'), ''), inet_client_addr(), statement
          FROM pg_event_trigger_dropped_objects()
         WHERE original AND NOT is_temporary AND schema_name IS DISTINCT FROM 'plumb';
    ELSE
        INSERT INTO plumb.ddl (tag, class, object, role, login, application, client, query)
        SELECT command_tag, object_type, replace(object_identity, 'pg_catalog.', ''), coalesce(as_role, session_user), session_user,
               nullif(current_setting('application_name'), ''), inet_client_addr(), statement
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
REVOKE ALL ON FUNCTION plumb.note_ddl(), plumb.redacted(text), plumb.token_at(text, text), plumb.comment_at(text) FROM PUBLIC;
