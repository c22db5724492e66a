//! The changes of a space, from a node that may go away and come back.
//!
//! Promises: nothing is missed while the node's store is the same; a lost connection is said once, and
//! so is its return; where the node's store is another one than the position's, that is said, and every
//! document is told anew if so wished. What is told may be told twice. Leaves out what is done with it.

use std::time::Duration;

use starling_api::client::{ClientError, Watch};
use starling_api::document::{DocumentItem, ListQuery, WatchEvent, WatchQuery};
use starling_api::{Client, Code, ExitCode as Exit, Position};
use tokio::sync::mpsc::Sender;

use crate::backoff::{Growth, random};
use crate::connect::Session;
use crate::failure::Failure;
use crate::output::note;

/// Pauses between two tries to reach a node that went away.
const RETRY: Growth = Growth { first: Duration::from_millis(200), most: Duration::from_secs(5) };

/// One thing told.
#[derive(Debug)]
pub(super) enum Told {
    /// A document changed, or is told anew.
    Change(WatchEvent),
    /// Everything up to this position was told.
    Reached(Position),
}

/// What to do when the position is one of another store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OtherStore {
    /// End with the node's refusal.
    End,
    /// Tell every document, the deleted ones too, and go on from there.
    TellAll,
}

/// A watch that comes back.
pub(super) struct Follower<'session> {
    session: &'session Session,
    space: String,
    prefix: Option<String>,
    other_store: OtherStore,
    watch: Watch<'session>,
    /// Everything is to be told before the watch goes on.
    tell_all: bool,
}

impl<'session> Follower<'session> {
    /// Begins to watch; a node that cannot be reached now is a failure.
    pub(super) async fn open(
        session: &'session Session,
        space: String,
        query: WatchQuery,
        other_store: OtherStore,
    ) -> Result<Self, Failure> {
        let prefix = query.prefix.clone();
        let (watch, tell_all) = match watch(&session.client, &space, query).await {
            Err(error) if other_store == OtherStore::TellAll && is_of_another_store(&error) => {
                say_all_is_told(&error);
                (watch(&session.client, &space, from_now(&prefix)).await?, true)
            }
            outcome => (outcome?, false),
        };
        Ok(Self { session, space, prefix, other_store, watch, tell_all })
    }

    /// Tells until nobody listens or the node refuses for good.
    pub(super) async fn run(mut self, to: Sender<Told>) -> Result<(), Failure> {
        let mut begins = true;
        loop {
            if std::mem::take(&mut self.tell_all) {
                if !self.list(&to).await? {
                    return Ok(());
                }
                begins = true;
            }
            if std::mem::take(&mut begins)
                && let Some(position) = self.watch.position()
                && to.send(Told::Reached(position.clone())).await.is_err()
            {
                return Ok(());
            }
            match self.watch.next().await {
                Ok(event) => {
                    // Only the last event of a commit carries its position.
                    let reached =
                        self.watch.position().filter(|position| **position == event.position).cloned();
                    if to.send(Told::Change(event)).await.is_err() {
                        return Ok(());
                    }
                    if let Some(position) = reached
                        && to.send(Told::Reached(position)).await.is_err()
                    {
                        return Ok(());
                    }
                }
                Err(error) => self.come_back(error).await?,
            }
        }
    }

    /// Tries until the node answers again, or refuses for good.
    async fn come_back(&mut self, mut error: ClientError) -> Result<(), Failure> {
        let mut failures = 0;
        loop {
            if self.other_store == OtherStore::TellAll && is_of_another_store(&error) {
                say_all_is_told(&error);
                self.tell_all = true;
                match watch(&self.session.client, &self.space, from_now(&self.prefix)).await {
                    Ok(watch) => self.watch = watch,
                    Err(refused) => {
                        error = refused;
                        continue;
                    }
                }
                return Ok(());
            }
            if !comes_back(&error) {
                return Err(error.into());
            }
            failures += 1;
            if failures == 1 {
                let after = self.watch.position().map_or_else(|| "now".to_owned(), ToString::to_string);
                note(&format!("watch: {error}; trying again, to go on after {after}"));
            }
            tokio::time::sleep(RETRY.pause(failures, random())).await;
            match self.watch.reconnect().await {
                Ok(()) => {
                    note(&format!("watch: {} answers again", self.session.address));
                    return Ok(());
                }
                Err(refused) => error = refused,
            }
        }
    }

    /// Tells of every document there is or was; false when nobody listens.
    async fn list(&mut self, to: &Sender<Told>) -> Result<bool, Failure> {
        let Some(position) = self.watch.position().cloned() else { return Ok(true) };
        let space = self.session.client.space(&self.space).await?.id;
        let mut query = ListQuery { prefix: self.prefix.clone(), after: None, limit: None, deleted: true };
        let mut failures = 0;
        loop {
            let page = match self.session.client.documents(&self.space, &query).await {
                Err(error) if comes_back(&error) => {
                    failures += 1;
                    if failures == 1 {
                        note(&format!("watch: {error}; trying again"));
                    }
                    tokio::time::sleep(RETRY.pause(failures, random())).await;
                    continue;
                }
                page => page?,
            };
            failures = 0;
            for item in page.items {
                if to.send(Told::Change(event(&space, item, &position))).await.is_err() {
                    return Ok(false);
                }
            }
            query.after = page.next;
            if query.after.is_none() {
                return Ok(true);
            }
        }
    }
}

async fn watch<'session>(
    client: &'session Client,
    space: &str,
    query: WatchQuery,
) -> Result<Watch<'session>, ClientError> {
    let mut watch = client.watch(space, query).await?;
    // Whoever watches is told at once when the node goes away.
    watch.set_patience(Duration::ZERO);
    Ok(watch)
}

fn from_now(prefix: &Option<String>) -> WatchQuery {
    WatchQuery { prefix: prefix.clone(), since: None }
}

fn event(space: &str, item: DocumentItem, position: &Position) -> WatchEvent {
    WatchEvent {
        space: space.to_owned(),
        name: item.name,
        heads: item.heads,
        author: item.author,
        position: position.clone(),
        deleted: item.deleted,
        ops: None,
    }
}

fn is_of_another_store(error: &ClientError) -> bool {
    error.problem().is_some_and(|problem| problem.code == Code::PositionOfAnotherStore)
}

fn say_all_is_told(error: &ClientError) {
    note(&format!("watch: {error}"));
    note("watch: nobody knows what changed since, so every document is told anew, deleted ones too");
}

/// A node that restarts or is busy comes back; one that refuses does not change its mind.
fn comes_back(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable(_) | ClientError::Lost { .. } | ClientError::TimedOut { .. } => true,
        ClientError::Refused(problem) => problem.exit_code() == Exit::TryLater,
        ClientError::NotUnderstood { .. } | ClientError::BadRequest(_) => false,
    }
}
