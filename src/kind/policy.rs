//! Row-level security policies: `pg_policy`. Whether a table enforces them is a field of the table.

use serde::Deserialize;

use super::{BASE, Context, Cost, Kind, Query, Renaming, expression, field, on_table, reads_as};
use crate::catalog::Object;
use crate::sql::ident;
use crate::statement::{Effect, LockMode, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    /// `*`, `r`, `a`, `w` or `d`.
    command: String,
    #[serde(default)]
    restrictive: bool,
    /// Role names; empty for PUBLIC.
    #[serde(default)]
    roles: Vec<String>,
    using: Option<String>,
    check: Option<String>,
}

impl Policy {
    fn roles(&self) -> String {
        if self.roles.is_empty() { "PUBLIC".to_owned() } else { crate::sql::idents(&self.roles) }
    }
}

fn create(object: &Object) -> Statement {
    let p: Policy = object.read();
    let table = object.id.table_sql();
    let command = match p.command.as_str() {
        "r" => " FOR SELECT",
        "a" => " FOR INSERT",
        "w" => " FOR UPDATE",
        "d" => " FOR DELETE",
        _ => "",
    };
    let restrictive = if p.restrictive { " AS RESTRICTIVE" } else { "" };
    let to = if p.roles.is_empty() { String::new() } else { format!(" TO {}", p.roles()) };
    let using = p.using.as_ref().map_or(String::new(), |e| format!(" USING ({e})"));
    let check = p.check.as_ref().map_or(String::new(), |e| format!(" WITH CHECK ({e})"));
    let sql = format!("CREATE POLICY {} ON {table}{restrictive}{command}{to}{using}{check}", ident(object.id.base()));
    Statement::new(sql).lock(table, LockMode::AccessExclusive)
}

fn alter(new: &Object, changed: &[String]) -> Statement {
    let p: Policy = new.read();
    let table = new.id.table_sql();
    let has = |f: &str| changed.iter().any(|c| c == f);
    let mut sql = format!("ALTER POLICY {} ON {table}", ident(new.id.base()));
    if has("roles") {
        sql += &format!(" TO {}", p.roles());
    }
    if has("using") {
        sql += &p.using.as_ref().map_or(String::new(), |e| format!(" USING ({e})"));
    }
    if has("check") {
        sql += &p.check.as_ref().map_or(String::new(), |e| format!(" WITH CHECK ({e})"));
    }
    Statement::new(sql).lock(table, LockMode::AccessExclusive)
}

/// ALTER POLICY can change an expression and cannot take one away.
fn keeps_expressions(old: &Object, new: &Object) -> bool {
    ["using", "check"].iter().all(|f| !old.definition.contains_key(*f) || new.definition.contains_key(*f))
}

/// Whether a change lets more rows through, or fewer; both when nobody can tell.
struct Turn {
    looser: bool,
    tighter: bool,
}

/// From one expression to another; none lets everything through. The server writes a term that was added to all of the old
/// expression with AND or OR between them, and all of it in brackets.
fn turn(old: Option<&str>, new: Option<&str>) -> Turn {
    let with = |whole: &str, part: &str, word: &str| {
        whole.starts_with(&format!("({part} {word} ")) || whole.ends_with(&format!(" {word} {part})"))
    };
    let (looser, tighter) = match (old, new) {
        (a, b) if a == b => (false, false),
        (_, None | Some("true")) => (true, false),
        (None | Some("true"), _) => (false, true),
        (Some(a), Some(b)) if with(b, a, "OR") || with(a, b, "AND") => (true, false),
        (Some(a), Some(b)) if with(b, a, "AND") || with(a, b, "OR") => (false, true),
        _ => (true, true),
    };
    Turn { looser, tighter }
}

/// From one list of roles to another; an empty one is everybody.
fn roles_turn(old: &[String], new: &[String]) -> Turn {
    let within = |a: &[String], b: &[String]| b.is_empty() || !a.is_empty() && a.iter().all(|r| b.contains(r));
    Turn { looser: !within(new, old), tighter: !within(old, new) }
}

/// What a change means for who sees rows, where the table has its policies enforced before and after.
fn effects(context: &Context, old: Option<&Object>, new: Option<&Object>) -> Vec<Effect> {
    let Some(id) = old.or(new).map(|o| &o.id) else { return Vec::new() };
    let Some(table) = old.or(new).and_then(|o| o.parent.as_ref()) else { return Vec::new() };
    let enforced = [context.live, context.desired].iter().all(|c| c.get(table).is_some_and(|t| t.flag("row_security")));
    if !enforced {
        return Vec::new();
    }
    let restricts = |o: &Object| o.flag("restrictive");
    let gives = |words: &str| Effect::GivesRights(format!("{id} {words}"));
    let takes = |words: &str| Effect::TakesRights(format!("{id} {words}"));
    match (old, new) {
        (None, Some(new)) if restricts(new) => vec![takes("comes, and only rows that it too lets through are left")],
        (None, Some(_)) => vec![gives("comes, and lets rows through that no other policy may let through")],
        (Some(old), None) if restricts(old) => vec![gives("goes, and rows that it kept back are let through")],
        (Some(_), None) => vec![takes("goes, and rows that only it let through are no longer seen or written")],
        (Some(old), Some(new)) => changed(old, new, gives, takes),
        (None, None) => Vec::new(),
    }
}

fn changed(old: &Object, new: &Object, gives: impl Fn(&str) -> Effect, takes: impl Fn(&str) -> Effect) -> Vec<Effect> {
    let (before, after): (Policy, Policy) = (old.read(), new.read());
    if (before.restrictive, &before.command) != (after.restrictive, &after.command) {
        return vec![gives("is for other statements, or of another kind: it may let through what it did not")];
    }
    let roles = roles_turn(&before.roles, &after.roles);
    // To whom a restrictive policy applies sees fewer rows.
    let roles = if after.restrictive { Turn { looser: roles.tighter, tighter: roles.looser } } else { roles };
    let turns =
        [roles, turn(before.using.as_deref(), after.using.as_deref()), turn(before.check.as_deref(), after.check.as_deref())];
    let (looser, tighter) = (turns.iter().any(|t| t.looser), turns.iter().any(|t| t.tighter));
    match (looser, tighter) {
        (true, true) => vec![gives("is another: it may let through rows that it kept back, and the other way round")],
        (true, false) => vec![gives("lets more rows through")],
        (false, true) => vec![takes("lets fewer rows through")],
        (false, false) => Vec::new(),
    }
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "policy",
    query: Some(|_| {
        Query::over(
            "pg_policy",
            "p.oid",
            "n.nspname, c.relname, p.polname",
            "FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.oid >= 16384",
        )
        .part_of("pg_class", "c.oid")
        .define(
            "'command', p.polcmd::text, 'restrictive', CASE WHEN NOT p.polpermissive THEN true END, \
             'roles', CASE WHEN p.polroles <> '{0}' THEN (SELECT json_agg(pg_get_userbyid(r) ORDER BY pg_get_userbyid(r)) FROM unnest(p.polroles) r) END, \
             'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid)",
        )
    }),
    check: reads_as::<Policy>,
    fields: &[
        field("command", Cost::Replace),
        field("restrictive", Cost::Replace),
        field("roles", Cost::Alter),
        expression("using", Cost::AlterOrReplace(keeps_expressions)),
        expression("check", Cost::AlterOrReplace(keeps_expressions)),
    ],
    roles: |o| o.read::<Policy>().roles,
    create: |_, o| vec![create(o)],
    alter: |_, _, new, changed| vec![alter(new, changed)],
    drop: |_, o| {
        let table = o.id.table_sql();
        let sql = format!("DROP POLICY {} ON {table}", ident(o.id.base()));
        vec![Statement::new(sql).lock(table, LockMode::AccessExclusive)]
    },
    comment: |id| on_table("POLICY", id),
    only_definition: true,
    effects,
    renaming: Renaming::On("POLICY"),
    ..BASE
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_more_or_less_tells_which_way_it_goes() {
        let of = |old: &str, new: &str| {
            let some = |t: &'static str| Some(t).filter(|t| !t.is_empty());
            let t = turn(some(Box::leak(old.to_owned().into_boxed_str())), some(Box::leak(new.to_owned().into_boxed_str())));
            (t.looser, t.tighter)
        };
        assert_eq!(of("(tenant = me())", "((tenant = me()) OR shared)"), (true, false));
        assert_eq!(of("((tenant = me()) OR shared)", "(tenant = me())"), (false, true));
        assert_eq!(of("(tenant = me())", "(live AND (tenant = me()))"), (false, true));
        assert_eq!(of("(tenant = me())", "(((tenant = me()) OR shared) AND live)"), (true, true));
        assert_eq!(of("(tenant = me())", "(tenant = you())"), (true, true));
        assert_eq!(of("(a)", "true"), (true, false));
        assert_eq!(of("", "(a)"), (false, true));
        assert_eq!(of("(a)", "(a)"), (false, false));
    }

    #[test]
    fn everybody_is_more_than_some() {
        let of = |old: &[&str], new: &[&str]| {
            let list = |l: &[&str]| l.iter().map(|r| (*r).to_owned()).collect::<Vec<_>>();
            let t = roles_turn(&list(old), &list(new));
            (t.looser, t.tighter)
        };
        assert_eq!(of(&["a"], &[]), (true, false));
        assert_eq!(of(&[], &["a"]), (false, true));
        assert_eq!(of(&["a"], &["a", "b"]), (true, false));
        assert_eq!(of(&["a"], &["b"]), (true, true));
        assert_eq!(of(&[], &[]), (false, false));
    }
}
