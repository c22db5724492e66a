//! When to register and when to ask.
//!
//! Promises: each topic is registered soon after a neighbour with a directory is met, and again in
//! time before the registration ends; others are asked for at growing intervals, from
//! [`SEARCH_FIRST`] to [`SEARCH_MAX`], while they are wanted. Nothing of it depends on anything but
//! the times and numbers given, and [`ERRANDS_MAX`] bounds one round.

use std::collections::BTreeMap;
use std::time::Duration;

use starling_crdt::id::Topic;
use tokio::time::Instant;

use crate::network::limits::REGISTRATION_LIFETIME;

/// How long after a new neighbour with a directory a topic is registered there: several that come
/// at once are told at once.
const REGISTER_DELAY: Duration = Duration::from_secs(2);
/// Least time between two registrations of one topic.
const REGISTER_SPACING: Duration = Duration::from_secs(30);
/// When a registration is renewed: a third of its life, so that one lost message costs nothing.
const REGISTER_PERIOD: Duration = Duration::from_secs(REGISTRATION_LIFETIME.as_secs() / 3);
/// How long after the first neighbour others are asked for.
const SEARCH_FIRST: Duration = Duration::from_secs(4);
/// Longest time between two questions.
const SEARCH_MAX: Duration = Duration::from_secs(600);
/// Errands of one round. The rest is done in the next.
const ERRANDS_MAX: usize = 4;

/// Something to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) enum Errand {
    /// Register as a follower of the topic.
    Register(Topic),
    /// Ask for other followers of it.
    Search(Topic),
}

#[derive(Debug)]
struct Times {
    registered: Option<Instant>,
    register: Instant,
    search: Instant,
    wait: Duration,
}

/// See the module.
#[derive(Debug, Default)]
pub(in crate::network) struct Agenda {
    topics: BTreeMap<Topic, Times>,
}

impl Agenda {
    /// A topic is followed from now on.
    pub(in crate::network) fn follow(&mut self, topic: Topic, now: Instant) {
        let (register, search) = (now + REGISTER_DELAY, now + SEARCH_FIRST);
        let times = Times { registered: None, register, search, wait: SEARCH_FIRST };
        self.topics.entry(topic).or_insert(times);
    }

    /// A topic is followed no longer.
    pub(in crate::network) fn unfollow(&mut self, topic: &Topic) {
        self.topics.remove(topic);
    }

    /// A neighbour with a directory is here that was not before.
    pub(in crate::network) fn neighbour(&mut self, now: Instant) {
        for times in self.topics.values_mut() {
            let earliest = times.registered.map_or(now, |last| last + REGISTER_SPACING);
            times.register = times.register.min(earliest.max(now + REGISTER_DELAY));
            times.wait = SEARCH_FIRST;
            times.search = times.search.min(now + SEARCH_FIRST);
        }
    }

    /// What to do now. `lacks` says of a topic whether more followers are wanted; `spread`, from 0 to
    /// 1, is drawn anew for each time set, so that a fleet started at once does not ask at once.
    pub(in crate::network) fn due(
        &mut self,
        now: Instant,
        lacks: impl Fn(&Topic) -> bool,
        mut spread: impl FnMut() -> f64,
    ) -> Vec<Errand> {
        let times = self.topics.iter();
        let mut due: Vec<(Instant, Errand)> = times
            .flat_map(|(topic, times)| {
                [(times.register, Errand::Register(*topic)), (times.search, Errand::Search(*topic))]
            })
            .filter(|(at, _)| *at <= now)
            .collect();
        // Those that waited longest: with many topics each has its turn.
        due.sort_by_key(|(at, _)| *at);
        due.truncate(ERRANDS_MAX);
        let mut jittered = |period: Duration| now + period.mul_f64(0.75 + 0.25 * spread());
        due.retain(|(_, errand)| {
            let (Errand::Register(topic) | Errand::Search(topic)) = errand;
            let Some(times) = self.topics.get_mut(topic) else { return false };
            if let Errand::Register(_) = errand {
                times.registered = Some(now);
                times.register = jittered(REGISTER_PERIOD);
                return true;
            }
            times.search = jittered(times.wait);
            times.wait = (times.wait * 2).min(SEARCH_MAX);
            lacks(topic)
        });
        due.into_iter().map(|(_, errand)| errand).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: Topic = Topic([1; 32]);

    /// Errands of `seconds` seconds, looked at twice a second.
    fn run(agenda: &mut Agenda, start: Instant, seconds: u64, lacks: bool) -> Vec<(u64, Errand)> {
        let looks = (0..seconds * 2).map(|half| start + Duration::from_millis(half * 500));
        let mut done = Vec::new();
        for now in looks {
            let due = agenda.due(now, |_| lacks, || 1.0);
            done.extend(due.into_iter().map(|errand| ((now - start).as_secs(), errand)));
        }
        done
    }

    #[test]
    fn searches_grow_rarer_and_stop_where_nothing_is_lacking() {
        let start = Instant::now();
        let mut agenda = Agenda::default();
        agenda.follow(TOPIC, start);
        let done = run(&mut agenda, start, 3_600, true);
        let searches: Vec<u64> =
            done.iter().filter(|(_, errand)| *errand == Errand::Search(TOPIC)).map(|(at, _)| *at).collect();
        assert_eq!(searches[..5], [4, 8, 16, 32, 64]);
        assert!(searches.windows(2).all(|pair| pair[1] - pair[0] <= SEARCH_MAX.as_secs()));
        assert!(searches.len() < 20, "{searches:?}");

        let mut agenda = Agenda::default();
        agenda.follow(TOPIC, start);
        let done = run(&mut agenda, start, 3_600, false);
        assert!(done.iter().all(|(_, errand)| *errand == Errand::Register(TOPIC)), "{done:?}");
        let longest = REGISTRATION_LIFETIME.as_secs() / 2;
        assert!(done.windows(2).all(|pair| pair[1].0 - pair[0].0 < longest), "renewed in time: {done:?}");
    }

    #[test]
    fn a_new_neighbour_brings_both_forward_but_many_at_once_only_once() {
        let start = Instant::now();
        let mut agenda = Agenda::default();
        agenda.follow(TOPIC, start);
        run(&mut agenda, start, 300, true);
        let later = start + Duration::from_secs(300);
        (0..50).for_each(|_| agenda.neighbour(later));
        let done = run(&mut agenda, later, 7, true);
        assert_eq!(done, [(2, Errand::Register(TOPIC)), (4, Errand::Search(TOPIC))]);
    }

    #[test]
    fn many_topics_take_turns() {
        let start = Instant::now();
        let mut agenda = Agenda::default();
        (0..90).for_each(|topic| agenda.follow(Topic([topic; 32]), start));
        let late = start + Duration::from_secs(60);
        assert_eq!(agenda.due(late, |_| true, || 0.5).len(), ERRANDS_MAX);
        let done = run(&mut agenda, late, 30, true);
        for topic in (0..90).map(|topic| Topic([topic; 32])) {
            assert!(done.iter().any(|(_, errand)| *errand == Errand::Search(topic)));
        }
    }
}
