//! What a peer may use, and what misbehaviour costs it.
//!
//! Promises: what one peer asks for is bounded per second, so it cannot crowd out others; offences
//! add up per author and fade with time; the answer to them grows from ignoring to disconnecting to
//! blocking; a peer that is merely newer, or knows less than we do, is never scored. The number of
//! peers and authors remembered is bounded.
//!
//! Leaves out: charging of stored bytes to authors, which admission does.

mod bucket;
mod offence;

use std::collections::BTreeMap;
use std::time::Duration;

use bucket::Bucket;
pub use bucket::Rate;
pub use offence::{Offence, OffenceAction};

use crate::id::AuthorKey;
use crate::limits::PEERS_MEASURED_MAX;
use crate::time::Moment;

/// Requests a peer may make: a repair of a large difference takes a few dozen round trips.
pub const REQUESTS: Rate = Rate { per_second: 50, burst: 200 };
/// Bytes served to a peer: a joining node may fetch a whole space at the speed of a gigabit link's
/// half, without taking all of it.
pub const BYTES_SERVED: Rate = Rate { per_second: 64 * 1024 * 1024, burst: 256 * 1024 * 1024 };
/// Joins a peer may ask to be witnessed: each costs four signature checks and a durable commit.
pub const JOINS: Rate = Rate { per_second: 1, burst: 10 };

/// Requests refused to a peer for being over its share, before more of them count as a flood. An honest
/// node asks again at once only to learn what others confirm: for each of the 256 local requests that may
/// wait for that, ten times a second.
pub const REFUSALS: Rate = Rate { per_second: 4_000, burst: 16_000 };

/// What a peer uses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Usage {
    /// One request.
    Request,
    /// One request that was refused, because its share is used up.
    Refusal,
    /// This many bytes sent to it.
    BytesServed(u64),
    /// One join to witness.
    Join,
}

/// The peer used up its share for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("over its share: try again after {} ms", retry_after.as_millis())]
pub struct OverBudget {
    /// When there will be room again.
    pub retry_after: Duration,
}

/// Standing of one peer and author.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Points of offences that have not faded, in thousandths.
    pub score: u64,
    /// Offences ever seen, while remembered.
    pub offences: u64,
    /// Times blocked, while remembered.
    pub blocks: u32,
}

#[derive(Debug, Clone)]
struct Account {
    requests: Bucket,
    refusals: Bucket,
    bytes_served: Bucket,
    joins: Bucket,
    record: offence::Record,
    touched: Moment,
}

/// Measures what peers use and what authors did wrong.
#[derive(Debug, Default)]
pub struct Budget {
    accounts: BTreeMap<AuthorKey, Account>,
}

impl Budget {
    /// Nobody measured yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Charges `peer`.
    ///
    /// # Errors
    /// [`OverBudget`] when its share is used up: nothing is charged, and nothing should be done.
    pub fn charge(&mut self, now: Moment, peer: AuthorKey, usage: Usage) -> Result<(), OverBudget> {
        let account = self.account(now, peer);
        let taken = match usage {
            Usage::Request => account.requests.take(now, REQUESTS, 1),
            Usage::Refusal => account.refusals.take(now, REFUSALS, 1),
            Usage::BytesServed(bytes) => account.bytes_served.take(now, BYTES_SERVED, bytes),
            Usage::Join => account.joins.take(now, JOINS, 1),
        };
        taken.map_err(|retry_after| OverBudget { retry_after })
    }

    /// Notes what `author` did wrong, and says what to do about it.
    pub fn offend(&mut self, now: Moment, author: AuthorKey, offence: Offence) -> OffenceAction {
        self.account(now, author).record.add(now, offence)
    }

    /// Standing of `author`, if remembered.
    pub fn standing(&self, now: Moment, author: AuthorKey) -> Option<Standing> {
        self.accounts.get(&author).map(|account| account.record.standing(now))
    }

    /// Everyone with offences remembered, ordered by key.
    pub fn offenders(&self, now: Moment) -> impl Iterator<Item = (AuthorKey, Standing)> + '_ {
        let standings = self.accounts.iter().map(move |(a, account)| (*a, account.record.standing(now)));
        standings.filter(|(_, standing)| standing.offences > 0)
    }

    /// Number of peers and authors remembered.
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Whether nobody is remembered.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Finds or opens an account. At the bound the one with the lowest score, then the longest
    /// untouched is forgotten: an offender stays remembered longer than a stranger.
    fn account(&mut self, now: Moment, peer: AuthorKey) -> &mut Account {
        if self.accounts.len() >= PEERS_MEASURED_MAX && !self.accounts.contains_key(&peer) {
            let notable = |account: &Account| (account.record.standing(now).score, account.touched);
            let least = self.accounts.iter().min_by_key(|(_, account)| notable(account));
            if let Some(least) = least.map(|(peer, _)| *peer) {
                self.accounts.remove(&least);
            }
        }
        let account = self.accounts.entry(peer).or_insert_with(|| Account {
            requests: Bucket::full(now, REQUESTS),
            refusals: Bucket::full(now, REFUSALS),
            bytes_served: Bucket::full(now, BYTES_SERVED),
            joins: Bucket::full(now, JOINS),
            record: offence::Record::default(),
            touched: now,
        });
        account.touched = now;
        account
    }
}

#[cfg(test)]
mod tests;
