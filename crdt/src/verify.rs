//! Whether a store is what its history says, and how to make it so again.
//!
//! Promises: every delta's signature, form and chain is checked, then everything else against the
//! history they make: frontiers, documents' records, quarantine, the order of changes, statements,
//! incarnations, fork proofs. With a [`Mend`] for each place found wrong the store agrees with its
//! history afterwards; what cannot be right is moved aside and never rewritten, and a frontier is
//! lowered to what is left, so that repair asks other nodes for the rest. Bounded memory: one document
//! at a time, and lists of findings that end where somebody still reads them.
//!
//! Leaves out the pages of the disk, which are the store's, and whether a quarantined change deserved
//! it: that is found by building, not by reading.

mod document;
mod rows;
mod space;

use std::collections::BTreeSet;

use crate::id::{Actor, AuthorKey, DocumentName, SpaceId};
use crate::store::tables::{
    LEAVING_PREFIX, META_KEY, MetaRecord, SpaceIndex, SpaceRecord, record, walk_prefix,
};
use crate::store::{StoreError, StoreRead, Table, WriteBatch};
use document::DocumentCheck;
use rows::NextDocument;
use space::SpaceCheck;

/// Findings, and losses, that a report names. Past it they are only counted.
pub const NAMED_MAX: usize = 1_000;

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// A stable short code.
    pub code: &'static str,
    /// In which space, where that is known.
    pub space: Option<SpaceId>,
    /// In which document, if in one.
    pub document: Option<DocumentName>,
    /// What is wrong, in words.
    pub what: String,
    /// Whether a [`Mend`] puts it right.
    pub mendable: bool,
}

/// Changes that were in history and can no longer be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loss {
    /// The space.
    pub space: SpaceId,
    /// The document.
    pub document: DocumentName,
    /// Whose run.
    pub actor: Actor,
    /// Whose key, where its incarnation can still be read.
    pub author: Option<AuthorKey>,
    /// The first sequence number lost.
    pub first: u64,
    /// The last one.
    pub last: u64,
}

/// What a verification found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Spaces looked at.
    pub spaces: u64,
    /// Documents looked at.
    pub documents: u64,
    /// Deltas looked at.
    pub deltas: u64,
    /// Changes in history.
    pub changes: u64,
    /// Things found wrong, all of them.
    pub wrong: u64,
    /// The first of them.
    pub findings: Vec<Finding>,
    /// Runs of changes that were in history and cannot be read, all of them.
    pub lost: u64,
    /// The first of them.
    pub losses: Vec<Loss>,
    /// Rows moved aside by mending.
    pub aside: u64,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.wrong == 0
    }

    fn find(&mut self, finding: Finding) {
        self.wrong += 1;
        if self.findings.len() < NAMED_MAX {
            self.findings.push(finding);
        }
    }

    fn lose(&mut self, loss: Loss) {
        self.lost += 1;
        if self.losses.len() < NAMED_MAX {
            self.losses.push(loss);
        }
    }
}

/// A row that cannot be what was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Aside {
    /// Its table.
    pub table: Table,
    /// Its key.
    pub key: Vec<u8>,
    /// Its bytes.
    pub value: Vec<u8>,
}

/// What puts one place right: to be committed as a whole, after the rows moved aside are kept
/// elsewhere.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mend {
    /// What to write.
    pub batch: WriteBatch,
    /// What is removed by it and may be wanted for an inquiry.
    pub aside: Vec<Aside>,
}

impl Mend {
    fn put<T: minicbor::Encode<()>>(&mut self, table: Table, key: Vec<u8>, value: &T) {
        self.batch.put(table, key, crate::codec::encode(value));
    }

    fn set_aside(&mut self, table: Table, key: &[u8], value: &[u8]) {
        self.batch.remove(table, key.to_vec());
        self.aside.push(Aside { table, key: key.to_vec(), value: value.to_vec() });
    }
}

/// What becomes of what is found wrong.
pub type Mending<'m> = &'m mut dyn FnMut(Mend) -> Result<(), StoreError>;

/// Checks a store. With `mend` each place that can be put right is handed over; `store` must then show
/// what is committed meanwhile, and nobody else may write. Without, it must not change: a snapshot.
///
/// # Errors
/// [`StoreError`] when the disk fails, or of `mend`. Damaged bytes are findings, no errors.
pub fn verify(store: &dyn StoreRead, mend: Option<Mending<'_>>) -> Result<Report, StoreError> {
    let mut verifier = Verifier { store, mend, report: Report::default(), meta: MetaRecord::default() };
    verifier.meta()?;
    let spaces = verifier.spaces()?;
    let mut numbers = BTreeSet::new();
    for (id, stored) in spaces {
        numbers.insert(stored.index);
        verifier.space(id, &stored)?;
    }
    verifier.strays(&numbers)?;
    rows::small_records(&mut verifier)?;
    Ok(verifier.report)
}

struct Verifier<'s, 'm> {
    store: &'s dyn StoreRead,
    mend: Option<Mending<'m>>,
    report: Report,
    meta: MetaRecord,
}

impl Verifier<'_, '_> {
    fn found(&mut self, code: &'static str, what: impl Into<String>, mendable: bool) {
        self.report.find(Finding { code, space: None, document: None, what: what.into(), mendable });
    }

    /// Hands a mend over, if anybody mends.
    fn hand_over(&mut self, mend: Mend) -> Result<(), StoreError> {
        match &mut self.mend {
            Some(hand) if !mend.batch.is_empty() => {
                self.report.aside += mend.aside.len() as u64;
                hand(mend)
            }
            _ => Ok(()),
        }
    }

    fn meta(&mut self) -> Result<(), StoreError> {
        let Some(value) = self.store.value(Table::Meta, META_KEY)? else { return Ok(()) };
        match record::<MetaRecord>(&value, "meta record") {
            Ok(meta) => self.meta = meta,
            Err(error) => {
                // Counters above every one in use: found from the rows, since both only ever rise.
                self.meta = rows::highest_counters(self.store)?;
                self.found("meta", format!("the store's counters: {error}"), true);
                let mut mend = Mend::default();
                mend.put(Table::Meta, META_KEY.to_vec(), &self.meta);
                self.hand_over(mend)?;
            }
        }
        Ok(())
    }

    fn spaces(&mut self) -> Result<Vec<(SpaceId, SpaceRecord)>, StoreError> {
        let (mut spaces, mut damaged) = (Vec::new(), Vec::new());
        let mut numbers = BTreeSet::new();
        walk_prefix(self.store, Table::Spaces, &[], |key, value| {
            match space::record_of(key, value) {
                Ok((id, stored)) if numbers.insert(stored.index) => spaces.push((id, stored)),
                Ok((id, _)) => damaged.push(format!("space {id} has the number of another space")),
                Err(what) => damaged.push(what),
            }
            Ok(())
        })?;
        for what in damaged {
            // Its genesis and key are in this row alone: a ticket or a backup brings them back.
            self.found("space", what, false);
        }
        Ok(spaces)
    }

    fn space(&mut self, id: SpaceId, stored: &SpaceRecord) -> Result<(), StoreError> {
        self.report.spaces += 1;
        let mut check = SpaceCheck::open(self.store, id, stored)?;
        let mut names = NextDocument::new(stored.index);
        while let Some(name) = names.next(self.store, &mut check)? {
            self.report.documents += 1;
            let document = DocumentCheck::new(&check, name.clone()).run(self.store, self.meta);
            match document {
                Ok(done) => {
                    self.report.deltas += done.deltas;
                    self.report.changes += done.changes;
                    done.losses.into_iter().for_each(|loss| self.report.lose(loss));
                    done.findings.into_iter().for_each(|finding| self.report.find(finding));
                    self.hand_over(done.mend)?;
                }
                Err(error) => self.report.find(Finding {
                    code: "unreadable",
                    space: Some(id),
                    document: Some(name),
                    what: error.to_string(),
                    mendable: false,
                }),
            }
        }
        check.order_of_changes(self.store)?;
        let (findings, mend) = check.end();
        findings.into_iter().for_each(|finding| self.report.find(finding));
        self.hand_over(mend)
    }

    /// Rows that belong to no space, except those of one that is being left.
    fn strays(&mut self, spaces: &BTreeSet<SpaceIndex>) -> Result<(), StoreError> {
        let mut known = spaces.clone();
        walk_prefix(self.store, Table::Meta, LEAVING_PREFIX, |key, _| {
            let number = key.get(LEAVING_PREFIX.len()..).and_then(|number| number.try_into().ok());
            known.extend(number.map(|number| SpaceIndex(u32::from_be_bytes(number))));
            Ok(())
        })?;
        for (table, number) in rows::strays(self.store, &known)? {
            let what = format!("rows in the table {} belong to no space (number {number})", table.name());
            self.found("stray", what, false);
        }
        Ok(())
    }
}
