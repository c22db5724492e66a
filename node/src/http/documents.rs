//! Documents: listed, read, written, deleted, operated on.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use starling_api::document::{DocumentList, HEADS_HEADER, ListQuery, ReadQuery, WriteQuery};
use starling_crdt::{
    document::Edit,
    id::ChangeHash,
    replica::{EntityTag, Write},
};

use super::{
    answer::{Answer, Asked, Names, Refused, Whole, json},
    input, report,
    state::Api,
};

pub(super) async fn list(
    State(api): State<Api>,
    Names(space): Names<String>,
    Asked(query): Asked<ListQuery>,
) -> Result<Answer<DocumentList>, Refused> {
    let space = api.node.space(&space).await?;
    api.node.list(space, query).await.map(|list| Answer(StatusCode::OK, list))
}

pub(super) async fn read(
    State(api): State<Api>,
    Names((space, name)): Names<(String, String)>,
    Asked(query): Asked<ReadQuery>,
    parts: Parts,
) -> Result<Response, Refused> {
    let space = api.node.space(&space).await?;
    let name = input::document_name(&name)?;
    let pointer = query.pointer.as_deref().map(input::pointer).transpose()?;
    if query.at.is_none() {
        // Heads are known without building the document.
        let heads = api.node.heads(space, &name).await?;
        if input::names_tag(&parts, EntityTag::of(&heads))? {
            return Ok((StatusCode::NOT_MODIFIED, heads_headers(&heads)).into_response());
        }
    }
    let found = api.node.read(space, name, query.at, pointer).await?;
    let mut response = json(StatusCode::OK, found.text);
    response.headers_mut().extend(heads_headers(&found.heads));
    Ok(response)
}

pub(super) async fn put(
    State(api): State<Api>,
    Names(place): Names<(String, String)>,
    Asked(query): Asked<WriteQuery>,
    parts: Parts,
    Whole(body): Whole,
) -> Result<Response, Refused> {
    let value = input::whole_document(input::value(&body)?)?;
    let base = input::heads(query.base.as_deref())?;
    write(&api, place, &query, &parts, Edit::Put { value, base }).await
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
    Whole(body): Whole,
) -> Result<Response, Refused> {
    input::without_base(&query)?;
    let edit = match input::revert(&body)? {
        None => input::operation(&body)?,
        Some(to) => {
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
    let write = Write {
        space: api.node.space(&space).await?,
        document: input::document_name(&name)?,
        edit,
        condition: input::condition(parts, query)?,
        request_id: input::request_id(parts)?,
    };
    let written = api.node.write(write).await?;
    let status = if written.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((heads_headers(&written.heads), Answer(status, report::written(&written))).into_response())
}

/// The heads, and the tag that follows from them. Both are hex digits, which any header may hold.
fn heads_headers(heads: &[ChangeHash]) -> HeaderMap {
    let tag = format!("\"{}\"", EntityTag::of(heads));
    let texts =
        [(header::ETAG, tag), (HeaderName::from_static(HEADS_HEADER), report::heads(heads).to_string())];
    texts.into_iter().filter_map(|(name, text)| Some((name, HeaderValue::try_from(text).ok()?))).collect()
}
