//! What a command is told of the scope, and the scope that it comes to.

use serde::{Deserialize, Serialize};

use super::workspace::Workspace;
use crate::catalog::Catalog;
use crate::change::Scope;

/// What the command line and the configuration say.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Asked {
    schemas: Vec<String>,
    quarantine: Option<String>,
}

impl Asked {
    /// What is `stated` on the command line goes before the configuration.
    pub fn new(workspace: &Workspace, stated: &[String]) -> Asked {
        Asked { schemas: workspace.schemas(stated).to_vec(), quarantine: workspace.config.quarantine_schema.clone() }
    }

    /// The scope of a wanted schema; outside of it is what was put aside.
    pub fn scope(&self, wanted: &Catalog) -> Scope {
        let scope = Scope::new(wanted, &self.schemas);
        match &self.quarantine {
            Some(schema) => scope.with_quarantine(schema),
            None => scope,
        }
    }
}
