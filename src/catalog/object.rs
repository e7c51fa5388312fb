//! One object of a catalog.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Id;

/// One object: its address, the object it is part of, and its definition as the kind's query gave it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// The address.
    pub id: Id,
    /// The object that this one is a part of: the table of a column, the target of a comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Id>,
    /// What is compared and fingerprinted: one entry per field of the kind.
    pub definition: Map<String, Value>,
    /// What is known and never compared: column position, population, default privileges of the class.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub detail: Map<String, Value>,
}

impl Object {
    /// The definition as the kind's own struct.
    ///
    /// # Panics
    /// When the definition is not of that kind; `introspect` and the snapshot reader have checked it before.
    pub fn read<T: DeserializeOwned>(&self) -> T {
        match T::deserialize(&self.definition) {
            Ok(read) => read,
            Err(e) => panic!("definition of {} is not of its kind: {e}", self.id),
        }
    }

    /// A text field of the definition; empty when it is null or absent.
    pub fn text(&self, field: &str) -> &str {
        self.definition.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// A boolean field of the definition.
    pub fn flag(&self, field: &str) -> bool {
        self.definition.get(field).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A field that is a list of texts, of the definition or else of the detail; empty when there is none.
    pub fn texts(&self, field: &str) -> Vec<String> {
        let list = self.definition.get(field).or_else(|| self.detail.get(field)).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The fields that differ between two definitions of one object, in the order of their names.
    pub fn changed_fields(&self, other: &Object) -> Vec<String> {
        if std::ptr::eq(self, other) {
            return Vec::new();
        }
        let mut fields: Vec<String> = self
            .definition
            .iter()
            .filter(|(k, v)| other.definition.get(*k) != Some(v))
            .map(|(k, _)| k.clone())
            .chain(other.definition.keys().filter(|k| !self.definition.contains_key(*k)).cloned())
            .collect();
        fields.sort();
        fields
    }
}
