//! What a hostile member sends, and what the node shall say and count about it.

use automerge::ActorId;
use minicbor::bytes::ByteVec;
use starling_crdt::delta::{Announcement, Delta};
use starling_crdt::exchange::{Request, Response, encode_message};
use starling_crdt::gossip::Frame;
use starling_crdt::id::{Actor, ChangeHash, SpaceId};
use starling_crdt::seal;

use crate::member::Member;
use crate::rogue::{Made, Rogue, altered, chunk_hash, make, no_signature, put};
use crate::victim::Told;

const REFUSED: &str = "starling_deltas_refused_total{code=\"{}\"}";

/// Refused by code, and an offence of that kind.
fn offence(code: &'static str, kind: &'static str) -> Told {
    Told { event: "refused", code: Some(code), figure: REFUSED, offence: Some((kind, code)) }
}

/// Refused by code, and nobody's offence.
fn refused(code: &'static str) -> Told {
    Told { event: "refused", code: Some(code), figure: REFUSED, offence: None }
}

/// An offence that is no refusal of a delta.
fn misuse(code: &'static str, figure: &'static str) -> Told {
    Told { event: "offence", code: Some(code), figure, offence: None }
}

const GARBAGE: &str = "starling_offences_total{kind=\"garbage\"}";

/// Deltas of a document: the last of them is the bad one.
pub struct DeltaCase {
    pub name: &'static str,
    pub deltas: fn(&Rogue, &str) -> Vec<Delta>,
    pub told: Told,
}

fn first(rogue: &Rogue) -> Made {
    rogue.change(1, 1, &[], vec![put("x", 1)])
}

/// Signed, whatever it is.
fn signed(rogue: &Rogue, name: &str, bytes: Vec<u8>) -> Vec<Delta> {
    let hash = chunk_hash(&bytes);
    vec![rogue.delta(name, &[&Made { bytes, hash, seq: 1 }])]
}

fn many(count: u32) -> Vec<ChangeHash> {
    let hash = |number: u32| {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        ChangeHash(hash)
    };
    (0..count).map(hash).collect()
}

/// Every way in which a member's delta is not what an honest one writes, and admission can tell.
pub fn deltas() -> Vec<DeltaCase> {
    const STRUCTURE: &str = "structure_violation";
    const SEQUENCE: &str = "sequence_violation";
    let case = |name, told, deltas| DeltaCase { name, deltas, told };
    vec![
        case("a bad signature", offence("bad_signature", "bad_signature"), |rogue, name| {
            vec![Delta { signature: no_signature(), ..rogue.delta(name, &[&first(rogue)]) }]
        }),
        case("a change of a foreign actor", offence("foreign_actor", "foreign_actor"), |rogue, name| {
            vec![rogue.delta(name, &[&make(Actor([5; 16]), 1, 1, &[], vec![put("x", 1)])])]
        }),
        case("an actor of another length", offence("change-actor-length", STRUCTURE), |rogue, name| {
            let short = |change: &mut automerge::ExpandedChange| change.actor_id = ActorId::from([1; 8]);
            vec![rogue.delta(name, &[&altered(rogue.actor(), 1, 1, &[], vec![put("x", 1)], short)])]
        }),
        case("a first change numbered five", offence("sequence", SEQUENCE), |rogue, name| {
            vec![rogue.delta(name, &[&rogue.change(5, 1, &[], vec![put("x", 1)])])]
        }),
        case("a change numbered zero", offence("broken_chain", STRUCTURE), |rogue, name| {
            let zero = altered(rogue.actor(), 1, 1, &[], vec![put("x", 1)], |change| change.seq = 0);
            vec![rogue.delta(name, &[&Made { seq: 0, ..zero }])]
        }),
        case("a second change without the first", offence("sequence", SEQUENCE), |rogue, name| {
            let second = rogue.change(2, 1, &[], vec![put("x", 2)]);
            vec![rogue.delta(name, &[&first(rogue)]), rogue.delta(name, &[&second])]
        }),
        case("a counter out of line", offence("start_op", SEQUENCE), |rogue, name| {
            vec![rogue.delta(name, &[&rogue.change(1, 7, &[], vec![put("x", 1)])])]
        }),
        case("a counter below its past", offence("start_op", SEQUENCE), |rogue, name| {
            let two = rogue.change(1, 1, &[], vec![put("x", 1), put("y", 1)]);
            let second = rogue.change(2, 2, &[two.hash], vec![put("x", 2)]);
            vec![rogue.delta(name, &[&two]), rogue.delta(name, &[&second])]
        }),
        case("operation ids used before", offence("start_op", SEQUENCE), |rogue, name| {
            let one = first(rogue);
            let second = rogue.change(2, 1, &[one.hash], vec![put("x", 2)]);
            vec![rogue.delta(name, &[&one]), rogue.delta(name, &[&second])]
        }),
        case("a counter close to its end", offence("change-op-counter", STRUCTURE), |rogue, name| {
            vec![rogue.delta(name, &[&rogue.change(1, (1 << 32) - 1, &[], vec![put("x", 1)])])]
        }),
        case("more operations than allowed in few bytes", offence("change-ops", STRUCTURE), |rogue, name| {
            let many = vec![put("x", automerge::ScalarValue::Null); 100_001];
            vec![rogue.delta(name, &[&rogue.change(1, 1, &[], many)])]
        }),
        case("too many dependencies", offence("change-dependencies", STRUCTURE), |rogue, name| {
            vec![rogue.delta(name, &[&rogue.change(1, 1, &many(257), vec![put("x", 1)])])]
        }),
        case("too long a message", offence("change-message", STRUCTURE), |rogue, name| {
            let long = |change: &mut automerge::ExpandedChange| change.message = Some("m".repeat(1_025));
            vec![rogue.delta(name, &[&altered(rogue.actor(), 1, 1, &[], vec![put("x", 1)], long)])]
        }),
        case("a time that no clock shows", offence("change-time", STRUCTURE), |rogue, name| {
            let late = |change: &mut automerge::ExpandedChange| change.time = i64::MAX;
            vec![rogue.delta(name, &[&altered(rogue.actor(), 1, 1, &[], vec![put("x", 1)], late)])]
        }),
        case("bytes after the last column", offence("change-extra-bytes", STRUCTURE), |rogue, name| {
            let extra = |change: &mut automerge::ExpandedChange| change.extra_bytes = vec![1, 2, 3];
            vec![rogue.delta(name, &[&altered(rogue.actor(), 1, 1, &[], vec![put("x", 1)], extra)])]
        }),
        case("a compressed chunk", offence("change-compressed", STRUCTURE), |rogue, name| {
            let mut compressed = first(rogue).bytes;
            compressed[8] = 2;
            signed(rogue, name, compressed)
        }),
        case("a chunk that is a document", offence("not-a-change", STRUCTURE), |rogue, name| {
            let mut document = first(rogue).bytes;
            document[8] = 0;
            signed(rogue, name, document)
        }),
        case("a chunk of zeros", offence("change-magic", STRUCTURE), |rogue, name| {
            signed(rogue, name, vec![0; 40])
        }),
        case("a chunk cut short", offence("change-truncated", STRUCTURE), |rogue, name| {
            let mut cut = first(rogue).bytes;
            cut.pop();
            signed(rogue, name, cut)
        }),
        case("a checksum of something else", offence("change-checksum", STRUCTURE), |rogue, name| {
            let mut bent = first(rogue).bytes;
            bent[4] ^= 1;
            signed(rogue, name, bent)
        }),
        case("no changes", offence("delta_size", STRUCTURE), |rogue, name| {
            vec![Delta { changes: vec![], ..rogue.delta(name, &[&first(rogue)]) }]
        }),
        case("changes that do not follow each other", offence("broken_chain", STRUCTURE), |rogue, name| {
            let loose = rogue.change(2, 2, &[ChangeHash([4; 32])], vec![put("x", 2)]);
            vec![rogue.delta(name, &[&first(rogue), &loose])]
        }),
        case(
            "a dependency that never comes",
            Told { event: "orphaned", code: None, figure: "starling_orphans_total", offence: None },
            |rogue, name| vec![rogue.delta(name, &[&rogue.change(2, 2, &many(1), vec![put("x", 2)])])],
        ),
        case(
            "a second change with a known number",
            Told {
                event: "fork",
                code: None,
                figure: "starling_forks_total",
                offence: Some(("equivocation", "fork")),
            },
            |rogue, name| {
                let other = rogue.change(1, 1, &[], vec![put("x", "other")]);
                vec![rogue.delta(name, &[&first(rogue)]), rogue.delta(name, &[&other])]
            },
        ),
    ]
}

/// Something else that a member says.
pub struct MessageCase {
    pub name: &'static str,
    pub said: fn(&Member) -> Said,
    pub told: Told,
}

pub enum Said {
    Gossip(Vec<u8>),
    Question(Vec<u8>),
    /// To the node's wish to fetch.
    Answer(Vec<u8>),
}

fn sealed(member: &Member, plain: &[u8]) -> Said {
    Said::Gossip(seal::seal(&member.rogue.epoch, plain))
}

pub fn messages() -> Vec<MessageCase> {
    let case = |name, told, said| MessageCase { name, said, told };
    vec![
        case("gossip of garbage", offence("malformed", "garbage"), |member| sealed(member, b"garbage")),
        case("gossip of an unknown kind", refused("unknown_kind"), |member| {
            sealed(member, &[0x82, 0x18, 99, 0x80])
        }),
        case("gossip of another version", refused("not_sealed"), |member| {
            let mut newer = seal::seal(&member.rogue.epoch, b"whatever");
            newer[0] = 1;
            Said::Gossip(newer)
        }),
        case("a statement of garbage", offence("malformed", "garbage"), |member| {
            Said::Gossip(Frame::Statement(ByteVec::from(vec![1, 2, 3])).seal(&member.rogue.epoch))
        }),
        case("a beacon of garbage", offence("bad_beacon", "garbage"), |member| {
            Said::Gossip(Frame::Beacon(ByteVec::from(vec![1, 2, 3])).seal(&member.rogue.epoch))
        }),
        case("a delta of another space", offence("foreign_space", "garbage"), |member| {
            let honest = member.rogue.delta("bad/foreign", &[&first(&member.rogue)]);
            Said::Gossip(member.rogue.frame(Delta { space: SpaceId([3; 32]), ..honest }))
        }),
        case("an announcement nobody signed", offence("bad_signature", "bad_signature"), |member| {
            let announcement = Announcement {
                document: "bad/announced".parse().expect("a name"),
                actor: member.rogue.actor(),
                seq: 1,
                hash: ChangeHash([1; 32]),
                signature: no_signature(),
            };
            let incarnation = Some(member.rogue.incarnation.certificate().clone());
            Said::Gossip(Frame::Announcement { incarnation, announcement }.seal(&member.rogue.epoch))
        }),
        case("a question of garbage", misuse("malformed_request", GARBAGE), |_| {
            Said::Question(vec![0xff; 40])
        }),
        case("a join of garbage", misuse("malformed_join", GARBAGE), |_| {
            Said::Question(encode_message(&Request::Join(vec![0xff].into())))
        }),
        case("a question of another version", refused("unsupported"), |_| Said::Question(vec![1, 0])),
        case("a question of an unknown kind", refused("unsupported"), |_| {
            Said::Question(vec![0, 0x82, 0x18, 99, 0x80])
        }),
        case("a statement with a bad signature", offence("bad_signature", "bad_signature"), |member| {
            let mut bent = member.statements.last().expect("its own join").to_vec();
            *bent.last_mut().expect("not empty") ^= 1;
            let (space, statements) = (member.rogue.space, vec![bent.into()]);
            Said::Question(encode_message(&Request::TakeStatements { space, statements }))
        }),
        case("an answer of garbage", misuse("malformed_answer", GARBAGE), |_| {
            Said::Answer(vec![0, 0xff, 0xff])
        }),
        case("an answer to another question", misuse("unexpected_answer", GARBAGE), |_| {
            Said::Answer(encode_message(&Response::Done))
        }),
        case("an answer of another version", refused("unsupported"), |_| Said::Answer(vec![1, 0])),
    ]
}
