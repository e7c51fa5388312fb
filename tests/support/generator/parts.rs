//! What stands on tables, at random.

use super::make::{ACTIONS, expr, once_in, pick, place, some_columns};
use super::model::*;
use super::names::fresh;
use crate::support::random::Random;

pub fn unique(model: &mut Model, random: &mut Random, table: Key) {
    let columns = some_columns(model, random, table, 2);
    let include = if once_in(random, 5) { some_columns(model, random, table, 1) } else { Vec::new() };
    let what = What::Unique { columns, primary: !once_in(random, 3), deferrable: once_in(random, 5), include };
    let name = fresh(model, random, "key");
    model.add(name, table, what);
}

pub fn check(model: &mut Model, random: &mut Random, table: Key) {
    let Some(expr) = expr(model, random, table) else { return };
    let what = What::Check { expr, not_valid: once_in(random, 5), no_inherit: once_in(random, 5) };
    let name = fresh(model, random, "chk");
    model.add(name, table, what);
}

pub fn foreign_key(model: &mut Model, random: &mut Random) {
    let Some(target) = pick(random, &model.keys(|w| matches!(w, What::Unique { .. }))) else { return };
    let Some(table) = pick(random, &model.keys(|w| matches!(w, What::Table(t) if t.of.is_none()))) else { return };
    let mut columns = Vec::new();
    for theirs in model.key_columns(target) {
        if model.class(&model.type_of(theirs)) == Class::Row {
            return;
        }
        let name = fresh(model, random, "ref");
        columns.push(model.add(name, table, What::Column(Column { ty: Type::Like(theirs), ..Column::default() })));
    }
    let action = ACTIONS[random.below(ACTIONS.len())];
    let what = What::ForeignKey { columns, target, action, deferrable: once_in(random, 4), not_valid: once_in(random, 6) };
    let name = fresh(model, random, "fk");
    model.add(name, table, what);
}

pub fn index(model: &mut Model, random: &mut Random) {
    let relations = model.keys(|w| matches!(w, What::Table(_)) || matches!(w, What::View(v) if v.materialized));
    let Some(relation) = pick(random, &relations) else { return };
    let index = Index {
        columns: some_columns(model, random, relation, 2),
        expr: expr(model, random, relation).filter(|_| once_in(random, 2)),
        filter: expr(model, random, relation).filter(|_| once_in(random, 3)),
        unique: once_in(random, 4),
        include: if once_in(random, 4) { some_columns(model, random, relation, 1) } else { Vec::new() },
        hash: once_in(random, 6),
        descending: once_in(random, 4),
        fillfactor: once_in(random, 6).then(|| 50 + random.below(50)),
        statistics: once_in(random, 4),
    };
    let name = fresh(model, random, "ix");
    model.add(name, relation, What::Index(index));
}

pub fn trigger(model: &mut Model, random: &mut Random) {
    let functions = model.keys(|w| matches!(w, What::TriggerFunction(_)));
    let function = pick(random, &functions).filter(|_| !once_in(random, 3)).unwrap_or_else(|| {
        let (within, name) = (place(model, random), fresh(model, random, "tf"));
        let n = random.below(50);
        model.add(name, within, What::TriggerFunction(n))
    });
    let Some(table) = pick(random, &model.keys(|w| matches!(w, What::Table(_)))) else { return };
    let of = if once_in(random, 2) { some_columns(model, random, table, 2) } else { Vec::new() };
    let when = expr(model, random, table).filter(|_| once_in(random, 2));
    let (statement, enabled) = (once_in(random, 4), if once_in(random, 3) { random.below(4) } else { 0 });
    let name = fresh(model, random, "tr");
    model.add(name, table, What::Trigger { function, timing: random.below(3), of, when, statement, enabled });
}

pub fn rule(model: &mut Model, random: &mut Random, table: Key) {
    let filter = expr(model, random, table).filter(|_| !once_in(random, 3));
    let name = fresh(model, random, "rule");
    model.add(name, table, What::Rule { event: random.below(3), filter, instead: once_in(random, 2) });
}

pub fn policy(model: &mut Model, random: &mut Random, table: Key) {
    let Some(condition) = expr(model, random, table) else { return };
    let check = expr(model, random, table).filter(|_| once_in(random, 2));
    let role = (!once_in(random, 2)).then(|| random.below(ROLES.len()));
    let what = What::Policy { expr: condition, check, role, restrictive: once_in(random, 3), command: random.below(5) };
    let name = fresh(model, random, "pol");
    model.add(name, table, what);
}

pub fn statistics_or_exclusion(model: &mut Model, random: &mut Random, table: Key) {
    let what = if once_in(random, 2) {
        What::Statistics { columns: some_columns(model, random, table, 4), kinds: random.below(3) }
    } else {
        let Some(column) = pick(random, &model.columns(table)) else { return };
        let filter = expr(model, random, table).filter(|_| once_in(random, 3));
        What::Exclusion { column, filter, deferrable: once_in(random, 3) }
    };
    let name = fresh(model, random, "st");
    model.add(name, table, what);
}
