//! A column's type changed by another column: a new one is made beside it, a trigger keeps it up to date, the rows that stand are
//! filled in batches, indexes are built over it, and in one brief transaction it takes the old one's place. Nobody waits for the
//! rows to be written. The column is the table's last one afterwards.

use super::column::{Column, drop_column, extras, words_with};
use super::domain::is_constrained;
use super::exchange_users::{OWN, again, built, in_the_way, over, same, satellites};
use super::relation::{is_partitioned, name_beside};
use super::retype::{conversion, converts, is_rewritten, loses, retype};
use super::{Context, analyze, fill, identity, not_null, of, row_checks, sequence_owner};
use crate::catalog::{Catalog, Dependency, Id, Object};
use crate::sql::{dollar_quoted, free_name, ident, qualified};
use crate::statement::{LockMode, RowCheck, Statement, Transaction};

/// The names that are made for it, as SQL but for the column's.
struct Names {
    table: String,
    column: String,
    function: String,
    trigger: String,
}

impl Names {
    fn new(context: &Context, column: &Object, table: &Id) -> Names {
        let sides = [context.live, context.desired];
        let is_column = |name: &String| sides.iter().any(|side| side.contains(&table.part("column", name)));
        let is_trigger = |name: &String| sides.iter().any(|side| side.contains(&table.part("trigger", name)));
        let id = |name: &str| Id::with_args("function", [table.first(), name], Some(Vec::new()));
        let is_function = |name: &String| sides.iter().any(|side| side.contains(&id(name)));
        let base = column.id.base();
        let function = free_name(&name_beside(&format!("{}_{base}", table.base()), "__plumb"), "_keep", &is_function);
        Names {
            table: table.sql(),
            column: free_name(&name_beside(base, "__plumb"), "_new", &is_column),
            function: qualified(&[table.first(), &function]),
            // Triggers fire in the order of their names, and this one has to see what the others leave.
            trigger: ident(&free_name(&name_beside(&format!("~~{base}"), "__plumb"), "_keep", &is_trigger)),
        }
    }

    fn change(&self, action: &str, mode: LockMode) -> Statement {
        Statement::new(format!("ALTER TABLE {} {action}", self.table)).lock(&self.table, mode)
    }
}

/// Whether the files ask for it, and the change is one that would write or read all rows under its lock.
fn is_asked(context: &Context, old: &Object, new: &Object) -> bool {
    let sorts = old.text("collation") != new.text("collation");
    new.detail.contains_key("exchange") && (sorts || is_rewritten(context, old, new))
}

/// Why a column whose exchange is asked for takes the direct form all the same.
pub fn refused(context: &Context, old: &Object, new: &Object, changed: &[String]) -> Option<String> {
    let why = Some(()).filter(|()| is_asked(context, old, new)).and_then(|()| obstacle(context, old, new, changed))?;
    Some(format!("{} cannot be exchanged as its directive asks, and changes its type under lock: {why}", new.id))
}

fn obstacle(context: &Context, old: &Object, new: &Object, changed: &[String]) -> Option<String> {
    let (table, column) = (new.parent.as_ref()?, new.read::<Column>());
    if [context.live, context.desired].iter().any(|side| shares(side, table, &new.id)) {
        return Some(format!("{} shares its columns with other tables", table.sql()));
    }
    const WITH_TYPE: &[&str] = &["type", "collation", "storage", "compression", "identity"];
    let keeps_identity = old.definition.contains_key("identity") == column.identity.is_some();
    if let Some(other) = changed.iter().find(|f| !WITH_TYPE.contains(&f.as_str()) || *f == "identity" && !keeps_identity) {
        return Some(format!("its {} changes with it", other.replace('_', " ")));
    }
    if not_null::is_special(new) {
        return Some("its NOT NULL is NOT VALID or NO INHERIT".to_owned());
    }
    if column.generated.is_some() {
        return Some("it is a computed column".to_owned());
    }
    if is_constrained(context, new) {
        return Some("a column of a domain with constraints is filled when it is added".to_owned());
    }
    let rights = |o: &Object| ["comment", "grant"].contains(&o.id.class());
    let has_rights = |side: &Catalog| {
        let mut sequences = side.children(&new.id).filter(|s| s.id.class() == "identity sequence");
        sequences.any(|s| side.children(&s.id).any(rights))
    };
    if has_rights(context.live) || has_rights(context.desired) {
        return Some("the sequence of its identity has rights or a comment of its own".to_owned());
    }
    let owned = context.live.used_by(&old.id).iter().map(|(id, _)| id).find(|id| id.class() == "owned by" && !same(context, id));
    owned.map(|id| format!("{id} changes in the same plan")).or_else(|| in_the_way(context, old, new))
}

/// Whether the table is part of a family: what is done to a column of one is done to all of them.
fn shares(side: &Catalog, table: &Id, column: &Id) -> bool {
    let inherited = side.used_by(column).iter().chain(side.uses(column)).any(|(_, d)| *d == Dependency::Inherited);
    let special = |o: &Object| ["inherits", "of_type"].iter().any(|f| o.definition.contains_key(*f));
    inherited
        || side.contains(&table.as_class("partition"))
        || is_partitioned(side, table)
        || side.get(table).is_some_and(special)
}

/// All of it, where the files ask for it and nothing is in the way.
pub fn exchange(context: &Context, old: &Object, new: &Object, changed: &[String]) -> Option<Vec<Statement>> {
    let table = new.parent.as_ref().filter(|_| is_asked(context, old, new) && obstacle(context, old, new, changed).is_none())?;
    let names = Names::new(context, new, table);
    let mut beside = Object { id: table.part("column", &names.column), ..new.clone() };
    beside.definition.retain(|field, _| !["not_null", "not_null_constraint", "identity"].contains(&field.as_str()));
    let value = conversion(context, old, new).unwrap_or_else(|| ident(old.id.base()));
    let (not_null, still_null) = no_nulls(context, new, &beside);
    let ready = built(context, &old.id).into_iter().filter_map(|id| build(context, &names, new, id, &value));

    let mut statements = beside_it(context, old, new, &beside, &names, &value);
    let mut later = not_null.into_iter();
    statements.extend(later.next());
    statements.push(fill::exchanged(context, &beside, &value));
    statements.extend(later);
    let mut placed = Vec::new();
    for (first, rest) in ready {
        statements.push(first);
        placed.extend(rest);
    }
    let (now, after): (Vec<Statement>, Vec<Statement>) =
        in_its_place(context, old, new, &beside, &names, placed).into_iter().partition(|s| s.transaction == Transaction::Inside);
    statements.extend(still_null);
    statements.extend(now);
    statements.extend(after);
    statements.push(analyze::column(context, old));
    Some(statements)
}

/// The new column, and the trigger that keeps it up to date.
fn beside_it(context: &Context, old: &Object, new: &Object, beside: &Object, names: &Names, value: &str) -> Vec<Statement> {
    let Names { table, function, trigger, .. } = names;
    let column = ident(&names.column);
    let added = names.change(&format!("ADD COLUMN {}", words_with(context, beside, "")), LockMode::AccessExclusive);
    let body = format!(
        "\n#variable_conflict use_column\nBEGIN\n    SELECT {value} INTO NEW.{column} FROM (SELECT NEW.*) AS {};\n    RETURN NEW;\nEND\n",
        ident(new.id.name()[1].as_str())
    );
    let made = format!(
        "CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS {}",
        dollar_quoted(&body)
    );
    let fires = format!("CREATE TRIGGER {trigger} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()");
    let mut statements =
        vec![added.needs(converts(context, old, new)).back(format!("ALTER TABLE {table} DROP COLUMN IF EXISTS {column}"))];
    statements.extend(extras(beside));
    statements.extend([
        Statement::new(made).back(format!("DROP FUNCTION IF EXISTS {function}()")),
        Statement::new(fires)
            .lock(table, LockMode::ShareRowExclusive)
            .back(format!("DROP TRIGGER IF EXISTS {trigger} ON {table}")),
        // What a subscription writes fires only triggers that say so.
        names.change(&format!("ENABLE ALWAYS TRIGGER {trigger}"), LockMode::ShareRowExclusive),
    ]);
    statements
}

/// NOT NULL of the new column: what is said before and read after the rows are filled, and what remains for the exchange.
fn no_nulls(context: &Context, new: &Object, beside: &Object) -> (Vec<Statement>, Vec<Statement>) {
    if !new.flag("not_null") {
        return (Vec::new(), Vec::new());
    }
    let mut statements = not_null::add_online(context, &not_null::named(beside, &name_of_not_null(new)), None);
    statements.iter_mut().skip(1).for_each(|s| s.back = None);
    let rest = statements.split_off(2);
    (statements, rest)
}

fn name_of_not_null(column: &Object) -> String {
    name_beside(column.id.base(), "__plumb_nn")
}

/// A key or an index over the new column: how it is built, and what puts it in its place.
fn build(context: &Context, names: &Names, column: &Object, id: &Id, value: &str) -> Option<(Statement, Vec<Statement>)> {
    let wanted = context.desired.get(id)?;
    let name = free_name(id.base(), "_new", &|name| context.is_relation(id.first(), name));
    let mut statements = (of(id).online.create)(context, &over(wanted, &column.id, &names.column)?, &name).into_iter();
    let first = statements.next()?;
    let unique = wanted.flag("unique") || id.class() != "index";
    let needs = unique.then(|| differs(context, column, wanted, value)).flatten();
    Some((Statement { needs: needs.into_iter().collect(), ..first }, statements.filter(|s| !s.late).collect()))
}

/// That no two rows have the same key when the values are of the new type.
fn differs(context: &Context, column: &Object, key: &Object, value: &str) -> Option<RowCheck> {
    let names =
        if key.id.class() == "index" { key.texts("keys") } else { key.texts("columns").iter().map(|c| ident(c)).collect() };
    let own = ident(column.id.base());
    let typed = format!("(({value})::{})", column.text("type"));
    let keys: Vec<String> = names.into_iter().map(|name| if name == own { typed.clone() } else { name }).collect();
    let nulls_differ = !key.flag("nulls_not_distinct") && !key.text("body").contains(" NULLS NOT DISTINCT");
    let predicate = Some(key.text("predicate")).filter(|p| !p.is_empty());
    row_checks::differs(context, key.parent.as_ref()?, &keys, nulls_differ, predicate).map(RowCheck::evaluating)
}

/// The exchange itself, and what is validated after it.
fn in_its_place(
    context: &Context,
    old: &Object,
    new: &Object,
    beside: &Object,
    names: &Names,
    placed: Vec<Statement>,
) -> Vec<Statement> {
    let (keys, others) = (built(context, &old.id), again(context, old, new));
    let (column, own, exclusive) = (ident(&names.column), ident(new.id.base()), LockMode::AccessExclusive);
    let mut statements: Vec<Statement> =
        others.iter().chain(&keys).filter_map(|id| context.live.get(id)).flat_map(|o| (of(&o.id).drop)(context, o)).collect();
    statements.push(Statement::new(format!("DROP TRIGGER {} ON {}", names.trigger, names.table)).lock(&names.table, exclusive));
    statements.push(Statement::new(format!("DROP FUNCTION {}()", names.function)));
    statements.extend(sequence_owner::pass_all(context, &old.id, &format!("{}.{column}", names.table)));
    let (identity, named) = identity::pass(old, new, &names.column);
    statements.extend(identity);
    let back = Context { live: context.desired, desired: context.live, absorbed: context.absorbed };
    let back: Vec<String> = retype(&back, new, old).into_iter().map(|s| s.sql).collect();
    let mut gone = drop_column(context, old, "").turns();
    // The new column has its values.
    gone.losses.retain(|_| loses(old, new));
    let at = statements.len();
    statements.push(gone);
    statements.push(names.change(&format!("RENAME COLUMN {column} TO {own}"), exclusive));
    statements.extend(named);
    let default = context.desired.get(&new.id.as_class("default")).map(|d| d.text("expression"));
    statements.extend(default.map(|e| names.change(&format!("ALTER COLUMN {own} SET DEFAULT {e}"), exclusive)));
    statements.extend(not_null::renamed(context, &not_null::named(beside, &name_of_not_null(new)), new));
    statements.extend(placed);
    statements.extend(others.iter().filter_map(|id| context.desired.get(id)).flat_map(|o| said_again(context, o)));
    let belongs = keys.iter().chain(&others).flat_map(|id| satellites(context.desired, id));
    let belongs = belongs.chain(context.desired.children(&new.id).filter(|o| OWN.contains(&o.id.class()) && o.id.of().is_some()));
    statements.extend(belongs.flat_map(|o| (of(&o.id).create)(context, o)));
    statements.iter_mut().for_each(|s| s.back = None);
    statements[at].back = Some(back.join("; "));
    statements
}

/// Something that went with the old column: a constraint is held to by new rows at once, and by those that stand after.
fn said_again(context: &Context, wanted: &Object) -> Vec<Statement> {
    let kind = of(&wanted.id);
    let in_two = (kind.online.create)(context, wanted, wanted.id.base());
    let statements = if in_two.is_empty() { (kind.create)(context, wanted) } else { in_two };
    // It held before. Queries over the old values would say nothing of the new ones.
    statements.into_iter().map(|s| Statement { needs: Vec::new(), ..s }).collect()
}
