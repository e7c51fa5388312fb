//! The picture of a database: objects, what they depend on, and a fingerprint of it all.
//!
//! Pure data. It knows no kind of object, no server and no SQL; kinds give it meaning (`crate::kind`),
//! `crate::introspect` fills it from a server.

mod edge;
mod fingerprint;
mod id;
mod object;
mod size;
mod snapshot;
mod store;

pub use edge::{Dependency, Edge};
pub use fingerprint::{digest, fingerprint, fingerprint_of, fingerprints};
pub use id::{Id, IdMap, IdSet};
pub use object::Object;
pub use size::{Magnitude, Size};
pub use snapshot::{FORMAT as SNAPSHOT_FORMAT, SnapshotError, read_snapshot, write_snapshot};
pub use store::{Catalog, Entry, Unmanaged};
