//! What the live database has answered to the conditions on rows: kept in `observed`, since rows come and go.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::document::Plan;

/// Where they are kept.
pub const ANSWERS: &str = "rows";

/// What was found of one condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// No row is in the way.
    Holds,
    /// So many rows are in the way; at most three of them by their keys.
    Broken(i64, Vec<String>),
    /// A value is in the way, in the server's words.
    Refused(String),
    /// It could not be asked, for this reason.
    Unknown(String),
}

impl Answer {
    /// Whether the step would fail as the rows are now.
    pub fn fails(&self) -> bool {
        matches!(self, Answer::Broken(..) | Answer::Refused(_))
    }
}

/// A condition of a step with its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The step.
    pub step: u32,
    /// The condition in words.
    pub condition: String,
    /// The answer.
    pub answer: Answer,
    /// How long asking took, where that was taken.
    #[serde(skip)]
    pub took: Option<Duration>,
}

impl Answered {
    /// `3 rows of public.t have no value ...: 5, 7, 9`, as a sentence without its full stop.
    pub fn sentence(&self) -> String {
        match &self.answer {
            Answer::Holds => format!("{}: so it is", self.condition),
            Answer::Broken(count, keys) => {
                let all = keys.len() as i64 == *count;
                let keys = keys.join("; ");
                let which = if all { keys } else { format!("for instance {keys}") };
                let rows = super::facts::count(usize::try_from(*count).unwrap_or_default(), "row");
                format!("{}, and {rows} would be in the way: {which}", self.condition)
            }
            Answer::Refused(words) => format!("{}, and one does not: {words}", self.condition),
            Answer::Unknown(why) => format!("not asked whether {}: {why}", self.condition),
        }
    }
}

/// The answers that a plan was given.
pub fn answers(plan: &Plan) -> Vec<Answered> {
    plan.observed.get(ANSWERS).and_then(|list| serde_json::from_value(list.clone()).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_is_counted_and_shown() {
        let found = |answer| Answered { step: 1, condition: "every row of public.t has a value in a".into(), answer, took: None };
        let three = found(Answer::Broken(3, vec!["5".into(), "7".into(), "9".into()]));
        assert_eq!(three.sentence(), "every row of public.t has a value in a, and 3 rows would be in the way: 5; 7; 9");
        let many = found(Answer::Broken(1204, vec!["5".into()]));
        assert!(many.sentence().ends_with("1,204 rows would be in the way: for instance 5"));
        assert!(many.answer.fails() && !found(Answer::Unknown("late".into())).answer.fails());
    }
}
