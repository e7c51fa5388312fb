//! What plumb does not manage yet, by name and with a digest of its definition: one query over every other catalog of user
//! objects, and over the attributes of managed objects that no kind reads.

/// Objects of one catalog table that are not managed.
struct Class {
    /// The table; its rows go by the alias `x`.
    catalog: &'static str,
    /// Which of its rows.
    condition: &'static str,
    /// What tells two definitions apart, without OIDs: expressions for `concat_ws`.
    definition: &'static str,
}

const fn class(catalog: &'static str, condition: &'static str, definition: &'static str) -> Class {
    Class { catalog, condition, definition }
}

/// Members of an operator class or family, as the digest sees them.
const MEMBERS: &str = "(SELECT string_agg(m::text, ';' ORDER BY m::text) FROM (\
     SELECT amopstrategy::text, amopopr::regoperator::text FROM pg_amop WHERE amopfamily = FAMILY UNION ALL \
     SELECT amprocnum::text, amproc::regprocedure::text FROM pg_amproc WHERE amprocfamily = FAMILY) m)";

const CLASSES: &[Class] = &[
    class("pg_cast", "true", "x.castfunc::regprocedure, x.castcontext, x.castmethod"),
    class("pg_conversion", "true", "x.conproc, x.conforencoding, x.contoencoding, x.condefault"),
    class(
        "pg_operator",
        "true",
        "x.oprcode, x.oprcom::regoperator, x.oprnegate::regoperator, x.oprrest, x.oprjoin, x.oprcanmerge, x.oprcanhash",
    ),
    class("pg_opclass", "true", "x.opcdefault, x.opcintype::regtype, x.opckeytype::regtype, MEMBERS(x.opcfamily)"),
    class("pg_opfamily", "true", "MEMBERS(x.oid)"),
    class("pg_am", "true", "x.amhandler, x.amtype"),
    class("pg_language", "true", "x.lanpltrusted, x.lanplcallfoid::regprocedure"),
    class("pg_transform", "true", "x.trffromsql, x.trftosql"),
    class(
        "pg_ts_config",
        "true",
        "(SELECT string_agg(m.maptokentype || ' ' || m.mapdict::regdictionary, ',' ORDER BY m.maptokentype, m.mapseqno) \
         FROM pg_ts_config_map m WHERE m.mapcfg = x.oid)",
    ),
    class("pg_ts_dict", "true", "x.dictinitoption"),
    class("pg_ts_parser", "true", "x.prsstart, x.prstoken, x.prsend, x.prsheadline, x.prslextype"),
    class("pg_ts_template", "true", "x.tmplinit, x.tmpllexize"),
    class("pg_foreign_data_wrapper", "true", "x.fdwhandler::regproc, x.fdwvalidator::regproc, x.fdwoptions"),
    class("pg_foreign_server", "true", "x.srvtype, x.srvversion, x.srvoptions"),
    class(
        "pg_publication",
        "true",
        "x.puballtables, x.pubinsert, x.pubupdate, x.pubdelete, x.pubtruncate, x.pubviaroot, \
         (SELECT string_agg(r.prrelid::regclass::text, ',' ORDER BY r.prrelid::regclass::text) \
         FROM pg_publication_rel r WHERE r.prpubid = x.oid)",
    ),
    class(
        "pg_type",
        "x.typtype = 'b' AND x.typelem = 0 AND x.typrelid = 0 OR x.typtype = 'p'",
        "x.typinput, x.typoutput, x.typlen",
    ),
    class(
        "pg_class",
        "x.relkind = 'f'",
        "(SELECT f.ftoptions FROM pg_foreign_table f WHERE f.ftrelid = x.oid), \
         (SELECT string_agg(concat(a.attname, ' ', format_type(a.atttypid, a.atttypmod), a.attnotnull), ',' ORDER BY a.attname) \
         FROM pg_attribute a WHERE a.attrelid = x.oid AND a.attnum > 0 AND NOT a.attisdropped)",
    ),
];

/// Attributes of managed objects: each gives class, identity, schema, a definition, and no address.
const ATTRIBUTES: &[&str] = &[
    "SELECT 'security label', pg_describe_object(l.classoid, l.objoid, l.objsubid), '', md5(l.provider || l.label), 0::oid, 0::oid FROM pg_seclabel l",
    "SELECT 'tablespace', pg_describe_object('pg_class'::regclass, c.oid, 0), n.nspname::text, t.spcname::text, 0::oid, 0::oid \
     FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid >= 16384 AND c.relkind <> 't'",
    // Rights that somebody else than the owner gave: only that role could give or take them.
    "SELECT 'grant by ' || pg_get_userbyid(g.grantor), g.what || ' to ' || CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END, g.schema, \
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
         WHERE g.grantor <> g.owner GROUP BY g.grantor, g.what, g.grantee, g.schema",
];

/// One row per object: class, identity, schema, a digest of its definition, and its catalog table and OID.
pub fn sql() -> String {
    let members = |text: &str| {
        let mut text = text.to_owned();
        for family in ["x.opcfamily", "x.oid"] {
            text = text.replace(&format!("MEMBERS({family})"), &MEMBERS.replace("FAMILY", family));
        }
        text
    };
    let objects = CLASSES.iter().map(|c| {
        let Class { catalog, condition, .. } = c;
        let definition = members(c.definition);
        format!(
            "SELECT o.type, o.identity, coalesce(o.schema, ''), md5(concat_ws(' ', {definition})), '{catalog}'::regclass::oid, x.oid FROM {catalog} x \
             CROSS JOIN LATERAL pg_identify_object('{catalog}'::regclass, x.oid, 0) o \
             WHERE x.oid >= 16384 AND ({condition}) AND NOT EXISTS (SELECT FROM pg_depend d \
             WHERE d.classid = '{catalog}'::regclass AND d.objid = x.oid AND d.deptype IN ('e', 'i'))"
        )
    });
    let parts: Vec<String> = objects.chain(ATTRIBUTES.iter().map(|a| (*a).to_owned())).collect();
    format!("{} ORDER BY 1, 2", parts.join(" UNION ALL "))
}
