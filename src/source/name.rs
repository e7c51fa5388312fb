//! Names that statements define and require.

use super::files::Place;
use serde::{Deserialize, Serialize};

/// What kind of thing a name names: coarser than a kind of object, as fine as a parse tree can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// A schema.
    Schema,
    /// An extension.
    Extension,
    /// Table, view, materialized view, index, sequence, foreign table.
    Relation,
    /// Enum, domain, composite, range, base type.
    Type,
    /// Function, procedure, aggregate.
    Routine,
    /// A role.
    Role,
    /// A column: schema, table, column.
    Column,
    /// A named constraint: schema, table or domain, constraint.
    Constraint,
    /// A trigger: schema, table, trigger.
    Trigger,
    /// A policy: schema, table, policy.
    Policy,
    /// A rewrite rule: schema, table, rule.
    Rule,
    /// A collation.
    Collation,
    /// Event trigger.
    EventTrigger,
    /// A label of an enum: schema, type, label.
    Label,
    /// Extended statistics.
    Statistics,
    /// A publication.
    Publication,
    /// Foreign-data wrapper.
    Wrapper,
    /// Foreign server.
    Server,
    /// Text search configuration, dictionary, parser or template.
    TextSearch,
    /// An operator.
    Operator,
}

/// A name: class, parts (outermost first) and, for a routine, its input argument types.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name {
    /// What it names.
    pub class: Class,
    /// `["public", "users", "email"]` for a column.
    pub parts: Vec<String>,
    /// Base names of the input argument types (`int4`, `text[]`), only for routines.
    pub args: Vec<String>,
}

impl Name {
    /// A name without arguments.
    pub fn new<S: Into<String>>(class: Class, parts: impl IntoIterator<Item = S>) -> Name {
        Name { class, parts: parts.into_iter().map(Into::into).collect(), args: Vec::new() }
    }

    /// The last part.
    pub fn base(&self) -> &str {
        self.parts.last().map_or("", String::as_str)
    }

    /// The same name without argument types: what a call can tell about the function it needs.
    pub fn bare(&self) -> Name {
        Name::new(self.class, self.parts.iter().cloned())
    }
}

/// A name and where the files define it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defined {
    /// The name, qualified.
    pub name: Name,
    /// The definition: for a column its own line, not the whole CREATE TABLE.
    pub place: Place,
}

/// The class of name that an object's statement defines.
pub fn of_class(class: &str) -> Class {
    match class {
        "schema" => Class::Schema,
        "extension" => Class::Extension,
        "enum" | "domain" | "composite type" | "range type" => Class::Type,
        "function" | "procedure" | "aggregate" => Class::Routine,
        "column" | "default" | "attribute" => Class::Column,
        "primary key" | "unique" | "check" | "foreign key" | "exclusion" | "domain constraint" => Class::Constraint,
        "trigger" => Class::Trigger,
        "policy" => Class::Policy,
        "rule" => Class::Rule,
        "collation" => Class::Collation,
        "event trigger" => Class::EventTrigger,
        "statistics" => Class::Statistics,
        crate::kind::LABEL => Class::Label,
        _ => Class::Relation,
    }
}

/// Types as `format_type` writes them, and as the parser names them.
const TYPES: &[(&str, &str)] = &[
    ("bigint", "int8"),
    ("bit varying", "varbit"),
    ("boolean", "bool"),
    ("character", "bpchar"),
    ("character varying", "varchar"),
    ("double precision", "float8"),
    ("integer", "int4"),
    ("real", "float4"),
    ("smallint", "int2"),
    ("time with time zone", "timetz"),
    ("time without time zone", "time"),
    ("timestamp with time zone", "timestamptz"),
    ("timestamp without time zone", "timestamp"),
];

/// The type of an argument as the parser names it: without its schema.
pub fn base_type(written: &str) -> String {
    let (base, array) = written.strip_suffix("[]").map_or((written, ""), |base| (base, "[]"));
    let known = TYPES.iter().find(|(long, _)| *long == base).map(|(_, short)| (*short).to_owned());
    let last = || super::walk::identifiers(base).pop().unwrap_or_default();
    known.unwrap_or_else(last) + array
}
