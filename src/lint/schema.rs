//! A catalog as the rules see it.

use std::collections::HashMap;

use super::{Settings, deparsed};
use crate::catalog::{Catalog, Id, Object};
use crate::sql::ident;

/// A catalog, with what several rules ask of it.
pub struct Schema<'c> {
    /// All of it.
    pub catalog: &'c Catalog,
    /// What plumb.toml says.
    pub settings: &'c Settings,
    by_class: HashMap<&'c str, Vec<&'c Object>>,
}

/// An index, or a constraint that an index enforces.
#[derive(Clone, Debug)]
pub struct Index<'c> {
    /// The index or the constraint.
    pub object: &'c Object,
    /// `btree`, `gist`, ...
    pub method: &'c str,
    /// What it is sorted by, each as the server writes it, with operator class and order.
    pub keys: Vec<String>,
    /// Columns of INCLUDE.
    pub include: Vec<String>,
    /// WHERE, and what else the definition says behind the columns.
    pub rest: String,
    /// The condition of a partial index.
    pub predicate: Option<&'c str>,
    /// Whether it keeps rows apart.
    pub unique: bool,
}

impl Index<'_> {
    /// Whether a constraint made it.
    pub fn is_constraint(&self) -> bool {
        self.object.id.class() != "index"
    }

    /// Whether it finds the rows with given values of these columns: they are what it begins with, in any order.
    pub fn leads_with(&self, columns: &[String]) -> bool {
        let names: Vec<String> = columns.iter().map(|c| ident(c)).collect();
        let is =
            |key: &String, name: &String| key.strip_prefix(name.as_str()).is_some_and(|r| r.is_empty() || r.starts_with(' '));
        let first = self.keys.get(..columns.len()).unwrap_or_default();
        // A condition that only leaves nulls out holds for every row that refers to something.
        let not_null = |p: &str| names.iter().any(|n| p == format!("({n} IS NOT NULL)"));
        self.predicate.is_none_or(not_null)
            && (self.method == "btree" || self.method == "gist" || self.method == "hash")
            && !first.is_empty()
            && names.iter().all(|name| first.iter().any(|key| is(key, name)))
    }

    /// Tells what it is on, as SQL: `(a, b DESC)`.
    pub fn columns(&self) -> String {
        format!("({})", self.keys.join(", "))
    }
}

impl<'c> Schema<'c> {
    /// The view of a catalog.
    pub fn new(catalog: &'c Catalog, settings: &'c Settings) -> Schema<'c> {
        let mut by_class: HashMap<&str, Vec<&Object>> = HashMap::new();
        for object in catalog.objects() {
            by_class.entry(object.id.class()).or_default().push(object);
        }
        Schema { catalog, settings, by_class }
    }

    /// The objects of a class.
    pub fn all(&self, class: &str) -> impl Iterator<Item = &'c Object> + '_ {
        self.by_class.get(class).into_iter().flatten().copied()
    }

    /// The parts of a table that are of a class.
    pub fn parts(&self, table: &Id, class: &'static str) -> impl Iterator<Item = &'c Object> {
        self.catalog.children(table).filter(move |o| o.id.class() == class)
    }

    /// Tables that are no partitions: what a partition is it is by its parent.
    pub fn tables(&self) -> impl Iterator<Item = &'c Object> + '_ {
        self.all("table").filter(|t| !self.catalog.contains(&t.id.as_class("partition")))
    }

    /// The table that an object is, or is part of.
    pub fn table_of(&self, id: &Id) -> Option<&'c Object> {
        let object = self.catalog.get(id)?;
        match id.class() {
            "table" => Some(object),
            "column" => self.catalog.get(object.parent.as_ref()?),
            _ => None,
        }
    }

    /// The indexes of a table or materialized view, those of constraints included; what its parent gives it is left out.
    pub fn indexes(&self, table: &Id) -> Vec<Index<'c>> {
        self.catalog.children(table).filter(|o| !o.flag("inherited")).filter_map(index).collect()
    }
}

fn index(object: &Object) -> Option<Index<'_>> {
    match object.id.class() {
        "index" => {
            let (method, keys, include, rest) = deparsed::index(object.text("body"))?;
            let predicate = object.definition.get("predicate").and_then(|p| p.as_str());
            let owned = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
            let unique = object.flag("unique");
            Some(Index { object, method, keys: owned(keys), include: owned(include), rest: rest.to_owned(), predicate, unique })
        }
        "primary key" | "unique" => {
            let names = |field: &str| object.texts(field).iter().map(|c| ident(c)).collect();
            let method = if object.flag("without_overlaps") { "gist" } else { "btree" };
            let rest = if object.flag("nulls_not_distinct") { "NULLS NOT DISTINCT" } else { "" }.to_owned();
            Some(Index { object, method, keys: names("columns"), include: names("include"), rest, predicate: None, unique: true })
        }
        "exclusion" => {
            let (method, keys, include, rest) = deparsed::index(object.text("definition").strip_prefix("EXCLUDE ")?)?;
            // Rows are found by what is compared with =.
            let keys = keys.into_iter().map(|k| k.strip_suffix(" WITH =").unwrap_or("").to_owned()).collect();
            let predicate = rest.strip_prefix("WHERE ");
            let include = include.into_iter().map(str::to_owned).collect();
            Some(Index { object, method, keys, include, rest: rest.to_owned(), predicate, unique: false })
        }
        _ => None,
    }
}

/// Columns and domains whose type, less array brackets, is as wanted; with the type.
pub fn typed<'c>(schema: &Schema<'c>, wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = (&'c Object, &'c str)> {
    let columns = schema.all("column").filter(|c| !c.flag("inherited"));
    let all = columns.chain(schema.all("domain")).map(|o| (o, o.text("type").trim_end_matches("[]")));
    all.filter(move |(_, name)| wanted(name)).collect::<Vec<_>>().into_iter()
}
