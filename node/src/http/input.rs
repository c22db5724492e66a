//! From the texts of a request to what the core is asked: names, heads, conditions; and what is wrong with a body.

use axum::http::{HeaderName, header, request::Parts};
use starling_api::{
    Code, Problem,
    document::{IDEMPOTENCY_HEADER, WriteQuery},
};
use starling_crdt::{
    document::{JsonErrorKind, PatchError, Pointer, body::BodyError},
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

/// What a body asks for nothing that can be done with, as a problem.
pub(super) fn wrong_body(error: BodyError) -> Refused {
    let code = match &error {
        BodyError::Json(error) => json_code(&error.kind),
        BodyError::RootNotObject => {
            return Problem::new(Code::RootNotObject, error.to_string())
                .with_hint("put the value into a member, such as {\"value\": …}")
                .into();
        }
        BodyError::Heads(_) => Code::BadHeads,
        BodyError::Name(_) => Code::BadDocumentName,
        BodyError::Pointer(_) | BodyError::Patch(PatchError::Pointer { .. }) => Code::BadPointer,
        BodyError::Patch(PatchError::TooManySteps(_)) => Code::ChangeTooLarge,
        BodyError::Patch(_) => Code::BadPatch,
        BodyError::NotAnObject
        | BodyError::Missing(_)
        | BodyError::Member { .. }
        | BodyError::Unknown(_)
        | BodyError::UnknownLine(_)
        | BodyError::UnknownOperation(_) => Code::BadRequest,
    };
    refused(code, error.to_string())
}

fn json_code(kind: &JsonErrorKind) -> Code {
    match kind {
        JsonErrorKind::End | JsonErrorKind::Expected(_) | JsonErrorKind::NotUtf8 | JsonErrorKind::Escape => {
            Code::BadJson
        }
        JsonErrorKind::TooDeep => Code::DocumentTooDeep,
        JsonErrorKind::IntegerTooLarge(_)
        | JsonErrorKind::FloatTooLarge(_)
        | JsonErrorKind::DuplicateMember(_)
        | JsonErrorKind::Form(_) => Code::BadValue,
    }
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
    use starling_crdt::document::body;

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
        let put = |body: &[u8]| code(body::whole_document(body).map_err(wrong_body));
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
            assert_eq!(put(text.as_bytes()), expected, "{text}");
        }
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(put(deep.as_bytes()), Some(Code::DocumentTooDeep));
        assert_eq!(put(b"\"\xff\""), Some(Code::BadJson));
    }

    #[test]
    fn what_a_line_or_an_operation_says_wrong_has_a_stable_code() {
        for (members, expected) in [
            (r#""op":"delete""#, None),
            (r#""pointer":"/n""#, Some(Code::BadRequest)),
            (r#""op":"explode""#, Some(Code::BadRequest)),
            (r#""op":"increment","pointer":"/n","by":1.5"#, Some(Code::BadRequest)),
            (r#""op":"increment","pointer":"n","by":1"#, Some(Code::BadPointer)),
            (r#""op":"delete","doc2":"x""#, Some(Code::BadRequest)),
            (r#""op":"splice","pointer":"/t","at":-1"#, Some(Code::BadRequest)),
            (r#""op":"patch","patch":{}"#, Some(Code::BadPatch)),
            (r#""op":"patch","patch":[{"op":"remove","path":"x"}]"#, Some(Code::BadPointer)),
            (r#""op":"merge","patch":[]"#, Some(Code::RootNotObject)),
            (r#""op":"put","value":{},"base":["zz"]"#, Some(Code::BadHeads)),
        ] {
            let line = format!(r#"{{"doc":"d",{members}}}"#);
            let (_, read) = body::batch_line(line.as_bytes());
            assert_eq!(code(read.map_err(wrong_body)), expected, "{members}");
        }
        let (_, read) = body::batch_line(br#"{"doc":"a//b","op":"delete"}"#);
        assert_eq!(code(read.map_err(wrong_body)), Some(Code::BadDocumentName));
        let many = format!("[{}]", vec![r#"{"op":"remove","path":"/a"}"#; 10_001].join(","));
        assert_eq!(code(body::json_patch(many.as_bytes()).map_err(wrong_body)), Some(Code::ChangeTooLarge));
        let beyond = body::operation(br#"{"op":"delete"}"#);
        assert_eq!(code(beyond.map_err(wrong_body)), Some(Code::BadRequest));
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
