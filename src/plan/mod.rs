//! The plan: what will be done, in which groups, why, and what was proven of it. Pure.

mod acceptance;
mod answers;
mod asserting;
mod bodies;
mod build;
mod compared;
mod definition;
mod difference;
pub mod differences;
mod document;
pub mod drift_markdown;
pub(crate) mod estimates;
pub mod explain;
mod facts;
pub mod findings;
pub mod graph;
pub mod html;
mod ignore;
pub(crate) mod known;
mod make;
pub mod markdown;
mod markup;
pub mod metrics;
mod notes;
mod options;
mod page;
mod phases;
mod proposed;
mod reader;
mod renamed;
mod reseal;
mod reverse;
mod seals;
pub mod sql;
mod standing;
pub mod text;

#[cfg(test)]
mod hostile_samples;
#[cfg(test)]
mod markdown_tests;
#[cfg(test)]
mod picture_tests;
#[cfg(test)]
mod render_tests;
#[cfg(test)]
mod samples;

pub use acceptance::{Acceptance, entries};
pub use answers::{ANSWERS, Answer, Answered, answers};
pub use build::{Context, build};
pub use difference::differences_of;
pub use document::{
    FORMAT, Fingerprints, Group, LockFact, Names, Pending, Plan, PlanStep, Proof, Proposal, Reverse, Source, UnmanagedDifference,
    changed, short,
};
pub use estimates::{bytes as size, estimated, worked_on};
pub use facts::{count, fills, reaches_all_rows, thousands};
pub use ignore::Known;
pub use make::{Made, MakeError, PUT_ASIDE_BEFORE, Sides, make, make_bare, make_up_to, observed};
pub use notes::PUT_ASIDE;
pub use options::Options;
pub use phases::{Phase, cut};
pub use reader::{PlanError, read, read_edited, write};
pub use renamed::{Renamed, step as rename_step};
pub use reseal::{Found, grown, refound};
pub use seals::Seals;
pub use standing::Touched;
