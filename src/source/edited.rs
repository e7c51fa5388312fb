//! A statement of a plan that was edited by hand: whether it may stand there, and what it may do to rows that a copy without rows
//! cannot show.

use pg_query::protobuf::{AlterTableType, DropBehavior, ObjectType};
use pg_query::{Node, NodeEnum};

use super::policy::Policy;
use super::read::option;
use super::screen::{Action, Verdict, screen};

/// What an edited statement may lose: the code of the hazard, and what happens.
pub type Loss = (&'static str, String);

/// What the statement may lose.
///
/// # Errors
/// Why it may not stand in a plan.
pub fn edited(sql: &str, policy: &Policy) -> Result<Option<Loss>, String> {
    let parsed = pg_query::parse(sql, 0).map_err(|e| format!("it is no SQL: {e}"))?.protobuf;
    let [only] = parsed.stmts.as_slice() else {
        return Err(format!("it has to stay one statement, and is {}", parsed.stmts.len()));
    };
    let Some(node) = only.stmt.as_ref().and_then(|s| s.node.as_ref()) else { return Err("it is empty".to_owned()) };
    let action = match screen(node, policy) {
        Verdict::Run(action, _) => action,
        Verdict::Refuse { what, why, .. } => return Err(format!("{what} is refused: {why}")),
    };
    if matches!(action, Action::Setting | Action::Silent | Action::Role) {
        return Err("settings, transactions and roles are not a plan's: `plumb apply` runs each group in its own".to_owned());
    }
    if spreads(node) {
        return Err("it may drop what it does not name".to_owned());
    }
    Ok(loss(node))
}

/// Whether a statement that nobody has edited may stand in a stored plan. What a superuser may have to run on the copy is screened too,
/// since an id does not say who made a document.
///
/// # Errors
/// Why it may not.
pub fn stored(sql: &str, policy: &Policy) -> Result<(), String> {
    // what cannot be parsed is run by no superuser
    let statements = pg_query::parse(sql, 0).map(|p| p.protobuf.stmts).unwrap_or_default();
    for node in statements.iter().filter_map(|s| s.stmt.as_ref()?.node.as_ref()) {
        let superusers = match node {
            NodeEnum::CreateFunctionStmt(_) | NodeEnum::CreateExtensionStmt(_) => match screen(node, policy) {
                Verdict::Run(_, superusers) => superusers,
                Verdict::Refuse { what, why, .. } => return Err(format!("{what} is refused: {why}")),
            },
            NodeEnum::DefineStmt(s) => s.kind() == ObjectType::ObjectAggregate && is_over_internal(&s.definition),
            _ => false,
        };
        if superusers && !policy.allow_superuser {
            return Err("only a superuser may make it: set allow_superuser = true in plumb.toml".to_owned());
        }
    }
    Ok(())
}

/// Whether the state of an aggregate is bytes that only functions of the server understand.
fn is_over_internal(definition: &[Node]) -> bool {
    let Some(NodeEnum::TypeName(state)) = option(definition, "stype").and_then(|n| n.node.as_ref()) else { return false };
    state.names.last().is_some_and(|n| matches!(&n.node, Some(NodeEnum::String(s)) if s.sval == "internal"))
}

/// Whether what rests on the dropped object goes too.
fn spreads(node: &NodeEnum) -> bool {
    let all = DropBehavior::DropCascade;
    match node {
        NodeEnum::DropStmt(s) => s.behavior() == all,
        NodeEnum::TruncateStmt(s) => s.behavior() == all,
        NodeEnum::AlterTableStmt(s) => s.cmds.iter().any(|n| command(n).is_some_and(|c| c.behavior() == all)),
        _ => false,
    }
}

fn command(node: &Node) -> Option<&pg_query::protobuf::AlterTableCmd> {
    match &node.node {
        Some(NodeEnum::AlterTableCmd(command)) => Some(command),
        _ => None,
    }
}

/// What happens to rows and is not seen where there are none.
fn loss(node: &NodeEnum) -> Option<Loss> {
    let values = |words: String| Some(("loses-values", words));
    match node {
        NodeEnum::UpdateStmt(_) => values("an edited statement overwrites values".to_owned()),
        NodeEnum::DeleteStmt(_) | NodeEnum::TruncateStmt(_) | NodeEnum::MergeStmt(_) => {
            Some(("loses-rows", "an edited statement removes rows".to_owned()))
        }
        NodeEnum::SelectStmt(_) | NodeEnum::CallStmt(_) | NodeEnum::DoStmt(_) => {
            values("an edited statement runs code that may change values".to_owned())
        }
        NodeEnum::AlterTableStmt(s) => {
            let computed = s.cmds.iter().filter_map(command).find(|c| {
                let computes = |node: &Node| matches!(&node.node, Some(NodeEnum::ColumnDef(d)) if d.raw_default.is_some());
                c.subtype() == AlterTableType::AtAlterColumnType && c.def.as_deref().is_some_and(computes)
            })?;
            values(format!("the values of column {} become what an edited expression makes of them", computed.name))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_stand_in_a_plan_is_refused() {
        const REFUSED: &[&str] = &[
            "CREATE TABL x ()",
            "CREATE TABLE a (); CREATE TABLE b ()",
            "-- nothing",
            "COMMIT",
            "SET search_path = public",
            "SET ROLE postgres",
            "CREATE ROLE x",
            "COPY t TO PROGRAM 'id'",
            "DO $$ BEGIN END $$",
            "DROP TABLE t CASCADE",
            "ALTER TABLE t DROP COLUMN c CASCADE",
            "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'x', 'y'",
        ];
        for sql in REFUSED {
            assert!(edited(sql, &Policy::default()).is_err(), "{sql}");
        }
    }

    #[test]
    fn what_a_superuser_would_run_is_screened_in_any_plan() {
        const REFUSED: &[&str] = &[
            "CREATE OR REPLACE FUNCTION f(text) RETURNS int LANGUAGE c AS 'libc', 'system'",
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE plpython3u AS 'x'",
            "CREATE OR REPLACE FUNCTION f() RETURNS bool LANGUAGE sql LEAKPROOF AS 'x'",
            "CREATE EXTENSION dblink",
            "CREATE AGGREGATE a(int) (SFUNC = f, STYPE = internal)",
            "CREATE AGGREGATE a(int) (SFUNC = f, STYPE = pg_catalog.internal)",
        ];
        const FINE: &[&str] = &[
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'x'",
            "CREATE EXTENSION citext",
            "CREATE AGGREGATE a(int) (SFUNC = f, STYPE = int)",
            "DROP TABLE t CASCADE",
        ];
        let policy = Policy::default();
        assert_eq!(REFUSED.iter().find(|sql| stored(sql, &policy).is_ok()), None);
        assert_eq!(FINE.iter().find(|sql| stored(sql, &policy).is_err()), None);
    }

    #[test]
    fn what_rows_may_lose_is_told() {
        const KNOWN: &[(&str, Option<&str>)] = &[
            ("CREATE INDEX CONCURRENTLY i ON t (a)", None),
            ("ALTER TABLE t ADD COLUMN a int DEFAULT 1", None),
            ("ALTER TABLE t ALTER COLUMN a TYPE bigint", None),
            ("ALTER TABLE t ALTER COLUMN a TYPE bigint USING 0", Some("loses-values")),
            ("UPDATE t SET a = 1", Some("loses-values")),
            ("DELETE FROM t", Some("loses-rows")),
            ("SELECT f()", Some("loses-values")),
            ("LOCK TABLE t", None),
        ];
        for (sql, code) in KNOWN {
            assert_eq!(edited(sql, &Policy::default()).map(|l| l.map(|(code, _)| code)), Ok(*code), "{sql}");
        }
    }
}
