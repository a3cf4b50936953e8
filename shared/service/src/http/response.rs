//! Answers: resources, lists and errors as `application/scim+json` (RFC 7644 §3.1, §3.12).

use axum::{
    body::Body,
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_LOCATION, CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
};
use scim::{
    Invalid, ScimType,
    members::Member,
    message,
    projection::Projection,
    resource::{Meta, etag, render},
};
use serde_json::{Map, Value, json};

use crate::{
    Error,
    store::{Extra, Kind, Stored},
    telemetry,
};

/// Seconds a client is asked to wait. Okta reads a whole number and nothing else.
const RETRY_SECONDS: &str = "2";

/// The largest answer, in bytes as Lambda takes it: 6 MB, less the headers and what is around them.
const ANSWER_BYTES: usize = 6 * 1024 * 1024 - 64 * 1024;

/// An answer with a body.
pub(super) fn answer(status: StatusCode, body: &Value) -> Response {
    with_json(status, body.to_string())
}

fn with_json(status: StatusCode, body: String) -> Response {
    let mut response = with_body(status, Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/scim+json"));
    response
}

/// What every answer says: that it holds personal data, which is kept nowhere on the way, and is what it says it is.
fn with_body(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// An answer that may be too large for the way back (RFC 7644 §3.4.2.2 `tooMany`).
pub(super) fn bounded_answer(status: StatusCode, body: Value) -> Result<Response, Error> {
    let body = shortened(body);
    if bytes_on_the_way(&body) <= ANSWER_BYTES {
        return Ok(with_json(status, body));
    }
    Err(Error::Invalid(Invalid::new(
        ScimType::TooMany,
        format!(
            "the answer would be larger than {ANSWER_BYTES} bytes; ask for fewer resources with count, or leave \
             attributes out (excludedAttributes=members for groups)"
        ),
    )))
}

/// The body as text. Where that is too large for the way back, members are shown by their `value` alone: a client that
/// imports groups asks for so many on a page and cannot ask for fewer.
fn shortened(mut body: Value) -> String {
    let whole = body.to_string();
    if bytes_on_the_way(&whole) <= ANSWER_BYTES {
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

/// How large a body is in Lambda's envelope, where it is a JSON string in JSON.
fn bytes_on_the_way(body: &str) -> usize {
    body.len() + body.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}

/// An answer without one.
pub(super) fn no_content() -> Response {
    with_body(StatusCode::NO_CONTENT, Body::empty())
}

/// The resource as it is shown.
pub(super) fn represent(kind: Kind, stored: &Stored, extra: &Extra, base: &str) -> Map<String, Value> {
    let resource_type = kind.resource_type();
    let version = version(stored, extra);
    let meta = Meta {
        id: &stored.id,
        version: &version,
        created: &stored.created,
        last_modified: &stored.modified,
        location: message::location(base, resource_type, stored.id.as_str()),
    };
    let extra = match extra {
        Extra::None => None,
        Extra::Groups(ids) => Some(("groups", ids.iter().map(|id| group_of_user(base, id)).collect())),
        Extra::Members(members) => {
            Some(("members", members.iter().map(|member| member_of_group(base, member)).collect()))
        }
    };
    render(resource_type, &stored.document, &meta, extra)
}

fn group_of_user(base: &str, id: &str) -> Value {
    json!({
        "value": id,
        "$ref": message::location(base, Kind::Group.resource_type(), id),
        "type": "direct",
    })
}

fn member_of_group(base: &str, member: &Member) -> Value {
    let kind = match member.member_type {
        Some(scim::ResourceKind::Group) => Kind::Group,
        _ => Kind::User,
    };
    json!({
        "value": member.value,
        "$ref": message::location(base, kind.resource_type(), &member.value),
        "type": kind.resource_type().name,
    })
}

/// One resource, with its ETag and where it is (RFC 7644 §3.3, §3.14).
pub(super) fn resource(
    status: StatusCode,
    kind: Kind,
    stored: &Stored,
    extra: &Extra,
    base: &str,
    projection: &Projection,
) -> Response {
    let shown = represent(kind, stored, extra, base);
    let mut response = with_json(status, shortened(Value::Object(projection.apply(shown))));
    let location = message::location(base, kind.resource_type(), stored.id.as_str());
    set(&mut response, ETAG, &etag(&version(stored, extra)));
    set(&mut response, if status == StatusCode::CREATED { LOCATION } else { CONTENT_LOCATION }, &location);
    response
}

/// The client has it already (RFC 9110 §15.4.5).
pub(super) fn not_modified(version: &str) -> Response {
    let mut response = with_body(StatusCode::NOT_MODIFIED, Body::empty());
    set(&mut response, ETAG, &etag(version));
    response
}

/// The version of what is shown: that of the resource and, since they change without it, the groups of a user.
pub(super) fn version(stored: &Stored, extra: &Extra) -> String {
    match extra {
        Extra::Groups(groups) if !groups.is_empty() => {
            format!(
                "{}{GROUPS_IN_VERSION}{:08x}",
                stored.version,
                crc32fast::hash(groups.concat().as_bytes())
            )
        }
        _ => stored.version.clone(),
    }
}

/// Divides the version of a user from that of its groups.
pub(super) const GROUPS_IN_VERSION: char = '.';

/// Sets a header whose value this service made.
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
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge(_) | Self::TooManyOperations(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Throttled => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
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
            Self::Unauthorized(_) => set(&mut response, WWW_AUTHENTICATE, "Bearer realm=\"SCIM\""),
            Self::Throttled | Self::Unavailable => set(&mut response, RETRY_AFTER, RETRY_SECONDS),
            _ => {}
        }
        if let Some(scim_type) = scim_type {
            response.extensions_mut().insert(scim_type);
        }
        if let Self::Internal(cause) = self {
            response.extensions_mut().insert(telemetry::Cause(cause.clone()));
        }
        response
    }
}
