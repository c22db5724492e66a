//! Who may do what: a pure function of a closed set of statements.
//!
//! A *title* is one way by which a key holds a right: a founder's, a grant's or a join's, handed on
//! by successions. A statement is *authorised* once and for all by the live titles of its issuer in
//! its own past. Whether it *stands* in a larger set depends on the removals there, decided stratum
//! by stratum from the founders outward (`strata.rs`). Nothing here knows documents or clocks.

use super::records::{ChangeId, History, Key, Kind, Prefix, Role, StatementId};
use super::rules::{Defect, Rules};
use super::set::Set;
use super::strata;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// How far from the founders someone acts: a founder at 0, whom a founder admits at 1.
pub type Level = usize;

/// The level of those who are no admins: behind every admin.
pub const MEMBER_LEVEL: Level = usize::MAX;

/// A key in the line of a title, and the statement that brought it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// The key.
    pub key: Key,
    /// A grant, join or succession; none for a founder.
    pub link: Option<StatementId>,
}

/// One way by which a key holds a right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Title {
    /// The line of keys; the last one holds the right.
    pub line: Vec<Holder>,
    /// The right's role.
    pub role: Role,
    /// The right's documents.
    pub prefix: Prefix,
}

impl Title {
    /// The key that holds the right now.
    #[must_use]
    pub fn holder(&self) -> Key {
        self.line[self.line.len() - 1].key
    }

    /// The keys of the line.
    #[must_use]
    pub fn keys(&self) -> Set {
        self.line.iter().map(|holder| holder.key).collect()
    }

    /// The statements the title consists of.
    pub fn links(&self) -> impl Iterator<Item = StatementId> {
        self.line.iter().filter_map(|holder| holder.link)
    }

    fn gives(&self, role: Role) -> bool {
        self.role >= role
    }
}

/// What a statement rests on: for each part, titles of which one must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Support {
    /// Titles of the issuer, for a join those of the invite's issuer.
    pub own: Vec<Title>,
    /// Titles of a join's witness.
    pub witness: Option<Vec<Title>>,
}

/// What a set of statements amounts to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Revocations, closes and successions whose removal takes effect.
    pub removals: Set,
    /// Grants, invites, joins, clearings and successions that give what they say.
    pub links: Set,
    /// The level at which each standing statement was made.
    pub level: BTreeMap<StatementId, Level>,
    /// Titles that nothing has ended.
    pub titles: Vec<Title>,
    /// Whether prefixes limit rights, as they should.
    pub(super) prefixes_ignored: bool,
}

impl Verdict {
    /// The live titles of a key that give at least `role` over all of `prefix`.
    pub fn titles_of(&self, key: Key, role: Role, prefix: Prefix) -> impl Iterator<Item = &Title> {
        let covers = move |title: &Title| self.prefixes_ignored || title.prefix.covers(prefix);
        self.titles.iter().filter(move |title| title.holder() == key && title.gives(role) && covers(title))
    }

    /// Whether a key may do that.
    #[must_use]
    pub fn may(&self, key: Key, role: Role, prefix: Prefix) -> bool {
        self.titles_of(key, role, prefix).next().is_some()
    }
}

/// The statements of one history under given rules, with every verdict computed once.
pub struct Charter<'h> {
    /// The history.
    pub history: &'h History,
    /// The rules.
    pub rules: Rules,
    verdicts: RefCell<BTreeMap<Set, Rc<Verdict>>>,
    supports: RefCell<BTreeMap<StatementId, Rc<Support>>>,
    rights: RefCell<BTreeMap<ChangeId, Rc<[Title]>>>,
}

impl<'h> Charter<'h> {
    /// A charter about which nothing has been asked yet.
    #[must_use]
    pub fn new(history: &'h History, rules: Rules) -> Self {
        Self {
            history,
            rules,
            verdicts: RefCell::default(),
            supports: RefCell::default(),
            rights: RefCell::default(),
        }
    }

    /// What a closed set of statements amounts to.
    pub fn evaluate(&self, statements: Set) -> Rc<Verdict> {
        if let Some(known) = self.verdicts.borrow().get(&statements) {
            return Rc::clone(known);
        }
        let mut verdict = strata::decide(self, statements);
        verdict.titles = self.live_titles(&verdict);
        verdict.prefixes_ignored = self.rules.has(Defect::PrefixesIgnored);
        let verdict = Rc::new(verdict);
        self.verdicts.borrow_mut().insert(statements, Rc::clone(&verdict));
        verdict
    }

    /// The titles a statement rests on, fixed by its own past; none when it was never authorised.
    pub fn support(&self, id: StatementId) -> Rc<Support> {
        if let Some(known) = self.supports.borrow().get(&id) {
            return Rc::clone(known);
        }
        let support = Rc::new(self.find_support(id));
        self.supports.borrow_mut().insert(id, Rc::clone(&support));
        support
    }

    /// The author's titles that gave it the right to make a change, fixed by what its incarnation
    /// cites.
    pub fn rights(&self, id: ChangeId) -> Rc<[Title]> {
        if let Some(known) = self.rights.borrow().get(&id) {
            return Rc::clone(known);
        }
        let change = &self.history.changes[id];
        let cited = self.evaluate(change.cites);
        let titles = cited.titles_of(change.author, Role::Writer, Prefix::Only(change.document));
        let rights: Rc<[Title]> = titles.cloned().collect();
        self.rights.borrow_mut().insert(id, Rc::clone(&rights));
        rights
    }

    fn find_support(&self, id: StatementId) -> Support {
        let statement = &self.history.statements[id];
        let past = self.evaluate(statement.past);
        let titles = |role, prefix| past.titles_of(statement.issuer, role, prefix).cloned().collect();
        let own = match statement.kind {
            Kind::Join { invite, witness } => return self.join_support(id, invite, witness),
            Kind::Succession { to, .. } if self.is_named(to, statement.past) => Vec::new(),
            Kind::Succession { .. } => {
                past.titles.iter().filter(|title| title.holder() == statement.issuer).cloned().collect()
            }
            Kind::Grant { prefix, .. } | Kind::Invite { prefix, .. } => titles(Role::Admin, prefix),
            Kind::Revoke { scope, .. } => titles(Role::Admin, scope),
            Kind::Close { invite, .. } => titles(Role::Admin, self.invite(invite).1),
            Kind::Clear { .. } => titles(Role::Admin, Prefix::All),
        };
        Support { own, witness: None }
    }

    fn join_support(&self, id: StatementId, invite: StatementId, witness: Key) -> Support {
        let statement = &self.history.statements[id];
        let past = self.evaluate(statement.past);
        let (role, prefix) = self.invite(invite);
        let closed = past.removals.iter().any(|removal| {
            let at = past.level.get(&removal).copied().unwrap_or(MEMBER_LEVEL);
            self.closes(removal, at, invite, &past.level)
        });
        if closed || !past.links.contains(invite) {
            return Support::default();
        }
        let issuers = self.support(invite);
        let own = issuers.own.iter().filter(|title| past.titles.contains(title)).cloned().collect();
        let witness = past.titles_of(witness, role, prefix).cloned().collect();
        Support { own, witness: Some(witness) }
    }

    /// What an invite gives.
    #[must_use]
    pub fn invite(&self, invite: StatementId) -> (Role, Prefix) {
        match self.history.statements[invite].kind {
            Kind::Invite { role, prefix, .. } => (role, prefix),
            _ => (Role::Reader, Prefix::Only(usize::MAX)),
        }
    }

    /// Whether a key already plays a part: a successor must be a new one.
    fn is_named(&self, key: Key, statements: Set) -> bool {
        let names = |id: StatementId| match self.history.statements[id].kind {
            Kind::Grant { to, .. } | Kind::Succession { to, .. } => to == key,
            _ => self.history.statements[id].issuer == key,
        };
        self.history.founders.contains(key) || statements.iter().any(names)
    }

    /// Invites by which more keys came in than they allow, with those keys.
    #[must_use]
    pub fn overruns(&self, verdict: &Verdict) -> BTreeMap<StatementId, Set> {
        let mut joiners: BTreeMap<StatementId, Set> = BTreeMap::new();
        for id in verdict.links.iter() {
            let statement = &self.history.statements[id];
            let alone = verdict.links.iter().all(|other| !self.history.statements[other].past.contains(id));
            if self.rules.has(Defect::OverrunsUnreported) && alone {
                continue;
            }
            if let Kind::Join { invite, .. } = statement.kind {
                let joined = joiners.entry(invite).or_default();
                *joined = joined.with(statement.issuer);
            }
        }
        joiners.retain(|invite, joined| {
            matches!(self.history.statements[*invite].kind, Kind::Invite { uses, .. } if joined.len() > uses)
        });
        joiners
    }

    /// Whether a removal made at `at` closes the ticket of `invite`.
    pub(super) fn closes(
        &self,
        removal: StatementId,
        at: Level,
        invite: StatementId,
        level: &BTreeMap<StatementId, Level>,
    ) -> bool {
        let Kind::Close { invite: closed, .. } = self.history.statements[removal].kind else {
            return false;
        };
        let near_enough = self.invite(invite).0 < Role::Admin
            || level.get(&invite).is_some_and(|&invited_at| at <= invited_at);
        closed == invite && near_enough
    }

    /// Whether a removal made at `at` can end a title: it names a key of the line, was not known
    /// to whoever put that key there, covers the title's documents, and, against an admin, is not
    /// farther from the founders than the title's holder acts.
    pub(super) fn can_end(&self, removal: StatementId, at: Level, title: &Title, acting: Level) -> bool {
        let (target, scope, near_enough) = match self.history.statements[removal].kind {
            Kind::Revoke { of, scope, .. } => {
                let ignore = self.rules.has(Defect::FartherRemovesNearer);
                (of, scope, title.role < Role::Admin || at <= acting || ignore)
            }
            Kind::Succession { .. } => (self.history.statements[removal].issuer, Prefix::All, true),
            _ => return false,
        };
        let line = if self.rules.has(Defect::SuccessorsEscape) {
            &title.line[title.line.len() - 1..]
        } else {
            &title.line[..]
        };
        near_enough
            && scope.covers(title.prefix)
            && title.links().all(|link| link != removal)
            && line.iter().any(|holder| holder.key == target && !self.was_put_knowing(holder.link, removal))
    }

    fn was_put_knowing(&self, link: Option<StatementId>, removal: StatementId) -> bool {
        let Some(link) = link else { return false };
        let statement = &self.history.statements[link];
        let by_join = matches!(statement.kind, Kind::Join { .. }) && !self.rules.has(Defect::JoinsReadmit);
        statement.past.contains(removal) && !by_join
    }

    /// The level at which the holder of a title acts.
    pub(super) fn acting(&self, title: &Title, level: &BTreeMap<StatementId, Level>) -> Level {
        match title.line[0].link {
            _ if title.role < Role::Admin => MEMBER_LEVEL,
            None => 0,
            Some(link) => level.get(&link).map_or(MEMBER_LEVEL, |level| level.saturating_add(1)),
        }
    }

    /// What a removal says about statements: the ones it accepts.
    pub(super) fn accepts(&self, removal: StatementId) -> Set {
        match self.history.statements[removal].kind {
            Kind::Revoke { accepts, .. } | Kind::Close { accepts, .. } | Kind::Succession { accepts, .. } => {
                accepts
            }
            _ => Set::EMPTY,
        }
    }

    /// What a removal or clearing says about changes: the ones it accepts.
    #[must_use]
    pub fn frontier(&self, removal: StatementId) -> Set {
        match self.history.statements[removal].kind {
            Kind::Revoke { frontier, .. }
            | Kind::Succession { frontier, .. }
            | Kind::Clear { frontier, .. } => frontier,
            _ => Set::EMPTY,
        }
    }

    fn live_titles(&self, verdict: &Verdict) -> Vec<Title> {
        let mut titles: Vec<Title> = self.history.founders.iter().map(founder_title).collect();
        for link in verdict.links.iter() {
            titles.extend(self.titles_from(link));
        }
        titles.retain(|title| {
            let acting = self.acting(title, &verdict.level);
            title.links().all(|link| verdict.links.contains(link))
                && verdict.removals.iter().all(|removal| {
                    let at = verdict.level.get(&removal).copied().unwrap_or(MEMBER_LEVEL);
                    !self.can_end(removal, at, title, acting)
                })
        });
        titles
    }

    /// The titles a statement brings into being.
    fn titles_from(&self, link: StatementId) -> Vec<Title> {
        let statement = &self.history.statements[link];
        let new = |key, role, prefix| Title { line: vec![Holder { key, link: Some(link) }], role, prefix };
        match statement.kind {
            Kind::Grant { to, role, prefix } => vec![new(to, role, prefix)],
            Kind::Join { invite, .. } => {
                let (role, prefix) = self.invite(invite);
                vec![new(statement.issuer, role, prefix)]
            }
            Kind::Succession { to, .. } => {
                let mut titles = self.support(link).own.clone();
                for title in &mut titles {
                    title.line.push(Holder { key: to, link: Some(link) });
                }
                titles
            }
            _ => Vec::new(),
        }
    }
}

fn founder_title(key: Key) -> Title {
    Title { line: vec![Holder { key, link: None }], role: Role::Admin, prefix: Prefix::All }
}
