//! The rows of one reading -> objects, joined by address.

use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use tokio_postgres::Row;

use super::resolve::Resolver;
use super::seen::Seen;
use super::{IntrospectError, Oids, unmanaged};
use crate::catalog::{Catalog, Entry, FastMap, FastSet, Id, IdMap, IdSet, Object, Unmanaged};
use crate::kind::{self, KINDS, privileges};

/// An object with an acl: its owner, the acl, and what the owner has by default.
type Given = (Id, Option<String>, Vec<String>, Vec<String>);

/// Rows as they come, before addresses are known.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) ids: FastMap<Oids, Id>,
    objects: Vec<(Oids, Option<Oids>, Arc<Entry>)>,
    owners: Vec<(Id, String)>,
    grants: Vec<Given>,
    pub(super) depends: Vec<(Oids, Oids, char)>,
    inherited: Vec<(Oids, Oids)>,
    comments: Vec<(Oids, String)>,
    unmanaged: Vec<(Oids, Unmanaged)>,
    /// The row about the database itself.
    head: Option<Row>,
}

/// What rows give.
pub(super) struct Joined {
    pub(super) catalog: Catalog,
    /// What has a comment and is no object of any kind.
    pub(super) strange: Vec<Oids>,
    /// Objects of kinds that are part of something that is not managed.
    pub(super) lost: Vec<Oids>,
    /// What is no part of anything that pg_depend knows: what plumb has never heard of, and parts that the server keeps by other means.
    pub(super) unknown: Vec<Oids>,
}

const HEAD: &str = "SELECT datname::text, current_user::text, pg_get_userbyid(datdba)::text, \
     ARRAY(SELECT rolname::text FROM pg_roles), EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = 'plumb' AND c.relname = 'ledger_version') FROM pg_database WHERE datname = current_database()";

/// The schema of the ledger; another one of this name has no such table in it.
const LEDGER: &str = "plumb";

/// The function of the event triggers that note DDL there.
const WATCH: &str = "plumb.note_ddl";

const DEPENDS: &str =
    "SELECT classid, objid, objsubid, refclassid, refobjid, refobjsubid, deptype FROM pg_depend WHERE objid >= 16384";

/// A kind's query without the temporary objects of whatever session: nobody plans those, and their owner may drop them before
/// they are deparsed. Kinds of many rows leave them out by themselves, which costs less.
fn lasting(sql: String) -> String {
    if sql.contains("relpersistence <> 't'") {
        return sql;
    }
    format!(
        "SELECT * FROM ({sql}) q(c, o, s, n, a, pc, po, ps, w, acl, acld, d, x) WHERE NOT (n[1] LIKE 'pg\\_temp\\_%' AND n[2] IS NOT NULL)"
    )
}

/// Comments of user objects; on an extension, only one that differs from its control file's.
const COMMENTS: &str = "SELECT classoid, objoid, objsubid, description FROM pg_description \
     WHERE (objoid >= 16384 OR classoid = 'pg_namespace'::regclass AND objoid = 2200) \
     AND (classoid <> 'pg_extension'::regclass OR NOT EXISTS (SELECT FROM pg_extension e JOIN pg_available_extensions a ON a.name = e.extname \
     WHERE e.oid = objoid AND a.comment = description))";

/// Members that a child table has from its parent, of any kind.
const INHERITED: &str = "inherited members";

/// A query that says of each part of a reading whether it may find anything, in one row of one array.
pub(super) fn presence(version: u32) -> String {
    let kinds = KINDS.iter().map(|kind| kind.present.to_owned()).chain([kind::HEIRS.to_owned()]);
    let all: Vec<String> = kinds.chain(unmanaged::presence(version)).collect();
    format!("SELECT ARRAY[{}] FROM {}, {}", all.join(", "), kind::LOOK, unmanaged::COLUMNS)
}

/// Every query of a reading that may find something, with what it reads: what is part of something comes after that.
pub(super) fn queries(version: u32, present: &[bool]) -> Vec<(&'static str, Cow<'static, str>)> {
    let mut queries: Vec<(&str, Cow<str>)> = Vec::new();
    let (kinds, rest) = present.split_at(KINDS.len());
    let (heirs, unmanaged) = rest.split_at(1);
    for (kind, present) in KINDS.iter().zip(kinds) {
        queries.extend(kind.query.filter(|_| *present).map(|query| (kind.class, lasting(query(version).sql()).into())));
        queries.extend(kind.inherited.filter(|_| heirs == [true]).map(|sql| (INHERITED, sql.into())));
    }
    queries.extend([("dependencies", DEPENDS.into()), ("comments", COMMENTS.into())]);
    queries.extend([("objects that are not managed", unmanaged::sql(version, unmanaged).into()), ("the database", HEAD.into())]);
    queries
}

/// Takes answers as they come, in the order of [`queries`]; nothing when they break off.
pub(super) fn gather(
    answers: &Receiver<(&'static str, Vec<Row>)>,
    expected: usize,
    version: u32,
    seen: &Seen,
) -> Result<Option<Joined>, IntrospectError> {
    let mut reading = Reading::default();
    for _ in 0..expected {
        let Ok((what, rows)) = answers.recv() else { return Ok(None) };
        reading.take(what, rows, seen)?;
    }
    reading.join(version, seen).map(Some)
}

fn foreign(row: &Row) -> (Oids, Unmanaged) {
    let (class, identity, schema, digest) = (row.get(0), row.get(1), row.get(2), row.get(3));
    ((row.get(4), row.get(5), 0), Unmanaged { class, identity, schema, digest, uses: Vec::new() })
}

pub(super) fn oids(row: &Row, at: usize) -> Oids {
    (row.get(at), row.get(at + 1), row.get(at + 2))
}

/// A definition without its nulls; the server takes longer to strip them.
pub(super) fn map(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(map)) => stripped(map),
        _ => Map::new(),
    }
}

fn stripped(mut map: Map<String, Value>) -> Map<String, Value> {
    map.retain(|_, value| {
        if let Value::Object(inner) = value {
            *inner = stripped(std::mem::take(inner));
        }
        !value.is_null()
    });
    map
}

impl Reading {
    fn take(&mut self, what: &'static str, rows: Vec<Row>, seen: &Seen) -> Result<(), IntrospectError> {
        match what {
            INHERITED => self.inherited.extend(rows.iter().map(|r| (oids(r, 0), oids(r, 3)))),
            "dependencies" => self.depends.extend(rows.iter().map(|r| (oids(r, 0), oids(r, 3), r.get::<_, i8>(6) as u8 as char))),
            "comments" => self.comments.extend(rows.iter().map(|r| (oids(r, 0), r.get(3)))),
            "objects that are not managed" => {
                self.unmanaged.extend(rows.iter().map(foreign).filter(|(_, o)| !o.schema.starts_with("pg_temp_")))
            }
            "the database" => self.head = rows.into_iter().next(),
            class => {
                let mut known = seen.of(class);
                self.objects.reserve(rows.len());
                self.ids.reserve(rows.len());
                for row in &rows {
                    let parent = row.get::<_, Option<u32>>(5).map(|catalog| (catalog, row.get(6), row.get(7)));
                    let above = parent.and_then(|p| self.ids.get(&p)).cloned();
                    let entry = known.entry(row, above, |above| object(class, row, above))?;
                    self.object(row, parent, entry);
                }
            }
        }
        Ok(())
    }

    /// Takes one row of a kind's query, whose form `kind::Query` fixes.
    fn object(&mut self, row: &Row, parent: Option<Oids>, entry: Arc<Entry>) {
        let id = &entry.object.id;
        let owner: Option<String> = row.get(8);
        if let Some(acl) = row.get::<_, Option<Vec<String>>>(9)
            && let Some(default) = row.get::<_, Option<Vec<String>>>(10)
        {
            self.grants.push((id.clone(), owner.clone(), acl, default));
        }
        if let Some(owner) = owner {
            self.owners.push((id.clone(), owner));
        }
        self.ids.insert(oids(row, 0), id.clone());
        self.objects.push((oids(row, 0), parent, entry));
    }

    /// Joins addresses, drops what belongs to extensions, and makes satellites and edges.
    fn join(mut self, version: u32, seen: &Seen) -> Result<Joined, IntrospectError> {
        let mut satellites = seen.satellites();
        let resolver = Resolver::new(&mut self);
        let mut objects: Vec<Arc<Entry>> = Vec::with_capacity(self.objects.len() * 2);
        let mut kept = IdSet::with_capacity_and_hasher(self.objects.len(), <_>::default());
        let mut lost: Vec<Oids> = Vec::new();
        let ledger = self.head.as_ref().is_some_and(|row| row.get(4));
        if ledger {
            self.unmanaged.retain(|(_, o)| o.schema != LEDGER);
        }
        let unmanaged: FastSet<(u32, u32)> = self.unmanaged.iter().map(|(o, _)| (o.0, o.1)).collect();
        for (oids, parent, mut entry) in self.objects {
            if resolver.is_member(oids) || parent.is_some_and(|p| resolver.is_member(p)) || ledger && is_ledgers(&entry.object) {
                continue;
            }
            if let Some(parent) = parent {
                let Some(parent) = resolver.exact(parent) else {
                    // A trigger of a foreign table, and the like.
                    lost.extend(Some(oids).filter(|_| unmanaged.contains(&(parent.0, parent.1))));
                    continue;
                };
                if entry.object.parent.as_ref() != Some(parent) {
                    entry = Entry::new(Object { parent: Some(parent.clone()), ..entry.object.clone() });
                }
            }
            kept.insert(entry.object.id.clone());
            objects.push(entry);
        }
        let mut owner_of: IdMap<String> = IdMap::default();
        for (id, role) in self.owners.into_iter().filter(|(id, _)| kept.contains(id)) {
            if kind::of(&id).has_owner {
                objects.push(satellites.entry(kind::owner_object(&id, &role)));
            }
            owner_of.insert(id, role);
        }
        let parent = |o: &Object| Some((o.id.clone(), o.parent.clone()?));
        let parents: IdMap<Id> = objects.iter().filter_map(|e| parent(&e.object)).collect();
        for (id, owner, acl, default) in self.grants.into_iter().filter(|(id, ..)| kept.contains(id)) {
            let owner = owner.or_else(|| owner_of.get(parents.get(&id)?).cloned());
            let (given, base) = (privileges::parse(&acl, owner.as_deref()), privileges::parse(&default, owner.as_deref()));
            if given != base {
                objects.push(satellites.entry(kind::grant_object(&id, &given, &base)));
            }
        }
        let mut strange = Vec::new();
        for (oids, text) in &self.comments {
            match resolver.exact(*oids) {
                Some(id) if kept.contains(id) => objects.push(satellites.entry(kind::comment_object(id, text))),
                Some(_) => {}
                None if resolver.is_member(*oids) => {}
                None => strange.push(*oids),
            }
        }
        drop(satellites);
        let unknown = resolver.unknown(&self.depends, &self.unmanaged);
        let edges = resolver.edges(&self.depends, &self.inherited, &parents);
        let mut catalog = Catalog::of_entries(objects, edges);
        catalog.unmanaged = resolver.unmanaged(self.unmanaged, &self.depends);
        catalog.server = version;
        if let Some(row) = self.head {
            (catalog.database, catalog.role, catalog.owner) = (row.get(0), row.get(1), row.get(2));
            catalog.roles = row.get::<_, Vec<String>>(3).into_iter().collect();
        }
        Ok(Joined { catalog, strange, lost, unknown })
    }
}

/// Whether it is of the schema of plumb's own ledger, which is outside of every comparison, or an event trigger that writes there.
fn is_ledgers(object: &Object) -> bool {
    match object.id.class() {
        "extension" => false,
        "event trigger" => object.text("function") == WATCH,
        _ => object.id.first() == LEDGER,
    }
}

/// The object of one row of a kind's query.
fn object(class: &str, row: &Row, parent: Option<Id>) -> Result<Object, IntrospectError> {
    let id = Id::with_args(class, row.get::<_, Vec<String>>(3), row.get::<_, Option<Vec<String>>>(4));
    let mut detail = map(row.get(12));
    if let (Some(owner), Some(default)) = (row.get::<_, Option<String>>(8), row.get::<_, Option<Vec<String>>>(10)) {
        detail.insert("acl_default".to_owned(), json!(privileges::parse(&default, Some(&owner))));
    }
    let object = Object { id, parent, definition: map(row.get(11)), detail };
    kind::check(&object).map_err(IntrospectError::Unreadable)?;
    Ok(object)
}
