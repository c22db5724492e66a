//! Leaving a space: farewell, and what the node held of it removed.
//!
//! The space is gone with the commit of the request: nothing reads, serves or announces it any more.
//! Its rows follow page by page, so that a large space keeps no step long; a mark in the store makes a
//! node that stopped halfway go on.

use std::ops::Bound;

use super::core::Core;
use super::effect::{Effect, Refusal, Reply};
use super::step::Step;
use crate::id::SpaceId;
use crate::store::tables::{LEAVING_PREFIX, SpaceIndex, leaving_key};
use crate::store::{KeyRange, StoreError, StoreRead, Table, after_prefix};

/// Rows removed in one step. A row holds up to 1 MiB and is read before it goes.
const ROWS_REMOVED_MAX: usize = 64;

impl Core {
    /// Leaves a space. With `held`, only if the space is still what other nodes confirmed to hold.
    pub(super) fn leave_space(
        &mut self,
        step: &mut Step<'_>,
        id: SpaceId,
        held: Option<u64>,
    ) -> Result<Reply, Refusal> {
        let space = self.space(id)?;
        if held.is_some_and(|held| held != space.items.fingerprint()) {
            return Err(Refusal::HeldNowhereElse);
        }
        let (index, topic) = (space.index, space.topic);
        let is_member = space.charter.is_member(self.identity.key());
        let open = step.runs.keys().filter(|(space, _)| *space == id).cloned().collect::<Vec<_>>();
        for (space, document) in open {
            self.sign_run(step, space, &document)?;
        }
        step.touched.retain(|(space, _), _| *space != id);
        if is_member {
            self.speak(step, id, true);
        }
        step.effects.push(Effect::Unsubscribe(topic));
        step.transaction.remove(Table::Spaces, id.0.to_vec());
        step.transaction.put_bytes(Table::Meta, leaving_key(index), Vec::new());
        self.spaces.remove(&id);
        self.large.forget(index);
        self.screener.forget_space(topic);
        self.fetching.retain(|(space, _), _| *space != id);
        self.ripe.retain(|delta| delta.delta().space != id);
        self.leaving.insert(index);
        self.members_changed = true;
        Ok(Reply::Done)
    }

    /// Removes a page of what is left of spaces this node has left.
    pub(super) fn leave_tick(&mut self, step: &mut Step<'_>) -> Result<(), StoreError> {
        let Some(index) = self.leaving.first().copied() else { return Ok(()) };
        let mut room = ROWS_REMOVED_MAX;
        for table in Table::OF_SPACES {
            room -= remove_page(step, table, index, room)?;
            if room == 0 {
                return Ok(());
            }
        }
        step.transaction.remove(Table::Meta, leaving_key(index));
        self.leaving.remove(&index);
        Ok(())
    }
}

fn remove_page(
    step: &mut Step<'_>,
    table: Table,
    index: SpaceIndex,
    room: usize,
) -> Result<usize, StoreError> {
    let first = index.all();
    let past = after_prefix(&first);
    let end = past.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let rows = step.transaction.rows(table, KeyRange { start: Bound::Included(&first), end }, room)?;
    let count = rows.len();
    rows.into_iter().for_each(|(key, _)| step.transaction.remove(table, key));
    Ok(count)
}

/// The spaces that were left and of which rows remain.
///
/// # Errors
/// [`StoreError`] of the store.
pub(super) fn still_leaving(
    store: &dyn StoreRead,
) -> Result<std::collections::BTreeSet<SpaceIndex>, StoreError> {
    let mut leaving = std::collections::BTreeSet::new();
    crate::store::tables::walk_prefix(store, Table::Meta, LEAVING_PREFIX, |key, _| {
        let number = key.get(LEAVING_PREFIX.len()..).and_then(|number| number.try_into().ok());
        let number = number
            .ok_or_else(|| StoreError::Corrupt("the mark of a space that was left is malformed".into()))?;
        leaving.insert(SpaceIndex(u32::from_be_bytes(number)));
        Ok(())
    })?;
    Ok(leaving)
}
