use super::*;

fn cut(line: &str, marks: &[&str]) -> (String, Vec<String>) {
    let spans: Vec<Range<usize>> = marks.iter().map(|m| line.find(m).map_or(0..0, |at| at..at + m.len())).collect();
    let (shown, moved) = shortened(line, &spans);
    let marked = moved.iter().map(|m| shown[m.clone()].to_owned()).collect();
    (shown, marked)
}

#[test]
fn a_short_line_is_whole() {
    assert_eq!(cut("select x", &["x"]), ("select x".to_owned(), vec!["x".to_owned()]));
}

#[test]
fn a_long_line_is_a_window_around_the_mark() {
    let far = "é".repeat(3000);
    for line in [format!("{far} mark {far}"), format!("mark {far}"), format!("{far} mark")] {
        let (shown, marked) = cut(&line, &["mark"]);
        assert_eq!(marked, ["mark"]);
        assert!(shown.contains('…') && shown.len() <= WIDTH + 10, "{shown}");
    }
    assert!(cut(&far, &[]).0.ends_with("é…"));
}

#[test]
fn every_mark_of_a_long_line_is_shown() {
    let far = "x".repeat(500);
    let (shown, marked) = cut(&format!("{far} one {far} two, three {far}"), &["three", "one", "two"]);
    assert_eq!(marked, ["three", "one", "two"]);
    assert_eq!(shown.matches('…').count(), 3, "{shown}");
    let (_, marked) = cut(&format!("a {far} b"), &[&far]);
    assert_eq!(marked, [&far[..MARK]]);
}

#[test]
fn lines_and_columns_are_those_of_the_whole_text() {
    let long = "x".repeat(300);
    let text = format!("one\n\n{long}\n{long} here\nafter\n\nlast");
    let at = text.find("here").expect("the mark");
    let (excerpt, marks) = Excerpt::new("a.sql", &text, std::slice::from_ref(&(at..at + 4)));
    let span = SourceSpan::from((marks[0].start, marks[0].len()));
    let heading = excerpt.read_span(&span, 0, 0).expect("reads");
    assert_eq!((heading.line(), heading.column()), (3, 301));
    let shown = excerpt.read_span(&span, 1, 1).expect("reads");
    assert_eq!(shown.line(), 2);
    assert!(excerpt.text.ends_with(" here\nafter") && excerpt.text.len() < 220);
}

#[test]
fn marks_outside_of_the_text_are_moved_into_it() {
    for span in [0..0, 3..9, 7..9] {
        let (excerpt, marks) = Excerpt::new("a.sql", "aé\n", std::slice::from_ref(&span));
        assert!(excerpt.text.get(marks[0].clone()).is_some(), "{span:?}");
    }
}
