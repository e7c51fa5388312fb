//! Cuts a file into statements the way psql does, without understanding them.
//!
//! Nothing rests on it for safety: each piece is parsed and screened as a whole by pg_query before it is sent.

use std::ops::Range;

/// What a token is, as far as cutting needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An unquoted word, keyword or not.
    Word,
    /// A `"quoted"` name.
    Quoted,
    /// A `'string'`; true if backslashes escape in it (`E'...'`).
    Text(bool),
    /// A `$tag$string$tag$`.
    Dollar,
    /// `-- ...`, up to a line feed or a carriage return, or `/* ... */`.
    Comment,
    /// A backslash outside of everything, up to the end of the line: a psql command.
    Command,
    /// Digits and what sticks to them.
    Number,
    /// Any other character.
    Symbol(u8),
    /// A string, name or comment that never ends; says which.
    Open(&'static str),
}

/// A token and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub span: Range<usize>,
}

fn starts_word(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_' || b >= 0x80
}

fn in_word(b: u8) -> bool {
    starts_word(b) || b.is_ascii_digit() || b == b'$'
}

fn while_in(bytes: &[u8], from: usize, test: impl Fn(u8) -> bool) -> usize {
    bytes[from..].iter().position(|b| !test(*b)).map_or(bytes.len(), |n| from + n)
}

/// The next token at or after `at`; none at the end.
pub fn token(text: &str, at: usize) -> Option<Token> {
    let bytes = text.as_bytes();
    let start = while_in(bytes, at, |b| b.is_ascii_whitespace() || b == 0x0b);
    let first = *bytes.get(start)?;
    let rest = &bytes[start..];
    let (kind, end) = match first {
        b'-' if rest.starts_with(b"--") => (Kind::Comment, while_in(bytes, start, |b| b != b'\n' && b != b'\r')),
        b'/' if rest.starts_with(b"/*") => block_comment(bytes, start),
        b'\'' => quoted(bytes, start, b'\'', false),
        b'"' => quoted(bytes, start, b'"', false),
        b'e' | b'E' if rest.get(1) == Some(&b'\'') => quoted(bytes, start + 1, b'\'', true),
        b'u' | b'U' if rest.get(1) == Some(&b'&') && matches!(rest.get(2), Some(b'\'' | b'"')) => {
            quoted(bytes, start + 2, rest[2], false)
        }
        b'$' => dollar(text, start),
        b'\\' => (Kind::Command, while_in(bytes, start, |b| b != b'\n' && b != b'\r')),
        b if starts_word(b) => (Kind::Word, while_in(bytes, start, in_word)),
        b if b.is_ascii_digit() => (Kind::Number, while_in(bytes, start, |b| in_word(b) || b == b'.')),
        b => (Kind::Symbol(b), start + 1),
    };
    Some(Token { kind, span: start..end })
}

fn block_comment(bytes: &[u8], start: usize) -> (Kind, usize) {
    let (mut depth, mut i) = (0usize, start);
    while i + 1 < bytes.len() {
        match &bytes[i..i + 2] {
            b"/*" => (depth, i) = (depth + 1, i + 2),
            b"*/" => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return (Kind::Comment, i);
        }
    }
    (Kind::Open("/* comment"), bytes.len())
}

fn quoted(bytes: &[u8], open: usize, quote: u8, escapes: bool) -> (Kind, usize) {
    let mut i = open + 1;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' if escapes => i += 2,
            b if b == quote && bytes.get(i + 1) == Some(&quote) => i += 2,
            b if b == quote => return (if quote == b'"' { Kind::Quoted } else { Kind::Text(escapes) }, i + 1),
            _ => i += 1,
        }
    }
    (Kind::Open(if quote == b'"' { "quoted identifier" } else { "quoted string" }), bytes.len())
}

fn dollar(text: &str, start: usize) -> (Kind, usize) {
    let bytes = text.as_bytes();
    let tag_end = while_in(bytes, start + 1, |b| starts_word(b) || b.is_ascii_digit());
    let digit = bytes.get(start + 1).is_some_and(u8::is_ascii_digit);
    if digit || bytes.get(tag_end) != Some(&b'$') {
        return (Kind::Symbol(b'$'), start + 1);
    }
    let tag = &text[start..=tag_end];
    match text[tag_end + 1..].find(tag) {
        Some(n) => (Kind::Dollar, tag_end + 1 + n + tag.len()),
        None => (Kind::Open("dollar-quoted string"), bytes.len()),
    }
}

/// All tokens of a text.
pub fn tokens(text: &str) -> impl Iterator<Item = Token> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let token = token(text, at)?;
        at = token.span.end;
        Some(token)
    })
}

/// The end of a name that begins at `at`, with its dots.
pub fn dotted(text: &str, at: usize) -> usize {
    let end_of = |at: usize| token(text, at).map_or(text.len(), |t| t.span.end);
    let mut end = end_of(at);
    while text[end..].starts_with('.') && end + 1 < text.len() {
        end = end_of(end + 1);
    }
    end
}

/// One statement as it stands in the file, with the comments before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Everything since the statement before: blanks, comments, the statement.
    pub whole: Range<usize>,
    /// From its first token to its last one, without the semicolon; none if there are only comments.
    pub code: Option<Range<usize>>,
    /// Where the next piece begins.
    pub next: usize,
    /// Every semicolon in it, also inside parentheses.
    pub semicolons: Vec<usize>,
    /// psql commands in it.
    pub commands: Vec<Range<usize>>,
    /// What never ends in it, and where it begins.
    pub open: Option<(usize, &'static str)>,
    /// The first plain string with a backslash in it.
    pub backslash: Option<Range<usize>>,
    /// It is `COPY ... FROM STDIN`: data follows up to `\.`.
    pub data_follows: bool,
}

/// Follows words to know when a semicolon stands inside of a `BEGIN ATOMIC` body, as psql does.
#[derive(Default)]
struct Body {
    words: Vec<String>,
    depth: usize,
}

impl Body {
    fn word(&mut self, word: &str) {
        let word = word.to_ascii_lowercase();
        if self.words.len() < 4 {
            self.words.push(word.clone());
        }
        let creates = self.words.first().is_some_and(|w| w == "create")
            && self.words.iter().skip(1).take(3).any(|w| w == "function" || w == "procedure");
        match word.as_str() {
            "begin" if creates => self.depth += 1,
            "case" if self.depth > 0 => self.depth += 1,
            "end" => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// The statement that begins at `at`, which may hold only comments at the end of a file. None at the very end.
pub fn piece(text: &str, at: usize) -> Option<Piece> {
    let mut piece = Piece { whole: at..text.len(), next: text.len(), ..Piece::default() };
    let (mut body, mut parens, mut position) = (Body::default(), 0usize, at);
    let mut any = false;
    while let Some(token) = token(text, position) {
        any = true;
        position = token.span.end;
        match token.kind {
            Kind::Comment => continue,
            Kind::Command => {
                piece.commands.push(token.span);
                continue;
            }
            Kind::Symbol(b';') => {
                piece.semicolons.push(token.span.start);
                if parens == 0 && body.depth == 0 {
                    (piece.whole.end, piece.next) = (position, position);
                    break;
                }
            }
            Kind::Symbol(b'(') => parens += 1,
            Kind::Symbol(b')') => parens = parens.saturating_sub(1),
            Kind::Word => {
                let word = &text[token.span.clone()];
                if parens == 0 {
                    body.word(word);
                    piece.data_follows |= word.eq_ignore_ascii_case("stdin");
                }
            }
            Kind::Text(false) if piece.backslash.is_none() && text[token.span.clone()].contains('\\') => {
                piece.backslash = Some(token.span.clone());
            }
            Kind::Open(what) => piece.open = Some((token.span.start, what)),
            _ => {}
        }
        let start = piece.code.as_ref().map_or(token.span.start, |c| c.start);
        piece.code = Some(start..token.span.end);
    }
    piece.data_follows &= body.words.first().is_some_and(|w| w == "copy");
    Some(piece).filter(|_| any)
}

/// Where the data of `COPY ... FROM STDIN` ends: after the line `\.`, or at the end of the text.
pub fn after_data(text: &str, from: usize) -> usize {
    let mut at = from;
    for line in text[from..].split_inclusive('\n') {
        at += line.len();
        if line.trim_end() == "\\." {
            return at;
        }
    }
    text.len()
}
