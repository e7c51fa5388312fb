//! Workflow commands: what GitHub Actions (and Gitea, Forgejo) show beside the lines of a pull request.

use super::{Finding, Level, Report};

/// One line per finding: `::warning file=schema/users.sql,line=4,title=missing-primary-key::...`.
pub fn github(report: &Report) -> String {
    report.open().map(line).collect()
}

fn line(finding: &Finding) -> String {
    let command = if finding.level == Level::Error { "error" } else { "warning" };
    let place = match &finding.source {
        Some(source) => format!("file={},line={},", property(&source.file), source.line),
        None => String::new(),
    };
    format!("::{command} {place}title={}::{}\n", property(&finding.code), text(&finding.message))
}

/// What ends a command has to be escaped; the runner turns it back.
fn text(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(value: &str) -> String {
    text(value).replace(':', "%3A").replace(',', "%2C")
}
