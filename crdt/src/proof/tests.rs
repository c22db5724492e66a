use super::*;
use crate::document::{Commit, Document, Edit, Json};
use crate::identity::Identity;

const SPACE: SpaceId = SpaceId([1; 32]);

fn author() -> Identity {
    Identity::from_seed(&[1; 32])
}

fn incarnation() -> VerifiedIncarnation {
    VerifiedIncarnation::sign(&author(), SPACE, [2; 16], Vec::new())
}

/// A run of one change per value, signed.
fn delta(document: &str, values: &[u8]) -> Vec<u8> {
    let (mut built, mut changes) = (Document::new(), Vec::new());
    for value in values {
        let commit = Commit { actor: incarnation().actor(), time_seconds: 5, message: None };
        let value = Json::parse(format!(r#"{{"a": {value}}}"#)).unwrap();
        let written = built.edit(commit, &Edit::Put { value, base: None }).unwrap();
        changes.extend(written.changes.into_iter().map(|change| change.bytes));
    }
    let document = DocumentName::new(document).unwrap();
    let actor = incarnation().actor();
    let delta = VerifiedDelta::sign(&author(), SPACE, document, actor, changes).unwrap();
    codec::encode(delta.delta())
}

fn proof(first: Vec<u8>, second: Vec<u8>) -> ForkProof {
    let proof = ForkProof::new(incarnation().certificate().clone(), first, second);
    ForkProof::from_bytes(&proof.to_bytes()).unwrap()
}

#[test]
fn two_signed_changes_with_one_number_prove_a_fork() {
    let fork = proof(delta("d", &[1, 2, 3]), delta("d", &[1, 9])).verify().unwrap();
    assert_eq!((fork.author, fork.seq, fork.document.as_str()), (author().key(), 2, "d"));
    assert_ne!(fork.changes[0].hash, fork.changes[1].hash);
}

#[test]
fn what_does_not_contradict_proves_nothing() {
    let fault = |first, second| proof(first, second).verify().unwrap_err();
    assert_eq!(fault(delta("d", &[1, 2]), delta("d", &[1, 2, 3])), ProofFault::NoContradiction);
    assert_eq!(fault(delta("d", &[1]), delta("e", &[2])), ProofFault::TwoDocuments);
}

#[test]
fn a_bent_byte_anywhere_is_noticed() {
    let good = proof(delta("d", &[1]), delta("d", &[2])).to_bytes();
    let fork = ForkProof::from_bytes(&good).unwrap().verify().unwrap();
    for place in 0..good.len() {
        let mut bent = good.clone();
        bent[place] ^= 1;
        let judged = ForkProof::from_bytes(&bent).and_then(|proof| proof.verify());
        assert_ne!(judged, Ok(fork.clone()), "byte {place}");
    }
    let mut newer = proof(delta("d", &[1]), delta("d", &[2]));
    newer.version = VERSION + 1;
    assert_eq!(ForkProof::from_bytes(&newer.to_bytes()), Err(ProofFault::Unknown));
    assert_eq!(ForkProof::from_bytes(&vec![0; FORK_PROOF_BYTES_MAX + 1]), Err(ProofFault::TooLong));
}

#[test]
fn a_certificate_of_somebody_else_proves_nothing_against_them() {
    let other = VerifiedIncarnation::sign(&Identity::from_seed(&[7; 32]), SPACE, [2; 16], Vec::new());
    let proof = ForkProof::new(other.certificate().clone(), delta("d", &[1]), delta("d", &[2]));
    assert_eq!(proof.verify(), Err(ProofFault::Delta(DeltaFault::ForeignActor)));
}
