//! The page of a plan in a real browser. `make browser` installs one and runs this; without a browser it says so and passes.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::desk::{Desk, desk};

const SCHEMA: &str = r#"CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint REFERENCES users, note text);
CREATE INDEX orders_user_id_idx ON orders (user_id);
CREATE VIEW names AS SELECT u.name, o.id FROM users u JOIN orders o ON o.user_id = u.id;
CREATE TABLE "<img src=x onerror=""document.title='owned'"">" (id int);
CREATE TABLE "</script><script>document.title='owned'</script>" (id int);
COMMENT ON TABLE users IS '<svg onload="document.title=''owned''"></svg> @everyone';"#;

/// Chromium under one of its names: the one that `PLUMB_BROWSER` names has to be there.
fn browser() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("PLUMB_BROWSER") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    std::env::split_paths(&path).flat_map(|d| names.map(|n| d.join(n))).find(|p| p.is_file())
}

/// The document after the page's script has run, and what the browser wrote to its log.
fn dom(browser: &Path, d: &Desk, page: &str) -> (String, String) {
    let profile = d.place.path().join(format!("profile{}", page.len()));
    let mut command = Command::new(browser);
    let flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
                 --disable-component-update --disable-sync --enable-logging=stderr --virtual-time-budget=5000 --dump-dom";
    command.args(flags.split_whitespace()).arg(format!("--user-data-dir={}", profile.display()));
    command.arg(format!("file://{}/{page}", d.place.path().display())).stdin(Stdio::null());
    let done = command.output().unwrap_or_else(|e| panic!("{}: {e}", browser.display()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{}", text(&done.stderr));
    (text(&done.stdout), text(&done.stderr))
}

/// What stands between two texts.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let from = text.find(start).unwrap_or_else(|| panic!("no {start} in {text}"));
    text[from..].split(end).next().unwrap()
}

#[test]
fn the_page_works_in_a_browser() {
    let Some(browser) = browser() else {
        println!("skipped: no Chromium here (`make browser` installs one where it can)");
        return;
    };
    desk("browser", async |d| {
        d.place.write("schema/all.sql", SCHEMA);
        d.exits(2, "plan --db $DB --out plan.json --report plan.html");
        let plan = plumb::plan::read(&d.place.read("plan.json")).unwrap();
        let (page, log) = dom(&browser, d, "plan.html");
        assert!(!log.contains("Content Security Policy") && !log.contains("Uncaught"), "{log}");
        assert!(page.contains("<body class=\"moving\">"), "the script has not run: {log}");
        assert!(between(&page, "<aside", ">").contains("hidden"));
        // Nothing that a name says is run or becomes an element of the page.
        assert!(page.contains(&format!("<title>Plan {}</title>", plan.short_id())));
        assert!(!page.contains("<img") && page.matches("<script>").count() == 1);
        let waits = plan.steps().find(|s| !s.after.is_empty()).expect("a step that waits");
        let hostile = plan.steps().find(|s| s.object.to_string().contains("script")).expect("a hostile name");
        for step in [waits, hostile] {
            let (page, log) = dom(&browser, d, &format!("plan.html#step-{}", step.id));
            assert!(!log.contains("Uncaught"), "{log}");
            let panel = between(&page, "<aside", "</aside>");
            assert!(panel.contains(&format!("data-step=\"{}\"", step.id)), "{panel}");
            assert!(panel.contains("<dt>why</dt>") && panel.contains("<h4>SQL</h4>"), "{panel}");
            assert_eq!(panel.contains("Waits for"), !step.after.is_empty(), "{panel}");
            for (earlier, _) in &step.after {
                assert!(panel.contains(&format!("href=\"#step-{earlier}\"")), "{panel}");
            }
            let node = between(&page, &format!("data-step=\"{}\"><a", step.id), "</g>");
            assert!(page.contains(&format!("chosen\" data-step=\"{}\"", step.id)), "{node}");
        }
        // A step that is not there opens nothing.
        let (page, log) = dom(&browser, d, "plan.html#step-999");
        assert!(between(&page, "<aside", ">").contains("hidden") && !log.contains("Uncaught"), "{log}");
    });
}

#[test]
fn a_click_and_the_keys_work() {
    let Some(browser) = browser() else {
        println!("skipped: no Chromium here (`make browser` installs one where it can)");
        return;
    };
    desk("clicks", async |d| {
        d.place.write("schema/all.sql", SCHEMA);
        d.exits(2, "plan --db $DB --out plan.json --report plan.html");
        // The page's policy admits no second script, so that the copy for this test has none.
        let page = d.place.read("plan.html");
        let policy = between(&page, "<meta http-equiv", ">\n").to_owned() + ">\n";
        let acts = format!("<script>{}</script></body>", include_str!("browser.js"));
        d.place.write("acts.html", &page.replacen(&policy, "", 1).replacen("</body>", &acts, 1));
        let (page, log) = dom(&browser, d, "acts.html");
        assert!(!log.contains("Uncaught"), "{log}");
        assert_eq!(between(&page, "<title>", "</title>"), "<title>2#step-2 true2 1moved open closed zooms pans", "{log}");
    });
}
