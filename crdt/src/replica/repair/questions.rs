//! The questions of a dialogue: what each task asks, and how what was asked is remembered.

use std::collections::VecDeque;

use minicbor::bytes::ByteVec;

use super::{Asked, Goal, Goals, Task};
use crate::exchange::{Greeting, Request, Want, encode_message, greeting_tag};
use crate::history::ItemKey;
use crate::id::{AuthorKey, SpaceId, StatementId};
use crate::limits::{EXCHANGE_CHUNK_BYTES, FETCH_WANTS_MAX};
use crate::replica::core::Core;
use crate::replica::effect::Effect;
use crate::replica::step::Step;
use crate::time::Moment;

/// Items in one offer, so that it stays far below an exchange frame.
pub(super) const OFFERED_ITEMS_MAX: usize = 8_192;

impl Core {
    /// Sends a question and remembers what it was.
    pub(in crate::replica) fn ask(
        &mut self,
        step: &mut Step<'_>,
        key: AuthorKey,
        asked: Asked,
        request: &Request,
    ) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        self.questions += 1;
        let id = self.questions;
        peer.asked.insert(id, asked);
        step.effects.push(Effect::Ask { peer: key, id, body: encode_message(request) });
    }

    /// What a task asks; nothing when it has nothing left to ask.
    pub(super) fn question(&mut self, peer: AuthorKey, task: Task) -> Option<(Asked, Request)> {
        match task {
            Task::Hello => {
                // Whoever asks for a repair from now on gets another dialogue after this one.
                if let Some(peer) = self.peers.get_mut(&peer) {
                    peer.due = Moment(u64::MAX);
                }
                let greetings = self.greetings(peer);
                Some((Asked::Task(Task::Hello), Request::Hello(greetings)))
            }
            Task::Join { space, request } => {
                let body = Request::Join(ByteVec::from(request.clone()));
                Some((Asked::Task(Task::Join { space, request }), body))
            }
            Task::Statements { space, pull } => {
                let request = Request::Statements { space, tips: pull.tips.clone(), after: pull.after };
                Some((Asked::Task(Task::Statements { space, pull }), request))
            }
            Task::Push { space, mut ids } => {
                let statements = self.statements_page(space, &mut ids);
                let is_empty = statements.is_empty();
                let request = Request::TakeStatements { space, statements };
                let pushed = Asked::Task(Task::Push { space, ids });
                (!is_empty).then_some((pushed, request))
            }
            Task::Reconcile { space, holdings, mut run } => {
                let ranges = run.next_ranges()?;
                let request = Request::Reconcile { space, salt: run.salt(), ranges };
                Some((Asked::Task(Task::Reconcile { space, holdings, run }), request))
            }
            Task::Offer { space, mut items } => {
                let rest = items.split_off(items.len().min(OFFERED_ITEMS_MAX));
                let request = Request::Offer { space, items };
                Some((Asked::Task(Task::Offer { space, items: rest }), request))
            }
            Task::Fetch { space, goals } => self.fetch_question(peer, space, goals),
        }
    }

    /// The spaces spoken of with a peer: those it may read, as far as this node knows.
    pub(in crate::replica) fn greetings(&self, peer: AuthorKey) -> Vec<Greeting> {
        let own = self.identity.key();
        let shared = self.spaces.values().filter(|space| space.charter.is_member(own));
        shared
            .map(|space| Greeting {
                tag: greeting_tag(space.id, own, peer),
                statements: space.charter.fingerprint(),
                items: space.items.fingerprint(),
            })
            .collect()
    }

    /// The space a peer's greeting speaks of.
    pub(in crate::replica) fn greeted_space(
        &self,
        asker: AuthorKey,
        asked: AuthorKey,
        sought: [u8; 16],
    ) -> Option<SpaceId> {
        self.spaces.keys().find(|space| greeting_tag(**space, asker, asked) == sought).copied()
    }

    fn fetch_question(
        &mut self,
        peer: AuthorKey,
        space: SpaceId,
        mut goals: Goals,
    ) -> Option<(Asked, Request)> {
        if self.fullness(space).is_some() {
            // What proves a fork is taken without room, too.
            goals.retain(|_, goal| matches!(goal, Goal::Contradict(_)));
        }
        let items = &self.spaces.get(&space)?.items;
        let tip = |key: ItemKey| items.item(key).map_or(0, |item| item.tip.seq);
        // Others may have brought it meanwhile, or are about to.
        goals.retain(|key, goal| {
            let elsewhere = self.fetching.get(&(space, *key)).is_some_and(|by| *by != peer);
            !elsewhere && !matches!(goal, Goal::Reach(seq) if tip(*key) >= *seq)
        });
        if goals.is_empty() {
            return None;
        }
        let rest = match goals.keys().nth(FETCH_WANTS_MAX).copied() {
            Some(from) => goals.split_off(&from),
            None => Goals::new(),
        };
        let wants = goals
            .iter()
            .map(|(key, goal)| match goal {
                Goal::Reach(_) => Want { key: *key, after: tip(*key) },
                Goal::Contradict(seq) => Want { key: *key, after: seq - 1 },
            })
            .collect();
        self.fetching.extend(goals.keys().map(|key| ((space, *key), peer)));
        Some((Asked::Fetch { space, goals, rest }, Request::Fetch { space, wants }))
    }

    /// Takes from the front of `ids` as many statements as fit into one message.
    fn statements_page(&self, space: SpaceId, ids: &mut VecDeque<StatementId>) -> Vec<ByteVec> {
        let (mut page, mut room) = (Vec::new(), EXCHANGE_CHUNK_BYTES);
        let Some(space) = self.spaces.get(&space) else { return page };
        while let Some(id) = ids.front() {
            let bytes = space.charter.statement(*id).map(|statement| statement.to_bytes());
            let length = bytes.as_ref().map_or(0, Vec::len);
            if length > room {
                break;
            }
            room -= length;
            page.extend(bytes.map(ByteVec::from));
            ids.pop_front();
        }
        page
    }
}
