//! The conditions on rows, asked of the live database: read-only, each within a time limit.

use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, Error};

use super::harmless::harmless;
use super::run::server_message;
use crate::plan::{Answer, Answered, Plan};
use crate::sql::ident;
use crate::statement::RowCheck;

/// How conditions are asked.
#[derive(Clone, Copy)]
pub struct Limits {
    /// The longest that one of them may take.
    pub each: Duration,
    /// The longest that all of them may take.
    pub all: Duration,
    /// Whether expressions of the wanted schema are worked out, since somebody has approved them.
    pub evaluate: bool,
}

const UNAPPROVED: &str = "it calls functions that nobody has approved yet; `plumb apply` asks it";

const RENAMED: &str = "it is about what has another name until this plan has run; the step itself finds out";

/// Whether it names something that a step before it renames: now that name is nobody's, or another one's.
fn has_another_name(plan: &Plan, check: &RowCheck) -> bool {
    let words = || check.query.split(|c: char| !c.is_alphanumeric() && c != '_');
    let named = |name: &str| words().any(|word| word == name) || ident(name) != name && check.query.contains(&ident(name));
    plan.steps().filter_map(|s| s.renamed.as_ref()).any(|names| named(names.to.base()))
}

/// The time that each has when all are asked at once.
const AT_ONCE: Duration = Duration::from_millis(200);

/// Asks all conditions of a plan.
///
/// # Errors
/// When the connection fails; what the server refuses is an answer.
pub async fn ask(client: &Client, plan: &Plan, limits: Limits) -> Result<Vec<Answered>, Error> {
    let all: Vec<(u32, &RowCheck)> = plan.steps().flat_map(|s| s.checks.iter().map(move |c| (s.id, c))).collect();
    let checks: Vec<&RowCheck> = all.iter().map(|(_, check)| *check).collect();
    let harmless = if limits.evaluate { BTreeSet::new() } else { harmless(client, &checks).await? };
    let unasked = |place: usize| match checks[place] {
        check if has_another_name(plan, check) => Some(RENAMED),
        check if check.evaluates && !limits.evaluate && !harmless.contains(&place) => Some(UNAPPROVED),
        _ => None,
    };
    let asked: Vec<&RowCheck> = (0..checks.len()).filter(|place| unasked(*place).is_none()).map(|place| checks[place]).collect();
    let mut answers = if asked.is_empty() { Vec::new() } else { at_once(client, &asked, limits).await? };
    if answers.len() < asked.len() {
        answers = one_by_one(client, &asked, limits).await?;
    }
    let mut answers = answers.into_iter();
    let answered = all.iter().enumerate().filter_map(|(place, (step, check))| {
        let (answer, took) = match unasked(place) {
            None => answers.next()?,
            Some(why) => (Answer::Unknown(why.to_owned()), None),
        };
        Some(Answered { step: *step, condition: check.condition.clone(), answer, took })
    });
    Ok(answered.collect())
}

fn begin(limit: Duration) -> String {
    format!(
        "BEGIN READ ONLY; SET LOCAL search_path = pg_catalog; SET LOCAL TimeZone = 'UTC'; SET LOCAL lock_timeout = '500ms'; \
         SET LOCAL row_security = off; SET LOCAL statement_timeout = {}",
        limit.as_millis().max(1)
    )
}

/// An answer, and how long it took to find.
type Found = (Answer, Option<Duration>);

/// All in one transaction without waiting between them, which is enough for small tables; none when one of them fails or is slow.
async fn at_once(client: &Client, checks: &[&RowCheck], limits: Limits) -> Result<Vec<Found>, Error> {
    client.batch_execute(&begin(AT_ONCE.min(limits.each))).await?;
    let found = join_all(checks.iter().map(|check| client.query_one(&check.query, &[]))).await;
    client.batch_execute("ROLLBACK").await?;
    Ok(found.into_iter().map_while(|row| row.ok().map(|row| (counted(&row), None))).collect())
}

fn counted(row: &tokio_postgres::Row) -> Answer {
    match row.get::<_, i64>(0) {
        0 => Answer::Holds,
        count => Answer::Broken(count, row.get(1)),
    }
}

async fn one_by_one(client: &Client, checks: &[&RowCheck], limits: Limits) -> Result<Vec<Found>, Error> {
    let begun = Instant::now();
    let mut answers = Vec::new();
    for check in checks {
        let left = limits.all.saturating_sub(begun.elapsed()).min(limits.each);
        if left.is_zero() {
            answers.push((Answer::Unknown(format!("the {} s for all of them were over", limits.all.as_secs())), None));
            continue;
        }
        client.batch_execute(&begin(left)).await?;
        let sent = Instant::now();
        let asked = client.query_one(&check.query, &[]).await;
        let took = sent.elapsed();
        client.batch_execute("ROLLBACK").await?;
        answers.push(match asked {
            Ok(row) => (counted(&row), Some(took)),
            Err(error) if error.as_db_error().is_none() => return Err(error),
            Err(error) => (refused(&error, left), None),
        });
    }
    Ok(answers)
}

/// A value that does not fit is an answer; so is that nobody knows.
fn refused(error: &Error, limit: Duration) -> Answer {
    let (message, code) = server_message(error);
    let message = message.lines().next().unwrap_or_default().to_owned();
    match code.as_str() {
        "57014" => Answer::Unknown(format!("it took longer than {:.0} s", limit.as_secs_f64())),
        data if data.starts_with("22") || data.starts_with("23") => Answer::Refused(message),
        _ => Answer::Unknown(message),
    }
}
