//! Seals: what each part of a document was when it was written, so that who reads one that was edited by hand can tell which
//! statements are others now, and that nothing else is. They are no signatures: who may write the file may write any plan.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use super::document::{Plan, PlanStep};
use crate::catalog::digest;

/// By the name of a part the beginning of its digest.
pub type Seals = BTreeMap<String, String>;

/// Parts that have no seal: they are outside the id, or are sealed one by one.
const WITHOUT: &[&str] = &["id", "observed", "seals", "groups"];
/// How the seal of a step's statements is called, after the step.
const SQL: &str = ": sql";

/// The seals of a document as it is.
pub fn seals(plan: &Plan) -> Seals {
    let short = |digest: String| digest[..8].to_owned();
    let head = Plan { groups: Vec::new(), ..plan.clone() };
    let Ok(Value::Object(fields)) = serde_json::to_value(&head) else { return Seals::new() };
    let fields = fields.iter().filter(|(name, _)| !WITHOUT.contains(&name.as_str()));
    let mut seals: Seals = fields.map(|(name, value)| (name.clone(), short(digest(value)))).collect();
    let groups: Vec<_> = plan.groups.iter().map(|g| (g.id, g.transactional, &g.after, g.steps.len())).collect();
    seals.insert("groups".to_owned(), short(digest(&groups)));
    for step in plan.steps() {
        let facts = PlanStep { sql: Vec::new(), ..step.clone() };
        seals.insert(format!("step {}{SQL}", step.id), short(digest(&step.sql)));
        seals.insert(format!("step {}", step.id), short(digest(&(step.sql.len(), facts))));
    }
    seals
}

/// The steps whose statements are not those that were written.
///
/// # Errors
/// The names of other parts that are not as they were written.
pub fn edited(plan: &Plan, stated: &Seals) -> Result<Vec<u32>, Vec<String>> {
    let found = seals(plan);
    let names: BTreeSet<&String> = stated.keys().chain(found.keys()).collect();
    let differ: Vec<&String> = names.into_iter().filter(|name| stated.get(*name) != found.get(*name)).collect();
    let step = |id: u32| plan.steps().find(|s| s.id == id);
    let number = |name: &str| name.strip_prefix("step ")?.parse::<u32>().ok();
    let others: Vec<String> = differ
        .iter()
        .filter(|name| !name.ends_with(SQL))
        .map(|name| match number(name).map(|id| (id, step(id))) {
            Some((id, Some(step))) => format!("step {id} ({}): more than the text of its statements", step.object),
            Some((id, None)) => format!("step {id}: it is gone"),
            None if *name == "groups" => "groups: which steps run in which transaction".to_owned(),
            None => (*name).clone(),
        })
        .collect();
    let mut steps: Vec<u32> = differ.iter().filter_map(|name| number(name.strip_suffix(SQL)?)).collect();
    steps.sort_unstable();
    if others.is_empty() { Ok(steps) } else { Err(others) }
}

#[cfg(test)]
mod tests {
    use super::super::reader::{PlanError, read, read_edited, write};
    use super::super::samples;
    use crate::catalog::Id;

    #[test]
    fn only_statements_may_be_edited() {
        let table = Id::new("table", ["public", "t"]);
        let plan = samples::plan(vec![samples::step(1, "expand", "create", table, &["CREATE TABLE public.t (\n)"])], &[]);
        let text = write(&plan);
        assert_eq!(read(&text).ok(), Some(plan.clone()));
        assert_eq!(read_edited(&text).ok(), Some((plan, Vec::new())));
        let sql = text.replacen("\"sql\": [\n            \"", "\"sql\": [\n            \"/* by hand */ ", 1);
        assert_ne!(sql, text);
        assert!(matches!(read(&sql), Err(PlanError::Tampered { .. })));
        assert_eq!(read_edited(&sql).map(|(_, edited)| edited).ok(), Some(vec![1]));
        let named = |text: &str| match read_edited(text) {
            Err(PlanError::Facts(names)) => names,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            named(&text.replacen("\"phase\": \"expand\"", "\"phase\": \"migrate\"", 1)),
            ["step 1 (table public.t): more than the text of its statements"]
        );
        let added = text.replacen("\"sql\": [\n", "\"sql\": [\n            \"SELECT 1\",\n", 1);
        assert_eq!(named(&added), ["step 1 (table public.t): more than the text of its statements"]);
        assert_eq!(named(&text.replacen("\"warnings\": [", "\"warnings\": [\"x\"", 1)), ["warnings"]);
        assert_eq!(
            named(&text.replacen("\"transactional\": true", "\"transactional\": false", 1)),
            ["groups: which steps run in which transaction"]
        );
    }
}
