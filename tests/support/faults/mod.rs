//! Faults: what breaks an apply, and what has to be true after it whatever has broken.
#![allow(dead_code)]

pub mod crowd;
pub mod disk;
pub mod early;
pub mod late;
pub mod lines;
pub mod long;
pub mod plans;
pub mod proxy;
pub mod report;
pub mod servers;
pub mod site;
pub mod standby;
pub mod throwaway;
pub mod truth;
pub mod work;

use super::support::{command, dump, random, server, tree};
