//! One space as the replica holds it in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::charter::{Charter, Genesis, Inserted, Right, Role, Ticket, VerifiedStatement};
use crate::codec;
use crate::history::Items;
use crate::id::{Actor, AuthorKey, DocumentName, SpaceId, StatementId, Topic};
use crate::incarnation::{Incarnation, VerifiedIncarnation};
use crate::presence::Presence;
use crate::seal::{self, EpochKey};
use crate::store::tables::{SpaceIndex, SpaceRecord, document_record, frontier_key, record, walk_prefix};
use crate::store::{StoreError, StoreRead, Table};
use crate::time::{Moment, Now};

/// Writers whose rights are kept in memory per space. Past it the smallest are forgotten and judged anew.
const WRITERS_MAX: usize = 4_096;

/// Damaged records told of when a space is loaded; more of them say nothing new.
const FAULTS_TOLD_MAX: usize = 16;

/// A space.
pub(super) struct Space {
    pub(super) id: SpaceId,
    pub(super) index: SpaceIndex,
    pub(super) key: EpochKey,
    pub(super) topic: Topic,
    pub(super) charter: Charter,
    pub(super) items: Items,
    pub(super) presence: Presence,
    /// Documents that exist.
    pub(super) documents: u64,
    /// Clean changes.
    pub(super) changes: u64,
    /// Bytes of changes, as far as they were counted.
    pub(super) bytes: u64,
    /// Bytes of the proofs of forks kept beside them.
    pub(super) proof_bytes: u64,
    /// What this node came with, while nobody has witnessed it.
    pub(super) ticket: Option<Box<Ticket>>,
    pub(super) join_refused: Option<String>,
    pub(super) own: Option<OwnIncarnation>,
    /// Records that could not be read when the space was loaded, the first few.
    pub(super) faults: Vec<StoreError>,
    writers: BTreeMap<Actor, Writer>,
}

/// Whether a space takes more in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Room {
    Left,
    UsedUp,
}

/// The incarnation this process writes as.
pub(super) struct OwnIncarnation {
    pub(super) incarnation: VerifiedIncarnation,
    pub(super) born: Moment,
    /// The rights it rests on: it is replaced when they change.
    pub(super) rights: Vec<Right>,
}

/// What an actor may do.
#[derive(Clone)]
pub(super) struct Writer {
    pub(super) rights: Vec<Right>,
    /// Its incarnation, until that is in the store: an outsider stores nothing.
    pub(super) unstored: Option<VerifiedIncarnation>,
}

impl Writer {
    /// Whether it may write a document.
    pub(super) fn may_write(&self, document: &DocumentName) -> bool {
        self.rights.iter().any(|right| right.allows(Role::Writer, document))
    }
}

impl Space {
    /// An empty one.
    pub(super) fn new(
        genesis: Genesis,
        index: SpaceIndex,
        key: EpochKey,
        ticket: Option<Box<Ticket>>,
        own: AuthorKey,
        now: Now,
    ) -> Self {
        let id = genesis.space_id();
        let counter = u64::try_from(now.wall.0).unwrap_or(0);
        let mut space = Self {
            id,
            index,
            topic: seal::topic(id, &key),
            key,
            charter: Charter::new(genesis),
            items: Items::new(id),
            presence: Presence::new(id, own, counter, now.monotonic),
            documents: 0,
            changes: 0,
            bytes: 0,
            proof_bytes: 0,
            ticket,
            join_refused: None,
            own: None,
            faults: Vec::new(),
            writers: BTreeMap::new(),
        };
        space.members_changed(now.monotonic);
        space
    }

    /// What the store holds of it.
    pub(super) fn load(
        store: &dyn StoreRead,
        stored: &SpaceRecord,
        own: AuthorKey,
        now: Now,
    ) -> Result<Self, StoreError> {
        let genesis: Genesis = record(&stored.genesis, "genesis")?;
        let ticket = stored.ticket.as_deref().map(|ticket| record(ticket, "ticket")).transpose()?;
        let key = EpochKey::from_bytes(stored.epoch_key);
        let mut space = Self::new(genesis, stored.index, key, ticket.map(Box::new), own, now);
        space.load_charter(store)?;
        space.load_items(store)?;
        walk_prefix(store, Table::Documents, &space.index.all(), |key, value| {
            // A damaged record is told of and keeps no other document from being served: what it said
            // follows from history, and the next change of the document writes it anew.
            let name = key.get(space.index.all().len()..).unwrap_or_default();
            let known = std::str::from_utf8(name)
                .ok()
                .and_then(|name| DocumentName::new(name).ok())
                .ok_or_else(|| StoreError::Corrupt("a document's key is malformed".into()))
                .and_then(|name| document_record(&name, value));
            match known {
                Ok(known) => {
                    space.changes += known.changes;
                    space.bytes += known.bytes.unwrap_or(0);
                    space.documents += u64::from(!known.deleted);
                }
                Err(error) if space.faults.len() < FAULTS_TOLD_MAX => space.faults.push(error),
                Err(_) => {}
            }
            Ok(())
        })?;
        walk_prefix(store, Table::Forks, &space.index.all(), |_, value| {
            space.proof_bytes += value.len() as u64;
            Ok(())
        })?;
        space.members_changed(now.monotonic);
        space.load_sightings(store, now)?;
        Ok(space)
    }

    /// Who was there when this node stopped. A damaged row is for `verify` to tell of: the next beacon of
    /// that member replaces it.
    fn load_sightings(&mut self, store: &dyn StoreRead, now: Now) -> Result<(), StoreError> {
        let all = self.index.all();
        walk_prefix(store, Table::Sightings, &all, |key, value| {
            let member = key.get(all.len()..).and_then(AuthorKey::from_slice);
            if let Some((member, seen)) = member.zip(record(value, "sighting record").ok()) {
                self.presence.remember(now, member, seen);
            }
            Ok(())
        })
    }

    fn load_charter(&mut self, store: &dyn StoreRead) -> Result<(), StoreError> {
        let damaged = |what: String| StoreError::Corrupt(format!("a stored statement: {what}"));
        let mut rows: BTreeMap<StatementId, VerifiedStatement> = BTreeMap::new();
        walk_prefix(store, Table::Statements, &self.index.all(), |_, value| {
            let statement =
                VerifiedStatement::from_bytes(value).map_err(|error| damaged(error.to_string()))?;
            rows.insert(statement.id(), statement);
            Ok(())
        })?;
        // Rows come by id, not in causal order: each goes in after those it cites.
        while let Some((id, _)) = rows.first_key_value() {
            let mut path = vec![*id];
            while let Some(id) = path.last().copied() {
                let cited = rows.get(&id).and_then(|row| row.tips.iter().find(|tip| rows.contains_key(*tip)));
                match cited {
                    Some(tip) => path.push(*tip),
                    None => {
                        path.pop();
                        let Some(statement) = rows.remove(&id) else { continue };
                        let inserted = self.charter.insert(statement);
                        if !matches!(inserted, Ok(Inserted::New { .. } | Inserted::Known)) {
                            return Err(damaged(format!("{id} does not fit: {inserted:?}")));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn load_items(&mut self, store: &dyn StoreRead) -> Result<(), StoreError> {
        let mut last: Option<Arc<DocumentName>> = None;
        walk_prefix(store, Table::Frontiers, &self.index.all(), |key, value| {
            let (document, actor) =
                frontier_key(key).ok_or_else(|| StoreError::Corrupt("a frontier key is malformed".into()))?;
            // Rows of one document follow each other, so its name is kept once.
            let document = match &last {
                Some(name) if **name == document => name.clone(),
                _ => Arc::new(document),
            };
            self.items.raise(&document, actor, record(value, "frontier record")?);
            last = Some(document);
            Ok(())
        })
    }

    /// Whether there is room for more, where so many bytes are kept.
    pub(super) fn room(&self, bytes_max: Option<u64>) -> Room {
        if bytes_max.is_some_and(|most| self.bytes >= most) { Room::UsedUp } else { Room::Left }
    }

    /// The row that says this space is held.
    pub(super) fn record(&self) -> SpaceRecord {
        SpaceRecord {
            index: self.index,
            genesis: codec::encode(self.charter.genesis()),
            epoch_key: *self.key.expose(),
            ticket: self.ticket.as_deref().map(codec::encode),
        }
    }

    /// Tells presence who belongs here.
    pub(super) fn members_changed(&mut self, now: Moment) {
        let members: Vec<AuthorKey> = self.charter.members().map(|member| member.key).collect();
        self.presence.set_members(now, members);
    }

    /// The incarnation of an actor, from the store.
    pub(super) fn incarnation(
        &self,
        store: &dyn StoreRead,
        actor: Actor,
    ) -> Result<Option<VerifiedIncarnation>, StoreError> {
        if let Some(own) = self.own.as_ref().filter(|own| own.incarnation.actor() == actor) {
            return Ok(Some(own.incarnation.clone()));
        }
        let Some(value) = store.value(Table::Incarnations, &self.index.incarnation(actor))? else {
            return Ok(None);
        };
        let incarnation: Incarnation = record(&value, "incarnation")?;
        let verified = VerifiedIncarnation::verify(incarnation)
            .map_err(|error| StoreError::Corrupt(format!("a stored incarnation: {error}")))?;
        if verified.actor() == actor {
            Ok(Some(verified))
        } else {
            Err(StoreError::Corrupt("a stored incarnation belongs to another actor".into()))
        }
    }

    /// What is remembered of an actor's rights.
    pub(super) fn writer(&self, actor: Actor) -> Option<&Writer> {
        self.writers.get(&actor)
    }

    /// Remembers an actor's rights.
    pub(super) fn remember_writer(&mut self, actor: Actor, writer: Writer) {
        self.writers.insert(actor, writer);
        if self.writers.len() > WRITERS_MAX {
            self.writers.pop_first();
        }
    }

    /// Notes that an actor's incarnation is in the store.
    pub(super) fn writer_stored(&mut self, actor: Actor) {
        if let Some(writer) = self.writers.get_mut(&actor) {
            writer.unstored = None;
        }
    }
}
