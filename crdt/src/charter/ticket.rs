//! Tickets: one line of text that lets a node find a space and join it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::Genesis;
use crate::address::{Address, decode_addresses};
use crate::codec::{CodecError, decode, encode};
use crate::id::StatementId;
use crate::identity::Identity;
use crate::limits::TICKET_TEXT_BYTES_MAX;
use crate::seal::EpochKey;

const PREFIX: &str = "starling-ticket-";
const VERSION: u8 = 0;
const CHECKSUM_BYTES: usize = 4;

/// Why a text is no ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Something else altogether.
    #[error("this is no ticket: a ticket starts with `{PREFIX}{VERSION}:`")]
    NotATicket,
    /// More text than any ticket has.
    #[error("this is no ticket: it is longer than {TICKET_TEXT_BYTES_MAX} bytes")]
    TooLong,
    /// Made by a newer version.
    #[error("the ticket has version {0}, this program reads version {VERSION}: update it")]
    Newer(u32),
    /// Characters are missing, added or changed.
    #[error("the ticket is cut off or mistyped: copy it again as a whole")]
    Mistyped,
    /// Unharmed, but its content makes no sense.
    #[error("the ticket was made wrongly: {0}")]
    Malformed(#[from] CodecError),
}

/// What a new node needs to join a space. Whoever holds it can read the space's gossip and join
/// within the invite's bounds: it is handed over like a password.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub struct Ticket {
    /// The space's beginning, from which its identifier follows.
    #[n(0)]
    pub genesis: Genesis,
    /// Opens the space's gossip.
    #[n(1)]
    pub epoch_key: EpochKey,
    /// The invite.
    #[n(2)]
    pub invite: StatementId,
    #[n(3)]
    invite_secret: InviteSecret,
    /// Where members were reachable when the ticket was made; at most 16.
    #[cbor(n(4), decode_with = "decode_addresses")]
    pub addresses: Vec<Address>,
}

#[derive(Clone, Encode, Decode)]
#[cbor(transparent)]
struct InviteSecret(#[cbor(n(0), with = "crate::seal::secret_bytes")] Zeroizing<[u8; 32]>);

impl Ticket {
    /// A ticket for an invite whose secret is `secret`. Addresses past the bound are left out.
    pub fn new(
        genesis: Genesis,
        epoch_key: EpochKey,
        invite: StatementId,
        secret: &Identity,
        mut addresses: Vec<Address>,
    ) -> Self {
        addresses.truncate(crate::limits::ADDRESSES_MAX);
        Self { genesis, epoch_key, invite, invite_secret: InviteSecret(secret.seed()), addresses }
    }

    /// The key pair whose public half the invite names.
    pub fn invite_identity(&self) -> Identity {
        Identity::from_seed(&self.invite_secret.0)
    }

    /// The one line of text: secret, so wiped when dropped.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(vec![VERSION]);
        bytes.extend_from_slice(&Zeroizing::new(encode(self)));
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()));
        Zeroizing::new(format!("{PREFIX}{VERSION}:{}", encoded.as_str()))
    }

    /// Reads that line. White space around it, and inside where a terminal broke it, is ignored.
    ///
    /// # Errors
    /// [`TicketError`] with what is wrong.
    pub fn parse(text: &str) -> Result<Self, TicketError> {
        let text = text.trim();
        let rest = text.strip_prefix(PREFIX).ok_or(TicketError::NotATicket)?;
        if text.len() > TICKET_TEXT_BYTES_MAX {
            return Err(TicketError::TooLong);
        }
        let (version, encoded) = rest.split_once(':').ok_or(TicketError::Mistyped)?;
        match version.parse::<u32>() {
            Ok(version) if version == u32::from(VERSION) => {}
            Ok(newer) => return Err(TicketError::Newer(newer)),
            Err(_) => return Err(TicketError::NotATicket),
        }
        let encoded: Zeroizing<String> =
            Zeroizing::new(encoded.chars().filter(|c| !c.is_ascii_whitespace()).collect());
        let bytes = URL_SAFE_NO_PAD.decode(encoded.as_str()).map_err(|_| TicketError::Mistyped)?;
        let bytes = Zeroizing::new(bytes);
        let content = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or(TicketError::Mistyped)?;
        let (content, sum) = bytes.split_at(content);
        if checksum(content) != sum {
            return Err(TicketError::Mistyped);
        }
        match content.split_first() {
            Some((&VERSION, content)) => Ok(decode(content, "ticket")?),
            Some((newer, _)) => Err(TicketError::Newer(u32::from(*newer))),
            None => Err(TicketError::Mistyped),
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("space", &self.genesis.space_id())
            .field("name", self.genesis.name())
            .field("invite", &self.invite)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// Against typing errors only, so four bytes are enough.
fn checksum(content: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(content));
    [a, b, c, d]
}
