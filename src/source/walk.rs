//! Every name mentioned anywhere in a parse tree, whatever the statement.
//!
//! The tree has 271 kinds of nodes. Instead of naming them, the walk is a serde serializer that keeps only what the tables below
//! name; a kind of node that a later pg_query brings is walked without a change here.

use super::name::{Class, Name};
use serde::ser::{self, Serialize};
use std::fmt;

/// A name as written, and its byte within the statement (none where the tree does not tell).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// The name as written, qualified or not.
    pub name: Name,
    /// Byte offset in the statement.
    pub at: Option<usize>,
    /// The server has to find it, so that without it the statement fails: no alias, no pseudo-type, no name within a text.
    pub sure: bool,
}

impl Mention {
    /// A name that stands in the tree as a bare string.
    pub fn bare(name: Name) -> Mention {
        Mention { name, at: None, sure: false }
    }
}

/// (node, field with a list of strings, what the list names)
const LISTS: &[(&str, &str, Class)] = &[
    ("FuncCall", "funcname", Class::Routine),
    ("CreateTrigStmt", "funcname", Class::Routine),
    ("CreateEventTrigStmt", "funcname", Class::Routine),
    ("ObjectWithArgs", "objname", Class::Routine),
    ("TypeName", "names", Class::Type),
    ("CollateClause", "collname", Class::Collation),
];

/// (node, field with one string, what it names)
const SINGLES: &[(&str, &str, Class)] = &[
    ("RoleSpec", "rolename", Class::Role),
    ("CommonTableExpr", "ctename", Class::Relation),
    ("CreateForeignTableStmt", "servername", Class::Server),
    ("CreateUserMappingStmt", "servername", Class::Server),
    ("CreateForeignServerStmt", "fdwname", Class::Wrapper),
];

/// Words that stand for a type and a sequence where a column is defined: no types.
const SERIAL: &[&str] = &["smallserial", "serial", "bigserial", "serial2", "serial4", "serial8"];

/// Names that a rule has for the rows it is about.
const ROWS: &[&str] = &["old", "new"];

/// Functions whose string argument names a sequence.
const SEQUENCE_FUNCTIONS: &[&str] = &["nextval", "currval", "setval"];

#[derive(Default)]
struct Frame {
    node: &'static str,
    field: &'static str,
    strings: Vec<(&'static str, String)>,
    location: Option<usize>,
    constant: Option<String>,
    types: Vec<String>,
    percent_type: bool,
}

#[derive(Default)]
struct Walk {
    stack: Vec<Frame>,
    found: Vec<Mention>,
    ctes: Vec<String>,
}

/// The names mentioned in `tree`. Names of common table expressions are left out.
pub fn mentions(tree: &impl Serialize) -> Vec<Mention> {
    let mut walk = Walk::default();
    // the serializer's error type has no values that this serializer makes
    let _ = tree.serialize(&mut walk);
    let Walk { mut found, ctes, .. } = walk;
    found.retain(|m| m.name.class != Class::Relation || m.name.parts.len() > 1 || !ctes.contains(&m.name.parts[0]));
    found
}

impl Walk {
    fn string(&mut self, text: &str) {
        let Some(top) = self.stack.last_mut() else { return };
        if (top.node, top.field) == ("String", "sval") {
            // a string node belongs to the field of the node above it; `Node` itself is only a wrapper
            if let Some(above) = self.stack.iter_mut().rev().skip(1).find(|f| f.node != "Node") {
                let field = above.field;
                above.strings.push((field, text.to_owned()));
                above.constant = Some(text.to_owned()).filter(|_| above.node == "AConst");
            }
        } else {
            let field = top.field;
            top.strings.push((field, text.to_owned()));
        }
    }

    fn close(&mut self) {
        let Some(frame) = self.stack.pop() else { return };
        let at = frame.location;
        let list = |field: &str| -> Vec<String> {
            frame.strings.iter().filter(|(f, s)| *f == field && !s.is_empty()).map(|(_, s)| s.clone()).collect()
        };
        let sure = self.sure(&frame);
        let mut found = Vec::new();
        for (_, field, class) in LISTS.iter().filter(|l| l.0 == frame.node) {
            found.push(Name::new(*class, list(field)));
        }
        for (_, field, class) in SINGLES.iter().filter(|l| l.0 == frame.node) {
            found.push(Name::new(*class, list(field)));
        }
        if frame.node == "RangeVar" {
            found.push(Name::new(Class::Relation, list("schemaname").into_iter().chain(list("relname"))));
        }
        if frame.node == "CommonTableExpr" {
            self.ctes.extend(list("ctename"));
            found.clear();
        }
        let written = found.len();
        let sequence =
            frame.node == "FuncCall" && list("funcname").last().is_some_and(|f| SEQUENCE_FUNCTIONS.contains(&f.as_str()));
        let cast = frame.node == "TypeCast" && frame.types.last().is_some_and(|t| t == "regclass");
        if let (true, Some(text)) = (sequence || cast, &frame.constant) {
            found.push(Name::new(Class::Relation, identifiers(text)));
        }
        if let Some(above) = self.stack.last_mut() {
            if frame.node == "TypeName" {
                above.types.extend(list("names"));
            }
            above.constant = frame.constant.or(above.constant.take());
        }
        let found = found.into_iter().enumerate().filter(|(_, name)| !name.parts.is_empty());
        self.found.extend(found.map(|(n, name)| Mention { name, at, sure: sure && n < written }));
    }

    /// Whether what the node names must be there.
    fn sure(&self, frame: &Frame) -> bool {
        let among = |field, words: &[&str]| frame.strings.iter().any(|(f, s)| *f == field && words.contains(&s.as_str()));
        match frame.node {
            // FOR UPDATE OF names an alias
            "RangeVar" => !among("relname", ROWS) && self.stack.iter().all(|f| f.node != "LockingClause"),
            // CREATE AGGREGATE (sfunc = f) has f parsed as a type
            "TypeName" => {
                let above = self.stack.iter().rev().find(|f| f.node != "Node");
                !frame.percent_type && !among("names", SERIAL) && above.is_none_or(|f| f.node != "DefElem")
            }
            "FuncCall" | "CreateTrigStmt" | "CreateEventTrigStmt" => true,
            _ => false,
        }
    }
}

/// `public."Seq"` as parts, folded as PostgreSQL folds them.
pub fn identifiers(text: &str) -> Vec<String> {
    use super::lexer::{Kind, tokens};
    let part = |t: super::lexer::Token| match t.kind {
        Kind::Word => Some(text[t.span].to_lowercase()),
        Kind::Quoted => Some(text[t.span.start + 1..t.span.end - 1].replace("\"\"", "\"")),
        _ => None,
    };
    tokens(text).filter_map(part).collect()
}

/// An error that never happens; serde wants a type for it.
#[derive(Debug)]
pub struct Never;

impl fmt::Display for Never {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot happen")
    }
}
impl std::error::Error for Never {}
impl ser::Error for Never {
    fn custom<T: fmt::Display>(_: T) -> Never {
        Never
    }
}

type Done = Result<(), Never>;

impl ser::Serializer for &mut Walk {
    type Ok = ();
    type Error = Never;
    type SerializeSeq = Self;
    type SerializeTuple = ser::Impossible<(), Never>;
    type SerializeTupleStruct = ser::Impossible<(), Never>;
    type SerializeTupleVariant = ser::Impossible<(), Never>;
    type SerializeMap = ser::Impossible<(), Never>;
    type SerializeStruct = Self;
    type SerializeStructVariant = ser::Impossible<(), Never>;

    fn serialize_str(self, text: &str) -> Done {
        self.string(text);
        Ok(())
    }
    fn serialize_i32(self, number: i32) -> Done {
        if let Some(top) = self.stack.last_mut().filter(|t| t.field == "location") {
            top.location = usize::try_from(number).ok();
        }
        Ok(())
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        value.serialize(self)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(self, _: &'static str, _: u32, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Never> {
        Ok(self)
    }
    fn serialize_struct(self, node: &'static str, _: usize) -> Result<Self, Never> {
        self.stack.push(Frame { node, ..Frame::default() });
        Ok(self)
    }

    fn serialize_none(self) -> Done {
        Ok(())
    }
    fn serialize_unit(self) -> Done {
        Ok(())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Done {
        Ok(())
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Done {
        Ok(())
    }
    fn serialize_bool(self, value: bool) -> Done {
        if let Some(top) = self.stack.last_mut().filter(|t| t.field == "pct_type") {
            top.percent_type = value;
        }
        Ok(())
    }
    fn serialize_i8(self, _: i8) -> Done {
        Ok(())
    }
    fn serialize_i16(self, _: i16) -> Done {
        Ok(())
    }
    fn serialize_i64(self, _: i64) -> Done {
        Ok(())
    }
    fn serialize_u8(self, _: u8) -> Done {
        Ok(())
    }
    fn serialize_u16(self, _: u16) -> Done {
        Ok(())
    }
    fn serialize_u32(self, _: u32) -> Done {
        Ok(())
    }
    fn serialize_u64(self, _: u64) -> Done {
        Ok(())
    }
    fn serialize_f32(self, _: f32) -> Done {
        Ok(())
    }
    fn serialize_f64(self, _: f64) -> Done {
        Ok(())
    }
    fn serialize_char(self, _: char) -> Done {
        Ok(())
    }
    fn serialize_bytes(self, _: &[u8]) -> Done {
        Ok(())
    }
    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Never> {
        Err(Never)
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Never> {
        Err(Never)
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Never> {
        Err(Never)
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Never> {
        Err(Never)
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Never> {
        Err(Never)
    }
}

impl ser::SerializeSeq for &mut Walk {
    type Ok = ();
    type Error = Never;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        value.serialize(&mut **self)
    }
    fn end(self) -> Done {
        Ok(())
    }
}

impl ser::SerializeStruct for &mut Walk {
    type Ok = ();
    type Error = Never;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, field: &'static str, value: &T) -> Done {
        if let Some(top) = self.stack.last_mut() {
            top.field = field;
        }
        value.serialize(&mut **self)
    }
    fn end(self) -> Done {
        self.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sql: &str) -> Vec<(Class, String)> {
        let tree = pg_query::parse(sql, 0).expect("parses").protobuf;
        let mut names: Vec<_> = mentions(&tree).into_iter().map(|m| (m.name.class, m.name.parts.join("."))).collect();
        names.sort();
        names.dedup();
        names
    }

    fn of(class: Class, sql: &str) -> Vec<String> {
        names(sql).into_iter().filter(|n| n.0 == class).map(|n| n.1).collect()
    }

    #[test]
    fn relations_functions_and_types_are_found_anywhere() {
        let view = "create view v as with c as (select 1) select f(a.x)::s.kind from s.a, c where exists (select from b)";
        assert_eq!(of(Class::Relation, view), ["b", "s.a", "v"]);
        assert_eq!(of(Class::Routine, view), ["f"]);
        assert_eq!(of(Class::Type, view), ["s.kind"]);
        let policy = "create policy p on t to app using (s.allowed(id) or id in (select id from m))";
        assert_eq!(of(Class::Relation, policy), ["m", "t"]);
        assert_eq!(of(Class::Role, policy), ["app"]);
        assert_eq!(of(Class::Routine, "create trigger x before insert on t execute function s.touch()"), ["s.touch"]);
    }

    #[test]
    fn sequences_of_defaults_are_relations() {
        assert_eq!(of(Class::Relation, "create table t (id int default nextval('s.\"Seq\"'::regclass))"), ["s.Seq", "t"]);
        assert_eq!(of(Class::Relation, "create table t (id int default nextval('seq'))"), ["seq", "t"]);
        assert_eq!(of(Class::Relation, "create table t (id text default 'seq')"), ["t"]);
    }
}
