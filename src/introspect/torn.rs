//! Whether a picture of the catalog is torn: `pg_get_*def` and its kin read the server's caches, which follow every commit,
//! while the rows of the reading stand in one snapshot.
//!
//! Exact, and one scan of each catalog that those functions look into: whatever was updated or deleted after the snapshot is
//! still visible in it, with the transaction that did so in `xmax`. If none of those transactions committed while the picture
//! was taken, every cache held what the snapshot shows. Rows that came meanwhile are not in the picture, and statistics that
//! are written in place (VACUUM, ANALYZE) leave no `xmax`. docs/decisions/0008 says why not otherwise.

use tokio_postgres::{Client, Error};

/// How a catalog's row says that it belongs to a session's temporary objects, which come and go all the time.
enum Temporary {
    /// It names its schema.
    Schema(&'static str),
    /// It names its relation.
    Relation(&'static str),
    /// There is no such row.
    Never,
}

use Temporary::{Never, Relation, Schema};

/// The catalogs of this database that deparsing looks into by cache. What is only joined (`pg_depend`, `pg_description`,
/// `pg_inherits`, `pg_attrdef`, `pg_policy`, ...) is as the snapshot shows it.
const CATALOGS: &[(&str, Temporary)] = &[
    ("pg_class", Schema("relnamespace")),
    ("pg_attribute", Relation("attrelid")),
    ("pg_type", Schema("typnamespace")),
    ("pg_proc", Schema("pronamespace")),
    ("pg_namespace", Never),
    ("pg_constraint", Schema("connamespace")),
    ("pg_index", Relation("indrelid")),
    ("pg_rewrite", Relation("ev_class")),
    ("pg_trigger", Relation("tgrelid")),
    ("pg_partitioned_table", Relation("partrelid")),
    ("pg_statistic_ext", Schema("stxnamespace")),
    ("pg_operator", Schema("oprnamespace")),
    ("pg_opclass", Schema("opcnamespace")),
    ("pg_opfamily", Schema("opfnamespace")),
    ("pg_collation", Schema("collnamespace")),
    ("pg_conversion", Schema("connamespace")),
    ("pg_ts_config", Schema("cfgnamespace")),
    ("pg_ts_dict", Schema("dictnamespace")),
    ("pg_ts_parser", Schema("prsnamespace")),
    ("pg_ts_template", Schema("tmplnamespace")),
    ("pg_enum", Never),
    ("pg_range", Never),
    ("pg_aggregate", Never),
    ("pg_am", Never),
    ("pg_amop", Never),
    ("pg_amproc", Never),
    ("pg_cast", Never),
    ("pg_language", Never),
    ("pg_transform", Never),
    ("pg_foreign_data_wrapper", Never),
    ("pg_foreign_server", Never),
    ("pg_publication", Never),
    ("pg_extension", Never),
    ("pg_event_trigger", Never),
];

/// What the picture's snapshot is, and the roles by name: names of roles are looked up by cache too, and `pg_authid`, where
/// their rows stand, is not for everybody to read.
const BEGUN: &str = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text, ROLES";
const ROLES: &str = "(SELECT md5(string_agg(oid || ' ' || rolname, ',' ORDER BY oid)) FROM pg_roles)";

/// Of these transactions, how many have committed. What is not before the newest known one cannot be asked for.
const COMMITTED: &str = "SELECT count(*), ROLES FROM unnest($1::text[]) x WHERE CASE \
     WHEN x::xid8 < pg_snapshot_xmax(pg_current_snapshot()) THEN pg_xact_status(x::xid8) = 'committed' END";

/// A picture being taken.
pub(super) struct Picture {
    /// The oldest transaction that ran when the snapshot was taken: who changes what it shows is not older.
    oldest: u64,
    roles: Option<String>,
}

/// A picture that is complete: transactions that were changing what it shows.
pub(super) struct Taken {
    suspects: Vec<String>,
    roles: Option<String>,
}

impl Picture {
    /// The first query of the reading's transaction: it takes the snapshot.
    pub(super) async fn begin(client: &Client) -> Result<Picture, Error> {
        let row = client.query_one(&BEGUN.replace("ROLES", ROLES), &[]).await?;
        Ok(Picture { oldest: row.get::<_, String>(0).parse().unwrap_or(0), roles: row.get(1) })
    }

    /// The last query of the same transaction.
    pub(super) async fn end(self, client: &Client) -> Result<Taken, Error> {
        let rows = client.query(&touched(), &[]).await?;
        let suspects = rows.iter().filter_map(|r| r.get::<_, String>(0).parse().ok());
        let suspects = suspects.map(|x| widened(x, self.oldest)).filter(|x| *x >= self.oldest).map(|x| x.to_string());
        Ok(Taken { suspects: suspects.collect(), roles: self.roles })
    }
}

impl Taken {
    /// Whether somebody has committed meanwhile what the picture shows in part; asked after the transaction.
    pub(super) async fn is_torn(&self, client: &Client) -> Result<bool, Error> {
        let row = client.query_one(&COMMITTED.replace("ROLES", ROLES), &[&self.suspects]).await?;
        Ok(row.get::<_, i64>(0) > 0 || row.get::<_, Option<String>>(1) != self.roles)
    }
}

/// The transactions that have updated or deleted a row that this snapshot shows, or tried to, or do so just now.
fn touched() -> String {
    let temporary = "SELECT n.oid FROM pg_namespace n WHERE n.nspname ~ '^pg_(toast_)?temp_'";
    let parts = CATALOGS.iter().map(|(catalog, temporary_by)| {
        let lasting = match temporary_by {
            Schema(column) => format!(" AND {column} NOT IN ({temporary})"),
            Relation(column) => {
                format!(" AND {column} NOT IN (SELECT c.oid FROM pg_class c WHERE c.relnamespace IN ({temporary}))")
            }
            Never => String::new(),
        };
        format!("SELECT xmax::text FROM {catalog} WHERE xmax <> '0'::xid{lasting}")
    });
    parts.collect::<Vec<_>>().join(" UNION ")
}

/// A transaction's full number from the lower half of it: the one nearest to another.
fn widened(low: u32, near: u64) -> u64 {
    let full = (near & !u64::from(u32::MAX)) | u64::from(low);
    let half = 1 << 31;
    match full {
        _ if full + half < near => full + (1 << 32),
        _ if full > near + half => full.saturating_sub(1 << 32),
        _ => full,
    }
}

#[cfg(test)]
mod tests {
    use super::widened;

    #[test]
    fn numbers_of_transactions_wrap_around() {
        assert_eq!(widened(700, 1000), 700);
        assert_eq!(widened(5, (3 << 32) - 5), (3 << 32) + 5);
        assert_eq!(widened(u32::MAX, (3 << 32) + 5), (3 << 32) - 1);
        assert_eq!(widened(4_000_000_000, 10), 0);
    }
}
