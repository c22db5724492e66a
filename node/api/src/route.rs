//! Paths of the API: the router's patterns, and functions that fill them in.
//!
//! Every variable part is percent-encoded; the `/` of a document name stays, because the router reads
//! the name as the rest of the path.

use std::fmt::Write as _;

/// Pattern of the status route.
pub const STATUS: &str = "/v1/status";
/// Pattern of the spaces route.
pub const SPACES: &str = "/v1/spaces";
/// Pattern of one space.
pub const SPACE: &str = "/v1/spaces/{space}";
/// Pattern of a space's listing.
pub const DOCUMENTS: &str = "/v1/spaces/{space}/docs";
/// Pattern of one document.
pub const DOCUMENT: &str = "/v1/spaces/{space}/docs/{*name}";
/// Pattern of the operations on one document.
pub const OPERATIONS: &str = "/v1/spaces/{space}/ops/{*name}";
/// Pattern of the conflicts of one document.
pub const CONFLICTS: &str = "/v1/spaces/{space}/conflicts/{*name}";
/// Pattern of the conflicts of a space.
pub const SPACE_CONFLICTS: &str = "/v1/spaces/{space}/conflicts";
/// Pattern of the history of one document.
pub const HISTORY: &str = "/v1/spaces/{space}/history/{*name}";
/// Pattern of the history of a space.
pub const SPACE_HISTORY: &str = "/v1/spaces/{space}/history";
/// Pattern of who wrote the values of one document.
pub const BLAME: &str = "/v1/spaces/{space}/blame/{*name}";
/// Pattern of what differs between two states of one document.
pub const DIFF: &str = "/v1/spaces/{space}/diff/{*name}";
/// Pattern of the batch route.
pub const BATCH: &str = "/v1/spaces/{space}/batch";
/// Pattern of the watch route.
pub const WATCH: &str = "/v1/spaces/{space}/watch";
/// Pattern of a space's members.
pub const MEMBERS: &str = "/v1/spaces/{space}/members";
/// Pattern of a space's invites.
pub const INVITES: &str = "/v1/spaces/{space}/invites";
/// Pattern of the route that waits until others hold something.
pub const WAIT: &str = "/v1/spaces/{space}/wait";
/// Pattern of the route that compares this node with others.
pub const COMPARE: &str = "/v1/spaces/{space}/compare";
/// Pattern of what is kept out of a space's documents.
pub const QUARANTINE: &str = "/v1/spaces/{space}/quarantine";
/// Pattern of the proven forks of a space.
pub const FORKS: &str = "/v1/spaces/{space}/forks";
/// Pattern of the join route.
pub const JOIN: &str = "/v1/join";
/// Pattern of the peers route.
pub const PEERS: &str = "/v1/peers";
/// Pattern of one peer's block.
pub const PEER_BLOCK: &str = "/v1/peers/{id}/block";
/// Pattern of the route that gives a backup.
pub const BACKUP: &str = "/v1/backup";
/// Pattern of the route that checks the store.
pub const VERIFY: &str = "/v1/verify";
/// Pattern of the route that merges deltas.
pub const COMPACT: &str = "/v1/compact";
/// Pattern of the log's filter.
pub const LOG_LEVEL: &str = "/v1/log-level";
/// Whether the process lives.
pub const HEALTH: &str = "/healthz";
/// Whether the node serves.
pub const READY: &str = "/readyz";
/// Figures in the Prometheus text form.
pub const METRICS: &str = "/metrics";
/// The API described: an OpenAPI document.
pub const OPENAPI: &str = "/openapi.json";

/// Every pattern, for checks that compare router, client and prose.
pub const ALL: &[&str] = &[
    STATUS,
    SPACES,
    SPACE,
    DOCUMENTS,
    DOCUMENT,
    OPERATIONS,
    CONFLICTS,
    SPACE_CONFLICTS,
    HISTORY,
    SPACE_HISTORY,
    BLAME,
    DIFF,
    BATCH,
    WATCH,
    MEMBERS,
    INVITES,
    WAIT,
    COMPARE,
    QUARANTINE,
    FORKS,
    JOIN,
    PEERS,
    PEER_BLOCK,
    BACKUP,
    VERIFY,
    COMPACT,
    LOG_LEVEL,
    HEALTH,
    READY,
    METRICS,
    OPENAPI,
];

/// Path of one space, by name, id or id prefix.
#[must_use]
pub fn space(space: &str) -> String {
    format!("{SPACES}/{}", encode_segment(space))
}

/// Path of a space's listing.
#[must_use]
pub fn documents(space_name: &str) -> String {
    space(space_name) + "/docs"
}

/// Path of one document.
#[must_use]
pub fn document(space_name: &str, name: &str) -> String {
    format!("{}/docs/{}", space(space_name), encode_name(name))
}

/// Path of the operations on one document.
#[must_use]
pub fn operations(space_name: &str, name: &str) -> String {
    format!("{}/ops/{}", space(space_name), encode_name(name))
}

/// Path of the conflicts of one document.
#[must_use]
pub fn conflicts(space_name: &str, name: &str) -> String {
    format!("{}/conflicts/{}", space(space_name), encode_name(name))
}

/// Path of the conflicts of a space.
#[must_use]
pub fn space_conflicts(space_name: &str) -> String {
    space(space_name) + "/conflicts"
}

/// Path of the history of one document.
#[must_use]
pub fn history(space_name: &str, name: &str) -> String {
    format!("{}/history/{}", space(space_name), encode_name(name))
}

/// Path of the history of a space.
#[must_use]
pub fn space_history(space_name: &str) -> String {
    space(space_name) + "/history"
}

/// Path of who wrote the values of one document.
#[must_use]
pub fn blame(space_name: &str, name: &str) -> String {
    format!("{}/blame/{}", space(space_name), encode_name(name))
}

/// Path of what differs between two states of one document.
#[must_use]
pub fn diff(space_name: &str, name: &str) -> String {
    format!("{}/diff/{}", space(space_name), encode_name(name))
}

/// Path of a space's batch route.
#[must_use]
pub fn batch(space_name: &str) -> String {
    space(space_name) + "/batch"
}

/// Path of a space's watch route.
#[must_use]
pub fn watch(space_name: &str) -> String {
    space(space_name) + "/watch"
}

/// Path of a space's members.
#[must_use]
pub fn members(space_name: &str) -> String {
    space(space_name) + "/members"
}

/// Path of a space's invites.
#[must_use]
pub fn invites(space_name: &str) -> String {
    space(space_name) + "/invites"
}

/// Path of a space's wait route.
#[must_use]
pub fn wait(space_name: &str) -> String {
    space(space_name) + "/wait"
}

/// Path of a space's compare route.
#[must_use]
pub fn compare(space_name: &str) -> String {
    space(space_name) + "/compare"
}

/// Path of what is kept out of a space's documents.
#[must_use]
pub fn quarantine(space_name: &str) -> String {
    space(space_name) + "/quarantine"
}

/// Path of the proven forks of a space.
#[must_use]
pub fn forks(space_name: &str) -> String {
    space(space_name) + "/forks"
}

/// Path of one peer's block, by name, key, `PeerId` or unique prefix.
#[must_use]
pub fn peer_block(peer: &str) -> String {
    format!("{PEERS}/{}/block", encode_segment(peer))
}

/// A path with a query of those members whose value is present.
#[must_use]
pub fn with_query(path: &str, members: &[(&str, Option<&str>)]) -> String {
    let mut out = path.to_owned();
    let mut separator = '?';
    for (name, value) in members {
        if let Some(value) = value {
            out.push(separator);
            out.push_str(name);
            out.push('=');
            push_encoded(&mut out, value);
            separator = '&';
        }
    }
    out
}

fn encode_name(name: &str) -> String {
    name.split('/').map(encode_segment).collect::<Vec<_>>().join("/")
}

fn encode_segment(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    push_encoded(&mut out, segment);
    out
}

/// Keeps RFC 3986's unreserved characters and encodes every other byte.
fn push_encoded(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_name_keeps_its_slashes_and_encodes_the_rest() {
        assert_eq!(document("shop", "config/web prod?#%"), "/v1/spaces/shop/docs/config/web%20prod%3F%23%25");
        assert_eq!(operations("a/b", "ü"), "/v1/spaces/a%2Fb/ops/%C3%BC");
    }

    #[test]
    fn absent_members_leave_no_trace_in_a_query() {
        assert_eq!(with_query("/x", &[("a", None), ("b", None)]), "/x");
        assert_eq!(
            with_query("/x", &[("a", None), ("b", Some("1&2")), ("c", Some("+"))]),
            "/x?b=1%262&c=%2B"
        );
    }

    #[test]
    fn filled_paths_fit_their_patterns() {
        let filled = [
            (SPACE, space("s")),
            (DOCUMENTS, documents("s")),
            (DOCUMENT, document("s", "n")),
            (OPERATIONS, operations("s", "n")),
            (CONFLICTS, conflicts("s", "n")),
            (SPACE_CONFLICTS, space_conflicts("s")),
            (HISTORY, history("s", "n")),
            (SPACE_HISTORY, space_history("s")),
            (BLAME, blame("s", "n")),
            (DIFF, diff("s", "n")),
            (BATCH, batch("s")),
            (WATCH, watch("s")),
            (MEMBERS, members("s")),
            (INVITES, invites("s")),
            (WAIT, wait("s")),
            (COMPARE, compare("s")),
            (QUARANTINE, quarantine("s")),
            (FORKS, forks("s")),
            (PEER_BLOCK, peer_block("p")),
        ];
        for (pattern, path) in filled {
            let expected = pattern.replace("{space}", "s").replace("{*name}", "n").replace("{id}", "p");
            assert_eq!(path, expected);
        }
    }
}
