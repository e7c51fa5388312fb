//! Expressions that directives give: read with PostgreSQL's parser, so that what goes into a statement is one expression and nothing
//! besides, and with the names of the files written in full, as a plan needs them. What they mean only the server knows.

use super::lexer::{self, Kind};
use super::name::Class;
use super::walk;
use pg_query::NodeEnum;
use pg_query::protobuf::CoercionForm;

use crate::sql::{ident, qualified};

/// An expression as it can stand in a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expression {
    /// Its text, in parentheses unless it holds together by itself.
    pub text: String,
    /// Bare names in it that may be those of columns.
    pub reads: Vec<String>,
    /// Functions and types that it names, in full.
    pub calls: Vec<String>,
}

/// Says what is wrong with a text that should be one expression.
///
/// # Errors
/// A sentence.
pub fn check(text: &str) -> Result<(), String> {
    let mut depth = 0usize;
    for token in lexer::tokens(text) {
        match token.kind {
            Kind::Symbol(b'(' | b'[') => depth += 1,
            Kind::Symbol(b')' | b']') if depth == 0 => return Err(format!("{text} closes what it does not open")),
            Kind::Symbol(b')' | b']') => depth -= 1,
            Kind::Symbol(b';') => return Err(format!("{text} is more than one expression")),
            Kind::Comment => return Err(format!("there is a comment in {text}")),
            Kind::Command => return Err(format!("there is a backslash in {text}")),
            Kind::Open(what) => return Err(format!("a {what} has no end in {text}")),
            _ => {}
        }
    }
    value(text).map(drop)
}

/// Says what is wrong with a text that should be one query.
///
/// # Errors
/// A sentence.
pub fn check_query(text: &str) -> Result<(), String> {
    let parsed = pg_query::parse(text, 0).map_err(|e| match e {
        pg_query::Error::Parse(words) => words,
        other => other.to_string(),
    })?;
    let [statement] = parsed.protobuf.stmts.as_slice() else { return Err(format!("{text} is not one query")) };
    match statement.stmt.as_ref().and_then(|s| s.node.as_ref()) {
        Some(NodeEnum::SelectStmt(select)) if select.into_clause.is_none() => Ok(()),
        _ => Err(format!("{text} is no SELECT")),
    }
}

/// The parse tree of the text as the one value of a SELECT.
fn value(text: &str) -> Result<pg_query::protobuf::Node, String> {
    let parsed = pg_query::parse(&format!("SELECT ({text})"), 0).map_err(|e| match e {
        pg_query::Error::Parse(words) => words,
        other => other.to_string(),
    })?;
    let one = || format!("{text} is not one expression");
    let [statement] = parsed.protobuf.stmts.as_slice() else { return Err(one()) };
    let node = statement.stmt.as_ref().and_then(|s| s.node.as_ref());
    let Some(NodeEnum::SelectStmt(select)) = node else { return Err(one()) };
    match select.target_list.as_slice() {
        [target] => match &target.node {
            Some(NodeEnum::ResTarget(target)) => target.val.as_deref().filter(|v| !is_list(v)).cloned().ok_or_else(one),
            _ => Err(one()),
        },
        _ => Err(one()),
    }
}

/// Whether it is several values in parentheses, which PostgreSQL takes for a row.
fn is_list(node: &pg_query::protobuf::Node) -> bool {
    matches!(&node.node, Some(NodeEnum::RowExpr(row)) if row.row_format() == CoercionForm::CoerceImplicitCast)
}

/// The expression with the names of functions and types in full, where `schema_of` knows them.
pub fn read(text: &str, schema_of: impl Fn(Class, &str) -> Option<String>) -> Expression {
    let Ok(tree) = value(text) else { return Expression { text: format!("({text})"), ..Expression::default() } };
    const BEFORE: usize = "SELECT (".len();
    let mut found = Expression::default();
    let mut places: Vec<(usize, String)> = Vec::new();
    for mention in walk::mentions(&tree).into_iter().filter(|m| matches!(m.name.class, Class::Routine | Class::Type)) {
        let parts = &mention.name.parts;
        let at = mention.at.and_then(|at| at.checked_sub(BEFORE));
        match (parts.as_slice(), at) {
            ([name], Some(at)) => {
                let Some(schema) = schema_of(mention.name.class, name).filter(|_| at <= text.len()) else { continue };
                found.calls.push(qualified(&[&schema, name]));
                places.push((at, schema));
            }
            _ => found.calls.push(qualified(parts)),
        }
    }
    places.sort();
    places.dedup();
    let mut full = text.to_owned();
    for (at, schema) in places.into_iter().rev().filter(|(at, _)| text.is_char_boundary(*at)) {
        full.insert_str(at, &format!("{}.", ident(&schema)));
    }
    let whole = matches!(tree.node, Some(NodeEnum::FuncCall(_) | NodeEnum::AConst(_) | NodeEnum::ColumnRef(_)));
    found.text = if whole { full } else { format!("({full})") };
    found.reads = names(text);
    found
}

/// Words and quoted names.
fn names(text: &str) -> Vec<String> {
    let named = lexer::tokens(text).filter(|t| matches!(t.kind, Kind::Word | Kind::Quoted));
    let mut names: Vec<String> = named.flat_map(|t| walk::identifiers(&text[t.span.clone()])).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_expression_and_nothing_besides() {
        for text in
            ["a", "lower(a) || 'x; --)'", "CASE WHEN a > 1 THEN 'b' END", "(SELECT max(b) FROM t)", "ARRAY[1, 2]", "ROW(a, 1)"]
        {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in [
            "a, b",
            "a) FROM t WHERE (true",
            "a); DROP TABLE t; SELECT (1",
            "a -- and more",
            "a /* b */",
            "a AS b",
            "'a",
            "a +",
            "",
            "*",
            "1; 2",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_written_in_full() {
        let schema = |class: Class, name: &str| match (class, name) {
            (Class::Routine, "norm") | (Class::Type, "mood") => Some("my app".to_owned()),
            _ => None,
        };
        let read = |text: &str| read(text, schema);
        assert_eq!(read("norm(a)").text, "\"my app\".norm(a)");
        assert_eq!(read("upper(norm(\"Ä b\"))::mood").text, "(upper(\"my app\".norm(\"Ä b\"))::\"my app\".mood)");
        assert_eq!(read("a + norm(norm(b))").text, "(a + \"my app\".norm(\"my app\".norm(b)))");
        assert_eq!(read("x.norm(a)").text, "x.norm(a)");
        let found = read("norm(\"Ä b\") || lower(c)");
        assert!(["c", "lower", "norm", "Ä b"].iter().all(|n| found.reads.contains(&(*n).to_owned())), "{found:?}");
        assert!(found.calls.contains(&"\"my app\".norm".to_owned()), "{found:?}");
    }
}
