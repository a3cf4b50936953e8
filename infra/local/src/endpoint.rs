//! The HTTP endpoint of the embedded DynamoDB, for `scimctl` and other DynamoDB tools.
//!
//! The endpoint checks no credentials, so web pages in a browser on this machine must not reach it. It refuses requests
//! with an `Origin` header and requests for another host, and no response allows another origin to read it.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CONTENT_TYPE, HOST, ORIGIN},
    },
    response::{IntoResponse, Response},
    routing,
};
use dynoxide::Database;

use crate::embedded::{Connector, TARGET};

/// DynamoDB's limit for the body of a request, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// Returns the router of the endpoint.
pub fn router(database: Database) -> Router {
    Router::new()
        .route("/", routing::post(operation))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Connector::new(database).honouring_tokens())
}

async fn operation(State(connector): State<Connector>, headers: HeaderMap, body: Bytes) -> Response {
    if headers.contains_key(ORIGIN) || !is_local(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let target = headers.get(TARGET).and_then(|target| target.to_str().ok());
    let (status, body) = connector.respond(target, &body);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}

/// Returns whether the `Host` header names this machine. The name of a web page that resolves to this machine does not.
fn is_local(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}
