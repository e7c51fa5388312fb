use super::*;

const NAME: &str = "table public.\"Sélect\"\"; --\u{1}\n<b>&]]>\"";

fn report() -> Report {
    let rule = |code: &str, level| Rule { code: code.to_owned(), meaning: format!("About {code}."), help: String::new(), level };
    let finding = |code: &str, level, line: usize, ignored: Option<&str>| Finding {
        code: code.to_owned(),
        level,
        message: format!("{NAME} is wrong, 100%"),
        object: NAME.to_owned(),
        source: (line > 0).then(|| Source { file: "schema/a, b:é.sql".to_owned(), line }),
        ignored: ignored.map(str::to_owned),
    };
    let rules = vec![rule("one", Level::Error), rule("two", Level::Warning), rule("three", Level::Off)];
    let findings = vec![
        finding("two", Level::Warning, 0, None),
        finding("two", Level::Warning, 7, Some("it has <to> be")),
        finding("one", Level::Error, 10, None),
        finding("two", Level::Warning, 9, None),
    ];
    Report::new("schema/", rules, findings)
}

#[test]
fn findings_stand_in_the_order_of_lines() {
    let lines: Vec<_> = report().findings.iter().map(|f| f.source.as_ref().map(|s| s.line)).collect();
    assert_eq!(lines, [Some(7), Some(9), Some(10), None]);
    assert_eq!((report().count(Level::Error), report().count(Level::Warning)), (1, 2));
}

#[test]
fn workflow_commands_end_where_they_should() {
    let text = github(&report());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with("::warning file=schema/a%2C b%3Aé.sql,line=9,title=two::table public."), "{text}");
    assert!(lines[1].starts_with("::error file=") && lines[2].starts_with("::warning title=two::"), "{text}");
    assert!(lines.iter().all(|l| l.contains("%0A<b>") && l.ends_with("100%25")), "{text}");
}

#[test]
fn junit_is_well_formed_and_counts() {
    let xml = junit(&report());
    assert_eq!(xml.matches("<testcase ").count(), 5, "{xml}");
    assert!(xml.contains("tests=\"5\" failures=\"1\" errors=\"0\" skipped=\"1\""), "{xml}");
    assert!(xml.contains("<skipped message=\"it has &lt;to&gt; be\"/>") && xml.contains("name=\"About three.\"/>"), "{xml}");
    assert_eq!(elements(&xml), Vec::<String>::new(), "{xml}");
    assert!(!xml.chars().any(|c| c < ' ' && c != '\n'), "{xml:?}");
}

/// The elements that are left open: a reader of XML for what is written here, that refuses everything else.
fn elements(xml: &str) -> Vec<String> {
    let mut open = Vec::new();
    let mut rest = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").expect("a head");
    while let Some(at) = rest.find('<') {
        assert!(!rest[..at].contains("]]>") && references(&rest[..at]), "{}", &rest[..at]);
        let end = end_of_tag(&rest[at..]);
        let tag = &rest[at + 1..at + end];
        match (tag.strip_prefix('/'), tag.ends_with('/')) {
            (Some(name), _) => assert_eq!(open.pop().as_deref(), Some(name)),
            (None, true) => {}
            (None, false) => open.push(tag.split(' ').next().unwrap_or_default().to_owned()),
        }
        rest = &rest[at + end + 1..];
    }
    open
}

/// Where a tag ends; a `>` or `<` in a value would be an error of ours.
fn end_of_tag(text: &str) -> usize {
    let end = text.find('>').expect("tags end");
    assert!(
        !text[1..end].contains('<') && text[..end].matches('"').count().is_multiple_of(2) && references(&text[..end]),
        "{text}"
    );
    end
}

fn references(text: &str) -> bool {
    text.split('&').skip(1).all(|r| ["amp;", "lt;", "gt;", "quot;", "#10;", "#13;", "#9;"].iter().any(|k| r.starts_with(k)))
}

#[test]
fn sarif_says_what_code_hosts_read() {
    let text = sarif(&report());
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let run = &value["runs"][0];
    assert_eq!((value["version"].as_str(), run["tool"]["driver"]["name"].as_str()), (Some("2.1.0"), Some("plumb")));
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let ids: Vec<_> = rules.iter().map(|r| r["id"].as_str().unwrap_or_default()).collect();
    assert_eq!(ids, ["one", "two", "three"]);
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), 4);
    for result in results {
        let rule = result["ruleIndex"].as_u64().and_then(|i| ids.get(i as usize).copied());
        assert_eq!(rule, result["ruleId"].as_str());
        assert!(["error", "warning"].contains(&result["level"].as_str().unwrap_or_default()));
        assert_eq!(result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"], NAME);
    }
    assert_eq!(results[0]["suppressions"][0]["justification"], "it has <to> be");
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "schema/a%2C%20b%3A%C3%A9.sql");
    assert_eq!(place["region"]["startLine"], 7);
    assert!(results[3]["locations"][0].get("physicalLocation").is_none());
}
