//! The replica: the state machine of one node. Inputs in, effects out, one step = one transaction.
//!
//! Promises: a step handles its inputs in order inside one store transaction, commits with one
//! durable sync, and only then hands out effects, so nothing leaves the process before what it says
//! is durable. After a commit of which nobody knows whether it happened, memory is read from the
//! store again and the next local write starts a new incarnation. Time, randomness and nonces are
//! arguments; equal inputs give equal effects.
//!
//! Leaves out sockets, threads and the verification of signatures on what arrives, which
//! [`Screener`] does before the step, on any thread.

mod check;
mod compact;
mod compare;
mod core;
mod effect;
mod gather;
mod input;
mod leave;
mod peers;
mod quarantine;
mod receive;
mod repair;
mod report;
mod request;
mod serve;
mod sign;
mod space;
mod statements;
mod step;
mod tick;
mod wait;
mod write;

use std::sync::Arc;

pub use core::NonceSource;
pub use effect::*;
pub use input::*;

use self::core::Core;
use self::step::Step;
use crate::address::Address;
use crate::charter::Label;
use crate::gossip::Screener;
use crate::id::AuthorKey;
use crate::identity::Identity;
use crate::planted::is_planted;
use crate::store::tables::{META_KEY, MetaRecord};
use crate::store::{Store, StoreError, StoreRead, Table, WriteBatch};
use crate::time::{Moment, Now};

/// What a replica says about itself, and where it starts to look for others.
#[derive(Clone, Debug)]
pub struct Options {
    /// What this node calls itself.
    pub name: Label,
    /// Version of the software.
    pub version: Label,
    /// Addresses the operator gave, dialled for ever.
    pub seeds: Vec<Address>,
    /// Bytes of changes kept of each space; absent for no bound. A step that reaches it is still taken whole.
    pub space_bytes_max: Option<u64>,
}

/// Memory a replica holds beside its store, in bytes, as far as it is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// Deltas that wait for something.
    pub orphans: usize,
    /// Indexes of documents' histories.
    pub histories: usize,
    /// Built documents.
    pub views: usize,
}

/// One node's state machine over its store.
pub struct Replica<S: Store> {
    store: S,
    core: Core,
    /// Set when memory may disagree with the store: nothing is done before it was read again.
    stale: bool,
    /// Set when memory was read again late: the topics to follow are told once more.
    reloaded: bool,
    /// Set from a failed commit to the next one that succeeds: what the store shows may not be durable.
    doubted: bool,
}

impl<S: Store> Replica<S> {
    /// Opens the replica on what its store holds. `seed` feeds its generator; `nonces` gives
    /// incarnation nonces, which must come from the operating system.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read or holds what this node cannot have written.
    pub fn open(
        store: S,
        identity: Identity,
        options: Options,
        seed: [u8; 32],
        nonces: NonceSource,
        now: Now,
    ) -> Result<Self, StoreError> {
        let seeds = options.seeds.clone();
        let mut core = Core::new(&store, identity, options, seed, nonces, now)?;
        core.add_seeds(seeds);
        Ok(Self { store, core, stale: false, reloaded: false, doubted: false })
    }

    /// What the shell must do once after opening: topics to follow, peers to refuse.
    pub fn standing_effects(&self) -> Vec<Effect> {
        self.core.standing_effects()
    }

    /// Makes sure that memory agrees with the store, after a commit of which nobody knew whether it
    /// happened. Called before inputs are taken out of a queue, it keeps a step from failing with them.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read: try again later.
    pub fn ready(&mut self, now: Now) -> Result<(), StoreError> {
        if self.stale {
            self.core.load_store(&self.store, now)?;
            self.stale = false;
            self.reloaded = true;
        }
        Ok(())
    }

    /// Handles `inputs` in order and whatever is due, commits, and returns the effects. Increments of one
    /// counter among them become one change.
    ///
    /// Rows that cannot be read fail only the input that needed them.
    ///
    /// # Errors
    /// [`StoreError`] when memory cannot be brought back in line with the store: no input was
    /// handled, and the caller may try the step again with inputs it repeats. A failed commit is no
    /// such error: its effects are the refusals of what could not be made durable.
    pub fn step(&mut self, now: Now, inputs: Vec<Input>) -> Result<Vec<Effect>, StoreError> {
        self.run(now, |core, step| {
            for work in gather::gathered(inputs) {
                core.work(step, work);
            }
            if let Err(error) = core.tick(step) {
                step.note(Note::StoreFault { error });
            }
        })
    }

    /// Says farewell in every space: for a node that stops on purpose.
    ///
    /// # Errors
    /// [`StoreError`] as for [`Replica::step`].
    pub fn leave(&mut self, now: Now) -> Result<Vec<Effect>, StoreError> {
        self.run(now, Core::leave)
    }

    fn run(
        &mut self,
        now: Now,
        work: impl FnOnce(&mut Core, &mut Step<'_>),
    ) -> Result<Vec<Effect>, StoreError> {
        if self.stale && is_planted("never-recover") {
            return Err(StoreError::Io("given up".into()));
        }
        self.ready(now)?;
        // A space made by a step whose commit was in doubt may be durable after all.
        let reloaded =
            if std::mem::take(&mut self.reloaded) { self.core.topics_followed() } else { Vec::new() };
        self.core.now = now.monotonic;
        let commit = self.core.last_commit() + 1;
        let mut step = Step::new(now, commit, &self.store);
        step.effects = reloaded;
        work(&mut self.core, &mut step);
        let finished = self.core.finish(&mut step);
        let Step { mut transaction, effects, brought_by, .. } = step;
        if !transaction.is_empty() {
            let checked = self.core.unchecked.checked(commit);
            let meta = MetaRecord { commit, arrival: self.core.arrival, checked };
            transaction.put(Table::Meta, META_KEY.to_vec(), &meta);
        }
        let batch = transaction.into_batch();
        let failure = match finished {
            Ok(()) if batch.is_empty() && !self.needs_a_sound_store(&effects) => {
                self.core.trim();
                return Ok(effects);
            }
            Ok(()) => self.store.commit(&batch).err(),
            Err(refusal) => {
                // The next step finds another handle, if the disk gives one.
                self.doubted |= self.store.commit(&WriteBatch::default()).is_err();
                match refusal {
                    Refusal::Store(error) => Some(error),
                    refusal => Some(StoreError::Corrupt(refusal.to_string())),
                }
            }
        };
        match failure {
            None => {
                self.doubted = false;
                if batch.is_empty() {
                    self.core.trim();
                } else {
                    self.core.committed(commit);
                }
                Ok(effects)
            }
            Some(_) if is_planted("announce-before-persist") => {
                self.stale = self.core.load_store(&self.store, now).is_err();
                Ok(effects)
            }
            Some(error) => {
                self.core.lose(brought_by);
                Ok(self.fail(now, effects, &error))
            }
        }
    }

    /// Whether a step that changed nothing has to commit all the same, which gives the store a new handle
    /// where the old one is broken. After a read that failed, or nothing could be read until a restart; and
    /// before a write is called done that was found done, while what the store shows may not be durable.
    fn needs_a_sound_store(&self, effects: &[Effect]) -> bool {
        effects.iter().any(|effect| match effect {
            Effect::Note(Note::StoreFault { .. }) | Effect::Reply { reply: Err(Refusal::Store(_)), .. } => {
                true
            }
            Effect::Reply { reply: Ok(Reply::Written(_)), .. } => self.doubted,
            _ => false,
        })
    }

    /// Turns the effects of a step that is not durable into refusals, and reads the store again.
    fn fail(&mut self, now: Now, effects: Vec<Effect>, error: &StoreError) -> Vec<Effect> {
        self.doubted = true;
        if !is_planted("write-on-after-failed-commit") {
            self.stale = self.core.load_store(&self.store, now).is_err();
        }
        if is_planted("never-recover") {
            self.stale = true;
        }
        self.core.tell_again(now.monotonic);
        for effect in &effects {
            if let Effect::Ask { peer, id, .. } = effect {
                self.core.question_lost(now.monotonic, *peer, *id);
            }
        }
        self.core.ask_after_rest(now.monotonic);
        let mut left: Vec<Effect> =
            effects.into_iter().filter_map(|effect| unless_durable(effect, error)).collect();
        if !self.stale {
            // A space made in the step may be durable after all.
            left.extend(self.core.topics_followed());
        }
        left.push(Effect::Note(Note::StoreFault { error: error.clone() }));
        left
    }

    /// When the next step is due although nothing arrives.
    pub fn next_wakeup(&self) -> Moment {
        self.core.next_wakeup()
    }

    /// Memory this replica holds beside its store, in bytes.
    pub fn memory(&self) -> Memory {
        Memory {
            orphans: self.core.orphans.bytes(),
            histories: self.core.histories.bytes(),
            views: self.core.views.bytes(),
        }
    }

    /// Bounds the memory for documents that the writer keeps built, in bytes, which is half of
    /// [`crate::limits::DOCUMENTS_BYTES_MAX`] unless said.
    pub fn bound_documents(&mut self, bytes_max: usize) {
        self.core.views.set_bytes_max(bytes_max);
    }

    /// Documents that exist and changes held, in all spaces together.
    pub fn held(&self) -> (u64, u64) {
        self.core.spaces.values().fold((0, 0), |(documents, changes), space| {
            (documents + space.documents, changes + space.changes)
        })
    }

    /// This node's key.
    pub fn key(&self) -> AuthorKey {
        self.core.identity.key()
    }

    /// Checks what arrives, on any thread.
    pub fn screener(&self) -> Screener {
        self.core.screener.clone()
    }

    /// Reads beside the writer.
    pub fn store_reader(&self) -> Arc<dyn StoreRead> {
        self.store.reader()
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }
}

/// What remains of an effect when the step it belongs to is not durable.
fn unless_durable(effect: Effect, error: &StoreError) -> Option<Effect> {
    match effect {
        Effect::Reply { ticket, reply: Ok(_) } => {
            Some(Effect::Reply { ticket, reply: Err(Refusal::Store(error.clone())) })
        }
        Effect::Verdict { token, .. } => Some(Effect::Verdict { token, verdict: Verdict::Ignore }),
        // A question may carry what this step made.
        Effect::Publish { .. }
        | Effect::Ask { .. }
        | Effect::Answer { .. }
        | Effect::Changed(_)
        | Effect::Subscribe(_)
        | Effect::Unsubscribe(_)
        | Effect::Note(Note::Joined { .. })
        | Effect::Count { .. } => None,
        other => Some(other),
    }
}
