//! The schemas that others have written, loaded as scripts and as declarative files, and their dumps in any order.

use super::*;

/// An extension that the files make and the server of this run has not.
async fn lacks(client: &Client, files: &Files) -> Option<String> {
    let query = "SELECT m[1] FROM regexp_matches($1, 'CREATE EXTENSION IF NOT EXISTS \"?([\\w-]+)', 'g') AS m \
                 WHERE m[1] NOT IN (SELECT name FROM pg_available_extensions)";
    let text: String = files.0.iter().map(|f| f.text.as_str()).collect();
    client.query_opt(&format!("{query} LIMIT 1"), &[&text]).await.expect("asks").map(|row| row.get(0))
}

#[tokio::test]
async fn corpora_load() {
    let Ok(entries) = std::fs::read_dir(format!("{SHARED}/corpora")) else {
        return eprintln!("skipped: {SHARED} is not there");
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path().join("schema.sql")).filter(|p| p.exists()).collect();
    paths.sort();
    let _alone = alone().await;
    let mut wrong = Vec::new();
    for path in paths {
        let files = Files::read(&path).unwrap_or_else(|p| panic!("{p}"));
        for (mode, policy) in [
            ("script", Policy::trusted_script()),
            ("declarative", Policy { allow_do: true, allow_superuser: true, ..Policy::default() }),
        ] {
            let s = scratch("corpus").await;
            if let Some(extension) = lacks(&s.administrator, &files).await {
                eprintln!("{}: skipped, this server has no extension {extension}", path.display());
                continue;
            }
            if policy.script {
                // code in DO blocks names it
                s.administrator.batch_execute("CREATE ROLE postgres SUPERUSER").await.expect("makes a role");
            }
            let started = std::time::Instant::now();
            // migrations run code that wants rights of its own
            let result = if policy.script {
                load_statements(&s.administrator, None, &files, &policy).await
            } else {
                load_statements(&s.loader, Some(&s.administrator), &files, &policy).await
            };
            let name = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
            match &result {
                Ok(l) => eprintln!("{name} {mode}: loaded in {:?}; {:?}", started.elapsed(), l.notices),
                Err(p) => eprintln!("{name} {mode}: {} problems, {} following\n{p}", p.list.len(), p.following.len()),
            }
            if result.is_err() && policy.script {
                wrong.push(name);
            }
            drop(s);
            drop_roles("corpus").await;
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn dump(database: &str) -> String {
    let host = server().directory.display().to_string();
    let args = ["-h", &host, "-U", "plumb_root", "-s", "--no-owner", "--no-publications", database];
    let output = Command::new(format!("{}/pg_dump", bin())).args(args).output().expect("dumps");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A dump without its order: sorted lines, as what stands where differs.
fn lines(dump: &str) -> Vec<String> {
    let mut lines: Vec<String> =
        dump.lines().map(|l| l.trim_end_matches(',').to_owned()).filter(|l| !l.starts_with('\\')).collect();
    lines.sort();
    lines
}

/// Every statement of a dump in a file of its own, last one first.
fn reversed(dump: &str) -> Files {
    let files = Files::text("dump.sql", dump);
    let mut parsed = Vec::new();
    let problems = split::split(&files, 0, &mut |p| parsed.push(p));
    assert!(problems.is_empty(), "{problems:?}");
    let file = |(i, p): (usize, &split::Parsed)| File {
        path: format!("{i}.sql"),
        text: format!("SELECT pg_catalog.set_config('search_path', '', false);\n{};", p.sql),
    };
    // of rights the last word counts, so these keep their order
    let (rights, others): (Vec<_>, Vec<_>) =
        parsed.iter().partition(|p| p.sql.starts_with("GRANT") || p.sql.starts_with("REVOKE"));
    Files(others.into_iter().rev().chain(rights).enumerate().map(file).collect())
}

#[tokio::test]
async fn dumps_of_the_corpora_load_in_any_order() {
    let Ok(entries) = std::fs::read_dir(format!("{SHARED}/corpora")) else {
        return eprintln!("skipped: {SHARED} is not there");
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path().join("schema.sql")).filter(|p| p.exists()).collect();
    paths.sort();
    let _alone = alone().await;
    let policy = Policy { allow_superuser: true, ..Policy::default() };
    let mut wrong = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        let s = scratch("original").await;
        let files = Files::read(&path).unwrap_or_else(|p| panic!("{p}"));
        if let Some(extension) = lacks(&s.administrator, &files).await {
            eprintln!("{name}: skipped, this server has no extension {extension}");
            continue;
        }
        s.administrator.batch_execute("CREATE ROLE postgres SUPERUSER").await.expect("makes a role");
        load_statements(&s.administrator, None, &files, &Policy::trusted_script()).await.unwrap_or_else(|p| panic!("{p}"));
        // a superuser's, in whose place a private cluster has an ordinary role
        let original = dump("original").replace("FOR ROLE plumb_root ", "FOR ROLE postgres ");
        drop(s);
        drop_roles("original").await;
        let mut first: Option<Vec<String>> = None;
        for (order, files) in [("as dumped", Files::text("dump.sql", &original)), ("reversed", reversed(&original))] {
            let s = scratch("again").await;
            let started = std::time::Instant::now();
            match load_statements(&s.loader, Some(&s.administrator), &files, &policy).await {
                Err(p) => wrong.push(format!("{name} {order}: {} problems, {} following\n{p}", p.list.len(), p.following.len())),
                Ok(loaded) => {
                    let took = started.elapsed();
                    let (b, a) = (lines(&dump("again")), first.take());
                    // a dump of a dump may write expressions another way, so the first loading is what the second must equal
                    let a = a.unwrap_or_else(|| b.clone());
                    let only =
                        |x: &[String], y: &[String]| x.iter().filter(|l| !y.contains(l)).take(8).cloned().collect::<Vec<_>>();
                    if a != b {
                        wrong.push(format!("{name} {order} differs: -{:#?} +{:#?}", only(&a, &b), only(&b, &a)));
                    }
                    first = Some(b);
                    eprintln!("{name} {order}: {took:?} {:?}", loaded.notices);
                }
            }
            drop(s);
            drop_roles("again").await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
