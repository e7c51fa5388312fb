//! Rows that were read before. Two databases that are compared are nearly the same: what has the same row on both sides is one
//! object in memory, parsed, checked and fingerprinted once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use super::IntrospectError;
use crate::catalog::{Entry, FastMap, Id, IdMap, Object};
use crate::kind::KINDS;

type Entries = FastMap<Vec<u8>, Arc<Entry>>;

/// The objects of all readings that share it.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<All>);

#[derive(Debug)]
struct All {
    /// By class and the bytes of their rows.
    rows: Vec<(&'static str, Mutex<Entries>)>,
    satellites: Mutex<IdMap<Arc<Entry>>>,
}

impl Default for All {
    fn default() -> All {
        All { rows: KINDS.iter().map(|kind| (kind.class, Mutex::default())).collect(), satellites: Mutex::default() }
    }
}

impl Seen {
    /// Those of one class. Another reading waits meanwhile, and finds them all.
    pub(super) fn of(&self, class: &str) -> ClassSeen<'_> {
        let entries = self.0.rows.iter().find(|(c, _)| *c == class);
        ClassSeen(entries.map(|(_, e)| e.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Owners, grants and comments. Another reading waits meanwhile.
    pub(super) fn satellites(&self) -> SatellitesSeen<'_> {
        SatellitesSeen(self.0.satellites.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The satellites that were read before.
pub(super) struct SatellitesSeen<'a>(MutexGuard<'a, IdMap<Arc<Entry>>>);

impl SatellitesSeen<'_> {
    /// What another reading has, where that has the same.
    pub(super) fn entry(&mut self, object: Object) -> Arc<Entry> {
        if let Some(known) = self.0.get(&object.id).filter(|known| known.object == object) {
            return known.clone();
        }
        let entry = Entry::new(object);
        entry.imprint();
        self.0.entry(entry.object.id.clone()).or_insert_with(|| entry.clone());
        entry
    }
}

/// The objects of one class that were read before.
pub(super) struct ClassSeen<'a>(Option<MutexGuard<'a, Entries>>);

impl ClassSeen<'_> {
    /// The object of a row, made unless the same row was read before, under the same parent.
    pub(super) fn entry(
        &mut self,
        row: &Row,
        parent: Option<Id>,
        make: impl FnOnce(Option<Id>) -> Result<Object, IntrospectError>,
    ) -> Result<Arc<Entry>, IntrospectError> {
        let key = key(row);
        if let Some(entry) = self.0.as_ref().and_then(|e| e.get(&key)).filter(|e| e.object.parent == parent) {
            return Ok(entry.clone());
        }
        let entry = Entry::new(make(parent)?);
        // The server is still at work; later there would be nothing else to do meanwhile.
        entry.imprint();
        if let Some(entries) = &mut self.0 {
            entries.insert(key, entry.clone());
        }
        Ok(entry)
    }
}

/// Everything that an object is made of: name, arguments, owner, what the owner has by default, definition, detail. Never an OID.
fn key(row: &Row) -> Vec<u8> {
    let mut key = Vec::with_capacity(512);
    for column in [3, 4, 8, 10, 11, 12] {
        match row.get::<_, Option<Bytes>>(column) {
            Some(Bytes(bytes)) => {
                key.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
                key.extend_from_slice(bytes);
            }
            None => key.extend_from_slice(&[0xff; 4]),
        }
    }
    key
}

/// A value as it came, whatever its type.
struct Bytes<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Bytes<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Bytes<'a>, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Bytes(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
