//! Every kind has a case that makes it, one that removes it, and one per field: `fixtures/cases/covers.toml` names them.
//! `tests/cases.rs` holds each named case to what it shows, so that this test needs no server.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use support::covers::{self, Point};
use support::{Bench, Side, engine, server, tree};

fn cases() -> Vec<String> {
    let kinds = tree::folders(&tree::root("fixtures/cases"));
    let named = |kind: std::path::PathBuf| {
        let inside = tree::folders(&kind).into_iter().filter(|f| f.join("before.sql").exists());
        inside.map(move |f| format!("{}/{}", tree::name(&kind), tree::name(&f))).collect::<Vec<_>>()
    };
    kinds.into_iter().flat_map(named).collect()
}

fn list(points: impl IntoIterator<Item = Point>) -> String {
    points.into_iter().map(|(class, what)| format!("\n  {class}: {what}")).collect()
}

#[test]
fn every_field_of_every_kind_has_a_case() {
    let cases: BTreeSet<String> = cases().into_iter().collect();
    let mut named = covers::read();
    let wanted = covers::wanted();
    if std::env::var_os("PLUMB_BLESS").is_some() {
        named.retain(|point, case| wanted.contains(point) && cases.contains(case));
        search(&cases, &wanted, &mut named);
        covers::write(&named);
    }
    let missing: Vec<Point> = wanted.iter().filter(|p| !named.contains_key(*p)).cloned().collect();
    assert!(missing.is_empty(), "no case for these; write one and bless this test:{}", list(missing));
    let unknown: Vec<Point> = named.keys().filter(|p| !wanted.contains(*p)).cloned().collect();
    assert!(unknown.is_empty(), "no kind has these (any more); bless this test:{}", list(unknown));
    let gone: Vec<Point> = named.into_iter().filter(|(_, case)| !cases.contains(case)).map(|(p, _)| p).collect();
    assert!(gone.is_empty(), "the case that showed these is gone; bless this test:{}", list(gone));
}

/// Names a case for each point that has none, if there is one: best that of its own name in the kind's own folder.
fn search(cases: &BTreeSet<String>, wanted: &BTreeSet<Point>, named: &mut BTreeMap<Point, String>) {
    let open: BTreeSet<Point> = wanted.iter().filter(|p| !named.contains_key(*p)).cloned().collect();
    let filter = std::env::var("PLUMB_CASE").ok();
    let mut found: BTreeMap<Point, BTreeSet<(u8, String)>> = BTreeMap::new();
    for case in cases.iter().filter(|c| !open.is_empty() && filter.as_ref().is_none_or(|f| c.contains(f))) {
        let (folder, name) = case.split_once('/').unwrap();
        for point in show(case).into_iter().filter(|p| open.contains(p)) {
            let own = folder.trim_end_matches("_type") == point.0.replace(' ', "_").trim_end_matches("_type");
            let rank = if own && name == point.1 { 0 } else { 2 - u8::from(own) };
            found.entry(point).or_default().insert((rank, case.clone()));
        }
    }
    named.extend(found.into_iter().map(|(point, cases)| (point, cases.into_iter().next().unwrap().1)));
    server::cleanup();
}

/// What a case shows; nothing when it does not load on this server.
fn show(case: &str) -> BTreeSet<Point> {
    let folder = tree::root("fixtures/cases").join(case);
    let settings: toml::Table =
        toml::from_str(&std::fs::read_to_string(folder.join("case.toml")).unwrap_or_default()).unwrap_or_default();
    let roles: Vec<String> = settings.get("roles").and_then(|r| r.clone().try_into().ok()).unwrap_or_default();
    Bench::work(async |bench| {
        bench.roles(&roles).await;
        let load = async |file: &str| match Side::load(bench, &[&tree::text(&folder.join(file))]).await {
            Ok(Ok(side)) => Some(side),
            Ok(Err(e)) => panic!("{case}: {e}"),
            Err(e) => {
                println!("{case} is not for this server: {e}");
                None
            }
        };
        let (Some(before), Some(after)) = (load("before.sql").await, load("after.sql").await) else {
            return BTreeSet::new();
        };
        let sides = engine::sides(&before.database, before.catalog.clone(), &after.catalog).await;
        sides.map(|s| covers::shown(&s.changes())).unwrap_or_else(|e| panic!("{case}: {e}"))
    })
}
