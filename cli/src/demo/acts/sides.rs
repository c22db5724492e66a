//! Act 4: what the two sides write, and what each sees of it.

use serde_json::{Value, json};
use starling_api::document::Operation;
use starling_api::member::MemberState;

use super::{PLAN, STOCK, VISITS};
use crate::demo::claim::{Checking, Refuted};
use crate::demo::world::{SIDES, World};

/// What one side writes.
pub(super) struct Work {
    /// The node that writes.
    pub(super) node: usize,
    /// The colour it gives the plan: both sides give another.
    pub(super) colour: &'static str,
    /// What it adds to the counter, one write each.
    pub(super) visits: &'static [i64],
    /// The member of the stock that only this side changes, and to what.
    pub(super) stock: (&'static str, i64),
}

/// The work of the left and of the right side.
pub(super) const WORK: [Work; 2] = [
    Work { node: 0, colour: "red", visits: &[1, 2, 4], stock: ("apples", 7) },
    Work { node: 3, colour: "blue", visits: &[10, 20], stock: ("pears", 3) },
];

pub(super) fn written(world: &mut World) -> Checking<'_> {
    Box::pin(async move {
        let mut said = Vec::new();
        for (side, work) in SIDES.iter().zip(&WORK) {
            let colour = Operation::Set { pointer: "/colour".to_owned(), value: json!(work.colour) };
            world.operate(work.node, PLAN, colour).await?;
            for by in work.visits {
                let visit = Operation::Increment { pointer: "/count".to_owned(), by: *by };
                world.operate(work.node, VISITS, visit).await?;
            }
            let (member, amount) = work.stock;
            let stock = Operation::Set { pointer: format!("/{member}"), value: json!(amount) };
            world.operate(work.node, STOCK, stock).await?;
            said.push(format!(
                "{} ({}): colour {}, {} visits, {member} {amount}",
                side.name,
                world.node(work.node).name,
                work.colour,
                work.visits.iter().sum::<i64>()
            ));
        }
        Ok(said.join("\n"))
    })
}

pub(super) fn each_sees_its_own(world: &mut World) -> Checking<'_> {
    Box::pin(async move {
        let mut said = Vec::new();
        for (side, work) in SIDES.iter().zip(&WORK) {
            let is_own = |plan: &Value| plan["colour"] == work.colour;
            let plan = world.agree_on(side.nodes, PLAN, is_own).await?;
            let own = work.visits.iter().sum::<i64>();
            let visits =
                world.agree_on(side.nodes, VISITS, |visits| visits["count"]["$counter"] == own).await?;
            let (member, amount) = work.stock;
            let stock = world.agree_on(side.nodes, STOCK, |stock| stock[member] == amount).await?;
            said.push(format!("{}: {plan} {visits} {stock}", side.name));
        }
        Ok(said.join("\n"))
    })
}

pub(super) fn absence_noticed(world: &mut World) -> Checking<'_> {
    Box::pin(async move {
        let mut said = Vec::new();
        for (side, other) in [(&SIDES[0], &SIDES[1]), (&SIDES[1], &SIDES[0])] {
            for node in side.nodes {
                let states = absent_states(world, *node, other.nodes).await?;
                if *node == side.nodes[0] {
                    said.push(format!("{} sees {states}", world.node(*node).name));
                }
            }
        }
        Ok(said.join("\n"))
    })
}

/// Waits until one node sees none of the others as alive, and says how it sees them.
async fn absent_states(world: &mut World, node: usize, others: &[usize]) -> Result<String, Refuted> {
    loop {
        let members = world.node(node).client.members(&world.space).await?.items;
        let mut states = Vec::new();
        for other in others {
            let member = members.iter().find(|member| member.key == world.node(*other).key);
            let member = member
                .ok_or_else(|| Refuted::because(format!("{} is no member", world.node(*other).name)))?;
            states.push((world.node(*other).name, member.state));
        }
        let said: Vec<_> = states.iter().map(|(name, state)| format!("{name} as {state}")).collect();
        if states.iter().all(|(_, state)| matches!(state, MemberState::Suspect | MemberState::Away)) {
            return Ok(said.join(", "));
        }
        world.observe(format!("{} sees {}", world.node(node).name, said.join(", ")));
        world.pause().await;
    }
}
