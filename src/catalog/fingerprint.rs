//! SHA-256 over canonical JSON (RFC 8785): the same catalog gives the same text on every machine.

use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

use super::id::IdMap;
use super::{Catalog, Id, Object};

/// The SHA-256 of the canonical JSON of `value`, in lower-case hexadecimal.
///
/// # Panics
/// Never for the types of this crate: all of them serialize to JSON.
pub fn digest<T: Serialize>(value: &T) -> String {
    let json = serde_json_canonicalizer::to_vec(value).expect("plumb's own types serialize to JSON");
    hex(&Sha256::digest(&json))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The SHA-256 of one object's address and definition.
pub(super) type Print = [u8; 32];

/// The fingerprint of one object: address and definition, without details and edges.
pub(super) fn print(object: &Object) -> Print {
    let json = serde_json_canonicalizer::to_vec(&(&object.id, &object.definition)).expect("an object serializes to JSON");
    Sha256::digest(&json).into()
}

fn over<'a>(prints: impl Iterator<Item = &'a Print>) -> String {
    let mut sum = Sha256::new();
    prints.for_each(|p| sum.update(p));
    hex(&sum.finalize())
}

/// The fingerprint of some objects of a catalog: over those of each, in the order of their addresses.
pub fn fingerprint_of(catalog: &Catalog, ids: &BTreeSet<&Id>) -> String {
    over(ids.iter().filter_map(|id| catalog.print(id)))
}

/// The fingerprint of a whole catalog.
pub fn fingerprint(catalog: &Catalog) -> String {
    over(catalog.prints())
}

/// The beginnings of the fingerprints of whole objects, each with all its parts and satellites, by name.
pub fn fingerprints(catalog: &Catalog) -> BTreeMap<String, String> {
    let mut wholes: IdMap<Sha256> = IdMap::default();
    for (object, print) in catalog.objects().zip(catalog.prints()) {
        wholes.entry(whole(catalog, object).clone()).or_default().update(print);
    }
    wholes.into_iter().map(|(id, sum)| (id.to_string(), hex(&sum.finalize()[..4]))).collect()
}

/// The outermost object that this one is a part of, itself when it is none.
fn whole<'a>(catalog: &'a Catalog, object: &'a Object) -> &'a Id {
    let mut at = &object.id;
    while let Some(outer) = catalog.get(at).and_then(|o| o.parent.as_ref()).or_else(|| at.of()) {
        at = outer;
    }
    at
}
