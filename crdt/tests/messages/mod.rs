//! One of each message, known byte by byte, and any number of random ones.

#![allow(dead_code, reason = "each test uses the part it needs")]

use minicbor::bytes::ByteVec;
use starling_crdt::delta::{Announcement, Delta, VerifiedDelta};
use starling_crdt::document::{Commit, Document, Edit, Json};
use starling_crdt::exchange::*;
use starling_crdt::gossip::Frame;
use starling_crdt::history::ItemKey;
use starling_crdt::id::{Actor, ChangeHash, DocumentName, Position, SpaceId, StatementId, StoreId};
use starling_crdt::identity::{Identity, Signature};
use starling_crdt::incarnation::{Incarnation, VerifiedIncarnation};

use crate::draws::Draws;

pub const SPACE: SpaceId = SpaceId([1; 32]);

pub fn author(number: u8) -> Identity {
    Identity::from_seed(&[number; 32])
}

pub fn name(text: &str) -> DocumentName {
    DocumentName::new(text).unwrap()
}

pub fn incarnation() -> VerifiedIncarnation {
    let tips = vec![StatementId([9; 32]), StatementId([3; 32])];
    VerifiedIncarnation::sign(&author(1), SPACE, [2; 16], tips)
}

/// Two consecutive changes of the incarnation in one document.
pub fn changes() -> Vec<Vec<u8>> {
    let mut document = Document::new();
    let actor = incarnation().actor();
    let mut changes = Vec::new();
    for text in [r#"{"a": 1}"#, r#"{"a": 1, "n": {"$counter": 3}}"#] {
        let commit = Commit { actor, time_seconds: 1_700_000_000, message: None };
        let edit = Edit::Put { value: Json::parse(text).unwrap(), base: None };
        changes.extend(document.edit(commit, &edit).unwrap().changes.into_iter().map(|change| change.bytes));
    }
    changes
}

pub fn delta() -> VerifiedDelta {
    VerifiedDelta::sign(&author(1), SPACE, name("config/web"), incarnation().actor(), changes()).unwrap()
}

pub fn item_key() -> ItemKey {
    ItemKey::of(&name("config/web"), incarnation().actor())
}

/// A range at the beginning, a gap, and one to the end.
fn tiles() -> Tiles {
    let mut short = ItemKey::LOWEST;
    short.0[..3].copy_from_slice(&[8, 0, 9]);
    let before = RangeFingerprint { start: ItemKey::LOWEST, end: Some(short), fingerprint: 6 };
    let behind = RangeFingerprint { start: item_key(), end: None, fingerprint: u32::MAX };
    Tiles::of(&[before, behind]).unwrap()
}

/// One of each request.
pub fn requests() -> Vec<(&'static str, Request)> {
    let tag = greeting_tag(SPACE, author(1).key(), author(2).key());
    let greeting = Greeting { tag, statements: [4; 8], items: 5 };
    let offered = OfferedItem { key: item_key(), seq: 2, hash: [7; 8] };
    let heads = DocumentHeads { document: name("config/web"), heads: vec![ChangeHash([8; 32])] };
    vec![
        ("hello", Request::Hello(vec![greeting])),
        ("statements", Request::Statements { space: SPACE, tips: vec![StatementId([3; 32])], after: 4 }),
        ("take statements", Request::TakeStatements { space: SPACE, statements: vec![vec![1, 2].into()] }),
        ("reconcile", Request::Reconcile { space: SPACE, salt: 99, ranges: tiles() }),
        ("fetch", Request::Fetch { space: SPACE, wants: vec![Want { key: item_key(), after: 1 }] }),
        ("offer", Request::Offer { space: SPACE, items: vec![offered] }),
        ("join", Request::Join(vec![1, 2].into())),
        ("confirm", Request::Confirm { space: SPACE, documents: vec![heads], items: Some(7) }),
        ("look", Request::Look(Look { space: SPACE, items: vec![item_key()] })),
    ]
}

/// One of each response.
pub fn responses() -> Vec<(&'static str, Response)> {
    let tag = greeting_tag(SPACE, author(2).key(), author(1).key());
    let greeting = Greeting { tag, statements: [4; 8], items: 5 };
    let offered = OfferedItem { key: item_key(), seq: 2, hash: [7; 8] };
    let answers = vec![None, Some(RangeAnswer::Parts(tiles())), Some(RangeAnswer::Items(vec![offered]))];
    let statements = vec![ByteVec::from(vec![1, 2])];
    vec![
        ("hello", Response::Hello(vec![greeting])),
        (
            "statements",
            Response::Statements {
                statements: statements.clone(),
                lacking: vec![StatementId([3; 32])],
                more: true,
                tips: vec![StatementId([4; 32])],
            },
        ),
        ("done", Response::Done),
        ("ranges", Response::Ranges(answers)),
        (
            "deltas",
            Response::Deltas {
                incarnations: vec![incarnation().certificate().clone()],
                deltas: vec![vec![1, 2].into()],
                more: false,
            },
        ),
        ("joined", Response::Joined(statements)),
        ("confirmed", Response::Confirmed(vec![true, false])),
        (
            "looked",
            Response::Looked(Standing {
                position: Position { store: StoreId([5; 16]), commit: 6 },
                statements: [4; 8],
                items: 5,
                named: vec![
                    Some(ItemName { document: name("config/web"), actor: incarnation().actor() }),
                    None,
                ],
            }),
        ),
        ("busy", Response::Busy { retry_after_ms: 1_500 }),
        ("refused", Response::Refused { code: RefusalCode::NotAdmitted, reason: "no".into() }),
    ]
}

/// One of each gossip frame.
pub fn frames() -> Vec<(&'static str, Frame)> {
    let announcement = delta().announcement();
    let (incarnation, delta) = (Some(incarnation().certificate().clone()), delta().delta().clone());
    vec![
        ("delta", Frame::Delta { incarnation, delta }),
        ("announcement", Frame::Announcement { incarnation: None, announcement }),
        ("statement", Frame::Statement(vec![1, 2].into())),
        ("beacon", Frame::Beacon(vec![1, 2].into())),
    ]
}

impl Draws {
    /// A number of any magnitude.
    pub fn number(&mut self) -> u64 {
        let shift = self.below(64);
        self.next() >> shift
    }

    pub fn some_bytes(&mut self) -> ByteVec {
        let length = self.below(40);
        self.bytes(length).into()
    }

    fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let length = self.below(5);
        (0..length).map(|_| each(self)).collect()
    }

    fn chance(&mut self) -> bool {
        self.below(2) == 0
    }

    fn key(&mut self) -> ItemKey {
        ItemKey(self.array())
    }

    fn name(&mut self) -> DocumentName {
        let number = self.number();
        name(&format!("d/{number}/é雪"))
    }

    fn greeting(&mut self) -> Greeting {
        Greeting { tag: self.array(), statements: self.array(), items: self.number() }
    }

    fn tiles(&mut self) -> Tiles {
        let mut cuts = self.list(Self::key);
        cuts.sort_unstable();
        let starts = std::iter::once(ItemKey::LOWEST).chain(cuts.iter().copied());
        let ends = cuts.iter().map(|cut| Some(*cut)).chain([None]);
        let ranges = starts.zip(ends).filter_map(|(start, end)| {
            let fingerprint = u32::try_from(self.number() >> 32).unwrap();
            self.chance().then_some(RangeFingerprint { start, end, fingerprint })
        });
        Tiles::of(&ranges.collect::<Vec<_>>()).unwrap()
    }

    fn offered(&mut self) -> OfferedItem {
        OfferedItem { key: self.key(), seq: self.number(), hash: self.array() }
    }

    pub fn incarnation(&mut self) -> Incarnation {
        Incarnation {
            space: SpaceId(self.array()),
            author: starling_crdt::id::AuthorKey(self.array()),
            nonce: self.array(),
            tips: self.list(|draws| StatementId(draws.array())),
            signature: Signature(self.array()),
        }
    }

    pub fn delta(&mut self) -> Delta {
        Delta {
            space: SpaceId(self.array()),
            document: self.name(),
            actor: Actor(self.array()),
            first_seq: self.number(),
            changes: self.list(Self::some_bytes),
            signature: Signature(self.array()),
        }
    }

    pub fn request(&mut self) -> Request {
        let space = SpaceId(self.array());
        match self.below(9) {
            7 => Request::Look(Look { space, items: self.list(Self::key) }),
            0 => Request::Hello(self.list(Self::greeting)),
            1 => {
                let tips = self.list(|draws| StatementId(draws.array()));
                Request::Statements { space, tips, after: self.number() }
            }
            2 => Request::TakeStatements { space, statements: self.list(Self::some_bytes) },
            3 => Request::Reconcile { space, salt: self.number(), ranges: self.tiles() },
            4 => {
                let wants = self.list(|draws| Want { key: draws.key(), after: draws.number() });
                Request::Fetch { space, wants }
            }
            5 => Request::Offer { space, items: self.list(Self::offered) },
            6 => Request::Join(self.some_bytes()),
            _ => {
                let documents = self.list(|draws| DocumentHeads {
                    document: draws.name(),
                    heads: draws.list(|draws| ChangeHash(draws.array())),
                });
                let items = self.chance().then(|| self.number());
                Request::Confirm { space, documents, items }
            }
        }
    }

    pub fn response(&mut self) -> Response {
        match self.below(10) {
            8 => Response::Looked(Standing {
                position: Position { store: StoreId(self.array()), commit: self.number() },
                statements: self.array(),
                items: self.number(),
                named: self.list(|draws| {
                    draws.chance().then(|| ItemName { document: draws.name(), actor: Actor(draws.array()) })
                }),
            }),
            0 => Response::Hello(self.list(Self::greeting)),
            1 => Response::Statements {
                statements: self.list(Self::some_bytes),
                lacking: self.list(|draws| StatementId(draws.array())),
                more: self.chance(),
                tips: self.list(|draws| StatementId(draws.array())),
            },
            2 => Response::Done,
            3 => Response::Ranges(self.list(|draws| match draws.below(3) {
                0 => None,
                1 => Some(RangeAnswer::Parts(draws.tiles())),
                _ => Some(RangeAnswer::Items(draws.list(Self::offered))),
            })),
            4 => Response::Deltas {
                incarnations: self.list(Self::incarnation),
                deltas: self.list(Self::some_bytes),
                more: self.chance(),
            },
            5 => Response::Joined(self.list(Self::some_bytes)),
            6 => Response::Confirmed(self.list(Self::chance)),
            7 => Response::Busy { retry_after_ms: u32::try_from(self.number() >> 32).unwrap() },
            _ => {
                let codes = [
                    RefusalCode::NotAdmitted,
                    RefusalCode::Malformed,
                    RefusalCode::Unsupported,
                    RefusalCode::JoinRefused,
                ];
                Response::Refused { code: codes[self.below(4)], reason: format!("{}", self.number()) }
            }
        }
    }

    pub fn frame(&mut self) -> Frame {
        match self.below(4) {
            0 => {
                let incarnation = self.chance().then(|| self.incarnation());
                Frame::Delta { incarnation, delta: self.delta() }
            }
            1 => {
                let announcement = Announcement {
                    document: self.name(),
                    actor: Actor(self.array()),
                    seq: self.number(),
                    hash: ChangeHash(self.array()),
                    signature: Signature(self.array()),
                };
                let incarnation = self.chance().then(|| self.incarnation());
                Frame::Announcement { incarnation, announcement }
            }
            2 => Frame::Statement(self.some_bytes()),
            _ => Frame::Beacon(self.some_bytes()),
        }
    }

    /// `bytes` with something wrong with them.
    pub fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let place = self.below(bytes.len() + 1);
            match self.below(4) {
                0 if place < bytes.len() => bytes[place] ^= 1 << self.below(8),
                1 if place < bytes.len() => bytes[place] = self.next().to_be_bytes()[0],
                2 => bytes.truncate(place),
                _ => bytes.insert(place, self.next().to_be_bytes()[0]),
            }
        }
        bytes
    }
}
