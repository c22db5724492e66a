//! The intended rules hold in every family; every planted defect is noticed by the property that is
//! there for it.

use starling_simulations::charter_model::casts::{self, Bound};
use starling_simulations::charter_model::families::Family;
use starling_simulations::charter_model::rules::{DEFECTS, Defect, Rules};
use starling_simulations::charter_model::search::{Counts, search};
use std::collections::BTreeSet;
use std::time::Instant;

fn holds(families: &[Family]) -> Vec<Counts> {
    let searched = families.iter().map(|family| {
        let start = Instant::now();
        let counts = search(family, Rules::INTENDED).unwrap_or_else(|violation| panic!("{violation}"));
        println!("{}: {counts} in {:.1} s", family.name, start.elapsed().as_secs_f64());
        counts
    });
    searched.collect()
}

#[test]
fn intended_rules_hold_for_statements() {
    holds(&[casts::removals(), casts::ranks(), casts::successions(), casts::tickets(), casts::prefixes(), casts::puppets()]);
}

#[test]
fn intended_rules_hold_for_changes_under_removal() {
    holds(&[casts::revocation(), casts::endorsement(), casts::existence()]);
}

#[test]
fn intended_rules_hold_for_forks_and_reissue() {
    holds(&[
        casts::forks(),
        casts::recovery(),
        casts::lowering(),
        casts::disputed(),
        casts::rotation(),
        casts::overwriting(),
        casts::readmission(),
    ]);
}

#[test]
fn search_reaches_the_bound_it_promises() {
    let counts = holds(&[casts::revocation()]);
    assert!(counts[0].statements_max >= 5, "{counts:?}");
    assert!(counts[0].changes_max >= 6, "{counts:?}");
}

/// Which property notices a defect, and in which family.
fn expectations() -> Vec<(Defect, Family, &'static str)> {
    use casts::*;
    vec![
        (Defect::JudgeOnReceipt, removals(), "order_does_not_matter"),
        (Defect::JudgeByClock, revocation(), "no_clock"),
        (Defect::VoidGrantsKeepWriting, puppets(), "removed_gain_nothing"),
    ]
}

#[test]
fn every_planted_defect_is_noticed_by_its_property() {
    let mut seen = BTreeSet::new();
    for (defect, family, property) in expectations() {
        let violation = search(&family, Rules::broken(defect)).err();
        let noticed = violation.unwrap_or_else(|| panic!("{defect:?} went unnoticed in {}", family.name));
        assert_eq!(noticed.property, property, "{defect:?} in {}: {noticed}", family.name);
        seen.insert(defect);
    }
    assert_eq!(seen, BTreeSet::from(DEFECTS), "a defect without an expectation");
    assert!(casts::all(Bound::Usual).len() > 10);
}
