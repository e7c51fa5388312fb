//! What tests of things that are put aside have in common.

use super::desk::Desk;
use super::{dump, server};

/// Everything but the ledger and what is put aside.
pub fn dumped(d: &Desk<'_>) -> Vec<String> {
    let all = dump::normalised(&dump::raw(&d.database).unwrap());
    let own = |s: &String| ["plumb.", "SCHEMA plumb", "plumb_quarantine"].iter().any(|word| s.contains(word));
    all.into_iter().filter(|s| !own(s)).collect()
}

/// The files are these from now on; what that takes is planned, proven and applied, and then nothing is left to do. The plan, as text
/// and in proven.json, and as its kinds declare it in unproven.json.
pub async fn becomes(d: &Desk<'_>, after: &str, options: &str) -> String {
    d.place.write("schema/all.sql", after);
    d.exits(2, &format!("plan --db $DB --protect quarantine --no-prove --out unproven.json{options}"));
    let plan = d.exits(2, &format!("plan --db $DB --protect quarantine --out proven.json{options}")).stdout;
    assert!(plan.contains("Proven on a copy"), "{plan}");
    d.exits(0, "apply proven.json --db $DB");
    let again = d.exits(0, "plan --db $DB --protect quarantine").stdout;
    assert!(again.contains("No changes") && again.contains("Put aside before"), "{again}");
    plan
}

/// The locks of each step of a plan.
pub fn locks(d: &Desk<'_>, file: &str) -> Vec<String> {
    let plan: serde_json::Value = serde_json::from_str(&d.place.read(file)).unwrap();
    let groups = plan["groups"].as_array().unwrap();
    let steps = groups.iter().flat_map(|g| g["steps"].as_array().unwrap());
    steps.map(|s| format!("{} {} {}", s["object"], s["locks"], s["scans"])).collect()
}

/// The role has no right to it.
pub async fn fails_as(d: &Desk<'_>, role: &str, sql: &str) {
    d.sql(&format!("SET ROLE {role}")).await;
    let error = d.session.client.batch_execute(sql).await.expect_err(sql);
    d.sql("RESET ROLE").await;
    assert!(server::message(&error).contains("permission denied"), "{sql}: {}", server::message(&error));
}
