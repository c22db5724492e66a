//! Searches the charter model's families: all of them, or the one named, at the usual bound or,
//! with `--larger`, one record beyond it.

use starling_simulations::charter_model::casts::{self, Bound};
use starling_simulations::charter_model::rules::{DEFECTS, Rules};
use starling_simulations::charter_model::search::search;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let bound =
        if arguments.iter().any(|argument| argument == "--larger") { Bound::Larger } else { Bound::Usual };
    let named: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    if arguments.iter().any(|argument| argument == "--defects") {
        return show_defects();
    }
    let mut code = ExitCode::SUCCESS;
    for family in casts::all(bound) {
        if !named.is_empty() && named.iter().all(|name| *name != family.name) {
            continue;
        }
        let start = Instant::now();
        match search(&family, Rules::INTENDED) {
            Ok(counts) => println!("{}: {counts} in {:.1} s", family.name, start.elapsed().as_secs_f64()),
            Err(violation) => {
                println!("{violation}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// Every planted defect with the first family and property that notice it.
fn show_defects() -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for defect in DEFECTS {
        let families = casts::all(Bound::Usual);
        let noticed = families.iter().filter_map(|family| {
            let violation = search(family, Rules::broken(defect)).err()?;
            Some(format!("{} in {}", violation.property, family.name))
        });
        let caught: Vec<String> = noticed.take(1).collect();
        if caught.is_empty() {
            code = ExitCode::FAILURE;
        }
        println!("{defect:?}: {}", caught.join(", "));
    }
    code
}
