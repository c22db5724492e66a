//! What nodes say of each other when links flap and nodes die. A few seeds here; twenty by
//! `starling sim run flapping-uplink --seeds 20`, and with the scenarios below written to a file.

use starling_simulations::record::{RunRecord, Verdict};
use starling_simulations::runner;
use starling_simulations::scenario::load_text;

const SEEDS: std::ops::RangeInclusive<u64> = 1..=3;

/// The uplink of a site on one network: cut for longer than it takes to notice, again and again.
const FLAPPING: &str = r#"
version = 1
name = "flapping-switch"
summary = "The uplink of one site flaps, and each cut is noticed."
learn = "Who is away and back is told once for each outage."
duration = "170s"
drain = "60s"

[[group]]
name = "core"
count = 4

[[group]]
name = "site"
count = 2

[workload]
rate = 1.0
documents = 4

[[fault]]
kind = "partition"
shape = "halves"
sides = ["core", "site"]
flap = { cut = "8s", whole = "22s" }
at = "20s"
until = "healed"

[expect]
reports_per_outage_max = 2
false_aways_max = 0
"#;

/// Fifty nodes of which one loses its power and one is killed.
const DYING: &str = r#"
version = 1
name = "two-of-fifty"
summary = "One node of fifty loses its power, and one is killed."
learn = "Everybody knows it within ten seconds."
duration = "60s"
drain = "15s"

[[group]]
name = "rack"
count = 48

[[group]]
name = "dark"
count = 1

[[group]]
name = "dead"
count = 1

[workload]
rate = 1.0
documents = 4

[[fault]]
kind = "lose-unsynced"
on = "dark"
at = "30s"
for = "25s"

[[fault]]
kind = "crash"
on = "dead"
at = "32s"
for = "25s"

[expect]
away_within = "10s"
false_aways_max = 0
"#;

fn run(text: &str, seed: u64) -> RunRecord {
    let loaded = load_text("presence.toml", text, None).unwrap_or_else(|found| panic!("{found:#?}"));
    runner::run(&loaded.scenario, seed).expect("the run begins")
}

fn measured(record: &RunRecord, name: &str) -> String {
    let judged = record.expectations.iter().find(|judged| judged.name == name).expect("it is judged");
    judged.measured.clone().unwrap_or_else(|| "nothing".to_owned())
}

#[track_caller]
fn holds(text: &str, seed: u64) -> RunRecord {
    let record = run(text, seed);
    let told = (&record.undecided, &record.violations, &record.expectations);
    assert_eq!(record.verdict, Verdict::Held, "seed {seed}: {told:#?}");
    record
}

#[test]
fn a_flapping_link_is_told_twice_an_outage_at_most_and_nobody_well_is_called_away() {
    let noticed = SEEDS.filter(|seed| measured(&holds(FLAPPING, *seed), "reports_per_outage_max") != "0");
    assert!(noticed.count() > 0, "no outage was noticed: the scenario shows nothing");
}

#[test]
fn a_dead_node_is_away_everywhere_within_ten_seconds_at_fifty_nodes() {
    for seed in SEEDS.take(2) {
        let record = holds(DYING, seed);
        assert_ne!(measured(&record, "away_within"), "nothing", "nobody died: the scenario shows nothing");
    }
}

#[test]
fn expectations_of_presence_can_be_missed() {
    let quick =
        DYING.replace("away_within = \"10s\"", "away_within = \"1s\"").replace("count = 48", "count = 4");
    let record = run(&quick, 1);
    assert_eq!(record.verdict, Verdict::Violated);
    assert!(
        record.violations.iter().any(|violation| violation.name == "away_within"),
        "{:#?}",
        record.violations
    );
    let silent = FLAPPING.replace("reports_per_outage_max = 2", "reports_per_outage_max = 0");
    let missed = SEEDS.filter(|seed| run(&silent, *seed).verdict == Verdict::Violated);
    assert!(missed.count() > 0);
}
