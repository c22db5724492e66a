//! The connections that stand, by number: whatever is under way asks for its own again and again.

use super::event::Parcel;
use super::link::Way;

/// A connection between two processes. Way 0 leads from the first end to the second.
pub(super) struct Connection {
    pub(super) ends: [usize; 2],
    pub(super) processes: [u64; 2],
    pub(super) ways: [Way; 2],
    /// Frames that wait for a cut to end.
    pub(super) stalled: [Vec<Parcel>; 2],
    /// Since when one direction carries nothing, as a number that changes with each cut.
    pub(super) cut: Option<u64>,
}

/// Every connection by its number, in the order in which they were made.
#[derive(Default)]
pub(super) struct Connections {
    /// The connection with the number of its place and one; those that are gone leave their place empty.
    made: Vec<Option<Box<Connection>>>,
}

impl Connections {
    fn place(number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(1)?).ok()
    }

    pub(super) fn get(&self, number: u64) -> Option<&Connection> {
        self.made.get(Self::place(number)?)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Connection> {
        self.made.get_mut(Self::place(number)?)?.as_deref_mut()
    }

    /// Adds one. Gives its number.
    pub(super) fn add(&mut self, connection: Connection) -> u64 {
        self.made.push(Some(Box::new(connection)));
        self.made.len() as u64
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Box<Connection>> {
        self.made.get_mut(Self::place(number)?)?.take()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Connection)> {
        let made = self.made.iter().enumerate();
        made.filter_map(|(place, held)| Some((place as u64 + 1, held.as_deref()?)))
    }
}
