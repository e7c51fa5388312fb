//! Makes a model one that PostgreSQL takes: what cannot stand after a mutation is bent, or taken away with what rests on it.
//! Each rule is one of the server's, so that every model loads.

use super::model::*;
use super::refs::{each_expr, hard, soften};
use std::collections::BTreeSet;

impl Model {
    /// Until nothing changes any more.
    pub fn settle(&mut self) {
        loop {
            let before = self.clone();
            for key in self.items.keys().copied().collect::<Vec<_>>() {
                let Some(mut item) = self.items.get(&key).cloned() else { continue };
                soften(&mut item.what, &|k| !self.items.contains_key(&k));
                let whole = hard(&item.what).iter().chain([&item.within]).all(|k| self.items.contains_key(k));
                if key != PUBLIC && (!whole || !self.bend(key, &mut item)) {
                    self.items.remove(&key);
                } else {
                    self.items.insert(key, item);
                }
            }
            self.names_apart();
            if let Err(circle) = self.order() {
                self.break_circle(&circle);
            }
            if *self == before {
                break;
            }
        }
    }

    /// Functions let go of what they read; else the youngest of the circle goes.
    fn break_circle(&mut self, circle: &[Key]) {
        let mut broken = false;
        for key in circle {
            match self.items.get_mut(key).map(|i| &mut i.what) {
                Some(What::Function(f)) if f.reads.is_some() || f.calls.is_some() => {
                    (f.reads, f.calls, broken) = (None, None, true);
                }
                Some(What::Procedure { reads, .. }) if reads.is_some() => (*reads, broken) = (None, true),
                _ => {}
            }
        }
        if !broken && let Some(key) = circle.iter().max() {
            self.items.remove(key);
        }
    }

    /// One name space for a schema, one for a tree of tables.
    fn names_apart(&mut self) {
        let mut seen = BTreeSet::new();
        for key in self.items.keys().copied().collect::<Vec<_>>() {
            let item = &self.items[&key];
            let on_table = matches!(
                item.what,
                What::Column(_)
                    | What::Check { .. }
                    | What::ForeignKey { .. }
                    | What::Trigger { .. }
                    | What::Rule { .. }
                    | What::Policy { .. }
                    | What::Output { .. }
            );
            let scope = match &item.what {
                What::Schema => Key::MAX,
                _ if on_table => self.root(item.within),
                What::Unique { .. } | What::Exclusion { .. } | What::Index(_) | What::Statistics { .. } => {
                    self.items.get(&item.within).map_or(PUBLIC, |t| t.within)
                }
                _ => item.within,
            };
            // Constraints have their table's name space too.
            let second = matches!(item.what, What::Unique { .. } | What::Exclusion { .. }).then(|| self.root(item.within));
            let taken = second.is_some_and(|table| !seen.insert((table, item.name.clone())));
            if !seen.insert((scope, item.name.clone())) || taken {
                let name = format!("n{key}");
                seen.insert((scope, name.clone()));
                self.items.get_mut(&key).unwrap().name = name;
            }
        }
    }

    /// Whether the item may stay; it is changed where that is enough.
    fn bend(&self, key: Key, item: &mut Item) -> bool {
        let inside = self.columns(item.within);
        let table = self.table(item.within);
        let here = |k: &Key| inside.contains(k);
        if !self.calls_fit(&mut item.what) {
            return false;
        }
        match &mut item.what {
            What::Table(own) => self.bend_table(key, own),
            What::Column(column) => table.is_some_and(|t| t.of.is_none()) && self.bend_column(key, column, &inside),
            What::Unique { columns, primary, deferrable, include } => {
                let mut seen = BTreeSet::new();
                columns.retain(|k| seen.insert(*k));
                include.retain(|k| here(k) && !columns.contains(k));
                let target = |w: &What| matches!(w, What::ForeignKey { target, .. } if *target == key);
                *deferrable &= self.keys(target).is_empty();
                let second = |(k, i): (&Key, &Item)| {
                    i.within == item.within && *k < key && matches!(i.what, What::Unique { primary: true, .. })
                };
                *primary &= table.is_some_and(|t| t.of.is_none()) && !self.items.iter().any(second);
                // ATTACH takes whichever equal index it finds, so that it is open which of two becomes the parent's.
                let ancestors = std::iter::successors(table.and_then(|t| t.of), |o| self.table(o.0).and_then(|t| t.of));
                let above: Vec<Key> = ancestors.map(|o| o.0).collect();
                let same = |(k, i): (&Key, &Item)| above.contains(&i.within) && self.key_columns(*k) == self.key_columns(key);
                let twice =
                    !above.is_empty() && self.items.iter().any(|(k, i)| matches!(i.what, What::Unique { .. }) && same((k, i)));
                table.is_some() && !columns.is_empty() && columns.iter().all(here) && !twice
            }
            What::Check { expr, no_inherit, .. } => {
                *no_inherit &= table.is_some_and(|t| t.by.is_none() && t.of.is_none() && t.inherits.is_none());
                table.is_some() && here(&expr.column)
            }
            What::Exclusion { column, filter, .. } => {
                filter.take_if(|e| !here(&e.column));
                table.is_some_and(|t| t.by.is_none()) && here(column)
            }
            What::ForeignKey { columns, target, not_valid, .. } => {
                let wanted: Vec<Type> = self.key_columns(*target).iter().map(|k| self.type_of(*k)).collect();
                let types: Vec<Type> = columns.iter().map(|k| self.type_of(*k)).collect();
                *not_valid &= table.is_some_and(|t| t.by.is_none());
                let distinct = columns.iter().collect::<BTreeSet<_>>().len() == columns.len();
                // From a tree of partitions into one of its own tables: "being used by active queries", says the server.
                let theirs = self.items.get(target).map_or(item.within, |t| t.within);
                let inward = theirs != item.within && self.root(theirs) == self.root(item.within);
                // "cannot determine element type", says the server.
                let bounded = types.iter().any(|t| matches!(t, Type::Array(of) if self.type_sql(of).contains('(')));
                distinct && !inward && !bounded && table.is_some() && columns.iter().all(here) && types == wanted
            }
            What::Index(index) => self.bend_index(item.within, index, &inside),
            What::View(view) => {
                let valid = |k: Key| k != key && (self.table(k).is_some() || self.view(k).is_some());
                view.join.take_if(|k| !valid(*k));
                let all = self.sources(view);
                view.filter.take_if(|e| !all.contains(&e.column));
                // Its owner reads a view's tables: filling a materialized view would need rights that nobody has given.
                view.materialized &= !std::iter::once(view.from).chain(view.join).any(|k| self.owned(k));
                view.option.take_if(|_| view.materialized);
                valid(view.from)
            }
            What::Output { source, form, function } => {
                let fits = function.is_some_and(|f| self.callable(f, *source, false));
                if *form == 2 && !fits {
                    (*form, *function) = (0, None);
                }
                self.view(item.within).is_some_and(|v| self.sources(v).contains(source))
            }
            What::Trigger { function, timing, of, when, statement, enabled } => {
                let mut seen = BTreeSet::new();
                of.retain(|k| here(k) && seen.insert(*k));
                let computed = |k: Key| self.column(k).is_some_and(|c| c.generated.is_some());
                when.take_if(|e| *statement || !here(&e.column) || computed(e.column));
                if let Some(table) = table {
                    let tree = table.by.is_some() || table.of.is_some();
                    *timing = if tree || *statement { *timing % 2 } else { *timing };
                    *enabled = if tree { 0 } else { *enabled };
                }
                table.is_some() && matches!(self.what(*function), Some(What::TriggerFunction(_)))
            }
            What::Rule { filter, .. } => {
                filter.take_if(|e| !here(&e.column));
                table.is_some()
            }
            What::Policy { expr, check, .. } => {
                check.take_if(|e| !here(&e.column));
                table.is_some() && here(&expr.column)
            }
            What::Statistics { columns, .. } => {
                columns.retain(here);
                let mut seen = BTreeSet::new();
                columns.retain(|k| seen.insert(*k));
                table.is_some() && columns.len() > 1
            }
            What::Sequence { owner: Some(column), .. } => {
                // They have to have one owner and one schema.
                let place = self.items.get(column).map(|c| c.within).and_then(|t| self.items.get(&t));
                if let Some(table) = place {
                    (item.owner, item.within) = (table.owner, table.within);
                }
                true
            }
            What::Enum(labels) => !labels.is_empty(),
            // Types rest on older ones, so that no circle comes about.
            What::Composite(fields) => {
                let younger = |t: &Type| self.types_in(t).is_some_and(|k| k >= key);
                fields.iter_mut().filter(|f| younger(&f.1)).for_each(|f| f.1 = Type::Plain("text"));
                !fields.is_empty()
            }
            What::Domain { base, .. } => {
                if !matches!(base, Type::Plain(_)) {
                    *base = Type::Plain("text");
                }
                true
            }
            What::Function(f) => {
                f.reads.take_if(|k| !self.readable(*k));
                f.calls.take_if(|k| self.function(*k).is_none_or(|o| o.returns != 0) || *k == key);
                true
            }
            What::Procedure { reads, .. } => {
                reads.take_if(|k| !self.readable(*k));
                true
            }
            _ => true,
        }
    }

    /// Whether a role owns a view, or one that it reads.
    fn owned(&self, key: Key) -> bool {
        let owner = self.items.get(&key).and_then(|i| i.owner);
        self.view(key).is_some_and(|v| owner.is_some() || self.owned(v.from) || v.join.is_some_and(|j| self.owned(j)))
    }

    fn readable(&self, column: Key) -> bool {
        let whole = self.items.get(&column).and_then(|c| self.items.get(&c.within));
        whole.is_some_and(|i| matches!(i.what, What::Table(_) | What::View(_)))
    }

    /// The columns that a view can choose from.
    pub fn sources(&self, view: &View) -> Vec<Key> {
        std::iter::once(view.from).chain(view.join).flat_map(|r| self.columns(r)).collect()
    }

    /// Whether a function takes the column as its one argument that has no default.
    pub fn callable(&self, function: Key, column: Key, immutable: bool) -> bool {
        self.function(function).is_some_and(|f| {
            let first = f.args.first().is_some_and(|a| self.resolve(&a.1) == self.type_of(column));
            // Whoever owns the table of an index has to be allowed to call it, and to read what it reads.
            let reads = f.reads.is_some() || f.calls.is_some();
            let open = !immutable || !reads && self.items.get(&function).is_some_and(|i| !i.closed);
            first && open && f.returns == 0 && (!immutable || f.volatility == 0)
        })
    }

    /// Calls that do not fit are given up.
    fn calls_fit(&self, what: &mut What) -> bool {
        let immutable = matches!(what, What::Index(_) | What::Column(_) | What::Exclusion { .. });
        each_expr(what, |e| {
            e.function.take_if(|f| !self.callable(*f, e.column, immutable));
        });
        true
    }

    fn bend_table(&self, key: Key, own: &mut Table) -> bool {
        if let Some((parent, slot)) = own.of {
            let by = self.table(parent).and_then(|t| t.by);
            let taken = self
                .partitions(parent)
                .iter()
                .any(|k| *k < key && self.table(*k).and_then(|t| t.of).is_some_and(|(_, s)| s.at == slot.at));
            if taken || by.is_none() || by.is_some_and(|b| b.0 == "HASH" && slot.at.is_none()) || parent == key {
                own.of = None;
            }
        }
        let inside = self.columns(key);
        let sortable = |k: Key| {
            let plain = self.column(k).is_some_and(|c| c.generated.is_none());
            plain && inside.contains(&k) && matches!(self.class(&self.type_of(k)), Class::Number | Class::Text | Class::Day)
        };
        own.by.take_if(|b| !sortable(b.1));
        if own.by.is_some() {
            (own.unlogged, own.fillfactor) = (false, None);
        }
        let heir = |p: Key| self.table(p).is_some_and(|t| t.by.is_none() && t.of.is_none()) && p != key;
        own.inherits.take_if(|p| own.by.is_some() || own.of.is_some() || !heir(*p));
        let referenced = |w: &What| match w {
            What::ForeignKey { columns, target, .. } => {
                columns.iter().chain([target]).any(|k| self.items.get(k).is_some_and(|i| self.root(i.within) == self.root(key)))
            }
            _ => false,
        };
        // References between logged and unlogged tables are refused.
        own.unlogged &= self.keys(referenced).is_empty();
        true
    }

    fn bend_column(&self, key: Key, column: &mut Column, inside: &[Key]) -> bool {
        let class = self.class(&column.ty);
        let resolved = self.resolve(&column.ty);
        let whole = matches!(resolved, Type::Plain("integer" | "bigint" | "smallint"));
        let splits = |w: &What| matches!(w, What::Table(t) if t.by.is_some_and(|b| b.1 == key));
        let refers = |w: &What| matches!(w, What::ForeignKey { columns, .. } if columns.contains(&key));
        let computed = |k: Key| self.column(k).is_some_and(|c| c.generated.is_some());
        let plain = self.keys(splits).is_empty() && self.keys(refers).is_empty();
        column.generated.take_if(|e| !plain || e.column == key || !inside.contains(&e.column) || computed(e.column));
        if column.generated.is_some() {
            (column.default, column.identity) = (None, None);
        }
        column.identity.take_if(|_| !whole);
        if column.identity.is_some() {
            (column.default, column.not_null) = (None, true);
        }
        column.default.take_if(|d| match d {
            Default::Literal(_) => class == Class::Row,
            Default::Next(_) => class != Class::Number,
            Default::Now => class != Class::Day,
            Default::Call(f) => {
                self.function(*f).is_none_or(|f| !f.args.is_empty() || f.returns != 0 || self.resolve(&f.result) != resolved)
            }
        });
        column.storage.take_if(|_| resolved != Type::Plain("text"));
        column.collation.take_if(|_| class != Class::Text || !plain);
        true
    }

    fn bend_index(&self, within: Key, index: &mut Index, inside: &[Key]) -> bool {
        let here = |k: &Key| inside.contains(k);
        let table = self.table(within);
        let materialized = self.view(within).is_some_and(|v| v.materialized);
        index.columns.dedup();
        index.include.retain(|k| here(k) && !index.columns.contains(k));
        index.filter.take_if(|e| !here(&e.column));
        if table.is_some_and(|t| t.by.is_some()) {
            (index.unique, index.fillfactor, index.statistics) = (false, None, false);
        }
        index.hash &= index.columns.len() + usize::from(index.expr.is_some()) == 1;
        if index.hash {
            index.include.clear();
            (index.unique, index.descending) = (false, false);
        }
        // A condition that is nothing but a column is no expression.
        let column =
            |e: &Expr| self.class(&self.type_of(e.column)) == Class::Bool && e.function.is_none() && !e.form.is_multiple_of(4);
        index.statistics &= index.expr.as_ref().is_some_and(|e| !column(e));
        let all = index.columns.iter().chain(index.expr.iter().map(|e| &e.column)).all(here);
        let some = !index.columns.is_empty() || index.expr.is_some();
        (table.is_some() || materialized) && all && some
    }
}
