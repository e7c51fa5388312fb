//! What items rest on: what must be made before them, and what they lose when something goes.

use super::model::*;

/// The keys that an item cannot be without, types and functions of expressions left aside.
pub fn hard(what: &What) -> Vec<Key> {
    match what {
        What::Unique { columns, .. } | What::Statistics { columns, .. } => columns.clone(),
        What::Check { expr, .. } | What::Policy { expr, .. } => vec![expr.column],
        What::Exclusion { column, .. } => vec![*column],
        What::ForeignKey { columns, target, .. } => columns.iter().copied().chain([*target]).collect(),
        What::Index(index) => index.columns.iter().copied().chain(index.expr.iter().map(|e| e.column)).collect(),
        What::View(view) => vec![view.from],
        What::Output { source, .. } => vec![*source],
        What::Trigger { function, .. } => vec![*function],
        What::DefaultPrivileges { schema, .. } => schema.iter().copied().collect(),
        _ => Vec::new(),
    }
}

fn exprs(what: &mut What) -> Vec<&mut Expr> {
    match what {
        What::Check { expr, .. } => vec![expr],
        What::Policy { expr, check, .. } => std::iter::once(expr).chain(check).collect(),
        What::Exclusion { filter, .. } | What::Rule { filter, .. } => filter.iter_mut().collect(),
        What::Index(index) => index.expr.iter_mut().chain(&mut index.filter).collect(),
        What::View(view) => view.filter.iter_mut().collect(),
        What::Trigger { when, .. } => when.iter_mut().collect(),
        What::Column(column) => column.generated.iter_mut().collect(),
        _ => Vec::new(),
    }
}

/// The functions that expressions call may be forgotten.
pub fn each_expr(what: &mut What, mut act: impl FnMut(&mut Expr)) {
    exprs(what).into_iter().for_each(&mut act);
}

fn types(what: &mut What) -> Vec<&mut Type> {
    match what {
        What::Domain { base, .. } => vec![base],
        What::Composite(fields) => fields.iter_mut().map(|f| &mut f.1).collect(),
        What::Function(f) => f.args.iter_mut().map(|a| &mut a.1).chain([&mut f.result]).collect(),
        What::Procedure { args, .. } => args.iter_mut().map(|a| &mut a.1).collect(),
        What::Column(column) => vec![&mut column.ty],
        _ => Vec::new(),
    }
}

/// Forgets what is gone wherever an item can go on without it; types fall back to text.
pub fn soften(what: &mut What, gone: &dyn Fn(Key) -> bool) {
    for ty in types(what) {
        let inner = match ty {
            Type::Array(inner) => inner.as_mut(),
            other => other,
        };
        if matches!(inner, Type::Of(k) | Type::Like(k) if gone(*k)) {
            *inner = Type::Plain("text");
        }
    }
    each_expr(what, |e| {
        e.function.take_if(|k| gone(*k));
    });
    match what {
        What::Column(column) => {
            column.default.take_if(|d| matches!(d, Default::Next(k) | Default::Call(k) if gone(*k)));
            column.collation.take_if(|k| gone(*k));
            column.generated.take_if(|e| gone(e.column));
        }
        What::Table(table) => {
            table.by.take_if(|b| gone(b.1));
            table.inherits.take_if(|k| gone(*k));
        }
        What::Sequence { owner, .. } => _ = owner.take_if(|k| gone(*k)),
        What::Function(f) => {
            f.reads.take_if(|k| gone(*k));
            f.calls.take_if(|k| gone(*k));
        }
        What::Procedure { reads, .. } => _ = reads.take_if(|k| gone(*k)),
        What::Exclusion { filter, .. } | What::Rule { filter, .. } => _ = filter.take_if(|e| gone(e.column)),
        What::Index(index) => {
            index.filter.take_if(|e| gone(e.column));
            index.include.retain(|k| !gone(*k));
        }
        What::View(view) => {
            view.join.take_if(|k| gone(*k));
            view.filter.take_if(|e| gone(e.column));
        }
        What::Output { function, .. } => _ = function.take_if(|k| gone(*k)),
        What::Policy { check, .. } => _ = check.take_if(|e| gone(e.column)),
        What::Unique { include, .. } => include.retain(|k| !gone(*k)),
        What::Trigger { of, when, .. } => {
            of.retain(|k| !gone(*k));
            when.take_if(|e| gone(e.column));
        }
        _ => {}
    }
}

/// Everything that must stand before the item can be made, as whole statements: a column's are its table's. What comes late
/// (foreign keys, owners of sequences) is no part of it.
pub fn before(model: &Model, key: Key) -> Vec<Key> {
    let item = &model.items[&key];
    let mut what = item.what.clone();
    let mut list: Vec<Key> = types(&mut what).into_iter().filter_map(|t| model.types_in(t)).collect();
    each_expr(&mut what, |e| list.extend(std::iter::once(e.column).chain(e.function)));
    list.extend(hard(&what));
    match &what {
        What::Column(column) => {
            list.extend(column.collation);
            list.extend(column.default.iter().filter_map(|d| match d {
                Default::Next(k) | Default::Call(k) => Some(*k),
                _ => None,
            }));
        }
        What::Table(table) => {
            list.extend(table.of.map(|o| o.0).or(table.inherits));
            list.extend(model.keys_within(key));
        }
        What::Function(f) => list.extend(f.reads.into_iter().chain(f.calls)),
        What::Procedure { reads, .. } => list.extend(reads),
        What::View(view) => {
            list.extend(view.join);
            list.extend(model.keys_within(key));
        }
        What::Output { function, .. } => list.extend(function),
        _ => {}
    }
    let own = model.unit(key);
    let mut units: Vec<Key> = list.into_iter().flat_map(|k| [model.unit(k), k]).filter(|k| *k != key && *k != own).collect();
    if model.unit(key) == key {
        units.push(model.unit(item.within));
    }
    units.sort_unstable();
    units.dedup();
    units.retain(|k| *k != key);
    units
}

impl Model {
    /// Columns and outputs that stand in the statement of their table or view.
    pub fn keys_within(&self, relation: Key) -> Vec<Key> {
        let inside = |i: &Item| i.within == relation && matches!(i.what, What::Column(_) | What::Output { .. });
        self.items.iter().filter(|(_, i)| inside(i)).map(|(k, _)| *k).collect()
    }

    /// The item whose statement makes this one.
    pub fn unit(&self, key: Key) -> Key {
        match self.items.get(&key) {
            Some(Item { within, what: What::Column(_) | What::Output { .. }, .. }) => *within,
            _ => key,
        }
    }

    /// All statements in an order that works; the error is a circle of items.
    pub fn order(&self) -> Result<Vec<Key>, Vec<Key>> {
        let (mut done, mut open) = (Vec::new(), Vec::new());
        for key in self.items.keys() {
            self.visit(*key, &mut done, &mut open)?;
        }
        Ok(done)
    }

    fn visit(&self, key: Key, done: &mut Vec<Key>, open: &mut Vec<Key>) -> Result<(), Vec<Key>> {
        // What is named and gone is let go of in the next round of `settle`.
        if done.contains(&key) || !self.items.contains_key(&key) {
            return Ok(());
        }
        if open.contains(&key) {
            return Err(open.clone());
        }
        open.push(key);
        // A column alone is no statement; only what it rests on counts.
        for other in before(self, key) {
            self.visit(other, done, open)?;
        }
        open.pop();
        done.push(key);
        Ok(())
    }
}
