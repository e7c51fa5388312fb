//! Running a plan on a schema-only copy of the live database before anybody reads it, and settling what deparsing writes in two ways.

mod copy;
mod expected;
mod gone;
mod observe;
mod rehearse;
mod run;
mod settle;
mod stored;

pub use copy::{CopyError, copy};
pub use expected::{Expected, expected};
pub use observe::{Observations, WEAKEST, observe};
pub use run::{COPY, Copied, Outcome, ProveError, build_copy, check_copy, open_copy, prove, prove_on, unproven};
pub use settle::{Pair, Settled, candidates, settle, surroundings};
pub use stored::{Stored, stored};
