//! The HTTP endpoint of the embedded DynamoDB, for `scimctl` and other DynamoDB tools.
//!
//! The endpoint requires the access key that `connection.env` contains, because other users of this machine can reach the
//! port. It checks no signature. Web pages in a browser must not reach it: it refuses requests with an `Origin` header and
//! requests for another host, and no response allows another origin to read it.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN},
    },
    response::{IntoResponse, Response},
    routing,
};
use sha2::{Digest, Sha256};

use crate::{embedded::TARGET, served::Served};

/// DynamoDB's limit for the body of a request, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// The body of the response to a request without the access key, as DynamoDB answers.
const UNRECOGNISED: &str = "{\"__type\":\"com.amazon.coral.service#UnrecognizedClientException\",\
    \"message\":\"The access key is not that of connection.env. Use AWS_ACCESS_KEY_ID of that file.\"}";

/// Returns the router of the endpoint, which requires the access key.
pub(crate) fn router(served: Served, access_key: String) -> Router {
    Router::new()
        .route("/", routing::post(operation))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state((served, access_key))
}

async fn operation(
    State((served, access_key)): State<(Served, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if headers.contains_key(ORIGIN) || !is_local(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    if !has_access_key(&headers, &access_key) {
        return answer(StatusCode::BAD_REQUEST, UNRECOGNISED.to_owned());
    }
    let target = headers.get(TARGET).and_then(|target| target.to_str().ok());
    let (status, body) = served.respond(target, &body);
    served.flushed().await;
    answer(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body)
}

fn answer(status: StatusCode, body: String) -> Response {
    let mut response = (status, body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}

/// Returns whether the `Authorization` header of Signature Version 4 names the access key:
/// `AWS4-HMAC-SHA256 Credential=<access key>/<date>/…`.
fn has_access_key(headers: &HeaderMap, access_key: &str) -> bool {
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let credential = authorization.split_once("Credential=").map(|(_, rest)| rest).unwrap_or_default();
    let given = credential.split('/').next().unwrap_or_default();
    // The time of a comparison of digests tells nothing about the key.
    Sha256::digest(given) == Sha256::digest(access_key)
}

/// Returns whether the `Host` header names this machine. The name of a web page that resolves to this machine does not.
fn is_local(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}
