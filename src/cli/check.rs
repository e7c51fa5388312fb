//! `plumb check`: do the files load?

use super::arguments::CheckOptions;
use super::workspace::Workspace;
use super::{Outcome, failure, side};
use crate::exit_code::DONE;
use crate::plan::count;

/// The command.
pub async fn run(options: &CheckOptions, workspace: &mut Workspace) -> Outcome {
    let schema = workspace.schema(&options.wanted, None)?;
    let side = side::any(workspace, &schema, &options.wanted, None).await?;
    workspace.progress.clear();
    let objects = side.catalog.objects().filter(|o| o.parent.is_none() && o.id.of().is_none()).count();
    let files = side.places.as_ref().map_or(0, |(files, _)| files.0.len());
    failure::print(&format!("{}: {} in {}, no errors.\n", side.name, count(objects, "object"), count(files, "file")))?;
    Ok(DONE)
}
