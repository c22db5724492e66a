//! A stopped node: its store, opened for reading.

use std::path::Path;
use std::sync::Arc;

use starling_api::ExitCode as Exit;
use starling_api::space::{JoinState, Role, Space};
use starling_crdt::charter::{Charter, Genesis, Role as CharterRole, VerifiedStatement};
use starling_crdt::id::{AuthorKey, Position, SpaceId};
use starling_crdt::limits::DOCUMENTS_BYTES_MAX;
use starling_crdt::store::tables::{DocumentRecord, META_KEY, MetaRecord, SpaceRecord, record, walk_prefix};
use starling_crdt::store::{Store, StoreError, StoreRead, Table};
use starling_crdt::time::WallTime;
use starling_crdt::view::Reader;
use starling_store::{OpenError, RedbStore, StoreOptions};

use super::store_path;
use crate::failure::Failure;

/// A stopped node's store.
pub(super) struct StoppedNode {
    /// Reads its documents.
    pub(super) reader: Reader,
    /// Where its store stands.
    pub(super) position: String,
    spaces: Vec<(SpaceId, SpaceRecord, Genesis)>,
    // Readers work as long as the store is open.
    _store: RedbStore,
}

impl StoppedNode {
    /// Opens the store of a data directory.
    pub(super) fn open(directory: &Path) -> Result<Self, Failure> {
        let store = RedbStore::open(&store_path(directory), StoreOptions::existing()).map_err(refused)?;
        let reader = store.reader();
        let meta = reader.value(Table::Meta, META_KEY).map_err(damaged)?;
        let meta: MetaRecord = match &meta {
            Some(value) => record(value, "meta record").map_err(damaged)?,
            None => MetaRecord::default(),
        };
        let position = Position { store: store.store_id(), commit: meta.commit }.to_string();
        let spaces = spaces(&reader)?;
        Ok(Self { reader: Reader::new(reader, DOCUMENTS_BYTES_MAX), position, spaces, _store: store })
    }

    /// The space of that name or id prefix, or the only one.
    pub(super) fn space(&self, wanted: Option<&str>) -> Result<SpaceId, Failure> {
        let matches = |(id, _, genesis): &&(SpaceId, SpaceRecord, Genesis)| match wanted {
            Some(wanted) => genesis.name().as_str() == wanted || id.to_string().starts_with(wanted),
            None => true,
        };
        let found: Vec<_> = self.spaces.iter().filter(matches).collect();
        match found.as_slice() {
            [(id, ..)] => Ok(*id),
            [] => Err(Failure::new(Exit::NotFound, "unknown-space", "the stopped node holds no such space")),
            several => {
                let names: Vec<_> = several
                    .iter()
                    .map(|(id, _, genesis)| format!("{} ({id:.8})", genesis.name().as_str()))
                    .collect();
                Err(Failure::new(
                    Exit::Usage,
                    "ambiguous-space",
                    "the stopped node holds several such spaces",
                )
                .because(format!("candidates: {}", names.join(", ")))
                .next("say which with --space NAME or STARLING_SPACE"))
            }
        }
    }

    /// Its spaces, as its member `own` would report them.
    pub(super) fn reports(&self, own: Option<AuthorKey>) -> Result<Vec<Space>, Failure> {
        self.spaces.iter().map(|(id, record, genesis)| self.report(*id, record, genesis, own)).collect()
    }

    fn report(
        &self,
        id: SpaceId,
        stored: &SpaceRecord,
        genesis: &Genesis,
        own: Option<AuthorKey>,
    ) -> Result<Space, Failure> {
        let charter = charter(self.reader.store(), stored, genesis).map_err(damaged)?;
        let (mut documents, mut changes, mut bytes) = (0, 0, 0);
        walk_prefix(self.reader.store(), Table::Documents, &stored.index.all(), |_, value| {
            let known: DocumentRecord = record(value, "document record")?;
            documents += u64::from(!known.deleted);
            changes += known.changes;
            bytes += known.bytes.unwrap_or(0);
            Ok(())
        })
        .map_err(damaged)?;
        let member = own.and_then(|own| charter.member(own));
        // The strongest right, of equal ones the widest: what a running node reports.
        let rights = member.iter().flat_map(|member| &member.rights);
        let right = rights.max_by_key(|right| (right.role, right.prefix.is_none()));
        Ok(Space {
            id: id.to_string(),
            name: genesis.name().as_str().to_owned(),
            founders: genesis.founders().iter().map(ToString::to_string).collect(),
            state: if member.is_some() { JoinState::Joined } else { JoinState::Joining },
            role: right.map(|right| role(right.role)),
            prefix: right.and_then(|right| right.prefix.as_ref()).map(|prefix| prefix.as_str().to_owned()),
            documents,
            changes,
            bytes,
            bytes_max: None,
            members: charter.members().count() as u64,
            fingerprint: None,
            join_refused: None,
            created: time(genesis.time()),
        })
    }
}

/// A time as RFC 3339; absent where the calendar does not reach.
pub(super) fn time(time: WallTime) -> Option<String> {
    jiff::Timestamp::from_millisecond(time.0).ok().map(|time| format!("{time:.3}"))
}

pub(super) fn damaged(error: StoreError) -> Failure {
    Failure::new(Exit::Failed, "store-failed", "the store cannot be read").caused_by(&error)
}

pub(super) fn refused(error: OpenError) -> Failure {
    let exit = match error {
        OpenError::Missing { .. } | OpenError::NoDirectory { .. } => Exit::NotFound,
        OpenError::NotPermitted { .. } => Exit::NotAllowed,
        OpenError::AlreadyOpen { .. } => Exit::TryLater,
        _ => Exit::Failed,
    };
    Failure::new(exit, "store-unavailable", "no node answers, and its store cannot be read").caused_by(&error)
}

fn spaces(store: &Arc<dyn StoreRead>) -> Result<Vec<(SpaceId, SpaceRecord, Genesis)>, Failure> {
    let mut spaces = Vec::new();
    walk_prefix(store.as_ref(), Table::Spaces, &[], |_, value| {
        let stored: SpaceRecord = record(value, "space record")?;
        let genesis: Genesis = record(&stored.genesis, "genesis")?;
        spaces.push((genesis.space_id(), stored, genesis));
        Ok(())
    })
    .map_err(damaged)?;
    Ok(spaces)
}

fn charter(store: &dyn StoreRead, stored: &SpaceRecord, genesis: &Genesis) -> Result<Charter, StoreError> {
    let mut charter = Charter::new(genesis.clone());
    walk_prefix(store, Table::Statements, &stored.index.all(), |_, value| {
        let wrong = |error: String| StoreError::Corrupt(format!("a stored statement: {error}"));
        let statement = VerifiedStatement::from_bytes(value).map_err(|error| wrong(error.to_string()))?;
        charter.insert(statement).map(drop).map_err(|error| wrong(error.to_string()))
    })?;
    Ok(charter)
}

fn role(role: CharterRole) -> Role {
    match role {
        CharterRole::Reader => Role::Reader,
        CharterRole::Writer => Role::Writer,
        CharterRole::Admin => Role::Admin,
    }
}
