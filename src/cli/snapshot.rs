//! `plumb snapshot`: the catalog as JSON.

use super::arguments::SnapshotOptions;
use super::workspace::Workspace;
use super::{Outcome, failure, plan, side};
use crate::catalog::write_snapshot;
use crate::exit_code::DONE;
use crate::introspect::read_sizes;

/// The command.
pub async fn run(options: &SnapshotOptions, workspace: &mut Workspace) -> Outcome {
    let mut live = side::live(workspace, &options.database).await?;
    if let Some(session) = &live.session {
        read_sizes(session, &mut live.catalog).await?;
    }
    workspace.progress.stage("writing the snapshot");
    let text = write_snapshot(&live.catalog);
    workspace.progress.clear();
    match &options.out {
        Some(path) => plan::write_file(path, &text)?,
        None => failure::print(&text)?,
    }
    Ok(DONE)
}
