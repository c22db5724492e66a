//! Incarnations: certificates that tie an automerge actor to an author.
//!
//! Promises: an [`Actor`] is the hash of one incarnation, so nobody can write as another's actor; a
//! [`VerifiedIncarnation`] carries a valid signature. Leaves out whether its author may write: that
//! follows from the charter and the tips the incarnation cites.

use minicbor::{Decode, Encode};

use crate::codec::Signable;
use crate::id::{Actor, AuthorKey, SpaceId, StatementId};
use crate::identity::{BadSignature, Identity, Signature, verify};
use crate::limits::TIPS_MAX;

/// A certificate signed by an author: the root of one actor.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Incarnation {
    /// The space it writes in.
    #[n(0)]
    pub space: SpaceId,
    /// Whose it is.
    #[n(1)]
    pub author: AuthorKey,
    /// Drawn from the operating system, so that no restart, restore or clone repeats an actor.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub nonce: [u8; 16],
    /// Charter tips its author knew, sorted.
    #[n(3)]
    pub tips: Vec<StatementId>,
    /// The author's signature.
    #[n(4)]
    pub signature: Signature,
}

/// Why an incarnation is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IncarnationFault {
    /// The signature does not fit.
    #[error("the incarnation is not signed by its author")]
    Signature(#[from] BadSignature),
    /// Tips are too many, unsorted or repeated.
    #[error("the incarnation's charter tips are not up to {TIPS_MAX} sorted, distinct ids")]
    Tips,
}

impl Incarnation {
    fn signable(space: SpaceId, author: AuthorKey, nonce: &[u8; 16], tips: &[StatementId]) -> Signable {
        let start = Signable::new("starling/incarnation").bytes(&space.0).bytes(&author.0).bytes(nonce);
        tips.iter().fold(start.number(tips.len() as u64), |signable, tip| signable.bytes(&tip.0))
    }
}

/// An incarnation whose signature was checked, with its actor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifiedIncarnation {
    incarnation: Incarnation,
    actor: Actor,
}

fn actor_of(signable: &Signable) -> Actor {
    let mut actor = [0; 16];
    actor.copy_from_slice(&signable.hash()[..16]);
    Actor(actor)
}

impl VerifiedIncarnation {
    /// Signs a new one. `tips` are sorted here.
    pub fn sign(identity: &Identity, space: SpaceId, nonce: [u8; 16], mut tips: Vec<StatementId>) -> Self {
        tips.sort_unstable();
        tips.dedup();
        let author = identity.key();
        let signable = Incarnation::signable(space, author, &nonce, &tips);
        let signature = identity.sign(&signable);
        Self {
            incarnation: Incarnation { space, author, nonce, tips, signature },
            actor: actor_of(&signable),
        }
    }

    /// Checks structure and signature.
    ///
    /// # Errors
    /// [`IncarnationFault`].
    pub fn verify(incarnation: Incarnation) -> Result<Self, IncarnationFault> {
        let Incarnation { space, author, nonce, tips, signature } = &incarnation;
        if tips.len() > TIPS_MAX || !tips.is_sorted_by(|a, b| a < b) {
            return Err(IncarnationFault::Tips);
        }
        let signable = Incarnation::signable(*space, *author, nonce, tips);
        verify(*author, &signable, signature)?;
        let actor = actor_of(&signable);
        Ok(Self { incarnation, actor })
    }

    /// Its actor: the first 16 bytes of SHA-256 of what is signed.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// Its author.
    pub fn author(&self) -> AuthorKey {
        self.incarnation.author
    }

    /// Its space.
    pub fn space(&self) -> SpaceId {
        self.incarnation.space
    }

    /// The charter tips it cites.
    pub fn tips(&self) -> &[StatementId] {
        &self.incarnation.tips
    }

    /// The certificate, to store or send.
    pub fn certificate(&self) -> &Incarnation {
        &self.incarnation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> VerifiedIncarnation {
        let identity = Identity::from_seed(&[7; 32]);
        VerifiedIncarnation::sign(
            &identity,
            SpaceId([1; 32]),
            [2; 16],
            vec![StatementId([9; 32]), StatementId([3; 32])],
        )
    }

    #[test]
    fn a_signed_incarnation_verifies_and_names_its_actor() {
        let signed = sample();
        let again = VerifiedIncarnation::verify(signed.certificate().clone()).unwrap();
        assert_eq!(again, signed);
        assert_eq!(signed.actor().to_string(), "fb01c90fdf1175a38ca2cb056b672dc3");
    }

    #[test]
    fn another_author_nonce_or_order_of_tips_is_refused() {
        let good = sample().certificate().clone();
        let other = Identity::from_seed(&[8; 32]).key();
        assert!(VerifiedIncarnation::verify(Incarnation { author: other, ..good.clone() }).is_err());
        assert!(VerifiedIncarnation::verify(Incarnation { nonce: [3; 16], ..good.clone() }).is_err());
        let mut reversed = good;
        reversed.tips.reverse();
        assert_eq!(VerifiedIncarnation::verify(reversed), Err(IncarnationFault::Tips));
    }

    #[test]
    fn tips_are_bounded_sorted_and_distinct() {
        let identity = Identity::from_seed(&[7; 32]);
        let tip = |number: usize| {
            let mut tip = [0; 32];
            tip[..8].copy_from_slice(&(number as u64).to_be_bytes());
            StatementId(tip)
        };
        let signed = |count: usize| {
            let tips = (0..count).rev().map(tip).collect();
            VerifiedIncarnation::sign(&identity, SpaceId([1; 32]), [2; 16], tips).certificate().clone()
        };
        assert!(VerifiedIncarnation::verify(signed(TIPS_MAX)).is_ok());
        assert_eq!(VerifiedIncarnation::verify(signed(TIPS_MAX + 1)), Err(IncarnationFault::Tips));
        let mut doubled = signed(2);
        doubled.tips[1] = doubled.tips[0];
        assert_eq!(VerifiedIncarnation::verify(doubled), Err(IncarnationFault::Tips));
        let mut fewer = signed(2);
        fewer.tips.pop();
        assert!(matches!(VerifiedIncarnation::verify(fewer), Err(IncarnationFault::Signature(_))));
        let twice = VerifiedIncarnation::sign(&identity, SpaceId([1; 32]), [2; 16], vec![tip(1), tip(1)]);
        assert_eq!(twice.tips(), [tip(1)]);
        let other = VerifiedIncarnation::sign(&identity, SpaceId([1; 32]), [3; 16], vec![tip(1)]);
        assert_ne!(twice.actor(), other.actor(), "another nonce is another actor");
    }
}
