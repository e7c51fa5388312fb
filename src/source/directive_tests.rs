use super::super::policy::Policy;
use super::super::read::read;
use super::*;

fn all(sql: &str) -> Vec<(String, Vec<String>)> {
    let statements = read(&Files::text("a.sql", sql), &Policy::default()).unwrap_or_else(|p| panic!("{p}"));
    let name = |n: &Name| n.parts.join(".");
    let shown = |d: &Directive| (d.word().to_owned(), d.names.iter().map(name).collect());
    statements.iter().flat_map(|s| &s.directives).map(shown).collect()
}

fn wrong(sql: &str) -> Vec<(usize, String, String)> {
    let files = Files::text("a.sql", sql);
    let problems = read(&files, &Policy::default()).expect_err("is refused");
    let line = |p: &Problem| files.line_column(p.place.as_ref().expect("a place")).0;
    assert!(problems.list.iter().all(|p| p.code == "source::directive"), "{problems}");
    problems.list.iter().map(|p| (line(p), p.message.clone(), p.help.clone().unwrap_or_default())).collect()
}

fn one(order: &str) -> Order {
    let sql = format!("-- plumb: {order}\ncreate table t (a int);");
    let statements = read(&Files::text("a.sql", &sql), &Policy::default()).unwrap_or_else(|p| panic!("{p}"));
    statements[0].directives[0].order.clone()
}

#[test]
fn a_directive_is_about_what_it_stands_above() {
    let sql = "create table s.a ();\n\
               -- of the time before\n--  plumb:  renamed from old\n\n-- The table.\ncreate table s.t (\n    a int,\n    \
               -- plumb: using b::int4(1, 2)\n    -- and a word\n    b numeric(1, 2) check (b in (1, 2)),\n    \
               --plumb: ignore char-length: it is (so)\n    constraint c check (b > 1)\n);\n\
               alter table s.t\n    -- plumb: backfill 'x; y'\n    add column if not exists d text, add column e text;";
    let of = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        all(sql),
        [
            ("renamed from".to_owned(), of(&["s.t", "s.t.a", "s.t.b", "s.t.c"])),
            ("using".to_owned(), of(&["s.t.b"])),
            ("ignore".to_owned(), of(&["s.t.c"])),
            ("backfill".to_owned(), of(&["s.t.d"])),
        ]
    );
}

#[test]
fn what_is_said_is_read() {
    let ignore = |code: &str, until: Option<&str>, reason: &str| {
        Order::Ignore(Ignore { code: code.to_owned(), until: until.map(str::to_owned), reason: reason.to_owned() })
    };
    assert_eq!(one("ignore serial: older: than 10"), ignore("serial", None, "older: than 10"));
    assert_eq!(one("ignore loses-rows until 2027-01-31:  gone\t"), ignore("loses-rows", Some("2027-01-31"), "gone"));
    assert_eq!(one("renamed from \"Old; -- \"\"name\""), Order::RenamedFrom("\"Old; -- \"\"name\"".to_owned()));
    assert_eq!((one("data"), one("data exact")), (Order::Data { exact: false }, Order::Data { exact: true }));
}

#[test]
fn a_last_day_is_the_last() {
    let Order::Ignore(ignore) = one("ignore x until 2027-01-31: y") else { panic!("ignores") };
    assert_eq!((ignore.is_over("2027-01-31"), ignore.is_over("2027-02-01")), (false, true));
}

#[test]
fn what_is_not_understood_is_an_error_at_its_line() {
    let found = |order: &str| {
        let mut list = wrong(&format!("select 1;\n-- plumb: {order}\ncreate table t ();"));
        assert_eq!((list.len(), list[0].0), (1, 2));
        let (_, message, help) = list.remove(0);
        (message, help)
    };
    assert_eq!(found("ignroe x: y").1, "did you mean -- plumb: ignore RULE: REASON, or ignore HAZARD until 2027-01-31: REASON?");
    assert_eq!(found("renamed form x").1, "did you mean -- plumb: renamed from OLD_NAME?");
    assert_eq!(found("used x").0, "unknown directive \"used\"");
    assert_eq!(found("zzz").1, "there are: ignore, renamed from, using, backfill, exchange, assert, data");
    for (order, message) in [
        ("", "the directive says nothing"),
        ("ignore", "what to ignore is missing"),
        ("ignore serial", "a reason is missing"),
        ("ignore serial:  ", "a reason is missing"),
        ("ignore serial, char: both", "\"char\" after serial, is not understood"),
        ("ignore serial until: x", "the day is missing"),
        ("ignore serial until 2027-02-30: x", "\"2027-02-30\" is no day"),
        ("renamed from", "the old name is missing"),
        ("data all", "\"all\" says nothing about rows"),
    ] {
        assert_eq!(found(order).0, message);
    }
}

#[test]
fn what_stands_above_nothing_is_an_error() {
    let lines = |sql: &str| wrong(sql).into_iter().map(|(line, ..)| line).collect::<Vec<_>>();
    assert_eq!(lines("create table t (); -- plumb: data\ncreate table u ();"), [1]);
    assert_eq!(lines("create table t (\n  a int, -- plumb: using a\n  b int\n);"), [2]);
    assert_eq!(lines("create table t ();\n-- plumb: data\n"), [2]);
    assert_eq!(lines("create table t (a int)\n-- plumb: data\n;\ncreate table u ();"), [2]);
    assert_eq!(lines("-- plumb: data\nset search_path = a;\ncreate table t ();"), [1]);
    assert_eq!(lines("-- plumb: data\ncreate index on t (a);"), [1]);
    assert_eq!(lines("create view v as select\n-- plumb: data\n1;"), [2]);
    assert_eq!(lines("create table t (a int,\n-- plumb: data\nprimary key (a));"), [2]);
}

#[test]
fn only_comments_hold_directives() {
    let sql = "create function f() returns text language sql as $$\n-- plumb: nothing\nselect 'a' $$;\n\
               comment on function f() is '\n-- plumb: nothing\n';\n/* plumb: nothing */\ncreate table t ();\n\
               copy t from stdin;\n-- plumb: nothing\n\\.\n";
    let files = Files::text("a.sql", sql);
    let statements = read(&files, &Policy { run_data: true, ..Policy::default() });
    match statements {
        Ok(statements) => assert!(statements.iter().all(|s| s.directives.is_empty())),
        Err(problems) => assert!(problems.list.iter().all(|p| p.code != "source::directive"), "{problems}"),
    }
}
