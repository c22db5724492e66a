//! What a person's JSON asks for: an operation on one document, a line of a batch, a patch, a whole document.
//!
//! Promises: any bytes give an edit or the reason why not; nothing in them is passed over, so a member that is
//! misspelt is a mistake and never ignored. Leaves out: whether the edit fits the document, which the edit finds.

use std::collections::BTreeMap;

use super::edit::Edit;
use super::json::{Json, JsonError};
use super::patch::{Patch, PatchError};
use super::pointer::{Pointer, PointerError};
use crate::id::{ChangeHash, DocumentName, IdError};
use crate::limits::HEADS_NAMED_MAX;

/// What an operation may do to one document; a line of a batch does more.
const OPERATIONS: [&str; 6] = ["increment", "set", "remove", "insert", "splice", "resolve"];

/// Why a body asks for nothing that can be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is no JSON value a document can hold.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It is another value than an object with members that say what to do.
    #[error("expected a JSON object that says what to do")]
    NotAnObject,
    /// A whole document is something else than an object.
    #[error("a document is a JSON object at its root")]
    RootNotObject,
    /// A member that is needed is absent.
    #[error("the member {0:?} is missing")]
    Missing(&'static str),
    /// A member is something else than it must be.
    #[error("the member {member:?} is {wrong}")]
    Member {
        /// Which.
        member: &'static str,
        /// What it is instead.
        wrong: &'static str,
    },
    /// A member that nothing here asks for.
    #[error("the member {0:?} is not known here")]
    Unknown(String),
    /// There is no such operation in a batch.
    #[error("there is no operation {0:?}")]
    UnknownLine(String),
    /// There is no such operation on one document.
    #[error("there is no operation {0:?}; there are {known}, revert", known = OPERATIONS.join(", "))]
    UnknownOperation(String),
    /// Heads that are no list of hashes, or too many.
    #[error("the member {0:?} is not a list of up to {HEADS_NAMED_MAX} change hashes")]
    Heads(&'static str),
    /// The document's name is none.
    #[error(transparent)]
    Name(IdError),
    /// A pointer is none.
    #[error(transparent)]
    Pointer(#[from] PointerError),
    /// A JSON Patch is none.
    #[error(transparent)]
    Patch(#[from] PatchError),
}

/// What the body of an operation asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// An edit.
    Edit(Edit),
    /// To make the document what it was: heads, beginnings of heads or a time, which the document knows.
    Revert {
        /// To what, as it was said.
        to: String,
    },
}

/// Reads the body of an operation on one document.
///
/// # Errors
/// [`BodyError`].
pub fn operation(body: &[u8]) -> Result<Operation, BodyError> {
    let mut members = Members::of(Json::parse(body)?)?;
    let name = members.text("op")?;
    let operation = match name.as_str() {
        "revert" => Operation::Revert { to: members.text("to")? },
        known if OPERATIONS.contains(&known) => Operation::Edit(members.edit(known)?),
        _ => return Err(BodyError::UnknownOperation(name)),
    };
    members.nothing_else()?;
    Ok(operation)
}

/// Reads a line of a batch. The name is given as far as it could be read, for the answer.
pub fn batch_line(line: &[u8]) -> (Option<String>, Result<(DocumentName, Edit), BodyError>) {
    let mut named = None;
    let read = Json::parse(line).map_err(BodyError::from).and_then(Members::of).and_then(|mut members| {
        let name = members.text("doc")?;
        named = Some(name.clone());
        let document = DocumentName::new(name).map_err(BodyError::Name)?;
        let operation = members.text("op")?;
        let edit = members.edit(&operation)?;
        members.nothing_else()?;
        Ok((document, edit))
    });
    (named, read)
}

/// Reads a whole document.
///
/// # Errors
/// [`BodyError::Json`] and [`BodyError::RootNotObject`].
pub fn whole_document(body: &[u8]) -> Result<Json, BodyError> {
    object(Json::parse(body)?)
}

/// Reads a JSON Patch.
///
/// # Errors
/// [`BodyError::Json`] and [`BodyError::Patch`].
pub fn json_patch(body: &[u8]) -> Result<Edit, BodyError> {
    Ok(Edit::Patch(Patch::of(Json::parse(body)?)?))
}

/// Reads a JSON Merge Patch to a whole document, which stays an object.
///
/// # Errors
/// [`BodyError::Json`] and [`BodyError::RootNotObject`].
pub fn merge_patch(body: &[u8]) -> Result<Edit, BodyError> {
    merge(Json::parse(body)?)
}

fn object(value: Json) -> Result<Json, BodyError> {
    if matches!(value, Json::Map(_)) { Ok(value) } else { Err(BodyError::RootNotObject) }
}

fn merge(patch: Json) -> Result<Edit, BodyError> {
    Ok(Edit::Merge { pointer: Pointer::root(), patch: object(patch)? })
}

/// The members of an object that says what to do. Each is taken once; what stays is unknown.
struct Members(BTreeMap<String, Json>);

impl Members {
    fn of(value: Json) -> Result<Self, BodyError> {
        match value {
            Json::Map(members) => Ok(Self(members)),
            _ => Err(BodyError::NotAnObject),
        }
    }

    fn value(&mut self, member: &'static str) -> Result<Json, BodyError> {
        self.0.remove(member).ok_or(BodyError::Missing(member))
    }

    fn text(&mut self, member: &'static str) -> Result<String, BodyError> {
        match self.value(member)? {
            Json::String(text) => Ok(text),
            _ => Err(BodyError::Member { member, wrong: "not a string" }),
        }
    }

    fn integer(&mut self, member: &'static str) -> Result<i64, BodyError> {
        match self.value(member)? {
            Json::Integer(number) => Ok(number),
            _ => Err(BodyError::Member { member, wrong: "not a whole number of 64 bits" }),
        }
    }

    fn count(&mut self, member: &'static str) -> Result<usize, BodyError> {
        let number = self.integer(member)?;
        usize::try_from(number).map_err(|_| BodyError::Member { member, wrong: "negative" })
    }

    fn pointer(&mut self) -> Result<Pointer, BodyError> {
        Ok(self.text("pointer")?.parse()?)
    }

    /// Hashes, sorted and distinct; nothing where the member is absent.
    fn heads(&mut self, member: &'static str) -> Result<Option<Vec<ChangeHash>>, BodyError> {
        let items = match self.0.remove(member) {
            None => return Ok(None),
            Some(Json::List(items)) if items.len() <= HEADS_NAMED_MAX => items,
            Some(_) => return Err(BodyError::Heads(member)),
        };
        let hash = |item: &Json| match item {
            Json::String(text) => text.trim().parse::<ChangeHash>().ok(),
            _ => None,
        };
        let heads: Option<Vec<ChangeHash>> = items.iter().map(hash).collect();
        let mut heads = heads.ok_or(BodyError::Heads(member))?;
        heads.sort_unstable();
        heads.dedup();
        Ok(Some(heads))
    }

    /// Whatever was not taken is a mistake: a member misspelt.
    fn nothing_else(self) -> Result<(), BodyError> {
        self.0.into_keys().next().map_or(Ok(()), |member| Err(BodyError::Unknown(member)))
    }

    /// The edit of an operation, by its name.
    fn edit(&mut self, operation: &str) -> Result<Edit, BodyError> {
        Ok(match operation {
            "increment" => Edit::Increment { pointer: self.pointer()?, by: self.integer("by")? },
            "set" => Edit::Set { pointer: self.pointer()?, value: self.value("value")? },
            "remove" => Edit::Unset { pointer: self.pointer()? },
            "insert" => Edit::Insert { pointer: self.pointer()?, value: self.value("value")? },
            "splice" => self.splice()?,
            "patch" => Edit::Patch(Patch::of(self.value("patch")?)?),
            "merge" => merge(self.value("patch")?)?,
            "put" => Edit::Put { value: object(self.value("value")?)?, base: self.heads("base")? },
            "resolve" => Edit::Resolve { pointer: self.pointer()?, value: self.0.remove("value") },
            "delete" => Edit::Remove,
            other => return Err(BodyError::UnknownLine(other.to_owned())),
        })
    }

    fn splice(&mut self) -> Result<Edit, BodyError> {
        let insert = if self.0.contains_key("insert") { self.text("insert")? } else { String::new() };
        let delete = if self.0.contains_key("delete") { self.count("delete")? } else { 0 };
        Ok(Edit::Splice { pointer: self.pointer()?, at: self.count("at")?, delete, insert })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Pointer {
        text.parse().unwrap()
    }

    /// What a line asks for, the document's name put before it.
    fn line(members: &str) -> Result<Edit, BodyError> {
        batch_line(format!(r#"{{"doc":"d",{members}}}"#).as_bytes()).1.map(|(_, edit)| edit)
    }

    #[test]
    fn a_line_says_what_to_do_with_which_document() {
        let base = format!(r#""op":"put","value":{{}},"base":["{0}"," {0}"]"#, "Ab".repeat(32));
        let empty = Json::Map(BTreeMap::new());
        let merge = Edit::Merge { pointer: Pointer::root(), patch: Json::parse(r#"{"a":null}"#).unwrap() };
        let splice = Edit::Splice { pointer: at("/t"), at: 2, delete: 0, insert: "é".into() };
        for (members, edit) in [
            (r#""op":"increment","pointer":"/n","by":-2"#, Edit::Increment { pointer: at("/n"), by: -2 }),
            (r#""op":"delete""#, Edit::Remove),
            (
                r#""op":"set","pointer":"","value":{"$counter":3}"#,
                Edit::Set { pointer: Pointer::root(), value: Json::Counter(3) },
            ),
            (r#""op":"remove","pointer":"/l/0""#, Edit::Unset { pointer: at("/l/0") }),
            (
                r#""op":"insert","pointer":"/l/-","value":[]"#,
                Edit::Insert { pointer: at("/l/-"), value: Json::List(Vec::new()) },
            ),
            (r#""op":"splice","pointer":"/t","at":2,"insert":"é""#, splice),
            (r#""op":"merge","patch":{"a":null}"#, merge),
            (r#""op":"patch","patch":[]"#, Edit::Patch(Patch::default())),
            (base.as_str(), Edit::Put { value: empty, base: Some(vec![ChangeHash([0xab; 32])]) }),
            (r#""op":"resolve","pointer":"/x""#, Edit::Resolve { pointer: at("/x"), value: None }),
        ] {
            assert_eq!(line(members), Ok(edit), "{members}");
        }
    }

    #[test]
    fn a_mistake_is_named() {
        let many = format!(r#""op":"put","value":{{}},"base":[{}]"#, vec!["\"a\""; 1_025].join(","));
        for (members, words) in [
            (r#""pointer":"/n""#, "the member \"op\" is missing"),
            (r#""op":7"#, "the member \"op\" is not a string"),
            (r#""op":"explode""#, "there is no operation \"explode\""),
            (r#""op":"revert","to":"x""#, "there is no operation \"revert\""),
            (r#""op":"increment","pointer":"/n","by":1.5"#, "\"by\" is not a whole number of 64 bits"),
            (r#""op":"increment","pointer":"n","by":1"#, "pointer"),
            (r#""op":"delete","doc2":"x""#, "the member \"doc2\" is not known here"),
            (r#""op":"splice","pointer":"/t""#, "the member \"at\" is missing"),
            (r#""op":"splice","pointer":"/t","at":-1"#, "the member \"at\" is negative"),
            (r#""op":"splice","pointer":"/t","at":0,"insert":1"#, "\"insert\" is not a string"),
            (r#""op":"insert","pointer":"/l/0""#, "the member \"value\" is missing"),
            (r#""op":"patch","patch":{}"#, "array of operations"),
            (r#""op":"merge","patch":[]"#, "JSON object at its root"),
            (r#""op":"put","value":[]"#, "JSON object at its root"),
            (r#""op":"put","value":{},"base":["zz"]"#, "the member \"base\" is not a list of up to"),
            (r#""op":"put","value":{},"base":"zz""#, "the member \"base\" is not a list of up to"),
            (many.as_str(), "the member \"base\" is not a list of up to"),
        ] {
            let said = line(members).expect_err(members).to_string();
            assert!(said.contains(words), "{members}: {said}");
        }
        let (name, read) = batch_line(br#"{"doc":"a//b","op":"delete"}"#);
        assert_eq!(name.as_deref(), Some("a//b"));
        assert!(matches!(read, Err(BodyError::Name(_))));
        assert_eq!(batch_line(b"[]"), (None, Err(BodyError::NotAnObject)));
        assert!(matches!(batch_line(b"{"), (None, Err(BodyError::Json(_)))));
    }

    #[test]
    fn an_operation_does_less_than_a_line_and_goes_back() {
        let revert = operation(br#"{"op":"revert","to":"yesterday"}"#);
        assert_eq!(revert, Ok(Operation::Revert { to: "yesterday".into() }));
        let unset = operation(br#"{"op":"remove","pointer":"/a"}"#);
        assert_eq!(unset, Ok(Operation::Edit(Edit::Unset { pointer: at("/a") })));
        for beyond in [r#"{"op":"delete"}"#, r#"{"op":"put","value":{}}"#, r#"{"op":"merge","patch":{}}"#] {
            let said = operation(beyond.as_bytes()).expect_err(beyond).to_string();
            assert!(said.ends_with("increment, set, remove, insert, splice, resolve, revert"), "{said}");
        }
        assert_eq!(operation(br#"{"op":"revert","to":"x","at":1}"#), Err(BodyError::Unknown("at".into())));
    }
}
