//! Responses: resources, lists and errors as `application/scim+json` (RFC 7644 §3.1, §3.12).

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
use serde_json::Value;

use crate::{
    Error,
    limits::ANSWER_BYTES,
    store::{Memberships, Stored, representation},
    telemetry,
};

/// The value of `Retry-After`, in seconds. Okta reads whole numbers only.
const RETRY_SECONDS: &str = "2";

/// Makes a response with a JSON body.
pub(super) fn answer(status: StatusCode, body: &Value) -> Response {
    with_json(status, body.to_string())
}

fn with_json(status: StatusCode, body: String) -> Response {
    let mut response = with_body(status, Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/scim+json"));
    response
}

/// Makes a response with the headers that every response has. Responses contain personal data, so caches must not store
/// them.
fn with_body(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Makes a response from a body that may be too large for Lambda.
///
/// # Errors
/// `tooMany` if the body is too large (RFC 7644 §3.4.2.2).
pub(super) fn bounded_answer(status: StatusCode, body: Value) -> Result<Response, Error> {
    let body = shortened(body);
    if enveloped_bytes(&body) <= ANSWER_BYTES {
        return Ok(with_json(status, body));
    }
    Err(Error::Invalid(Invalid::new(
        ScimType::TooMany,
        format!(
            "The response would be larger than {ANSWER_BYTES} bytes. Request fewer resources with 'count', or exclude \
             attributes (for groups: excludedAttributes=members)."
        ),
    )))
}

/// Serializes a body. If it is too large, the members of groups are reduced to their `value`, because clients that
/// import groups have a fixed page size.
fn shortened(mut body: Value) -> String {
    let whole = body.to_string();
    if enveloped_bytes(&whole) <= ANSWER_BYTES {
        return whole;
    }
    let groups = match body.get_mut("Resources").and_then(Value::as_array_mut) {
        Some(resources) => resources.as_mut_slice(),
        None => std::slice::from_mut(&mut body),
    };
    for members in groups.iter_mut().filter_map(|group| group.get_mut("members")?.as_array_mut()) {
        for member in members.iter_mut().filter_map(Value::as_object_mut) {
            if member.contains_key("value") {
                member.retain(|name, _| name == "value");
            }
        }
    }
    body.to_string()
}

/// Returns the size of a body in Lambda's envelope, in which it is a JSON string.
fn enveloped_bytes(body: &str) -> usize {
    body.len() + body.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}

/// Makes a response without a body (204).
pub(super) fn no_content() -> Response {
    with_body(StatusCode::NO_CONTENT, Body::empty())
}

/// Makes a response with one resource, its ETag and its location (RFC 7644 §3.3, §3.14).
pub(super) fn resource(
    status: StatusCode,
    kind: ResourceKind,
    stored: &Stored,
    memberships: &Memberships,
    base: &str,
    projection: &Projection,
) -> Response {
    let rendered = representation::render(kind, stored, memberships, base);
    let mut response = with_json(status, shortened(Value::Object(projection.apply(rendered))));
    let location = message::location(base, kind.resource_type(), stored.id.as_str());
    set(&mut response, ETAG, &etag(&representation::version(stored, memberships)));
    // RFC 7643 §3.1: `meta.location` is the value of Content-Location.
    set(&mut response, CONTENT_LOCATION, &location);
    if status == StatusCode::CREATED {
        set(&mut response, LOCATION, &location);
    }
    response
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
    fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(invalid) => {
                StatusCode::from_u16(invalid.scim_type.status()).unwrap_or(StatusCode::BAD_REQUEST)
            }
            Self::Refused(refusal) if !refusal.is_of_valid_key() => StatusCode::UNAUTHORIZED,
            Self::Refused(_) | Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge(_) | Self::TooManyOperations(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::UnsupportedMediaType(_) | Self::UnsupportedEncoding(_) => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::Throttled => StatusCode::TOO_MANY_REQUESTS,
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
        let mut response =
            answer(status, &message::error_body(status.as_u16(), scim_type, &self.to_string()));
        match &self {
            Self::Refused(refusal) if !refusal.is_of_valid_key() => {
                set(&mut response, WWW_AUTHENTICATE, "Bearer realm=\"SCIM\"");
            }
            // RFC 9110 §15.5.16. The header must be absent if the media type is the reason.
            Self::UnsupportedEncoding(_) => set(&mut response, ACCEPT_ENCODING, "identity"),
            Self::Throttled | Self::Unavailable(_) => set(&mut response, RETRY_AFTER, RETRY_SECONDS),
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
