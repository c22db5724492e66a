//! Writes to one document: put, patched, deleted, operated on.

use axum::{
    extract::State,
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use starling_api::{
    Code,
    document::{JSON_PATCH_MEDIA_TYPE, MERGE_PATCH_MEDIA_TYPE, WriteQuery},
};
use starling_crdt::{
    document::{
        Edit,
        body::{self, Operation},
    },
    replica::Write,
};

use super::{
    answer::{Answer, Asked, Names, Refused, Whole, header_text, refused},
    confirm,
    documents::heads_headers,
    input, report,
    state::Api,
};

pub(super) async fn put(
    State(api): State<Api>,
    Names(place): Names<(String, String)>,
    Asked(query): Asked<WriteQuery>,
    parts: Parts,
    Whole(sent): Whole,
) -> Result<Response, Refused> {
    let value = body::whole_document(&sent).map_err(input::wrong_body)?;
    let base = input::heads(query.base.as_deref())?;
    write(&api, place, &query, &parts, Edit::Put { value, base }).await
}

pub(super) async fn patch(
    State(api): State<Api>,
    Names(place): Names<(String, String)>,
    Asked(query): Asked<WriteQuery>,
    parts: Parts,
    Whole(sent): Whole,
) -> Result<Response, Refused> {
    input::without_base(&query)?;
    let edit = match PatchKind::of(&parts)? {
        PatchKind::Merge => body::merge_patch(&sent),
        PatchKind::Json => body::json_patch(&sent),
    };
    let edit = edit.map_err(input::wrong_body)?;
    write(&api, place, &query, &parts, edit).await
}

pub(super) async fn delete(
    State(api): State<Api>,
    Names(place): Names<(String, String)>,
    Asked(query): Asked<WriteQuery>,
    parts: Parts,
) -> Result<Response, Refused> {
    input::without_base(&query)?;
    write(&api, place, &query, &parts, Edit::Remove).await
}

pub(super) async fn operate(
    State(api): State<Api>,
    Names(place): Names<(String, String)>,
    Asked(query): Asked<WriteQuery>,
    parts: Parts,
    Whole(sent): Whole,
) -> Result<Response, Refused> {
    input::without_base(&query)?;
    let edit = match body::operation(&sent).map_err(input::wrong_body)? {
        Operation::Edit(edit) => edit,
        Operation::Revert { to } => {
            let (space, name) = (api.node.space(&place.0).await?, input::document_name(&place.1)?);
            Edit::Revert { to: api.node.heads_named(space, name, to).await? }
        }
    };
    write(&api, place, &query, &parts, edit).await
}

async fn write(
    api: &Api,
    (space, name): (String, String),
    query: &WriteQuery,
    parts: &Parts,
    edit: Edit,
) -> Result<Response, Refused> {
    let confirm = confirm::asked(query)?;
    let write = Write {
        space: api.node.space(&space).await?,
        document: input::document_name(&name)?,
        edit,
        condition: input::condition(parts, query)?,
        request_id: input::request_id(parts)?,
    };
    let (space, document) = (write.space, write.document.clone());
    let written = api.node.write(write).await?;
    let mut answer = report::written(&written);
    let mut status = if written.created { StatusCode::CREATED } else { StatusCode::OK };
    if let Some(confirm) = confirm {
        let confirmed = confirm::wait(api, space, document, confirm).await;
        if !confirmed.satisfied {
            status = StatusCode::ACCEPTED;
        }
        answer.confirmed = Some(confirmed);
    }
    Ok((heads_headers(&written.heads), Answer(status, answer)).into_response())
}

/// What the body of a `PATCH` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PatchKind {
    Merge,
    Json,
}

impl PatchKind {
    fn of(parts: &Parts) -> Result<Self, Refused> {
        let said = header_text(parts, &header::CONTENT_TYPE)?.unwrap_or_default();
        let essence = said.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case(MERGE_PATCH_MEDIA_TYPE) {
            Ok(Self::Merge)
        } else if essence.eq_ignore_ascii_case(JSON_PATCH_MEDIA_TYPE) {
            Ok(Self::Json)
        } else {
            let said = if essence.is_empty() { "nothing".to_owned() } else { format!("{essence:?}") };
            let detail = format!(
                "a patch is {MERGE_PATCH_MEDIA_TYPE} or {JSON_PATCH_MEDIA_TYPE}; Content-Type says {said}"
            );
            Err(refused(Code::UnsupportedMediaType, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[test]
    fn the_media_type_says_which_patch_it_is() {
        let kind = |text: &str| {
            let request = Request::patch("/").header("content-type", text).body(()).expect("a request");
            PatchKind::of(&request.into_parts().0).map_err(|refused| refused.0.code)
        };
        assert_eq!(kind("application/merge-patch+json"), Ok(PatchKind::Merge));
        assert_eq!(kind("Application/JSON-Patch+JSON; charset=utf-8"), Ok(PatchKind::Json));
        for other in ["application/json", "", "text/plain", "application/json-patch"] {
            assert_eq!(kind(other), Err(Code::UnsupportedMediaType), "{other}");
        }
        let silent = Request::patch("/").body(()).expect("a request").into_parts().0;
        assert!(PatchKind::of(&silent).is_err());
    }
}
