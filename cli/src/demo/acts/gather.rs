//! Act 1: nodes start, a space is made, four join.

use starling_api::space::{CreateInvite, JoinState, Role};

use crate::demo::claim::{Checking, Refuted};
use crate::demo::world::World;

pub(super) fn nodes_start(world: &mut World) -> Checking<'_> {
    Box::pin(async move {
        for node in &mut world.cluster.nodes {
            node.start()?;
        }
        for node in &mut world.cluster.nodes {
            node.ready().await?;
        }
        let mut keys: Vec<_> = world.cluster.nodes.iter().map(|node| node.key.clone()).collect();
        keys.sort();
        keys.dedup();
        if keys.len() != world.cluster.nodes.len() {
            return Err(Refuted::because("two nodes share an identity"));
        }
        let named: Vec<_> =
            world.cluster.nodes.iter().map(|node| format!("{} {:.8}", node.name, node.key)).collect();
        Ok(named.join(", "))
    })
}

pub(super) fn space_created(world: &mut World) -> Checking<'_> {
    Box::pin(async move {
        let space = world.node(0).client.create_space("demo").await?;
        world.space = space.id.clone();
        Ok(format!("{} made the space {} {:.8}", world.node(0).name, space.name, space.id))
    })
}

pub(super) fn four_joined(world: &mut World) -> Checking<'_> {
    Box::pin(async move {
        let others = u32::try_from(world.cluster.nodes.len() - 1).unwrap_or(u32::MAX);
        let wanted =
            CreateInvite { role: Role::Writer, prefix: None, uses: Some(others), expires_in_s: Some(600) };
        let invite = world.node(0).client.invite(&world.space, &wanted).await?;
        for node in &world.cluster.nodes[1..] {
            node.client.join(&invite.ticket).await?;
        }
        loop {
            let mut seen = Vec::new();
            for node in &world.cluster.nodes {
                // A node that has just joined may not hold the genesis yet.
                let spaces = node.client.spaces().await?.items;
                let space = spaces.iter().find(|space| space.id == world.space);
                seen.push(space.map(|space| (space.state, space.members)));
            }
            let complete = Some((JoinState::Joined, world.cluster.nodes.len() as u64));
            if seen.iter().all(|seen| *seen == complete) {
                return Ok(format!(
                    "one ticket for {others} writers; every node lists {} members",
                    seen.len()
                ));
            }
            let missing: Vec<_> = world
                .cluster
                .nodes
                .iter()
                .zip(&seen)
                .filter(|(_, seen)| **seen != complete)
                .map(|(node, seen)| format!("{}: {seen:?}", node.name))
                .collect();
            world.observe(missing.join("; "));
            world.pause().await;
        }
    })
}

/// The four learn each other's addresses from beacons: only the first node's stood in the ticket.
pub(super) fn all_connected(world: &mut World) -> Checking<'_> {
    Box::pin(async move {
        let others = world.cluster.nodes.len() - 1;
        loop {
            let mut alone = Vec::new();
            for node in &world.cluster.nodes {
                let peers = node.client.peers().await?.items;
                let connected = peers.iter().filter(|peer| peer.connected).count();
                if connected < others {
                    alone.push(format!("{} has {connected} of {others} connections", node.name));
                }
            }
            if alone.is_empty() {
                return Ok(format!("{others} connections at each of {} nodes", others + 1));
            }
            world.observe(alone.join("; "));
            world.pause().await;
        }
    })
}
