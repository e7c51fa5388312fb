//! Running a plan on a schema-only copy of the live database before anybody reads it, and settling what deparsing writes in two ways.

mod administrator;
mod carry;
mod copy;
mod declared;
mod expected;
mod gone;
mod limit;
mod observe;
mod rehearse;
mod rename;
mod run;
mod settle;
mod stored;

pub use copy::{CopyError, copy};
pub use declared::{Declared, declared, origin, words};
pub use expected::{Expected, expected};
pub use observe::{Observations, WEAKEST, observe};
pub use rename::{Called, Names, RenameError, rename, rename_back};
pub use run::{COPY, Copied, Outcome, ProveError, build_copy, check_copy, open_copy, prove, prove_on, unproven};
pub use settle::{Pair, Settled, candidates, settle, surroundings};
pub use stored::{Stored, otherwise, stored};
