//! Keys and indexes of a partitioned table that are alike: the server pairs those of a partition with them by age, so that they
//! have to be made in the same order.

use super::constraint::Key;
use crate::catalog::{Catalog, Id, Object};
use crate::sql::idents;

/// How many indexes of a table are older than `index` where it is partitioned, as a JSON pair; `table` is an alias of `pg_class`.
pub fn age(table: &str, index: &str) -> String {
    format!(
        "'age', CASE WHEN {table}.relkind = 'p' THEN (SELECT count(*) FROM pg_index older WHERE older.indrelid = {table}.oid \
         AND older.indexrelid < {index}) END"
    )
}

/// What the server compares of the index behind a key, or of an index; none where it makes no difference.
fn likeness(object: &Object) -> Option<String> {
    match object.id.class() {
        "primary key" | "unique" => object.read::<Key>().index_body().map(|body| format!("UNIQUE {body}")),
        "index" => {
            let unique = if object.flag("unique") { "UNIQUE " } else { "" };
            let order = [" DESC", " NULLS FIRST", " NULLS LAST"];
            let body = order.iter().fold(object.text("body").to_owned(), |body, word| body.replace(word, ""));
            Some(format!("{unique}{body} {}", object.text("predicate")).trim_end().to_owned())
        }
        _ => None,
    }
}

/// The table of a key or an index, and its likeness, where the table is partitioned or a partition.
pub fn likeness_in_tree<'o>(catalog: &Catalog, object: &'o Object) -> Option<(&'o Id, String)> {
    let table = object.parent.as_ref().filter(|_| ["primary key", "unique", "index"].contains(&object.id.class()))?;
    let in_tree = super::relation::is_partitioned(catalog, table) || catalog.contains(&table.as_class("partition"));
    if in_tree { likeness(object).map(|likeness| (table, likeness)) } else { None }
}

/// Whether the server compares two keys or indexes of a table as equal.
pub fn alike(one: &Object, other: &Object) -> bool {
    one.parent == other.parent && likeness(one).is_some() && likeness(one) == likeness(other)
}

/// Whether the table of a key has another key or index like it, and it matters which is the older one: there are partitions or a
/// parent table to pair them with, or a foreign key rests on the other one.
pub fn has_twin(catalog: &Catalog, key: &Object) -> bool {
    let in_tree = likeness_in_tree(catalog, key).is_some();
    let referenced = |other: &Object| catalog.used_by(&other.id).iter().any(|(user, _)| user.class() == "foreign key");
    let others = key.parent.iter().flat_map(|table| catalog.children(table)).filter(|other| other.id != key.id);
    others.filter(|other| in_tree || referenced(other)).any(|other| alike(key, other))
}

impl Key {
    /// The index behind it, as `pg_get_indexdef` would write it.
    fn index_body(&self) -> Option<String> {
        let include = if self.include.is_empty() { String::new() } else { format!(" INCLUDE ({})", idents(&self.include)) };
        let nulls = if self.nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" };
        (!self.without_overlaps).then(|| format!("USING btree ({}){include}{nulls}", idents(&self.columns)))
    }
}
