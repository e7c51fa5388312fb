//! Access control lists (`aclitem[]`, manual chapter 5.8): reading them, and the GRANTs and REVOKEs between two of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::sql::ident;
use crate::statement::Effect;

/// Grantee to privileges; a privilege with grant option ends in `*`. The owner's entry has the empty name and that of
/// PUBLIC the name `public`, which no role can have.
pub type Privileges = BTreeMap<String, BTreeSet<String>>;

/// The name that stands for the object's owner.
pub const OWNER: &str = "";
/// The name that stands for PUBLIC.
pub const PUBLIC: &str = "public";

const LETTERS: &[(char, &str)] = &[
    ('a', "INSERT"),
    ('r', "SELECT"),
    ('w', "UPDATE"),
    ('d', "DELETE"),
    ('D', "TRUNCATE"),
    ('x', "REFERENCES"),
    ('t', "TRIGGER"),
    ('m', "MAINTAIN"),
    ('X', "EXECUTE"),
    ('U', "USAGE"),
    ('C', "CREATE"),
    ('c', "CONNECT"),
    ('T', "TEMPORARY"),
    ('s', "SET"),
    ('A', "ALTER SYSTEM"),
];

/// The grantee and the letters of one `aclitem`: `"we""ird"=r*w/owner`.
fn split(item: &str) -> Option<(String, &str)> {
    if let Some(rest) = item.strip_prefix('"') {
        let mut name = String::new();
        let mut chars = rest.char_indices().peekable();
        while let Some((i, c)) = chars.next() {
            match c {
                '"' if chars.peek().is_some_and(|(_, n)| *n == '"') => {
                    chars.next();
                    name.push('"');
                }
                '"' => return Some((name, rest[i + 1..].strip_prefix('=')?)),
                c => name.push(c),
            }
        }
        return None;
    }
    let (name, rest) = item.split_once('=')?;
    Some((name.to_owned(), rest))
}

/// Reads an acl whose object belongs to `owner`.
pub fn parse(items: &[String], owner: Option<&str>) -> Privileges {
    let mut privileges = Privileges::new();
    for (grantee, rest) in items.iter().filter_map(|i| split(i)) {
        let key = match grantee.as_str() {
            "" => PUBLIC.to_owned(),
            name if Some(name) == owner => OWNER.to_owned(),
            name => name.to_owned(),
        };
        let letters = rest.split('/').next().unwrap_or_default();
        let set = privileges.entry(key).or_default();
        let mut chars = letters.chars().peekable();
        while let Some(c) = chars.next() {
            let star = chars.next_if_eq(&'*').map_or("", |_| "*");
            if let Some((_, word)) = LETTERS.iter().find(|(l, _)| *l == c) {
                set.insert(format!("{word}{star}"));
            }
        }
    }
    privileges.retain(|_, set| !set.is_empty());
    privileges
}

/// What to grant on and how: the object's words and, for columns, the column list that follows each privilege.
pub struct Target {
    /// `TABLE public.users`, or `TABLES` for default privileges.
    pub on: String,
    /// ` (email)` for a column, else empty.
    pub columns: String,
    /// The owner's role name, for grants and revokes to the owner.
    pub owner: String,
    /// All privileges that exist for this class, so that ALL can be written.
    pub all: BTreeSet<String>,
}

fn grantee(name: &str, target: &Target) -> String {
    match name {
        OWNER => ident(&target.owner),
        PUBLIC => "PUBLIC".to_owned(),
        role => ident(role),
    }
}

fn list(privileges: &BTreeSet<String>, target: &Target) -> String {
    if target.columns.is_empty() && !target.all.is_empty() && *privileges == target.all {
        return "ALL".to_owned();
    }
    let ordered = LETTERS.iter().filter(|(_, w)| privileges.contains(*w));
    ordered.map(|(_, w)| format!("{w}{}", target.columns)).collect::<Vec<_>>().join(", ")
}

fn bare(set: &BTreeSet<String>) -> BTreeSet<String> {
    set.iter().map(|p| p.trim_end_matches('*').to_owned()).collect()
}

fn starred(set: &BTreeSet<String>) -> BTreeSet<String> {
    set.iter().filter(|p| p.ends_with('*')).map(|p| p.trim_end_matches('*').to_owned()).collect()
}

/// The statements that lead from `old` to `new`; revokes first.
pub fn changes(old: &Privileges, new: &Privileges, target: &Target) -> Vec<String> {
    let none = BTreeSet::new();
    let (mut revokes, mut grants) = (Vec::new(), Vec::new());
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let (before, after) = (old.get(name).unwrap_or(&none), new.get(name).unwrap_or(&none));
        let (to, on) = (grantee(name, target), &target.on);
        let gone: BTreeSet<String> = bare(before).difference(&bare(after)).cloned().collect();
        if !gone.is_empty() {
            revokes.push(format!("REVOKE {} ON {on} FROM {to}", list(&gone, target)));
        }
        let option_gone: BTreeSet<String> =
            starred(before).difference(&starred(after)).filter(|p| bare(after).contains(*p)).cloned().collect();
        if !option_gone.is_empty() {
            revokes.push(format!("REVOKE GRANT OPTION FOR {} ON {on} FROM {to}", list(&option_gone, target)));
        }
        let option_added: BTreeSet<String> = starred(after).difference(&starred(before)).cloned().collect();
        let added: BTreeSet<String> =
            bare(after).difference(&bare(before)).filter(|p| !option_added.contains(*p)).cloned().collect();
        if !added.is_empty() {
            grants.push(format!("GRANT {} ON {on} TO {to}", list(&added, target)));
        }
        if !option_added.is_empty() {
            grants.push(format!("GRANT {} ON {on} TO {to} WITH GRANT OPTION", list(&option_added, target)));
        }
    }
    revokes.into_iter().chain(grants).collect()
}

/// Who may do more or less on `what` under the new list than under the old one, as sentences.
pub fn effects(what: &str, old: &Privileges, new: &Privileges, owner: &str) -> Vec<Effect> {
    let none = BTreeSet::new();
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        let (before, after) = (old.get(name).unwrap_or(&none), new.get(name).unwrap_or(&none));
        let who = match name.as_str() {
            OWNER => ident(owner),
            PUBLIC => "PUBLIC".to_owned(),
            role => ident(role),
        };
        let words = |list: BTreeSet<String>| {
            let ordered = LETTERS.iter().map(|(_, w)| *w).filter(|w| list.contains(*w)).collect::<Vec<_>>().join(", ");
            Some(ordered).filter(|o| !o.is_empty())
        };
        let less = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<BTreeSet<_>>();
        let (gained, lost) = (less(&bare(after), &bare(before)), less(&bare(before), &bare(after)));
        let passes = less(&starred(after), &starred(before));
        let no_longer: BTreeSet<String> = less(&less(&starred(before), &starred(after)), &lost);
        found.extend(words(gained).map(|w| Effect::GivesRights(format!("{who} may {w} on {what}"))));
        found.extend(words(passes).map(|w| Effect::GivesRights(format!("{who} may let others {w} on {what}"))));
        found.extend(words(lost).map(|w| Effect::TakesRights(format!("{who} may no longer {w} on {what}"))));
        found.extend(words(no_longer).map(|w| Effect::TakesRights(format!("{who} may no longer let others {w} on {what}"))));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(items: &[&str]) -> Privileges {
        parse(&items.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(), Some("app"))
    }

    #[test]
    fn hostile_names_are_read() {
        let read = acl(&["app=arwd/app", "=r/app", "\"we\"\"i=rd\"=r*w/app"]);
        assert_eq!(read.keys().collect::<Vec<_>>(), [OWNER, PUBLIC, "we\"i=rd"]);
        assert!(read["we\"i=rd"].contains("SELECT*"));
    }

    #[test]
    fn grants_and_revokes_lead_from_one_to_the_other() {
        let target = Target { on: "TABLE t".into(), columns: String::new(), owner: "app".into(), all: BTreeSet::new() };
        let sql = changes(&acl(&["=r/app", "bob=r*w/app"]), &acl(&["bob=ra/app", "eve=r*/app"]), &target);
        assert_eq!(
            sql,
            [
                "REVOKE UPDATE ON TABLE t FROM bob",
                "REVOKE GRANT OPTION FOR SELECT ON TABLE t FROM bob",
                "REVOKE SELECT ON TABLE t FROM PUBLIC",
                "GRANT INSERT ON TABLE t TO bob",
                "GRANT SELECT ON TABLE t TO eve WITH GRANT OPTION",
            ]
        );
    }
}
