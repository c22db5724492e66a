//! What a node promises whoever writes on it: conditions, request ids, durability, membership.

mod draws;
mod mesh;

use std::time::Duration;

use mesh::Mesh;
use mesh::failing::{Failing, How};
use starling_crdt::address::Address;
use starling_crdt::charter::{Label, Role, Ticket};
use starling_crdt::connect::AddressSource;
use starling_crdt::document::{Edit, Json};
use starling_crdt::id::{AuthorKey, SpaceId, StoreId};
use starling_crdt::identity::Identity;
use starling_crdt::replica::{
    Condition, Effect, EntityTag, Input, LocalRequest, Nodes, Options, Refusal, Replica, Reply,
    RequestTicket, Write, Written,
};
use starling_crdt::seal::EpochKey;
use starling_crdt::store::{KeyRange, MemoryStore, StoreError, StoreRead, Table};
use starling_crdt::time::{Moment, Now, WallTime};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn write(space: SpaceId, name: &str, json: &str) -> Write {
    Write {
        space,
        document: name.parse().unwrap(),
        edit: Edit::Put { value: Json::parse(json).unwrap(), base: None },
        condition: Condition::default(),
        request_id: None,
    }
}

fn local(write: Write) -> LocalRequest {
    LocalRequest::Write(Box::new(write))
}

fn written(reply: Result<Reply, Refusal>) -> Written {
    match reply {
        Ok(Reply::Written(written)) => written,
        other => panic!("{other:?}"),
    }
}

#[test]
fn of_two_writes_with_one_condition_in_one_step_the_second_fails() {
    let mut mesh = Mesh::new(1, 1);
    let space = mesh.create_space(0);
    let first = mesh.put(0, space, "doc", r#"{"a": 1}"#);
    let tagged = |json: &str| {
        let condition = Condition { tags: Some(vec![EntityTag::of(&first.heads)]), ..Condition::default() };
        local(Write { condition, ..write(space, "doc", json) })
    };
    let mut replies = mesh.batch(0, vec![tagged(r#"{"a": 2}"#), tagged(r#"{"a": 3}"#)]);
    let second = replies.pop().unwrap();
    let first = written(replies.pop().unwrap());
    assert!(
        matches!(second, Err(Refusal::Precondition { ref heads }) if *heads == first.heads),
        "{second:?}"
    );
    assert_eq!(mesh.document(0, space, "doc").unwrap().0, r#"{"a":2}"#);
    // The same of creation, and by heads.
    let absent = |json: &str| {
        let condition = Condition { absent: true, ..Condition::default() };
        local(Write { condition, ..write(space, "new", json) })
    };
    let mut replies = mesh.batch(0, vec![absent("{}"), absent("{}")]);
    assert!(matches!(replies.pop(), Some(Err(Refusal::Precondition { .. }))));
    assert!(written(replies.pop().unwrap()).created);
    let condition = Condition { heads: Some(vec![]), ..Condition::default() };
    let reply = mesh.request(0, local(Write { condition, ..write(space, "new", "{}") }));
    assert!(matches!(reply, Err(Refusal::Precondition { .. })));
    let condition = Condition { present: true, ..Condition::default() };
    let reply = mesh.request(0, local(Write { condition, ..write(space, "none", "{}") }));
    assert!(matches!(reply, Err(Refusal::Precondition { .. })));
    let reply = mesh.request(0, local(Write { edit: Edit::Remove, ..write(space, "none", "{}") }));
    assert!(matches!(reply, Err(Refusal::UnknownDocument(_))));
}

#[test]
fn the_changes_of_one_step_in_one_document_travel_as_one_delta() {
    let mut mesh = Mesh::new(2, 2);
    let space = mesh.shared_space();
    let before = mesh.nodes[0].store().rows(Table::Deltas, KeyRange::ALL, 1_000).unwrap().len();
    let writes = (0..100).map(|n| local(write(space, "doc", &format!(r#"{{"n": {n}}}"#)))).collect();
    for reply in mesh.batch(0, writes) {
        assert!(written(reply).changed);
    }
    let after = mesh.nodes[0].store().rows(Table::Deltas, KeyRange::ALL, 1_000).unwrap().len();
    assert_eq!(after - before, 2, "64 and 36 changes");
    mesh.run(seconds(5));
    mesh.assert_converged(space);
    assert_eq!(mesh.nodes[1].reader.document(space, &"doc".parse().unwrap()).unwrap().changes, 100);
}

#[test]
fn a_request_id_names_one_write_for_a_day() {
    let mut mesh = Mesh::new(1, 3);
    let space = mesh.create_space(0);
    let named = |json: &str| local(Write { request_id: Some("id-1".into()), ..write(space, "doc", json) });
    let mut replies = mesh.batch(0, vec![named(r#"{"a": 1}"#), named(r#"{"a": 1}"#)]);
    let again = written(replies.pop().unwrap());
    let first = written(replies.pop().unwrap());
    assert_eq!(first, again);
    mesh.put(0, space, "doc", r#"{"a": 2}"#);
    mesh.restart(0);
    assert_eq!(written(mesh.request(0, named(r#"{"a": 1}"#))), first);
    assert_eq!(mesh.document(0, space, "doc").unwrap().0, r#"{"a":2}"#, "nothing happened again");
    let other = mesh.request(0, named(r#"{"a": 9}"#));
    assert!(matches!(other, Err(Refusal::RequestIdReused(_))), "{other:?}");
    for bad in [String::new(), "x".repeat(129)] {
        let bad = Write { request_id: Some(bad), ..write(space, "doc", "{}") };
        assert!(matches!(mesh.request(0, local(bad)), Err(Refusal::TooMany { .. })));
    }
    mesh.run(seconds(24 * 60 * 60 + 120));
    assert_eq!(mesh.nodes[0].store().rows(Table::Requests, KeyRange::ALL, 10).unwrap().len(), 0);
    assert!(written(mesh.request(0, named(r#"{"a": 9}"#))).changed);
}

#[test]
fn a_refused_write_leaves_no_reply_behind_its_request_id() {
    let mut mesh = Mesh::new(1, 4);
    let space = mesh.create_space(0);
    let condition = Condition { present: true, ..Condition::default() };
    let refused = Write { condition, request_id: Some("id".into()), ..write(space, "doc", "{}") };
    assert!(mesh.request(0, local(refused.clone())).is_err());
    mesh.put(0, space, "doc", "{}");
    let repeated =
        Write { edit: Edit::Put { value: Json::parse(r#"{"b": 1}"#).unwrap(), base: None }, ..refused };
    assert!(written(mesh.request(0, local(repeated))).changed);
}

struct Alone {
    replica: Replica<Failing>,
    store: Failing,
    clock: u64,
    tickets: u64,
}

impl Alone {
    fn new() -> Self {
        let store = Failing::new(MemoryStore::new(StoreId([1; 16])));
        let options = Options {
            name: Label::new("alone").unwrap(),
            version: Label::new("test").unwrap(),
            seeds: Vec::new(),
            space_bytes_max: None,
        };
        let mut count = 0_u8;
        let nonces = Box::new(move || {
            count += 1;
            [count; 16]
        });
        let identity = Identity::from_seed(&[1; 32]);
        let replica = Replica::open(store.clone(), identity, options, [1; 32], nonces, now(1)).unwrap();
        Self { replica, store, clock: 1, tickets: 0 }
    }

    fn step(&mut self, requests: Vec<LocalRequest>) -> Result<Vec<Effect>, StoreError> {
        self.clock += 1_000;
        let inputs = requests.into_iter().map(|request| {
            self.tickets += 1;
            Input::Local { ticket: RequestTicket(self.tickets), request }
        });
        let inputs = inputs.collect();
        self.replica.step(now(self.clock), inputs)
    }

    fn reply(&mut self, request: LocalRequest) -> Result<Reply, Refusal> {
        let effects = self.step(vec![request]).unwrap();
        let reply = effects.into_iter().find_map(|effect| match effect {
            Effect::Reply { reply, .. } => Some(reply),
            _ => None,
        });
        reply.expect("a reply")
    }

    fn create(&mut self) -> SpaceId {
        match self.reply(create()) {
            Ok(Reply::Space(space)) => space,
            other => panic!("{other:?}"),
        }
    }

    fn rows(&self, table: Table) -> usize {
        self.store.rows(table, KeyRange::ALL, 1_000).unwrap().len()
    }
}

fn now(micros: u64) -> Now {
    Now { monotonic: Moment(micros), wall: WallTime(1_700_000_000_000) }
}

fn create() -> LocalRequest {
    LocalRequest::CreateSpace {
        name: Label::new("space").unwrap(),
        nonce: [1; 16],
        epoch_key: EpochKey::from_bytes([9; 32]),
    }
}

#[test]
fn after_a_failed_commit_nothing_was_said_and_nothing_forks() {
    for how in [How::Loses, How::Keeps] {
        let mut alone = Alone::new();
        let space = alone.create();
        written(alone.reply(local(write(space, "doc", r#"{"a": 1}"#))));
        assert_eq!(alone.rows(Table::Incarnations), 1);
        alone.store.now(how);
        let effects = alone.step(vec![local(write(space, "doc", r#"{"a": 2}"#))]).unwrap();
        alone.store.now(How::Works);
        assert!(
            effects
                .iter()
                .any(|effect| matches!(effect, Effect::Reply { reply: Err(Refusal::Store(_)), .. })),
            "{effects:?}"
        );
        let said = |effect: &Effect| matches!(effect, Effect::Publish { .. } | Effect::Changed(_));
        assert!(!effects.iter().any(said), "{effects:?}");
        // Memory is what the store is: a condition on the heads in the store holds.
        let reader = starling_crdt::view::Reader::new(alone.replica.store_reader(), 1 << 20);
        let heads = reader.document(space, &"doc".parse().unwrap()).unwrap().heads;
        let condition = Condition { heads: Some(heads), ..Condition::default() };
        let next = Write { condition, ..write(space, "doc", r#"{"a": 3}"#) };
        written(alone.reply(local(next)));
        assert_eq!(alone.rows(Table::Incarnations), 2, "the next write is by a new incarnation");
        assert_eq!(alone.rows(Table::Forks), 0);
        let changes = reader.document(space, &"doc".parse().unwrap()).unwrap().changes;
        assert_eq!(changes, if how == How::Keeps { 3 } else { 2 });
        let shown = reader.view(space, &"doc".parse().unwrap(), |view, _| {
            view.document().read(None, None).unwrap().to_text()
        });
        assert_eq!(shown.unwrap().0, r#"{"a":3}"#);
    }
}

#[test]
fn a_space_that_a_failed_commit_made_after_all_is_followed() {
    let mut alone = Alone::new();
    alone.store.now(How::Keeps);
    let effects = alone.step(vec![create()]).unwrap();
    alone.store.now(How::Works);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Reply { reply: Err(_), .. })));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Subscribe(_))), "{effects:?}");
    let repeated = alone.reply(create());
    assert!(matches!(repeated, Err(Refusal::KnownSpace(_))), "{repeated:?}");
}

#[test]
fn while_the_store_cannot_be_read_nothing_is_done_and_afterwards_all_is_as_before() {
    let mut alone = Alone::new();
    let space = alone.create();
    // A document that a single write made is kept built, so the next write fails only at its end.
    written(alone.reply(local(write(space, "doc", r#"{"a": 0}"#))));
    alone.store.now(How::Unreadable);
    let failed = alone.step(vec![local(write(space, "doc", r#"{"a": 2}"#))]).unwrap();
    assert!(!failed.iter().any(|effect| matches!(effect, Effect::Publish { .. })), "{failed:?}");
    assert!(alone.step(vec![local(write(space, "doc", r#"{"a": 2}"#))]).is_err());
    alone.store.now(How::Works);
    written(alone.reply(local(write(space, "doc", r#"{"a": 2}"#))));
    assert_eq!(alone.rows(Table::Forks), 0);
}

#[test]
fn documents_made_one_by_one_stay_built_and_those_of_a_bulk_step_do_not() {
    let mut mesh = Mesh::new(1, 6);
    let space = mesh.create_space(0);
    let before = mesh.nodes[0].replica.memory();
    let writes = (0..200).map(|n| local(write(space, &format!("bulk/{n}"), r#"{"a": 1}"#))).collect();
    mesh.batch(0, writes).into_iter().for_each(|reply| assert!(written(reply).created));
    assert_eq!(mesh.nodes[0].replica.memory(), before);
    mesh.put(0, space, "single", r#"{"a": 1}"#);
    let after = mesh.nodes[0].replica.memory();
    assert!(after.views > before.views && after.histories > before.histories, "{after:?}");
}

#[test]
fn a_kill_between_any_two_steps_loses_no_acknowledged_write() {
    let mut mesh = Mesh::new(2, 5);
    let space = mesh.shared_space();
    for round in 0..12 {
        mesh.set_or_put(0, space, round);
        mesh.restart(0);
        assert!(mesh.document(0, space, "doc").unwrap().0.contains(&format!(r#""k{round}":{round}"#)));
        mesh.connect_all();
        if round % 3 == 0 {
            mesh.run(seconds(2));
        }
    }
    mesh.run(seconds(30));
    mesh.assert_converged(space);
    let text = mesh.document(1, space, "doc").unwrap().0;
    (0..12).for_each(|round| assert!(text.contains(&format!(r#""k{round}":{round}"#)), "{text}"));
    let incarnations = mesh.nodes[1].store().rows(Table::Incarnations, KeyRange::ALL, 100).unwrap();
    assert_eq!(incarnations.len(), 12, "each start writes as another actor");
}

#[test]
fn a_document_by_very_many_incarnations_reaches_who_was_away() {
    let mut mesh = Mesh::new(2, 6);
    let space = mesh.shared_space();
    mesh.partition(&[0], &[1]);
    for round in 0..150 {
        mesh.set_or_put(0, space, round);
        mesh.restart(0);
    }
    mesh.heal();
    mesh.run(seconds(30));
    mesh.assert_converged(space);
    assert!(mesh.document(1, space, "doc").unwrap().0.contains(r#""k149":149"#));
    let incarnations = mesh.nodes[1].store().rows(Table::Incarnations, KeyRange::ALL, 1_000).unwrap();
    assert_eq!(incarnations.len(), 150);
}

impl Mesh {
    fn set_or_put(&mut self, index: usize, space: SpaceId, round: usize) {
        if round == 0 {
            self.put(index, space, "doc", r#"{"k0": 0}"#);
        } else {
            self.set(index, space, "doc", &format!("/k{round}"), &round.to_string());
        }
    }
}

fn peers(mesh: &mut Mesh, index: usize) -> Vec<(AuthorKey, bool)> {
    match mesh.request(index, LocalRequest::Peers) {
        Ok(Reply::Peers(peers)) => peers.iter().map(|peer| (peer.key, peer.blocked.is_some())).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn blocks_and_addresses_outlive_a_restart() {
    let mut mesh = Mesh::new(3, 6);
    mesh.shared_space();
    let (one, two) = (mesh.nodes[1].key, mesh.nodes[2].key);
    let known = vec![Address::new("/ip4/10.0.0.9/tcp/1").unwrap()];
    mesh.give(0, Input::Discovered { peer: one, addresses: known, source: AddressSource::Connection });
    mesh.request(0, LocalRequest::Block { peer: two, duration: None }).unwrap();
    mesh.run(seconds(120));
    mesh.restart(0);
    assert!(peers(&mut mesh, 0).contains(&(two, true)));
    let blocked =
        |effects: &[Effect]| effects.iter().any(|e| matches!(e, Effect::Block(peer) if *peer == two));
    assert!(blocked(&mesh.nodes[0].replica.standing_effects()));
    assert!(mesh.nodes[0].store().value(Table::Peers, &one.0).unwrap().is_some());
    mesh.request(0, LocalRequest::Unblock { peer: two }).unwrap();
    mesh.restart(0);
    assert!(!blocked(&mesh.nodes[0].replica.standing_effects()));
    let own = mesh.nodes[0].key;
    let reply = mesh.request(0, LocalRequest::Block { peer: own, duration: None });
    assert!(matches!(reply, Err(Refusal::ThisNode)), "{reply:?}");
}

fn join(mesh: &mut Mesh, index: usize, ticket: &Ticket) -> Option<String> {
    mesh.request(index, LocalRequest::Join { ticket: Box::new(ticket.clone()) }).unwrap();
    mesh.run(seconds(60));
    match mesh.request(index, LocalRequest::Status) {
        Ok(Reply::Status(status)) => {
            let space = ticket.genesis.space_id();
            let report = status.spaces.into_iter().find(|report| report.id == space).unwrap();
            assert_eq!(report.membership.is_some(), report.join_refused.is_none(), "{report:?}");
            report.join_refused
        }
        other => panic!("{other:?}"),
    }
}

fn limited(mesh: &mut Mesh, space: SpaceId, uses: Option<u32>, expires_in: Option<Duration>) -> Ticket {
    let seed = u8::try_from(mesh.now % 251).unwrap();
    let secret = Identity::from_seed(&[seed; 32]);
    let request = LocalRequest::Invite { space, role: Role::Writer, prefix: None, uses, expires_in, secret };
    match mesh.request(0, request) {
        Ok(Reply::Ticket(ticket)) => *ticket,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_join_that_cannot_be_is_refused_with_its_reason() {
    let mut mesh = Mesh::new(3, 7);
    let space = mesh.create_space(0);
    mesh.connect_all();
    let once = limited(&mut mesh, space, Some(1), None);
    mesh.run(seconds(1));
    assert_eq!(join(&mut mesh, 1, &once), None);
    assert_eq!(join(&mut mesh, 2, &once).as_deref(), Some("the invite was used as often as it may be"));
    let brief = limited(&mut mesh, space, None, Some(seconds(1)));
    mesh.run(seconds(10));
    assert_eq!(join(&mut mesh, 2, &brief).as_deref(), Some("the invite has expired"));
    // A good one makes up for it, also after a restart in between.
    let good = limited(&mut mesh, space, None, None);
    mesh.request(2, LocalRequest::Join { ticket: Box::new(good) }).unwrap();
    mesh.restart(2);
    mesh.connect_all();
    mesh.run(seconds(60));
    mesh.put(2, space, "doc", "{}");
    mesh.run(seconds(5));
    mesh.assert_converged(space);
}

#[test]
fn a_member_that_does_not_know_the_invite_yet_is_asked_again() {
    let mut mesh = Mesh::new(3, 8);
    let space = mesh.create_space(0);
    let first = mesh.invite(0, space, Role::Writer);
    mesh.connect(0, 1);
    mesh.run(seconds(1));
    assert_eq!(join(&mut mesh, 1, &first), None);
    mesh.partition(&[0], &[1, 2]);
    mesh.run(seconds(1));
    let second = mesh.invite(0, space, Role::Writer);
    mesh.connect(1, 2);
    mesh.request(2, LocalRequest::Join { ticket: Box::new(second) }).unwrap();
    mesh.run(seconds(60));
    assert!(mesh.write(2, space, "doc", Edit::Remove).is_err(), "no member yet");
    // The member hears of the invite; node 2 never meets the founder.
    mesh.cut.remove(&(0, 1));
    mesh.connect(0, 1);
    mesh.run(seconds(120));
    mesh.put(2, space, "doc", r#"{"joined": true}"#);
    mesh.run(seconds(30));
    assert_eq!(mesh.document(0, space, "doc").unwrap().0, r#"{"joined":true}"#);
}

#[test]
fn two_spaces_on_one_node_do_not_touch() {
    let mut mesh = Mesh::new(3, 9);
    let shared = mesh.shared_space();
    let own = match mesh.request(
        1,
        LocalRequest::CreateSpace {
            name: Label::new("own").unwrap(),
            nonce: [77; 16],
            epoch_key: EpochKey::from_bytes([5; 32]),
        },
    ) {
        Ok(Reply::Space(space)) => space,
        other => panic!("{other:?}"),
    };
    mesh.put(1, own, "doc", r#"{"whose": "mine"}"#);
    mesh.put(1, shared, "doc", r#"{"whose": "ours"}"#);
    mesh.run(seconds(30));
    for index in [0, 2] {
        assert_eq!(mesh.document(index, shared, "doc").unwrap().0, r#"{"whose":"ours"}"#);
        assert!(mesh.nodes[index].reader.space(own).is_err());
    }
    mesh.restart(1);
    assert_eq!(mesh.document(1, own, "doc").unwrap().0, r#"{"whose":"mine"}"#);
    assert_eq!(mesh.document(1, shared, "doc").unwrap().0, r#"{"whose":"ours"}"#);
    // Whoever is invited gets that one, too.
    let ticket = mesh.invite(1, own, Role::Reader);
    mesh.connect_all();
    mesh.run(seconds(2));
    mesh.request(2, LocalRequest::Join { ticket: Box::new(ticket) }).unwrap();
    mesh.run(seconds(60));
    assert_eq!(mesh.document(2, own, "doc").unwrap().0, r#"{"whose":"mine"}"#);
    let refused = mesh.request(2, local(write(own, "doc", "{}")));
    assert!(matches!(refused, Err(Refusal::NotAllowed { .. })), "a reader writes: {refused:?}");
    assert!(mesh.nodes[0].reader.space(own).is_err());
}

fn wait(space: SpaceId, nodes: Nodes, timeout: Duration) -> LocalRequest {
    LocalRequest::Wait { space, document: None, nodes, timeout }
}

#[test]
fn a_wait_names_who_lacks_it_and_who_was_not_waited_for() {
    let mut mesh = Mesh::new(4, 10);
    let space = mesh.shared_space();
    mesh.partition(&[0, 1, 2], &[3]);
    mesh.put(0, space, "doc", "{}");
    let reply = mesh.request_later(0, wait(space, Nodes::Count(2), seconds(5)), seconds(6));
    let Ok(Reply::Waited(waited)) = reply else { panic!("{reply:?}") };
    assert!(waited.satisfied && waited.holders.len() >= 2, "{waited:?}");
    let reply = mesh.request_later(0, wait(space, Nodes::Count(3), seconds(5)), seconds(6));
    let Ok(Reply::Waited(waited)) = reply else { panic!("{reply:?}") };
    assert!(!waited.satisfied && waited.holders.len() == 2, "{waited:?}");
    // Once the fourth is known to be away, all are those that remain.
    mesh.run(seconds(600));
    let reply = mesh.request_later(0, wait(space, Nodes::All, seconds(5)), seconds(6));
    let Ok(Reply::Waited(waited)) = reply else { panic!("{reply:?}") };
    assert!(waited.satisfied, "{waited:?}");
    assert_eq!(waited.not_waited_for, vec![mesh.nodes[3].key]);
    let document = Some("none".parse().unwrap());
    let unknown = LocalRequest::Wait { space, document, nodes: Nodes::All, timeout: seconds(1) };
    assert!(matches!(mesh.request(0, unknown), Err(Refusal::UnknownDocument(_))));
}

fn increment(space: SpaceId, pointer: &str, by: i64) -> Write {
    let edit = Edit::Increment { pointer: pointer.parse().unwrap(), by };
    Write { edit, ..write(space, "doc", "{}") }
}

#[test]
fn increments_of_one_counter_that_wait_together_are_one_change_and_each_has_its_reply() {
    let mut mesh = Mesh::new(1, 1);
    let space = mesh.create_space(0);
    let requests = (1..=100).map(|by| local(increment(space, "/n", by))).collect();
    let replies: Vec<Written> = mesh.batch(0, requests).into_iter().map(written).collect();
    let (shown, heads) = mesh.document(0, space, "doc").unwrap();
    assert_eq!(shown, r#"{"n":{"$counter":5050}}"#);
    assert!(replies.iter().all(|reply| reply.changed && reply.heads == heads));
    assert_eq!(replies.iter().position(|reply| reply.created), Some(0));
    assert!(replies[1..].iter().all(|reply| !reply.created));
    assert_eq!(mesh.nodes[0].replica.held(), (1, 1));
}

#[test]
fn an_increment_never_passes_another_write_to_its_document() {
    let mut mesh = Mesh::new(1, 1);
    let space = mesh.create_space(0);
    let reset = || local(write(space, "doc", r#"{"n":{"$counter":0}}"#));
    let up = |pointer: &str, by| local(increment(space, pointer, by));
    let requests = vec![
        up("/n", 1),
        up("/n", 2),
        reset(),
        up("/n", 10),
        local(write(space, "other", "{}")),
        up("/n", 20),
        up("/m", 5),
        up("/n", 40),
        up("/n", -1),
        up("/n", -2),
    ];
    assert!(mesh.batch(0, requests).into_iter().all(|reply| written(reply).changed));
    assert_eq!(mesh.document(0, space, "doc").unwrap().0, r#"{"m":{"$counter":5},"n":{"$counter":67}}"#);
    // One for the other document; of this one: 3, the reset, 30, the other counter, 40, -3.
    assert_eq!(mesh.nodes[0].replica.held(), (2, 7));
}

#[test]
fn of_increments_whose_sum_is_too_much_each_is_judged_alone() {
    let mut mesh = Mesh::new(1, 1);
    let space = mesh.create_space(0);
    let most = 1_i64 << 40;
    let named = |id: &str| Write { request_id: Some(id.into()), ..increment(space, "/n", 7) };
    let requests = vec![
        local(increment(space, "/n", most)),
        local(increment(space, "/n", most)),
        local(increment(space, "/n", i64::MAX)),
        local(increment(space, "/n", 1)),
        local(named("once")),
        local(named("once")),
    ];
    let replies = mesh.batch(0, requests);
    let refused: Vec<bool> = replies.iter().map(Result::is_err).collect();
    assert_eq!(refused, [false, false, true, false, false, false], "{replies:?}");
    let shown = format!(r#"{{"n":{{"$counter":{}}}}}"#, 2 * most + 1 + 7);
    assert_eq!(mesh.document(0, space, "doc").unwrap().0, shown);
}
