//! Why a request failed: one variant for each reaction of the client, and the words that the log has for operators.

use std::fmt;

use scim::Invalid;

/// The reason why a request failed. Messages reach clients, so they contain no key, no personal data and no text of the
/// SDK, which echoes items.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The request is invalid.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The service refuses the key, or the request has none.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The endpoint refuses the request, whatever its key.
    #[error("{0}")]
    Forbidden(String),
    /// The caller's organisation has no such resource.
    #[error("{0}")]
    NotFound(String),
    /// The request names data that existed once, and does not exist any more.
    #[error("{0}")]
    Gone(String),
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
    /// Another request has used the same Idempotency-Key.
    #[error("Another request has used this Idempotency-Key. Send a new Idempotency-Key.")]
    IdempotencyKeyUsed,
    /// The service does not read bodies of this media type.
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// The service does not read bodies with this Content-Encoding.
    #[error("{0}")]
    UnsupportedEncoding(String),
    /// DynamoDB throttles the service.
    #[error("The service receives too many requests. Repeat the request after the time in Retry-After.")]
    Throttled,
    /// The organisation has reached a limit. The number is the value of `Retry-After`, in seconds.
    #[error("{0} Repeat the request after the time in Retry-After.")]
    Limited(Limit, u64),
    /// A dependency does not answer, or other requests kept changing the same data. The request has no partial effect.
    /// The reason goes to the log and not to the client.
    #[error("The service is temporarily unavailable. Repeat the request after the time in Retry-After.")]
    Unavailable(Reason),
    /// A defect or a misconfiguration. The text goes to the log and not to the client.
    #[error("Internal error. The log of the service has the cause.")]
    Internal(String),
}

impl Error {
    /// Returns the cause for the log, if the answer to the client hides it. The words of [`Reason`] are a closed list, and
    /// alarms are described with them (`infra/alarms.yaml`).
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::Internal(cause) => Some(cause.clone()),
            Self::Unavailable(reason) => Some(reason.to_string()),
            Self::Throttled => Some(Reason::DynamoDb(CallFailure::Throttled).to_string()),
            _ => None,
        }
    }
}

/// The detail for a key that is malformed, unknown or revoked. A client without a valid key learns no more.
const INVALID_KEY: &str = "The API key is not valid. Check that the whole key was pasted and belongs to this region, or \
                           create a new key.";

/// Why the service refuses a key. The text tells the client what to do, and the word tells the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no Authorization header.
    #[error("The request has no Authorization header. Send 'Bearer <key>'.")]
    Missing,
    /// There are several Authorization headers.
    #[error("The request has more than one Authorization header. Send one.")]
    Repeated,
    /// The header has a scheme that is neither `Bearer` nor `Basic`.
    #[error("The Authorization header has another scheme. Send 'Bearer <key>'.")]
    Scheme,
    /// The header has the scheme twice.
    #[error("The Authorization header contains 'Bearer' twice. Enter the key without 'Bearer'.")]
    SchemeTwice,
    /// The text is not a key. The answer does not tell it from an unknown or a revoked key.
    #[error("{INVALID_KEY}")]
    Malformed,
    /// The store has no such key.
    #[error("{INVALID_KEY}")]
    Unknown,
    /// The key has been revoked.
    #[error("{INVALID_KEY}")]
    Revoked,
    /// The key ended at this time.
    #[error("This API key expired at {0}. Create a new key and enter it at the identity provider.")]
    Expired(String),
    /// The access token ended at this time.
    #[error("This access token expired at {0}. Request a new one from the token endpoint.")]
    ExpiredToken(String),
    /// SCIM is disabled for the organisation of this name.
    #[error("SCIM is disabled for the organisation {0}.")]
    Off(String),
    /// The token endpoint refuses the OAuth client. The word is for the log.
    #[error("The client is not authenticated.")]
    Client(&'static str),
    /// The key does not have this scope.
    #[error("The key does not have the scope '{0}'. Use a key with the scope '{0}' or 'scim'.")]
    Scope(&'static str),
}

impl Refusal {
    /// Returns the word for the log.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Repeated => "repeated",
            Self::Scheme | Self::SchemeTwice => "scheme",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Revoked => "revoked",
            Self::Expired(_) | Self::ExpiredToken(_) => "expired",
            Self::Off(_) => "off",
            Self::Client(word) => word,
            Self::Scope(_) => "scope",
        }
    }

    /// Returns whether the key is valid, and only the request is not permitted to it (403).
    pub(crate) fn is_of_valid_key(&self) -> bool {
        matches!(self, Self::Off(_) | Self::Scope(_))
    }
}

/// A limit of an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// The rate of requests.
    #[error("The organisation sends more requests than its limit allows.")]
    Requests,
    /// The number of expensive requests at the same time.
    #[error(
        "The organisation has too many expensive requests at the same time. Expensive are bulk requests, filters and \
         sorts without an index, and large changes of members."
    )]
    Work,
}

impl Limit {
    /// Returns the word for the log.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Work => "work",
        }
    }
}

/// Why the service is unavailable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A call to DynamoDB failed.
    DynamoDb(CallFailure),
    /// The pepper cannot be read.
    SecretsManager(CallFailure),
    /// Other requests kept changing the same data until no time was left.
    Conflicts,
    /// The time of the request ended.
    Budget,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DynamoDb(failure) => write!(f, "dynamodb {}", failure.word()),
            Self::SecretsManager(failure) => write!(f, "secrets-manager {}", failure.word()),
            Self::Conflicts => f.write_str("conflicts"),
            Self::Budget => f.write_str("budget"),
        }
    }
}

/// Why a call to AWS failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallFailure {
    /// There are no credentials, or AWS does not accept them.
    Credentials,
    /// The identity may not make the call, or may not use the KMS key.
    AccessDenied,
    /// The secret does not exist, or has no version with the label.
    NotFound,
    /// The secret is scheduled for deletion.
    Deleted,
    /// The secret cannot be decrypted: its KMS key is disabled or deleted.
    Decryption,
    /// AWS limits the rate of the calls.
    Throttled,
    /// No answer came in time.
    Timeout,
    /// No connection was made, or it broke.
    Connect,
    /// AWS answered with a 5xx error, or with an answer that cannot be read.
    ServerError,
    /// AWS answered with another error.
    Other,
}

impl CallFailure {
    /// Every failure.
    pub const ALL: [Self; 10] = [
        Self::Credentials,
        Self::AccessDenied,
        Self::NotFound,
        Self::Deleted,
        Self::Decryption,
        Self::Throttled,
        Self::Timeout,
        Self::Connect,
        Self::ServerError,
        Self::Other,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::AccessDenied => "access-denied",
            Self::NotFound => "not-found",
            Self::Deleted => "deleted",
            Self::Decryption => "decryption",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::ServerError => "server-error",
            Self::Other => "other",
        }
    }
}
