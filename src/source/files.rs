//! Finding and reading the files of a schema.

use super::problem::{Problem, Problems};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A file of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The path as shown to the user, relative to the current directory where possible.
    pub path: String,
    /// What stands in it.
    pub text: String,
}

/// A stretch of text in a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Index into [`Files`].
    pub file: usize,
    /// Bytes of the file's text.
    pub span: Range<usize>,
}

impl Place {
    /// The bytes `span` of the file with this index.
    pub fn new(file: usize, span: Range<usize>) -> Place {
        Place { file, span }
    }
}

/// The files of a schema, sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(pub Vec<File>);

impl Files {
    /// One file that exists only in memory.
    pub fn text(path: &str, text: &str) -> Files {
        Files(vec![File { path: path.to_owned(), text: text.to_owned() }])
    }

    /// Reads one file, or every `*.sql` below a directory, sorted by path. Hidden files and directories are skipped; a directory
    /// without files is an empty schema.
    pub fn read(path: &Path) -> Result<Files, Problems> {
        let mut found = Vec::new();
        let listed = if path.is_dir() {
            list(path, &mut Vec::new(), &mut found)
        } else {
            found.push(path.to_owned());
            Ok(())
        };
        let mut files = Files::default();
        let mut list: Vec<Problem> = listed.err().map(|(p, e)| unreadable(&p, &e, path)).into_iter().collect();
        found.sort();
        // a link of a stranger's must not show what else is on the machine in an excerpt
        let roots: Vec<PathBuf> = [path, Path::new(".")].iter().filter_map(|r| r.canonicalize().ok()).collect();
        let leads_out = |file: &Path| file.canonicalize().is_ok_and(|real| !roots.iter().any(|root| real.starts_with(root)));
        for file in found {
            match std::fs::read(&file) {
                Ok(_) if file != path && leads_out(&file) => list.push(outside(&file)),
                Err(e) => list.push(unreadable(&file, &e, path)),
                Ok(bytes) => files.add(&file, bytes, &mut list),
            }
        }
        if list.is_empty() { Ok(files) } else { Err(Problems::new(&files, list)) }
    }

    fn add(&mut self, path: &Path, bytes: Vec<u8>, list: &mut Vec<Problem>) {
        let file = self.0.len();
        let name = shown(path);
        let mut wrong = |at: usize, length: usize, what: &str, label: &str, help: &str| {
            let problem = Problem::at("source::encoding", Place::new(file, at..at + length), format!("{name} {what}"), label);
            list.push(problem.help(help));
        };
        let wide = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(e) => {
                // U+FFFD takes three bytes; the text before it is unchanged, so that the place is right
                let at = e.utf8_error().valid_up_to();
                let help = format!(
                    "save the file as UTF-8, for instance with: iconv -f {} -t utf-8",
                    if wide { "utf-16" } else { "latin1" }
                );
                wrong(at, 3, "is not UTF-8", "this byte is not valid in UTF-8", &help);
                String::from_utf8_lossy(e.as_bytes()).into_owned()
            }
        };
        // what some editors put before the text is no part of it
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        if let Some(at) = text.find('\0').filter(|_| !wide) {
            wrong(at, 1, "holds a null byte", "a null byte", "no SQL has one: save the file as UTF-8 text");
        }
        self.0.push(File { path: name, text });
    }

    /// Line and column, both from 1, of a place's start. A column is a character, not a byte.
    pub fn line_column(&self, place: &Place) -> (usize, usize) {
        let text = self.0.get(place.file).map_or("", |f| f.text.as_str());
        let before = text.get(..place.span.start).unwrap_or(text);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (line, column)
    }

    /// The text of a place.
    pub fn at(&self, place: &Place) -> &str {
        self.0.get(place.file).and_then(|f| f.text.get(place.span.clone())).unwrap_or("")
    }
}

fn outside(path: &Path) -> Problem {
    let message = format!("{} is a link that leads out of the schema and of the current folder", shown(path));
    Problem::general("source::unreadable", message)
        .help("keep a copy of the file below the schema, or run plumb in a folder above both")
}

/// A file or folder that cannot be read while those of `asked` are.
fn unreadable(path: &Path, error: &std::io::Error, asked: &Path) -> Problem {
    let help = match error.kind() {
        ErrorKind::PermissionDenied => "let the user that plumb runs as read it",
        _ if path.is_symlink() => "the link leads nowhere: remove it, or bring back what it points to",
        _ if path == asked => "name the folder or the file of the wanted schema with --schema, or as schema in plumb.toml",
        _ => "a schema is folders and files of SQL: remove what is neither",
    };
    Problem::general("source::unreadable", format!("cannot read {}: {error}", shown(path))).help(help)
}

/// All `*.sql` below `dir`. `above` holds the real paths on the way down, so that a loop of symlinks ends.
fn list(dir: &Path, above: &mut Vec<PathBuf>, found: &mut Vec<PathBuf>) -> Result<(), (PathBuf, std::io::Error)> {
    let real = dir.canonicalize().map_err(|e| (dir.to_owned(), e))?;
    if above.contains(&real) {
        return Ok(());
    }
    above.push(real);
    for entry in std::fs::read_dir(dir).map_err(|e| (dir.to_owned(), e))? {
        let path = entry.map_err(|e| (dir.to_owned(), e))?.path();
        if path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            list(&path, above, found)?;
        } else if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("sql")) {
            found.push(path);
        }
    }
    above.pop();
    Ok(())
}

/// The path relative to the current directory where it lies below it.
fn shown(path: &Path) -> String {
    let current = std::env::current_dir().unwrap_or_default();
    let short = path.strip_prefix(&current).unwrap_or(path);
    let short = short.strip_prefix(".").unwrap_or(short);
    short.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("plumb-files-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(dir.join("b/.git")).expect("makes a directory");
        dir
    }

    #[test]
    fn directories_are_read_sorted_and_loops_end() {
        let dir = directory("sorted");
        for (name, text) in [("z.sql", "z"), ("b/a.SQL", "a"), ("b/.git/x.sql", "x"), ("b/readme.md", "r")] {
            std::fs::write(dir.join(name), text).expect("writes");
        }
        std::os::unix::fs::symlink(&dir, dir.join("b/loop")).expect("links");
        let files = Files::read(&dir).expect("reads");
        assert_eq!(files.0.iter().map(|f| f.text.as_str()).collect::<Vec<_>>(), ["a", "z"]);
        std::fs::remove_dir_all(dir).expect("removes");
    }

    #[test]
    fn latin1_is_an_error_at_its_byte() {
        let dir = directory("latin1");
        std::fs::write(dir.join("a.sql"), b"-- ok\n-- caf\xe9\n").expect("writes");
        let problems = Files::read(&dir).expect_err("is not UTF-8");
        assert_eq!(problems.list[0].code, "source::encoding");
        assert_eq!(problems.files.line_column(problems.list[0].place.as_ref().expect("a place")), (2, 7));
        std::fs::remove_dir_all(dir).expect("removes");
    }

    #[test]
    fn a_byte_order_mark_is_no_text() {
        let dir = directory("mark");
        std::fs::write(dir.join("a.sql"), "\u{feff}select 1").expect("writes");
        std::fs::write(dir.join("b.sql"), b"\xff\xfes\0").expect("writes");
        let problems = Files::read(&dir).expect_err("b.sql is UTF-16");
        assert_eq!(problems.files.0[0].text, "select 1");
        assert_eq!(problems.list.len(), 1);
        assert!(problems.list[0].help.as_ref().is_some_and(|h| h.contains("utf-16")), "{problems}");
        std::fs::remove_dir_all(dir).expect("removes");
    }

    #[test]
    fn links_that_lead_nowhere_say_so() {
        let dir = directory("links");
        for (name, to) in [("x.sql", "y.sql"), ("y.sql", "x.sql"), ("z.sql", "nowhere")] {
            std::os::unix::fs::symlink(to, dir.join(name)).expect("links");
        }
        let problems = Files::read(&dir).expect_err("cannot be read");
        assert_eq!(problems.list.len(), 3);
        assert!(problems.list.iter().all(|p| p.help.as_ref().is_some_and(|h| h.contains("link"))), "{problems}");
        std::fs::remove_dir_all(dir).expect("removes");
    }

    #[test]
    fn links_stay_below_the_schema() {
        let dir = directory("outside");
        let secret = std::env::temp_dir().join(format!("plumb-files-{}-secret", std::process::id()));
        std::fs::write(&secret, "localhost:5432:*:me:secret").expect("writes");
        std::fs::write(dir.join("b/a.sql"), "select 1").expect("writes");
        std::os::unix::fs::symlink(dir.join("b/a.sql"), dir.join("inside.sql")).expect("links");
        assert_eq!(Files::read(&dir).expect("reads").0.len(), 2);
        std::os::unix::fs::symlink(&secret, dir.join("outside.sql")).expect("links");
        let problems = Files::read(&dir).expect_err("leads out");
        assert_eq!(problems.list.len(), 1);
        assert!(!format!("{problems:?}").contains("me:secret"));
        // what is named by itself is meant
        assert_eq!(Files::read(&dir.join("outside.sql")).expect("reads").0.len(), 1);
        std::fs::remove_dir_all(dir).expect("removes");
        std::fs::remove_file(secret).expect("removes");
    }

    #[test]
    fn columns_count_characters() {
        let files = Files::text("a.sql", "é\r\néx");
        assert_eq!(files.line_column(&Place::new(0, 6..7)), (2, 2));
    }
}
