//! Runs a scenario file with some seeds and prints what it cost: the figures of `docs/simulation.md`.

use starling_simulations::runner;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("a scenario file");
    let seeds: Vec<u64> = arguments.filter_map(|seed| seed.parse().ok()).collect();
    let loaded = starling_simulations::scenario::load(std::path::Path::new(&path)).expect("a sound scenario");
    let stage = runner::Stage::new(&loaded.scenario).expect("a fleet");
    for seed in if seeds.is_empty() { vec![loaded.scenario.seed] } else { seeds } {
        let record = stage.run(seed).expect("a run");
        let timings = record.timings;
        println!(
            "{} {seed}: {} in {:.2} s real, {} events, {:.2} us each, {:.0} x real time, converged {:?}, {}",
            record.scenario,
            record.verdict.word(),
            timings.real_us as f64 / 1e6,
            timings.events,
            timings.real_us as f64 / timings.events.max(1) as f64,
            timings.virtual_us as f64 / timings.real_us.max(1) as f64,
            timings.convergence_us,
            &record.trace_hash[..16],
        );
        println!("  {:?}", record.writes);
        for violation in record.violations.iter().take(12) {
            println!(
                "  {:?} {} node {:?} {:?} at {}: {}",
                violation.property,
                violation.name,
                violation.node,
                violation.document,
                violation.at_us,
                violation.words
            );
        }
        for words in &record.undecided {
            println!("  undecided: {words}");
        }
        for judged in &record.expectations {
            println!("  {} {} {:?} {}", judged.name, judged.bound, judged.measured, judged.held);
        }
        for fault in &record.faults {
            println!("  {} fired {} ({})", fault.kind, fault.fired, fault.words);
        }
    }
}
