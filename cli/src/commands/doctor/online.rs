//! What a running node's own answers tell. Judged from the answers alone.

use std::collections::BTreeSet;

use starling_api::member::{Member, MemberList, MemberState};
use starling_api::peer::PeerList;
use starling_api::space::{JoinState, Space};
use starling_api::status::Status;

use super::check::{CHARTER, Check, MEMBERS, PEERS, ROOM, STORE, State, VERSIONS};
use super::reach::Target;
use crate::commands::{age, counted, offline};

/// Connections a node aims at.
const DEGREE: usize = 12;

/// Room below which a store's file system is warned of.
pub(super) const ROOM_LOW_BYTES: u64 = 256 * 1024 * 1024;

/// Names in one sentence.
const NAMES_MAX: usize = 4;

/// Addresses of one member that are tried.
const ADDRESSES_MAX: usize = 2;

/// Warnings of a node that say that something is broken, not only that it deserves a look.
const BROKEN: [&str; 5] = ["no-room", "store-fault", "same-identity", "diverged", "fork"];

/// Store, room and charter.
pub(super) fn of_itself(status: &Status) -> Vec<Check> {
    let mut checks =
        vec![STORE.ok(format!("{} bytes, at position {}", status.store.bytes, status.store.position))];
    checks.extend(status.store.room.map(room));
    checks.extend(status.spaces.iter().map(charter));
    if status.spaces.is_empty() {
        checks.push(
            CHARTER
                .warning("this node takes part in no space, so it shares nothing")
                .mended_by("starling space create NAME, or starling join TICKET"),
        );
    }
    checks
}

/// Room on the store's file system.
pub(crate) fn room(room: u64) -> Check {
    let left = format!("{} MiB are left on the file system of the store", room / (1024 * 1024));
    if room < ROOM_LOW_BYTES {
        ROOM.failed(format!("{left}: when they are used up, writes are refused"))
    } else {
        ROOM.ok(left)
    }
}

/// Whether the node is a member of one space.
pub(crate) fn charter(space: &Space) -> Check {
    match (space.state, space.role) {
        (JoinState::Joined, Some(role)) => {
            CHARTER.ok(format!("{role} of {}, one of {}", space.name, counted(space.members, "member")))
        }
        (JoinState::Joined, None) => {
            CHARTER.failed(format!("the charter of {} gives this node no right any more", space.name))
        }
        (JoinState::Joining, _) => CHARTER.failed(match &space.join_refused {
            Some(reason) => {
                format!("not yet a member of {}: the last member asked refused: {reason}", space.name)
            }
            None => format!("not yet a member of {}: no member has witnessed the join", space.name),
        }),
    }
}

/// Connections, members and their versions.
pub(super) fn of_others(status: &Status, spaces: &[(&Space, MemberList)], peers: &PeerList) -> Vec<Check> {
    let mut checks = vec![connections(spaces, peers)];
    for (space, list) in spaces {
        checks.extend(members(space, list));
    }
    checks.extend(versions(status, spaces));
    checks
}

fn others(list: &MemberList) -> impl Iterator<Item = &Member> {
    list.items.iter().filter(|member| member.state != MemberState::Own)
}

/// The degree of the mesh against what can be had.
fn connections(spaces: &[(&Space, MemberList)], peers: &PeerList) -> Check {
    let connected = peers.items.iter().filter(|peer| peer.connected).count();
    let here = |member: &&Member| matches!(member.state, MemberState::Alive | MemberState::Suspect);
    let keys = |filter: fn(&&Member) -> bool| -> BTreeSet<&str> {
        spaces
            .iter()
            .flat_map(|(_, list)| others(list).filter(filter).map(|member| member.key.as_str()))
            .collect()
    };
    let (all, alive) = (keys(|_| true).len(), keys(here).len());
    let blocked = peers.items.iter().filter(|peer| peer.blocked.is_some()).count();
    let beside =
        if blocked > 0 { format!("; {} blocked", counted(blocked as u64, "peer")) } else { String::new() };
    let text = format!("{} of {} connected{beside}", connected, counted(all as u64, "other member"));
    if all == 0 {
        return PEERS.ok(format!("{connected} connected; nobody else is a member of a space here{beside}"));
    }
    if connected == 0 {
        return PEERS.failed(format!("{text}: what is written here stays here"));
    }
    if connected < alive.min(DEGREE) / 2 {
        return PEERS.warning(format!("{text}, though {alive} are alive: fewer than the mesh aims at"));
    }
    PEERS.ok(text)
}

fn members(space: &Space, list: &MemberList) -> Vec<Check> {
    let away: Vec<_> = others(list).filter(|member| member.state == MemberState::Away).collect();
    let apart: Vec<_> = others(list)
        .filter(|member| member.state == MemberState::Alive && member.in_sync == Some(false))
        .collect();
    let mut checks = Vec::new();
    if !away.is_empty() {
        let named = named(away.iter().map(|member| match member.since_ms {
            Some(since) => format!("{} for {}", member.name, age(since)),
            None => member.name.clone(),
        }));
        checks.push(MEMBERS.warning(format!("{}: away: {named}", space.name)));
    }
    if !apart.is_empty() {
        let named = named(apart.iter().map(|member| match member.age_ms {
            Some(heard) => format!("{} (heard {} ago)", member.name, age(heard)),
            None => member.name.clone(),
        }));
        let names: Vec<&str> = apart.iter().take(NAMES_MAX).map(|member| member.name.as_str()).collect();
        checks.push(
            MEMBERS
                .warning(format!("{}: held other changes when last heard: {named}", space.name))
                .mended_by(format!("starling compare {}", names.join(" "))),
        );
    }
    if checks.is_empty() && others(list).next().is_some() {
        checks.push(MEMBERS.ok(format!("{}: nobody is away, and all hold the same", space.name)));
    }
    checks
}

fn versions(status: &Status, spaces: &[(&Space, MemberList)]) -> Option<Check> {
    let said = || spaces.iter().flat_map(|(_, list)| others(list)).filter(|member| member.version.is_some());
    said().next()?;
    let other: BTreeSet<_> = said()
        .filter(|member| member.version.as_deref() != Some(&status.version))
        .map(|member| format!("{} {}", member.name, member.version.as_deref().unwrap_or_default()))
        .collect();
    Some(if other.is_empty() {
        VERSIONS.ok(format!("every member heard of runs {}", status.version))
    } else {
        VERSIONS.warning(format!(
            "this node runs {}, others run: {}; upgrade the older ones",
            status.version,
            named(other)
        ))
    })
}

fn named(names: impl IntoIterator<Item = String>) -> String {
    let mut names: Vec<String> = names.into_iter().collect();
    let more = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    let mut text = names.join(", ");
    if more > 0 {
        text += &format!(" and {more} more");
    }
    text
}

/// Addresses of members that are not connected.
pub(super) fn unconnected(spaces: &[(&Space, MemberList)], peers: &PeerList) -> Vec<Target> {
    let connected = |key: &str| peers.items.iter().any(|peer| peer.connected && peer.key == key);
    let mut seen = BTreeSet::new();
    let mut targets = Vec::new();
    for member in spaces.iter().flat_map(|(_, list)| others(list)) {
        // Who said farewell is not expected to answer.
        if connected(&member.key) || member.state == MemberState::Left || !seen.insert(member.key.as_str()) {
            continue;
        }
        let of_member =
            member.addresses.iter().filter_map(|text| offline::doctor::targets(text).ok()).flatten();
        targets.extend(
            of_member.filter(Target::is_tcp).take(ADDRESSES_MAX).map(|target| target.of(&member.name)),
        );
    }
    targets
}

/// What the node warns of by itself and no check here has found already.
pub(super) fn warnings(status: &Status, checks: &[Check]) -> Vec<Check> {
    let covered: &[(&str, &str)] = &[
        ("low-room", ROOM.code),
        ("no-room", ROOM.code),
        ("not-joined", CHARTER.code),
        ("no-peers", PEERS.code),
        ("members-away", MEMBERS.code),
        ("behind", MEMBERS.code),
        ("versions", VERSIONS.code),
    ];
    let found = |code: &str| {
        let by = covered.iter().find(|(warning, _)| *warning == code).map(|(_, check)| *check);
        checks.iter().any(|check| check.state != State::Ok && Some(check.check.as_str()) == by)
    };
    let check = |warning: &starling_api::status::Warning| Check {
        check: warning.code.clone(),
        state: if BROKEN.contains(&warning.code.as_str()) { State::Failed } else { State::Warning },
        message: warning.message.clone(),
        command: Some(warning.command.clone()),
    };
    status.warnings.iter().filter(|warning| !found(&warning.code)).map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use starling_api::peer::Peer;
    use starling_api::space::Role;

    fn space(state: JoinState, role: Option<Role>) -> Space {
        let json = serde_json::json!({
            "id": "00", "name": "shop", "state": state, "documents": 0, "changes": 0, "members": 3
        });
        Space { role, ..serde_json::from_value(json).unwrap() }
    }

    fn member(name: &str, state: MemberState) -> Member {
        let json = serde_json::json!({ "name": name, "key": name, "role": "writer", "state": state });
        serde_json::from_value(json).unwrap()
    }

    fn peer(name: &str) -> Peer {
        serde_json::from_value(serde_json::json!({ "key": name, "peer_id": name, "connected": true }))
            .unwrap()
    }

    fn list(members: Vec<Member>) -> MemberList {
        MemberList { items: members }
    }

    #[test]
    fn a_node_without_connections_is_wrong_only_where_there_are_others() {
        let joined = space(JoinState::Joined, Some(Role::Writer));
        let own = member("a", MemberState::Own);
        let alone = [(&joined, list(vec![own.clone()]))];
        assert_eq!(connections(&alone, &PeerList::default()).state, State::Ok);
        let shared = [(&joined, list(vec![own, member("b", MemberState::Away)]))];
        let check = connections(&shared, &PeerList::default());
        assert_eq!((check.state, check.command.as_deref()), (State::Failed, Some("starling peers add HOST")));
        let connected = PeerList { items: vec![peer("b")] };
        assert_eq!(connections(&shared, &connected).state, State::Ok);
    }

    #[test]
    fn a_thin_mesh_is_warned_of() {
        let joined = space(JoinState::Joined, Some(Role::Writer));
        let names: Vec<_> = (0..20).map(|number| format!("n{number}")).collect();
        let many = [(&joined, list(names.iter().map(|name| member(name, MemberState::Alive)).collect()))];
        let connected =
            |count: usize| PeerList { items: names.iter().take(count).map(|name| peer(name)).collect() };
        assert_eq!(connections(&many, &connected(5)).state, State::Warning);
        assert_eq!(connections(&many, &connected(6)).state, State::Ok);
    }

    #[test]
    fn who_is_away_who_differs_and_who_runs_another_version_is_named() {
        let joined = space(JoinState::Joined, Some(Role::Writer));
        let mut apart = member("late", MemberState::Alive);
        apart.in_sync = Some(false);
        apart.version = Some("0.0.9".to_owned());
        let list = list(vec![member("gone", MemberState::Away), apart]);
        let found = members(&joined, &list);
        assert!(found.iter().all(|check| check.state == State::Warning), "{found:?}");
        assert!(found[0].message.contains("gone") && found[1].message.contains("late"), "{found:?}");
        let status = status("0.1.0", Vec::new());
        let check = versions(&status, &[(&joined, list)]).unwrap();
        assert_eq!(check.state, State::Warning);
        assert!(check.message.contains("late 0.0.9"), "{check:?}");
    }

    fn status(version: &str, warnings: Vec<starling_api::status::Warning>) -> Status {
        let json = serde_json::json!({
            "name": "a", "version": version, "key": "k", "peer_id": "p", "listen": [], "spaces": [],
            "peers": 0, "store": { "bytes": 1, "position": "s-1" }, "started": "t", "uptime_ms": 1
        });
        Status { warnings, ..serde_json::from_value(json).unwrap() }
    }

    #[test]
    fn a_join_that_waits_or_was_refused_is_wrong() {
        assert_eq!(charter(&space(JoinState::Joined, Some(Role::Admin))).state, State::Ok);
        assert_eq!(charter(&space(JoinState::Joined, None)).state, State::Failed);
        let mut refused = space(JoinState::Joining, None);
        assert!(charter(&refused).message.contains("witnessed"));
        refused.join_refused = Some("the invite is used up".to_owned());
        let check = charter(&refused);
        assert!(check.state == State::Failed && check.message.contains("used up"), "{check:?}");
    }

    #[test]
    fn a_warning_of_the_node_is_told_once() {
        let warning = |code: &str| -> starling_api::status::Warning {
            let json = serde_json::json!({ "code": code, "message": "m", "why": "w", "command": "c" });
            serde_json::from_value(json).unwrap()
        };
        let status = status("0.1.0", vec![warning("no-peers"), warning("diverged"), warning("clock")]);
        let told = warnings(&status, &[PEERS.failed("x")]);
        let told: Vec<_> = told.iter().map(|check| (check.check.as_str(), check.state)).collect();
        assert_eq!(told, [("diverged", State::Failed), ("clock", State::Warning)]);
        assert_eq!(warnings(&status, &[PEERS.ok("x")]).len(), 3);
    }

    #[test]
    fn room_is_judged_by_what_a_day_of_writing_takes() {
        assert_eq!(room(ROOM_LOW_BYTES).state, State::Ok);
        assert_eq!(room(ROOM_LOW_BYTES - 1).state, State::Failed);
    }
}
