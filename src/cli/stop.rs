//! Somebody wants an apply to stop: after the step that runs, or now. Everything else that runs is left at once.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// What is wanted of a run that is at work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// Nothing: it goes on.
    #[default]
    GoOn,
    /// It ends when the step that runs is through.
    AfterStep,
    /// The statement that runs is cancelled.
    Now,
}

#[derive(Default)]
struct State {
    at_work: Cell<bool>,
    wish: Cell<Wish>,
    signal: Cell<&'static str>,
    changed: Notify,
}

/// Passes signals on to a run.
#[derive(Clone, Default)]
pub struct Stop(Rc<State>);

impl Stop {
    /// From now on, until `false` is said, signals are the run's to heed.
    pub fn at_work(&self, at_work: bool) {
        self.0.at_work.set(at_work);
    }

    /// Passes a signal on: Ctrl-C first asks for an end after the step, then for one now; what ends processes asks for one now.
    /// Whether a run heeds it; one that has been asked for the utmost does not any more.
    pub fn heed(&self, received: Received) -> bool {
        let wish = match (self.0.wish.get(), received) {
            (Wish::GoOn, Received::CtrlC) => Wish::AfterStep,
            (Wish::Now, _) => return false,
            _ => Wish::Now,
        };
        if !self.0.at_work.get() {
            return false;
        }
        self.0.wish.set(wish);
        self.0.signal.set(received.word());
        self.0.changed.notify_one();
        true
    }

    /// What is wanted.
    pub fn wish(&self) -> Wish {
        self.0.wish.get()
    }

    /// How the signal is told: `interrupted`.
    pub fn word(&self) -> &'static str {
        self.0.signal.get()
    }

    /// Waits until something else is wanted.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Does something to its end; none when somebody wants an end now meanwhile. `heard` is called when one is wanted later.
    pub async fn unless_now<T>(&self, work: impl Future<Output = T>, heard: impl Fn()) -> Option<T> {
        let (mut work, mut known) = (pin!(work), self.wish());
        loop {
            tokio::select! {
                done = &mut work => return Some(done),
                () = self.changed() => {}
            }
            match self.wish() {
                wish if wish == known => {}
                Wish::Now => return None,
                wish => {
                    known = wish;
                    heard();
                }
            }
        }
    }
}

/// A signal that asks a process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// SIGINT.
    CtrlC,
    /// SIGTERM.
    Terminate,
    /// SIGHUP.
    HangUp,
}

impl Received {
    /// What has become of a process that got it.
    pub fn word(self) -> &'static str {
        match self {
            Received::CtrlC => "interrupted",
            Received::Terminate => "terminated",
            Received::HangUp => "hung up",
        }
    }
}

/// The signals that ask a process to end, as they come in.
pub struct Signals(Option<[Signal; 3]>);

impl Signals {
    /// Listens from now on.
    pub fn new() -> Signals {
        let all = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(|kind| signal(kind).ok());
        let [Some(interrupt), Some(terminate), Some(hangup)] = all else { return Signals(None) };
        Signals(Some([interrupt, terminate, hangup]))
    }

    /// The next one.
    pub async fn next(&mut self) -> Received {
        let Some([interrupt, terminate, hangup]) = &mut self.0 else { return std::future::pending().await };
        tokio::select! {
            _ = interrupt.recv() => Received::CtrlC,
            _ = terminate.recv() => Received::Terminate,
            _ = hangup.recv() => Received::HangUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signal_asks_for_more() {
        let stop = Stop::default();
        assert!(!stop.heed(Received::CtrlC), "nothing is at work");
        stop.at_work(true);
        assert!(stop.heed(Received::CtrlC));
        assert_eq!(stop.wish(), Wish::AfterStep);
        assert!(stop.heed(Received::CtrlC));
        assert_eq!((stop.wish(), stop.word()), (Wish::Now, "interrupted"));
        assert!(!stop.heed(Received::CtrlC), "the third one does not wait");
        let stop = Stop::default();
        stop.at_work(true);
        assert!(stop.heed(Received::Terminate), "what is terminated may be killed soon");
        assert_eq!(stop.wish(), Wish::Now);
    }
}
