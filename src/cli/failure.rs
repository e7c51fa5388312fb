//! Everything that can be wrong, on its way to the person: an exit code and one or more diagnostics.

use std::io::Write;

use crate::diagnostic;
use crate::exit_code::{ERROR, REFUSED};
use crate::introspect::IntrospectError;
use crate::pg::{ConnectError, TargetError};
use crate::plan::{MakeError, PlanError};
use crate::prove::{ProveError, RenameError};
use crate::shadow::ShadowError;
use crate::source::Problems;

/// A command that did not do what it was asked for.
pub struct Failure {
    exit: u8,
    reports: Vec<miette::Report>,
    tail: Option<String>,
}

impl Failure {
    /// A failure with a code such as `apply::busy`.
    pub fn new(code: &str, message: impl Into<String>) -> Failure {
        Failure::from_report(diagnostic::general(code, message.into(), None))
    }

    fn from_report(report: miette::Report) -> Failure {
        Failure { exit: ERROR, reports: vec![report], tail: None }
    }

    /// What the server answered.
    pub fn from_server(code: &str, error: &tokio_postgres::Error) -> Failure {
        let (message, _) = crate::apply::run::server_message(error);
        Failure::new(code, message)
    }

    /// The same with advice.
    pub fn help(mut self, help: impl Into<String>) -> Failure {
        if let Some(report) = self.reports.pop() {
            let code = report.code().map_or(String::new(), |c| c.to_string());
            self.reports.push(diagnostic::general(&code, report.to_string(), Some(help.into())));
        }
        self
    }

    /// The same with another exit code.
    pub fn exit(self, exit: u8) -> Failure {
        Failure { exit, ..self }
    }

    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        self.exit
    }

    /// Code and words of the first that is wrong.
    pub fn first(&self) -> Option<(String, String)> {
        self.reports.first().map(|r| (r.code().map_or(String::new(), |c| c.to_string()), r.to_string()))
    }

    /// Prints it on standard error and gives the exit code.
    pub fn show(self, color: bool) -> u8 {
        use std::io::IsTerminal;
        let color = color && std::io::stderr().is_terminal();
        for (n, report) in self.reports.iter().enumerate() {
            if n > 0 {
                eprintln!();
            }
            eprintln!(
                "{}",
                diagnostic::render(report, color, super::terminal::width(std::io::stderr()).clamp(40, 100)).trim_end()
            );
        }
        if let Some(tail) = &self.tail {
            eprintln!("\n{tail}");
        }
        self.exit
    }
}

/// Prints a result on standard output; a reader that has gone away is no error.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new("system::output", format!("the result cannot be written: {e}")))
        }
        _ => Ok(()),
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Failure {
        let tail = diagnostic::count(&problems);
        Failure { exit: ERROR, reports: diagnostic::source_problems(&problems), tail: Some(tail) }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Failure {
        Failure::from_report(diagnostic::connect(&error))
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Failure {
        Failure::from_report(diagnostic::target(&error))
    }
}

impl From<ShadowError> for Failure {
    fn from(error: ShadowError) -> Failure {
        Failure::from_report(diagnostic::shadow(&error))
    }
}

impl From<ProveError> for Failure {
    fn from(error: ProveError) -> Failure {
        match error {
            ProveError::Introspect(error) => error.into(),
            ProveError::Shadow(error) => error.into(),
        }
    }
}

impl From<RenameError> for Failure {
    fn from(error: RenameError) -> Failure {
        match error {
            RenameError::Introspect(error) => error.into(),
            RenameError::Shadow(error) => error.into(),
            RenameError::Copy(why) => Failure::new("rename::copy", format!("no copy of the live schema can be made to rename on: {why}"))
                .help("what has another name now is not known without one, and nothing is dropped instead. Bring the live schema to what plumb can build, or rename by hand and remove the directives"),
            error => Failure::new("rename::refused", error.to_string()),
        }
    }
}

impl From<IntrospectError> for Failure {
    fn from(error: IntrospectError) -> Failure {
        let exit = if matches!(error, IntrospectError::Busy) { REFUSED } else { ERROR };
        Failure::from_report(diagnostic::introspect(&error)).exit(exit)
    }
}

impl From<MakeError> for Failure {
    fn from(error: MakeError) -> Failure {
        match &error {
            MakeError::Cycle(cycle) => Failure::from_report(diagnostic::cycle(cycle)),
            MakeError::Blocked(_) if error.to_string().contains(crate::plan::PUT_ASIDE_BEFORE) => Failure::new("change::blocked", error.to_string())
                .help("what was put aside instead of being dropped is never touched by a plan: `plumb purge` lists it, and drops it when that is wanted"),
            MakeError::Blocked(_) => Failure::new("change::blocked", error.to_string())
                .help("what is outside the scope is never touched: widen it with --scope or bring that schema into the files. A column is never dropped for the sake of its type: give the new type another name and change the column to it"),
        }
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Failure {
        Failure::from_report(diagnostic::plan(&error))
    }
}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Failure {
        Failure::from_report(diagnostic::config(&error))
    }
}
