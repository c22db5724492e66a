//! What is kept out of documents, and proven forks, through the command line: of a store in which one author
//! signed two changes with one number, and changes that no node writes.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use starling_crdt::charter::Label;
use starling_crdt::id::{AuthorKey, ChangeHash, SpaceId, StoreId};
use starling_crdt::replica::{
    Effect, Input, LocalRequest, MessageToken, Options, Replica, Reply, RequestTicket,
};
use starling_crdt::seal::EpochKey;
use starling_crdt::time::{Moment, Now, WallTime};
use starling_node::identity;
use starling_store::{RedbStore, StoreOptions};

use crate::rogue::{Made, Rogue, poison, put};
use crate::schema::fits;
use crate::support::{Node, Ran, run};

const EPOCH: [u8; 32] = [9; 32];

/// A replica on the store of a directory, stepped by hand.
struct Stepped {
    replica: Replica<RedbStore>,
    seconds: u64,
}

impl Stepped {
    fn open(directory: &Path) -> Self {
        let author = identity::load_or_make(directory).expect("an identity");
        let options = StoreOptions::create(StoreId([5; 16]));
        let store = RedbStore::open(&directory.join("store.redb"), options).expect("a store");
        let label = |text| Label::new(text).expect("a label");
        let options =
            Options { name: label("one"), version: label("test"), seeds: Vec::new(), space_bytes_max: None };
        let nonces = Box::new(|| [8; 16]);
        let replica = Replica::open(store, author, options, [1; 32], nonces, now(0)).expect("a replica");
        Self { replica, seconds: 0 }
    }

    fn step(&mut self, inputs: Vec<Input>) -> Vec<Effect> {
        self.seconds += 10;
        self.replica.step(now(self.seconds), inputs).expect("the store works")
    }

    fn make_space(&mut self) -> SpaceId {
        let request = LocalRequest::CreateSpace {
            name: Label::new("shop").expect("a label"),
            nonce: [3; 16],
            epoch_key: EpochKey::from_bytes(EPOCH),
        };
        let effects = self.step(vec![Input::Local { ticket: RequestTicket(1), request }]);
        let made = effects.into_iter().find_map(|effect| match effect {
            Effect::Reply { reply: Ok(Reply::Space(space)), .. } => Some(space),
            _ => None,
        });
        made.expect("a space")
    }

    fn take(&mut self, rogue: &Rogue, document: &str, changes: &[&Made]) {
        let (space, frame) =
            self.replica.screener().screen_gossip(rogue.topic(), &rogue.payload(document, changes));
        let from = AuthorKey([9; 32]);
        self.step(vec![Input::Gossip { from, token: MessageToken(self.seconds), space, frame }]);
    }
}

fn now(seconds: u64) -> Now {
    let wall = 1_700_000_000_000 + i64::try_from(1_000 * seconds).expect("small");
    Now { monotonic: Moment(seconds * 1_000_000), wall: WallTime(wall) }
}

/// A directory whose store holds a fork of its own author, as two runs of one identity make it, and two
/// changes kept out of a document, one of which only rests on the other. Gives the forked changes, the one
/// held here first.
fn directory_with_evidence(directory: &Path) -> [ChangeHash; 2] {
    let mut stepped = Stepped::open(directory);
    let space = stepped.make_space();
    let twin = identity::load_or_make(directory).expect("an identity");
    let rogue = Rogue::new(twin, space, EpochKey::from_bytes(EPOCH), 7, Vec::new());
    let first = rogue.change(1, 1, &[], vec![put("x", "first")]);
    let second = rogue.change(1, 1, &[], vec![put("x", "second")]);
    stepped.take(&rogue, "config/web", &[&first]);
    stepped.take(&rogue, "config/web", &[&second]);
    let good = rogue.change(1, 1, &[], vec![put("good", 1)]);
    let bad = rogue.change(2, 2, &[good.hash], vec![poison(rogue.actor())]);
    let above = rogue.change(3, 3, &[bad.hash], vec![put("more", 1)]);
    stepped.take(&rogue, "config/db", &[&good, &bad, &above]);
    // Documents that others changed are built when a node rests.
    for _ in 0..3 {
        stepped.step(Vec::new());
    }
    [first.hash, second.hash]
}

/// A directory whose store holds a conflict, a fork and a change that is kept out, in `conflict`, `fork` and
/// `kept` below this name, with this text wherever an author may put one.
pub fn hostile_directory(directory: &Path, below: &str, text: &str) {
    let mut stepped = Stepped::open(directory);
    let space = stepped.make_space();
    let rogue = |nonce| {
        let twin = identity::load_or_make(directory).expect("an identity");
        Rogue::new(twin, space, EpochKey::from_bytes(EPOCH), nonce, Vec::new())
    };
    let (one, two) = (rogue(7), rogue(6));
    let says = |words: &str| vec![put(text, format!("{text}{words}"))];
    for (author, words) in [(&one, "one"), (&two, "two")] {
        stepped.take(author, &format!("{below}/conflict"), &[&author.change(1, 1, &[], says(words))]);
    }
    for words in ["first", "second"] {
        stepped.take(&one, &format!("{below}/fork"), &[&one.change(1, 1, &[], says(words))]);
    }
    let good = one.change(1, 1, &[], says("good"));
    let bad = one.change(2, 2, &[good.hash], vec![poison(one.actor())]);
    stepped.take(&one, &format!("{below}/kept"), &[&good, &bad]);
    for _ in 0..3 {
        stepped.step(Vec::new());
    }
}

fn lines(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn evidence_is_told_of_a_stopped_node_and_a_running_one_and_proven_without_either() {
    let home = tempfile::tempdir().expect("a directory");
    let data = home.path().join("data");
    fs::create_dir(&data).expect("a directory");
    let [held, other] = directory_with_evidence(&data);
    let place = data.display().to_string();
    let stopped = |args: &[&str]| run([&["--data-dir", &place][..], args].concat());

    let forks = lines(&stopped(&["--output", "json", "forks"]).expect(0));
    forks.iter().for_each(|fork| fits("forks", fork));
    let fork = &forks[0];
    assert_eq!((forks.len(), &fork["doc"], &fork["seq"]), (1, &json!("config/web"), &json!(1)));
    let side =
        |number: usize| (fork["changes"][number]["change"].clone(), fork["changes"][number]["held"].clone());
    assert_eq!(side(0), (json!(held.to_string()), json!(true)));
    assert_eq!(side(1), (json!(other.to_string()), json!(false)));

    let kept = lines(&stopped(&["--output", "json", "quarantine"]).expect(0));
    kept.iter().for_each(|kept| fits("quarantine", kept));
    let told: Vec<_> = kept.iter().map(|kept| (&kept["code"], &kept["seq"], &kept["holds_back"])).collect();
    assert_eq!(
        told,
        [
            (&json!("poison-object"), &json!(2), &json!(1)),
            (&json!("rests-on-quarantined"), &json!(3), &Value::Null)
        ]
    );
    assert_eq!(kept[1]["rests_on"], json!([kept[0]["change"]]));
    assert_eq!(kept[0]["author"], fork["author"]);
    stopped(&["quarantine", "config/web", "--fail-if-any"]).expect(0);
    stopped(&["quarantine", "--fail-if-any"]).expect(8);
    stopped(&["forks", "config/db", "--fail-if-any"]).expect(0);
    stopped(&["forks", "--fail-if-any"]).expect(8);

    let file = home.path().join("proof").display().to_string();
    stopped(&["forks", "config/db", "--export", &file]).expect(3);
    stopped(&["forks", "--export", &file]).expect(0);
    stopped(&["forks", "--export", &file]).expect(1);
    let proven = run(["--output", "json", "verify", "--proof", &file]).expect(0).json();
    fits("proof", &proven);
    assert_eq!(
        (&proven["author"], &proven["seq"], &proven["doc"]),
        (&fork["author"], &json!(1), &fork["doc"])
    );
    let mut bent = fs::read(&file).expect("a proof");
    let last = bent.len() - 1;
    bent[last] ^= 1;
    fs::write(&file, &bent).expect("a file");
    let refused = run(["--output", "json", "verify", "--proof", &file]).expect(8).failure();
    assert_eq!(refused["code"], "proves-nothing");
    run(["verify", "--proof", &format!("{file}.none")]).expect(3);

    let node = Node::start(&data, &["--name", "one"]);
    let named = |told: Vec<Value>| -> Vec<Value> {
        told.into_iter()
            .map(|mut one| {
                one.as_object_mut().expect("an object").insert("author_name".into(), json!("one"));
                one
            })
            .collect()
    };
    assert_eq!(lines(&node.run(&["--output", "json", "forks"]).expect(0)), named(forks));
    assert_eq!(lines(&node.run(&["--output", "json", "quarantine"]).expect(0)), named(kept));
    let plain = node.run(&["quarantine"]).expect(0).stdout;
    assert!(plain.lines().all(|line| line.split('\t').count() == 7), "{plain}");
    let plain = node.run(&["forks"]).expect(0).stdout;
    assert_eq!((plain.lines().count(), plain.split('\t').count()), (1, 7), "{plain}");
    let status = node.run(&["--output", "json", "status"]).expect(0).json();
    let codes: Vec<_> =
        status["warnings"].as_array().expect("warnings").iter().map(|one| &one["code"]).collect();
    assert!(codes.ends_with(&[&json!("fork"), &json!("quarantine")]), "{status}");
    node.run(&["quarantine", "a//b"]).expect(2);
}
