//! Which statements of a set stand, from the founders outward.
//!
//! Statements are decided in strata: what founders said, then what those said whom founders
//! admitted, and so on, members last. A removal reaches only its own stratum and those behind it,
//! so a decided stratum stays decided. Within one stratum, removals may strike at each other. A
//! statement stands once a title of its issuer is reached by no standing removal, and falls once
//! every title is reached by one. What remains undecided lies on or behind a cycle of removals:
//! the removals of a cycle that waits for nothing outside itself all stand, and deciding goes on.

use super::charter::{Charter, Level, MEMBER_LEVEL, Title, Verdict};
use super::records::{Kind, Role, StatementId};
use super::rules::{Defect, Rules};
use super::set::Set;

/// Decides every statement of a closed set; the titles are left for the caller.
pub fn decide(charter: &Charter<'_>, statements: Set) -> Verdict {
    let mut verdict = Verdict::default();
    for level in 0..=statements.len() {
        Stratum::new(charter, statements, level, &mut verdict).decide();
        if verdict.level.values().all(|&stood_at| stood_at != level) {
            break;
        }
    }
    Stratum::new(charter, statements, MEMBER_LEVEL, &mut verdict).decide();
    if charter.rules.has(Defect::OverrunJoinsVoid) {
        drop_overrun_joins(charter, &mut verdict);
    }
    verdict
}

/// A statement's two faces: what it takes and what it gives. A succession has both.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Face {
    Takes,
    Gives,
}

impl Face {
    fn code(self, id: StatementId) -> usize {
        id * 2 + usize::from(self == Self::Gives)
    }

    fn of(kind: &Kind) -> &'static [Self] {
        match kind {
            Kind::Succession { .. } => &[Self::Takes, Self::Gives],
            Kind::Revoke { .. } | Kind::Close { .. } => &[Self::Takes],
            _ => &[Self::Gives],
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    Waits(Set),
}

impl Answer {
    fn both(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, answer) | (answer, Self::Yes) => answer,
            (Self::Waits(one), Self::Waits(two)) => Self::Waits(one.union(two)),
        }
    }

    fn either(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::No, answer) | (answer, Self::No) => answer,
            (Self::Waits(one), Self::Waits(two)) => Self::Waits(one.union(two)),
        }
    }
}

struct Stratum<'c, 'h> {
    charter: &'c Charter<'h>,
    level: Level,
    statements: Set,
    verdict: &'c mut Verdict,
    /// Faces not decided yet, by code.
    open: Set,
}

impl<'c, 'h> Stratum<'c, 'h> {
    fn new(charter: &'c Charter<'h>, statements: Set, level: Level, verdict: &'c mut Verdict) -> Self {
        let mut open = Set::EMPTY;
        for id in statements.iter() {
            let kind = &charter.history.statements[id].kind;
            let stands = verdict.removals.contains(id) || verdict.links.contains(id);
            let later = matches!(*kind, Kind::Join { invite, .. } if charter.invite(invite).0 < Role::Admin);
            if !(stands || later && level != MEMBER_LEVEL) {
                open = Face::of(kind).iter().fold(open, |open, face| open.with(face.code(id)));
            }
        }
        Self { charter, level, statements, verdict, open }
    }

    fn decide(mut self) {
        loop {
            let open = self.open;
            let answers: Vec<_> = open.iter().map(|code| (code, self.answer(code / 2))).collect();
            for &(code, answer) in &answers {
                match answer {
                    Answer::Yes => self.stand(code),
                    Answer::No => self.open = self.open.without(code),
                    Answer::Waits(_) => {}
                }
            }
            if self.open.is_empty() {
                return;
            }
            if self.open == open {
                self.resolve_cycles(&answers);
            }
        }
    }

    fn stand(&mut self, code: usize) {
        self.open = self.open.without(code);
        let id = code / 2;
        if code == Face::Gives.code(id) {
            self.verdict.links = self.verdict.links.with(id);
        } else {
            self.verdict.removals = self.verdict.removals.with(id);
        }
        self.verdict.level.insert(id, self.level);
    }

    /// Every cycle that waits only for itself: its removals stand.
    fn resolve_cycles(&mut self, answers: &[(usize, Answer)]) {
        let waits = |code: usize| match answers.iter().find(|(other, _)| *other == code) {
            Some((_, Answer::Waits(on))) => *on,
            _ => Set::EMPTY,
        };
        let reach = |code: usize| {
            let mut reached = waits(code);
            loop {
                let wider = reached.iter().fold(reached, |wider, next| wider.union(waits(next)));
                if wider == reached {
                    return reached;
                }
                reached = wider;
            }
        };
        let in_source_cycle = |code: &usize| reach(*code).iter().all(|other| reach(other).contains(*code));
        let takes = |code: &usize| *code == Face::Takes.code(code / 2);
        let mut winners: Vec<usize> = self.open.iter().filter(in_source_cycle).filter(takes).collect();
        if winners.is_empty() {
            // Keys that hand their rights to each other, and hold none here from anyone else.
            let unfounded = self.open.iter().filter(in_source_cycle);
            self.open = unfounded.fold(self.open, Set::without);
            return;
        }
        let Rules { defect } = self.charter.rules;
        if defect == Some(Defect::SpareOnlyOwnRemover) {
            winners.truncate(1);
        }
        for code in winners {
            if defect == Some(Defect::CyclesCancel) {
                self.open = self.open.without(code);
            } else {
                self.stand(code);
            }
        }
    }

    fn answer(&self, id: StatementId) -> Answer {
        let support = self.charter.support(id);
        let rules = self.charter.rules;
        let Kind::Join { invite, .. } = self.charter.history.statements[id].kind else {
            return self.any_holds(&support.own, id);
        };
        let ticket = if rules.has(Defect::TicketsOutliveIssuer) && !support.own.is_empty() {
            Answer::Yes
        } else {
            self.any_holds(&support.own, id)
        };
        let witnesses = support.witness.as_deref().unwrap_or_default();
        let witness = if rules.has(Defect::WitnessesUnchecked) && !witnesses.is_empty() {
            Answer::Yes
        } else {
            self.any_holds(witnesses, id)
        };
        self.is_given(invite).both(ticket).both(witness).both(self.is_ticket_open(invite, id))
    }

    fn any_holds(&self, titles: &[Title], act: StatementId) -> Answer {
        titles.iter().fold(Answer::No, |answer, title| answer.either(self.holds(title, act)))
    }

    /// Whether a title carries an act here: its links are given and no standing removal reaches it.
    fn holds(&self, title: &Title, act: StatementId) -> Answer {
        let acting = self.charter.acting(title, &self.verdict.level);
        let here = if acting > self.level { self.retires_here(act) } else { Answer::Yes };
        if here == Answer::No {
            return here;
        }
        let given = title.links().fold(here, |answer, link| answer.both(self.is_given(link)));
        let reached = |removal: &StatementId| {
            let at = self.verdict.level.get(removal).copied().unwrap_or(self.level);
            self.strikes(*removal, act) && self.charter.can_end(*removal, at, title, acting)
        };
        let strikers = self.statements.iter().filter(reached);
        strikers.fold(given, |answer, removal| answer.both(self.is_not_taking(removal)))
    }

    /// Whether a succession is to be decided here although the titles it knew of act farther out: its
    /// key acts here by a right it was given meanwhile, and a retired key must not go on by that.
    fn retires_here(&self, act: StatementId) -> Answer {
        let statements = &self.charter.history.statements;
        let key = statements[act].issuer;
        if !matches!(statements[act].kind, Kind::Succession { .. })
            || self.charter.rules.has(Defect::RetiredKeysGoOn)
        {
            return Answer::No;
        }
        let before = |link: StatementId| match self.verdict.level.get(&link) {
            Some(&level) if level < self.level && self.verdict.links.contains(link) => Answer::Yes,
            _ => Answer::No,
        };
        let gives = |link: StatementId| match statements[link].kind {
            Kind::Grant { to, role: Role::Admin, .. } if to == key => before(link),
            Kind::Join { invite, .. }
                if statements[link].issuer == key && self.charter.invite(invite).0 == Role::Admin =>
            {
                before(link)
            }
            Kind::Succession { to, .. } if to == key => self.is_given(link),
            _ => Answer::No,
        };
        self.statements.iter().fold(Answer::No, |answer, link| answer.either(gives(link)))
    }

    /// Whether a removal, should it stand, leaves `act` out of what it accepts.
    fn strikes(&self, removal: StatementId, act: StatementId) -> bool {
        let statements = &self.charter.history.statements;
        let spared = self.charter.rules.has(Defect::SpareOnlyOwnRemover)
            && matches!(statements[act].kind, Kind::Revoke { of, .. } if of == statements[removal].issuer);
        let escapes = self.charter.rules.has(Defect::SuccessorsEscape)
            && matches!(statements[act].kind, Kind::Succession { .. });
        removal != act
            && !statements[act].past.contains(removal)
            && !self.charter.accepts(removal).contains(act)
            && !spared
            && !escapes
    }

    fn is_ticket_open(&self, invite: StatementId, join: StatementId) -> Answer {
        let closing = |removal: &StatementId| {
            let at = self.verdict.level.get(removal).copied().unwrap_or(self.level);
            self.strikes(*removal, join) && self.charter.closes(*removal, at, invite, &self.verdict.level)
        };
        let closers = self.statements.iter().filter(closing);
        closers.fold(Answer::Yes, |answer, removal| answer.both(self.is_not_taking(removal)))
    }

    fn is_given(&self, link: StatementId) -> Answer {
        let code = Face::Gives.code(link);
        if self.verdict.links.contains(link) {
            Answer::Yes
        } else if self.open.contains(code) {
            Answer::Waits(Set::one(code))
        } else {
            Answer::No
        }
    }

    fn is_not_taking(&self, removal: StatementId) -> Answer {
        let code = Face::Takes.code(removal);
        if self.verdict.removals.contains(removal) {
            Answer::No
        } else if self.open.contains(code) {
            Answer::Waits(Set::one(code))
        } else {
            Answer::Yes
        }
    }
}

fn drop_overrun_joins(charter: &Charter<'_>, verdict: &mut Verdict) {
    let statements = &charter.history.statements;
    for (invite, statement) in statements.iter().enumerate() {
        let Kind::Invite { uses, .. } = statement.kind else {
            continue;
        };
        let joins =
            |id: &StatementId| matches!(statements[*id].kind, Kind::Join { invite: of, .. } if of == invite);
        let overrun: Set = verdict.links.iter().filter(joins).skip(uses).collect();
        verdict.links = verdict.links.minus(overrun);
    }
}
