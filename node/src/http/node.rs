//! The node as the routes see it: the one place that asks its driver.
//!
//! Writes, and whatever belongs to the node as a whole, go through the driver. Reads (`reads`, `past`,
//! `names`, `changes`) go to the store's last commit, on threads of their own, and never wait for a writer.

mod changes;
mod compare;
mod names;
mod past;
mod reads;

use std::{sync::Arc, time::Duration};

use starling_api::Code;
use starling_crdt::{
    address::Address,
    charter::{Label, Prefix, Role, Ticket},
    id::{AuthorKey, DocumentName, SpaceId},
    replica::{
        Compacted, LocalRequest, MemberReport, Nodes, PeerReport, Reply, SpaceReport, Status, Waited, Write,
        Written,
    },
    seal::EpochKey,
    store::StoreRead,
    view::Reader,
};
use tokio::{sync::oneshot, time::sleep};
use zeroize::Zeroizing;

pub(super) use changes::{Changes, Event};

use super::{
    answer::{Refused, refused},
    limits::{SUBMIT_PAUSE, SUBMIT_TIME_MAX},
};
use crate::{
    handle::{AskError, NodeHandle},
    identity,
    network::PeerBytes,
};
use names::SpaceNames;

/// The node behind the routes. Clones are the same node.
#[derive(Clone)]
pub(super) struct Node {
    handle: NodeHandle,
    names: Arc<SpaceNames>,
}

/// A write that the driver has taken and not yet answered.
pub(super) struct Pending(oneshot::Receiver<Result<Reply, starling_crdt::replica::Refusal>>);

impl Pending {
    /// Waits until the write is durable, or refused.
    pub(super) async fn written(self) -> Result<Written, Refused> {
        match self.0.await.map_err(|_| stopped())?? {
            Reply::Written(written) => Ok(written),
            other => Err(unexpected(&other)),
        }
    }
}

impl Node {
    pub(super) fn new(handle: NodeHandle) -> Self {
        Self { handle, names: Arc::default() }
    }

    /// This node's key.
    pub(super) fn key(&self) -> AuthorKey {
        self.handle.key()
    }

    /// Where it listens for other nodes.
    pub(super) fn listening(&self) -> Vec<String> {
        self.handle.listening()
    }

    /// What is committed now, kept.
    pub(super) fn snapshot(&self) -> Result<Arc<dyn StoreRead>, Refused> {
        self.reader().store().snapshot().map_err(|error| super::problems::store(&error).into())
    }

    fn reader(&self) -> &Reader {
        self.handle.reader()
    }

    async fn ask(&self, request: LocalRequest) -> Result<Reply, Refused> {
        let answer = self.handle.submit(request).map_err(not_taken)?;
        Ok(answer.await.map_err(|_| stopped())??)
    }

    /// Hands a write over in its turn, waiting a little while the node is busy.
    pub(super) async fn submit(&self, write: Write) -> Result<Pending, Refused> {
        let give_up = tokio::time::Instant::now() + SUBMIT_TIME_MAX;
        loop {
            match self.handle.submit(LocalRequest::Write(Box::new(write.clone()))) {
                Ok(answer) => return Ok(Pending(answer)),
                Err(AskError::Busy) if tokio::time::Instant::now() < give_up => sleep(SUBMIT_PAUSE).await,
                Err(error) => {
                    let refused = not_taken(error);
                    // A line of a batch is refused inside an answer that says 200.
                    if refused.0.code == Code::Busy {
                        self.handle.metrics().busy(&refused.0.detail);
                    }
                    return Err(refused);
                }
            }
        }
    }

    pub(super) async fn write(&self, write: Write) -> Result<Written, Refused> {
        match self.ask(LocalRequest::Write(Box::new(write))).await? {
            Reply::Written(written) => Ok(written),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn status(&self) -> Result<Status, Refused> {
        match self.ask(LocalRequest::Status).await? {
            Reply::Status(status) => Ok(*status),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn space_report(&self, id: SpaceId) -> Result<SpaceReport, Refused> {
        let spaces = self.status().await?.spaces;
        let found = spaces.into_iter().find(|space| space.id == id);
        found.ok_or_else(|| starling_crdt::replica::Refusal::UnknownSpace(id).into())
    }

    pub(super) async fn create_space(&self, name: Label) -> Result<SpaceId, Refused> {
        let mut nonce = [0; 16];
        random(&mut nonce)?;
        let mut key = Zeroizing::new([0; 32]);
        random(key.as_mut())?;
        let request = LocalRequest::CreateSpace { name, nonce, epoch_key: EpochKey::from_bytes(*key) };
        match self.ask(request).await? {
            Reply::Space(id) => Ok(id),
            other => Err(unexpected(&other)),
        }
    }

    /// Joins, and says whether this node is a member already.
    pub(super) async fn join(&self, ticket: Ticket) -> Result<(SpaceId, bool), Refused> {
        match self.ask(LocalRequest::Join { ticket: Box::new(ticket) }).await? {
            Reply::Joining { space, joined } => Ok((space, joined)),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn compact(&self) -> Result<Compacted, Refused> {
        match self.ask(LocalRequest::Compact).await? {
            Reply::Compacted(told) => Ok(told),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn leave_space(&self, space: SpaceId, held: Option<u64>) -> Result<(), Refused> {
        self.do_it(LocalRequest::LeaveSpace { space, held }).await
    }

    pub(super) async fn invite(
        &self,
        space: SpaceId,
        role: Role,
        prefix: Option<Prefix>,
        uses: Option<u32>,
        expires_in: Option<Duration>,
    ) -> Result<Ticket, Refused> {
        let secret = identity::generate().map_err(|error| refused(Code::Internal, error.to_string()))?;
        let request = LocalRequest::Invite { space, role, prefix, uses, expires_in, secret };
        match self.ask(request).await? {
            Reply::Ticket(ticket) => Ok(*ticket),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn members(&self, space: SpaceId) -> Result<Vec<MemberReport>, Refused> {
        match self.ask(LocalRequest::Members { space }).await? {
            Reply::Members(members) => Ok(members),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn wait(
        &self,
        space: SpaceId,
        document: Option<DocumentName>,
        nodes: Nodes,
        timeout: Duration,
    ) -> Result<Waited, Refused> {
        match self.ask(LocalRequest::Wait { space, document, nodes, timeout }).await? {
            Reply::Waited(waited) => Ok(waited),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn peers(&self) -> Result<Vec<PeerReport>, Refused> {
        match self.ask(LocalRequest::Peers).await? {
            Reply::Peers(peers) => Ok(peers),
            other => Err(unexpected(&other)),
        }
    }

    /// Bytes over the connections that stand with a peer.
    pub(super) fn bytes_of(&self, peer: AuthorKey) -> Option<PeerBytes> {
        self.handle.bytes_of(peer)
    }

    pub(super) async fn add_peer(&self, address: Address) -> Result<(), Refused> {
        self.do_it(LocalRequest::AddPeer { address }).await
    }

    pub(super) async fn block(&self, peer: AuthorKey, duration: Option<Duration>) -> Result<(), Refused> {
        self.do_it(LocalRequest::Block { peer, duration }).await
    }

    pub(super) async fn unblock(&self, peer: AuthorKey) -> Result<(), Refused> {
        self.do_it(LocalRequest::Unblock { peer }).await
    }

    async fn do_it(&self, request: LocalRequest) -> Result<(), Refused> {
        match self.ask(request).await? {
            Reply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }
}

fn random(bytes: &mut [u8]) -> Result<(), Refused> {
    getrandom::fill(bytes).map_err(|error| {
        refused(Code::Internal, format!("the operating system gives no randomness: {error}"))
    })
}

fn not_taken(error: AskError) -> Refused {
    match error {
        AskError::Refused(refusal) => refusal.into(),
        AskError::Busy => refused(Code::Busy, "as many requests wait for the node as it holds"),
        AskError::Stopped => stopped(),
    }
}

fn stopped() -> Refused {
    refused(Code::Stopping, "the node is stopping; whether the request was carried out is unknown")
}

fn unexpected(reply: &Reply) -> Refused {
    tracing::error!(event = "wrong_reply", ?reply, "the node answered another question");
    refused(Code::Internal, "the node answered another question")
}
