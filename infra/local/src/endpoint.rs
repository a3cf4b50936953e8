//! The embedded DynamoDB's own endpoint, for `scimctl` and any DynamoDB tool: DynamoDB's JSON protocol over HTTP.
//!
//! It asks for no credentials, so it must be out of reach for the pages a browser on this machine shows: what names an
//! `Origin`, or a host that is not this machine, is refused, and no answer allows another origin to read it.

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

use crate::embedded::dispatch;

/// What DynamoDB takes.
const BODY: usize = 16 * 1024 * 1024;

/// The endpoint of that database.
pub fn router(database: Database) -> Router {
    Router::new().route("/", routing::post(operation)).layer(DefaultBodyLimit::max(BODY)).with_state(database)
}

async fn operation(State(database): State<Database>, headers: HeaderMap, body: Bytes) -> Response {
    if headers.contains_key(ORIGIN) || !is_local(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default();
    let (status, body) = match dispatch(&database, operation, &body) {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => {
            let status =
                StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, error.to_json())
        }
    };
    let mut response = (status, body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}

/// Whether the request was sent to this machine by name or number: a page whose own name leads here is not local.
fn is_local(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}
