//! Responses: resources, lists and errors as `application/scim+json` (RFC 7644 §3.1, §3.12).

use std::io::{self, Write};

use axum::{
    body::Body,
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{
            ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_LOCATION, CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER,
            WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
};
use scim::{Invalid, ResourceKind, ScimType, message, projection::Projection, resource::etag};
use serde::Serialize;
use serde_json::Value;

use crate::{
    Error,
    limits::ANSWER_BYTES,
    store::{
        Memberships, Stored,
        representation::{self, Shown},
    },
    telemetry,
};

/// The value of `Retry-After`, in seconds. Okta reads whole numbers only.
const RETRY_SECONDS: &str = "2";

/// Makes a response with a JSON body whose size does not depend on a request or on stored data.
pub(super) fn answer(status: StatusCode, body: &Value) -> Response {
    with_json(status, Body::from(body.to_string()))
}

fn with_json(status: StatusCode, body: Body) -> Response {
    let mut response = with_body(status, body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/scim+json"));
    response
}

/// Makes a response with the headers that every response has. Responses contain personal data, so caches must not store
/// them.
pub(super) fn with_body(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The text of a body, which ends before it is larger than Lambda delivers.
#[derive(Default)]
pub(super) struct BoundedText {
    text: Vec<u8>,
    /// The size in Lambda's envelope, in which the body is a JSON string.
    enveloped: usize,
}

impl BoundedText {
    /// Adds a JSON text. Returns `None` if the body would be too large.
    pub(super) fn write(&mut self, value: &impl Serialize) -> Option<()> {
        serde_json::to_writer(self, value).ok()
    }

    /// Adds a part of a JSON text. Returns `None` if the body would be too large.
    pub(super) fn write_text(&mut self, text: &str) -> Option<()> {
        self.write_all(text.as_bytes()).ok()
    }

    pub(super) fn into_response(self, status: StatusCode) -> Response {
        with_json(status, Body::from(self.text))
    }
}

impl io::Write for BoundedText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.enveloped += bytes.len() + bytes.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        if self.enveloped > ANSWER_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the error for an answer that is too large (RFC 7644 §3.4.2.2).
pub(super) fn too_large() -> Error {
    Error::Invalid(Invalid::new(
        ScimType::TooMany,
        format!(
            "The response would be larger than {ANSWER_BYTES} bytes. Request fewer resources with 'count', or exclude \
             attributes (for groups: excludedAttributes=members)."
        ),
    ))
}

/// The form of memberships in an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// With all sub-attributes.
    Whole,
    /// By `value` alone. Clients that import groups have a fixed page size.
    Values,
}

impl Form {
    /// Writes a resource.
    pub(super) fn write(self, body: &mut BoundedText, shown: Shown<'_>) -> Option<()> {
        match self {
            Self::Whole => body.write(&shown),
            Self::Values => body.write(&shown.with_values_only()),
        }
    }
}

/// Makes a response without a body (204).
pub(super) fn no_content() -> Response {
    with_body(StatusCode::NO_CONTENT, Body::empty())
}

/// Makes a response with one resource, its ETag and its location (RFC 7644 §3.3, §3.14). If it would be too large, its
/// memberships have their `value` alone.
///
/// # Errors
/// `tooMany` if the response is still too large.
pub(super) fn resource(
    status: StatusCode,
    kind: ResourceKind,
    stored: &Stored,
    memberships: &Memberships,
    base: &str,
    projection: &Projection,
) -> Result<Response, Error> {
    let body = [Form::Whole, Form::Values].into_iter().find_map(|form| {
        let mut body = BoundedText::default();
        form.write(&mut body, Shown::new(kind, stored, memberships, base, projection))?;
        Some(body)
    });
    let mut response = body.ok_or_else(too_large)?.into_response(status);
    let location = message::location(base, kind.resource_type(), stored.id.as_str());
    set(&mut response, ETAG, &etag(&representation::version(stored, memberships)));
    // RFC 7643 §3.1: `meta.location` is the value of Content-Location.
    set(&mut response, CONTENT_LOCATION, &location);
    if status == StatusCode::CREATED {
        set(&mut response, LOCATION, &location);
    }
    Ok(response)
}

/// Makes a response like [`resource`] to a write. The write has succeeded, so a response that would be too large leaves the
/// memberships out.
///
/// # Errors
/// None: a document fits into a response.
pub(super) fn written(
    status: StatusCode,
    kind: ResourceKind,
    stored: &Stored,
    memberships: &Memberships,
    base: &str,
    projection: &Projection,
) -> Result<Response, Error> {
    resource(status, kind, stored, memberships, base, projection)
        .or_else(|_| resource(status, kind, stored, &Memberships::None, base, projection))
}

/// Makes a response for a client that has this version already (304, RFC 9110 §15.4.5).
pub(super) fn not_modified(version: &str) -> Response {
    let mut response = with_body(StatusCode::NOT_MODIFIED, Body::empty());
    set(&mut response, ETAG, &etag(version));
    response
}

/// Sets a header to a value that this service generated. A `Location` is left out if the configured base URL has
/// characters that a header cannot carry.
pub(super) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

impl Error {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(invalid) => {
                StatusCode::from_u16(invalid.scim_type.status()).unwrap_or(StatusCode::BAD_REQUEST)
            }
            Self::Refused(refusal) if !refusal.is_of_valid_key() => StatusCode::UNAUTHORIZED,
            Self::Refused(_) | Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Gone(_) => StatusCode::GONE,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge(_) | Self::TooManyOperations(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::IdempotencyKeyUsed => StatusCode::UNPROCESSABLE_ENTITY,
            Self::UnsupportedMediaType(_) | Self::UnsupportedEncoding(_) => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::Throttled | Self::Limited(..) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn scim_type(&self) -> Option<ScimType> {
        match self {
            Self::Invalid(invalid) => Some(invalid.scim_type),
            _ => None,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        let scim_type = self.scim_type();
        let detail = self.to_string();
        let mut response = answer(status, &message::error_body(status.as_u16(), scim_type, &detail));
        response.extensions_mut().insert(telemetry::Detail(detail));
        match &self {
            Self::Refused(refusal) if !refusal.is_of_valid_key() => {
                set(&mut response, WWW_AUTHENTICATE, "Bearer realm=\"SCIM\"");
            }
            // RFC 9110 §15.5.16. The header must be absent if the media type is the reason.
            Self::UnsupportedEncoding(_) => set(&mut response, ACCEPT_ENCODING, "identity"),
            Self::Throttled | Self::Unavailable(_) => set(&mut response, RETRY_AFTER, RETRY_SECONDS),
            Self::Limited(limit, seconds) => {
                set(&mut response, RETRY_AFTER, &seconds.to_string());
                response.extensions_mut().insert(*limit);
            }
            _ => {}
        }
        if let Some(scim_type) = scim_type {
            response.extensions_mut().insert(scim_type);
        }
        if let Some(cause) = self.cause() {
            response.extensions_mut().insert(telemetry::Cause(cause));
        }
        if let Self::Refused(refusal) = self {
            response.extensions_mut().insert(refusal);
        }
        response
    }
}
