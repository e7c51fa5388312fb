//! The address of an object, as `pg_identify_object_as_address` would give it: class, name parts, argument types. Never an OID.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::sql;

#[derive(PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Address {
    class: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    name: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    args: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<Id>,
}

/// An address with its hash: large catalogs look addresses up far more often than they make them.
struct Hashed {
    address: Address,
    hash: u64,
}

/// The address of one object. Cheap to clone, compare and look up; ordered by class, then name, so that every listing is
/// deterministic.
#[derive(Clone)]
pub struct Id(Arc<Hashed>);

impl From<Address> for Id {
    fn from(address: Address) -> Id {
        let mut hasher = DefaultHasher::new();
        address.hash(&mut hasher);
        Id(Arc::new(Hashed { hash: hasher.finish(), address }))
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Id) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.hash == other.0.hash && self.0.address == other.0.address
    }
}

impl Eq for Id {}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl PartialOrd for Id {
    fn partial_cmp(&self, other: &Id) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Id {
    fn cmp(&self, other: &Id) -> Ordering {
        if self == other { Ordering::Equal } else { self.0.address.cmp(&other.0.address) }
    }
}

/// A hasher for addresses, which bring their hash along.
#[derive(Default)]
pub struct Known(u64);

impl Hasher for Known {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A map by address.
pub type IdMap<V> = HashMap<Id, V, BuildHasherDefault<Known>>;

/// A set of addresses.
pub type IdSet = HashSet<Id, BuildHasherDefault<Known>>;

impl Id {
    /// An object of `class` named by `name`, outermost part first (`["public", "users", "email"]` for a column).
    pub fn new<S: Into<String>>(class: &str, name: impl IntoIterator<Item = S>) -> Id {
        Id::with_args(class, name, None)
    }

    /// A routine or another object whose argument types are part of its name.
    pub fn with_args<S: Into<String>>(class: &str, name: impl IntoIterator<Item = S>, args: Option<Vec<String>>) -> Id {
        Id::from(Address { class: class.to_owned(), name: name.into_iter().map(Into::into).collect(), args, of: None })
    }

    /// A satellite: the owner, the grants or the comment of another object.
    pub fn satellite(class: &str, of: &Id) -> Id {
        Id::from(Address { class: class.to_owned(), name: Vec::new(), args: None, of: Some(of.clone()) })
    }

    /// The address of another class with the same name: what a column's default or a table's place as a partition is called.
    pub fn as_class(&self, class: &str) -> Id {
        Id::new(class, self.name().iter().cloned())
    }

    /// A part of it by its name: a column of a table.
    pub fn part(&self, class: &str, name: &str) -> Id {
        Id::new(class, self.name().iter().map(String::as_str).chain([name]))
    }

    /// The kind of object in PostgreSQL's words: `table`, `column`, `primary key`, ...
    pub fn class(&self) -> &str {
        &self.0.address.class
    }

    /// The parts of the name, outermost first; empty for a satellite.
    pub fn name(&self) -> &[String] {
        &self.0.address.name
    }

    /// The argument types of a routine, as `format_type` writes them.
    pub fn args(&self) -> &[String] {
        self.0.address.args.as_deref().unwrap_or_default()
    }

    /// The object that this satellite belongs to.
    pub fn of(&self) -> Option<&Id> {
        self.0.address.of.as_ref()
    }

    /// The last part of the name: the object's own name without its schema and table.
    pub fn base(&self) -> &str {
        self.0.address.name.last().map_or("", String::as_str)
    }

    /// The first part of the name: the schema for everything that lives in one. A satellite answers for its object.
    pub fn first(&self) -> &str {
        match &self.0.address.of {
            Some(of) => of.first(),
            None => self.0.address.name.first().map_or("", String::as_str),
        }
    }

    /// The name as SQL, quoted where needed; routines with their argument types.
    pub fn sql(&self) -> String {
        let name = sql::qualified(&self.0.address.name);
        match &self.0.address.args {
            Some(args) => format!("{name}({})", args.join(", ")),
            None => name,
        }
    }

    /// For an object inside a table (column, constraint, trigger, policy): the table's name as SQL.
    pub fn table_sql(&self) -> String {
        sql::qualified(&self.0.address.name[..self.0.address.name.len().saturating_sub(1)])
    }
}

/// Classes that people name as "x on table".
const ON_TABLE: &[&str] =
    &["policy", "trigger", "rule", "primary key", "unique", "foreign key", "check", "exclusion", "not null", "domain constraint"];

impl Id {
    /// The name for a person, without the class: `tenant_isolation on public.documents`, `public.orders.status`.
    pub fn label(&self) -> String {
        match &self.0.address.of {
            Some(of) => format!("on {of}"),
            None if ON_TABLE.contains(&self.class()) => format!("{} on {}", sql::ident(self.base()), self.table_sql()),
            None => self.sql(),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.address.of, self.class()) {
            (Some(of), "owner" | "grant" | "partition") => write!(f, "{} of {of}", self.class()),
            _ => write!(f, "{} {}", self.class(), self.label()),
        }
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.address.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
        Address::deserialize(deserializer).map(Id::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_a_person_names_them() {
        let table = Id::new("table", ["public", "Order"]);
        assert_eq!(table.to_string(), "table public.\"Order\"");
        assert_eq!(Id::new("policy", ["public", "docs", "own"]).to_string(), "policy own on public.docs");
        assert_eq!(Id::satellite("owner", &table).to_string(), "owner of table public.\"Order\"");
        assert_eq!(Id::satellite("comment", &table).to_string(), "comment on table public.\"Order\"");
        let f = Id::with_args("function", ["public", "f"], Some(vec!["integer".into()]));
        assert_eq!(f.sql(), "public.f(integer)");
    }

    #[test]
    fn json_round_trips() {
        let id = Id::satellite("comment", &Id::with_args("function", ["s", "f"], Some(vec![])));
        let text = serde_json::to_string(&id).expect("serializes");
        assert_eq!(serde_json::from_str::<Id>(&text).expect("reads"), id);
    }
}
