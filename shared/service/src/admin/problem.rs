//! Errors of the management API as problem documents (RFC 9457).
//!
//! Each kind of problem has a type URI, a title and a status. The member `errors` names the members, parameters and
//! headers of the request that are wrong, with a JSON pointer (RFC 6901) in a fragment for members.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    http::{
        HeaderName, StatusCode,
        header::{RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::{
    IntoResponses, ToSchema,
    openapi::{
        ContentBuilder, HeaderBuilder, Ref, RefOr, Response as ApiResponse, ResponseBuilder,
        schema::{ObjectBuilder, SchemaType, Type},
    },
};

use super::answer::{set, with_body};
use crate::{Error, telemetry};

/// The media type of a problem document.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";
/// The value of `Retry-After`, in seconds.
const RETRY_SECONDS: &str = "2";

/// A kind of problem: the end of its type URI, its title and its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    InvalidRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Timeout,
    Conflict,
    TooLarge,
    UnsupportedMediaType,
    Unprocessable,
    Throttled,
    Internal,
    Unavailable,
}

impl Kind {
    /// Every kind, in the order of the statuses.
    const ALL: [Self; 13] = [
        Self::InvalidRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::Conflict,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::Unprocessable,
        Self::Throttled,
        Self::Internal,
        Self::Unavailable,
    ];

    const fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Throttled => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn uri(self) -> &'static str {
        match self {
            Self::InvalidRequest => "urn:problem-type:scim-admin:invalid-request",
            Self::Unauthorized => "urn:problem-type:scim-admin:unauthorized",
            Self::Forbidden => "urn:problem-type:scim-admin:forbidden",
            Self::NotFound => "urn:problem-type:scim-admin:not-found",
            Self::MethodNotAllowed => "urn:problem-type:scim-admin:method-not-allowed",
            Self::Timeout => "urn:problem-type:scim-admin:timeout",
            Self::Conflict => "urn:problem-type:scim-admin:conflict",
            Self::TooLarge => "urn:problem-type:scim-admin:too-large",
            Self::UnsupportedMediaType => "urn:problem-type:scim-admin:unsupported-media-type",
            Self::Unprocessable => "urn:problem-type:scim-admin:unprocessable",
            Self::Throttled => "urn:problem-type:scim-admin:throttled",
            Self::Internal => "urn:problem-type:scim-admin:internal",
            Self::Unavailable => "urn:problem-type:scim-admin:unavailable",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::InvalidRequest => "The request is invalid.",
            Self::Unauthorized => "The request has no valid credential.",
            Self::Forbidden => "The request is not allowed.",
            Self::NotFound => "The resource does not exist.",
            Self::MethodNotAllowed => "The path does not support the method.",
            Self::Timeout => "The request was not complete in time.",
            Self::Conflict => "The current state does not allow the request.",
            Self::TooLarge => "The request is too large.",
            Self::UnsupportedMediaType => "The media type is not supported.",
            Self::Unprocessable => "The request cannot be carried out.",
            Self::Throttled => "The service receives too many requests.",
            Self::Internal => "The service has a defect or a misconfiguration.",
            Self::Unavailable => "The service is temporarily unavailable.",
        }
    }
}

/// A problem document (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Problem {
    /// The URI of the kind of problem.
    #[serde(rename = "type")]
    #[schema(format = "uri")]
    uri: &'static str,
    /// The kind of problem in words.
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The cause, then the remedy.
    detail: String,
    /// The parts of the request that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<Fault>,
    #[serde(skip)]
    kind: Kind,
    #[serde(skip)]
    cause: Option<String>,
}

/// A part of the request that is wrong: exactly one of `pointer`, `parameter` and `header` names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Fault {
    /// The JSON pointer of a member of the body, in a URI fragment, such as `#/scopes/0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pointer: Option<String>,
    /// The name of a query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parameter: Option<String>,
    /// The name of a header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) header: Option<&'static str>,
    /// The cause, then the remedy.
    pub(super) detail: String,
}

impl Fault {
    /// Returns the problem of a well-formed request that the service cannot use (422).
    pub(super) fn unprocessable(self) -> Problem {
        Problem::of_faults(Kind::Unprocessable, vec![self])
    }

    /// Returns the fault of a member of the body.
    pub(super) fn member(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: Some(pointer.into()), parameter: None, header: None, detail: detail.into() }
    }

    /// Returns the fault of a query parameter.
    pub(super) fn parameter(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: None, parameter: Some(name.into()), header: None, detail: detail.into() }
    }

    /// Returns the fault of a header.
    pub(super) fn header(name: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer: None, parameter: None, header: Some(name), detail: detail.into() }
    }
}

impl Problem {
    /// Returns a problem without the parts of the request.
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            uri: kind.uri(),
            title: kind.title(),
            status: kind.status().as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            kind,
            cause: None,
        }
    }

    /// Returns a problem with the parts of the request that are wrong. The detail is that of the first one.
    pub(super) fn of_faults(kind: Kind, faults: Vec<Fault>) -> Self {
        let detail = match faults.as_slice() {
            [only] => only.detail.clone(),
            _ => "Several parts of the request are wrong. Correct each of them as 'errors' says.".to_owned(),
        };
        Self { errors: faults, ..Self::new(kind, detail) }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::of_faults(Kind::InvalidRequest, vec![fault])
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::NotFound(_) => Kind::NotFound,
            Error::Conflict(_) => Kind::Conflict,
            Error::IdempotencyKeyUsed => {
                return Fault::header("Idempotency-Key", error.to_string()).unprocessable();
            }
            Error::Throttled => Kind::Throttled,
            Error::Unavailable(_) => Kind::Unavailable,
            Error::Internal(_) => Kind::Internal,
            Error::TooLarge(_) => Kind::TooLarge,
            Error::BodyTimeout => Kind::Timeout,
            _ => Kind::InvalidRequest,
        };
        Self { cause: error.cause(), ..Self::new(kind, error.to_string()) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let text = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = with_body(self.kind.status(), PROBLEM_JSON, Body::from(text));
        match self.kind {
            Kind::Unauthorized => set(&mut response, WWW_AUTHENTICATE, "Bearer realm=\"SCIM management\""),
            Kind::Throttled | Kind::Unavailable => set(&mut response, RETRY_AFTER, RETRY_SECONDS),
            _ => {}
        }
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(telemetry::Cause(cause));
        }
        response
    }
}

/// The problems that every operation may answer with, for the OpenAPI document.
pub(super) struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<ApiResponse>> {
        // A documented operation has its method, so 405 is not among its responses.
        let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::MethodNotAllowed);
        kinds.map(|kind| (kind.status().as_str().to_owned(), RefOr::T(response(kind)))).collect()
    }
}

/// Returns the description of the response of that kind.
fn response(kind: Kind) -> ApiResponse {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    let response = ResponseBuilder::new().description(kind.title()).content(PROBLEM_JSON, content);
    let header = |name: HeaderName, header_type: Type| {
        let schema = ObjectBuilder::new().schema_type(SchemaType::Type(header_type)).build();
        (name.to_string(), HeaderBuilder::new().schema(Some(schema)).build())
    };
    let header = match kind {
        Kind::Unauthorized => header(WWW_AUTHENTICATE, Type::String),
        Kind::Throttled | Kind::Unavailable => header(RETRY_AFTER, Type::Integer),
        _ => return response.build(),
    };
    response.header(header.0, header.1).build()
}
