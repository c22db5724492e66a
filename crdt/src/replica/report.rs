//! What this node tells about itself, its spaces, members and peers.

use std::collections::BTreeSet;

use super::core::Core;
use super::effect::{ConnectionReport, LastWord, MemberReport, PeerReport, Refusal, SpaceReport, Status};
use super::space::Space;
use crate::charter::Label;
use crate::id::{AuthorKey, SpaceId};
use crate::presence::Sighting;
use crate::time::Moment;

impl Core {
    /// How this node is. `commit` is its last one.
    pub(super) fn status(&self, now: Moment, commit: u64) -> Status {
        Status {
            key: self.identity.key(),
            name: self.options.name.as_str().to_owned(),
            addresses: self.listening.clone(),
            spaces: self.spaces.values().map(|space| self.space_report(space)).collect(),
            peers: self.peers.len(),
            position: self.position(commit),
            orphans: self.orphans.len(),
            built: self.views.built(),
            has_twin: self.spaces.values().any(|space| space.presence.has_twin(now)),
        }
    }

    fn space_report(&self, space: &Space) -> SpaceReport {
        let genesis = space.charter.genesis();
        SpaceReport {
            id: space.id,
            name: genesis.name().as_str().to_owned(),
            created: genesis.time(),
            founders: genesis.founders().to_vec(),
            membership: space.charter.member(self.identity.key()),
            join_refused: space.join_refused.clone(),
            members: space.charter.members().count(),
            documents: space.documents,
            changes: space.changes,
            bytes: space.bytes,
            bytes_max: self.options.space_bytes_max,
            fingerprint: space.items.fingerprint(),
            large: self.large.of(space.index),
        }
    }

    /// Members of a space, by key.
    pub(super) fn member_reports(&self, now: Moment, id: SpaceId) -> Result<Vec<MemberReport>, Refusal> {
        let space = self.space(id)?;
        let own = self.identity.key();
        let reports = space.charter.members().map(|member| {
            let seen = space.presence.member(member.key);
            MemberReport {
                name: self.name_of(member.key),
                this_node: member.key == own,
                state: seen.map(|seen| seen.state),
                since: seen.map(|seen| seen.since.age(now)),
                reason: seen.map(|seen| seen.reason),
                last_word: seen.and_then(|seen| last_word(space, now, seen)),
                connected: self.peers.contains_key(&member.key),
                round_trip: self.peers.get(&member.key).and_then(|peer| peer.round_trip),
                clock_offset_ms: seen.and_then(|seen| seen.clock_offset_ms),
                member,
            }
        });
        Ok(reports.collect())
    }

    /// Peers that are connected, blocked, or did wrong and have not been forgiven, by key.
    pub(super) fn peer_reports(&self, now: Moment) -> Vec<PeerReport> {
        let blocked: Vec<(AuthorKey, Option<Moment>)> = self.connect.blocked().collect();
        let charged = self.budget.offenders(now).filter(|(_, standing)| standing.score > 0);
        let charged = charged.map(|(key, _)| key);
        let keys: BTreeSet<AuthorKey> =
            self.peers.keys().copied().chain(blocked.iter().map(|(key, _)| *key)).chain(charged).collect();
        keys.into_iter()
            .map(|key| PeerReport {
                key,
                name: self.name_of(key),
                connection: self.peers.get(&key).map(|peer| ConnectionReport {
                    address: peer.address.clone(),
                    inbound: peer.inbound,
                    age: now.since(peer.since),
                    round_trip: peer.round_trip,
                }),
                blocked: blocked
                    .iter()
                    .find(|(blocked, _)| *blocked == key)
                    .map(|(_, until)| until.map(|until| until.since(now))),
                standing: self.budget.standing(now, key).filter(|standing| standing.offences > 0),
            })
            .collect()
    }

    fn name_of(&self, key: AuthorKey) -> Option<String> {
        if key == self.identity.key() {
            return Some(self.options.name.as_str().to_owned());
        }
        self.spaces.values().find_map(|space| {
            let said = space.presence.member(key).and_then(|seen| seen.beacon.as_ref());
            let said = said.map(|beacon| beacon.facts.name.as_str().to_owned());
            let named =
                || space.charter.member(key)?.name.as_ref().map(|name| Label::as_str(name).to_owned());
            said.or_else(named)
        })
    }
}

fn last_word(space: &Space, now: Moment, seen: &Sighting) -> Option<LastWord> {
    let facts = &seen.beacon.as_ref()?.facts;
    Some(LastWord {
        age: seen.heard?.age(now),
        name: facts.name.as_str().to_owned(),
        version: facts.version.as_str().to_owned(),
        addresses: facts.addresses.clone(),
        documents: facts.document_count,
        changes: facts.change_count,
        own_documents: space.documents,
        own_changes: space.changes,
        in_sync: facts.documents == space.items.fingerprint().to_be_bytes()
            && facts.statements == space.charter.fingerprint(),
    })
}
