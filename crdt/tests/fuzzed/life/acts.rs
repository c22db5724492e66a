//! What may happen: people write, a member means ill, time passes, the disk fails, the process ends.

use std::time::Duration;

use minicbor::bytes::ByteVec;
use starling_crdt::address::Address;
use starling_crdt::charter::{CloseInvite, Grant, Invite, Label, Role, Statement, StatementBody};
use starling_crdt::delta::Delta;
use starling_crdt::document::{Edit, Json, Patch, Pointer};
use starling_crdt::exchange::{
    OfferedItem, RangeAnswer, RangeFingerprint, Request, Response, Tiles, Want, encode_message,
};
use starling_crdt::gossip::Frame;
use starling_crdt::history::ItemKey;
use starling_crdt::id::{ChangeHash, DocumentName, StatementId};
use starling_crdt::identity::{Identity, Signature};
use starling_crdt::presence::{Beacon, Facts, Lost, VerifiedBeacon};
use starling_crdt::replica::{
    CompareId, Condition, Input, LocalRequest, MessageToken, Nodes, RequestTicket, Write,
};
use starling_crdt::time::WallTime;

use super::doubtful::Fate;
use super::{BEGINNING, Life};
use crate::mesh::rogue::{Made, make, no_signature, poison, put};

/// Documents there are.
const DOCUMENTS: usize = 3;

fn name(number: usize) -> DocumentName {
    DocumentName::new(format!("d/{number}")).expect("a name")
}

fn json(text: &str) -> Json {
    Json::parse(text).expect("JSON")
}

fn pointer(text: &str) -> Pointer {
    text.parse().expect("a pointer")
}

fn edit(number: u8) -> Edit {
    match number % 12 {
        0 => Edit::Put { value: json(&format!(r#"{{"v": {number}, "l": [{number}, 2]}}"#)), base: None },
        1 => Edit::Set { pointer: pointer("/v"), value: json(&format!("{{\"deep\": [{number}]}}")) },
        2 => Edit::Increment { pointer: pointer("/n"), by: i64::from(number) - 100 },
        3 => Edit::Insert { pointer: pointer("/l/0"), value: Json::Null },
        4 => Edit::Splice { pointer: pointer("/t"), at: 0, delete: 1, insert: "é".to_owned() },
        5 => Edit::Merge { pointer: Pointer::root(), patch: json(r#"{"v": null, "m": {}}"#) },
        6 => Edit::Unset { pointer: pointer("/l/0") },
        7 => Edit::Resolve { pointer: Pointer::root(), value: None },
        8 => Edit::Resolve { pointer: pointer("/v"), value: Some(json("true")) },
        9 => {
            let steps = json(
                r#"[{"op": "add", "path": "/p", "value": 1}, {"op": "copy", "from": "/p", "path": "/q"}]"#,
            );
            Edit::Patch(Patch::of(steps).expect("a patch"))
        }
        10 => Edit::Revert { to: Vec::new() },
        _ => Edit::Remove,
    }
}

impl Life<'_> {
    /// One thing happens.
    pub(super) fn act(&mut self, what: u8) {
        match what {
            0..=7 => self.write(),
            8..=15 => self.rogue_writes(),
            16 | 17 => self.replay(),
            18 => self.babble(),
            19 => self.now += u64::from(self.choices.next()) * 500_000,
            20 => self.restart(),
            21 | 22 => self.meet(),
            23 | 24 => self.question(),
            25 | 26 => self.answer(),
            27 => self.ask_for_more(),
            28 => self.state(),
            29 => self.beacon(),
            30 => self.look(),
            _ => self.doubt(),
        }
    }

    fn local(&mut self, request: LocalRequest) {
        self.count += 1;
        if let LocalRequest::Write(write) = &request {
            self.writing.insert(self.count, write.document.clone());
        }
        self.inputs.push(Input::Local { ticket: RequestTicket(self.count), request });
    }

    fn write(&mut self) {
        let document = name(self.choices.below(DOCUMENTS + 1));
        let (number, how) = (self.choices.next(), self.choices.next());
        let request_id = (how & 0x10 != 0).then(|| format!("r{}", how % 4));
        let condition = Condition { absent: how & 0x60 == 0x60, ..Condition::default() };
        let write = Write { space: self.space, document, edit: edit(number), condition, request_id };
        self.local(LocalRequest::Write(Box::new(write)));
    }

    /// A change of the other member, right or wrong in one of many ways.
    fn rogue_writes(&mut self) {
        let (document, how) = (self.choices.below(DOCUMENTS), self.choices.next());
        let chain = self.made.entry(document as u8).or_default();
        // Mostly the next; sometimes a second one with a number that is taken, or one that leaves a gap.
        let place = match how % 8 {
            0 => chain.len().saturating_sub(1),
            1 => chain.len() + 1,
            _ => chain.len(),
        };
        let before = place.checked_sub(1).and_then(|before| chain.get(before));
        let start = before.map_or(1, |(_, next)| *next);
        let mut dependencies: Vec<ChangeHash> = before.iter().map(|(made, _)| made.hash).collect();
        if how & 0x08 != 0 {
            let heads = self.reader.document(self.space, &name(document)).map(|known| known.heads);
            dependencies.extend(heads.unwrap_or_default());
            dependencies.sort_unstable();
            dependencies.dedup();
        }
        let start = start + if how & 0x10 != 0 { self.choices.below(9) as u64 } else { 0 };
        let operations = match how >> 5 {
            0 => vec![poison(self.rogue.actor())],
            1 => vec![put("n", i64::from(how)), put("x", "y")],
            2 => Vec::new(),
            _ => vec![put(["v", "w", "l"][usize::from(how % 3)], i64::from(how))],
        };
        let next = start + operations.len() as u64;
        let made = make(self.rogue.actor(), place as u64 + 1, start, &dependencies, operations);
        if place == chain.len() {
            chain.push((made.clone(), next));
        }
        let mut run: Vec<&Made> = vec![&made];
        if how & 0x04 != 0 && !chain.is_empty() {
            run = chain.iter().map(|(made, _)| made).collect();
        }
        let mut delta: Delta = self.rogue.delta(name(document).as_str(), &run);
        if self.choices.one_in(16) {
            delta.signature = no_signature();
        }
        self.gossip(self.rogue.frame(delta));
    }

    fn gossip(&mut self, payload: Vec<u8>) {
        let (space, frame) = self.replica.screener().screen_gossip(self.rogue.topic(), &payload);
        self.payloads.push(payload);
        self.count += 1;
        let (from, token) = (self.rogue.key(), MessageToken(self.count));
        self.inputs.push(Input::Gossip { from, token, space, frame });
    }

    fn replay(&mut self) {
        if !self.payloads.is_empty() {
            let payload = self.choices.pick(&self.payloads);
            self.gossip(payload);
        }
    }

    /// A frame whose inside nobody made on purpose.
    fn babble(&mut self) {
        let length = self.choices.below(64);
        let inside = ByteVec::from(self.choices.take(length).to_vec());
        let frame = if length.is_multiple_of(2) { Frame::Statement(inside) } else { Frame::Beacon(inside) };
        self.gossip(frame.seal(&self.rogue.epoch));
    }

    fn meet(&mut self) {
        let peer = self.rogue.key();
        let address = Address::new("mem").expect("an address");
        self.inputs.push(match self.choices.below(3) {
            0 => Input::PeerDown { peer },
            inbound => Input::PeerUp { peer, address, inbound: inbound == 1 },
        });
    }

    fn key(&mut self) -> ItemKey {
        let actor = self.rogue.actor();
        ItemKey::of(&name(self.choices.below(DOCUMENTS)), actor)
    }

    fn question(&mut self) {
        let (space, number) = (self.space, u64::from(self.choices.next()));
        let request = match self.choices.below(8) {
            0 => Request::Hello(Vec::new()),
            1 => Request::Statements { space, tips: BEGINNING.statements.clone(), after: number },
            2 => {
                let statements = vec![ByteVec::from(self.statement().to_bytes())];
                Request::TakeStatements { space, statements }
            }
            3 => {
                let ranges = self.tiles();
                Request::Reconcile { space, salt: number, ranges }
            }
            4 => Request::Fetch { space, wants: vec![Want { key: self.key(), after: number }] },
            5 => {
                let items = vec![OfferedItem { key: self.key(), seq: number, hash: [7; 8] }];
                Request::Offer { space, items }
            }
            6 => Request::Join(ByteVec::from(self.choices.take(7).to_vec())),
            _ => Request::Confirm { space, documents: Vec::new(), items: Some(number) },
        };
        let request = self.replica.screener().screen_request(&encode_message(&request));
        self.count += 1;
        self.inputs.push(Input::Asked { peer: self.rogue.key(), id: self.count, request });
    }

    fn answer(&mut self) {
        let Some(id) = self.asked.pop() else { return };
        let made = self.made.values().flatten().map(|(made, _)| made);
        let signed = made.map(|made| starling_crdt::codec::encode(&self.rogue.delta("d/0", &[made])));
        let deltas: Vec<ByteVec> = signed.map(ByteVec::from).collect();
        let response = match self.choices.below(7) {
            0 => Response::Done,
            1 => Response::Hello(Vec::new()),
            2 => Response::Deltas {
                incarnations: vec![self.rogue.incarnation.certificate().clone()],
                deltas,
                more: self.choices.one_in(2),
            },
            3 => Response::Busy { retry_after_ms: 5 },
            4 => Response::Confirmed(vec![true]),
            5 => Response::Statements {
                statements: vec![ByteVec::from(self.statement().to_bytes())],
                lacking: Vec::new(),
                more: self.choices.one_in(2),
                tips: vec![StatementId([9; 32])],
            },
            _ => {
                let item = OfferedItem { key: self.key(), seq: u64::from(self.choices.next()), hash: [7; 8] };
                let parts = RangeAnswer::Parts(self.tiles());
                Response::Ranges(vec![Some(parts), None, Some(RangeAnswer::Items(vec![item]))])
            }
        };
        let answer = Ok(self.replica.screener().screen_answer(&encode_message(&response)));
        self.inputs.push(Input::Answered { peer: self.rogue.key(), id, answer });
    }

    /// Everything before some item, or from it on, or both.
    fn tiles(&mut self) -> Tiles {
        let (cut, fingerprint) = (self.key(), u32::from(self.choices.next()));
        let before = RangeFingerprint { start: ItemKey::LOWEST, end: Some(cut), fingerprint };
        let behind = RangeFingerprint { start: cut, end: None, fingerprint };
        let ranges = [before, behind];
        let told = [&ranges[..], &ranges[..1], &ranges[1..]][self.choices.below(3)];
        Tiles::of(told).expect("a hash is not the lowest key")
    }

    /// A signed statement of one who is no admin.
    fn statement(&mut self) -> Statement {
        let member = Identity::from_seed(&[self.choices.next(); 32]).key();
        let body = match self.choices.below(3) {
            0 => StatementBody::Grant(Grant { member, role: Role::Admin, prefix: None, name: None }),
            1 => {
                let (role, prefix) = (Role::Writer, None);
                StatementBody::Invite(Invite {
                    invite_key: member,
                    role,
                    prefix,
                    uses: Some(1),
                    expires: None,
                })
            }
            _ => StatementBody::CloseInvite(CloseInvite { invite: BEGINNING.statements[0] }),
        };
        let mut tips = BEGINNING.statements.clone();
        tips.truncate(self.choices.below(tips.len() + 1));
        if self.choices.one_in(4) {
            tips.push(StatementId([8; 32]));
        }
        let time = WallTime(i64::from(self.choices.next()));
        Statement::sign(&self.rogue.identity, self.space, tips, time, body)
    }

    fn state(&mut self) {
        let statement = ByteVec::from(self.statement().to_bytes());
        self.gossip(Frame::Statement(statement).seal(&self.rogue.epoch));
    }

    fn beacon(&mut self) {
        let label = Label::new("rogue").expect("a label");
        let number = u64::from(self.choices.next());
        let facts = Facts {
            name: label.clone(),
            version: label,
            addresses: Vec::new(),
            statements: [self.choices.next(); 8],
            documents: [self.choices.next(); 8],
            document_count: number,
            change_count: u64::MAX - number,
            commit: number,
        };
        let lost = Lost { author: self.replica.key(), counter: number << 56 };
        let beacon = Beacon {
            space: self.space,
            author: self.rogue.key(),
            counter: number,
            facts,
            period_ms: if self.choices.one_in(4) { u32::MAX } else { 5_000 },
            leaving: self.choices.one_in(4),
            lost: vec![lost; self.choices.below(3)],
            time: WallTime(i64::MAX),
            signature: Signature([0; 64]),
        };
        let beacon = ByteVec::from(VerifiedBeacon::sign(beacon, &self.rogue.identity).to_bytes());
        self.gossip(Frame::Beacon(beacon).seal(&self.rogue.epoch));
    }

    /// Somebody reads, and tells the replica what could not be applied.
    fn look(&mut self) {
        let (space, document) = (self.space, name(self.choices.below(DOCUMENTS)));
        let Ok(((), poison)) = self.reader.view(space, &document, |_, _| ()) else { return };
        if !poison.is_empty() {
            self.local(LocalRequest::Quarantine { space, document, poison });
        }
    }

    /// The next commit fails, or does so although it happened.
    fn doubt(&mut self) {
        self.store.decide(if self.choices.one_in(2) { Fate::FailsAfter } else { Fate::FailsBefore });
    }

    fn ask_for_more(&mut self) {
        let (space, timeout, peer) = (self.space, Duration::from_secs(3), self.rogue.key());
        let request = match self.choices.below(8) {
            0 => LocalRequest::Compact,
            1 => LocalRequest::Status,
            2 => LocalRequest::Members { space },
            3 => LocalRequest::Peers,
            4 => LocalRequest::Compare { id: CompareId(self.count), space, document: None, peer, timeout },
            5 => LocalRequest::Invite {
                space,
                role: Role::Reader,
                prefix: None,
                uses: None,
                expires_in: None,
                secret: Identity::from_seed(&[self.choices.next(); 32]),
            },
            6 => LocalRequest::LeaveSpace { space, held: Some(u64::from(self.choices.next())) },
            _ => LocalRequest::Wait { space, document: None, nodes: Nodes::All, timeout },
        };
        self.local(request);
    }
}
