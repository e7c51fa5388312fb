//! What a query calls: the routines, types and operators that somebody else than the server may have made.

use serde_json::Value;
use std::collections::BTreeSet;

/// The names that decide what running a query may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Routines of `pg_catalog`, or with no schema written.
    pub routines: BTreeSet<String>,
    /// Types that something is cast to, as their parts.
    pub types: BTreeSet<Vec<String>>,
    /// Whether a routine or an operator of another schema is called.
    pub foreign: bool,
}

/// Reads a query; none when it does not parse.
pub fn calls(query: &str) -> Option<Calls> {
    let tree = serde_json::to_value(&pg_query::parse(query, 0).ok()?.protobuf).ok()?;
    let mut calls = Calls::default();
    calls.walk(&tree);
    Some(calls)
}

/// The parts of a name in a node's field.
fn parts(node: &Value, field: &str) -> Vec<String> {
    let items = node.get(field).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|i| i.pointer("/node/String/sval")?.as_str().map(str::to_owned)).collect()
}

impl Calls {
    /// The name, where it is the server's own.
    fn own(&mut self, mut name: Vec<String>) -> Option<String> {
        let last = name.pop();
        let own = name.is_empty() || name == ["pg_catalog"];
        self.foreign |= !own;
        last.filter(|_| own)
    }

    fn walk(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|i| self.walk(i)),
            Value::Object(map) => {
                if map.contains_key("funcname") {
                    let name = self.own(parts(value, "funcname"));
                    self.routines.extend(name);
                }
                if map.contains_key("type_oid") {
                    self.types.insert(parts(value, "names"));
                }
                if map.contains_key("lexpr") {
                    self.own(parts(value, "name"));
                }
                // x = ANY (SELECT ...) names its operator too
                if map.contains_key("oper_name") {
                    self.own(parts(value, "oper_name"));
                }
                map.values().for_each(|v| self.walk(v));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_tells_what_it_calls() {
        let found = calls("SELECT count(*) FROM s.t WHERE NOT (pg_catalog.lower(a) <> 'x'::text AND b::s.\"E\" = 1)").unwrap();
        assert_eq!(found.routines, ["count", "lower"].map(str::to_owned).into());
        let types = [vec!["text".to_owned()], vec!["s".to_owned(), "E".to_owned()]];
        assert_eq!((found.types, found.foreign), (types.into(), false));
        assert!(calls("SELECT s.f(1)").unwrap().foreign);
        assert!(calls("SELECT 1 OPERATOR(s.+) 1").unwrap().foreign);
        assert!(!calls("SELECT 1 OPERATOR(pg_catalog.+) 1").unwrap().foreign);
        assert_eq!(calls("SELECT FROM t"), Some(Calls::default()));
        assert_eq!(calls("SELECT ("), None);
    }
}
