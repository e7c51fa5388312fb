//! Every plan that was ever written can still be read, and says the same when it is written again.
#![allow(clippy::unwrap_used, missing_docs)]

use plumb::plan;

#[test]
fn old_plans_are_read() {
    let mut count = 0;
    for folder in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/plans")).unwrap() {
        let folder = folder.unwrap().path();
        let files = std::fs::read_dir(&folder).into_iter().flatten().map(|f| f.unwrap().path());
        for file in files.filter(|f| f.extension().is_some_and(|e| e == "json")) {
            let text = std::fs::read_to_string(&file).unwrap();
            let read = plan::read(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            assert!(!read.is_empty(), "{}", file.display());
            assert_eq!(plan::read(&plan::write(&read)).unwrap(), read);
            count += 1;
        }
    }
    assert!(count >= 2, "plans/ holds the plans of the example");
}

#[test]
fn a_changed_plan_is_refused() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/plans/format-0/evolve.json")).unwrap();
    let changed = text.replacen("DROP COLUMN", "DROP COLUMN IF EXISTS", 1);
    assert!(matches!(plan::read(&changed), Err(plan::PlanError::Tampered { .. })));
    let newer = text.replacen("\"format\": 0", "\"format\": 99", 1);
    assert!(matches!(plan::read(&newer), Err(plan::PlanError::Newer(99))));
}
