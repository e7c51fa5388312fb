//! What the golden cases, the systems and the conformance runs share: a server, databases, an oracle.
#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::print_stdout, missing_docs)]

pub mod aside;
pub mod catalog;
pub mod command;
pub mod covers;
pub mod desk;
pub mod dump;
pub mod engine;
pub mod facts;
pub mod hazard_page;
pub mod lint_page;
pub mod load;
pub mod lock_page;
pub mod lock_probe;
pub mod lock_table;
pub mod names;
pub mod oracle;
pub mod random;
pub mod rows;
pub mod server;
pub mod tree;

pub use engine::{Failure, Side};
pub use server::Bench;

/// A thread with the stack that plumb itself runs on: parse trees of what other people write are deep.
pub fn work<'scope, T: Send + 'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> std::thread::ScopedJoinHandle<'scope, T> {
    std::thread::Builder::new().stack_size(1 << 30).spawn_scoped(scope, work).expect("a thread")
}
