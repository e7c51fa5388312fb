//! A statement as the log has it: without its constants. The function in the database cuts it as a scanner does; here PostgreSQL's own scanner
//! and parser look whether it did, and on what rights were given.

use pg_query::protobuf::{GrantStmt, GrantTargetType, Node, ObjectType, Token};
use pg_query::{NodeEnum, NodeRef};

use crate::catalog::Id;

/// What stands in the place of a string, and of a number.
const IN_PLACE: (&str, &str) = ("'***'", "0");

/// The statement, if no constant and no comment is left in it.
pub fn redacted(query: String) -> Option<String> {
    let scanned = pg_query::scan(&query).ok()?;
    let text = |from: i32, to: i32| query.get(usize::try_from(from).ok()?..usize::try_from(to).ok()?);
    let is_open = scanned.tokens.iter().any(|token| {
        let text = text(token.start, token.end);
        match token.token() {
            Token::Sconst => text != Some(IN_PLACE.0),
            Token::Iconst => text != Some(IN_PLACE.1),
            Token::Usconst | Token::Bconst | Token::Xconst | Token::Fconst | Token::SqlComment | Token::CComment => true,
            _ => false,
        }
    });
    (!is_open).then_some(query)
}

/// On what a GRANT or REVOKE is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name, with its schema where that was said.
    name: Vec<String>,
    /// Whether it is all of the schema of this name.
    whole: bool,
    /// Whether it is something that schemas have in them.
    in_schema: bool,
}

impl Target {
    /// Whether this is the object, or what it is a part of.
    pub fn is(&self, object: &Id) -> bool {
        match (object.name(), self.name.as_slice()) {
            ([schema, _, ..], [of]) if self.whole => schema == of,
            ([only], [named]) => only == named,
            ([schema, base, ..], [of, named]) => schema == of && base == named,
            ([_, base, ..], [named]) => base == named && self.in_schema,
            _ => false,
        }
    }
}

/// On what the rights are that a statement gives or takes; nothing where it cannot be parsed, as when it was cut.
pub fn targets(query: &str) -> Vec<Target> {
    let Ok(parsed) = pg_query::parse(query, 0) else { return Vec::new() };
    let nodes = parsed.protobuf.nodes();
    let grants = nodes.into_iter().filter_map(|(node, ..)| if let NodeRef::GrantStmt(grant) = node { Some(grant) } else { None });
    grants.flat_map(of_grant).collect()
}

fn of_grant(grant: &GrantStmt) -> impl Iterator<Item = Target> {
    let whole = grant.targtype() == GrantTargetType::AclTargetAllInSchema;
    let in_schema =
        ![ObjectType::ObjectSchema, ObjectType::ObjectDatabase, ObjectType::ObjectLanguage].contains(&grant.objtype());
    grant.objects.iter().filter_map(parts).map(move |name| Target { name, whole, in_schema })
}

/// The parts of a name.
fn parts(node: &Node) -> Option<Vec<String>> {
    match node.node.as_ref()? {
        NodeEnum::RangeVar(relation) => {
            let all = [&relation.schemaname, &relation.relname];
            Some(all.into_iter().filter(|part| !part.is_empty()).cloned().collect())
        }
        NodeEnum::String(text) => Some(vec![text.sval.clone()]),
        NodeEnum::ObjectWithArgs(routine) => Some(routine.objname.iter().filter_map(parts).flatten().collect()),
        NodeEnum::TypeName(name) => Some(name.names.iter().filter_map(parts).flatten().collect()),
        NodeEnum::List(list) => Some(list.items.iter().filter_map(parts).flatten().collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_constant_left_is_not_shown() {
        for open in [
            "ALTER ROLE r PASSWORD 'x'",
            "SELECT 17",
            "SELECT 0 -- x",
            "SELECT /* x */ 0",
            "SELECT b'1'",
            "SELECT $$x$$",
            "SELECT 'x",
            "SELECT 1.5",
        ] {
            assert_eq!(redacted(open.to_owned()), None, "{open}");
        }
        for fine in
            ["ALTER TABLE \"Sélect\" ADD a varchar(0) DEFAULT '***'", "CREATE TABLE t ( a int ...", "GRANT SELECT ON t TO r"]
        {
            assert_eq!(redacted(fine.to_owned()).as_deref(), Some(fine));
        }
    }

    #[test]
    fn rights_are_given_on_what_is_named() {
        let table = Id::new("table", ["s", "t"]);
        let column = Id::new("column", ["s", "t", "c"]);
        for (query, about) in [
            ("GRANT SELECT ON s.t TO r", true),
            ("COMMENT ON TABLE x IS '***'; REVOKE ALL ON t, u FROM r", true),
            ("GRANT SELECT (c) ON t TO r", true),
            ("GRANT SELECT ON ALL TABLES IN SCHEMA s TO r", true),
            ("GRANT SELECT ON ALL TABLES IN SCHEMA t TO r", false),
            ("GRANT SELECT ON other.t TO r", false),
            ("GRANT USAGE ON SCHEMA t TO r", false),
            ("GRANT SELECT ON t ...", false),
        ] {
            let is = |object| targets(query).iter().any(|target| target.is(object));
            assert_eq!((is(&table), is(&column)), (about, about), "{query}");
        }
        let is = |query, class: &'static str, name: &[&str]| {
            targets(query).iter().any(|target| target.is(&Id::new(class, name.iter().copied())))
        };
        assert!(is("GRANT USAGE ON SCHEMA s TO r", "schema", &["s"]));
        assert!(is("GRANT EXECUTE ON FUNCTION s.f(int) TO r", "function", &["s", "f"]));
        assert!(is("GRANT USAGE ON TYPE s.f TO r", "enum", &["s", "f"]));
        assert!(!is("DO '***'", "enum", &["s", "f"]));
    }
}
