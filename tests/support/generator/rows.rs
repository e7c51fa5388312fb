//! A few rows for the tables of a model.

use super::model::*;

impl Model {
    /// Statements that add rows, each for itself: one that a check refuses adds none.
    pub fn rows(&self) -> Vec<String> {
        let mut list = Vec::new();
        for table in self.keys(|w| matches!(w, What::Table(t) if t.of.is_none())) {
            let settable = |k: &Key| self.column(*k).is_some_and(|c| c.generated.is_none() && c.identity != Some(true));
            let columns: Vec<Key> = self.columns(table).into_iter().filter(settable).collect();
            for n in 1..4 {
                let values: Vec<String> = columns.iter().map(|k| self.literal(&self.type_of(*k), n)).collect();
                if !columns.is_empty() {
                    list.push(format!(
                        "INSERT INTO {} ({}) VALUES ({})",
                        self.full(table),
                        self.names(&columns),
                        values.join(", ")
                    ));
                }
            }
        }
        list
    }
}
