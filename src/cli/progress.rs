//! What is going on: a bar on a terminal, plain lines in a log, and with `-v` where the time went.

use indicatif::{ProgressBar, ProgressStyle};
use std::cell::RefCell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Stages of a command, on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    verbose: u8,
    quiet: bool,
    stage: RefCell<Option<(String, Instant)>>,
    done: RefCell<Vec<(String, Duration)>>,
}

impl Progress {
    /// Nothing is shown when `quiet`; stages with their times when `verbose`.
    pub fn new(verbose: u8, quiet: bool) -> Progress {
        let moving = std::io::stderr().is_terminal() && !quiet;
        let bar = moving.then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}") {
                bar.set_style(style);
            }
            bar
        });
        Progress { bar, verbose, quiet, stage: RefCell::default(), done: RefCell::default() }
    }

    /// Whether everything is to be shown.
    pub fn verbose(&self) -> bool {
        self.verbose > 0
    }

    /// The next stage begins.
    pub fn stage(&self, what: impl Into<String>) {
        self.finish();
        let what = what.into();
        if let Some(bar) = &self.bar {
            bar.enable_steady_tick(Duration::from_millis(100));
            bar.set_message(what.clone());
        } else if !self.quiet && self.verbose > 0 {
            eprintln!("plumb: {what}");
        }
        *self.stage.borrow_mut() = Some((what, Instant::now()));
    }

    /// How far the stage is: only on a terminal, where it moves.
    pub fn detail(&self, text: &str) {
        if let (Some(bar), Some((what, _))) = (&self.bar, &*self.stage.borrow()) {
            bar.set_message(format!("{what}: {text}"));
        }
    }

    fn finish(&self) {
        if let Some((what, since)) = self.stage.borrow_mut().take() {
            self.done.borrow_mut().push((what, since.elapsed()));
        }
    }

    /// Takes the bar away, so that something can be printed.
    pub fn clear(&self) {
        self.finish();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// A line for a person, above the bar.
    pub fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None if !self.quiet => eprintln!("{text}"),
            None => {}
        }
    }

    /// The stages with their times, for `-v`.
    pub fn times(&self) -> Vec<(String, Duration)> {
        self.done.borrow().clone()
    }

    /// Prints where the time went when it was asked for.
    pub fn report(&self) {
        self.clear();
        if self.verbose > 0 && !self.quiet {
            for (what, time) in self.times() {
                eprintln!("{:>9.1} ms  {what}", time.as_secs_f64() * 1000.0);
            }
        }
    }
}
