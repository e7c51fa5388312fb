//! Tables: `pg_class` with `relkind` `r` and `p`. Columns, constraints and the partition that a table is are kinds of their own.

use serde::Deserialize;

use super::{BASE, Context, Cost, Kind, Query, Renaming, Space, field, reads_as};
use crate::catalog::Object;
use crate::kind::effects::{gone, unidentified};
use crate::kind::relation::{TOAST_OPTIONS, TOAST_SORTED_OPTIONS, change_options, given_options, with_options};
use crate::kind::rows::keep;
use crate::kind::sequence::{persists_with_table, set_persistence};
use crate::kind::sequence_owner;
use crate::sql::ident;
use crate::statement::{Effect, LockMode, Loss, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    partition_key: Option<String>,
    /// No statement changes the type of a column that partitions the table.
    #[serde(default)]
    #[allow(dead_code, reason = "compared, never written")]
    partition_key_types: Vec<String>,
    #[serde(default)]
    unlogged: bool,
    /// Parents of INHERITS, in order, as SQL names.
    #[serde(default)]
    inherits: Vec<String>,
    #[serde(default)]
    options: Vec<String>,
    #[serde(default)]
    row_security: bool,
    #[serde(default)]
    force_row_security: bool,
    /// `n` nothing, `f` full, `i` an index (stated at the index); absent: the default.
    replica_identity: Option<String>,
    access_method: Option<String>,
    of_type: Option<String>,
}

fn create(context: &Context, object: &Object) -> Vec<Statement> {
    let t: Table = object.read();
    let like = super::like::source(context, &object.id);
    let mut elements = context.elements(&object.id);
    elements.splice(0..0, like.iter().map(|from| format!("LIKE {} INCLUDING GENERATED", from.sql())));
    let unlogged = if t.unlogged { "UNLOGGED " } else { "" };
    let list = if elements.is_empty() { "()".to_owned() } else { format!("(\n    {}\n)", elements.join(",\n    ")) };
    let mut sql = match &t.of_type {
        Some(of) => {
            let list = if elements.is_empty() { String::new() } else { format!(" {list}") };
            format!("CREATE {unlogged}TABLE {} OF {of}{list}", object.id.sql())
        }
        None => format!("CREATE {unlogged}TABLE {} {list}", object.id.sql()),
    };
    let mut locks = Vec::new();
    if !t.inherits.is_empty() {
        sql += &format!(" INHERITS ({})", t.inherits.join(", "));
        locks.extend(t.inherits.iter().cloned());
    }
    sql += &t.partition_key.as_ref().map_or(String::new(), |k| format!(" PARTITION BY {k}"));
    sql += &t.access_method.as_ref().map_or(String::new(), |m| format!(" USING {}", ident(m)));
    sql += &with_options(&given_options(object));
    let mut first = Statement::new(sql);
    for parent in locks {
        first = first.lock(parent, LockMode::ShareUpdateExclusive);
    }
    let mut statements = vec![first];
    statements.extend(like.iter().flat_map(|from| super::like::rest(context, &object.id, from)));
    if t.row_security {
        statements.extend(change(object, "ENABLE ROW LEVEL SECURITY"));
    }
    if t.force_row_security {
        statements.extend(change(object, "FORCE ROW LEVEL SECURITY"));
    }
    if let Some(identity) = replica_identity(&t) {
        statements.extend(change(object, identity));
    }
    for s in statements.iter_mut().skip(1) {
        s.locks.clear();
    }
    statements
}

fn replica_identity(t: &Table) -> Option<&'static str> {
    match t.replica_identity.as_deref() {
        Some("n") => Some("REPLICA IDENTITY NOTHING"),
        Some("f") => Some("REPLICA IDENTITY FULL"),
        _ => None,
    }
}

fn change(object: &Object, action: &str) -> Option<Statement> {
    let name = object.id.sql();
    Some(Statement::new(format!("ALTER TABLE {name} {action}")).lock(name, LockMode::AccessExclusive))
}

fn alter_field(context: &Context, old: &Table, new: &Table, object: &Object, name: &str) -> Vec<Statement> {
    let one = |action: &str| change(object, action).into_iter().collect::<Vec<_>>();
    match name {
        "row_security" if new.row_security => one("ENABLE ROW LEVEL SECURITY"),
        "row_security" => one("DISABLE ROW LEVEL SECURITY"),
        "force_row_security" if new.force_row_security => one("FORCE ROW LEVEL SECURITY"),
        "force_row_security" => one("NO FORCE ROW LEVEL SECURITY"),
        "replica_identity" if new.replica_identity.as_deref() == Some("i") => Vec::new(),
        "replica_identity" => one(replica_identity(new).unwrap_or("REPLICA IDENTITY DEFAULT")),
        "unlogged" => {
            let action = if new.unlogged { "SET UNLOGGED" } else { "SET LOGGED" };
            let sequences = match context.live.server {
                150_000.. => sequence_owner::of_table(context.live, &object.id),
                _ => Vec::new(),
            };
            let with_sequences = |s| sequences.iter().fold(s, |s: Statement, q| s.lock(q.clone(), LockMode::AccessExclusive));
            let altered = one(action).into_iter().map(|s| with_sequences(s.rewrite(object.id.sql())));
            altered.chain(sequences_stay(context, object, new.unlogged)).collect()
        }
        // A partitioned table has only what its partitions are made with (17), and no rows of its own.
        "access_method" if new.partition_key.is_some() => {
            one(&format!("SET ACCESS METHOD {}", new.access_method.as_deref().map_or("DEFAULT".to_owned(), ident)))
        }
        "access_method" => {
            let method = new.access_method.as_deref().unwrap_or("heap");
            one(&format!("SET ACCESS METHOD {}", ident(method))).into_iter().map(|s| s.rewrite(object.id.sql())).collect()
        }
        "of_type" => one(&new.of_type.as_ref().map_or("NOT OF".to_owned(), |t| format!("OF {t}"))),
        "inherits" => {
            let gone = old.inherits.iter().filter(|p| !new.inherits.contains(p));
            let added = new.inherits.iter().filter(|p| !old.inherits.contains(p));
            let leave = |parent: &String| change(object, &format!("NO INHERIT {parent}"));
            let join = |parent: &String| {
                let joined = change(object, &format!("INHERIT {parent}"));
                joined.map(|s| s.lock(parent.clone(), LockMode::ShareUpdateExclusive))
            };
            gone.filter_map(leave).chain(added.filter_map(join)).collect()
        }
        _ => change_options(&format!("ALTER TABLE {}", object.id.sql()), &old.options, &new.options)
            .into_iter()
            .map(|sql| Statement::new(sql).lock(object.id.sql(), LockMode::ShareUpdateExclusive))
            .collect(),
    }
}

/// The sequences of a table's columns become logged or unlogged together with it (15): those that are wanted otherwise go back.
fn sequences_stay(context: &Context, table: &Object, unlogged: bool) -> Vec<Statement> {
    let columns = context.live.children(&table.id).filter(|c| c.id.class() == "column");
    let owned = columns.flat_map(|c| context.live.used_by(&c.id)).map(|(user, _)| user).filter(|u| u.class() == "owned by");
    let sequences = owned.filter_map(|o| context.desired.get(&o.as_class("sequence")));
    // One whose column is made anew may belong to the table still when that changes.
    let taken_along = |s: &Object| persists_with_table(context, s) || sequence_owner::stays_owned(context, &s.id).is_none();
    let other = sequences.filter(|s| s.flag("unlogged") != unlogged && taken_along(s));
    // Before 15 sequences are always logged.
    other.filter(|_| context.live.server >= 150_000).map(|s| set_persistence(&s.id, s.flag("unlogged"))).collect()
}

/// What a change means for who sees rows, and for those who follow them.
fn effects(context: &Context, old: Option<&Object>, new: Option<&Object>) -> Vec<Effect> {
    let (Some(before), Some(after)) = (old, new) else { return gone(context, old, new) };
    let name = after.id.sql();
    let mut found = unidentified(context, old, new);
    match (before.flag("row_security"), after.flag("row_security")) {
        (true, false) => {
            let words = format!("row level security of {name} is switched off: whoever may read the table sees all rows");
            return found.into_iter().chain([Effect::GivesRights(words)]).collect();
        }
        (false, true) => {
            let words = format!("row level security of {name} is switched on: only rows that a policy lets through are left");
            found.push(Effect::TakesRights(words));
        }
        _ => {}
    }
    match (before.flag("force_row_security"), after.flag("force_row_security")) {
        (true, false) => found.push(Effect::GivesRights(format!("the owner of {name} is no longer bound by its policies"))),
        (false, true) => found.push(Effect::TakesRights(format!("the owner of {name} is bound by its policies too"))),
        _ => {}
    }
    found
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "table",
    query: Some(|_| {
        Query::over(
            "pg_class",
            "c.oid",
            "n.nspname, c.relname",
            "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_class t ON t.oid = c.reltoastrelid \
             LEFT JOIN pg_am am ON am.oid = c.relam WHERE c.relkind IN ('r', 'p') AND c.oid >= 16384 AND c.relpersistence <> 't'",
        )
        .owned("c.relowner", "c.relacl", 'r')
        .define(format!(
            "'partition_key', CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END, \
             'partition_key_types', CASE WHEN c.relkind = 'p' THEN (SELECT json_agg(format_type(a.atttypid, a.atttypmod) \
                     || CASE WHEN kt.typtype = 'd' THEN ' over ' || format_type(kt.typbasetype, kt.typtypmod) ELSE '' END ORDER BY k.n) \
                 FROM pg_partitioned_table pt CROSS JOIN unnest(pt.partattrs::int2[]) WITH ORDINALITY k(attnum, n) \
                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum JOIN pg_type kt ON kt.oid = a.atttypid \
                 WHERE pt.partrelid = c.oid) END, \
             'unlogged', CASE WHEN c.relpersistence = 'u' THEN true END, \
             'inherits', CASE WHEN NOT c.relispartition THEN (SELECT json_agg(quote_ident(pn.nspname) || '.' || quote_ident(p.relname) ORDER BY i.inhseqno) \
                 FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid) END, \
             'options', {TOAST_SORTED_OPTIONS}, \
             'row_security', CASE WHEN c.relrowsecurity THEN true END, 'force_row_security', CASE WHEN c.relforcerowsecurity THEN true END, \
             'replica_identity', CASE WHEN c.relreplident <> 'd' THEN c.relreplident::text END, \
             'access_method', CASE WHEN am.amname <> 'heap' OR c.relkind = 'p' THEN am.amname END, \
             'of_type', CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END"
        ))
        .detail(format!(
            "'rows', nullif(c.reltuples, -1), 'pages', c.relpages, \
             'options', {TOAST_OPTIONS}"
        ))
    }),
    check: reads_as::<Table>,
    fields: &[
        field("partition_key", Cost::Replace),
        field("partition_key_types", Cost::Replace),
        field("unlogged", Cost::Alter),
        field("inherits", Cost::Alter),
        field("options", Cost::Alter),
        field("row_security", Cost::Alter),
        field("force_row_security", Cost::Alter),
        field("replica_identity", Cost::Alter),
        field("access_method", Cost::Alter),
        field("of_type", Cost::Alter),
    ],
    create,
    alter: |context, old, new, changed| {
        let (before, after): (Table, Table) = (old.read(), new.read());
        changed.iter().flat_map(|f| alter_field(context, &before, &after, new, f)).collect()
    },
    drop: |_, o| {
        let name = o.id.sql();
        let dropped = Statement::new(format!("DROP TABLE {name}")).lock(name.clone(), LockMode::AccessExclusive);
        // The rows of a partitioned table are those of its partitions, which are dropped or stay by themselves.
        vec![if o.definition.contains_key("partition_key") { dropped } else { dropped.loses(Loss::Rows(name)) }]
    },
    spaces: &[Space::Relation, Space::Type],
    holds_rows: true,
    keep_rows: Some(keep),
    effects,
    renaming: Renaming::Whole("TABLE", Some(LockMode::AccessExclusive)),
    ..BASE
};
