//! What the renderers write of the sample plans.

use unicode_width::UnicodeWidthStr;

use super::document::Plan;
use super::samples::{empty, hostile, realistic};
use super::{differences, sql, text};

fn options(width: usize) -> text::Options {
    text::Options {
        width,
        target: "app on db.internal".into(),
        server: "PostgreSQL 16.4".into(),
        schema: "schema/".into(),
        environment: Some("production".into()),
        saved: Some("plans/7f3a9c1e.json".into()),
        ..text::Options::default()
    }
}

fn assert_fits(shown: &str, width: usize) {
    for line in shown.lines() {
        assert!(line.width() <= width, "{} columns: {line}", line.width());
        assert!(!line.chars().any(super::page::steers), "{line:?}");
        assert_eq!(line, line.trim_end());
    }
}

fn uncoloured(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[test]
fn a_plan_for_a_terminal() {
    let shown = text::render(&realistic(), &options(100));
    assert_fits(&shown, 100);
    insta::assert_snapshot!(shown);
}

#[test]
fn a_plan_with_everything() {
    insta::assert_snapshot!(text::render(&realistic(), &text::Options { verbose: true, ..options(100) }));
}

#[test]
fn hostile_names_stay_in_their_place() {
    let shown = text::render(&hostile(), &options(100));
    assert_fits(&shown, 100);
    insta::assert_snapshot!(shown);
}

#[test]
fn nothing_to_do_is_one_line() {
    insta::assert_snapshot!(text::render(&empty(), &options(100)), @"No changes: app on db.internal equals schema/ (1,204 objects, 0.3 s).");
}

#[test]
fn nothing_to_do_hides_nothing() {
    let plan = Plan { unmanaged: realistic().unmanaged, ..empty() };
    insta::assert_snapshot!(text::render(&plan, &options(100)));
}

#[test]
fn every_width_fits() {
    for width in 40..=140 {
        for plan in [realistic(), hostile()] {
            let shown = text::render(&plan, &options(width));
            assert_fits(&shown, width.min(100));
        }
    }
}

#[test]
fn colour_changes_no_text() {
    for plan in [realistic(), hostile(), empty()] {
        let plain = text::render(&plan, &options(100));
        let colour = text::render(&plan, &text::Options { color: true, ..options(100) });
        assert_eq!(uncoloured(&colour), plain);
    }
}

#[test]
fn a_script_for_psql() {
    insta::assert_snapshot!(sql::render(&realistic(), None));
}

#[test]
fn nothing_leaves_its_comment() {
    let script = sql::render(&hostile(), None);
    insta::assert_snapshot!(script);
    assert!(!script.contains('\r'));
}

fn sides(mode: differences::Mode, width: usize) -> differences::Options {
    let (target, schema) = match mode {
        differences::Mode::Drift => ("app on db.internal", "schema/"),
        differences::Mode::Diff => ("old.json", "new.json"),
    };
    differences::Options {
        width,
        mode,
        target: target.into(),
        schema: schema.into(),
        objects: 1204,
        ..differences::Options::default()
    }
}

#[test]
fn drift_tells_security_first() {
    let shown = differences::render(&realistic(), &sides(differences::Mode::Drift, 100));
    assert_fits(&shown, 100);
    insta::assert_snapshot!(shown);
}

#[test]
fn a_diff_reads_from_first_to_second() {
    insta::assert_snapshot!(differences::render(&realistic(), &sides(differences::Mode::Diff, 100)));
}

#[test]
fn differences_as_json() {
    insta::assert_snapshot!(differences::json(&realistic(), &super::Acceptance::default()));
}

#[test]
fn no_drift_is_one_line() {
    let shown = differences::render(&empty(), &sides(differences::Mode::Drift, 100));
    assert_eq!(shown, "No drift: app on db.internal equals schema/ (1,204 objects, 0.3 s).\n");
    assert_eq!(differences::count(&empty()), 0);
}

#[test]
fn what_is_not_managed_is_drift_too() {
    let plan = Plan { unmanaged: realistic().unmanaged, ..empty() };
    assert_eq!(differences::count(&plan), 2);
    insta::assert_snapshot!(differences::render(&plan, &sides(differences::Mode::Drift, 100)));
}

#[test]
fn drift_in_colour_is_the_same_text() {
    for plan in [realistic(), hostile()] {
        let plain = differences::render(&plan, &sides(differences::Mode::Drift, 60));
        let colour = differences::Options { color: true, ..sides(differences::Mode::Drift, 60) };
        assert_eq!(uncoloured(&differences::render(&plan, &colour)), plain);
    }
}
