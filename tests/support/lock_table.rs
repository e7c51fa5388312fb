//! `fixtures/locks`: one entry per form of a statement, what was claimed of it before it was measured, and what each server did.
//!
//! A claim is a list such as `AE t, SRE p, rewrite t, index i, read t`: locks (by their initials), tables with a new file, indexes
//! with a new file, tables that are read in full; or `refused`, `refused 42601` (an SQLSTATE), or `none`. It says nothing of locks on indexes that it does not
//! name, nor of locks weaker than SHARE UPDATE EXCLUSIVE.

use super::tree;
use plumb::statement::LockMode;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The versions that the table is about.
pub const VERSIONS: std::ops::RangeInclusive<u32> = 14..=18;

/// All modes, the weakest first.
pub const MODES: [(LockMode, &str); 8] = [
    (LockMode::AccessShare, "AS"),
    (LockMode::RowShare, "RS"),
    (LockMode::RowExclusive, "RE"),
    (LockMode::ShareUpdateExclusive, "SUE"),
    (LockMode::Share, "S"),
    (LockMode::ShareRowExclusive, "SRE"),
    (LockMode::Exclusive, "E"),
    (LockMode::AccessExclusive, "AE"),
];

/// Which modes have to wait for which: a row and a column for each of [`MODES`], in its order.
pub const CONFLICTS: [&str; 8] = [".......x", "......xx", "....xxxx", "...xxxxx", "..xx.xxx", "..xxxxxx", ".xxxxxxx", "xxxxxxxx"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    pub title: String,
    pub row: Vec<Row>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Row {
    pub id: String,
    /// Which of the forms that have this id.
    pub form: Option<String>,
    pub operation: String,
    /// The versions for which the entry is written.
    pub from: Option<u32>,
    pub to: Option<u32>,
    /// What stands before, beside `base.sql`.
    pub setup: String,
    /// Statements of the setup that may not run in a transaction.
    pub alone: Vec<String>,
    pub sql: String,
    /// For what may not run in a transaction: what a second session takes, so that the statement has to wait and can be looked at.
    /// It is run once for each.
    pub watch: Vec<String>,
    /// What takes away those parts of the setup that are in no schema.
    pub cleanup: String,
    /// System catalogs whose locks count.
    pub also: Vec<String>,
    pub says: String,
    /// Where the server contradicts the claim.
    pub differs: Option<String>,
    pub note: Option<String>,
    /// Why the statement is not run at all.
    pub unmeasured: Option<String>,
}

/// What a server did.
#[derive(Serialize, Deserialize, Default, Clone, Debug, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    /// The SQLSTATE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub locks: BTreeMap<String, LockMode>,
    /// SHARE UPDATE EXCLUSIVE and stronger.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub index_locks: BTreeMap<String, LockMode>,
    /// By the catalog that the object is in: SHARE UPDATE EXCLUSIVE and stronger.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub object_locks: BTreeMap<String, LockMode>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub rewrites: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub index_rewrites: BTreeSet<String>,
    /// How often a table was read in full.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reads: BTreeMap<String, i64>,
    /// The server does not tell in time what a finished transaction has read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reads_not_seen: bool,
}

/// What one version of the server did, by [`Row::key`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// As the server says it.
    pub server: String,
    pub facts: BTreeMap<String, Facts>,
}

impl Row {
    pub fn key(&self) -> String {
        self.form.as_ref().map_or_else(|| self.id.clone(), |form| format!("{}/{form}", self.id))
    }

    pub fn is_for(&self, major: u32) -> bool {
        self.unmeasured.is_none() && (self.from.unwrap_or(0)..=self.to.unwrap_or(u32::MAX)).contains(&major)
    }

    /// Where the facts are not what the claim says.
    pub fn contradictions(&self, facts: &Facts) -> Vec<String> {
        let claim = claim(&self.says).unwrap_or_else(|e| panic!("{}: {e}", self.key()));
        let mut found = Vec::new();
        let mut differ = |what: &str, claimed: String, measured: String| {
            if claimed != measured {
                found.push(format!("{what}: {claimed} claimed, {measured} measured"));
            }
        };
        if claim.refused.as_deref() != Some("") || facts.refused.is_none() {
            differ("refused", format!("{:?}", claim.refused), format!("{:?}", facts.refused));
        }
        let telling = |name: &String, mode: LockMode| mode >= LockMode::ShareUpdateExclusive || claim.locks.contains_key(name);
        let mut locks: BTreeMap<String, LockMode> = facts.locks.clone();
        locks.retain(|name, mode| telling(name, *mode));
        locks.extend(facts.index_locks.iter().filter(|(n, _)| claim.locks.contains_key(*n)).map(|(n, m)| (n.clone(), *m)));
        differ("locks", format!("{:?}", claim.locks), format!("{locks:?}"));
        for (class, mode) in &claim.object_locks {
            differ(class, format!("{mode:?}"), facts.object_locks.get(class).map_or("nothing".into(), |m| format!("{m:?}")));
        }
        differ("rewrites", format!("{:?}", claim.rewrites), format!("{:?}", facts.rewrites));
        // Those of a table that is written anew are too.
        if facts.rewrites.is_empty() || !claim.index_rewrites.is_subset(&facts.index_rewrites) {
            differ("index rewrites", format!("{:?}", claim.index_rewrites), format!("{:?}", facts.index_rewrites));
        }
        if !facts.reads_not_seen {
            differ("reads", format!("{:?}", claim.reads.keys()), format!("{:?}", facts.reads.keys()));
        }
        found
    }
}

/// The facts that a claim is about.
fn claim(text: &str) -> Result<Facts, String> {
    let mut facts = Facts::default();
    let mode = |word: &str| MODES.iter().find(|(_, short)| *short == word).map(|(mode, _)| *mode);
    for part in text.split(", ") {
        let words: Vec<&str> = part.split(' ').collect();
        match words.as_slice() {
            ["none"] => {}
            ["refused"] => facts.refused = Some(String::new()),
            ["refused", code] => facts.refused = Some((*code).to_owned()),
            ["rewrite", name] => drop(facts.rewrites.insert((*name).to_owned())),
            ["index", name] => drop(facts.index_rewrites.insert((*name).to_owned())),
            ["read", name] => drop(facts.reads.insert((*name).to_owned(), 1)),
            [short, "object", class] => {
                facts.object_locks.insert((*class).to_owned(), mode(short).ok_or(format!("no mode {short}"))?);
            }
            [short, name] => drop(facts.locks.insert((*name).to_owned(), mode(short).ok_or(format!("no mode {short}"))?)),
            _ => return Err(format!("{part:?} is no claim")),
        }
    }
    Ok(facts)
}

/// The sections, in the order of their files.
pub fn sections() -> Vec<Section> {
    let files = tree::files(&tree::root("fixtures/locks"));
    let sections =
        files.iter().filter(|f| f.parent().is_some_and(|p| p.ends_with("locks")) && f.extension().is_some_and(|e| e == "toml"));
    sections.map(|f| toml::from_str(&tree::text(f)).unwrap_or_else(|e| panic!("{}: {e}", f.display()))).collect()
}

fn measured_file(major: u32) -> std::path::PathBuf {
    tree::root(&format!("fixtures/locks/measured/{major}.toml"))
}

/// What was measured on a version; nothing when it never was.
pub fn measured(major: u32) -> Measured {
    let file = measured_file(major);
    if !file.exists() {
        return Measured { server: String::new(), facts: BTreeMap::new() };
    }
    toml::from_str(&tree::text(&file)).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// Writes it, an entry to a line.
pub fn record(major: u32, measured: &Measured) {
    let mut text = format!("# Written by tests/locks.rs under PLUMB_BLESS=1.\nserver = {:?}\n\n[facts]\n", measured.server);
    for (key, facts) in &measured.facts {
        let mut line = String::new();
        facts.serialize(toml::ser::ValueSerializer::new(&mut line)).unwrap();
        text += &format!("{key:?} = {line}\n");
    }
    std::fs::write(measured_file(major), text).unwrap();
}
