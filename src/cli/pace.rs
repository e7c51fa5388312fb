//! How far a step is, how long the rest of it may take, and when that was told last.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// How often machines are told how far a step is.
const SHOWING: Duration = Duration::from_secs(1);
/// How often a log is told.
const TELLING: Duration = Duration::from_secs(10);
/// After this time the pace of something is believed.
const BELIEVED: Duration = Duration::from_secs(2);

/// The pace of the steps of a group, one after another.
pub struct Pace {
    step: Cell<Instant>,
    line: Cell<Instant>,
    event: Cell<Instant>,
    /// What is counted, since when, and how much of it was done then.
    counted: RefCell<Option<(String, Instant, u64)>>,
}

impl Pace {
    /// A step begins.
    pub fn new() -> Pace {
        let now = Instant::now();
        Pace { step: Cell::new(now), line: Cell::new(now), event: Cell::new(now), counted: RefCell::default() }
    }

    /// The next step begins.
    pub fn next(&self) {
        self.step.set(Instant::now());
        self.line.set(Instant::now());
        *self.counted.borrow_mut() = None;
    }

    /// How long the step has been at work, once that is worth a word.
    pub fn long(&self) -> Option<Duration> {
        Some(self.step.get().elapsed()).filter(|age| *age >= BELIEVED)
    }

    /// How long the rest of `what` takes when it goes on as it went so far; none as long as nobody can know.
    pub fn left(&self, what: &str, done: u64, total: u64) -> Option<Duration> {
        let mut counted = self.counted.borrow_mut();
        match &*counted {
            Some((counting, since, from)) if counting == what && *from <= done => rest(since.elapsed(), done - from, total, done),
            _ => {
                *counted = Some((what.to_owned(), Instant::now(), done));
                None
            }
        }
    }

    /// Whether machines are to be told; then they are told now.
    pub fn shows(&self) -> bool {
        due(&self.event, SHOWING)
    }

    /// Whether a log is to be told; then it is told now.
    pub fn tells(&self) -> bool {
        due(&self.line, TELLING)
    }
}

fn rest(took: Duration, done: u64, total: u64, so_far: u64) -> Option<Duration> {
    let left = total.checked_sub(so_far).filter(|left| *left > 0 && done > 0 && took >= BELIEVED)?;
    Some(took.mul_f64(left as f64 / done as f64))
}

fn due(last: &Cell<Instant>, every: Duration) -> bool {
    let due = last.get().elapsed() >= every;
    if due {
        last.set(Instant::now());
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_as_what_is_done() {
        let seconds = Duration::from_secs;
        assert_eq!(rest(seconds(10), 500, 2000, 1000), Some(seconds(20)));
        assert_eq!(rest(seconds(1), 500, 2000, 1000), None, "it has only begun");
        assert_eq!(rest(seconds(10), 0, 2000, 1000), None, "nothing is done yet");
        assert_eq!(rest(seconds(10), 500, 900, 1000), None, "there are more than anybody knew");
    }

    #[test]
    fn another_count_begins_anew() {
        let pace = Pace::new();
        assert_eq!(pace.left("rows", 10, 100), None);
        assert!(pace.counted.borrow().as_ref().is_some_and(|(what, _, from)| what == "rows" && *from == 10));
        pace.left("rows", 20, 100);
        assert!(pace.counted.borrow().as_ref().is_some_and(|(_, _, from)| *from == 10));
        pace.left("blocks", 5, 100);
        assert!(pace.counted.borrow().as_ref().is_some_and(|(what, _, from)| what == "blocks" && *from == 5));
        pace.next();
        assert!(pace.counted.borrow().is_none());
    }
}
