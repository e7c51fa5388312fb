//! Deparsing is not a fixed point: `x IN ('a', 'b')` over varchar is written in one way, read again, and written in another. Two
//! definitions that differ only in such text are settled: each is made in a scratch database, read back, and compared then.

use serde_json::{Map, Value};
use std::collections::BTreeSet;
use tokio_postgres::Client;

use super::limit;
use crate::catalog::{Catalog, Dependency, Id, Object};
use crate::introspect::{IntrospectError, read_one};
use crate::kind::{self, Absorbed, Context, Cost};
use crate::pg::Session;
use crate::shadow::STATEMENT_TIMEOUT;

/// Two texts of what may be one definition.
#[derive(Clone, Debug)]
pub struct Pair {
    /// As one side has it.
    pub left: Object,
    /// As the other has it.
    pub right: Object,
}

/// The objects that both sides have and that differ in nothing but expressions.
pub fn candidates(left: &Catalog, right: &Catalog) -> Vec<Pair> {
    let differs_in_text = |l: &Object, r: &Object| {
        let fields = l.changed_fields(r);
        let both = |f: &String| l.definition.contains_key(f) && r.definition.contains_key(f);
        let expression = |f: &String| kind::of(&l.id).field(f).is_some_and(|k| k.expression);
        !fields.is_empty() && fields.iter().all(|f| both(f) && expression(f))
    };
    let alike = |l: &Object, r: &Object| {
        l.changed_fields(r).iter().all(|f| match (l.definition.get(f), r.definition.get(f)) {
            (Some(Value::String(a)), Some(Value::String(b))) => words(a) == words(b),
            _ => true,
        })
    };
    let rebuilt = over_retyped(left, right);
    let pairs = left.objects().filter_map(|l| right.get(&l.id).map(|r| (l, r)));
    pairs
        .filter(|(l, r)| differs_in_text(l, r) && alike(l, r) && !rebuilt.contains(&l.id))
        .map(|(l, r)| Pair { left: l.clone(), right: r.clone() })
        .collect()
}

/// Everything that rests, near or far, on something that changes its type or is replaced: the same text means something else there
/// (a cast that a view's column needs now), and it is rebuilt as it is wanted.
fn over_retyped(left: &Catalog, right: &Catalog) -> BTreeSet<Id> {
    let retypes = |o: &&Object| {
        let Some(wanted) = right.get(&o.id) else { return false };
        let fields = o.changed_fields(wanted);
        fields.iter().filter_map(|f| kind::of(&o.id).field(f)).any(|field| match field.cost {
            Cost::Retype | Cost::RetypeOrReplace(_) | Cost::Remake(_) | Cost::RetypeOrRemake(_) => true,
            Cost::Replace => !field.expression,
            Cost::AlterOrReplace(can_alter) => !field.expression && !can_alter(o, wanted),
            Cost::Alter => false,
        })
    };
    let mut todo: Vec<Id> = left.objects().filter(retypes).map(|o| o.id.clone()).collect();
    let mut found = BTreeSet::new();
    while let Some(id) = todo.pop() {
        let parts = left.children(&id).map(|o| &o.id).filter(|_| id.class() != "table");
        for user in left.used_by(&id).iter().map(|(u, _)| u).chain(parts) {
            if found.insert(user.clone()) {
                todo.push(user.clone());
            }
        }
    }
    found
}

/// What is left of an expression when everything is taken away that deparsing adds, moves or writes in two ways: casts,
/// parentheses, `IN` for `= ANY (ARRAY[...])`. Texts that differ in more than that mean different things, and need no server.
pub(super) fn words(text: &str) -> Vec<String> {
    const NOISE: &[&str] = &["in", "any", "array", "as", "(", ")", "[", "]", ",", "=", ";"];
    // Type names may stand alone too (`character varying 'x'`): they are dropped wherever they stand.
    const TYPES: &[&str] = &[
        "text",
        "character",
        "varying",
        "bpchar",
        "varchar",
        "integer",
        "bigint",
        "smallint",
        "numeric",
        "name",
        "regclass",
        "boolean",
        "double",
        "precision",
        "real",
        "date",
        "timestamp",
        "time",
        "with",
        "without",
        "zone",
        "interval",
        "jsonb",
        "json",
        "uuid",
    ];
    let mut list: Vec<String> = Vec::new();
    let (mut cast, mut named) = (false, false);
    for token in crate::source::lexer::tokens(text) {
        let word = text[token.span.clone()].to_lowercase();
        let noise = NOISE.contains(&word.as_str()) || TYPES.contains(&word.as_str()) || word.trim().is_empty();
        // After a cast stands a type, qualified or not: `::public.mood`.
        let continues = named && word == ".";
        named = cast && word != ":" && word != ".";
        if word == ":" || continues {
            cast = true;
        } else if cast {
            cast = false;
        } else if !noise {
            list.push(word);
        }
    }
    list.sort();
    list
}

/// What was found of pairs.
#[derive(Debug, Default)]
pub struct Settled {
    /// Those that mean the same.
    pub equal: BTreeSet<Id>,
    /// Whether one could not be made, so that nothing is known of it.
    pub unmade: bool,
}

/// What the definitions of the pairs rest on, directly or not, out of `catalog`: relations with their columns and keys, types,
/// functions. Without indexes, triggers, foreign keys and policies, so that a few pairs of a large database cost little.
pub fn surroundings(catalog: &Catalog, pairs: &[Pair]) -> Catalog {
    let mut kept: BTreeSet<&Id> = BTreeSet::new();
    let mut open: Vec<&Id> = pairs.iter().map(|p| &p.left.id).collect();
    while let Some(id) = open.pop() {
        let Some(object) = catalog.get(id).filter(|o| kept.insert(&o.id)) else { continue };
        open.extend(&object.parent);
        open.extend(catalog.uses(&object.id).iter().map(|(id, _)| id));
        let inside = |c: &&Object| kind::of(&c.id).absorbed != Absorbed::Never && c.id.of().is_none();
        open.extend(catalog.children(&object.id).filter(inside).map(|c| &c.id));
    }
    catalog.filtered(|o| kept.contains(&o.id) || o.id.of().is_some_and(|of| o.id.class() == "owner" && kept.contains(of)))
}

/// The pairs that mean the same. The session is connected to a scratch database that holds `around` or something like it;
/// nothing that is done there stays.
///
/// # Errors
/// When the scratch database cannot be read.
pub async fn settle(session: &Session, around: &Catalog, pairs: &[Pair]) -> Result<Settled, IntrospectError> {
    let mut settled = Settled::default();
    for pair in pairs {
        let mut texts = (vec![pair.left.definition.clone()], vec![pair.right.definition.clone()]);
        for _ in 0..2 {
            again(session, around, &pair.left, &mut texts.0).await?;
            again(session, around, &pair.right, &mut texts.1).await?;
            if texts.0.iter().any(|l| texts.1.contains(l)) {
                settled.equal.insert(pair.left.id.clone());
                break;
            }
        }
        settled.unmade |= texts.0.len() == 1 || texts.1.len() == 1;
    }
    Ok(settled)
}

/// Adds what the last text reads as after it has been made once more.
async fn again(
    session: &Session,
    around: &Catalog,
    object: &Object,
    texts: &mut Vec<Map<String, Value>>,
) -> Result<(), IntrospectError> {
    let Some(last) = texts.last() else { return Ok(()) };
    let object = Object { definition: last.clone(), ..object.clone() };
    let next = limit::within(&[session], STATEMENT_TIMEOUT, replayed(session, around, &object)).await;
    texts.extend(next.transpose()?.flatten());
    Ok(())
}

async fn replayed(session: &Session, around: &Catalog, object: &Object) -> Result<Option<Map<String, Value>>, IntrospectError> {
    let client = &session.client;
    let nothing = BTreeSet::new();
    let context = Context { live: around, desired: around, absorbed: &nothing };
    client.batch_execute("BEGIN; SET LOCAL check_function_bodies = off").await.ok();
    let gone = dropped(client, &context, object).await;
    if !gone && !detached(client, &context, object).await {
        // What stays because its parent's does (a member of a partition) goes with that, and is made again by itself.
        for above in ancestors(around, &object.id) {
            dropped(client, &context, above).await;
        }
    }
    let mut definition = object.definition.clone();
    definition.retain(|field, _| gone || field != "inherited");
    let object = Object { definition, ..object.clone() };
    let mut made = true;
    for statement in (kind::of(&object.id).create)(&context, &object) {
        made = made && client.batch_execute(&statement.sql).await.is_ok();
    }
    let read = if made { read_one(session, &object.id).await } else { Ok(None) };
    client.batch_execute("ROLLBACK").await.ok();
    read
}

/// Drops a partition's column, which is its table's until it is detached; whether it was one.
async fn detached(client: &Client, context: &Context<'_>, object: &Object) -> bool {
    let partition = object.parent.as_ref().and_then(|table| context.live.get(&table.as_class("partition")));
    let Some(partition) = partition.filter(|_| object.id.class() == "column") else { return false };
    dropped(client, context, partition).await && dropped(client, context, object).await
}

/// Drops it in the transaction that runs, with whatever rests on it: nothing of that stays.
async fn dropped(client: &Client, context: &Context<'_>, object: &Object) -> bool {
    let mut all = true;
    for statement in (kind::of(&object.id).drop)(context, object) {
        let mut gone = false;
        for sql in [statement.sql.clone(), format!("{} CASCADE", statement.sql)] {
            client.batch_execute("SAVEPOINT settle").await.ok();
            gone = client.batch_execute(&sql).await.is_ok();
            if gone {
                break;
            }
            client.batch_execute("ROLLBACK TO settle").await.ok();
        }
        all = all && gone;
    }
    all
}

/// What it has come from by partitioning or inheritance, the first of all first.
fn ancestors<'a>(around: &'a Catalog, id: &Id) -> Vec<&'a Object> {
    let mut list = Vec::new();
    let mut open = vec![id.clone()];
    while let Some(id) = open.pop() {
        for (above, _) in around.uses(&id).iter().filter(|(_, d)| *d == Dependency::Inherited) {
            list.extend(around.get(above));
            open.push(above.clone());
        }
    }
    list.reverse();
    list
}
