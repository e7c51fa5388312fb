//! What a command works with: configuration, progress, and a shadow that is opened when it is first needed.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use super::arguments::{Arguments, Database, Wanted};
use super::events::Events;
use super::failure::{self, Failure};
use super::progress::Progress;
use super::stop::Stop;
use crate::config::{self, Config, Environment};
use crate::introspect::Seen;
use crate::kind::quarantine::SCHEMA;
use crate::pg::{self, Target};
use crate::shadow::{Choice, Properties, STATEMENT_TIMEOUT, Scratch, Shadow};
use crate::source::Policy;
use crate::statement::Protect;

/// The state of one command.
pub struct Workspace {
    /// plumb.toml.
    pub config: Config,
    /// What is shown of the work.
    pub progress: Progress,
    /// Whether to colour.
    pub color: bool,
    /// The last step that is committed in the live database; 0 while there is none.
    pub applied: Rc<Cell<u32>>,
    /// Who wants a run to stop.
    pub stop: Stop,
    /// The step whose rows are being given their values, and how many have theirs.
    pub filled: Rc<Cell<Option<(u32, u64)>>>,
    /// How long it took to ask the rows what each step needs of them.
    pub asked: RefCell<BTreeMap<u32, Duration>>,
    /// What machines are told of it.
    pub events: Events,
    /// What has been read of any database.
    pub seen: Seen,
    shadow: Option<Shadow>,
}

impl Workspace {
    /// Reads the configuration; what the named environment says goes before what is said for all.
    pub fn new(arguments: &Arguments) -> Result<Workspace, Failure> {
        let mut config = config::load(arguments.config.as_deref())?;
        if let Some(name) = arguments.environment() {
            let environment = config.environment(name)?;
            config.shadow = environment.shadow.or(config.shadow);
            config.owner = environment.owner.or(config.owner);
            config.max_age = environment.max_age.or(config.max_age);
            config.require_approval = environment.require_approval.or(config.require_approval);
        }
        Ok(Workspace {
            config,
            progress: Progress::new(arguments.verbose, arguments.quiet),
            color: arguments.color(),
            applied: Rc::default(),
            stop: Stop::default(),
            filled: Rc::default(),
            asked: RefCell::default(),
            events: Events::default(),
            seen: Seen::default(),
            shadow: None,
        })
    }

    /// The text that says where the live database is: `--db`, the environment, `DATABASE_URL`.
    pub fn database(&self, options: &Database) -> Result<Option<String>, Failure> {
        if options.db.is_some() {
            return Ok(options.db.clone());
        }
        let named = self.environment(options.env.as_deref())?;
        // plumb needs sessions of its own, which a pooler may not give.
        if let Some(url) = named.and_then(|e| e.direct_url.or(e.url)) {
            return Ok(Some(url));
        }
        Ok(std::env::var("DATABASE_URL").ok().filter(|u| !u.is_empty()))
    }

    /// The environment of the configuration with this name.
    pub fn environment(&self, name: Option<&str>) -> Result<Option<Environment>, Failure> {
        Ok(name.map(|name| self.config.environment(name)).transpose()?)
    }

    /// The wanted schema's place: `--schema`, the environment's, the configuration's, `schema/`.
    pub fn schema(&self, wanted: &Wanted, env: Option<&str>) -> Result<String, Failure> {
        let environment = self.environment(env)?.and_then(|e| e.schema);
        Ok(wanted.schema.clone().or(environment).unwrap_or_else(|| self.config.schema.clone()))
    }

    /// Where scratch databases are made: `--shadow`, the configuration's, a private server.
    pub fn choice(&self, stated: Option<&str>) -> Result<Choice, Failure> {
        let Some(text) = stated.or(self.config.shadow.as_deref()) else { return Ok(Choice::Auto) };
        let choice = Choice::parse(text);
        if matches!(&choice, Choice::Url(url) if !url.contains("://") && !url.contains('=')) {
            return Err(Failure::new("shadow::choice", "the shadow is neither auto nor target nor a connection string")
                .help("--shadow auto starts a private server here, target uses the live server, a URL names another one"));
        }
        Ok(choice)
    }

    /// What scratch databases are like when no live database says it: as on the server that is named for them, else the
    /// newest that this machine has.
    pub async fn properties(&self, stated: Option<&str>) -> Result<Properties, Failure> {
        let Choice::Url(url) = self.choice(stated)? else { return Ok(Properties::default()) };
        let session = pg::connect(&Target::parse(&url)?).await?;
        let properties = Properties::read(&session).await.map_err(|e| Failure::from_server("connect::other", &e));
        session.close().await;
        properties
    }

    /// The schema in which tables are put aside, where they are.
    pub fn quarantine(&self, protect: Protect) -> Option<String> {
        let schema = || self.config.quarantine_schema.clone().unwrap_or_else(|| SCHEMA.to_owned());
        (protect == Protect::Quarantine).then(schema)
    }

    /// The schemas in scope as they are said: on the command line before the configuration; none where nobody says any.
    pub fn schemas<'a>(&'a self, stated: &'a [String]) -> &'a [String] {
        if stated.is_empty() { &self.config.scope.schemas } else { stated }
    }

    /// What SQL that a stranger may have written is allowed to do.
    pub fn policy(&self) -> Policy {
        let screen = &self.config.screen;
        Policy {
            allow_do: screen.allow_do,
            allow_languages: screen.allow_languages.clone(),
            allow_extensions: screen.allow_extensions.clone(),
            statement_timeout: screen.statement_timeout.unwrap_or(STATEMENT_TIMEOUT),
            allow_superuser: screen.allow_superuser,
            ..Policy::default()
        }
    }

    /// A scratch database whose loading role is called `owner`.
    pub async fn scratch(
        &mut self,
        choice: Option<&str>,
        properties: &Properties,
        target: Option<&Target>,
        owner: &str,
        roles: &BTreeSet<String>,
    ) -> Result<Scratch, Failure> {
        let shadow = match self.shadow.take() {
            Some(shadow) => shadow,
            None => Shadow::open(&self.choice(choice)?, properties, target).await?,
        };
        // It stays here while it works: interrupted, its own session takes away what it was about to make.
        let shadow = self.shadow.insert(shadow);
        let mut scratch = shadow.scratch(properties, owner, roles).await?;
        scratch.statement_timeout = self.policy().statement_timeout;
        Ok(scratch)
    }

    /// Tells a person the result: on standard output, or beside it when events go there.
    pub fn say(&self, text: &str) -> Result<(), Failure> {
        if self.events.take_output() {
            eprint!("{text}");
            return Ok(());
        }
        failure::print(text)
    }

    /// Stops what was started.
    pub async fn close(self) {
        self.progress.report();
        if let Some(shadow) = self.shadow
            && let Err(e) = shadow.close().await
        {
            eprintln!("plumb: {e}");
        }
    }
}
