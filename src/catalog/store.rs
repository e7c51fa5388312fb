//! A catalog: objects by address, their edges, and the indexes over both.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use super::fingerprint::{Print, print};
use super::hash::IdMap;
use super::{Dependency, Edge, Id, Object, Size};

/// An object that exists and that plumb does not manage: named, never compared, never touched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unmanaged {
    /// The class in PostgreSQL's words, such as `operator class`.
    pub class: String,
    /// The identity as `pg_identify_object` gives it.
    pub identity: String,
    /// The schema it lives in; empty for what has none.
    pub schema: String,
    /// What can be told of its definition, so that a difference is seen.
    pub digest: String,
    /// Managed objects that it depends on: these cannot be dropped while it stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<Id>,
}

/// The picture of one database.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// `server_version_num`.
    pub server: u32,
    /// The role that read it.
    pub role: String,
    /// The owner of the database: objects belong to it when nobody says otherwise.
    pub owner: String,
    /// The name of the database.
    pub database: String,
    /// The roles of the server.
    pub roles: BTreeSet<String>,
    /// Objects that plumb does not manage.
    pub unmanaged: Vec<Unmanaged>,
    /// What relations hold, by SQL name, where that was asked for: it changes all the time and is part of no fingerprint.
    pub sizes: BTreeMap<String, Size>,
    /// Tables whose updates or deletions are published, by SQL name, where that was asked for.
    pub published: BTreeSet<String>,
    /// In the order of their addresses.
    objects: Vec<Arc<Entry>>,
    places: IdMap<u32>,
    /// Dependent and referenced by place, in order.
    edges: Vec<(u32, u32, Dependency)>,
    children: Lists<u32>,
    uses: Lists<(Id, Dependency)>,
    used_by: Lists<(Id, Dependency)>,
}

/// An object as catalogs hold and share it, with its fingerprint once that was asked for.
#[derive(Debug)]
pub struct Entry {
    /// The object.
    pub object: Object,
    print: OnceLock<Print>,
}

impl Entry {
    /// Takes its fingerprint ahead of time.
    pub fn imprint(&self) {
        self.print.get_or_init(|| print(&self.object));
    }

    /// One that no other catalog has.
    pub fn new(object: Object) -> Arc<Entry> {
        Arc::new(Entry { object, print: OnceLock::new() })
    }
}

/// A list for each place: all of them in one, and where each ends.
#[derive(Clone, Debug)]
struct Lists<T> {
    all: Vec<T>,
    ends: Vec<u32>,
}

impl<T> Default for Lists<T> {
    fn default() -> Lists<T> {
        Lists { all: Vec::new(), ends: Vec::new() }
    }
}

impl<T> Lists<T> {
    /// From pairs of a place and what belongs to it, sorted by place.
    fn new(places: usize, pairs: impl Iterator<Item = (u32, T)>) -> Lists<T> {
        let mut lists = Lists { all: Vec::new(), ends: Vec::with_capacity(places) };
        for (place, item) in pairs {
            lists.ends.resize(place as usize, lists.all.len() as u32);
            lists.all.push(item);
        }
        lists.ends.resize(places, lists.all.len() as u32);
        lists
    }

    fn of(&self, place: u32) -> &[T] {
        let end = |place: usize| self.ends.get(place).copied().unwrap_or_default() as usize;
        let start = (place as usize).checked_sub(1).map_or(0, end);
        self.all.get(start..end(place as usize)).unwrap_or_default()
    }
}

impl Catalog {
    /// A catalog of these objects and edges; edges to objects that are not in it are left out.
    pub fn new(objects: Vec<Object>, edges: impl IntoIterator<Item = Edge>) -> Catalog {
        Catalog::of_entries(objects.into_iter().map(Entry::new).collect(), edges)
    }

    /// The same of objects that other catalogs may hold too.
    pub fn of_entries(objects: Vec<Arc<Entry>>, edges: impl IntoIterator<Item = Edge>) -> Catalog {
        let mut catalog = Catalog::of(objects);
        let place = |id: &Id| catalog.places.get(id).copied();
        let places = edges.into_iter().filter_map(|e| Some((place(&e.dependent)?, place(&e.referenced)?, e.dependency)));
        let mut edges: Vec<_> = places.filter(|(a, b, _)| a != b).collect();
        edges.sort_unstable();
        edges.dedup();
        catalog.edges = edges;
        catalog.index();
        catalog
    }

    /// Objects without edges; of two with one address the later one.
    fn of(mut objects: Vec<Arc<Entry>>) -> Catalog {
        objects.sort_by(|a, b| a.object.id.cmp(&b.object.id));
        objects.reverse();
        objects.dedup_by(|later, earlier| later.object.id == earlier.object.id);
        objects.reverse();
        Catalog::of_sorted(objects)
    }

    /// Objects without edges, in the order of their addresses.
    fn of_sorted(objects: Vec<Arc<Entry>>) -> Catalog {
        let places = objects.iter().enumerate().map(|(i, e)| (e.object.id.clone(), i as u32)).collect();
        Catalog { objects, places, ..Catalog::default() }
    }

    fn index(&mut self) {
        let count = self.objects.len();
        let parent = |o: &Object| self.places.get(o.parent.as_ref()?).copied();
        let mut parts: Vec<(u32, u32)> =
            self.objects.iter().enumerate().filter_map(|(i, e)| Some((parent(&e.object)?, i as u32))).collect();
        parts.sort_unstable();
        let id = |place: u32| self.objects[place as usize].object.id.clone();
        let uses = self.edges.iter().map(|(a, b, d)| (*a, (id(*b), *d)));
        let mut turned: Vec<_> = self.edges.iter().map(|(a, b, d)| (*b, *a, *d)).collect();
        turned.sort_unstable();
        (self.children, self.uses, self.used_by) = (
            Lists::new(count, parts.into_iter()),
            Lists::new(count, uses),
            Lists::new(count, turned.into_iter().map(|(b, a, d)| (b, (id(a), d)))),
        );
    }

    /// The objects that `keep` wants, with the edges among them; everything else of the header stays.
    pub fn filtered(&self, keep: impl Fn(&Object) -> bool) -> Catalog {
        let kept: Vec<bool> = self.objects.iter().map(|e| keep(&e.object)).collect();
        if kept.iter().all(|k| *k) {
            return self.clone();
        }
        let objects: Vec<_> = self.objects.iter().zip(&kept).filter(|(_, k)| **k).map(|(e, _)| e.clone()).collect();
        let mut moved = Vec::with_capacity(kept.len());
        kept.iter().fold(0, |next, k| {
            moved.push(next);
            next + u32::from(*k)
        });
        let stays = |place: u32| kept[place as usize];
        let edges = self.edges.iter().filter(|(a, b, _)| stays(*a) && stays(*b));
        let edges = edges.map(|(a, b, d)| (moved[*a as usize], moved[*b as usize], *d)).collect();
        let mut catalog = Catalog { edges, ..Catalog::of_sorted(objects) }.with_header(self);
        catalog.index();
        catalog
    }

    /// The same objects, as if they were read from where `other` was.
    pub fn with_header(self, other: &Catalog) -> Catalog {
        Catalog {
            server: other.server,
            role: other.role.clone(),
            owner: other.owner.clone(),
            database: other.database.clone(),
            roles: other.roles.clone(),
            unmanaged: other.unmanaged.clone(),
            sizes: other.sizes.clone(),
            published: other.published.clone(),
            ..self
        }
    }

    fn entry(&self, id: &Id) -> Option<&Entry> {
        self.places.get(id).map(|place| &*self.objects[*place as usize])
    }

    /// All objects in the order of their addresses.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.iter().map(|e| &e.object)
    }

    /// The fingerprints of all objects, in the order of their addresses.
    pub(super) fn prints(&self) -> impl Iterator<Item = &Print> {
        self.objects.iter().map(|e| e.print.get_or_init(|| print(&e.object)))
    }

    /// The fingerprint of the object with this address.
    pub(super) fn print(&self, id: &Id) -> Option<&Print> {
        self.entry(id).map(|e| e.print.get_or_init(|| print(&e.object)))
    }

    /// Whether both have this object, and the same one.
    pub fn agrees(&self, other: &Catalog, id: &Id) -> bool {
        self.print(id).is_some() && self.print(id) == other.print(id)
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is no object at all.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The object with this address.
    pub fn get(&self, id: &Id) -> Option<&Object> {
        self.entry(id).map(|e| &e.object)
    }

    /// Whether an object has this address.
    pub fn contains(&self, id: &Id) -> bool {
        self.places.contains_key(id)
    }

    /// All edges, ordered.
    pub fn edges(&self) -> impl Iterator<Item = Edge> {
        let id = |place: &u32| self.objects[*place as usize].object.id.clone();
        self.edges.iter().map(move |(a, b, d)| Edge { dependent: id(a), referenced: id(b), dependency: *d })
    }

    /// The parts of an object: columns, constraints, triggers, satellites.
    pub fn children(&self, id: &Id) -> impl Iterator<Item = &Object> {
        let parts = self.places.get(id).map(|p| self.children.of(*p)).unwrap_or_default();
        parts.iter().map(|p| &self.objects[*p as usize].object)
    }

    /// What `id` depends on.
    pub fn uses(&self, id: &Id) -> &[(Id, Dependency)] {
        self.places.get(id).map(|p| self.uses.of(*p)).unwrap_or_default()
    }

    /// What depends on `id`.
    pub fn used_by(&self, id: &Id) -> &[(Id, Dependency)] {
        self.places.get(id).map(|p| self.used_by.of(*p)).unwrap_or_default()
    }

    /// Puts objects in the places of those with their addresses, or adds them.
    pub fn put(&mut self, objects: impl IntoIterator<Item = Object>) {
        let mut new = Vec::new();
        for object in objects {
            match self.places.get(&object.id) {
                Some(place) => self.objects[*place as usize] = Entry::new(object),
                None => new.push(object),
            }
        }
        if !new.is_empty() {
            let edges: Vec<Edge> = self.edges().collect();
            let objects = self.objects().cloned().chain(new).collect();
            *self = Catalog::new(objects, edges).with_header(self);
        }
    }
}
