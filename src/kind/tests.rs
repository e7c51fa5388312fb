//! What must hold of all kinds together.

use super::KINDS;
use std::collections::BTreeSet;

#[test]
fn every_file_of_this_folder_is_listed() {
    let helpers = [
        "mod",
        "tests",
        "analyze",
        "bounds",
        "carried",
        "constraint",
        "cost",
        "effects",
        "exchange",
        "exchange_users",
        "fill",
        "generated",
        "held",
        "like",
        "identity",
        "not_null",
        "privileges",
        "quarantine",
        "query",
        "relation",
        "rename",
        "retype",
        "row_checks",
        "rows",
        "space",
        "twin",
        "type_change",
    ];
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/kind");
    let text = std::fs::read_to_string(format!("{folder}/mod.rs")).expect("this file");
    for entry in std::fs::read_dir(folder).expect("this folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("a plain name");
        let stem = name.trim_end_matches(".rs");
        assert!(helpers.contains(&stem) || text.contains(&format!("&{stem}::KIND,")), "{name} is not in KINDS");
    }
}

#[test]
fn classes_are_unique() {
    let classes: BTreeSet<_> = KINDS.iter().map(|k| k.class).collect();
    assert_eq!(classes.len(), KINDS.len());
}
