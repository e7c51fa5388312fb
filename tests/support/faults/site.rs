//! A database to apply one plan to, again and again, each time from the start; and what everything looks like when nobody disturbs
//! that.

use super::command::{Done, Place};
use super::disk::Disk;
use super::server;
use super::throwaway::{Throwaway, send};
use super::truth::{self, Truth};
use rustix::process::Signal;
use std::fs::File;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How long one plumb may take. It is killed then, and that is a failure.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long somebody may be told that another plumb is at work which is not there any more.
const BUSY: Duration = Duration::from_secs(60);
/// The plan, in the folder.
const PLAN: &str = "plan.json";

/// What plan it is.
#[derive(Clone, Copy)]
pub struct Script<'a> {
    /// What makes the database that the plan is made for.
    pub before: &'a str,
    /// The wanted schema.
    pub after: &'a str,
    pub config: &'a str,
}

/// A worker's own database with a plan for it.
pub struct Site<'a> {
    pub server: &'a Throwaway,
    /// Where copies are made: on a server that runs all the time.
    shadow: String,
    pub name: String,
    pub place: Place,
    pub truth: Truth,
    /// What else is said where the database is made.
    pub with: String,
    /// Where the database is, when that is a small disk.
    pub disk: Option<Disk>,
}

async fn administer(server: &Throwaway, statements: &[String]) -> Result<(), String> {
    let session = server.session("template1").await;
    for sql in statements {
        session.client.batch_execute(sql).await.map_err(|e| format!("{sql}: {}", server::message(&e)))?;
    }
    session.close().await;
    Ok(())
}

/// plumb at work.
pub struct Running {
    child: Child,
    out: [std::path::PathBuf; 2],
    begun: Instant,
}

impl<'a> Site<'a> {
    /// Makes the database and the plan, and applies it once undisturbed.
    pub async fn new((server, copies): (&'a Throwaway, &Throwaway), name: &str, script: Script<'_>) -> Result<Site<'a>, String> {
        let place = Place::new(name);
        let from = format!("{name}_from");
        let drop = format!("DROP DATABASE IF EXISTS {from} WITH (FORCE)");
        administer(server, &[drop, format!("CREATE DATABASE {from} TEMPLATE template0")]).await?;
        let session = server.session(&from).await;
        session.client.batch_execute(script.before).await.map_err(|e| server::message(&e))?;
        session.close().await;
        place.write("schema/all.sql", script.after);
        place.write("plumb.toml", script.config);
        let shadow = copies.url("template1");
        let mut site =
            Site { server, shadow, name: name.to_owned(), place, truth: Truth::default(), with: String::new(), disk: None };
        site.fresh().await?;
        let url = server.url(name);
        let made = site.run(&["plan", "--db", &url, "--out", PLAN, "--online", "always", "--shadow", &site.shadow]);
        if made.exit != 2 {
            return Err(format!("the plan: {made:?}"));
        }
        let applied = site.apply(&url).end()?;
        if applied.exit != 0 {
            return Err(format!("undisturbed: {applied:?}"));
        }
        site.truth = truth::read(server, name).await?;
        site.truth.sound()?;
        Ok(site)
    }

    /// Where copies are made.
    pub fn shadow(&self) -> &str {
        &self.shadow
    }

    /// From now on the database is on a small disk, if one can be mounted.
    pub async fn on_small_disk(&mut self) -> Result<(), String> {
        let Some(disk) = Disk::new(&self.server.directory().join(format!("{}-disk", self.name))) else { return Ok(()) };
        let make = format!("CREATE TABLESPACE {}_disk LOCATION '{}'", self.name, disk.space().display());
        administer(self.server, &[make]).await?;
        (self.with, self.disk) = (format!(" TABLESPACE {}_disk", self.name), Some(disk));
        Ok(())
    }

    /// The database as it was before the plan.
    pub async fn fresh(&self) -> Result<(), String> {
        let Site { name, .. } = self;
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        administer(self.server, &[drop, format!("CREATE DATABASE {name} TEMPLATE {name}_from{}", self.with)]).await
    }

    /// The words of an apply by way of a URL.
    fn words(&self, url: &str) -> Vec<String> {
        let words = ["apply", PLAN, "--db", url, "--yes", "--allow", "all", "--shadow"];
        words.iter().map(ToString::to_string).chain([self.shadow.clone()]).collect()
    }

    fn run(&self, words: &[&str]) -> Done {
        self.place.plumb(words)
    }

    /// Starts the apply.
    pub fn apply(&self, url: &str) -> Running {
        self.start(&self.words(url))
    }

    /// The same with more words.
    pub fn apply_with(&self, url: &str, more: &[&str]) -> Running {
        self.start(&self.words(url).into_iter().chain(more.iter().map(ToString::to_string)).collect::<Vec<_>>())
    }

    /// Starts plumb with these words.
    pub fn start(&self, words: &[String]) -> Running {
        static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let out = ["out", "err"].map(|kind| self.place.path().join(format!("{number}.{kind}")));
        let files = out.each_ref().map(|path| File::create(path).unwrap());
        let [stdout, stderr] = files.map(Stdio::from);
        let child = self.place.command(words).stdout(stdout).stderr(stderr).spawn().unwrap();
        Running { child, out, begun: Instant::now() }
    }

    /// Applies the plan until it is applied. Only that another plumb seems to be at work may stand in the way, for a while.
    pub fn converge(&self) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let done = self.apply(&self.server.url(&self.name)).end()?;
            match done.exit {
                0 => return Ok(()),
                3 if done.stderr.contains("apply::busy") && begun.elapsed() < BUSY => {
                    std::thread::sleep(Duration::from_millis(250))
                }
                _ => return Err(format!("once more, undisturbed: {}", told(&done))),
            }
        }
    }

    /// Everything that has to be as if nobody had disturbed it.
    pub async fn check(&self) -> Result<(), String> {
        truth::nothing_left(self.server, &self.name).await?;
        let found = truth::read(self.server, &self.name).await?;
        found.sound()?;
        self.truth.same(&found)
    }
}

/// What a plumb said, for a report.
pub fn told(done: &Done) -> String {
    let said = [done.stdout.trim(), done.stderr.trim()].join("\n");
    // Of a long plan the end tells.
    let lines: Vec<&str> = said.lines().collect();
    format!("exit {}\n{}", done.exit, lines[lines.len().saturating_sub(25)..].join("\n"))
}

impl Running {
    /// For how long it has run.
    pub fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends it a signal, unless it has ended.
    pub fn signal(&mut self, signal: Signal) {
        if !self.has_ended() {
            send(self.child.id(), signal);
        }
    }

    /// Waits for its end; an error when it does not come.
    pub fn end(mut self) -> Result<Done, String> {
        while !self.has_ended() {
            if self.age() > PATIENCE {
                self.signal(Signal::KILL);
                self.child.wait().unwrap();
                return Err(format!("it hangs: {}", told(&self.done(-1))));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let exit = self.child.wait().unwrap().code().unwrap_or(-1);
        Ok(self.done(exit))
    }

    fn done(&self, exit: i32) -> Done {
        let [stdout, stderr] = self.out.each_ref().map(|path| std::fs::read_to_string(path).unwrap_or_default());
        self.out.iter().for_each(|path| _ = std::fs::remove_file(path));
        Done { exit, stdout, stderr }
    }
}
