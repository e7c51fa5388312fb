//! Changes -> steps in an order that works. Pure: small named passes over one graph.
//!
//! 1. `nodes`: each change becomes one or two nodes (a replacement is a drop and a create).
//! 2. `rows`: the rows of what is made anew are saved before and restored after.
//! 3. `absorb`: what stands inside another's CREATE or goes with another's DROP joins that node.
//! 4. `edges`: build edges from the desired catalog, teardown edges from the live one, and names that cannot coexist.
//! 5. `sort`: Kahn's algorithm with a total tie key; on a cycle, weak edges yield first, then absorbed parts stand alone.
//! 6. `steps`: nodes are written as statements.
//! 7. `online`: steps on tables that hold rows are cut into parts, so that what takes long locks nobody out.

mod absorb;
mod aside;
mod edges;
mod family;
mod graph;
mod online;
mod owned;
mod parts;
mod rows;
mod sort;
mod steps;
mod twins;

pub use graph::{Node, Op};
pub use sort::Cycle;
pub use steps::{Step, called, order};
