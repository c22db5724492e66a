//! What two nodes compare first: greetings, and the statements of their charters.

use std::collections::BTreeMap;

use rand_chacha::rand_core::Rng;

use super::standoff::Holdings;
use super::{Pull, REPAIR_LATER, Task};
use crate::budget::Offence;
use crate::charter::VerifiedStatement;
use crate::exchange::{Greeting, Reconciliation};
use crate::gossip::{ScreenedStatement, statement_offence};
use crate::id::{AuthorKey, SpaceId};
use crate::jitter::between;
use crate::replica::core::Core;
use crate::replica::effect::Note;
use crate::replica::statements::StatementFault;
use crate::replica::step::Step;
use crate::time::Moment;

impl Core {
    pub(super) fn take_greetings(&mut self, step: &mut Step<'_>, key: AuthorKey, greetings: &[Greeting]) {
        let own = self.identity.key();
        let theirs: BTreeMap<SpaceId, Greeting> = greetings
            .iter()
            .take(self.spaces.len())
            .filter_map(|greeting| Some((self.greeted_space(key, own, greeting.tag)?, *greeting)))
            .collect();
        theirs.keys().for_each(|space| self.greeted(step, *space, key));
        self.plan_statements(key, &theirs);
        self.plan_comparisons(step.now.monotonic, key, &theirs);
    }

    /// Plans to ask for the statements of common spaces that differ, and to show a peer that it is a member.
    fn plan_statements(&mut self, key: AuthorKey, theirs: &BTreeMap<SpaceId, Greeting>) {
        let own = self.identity.key();
        let Some(peer) = self.peers.get_mut(&key) else { return };
        for space in self.spaces.values() {
            match theirs.get(&space.id) {
                Some(greeting) if greeting.statements != space.charter.fingerprint() => {
                    let pull = Pull::new(&space.charter);
                    peer.tasks.push_back(Task::Statements { space: space.id, pull });
                }
                // The peer may not know yet that this node is a member: show it, once, and greet anew.
                None if space.charter.is_member(key)
                    && space.charter.is_member(own)
                    && peer.pushed.insert(space.id) =>
                {
                    let ids = space.charter.statements().map(VerifiedStatement::id).collect();
                    peer.tasks.push_back(Task::Push { space: space.id, ids });
                    peer.tasks.push_back(Task::Hello);
                }
                Some(_) | None => {}
            }
        }
    }

    /// Plans to compare the items of common spaces that differ, where that may bring something.
    fn plan_comparisons(&mut self, now: Moment, key: AuthorKey, theirs: &BTreeMap<SpaceId, Greeting>) {
        let (mut tasks, mut equal) = (Vec::new(), Vec::new());
        for (id, greeting) in theirs {
            let Some(space) = self.spaces.get(id) else { continue };
            let holdings = Holdings { mine: space.items.fingerprint(), theirs: greeting.items };
            if holdings.mine == holdings.theirs {
                equal.push(*id);
            } else if !self.is_standoff(now, key, *id, greeting.items) {
                let run = Box::new(Reconciliation::new(&space.items, self.rng.next_u64()));
                tasks.push(Task::Reconcile { space: *id, holdings, run });
            }
        }
        let own = self.identity.key();
        let Some(peer) = self.peers.get_mut(&key) else { return };
        for space in equal {
            peer.standoffs.remove(&space);
        }
        // Both sides greet when a connection comes up: only one then compares everything.
        if !peer.greeting || own < key {
            peer.tasks.extend(tasks);
        } else if !tasks.is_empty() {
            let due = now + between(&mut self.rng, REPAIR_LATER.1, REPAIR_LATER.1 * 2);
            peer.due = peer.due.min(due);
        }
    }

    /// Takes statements of a peer.
    pub(in crate::replica) fn take_statements(
        &mut self,
        step: &mut Step<'_>,
        space: SpaceId,
        from: AuthorKey,
        statements: Vec<ScreenedStatement>,
    ) {
        for statement in statements {
            match statement {
                Ok(statement) if statement.space == space => {
                    step.brought_by.insert(from);
                    if let Err(StatementFault::Store(error)) = self.insert_statement(step, space, statement) {
                        step.note(Note::StoreFault { error });
                    }
                }
                Ok(_) => self.refuse(step, from, Some(Offence::Garbage), "foreign_space"),
                Err(error) => self.refuse(step, from, statement_offence(&error), error.code()),
            }
        }
    }
}
