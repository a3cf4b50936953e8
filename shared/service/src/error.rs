//! What a request can come to other than success. One variant for each reaction, no more.

use scim::Invalid;

/// Why a request was not carried out. Messages reach clients: they hold no key, no personal data and no text of the
/// SDK (which echoes items).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The client sent something that cannot be carried out.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// No usable key.
    #[error("{0}")]
    Unauthorized(String),
    /// A key that may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// No such resource in the caller's organisation.
    #[error("{0}")]
    NotFound(String),
    /// The path exists, the method does not.
    #[error("{0}")]
    MethodNotAllowed(String),
    /// Part of the protocol that this service does not offer.
    #[error("{0}")]
    NotImplemented(String),
    /// `If-Match` named another version (RFC 7644 §3.14).
    #[error(
        "the resource has changed since the version named in If-Match; read it again and repeat the request"
    )]
    PreconditionFailed,
    /// The body exceeds a published limit, in bytes.
    #[error("the request body is larger than the limit of {0} bytes; send it in parts")]
    TooLarge(usize),
    /// A bulk request of more operations than the published limit.
    #[error("a bulk request may have {0} operations; send the rest in another")]
    TooManyOperations(u64),
    /// The state of things does not allow it, and no attribute's value is the reason.
    #[error("{0}")]
    Conflict(String),
    /// A body in a form this service does not read.
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// DynamoDB asks for less traffic.
    #[error(
        "the service is receiving more requests than it can take; repeat the request after the time in Retry-After"
    )]
    Throttled,
    /// Not now: a dependency does not answer, or other requests kept winning. Nothing was half done.
    #[error("the service is temporarily unable to answer; repeat the request after the time in Retry-After")]
    Unavailable,
    /// A defect or a misconfiguration. The text is for the log, not for the client.
    #[error("internal error")]
    Internal(String),
}
