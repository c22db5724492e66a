//! What is written, where, when and by whom: drawn from the seed alone, before anything runs.

use starling_crdt::document::{Edit, Json};
use starling_crdt::id::SpaceId;
use starling_crdt::replica::{Condition, LocalRequest, Write};

use crate::scenario::{Behaviour, Role, Scenario};
use crate::world::chance::{Chance, Purpose};
use crate::world::founding::document_name;
use crate::world::link::ppm;
use crate::world::queue::{MILLISECOND, SECOND, Time};

/// Writes one run may ask for: what keeps a file from asking for a run without end.
pub const WRITES_MAX: usize = 2_000_000;
/// Different members of a document's map that are written.
const MEMBERS: u64 = 20;
/// How soon a conflicting write follows the first, at most.
const CONFLICT_WITHIN: Time = 50 * MILLISECOND;
/// How soon a repetition of a request follows it, at most.
const RETRY_WITHIN: Time = 3 * SECOND;

/// One write to be asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedWrite {
    /// When.
    pub at: Time,
    /// Of which node.
    pub node: usize,
    /// In which document.
    pub document: u32,
    /// What.
    pub what: PlannedEdit,
    /// Its number in the run; a repetition has the number of what it repeats.
    pub number: u64,
    /// Whether it repeats a request.
    pub repeats: bool,
}

/// What a planned write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlannedEdit {
    /// Sets a member of the map.
    Map(u64),
    /// Appends to the list.
    List,
    /// Writes the text anew.
    Text,
    /// Adds to the counter.
    Counter(i64),
}

/// All writes of a run, by time.
pub fn plan(scenario: &Scenario, seed: u64) -> Vec<PlannedWrite> {
    let workload = &scenario.workload;
    let nodes = scenario.nodes();
    let writers: Vec<usize> = workload
        .writers
        .candidates(scenario)
        .into_iter()
        .filter(|node| {
            let group = nodes[*node].group;
            group.role != Role::Reader && group.behaviour == Behaviour::Honest
        })
        .collect();
    let writers: Vec<usize> = writers.iter().copied().take(workload.writers.take(writers.len())).collect();
    let until = workload.until.unwrap_or(scenario.duration).0.min(scenario.duration.0);
    if writers.is_empty() || workload.documents == 0 || workload.rate <= 0.0 {
        return Vec::new();
    }
    let mean = (1e6 / workload.rate).max(1.0) as Time;
    let weights = weights(workload.documents, workload.skew);
    let mix = workload.mix;
    let kinds = [mix.map, mix.list, mix.text, mix.counter].map(u64::from);
    let mut draws = Chance::new(seed).stream(Purpose::Workload, 0, 0);
    let (mut at, mut number, mut all) = (workload.from.0, 0, Vec::new());
    loop {
        at += draws.exponential(mean).max(1);
        if at >= until || all.len() >= WRITES_MAX {
            break;
        }
        number += 1;
        let node = *draws.pick(&writers).unwrap_or(&writers[0]);
        let document = chosen(&weights, draws.next());
        let what = match weighted(&kinds, &mut draws) {
            0 => PlannedEdit::Map(draws.below(MEMBERS)),
            1 => PlannedEdit::List,
            2 => PlannedEdit::Text,
            _ => PlannedEdit::Counter(draws.between(1, 9) as i64),
        };
        let write = PlannedWrite { at, node, document, what, number, repeats: false };
        if draws.happens(ppm(workload.retries)) {
            let at = at + draws.between(1, RETRY_WITHIN);
            all.push(PlannedWrite { at, repeats: true, ..write.clone() });
        }
        if draws.happens(ppm(workload.conflicts)) {
            let node = *draws.pick(&writers).unwrap_or(&writers[0]);
            number += 1;
            let at = at + draws.below(CONFLICT_WITHIN);
            all.push(PlannedWrite { at, node, number, ..write.clone() });
        }
        all.push(write);
    }
    all.retain(|write| write.at < until + RETRY_WITHIN);
    all.sort_by_key(|write| (write.at, write.number, write.repeats));
    all
}

/// Sums of the weights of documents, so that 2^32 stands for all of them.
fn weights(documents: u32, skew: f64) -> Vec<u64> {
    // Powers are computed by squaring and square roots, which are exact on every machine, in
    // quarters of the exponent: a general power is not.
    let quarters = (skew.clamp(0.0, 4.0) * 4.0).round() as i32;
    let weight = |rank: u32| {
        let root = f64::from(rank + 1).sqrt().sqrt();
        1.0 / (0..quarters).fold(1.0, |power, _| power * root)
    };
    let all: f64 = (0..documents).map(weight).sum();
    let mut sum = 0.0;
    (0..documents)
        .map(|rank| {
            sum += weight(rank);
            (sum / all * 4_294_967_296.0) as u64
        })
        .collect()
}

fn chosen(weights: &[u64], draw: u64) -> u32 {
    let draw = draw >> 32;
    weights.partition_point(|sum| *sum <= draw).min(weights.len() - 1) as u32
}

fn weighted(weights: &[u64; 4], draws: &mut crate::world::chance::Draws) -> usize {
    let mut left = draws.below(weights.iter().sum::<u64>().max(1));
    for (index, weight) in weights.iter().enumerate() {
        if left < *weight {
            return index;
        }
        left -= weight;
    }
    0
}

impl PlannedWrite {
    /// The request id under which it is sent.
    pub fn request_id(&self) -> String {
        format!("sim-{}", self.number)
    }

    /// A value of about `bytes` bytes that no other write has.
    pub fn value(&self, bytes: u64) -> String {
        let mut value = format!("w{}-", self.number);
        let missing = (bytes as usize).saturating_sub(value.len());
        value.extend((0..missing).map(|place| char::from(b'a' + ((place as u64 + self.number) % 26) as u8)));
        value
    }

    /// The request itself, with a value of about `bytes` bytes.
    pub fn request(&self, space: SpaceId, bytes: u64) -> LocalRequest {
        let value = self.value(bytes);
        let pointer = |text: &str| text.parse().expect("a pointer of plain words");
        let edit = match self.what {
            PlannedEdit::Map(member) => {
                Edit::Set { pointer: pointer(&format!("/map/k{member}")), value: text(&value) }
            }
            PlannedEdit::List => Edit::Set { pointer: pointer("/list/-"), value: text(&value) },
            PlannedEdit::Text => {
                let json = format!("{{\"$text\":\"{value}\"}}");
                Edit::Set { pointer: pointer("/text"), value: json.parse_json() }
            }
            PlannedEdit::Counter(by) => Edit::Increment { pointer: pointer("/counter"), by },
        };
        LocalRequest::Write(Box::new(Write {
            space,
            document: document_name(self.document),
            edit,
            condition: Condition::default(),
            request_id: Some(self.request_id()),
        }))
    }
}

fn text(value: &str) -> Json {
    format!("\"{value}\"").parse_json()
}

trait ParseJson {
    fn parse_json(&self) -> Json;
}

impl ParseJson for String {
    fn parse_json(&self) -> Json {
        Json::parse(self).expect("letters, digits and a dash in quotes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_prefers_the_first_documents_and_none_is_even() {
        let even = weights(4, 0.0);
        assert_eq!(even, [1 << 30, 2 << 30, 3 << 30, 4 << 30]);
        let skewed = weights(4, 1.0);
        assert!(skewed[0] > 2_000_000_000 && skewed[3] > 4_294_967_000, "{skewed:?}");
        assert_eq!(chosen(&skewed, 0), 0);
        assert_eq!(chosen(&skewed, u64::MAX), 3);
    }
}
