//! Lines of a batch that wait for their turn, document by document.
//!
//! The document whose oldest line has waited longest is next and has as many lines as one signature may
//! cover. So lines of many documents in any order leave in runs of one document once enough of them wait,
//! and none waits longer than for all that was there before it, each document once.

use std::collections::{BTreeMap, VecDeque};

use starling_crdt::{id::DocumentName, limits::DELTA_CHANGES_MAX, replica::Write};

/// Most lines of a batch read and not answered.
pub(super) const LINES_MAX: u64 = 32_768;
/// Most bytes of lines that wait, but for one line.
const BYTES_MAX: usize = 2 * 1024 * 1024;

/// See the module.
#[derive(Default)]
pub(super) struct Turns {
    /// None is empty.
    waiting: BTreeMap<DocumentName, VecDeque<Waiting>>,
    /// The documents in turn.
    next: VecDeque<DocumentName>,
    /// Lines that the first of them has had at this turn.
    taken: usize,
    bytes: usize,
}

struct Waiting {
    number: u64,
    bytes: usize,
    write: Write,
}

impl Turns {
    /// Whether another line may wait.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < BYTES_MAX
    }

    /// Puts the write of a line in, with the line's number and length in bytes.
    pub(super) fn push(&mut self, number: u64, bytes: usize, write: Write) {
        self.bytes += bytes;
        let waits = Waiting { number, bytes, write };
        if let Some(document) = self.waiting.get_mut(&waits.write.document) {
            return document.push_back(waits);
        }
        let document = waits.write.document.clone();
        self.next.push_back(document.clone());
        self.waiting.insert(document, VecDeque::from([waits]));
    }

    /// The write whose turn it is, with its line's number.
    pub(super) fn pop(&mut self) -> Option<(u64, Write)> {
        if self.taken == DELTA_CHANGES_MAX {
            self.taken = 0;
            self.next.rotate_left(1);
        }
        let document = self.next.front()?;
        let lines = self.waiting.get_mut(document)?;
        let Waiting { number, bytes, write } = lines.pop_front()?;
        self.taken += 1;
        self.bytes -= bytes;
        if lines.is_empty() {
            self.waiting.remove(document);
            self.next.pop_front();
            self.taken = 0;
        }
        Some((number, write))
    }
}

#[cfg(test)]
mod tests {
    use starling_crdt::{document::Edit, id::SpaceId, replica::Condition};

    use super::*;

    fn put(turns: &mut Turns, number: u64, document: &str) {
        let write = Write {
            space: SpaceId([1; 32]),
            document: document.parse().expect("a name"),
            edit: Edit::Remove,
            condition: Condition::default(),
            request_id: None,
        };
        turns.push(number, 100, write);
    }

    fn all(turns: &mut Turns) -> Vec<u64> {
        std::iter::from_fn(|| turns.pop()).map(|(number, _)| number).collect()
    }

    #[test]
    fn lines_of_a_document_leave_together_and_in_their_order() {
        let mut turns = Turns::default();
        for (number, document) in (0..).zip(["a", "b", "a", "c", "b", "a"]) {
            put(&mut turns, number, document);
        }
        assert_eq!(all(&mut turns), [0, 2, 5, 1, 4, 3]);
        assert!(turns.waiting.is_empty() && turns.next.is_empty() && turns.bytes == 0);
    }

    #[test]
    fn a_document_of_many_lines_lets_the_others_pass() {
        let mut turns = Turns::default();
        let many = DELTA_CHANGES_MAX as u64 + 10;
        (0..many).for_each(|number| put(&mut turns, number, "many"));
        put(&mut turns, many, "one");
        let mut order = all(&mut turns);
        assert_eq!(order.remove(DELTA_CHANGES_MAX), many);
        assert_eq!(order, (0..many).collect::<Vec<_>>());
    }

    #[test]
    fn a_line_that_comes_in_its_documents_turn_leaves_in_it() {
        let mut turns = Turns::default();
        put(&mut turns, 0, "a");
        put(&mut turns, 1, "a");
        put(&mut turns, 2, "b");
        assert_eq!(turns.pop().map(|(number, _)| number), Some(0));
        put(&mut turns, 3, "a");
        assert_eq!(all(&mut turns), [1, 3, 2]);
    }

    #[test]
    fn what_waits_is_bounded_by_its_bytes() {
        let mut turns = Turns::default();
        let fits = (0..).take_while(|number| {
            let room = turns.has_room();
            if room {
                put(&mut turns, *number, "a");
            }
            room
        });
        assert_eq!(fits.count(), BYTES_MAX.div_ceil(100));
        turns.pop();
        assert!(turns.has_room());
    }
}
