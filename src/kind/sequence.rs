//! Sequences: `pg_sequence`. Those of identity columns belong to the column; the column that owns one is a kind of its own.

use serde::Deserialize;

use super::{BASE, Context, Cost, Kind, Query, Renaming, Space, field, reads_as};
use crate::catalog::{Id, Object};
use crate::kind::sequence_owner::stays_owned;
use crate::sql::literal;
use crate::statement::{LockMode, Loss, Statement};

/// The numbers of a sequence; also of an identity column's.
#[derive(Deserialize, PartialEq, Clone)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    #[serde(rename = "type")]
    data_type: String,
    pub(super) start: i64,
    increment: i64,
    min: i64,
    max: i64,
    cache: i64,
    cycle: bool,
    #[serde(default)]
    unlogged: bool,
}

/// JSON pairs for a `pg_sequence` row under the alias `s`.
pub const PAIRS: &str = "'type', format_type(s.seqtypid, NULL), 'start', s.seqstart, 'increment', s.seqincrement, \
     'min', s.seqmin, 'max', s.seqmax, 'cache', s.seqcache, 'cycle', s.seqcycle";

impl Sequence {
    /// The bounds that PostgreSQL gives when none are written.
    fn default_bounds(&self) -> (i64, i64) {
        let (low, high) = match self.data_type.as_str() {
            "smallint" => (i64::from(i16::MIN), i64::from(i16::MAX)),
            "integer" => (i64::from(i32::MIN), i64::from(i32::MAX)),
            _ => (i64::MIN, i64::MAX),
        };
        if self.increment > 0 { (1, high) } else { (low, -1) }
    }

    /// The numbers between which it gives some.
    pub fn bounds(&self) -> (i64, i64) {
        (self.min, self.max)
    }

    /// The options that differ from PostgreSQL's defaults, each with a space before it.
    pub fn options(&self) -> String {
        let (min, max) = self.default_bounds();
        let start = if self.increment > 0 { self.min } else { self.max };
        let mut text = String::new();
        let mut add = |wanted: bool, option: String| {
            if wanted {
                text.push(' ');
                text.push_str(&option);
            }
        };
        add(self.increment != 1, format!("INCREMENT BY {}", self.increment));
        add(self.min != min, format!("MINVALUE {}", self.min));
        add(self.max != max, format!("MAXVALUE {}", self.max));
        add(self.start != start, format!("START WITH {}", self.start));
        add(self.cache != 1, format!("CACHE {}", self.cache));
        add(self.cycle, "CYCLE".to_owned());
        text
    }

    /// The options of `self` that differ from those of `old`, each with `before` before it.
    pub fn changes(&self, old: &Sequence, before: &str) -> String {
        let pairs = [
            (self.increment != old.increment, format!("INCREMENT BY {}", self.increment)),
            (self.min != old.min, format!("MINVALUE {}", self.min)),
            (self.max != old.max, format!("MAXVALUE {}", self.max)),
            (self.start != old.start, format!("START WITH {}", self.start)),
            (self.cache != old.cache, format!("CACHE {}", self.cache)),
            (self.cycle != old.cycle, if self.cycle { "CYCLE" } else { "NO CYCLE" }.to_owned()),
        ];
        pairs.into_iter().filter(|(differs, _)| *differs).map(|(_, o)| format!("{before}{o}")).collect()
    }

    /// A new sequence for the rows that stand goes on after their last number, if that lies ahead. `sequence` and `position` are
    /// expressions: the sequence, and where it stands.
    pub fn after_rows(&self, sequence: &str, position: &str, table: &str, column: &str) -> Statement {
        let (last, from, to) = match self.increment < 0 {
            true => ("min", self.min.to_string(), position.to_owned()),
            false => ("max", position.to_owned(), self.max.to_string()),
        };
        Statement::new(format!(
            "SELECT pg_catalog.setval({sequence}, {last}({column})) FROM {table} HAVING {last}({column}) BETWEEN {from} AND {to}"
        ))
        .scan(table)
    }

    /// What brings the position of `old`, the sequence `name`, within the bounds of `self` where it may lie outside: one that is
    /// within them goes on from where it is. `alter` is what bounds can be given to, each with `before` before it.
    pub fn within(&self, old: &Sequence, name: &str, alter: &str, before: &str) -> Vec<Statement> {
        if (self.min..=self.max).contains(&old.start) {
            return Vec::new();
        }
        let (min, max) = (old.min.min(self.min), old.max.max(self.max));
        let wider = if old.data_type == self.data_type { "" } else { " AS bigint" };
        let widened = format!("{alter}{wider}{before}MINVALUE {min}{before}MAXVALUE {max}");
        let moved = format!(
            "SELECT pg_catalog.setval({}, {}, false) FROM {name} WHERE last_value NOT BETWEEN {} AND {}",
            literal(name),
            self.start,
            self.min,
            self.max
        );
        let lock = |sql| Statement::new(sql).lock(name.to_owned(), LockMode::ShareRowExclusive);
        vec![lock(widened), Statement::new(moved).lock(name.to_owned(), LockMode::RowExclusive)]
    }
}

fn create(object: &Object) -> Statement {
    let s: Sequence = object.read();
    let unlogged = if s.unlogged { "UNLOGGED " } else { "" };
    let data_type = if s.data_type == "bigint" { String::new() } else { format!(" AS {}", s.data_type) };
    Statement::new(format!("CREATE {unlogged}SEQUENCE {}{data_type}{}", object.id.sql(), s.options()))
}

fn alter(context: &Context, old: &Object, new: &Object) -> Vec<Statement> {
    let (before, after): (Sequence, Sequence) = (old.read(), new.read());
    let name = new.id.sql();
    let mut changes = if before.data_type == after.data_type { String::new() } else { format!(" AS {}", after.data_type) };
    changes += &after.changes(&before, " ");
    let mut statements = after.within(&before, &name, &format!("ALTER SEQUENCE {name}"), " ");
    if !changes.is_empty() {
        statements
            .push(Statement::new(format!("ALTER SEQUENCE {name}{changes}")).lock(name.clone(), LockMode::ShareRowExclusive));
    }
    if before.unlogged != after.unlogged && !persists_with_table(context, new) {
        statements.push(set_persistence(&new.id, after.unlogged));
    }
    statements
}

/// ALTER SEQUENCE ... SET LOGGED and its opposite.
pub fn set_persistence(sequence: &Id, unlogged: bool) -> Statement {
    let (name, logged) = (sequence.sql(), if unlogged { "UNLOGGED" } else { "LOGGED" });
    Statement::new(format!("ALTER SEQUENCE {name} SET {logged}")).lock(name, LockMode::AccessExclusive)
}

/// Whether a table that becomes logged or unlogged takes the sequence along (15), since it owns that before and after.
pub fn persists_with_table(context: &Context, sequence: &Object) -> bool {
    let Some((old, new)) = stays_owned(context, &sequence.id).filter(|_| context.live.server >= 150_000) else { return false };
    old.id == new.id && old.flag("unlogged") != new.flag("unlogged")
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "sequence",
    present: "'S' = ANY (look.relations)",
    query: Some(|_| {
        Query::over(
            "pg_class",
            "c.oid",
            "n.nspname, c.relname",
            "FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.oid >= 16384 AND c.relpersistence <> 't' AND NOT EXISTS (SELECT FROM pg_depend d \
             WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i' AND d.refclassid = 'pg_class'::regclass)",
        )
        .owned("c.relowner", "c.relacl", 's')
        .define(format!("{PAIRS}, 'unlogged', c.relpersistence = 'u'"))
    }),
    check: reads_as::<Sequence>,
    fields: &[
        field("type", Cost::Alter),
        field("start", Cost::Alter),
        field("increment", Cost::Alter),
        field("min", Cost::Alter),
        field("max", Cost::Alter),
        field("cache", Cost::Alter),
        field("cycle", Cost::Alter),
        field("unlogged", Cost::Alter),
    ],
    create: |_, o| vec![create(o)],
    alter: |context, old, new, _| alter(context, old, new),
    drop: |_, o| {
        let name = o.id.sql();
        vec![
            Statement::new(format!("DROP SEQUENCE {name}"))
                .lock(name.clone(), LockMode::AccessExclusive)
                .loses(Loss::Position(name)),
        ]
    },
    // The server looks for a type of that name too, though a sequence makes none.
    spaces: &[Space::Relation, Space::Type],
    effects: super::effects::gone,
    renaming: Renaming::Whole("SEQUENCE", Some(LockMode::AccessExclusive)),
    ..BASE
};
