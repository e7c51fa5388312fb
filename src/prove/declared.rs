//! The directives `-- plumb: renamed from`: what of the wanted schema they stand above, and what is wrong with one in words.

use crate::catalog::{Catalog, Id};
use crate::change::{Asked, Wrong};
use crate::kind;
use crate::source::directive::{Directive, Order};
use crate::source::name::{Class, Name, base_type, of_class};
use crate::source::{Problem, old_name};

/// What the files declare of names.
#[derive(Default)]
pub struct Declared<'a> {
    /// The directives; `by` of [`Asked`] is a place in this list.
    pub directives: Vec<&'a Directive>,
    /// What they ask for.
    pub asked: Vec<Asked>,
}

/// What of the wanted schema the directives are about.
///
/// # Errors
/// Those above what nothing can rename, and old names that are none.
pub fn declared<'a>(directives: &'a [Directive], wanted: &Catalog) -> Result<Declared<'a>, Vec<Problem>> {
    let mut found = Declared::default();
    let mut problems = Vec::new();
    for directive in directives {
        let Order::RenamedFrom(old) = &directive.order else { continue };
        let by = found.directives.len();
        match asked(directive, old, wanted) {
            Ok((new, old)) => found.asked.push(Asked { new, old, by, once: false }),
            Err(problem) => problems.push(*problem),
        }
        found.directives.push(directive);
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

fn asked(directive: &Directive, old: &str, wanted: &Catalog) -> Result<(Id, Id), Box<Problem>> {
    let wrong = |message: String, label: &str, help: &str| {
        Box::new(Problem::at("source::rename", directive.place.clone(), message, label).help(help))
    };
    let name = directive.names.first();
    let Some(new) = name.and_then(|name| object(name, wanted)).filter(|id| kind::is_renamed(id.class())) else {
        let what = name.map_or(String::new(), |n| crate::sql::qualified(&n.parts));
        let message = format!("nothing gives another name to {what}");
        return Err(wrong(message, "what stands below it cannot be renamed", "remove the directive"));
    };
    let Some(parts) = old_name::parts(old) else {
        let help = "write the old name as in SQL, quoted where it has capitals or blanks: renamed from old_name";
        return Err(wrong(format!("{old} is no name"), "a name is expected", help));
    };
    let own = new.name();
    let (name, schema) = match parts.as_slice() {
        [name] => (name, None),
        [schema, name] if kind::moves(new.class()) => (name, Some(schema)),
        _ => {
            let help =
                "write the old name alone: it was in the same place; what a table takes along to another schema comes with it";
            return Err(wrong(format!("{new} cannot come from elsewhere"), "too many parts", help));
        }
    };
    let mut address: Vec<String> = own.to_vec();
    if let Some(last) = address.last_mut() {
        last.clone_from(name);
    }
    if let (Some(schema), Some(first)) = (schema, address.first_mut()) {
        first.clone_from(schema);
    }
    Ok((new.clone(), new.with_name(address)))
}

/// The object of a catalog that a statement's name means.
fn object(name: &Name, wanted: &Catalog) -> Option<Id> {
    if name.class == Class::Label {
        let label = Id::new(kind::LABEL, name.parts.iter().cloned());
        return kind::has(wanted, &label).then_some(label);
    }
    let attribute = Id::new("attribute", name.parts.iter().cloned());
    if name.class == Class::Column && kind::has(wanted, &attribute) {
        return Some(attribute);
    }
    let classes = kind::KINDS.iter().map(|k| k.class).filter(|c| of_class(c) == name.class && kind::is_renamed(c));
    if name.class != Class::Routine {
        return classes.map(|class| Id::new(class, name.parts.iter().cloned())).find(|id| wanted.contains(id));
    }
    let routines: Vec<&Id> =
        wanted.objects().map(|o| &o.id).filter(|id| of_class(id.class()) == Class::Routine && id.name() == name.parts).collect();
    let fits = |id: &&&Id| id.args().iter().map(|a| base_type(a)).eq(name.args.iter().cloned());
    match routines.as_slice() {
        [one] => Some((*one).clone()),
        several => several.iter().find(fits).map(|id| (*id).clone()),
    }
}

/// What is wrong in words: the sentence, what stands at the place, and what to do; with the other one of two.
pub fn words(wrong: &Wrong, asked: &Asked) -> (String, &'static str, &'static str) {
    let (old, new) = (&asked.old, &asked.new);
    match wrong {
        Wrong::Missing(_) => (
            format!("neither {old} nor {new} is in the live database"),
            "there is nothing to rename",
            "correct the old name, or remove it when this is something new",
        ),
        Wrong::New(_, whole) => (
            format!("{whole} is new in the live database, so that nothing of it is renamed"),
            "there is nothing to rename",
            "say of the whole where it comes from, if that had another name before",
        ),
        Wrong::Both(_) => (
            format!("both {old} and {new} are in the live database, and only the new one is wanted"),
            "which of them is it?",
            "if the rename is done, remove this and drop the old one by the plan; if not, the new name has to be free",
        ),
        Wrong::Twice(..) => (
            format!("two objects cannot both come from {old}"),
            "said here",
            "remove one of the two: one object has one old name that is live",
        ),
        Wrong::Round(_) => (
            format!("{old} and {new} change names with each other, and they are so alike that nobody can tell whether they have"),
            "done already, or still to be done?",
            "remove the directives, and say it once on the command line: --rename a=b --rename b=a",
        ),
        Wrong::Same(_) => (format!("{new} is called so already"), "the same name", "remove it"),
    }
}

/// The place in the list that a wrong one came from, and that of the other one.
pub fn origin(wrong: &Wrong) -> (usize, Option<usize>) {
    match wrong {
        Wrong::Twice(by, other) => (*by, Some(*other)),
        Wrong::Missing(by) | Wrong::New(by, _) | Wrong::Both(by) | Wrong::Round(by) | Wrong::Same(by) => (*by, None),
    }
}
