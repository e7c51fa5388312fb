//! Drift as a text file for Prometheus (its exposition format): what an alert needs, and no name of an object.

use super::acceptance::{Acceptance, one_sided};
use super::difference::{Topic, differences};
use super::document::Plan;

/// The gauges: name, what it says.
const GAUGES: &[(&str, &str)] = &[
    ("plumb_drift_differences", "Objects that differ from the wanted schema and are not accepted."),
    ("plumb_drift_accepted", "Objects that differ and are accepted for a time."),
    ("plumb_drift_stale_acceptances", "Entries of the file of accepted drift that are over or fit nothing."),
    ("plumb_drift_objects", "Objects that were compared."),
    ("plumb_drift_checked_timestamp_seconds", "When the comparison ended, in seconds since 1970."),
];

/// The file's text. `now` is in seconds since 1970.
pub fn render(plan: &Plan, acceptance: &Acceptance, objects: usize, now: u64) -> String {
    let (list, _) = differences(plan);
    let of = |topic: Topic| list.iter().filter(|d| d.topic == topic && acceptance.difference(d).is_none()).count();
    let unmanaged = one_sided(plan).filter(|u| acceptance.unmanaged(u).is_none()).count();
    let database = label(&plan.database);
    let topics = [("security", of(Topic::Security)), ("structure", of(Topic::Structure)), ("unmanaged", unmanaged)];
    let mut text = String::new();
    for (name, help) in GAUGES {
        text += &format!("# HELP {name} {help}\n# TYPE {name} gauge\n");
        let single = match *name {
            "plumb_drift_accepted" => acceptance.count() as u64,
            "plumb_drift_stale_acceptances" => acceptance.stale.len() as u64,
            "plumb_drift_objects" => objects as u64,
            "plumb_drift_checked_timestamp_seconds" => now,
            _ => {
                let row = |(topic, n): &(&str, usize)| format!("{name}{{database=\"{database}\",topic=\"{topic}\"}} {n}\n");
                text.extend(topics.iter().map(row));
                continue;
            }
        };
        text += &format!("{name}{{database=\"{database}\"}} {single}\n");
    }
    text
}

/// A label's value.
fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
