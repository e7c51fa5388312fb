//! What a statement defines, requires and drops, as far as its parse tree tells. Only a hint for the order.

use super::files::Place;
use super::lexer;
use super::name::{Class, Defined, Name};
use super::read::{Settings, option, word, words};
use super::walk::{Mention, mentions};
use pg_query::protobuf::{self, AlterTableType, ConstrType, FunctionParameterMode, ObjectType};
use pg_query::{Node, NodeEnum};

/// What a statement defines, requires and drops.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// What it defines; the object itself first, then what is inside of it.
    pub defines: Vec<Defined>,
    /// It says `CREATE` without `OR REPLACE` and `IF NOT EXISTS`: a second one of the same name is an error.
    pub creates: bool,
    /// Names as written, not yet resolved against the search path.
    pub requires: Vec<Mention>,
    /// It drops, renames or moves something: the files are a script.
    pub undoes: bool,
}

/// The parse tree's answer.
pub fn hints(node: &NodeEnum, sql: &str, place: &Place, settings: &Settings) -> Hints {
    let mut maker = Maker { sql, place, settings, hints: Hints::default() };
    maker.statement(node);
    let mut requires = mentions(node);
    requires.extend(mentioned_in_comment(node));
    maker.schemas(&mut requires);
    let own: Vec<&Name> = maker.hints.defines.iter().map(|d| &d.name).collect();
    requires.retain(|m| !own.iter().any(|n| n.class == m.name.class && n.parts.ends_with(&m.name.parts)));
    maker.hints.requires = requires;
    maker.hints
}

struct Maker<'a> {
    sql: &'a str,
    place: &'a Place,
    settings: &'a Settings,
    hints: Hints,
}

type Location = i32;

impl Maker<'_> {
    fn define(&mut self, class: Class, parts: Vec<String>, at: Option<Location>) {
        self.defined(Name::new(class, parts), at);
    }

    fn defined(&mut self, name: Name, at: Option<Location>) {
        let at = at.and_then(|l| usize::try_from(l).ok()).filter(|l| *l < self.sql.len());
        let span = match at {
            Some(at) => {
                let end = lexer::token(self.sql, at).map_or(self.sql.len(), |t| t.span.end);
                self.place.span.start + at..self.place.span.start + end
            }
            None => {
                let line = self.sql.find('\n').map_or(self.sql, |n| &self.sql[..n]);
                self.place.span.start..self.place.span.start + line.trim_end().len()
            }
        };
        self.hints.defines.push(Defined { name, place: Place::new(self.place.file, span) });
    }

    fn qualified(&self, mut parts: Vec<String>) -> Vec<String> {
        if parts.len() == 1 {
            parts.insert(0, self.settings.creates_in().to_owned());
        }
        parts
    }

    fn range(&self, relation: Option<&protobuf::RangeVar>) -> Option<Vec<String>> {
        let r = relation?;
        let parts = [&r.schemaname, &r.relname].into_iter().filter(|p| !p.is_empty()).cloned().collect();
        Some(self.qualified(parts))
    }

    /// The main object of a CREATE.
    fn create(&mut self, class: Class, parts: Vec<String>, strict: bool) {
        self.define(class, parts, None);
        self.hints.creates = strict;
    }

    fn relation(&mut self, relation: Option<&protobuf::RangeVar>, strict: bool) {
        if let Some(parts) = self.range(relation) {
            self.create(Class::Relation, parts, strict);
        }
    }

    /// Something with a name of its own inside of a table.
    fn inner(&mut self, class: Class, table: &[String], name: &str, at: Option<Location>) {
        if !name.is_empty() {
            self.define(class, table.iter().cloned().chain([name.to_owned()]).collect(), at);
        }
    }

    fn on_table(&mut self, class: Class, table: Option<&protobuf::RangeVar>, name: &str, strict: bool) {
        if let Some(table) = self.range(table) {
            self.inner(class, &table, name, None);
            self.hints.creates = strict;
        }
    }

    fn elements(&mut self, table: &[String], elements: &[Node]) {
        for element in elements {
            match &element.node {
                Some(NodeEnum::ColumnDef(c)) => {
                    self.inner(Class::Column, table, &c.colname, Some(c.location));
                    self.elements(table, &c.constraints);
                }
                Some(NodeEnum::Constraint(c)) if c.contype() != ConstrType::ConstrNull => {
                    self.inner(Class::Constraint, table, &c.conname, Some(c.location));
                }
                _ => {}
            }
        }
    }

    fn statement(&mut self, node: &NodeEnum) {
        use NodeEnum as N;
        match node {
            N::CreateStmt(s) => self.table(s),
            N::CreateForeignTableStmt(s) => s.base_stmt.iter().for_each(|t| self.table(t)),
            N::CreateTableAsStmt(s) => self.relation(s.into.as_ref().and_then(|i| i.rel.as_ref()), !s.if_not_exists),
            N::ViewStmt(s) => self.relation(s.view.as_ref(), !s.replace),
            N::CreateSeqStmt(s) => self.relation(s.sequence.as_ref(), !s.if_not_exists),
            N::CompositeTypeStmt(s) => {
                if let Some(parts) = self.range(s.typevar.as_ref()) {
                    self.create(Class::Type, parts.clone(), true);
                    self.elements(&parts, &s.coldeflist);
                }
            }
            N::IndexStmt(s) => self.index(s),
            N::AlterTableStmt(s) => self.alter_table(s),
            N::CreateEnumStmt(s) => self.labels(s),
            N::CreateRangeStmt(s) => self.named(Class::Type, &s.type_name, true),
            N::CreateDomainStmt(s) => {
                self.named(Class::Type, &s.domainname, true);
                let parts = self.qualified(words(&s.domainname));
                self.elements(&parts, &s.constraints);
            }
            N::CreateStatsStmt(s) => self.named(Class::Statistics, &s.defnames, !s.if_not_exists),
            N::DefineStmt(s) => self.define_statement(s),
            N::CreateFunctionStmt(s) => self.routine(s),
            N::CreateTrigStmt(s) => self.on_table(Class::Trigger, s.relation.as_ref(), &s.trigname, !s.replace),
            N::CreatePolicyStmt(s) => self.on_table(Class::Policy, s.table.as_ref(), &s.policy_name, true),
            N::RuleStmt(s) => self.on_table(Class::Rule, s.relation.as_ref(), &s.rulename, !s.replace),
            N::CreateSchemaStmt(s) => self.schema(s),
            N::CreateExtensionStmt(s) => self.create(Class::Extension, vec![s.extname.clone()], !s.if_not_exists),
            N::CreateRoleStmt(s) => self.create(Class::Role, vec![s.role.clone()], true),
            N::CreateEventTrigStmt(s) => self.create(Class::EventTrigger, vec![s.trigname.clone()], true),
            N::CreatePublicationStmt(s) => self.create(Class::Publication, vec![s.pubname.clone()], true),
            N::CreateFdwStmt(s) => self.create(Class::Wrapper, vec![s.fdwname.clone()], true),
            N::CreateForeignServerStmt(s) => self.create(Class::Server, vec![s.servername.clone()], !s.if_not_exists),
            N::DropStmt(_) | N::RenameStmt(_) | N::AlterObjectSchemaStmt(_) => self.hints.undoes = true,
            _ => {}
        }
    }

    fn named(&mut self, class: Class, names: &[Node], strict: bool) {
        let parts = self.qualified(words(names));
        self.create(class, parts, strict);
    }

    fn labels(&mut self, s: &protobuf::CreateEnumStmt) {
        self.named(Class::Type, &s.type_name, true);
        let parts = self.qualified(words(&s.type_name));
        let texts = lexer::tokens(self.sql).filter(|t| matches!(t.kind, lexer::Kind::Text(_) | lexer::Kind::Dollar));
        // The tree does not say where they stand; all that is quoted here are labels.
        for (label, text) in words(&s.vals).into_iter().zip(texts.collect::<Vec<_>>()) {
            self.inner(Class::Label, &parts, &label, Location::try_from(text.span.start).ok());
        }
    }

    fn table(&mut self, s: &protobuf::CreateStmt) {
        let Some(parts) = self.range(s.relation.as_ref()) else { return };
        self.create(Class::Relation, parts.clone(), !s.if_not_exists);
        self.elements(&parts, &s.table_elts);
        self.elements(&parts, &s.constraints);
    }

    fn index(&mut self, s: &protobuf::IndexStmt) {
        if let (Some(table), false) = (self.range(s.relation.as_ref()), s.idxname.is_empty()) {
            self.create(Class::Relation, vec![table[0].clone(), s.idxname.clone()], !s.if_not_exists);
        }
    }

    fn alter_table(&mut self, s: &protobuf::AlterTableStmt) {
        let Some(table) = self.range(s.relation.as_ref()) else { return };
        for command in &s.cmds {
            let Some(NodeEnum::AlterTableCmd(c)) = &command.node else { continue };
            self.hints.undoes |= matches!(c.subtype(), AlterTableType::AtDropColumn | AlterTableType::AtDropConstraint);
            let adds = matches!(c.subtype(), AlterTableType::AtAddColumn | AlterTableType::AtAddConstraint);
            if let (true, Some(def)) = (adds, &c.def) {
                self.elements(&table, std::slice::from_ref(def));
            }
        }
    }

    fn define_statement(&mut self, s: &protobuf::DefineStmt) {
        let class = match s.kind() {
            ObjectType::ObjectAggregate => Class::Routine,
            ObjectType::ObjectType => Class::Type,
            ObjectType::ObjectCollation => Class::Collation,
            ObjectType::ObjectOperator => Class::Operator,
            _ => Class::TextSearch,
        };
        // shell types are created before the type, operators and aggregates are overloaded
        let strict = matches!(class, Class::Collation | Class::TextSearch) && !s.if_not_exists && !s.replace;
        self.named(class, &s.defnames, strict);
    }

    fn routine(&mut self, s: &protobuf::CreateFunctionStmt) {
        let mut name = Name::new(Class::Routine, self.qualified(words(&s.funcname)));
        name.args = s.parameters.iter().filter_map(input_type).collect();
        self.defined(name, None);
        self.hints.creates = !s.replace;
    }

    fn schema(&mut self, s: &protobuf::CreateSchemaStmt) {
        let name = if s.schemaname.is_empty() { s.authrole.as_ref().map_or("", |r| r.rolename.as_str()) } else { &s.schemaname };
        self.create(Class::Schema, vec![name.to_owned()], !s.if_not_exists);
        let inside = Settings { path: vec![name.to_owned()], ..self.settings.clone() };
        for element in s.schema_elts.iter().filter_map(|e| e.node.as_ref()) {
            let mut inner = Maker { sql: self.sql, place: self.place, settings: &inside, hints: Hints::default() };
            inner.statement(element);
            self.hints.defines.append(&mut inner.hints.defines);
        }
    }

    /// Every schema that a name goes through, and the one in which the object is made.
    fn schemas(&self, requires: &mut Vec<Mention>) {
        let own = self.hints.defines.first().filter(|d| d.name.parts.len() > 1).map(|d| d.name.parts[0].clone());
        let named = requires.iter().filter(|m| m.name.parts.len() > 1).map(|m| m.name.parts[0].clone());
        let mut schemas: Vec<String> = named.chain(own).filter(|s| s != "pg_catalog" && s != "public").collect();
        schemas.sort();
        schemas.dedup();
        requires.extend(schemas.into_iter().map(|s| Mention::bare(Name::new(Class::Schema, [s]))));
    }
}

/// The base name of a type as `pg_type` has it: `int4`, `text[]`.
pub fn type_name(t: &protobuf::TypeName) -> String {
    let base = t.names.last().and_then(word).unwrap_or_default();
    let base = if t.pct_type { "%type" } else { base };
    if t.array_bounds.is_empty() { base.to_owned() } else { format!("{base}[]") }
}

fn input_type(parameter: &Node) -> Option<String> {
    let Some(NodeEnum::FunctionParameter(p)) = &parameter.node else { return None };
    let output = matches!(p.mode(), FunctionParameterMode::FuncParamOut | FunctionParameterMode::FuncParamTable);
    p.arg_type.as_ref().filter(|_| !output).map(type_name)
}

/// What a COMMENT is on, and the schema an extension goes into: names that stand in the tree as bare strings.
fn mentioned_in_comment(node: &NodeEnum) -> Vec<Mention> {
    let mention = |class, parts: Vec<String>| vec![Mention::bare(Name::new(class, parts))];
    match node {
        NodeEnum::CreateExtensionStmt(s) => {
            let schema = option(&s.options, "schema").and_then(word);
            schema.map(|s| mention(Class::Schema, vec![s.to_owned()])).unwrap_or_default()
        }
        NodeEnum::CommentStmt(s) => match s.object.as_ref().and_then(|o| o.node.as_ref()) {
            Some(NodeEnum::List(list)) => mention(Class::Relation, words(&list.items)),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::Files;
    use super::super::policy::Policy;
    use super::super::read::read;
    use super::*;

    fn one(sql: &str) -> Hints {
        let statements = read(&Files::text("a.sql", sql), &Policy::default()).expect("reads");
        statements.last().expect("a statement").hints.clone()
    }

    fn defined(sql: &str) -> Vec<String> {
        let show = |d: &Defined| format!("{:?} {}", d.name.class, d.name.parts.join("."));
        one(sql).defines.iter().map(show).collect()
    }

    fn required(sql: &str) -> Vec<String> {
        let mut all: Vec<_> =
            one(sql).requires.iter().map(|m| format!("{:?} {}", m.name.class, m.name.parts.join("."))).collect();
        all.sort();
        all.dedup();
        all
    }

    #[test]
    fn tables_define_their_columns_and_named_constraints() {
        let sql = "create table t (a int constraint pos check (a > 0), constraint k primary key (a))";
        let names = ["Relation public.t", "Column public.t.a", "Constraint public.t.pos", "Constraint public.t.k"];
        assert_eq!(defined(sql), names);
        let hints = one(&format!("select 1;\n{sql}"));
        let files = Files::text("a.sql", &format!("select 1;\n{sql}"));
        assert_eq!(files.at(&hints.defines[1].place), "a");
        assert_eq!(files.line_column(&hints.defines[1].place), (2, 17));
    }

    #[test]
    fn names_take_the_search_path_of_the_file() {
        assert_eq!(defined("set search_path = app, public; create view v as select 1"), ["Relation app.v"]);
        assert_eq!(defined("create schema s create table t (a int)"), ["Schema s", "Relation s.t", "Column s.t.a"]);
        assert_eq!(defined("create index i on s.t (a)"), ["Relation s.i"]);
        assert_eq!(defined("create policy p on s.t"), ["Policy s.t.p"]);
        assert_eq!(
            defined("alter table t add column c int, add constraint k unique (c)"),
            ["Column public.t.c", "Constraint public.t.k"]
        );
    }

    #[test]
    fn routines_are_told_apart_by_their_arguments() {
        let hints = one("create function f(a int, out b text, variadic c s.kind[]) as $$ $$ language sql");
        assert_eq!(hints.defines[0].name.args, ["int4", "kind[]"]);
    }

    #[test]
    fn what_a_statement_needs_is_required() {
        let table = "create table s.t (a s.kind, b int references u, c text default s.f()) partition by range (a)";
        assert_eq!(
            required(table),
            ["Relation u", "Routine s.f", "Schema s", "Type pg_catalog.int4", "Type s.kind", "Type text",]
        );
        assert_eq!(required("create extension x schema e"), ["Schema e"]);
        assert_eq!(required("create table p partition of t default"), ["Relation t"]);
        assert_eq!(required("create table p (like a) inherits (b)"), ["Relation a", "Relation b"]);
        assert!(required("comment on column s.t.c is 'x'").contains(&"Schema s".to_owned()));
    }
}
