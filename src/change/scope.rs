//! What a plan may touch: by default the schemas that the files create or put objects in, and nothing that belongs to the whole
//! cluster. Everything else is outside scope: listed, never dropped.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use crate::catalog::{Catalog, Id, Object};

/// Classes of the whole database; managed as soon as the files declare one of them.
const DATABASE_WIDE: &[&str] = &["extension", "event trigger"];

/// The schemas and database-wide classes that a plan may touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    schemas: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    classes: BTreeSet<String>,
    /// What comes from elsewhere by another name, as schema and name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    moved: BTreeSet<Vec<String>>,
    #[serde(default)]
    everything: bool,
}

impl Scope {
    /// The scope of a desired catalog; `stated` replaces the schemas, and `*` stands for everything.
    pub fn new(desired: &Catalog, stated: &[String]) -> Scope {
        let top = |o: &Object| o.parent.is_none() && !DATABASE_WIDE.contains(&o.id.class());
        let has_objects = |o: &&Object| top(o) && o.id.class() != "schema" && !o.id.first().is_empty();
        let created = desired.objects().filter(|o| o.id.class() == "schema" && o.id.base() != "public").map(|o| o.id.base());
        let used = desired.objects().filter(has_objects).map(|o| o.id.first());
        let schemas =
            if stated.is_empty() { created.chain(used).map(str::to_owned).collect() } else { stated.iter().cloned().collect() };
        let classes = DATABASE_WIDE
            .iter()
            .filter(|class| desired.objects().any(|o| o.id.class() == **class))
            .map(|class| (*class).to_owned())
            .collect();
        Scope { schemas, classes, moved: BTreeSet::new(), everything: stated.iter().any(|s| s == "*") }
    }

    /// The schemas, for a person.
    pub fn schemas(&self) -> Vec<String> {
        if self.everything { vec!["*".to_owned()] } else { self.schemas.iter().cloned().collect() }
    }

    /// Whether a plan may touch this object.
    pub fn holds(&self, id: &Id) -> bool {
        if let Some(of) = id.of() {
            return self.holds(of);
        }
        if self.everything {
            return true;
        }
        match id.class() {
            class if DATABASE_WIDE.contains(&class) => self.classes.contains(class),
            _ => {
                id.first().is_empty() || self.schemas.contains(id.first()) || self.moved.iter().any(|m| id.name().starts_with(m))
            }
        }
    }

    /// The same with what stands outside of it in `before` and no longer does in `after`, since it comes in by another name.
    pub fn with_moved(mut self, before: &Catalog, after: &Catalog) -> Scope {
        let gone = |o: &&Object| o.id.of().is_none() && !after.contains(&o.id);
        for object in before.objects().filter(gone) {
            match object.id.class() {
                "schema" => _ = self.schemas.insert(object.id.base().to_owned()),
                _ if self.holds(&object.id) => {}
                _ => _ = self.moved.insert(object.id.name().iter().take(2).cloned().collect()),
            }
        }
        self.moved.retain(|m| m.first().is_none_or(|schema| !self.schemas.contains(schema)));
        self
    }

    /// Whether an object that is not managed lies in a schema of the scope.
    pub fn holds_schema(&self, schema: &str) -> bool {
        self.everything || schema.is_empty() || self.schemas.contains(schema)
    }

    /// The part of a catalog that is in scope.
    pub fn of(&self, catalog: &Catalog) -> Catalog {
        let mut inside = catalog.filtered(|o| self.holds(&o.id));
        inside.unmanaged.retain(|u| self.holds_schema(&u.schema));
        inside
    }

    /// Whole objects outside, in order.
    pub fn outside(&self, catalog: &Catalog) -> Vec<Id> {
        catalog
            .objects()
            .filter(|o| o.parent.is_none() && o.id.of().is_none() && !self.holds(&o.id))
            .map(|o| o.id.clone())
            .collect()
    }
}
