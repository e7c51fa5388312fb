//! What the page and the pictures of the graph show, and what no name can make of them.

use super::graph::{StepGraph, dot, mermaid, svg};
use super::hostile_samples::{NAMES, large, nasty};
use super::html::render;
use super::markup::line;
use super::options::Options;
use super::samples::{empty, realistic};
use super::{explain, facts};

fn options() -> Options {
    Options {
        target: "app on db.internal".into(),
        server: "PostgreSQL 16.4".into(),
        schema: "schema/".into(),
        saved: Some("plans/7f3a9c1e.json".into()),
        ..Options::default()
    }
}

/// The page without its style and script, which are files of their own.
fn body(page: &str) -> &str {
    let start = page.find("<body>").expect("a body");
    &page[start..page.rfind("<script>").expect("a script")]
}

#[test]
fn a_page() {
    insta::assert_snapshot!(body(&render(&realistic(), &options())));
}

#[test]
fn nothing_to_do() {
    insta::assert_snapshot!(body(&render(&empty(), &options())));
}

#[test]
fn pictures() {
    let plan = realistic();
    let graph = StepGraph::of(&plan);
    insta::assert_snapshot!("dot", dot::render(&graph));
    insta::assert_snapshot!("mermaid", mermaid::render(&graph));
    insta::assert_snapshot!("svg", svg::file(&graph));
}

/// The tags of a text that was written for HTML or SVG; a text that is not well escaped gives others.
fn tags(markup: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for part in markup.split('<').skip(1) {
        let name: String = part.chars().take_while(|c| c.is_ascii_alphanumeric() || "/!?".contains(*c)).collect();
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found.sort();
    found
}

#[test]
fn no_name_is_markup() {
    let (plain, plan) = (render(&realistic(), &options()), nasty());
    let page =
        render(&plan, &Options { target: NAMES[2].into(), schema: NAMES[3].into(), saved: Some(NAMES[4].into()), ..options() });
    let known = tags(body(&plain));
    let strange: Vec<String> = tags(body(&page)).into_iter().filter(|t| !known.contains(t)).collect();
    assert!(strange.is_empty(), "{strange:?}");
    assert!(!body(&page).contains("onerror=\"") && !page.contains("title='owned'"));
    let graph = StepGraph::of(&plan);
    let drawn = tags(&svg::file(&StepGraph::of(&realistic())));
    assert!(tags(&svg::file(&graph)).iter().all(|t| drawn.contains(t)));
    assert!(!page.chars().any(|c| c != '\n' && super::page::steers(c)));
    for name in NAMES {
        assert!(page.contains(&line(&crate::sql::ident(name))), "{name:?}");
    }
}

#[test]
fn no_name_ends_its_label() {
    let plan = nasty();
    let graph = StepGraph::of(&plan);
    let dot = dot::render(&graph);
    let lines = dot.lines().filter(|l| l.starts_with("  s"));
    // Outside of quoted strings only our own words stand.
    for line in lines {
        let (mut outside, mut quoted, mut escaped) = (String::new(), false, false);
        for c in line.chars() {
            match c {
                '"' if !escaped => quoted = !quoted,
                c if !quoted => outside.push(c),
                _ => {}
            }
            escaped = c == '\\' && !escaped;
        }
        assert!(!quoted && !outside.contains("evil"), "{line}");
    }
    assert_eq!(dot.lines().count(), 4 + NAMES.len() + (NAMES.len() - 1) + 1);
    let mermaid = mermaid::render(&graph);
    for line in mermaid.lines().filter(|l| l.contains('"')) {
        assert_eq!(line.matches('"').count(), 2, "{line}");
        assert!(line.ends_with("\"]") && !line.contains("javascript:") && !line.contains("%%"), "{line}");
    }
}

#[test]
fn a_page_fetches_nothing() {
    let page = render(&realistic(), &options());
    assert!(page.contains("content=\"default-src 'none'; style-src 'sha256-"));
    for word in ["src=", "@import", "url(h", "fetch(", "XMLHttpRequest", "<link", "style=", "onclick", "innerHTML"] {
        assert!(!page.contains(word), "{word}");
    }
    let addresses: Vec<&str> = page.split("http").skip(1).filter(|rest| !rest.starts_with("://www.w3.org/2000/svg")).collect();
    assert_eq!(addresses.iter().filter(|rest| rest.starts_with("s://") || rest.starts_with("://")).count(), 0);
}

#[test]
fn a_thousand_steps_are_drawn_quickly() {
    let plan = large(1_000);
    let begun = std::time::Instant::now();
    let page = render(&plan, &options());
    // Half a second on a desk without optimization; the limit is for loaded machines.
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    assert_eq!(page.matches("class=\"step\"").count(), 1_000);
    assert_eq!(page.matches("data-step=\"").count(), 1_000);
}

#[test]
fn a_step_explained() {
    let plan = realistic();
    let shown = |wanted: &str| explain::render(&plan, explain::find(&plan, wanted).expect("a step"), 100, false);
    insta::assert_snapshot!("explained", shown("10"));
    insta::assert_snapshot!("explained_drop", shown("public.orders.legacy_code"));
    assert_eq!(shown("10"), shown("column public.orders.total"));
    assert_eq!(
        explain::find(&plan, "13").expect_err("12 steps").to_string(),
        "the plan has no step \"13\": its steps are 1 to 12"
    );
    assert!(explain::find(&plan, "revenue").is_err_and(|e| e.to_string().contains("9 - view public.revenue, 11 + view")));
    for step in nasty().steps() {
        let text = explain::render(&nasty(), step, 80, false);
        assert!(!text.chars().any(|c| c != '\n' && super::page::steers(c)), "{}", facts::name(&step.object));
    }
}
