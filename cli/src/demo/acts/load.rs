//! Act 4: reads and writes on both sides while the network is cut.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::demo::claim::{Checking, Refuted};
use crate::demo::world::{SIDES, World};

/// Writes and reads per node; the smaller side has two nodes, so both sides serve at least 200 of each.
const PER_NODE: usize = 100;

pub(super) fn served(world: &mut World) -> Checking<'_> {
    Box::pin(async move {
        let mut said = Vec::new();
        for side in &SIDES {
            let mut figures = Figures::default();
            for node in side.nodes {
                serve(world, *node, &mut figures).await?;
            }
            if figures.reads < 200 || figures.writes < 200 {
                return Err(Refuted::because(format!("{}: too little was asked", side.name)));
            }
            said.push(format!(
                "{}: {} writes, slowest {:.1} ms; {} reads, slowest {:.1} ms; none failed",
                side.name,
                figures.writes,
                milliseconds(figures.slowest_write),
                figures.reads,
                milliseconds(figures.slowest_read),
            ));
        }
        Ok(said.join("\n"))
    })
}

#[derive(Default)]
struct Figures {
    writes: usize,
    reads: usize,
    slowest_write: Duration,
    slowest_read: Duration,
}

/// Writes a document and reads it back at the same node, again and again. The first failure ends it.
async fn serve(world: &World, node: usize, figures: &mut Figures) -> Result<(), Refuted> {
    for number in 0..PER_NODE {
        let name = format!("load/{}/{number:03}", world.node(node).name);
        let value: Value = json!({ "number": number, "by": world.node(node).name });
        let started = Instant::now();
        world.put(node, &name, &value).await?;
        figures.writes += 1;
        figures.slowest_write = figures.slowest_write.max(started.elapsed());
        let started = Instant::now();
        let read = world.value(node, &name).await?;
        figures.reads += 1;
        figures.slowest_read = figures.slowest_read.max(started.elapsed());
        if read != value {
            return Err(Refuted::because(format!("{} wrote {value} and read {read}", world.node(node).name)));
        }
    }
    Ok(())
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
