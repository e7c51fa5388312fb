//! PL/pgSQL bodies: every statement and expression that the parser finds, in its place.
//!
//! pg_query's PL/pgSQL parser has no catalog. It knows no types outside of `pg_catalog` and `public`, and writes no readable answer
//! for trigger functions. So it gets the body under another head: a plain function with the same arguments, of types that it
//! knows, and declarations with such types. What is looked for is what stands in the body itself.

use serde_json::Value;
use std::ops::Range;

use super::sql::{Names, collect as collect_sql, constant};
use super::{Body, Signature, name};

/// What a trigger function has without saying so.
const TRIGGER: &[&str] = &["new", "old", "tg_name", "tg_when", "tg_level", "tg_op", "tg_relid", "tg_relname", "tg_table_name"];
const MORE: &[&str] = &["tg_table_schema", "tg_nargs", "tg_argv", "tg_event", "tg_tag"];

/// Types that stand for all others: which one fits depends on what is done with them.
const STANDINS: &[&str] = &["text", "record"];

/// Adds what it names. Whether all of it could be parsed.
pub fn collect(signature: Signature, body: &mut Body) -> bool {
    let text = body.text.clone();
    let declared = declared(&text);
    let parsed = STANDINS.iter().flat_map(|argument| STANDINS.iter().map(move |variable| (argument, variable)));
    let parsed = parsed.map(|(argument, variable)| whole(signature, &without(&text, &declared, variable), argument));
    let Some(tree) = parsed.filter_map(|sql| pg_query::parse_plpgsql(&sql).ok()).next() else { return false };
    let mut names = Names::default();
    for (parts, at, what) in declared {
        match what {
            Declared::Column => names.columns.push((parts, at)),
            Declared::Row | Declared::Type => names.types.push((parts, at)),
        }
    }
    body.queries.push(names);
    let mut walk = Walk { text: &text, body, complete: true };
    walk.value(&tree, 1, false);
    walk.complete
}

/// A function with this body.
fn whole(signature: Signature, text: &str, standin: &str) -> String {
    let result = signature.result.unwrap_or("void");
    let trigger = ["trigger", "event_trigger"].contains(&result);
    let own = signature.arguments.iter().map(|a| a.split_once(' ').unwrap_or((a, "")));
    let mode = |m: &str| match m {
        "o" | "t" => "OUT",
        "b" => "INOUT",
        _ => "IN",
    };
    let mut arguments: Vec<String> = own
        .clone()
        .map(|(m, n)| format!("{} {} {standin}", mode(m), if n.is_empty() { String::new() } else { crate::sql::ident(n) }))
        .collect();
    if trigger {
        arguments.extend(TRIGGER.iter().chain(MORE).map(|n| format!("IN {n} record")));
    }
    let out = own.clone().any(|(m, _)| ["o", "t", "b"].contains(&m));
    let returns = match result {
        r if r.starts_with("SETOF ") || r.starts_with("TABLE(") => "RETURNS SETOF record",
        "void" => "RETURNS void",
        _ if out => "",
        _ => "RETURNS record",
    };
    let tag = (0..).map(|n| format!("$plumb{n}$")).find(|t| !text.contains(t.as_str())).unwrap_or_default();
    format!("CREATE FUNCTION f({}) {returns} LANGUAGE plpgsql AS {tag}{text}{tag}", arguments.join(", "))
}

/// What a declaration takes its type from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Declared {
    Column,
    Row,
    Type,
}

/// Names in a body that can only be types of declarations: qualified ones behind a word, `%TYPE` and `%ROWTYPE`.
fn declared(text: &str) -> Vec<(Vec<String>, Range<usize>, Declared)> {
    let mut found = Vec::new();
    for section in sections(text) {
        let mut at = section.start;
        for declaration in text[section.clone()].split(';') {
            let here = at;
            at += declaration.len() + 1;
            let mut words = pieces(declaration);
            // The name of the variable, and CONSTANT.
            words.next();
            let mut words = words.skip_while(|w| declaration[w.clone()].eq_ignore_ascii_case("constant"));
            let Some(word) = words.next() else { continue };
            let (parts, length) = name(&declaration[word.clone()]);
            let rest = declaration[word.start + length..].trim_start().to_lowercase();
            let what = match rest.strip_prefix('%') {
                Some(r) if r.trim_start().starts_with("rowtype") => Declared::Row,
                Some(r) if r.trim_start().starts_with("type") => Declared::Column,
                _ => Declared::Type,
            };
            let known = what == Declared::Type && (parts.len() < 2 && KEYWORDS.contains(&parts.concat().as_str()));
            if !parts.is_empty() && !known {
                found.push((parts, here + word.start..here + word.start + length, what));
            }
        }
    }
    found
}

/// Words that follow the name in a declaration and are no types.
const KEYWORDS: &[&str] = &["cursor", "alias", "no", "scroll", "constant", "record"];

/// From DECLARE to BEGIN.
fn sections(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut open = None;
    for piece in pieces(text) {
        let word = &text[piece.clone()];
        if word.eq_ignore_ascii_case("declare") {
            open = Some(piece.end);
        } else if word.eq_ignore_ascii_case("begin") {
            found.extend(open.take().map(|start: usize| start..piece.start));
        }
    }
    found
}

/// Words and qualified names, outside of comments and strings.
fn pieces(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < text.len() {
            let rest = &text[at..];
            let skip = if rest.starts_with("--") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                rest.find("*/").map_or(rest.len(), |n| n + 2)
            } else if let Some(inner) = rest.strip_prefix('\'') {
                inner.find('\'').map_or(rest.len(), |n| n + 2)
            } else {
                let (parts, length) = name(rest);
                if !parts.is_empty() {
                    let found = at..at + length;
                    at += length;
                    return Some(found);
                }
                rest.chars().next().map_or(1, char::len_utf8)
            };
            at += skip;
        }
        None
    })
}

/// The body with types that the parser knows in its declarations.
fn without(text: &str, declared: &[(Vec<String>, Range<usize>, Declared)], standin: &str) -> String {
    let mut replaced = text.to_owned();
    for (_, at, what) in declared.iter().rev() {
        let rest = &text[at.end..];
        let percent = rest.trim_start().starts_with('%') && *what != Declared::Type;
        let end = if percent {
            let after = at.end + rest.find('%').unwrap_or_default() + 1;
            after + text[after..].to_lowercase().find("type").unwrap_or_default() + 4
        } else {
            at.end
        };
        let standin = if *what == Declared::Row { "record" } else { standin };
        replaced.replace_range(at.start..end, standin);
    }
    replaced
}

struct Walk<'a> {
    text: &'a str,
    body: &'a mut Body,
    complete: bool,
}

impl Walk<'_> {
    fn value(&mut self, value: &Value, line: usize, dynamic: bool) {
        match value {
            Value::Array(items) => items.iter().for_each(|i| self.value(i, line, dynamic)),
            Value::Object(map) => {
                let own = map.get("lineno").and_then(Value::as_u64).and_then(|l| usize::try_from(l).ok());
                let line = own.filter(|l| *l > 0).unwrap_or(line);
                if let (Some(query), Some(mode)) = (map.get("query").and_then(Value::as_str), map.get("parseMode")) {
                    self.query(query, mode.as_u64().unwrap_or_default(), line, dynamic);
                }
                for (key, inner) in map {
                    let builds = ["PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors"].contains(&key.as_str());
                    let here = key == "dynquery" || dynamic && key == "query" || key == "PLpgSQL_expr" && dynamic;
                    self.value(inner, line, builds || here);
                }
            }
            _ => {}
        }
    }

    /// Modes: 0 is a statement, 2 an expression, the others are assignments.
    fn query(&mut self, query: &str, mode: u64, line: usize, dynamic: bool) {
        let from = self.text.split_inclusive('\n').take(line - 1).map(str::len).sum::<usize>();
        let first = query.find(' ').map_or(query.len(), |n| n + 1);
        let (place, cut) = match find(self.text, from, query) {
            Some(place) => (place as i64, 0),
            // PERFORM is SELECT to the parser.
            None => match find(self.text, from, &query[first..]) {
                Some(place) => (place as i64 - first as i64, first),
                None => return,
            },
        };
        let start = usize::try_from(place + cut as i64).unwrap_or_default();
        if dynamic {
            return self.built(query, start);
        }
        let well = match mode {
            0 => collect_sql(query, place, self.text, &mut self.body.queries),
            2 => self.expression(query, place),
            _ => {
                let sign = query.find(":=").map(|n| (n, 2)).or_else(|| query.find('=').map(|n| (n, 1)));
                let Some((at, length)) = sign else { return };
                let (parts, end) = name(query);
                if parts.len() > 1 {
                    let names = Names { columns: vec![(parts, start..start + end)], ..Names::default() };
                    self.body.queries.push(names);
                }
                self.expression(&query[at + length..], place + (at + length) as i64)
            }
        };
        self.complete &= well;
    }

    fn expression(&mut self, text: &str, place: i64) -> bool {
        const SELECT: &str = "SELECT ";
        collect_sql(&format!("{SELECT}{text}"), place - SELECT.len() as i64, self.text, &mut self.body.queries)
    }

    /// A statement that is built; one that is a mere string can be read all the same.
    fn built(&mut self, query: &str, start: usize) {
        let known = constant(query).filter(|sql| self.text[start..].trim_start_matches('\'').starts_with(sql.as_str()));
        let read = known.is_some_and(|sql| {
            let base = start + self.text[start..].find(&sql).unwrap_or_default();
            collect_sql(&sql, base as i64, self.text, &mut self.body.queries)
        });
        if !read {
            self.body.dynamic.push(start..start + query.len().min(self.text.len() - start));
        }
    }
}

/// Where a query stands; the parser has put blanks in the place of INTO and its targets.
fn find(text: &str, from: usize, query: &str) -> Option<usize> {
    let (text, query) = (text.as_bytes(), query.as_bytes());
    let fits = |at: usize| query.iter().zip(&text[at..]).all(|(q, t)| q == t || *q == b' ');
    (from..=text.len().checked_sub(query.len())?).find(|at| fits(*at))
}
