//! Changes that nobody honest writes: refused before automerge, or kept out as poison, while the
//! rest of the document lives on and its file loads.

use std::num::NonZeroU64;

use automerge::legacy::{ElementId, Key, MarkData, ObjectId, Op, OpId, OpType, SortedVec};
use automerge::{ActorId, Automerge, Change, ExpandedChange, ObjType, ScalarValue};
use starling_crdt::chunk::{ChangeChunk, ChunkError};
use starling_crdt::document::{CanonicalError, Commit, Document, Edit, Json, PoisonReason, canonical};
use starling_crdt::id::Actor;

const HOSTILE: [u8; 16] = [0xee; 16];
const HONEST: [u8; 16] = [0x11; 16];
const OTHER: [u8; 16] = [0x22; 16];

fn id(counter: u64, actor: [u8; 16]) -> OpId {
    OpId::new(counter, &ActorId::from(actor))
}

fn op(obj: ObjectId, key: Key, insert: bool, action: OpType, pred: Vec<OpId>) -> Op {
    Op { action, obj, key, pred: SortedVec::from(pred), insert }
}

fn put(key: &str, value: impl Into<ScalarValue>, pred: Vec<OpId>) -> Op {
    op(ObjectId::Root, Key::Map(key.into()), false, OpType::Put(value.into()), pred)
}

fn make(key: &str, kind: ObjType) -> Op {
    op(ObjectId::Root, Key::Map(key.into()), false, OpType::Make(kind), vec![])
}

fn element(id: OpId) -> Key {
    Key::Seq(ElementId::Id(id))
}

/// A document with everything an attack may aim at: written by an honest actor in one change.
/// Counters: 1 `list` object, 2 its element, 3 `map` object, 4 `map/k`, 5 `n` counter, 6 `text`
/// object, 7 its character, 8 `x` plain.
fn victim() -> (Document, Vec<u8>) {
    let mut document = Document::new();
    let text = r#"{"list": ["e"], "map": {"k": 1}, "n": {"$counter": 1}, "text": {"$text": "t"}, "x": 1}"#;
    let edit = Edit::Put { value: Json::parse(text).expect("valid"), base: None };
    let commit = Commit { actor: Actor(HONEST), time_seconds: 0, message: None };
    let edited = document.edit(commit, &edit).expect("written");
    let bytes = edited.changes[0].bytes.clone();
    (document, bytes)
}

/// A change by the hostile actor on top of `document`.
fn forge(document: &Document, operations: Vec<Op>) -> ExpandedChange {
    ExpandedChange {
        operations,
        actor_id: ActorId::from(HOSTILE),
        hash: None,
        seq: 1,
        start_op: NonZeroU64::new(9).expect("not zero"),
        time: 0,
        message: None,
        deps: document.heads().iter().map(|hash| automerge::ChangeHash(hash.0)).collect(),
        extra_bytes: vec![],
        author: None,
    }
}

fn bytes(change: ExpandedChange) -> Vec<u8> {
    Change::from(change).raw_bytes().to_vec()
}

/// Applies the change, expects it to be poison, and that everything else goes on.
fn expect_poison(name: &str, mut document: Document, change: &[u8], reason: PoisonReason) {
    canonical(change).unwrap_or_else(|error| panic!("{name}: refused earlier: {error}"));
    let before = (document.heads(), document.read(None, None));
    let poison = document.apply(&[change]);
    assert_eq!(poison.iter().map(|poison| poison.reason).collect::<Vec<_>>(), [reason], "{name}");
    assert_eq!((document.heads(), document.read(None, None)), before, "{name}");
    let set = Edit::Set { pointer: "/alive".parse().expect("valid"), value: Json::Bool(true) };
    let commit = Commit { actor: Actor(HONEST), time_seconds: 1, message: None };
    assert_eq!(document.edit(commit, &set).expect("editable").changes.len(), 1, "{name}");
    let loaded = Automerge::load(&document.to_automerge_file()).expect("its file loads");
    let heads: Vec<_> = loaded.get_heads().iter().map(|hash| hash.0).collect();
    assert_eq!(heads, document.heads().iter().map(|hash| hash.0).collect::<Vec<_>>(), "{name}");
}

#[test]
fn operations_that_make_no_sense_are_poison() {
    use PoisonReason::{
        KeyKind, NoCounter, NotFinite, NotText, Predecessor, UnknownElement, UnknownObject, Unsupported,
    };
    let root = ObjectId::Root;
    let honest = |counter| id(counter, HONEST);
    let own = |counter| id(counter, HOSTILE);
    let object = |counter| ObjectId::Id(honest(counter));
    let name = |name: &str| Key::Map(name.into());
    let value = || OpType::Put(1.into());
    let mark = MarkData { name: "bold".into(), value: true.into(), expand: false };
    let cases: Vec<(&str, Vec<Op>, PoisonReason)> = vec![
        ("unknown object", vec![op(object(99), name("k"), false, value(), vec![])], UnknownObject),
        (
            "a plain value used as object",
            vec![op(object(8), name("k"), false, value(), vec![])],
            UnknownObject,
        ),
        (
            "object of an actor nobody knows",
            vec![op(ObjectId::Id(id(1, OTHER)), name("k"), false, value(), vec![])],
            UnknownObject,
        ),
        (
            "object that contains itself",
            vec![op(ObjectId::Id(own(9)), name("k"), false, OpType::Make(ObjType::Map), vec![])],
            UnknownObject,
        ),
        (
            "object made later in the change",
            vec![op(ObjectId::Id(own(10)), name("k"), false, value(), vec![]), make("m", ObjType::Map)],
            UnknownObject,
        ),
        ("unknown element", vec![op(object(1), element(honest(99)), true, value(), vec![])], UnknownElement),
        (
            "element of another list",
            vec![op(object(1), element(honest(7)), true, value(), vec![])],
            UnknownElement,
        ),
        (
            "an object used as element",
            vec![op(object(1), element(honest(3)), true, value(), vec![])],
            UnknownElement,
        ),
        (
            "the object itself as element",
            vec![op(object(1), element(honest(1)), true, value(), vec![])],
            UnknownElement,
        ),
        ("name in a list", vec![op(object(1), name("k"), false, value(), vec![])], KeyKind),
        ("element in a map", vec![op(object(3), element(honest(2)), true, value(), vec![])], KeyKind),
        ("list insertion inside a map", vec![op(object(3), Key::head(), true, value(), vec![])], KeyKind),
        ("insertion by name", vec![op(object(3), name("k"), true, value(), vec![])], KeyKind),
        ("change of the list's head", vec![op(object(1), Key::head(), false, value(), vec![])], KeyKind),
        ("unknown predecessor", vec![put("x", 2, vec![honest(99)])], Predecessor),
        ("predecessor of another key", vec![put("x", 2, vec![honest(5)])], Predecessor),
        ("predecessor in another object", vec![put("k", 2, vec![honest(4)])], Predecessor),
        ("itself as predecessor", vec![put("x", 2, vec![own(9)])], Predecessor),
        ("a later predecessor", vec![put("x", 2, vec![own(10)]), put("x", 3, vec![])], Predecessor),
        ("one predecessor twice", vec![put("x", 2, vec![honest(8), honest(8)])], Predecessor),
        (
            "insertion with predecessor",
            vec![op(object(1), Key::head(), true, value(), vec![honest(2)])],
            Predecessor,
        ),
        (
            "deletion without predecessor",
            vec![op(root.clone(), name("x"), false, OpType::Delete, vec![])],
            Predecessor,
        ),
        (
            "increment without predecessor",
            vec![op(root.clone(), name("n"), false, OpType::Increment(1), vec![])],
            Predecessor,
        ),
        (
            "increment of a plain value",
            vec![op(root.clone(), name("x"), false, OpType::Increment(1), vec![honest(8)])],
            NoCounter,
        ),
        (
            "predecessor that is a deletion",
            vec![
                op(root.clone(), name("x"), false, OpType::Delete, vec![honest(8)]),
                put("x", 1, vec![own(9)]),
            ],
            Predecessor,
        ),
        ("number in a text", vec![op(object(6), Key::head(), true, value(), vec![])], NotText),
        (
            "many characters in one element",
            vec![op(object(6), Key::head(), true, OpType::Put("ab".into()), vec![])],
            NotText,
        ),
        (
            "nothing in an element of a text",
            vec![op(object(6), Key::head(), true, OpType::Put("".into()), vec![])],
            NotText,
        ),
        (
            "a map inside a text",
            vec![op(object(6), Key::head(), true, OpType::Make(ObjType::Map), vec![])],
            NotText,
        ),
        (
            "a changed character",
            vec![op(object(6), element(honest(7)), false, OpType::Put("b".into()), vec![honest(7)])],
            NotText,
        ),
        ("not a number", vec![put("x", f64::NAN, vec![])], NotFinite),
        ("infinity", vec![put("x", f64::INFINITY, vec![])], NotFinite),
        ("a table", vec![make("t", ObjType::Table)], Unsupported),
        (
            "a mark",
            vec![op(object(6), element(honest(7)), true, OpType::MarkBegin(mark), vec![])],
            Unsupported,
        ),
        (
            "a value of an unknown type",
            vec![put("x", ScalarValue::Unknown { type_code: 12, bytes: vec![1] }, vec![])],
            Unsupported,
        ),
    ];
    for (name, operations, reason) in cases {
        let (document, _) = victim();
        let change = bytes(forge(&document, operations));
        expect_poison(name, document, &change, reason);
    }
}

#[test]
fn changes_that_do_not_follow_their_past_are_poison() {
    let (document, _) = victim();
    let forged = |alter: fn(&mut ExpandedChange)| {
        let mut change = forge(&document, vec![put("x", 2, vec![])]);
        alter(&mut change);
        bytes(change)
    };
    let cases: [(&str, Vec<u8>, PoisonReason); 6] = [
        ("first change numbered 5", forged(|change| change.seq = 5), PoisonReason::Sequence),
        (
            "counters below its past",
            forged(|change| change.start_op = NonZeroU64::MIN),
            PoisonReason::StartOp,
        ),
        (
            "counters inside its past",
            forged(|change| change.start_op = NonZeroU64::new(4).expect("not zero")),
            PoisonReason::StartOp,
        ),
        (
            "counters far above its past",
            forged(|change| change.start_op = NonZeroU64::new((1 << 31) - 2).expect("not zero")),
            PoisonReason::StartOp,
        ),
        (
            "the honest actor's next, without its first",
            forged(|change| {
                change.actor_id = ActorId::from(HONEST);
                change.seq = 2;
                change.deps.clear();
                change.start_op = NonZeroU64::MIN;
            }),
            PoisonReason::Sequence,
        ),
        (
            "another first change of the honest actor",
            forged(|change| {
                change.actor_id = ActorId::from(HONEST);
                change.deps.clear();
                change.start_op = NonZeroU64::MIN;
            }),
            PoisonReason::Fork,
        ),
    ];
    for (name, change, reason) in cases {
        expect_poison(name, document.clone(), &change, reason);
    }
    let unknown = automerge::ChangeHash([7; 32]);
    let mut change = forge(&document, vec![]);
    change.deps = vec![unknown];
    let reason = PoisonReason::Dependency(starling_crdt::id::ChangeHash(unknown.0));
    expect_poison("unknown dependency", document, &bytes(change), reason);
}

#[test]
fn what_stands_on_poison_is_left_out_and_the_rest_stays() {
    let (mut document, _) = victim();
    let mut first = forge(&document, vec![put("x", 2, vec![id(99, HONEST)])]);
    let poisoned = bytes(first.clone());
    let hash = Change::from(first.clone()).hash();
    first.seq = 2;
    first.deps = vec![hash];
    first.start_op = NonZeroU64::new(10).expect("not zero");
    first.operations = vec![put("y", 1, vec![])];
    let above = bytes(first);
    let mut bystander = forge(&document, vec![put("z", 1, vec![])]);
    bystander.actor_id = ActorId::from(OTHER);
    let bystander = bytes(bystander);
    let poison = document.apply(&[&poisoned, &above, &bystander, &bystander]);
    let reasons: Vec<_> = poison.iter().map(|poison| poison.reason).collect();
    let stands_on = PoisonReason::Dependency(starling_crdt::id::ChangeHash(hash.0));
    assert_eq!(reasons, [PoisonReason::Predecessor, stands_on]);
    assert_eq!(document.read(Some(&"/z".parse().expect("valid")), None), Ok(Json::Integer(1)));
}

/// The attack that makes automerge replicas differ without a panic: the author of the predecessor
/// is in the causal past, the predecessor is not.
#[test]
fn references_outside_the_causal_past_are_poison_in_every_order() {
    let (document, first) = victim();
    let mut honest = document.clone();
    let commit = Commit { actor: Actor(HONEST), time_seconds: 1, message: None };
    let set = Edit::Put {
        value: Json::parse(r#"{"x": 5, "new": {"m": 1}, "list": ["e", "f"]}"#).expect("valid"),
        base: None,
    };
    let second = honest.edit(commit, &set).expect("written").changes[0].bytes.clone();
    let later = Change::try_from(second.as_slice()).expect("honest").decode();
    let later_id = |wanted: fn(&Op) -> bool| {
        let place = later.operations.iter().position(wanted).expect("there");
        id(later.start_op.get() + place as u64, HONEST)
    };
    let insertion = later_id(|op| op.insert);
    let map = later_id(|op| matches!(op.action, OpType::Make(_)));
    let x = later_id(|op| op.key == Key::Map("x".into()));
    let list = ObjectId::Id(id(1, HONEST));
    for (name, operation, reason) in [
        (
            "object",
            op(ObjectId::Id(map), Key::Map("k".into()), false, OpType::Put(1.into()), vec![]),
            PoisonReason::UnknownObject,
        ),
        (
            "element",
            op(list, element(insertion), true, OpType::Put(1.into()), vec![]),
            PoisonReason::UnknownElement,
        ),
        ("predecessor", put("x", 6, vec![x]), PoisonReason::Predecessor),
    ] {
        // A low counter would break the rule for the order of predecessors too.
        let mut change = forge(&document, (0..100).map(|n| put(&format!("filler{n}"), 0, vec![])).collect());
        change.operations.push(operation);
        let attack = bytes(change);
        for order in [[&first, &second, &attack], [&first, &attack, &second]] {
            let mut together = Document::new();
            let poison = together.apply(&order.map(Vec::as_slice));
            let mut alone = Document::new();
            let singly: Vec<_> = order.iter().flat_map(|change| alone.apply(&[change])).collect();
            assert_eq!(poison, singly, "{name}");
            assert_eq!(poison.iter().map(|poison| poison.reason).collect::<Vec<_>>(), [reason], "{name}");
            assert_eq!(together.read(None, None), honest.read(None, None), "{name}");
        }
    }
}

#[test]
fn nesting_ends_at_the_depth_limit_without_a_crash() {
    let (mut document, _) = victim();
    let nest = |levels: u64| -> Vec<Op> {
        (0..levels)
            .map(|level| {
                let object = if level == 0 { ObjectId::Root } else { ObjectId::Id(id(8 + level, HOSTILE)) };
                op(object, Key::Map("d".into()), false, OpType::Make(ObjType::Map), vec![])
            })
            .collect()
    };
    for levels in [65, 512, 99_000] {
        let change = bytes(forge(&document, nest(levels)));
        expect_poison(&format!("{levels} levels"), document.clone(), &change, PoisonReason::TooDeep);
    }
    let deepest = bytes(forge(&document, nest(64)));
    assert!(document.apply(&[&deepest]).is_empty());
    let inside = "/d".repeat(64) + "/e";
    let set = |value| Edit::Set { pointer: inside.parse().expect("valid"), value };
    let commit = Commit { actor: Actor(HONEST), time_seconds: 1, message: None };
    assert!(document.edit(commit, &set(Json::List(vec![]))).is_err());
    assert!(document.edit(commit, &set(Json::Integer(1))).is_ok());
    assert_eq!(document.read(Some(&inside.parse().expect("valid")), None), Ok(Json::Integer(1)));
    assert!(document.conflicts().is_ok());
    let text = document.read(None, None).expect("readable").to_text();
    assert!(Json::parse(text).is_ok());
}

/// Builds a chunk from its content, with the right hash and checksum.
fn chunk(chunk_type: u8, content: &[u8]) -> Vec<u8> {
    use sha2::Digest as _;
    let mut hashed = vec![chunk_type];
    leb128(&mut hashed, content.len() as u64);
    hashed.extend(content);
    let hash = sha2::Sha256::digest(&hashed);
    [&[0x85, 0x6f, 0x4a, 0x83], &hash[..4], &hashed].concat()
}

fn leb128(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The content of a change: header fields, then columns as (specification, bytes).
fn content(start_op: u64, columns: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![0, 16];
    out.extend(HOSTILE);
    out.push(1);
    leb128(&mut out, start_op);
    out.extend([0, 0, 0]);
    leb128(&mut out, columns.len() as u64);
    for (spec, bytes) in columns {
        leb128(&mut out, *spec);
        leb128(&mut out, bytes.len() as u64);
    }
    columns.iter().for_each(|(_, bytes)| out.extend(bytes));
    out
}

/// A run of `count` equal small numbers.
fn run(count: u64, number: u8) -> Vec<u8> {
    let mut out = Vec::new();
    leb128(&mut out, count);
    // A signed number needs its sign bit free.
    if out.last().is_some_and(|last| last & 0x40 != 0) {
        *out.last_mut().expect("not empty") |= 0x80;
        out.push(0);
    }
    out.push(number);
    out
}

/// `count` values put under one key, in a few bytes.
fn puts(count: u64) -> Vec<(u64, Vec<u8>)> {
    let mut inserts = Vec::new();
    leb128(&mut inserts, count);
    let mut keys = run(count, 1);
    keys.push(b'k');
    vec![(21, keys), (52, inserts), (66, run(count, 1)), (86, run(count, 0)), (112, run(count, 0))]
}

#[test]
fn a_huge_run_costs_nothing() {
    let honest = chunk(1, &content(1, &puts(3)));
    assert_eq!(ChangeChunk::parse(&honest).map(|chunk| chunk.ops), Ok(3));
    let started = std::time::Instant::now();
    for count in [100_001, 1 << 32, 1 << 62] {
        let change = chunk(1, &content(1, &puts(count)));
        assert!(change.len() < 150);
        assert_eq!(ChangeChunk::parse(&change), Err(ChunkError::TooManyOps));
        for column in [21, 52, 86, 112] {
            let mut columns = puts(3);
            let huge = puts(count);
            let place = columns.iter().position(|(spec, _)| *spec == column).expect("there");
            columns[place] = huge[place].clone();
            let parsed = ChangeChunk::parse(&chunk(1, &content(1, &columns)));
            assert!(matches!(parsed, Err(ChunkError::ColumnRows { .. })), "{column}: {parsed:?}");
        }
    }
    let mut columns = puts(3);
    columns[4].1 = vec![3];
    leb128(&mut columns[4].1, 1 << 40);
    columns.push((113, run(1 << 41, 0)));
    assert_eq!(ChangeChunk::parse(&chunk(1, &content(1, &columns))), Err(ChunkError::TooManyPredecessors));
    // Bytes, not operations, are what refusing costs: automerge would iterate for hours.
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn a_hundred_thousand_operations_in_a_hundred_bytes_are_bounded_work() {
    let list = |count| {
        let mut inserts = vec![1];
        leb128(&mut inserts, count);
        let keys = [vec![0, 1], run(count, 0)].concat();
        vec![
            (1, [vec![0, 1], run(count, 0)].concat()),
            (2, [vec![0, 1], run(count, 1)].concat()),
            (19, keys),
            (
                21,
                [vec![0x7f, 1, b'l', 0], {
                    let mut n = Vec::new();
                    leb128(&mut n, count);
                    n
                }]
                .concat(),
            ),
            (52, inserts),
            (66, [vec![0x7f, 2], run(count, 1)].concat()),
            (86, run(count + 1, 0)),
            (112, run(count + 1, 0)),
        ]
    };
    let most = chunk(1, &content(1, &list(99_999)));
    assert!(most.len() < 150, "{}", most.len());
    canonical(&most).expect("every limit is kept");
    let mut document = Document::new();
    assert!(document.apply(&[&most]).is_empty());
    let list_length = match document.read(Some(&"/l".parse().expect("valid")), None) {
        Ok(Json::List(items)) => items.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(list_length, 99_999);
    assert_eq!(
        canonical(&chunk(1, &content(1, &list(100_000)))),
        Err(CanonicalError::Chunk(ChunkError::TooManyOps))
    );
}

#[test]
fn frames_and_fields_out_of_bounds_are_refused_with_their_reason() {
    let (document, _) = victim();
    let good = bytes(forge(&document, vec![put("x", 2, vec![])]));
    assert!(canonical(&good).is_ok());
    let with = |alter: &dyn Fn(&mut ExpandedChange)| {
        let mut change = forge(&document, vec![put("x", 2, vec![])]);
        alter(&mut change);
        bytes(change)
    };
    let altered = |place: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[place] = byte;
        bytes
    };
    let mut compressed =
        Change::from(forge(&document, (0..100).map(|n| put(&format!("k{n}"), n, vec![])).collect()));
    let refused = |bytes: &[u8]| ChangeChunk::parse(bytes).expect_err("refused").code();
    assert_eq!(refused(&[]), "change-truncated");
    assert_eq!(refused(&good[..good.len() - 1]), "change-truncated");
    assert_eq!(refused(&[good.clone(), vec![0]].concat()), "change-trailing");
    assert_eq!(refused(&altered(0, 0)), "change-magic");
    assert_eq!(refused(&altered(4, good[4] ^ 1)), "change-checksum");
    assert_eq!(refused(&altered(8, 0)), "not-a-change");
    assert_eq!(refused(&altered(8, 3)), "not-a-change");
    assert_eq!(refused(&compressed.bytes()), "change-compressed");
    assert_eq!(refused(&vec![0; 1024 * 1024 + 1]), "change-too-long");
    assert_eq!(refused(&with(&|change| change.extra_bytes = vec![1, 2, 3])), "change-extra-bytes");
    assert_eq!(refused(&with(&|change| change.message = Some("m".repeat(1025)))), "change-message");
    assert_eq!(refused(&with(&|change| change.actor_id = ActorId::from([1; 8]))), "change-actor-length");
    assert_eq!(refused(&with(&|change| change.seq = 0)), "change-sequence");
    let many = |count: u32| -> Vec<automerge::ChangeHash> {
        let hash = |n: u32| {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&n.to_be_bytes());
            hash
        };
        (0..count).map(|n| automerge::ChangeHash(hash(n))).collect()
    };
    assert_eq!(refused(&with(&|change| change.deps = many(257))), "change-dependencies");
    assert!(canonical(&with(&|change| change.deps = many(256))).is_ok());
    let twice = with(&|change| change.deps = [many(1), many(1)].concat());
    assert_eq!(refused(&twice), "change-dependency-order");
    for start_op in [(1 << 31) - 1, (1 << 32) - 1, 1 << 40] {
        let start_op = NonZeroU64::new(start_op).expect("not zero");
        assert_eq!(refused(&with(&|change| change.start_op = start_op)), "change-op-counter");
    }
    assert_eq!(refused(&chunk(1, &content(0, &puts(1)))), "change-op-counter");
    assert_eq!(refused(&chunk(1, &content(1, &[(66 | 8, run(2, 1))]))), "change-column-compressed");
    assert_eq!(refused(&chunk(1, &content(1, &[(0x992, run(2, 1))]))), "change-column-unknown");
    assert_eq!(refused(&chunk(1, &content(1, &[(66, run(2, 1)), (66, run(2, 1))]))), "change-column-order");
    assert_eq!(refused(&chunk(1, &content(1, &[(66, vec![])]))), "change-column-order");
    assert_eq!(refused(&chunk(1, &content(1, &[(52, vec![0x80, 0x00])]))), "change-number");
    let far = starling_crdt::limits::CHANGE_TIME_SECONDS_MAX;
    for time in [far + 1, -far - 1, i64::MAX, i64::MIN] {
        assert_eq!(refused(&with(&|change| change.time = time)), "change-time");
    }
    let mut columns = content(1, &[]);
    *columns.last_mut().expect("not empty") = 65;
    assert_eq!(refused(&chunk(1, &columns)), "change-columns");
}

#[test]
fn what_automerge_would_write_otherwise_is_refused() {
    // An actor listed but not used, between the message and the columns.
    let mut unused = vec![0, 16];
    unused.extend(HOSTILE);
    unused.extend([1, 1, 0, 0, 1, 16]);
    unused.extend(OTHER);
    let columns = puts(1);
    unused.push(0);
    assert_eq!(canonical(&chunk(1, &unused)), Err(CanonicalError::Different));
    // A run of one value is written as a literal.
    let single = chunk(1, &content(1, &columns));
    assert!(ChangeChunk::parse(&single).is_ok());
    assert_eq!(canonical(&single), Err(CanonicalError::Different));
    // A deletion with a value.
    let mut valued = puts(2);
    valued[2].1 = run(2, 3);
    valued[3].1 = run(2, 0x13);
    valued.insert(4, (87, vec![1, 1]));
    assert_eq!(canonical(&chunk(1, &content(1, &valued))), Err(CanonicalError::Different));
    // An unknown action.
    let mut action = puts(2);
    action[2].1 = run(2, 9);
    assert!(canonical(&chunk(1, &content(1, &action))).is_err());
    // Sound otherwise.
    assert!(canonical(&chunk(1, &content(1, &puts(2)))).is_ok());
}

/// Automerge keeps the difference between the times of a change and the one applied before it.
#[test]
fn times_as_far_apart_as_allowed_build_a_document_whose_file_loads() {
    let (mut document, _) = victim();
    let far = starling_crdt::limits::CHANGE_TIME_SECONDS_MAX;
    let mut commit = Commit { actor: Actor(OTHER), time_seconds: i64::MAX, message: None };
    for (number, time) in [i64::MAX, i64::MIN, far, -far].into_iter().enumerate() {
        commit.time_seconds = time;
        let set =
            Edit::Set { pointer: format!("/t{number}").parse().expect("valid"), value: Json::Bool(true) };
        let edited = document.edit(commit, &set).expect("a clock may be wrong");
        assert_eq!(edited.changes[0].chunk.time, time.clamp(-far, far));
    }
    let mut change = forge(&document, vec![put("y", 1, vec![])]);
    change.start_op = NonZeroU64::new(13).expect("not zero");
    change.time = far;
    assert_eq!(document.apply(&[&bytes(change)]), []);
    assert!(!document.is_damaged());
    Automerge::load(&document.to_automerge_file()).expect("its file loads");
}

#[test]
fn counters_cannot_be_driven_out_of_range() {
    let (document, _) = victim();
    let n = || Key::Map("n".into());
    let increment = |by| {
        let target = vec![id(5, HONEST)];
        op(ObjectId::Root, n(), false, OpType::Increment(by), target)
    };
    for operation in
        [increment((1 << 40) + 1), increment(i64::MIN), put("m", ScalarValue::counter((1 << 62) + 1), vec![])]
    {
        let change = bytes(forge(&document, vec![operation]));
        expect_poison("counter", document.clone(), &change, PoisonReason::CounterRange);
    }
    let mut farthest = document.clone();
    let change = bytes(forge(&document, vec![increment(1 << 40), increment(-1 << 40)]));
    assert!(farthest.apply(&[&change]).is_empty());
    assert_eq!(farthest.read(Some(&"/n".parse().expect("valid")), None), Ok(Json::Counter(1)));
}
