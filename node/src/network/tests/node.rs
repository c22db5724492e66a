//! One node under test: a network with a driver that only collects events.

use std::collections::VecDeque;
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use starling_crdt::id::{AuthorKey, Topic};
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use crate::metrics::Registry;
use crate::network::{
    Command, Event, MessageToken, NetworkConfig, NetworkError, NetworkHandle, TrafficByPeer, Verdict, start,
};

/// Nothing on loopback takes this long unless it never comes.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

pub(super) const TCP: &str = "/ip4/127.0.0.1/tcp/0";
pub(super) const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

/// One runtime for all nodes of the test binary.
pub(super) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime starts"));

/// What a test received as gossip.
pub(super) struct Heard {
    pub(super) from: AuthorKey,
    pub(super) token: MessageToken,
    pub(super) payload: Vec<u8>,
}

/// A network, its events, and what has been seen of them.
pub(super) struct Node {
    pub(super) handle: NetworkHandle,
    events: Receiver<Event>,
    /// Received while something else was waited for.
    passed: VecDeque<Event>,
    pub(super) address: String,
    pub(super) traffic: TrafficByPeer,
}

pub(super) fn config(seed: u8, listen: &[&str]) -> NetworkConfig {
    let mut config = NetworkConfig::new(Zeroizing::new([seed; 32]));
    config.listen = listen.iter().map(|&address| address.to_owned()).collect();
    config
}

impl Node {
    /// A node whose driver takes everything.
    pub(super) fn new(seed: u8, listen: &str) -> Self {
        Self::with(&config(seed, &[listen]), 100_000).expect("the network starts")
    }

    /// A node whose driver has room for so many events.
    pub(super) fn with(config: &NetworkConfig, room: usize) -> Result<Self, NetworkError> {
        let (sender, events) = sync_channel(room);
        let deliver = move |event| {
            sender.try_send(event).map_err(|error| match error {
                TrySendError::Full(event) | TrySendError::Disconnected(event) => Box::new(event),
            })
        };
        let mut registry = Registry::default();
        let handle = start(RUNTIME.handle(), config, &mut registry, deliver)?;
        let address = String::new();
        let traffic = config.traffic.clone();
        let mut node = Self { handle, events, passed: VecDeque::new(), address, traffic };
        if !config.listen.is_empty() {
            node.address = node.wait("listening", |event| match event {
                Event::Listening { address } => Some(address.clone()),
                _ => None,
            });
        }
        Ok(node)
    }

    pub(super) fn key(&self) -> AuthorKey {
        self.handle.local()
    }

    pub(super) fn send(&self, command: Command) {
        self.handle.send(command).expect("the network takes the command");
    }

    /// The first event, among those not yet taken, that `pick` takes.
    pub(super) fn wait<T>(&mut self, what: &str, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
        let picked =
            self.passed.iter().enumerate().find_map(|(n, event)| pick(event).map(|picked| (n, picked)));
        if let Some((n, picked)) = picked {
            self.passed.remove(n);
            return picked;
        }
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(event) => match pick(&event) {
                    Some(picked) => return picked,
                    None => self.passed.push_back(event),
                },
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no {what} within {DEADLINE:?}; seen instead: {:?}", self.passed)
                }
                Err(RecvTimeoutError::Disconnected) => panic!("the network ended before {what}"),
            }
        }
    }

    /// Whether an event that `pick` takes has arrived and was not taken.
    pub(super) fn has(&mut self, pick: impl FnMut(&Event) -> bool) -> bool {
        self.passed.extend(self.events.try_iter());
        self.passed.iter().any(pick)
    }

    pub(super) fn wait_up(&mut self, other: AuthorKey) {
        self.wait("connection", |event| {
            matches!(event, Event::PeerUp { peer, .. } if *peer == other).then_some(())
        });
    }

    pub(super) fn wait_down(&mut self, other: AuthorKey) {
        self.wait("disconnection", |event| {
            matches!(event, Event::PeerDown { peer } if *peer == other).then_some(())
        });
    }

    pub(super) fn wait_follower(&mut self, other: AuthorKey, wanted: Topic) {
        self.wait("follower", |event| match event {
            Event::Follows { peer, topic } => (*peer == other && *topic == wanted).then_some(()),
            _ => None,
        });
    }

    pub(super) fn hear(&mut self) -> Heard {
        self.wait("gossip", gossip)
    }

    /// Gossip, if any has arrived.
    pub(super) fn heard(&mut self) -> Option<Heard> {
        self.passed.extend(self.events.try_iter());
        let place = self.passed.iter().position(|event| gossip(event).is_some())?;
        self.passed.remove(place).as_ref().and_then(gossip)
    }

    pub(super) fn judge(&self, heard: &Heard, verdict: Verdict) {
        self.send(Command::Verdict { message: heard.token.clone(), verdict });
    }

    pub(super) fn publish(&self, topic: Topic, payload: &[u8]) {
        self.send(Command::Publish { topic, payload: payload.to_vec() });
    }

    pub(super) fn dial(&self, peer: Option<AuthorKey>, address: &str) {
        self.send(Command::Dial { peer, addresses: vec![address.to_owned()] });
    }
}

fn gossip(event: &Event) -> Option<Heard> {
    match event {
        Event::Gossip { from, message, payload, .. } => {
            Some(Heard { from: *from, token: message.clone(), payload: payload.clone() })
        }
        _ => None,
    }
}

/// Connects `a` to `b`.
pub(super) fn connect(a: &mut Node, b: &mut Node) {
    a.dial(Some(b.key()), &b.address);
    a.wait_up(b.key());
    b.wait_up(a.key());
}

/// Lets both follow `topic` and know it of each other.
pub(super) fn follow(a: &mut Node, b: &mut Node, topic: Topic) {
    a.send(Command::Subscribe { topic });
    b.send(Command::Subscribe { topic });
    a.wait_follower(b.key(), topic);
    b.wait_follower(a.key(), topic);
}

/// Waits until `check` holds.
pub(super) fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !check() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
