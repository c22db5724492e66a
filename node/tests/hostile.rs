//! A node as a process against peers that send what no honest node sends. Of each it says one line with a
//! stable name and moves a figure; it never panics, what its own users write before and after reads as
//! written, and what is good beside the bad is taken.

#[path = "hostile/cases.rs"]
mod cases;
#[path = "hostile/fuzzed.rs"]
mod fuzzed;
#[path = "../../fuzz/src/kept.rs"]
mod kept;
#[path = "hostile/member.rs"]
mod member;
#[path = "../src/network/tests/raw.rs"]
mod raw;
#[path = "../../crdt/tests/mesh/rogue.rs"]
mod rogue;
#[path = "hostile/victim.rs"]
mod victim;

use cases::{DeltaCase, MessageCase, Said, deltas, messages};
use member::{Hostile, Member, address};
use minicbor::bytes::ByteVec;
use rogue::{poison, put};
use serde_json::json;
use starling_api::space::Role;
use starling_crdt::codec;
use starling_crdt::exchange::{Response, encode_message};
use starling_node::network::{Command, Event};
use victim::{Told, Victim};

/// What a victim suffers from one peer, judged from before to after.
struct Ordeal<'v> {
    victim: &'v Victim,
    name: String,
    told: Told,
    before: (usize, u64),
    offences: usize,
}

impl<'v> Ordeal<'v> {
    async fn begin(victim: &'v Victim, name: String, told: &Told) -> Self {
        victim.works(&format!("before {name}")).await;
        let before = victim.heard(told).await;
        let offences = Self::offences(victim, told);
        Self { victim, name, told: told.clone(), before, offences }
    }

    fn offences(victim: &Victim, told: &Told) -> usize {
        let code = told.offence.map_or(told.code, |(_, code)| Some(code));
        let kind = |line: &serde_json::Value| told.offence.is_none_or(|(kind, _)| line["offence"] == kind);
        victim.lines("offence", code).iter().filter(|line| kind(line)).count()
    }

    async fn end(self) {
        self.victim.tells_once(&self.name, &self.told, self.before).await;
        let more = usize::from(self.told.offence.is_some() || self.told.event == "offence");
        if self.told.code.is_some() || self.told.offence.is_some() {
            let offences = Self::offences(self.victim, &self.told);
            assert_eq!(offences, self.offences + more, "{}: {}", self.name, self.victim.log());
        }
        self.victim.works(&format!("after {}", self.name)).await;
        self.victim.is_sound();
    }
}

async fn victim() -> (Victim, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    (Victim::start(directory.path()).await, directory)
}

async fn gossips(victim: &Victim, number: u8, case: &DeltaCase) {
    let mut member = Member::join(&victim.client, "rogue", number, Role::Writer).await;
    let (good, bad) = (format!("good/gossip/{number}"), format!("bad/gossip/{number}"));
    let ordeal = Ordeal::begin(victim, format!("{} by gossip", case.name), &case.told).await;
    let topic = member.rogue.topic();
    let change = member.rogue.change(1, 1, &[], vec![put("good", 1)]);
    member.peer.gossip(topic, member.rogue.payload(&good, &[&change])).await;
    for delta in (case.deltas)(&member.rogue, &bad) {
        member.peer.gossip(topic, member.rogue.frame(delta)).await;
    }
    ordeal.end().await;
    victim.shows(&good, &json!({"good": 1})).await;
    member.leave().await;
}

async fn answers(victim: &Victim, number: u8, case: &DeltaCase) {
    let member = Member::join(&victim.client, "rogue", number, Role::Writer).await;
    let (good, bad) = (format!("good/answer/{number}"), format!("bad/answer/{number}"));
    let ordeal = Ordeal::begin(victim, format!("{} in an answer", case.name), &case.told).await;
    let change = member.rogue.change(1, 1, &[], vec![put("good", 1)]);
    let mut sent = (case.deltas)(&member.rogue, &bad);
    // Behind the bad one, so that it must not end the batch.
    sent.push(member.rogue.delta(&good, &[&change]));
    let answer = Response::Deltas {
        incarnations: vec![member.rogue.incarnation.certificate().clone()],
        deltas: sent.iter().map(|delta| ByteVec::from(codec::encode(delta))).collect(),
        more: false,
    };
    member.answer_a_fetch(&[&good, &bad], encode_message(&answer));
    ordeal.end().await;
    victim.shows(&good, &json!({"good": 1})).await;
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_delta_by_gossip_is_told_once_and_spoils_nothing() {
    let (victim, _directory) = victim().await;
    for (number, case) in (1..).zip(&deltas()) {
        gossips(&victim, number, case).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_delta_in_an_answer_is_told_once_and_spoils_nothing() {
    let (victim, _directory) = victim().await;
    for (number, case) in (1..).zip(&deltas()) {
        answers(&victim, number, case).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_other_bad_message_of_a_member_is_told_once_and_spoils_nothing() {
    let (victim, _directory) = victim().await;
    for (number, MessageCase { name, said, told }) in (1..).zip(&messages()) {
        let mut member = Member::join(&victim.client, "rogue", number, Role::Writer).await;
        let ordeal = Ordeal::begin(&victim, (*name).to_owned(), told).await;
        match said(&member) {
            Said::Gossip(payload) => {
                let topic = member.rogue.topic();
                member.peer.gossip(topic, payload).await;
            }
            Said::Question(body) => member.peer.ask(body),
            Said::Answer(answer) => member.answer_a_fetch(&["bad/answer"], answer),
        }
        ordeal.end().await;
        member.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_writes_is_refused_and_the_node_goes_on() {
    let (victim, _directory) = victim().await;
    let mut member = Member::join(&victim.client, "rogue", 1, Role::Reader).await;
    let told = Told {
        event: "refused",
        code: Some("not_allowed"),
        figure: "starling_deltas_refused_total{code=\"{}\"}",
        offence: Some(("not_allowed", "not_allowed")),
    };
    let ordeal = Ordeal::begin(&victim, "a reader that writes".into(), &told).await;
    let change = member.rogue.change(1, 1, &[], vec![put("x", 1)]);
    let (topic, payload) = (member.rogue.topic(), member.rogue.payload("bad", &[&change]));
    member.peer.gossip(topic, payload).await;
    ordeal.end().await;
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_leaves_its_document_when_somebody_looks_and_the_rest_of_it_shows() {
    let (victim, _directory) = victim().await;
    let mut member = Member::join(&victim.client, "rogue", 1, Role::Writer).await;
    let figure = "starling_quarantined_total";
    let told = Told { event: "quarantined", code: None, figure, offence: None };
    let ordeal = Ordeal::begin(&victim, "poison".into(), &told).await;
    let good = member.rogue.change(1, 1, &[], vec![put("good", 1)]);
    let bad = member.rogue.change(2, 2, &[good.hash], vec![poison(member.rogue.actor())]);
    let (topic, payload) = (member.rogue.topic(), member.rogue.payload("poisoned", &[&good, &bad]));
    member.peer.gossip(topic, payload).await;
    victim.shows("poisoned", &json!({"good": 1})).await;
    ordeal.end().await;
    victim.shows("poisoned", &json!({"good": 1})).await;
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_frame_is_an_offence_and_never_read() {
    let (victim, _directory) = victim().await;
    let figure = "starling_offences_total{kind=\"{}\"}";
    let told = Told { event: "offence", code: Some("oversized_frame"), figure, offence: None };
    let ordeal = Ordeal::begin(&victim, "an oversized frame".into(), &told).await;
    let announced = starling_crdt::limits::EXCHANGE_FRAME_BYTES_MAX as u32 + 1;
    let peer = tokio::spawn(raw::ask(address(&victim.client).await, announced.to_be_bytes().to_vec()));
    ordeal.end().await;
    peer.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_that_asks_garbage_is_disconnected_and_the_node_goes_on() {
    let (victim, _directory) = victim().await;
    let figure = "starling_offences_total{kind=\"garbage\"}";
    let told = Told { event: "offence", code: Some("malformed_request"), figure, offence: None };
    let mut peer = Hostile::connect([201; 32], &address(&victim.client).await).await;
    let ordeal = Ordeal::begin(&victim, "a stranger's garbage".into(), &told).await;
    peer.ask(vec![0xff; 40]);
    ordeal.end().await;
    let line = victim.lines("offence", Some("malformed_request")).remove(0);
    assert_eq!(line["offence"], "garbage", "{line}");
    assert_eq!(line["peer"], peer.handle.local().to_string(), "{line}");
    peer.wait(|event| matches!(event, Event::PeerDown { .. }).then_some(())).await;
    // What it did is told although it is gone.
    let key = peer.handle.local().to_string();
    let charged = async {
        loop {
            let peers = victim.client.peers().await.expect("its peers").items;
            if let Some(known) = peers.into_iter().find(|known| known.key == key && !known.connected) {
                return known;
            }
            tokio::task::yield_now().await;
        }
    };
    let charged = tokio::time::timeout(victim::DEADLINE, charged).await.expect("it is told of in time");
    assert_eq!((charged.offences, charged.score, charged.sent_bytes), (Some(1), Some(10), None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_that_nobody_sealed_is_refused_and_the_node_goes_on() {
    let (victim, _directory) = victim().await;
    let figure = "starling_deltas_refused_total{code=\"{}\"}";
    let told = Told { event: "refused", code: Some("not_sealed"), figure, offence: None };
    let mut peer = Hostile::connect([202; 32], &address(&victim.client).await).await;
    let ordeal = Ordeal::begin(&victim, "unsealed gossip".into(), &told).await;
    let topic = peer.topic().await;
    peer.send(Command::Publish { topic, payload: vec![0xff; 200] });
    ordeal.end().await;
}
