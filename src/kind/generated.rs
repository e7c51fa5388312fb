//! Computed columns: what of them can be changed in place.

use super::{Cost, type_change};
use crate::catalog::Object;

/// A stored expression can be dropped in place; nothing can be turned into one, and (before 17) none can be changed.
fn expression_cost(old: &Object, new: &Object) -> bool {
    old.definition.contains_key("generated") && !new.definition.contains_key("generated") && !old.flag("generated_virtual")
}

/// What a change of the expression costs.
pub const EXPRESSION: Cost = Cost::AlterOrReplace(expression_cost);

/// What is computed is computed again for another type: the server takes no USING for it, and casts only what it would cast by
/// itself. Before 15 it refuses another type or collation to a column whose expression uses more than columns of the table.
fn type_cost(old: &Object, new: &Object) -> bool {
    let base = |o: &Object| type_change::base(o.text("type"));
    let in_place = base(old) == base(new) && !old.detail.contains_key("expression_uses_more");
    !new.definition.contains_key("generated") || in_place
}

/// What a change of type or collation costs.
pub const TYPE: Cost = Cost::RetypeOrReplace(type_cost);

/// The JSON of whether the expression of the column `a`, whose type is `t`, uses more than columns of its table: before 15 that
/// is what the column itself depends on.
pub fn uses_more(version: u32) -> &'static str {
    if version >= 150_000 {
        return "NULL::bool";
    }
    "CASE WHEN a.attgenerated <> '' AND EXISTS (SELECT FROM pg_depend u \
         WHERE u.classid = 'pg_class'::regclass AND u.objid = a.attrelid AND u.objsubid = a.attnum AND u.deptype IN ('n', 'a') \
         AND (u.refclassid, u.refobjid) NOT IN (('pg_class'::regclass, a.attrelid), ('pg_type'::regclass, a.atttypid), \
             ('pg_collation'::regclass, a.attcollation))) THEN true END"
}

/// The condition under which the column `a`, whose type is `t`, has no detail but its position.
pub fn nothing_more(version: u32) -> &'static str {
    match version {
        180_000.. => "NOT a.attnotnull AND a.attidentity = '' AND t.typstorage IN ('p', 'x')",
        150_000.. => "a.attidentity = '' AND t.typstorage IN ('p', 'x')",
        _ => "a.attgenerated = '' AND a.attidentity = '' AND t.typstorage IN ('p', 'x')",
    }
}
