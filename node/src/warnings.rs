//! What of a node an operator should look at: judged from what the node knows of itself, its members and
//! its store, and told in the words of the API's table.
//!
//! Promises: what is given is sorted by importance, and each names the figures it was judged by. Leaves
//! out how those were found out.

use std::collections::BTreeMap;
use std::time::Duration;

use starling_api::{
    duration,
    status::Warning,
    warning::{
        self, BEHIND, BUSY, CLOCK, DIVERGED, DOCUMENTS_MEMORY, FORK, LARGE_DOCUMENT, LOW_ROOM, MEMBERS_AWAY,
        NO_PEERS, NO_ROOM, NOT_JOINED, QUARANTINE, SAME_IDENTITY, SPACE_FILLING, SPACE_FULL, STORE_FAULT,
        VERSIONS,
    },
};
use starling_crdt::{
    id::DocumentName,
    limits::DOCUMENT_OBJECTS_ADVISED,
    presence::State,
    replica::{LastWord, MemberReport, SpaceReport, Status},
    view::{Built, KeptOutCounts},
};

/// Room on the store's file system below which `status` warns, in bytes. A busy node writes a few
/// hundred megabytes in a day.
pub(crate) const ROOM_LOW_BYTES: u64 = 256 * 1024 * 1024;

/// Room below which a commit may fail: redb writes to new pages before it frees old ones.
pub(crate) const ROOM_OUT_BYTES: u64 = 4 * 1024 * 1024;

/// How long something that was over in a moment is warned of: a fault of the store, a bound that was reached.
pub(crate) const TOLD_FOR: Duration = Duration::from_secs(10 * 60);

/// How old a member's word must be before this node counts as behind it: by then gossip or the first repair
/// has brought what is on its way. Too short and every burst of writes warns.
const BEHIND_AFTER: Duration = Duration::from_secs(10);

/// How far clocks may be apart. A beacon that repair brought is some seconds old and looks like that much.
const CLOCK_OFFSET_MAX_MS: u64 = 30_000;

/// How long a member is away before it is warned of: most are back by then.
const AWAY_AFTER: Duration = Duration::from_secs(5 * 60);

/// The share of a space's quota, as a divisor, that is left when it is warned of.
const SPACE_RESERVE: u64 = 10;

/// Names in one warning.
const NAMES_MAX: usize = 3;

/// One space, its members, and what is kept out of its documents.
pub(crate) struct SpacePicture {
    pub(crate) report: SpaceReport,
    pub(crate) members: Vec<MemberReport>,
    pub(crate) kept_out: KeptOutCounts,
    /// Documents of more objects than advised, each with its objects.
    pub(crate) large: BTreeMap<DocumentName, usize>,
}

/// Everything that warnings are judged by.
pub(crate) struct Picture {
    /// Of the node itself.
    pub(crate) status: Status,
    pub(crate) spaces: Vec<SpacePicture>,
    /// Bytes left on the store's file system, where known.
    pub(crate) room: Option<u64>,
    /// How long ago the store failed, if it did since the start.
    pub(crate) store_fault: Option<Duration>,
    /// How long ago somebody was refused because a bound was reached, and which.
    pub(crate) busy: Option<(Duration, String)>,
    /// How long ago the memory for built documents was too small for those in use.
    pub(crate) documents_short: Option<Duration>,
    /// What is built now.
    pub(crate) built: Built,
    /// Of this node's program.
    pub(crate) version: &'static str,
}

impl Picture {
    /// What needs a look, the most urgent first.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        warnings.extend(self.room.and_then(low_room));
        warnings.extend(self.store_fault.filter(|ago| *ago <= TOLD_FOR).map(store_fault));
        warnings.extend(self.busy.as_ref().filter(|(ago, _)| *ago <= TOLD_FOR).map(busy));
        warnings.extend(self.documents_short.filter(|ago| *ago <= TOLD_FOR).map(|ago| self.short(ago)));
        warnings.extend(self.same_identity());
        warnings.extend(self.no_peers());
        for space in &self.spaces {
            warnings.extend(not_joined(&space.report));
            warnings.extend(filling(&space.report));
            warnings.extend(kept_out(space));
            warnings.extend(behind(space));
            warnings.extend(away(space));
            warnings.extend(clocks(space));
            warnings.extend(self.versions(space));
            warnings.extend(large(space));
        }
        // Stable: within a kind the spaces keep their order.
        warnings.sort_by_key(|told| warning::place(&told.code));
        warnings
    }

    fn same_identity(&self) -> Option<Warning> {
        self.status.has_twin.then(|| {
            SAME_IDENTITY.warn(format!(
                "another process speaks as {:.12}: stop all but one, and start each other one with a new data directory",
                self.status.key.to_string()
            ))
        })
    }

    fn short(&self, ago: Duration) -> Warning {
        DOCUMENTS_MEMORY.warn(format!(
            "documents that had been dropped for want of memory were built again {} ago; {:.1} MiB are built now",
            duration::told(ago),
            mib(self.built.bytes as u64)
        ))
    }

    fn no_peers(&self) -> Option<Warning> {
        let shared = self.spaces.iter().any(|space| space.report.members > 1);
        (self.status.peers == 0 && shared).then(|| NO_PEERS.warn("no other node is connected"))
    }

    fn versions(&self, space: &SpacePicture) -> Option<Warning> {
        let others = space.members.iter().filter(|member| !member.this_node && is_here(member));
        let other = |member: &&MemberReport| {
            member.last_word.as_ref().is_some_and(|word| word.version != self.version)
        };
        let others: Vec<&MemberReport> = others.filter(other).collect();
        let told = |member: &&MemberReport| {
            format!("{} {}", name(member), member.last_word.as_ref().map_or("", |word| word.version.as_str()))
        };
        let text = listed(others.iter().map(told))?;
        Some(
            VERSIONS.warn(format!(
                "this node runs {}, in {:?} others run: {text}",
                self.version, space.report.name
            )),
        )
    }
}

fn low_room(room: u64) -> Option<Warning> {
    let kind = match room {
        ROOM_LOW_BYTES.. => return None,
        ROOM_OUT_BYTES.. => LOW_ROOM,
        _ => NO_ROOM,
    };
    Some(kind.warn(format!("{} MiB are left on the file system of the store", room / (1024 * 1024))))
}

fn store_fault(ago: Duration) -> Warning {
    STORE_FAULT
        .warn(format!("the store failed {} ago; the log's event store_fault says how", duration::told(ago)))
}

fn busy((ago, bound): &(Duration, String)) -> Warning {
    BUSY.warn(format!("a request was refused {} ago: {bound}", duration::told(*ago)))
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

fn not_joined(space: &SpaceReport) -> Option<Warning> {
    if space.membership.is_some() {
        return None;
    }
    let why = match &space.join_refused {
        Some(reason) => format!("the last member asked refused: {reason}"),
        None => "no member could be reached yet".to_owned(),
    };
    Some(NOT_JOINED.warn(format!("this node is not yet a member of {:?}: {why}", space.name)))
}

fn filling(space: &SpaceReport) -> Option<Warning> {
    let (bytes, most) = (space.bytes, space.bytes_max?);
    let kind = match () {
        () if bytes >= most => SPACE_FULL,
        () if bytes >= most - most / SPACE_RESERVE => SPACE_FILLING,
        () => return None,
    };
    Some(kind.warn(format!(
        "{:?} holds {:.1} MiB of changes, and this node keeps {:.1}",
        space.name,
        mib(bytes),
        mib(most)
    )))
}

fn kept_out(space: &SpacePicture) -> Vec<Warning> {
    let KeptOutCounts { quarantined, diverged, forks } = space.kept_out;
    let name = &space.report.name;
    let count = |count: u64, thing: &str| {
        let more = if count >= KeptOutCounts::MOST { " or more" } else { "" };
        format!("{count}{more} {thing}{}", if count == 1 { "" } else { "s" })
    };
    let mut warnings = Vec::new();
    if diverged > 0 {
        warnings.push(
            DIVERGED.warn(format!("{} of {name:?} could not be built here", count(diverged, "change"))),
        );
    }
    if forks > 0 {
        warnings.push(FORK.warn(format!("{} of authors in {name:?} proven", count(forks, "fork"))));
    }
    if quarantined > diverged {
        let count = count(quarantined - diverged, "change");
        warnings.push(QUARANTINE.warn(format!("{count} of {name:?} kept out of documents")));
    }
    warnings
}

fn behind(space: &SpacePicture) -> Option<Warning> {
    // What it said is compared with what is here now: this node has not caught up since.
    let lacking = |word: &LastWord| word.changes.saturating_sub(word.own_changes);
    let words = space.members.iter().filter(|member| is_here(member)).filter_map(|member| {
        let word = member.last_word.as_ref().filter(|word| word.age >= BEHIND_AFTER)?;
        (lacking(word) > 0).then_some((member, word))
    });
    let (member, word) = words.max_by_key(|(_, word)| lacking(word))?;
    let mut told = BEHIND.warn(format!(
        "{} said {} ago that it holds {} changes of {:?} more than this node holds now",
        name(member),
        duration::told(word.age),
        lacking(word),
        space.report.name
    ));
    told.command = format!("starling compare {}", argument(&name(member)));
    Some(told)
}

fn away(space: &SpacePicture) -> Option<Warning> {
    let long = |member: &&MemberReport| {
        member.state == Some(State::Away) && member.since.is_some_and(|since| since >= AWAY_AFTER)
    };
    let away: Vec<&MemberReport> = space.members.iter().filter(long).collect();
    let names = listed(away.iter().map(|member| name(member)))?;
    let (count, all) = (away.len(), space.members.len());
    Some(MEMBERS_AWAY.warn(format!("{count} of {all} members of {:?} are away: {names}", space.report.name)))
}

fn clocks(space: &SpacePicture) -> Option<Warning> {
    let offset = |member: &MemberReport| member.clock_offset_ms.unwrap_or(0);
    let far = space.members.iter().filter(|member| is_here(member));
    let far = far.filter(|member| offset(member).unsigned_abs() >= CLOCK_OFFSET_MAX_MS);
    let member = far.max_by_key(|member| offset(member).unsigned_abs())?;
    let by = duration::told(Duration::from_millis(offset(member).unsigned_abs()));
    let way = if offset(member) > 0 { "ahead of" } else { "behind" };
    Some(CLOCK.warn(format!("the clock of {} is {by} {way} this node's", name(member))))
}

fn large(space: &SpacePicture) -> Option<Warning> {
    let mut found: Vec<(&DocumentName, usize)> =
        space.large.iter().map(|(name, objects)| (name, *objects)).collect();
    found.sort_by_key(|(_, objects)| std::cmp::Reverse(*objects));
    let (largest, _) = *found.first()?;
    let names = listed(found.iter().map(|(name, objects)| format!("{:?} ({objects})", name.as_str())))?;
    let mut told = LARGE_DOCUMENT.warn(format!(
        "of {:?} have more than {DOCUMENT_OBJECTS_ADVISED} maps, lists and texts: {names}",
        space.report.name
    ));
    told.command = format!("starling history {}", argument(largest.as_str()));
    Some(told)
}

/// A word that others chose, as a shell takes it for one word and nothing else.
fn argument(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if text.bytes().all(is_plain) && !text.starts_with('-') {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn is_here(member: &MemberReport) -> bool {
    member.state == Some(State::Alive)
}

/// What a member is called: its name, or the first digits of its key.
fn name(member: &MemberReport) -> String {
    let digits = || member.member.key.to_string().chars().take(8).collect();
    member.name.clone().unwrap_or_else(digits)
}

/// The first few, and how many more; nothing of none.
fn listed(names: impl Iterator<Item = String>) -> Option<String> {
    let names: Vec<String> = names.collect();
    let shown = names.iter().take(NAMES_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => None,
        count if count > NAMES_MAX => Some(format!("{shown} and {} more", count - NAMES_MAX)),
        _ => Some(shown),
    }
}

#[cfg(test)]
mod tests;
