//! What is going on: a bar on a terminal, plain lines in a log, and with `-v` where the time went.

use indicatif::{ProgressBar, ProgressStyle};
use std::cell::{Cell, RefCell};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// What moves where nobody knows how much is left, and where somebody does.
const STYLES: [&str; 2] = ["{spinner} {wide_msg} {elapsed:.dim}", "{spinner} {msg} {wide_bar:.dim} {elapsed:.dim}"];
/// A whole, as the bar counts it.
const WHOLE: u64 = 1000;

/// Stages of a command, on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    verbose: u8,
    quiet: bool,
    begun: Instant,
    stage: RefCell<Option<(String, Instant)>>,
    done: RefCell<Vec<(String, Duration)>>,
    /// Whether how much is done is shown.
    shares: Cell<bool>,
}

fn style(shares: bool) -> Option<ProgressStyle> {
    ProgressStyle::with_template(STYLES[usize::from(shares)]).map(|style| style.progress_chars("━━─")).ok()
}

impl Progress {
    /// Nothing is shown when `quiet`; stages with their times when `verbose`.
    pub fn new(verbose: u8, quiet: bool) -> Progress {
        let moving = std::io::stderr().is_terminal() && !quiet;
        let bar = moving.then(|| {
            let bar = ProgressBar::new(WHOLE);
            if let Some(style) = style(false) {
                bar.set_style(style);
            }
            bar
        });
        let (stage, done) = (RefCell::default(), RefCell::default());
        Progress { bar, verbose, quiet, begun: Instant::now(), stage, done, shares: Cell::new(false) }
    }

    /// Whether everything is to be shown.
    pub fn verbose(&self) -> bool {
        self.verbose > 0
    }

    /// How long the command has been at work.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The next stage begins.
    pub fn stage(&self, what: impl Into<String>) {
        self.finish();
        let what = what.into();
        if self.bar.is_none() && !self.quiet && self.verbose > 0 {
            eprintln!("plumb: {what}");
        }
        self.now(&what);
        *self.stage.borrow_mut() = Some((what, Instant::now()));
    }

    /// How far the stage is: only on a terminal, where it moves.
    pub fn detail(&self, text: &str) {
        if let (Some(bar), Some((what, _))) = (&self.bar, &*self.stage.borrow()) {
            bar.set_message(format!("{what}: {text}"));
        }
    }

    /// Whether there is a bar.
    pub fn moves(&self) -> bool {
        self.bar.is_some()
    }

    /// What the bar says from now on; nothing where there is no bar.
    pub fn now(&self, what: &str) {
        self.share(what, None);
    }

    /// The same with how much of it is done, from 0 to 1, where somebody knows.
    pub fn share(&self, what: &str, share: Option<f64>) {
        let Some(bar) = &self.bar else { return };
        if bar.is_finished() {
            bar.reset();
        }
        if self.shares.replace(share.is_some()) != share.is_some()
            && let Some(style) = style(share.is_some())
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        bar.set_message(what.to_owned());
        bar.set_position((share.unwrap_or_default() * WHOLE as f64) as u64);
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
            // A bar that has ended would print it padded and without a line break.
            Some(bar) if !bar.is_finished() => bar.suspend(|| eprintln!("{text}")),
            _ if !self.quiet => eprintln!("{text}"),
            _ => {}
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
            eprintln!("{:>9.1} ms  in all", self.elapsed().as_secs_f64() * 1000.0);
        }
    }
}
