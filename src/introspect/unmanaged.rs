//! What plumb does not manage yet, by name: one query over every other catalog of user objects.

/// Catalog table, the column that names it in `pg_identify_object`, and a condition, for each kind that is not managed.
const CATALOGS: &[(&str, &str, u32)] = &[
    ("pg_cast", "true", 0),
    ("pg_conversion", "true", 0),
    ("pg_operator", "true", 0),
    ("pg_opclass", "true", 0),
    ("pg_opfamily", "true", 0),
    ("pg_am", "true", 0),
    ("pg_language", "true", 0),
    ("pg_transform", "true", 0),
    ("pg_ts_config", "true", 0),
    ("pg_ts_dict", "true", 0),
    ("pg_ts_parser", "true", 0),
    ("pg_ts_template", "true", 0),
    ("pg_foreign_data_wrapper", "true", 0),
    ("pg_foreign_server", "true", 0),
    ("pg_publication", "true", 0),
    ("pg_type", "x.typtype = 'b' AND x.typelem = 0 AND x.typrelid = 0 OR x.typtype = 'p'", 0),
    ("pg_class", "x.relkind = 'f'", 0),
];

/// One row per object: class, identity, schema, and a digest of what can be told without OIDs.
pub fn sql(version: u32) -> String {
    let parts: Vec<String> = CATALOGS
        .iter()
        .filter(|(_, _, since)| version >= *since)
        .map(|(catalog, condition, _)| {
            format!(
                "SELECT o.type, o.identity, coalesce(o.schema, ''), '' FROM {catalog} x \
                 CROSS JOIN LATERAL pg_identify_object('{catalog}'::regclass, x.oid, 0) o \
                 WHERE x.oid >= 16384 AND ({condition}) AND NOT EXISTS (SELECT FROM pg_depend d \
                 WHERE d.classid = '{catalog}'::regclass AND d.objid = x.oid AND d.deptype IN ('e', 'i'))"
            )
        })
        .collect();
    format!(
        "{} UNION ALL SELECT 'security label', pg_describe_object(l.classoid, l.objoid, l.objsubid), '', md5(l.provider || l.label) \
         FROM pg_seclabel l ORDER BY 1, 2",
        parts.join(" UNION ALL ")
    )
}
