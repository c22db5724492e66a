//! Runs the pairs of `simulations/seeds.toml` and says how many end violated: with a planted defect
//! (`STARLING_PLANTED` at build time) at least two must, without one none may. See `planted.sh`.

use std::path::Path;
use std::process::ExitCode;

use serde::Deserialize;
use starling_simulations::record::Verdict;
use starling_simulations::runner;
use starling_simulations::scenario::load;

#[derive(Deserialize)]
struct Pairs {
    pair: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    scenario: String,
    seeds: Vec<u64>,
    #[serde(default)]
    finds: Vec<String>,
}

fn main() -> ExitCode {
    let path = std::env::args().nth(1).expect("the file of pairs");
    let here = Path::new(&path).parent().expect("a file in a directory").to_owned();
    let text = std::fs::read_to_string(&path).expect("a readable file");
    let pairs: Pairs = toml::from_str(&text).expect("a table of pairs");
    let planted = runner::planted();
    let (mut found, mut ran) = (0, 0);
    for pair in &pairs.pair {
        if planted.is_some_and(|name| !pair.finds.iter().any(|finds| finds == name)) {
            continue;
        }
        let loaded = load(&here.join(&pair.scenario)).expect("a sound scenario");
        let stage = runner::Stage::new(&loaded.scenario).expect("a fleet");
        for seed in &pair.seeds {
            let record = stage.run(*seed).expect("a run");
            ran += 1;
            let bad = record.verdict == Verdict::Violated;
            found += u32::from(bad);
            if bad || record.verdict != Verdict::Held {
                let why =
                    record.violations.first().map(|first| format!("{:?} {}", first.property, first.words));
                println!(
                    "{} seed {seed}: {} {}",
                    pair.scenario,
                    record.verdict.word(),
                    why.or(record.undecided.first().cloned()).unwrap_or_default()
                );
            }
            if planted.is_none() && record.verdict != Verdict::Held {
                found += u32::from(!bad);
            }
        }
    }
    println!("{}: {found} of {ran} pairs do not hold", planted.unwrap_or("nothing planted"));
    let as_wanted = if planted.is_some() { found >= 2 } else { found == 0 && ran > 0 };
    ExitCode::from(u8::from(!as_wanted))
}
