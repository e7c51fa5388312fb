//! Attributes of managed objects that no kind reads, although they change what the database does: found, named, never planned.

/// One way for something to differ that no kind reads.
pub struct Attribute {
    /// The oldest version that has what is read.
    pub since: u32,
    /// Whether there may be any, by one cheap look; `a` is [`COLUMNS`].
    pub present: &'static str,
    /// Class, identity, schema, a digest, and no address.
    pub sql: &'static str,
}

const fn attribute(since: u32, present: &'static str, sql: &'static str) -> Attribute {
    Attribute { since, present, sql }
}

/// What is asked of all columns, in one scan of the largest catalog.
pub const COLUMNS: &str = "(SELECT count(attacl) > 0 AS granted, \
     count(*) FILTER (WHERE attstattarget >= 0 AND attnum > 0 AND NOT attisdropped) > 0 AS targeted FROM pg_attribute WHERE attrelid >= 16384) a";

pub const ATTRIBUTES: &[Attribute] = &[
    attribute(
        0,
        "EXISTS (SELECT FROM pg_seclabel)",
        "SELECT 'security label', pg_describe_object(l.classoid, l.objoid, l.objsubid), '', md5(l.provider || l.label), 0::oid, 0::oid FROM pg_seclabel l",
    ),
    attribute(
        0,
        "EXISTS (SELECT FROM pg_class WHERE reltablespace <> 0 AND oid >= 16384)",
        "SELECT 'tablespace', pg_describe_object('pg_class'::regclass, c.oid, 0), n.nspname::text, t.spcname::text, 0::oid, 0::oid \
         FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid >= 16384 AND c.relkind <> 't'",
    ),
    attribute(0, GRANTED, GRANTED_BY_OTHERS),
    attribute(0, "true", GRANTED_ON_OTHERS),
    // Nothing checks such a constraint: ALTER TABLE ... DISABLE TRIGGER ALL, which pg_dump does not print either.
    attribute(
        0,
        "EXISTS (SELECT FROM pg_trigger WHERE tgisinternal AND tgenabled <> 'O')",
        "SELECT 'disabled constraint', pg_describe_object('pg_constraint'::regclass, k.oid, 0), n.nspname::text, \
         string_agg(DISTINCT t.tgenabled::text, ','), 0::oid, 0::oid FROM pg_trigger t JOIN pg_constraint k ON k.oid = t.tgconstraint \
         JOIN pg_namespace n ON n.oid = k.connamespace WHERE t.tgisinternal AND t.tgenabled <> 'O' AND t.oid >= 16384 GROUP BY k.oid, n.nspname",
    ),
    attribute(
        0,
        "EXISTS (SELECT FROM pg_rewrite WHERE ev_enabled <> 'O')",
        "SELECT 'disabled view', pg_describe_object('pg_class'::regclass, r.ev_class, 0), '', r.ev_enabled::text, 0::oid, 0::oid \
         FROM pg_rewrite r WHERE r.rulename = '_RETURN' AND r.ev_enabled <> 'O' AND r.oid >= 16384",
    ),
    // An identity's sequence has its table's persistence, unless somebody changed it.
    attribute(
        150_000,
        "'S' = ANY (look.relations)",
        "SELECT 'persistence', pg_describe_object('pg_class'::regclass, s.oid, 0), n.nspname::text, s.relpersistence::text, 0::oid, 0::oid \
         FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_class t ON t.oid = d.refobjid \
         JOIN pg_namespace n ON n.oid = s.relnamespace WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass \
         AND d.deptype = 'i' AND s.oid >= 16384 AND s.relpersistence <> t.relpersistence",
    ),
    attribute(
        0,
        "a.targeted",
        "SELECT 'statistics target', pg_describe_object('pg_class'::regclass, c.oid, a.attnum), n.nspname::text, a.attstattarget::text, 0::oid, 0::oid \
         FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_constraint k ON k.conindid = c.oid AND k.contype IN ('p', 'u', 'x') WHERE a.attstattarget >= 0 AND c.oid >= 16384",
    ),
    attribute(
        0,
        "EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'x')",
        "SELECT 'extension dependency', pg_describe_object(d.classid, d.objid, d.objsubid) || ' on ' || e.extname, '', '', 0::oid, 0::oid \
         FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'x'",
    ),
    attribute(
        0,
        "EXISTS (SELECT FROM pg_type WHERE typacl IS NOT NULL AND oid >= 16384)",
        "SELECT 'grant', pg_describe_object('pg_type'::regclass, t.oid, 0), n.nspname::text, \
         (SELECT string_agg(concat(CASE g.grantee WHEN t.typowner THEN '' ELSE g.grantee::regrole::text END, g.privilege_type, g.is_grantable), ',' ORDER BY 1) \
             FROM aclexplode(t.typacl) g), 0::oid, 0::oid \
         FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid AND c.relkind <> 'c' JOIN pg_namespace n ON n.oid = t.typnamespace \
         WHERE t.typacl IS NOT NULL AND t.oid >= 16384",
    ),
    attribute(
        0,
        "EXISTS (SELECT FROM pg_largeobject_metadata)",
        "SELECT 'grant', 'large objects', '', count(*)::text, 0::oid, 0::oid FROM pg_largeobject_metadata WHERE lomacl IS NOT NULL HAVING count(*) > 0",
    ),
];

/// Some object's rights were changed.
const GRANTED: &str = "a.granted OR EXISTS (SELECT FROM pg_class WHERE relacl IS NOT NULL AND oid >= 16384) \
     OR EXISTS (SELECT FROM pg_proc WHERE proacl IS NOT NULL AND oid >= 16384) OR EXISTS (SELECT FROM pg_type WHERE typacl IS NOT NULL AND oid >= 16384) \
     OR EXISTS (SELECT FROM pg_namespace WHERE nspacl IS NOT NULL AND oid >= 16384)";

/// Rights that somebody else than the owner gave: only that role could give or take them.
const GRANTED_BY_OTHERS: &str = "SELECT 'grant by ' || pg_get_userbyid(g.grantor), g.what || ' to ' || CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END, g.schema, \
     string_agg(g.privilege_type || g.is_grantable, ',' ORDER BY g.privilege_type), 0::oid, 0::oid FROM ( \
     SELECT pg_describe_object('pg_class'::regclass, c.oid, 0) AS what, n.nspname::text AS schema, c.relowner AS owner, (aclexplode(c.relacl)).* \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid >= 16384 AND c.relacl IS NOT NULL \
     UNION ALL SELECT pg_describe_object('pg_class'::regclass, c.oid, a.attnum), n.nspname::text, c.relowner, (aclexplode(a.attacl)).* \
         FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid >= 16384 AND a.attacl IS NOT NULL \
     UNION ALL SELECT pg_describe_object('pg_proc'::regclass, p.oid, 0), n.nspname::text, p.proowner, (aclexplode(p.proacl)).* \
         FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid >= 16384 AND p.proacl IS NOT NULL \
     UNION ALL SELECT pg_describe_object('pg_type'::regclass, t.oid, 0), n.nspname::text, t.typowner, (aclexplode(t.typacl)).* \
         FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid >= 16384 AND t.typacl IS NOT NULL \
     UNION ALL SELECT pg_describe_object('pg_namespace'::regclass, n.oid, 0), n.nspname::text, n.nspowner, (aclexplode(n.nspacl)).* \
         FROM pg_namespace n WHERE n.oid >= 16384 AND n.nspacl IS NOT NULL) g \
     WHERE g.grantor <> g.owner GROUP BY g.grantor, g.what, g.grantee, g.schema";

/// Rights on the system's objects and on members of extensions, where they are not those that initdb and CREATE EXTENSION gave.
const GRANTED_ON_OTHERS: &str = "SELECT 'grant', pg_describe_object(g.class, g.oid, g.sub), g.schema, \
     (SELECT string_agg(concat(CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END, x.privilege_type, x.is_grantable), ',' \
         ORDER BY x.grantee, x.privilege_type) FROM aclexplode(g.acl) x WHERE x.grantee <> g.owner), 0::oid, 0::oid FROM ( \
     SELECT 'pg_class'::regclass AS class, c.oid, 0 AS sub, n.nspname::text AS schema, c.relowner AS owner, c.relacl AS acl, \
         acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", c.relowner) AS base FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     UNION ALL SELECT 'pg_class'::regclass, c.oid, a.attnum, n.nspname::text, c.relowner, a.attacl, '{}' \
         FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE a.attrelid < 16384 OR a.attrelid = ANY (ARRAY(SELECT d.objid FROM pg_depend d WHERE d.refclassid = 'pg_extension'::regclass \
             AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')) \
     UNION ALL SELECT 'pg_proc'::regclass, p.oid, 0, n.nspname::text, p.proowner, p.proacl, acldefault('f', p.proowner) \
         FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
     UNION ALL SELECT 'pg_type'::regclass, t.oid, 0, n.nspname::text, t.typowner, t.typacl, acldefault('T', t.typowner) \
         FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace \
     UNION ALL SELECT 'pg_language'::regclass, l.oid, 0, '', l.lanowner, l.lanacl, acldefault('l', l.lanowner) FROM pg_language l \
     UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, w.oid, 0, '', w.fdwowner, w.fdwacl, acldefault('F', w.fdwowner) FROM pg_foreign_data_wrapper w \
     UNION ALL SELECT 'pg_namespace'::regclass, n.oid, 0, n.nspname::text, n.nspowner, n.nspacl, acldefault('n', n.nspowner) \
         FROM pg_namespace n WHERE n.nspname <> 'public') g \
     LEFT JOIN pg_init_privs i ON i.classoid = g.class AND i.objoid = g.oid AND i.objsubid = g.sub \
     WHERE g.acl IS NOT NULL AND NOT (g.acl @> coalesce(i.initprivs, g.base) AND g.acl <@ coalesce(i.initprivs, g.base)) \
     AND (g.oid < 16384 OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = g.class AND d.objid = g.oid AND d.deptype = 'e'))";
