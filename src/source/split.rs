//! A file's text -> parsed statements, or every syntax error in it.

use super::files::{Files, Place};
use super::lexer::{self, Piece};
use super::problem::Problem;
use pg_query::NodeEnum;
use std::ops::Range;

/// A statement and its parse tree.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// From its first token to its last, without the semicolon.
    pub place: Place,
    /// The blanks and comments directly before it.
    pub before: Range<usize>,
    /// Its text.
    pub sql: String,
    /// Its parse tree.
    pub node: NodeEnum,
    /// A plain string with a backslash in it, which `standard_conforming_strings = off` reads differently.
    pub backslash: Option<Place>,
}

/// psql commands that pg_dump writes and that mean nothing for a schema.
const DUMP_COMMANDS: &[&str] = &["\\restrict", "\\unrestrict"];

/// What to write in place of other psql commands.
const COMMAND_HELP: &[(&str, &str)] = &[
    ("\\i", "files are found by themselves: remove the line and keep the other file below schema/"),
    ("\\ir", "files are found by themselves: remove the line and keep the other file below schema/"),
    ("\\copy", "rows are not part of a schema: use INSERT, or pg_dump --schema-only"),
    ("\\.", "rows are not part of a schema: use INSERT, or pg_dump --schema-only"),
    ("\\connect", "plumb connects by itself: remove the line (pg_dump writes it with --create)"),
    ("\\c", "plumb connects by itself: remove the line (pg_dump writes it with --create)"),
];

/// So many errors of one file are told; each may cost as much as the rest of the file.
const MOST: usize = 100;

/// Splits and parses one file. What can be read is given to `each`, one after another, since the trees of a large file do not fit
/// into memory together; everything that cannot is returned.
pub fn split(files: &Files, file: usize, each: &mut dyn FnMut(Parsed)) -> Vec<Problem> {
    let mut problems = Vec::new();
    let text = without_noise(&files.0[file].text, file, &mut problems);
    let mut at = 0;
    while let Some(piece) = lexer::piece(&text, at).filter(|_| problems.len() < MOST) {
        at = match parse_piece(&text, file, &piece, each) {
            Ok(()) if piece.data_follows => lexer::after_data(&text, piece.next),
            Ok(()) => piece.next,
            Err(problem) => {
                let seen = problem.place.as_ref().map_or(piece.next, |p| p.span.start);
                problems.push(*problem);
                resume(&piece, seen)
            }
        };
    }
    if problems.len() >= MOST {
        let message = format!("after {MOST} errors the rest of {} was not read", files.0[file].path);
        problems.push(Problem::general("source::syntax", message).help("mend these first"));
    }
    problems
}

/// After an error at `seen`: the end of the statement it stands in, which may have an open parenthesis too many.
fn resume(piece: &Piece, seen: usize) -> usize {
    piece.semicolons.iter().find(|s| **s >= seen).map_or(piece.next, |s| s + 1)
}

/// The text, byte for byte as long, without byte order mark and psql commands.
fn without_noise(original: &str, file: usize, problems: &mut Vec<Problem>) -> String {
    let text = match original.strip_prefix('\u{feff}') {
        Some(rest) => format!("   {rest}"),
        None => original.to_owned(),
    };
    let mut at = 0;
    let mut commands = Vec::new();
    while let Some(piece) = lexer::piece(&text, at) {
        at = if piece.data_follows { lexer::after_data(&text, piece.next) } else { piece.next };
        commands.extend(piece.commands);
    }
    if commands.is_empty() {
        return text;
    }
    let mut blanked = String::with_capacity(text.len());
    for span in commands {
        let command = text[span.clone()].split_whitespace().next().unwrap_or("\\").to_owned();
        if !DUMP_COMMANDS.contains(&command.as_str()) && problems.len() < MOST {
            problems.push(psql_command(Place::new(file, span.clone()), &command));
        }
        blanked.push_str(&text[blanked.len()..span.start]);
        blanked.extend(std::iter::repeat_n(' ', span.len()));
    }
    blanked.push_str(&text[blanked.len()..]);
    blanked
}

fn psql_command(place: Place, command: &str) -> Problem {
    let help = COMMAND_HELP.iter().find(|(c, _)| *c == command).map_or("psql commands are not SQL: remove the line", |(_, h)| *h);
    Problem::at("source::psql_command", place, format!("{command} is a command of psql"), "only psql understands this").help(help)
}

fn parse_piece(text: &str, file: usize, piece: &Piece, each: &mut dyn FnMut(Parsed)) -> Result<(), Box<Problem>> {
    let Some(code) = piece.code.clone() else { return Ok(()) };
    if let Some((start, what)) = piece.open {
        let place = Place::new(file, start..lexer::token(text, start).map_or(start, |t| t.span.start + 1));
        return Err(Problem::at("source::syntax", place, format!("unterminated {what}"), "begins here and never ends").into());
    }
    let sql = &text[code.clone()];
    let result = pg_query::parse(sql, 0).map_err(|e| syntax(sql, file, code.start, &e))?;
    for raw in result.protobuf.stmts {
        let Some(node) = raw.stmt.and_then(|s| s.node) else { continue };
        let start = code.start + usize::try_from(raw.stmt_location).unwrap_or(0);
        let length = usize::try_from(raw.stmt_len).unwrap_or(0);
        let end = if length == 0 { code.end } else { start + length };
        let span = trimmed(text, start..end);
        each(Parsed {
            place: Place::new(file, span.clone()),
            before: piece.whole.start..span.start,
            sql: text[span].to_owned(),
            node,
            backslash: piece.backslash.clone().map(|b| Place::new(file, b)),
        });
    }
    Ok(())
}

/// Without blanks at its ends: those of PostgreSQL, for which any other is part of a name (`OWNER TO x\u{2003}`).
fn trimmed(text: &str, span: Range<usize>) -> Range<usize> {
    let blank = |c: char| c.is_ascii_whitespace() || c == '\u{b}';
    let inner = &text[span.clone()];
    let start = span.start + (inner.len() - inner.trim_start_matches(blank).len());
    start..start + inner.trim_matches(blank).len()
}

/// A parse error as the server would report it. pg_query keeps the position to itself, so it is found again: the first token
/// with which the text up to it cannot be continued.
fn syntax(sql: &str, file: usize, offset: usize, error: &pg_query::Error) -> Problem {
    let message = match error {
        pg_query::Error::Parse(message) if !too_deep(message) => message,
        _ => return unreadable(sql, file, offset, error),
    };
    let tokens: Vec<Range<usize>> = lexer::tokens(sql).filter(|t| t.kind != lexer::Kind::Comment).map(|t| t.span).collect();
    let broken = |n: usize| {
        let error = pg_query::parse(&sql[..tokens[n].end], 0).err();
        matches!(error, Some(pg_query::Error::Parse(m)) if !m.ends_with("at end of input"))
    };
    // Most often it stands near the beginning of what may be the rest of a large file: near tokens are tried first.
    let mut step = 64;
    while step < tokens.len() && !broken(step) {
        step *= 4;
    }
    let (mut low, mut high) = (0, tokens.len().min(step + 1));
    while low < high {
        let middle = (low + high) / 2;
        (low, high) = if broken(middle) { (low, middle) } else { (middle + 1, high) };
    }
    let span = tokens.get(low).cloned().unwrap_or(sql.len()..sql.len());
    let label = if low == tokens.len() { "something is missing before the end" } else { "not understood from here on" };
    let after = sql.as_bytes().get(span.end).is_some_and(|b| b.is_ascii_alphabetic() || b"_'\"".contains(b));
    let variable = sql.get(span.clone()) == Some(":") && after;
    let place = Place::new(file, offset + span.start..offset + span.end);
    Problem { help: variable.then(|| VARIABLE.to_owned()), ..Problem::at("source::syntax", place, message.clone(), label) }
}

/// What to do about `:name`.
const VARIABLE: &str = "if this is a variable of psql: write its value, only psql fills it in";

/// What the parser says of statements that nest deeper than it can go.
fn too_deep(message: &str) -> bool {
    message.starts_with("stack depth limit") || message.contains("nested too deeply")
}

fn unreadable(sql: &str, file: usize, offset: usize, error: &pg_query::Error) -> Problem {
    let end = sql.find('\n').unwrap_or(sql.len()).min(60);
    let end = (0..=end).rev().find(|e| sql.is_char_boundary(*e)).unwrap_or(0);
    let message = match error {
        pg_query::Error::Decode(_) | pg_query::Error::Parse(_) => "the statement nests deeper than plumb can read".to_owned(),
        other => other.to_string(),
    };
    let place = Place::new(file, offset..offset + end);
    Problem::at("source::unreadable_statement", place, message, "plumb never sends a statement that it cannot read")
        .help("nest less: a chain of thousands of operators (a || b || ...) counts; put a part into a function")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> (Vec<Parsed>, Vec<Problem>) {
        let mut parsed = Vec::new();
        let problems = split(&Files::text("a.sql", text), 0, &mut |p| parsed.push(p));
        (parsed, problems)
    }

    fn texts(sql: &str) -> Vec<String> {
        let (parsed, problems) = all(sql);
        assert!(problems.is_empty(), "{problems:?}");
        parsed.into_iter().map(|p| p.sql).collect()
    }

    fn errors(sql: &str) -> Vec<(usize, usize, &'static str, String)> {
        let files = Files::text("a.sql", sql);
        let problems = split(&files, 0, &mut drop);
        let at = |p: &Problem| files.line_column(p.place.as_ref().expect("a place"));
        problems.iter().map(|p| (at(p).0, at(p).1, p.code, p.message.clone())).collect()
    }

    #[test]
    fn statements_are_cut_like_psql_does() {
        let sql = "\u{feff}-- one; two\r\nselect 1;\r\n/* ; /* ; */ */ select 'a;''b', E'\\';', \"x;\", $$;$$, $a$ $$ ; $a$;;\nselect 2";
        assert_eq!(texts(sql), ["select 1", "select 'a;''b', E'\\';', \"x;\", $$;$$, $a$ $$ ; $a$", "select 2"]);
    }

    #[test]
    fn bodies_and_rules_stay_whole() {
        let function = "create or replace function f() returns int begin atomic select 1; select case when true then 1 end; end";
        let rule = "create rule r as on insert to t do (delete from a; delete from b)";
        assert_eq!(texts(&format!("{function};\n{rule};\n")), [function, rule]);
    }

    #[test]
    fn comments_before_a_statement_belong_to_it() {
        let text = "select 1;\n-- plumb: ignore x\nselect 2;";
        let (parsed, _) = all(text);
        assert_eq!(text[parsed[1].before.clone()].trim(), "-- plumb: ignore x");
        assert_eq!(&text[parsed[1].place.span.clone()], "select 2");
    }

    #[test]
    fn the_noise_of_pg_dump_is_blanked_and_other_commands_refused() {
        assert_eq!(texts("\\restrict abc'd\nselect 1;\n\\unrestrict abc'd\n"), ["select 1"]);
        assert_eq!(texts("select '\n\\connect x\n';"), ["select '\n\\connect x\n'"]);
        let found = errors("\\connect app\nselect 1;\nselect 1 \\gexec\n");
        assert_eq!(
            found.iter().map(|f| (f.0, f.1, f.2)).collect::<Vec<_>>(),
            [(1, 1, "source::psql_command"), (3, 10, "source::psql_command")]
        );
    }

    #[test]
    fn data_of_copy_is_not_read_as_sql() {
        let (parsed, problems) = all("COPY t (a) FROM stdin;\nit's\n\\.\nselect 1;");
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(parsed.len(), 2);
    }

    #[test]
    fn every_syntax_error_is_found_at_its_token() {
        let sql = "create tabel a (x int);\nselect 1;\ncreate table b (x int;\ncreate table c (x int,, y int);\ncreate table é (a ünt !);\nselect (1";
        assert_eq!(
            errors(sql),
            [
                (1, 8, "source::syntax", "syntax error at or near \"tabel\"".to_owned()),
                (3, 22, "source::syntax", "syntax error at or near \";\"".to_owned()),
                (4, 23, "source::syntax", "syntax error at or near \",\"".to_owned()),
                (5, 23, "source::syntax", "syntax error at or near \"!\"".to_owned()),
                (6, 10, "source::syntax", "syntax error at end of input".to_owned()),
            ]
        );
    }

    #[test]
    fn deep_statements_are_errors_and_no_crash() {
        // The stack that plumb runs on; a test thread has a small one.
        let deep = || {
            assert!(errors(&format!("create view v as select {}1;", "1 + ".repeat(300))).is_empty());
            let n = 20_000;
            let sum = format!("create view v as select {}1;", "1 + ".repeat(n));
            assert_eq!(errors(&sum).iter().map(|e| e.2).collect::<Vec<_>>(), ["source::unreadable_statement"]);
            let nested = format!("create view v as select {}1{};", "(".repeat(n), ")".repeat(n));
            assert!(errors(&nested).len() <= 1);
        };
        let run = std::thread::Builder::new().stack_size(1 << 30).spawn(deep);
        run.expect("a thread starts").join().expect("no crash");
    }

    #[test]
    fn what_never_ends_is_shown_where_it_begins() {
        assert_eq!(errors("select 1;\nselect 'a;\nselect 2;")[0].0, 2);
        assert_eq!(errors("select 1;\ncreate function f() as $x$ begin end $y$;")[0].3, "unterminated dollar-quoted string");
    }
}
