//! 5. Only changes validly signed by an author whom the charter admits are shown.

use ed25519_dalek::{Signature, VerifyingKey};

use super::Finding;
use crate::oracle::chunk::Change;
use crate::oracle::ledger::Wrong;

/// What a node takes a delta for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The work of the author it names.
    Work,
    /// Proof, with another one, that this author forked.
    Proof,
}

/// One stored delta as its signature covers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What the node takes it for.
    pub taken: Taken,
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
    /// Whether each of its changes is by the actor and rests on the one before it: only then does a signature over
    /// the last cover all.
    pub is_chain: bool,
}

/// Whether changes are consecutive ones of one actor, of which each rests on the one before it.
pub fn is_chain(actor: &[u8], changes: &[Change]) -> bool {
    changes.iter().all(|change| change.actor == actor)
        && changes
            .windows(2)
            .all(|pair| pair[1].seq == pair[0].seq + 1 && pair[1].dependencies.contains(&pair[0].hash))
}

/// What is wrong with a delta that a node shows.
pub fn check(signed: &Signed) -> Option<Finding> {
    let found = |words: String| Some(Finding::at(5, signed.node, words).in_document(&signed.document));
    let seq = signed.last_seq;
    if !signed.may_write {
        return found(format!("shows change {seq} by {{other}}, which may not write"));
    }
    if !signed.is_chain {
        return found(format!(
            "shows changes up to {seq} by {{other}} of which one does not rest on the other"
        ));
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
    let Ok(key) = VerifyingKey::from_bytes(&signed.author) else {
        return found(format!("shows change {seq} by no key"));
    };
    if key.verify_strict(&bytes, &Signature::from_bytes(&signed.signature)).is_ok() {
        return None;
    }
    found(match signed.taken {
        Taken::Work => format!("took change {seq}, which {{other}} never signed, for work of {{other}}"),
        Taken::Proof => {
            format!("took change {seq}, which {{other}} never signed, for proof that {{other}} forked")
        }
    })
}

/// A delta that a node accepted although its author never signed it, whether or not it had the change before.
pub fn accepted(node: usize, document: &str, author: usize, seq: u64) -> Finding {
    let words = format!("accepted change {seq} of {{other}} under a signature that {{other}} never made");
    Finding::at(5, node, words).in_document(document).about(author).since(0)
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
            taken: Taken::Work,
            node: 0,
            space: [1; 32],
            document: "d".into(),
            actor: [2; 16],
            last_seq: 4,
            last_hash: [5; 32],
            author: key.verifying_key().to_bytes(),
            signature: key.sign(&bytes).to_bytes(),
            may_write: true,
            is_chain: true,
        };
        assert_eq!(check(&signed), None);
        assert!(check(&Signed { is_chain: false, ..signed.clone() }).is_some());
        let proof = Signed { taken: Taken::Proof, signature: [0; 64], ..signed.clone() };
        assert!(check(&proof).is_some_and(|found| found.words.contains("for proof")));
        assert!(check(&Signed { last_seq: 5, ..signed.clone() }).is_some());
        assert!(check(&Signed { may_write: false, ..signed.clone() }).is_some());
        assert!(check(&Signed { signature: [0; 64], ..signed }).is_some());
        let accepted = accepted(3, "d", 1, 7);
        assert_eq!((accepted.property, accepted.node, accepted.other), (5, Some(3), Some(1)));
        assert!(foreign(0, &Wrong::Foreign { document: "d".into() }).is_some());
        assert_eq!(foreign(0, &Wrong::Shrunk { document: "d".into(), from: 2, to: 1 }), None);
    }

    #[test]
    fn a_run_with_a_change_that_was_put_into_its_middle_is_no_chain() {
        let change = |seq: u64, on: u8| Change {
            hash: [seq as u8; 32],
            dependencies: vec![[on; 32]],
            actor: vec![1; 16],
            seq,
            bytes: 100,
        };
        assert!(is_chain(&[1; 16], &[change(3, 2), change(4, 3), change(5, 4)]));
        assert!(!is_chain(&[1; 16], &[change(3, 2), change(4, 9), change(5, 4)]));
        assert!(!is_chain(&[1; 16], &[change(3, 2), change(5, 3)]));
        assert!(!is_chain(&[2; 16], &[change(3, 2)]));
    }
}
