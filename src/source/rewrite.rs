//! The few changes made to a statement before it is sent. Bytes keep their places, so that errors point into the file.

use super::lexer::{Kind, tokens};
use super::policy::Policy;
use super::read::words;
use super::tablespace;
use pg_query::protobuf::{
    AlterSeqStmt, AlterTableCmd, AlterTableStmt, AlterTableType, ConstrType, Constraint, CreateSeqStmt, CreateStmt, ObjectType,
};
use pg_query::{DeparseOptions, Node, NodeEnum};

/// The statement as it is sent: without CONCURRENTLY and TABLESPACE, and what a query fills `WITH NO DATA`.
pub fn for_loading(sql: &str, node: &NodeEnum, policy: &Policy) -> String {
    if let Some((sql, node)) = tablespace::without(sql, node) {
        return for_loading(&sql, &node, policy);
    }
    match node {
        NodeEnum::IndexStmt(s) if s.concurrent => without_word(sql, "concurrently"),
        NodeEnum::DropStmt(s) if s.concurrent => without_word(sql, "concurrently"),
        NodeEnum::AlterTableStmt(s) if s.cmds.iter().any(detaches_concurrently) => without_word(sql, "concurrently"),
        // on a line of its own, since the last one may end in a comment
        NodeEnum::CreateTableAsStmt(s) if !policy.run_data && !s.into.as_ref().is_some_and(|i| i.skip_data) => {
            format!("{}\nWITH NO DATA", without_with_data(sql))
        }
        _ => sql.to_owned(),
    }
}

fn detaches_concurrently(command: &Node) -> bool {
    let Some(NodeEnum::AlterTableCmd(c)) = &command.node else { return false };
    matches!(c.def.as_ref().and_then(|d| d.node.as_ref()), Some(NodeEnum::PartitionCmd(p)) if p.concurrent)
}

fn blank(sql: &str, span: std::ops::Range<usize>) -> String {
    let mut text = sql.to_owned();
    text.replace_range(span.clone(), &" ".repeat(span.len()));
    text
}

fn without_word(sql: &str, word: &str) -> String {
    let found = tokens(sql).find(|t| t.kind == Kind::Word && sql[t.span.clone()].eq_ignore_ascii_case(word));
    found.map_or_else(|| sql.to_owned(), |t| blank(sql, t.span))
}

/// Without `WITH DATA` at the end.
fn without_with_data(sql: &str) -> String {
    let all: Vec<_> = tokens(sql).filter(|t| t.kind != Kind::Comment).collect();
    let is = |n: usize, word: &str| all[n].kind == Kind::Word && sql[all[n].span.clone()].eq_ignore_ascii_case(word);
    match all.len() {
        n if n > 2 && is(n - 2, "with") && is(n - 1, "data") => blank(sql, all[n - 2].span.start..all[n - 1].span.end),
        _ => sql.to_owned(),
    }
}

/// A statement without what makes circles, and the statements that add it. None if there is nothing to take off.
pub fn cut(node: &NodeEnum) -> Option<(String, Vec<String>)> {
    let node = tablespace::cleared(node);
    without_foreign_keys(&node).or_else(|| without_owned_by(&node))
}

/// A CREATE SEQUENCE without OWNED BY, and the ALTER SEQUENCE that adds it: for a sequence of its table's own default.
fn without_owned_by(node: &NodeEnum) -> Option<(String, Vec<String>)> {
    let NodeEnum::CreateSeqStmt(original) = node else { return None };
    let owned_by = |n: &Node| matches!(&n.node, Some(NodeEnum::DefElem(d)) if d.defname == "owned_by");
    let (owned, options): (Vec<Node>, Vec<Node>) = original.options.iter().cloned().partition(owned_by);
    if owned.is_empty() {
        return None;
    }
    let create = NodeEnum::CreateSeqStmt(CreateSeqStmt { options, ..original.clone() });
    let alter = AlterSeqStmt { sequence: original.sequence.clone(), options: owned, ..AlterSeqStmt::default() };
    let alter = NodeEnum::AlterSeqStmt(alter).deparse(DeparseOptions::default()).ok()?;
    Some((create.deparse(DeparseOptions::default()).ok()?, vec![alter]))
}

/// A CREATE TABLE without its foreign keys, and the ALTER TABLEs that add them: for tables that refer to each other.
/// None if it has no foreign key.
fn without_foreign_keys(node: &NodeEnum) -> Option<(String, Vec<String>)> {
    let NodeEnum::CreateStmt(original) = node else { return None };
    let mut table = original.clone();
    let mut keys = Vec::new();
    table.constraints = take_keys(&table.constraints, None, &mut keys);
    table.table_elts = take_keys(&table.table_elts, None, &mut keys);
    for element in &mut table.table_elts {
        if let Some(NodeEnum::ColumnDef(column)) = &mut element.node {
            column.constraints = take_keys(&column.constraints, Some(&column.colname), &mut keys);
        }
    }
    let create = NodeEnum::CreateStmt(table.clone()).deparse(DeparseOptions::default()).ok()?;
    let alters = keys.into_iter().map(|k| add_constraint(&table, k).deparse(DeparseOptions::default()).ok());
    let alters: Vec<String> = alters.collect::<Option<_>>()?;
    (!alters.is_empty()).then_some((create, alters))
}

/// What remains of a list of constraints without its foreign keys. `DEFERRABLE` and the like stand after the key that they
/// belong to, as nodes of their own.
fn take_keys(list: &[Node], column: Option<&str>, keys: &mut Vec<Constraint>) -> Vec<Node> {
    let mut rest = Vec::new();
    let mut in_key = false;
    for node in list {
        let Some(NodeEnum::Constraint(c)) = &node.node else {
            rest.push(node.clone());
            continue;
        };
        let attribute = ATTRIBUTES.iter().find(|(kind, _)| *kind == c.contype());
        match (attribute, keys.last_mut()) {
            (Some((_, apply)), Some(key)) if in_key => apply(key),
            _ if c.contype() == ConstrType::ConstrForeign => {
                let mut key = c.as_ref().clone();
                if let (Some(column), true) = (column, words(&key.fk_attrs).is_empty()) {
                    key.fk_attrs = vec![string(column)];
                }
                keys.push(key);
                in_key = true;
            }
            _ => {
                in_key = in_key && attribute.is_some();
                rest.push(node.clone());
            }
        }
    }
    rest
}

type Apply = fn(&mut Constraint);

const ATTRIBUTES: &[(ConstrType, Apply)] = &[
    (ConstrType::ConstrAttrDeferrable, |c| c.deferrable = true),
    (ConstrType::ConstrAttrNotDeferrable, |c| c.deferrable = false),
    (ConstrType::ConstrAttrDeferred, |c| (c.deferrable, c.initdeferred) = (true, true)),
    (ConstrType::ConstrAttrImmediate, |c| c.initdeferred = false),
    (ConstrType::ConstrAttrEnforced, |c| c.is_enforced = true),
    (ConstrType::ConstrAttrNotEnforced, |c| c.is_enforced = false),
];

fn string(text: &str) -> Node {
    Node { node: Some(NodeEnum::String(pg_query::protobuf::String { sval: text.to_owned() })) }
}

fn add_constraint(table: &CreateStmt, key: Constraint) -> NodeEnum {
    let command = AlterTableCmd {
        subtype: AlterTableType::AtAddConstraint.into(),
        def: Some(Box::new(Node { node: Some(NodeEnum::Constraint(Box::new(key))) })),
        behavior: pg_query::protobuf::DropBehavior::DropRestrict.into(),
        ..AlterTableCmd::default()
    };
    NodeEnum::AlterTableStmt(AlterTableStmt {
        relation: table.relation.clone(),
        cmds: vec![Node { node: Some(NodeEnum::AlterTableCmd(Box::new(command))) }],
        objtype: ObjectType::ObjectTable.into(),
        missing_ok: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(sql: &str) -> NodeEnum {
        let mut tree = pg_query::parse(sql, 0).expect("parses").protobuf;
        tree.stmts.remove(0).stmt.and_then(|s| s.node).expect("a node")
    }

    fn loaded(sql: &str) -> String {
        for_loading(sql, &node(sql), &Policy::default())
    }

    #[test]
    fn concurrently_goes_and_bytes_stay() {
        assert_eq!(
            loaded("create index concurrently \"concurrently\" on t (a)"),
            "create index              \"concurrently\" on t (a)"
        );
    }

    #[test]
    fn queries_are_not_run() {
        assert_eq!(loaded("create materialized view v as select 1"), "create materialized view v as select 1\nWITH NO DATA");
        assert_eq!(
            loaded("create materialized view v as select 1 with data"),
            "create materialized view v as select 1          \nWITH NO DATA"
        );
        assert_eq!(
            loaded("create materialized view v as select 1 with no data"),
            "create materialized view v as select 1 with no data"
        );
    }

    #[test]
    fn foreign_keys_come_off_with_their_attributes() {
        let sql = "create table t (a int references u (id) on delete cascade deferrable initially deferred not null, b int, \
                   constraint k foreign key (b) references w not valid)";
        let (create, alters) = without_foreign_keys(&node(sql)).expect("has keys");
        assert_eq!(create, "CREATE TABLE t (a int NOT NULL, b int)");
        assert_eq!(alters.len(), 2);
        assert!(
            alters
                .iter()
                .any(|a| a.contains("FOREIGN KEY (a) REFERENCES u (id) ON DELETE CASCADE") && a.contains("INITIALLY DEFERRED"))
        );
        assert!(without_foreign_keys(&node("create table t (a int)")).is_none());
    }
}
