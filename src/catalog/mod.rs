//! The picture of a database: objects, what they depend on, and a fingerprint of it all.
//!
//! Pure data. It knows no kind of object, no server and no SQL; kinds give it meaning (`crate::kind`),
//! `crate::introspect` fills it from a server.

mod canonical;
mod edge;
mod fingerprint;
mod hash;
mod id;
mod object;
mod size;
mod snapshot;
mod store;

pub use edge::{Dependency, Edge};
pub use fingerprint::{digest, digest_of_bytes, fingerprint, fingerprint_in_full, fingerprint_of, fingerprints};
pub use hash::{FastMap, FastSet, IdMap, IdSet};
pub use id::Id;
pub use object::Object;
pub use size::{Magnitude, Size, Usage};
pub use snapshot::{
    FORMAT as SNAPSHOT_FORMAT, Packed, SnapshotError, pack, read_snapshot, unpack, write_compact, write_snapshot,
};
pub use store::{Catalog, Entry, Unmanaged};
