//! The intended rules hold in every family; every planted defect is noticed by the property that is
//! there for it.

use starling_simulations::charter_model::behaviour::honest_change;
use starling_simulations::charter_model::casts;
use starling_simulations::charter_model::charter::Charter;
use starling_simulations::charter_model::families::Family;
use starling_simulations::charter_model::records::{Change, Effect, History};
use starling_simulations::charter_model::rules::{DEFECTS, Defect, Rules};
use starling_simulations::charter_model::search::{Counts, search};
use starling_simulations::charter_model::set::Set;
use starling_simulations::charter_model::{clean, document};
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
    holds(&[
        casts::removals(),
        casts::ranks(),
        casts::successions(),
        casts::tickets(),
        casts::admin_tickets(),
        casts::prefixes(),
        casts::puppets(),
    ]);
}

#[test]
fn intended_rules_hold_for_changes_under_removal() {
    let counts = holds(&[casts::revocation(), casts::endorsement(), casts::existence()]);
    assert!(counts[0].statements_max >= 5 && counts[0].changes_max >= 6, "{counts:?}");
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

/// Which property notices a defect, and in which family.
fn expectations() -> Vec<(Defect, Family, &'static str)> {
    use casts::*;
    vec![
        (Defect::JudgeOnReceipt, removals(), "order_does_not_matter"),
        (Defect::NeverShrink, tickets(), "incremental_equals_scratch"),
        (Defect::JudgeByClock, removals(), "no_clock"),
        (Defect::VoidGrantsKeepWriting, puppets(), "removed_gain_nothing"),
        (Defect::VoidGrantsBarHistory, puppets(), "accepted_work_stays"),
        (Defect::EndorsementIgnored, revocation(), "untouched_work_stays"),
        (Defect::VoidGrantsEmptyFrontier, puppets(), "accepted_work_stays"),
        (Defect::EndorsersNeverRemoved, endorsement(), "accepted_work_stays"),
        (Defect::CyclesCancel, ranks(), "removals_end_as_stated"),
        (Defect::SpareOnlyOwnRemover, removals(), "removals_end_as_stated"),
        (Defect::FartherRemovesNearer, ranks(), "nearer_outlast_farther"),
        (Defect::PrefixesIgnored, prefixes(), "rights_never_widen"),
        (Defect::OverrunJoinsVoid, tickets(), "joins_displace_no_joins"),
        (Defect::OverrunsUnreported, tickets(), "overruns_are_visible"),
        (Defect::JoinsReadmit, tickets(), "removed_keys_stay_out"),
        (Defect::SuccessorsEscape, successions(), "removed_keys_stay_out"),
        (Defect::RetiredKeysGoOn, successions(), "retired_keys_state_nothing"),
        (Defect::WitnessesUnchecked, tickets(), "removed_keys_stay_out"),
        (Defect::TicketsOutliveIssuer, tickets(), "removed_keys_stay_out"),
        (Defect::ForksCutAccepted, forks(), "accepted_work_stays"),
        (Defect::BranchesBothAccepted, disputed(), "clean_is_closed_and_unforked"),
        (Defect::CutAtLatestFork, forks(), "cuts_only_fall"),
        (Defect::ReissueKeepsOriginal, recovery(), "edits_count_once"),
        (Defect::ReissueOnWholeView, lowering(), "reissue_ends"),
        (Defect::ReissueOverwritesUnseen, overwriting(), "edits_are_not_lost"),
        (Defect::ReissueNotStanding, readmission(), "reissue_ends"),
        (Defect::ReissueByOneKeyOnly, rotation(), "edits_are_not_lost"),
        (Defect::EquivocatorsOverwrite, overwriting(), "edits_are_not_lost"),
        (Defect::DeleteWins, existence(), "documents_exist_by_their_edits"),
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
}

/// Decision 0019: an author who left a suspect's surviving change out of its base would delete a
/// document and still see it.
#[test]
fn a_delete_removes_what_its_author_shows_beside_a_proven_fork() {
    let mut family = casts::forks();
    let history = &mut family.start;
    let surviving = history.changes[0].clone();
    let next = Change { sequence: 2, past: Set::one(0), effect: Effect::default(), ..surviving };
    history.add_change(next.clone());
    history.add_change(next);
    assert_eq!(history.proofs.len(), 1);
    let delete = Effect { deletes: true, ..Effect::default() };
    let on_view = honest_change(history, &history.all(), 1, 0, delete).expect("author 1 may write");
    let avoiding = Change { past: Set::EMPTY, ..on_view.clone() };
    assert!(!exists_after(history, on_view));
    assert!(exists_after(history, avoiding));
}

fn exists_after(history: &History, change: Change) -> bool {
    let mut history = history.clone();
    history.add_change(change);
    let charter = Charter::new(&history, Rules::INTENDED);
    let clean = clean::judge(&charter, &history.all()).clean;
    document::show(&charter, clean, 0).exists
}
