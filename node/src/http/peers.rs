//! Peers: shown, dialled, cut off.

use std::{collections::BTreeMap, time::Duration};

use axum::{extract::State, http::StatusCode};
use starling_api::{
    Code, Problem,
    peer::{AddPeer, BlockPeer, PeerAdded, PeerList},
};
use starling_crdt::{address::Address, id::AuthorKey};

use super::{
    answer::{Answer, Names, Refused, Shaped, refused},
    report,
    state::Api,
};
use crate::network::address::{author_of_peer_id, normalise, peer_id_text};

/// Fewest digits that stand for a key or a PeerId.
const PREFIX_DIGITS_MIN: usize = 4;

/// Most names an ambiguous one is answered with.
const CANDIDATES_MAX: usize = 16;

pub(super) async fn list(State(api): State<Api>) -> Result<Answer<PeerList>, Refused> {
    let reports = api.node.peers().await?;
    let peer = |known| report::peer(known, api.node.bytes_of(known.key));
    let mut items: Vec<_> = reports.iter().map(peer).collect();
    items.sort_by(|a, b| (!a.connected, &a.key).cmp(&(!b.connected, &b.key)));
    Ok(Answer(StatusCode::OK, PeerList { items }))
}

pub(super) async fn add(
    State(api): State<Api>,
    Shaped(asked): Shaped<AddPeer>,
) -> Result<Answer<PeerAdded>, Refused> {
    let bad = |error: &dyn std::fmt::Display| refused(Code::BadAddress, error.to_string());
    let texts = normalise(&asked.address).map_err(|error| bad(&error))?;
    for text in &texts {
        let address = Address::new(text.as_str()).map_err(|error| bad(&error))?;
        api.node.add_peer(address).await?;
    }
    Ok(Answer(StatusCode::ACCEPTED, PeerAdded { address: texts.join(" ") }))
}

pub(super) async fn block(
    State(api): State<Api>,
    Names(peer): Names<String>,
    Shaped(asked): Shaped<BlockPeer>,
) -> Result<StatusCode, Refused> {
    let peer = find(&api, &peer).await?;
    api.node.block(peer, asked.for_s.map(Duration::from_secs)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn unblock(
    State(api): State<Api>,
    Names(peer): Names<String>,
) -> Result<StatusCode, Refused> {
    let peer = find(&api, &peer).await?;
    api.node.unblock(peer).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The one peer or member that a name, key, PeerId or prefix stands for. A whole key or PeerId need
/// not be known here.
async fn find(api: &Api, text: &str) -> Result<AuthorKey, Refused> {
    if let Some(key) = text.parse().ok().or_else(|| author_of_peer_id(text)) {
        return Ok(key);
    }
    let mut known = BTreeMap::new();
    for peer in api.node.peers().await? {
        known.insert(peer.key, peer.name);
    }
    for space in api.node.status().await?.spaces {
        for member in api.node.members(space.id).await?.iter().filter(|member| !member.this_node) {
            known.insert(member.member.key, Some(report::member(member).name));
        }
    }
    one_of(&known, text)
}

/// A name as a whole goes before prefixes of keys.
pub(super) fn one_of(known: &BTreeMap<AuthorKey, Option<String>>, text: &str) -> Result<AuthorKey, Refused> {
    let by = |matches: &dyn Fn(&AuthorKey, Option<&str>) -> bool| -> Vec<AuthorKey> {
        known.iter().filter(|(key, name)| matches(key, name.as_deref())).map(|(key, _)| *key).collect()
    };
    let mut found = by(&|_, name| name == Some(text));
    if found.is_empty() && text.len() >= PREFIX_DIGITS_MIN {
        found = by(&|key, _| key.to_string().starts_with(text) || peer_id_text(key).starts_with(text));
    }
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(Problem::new(Code::UnknownPeer, format!("no peer or member is called {text:?}"))
            .with_hint(
                "`starling peers` and `starling members` show names and keys; a whole key always works",
            )
            .into()),
        several => {
            let candidates = several.iter().take(CANDIDATES_MAX).map(ToString::to_string).collect();
            let detail = format!("{} peers or members answer to {text:?}", several.len());
            Err(Problem::new(Code::AmbiguousPeer, detail).with_candidates(candidates).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_found_by_name_by_prefix_or_not_at_all() {
        let keys = [AuthorKey([0x11; 32]), AuthorKey([0x12; 32]), AuthorKey([0x22; 32])];
        let names = [Some("harbour".to_owned()), Some("1212".to_owned()), None];
        let known: BTreeMap<_, _> = keys.into_iter().zip(names).collect();
        let find = |text: &str| one_of(&known, text).map_err(|refused| refused.0);
        assert_eq!(find("harbour").ok(), Some(keys[0]));
        assert_eq!(find("1212").ok(), Some(keys[1]), "a whole name goes first");
        assert_eq!(find("2222").ok(), Some(keys[2]));
        assert_eq!(find(&peer_id_text(&keys[2])).ok(), Some(keys[2]));
        assert_eq!(find("222").map_err(|problem| problem.code), Err(Code::UnknownPeer), "too short");
        let problem = find(&peer_id_text(&keys[0])[..8]).expect_err("all ed25519 PeerIds start alike");
        assert_eq!((problem.code, problem.candidates.len()), (Code::AmbiguousPeer, 3));
    }
}
