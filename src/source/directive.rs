//! Directives: comments `-- plumb: <word> <rest>` above a statement, or inside of it above a column or a named constraint.
//!
//! What is written is read here and bound to what it stands above. What it leads to is decided where that is known: findings by
//! `lint`, hazards by `hazard`. A directive that nobody could act on is an error at its place and never a comment without effect.

use super::date;
use super::expression;
use super::files::{Files, Place};
use super::lexer::{self, Kind};
use super::name::{Class, Name};
use super::problem::Problem;
use super::read::Statement;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A directive, and what it is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directive {
    /// From `plumb:` to the end of the line.
    pub place: Place,
    /// What it says.
    pub order: Order,
    /// The statement, the column or the constraint below it.
    pub below: Place,
    /// What that defines; the object itself first, then what is inside of it.
    pub names: Vec<Name>,
    /// The search path in force there.
    pub path: Vec<String>,
}

/// What a directive says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// A finding or a hazard is known and meant to be so.
    Ignore(Ignore),
    /// The object had this name before, as SQL.
    RenamedFrom(String),
    /// The expression of a type change.
    Using(String),
    /// The expression that gives the rows that are there their value.
    Backfill(String),
    /// The column changes its type by way of another column, so that nobody waits for its rows to be written.
    Exchange,
    /// A query that has to give true before the object is changed.
    Assert(String),
    /// The INSERTs on this table are wanted rows; `exact` when there may be no others.
    Data {
        /// Whether rows that the files do not name are dropped.
        exact: bool,
    },
}

/// `ignore <code> [until <date>]: <reason>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignore {
    /// The rule's or the hazard's code.
    pub code: String,
    /// The last day on which it holds, `2027-01-31`.
    pub until: Option<String>,
    /// Why it is right here.
    pub reason: String,
}

impl Ignore {
    /// Whether its last day is before this one (see [`date::day`]).
    pub fn is_over(&self, today: &str) -> bool {
        self.until.as_deref().is_some_and(|until| until < today)
    }
}

impl Directive {
    /// What is to be ignored, if that is what it says.
    pub fn ignore(&self) -> Option<&Ignore> {
        if let Order::Ignore(ignore) = &self.order { Some(ignore) } else { None }
    }

    /// The query that has to give true, if that is what it says.
    pub fn assertion(&self) -> Option<&str> {
        if let Order::Assert(query) = &self.order { Some(query) } else { None }
    }

    /// Whether something that is defined at `place` stands below it.
    pub fn covers(&self, place: &Place) -> bool {
        self.below.file == place.file && self.below.span.contains(&place.span.start)
    }

    /// The word as it is written.
    pub fn word(&self) -> &'static str {
        match self.order {
            Order::Ignore(_) => "ignore",
            Order::RenamedFrom(_) => "renamed from",
            Order::Using(_) => "using",
            Order::Backfill(_) => "backfill",
            Order::Exchange => "exchange",
            Order::Assert(_) => "assert",
            Order::Data { .. } => "data",
        }
    }
}

/// A word that a directive begins with.
struct Word {
    word: &'static str,
    /// How the whole is written.
    form: &'static str,
    /// Reads what follows the word; an error says what is wrong with it.
    read: fn(&str) -> Result<Order, String>,
}

/// Every word.
const WORDS: &[Word] = &[
    Word { word: "ignore", form: "ignore RULE: REASON, or ignore HAZARD until 2027-01-31: REASON", read: ignore },
    Word { word: "renamed from", form: "renamed from OLD_NAME", read: |rest| text(rest, "the old name").map(Order::RenamedFrom) },
    Word { word: "using", form: "using EXPRESSION", read: |rest| value(rest).map(Order::Using) },
    Word { word: "backfill", form: "backfill EXPRESSION", read: |rest| value(rest).map(Order::Backfill) },
    Word { word: "exchange", form: "exchange", read: exchange },
    Word { word: "assert", form: "assert SELECT ...", read: |rest| query(rest).map(Order::Assert) },
    Word { word: "data", form: "data, or data exact", read: data },
];

fn text(rest: &str, what: &str) -> Result<String, String> {
    if rest.is_empty() { Err(format!("{what} is missing")) } else { Ok(rest.to_owned()) }
}

fn value(rest: &str) -> Result<String, String> {
    let text = text(rest, "the expression")?;
    expression::check(&text).map(|()| text)
}

fn query(rest: &str) -> Result<String, String> {
    let text = text(rest, "the query")?;
    expression::check_query(&text).map(|()| text)
}

fn exchange(rest: &str) -> Result<Order, String> {
    if rest.is_empty() {
        Ok(Order::Exchange)
    } else {
        Err(format!("\"{rest}\" is too much: what values become stands after using"))
    }
}

fn data(rest: &str) -> Result<Order, String> {
    match rest {
        "" | "exact" => Ok(Order::Data { exact: rest == "exact" }),
        other => Err(format!("\"{other}\" says nothing about rows")),
    }
}

fn ignore(rest: &str) -> Result<Order, String> {
    let (head, reason) = rest.split_once(':').map_or((rest, ""), |(head, reason)| (head, reason.trim()));
    let words: Vec<&str> = head.split_whitespace().collect();
    let (code, until) = match words.as_slice() {
        [] => return Err("what to ignore is missing".to_owned()),
        [code] => (code, None),
        [code, "until", day] if date::is_day(day) => (code, Some((*day).to_owned())),
        [_, "until", day] => return Err(format!("\"{day}\" is no day")),
        [_, "until"] => return Err("the day is missing".to_owned()),
        [code, other, ..] => return Err(format!("\"{other}\" after {code} is not understood")),
    };
    if reason.is_empty() {
        return Err("a reason is missing".to_owned());
    }
    Ok(Order::Ignore(Ignore { code: (*code).to_owned(), until, reason: reason.to_owned() }))
}

/// Words that are read and bound, and that nothing is done with yet: whoever writes one is told so.
const LATER: &[&str] = &["data"];

/// Notes on directives that nothing is done with.
pub fn notes(files: &Files, statements: &[Statement]) -> Vec<String> {
    let later = statements.iter().flat_map(|s| &s.directives).filter(|d| LATER.contains(&d.word()));
    let note = |d: &Directive| {
        let (line, _) = files.line_column(&d.place);
        let file = files.0.get(d.place.file).map_or("", |f| f.path.as_str());
        format!("{file}:{line}: this plumb does nothing with -- plumb: {} yet", d.word())
    };
    later.map(note).collect()
}

/// Gives the statements of one file their directives.
pub fn attach(files: &Files, file: usize, statements: &mut [Statement], problems: &mut Vec<Problem>) {
    let Some(text) = files.0.get(file).map(|f| f.text.as_str()) else { return };
    if !text.contains(MARK) {
        return;
    }
    for span in directives(text) {
        if let Err(problem) = directive(text, file, &span, statements) {
            problems.push(*problem);
        }
    }
}

/// What makes a comment a directive.
const MARK: &str = "plumb:";

/// The comments that are directives, each from the mark to the end of its line.
fn directives(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(piece) = lexer::piece(text, at) {
        let comments = lexer::tokens(&text[piece.whole.clone()]).filter(|t| t.kind == Kind::Comment);
        found.extend(comments.filter_map(|t| {
            let comment = &text[piece.whole.start + t.span.start..piece.whole.start + t.span.end];
            let words = comment.strip_prefix("--")?.trim();
            let start = piece.whole.start + t.span.start + comment.find(words)?;
            words.starts_with(MARK).then_some(start..start + words.len())
        }));
        at = if piece.data_follows { lexer::after_data(text, piece.next) } else { piece.next };
    }
    found
}

fn directive(text: &str, file: usize, span: &Range<usize>, statements: &mut [Statement]) -> Result<(), Box<Problem>> {
    let place = Place::new(file, span.clone());
    let order = read(text, &place)?;
    let line = text[..span.start].rfind('\n').map_or(0, |n| n + 1);
    if text[line..span.start].trim() != "--" {
        let message = "a directive stands on a line of its own, above what it is about";
        return Err(misplaced(place, message, "this one stands behind something"));
    }
    let after = statements.partition_point(|s| s.place.span.end <= span.start);
    let found = statements.get_mut(after).filter(|s| s.before.contains(&span.start) || s.place.span.contains(&span.start));
    let Some(statement) = found else {
        return Err(misplaced(place, "the directive stands above no statement that makes something", "nothing is below it"));
    };
    let above = statement.before.contains(&span.start);
    let below = if above { statement.place.span.clone() } else { element(text, span.end, statement.place.span.end) };
    let inside = |place: &Place| below.contains(&place.span.start);
    let names: Vec<Name> = statement.hints.defines.iter().filter(|d| inside(&d.place)).map(|d| d.name.clone()).collect();
    if names.is_empty() {
        let message = "what stands below the directive makes nothing that has a name";
        return Err(misplaced(place, message, "about what?"));
    }
    let path = statement.settings.path.clone();
    let directive = Directive { place, order, below: Place::new(file, below), names, path };
    of_a_column(&directive, &statement.directives)?;
    statement.directives.push(directive);
    Ok(())
}

/// Some are about one column, and each is said once of it.
fn of_a_column(directive: &Directive, others: &[Directive]) -> Result<(), Box<Problem>> {
    if !matches!(directive.order, Order::Using(_) | Order::Backfill(_) | Order::Exchange) {
        return Ok(());
    }
    let (place, word) = (directive.place.clone(), directive.word());
    if directive.names.first().is_none_or(|n| n.class != Class::Column) {
        return Err(misplaced(place, &format!("{word} is about a column"), "what stands below it is none"));
    }
    if others.iter().any(|o| o.word() == word && o.names.first() == directive.names.first()) {
        return Err(misplaced(place, &format!("{word} is said twice of one column"), "which of them?"));
    }
    Ok(())
}

fn misplaced(place: Place, message: &str, label: &str) -> Box<Problem> {
    let help = "write it directly above the CREATE of the object, or above the column or the constraint inside of it";
    Problem::at("source::directive", place, message, label).help(help).into()
}

/// From the next token to the comma or the parenthesis that ends an element of a list.
fn element(text: &str, from: usize, end: usize) -> Range<usize> {
    let mut depth = 0usize;
    let mut start = None;
    let mut at = from;
    while let Some(token) = lexer::token(text, at).filter(|t| t.span.start < end) {
        at = token.span.end;
        match token.kind {
            Kind::Comment => continue,
            Kind::Symbol(b'(' | b'[') => depth += 1,
            Kind::Symbol(b')' | b']') if depth > 0 => depth -= 1,
            Kind::Symbol(b')' | b',') if depth == 0 => return start.unwrap_or(token.span.start)..token.span.start,
            _ => {}
        }
        start = start.or(Some(token.span.start));
    }
    start.unwrap_or(end)..end
}

/// The order that a directive gives.
fn read(text: &str, place: &Place) -> Result<Order, Box<Problem>> {
    let said = text[place.span.clone()][MARK.len()..].trim();
    let problem = |message: String, label: &str| Problem::at("source::directive", place.clone(), message, label);
    let follows =
        |w: &&Word| said.strip_prefix(w.word).is_some_and(|r| !r.starts_with(|c: char| c.is_alphanumeric() || c == '_'));
    match WORDS.iter().find(follows) {
        Some(word) => (word.read)(said[word.word.len()..].trim()).map_err(|wrong| {
            problem(wrong, "this directive says too little or too much").help(format!("write -- plumb: {}", word.form)).into()
        }),
        None => {
            let first = said.split_whitespace().next().unwrap_or_default();
            let message =
                if first.is_empty() { "the directive says nothing".to_owned() } else { format!("unknown directive \"{first}\"") };
            Err(problem(message, "no such directive").help(suggestion(first)).into())
        }
    }
}

/// The word that was probably meant, else all of them.
fn suggestion(first: &str) -> String {
    let like = |w: &&Word| strsim::damerau_levenshtein(first, w.word.split(' ').next().unwrap_or(w.word));
    let near = WORDS.iter().min_by_key(like).filter(|w| !first.is_empty() && like(w) <= 1 + first.len() / 4);
    match near {
        Some(word) => format!("did you mean -- plumb: {}?", word.form),
        None => format!("there are: {}", WORDS.iter().map(|w| w.word).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
#[path = "directive_tests.rs"]
mod tests;
