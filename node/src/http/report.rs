//! From what the core reports to the API's shapes. Nothing is decided here.

use std::time::Duration;

use starling_api::{
    Heads, Position,
    document::{DocumentItem, WatchEvent, Written},
    member::{Holder, Member, MemberState},
    peer::{Blocked, Direction, Peer},
    space::{JoinState, Role, Space},
    status::{Distance, Lag},
};
use starling_crdt::{
    charter,
    id::{AuthorKey, ChangeHash, DocumentName},
    presence::State,
    replica::{DocumentChange, MemberReport, PeerReport, SpaceReport},
    store::tables::DocumentRecord,
    time::WallTime,
};

use crate::{network::PeerBytes, warnings::SpacePicture};

/// Digits of a key that stand for a name where none is known.
const KEY_DIGITS_SHOWN: usize = 8;

pub(super) fn heads(hashes: &[ChangeHash]) -> Heads {
    // Hashes of the core are hex of the right length, and fewer than one answer may hold.
    Heads::try_from(hashes.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap_or_default()
}

pub(super) fn position(position: starling_crdt::id::Position) -> Position {
    Position(position.to_string())
}

/// RFC 3339, in UTC with milliseconds; nothing for a time no calendar holds.
pub(super) fn time(wall: WallTime) -> Option<String> {
    jiff::Timestamp::from_millisecond(wall.0).ok().map(|time| format!("{time:.3}"))
}

pub(super) fn short_key(key: AuthorKey) -> String {
    key.to_string().chars().take(KEY_DIGITS_SHOWN).collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) const fn role_of_core(role: charter::Role) -> Role {
    match role {
        charter::Role::Reader => Role::Reader,
        charter::Role::Writer => Role::Writer,
        charter::Role::Admin => Role::Admin,
    }
}

pub(super) const fn role_for_core(role: Role) -> charter::Role {
    match role {
        Role::Reader => charter::Role::Reader,
        Role::Writer => charter::Role::Writer,
        Role::Admin => charter::Role::Admin,
    }
}

/// The strongest right, of equal ones the widest.
fn strongest(rights: &[charter::Right]) -> Option<&charter::Right> {
    rights.iter().max_by_key(|right| (right.role, right.prefix.is_none()))
}

fn prefix_text(right: Option<&charter::Right>) -> Option<String> {
    right.and_then(|right| right.prefix.as_ref()).map(|prefix| prefix.as_str().to_owned())
}

pub(super) fn space(report: &SpaceReport) -> Space {
    let right = report.membership.as_ref().and_then(|member| strongest(&member.rights));
    Space {
        id: report.id.to_string(),
        name: report.name.clone(),
        founders: report.founders.iter().map(ToString::to_string).collect(),
        state: if report.membership.is_some() { JoinState::Joined } else { JoinState::Joining },
        role: right.map(|right| role_of_core(right.role)),
        prefix: prefix_text(right),
        documents: report.documents,
        changes: report.changes,
        bytes: report.bytes,
        bytes_max: report.bytes_max,
        members: report.members as u64,
        fingerprint: Some(format!("{:016x}", report.fingerprint)),
        join_refused: report.join_refused.clone(),
        created: time(report.created),
    }
}

pub(super) fn member(report: &MemberReport) -> Member {
    let key = report.member.key;
    let right = strongest(&report.member.rights);
    let word = report.last_word.as_ref();
    Member {
        name: report.name.clone().unwrap_or_else(|| short_key(key)),
        key: key.to_string(),
        role: right.map_or(Role::Reader, |right| role_of_core(right.role)),
        prefix: prefix_text(right),
        state: if report.this_node {
            MemberState::Own
        } else {
            report.state.map_or(MemberState::Unknown, state)
        },
        reason: report.reason.map(|reason| reason.code().to_owned()),
        connected: report.connected,
        round_trip_ms: report.round_trip.map(millis),
        since_ms: report.since.map(millis),
        version: word.map(|word| word.version.clone()),
        addresses: word
            .map(|word| word.addresses.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        in_sync: word.map(|word| word.in_sync),
        documents: word.map(|word| word.documents),
        changes: word.map(|word| word.changes),
        age_ms: word.map(|word| millis(word.age)),
        documents_behind: word.map(|word| word.own_documents.saturating_sub(word.documents)),
        changes_behind: word.map(|word| word.own_changes.saturating_sub(word.changes)),
        clock_offset_ms: report.clock_offset_ms,
        position: None,
    }
}

/// How far the nodes of a space are apart; nothing where there is no other.
pub(super) fn lag(space: &SpacePicture) -> Option<Lag> {
    let others: Vec<Member> = space.members.iter().filter(|report| !report.this_node).map(member).collect();
    let own = space.report.changes;
    let distance = |member: &Member| {
        let distance = |changes| Distance {
            name: member.name.clone(),
            changes,
            age_ms: member.age_ms.unwrap_or_default(),
        };
        member
            .changes
            .map(|changes| (distance(own.saturating_sub(changes)), distance(changes.saturating_sub(own))))
    };
    let (behind, ahead): (Vec<_>, Vec<_>) = others.iter().filter_map(distance).unzip();
    let furthest =
        |all: Vec<Distance>| all.into_iter().filter(|one| one.changes > 0).max_by_key(|one| one.changes);
    (!others.is_empty()).then(|| Lag {
        space: space.report.id.to_string(),
        others: others.len() as u64,
        in_sync: others.iter().filter(|member| member.in_sync == Some(true)).count() as u64,
        behind: furthest(behind),
        ahead: furthest(ahead),
    })
}

const fn state(state: State) -> MemberState {
    match state {
        State::Alive => MemberState::Alive,
        State::Suspect => MemberState::Suspect,
        State::Away => MemberState::Away,
        State::Left => MemberState::Left,
    }
}

pub(super) fn peer(report: &PeerReport, bytes: Option<PeerBytes>) -> Peer {
    let connection = report.connection.as_ref();
    Peer {
        key: report.key.to_string(),
        peer_id: crate::network::address::peer_id_text(&report.key),
        name: report.name.clone(),
        connected: connection.is_some(),
        address: connection.map(|connection| connection.address.to_string()),
        direction: connection
            .map(|connection| if connection.inbound { Direction::Inbound } else { Direction::Outbound }),
        transport: connection.map(|connection| transport(connection.address.as_str()).to_owned()),
        connected_ms: connection.map(|connection| millis(connection.age)),
        round_trip_ms: connection.and_then(|connection| connection.round_trip).map(millis),
        received_bytes: connection.and(bytes).map(|bytes| bytes.received),
        sent_bytes: connection.and(bytes).map(|bytes| bytes.sent),
        score: report.standing.map(|standing| standing.score.div_ceil(1_000)),
        offences: report.standing.map(|standing| standing.offences),
        blocked: report.blocked.map(|left| Blocked { left_ms: left.map(millis) }),
    }
}

fn transport(address: &str) -> &'static str {
    if address.split('/').any(|part| part.starts_with("quic")) { "quic" } else { "tcp" }
}

pub(super) fn written(written: &starling_crdt::replica::Written) -> Written {
    Written {
        heads: heads(&written.heads),
        position: position(written.position),
        changed: written.changed,
        created: written.created,
        confirmed: None,
    }
}

pub(super) fn document_item(name: &DocumentName, record: &DocumentRecord) -> DocumentItem {
    DocumentItem {
        name: name.to_string(),
        heads: heads(&record.heads),
        changes: record.changes,
        deleted: record.deleted,
        modified: time(record.time),
        author: Some(record.author.to_string()),
    }
}

pub(super) fn watch_event(change: &DocumentChange) -> WatchEvent {
    WatchEvent {
        space: change.space.to_string(),
        name: change.document.to_string(),
        heads: heads(&change.heads),
        author: Some(change.author.to_string()),
        position: position(change.position),
        deleted: change.deleted,
        ops: None,
    }
}

/// A member by its key, with the name the members of its space know it by.
pub(super) fn holder(key: AuthorKey, members: &[MemberReport]) -> Holder {
    let found = members.iter().find(|report| report.member.key == key);
    Holder { key: key.to_string(), name: found.map_or_else(|| short_key(key), |report| member(report).name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(time(WallTime(0)).as_deref(), Some("1970-01-01T00:00:00.000Z"));
        assert_eq!(time(WallTime(1_700_000_000_123)).as_deref(), Some("2023-11-14T22:13:20.123Z"));
        assert_eq!(time(WallTime(i64::MAX)), None);
    }

    #[test]
    fn the_transport_is_read_from_the_address() {
        assert_eq!(transport("/ip4/10.0.0.1/tcp/4710"), "tcp");
        assert_eq!(transport("/ip4/10.0.0.1/udp/4710/quic-v1/p2p/12D3"), "quic");
    }

    #[test]
    fn heads_go_out_as_they_are() {
        let hashes = [ChangeHash([1; 32]), ChangeHash([2; 32])];
        assert_eq!(heads(&hashes).to_string(), format!("{},{}", "01".repeat(32), "02".repeat(32)));
    }
}
