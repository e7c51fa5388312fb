//! What is allowed and seldom meant: one rule per file, judged from a catalog alone. Pure.
//!
//! A rule names what it finds and where the files may define it; its level, and what a directive ignores, are decided outside.

mod deparsed;
mod schema;
mod settings;

mod char_type;
mod duplicate_index;
mod foreign_key_without_index;
mod json_type;
mod long_name;
mod missing_primary_key;
mod missing_tenant_column;
mod policy_without_row_security;
mod redundant_index;
mod row_security_without_policy;
mod security_definer_without_search_path;
mod serial;
mod timestamp_without_zone;
mod unused_ignore;
mod view_without_security_invoker;
mod volatile_filter;

use crate::catalog::{Catalog, Id, Object};
use crate::report::Level;

pub use schema::Schema;
pub use settings::Settings;

/// A rule.
pub struct Rule {
    /// Its name; what plumb.toml and directives take.
    pub code: &'static str,
    /// What it finds, in one sentence.
    pub meaning: &'static str,
    /// Why that matters, and when it does not.
    pub why: &'static str,
    /// SQL in which it finds one thing.
    pub bad: &'static str,
    /// The same without it.
    pub good: &'static str,
    /// What plumb.toml has to say for the examples.
    pub config: Option<&'static str>,
    /// The first server version that knows what it is about; 0 for all.
    pub since: u32,
    /// The level that it has when nobody says otherwise.
    pub level: Level,
    /// Rules of other tools that mean the same: tool, name.
    pub also: &'static [(&'static str, &'static str)],
    /// What it finds.
    pub find: fn(&Schema) -> Vec<Found>,
}

/// Every rule.
pub static RULES: &[&Rule] = &[
    &missing_primary_key::RULE,
    &foreign_key_without_index::RULE,
    &duplicate_index::RULE,
    &redundant_index::RULE,
    &row_security_without_policy::RULE,
    &policy_without_row_security::RULE,
    &view_without_security_invoker::RULE,
    &security_definer_without_search_path::RULE,
    &volatile_filter::RULE,
    &missing_tenant_column::RULE,
    &serial::RULE,
    &timestamp_without_zone::RULE,
    &char_type::RULE,
    &json_type::RULE,
    &long_name::RULE,
    &unused_ignore::RULE,
];

/// What a rule found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The object that is named.
    pub object: Id,
    /// Where the files may define it, the narrowest first; the object itself is among them.
    pub at: Vec<Id>,
    /// What is wrong, with its name.
    pub message: String,
}

impl Found {
    /// About one object.
    fn new(object: &Object, message: String) -> Found {
        Found { object: object.id.clone(), at: vec![object.id.clone()], message }
    }

    /// The same, defined where another object is.
    fn or_at(mut self, others: impl IntoIterator<Item = Id>) -> Found {
        self.at.extend(others);
        self
    }
}

/// The rule with this code.
pub fn find(code: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|r| r.code == code)
}

/// What all rules find that are not off, rule by rule.
pub fn check(catalog: &Catalog, settings: &Settings) -> Vec<(&'static Rule, Found)> {
    let schema = Schema::new(catalog, settings);
    let asked = RULES.iter().filter(|r| settings.level(r) != Level::Off);
    asked.flat_map(|rule| (rule.find)(&schema).into_iter().map(|found| (*rule, found))).collect()
}
