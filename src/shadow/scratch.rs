//! A scratch database.

use super::error::ShadowError;
use super::properties::Properties;
use super::{cache, claim, server};
use crate::pg::{self, Session, Target};
use crate::sql::ident;
use std::sync::Arc;
use std::time::Duration;

/// How long a statement may take on a database without rows, when nobody says so.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(120);

/// A new database in a shadow, with its two sessions. Gone with the shadow at the latest.
pub struct Scratch {
    /// Connected as the loading role: in a private cluster an ordinary role with the owner's name, so that SQL of a stranger
    /// can do no harm outside this database.
    pub session: Session,
    /// Connected as the role that rules the shadow's server (in a private cluster its superuser), for extensions that need it.
    pub administrator: Session,
    /// Its name.
    pub name: String,
    /// How long one statement of a plan may take in it.
    pub statement_timeout: Duration,
    pub(super) maintenance: Arc<Session>,
    pub(super) id: Option<u64>,
}

impl Scratch {
    /// This database and a second one with all that it holds, or why there is no second one. Both have new sessions.
    ///
    /// # Errors
    /// When this database cannot be connected to any more.
    pub async fn twins(self) -> Result<(Scratch, Result<Scratch, ShadowError>), ShadowError> {
        let Scratch { session, administrator, name, statement_timeout, maintenance, id } = self;
        let targets = (session.target.clone(), administrator.target.clone());
        session.close().await;
        administrator.close().await;
        let twin = clone(&maintenance, &name, id).await;
        let open = async |name: String| {
            let session = pg::connect(&targets.0.with_database(&name)).await?;
            let administrator = pg::connect(&targets.1.with_database(&name)).await?;
            let maintenance = Arc::clone(&maintenance);
            Ok::<_, ShadowError>(Scratch { session, administrator, name, statement_timeout, maintenance, id })
        };
        let twin = match twin {
            Ok(name) => open(name).await,
            Err(error) => Err(error),
        };
        Ok((open(name).await?, twin))
    }

    /// Drops the database now.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn drop(self) -> Result<(), ShadowError> {
        self.session.close().await;
        self.administrator.close().await;
        let doing = ShadowError::sql(format!("drop scratch database {}", self.name));
        drop_database(&self.maintenance, &self.name).await.map_err(doing)?;
        if let Some(id) = self.id {
            server::note(id, |leftovers| leftovers.databases.remove(&self.name));
        }
        Ok(())
    }
}

/// Drops it with the sessions in it. Its owner, as whom files are loaded, may have called it a template, which none drops.
///
/// # Errors
/// What the server refuses.
pub(super) async fn drop_database(maintenance: &Session, name: &str) -> Result<(), tokio_postgres::Error> {
    let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", ident(name));
    match maintenance.client.batch_execute(&sql).await {
        Err(error) if error.code().is_some_and(|code| code.code() == "42809") => {
            maintenance.client.batch_execute(&format!("ALTER DATABASE {} IS_TEMPLATE false", ident(name))).await?;
            maintenance.client.batch_execute(&sql).await
        }
        done => done,
    }
}

/// A database with all that `name` holds, which nobody is connected to.
async fn clone(maintenance: &Session, name: &str, id: Option<u64>) -> Result<String, ShadowError> {
    let twin = format!("{}{}", claim::PREFIX, cache::random_word());
    if let Some(id) = id {
        let claimed = claim::claim(maintenance, std::iter::once(twin.as_str())).await;
        claimed.map_err(ShadowError::sql("claim a scratch database"))?;
        server::note(id, |leftovers| leftovers.databases.insert(twin.clone()));
    }
    let copying = ShadowError::sql("copy a scratch database");
    let owned = "SELECT pg_catalog.pg_get_userbyid(datdba)::text FROM pg_catalog.pg_database WHERE datname = $1";
    let owner: String = match maintenance.client.query_one(owned, &[&name]).await {
        Ok(row) => row.get(0),
        Err(error) => return Err(copying(error)),
    };
    let strategy = if id.is_none() && maintenance.version.0 >= 150_000 { " STRATEGY FILE_COPY" } else { "" };
    let sql = format!("CREATE DATABASE {} OWNER {} TEMPLATE {}{strategy}", ident(&twin), ident(&owner), ident(name));
    maintenance.client.batch_execute(&sql).await.map_err(copying)?;
    Ok(twin)
}

/// Makes the database with `properties`, or with the nearest ones that the server has, and says so.
///
/// # Errors
/// When the server refuses even the plainest.
pub(super) async fn create(
    maintenance: &Session,
    properties: &Properties,
    name: &str,
    owner: &str,
    strategy: Option<&str>,
) -> Result<(), ShadowError> {
    let candidates = properties.with_fallbacks();
    let mut first_words: Option<String> = None;
    for (n, candidate) in candidates.iter().enumerate() {
        match maintenance.client.batch_execute(&candidate.create_database(name, owner, strategy)).await {
            Ok(()) => {
                if let Some(words) = &first_words {
                    warn_of_locale(properties, candidate, words);
                }
                return Ok(());
            }
            Err(error) if n + 1 == candidates.len() || !is_about_locale(&error) => {
                return Err(ShadowError::sql("create a scratch database")(error));
            }
            Err(error) => {
                first_words.get_or_insert_with(|| words(&error));
            }
        }
    }
    Ok(())
}

/// Says that `used` stands in for the locale of `asked`, which the server refused with `words`.
fn warn_of_locale(asked: &Properties, used: &Properties, words: &str) {
    let locale = |p: &Properties| p.icu_locale.clone().filter(|_| p.provider != 'c').unwrap_or_else(|| p.collate.clone());
    let (asked, used) = (locale(asked), locale(used));
    if asked != used {
        tracing::warn!(
            "the shadow does not have the target's locale {asked} ({words}); it uses {used}, so text may sort differently"
        );
    }
}

/// True for errors that another locale may avoid: everything but a missing right, a name or role problem, or a full machine.
fn is_about_locale(error: &tokio_postgres::Error) -> bool {
    let class = error.code().map(|code| code.code().get(..2).unwrap_or_default().to_owned());
    let spared = error.code().is_some_and(|code| ["42501", "42P04", "42704"].contains(&code.code()));
    !spared && class.is_some_and(|class| ["22", "42", "0A", "55", "XX"].contains(&class.as_str()))
}

/// Those settings of `properties` that the server accepts; the others are told.
///
/// # Errors
/// When the line is lost.
pub(super) async fn accepted_settings(session: &Session, properties: &Properties) -> Result<Vec<(String, String)>, ShadowError> {
    let mut accepted = Vec::new();
    for (name, value) in &properties.settings {
        match session.client.query("SELECT pg_catalog.set_config($1, $2, true)", &[name, value]).await {
            Ok(_) => accepted.push((name.clone(), value.clone())),
            Err(error) if error.as_db_error().is_some() => {
                tracing::warn!("the shadow does not take over {name} = {value}: {}", words(&error));
            }
            Err(error) => return Err(ShadowError::sql("check the target's settings")(error)),
        }
    }
    Ok(accepted)
}

fn words(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |server| server.message().to_owned())
}

/// A session at `target` that starts with `settings`.
///
/// # Errors
/// See [`pg::ConnectError`].
pub(super) async fn connect(target: &Target, settings: &[(String, String)]) -> Result<Session, ShadowError> {
    let target = settings.iter().fold(target.clone(), |target, (name, value)| target.with_setting(name, value));
    Ok(pg::connect(&target).await?)
}
