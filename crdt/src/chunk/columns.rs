//! Counts the rows of a change's columns from their runs, without ever iterating a run.

use super::ChunkError;
use super::reader::Reader;
use crate::limits::{CHANGE_COLUMNS_MAX, CHANGE_OPS_MAX, CHANGE_PREDECESSORS_MAX};

/// The bit of a column's specification that says it is deflated.
const DEFLATED: u64 = 0b1000;

/// How a column's bytes are laid out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Runs of unsigned numbers.
    Unsigned,
    /// Runs of places in the list of actors, the author's own first.
    Actor,
    /// Runs of signed differences.
    Delta,
    /// Runs of texts, each behind its length.
    Text,
    /// Lengths of alternating runs of false and true.
    Boolean,
    /// Bytes whose extent other columns announce.
    Raw,
}

/// What one row of the column stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    /// One per operation.
    Op,
    /// One per predecessor of an operation.
    Predecessor,
    /// The bytes of values.
    ValueBytes,
}

/// Specification number of the action column, whose rows are the operations.
const ACTION: u64 = 66;
/// Specification number of the column with type and length of each value.
const VALUE_META: u64 = 86;
/// Specification number of the column with the bytes of values.
const VALUE: u64 = 87;
/// Specification number of the column that says how many predecessors each operation has.
const PREDECESSOR_COUNT: u64 = 112;
/// Specification number of the column with the actors of predecessors.
const PREDECESSOR_ACTOR: u64 = 113;

/// Every column a change has, in order: object actor and counter; key actor, counter and text;
/// insert; action; value type and bytes; predecessor count, actor and counter; and two for marks.
const COLUMNS: [(u64, Layout, Rows); 14] = [
    (1, Layout::Actor, Rows::Op),
    (2, Layout::Unsigned, Rows::Op),
    (17, Layout::Actor, Rows::Op),
    (19, Layout::Delta, Rows::Op),
    (21, Layout::Text, Rows::Op),
    (52, Layout::Boolean, Rows::Op),
    (ACTION, Layout::Unsigned, Rows::Op),
    (VALUE_META, Layout::Unsigned, Rows::Op),
    (VALUE, Layout::Raw, Rows::ValueBytes),
    (PREDECESSOR_COUNT, Layout::Unsigned, Rows::Op),
    (PREDECESSOR_ACTOR, Layout::Actor, Rows::Predecessor),
    (115, Layout::Delta, Rows::Predecessor),
    (148, Layout::Boolean, Rows::Op),
    (165, Layout::Text, Rows::Op),
];

/// What the runs of one column add up to. Sums saturate: every bound lies far below.
#[derive(Default)]
struct Tally {
    rows: u64,
    /// Sum of the numbers in the rows.
    sum: u64,
    /// Sum of the value lengths in the rows, for the column of value types.
    value_bytes: u64,
}

impl Tally {
    fn add(&mut self, rows: u64, number: u64) {
        self.rows = self.rows.saturating_add(rows);
        self.sum = self.sum.saturating_add(rows.saturating_mul(number));
        self.value_bytes = self.value_bytes.saturating_add(rows.saturating_mul(number >> 4));
    }
}

/// Reads the column list and the columns of a change that lists `actors` actors, its own included,
/// and gives the number of operations.
pub(super) fn count_ops(reader: &mut Reader<'_>, actors: u64) -> Result<u64, ChunkError> {
    let list = column_list(reader)?;
    let mut tallies = Vec::with_capacity(list.len());
    for ((spec, layout, rows), length) in list {
        let bytes = reader.take(length)?;
        tallies.push((spec, rows, tally(layout, bytes, actors)?));
    }
    let of = |wanted| tallies.iter().find(|(spec, _, _)| *spec == wanted).map(|(_, _, tally)| tally);
    let ops = of(ACTION).map_or(0, |tally| tally.rows);
    if ops > CHANGE_OPS_MAX {
        return Err(ChunkError::TooManyOps);
    }
    let predecessors = of(PREDECESSOR_COUNT).map_or(0, |tally| tally.sum);
    if predecessors > CHANGE_PREDECESSORS_MAX {
        return Err(ChunkError::TooManyPredecessors);
    }
    let value_bytes = of(VALUE_META).map_or(0, |tally| tally.value_bytes);
    for (spec, rows, tally) in &tallies {
        let expected = match rows {
            Rows::Op => ops,
            Rows::Predecessor => predecessors,
            Rows::ValueBytes => value_bytes,
        };
        if tally.rows != expected {
            return Err(ChunkError::ColumnRows { spec: *spec });
        }
    }
    // Announced bytes and predecessors need their columns.
    for (announced, column) in [(value_bytes, VALUE), (predecessors, PREDECESSOR_ACTOR)] {
        if announced > 0 && of(column).is_none() {
            return Err(ChunkError::ColumnRows { spec: column });
        }
    }
    Ok(ops)
}

type ListedColumn = ((u64, Layout, Rows), usize);

fn column_list(reader: &mut Reader<'_>) -> Result<Vec<ListedColumn>, ChunkError> {
    let count = reader.length()?;
    if count > CHANGE_COLUMNS_MAX {
        return Err(ChunkError::TooManyColumns { columns: count });
    }
    let mut list: Vec<ListedColumn> = Vec::with_capacity(count);
    for _ in 0..count {
        let spec = reader.unsigned()?;
        let length = reader.length()?;
        if spec & DEFLATED != 0 {
            return Err(ChunkError::CompressedColumn);
        }
        let column = COLUMNS.into_iter().find(|(known, _, _)| *known == spec);
        let column = column.ok_or(ChunkError::UnknownColumn { spec })?;
        if length == 0 || list.last().is_some_and(|((last, _, _), _)| *last >= spec) {
            return Err(ChunkError::ColumnOrder);
        }
        list.push((column, length));
    }
    Ok(list)
}

fn tally(layout: Layout, bytes: &[u8], actors: u64) -> Result<Tally, ChunkError> {
    let mut tally = Tally::default();
    match layout {
        Layout::Raw => tally.rows = bytes.len() as u64,
        Layout::Boolean => {
            let mut reader = Reader::new(bytes);
            while reader.remaining() > 0 {
                tally.add(reader.unsigned()?, 0);
            }
        }
        Layout::Unsigned | Layout::Actor | Layout::Delta | Layout::Text => {
            runs(layout, bytes, actors, &mut tally)?;
        }
    }
    Ok(tally)
}

/// Run lengths: a positive count and one value, a negative count and that many values, or zero and
/// a count of absent values.
fn runs(layout: Layout, bytes: &[u8], actors: u64, tally: &mut Tally) -> Result<(), ChunkError> {
    let mut reader = Reader::new(bytes);
    while reader.remaining() > 0 {
        match reader.signed()? {
            0 => tally.add(reader.unsigned()?, 0),
            count if count > 0 => {
                let number = value(layout, &mut reader, actors)?;
                tally.add(count.unsigned_abs(), number);
            }
            // Each literal takes at least a byte, so a lying count ends with the bytes.
            count => {
                for _ in 0..count.unsigned_abs() {
                    let number = value(layout, &mut reader, actors)?;
                    tally.add(1, number);
                }
            }
        }
    }
    Ok(())
}

fn value(layout: Layout, reader: &mut Reader<'_>, actors: u64) -> Result<u64, ChunkError> {
    match layout {
        Layout::Unsigned => reader.unsigned(),
        // Automerge panics on a place that the list does not have.
        Layout::Actor => reader.unsigned().and_then(|place| {
            if place < actors { Ok(place) } else { Err(ChunkError::UnknownActor { place }) }
        }),
        Layout::Delta => reader.signed().map(|_| 0),
        Layout::Text => {
            let length = reader.length()?;
            std::str::from_utf8(reader.take(length)?).map_err(|_| ChunkError::NotUtf8)?;
            Ok(0)
        }
        Layout::Boolean | Layout::Raw => Ok(0),
    }
}
