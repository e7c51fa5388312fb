//! The definition of a step's object before and after, as lines of a comparison.

use std::collections::BTreeMap;

use super::compared::Difference;
use super::document::{Plan, PlanStep};
use super::facts;
use super::page::Mark;
use crate::catalog::Id;

/// A line of a comparison.
pub type Line = (Option<Mark>, String);

/// The steps of a plan with what is made again in the place of what an earlier step drops.
pub struct Definitions<'a> {
    steps: BTreeMap<u32, &'a PlanStep>,
    rebuilt: BTreeMap<&'a Id, (u32, u32)>,
}

impl<'a> Definitions<'a> {
    /// Those of a plan.
    pub fn of(plan: &'a Plan) -> Definitions<'a> {
        Definitions { steps: plan.steps().map(|s| (s.id, s)).collect(), rebuilt: facts::rebuilt(plan) }
    }

    /// `rebuilt in step 11: rests on column public.orders.total`, for a step that is one half of a replacement.
    pub fn rebuilding(&self, step: &PlanStep) -> Option<String> {
        facts::rebuilding(step, *self.rebuilt.get(&step.object)?)
    }

    /// What was there, what is there afterwards; nothing where a later step tells it.
    pub fn lines(&self, step: &PlanStep) -> Vec<Line> {
        let difference = match self.rebuilt.get(&step.object) {
            Some((dropped, _)) if *dropped == step.id => return Vec::new(),
            Some((_, made)) if *made != step.id => facts::difference(step),
            Some((dropped, _)) => self.steps.get(dropped).map_or(Difference::None, |old| facts::redefined(old, step)),
            None => facts::difference(step),
        };
        match (difference, step.change.as_str()) {
            (Difference::Lines(lines), _) if !facts::said(step, &lines) => lines,
            (Difference::Words { .. }, "alter") => match (&step.before, &step.definition) {
                (Some(old), Some(new)) if old != new => all(old, Mark::Minus).chain(all(new, Mark::Plus)).collect(),
                _ => sql(step.reverse.sql.iter().flatten(), Mark::Minus).chain(sql(&step.sql, Mark::Plus)).collect(),
            },
            (Difference::Words { .. }, _) => {
                let old = self.rebuilt.get(&step.object).and_then(|(dropped, _)| self.steps.get(dropped));
                let first = old.and_then(|old| old.reverse.sql.as_ref()).and_then(|sql| sql.first());
                first.into_iter().flat_map(|old| all(old, Mark::Minus)).chain(sql(&step.sql, Mark::Plus)).collect()
            }
            (_, "drop") => match &step.reverse.sql {
                Some(back) => sql(back, Mark::Minus).collect(),
                None => sql(&step.sql, Mark::Minus).collect(),
            },
            _ => sql(&step.sql, Mark::Plus).collect(),
        }
    }
}

fn all(text: &str, mark: Mark) -> impl Iterator<Item = Line> {
    text.lines().map(move |line| (Some(mark), line.to_owned()))
}

fn sql<'a>(statements: impl IntoIterator<Item = &'a String>, mark: Mark) -> impl Iterator<Item = Line> {
    let ended = |sql: &String| format!("{};", sql.trim_end()).lines().map(str::to_owned).collect::<Vec<_>>();
    statements.into_iter().flat_map(ended).map(move |line| (Some(mark), line))
}
