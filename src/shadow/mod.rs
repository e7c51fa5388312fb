//! A shadow: a server in which scratch databases are made, so that PostgreSQL itself reads SQL files and tries plans.
//!
//! By default it is a private cluster that plumb starts from server programs of the target's major version: on a unix socket
//! in a directory of its own, without root's rights, and gone afterwards however plumb ends. Loading goes through an ordinary
//! role that owns the scratch database, since the SQL may come from a stranger.
//!
//! Imports [`crate::pg`] and [`crate::sql`].

mod adopt;
mod binaries;
mod cache;
mod claim;
mod cluster;
mod compiled;
mod download;
mod error;
#[cfg(test)]
mod given_tests;
mod guard;
mod janitor;
mod kept;
mod place;
mod privileges;
mod properties;
mod prune;
mod registry;
mod roles;
mod scratch;
mod server;
mod sweep;
mod template;
#[cfg(test)]
mod tests;

pub use adopt::{adopt, as_superuser};
pub use binaries::{Binaries, find as find_binaries, newest as newest_binaries};
pub use cluster::Cluster;
pub use compiled::Compiled;
pub use download::{download, find_or_download, newest_installed_or_download};
pub use error::ShadowError;
pub use guard::{Hushed, hush, powerful, quietly, restore};
pub use properties::{Properties, owner};
pub use registry::cleanup_all;
pub use scratch::{STATEMENT_TIMEOUT, Scratch};

use crate::pg::{self, Session, Target};
use kept::Keep;
use registry::Live;
use roles::Rights;
use server::Leftovers;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The superuser of private clusters. No scratch database belongs to it, so that a live role of any name can be an ordinary
/// role there. It owns what belongs to the bootstrap superuser elsewhere: system objects. Schema `public` is the database owner's in all versions.
pub const BOOTSTRAP: &str = "plumb_bootstrap";

/// Where the shadow is (`--shadow`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Choice {
    /// A private cluster, its programs found on the machine or downloaded once.
    #[default]
    Auto,
    /// The target's own server.
    Target,
    /// The server of a connection string.
    Url(String),
}

impl Choice {
    /// Reads `auto`, `target`, or a connection string.
    pub fn parse(text: &str) -> Choice {
        match text {
            "auto" => Choice::Auto,
            "target" => Choice::Target,
            url => Choice::Url(url.to_owned()),
        }
    }
}

/// A server in which scratch databases are made.
pub struct Shadow {
    place: Place,
    administrator: Arc<Session>,
}

/// A private cluster for the copy of a schema, and where that copy is kept.
pub struct Copying {
    shadow: Shadow,
    /// Whether the copy is there already: as it was kept, and as nobody has looked at it yet.
    pub kept: bool,
    keep: Option<Keep>,
}

/// Whose server it is.
enum Place {
    /// A private cluster.
    Private(Cluster),
    /// Somebody's, where we have some rights and the registry knows what to take away.
    Given { rights: Rights, id: u64 },
}

impl Shadow {
    /// Opens a shadow of the major version of `properties`. `target` is needed for [`Choice::Target`] only.
    ///
    /// # Errors
    /// [`ShadowError`]: no programs, a server that does not start or cannot be reached, another version, a missing CREATEDB.
    pub async fn open(choice: &Choice, properties: &Properties, target: Option<&Target>) -> Result<Shadow, ShadowError> {
        match choice {
            Choice::Auto => Shadow::private(&find_or_download(properties.major).await?).await,
            Choice::Target => Shadow::given(target.ok_or(ShadowError::NoTarget)?, properties).await,
            Choice::Url(url) => Shadow::given(&Target::parse(url)?, properties).await,
        }
    }

    /// A private cluster of `binaries`.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub async fn private(binaries: &Binaries) -> Result<Shadow, ShadowError> {
        let (cluster, session) = Cluster::start(binaries).await?;
        Ok(Shadow { place: Place::Private(cluster), administrator: Arc::new(session) })
    }

    /// A private cluster for the copy of a schema that is the same as long as `key` is: the one that was kept, where there is one
    /// and it is `wanted`.
    ///
    /// # Errors
    /// As for [`Shadow::private`]. What is wrong with a cluster that was kept is no error: it is thrown away.
    pub async fn copying(properties: &Properties, key: &str, wanted: bool) -> Result<Copying, ShadowError> {
        let binaries = find_or_download(properties.major).await?;
        // Without a place to keep it in there is only more to do.
        let keep = Keep::new(&binaries, key).inspect_err(|error| tracing::debug!("no copies are kept: {error}")).ok();
        if let Some(keep) = keep.as_ref().filter(|_| wanted)
            && let Some(kept) = keep.find()
        {
            match Cluster::start_at(&binaries, &kept.path.clone(), kept).await {
                Ok((cluster, session)) => {
                    let shadow = Shadow { place: Place::Private(cluster), administrator: Arc::new(session) };
                    return Ok(Copying { shadow, kept: true, keep: Some(keep.clone()) });
                }
                Err(error) => {
                    tracing::info!("the copy that was kept is thrown away: {error}");
                    keep.forget();
                }
            }
        }
        Ok(Copying { shadow: Shadow::private(&binaries).await?, kept: false, keep })
    }

    async fn given(target: &Target, properties: &Properties) -> Result<Shadow, ShadowError> {
        let administrator = pg::connect(target).await?;
        let found = administrator.version.major();
        if found != properties.major {
            return Err(ShadowError::OtherVersion { wanted: properties.major, found });
        }
        let rights = Rights::read(&administrator).await?;
        if !rights.createdb {
            return Err(ShadowError::MissingRight {
                role: administrator.user,
                right: "CREATEDB",
                purpose: "make scratch databases".to_owned(),
                place: target.to_string(),
            });
        }
        let asked = administrator.client.query_one("SELECT pg_catalog.pg_backend_pid()", &[]).await;
        let claimant: i32 = asked.map_err(ShadowError::sql("read the number of the shadow's session"))?.get(0);
        server::sweep(&administrator, claimant).await;
        let id = registry::add(Live::Server(Box::new(Leftovers::none(target, claimant))));
        Ok(Shadow { place: Place::Given { rights, id }, administrator: Arc::new(administrator) })
    }

    /// The session that rules the shadow's server.
    pub fn administrator(&self) -> &Session {
        &self.administrator
    }

    /// True for a private cluster.
    pub fn is_private(&self) -> bool {
        matches!(self.place, Place::Private(_))
    }

    /// A new empty database with `properties`, owned by role `owner`, in which SQL is loaded. Every one of `roles` exists
    /// afterwards.
    ///
    /// In a private cluster `owner` is an ordinary role (LOGIN NOSUPERUSER), and a member of `roles` that may grant them. On a
    /// given server SQL is loaded as `owner` when we may become it, else as the connecting role; roles that were missing go
    /// with the shadow.
    ///
    /// # Errors
    /// [`ShadowError`]: a missing right, or what the server refuses.
    pub async fn scratch(&self, properties: &Properties, owner: &str, roles: &BTreeSet<String>) -> Result<Scratch, ShadowError> {
        let name = format!("{}{}", claim::PREFIX, cache::random_word());
        let settings = scratch::accepted_settings(&self.administrator, properties).await?;
        let (own, ruling) = match &self.place {
            Place::Private(cluster) => {
                roles::prepare_private(&self.administrator, owner, roles).await?;
                // Measured on 15 with fsync off: FILE_COPY takes half the time of WAL_LOG. In small letters: 16.0 takes no others.
                scratch::create(&self.administrator, properties, &name, owner, Some("file_copy")).await?;
                (cluster.target(&name, owner), cluster.target(&name, BOOTSTRAP))
            }
            Place::Given { rights, id } => {
                let loader = server::prepare(*id, &self.administrator, *rights, owner, roles).await?;
                let claimed = claim::claim(&self.administrator, std::iter::once(name.as_str())).await;
                claimed.map_err(ShadowError::sql("claim a scratch database"))?;
                server::note(*id, |leftovers| leftovers.databases.insert(name.clone()));
                // The server's own strategy: FILE_COPY would force two checkpoints on somebody's server.
                scratch::create(&self.administrator, properties, &name, &loader, None).await?;
                let ruling = self.administrator.target.with_database(&name);
                let own = if loader == self.administrator.user { ruling.clone() } else { ruling.with_setting("role", &loader) };
                (own, ruling)
            }
        };
        let session = scratch::connect(&own, &settings).await?;
        let administrator = scratch::connect(&self.guarded(&ruling), &settings).await?;
        if self.rules() && self.administrator.version.major() < 15 {
            // Where rights on it are taken from PUBLIC, whoever loads or copies would have none there.
            let owned = "ALTER SCHEMA public OWNER TO pg_database_owner";
            administrator.client.batch_execute(owned).await.map_err(ShadowError::sql("prepare a scratch database"))?;
        }
        let id = match &self.place {
            Place::Private(_) => None,
            Place::Given { id, .. } => Some(*id),
        };
        let statement_timeout = STATEMENT_TIMEOUT;
        Ok(Scratch { session, administrator, name, statement_timeout, maintenance: Arc::clone(&self.administrator), id })
    }

    /// Whether a superuser rules the server.
    fn rules(&self) -> bool {
        match &self.place {
            Place::Private(_) => true,
            Place::Given { rights, .. } => rights.superuser,
        }
    }

    /// The target of a superuser who resolves no name in what files make, whatever they set for the database, and fires none of their
    /// triggers.
    fn guarded(&self, ruling: &Target) -> Target {
        let ruling = ruling.with_setting("search_path", "pg_catalog,pg_temp").with_setting("standard_conforming_strings", "on");
        match self.rules() && self.administrator.version.major() >= 17 {
            true => ruling.with_setting("event_triggers", "off"),
            false => ruling,
        }
    }

    /// The scratch database that a kept cluster came with, as [`Shadow::scratch`] would have made it.
    ///
    /// # Errors
    /// What is wrong with it.
    async fn found(&self, properties: &Properties, owner: &str, roles: &BTreeSet<String>) -> Result<Scratch, ShadowError> {
        let Place::Private(cluster) = &self.place else { return Err(ShadowError::NoTarget) };
        let administrator = &self.administrator;
        let query = "SELECT datname::text FROM pg_catalog.pg_database WHERE pg_catalog.starts_with(datname, $1)";
        let found = administrator.client.query_one(query, &[&claim::PREFIX]).await;
        let name: String = found.map_err(ShadowError::sql("find the database that was kept"))?.get(0);
        let settings = scratch::accepted_settings(administrator, properties).await?;
        roles::prepare_private(administrator, owner, roles).await?;
        let session = scratch::connect(&cluster.target(&name, owner), &settings).await?;
        let ruling = scratch::connect(&self.guarded(&cluster.target(&name, BOOTSTRAP)), &settings).await?;
        let (maintenance, statement_timeout) = (Arc::clone(administrator), STATEMENT_TIMEOUT);
        Ok(Scratch { session, administrator: ruling, name, statement_timeout, maintenance, id: None })
    }

    /// Takes everything away and stops the private cluster. Dropping the value does the same, without saying what went wrong.
    ///
    /// # Errors
    /// What a given server refuses to drop.
    pub async fn close(self) -> Result<(), ShadowError> {
        match &self.place {
            Place::Private(_) => Ok(()),
            Place::Given { id, .. } => match registry::take(*id) {
                Some(Live::Server(leftovers)) => leftovers.drop_all(&self.administrator).await,
                _ => Ok(()),
            },
        }
    }
}

impl Copying {
    /// The scratch database: the one that was kept, with what is in it, or an empty one.
    ///
    /// # Errors
    /// As for [`Shadow::scratch`].
    pub async fn scratch(&self, properties: &Properties, owner: &str, roles: &BTreeSet<String>) -> Result<Scratch, ShadowError> {
        match self.kept {
            true => self.shadow.found(properties, owner, roles).await,
            false => self.shadow.scratch(properties, owner, roles).await,
        }
    }

    /// Keeps the cluster as it is, for the next one who asks with the same key. Nobody may be at work in it.
    pub async fn keep(&self) {
        let (Some(keep), Place::Private(cluster)) = (self.keep.clone(), &self.shadow.place) else { return };
        // What a crash right after a checkpoint would leave is what is kept: nothing is written meanwhile.
        if let Err(error) = self.shadow.administrator.client.batch_execute("CHECKPOINT").await {
            return tracing::debug!("the copy is not kept: {error}");
        }
        let directory = cluster.directory().to_owned();
        match tokio::task::spawn_blocking(move || keep.store(&directory)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("the copy is not kept: {error}"),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// Throws away what was kept: it is not what it should be.
    pub fn forget(&self) {
        self.keep.iter().for_each(Keep::forget);
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        if let Place::Given { id, .. } = self.place {
            registry::undo(id);
        }
    }
}
