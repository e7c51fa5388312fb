//! `plumb snapshot`: the catalog as JSON.

use super::arguments::SnapshotOptions;
use super::workspace::Workspace;
use super::{Outcome, failure, plan, side};
use crate::catalog::write_snapshot;
use crate::exit_code::DONE;

/// The command.
pub async fn run(options: &SnapshotOptions, workspace: &mut Workspace) -> Outcome {
    let live = side::live(workspace, &options.database).await?;
    workspace.progress.stage("writing the snapshot");
    let text = write_snapshot(&live.catalog);
    workspace.progress.clear();
    match &options.out {
        Some(path) => plan::write_file(path, &text)?,
        None => failure::print(&text)?,
    }
    Ok(DONE)
}
