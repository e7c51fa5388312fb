//! `plumb dump`: a live database as declarative SQL, in one file or one file per object.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::arguments::DumpOptions;
use super::asked::Asked;
use super::failure::{self, Failure};
use super::workspace::Workspace;
use super::{Outcome, plan::write_file, side};
use crate::catalog::{Catalog, Id};
use crate::exit_code::DONE;
use crate::kind;
use crate::plan::{PlanStep, Sides, make};

/// The command.
pub async fn run(options: &DumpOptions, workspace: &mut Workspace) -> Outcome {
    let live = side::live(workspace, &options.database).await?;
    workspace.progress.stage("writing SQL");
    let mut fresh = Catalog::new(kind::fresh(live.catalog.server), []);
    fresh.server = live.catalog.server;
    fresh.owner = live.catalog.owner.clone();
    // Whoever loads the files owns what they make, so only other owners are written.
    fresh.role = live.catalog.owner.clone();
    let stated = if options.scope.is_empty() { vec!["*".to_owned()] } else { options.scope.clone() };
    let scope = Asked::new(workspace, &stated).scope(&live.catalog);
    let aside = scope.quarantined(&live.catalog).map(|o| one_line(&o.id.to_string()));
    let aside: String = aside.map(|name| format!("-- Put aside, and not in this dump: {name}\n")).collect();
    let sides = Sides::within(fresh, &live.catalog, scope);
    let made = make(&sides, &|_| None, Vec::new())?;
    let head = format!("-- {} as declarative SQL, written by plumb {}.\n", live.catalog.database, env!("CARGO_PKG_VERSION"));
    let steps: Vec<&PlanStep> = made.plan.steps().collect();
    let unmanaged = live
        .catalog
        .unmanaged
        .iter()
        .map(|u| format!("-- Not managed by plumb and not in this dump: {} {}\n", u.class, one_line(&u.identity)));
    let head = head + &unmanaged.collect::<String>() + &aside;
    workspace.progress.clear();
    match &options.out {
        None => failure::print(&(head + "\n" + &sql(&steps)))?,
        Some(path) if path.extension().is_some_and(|e| e == "sql") => write_file(path, &(head + "\n" + &sql(&steps)))?,
        Some(folder) => write_folder(folder, &head, &sides.desired, &steps)?,
    }
    Ok(DONE)
}

pub fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

fn sql(steps: &[&PlanStep]) -> String {
    steps.iter().map(|s| s.sql.iter().map(|q| format!("{q};\n")).collect::<String>()).collect::<Vec<_>>().join("\n")
}

/// The object whose file a step belongs to: the outermost one that is no schema.
fn home(catalog: &Catalog, id: &Id) -> Id {
    let mut at = id.clone();
    loop {
        let parent = catalog.get(&at).and_then(|o| o.parent.clone()).or_else(|| at.of().cloned());
        match parent {
            Some(parent) => at = parent,
            None => return at,
        }
    }
}

/// A name as a file name: letters that file systems dislike are written as their code.
fn file_name(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
    let mut name: String =
        text.chars().map(|c| if plain(c) { c.to_string() } else { format!("%{:02X}", u32::from(c)) }).collect();
    if name.starts_with('.') {
        name.insert(0, '%');
    }
    name.chars().take(180).collect()
}

fn path_of(id: &Id) -> PathBuf {
    let folder =
        format!("{}s", id.class().replace(' ', "_")).replace("privilegess", "privileges").replace("statisticss", "statistics");
    let folder = folder.strip_suffix("indexs").map_or(folder.clone(), |_| "indexes".to_owned());
    match id.name() {
        [name] => Path::new(&folder).join(format!("{}.sql", file_name(name))),
        [schema, name, ..] if !schema.is_empty() => {
            Path::new(&file_name(schema)).join(folder).join(format!("{}.sql", file_name(name)))
        }
        _ => Path::new("default_privileges.sql").to_path_buf(),
    }
}

fn write_folder(folder: &Path, head: &str, catalog: &Catalog, steps: &[&PlanStep]) -> Result<(), Failure> {
    let occupied = std::fs::read_dir(folder).is_ok_and(|mut d| d.next().is_some());
    if occupied {
        return Err(Failure::new("dump::not_empty", format!("{} is not empty", folder.display()))
            .help("give a new folder: files of objects that are gone would stay otherwise"));
    }
    let mut files: BTreeMap<PathBuf, Vec<&PlanStep>> = BTreeMap::new();
    for step in steps {
        files.entry(path_of(&home(catalog, &step.object))).or_default().push(step);
    }
    for (path, steps) in &files {
        write_file(&folder.join(path), &sql(steps))?;
    }
    if head.lines().count() > 1 {
        write_file(&folder.join("README.sql"), head)?;
    }
    failure::print(&format!("{} files in {}.\n", files.len(), folder.display()))
}
