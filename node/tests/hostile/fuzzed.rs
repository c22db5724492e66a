//! What the fuzzer kept and found, said to a real node by peers that mean ill.

use starling_api::space::Role;
use starling_crdt::exchange::{Response, decode_message};
use starling_crdt::seal;

use crate::kept;
use crate::member::{Hostile, Member, address};
use crate::rogue::put;
use crate::victim::Victim;

/// What one peer says before another takes over: a node sends away whoever offends too often.
const INPUTS_PER_PEER: usize = 3;

/// The first of these peers; the other tests' are below.
const FIRST: usize = 1;

fn inputs(target: &str) -> Vec<Vec<u8>> {
    kept::corpus(target).into_iter().chain(kept::found(target)).map(|(_, input)| input).collect()
}

fn seed(number: usize) -> [u8; 32] {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    seed
}

async fn is_well(victim: &Victim, what: &str) {
    victim.works(&format!("after {what}")).await;
    victim.is_sound();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_the_fuzzer_kept_is_answered_or_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let victim = Victim::start(directory.path()).await;
    let address = address(&victim.client).await;
    for (number, bodies) in (FIRST..).zip(inputs("message").chunks(INPUTS_PER_PEER)) {
        let mut peer = Hostile::connect(seed(number), &address).await;
        for body in bodies {
            peer.ask(body.clone());
        }
        for _ in bodies {
            peer.answered().await;
        }
        peer.handle.shutdown().await;
    }
    is_well(&victim, "questions").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_frame_and_answer_the_fuzzer_kept_spoils_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let victim = Victim::start(directory.path()).await;
    let frames = inputs("frame");
    let answers: Vec<_> =
        inputs("message").into_iter().filter(|bytes| decode_message::<Response>(bytes).is_ok()).collect();
    let mut answers = answers.into_iter();
    for (number, frames) in (1..=u8::MAX).zip(frames.chunks(INPUTS_PER_PEER)) {
        let mut member = Member::join(&victim.client, "rogue", number, Role::Writer).await;
        let topic = member.rogue.topic();
        let good = format!("good/{number}");
        let change = member.rogue.change(1, 1, &[], vec![put("good", 1)]);
        member.peer.gossip(topic, member.rogue.payload(&good, &[&change])).await;
        for frame in frames {
            member.peer.gossip(topic, seal::seal(&member.rogue.epoch, frame)).await;
        }
        if let Some(answer) = answers.next() {
            member.answer_a_fetch(&["bad"], answer);
        }
        victim.shows(&good, &serde_json::json!({"good": 1})).await;
        member.leave().await;
    }
    is_well(&victim, "frames and answers").await;
}
