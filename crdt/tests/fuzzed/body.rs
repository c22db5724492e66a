//! Bodies of requests: operations, lines of a batch, patches, whole documents.

use starling_crdt::document::body::{
    Operation, batch_line, json_patch, merge_patch, operation, whole_document,
};
use starling_crdt::document::{Edit, Json};

use super::patch::edits_alike;

/// A kind, then the body as a client sends it.
pub fn body(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else { return };
    let edit = match kind % 5 {
        0 => match operation(body) {
            Ok(Operation::Revert { .. }) => return,
            Ok(Operation::Edit(edit)) => {
                says_the_same_in_a_batch(body, &edit);
                Ok(edit)
            }
            Err(error) => Err(error),
        },
        1 => {
            let (named, read) = batch_line(body);
            if let Ok((document, _)) = &read {
                assert_eq!(named.as_deref(), Some(document.as_str()));
            }
            read.map(|(_, edit)| edit)
        }
        2 => json_patch(body),
        3 => merge_patch(body),
        _ => whole_document(body).map(|value| Edit::Put { value, base: None }),
    };
    match edit {
        Ok(edit) => edits_alike(&edit),
        Err(error) => assert!(!error.to_string().trim().is_empty(), "{error:?}"),
    }
}

/// Whatever an operation asks for, a line of a batch with a name before it asks for as well.
fn says_the_same_in_a_batch(body: &[u8], edit: &Edit) {
    let Ok(Json::Map(mut members)) = Json::parse(body) else { panic!("it was read as an object") };
    assert_eq!(members.insert("doc".into(), Json::String("d".into())), None, "nothing is passed over");
    let (_, read) = batch_line(Json::Map(members).to_text().as_bytes());
    assert_eq!(read.map(|(_, edit)| edit).as_ref(), Ok(edit));
}
