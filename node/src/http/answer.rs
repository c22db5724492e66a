//! Between requests and handlers: what comes in becomes typed or a problem, what goes out is JSON.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use serde::{Serialize, de::DeserializeOwned};
use starling_api::{Code, Problem, problem::PROBLEM_MEDIA_TYPE};

use super::limits::{BODY_BYTES_MAX, BODY_TIME_MAX, DRAIN_BYTES_MAX, DRAIN_TIME_MAX};

/// What a busy node tells a client to wait, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// What `PATCH` takes, for whoever sent something else (RFC 5789, section 3.1).
const ACCEPT_PATCH: HeaderValue =
    HeaderValue::from_static("application/merge-patch+json, application/json-patch+json");

/// A problem on its way out. The response carries its code as an extension, for log and figures.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Box<Problem>);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

/// A refusal of that code.
pub(super) fn refused(code: Code, detail: impl Into<String>) -> Refused {
    Problem::new(code, detail).into()
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A problem holds texts and numbers only, and such a thing always has a JSON form.
        let body = serde_json::to_vec(&*self.0).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        if status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            headers.insert(HeaderName::from_static("accept-patch"), ACCEPT_PATCH);
        }
        response.extensions_mut().insert(*self.0);
        response
    }
}

/// A JSON answer.
pub(super) struct Answer<T>(pub(super) StatusCode, pub(super) T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.1) {
            Ok(body) => json(self.0, body),
            Err(error) => {
                refused(Code::Internal, format!("an answer has no JSON form: {error}")).into_response()
            }
        }
    }
}

/// An answer that is JSON text already.
pub(super) fn json(status: StatusCode, text: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], text.into()).into_response()
}

/// The variable parts of a path, percent-decoded.
pub(super) struct Names<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Names<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(names)) => Ok(Self(names)),
            Err(rejection) => Err(refused(Code::BadRequest, rejection.body_text())),
        }
    }
}

/// The query, of which every member must be known.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(refused(Code::BadRequest, rejection.body_text())),
        }
    }
}

/// A whole body, within its bounds of length and time.
pub(super) struct Whole(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Whole {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        read_whole(request, BODY_BYTES_MAX, BODY_TIME_MAX).await.map(Self)
    }
}

/// Reads and drops what follows of a body that is refused, within bounds: a client that is still sending
/// when the connection closes would lose the answer.
async fn drain(body: Body) {
    let rest = async {
        let mut stream = body.into_data_stream();
        let mut drained = 0;
        while let Some(Ok(bytes)) = stream.next().await {
            drained += bytes.len();
            if drained > DRAIN_BYTES_MAX {
                break;
            }
        }
    };
    // A client that stops sending waits for the answer.
    tokio::time::timeout(DRAIN_TIME_MAX, rest).await.ok();
}

/// A whole body; past `bytes_max` nothing of it is kept, and what is left is read to be dropped.
async fn gather(body: &mut Body, bytes_max: usize) -> Result<Option<Bytes>, axum::Error> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame?.into_data() {
            if whole.len() + bytes.len() > bytes_max {
                return Ok(None);
            }
            whole.extend_from_slice(&bytes);
        }
    }
    Ok(Some(whole.into()))
}

async fn read_whole(request: Request, bytes_max: usize, time_max: Duration) -> Result<Bytes, Refused> {
    let too_large = || {
        let problem = Problem::new(Code::BodyTooLarge, format!("the body is longer than {bytes_max} bytes"));
        Refused::from(
            problem
                .with_hint("split it; `starling batch` and `starling import` write many documents at once"),
        )
    };
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.and_then(|text| text.parse::<u64>().ok()).is_some_and(|length| length > bytes_max as u64) {
        // Whoever asked first whether to send the body has sent nothing, and is not told to.
        if !request.headers().contains_key(header::EXPECT) {
            drain(request.into_body()).await;
        }
        return Err(too_large());
    }
    let mut body = request.into_body();
    match tokio::time::timeout(time_max, gather(&mut body, bytes_max)).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => {
            drain(body).await;
            Err(too_large())
        }
        Ok(Err(error)) => Err(refused(Code::BadRequest, format!("the body broke off: {error}"))),
        Err(_) => {
            let seconds = time_max.as_secs();
            Err(refused(Code::RequestTimeout, format!("the body did not arrive within {seconds} s")))
        }
    }
}

/// A body of one known shape.
pub(super) struct Shaped<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Shaped<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let Whole(bytes) = Whole::from_request(request, state).await?;
        shaped(&bytes).map(Self)
    }
}

/// Reads JSON of a known shape; nothing counts as an empty object.
fn shaped<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refused> {
    let text = if bytes.is_empty() { b"{}" } else { bytes };
    serde_json::from_slice(text).map_err(|error| {
        let code = if error.is_data() { Code::BadRequest } else { Code::BadJson };
        refused(code, error.to_string())
    })
}

/// The text of a header that may stand once; nothing where it is absent.
pub(super) fn header_text(parts: &Parts, name: &HeaderName) -> Result<Option<String>, Refused> {
    let mut values = parts.headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(text) if values.next().is_none() => Ok(Some(text.to_owned())),
        Ok(_) => Err(refused(Code::BadRequest, format!("the header {name} stands more than once"))),
        Err(_) => Err(refused(Code::BadRequest, format!("the header {name} is not plain text"))),
    }
}

#[cfg(test)]
mod tests {
    use starling_api::space::CreateSpace;

    use super::*;

    fn post(body: Body) -> Request {
        Request::post("/").body(body).expect("a request")
    }

    async fn code_of(request: Request, bytes_max: usize) -> Result<Bytes, Code> {
        read_whole(request, bytes_max, Duration::from_millis(50)).await.map_err(|refused| refused.0.code)
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_whether_announced_or_not() {
        assert_eq!(code_of(post(Body::from("12345")), 5).await, Ok(Bytes::from("12345")));
        assert_eq!(code_of(post(Body::from("123456")), 5).await, Err(Code::BodyTooLarge));
        let mut announced =
            post(Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>()));
        announced.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("6"));
        assert_eq!(code_of(announced, 5).await, Err(Code::BodyTooLarge));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_or_never_comes_is_refused() {
        let broken = futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("gone"))]);
        assert_eq!(code_of(post(Body::from_stream(broken)), 5).await, Err(Code::BadRequest));
        let silent = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        assert_eq!(code_of(post(Body::from_stream(silent)), 5).await, Err(Code::RequestTimeout));
    }

    #[test]
    fn wrong_json_and_a_wrong_shape_are_told_apart() {
        let code = |text: &str| shaped::<CreateSpace>(text.as_bytes()).map_err(|refused| refused.0.code);
        assert_eq!(code(r#"{"name":"a"}"#), Ok(CreateSpace { name: "a".into() }));
        assert_eq!(code(r#"{"name":"a""#), Err(Code::BadJson));
        assert_eq!(code("{nope}"), Err(Code::BadJson));
        assert_eq!(code(r#"{"nmae":"a"}"#), Err(Code::BadRequest));
        assert_eq!(code(""), Err(Code::BadRequest));
    }

    #[test]
    fn a_busy_node_says_when_to_come_back() {
        let response = refused(Code::Busy, "many requests").into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        assert_eq!(response.headers()[header::CONTENT_TYPE], PROBLEM_MEDIA_TYPE);
        let response = refused(Code::UnknownSpace, "none").into_response();
        assert!(!response.headers().contains_key(header::RETRY_AFTER));
    }
}
