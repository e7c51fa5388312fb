//! That pg_dump is a judge: it sees what differs.

use super::server::Bench;
use super::{Side, dump};

async fn side(bench: &Bench, sql: &str) -> Result<Side, String> {
    let side = Side::load(bench, &[sql]).await.map_err(|e| e.to_string())?;
    side.map_err(|f| f.to_string())
}

/// The oracle sees what a statement adds, and does not see the order of columns.
pub async fn tells(bench: &Bench) -> Result<(), String> {
    let table = "CREATE TABLE t (a int, b text CHECK (b IN ('x', 'y')));";
    let other = "CREATE TABLE t (b text CHECK (b = ANY (ARRAY['x', 'y']))); ALTER TABLE t ADD COLUMN a int;";
    let base = side(bench, table).await?;
    let swapped = side(bench, other).await?;
    dump::compare(bench, &base.dump, &swapped.dump).await?;
    let additions = [
        "COMMENT ON COLUMN t.a IS 'x'",
        "GRANT SELECT (a) ON t TO PUBLIC",
        "ALTER TABLE t ALTER a SET STATISTICS 7",
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE t ADD c int",
        "ALTER TABLE t ALTER a SET NOT NULL",
        "CREATE TYPE e AS ENUM ('a')",
    ];
    for addition in additions {
        let changed = side(bench, &format!("{table} {addition}")).await?;
        if dump::compare(bench, &changed.dump, &base.dump).await.is_ok() {
            return Err(format!("pg_dump's oracle does not see: {addition}"));
        }
    }
    Ok(())
}
