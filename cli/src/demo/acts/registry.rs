//! Act 2: the MIME type registry, imported at one node, held by all.

use serde_json::Value;
use starling_api::document::BatchLine;

use crate::demo::claim::{Checking, Refuted};
use crate::demo::world::World;

/// `mime-db` 1.54.0, a record a line (see `data/README.md`).
const REGISTRY: &str = include_str!("../../../data/mime-db.ndjson");

/// One document a record, named by its type.
pub(super) fn lines() -> Result<Vec<BatchLine>, Refuted> {
    let record = |line: &str| {
        let value: Value = serde_json::from_str(line).map_err(|error| Refuted::because(error.to_string()))?;
        let name = value["type"].as_str().ok_or_else(|| Refuted::because("a record without a type"))?;
        Ok(BatchLine::Put { doc: format!("mime/{name}"), value, base: None })
    };
    REGISTRY.lines().map(record).collect()
}

pub(super) fn imported(world: &mut World) -> Checking<'_> {
    Box::pin(async move {
        let lines = lines()?;
        let (count, started) = (lines.len(), std::time::Instant::now());
        let (mut accepted, mut refused) = (0, None);
        let answered = world
            .node(0)
            .client
            .batch_all(&world.space, lines, |result| match result.outcome {
                Ok(_) => accepted += 1,
                Err(problem) => refused = Some(problem.to_string()),
            })
            .await?;
        match refused {
            Some(why) => Err(Refuted::because(format!("the node refused a record: {why}"))),
            None if accepted != count => {
                Err(Refuted::because(format!("{answered} of {count} records were answered")))
            }
            None => {
                let rate =
                    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / started.elapsed().as_secs_f64();
                Ok(format!("{count} documents at {}, {rate:.0} a second, each durable", world.node(0).name))
            }
        }
    })
}

pub(super) fn everywhere(world: &mut World) -> Checking<'_> {
    Box::pin(async move {
        let count = lines()?.len();
        let all = world.running();
        let held = world.equal_heads(&all, count).await?;
        if held != count {
            return Err(Refuted::because(format!("the nodes hold {held} documents, {count} were imported")));
        }
        Ok(format!("{held} documents, heads compared one by one on {}", world.names(&all)))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::lines;

    #[test]
    fn every_record_has_a_name_that_documents_may_have() {
        let lines = lines().unwrap();
        let names: BTreeSet<_> = lines.iter().map(|line| line.doc().to_owned()).collect();
        assert_eq!((lines.len(), names.len()), (2522, 2522));
        for name in names {
            assert!(name.len() <= 512 && !name.chars().any(char::is_control), "{name}");
            assert!(name.split('/').all(|segment| !segment.is_empty()), "{name}");
        }
    }
}
