//! One request and its answer: headers, time limits, size limits, problems.

use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Client, ClientError, WriteOptions,
    connection::{Connection, RequestBody},
};
use crate::{
    NodeAddress, Problem,
    document::{IDEMPOTENCY_HEADER, Written},
    route,
};

/// Largest answer that is read into memory; far above what a node holds of one document.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

impl Client {
    pub(super) async fn read_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let request = self.request(Method::GET, path)?;
        self.answer(request).await
    }

    pub(super) async fn send_json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let request = self.json_request(method, path, body)?;
        self.answer(request).await
    }

    pub(super) async fn answer<T: DeserializeOwned>(
        &self,
        request: Request<RequestBody>,
    ) -> Result<T, ClientError> {
        let (status, _, body) = self.exchange(request).await?;
        self.parse(status, &body)
    }

    pub(super) fn request(&self, method: Method, path: &str) -> Result<Request<RequestBody>, ClientError> {
        let host = match self.address() {
            NodeAddress::Unix(_) => "localhost".to_owned(),
            NodeAddress::Http { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            NodeAddress::Http { host, port } => format!("{host}:{port}"),
        };
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, host)
            .body(RequestBody::empty())
            .map_err(|error| ClientError::BadRequest(error.to_string()))
    }

    pub(super) fn json_request(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Request<RequestBody>, ClientError> {
        let mut request = self.request(method, path)?;
        set_json(&mut request, to_json(body)?);
        Ok(request)
    }

    pub(super) fn write_request(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        options: &WriteOptions,
    ) -> Result<Request<RequestBody>, ClientError> {
        let base = options.base.as_ref().map(ToString::to_string);
        let if_heads = options.if_heads.as_ref().map(ToString::to_string);
        let confirm = options.confirm.map(|confirm| confirm.nodes.to_string());
        let timeout = options.confirm.map(|confirm| format!("{}ms", confirm.timeout.as_millis()));
        let members = [
            ("base", base.as_deref()),
            ("if_heads", if_heads.as_deref()),
            ("confirm", confirm.as_deref()),
            ("timeout", timeout.as_deref()),
        ];
        let path = route::with_query(path, &members);
        let mut request = self.request(method, &path)?;
        if let Some(body) = body {
            set_json(&mut request, body);
        }
        let headers = request.headers_mut();
        if let Some(etag) = &options.if_etag {
            headers.insert(header::IF_MATCH, header_value(etag)?);
        }
        if options.if_absent {
            headers.insert(header::IF_NONE_MATCH, header::HeaderValue::from_static("*"));
        }
        if let Some(id) = &options.request_id {
            headers.insert(IDEMPOTENCY_HEADER, header_value(id)?);
        }
        Ok(request)
    }

    /// The answer of a write, which takes as long as others are waited for.
    pub(super) async fn written(
        &self,
        request: Request<RequestBody>,
        options: &WriteOptions,
    ) -> Result<Written, ClientError> {
        let waited = options.confirm.map_or(Duration::ZERO, |confirm| confirm.timeout);
        let limit = self.request_time_max.saturating_add(waited);
        let (status, _, body) = self.exchange_within(limit, request).await?;
        self.parse(status, &body)
    }

    pub(super) async fn exchange(
        &self,
        request: Request<RequestBody>,
    ) -> Result<(u16, header::HeaderMap, Bytes), ClientError> {
        self.exchange_within(self.request_time_max, request).await
    }

    /// One request, its answer read to the end, its connection kept.
    pub(super) async fn exchange_within(
        &self,
        limit: Duration,
        request: Request<RequestBody>,
    ) -> Result<(u16, header::HeaderMap, Bytes), ClientError> {
        let work = async {
            let (response, connection) = self.connections.send(request).await?;
            let (parts, body) = response.into_parts();
            let status = parts.status.as_u16();
            let body = self.collect(status, body).await?;
            self.connections.keep(connection);
            if parts.status.is_success() || parts.status == StatusCode::NOT_MODIFIED {
                Ok((status, parts.headers, body))
            } else {
                Err(self.refusal(status, &body))
            }
        };
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(self.timed_out(limit)))
    }

    /// Opens a watch's stream.
    pub(super) async fn open_watch(
        &self,
        path: &str,
        last_event: Option<&str>,
    ) -> Result<(Response<Incoming>, Connection), ClientError> {
        let mut request = self.request(Method::GET, path)?;
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, header::HeaderValue::from_static("text/event-stream"));
        if let Some(id) = last_event {
            headers.insert("last-event-id", header_value(id)?);
        }
        self.accepted(request).await
    }

    /// One request whose answer is a stream: given out once the node accepted it.
    pub(super) async fn accepted(
        &self,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Connection), ClientError> {
        let work = async {
            let (response, connection) = self.connections.send(request).await?;
            let status = response.status();
            if status.is_success() {
                return Ok((response, connection));
            }
            let body = self.collect(status.as_u16(), response.into_body()).await?;
            Err(self.refusal(status.as_u16(), &body))
        };
        let limit = self.request_time_max;
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(self.timed_out(limit)))
    }

    async fn collect(&self, status: u16, body: Incoming) -> Result<Bytes, ClientError> {
        match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) => match error.downcast::<hyper::Error>() {
                Ok(source) => Err(self.connections.lost(*source)),
                Err(_) => Err(self.not_understood(status, "a body longer than any answer may be".to_owned())),
            },
        }
    }

    fn refusal(&self, status: u16, body: &[u8]) -> ClientError {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => problem.into(),
            Err(_) => self.not_understood(status, "no problem document".to_owned()),
        }
    }

    pub(super) fn parse<T: DeserializeOwned>(&self, status: u16, body: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(body)
            .map_err(|error| self.not_understood(status, format!("a body that cannot be read: {error}")))
    }

    fn timed_out(&self, limit: Duration) -> ClientError {
        ClientError::TimedOut { address: self.address().clone(), seconds: limit.as_secs() }
    }

    pub(super) fn not_understood(&self, status: u16, what: String) -> ClientError {
        ClientError::NotUnderstood { address: self.address().clone(), status, what }
    }
}

pub(super) fn to_json(body: &impl Serialize) -> Result<Bytes, ClientError> {
    serde_json::to_vec(body).map(Bytes::from).map_err(|error| ClientError::BadRequest(error.to_string()))
}

fn set_json(request: &mut Request<RequestBody>, body: Bytes) {
    let json = header::HeaderValue::from_static("application/json");
    request.headers_mut().insert(header::CONTENT_TYPE, json);
    *request.body_mut() = RequestBody::Whole(Some(body));
}

pub(super) fn header_value(text: &str) -> Result<header::HeaderValue, ClientError> {
    header::HeaderValue::from_str(text)
        .map_err(|_| ClientError::BadRequest(format!("{text:?} cannot stand in a header")))
}
