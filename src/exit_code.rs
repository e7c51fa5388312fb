//! Exit codes, the same for all commands.

/// Nothing to do, or done.
pub const DONE: u8 = 0;
/// An error; an unreachable target too.
pub const ERROR: u8 = 1;
/// Differences found.
pub const DIFFERENCES: u8 = 2;
/// Refused or busy: a hazard that is not allowed, a stale plan, a lock that another holds.
pub const REFUSED: u8 = 3;
/// Applied in part.
pub const IN_PART: u8 = 4;
/// Interrupted before anything was applied.
pub const INTERRUPTED: u8 = 130;
