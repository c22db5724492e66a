//! Between automerge's types and ours.

use automerge::{ActorId, Automerge, ObjId, ScalarValue, ScalarValueRef, TextEncoding};

use super::json::Json;
use crate::id::{Actor, ChangeHash};

/// An automerge document without changes. Its actor is no one's, and every write names its own
/// before it starts; positions in texts count code points.
pub(super) fn empty() -> Automerge {
    let mut automerge = Automerge::new_with_encoding(TextEncoding::UnicodeCodePoint);
    automerge.set_actor(actor_id(Actor([0; 16])));
    automerge
}

pub(super) fn actor_id(actor: Actor) -> ActorId {
    ActorId::from(actor.0)
}

pub(super) fn actor(id: &ActorId) -> Option<Actor> {
    Actor::from_slice(id.to_bytes())
}

pub(super) fn hash(hash: &automerge::ChangeHash) -> ChangeHash {
    ChangeHash(hash.0)
}

pub(super) fn automerge_hash(hash: &ChangeHash) -> automerge::ChangeHash {
    automerge::ChangeHash(hash.0)
}

/// Counter and actor of the operation that an object id names; none for the root.
pub(super) fn op_id(id: &ObjId) -> Option<(u64, Actor)> {
    match id {
        ObjId::Root => None,
        ObjId::Id(counter, id, _) => actor(id).map(|actor| (*counter, actor)),
    }
}

/// The scalar that stands for a value without parts; none for lists, maps and texts.
pub(super) fn scalar(json: &Json) -> Option<ScalarValue> {
    Some(match json {
        Json::Null => ScalarValue::Null,
        Json::Bool(value) => ScalarValue::Boolean(*value),
        Json::Integer(number) => ScalarValue::Int(*number),
        Json::Unsigned(number) => ScalarValue::Uint(*number),
        Json::Float(number) => ScalarValue::F64(*number),
        Json::String(text) => ScalarValue::Str(text.as_str().into()),
        Json::Counter(number) => ScalarValue::counter(*number),
        Json::Bytes(bytes) => ScalarValue::Bytes(bytes.clone()),
        Json::Time(ms) => ScalarValue::Timestamp(*ms),
        Json::Text(_) | Json::List(_) | Json::Map(_) => return None,
    })
}

pub(super) fn json(scalar: ScalarValueRef<'_>) -> Json {
    match scalar {
        ScalarValueRef::Null => Json::Null,
        ScalarValueRef::Boolean(value) => Json::Bool(value),
        ScalarValueRef::Int(number) => Json::Integer(number),
        ScalarValueRef::Uint(number) => Json::unsigned(number),
        ScalarValueRef::F64(number) => Json::Float(number),
        ScalarValueRef::Str(text) => Json::String(text.into_owned()),
        ScalarValueRef::Counter(number) => Json::Counter(number),
        ScalarValueRef::Timestamp(ms) => Json::Time(ms),
        // The validator refuses values of unknown types; their bytes are the nearest thing to show.
        ScalarValueRef::Bytes(bytes) | ScalarValueRef::Unknown { bytes, .. } => {
            Json::Bytes(bytes.into_owned())
        }
    }
}

pub(super) fn json_of_value(scalar: &ScalarValue) -> Json {
    match scalar {
        ScalarValue::Null => Json::Null,
        ScalarValue::Boolean(value) => Json::Bool(*value),
        ScalarValue::Int(number) => Json::Integer(*number),
        ScalarValue::Uint(number) => Json::unsigned(*number),
        ScalarValue::F64(number) => Json::Float(*number),
        ScalarValue::Str(text) => Json::String(text.to_string()),
        ScalarValue::Counter(number) => Json::Counter(i64::from(number)),
        ScalarValue::Timestamp(ms) => Json::Time(*ms),
        ScalarValue::Bytes(bytes) | ScalarValue::Unknown { bytes, .. } => Json::Bytes(bytes.clone()),
    }
}
