//! The API of a real node, asked by the real client.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use starling_api::{
    Client, ClientError, Code, ExitCode, Heads, NodeAddress,
    client::{Read, ReadOptions, WriteOptions},
    document::{BatchLine, BatchResult, ListQuery, Operation, WatchEvent, WatchQuery},
    member::{MemberState, Nodes, Wait},
    peer::{BlockPeer, Direction},
    space::{CreateInvite, JoinState, Role},
};
use starling_node::{
    config::{Config, ConfigOverrides},
    node::{Node, NodeDied},
    shutdown::{self, ShutdownTrigger},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    task::JoinHandle,
    time::timeout,
};

#[path = "http/bounds.rs"]
mod bounds;
#[path = "http/endings.rs"]
mod endings;
#[path = "http/surface.rs"]
mod surface;
#[path = "http/writes.rs"]
mod writes;

/// Far above what any of these needs; passing it is a failure, not a pace.
const DEADLINE: Duration = Duration::from_secs(30);

/// A node with a space named `shop`, on a directory of its own, alone.
struct Running {
    directory: tempfile::TempDir,
    client: Client,
    trigger: ShutdownTrigger,
    serving: JoinHandle<Result<(), NodeDied>>,
}

async fn start_in(directory: tempfile::TempDir) -> Running {
    start_told(directory, ConfigOverrides::default()).await
}

async fn start_told(directory: tempfile::TempDir, told: ConfigOverrides) -> Running {
    let overrides = ConfigOverrides {
        data_dir: Some(directory.path().to_owned()),
        name: "n1".parse().ok(),
        listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
        mdns: Some(false),
        ..told
    };
    let config = Config::load(overrides, |_| None).expect("a configuration");
    let node = Node::start(&config).await.expect("a node");
    let (trigger, shutdown) = shutdown::channel();
    let serving = tokio::spawn(node.run(shutdown));
    let client = Client::new(NodeAddress::Unix(config.api_socket));
    Running { directory, client, trigger, serving }
}

async fn start() -> Running {
    let running = start_in(tempfile::tempdir().expect("a directory")).await;
    running.client.create_space("shop").await.expect("a space");
    running
}

impl Running {
    async fn stop(self) -> tempfile::TempDir {
        self.trigger.request();
        let ended =
            timeout(DEADLINE, self.serving).await.expect("it stops in time").expect("it does not panic");
        ended.expect("it stops in order");
        self.directory
    }

    async fn put(&self, name: &str, value: Value) -> Heads {
        let options = WriteOptions::default();
        self.client.put("shop", name, value.to_string(), &options).await.expect("written").heads
    }
}

async fn connect(node: &Running) -> UnixStream {
    UnixStream::connect(node.directory.path().join("api.sock")).await.expect("a connection")
}

/// The whole answer to a request that says `Connection: close`.
async fn raw(node: &Running, request: &str) -> String {
    let mut stream = connect(node).await;
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("in time").expect("readable");
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

#[track_caller]
fn code<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> (Code, u16, ExitCode) {
    let error = outcome.expect_err("a refusal");
    let problem = error.problem().unwrap_or_else(|| panic!("no problem document: {error:?}"));
    (problem.code, problem.status, error.exit_code())
}

fn document(value: &Value) -> String {
    value.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_says_what_it_is_and_which_spaces_it_holds() {
    let node = start().await;
    let status = node.client.status().await.expect("a status");
    assert_eq!((status.name.as_str(), status.key.len(), status.peers), ("n1", 64, 0));
    assert!(status.peer_id.starts_with("12D3") && status.store.bytes > 0 && status.warnings.is_empty());
    let space = &status.spaces[0];
    assert_eq!(
        (space.name.as_str(), space.role, space.state),
        ("shop", Some(Role::Admin), JoinState::Joined)
    );
    assert_eq!(space.founders, std::slice::from_ref(&status.key));

    for name in ["shop", &space.id, &space.id[..8]] {
        assert_eq!(node.client.space(name).await.expect("found").id, space.id);
    }
    let unknown = (Code::UnknownSpace, 404, ExitCode::NotFound);
    assert_eq!(code(node.client.space("nope").await), unknown);
    assert_eq!(code(node.client.documents(&"0".repeat(64), &ListQuery::default()).await), unknown);
    node.client.create_space("shop").await.expect("names are not unique");
    let ambiguous = node.client.space("shop").await.expect_err("two");
    assert_eq!(ambiguous.exit_code(), ExitCode::Usage);
    assert_eq!(ambiguous.problem().map(|problem| problem.candidates.len()), Some(2));
    assert_eq!(code(node.client.create_space("").await), (Code::BadSpaceName, 400, ExitCode::Usage));
    node.client.ready().await.expect("it serves");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_is_read_back_also_after_a_restart() {
    let node = start().await;
    let value = json!({"a": [1, 2.5, true, "x", {"$counter": 3}], "big": u64::MAX, "none": {}});
    let written =
        node.client.put("shop", "config/web prod", document(&value), &WriteOptions::default()).await;
    let written = written.expect("written");
    assert!(written.changed && written.created);
    let again = node.client.put("shop", "config/web prod", document(&value), &WriteOptions::default()).await;
    let again = again.expect("written");
    assert!(!again.changed && !again.created);
    assert_eq!(again.heads, written.heads);

    let found = node.client.document("shop", "config/web prod").await.expect("found");
    assert_eq!((&found.value, &found.heads), (&value, &written.heads));
    let node = start_in(node.stop().await).await;
    assert_eq!(node.client.document("shop", "config/web prod").await.expect("found"), found);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_follows_pointers_heads_and_tags() {
    let node = start().await;
    let first = node.put("d", json!({"a": {"b": [10, 20]}})).await;
    node.put("d", json!({"a": {"b": [10, 21]}})).await;
    let client = &node.client;
    let read = |options: ReadOptions| async move { client.read("shop", "d", &options).await };
    let pointer = |text: &str| ReadOptions { pointer: Some(text.to_owned()), ..ReadOptions::default() };
    let Read::Found(now) = read(pointer("/a/b/1")).await.expect("found") else { panic!("it was found") };
    assert_eq!(now.value, json!(21));
    let then = ReadOptions { at: Some(first.to_string()), ..pointer("/a/b/1") };
    let Read::Found(then) = read(then).await.expect("found") else { panic!("it was found") };
    assert_eq!((then.value, then.heads), (json!(20), first));

    let same = ReadOptions { unless_etag: now.etag.clone(), ..ReadOptions::default() };
    assert_eq!(read(same.clone()).await.expect("an answer"), Read::NotModified);
    node.put("d", json!({})).await;
    assert!(matches!(read(same).await, Ok(Read::Found(_))));

    let unknown = ReadOptions { at: Some("ab".repeat(32)), ..ReadOptions::default() };
    assert_eq!(code(read(unknown).await), (Code::UnknownHeads, 404, ExitCode::NotFound));
    assert_eq!(code(read(pointer("/a/b")).await), (Code::UnknownPointer, 404, ExitCode::NotFound));
    assert_eq!(code(read(pointer("a")).await), (Code::BadPointer, 400, ExitCode::Usage));
    let none = node.client.document("shop", "nope").await;
    assert_eq!(code(none), (Code::UnknownDocument, 404, ExitCode::NotFound));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_stored_is_refused_and_changes_nothing() {
    let node = start().await;
    node.put("d", json!({"a": 1})).await;
    let before = node.client.document("shop", "d").await.expect("found");
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(65), "]".repeat(65));
    let large = json!({"a": "x".repeat(1024 * 1024)}).to_string();
    let cases = [
        ("{\"a\":", Code::BadJson, 400),
        ("", Code::BadJson, 400),
        ("[1]", Code::RootNotObject, 400),
        ("{\"a\":18446744073709551616}", Code::BadValue, 400),
        ("{\"a\":1,\"a\":2}", Code::BadValue, 400),
        (deep.as_str(), Code::DocumentTooDeep, 400),
        (large.as_str(), Code::ChangeTooLarge, 413),
    ];
    for (body, expected, status) in cases {
        let shown = &body[..body.len().min(40)];
        let outcome = node.client.put("shop", "d", body.to_owned(), &WriteOptions::default()).await;
        assert_eq!(code(outcome), (expected, status, ExitCode::Usage), "{shown}");
    }
    let huge = node.client.put("shop", "d", "x".repeat(2 * 1024 * 1024), &WriteOptions::default()).await;
    match huge {
        // The node may hang up while the rest of the body is on its way.
        Err(ClientError::Lost { .. }) => {}
        refused => assert_eq!(code(refused), (Code::BodyTooLarge, 413, ExitCode::Usage)),
    }
    for name in ["a//b", "/a", "a/", "a\u{7}", &"n".repeat(513)] {
        let outcome = node.client.put("shop", name, "{}", &WriteOptions::default()).await;
        assert_eq!(code(outcome), (Code::BadDocumentName, 400, ExitCode::Usage), "{name:?}");
    }
    assert_eq!(node.client.document("shop", "d").await.expect("found"), before);
    let metrics = node.client.metrics().await.expect("figures");
    assert!(metrics.contains("route=\"/v1/spaces/{space}/docs/{*name}\",status=\"413\""), "{metrics}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_hold_or_nothing_is_written() {
    let node = start().await;
    let absent = WriteOptions { if_absent: true, ..WriteOptions::default() };
    let first = node.client.put("shop", "d", "{\"n\":1}", &absent).await.expect("it was absent");
    let failed = (Code::PreconditionFailed, 412, ExitCode::Precondition);
    assert_eq!(code(node.client.put("shop", "d", "{\"n\":2}", &absent).await), failed);

    let etag = node.client.document("shop", "d").await.expect("found").etag;
    let tagged = WriteOptions { if_etag: etag, ..WriteOptions::default() };
    let heads = WriteOptions { if_heads: Some(first.heads), ..WriteOptions::default() };
    node.client.put("shop", "d", "{\"n\":3}", &tagged).await.expect("the tag was right");
    assert_eq!(code(node.client.put("shop", "d", "{\"n\":4}", &tagged).await), failed);
    assert_eq!(code(node.client.delete("shop", "d", &heads).await), failed);
    let increment = Operation::Increment { pointer: "/c".into(), by: 1 };
    assert_eq!(code(node.client.operate("shop", "d", &increment, &heads).await), failed);
    assert_eq!(node.client.document("shop", "d").await.expect("found").value, json!({"n": 3}));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_with_a_base_keeps_what_others_wrote_meanwhile() {
    let node = start().await;
    let read = node.put("d", json!({"a": 1, "b": 1})).await;
    node.put("d", json!({"a": 1, "b": 2})).await;
    let options = WriteOptions { base: Some(read), ..WriteOptions::default() };
    node.client.put("shop", "d", "{\"a\":9,\"b\":1}", &options).await.expect("written");
    assert_eq!(node.client.document("shop", "d").await.expect("found").value, json!({"a": 9, "b": 2}));
    let unknown = WriteOptions { base: "ab".repeat(32).parse().ok(), ..WriteOptions::default() };
    let outcome = node.client.put("shop", "d", "{}", &unknown).await;
    assert_eq!(code(outcome), (Code::UnknownHeads, 404, ExitCode::NotFound));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_sent_twice_with_one_id_happens_once() {
    let node = start().await;
    node.put("d", json!({"n": {"$counter": 0}})).await;
    let once = WriteOptions { request_id: Some("order-7".into()), ..WriteOptions::default() };
    let add = Operation::Increment { pointer: "/n".into(), by: 5 };
    let first = node.client.operate("shop", "d", &add, &once).await.expect("written");
    let second = node.client.operate("shop", "d", &add, &once).await.expect("remembered");
    assert_eq!(first, second);
    assert_eq!(node.client.document("shop", "d").await.expect("found").value, json!({"n": {"$counter": 5}}));
    let other = Operation::Increment { pointer: "/n".into(), by: 6 };
    let reused = node.client.operate("shop", "d", &other, &once).await;
    assert_eq!(code(reused), (Code::RequestIdReused, 400, ExitCode::Usage));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_change_one_place() {
    let node = start().await;
    node.put("d", json!({"text": "x"})).await;
    let none = WriteOptions::default();
    let add = |pointer: &str, by| Operation::Increment { pointer: pointer.to_owned(), by };
    let set = |pointer: &str, value| Operation::Set { pointer: pointer.to_owned(), value };
    assert!(node.client.operate("shop", "d", &add("/n", 2), &none).await.expect("written").created);
    assert!(!node.client.operate("shop", "d", &add("/n", -5), &none).await.expect("written").created);
    node.client.operate("shop", "d", &set("/list", json!([1])), &none).await.expect("written");
    let value = json!({"text": "x", "n": {"$counter": -3}, "list": [1]});
    assert_eq!(node.client.document("shop", "d").await.expect("found").value, value);
    let cases = [
        (add("/text", 1), Code::BadOperation, 400),
        (set("/absent/x", json!(1)), Code::UnknownPointer, 404),
        (set("/list/9", json!(1)), Code::BadPointer, 400),
        (set("/text/x", json!(1)), Code::BadOperation, 400),
        (add("n", 1), Code::BadPointer, 400),
    ];
    for (operation, expected, status) in cases {
        let outcome = node.client.operate("shop", "d", &operation, &none).await;
        let (found, found_status, _) = code(outcome);
        assert_eq!((found, found_status), (expected, status), "{operation:?}");
    }
    assert!(node.client.conflicts("shop", "d").await.expect("an answer").items.is_empty());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_document_is_gone_but_its_past_answers() {
    let node = start().await;
    let heads = node.put("d", json!({"a": 1})).await;
    assert!(node.client.delete("shop", "d", &WriteOptions::default()).await.expect("deleted").changed);
    let gone = (Code::UnknownDocument, 404, ExitCode::NotFound);
    assert_eq!(code(node.client.document("shop", "d").await), gone);
    assert_eq!(code(node.client.delete("shop", "d", &WriteOptions::default()).await), gone);
    assert_eq!(code(node.client.delete("shop", "never", &WriteOptions::default()).await), gone);
    let then = ReadOptions { at: Some(heads.to_string()), ..ReadOptions::default() };
    let past = node.client.read("shop", "d", &then).await.expect("found");
    assert!(matches!(past, Read::Found(document) if document.value == json!({"a": 1})));

    let client = &node.client;
    let names = |query: ListQuery| async move {
        let list = client.documents("shop", &query).await.expect("a list");
        list.items.into_iter().map(|item| (item.name, item.deleted)).collect::<Vec<_>>()
    };
    assert!(names(ListQuery::default()).await.is_empty());
    let all = ListQuery { deleted: true, ..ListQuery::default() };
    assert_eq!(names(all).await, [("d".to_owned(), true)]);
    assert!(node.client.put("shop", "d", "{}", &WriteOptions::default()).await.expect("written").created);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_comes_in_pages_that_together_hold_everything_once() {
    let node = start().await;
    let names: Vec<String> = (0..25).map(|n| format!("p/{n:02}")).chain(["q".to_owned()]).collect();
    let lines = names.iter().map(|name| BatchLine::Put { doc: name.clone(), value: json!({}), base: None });
    assert_eq!(node.client.batch_all("shop", lines, |_| {}).await.expect("written"), 26);
    for (prefix, expected) in [(None, &names[..]), (Some("p/"), &names[..25]), (Some("p/1"), &names[10..20])]
    {
        let mut found = Vec::new();
        let mut query =
            ListQuery { prefix: prefix.map(str::to_owned), limit: Some(7), ..ListQuery::default() };
        loop {
            let page = node.client.documents("shop", &query).await.expect("a page");
            assert!(page.items.len() <= 7);
            found.extend(page.items.into_iter().map(|item| item.name));
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        assert_eq!(found, expected, "{prefix:?}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_answers_each_line_in_order_and_bad_lines_stop_nothing() {
    let node = start().await;
    let mut lines = Vec::new();
    for n in 0..500 {
        let doc = format!("d{}", n % 7);
        lines.push(match n % 5 {
            0 => BatchLine::Put { doc: format!("/bad{n}"), value: json!({}), base: None },
            1 => BatchLine::Increment { doc: "counted".into(), pointer: "/n".into(), by: 1 },
            _ => BatchLine::Put { doc, value: json!({"n": n}), base: None },
        });
    }
    lines.insert(
        0,
        BatchLine::Put { doc: "counted".into(), value: json!({"n": {"$counter": 0}}), base: None },
    );
    let expected: Vec<String> = lines.iter().map(|line| line.doc().to_owned()).collect();
    let mut results: Vec<BatchResult> = Vec::new();
    let work = node.client.batch_all("shop", lines, |result| results.push(result));
    timeout(DEADLINE, work).await.expect("in time").expect("answered");
    let names: Vec<_> = results.iter().filter_map(|result| result.doc.clone()).collect();
    assert_eq!(names, expected);
    for result in &results {
        let bad = result.doc.as_ref().is_some_and(|name| name.starts_with('/'));
        let code = result.outcome.as_ref().err().map(|problem| problem.code);
        assert_eq!(code, bad.then_some(Code::BadDocumentName), "{result:?}");
    }
    let value = |name: &'static str| async { node.client.document("shop", name).await.expect("found").value };
    assert_eq!(value("counted").await, json!({"n": {"$counter": 100}}));
    // The last line about each document counts: lines about one document keep their order.
    let last = (0..500).filter(|n| n % 5 > 1 && n % 7 == 3).max();
    assert_eq!(value("d3").await, json!({"n": last}));
    node.stop().await;
}

async fn next(watch: &mut starling_api::client::Watch<'_>) -> WatchEvent {
    timeout(DEADLINE, watch.next()).await.expect("in time").expect("an event")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_tells_what_changed_in_order_and_only_under_its_prefix() {
    let node = start().await;
    node.put("a/before", json!({})).await;
    let query = WatchQuery { prefix: Some("a/".into()), since: None };
    let mut watch = node.client.watch("shop", query).await.expect("a watch");
    let first = node.put("a/1", json!({"n": 1})).await;
    node.put("b", json!({})).await;
    node.put("a/2", json!({})).await;
    node.client.delete("shop", "a/1", &WriteOptions::default()).await.expect("deleted");
    let status = node.client.status().await.expect("a status");
    let event = next(&mut watch).await;
    assert_eq!((event.name.as_str(), &event.heads, event.deleted), ("a/1", &first, false));
    assert_eq!((event.space, event.author), (status.spaces[0].id.clone(), Some(status.key)));
    assert_eq!(next(&mut watch).await.name, "a/2");
    let last = next(&mut watch).await;
    assert_eq!((last.name.as_str(), last.deleted), ("a/1", true));
    assert_eq!(watch.position(), Some(&last.position));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_from_a_position_first_tells_what_was_missed() {
    let node = start().await;
    let start = node.client.status().await.expect("a status").store.position;
    let lines = (0..3_000).map(|n| BatchLine::Put { doc: format!("d{n:04}"), value: json!({}), base: None });
    node.client.batch_all("shop", lines, |_| {}).await.expect("written");
    let since =
        |position: &starling_api::Position| WatchQuery { prefix: None, since: Some(position.0.clone()) };
    let mut watch = node.client.watch("shop", since(&start)).await.expect("a watch");
    let mut seen = BTreeMap::new();
    let mut positions = Vec::new();
    while seen.len() < 3_000 {
        let event = next(&mut watch).await;
        *seen.entry(event.name).or_insert(0) += 1;
        positions.push(watch.position().cloned());
    }
    assert!(seen.values().all(|count| *count == 1));
    // Whoever comes back at any position it was given misses nothing and hears nothing twice.
    let middle = positions[1_500].clone().expect("a position");
    let upto =
        positions.iter().position(|position| position.as_ref() == Some(&middle)).expect("it was given");
    let mut again = node.client.watch("shop", since(&middle)).await.expect("a watch");
    for n in upto + 1..3_000 {
        let event = next(&mut again).await;
        assert_eq!(seen.get_mut(&event.name).map(|count| std::mem::replace(count, 2)), Some(1), "{n}");
    }
    node.put("live", json!({})).await;
    assert_eq!(next(&mut again).await.name, "live");
    assert_eq!(next(&mut watch).await.name, "live");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_of_another_store_is_refused_with_advice() {
    let (node, other) = (start().await, start().await);
    let position = other.client.status().await.expect("a status").store.position;
    let foreign = WatchQuery { prefix: None, since: Some(position.0) };
    let error = node.client.watch("shop", foreign).await.err().expect("a refusal");
    let problem = error.problem().expect("a problem");
    assert_eq!((problem.code, problem.status), (Code::PositionOfAnotherStore, 410));
    assert!(problem.hint.is_some());
    let nonsense = WatchQuery { prefix: None, since: Some("yesterday".into()) };
    let error = node.client.watch("shop", nonsense).await.err().expect("a refusal");
    assert_eq!(error.problem().map(|problem| problem.code), Some(Code::BadPosition));
    node.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_watch_does_not_keep_the_node_from_stopping() {
    let node = start().await;
    let client = Client::new(node.client.address().clone());
    let mut watch = client.watch("shop", WatchQuery::default()).await.expect("a watch");
    let metrics = node.client.metrics().await.expect("figures");
    assert!(metrics.contains("starling_watchers 1\n"), "{metrics}");
    let began = tokio::time::Instant::now();
    let directory = node.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "a clean stop takes less than five seconds");
    // The watch comes back by itself once the node does.
    let node = start_in(directory).await;
    node.put("after", json!({})).await;
    assert_eq!(next(&mut watch).await.name, "after");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_invites_and_waiting_work_alone() {
    let node = start().await;
    let members = node.client.members("shop").await.expect("members").items;
    assert_eq!(members.len(), 1);
    assert_eq!((members[0].state, members[0].role), (MemberState::Own, Role::Admin));
    let ask = CreateInvite { role: Role::Writer, prefix: None, uses: Some(2), expires_in_s: Some(60) };
    let invite = node.client.invite("shop", &ask).await.expect("a ticket");
    assert_eq!(invite.invite.len(), 64);
    assert_eq!(code(node.client.join("nonsense").await), (Code::BadTicket, 400, ExitCode::Usage));
    assert_eq!(code(node.client.join(&invite.ticket[..40]).await), (Code::BadTicket, 400, ExitCode::Usage));

    let stranger = start_in(tempfile::tempdir().expect("a directory")).await;
    let joined = stranger.client.join(&invite.ticket).await.expect("taken");
    assert_eq!(joined.name.as_deref(), Some("shop"));
    let wait = Wait { doc: None, nodes: Nodes::AtLeast(5), timeout_ms: 50 };
    let waited = node.client.wait("shop", &wait).await.expect("an answer");
    assert!(!waited.satisfied);
    let bad = Wait { doc: Some("/".into()), ..wait };
    assert_eq!(code(node.client.wait("shop", &bad).await), (Code::BadDocumentName, 400, ExitCode::Usage));
    stranger.stop().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_are_added_blocked_and_unblocked() {
    let (node, other) = (start().await, start_in(tempfile::tempdir().expect("a directory")).await);
    let status = other.client.status().await.expect("a status");
    assert_eq!(code(node.client.add_peer("not an address").await), (Code::BadAddress, 400, ExitCode::Usage));
    assert_eq!(code(node.client.block_peer("zz", &BlockPeer::default()).await).0, Code::UnknownPeer);
    node.client.block_peer(&status.peer_id, &BlockPeer { for_s: Some(3_600) }).await.expect("blocked");
    let peers = node.client.peers().await.expect("peers").items;
    assert_eq!((peers.len(), peers[0].connected, peers[0].key.as_str()), (1, false, status.key.as_str()));
    assert!(peers[0].blocked.as_ref().and_then(|block| block.left_ms).is_some_and(|left| left > 3_500_000));
    node.client.unblock_peer(&status.key[..10]).await.expect("unblocked");
    assert!(node.client.peers().await.expect("peers").items.is_empty());

    let address = status.listen.first().expect("it listens").clone();
    node.client.add_peer(&address).await.expect("dialled");
    let connected = async {
        loop {
            let peers = node.client.peers().await.expect("peers").items;
            if let Some(peer) = peers.into_iter().find(|peer| peer.connected) {
                return peer;
            }
            tokio::task::yield_now().await;
        }
    };
    let peer = timeout(DEADLINE, connected).await.expect("in time");
    assert_eq!((peer.key.as_str(), peer.transport.as_deref()), (status.key.as_str(), Some("tcp")));
    assert_eq!(peer.direction, Some(Direction::Outbound));
    let bytes = until("bytes pass both ways", || async {
        let peers = node.client.peers().await.expect("peers").items;
        let bytes = peers.first().and_then(|peer| peer.received_bytes.zip(peer.sent_bytes));
        bytes.filter(|(received, sent)| *received > 0 && *sent > 0)
    });
    // Far less than a megabyte in so short a time: a ping, who they are, and what each follows.
    let (received, sent) = bytes.await;
    assert!(received < 1 << 20 && sent < 1 << 20, "{received} {sent}");
    node.stop().await;
    other.stop().await;
}

/// Asks again and again until the answer is as wanted.
async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let asking = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, asking).await.unwrap_or_else(|_| panic!("{what} did not happen in time"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_join_diverge_converge_and_show_the_conflict_with_its_authors() {
    let (a, b) = (start().await, start_in(tempfile::tempdir().expect("a directory")).await);
    let ask = CreateInvite { role: Role::Writer, prefix: None, uses: None, expires_in_s: None };
    let ticket = a.client.invite("shop", &ask).await.expect("a ticket").ticket;
    b.client.join(&ticket).await.expect("taken");
    until("the join", || async {
        b.client.space("shop").await.ok().filter(|space| space.state == JoinState::Joined)
    })
    .await;
    a.put("d", json!({"owner": "nobody", "n": {"$counter": 0}})).await;
    let wait = Wait { doc: Some("d".into()), nodes: Nodes::AtLeast(1), timeout_ms: 20_000 };
    let waited = a.client.wait("shop", &wait).await.expect("an answer");
    assert!(waited.satisfied && waited.holders.len() == 1, "{waited:?}");

    let keys = [&a, &b].map(|node| async { node.client.status().await.expect("a status").key });
    let [key_a, key_b] = futures::future::join_all(keys).await.try_into().expect("two");
    a.client.block_peer(&key_b, &BlockPeer::default()).await.expect("blocked");
    let cut = || async {
        let peers = b.client.peers().await.ok()?;
        (!peers.items.iter().any(|peer| peer.connected)).then_some(())
    };
    until("the cut", cut).await;
    let add = Operation::Increment { pointer: "/n".into(), by: 1 };
    for (node, owner) in [(&a, "a"), (&b, "b")] {
        let set = Operation::Set { pointer: "/owner".into(), value: json!(owner) };
        for operation in [&set, &add] {
            node.client.operate("shop", "d", operation, &WriteOptions::default()).await.expect("written");
        }
    }
    a.client.unblock_peer(&key_b).await.expect("unblocked");
    let conflict = until("the heal", || async {
        let [seen_by_a, seen_by_b] =
            [&a, &b].map(|node| async { node.client.conflicts("shop", "d").await.ok() });
        let (seen_by_a, seen_by_b) = (seen_by_a.await?, seen_by_b.await?);
        (seen_by_a.items.len() == 1 && seen_by_a == seen_by_b).then(|| seen_by_a.items[0].clone())
    })
    .await;
    assert_eq!(conflict.pointer, "/owner");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let authors: BTreeMap<_, _> =
        conflict.values.iter().map(|value| (value.value.as_ref().and_then(text), &value.author)).collect();
    assert_eq!(authors, BTreeMap::from([(Some("a".to_owned()), &key_a), (Some("b".to_owned()), &key_b)]));
    assert!(conflict.values[0].shown && !conflict.values[1].shown);
    let [on_a, on_b] = [&a, &b].map(|node| async { node.client.document("shop", "d").await.expect("found") });
    let (on_a, on_b) = (on_a.await, on_b.await);
    assert_eq!(on_a, on_b);
    assert_eq!(on_a.value["n"], json!({"$counter": 2}));
    assert_eq!(Some(&on_a.value["owner"]), conflict.values[0].value.as_ref());
    a.stop().await;
    b.stop().await;
}
