//! From the OIDs of one reading to addresses and edges.

use super::Oids;
use super::reading::Reading;
use crate::catalog::{Dependency, Edge, FastMap, FastSet, Id, IdMap, Unmanaged};

/// Dependencies by which the server says that something is a part of something: internal, and of partitions.
const PART: [char; 3] = ['i', 'P', 'S'];

/// The OID of `pg_class`, which PostgreSQL never changes.
const PG_CLASS: u32 = 1259;

/// From OIDs to addresses, by way of internal dependencies where an OID is not an object of its own (a row type, the rule of
/// a view, the index of a constraint).
pub(super) struct Resolver {
    ids: FastMap<Oids, Id>,
    through: FastMap<(u32, u32), Oids>,
    members: FastMap<(u32, u32), (u32, u32)>,
}

impl Resolver {
    pub(super) fn new(reading: &mut Reading) -> Resolver {
        let ids = std::mem::take(&mut reading.ids);
        let mut through = FastMap::default();
        let mut members = FastMap::default();
        for (dependent, referenced, letter) in &reading.depends {
            let key = (dependent.0, dependent.1);
            match letter {
                'e' => drop(members.insert(key, (referenced.0, referenced.1))),
                'i' => drop(through.insert(key, *referenced)),
                'a' => drop(through.entry(key).or_insert(*referenced)),
                _ => {}
            }
        }
        Resolver { ids, through, members }
    }

    pub(super) fn is_member(&self, oids: Oids) -> bool {
        self.members.contains_key(&(oids.0, oids.1))
    }

    pub(super) fn exact(&self, oids: Oids) -> Option<&Id> {
        self.ids.get(&oids)
    }

    fn resolve(&self, mut oids: Oids) -> Option<&Id> {
        for _ in 0..8 {
            if let Some(id) = self.ids.get(&oids).or_else(|| self.ids.get(&(oids.0, oids.1, 0))) {
                return Some(match self.members.get(&(oids.0, oids.1)) {
                    Some((class, extension)) => self.ids.get(&(*class, *extension, 0))?,
                    None => id,
                });
            }
            oids = match self.members.get(&(oids.0, oids.1)) {
                Some((class, extension)) => (*class, *extension, 0),
                None => *self.through.get(&(oids.0, oids.1))?,
            };
        }
        None
    }

    pub(super) fn edges(&self, depends: &[(Oids, Oids, char)], inherited: &[(Oids, Oids)], parents: &IdMap<Id>) -> Vec<Edge> {
        let within = |inner: &Id, outer: &Id| std::iter::successors(parents.get(inner), |p| parents.get(*p)).any(|p| p == outer);
        let mut edges = Vec::with_capacity(depends.len());
        for (dependent, referenced, letter) in depends {
            let (Some(a), Some(b)) = (self.resolve(*dependent), self.resolve(*referenced)) else { continue };
            // What is inside needs what is outside, never the other way round; that goes without an edge.
            if a == b || within(b, a) || within(a, b) {
                continue;
            }
            if a.class() == "sequence" && b.class() == "column" && *letter == 'a' {
                let dependent = a.as_class("owned by");
                edges.push(Edge { dependent, referenced: b.clone(), dependency: Dependency::Auto });
                continue;
            }
            let same_class = a.class() == b.class();
            let dependency = match letter {
                'P' | 'S' if same_class => Dependency::Inherited,
                'P' | 'S' => continue,
                'a' | 'i' if a.class() == "table" && b.class() == "table" => continue,
                // What only the index of a constraint uses (its condition) does not take the constraint along.
                'a' if a.class() == "exclusion" && self.exact(*dependent).is_none() => Dependency::Normal,
                'a' | 'i' | 'x' => Dependency::Auto,
                _ => Dependency::Normal,
            };
            edges.push(Edge { dependent: a.clone(), referenced: b.clone(), dependency });
        }
        for (child, parent) in inherited {
            if let (Some(a), Some(b)) = (self.ids.get(child), self.ids.get(parent)) {
                edges.push(Edge { dependent: a.clone(), referenced: b.clone(), dependency: Dependency::Inherited });
            }
        }
        edges.extend(self.partition_edges(&edges, parents));
        edges
    }

    /// Objects that are not managed, with the managed ones that they cannot be without.
    pub(super) fn unmanaged(&self, found: Vec<(Oids, Unmanaged)>, depends: &[(Oids, Oids, char)]) -> Vec<Unmanaged> {
        let places: FastMap<(u32, u32), usize> = found.iter().enumerate().map(|(i, (oids, _))| ((oids.0, oids.1), i)).collect();
        let mut list: Vec<Unmanaged> = found.into_iter().map(|(_, object)| object).collect();
        let place = |oids: &Oids| {
            let mut key = (oids.0, oids.1);
            for _ in 0..4 {
                if let Some(place) = places.get(&key) {
                    return Some(*place);
                }
                key = self.through.get(&key).map(|o| (o.0, o.1))?;
            }
            None
        };
        let hard = depends.iter().filter(|(dependent, _, letter)| *letter == 'n' && !self.ids.contains_key(dependent));
        for (dependent, referenced, _) in hard {
            if let (Some(place), Some(used)) = (place(dependent), self.resolve(*referenced)) {
                list[place].uses.push(used.clone());
            }
        }
        for object in &mut list {
            object.uses.sort();
            object.uses.dedup();
        }
        list
    }

    /// What depends on something and is neither an object of a kind, nor of what is named as not managed, nor the server's own part
    /// of one of these: a class of objects that plumb has never heard of.
    pub(super) fn unknown(&self, depends: &[(Oids, Oids, char)], found: &[(Oids, Unmanaged)]) -> Vec<Oids> {
        let mut known: FastSet<(u32, u32)> =
            self.ids.keys().chain(found.iter().map(|(oids, _)| oids)).map(|o| (o.0, o.1)).collect();
        known.extend(self.members.keys());
        let mut parts: FastMap<(u32, u32), Vec<(u32, u32)>> = FastMap::default();
        // The index of a TOAST table depends on that as any index on its table; the TOAST table is a part and nothing else.
        let of_toast = |dependent: &Oids, referenced: &Oids| {
            dependent.0 == PG_CLASS && referenced.0 == PG_CLASS && !known.contains(&(referenced.0, referenced.1))
        };
        for (dependent, referenced, _) in
            depends.iter().filter(|(d, r, letter)| PART.contains(letter) || *letter == 'a' && of_toast(d, r))
        {
            parts.entry((dependent.0, dependent.1)).or_default().push((referenced.0, referenced.1));
        }
        // As far up as it goes: what a foreign key is to each partition hangs on what it is to the one above.
        let is_part = |key: &(u32, u32)| {
            let (mut level, mut seen) = (vec![*key], FastSet::default());
            while !level.is_empty() {
                level = level.iter().filter_map(|k| parts.get(k)).flatten().copied().filter(|k| seen.insert(*k)).collect();
                if level.iter().any(|k| known.contains(k)) {
                    return true;
                }
            }
            false
        };
        let mut list: Vec<Oids> = depends.iter().map(|(dependent, ..)| (dependent.0, dependent.1, 0)).collect();
        list.sort_unstable();
        list.dedup();
        list.retain(|o| !known.contains(&(o.0, o.1)) && !is_part(&(o.0, o.1)));
        list
    }

    /// A partition is attached after its own members stand, and to a parent that stands.
    fn partition_edges(&self, edges: &[Edge], parents: &IdMap<Id>) -> Vec<Edge> {
        let all = self.ids.values().filter(|id| id.class() == "partition");
        let partitions: IdMap<&Id> = all.filter_map(|p| Some((parents.get(p)?.clone(), p))).collect();
        let normal = |a: &Id, b: &Id| Edge { dependent: a.clone(), referenced: b.clone(), dependency: Dependency::Normal };
        let mut more = Vec::new();
        for edge in edges.iter().filter(|e| e.dependency == Dependency::Inherited) {
            let (Some(child), Some(parent)) = (parents.get(&edge.dependent), parents.get(&edge.referenced)) else { continue };
            if edge.dependent.class() == "index" {
                let joined = Id::new("index partition", edge.dependent.name().iter().cloned());
                more.push(normal(&joined, &edge.referenced));
            }
            let Some(partition) = partitions.get(child) else { continue };
            more.push(normal(partition, parent));
            if edge.dependent.class() != "trigger" {
                more.push(normal(partition, &edge.dependent));
            }
        }
        more
    }
}
