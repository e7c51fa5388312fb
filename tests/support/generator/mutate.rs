//! One change at random: of what there is, of names and places, or something more or less.

use super::make::{ACTIONS, COLLATIONS, any_type, anything, arguments, expr, once_in, pick, satellite, split};
use super::model::*;
use super::names::{fresh, label};
use crate::support::random::Random;

/// The types that a column may take next: those that a cast leads to, and now and then any.
fn next_type(model: &Model, random: &mut Random, ty: &Type) -> Type {
    let near: &[&'static str] = match model.class(ty) {
        Class::Number => &["integer", "bigint", "smallint", "numeric(10,2)", "numeric(12,3)", "double precision", "text"],
        Class::Text | Class::Enum(_) => &["text", "varchar(20)", "varchar(40)"],
        Class::Day => &["date", "timestamp", "timestamptz", "text"],
        _ => &["text"],
    };
    if once_in(random, 4) { any_type(model, random) } else { Type::Plain(near[random.below(near.len())]) }
}

/// One mutation; the model is sound again afterwards.
pub fn mutate(model: &mut Model, random: &mut Random) {
    let keys: Vec<Key> = model.items.keys().copied().filter(|k| *k != PUBLIC).collect();
    let Some(key) = pick(random, &keys) else { return anything(model, random) };
    match random.below(20) {
        0..=3 => anything(model, random),
        4..=5 => _ = model.items.remove(&key),
        6 => {
            let name = fresh(model, random, "new");
            model.items.get_mut(&key).unwrap().name = name;
        }
        7 => swap(model, random, key),
        8 => relocate(model, random, key),
        9..=10 => (0..3).for_each(|_| satellite(model, random)),
        11 => replace(model, random, key),
        12 => partitioning(model, random),
        13..=14 => {
            if let Some(column) = pick(random, &model.keys(|w| matches!(w, What::Column(_)))) {
                alter(model, random, column);
            }
        }
        _ => alter(model, random, key),
    }
    model.settle();
}

/// Two of a kind take each other's names.
fn swap(model: &mut Model, random: &mut Random, key: Key) {
    let own = &model.items[&key];
    let alike = |(k, i): &(&Key, &Item)| {
        **k != key && i.within == own.within && std::mem::discriminant(&i.what) == std::mem::discriminant(&own.what)
    };
    let others: Vec<Key> = model.items.iter().filter(alike).map(|(k, _)| *k).filter(|k| *k != PUBLIC).collect();
    let Some(other) = pick(random, &others) else { return };
    let (a, b) = (model.items[&key].name.clone(), model.items[&other].name.clone());
    model.items.get_mut(&key).unwrap().name = b;
    model.items.get_mut(&other).unwrap().name = a;
}

/// Into another schema.
fn relocate(model: &mut Model, random: &mut Random, key: Key) {
    let schemas = model.keys(|w| matches!(w, What::Schema));
    let within = model.items[&key].within;
    if matches!(model.what(within), Some(What::Schema)) && !matches!(model.what(key), Some(What::Schema)) {
        model.items.get_mut(&key).unwrap().within = pick(random, &schemas).unwrap_or(PUBLIC);
    }
}

/// Something new under the name and in the place of something that goes.
fn replace(model: &mut Model, random: &mut Random, key: Key) {
    let old = model.items.remove(&key).expect("chosen from the keys");
    model.settle();
    let first = model.next;
    anything(model, random);
    if let Some(item) = model.items.get_mut(&first) {
        let in_schema = |w: Option<&What>| matches!(w, Some(What::Schema));
        item.name = old.name;
        let (was, is) = (old.within, item.within);
        if in_schema(model.what(was)) && in_schema(model.what(is)) {
            model.items.get_mut(&first).unwrap().within = was;
        }
    }
}

/// A partition gets other bounds, changes its place with another, or stands alone; a plain table is split.
fn partitioning(model: &mut Model, random: &mut Random) {
    let partitions = model.keys(|w| matches!(w, What::Table(t) if t.of.is_some()));
    let Some(key) = pick(random, &partitions).filter(|_| !once_in(random, 6)) else {
        let Some(table) = pick(random, &model.keys(|w| matches!(w, What::Table(_)))) else { return };
        let column = pick(random, &model.columns(table));
        return column.into_iter().for_each(|c| split(model, random, table, c));
    };
    let Some((parent, slot)) = model.table(key).and_then(|t| t.of) else { return };
    let (free, at) = (random.below(4), random.below(8));
    let set = |model: &mut Model, key: Key, slot: Option<Slot>| {
        if let Some(What::Table(table)) = model.items.get_mut(&key).map(|i| &mut i.what) {
            table.of = slot.map(|s| (parent, s));
        }
    };
    match random.below(5) {
        0 => set(model, key, Some(Slot { free, ..slot })),
        1 => set(model, key, Some(Slot { at: Some(at), free })),
        2 => {
            let others = model.partitions(parent);
            let other = pick(random, &others).filter(|o| *o != key);
            let theirs = other.and_then(|o| model.table(o)).and_then(|t| t.of);
            if let (Some(other), Some((_, theirs))) = (other, theirs) {
                set(model, key, Some(theirs));
                set(model, other, Some(slot));
            }
        }
        _ => detach(model, key),
    }
}

/// The partition keeps its columns as its own.
fn detach(model: &mut Model, key: Key) {
    let columns: Vec<Item> = model.columns(key).iter().map(|c| model.items[c].clone()).collect();
    if let Some(What::Table(table)) = model.items.get_mut(&key).map(|i| &mut i.what) {
        (table.of, table.by) = (None, None);
    }
    for mut item in columns {
        item.within = key;
        if let What::Column(column) = &mut item.what {
            (column.generated, column.identity) = (None, None);
        }
        model.items.insert(model.next, item);
        model.next += 1;
    }
}

/// Changes something of an item.
fn alter(model: &mut Model, random: &mut Random, key: Key) {
    let mut item = model.items[&key].clone();
    let within = item.within;
    let n = random.below(50);
    match &mut item.what {
        What::Schema | What::TriggerFunction(_) | What::Output { .. } | What::DefaultPrivileges { .. } => {
            alter_small(model, random, &mut item.what);
        }
        What::Enum(labels) => alter_enum(random, labels),
        What::Domain { base, not_null, default, check } => match random.below(4) {
            0 => *base = next_type(model, random, &base.clone()),
            1 => *not_null = !*not_null,
            2 => *default = default.is_none().then_some(n),
            _ => *check = if once_in(random, 3) { None } else { Some(n) },
        },
        What::Composite(fields) => {
            let i = random.below(fields.len());
            match random.below(3) {
                0 => fields[i].1 = next_type(model, random, &fields[i].1.clone()),
                1 => fields.push((format!("g{n}_{}", fields.len()), Type::Plain("text"))),
                _ if fields.len() > 1 => _ = fields.remove(i),
                _ => {}
            }
        }
        What::Range(subtype) => *subtype = ["integer", "date", "numeric", "text"][random.below(4)],
        What::Collation(definition) => *definition = COLLATIONS[random.below(COLLATIONS.len())],
        What::Sequence { ty, increment, cache, cycle, owner } => match random.below(4) {
            0 => *ty = ["bigint", "integer", "smallint"][random.below(3)],
            1 => (*increment, *cache) = (1 + random.below(9), 1 + random.below(9)),
            2 => *cycle = !*cycle,
            _ => *owner = owner.is_none().then(|| pick(random, &model.keys(|w| matches!(w, What::Column(_))))).flatten(),
        },
        What::Function(f) => alter_function(model, random, f),
        What::Procedure { args, language, n: body, .. } => match random.below(3) {
            0 => *args = arguments(model, random),
            1 => *language = 1 - *language,
            _ => *body = n,
        },
        What::Aggregate { start, step, .. } => (*start, *step) = (random.below(9), random.below(3)),
        What::Table(table) => alter_table(model, random, key, table),
        What::Column(column) => alter_column(model, random, within, column),
        What::Unique { columns, primary, deferrable, include } => match random.below(4) {
            0 => columns.extend(pick(random, &model.columns(within))),
            1 => *primary = !*primary,
            2 => *deferrable = !*deferrable,
            _ => include.extend(pick(random, &model.columns(within))),
        },
        What::Check { expr: own, not_valid, no_inherit } => match random.below(4) {
            0 => *not_valid = !*not_valid,
            1 => *no_inherit = !*no_inherit,
            _ => other(own, expr(model, random, within)),
        },
        What::Exclusion { column, filter, deferrable } => match random.below(3) {
            0 => other(column, pick(random, &model.columns(within))),
            1 => *filter = expr(model, random, within),
            _ => *deferrable = !*deferrable,
        },
        What::ForeignKey { action, deferrable, not_valid, .. } => match random.below(3) {
            0 => *action = ACTIONS[random.below(ACTIONS.len())],
            1 => *deferrable = !*deferrable,
            _ => *not_valid = !*not_valid,
        },
        What::Index(index) => match random.below(6) {
            0 => index.columns.extend(pick(random, &model.columns(within))),
            1 => index.expr = expr(model, random, within),
            2 => index.filter = expr(model, random, within).filter(|_| !once_in(random, 3)),
            3 => index.unique = !index.unique,
            4 => (index.fillfactor, index.statistics) = (Some(50 + n), !index.statistics),
            _ => (index.hash, index.descending) = (!index.hash, !index.descending),
        },
        What::View(view) => match random.below(5) {
            0 => view.filter = expr(model, random, view.from),
            1 => view.materialized = !view.materialized,
            2 => view.grouped = !view.grouped,
            3 => view.option = view.option.is_none().then_some("security_barrier"),
            _ => view.turned = !view.turned,
        },
        What::Trigger { timing, of, when, statement, enabled, .. } => match random.below(5) {
            0 => *timing = random.below(3),
            1 => of.extend(pick(random, &model.columns(within))),
            2 => *when = expr(model, random, within),
            3 => *statement = !*statement,
            _ => *enabled = random.below(4),
        },
        What::Rule { event, filter, instead } => match random.below(3) {
            0 => *event = random.below(3),
            1 => *filter = expr(model, random, within),
            _ => *instead = !*instead,
        },
        What::Policy { expr: own, check, role, restrictive, command } => match random.below(5) {
            0 => other(own, expr(model, random, within)),
            1 => *check = expr(model, random, within),
            2 => *role = role.is_none().then(|| random.below(ROLES.len())),
            3 => *restrictive = !*restrictive,
            _ => *command = random.below(5),
        },
        What::Statistics { columns, kinds } => {
            columns.extend(pick(random, &model.columns(within)));
            *kinds = random.below(3);
        }
    }
    model.items.insert(key, item);
}

fn other<T>(own: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *own = new;
    }
}

fn alter_small(model: &Model, random: &mut Random, what: &mut What) {
    match what {
        What::TriggerFunction(n) => *n = random.below(50),
        What::Output { form, .. } => *form = random.below(2),
        What::DefaultPrivileges { schema, to, objects, .. } => match random.below(3) {
            0 => *schema = pick(random, &model.keys(|w| matches!(w, What::Schema))),
            1 => *to = random.below(ROLES.len() + 1),
            _ => *objects = random.below(4),
        },
        _ => {}
    }
}

fn alter_enum(random: &mut Random, labels: &mut Vec<String>) {
    let (new, at) = (label(random, labels), random.below(labels.len()));
    match random.below(5) {
        0 => labels.push(new),
        1 => labels.insert(at, new),
        2 if labels.len() > 1 => _ = labels.remove(at),
        3 => labels.rotate_left(1),
        _ => labels[at] = new,
    }
}

fn alter_function(model: &Model, random: &mut Random, f: &mut Function) {
    match random.below(8) {
        0 => f.args = arguments(model, random),
        1 => f.args.push((format!("b{}", f.args.len()), any_type(model, random))),
        2 => f.result = next_type(model, random, &f.result.clone()),
        3 => f.returns = random.below(3),
        4 => f.language = random.below(3),
        5 => f.volatility = random.below(3),
        6 => (f.strict, f.definer) = (!f.strict, once_in(random, 2)),
        _ => f.n = random.below(50),
    }
}

fn alter_table(model: &Model, random: &mut Random, key: Key, table: &mut Table) {
    let parents = model.keys(|w| matches!(w, What::Table(t) if t.by.is_none() && t.of.is_none()));
    match random.below(7) {
        0 => table.unlogged = !table.unlogged,
        1 => table.rls = !table.rls,
        2 => table.force = !table.force,
        3 => table.fillfactor = table.fillfactor.is_none().then(|| 50 + random.below(50)),
        4 => table.replica_full = !table.replica_full,
        // Parents are older than their heirs, so that no circle comes about.
        5 => table.inherits = table.inherits.is_none().then(|| pick(random, &parents)).flatten().filter(|p| *p < key),
        _ => _ = table.by.take(),
    }
}

fn alter_column(model: &Model, random: &mut Random, within: Key, column: &mut Column) {
    match random.below(12) {
        0..=4 if !matches!(column.ty, Type::Like(_)) => column.ty = next_type(model, random, &column.ty.clone()),
        5 => column.default = column.default.is_none().then(|| Default::Literal(random.below(50))),
        6 => column.not_null = !column.not_null,
        7 => column.identity = column.identity.is_none().then(|| once_in(random, 2)),
        8 => column.generated = column.generated.is_none().then(|| expr(model, random, within)).flatten(),
        9 => column.storage = column.storage.is_none().then_some("EXTERNAL"),
        10 => column.statistics = column.statistics.is_none().then(|| 10 + random.below(90)),
        _ => {
            let collations = model.keys(|w| matches!(w, What::Collation(_)));
            column.collation = column.collation.is_none().then(|| pick(random, &collations)).flatten();
        }
    }
}
