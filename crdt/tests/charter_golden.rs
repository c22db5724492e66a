//! Known answers for every structure of charter and presence that is signed, hashed or sealed, from
//! fixed keys. A difference here is a change of the protocol: it needs a new version or, while the
//! formats are version 0, a decision record and new vectors here and in the protocol's description.

use std::collections::BTreeMap;

use starling_crdt::address::Address;
use starling_crdt::charter::{
    Charter, CloseInvite, Genesis, Grant, Invite, JoinRequest, Label, Prefix, Role, Statement, StatementBody,
    Ticket,
};
use starling_crdt::codec::{decode, encode};
use starling_crdt::connect::PeerRecord;
use starling_crdt::id::{SpaceId, StatementId};
use starling_crdt::identity::{Identity, Signature};
use starling_crdt::presence::{Beacon, Facts, Lost, VerifiedBeacon};
use starling_crdt::seal::{EpochKey, open, seal, topic};
use starling_crdt::time::WallTime;

const TIME: WallTime = WallTime(1_700_000_000_000);

/// Every name with its value, as `name = value` on one line each.
const VECTORS: &str = include_str!("charter_golden.txt");

fn who(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
}

fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn vectors() -> BTreeMap<&'static str, &'static str> {
    VECTORS.lines().filter_map(|line| line.split_once(" = ")).collect()
}

fn genesis() -> Genesis {
    Genesis::new(label("fleet"), TIME, [9; 16], vec![who(1).key()]).unwrap()
}

/// A charter with one statement of each kind, and their names.
fn charter() -> (Charter, Vec<StatementId>) {
    let mut charter = Charter::new(genesis());
    let add = |body: StatementBody, charter: &mut Charter| {
        let statement = charter.issue(&who(1), TIME, body).unwrap();
        let id = statement.id();
        charter.insert(statement).unwrap();
        id
    };
    let granted = StatementBody::Grant(Grant {
        member: who(2).key(),
        role: Role::Writer,
        prefix: Some(Prefix::new("config/").unwrap()),
        name: Some(label("node-2")),
    });
    let granted = add(granted, &mut charter);
    let invited = StatementBody::Invite(Invite {
        invite_key: who(50).key(),
        role: Role::Reader,
        prefix: None,
        uses: Some(3),
        expires: Some(WallTime(TIME.0 + 86_400_000)),
    });
    let invited = add(invited, &mut charter);
    let request = request(invited);
    let joined = charter.witness(&request, who(1).key(), TIME).unwrap().unwrap();
    let joined = add(joined, &mut charter);
    let closed = StatementBody::CloseInvite(CloseInvite { invite: invited });
    let closed = add(closed, &mut charter);
    (charter, vec![granted, invited, joined, closed])
}

fn epoch_key() -> EpochKey {
    EpochKey::from_bytes([7; 32])
}

fn ticket(invite: StatementId) -> Ticket {
    let addresses = vec![Address::new("/ip4/10.0.0.1/tcp/4710").unwrap()];
    Ticket::new(genesis(), epoch_key(), invite, &who(50), addresses)
}

fn request(invite: StatementId) -> JoinRequest {
    JoinRequest::new(&ticket(invite), &who(3), label("node-3"))
}

fn beacon(space: SpaceId) -> VerifiedBeacon {
    let facts = Facts {
        name: label("node-2"),
        version: label("0.1.0"),
        addresses: vec![Address::new("/ip4/10.0.0.2/tcp/4710").unwrap()],
        statements: [1; 8],
        documents: [2; 8],
        document_count: 3,
        change_count: 400,
        commit: 5_000,
    };
    let beacon = Beacon {
        space,
        author: who(2).key(),
        counter: 1_700_000_000_001,
        facts,
        period_ms: 5_000,
        leaving: false,
        lost: vec![Lost { author: who(3).key(), counter: 9 }],
        time: TIME,
        signature: Signature([0; 64]),
    };
    VerifiedBeacon::sign(beacon, &who(2))
}

fn found() -> BTreeMap<String, String> {
    let (charter, ids) = charter();
    let mut found = BTreeMap::new();
    let mut put = |name: &str, value: String| {
        assert!(found.insert(name.to_string(), value).is_none(), "{name} comes twice");
    };
    put("author 1", who(1).key().to_string());
    put("genesis signable", hex(genesis().signable().as_slice()));
    put("genesis cbor", hex(&encode(&genesis())));
    put("space", genesis().space_id().to_string());
    for id in &ids {
        let statement = charter.statement(*id).unwrap();
        let kind = statement.body.kind();
        put(&format!("{kind} signable"), hex(statement.signable().as_slice()));
        put(&format!("{kind} cbor"), hex(&statement.to_bytes()));
        put(&format!("{kind} id"), id.to_string());
    }
    put("fingerprint", hex(&charter.fingerprint()));
    put("join_request cbor", hex(&encode(&request(ids[1]))));
    put("ticket text", ticket(ids[1]).to_text().to_string());
    put("topic", topic(charter.space(), &epoch_key()).to_string());
    put("sealed", hex(&seal(&epoch_key(), b"starling")));
    put("beacon signable", hex(beacon(charter.space()).signable().as_slice()));
    put("beacon cbor", hex(&beacon(charter.space()).to_bytes()));
    let record = PeerRecord {
        addresses: vec![Address::new("/ip4/10.0.0.2/tcp/4710").unwrap()],
        last_contact: Some(TIME),
        blocked: true,
        blocked_until: None,
    };
    put("peer_record cbor", hex(&encode(&record)));
    found
}

#[test]
fn every_structure_has_its_known_bytes() {
    let (expected, found) = (vectors(), found());
    for (name, value) in &found {
        assert_eq!(expected.get(name.as_str()), Some(&value.as_str()), "{name} = {value}");
    }
    assert_eq!(expected.len(), found.len(), "a vector nobody computes");
}

#[test]
fn the_known_bytes_read_back() {
    let vectors = vectors();
    let bytes = |name: &str| unhex(vectors[name]);
    let mut charter = Charter::new(decode(&bytes("genesis cbor"), "genesis").unwrap());
    assert_eq!(charter.space().to_string(), vectors["space"]);
    for kind in ["grant", "invite", "join", "close_invite"] {
        let statement = Statement::from_bytes(&bytes(&format!("{kind} cbor"))).unwrap();
        let statement = statement.verify().unwrap();
        assert_eq!(statement.id().to_string(), vectors[format!("{kind} id").as_str()]);
        charter.insert(statement).unwrap();
    }
    assert_eq!(hex(&charter.fingerprint()), vectors["fingerprint"]);
    let beacon = VerifiedBeacon::from_bytes(&bytes("beacon cbor")).unwrap();
    assert_eq!(beacon.lost.len(), 1);
    let ticket = Ticket::parse(vectors["ticket text"]).unwrap();
    assert_eq!(ticket.genesis, genesis());
    assert_eq!(open(&epoch_key(), &bytes("sealed")), Ok(b"starling".to_vec()));
    let request: JoinRequest = decode(&bytes("join_request cbor"), "join request").unwrap();
    assert_eq!(request.member, who(3).key());
    let record: PeerRecord = decode(&bytes("peer_record cbor"), "peer record").unwrap();
    assert!(record.blocked);
}
