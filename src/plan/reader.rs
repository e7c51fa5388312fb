//! Plan documents written and read: strictly, so that nothing that was edited or damaged is taken for what was approved.

use serde::Deserialize;

use super::document::{FORMAT, Plan, short};
use super::seals::{Seals, edited, seals};

/// What is wrong with a plan document.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Not JSON, or not of this form.
    #[error("not a plan that this plumb reads: {0}")]
    Form(#[from] serde_json::Error),
    /// Written by a newer plumb.
    #[error("the plan has format {0}, this plumb reads format {FORMAT}")]
    Newer(u32),
    /// The document was changed after it was written.
    #[error("the plan's id does not match what it says: it was edited or damaged (id {}, content {})", short(.stated), short(.found))]
    Tampered {
        /// The id that it carries.
        stated: String,
        /// The id that its content has.
        found: String,
    },
    /// More than the SQL of steps was edited.
    #[error("more than the SQL of its steps was edited: {}", .0.join("; "))]
    Facts(Vec<String>),
}

/// The document as pretty-printed JSON, with its seals.
///
/// # Panics
/// Never: all parts serialize.
pub fn write(plan: &Plan) -> String {
    let sealed = Plan { seals: seals(plan), ..plan.clone() };
    serde_json::to_string_pretty(&sealed).expect("a plan serializes") + "\n"
}

/// Reads a document and verifies its id.
///
/// # Errors
/// When it is not a plan, is of a newer form, or was changed.
pub fn read(text: &str) -> Result<Plan, PlanError> {
    let (plan, _) = form(text)?;
    let found = plan.content_id();
    if plan.id == found { Ok(plan) } else { Err(PlanError::Tampered { stated: plan.id, found }) }
}

/// Reads a document of which statements may have been edited by hand: with the numbers of those steps, and the id of what was
/// written.
///
/// # Errors
/// When it is not a plan, is of a newer form, or something else was changed.
pub fn read_edited(text: &str) -> Result<(Plan, Vec<u32>), PlanError> {
    let (plan, stated) = form(text)?;
    let found = plan.content_id();
    if plan.id == found {
        return Ok((plan, Vec::new()));
    }
    let steps = if stated.is_empty() { Vec::new() } else { edited(&plan, &stated).map_err(PlanError::Facts)? };
    if steps.is_empty() { Err(PlanError::Tampered { stated: plan.id, found }) } else { Ok((plan, steps)) }
}

/// A document of this form, and its seals.
fn form(text: &str) -> Result<(Plan, Seals), PlanError> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let head: Head = serde_json::from_str(text)?;
    if head.format > FORMAT {
        return Err(PlanError::Newer(head.format));
    }
    let mut plan: Plan = serde_json::from_str(text)?;
    let seals = std::mem::take(&mut plan.seals);
    Ok((plan, seals))
}
