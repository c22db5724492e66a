//! A claim: one sentence, a deadline, and the check that makes it true or not.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use serde::Serialize;
use starling_api::client::ClientError;

use super::world::World;

/// What was seen that shows a claim.
pub(super) type Evidence = Result<String, Refuted>;

/// A check under way.
pub(super) type Checking<'a> = Pin<Box<dyn Future<Output = Evidence> + 'a>>;

/// A part of the story.
pub(super) struct Act {
    /// Its title.
    pub(super) title: &'static str,
    /// One sentence that says what happens and why it matters.
    pub(super) sentence: &'static str,
    /// What is claimed in it, in order.
    pub(super) claims: &'static [Claim],
}

/// One claim.
pub(super) struct Claim {
    /// Its stable name.
    pub(super) name: &'static str,
    /// What is claimed, in words.
    pub(super) says: &'static str,
    /// How long the check may take.
    pub(super) within: Duration,
    /// Does what the claim is about and looks whether it holds.
    pub(super) check: for<'a> fn(&'a mut World) -> Checking<'a>,
}

/// Why a claim does not hold.
#[derive(Debug)]
pub(super) struct Refuted(String);

/// A claim after its check. In JSON: `{claim, ok, took_ms, detail}`.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    /// The claim's name.
    pub(super) claim: &'static str,
    /// Whether it holds.
    pub(super) ok: bool,
    /// How long the check took.
    pub(super) took_ms: u64,
    /// What was seen.
    pub(super) detail: String,
    /// What is claimed, for people.
    #[serde(skip)]
    pub(super) says: &'static str,
}

impl Claim {
    /// Checks the claim within its deadline.
    pub(super) async fn check(&self, world: &mut World) -> Checked {
        let started = Instant::now();
        world.observe("nothing yet");
        let outcome = tokio::time::timeout(self.within, (self.check)(world)).await;
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (ok, detail) = match outcome {
            Ok(Ok(detail)) => (true, detail),
            Ok(Err(Refuted(why))) => (false, why),
            Err(_) => {
                let seconds = self.within.as_secs();
                (false, format!("passed its deadline of {seconds} s; last seen: {}", world.observed()))
            }
        };
        Checked { claim: self.name, ok, took_ms, detail, says: self.says }
    }
}

impl Refuted {
    /// A claim that does not hold, and what was seen instead.
    pub(super) fn because(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl From<ClientError> for Refuted {
    fn from(error: ClientError) -> Self {
        Self(error.to_string())
    }
}

impl From<std::io::Error> for Refuted {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for Refuted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Claim, Refuted};
    use crate::demo::cluster::Cluster;
    use crate::demo::world::World;

    fn world() -> World {
        World::new(Cluster::new().unwrap())
    }

    fn claim(within: Duration, check: for<'a> fn(&'a mut World) -> super::Checking<'a>) -> Claim {
        Claim { name: "n", says: "s", within, check }
    }

    #[tokio::test]
    async fn a_claim_that_passes_its_deadline_fails_and_says_what_was_seen() {
        let late = claim(Duration::from_millis(5), |world| {
            Box::pin(async move {
                world.observe("three of five");
                std::future::pending().await
            })
        });
        let checked = late.check(&mut world()).await;
        assert!(!checked.ok);
        assert!(
            checked.detail.contains("deadline") && checked.detail.contains("three of five"),
            "{}",
            checked.detail
        );
    }

    #[tokio::test]
    async fn refuted_and_shown_claims_say_so() {
        let second = Duration::from_secs(1);
        let refuted =
            claim(second, |_| Box::pin(async { Err(Refuted::because("no")) })).check(&mut world()).await;
        assert!(!refuted.ok && refuted.detail == "no");
        let shown = claim(second, |_| Box::pin(async { Ok("yes".to_owned()) })).check(&mut world()).await;
        let json = serde_json::to_value(&shown).unwrap();
        assert_eq!(json["claim"], "n");
        assert_eq!(json["ok"], true);
        assert_eq!(json["detail"], "yes");
        assert!(json["took_ms"].is_u64() && json.as_object().unwrap().len() == 4);
    }
}
