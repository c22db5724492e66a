//! The changes of a document, or of every document of a space.

use std::collections::BTreeSet;

use starling_api::{
    Code, Problem,
    past::{ChangeItem, Deed, DeedKind, HistoryPage, HistoryQuery, SignedBy},
};
use starling_crdt::{
    document::{self, Document, PastChange, Telling, Told},
    id::{Actor, AuthorKey, ChangeHash, DocumentName},
    view::{SignedChange, Witness},
};

use super::{
    Inspected, Inspector, PAGE_BYTES_MAX, PAGE_DOCUMENTS_MAX, broken, moment, page_items, plain, problem,
    unread, unreadable,
};

/// Between the parts of a cursor through a space: commit, name and change. No name holds it.
const CURSOR_SEPARATOR: char = '\n';

/// Which changes are wanted.
struct Wanted {
    author: Option<AuthorKey>,
    since: Option<i64>,
    limit: usize,
}

/// The changes of one document that belong to a page.
struct Part {
    items: Vec<ChangeItem>,
    /// The last change of the page, where more follow.
    rest_after: Option<ChangeHash>,
    bytes: usize,
}

impl Inspector<'_> {
    /// One page of a document's changes, newest first.
    ///
    /// # Errors
    /// A problem, when the document, the author or the cursor is unknown.
    pub fn history(&mut self, name: &DocumentName, query: &HistoryQuery) -> Inspected<HistoryPage> {
        let wanted = self.wanted(query)?;
        let after = query.after.as_deref().map(cursor).transpose()?;
        let part = self.part(name, &wanted, after, PAGE_BYTES_MAX)?;
        Ok(HistoryPage { items: part.items, next: part.rest_after.map(|hash| hash.to_string()) })
    }

    /// One page of the changes of every document: the document that changed last on this node first, and
    /// of each the newest change first.
    ///
    /// # Errors
    /// A problem, when the author or the cursor is unknown.
    pub fn space_history(&mut self, query: &HistoryQuery) -> Inspected<HistoryPage> {
        let mut wanted = self.wanted(query)?;
        let mut place = query.after.as_deref().map(space_cursor).transpose()?.unwrap_or_default();
        let (mut page, mut bytes) = (HistoryPage::default(), 0);
        for _ in 0..PAGE_DOCUMENTS_MAX {
            let here = match place.inside.take() {
                Some(after) => Some((after.0, after.1, Some(after.2))),
                None => {
                    let before = place.before.as_ref().map(|(commit, name)| (*commit, name));
                    let found = self.reader.changed_before(self.space, before);
                    found.map_err(|fault| unread(&fault))?.map(|(commit, name)| (commit, name, None))
                }
            };
            let Some((commit, name, after)) = here else {
                page.next = None;
                return Ok(page);
            };
            let part = self.part(&name, &wanted, after, PAGE_BYTES_MAX - bytes)?;
            wanted.limit -= part.items.len();
            bytes += part.bytes;
            page.items.extend(part.items);
            if let Some(last) = part.rest_after {
                page.next = Some(place_text(commit, &name, Some(last)));
                return Ok(page);
            }
            page.next = Some(place_text(commit, &name, None));
            place.before = Some((commit, name));
            if wanted.limit == 0 || bytes >= PAGE_BYTES_MAX {
                return Ok(page);
            }
        }
        Ok(page)
    }

    fn wanted(&self, query: &HistoryQuery) -> Inspected<Wanted> {
        let author = query.author.as_deref().map(|text| self.author(text)).transpose()?;
        let since = query.since.as_deref().map(|text| {
            let seconds = moment::seconds(text);
            seconds.ok_or_else(|| {
                let problem = Problem::new(Code::BadTime, format!("{text:?} is no time"));
                Box::new(problem.with_hint("write it like 2026-01-31 or 2026-01-31T12:00:00Z"))
            })
        });
        Ok(Wanted { author, since: since.transpose()?, limit: page_items(query.limit) })
    }

    fn part(
        &mut self,
        name: &DocumentName,
        wanted: &Wanted,
        after: Option<ChangeHash>,
        bytes_max: usize,
    ) -> Inspected<Part> {
        let mut witness = self.reader.witness(self.space).map_err(|fault| unread(&fault))?;
        let poison;
        let part = {
            let reader = self.reader;
            let seen = reader.view(self.space, name, |view, _| {
                self.part_of(view.document(), name, wanted, after, bytes_max, &mut witness)
            });
            let (part, found) = seen.map_err(|fault| unread(&fault))?;
            poison = found;
            part?
        };
        if !poison.is_empty() {
            self.unbuilt.push((name.clone(), poison));
        }
        Ok(part)
    }

    fn part_of(
        &self,
        document: &Document,
        name: &DocumentName,
        wanted: &Wanted,
        after: Option<ChangeHash>,
        bytes_max: usize,
        witness: &mut Witness<'_>,
    ) -> Inspected<Part> {
        let mut chosen = chosen(document, wanted, after, witness)?;
        let more = chosen.len() > wanted.limit;
        chosen.truncate(wanted.limit);
        let signed = witness.signed(name, chosen.iter().copied()).map_err(|error| broken(&error))?;
        let mut part = Part { items: Vec::with_capacity(chosen.len()), rest_after: None, bytes: 0 };
        let bytes: Vec<&[u8]> =
            chosen.iter().filter_map(|change| Some(signed.get(&change.hash)?.bytes.as_slice())).collect();
        let tellings = document.tell(&bytes).map_err(|error| unreadable(&error))?;
        for (change, telling) in chosen.iter().zip(tellings) {
            let signed =
                signed.get(&change.hash).ok_or_else(|| problem(Code::Internal, "a change was lost"))?;
            part.bytes += signed.bytes.len();
            part.items.push(self.item(name, change, signed, telling)?);
            if part.bytes >= bytes_max {
                break;
            }
        }
        let cut = part.items.len() < chosen.len();
        part.rest_after = (more || cut).then(|| chosen[part.items.len() - 1].hash);
        Ok(part)
    }

    fn item(
        &self,
        name: &DocumentName,
        change: &PastChange,
        signed: &SignedChange,
        telling: Telling,
    ) -> Inspected<ChangeItem> {
        Ok(ChangeItem {
            doc: name.to_string(),
            writer: self.writer(change, signed.author),
            seq: change.seq,
            rests_on: signed.chunk.dependencies.iter().map(ToString::to_string).collect(),
            deletes: change.deletes,
            bytes: signed.bytes.len() as u64,
            did: telling.told.iter().map(deed).collect::<Inspected<_>>()?,
            more: telling.omitted as u64,
            delta: SignedBy {
                first_seq: signed.delta_first,
                last_seq: signed.delta_last,
                signature: signed.signature.0.iter().map(|byte| format!("{byte:02x}")).collect(),
            },
        })
    }
}

/// The changes wanted, one more than the limit where there are more.
fn chosen(
    document: &Document,
    wanted: &Wanted,
    after: Option<ChangeHash>,
    witness: &mut Witness<'_>,
) -> Inspected<Vec<PastChange>> {
    let actors = match wanted.author {
        None => None,
        Some(author) => {
            let mut own = BTreeSet::<Actor>::new();
            for actor in document.actors() {
                if witness.author(actor).map_err(|error| broken(&error))? == author {
                    own.insert(actor);
                }
            }
            Some(own)
        }
    };
    let start = match after {
        None => None,
        Some(hash) => {
            let unknown = || problem(Code::UnknownHeads, format!("the document has no change {hash}"));
            Some(document.change(&hash).ok_or_else(unknown)?)
        }
    };
    let timeline = document.timeline(None).map_err(|error| unreadable(&error))?;
    let past = |change: &PastChange| {
        start.as_ref().is_none_or(|start| (change.step, change.hash) < (start.step, start.hash))
    };
    let fits = |change: &PastChange| {
        actors.as_ref().is_none_or(|actors| actors.contains(&change.actor))
            && wanted.since.is_none_or(|since| change.time_seconds >= since)
    };
    let kept = timeline.into_iter().filter(|change| past(change) && fits(change));
    Ok(kept.take(wanted.limit.saturating_add(1)).collect())
}

fn deed(told: &Told) -> Inspected<Deed> {
    let what = match &told.deed {
        document::Deed::Set(value) => DeedKind::Set { value: plain(value)? },
        document::Deed::Remove => DeedKind::Remove,
        document::Deed::Increment(by) => DeedKind::Increment { by: *by },
        document::Deed::Insert(value) => DeedKind::Insert { value: plain(value)? },
        document::Deed::InsertText(text) => DeedKind::InsertText { text: text.clone() },
        document::Deed::RemoveText(count) => DeedKind::RemoveText { characters: *count as u64 },
    };
    Ok(Deed { what, pointer: told.pointer.to_string(), gone: told.gone })
}

fn cursor(text: &str) -> Inspected<ChangeHash> {
    text.parse().map_err(|_| problem(Code::BadHeads, "`after` is not what the page before gave as `next`"))
}

/// How far a walk through a space came.
#[derive(Default)]
struct SpacePlace {
    /// The document shown last, as a whole.
    before: Option<(u64, DocumentName)>,
    /// The document shown in part, and its last change shown.
    inside: Option<(u64, DocumentName, ChangeHash)>,
}

fn place_text(commit: u64, name: &DocumentName, last: Option<ChangeHash>) -> String {
    let last = last.map_or_else(String::new, |hash| format!("{CURSOR_SEPARATOR}{hash}"));
    format!("{commit}{CURSOR_SEPARATOR}{name}{last}")
}

fn space_cursor(text: &str) -> Inspected<SpacePlace> {
    let wrong = || problem(Code::BadRequest, "`after` is not what the page before gave as `next`");
    let mut parts = text.split(CURSOR_SEPARATOR);
    let commit = parts.next().and_then(|part| part.parse().ok()).ok_or_else(wrong)?;
    let name = parts.next().and_then(|part| DocumentName::new(part).ok()).ok_or_else(wrong)?;
    match parts.next() {
        None => Ok(SpacePlace { before: Some((commit, name)), inside: None }),
        Some(hash) => {
            let hash = hash.parse().map_err(|_| wrong())?;
            Ok(SpacePlace { before: None, inside: Some((commit, name, hash)) })
        }
    }
}
