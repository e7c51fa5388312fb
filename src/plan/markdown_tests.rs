//! What the comment on a pull request says, and what nothing can make it say.

use pulldown_cmark::{Event, Options as Extensions, Parser, Tag, TagEnd};

use super::document::Plan;
use super::hostile_samples::{NAMES, large, nasty};
use super::markdown::{LONGEST, render};
use super::options::Options;
use super::page::{clean, shorten};
use super::samples::{empty, realistic};

fn options() -> Options {
    Options {
        target: "app on db.internal".into(),
        server: "PostgreSQL 16.4".into(),
        schema: "schema/".into(),
        environment: Some("production".into()),
        saved: Some("plans/7f3a9c1e.json".into()),
        ..Options::default()
    }
}

#[test]
fn a_comment_on_a_pull_request() {
    insta::assert_snapshot!(render(&realistic(), &options()));
}

#[test]
fn nothing_to_do() {
    let plan = Plan { unmanaged: realistic().unmanaged, ..empty() };
    insta::assert_snapshot!(render(&plan, &options()));
}

#[test]
fn the_marker_is_the_same_for_every_plan_of_a_target() {
    let first = |plan: &Plan| render(plan, &options()).lines().next().map(str::to_owned);
    assert_eq!(first(&realistic()).as_deref(), Some("<!-- plumb:plan production -->"));
    assert_eq!(first(&empty()), first(&realistic()));
    let marker = render(&nasty(), &Options::default()).lines().next().map(str::to_owned);
    assert_eq!(marker.as_deref(), Some("<!-- plumb:plan ________details___svg__h1_out__h1_____ -->"));
}

#[test]
fn rows_in_the_way_are_counted_and_not_shown() {
    let mut plan = realistic();
    let answer = super::Answer::Broken(3, vec!["secret".into()]);
    let answered = super::Answered { step: 10, condition: "every row of public.orders has a total".into(), answer, took: None };
    plan.observed.insert(super::ANSWERS.into(), serde_json::to_value([answered]).expect("serializes"));
    let said = "would fail: every row of";
    for text in [render(&plan, &options()), super::html::render(&plan, &options())] {
        assert!(text.contains(said) && text.contains("3 rows would be in the way") && !text.contains("secret"));
    }
}

/// What a code host makes of it: texts that are no code, codes, cells for each row, and HTML.
#[derive(Default)]
struct Read {
    texts: Vec<String>,
    codes: Vec<String>,
    rows: Vec<usize>,
    html: Vec<String>,
    links: usize,
}

fn read(markdown: &str) -> Read {
    let (mut read, mut fenced) = (Read::default(), false);
    for event in Parser::new_ext(markdown, Extensions::ENABLE_TABLES | Extensions::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => fenced = true,
            Event::End(TagEnd::CodeBlock) => fenced = false,
            Event::Text(text) if !fenced => read.texts.push(text.to_string()),
            Event::Code(text) => read.codes.push(text.to_string()),
            Event::Html(text) | Event::InlineHtml(text) => read.html.push(text.to_string()),
            Event::Start(Tag::TableRow | Tag::TableHead) => read.rows.push(0),
            Event::Start(Tag::TableCell) => *read.rows.last_mut().expect("a row") += 1,
            Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::Strikethrough) => read.links += 1,
            _ => {}
        }
    }
    read
}

#[test]
fn names_stay_text() {
    let plan = nasty();
    let options =
        Options { target: NAMES[7].into(), schema: NAMES[8].into(), saved: Some(NAMES[1].into()), ..Options::default() };
    for plan in [plan.clone(), Plan { groups: Vec::new(), ..plan }] {
        let markdown = render(&plan, &options);
        let read = read(&markdown);
        for text in &read.texts {
            assert!(!text.contains(['@', '#', '<', '|']) && !text.contains("evil."), "{text:?} stands outside of code");
        }
        assert_eq!(read.links, 0);
        let own = |html: &str| {
            let known = ["<details>", "</details>", "<summary>", "</summary>", "<code>", "</code>", "<sub>", "</sub>", "<br>"];
            let bare = known.iter().fold(html.to_owned(), |all, tag| all.replace(tag, ""));
            html.starts_with("<!-- plumb:plan ") || !bare.contains(['<', '>'])
        };
        let strange: Vec<&String> = read.html.iter().filter(|h| !own(h)).collect();
        assert!(strange.is_empty(), "{strange:?}");
        assert!(!markdown.chars().any(|c| c != '\n' && super::page::steers(c)));
        if plan.is_empty() {
            continue;
        }
        assert_eq!(read.rows.len(), NAMES.len() + 1);
        assert!(read.rows.iter().all(|cells| *cells == read.rows[0]), "{:?}", read.rows);
        for step in plan.steps() {
            let name = shorten(&clean(&super::facts::name(&step.object)), 80);
            assert!(read.codes.contains(&name), "{name:?} is not in {:?}", read.codes);
        }
    }
}

#[test]
fn a_large_plan_fits_and_says_what_is_left_out() {
    let plan = large(2_000);
    let markdown = render(&plan, &options());
    assert!(markdown.len() <= LONGEST && markdown.len() > LONGEST * 9 / 10, "{} bytes", markdown.len());
    let said = markdown.lines().find(|l| l.starts_with("**Not all of the plan is here**")).expect("what is left out");
    assert!(said.contains("rows") && said.contains("definitions") && said.contains("the SQL"), "{said}");
    let read = read(&markdown);
    // Each step that loses something is named, and has its row.
    for step in plan.steps().filter(|s| !s.hazards.is_empty()) {
        let name = super::facts::name(&step.object);
        assert!(read.codes.iter().filter(|c| **c == name).count() >= 2, "{name}");
    }
    assert!(markdown.trim_end().lines().next_back().is_some_and(|l| l.contains(&plan.id)));
    assert!(markdown.contains("plumb apply plans/7f3a9c1e.json --env production --allow loses-rows"));
    assert_eq!(markdown.matches("<details>").count(), markdown.matches("</details>").count());
}

#[test]
fn no_plan_is_too_long() {
    let long = "\u{1f980}|`@x ".repeat(20_000);
    let mut plan = large(3_000);
    plan.warnings = vec![long.clone(); 40];
    plan.plumb = long.clone();
    for step in plan.groups.iter_mut().flat_map(|g| &mut g.steps) {
        step.hazards = vec![crate::hazard::Hazard {
            code: format!("code-{}", step.id),
            message: long[..60].into(),
            level: crate::hazard::Level::Refused,
            at: None,
            ignored: None,
        }];
    }
    let options = Options { target: long.clone(), saved: Some(long.clone()), environment: Some(long), ..options() };
    let markdown = render(&plan, &options);
    assert!(markdown.len() <= LONGEST, "{} bytes", markdown.len());
}
