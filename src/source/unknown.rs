//! Every name that a failing statement uses and that nobody has: neither the files nor the shadow's catalog.
//!
//! The server stops at the first one of a statement. The rest is read from the parse tree, and only where the tree leaves no doubt:
//! what the server might accept is left to the server.

use super::files::Place;
use super::lexer;
use super::name::{Class, Name};
use super::read::{Statement, option, word};
use super::walk::{Mention, identifiers};
use pg_query::NodeEnum;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use tokio_postgres::Client;

/// A name that nobody has, as written, and where. Of a name in a schema that nobody has, it is the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The name.
    pub name: Name,
    /// The last part of what stands there, also where the name is the schema.
    pub base: String,
    /// Where it is written.
    pub place: Place,
}

/// What is looked for: letter of the class, schema (`$user` too), name.
type Key = (char, String, String);

/// The unknown names of the statements with these indexes. None if the catalog cannot be read: then the server's words are all.
pub async fn find(client: &Client, statements: &[Statement], failing: &BTreeSet<usize>) -> BTreeMap<usize, Vec<Unknown>> {
    beyond(client, statements, failing, &Definitions::new(statements)).await
}

/// The same, with what the files define given.
async fn beyond(
    client: &Client,
    statements: &[Statement],
    failing: &BTreeSet<usize>,
    files: &Definitions<'_>,
) -> BTreeMap<usize, Vec<Unknown>> {
    let wanted = failing.iter().map(|i| (*i, candidates(&statements[*i])));
    let wanted: Vec<(usize, Vec<Mention>)> =
        wanted.map(|(i, list)| (i, list.into_iter().filter(|m| !files.has(m, &statements[i])).collect())).collect();
    let all = |i: usize, m: &Mention| keys(m, &statements[i].settings.path).into_iter().chain(schema_key(m)).collect::<Vec<_>>();
    let asked: BTreeSet<Key> = wanted.iter().flat_map(|(i, list)| list.iter().flat_map(|m| all(*i, m))).collect();
    let Ok(there) = catalog(client, &asked).await else { return BTreeMap::new() };
    let mut found = BTreeMap::new();
    for (i, list) in wanted {
        let missing = list.iter().filter(|m| !keys(m, &statements[i].settings.path).iter().any(|k| there.contains(k)));
        let unknown: Vec<Unknown> = missing.filter_map(|m| unknown(m, &statements[i], files, &there)).collect();
        found.insert(i, unknown);
    }
    found
}

fn unknown(mention: &Mention, statement: &Statement, files: &Definitions, there: &HashSet<Key>) -> Option<Unknown> {
    let (start, end) = span(mention, statement)?;
    let from = statement.place.span.start;
    let lost = schema_key(mention).filter(|k| !files.schemas.contains(k.2.as_str()) && !there.contains(k));
    let end = lost.as_ref().and_then(|_| lexer::token(&statement.sql, start)).map_or(end, |t| t.span.end);
    let place = Place::new(statement.place.file, from + start..from + end);
    let name = lost.map_or_else(|| mention.name.bare(), |k| Name::new(Class::Schema, [k.2]));
    Some(Unknown { name, base: mention.name.base().to_owned(), place })
}

/// The names in a statement that must be there for it to succeed, once each.
fn candidates(statement: &Statement) -> Vec<Mention> {
    if !readable(&statement.node) {
        return Vec::new();
    }
    let mut seen = HashSet::new();
    let names = statement.hints.requires.iter().filter(|m| m.sure && (1..=2).contains(&m.name.parts.len()));
    // what the grammar itself names is qualified by pg_catalog
    let own = names.filter(|m| m.name.parts.len() == 1 || m.name.parts[0] != "pg_catalog");
    let schema = own_schema(statement).map(|s| Mention { name: Name::new(Class::Schema, [s]), at: None, sure: true });
    own.cloned().chain(schema).filter(|m| seen.insert(m.name.clone())).collect()
}

/// The schema in which the statement makes its object.
fn own_schema(statement: &Statement) -> Option<String> {
    let made = &statement.hints.defines.first()?.name;
    let inside = matches!(made.class, Class::Relation | Class::Type | Class::Routine) && made.parts.len() == 2;
    inside.then(|| made.parts[0].clone())
}

/// Statements in which a name in the parse tree can only be what it looks like. In others it may be a keyword or an option, or,
/// for a routine in C, a type that is made by naming it.
fn readable(node: &NodeEnum) -> bool {
    use NodeEnum as N;
    match node {
        N::CreateFunctionStmt(s) => {
            let language = option(&s.options, "language").and_then(word).unwrap_or("sql");
            !["c", "internal"].contains(&language)
        }
        N::CreateTableAsStmt(_) | N::CreateDomainStmt(_) | N::CompositeTypeStmt(_) | N::CreateForeignTableStmt(_) => true,
        N::CreateTrigStmt(_) | N::CreateEventTrigStmt(_) | N::CreatePolicyStmt(_) | N::AlterPolicyStmt(_) => true,
        N::CreateStmt(_) | N::ViewStmt(_) | N::IndexStmt(_) | N::RuleStmt(_) | N::AlterTableStmt(_) | N::GrantStmt(_) => true,
        _ => false,
    }
}

/// Where the name is written: where the tree says, else, in a trigger, its last occurrence. A schema that is not written, since it
/// comes from the search path, is what the statement defines.
fn span(mention: &Mention, statement: &Statement) -> Option<(usize, usize)> {
    let sql = statement.sql.as_str();
    match (mention.at, mention.name.class) {
        (Some(at), _) => (at < sql.len()).then(|| (at, lexer::dotted(sql, at))),
        (None, Class::Schema) => {
            let qualifies =
                |t: &lexer::Token| sql[t.span.end..].starts_with('.') && identifiers(&sql[t.span.clone()]) == mention.name.parts;
            let written = lexer::tokens(sql).find(qualifies).map(|t| (t.span.start, t.span.end));
            let line = sql.find('\n').unwrap_or(sql.len());
            written.or(Some((0, sql[..line].trim_end().len())))
        }
        (None, _) => occurrence(sql, &mention.name.parts),
    }
}

/// The last place at which a name is written out in `sql`.
pub fn occurrence(sql: &str, parts: &[String]) -> Option<(usize, usize)> {
    let words = lexer::tokens(sql).filter(|t| matches!(t.kind, lexer::Kind::Word | lexer::Kind::Quoted));
    let is = |start: usize, end: usize| identifiers(&sql[start..end]) == parts;
    words.map(|t| (t.span.start, lexer::dotted(sql, t.span.start))).filter(|(start, end)| is(*start, *end)).last()
}

/// What the files define, as far as it decides whether a name is theirs.
struct Definitions<'a> {
    names: HashMap<&'a str, Vec<&'a Name>>,
    schemas: HashSet<&'a str>,
    columns: HashSet<&'a str>,
    relations: Vec<&'a str>,
    renamed: HashSet<&'a str>,
    moved: bool,
}

impl<'a> Definitions<'a> {
    fn new(statements: &'a [Statement]) -> Definitions<'a> {
        let mut names: HashMap<&str, Vec<&Name>> = HashMap::new();
        let all = || statements.iter().flat_map(|s| &s.hints.defines).map(|d| &d.name);
        for name in all() {
            names.entry(name.base()).or_default().push(name);
        }
        let of = |class: Class| all().filter(move |n| n.class == class).map(Name::base);
        let renamed = statements.iter().filter_map(|s| match &s.node {
            NodeEnum::RenameStmt(r) => Some(r.newname.as_str()),
            _ => None,
        });
        Definitions {
            names,
            schemas: of(Class::Schema).collect(),
            columns: of(Class::Column).collect(),
            relations: of(Class::Relation).collect(),
            renamed: renamed.collect(),
            moved: statements.iter().any(|s| s.hints.undoes),
        }
    }

    /// Whether a statement of the files makes it, or might.
    fn has(&self, mention: &Mention, statement: &Statement) -> bool {
        let base = mention.name.base();
        if mention.name.class == Class::Schema {
            return self.schemas.contains(base) || self.renamed.contains(base);
        }
        let visible = |n: &Name| match mention.name.parts.as_slice() {
            [schema, _] => n.parts.first() == Some(schema),
            _ => statement.settings.path.iter().any(|s| n.parts.first() == Some(s) || s == "$user"),
        };
        let class = mention.name.class;
        let fits = |n: &&&Name| alike(class).contains(&n.class) && (self.moved || visible(n));
        let defined = |base: &str| self.names.get(base).is_some_and(|list| list.iter().any(|n| fits(&n)));
        let range = || {
            let named = base.replace("multirange", "range");
            defined(&named) || defined(base.strip_suffix("_multirange").unwrap_or(base))
        };
        let implied = match class {
            // f(x) is x.f where f is a column
            Class::Routine => self.columns.contains(base) || range(),
            Class::Type => defined(base.strip_prefix('_').unwrap_or(base)) || range(),
            // a sequence of a serial column
            _ => base.ends_with("_seq") && self.relations.iter().any(|r| base.starts_with(r)),
        };
        defined(base) || implied || self.renamed.contains(base)
    }
}

/// The classes of definitions that may answer to a name of this class: row types, casts and constructors that look like calls.
fn alike(class: Class) -> &'static [Class] {
    match class {
        Class::Routine => &[Class::Routine, Class::Type, Class::Relation],
        _ => &[Class::Relation, Class::Type],
    }
}

/// Where in the catalog a name would be.
fn keys(mention: &Mention, path: &[String]) -> Vec<Key> {
    let letter = match mention.name.class {
        Class::Relation => 'r',
        Class::Type => 't',
        Class::Schema => return vec![('s', String::new(), mention.name.base().to_owned())],
        _ => 'f',
    };
    let key = |schema: &str| (letter, schema.to_owned(), mention.name.base().to_owned());
    match mention.name.parts.as_slice() {
        [schema, _] => vec![key(schema)],
        _ => path.iter().map(String::as_str).chain(["pg_catalog"]).map(key).collect(),
    }
}

/// The schema that a name is qualified with.
fn schema_key(mention: &Mention) -> Option<Key> {
    let schema = mention.name.parts.first().filter(|_| mention.name.parts.len() > 1)?;
    Some(('s', String::new(), schema.clone()))
}

/// `unnest` of several arrays is grammar, not a function: it cannot be qualified.
const THERE: &str = "
SELECT w.class, w.schema, w.name
FROM unnest($1::pg_catalog.text[], $2::pg_catalog.text[], $3::pg_catalog.text[]) w (class, schema, name)
LEFT JOIN pg_catalog.pg_namespace n
  ON n.nspname = CASE w.schema WHEN '$user' THEN current_user WHEN '' THEN w.name ELSE w.schema END
WHERE CASE w.class
  WHEN 'r' THEN EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relname = w.name AND c.relnamespace = n.oid)
  WHEN 't' THEN EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.typname = w.name AND t.typnamespace = n.oid)
  WHEN 'f' THEN EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.proname = w.name AND p.pronamespace = n.oid)
             OR EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.typname = w.name AND t.typnamespace = n.oid)
             OR w.name IN (SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a WHERE a.attrelid >= 16384)
  ELSE n.oid IS NOT NULL END";

/// Those of the keys that the catalog has.
async fn catalog(client: &Client, keys: &BTreeSet<Key>) -> Result<HashSet<Key>, tokio_postgres::Error> {
    let classes: Vec<String> = keys.iter().map(|k| k.0.to_string()).collect();
    let schemas: Vec<&str> = keys.iter().map(|k| k.1.as_str()).collect();
    let names: Vec<&str> = keys.iter().map(|k| k.2.as_str()).collect();
    let rows = client.query(THERE, &[&classes, &schemas, &names]).await?;
    let letter = |text: String| text.chars().next().unwrap_or('s');
    Ok(rows.iter().map(|r| (letter(r.get(0)), r.get(1), r.get(2))).collect())
}

#[cfg(test)]
#[path = "unknown_tests.rs"]
mod tests;
