//! Errors of the token endpoint (RFC 6749 §5.2): a code for the client, and a description for its administrator.

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{
    Error,
    error::Refusal,
    http::response::{set, with_body},
    oauth::SourceFailure,
    telemetry::{Cause, Detail},
};

/// Why no token is issued.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TokenError {
    status: StatusCode,
    code: &'static str,
    description: String,
    /// The word for the log, if the client is not authenticated.
    refused: Option<&'static str>,
    /// The error of the service, with its headers and its cause for the log.
    failure: Option<Error>,
    /// The cause for the log, if the keys of the issuer are the reason.
    keys: Option<SourceFailure>,
}

impl TokenError {
    fn new(status: StatusCode, code: &'static str, description: impl Into<String>) -> Self {
        Self { status, code, description: description.into(), refused: None, failure: None, keys: None }
    }

    /// The request is malformed.
    pub(super) fn request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// The grant is another one.
    pub(super) fn grant() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "The grant_type is not supported. Send grant_type=client_credentials.",
        )
    }

    /// The scope is not one of the client.
    pub(super) fn scope(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_scope", description)
    }

    /// The client may not do this.
    pub(super) fn unauthorized(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "unauthorized_client", description)
    }

    /// The client is not authenticated. `word` is for the log.
    pub(super) fn client(word: &'static str, description: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::UNAUTHORIZED, "invalid_client", description);
        Self { refused: Some(word), ..error }
    }

    /// The keys of the issuer cannot be read.
    pub(super) fn keys(failure: SourceFailure) -> Self {
        let error = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            UNAVAILABLE,
            "The keys of the issuer cannot be read, so the client_assertion cannot be verified. Check the registered \
             issuer and jwks_uri. If they are right, repeat the request after the time in Retry-After.",
        );
        Self { keys: Some(failure), ..error }
    }
}

/// The code of an error of the service. RFC 6749 defines it for another endpoint.
const UNAVAILABLE: &str = "temporarily_unavailable";
/// The value of `Retry-After` in seconds if the keys of an issuer cannot be read. They are not read again earlier.
const KEYS_RETRY_SECONDS: &str = "30";

impl From<Error> for TokenError {
    fn from(error: Error) -> Self {
        let code = match error {
            Error::Throttled | Error::Unavailable(_) | Error::Limited(..) => UNAVAILABLE,
            Error::Internal(_) => "server_error",
            _ => "invalid_request",
        };
        let refusal = Self::new(error.status(), code, error.to_string());
        Self { failure: Some(error), ..refusal }
    }
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.code, "error_description": self.description });
        let mut response = answer(self.status, body.to_string());
        // The error of the service has its own headers and causes.
        if let Some(failure) = self.failure {
            let (parts, _) = failure.into_response().into_parts();
            for (name, value) in &parts.headers {
                response.headers_mut().entry(name).or_insert_with(|| value.clone());
            }
            response.extensions_mut().extend(parts.extensions);
        }
        response.extensions_mut().insert(Detail(self.description));
        if let Some(failure) = self.keys {
            set(&mut response, axum::http::header::RETRY_AFTER, KEYS_RETRY_SECONDS);
            response.extensions_mut().insert(Cause(format!("issuer-keys {}", failure.word())));
        }
        if let Some(word) = self.refused {
            set(&mut response, WWW_AUTHENTICATE, "Basic realm=\"SCIM\", charset=\"UTF-8\"");
            response.extensions_mut().insert(Refusal::Client(word));
        }
        response
    }
}

/// Makes a response with a JSON document. No cache may store a token (RFC 6749 §5.1).
pub(super) fn answer(status: StatusCode, document: String) -> Response {
    let mut response = with_body(status, document.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
