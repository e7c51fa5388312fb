//! What becomes of an object when a column that it uses changes its type.

use super::{Cost, Field, is_held, is_of_type, of, type_change};
use crate::catalog::{Catalog, Dependency, Id, Object};

/// How an object takes a change of type of a column that it uses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// The server refuses the change while the object stands.
    Never,
    /// The server rebuilds it.
    Always,
    /// The server rebuilds it as long as the new type compares with the old one.
    WithinFamily,
}

/// Types that compare with each other, so that a foreign key survives while only one of its sides has changed.
const FAMILIES: &[&[&str]] = &[
    &["smallint", "integer", "bigint"],
    &["text", "character varying", "character"],
    &["timestamp without time zone", "timestamp with time zone", "date"],
    &["real", "double precision"],
];

/// Whether an expression of the object says more of a column than its name: the server writes it anew with casts when the type changes.
fn computes(object: &Object, column: &Id) -> bool {
    let name = column.base().replace('"', "\"\"");
    let calls = |f: &Field| object.text(f.name).matches('(').count() > usize::from(f.name == "body");
    of(&object.id).fields.iter().any(|f| f.expression && calls(f) && object.text(f.name).contains(&name))
}

/// Whether the server, when it rebuilds the object, forgets something of it: the statistics targets of an index; and of an index of a
/// partitioned table what is special about those of the partitions, which it makes anew as it would make new ones.
pub fn forgets(catalog: &Catalog, object: &Object) -> bool {
    object.id.class() == "index" && object.definition.contains_key("statistics") || has_special_parts(catalog, object)
}

/// Whether an index of a partition is not as the server makes it for that of the table: its name, its comment, its parameters. The
/// comment of an index passes on to those of the partitions.
fn has_special_parts(catalog: &Catalog, object: &Object) -> bool {
    const INDEXES: &[&str] = &["index", "primary key", "unique", "exclusion"];
    if !INDEXES.contains(&object.id.class()) {
        return false;
    }
    let commented = |o: &Object| catalog.contains(&Id::satellite("comment", &o.id));
    let passes_on = object.id.class() == "index" && commented(object);
    let set = |o: &Object| ["replica_identity", "clustered"].iter().any(|flag| o.flag(flag));
    let inherited = catalog.used_by(&object.id).iter().filter(|(_, d)| *d == Dependency::Inherited);
    let mut parts = inherited.filter_map(|(part, _)| catalog.get(part)).filter(|o| INDEXES.contains(&o.id.class()));
    parts.any(|part| {
        let alike = part.definition.get("options") == object.definition.get("options");
        let plain = chosen_name(part).is_some_and(|name| name == part.id.base());
        passes_on || !plain || !alike || commented(part) || set(part) || has_special_parts(catalog, part)
    })
}

/// The name that the server gives to an index or a key when nobody says one and nothing has it; none where that is not easily told.
fn chosen_name(object: &Object) -> Option<String> {
    let (columns, end) = match object.id.class() {
        "primary key" => (Vec::new(), "pkey"),
        "unique" => ([object.texts("columns"), object.texts("include")].concat(), "key"),
        "index" => (plain_columns(object.text("body"))?, "idx"),
        _ => return None,
    };
    name_of_parts(object, columns, end)
}

/// The name of an index or a key of these columns as the server puts it together; none where it would have to cut it.
pub fn name_of_parts(object: &Object, columns: Vec<String>, end: &str) -> Option<String> {
    let table = object.parent.as_ref()?.base().to_owned();
    let name = [vec![table], columns, vec![end.to_owned()]].concat().join("_");
    (name.len() < 64).then_some(name)
}

/// The columns of an index of which nothing is an expression or quoted: `USING btree (a, b DESC)`.
fn plain_columns(body: &str) -> Option<Vec<String>> {
    let (_, list) = body.split_once('(')?;
    let list = list.strip_suffix(')').filter(|list| !list.contains(['(', ')', '"']))?;
    Some(list.split(", ").filter_map(|column| column.split(' ').next().map(str::to_owned)).collect())
}

/// Whether `dependent` survives, as it is written, that a column changes from `old` to `new`, where nothing of it is forgotten.
pub fn carries(dependent: &Object, old: &Object, new: &Object) -> bool {
    let base = |o: &Object| type_change::base(o.text("type"));
    let (before, after) = (base(old), base(new));
    let family = before == after || FAMILIES.iter().any(|f| f.contains(&before.as_str()) && f.contains(&after.as_str()));
    match of(&dependent.id).carried {
        Carried::Never => false,
        Carried::Always => before == after || !computes(dependent, &old.id),
        // Where it compares enums, arrays or ranges too, the server looks for a cast to `anyenum` and finds none.
        Carried::WithinFamily => family && !dependent.detail.contains_key("polymorphic"),
    }
}

/// Whether a type or collation is made anew under its name.
pub fn is_remade(live: &Catalog, old: &Object, new: &Object) -> bool {
    let kind = of(&old.id);
    old.changed_fields(new).iter().any(|field| match kind.field(field).map(|f| f.cost) {
        Some(Cost::Remake(must)) => must(old, new),
        Some(Cost::RetypeOrRemake(must)) => must(old, new) && is_held(live, &old.id),
        _ => false,
    })
}

/// Whether a column passes from the type `from` to another one while both are made anew: it waits as text, for neither is the
/// first.
pub fn passes_over(live: &Catalog, desired: &Catalog, column: &Id, from: &Id) -> bool {
    let (Some(old), Some(new)) = (live.get(column), desired.get(column)) else { return false };
    let remade = |id: &Id| match (live.get(id), desired.get(id)) {
        (Some(old), Some(new)) => is_remade(live, old, new),
        _ => false,
    };
    let leaves = column.class() == "column" && from.class() != "collation" && is_of_type(old, from) && !is_of_type(new, from);
    leaves && remade(from) && desired.uses(column).iter().any(|(to, _)| is_of_type(new, to) && remade(to))
}
