//! How wide a person's terminal is.

use std::os::fd::AsFd;

/// The columns of text that goes to something that is no terminal.
const PLAIN: usize = 100;

/// The columns of what stands behind `stream`: what `COLUMNS` says, else what the terminal says.
pub fn width(stream: impl AsFd) -> usize {
    let stated = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let found = || rustix::termios::tcgetwinsize(stream).ok().map(|size| usize::from(size.ws_col));
    stated.or_else(found).filter(|columns| *columns > 0).unwrap_or(PLAIN)
}
