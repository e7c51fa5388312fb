//! What a plan may touch: by default the schemas that the files create or put objects in, and nothing that belongs to the whole
//! cluster. Everything else is outside scope: listed, never dropped.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use crate::catalog::{Catalog, Id, Object};
use crate::kind::quarantine;

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
    /// The schemas in which is what was put aside, each with those that were made beside it: no plan touches it there.
    #[serde(default = "usual", skip_serializing_if = "is_usual")]
    quarantine: Vec<String>,
}

fn usual() -> Vec<String> {
    vec![quarantine::SCHEMA.to_owned()]
}

fn is_usual(families: &[String]) -> bool {
    families == [quarantine::SCHEMA]
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
        let everything = stated.iter().any(|s| s == "*");
        Scope { schemas, classes, moved: BTreeSet::new(), everything, quarantine: usual() }
    }

    /// Everything there is, with what is put aside.
    pub fn whole() -> Scope {
        Scope { everything: true, ..Scope::default() }
    }

    /// The same where what is put aside may be in another schema too.
    pub fn with_quarantine(mut self, schema: &str) -> Scope {
        if !self.quarantine.iter().any(|s| s == schema) {
            self.quarantine.push(schema.to_owned());
        }
        self
    }

    /// The same without what has come back from where it was put aside.
    pub fn without_returned(mut self) -> Scope {
        let aside = |name: &Vec<String>| {
            self.quarantine.iter().any(|family| name.first().is_some_and(|s| quarantine::is_schema(s, family)))
        };
        self.moved = self.moved.iter().filter(|name| name.len() < 3 && !aside(name)).cloned().collect();
        self
    }

    /// Whether it was put aside.
    pub fn quarantines(&self, id: &Id) -> bool {
        let id = id.of().unwrap_or(id);
        let schema = |family: &String| quarantine::is_schema(id.first(), family);
        !self.quarantine.is_empty() && (quarantine::is_column(id) || self.quarantine.iter().any(schema))
    }

    /// What was put aside, less the parts of it and the schemas, in order.
    pub fn quarantined<'c>(&self, catalog: &'c Catalog) -> impl Iterator<Item = &'c Object> {
        let part = |o: &Object| o.parent.as_ref().is_some_and(|p| self.quarantines(p));
        let alone =
            move |o: &&Object| o.id.of().is_none() && !["schema", "partition", "owned by"].contains(&o.id.class()) && !part(o);
        catalog.objects().filter(|o| self.quarantines(&o.id)).filter(alone)
    }

    /// The schemas, for a person.
    pub fn schemas(&self) -> Vec<String> {
        if self.everything { vec!["*".to_owned()] } else { self.schemas.iter().cloned().collect() }
    }

    /// Whether a plan may touch this object.
    pub fn holds(&self, id: &Id) -> bool {
        if let Some(of) = id.of() {
            // When that was, and by which plan, is nobody's wish.
            return self.holds(of) && !(id.class() == "comment" && self.quarantines(of));
        }
        if self.moved.iter().any(|m| id.name().starts_with(m)) {
            return true;
        }
        if self.quarantines(id) {
            return false;
        }
        if self.everything {
            return true;
        }
        match id.class() {
            class if DATABASE_WIDE.contains(&class) => self.classes.contains(class),
            _ => id.first().is_empty() || self.schemas.contains(id.first()),
        }
    }

    /// The same with what stands outside of it in `before` and no longer does in `after`, since it comes in by another name.
    pub fn with_moved(mut self, before: &Catalog, after: &Catalog) -> Scope {
        let gone = |o: &&Object| o.id.of().is_none() && !after.contains(&o.id);
        for object in before.objects().filter(gone) {
            match object.id.class() {
                "schema" => _ = self.schemas.insert(object.id.base().to_owned()),
                _ if quarantine::is_column(&object.id) => _ = self.moved.insert(object.id.name().to_vec()),
                _ if self.holds(&object.id) => {}
                _ => _ = self.moved.insert(object.id.name().iter().take(2).cloned().collect()),
            }
        }
        self.moved.retain(|m| m.len() > 2 || m.first().is_none_or(|schema| !self.schemas.contains(schema)));
        self
    }

    /// Whether an object that is not managed lies in a schema of the scope.
    pub fn holds_schema(&self, schema: &str) -> bool {
        let aside = self.quarantine.iter().any(|family| quarantine::is_schema(schema, family));
        !aside && (self.everything || schema.is_empty() || self.schemas.contains(schema))
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
            .filter(|o| o.parent.is_none() && o.id.of().is_none() && !self.holds(&o.id) && !self.quarantines(&o.id))
            .map(|o| o.id.clone())
            .collect()
    }
}
