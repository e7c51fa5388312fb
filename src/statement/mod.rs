//! One SQL statement and what is declared of it: locks, rewrites, losses, and how it stands to transactions. Pure.

mod batches;
mod effect;
mod lock_mode;
mod online;
mod protect;
mod row_check;

pub use batches::{BATCH, Batches};
pub use effect::{Effect, Loss, Reach, Transaction};
pub use lock_mode::LockMode;
pub use online::Online;
pub use protect::Protect;
pub use row_check::RowCheck;

/// A statement that changes a database, with its declared facts.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// The SQL, without the closing semicolon.
    pub sql: String,
    /// How it stands to transactions.
    pub transaction: Transaction,
    /// Relations that existed before and that it locks, as SQL names.
    pub locks: Vec<(String, LockMode)>,
    /// How far it goes beyond these relations, and how it locks what it finds there.
    pub reaches: Vec<(String, Reach, LockMode)>,
    /// Relations that it writes anew (a new relfilenode), as SQL names.
    pub rewrites: Vec<String>,
    /// Relations that it reads in full while it holds its locks, as SQL names.
    pub scans: Vec<String>,
    /// What the rows that stand have to be like for it to succeed.
    pub needs: Vec<RowCheck>,
    /// What cannot be had back by running the reverse.
    pub losses: Vec<Loss>,
    /// What takes it back by itself, where it is one of several that make one change.
    pub back: Option<String>,
    /// How it is cut into batches, when it gives rows their values.
    pub batches: Option<Batches>,
    /// Whether what rests on the change does not wait for it: it only helps (`ANALYZE`).
    pub late: bool,
    /// Whether the object is with it what it becomes: what is taken down for the change goes no earlier and comes back with it,
    /// and what comes after it in the same step nobody waits for.
    pub turns: bool,
    /// What a reviewer should know besides, as sentences.
    pub warnings: Vec<String>,
}

impl Statement {
    /// A statement that runs inside a transaction and locks nothing that existed before.
    pub fn new(sql: impl Into<String>) -> Statement {
        Statement {
            sql: sql.into(),
            transaction: Transaction::Inside,
            locks: Vec::new(),
            reaches: Vec::new(),
            rewrites: Vec::new(),
            scans: Vec::new(),
            needs: Vec::new(),
            losses: Vec::new(),
            back: None,
            batches: None,
            late: false,
            turns: false,
            warnings: Vec::new(),
        }
    }

    /// Adds a lock on a relation.
    pub fn lock(mut self, relation: impl Into<String>, mode: LockMode) -> Statement {
        self.locks.push((relation.into(), mode));
        self
    }

    /// What it does to each relation that it locks so far, it does to the partitions of that too.
    pub fn partitions(self) -> Statement {
        self.reach(Reach::Partitions)
    }

    /// It goes to the partitions of a relation too, and locks them in another mode than the relation.
    pub fn partitions_in(mut self, relation: impl Into<String>, mode: LockMode) -> Statement {
        self.reaches.push((relation.into(), Reach::Partitions, mode));
        self
    }

    /// It locks the DEFAULT partition of a table, too.
    pub fn default_of(mut self, table: impl Into<String>, mode: LockMode) -> Statement {
        self.reaches.push((table.into(), Reach::Default, mode));
        self
    }

    /// What it does to each relation that it locks so far, it does to its partitions and to the tables that inherit from it.
    pub fn heirs(self) -> Statement {
        self.reach(Reach::Heirs)
    }

    fn reach(mut self, reach: Reach) -> Statement {
        self.reaches = self.locks.iter().map(|(relation, mode)| (relation.clone(), reach, *mode)).collect();
        self
    }

    /// Adds a full read of a relation.
    pub fn scan(mut self, relation: impl Into<String>) -> Statement {
        self.scans.push(relation.into());
        self
    }

    /// Adds a rewrite of a relation.
    pub fn rewrite(mut self, relation: impl Into<String>) -> Statement {
        self.rewrites.push(relation.into());
        self
    }

    /// Adds conditions on the rows that stand.
    pub fn needs(mut self, checks: impl IntoIterator<Item = RowCheck>) -> Statement {
        self.needs.extend(checks);
        self
    }

    /// Adds a loss.
    pub fn loses(mut self, loss: Loss) -> Statement {
        self.losses.push(loss);
        self
    }

    /// It cannot run inside a transaction block.
    pub fn alone(mut self) -> Statement {
        self.transaction = Transaction::Alone;
        self
    }

    /// It runs in a transaction of its own.
    pub fn own(mut self) -> Statement {
        self.transaction = Transaction::Own;
        self
    }

    /// What takes it back.
    pub fn back(mut self, sql: impl Into<String>) -> Statement {
        self.back = Some(sql.into());
        self
    }

    /// It gives rows their values.
    pub fn batches(mut self, batches: Batches) -> Statement {
        self.batches = Some(batches);
        self
    }

    /// The object is now what it becomes.
    pub fn turns(mut self) -> Statement {
        self.turns = true;
        self
    }

    /// Nothing waits for it.
    pub fn late(mut self) -> Statement {
        self.late = true;
        self
    }

    /// What it does is visible to later statements only after a commit (`ALTER TYPE ... ADD VALUE`).
    pub fn commit_after(mut self) -> Statement {
        self.transaction = Transaction::CommitAfter;
        self
    }
}
