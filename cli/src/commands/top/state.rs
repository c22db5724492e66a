//! What `top` shows, as a function of what happened.
//!
//! Promises: [`State::after`] depends on nothing but the state and the event, so recorded events always
//! give the same picture; everything kept is bounded. Leaves out drawing and the node.

use std::collections::{BTreeMap, VecDeque};

use starling_api::member::Member;
use starling_api::past::ChangeItem;
use starling_api::peer::Peer;
use starling_api::status::Status;

use super::event::{Event, Figures, Key};
use crate::commands::history;

/// Documents whose warmth is known. When there are more, the coldest is forgotten.
const HOT_MAX: usize = 256;

/// Offences shown; older ones are in the node's log.
const OFFENCES_MAX: usize = 64;

/// Samples of throughput, one a second: as wide as any terminal's pane.
const SAMPLES_MAX: usize = 240;

/// After so many milliseconds without change a document is half as hot.
const HALF_LIFE_MS: f64 = 10_000.0;

/// Below this a document is cold and is forgotten: one change, a minute ago.
const COLD: f64 = 0.015;

/// Rows that a page key moves.
const PAGE_ROWS: usize = 10;

/// The parts of the picture that can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Pane {
    #[default]
    Documents,
    Members,
    Peers,
    Offences,
    Throughput,
}

impl Pane {
    const ORDER: [Self; 5] = [Self::Documents, Self::Members, Self::Peers, Self::Offences, Self::Throughput];

    fn moved(self, by: usize) -> Self {
        let here = Self::ORDER.iter().position(|pane| *pane == self).unwrap_or_default();
        Self::ORDER[(here + by) % Self::ORDER.len()]
    }
}

/// How much a document changes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Heat {
    pub(super) changes: u64,
    pub(super) warmth: f64,
    pub(super) last_ms: u64,
    pub(super) author: Option<String>,
    pub(super) deleted: bool,
}

/// What peers did wrong, when it was first seen here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offence {
    pub(super) at_ms: u64,
    pub(super) what: String,
    pub(super) count: u64,
}

/// Figures by second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) written: f64,
    pub(super) admitted: f64,
    pub(super) received_bytes: f64,
    pub(super) sent_bytes: f64,
}

/// A document whose history is shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Open {
    pub(super) doc: String,
    /// Rises with each change that was told: the history is then asked for again.
    pub(super) version: u64,
    /// Nothing until it arrived.
    pub(super) lines: Option<Vec<Line>>,
    pub(super) why_not: Option<String>,
    /// The first line shown.
    pub(super) top: usize,
    /// Whether there are changes older than the last line.
    pub(super) more: bool,
}

/// One line of a history.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Line {
    /// Which change, by whom, when by its author's claim.
    Change { change: String, by: String, time: String },
    /// What it did.
    Deed(String),
}

/// Everything shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct State {
    pub(super) now_ms: u64,
    /// The space, by id.
    pub(super) space: String,
    pub(super) status: Option<Box<Status>>,
    pub(super) members: Vec<Member>,
    pub(super) peers: Vec<Peer>,
    pub(super) rates: Rates,
    /// Changes a second, oldest first.
    pub(super) past: VecDeque<u64>,
    pub(super) hot: BTreeMap<String, Heat>,
    pub(super) offences: VecDeque<Offence>,
    /// Since when, and why, the node does not answer.
    pub(super) lost: Option<(u64, String)>,
    pub(super) pane: Pane,
    /// The row chosen in the pane.
    pub(super) row: usize,
    pub(super) open: Option<Open>,
    pub(super) ended: bool,
    figures: Option<(u64, Figures)>,
}

impl State {
    pub(super) fn new(space: String) -> Self {
        Self { space, ..Self::default() }
    }

    /// The state after an event.
    #[must_use]
    pub(super) fn after(mut self, event: Event) -> Self {
        match event {
            Event::Tick { now_ms } => self.cool(now_ms),
            Event::Status { status } => self.status = Some(status),
            Event::Members { list } => self.members = list.items,
            Event::Peers { list } => self.peers = list.items,
            Event::Figures { figures } => self.count(figures),
            Event::Change { change } => self.heat(change.name, change.author, change.deleted),
            Event::History { doc, page } => self.show(&doc, page.items, page.next.is_some()),
            Event::NoHistory { doc, why } => self.cannot_show(&doc, why),
            // The first reason is the one that tells.
            Event::Lost { why } => self.lost = self.lost.take().or(Some((self.now_ms, why))),
            Event::Back => self.lost = None,
            Event::Key { key } => self.press(key),
        }
        self.row = self.row.min(self.rows().saturating_sub(1));
        self
    }

    /// The document whose history is wanted, and how new.
    pub(super) fn wanted(&self) -> Option<(String, u64)> {
        self.open.as_ref().map(|open| (open.doc.clone(), open.version))
    }

    /// Documents that changed lately, the hottest first.
    pub(super) fn hottest(&self) -> Vec<(&String, &Heat)> {
        let mut hot: Vec<_> = self.hot.iter().collect();
        hot.sort_by(|one, other| other.1.warmth.total_cmp(&one.1.warmth).then(one.0.cmp(other.0)));
        hot
    }

    /// What a member calls itself; else the first digits of its key.
    pub(super) fn name<'a>(&'a self, key: &'a str) -> &'a str {
        let named = self.members.iter().find(|member| member.key == key);
        named.map_or_else(|| key.get(..8).unwrap_or(key), |member| member.name.as_str())
    }

    /// Changes that this node holds in the space.
    pub(super) fn changes(&self) -> Option<u64> {
        let spaces = &self.status.as_ref()?.spaces;
        spaces.iter().find(|space| space.id == self.space).map(|space| space.changes)
    }

    fn cool(&mut self, now_ms: u64) {
        let passed = now_ms.saturating_sub(self.now_ms) as f64;
        self.now_ms = self.now_ms.max(now_ms);
        let factor = 0.5_f64.powf(passed / HALF_LIFE_MS);
        self.hot.values_mut().for_each(|heat| heat.warmth *= factor);
        self.hot.retain(|_, heat| heat.warmth > COLD);
    }

    fn heat(&mut self, name: String, author: Option<String>, deleted: bool) {
        if let Some(open) = self.open.as_mut().filter(|open| open.doc == name) {
            open.version += 1;
        }
        if self.hot.len() >= HOT_MAX && !self.hot.contains_key(&name) {
            let coldest = self.hot.iter().min_by(|one, other| one.1.warmth.total_cmp(&other.1.warmth));
            if let Some(coldest) = coldest.map(|(name, _)| name.clone()) {
                self.hot.remove(&coldest);
            }
        }
        let cold = Heat { changes: 0, warmth: 0.0, last_ms: 0, author: None, deleted: false };
        let heat = self.hot.entry(name).or_insert(cold);
        heat.changes += 1;
        heat.warmth += 1.0;
        (heat.last_ms, heat.author, heat.deleted) = (self.now_ms, author, deleted);
    }

    /// Rates and offences from counters; those of a node that started anew begin again.
    fn count(&mut self, figures: Figures) {
        let now_ms = self.now_ms;
        let Some((then_ms, before)) = self.figures.replace((now_ms, figures.clone())) else { return };
        let seconds = now_ms.saturating_sub(then_ms) as f64 / 1_000.0;
        if seconds <= 0.0 {
            return;
        }
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        self.rates = Rates {
            written: rate(figures.writes, before.writes),
            admitted: rate(figures.admitted, before.admitted),
            received_bytes: rate(figures.received_bytes, before.received_bytes),
            sent_bytes: rate(figures.sent_bytes, before.sent_bytes),
        };
        if self.past.len() == SAMPLES_MAX {
            self.past.pop_front();
        }
        self.past.push_back((self.rates.written + self.rates.admitted).round() as u64);
        for (what, count) in figures.offences {
            let more = count.saturating_sub(before.offences.get(&what).copied().unwrap_or_default());
            if more > 0 {
                self.offences.push_front(Offence { at_ms: now_ms, what, count: more });
            }
        }
        self.offences.truncate(OFFENCES_MAX);
    }

    fn show(&mut self, doc: &str, items: Vec<ChangeItem>, more: bool) {
        let Some(open) = self.open.as_mut().filter(|open| open.doc == doc) else { return };
        let lines: Vec<Line> = items.iter().flat_map(lines).collect();
        open.top = open.top.min(lines.len().saturating_sub(1));
        (open.lines, open.why_not, open.more) = (Some(lines), None, more);
    }

    fn cannot_show(&mut self, doc: &str, why: String) {
        if let Some(open) = self.open.as_mut().filter(|open| open.doc == doc) {
            open.why_not = Some(why);
        }
    }

    fn press(&mut self, key: Key) {
        let panes = Pane::ORDER.len();
        let last = self.rows().saturating_sub(1);
        if let Some(open) = &mut self.open {
            let last = open.lines.as_ref().map_or(0, |lines| lines.len().saturating_sub(1));
            open.top = moved(open.top, last, key);
        } else {
            self.row = moved(self.row, last, key);
        }
        match key {
            Key::Quit => self.ended = true,
            Key::NextPane if self.open.is_none() => (self.pane, self.row) = (self.pane.moved(1), 0),
            Key::PreviousPane if self.open.is_none() => {
                (self.pane, self.row) = (self.pane.moved(panes - 1), 0)
            }
            Key::Open if self.open.is_none() && self.pane == Pane::Documents => {
                let chosen = self.hottest().get(self.row).map(|(doc, _)| (*doc).clone());
                self.open = chosen.map(|doc| Open {
                    doc,
                    version: 0,
                    lines: None,
                    why_not: None,
                    top: 0,
                    more: false,
                });
            }
            Key::Close => self.open = None,
            _ => {}
        }
    }

    fn rows(&self) -> usize {
        match self.pane {
            Pane::Documents => self.hot.len(),
            Pane::Members => self.members.len(),
            Pane::Peers => self.peers.len(),
            Pane::Offences => self.offences.len(),
            Pane::Throughput => 0,
        }
    }
}

fn moved(from: usize, last: usize, key: Key) -> usize {
    let to = match key {
        Key::Up => from.saturating_sub(1),
        Key::Down => from + 1,
        Key::PageUp => from.saturating_sub(PAGE_ROWS),
        Key::PageDown => from + PAGE_ROWS,
        Key::First => 0,
        Key::Last => last,
        _ => from,
    };
    to.min(last)
}

fn lines(item: &ChangeItem) -> Vec<Line> {
    let writer = &item.writer;
    let short = |text: &str| text.get(..12).unwrap_or(text).to_owned();
    let by = writer.author_name.clone().unwrap_or_else(|| short(&writer.author));
    let time = writer.claimed_time.clone().unwrap_or_default();
    let mut lines = vec![Line::Change { change: short(&writer.change), by, time }];
    lines.extend(history::words(item).map(Line::Deed));
    lines
}
