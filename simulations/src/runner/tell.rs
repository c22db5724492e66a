//! What a run was, as the record that every report is made from.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::faults;
use super::planted;
use super::run::Run;
use crate::properties;
use crate::record::{
    FaultRecord, Judged, MISSED_MAX, Missed, NodeRecord, Propagation, PropertyCount, Quantile,
    RECORD_VERSION, RunRecord, Timings, Verdict, Violation,
};
use crate::scenario::{Expect, FaultKind, Scenario};

/// Points of the distribution of delays.
const QUANTILES: [f64; 14] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 1.0];

/// Most nodes named in the words of a fault.
const WHOM_MAX: usize = 4;

/// A fault in words, with the sides it has at one time.
pub(super) fn span_words(run: &Run<'_>, fault: usize, sides: &[Vec<usize>]) -> String {
    faults::words(&run.faults[fault].kind, sides, |node| run.world.node(node).name.clone())
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Run<'_> {
    /// The record of this run.
    pub(super) fn tell(mut self) -> RunRecord {
        self.oracle.delays.sort_unstable();
        let scenario_toml = toml::to_string(self.scenario).unwrap_or_default();
        let now = self.world.now();
        // Everyone shows the same at the end, and had caught up with what the last fault kept away.
        let goal = self.oracle.goal;
        let convergence_us = self
            .converged
            .and(goal)
            .and_then(|goal| goal.reached.map(|reached| reached.saturating_sub(goal.since)));
        let missed = self.missed();
        let propagation = self.propagation();
        let expectations = self.expectations(convergence_us, &propagation);
        for judged in expectations.iter().filter(|judged| !judged.held) {
            let measured = judged.measured.clone().unwrap_or_else(|| "nothing".to_owned());
            self.findings.push(Violation {
                property: None,
                name: judged.name.clone(),
                at_us: now,
                words: format!("{} was to be {} and is {measured}", judged.name, judged.bound),
                ..Violation::default()
            });
        }
        let verdict = if !self.findings.is_empty() {
            Verdict::Violated
        } else if !self.undecided.is_empty() {
            Verdict::Undecided
        } else {
            Verdict::Held
        };
        let properties = properties::ALL.iter().map(|(number, name)| PropertyCount {
            number: *number,
            name: (*name).to_owned(),
            checks: self.checks.get(number).copied().unwrap_or(0),
            violations: self.findings.iter().filter(|found| found.property == Some(*number)).count() as u64,
        });
        let properties = properties.collect();
        RunRecord {
            version: RECORD_VERSION,
            scenario: self.scenario.name.clone(),
            summary: self.scenario.summary.clone(),
            scenario_digest: hex(Sha256::digest(&scenario_toml)),
            scenario_toml,
            seed: self.seed,
            binary: env!("CARGO_PKG_VERSION").to_owned(),
            planted: planted().map(str::to_owned),
            trace_hash: self.world.trace_hash(),
            replay: format!("starling sim run {} --seed {}", self.scenario.name, self.seed),
            verdict,
            nodes: self.node_records(),
            faults: self.fault_records(),
            timings: Timings {
                virtual_us: now,
                healed_us: goal.map_or(now, |goal| goal.since),
                convergence_us,
                events: self.world.events(),
                real_us: u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX),
            },
            undecided: self.undecided,
            violations: self.findings,
            expectations,
            properties,
            bands: self.bands,
            writes: self.counts,
            lag: self.lag,
            divergence: self.divergence,
            propagation,
            bytes: self.bytes,
            resources: self.resources,
            missed,
        }
    }

    fn node_records(&self) -> Vec<NodeRecord> {
        let nodes = self.world.nodes().iter().enumerate();
        nodes
            .map(|(index, node)| {
                let plan = self.plans.get(index);
                let word = |value: Option<serde_json::Value>| {
                    value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
                };
                NodeRecord {
                    name: node.name.clone(),
                    group: plan.map_or("twins".to_owned(), |plan| plan.group.name.clone()),
                    role: word(plan.and_then(|plan| serde_json::to_value(plan.group.role).ok())),
                    behaviour: plan.map_or("honest".to_owned(), |plan| {
                        word(serde_json::to_value(plan.group.behaviour).ok())
                    }),
                    starts: node.starts,
                    disk_full_us: self.filled.get(&index).copied(),
                    offences_seen: self
                        .offences
                        .iter()
                        .filter(|((by, _), _)| *by == index)
                        .map(|(_, n)| n)
                        .sum(),
                    offences_done: self
                        .offences
                        .iter()
                        .filter(|((_, of), _)| *of == index)
                        .map(|(_, n)| n)
                        .sum(),
                }
            })
            .collect()
    }

    fn fault_records(&self) -> Vec<FaultRecord> {
        let now = self.world.now();
        let faults = self.faults.iter().enumerate();
        faults
            .map(|(number, fault)| {
                let sides = fault.occurrences.first().map(|first| first.sides.clone()).unwrap_or_default();
                let mut spans = self.spans[number].clone();
                spans.iter_mut().for_each(|span| span.to_us = span.to_us.min(now));
                FaultRecord {
                    kind: fault.kind.name().to_owned(),
                    words: span_words(self, number, &sides) + &self.whom(number),
                    drawn: fault.drawn,
                    occurrences: self.spans[number].len() as u64,
                    fired: self.fired[number],
                    counted: faults::counted(&fault.kind).to_owned(),
                    spans,
                }
            })
            .collect()
    }

    /// Whom a fault struck, where neither its words nor the fleet's size say so: ` at node-1, node-2`.
    fn whom(&self, number: usize) -> String {
        let fault = &self.faults[number];
        let struck = fault.occurrences.iter().flat_map(|occurrence| occurrence.nodes.iter().copied());
        let struck: BTreeSet<usize> = struck.collect();
        let says_it = matches!(fault.kind, FaultKind::Partition(_))
            || span_words(self, number, &[]) == fault.kind.name().replace('-', " ");
        if says_it || struck.len() > WHOM_MAX || struck.len() == self.plans.len() {
            return String::new();
        }
        let names: Vec<&str> = struck.iter().map(|node| self.world.node(*node).name.as_str()).collect();
        if names.is_empty() { String::new() } else { format!(" at {}", names.join(", ")) }
    }

    /// What nodes never got, and what they waited for longest.
    fn missed(&self) -> Vec<Missed> {
        let mut all = Vec::new();
        let holdings = self.oracle.ledger.holdings();
        let now = self.world.now();
        for (key, seq, entry) in self.oracle.ledger.entries() {
            let Some(since_us) = entry.acknowledged.filter(|_| !entry.excused) else { continue };
            for (node, holding) in holdings.iter().enumerate() {
                if holding.tips.get(key).is_some_and(|(held, _)| *held >= seq) || !self.is_honest(node) {
                    continue;
                }
                all.push(Missed {
                    node: node as u32,
                    author: entry.author as u32,
                    document: key.0.clone(),
                    write: entry.number,
                    since_us,
                    until_us: None,
                    fault: self.blame(node, Some(entry.author), since_us, now),
                    received: self.received(node, key, seq),
                });
            }
        }
        for wait in &self.oracle.waits {
            let Some(entry) =
                self.oracle.ledger.run(&wait.key).and_then(|run| run.get(wait.seq as usize - 1))
            else {
                continue;
            };
            all.push(Missed {
                node: wait.node as u32,
                author: entry.author as u32,
                document: wait.key.0.clone(),
                write: entry.number,
                since_us: entry.born,
                until_us: Some(wait.at),
                fault: self.blame(wait.node, Some(entry.author), entry.born, wait.at),
                received: self.received(wait.node, &wait.key, wait.seq),
            });
        }
        all.sort_by_key(|missed| {
            let waited = missed.until_us.unwrap_or(u64::MAX).saturating_sub(missed.since_us);
            (missed.until_us.is_some(), std::cmp::Reverse(waited), missed.node, missed.write)
        });
        all.truncate(MISSED_MAX);
        all
    }

    fn propagation(&self) -> Propagation {
        let delays = &self.oracle.delays;
        let points = QUANTILES.iter().filter_map(|share| {
            let place = ((delays.len() as f64 * share).ceil() as usize).clamp(1, delays.len().max(1)) - 1;
            delays.get(place).map(|us| Quantile { share: *share, us: *us })
        });
        let missing = self.sound().into_iter().map(|node| self.oracle.ledger.missing(node)).sum();
        Propagation { arrivals: delays.len() as u64, missing, points: points.collect() }
    }

    fn expectations(&self, convergence_us: Option<u64>, propagation: &Propagation) -> Vec<Judged> {
        let Scenario { expect, .. } = self.scenario;
        let Expect { .. } = expect;
        let mut all = Vec::new();
        let mut judge = |name: &str, bound: String, measured: Option<String>, held: bool| {
            all.push(Judged { name: name.to_owned(), bound, measured, held });
        };
        let span = |us: u64| crate::scenario::Span(us).to_string();
        if let Some(bound) = expect.converges_within {
            let held = convergence_us.is_some_and(|us| us <= bound.0);
            judge("converges_within", format!("at most {bound}"), convergence_us.map(span), held);
        }
        if let Some(true) = expect.no_lost_writes {
            let lost: u64 = self.sound().into_iter().map(|node| self.unexcused(node)).sum();
            judge("no_lost_writes", "at most 0".to_owned(), Some(lost.to_string()), lost == 0);
        }
        if let Some(bound) = expect.writes_accepted_min {
            let (asked, accepted) = self.fair;
            let share = if asked == 0 { 0.0 } else { accepted as f64 / asked as f64 };
            judge(
                "writes_accepted_min",
                format!("at least {bound}"),
                Some(format!("{share:.4}")),
                share >= bound,
            );
        }
        if let Some(bound) = expect.propagation_p99_max {
            let p99 = propagation.points.iter().find(|point| point.share >= 0.99).map(|point| point.us);
            judge(
                "propagation_p99_max",
                format!("at most {bound}"),
                p99.map(span),
                p99.is_some_and(|us| us <= bound.0),
            );
        }
        let traffic = self.world.traffic();
        if let Some(bound) = expect.bytes_max {
            let total = traffic.total();
            judge(
                "bytes_max",
                format!("at most {} bytes", bound.0),
                Some(total.to_string()),
                total <= bound.0,
            );
        }
        if let Some(bound) = expect.redundancy_max {
            let share = traffic.redundant as f64 / (traffic.useful.max(1)) as f64;
            judge("redundancy_max", format!("at most {bound}"), Some(format!("{share:.3}")), share <= bound);
        }
        if let Some(bound) = expect.idle_bytes_per_second_max {
            let rate = self.idle_from.map(|(from, bytes)| {
                let seconds = (self.world.now() - from) as f64 / 1e6;
                (traffic.total() - bytes) as f64 / seconds.max(1.0) / self.world.nodes().len() as f64
            });
            let measured = rate.map(|rate| format!("{rate:.1}"));
            judge(
                "idle_bytes_per_second_max",
                format!("at most {bound}"),
                measured,
                rate.is_some_and(|r| r <= bound),
            );
        }
        if let Some(bound) = expect.queue_max {
            let max = self.resources.iter().map(|sample| sample.inbox_max).max().unwrap_or(0);
            judge("queue_max", format!("at most {bound}"), Some(max.to_string()), max <= bound);
        }
        if let Some(bound) = expect.orphan_bytes_max {
            let max = self.resources.iter().map(|sample| sample.orphans_max).max().unwrap_or(0);
            judge(
                "orphan_bytes_max",
                format!("at most {} bytes", bound.0),
                Some(max.to_string()),
                max <= bound.0,
            );
        }
        let charged = |honest: bool| -> u64 {
            let all = self
                .offences
                .iter()
                .filter(|((by, of), _)| self.is_honest(*by) && self.is_honest(*of) == honest);
            all.map(|(_, count)| count).sum()
        };
        if let Some(bound) = expect.offences_min {
            let count = charged(false);
            judge("offences_min", format!("at least {bound}"), Some(count.to_string()), count >= bound);
        }
        if let Some(bound) = expect.false_offences_max {
            let count = charged(true);
            judge("false_offences_max", format!("at most {bound}"), Some(count.to_string()), count <= bound);
        }
        if let Some(bound) = expect.reports_per_outage_max {
            let most = self.presences.reports_per_outage(|node| self.world.node(node).starts);
            judge(
                "reports_per_outage_max",
                format!("at most {bound}"),
                Some(most.to_string()),
                most <= bound,
            );
        }
        if let Some(bound) = expect.false_aways_max {
            let count = self.presences.false_aways();
            judge("false_aways_max", format!("at most {bound}"), Some(count.to_string()), count <= bound);
        }
        if let Some(bound) = expect.away_within {
            let after = self.presences.away_after(self.world.now());
            judge(
                "away_within",
                format!("at most {bound}"),
                after.map(span),
                after.is_some_and(|us| us <= bound.0),
            );
        }
        all
    }
}
