//! Walking what has no meaning yet: names of documents over all tables, strays, small records.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::space::SpaceCheck;
use super::{Mend, Verifier};
use crate::connect::PeerRecord;
use crate::id::{AuthorKey, ChangeHash, DocumentName};
use crate::presence::SightingRecord;
use crate::store::tables::{
    DeltaRecord, DocumentRecord, MetaRecord, RequestRecord, SpaceIndex, delta_key, frontier_key, named_key,
    record, walk_prefix,
};
use crate::store::{KeyRange, StoreError, StoreRead, Table, after_prefix};

/// Whether a key of a table is sound in what follows the document's name and its zero byte; none: nothing follows.
type SoundRest = Option<fn(&[u8]) -> bool>;

/// Tables that name documents.
const TABLES_OF_DOCUMENTS: [(Table, SoundRest); 5] = [
    (Table::Deltas, Some(|key| delta_key(key).is_some())),
    (Table::Frontiers, Some(|key| frontier_key(key).is_some())),
    (Table::Documents, None),
    (Table::Quarantine, Some(|key| named_key(key).is_some_and(|(_, rest)| rest.len() == ChangeHash::LEN))),
    (Table::Forks, Some(|key| delta_key(key).is_some())),
];

/// The documents that any table of a space names, in order.
pub(super) struct NextDocument {
    index: SpaceIndex,
    cursors: Vec<Cursor>,
}

struct Cursor {
    table: Table,
    rest: SoundRest,
    start: Vec<u8>,
    next: Option<DocumentName>,
    ended: bool,
}

impl NextDocument {
    pub(super) fn new(index: SpaceIndex) -> Self {
        let cursor = |(table, rest)| Cursor { table, rest, start: index.all(), next: None, ended: false };
        Self { index, cursors: TABLES_OF_DOCUMENTS.map(cursor).into() }
    }

    /// The next name. Rows whose key names none are findings of the space.
    pub(super) fn next(
        &mut self,
        store: &dyn StoreRead,
        check: &mut SpaceCheck,
    ) -> Result<Option<DocumentName>, StoreError> {
        for cursor in &mut self.cursors {
            cursor.look(store, self.index, check)?;
        }
        let next = self.cursors.iter().filter_map(|cursor| cursor.next.as_ref()).min().cloned();
        if let Some(name) = &next {
            for cursor in self.cursors.iter_mut().filter(|cursor| cursor.next.as_ref() == Some(name)) {
                cursor.pass(self.index, name);
            }
        }
        Ok(next)
    }
}

impl Cursor {
    fn look(
        &mut self,
        store: &dyn StoreRead,
        index: SpaceIndex,
        check: &mut SpaceCheck,
    ) -> Result<(), StoreError> {
        let past = after_prefix(&index.all());
        let end = past.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        while self.next.is_none() && !self.ended {
            let range = KeyRange { start: Bound::Included(&self.start), end };
            let Some((key, value)) = store.rows(self.table, range, 1)?.pop() else {
                self.ended = true;
                return Ok(());
            };
            match name_in(&key, self.rest) {
                Some(name) => self.next = Some(name),
                None => {
                    check.malformed_key(self.table, &key, &value);
                    // The shortest key after this one.
                    self.start = [key.as_slice(), &[0]].concat();
                }
            }
        }
        Ok(())
    }

    /// Goes on after every row of a document.
    fn pass(&mut self, index: SpaceIndex, name: &DocumentName) {
        self.next = None;
        let rows = if self.rest.is_some() {
            after_prefix(&index.document_rows(name)).unwrap_or_default()
        } else {
            [index.document(name.as_str()).as_slice(), &[0]].concat()
        };
        self.start = rows;
    }
}

fn name_in(key: &[u8], rest: SoundRest) -> Option<DocumentName> {
    let name = match rest {
        None => std::str::from_utf8(key.get(4..)?).ok()?,
        Some(is_sound) => named_key(key).filter(|_| is_sound(key))?.0,
    };
    DocumentName::new(name).ok()
}

/// Tables with rows of space numbers that are not `known`, each number once.
pub(super) fn strays(
    store: &dyn StoreRead,
    known: &BTreeSet<SpaceIndex>,
) -> Result<BTreeSet<(Table, u32)>, StoreError> {
    let mut found = BTreeSet::new();
    for table in Table::OF_SPACES {
        let mut start = Vec::new();
        loop {
            let range = KeyRange { start: Bound::Included(&start), end: Bound::Unbounded };
            let Some((key, _)) = store.rows(table, range, 1)?.pop() else { break };
            let number = key.first_chunk::<4>().map_or(u32::MAX, |number| u32::from_be_bytes(*number));
            if !known.contains(&SpaceIndex(number)) {
                found.insert((table, number));
            }
            match after_prefix(&SpaceIndex(number).all()) {
                Some(next) => start = next,
                None => break,
            }
        }
    }
    Ok(found)
}

/// The highest counters that any row shows.
pub(super) fn highest_counters(store: &dyn StoreRead) -> Result<MetaRecord, StoreError> {
    let mut highest = MetaRecord::default();
    walk_prefix(store, Table::Documents, &[], |_, value| {
        if let Ok(known) = record::<DocumentRecord>(value, "document record") {
            highest.commit = highest.commit.max(known.commit);
        }
        Ok(())
    })?;
    walk_prefix(store, Table::Deltas, &[], |_, value| {
        if let Ok(delta) = record::<DeltaRecord>(value, "delta record") {
            highest.arrival = highest.arrival.max(delta.arrival);
        }
        Ok(())
    })?;
    Ok(highest)
}

/// Rows that nothing else depends on: remembered requests, known peers and members seen. Damaged ones are dropped.
pub(super) fn small_records(verifier: &mut Verifier<'_, '_>) -> Result<(), StoreError> {
    let (mut mend, mut damaged) = (Mend::default(), Vec::new());
    walk_prefix(verifier.store, Table::Requests, &[], |key, value| {
        if let Err(error) = record::<RequestRecord>(value, "request record") {
            damaged.push(("request", format!("a remembered request: {error}")));
            mend.set_aside(Table::Requests, key, value);
        }
        Ok(())
    })?;
    walk_prefix(verifier.store, Table::Peers, &[], |key, value| {
        let read = record::<PeerRecord>(value, "peer record");
        if AuthorKey::from_slice(key).is_none() || read.is_err() {
            damaged.push(("peer", "a known peer cannot be read".to_owned()));
            mend.set_aside(Table::Peers, key, value);
        }
        Ok(())
    })?;
    walk_prefix(verifier.store, Table::Sightings, &[], |key, value| {
        let member = key.get(4..).and_then(AuthorKey::from_slice);
        if member.is_none() || record::<SightingRecord>(value, "sighting record").is_err() {
            damaged.push(("sighting", "what was seen of a member last cannot be read".to_owned()));
            mend.set_aside(Table::Sightings, key, value);
        }
        Ok(())
    })?;
    damaged.into_iter().for_each(|(code, what)| verifier.found(code, what, true));
    verifier.hand_over(mend)
}
