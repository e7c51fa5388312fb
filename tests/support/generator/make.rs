//! New things at random, fitting what is there.

use super::model::*;
use super::names::{fresh, label};
use super::parts::{check, foreign_key, index, policy, rule, statistics_or_exclusion, trigger, unique};
use crate::support::random::Random;

const PLAIN: &[&str] = &[
    "integer",
    "integer",
    "bigint",
    "smallint",
    "numeric(10,2)",
    "text",
    "text",
    "varchar(20)",
    "boolean",
    "date",
    "timestamp",
    "timestamptz",
    "uuid",
    "jsonb",
    "double precision",
];

pub const ACTIONS: &[&str] = &["", "ON DELETE CASCADE", "ON DELETE SET NULL", "ON UPDATE CASCADE", "MATCH FULL"];

pub fn pick<T: Clone>(random: &mut Random, list: &[T]) -> Option<T> {
    (!list.is_empty()).then(|| list[random.below(list.len())].clone())
}

/// Once in `n` times.
pub fn once_in(random: &mut Random, n: usize) -> bool {
    random.below(n) == 0
}

/// A schema of moderate size.
pub fn model(random: &mut Random) -> Model {
    let mut model = Model::new();
    for _ in 0..random.below(3) {
        schema(&mut model, random);
    }
    for _ in 0..2 + random.below(3) {
        kind_of_type(&mut model, random);
    }
    for _ in 0..2 + random.below(3) {
        table(&mut model, random);
    }
    for _ in 0..6 + random.below(10) {
        anything(&mut model, random);
    }
    model.settle();
    model
}

/// Something more.
pub fn anything(model: &mut Model, random: &mut Random) {
    match random.below(30) {
        0 => schema(model, random),
        1 => kind_of_type(model, random),
        2 => sequence(model, random),
        3..=5 => function(model, random),
        6 => aggregate_or_procedure(model, random),
        7..=8 => table(model, random),
        9 => partition(model, random),
        10..=12 => on_table(model, random, |m, r, t| _ = column(m, r, t)),
        13 => on_table(model, random, unique),
        14 => on_table(model, random, check),
        15..=16 => foreign_key(model, random),
        17..=18 => index(model, random),
        19..=21 => view(model, random),
        22 => output(model, random),
        23..=24 => trigger(model, random),
        25 => on_table(model, random, rule),
        26 => on_table(model, random, policy),
        27 => on_table(model, random, statistics_or_exclusion),
        28 => default_privileges(model, random),
        _ => {}
    }
    for _ in 0..2 {
        satellite(model, random);
    }
    model.settle();
}

pub fn place(model: &Model, random: &mut Random) -> Key {
    pick(random, &model.keys(|w| matches!(w, What::Schema))).unwrap_or(PUBLIC)
}

fn schema(model: &mut Model, random: &mut Random) {
    let name = fresh(model, random, "s");
    model.add(name, PUBLIC, What::Schema);
}

pub fn any_type(model: &Model, random: &mut Random) -> Type {
    let own = |w: &What| matches!(w, What::Enum(_) | What::Domain { .. } | What::Composite(_) | What::Range(_));
    let plain = Type::Plain(PLAIN[random.below(PLAIN.len())]);
    match random.below(8) {
        0..=2 => pick(random, &model.keys(own)).map_or(plain, Type::Of),
        3 if once_in(random, 2) => {
            let inner = pick(random, &model.keys(|w| matches!(w, What::Enum(_)))).map_or(plain, Type::Of);
            Type::Array(Box::new(inner))
        }
        _ => plain,
    }
}

fn kind_of_type(model: &mut Model, random: &mut Random) {
    let what = match random.below(8) {
        0..=2 => {
            let mut labels = Vec::new();
            for _ in 0..1 + random.below(5) {
                labels.push(label(random, &labels));
            }
            What::Enum(labels)
        }
        3..=4 => {
            let base = Type::Plain(PLAIN[random.below(PLAIN.len())]);
            let number = |r: &mut Random| (!once_in(r, 2)).then(|| r.below(50));
            What::Domain { base, not_null: once_in(random, 6), default: number(random), check: number(random) }
        }
        5 => {
            let enums = model.keys(|w| matches!(w, What::Enum(_)));
            let field = |r: &mut Random, i: usize| {
                let ty = pick(r, &enums).filter(|_| once_in(r, 3)).map(Type::Of);
                (format!("f{i}"), ty.unwrap_or(Type::Plain(PLAIN[r.below(PLAIN.len())])))
            };
            What::Composite((0..1 + random.below(3)).map(|i| field(random, i)).collect())
        }
        6 => What::Range(["integer", "date", "numeric", "text"][random.below(4)]),
        _ => What::Collation(COLLATIONS[random.below(COLLATIONS.len())]),
    };
    let (within, name) = (place(model, random), fresh(model, random, "ty"));
    model.add(name, within, what);
}

pub const COLLATIONS: &[&str] = &["locale = 'C'", "provider = icu, locale = 'de-DE'", "provider = icu, locale = 'und'"];

fn sequence(model: &mut Model, random: &mut Random) {
    let owner = pick(random, &model.keys(|w| matches!(w, What::Column(_)))).filter(|_| once_in(random, 3));
    let ty = ["bigint", "integer", "smallint"][random.below(3)];
    let what =
        What::Sequence { ty, increment: 1 + random.below(9), cache: 1 + random.below(9), cycle: once_in(random, 3), owner };
    let (within, name) = (place(model, random), fresh(model, random, "seq"));
    model.add(name, within, what);
}

/// Arguments: the first one often of a column's type, whatever that is.
pub fn arguments(model: &Model, random: &mut Random) -> Vec<(String, Type)> {
    let columns = model.keys(|w| matches!(w, What::Column(_)));
    let mut list = Vec::new();
    for i in 0..random.below(3) + usize::from(!once_in(random, 4)) {
        let like = pick(random, &columns).filter(|_| i == 0).map(Type::Like);
        list.push((format!("a{i}"), like.unwrap_or_else(|| any_type(model, random))));
    }
    list
}

pub fn function(model: &mut Model, random: &mut Random) {
    let columns = model.keys(|w| matches!(w, What::Column(_) | What::Output { .. }));
    let functions = model.keys(|w| matches!(w, What::Function(_)));
    let f = Function {
        args: arguments(model, random),
        result: if once_in(random, 3) {
            any_type(model, random)
        } else {
            Type::Plain(["boolean", "integer", "text"][random.below(3)])
        },
        returns: if once_in(random, 4) { 1 + random.below(2) } else { 0 },
        language: random.below(3),
        volatility: if once_in(random, 3) { random.below(3) } else { 0 },
        strict: once_in(random, 5),
        definer: once_in(random, 6),
        n: random.below(50),
        reads: pick(random, &columns).filter(|_| once_in(random, 3)),
        calls: pick(random, &functions).filter(|_| once_in(random, 4)),
    };
    let (within, name) = (place(model, random), fresh(model, random, "f"));
    model.add(name, within, What::Function(f));
}

fn aggregate_or_procedure(model: &mut Model, random: &mut Random) {
    let columns = model.keys(|w| matches!(w, What::Column(_)));
    let what = if once_in(random, 2) {
        What::Aggregate { ty: "integer", start: random.below(9), step: random.below(3) }
    } else {
        let reads = pick(random, &columns).filter(|_| once_in(random, 2));
        What::Procedure { args: arguments(model, random), language: random.below(2), reads, n: random.below(50) }
    };
    let (within, name) = (place(model, random), fresh(model, random, "p"));
    model.add(name, within, what);
}

fn table(model: &mut Model, random: &mut Random) {
    let parents = model.keys(|w| matches!(w, What::Table(t) if t.by.is_none() && t.of.is_none()));
    let own = Table {
        unlogged: once_in(random, 8),
        inherits: pick(random, &parents).filter(|_| once_in(random, 6)),
        rls: once_in(random, 4),
        force: once_in(random, 8),
        fillfactor: once_in(random, 6).then(|| 50 + random.below(50)),
        replica_full: once_in(random, 8),
        ..Table::default()
    };
    let heir = own.inherits.is_some();
    let (within, name) = (place(model, random), fresh(model, random, "t"));
    let key = model.add(name, within, What::Table(own));
    for _ in 0..2 + random.below(4) {
        column(model, random, key);
    }
    if !once_in(random, 3) {
        unique(model, random, key);
    }
    if !heir && once_in(random, 3) {
        let column = model.columns(key)[0];
        split(model, random, key, column);
        for _ in 0..1 + random.below(3) {
            partition(model, random);
        }
    }
    model.settle();
}

/// Makes a partitioned table of a plain one.
pub fn split(model: &mut Model, random: &mut Random, key: Key, column: Key) {
    let strategy = ["RANGE", "LIST", "LIST", "HASH"][random.below(4)];
    if let Some(What::Table(table)) = model.items.get_mut(&key).map(|i| &mut i.what) {
        table.by = Some((strategy, column));
    }
    if let Some(What::Column(column)) = model.items.get_mut(&column).map(|i| &mut i.what) {
        let ty = ["integer", "bigint", "text", "date", "timestamptz"][random.below(5)];
        *column = Column { ty: Type::Plain(ty), not_null: column.not_null, ..Column::default() };
    }
}

fn partition(model: &mut Model, random: &mut Random) {
    let parents = model.keys(|w| matches!(w, What::Table(t) if t.by.is_some()));
    let Some(parent) = pick(random, &parents) else { return };
    let slot = Slot { at: (!once_in(random, 6)).then(|| random.below(8)), free: random.below(4) };
    let own = Table { of: Some((parent, slot)), unlogged: false, rls: once_in(random, 6), ..Table::default() };
    let (within, name) = (model.items[&parent].within, fresh(model, random, "part"));
    let key = model.add(name, within, What::Table(own));
    if once_in(random, 4)
        && let Some(column) = pick(random, &model.columns(parent))
    {
        let strategy = ["RANGE", "LIST", "HASH"][random.below(3)];
        if let Some(What::Table(table)) = model.items.get_mut(&key).map(|i| &mut i.what) {
            table.by = Some((strategy, column));
        }
        model.settle();
        if model.table(key).is_some_and(|t| t.by.is_some()) {
            let slot = Slot { at: Some(random.below(8)), free: 0 };
            let name = fresh(model, random, "sub");
            model.add(name, within, What::Table(Table { of: Some((key, slot)), ..Table::default() }));
        }
    }
}

/// Does something to a random table.
fn on_table(model: &mut Model, random: &mut Random, act: fn(&mut Model, &mut Random, Key)) {
    if let Some(table) = pick(random, &model.keys(|w| matches!(w, What::Table(_)))) {
        act(model, random, table);
    }
}

pub fn column(model: &mut Model, random: &mut Random, table: Key) -> Key {
    let functions = model.keys(|w| matches!(w, What::Function(f) if f.args.is_empty()));
    let sequences = model.keys(|w| matches!(w, What::Sequence { .. }));
    let mut own = Column { ty: any_type(model, random), not_null: once_in(random, 3), ..Column::default() };
    own.default = match random.below(8) {
        0..=2 => Some(Default::Literal(random.below(50))),
        3 => Some(Default::Now),
        4 => pick(random, &sequences).map(Default::Next),
        5 => pick(random, &functions).map(Default::Call),
        _ => None,
    };
    own.identity = once_in(random, 5).then(|| once_in(random, 2));
    own.generated = expr(model, random, table).filter(|_| once_in(random, 6));
    own.storage = once_in(random, 6).then(|| ["EXTERNAL", "MAIN", "EXTENDED"][random.below(3)]);
    own.statistics = once_in(random, 8).then(|| 10 + random.below(90));
    own.collation = pick(random, &model.keys(|w| matches!(w, What::Collation(_)))).filter(|_| once_in(random, 2));
    let name = fresh(model, random, "c");
    let key = model.add(name, table, What::Column(own));
    model.settle();
    key
}

/// An expression over one of a relation's columns, with a function that takes it if there is one.
pub fn expr(model: &Model, random: &mut Random, relation: Key) -> Option<Expr> {
    let column = pick(random, &model.columns(relation))?;
    let functions: Vec<Key> =
        model.keys(|w| matches!(w, What::Function(_))).into_iter().filter(|f| model.callable(*f, column, false)).collect();
    let function = pick(random, &functions).filter(|_| !once_in(random, 3));
    Some(Expr { form: random.below(12), column, function, n: random.below(50) })
}

pub fn some_columns(model: &Model, random: &mut Random, relation: Key, most: usize) -> Vec<Key> {
    let n = 1 + random.below(most);
    random.sample(model.columns(relation), n)
}

fn view(model: &mut Model, random: &mut Random) {
    let relations = model.keys(|w| matches!(w, What::Table(_) | What::View(_)));
    let Some(from) = pick(random, &relations) else { return };
    let join = pick(random, &relations).filter(|j| once_in(random, 3) && *j != from);
    let view = View {
        from,
        join,
        filter: expr(model, random, from).filter(|_| once_in(random, 2)),
        materialized: once_in(random, 3),
        grouped: once_in(random, 4),
        option: once_in(random, 4).then_some("security_barrier"),
        turned: once_in(random, 4),
    };
    let (within, name) = (place(model, random), fresh(model, random, "v"));
    let key = model.add(name, within, What::View(view));
    for _ in 0..1 + random.below(4) {
        output_of(model, random, key);
    }
}

fn output(model: &mut Model, random: &mut Random) {
    if let Some(view) = pick(random, &model.keys(|w| matches!(w, What::View(_)))) {
        output_of(model, random, view);
    }
}

fn output_of(model: &mut Model, random: &mut Random, view: Key) {
    let Some(own) = model.view(view) else { return };
    let Some(source) = pick(random, &model.sources(own)) else { return };
    let callable = |f: &Key| model.callable(*f, source, false);
    let functions: Vec<Key> = model.keys(|w| matches!(w, What::Function(_))).into_iter().filter(callable).collect();
    let function = pick(random, &functions);
    let form = if function.is_some() { 2 } else { usize::from(once_in(random, 4)) };
    let name = fresh(model, random, "o");
    model.add(name, view, What::Output { source, form, function });
}

fn default_privileges(model: &mut Model, random: &mut Random) {
    let schema = once_in(random, 2).then(|| place(model, random));
    let (by, to) = (random.below(ROLES.len() + 1), random.below(ROLES.len() + 1));
    let what = What::DefaultPrivileges { schema, by, to, objects: random.below(4) };
    model.add(format!("dp{}", model.next), PUBLIC, what);
}

/// Another owner, a grant, a comment.
pub fn satellite(model: &mut Model, random: &mut Random) {
    let keys: Vec<Key> = model.items.keys().copied().filter(|k| *k != PUBLIC || random.below(4) == 0).collect();
    let Some(item) = pick(random, &keys).and_then(|k| model.items.get_mut(&k)) else { return };
    match random.below(6) {
        0 if item.within == PUBLIC && item.name == "public" => {}
        0 => item.owner = (!once_in(random, 3)).then(|| random.below(ROLES.len())),
        1 | 2 => _ = item.grants.insert(random.below(ROLES.len() + 1), (random.below(3), once_in(random, 3))),
        3 => _ = item.grants.pop_first(),
        4 => item.closed = !item.closed,
        _ => item.comment = (!once_in(random, 4)).then(|| random.below(50)),
    }
}
