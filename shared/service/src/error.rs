//! Why a request failed: one variant for each reaction of the client.

use scim::Invalid;

/// The reason why a request failed. Messages reach clients, so they contain no key, no personal data and no text of the
/// SDK, which echoes items.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The request is invalid.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The request has no valid key.
    #[error("{0}")]
    Unauthorized(String),
    /// The key does not have the required scope.
    #[error("{0}")]
    Forbidden(String),
    /// The caller's organisation has no such resource.
    #[error("{0}")]
    NotFound(String),
    /// The path does not support the method.
    #[error("{0}")]
    MethodNotAllowed(String),
    /// The service does not implement this part of the protocol.
    #[error("{0}")]
    NotImplemented(String),
    /// `If-Match` named another version (RFC 7644 §3.14).
    #[error(
        "The resource has changed since the version in If-Match. Read the resource again and repeat the request."
    )]
    PreconditionFailed,
    /// The body exceeds this limit in bytes.
    #[error("The request body exceeds the limit of {0} bytes. Send it in several requests.")]
    TooLarge(usize),
    /// The client did not send the whole body in time.
    #[error("The request body was not complete in time. Repeat the request.")]
    BodyTimeout,
    /// The bulk request has more operations than this limit.
    #[error("The bulk request has more than {0} operations. Send the rest in another request.")]
    TooManyOperations(usize),
    /// The current state of the data does not allow the request. No attribute value is the reason.
    #[error("{0}")]
    Conflict(String),
    /// The service does not read bodies of this media type or encoding.
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// DynamoDB throttles the service.
    #[error("The service receives too many requests. Repeat the request after the time in Retry-After.")]
    Throttled,
    /// A dependency does not answer, or other requests kept changing the same data. The request has no partial effect.
    #[error("The service is temporarily unavailable. Repeat the request after the time in Retry-After.")]
    Unavailable,
    /// A defect or a misconfiguration. The text goes to the log and not to the client.
    #[error("Internal error. The log of the service has the cause.")]
    Internal(String),
}
