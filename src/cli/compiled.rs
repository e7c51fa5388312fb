//! The wanted schema of files that were loaded before, for what is not proven: `plumb drift` every night, `plumb plan --no-prove`.
//! A proof loads them anew (docs/decisions/0019).

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use tokio::task::JoinHandle;

use super::asked::Asked;
use super::workspace::Workspace;
use crate::catalog::{Catalog, digest, digest_of_bytes, fingerprint, read_snapshot, write_compact};
use crate::change::Scope;
use crate::prove::Pair;
use crate::shadow::{Choice, Compiled, Properties};
use crate::source::directive::Directive;
use crate::source::name::Name;
use crate::source::{Files, Loaded, Place, Policy, Problems};

const CATALOG: &str = "catalog";
const LOADED: &str = "loaded";
const SETTLED: &str = "settled";
const SAME: &str = "same";

/// What loading has told, as it is kept.
#[derive(Serialize, Deserialize)]
struct Told {
    places: Vec<(Name, Place)>,
    directives: Vec<Directive>,
    notices: Vec<String>,
}

/// What else than the files makes their schema what it is.
pub struct Around {
    policy: Policy,
    properties: Properties,
    owner: String,
}

/// A live schema in which nothing differed from the wanted one: where it is found again nothing differs again, and nobody reads on.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Same {
    live: String,
    asked: Asked,
    scope: Scope,
}

/// What an earlier command has left of a wanted schema.
pub struct Found {
    loaded: Loaded,
    same: Option<Same>,
    /// None while there is one that is the same, which makes it needless.
    catalog: Option<Catalog>,
}

/// Files, where their schema is kept, and what is kept there.
pub struct Read {
    /// The files.
    pub files: Files,
    /// The place; none where nothing can be kept.
    pub place: Option<Compiled>,
    /// What is there.
    pub found: Option<Found>,
}

/// What `Read` asks for; none when scratch databases are made on a server that is not plumb's own.
pub fn around(workspace: &Workspace, shadow: Option<&str>, properties: &Properties, owner: &str) -> Option<Around> {
    let owner = workspace.config.owner.clone().unwrap_or_else(|| owner.to_owned());
    let around = Around { policy: workspace.policy(), properties: properties.clone(), owner };
    (workspace.choice(shadow).ok()? == Choice::Auto).then_some(around)
}

impl Read {
    /// Reads the files, and what is kept of them when it is told what is around them.
    pub fn new(path: &str, around: Option<&Around>) -> Result<Read, Problems> {
        let files = Files::read(Path::new(path))?;
        let place = around.and_then(|around| around.place(&files));
        let found = place.as_ref().and_then(find);
        Ok(Read { files, place, found })
    }

    /// The same in a thread, while the server reads its catalog.
    pub fn begin(path: &str, around: Around) -> Begun {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || Read::new(&path, Some(&around)))
    }
}

/// A reading in a thread.
pub type Begun = JoinHandle<Result<Read, Problems>>;

impl Around {
    /// Where the wanted schema of these files is kept.
    fn place(&self, files: &Files) -> Option<Compiled> {
        let mut key = format!("{}\n{:?}\n", self.owner, self.policy).into_bytes();
        for file in &files.0 {
            key.extend_from_slice(format!("{:?} {}\n", file.path, file.text.len()).as_bytes());
            key.extend_from_slice(file.text.as_bytes());
        }
        Compiled::new(&self.properties, &key)
    }
}

/// What is kept there.
fn find(place: &Compiled) -> Option<Found> {
    let told: Told = serde_json::from_str(&place.find(LOADED)?).ok()?;
    let same = same(place);
    let catalog = if same.is_some() { None } else { Some(catalog(place)?) };
    let (places, directives, notices) = (told.places.into_iter().collect(), told.directives, told.notices);
    Some(Found { loaded: Loaded { places, directives, notices, ..Loaded::default() }, same, catalog })
}

fn same(place: &Compiled) -> Option<Same> {
    serde_json::from_str(&place.find(SAME)?).ok()
}

fn catalog(place: &Compiled) -> Option<Catalog> {
    read_snapshot(&place.find(CATALOG)?).ok()
}

impl Found {
    /// The wanted schema, and what loading has told.
    pub fn wanted(self, place: &Compiled, live: &Catalog, asked: &Asked) -> Option<(Catalog, Loaded)> {
        let same =
            self.same.filter(|same| same.asked == *asked && same.live == picture(live)).map(|same| (same.scope.of(live), same));
        let same = same.filter(|(wanted, same)| asked.scope(wanted) == same.scope).map(|(wanted, _)| wanted);
        tracing::info!(same = same.is_some(), "the wanted schema was kept by an earlier command");
        Some((same.or(self.catalog).or_else(|| catalog(place))?, self.loaded))
    }
}

/// All of a live schema that is ever compared.
fn picture(live: &Catalog) -> String {
    digest(&(fingerprint(live), &live.unmanaged))
}

/// Keeps that nothing differs from this live schema.
pub fn keep_same(place: &Compiled, live: &Catalog, asked: &Asked, scope: &Scope) {
    let same = Same { live: picture(live), asked: asked.clone(), scope: scope.clone() };
    if self::same(place).as_ref() != Some(&same)
        && let Ok(text) = serde_json::to_string(&same)
    {
        place.keep(SAME, &text);
    }
}

/// Keeps it.
pub fn keep(place: &Compiled, catalog: &Catalog, loaded: &Loaded) {
    let places = loaded.places.iter().map(|(name, place)| (name.clone(), place.clone())).collect();
    let told = Told { places, directives: loaded.directives.clone(), notices: loaded.notices.clone() };
    if let Ok(text) = serde_json::to_string(&told) {
        place.keep(LOADED, &text);
        place.keep(CATALOG, &write_compact(catalog));
    }
}

/// Pairs of texts that mean the same, as the server has said in earlier commands.
pub fn settled(place: &Compiled) -> BTreeSet<String> {
    place.find(SETTLED).map(|text| text.lines().map(str::to_owned).collect()).unwrap_or_default()
}

/// Keeps these too.
pub fn keep_settled(place: &Compiled, known: &BTreeSet<String>) {
    let lines: Vec<&str> = known.iter().map(String::as_str).collect();
    place.keep(SETTLED, &lines.join("\n"));
}

/// What a pair is kept under.
pub fn mark(pair: &Pair) -> String {
    digest_of_bytes(serde_json::json!([pair.left, pair.right]).to_string().as_bytes())
}
