//! The connection service file: named sets of connection parameters.
//!
//! Manual: 34.17 "The Connection Service File".

use super::environment::Environment;
use super::error::TargetError;
use super::keyword::{self, Values};
use std::path::{Path, PathBuf};

/// Where Debian and the source build keep the system-wide file when PGSYSCONFDIR does not say.
const SYSTEM_DIRECTORIES: &[&str] = &["/etc/postgresql-common", "/etc/sysconfig/pgsql", "/usr/local/pgsql/etc"];

/// The parameters of the service `name`: from the user's file, else from the system-wide one.
///
/// # Errors
/// A file that is named but missing, a service that no file defines, a broken line.
pub(super) fn find(
    name: &str,
    file: Option<&str>,
    environment: &Environment,
    warnings: &mut Vec<String>,
) -> Result<Values, TargetError> {
    if let Some(file) = file
        && !Path::new(file).exists()
    {
        return Err(TargetError::Service { name: name.to_owned(), reason: format!("service file {file} does not exist") });
    }
    for path in candidates(file, environment) {
        let Ok(bytes) = std::fs::read(&path) else { continue };
        if let Some(values) = parse(&String::from_utf8_lossy(&bytes), name, &path, warnings)? {
            return Ok(values);
        }
    }
    Err(TargetError::Service { name: name.to_owned(), reason: "no service file defines it".to_owned() })
}

/// The files to look into, in order.
fn candidates(file: Option<&str>, environment: &Environment) -> Vec<PathBuf> {
    let user = file.map(PathBuf::from).or_else(|| environment.home.as_ref().map(|home| home.join(".pg_service.conf")));
    let system: Vec<PathBuf> = match environment.variable("PGSYSCONFDIR") {
        Some(directory) => vec![PathBuf::from(directory)],
        None => SYSTEM_DIRECTORIES.iter().map(PathBuf::from).collect(),
    };
    user.into_iter().chain(system.into_iter().map(|directory| directory.join("pg_service.conf"))).collect()
}

/// The parameters of `[name]` in `text`; the first value of a key stays. None when the section is missing.
fn parse(text: &str, name: &str, path: &Path, warnings: &mut Vec<String>) -> Result<Option<Values>, TargetError> {
    let mut found = None;
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with('[') {
            if found.is_some() {
                break;
            }
            inside = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) == Some(name);
            found = inside.then(Values::new);
            continue;
        }
        let Some(values) = found.as_mut().filter(|_| inside) else { continue };
        let problem = |reason: &str| {
            let reason = format!("{}, line {}: {reason}", path.display(), number + 1);
            TargetError::Service { name: name.to_owned(), reason }
        };
        let (key, value) = line.split_once('=').ok_or_else(|| problem("expected key=value"))?;
        if key == "service" || key == "servicefile" {
            return Err(problem("a service cannot refer to another service"));
        }
        let mut one = Values::new();
        keyword::put(&mut one, key, value.to_owned(), false, warnings)?;
        keyword::fill(values, one);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# shared\n[staging]\nhost=s.internal\n\n[app]\n host=db.internal\nport=6432\nhost=second\npassword=a=b c\n[later]\nhost=x\n";

    fn section(text: &str, name: &str) -> Result<Option<Values>, TargetError> {
        parse(text, name, Path::new("/x/pg_service.conf"), &mut Vec::new())
    }

    #[test]
    fn one_section_is_read() {
        let values = section(TEXT, "app").unwrap().unwrap();
        assert_eq!(values["host"], "db.internal");
        assert_eq!(values["port"], "6432");
        assert_eq!(values["password"], "a=b c");
        assert!(section(TEXT, "production").unwrap().is_none());
    }

    #[test]
    fn broken_lines_are_placed() {
        let text = |line: &str| section(&format!("[a]\n{line}\n"), "a").unwrap_err().to_string();
        assert!(text("nonsense").contains("/x/pg_service.conf, line 2"));
        assert!(text("service=b").contains("another service"));
        assert!(text("hots=b").contains("hots"));
    }

    #[test]
    fn user_file_before_system_file() {
        let directory = std::env::temp_dir().join(format!("plumb-service-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("pg_service.conf"), "[a]\nhost=system\n[b]\nhost=system\n").unwrap();
        std::fs::write(directory.join(".pg_service.conf"), "[a]\nhost=user\n").unwrap();
        let variables = [("PGSYSCONFDIR".to_owned(), directory.display().to_string())].into();
        let environment = Environment { variables, home: Some(directory.clone()), ..Environment::default() };
        let host = |name: &str| find(name, None, &environment, &mut Vec::new()).map(|values| values["host"].clone());
        assert_eq!(host("a").unwrap(), "user");
        assert_eq!(host("b").unwrap(), "system");
        assert!(host("c").unwrap_err().to_string().contains("no service file defines it"));
        let missing = find("a", Some("/nowhere/x.conf"), &environment, &mut Vec::new()).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/x.conf does not exist"));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
