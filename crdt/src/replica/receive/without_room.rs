//! What comes for a space that has no room left: nothing of it is kept but proofs of forks.
//!
//! A second change with a number that is known here says something of its author that nobody must miss, and it
//! may be the one node that can tell. Proofs are bounded in bytes, so that equivocators cannot fill the disk.

use super::Taken;
use crate::delta::VerifiedDelta;
use crate::history::{ItemKey, Misfit};
use crate::id::AuthorKey;
use crate::replica::core::Core;
use crate::replica::effect::Counted;
use crate::replica::step::Step;
use crate::store::StoreError;

impl Core {
    /// Judges a delta of which nothing can be admitted.
    pub(super) fn judge_without_room(
        &mut self,
        step: &mut Step<'_>,
        from: AuthorKey,
        delta: &VerifiedDelta,
    ) -> Result<Taken, StoreError> {
        if self.meets_history(delta) {
            let (space, document) = (delta.delta().space, &delta.delta().document);
            self.load_history(step, space, document)?;
            let Ok(history) = self.loaded_history(space, document) else { return Ok(Taken::Unknown) };
            let known = delta.chunks().iter().take_while(|chunk| history.contains(&chunk.hash)).count();
            let next = delta.chunks().get(known).map(|chunk| history.check(chunk));
            match next {
                None => return Ok(Taken::Whole),
                Some(Ok(()) | Err(Misfit::Missing(_))) => {}
                Some(Err(misfit)) => return self.misfit(step, from, delta, known > 0, misfit),
            }
        }
        step.count(Counted::Refused("space_full"), 1);
        Ok(Taken::NoRoom)
    }

    /// Whether any change of the delta has a number that its actor used here, or the next one. What begins further
    /// up contradicts nothing.
    fn meets_history(&self, delta: &VerifiedDelta) -> bool {
        let sent = delta.delta();
        let held = self.spaces.get(&sent.space);
        let item = held.and_then(|space| space.items.item(ItemKey::of(&sent.document, sent.actor)));
        item.is_some_and(|item| sent.first_seq <= item.tip.seq.saturating_add(1))
    }
}
