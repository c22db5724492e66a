//! Differences of lists and texts, carried over from what the client read to the present.

use std::collections::BTreeMap;

use automerge::ObjId;
use automerge::transaction::Transactable;

use super::{Slot, Writer, Written, bridge};
use crate::document::diff::{self, Hunk};
use crate::document::index::Index;
use crate::document::json::Json;
use crate::limits::SEQUENCE_DIFF_EDITS_MAX;

/// Where the elements that the client read are now; absent for those deleted since.
struct Places(Vec<Option<usize>>);

impl Places {
    fn unchanged(length: usize) -> Self {
        Self((0..length).map(Some).collect())
    }

    /// Follows elements by the operations that inserted them. Elements keep their order for ever.
    fn follow(index: &Index, read: &[ObjId], now: &[ObjId]) -> Self {
        let element = |id: &ObjId| index.element(bridge::op_id(id)?);
        let places = now.iter().enumerate().filter_map(|(place, id)| Some((element(id)?, place)));
        let places: BTreeMap<_, _> = places.collect();
        Self(read.iter().map(|id| places.get(&element(id)?).copied()).collect())
    }

    /// Where something goes that follows the first `count` elements the client read.
    fn after(&self, count: usize) -> usize {
        self.0[..count].iter().rev().find_map(|place| *place).map_or(0, |place| place + 1)
    }
}

impl Writer<'_, '_> {
    pub(super) fn change_list(&mut self, list: &ObjId, wanted: &[Json]) -> Written {
        let read = self.base_view().elements(list)?;
        let values: Vec<Json> =
            read.iter().map(|entry| self.base_view().json(&entry.node)).collect::<Result<_, _>>()?;
        let hunks = diff::hunks(&values, wanted, SEQUENCE_DIFF_EDITS_MAX);
        let places = match self.base {
            _ if hunks.is_empty() => return Ok(()),
            None => Places::unchanged(read.len()),
            Some(_) => {
                let ids: Vec<ObjId> = read.iter().map(|entry| entry.values[0].1.clone()).collect();
                Places::follow(self.index, &ids, &self.view().ids(list))
            }
        };
        // From the end to the start, so that places further left stay what they are.
        for Hunk { old, new } in hunks.into_iter().rev() {
            let kept = old.len().min(new.len());
            for gone in (old.start + kept..old.end).rev() {
                if let Some(position) = places.0[gone] {
                    let now = self.view().element(list, position)?;
                    let slot = Slot::Element { list: list.clone(), position };
                    self.remove_unless_newer(&slot, Some(&read[gone]), now.as_ref())?;
                }
            }
            let position = places.after(old.start + kept);
            for (offset, value) in wanted[new.start + kept..new.end].iter().enumerate() {
                self.insert(list, position + offset, value)?;
            }
            for offset in (0..kept).rev() {
                let (place, value) = (old.start + offset, &wanted[new.start + offset]);
                match places.0[place] {
                    None => self.insert(list, places.after(place), value)?,
                    Some(position) => {
                        let now = self.view().element(list, position)?;
                        let slot = Slot::Element { list: list.clone(), position };
                        self.change(&slot, Some(&read[place]), now.as_ref(), value)?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn change_text(&mut self, text: &ObjId, wanted: &str) -> Written {
        let read: Vec<char> = self.base_view().text(text)?.chars().collect();
        let wanted: Vec<char> = wanted.chars().collect();
        let hunks = diff::hunks(&read, &wanted, SEQUENCE_DIFF_EDITS_MAX);
        let places = match self.base {
            _ if hunks.is_empty() => return Ok(()),
            None => Places::unchanged(read.len()),
            Some(_) => Places::follow(self.index, &self.base_view().ids(text), &self.view().ids(text)),
        };
        for Hunk { old, new } in hunks.into_iter().rev() {
            let inserted: String = wanted[new].iter().collect();
            self.charge_bytes(inserted.len(), inserted.chars().count() + old.len())?;
            for run in runs(&places.0[old.clone()]).into_iter().rev() {
                let count = isize::try_from(run.len()).unwrap_or(isize::MAX);
                self.tx.splice_text(text, run.start, count, "")?;
            }
            if !inserted.is_empty() {
                self.tx.splice_text(text, places.after(old.start), 0, &inserted)?;
            }
        }
        Ok(())
    }
}

/// The places that are still there, as runs of neighbours.
fn runs(places: &[Option<usize>]) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for place in places.iter().flatten() {
        match runs.last_mut() {
            Some(run) if run.end == *place => run.end += 1,
            _ => runs.push(*place..place + 1),
        }
    }
    runs
}
