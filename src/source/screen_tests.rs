//! The screen, statement by statement.

use super::*;

fn verdict(sql: &str, policy: &Policy) -> Verdict {
    let tree = pg_query::parse(sql, 0).expect("parses").protobuf;
    screen(tree.stmts[0].stmt.as_ref().and_then(|s| s.node.as_ref()).expect("a node"), policy)
}

fn refused(sql: &str) -> Option<String> {
    match verdict(sql, &Policy::default()) {
        Verdict::Refuse { what, .. } => Some(what),
        Verdict::Run(..) => None,
    }
}

#[test]
fn dangerous_statements_are_refused() {
    const REFUSED: &[(&str, &str)] = &[
        ("copy t from program 'id'", "COPY"),
        ("copy t to '/tmp/x'", "COPY"),
        ("copy t from stdin", "COPY"),
        ("alter system set x = 1", "ALTER SYSTEM"),
        ("create database x", "CREATE DATABASE"),
        ("drop database x", "DROP DATABASE"),
        ("alter database x rename to y", "ALTER DATABASE"),
        ("create tablespace x location '/x'", "CREATE TABLESPACE"),
        ("set role postgres", "SET role"),
        ("set session authorization x", "SET session_authorization"),
        ("reset role", "SET role"),
        ("set datestyle = german", "SET datestyle"),
        ("do $$ begin end $$", "DO"),
        ("do language plpython3u $$ $$", "language plpython3u"),
        ("create function f() returns int language c as 'x', 'y'", "language c"),
        ("create function f() returns int language internal as 'x'", "language internal"),
        ("create language x handler y", "language x"),
        ("load 'x'", "LOAD"),
        ("create subscription s connection 'host=evil' publication p", "CREATE SUBSCRIPTION"),
        ("import foreign schema s from server x into y", "IMPORT FOREIGN SCHEMA"),
        ("savepoint x", "transaction control"),
        ("rollback", "transaction control"),
        ("select 1 into t", "SELECT INTO"),
        ("create temp table t (a int)", "CREATE TEMPORARY TABLE"),
        ("explain analyze select 1", "EXPLAIN"),
        ("create extension dblink", "extension dblink"),
        ("create extension if not exists \"file_fdw\" schema s", "extension file_fdw"),
    ];
    for (sql, what) in REFUSED {
        assert_eq!(refused(sql).as_deref(), Some(*what), "{sql}");
    }
}

#[test]
fn what_a_schema_needs_is_admitted() {
    const ADMITTED: &[(&str, Action)] = &[
        ("create table t (a int)", Action::Define),
        ("create materialized view v as select 1", Action::Define),
        ("alter table t owner to x", Action::Owner),
        ("alter table t add a int", Action::Define),
        ("alter schema s owner to x", Action::Owner),
        // the loading role's own, never the administrator's
        ("alter function f() owner to current_user", Action::Define),
        ("alter table t owner to session_user", Action::Define),
        ("alter table t owner to x, owner to current_role", Action::Define),
        ("grant select on t to x", Action::Grant),
        ("alter default privileges for role x grant select on tables to y", Action::Grant),
        ("comment on table t is 'x'", Action::Comment),
        ("create role x", Action::Role),
        ("alter role x set search_path = a", Action::Role),
        ("insert into t values (1)", Action::Data),
        ("select setval('s', 1)", Action::Data),
        ("select pg_catalog.set_config('search_path', '', false)", Action::Setting),
        ("set search_path = a, b", Action::Setting),
        ("set statement_timeout = 0", Action::Silent),
        ("begin", Action::Silent),
        ("create extension citext", Action::Extension),
        ("create function f() returns int as '' language plpgsql", Action::Define),
    ];
    for (sql, action) in ADMITTED {
        assert_eq!(verdict(sql, &Policy::default()), Verdict::Run(*action, false), "{sql}");
    }
}

#[test]
fn the_policy_opens_doors_one_by_one() {
    let policy = Policy { allow_do: true, allow_languages: vec!["plpython3u".into()], ..Policy::default() };
    assert_eq!(verdict("do $$ begin end $$", &policy), run(Action::Define));
    assert_eq!(verdict("create function f() returns int as '' language plpython3u", &policy), superuser());
    assert!(matches!(verdict("create function f() returns int as '' language c", &policy), Verdict::Refuse { .. }));
}
