//! What a fuzzer made, signed as an author who means ill would sign it, so that what lies behind the check
//! of the signature is met.

use minicbor::bytes::ByteVec;
use starling_crdt::charter::{Statement, StatementBody};
use starling_crdt::chunk::ChangeChunk;
use starling_crdt::codec::{Signable, encode};
use starling_crdt::delta::{Announcement, Delta};
use starling_crdt::exchange::{Response, encode_message};
use starling_crdt::gossip::{Frame, ScreenedAnnouncement, ScreenedAnswer, ScreenedFrame};
use starling_crdt::id::{Actor, DocumentName};
use starling_crdt::identity::Signature;
use starling_crdt::limits::{BEACON_BYTES_MAX, SEQUENCE_MAX};
use starling_crdt::presence::{Beacon, VerifiedBeacon};

use super::{CERTIFICATE, SCREENER, SPACE, author, epoch};

/// What a delta's signature covers.
fn signature(document: &DocumentName, actor: Actor, seq: u64, hash: &[u8; 32]) -> Signature {
    let signable = Signable::new("starling/delta")
        .bytes(&SPACE.0)
        .bytes(document.as_str().as_bytes())
        .bytes(&actor.0)
        .number(seq)
        .bytes(hash);
    author().sign(&signable)
}

/// A delta of these changes by the author, signed over the last; none when that is no change.
pub fn delta_of(changes: Vec<Vec<u8>>) -> Option<Delta> {
    let last = ChangeChunk::parse(changes.last()?).ok()?;
    let (document, actor) = (DocumentName::new("fuzzed").expect("a name"), CERTIFICATE.actor());
    let signature = signature(&document, actor, last.seq, &last.hash.0);
    let first_seq = (last.seq + 1).saturating_sub(changes.len() as u64);
    let changes = changes.into_iter().map(ByteVec::from).collect();
    Some(Delta { space: SPACE, document, actor, first_seq, changes, signature })
}

fn screened(frame: &Frame) -> ScreenedFrame {
    let (screener, topic) = &*SCREENER;
    screener.screen_gossip(*topic, &frame.seal(&epoch())).1
}

/// What the author signs is never refused for its signature.
pub fn frame(frame: Frame) {
    match frame {
        Frame::Delta { delta: found, .. } => {
            let changes = found.changes.into_iter().map(Vec::from).collect();
            let Some(delta) = delta_of(changes) else { return };
            screened(&Frame::Delta { incarnation: None, delta });
        }
        Frame::Announcement { announcement: found, .. } => {
            let actor = CERTIFICATE.actor();
            let signature = signature(&found.document, actor, found.seq, &found.hash.0);
            let announcement = Announcement { actor, signature, ..found };
            let (seq, incarnation) = (announcement.seq, Some(CERTIFICATE.certificate().clone()));
            let verdict = screened(&Frame::Announcement { incarnation, announcement });
            let passes = matches!(verdict, ScreenedFrame::Announcement(ScreenedAnnouncement::Verified(..)));
            assert_eq!(passes, (1..=SEQUENCE_MAX).contains(&seq), "{verdict:?}");
        }
        Frame::Statement(bytes) => {
            let Ok(Statement { tips, time, body, .. }) = Statement::from_bytes(&bytes) else { return };
            let joins = matches!(body, StatementBody::Join(_));
            let signed = Statement::sign(&author(), SPACE, tips, time, body);
            let verdict = screened(&Frame::Statement(signed.to_bytes().into()));
            assert!(joins || matches!(verdict, ScreenedFrame::Statement(_)), "{verdict:?}");
        }
        Frame::Beacon(bytes) => {
            let Ok(found) = Beacon::from_bytes(&bytes) else { return };
            let signed = VerifiedBeacon::sign(Beacon { space: SPACE, ..found }, &author()).to_bytes();
            let fits = signed.len() <= BEACON_BYTES_MAX;
            let verdict = screened(&Frame::Beacon(signed.into()));
            assert!(!fits || matches!(verdict, ScreenedFrame::Beacon(_)), "{verdict:?}");
        }
    }
}

/// An answer whose deltas are signed: each gets its own verdict, in the order in which they came.
pub fn answer(response: Response) {
    let Response::Deltas { incarnations, deltas, more } = response else { return };
    let signed: Vec<ByteVec> = deltas
        .into_iter()
        .map(|bytes| match delta_of(super::pieces(&bytes).into_iter().map(super::framed).collect()) {
            Some(delta) => ByteVec::from(encode(&delta)),
            None => bytes,
        })
        .collect();
    let count = signed.len();
    let response = Response::Deltas { incarnations, deltas: signed, more };
    match SCREENER.0.screen_answer(&encode_message(&response)) {
        ScreenedAnswer::Deltas { deltas, .. } => assert_eq!(deltas.len(), count),
        other => panic!("{other:?}"),
    }
}
