//! No acknowledged write is lost, however often the node is killed in the middle of writes.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use starling_api::address::SOCKET_FILE;
use starling_api::client::WriteOptions;
use starling_api::{Client, NodeAddress};

use crate::support::{LOOK_PAUSE, Node, until};

const ROUNDS: usize = 10;
const WRITERS: usize = 8;
const ACKNOWLEDGED_MIN: usize = 20;
const ROUND_TIME_MAX: Duration = Duration::from_secs(60);

#[test]
fn ten_kills_under_eight_writers_lose_no_acknowledged_write() {
    let directory = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut acknowledged: BTreeMap<String, u64> = BTreeMap::new();
    let mut space = None;
    for round in 0..ROUNDS {
        let node = Node::start(directory.path(), &[]);
        let space =
            space.get_or_insert_with(|| node.run(&["space", "create", "crash"]).expect(0).line().to_owned());
        let missing = runtime.block_on(missing(directory.path(), space, &acknowledged));
        assert_eq!(missing, Vec::<String>::new(), "after round {round}");
        let written = runtime.block_on(write_until_killed(directory.path(), space, round, node));
        assert!(written.len() >= ACKNOWLEDGED_MIN, "round {round}: {} acknowledged", written.len());
        acknowledged.extend(written);
    }
    let _node = Node::start(directory.path(), &[]);
    let space = space.expect("the first round made it");
    let missing = runtime.block_on(missing(directory.path(), &space, &acknowledged));
    assert_eq!(missing, Vec::<String>::new(), "of {} acknowledged writes", acknowledged.len());
    assert!(acknowledged.len() >= ROUNDS * ACKNOWLEDGED_MIN);
}

fn client(directory: &std::path::Path) -> Client {
    Client::new(NodeAddress::Unix(directory.join(SOCKET_FILE)))
}

/// What was acknowledged and is not there, or is older. A later write of the same document may be durable
/// although its acknowledgement never arrived.
async fn missing(
    directory: &std::path::Path,
    space: &str,
    acknowledged: &BTreeMap<String, u64>,
) -> Vec<String> {
    let client = client(directory);
    let mut missing = Vec::new();
    for (name, number) in acknowledged {
        match client.document(space, name).await {
            Ok(document) if document.value["number"].as_u64() >= Some(*number) => {}
            other => missing.push(format!("{name}: {other:?}")),
        }
    }
    missing
}

/// Eight writers write until the node is gone; it is killed after enough acknowledgements.
async fn write_until_killed(
    directory: &std::path::Path,
    space: &str,
    round: usize,
    node: Node,
) -> BTreeMap<String, u64> {
    let acknowledged = Mutex::new(BTreeMap::new());
    let ended = AtomicUsize::new(0);
    let writers = (0..WRITERS).map(|writer| {
        let (acknowledged, ended) = (&acknowledged, &ended);
        async move {
            let client = client(directory);
            for number in 0_u64.. {
                // Some documents are written for the first time, some again and again.
                let name = format!("round-{round}/{writer}/{}", number % 16);
                let json = format!("{{\"number\":{number}}}");
                if client.put(space, &name, json, &WriteOptions::default()).await.is_err() {
                    break;
                }
                acknowledged.lock().expect("no writer panics").insert(name, number);
            }
            ended.fetch_add(1, Ordering::Relaxed);
        }
    });
    let killer = async {
        let give_up = tokio::time::Instant::now() + ROUND_TIME_MAX;
        while acknowledged.lock().expect("no writer panics").len() < ACKNOWLEDGED_MIN
            && ended.load(Ordering::Relaxed) == 0
        {
            assert!(tokio::time::Instant::now() < give_up, "too few writes: {}", node.log());
            tokio::time::sleep(LOOK_PAUSE / 10).await;
        }
        node.kill();
    };
    tokio::join!(futures::future::join_all(writers), killer);
    acknowledged.into_inner().expect("no writer panics")
}

#[test]
fn a_node_whose_parent_is_gone_stops_by_itself() {
    let directory = tempfile::tempdir().expect("a directory");
    // Standard input is /dev/null, which is at its end from the beginning.
    let mut node = Node::spawn(directory.path(), &["--exit-with-parent"]);
    until("the node ends", Duration::from_secs(30), || {
        node.process().try_wait().expect("a child can be waited for").is_some()
    });
    let status = node.process().wait().expect("it ended");
    assert_eq!(status.code(), Some(0), "{}", node.log());
}
