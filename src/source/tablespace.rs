//! TABLESPACE clauses. Where data lies belongs to the server, and a shadow has no tablespaces: they come off before loading.

use super::lexer::{Kind, Token, tokens};
use pg_query::protobuf::{AlterTableType, Constraint};
use pg_query::{DeparseOptions, Node, NodeEnum};
use std::ops::Range;

/// True if the statement names a tablespace.
pub fn is_named(node: &NodeEnum) -> bool {
    !taken(&mut node.clone()).is_empty()
}

/// The tree without TABLESPACE clauses.
pub fn cleared(node: &NodeEnum) -> NodeEnum {
    let mut node = node.clone();
    taken(&mut node);
    node
}

/// The statement and its tree without TABLESPACE clauses, bytes in their places where that is possible. None when there are none.
pub fn without(sql: &str, node: &NodeEnum) -> Option<(String, NodeEnum)> {
    let mut rest = node.clone();
    let names = taken(&mut rest);
    if names.is_empty() {
        return None;
    }
    let mut text = sql.to_owned();
    for span in clauses(sql, &names) {
        text.replace_range(span.clone(), &" ".repeat(span.len()));
    }
    // a column may be called like the clause: only the tree tells
    let same = pg_query::parse(&text, 0).is_ok_and(|parsed| {
        let mut statements = parsed.protobuf.stmts.into_iter();
        statements.next().and_then(|s| s.stmt).and_then(|s| s.node).as_ref() == Some(&rest)
    });
    if !same {
        text = rest.deparse(DeparseOptions::default()).ok()?;
    }
    Some((text, rest))
}

/// Where clauses with these names may stand in the text: `[USING INDEX] TABLESPACE name`.
fn clauses(sql: &str, names: &[String]) -> Vec<Range<usize>> {
    let all: Vec<Token> = tokens(sql).filter(|t| t.kind != Kind::Comment).collect();
    let is = |t: &Token, word: &str| t.kind == Kind::Word && sql[t.span.clone()].eq_ignore_ascii_case(word);
    let mut found = Vec::new();
    for (n, pair) in all.windows(2).enumerate() {
        if is(&pair[0], "tablespace") && name(sql, &pair[1]).is_some_and(|name| names.contains(&name)) {
            let long = n >= 2 && is(&all[n - 2], "using") && is(&all[n - 1], "index");
            let from = if long { n - 2 } else { n };
            found.push(all[from].span.start..pair[1].span.end);
        }
    }
    found
}

/// The name that a token is.
fn name(sql: &str, token: &Token) -> Option<String> {
    let text = &sql[token.span.clone()];
    match token.kind {
        Kind::Word => Some(text.to_ascii_lowercase()),
        Kind::Quoted => Some(text.strip_prefix('"')?.strip_suffix('"')?.replace("\"\"", "\"")),
        _ => None,
    }
}

/// Takes the names of tablespaces out of the tree.
fn taken(node: &mut NodeEnum) -> Vec<String> {
    let mut names = Vec::new();
    take(node, &mut names);
    names.retain(|name| !name.is_empty());
    names
}

fn take(node: &mut NodeEnum, names: &mut Vec<String>) {
    match node {
        NodeEnum::CreateStmt(s) => {
            names.push(std::mem::take(&mut s.tablespacename));
            take_all(s.table_elts.iter_mut().chain(&mut s.constraints), names);
        }
        NodeEnum::ColumnDef(c) => take_all(c.constraints.iter_mut(), names),
        NodeEnum::Constraint(c) => {
            let Constraint { indexspace, .. } = c.as_mut();
            names.push(std::mem::take(indexspace));
        }
        NodeEnum::IndexStmt(s) => names.push(std::mem::take(&mut s.table_space)),
        NodeEnum::CreateTableAsStmt(s) => names.extend(s.into.as_mut().map(|i| std::mem::take(&mut i.table_space_name))),
        NodeEnum::CreateSchemaStmt(s) => take_all(s.schema_elts.iter_mut(), names),
        NodeEnum::AlterTableStmt(s) => {
            s.cmds.retain(|command| match &command.node {
                Some(NodeEnum::AlterTableCmd(c)) if c.subtype() == AlterTableType::AtSetTableSpace => {
                    names.push(c.name.clone());
                    false
                }
                _ => true,
            });
            take_all(s.cmds.iter_mut(), names);
        }
        NodeEnum::AlterTableCmd(c) => take_all(c.def.as_deref_mut().into_iter(), names),
        _ => {}
    }
}

fn take_all<'a>(nodes: impl Iterator<Item = &'a mut Node>, names: &mut Vec<String>) {
    nodes.filter_map(|n| n.node.as_mut()).for_each(|n| take(n, names));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(sql: &str) -> Option<String> {
        let tree = pg_query::parse(sql, 0).expect("parses").protobuf;
        let node = tree.stmts.into_iter().next().and_then(|s| s.stmt).and_then(|s| s.node).expect("a node");
        assert_eq!(is_named(&node), without(sql, &node).is_some());
        without(sql, &node).map(|(sql, _)| sql)
    }

    #[test]
    fn bytes_stay_in_their_places() {
        for sql in [
            "create table t (a int primary key [using index tablespace \"Fast\"], unique (a) [USING  INDEX TABLESPACE Quick]) [TABLESPACE quick]",
            "create index concurrently i on t (a) with (fillfactor = 70) [tablespace fast] where a > 0",
            "create materialized view v [tablespace fast] as select 'tablespace fast'",
            "alter table t add constraint u unique (a) [using index tablespace fast]",
            "create schema s create table t (a int) [tablespace fast]",
            "create table p partition of t for values in (1) /* tablespace fast */ [tablespace fast]",
        ] {
            let blank = sql
                .split(['[', ']'])
                .enumerate()
                .map(|(n, part)| if n % 2 == 0 { part.to_owned() } else { " ".repeat(part.len()) });
            assert_eq!(text(&sql.replace(['[', ']'], "")), Some(blank.collect()), "{sql}");
        }
    }

    #[test]
    fn names_are_not_clauses() {
        assert_eq!(text("create table t (tablespace text)"), None);
        assert_eq!(text("create table t (tablespace fast) tablespace fast").as_deref(), Some("CREATE TABLE t (tablespace fast)"));
        assert_eq!(text("alter table t add a int, set tablespace fast").as_deref(), Some("ALTER TABLE t ADD COLUMN a int"));
    }
}
