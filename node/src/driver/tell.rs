//! What the replica tells the operator: log lines with stable event names, and figures that move.

use starling_crdt::replica::{Counted, Effect, Note};

use crate::metrics::Metrics;

/// Logs and counts what an effect tells; nothing for an effect that does something.
pub(super) fn tell(metrics: &Metrics, effect: &Effect) {
    match effect {
        Effect::Offence { peer, offence, code } => {
            metrics.offence(offence.code());
            tracing::warn!(event = "offence", %peer, offence = offence.code(), code, "a peer broke a rule");
        }
        Effect::MemberChanged { space, change } => {
            let (member, state, reason) = (change.author, change.to.name(), change.reason.code());
            if change.is_doubt() {
                tracing::debug!(event = "member_doubt", %space, %member, state, reason, "a member is {state}");
            } else {
                tracing::info!(event = "member", %space, %member, state, reason, "a member is {state}");
            }
        }
        Effect::Count { what, by } => count(metrics, *what, *by),
        Effect::Note(note) => {
            if matches!(note, Note::StoreFault { .. }) {
                metrics.store_fault();
            }
            log(note);
        }
        _ => {}
    }
}

fn count(metrics: &Metrics, what: Counted, by: u64) {
    match what {
        Counted::Written => metrics.writes(by),
        Counted::Admitted => metrics.deltas_admitted(by),
        Counted::Refused(code) => {
            (0..by).for_each(|_| metrics.delta_refused(code));
            tracing::debug!(event = "refused", code, count = by, "refused what a peer sent");
        }
        Counted::Orphaned => {
            metrics.orphans(by);
            tracing::debug!(event = "orphaned", count = by, "a delta waits for what it rests on");
        }
        Counted::OrphansDropped => metrics.orphans_dropped(by),
        Counted::Forks => metrics.forks(by),
        Counted::Quarantined => metrics.quarantined(by),
        Counted::Exchanges => metrics.exchanges(by),
        // Part of the bytes of exchanges, which are counted whole where they leave and arrive.
        Counted::ServedBytes | Counted::FetchedBytes => {}
    }
}

fn log(note: &Note) {
    match note {
        Note::Joined { space } => tracing::info!(event = "joined", %space, "this node is a member now"),
        Note::JoinRefused { space, peer, reason } => {
            tracing::warn!(event = "join_refused", %space, %peer, reason, "a member refused to witness the join");
        }
        Note::Fork { space, document, author, seq } => {
            tracing::error!(event = "fork", %space, %document, %author, seq, "an author signed two changes with one number");
        }
        Note::Quarantined { space, document, change, reason } => {
            tracing::warn!(event = "quarantined", %space, %document, %change, reason, "a change is kept out of its document");
        }
        Note::ExchangeRefused { peer, reason } => {
            tracing::warn!(event = "exchange_refused", %peer, reason, "a peer refused an exchange");
        }
        Note::VoidStatement { space, reason } => {
            tracing::warn!(event = "void_statement", %space, reason = reason.code(), "a statement is without effect");
        }
        Note::StoreFault { error } => {
            tracing::error!(event = "store_fault", %error, "the store failed; what was asked was refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use starling_crdt::budget::Offence;
    use starling_crdt::id::{AuthorKey, ChangeHash, DocumentName, SpaceId};

    use super::*;

    /// Log lines, gathered.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The log lines and figures that telling an effect to a fresh node gives.
    fn told(effect: &Effect) -> (String, String) {
        let (lines, metrics) = (Lines::default(), Metrics::new());
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || tell(&metrics, effect));
        let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        (logged, metrics.render())
    }

    #[test]
    fn every_offence_is_one_line_and_one_more_in_the_figures() {
        for offence in Offence::ALL {
            let effect = Effect::Offence { peer: AuthorKey([7; 32]), offence, code: "the_fault" };
            let (logged, figures) = told(&effect);
            assert_eq!(logged.lines().count(), 1, "{logged}");
            for word in
                ["event=\"offence\"", "code=\"the_fault\"", offence.code(), &AuthorKey([7; 32]).to_string()]
            {
                assert!(logged.contains(word), "{word} is not in {logged}");
            }
            let figure = format!("starling_offences_total{{kind=\"{}\"}} 1", offence.code());
            assert!(figures.contains(&figure), "{figure} is not in {figures}");
        }
    }

    #[test]
    fn every_refusal_by_code_is_one_line_and_one_more_in_the_figures() {
        // Codes of what the core's tests of hostile peers see refused.
        for code in
            ["bad_signature", "foreign_actor", "broken_chain", "sequence", "start_op", "fork", "not_allowed"]
        {
            let (logged, figures) = told(&Effect::Count { what: Counted::Refused(code), by: 1 });
            assert_eq!(logged.lines().count(), 1, "{logged}");
            assert!(logged.contains("event=\"refused\"") && logged.contains(code), "{logged}");
            let figure = format!("starling_deltas_refused_total{{code=\"{code}\"}} 1");
            assert!(figures.contains(&figure), "{figure} is not in {figures}");
        }
    }

    #[test]
    fn what_waits_forks_or_leaves_a_view_is_told_and_counted() {
        let document: DocumentName = "a/b".parse().unwrap();
        let space = SpaceId([1; 32]);
        let fork = Note::Fork { space, document: document.clone(), author: AuthorKey([2; 32]), seq: 3 };
        let poison = Note::Quarantined {
            space,
            document,
            change: ChangeHash([4; 32]),
            reason: "nested too deep".into(),
        };
        for (note, event) in [(fork, "fork"), (poison, "quarantined")] {
            let (logged, _) = told(&Effect::Note(note));
            assert_eq!(logged.lines().count(), 1, "{logged}");
            assert!(logged.contains(&format!("event=\"{event}\"")), "{logged}");
        }
        for (what, figure) in [
            (Counted::Orphaned, "starling_orphans_total 2"),
            (Counted::OrphansDropped, "starling_orphans_dropped_total 2"),
            (Counted::Forks, "starling_forks_total 2"),
            (Counted::Quarantined, "starling_quarantined_total 2"),
        ] {
            let (_, figures) = told(&Effect::Count { what, by: 2 });
            assert!(figures.contains(figure), "{figure} is not in {figures}");
        }
    }
}
