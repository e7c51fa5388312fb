//! The graph of a plan's steps: what comes before what, each with its sentence, and its pictures. Pure.

pub mod dot;
pub mod layout;
pub mod mermaid;
pub mod svg;

use super::document::{Plan, PlanStep};
use super::known::mark;
use super::page::{clean, shorten};

/// Columns of a step's name in a picture.
const NAME: usize = 42;

/// One step comes before another.
#[derive(Clone, Copy, Debug)]
pub struct Edge<'a> {
    /// The place of the earlier step in `steps`.
    pub from: usize,
    /// The place of the later one.
    pub to: usize,
    /// Why.
    pub sentence: &'a str,
}

/// The steps of a plan and what holds them in their order.
pub struct StepGraph<'a> {
    /// The steps, in their order.
    pub steps: Vec<&'a PlanStep>,
    /// The edges, by the later step, then by the earlier one.
    pub edges: Vec<Edge<'a>>,
}

impl<'a> StepGraph<'a> {
    /// The graph of a plan.
    pub fn of(plan: &'a Plan) -> StepGraph<'a> {
        let steps: Vec<&PlanStep> = plan.steps().collect();
        let mut edges = Vec::new();
        for (to, step) in steps.iter().enumerate() {
            // A document by another hand may name any step; only an earlier one can come before.
            let earlier = |id: u32| steps[..to].binary_search_by_key(&id, |s| s.id).ok();
            let found = step.after.iter().filter_map(|(id, sentence)| Some(Edge { from: earlier(*id)?, to, sentence }));
            let start = edges.len();
            edges.extend(found);
            edges[start..].sort_by_key(|e| e.from);
        }
        StepGraph { steps, edges }
    }

    /// What comes before a step.
    pub fn before(&self, place: usize) -> impl Iterator<Item = &Edge<'a>> {
        self.edges.iter().filter(move |e| e.to == place)
    }

    /// What has to wait for a step.
    pub fn behind(&self, place: usize) -> impl Iterator<Item = &Edge<'a>> {
        self.edges.iter().filter(move |e| e.from == place)
    }

    /// The edges that are not implied by others: all that a picture needs.
    pub fn drawn(&self) -> Vec<Edge<'a>> {
        let words = self.steps.len().div_ceil(64);
        let mut above: Vec<Vec<u64>> = Vec::with_capacity(self.steps.len());
        let mut drawn = Vec::new();
        for place in 0..self.steps.len() {
            let mut known = vec![0u64; words];
            let mut kept: Vec<Edge> = Vec::new();
            let own = self.edges.partition_point(|e| e.to < place)..self.edges.partition_point(|e| e.to <= place);
            for edge in self.edges[own].iter().rev() {
                if known[edge.from / 64] & (1 << (edge.from % 64)) == 0 {
                    kept.push(*edge);
                    known.iter_mut().zip(&above[edge.from]).for_each(|(known, more)| *known |= more);
                    known[edge.from / 64] |= 1 << (edge.from % 64);
                }
            }
            above.push(known);
            drawn.extend(kept.into_iter().rev());
        }
        drawn
    }

    /// The two lines that stand for a step in a picture: `7 + index`, and the name.
    fn label(&self, place: usize) -> (String, String) {
        let step = self.steps[place];
        let name = clean(&super::facts::name(&step.object));
        let hurts = if super::facts::hurts(step) { "  !" } else { "" };
        let part = super::facts::part(step);
        (format!("{} {} {}{part}{hurts}", step.id, mark(step).sign(), clean(step.object.class())), shorten(&name, NAME))
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{plan, step};
    use super::*;
    use crate::catalog::Id;

    #[test]
    fn what_others_imply_is_not_drawn() {
        let table = |n: u32| step(n, "expand", "create", Id::new("table", [format!("t{n}")]), &["SELECT 1"]);
        let mut steps: Vec<PlanStep> = (1..=4).map(table).collect();
        steps[1].after = vec![(1, "a".into())];
        steps[2].after = vec![(2, "b".into()), (1, "c".into())];
        steps[3].after = vec![(1, "d".into()), (3, "e".into()), (9, "nobody".into()), (4, "itself".into())];
        let plan = plan(steps, &[]);
        let graph = StepGraph::of(&plan);
        assert_eq!(graph.edges.iter().map(|e| e.sentence).collect::<String>(), "acbde");
        assert_eq!(graph.drawn().iter().map(|e| e.sentence).collect::<String>(), "abe");
        assert_eq!(graph.before(3).count(), 2);
        assert_eq!(graph.behind(0).count(), 3);
    }
}
