//! What is shown of a text: the lines that are marked and those next to them, and of a long line a window around the mark.
//!
//! Lines and columns stay those of the whole text. A file of many megabytes is not copied for every error in it.

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};
use std::ops::Range;

use super::unsaid::unsaid;
use crate::plan::text::one_line;

/// Bytes of a line that are shown; more of them are cut to a window.
const WIDTH: usize = 90;

/// Bytes of a mark that are shown in a line that is cut.
const MARK: usize = 60;

/// Bytes shown on either side of a mark at least.
const MARGIN: usize = 10;

/// Stands where something was cut off.
const CUT: &str = "…";

/// A part of a text with its true lines and columns.
#[derive(Debug)]
pub struct Excerpt {
    name: String,
    text: String,
    line: usize,
    column: usize,
}

impl Excerpt {
    /// The part of `text` around the marks, and the marks in it. The first of them gives the column.
    pub fn new(path: &str, text: &str, marks: &[Range<usize>]) -> (Excerpt, Vec<Range<usize>>) {
        let marks: Vec<Range<usize>> = marks.iter().map(|span| fitting(text, span)).collect();
        let first = marks.iter().map(|m| m.start).min().unwrap_or(0);
        let last = marks.iter().map(|m| m.end).max().unwrap_or(0);
        let (begin, end) = surroundings(text, first, last);
        let mut shown = String::new();
        let mut moved = vec![0..0; marks.len()];
        let mut at = begin;
        for line in text[begin..end].split('\n') {
            let here = |m: &Range<usize>| m.start >= at && m.start <= at + line.len();
            let inside: Vec<usize> = (0..marks.len()).filter(|i| here(&marks[*i])).collect();
            let spans: Vec<Range<usize>> = inside.iter().map(|i| marks[*i].start - at..marks[*i].end - at).collect();
            if at > begin {
                shown.push('\n');
            }
            let (cut, spans) = shortened(&unsaid(line), &spans);
            for (i, span) in inside.into_iter().zip(spans) {
                moved[i] = shown.len() + span.start..shown.len() + span.end;
            }
            shown.push_str(&cut);
            at += line.len() + 1;
        }
        let start = marks.first().map_or(0, |m| m.start);
        let column = text[line_start(text, start)..start].chars().count();
        let line = text[..begin].bytes().filter(|b| *b == b'\n').count();
        (Excerpt { name: one_line(path), text: shown, line, column }, moved)
    }
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let part = self.text.as_str().read_span(span, before, after)?;
        // asked without context it is for the heading, which says where the first mark is in the whole text
        let column = if before + after == 0 { self.column } else { part.column() };
        let (line, lines) = (self.line + part.line(), part.line_count());
        Ok(Box::new(MietteSpanContents::new_named(self.name.clone(), part.data(), *part.span(), line, column, lines)))
    }
}

/// The lines of both places and those next to them, unless these are blank.
fn surroundings(text: &str, first: usize, last: usize) -> (usize, usize) {
    let (begin, end) = (line_start(text, first), line_end(text, last));
    let before = line_start(text, begin.saturating_sub(1));
    let after = line_end(text, (end + 1).min(text.len()));
    let said = |from: usize, to: usize| text.get(from..to).is_some_and(|line| !line.trim().is_empty());
    (if said(before, begin) { before } else { begin }, if said(end, after) { after } else { end })
}

fn line_start(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1)
}

fn line_end(text: &str, at: usize) -> usize {
    text.as_bytes()[at..].iter().position(|b| *b == b'\n').map_or(text.len(), |n| at + n)
}

/// The first place between characters at or after `at`.
fn boundary(text: &str, at: usize) -> usize {
    (at.min(text.len())..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

/// A span that lies inside the text, between characters, and on one line: a statement of many lines is marked by its first.
fn fitting(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = boundary(text, span.start);
    let end = boundary(text, span.end).max(start);
    let line = text[start..end].find('\n').map_or(end, |at| start + at);
    start..line
}

/// The same text, byte for byte as long, with `?` for whatever steers a terminal: spans stay where they are.
pub fn harmless(text: &str) -> String {
    let safe = |c: char| c == '\n' || c == '\t' || one_line(c.encode_utf8(&mut [0; 4])).chars().eq([c]);
    text.chars().map(|c| if safe(c) { c.to_string() } else { (if c == '\r' { " " } else { "?" }).repeat(c.len_utf8()) }).collect()
}

/// A line of which only the surroundings of its marks are left if it is long, and the marks in it.
fn shortened(line: &str, marks: &[Range<usize>]) -> (String, Vec<Range<usize>>) {
    if line.len() <= WIDTH {
        return (harmless(line), marks.to_vec());
    }
    let short: Vec<Range<usize>> = marks.iter().map(|m| m.start..boundary(line, m.end.min(m.start + MARK)).min(m.end)).collect();
    let mut kept: Vec<Range<usize>> = Vec::new();
    for window in windows(line, &short) {
        match kept.last_mut() {
            Some(before) if window.start <= before.end => before.end = before.end.max(window.end),
            _ => kept.push(window),
        }
    }
    let mut shown = String::new();
    let mut moved = short.clone();
    for window in &kept {
        shown.push_str(if window.start > 0 && shown.is_empty() { CUT } else { "" });
        let inside = short.iter().zip(&mut moved).filter(|(m, _)| m.start >= window.start && m.end <= window.end);
        inside.for_each(|(m, to)| *to = shown.len() + m.start - window.start..shown.len() + m.end - window.start);
        shown.push_str(&harmless(&line[window.clone()]));
        shown.push_str(if window.end < line.len() { CUT } else { "" });
    }
    (shown, moved)
}

/// What is shown around each mark, in the order of the line; without marks its beginning.
fn windows(line: &str, marks: &[Range<usize>]) -> Vec<Range<usize>> {
    if marks.is_empty() {
        return std::iter::once(0..boundary(line, WIDTH)).collect();
    }
    let marked: usize = marks.iter().map(Range::len).sum();
    let margin = (WIDTH.saturating_sub(marked) / (2 * marks.len())).max(MARGIN);
    let window = |m: &Range<usize>| {
        // what one side does not need is for the other
        let left = m.start.min(margin + margin.saturating_sub(line.len() - m.end));
        let right = 2 * margin - left;
        boundary(line, m.start - left)..boundary(line, m.end + right.min(line.len() - m.end))
    };
    let mut windows: Vec<Range<usize>> = marks.iter().map(window).collect();
    windows.sort_by_key(|w| w.start);
    windows
}

#[cfg(test)]
#[path = "excerpt_tests.rs"]
mod tests;
