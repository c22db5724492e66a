use super::*;
use crate::codec::{decode, encode};
use crate::document::{Commit, Document, Edit, Json};
use crate::limits::CHANGE_BYTES_MAX;
use crate::store::tables::DeltaRecord;

const SPACE: SpaceId = SpaceId([1; 32]);

fn author() -> Identity {
    Identity::from_seed(&[7; 32])
}

fn incarnation() -> VerifiedIncarnation {
    VerifiedIncarnation::sign(&author(), SPACE, [2; 16], Vec::new())
}

fn name() -> DocumentName {
    DocumentName::new("doc").unwrap()
}

/// As many consecutive changes as texts, each of which puts one.
fn changes(actor: Actor, texts: &[String]) -> Vec<Vec<u8>> {
    let mut document = Document::new();
    let put = |text: &String| {
        let commit = Commit { actor, time_seconds: 0, message: None };
        let value = Json::Map([("text".to_owned(), Json::String(text.clone()))].into());
        let edited = document.edit(commit, &Edit::Put { value, base: None }).unwrap();
        edited.changes.into_iter().next().unwrap().bytes
    };
    texts.iter().map(put).collect()
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("text {number}")).collect()
}

fn signed(count: usize) -> Delta {
    let actor = incarnation().actor();
    let changes = changes(actor, &numbered(count));
    VerifiedDelta::sign(&author(), SPACE, name(), actor, changes).unwrap().delta().clone()
}

/// Signs anew whatever the delta holds, as a dishonest author would.
fn resigned(mut delta: Delta) -> Delta {
    let last = hash_of(delta.changes.last().unwrap());
    let last_seq = delta.first_seq.wrapping_add(delta.changes.len() as u64 - 1);
    let signable = Delta::signable(delta.space, &delta.document, delta.actor, last_seq, last);
    delta.signature = author().sign(&signable);
    delta
}

fn fault(delta: Delta) -> DeltaFault {
    VerifiedDelta::verify(delta, &incarnation()).unwrap_err()
}

#[test]
fn what_is_signed_verifies_and_says_what_it_holds() {
    for count in [1, 2, DELTA_CHANGES_MAX] {
        let delta = signed(count);
        let verified = VerifiedDelta::verify(delta.clone(), &incarnation()).unwrap();
        assert_eq!((verified.delta(), verified.author()), (&delta, author().key()));
        assert_eq!((verified.last_seq(), verified.chunks().len()), (count as u64, count));
        assert_eq!(verified.last_hash(), hash_of(delta.changes.last().unwrap()));
        assert_eq!(verified.bytes(), delta.change_bytes());
        assert!(verified.changes().all(|(chunk, bytes)| chunk.hash == hash_of(bytes)));
    }
}

#[test]
fn a_part_of_a_run_that_ends_it_is_as_good() {
    let whole = signed(5);
    let mut end = whole.clone();
    end.changes.drain(..2);
    end.first_seq = 3;
    let verified = VerifiedDelta::verify(end, &incarnation()).unwrap();
    assert_eq!((verified.chunks()[0].seq, verified.last_seq()), (3, 5));
    let mut beginning = whole;
    beginning.changes.pop();
    assert_eq!(fault(beginning).code(), "bad_signature");
}

#[test]
fn sizes_out_of_bounds_are_refused_before_anything_else() {
    let delta = signed(1);
    let empty = Delta { changes: vec![], ..delta.clone() };
    let many = Delta { changes: vec![delta.changes[0].clone(); DELTA_CHANGES_MAX + 1], ..delta.clone() };
    let half = ByteVec::from(vec![0; DELTA_BYTES_MAX / 2 + 1]);
    let heavy = Delta { changes: vec![half.clone(), half], ..delta };
    for delta in [empty, many, heavy] {
        assert_eq!(fault(delta), DeltaFault::Size);
    }
}

#[test]
fn one_large_change_is_a_delta_of_its_own() {
    let actor = incarnation().actor();
    let large = |bytes: usize| {
        // Letters that do not repeat, so that the change is as long as its text.
        let mut state = 1_u64;
        let letters = (0..bytes).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'a' + (state >> 60) as u8)
        });
        letters.collect::<String>()
    };
    let two = changes(actor, &[large(DELTA_BYTES_MAX), large(10)]);
    let sign = |changes: Vec<Vec<u8>>| VerifiedDelta::sign(&author(), SPACE, name(), actor, changes);
    assert!(two[0].len() > DELTA_BYTES_MAX && two[0].len() < CHANGE_BYTES_MAX);
    assert_eq!(sign(two.clone()).unwrap_err(), DeltaFault::Size);
    assert!(sign(two[..1].to_vec()).is_ok());
    assert_eq!(sign(vec![]).unwrap_err(), DeltaFault::Size);
    assert_eq!(sign(changes(actor, &numbered(65))).unwrap_err(), DeltaFault::Size);
}

#[test]
fn another_actor_or_space_is_foreign() {
    let delta = signed(2);
    let foreign = [
        Delta { actor: Actor([1; 16]), ..delta.clone() },
        Delta { space: SpaceId([2; 32]), ..delta.clone() },
    ];
    for delta in foreign {
        assert_eq!(fault(resigned(delta)), DeltaFault::ForeignActor);
    }
    // The delta names its own actor, its changes another.
    let others = changes(Actor([9; 16]), &numbered(1)).into_iter().map(ByteVec::from).collect();
    assert_eq!(fault(resigned(Delta { changes: others, ..delta })), DeltaFault::ForeignActor);
}

#[test]
fn whatever_is_signed_is_covered_by_the_signature() {
    let good = signed(3);
    let name = DocumentName::new("other").unwrap();
    let mut bent = good.signature;
    bent.0[0] ^= 1;
    let changed = [
        Delta { document: name, ..good.clone() },
        Delta { first_seq: 2, ..good.clone() },
        Delta { signature: bent, ..good.clone() },
        Delta { changes: good.changes[..2].to_vec(), ..good.clone() },
    ];
    for delta in changed {
        assert_eq!(fault(delta).code(), "bad_signature");
    }
    let other = VerifiedIncarnation::sign(&Identity::from_seed(&[8; 32]), SPACE, [2; 16], Vec::new());
    assert_eq!(VerifiedDelta::verify(good, &other), Err(DeltaFault::ForeignActor));
}

#[test]
fn an_earlier_change_cannot_be_exchanged_under_the_signature() {
    let mut delta = signed(3);
    let others = changes(delta.actor, &["else".to_owned(), "where".to_owned()]);
    delta.changes[1] = ByteVec::from(others[1].clone());
    assert_eq!(fault(delta), DeltaFault::Chain);
}

#[test]
fn runs_that_are_no_chain_are_refused() {
    let good = signed(3);
    let mut gap = good.clone();
    gap.changes.remove(1);
    assert_eq!(fault(resigned(Delta { first_seq: 2, ..gap.clone() })), DeltaFault::Chain);
    assert_eq!(fault(resigned(gap)), DeltaFault::Chain);
    assert_eq!(fault(resigned(Delta { first_seq: 0, ..good.clone() })), DeltaFault::Chain);
    for first_seq in [SEQUENCE_MAX, SEQUENCE_MAX - 1, u64::MAX] {
        assert_eq!(fault(resigned(Delta { first_seq, ..good.clone() })), DeltaFault::Chain);
    }
    let twice = Delta { changes: vec![good.changes[0].clone(), good.changes[0].clone()], ..good };
    assert_eq!(fault(resigned(twice)), DeltaFault::Chain);
}

#[test]
fn malformed_changes_are_named() {
    let good = signed(1);
    for (bytes, code) in [(vec![], "change-truncated"), (vec![0; 50], "change-magic")] {
        let fault = fault(resigned(Delta { changes: vec![bytes.into()], ..good.clone() }));
        assert!(matches!(fault, DeltaFault::Chunk(_)), "{fault}");
        assert_eq!(fault.code(), code);
    }
}

fn record(count: usize) -> DeltaRecord {
    let delta = signed(count);
    let (changes, signature) = (delta.changes.clone(), delta.signature.0);
    DeltaRecord { arrival: 10_000, changes, signature, admitted: count as u64 }
}

#[test]
fn a_record_comes_back_and_has_little_beside_signature_and_changes() {
    for (count, most) in [(1, 8), (64, 10)] {
        let record = record(count);
        let bytes = encode(&record);
        let changes: usize = record.changes.iter().map(|change| change.len()).sum();
        assert!(bytes.len() - Signature::LEN - changes <= most, "{} for {count}", bytes.len());
        assert_eq!(decode(&bytes, "record"), Ok(record));
    }
}

#[test]
fn a_record_that_is_cut_short_or_of_another_form_is_refused() {
    let good = encode(&record(2));
    assert!((0..good.len()).all(|end| decode::<DeltaRecord>(&good[..end], "record").is_err()));
    let signed_by = |rest: &[u8]| encode(&(1_u64, 1_u64, minicbor::bytes::ByteVec::from(rest.to_vec())));
    assert!(
        decode::<DeltaRecord>(&signed_by(&[7; 64]), "record").is_ok_and(|record| record.changes.is_empty())
    );
    let chunk = signed(1).changes[0].to_vec();
    let length = chunk.len();
    for (what, rest) in [
        ("half a signature", vec![7; 32]),
        ("a change without its end", [&[7; 64][..], &chunk[..length - 1]].concat()),
        ("a byte behind the last change", [&[7; 64][..], &chunk, &[1]].concat()),
        ("what is no change", [&[7; 64][..], &[1; 50]].concat()),
    ] {
        assert!(decode::<DeltaRecord>(&signed_by(&rest), "record").is_err(), "{what}");
    }
    assert!(decode::<DeltaRecord>(&encode(&(1_u64, 1_u64)), "record").is_err());
}
