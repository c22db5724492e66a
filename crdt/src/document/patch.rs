//! JSON Patch (RFC 6902): what a patch says, read from its JSON form.
//!
//! Promises: a patch that was read has known operations, pointers that are pointers, and at most
//! [`PATCH_STEPS_MAX`] steps. Leaves out: applying it, which an edit does.

use std::collections::BTreeMap;

use super::json::Json;
use super::pointer::{Pointer, PointerError};
use crate::limits::PATCH_STEPS_MAX;

/// One operation of a patch.
#[derive(Debug, Clone, PartialEq)]
pub enum PatchStep {
    /// Puts a value into a map, in place of what is there, or inserts it into a list.
    Add {
        /// Where.
        path: Pointer,
        /// The value.
        value: Json,
    },
    /// Removes a value, which must be there.
    Remove {
        /// Where.
        path: Pointer,
    },
    /// Puts a value in place of another, which must be there.
    Replace {
        /// Where.
        path: Pointer,
        /// The value.
        value: Json,
    },
    /// Removes a value and adds it elsewhere.
    Move {
        /// Where it is.
        from: Pointer,
        /// Where it goes.
        path: Pointer,
    },
    /// Adds a copy of a value elsewhere.
    Copy {
        /// Where it is.
        from: Pointer,
        /// Where the copy goes.
        path: Pointer,
    },
    /// The patch holds only if this value is there.
    Test {
        /// Where.
        path: Pointer,
        /// The value expected.
        value: Json,
    },
}

/// A JSON Patch: its steps are done in order, all or none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Patch(Vec<PatchStep>);

/// Why a JSON value is no patch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch is not an array.
    #[error("a JSON Patch is an array of operations")]
    NotAList,
    /// More steps than one patch may have.
    #[error("{0} operations, where a patch may have {PATCH_STEPS_MAX}")]
    TooManySteps(usize),
    /// One operation is not an object.
    #[error("operation {0} is not an object")]
    NotAnObject(usize),
    /// A member that the operation needs is absent or no string.
    #[error("operation {step} lacks the member {member:?}, or it is no string")]
    Missing {
        /// Place of the operation in the patch, from 0.
        step: usize,
        /// The member.
        member: &'static str,
    },
    /// There is no such operation.
    #[error("operation {step} is {op:?}, which is none of add, remove, replace, move, copy and test")]
    UnknownOperation {
        /// Place of the operation in the patch, from 0.
        step: usize,
        /// What it says.
        op: String,
    },
    /// A path is no JSON Pointer.
    #[error("operation {step}: {error}")]
    Pointer {
        /// Place of the operation in the patch, from 0.
        step: usize,
        /// What is wrong with it.
        error: PointerError,
    },
}

impl Patch {
    /// A patch of these steps.
    ///
    /// # Errors
    /// [`PatchError::TooManySteps`].
    pub fn new(steps: Vec<PatchStep>) -> Result<Self, PatchError> {
        match steps.len() {
            count if count > PATCH_STEPS_MAX => Err(PatchError::TooManySteps(count)),
            _ => Ok(Self(steps)),
        }
    }

    /// Reads a patch from its JSON form. Members an operation does not define are ignored, as the
    /// RFC asks (section 4).
    ///
    /// # Errors
    /// [`PatchError`] that names the operation by its place, from 0.
    pub fn of(value: Json) -> Result<Self, PatchError> {
        let Json::List(items) = value else {
            return Err(PatchError::NotAList);
        };
        if items.len() > PATCH_STEPS_MAX {
            return Err(PatchError::TooManySteps(items.len()));
        }
        items
            .into_iter()
            .enumerate()
            .map(|(step, item)| read_step(step, item))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// About how many bytes of memory it takes.
    pub fn weight(&self) -> usize {
        let pointer = |pointer: &Pointer| pointer.steps().iter().map(|step| 24 + step.len()).sum::<usize>();
        let of_step = |step: &PatchStep| match step {
            PatchStep::Add { path, value }
            | PatchStep::Replace { path, value }
            | PatchStep::Test { path, value } => pointer(path) + value.weight(),
            PatchStep::Move { from, path } | PatchStep::Copy { from, path } => pointer(from) + pointer(path),
            PatchStep::Remove { path } => pointer(path),
        };
        self.0.iter().map(|step| std::mem::size_of::<PatchStep>() + of_step(step)).sum()
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[PatchStep] {
        &self.0
    }
}

fn read_step(step: usize, item: Json) -> Result<PatchStep, PatchError> {
    let Json::Map(mut members) = item else {
        return Err(PatchError::NotAnObject(step));
    };
    let op = text(&mut members, step, "op")?;
    let path = pointer(&mut members, step, "path")?;
    match op.as_str() {
        "add" => Ok(PatchStep::Add { path, value: value(&mut members, step)? }),
        "remove" => Ok(PatchStep::Remove { path }),
        "replace" => Ok(PatchStep::Replace { path, value: value(&mut members, step)? }),
        "move" => Ok(PatchStep::Move { from: pointer(&mut members, step, "from")?, path }),
        "copy" => Ok(PatchStep::Copy { from: pointer(&mut members, step, "from")?, path }),
        "test" => Ok(PatchStep::Test { path, value: value(&mut members, step)? }),
        _ => Err(PatchError::UnknownOperation { step, op }),
    }
}

type Members = BTreeMap<String, Json>;

fn value(members: &mut Members, step: usize) -> Result<Json, PatchError> {
    members.remove("value").ok_or(PatchError::Missing { step, member: "value" })
}

fn text(members: &mut Members, step: usize, member: &'static str) -> Result<String, PatchError> {
    match members.remove(member) {
        Some(Json::String(text)) => Ok(text),
        _ => Err(PatchError::Missing { step, member }),
    }
}

fn pointer(members: &mut Members, step: usize, member: &'static str) -> Result<Pointer, PatchError> {
    let text = text(members, step, member)?;
    text.parse().map_err(|error| PatchError::Pointer { step, error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Patch, PatchError> {
        Patch::of(Json::parse(text).expect("it is JSON"))
    }

    #[test]
    fn every_operation_is_read_and_unknown_members_are_ignored() {
        let pointer = |text: &str| text.parse::<Pointer>().expect("a pointer");
        let patch = read(
            r#"[{"op":"add","path":"/a","value":{"$counter":1},"note":"x"},
                {"path":"/b","op":"remove"}, {"op":"replace","path":"","value":{}},
                {"op":"move","from":"/c","path":"/d"}, {"op":"copy","from":"/e","path":"/f~1"},
                {"op":"test","path":"/g","value":null}]"#,
        );
        let expected = [
            PatchStep::Add { path: pointer("/a"), value: Json::Counter(1) },
            PatchStep::Remove { path: pointer("/b") },
            PatchStep::Replace { path: Pointer::root(), value: Json::Map(BTreeMap::new()) },
            PatchStep::Move { from: pointer("/c"), path: pointer("/d") },
            PatchStep::Copy { from: pointer("/e"), path: pointer("/f~1") },
            PatchStep::Test { path: pointer("/g"), value: Json::Null },
        ];
        assert_eq!(patch.expect("a patch").steps(), expected);
        assert_eq!(read("[]"), Ok(Patch::default()));
    }

    #[test]
    fn what_is_no_patch_names_the_operation_at_fault() {
        let missing = |step, member| PatchError::Missing { step, member };
        let rows = [
            ("{}", PatchError::NotAList),
            ("[{\"op\":\"remove\",\"path\":\"/a\"},1]", PatchError::NotAnObject(1)),
            ("[{\"path\":\"/a\"}]", missing(0, "op")),
            ("[{\"op\":1,\"path\":\"/a\"}]", missing(0, "op")),
            ("[{\"op\":\"remove\"}]", missing(0, "path")),
            ("[{\"op\":\"add\",\"path\":\"/a\"}]", missing(0, "value")),
            ("[{\"op\":\"move\",\"path\":\"/a\"}]", missing(0, "from")),
            (
                "[{\"op\":\"spam\",\"path\":\"/a\"}]",
                PatchError::UnknownOperation { step: 0, op: "spam".into() },
            ),
        ];
        for (text, error) in rows {
            assert_eq!(read(text), Err(error), "{text}");
        }
        assert!(matches!(
            read("[{\"op\":\"remove\",\"path\":\"a\"}]"),
            Err(PatchError::Pointer { step: 0, .. })
        ));
        let step = PatchStep::Remove { path: Pointer::root() };
        let steps = vec![step; PATCH_STEPS_MAX + 1];
        assert_eq!(Patch::new(steps), Err(PatchError::TooManySteps(PATCH_STEPS_MAX + 1)));
    }
}
