//! SARIF 2.1.0, which code hosts show beside the lines of a pull request.

use serde_json::{Map, Value, json};

use super::{Finding, Level, Report, Rule, Source};

/// The report as SARIF.
///
/// # Panics
/// Never: JSON values serialize.
pub fn sarif(report: &Report) -> String {
    let results: Vec<Value> = report.findings.iter().map(|f| result(report, f)).collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "plumb",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": report.rules.iter().map(rule).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    serde_json::to_string_pretty(&document).expect("values serialize") + "\n"
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Off => "none",
    }
}

fn rule(rule: &Rule) -> Value {
    let mut value = json!({
        "id": rule.code,
        "shortDescription": { "text": rule.meaning },
        "defaultConfiguration": { "level": level(rule.level), "enabled": rule.level != Level::Off },
    });
    if !rule.help.is_empty() {
        value["help"] = json!({ "text": rule.help });
    }
    value
}

fn result(report: &Report, finding: &Finding) -> Value {
    let mut location = Map::new();
    if let Some(source) = &finding.source {
        location.insert("physicalLocation".to_owned(), physical(source));
    }
    location.insert("logicalLocations".to_owned(), json!([{ "fullyQualifiedName": finding.object }]));
    let mut value = json!({
        "ruleId": finding.code,
        "level": level(finding.level),
        "message": { "text": finding.message },
        "locations": [location],
    });
    if let Some(index) = report.rules.iter().position(|r| r.code == finding.code) {
        value["ruleIndex"] = index.into();
    }
    if let Some(reason) = &finding.ignored {
        value["suppressions"] = json!([{ "kind": "inSource", "justification": reason }]);
    }
    value
}

fn physical(source: &Source) -> Value {
    json!({ "artifactLocation": { "uri": uri(&source.file) }, "region": { "startLine": source.line } })
}

/// A path as a URI reference: relative as it is, absolute as a file's.
fn uri(path: &str) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._~/".contains(b);
    let encoded: String =
        path.as_bytes().iter().map(|b| if plain(b) { char::from(*b).to_string() } else { format!("%{b:02X}") }).collect();
    if path.starts_with('/') { format!("file://{encoded}") } else { encoded }
}
