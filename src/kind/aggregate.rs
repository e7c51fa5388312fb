//! Aggregates: `pg_aggregate`.

use serde::Deserialize;

use super::function::query;
use super::{BASE, Cost, Kind, Query, Renaming, Space, field, reads_as};
use crate::catalog::Object;
use crate::sql::{literal, qualified};
use crate::statement::Statement;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Aggregate {
    arguments: String,
    /// Option and value, both as SQL; the order is that of CREATE AGGREGATE.
    options: Vec<(String, Option<String>)>,
    initial: Option<String>,
    moving_initial: Option<String>,
    hypothetical: bool,
}

fn create(object: &Object) -> Statement {
    let a: Aggregate = object.read();
    let mut options: Vec<String> = a.options.into_iter().filter_map(|(k, v)| v.map(|v| format!("    {k} = {v}"))).collect();
    options.extend(a.initial.map(|i| format!("    INITCOND = {}", literal(&i))));
    options.extend(a.moving_initial.map(|i| format!("    MINITCOND = {}", literal(&i))));
    options.extend(a.hypothetical.then(|| "    HYPOTHETICAL".to_owned()));
    Statement::new(format!("CREATE AGGREGATE {}({}) (\n{}\n)", qualified(object.id.name()), a.arguments, options.join(",\n")))
}

fn function(column: &str) -> String {
    format!(
        "(SELECT quote_ident(fn.nspname) || '.' || quote_ident(f.proname) FROM pg_proc f JOIN pg_namespace fn ON fn.oid = f.pronamespace WHERE f.oid = {column})"
    )
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "aggregate",
    present: "'a' = ANY (look.routines)",
    query: Some(|_| {
        let q = query("'a'");
        let functions = [
            ("SFUNC", "aggtransfn"),
            ("FINALFUNC", "aggfinalfn"),
            ("COMBINEFUNC", "aggcombinefn"),
            ("SERIALFUNC", "aggserialfn"),
            ("DESERIALFUNC", "aggdeserialfn"),
            ("MSFUNC", "aggmtransfn"),
            ("MINVFUNC", "aggminvtransfn"),
            ("MFINALFUNC", "aggmfinalfn"),
        ];
        let pairs: Vec<String> =
            functions.iter().map(|(o, c)| format!("json_build_array('{o}', {})", function(&format!("g.{c}")))).collect();
        let modify =
            |c: &str| format!("CASE g.{c} WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' WHEN 'w' THEN 'READ_WRITE' END");
        let from = format!("{} AND true", q.from)
            .replace("FROM pg_proc p JOIN", "FROM pg_proc p JOIN pg_aggregate g ON g.aggfnoid = p.oid JOIN");
        Query { from: from.into(), ..q }.define(format!(
            "'arguments', pg_get_function_arguments(p.oid), 'options', json_build_array({}, \
             json_build_array('STYPE', format_type(g.aggtranstype, NULL)), \
             json_build_array('SSPACE', nullif(g.aggtransspace, 0)::text), \
             json_build_array('FINALFUNC_EXTRA', CASE WHEN g.aggfinalextra THEN 'true' END), \
             json_build_array('FINALFUNC_MODIFY', CASE WHEN g.aggfinalmodify <> CASE WHEN g.aggkind = 'n' THEN 'r' ELSE 'w' END THEN {} END), \
             json_build_array('MSTYPE', CASE WHEN g.aggmtranstype <> 0 THEN format_type(g.aggmtranstype, NULL) END), \
             json_build_array('MSSPACE', nullif(g.aggmtransspace, 0)::text), \
             json_build_array('MFINALFUNC_EXTRA', CASE WHEN g.aggmfinalextra THEN 'true' END), \
             json_build_array('MFINALFUNC_MODIFY', CASE WHEN g.aggmtransfn <> 0 AND g.aggmfinalmodify <> CASE WHEN g.aggkind = 'n' THEN 'r' ELSE 'w' END THEN {} END), \
             json_build_array('SORTOP', CASE WHEN g.aggsortop <> 0 THEN (SELECT 'OPERATOR(' || quote_ident(opn.nspname) || '.' || op.oprname || ')' FROM pg_operator op JOIN pg_namespace opn ON opn.oid = op.oprnamespace WHERE op.oid = g.aggsortop) END), \
             json_build_array('PARALLEL', CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' END)), \
             'initial', g.agginitval, 'moving_initial', g.aggminitval, 'hypothetical', g.aggkind = 'h'",
            pairs.join(", "),
            modify("aggfinalmodify"),
            modify("aggmfinalmodify"),
        ))
    }),
    check: reads_as::<Aggregate>,
    fields: &[
        field("arguments", Cost::Replace),
        field("options", Cost::Replace),
        field("initial", Cost::Replace),
        field("moving_initial", Cost::Replace),
        field("hypothetical", Cost::Replace),
    ],
    create: |_, o| vec![create(o)],
    drop: |_, o| {
        vec![Statement::new(format!(
            "DROP AGGREGATE {}({})",
            qualified(o.id.name()),
            if o.id.args().is_empty() { "*".to_owned() } else { o.text("arguments").to_owned() }
        ))]
    },
    spaces: &[Space::Routine],
    effects: super::effects::gone,
    renaming: Renaming::Whole("AGGREGATE", None),
    ..BASE
};
