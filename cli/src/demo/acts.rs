//! The story: acts in order, each a list of claims.

mod crash;
mod cut;
mod gather;
mod heal;
mod load;
mod registry;
mod sides;

use std::time::Duration;

use super::claim::{Act, Claim};

/// Documents the story writes on top of the registry, besides those of the load.
pub(super) const PLAN: &str = "demo/plan";
pub(super) const VISITS: &str = "demo/visits";
pub(super) const STOCK: &str = "demo/stock";

/// All acts.
pub(super) const ALL: &[Act] = &[
    Act {
        title: "Five nodes, one space",
        sentence: "Five processes with an identity each start on this machine; one makes a space, four join it by ticket, and no server is involved.",
        claims: &[
            claim("nodes-start", "five nodes run and answer", 20, gather::nodes_start),
            claim("space-created", "the first node makes a space", 5, gather::space_created),
            claim(
                "four-joined",
                "four nodes join by one ticket, and all five list five members",
                20,
                gather::four_joined,
            ),
            claim("all-connected", "each node finds the other four and connects", 20, gather::all_connected),
        ],
    },
    Act {
        title: "Real data arrives everywhere",
        sentence: "The MIME type registry is imported at one node, a document a type, and spreads to the other four.",
        claims: &[
            claim(
                "registry-imported",
                "the first node makes every record durable through the bulk route",
                20,
                registry::imported,
            ),
            claim(
                "registry-everywhere",
                "all five nodes hold every document with equal heads",
                25,
                registry::everywhere,
            ),
        ],
    },
    Act {
        title: "The network is cut, three against two",
        sentence: "Block lists keep the two sides from talking, as a broken cable between two sites would.",
        claims: &[
            claim(
                "common-ground",
                "three shared documents are on all five nodes before the cut",
                10,
                cut::common_ground,
            ),
            claim("cut", "no connection crosses the cut", 10, cut::cut),
        ],
    },
    Act {
        title: "Both sides work on",
        sentence: "Every node reads and writes locally, so neither side has to wait for the other, and each sees only its own work.",
        claims: &[
            claim("written-on-both-sides", "both sides write to the same three documents", 5, sides::written),
            claim(
                "served",
                "each side serves at least 200 reads and 200 writes, none of which fails",
                20,
                load::served,
            ),
            claim(
                "each-sees-its-own",
                "each side shows its own values and not the other's",
                5,
                sides::each_sees_its_own,
            ),
            claim(
                "absence-noticed",
                "each side sees that the other side's nodes do not answer",
                30,
                sides::absence_noticed,
            ),
        ],
    },
    Act {
        title: "A node is killed in the middle of writes",
        sentence: "SIGKILL gives a process no chance to tidy up; what it acknowledged must be on its disk already.",
        claims: &[claim("killed", "a node dies while eight writers write to it", 15, crash::killed)],
    },
    Act {
        title: "The network heals",
        sentence: "The blocks are lifted, the sides find each other and exchange what differs; no work of either is lost.",
        claims: &[
            claim(
                "converged",
                "the four running nodes hold the same documents with equal heads",
                30,
                heal::converged,
            ),
            claim(
                "conflict-shown",
                "every node shows the same value of the conflict and keeps the other, each with its author",
                5,
                heal::conflict_shown,
            ),
            claim("counter-summed", "the counter holds what both sides added", 5, heal::counter_summed),
            claim(
                "members-merged",
                "the document that both sides edited in different places holds both edits",
                5,
                heal::members_merged,
            ),
        ],
    },
    Act {
        title: "The killed node comes back",
        sentence: "It starts on the same directory; every write it ever acknowledged must be there, and it catches up with the rest.",
        claims: &[
            claim("restarted", "the killed node runs again on its own directory", 15, crash::restarted),
            claim(
                "nothing-lost",
                "the killed node itself holds every write it had acknowledged",
                10,
                crash::nothing_lost,
            ),
            claim(
                "all-equal",
                "all five nodes hold the same documents with equal heads, those writes among them",
                30,
                crash::all_equal,
            ),
        ],
    },
];

/// How many claims there are.
pub(super) fn count() -> usize {
    ALL.iter().map(|act| act.claims.len()).sum()
}

const fn claim(
    name: &'static str,
    says: &'static str,
    within_s: u64,
    check: for<'a> fn(&'a mut super::world::World) -> super::claim::Checking<'a>,
) -> Claim {
    Claim { name, says, within: Duration::from_secs(within_s), check }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{ALL, count};

    #[test]
    fn claims_have_names_of_their_own_and_sentences() {
        let names: BTreeSet<_> = ALL.iter().flat_map(|act| act.claims).map(|claim| claim.name).collect();
        assert_eq!(names.len(), count());
        for act in ALL {
            assert!(
                act.sentence.ends_with('.') && act.sentence.matches(". ").count() == 0,
                "{}",
                act.sentence
            );
            assert!(!act.claims.is_empty());
        }
    }
}
