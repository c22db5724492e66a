//! Act 6: the blocks are lifted, and both sides' work comes together.

use std::time::Instant;

use starling_api::client::ClientError;
use starling_api::document::ConflictValue;

use super::sides::WORK;
use super::{PLAN, STOCK, VISITS};
use crate::demo::claim::{Checking, Refuted};
use crate::demo::world::World;

pub(super) fn converged(world: &mut World) -> Checking<'_> {
    Box::pin(async move {
        lift_blocks(world).await?;
        let healed = Instant::now();
        let running = world.running();
        let held = world.equal_heads(&running, 1).await?;
        let colour = world.value(0, PLAN).await?["colour"].clone();
        if !WORK.iter().any(|work| colour == work.colour) {
            return Err(Refuted::because(format!("the plan's colour is {colour}, which nobody wrote last")));
        }
        Ok(format!(
            "{held} documents on {}, {:.2} s after the cut was lifted",
            world.names(&running),
            healed.elapsed().as_secs_f64()
        ))
    })
}

/// Lifts every block on every node that runs.
pub(super) async fn lift_blocks(world: &World) -> Result<(), ClientError> {
    for index in world.running() {
        let client = &world.node(index).client;
        for peer in client.peers().await?.items {
            if peer.blocked.is_some() {
                client.unblock_peer(&peer.key).await?;
            }
        }
    }
    Ok(())
}

pub(super) fn conflict_shown(world: &mut World) -> Checking<'_> {
    Box::pin(async move {
        let mut first = None;
        for index in world.running() {
            let conflicts = world.node(index).client.conflicts(&world.space, PLAN).await?.items;
            let conflict = conflicts.iter().find(|conflict| conflict.pointer == "/colour");
            let conflict = conflict.ok_or_else(|| {
                Refuted::because(format!("{} shows no conflict at /colour of {PLAN}", world.node(index).name))
            })?;
            for work in &WORK {
                let author = &world.node(work.node).key;
                let colour = Some(serde_json::Value::from(work.colour));
                let kept =
                    conflict.values.iter().any(|value| value.value == colour && value.author == *author);
                if !kept {
                    return Err(Refuted::because(format!("{} lost {}", world.node(index).name, work.colour)));
                }
            }
            let shown: Vec<_> = conflict
                .values
                .iter()
                .map(|value| (value.shown, written(value), world.name_of(&value.author)))
                .collect();
            match &first {
                None => first = Some(shown),
                Some(first) if *first == shown => {}
                Some(_) => {
                    return Err(Refuted::because(format!("{} shows it otherwise", world.node(index).name)));
                }
            }
        }
        let said = first.unwrap_or_default().into_iter().map(|(shown, value, author)| {
            format!("{} {value} by {author}", if shown { "shown" } else { "kept " })
        });
        Ok(said.collect::<Vec<_>>().join("\n"))
    })
}

fn written(value: &ConflictValue) -> String {
    value.value.as_ref().map_or_else(|| "a deletion".to_owned(), ToString::to_string)
}

pub(super) fn counter_summed(world: &mut World) -> Checking<'_> {
    Box::pin(async move {
        let parts: Vec<i64> = WORK.iter().map(|work| work.visits.iter().sum()).collect();
        let sum: i64 = parts.iter().sum();
        let running = world.running();
        world.agree_on(&running, VISITS, |visits| visits["count"]["$counter"] == sum).await?;
        Ok(format!("{} + {} = {sum} on {}", parts[0], parts[1], world.names(&running)))
    })
}

pub(super) fn members_merged(world: &mut World) -> Checking<'_> {
    Box::pin(async move {
        let running = world.running();
        let is_merged =
            |stock: &serde_json::Value| WORK.iter().all(|work| stock[work.stock.0] == work.stock.1);
        let stock = world.agree_on(&running, STOCK, is_merged).await?;
        Ok(format!("{STOCK}: {stock}"))
    })
}
