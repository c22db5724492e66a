//! Changes of documents in the order of commits: those since a position first, then those to come.
//!
//! A watcher that takes an event together with its position has seen everything up to there. Only the
//! last event of a commit carries its position; what resumes from there misses nothing and repeats
//! nothing. Of a document that changed several times before the watcher came, the last state counts.

use std::{collections::VecDeque, sync::Arc};

use starling_api::{Code, Problem};
use starling_crdt::{
    id::{Position, SpaceId},
    replica::DocumentChange,
    store::{
        Table,
        tables::{META_KEY, MetaRecord, record},
    },
    view::Reader,
};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    super::{answer::Refused, problems},
    Node,
};

/// Past changes that are read at a time.
const PAGE_CHANGES: usize = 1_024;

/// One change, and whether it is the last of its commit that this watcher is told of.
pub(in super::super) struct Event {
    pub(in super::super) change: DocumentChange,
    pub(in super::super) completes: bool,
}

/// The changes one watcher is told of.
pub(in super::super) struct Changes {
    node: Node,
    space: SpaceId,
    prefix: String,
    live: Receiver<Arc<Vec<DocumentChange>>>,
    ready: VecDeque<Event>,
    /// The last commit that was read from the store; what is live up to there is known already.
    reached: u64,
    /// Past changes remain to be read.
    behind: bool,
}

impl Node {
    /// Changes of a space's documents whose names start with `prefix`, after a position or from now on,
    /// and the position where they begin.
    pub(in super::super) async fn watch(
        &self,
        space: SpaceId,
        prefix: Option<String>,
        since: Option<Position>,
    ) -> Result<(Position, Changes), Refused> {
        self.reader().space(space)?;
        // First the ear, then the past: so that nothing falls between.
        let live = self.handle.changes();
        let now = self.present_position()?;
        let began = match since {
            None => now,
            Some(since) if since.store != now.store || since.commit > now.commit => {
                return Err(Problem::new(
                    Code::PositionOfAnotherStore,
                    format!("position {since} is not one of this node's store, which stands at {now}"),
                )
                .with_hint("positions belong to one node and end with a restore: list the documents, then watch from now on")
                .into());
            }
            Some(since) => since,
        };
        let behind = began.commit < now.commit;
        let changes = Changes {
            node: self.clone(),
            space,
            prefix: prefix.unwrap_or_default(),
            live,
            ready: VecDeque::new(),
            reached: began.commit,
            behind,
        };
        Ok((began, changes))
    }

    fn present_position(&self) -> Result<Position, Refused> {
        let store = self.reader().store();
        let value = store.value(Table::Meta, META_KEY).map_err(|error| problems::store(&error))?;
        let meta: Option<MetaRecord> = value
            .map(|value| record(&value, "meta record"))
            .transpose()
            .map_err(|error| problems::store(&error))?;
        Ok(Position { store: store.store_id(), commit: meta.map_or(0, |meta| meta.commit) })
    }
}

impl Changes {
    /// Waits for the next change. Nothing when this watcher is too slow or the node stops: it must
    /// come back where it was.
    pub(in super::super) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.behind {
                if let Err(refused) = self.read_past().await {
                    tracing::warn!(event = "watch_ended", code = %refused.0.code, detail = refused.0.detail, "a watch ends");
                    return None;
                }
                continue;
            }
            match self.live.recv().await {
                Ok(step) => self.take(step.iter().cloned()),
                // It fell behind what is kept in memory; the store still knows.
                Err(RecvError::Lagged(_)) => {
                    self.node.handle.metrics().watch_behind();
                    self.behind = true;
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Reads a page of whole commits from the store.
    async fn read_past(&mut self) -> Result<(), Refused> {
        let (space, since, store) = (self.space, self.reached, self.node.reader().store().store_id());
        let mut limit = PAGE_CHANGES;
        loop {
            let page =
                self.node.aside(move |reader: &Reader| reader.changed_since(space, since, limit)).await??;
            let full = page.len() >= limit;
            let newest = page.iter().map(|(_, known)| known.commit).max();
            let oldest = page.iter().map(|(_, known)| known.commit).min();
            if full && newest == oldest {
                // One commit fills the page, and only a whole one can be resumed from.
                limit = limit.saturating_mul(2);
                continue;
            }
            self.behind = full;
            let whole = page.into_iter().filter(|(_, known)| !full || Some(known.commit) != newest);
            let changes = whole.map(|(document, known)| DocumentChange {
                space,
                document,
                heads: known.heads,
                author: known.author,
                position: Position { store, commit: known.commit },
                deleted: known.deleted,
            });
            self.take(changes);
            return Ok(());
        }
    }

    /// Takes in changes of whole commits, in their order.
    fn take(&mut self, changes: impl Iterator<Item = DocumentChange>) {
        let reached = self.reached;
        for change in changes.filter(|change| change.space == self.space && change.position.commit > reached)
        {
            self.reached = self.reached.max(change.position.commit);
            if !change.document.as_str().starts_with(&self.prefix) {
                continue;
            }
            if let Some(last) = self.ready.back_mut() {
                last.completes = last.change.position != change.position;
            }
            self.ready.push_back(Event { change, completes: true });
        }
    }
}
