//! A catalog: objects by address, their edges, and the indexes over both.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Dependency, Edge, Id, Object};

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
    objects: BTreeMap<Id, Object>,
    edges: BTreeSet<Edge>,
    children: HashMap<Id, Vec<Id>>,
    uses: HashMap<Id, Vec<(Id, Dependency)>>,
    used_by: HashMap<Id, Vec<(Id, Dependency)>>,
}

impl Catalog {
    /// A catalog of these objects and edges; edges to objects that are not in it are left out.
    pub fn new(objects: Vec<Object>, edges: impl IntoIterator<Item = Edge>) -> Catalog {
        let mut catalog = Catalog { objects: objects.into_iter().map(|o| (o.id.clone(), o)).collect(), ..Catalog::default() };
        catalog.edges = edges
            .into_iter()
            .filter(|e| e.dependent != e.referenced)
            .filter(|e| catalog.objects.contains_key(&e.dependent) && catalog.objects.contains_key(&e.referenced))
            .collect();
        catalog.index();
        catalog
    }

    fn index(&mut self) {
        self.children.clear();
        self.uses.clear();
        self.used_by.clear();
        for object in self.objects.values() {
            if let Some(parent) = &object.parent {
                self.children.entry(parent.clone()).or_default().push(object.id.clone());
            }
        }
        for edge in &self.edges {
            self.uses.entry(edge.dependent.clone()).or_default().push((edge.referenced.clone(), edge.dependency));
            self.used_by.entry(edge.referenced.clone()).or_default().push((edge.dependent.clone(), edge.dependency));
        }
    }

    /// The objects that `keep` wants, with the edges among them; everything else of the header stays.
    pub fn filtered(&self, keep: impl Fn(&Object) -> bool) -> Catalog {
        let objects = self.objects.values().filter(|o| keep(o)).cloned().collect();
        Catalog {
            server: self.server,
            role: self.role.clone(),
            owner: self.owner.clone(),
            database: self.database.clone(),
            roles: self.roles.clone(),
            unmanaged: self.unmanaged.clone(),
            ..Catalog::new(objects, self.edges.iter().cloned())
        }
    }

    /// All objects in the order of their addresses.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
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
        self.objects.get(id)
    }

    /// Whether an object has this address.
    pub fn contains(&self, id: &Id) -> bool {
        self.objects.contains_key(id)
    }

    /// All edges, ordered.
    pub fn edges(&self) -> impl Iterator<Item = &Edge> {
        self.edges.iter()
    }

    /// The parts of an object: columns, constraints, triggers, satellites.
    pub fn children(&self, id: &Id) -> impl Iterator<Item = &Object> {
        self.children.get(id).into_iter().flatten().filter_map(|c| self.objects.get(c))
    }

    /// What `id` depends on.
    pub fn uses(&self, id: &Id) -> &[(Id, Dependency)] {
        self.uses.get(id).map_or(&[], Vec::as_slice)
    }

    /// What depends on `id`.
    pub fn used_by(&self, id: &Id) -> &[(Id, Dependency)] {
        self.used_by.get(id).map_or(&[], Vec::as_slice)
    }

    /// Puts `object` in place of the one with its address, or adds it.
    pub fn put(&mut self, object: Object) {
        if let Some(parent) = &object.parent
            && !self.objects.contains_key(&object.id)
        {
            self.children.entry(parent.clone()).or_default().push(object.id.clone());
        }
        self.objects.insert(object.id.clone(), object);
    }
}
