//! What plumb knows of each kind of object: one file per kind, one list of them all.
//!
//! A kind is data: a query that reads it, a table that says what a change of each field costs, and functions that write its
//! statements. Nothing outside this folder knows any kind. A new kind is one file here, one `mod` line and one in [`KINDS`].

use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;

use crate::catalog::{Catalog, Id, Object};
use crate::statement::{Effect, Statement};

mod analyze;
mod bounds;
mod carried;
mod constraint;
mod cost;
mod effects;
mod exchange;
mod exchange_users;
mod fill;
mod generated;
mod held;
mod identity;
mod like;
mod not_null;
pub mod privileges;
pub mod quarantine;
mod query;
mod relation;
mod rename;
mod retype;
mod row_checks;
mod rows;
mod space;
#[cfg(test)]
mod tests;
mod twin;
mod type_change;

mod aggregate;
mod attribute;
mod check;
mod collation;
mod column;
mod comment;
mod composite_type;
mod constraint_index;
mod default;
mod default_privileges;
mod domain;
mod domain_constraint;
mod enum_type;
mod event_trigger;
mod exclusion;
mod extension;
mod foreign_key;
mod function;
pub(crate) mod grant;
mod identity_sequence;
mod index;
mod index_partition;
mod materialized_view;
mod owner;
mod partition;
mod policy;
mod primary_key;
mod procedure;
mod range_type;
mod rule;
mod schema;
mod sequence;
mod sequence_owner;
mod statistics;
mod table;
mod trigger;
mod unique;
mod view;
mod view_column;

pub use carried::{Carried, carries, forgets, is_remade, passes_over};
pub use comment::{object as comment_object, on_table};
pub use cost::{Cost, Field, expression, field};
pub use grant::object as grant_object;
pub use held::{held_over, is_held, is_made_of_types, is_of_type};
pub use index::finished;
pub use like::columns_from;
pub use owner::object as owner_object;
pub use partition::{above, attached, detaching, identity_from, lacking_identity, lost_with, referring_in_parts};
pub use query::{HEIRS, LOOK, Query, SYSTEM_OID};
pub use relation::waits_as_text;
pub use rename::{LABEL, Renaming, bearer, has, is_renamed, moved, moves, parts_with_names, rename, turn};
pub use rows::{ASIDE, Kept};
pub use schema::fresh;
pub use sequence_owner::{of_table as sequences_of_table, owning_column};
pub use space::{Space, names};
pub use twin::{alike, likeness_in_tree};

/// Every kind, in the order in which objects without any dependency between them are made.
pub static KINDS: &[&Kind] = &[
    &schema::KIND,
    &extension::KIND,
    &collation::KIND,
    &enum_type::KIND,
    &composite_type::KIND,
    &attribute::KIND,
    &range_type::KIND,
    &domain::KIND,
    &domain_constraint::KIND,
    &sequence::KIND,
    &function::KIND,
    &procedure::KIND,
    &aggregate::KIND,
    &table::KIND,
    &column::KIND,
    &identity_sequence::KIND,
    &default::KIND,
    &sequence_owner::KIND,
    &primary_key::KIND,
    &unique::KIND,
    &check::KIND,
    &exclusion::KIND,
    &constraint_index::KIND,
    &index::KIND,
    &partition::KIND,
    &index_partition::KIND,
    &foreign_key::KIND,
    &statistics::KIND,
    &view::KIND,
    &materialized_view::KIND,
    &view_column::KIND,
    &rule::KIND,
    &trigger::KIND,
    &policy::KIND,
    &owner::KIND,
    &grant::KIND,
    &comment::KIND,
    &default_privileges::KIND,
    &event_trigger::KIND,
];

/// How an object is made when what it is part of is made too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Absorbed {
    /// It has a step of its own.
    Never,
    /// It stands inside the parent's CREATE.
    Inside,
    /// Its statements follow the parent's in the same step.
    After,
}

/// Both sides of a plan, as the functions of a kind see them.
pub struct Context<'a> {
    /// The database as it is.
    pub live: &'a Catalog,
    /// The database as it is wanted.
    pub desired: &'a Catalog,
    /// Parts that stand inside the CREATE that is being written.
    pub absorbed: &'a BTreeSet<Id>,
}

impl Context<'_> {
    /// Whether a name is taken, before or after, among the relations of a schema that have addresses of their own.
    pub fn is_relation(&self, schema: &str, name: &str) -> bool {
        let sides = [self.live, self.desired];
        let is = |class: &str| sides.iter().any(|side| side.contains(&Id::new(class, [schema, name])));
        ["index", "table", "view", "materialized view", "sequence"].into_iter().any(is)
    }

    /// The elements of `parent`'s CREATE: the absorbed parts of it that write themselves as elements.
    pub fn elements(&self, parent: &Id) -> Vec<String> {
        let mut parts: Vec<&Object> = self.desired.children(parent).filter(|c| self.absorbed.contains(&c.id)).collect();
        parts.sort_by_key(|c| {
            let position = c.detail.get("position").and_then(Value::as_i64);
            (rank(c.id.class()), position, c.id.clone())
        });
        let elements = parts.into_iter().filter_map(|c| of(&c.id).element.and_then(|element| element(self, c)));
        elements.filter(|e| !e.is_empty()).collect()
    }
}

/// Carries the rows of an object over from the relations that hold them.
pub type KeepRows = fn(&Context, &Id, from: &[Id]) -> Option<Kept>;

/// The longer ways to make, change and remove an object of a table that holds rows, in which others can go on with their work: what
/// takes long holds no lock that they wait for. No statements means that there is no such way for this object.
#[derive(Clone, Copy)]
pub struct Online {
    /// What is built is built under this name, which is the object's own or, while another one has that, a free one.
    pub create: fn(&Context, &Object, name: &str) -> Vec<Statement>,
    /// Whether it can be built beside the one that it replaces, and put in its place in an instant.
    pub beside: bool,
    /// Whether what takes long comes before the object stands, and not after.
    pub before: bool,
    /// As `alter` of the kind.
    pub alter: fn(&Context, old: &Object, new: &Object, changed: &[String]) -> Vec<Statement>,
    /// As `drop` of the kind.
    pub drop: fn(&Context, &Object) -> Vec<Statement>,
}

/// No online forms.
const NOT_ONLINE: Online = Online {
    create: |_, _, _| Vec::new(),
    beside: false,
    before: false,
    alter: |_, _, _, _| Vec::new(),
    drop: |_, _| Vec::new(),
};

/// Everything that is known of one kind.
pub struct Kind {
    /// The class in PostgreSQL's words; the first part of every address of this kind.
    pub class: &'static str,
    /// How its objects are read from a server of this version; satellites come with the objects that they belong to.
    pub query: Option<fn(version: u32) -> Query>,
    /// A condition over [`LOOK`] without which the query finds nothing: planning it would cost more than finding nothing does.
    pub present: &'static str,
    /// Refuses a definition that is not of this kind.
    pub check: fn(&Object) -> Result<(), String>,
    /// What a change of each field costs. A field that is not listed cannot be read.
    pub fields: &'static [Field],
    /// Statements that make the object.
    pub create: fn(&Context, &Object) -> Vec<Statement>,
    /// Statements that change the named fields in place.
    pub alter: fn(&Context, old: &Object, new: &Object, changed: &[String]) -> Vec<Statement>,
    /// For a type that is made of others: statements that make it anew under its name, since one of those is.
    pub remake: fn(&Context, old: &Object, new: &Object) -> Vec<Statement>,
    /// Statements that remove the object.
    pub drop: fn(&Context, &Object) -> Vec<Statement>,
    /// The online forms of these three; none where the direct form is all there is.
    pub online: Online,
    /// The object as an element of its parent's CREATE.
    pub element: Option<fn(&Context, &Object) -> Option<String>>,
    /// Statements for what an element cannot say; they follow the parent's CREATE.
    pub beyond_element: fn(&Object) -> Vec<Statement>,
    /// How it is made together with its parent.
    pub absorbed: Absorbed,
    /// The name spaces that it occupies.
    pub spaces: &'static [Space],
    /// Whether the server carries it along when the type of a column that it uses changes from `old` to `new`.
    pub carried: Carried,
    /// Whether it holds rows: it is never dropped as a mere part of something else.
    pub holds_rows: bool,
    /// Whether it holds nothing but its definition and gives no name to rows: it may be dropped and made again.
    pub only_definition: bool,
    /// For a satellite: what a new object has of it before anybody says so (its creator owns it).
    pub state: Option<fn(live: &Catalog, target: &Object) -> Option<Object>>,
    /// Whether the object that it is part of goes away together with what this one uses (a sequence with the column that owns it).
    pub ties_parent: bool,
    /// Whether a member that a child table has from its parent is made by making the parent's; otherwise the child's own
    /// must stand first, and the server joins the two.
    pub made_by_parent: bool,
    /// A query for dependencies that `pg_depend` does not hold: members that a child table has from its parent. Two
    /// addresses by catalog, OID and number: the child's and the parent's.
    pub inherited: Option<&'static str>,
    /// Whether what it is part of makes and drops it: it has no statements of its own.
    pub made_with_whole: bool,
    /// Whether it has an owner of its own; otherwise its query gives that of what it is part of, for the sake of its rights.
    pub has_owner: bool,
    /// The classes whose replacement takes it along; all of them when none are named.
    pub rests_on: &'static [&'static str],
    /// How its rows are saved from these relations while it is made anew; none when there are none to save.
    pub keep_rows: Option<KeepRows>,
    /// How it gets another name.
    pub renaming: Renaming,
    /// The object in COMMENT ON.
    pub comment: fn(&Id) -> String,
    /// What a change from one side to the other means for rights and for code that runs; none is what is not there.
    pub effects: fn(&Context, old: Option<&Object>, new: Option<&Object>) -> Vec<Effect>,
    /// The roles that the definition names.
    pub roles: fn(&Object) -> Vec<String>,
}

impl Kind {
    /// The field with this name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|f| f.name == name)
    }
}

/// The defaults of a kind: everything that most kinds leave as it is.
pub const BASE: Kind = Kind {
    class: "",
    query: None,
    present: "true",
    check: |_| Ok(()),
    fields: &[],
    create: |_, _| Vec::new(),
    alter: |_, _, _, _| Vec::new(),
    remake: |_, _, _| Vec::new(),
    drop: |_, _| Vec::new(),
    online: NOT_ONLINE,
    element: None,
    beyond_element: |_| Vec::new(),
    absorbed: Absorbed::Never,
    spaces: &[],
    carried: Carried::Never,
    holds_rows: false,
    only_definition: false,
    state: None,
    ties_parent: false,
    made_by_parent: false,
    inherited: None,
    roles: |_| Vec::new(),
    made_with_whole: false,
    has_owner: true,
    rests_on: &[],
    keep_rows: None,
    renaming: Renaming::Never,
    comment: |id| format!("{} {}", id.class().to_uppercase(), id.sql()),
    effects: |_, _, _| Vec::new(),
};

/// The kind of a class.
pub fn find(class: &str) -> Option<&'static Kind> {
    KINDS.iter().copied().find(|k| k.class == class)
}

/// The kind of an object.
///
/// # Panics
/// When the class is in no list; [`check`] has refused such objects before.
pub fn of(id: &Id) -> &'static Kind {
    find(id.class()).unwrap_or_else(|| panic!("{id} is of no kind that plumb knows"))
}

/// Every role that a catalog names: owners, grantees, those of policies and default privileges.
pub fn roles(catalog: &Catalog) -> BTreeSet<String> {
    let named = catalog.objects().flat_map(|o| (of(&o.id).roles)(o));
    named.filter(|r| !r.is_empty() && r != privileges::PUBLIC && !r.starts_with("pg_")).collect()
}

/// The place of a class in [`KINDS`]; unknown ones come last.
pub fn rank(class: &str) -> usize {
    KINDS.iter().position(|k| k.class == class).unwrap_or(KINDS.len())
}

/// Refuses an object whose class or fields no kind knows.
///
/// # Errors
/// A sentence that names the object and what is wrong with it.
pub fn check(object: &Object) -> Result<(), String> {
    let kind = find(object.id.class()).ok_or_else(|| format!("{} is of no kind that plumb knows", object.id))?;
    if let Some(key) = object.definition.keys().find(|k| kind.field(k).is_none()) {
        return Err(format!("{} has a field \"{key}\" that its kind does not know", object.id));
    }
    (kind.check)(object)
}

/// A `check` for a kind whose definition is the struct `T`.
fn reads_as<T: DeserializeOwned>(object: &Object) -> Result<(), String> {
    T::deserialize(&object.definition).map(drop).map_err(|e| format!("definition of {} cannot be read: {e}", object.id))
}
