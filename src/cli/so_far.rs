//! How far the step is that runs: what the server counts, what a scan has read, else by estimate.

use std::ops::ControlFlow;
use std::time::Duration;

use super::events::Event;
use super::pace::Pace;
use super::reading::Read;
use super::running::Run;
use crate::apply::batches::Filled;
use crate::pg::Building;
use crate::plan::estimates::{Estimates, about};
use crate::plan::{PlanStep, known, thousands};

/// How much of something is done, and how long the rest takes.
struct Count<'a> {
    of: &'a str,
    done: u64,
    total: Option<u64>,
    left: Option<Duration>,
}

impl Run<'_> {
    /// How far the building of an index is.
    pub(super) fn built(&self, step: &PlanStep, building: &Building, pace: &Pace) {
        let Building { phase, done, total } = building;
        let total = Some(*total).filter(|total| *total > 0);
        let share = total.map(|total| (*done as f64 / total as f64).min(1.0));
        let percent = share.map_or(String::new(), |share| format!(", {:.0} %", (100.0 * share).floor()));
        let left = total.and_then(|total| pace.left(phase, *done, total));
        self.counted(step, &format!("{phase}{percent}"), Count { of: phase, done: *done, total, left }, pace);
    }

    /// How far anything else is that takes a while: what a scan has read, where the server notes that. Else, where it is known how long reading
    /// these rows takes, since it was done before the first step, or is as long as it takes to read so much, how far it should be;
    /// else what there is to do, and for how long it has been done.
    pub(super) fn works(&self, step: &PlanStep, read: Option<Read>, pace: &Pace) {
        let Some(age) = pace.long() else { return };
        if let Some(Read { what, done, total, left }) = &read {
            let figures = format!("{} of about {} {what}", thousands(*done), thousands(*total));
            return self.counted(step, &figures, Count { of: what, done: *done, total: Some(*total), left: *left }, pace);
        }
        let estimates = Estimates::of(self.plan);
        let asked = self.workspace.asked.borrow().get(&step.id).copied();
        let takes = asked.or_else(|| estimates.seconds(step).map(Duration::from_secs_f64));
        if let (Some(takes), Some(rows)) = (takes.filter(|takes| *takes > age), estimates.rows(step)) {
            let done = (rows as f64 * age.as_secs_f64() / takes.as_secs_f64()) as u64;
            let figures = format!("by estimate {} of {} rows", thousands(done), thousands(rows));
            let count = Count { of: "rows, by estimate", done, total: Some(rows), left: Some(takes - age) };
            return self.counted(step, &figures, count, pace);
        }
        let work = known::work(step, &estimates).join("; ");
        let work = if work.is_empty() { work } else { format!(", {work}") };
        self.so_far(&format!("step {} ({}): at work for {} s{work}", step.id, step.object, age.as_secs()), None, pace);
    }

    /// Tells people the figures, and machines the count.
    fn counted(&self, step: &PlanStep, figures: &str, count: Count, pace: &Pace) {
        let Count { of, done, total, left } = count;
        let share = total.map(|total| (done as f64 / total as f64).min(1.0));
        self.so_far(&format!("step {} ({}): {figures}{}", step.id, step.object, more(left)), share, pace);
        if pace.shows() {
            self.tell(&Event::Progress { step: step.id, of, done, total, left: left.map(|l| l.as_secs_f64()) });
        }
    }

    /// How far a step is: on a terminal all the time, in a log now and then.
    fn so_far(&self, text: &str, share: Option<f64>, pace: &Pace) {
        let progress = &self.workspace.progress;
        progress.share(text, share);
        if !progress.moves() && pace.tells() {
            progress.line(text);
        }
    }

    /// How many rows have their values.
    pub(super) fn filled(&self, step: &PlanStep, filled: Filled, pace: &Pace) -> ControlFlow<()> {
        let Filled { rows, of } = filled;
        self.workspace.filled.set(Some((step.id, rows)));
        let left = of.and_then(|of| pace.left("rows", rows, of));
        let all = of.map_or(String::new(), |of| format!(" of about {}", thousands(of)));
        let share = of.map(|of| (rows as f64 / of as f64).min(1.0));
        self.so_far(&format!("step {}: {}{all} rows have their values{}", step.id, thousands(rows), more(left)), share, pace);
        self.tell(&Event::Progress { step: step.id, of: "rows", done: rows, total: of, left: left.map(|l| l.as_secs_f64()) });
        self.go_on()
    }
}

/// How much longer.
fn more(left: Option<Duration>) -> String {
    left.map_or(String::new(), |left| format!(", {} more", about(left.as_secs_f64())))
}
