//! That a table is a partition of another: `pg_inherits` and `pg_class.relpartbound`. A node of its own, so that a change of the
//! bound or of the parent is DETACH and ATTACH, never a drop of rows.

use serde::Deserialize;
use std::collections::BTreeSet;

use super::bounds;
use super::relation::{is_partitioned, without};
use super::{BASE, Carried, Context, Cost, Kind, NOT_ONLINE, Online, Query, Space, field, reads_as, row_checks};
use crate::catalog::{Catalog, Dependency, Id, Object};
use crate::sql::{free_name, ident, qualified};
use crate::statement::{LockMode, RowCheck, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Partition {
    /// As a SQL name.
    parent: String,
    /// `FOR VALUES ...` or `DEFAULT`.
    bound: String,
    /// A DETACH PARTITION CONCURRENTLY of it was interrupted: queries of the parent pass it by, and its rows go in nowhere.
    #[serde(default)]
    detaching: bool,
    /// Columns that are an identity in the table at the top, and none in this one: their values are missing in what is inserted into it.
    #[serde(default)]
    lacks_identity: Vec<String>,
}

/// The field of a partition that an interrupted DETACH PARTITION CONCURRENTLY has left.
const DETACHING: &str = "detaching";
/// The field of a partition that came to its table before that came to its own: since 17 ATTACH gives identities to what is attached, and to
/// none of its partitions. DETACH fails on what lacks one below.
const LACKS: &str = "lacks_identity";

/// The partitions of which detaching was interrupted.
pub fn detaching(catalog: &Catalog) -> impl Iterator<Item = &Object> {
    catalog.objects().filter(|o| o.id.class() == "partition" && o.flag(DETACHING))
}

/// The partitions that lack identities, and of which columns.
pub fn lacking_identity(catalog: &Catalog) -> impl Iterator<Item = (&Object, Vec<String>)> {
    let partitions = catalog.objects().filter(|o| o.id.class() == "partition" && o.definition.contains_key(LACKS));
    partitions.map(|o| (o, o.read::<Partition>().lacks_identity))
}

/// The same as they are when they are attached: nobody wants one halfway.
pub fn attached(catalog: &Catalog) -> Vec<Object> {
    without(catalog, "partition", &[DETACHING, LACKS])
}

/// The table above from which a partition has identities, and the partitions between the two: they have to have them first. Before 17 none
/// has any.
pub fn identity_from(desired: &Catalog, partition: &Id) -> Option<(Id, Vec<Id>)> {
    let mut tables = if desired.server < 170_000 { Vec::new() } else { above(desired, partition) };
    let top = tables.pop()?;
    let numbered = desired.children(&top).any(|c| c.definition.contains_key("identity"));
    numbered.then(|| (top, tables.iter().map(|table| table.as_class("partition")).collect()))
}

fn child(object: &Object) -> String {
    qualified(object.id.name())
}

/// The tables that it is a partition of, at any distance, the next one first.
pub fn above(catalog: &Catalog, partition: &Id) -> Vec<Id> {
    let parent = |id: &Id| catalog.uses(id).iter().map(|(used, _)| used).find(|used| used.class() == "table").cloned();
    std::iter::successors(parent(partition), |table| parent(&table.as_class("partition"))).collect()
}

/// The partitions with which a foreign key of a partition is lost: before 15 the server drops what is inherited when one of them is
/// detached, where the key refers to a table that they are a part of, and since 14.14 where it refers to any partitioned table.
pub fn lost_with(catalog: &Catalog, key: &Object) -> Vec<Id> {
    let Some(own) = key.parent.as_ref().filter(|_| catalog.server < 150_000 && key.flag("inherited")) else { return Vec::new() };
    let own = own.as_class("partition");
    let tables = above(catalog, &own);
    let between = match catalog.server >= 140_014 && refers_to_partitioned(catalog, key) {
        true => inherited_from(catalog, &key.id).saturating_sub(1),
        false => match tables.iter().position(|table| table.sql() == key.text("referenced")) {
            Some(referenced) => referenced,
            None => return Vec::new(),
        },
    };
    let tables = tables.into_iter().take(between);
    std::iter::once(own).chain(tables.map(|table| table.as_class("partition"))).collect()
}

fn refers_to_partitioned(catalog: &Catalog, key: &Object) -> bool {
    let members = catalog.uses(&key.id).iter().filter_map(|(used, _)| catalog.get(used)?.parent.as_ref());
    members.filter(|table| table.sql() == key.text("referenced")).any(|table| is_partitioned(catalog, table))
}

/// Over how many levels a foreign key is inherited.
fn inherited_from(catalog: &Catalog, key: &Id) -> usize {
    let parent = |id: &Id| {
        let theirs = catalog.uses(id).iter().find(|(used, d)| *d == Dependency::Inherited && used.class() == "foreign key");
        theirs.map(|(used, _)| used.clone())
    };
    std::iter::successors(parent(key), parent).count()
}

/// The foreign keys of other tables that refer to one.
fn referring<'c>(catalog: &'c Catalog, table: &Id) -> impl Iterator<Item = &'c Object> {
    let name = table.sql();
    let users = catalog.children(table).flat_map(|member| catalog.used_by(&member.id)).map(|(user, _)| user);
    let keys: BTreeSet<&Id> = users.filter(|user| user.class() == "foreign key").collect();
    keys.into_iter().filter_map(|key| catalog.get(key)).filter(move |key| key.text("referenced") == name)
}

/// The foreign keys of partitioned tables that refer to a partition. DETACH takes the parts that their partitions have of them for
/// parts of one that refers to the table which is left, and fails.
pub fn referring_in_parts<'c>(catalog: &'c Catalog, table: &Id) -> impl Iterator<Item = &'c Object> {
    referring(catalog, table).filter(|key| catalog.used_by(&key.id).iter().any(|(_, d)| *d == Dependency::Inherited))
}

/// The rows of a table that becomes a partition lie within its bound. Some of the bound's functions are the server's own, none the
/// user's.
fn bound(context: &Context, object: &Object) -> Option<RowCheck> {
    let constraint = object.detail.get("constraint")?.as_str()?;
    row_checks::fulfils(context, object.parent.as_ref()?, &object.read::<Partition>().bound, constraint)
}

/// A check that says what the bound says is read while others write; attaching believes it. Which rows belong to a bound of hashes
/// only the server can tell, and only of a partition.
fn attach_online(context: &Context, object: &Object) -> Vec<Statement> {
    let constraint = object.detail.get("constraint").and_then(|c| c.as_str()).unwrap_or_default();
    if constraint.is_empty() || constraint.contains("satisfies_hash_partition") {
        return Vec::new();
    }
    let Some(table) = &object.parent else { return Vec::new() };
    let taken = |name: &String| {
        let id = table.part("check", name);
        context.live.contains(&id) || context.desired.contains(&id)
    };
    let (child, check) = (child(object), ident(&free_name(object.id.base(), "_bound", &taken)));
    let change =
        |action: String, mode| Statement::new(format!("ALTER TABLE {child} {action}")).lock(child.clone(), mode).partitions();
    let exclusive = LockMode::AccessExclusive;
    let mut attach = attach(context, object);
    // An exclusion constraint is built with it, whatever stands there.
    let builds = context.desired.children(table).any(|o| o.id.class() == "exclusion" && o.flag("inherited"));
    attach.scans.retain(|table| builds || *table != child);
    attach.needs.clear();
    let detach = format!("ALTER TABLE {} DETACH PARTITION {child}", object.text("parent"));
    vec![
        change(format!("ADD CONSTRAINT {check} CHECK ({constraint}) NOT VALID"), exclusive)
            .back(format!("ALTER TABLE {child} DROP CONSTRAINT IF EXISTS {check}")),
        change(format!("VALIDATE CONSTRAINT {check}"), LockMode::ShareUpdateExclusive)
            .scan(child.clone())
            .needs(bound(context, object))
            .own(),
        attach.back(detach),
        change(format!("DROP CONSTRAINT {check}"), exclusive),
    ]
}

fn attach(context: &Context, object: &Object) -> Statement {
    let p: Partition = object.read();
    let child = child(object);
    let statement = Statement::new(format!("ALTER TABLE {} ATTACH PARTITION {child} {}", p.parent, p.bound))
        .lock(child.clone(), LockMode::AccessExclusive)
        .partitions()
        .default_of(p.parent.clone(), LockMode::AccessExclusive);
    // Keys that the partition has already become those of the table, and so do those that it is made with where the table has them.
    let keys = object.parent.iter().flat_map(|t| context.desired.children(t)).filter(|k| k.id.class() == "foreign key");
    let stands = |k: &Object| {
        let mut theirs = context.desired.uses(&k.id).iter().filter(|(_, d)| *d == Dependency::Inherited);
        context.live.contains(&k.id) || theirs.any(|(id, _)| context.live.contains(id))
    };
    let joined = keys.filter(|k| k.flag("inherited") && stands(k));
    joined
        .fold(statement, |s, key| s.lock(key.text("referenced"), LockMode::AccessExclusive))
        .lock(p.parent.clone(), LockMode::ShareUpdateExclusive)
        .scan(child)
        .scan(p.parent)
        .needs(bound(context, object))
}

/// The tables that refer to the partitioned table lose the checks of what they refer to, and are held to what is left.
fn detach(context: &Context, object: &Object) -> Statement {
    let p: Partition = object.read();
    let child = child(object);
    if p.detaching {
        let sql = format!("ALTER TABLE {} DETACH PARTITION {child} FINALIZE", p.parent);
        let finished = Statement::new(sql).lock(child, LockMode::AccessExclusive).partitions();
        return finished.lock(p.parent, LockMode::ShareUpdateExclusive);
    }
    let mut statement = Statement::new(format!("ALTER TABLE {} DETACH PARTITION {child}", p.parent))
        .lock(child, LockMode::AccessExclusive)
        .partitions()
        .lock(p.parent.clone(), LockMode::AccessExclusive)
        .default_of(p.parent, LockMode::AccessExclusive);
    for key in above(context.live, &object.id).iter().flat_map(|table| referring(context.live, table)) {
        statement = statement.lock(key.id.table_sql(), LockMode::AccessExclusive).scan(key.id.table_sql());
    }
    // A key that it has from the parent becomes its own, and gets triggers of its own on what it refers to.
    let keys = object.parent.iter().flat_map(|t| context.live.children(t)).filter(|k| k.id.class() == "foreign key");
    let lost = |k: &Object| lost_with(context.live, k).contains(&object.id);
    let stays = |k: &&Object| k.flag("inherited") && context.desired.contains(&k.id) && !lost(k);
    let mode = LockMode::ShareRowExclusive;
    keys.filter(stays)
        .map(|key| key.text("referenced"))
        .fold(statement, |s, theirs| s.lock(theirs, mode).partitions_in(theirs, mode))
}

/// The partitions of a table.
fn parts<'c>(side: &'c Catalog, of: &Id) -> impl Iterator<Item = &'c Object> {
    side.used_by(of).iter().filter(|(user, _)| user.class() == "partition").filter_map(|(user, _)| side.get(user))
}

/// Detached while others work with the table that it leaves. The server refuses that beside a DEFAULT partition. What foreign keys refer to would be
/// locked as by the direct form, so that partitions with some take that.
fn detach_online(context: &Context, partition: &Object) -> Option<Statement> {
    let p: Partition = partition.read();
    let (live, table) = (context.live, partition.parent.as_ref()?);
    let above = above(live, &partition.id);
    let left = above.first()?;
    let beside_default = parts(live, left).any(|o| o.text("bound") == "DEFAULT");
    // What comes in its place comes in the same transaction: rows have to go somewhere.
    let stands = |o: &Object| live.get(&o.id).is_some_and(|old| old.definition == o.definition);
    let replaced = parts(context.desired, left).any(|o| !stands(o) && !bounds::apart(o.text("bound"), &p.bound));
    let has_keys = live.children(table).any(|o| o.id.class() == "foreign key");
    let referred_to = above.iter().chain([table]).any(|table| referring(live, table).next().is_some());
    let halfway = p.detaching || !p.lacks_identity.is_empty();
    if beside_default || replaced || has_keys || referred_to || halfway || is_partitioned(live, table) {
        return None;
    }
    let child = child(partition);
    let back = format!("ALTER TABLE {} ATTACH PARTITION {child} {}", p.parent, p.bound);
    let detach = Statement::new(format!("ALTER TABLE {} DETACH PARTITION {child} CONCURRENTLY", p.parent)).alone();
    Some(detach.lock(child, LockMode::AccessExclusive).lock(p.parent, LockMode::ShareUpdateExclusive).back(back))
}

/// A table that stays has a check then that says what the bound has said.
fn leave_online(context: &Context, partition: &Object) -> Vec<Statement> {
    let Some(detach) = detach_online(context, partition) else { return Vec::new() };
    if partition.parent.as_ref().is_some_and(|table| !context.desired.contains(table)) {
        return vec![detach];
    }
    let Some(check) = left_check(context, partition) else { return Vec::new() };
    let child = child(partition);
    let drop = format!("ALTER TABLE {child} DROP CONSTRAINT IF EXISTS {}", ident(&check));
    vec![detach, Statement::new(drop).lock(child, LockMode::AccessExclusive)]
}

/// The name that the server gives to that check: of one column it has the name in it. None where it is not known.
fn left_check(context: &Context, partition: &Object) -> Option<String> {
    let table = partition.parent.as_ref()?;
    let columns: BTreeSet<&str> =
        context.live.children(table).filter(|o| o.id.class() == "column").map(|o| o.id.base()).collect();
    let mut keys: BTreeSet<&str> = BTreeSet::new();
    for above in above(context.live, &partition.id) {
        let key = context.live.get(&above)?.text("partition_key");
        let key = ["RANGE (", "LIST ("].into_iter().find_map(|strategy| key.strip_prefix(strategy)?.strip_suffix(')'))?;
        for part in key.split(", ") {
            keys.insert(columns.iter().find(|column| ident(column) == part)?);
        }
    }
    let of = if keys.len() == 1 { format!("_{}", keys.first()?) } else { String::new() };
    let name = format!("{}{of}_check", table.base());
    let named = |o: &Object| o.id.base() == name && o.id.first() == table.first() && o.parent.is_some();
    let is_taken = [context.live, context.desired].iter().any(|side| side.objects().any(named));
    (name.len() <= 63 && !is_taken).then_some(name)
}

/// The pair of what a partition lacks. Before 17 none has identities.
fn lacks(version: u32) -> &'static str {
    if version < 170_000 {
        return "";
    }
    ", 'lacks_identity', (SELECT json_agg(r.attname ORDER BY r.attname) FROM pg_attribute r \
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = r.attname AND a.attidentity = '' \
         WHERE r.attrelid = pg_partition_root(c.oid) AND r.attidentity <> '' AND NOT r.attisdropped)"
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "partition",
    present: super::HEIRS,
    query: Some(|version| {
        Query::over(
            "pg_inherits",
            "c.oid",
            "n.nspname, c.relname",
            "FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition AND c.relkind IN ('r', 'p') \
             JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class p ON p.oid = i.inhparent \
             JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE c.oid >= 16384 AND c.relpersistence <> 't'",
        )
        .part_of("pg_class", "c.oid")
        .define(
            "'parent', quote_ident(pn.nspname) || '.' || quote_ident(p.relname), 'bound', pg_get_expr(c.relpartbound, c.oid), \
             'detaching', CASE WHEN i.inhdetachpending THEN true END"
                .to_owned()
                + lacks(version),
        )
        .detail("'constraint', pg_get_partition_constraintdef(c.oid)")
    }),
    check: reads_as::<Partition>,
    fields: &[
        field("parent", Cost::Replace),
        field("bound", Cost::Replace),
        field(DETACHING, Cost::Replace),
        field(LACKS, Cost::Replace),
    ],
    create: |context, o| vec![attach(context, o)],
    drop: |context, o| vec![detach(context, o)],
    online: Online { create: |context, o, _| attach_online(context, o), before: true, drop: leave_online, ..NOT_ONLINE },
    spaces: &[Space::Bounds],
    rests_on: &["table"],
    carried: Carried::Always,
    ..BASE
};
