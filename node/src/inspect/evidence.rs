//! What is kept out of documents, and proven forks.

use starling_api::{
    Code,
    evidence::{ForkItem, ForkSide, ForksPage, ForksQuery, QuarantineItem, QuarantinePage, QuarantineQuery},
};
use starling_crdt::{
    document::{PastChange, PoisonReason},
    id::DocumentName,
    time::WallTime,
    view::{ForkPlace, KeptFork, KeptOut},
};

use super::{
    Inspected, Inspector, PAGE_BYTES_MAX, PAGE_DOCUMENTS_MAX, PAGE_ITEMS_MAX, moment, problem, unread,
};

/// The word for a change that is not at fault itself.
const RESTS: &str = "rests-on-quarantined";
/// The word for a change of which a repair of the store lost the reason.
const LOST: &str = "reason-lost";
/// Between the parts of a cursor through forks: document, actor and number. No name holds it.
const CURSOR_SEPARATOR: char = '\n';

impl Inspector<'_> {
    /// One page of what is kept out of documents.
    ///
    /// # Errors
    /// A problem of the store, or of the names in the query.
    pub fn quarantine(&mut self, query: &QuarantineQuery) -> Inspected<QuarantinePage> {
        let doc = query.doc.as_deref().map(name_of).transpose()?;
        let mut after = query.after.as_deref().map(name_of).transpose()?;
        let mut page = QuarantinePage::default();
        for _ in 0..PAGE_DOCUMENTS_MAX {
            let found = self.reader.kept_out(self.space, doc.as_ref(), after.as_ref());
            let Some(found) = found.map_err(|fault| unread(&fault))? else {
                page.next = None;
                return Ok(page);
            };
            page.more += found.more;
            page.items.extend(found.changes.iter().map(|kept| self.kept_out(&found.document, kept)));
            page.next = Some(found.document.to_string());
            after = Some(found.document);
            if page.items.len() >= PAGE_ITEMS_MAX {
                return Ok(page);
            }
        }
        Ok(page)
    }

    fn kept_out(&self, document: &DocumentName, kept: &KeptOut) -> QuarantineItem {
        let writer = kept.writer;
        let change = PastChange {
            hash: kept.change,
            actor: writer.actor,
            seq: writer.seq,
            time_seconds: writer.time_seconds,
            step: 0,
            deletes: false,
        };
        let code = kept
            .code
            .clone()
            .unwrap_or_else(|| if kept.rests_on.is_empty() { LOST.to_owned() } else { RESTS.to_owned() });
        QuarantineItem {
            doc: document.to_string(),
            writer: self.writer(&change, writer.author),
            seq: writer.seq,
            advice: advice(&code).to_owned(),
            code,
            reason: kept.reason.clone(),
            since: kept.since.and_then(found_at),
            rests_on: kept.rests_on.iter().map(ToString::to_string).collect(),
            holds_back: kept.holds_back,
        }
    }

    /// One page of proven forks.
    ///
    /// # Errors
    /// A problem of the store, or of the names in the query.
    pub fn forks(&mut self, query: &ForksQuery) -> Inspected<ForksPage> {
        let doc = query.doc.as_deref().map(name_of).transpose()?;
        let mut after = query.after.as_deref().map(place).transpose()?;
        let (mut items, mut weight) = (Vec::new(), 0);
        loop {
            let found = self.reader.forks(self.space, doc.as_ref(), after.as_ref());
            let (forks, next) = found.map_err(|fault| unread(&fault))?;
            let count = forks.len();
            for (number, kept) in forks.into_iter().enumerate() {
                let here = (kept.fork.document.clone(), kept.fork.actor, kept.fork.seq);
                let item = self.fork(&kept);
                weight += item.proof.len();
                items.push(item);
                let last = number + 1 == count && next.is_none();
                if !last && (items.len() >= PAGE_ITEMS_MAX || weight >= PAGE_BYTES_MAX) {
                    return Ok(ForksPage { items, next: Some(place_text(&here)) });
                }
            }
            after = next;
            if after.is_none() {
                return Ok(ForksPage { items, next: None });
            }
        }
    }

    fn fork(&self, kept: &KeptFork) -> ForkItem {
        let fork = &kept.fork;
        let side = |change: &starling_crdt::proof::Contradiction| ForkSide {
            change: change.hash.to_string(),
            claimed_time: moment::rfc3339(change.time_seconds),
            held: kept.held == Some(change.hash),
        };
        ForkItem {
            doc: fork.document.to_string(),
            author: fork.author.to_string(),
            author_name: self.names.get(&fork.author).cloned(),
            actor: fork.actor.to_string(),
            seq: fork.seq,
            changes: fork.changes.iter().map(side).collect(),
            since: kept.since.and_then(found_at),
            advice: FORK_ADVICE.to_owned(),
            proof: hex(&kept.proof.to_bytes()),
        }
    }
}

/// What to do about an author who signed two changes with one number.
const FORK_ADVICE: &str = "find every process that runs with this author's identity and stop all but one; where there \
     is none, its key is in other hands";

fn advice(code: &str) -> &'static str {
    if code == PoisonReason::Crash.code() {
        "report it: a defect of this program; other nodes may show the change"
    } else if code == RESTS {
        "nothing by itself: look at what it rests on; write its values again if they are wanted"
    } else if code == LOST {
        "nothing by itself: a repair of the store lost the reason and keeps the change out"
    } else {
        "no Starling node writes such a change: find out what its author's node runs, and write what is wanted again"
    }
}

fn found_at(time: WallTime) -> Option<String> {
    moment::rfc3339(time.0.div_euclid(1_000))
}

fn name_of(text: &str) -> Inspected<DocumentName> {
    DocumentName::new(text).map_err(|error| problem(Code::BadDocumentName, error.to_string()))
}

fn place_text((document, actor, seq): &ForkPlace) -> String {
    format!("{seq}{CURSOR_SEPARATOR}{actor}{CURSOR_SEPARATOR}{document}")
}

fn place(text: &str) -> Inspected<ForkPlace> {
    let wrong = || problem(Code::BadRequest, "after is no cursor that a page gave");
    let mut parts = text.splitn(3, CURSOR_SEPARATOR);
    let seq = parts.next().and_then(|seq| seq.parse().ok()).ok_or_else(wrong)?;
    let actor = parts.next().and_then(|actor| actor.parse().ok()).ok_or_else(wrong)?;
    Ok((name_of(parts.next().ok_or_else(wrong)?)?, actor, seq))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use starling_crdt::id::Actor;

    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        let here = (DocumentName::new("a/b").expect("a name"), Actor([7; 16]), 9);
        assert_eq!(place(&place_text(&here)), Ok(here));
        for wrong in ["", "9", "9\nzz\na", "x\n07\na"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
