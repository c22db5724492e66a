//! Documents brought up to date with their history, and changes that cannot be applied put out of them.

use std::collections::BTreeMap;

use super::core::Core;
use super::effect::{Counted, Note, Refusal};
use super::step::{Step, Touch};
use crate::document::{Poison, PoisonReason};
use crate::id::{ChangeHash, DocumentName, SpaceId};
use crate::store::tables::{QuarantineRecord, document_record};
use crate::store::{StoreError, StoreRead, Table};
use crate::view::BuiltView;

impl Core {
    /// Puts changes that cannot be applied, and what rests on them, out of the view.
    pub(super) fn quarantine(
        &mut self,
        step: &mut Step<'_>,
        space_id: SpaceId,
        document: &DocumentName,
        poison: &[Poison],
    ) -> Result<(), Refusal> {
        self.load_history(step, space_id, document)?;
        // The view will be built anew from what is stored, so the own open run must be.
        self.sign_run(step, space_id, document)?;
        let index = self.space(space_id)?.index;
        let reasons: BTreeMap<ChangeHash, PoisonReason> =
            poison.iter().map(|poison| (poison.hash, poison.reason)).collect();
        let history = self.loaded_history(space_id, document)?;
        for hash in history.exclude(reasons.keys().copied()) {
            let since = Some(step.now.wall);
            let row = match reasons.get(&hash) {
                Some(PoisonReason::Dependency(_)) | None => QuarantineRecord::of_what_rests(since),
                Some(reason) => {
                    QuarantineRecord { reason: reason.to_string(), code: Some(reason.code().into()), since }
                }
            };
            step.transaction.put(Table::Quarantine, index.quarantined(document, hash), &row);
            step.count(Counted::Quarantined, 1);
            step.note(Note::Quarantined {
                space: space_id,
                document: document.clone(),
                change: hash,
                reason: row.reason,
            });
            let touch = self.last_touch(step, space_id, document)?;
            step.touch(space_id, document, touch);
        }
        // An own change may be among them: this process then goes on as another actor, since its
        // next change could not rest on its last one.
        if let Some(space) = self.spaces.get_mut(&space_id) {
            space.own = None;
        }
        Ok(())
    }

    fn last_touch(&self, step: &Step<'_>, space: SpaceId, document: &DocumentName) -> Result<Touch, Refusal> {
        let own = Touch { author: self.identity.key(), time: step.now.wall };
        if let Some(touch) = step.touched.get(&(space, document.clone())) {
            return Ok(*touch);
        }
        let key = self.space(space)?.index.document(document.as_str());
        let Some(value) = step.transaction.value(Table::Documents, &key)? else {
            return Ok(own);
        };
        let known = document_record(document, &value);
        Ok(known.map_or(own, |known| Touch { author: known.author, time: known.time }))
    }

    /// Brings history and built document of a name into memory, up to date with this step.
    pub(super) fn load(
        &mut self,
        step: &mut Step<'_>,
        space: SpaceId,
        document: &DocumentName,
    ) -> Result<(), Refusal> {
        self.load_history(step, space, document)?;
        // A poisonous change makes the view differ from what history shows; once it is excluded a
        // second pass agrees. More than a few passes would mean that building is not a function.
        for _ in 0..4 {
            let poison = self.refresh_view(step, space, document)?;
            if poison.is_empty() {
                let built = self.document_key(space, document)?;
                self.unchecked.built(&built);
                return Ok(());
            }
            self.quarantine(step, space, document, &poison)?;
        }
        Err(Refusal::Internal)
    }

    fn refresh_view(
        &mut self,
        step: &Step<'_>,
        space: SpaceId,
        document: &DocumentName,
    ) -> Result<Vec<Poison>, StoreError> {
        let Some(held) = self.spaces.get(&space) else { return Ok(Vec::new()) };
        let key = (held.index, document.clone());
        let heads = self.histories.touch(&key).map(|history| history.view_heads());
        if self.views.touch(&key).is_none() {
            self.views.insert(key.clone(), BuiltView::empty(), 0);
        }
        let Some(view) = self.views.touch(&key) else { return Ok(Vec::new()) };
        let poison = if heads == Some(view.document().heads()) {
            Vec::new()
        } else {
            view.refresh(&step.transaction, held.index, document)?
        };
        self.large.note(&key, view.document());
        let bytes = view.approximate_bytes();
        self.views.resize(&key, bytes);
        Ok(poison)
    }
}
