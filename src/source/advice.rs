//! What to do about a name that is not there: what looks alike, and which extension brings it.

use super::files::Place;
use super::name::{Class, Name};
use super::read::Statement;
use crate::sql;
use pg_query::protobuf::AlterTableType;
use pg_query::{Node, NodeEnum};
use std::cell::Cell;
use std::collections::BTreeSet;
use tokio_postgres::Client;

/// Well-known names and the extension they come with.
const PROVIDERS: &[(&str, &[&str])] = &[
    ("citext", &["citext"]),
    ("hstore", &["hstore", "akeys", "hstore_to_json", "hstore_to_jsonb"]),
    ("ltree", &["ltree", "lquery", "ltxtquery", "subpath", "nlevel"]),
    ("vector", &["vector", "halfvec", "sparsevec", "cosine_distance", "l2_distance", "vector_cosine_ops", "vector_l2_ops"]),
    (
        "postgis",
        &["geometry", "geography", "box2d", "box3d", "st_makepoint", "st_setsrid", "st_point", "st_distance", "st_dwithin"],
    ),
    ("uuid-ossp", &["uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v3", "uuid_generate_v4", "uuid_generate_v5"]),
    ("pgcrypto", &["gen_salt", "crypt", "digest", "hmac", "gen_random_bytes", "pgp_sym_encrypt", "pgp_sym_decrypt"]),
    ("pg_trgm", &["gin_trgm_ops", "gist_trgm_ops", "similarity", "word_similarity", "show_trgm"]),
    ("unaccent", &["unaccent"]),
    ("cube", &["cube"]),
    ("seg", &["seg"]),
    ("isn", &["isbn", "isbn13", "issn", "ean13", "upc"]),
    ("intarray", &["query_int", "gin__int_ops", "gist__int_ops"]),
    ("btree_gist", &["gist_int4_ops", "gist_uuid_ops", "gist_text_ops"]),
    ("earthdistance", &["earth", "ll_to_earth", "earth_distance", "earth_box"]),
    ("fuzzystrmatch", &["levenshtein", "soundex", "metaphone", "dmetaphone"]),
    ("tablefunc", &["crosstab", "connectby", "normal_rand"]),
    ("moddatetime", &["moddatetime"]),
    ("lo", &["lo", "lo_manage"]),
    ("dblink", &["dblink", "dblink_connect", "dblink_exec"]),
];

/// What to do when the shadow server does not have an extension.
pub const NO_EXTENSION: &str = "install the package that brings it on the machine of the shadow server, or give plumb a server that has it \
                            with --shadow URL (the target's own server with --shadow target)";

/// What to do when a table is refused as a partition or an heir of another one, since the two do not fit (`MergeAttributesIntoExisting` and
/// `MergeConstraintsIntoExisting` in tablecmds.c). The SQLSTATE is that of bounds of a wrong type, too.
pub fn heir(node: &NodeEnum, message: &str) -> Option<String> {
    let NodeEnum::AlterTableStmt(s) = node else { return None };
    if !["child table ", "not found in parent "].iter().any(|words| message.contains(words)) {
        return None;
    }
    let command = |node: &Node| match &node.node {
        Some(NodeEnum::AlterTableCmd(c)) => Some(c.subtype()),
        _ => None,
    };
    let (has, form) = s.cmds.iter().filter_map(command).find_map(|kind| match kind {
        AlterTableType::AtAttachPartition => Some((
            "a partition has all columns, NOT NULLs and checks of its parent, and no other columns",
            "CREATE TABLE ... PARTITION OF ... FOR VALUES ...",
        )),
        AlterTableType::AtAddInherit => {
            Some(("an heir has all columns, NOT NULLs and checks of its parent", "CREATE TABLE ... (...) INHERITS (...)"))
        }
        _ => None,
    })?;
    Some(format!("{has}: write what is missing into this table, too, or let it take that over, written as {form}"))
}

/// The extension that a name comes with.
pub fn provider(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    PROVIDERS.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(e, _)| *e)
}

/// What the server and the files have, for advice.
pub struct Known {
    extensions: BTreeSet<String>,
    names: Vec<(Name, Option<Place>)>,
    asked: Cell<usize>,
}

/// Names for which one that looks alike is looked for: far more than errors that are shown, far less than a broken schema can have.
const ASKED: usize = 300;

const NAMES: &str = "
SELECT 'r', n.nspname::text, c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f', 'S') AND n.nspname !~ '^pg_toast'
UNION ALL SELECT 't', n.nspname, t.typname FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE t.typelem = 0 AND t.typrelid = 0
UNION ALL SELECT DISTINCT 'f', n.nspname, p.proname FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
UNION ALL SELECT 's', '', nspname FROM pg_catalog.pg_namespace";

impl Known {
    /// Reads what is there. What cannot be read gives no advice.
    pub async fn read(client: &Client, statements: &[Statement]) -> Known {
        let available = client.query("SELECT name::text FROM pg_catalog.pg_available_extensions", &[]).await.unwrap_or_default();
        let rows = client.query(NAMES, &[]).await.unwrap_or_default();
        let class = |letter: &str| match letter {
            "r" => Class::Relation,
            "t" => Class::Type,
            "f" => Class::Routine,
            _ => Class::Schema,
        };
        let server = rows.iter().map(|r| {
            let parts: [String; 2] = [r.get(1), r.get(2)];
            (Name::new(class(r.get(0)), parts.into_iter().filter(|p| !p.is_empty())), None)
        });
        let defined = statements.iter().flat_map(|s| &s.hints.defines).map(|d| (d.name.bare(), Some(d.place.clone())));
        Known {
            extensions: available.iter().map(|r| r.get(0)).collect(),
            names: defined.chain(server).collect(),
            asked: Cell::new(0),
        }
    }

    /// What to do about a name of this class that is missing.
    pub fn missing(&self, class: Class, base: &str) -> Option<String> {
        match class {
            Class::Type | Class::Routine => self.provided(base).or_else(|| self.near(class, base)),
            Class::Schema => {
                let create = || format!("add\n  CREATE SCHEMA {};\nto the schema files", sql::ident(base));
                Some(self.near(class, base).unwrap_or_else(create))
            }
            _ => self.near(class, base),
        }
    }

    /// How to have what an extension brings.
    pub fn provided(&self, base: &str) -> Option<String> {
        provider(base).map(|extension| self.advice(extension))
    }

    fn advice(&self, extension: &str) -> String {
        let create = format!("CREATE EXTENSION {};", sql::ident(extension));
        if self.extensions.contains(extension) {
            format!(
                "{extension} is an extension that the shadow server has: add\n  {create}\nto the schema files, for instance in extensions.sql"
            )
        } else {
            format!("it comes with the extension {extension} ({create}), which the shadow server does not have: {NO_EXTENSION}")
        }
    }

    /// A name of the class that looks alike; one of the files rather than one of the server.
    fn near(&self, class: Class, base: &str) -> Option<String> {
        self.asked.set(self.asked.get() + 1);
        if self.asked.get() > ASKED {
            return None;
        }
        let near = base.len().div_ceil(4) + 2;
        let of_class = self.names.iter().filter(|(n, _)| n.class == class && n.base().len().abs_diff(base.len()) <= near);
        let alike = of_class.filter_map(|(n, place)| Some((distance(n, place.is_none(), base)?, place.is_none(), n)));
        let (_, _, best) = alike.min()?;
        let shown = match best.parts.as_slice() {
            // the same name elsewhere: say where
            parts if best.base() == base => sql::qualified(parts),
            parts => sql::ident(parts.last()?),
        };
        Some(format!("did you mean {shown}?"))
    }

    /// The other places in the files that define what this statement defines.
    pub fn elsewhere(&self, statement: &Statement) -> Option<(Place, String)> {
        let mine = statement.hints.defines.first()?;
        let same = |(n, p): &&(Name, Option<Place>)| *n == mine.name.bare() && p.as_ref().is_some_and(|p| *p != mine.place);
        self.names.iter().find(same).and_then(|(_, p)| p.clone()).map(|p| (p, "also defined here".to_owned()))
    }
}

/// How many letters apart two names are; none if that is too far to have been meant. Between names of one or two letters that is
/// any letter, and the server has names by the thousand, so that one of them is always near.
fn distance(name: &Name, server: bool, base: &str) -> Option<usize> {
    let letters = name.base().chars().count().max(base.chars().count());
    let most = match letters {
        0..=2 => 0,
        _ if server => letters / 5,
        _ => letters.div_ceil(4),
    };
    let apart = strsim::damerau_levenshtein(&name.base().to_lowercase(), &base.to_lowercase());
    (apart <= most).then_some(apart)
}
