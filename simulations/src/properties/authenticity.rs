//! 5. Only changes validly signed by an author whom the charter admits are shown.

use ed25519_dalek::{Signature, VerifyingKey};

use super::Finding;
use crate::oracle::ledger::Wrong;

/// One stored delta as its signature covers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Where it is stored.
    pub node: usize,
    /// The space.
    pub space: [u8; 32],
    /// The document.
    pub document: String,
    /// The actor.
    pub actor: [u8; 16],
    /// Its last sequence number.
    pub last_seq: u64,
    /// Its last hash.
    pub last_hash: [u8; 32],
    /// The author its actor's incarnation names.
    pub author: [u8; 32],
    /// The signature.
    pub signature: [u8; 64],
    /// Whether the fleet admits the author as a writer.
    pub may_write: bool,
}

/// What is wrong with a delta that a node shows.
pub fn check(signed: &Signed) -> Option<Finding> {
    let found = |words: &str| Some(Finding::at(5, signed.node, words).in_document(&signed.document));
    if !signed.may_write {
        return found("shows a change by {other}, which may not write");
    }
    let number = signed.last_seq.to_be_bytes();
    let fields: [&[u8]; 6] = [
        b"starling/delta",
        &signed.space,
        signed.document.as_bytes(),
        &signed.actor,
        &number,
        &signed.last_hash,
    ];
    let mut bytes = Vec::new();
    for field in fields {
        bytes.extend_from_slice(&(field.len() as u32).to_be_bytes());
        bytes.extend_from_slice(field);
    }
    let Ok(key) = VerifyingKey::from_bytes(&signed.author) else { return found("shows a change by no key") };
    match key.verify_strict(&bytes, &Signature::from_bytes(&signed.signature)) {
        Ok(()) => None,
        Err(_) => found("shows a change as by {other}, which did not sign it"),
    }
}

/// A change that nobody in the fleet made, honest or not.
pub fn foreign(node: usize, wrong: &Wrong) -> Option<Finding> {
    let Wrong::Foreign { document } = wrong else { return None };
    Some(Finding::at(5, node, "shows a change that the author it names never made").in_document(document))
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    #[test]
    fn a_forged_or_foreign_change_is_found() {
        let key = SigningKey::from_bytes(&[3; 32]);
        let mut bytes = Vec::new();
        let number = 4_u64.to_be_bytes();
        for field in [&b"starling/delta"[..], &[1; 32], b"d", &[2; 16], &number, &[5; 32]] {
            bytes.extend_from_slice(&(field.len() as u32).to_be_bytes());
            bytes.extend_from_slice(field);
        }
        let signed = Signed {
            node: 0,
            space: [1; 32],
            document: "d".into(),
            actor: [2; 16],
            last_seq: 4,
            last_hash: [5; 32],
            author: key.verifying_key().to_bytes(),
            signature: key.sign(&bytes).to_bytes(),
            may_write: true,
        };
        assert_eq!(check(&signed), None);
        assert!(check(&Signed { last_seq: 5, ..signed.clone() }).is_some());
        assert!(check(&Signed { may_write: false, ..signed.clone() }).is_some());
        assert!(check(&Signed { signature: [0; 64], ..signed }).is_some());
        assert!(foreign(0, &Wrong::Foreign { document: "d".into() }).is_some());
        assert_eq!(foreign(0, &Wrong::Shrunk { document: "d".into(), from: 2, to: 1 }), None);
    }
}
