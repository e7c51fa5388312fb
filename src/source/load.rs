//! Statements -> a scratch database that holds what they say, or every error at its line.

use super::directive::{self, Directive};
use super::files::{Files, Place};
use super::name::{Class, Name};
use super::order::{duplicates, order};
use super::policy::Policy;
use super::problem::{Problem, Problems};
use super::read::{Statement, read};
use super::run::{Failure, Item, Loading, Runner};
use super::screen::Action;
use super::send::GRACE;
use super::{bodies, long, report, rights, roles, tablespace};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::timeout;
use tokio_postgres::Client;

/// What was loaded.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Where each name is defined: the first place, for a column its own.
    pub places: BTreeMap<Name, Place>,
    /// What the comments of the files order.
    pub directives: Vec<Directive>,
    /// What a person should know: statements that were not run, and why.
    pub notices: Vec<String>,
    /// Statements on rows that were skipped.
    pub skipped_data: usize,
    /// Roles that the files name.
    pub roles: BTreeSet<String>,
    /// Those of them that were missing and were made: whoever owns the server drops them.
    pub created_roles: BTreeSet<String>,
}

impl Loaded {
    /// Where the object is defined; for something inside of a table that has no place of its own, where the table is.
    pub fn place_of(&self, class: Class, parts: &[String]) -> Option<&Place> {
        let name = Name::new(class, parts.iter().cloned());
        let found = self.places.range(name.clone()..).next().filter(|(n, _)| n.class == class && n.parts == parts);
        found.map(|(_, p)| p).or_else(|| match class {
            Class::Column | Class::Constraint | Class::Trigger | Class::Policy | Class::Rule => {
                let (_, table) = parts.split_last()?;
                self.place_of(Class::Relation, table).or_else(|| self.place_of(Class::Type, table))
            }
            _ => None,
        })
    }

    /// How many routines of this name the files define.
    pub fn routines(&self, parts: &[String]) -> usize {
        let name = Name::new(Class::Routine, parts.iter().cloned());
        self.places.range(name..).take_while(|(n, _)| n.class == Class::Routine && n.parts == parts).count()
    }

    /// Where the routine with these argument types (`int4`, `text[]`) is defined, else any of its name.
    pub fn place_of_routine(&self, parts: &[String], args: &[String]) -> Option<&Place> {
        let name = Name { class: Class::Routine, parts: parts.to_vec(), args: args.to_vec() };
        self.places.get(&name).or_else(|| self.place_of(Class::Routine, parts))
    }
}

const SESSION: &str = "SET check_function_bodies = off; SET client_min_messages = warning; SET standard_conforming_strings = on; \
                       SET client_encoding = 'UTF8'; SET search_path = pg_catalog, pg_temp";

/// What files run may have changed more of the session than their statements say: who it is, tables that only it sees.
const RESET: &str = "RESET ROLE; DISCARD TEMP; RESET check_function_bodies; RESET client_min_messages; RESET standard_conforming_strings; RESET client_encoding; RESET search_path; \
                     RESET default_table_access_method; RESET default_toast_compression";

/// Loads the files into the database that `loader` is connected to. `loader` is no superuser and owns the database;
/// `administrator` is connected to the same database and runs only what must be a superuser's: roles, extensions, owners.
/// Both sessions end with the settings that loading changes reset.
/// Without it everything runs as `loader`.
pub async fn load_statements(
    loader: &Client,
    administrator: Option<&Client>,
    files: &Files,
    policy: &Policy,
) -> Result<Loaded, Problems> {
    load_read(loader, administrator, files, &read(files, policy)?, policy, &|_| ()).await
}

/// The same for files whose statements are read already. `watch` is told how far it is.
pub async fn load_read(
    loader: &Client,
    administrator: Option<&Client>,
    files: &Files,
    statements: &[Statement],
    policy: &Policy,
    watch: &dyn Fn(Loading),
) -> Result<Loaded, Problems> {
    let cut = long::check(files, statements)?;
    duplicates(files, statements, policy)?;
    let alone = |p: Problem| Problems::new(files, vec![p]);
    let mut loaded = summary(statements, policy);
    loaded.notices.extend(cut);
    loaded.notices.extend(directive::notes(files, statements));
    loaded.created_roles = roles::make(&loaded.roles, loader, administrator).await.map_err(alone)?;
    for client in [Some(loader), administrator].into_iter().flatten() {
        prepare(client).await.map_err(alone)?;
    }
    let powerful = rights::powerful(loader, administrator).await.map_err(alone)?;
    let owned = rights::powerful_owners(statements, &powerful);
    if !owned.is_empty() {
        return Err(Problems::new(files, owned));
    }
    let runner = Runner { statements, loader, administrator, policy, powerful, loading: Cell::default(), watch };
    let result = run_phases(&runner, files, &mut loaded).await;
    for client in [Some(loader), administrator].into_iter().flatten() {
        // nothing depends on it: whoever reads the database next sets what it needs. A session that is still busy with what does not
        // let itself be broken off never answers
        let _ = timeout(GRACE, client.batch_execute(RESET)).await;
    }
    result.map(|()| loaded)
}

/// Makes a session ready to be asked, and to load.
async fn prepare(client: &Client) -> Result<(), Problem> {
    client.batch_execute(SESSION).await.map_err(|e| Problem::general("source::connection", roles::text(&e)))
}

/// Definitions, bodies, owners, rights: each only when everything before it is well.
async fn run_phases(runner: &Runner<'_>, files: &Files, loaded: &mut Loaded) -> Result<(), Problems> {
    let alone = |p: Problem| Problems::new(files, vec![p]);
    let (statements, loader) = (runner.statements, runner.loader);
    let [definitions, owners, rights] = phases(statements, runner.policy);
    let all = definitions.len() + owners.len() + rights.len();
    runner.loading.set(Loading { all, ..Loading::default() });
    let failures = harmless(statements, runner.run(loader, definitions).await.map_err(alone)?);
    // what they have run may have set it otherwise
    prepare(loader).await.map_err(alone)?;
    if !failures.is_empty() {
        return Err(report::report(loader, files, statements, runner.policy, failures).await);
    }
    body_check(loader, statements, files, runner.policy, loaded).await?;
    let raised = rights::owners_to_raise(runner).await.map_err(alone)?;
    rights::set_superusers(runner, &raised, true).await.map_err(alone)?;
    let failures = runner.run(runner.administrator.unwrap_or(loader), owners).await;
    rights::set_superusers(runner, &raised, false).await.map_err(alone)?;
    let mut failures = failures.map_err(alone)?;
    if failures.is_empty() {
        prepare(loader).await.map_err(alone)?;
        rights::no_foreign_owner(runner, files).await?;
        // never as administrator: rights on the server's own functions must not be given away
        let (public, rights) = rights::on_public(runner, rights).await.map_err(alone)?;
        failures = runner.run(runner.administrator.unwrap_or(loader), public).await.map_err(alone)?;
        failures.extend(runner.run(loader, rights).await.map_err(alone)?);
        failures = rights::of_extensions(runner, failures, &mut loaded.notices).await.map_err(alone)?;
    }
    if failures.is_empty() { Ok(()) } else { Err(report::report(loader, files, statements, runner.policy, failures).await) }
}

/// What runs before the bodies are checked, then owners, then rights. A script is not torn apart.
fn phases(statements: &[Statement], policy: &Policy) -> [Vec<Item>; 3] {
    let mut phases = [Vec::new(), Vec::new(), Vec::new()];
    for i in order(statements, policy) {
        let action = statements[i].action;
        let phase = match action {
            Action::Data if !policy.run_data => continue,
            _ if policy.script => 0,
            Action::Owner => 1,
            Action::Grant => 2,
            _ => 0,
        };
        phases[phase].push(Item { statement: i, sql: statements[i].sql.clone(), made: false });
    }
    phases
}

fn summary(statements: &[Statement], policy: &Policy) -> Loaded {
    let mut loaded = Loaded { roles: roles::roles(statements), notices: roles::notices(statements), ..Loaded::default() };
    let mut skipped: BTreeMap<&str, usize> = BTreeMap::new();
    for s in statements {
        for d in &s.hints.defines {
            loaded.places.entry(d.name.clone()).or_insert_with(|| d.place.clone());
        }
        loaded.directives.extend(s.directives.iter().cloned());
        match s.action {
            Action::Data if !policy.run_data => loaded.skipped_data += 1,
            Action::Skip(what) => *skipped.entry(what).or_default() += 1,
            _ => {}
        }
    }
    if loaded.skipped_data > 0 {
        let n = loaded.skipped_data;
        loaded
            .notices
            .push(format!("{n} statement{} on rows skipped: rows are not part of the schema", if n == 1 { "" } else { "s" }));
    }
    let named = statements.iter().filter(|s| !matches!(s.action, Action::Skip(_)) && tablespace::is_named(&s.node)).count();
    if named > 0 {
        loaded.notices.push(format!("not compared: TABLESPACE ({named})"));
    }
    loaded.notices.extend(skipped.into_iter().map(|(what, n)| format!("not run: {what} ({n})")));
    loaded
}

/// The schema `public` is there already; files may create it all the same, as old dumps do.
fn harmless(statements: &[Statement], failures: Vec<Failure>) -> Vec<Failure> {
    let public = |f: &Failure| {
        let defines = &statements[f.item.statement].hints.defines;
        f.error.code == "42P06" && defines.len() == 1 && defines[0].name == Name::new(Class::Schema, ["public"])
    };
    failures.into_iter().filter(|f| !public(f)).collect()
}

async fn body_check(
    client: &Client,
    statements: &[Statement],
    files: &Files,
    policy: &Policy,
    loaded: &mut Loaded,
) -> Result<(), Problems> {
    let broken = bodies::check(client, statements).await.map_err(|p| Problems::new(files, vec![p]))?;
    if policy.script {
        loaded.notices.extend(broken.into_iter().map(|p| format!("broken body: {}", p.message)));
        return Ok(());
    }
    if broken.is_empty() { Ok(()) } else { Err(Problems::new(files, broken)) }
}
