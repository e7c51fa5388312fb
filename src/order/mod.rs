//! Changes -> steps in an order that works. Pure: small named passes over one graph.
//!
//! 1. `nodes`: each change becomes one or two nodes (a replacement is a drop and a create).
//! 2. `absorb`: what stands inside another's CREATE or goes with another's DROP joins that node.
//! 3. `edges`: build edges from the desired catalog, teardown edges from the live one, and names that cannot coexist.
//! 4. `sort`: Kahn's algorithm with a total tie key; on a cycle, weak edges yield first, then absorbed parts stand alone.
//! 5. `steps`: nodes are written as statements.

mod absorb;
mod edges;
mod family;
mod graph;
mod sort;
mod steps;

pub use graph::{Node, Op};
pub use sort::Cycle;
pub use steps::{Step, order};
