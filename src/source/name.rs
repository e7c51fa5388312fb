//! Names that statements define and require.

use super::files::Place;

/// What kind of thing a name names: coarser than a kind of object, as fine as a parse tree can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
