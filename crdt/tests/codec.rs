//! Every message survives the way through bytes; what is newer, odd or broken gets a clear answer.

mod draws;
mod messages;

use draws::Draws;
use messages::{SPACE, author, delta, frames, incarnation, requests, responses};
use minicbor::{Decode, Encode};
use starling_crdt::budget::Offence;
use starling_crdt::codec::{CodecError, decode, encode};
use starling_crdt::delta::{Delta, VerifiedDelta};
use starling_crdt::exchange::{MessageError, Request, Response, decode_message, encode_message};
use starling_crdt::gossip::{Frame, Refused, ScreenedAnswer, ScreenedDelta, ScreenedFrame, Screener};
use starling_crdt::incarnation::{Incarnation, VerifiedIncarnation};
use starling_crdt::seal::{EpochKey, seal, topic};

fn back<T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + std::fmt::Debug>(value: &T) {
    assert_eq!(&decode::<T>(&encode(value), "value").unwrap(), value);
}

#[test]
fn every_message_comes_back_as_it_was() {
    let mut draws = Draws(1);
    for _ in 0..3_000 {
        let (request, response) = (draws.request(), draws.response());
        assert_eq!(decode_message::<Request>(&encode_message(&request)).unwrap(), request);
        assert_eq!(decode_message::<Response>(&encode_message(&response)).unwrap(), response);
        back(&draws.frame());
        back(&draws.delta());
        back(&draws.incarnation());
    }
}

/// Adds one more field to the innermost list of fields of an encoded message.
fn with_new_field(bytes: &[u8]) -> Vec<u8> {
    // An array of the kind's number and an array of its fields, which ends the message.
    assert_eq!(bytes[0], 0x82);
    let mut longer = bytes.to_vec();
    longer[2] += 1;
    longer.extend_from_slice(&encode(&"a field of a newer version"));
    longer
}

#[test]
fn fields_of_newer_versions_are_skipped() {
    for (name, request) in requests() {
        let longer = with_new_field(&encode(&request));
        assert_eq!(decode::<Request>(&longer, "request").unwrap(), request, "{name}");
    }
    for (name, response) in responses() {
        let longer = with_new_field(&encode(&response));
        assert_eq!(decode::<Response>(&longer, "response").unwrap(), response, "{name}");
    }
    for (name, frame) in frames() {
        let longer = with_new_field(&encode(&frame));
        assert_eq!(decode::<Frame>(&longer, "frame").unwrap(), frame, "{name}");
    }
    // Maps: one more pair.
    let more = |bytes: Vec<u8>| {
        let mut longer = bytes;
        longer[0] += 1;
        longer.extend_from_slice(&[0x18, 99]);
        longer.extend_from_slice(&encode(&"new"));
        longer
    };
    let (delta, incarnation) = (delta(), incarnation());
    assert_eq!(&decode::<Delta>(&more(encode(delta.delta())), "delta").unwrap(), delta.delta());
    let certificate = incarnation.certificate();
    assert_eq!(&decode::<Incarnation>(&more(encode(certificate)), "incarnation").unwrap(), certificate);
}

#[test]
fn kinds_and_versions_of_newer_nodes_are_named() {
    let unknown = [0x82, 0x18, 99, 0x80];
    let kind = decode::<Request>(&unknown, "exchange message").unwrap_err();
    assert!(matches!(kind, CodecError::UnknownKind { .. }), "{kind}");
    assert!(kind.to_string().starts_with("exchange message of an unknown kind"), "{kind}");
    assert!(matches!(decode::<Response>(&unknown, "answer"), Err(CodecError::UnknownKind { .. })));
    assert!(matches!(decode::<Frame>(&unknown, "frame"), Err(CodecError::UnknownKind { .. })));
    for bytes in [vec![1, 0x82], [vec![0x19, 1, 0], encode(&Response::Done)].concat()] {
        let error = decode_message::<Response>(&bytes).unwrap_err();
        assert!(matches!(error, MessageError::Version { .. }) && error.is_newer(), "{error}");
    }
    let newer = decode_message::<Request>(&[&[0], unknown.as_slice()].concat()).unwrap_err();
    assert!(newer.is_newer(), "{newer}");
    assert!(!decode_message::<Request>(&[]).unwrap_err().is_newer());
    assert!(!decode_message::<Request>(&[0, 0x82, 0]).unwrap_err().is_newer());
}

#[test]
fn what_follows_a_message_is_refused() {
    for (name, request) in requests() {
        let longer = [encode_message(&request), vec![0]].concat();
        let error = decode_message::<Request>(&longer).unwrap_err();
        assert!(
            matches!(error, MessageError::Codec(CodecError::Trailing { extra: 1, .. })),
            "{name}: {error}"
        );
    }
}

#[test]
fn every_cut_message_is_refused() {
    for (name, request) in requests() {
        let bytes = encode_message(&request);
        for length in 0..bytes.len() {
            assert!(decode_message::<Request>(&bytes[..length]).is_err(), "{name} cut to {length}");
        }
    }
    for (name, response) in responses() {
        let bytes = encode_message(&response);
        for length in 0..bytes.len() {
            assert!(decode_message::<Response>(&bytes[..length]).is_err(), "{name} cut to {length}");
        }
    }
}

fn screener() -> (Screener, EpochKey) {
    let screener = Screener::default();
    let key = EpochKey::from_bytes([9; 32]);
    screener.learn_space(SPACE, key.clone());
    screener.learn_incarnation(incarnation());
    (screener, key)
}

#[test]
fn random_and_mutated_bytes_never_panic_and_forge_nothing() {
    let (screener, key) = screener();
    let topic = topic(SPACE, &key);
    let mut draws = Draws(2);
    let good: Vec<Vec<u8>> = frames().iter().map(|(_, frame)| encode(frame)).collect();
    let answers: Vec<Vec<u8>> = responses().iter().map(|(_, answer)| encode_message(answer)).collect();
    let questions: Vec<Vec<u8>> = requests().iter().map(|(_, asked)| encode_message(asked)).collect();
    let honest = delta();
    for round in 0..6_000 {
        let plain = if round % 5 == 0 {
            draws.some_bytes().to_vec()
        } else {
            let place = draws.below(good.len());
            draws.mutate(&good[place])
        };
        let (_, frame) = screener.screen_gossip(topic, &seal(&key, &plain));
        if let ScreenedFrame::Delta(ScreenedDelta::Verified(found, _)) = frame {
            assert_eq!(found.delta(), honest.delta(), "only what was signed passes");
        }
        screener.screen_gossip(topic, &plain);
        let place = draws.below(answers.len());
        let bent = draws.mutate(&answers[place]);
        screener.screen_answer(&bent);
        let place = draws.below(questions.len());
        let bent = draws.mutate(&questions[place]);
        decode_message::<Request>(&bent).ok();
        screener.screen_answer(&draws.some_bytes());
    }
}

#[test]
fn a_mutated_delta_or_incarnation_is_not_what_was_signed() {
    let mut draws = Draws(3);
    let (honest, certificate) = (delta(), incarnation());
    let (bytes, signed) = (encode(honest.delta()), encode(certificate.certificate()));
    for _ in 0..3_000 {
        if let Ok(found) = decode::<Delta>(&draws.mutate(&bytes), "delta")
            && found != *honest.delta()
        {
            assert!(VerifiedDelta::verify(found, &certificate).is_err());
        }
        if let Ok(found) = decode::<Incarnation>(&draws.mutate(&signed), "incarnation")
            && found != *certificate.certificate()
        {
            assert!(VerifiedIncarnation::verify(found).is_err());
        }
    }
}

#[test]
fn a_screener_tells_apart_what_it_cannot_know() {
    let (screener, key) = screener();
    let topic = topic(SPACE, &key);
    let honest = delta().delta().clone();
    let payload = |incarnation, delta| Frame::Delta { incarnation, delta }.seal(&key);
    // Known by heart, brought along, unknown.
    let known = screener.screen_gossip(topic, &payload(None, honest.clone())).1;
    assert!(matches!(known, ScreenedFrame::Delta(ScreenedDelta::Verified(_, None))));
    let certificate = incarnation().certificate().clone();
    let fresh = Screener::default();
    fresh.learn_space(SPACE, key.clone());
    let unknown = fresh.screen_gossip(topic, &payload(None, honest.clone())).1;
    assert!(matches!(unknown, ScreenedFrame::Delta(ScreenedDelta::Unverified(_))));
    let brought = fresh.screen_gossip(topic, &payload(Some(certificate.clone()), honest.clone())).1;
    assert!(matches!(brought, ScreenedFrame::Delta(ScreenedDelta::Verified(_, Some(_)))));
    assert!(fresh.incarnation(incarnation().actor()).is_none(), "what rides along is not believed yet");
    // Another one's incarnation, and a forged one.
    let other = VerifiedIncarnation::sign(&author(2), SPACE, [2; 16], vec![]).certificate().clone();
    let foreign = fresh.screen_gossip(topic, &payload(Some(other), honest.clone())).1;
    let ScreenedFrame::Delta(ScreenedDelta::Refused(refused)) = foreign else { panic!("{foreign:?}") };
    assert_eq!((refused.code(), refused.offence()), ("foreign_actor", Some(Offence::ForeignActor)));
    let forged = Incarnation { nonce: [3; 16], ..certificate };
    let forged = fresh.screen_gossip(topic, &payload(Some(forged), honest)).1;
    assert!(matches!(forged, ScreenedFrame::Refused(Refused::Incarnation(_))), "{forged:?}");
    // An answer with a badly signed incarnation keeps its deltas apart.
    let answer = Response::Deltas { incarnations: vec![], deltas: vec![vec![0xff].into()], more: true };
    let ScreenedAnswer::Deltas { deltas, more, .. } = fresh.screen_answer(&encode_message(&answer)) else {
        panic!("not an answer to a fetch")
    };
    assert!(more && matches!(deltas[..], [ScreenedDelta::Refused(_)]));
}
