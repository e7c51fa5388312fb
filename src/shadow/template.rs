//! A cluster that was initdb'ed once and is copied for every run.

use super::BOOTSTRAP;
use super::binaries::Binaries;
use super::error::ShadowError;
use super::{cache, privileges, prune};
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Changes when what plumb puts into a template changes, so that old templates are not used.
const LAYOUT: &str = "3";

/// The locales to initdb with: the first that this machine has.
const LOCALES: &[&str] = &["C.UTF-8", "C"];

/// The file in a template that says of which programs it is: the text that its name is made of.
pub(super) const FACTS: &str = "plumb.programs";

/// A template that nobody removes as long as this value lives.
pub(super) struct Template {
    /// Its folder.
    pub(super) path: PathBuf,
    _copying: File,
}

/// The template of `binaries`, made now if it is not there yet. Other plumbs wait meanwhile.
///
/// # Errors
/// An initdb that fails, a cache that cannot be written.
pub(super) fn ensure(binaries: &Binaries) -> Result<Template, ShadowError> {
    let folder = cache::directory()?.join("template");
    cache::make(&folder)?;
    prune::prune(&folder, is_outdated);
    let facts = facts(&binaries.program("postgres"), &binaries.version)?;
    let name = name(binaries.major, &facts);
    let template = Template { path: folder.join(&name), _copying: cache::lock_shared(&folder.join(prune::COPYING))? };
    if template.path.exists() {
        prune::touch(&template.path);
        return Ok(template);
    }
    let _making = cache::lock(&folder.join(prune::MAKING))?;
    if template.path.exists() {
        return Ok(template);
    }
    tracing::info!("preparing a PostgreSQL {} cluster in {} (once)", binaries.major, folder.display());
    // A name of its own: the initdb of a plumb that was killed while it held the lock may go on for a while.
    let working = prune::unfinished(&folder, name.as_ref());
    let result = build(binaries, &working).and_then(|()| {
        let finish = || {
            privileges::take_back(&working)?;
            std::fs::write(working.join(FACTS), &facts)?;
            std::fs::rename(&working, &template.path)
        };
        finish().map_err(|error| ShadowError::file(&working, &error))
    });
    if result.is_err() {
        let _ = std::fs::remove_dir_all(&working);
    }
    result.map(|()| template)
}

/// What tells one build of the server programs from another. The line of the version comes last.
pub(super) fn facts(program: &Path, version: &str) -> Result<String, ShadowError> {
    let metadata = program.metadata().map_err(|error| ShadowError::file(program, &error))?;
    Ok(format!("{LAYOUT}\n{}\n{}\n{}\n{version}", program.display(), metadata.mtime(), metadata.len()))
}

/// A name that differs whenever the programs do.
fn name(major: u32, facts: &str) -> String {
    let digest = Sha256::digest(facts.as_bytes());
    let hex: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{major}-{hex}")
}

/// True when the programs that made `template` are gone or others now, so that nobody asks for it here.
pub(super) fn is_outdated(template: &Path) -> bool {
    let Ok(written) = std::fs::read_to_string(template.join(FACTS)) else { return true };
    let lines: Vec<&str> = written.lines().collect();
    let [_, program, _, _, version] = lines[..] else { return true };
    facts(Path::new(program), version).map_or(true, |now| now != written)
}

fn build(binaries: &Binaries, working: &Path) -> Result<(), ShadowError> {
    let mut result = Ok(());
    for locale in LOCALES {
        let _ = std::fs::remove_dir_all(working); // of the locale before
        let made = DirBuilder::new().mode(0o700).create(working).and_then(|()| privileges::hand_over(working));
        made.map_err(|error| ShadowError::file(working, &error))?;
        result = run(binaries, &mut initdb(binaries, working, locale), "");
        if result.is_ok() {
            break;
        }
    }
    result?;
    // template1 is enough to connect to; a third of the copying is saved.
    let mut single = privileges::command(&binaries.program("postgres"));
    single.args(["--single", "-F", "-c", "wal_recycle=off", "-c", "min_wal_size=2MB", "-D"]).arg(working).arg("template1");
    run(binaries, &mut single, "DROP DATABASE postgres;\n")?;
    trim(&working.join("base")).map_err(|error| ShadowError::file(working, &error))
}

/// Removes the free space and visibility maps, a quarter of all files: the server makes them again when it needs them (manual:
/// 73.3 "Free Space Map", 73.4 "Visibility Map").
fn trim(base: &Path) -> std::io::Result<()> {
    for database in std::fs::read_dir(base)? {
        for file in std::fs::read_dir(database?.path())? {
            let path = file?.path();
            let name = path.file_name().unwrap_or_default().as_encoded_bytes();
            if name.ends_with(b"_fsm") || name.ends_with(b"_vm") {
                std::fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}

/// Small WAL segments, since every run copies one.
fn initdb(binaries: &Binaries, working: &Path, locale: &str) -> Command {
    let mut command = privileges::command(&binaries.program("initdb"));
    command.args(["--no-sync", "--no-instructions", "--encoding=UTF8", "--auth=trust", "--wal-segsize=1"]);
    command.arg(format!("--locale={locale}")).arg(format!("--username={BOOTSTRAP}"));
    if binaries.major >= 18 {
        command.arg("--no-data-checksums");
    }
    command.arg("-D").arg(working);
    command
}

/// Runs `command` with `input`; its last words become the error.
fn run(binaries: &Binaries, command: &mut Command, input: &str) -> Result<(), ShadowError> {
    let failed = |reason: String| ShadowError::Initdb { binaries: binaries.directory.clone(), reason };
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(input.as_bytes()); // a program that is gone already says why below
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
