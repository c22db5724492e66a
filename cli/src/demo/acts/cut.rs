//! Act 3: the shared documents, and the cut.

use serde_json::{Value, json};
use starling_api::client::ClientError;
use starling_api::peer::BlockPeer;

use super::{PLAN, STOCK, VISITS};
use crate::demo::claim::Checking;
use crate::demo::world::{SIDES, World};

pub(super) fn common_ground(world: &mut World) -> Checking<'_> {
    Box::pin(async move {
        let documents: [(&str, Value); 3] = [
            (PLAN, json!({ "title": "harvest", "colour": "grey" })),
            (VISITS, json!({ "count": { "$counter": 0 } })),
            (STOCK, json!({ "apples": 10, "pears": 10 })),
        ];
        for (name, value) in &documents {
            world.put(0, name, value).await?;
        }
        let (all, at_least) = (world.running(), super::registry::lines()?.len() + documents.len());
        let held = world.equal_heads(&all, at_least).await?;
        Ok(format!("{PLAN}, {VISITS} and {STOCK}; {held} documents on every node"))
    })
}

pub(super) fn cut(world: &mut World) -> Checking<'_> {
    Box::pin(async move {
        for (node, other) in crossings() {
            let key = world.node(other).key.clone();
            world.node(node).client.block_peer(&key, &BlockPeer { for_s: None }).await?;
        }
        while let Some(link) = crossing_connection(world).await? {
            world.observe(link);
            world.pause().await;
        }
        let [left, right] = SIDES.map(|side| world.names(side.nodes));
        Ok(format!("{left} | {right}"))
    })
}

/// Every ordered pair of nodes on different sides.
pub(super) fn crossings() -> Vec<(usize, usize)> {
    let [left, right] = &SIDES;
    left.nodes
        .iter()
        .flat_map(|one| right.nodes.iter().flat_map(move |other| [(*one, *other), (*other, *one)]))
        .collect()
}

async fn crossing_connection(world: &World) -> Result<Option<String>, ClientError> {
    for (node, other) in crossings() {
        let peers = world.node(node).client.peers().await?.items;
        if peers.iter().any(|peer| peer.connected && peer.key == world.node(other).key) {
            return Ok(Some(format!(
                "{} is still connected to {}",
                world.node(node).name,
                world.node(other).name
            )));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::crossings;

    #[test]
    fn three_against_two_is_cut_by_twelve_blocks() {
        let crossings = crossings();
        assert_eq!(crossings.len(), 12);
        assert!(crossings.iter().all(|(one, other)| (*one < 3) != (*other < 3)));
    }
}
