//! The server's errors -> problems at the user's lines, with what to do about them.

use super::files::{Files, Place};
use super::lexer;
use super::name::{Class, Name};
use super::problem::{Problem, Problems};
use super::read::Statement;
use super::run::{Failure, ServerError};
use crate::sql;
use pg_query::NodeEnum;
use std::collections::BTreeSet;
use tokio_postgres::Client;

/// (SQLSTATE, how the message begins, code, words under the underlined text)
const CODES: &[(&str, &str, &str, &str)] = &[
    ("42704", "type ", "source::unknown_type", "no type of this name in any schema on the search path"),
    ("42704", "role ", "source::unknown_role", "no role of this name"),
    ("42P01", "", "source::unknown_table", "no table or view of this name in any schema on the search path"),
    ("42883", "function ", "source::unknown_function", "no function of this name that takes these arguments"),
    ("42883", "procedure ", "source::unknown_function", "no procedure of this name that takes these arguments"),
    ("42703", "", "source::unknown_column", "no column of this name"),
    ("3F000", "", "source::unknown_schema", "no schema of this name"),
    ("58P01", "could not open extension control file", "source::missing_extension", "the shadow server does not have it"),
    ("0A000", "extension ", "source::missing_extension", "the shadow server does not have it"),
    ("42P07", "", "source::duplicate", "there is one of this name already"),
    ("42710", "", "source::duplicate", "there is one of this name already"),
    ("42723", "", "source::duplicate", "there is one of this name already"),
    ("42701", "", "source::duplicate", "there is one of this name already"),
    ("42P06", "", "source::duplicate", "there is one of this name already"),
];

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

const NO_EXTENSION: &str = "install the package that brings it on the machine of the shadow server, or give plumb a server that has it \
                            with --shadow URL (the target's own server with --shadow target)";

/// All failures: the causes first, then what only follows from them.
pub async fn report(client: &Client, files: &Files, statements: &[Statement], failures: Vec<Failure>) -> Problems {
    let known = Known::read(client, statements).await;
    let failed: BTreeSet<&str> =
        failures.iter().flat_map(|f| &statements[f.item.statement].hints.defines).map(|d| d.name.base()).collect();
    let follows = |f: &Failure| missing(&f.error).is_some_and(|m| failed.contains(m.rsplit('.').next().unwrap_or(m)));
    let (following, causes): (Vec<_>, Vec<_>) = failures.iter().partition(|f| follows(f));
    let show =
        |list: Vec<&Failure>| list.into_iter().map(|f| problem(f, &statements[f.item.statement], &known)).collect::<Vec<_>>();
    // a circle of statements that wait for each other has no cause: then all are shown
    if causes.is_empty() {
        return Problems::new(files, show(following));
    }
    let mut problems = Problems::new(files, show(causes));
    problems.following = Problems::new(files, show(following)).list;
    problems
}

/// The name that the message says is missing, without quotes.
fn missing(error: &ServerError) -> Option<&str> {
    if !["42704", "42P01", "42883", "42703", "3F000"].contains(&error.code.as_str()) {
        return None;
    }
    let m = error.message.as_str();
    if let Some(call) = m.strip_prefix("function ").or_else(|| m.strip_prefix("procedure ")) {
        return call.split('(').next();
    }
    let mut quoted = m.split('"');
    match (quoted.next(), quoted.next()) {
        (_, Some(name)) => Some(name),
        // column t.c does not exist
        _ => m.strip_prefix("column ").and_then(|rest| rest.split(' ').next()),
    }
}

fn problem(failure: &Failure, statement: &Statement, known: &Known) -> Problem {
    let error = &failure.error;
    let fits = |c: &&(&str, &str, &str, &str)| c.0 == error.code && error.message.starts_with(c.1);
    let unavailable = error.code != "0A000" || error.message.contains("is not available");
    let (code, label) = match CODES.iter().find(fits).filter(|_| unavailable) {
        Some((_, _, code, label)) => (*code, (*label).to_owned()),
        None => ("source::statement", error.detail.clone().unwrap_or_else(|| "the server does not take this".to_owned())),
    };
    let mut p = Problem::at(code, place(failure, statement), error.message.clone(), label);
    p.help = help(code, error, statement, known);
    if code == "source::duplicate" {
        p.also.extend(known.elsewhere(statement));
    }
    p
}

/// Where the server points, else the name in the statement that the message is about, else what the statement defines.
fn place(failure: &Failure, statement: &Statement) -> Place {
    let file = statement.place.file;
    let token = |at: usize| {
        let end = dotted(&statement.sql, at);
        Place::new(file, statement.place.span.start + at..statement.place.span.start + end)
    };
    if let Some(at) = failure.error.at.filter(|at| !failure.item.made && *at < statement.sql.len()) {
        return token(at);
    }
    let named = missing(&failure.error).map(super::walk::identifiers).filter(|n| !n.is_empty());
    let mention = named.and_then(|n| statement.hints.requires.iter().find(|m| m.at.is_some() && ends_alike(&m.name.parts, &n)));
    match (mention.and_then(|m| m.at), statement.hints.defines.first()) {
        (Some(at), _) if at < statement.sql.len() => token(at),
        (_, Some(defined)) if failure.item.made || statement.hints.creates => defined.place.clone(),
        _ => first_line(statement),
    }
}

fn ends_alike(a: &[String], b: &[String]) -> bool {
    a.ends_with(b) || b.ends_with(a)
}

fn first_line(statement: &Statement) -> Place {
    let length = statement.sql.find('\n').unwrap_or(statement.sql.len());
    let start = statement.place.span.start;
    Place::new(statement.place.file, start..start + statement.sql[..length].trim_end().len())
}

/// The end of a name that begins at `at`, with its dots.
fn dotted(text: &str, at: usize) -> usize {
    let end_of = |at: usize| lexer::token(text, at).map_or(text.len(), |t| t.span.end);
    let mut end = end_of(at);
    while text[end..].starts_with('.') && end + 1 < text.len() {
        end = end_of(end + 1);
    }
    end
}

fn help(code: &str, error: &ServerError, statement: &Statement, known: &Known) -> Option<String> {
    let name = missing(error);
    let base = name.map(|n| n.rsplit('.').next().unwrap_or(n));
    match (code, base) {
        ("source::missing_extension", _) => Some(NO_EXTENSION.to_owned()),
        ("source::unknown_type" | "source::unknown_function" | "source::statement", Some(base))
            if known.provider(base).is_some() =>
        {
            known.provider(base).map(|extension| known.advice(extension))
        }
        ("source::unknown_schema", Some(base)) => Some(
            known
                .near(Class::Schema, base)
                .unwrap_or_else(|| format!("add\n  CREATE SCHEMA {};\nto the schema files", sql::ident(base))),
        ),
        ("source::unknown_type", Some(base)) => known.near(Class::Type, base),
        ("source::unknown_table", Some(base)) => known.near(Class::Relation, base),
        ("source::unknown_function", Some(base)) => known.near(Class::Routine, base),
        ("source::unknown_column", Some(base)) => known.near(Class::Column, base),
        _ if error.code == "42501" && statement.superuser => Some(
            "only a superuser may do this: set allow_superuser = true under [screen] in plumb.toml if you trust the files"
                .to_owned(),
        ),
        _ if error.code == "42501" && matches!(statement.node, NodeEnum::CreateExtensionStmt(_)) => {
            Some("add the extension to the list of extensions that plumb may create as superuser, in plumb.toml".to_owned())
        }
        _ => None,
    }
    .or_else(|| error.hint.clone())
}

/// What the server and the files have, for advice.
struct Known {
    extensions: BTreeSet<String>,
    names: Vec<(Name, Option<Place>)>,
}

const NAMES: &str = "
SELECT 'r', n.nspname::text, c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f', 'S') AND n.nspname !~ '^pg_toast'
UNION ALL SELECT 't', n.nspname, t.typname FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE t.typelem = 0 AND t.typrelid = 0
UNION ALL SELECT DISTINCT 'f', n.nspname, p.proname FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
UNION ALL SELECT 's', '', nspname FROM pg_catalog.pg_namespace";

impl Known {
    async fn read(client: &Client, statements: &[Statement]) -> Known {
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
        Known { extensions: available.iter().map(|r| r.get(0)).collect(), names: defined.chain(server).collect() }
    }

    /// The extension that a name comes with.
    fn provider(&self, name: &str) -> Option<&'static str> {
        let name = name.to_lowercase();
        PROVIDERS.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(e, _)| *e)
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

    /// A name of the class that looks alike.
    fn near(&self, class: Class, base: &str) -> Option<String> {
        let score = |n: &Name| strsim::jaro_winkler(n.base(), base);
        let alike = self.names.iter().map(|(n, _)| n).filter(|n| n.class == class && score(n) > 0.87);
        let best = alike.max_by(|a, b| score(a).total_cmp(&score(b)).then_with(|| b.cmp(a)))?;
        let shown = match best.parts.as_slice() {
            // the same name elsewhere: say where
            parts if best.base() == base => sql::qualified(parts),
            parts => sql::ident(parts.last()?),
        };
        Some(format!("did you mean {shown}?"))
    }

    /// The other places in the files that define what this statement defines.
    fn elsewhere(&self, statement: &Statement) -> Option<(Place, String)> {
        let mine = statement.hints.defines.first()?;
        let same = |(n, p): &&(Name, Option<Place>)| *n == mine.name.bare() && p.as_ref().is_some_and(|p| *p != mine.place);
        self.names.iter().find(same).and_then(|(_, p)| p.clone()).map(|p| (p, "also defined here".to_owned()))
    }
}
