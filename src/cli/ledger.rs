//! The ledger as commands meet it: who applies, what stands in the way, and its errors for a person.

use super::failure::Failure;
use super::side::Side;
use crate::apply::ledger::{self, Deployment, LedgerError, Presence, Who, presence, snapshot, unfinished};
use crate::catalog::{Catalog, pack};
use crate::exit_code::REFUSED;
use crate::pg::Session;
use crate::plan::short;
use crate::sql::ident;

/// Variables that hold the page of a CI job.
const PAGES: &[&str] = &[
    "CI_JOB_URL",           // GitLab
    "BUILD_URL",            // Jenkins
    "CIRCLE_BUILD_URL",     // CircleCI
    "BUILDKITE_BUILD_URL",  // Buildkite
    "TRAVIS_BUILD_WEB_URL", // Travis
    "CI_PIPELINE_URL",      // Woodpecker
    "DRONE_BUILD_LINK",     // Drone
];

/// Who runs this command.
pub fn who() -> Who {
    let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let of_actions = || {
        let part = |name| variable(name);
        Some(format!("{}/{}/actions/runs/{}", part("GITHUB_SERVER_URL")?, part("GITHUB_REPOSITORY")?, part("GITHUB_RUN_ID")?))
    };
    let of_azure = || {
        let (server, project) = (variable("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI")?, variable("SYSTEM_TEAMPROJECT")?);
        Some(format!("{server}{project}/_build/results?buildId={}", variable("BUILD_BUILDID")?))
    };
    let ci = PAGES.iter().find_map(|name| variable(name)).or_else(of_actions).or_else(of_azure);
    Who { os_user: whoami::username().ok(), host: whoami::hostname().ok(), ci: ci.map(|url| without_password(&url)) }
}

/// A URL without the user and the password that may stand in it.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    format!("{scheme}://{}{path}", host.rsplit('@').next().unwrap_or(host))
}

/// The deployment of this database that is unfinished. A ledger that this role may not read is said, and is no reason to stop.
pub async fn standing(session: &Session) -> Result<Option<Deployment>, LedgerError> {
    let ledger = presence(&session.client).await?;
    say_closed(session, &ledger);
    match ledger {
        Presence::Here(_) => unfinished(&session.client).await,
        Presence::Absent | Presence::Taken | Presence::Closed(_) => Ok(None),
    }
}

/// Says that the role may not read the ledger, where that is so.
pub fn say_closed(session: &Session, ledger: &Presence) {
    if let Presence::Closed(owner) = ledger {
        eprintln!("plumb: {}", LedgerError::Closed { role: session.user.clone(), owner: owner.clone() });
    }
}

/// The last deployment, when it is done and its run was cut off before it had recorded the end: its number, and the id of its plan.
pub async fn unsettled(session: &Session) -> Result<Option<(i64, String)>, LedgerError> {
    match presence(&session.client).await? {
        Presence::Here(_) => ledger::unsettled(&session.client).await,
        _ => Ok(None),
    }
}

/// Records the end of a plan that is applied, where the run that applied it could not.
pub async fn settle(session: &Session, plan: &str, now: &Catalog) -> Result<(), LedgerError> {
    match unsettled(session).await? {
        Some((deployment, id)) if id == plan => ledger::settle(&session.client, deployment, &pack(now)).await,
        _ => Ok(()),
    }
}

/// The session of a live database that has a ledger; `missing` makes an error of why there is none.
pub async fn with_ledger<'s>(live: &'s Side, missing: &impl Fn(&str) -> Failure) -> Result<&'s Session, Failure> {
    let Some(session) = &live.session else { return Err(missing("a snapshot has no ledger")) };
    match presence(&session.client).await? {
        Presence::Here(_) => Ok(session),
        _ => Err(missing("plumb has applied nothing here yet, or the ledger may not be read")),
    }
}

/// A schema that the ledger keeps, where it does.
pub async fn kept(session: &Session, id: Option<&String>) -> Result<Option<Catalog>, LedgerError> {
    match id {
        Some(id) => snapshot(&session.client, id).await,
        None => Ok(None),
    }
}

/// What stands in the way of another plan.
pub fn stands_in_the_way(open: &Deployment) -> Failure {
    let (id, next, all, done) = (short(&open.plan), open.next(), open.steps, open.done.len());
    Failure::new("apply::unfinished", format!("plan {id} was broken off: {done} of {all} steps are applied, step {next} is next"))
        .help(format!(
            "finish it: `plumb apply` with the file of {id}, or `plumb apply --resume`, which takes it from the ledger; or close it as it \
             stands with `plumb apply --abandon` and plan anew"
        ))
        .exit(REFUSED)
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Failure {
        let text = error.to_string();
        match error {
            LedgerError::NoRight { role, database } => Failure::new("ledger::right", text).help(format!(
                "plumb records what it applies, so that it can go on after a crash. Let it: GRANT CREATE ON DATABASE {} TO {}; or go \
                 without: --no-ledger",
                ident(&database),
                ident(&role)
            )),
            LedgerError::Closed { role, owner } => Failure::new("ledger::closed", text).help(format!(
                "GRANT USAGE ON SCHEMA plumb TO {role}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA plumb TO {role}; as {owner}",
                role = ident(&role),
            )),
            LedgerError::Taken => Failure::new("ledger::taken", text)
                .help("give that schema another name, or go without a ledger: --no-ledger. Then nothing can go on after a crash"),
            LedgerError::Newer(_) => Failure::new("ledger::newer", text).help("use the plumb that made it, or a newer one").exit(REFUSED),
            LedgerError::Busy { .. } => {
                Failure::new("apply::busy", text).help("wait until it is done, or end that session").exit(REFUSED)
            }
            LedgerError::Overtaken => Failure::new("apply::busy", text)
                .help("look at `plumb history`: the other one goes on where this one has stopped")
                .exit(REFUSED),
            LedgerError::Unreadable { .. } => Failure::new("ledger::unreadable", text)
                .help("somebody has changed it by hand: `plumb apply --abandon` closes what is unfinished"),
            LedgerError::Server(e) => Failure::from_server("ledger::server", &e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_recorded() {
        assert_eq!(without_password("https://ci:secret@ci.example/job/7?x=a@b"), "https://ci.example/job/7?x=a@b");
        assert_eq!(without_password("https://ci.example"), "https://ci.example");
        assert_eq!(without_password("job 7"), "job 7");
    }
}
