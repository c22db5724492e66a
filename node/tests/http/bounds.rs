//! What happens at the bounds of a node, and after: too many clients, watchers that do not read, documents that are
//! more than memory holds or larger than advised.

use tokio::io::AsyncReadExt as _;

use super::*;

/// Watches that a node serves at once.
const WATCHES_MAX: usize = 256;
/// Batches that it runs at once.
const BATCHES_MAX: usize = 64;

/// Sends a request and reads until `wanted` has come.
async fn asked(node: &Running, request: &str, wanted: &str) -> (UnixStream, String) {
    let mut stream = connect(node).await;
    stream.write_all(request.as_bytes()).await.expect("sent");
    let told = read_until(&mut stream, wanted).await;
    (stream, told)
}

async fn read_until(stream: &mut UnixStream, wanted: &str) -> String {
    let mut read: Vec<u8> = Vec::new();
    let mut looked = 0;
    while !read[looked..].windows(wanted.len()).any(|bytes| bytes == wanted.as_bytes()) {
        looked = read.len().saturating_sub(wanted.len());
        let mut piece = vec![0; 64 * 1024];
        let count = timeout(DEADLINE, stream.read(&mut piece)).await.expect("in time").expect("readable");
        assert!(count > 0, "the stream ended: {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&piece[..count]);
    }
    String::from_utf8_lossy(&read).into_owned()
}

const WATCH: &str = "GET /v1/spaces/shop/watch HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn batch(line: &str) -> String {
    let head = "POST /v1/spaces/shop/batch HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    format!("{head}{:x}\r\n{line}\n\r\n", line.len() + 1)
}

async fn warnings(node: &Running) -> Vec<(String, String)> {
    let status = node.client.status().await.expect("a status");
    status.warnings.into_iter().map(|told| (told.code, told.message)).collect()
}

#[track_caller]
fn assert_told_to_come_back(told: &str, code: &str) {
    assert!(told.starts_with("HTTP/1.1 503 ") && told.contains("retry-after: 1\r\n"), "{told}");
    assert!(told.contains(code), "{told}");
}

/// Asks again until there is room.
async fn until_taken(node: &Running, request: &str) {
    let give_up = tokio::time::Instant::now() + DEADLINE;
    while asked(node, request, "\r\n\r\n").await.1.starts_with("HTTP/1.1 503 ") {
        assert!(tokio::time::Instant::now() < give_up, "there is no room although some left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_above_the_bound_are_told_to_come_back_and_taken_once_others_end() {
    let node = start().await;
    assert_eq!(warnings(&node).await, []);
    let mut open = Vec::new();
    for _ in 0..WATCHES_MAX {
        let (stream, told) = asked(&node, WATCH, "\r\n\r\n").await;
        assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
        open.push(stream);
    }
    let (_, told) = asked(&node, WATCH, "too-many-watchers").await;
    assert_told_to_come_back(&told, "256 watches are open already");
    let [(code, said)] = warnings(&node).await.try_into().expect("one warning");
    assert!(code == "busy" && said.contains("256 watches are open already"), "{said}");
    let figures = node.client.metrics().await.expect("figures");
    assert!(figures.contains("starling_warnings{code=\"busy\"} 1\n"), "{figures}");
    node.put("d", json!({})).await;
    for stream in &mut open {
        read_until(stream, "\"name\":\"d\"").await;
    }
    open.pop();
    until_taken(&node, WATCH).await;
    drop(open);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_above_the_bound_are_told_to_come_back_and_taken_once_others_end() {
    let node = start().await;
    let mut open = Vec::new();
    for number in 0..BATCHES_MAX {
        let line = format!("{{\"op\":\"put\",\"doc\":\"d/{number}\",\"value\":{{}}}}");
        open.push(asked(&node, &batch(&line), "\"heads\"").await.0);
    }
    let refused = batch("{\"op\":\"put\",\"doc\":\"refused\",\"value\":{}}");
    let (_, told) = asked(&node, &refused, "\"busy\"").await;
    assert_told_to_come_back(&told, "64 batches are running already");
    assert!(warnings(&node).await.iter().any(|(code, _)| code == "busy"));
    let absent = node.client.document("shop", "refused").await;
    assert_eq!(code(absent), (Code::UnknownDocument, 404, ExitCode::NotFound));
    open.pop();
    until_taken(&node, &refused).await;
    drop(open);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_that_does_not_read_holds_nobody_up_and_misses_nothing() {
    const FILLING: usize = 2_000;
    const WRITES: usize = 200;
    let node = start().await;
    let (mut watch, _) = asked(&node, WATCH, "\r\n\r\n").await;
    // More than the socket and the server's buffers hold, and then more commits than are kept in memory.
    let name = |number: usize| format!("{number:04}/{}", "n".repeat(480));
    let lines = (0..FILLING).map(|number| BatchLine::Put { doc: name(number), value: json!({}), base: None });
    node.client.batch_all("shop", lines, |_| {}).await.expect("written");
    let mut last = None;
    for number in 0..WRITES {
        last = Some(node.put("busy", json!({ "n": number })).await);
    }
    let last = last.expect("some were written").to_string();
    let told = read_until(&mut watch, &last).await;
    let events = told.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = events.map(|data| serde_json::from_str::<Value>(data).expect("JSON"));
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for event in events {
        *seen.entry(event["name"].as_str().expect("a name").to_owned()).or_default() += 1;
    }
    assert!((0..FILLING).all(|number| seen.get(&name(number)) == Some(&1)), "each once: {seen:?}");
    let times = seen.get("busy").copied().unwrap_or_default();
    assert!((1..WRITES).contains(&times), "of what passed meanwhile the last state is told: {times}");
    let figures = node.client.metrics().await.expect("figures");
    assert!(figures.contains("starling_watches_behind_total 1\n"), "{figures}");
    node.put("after", json!({})).await;
    read_until(&mut watch, "\"name\":\"after\"").await;
    drop(watch);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_above_their_memory_are_built_again_and_a_larger_memory_ends_that() {
    const DOCUMENTS: usize = 24;
    const MEMORY: f64 = 1024.0 * 1024.0;
    let told = ConfigOverrides { documents_memory: "1MiB".parse().ok(), ..ConfigOverrides::default() };
    let node = start_told(tempfile::tempdir().expect("a directory"), told).await;
    node.client.create_space("shop").await.expect("a space");
    let text = |number: usize| format!("{number}{}", "x".repeat(100_000));
    for number in 0..DOCUMENTS {
        node.put(&format!("d/{number}"), json!({ "text": text(number) })).await;
    }
    let read_all = async |node: &Running| {
        for number in 0..DOCUMENTS {
            let read = node.client.document("shop", &format!("d/{number}")).await.expect("found");
            assert_eq!(read.value["text"], text(number), "{number}");
        }
    };
    read_all(&node).await;
    assert_eq!(warnings(&node).await, [], "reading everything once is no want of memory");
    read_all(&node).await;
    let [(code, said)] = warnings(&node).await.try_into().expect("one warning");
    assert!(code == "documents-memory" && said.ends_with(" MiB are built now"), "{said}");
    let figures = node.client.metrics().await.expect("figures");
    let figure = |name: &str| -> f64 {
        let line = figures.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no {name}: {figures}"))
    };
    assert!(figure("starling_documents_built_bytes") <= MEMORY, "{figures}");
    assert!(figure("starling_documents_dropped_total") >= DOCUMENTS as f64, "{figures}");
    assert!(figure("starling_documents_built_again_total") >= 16.0, "{figures}");

    let node = start_in(node.stop().await).await;
    read_all(&node).await;
    read_all(&node).await;
    assert_eq!(warnings(&node).await, []);
    let figures = node.client.metrics().await.expect("figures");
    assert!(figures.contains("starling_documents_dropped_total 0\n"), "{figures}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_of_more_objects_than_advised_is_named_while_it_is_there() {
    let node = start().await;
    let named = |told: Vec<(String, String)>, name: &str| {
        told.iter().any(|(code, said)| code == "large-document" && said.contains(name))
    };
    // The root and the list are objects, too.
    node.put("wide", json!({ "list": vec![json!({}); 4_998] })).await;
    assert_eq!(warnings(&node).await, []);
    let one_more = Operation::Insert { pointer: "/list/0".into(), value: json!({}) };
    node.client.operate("shop", "wide", &one_more, &WriteOptions::default()).await.expect("written");
    let told = warnings(&node).await;
    assert!(named(told.clone(), "\"wide\" (5001)"), "{told:?}");

    // What nobody touches costs nobody anything; the first who reads it is told.
    let node = start_in(node.stop().await).await;
    assert_eq!(warnings(&node).await, []);
    node.client.document("shop", "wide").await.expect("found");
    assert!(named(warnings(&node).await, "\"wide\" (5001)"));
    node.client.delete("shop", "wide", &WriteOptions::default()).await.expect("deleted");
    assert_eq!(warnings(&node).await, []);
    node.stop().await;
}
