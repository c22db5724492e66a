//! Looks at the node now and then, and tells the log and the figures what it should warn of.
//!
//! Promises: a warning is one line when it comes and one when it goes, however long it stands. Leaves out
//! what is warned of, which `crate::warnings` judges.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use futures::future::try_join_all;
use starling_api::{Code, status::Warning, warning};

use super::{answer::Refused, limits::WATCHMAN_PERIOD, state::Api};
use crate::{
    shutdown::Shutdown,
    warnings::{Picture, SpacePicture},
};

/// The node as warnings are judged by.
pub(super) async fn picture(api: &Api) -> Result<Picture, Refused> {
    let status = api.node.status().await?;
    let reports = status.spaces.clone();
    let spaces = reports.into_iter().map(|report| async move {
        let (id, node) = (report.id, &api.node);
        let large = node.large_documents(id, report.large.clone());
        match tokio::try_join!(node.members(id), node.kept_out_counts(id), large) {
            Ok((members, kept_out, large)) => Ok(Some(SpacePicture { report, members, kept_out, large })),
            // It was left meanwhile.
            Err(Refused(problem)) if problem.code == Code::UnknownSpace => Ok(None),
            Err(refused) => Err(refused),
        }
    });
    let spaces = try_join_all(spaces).await?.into_iter().flatten().collect();
    let version = env!("CARGO_PKG_VERSION");
    let built = status.built.with(api.node.built());
    api.metrics.built(built);
    Ok(Picture {
        status,
        spaces,
        room: api.facts.room(),
        store_fault: api.metrics.store_fault_age(),
        busy: api.metrics.last_busy(),
        documents_short: api.metrics.documents_short(),
        built,
        version,
    })
}

/// Sets the figures: how many of each kind stand.
pub(super) fn count(api: &Api, warnings: &[Warning]) {
    for kind in warning::ALL {
        let count = warnings.iter().filter(|told| told.code == kind.code).count();
        api.metrics.warning(kind.code, count as u64);
    }
}

/// Looks until the node stops.
pub(super) async fn watch(api: &Api, mut shutdown: Shutdown) {
    let mut standing = Standing::default();
    loop {
        tokio::select! {
            () = shutdown.requested() => return,
            () = tokio::time::sleep(WATCHMAN_PERIOD) => {}
        }
        // A node too busy to look is looked at the next time.
        if let Ok(picture) = picture(api).await {
            let warnings = picture.warnings();
            count(api, &warnings);
            standing.tell(warnings);
        }
    }
}

/// The kinds of warning that stand, with what was said of each when it came.
#[derive(Default)]
struct Standing(BTreeMap<String, String>);

impl Standing {
    fn tell(&mut self, warnings: Vec<Warning>) {
        let now: BTreeMap<String, Warning> =
            warnings.into_iter().rev().map(|told| (told.code.clone(), told)).collect();
        self.0.retain(|code, message| {
            let stands = now.contains_key(code);
            if !stands {
                tracing::info!(event = "warning_over", code, said = message, "a warning no longer stands");
            }
            stands
        });
        for (code, Warning { message, command, .. }) in now {
            if let Entry::Vacant(free) = self.0.entry(code) {
                tracing::warn!(event = "warning", code = free.key(), command, "{message}");
                free.insert(message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use starling_api::warning::{BEHIND, LOW_ROOM};

    use super::*;

    #[test]
    fn what_stands_is_remembered_by_kind_and_forgotten_when_it_is_over() {
        let mut standing = Standing::default();
        let codes = |standing: &Standing| standing.0.keys().cloned().collect::<Vec<_>>();
        standing.tell(vec![LOW_ROOM.warn("9 MiB"), BEHIND.warn("a"), BEHIND.warn("b")]);
        assert_eq!(codes(&standing), ["behind", "low-room"]);
        assert_eq!(standing.0["behind"], "a", "the first of a kind is told");
        standing.tell(vec![LOW_ROOM.warn("8 MiB")]);
        assert_eq!(
            (codes(&standing), standing.0["low-room"].as_str()),
            (vec!["low-room".to_owned()], "9 MiB")
        );
        standing.tell(Vec::new());
        assert!(standing.0.is_empty());
    }
}
