//! What happens during an apply, one JSON object a line, for machines (`--events`). docs/events.md describes each.

use serde::Serialize;
use std::cell::RefCell;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use super::failure::Failure;
use crate::pg::Blocker;
use crate::source::date::moment;

/// One event. New kinds and new fields may come; those that are here keep their names and meanings.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// The lock is taken, everything is looked at, and the first step is next.
    Begin {
        /// The plan's id.
        plan: &'a str,
        /// The live database.
        database: &'a str,
        /// How many steps the plan has.
        steps: usize,
        /// The last step that an earlier run has done; 0 without one.
        done_before: u32,
    },
    /// A step begins. It may begin again when its transaction is taken back and tried once more.
    Started {
        /// The step's number.
        step: u32,
        /// Its object.
        object: &'a str,
    },
    /// It waits for locks of others.
    Waiting {
        /// The step's number.
        step: u32,
        /// Who holds them.
        blockers: &'a [Blocker],
    },
    /// Its transaction was taken back, and is tried again after a pause.
    Retry {
        /// The step that did not get its lock.
        step: u32,
        /// The next try: 2 for the second one.
        attempt: u32,
        /// The pause in seconds.
        pause: f64,
    },
    /// How far a step is that takes long.
    Progress {
        /// The step's number.
        step: u32,
        /// What is counted: `rows`, the phase of an index as the server calls it, `rows read of` a table, or `rows, by estimate` where nobody counts.
        of: &'a str,
        /// How many are done.
        done: u64,
        /// How many there are, about; absent where nobody knows.
        #[serde(skip_serializing_if = "Option::is_none")]
        total: Option<u64>,
        /// How many seconds the rest takes when it goes on as it went; absent where nobody can know.
        #[serde(skip_serializing_if = "Option::is_none")]
        left: Option<f64>,
    },
    /// A step is committed.
    Done {
        /// The step's number.
        step: u32,
        /// How long its statements took.
        milliseconds: u64,
    },
    /// A step was refused, or broken off.
    Failed {
        /// The step's number.
        step: u32,
        /// Its object.
        object: &'a str,
        /// The SQLSTATE; absent when the connection was lost or somebody wanted it to stop.
        #[serde(skip_serializing_if = "Option::is_none")]
        sqlstate: Option<&'a str>,
        /// The server's words.
        message: &'a str,
    },
    /// The last line, whatever has happened.
    End {
        /// The exit code.
        exit: u8,
        /// The last step that is committed; 0 without one.
        applied: u32,
        /// The error's code, such as `apply::locked`.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a str>,
        /// The error in words.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
        /// Since the command began.
        seconds: f64,
    },
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

/// Where events go; nowhere by default.
#[derive(Default)]
pub struct Events {
    to: RefCell<Option<Box<dyn Write>>>,
    standard: bool,
}

impl Events {
    /// To a file, which is made or added to, or to standard output for `-`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn open(path: Option<&Path>) -> Result<Events, Failure> {
        let Some(path) = path else { return Ok(Events::default()) };
        if path == Path::new("-") {
            return Ok(Events { to: RefCell::new(Some(Box::new(std::io::stdout()))), standard: true });
        }
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(|e| {
            Failure::new("events::file", format!("events cannot be written to {}: {e}", path.display()))
                .help("name a file in a folder that is there and may be written, or - for standard output")
        })?;
        Ok(Events { to: RefCell::new(Some(Box::new(file))), standard: false })
    }

    /// Whether standard output is theirs, so that nothing else may be printed there.
    pub fn take_output(&self) -> bool {
        self.standard
    }

    /// Tells one. A reader that has gone away, or a disk that is full, is no reason to leave a database half changed: it is said once.
    pub fn tell(&self, event: &Event) {
        let mut to = self.to.borrow_mut();
        let Some(writer) = to.as_mut() else { return };
        let line = Line { time: moment(SystemTime::now()), event };
        let text = serde_json::to_string(&line).unwrap_or_default() + "\n";
        if let Err(error) = writer.write_all(text.as_bytes()).and_then(|()| writer.flush()) {
            eprintln!("plumb: no more events are written: {error}");
            *to = None;
        }
    }
}
