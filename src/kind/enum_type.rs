//! Enum types: `pg_type` with `typtype = 'e'`, `pg_enum`.

use serde::Deserialize;

use super::{BASE, Context, Cost, Kind, Query, Renaming, Space, field, reads_as, row_checks};
use crate::catalog::Object;
use crate::kind::relation::remake;
use crate::sql::literal;
use crate::statement::{Loss, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Enum {
    labels: Vec<String>,
}

/// Whether the old labels stand in the new list in the same order, so that only additions are needed.
fn only_adds(old: &[String], new: &[String]) -> bool {
    let mut rest = new.iter();
    old.iter().all(|label| rest.any(|n| n == label))
}

fn add_values(name: &str, old: &[String], new: &[String]) -> Vec<Statement> {
    let mut statements = Vec::new();
    for (i, label) in new.iter().enumerate().filter(|(_, l)| !old.contains(l)) {
        // The label before it exists already: it is old, or was added a moment ago. Only a new first one needs BEFORE.
        let place = match (i, old.first()) {
            (0, Some(first)) => format!(" BEFORE {}", literal(first)),
            (0, None) => String::new(),
            _ if new[i + 1..].iter().all(|l| !old.contains(l)) => String::new(),
            _ => format!(" AFTER {}", literal(&new[i - 1])),
        };
        statements.push(Statement::new(format!("ALTER TYPE {name} ADD VALUE {}{place}", literal(label))).commit_after());
    }
    statements
}

/// Labels removed or reordered: no such form exists, so a new type takes the name and every column moves over to it.
fn rebuild(context: &Context, old: &Object, new: &Object) -> Vec<Statement> {
    let mut statements = remake(context, "TYPE", old, create(new));
    let labels = new.read::<Enum>().labels;
    let removed: Vec<String> = old.read::<Enum>().labels.into_iter().filter(|l| !labels.contains(l)).collect();
    if let Some(first) = statements.first_mut().filter(|_| !removed.is_empty()) {
        let columns = context.live.used_by(&old.id).iter().filter_map(|(user, _)| context.live.get(user));
        let of_type = columns.filter(|c| c.id.class() == "column" && super::is_of_type(c, &old.id));
        let check = |c: &Object| c.parent.as_ref().map(|table| row_checks::lacks_labels(context, c, table, &removed));
        first.needs.extend(of_type.filter_map(check));
    }
    if let Some(last) = statements.last_mut().filter(|_| !removed.is_empty()) {
        last.losses.push(Loss::Values(format!("{} ({})", new.id, removed.join(", "))));
    }
    statements
}

fn create(object: &Object) -> Statement {
    let labels: Vec<String> = object.read::<Enum>().labels.iter().map(|l| literal(l)).collect();
    Statement::new(format!("CREATE TYPE {} AS ENUM ({})", object.id.sql(), labels.join(", ")))
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "enum",
    query: Some(|_| {
        Query::over(
            "pg_type",
            "t.oid",
            "n.nspname, t.typname",
            "FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = 'e' AND t.oid >= 16384",
        )
        .owned("t.typowner", "t.typacl", 'T')
        .define("'labels', coalesce((SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid), '[]')")
    }),
    check: reads_as::<Enum>,
    fields: &[field("labels", Cost::Remake(|old, new| !only_adds(&old.read::<Enum>().labels, &new.read::<Enum>().labels)))],
    create: |_, o| vec![create(o)],
    alter: |context, old, new, _| {
        let (before, after) = (old.read::<Enum>().labels, new.read::<Enum>().labels);
        if only_adds(&before, &after) { add_values(&new.id.sql(), &before, &after) } else { rebuild(context, old, new) }
    },
    drop: |_, o| vec![Statement::new(format!("DROP TYPE {}", o.id.sql()))],
    spaces: &[Space::Type],
    comment: |id| format!("TYPE {}", id.sql()),
    effects: super::effects::gone,
    renaming: Renaming::Whole("TYPE", None),
    ..BASE
};

#[cfg(test)]
mod tests {
    use super::*;

    fn list(labels: &str) -> Vec<String> {
        labels.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn additions_keep_the_order() {
        assert!(only_adds(&list("a c"), &list("a b c d")));
        assert!(!only_adds(&list("a b"), &list("b a")));
        assert!(!only_adds(&list("a b"), &list("a")));
        let sql: Vec<_> = add_values("t", &list("b d"), &list("a b c d e")).into_iter().map(|s| s.sql).collect();
        assert_eq!(
            sql,
            ["ALTER TYPE t ADD VALUE 'a' BEFORE 'b'", "ALTER TYPE t ADD VALUE 'c' AFTER 'b'", "ALTER TYPE t ADD VALUE 'e'"]
        );
    }
}
