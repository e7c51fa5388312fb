//! What a step takes away with the rows or values in it: tables, materialized views and columns that stood before it and do not
//! after it, by what the server numbers them, so that a new one of the same name is not the old one.

use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::{Client, Error};

use crate::statement::Loss;

/// Columns by the numbers of their tables and their own, with the SQL names of both.
pub type Columns = BTreeMap<(u32, i16), (String, String)>;

/// Tables without a column have one row, with no number. What a materialized view holds comes back by itself.
const COLUMNS: &str = "SELECT c.oid, coalesce(a.attnum, 0::int2), quote_ident(n.nspname) || '.' || quote_ident(c.relname), coalesce(quote_ident(a.attname), '') \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     WHERE c.relkind IN ('r', 'p') AND c.oid >= 16384 AND n.nspname !~ '^pg_(toast|temp)'";

/// The columns as they stand.
pub async fn columns(client: &Client) -> Result<Columns, Error> {
    let rows = client.query(COLUMNS, &[]).await?;
    Ok(rows.iter().map(|row| ((row.get(0), row.get(1)), (row.get(2), row.get(3)))).collect())
}

/// What is lost with those of `before` that are not in `after`.
pub fn gone(before: &Columns, after: &Columns) -> BTreeSet<Loss> {
    let standing: BTreeSet<u32> = after.keys().map(|(table, _)| *table).collect();
    let missing = before.iter().filter(|(key, _)| !after.contains_key(key));
    let lost = |((table, number), (name, column)): (&(u32, i16), &(String, String))| match standing.contains(table) {
        false => Some(Loss::Rows(name.clone())),
        true => (*number > 0).then(|| Loss::Values(format!("{name}.{column}"))),
    };
    missing.filter_map(lost).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_column_of_the_same_name_is_not_the_old_one() {
        let row = |table: u32, number: i16, name: &str, column: &str| ((table, number), (name.to_owned(), column.to_owned()));
        let before = Columns::from([row(1, 1, "public.t", "a"), row(1, 2, "public.t", "b"), row(2, 1, "public.u", "a")]);
        let after = Columns::from([row(1, 1, "public.t", "a"), row(1, 3, "public.t", "b"), row(3, 1, "public.u", "a")]);
        let lost = BTreeSet::from([Loss::Rows("public.u".into()), Loss::Values("public.t.b".into())]);
        assert_eq!(gone(&before, &after), lost);
        assert_eq!(gone(&before, &before), BTreeSet::new());
        let empty = Columns::from([row(1, 0, "public.t", "")]);
        assert_eq!(gone(&empty, &Columns::from([row(1, 1, "public.t", "a")])), BTreeSet::new());
    }
}
