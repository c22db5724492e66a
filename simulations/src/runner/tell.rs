//! What a run was, as the record that every report is made from.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::faults;
use super::missed::Told;
use super::naming;
use super::planted;
use super::run::Run;
use crate::properties;
use crate::record::{
    FaultRecord, Judged, NodeRecord, Propagation, PropertyCount, Quantile, RECORD_VERSION, RunRecord,
    Timings, Verdict, Violation,
};
use crate::report::words;
use crate::scenario::{Expect, FaultKind, Scenario};

/// Points of the distribution of delays.
const QUANTILES: [f64; 14] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 1.0];

/// A fault in words, with the sides it has at one time.
pub(super) fn span_words(run: &Run<'_>, fault: usize, sides: &[Vec<usize>]) -> String {
    faults::words(&run.faults[fault].kind, sides, |nodes| run.named(nodes))
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
        let Told { missed, total: missed_total, waits } = self.missed();
        let propagation = self.propagation();
        let expectations = self.expectations(convergence_us, &propagation);
        for judged in expectations.iter().filter(|judged| !judged.held) {
            self.findings.push(Violation {
                property: None,
                name: judged.name.clone(),
                at_us: now,
                words: format!(
                    "{} was to be {} and is {}",
                    judged.name,
                    judged.bound,
                    words::measured(judged)
                ),
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
            missed_total,
            waits,
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
                let mut spans = self.spans[number].clone();
                spans.iter_mut().for_each(|span| span.to_us = span.to_us.min(now));
                FaultRecord {
                    kind: fault.kind.name().to_owned(),
                    words: self.fault_words(number),
                    drawn: fault.drawn,
                    occurrences: self.spans[number].len() as u64,
                    fired: self.fired[number],
                    counted: faults::counted(&fault.kind).to_owned(),
                    spans,
                }
            })
            .collect()
    }

    /// Nodes in words: groups that are there whole, then the others.
    pub(super) fn named(&self, nodes: &[usize]) -> String {
        let fleet = self.world.nodes().iter().enumerate().map(|(index, node)| {
            let group = self.plans.get(index).map(|plan| plan.group.name.as_str());
            (node.name.as_str(), group.unwrap_or_default())
        });
        naming::named(nodes, &fleet.collect::<Vec<_>>())
    }

    /// Whom a fault struck, where neither its words nor the fleet's size say so: ` at node-1, node-2`.
    fn whom(&self, number: usize) -> String {
        let fault = &self.faults[number];
        let struck = fault.occurrences.iter().flat_map(|occurrence| occurrence.nodes.iter().copied());
        let struck: BTreeSet<usize> = struck.collect();
        let is_cut = matches!(fault.kind, FaultKind::Partition(_));
        if is_cut || struck.is_empty() || struck.len() == self.plans.len() {
            return String::new();
        }
        format!(" at {}", self.named(&struck.into_iter().collect::<Vec<_>>()))
    }

    /// What a fault was, at whom, and what became of it.
    fn fault_words(&self, number: usize) -> String {
        let fault = &self.faults[number];
        let sides = fault.occurrences.first().map(|first| first.sides.clone()).unwrap_or_default();
        let (words, whom) = (span_words(self, number, &sides), self.whom(number));
        let waited = words::time(self.world.kill_wait());
        let unmet = self.unmet.get(&number).copied().unwrap_or(0);
        match fault.kind {
            FaultKind::KillInIo { step } if unmet > 0 && unmet == self.fired[number] => {
                format!("power cut{whom}: disk operation {step} did not come in time ({waited} at most)")
            }
            FaultKind::KillInIo { .. } | FaultKind::TornWrite if unmet > 0 => {
                let times = words::several(unmet, "time");
                format!(
                    "{words}{whom}; {times} no such operation came in time ({waited} at most) and the power was cut"
                )
            }
            _ => words + &whom,
        }
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
