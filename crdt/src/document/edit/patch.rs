//! What a JSON Patch writes: its steps one after the other, each on what the ones before it left.
//!
//! Each step becomes the edit that says what it means: an addition to a list is an insertion, a
//! removal a deletion, a replacement of a map the difference to it. So what others write at other
//! places meanwhile stays.

use super::EditError;
use super::steps::{insert, set, unset};
use crate::document::json::Json;
use crate::document::patch::{Patch, PatchStep};
use crate::document::pointer::Pointer;
use crate::document::read::Node;
use crate::document::write::Writer;
use crate::limits::{DOCUMENT_DEPTH_MAX, PATCH_READ_BYTES_MAX};

/// Writes the patch.
pub(super) fn write(writer: &mut Writer<'_, '_>, patch: &Patch) -> Result<(), EditError> {
    let mut reads = Reads { bytes_left: PATCH_READ_BYTES_MAX };
    patch.steps().iter().try_for_each(|step| write_step(writer, step, &mut reads))
}

/// What a patch may read in all: `move`, `copy` and `test` read values of any size, so a short patch
/// could otherwise make this node read for hours.
struct Reads {
    bytes_left: usize,
}

impl Reads {
    fn find(&mut self, writer: &Writer<'_, '_>, pointer: &Pointer) -> Result<Option<Json>, EditError> {
        let Some(entry) = writer.view().find(pointer.steps())? else {
            return Ok(None);
        };
        let value = writer.view().json(&entry.node)?;
        self.bytes_left = self.bytes_left.checked_sub(value.weight()).ok_or(EditError::TooLarge)?;
        Ok(Some(value))
    }

    fn existing(&mut self, writer: &Writer<'_, '_>, pointer: &Pointer) -> Result<Json, EditError> {
        self.find(writer, pointer)?.ok_or_else(|| EditError::NotFound(pointer.clone()))
    }
}

fn write_step(writer: &mut Writer<'_, '_>, step: &PatchStep, reads: &mut Reads) -> Result<(), EditError> {
    match step {
        PatchStep::Add { path, value } => add(writer, path, value),
        PatchStep::Remove { path } => unset(writer, path),
        PatchStep::Replace { path, value } => {
            if writer.view().find(path.steps())?.is_none() {
                return Err(EditError::NotFound(path.clone()));
            }
            set(writer, path, value)
        }
        PatchStep::Move { from, path } => {
            if path != from && path.steps().starts_with(from.steps()) {
                return Err(EditError::IntoItself(from.clone()));
            }
            let value = reads.existing(writer, from)?;
            if path == from {
                return Ok(());
            }
            check_moved(path, &value)?;
            unset(writer, from)?;
            add(writer, path, &value)
        }
        PatchStep::Copy { from, path } => {
            let value = reads.existing(writer, from)?;
            check_moved(path, &value)?;
            add(writer, path, &value)
        }
        PatchStep::Test { path, value } => match reads.find(writer, path)? {
            Some(found) if same_value(&found, value) => Ok(()),
            _ => Err(EditError::TestFailed(path.clone())),
        },
    }
}

/// The operation `add` (RFC 6902, section 4.1).
fn add(writer: &mut Writer<'_, '_>, path: &Pointer, value: &Json) -> Result<(), EditError> {
    if let Some((parent, _)) = path.split_last()
        && let Some(entry) = writer.view().find(parent.steps())?
        && matches!(entry.node, Node::List(_))
    {
        return insert(writer, path, value);
    }
    set(writer, path, value)
}

/// A value of the document at another place: what the values a patch brings were checked for before.
fn check_moved(path: &Pointer, value: &Json) -> Result<(), EditError> {
    if (path.steps().len() + value.depth()).saturating_sub(1) > DOCUMENT_DEPTH_MAX {
        return Err(EditError::TooDeep);
    }
    if !value.is_finite() {
        return Err(EditError::NotFinite);
    }
    if !value.counters_fit() {
        return Err(EditError::CounterOverflow);
    }
    Ok(())
}

/// Equality as `test` has it (RFC 6902, section 4.6): numbers by their value, whatever their form.
/// Special forms equal only their own kind. Recursion is bounded by the depth of both.
fn same_value(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::List(a), Json::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b))
        }
        (Json::Map(a), Json::Map(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|((a_key, a), (b_key, b))| a_key == b_key && same_value(a, b))
        }
        (Json::Float(float), whole @ (Json::Integer(_) | Json::Unsigned(_)))
        | (whole @ (Json::Integer(_) | Json::Unsigned(_)), Json::Float(float)) => {
            whole_number(whole).is_some_and(|whole| equals_whole(*float, whole))
        }
        (a, b) => a == b,
    }
}

fn whole_number(value: &Json) -> Option<i128> {
    match value {
        Json::Integer(number) => Some(i128::from(*number)),
        Json::Unsigned(number) => Some(i128::from(*number)),
        _ => None,
    }
}

/// Whether a float is exactly that whole number. Every whole number of 64 bits is far inside the
/// range of `i128`, so a float that the conversion saturates equals none.
fn equals_whole(float: f64, whole: i128) -> bool {
    float.fract() == 0.0 && float as i128 == whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_by_value_and_only_exactly() {
        let whole = Json::Integer;
        assert!(same_value(&whole(10), &Json::Float(10.0)));
        assert!(same_value(&Json::List(vec![Json::Float(-0.0)]), &Json::List(vec![whole(0)])));
        assert!(!same_value(&whole(10), &Json::Float(10.5)));
        // 2^53 + 1 has no float; the nearest is 2^53.
        assert!(!same_value(&whole(9_007_199_254_740_993), &Json::Float(9_007_199_254_740_992.0)));
        assert!(!same_value(&Json::Unsigned(u64::MAX), &Json::Float(18_446_744_073_709_551_616.0)));
        assert!(!same_value(&whole(1), &Json::Counter(1)));
        assert!(!same_value(&whole(1), &Json::Float(f64::INFINITY)));
        assert!(!same_value(&Json::Text("a".into()), &Json::String("a".into())));
    }
}
