//! From the texts of a request to what the core is asked: names, heads, values, conditions.

use axum::http::{HeaderName, header, request::Parts};
use starling_api::{
    Code, Problem,
    document::{IDEMPOTENCY_HEADER, WriteQuery},
};
use starling_crdt::{
    document::{Edit, Json, JsonError, JsonErrorKind, Patch, PatchError, Pointer},
    id::{ChangeHash, DocumentName},
    limits::REQUEST_ID_BYTES_MAX,
    replica::{Condition, EntityTag},
};

use super::answer::{Refused, header_text, refused};

/// Hex digits of an entity tag.
const TAG_HEX_LENGTH: usize = 32;

pub(super) fn document_name(text: &str) -> Result<DocumentName, Refused> {
    DocumentName::new(text).map_err(|error| refused(Code::BadDocumentName, error.to_string()))
}

pub(super) fn pointer(text: &str) -> Result<Pointer, Refused> {
    text.parse()
        .map_err(|error: starling_crdt::document::PointerError| refused(Code::BadPointer, error.to_string()))
}

/// Comma separated heads, sorted; nothing where the text is absent.
pub(super) fn heads(text: Option<&str>) -> Result<Option<Vec<ChangeHash>>, Refused> {
    let Some(text) = text else { return Ok(None) };
    let heads: starling_api::Heads =
        text.parse().map_err(|error: starling_api::HeadsError| refused(Code::BadHeads, error.to_string()))?;
    let parsed = heads.hashes().iter().map(|hash| hash.parse()).collect::<Result<_, _>>();
    parsed.map(Some).map_err(|error: starling_crdt::id::IdError| refused(Code::BadHeads, error.to_string()))
}

/// One JSON value, special forms included.
pub(super) fn value(text: &[u8]) -> Result<Json, Refused> {
    Json::parse(text).map_err(|error| wrong_json(&error))
}

fn wrong_json(error: &JsonError) -> Refused {
    let code = match &error.kind {
        JsonErrorKind::End | JsonErrorKind::Expected(_) | JsonErrorKind::NotUtf8 | JsonErrorKind::Escape => {
            Code::BadJson
        }
        JsonErrorKind::TooDeep => Code::DocumentTooDeep,
        JsonErrorKind::IntegerTooLarge(_)
        | JsonErrorKind::FloatTooLarge(_)
        | JsonErrorKind::DuplicateMember(_)
        | JsonErrorKind::Form(_) => Code::BadValue,
    };
    refused(code, error.to_string())
}

/// A whole document: an object.
pub(super) fn whole_document(value: Json) -> Result<Json, Refused> {
    match value {
        Json::Map(_) => Ok(value),
        _ => Err(Problem::new(Code::RootNotObject, "a document is a JSON object at its root")
            .with_hint("put the value into a member, such as {\"value\": …}")
            .into()),
    }
}

/// The members of an object that says what to do. Each is taken once; what stays is unknown.
pub(super) struct Members(std::collections::BTreeMap<String, Json>);

impl Members {
    pub(super) fn of(value: Json) -> Result<Self, Refused> {
        match value {
            Json::Map(members) => Ok(Self(members)),
            _ => Err(refused(Code::BadRequest, "expected a JSON object that says what to do")),
        }
    }

    pub(super) fn value(&mut self, name: &str) -> Result<Json, Refused> {
        let found = self.0.remove(name);
        found.ok_or_else(|| refused(Code::BadRequest, format!("the member {name:?} is missing")))
    }

    pub(super) fn text(&mut self, name: &str) -> Result<String, Refused> {
        match self.value(name)? {
            Json::String(text) => Ok(text),
            _ => Err(refused(Code::BadRequest, format!("the member {name:?} is not a string"))),
        }
    }

    fn integer(&mut self, name: &str) -> Result<i64, Refused> {
        match self.value(name)? {
            Json::Integer(number) => Ok(number),
            _ => Err(refused(
                Code::BadRequest,
                format!("the member {name:?} is not a whole number of 64 bits"),
            )),
        }
    }

    fn heads(&mut self, name: &str) -> Result<Option<Vec<ChangeHash>>, Refused> {
        let wrong = || refused(Code::BadHeads, format!("the member {name:?} is not a list of change hashes"));
        let items = match self.0.remove(name) {
            None => return Ok(None),
            Some(Json::List(items)) => items,
            Some(_) => return Err(wrong()),
        };
        let texts = items.iter().map(|item| match item {
            Json::String(text) => Ok(text.as_str()),
            _ => Err(wrong()),
        });
        heads(Some(&texts.collect::<Result<Vec<_>, _>>()?.join(",")))
    }

    /// Whatever was not taken is a mistake: a member misspelt.
    pub(super) fn nothing_else(self) -> Result<(), Refused> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(refused(Code::BadRequest, format!("the member {name:?} is not known here"))),
        }
    }

    /// The edit of an operation, by its `op`.
    pub(super) fn edit(&mut self, operation: &str) -> Result<Edit, Refused> {
        match operation {
            "increment" => Ok(Edit::Increment { pointer: self.pointer()?, by: self.integer("by")? }),
            "set" => Ok(Edit::Set { pointer: self.pointer()?, value: self.value("value")? }),
            "remove" => Ok(Edit::Unset { pointer: self.pointer()? }),
            "insert" => Ok(Edit::Insert { pointer: self.pointer()?, value: self.value("value")? }),
            "splice" => self.splice(),
            "patch" => json_patch(self.value("patch")?),
            "merge" => merge_patch(self.value("patch")?),
            "put" => {
                Ok(Edit::Put { value: whole_document(self.value("value")?)?, base: self.heads("base")? })
            }
            "resolve" => Ok(Edit::Resolve { pointer: self.pointer()?, value: self.0.remove("value") }),
            "delete" => Ok(Edit::Remove),
            other => Err(refused(Code::BadRequest, format!("there is no operation {other:?}"))),
        }
    }

    fn splice(&mut self) -> Result<Edit, Refused> {
        let insert = if self.0.contains_key("insert") { self.text("insert")? } else { String::new() };
        let delete = if self.0.contains_key("delete") { self.count("delete")? } else { 0 };
        Ok(Edit::Splice { pointer: self.pointer()?, at: self.count("at")?, delete, insert })
    }

    fn count(&mut self, name: &str) -> Result<usize, Refused> {
        usize::try_from(self.integer(name)?)
            .map_err(|_| refused(Code::BadRequest, format!("the member {name:?} is negative")))
    }

    fn pointer(&mut self) -> Result<Pointer, Refused> {
        pointer(&self.text("pointer")?)
    }
}

/// The edit of a JSON Patch.
pub(super) fn json_patch(value: Json) -> Result<Edit, Refused> {
    Patch::of(value).map(Edit::Patch).map_err(|error| {
        let code = match error {
            PatchError::Pointer { .. } => Code::BadPointer,
            PatchError::TooManySteps(_) => Code::ChangeTooLarge,
            _ => Code::BadPatch,
        };
        refused(code, error.to_string())
    })
}

/// The edit of a JSON Merge Patch to a whole document, which stays an object.
pub(super) fn merge_patch(value: Json) -> Result<Edit, Refused> {
    Ok(Edit::Merge { pointer: Pointer::root(), patch: whole_document(value)? })
}

/// What an operation may do to one document; a batch does more. `revert` is read by [`revert`], since what it
/// goes back to is known only to the document.
const OPERATIONS: [&str; 6] = ["increment", "set", "remove", "insert", "splice", "resolve"];

/// The edit that the body of an operation asks for.
pub(super) fn operation(body: &[u8]) -> Result<Edit, Refused> {
    let mut members = Members::of(value(body)?)?;
    let operation = members.text("op")?;
    if !OPERATIONS.contains(&operation.as_str()) {
        let known = OPERATIONS.join(", ");
        let detail = format!("there is no operation {operation:?}; there are {known}, revert");
        return Err(refused(Code::BadRequest, detail));
    }
    let edit = members.edit(&operation)?;
    members.nothing_else()?;
    Ok(edit)
}

/// What a body asks to go back to; none when it asks for another operation.
pub(super) fn revert(body: &[u8]) -> Result<Option<String>, Refused> {
    let mut members = Members::of(value(body)?)?;
    if members.text("op")? != "revert" {
        return Ok(None);
    }
    let to = members.text("to")?;
    members.nothing_else()?;
    Ok(Some(to))
}

/// Only a whole document has a base it was derived from.
pub(super) fn without_base(query: &WriteQuery) -> Result<(), Refused> {
    match query.base {
        None => Ok(()),
        Some(_) => Err(refused(
            Code::BadRequest,
            "base goes with PUT; to write only if nothing changed, say if_heads",
        )),
    }
}

/// What must hold of the document for a write to happen: If-Match, If-None-Match and `if_heads`.
pub(super) fn condition(parts: &Parts, query: &WriteQuery) -> Result<Condition, Refused> {
    let mut condition = Condition { heads: heads(query.if_heads.as_deref())?, ..Condition::default() };
    match header_text(parts, &header::IF_MATCH)?.as_deref().map(str::trim) {
        None => {}
        Some("*") => condition.present = true,
        Some(tags) => condition.tags = Some(strong_tags(tags)),
    }
    match header_text(parts, &header::IF_NONE_MATCH)?.as_deref().map(str::trim) {
        None => {}
        Some("*") => condition.absent = true,
        Some(_) => {
            let detail =
                "a write takes If-None-Match only as *, which means that the document must not exist";
            return Err(refused(Code::BadRequest, detail));
        }
    }
    Ok(condition)
}

/// The tags of an If-Match header that could be ours. A weak or foreign tag never matches.
fn strong_tags(text: &str) -> Vec<EntityTag> {
    text.split(',').filter_map(|tag| tag_of(tag.trim())).collect()
}

/// Whether an If-None-Match header names this tag, or any. The comparison is the weak one (RFC 9110,
/// 13.1.2).
pub(super) fn names_tag(parts: &Parts, tag: EntityTag) -> Result<bool, Refused> {
    let Some(text) = header_text(parts, &header::IF_NONE_MATCH)? else { return Ok(false) };
    let names = |part: &str| tag_of(part.strip_prefix("W/").unwrap_or(part)) == Some(tag);
    Ok(text.trim() == "*" || text.split(',').map(str::trim).any(names))
}

fn tag_of(quoted: &str) -> Option<EntityTag> {
    let text = quoted.strip_prefix('"')?.strip_suffix('"')?;
    if text.len() != TAG_HEX_LENGTH || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(|number| EntityTag(number.to_be_bytes()))
}

/// The id that makes a write safe to send again.
pub(super) fn request_id(parts: &Parts) -> Result<Option<String>, Refused> {
    let id = header_text(parts, &HeaderName::from_static(IDEMPOTENCY_HEADER))?;
    match id {
        Some(id) if id.is_empty() || id.len() > REQUEST_ID_BYTES_MAX => {
            let detail = format!("Idempotency-Key has 1 to {REQUEST_ID_BYTES_MAX} bytes, not {}", id.len());
            Err(refused(Code::BadRequest, detail))
        }
        id => Ok(id),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn code<T>(outcome: Result<T, Refused>) -> Option<Code> {
        outcome.err().map(|refused| refused.0.code)
    }

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let request =
            headers.iter().fold(Request::put("/"), |request, (name, value)| request.header(*name, *value));
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn what_is_no_document_says_so_with_a_stable_code() {
        let cases: [(&str, Option<Code>); 9] = [
            ("{\"a\": 1}", None),
            ("{\"a\": ", Some(Code::BadJson)),
            ("{'a': 1}", Some(Code::BadJson)),
            ("\u{feff}{}", Some(Code::BadJson)),
            ("{\"a\": 18446744073709551616}", Some(Code::BadValue)),
            ("{\"a\": 1, \"a\": 2}", Some(Code::BadValue)),
            ("{\"a\": {\"$time\": \"noon\"}}", Some(Code::BadValue)),
            ("[1]", Some(Code::RootNotObject)),
            ("{\"$counter\": 1}", Some(Code::RootNotObject)),
        ];
        for (text, expected) in cases {
            assert_eq!(code(value(text.as_bytes()).and_then(whole_document)), expected, "{text}");
        }
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(code(value(deep.as_bytes())), Some(Code::DocumentTooDeep));
        assert_eq!(code(value(b"\"\xff\"")), Some(Code::BadJson));
    }

    #[test]
    fn operations_are_read_and_misspelt_ones_are_refused() {
        let edit = |text: &str| {
            let mut members = Members::of(value(text.as_bytes())?)?;
            let operation = members.text("op")?;
            let edit = members.edit(&operation)?;
            members.nothing_else()?;
            Ok::<_, Refused>(edit)
        };
        let increment = edit(r#"{"op":"increment","pointer":"/n","by":-2}"#).ok();
        assert_eq!(increment, Some(Edit::Increment { pointer: pointer("/n").expect("a pointer"), by: -2 }));
        assert_eq!(edit(r#"{"op":"delete"}"#).ok(), Some(Edit::Remove));
        let set = edit(r#"{"op":"set","pointer":"","value":{"$counter":3}}"#).ok();
        assert_eq!(set, Some(Edit::Set { pointer: Pointer::root(), value: Json::Counter(3) }));
        let at = |text: &str| pointer(text).expect("a pointer");
        let remove = edit(r#"{"op":"remove","pointer":"/l/0"}"#).ok();
        assert_eq!(remove, Some(Edit::Unset { pointer: at("/l/0") }));
        let insert = edit(r#"{"op":"insert","pointer":"/l/-","value":[]}"#).ok();
        assert_eq!(insert, Some(Edit::Insert { pointer: at("/l/-"), value: Json::List(Vec::new()) }));
        let splice = edit(r#"{"op":"splice","pointer":"/t","at":2,"insert":"é"}"#).ok();
        let expected = Edit::Splice { pointer: at("/t"), at: 2, delete: 0, insert: "é".into() };
        assert_eq!(splice, Some(expected));
        assert!(matches!(edit(r#"{"op":"merge","patch":{"a":null}}"#).ok(), Some(Edit::Merge { .. })));
        assert_eq!(edit(r#"{"op":"patch","patch":[]}"#).ok(), Some(Edit::Patch(Patch::default())));
        let hash = "ab".repeat(32);
        let put = edit(&format!(r#"{{"op":"put","value":{{}},"base":["{hash}"]}}"#)).ok();
        assert!(matches!(put, Some(Edit::Put { base: Some(heads), .. }) if heads.len() == 1));
        for (text, expected) in [
            ("[]", Code::BadRequest),
            (r#"{"pointer":"/n"}"#, Code::BadRequest),
            (r#"{"op":"explode"}"#, Code::BadRequest),
            (r#"{"op":"increment","pointer":"/n","by":1.5}"#, Code::BadRequest),
            (r#"{"op":"increment","pointer":"n","by":1}"#, Code::BadPointer),
            (r#"{"op":"delete","doc2":"x"}"#, Code::BadRequest),
            (r#"{"op":"splice","pointer":"/t"}"#, Code::BadRequest),
            (r#"{"op":"splice","pointer":"/t","at":-1}"#, Code::BadRequest),
            (r#"{"op":"splice","pointer":"/t","at":0,"insert":1}"#, Code::BadRequest),
            (r#"{"op":"insert","pointer":"/l/0"}"#, Code::BadRequest),
            (r#"{"op":"patch","patch":{}}"#, Code::BadPatch),
            (r#"{"op":"patch","patch":[{"op":"remove","path":"x"}]}"#, Code::BadPointer),
            (r#"{"op":"merge","patch":[]}"#, Code::RootNotObject),
            (r#"{"op":"put","value":[]}"#, Code::RootNotObject),
            (r#"{"op":"put","value":{},"base":["zz"]}"#, Code::BadHeads),
            (r#"{"op":"put","value":{},"base":"zz"}"#, Code::BadHeads),
        ] {
            assert_eq!(code(edit(text)), Some(expected), "{text}");
        }
    }

    #[test]
    fn conditions_come_from_headers_and_query() {
        let tag = "0f".repeat(16);
        let foreign = format!("\"{tag}\", W/\"{tag}\", \"x\", nonsense");
        let query = WriteQuery { if_heads: Some("ab".repeat(32)), ..WriteQuery::default() };
        let read = condition(&parts(&[("if-match", &foreign), ("if-none-match", "*")]), &query)
            .expect("a condition");
        assert_eq!(read.tags, Some(vec![EntityTag([0x0f; 16])]));
        assert_eq!(read.heads, Some(vec![ChangeHash([0xab; 32])]));
        assert!(read.absent && !read.present);

        let none = WriteQuery::default();
        assert_eq!(condition(&parts(&[]), &none).expect("a condition"), Condition::default());
        let foreign_only = condition(&parts(&[("if-match", "\"x\"")]), &none).expect("a condition");
        assert_eq!(foreign_only.tags, Some(Vec::new()), "a tag that is not ours matches nothing");
        assert!(condition(&parts(&[("if-match", "*")]), &none).expect("a condition").present);
        assert_eq!(code(condition(&parts(&[("if-none-match", &foreign)]), &none)), Some(Code::BadRequest));
        let twice = parts(&[("if-match", "*"), ("if-match", "*")]);
        assert_eq!(code(condition(&twice, &none)), Some(Code::BadRequest));
        let bad = WriteQuery { if_heads: Some("zz".into()), ..none };
        assert_eq!(code(condition(&parts(&[]), &bad)), Some(Code::BadHeads));
    }

    #[test]
    fn a_tag_is_found_among_those_of_if_none_match() {
        let tag = EntityTag([7; 16]);
        let named = |text: &str| names_tag(&parts(&[("if-none-match", text)]), tag).expect("readable");
        assert!(named(&format!("\"x\", W/\"{tag}\"")) && named(&format!("\"{tag}\"")) && named("*"));
        assert!(!named("\"x\"") && !named(&tag.to_string()) && !named(""));
        assert!(!names_tag(&parts(&[]), tag).expect("readable"));
    }

    #[test]
    fn a_request_id_is_neither_empty_nor_long() {
        let id = |text: &str| request_id(&parts(&[("idempotency-key", text)]));
        assert_eq!(id("once").expect("an id").as_deref(), Some("once"));
        assert_eq!(code(id("")), Some(Code::BadRequest));
        assert_eq!(code(id(&"x".repeat(REQUEST_ID_BYTES_MAX + 1))), Some(Code::BadRequest));
        assert_eq!(request_id(&parts(&[])).expect("absent"), None);
    }
}
