//! A schema as data. Everything is an item in one flat map: also columns, constraints, and what a view gives out. Items name
//! each other by keys, which stay the same on both sides of a pair; so a rename, a move or a new type is a changed field, what
//! uses it follows by itself, and an item can be taken out of both sides while a failing pair is shrunk.

use plumb::sql::{ident, literal as quoted};
use std::collections::{BTreeMap, BTreeSet};

/// An item's identity on both sides of a pair.
pub type Key = u32;

/// The roles that own and are granted things.
pub const ROLES: &[&str] = &["soak_one", "soak \"Two\"", "soak.three"];

/// The schema that every database has.
pub const PUBLIC: Key = 0;

#[derive(Clone, PartialEq, Debug)]
pub enum Type {
    Plain(&'static str),
    /// A type of the model.
    Of(Key),
    /// Whatever a column is of: of a foreign key's columns, and of arguments.
    Like(Key),
    Array(Box<Type>),
}

/// What can be done with values of a type.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Class {
    Number,
    Text,
    Bool,
    Day,
    Uuid,
    Json,
    Enum(Key),
    Row,
    Range,
    Array,
}

/// An expression over one column; it is written as the column's type asks for.
#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    pub form: usize,
    pub column: Key,
    pub function: Option<Key>,
    pub n: usize,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Default {
    Literal(usize),
    Next(Key),
    Call(Key),
    Now,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Column {
    pub ty: Type,
    pub default: Option<Default>,
    pub not_null: bool,
    pub identity: Option<bool>,
    pub generated: Option<Expr>,
    pub collation: Option<Key>,
    pub storage: Option<&'static str>,
    pub statistics: Option<usize>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Table {
    pub unlogged: bool,
    /// Strategy and column of a partitioned table.
    pub by: Option<(&'static str, Key)>,
    /// A partition's parent and its place there.
    pub of: Option<(Key, Slot)>,
    pub inherits: Option<Key>,
    pub rls: bool,
    pub force: bool,
    pub fillfactor: Option<usize>,
    pub replica_full: bool,
}

/// The bounds of a partition: places do not overlap.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Slot {
    /// None is the default partition.
    pub at: Option<usize>,
    /// How much of its place is left free.
    pub free: usize,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Function {
    pub args: Vec<(String, Type)>,
    pub result: Type,
    /// One value, rows of it, or a table.
    pub returns: usize,
    /// BEGIN ATOMIC, a quoted body, plpgsql.
    pub language: usize,
    pub volatility: usize,
    pub strict: bool,
    pub definer: bool,
    pub n: usize,
    pub reads: Option<Key>,
    pub calls: Option<Key>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Index {
    pub columns: Vec<Key>,
    pub expr: Option<Expr>,
    pub filter: Option<Expr>,
    pub unique: bool,
    pub include: Vec<Key>,
    pub hash: bool,
    pub descending: bool,
    pub fillfactor: Option<usize>,
    pub statistics: bool,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct View {
    pub from: Key,
    pub join: Option<Key>,
    pub filter: Option<Expr>,
    pub materialized: bool,
    pub grouped: bool,
    pub option: Option<&'static str>,
    /// Its columns from the last to the first.
    pub turned: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub enum What {
    Schema,
    Enum(Vec<String>),
    Domain { base: Type, not_null: bool, default: Option<usize>, check: Option<usize> },
    Composite(Vec<(String, Type)>),
    Range(&'static str),
    Collation(&'static str),
    Sequence { ty: &'static str, increment: usize, cache: usize, cycle: bool, owner: Option<Key> },
    Function(Function),
    TriggerFunction(usize),
    Procedure { args: Vec<(String, Type)>, language: usize, reads: Option<Key>, n: usize },
    Aggregate { ty: &'static str, start: usize, step: usize },
    Table(Table),
    Column(Column),
    Unique { columns: Vec<Key>, primary: bool, deferrable: bool, include: Vec<Key> },
    Check { expr: Expr, not_valid: bool, no_inherit: bool },
    Exclusion { column: Key, filter: Option<Expr>, deferrable: bool },
    ForeignKey { columns: Vec<Key>, target: Key, action: &'static str, deferrable: bool, not_valid: bool },
    Index(Index),
    View(View),
    Output { source: Key, form: usize, function: Option<Key> },
    Trigger { function: Key, timing: usize, of: Vec<Key>, when: Option<Expr>, statement: bool, enabled: usize },
    Rule { event: usize, filter: Option<Expr>, instead: bool },
    Policy { expr: Expr, check: Option<Expr>, role: Option<usize>, restrictive: bool, command: usize },
    Statistics { columns: Vec<Key>, kinds: usize },
    DefaultPrivileges { schema: Option<Key>, by: usize, to: usize, objects: usize },
}

#[derive(Clone, PartialEq, Debug)]
pub struct Item {
    pub name: String,
    /// The schema, or the table or view.
    pub within: Key,
    pub what: What,
    pub owner: Option<usize>,
    pub comment: Option<usize>,
    /// Privilege and grant option by role; the role after the last is PUBLIC.
    pub grants: BTreeMap<usize, (usize, bool)>,
    /// Whether PUBLIC loses what it has of a new object.
    pub closed: bool,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Model {
    pub items: BTreeMap<Key, Item>,
    pub next: Key,
}

impl std::default::Default for Type {
    fn default() -> Type {
        Type::Plain("integer")
    }
}

impl Model {
    pub fn new() -> Model {
        let mut model = Model::default();
        model.add("public".into(), PUBLIC, What::Schema);
        model
    }

    pub fn add(&mut self, name: String, within: Key, what: What) -> Key {
        let (owner, comment, grants) = (None, None, BTreeMap::new());
        self.items.insert(self.next, Item { name, within, what, owner, comment, grants, closed: false });
        self.next += 1;
        self.next - 1
    }

    pub fn what(&self, key: Key) -> Option<&What> {
        self.items.get(&key).map(|i| &i.what)
    }

    pub fn keys(&self, wanted: impl Fn(&What) -> bool) -> Vec<Key> {
        self.items.iter().filter(|(_, i)| wanted(&i.what)).map(|(k, _)| *k).collect()
    }

    pub fn table(&self, key: Key) -> Option<&Table> {
        match self.what(key) {
            Some(What::Table(table)) => Some(table),
            _ => None,
        }
    }

    pub fn view(&self, key: Key) -> Option<&View> {
        match self.what(key) {
            Some(What::View(view)) => Some(view),
            _ => None,
        }
    }

    pub fn column(&self, key: Key) -> Option<&Column> {
        match self.what(key) {
            Some(What::Column(column)) => Some(column),
            _ => None,
        }
    }

    pub fn function(&self, key: Key) -> Option<&Function> {
        match self.what(key) {
            Some(What::Function(function)) => Some(function),
            _ => None,
        }
    }

    pub fn partitions(&self, parent: Key) -> Vec<Key> {
        self.keys(|w| matches!(w, What::Table(Table { of: Some((p, _)), .. }) if *p == parent))
    }

    /// The top of a tree of partitions or heirs.
    pub fn root(&self, key: Key) -> Key {
        let parent = self.table(key).and_then(|t| t.of.map(|o| o.0).or(t.inherits));
        parent.filter(|p| *p != key).map_or(key, |p| self.root(p))
    }

    /// How many tables stand above each other from this one down.
    pub fn levels(&self, table: Key) -> usize {
        let below = self.keys(|w| matches!(w, What::Table(t) if t.of.map(|o| o.0).or(t.inherits) == Some(table)));
        1 + below.into_iter().filter(|k| *k != table).map(|k| self.levels(k)).max().unwrap_or(0)
    }

    /// The columns of a table or view, those of its parents first.
    pub fn columns(&self, relation: Key) -> Vec<Key> {
        let parent = self.table(relation).and_then(|t| t.of.map(|o| o.0).or(t.inherits));
        let mut list = parent.map_or(Vec::new(), |p| self.columns(p));
        let own = |(_, i): &(&Key, &Item)| i.within == relation && matches!(i.what, What::Column(_) | What::Output { .. });
        let mut outputs: Vec<Key> = self.items.iter().filter(own).map(|(k, _)| *k).collect();
        if self.view(relation).is_some_and(|v| v.turned) {
            outputs.reverse();
        }
        list.extend(outputs);
        list
    }

    /// Columns by which rows find their partition, here and below.
    pub fn partition_columns(&self, table: Key) -> Vec<Key> {
        let own = self.table(table).and_then(|t| t.by).map(|b| b.1);
        let below = self.partitions(table).into_iter().flat_map(|p| self.partition_columns(p));
        own.into_iter().chain(below).collect()
    }

    /// The columns of a key as they are written: those of a partitioned table hold the partition's columns.
    pub fn key_columns(&self, key: Key) -> Vec<Key> {
        let Some(Item { within, what: What::Unique { columns, .. }, .. }) = self.items.get(&key) else { return Vec::new() };
        let mut list = columns.clone();
        for column in self.partition_columns(*within) {
            if !list.contains(&column) {
                list.push(column);
            }
        }
        list
    }

    /// The type of a column, or of what a view gives out.
    pub fn type_of(&self, key: Key) -> Type {
        match self.what(key) {
            Some(What::Column(column)) => self.resolve(&column.ty),
            Some(What::Output { source, form: 0, .. }) => self.type_of(*source),
            Some(What::Output { form: 2, function: Some(f), .. }) => {
                self.function(*f).map_or(Type::default(), |f| self.resolve(&f.result))
            }
            _ => Type::Plain("text"),
        }
    }

    pub fn resolve(&self, ty: &Type) -> Type {
        match ty {
            Type::Like(key) => self.type_of(*key),
            Type::Array(inner) => Type::Array(Box::new(self.resolve(inner))),
            other => other.clone(),
        }
    }

    /// The items that a type rests on.
    pub fn types_in(&self, ty: &Type) -> Option<Key> {
        match self.resolve(ty) {
            Type::Of(key) => Some(key),
            Type::Array(inner) => self.types_in(&inner),
            _ => None,
        }
    }

    pub fn class(&self, ty: &Type) -> Class {
        match self.resolve(ty) {
            Type::Array(_) => Class::Array,
            Type::Of(key) => match self.what(key) {
                Some(What::Enum(_)) => Class::Enum(key),
                Some(What::Domain { base, .. }) => self.class(base),
                Some(What::Range(_)) => Class::Range,
                _ => Class::Row,
            },
            Type::Plain(name) => match name.split('(').next().unwrap_or_default() {
                "boolean" => Class::Bool,
                "uuid" => Class::Uuid,
                "jsonb" => Class::Json,
                "text" | "varchar" | "char" => Class::Text,
                "date" | "timestamp" | "timestamptz" => Class::Day,
                _ => Class::Number,
            },
            Type::Like(_) => Class::Number,
        }
    }

    pub fn type_sql(&self, ty: &Type) -> String {
        match self.resolve(ty) {
            Type::Array(inner) => format!("{}[]", self.type_sql(&inner)),
            Type::Of(key) => self.full(key),
            Type::Plain(name) => name.to_owned(),
            Type::Like(_) => "integer".to_owned(),
        }
    }

    /// A constant of a type; those of numbers, texts and days are in the order of `n`.
    pub fn literal(&self, ty: &Type, n: usize) -> String {
        match self.class(ty) {
            Class::Number => (n % 99).to_string(),
            Class::Text => format!("'k{:03}'", n % 1000),
            Class::Bool => (if n.is_multiple_of(2) { "true" } else { "false" }).to_owned(),
            Class::Day => format!("'{}-{:02}-{:02}'", 2024 + n / 336, 1 + n / 28 % 12, 1 + n % 28),
            Class::Uuid => format!("'00000000-0000-0000-0000-{n:012}'"),
            Class::Json => format!("'{{\"a\": {n}}}'"),
            Class::Enum(key) => match self.what(key) {
                Some(What::Enum(labels)) => quoted(&labels[n % labels.len()]),
                _ => "NULL".to_owned(),
            },
            Class::Row => "NULL".to_owned(),
            Class::Range => "'empty'".to_owned(),
            Class::Array => "'{}'".to_owned(),
        }
    }

    /// The qualified name.
    pub fn full(&self, key: Key) -> String {
        let item = &self.items[&key];
        format!("{}.{}", ident(&self.items[&item.within].name), ident(&item.name))
    }

    pub fn name(&self, key: Key) -> String {
        ident(&self.items[&key].name)
    }

    pub fn names(&self, keys: &[Key]) -> String {
        keys.iter().map(|k| self.name(*k)).collect::<Vec<_>>().join(", ")
    }

    pub fn used_names(&self) -> BTreeSet<&str> {
        self.items.values().map(|i| i.name.as_str()).collect()
    }
}
