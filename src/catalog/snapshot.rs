//! A catalog as a JSON document: what `plumb snapshot` writes and `--db` and `--schema` read.

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

use super::{Catalog, Edge, Object, Size, Unmanaged, digest_of_bytes};

/// The version of the document's form.
pub const FORMAT: u32 = 0;

/// What is wrong with a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Not JSON, or not of this form.
    #[error("not a snapshot that this plumb reads: {0}")]
    Form(#[from] serde_json::Error),
    /// Written by a newer plumb.
    #[error("the snapshot has format {0}, this plumb reads format {FORMAT}")]
    Newer(u32),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    snapshot: u32,
    server: u32,
    database: String,
    role: String,
    owner: String,
    roles: BTreeSet<String>,
    objects: Vec<Object>,
    edges: Vec<Edge>,
    unmanaged: Vec<Unmanaged>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sizes: BTreeMap<String, Size>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    published: BTreeSet<String>,
}

/// The catalog as pretty-printed JSON; the same catalog gives the same bytes.
///
/// # Panics
/// Never: all parts serialize.
pub fn write_snapshot(catalog: &Catalog) -> String {
    serde_json::to_string_pretty(&document(catalog)).expect("a catalog serializes") + "\n"
}

/// The same in one line, for programs.
///
/// # Panics
/// Never: all parts serialize.
pub fn write_compact(catalog: &Catalog) -> String {
    serde_json::to_string(&document(catalog)).expect("a catalog serializes")
}

fn document(catalog: &Catalog) -> Document {
    Document {
        snapshot: FORMAT,
        server: catalog.server,
        database: catalog.database.clone(),
        role: catalog.role.clone(),
        owner: catalog.owner.clone(),
        roles: catalog.roles.clone(),
        objects: catalog.objects().cloned().collect(),
        edges: catalog.edges().collect(),
        unmanaged: catalog.unmanaged.clone(),
        sizes: catalog.sizes.clone(),
        published: catalog.published.clone(),
    }
}

/// Reads what [`write_snapshot`] wrote.
///
/// # Errors
/// When the text is not JSON of this form, or of a newer one. Definitions are checked by `crate::kind::check`.
pub fn read_snapshot(text: &str) -> Result<Catalog, SnapshotError> {
    #[derive(Deserialize)]
    struct Head {
        snapshot: u32,
    }
    let head: Head = serde_json::from_str(text)?;
    if head.snapshot > FORMAT {
        return Err(SnapshotError::Newer(head.snapshot));
    }
    let document: Document = serde_json::from_str(text)?;
    let mut catalog = Catalog::new(document.objects, document.edges);
    catalog.server = document.server;
    catalog.database = document.database;
    catalog.role = document.role;
    catalog.owner = document.owner;
    catalog.roles = document.roles;
    catalog.unmanaged = document.unmanaged;
    (catalog.sizes, catalog.published) = (document.sizes, document.published);
    Ok(catalog)
}

/// A snapshot as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// SHA-256 of what is packed: the same catalog has the same one.
    pub id: String,
    /// The JSON, compressed by gzip.
    pub bytes: Vec<u8>,
}

/// Packs a catalog.
///
/// # Panics
/// Never: all parts serialize, and memory takes what is written to it.
pub fn pack(catalog: &Catalog) -> Packed {
    let json = serde_json::to_vec(&document(catalog)).expect("a catalog serializes");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&json).expect("memory takes it");
    Packed { id: digest_of_bytes(&json), bytes: encoder.finish().expect("memory takes it") }
}

/// Takes apart what [`pack`] has packed.
///
/// # Errors
/// What is wrong with it, in words.
pub fn unpack(bytes: &[u8]) -> Result<Catalog, String> {
    let mut json = String::new();
    GzDecoder::new(bytes).read_to_string(&mut json).map_err(|e| e.to_string())?;
    read_snapshot(&json).map_err(|e| e.to_string())
}
