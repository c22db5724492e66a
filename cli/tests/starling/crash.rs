//! No acknowledged write is lost, however often the node is killed in the middle of writes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use starling_api::address::SOCKET_FILE;
use starling_api::client::WriteOptions;
use starling_api::{Client, NodeAddress};

use crate::support::{LOOK_PAUSE, Node, run, until};

/// Kills in every run of the tests; `STARLING_TEST_CRASH_ROUNDS` asks for more.
const ROUNDS: usize = 50;
const WRITERS: usize = 8;
/// Acknowledged writes after which the first node is killed; each later one lives a little longer or
/// shorter, so that the kills meet different moments of the writers' turns.
const ACKNOWLEDGED_MIN: usize = 20;
const ACKNOWLEDGED_SPREAD: usize = 23;
const ROUND_TIME_MAX: Duration = Duration::from_secs(60);

/// What each document was last acknowledged to hold.
type Acknowledged = BTreeMap<String, u64>;

#[test]
fn kills_under_eight_writers_lose_no_acknowledged_write() {
    let rounds = std::env::var("STARLING_TEST_CRASH_ROUNDS")
        .map_or(ROUNDS, |rounds| rounds.parse().expect("a number of rounds"));
    let directory = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let (mut all, mut last, mut space) = (Acknowledged::new(), Acknowledged::new(), None);
    for round in 0..rounds {
        let node = Node::start(directory.path(), &[]);
        let space =
            space.get_or_insert_with(|| node.run(&["space", "create", "crash"]).expect(0).line().to_owned());
        // What the kill interrupted, each time; everything, at the end.
        let missing = runtime.block_on(missing(directory.path(), space, &last));
        assert_eq!(missing, Vec::<String>::new(), "after round {round}");
        last = runtime.block_on(write_until_killed(directory.path(), space, round, node));
        assert!(last.len() >= ACKNOWLEDGED_MIN, "round {round}: {} acknowledged", last.len());
        all.extend(last.clone());
        sound(directory.path(), round);
    }
    let _node = Node::start(directory.path(), &[]);
    let space = space.expect("the first round made it");
    let missing = runtime.block_on(missing(directory.path(), &space, &all));
    assert_eq!(missing, Vec::<String>::new(), "of {} acknowledged writes", all.len());
    assert!(all.len() >= rounds * ACKNOWLEDGED_MIN);
}

/// The killed node's store opens, and every signature and row of it is right.
fn sound(directory: &Path, round: usize) {
    let ran = run(["--data-dir", &directory.display().to_string(), "verify"]);
    assert_eq!(ran.code, Some(0), "round {round}: {}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.starts_with("sound: 1 space, "), "round {round}: {}", ran.stdout);
}

fn client(directory: &Path) -> Client {
    Client::new(NodeAddress::Unix(directory.join(SOCKET_FILE)))
}

/// What was acknowledged and is not there, or is older. A later write of the same document may be durable
/// although its acknowledgement never arrived.
async fn missing(directory: &Path, space: &str, acknowledged: &Acknowledged) -> Vec<String> {
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
async fn write_until_killed(directory: &Path, space: &str, round: usize, node: Node) -> Acknowledged {
    let enough = ACKNOWLEDGED_MIN + round * 7 % ACKNOWLEDGED_SPREAD;
    let acknowledged = Mutex::new(Acknowledged::new());
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
        while acknowledged.lock().expect("no writer panics").len() < enough
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
