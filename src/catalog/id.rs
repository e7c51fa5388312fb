//! The address of an object, as `pg_identify_object_as_address` would give it: class, name parts, argument types. Never an OID.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::canonical;
use super::hash::Mixer;
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

/// An address with what it is compared by: large catalogs look addresses up and sort them far more often than they make them.
struct Hashed {
    address: Address,
    /// Class and name in one, with what no name holds between them: in the order of these bytes.
    key: Box<[u8]>,
    hash: u64,
}

/// The address of one object. Cheap to clone, compare and look up; ordered by class, then name, so that every listing is
/// deterministic.
#[derive(Clone)]
pub struct Id(Arc<Hashed>);

impl From<Address> for Id {
    fn from(address: Address) -> Id {
        let length = address.class.len() + address.name.iter().map(|part| part.len() + 1).sum::<usize>();
        let mut key = Vec::with_capacity(length);
        key.extend_from_slice(address.class.as_bytes());
        for part in &address.name {
            key.push(0);
            key.extend_from_slice(part.as_bytes());
        }
        let mut mixer = Mixer::default();
        mixer.write(&key);
        address.args.iter().flatten().for_each(|arg| mixer.write(arg.as_bytes()));
        mixer.write_u64(address.of.as_ref().map_or(0, |of| of.0.hash));
        Id(Arc::new(Hashed { hash: mixer.finish(), key: key.into_boxed_slice(), address }))
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
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        self.0.key.cmp(&other.0.key).then_with(|| self.0.address.cmp(&other.0.address))
    }
}

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

    /// The address of an object of the same class, and with the same argument types, that is called otherwise.
    pub fn with_name<S: Into<String>>(&self, name: impl IntoIterator<Item = S>) -> Id {
        Id::with_args(self.class(), name, self.0.address.args.clone())
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

    /// Appends it as canonical JSON.
    pub(super) fn write_canonical(&self, out: &mut Vec<u8>) {
        let Address { class, name, args, of } = &self.0.address;
        let text: fn(&mut Vec<u8>, &String) = |out, text| canonical::write_text(out, text);
        out.push(b'{');
        if let Some(args) = args {
            canonical::write_key(out, true, "args");
            canonical::write_list(out, args, text);
        }
        canonical::write_key(out, args.is_none(), "class");
        canonical::write_text(out, class);
        if !name.is_empty() {
            canonical::write_key(out, false, "name");
            canonical::write_list(out, name, text);
        }
        if let Some(of) = of {
            canonical::write_key(out, false, "of");
            of.write_canonical(out);
        }
        out.push(b'}');
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
    fn the_order_is_that_of_class_and_name_and_arguments() {
        let names: &[&[&str]] = &[&[], &["a"], &["a", "b"], &["a", "b", "c"], &["a b"], &["a-b"], &["a", ""], &["é"], &["b"]];
        let args = [None, Some(vec![]), Some(vec!["integer".to_owned()]), Some(vec!["integer".to_owned(), "text".to_owned()])];
        let mut ids = Vec::new();
        for class in ["table", "table b", "a"] {
            for name in names {
                ids.extend(args.iter().map(|args| Id::with_args(class, name.iter().copied(), args.clone())));
            }
            ids.push(Id::satellite(class, &ids[ids.len() / 2].clone()));
            ids.push(Id::satellite(class, &ids[ids.len() / 3].clone()));
        }
        for (a, b) in ids.iter().flat_map(|a| ids.iter().map(move |b| (a, b))) {
            assert_eq!(a.cmp(b), a.0.address.cmp(&b.0.address), "{a} and {b}");
            assert_eq!(a == b, a.0.address == b.0.address, "{a} and {b}");
            assert!(a != b || a.0.hash == b.0.hash, "{a}");
        }
    }

    #[test]
    fn json_round_trips() {
        let id = Id::satellite("comment", &Id::with_args("function", ["s", "f"], Some(vec![])));
        let text = serde_json::to_string(&id).expect("serializes");
        assert_eq!(serde_json::from_str::<Id>(&text).expect("reads"), id);
    }
}
