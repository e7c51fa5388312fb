//! JUnit XML: a test case for each finding, and one for each rule that nothing was found of, so that a rule that passes is seen.
//!
//! JUnit knows no warnings: only errors fail; what a directive ignores is skipped, with its reason.

use std::fmt::Write as _;

use super::{Finding, Level, Report};

/// The report as XML.
pub fn junit(report: &Report) -> String {
    let clean = report.rules.iter().filter(|r| report.findings.iter().all(|f| f.code != r.code));
    let passed: String = clean.map(|r| format!("{}/>\n", case(&r.code, &r.meaning))).collect();
    let cases: String = report.findings.iter().map(found).collect();
    let all = report.findings.len() + passed.lines().count();
    let (failures, skipped) = (report.count(Level::Error), report.findings.len() - report.open().count());
    let counts = format!("tests=\"{all}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\"");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"plumb\" {counts}>\n  \
         <testsuite name=\"{}\" {counts}>\n{cases}{passed}  </testsuite>\n</testsuites>\n",
        attribute(&report.of)
    )
}

fn case(class: &str, name: &str) -> String {
    format!("    <testcase classname=\"{}\" name=\"{}\"", attribute(class), attribute(name))
}

fn found(finding: &Finding) -> String {
    let mut xml = case(&finding.code, &finding.object);
    if let Some(source) = &finding.source {
        let _ = write!(xml, " file=\"{}\" line=\"{}\"", attribute(&source.file), source.line);
    }
    let place = finding.source.as_ref().map_or(String::new(), |s| format!("{}:{}: ", s.file, s.line));
    let said = format!("{place}{}: {}", finding.level.word(), finding.message);
    let inner = match (&finding.ignored, finding.level) {
        (Some(reason), _) => format!("<skipped message=\"{}\"/>", attribute(reason)),
        (None, Level::Error) => {
            format!(
                "<failure type=\"{}\" message=\"{}\">{}</failure>",
                attribute(&finding.code),
                attribute(&finding.message),
                text(&said)
            )
        }
        (None, _) => format!("<system-out>{}</system-out>", text(&said)),
    };
    format!("{xml}>{inner}</testcase>\n")
}

/// Text of an element. What XML 1.0 cannot hold at all becomes U+FFFD.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(c),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A value between double quotes; blanks of any kind but the space would become spaces.
fn attribute(value: &str) -> String {
    text(value).replace('"', "&quot;").replace('\n', "&#10;").replace('\t', "&#9;")
}
