//! Differences that are accepted for a time: found by what they are, so that one that has become another is told again.

use std::collections::BTreeMap;

use super::difference::Difference;
use super::document::{Plan, UnmanagedDifference};
use crate::catalog::digest;
use crate::report::Accepted;

/// Characters of a digest that an entry has.
const LENGTH: usize = 12;

/// What the file of accepted drift says of a plan's differences.
#[derive(Clone, Debug, Default)]
pub struct Acceptance {
    by_digest: BTreeMap<String, Accepted>,
    /// Entries that are over, or that nothing is like any more, in sentences.
    pub stale: Vec<String>,
}

impl Acceptance {
    /// Those of the entries that hold on a day.
    pub fn new(entries: &[Accepted], plan: &Plan, today: &str) -> Acceptance {
        let (list, _) = super::difference::differences(plan);
        let there: Vec<String> = list.iter().map(of_difference).chain(one_sided(plan).map(of_unmanaged)).collect();
        let mut acceptance = Acceptance::default();
        for entry in entries {
            let found = there.contains(&entry.digest);
            match (found, entry.until.as_str() < today) {
                (true, false) => drop(acceptance.by_digest.insert(entry.digest.clone(), entry.clone())),
                (true, true) => acceptance.stale.push(format!(
                    "{}: {} was accepted until {} by {}, and that is over",
                    entry.place, entry.object, entry.until, entry.author
                )),
                (false, _) => acceptance.stale.push(format!(
                    "{}: nothing differs as {} did when it was accepted: remove the entry, or look at it again",
                    entry.place, entry.object
                )),
            }
        }
        acceptance
    }

    /// What is said of a difference.
    pub fn difference(&self, difference: &Difference) -> Option<&Accepted> {
        if self.by_digest.is_empty() { None } else { self.by_digest.get(&of_difference(difference)) }
    }

    /// What is said of an object that is not managed.
    pub fn unmanaged(&self, unmanaged: &UnmanagedDifference) -> Option<&Accepted> {
        self.by_digest.get(&of_unmanaged(unmanaged))
    }

    /// How many differences are accepted.
    pub fn count(&self) -> usize {
        self.by_digest.len()
    }
}

/// Objects that are not managed and are not the same on both sides.
pub fn one_sided(plan: &Plan) -> impl Iterator<Item = &UnmanagedDifference> {
    plan.unmanaged.iter().filter(|u| u.side != "both")
}

/// What a difference is, both sides of it.
pub fn of_difference(d: &Difference) -> String {
    short(&digest(&(d.object.to_string(), d.state, &d.live, &d.wanted, &d.repair)))
}

/// The same of an object that is not managed.
pub fn of_unmanaged(u: &UnmanagedDifference) -> String {
    short(&digest(&(&u.class, &u.identity, &u.side)))
}

fn short(digest: &str) -> String {
    digest[..LENGTH].to_owned()
}

/// The entries that would accept what is not accepted yet: reason, author and last day are left to whoever accepts.
pub fn entries(plan: &Plan, acceptance: &Acceptance) -> String {
    let (list, _) = super::difference::differences(plan);
    let open = list.iter().filter(|d| acceptance.difference(d).is_none()).map(|d| (d.name.clone(), of_difference(d)));
    let unmanaged = one_sided(plan).filter(|u| acceptance.unmanaged(u).is_none());
    let all = open.chain(unmanaged.map(|u| (format!("{} {}", u.class, u.identity), of_unmanaged(u))));
    all.map(|(object, digest)| {
        let object = toml_string(&object);
        format!("[[accepted]]\nobject = {object}\ndigest = \"{digest}\"\nreason = \"\"\nauthor = \"\"\nuntil = \n\n")
    })
    .collect()
}

/// A basic string: what steers is written by its number.
fn toml_string(text: &str) -> String {
    let one = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04X}", c as u32),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(one).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_strings() {
        assert_eq!(toml_string("table \"a\\b\"\n"), r#""table \"a\\b\"\u000A""#);
    }
}
