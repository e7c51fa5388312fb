//! The allow-list: what a statement may be, decided on its parse tree.
//!
//! A pull request's SQL is untrusted. This is the second wall; the first is the loading role, which is no superuser.

use super::policy::Policy;
use super::read::{option, word};
use pg_query::NodeEnum;
use pg_query::protobuf::{self, AlterTableType, ObjectType, RoleSpecType, TransactionStmtKind, VariableSetKind};

/// What is done with an admitted statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// CREATE EXTENSION: first, and as administrator where the loading role may not.
    Extension,
    /// Defines or changes an object.
    Define,
    /// COMMENT and SECURITY LABEL: after all definitions.
    Comment,
    /// ALTER ... OWNER TO: after the comments, as administrator.
    Owner,
    /// GRANT, REVOKE, ALTER DEFAULT PRIVILEGES: last, so that the owner's rights are the owner's.
    Grant,
    /// On rows: skipped and counted, or run when the policy says so.
    Data,
    /// On roles, which belong to the cluster: not run, reported as out of scope.
    Role,
    /// Not run; the words say in a notice what it was.
    Skip(&'static str),
    /// A setting that is dropped without a word.
    Silent,
    /// SET search_path and the like: kept with the statements that follow.
    Setting,
}

/// The screen's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Admitted; true if it needs a superuser.
    Run(Action, bool),
    /// Refused.
    Refuse {
        /// What was refused, as a command: `ALTER SYSTEM`.
        what: String,
        /// Why.
        why: &'static str,
        /// What to do.
        help: &'static str,
    },
}

/// Languages in which anybody may write functions, because their code cannot leave the database.
const TRUSTED_LANGUAGES: &[&str] = &["sql", "plpgsql", "plperl", "pltcl", "plv8"];

/// Settings that a schema does not depend on: dropped.
const IDLE_SETTINGS: &[&str] = &[
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "transaction_timeout",
    "client_encoding",
    "standard_conforming_strings",
    "check_function_bodies",
    "client_min_messages",
    "row_security",
    "escape_string_warning",
    "default_with_oids",
    "default_tablespace",
    "synchronous_commit",
    "xmloption",
    "bytea_output",
    "quote_all_identifiers",
    "work_mem",
    "maintenance_work_mem",
    "application_name",
    "jit",
    "max_parallel_maintenance_workers",
];

/// Settings that change what the statements after them mean: kept with these.
pub const KEPT_SETTINGS: &[&str] = &["search_path", "default_table_access_method", "default_toast_compression"];

/// Settings that only change who the statements run as: never.
const IDENTITY_SETTINGS: &[&str] = &["role", "session_authorization"];

/// Commands that are refused, with the reason and the way out.
const CLUSTER: (&str, &str) =
    ("it changes the whole cluster, not a schema", "remove it from the schema; run it by hand where it belongs");
const SESSION: (&str, &str) = ("it has no meaning in a schema", "remove it");
const COPY: (&str, &str) = ("COPY is not loaded from schema files", "use INSERT, or make the dump with pg_dump --schema-only");
const OUTSIDE: (&str, &str) = (
    "it would connect to another server while the files are loaded",
    "CREATE SUBSCRIPTION ... WITH (connect = false) is possible",
);

fn run(action: Action) -> Verdict {
    Verdict::Run(action, false)
}

fn superuser() -> Verdict {
    Verdict::Run(Action::Define, true)
}

fn refuse(what: impl Into<String>, (why, help): (&'static str, &'static str)) -> Verdict {
    Verdict::Refuse { what: what.into(), why, help }
}

/// May this statement run, and as what?
pub fn screen(node: &NodeEnum, policy: &Policy) -> Verdict {
    use NodeEnum as N;
    match node {
        N::CreateSchemaStmt(_) | N::ViewStmt(_) | N::IndexStmt(_) | N::CreateSeqStmt(_) | N::AlterSeqStmt(_) => {
            run(Action::Define)
        }
        N::CreateEnumStmt(_) | N::AlterEnumStmt(_) | N::CreateRangeStmt(_) | N::CompositeTypeStmt(_) => run(Action::Define),
        N::CreateDomainStmt(_) | N::AlterDomainStmt(_) | N::AlterTypeStmt(_) | N::AlterCollationStmt(_) => run(Action::Define),
        N::CreateTrigStmt(_) | N::CreatePolicyStmt(_) | N::AlterPolicyStmt(_) | N::RuleStmt(_) => run(Action::Define),
        N::AlterFunctionStmt(_) | N::AlterOperatorStmt(_) | N::CreateStatsStmt(_) | N::AlterStatsStmt(_) => run(Action::Define),
        N::CreateCastStmt(_) | N::CreateConversionStmt(_) | N::AlterTsdictionaryStmt(_) | N::AlterTsconfigurationStmt(_) => {
            run(Action::Define)
        }
        N::CreatePublicationStmt(_) | N::AlterPublicationStmt(_) | N::AlterObjectDependsStmt(_) => run(Action::Define),
        N::CreateForeignServerStmt(_) | N::AlterForeignServerStmt(_) | N::CreateForeignTableStmt(_) => run(Action::Define),
        N::CreateUserMappingStmt(_) | N::AlterUserMappingStmt(_) | N::DropUserMappingStmt(_) => run(Action::Define),
        N::DropStmt(_) | N::AlterObjectSchemaStmt(_) | N::AlterExtensionStmt(_) => run(Action::Define),
        N::RenameStmt(s) if s.rename_type() == ObjectType::ObjectRole => run(Action::Role),
        N::RenameStmt(s) if s.rename_type() == ObjectType::ObjectDatabase => refuse("ALTER DATABASE", CLUSTER),
        N::RenameStmt(_) => run(Action::Define),
        N::CreateStmt(s) => table(s.relation.as_ref(), policy),
        N::CreateTableAsStmt(s) if s.is_select_into => {
            refuse("SELECT INTO", ("it hides a table in a query", "write CREATE TABLE"))
        }
        N::CreateTableAsStmt(s) => table(s.into.as_ref().and_then(|i| i.rel.as_ref()), policy),
        N::AlterTableStmt(s) if only(s, AlterTableType::AtSetTableSpace) => run(Action::Skip("SET TABLESPACE")),
        N::AlterTableStmt(s) => owner(only(s, AlterTableType::AtChangeOwner).then(|| new_owners(node))),
        N::CreateFunctionStmt(s) => function(s, policy),
        N::DefineStmt(s) => define(s),
        // CREATE LANGUAGE is parsed as CREATE EXTENSION; this one is always there
        N::CreateExtensionStmt(s) if s.extname == "plpgsql" => run(Action::Silent),
        N::CreateExtensionStmt(s) => extension(&s.extname, policy),
        N::CreateAmStmt(_) | N::CreateFdwStmt(_) | N::AlterFdwStmt(_) | N::CreateEventTrigStmt(_) => superuser(),
        N::AlterEventTrigStmt(_) | N::CreateOpClassStmt(_) | N::CreateOpFamilyStmt(_) | N::AlterOpFamilyStmt(_) => superuser(),
        N::CreateTransformStmt(_) | N::AlterExtensionContentsStmt(_) => superuser(),
        N::CreatePlangStmt(s) if TRUSTED_LANGUAGES[..2].contains(&s.plname.as_str()) => run(Action::Silent),
        N::CreatePlangStmt(s) => language(&s.plname, policy).unwrap_or_else(superuser),
        N::CommentStmt(s) if s.objtype() == ObjectType::ObjectDatabase => run(Action::Skip("COMMENT ON DATABASE")),
        N::CommentStmt(s) if s.objtype() == ObjectType::ObjectRole => run(Action::Role),
        N::CommentStmt(_) | N::SecLabelStmt(_) => run(Action::Comment),
        N::AlterOwnerStmt(s) if s.object_type() == ObjectType::ObjectDatabase => run(Action::Skip("ALTER DATABASE OWNER")),
        N::AlterOwnerStmt(_) => owner(Some(new_owners(node))),
        N::GrantStmt(s) => grant(s),
        N::AlterDefaultPrivilegesStmt(_) => run(Action::Grant),
        N::GrantRoleStmt(_) | N::CreateRoleStmt(_) | N::AlterRoleStmt(_) | N::AlterRoleSetStmt(_) | N::DropRoleStmt(_) => {
            run(Action::Role)
        }
        N::InsertStmt(_) | N::UpdateStmt(_) | N::DeleteStmt(_) | N::MergeStmt(_) | N::TruncateStmt(_) => run(Action::Data),
        N::CallStmt(_) | N::RefreshMatViewStmt(_) => run(Action::Data),
        N::SelectStmt(s) => select(s),
        N::DoStmt(s) => do_block(s, policy),
        N::VariableSetStmt(s) => setting(s, policy),
        N::TransactionStmt(s) => transaction(s, policy),
        N::VacuumStmt(_) => run(Action::Skip("VACUUM and ANALYZE")),
        N::ReindexStmt(_) => run(Action::Skip("REINDEX")),
        N::ClusterStmt(_) => run(Action::Skip("CLUSTER")),
        N::CheckPointStmt(_) => run(Action::Skip("CHECKPOINT")),
        N::LockStmt(_) => run(Action::Skip("LOCK")),
        N::ConstraintsSetStmt(_) => run(Action::Silent),
        N::CopyStmt(_) => refuse("COPY", COPY),
        N::AlterSystemStmt(_) => refuse("ALTER SYSTEM", CLUSTER),
        N::CreatedbStmt(_) => refuse("CREATE DATABASE", CLUSTER),
        N::DropdbStmt(_) => refuse("DROP DATABASE", CLUSTER),
        N::AlterDatabaseStmt(_) | N::AlterDatabaseRefreshCollStmt(_) => refuse("ALTER DATABASE", CLUSTER),
        N::AlterDatabaseSetStmt(_) => run(Action::Skip("ALTER DATABASE SET")),
        N::CreateTableSpaceStmt(_) => refuse("CREATE TABLESPACE", CLUSTER),
        N::DropTableSpaceStmt(_) => refuse("DROP TABLESPACE", CLUSTER),
        N::AlterTableSpaceOptionsStmt(_) | N::AlterTableMoveAllStmt(_) => refuse("ALTER TABLESPACE", CLUSTER),
        N::LoadStmt(_) => refuse("LOAD", ("it loads code into the server", "remove it")),
        N::ImportForeignSchemaStmt(_) => refuse("IMPORT FOREIGN SCHEMA", (OUTSIDE.0, "write CREATE FOREIGN TABLE")),
        N::CreateSubscriptionStmt(s) => subscription(s),
        N::AlterSubscriptionStmt(_) => refuse("ALTER SUBSCRIPTION", OUTSIDE),
        N::DropSubscriptionStmt(_) => refuse("DROP SUBSCRIPTION", OUTSIDE),
        N::DropOwnedStmt(_) if policy.script => run(Action::Define),
        N::DropOwnedStmt(_) => refuse("DROP OWNED", ("it drops what nobody can see in the file", "drop the objects by name")),
        N::ReassignOwnedStmt(_) => refuse("REASSIGN OWNED", ("it changes owners that nobody can see", "use ALTER ... OWNER TO")),
        N::NotifyStmt(_) | N::ListenStmt(_) | N::UnlistenStmt(_) => refuse("LISTEN and NOTIFY", SESSION),
        N::PrepareStmt(_) | N::ExecuteStmt(_) | N::DeallocateStmt(_) => refuse("PREPARE and EXECUTE", SESSION),
        N::DeclareCursorStmt(_) | N::FetchStmt(_) | N::ClosePortalStmt(_) => refuse("cursors", SESSION),
        N::ExplainStmt(_) => refuse("EXPLAIN", SESSION),
        N::VariableShowStmt(_) => refuse("SHOW", SESSION),
        N::DiscardStmt(_) => refuse("DISCARD", SESSION),
        _ => refuse("this statement", ("plumb does not know this kind of statement", "report it, please")),
    }
}

fn table(relation: Option<&protobuf::RangeVar>, policy: &Policy) -> Verdict {
    match relation {
        Some(r) if r.relpersistence == "t" && !policy.script => {
            refuse("CREATE TEMPORARY TABLE", ("it would be gone before anything is compared", "remove it"))
        }
        _ => run(Action::Define),
    }
}

/// ALTER TABLE that does nothing else.
fn only(statement: &protobuf::AlterTableStmt, work: AlterTableType) -> bool {
    statement.cmds.iter().all(|n| matches!(&n.node, Some(NodeEnum::AlterTableCmd(c)) if c.subtype() == work))
}

/// The roles that become owners. A name that only says who asks (CURRENT_USER) would be another one for the administrator.
fn owner(owners: Option<Vec<&protobuf::RoleSpec>>) -> Verdict {
    let named = |o: Vec<&protobuf::RoleSpec>| o.iter().all(|r| r.roletype() == RoleSpecType::RolespecCstring);
    run(if owners.is_some_and(named) { Action::Owner } else { Action::Define })
}

/// The roles that an ALTER ... OWNER TO names.
pub fn new_owners(node: &NodeEnum) -> Vec<&protobuf::RoleSpec> {
    fn of(n: &protobuf::Node) -> Option<&protobuf::RoleSpec> {
        match &n.node {
            Some(NodeEnum::AlterTableCmd(c)) => c.newowner.as_ref(),
            _ => None,
        }
    }
    match node {
        NodeEnum::AlterOwnerStmt(s) => s.newowner.iter().collect(),
        NodeEnum::AlterTableStmt(s) => s.cmds.iter().filter_map(of).collect(),
        _ => Vec::new(),
    }
}

/// Extensions whose functions let anybody reach other machines or files, or start programs.
const REACHING_OUT: &[&str] = &[
    "adminpack",
    "aws_lambda",
    "aws_s3",
    "azure_storage",
    "dblink",
    "file_fdw",
    "http",
    "jdbc_fdw",
    "multicorn",
    "mysql_fdw",
    "ogr_fdw",
    "oracle_fdw",
    "pg_background",
    "pg_cron",
    "pg_curl",
    "pg_net",
    "pgagent",
    "plproxy",
    "plsh",
    "postgres_fdw",
    "redis_fdw",
    "sqlite_fdw",
    "tds_fdw",
    "wrappers",
];

fn extension(name: &str, policy: &Policy) -> Verdict {
    if REACHING_OUT.contains(&name) && !policy.allow_extensions.iter().any(|e| e == name) {
        let why = "it lets what the files run reach other machines or the server's files";
        return refuse(format!("extension {name}"), (why, "remove it, or name it in allow_extensions of plumb.toml"));
    }
    run(Action::Extension)
}

fn grant(statement: &protobuf::GrantStmt) -> Verdict {
    match statement.objtype() {
        ObjectType::ObjectDatabase => run(Action::Skip("rights on the database")),
        ObjectType::ObjectTablespace => run(Action::Skip("rights on a tablespace")),
        ObjectType::ObjectParameterAcl => run(Action::Skip("rights on a parameter")),
        _ => run(Action::Grant),
    }
}

fn language(name: &str, policy: &Policy) -> Option<Verdict> {
    let allowed = TRUSTED_LANGUAGES.contains(&name) || policy.allow_languages.iter().any(|l| l == name);
    (!allowed).then(|| {
        let why = "code in this language can do whatever the server's operating system user can";
        refuse(format!("language {name}"), (why, "use sql or plpgsql, or name the language in allow_languages of plumb.toml"))
    })
}

fn function(statement: &protobuf::CreateFunctionStmt, policy: &Policy) -> Verdict {
    let name = option(&statement.options, "language").and_then(word).unwrap_or("sql");
    let leakproof = option(&statement.options, "leakproof").and_then(word) == Some("true");
    language(name, policy).unwrap_or_else(|| Verdict::Run(Action::Define, leakproof || !TRUSTED_LANGUAGES.contains(&name)))
}

fn define(statement: &protobuf::DefineStmt) -> Verdict {
    let base = statement.kind() == ObjectType::ObjectType && !statement.definition.is_empty();
    let text_search = matches!(statement.kind(), ObjectType::ObjectTsparser | ObjectType::ObjectTstemplate);
    Verdict::Run(Action::Define, base || text_search)
}

fn do_block(statement: &protobuf::DoStmt, policy: &Policy) -> Verdict {
    let name = option(&statement.args, "language").and_then(word).unwrap_or("plpgsql");
    match language(name, policy) {
        Some(refused) => refused,
        None if policy.allow_do => run(if policy.run_data { Action::Data } else { Action::Define }),
        None => {
            let why = "a DO block runs any code, and what it makes cannot be seen in the file";
            refuse("DO", (why, "write what it does as plain statements, or set allow_do = true in plumb.toml"))
        }
    }
}

/// A SELECT is data, but for the one pg_dump writes: `set_config('search_path', ...)`.
fn select(statement: &protobuf::SelectStmt) -> Verdict {
    if statement.into_clause.is_some() {
        return refuse("SELECT INTO", ("it hides a table in a query", "write CREATE TABLE"));
    }
    run(if super::read::set_config(statement).is_some() { Action::Setting } else { Action::Data })
}

fn setting(statement: &protobuf::VariableSetStmt, policy: &Policy) -> Verdict {
    let name = statement.name.to_ascii_lowercase();
    let known = |list: &[&str]| list.contains(&name.as_str());
    if known(IDENTITY_SETTINGS) {
        let why = "the schema is loaded as one role; who owns what is said by OWNER TO";
        return refuse(format!("SET {name}"), (why, "remove it, and use ALTER ... OWNER TO"));
    }
    if known(KEPT_SETTINGS) || statement.kind() == VariableSetKind::VarResetAll {
        return run(Action::Setting);
    }
    if policy.script {
        return run(if known(IDLE_SETTINGS) { Action::Silent } else { Action::Data });
    }
    if known(IDLE_SETTINGS) || name.contains('.') || statement.kind() == VariableSetKind::VarSetMulti {
        return run(Action::Silent);
    }
    let why = "it changes what the statements after it mean";
    refuse(format!("SET {name}"), (why, "remove it; settings for loading belong into [session] of plumb.toml"))
}

fn transaction(statement: &protobuf::TransactionStmt, policy: &Policy) -> Verdict {
    use TransactionStmtKind as T;
    match statement.kind() {
        T::TransStmtBegin | T::TransStmtStart | T::TransStmtCommit => run(Action::Silent),
        T::TransStmtSavepoint | T::TransStmtRelease if policy.script => run(Action::Silent),
        _ => refuse(
            "transaction control",
            ("plumb decides what runs in which transaction", "remove it; BEGIN and COMMIT may stay"),
        ),
    }
}

fn subscription(statement: &protobuf::CreateSubscriptionStmt) -> Verdict {
    let connects = option(&statement.options, "connect").and_then(word).is_none_or(|w| w != "false");
    if connects { refuse("CREATE SUBSCRIPTION", OUTSIDE) } else { superuser() }
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
