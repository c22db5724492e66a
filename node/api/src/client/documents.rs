//! Documents: listed, read, written, patched, deleted.

use std::time::Duration;

use hyper::{Method, StatusCode, body::Bytes, header};

use super::{
    Client, ClientError,
    exchange::{header_value, to_json},
};
use crate::{
    Heads,
    document::{
        ConflictList, Document, DocumentList, HEADS_HEADER, JSON_PATCH_MEDIA_TYPE, ListQuery,
        MERGE_PATCH_MEDIA_TYPE, Operation, Written,
    },
    member::Nodes,
    route,
};

/// How a document is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// At these heads, or at this time, instead of the present view.
    pub at: Option<String>,
    /// Only the value at this pointer.
    pub pointer: Option<String>,
    /// Not if the entity tag is still this one.
    pub unless_etag: Option<String>,
}

/// A document, or that it is what the caller already has.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    /// The document as it is.
    Found(Document),
    /// The entity tag given is still the present one.
    NotModified,
}

/// Under what conditions a document is written. They hold against this node's view only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// The heads a whole-document put was derived from.
    pub base: Option<Heads>,
    /// Only if these are the heads now.
    pub if_heads: Option<Heads>,
    /// Only if this is the entity tag now.
    pub if_etag: Option<String>,
    /// Only if the document does not exist.
    pub if_absent: bool,
    /// Makes the write safe to send again: the node remembers what it answered.
    pub request_id: Option<String>,
    /// Wait until others hold it too.
    pub confirm: Option<Confirm>,
}

/// How many other nodes shall hold a write before it is answered, and for how long that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// How many others.
    pub nodes: Nodes,
    /// How long. After it the answer says who holds the write and who does not.
    pub timeout: Duration,
}

/// The form of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// A JSON Merge Patch (RFC 7396).
    Merge,
    /// A JSON Patch (RFC 6902).
    Json,
}

impl Client {
    /// One page of a space's documents.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn documents(&self, space: &str, query: &ListQuery) -> Result<DocumentList, ClientError> {
        let limit = query.limit.map(|limit| limit.to_string());
        let path = route::with_query(
            &route::documents(space),
            &[
                ("prefix", query.prefix.as_deref()),
                ("after", query.after.as_deref()),
                ("limit", limit.as_deref()),
                ("deleted", query.deleted.then_some("true")),
            ],
        );
        self.read_json(&path).await
    }

    /// The present value of a document.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn document(&self, space: &str, name: &str) -> Result<Document, ClientError> {
        match self.read(space, name, &ReadOptions::default()).await? {
            Read::Found(document) => Ok(document),
            Read::NotModified => Err(self.not_understood(304, "no value although none was held".to_owned())),
        }
    }

    /// A document as the options say.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn read(&self, space: &str, name: &str, options: &ReadOptions) -> Result<Read, ClientError> {
        let path = route::with_query(
            &route::document(space, name),
            &[("at", options.at.as_deref()), ("pointer", options.pointer.as_deref())],
        );
        let mut request = self.request(Method::GET, &path)?;
        if let Some(etag) = &options.unless_etag {
            request.headers_mut().insert(header::IF_NONE_MATCH, header_value(etag)?);
        }
        let (status, headers, body) = self.exchange(request).await?;
        if status == StatusCode::NOT_MODIFIED.as_u16() {
            return Ok(Read::NotModified);
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let heads = text(HEADS_HEADER).unwrap_or_default().parse();
        Ok(Read::Found(Document {
            value: self.parse(status, &body)?,
            heads: heads.map_err(|error| {
                self.not_understood(status, format!("heads that cannot be read: {error}"))
            })?,
            etag: text(header::ETAG.as_str()).map(str::to_owned),
        }))
    }

    /// Writes a whole document, as the JSON text of its value.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn put(
        &self,
        space: &str,
        name: &str,
        json: impl Into<Bytes>,
        options: &WriteOptions,
    ) -> Result<Written, ClientError> {
        let request =
            self.write_request(Method::PUT, &route::document(space, name), Some(json.into()), options)?;
        self.written(request, options).await
    }

    /// Patches a document: the JSON text of the patch.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn patch(
        &self,
        space: &str,
        name: &str,
        patch: impl Into<Bytes>,
        kind: PatchKind,
        options: &WriteOptions,
    ) -> Result<Written, ClientError> {
        let media_type = match kind {
            PatchKind::Merge => MERGE_PATCH_MEDIA_TYPE,
            PatchKind::Json => JSON_PATCH_MEDIA_TYPE,
        };
        let path = route::document(space, name);
        let mut request = self.write_request(Method::PATCH, &path, Some(patch.into()), options)?;
        request.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media_type));
        self.written(request, options).await
    }

    /// The whole present document with its history, as an automerge file.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn automerge_file(&self, space: &str, name: &str) -> Result<Bytes, ClientError> {
        let path = route::with_query(&route::document(space, name), &[("format", Some("automerge"))]);
        let request = self.request(Method::GET, &path)?;
        self.exchange(request).await.map(|(_, _, body)| body)
    }

    /// Deletes a document.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete(
        &self,
        space: &str,
        name: &str,
        options: &WriteOptions,
    ) -> Result<Written, ClientError> {
        let request = self.write_request(Method::DELETE, &route::document(space, name), None, options)?;
        self.written(request, options).await
    }

    /// Does one operation in a document.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn operate(
        &self,
        space: &str,
        name: &str,
        operation: &Operation,
        options: &WriteOptions,
    ) -> Result<Written, ClientError> {
        let body = to_json(operation)?;
        let request =
            self.write_request(Method::POST, &route::operations(space, name), Some(body), options)?;
        self.written(request, options).await
    }

    /// The places of a document that hold more than one value.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn conflicts(&self, space: &str, name: &str) -> Result<ConflictList, ClientError> {
        self.read_json(&route::conflicts(space, name)).await
    }
}
