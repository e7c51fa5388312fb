//! The plan: what will be done, in which groups, why, and what was proven of it. Pure.

mod build;
mod document;
mod make;
pub mod sql;
pub mod text;

pub use build::{Context, build};
pub use document::{
    FORMAT, Fingerprints, Group, LockFact, Pending, Plan, PlanError, PlanStep, Proof, Reverse, Source, UnmanagedDifference, read,
    write,
};
pub use make::{Made, MakeError, Sides, make};
