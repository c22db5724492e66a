//! What goes into a step.

use std::time::Duration;

use crate::address::Address;
use crate::budget::Offence;
use crate::charter::{Label, Prefix, Role, Ticket};
use crate::connect::{AddressSource, DialTarget};
use crate::document::{Edit, Poison};
use crate::exchange::MessageError;
use crate::gossip::{ScreenedAnswer, ScreenedFrame, ScreenedRequest};
use crate::id::{AuthorKey, ChangeHash, DocumentName, SpaceId};
use crate::identity::Identity;
use crate::seal::EpochKey;

/// Names a local request until its reply.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RequestTicket(pub u64);

/// Names a comparison, so that it can be stopped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct CompareId(pub u64);

/// Names a gossip message until its verdict.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct MessageToken(pub u64);

/// One thing that happened.
#[derive(Debug)]
pub enum Input {
    /// Somebody on this host asks.
    Local {
        /// Comes back with the reply.
        ticket: RequestTicket,
        /// What is asked.
        request: LocalRequest,
    },
    /// A gossip message arrived, screened.
    Gossip {
        /// The neighbour it came from.
        from: AuthorKey,
        /// Comes back with the verdict.
        token: MessageToken,
        /// The space of its topic, when this node holds it.
        space: Option<SpaceId>,
        /// What it says.
        frame: ScreenedFrame,
    },
    /// A peer asks.
    Asked {
        /// Who.
        peer: AuthorKey,
        /// Comes back with the answer.
        id: u64,
        /// What, screened, or why it cannot be read.
        request: Result<ScreenedRequest, MessageError>,
    },
    /// A peer answered what this node asked, or did not.
    Answered {
        /// Who.
        peer: AuthorKey,
        /// The number given when asking.
        id: u64,
        /// The screened answer, or why there is none.
        answer: Result<ScreenedAnswer, String>,
    },
    /// The first connection to a peer stands.
    PeerUp {
        /// Who.
        peer: AuthorKey,
        /// Where it was reached, or from where it came.
        address: Address,
        /// Whether the peer opened it.
        inbound: bool,
    },
    /// The last connection to a peer is gone.
    PeerDown {
        /// Who.
        peer: AuthorKey,
    },
    /// A dial this node asked for reached somebody, perhaps over a connection that stood already.
    Dialled {
        /// What it aimed at.
        target: DialTarget,
        /// Who is there.
        peer: AuthorKey,
    },
    /// A dial this node asked for failed.
    DialFailed {
        /// What it aimed at.
        target: DialTarget,
    },
    /// Addresses of a node became known.
    Discovered {
        /// Whose.
        peer: AuthorKey,
        /// The addresses.
        addresses: Vec<Address>,
        /// Who says so.
        source: AddressSource,
    },
    /// A peer broke a rule below the core.
    Offence {
        /// Who.
        peer: AuthorKey,
        /// Which.
        offence: Offence,
        /// A stable short code of the very fault.
        code: &'static str,
    },
    /// A ping came back.
    RoundTrip {
        /// From whom.
        peer: AuthorKey,
        /// After how long.
        time: Duration,
    },
    /// The addresses this node announces.
    Listening {
        /// All of them.
        addresses: Vec<Address>,
    },
}

impl Input {
    /// The space it belongs to, as far as it says so itself; queues are fair between spaces.
    pub fn space(&self) -> Option<SpaceId> {
        match self {
            Self::Local { request, .. } => request.space(),
            Self::Gossip { space, .. } => *space,
            Self::Asked { request: Ok(request), .. } => request.space(),
            _ => None,
        }
    }
}

/// What a person or a program on this host asks.
#[derive(Debug)]
pub enum LocalRequest {
    /// Make a new space with this node as its founder.
    CreateSpace {
        /// Its name.
        name: Label,
        /// From the operating system.
        nonce: [u8; 16],
        /// From the operating system.
        epoch_key: EpochKey,
    },
    /// Join a space.
    Join {
        /// The ticket.
        ticket: Box<Ticket>,
    },
    /// Leave a space and remove what this node holds of it.
    LeaveSpace {
        /// Which.
        space: SpaceId,
        /// The fingerprint of its items that others confirmed to hold; absent to leave even if this
        /// node holds the only copy.
        held: Option<u64>,
    },
    /// Make a ticket.
    Invite {
        /// Into which space.
        space: SpaceId,
        /// With which role.
        role: Role,
        /// Limited to these names.
        prefix: Option<Prefix>,
        /// How many may join.
        uses: Option<u32>,
        /// For how long.
        expires_in: Option<Duration>,
        /// The ticket's key pair, made from the operating system's randomness.
        secret: Identity,
    },
    /// Change a document.
    Write(Box<Write>),
    /// Building a document outside the replica found changes that cannot be applied.
    Quarantine {
        /// The space.
        space: SpaceId,
        /// The document.
        document: DocumentName,
        /// The changes, and why.
        poison: Vec<Poison>,
    },
    /// Wait until other nodes hold what this one holds now.
    Wait {
        /// The space.
        space: SpaceId,
        /// One document, or all.
        document: Option<DocumentName>,
        /// How many others, or all that are not away.
        nodes: Nodes,
        /// How long at most.
        timeout: Duration,
    },
    /// Which items differ between this node and a connected member?
    Compare {
        /// Names the comparison, to stop it.
        id: CompareId,
        /// The space.
        space: SpaceId,
        /// Only this document.
        document: Option<DocumentName>,
        /// With whom.
        peer: AuthorKey,
        /// How long at most.
        timeout: Duration,
    },
    /// Nobody waits for a comparison any more.
    StopComparing {
        /// Which.
        id: CompareId,
    },
    /// Dial this address and keep it as a seed.
    AddPeer {
        /// As the operator gave it.
        address: Address,
    },
    /// Neither talk to nor accept a peer.
    Block {
        /// Whom.
        peer: AuthorKey,
        /// For how long; for good if absent.
        duration: Option<Duration>,
    },
    /// Lift a block.
    Unblock {
        /// Whose.
        peer: AuthorKey,
    },
    /// Merge adjacent deltas wherever that can be done, and tell what it gave.
    Compact,
    /// How is this node?
    Status,
    /// Who belongs to a space, and how are they?
    Members {
        /// The space.
        space: SpaceId,
    },
    /// Who is connected or blocked?
    Peers,
}

impl LocalRequest {
    /// The space it is about, if it is about one.
    pub fn space(&self) -> Option<SpaceId> {
        match self {
            Self::Write(write) => Some(write.space),
            Self::LeaveSpace { space, .. }
            | Self::Invite { space, .. }
            | Self::Quarantine { space, .. }
            | Self::Wait { space, .. }
            | Self::Compare { space, .. }
            | Self::Members { space } => Some(*space),
            Self::CreateSpace { .. }
            | Self::Join { .. }
            | Self::StopComparing { .. }
            | Self::AddPeer { .. }
            | Self::Block { .. }
            | Self::Unblock { .. }
            | Self::Compact
            | Self::Status
            | Self::Peers => None,
        }
    }

    /// About how many bytes of memory it holds: what bounds a queue of them.
    pub fn weight(&self) -> usize {
        match self {
            Self::Write(write) => 256 + write.document.as_str().len() + write.edit.weight(),
            _ => 256,
        }
    }
}

/// How many other nodes are waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Nodes {
    /// This many.
    Count(usize),
    /// Every member that is neither away nor left.
    All,
}

/// One write: it becomes one change.
#[derive(Clone, Debug)]
pub struct Write {
    /// The space.
    pub space: SpaceId,
    /// The document.
    pub document: DocumentName,
    /// What to change.
    pub edit: Edit,
    /// Under which condition.
    pub condition: Condition,
    /// Names the write, so that a repetition within 24 hours changes nothing and gets the same reply.
    pub request_id: Option<String>,
}

/// What must hold of a document, as this node sees it, for a write to happen. All parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Its heads are exactly these.
    pub heads: Option<Vec<ChangeHash>>,
    /// Its entity tag is one of these.
    pub tags: Option<Vec<EntityTag>>,
    /// It does not exist.
    pub absent: bool,
    /// It exists.
    pub present: bool,
}

/// A hash over the sorted heads of a document's view.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct EntityTag(pub [u8; 16]);

impl EntityTag {
    /// The tag of a view with these heads.
    pub fn of(heads: &[ChangeHash]) -> Self {
        let mut sorted = heads.to_vec();
        sorted.sort_unstable();
        let signable =
            sorted.iter().fold(crate::codec::Signable::new("starling/etag"), |all, head| all.bytes(&head.0));
        let mut tag = [0; 16];
        tag.copy_from_slice(&signable.hash()[..16]);
        Self(tag)
    }
}

impl std::fmt::Display for EntityTag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
