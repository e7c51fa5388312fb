//! SHA-256 over canonical JSON (RFC 8785): the same catalog gives the same text on every machine.

use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

use super::{Catalog, Id, Object};

/// The SHA-256 of the canonical JSON of `value`, in lower-case hexadecimal.
///
/// # Panics
/// Never for the types of this crate: all of them serialize to JSON.
pub fn digest<T: Serialize>(value: &T) -> String {
    let json = serde_json_canonicalizer::to_vec(value).expect("plumb's own types serialize to JSON");
    Sha256::digest(&json).iter().map(|b| format!("{b:02x}")).collect()
}

/// The fingerprint of some objects: addresses and definitions, without details and edges.
pub fn fingerprint_of<'a>(objects: impl Iterator<Item = &'a Object>) -> String {
    let mut rows: Vec<_> = objects.map(|o| (&o.id, &o.definition)).collect();
    rows.sort_by(|a, b| a.0.cmp(b.0));
    digest(&rows)
}

/// The fingerprint of a whole catalog.
pub fn fingerprint(catalog: &Catalog) -> String {
    fingerprint_of(catalog.objects())
}

/// The beginnings of the fingerprints of whole objects, each with all its parts and satellites, by name.
pub fn fingerprints(catalog: &Catalog) -> BTreeMap<String, String> {
    let mut wholes: BTreeMap<&Id, Vec<&Object>> = BTreeMap::new();
    for object in catalog.objects() {
        wholes.entry(whole(catalog, object)).or_default().push(object);
    }
    let short = |objects: Vec<&Object>| fingerprint_of(objects.into_iter()).chars().take(8).collect();
    wholes.into_iter().map(|(id, objects)| (id.to_string(), short(objects))).collect()
}

/// The outermost object that this one is a part of, itself when it is none.
fn whole<'a>(catalog: &'a Catalog, object: &'a Object) -> &'a Id {
    let mut at = &object.id;
    while let Some(outer) = catalog.get(at).and_then(|o| o.parent.as_ref()).or_else(|| at.of()) {
        at = outer;
    }
    at
}
