//! Rows that were read before. Two databases that are compared are nearly the same: what has the same row on both sides is one
//! object in memory, parsed, checked and fingerprinted once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use super::IntrospectError;
use crate::catalog::{Entry, Id, Object};
use crate::kind::KINDS;

type Entries = HashMap<Vec<u8>, Arc<Entry>>;

/// The objects of all readings that share it, by the bytes of their rows.
#[derive(Clone, Debug)]
pub struct Seen(Arc<Vec<(&'static str, Mutex<Entries>)>>);

impl Default for Seen {
    fn default() -> Seen {
        Seen(Arc::new(KINDS.iter().map(|kind| (kind.class, Mutex::default())).collect()))
    }
}

impl Seen {
    /// Those of one class. Another reading waits meanwhile, and finds them all.
    pub(super) fn of(&self, class: &str) -> ClassSeen<'_> {
        let entries = self.0.iter().find(|(c, _)| *c == class);
        ClassSeen(entries.map(|(_, e)| e.lock().unwrap_or_else(PoisonError::into_inner)))
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
