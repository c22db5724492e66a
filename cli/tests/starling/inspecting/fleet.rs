//! The fleet of the guide: a partition, a conflict, a fork, hostile deltas and a node that lags.
//!
//! `shore` is the node whose operator asks. `ship` was cut off from it for a while and wrote meanwhile.
//! `buoy` is a member that means ill: it signed two changes with one number, and a change that no document
//! can take. `laptop` was stopped, and lags since. `island` is behind a partition.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use starling_api::address::SOCKET_FILE;
use starling_api::space::Role;
use starling_api::{Client, NodeAddress};

use crate::member::{Hostile, Member, address};
use crate::rogue::{no_signature, poison, put};
use crate::support::{Node, run_with_input, until, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);

/// The number that makes the hostile member's key.
const BUOY: u8 = 66;

/// The fleet, as it stands when the questions are asked.
pub struct Fleet {
    pub shore: Node,
    ship: Node,
    island: Node,
    runtime: tokio::runtime::Runtime,
}

impl Fleet {
    /// Builds the fleet in a directory, and waits until `shore` sees it as the guide tells.
    pub fn build(home: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let spawned = ["shore", "ship", "laptop", "island"]
            .map(|name| Node::spawn(&home.join(name), &["--name", name]));
        let [shore, ship, laptop, island] = spawned.map(Node::serving);
        shore.run(&["space", "create", "shop"]).expect(0);
        let web = r#"{"colour":"white","limits":{"cpu":2},"replicas":2,"tags":["a","b"]}"#;
        shore.run(&["put", "config/web", web]).expect(0);
        shore.run(&["put", "config/db", r#"{"host":"db.example","port":5432}"#]).expect(0);
        let fleet = Self { shore, ship, island, runtime };
        fleet.join(&fleet.ship);
        fleet.part_and_meet();
        for node in [&laptop, &fleet.island] {
            fleet.join(node);
        }
        until("its word of what it holds is heard", PATIENCE, || {
            let told = |member: &Value| member["name"] == "island" && member["changes_behind"] == 0;
            members(&fleet.shore).iter().any(told)
        });
        fleet.leave(laptop);
        fleet.cut_off(&fleet.island);
        fleet.shore.run(&["rm", "config/db"]).expect(0);
        fleet.shore.run(&["set", "config/web", "/replicas", "3"]).expect(0);
        fleet.settles();
        fleet
    }

    fn join(&self, node: &Node) {
        let ticket = self.shore.run(&["invite", "--role", "writer"]).expect(0);
        run_with_input(node.command(&["join", "-"]), &ticket.stdout).expect(0);
        until("it holds what there is", PATIENCE, || self.equal(node));
    }

    /// Whether a node holds what `shore` holds, up to the side of a fork, and each knows the other's name.
    fn equal(&self, node: &Node) -> bool {
        let both = [
            self.shore.run(&["--output", "json", "compare", name(node)]),
            node.run(&["--output", "json", "compare", "shore"]),
        ];
        both.iter().all(|ran| match ran.code {
            Some(8) => {
                let differences =
                    ran.json()["items"][0]["differences"].as_array().cloned().unwrap_or_default();
                differences.iter().all(|found| found["kind"] == "forked")
            }
            code => code == Some(0),
        })
    }

    /// `shore` and `ship` lose each other, and both write; a third contradicts itself between them.
    fn part_and_meet(&self) {
        let (shore, ship) = (&self.shore, &self.ship);
        let (shore_client, ship_client) = (client(shore), client(ship));
        let joins = Member::join(&shore_client, "buoy", BUOY, Role::Writer);
        let mut buoy = self.runtime.block_on(joins);
        until("both know the third", PATIENCE, || members(ship).len() == 3);
        ship.run(&["inc", "config/web", "/visits", "3"]).expect(0);
        until("the visits arrive", PATIENCE, || shore.run(&["get", "config/web", "/visits"]).code == Some(0));

        let key = peer(shore, "ship");
        shore.run(&["peers", "block", &key]).expect(0);
        until("the link is cut", PATIENCE, || !is_connected(shore, "ship") && !is_connected(ship, "shore"));
        shore.run(&["set", "config/web", "/colour", "\"green\""]).expect(0);
        // Its second change, and so the one that shows, whoever wrote it.
        ship.run(&["set", "config/web", "/limits/cpu", "4"]).expect(0);
        ship.run(&["set", "config/web", "/colour", "\"red\""]).expect(0);
        self.runtime.block_on(async {
            let mut behind = Hostile::connect([BUOY; 32], &address(&ship_client).await).await;
            let topic = buoy.rogue.topic();
            let [low, high] =
                ["low", "high"].map(|tide| buoy.rogue.change(1, 1, &[], vec![put("tide", tide)]));
            buoy.peer.gossip(topic, buoy.rogue.payload("tide/now", &[&low])).await;
            behind.gossip(topic, buoy.rogue.payload("tide/now", &[&high])).await;
            let good = buoy.rogue.change(1, 1, &[], vec![put("unit", "m")]);
            let bad = buoy.rogue.change(2, 2, &[good.hash], vec![poison(buoy.rogue.actor())]);
            buoy.peer.gossip(topic, buoy.rogue.payload("tide/table", &[&good, &bad])).await;
            let holds = async |client: &Client, doc: &str, value: Value| {
                let found = client.document("shop", doc).await;
                found.is_ok_and(|found| found.value == value)
            };
            wait(async || holds(&shore_client, "tide/now", json!({ "tide": "low" })).await).await;
            wait(async || holds(&ship_client, "tide/now", json!({ "tide": "high" })).await).await;
            wait(async || holds(&shore_client, "tide/table", json!({ "unit": "m" })).await).await;
            // A delta that nobody signed costs the sender its place; so it comes last.
            let mut forged = buoy.rogue.delta("tide/forged", &[&good]);
            forged.signature = no_signature();
            buoy.peer.gossip(topic, buoy.rogue.frame(forged)).await;
            let refused = "starling_deltas_refused_total{code=\"bad_signature\"} 1";
            wait(async || shore_client.metrics().await.expect("its figures").contains(refused)).await;
            behind.handle.shutdown().await;
            buoy.leave().await;
        });
        shore.run(&["peers", "unblock", &key]).expect(0);
        for node in [shore, ship] {
            until("the conflict shows", PATIENCE, || node.run(&["conflicts"]).stdout.lines().count() == 2);
            until("the fork is proven", PATIENCE, || node.run(&["forks"]).stdout.lines().count() == 1);
        }
    }

    /// A node is stopped as its operator would.
    fn leave(&self, mut node: Node) {
        let pid = node.process().id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
        wait_for(node.process(), PATIENCE).expect("it ends");
    }

    /// Nobody reaches a node any more.
    fn cut_off(&self, node: &Node) {
        for from in [&self.shore, &self.ship] {
            from.run(&["peers", "block", &peer(from, name(node))]).expect(0);
        }
    }

    /// Waits until `shore` sees everybody as they are.
    pub fn settles(&self) {
        let wanted = [
            ("buoy", "away", false),
            ("island", "away", false),
            ("laptop", "left", false),
            ("ship", "alive", true),
        ];
        until("everybody stands as they do", PATIENCE, || {
            let members = members(&self.shore);
            wanted.iter().all(|(name, state, heard)| {
                members.iter().any(|member| {
                    let caught_up = member["changes_behind"] == 0;
                    member["name"] == *name && member["state"] == *state && (!heard || caught_up)
                })
            })
        });
    }
}

/// What a node calls itself: its directory is called so, too.
fn name(node: &Node) -> &str {
    node.directory.file_name().and_then(|name| name.to_str()).expect("a name")
}

fn client(node: &Node) -> Client {
    Client::new(NodeAddress::Unix(socket(node)))
}

fn socket(node: &Node) -> PathBuf {
    node.directory.join(SOCKET_FILE)
}

fn items(node: &Node, command: &str) -> Vec<Value> {
    let ran = node.run(&["--output", "json", command]);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stderr, node.log());
    let list = ran.json();
    list["items"].as_array().expect("a list").clone()
}

fn members(node: &Node) -> Vec<Value> {
    items(node, "members")
}

/// The key of a peer, by its name.
fn peer(node: &Node, name: &str) -> String {
    let members = members(node);
    let found = members.iter().find(|member| member["name"] == name).expect("a member of that name");
    found["key"].as_str().expect("a key").to_owned()
}

fn is_connected(node: &Node, name: &str) -> bool {
    let key = peer(node, name);
    items(node, "peers").iter().any(|peer| peer["key"] == key && peer["connected"] == true)
}

async fn wait(mut holds: impl AsyncFnMut() -> bool) {
    let held = async {
        while !holds().await {
            tokio::time::sleep(crate::support::LOOK_PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, held).await.expect("it happens in time");
}
