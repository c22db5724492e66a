//! Acts 5 and 7: a node is killed in the middle of writes, and comes back with all it acknowledged.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use serde_json::json;

use crate::demo::claim::{Checking, Refuted};
use crate::demo::world::{VICTIM, World};

/// Writers at once, so that the kill hits writes in every stage.
const WRITERS: usize = 8;

/// Writes that must have been acknowledged before the kill.
const ACKNOWLEDGED_MIN: usize = 80;

pub(super) fn killed(world: &mut World) -> Checking<'_> {
    Box::pin(async move {
        let acknowledged = Mutex::new(BTreeMap::new());
        let failed = AtomicBool::new(false);
        let mut process = world.cluster.nodes[VICTIM].take_process()?;
        {
            let world = &*world;
            let writers = join_all(
                (0..WRITERS).map(|writer| write_until_it_fails(world, writer, &acknowledged, &failed)),
            );
            let killer = async {
                while acknowledged_so_far(&acknowledged) < ACKNOWLEDGED_MIN && !failed.load(Ordering::Relaxed)
                {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
                process.kill().await
            };
            let (_, killed) = tokio::join!(writers, killer);
            killed?;
        }
        world.acknowledged = acknowledged.into_inner().unwrap_or_default();
        let (count, name) = (world.acknowledged.len(), world.node(VICTIM).name);
        if count < ACKNOWLEDGED_MIN {
            return Err(Refuted::because(format!(
                "{name} refused a write after {count} acknowledged ones, before it was killed"
            )));
        }
        Ok(format!("{name} had acknowledged {count} writes; {WRITERS} more were under way"))
    })
}

/// Writes a document of its own again and again until the node is gone, and notes what was acknowledged.
async fn write_until_it_fails(
    world: &World,
    writer: usize,
    acknowledged: &Mutex<BTreeMap<String, u64>>,
    failed: &AtomicBool,
) {
    for number in 0.. {
        let name = format!("crash/{writer}/{number:05}");
        if world.put(VICTIM, &name, &json!({ "number": number })).await.is_err() {
            failed.store(true, Ordering::Relaxed);
            return;
        }
        if let Ok(mut acknowledged) = acknowledged.lock() {
            acknowledged.insert(name, number);
        }
    }
}

fn acknowledged_so_far(acknowledged: &Mutex<BTreeMap<String, u64>>) -> usize {
    acknowledged.lock().map_or(0, |acknowledged| acknowledged.len())
}

pub(super) fn restarted(world: &mut World) -> Checking<'_> {
    Box::pin(async move {
        let node = &mut world.cluster.nodes[VICTIM];
        let key = node.key.clone();
        node.start()?;
        node.ready().await?;
        let (name, same) = (node.name, node.key == key);
        if !same {
            return Err(Refuted::because(format!("{name} came back with another identity")));
        }
        super::heal::lift_blocks(world).await?;
        Ok(format!("{name} {key:.8}"))
    })
}

pub(super) fn nothing_lost(world: &mut World) -> Checking<'_> {
    Box::pin(async move {
        let mut missing = Vec::new();
        for (name, number) in &world.acknowledged {
            match world.value(VICTIM, name).await {
                Ok(value) if value["number"] == *number => {}
                Ok(value) => missing.push(format!("{name} holds {value}")),
                Err(error) => missing.push(format!("{name}: {error}")),
            }
        }
        let count = world.acknowledged.len();
        match missing.first() {
            Some(first) => Err(Refuted::because(format!(
                "{} of {count} acknowledged writes are missing; first: {first}",
                missing.len()
            ))),
            None => Ok(format!(
                "{count} acknowledged writes, read one by one at {}; 0 missing",
                world.node(VICTIM).name
            )),
        }
    })
}

pub(super) fn all_equal(world: &mut World) -> Checking<'_> {
    Box::pin(async move {
        let all = world.running();
        if all.len() != world.cluster.nodes.len() {
            return Err(Refuted::because("not every node runs"));
        }
        let held = world.equal_heads(&all, 1).await?;
        let names = world.heads(0).await?;
        if let Some(missing) = world.acknowledged.keys().find(|name| !names.contains_key(*name)) {
            return Err(Refuted::because(format!("{missing} never reached {}", world.node(0).name)));
        }
        Ok(format!("{held} documents on {}", world.names(&all)))
    })
}
