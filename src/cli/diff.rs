//! `plumb diff FROM TO`: any two of database, directory, file and snapshot.

use super::arguments::{DiffFormat, DiffOptions, Wanted};
use super::settling;
use super::side::{self, Side};
use super::workspace::Workspace;
use super::{Outcome, failure};
use crate::change::Scope;
use crate::exit_code::{DIFFERENCES, DONE};
use crate::plan::{self, Acceptance, differences, make};

/// The command.
pub async fn run(options: &DiffOptions, workspace: &mut Workspace) -> Outcome {
    let mut wanted = Wanted { schema: None, shadow: options.shadow.clone(), scope: options.scope.clone() };
    let to_first = !options.to.ends_with(".sql") && !std::path::Path::new(&options.to).is_dir();
    // Files take encoding, locale and owner from the side that is a database.
    let (from, to) = if to_first {
        let to = side::any(workspace, &options.to, &wanted, None).await?;
        (side::any(workspace, &options.from, &wanted, Some(&to)).await?, to)
    } else {
        let from = side::any(workspace, &options.from, &wanted, None).await?;
        let to = side::any(workspace, &options.to, &wanted, Some(&from)).await?;
        (from, to)
    };
    if workspace.schemas(&wanted.scope).is_empty() {
        wanted.scope = schemas(&from, &to);
    }
    let sides = settling::between(workspace, (&from, &to), &wanted, &options.renames.rename).await?;
    let made = make(&sides, &|id| to.source(id), Vec::new())?;
    workspace.progress.clear();
    let text_options = differences::Options {
        color: workspace.color,
        width: super::terminal::width(std::io::stdout()),
        mode: differences::Mode::Diff,
        verbose: workspace.progress.verbose(),
        target: from.name.clone(),
        schema: to.name.clone(),
        objects: sides.live.len(),
        acceptance: Acceptance::default(),
    };
    failure::print(&match options.format {
        DiffFormat::Text => differences::render(&made.plan, &text_options),
        DiffFormat::Json => differences::json(&made.plan, &text_options.acceptance),
        DiffFormat::Sql => plan::sql::render(&made.plan, workspace.config.lock_timeout),
    })?;
    Ok(if made.plan.is_empty() { DONE } else { DIFFERENCES })
}

/// The schemas that are compared: those that either side creates or puts objects in. Files beside a database say themselves
/// what they are about.
fn schemas(from: &Side, to: &Side) -> Vec<String> {
    let own = |side: &Side| Scope::new(&side.catalog, &[]).schemas();
    let mut schemas = own(to);
    if to.places.is_none() || from.session.is_none() {
        schemas.extend(own(from));
        schemas.sort();
        schemas.dedup();
    }
    schemas
}
