//! The rules under test: the ones we mean, or the same with one planted defect.
//!
//! Each defect is a rule somebody proposed, or the mistake an implementation would make first. The
//! tests show that the model notices every one of them.

/// One rule replaced by a wrong one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Defect {
    /// A change is judged by the rights held when it arrives.
    JudgeOnReceipt,
    /// A removal reaches only changes that claim to be later.
    JudgeByClock,
    /// A void grant takes nothing from those who already cited it.
    VoidGrantsKeepWriting,
    /// A void grant bars the changes that rest on it from history, endorsed or not.
    VoidGrantsBarHistory,
    /// What rests on a void grant is not standing even where the removal accepts it.
    VoidGrantsEmptyFrontier,
    /// What does not stand is gone, and all that was built on it.
    EndorsementIgnored,
    /// Only authors without any removal can endorse.
    EndorsersNeverRemoved,
    /// Removals in one cycle take each other down.
    CyclesCancel,
    /// A removal is spared only by the very removal it strikes at.
    SpareOnlyOwnRemover,
    /// An admin may remove one nearer to the founders.
    FartherRemovesNearer,
    /// Whoever may do something in one document may do it in every one.
    PrefixesIgnored,
    /// Joins past the invite's bound are void.
    OverrunJoinsVoid,
    /// An overrun is reported only where one join was witnessed in knowledge of the others.
    OverrunsUnreported,
    /// A join gives a removed key its rights back.
    JoinsReadmit,
    /// A removal does not follow the key's successors.
    SuccessorsEscape,
    /// A succession ends only the rights its key knew of.
    RetiredKeysGoOn,
    /// An author whose key changed cannot give up what the old key signed.
    ReissueByOneKeyOnly,
    /// A join does not depend on its witness staying accepted.
    WitnessesUnchecked,
    /// Tickets outlive the removal of the admin who made them.
    TicketsOutliveIssuer,
    /// A fork cuts what a standing frontier accepts.
    ForksCutAccepted,
    /// Two frontiers that name two branches of one run hold both in place.
    BranchesBothAccepted,
    /// The cut is at the latest proven fork.
    CutAtLatestFork,
    /// A re-issue does not give its originals up.
    ReissueKeepsOriginal,
    /// A re-issue builds on the equivocator's surviving changes.
    ReissueOnWholeView,
    /// A re-issue builds on all it may, seen by the original or not.
    ReissueOverwritesUnseen,
    /// Work that merely is not standing is re-issued too.
    ReissueNotStanding,
    /// A value is not re-issued when an equivocator had overwritten it.
    EquivocatorsOverwrite,
    /// One delete among the heads deletes the document.
    DeleteWins,
    /// The incremental evaluator does not look again when a statement arrives.
    NeverShrink,
}

/// Every defect, in the order of [`Defect`].
pub const DEFECTS: [Defect; 29] = [
    Defect::JudgeOnReceipt,
    Defect::JudgeByClock,
    Defect::VoidGrantsKeepWriting,
    Defect::VoidGrantsBarHistory,
    Defect::VoidGrantsEmptyFrontier,
    Defect::EndorsementIgnored,
    Defect::EndorsersNeverRemoved,
    Defect::CyclesCancel,
    Defect::SpareOnlyOwnRemover,
    Defect::FartherRemovesNearer,
    Defect::PrefixesIgnored,
    Defect::OverrunJoinsVoid,
    Defect::OverrunsUnreported,
    Defect::JoinsReadmit,
    Defect::SuccessorsEscape,
    Defect::RetiredKeysGoOn,
    Defect::ReissueByOneKeyOnly,
    Defect::WitnessesUnchecked,
    Defect::TicketsOutliveIssuer,
    Defect::ForksCutAccepted,
    Defect::BranchesBothAccepted,
    Defect::CutAtLatestFork,
    Defect::ReissueKeepsOriginal,
    Defect::ReissueOnWholeView,
    Defect::ReissueOverwritesUnseen,
    Defect::ReissueNotStanding,
    Defect::EquivocatorsOverwrite,
    Defect::DeleteWins,
    Defect::NeverShrink,
];

/// The rules to evaluate under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The planted defect, if any.
    pub defect: Option<Defect>,
}

impl Rules {
    /// The rules we mean.
    pub const INTENDED: Self = Self { defect: None };

    /// The rules with one of them replaced.
    #[must_use]
    pub const fn broken(defect: Defect) -> Self {
        Self { defect: Some(defect) }
    }

    /// Whether `defect` is planted.
    #[must_use]
    pub fn has(self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }
}
