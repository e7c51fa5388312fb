//! A scratch database on a server that is not plumb's own: nothing may stay there.

use super::claim;
use super::error::ShadowError;
use super::registry::{self, Live};
use super::roles::{self, Rights};
use super::scratch;
use crate::pg::{self, Session, Target};
use crate::sql::ident;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long the last cleaning may take when plumb is on its way out.
const LAST_CHANCE: Duration = Duration::from_secs(5);

/// What plumb made on a server and must take away again.
#[derive(Debug, Clone)]
pub(super) struct Leftovers {
    /// How to get there.
    pub(super) target: Target,
    /// The server process of the session that claims all this.
    pub(super) claimant: i32,
    /// Scratch databases.
    pub(super) databases: BTreeSet<String>,
    /// Roles that were missing.
    pub(super) roles: BTreeSet<String>,
}

impl Leftovers {
    /// Nothing yet, on the server of `target`, claimed by server process `claimant`.
    pub(super) fn none(target: &Target, claimant: i32) -> Leftovers {
        Leftovers { target: target.clone(), claimant, databases: BTreeSet::new(), roles: BTreeSet::new() }
    }

    /// Drops it all, but for roles that another plumb needs now: the last one drops them. Goes on after an error and returns the
    /// first.
    ///
    /// # Errors
    /// What the server refuses.
    pub(super) async fn drop_all(&self, session: &Session) -> Result<(), ShadowError> {
        let mut first = Ok(());
        for name in &self.databases {
            let result = scratch::drop_database(session, name).await;
            first = first.and(result.map_err(ShadowError::sql(format!("drop scratch database {name}"))));
        }
        let found = claim::unclaimed(session, self.claimant, self.roles.clone()).await;
        for name in &found.map_err(ShadowError::sql("read who needs the shadow's roles"))? {
            let result = session.client.batch_execute(&format!("DROP ROLE IF EXISTS {}", ident(name))).await;
            first = first.and(result.map_err(ShadowError::sql(format!("drop role {name}"))));
        }
        if first.is_ok() {
            sweep(session, self.claimant).await;
        }
        first
    }
}

/// Removes what a killed plumb has left on the server. That it cannot is no reason to fail: nothing here depends on it.
pub(super) async fn sweep(session: &Session, claimant: i32) {
    if let Err(error) = claim::sweep(session, claimant).await {
        tracing::debug!("cannot look for what a killed plumb has left: {error}");
    }
}

/// Drops `leftovers` over a connection of its own, from a place where nothing can be awaited.
pub(super) fn drop_blocking(leftovers: Leftovers) {
    if leftovers.databases.is_empty() && leftovers.roles.is_empty() {
        return;
    }
    let shown = leftovers.target.to_string();
    let work = move || -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        let work = async {
            let session = pg::connect(&leftovers.target).await.map_err(|error| error.to_string())?;
            leftovers.drop_all(&session).await.map_err(|error| error.to_string())
        };
        runtime.block_on(async { tokio::time::timeout(LAST_CHANCE, work).await.map_err(|_| "it takes too long".to_owned())? })
    };
    let result = std::thread::spawn(work).join().unwrap_or_else(|_| Err("it panicked".to_owned()));
    if let Err(reason) = result {
        tracing::warn!("scratch databases (plumb_scratch_...) may be left at {shown}: {reason}");
    }
}

/// Whom SQL is loaded as on a given server, once the missing roles are there: the owner when we may become it, else ourselves.
///
/// # Errors
/// [`ShadowError::MissingRight`] when roles are missing and we may not make them.
pub(super) async fn prepare(
    id: u64,
    administrator: &Session,
    rights: Rights,
    owner: &str,
    roles: &BTreeSet<String>,
) -> Result<String, ShadowError> {
    let wanted = || roles.iter().map(String::as_str).chain([owner]);
    claim::claim(administrator, wanted()).await.map_err(ShadowError::sql("claim the roles of a scratch database"))?;
    let missing = roles::missing(administrator, wanted()).await?;
    if !missing.is_empty() && !rights.createrole {
        return Err(ShadowError::MissingRight {
            role: administrator.user.clone(),
            right: "CREATEROLE",
            purpose: format!("make the roles that the schema names ({})", missing.join(", ")),
            place: administrator.target.to_string(),
        });
    }
    for name in &missing {
        // Noted first: an interrupt may come between the request and its answer.
        note(id, |leftovers| leftovers.roles.insert(name.clone()));
        if let Err(error) = administrator.client.batch_execute(&claim::create_role(name)).await {
            note(id, |leftovers| leftovers.roles.remove(name)); // somebody else's, if it is there
            if error.code().is_some_and(|code| ["42710", "23505"].contains(&code.code())) {
                continue; // another plumb has made it at the same moment
            }
            return Err(ShadowError::sql(format!("create role {name}"))(error));
        }
    }
    if missing.iter().any(|name| name == owner) && !rights.superuser {
        roles::grant(administrator, &[owner.to_owned()], &administrator.user).await?;
    }
    let loader = if may_become(administrator, owner).await? { owner.to_owned() } else { administrator.user.clone() };
    if loader != owner {
        tracing::warn!("role {loader} may not become {owner} on the shadow's server; the schema is loaded as {loader}");
    }
    warn_of_superuser(administrator, rights, &loader).await?;
    let others: Vec<String> = missing.into_iter().filter(|name| *name != loader).collect();
    roles::grant(administrator, &others, &loader).await?;
    Ok(loader)
}

/// On a given server the wall between a stranger's SQL and the machine is the loading role's lack of rights.
async fn warn_of_superuser(session: &Session, rights: Rights, loader: &str) -> Result<(), ShadowError> {
    let query = "SELECT FROM pg_catalog.pg_roles WHERE rolname = $1 AND rolsuper";
    let found =
        session.client.query_opt(query, &[&loader]).await.map_err(ShadowError::sql("read the rights of the loading role"))?;
    if found.is_some() {
        tracing::warn!("the schema is loaded as superuser {loader} on {}; load only SQL that you trust", session.target);
    } else if rights.superuser {
        // SET ROLE is taken back by whatever runs in the session
        tracing::warn!(
            "{} is reached as superuser {}, which what the files run can become; load only SQL that you trust, or name a role without SUPERUSER",
            session.target,
            session.user
        );
    }
    Ok(())
}

/// True when the session may SET ROLE to `role`.
async fn may_become(session: &Session, role: &str) -> Result<bool, ShadowError> {
    let kind = if session.version.major() >= 16 { "SET" } else { "MEMBER" };
    let query = "SELECT pg_catalog.pg_has_role(current_user, $1::name, $2)";
    let row = session.client.query_one(query, &[&role, &kind]).await.map_err(ShadowError::sql("read role memberships"))?;
    Ok(row.get(0))
}

/// Writes down what was made, or what was taken away, under registry entry `id`.
pub(super) fn note(id: u64, change: impl FnOnce(&mut Leftovers) -> bool) {
    registry::with(id, |live| if let Live::Server(leftovers) = live { change(leftovers) } else { false });
}
