//! plumb: a declarative schema diff and plan engine for PostgreSQL.
//!
//! `ARCHITECTURE.md` is the map: what flows where, and what each module must not know.

pub mod apply;
pub mod body;
pub mod catalog;
pub mod change;
pub mod cli;
pub mod config;
pub mod diagnostic;
pub mod exit_code;
pub mod hazard;
pub mod introspect;
pub mod kind;
pub mod lint;
pub mod order;
pub mod pg;
pub mod plan;
pub mod prove;
pub mod report;
pub mod shadow;
pub mod source;
pub mod sql;
pub mod statement;
