//! What belongs to a space as a whole: its row, its statements, its incarnations, the order of changes.

use std::collections::BTreeMap;

use super::{Finding, Mend};
use crate::charter::{Charter, Genesis, Right, Role, VerifiedStatement};
use crate::id::{Actor, DocumentName, SpaceId};
use crate::incarnation::{Incarnation, VerifiedIncarnation};
use crate::store::tables::{DocumentRecord, SpaceIndex, SpaceRecord, changed_key, record, walk_prefix};
use crate::store::{StoreError, StoreRead, Table};

/// The space and record of a row in [`Table::Spaces`].
pub(super) fn record_of(key: &[u8], value: &[u8]) -> Result<(SpaceId, SpaceRecord), String> {
    let id = SpaceId::from_slice(key).ok_or("a key of the spaces is malformed")?;
    let damaged = |error: StoreError| format!("space {id} cannot be read: {error}");
    let stored: SpaceRecord = record(value, "space record").map_err(damaged)?;
    let genesis: Genesis = record(&stored.genesis, "genesis").map_err(damaged)?;
    if genesis.space_id() != id {
        return Err(format!("space {id} holds the genesis of another space"));
    }
    Ok((id, stored))
}

/// Who writes as an actor.
struct Author {
    incarnation: VerifiedIncarnation,
    /// What the statements its incarnation cites let it do; absent when they are not there.
    rights: Option<Vec<Right>>,
}

/// One space on its way through verification.
pub(super) struct SpaceCheck {
    pub(super) id: SpaceId,
    pub(super) index: SpaceIndex,
    charter: Charter,
    incarnations: BTreeMap<Actor, Author>,
    findings: Vec<Finding>,
    mend: Mend,
}

impl SpaceCheck {
    /// Reads statements and incarnations, setting aside what is none.
    pub(super) fn open(store: &dyn StoreRead, id: SpaceId, stored: &SpaceRecord) -> Result<Self, StoreError> {
        let genesis: Genesis = record(&stored.genesis, "genesis")?;
        let mut check = Self {
            id,
            index: stored.index,
            charter: Charter::new(genesis),
            incarnations: BTreeMap::new(),
            findings: Vec::new(),
            mend: Mend::default(),
        };
        check.statements(store)?;
        check.read_incarnations(store)?;
        Ok(check)
    }

    fn found(&mut self, code: &'static str, what: impl Into<String>) {
        let what = what.into();
        self.findings.push(Finding { code, space: Some(self.id), document: None, what, mendable: true });
    }

    fn statements(&mut self, store: &dyn StoreRead) -> Result<(), StoreError> {
        let mut rows = Vec::new();
        walk_prefix(store, Table::Statements, &self.index.all(), |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            Ok(())
        })?;
        let mut fitting = Vec::new();
        for (key, value) in rows {
            match VerifiedStatement::from_bytes(&value) {
                Ok(statement)
                    if key == self.index.statement(statement.id()) && statement.space == self.id =>
                {
                    // Where it cites what comes later by id it waits, and is released then.
                    self.charter.insert(statement.clone()).ok();
                    fitting.push((key, value, statement.id()));
                }
                Ok(statement) => {
                    self.found("statement", format!("statement {} lies at a wrong place", statement.id()));
                    self.mend.set_aside(Table::Statements, &key, &value);
                }
                Err(error) => {
                    self.found("statement", format!("a statement cannot be read: {error}"));
                    self.mend.set_aside(Table::Statements, &key, &value);
                }
            }
        }
        for (key, value, id) in fitting {
            let known =
                self.charter.statement(id).is_some() || self.charter.void().any(|(void, _)| void == id);
            if !known {
                self.found("statement", format!("statement {id} rests on statements that are not there"));
                self.mend.set_aside(Table::Statements, &key, &value);
            }
        }
        Ok(())
    }

    fn read_incarnations(&mut self, store: &dyn StoreRead) -> Result<(), StoreError> {
        let prefix = self.index.all();
        let mut damaged = Vec::new();
        walk_prefix(store, Table::Incarnations, &prefix, |key, value| {
            let actor = key.get(prefix.len()..).and_then(Actor::from_slice);
            let read = record::<Incarnation>(value, "incarnation").ok();
            let verified = read.and_then(|incarnation| VerifiedIncarnation::verify(incarnation).ok());
            match (actor, verified) {
                (Some(actor), Some(verified)) if verified.actor() == actor && verified.space() == self.id => {
                    let rights = self.charter.rights_at(verified.author(), verified.tips()).ok();
                    self.incarnations.insert(actor, Author { incarnation: verified, rights });
                }
                (actor, _) => damaged.push((actor, key.to_vec(), value.to_vec())),
            }
            Ok(())
        })?;
        for (actor, key, value) in damaged {
            let actor = actor.map_or_else(|| "nobody".to_owned(), |actor| actor.to_string());
            self.found("incarnation", format!("the incarnation of actor {actor} cannot be read"));
            self.mend.set_aside(Table::Incarnations, &key, &value);
        }
        Ok(())
    }

    /// The certificate of an actor.
    pub(super) fn incarnation(&self, actor: Actor) -> Option<&VerifiedIncarnation> {
        self.incarnations.get(&actor).map(|author| &author.incarnation)
    }

    /// Whether the statements its incarnation cites let an actor write the document.
    pub(super) fn may_write(&self, actor: Actor, document: &DocumentName) -> bool {
        let rights = self.incarnations.get(&actor).and_then(|author| author.rights.as_ref());
        rights.is_some_and(|rights| rights.iter().any(|right| right.allows(Role::Writer, document)))
    }

    /// A row whose key names no document.
    pub(super) fn malformed_key(&mut self, table: Table, key: &[u8], value: &[u8]) {
        self.found("key", format!("a key in the table {} is malformed", table.name()));
        self.mend.set_aside(table, key, value);
    }

    /// Each row of the order of changes must be that of its document's last commit.
    pub(super) fn order_of_changes(&mut self, store: &dyn StoreRead) -> Result<(), StoreError> {
        let mut stale = Vec::new();
        walk_prefix(store, Table::Changed, &self.index.all(), |key, value| {
            let of_document = changed_key(key).map(|(commit, name)| {
                let row = store.value(Table::Documents, &self.index.document(name.as_str()))?;
                let known = row.and_then(|row| record::<DocumentRecord>(&row, "document record").ok());
                Ok::<bool, StoreError>(known.is_some_and(|known| known.commit == commit))
            });
            if !of_document.transpose()?.unwrap_or(false) {
                stale.push((key.to_vec(), value.to_vec()));
            }
            Ok(())
        })?;
        for (key, value) in stale {
            self.found("order", "a row of the order of changes belongs to no document's last change");
            self.mend.set_aside(Table::Changed, &key, &value);
        }
        Ok(())
    }

    /// What was found, and what mends it.
    pub(super) fn end(self) -> (Vec<Finding>, Mend) {
        (self.findings, self.mend)
    }
}
