//! What the files say has to be true before an object is changed (`-- plumb: assert`), at the first step that touches it.

use std::collections::BTreeSet;

use super::document::Plan;
use crate::catalog::Id;

impl Plan {
    /// Gives each assertion to the first step on what it stands above. `asserted` tells those about an object, each with the number of
    /// its directive.
    pub fn asserting(mut self, asserted: &dyn Fn(&Id) -> Vec<(usize, String)>) -> Plan {
        let mut given = BTreeSet::new();
        for step in self.groups.iter_mut().flat_map(|g| &mut g.steps) {
            let new = asserted(&step.object).into_iter().filter(|(directive, _)| given.insert(*directive));
            step.asserts = new.map(|(_, query)| query).collect();
        }
        if given.is_empty() { self } else { self.seal() }
    }
}
