//! Other names for what stands: the statement that gives one, and what it locks. What holds rows, values or a position keeps them.

use super::find;
use crate::catalog::{Catalog, Id, Object};
use crate::sql::{ident, literal, qualified};
use crate::statement::{LockMode, Statement};

/// The class of the labels of an enum: parts of its definition, which have names of their own.
pub const LABEL: &str = "enum label";

/// How the objects of a kind get another name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Renaming {
    /// Not at all.
    Never,
    /// `ALTER <words> name RENAME TO`, and `SET SCHEMA` where it passes to another schema; with a lock on it where it is a relation.
    Whole(&'static str, Option<LockMode>),
    /// `ALTER <of> whole RENAME <words> name TO`, which goes to the partitions and heirs of a table where the flag says so.
    Part(&'static str, &'static str, bool),
    /// `ALTER <words> name ON table RENAME TO`.
    On(&'static str),
}

/// How a class gets another name.
pub fn renaming(class: &str) -> Renaming {
    find(class).map_or(Renaming::Never, |kind| kind.renaming)
}

/// Whether anything of this class can have another name.
pub fn is_renamed(class: &str) -> bool {
    class == LABEL || renaming(class) != Renaming::Never
}

/// Whether the attribute of a type or the label of an enum.
fn is_member(id: &Id) -> bool {
    id.class() == LABEL || id.class() == "attribute"
}

/// The type that an attribute or a label is a part of; anything else is itself.
pub fn bearer(id: &Id) -> Id {
    match (id.class(), id.name().split_last()) {
        (LABEL, Some((_, of))) => Id::new("enum", of.iter().cloned()),
        ("attribute", Some((_, of))) => Id::new("composite type", of.iter().cloned()),
        _ => id.clone(),
    }
}

/// Whether a catalog has it, be it only as a part of the definition of a type.
pub fn has(catalog: &Catalog, id: &Id) -> bool {
    let Some(object) = catalog.get(&bearer(id)) else { return false };
    match id.class() {
        LABEL => object.texts("labels").iter().any(|label| label == id.base()),
        "attribute" => object.definition.get("attributes").is_some_and(|a| a.get(id.base()).is_some()),
        _ => true,
    }
}

/// An object and the parts of its definition that have names of their own.
pub fn parts_with_names(object: &Object) -> Vec<Id> {
    let id = &object.id;
    let members: Vec<Id> = match id.class() {
        "enum" => object.texts("labels").iter().map(|label| id.part(LABEL, label)).collect(),
        "composite type" => {
            let attributes = object.definition.get("attributes").and_then(|a| a.as_object());
            attributes.into_iter().flatten().map(|(name, _)| id.part("attribute", name)).collect()
        }
        // Those that have a comment stand as objects, too.
        "attribute" => return Vec::new(),
        _ => Vec::new(),
    };
    std::iter::once(id.clone()).chain(members).collect()
}

/// The statements that call `object` what `to` says. `from` is `object` itself, or the part of its definition that is meant.
pub fn rename(object: &Object, from: &Id, to: &Id) -> Vec<Statement> {
    let name = ident(to.base());
    if from.class() == LABEL {
        let (old, new) = (literal(from.base()), literal(to.base()));
        return vec![Statement::new(format!("ALTER TYPE {} RENAME VALUE {old} TO {new}", object.id.sql()))];
    }
    let (old, table) = (ident(from.base()), from.table_sql());
    match renaming(from.class()) {
        Renaming::Never => Vec::new(),
        Renaming::Whole(words, lock) => whole(object, to, words, lock),
        Renaming::Part(whole, words, heirs) => {
            let statement = Statement::new(format!("ALTER {whole} {table} RENAME {words} {old} TO {name}"));
            let statement = if is_member(from) { statement } else { statement.lock(table, LockMode::AccessExclusive) };
            vec![if heirs { statement.heirs() } else { statement }]
        }
        Renaming::On(words) => {
            let statement = Statement::new(format!("ALTER {words} {old} ON {table} RENAME TO {name}"));
            let statement = statement.lock(table, LockMode::AccessExclusive);
            vec![if words == "TRIGGER" { statement.partitions() } else { statement }]
        }
    }
}

fn whole(object: &Object, to: &Id, words: &str, lock: Option<LockMode>) -> Vec<Statement> {
    let from = &object.id;
    let named = |id: &Id| match id.class() {
        "aggregate" if id.args().is_empty() => format!("{}(*)", qualified(id.name())),
        "aggregate" => format!("{}({})", qualified(id.name()), object.text("arguments")),
        _ => id.sql(),
    };
    let alter = |at: &Id, action: String| {
        let statement = Statement::new(format!("ALTER {words} {} {action}", named(at)));
        // Another schema is a stronger matter than another name, also for an index.
        let lock = lock.map(|mode| if action.starts_with("SET SCHEMA ") { LockMode::AccessExclusive } else { mode });
        lock.into_iter().fold(statement, |s, mode| s.lock(from.sql(), mode))
    };
    let moves = from.name().len() > 1 && from.first() != to.first();
    let at = if moves { from.with_name([to.first(), from.base()]) } else { from.clone() };
    let moved = moves.then(|| alter(from, format!("SET SCHEMA {}", ident(to.first()))));
    let renamed = (at.base() != to.base()).then(|| alter(&at, format!("RENAME TO {}", ident(to.base()))));
    moved.into_iter().chain(renamed).collect()
}

/// In which turn a class gets its name: schemas first, then what gives names to columns and arguments, then all the rest. What comes
/// later is known by its new schema, table and types.
pub fn turn(class: &str) -> usize {
    const TYPES: &[&str] = &["enum", "composite type", "range type", "domain", "collation"];
    const RELATIONS: &[&str] = &["table", "view", "materialized view", "sequence"];
    match class {
        "schema" => 0,
        class if TYPES.contains(&class) || RELATIONS.contains(&class) => 1,
        _ => 2,
    }
}

/// Whether an object of this class may pass from one schema to another.
pub fn moves(class: &str) -> bool {
    matches!(renaming(class), Renaming::Whole(words, _) if !["SCHEMA", "INDEX", "EVENT TRIGGER"].contains(&words))
}

/// The address that `id` has when `from` is called `to`: its own, or that of something inside.
pub fn moved(id: &Id, from: &Id, to: &Id) -> Id {
    if let Some(of) = id.of() {
        let after = moved(of, from, to);
        return if after == *of { id.clone() } else { Id::satellite(id.class(), &after) };
    }
    let (old, name) = (from.name(), id.name());
    let itself = name == old && id.args() == from.args() && (id.class() == from.class() || BESIDE.contains(&id.class()));
    let inside = name.len() > old.len() && name.starts_with(old);
    let follows = match from.class() {
        "schema" => name == old && id.class() == "schema" || inside,
        class => itself || inside && turn(class) == 1 && id.class() != "default privileges",
    };
    if follows { id.with_name(to.name().iter().chain(&name[old.len()..]).cloned()) } else { id.clone() }
}

/// Classes that have the address of what they are about: a table's place as a partition, a column's default, a sequence's owner.
const BESIDE: &[&str] = &["partition", "owned by", "default", "view column", "attribute", "index partition", "constraint index"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inside_moves_along() {
        let id = |class: &str, name: &[&str]| Id::new(class, name.iter().copied());
        let (old, new) = (id("table", &["s", "a"]), id("table", &["t", "b"]));
        let column = id("column", &["s", "a", "x"]);
        assert_eq!(moved(&column, &old, &new), id("column", &["t", "b", "x"]));
        assert_eq!(moved(&Id::satellite("comment", &column), &old, &new).of(), Some(&id("column", &["t", "b", "x"])));
        assert_eq!(moved(&id("function", &["s", "a"]), &old, &new), id("function", &["s", "a"]));
        assert_eq!(moved(&id("partition", &["s", "a"]), &old, &new), id("partition", &["t", "b"]));
        let (old, new) = (id("schema", &["s"]), id("schema", &["t"]));
        assert_eq!(moved(&column, &old, &new), id("column", &["t", "a", "x"]));
        assert_eq!(moved(&id("event trigger", &["s"]), &old, &new), id("event trigger", &["s"]));
        let (old, new) = (id("column", &["s", "a", "x"]), id("column", &["s", "a", "y"]));
        assert_eq!(moved(&id("default", &["s", "a", "x"]), &old, &new), id("default", &["s", "a", "y"]));
        assert_eq!(moved(&id("check", &["s", "a", "x"]), &old, &new), id("check", &["s", "a", "x"]));
    }

    #[test]
    fn a_name_is_quoted_and_a_schema_comes_first() {
        let object = |class: &str, name: &[&str]| Object {
            id: Id::new(class, name.iter().copied()),
            parent: None,
            definition: Default::default(),
            detail: Default::default(),
        };
        let sql = |from: &Object, to: &[&str]| {
            let to = from.id.with_name(to.iter().copied());
            rename(from, &from.id, &to).into_iter().map(|s| s.sql).collect::<Vec<_>>()
        };
        let both = ["ALTER TABLE s.a SET SCHEMA \"S\"", "ALTER TABLE \"S\".a RENAME TO \"b\"\"; --\""];
        assert_eq!(sql(&object("table", &["s", "a"]), &["S", "b\"; --"]), both);
        assert_eq!(sql(&object("policy", &["s", "a", "p"]), &["s", "a", "q"]), ["ALTER POLICY p ON s.a RENAME TO q"]);
        assert_eq!(sql(&object("grant", &["s", "a"]), &["s", "b"]), [""; 0]);
        let mood = object("enum", &["s", "mood"]);
        let label = |name| Id::new(LABEL, ["s", "mood", name]);
        let renamed = rename(&mood, &label("it's"), &label("is"));
        assert_eq!(renamed[0].sql, "ALTER TYPE s.mood RENAME VALUE 'it''s' TO 'is'");
    }
}
