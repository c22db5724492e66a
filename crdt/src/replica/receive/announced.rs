//! Announcements of deltas too large for gossip.
//!
//! An announcement carries the delta's own signature, so it travels on under the rules of a delta:
//! only when its author made it and may write the document, and only where it is news. Whoever merely
//! holds the space's key can neither make one up nor have an old one spread again.

use super::NOT_ALLOWED;
use crate::budget::Offence;
use crate::delta::VerifiedAnnouncement;
use crate::gossip::{Refused, ScreenedAnnouncement};
use crate::history::ItemKey;
use crate::id::{AuthorKey, SpaceId};
use crate::replica::core::Core;
use crate::replica::effect::Verdict;
use crate::replica::step::Step;
use crate::store::StoreError;

impl Core {
    /// Judges an announcement, and asks its bringer soon for what it announces.
    pub(super) fn take_announcement(
        &mut self,
        step: &mut Step<'_>,
        space: SpaceId,
        from: AuthorKey,
        announced: ScreenedAnnouncement,
    ) -> Result<Verdict, StoreError> {
        let (verified, brought) = match announced {
            ScreenedAnnouncement::Verified(verified, brought) => (verified, brought),
            ScreenedAnnouncement::Unverified(announced) => {
                let Some(known) = self.stored_incarnation(step, space, announced.actor)? else {
                    self.repair_soon(step.now.monotonic, from);
                    return Ok(Verdict::Ignore);
                };
                match VerifiedAnnouncement::verify(announced, space, &known) {
                    Ok(verified) => (verified, None),
                    Err(fault) => return Ok(self.refuse_frame(step, from, &Refused::Announcement(fault))),
                }
            }
        };
        let announced = verified.announcement();
        let key = ItemKey::of(&announced.document, announced.actor);
        let held = self.spaces.get(&space).and_then(|space| space.items.item(key));
        if held.is_some_and(|item| item.tip.seq >= announced.seq) || self.fullness(space).is_some() {
            return Ok(Verdict::Ignore);
        }
        let verdict = match self.writer(step, space, announced.actor, brought.as_ref())? {
            Ok(writer) if writer.may_write(&announced.document) => Verdict::Accept,
            Ok(_) => {
                self.refuse(step, from, Some(Offence::NotAllowed), NOT_ALLOWED);
                return Ok(Verdict::Reject);
            }
            // Its author's right is not known here yet.
            Err(_) => Verdict::Ignore,
        };
        if let Some(brought) = brought {
            self.screener.learn_incarnation(brought);
        }
        self.repair_soon(step.now.monotonic, from);
        Ok(verdict)
    }
}
