//! SHA-256 over canonical JSON (RFC 8785): the same catalog gives the same text on every machine.

use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

use super::hash::IdMap;
use super::{Catalog, Id, Object, canonical};

/// The SHA-256 of the canonical JSON of `value`, in lower-case hexadecimal.
///
/// # Panics
/// Never for the types of this crate: all of them serialize to JSON.
pub fn digest<T: Serialize>(value: &T) -> String {
    let value = serde_json::to_value(value).expect("plumb's own types serialize to JSON");
    let mut json = Vec::new();
    canonical::write(&mut json, &value);
    hex(&Sha256::digest(&json))
}

/// The SHA-256 of bytes.
pub fn digest_of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|half| char::from(DIGITS[usize::from(half)])).collect()
}

/// The SHA-256 of one object's address and definition.
pub(super) type Print = [u8; 32];

/// The fingerprint of one object: address and definition, without details and edges.
pub(super) fn print(object: &Object) -> Print {
    let mut json = Vec::with_capacity(512);
    json.push(b'[');
    object.id.write_canonical(&mut json);
    json.push(b',');
    canonical::write_map(&mut json, &object.definition);
    json.push(b']');
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

/// The same with what is known of objects and never compared: two databases that have it in common have the same copy.
pub fn fingerprint_in_full(catalog: &Catalog) -> String {
    let mut sum = Sha256::new();
    let mut json = Vec::new();
    for (object, print) in catalog.objects().zip(catalog.prints()) {
        json.clear();
        canonical::write_map(&mut json, &object.detail);
        sum.update(print);
        sum.update(&json);
    }
    hex(&sum.finalize())
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    #[test]
    fn an_object_has_the_fingerprint_that_it_always_had() {
        let table = Id::new("table", ["public", "Sélect\"; --"]);
        let ids = [
            table.clone(),
            Id::satellite("comment", &table),
            Id::with_args("function", ["s", "f"], Some(vec![])),
            Id::satellite("grant", &Id::with_args("function", ["s", "f"], Some(vec!["integer".into(), "text[]".into()]))),
            Id::new("x", Vec::<String>::new()),
        ];
        let definition = json!({"type": "text", "options": ["a=1", "b"], "identity": {"start": 1, "max": i64::MAX}});
        for id in ids {
            let object =
                Object { id, parent: None, definition: definition.as_object().cloned().unwrap_or_default(), detail: Map::new() };
            let json = serde_json_canonicalizer::to_vec(&(&object.id, &object.definition)).expect("an object serializes to JSON");
            assert_eq!(print(&object), <[u8; 32]>::from(Sha256::digest(&json)), "{}", String::from_utf8_lossy(&json));
        }
    }
}
