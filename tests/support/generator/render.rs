//! A model as a script that loads.

use super::model::*;
use plumb::sql::{dollar_quoted, ident, literal as quoted};
use std::fmt::Write as _;

impl Model {
    /// The script.
    pub fn sql(&self) -> String {
        let mut text = String::new();
        let order = self.order().unwrap_or_else(|circle| panic!("a circle: {circle:?}"));
        let late = |k: &Key| matches!(self.what(*k), Some(What::ForeignKey { .. }));
        for key in order.iter().filter(|k| !late(k)).chain(order.iter().filter(|k| late(k))) {
            for statement in self.statements(*key) {
                writeln!(text, "{statement};").unwrap();
            }
            text += &self.satellites(*key);
        }
        for (key, item) in &self.items {
            if let What::Sequence { owner: Some(column), .. } = &item.what {
                let table = self.full(self.items[column].within);
                writeln!(text, "ALTER SEQUENCE {} OWNED BY {table}.{};", self.full(*key), self.name(*column)).unwrap();
            }
        }
        text
    }

    /// The name of what stands beside its table in the table's schema.
    pub fn beside(&self, key: Key) -> String {
        let table = &self.items[&self.items[&key].within];
        format!("{}.{}", ident(&self.items[&table.within].name), self.name(key))
    }

    /// A condition over a column.
    pub fn condition(&self, expr: &Expr, prefix: &str) -> String {
        let ty = self.type_of(expr.column);
        let column = format!("{prefix}{}", self.name(expr.column));
        let literal = self.literal(&ty, expr.n);
        let class = self.class(&ty);
        if let Some(function) = expr.function {
            let call = format!("{}({column})", self.full(function));
            return match self.class(&self.function(function).unwrap().result) {
                Class::Bool => call,
                Class::Number => format!("{call} > {}", expr.n % 9),
                _ => format!("{call} IS NOT NULL"),
            };
        }
        let set = format!("{column} IS NOT NULL");
        match (expr.form % 4, class) {
            (0, _) | (_, Class::Row) => set,
            (_, Class::Bool) => column,
            (_, Class::Json) => format!("jsonb_typeof({column}) = 'object'"),
            (_, Class::Array) => format!("cardinality({column}) > {}", expr.n % 9),
            (_, Class::Range) => format!("NOT isempty({column})"),
            (1, _) => format!("{column} > {literal}"),
            (2, _) => format!("{column} IN ({literal}, {})", self.literal(&ty, expr.n + 1)),
            _ => format!("coalesce({column}, {literal}) <> {literal} OR {set}"),
        }
    }

    /// A value of `ty` that is made of a column, by immutable functions alone.
    pub fn value(&self, expr: &Expr, ty: &Type) -> String {
        let (one, two) = (self.literal(ty, expr.n), self.literal(ty, expr.n + 1));
        let name = self.type_sql(ty);
        if self.type_of(expr.column) == self.resolve(ty) && self.class(ty) != Class::Row {
            return format!("coalesce({}, {one}::{name})", self.name(expr.column));
        }
        format!("CASE WHEN {} THEN {one}::{name} ELSE {two}::{name} END", self.condition(expr, ""))
    }

    /// What an index computes.
    pub fn key_expression(&self, expr: &Expr) -> String {
        let column = self.name(expr.column);
        match (expr.form % 3, self.class(&self.type_of(expr.column))) {
            _ if expr.function.is_some() => format!("{}({column})", self.full(expr.function.unwrap())),
            (0, Class::Number) => format!("{column} + {}", expr.n % 9),
            (0, Class::Text) => format!("lower({column})"),
            _ => self.condition(expr, ""),
        }
    }

    pub fn arguments(&self, args: &[(String, Type)]) -> String {
        let one = |(i, (name, ty)): (usize, &(String, Type))| {
            let default = if i == 0 { String::new() } else { format!(" DEFAULT {}", self.literal(ty, i)) };
            format!("{} {}{default}", ident(name), self.type_sql(ty))
        };
        args.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
    }

    pub fn signature(&self, key: Key) -> String {
        let args = match self.what(key) {
            Some(What::Function(f)) => f.args.as_slice(),
            Some(What::Procedure { args, .. }) => args.as_slice(),
            _ => &[],
        };
        let types: Vec<String> = match self.what(key) {
            Some(What::Aggregate { ty, .. }) => vec![(*ty).to_owned()],
            _ => args.iter().map(|a| self.type_sql(&a.1)).collect(),
        };
        format!("{}({})", self.full(key), types.join(", "))
    }

    /// `FROM relation WHERE column ...`, for what reads a column.
    fn reading(&self, column: Key) -> String {
        let relation = self.full(self.items[&column].within);
        format!(" FROM {relation} AS r WHERE r.{} IS NOT NULL LIMIT 1", self.name(column))
    }

    fn function_sql(&self, key: Key, f: &Function) -> String {
        let result = self.type_sql(&f.result);
        let one = format!("{}::{result}", self.literal(&f.result, f.n));
        let value = match f.calls {
            Some(other) => {
                let first = self.function(other).and_then(|o| o.args.first());
                let argument = first.map_or(String::new(), |a| format!("NULL::{}", self.type_sql(&a.1)));
                format!("CASE WHEN {}({argument}) IS NULL THEN {one} END", self.full(other))
            }
            None => one,
        };
        let query = format!("SELECT {value}{}", f.reads.map_or(String::new(), |c| self.reading(c)));
        let returns = match f.returns {
            0 => result,
            1 => format!("SETOF {result}"),
            _ => format!("TABLE (\"out\" {result})"),
        };
        let (language, body) = match (f.language, f.returns) {
            (0, _) => ("sql", format!("BEGIN ATOMIC {query}; END")),
            (1, _) => ("sql", format!("AS {}", dollar_quoted(&query))),
            (_, 0) => ("plpgsql", format!("AS {}", dollar_quoted(&format!("BEGIN RETURN ({query}); END")))),
            _ => ("plpgsql", format!("AS {}", dollar_quoted(&format!("BEGIN RETURN QUERY {query}; END")))),
        };
        let volatility = ["IMMUTABLE", "STABLE", "VOLATILE"][f.volatility % 3];
        let strict = if f.strict { " STRICT" } else { "" };
        let definer = if f.definer { " SECURITY DEFINER SET search_path TO 'pg_catalog', 'pg_temp'" } else { "" };
        let head = format!("CREATE FUNCTION {}({})", self.full(key), self.arguments(&f.args));
        format!("{head} RETURNS {returns} LANGUAGE {language} {volatility}{strict}{definer} {body}")
    }

    fn view_sql(&self, key: Key, view: &View) -> String {
        let own = self.columns(view.from);
        let alias = |k: Key| if own.contains(&k) { "a." } else { "b." };
        let mut values = Vec::new();
        for output in self.columns(key) {
            let What::Output { source, form, function } = &self.items[&output].what else { continue };
            let column = format!("{}{}", alias(*source), self.name(*source));
            let value = match (form, function) {
                (2, Some(f)) => format!("{}({column})", self.full(*f)),
                (1, _) => format!("{column}::text"),
                _ => column,
            };
            values.push((value, self.name(output)));
        }
        let mut list: Vec<String> = values.iter().map(|(v, n)| format!("{v} AS {n}")).collect();
        if view.grouped || list.is_empty() {
            list.push("count(*) AS \"how many\"".to_owned());
        }
        let mut text = format!("SELECT {} FROM {} a", list.join(", "), self.full(view.from));
        if let Some(join) = view.join {
            write!(text, " CROSS JOIN {} b", self.full(join)).unwrap();
        }
        if let Some(filter) = &view.filter {
            write!(text, " WHERE {}", self.condition(filter, alias(filter.column))).unwrap();
        }
        if view.grouped && !values.is_empty() {
            let groups: Vec<&str> = values.iter().map(|v| v.0.as_str()).collect();
            write!(text, " GROUP BY {}", groups.join(", ")).unwrap();
        }
        if view.materialized {
            return format!("CREATE MATERIALIZED VIEW {} AS {text}", self.full(key));
        }
        let option = view.option.map_or(String::new(), |o| format!(" WITH ({o} = true)"));
        format!("CREATE VIEW {}{option} AS {text}", self.full(key))
    }

    /// The statements that make an item.
    fn statements(&self, key: Key) -> Vec<String> {
        let item = &self.items[&key];
        let one = match &item.what {
            What::Schema if key == PUBLIC => return Vec::new(),
            What::Schema => format!("CREATE SCHEMA {}", ident(&item.name)),
            What::Table(table) => return self.table_sql(key, table),
            What::Column(_) | What::Output { .. } => return Vec::new(),
            What::Function(function) => self.function_sql(key, function),
            What::TriggerFunction(n) => {
                let body = format!("BEGIN /* {n} */ RETURN NEW; END");
                format!("CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS {}", self.full(key), quoted(&body))
            }
            What::Procedure { args, language, reads, n } => {
                let from = reads.map_or(String::new(), |c| self.reading(c));
                let (language, body) = match language {
                    0 => ("sql", format!("BEGIN ATOMIC SELECT {n}{from}; END")),
                    _ => ("plpgsql", format!("AS {}", dollar_quoted(&format!("BEGIN PERFORM {n}{from}; END")))),
                };
                format!("CREATE PROCEDURE {}({}) LANGUAGE {language} {body}", self.full(key), self.arguments(args))
            }
            What::Aggregate { ty, start, step } => {
                let function = ["int4pl", "int4larger", "int4smaller"][step % 3];
                format!("CREATE AGGREGATE {}({ty}) (SFUNC = {function}, STYPE = {ty}, INITCOND = '{start}')", self.full(key))
            }
            What::View(view) => self.view_sql(key, view),
            What::DefaultPrivileges { schema, by, to, objects } => {
                let place = schema.map_or(String::new(), |s| format!(" IN SCHEMA {}", self.name(s)));
                let what = ["SELECT ON TABLES", "USAGE ON SEQUENCES", "EXECUTE ON FUNCTIONS", "USAGE ON TYPES"][objects % 4];
                let by = ROLES.get(*by).copied().unwrap_or(crate::support::server::USER);
                format!("ALTER DEFAULT PRIVILEGES FOR ROLE {}{place} GRANT {what} TO {}", ident(by), grantee(*to))
            }
            _ => return self.type_statements(key, item).into_iter().chain(self.table_parts(key, item)).collect(),
        };
        vec![one]
    }

    fn type_statements(&self, key: Key, item: &Item) -> Option<String> {
        let name = || self.full(key);
        Some(match &item.what {
            What::Enum(labels) => {
                let labels: Vec<String> = labels.iter().map(|l| quoted(l)).collect();
                format!("CREATE TYPE {} AS ENUM ({})", name(), labels.join(", "))
            }
            What::Domain { base, not_null, default, check } => {
                let mut text = format!("CREATE DOMAIN {} AS {}", name(), self.type_sql(base));
                if let Some(n) = default {
                    write!(text, " DEFAULT {}", self.literal(base, *n)).unwrap();
                }
                if *not_null {
                    text += " NOT NULL";
                }
                if let Some(n) = check {
                    let condition = match self.class(base) {
                        Class::Number => format!("VALUE > -{n}"),
                        Class::Text => format!("VALUE NOT IN ('bad', 'bad{n}')"),
                        _ => "VALUE IS NOT NULL".to_owned(),
                    };
                    write!(text, " CONSTRAINT \"dom check\" CHECK ({condition})").unwrap();
                }
                text
            }
            What::Composite(fields) => {
                let fields: Vec<String> = fields.iter().map(|(n, t)| format!("{} {}", ident(n), self.type_sql(t))).collect();
                format!("CREATE TYPE {} AS ({})", name(), fields.join(", "))
            }
            What::Range(subtype) => {
                // Two long names would be given the same name for their multirange types.
                let beside = || format!(", multirange_type_name = {}.multirange_{key}", self.name(item.within));
                let multirange = if item.name.len() > 50 { beside() } else { String::new() };
                format!("CREATE TYPE {} AS RANGE (subtype = {subtype}{multirange})", name())
            }
            What::Collation(definition) => format!("CREATE COLLATION {} ({definition})", name()),
            What::Sequence { ty, increment, cache, cycle, .. } => {
                let cycle = if *cycle { " CYCLE" } else { "" };
                format!("CREATE SEQUENCE {} AS {ty} INCREMENT {increment} CACHE {cache}{cycle}", name())
            }
            _ => return None,
        })
    }
}

/// A role as grants name it.
pub fn grantee(role: usize) -> String {
    ROLES.get(role).map_or("PUBLIC".to_owned(), |r| ident(r))
}
