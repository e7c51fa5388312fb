//! The names in the bodies of routines, as far as PostgreSQL's own parsers tell them. Pure: what a name means is for others to say.
//!
//! The server keeps no dependencies of quoted bodies. SQL bodies are parsed whole; of PL/pgSQL bodies every statement and
//! expression is, with its place in the body.

mod calls;
mod plpgsql;
mod sql;

pub use calls::{Calls, calls};
pub use sql::{Names, Relation};

use pg_query::NodeEnum;
use pg_query::protobuf::CreateFunctionStmt;
use std::ops::Range;

/// A body that was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Body {
    /// The text between the quotes.
    pub text: String,
    /// The names of each of its statements and expressions.
    pub queries: Vec<Names>,
    /// Statements that are built while it runs.
    pub dynamic: Vec<Range<usize>>,
    /// Whether a parser refused all or part of it.
    pub unread: bool,
}

/// What a routine is called with and what comes out, as its parser has to know it.
#[derive(Clone, Copy, Debug)]
pub struct Signature<'a> {
    /// Modes and names of its arguments: `i amount`, `o total`.
    pub arguments: &'a [String],
    /// What it returns; nothing for a procedure.
    pub result: Option<&'a str>,
}

impl Body {
    /// The line of a byte, from 1, with its text and where the line begins.
    pub fn line(&self, at: usize) -> (usize, &str, usize) {
        let start = self.text[..at].rfind('\n').map_or(0, |n| n + 1);
        let end = self.text[at..].find('\n').map_or(self.text.len(), |n| at + n);
        (self.text[..start].matches('\n').count() + 1, self.text[start..end].trim_end_matches('\r'), start)
    }
}

/// Reads the body of a routine from its CREATE FUNCTION; none in other languages, and none where it is no quoted text: those
/// bodies have dependencies.
pub fn read(definition: &str, signature: Signature) -> Option<Body> {
    let tree = pg_query::parse(definition, 0).ok()?.protobuf;
    let node = tree.stmts.first()?.stmt.as_ref()?.node.as_ref()?;
    let NodeEnum::CreateFunctionStmt(create) = node else { return None };
    let text = strings(create, "as").into_iter().next()?;
    let mut body = Body { text, ..Body::default() };
    match strings(create, "language").first().map(|l| l.to_lowercase()).as_deref() {
        Some("sql") => {
            let text = body.text.clone();
            body.unread = !sql::collect(&text, 0, &text, &mut body.queries);
        }
        Some("plpgsql") => body.unread = !plpgsql::collect(signature, &mut body),
        _ => return None,
    }
    Some(body)
}

/// The texts of an option of CREATE FUNCTION.
fn strings(create: &CreateFunctionStmt, option: &str) -> Vec<String> {
    let options = create.options.iter().filter_map(|o| o.node.as_ref());
    let value = options.filter_map(|o| if let NodeEnum::DefElem(d) = o { Some(d) } else { None });
    let Some(value) = value.filter(|d| d.defname == option).find_map(|d| d.arg.as_ref()?.node.as_ref()) else {
        return Vec::new();
    };
    let text = |n: &NodeEnum| if let NodeEnum::String(s) = n { Some(s.sval.clone()) } else { None };
    match value {
        NodeEnum::List(list) => list.items.iter().filter_map(|i| text(i.node.as_ref()?)).collect(),
        other => text(other).into_iter().collect(),
    }
}

/// The parts of a name that is written at the beginning of `text`, and where it ends; folded as PostgreSQL folds them.
fn name(text: &str) -> (Vec<String>, usize) {
    let (mut parts, mut at) = (Vec::new(), 0);
    loop {
        let rest = &text[at..];
        let length = if let Some(quoted) = rest.strip_prefix('"') {
            let mut end = 0;
            loop {
                let Some(quote) = quoted[end..].find('"') else { return (parts, at) };
                end += quote + 1;
                if !quoted[end..].starts_with('"') {
                    break;
                }
                end += 1;
            }
            parts.push(quoted[..end - 1].replace("\"\"", "\""));
            end + 1
        } else {
            let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
            let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
            if end == 0 {
                return (parts, at);
            }
            parts.push(rest[..end].to_lowercase());
            end
        };
        at += length;
        if !text[at..].starts_with('.') {
            return (parts, at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests;
