//! Documents: listed and read.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use starling_api::{
    Code,
    document::{AUTOMERGE_MEDIA_TYPE, DocumentList, HEADS_HEADER, ListQuery, ReadFormat, ReadQuery},
};
use starling_crdt::{id::ChangeHash, replica::EntityTag};

use super::{
    answer::{Answer, Asked, Names, Refused, json, refused},
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
    if query.format == Some(ReadFormat::Automerge) {
        if query.at.is_some() || pointer.is_some() {
            let detail = "an automerge file is of the whole present document: leave out at and pointer";
            return Err(refused(Code::BadRequest, detail));
        }
        let found = api.node.automerge_file(space, name).await?;
        let kind = [(header::CONTENT_TYPE, AUTOMERGE_MEDIA_TYPE)];
        return Ok((kind, heads_headers(&found.heads), found.bytes).into_response());
    }
    let found = api.node.read(space, name, query.at, pointer).await?;
    let mut response = json(StatusCode::OK, found.text);
    response.headers_mut().extend(heads_headers(&found.heads));
    Ok(response)
}

/// The heads, and the tag that follows from them. Both are hex digits, which any header may hold.
pub(super) fn heads_headers(heads: &[ChangeHash]) -> HeaderMap {
    let tag = format!("\"{}\"", EntityTag::of(heads));
    let texts =
        [(header::ETAG, tag), (HeaderName::from_static(HEADS_HEADER), report::heads(heads).to_string())];
    texts.into_iter().filter_map(|(name, text)| Some((name, HeaderValue::try_from(text).ok()?))).collect()
}
