//! What is put aside instead of being dropped: a table passes into a schema of its own (`ALTER TABLE ... SET SCHEMA`), a column gets
//! another name where it stands (`RENAME COLUMN`). Nobody has rights there any more, and nothing of it acts.

use super::{Context, of, sequence_owner};
use crate::catalog::{Catalog, Id, Object};
use crate::kind::grant::granted;
use crate::kind::privileges::{OWNER, PUBLIC};
use crate::sql::{dollar_quoted, free_name, ident, literal, qualified};
use crate::statement::{LockMode, Statement};
use std::collections::BTreeSet;

/// The schema where nobody says another one. Where a name is taken in it, one that ends in a number is made beside it.
pub const SCHEMA: &str = "plumb_quarantine";
/// What the name of a column begins with that is put aside.
const COLUMN: &str = "plumb_quarantine_";
/// What the comment on everything that is put aside begins with; a time follows, the plan, and what it was.
pub const MARK: &str = "Quarantined by plumb at ";

/// Whether a schema is `family` or one that was made beside it.
pub fn is_schema(name: &str, family: &str) -> bool {
    let number = || name.strip_prefix(family)?.strip_prefix('_');
    name == family || number().is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// The schemas of a family, one after another.
pub fn schemas(family: &str) -> impl Iterator<Item = String> {
    std::iter::once(family.to_owned()).chain((2..).map(move |n| format!("{family}_{n}")))
}

/// Whether it is a column that is put aside, or the default of one.
pub fn is_column(id: &Id) -> bool {
    ["column", "default"].contains(&id.class()) && id.name().len() == 3 && id.base().starts_with(COLUMN)
}

/// Makes a schema in which nobody else has rights.
pub fn schema(name: &str) -> [Statement; 2] {
    let name = ident(name);
    let made = Statement::new(format!("CREATE SCHEMA IF NOT EXISTS {name}"));
    [made, Statement::new(format!("REVOKE ALL ON SCHEMA {name} FROM PUBLIC"))]
}

/// What a column is called when it is put aside.
pub fn column(whole: &Catalog, id: &Id) -> Id {
    let table = || id.name().iter().take(2).map(String::as_str);
    let called = |name: &str| id.with_name(table().chain([name]));
    let taken = |name: &String| whole.contains(&called(name));
    let name = format!("{COLUMN}{}", id.base());
    let name = if name.len() <= 63 && !taken(&name) { name } else { free_name(&format!("{COLUMN}{}", id.base()), "_2", &taken) };
    called(&name)
}

/// Whether a part of what is put aside is taken away all the same: of a table what would go on acting or what the server leaves behind,
/// of a column whatever would be in the way of rows without a value. `parted` tells that a partition leaves a table that stays.
pub fn is_taken_away(live: &Catalog, whole: &Id, part: &Id, parted: bool) -> bool {
    let inherited = live.get(part).is_some_and(|o| o.flag("inherited"));
    match (whole.class(), part.class()) {
        _ if part.of().is_some() || of(part).made_with_whole => false,
        ("table", "partition") => parted,
        // Those of the table that it was a partition of are its own when the two are parted.
        ("table", "foreign key") => !inherited || parted,
        ("table", "trigger") => !inherited,
        ("table", class) => ["policy", "rule", "statistics"].contains(&class),
        ("column", class) => !inherited && !["column", "identity sequence"].contains(&class),
        (_, class) => class == "owned by",
    }
}

/// The statements that put `object` aside as `to`, when what has to be taken away of it is gone.
pub fn set_aside(context: &Context, object: &Object, to: &Id) -> Vec<Statement> {
    let mut statements = match object.id.class() {
        "table" => table(context.live, object, to),
        "column" => column_aside(context, object, to),
        _ => super::rename(object, &object.id, to),
    };
    if object.id.class() == "sequence" {
        statements.extend(revoked("SEQUENCE", &to.sql(), "", grantees(context.live, &object.id)));
    }
    statements.push(marked(&object.id, to));
    statements
}

/// Whether its comment says that it was put aside.
pub fn is_marked(catalog: &Catalog, id: &Id) -> bool {
    catalog.get(&Id::satellite("comment", id)).is_some_and(|comment| comment.text("text").starts_with(MARK))
}

/// What has come back says no longer that it was put aside.
pub fn unmarked(id: &Id) -> Statement {
    Statement::new(format!("COMMENT ON {} IS NULL", (of(id).comment)(id)))
}

fn table(live: &Catalog, object: &Object, to: &Id) -> Vec<Statement> {
    let mut statements = super::rename(object, &object.id, to);
    let sequences = sequence_owner::of_table(live, &object.id);
    let locks = sequences.iter().map(|s| (s.clone(), LockMode::AccessExclusive));
    statements.first_mut().into_iter().for_each(|s| s.locks.extend(locks.clone()));
    let columns = live.children(&object.id).filter(|c| c.id.class() == "column").map(|c| &c.id);
    let all: BTreeSet<String> = columns.chain([&object.id]).flat_map(|id| grantees(live, id)).collect();
    statements.extend(revoked("TABLE", &to.sql(), "", all));
    let owned = live.objects().filter(|o| o.id.class() == "sequence" && sequences.contains(&o.id.sql()));
    for sequence in owned {
        let name = qualified(&[to.first(), sequence.id.base()]);
        statements.extend(revoked("SEQUENCE", &name, "", grantees(live, &sequence.id)));
    }
    if live.published.contains(&object.id.sql()) {
        statements.push(unpublished(to));
    }
    statements
}

fn column_aside(context: &Context, object: &Object, to: &Id) -> Vec<Statement> {
    let (table, name) = (object.id.table_sql(), ident(object.id.base()));
    let lets_go = |action: &str| {
        let sql = format!("ALTER TABLE {table} ALTER COLUMN {name} {action}");
        Statement::new(sql).lock(table.clone(), LockMode::AccessExclusive).heirs()
    };
    let mut statements = Vec::new();
    if object.definition.contains_key("identity") {
        let numbers = context.live.children(&object.id).find(|o| o.id.class() == "identity sequence");
        let sequence = numbers.map(|o| qualified(o.id.name()));
        let dropped = sequence.iter().fold(lets_go("DROP IDENTITY"), |s, q| s.lock(q.clone(), LockMode::AccessExclusive));
        statements.push(dropped);
    }
    if object.flag("not_null") {
        statements.push(lets_go("DROP NOT NULL"));
    }
    statements.extend(super::rename(object, &object.id, to));
    statements.extend(revoked("TABLE", &table, &format!(" ({})", ident(to.base())), grantees(context.live, &object.id)));
    let above = object.parent.as_ref().map(|t| grantees(context.live, t)).unwrap_or_default();
    if let (false, Some(last)) = (above.is_empty(), statements.last_mut()) {
        let who: Vec<String> = above.iter().map(|name| role(name)).collect();
        last.warnings.push(format!(
            "what {} may do on all of {table} goes for {} too, which holds the values of {name} from then on",
            who.join(", "),
            ident(to.base())
        ));
    }
    statements
}

fn role(name: &str) -> String {
    if name == PUBLIC { "PUBLIC".to_owned() } else { ident(name) }
}

/// Who has rights on it besides its owner.
fn grantees(live: &Catalog, id: &Id) -> BTreeSet<String> {
    let given = live.get(&Id::satellite("grant", id)).map(granted).unwrap_or_default();
    given.into_keys().filter(|name| name != OWNER).collect()
}

fn revoked(word: &str, name: &str, columns: &str, from: BTreeSet<String>) -> Option<Statement> {
    let from: Vec<String> = from.iter().map(|name| role(name)).collect();
    (!from.is_empty()).then(|| Statement::new(format!("REVOKE ALL{columns} ON {word} {name} FROM {} CASCADE", from.join(", "))))
}

/// Says on what is put aside when that was, by which plan, and what it was. The time and the plan are those of the run.
fn marked(from: &Id, to: &Id) -> Statement {
    let on = literal(&format!("COMMENT ON {} IS ", (of(to).comment)(to)));
    let (mark, was) = (literal(MARK), literal(&format!(": {from}")));
    let body = format!(
        "\nBEGIN\n    EXECUTE {on} || quote_literal({mark} || to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')\n        \
         || ', plan ' || coalesce(nullif(current_setting('plumb.plan', true), ''), 'unknown') || {was});\nEND\n"
    );
    Statement::new(format!("DO {}", dollar_quoted(&body)))
}

/// No publication sends a table that is put aside.
fn unpublished(to: &Id) -> Statement {
    let body = format!(
        "\nDECLARE\n    publication name;\nBEGIN\n    FOR publication IN SELECT p.pubname FROM pg_catalog.pg_publication p \
         JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid\n        WHERE r.prrelid = {}::pg_catalog.regclass\n    LOOP\n        \
         EXECUTE pg_catalog.format('ALTER PUBLICATION %I DROP TABLE %s', publication, {name});\n    END LOOP;\nEND\n",
        literal(&to.sql()),
        name = literal(&to.sql())
    );
    Statement::new(format!("DO {}", dollar_quoted(&body)))
}

/// What the comment on something that was put aside says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When that was, in seconds since 1970.
    pub at: i64,
    /// The same as it is written: `2027-01-31T12:00:00Z`.
    pub when: String,
    /// The short id of the plan, or `unknown`.
    pub plan: String,
    /// What it was: `table public.orders`.
    pub was: String,
}

/// Reads such a comment; none where it is another one.
pub fn mark(comment: &str) -> Option<Mark> {
    let (when, rest) = comment.strip_prefix(MARK)?.split_once(", plan ")?;
    let (plan, was) = rest.split_once(": ")?;
    Some(Mark { at: seconds(when)?, when: when.to_owned(), plan: plan.to_owned(), was: was.to_owned() })
}

/// Seconds since 1970 of `2027-01-31T12:00:00Z`.
fn seconds(when: &str) -> Option<i64> {
    let separators = when.bytes().enumerate().filter(|(_, b)| !b.is_ascii_digit());
    if !separators.eq([(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')]) || when.len() != 20 {
        return None;
    }
    let number = |from: usize, to: usize| when[from..to].parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March have their odd day at their end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (month * 153 + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_aside_says_when() {
        let read = mark("Quarantined by plumb at 2027-01-31T12:00:01Z, plan 7f3a9c1e: table public.\"a: b\"").unwrap();
        assert_eq!((read.at, read.plan.as_str(), read.was.as_str()), (1_801_396_801, "7f3a9c1e", "table public.\"a: b\""));
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2000-02-29T00:00:00Z"), Some(951_782_400));
        for other in [
            "",
            "orders of 2019",
            "Quarantined by plumb at noon, plan x: table y",
            "Quarantined by plumb at 2027-13-31T12:00:01Z, plan x: y",
        ] {
            assert_eq!(mark(other), None, "{other}");
        }
    }

    #[test]
    fn schemas_beside_have_numbers() {
        let family = |name: &str| is_schema(name, "aside");
        assert!(family("aside") && family("aside_2") && family("aside_31"));
        assert!(!family("asides") && !family("aside_") && !family("aside_x") && !family("aside_2_3") && !family("Aside"));
        assert_eq!(schemas("q").take(3).collect::<Vec<_>>(), ["q", "q_2", "q_3"]);
    }

    #[test]
    fn a_column_has_a_free_name_within_63_bytes() {
        let id = |name: &str| Id::new("column", ["s", "t", name]);
        let object = |id: Id| Object { id, parent: None, definition: Default::default(), detail: Default::default() };
        let first = column(&Catalog::default(), &id("a"));
        assert_eq!(first, id("plumb_quarantine_a"));
        assert_eq!(column(&Catalog::new(vec![object(first)], []), &id("a")), id("plumb_quarantine_a_2"));
        let long = "ü".repeat(31);
        let aside = column(&Catalog::default(), &id(&long));
        assert!(aside.base().len() <= 63 && is_column(&aside), "{aside}");
        let again = column(&Catalog::new(vec![object(aside.clone())], []), &id(&long));
        assert!(again != aside && again.base().len() <= 63, "{again}");
    }
}
