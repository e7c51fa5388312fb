//! Rows of `pg_depend` that are no objects of their own, where the server does not say of what they are parts by an internal
//! dependency: the list of what plumb knows without naming it.

/// Queries with the oldest version that has what they read. Each gives a catalog and OIDs in it.
const PARTS: &[(u32, &str)] = &[
    // NOT NULL belongs to the column (18) or the domain (17).
    (0, "SELECT 'pg_constraint'::regclass::oid, k.oid FROM pg_constraint k WHERE k.contype = 'n'"),
    // A generation expression belongs to the column.
    (
        0,
        "SELECT 'pg_attrdef'::regclass::oid, d.oid FROM pg_attrdef d \
         JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE a.attgenerated <> ''",
    ),
    // What a publication publishes belongs to it.
    (0, "SELECT 'pg_publication_rel'::regclass::oid, r.oid FROM pg_publication_rel r"),
    (150_000, "SELECT 'pg_publication_namespace'::regclass::oid, s.oid FROM pg_publication_namespace s"),
    // Members of families that somebody made are in the family's digest; those in families of the system are objects.
    (0, "SELECT 'pg_amop'::regclass::oid, m.oid FROM pg_amop m WHERE m.amopfamily >= 16384"),
    (0, "SELECT 'pg_amproc'::regclass::oid, m.oid FROM pg_amproc m WHERE m.amprocfamily >= 16384"),
    // Foreign tables are not managed; their constraints and defaults are in the digest.
    (
        0,
        "SELECT 'pg_constraint'::regclass::oid, k.oid FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE c.relkind = 'f'",
    ),
    (0, "SELECT 'pg_attrdef'::regclass::oid, d.oid FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid WHERE c.relkind = 'f'"),
    // TOAST tables belong to their tables, and temporary objects to sessions.
    (0, "SELECT 'pg_class'::regclass::oid, c.oid FROM pg_class c WHERE SPACE(c.relnamespace)"),
    (0, "SELECT 'pg_type'::regclass::oid, t.oid FROM pg_type t WHERE SPACE(t.typnamespace)"),
    (0, "SELECT 'pg_proc'::regclass::oid, p.oid FROM pg_proc p WHERE SPACE(p.pronamespace)"),
    (0, "SELECT 'pg_constraint'::regclass::oid, k.oid FROM pg_constraint k WHERE SPACE(k.connamespace)"),
    (0, "SELECT 'pg_statistic_ext'::regclass::oid, s.oid FROM pg_statistic_ext s WHERE SPACE(s.stxnamespace)"),
    (
        0,
        "SELECT 'pg_attrdef'::regclass::oid, d.oid FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid WHERE SPACE(c.relnamespace)",
    ),
    (
        0,
        "SELECT 'pg_trigger'::regclass::oid, t.oid FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE SPACE(c.relnamespace)",
    ),
    (
        0,
        "SELECT 'pg_rewrite'::regclass::oid, r.oid FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class WHERE SPACE(c.relnamespace)",
    ),
    (
        0,
        "SELECT 'pg_policy'::regclass::oid, p.oid FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE SPACE(c.relnamespace)",
    ),
];

/// One row per part: catalog and OID.
pub fn sql(version: u32) -> String {
    let within = "= ANY (ARRAY(SELECT n.oid FROM pg_namespace n WHERE n.nspname ~ '^pg_(toast|temp)'))";
    let parts = PARTS.iter().filter(|(since, _)| version >= *since).map(|(_, sql)| match sql.split_once("SPACE(") {
        Some((before, rest)) => format!("{before}{} {within}", rest.trim_end_matches(')')),
        None => (*sql).to_owned(),
    });
    format!("SELECT catalog, oid FROM ({}) x(catalog, oid) WHERE oid >= 16384", parts.collect::<Vec<_>>().join(" UNION ALL "))
}
