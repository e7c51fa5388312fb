//! The names in a SQL text: relations with their aliases, columns, routines and types, each with its place in a body.

use serde_json::Value;
use std::collections::BTreeSet;
use std::ops::Range;

use super::name;

/// A relation as a statement names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Relation {
    /// The name as written, qualified or not.
    pub parts: Vec<String>,
    /// What it is called in the statement, where it is called otherwise.
    pub alias: Option<String>,
    /// Where.
    pub at: Range<usize>,
}

/// All names of one statement or expression.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names {
    /// Relations.
    pub relations: Vec<Relation>,
    /// Columns, with what stands before them.
    pub columns: Vec<(Vec<String>, Range<usize>)>,
    /// Parts of a row: `total` of `(r).total`.
    pub fields: Vec<(String, Range<usize>)>,
    /// Routines.
    pub routines: Vec<(Vec<String>, Range<usize>)>,
    /// Types.
    pub types: Vec<(Vec<String>, Range<usize>)>,
    /// Names that the statement makes for itself: of WITH, and of tables that it creates.
    pub own: BTreeSet<String>,
}

/// Adds the names of each statement of `text`, whose first byte stands at `base` of the body. Whether it could be parsed.
pub fn collect(text: &str, base: i64, body: &str, queries: &mut Vec<Names>) -> bool {
    let Ok(tree) = pg_query::parse(text, 0) else { return false };
    let Ok(tree) = serde_json::to_value(&tree.protobuf) else { return false };
    let statements = tree.get("stmts").and_then(Value::as_array).cloned().unwrap_or_default();
    for statement in statements {
        let mut walk = Walk { base, body, names: Names::default() };
        walk.value(&statement);
        queries.push(walk.names);
    }
    true
}

/// The text of an expression that is nothing but a string.
pub fn constant(expression: &str) -> Option<String> {
    let tree = serde_json::to_value(&pg_query::parse(&format!("SELECT {expression}"), 0).ok()?.protobuf).ok()?;
    let target = tree.pointer("/stmts/0/stmt/node/SelectStmt/target_list")?.as_array()?;
    let [only] = target.as_slice() else { return None };
    Some(only.pointer("/node/ResTarget/val/node/AConst/val/Sval/sval")?.as_str()?.to_owned())
}

struct Walk<'a> {
    base: i64,
    body: &'a str,
    names: Names,
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str).filter(|t| !t.is_empty())
}

/// The strings of a list of nodes.
fn list(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|i| i.pointer("/node/String/sval")?.as_str().map(str::to_owned)).collect()
}

impl Walk<'_> {
    /// The name that stands at a node's place in the body.
    fn at(&self, node: &Value) -> Option<Range<usize>> {
        let start = usize::try_from(node.get("location")?.as_i64()? + self.base).ok()?;
        let (parts, length) = name(self.body.get(start..)?);
        (!parts.is_empty()).then(|| start..start + length)
    }

    fn relation(&mut self, node: &Value) {
        let Some(at) = self.at(node) else { return };
        let parts = [text(node, "schemaname"), text(node, "relname")].into_iter().flatten().map(str::to_owned).collect();
        let alias = node.get("alias").and_then(|a| text(a, "aliasname")).map(str::to_owned);
        self.names.relations.push(Relation { parts, alias, at });
    }

    /// Columns of the relation that a statement writes to.
    fn targets(&mut self, statement: &Value, lists: &[&str]) {
        let relation = statement.get("relation");
        let called = relation.and_then(|r| r.get("alias").and_then(|a| text(a, "aliasname")).or_else(|| text(r, "relname")));
        let Some(called) = called.map(str::to_owned) else { return };
        for target in lists.iter().filter_map(|l| statement.pointer(l)?.as_array()).flatten() {
            let Some(target) = target.pointer("/node/ResTarget") else { continue };
            if let (Some(column), Some(at)) = (text(target, "name"), self.at(target)) {
                self.names.columns.push((vec![called.clone(), column.to_owned()], at));
            }
        }
    }

    fn object(&mut self, node: &Value) {
        if node.get("relname").is_some() && node.get("schemaname").is_some() {
            self.relation(node);
        }
        let placed = |walk: &Self, parts: Vec<String>| Some((parts, walk.at(node)?));
        if node.get("funcname").is_some() {
            let found = placed(self, list(node.get("funcname")));
            self.names.routines.extend(found);
        }
        if node.get("type_oid").is_some() {
            let found = placed(self, list(node.get("names")));
            let is_column = node.get("pct_type").is_some_and(|p| p == true);
            if is_column { self.names.columns.extend(found) } else { self.names.types.extend(found) }
        }
        if node.get("fields").is_some() {
            let found = placed(self, list(node.get("fields")));
            self.names.columns.extend(found.filter(|(parts, _)| !parts.is_empty()));
        }
        if let (Some(row), fields) = (node.get("arg"), list(node.get("indirection")))
            && let Some((field, at)) = fields.first().and_then(|f| Some((f, self.field(row, f)?)))
        {
            self.names.fields.push((field.clone(), at));
        }
        self.names.own.extend(text(node, "ctename").map(str::to_owned));
    }

    /// Where a part of a row stands: the first time that its name comes after the row's.
    fn field(&self, row: &Value, field: &str) -> Option<Range<usize>> {
        let from = first_location(row).and_then(|l| usize::try_from(l + self.base).ok())?;
        let at = from + self.body.get(from..)?.find(field)?;
        Some(at..at + field.len())
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|i| self.value(i)),
            Value::Object(map) => {
                self.object(value);
                for (key, inner) in map {
                    match key.as_str() {
                        "UpdateStmt" => self.targets(inner, &["/target_list"]),
                        "InsertStmt" => self.targets(inner, &["/cols", "/on_conflict_clause/target_list"]),
                        "CreateStmt" => {
                            self.names.own.extend(inner.get("relation").and_then(|r| text(r, "relname")).map(str::to_owned))
                        }
                        "CreateTableAsStmt" => {
                            self.names.own.extend(inner.pointer("/into/rel").and_then(|r| text(r, "relname")).map(str::to_owned));
                        }
                        // FOR UPDATE OF names what FROM has named.
                        "locked_rels" => continue,
                        _ => {}
                    }
                    self.value(inner);
                }
            }
            _ => {}
        }
    }
}

fn first_location(value: &Value) -> Option<i64> {
    match value {
        Value::Object(map) => {
            let own = map.get("location").and_then(Value::as_i64);
            own.or_else(|| map.values().find_map(first_location))
        }
        Value::Array(items) => items.iter().find_map(first_location),
        _ => None,
    }
}
