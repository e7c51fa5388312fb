//! Going on with a plan that was broken off: where, after a look at whether everything is as it was left.

use super::failure::Failure;
use super::workspace::Workspace;
use crate::apply::detaching;
use crate::apply::ledger::{Deployment, Ran, Record, snapshot};
use crate::apply::resume::{Cut, cut, differing};
use crate::apply::run::invalid_indexes;
use crate::catalog::{Catalog, fingerprints};
use crate::exit_code::REFUSED;
use crate::kind;
use crate::pg::Session;
use crate::plan::{Group, Plan, PlanStep, count};
use crate::prove::{Expected, expected};
use crate::shadow::Properties;
use std::time::Instant;

/// Where a plan goes on.
pub struct Resumed<'a> {
    /// The deployment.
    pub deployment: i64,
    /// The groups that are left.
    pub left: &'a [Group],
    /// The last step that was done before; 0 when there is none.
    pub last_done: u32,
    /// The step that has given some rows their values, and how many, when there is one.
    pub filled: Option<(u32, u64)>,
    /// A group that was found done, which the ledger does not know yet.
    pub found_done: Option<&'a Group>,
    /// Indexes that were not built to their end, as SQL names.
    pub broken: Vec<String>,
}

/// What looking takes.
pub struct Looking<'a> {
    /// The live database.
    pub session: &'a Session,
    /// What a scratch database takes over from it.
    pub properties: &'a Properties,
    /// Where scratch databases are made.
    pub shadow: Option<&'a str>,
    /// Whether it may go on unseen.
    pub unseen: bool,
}

/// Finds out where a plan goes on, and refuses when something is not as it was left.
pub async fn resumed<'a>(
    plan: &'a Plan,
    deployment: &Deployment,
    now: &Catalog,
    looking: &Looking<'_>,
    workspace: &mut Workspace,
) -> Result<Resumed<'a>, Failure> {
    let cut = cut(plan, deployment);
    let filled = Some((deployment.next(), deployment.filled)).filter(|(_, rows)| *rows > 0);
    let (deployment_id, last_done) = (deployment.id, cut.last_done());
    let at_rest = |left, found_done, broken| Resumed { deployment: deployment_id, left, last_done, filled, found_done, broken };
    let doubt = cut.left.first().filter(|_| cut.in_doubt);
    let Some(found) = states(plan, deployment, &cut, looking, workspace).await? else {
        return Ok(at_rest(cut.left, None, broken(doubt, looking.session).await?));
    };
    let now = plan.scope.of(now);
    let wanted = plan.scope.of(&found.after);
    let differs = differing(&now, &wanted);
    if differs.is_empty() {
        return Ok(at_rest(cut.left, None, Vec::new()));
    }
    if doubt.is_some_and(|group| is_halfway(group, &now, &wanted)) {
        return Ok(at_rest(cut.left, None, Vec::new()));
    }
    let (Some(group), Some(further)) = (doubt, found.further.map(|f| plan.scope.of(&f))) else {
        return Err(changed(plan, &now, &wanted, cut.last_done()));
    };
    let mut built = now.clone();
    built.put(kind::finished(&now));
    if !differing(&built, &further).is_empty() {
        return Err(changed(plan, &now, &wanted, cut.last_done()));
    }
    let broken = broken(Some(group), looking.session).await?;
    if broken.is_empty() {
        return Ok(at_rest(cut.left.get(1..).unwrap_or_default(), Some(group), broken));
    }
    Ok(at_rest(cut.left, None, broken))
}

/// Whether a step in doubt has detached its partition halfway, and nothing else is otherwise. It has a check by then that says what its bound says.
fn is_halfway(group: &Group, now: &Catalog, wanted: &Catalog) -> bool {
    let Some((partition, _)) = group.steps.first().and_then(detaching::of) else { return false };
    let mut attached = now.clone();
    attached.put(kind::attached(now));
    differing(&attached, wanted).iter().all(|id| id.class() == "check" && id.table_sql() == partition)
}

/// What there has to be; none when that cannot be found out and nobody insists.
async fn states(
    plan: &Plan,
    deployment: &Deployment,
    cut: &Cut<'_>,
    looking: &Looking<'_>,
    workspace: &mut Workspace,
) -> Result<Option<Expected>, Failure> {
    let unknown = |why: String| {
        let why = format!("it cannot be seen whether the schema is as plan {} has left it: {why}", plan.short_id());
        Failure::new("apply::unseen", why)
            .help("`--allow unproven` goes on all the same; `plumb apply --abandon` closes the plan, and a new one holds what is left")
            .exit(REFUSED)
    };
    let before = match &deployment.before {
        Some(id) => snapshot(&looking.session.client, id).await?,
        None => None,
    };
    let known = match before {
        None => Err("the ledger does not have the schema with which it began".to_owned()),
        Some(before) => {
            workspace.progress.stage("looking whether everything is as it was left");
            let mut roles = kind::roles(&before);
            roles.extend(plan.roles.iter().cloned());
            roles.insert(plan.role.clone());
            let target = Some(&looking.session.target);
            let scratch = workspace.scratch(looking.shadow, looking.properties, target, &plan.role, &roles).await?;
            let doubt = cut.left.first().filter(|_| cut.in_doubt);
            expected(scratch, &before, cut.done, doubt).await?
        }
    };
    workspace.progress.clear();
    match known {
        Ok(expected) => Ok(Some(expected)),
        Err(_) if looking.unseen => Ok(None),
        Err(why) => Err(unknown(why)),
    }
}

/// The indexes that a step in doubt has left behind unfinished: those of its relations that are not valid, and that it makes.
async fn broken(doubt: Option<&Group>, session: &Session) -> Result<Vec<String>, Failure> {
    let Some(step) = doubt.and_then(|g| g.steps.first()) else { return Ok(Vec::new()) };
    let found = invalid_indexes(&session.client, step).await.map_err(|e| Failure::from_server("ledger::server", &e))?;
    Ok(found.into_iter().filter(|index| makes(step, index)).collect())
}

/// Whether a step makes this index, whose name is given with its schema.
fn makes(step: &PlanStep, index: &str) -> bool {
    let mut names = index.match_indices('.').map(|(dot, _)| format!("INDEX CONCURRENTLY {} ON ", &index[dot + 1..]));
    names.any(|name| step.sql.iter().any(|sql| sql.starts_with("CREATE ") && sql.contains(&name)))
}

/// Something is not as it was left.
fn changed(plan: &Plan, now: &Catalog, wanted: &Catalog, last_done: u32) -> Failure {
    let after = match last_done {
        0 => format!("plan {} began", plan.short_id()),
        step => format!("step {step} of plan {}", plan.short_id()),
    };
    let why = format!(
        "the live database is not as it was after {after}: somebody has changed it meanwhile{}",
        super::stale::differences(&fingerprints(wanted), &fingerprints(now))
    );
    Failure::new("apply::changed", why)
        .help(
            "take that change back and apply the plan again, or close it as it stands with `plumb apply --abandon` and plan anew",
        )
        .exit(REFUSED)
}

impl Resumed<'_> {
    /// Clears away what a step has left half done, and records what was found done.
    pub async fn settle(&self, session: &Session, record: &Record, workspace: &Workspace) -> Result<(), Failure> {
        for index in &self.broken {
            session
                .client
                .batch_execute(&format!("DROP INDEX CONCURRENTLY {index}"))
                .await
                .map_err(|e| Failure::from_server("apply::step", &e))?;
            workspace.progress.line(&format!("The unfinished index {index} was dropped: it is built anew."));
        }
        let Some(group) = self.found_done else { return Ok(()) };
        let now = Instant::now();
        let ran: Vec<Ran> = group.steps.iter().map(|step| Ran { step, began: now, ended: now, rows: None }).collect();
        record.finished(&session.client, group, &ran).await?;
        for step in &group.steps {
            workspace.progress.line(&format!("Step {} ({}) was done already.", step.id, step.object));
        }
        Ok(())
    }

    /// What is said before it goes on.
    pub fn sentence(&self, plan: &Plan, name: &str) -> String {
        let all = plan.steps().count();
        let done = plan.steps().take_while(|s| s.id <= self.last_done).count() + self.found_done.map_or(0, |g| g.steps.len());
        let id = plan.short_id();
        let filled = self.filled.map_or(String::new(), |(step, rows)| {
            let rows = count(usize::try_from(rows).unwrap_or(usize::MAX), "row");
            let have = if rows.starts_with("1 ") { "has its value" } else { "have their values" };
            format!(", {rows} of step {step} {have}")
        });
        format!(
            "Going on with {id}, database {name}: {done} of {all} steps are done{filled}, and the live schema is as they left it.\n"
        )
    }
}
