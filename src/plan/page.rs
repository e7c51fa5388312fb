//! Lines for a person: cleaned, wrapped to a width, with coloured marks. Colour never changes the text.

use std::fmt::Write;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The widest page.
pub const WIDEST: usize = 100;
/// The narrowest page that is still laid out; a narrower terminal breaks lines itself.
const NARROWEST: usize = 40;

/// A mark at the start of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// `+`: comes into being.
    Plus,
    /// `~`: changes.
    Tilde,
    /// `-`: goes.
    Minus,
    /// `!`: may hurt.
    Bang,
}

impl Mark {
    /// The character.
    pub fn sign(self) -> char {
        match self {
            Mark::Plus => '+',
            Mark::Tilde => '~',
            Mark::Minus => '-',
            Mark::Bang => '!',
        }
    }

    /// The text in the mark's colour: green, yellow, red, and bold red for what may hurt.
    fn paint(self, text: &str) -> String {
        let color = match self {
            Mark::Plus => "32",
            Mark::Tilde => "33",
            Mark::Minus => "31",
            Mark::Bang => "1;31",
        };
        format!("\u{1b}[{color}m{text}\u{1b}[0m")
    }
}

/// A text that grows line by line and is never wider than it should be.
pub struct Page {
    /// The columns that a line may take.
    pub width: usize,
    color: bool,
    text: String,
}

impl Page {
    /// An empty page.
    pub fn new(width: usize, color: bool) -> Page {
        Page { width: width.clamp(NARROWEST, WIDEST), color, text: String::new() }
    }

    /// What was written.
    pub fn finish(self) -> String {
        self.text
    }

    /// An empty line, never two of them.
    pub fn blank(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// A paragraph from column 0; further lines are indented by two.
    pub fn say(&mut self, text: &str) {
        self.put("", 2, text);
    }

    /// A paragraph at a column.
    pub fn note(&mut self, column: usize, text: &str) {
        self.put(&" ".repeat(column), column, text);
    }

    /// A paragraph behind a word: further lines stand below the first one's text.
    pub fn labelled(&mut self, column: usize, label: &str, text: &str) {
        let lead = format!("{}{label}  ", " ".repeat(column));
        let hang = lead.width();
        self.put(&lead, hang, text);
    }

    /// A paragraph behind a mark; only the mark is coloured.
    pub fn marked(&mut self, column: usize, mark: Mark, text: &str) {
        let lead = format!("{}{} ", " ".repeat(column), self.ink(mark, &mark.sign().to_string()));
        for (i, line) in wrap(&clean(text), self.width - column - 2, self.width - column - 4).iter().enumerate() {
            let lead = if i == 0 { lead.clone() } else { " ".repeat(column + 4) };
            self.push(&format!("{lead}{line}"));
        }
    }

    /// A line of a comparison; all of it is coloured. Returns how many lines it took.
    pub fn compared(&mut self, lead: &str, mark: Option<Mark>, text: &str) -> usize {
        let column = lead.width();
        let lines = wrap(&clean(text), self.width - column - 2, self.width - column - 4);
        for (i, line) in lines.iter().enumerate() {
            let lead = if i == 0 { lead.to_owned() } else { " ".repeat(column) };
            let (sign, more) = (mark.map_or(' ', Mark::sign), if i == 0 { "" } else { "  " });
            let body = format!("{sign} {more}{line}");
            let body = mark.map_or(body.clone(), |m| self.ink(m, body.trim_end()));
            self.push(&format!("{lead}{body}"));
        }
        lines.len()
    }

    /// One line: a lead, a mark, a name that is cut in the middle when it must, and something at the right edge where it fits.
    pub fn titled(&mut self, lead: &str, mark: Mark, name: &str, right: &str) {
        let (name, right) = (clean(name), clean(right));
        let column = lead.width() + 2;
        let name = shorten(&name, self.width - column);
        let start = format!("{lead}{} {name}", self.ink(mark, &mark.sign().to_string()));
        let used = column + name.width();
        if right.is_empty() {
            return self.push(&start);
        }
        if used + 2 + right.width() <= self.width {
            let gap = " ".repeat(self.width - used - right.width());
            return self.push(&format!("{start}{gap}{right}"));
        }
        self.push(&start);
        let right = shorten(&right, self.width - column);
        let gap = " ".repeat(self.width - right.width());
        self.push(&format!("{gap}{right}"));
    }

    /// One line of a command, as long as it is.
    pub fn command(&mut self, line: &str) {
        self.push(&clean(line));
    }

    /// A line of a text with a mark under a part of it; of a long line what is around the mark.
    pub fn excerpt(&mut self, column: usize, lead: &str, text: &str, mark: std::ops::Range<usize>) {
        let part = |range: std::ops::Range<usize>| clean(text.get(range).unwrap_or_default());
        let (before, marked, after) = (part(0..mark.start), part(mark.clone()), part(mark.end..text.len()));
        let room = self.width.saturating_sub(column + lead.width());
        let mut before = before.trim_start().to_owned();
        while before.width() + marked.width().min(room / 2) > room {
            before.remove(0);
        }
        let (pad, gap) = (" ".repeat(column), " ".repeat(lead.width() + before.width()));
        let mut shown = format!("{before}{marked}{after}");
        while shown.width() > room {
            shown.pop();
        }
        self.push(&format!("{pad}{lead}{shown}"));
        self.push(&format!("{pad}{gap}{}", "^".repeat(marked.width().min(room.saturating_sub(before.width())).max(1))));
    }

    /// SQL behind a word. Lines break only where SQL may be broken, so that it can be copied; what cannot be broken is left long.
    pub fn code(&mut self, lead: &str, sql: &str) {
        let hang = " ".repeat(lead.width());
        let mut quote = None;
        let mut first = true;
        for line in sql.lines() {
            for part in wrap_sql(&clean(line), self.width - lead.width(), &mut quote) {
                self.push(&format!("{}{part}", if first { lead } else { &hang }));
                first = false;
            }
        }
    }

    fn put(&mut self, lead: &str, hang: usize, text: &str) {
        let first = self.width.saturating_sub(lead.width());
        for (i, line) in wrap(&clean(text), first, self.width - hang).iter().enumerate() {
            let lead = if i == 0 { lead.to_owned() } else { " ".repeat(hang) };
            self.push(&format!("{lead}{line}"));
        }
    }

    fn ink(&self, mark: Mark, text: &str) -> String {
        if self.color { mark.paint(text) } else { text.to_owned() }
    }

    fn push(&mut self, line: &str) {
        let _ = writeln!(self.text, "{}", line.trim_end());
    }
}

/// Text without anything that steers a terminal or turns the reading direction; names and definitions come from strangers.
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => cleaned.push_str("    "),
            '\n' => cleaned.push_str("\\n"),
            '\r' => cleaned.push_str("\\r"),
            c if steers(c) => drop(write!(cleaned, "\\u{{{:x}}}", c as u32)),
            c => cleaned.push(c),
        }
    }
    cleaned
}

/// Control characters, line separators, and the marks that turn the reading direction.
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Breaks at spaces where it can, else anywhere. Indentation of the text is kept.
fn wrap(text: &str, first: usize, rest: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut left, mut width) = (text, first.max(8));
    while left.width() > width {
        let fits = prefix(left, width).max(left.chars().next().map_or(0, char::len_utf8));
        let indent = left.len() - left.trim_start().len();
        let space = left[..fits].rfind(' ').filter(|at| *at > indent);
        let at = if left[fits..].starts_with(' ') { fits } else { space.unwrap_or(fits) };
        lines.push(left[..at].trim_end().to_owned());
        left = left[at..].trim_start();
        width = rest.max(8);
    }
    if !left.is_empty() || lines.is_empty() {
        lines.push(left.to_owned());
    }
    lines
}

/// Breaks at spaces outside quotes; `quote` is the one that is open where the line begins, and then where it ends.
fn wrap_sql(line: &str, width: usize, quote: &mut Option<char>) -> Vec<String> {
    let spaces = open_spaces(line, quote);
    let mut parts = Vec::new();
    let (mut start, mut indent) = (0, "");
    while indent.len() + line[start..].width() > width {
        let mut places = spaces.iter().filter(|at| **at > start && !line[start..**at].trim().is_empty()).peekable();
        let first = places.peek().copied();
        let Some(at) = places.take_while(|at| indent.len() + line[start..**at].width() <= width).last().or(first) else { break };
        parts.push(format!("{indent}{}", &line[start..*at]));
        (start, indent) = (at + 1, "    ");
    }
    parts.push(format!("{indent}{}", &line[start..]));
    parts
}

/// Where spaces stand outside quotes.
fn open_spaces(line: &str, quote: &mut Option<char>) -> Vec<usize> {
    let mut spaces = Vec::new();
    for (at, c) in line.char_indices() {
        match (*quote, c) {
            (None, ' ') => spaces.push(at),
            (None, '\'' | '"') => *quote = Some(c),
            (Some(open), c) if open == c => *quote = None,
            _ => {}
        }
    }
    spaces
}

/// Bytes of the longest start that takes at most `width` columns.
fn prefix(text: &str, width: usize) -> usize {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > width {
            return at;
        }
    }
    text.len()
}

/// At most `width` columns: what is too much goes from the middle, since names differ at their ends.
pub fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let tail_width = width.saturating_sub(1) / 2;
    let head = &text[..prefix(text, width.saturating_sub(1) - tail_width)];
    let total = text.width();
    let mut skipped = 0;
    let tail = text.char_indices().find(|(_, c)| {
        let enough = total - skipped <= tail_width;
        skipped += c.width().unwrap_or(0);
        enough
    });
    format!("{head}…{}", tail.map_or("", |(at, _)| &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\n\u{202e}c"), "a\\u{1b}[2Jb\\n\\u{202e}c");
    }

    #[test]
    fn names_are_cut_in_the_middle() {
        assert_eq!(shorten("public.orders", 40), "public.orders");
        assert_eq!(shorten("public.a_very_long_name_indeed", 11), "publi…ndeed");
        let wide = shorten("表表表表表表表表", 9);
        assert!(wide.width() <= 9, "{wide}");
    }

    #[test]
    fn lines_break_at_spaces_and_keep_their_indentation() {
        assert_eq!(wrap("  one two three", 9, 9), ["  one two", "three"]);
        assert_eq!(wrap("abcdefghijkl", 8, 8), ["abcdefgh", "ijkl"]);
    }

    #[test]
    fn sql_breaks_outside_quotes_only() {
        let parts = wrap_sql("COMMENT ON TABLE t IS 'a b c d e f'", 14, &mut None);
        assert_eq!(parts, ["COMMENT ON", "    TABLE t IS", "    'a b c d e f'"]);
        let mut quote = None;
        assert_eq!(wrap_sql("SELECT 'it is", 8, &mut quote), ["SELECT", "    'it is"]);
        assert_eq!((wrap_sql("not over' yet", 8, &mut quote), quote), (vec!["not over'".to_owned(), "    yet".to_owned()], None));
    }
}
