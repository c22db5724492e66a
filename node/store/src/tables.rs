//! redb's side of a store: its tables, what is seen over them, and the taking over of what the log holds.
//!
//! Promises: a takeover is one durable commit, which says with its rows up to which batch of the log it
//! holds them; readers see what they saw until it is done, and the same rows after. One transaction at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{Database, ReadTransaction, ReadableDatabase, TableDefinition, TableError};
use starling_crdt::id::StoreId;
use starling_crdt::store::{StoreError, Table, WriteBatch};

use crate::SCHEMA_VERSION;
use crate::fault::store_error;
use crate::generation::Refusal;
use crate::open::WhenMissing;
use crate::seen::Seen;

/// Name of the table that says what this file is; every other table belongs to the contract.
pub(crate) const IDENTITY_NAME: &str = "starling";
const IDENTITY: TableDefinition<'static, &str, &[u8]> = TableDefinition::new(IDENTITY_NAME);
/// Row of [`IDENTITY`]: version of the tables' layout, 4 bytes, big-endian.
const SCHEMA: &str = "schema";
/// Row of [`IDENTITY`]: the store's id.
const ID: &str = "id";
/// Row of [`IDENTITY`]: number of the last batch of the log that the tables hold, 8 bytes, big-endian;
/// absent while that is none.
const KEPT: &str = "kept";

/// How redb commits. After a kill it compares the pages of its newest commit with their checksums; what
/// it does where they do not fit depends on how that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phases {
    /// With one sync: it goes back to the commit before, since the new one may have been cut short. For what
    /// the log holds still.
    One,
    /// With two: it says so, since the commit was whole before it became the newest. For what nothing else
    /// holds.
    Two,
}

/// What a store says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) id: StoreId,
    /// Number of the last batch of the log that redb holds.
    pub(crate) kept: u64,
}

/// What redb holds, and what is seen of the store.
pub(crate) struct Tables {
    /// What is read; `None` only while nothing may be. Ends before the database may.
    seen: RwLock<Option<Seen>>,
    database: Database,
    /// Whether there is a log, whose batches have numbers.
    logs: bool,
    failed: AtomicBool,
    /// A takeover failed, and nobody has learned of it yet.
    lost_a_takeover: AtomicBool,
}

impl Tables {
    /// The tables of a database, which is found out to be a store or made one.
    pub(crate) fn open(
        database: Database,
        missing: WhenMissing,
        logs: bool,
    ) -> Result<(Self, Identity), Refusal> {
        let identity = identify(&database, missing)?;
        let (failed, lost_a_takeover) = <(AtomicBool, AtomicBool)>::default();
        let tables = Self { seen: RwLock::default(), database, logs, failed, lost_a_takeover };
        let pages = tables.pages()?;
        tables.replace(Some(Seen { pages, frozen: Arc::default(), current: Arc::default() }));
        Ok((tables, identity))
    }

    fn pages(&self) -> Result<Arc<ReadTransaction>, StoreError> {
        Ok(Arc::new(self.database.begin_read().map_err(store_error)?))
    }

    /// Remembers that no commit may follow.
    pub(crate) fn note_failure(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Whether an error ended all committing.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Remembers that a takeover failed, after which redb reads no more either than what it has in memory.
    pub(crate) fn note_lost_takeover(&self) {
        self.lost_a_takeover.store(true, Ordering::Release);
        self.note_failure();
    }

    /// Whether a takeover failed; tells it once.
    pub(crate) fn lost_a_takeover(&self) -> bool {
        self.lost_a_takeover.swap(false, Ordering::AcqRel)
    }

    /// What is seen now, kept.
    pub(crate) fn seen(&self) -> Result<Seen, StoreError> {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        seen.clone().ok_or_else(closed)
    }

    /// redb's pages, and what `look` takes from what is seen over them.
    pub(crate) fn look<T>(
        &self,
        look: impl FnOnce(&Seen) -> T,
    ) -> Result<(Arc<ReadTransaction>, T), StoreError> {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        // What is kept of the log past the lock would have to be copied by a commit meanwhile.
        let seen = seen.as_ref().ok_or_else(closed)?;
        Ok((Arc::clone(&seen.pages), look(seen)))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Seen) -> T) -> Result<T, StoreError> {
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        seen.as_mut().map(change).ok_or_else(closed)
    }

    fn replace(&self, now: Option<Seen>) {
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *seen, now);
        drop(seen);
        // Giving back what it holds takes a while, for which nobody waits.
        drop(before);
    }

    /// Shows a batch that the log has taken.
    pub(crate) fn lay_over(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        self.change(|seen| Arc::make_mut(&mut seen.current).absorb(batch))
    }

    /// Begins an empty part over the one that was written, and returns that.
    pub(crate) fn freeze(&self) -> Result<Arc<WriteBatch>, StoreError> {
        self.change(|seen| {
            seen.frozen = std::mem::take(&mut seen.current);
            Arc::clone(&seen.frozen)
        })
    }

    /// Takes the frozen part over, up to the batch numbered `kept`.
    pub(crate) fn take_over(&self, frozen: &WriteBatch, kept: u64) -> Result<(), StoreError> {
        // Until the next takeover began the part holds its batches; from then on it holds later ones, by which
        // an open sees that some are missing.
        self.commit(&[frozen], kept, Phases::One)?;
        let pages = self.pages()?;
        let before = self
            .change(|seen| (std::mem::replace(&mut seen.pages, pages), std::mem::take(&mut seen.frozen)))?;
        drop(before);
        Ok(())
    }

    /// Takes everything over, and one more batch, which is numbered `kept`. Nobody else may commit meanwhile.
    pub(crate) fn take_all_over(&self, batch: &WriteBatch, kept: u64) -> Result<(), StoreError> {
        let seen = self.seen()?;
        self.commit(&[&*seen.frozen, &*seen.current, batch], kept, Phases::Two)?;
        let pages = self.pages()?;
        self.replace(Some(Seen { pages, frozen: Arc::default(), current: Arc::default() }));
        Ok(())
    }

    /// One commit of redb, whose default durability is immediate.
    fn commit(&self, batches: &[&WriteBatch], kept: u64, phases: Phases) -> Result<(), StoreError> {
        let mut transaction = self.database.begin_write().map_err(store_error)?;
        transaction.set_two_phase_commit(phases == Phases::Two);
        batches.iter().try_for_each(|batch| write(&transaction, batch))?;
        if self.logs {
            let mut identity = transaction.open_table(IDENTITY).map_err(store_error)?;
            identity.insert(KEPT, &kept.to_be_bytes()[..]).map_err(store_error)?;
        }
        transaction.commit().map_err(store_error)
    }

    /// Moves pages to the front of the file and cuts it.
    pub(crate) fn compact(&mut self) -> Result<(), StoreError> {
        // redb moves no page that somebody reads.
        self.replace(None);
        // Each call moves what it can; none is left to move when it says so.
        while self.database.compact().map_err(store_error)? {}
        Ok(())
    }
}

fn closed() -> StoreError {
    StoreError::Io("the store was closed".to_owned())
}

/// Finds out what the file is, or makes it a store.
fn identify(database: &Database, missing: WhenMissing) -> Result<Identity, Refusal> {
    if let Some(identity) = identity(database)? {
        return Ok(identity);
    }
    match missing {
        WhenMissing::Refuse => Err(Refusal::Missing),
        WhenMissing::Create(id) => {
            let mut transaction = database.begin_write().map_err(store_error)?;
            // Without these rows a store looks like a new one.
            transaction.set_two_phase_commit(true);
            let mut table = transaction.open_table(IDENTITY).map_err(store_error)?;
            table.insert(SCHEMA, &SCHEMA_VERSION.to_be_bytes()[..]).map_err(store_error)?;
            table.insert(ID, id.as_bytes()).map_err(store_error)?;
            drop(table);
            transaction.commit().map_err(store_error)?;
            Ok(Identity { id, kept: 0 })
        }
    }
}

/// What the file says it is; nothing when it holds no table at all.
fn identity(database: &Database) -> Result<Option<Identity>, Refusal> {
    let transaction = database.begin_read().map_err(store_error)?;
    let table = match transaction.open_table(IDENTITY) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => {
            let mut tables = transaction.list_tables().map_err(store_error)?;
            return if tables.next().is_none() { Ok(None) } else { Err(Refusal::NotAStore) };
        }
        Err(TableError::Storage(error)) => return Err(store_error(error).into()),
        Err(_) => return Err(Refusal::NotAStore),
    };
    Identity::read(|key| Ok(table.get(key).map_err(store_error)?.map(|row| row.value().to_vec()))).map(Some)
}

impl Identity {
    /// What the rows of the store's own table say.
    pub(crate) fn read(row: impl Fn(&str) -> Result<Option<Vec<u8>>, StoreError>) -> Result<Self, Refusal> {
        let needed = |key| row(key)?.ok_or_else(|| StoreError::Corrupt(format!("it has no {key}")));
        let wrong = |what: &str| StoreError::Corrupt(what.to_owned());
        let version = needed(SCHEMA)?.try_into().map(u32::from_be_bytes);
        let version = version.map_err(|_| wrong("its schema version is no number"))?;
        if version > SCHEMA_VERSION {
            return Err(Refusal::Newer { found: version, known: SCHEMA_VERSION });
        }
        if version < SCHEMA_VERSION {
            return Err(Refusal::Older { found: version, known: SCHEMA_VERSION });
        }
        let id = StoreId::from_slice(&needed(ID)?).ok_or_else(|| wrong("its id has the wrong length"))?;
        let kept = row(KEPT)?.map_or(Ok(0), |kept| kept.try_into().map(u64::from_be_bytes));
        let kept = kept.map_err(|_| wrong("the number of its last commit is none"))?;
        Ok(Self { id, kept })
    }
}

/// Writes the rows of a batch.
fn write(transaction: &redb::WriteTransaction, batch: &WriteBatch) -> Result<(), StoreError> {
    let mut writes = batch.iter().peekable();
    while let Some((table, ..)) = writes.peek().copied() {
        let mut rows = transaction.open_table(definition(table)).map_err(store_error)?;
        while let Some((_, key, value)) = writes.next_if(|write| write.0 == table) {
            match value {
                Some(value) => rows.insert(key, value).map_err(store_error)?,
                None => rows.remove(key).map_err(store_error)?,
            };
        }
    }
    Ok(())
}

pub(crate) fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}
