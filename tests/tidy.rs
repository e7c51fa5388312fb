//! The rules of the house, as tests: who may use whom, how long a file may be, and what is not written here at all.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each module at the top of `src/` may use: what stands before it on the way from a file to a plan, and nothing else.
/// Nobody uses `cli`; only `cli` turns errors into what a person reads (`diagnostic`).
const MAY_USE: &[(&str, &str)] = &[
    ("sql", ""),
    ("exit_code", ""),
    ("catalog", "sql"),
    ("report", ""),
    ("statement", "catalog sql"),
    ("kind", "statement catalog sql"),
    ("change", "kind statement catalog sql"),
    ("order", "change kind statement catalog sql"),
    ("hazard", "order change kind statement catalog sql"),
    ("body", "sql"),
    ("plan", "body hazard order change kind statement catalog report sql"),
    ("lint", "kind catalog report sql"),
    ("pg", "sql"),
    ("introspect", "pg kind catalog sql"),
    ("shadow", "pg sql"),
    ("source", "introspect shadow pg kind catalog sql"),
    ("apply", "body plan hazard order change kind statement catalog introspect pg sql"),
    // `prove` runs the plan on the copy in exactly the groups of `apply`.
    ("prove", "apply source shadow plan hazard order change kind statement catalog introspect pg sql"),
    ("drift", "prove apply source shadow plan hazard change kind catalog introspect pg sql"),
    ("tenants", "drift prove apply source shadow plan change kind catalog introspect pg sql"),
    ("fleet", "tenants drift prove apply source shadow plan change kind catalog introspect pg sql"),
    ("config", "lint report statement"),
    ("diagnostic", "config drift prove apply source shadow plan order kind catalog introspect pg sql"),
    (
        "cli",
        "diagnostic config exit_code fleet tenants drift prove apply source shadow lint plan hazard order change kind statement \
         catalog introspect pg report sql",
    ),
    ("lib", ""),
    ("main", "cli exit_code"),
];

/// How long a file of Rust may be.
const LONGEST: usize = 400;
/// Longer files, each with its reason.
const LONGER: &[(&str, &str)] = &[];

/// String literals of `src/` in which the word may stand, each with its reason.
const CASCADE_ALLOWED: &[(&str, &str, &str)] = &[
    ("src/kind/foreign_key.rs", "CASCADE", "the action of a foreign key, as the user declared it"),
    ("src/kind/quarantine.rs", "REVOKE ALL{columns} ON {word} {name} FROM {} CASCADE", "what somebody has given on goes too"),
    ("src/prove/settle.rs", "{} CASCADE", "in a scratch database, in a transaction that is rolled back"),
    ("src/source/screen.rs", "DROP OWNED", "the name of a statement that is refused"),
];

/// Package registries are reached by their ordinary clients; their hosts stand nowhere. (In two parts, so that they do not
/// stand here either.)
const HOSTS: &[(&str, &str)] = &[
    ("repo1.maven", ".org"),
    ("repo.maven", ".apache.org"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("static.crates", ".io"),
    ("index.crates", ".io"),
    ("deb.debian", ".org"),
    ("registry.npmjs", ".org"),
    ("proxy.golang", ".org"),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// All files below a folder, as paths from the root, in order.
fn files(folder: &str) -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let kind = entry.file_type().expect("a type");
            if kind.is_dir() && ![".git", ".tools", "target"].contains(&name.to_string_lossy().as_ref()) {
                walk(&path, found);
            } else if kind.is_file() && name != ".git" {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    let name = |p: &PathBuf| p.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
    let mut names: Vec<String> = found.iter().map(name).collect();
    names.sort();
    names
}

/// One file of Rust, taken apart. Everything keeps its line.
struct Source {
    path: String,
    /// Without comments, contents of strings and test items.
    code: String,
    /// String literals outside test items, with their lines.
    strings: Vec<(usize, String)>,
}

/// The files of `src/` that are not tests.
fn sources() -> Vec<Source> {
    let is_test = |path: &str| path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.contains("/tests/");
    let take = |path: String| {
        let (code, strings) = take_apart(&read(&path));
        let (code, dropped) = without_tests(&code);
        let strings = strings.into_iter().filter(|(line, _)| !dropped.contains(line)).collect();
        Source { path, code, strings }
    };
    files("src").into_iter().filter(|p| p.ends_with(".rs") && !is_test(p)).map(take).collect()
}

/// Code with comments and literals blanked, and the string literals with their lines.
fn take_apart(text: &str) -> (String, Vec<(usize, String)>) {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut strings) = (String::new(), Vec::new());
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let (mut i, mut line) = (0, 1);
    while i < chars.len() {
        let in_word = i > 0 && (at(i - 1).is_alphanumeric() || at(i - 1) == '_') && at(i - 1) != 'b';
        let raw = (at(i) == 'r' && !in_word)
            .then(|| chars[i + 1..].iter().take_while(|c| **c == '#').count())
            .filter(|hashes| at(i + 1 + hashes) == '"');
        let end = if at(i) == '/' && at(i + 1) == '/' {
            (i..chars.len()).find(|j| at(*j) == '\n').unwrap_or(chars.len())
        } else if at(i) == '/' && at(i + 1) == '*' {
            (i + 2..chars.len()).find(|j| at(*j) == '*' && at(j + 1) == '/').map_or(chars.len(), |j| j + 2)
        } else if let Some(hashes) = raw {
            let closes = |j: &usize| at(*j) == '"' && (1..=hashes).all(|h| at(j + h) == '#');
            let end = (i + 2 + hashes..chars.len()).find(closes).unwrap_or(chars.len());
            strings.push((line, chars[i + 2 + hashes..end].iter().collect()));
            end + 1 + hashes
        } else if at(i) == '"' {
            let mut j = i + 1;
            while j < chars.len() && at(j) != '"' {
                j += if at(j) == '\\' { 2 } else { 1 };
            }
            strings.push((line, chars[i + 1..j.min(chars.len())].iter().collect()));
            j + 1
        } else if at(i) == '\'' && at(i + 1) == '\\' {
            (i + 3..chars.len()).find(|j| at(*j) == '\'').map_or(chars.len(), |j| j + 1)
        } else if at(i) == '\'' && at(i + 2) == '\'' {
            i + 3
        } else {
            code.push(at(i));
            line += usize::from(at(i) == '\n');
            i += 1;
            continue;
        };
        for c in &chars[i..end.min(chars.len())] {
            line += usize::from(*c == '\n');
            code.push(if *c == '\n' { '\n' } else { ' ' });
        }
        i = end;
    }
    (code, strings)
}

/// Code without the items that only tests see, and the lines that those took.
fn without_tests(code: &str) -> (String, BTreeSet<usize>) {
    let (mut kept, mut dropped) = (code.to_owned(), BTreeSet::new());
    while let Some(start) = kept.find("#[cfg(test)]") {
        let (mut depth, mut opened) = (0, false);
        let ends = |(_, c): &(usize, char)| {
            depth += i32::from(*c == '{') - i32::from(*c == '}');
            opened |= *c == '{';
            depth == 0 && ((*c == '}' && opened) || (*c == ';' && !opened))
        };
        let end = kept[start + 12..].char_indices().find(ends).map_or(kept.len(), |(n, _)| start + 12 + n + 1);
        let line = |at: usize| kept[..at].matches('\n').count() + 1;
        dropped.extend(line(start)..=line(end));
        let blanked: String = kept[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        kept.replace_range(start..end, &blanked);
    }
    (kept, dropped)
}

/// The module at the top of `src/` that a file belongs to.
fn module(path: &str) -> &str {
    let inner = path.trim_start_matches("src/");
    inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs")
}

/// The modules that code names as `crate::x` or `plumb::x`, also in groups, with their lines.
fn used(code: &str) -> Vec<(usize, String)> {
    let name = |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for start in ["crate::", "plumb::"] {
        for (at, _) in code.match_indices(start) {
            let line = code[..at].matches('\n').count() + 1;
            let rest = &code[at + start.len()..];
            let Some(group) = rest.strip_prefix('{') else {
                found.push((line, name(rest)));
                continue;
            };
            let (mut depth, mut parts) = (0, vec![String::new()]);
            for c in group.chars() {
                match c {
                    '}' if depth == 0 => break,
                    ',' if depth == 0 => parts.push(String::new()),
                    _ => parts.last_mut().expect("one part").push(c),
                }
                depth += i32::from(c == '{') - i32::from(c == '}');
            }
            found.extend(parts.iter().map(|p| (line, name(p))));
        }
    }
    found.retain(|(_, n)| !n.is_empty());
    found
}

/// Every place in the code of `of` where one of `words` stands.
fn places(of: impl Iterator<Item = Source>, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in of {
        for (n, line) in source.code.lines().enumerate() {
            found.extend(words.iter().filter(|w| line.contains(**w)).map(|w| format!("{}:{}: {w}", source.path, n + 1)));
        }
    }
    found
}

fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn imports_point_one_way() {
    let mut wrong = Vec::new();
    for source in sources() {
        let own = module(&source.path);
        let Some((_, allowed)) = MAY_USE.iter().find(|(m, _)| *m == own) else {
            wrong.push(format!("{}: module \"{own}\" stands in no row of MAY_USE", source.path));
            continue;
        };
        for (line, other) in used(&source.code) {
            let known = MAY_USE.iter().any(|(m, _)| *m == other);
            if known && other != own && !allowed.split_whitespace().any(|a| a == other) {
                wrong.push(format!("{}:{line}: {own} must not use {other}", source.path));
            }
        }
        // `super` must not be a way around: it ends at the module's own top.
        let depth = source.path.matches('/').count() - usize::from(source.path.ends_with("/mod.rs"));
        if source.code.contains(&"super::".repeat(depth)) && !["lib", "main"].contains(&own) {
            wrong.push(format!("{}: reaches out of its module by super::", source.path));
        }
    }
    none("imports against the one direction (sql, catalog, statement, kind, change, order, hazard, plan, ...)", &wrong);
}

#[test]
fn the_table_of_imports_has_no_circle() {
    let mut done: BTreeSet<&str> = BTreeSet::new();
    while done.len() < MAY_USE.len() {
        let ready = MAY_USE.iter().filter(|(m, uses)| !done.contains(m) && uses.split_whitespace().all(|u| done.contains(u)));
        let ready: Vec<&str> = ready.map(|(m, _)| *m).collect();
        assert!(!ready.is_empty(), "a circle among the modules that are not {done:?}");
        done.extend(ready);
    }
}

#[test]
fn files_are_short() {
    let mut long = Vec::new();
    for path in ["src", "tests", "benches", "examples"].iter().flat_map(|f| files(f)).filter(|p| p.ends_with(".rs")) {
        let lines = read(&path).lines().count();
        if lines > LONGEST && !LONGER.iter().any(|(p, _)| *p == path) {
            long.push(format!("{path}: {lines} lines"));
        }
    }
    none(&format!("files of more than {LONGEST} lines: cut them by what they know"), &long);
}

#[test]
fn nothing_is_left_half_done() {
    let words = ["todo!", "unimplemented!", "dbg!", ".unwrap()"];
    none("say what cannot happen with expect(\"why\"), or return an error", &places(sources().into_iter(), &words));
}

#[test]
fn only_the_command_line_prints() {
    let others = sources().into_iter().filter(|s| !["cli", "main", "diagnostic"].contains(&module(&s.path)));
    none("a library returns what it has to say", &places(others, &["println!", "print!(", "process::exit"]));
}

#[test]
fn cascade_is_never_emitted() {
    let mut found = Vec::new();
    for source in sources() {
        for (line, text) in &source.strings {
            let allowed = CASCADE_ALLOWED.iter().any(|(path, literal, _)| *path == source.path && literal == text);
            let words = text.to_uppercase();
            if (words.contains("CASCADE") || words.contains("DROP OWNED")) && !allowed {
                found.push(format!("{}:{line}: {text:?}", source.path));
            }
        }
    }
    none("plumb drops what it names, and nothing else", &found);
}

#[test]
fn every_rule_is_listed() {
    for folder in ["src/hazard/", "src/lint/"] {
        let list = read(&format!("{folder}mod.rs"));
        let listed = |p: &String| list.contains(&format!("&{}::RULE", module(&p[folder.len()..])));
        let rules = files(folder).into_iter().filter(|p| !p.ends_with("/mod.rs") && read(p).contains("RULE: Rule") && !listed(p));
        none("rules that stand in no list", &rules.collect::<Vec<_>>());
    }
}

#[test]
fn no_registry_hosts_and_no_paths_of_one_machine() {
    let mut found = Vec::new();
    let machine = ["/wo", "rk/"].concat();
    for path in files("").into_iter().filter(|p| p != "Cargo.lock" && !p.starts_with("fixtures/")) {
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        for (n, line) in text.lines().enumerate() {
            if HOSTS.iter().any(|(a, b)| line.contains(&format!("{a}{b}"))) {
                found.push(format!("{path}:{}: a registry's host", n + 1));
            }
            if line.contains(&machine) {
                found.push(format!("{path}:{}: a path of one machine", n + 1));
            }
            if line.contains("../shared") && path.starts_with("src/") && !path.ends_with("/tests.rs") {
                found.push(format!("{path}:{}: the shared folder is for tests", n + 1));
            }
        }
    }
    none("what ties the repository to one place", &found);
}

#[test]
fn the_map_names_every_module() {
    let map = read("ARCHITECTURE.md");
    let modules: BTreeSet<String> = files("src").iter().map(|p| module(p).to_owned()).collect();
    // Tests beside their module and recorded texts are no modules of the map.
    let mapped = modules.into_iter().filter(|m| !m.ends_with("_tests") && m != "snapshots");
    let missing: Vec<String> = mapped.filter(|m| !map.contains(&format!("`{m}`"))).collect();
    none("modules that ARCHITECTURE.md does not name", &missing);
}

#[test]
fn the_changelog_is_open() {
    assert!(
        read("CHANGELOG.md").lines().any(|l| l.starts_with("## Unreleased")),
        "CHANGELOG.md has no section \"## Unreleased\""
    );
}

#[test]
fn decisions_are_numbered_without_gaps() {
    for (n, path) in files("docs/decisions").iter().enumerate() {
        let number = format!("{:04}", n + 1);
        assert!(path.starts_with(&format!("docs/decisions/{number}-")) && path.ends_with(".md"), "{path} should be {number}");
        let title = read(path).lines().next().unwrap_or_default().to_owned();
        assert!(title.starts_with(&format!("# {number}. ")), "{path} begins with \"{title}\"");
    }
}

#[test]
fn the_commands_of_the_documents_exist() {
    let makefile = read("Makefile");
    let mut missing = Vec::new();
    for path in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        let (text, mut fenced) = (read(path), false);
        for line in text.lines() {
            fenced ^= line.starts_with("```");
            // In a code span every second part is code; in a block the line is.
            let code: Vec<&str> = if fenced { vec![line] } else { line.split('`').skip(1).step_by(2).collect() };
            for command in code.iter().filter_map(|c| c.trim_start_matches("$ ").strip_prefix("make ")) {
                let target: String = command.chars().take_while(char::is_ascii_lowercase).collect();
                if !makefile.contains(&format!("\n{target}:")) {
                    missing.push(format!("{path}: make {target}"));
                }
            }
        }
    }
    none("targets that the Makefile does not have", &missing);
}

#[test]
fn the_taking_apart_is_right() {
    let (code, strings) = take_apart("let a = \"x // y\"; // z\nlet b = r#\"q \"r\"#; let c = '\"'; let d: &'a str;\n");
    assert_eq!(code.lines().next().map(str::trim_end), Some("let a =         ;"));
    assert_eq!(strings, [(1, "x // y".to_owned()), (2, "q \"r".to_owned())]);
    assert!(code.contains("&'a str"));
    let (kept, dropped) =
        without_tests("fn a() {}\n#[cfg(test)]\nmod t {\n  fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod u;\nfn d() {}");
    assert!(kept.contains("fn c") && kept.contains("fn d") && !kept.contains("fn b") && !kept.contains("mod u"), "{kept}");
    assert_eq!(dropped, BTreeSet::from([2, 3, 4, 5, 7, 8]));
    let names: Vec<String> = used("use crate::{a::{b, c}, d};\nuse crate::e::F;").into_iter().map(|(_, n)| n).collect();
    assert_eq!(names, ["a", "d", "e"]);
}
