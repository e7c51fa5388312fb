//! The form that every kind's query has, so that one runner reads them all.

use std::borrow::Cow;

/// OIDs below this one belong to the system (`FirstNormalObjectId`).
pub const SYSTEM_OID: u32 = 16384;

/// SQL fragments of one kind's query; aliases are the kind's own.
pub struct Query {
    /// The catalog table, such as `pg_class`.
    pub catalog: &'static str,
    /// The object's OID.
    pub oid: &'static str,
    /// The sub-object's number; `0` for whole objects.
    pub sub: &'static str,
    /// The parts of the name, comma-separated.
    pub name: &'static str,
    /// The argument types as `text[]`, for routines.
    pub args: Option<&'static str>,
    /// Catalog table, OID and number of what it is part of.
    pub parent: Option<(&'static str, &'static str, &'static str)>,
    /// The owner's OID.
    pub owner: Option<&'static str>,
    /// The acl column and the type letter for `acldefault`.
    pub acl: Option<(&'static str, char)>,
    /// Key and value pairs for `json_build_object`; nulls are left out.
    pub definition: Cow<'static, str>,
    /// For kinds of many objects: a condition, and the few pairs that say it all where it holds. Building all of them for
    /// every row is what reading would take longest for.
    pub plain: Option<(Cow<'static, str>, &'static str)>,
    /// The same, for what is never compared.
    pub detail: Cow<'static, str>,
    /// As `plain`, for `detail`.
    pub plain_detail: Option<(&'static str, &'static str)>,
    /// Everything from FROM on.
    pub from: Cow<'static, str>,
}

impl Query {
    /// A query over `catalog` with nothing set but where rows come from.
    pub fn over(catalog: &'static str, oid: &'static str, name: &'static str, from: impl Into<Cow<'static, str>>) -> Query {
        Query {
            catalog,
            oid,
            sub: "0",
            name,
            args: None,
            parent: None,
            owner: None,
            acl: None,
            definition: "".into(),
            plain: None,
            detail: "".into(),
            plain_detail: None,
            from: from.into(),
        }
    }

    /// The whole statement: one row per object.
    pub fn sql(&self) -> String {
        let parent = match self.parent {
            Some((catalog, oid, sub)) => format!("'pg_catalog.{catalog}'::regclass::oid, {oid}, {sub}::int4"),
            None => "NULL::oid, NULL::oid, NULL::int4".to_owned(),
        };
        let owner = self.owner.map_or("NULL::text".to_owned(), |o| format!("pg_get_userbyid({o})::text"));
        let acl = match self.acl {
            Some((acl, letter)) => match self.owner {
                Some(owner) => format!("{acl}::text[], acldefault('{letter}', {owner})::text[]"),
                // Parts have rights of their own only where somebody gave some.
                None => format!("{acl}::text[], CASE WHEN {acl} IS NOT NULL THEN acldefault('{letter}', 10::oid)::text[] END"),
            },
            None => "NULL::text[], NULL::text[]".to_owned(),
        };
        format!(
            "SELECT '{catalog}'::regclass::oid, {oid}, {sub}::int4, ARRAY[{name}]::text[], {args}::text[], {parent}, {owner}, {acl}, \
             {definition}, {detail}\n{from}",
            catalog = self.catalog,
            oid = self.oid,
            sub = self.sub,
            name = self.name,
            args = self.args.unwrap_or("NULL"),
            definition = self.definition(),
            detail = self.detail_object(),
            from = self.from,
        )
    }

    fn definition(&self) -> String {
        either(self.plain.as_ref().map(|(condition, few)| (&**condition, *few)), &self.definition)
    }

    fn detail_object(&self) -> String {
        if self.detail.is_empty() { "NULL::json".to_owned() } else { either(self.plain_detail, &self.detail) }
    }

    /// Sets the definition.
    pub fn define(self, definition: impl Into<Cow<'static, str>>) -> Query {
        Query { definition: definition.into(), ..self }
    }

    /// Sets the detail.
    pub fn detail(self, detail: impl Into<Cow<'static, str>>) -> Query {
        Query { detail: detail.into(), ..self }
    }

    /// Sets the owner and the acl.
    pub fn owned(self, owner: &'static str, acl: &'static str, letter: char) -> Query {
        Query { owner: Some(owner), acl: Some((acl, letter)), ..self }
    }

    /// Sets what the object is part of.
    pub fn part_of(self, catalog: &'static str, oid: &'static str) -> Query {
        Query { parent: Some((catalog, oid, "0")), ..self }
    }
}

/// What one look at the catalogs tells: the sorts of relations, routines, types and constraints that somebody has made.
pub const LOOK: &str = "(SELECT ARRAY(SELECT relkind FROM pg_class WHERE oid >= 16384 GROUP BY relkind) AS relations, \
     ARRAY(SELECT prokind FROM pg_proc WHERE oid >= 16384 GROUP BY prokind) AS routines, \
     ARRAY(SELECT typtype FROM pg_type WHERE oid >= 16384 GROUP BY typtype) AS types, \
     ARRAY(SELECT contype FROM pg_constraint WHERE oid >= 16384 GROUP BY contype) AS constraints OFFSET 0) look";

/// Whether any table has heirs or partitions.
pub const HEIRS: &str = "EXISTS (SELECT FROM pg_inherits)";

/// An object of all pairs, or of few where a condition holds.
fn either(plain: Option<(&str, &str)>, pairs: &str) -> String {
    match plain {
        Some((condition, few)) => {
            format!("CASE WHEN {condition} THEN json_build_object({few}) ELSE json_build_object({pairs}) END")
        }
        None => format!("json_build_object({pairs})"),
    }
}
