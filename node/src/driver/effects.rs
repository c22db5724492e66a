//! Both directions between the core and the network: effects out, events in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use starling_crdt::address::Address;
use starling_crdt::budget::Offence;
use starling_crdt::connect::{AddressSource, DialTarget};
use starling_crdt::id::AuthorKey;
use starling_crdt::replica::{Effect, Input, MessageToken, Verdict};

use super::screening::Raw;
use super::tell::tell;
use super::{Inbox, Screening};
use crate::handle::NodeHandle;
use crate::metrics::{Metrics, Traffic};
use crate::network::{self, Command, DialFailure, Discovery, Event, NetworkHandle};

/// What both directions remember: the network's names for what the core calls by number.
#[derive(Default)]
struct Names {
    messages: BTreeMap<u64, network::MessageToken>,
    next_message: u64,
    dials: BTreeMap<Vec<String>, DialTarget>,
    listening: Vec<String>,
}

/// What both directions share.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Names>>);

impl Shared {
    fn names(&self) -> MutexGuard<'_, Names> {
        // Maps are changed by single inserts and removals, so a poisoned lock is still good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands the core's effects to the world.
pub(crate) struct Outlet {
    pub(crate) network: NetworkHandle,
    pub(crate) shared: Shared,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) handle: NodeHandle,
}

impl Outlet {
    /// Releases the effects of a step: replies first, since somebody waits for them, then the others
    /// in order, then the documents' changes.
    pub(crate) fn release(&self, effects: Vec<Effect>) {
        let (mut replies, mut others, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for effect in effects {
            match effect {
                Effect::Reply { ticket, reply } => replies.push((ticket, reply)),
                Effect::Changed(change) => changes.push(change),
                effect => others.push(effect),
            }
        }
        self.inbox.reply(replies);
        others.into_iter().for_each(|effect| self.release_one(effect));
        if !changes.is_empty() {
            self.handle.announce_changes(changes);
        }
        self.metrics().inbox_depth(self.inbox.depth());
    }

    fn metrics(&self) -> &Metrics {
        self.handle.metrics()
    }

    fn release_one(&self, effect: Effect) {
        match effect {
            Effect::Reply { ticket, reply } => self.inbox.reply(vec![(ticket, reply)]),
            Effect::Subscribe(topic) => self.send(Command::Subscribe { topic }),
            Effect::Unsubscribe(topic) => self.send(Command::Unsubscribe { topic }),
            Effect::Publish { topic, payload } => {
                self.metrics().gossip_message(Traffic::Out);
                self.send(Command::Publish { topic, payload });
            }
            Effect::Verdict { token, verdict } => self.judge(token, verdict),
            Effect::Ask { peer, id, body } => {
                self.metrics().exchange_bytes(Traffic::Out, body.len() as u64);
                if let Err(error) = self.network.send(Command::Request { peer, id, body }) {
                    let answer = Err(error.to_string());
                    self.inbox.put(Input::Answered { peer, id, answer });
                }
            }
            Effect::Answer { peer, id, body } => {
                self.metrics().exchange_bytes(Traffic::Out, body.len() as u64);
                self.send(Command::Respond { peer, id, body });
            }
            Effect::Dial { target, peer, addresses } => self.dial(target, peer, &addresses),
            Effect::Disconnect { peer, reason } => {
                tracing::info!(event = "disconnect", %peer, reason, "closing the connections with a peer");
                self.send(Command::Disconnect { peer });
            }
            Effect::Block(peer) => self.send(Command::Block { peer }),
            Effect::Unblock(peer) => self.send(Command::Unblock { peer }),
            Effect::Changed(change) => self.handle.announce_changes(vec![change]),
            Effect::Offence { .. }
            | Effect::MemberChanged { .. }
            | Effect::Count { .. }
            | Effect::Note(_) => {
                tell(self.metrics(), &effect);
            }
        }
    }

    fn send(&self, command: Command) {
        if let Err(error) = self.network.send(command) {
            // Gossip and answers that are lost are repaired; the rest is asked for again by the core.
            tracing::warn!(event = "network_refused", %error, "the network took no more");
        }
    }

    fn judge(&self, token: MessageToken, verdict: Verdict) {
        let Some(message) = self.shared.names().messages.remove(&token.0) else { return };
        let verdict = match verdict {
            Verdict::Accept => network::Verdict::Accept,
            Verdict::Ignore => network::Verdict::Ignore,
            Verdict::Reject => network::Verdict::Reject,
        };
        self.send(Command::Verdict { message, verdict });
    }

    fn dial(&self, target: DialTarget, peer: Option<AuthorKey>, addresses: &[Address]) {
        let addresses: Vec<String> = addresses.iter().map(|address| address.as_str().to_owned()).collect();
        self.shared.names().dials.insert(addresses.clone(), target.clone());
        if self.network.send(Command::Dial { peer, addresses: addresses.clone() }).is_err() {
            self.shared.names().dials.remove(&addresses);
            self.inbox.put(Input::DialFailed { target });
        }
    }
}

/// Takes the network's events in.
pub(crate) struct Intake {
    pub(crate) shared: Shared,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) screening: Screening,
    pub(crate) metrics: Metrics,
    /// What is announced instead of the addresses listened on, if anything.
    pub(crate) advertise: Vec<String>,
    pub(crate) own: AuthorKey,
    pub(crate) connected: usize,
}

impl Intake {
    /// Takes one event, or gives it back when there is no room.
    pub(crate) fn take(&mut self, event: Event) -> Result<(), Box<Event>> {
        match &event {
            Event::Gossip { .. } | Event::Request { .. } | Event::Response { result: Ok(_), .. } => {
                self.check(event)
            }
            _ if !self.inbox.has_room() => Err(Box::new(event)),
            _ => {
                if let Some(input) = self.input(&event) {
                    self.inbox.put(input);
                }
                Ok(())
            }
        }
    }

    /// Queues an event that must be opened and checked first.
    fn check(&self, event: Event) -> Result<(), Box<Event>> {
        let mut number = 0;
        match &event {
            Event::Gossip { message, .. } => {
                self.metrics.gossip_message(Traffic::In);
                let mut names = self.shared.names();
                names.next_message += 1;
                number = names.next_message;
                names.messages.insert(number, message.clone());
            }
            Event::Request { body, .. } | Event::Response { result: Ok(body), .. } => {
                self.metrics.exchange_bytes(Traffic::In, body.len() as u64);
            }
            _ => {}
        }
        self.screening.queue(Raw { event, token: MessageToken(number) }).map_err(|raw| {
            self.shared.names().messages.remove(&number);
            Box::new(raw.event)
        })
    }

    /// What a small event means to the core; nothing when it only means something to the log.
    fn input(&mut self, event: &Event) -> Option<Input> {
        match event {
            Event::PeerUp { peer, address, inbound } => {
                self.connected += 1;
                self.metrics.peers_connected(self.connected);
                tracing::info!(event = "peer_up", %peer, address, inbound, "connected");
                let address = Address::new(address.clone()).ok()?;
                Some(Input::PeerUp { peer: *peer, address, inbound: *inbound })
            }
            Event::PeerDown { peer } => {
                self.connected = self.connected.saturating_sub(1);
                self.metrics.peers_connected(self.connected);
                tracing::info!(event = "peer_down", %peer, "disconnected");
                Some(Input::PeerDown { peer: *peer })
            }
            Event::Response { peer, id, result: Err(failure) } => {
                Some(Input::Answered { peer: *peer, id: *id, answer: Err(failure.to_string()) })
            }
            Event::Dialed { peer, addresses } => {
                let target = self.shared.names().dials.remove(addresses)?;
                Some(Input::Dialled { target, peer: *peer })
            }
            Event::DialFailed { addresses, reason, .. } => self.dial_failed(addresses, reason),
            Event::Discovered { peer, addresses, how } => {
                let source = match how {
                    Discovery::Mdns => AddressSource::LocalNetwork,
                    Discovery::Directory => AddressSource::Directory,
                    Discovery::Identify { .. } => AddressSource::Connection,
                };
                Some(Input::Discovered { peer: *peer, addresses: core_addresses(addresses), source })
            }
            Event::RoundTrip { peer, duration } => Some(Input::RoundTrip { peer: *peer, time: *duration }),
            Event::Listening { address } => {
                tracing::info!(event = "listening", address, "listening");
                self.shared.names().listening.push(address.clone());
                Some(self.announced())
            }
            Event::ListenEnded { address } => {
                tracing::warn!(event = "listen_ended", address, "no longer listening");
                self.shared.names().listening.retain(|held| held != address);
                Some(self.announced())
            }
            Event::ListenFailed { address, reason } => {
                tracing::warn!(event = "listen_failed", address, reason, "cannot listen there");
                None
            }
            Event::Offence { peer, offence } => match offence {
                network::Offence::OversizedFrame { .. } => Some(Input::Offence {
                    peer: *peer,
                    offence: Offence::OversizedFrame,
                    code: "oversized_frame",
                }),
                // It was disconnected already: it is merely something else than a Starling node.
                network::Offence::ForeignProtocol { protocol } => {
                    tracing::debug!(event = "foreign_protocol", %peer, protocol, "not a Starling node");
                    None
                }
            },
            Event::SlowPeer { peer, messages } => {
                tracing::debug!(event = "slow_peer", %peer, messages, "gossip to a slow peer was dropped");
                None
            }
            Event::Follows { .. }
            | Event::Unfollows { .. }
            | Event::Gossip { .. }
            | Event::Request { .. }
            | Event::Response { .. } => None,
        }
    }

    fn dial_failed(&self, addresses: &[String], reason: &DialFailure) -> Option<Input> {
        let target = self.shared.names().dials.remove(addresses)?;
        tracing::debug!(event = "dial_failed", ?addresses, %reason, "a dial failed");
        Some(match reason {
            DialFailure::ToSelf => Input::Dialled { target, peer: self.own },
            _ => Input::DialFailed { target },
        })
    }

    fn announced(&self) -> Input {
        let listening = self.shared.listening();
        let announced = if self.advertise.is_empty() { reachable(listening) } else { self.advertise.clone() };
        Input::Listening { addresses: core_addresses(&announced) }
    }
}

impl Shared {
    /// The addresses listened on, those that other hosts can reach first.
    pub(crate) fn listening(&self) -> Vec<String> {
        let mut listening = self.names().listening.clone();
        listening.sort_by_key(|address| is_loopback(address));
        listening
    }
}

fn is_loopback(address: &str) -> bool {
    address.starts_with("/ip4/127.") || address.starts_with("/ip6/::1/")
}

/// Without those that lead nobody here: loopback only where there is nothing else, link-local never,
/// since it means nothing without the asker's interface.
fn reachable(mut listening: Vec<String>) -> Vec<String> {
    listening.retain(|address| !address.starts_with("/ip6/fe80:"));
    if listening.iter().any(|address| !is_loopback(address)) {
        listening.retain(|address| !is_loopback(address));
    }
    listening
}

/// Those of the addresses that the core takes: none that a peer made too long or odd.
fn core_addresses(addresses: &[String]) -> Vec<Address> {
    addresses.iter().filter_map(|address| Address::new(address.clone()).ok()).collect()
}
