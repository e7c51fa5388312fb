//! The parts of steps, what comes before what among them, and in which transaction each runs.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::graph::Op;
use super::steps::Step;
use crate::catalog::Id;
use crate::kind;
use crate::statement::Statement;

/// A part of a step: statements that run together.
pub struct Part {
    /// Its step.
    pub step: usize,
    /// Whether it runs outside of all transactions, or in one of its own.
    pub apart: bool,
    /// Whether it only helps, so that nothing waits for it.
    pub late: bool,
    /// Whether the object of its step is with it what it becomes.
    pub turns: bool,
    /// What it does.
    pub statements: Vec<Statement>,
}

/// All parts, those of a step one after another.
pub struct Parts {
    /// The parts.
    pub list: Vec<Part>,
    /// For each part, what comes before it, and why.
    pub before: Vec<BTreeMap<usize, String>>,
    places: Vec<Range<usize>>,
}

/// Rounds after which levels that still rise are taken for ones that never come to rest.
const ROUNDS: usize = 100;

impl Parts {
    /// The parts with the order that their steps give them.
    pub fn new(steps: &[Step], list: Vec<Part>) -> Parts {
        let mut places = vec![0..0; steps.len()];
        for (at, part) in list.iter().enumerate() {
            let place = &mut places[part.step];
            let start = if place.end == 0 { at } else { place.start };
            *place = start..at + 1;
        }
        let mut parts = Parts { before: vec![BTreeMap::new(); list.len()], list, places };
        for (place, step) in steps.iter().enumerate() {
            parts.join(steps, place, step);
        }
        parts
    }

    fn join(&mut self, steps: &[Step], place: usize, step: &Step) {
        let own = self.of(place);
        for later in own.clone().skip(1) {
            self.before[later].insert(later - 1, format!("it is the next part of what is done to {}", step.node.id));
        }
        for (earlier, sentence) in &step.after {
            let (replaced, last) = (&steps[*earlier].node, self.done(*earlier));
            let beside =
                own.len() > 1 && replaced.op == Op::Drop && replaced.id == step.node.id && kind::of(&replaced.id).online.beside;
            if beside {
                let (goes, stands) = (self.of(*earlier).start, self.stands(place, steps));
                self.before[goes].insert(own.start, format!("what comes in the place of {} is built first", replaced.id));
                self.before[stands].insert(last, sentence.clone());
            } else {
                // What is taken down for the change goes with the part that makes it.
                let taken_down = matches!(replaced.op, Op::Drop | Op::Save);
                let first = self.turn(place).filter(|_| taken_down).unwrap_or(own.start);
                self.before[first].insert(last, sentence.clone());
            }
        }
    }

    /// The parts of a step.
    pub fn of(&self, step: usize) -> Range<usize> {
        self.places[step].clone()
    }

    /// The last part of a step that others wait for.
    fn done(&self, step: usize) -> usize {
        let own = self.of(step);
        self.turn(step).or_else(|| own.clone().rev().find(|part| !self.list[*part].late)).unwrap_or(own.start)
    }

    /// The part of a step with which its object is what it becomes, where one says so.
    fn turn(&self, step: usize) -> Option<usize> {
        self.of(step).find(|part| self.list[*part].turns)
    }

    /// The part with which the object of a step stands: what is built before is not it yet, what is read after changes nothing of it.
    pub fn stands(&self, step: usize, steps: &[Step]) -> usize {
        let own = self.of(step);
        let built = own
            .clone()
            .rev()
            .find(|p| self.list[*p].apart && !self.list[*p].late)
            .filter(|_| kind::of(&steps[step].node.id).online.before);
        built.map_or(own.start, |built| (built + 1).min(own.end - 1))
    }

    /// For each object that is taken down and built up: the first part that takes it down, and the one that brings it back.
    fn rebuilt(&self, steps: &[Step]) -> Vec<(usize, usize)> {
        let mut back: BTreeMap<(&Id, bool), usize> = BTreeMap::new();
        let nodes = |step: usize| steps[step].with.iter().chain([&steps[step].node]);
        for step in 0..steps.len() {
            for node in nodes(step).filter(|n| matches!(n.op, Op::Create | Op::Restore)) {
                back.insert((&node.id, node.op == Op::Restore), self.stands(step, steps));
            }
        }
        let mut pairs = Vec::new();
        for step in 0..steps.len() {
            let gone = nodes(step).filter(|n| matches!(n.op, Op::Drop | Op::Save));
            let found = gone.filter_map(|n| back.get(&(&n.id, n.op == Op::Save)));
            pairs.extend(found.max().map(|stands| (self.of(step).start, *stands)));
        }
        pairs
    }

    /// Steps with a part that takes long while something is taken down that comes back after: their online forms would leave others
    /// without it.
    pub fn torn(&self, steps: &[Step]) -> BTreeSet<usize> {
        let pairs = self.rebuilt(steps);
        let mut after: Vec<Vec<usize>> = vec![Vec::new(); self.list.len()];
        for (part, before) in self.before.iter().enumerate() {
            before.keys().for_each(|b| after[*b].push(part));
        }
        let below = reached(pairs.iter().map(|(down, _)| *down), |part| after[part].clone());
        let above = reached(pairs.iter().map(|(_, up)| *up), |part| self.before[part].keys().copied().collect());
        let between = below.intersection(&above).filter(|part| self.list[**part].apart);
        between.map(|part| self.list[*part].step).collect()
    }

    /// For each part the number of its transaction: even ones hold what can be done together, odd ones what runs apart. None when
    /// there is no such order.
    pub fn levels(&self, steps: &[Step], goes_last: impl Fn(&Step) -> bool) -> Option<Vec<usize>> {
        let mut levels: Vec<usize> = self.list.iter().map(|p| usize::from(p.apart)).collect();
        let pairs = self.rebuilt(steps);
        self.rise(&mut levels, &pairs)?;
        let last: Vec<bool> = self.list.iter().map(|p| goes_last(&steps[p.step])).collect();
        let rebuilt: BTreeSet<usize> = pairs.iter().map(|(down, _)| self.list[*down].step).collect();
        let goes = |part: usize| last[part] && !rebuilt.contains(&self.list[part].step);
        let most = (0..levels.len()).filter(|p| !goes(*p)).map(|p| levels[p]).max().unwrap_or_default();
        for part in (0..levels.len()).filter(|p| goes(*p)) {
            let least = self.at_least(part, most);
            levels[part] = levels[part].max(least);
        }
        self.rise(&mut levels, &pairs)?;
        Some(levels)
    }

    /// The first level of its kind that is not before another one.
    fn at_least(&self, part: usize, level: usize) -> usize {
        level + (level + usize::from(self.list[part].apart)) % 2
    }

    fn rise(&self, levels: &mut [usize], pairs: &[(usize, usize)]) -> Option<()> {
        for _ in 0..ROUNDS {
            let mut risen = false;
            for part in 0..levels.len() {
                let least = self.before[part].keys().map(|b| self.at_least(part, levels[*b])).max().unwrap_or_default();
                risen |= least > levels[part];
                levels[part] = levels[part].max(least);
            }
            for (down, up) in pairs {
                let least = self.at_least(*down, levels[*up]);
                risen |= least > levels[*down];
                levels[*down] = levels[*down].max(least);
            }
            if !risen {
                return Some(());
            }
        }
        None
    }
}

/// Everything that can be reached.
fn reached(from: impl Iterator<Item = usize>, next: impl Fn(usize) -> Vec<usize>) -> BTreeSet<usize> {
    let mut todo: Vec<usize> = from.collect();
    let mut found: BTreeSet<usize> = todo.iter().copied().collect();
    while let Some(part) = todo.pop() {
        for other in next(part) {
            if found.insert(other) {
                todo.push(other);
            }
        }
    }
    found
}
