//! Hazards that the schema files say are known and meant: they keep their place in the plan, with the reason.

use super::document::{Plan, PlanStep};
use crate::catalog::Id;
use crate::hazard::{Hazard, Ignored, Level};

/// What a directive above an object's definition says of its hazards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The hazard.
    pub code: String,
    /// The reason, the day and the place.
    pub ignored: Ignored,
}

impl Ignored {
    /// Whether its last day is before this one (`2027-01-31`).
    pub fn is_over(&self, today: &str) -> bool {
        self.until.as_deref().is_some_and(|until| until < today)
    }
}

impl Hazard {
    /// Whether `apply` needs it to be allowed on this day: what was known until yesterday is so no longer.
    pub fn is_refused_on(&self, today: &str) -> bool {
        let known = self.ignored.as_ref().is_some_and(|i| !i.is_over(today));
        self.level == Level::Refused && !known
    }
}

impl Plan {
    /// Notes on hazards what the files say of them; of days that are over a warning says so. What is dropped stands in no file, so
    /// nothing there speaks for it.
    pub fn ignoring(mut self, known: &dyn Fn(&Id) -> Vec<Known>, today: &str) -> Plan {
        let mut warnings = Vec::new();
        let mut any = false;
        for step in self
            .groups
            .iter_mut()
            .flat_map(|g| &mut g.steps)
            .filter(|s| !["drop", "quarantine"].contains(&s.change.as_str()) && !s.hazards.is_empty())
        {
            let known = known(&step.object);
            any |= !known.is_empty();
            warnings.extend(note(step, &known, today));
        }
        warnings.sort();
        warnings.dedup();
        self.warnings.extend(warnings);
        if any { self.seal() } else { self }
    }
}

/// Notes it on one step; what is over as sentences.
fn note(step: &mut PlanStep, known: &[Known], today: &str) -> Vec<String> {
    let mut over = Vec::new();
    for hazard in &mut step.hazards {
        let mut about = known.iter().filter(|k| k.code == hazard.code).map(|k| &k.ignored);
        match about.clone().find(|i| !i.is_over(today)) {
            Some(ignored) => hazard.ignored = Some(ignored.clone()),
            None => over.extend(about.next().map(|i| {
                let until = i.until.as_deref().unwrap_or_default();
                format!("{}: {} was to be ignored until {until}, and counts again", i.place, hazard.code)
            })),
        }
    }
    over
}

#[cfg(test)]
mod tests {
    use super::super::samples::step;
    use super::*;
    use crate::hazard::Level;

    fn hazard(code: &str) -> Hazard {
        Hazard { level: Level::Refused, code: code.into(), message: "m".into(), at: None, ignored: None }
    }

    fn known(code: &str, until: Option<&str>) -> Known {
        let until = until.map(str::to_owned);
        Known { code: code.into(), ignored: Ignored { reason: "r".into(), until, place: "a.sql:1".into() } }
    }

    fn noted(change: &str, list: &[Known]) -> (Vec<bool>, Vec<String>) {
        let mut step = step(1, "expand", change, Id::new("table", ["s", "t"]), &["x"]);
        step.hazards = vec![hazard("widens-rights"), hazard("loses-rights")];
        let over = note(&mut step, list, "2027-02-01");
        (step.hazards.iter().map(Hazard::refused).collect(), over)
    }

    #[test]
    fn a_reason_stands_for_its_own_hazard_and_until_its_day() {
        assert_eq!(noted("alter", &[known("widens-rights", None)]), (vec![false, true], vec![]));
        assert_eq!(noted("alter", &[known("widens-rights", Some("2027-02-01"))]).0, [false, true]);
        let (refused, over) = noted("alter", &[known("widens-rights", Some("2027-01-31"))]);
        assert_eq!(refused, [true, true]);
        assert_eq!(over, ["a.sql:1: widens-rights was to be ignored until 2027-01-31, and counts again"]);
        let both = [known("widens-rights", Some("2027-01-31")), known("widens-rights", Some("2027-03-31"))];
        assert_eq!(noted("alter", &both), (vec![false, true], vec![]));
    }

    #[test]
    fn a_day_that_is_over_counts_when_it_is_applied() {
        let ignored = known("widens-rights", Some("2027-01-31")).ignored;
        let of = |level| Hazard { level, ignored: Some(ignored.clone()), ..hazard("widens-rights") };
        assert!(!of(Level::Refused).is_refused_on("2027-01-31") && of(Level::Refused).is_refused_on("2027-02-01"));
        assert!(!of(Level::Warning).is_refused_on("2027-02-01"));
    }
}
