//! What a scratch database takes over from the target, because it changes how SQL is read or printed.

use super::binaries;
use crate::pg::{Session, Version};
use crate::sql;

/// Settings that change what loaded SQL means: literals of timestamptz fold with the time zone, `01/02/2026` is a day of January
/// or of February, `-1 2:03` is minus or plus two hours; tables get the access method.
const SETTINGS: &[&str] = &[
    "TimeZone",
    "DateStyle",
    "IntervalStyle",
    "default_toast_compression",
    "default_table_access_method",
    "default_text_search_config",
];

/// The properties of a database (manual: 24 "Localization", CREATE DATABASE).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Properties {
    /// Major version of the server.
    pub major: u32,
    /// Encoding, such as `UTF8`.
    pub encoding: String,
    /// `LC_COLLATE`.
    pub collate: String,
    /// `LC_CTYPE`.
    pub ctype: String,
    /// Locale provider: `c` libc, `i` ICU, `b` builtin.
    pub provider: char,
    /// Locale of the ICU or builtin provider.
    pub icu_locale: Option<String>,
    /// Collation rules of the ICU provider (16 and later).
    pub icu_rules: Option<String>,
    /// Settings that sessions in the scratch database start with.
    pub settings: Vec<(String, String)>,
}

impl Default for Properties {
    /// UTF8 and C.UTF-8 on the newest server that this machine has, or else on the newest that plumb knows.
    fn default() -> Properties {
        Properties {
            major: binaries::newest().map_or(Version::NEWEST, |binaries| binaries.major),
            encoding: "UTF8".to_owned(),
            collate: "C.UTF-8".to_owned(),
            ctype: "C.UTF-8".to_owned(),
            provider: 'c',
            icu_locale: None,
            icu_rules: None,
            settings: Vec::new(),
        }
    }
}

/// The columns of `pg_database` that hold provider, locale and rules, by version.
fn locale_columns(major: u32) -> &'static str {
    match major {
        ..=14 => "'c'::text, NULL::text, NULL::text",
        15 => "datlocprovider::text, daticulocale::text, NULL::text",
        16 => "datlocprovider::text, daticulocale::text, daticurules::text",
        _ => "datlocprovider::text, datlocale::text, daticurules::text",
    }
}

impl Properties {
    /// Reads them from the database that `session` is in. Settings are those a new session starts with, whatever this one has
    /// been pinned to.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn read(session: &Session) -> Result<Properties, tokio_postgres::Error> {
        let major = session.version.major();
        let query = format!(
            "SELECT pg_catalog.pg_encoding_to_char(encoding)::text, datcollate::text, datctype::text, {} \
               FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()",
            locale_columns(major)
        );
        let row = session.client.query_one(&query, &[]).await?;
        let provider: String = row.try_get(3)?;
        let query =
            "SELECT name, reset_val FROM pg_catalog.pg_settings WHERE name = ANY ($1) AND reset_val IS NOT NULL ORDER BY name";
        let settings = session.client.query(query, &[&SETTINGS]).await?;
        let settings: Result<Vec<_>, _> = settings.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect();
        Ok(Properties {
            major,
            encoding: row.try_get(0)?,
            collate: row.try_get(1)?,
            ctype: row.try_get(2)?,
            provider: provider.chars().next().unwrap_or('c'),
            icu_locale: row.try_get(4)?,
            icu_rules: row.try_get(5)?,
            settings: settings?,
        })
    }

    /// These properties, then what to use in their place on a machine that does not have the locale, best first.
    pub(super) fn with_fallbacks(&self) -> Vec<Properties> {
        let with = |locale: &str| Properties { collate: locale.to_owned(), ctype: locale.to_owned(), ..self.clone() };
        let libc = |locale: &str| Properties { provider: 'c', icu_locale: None, icu_rules: None, ..with(locale) };
        let mut all = vec![self.clone(), with("C.UTF-8"), with("C"), libc("C.UTF-8"), libc("C")];
        all.retain(|one| one.encoding == "UTF8" || one == self || one.collate == "C");
        all.dedup();
        all
    }

    /// The statement that makes database `name`. `strategy`: how to copy template0 (15 and later).
    pub(super) fn create_database(&self, name: &str, owner: &str, strategy: Option<&str>) -> String {
        let mut sql = format!("CREATE DATABASE {} OWNER {} TEMPLATE template0", sql::ident(name), sql::ident(owner));
        let mut option = |name: &str, value: &str| sql.push_str(&format!(" {name} {}", sql::literal(value)));
        option("ENCODING", &self.encoding);
        option("LC_COLLATE", &self.collate);
        option("LC_CTYPE", &self.ctype);
        let (provider, locale) = match self.provider {
            'i' => ("icu", "ICU_LOCALE"),
            'b' => ("builtin", "BUILTIN_LOCALE"),
            _ => ("libc", ""),
        };
        if self.major >= 15 {
            option("LOCALE_PROVIDER", provider);
            if let Some(value) = &self.icu_locale {
                option(locale, value);
            }
            if let Some(value) = &self.icu_rules {
                option("ICU_RULES", value);
            }
            if let Some(strategy) = strategy {
                option("STRATEGY", strategy);
            }
        }
        sql
    }
}

/// Who owns the database that `session` is in (`pg_database.datdba`).
///
/// # Errors
/// When the server cannot be asked.
pub async fn owner(session: &Session) -> Result<String, tokio_postgres::Error> {
    let query = "SELECT pg_catalog.pg_get_userbyid(datdba)::text FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()";
    session.client.query_one(query, &[]).await?.try_get(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(major: u32, provider: char, icu_locale: Option<&str>) -> Properties {
        Properties {
            major,
            encoding: "UTF8".into(),
            collate: "de_DE.UTF-8".into(),
            ctype: "de_DE.UTF-8".into(),
            provider,
            icu_locale: icu_locale.map(str::to_owned),
            icu_rules: None,
            settings: Vec::new(),
        }
    }

    #[test]
    fn each_version_gets_the_options_it_knows() {
        let start =
            "CREATE DATABASE s OWNER \"Ann\" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'de_DE.UTF-8' LC_CTYPE 'de_DE.UTF-8'";
        let sql = |p: Properties| p.create_database("s", "Ann", Some("file_copy"));
        assert_eq!(sql(properties(14, 'c', None)), start);
        assert_eq!(sql(properties(15, 'c', None)), format!("{start} LOCALE_PROVIDER 'libc' STRATEGY 'file_copy'"));
        let icu = format!("{start} LOCALE_PROVIDER 'icu' ICU_LOCALE 'de' STRATEGY 'file_copy'");
        assert_eq!(sql(properties(16, 'i', Some("de"))), icu);
        let builtin = format!("{start} LOCALE_PROVIDER 'builtin' BUILTIN_LOCALE 'C.UTF-8' STRATEGY 'file_copy'");
        assert_eq!(sql(properties(17, 'b', Some("C.UTF-8"))), builtin);
    }

    #[test]
    fn a_missing_locale_ends_in_c() {
        let all = properties(15, 'i', Some("de")).with_fallbacks();
        let short: Vec<_> = all.iter().map(|p| (p.provider, p.collate.as_str())).collect();
        assert_eq!(short, [('i', "de_DE.UTF-8"), ('i', "C.UTF-8"), ('i', "C"), ('c', "C.UTF-8"), ('c', "C")]);
        let latin = Properties { encoding: "LATIN1".into(), ..properties(15, 'c', None) };
        let short: Vec<_> = latin.with_fallbacks().into_iter().map(|p| p.collate).collect();
        assert_eq!(short, ["de_DE.UTF-8", "C"]);
    }
}
