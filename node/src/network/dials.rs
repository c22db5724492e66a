//! Dials under way, each from its command to its one event.
//!
//! A dial to a known peer tries all addresses at once. A dial to whoever is there tries them one by
//! one, so that one node reachable by TCP and QUIC is not connected twice.

use std::collections::{BTreeMap, VecDeque};

use libp2p::allow_block_list::Blocked;
use libp2p::connection_limits::Exceeded;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{ConnectionDenied, ConnectionId, DialError, Swarm};
use libp2p::{Multiaddr, PeerId};
use starling_crdt::id::AuthorKey;

use super::address::{self, AddressError};
use super::behaviour::Protocols;
use super::event::{DialFailure, Event};
use super::limits::{DIAL_ADDRESSES_MAX, DIALS_MAX};
use super::listen::explain;
use super::peer;

/// The dials under way by their connection.
#[derive(Default)]
pub(super) struct Dials {
    attempts: BTreeMap<ConnectionId, Attempt>,
}

struct Attempt {
    peer: Option<AuthorKey>,
    given: Vec<String>,
    /// What is still to be tried; for a known peer all that has not answered with a wrong key.
    ahead: VecDeque<Multiaddr>,
    /// One reason per address that failed.
    failures: Vec<String>,
    /// Who answered instead of the peer.
    wrong: Option<DialFailure>,
}

impl Attempt {
    fn failed(self, reason: DialFailure) -> Event {
        Event::DialFailed { peer: self.peer, addresses: self.given, reason }
    }
}

impl Dials {
    /// Begins a dial; the event is its failure if it ends at once.
    pub(super) fn begin(
        &mut self,
        swarm: &mut Swarm<Protocols>,
        peer: Option<AuthorKey>,
        given: Vec<String>,
    ) -> Option<Event> {
        let mut attempt = Attempt { peer, given, ahead: VecDeque::new(), failures: Vec::new(), wrong: None };
        if self.attempts.len() >= DIALS_MAX {
            return Some(attempt.failed(DialFailure::TooMany));
        }
        if let Err(reason) = read(&mut attempt) {
            return Some(attempt.failed(reason));
        }
        if attempt.peer.is_some() && attempt.peer == peer::author_key(swarm.local_peer_id()) {
            return Some(attempt.failed(DialFailure::ToSelf));
        }
        self.advance(swarm, attempt)
    }

    /// A dial led to a connection: the addresses it was given.
    pub(super) fn succeeded(&mut self, connection: ConnectionId) -> Option<Vec<String>> {
        self.attempts.remove(&connection).map(|attempt| attempt.given)
    }

    /// A dial's connection failed; the event says so unless other addresses are left.
    pub(super) fn failed(
        &mut self,
        swarm: &mut Swarm<Protocols>,
        connection: ConnectionId,
        error: DialError,
    ) -> Option<Event> {
        let mut attempt = self.attempts.remove(&connection)?;
        match judge(&mut attempt, swarm, error) {
            Some(reason) => Some(attempt.failed(reason)),
            None => self.advance(swarm, attempt),
        }
    }

    /// The failures of all dials under way, for the end.
    pub(super) fn abandon(&mut self) -> impl Iterator<Item = Event> + use<> {
        let attempts = std::mem::take(&mut self.attempts);
        attempts.into_values().map(|attempt| attempt.failed(DialFailure::Stopping))
    }

    fn advance(&mut self, swarm: &mut Swarm<Protocols>, mut attempt: Attempt) -> Option<Event> {
        loop {
            let Some(options) = next(&mut attempt) else {
                return Some(attempt.failed(DialFailure::NoAddress));
            };
            let connection = options.connection_id();
            let Err(error) = swarm.dial(options) else {
                self.attempts.insert(connection, attempt);
                return None;
            };
            if let Some(reason) = judge(&mut attempt, swarm, error) {
                return Some(attempt.failed(reason));
            }
        }
    }
}

/// Reads the addresses of a dial and settles whom they must lead to.
fn read(attempt: &mut Attempt) -> Result<(), DialFailure> {
    let mut bad: Option<AddressError> = None;
    for text in attempt.given.iter().take(DIAL_ADDRESSES_MAX) {
        match address::dialable(text) {
            Ok(targets) => {
                for target in targets {
                    if let Some(named) = target.peer
                        && *attempt.peer.get_or_insert(named) != named
                    {
                        return Err(DialFailure::SeveralPeers);
                    }
                    attempt.ahead.push_back(target.address);
                }
            }
            Err(error) => {
                attempt.failures.push(error.to_string());
                bad = bad.or(Some(error));
            }
        }
    }
    match bad {
        Some(error) if attempt.ahead.is_empty() => Err(DialFailure::BadAddress(error)),
        _ => Ok(()),
    }
}

/// What to dial next. A fresh local port each time: with the listening port, two nodes that dial
/// each other at the same moment would meet in one TCP connection that has two dialers, and a peer
/// that just went away could not be dialled again before its old connection has timed out.
fn next(attempt: &mut Attempt) -> Option<DialOpts> {
    match attempt.peer {
        Some(author) if !attempt.ahead.is_empty() => Some(
            DialOpts::peer_id(peer::peer_id(&author))
                .addresses(attempt.ahead.iter().cloned().collect())
                .allocate_new_port()
                .build(),
        ),
        Some(_) => None,
        None => {
            let address = attempt.ahead.pop_front()?;
            Some(DialOpts::unknown_peer_id().address(address).allocate_new_port().build())
        }
    }
}

/// Whether `error` ends the dial, and as what; none when other addresses are to be tried.
fn judge(attempt: &mut Attempt, swarm: &Swarm<Protocols>, error: DialError) -> Option<DialFailure> {
    match error {
        // The swarm strikes out the addresses that it listens on itself, and some were given.
        DialError::LocalPeerId { .. } | DialError::NoAddresses => Some(DialFailure::ToSelf),
        DialError::DialPeerConditionFalse(_) => {
            let connected = attempt.peer.is_some_and(|author| swarm.is_connected(&peer::peer_id(&author)));
            Some(if connected { DialFailure::AlreadyConnected } else { DialFailure::AlreadyDialing })
        }
        DialError::Aborted => Some(DialFailure::Unreachable(vec!["the dial was given up".to_owned()])),
        DialError::WrongPeerId { obtained, address } => wrong_peer(attempt, &obtained, &address),
        DialError::Denied { cause } => Some(denied(&cause)),
        DialError::Transport(errors) => {
            for (address, error) in errors {
                attempt.failures.push(format!("{address}: {}", explain(&error)));
            }
            let more = attempt.peer.is_none() && !attempt.ahead.is_empty();
            (!more).then(|| unreachable(attempt))
        }
    }
}

/// Someone else answered at `address`: the other addresses may still be right.
fn wrong_peer(attempt: &mut Attempt, obtained: &PeerId, address: &Multiaddr) -> Option<DialFailure> {
    let wrong = DialFailure::WrongPeer { found: peer::author_key(obtained) };
    attempt.failures.push(format!("{address}: {wrong}"));
    let answered = address::without_peer(address);
    let before = attempt.ahead.len();
    attempt.ahead.retain(|ahead| *ahead != answered);
    if attempt.ahead.is_empty() || attempt.ahead.len() == before {
        return Some(wrong);
    }
    attempt.wrong = Some(wrong);
    None
}

fn denied(cause: &ConnectionDenied) -> DialFailure {
    if cause.downcast_ref::<Blocked>().is_some() {
        return DialFailure::Blocked;
    }
    match cause.downcast_ref::<Exceeded>() {
        Some(exceeded) => DialFailure::Limit(exceeded.to_string()),
        None => DialFailure::Unreachable(vec![explain(cause)]),
    }
}

/// That someone else answered tells more than that the remaining addresses did not.
fn unreachable(attempt: &mut Attempt) -> DialFailure {
    let failures = std::mem::take(&mut attempt.failures);
    attempt.wrong.take().unwrap_or(DialFailure::Unreachable(failures))
}
