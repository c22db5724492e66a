//! Changes of documents in the order of commits: those since a position first, then those to come.
//!
//! A watcher that takes an event together with its position has seen everything up to there. Only the
//! last event of a commit carries its position; what resumes from there misses nothing and repeats
//! nothing. Of a document that changed several times before the watcher came, the last state counts.

use std::collections::{BTreeSet, VecDeque};

use starling_api::{Code, Problem};
use starling_crdt::{
    id::{DocumentName, Position, SpaceId},
    replica::DocumentChange,
    store::{
        Table,
        tables::{META_KEY, MetaRecord, record},
    },
    view::Reader,
};
use tokio::sync::broadcast::{
    Receiver,
    error::{RecvError, TryRecvError},
};

use super::{
    super::{
        answer::{Refused, refused},
        problems,
    },
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
    live: Receiver<DocumentChange>,
    ready: VecDeque<Event>,
    /// The last commit that was read from the store; what is live up to there is known already.
    reached: u64,
    /// Documents of that commit that this watcher knows of.
    reached_names: BTreeSet<DocumentName>,
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
            reached_names: BTreeSet::new(),
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
                    tracing::warn!(code = %refused.0.code, detail = refused.0.detail, "a watch ends");
                    return None;
                }
                continue;
            }
            match self.live.recv().await {
                Ok(change) => self.hear(change),
                // It fell behind what is kept in memory; the store still knows.
                Err(RecvError::Lagged(_)) => self.fall_behind(),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Takes a live change and whatever came with it. They come one by one, those of one commit in a
    /// row; the store tells whether all of the last commit are here.
    fn hear(&mut self, first: DocumentChange) {
        self.take(first);
        loop {
            match self.live.try_recv() {
                Ok(change) => self.take(change),
                Err(TryRecvError::Lagged(_)) => return self.fall_behind(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        let whole = self.last_commit_is_whole();
        if let Some(last) = self.ready.back_mut() {
            last.completes = whole;
        }
    }

    /// Reads on from the store: what the present commit still lacks, and all after it.
    fn fall_behind(&mut self) {
        self.behind = true;
        if !self.reached_names.is_empty() && !self.last_commit_is_whole() {
            self.reached = self.reached.saturating_sub(1);
        }
        self.reached_names.clear();
    }

    /// Whether the store names no document of the last commit that was not heard of. One that has
    /// changed again since is under its newer commit there, and comes with that one.
    fn last_commit_is_whole(&self) -> bool {
        let before = self.reached.saturating_sub(1);
        let page = self.node.reader().changed_since(self.space, before, self.reached_names.len() + 1);
        page.is_ok_and(|page| {
            let of_it = page.iter().filter(|(_, known)| known.commit == self.reached);
            of_it.map(|(name, _)| name).all(|name| self.reached_names.contains(name))
        })
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
            changes.for_each(|change| self.take(change));
            self.reached_names.clear();
            return Ok(());
        }
    }

    /// Takes in a change that follows the ones before it.
    fn take(&mut self, change: DocumentChange) {
        let commit = change.position.commit;
        let known = commit < self.reached || commit == self.reached && !self.is_news(&change.document);
        if change.space != self.space || known {
            return;
        }
        if commit > self.reached {
            self.reached = commit;
            self.reached_names.clear();
        }
        self.reached_names.insert(change.document.clone());
        if !change.document.as_str().starts_with(&self.prefix) {
            return;
        }
        if let Some(last) = self.ready.back_mut() {
            last.completes = last.change.position != change.position;
        }
        self.ready.push_back(Event { change, completes: true });
    }

    /// Whether a document of the last commit was not heard of yet. Nothing is new in a commit that was
    /// read from the store as a whole.
    fn is_news(&self, document: &DocumentName) -> bool {
        !self.reached_names.is_empty() && !self.reached_names.contains(document)
    }
}
