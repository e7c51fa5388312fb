//! SQL files -> statements -> a scratch database that holds what they say.
//!
//! ```text
//! files ──lexer, split──▶ statements ──screen──▶ admitted ──hints, order──▶ ordered ──load──▶ scratch database
//! ```
//!
//! pg_query splits, locates, screens and gives hints for the order; only the server says what a statement means.

pub mod advice;
pub mod bodies;
pub mod date;
pub mod directive;
pub mod edited;
mod expression;
pub mod files;
pub mod hints;
pub mod lexer;
pub mod load;
mod long;
pub mod name;
pub mod old_name;
pub mod order;
pub mod plpgsql_check;
pub mod policy;
pub mod problem;
pub mod read;
pub mod report;
pub mod rewrite;
pub mod rights;
pub mod roles;
pub mod run;
pub mod screen;
pub mod send;
pub mod split;
mod tablespace;
pub mod told;
pub mod unknown;
pub mod walk;

#[cfg(test)]
mod tests;

pub use directive::{Directive, Ignore, Order};
pub use files::{File, Files, Place};
pub use load::{Loaded, load_read, load_statements};
pub use name::{Class, Defined, Name};
pub use policy::Policy;
pub use problem::{Problem, Problems};
pub use read::{Statement, read};
pub use run::Loading;
