//! Author keys and libp2p's peer identifiers, one to one.
//!
//! The PeerId of an ed25519 key is an identity multihash: it holds the key itself, so both turn into
//! each other without loss. A peer with any other kind of key has no author key and is refused.

use libp2p::PeerId;
use starling_crdt::id::AuthorKey;

/// What stands before the key in such a PeerId: multihash code 0 and length 36, then the protobuf
/// of a public key (type 1, ed25519; 32 bytes of data). See the libp2p specification of peer ids.
const PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// The author key that `peer` is made of, if it is an ed25519 key.
pub(super) fn author_key(peer: &PeerId) -> Option<AuthorKey> {
    let bytes = peer.to_bytes();
    bytes.strip_prefix(&PREFIX).and_then(AuthorKey::from_slice)
}

/// The peer identifier of `author`.
///
/// # Panics
/// Never: the prefix and 32 bytes are an identity multihash of the length a PeerId allows.
pub(super) fn peer_id(author: &AuthorKey) -> PeerId {
    let bytes = [PREFIX.as_slice(), author.as_bytes()].concat();
    PeerId::from_bytes(&bytes).expect("an identity multihash of 36 bytes is a peer id")
}

#[cfg(test)]
mod tests {
    use libp2p::identity::Keypair;
    use libp2p::multihash::Multihash;

    use super::*;

    #[test]
    fn keys_and_peer_ids_turn_into_each_other() {
        let keypair = Keypair::generate_ed25519();
        let peer = keypair.public().to_peer_id();
        let author = author_key(&peer).expect("an ed25519 peer has an author key");
        let public = keypair.public().try_into_ed25519().expect("ed25519");
        assert_eq!(author.0, public.to_bytes());
        assert_eq!(peer_id(&author), peer);
    }

    #[test]
    fn a_hashed_peer_id_has_no_author_key() {
        let hash = Multihash::wrap(0x12, &[7; 32]).expect("32 bytes fit");
        let peer = PeerId::from_multihash(hash).expect("SHA-256 is allowed");
        assert_eq!(author_key(&peer), None);
    }
}
