//! The plan: what will be done, in which groups, why, and what was proven of it. Pure.

mod answers;
mod bodies;
mod build;
mod compared;
mod difference;
pub mod differences;
mod document;
mod facts;
pub mod findings;
mod ignore;
mod make;
mod page;
mod reverse;
pub mod sql;
mod standing;
pub mod text;

#[cfg(test)]
mod render_tests;
#[cfg(test)]
mod samples;

pub use answers::{ANSWERS, Answer, Answered, answers};
pub use build::{Context, build};
pub use document::{
    FORMAT, Fingerprints, Group, LockFact, Pending, Plan, PlanError, PlanStep, Proof, Reverse, Source, UnmanagedDifference, read,
    write,
};
pub use facts::{count, thousands};
pub use ignore::Known;
pub use make::{Made, MakeError, Sides, make, observed};
pub use standing::Touched;
