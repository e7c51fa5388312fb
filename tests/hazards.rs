//! Every rule of `src/hazard/` has examples that say the truth on a server, and `docs/hazards.md` is what the rules say.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use plumb::hazard::{Example, RULES};
use plumb::introspect::read_sizes;
use plumb::plan::{self, Plan};
use support::{Bench, Side, engine, hazard_page, server, tree};

/// A role that examples give rights to.
const READER: &str = "hazard_reader";

async fn side(bench: &Bench, sql: &str) -> Result<Side, String> {
    let side = Side::load(bench, &[sql]).await.map_err(|e| format!("does not load: {e}\n{sql}"))?;
    let mut side = side.map_err(|f| f.to_string())?;
    let session = server::session(&side.database).await;
    read_sizes(&session, &mut side.catalog).await.map_err(|e| format!("{e:?}"))?;
    session.close().await;
    // The tables of examples stand for ones with rows, in forms that lock them.
    side.catalog.sizes.clear();
    Ok(side)
}

/// The plan of an example.
async fn planned(bench: &Bench, example: &Example) -> Result<Plan, String> {
    let (before, after) = (side(bench, example.before).await?, side(bench, example.after).await?);
    let (_, made) = engine::plan_to(&before, &after).await.map_err(|f| f.to_string())?;
    let text = plan::write(&made.plan);
    assert_eq!(plan::read(&text).unwrap(), made.plan);
    engine::apply(&before.database, &made).await.map_err(|f| f.to_string())?;
    for side in [before, after] {
        bench.drop(&side.database).await;
    }
    Ok(made.plan)
}

fn codes(plan: &Plan) -> Vec<&str> {
    plan.steps().flat_map(|s| &s.hazards).map(|h| h.code.as_str()).collect()
}

#[test]
fn examples_say_the_truth() {
    let wrong = Bench::work(async |bench| {
        bench.roles(&[READER.to_owned()]).await;
        let mut wrong: Vec<String> = Vec::new();
        for rule in RULES {
            match planned(bench, &rule.bad).await {
                Ok(plan) => {
                    let found = codes(&plan);
                    let strange = found.iter().any(|c| *c != rule.code && !rule.with.contains(c));
                    if strange || !found.contains(&rule.code) {
                        wrong.push(format!("{}: the bad example has {found:?}", rule.code));
                    }
                    for unneeded in rule.with.iter().filter(|w| !found.contains(w)) {
                        wrong.push(format!("{}: `with` names {unneeded}, which the bad example has not", rule.code));
                    }
                }
                Err(e) => wrong.push(format!("{}, bad: {e}", rule.code)),
            }
            match planned(bench, &rule.good).await {
                Ok(plan) if plan.is_empty() => wrong.push(format!("{}: the good example changes nothing", rule.code)),
                Ok(plan) if codes(&plan).contains(&rule.code) => wrong.push(format!("{}: the good example has it", rule.code)),
                Ok(_) => {}
                Err(e) => wrong.push(format!("{}, good: {e}", rule.code)),
            }
        }
        wrong
    });
    server::cleanup();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn rules_are_complete() {
    for rule in RULES {
        let said =
            [rule.code, rule.meaning, rule.why, rule.remedy, rule.bad.shows, rule.good.shows, rule.bad.after, rule.good.after];
        assert!(said.iter().all(|s| !s.trim().is_empty()), "{}: something is not said", rule.code);
        assert!(
            rule.bad.before != rule.bad.after && rule.good.before != rule.good.after,
            "{}: an example without a change",
            rule.code
        );
    }
    let names: std::collections::BTreeSet<&str> = RULES.iter().map(|r| r.code).collect();
    assert_eq!(names.len(), RULES.len());
    assert!(RULES.iter().flat_map(|r| r.with).all(|w| names.contains(w)));
}

#[test]
fn the_page_is_what_the_rules_say() {
    let (path, page) = (tree::root("docs/hazards.md"), hazard_page::page());
    if std::env::var_os("PLUMB_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/hazards.md is not what src/hazard/ says: PLUMB_BLESS=1 cargo test --test hazards");
}
