//! What plumb does not manage yet, by name and with a digest of its definition: one query over every other catalog of user
//! objects, and over the attributes of managed objects that no kind reads.

mod attributes;
pub mod parts;

pub use attributes::COLUMNS;
use attributes::{ATTRIBUTES, Attribute};

/// Objects of one catalog table that are not managed.
struct Class {
    /// The table; its rows go by the alias `x`.
    catalog: &'static str,
    /// Which of its rows.
    condition: &'static str,
    /// What tells two definitions apart, without OIDs and without the owner, who is another one where the files are loaded:
    /// expressions for `concat_ws`.
    definition: &'static str,
}

const fn class(catalog: &'static str, condition: &'static str, definition: &'static str) -> Class {
    Class { catalog, condition, definition }
}

/// Members of an operator class or family, as the digest sees them.
const MEMBERS: &str = "(SELECT string_agg(m::text, ';' ORDER BY m::text) FROM (\
     SELECT concat(amopstrategy, amoppurpose, (SELECT f.opfname FROM pg_opfamily f WHERE f.oid = amopsortfamily)), amopopr::regoperator::text FROM pg_amop WHERE amopfamily = FAMILY UNION ALL \
     SELECT concat(amprocnum, amproclefttype::regtype, amprocrighttype::regtype), amproc::regprocedure::text FROM pg_amproc WHERE amprocfamily = FAMILY) m)";

/// Options as the digest sees them: of one that may be a secret only its name, since a digest of the rest and a short secret tells it.
const OPTIONS: &str = "(SELECT string_agg(CASE WHEN split_part(o, '=', 1) ~* 'pass|pwd|secret|token|key|credential' THEN split_part(o, '=', 1) ELSE o END, ',' \
     ORDER BY o COLLATE \"C\") FROM unnest(LIST) o)";

/// The rights on it that are not its owner's.
const RIGHTS: &str = "(SELECT string_agg(concat(CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END, g.privilege_type, g.is_grantable), ',' \
     ORDER BY g.grantee, g.privilege_type) FROM aclexplode(ACL) g WHERE g.grantee <> OWNER)";

const CLASSES: &[Class] = &[
    class("pg_cast", "true", "x.castfunc::regprocedure, x.castcontext, x.castmethod"),
    class("pg_conversion", "true", "x.conproc, x.conforencoding, x.contoencoding, x.condefault"),
    class(
        "pg_operator",
        "true",
        "x.oprcode, x.oprresult::regtype, x.oprcom::regoperator, x.oprnegate::regoperator, x.oprrest, x.oprjoin, x.oprcanmerge, x.oprcanhash",
    ),
    class(
        "pg_opclass",
        "true",
        "x.opcdefault, x.opcintype::regtype, x.opckeytype::regtype, (SELECT f.opfname FROM pg_opfamily f WHERE f.oid = x.opcfamily), MEMBERS(x.opcfamily)",
    ),
    class("pg_opfamily", "true", "MEMBERS(x.oid)"),
    class("pg_am", "true", "x.amhandler, x.amtype"),
    class(
        "pg_language",
        "true",
        "x.lanpltrusted, x.lanplcallfoid::regprocedure, x.laninline::regprocedure, x.lanvalidator::regprocedure, RIGHTS(x.lanacl, x.lanowner)",
    ),
    class("pg_transform", "true", "x.trffromsql, x.trftosql"),
    class(
        "pg_ts_config",
        "true",
        "(SELECT s.prsname FROM pg_ts_parser s WHERE s.oid = x.cfgparser), (SELECT string_agg(m.maptokentype || ' ' || m.mapdict::regdictionary, ',' ORDER BY m.maptokentype, m.mapseqno) \
         FROM pg_ts_config_map m WHERE m.mapcfg = x.oid)",
    ),
    class("pg_ts_dict", "true", "(SELECT t.tmplname FROM pg_ts_template t WHERE t.oid = x.dicttemplate), x.dictinitoption"),
    class("pg_ts_parser", "true", "x.prsstart, x.prstoken, x.prsend, x.prsheadline, x.prslextype"),
    class("pg_ts_template", "true", "x.tmplinit, x.tmpllexize"),
    class(
        "pg_foreign_data_wrapper",
        "true",
        "x.fdwhandler::regproc, x.fdwvalidator::regproc, OPTIONS(x.fdwoptions), RIGHTS(x.fdwacl, x.fdwowner)",
    ),
    class(
        "pg_foreign_server",
        "true",
        "(SELECT w.fdwname FROM pg_foreign_data_wrapper w WHERE w.oid = x.srvfdw), x.srvtype, x.srvversion, OPTIONS(x.srvoptions), RIGHTS(x.srvacl, x.srvowner)",
    ),
    class(
        "pg_publication",
        "true",
        "x.puballtables, x.pubinsert, x.pubupdate, x.pubdelete, x.pubtruncate, x.pubviaroot, \
         PUBLISHED",
    ),
    class(
        "pg_subscription",
        "x.subdbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())",
        "x.subbinary, x.substream, x.subslotname, x.subsynccommit, x.subpublications, SUBSCRIBED",
    ),
    class(
        "pg_type",
        // What has a type of its own behind it (a row, an array) depends internally on that.
        "x.typtype IN ('b', 'p')",
        "x.typisdefined, x.typinput, x.typoutput, x.typreceive, x.typsend, x.typmodin, x.typmodout, x.typanalyze, x.typsubscript, x.typlen, \
         x.typbyval, x.typalign, x.typstorage, x.typcategory, x.typispreferred, x.typdelim, x.typdefault, x.typelem::regtype, \
         nullif(x.typcollation, 0)::regcollation, RIGHTS(x.typacl, x.typowner)",
    ),
    class(
        "pg_class",
        "x.relkind = 'f'",
        "(SELECT concat(OPTIONS(f.ftoptions), s.srvname) FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = x.oid), \
         (SELECT string_agg(concat(a.attname, ' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, nullif(a.attcollation, 0)::regcollation, a.attstorage, \
             OPTIONS(a.attfdwoptions), a.attoptions, nullif(a.attstattarget, -1), a.attgenerated, (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d \
             WHERE d.adrelid = x.oid AND d.adnum = a.attnum), RIGHTS(a.attacl, x.relowner)), ',' ORDER BY a.attname) \
             FROM pg_attribute a WHERE a.attrelid = x.oid AND a.attnum > 0 AND NOT a.attisdropped), \
         (SELECT string_agg(concat(k.conname, pg_get_constraintdef(k.oid)), ',' ORDER BY k.conname) FROM pg_constraint k WHERE k.conrelid = x.oid), \
         (SELECT string_agg(concat(pg_get_triggerdef(t.oid), t.tgenabled), ',' ORDER BY t.tgname) FROM pg_trigger t WHERE t.tgrelid = x.oid AND NOT t.tgisinternal), \
         (SELECT string_agg(i.inhparent::regclass::text, ',' ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = x.oid), \
         pg_get_expr(x.relpartbound, x.oid), RIGHTS(x.relacl, x.relowner)",
    ),
    // Operators and functions that somebody added to the families of the system; else they belong to their family.
    class("pg_amop", "x.amopfamily < 16384", "x.amopopr::regoperator"),
    class("pg_amproc", "x.amprocfamily < 16384", "x.amproc::regprocedure"),
];

/// Mappings of users to foreign servers, from the view, since the table is the superuser's; their options may be passwords, and
/// only the names of them count.
const USER_MAPPINGS: &str = "SELECT o.type, o.identity, '', \
     md5(coalesce((SELECT string_agg(split_part(u, '=', 1), ',' ORDER BY u) FROM unnest(x.umoptions) u), '')), 'pg_user_mapping'::regclass::oid, x.umid \
     FROM pg_user_mappings x CROSS JOIN LATERAL pg_identify_object('pg_user_mapping'::regclass, x.umid, 0) o WHERE x.umid >= 16384";

/// What a publication publishes, as expressions.
fn published(version: u32) -> String {
    let (filter, schemas) = if version >= 150_000 {
        (
            "pg_get_expr(r.prqual, r.prrelid), (SELECT string_agg(a.attname, ',' ORDER BY a.attname) FROM pg_attribute a \
              WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs::int2[]))",
            "(SELECT string_agg(s.pnnspid::regnamespace::text, ',' ORDER BY s.pnnspid::regnamespace::text) \
              FROM pg_publication_namespace s WHERE s.pnpubid = x.oid)",
        )
    } else {
        ("''", "''")
    };
    let generated = if version >= 180_000 { "x.pubgencols" } else { "''" };
    format!(
        "(SELECT string_agg(concat(r.prrelid::regclass, ' ', {filter}), ',' ORDER BY r.prrelid::regclass::text) \
         FROM pg_publication_rel r WHERE r.prpubid = x.oid), {schemas}, {generated}"
    )
}

/// The options of a subscription that anybody may see, as expressions.
fn subscribed(version: u32) -> String {
    let since = [
        (150_000, "x.subdisableonerr"),
        (160_000, "x.suborigin, x.subrunasowner, x.subpasswordrequired"),
        (170_000, "x.subfailover"),
    ];
    let found: Vec<&str> = since.iter().filter(|(v, _)| version >= *v).map(|(_, c)| *c).chain(["''"]).collect();
    found.join(", ")
}

/// A definition with its abbreviations written out.
fn written_out(text: &str, version: u32) -> String {
    let mut text = text.replace("PUBLISHED", &published(version)).replace("SUBSCRIBED", &subscribed(version));
    for family in ["x.opcfamily", "x.oid"] {
        text = text.replace(&format!("MEMBERS({family})"), &MEMBERS.replace("FAMILY", family));
    }
    while let Some((before, (list, after))) = text.split_once("OPTIONS(").and_then(|(b, rest)| Some((b, rest.split_once(')')?))) {
        text = format!("{before}{}{after}", OPTIONS.replace("LIST", list));
    }
    while let Some((before, rest)) = text.split_once("RIGHTS(") {
        let Some((acl, (owner, after))) = rest.split_once(", ").and_then(|(acl, rest)| Some((acl, rest.split_once(')')?))) else {
            break;
        };
        text = format!("{before}{}{after}", RIGHTS.replace("ACL", acl).replace("OWNER", owner));
    }
    text
}

/// A condition for each of the parts of [`sql`] without which it finds nothing; over [`COLUMNS`]. Most databases have next to nothing
/// that is not managed, and planning what looks for it costs more than finding nothing.
pub fn presence(version: u32) -> impl Iterator<Item = String> {
    let catalogs = CLASSES
        .iter()
        .map(|c| format!("EXISTS (SELECT FROM {catalog} x WHERE x.oid >= 16384 AND ({}))", c.condition, catalog = c.catalog));
    catalogs.chain(attributes(version).map(|a| a.present.to_owned()))
}

fn attributes(version: u32) -> impl Iterator<Item = &'static Attribute> {
    ATTRIBUTES.iter().filter(move |a| version >= a.since)
}

/// One row per object: class, identity, schema, a digest of its definition, and its catalog table and OID; of the parts that are
/// `present`, in the order of [`presence`].
pub fn sql(version: u32, present: &[bool]) -> String {
    let objects = CLASSES.iter().map(|c| object(c, version));
    let attributes = attributes(version).map(|a| a.sql.to_owned());
    let found = objects.chain(attributes).zip(present).filter(|(_, present)| **present).map(|(sql, _)| sql);
    let parts: Vec<String> = found.chain([USER_MAPPINGS.to_owned()]).collect();
    format!(
        "SELECT class, identity, coalesce(schema, ''), coalesce(digest, ''), catalog, oid \
         FROM ({}) x(class, identity, schema, digest, catalog, oid) ORDER BY 1, 2",
        parts.join(" UNION ALL ")
    )
}

fn object(class: &Class, version: u32) -> String {
    let Class { catalog, condition, .. } = class;
    let definition = written_out(class.definition, version);
    format!(
        "SELECT o.type, o.identity, coalesce(o.schema, ''), md5(concat_ws(' ', {definition})), '{catalog}'::regclass::oid, x.oid FROM {catalog} x \
         CROSS JOIN LATERAL pg_identify_object('{catalog}'::regclass, x.oid, 0) o \
         WHERE x.oid >= 16384 AND ({condition}) AND NOT EXISTS (SELECT FROM pg_depend d \
         WHERE d.classid = '{catalog}'::regclass AND d.objid = x.oid AND d.deptype IN ('e', 'i'))"
    )
}
