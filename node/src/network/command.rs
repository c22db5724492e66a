//! What the driver can ask of the network.

use starling_crdt::id::{AuthorKey, Topic};

/// What the core thinks of a gossip message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Valid: it travels on.
    Accept,
    /// Not for us to judge, or not now: it does not travel on, and nobody is blamed.
    Ignore,
    /// Wrong in itself: it does not travel on.
    Reject,
}

/// Names one gossip message in a [`Command::Verdict`]; every one delivered wants exactly one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageToken {
    pub(super) from: AuthorKey,
    pub(super) id: Vec<u8>,
}

#[cfg(test)]
impl MessageToken {
    /// A token of no message, for tests of those who only pass tokens on.
    pub(crate) fn of(from: AuthorKey, id: Vec<u8>) -> Self {
        Self { from, id }
    }
}

/// Something for the network to do.
#[derive(Debug)]
pub enum Command {
    /// Follow a topic. At most 100 at once; one more is logged and not followed.
    Subscribe {
        /// Which.
        topic: Topic,
    },
    /// Follow a topic no longer.
    Unsubscribe {
        /// Which.
        topic: Topic,
    },
    /// Send a payload to everybody who follows a topic. That nobody does, or that it was sent
    /// before, is no failure; a full queue shows as [`super::Event::SlowPeer`].
    Publish {
        /// Where.
        topic: Topic,
        /// At most `GOSSIP_BYTES_MAX` bytes.
        payload: Vec<u8>,
    },
    /// Say what to do with a message. Later than about five seconds it has no effect.
    Verdict {
        /// The message.
        message: MessageToken,
        /// What to do with it.
        verdict: Verdict,
    },
    /// Ask a connected peer; exactly one [`super::Event::Response`] with this `id` follows, within
    /// about twenty seconds.
    Request {
        /// Whom.
        peer: AuthorKey,
        /// The caller's name for the request, given back with the response.
        id: u64,
        /// At most `EXCHANGE_FRAME_BYTES_MAX` bytes.
        body: Vec<u8>,
    },
    /// Answer a request. Without effect when its asker is gone or has given up.
    Respond {
        /// Who asked.
        peer: AuthorKey,
        /// From [`super::Event::Request`].
        id: u64,
        /// At most `EXCHANGE_FRAME_BYTES_MAX` bytes.
        body: Vec<u8>,
    },
    /// Drop a request unanswered; its asker learns at once that no answer comes.
    Decline {
        /// Who asked.
        peer: AuthorKey,
        /// From [`super::Event::Request`].
        id: u64,
    },
    /// Connect. Exactly one [`super::Event::Dialed`] or [`super::Event::DialFailed`] follows.
    Dial {
        /// Who must be there; anyone if absent and no address says.
        peer: Option<AuthorKey>,
        /// Addresses in any form that [`super::address::parse`] takes, the best first.
        addresses: Vec<String>,
    },
    /// Close every connection with a peer.
    Disconnect {
        /// Which.
        peer: AuthorKey,
    },
    /// Close every connection with a peer and accept none until [`Command::Unblock`].
    Block {
        /// Which.
        peer: AuthorKey,
    },
    /// Allow connections with a peer again.
    Unblock {
        /// Which.
        peer: AuthorKey,
    },
}
