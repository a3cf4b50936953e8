//! The errors that a client can cause: the `scimType` values of RFC 7644 §3.12 (table 9) and RFC 9865 §2.1.

/// The `scimType` of an error response (RFC 7644 §3.12, table 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScimType {
    /// The filter is malformed, or compares values that cannot be compared.
    InvalidFilter,
    /// The query would take more work than the service allows.
    TooMany,
    /// Another resource has the value already.
    Uniqueness,
    /// The request changes a read-only attribute, removes a required one, or changes an immutable one that has a
    /// value.
    Mutability,
    /// The body is not the JSON structure that the request needs.
    InvalidSyntax,
    /// The PATCH path is malformed, or names an unknown attribute.
    InvalidPath,
    /// The PATCH path selects nothing that can be changed.
    NoTarget,
    /// A value is missing, has the wrong type, or is not permitted.
    InvalidValue,
    /// The protocol version is not supported.
    InvalidVers,
    /// The request would put personal data into a URI.
    Sensitive,
    /// The cursor belongs to another query (RFC 9865 §2.1).
    InvalidCursor,
    /// The cursor has expired (RFC 9865 §2.1).
    ExpiredCursor,
    /// The `count` is not possible with a cursor (RFC 9865 §2.1).
    InvalidCount,
}

impl ScimType {
    /// Returns the value as written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::InvalidVers => "invalidVers",
            Self::Sensitive => "sensitive",
            Self::InvalidCursor => "invalidCursor",
            Self::ExpiredCursor => "expiredCursor",
            Self::InvalidCount => "invalidCount",
        }
    }

    /// Returns the HTTP status (table 9).
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Uniqueness => 409,
            Self::Sensitive => 403,
            _ => 400,
        }
    }
}

/// A request that cannot be carried out as sent.
///
/// The detail tells an administrator what to correct: the attribute, the operation, or the position. The detail never
/// holds a secret. It quotes names, such as attributes, ids and operators, but no other values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Invalid {
    /// The kind of error.
    pub scim_type: ScimType,
    /// The cause and the remedy.
    pub detail: String,
}

impl Invalid {
    /// Creates an error of any kind.
    pub fn new(scim_type: ScimType, detail: impl Into<String>) -> Self {
        Self { scim_type, detail: detail.into() }
    }

    /// Creates an `invalidValue` error.
    pub fn value(detail: impl Into<String>) -> Self {
        Self::new(ScimType::InvalidValue, detail)
    }

    /// Creates an `invalidSyntax` error.
    pub fn syntax(detail: impl Into<String>) -> Self {
        Self::new(ScimType::InvalidSyntax, detail)
    }

    /// Creates an `invalidFilter` error.
    pub fn filter(detail: impl Into<String>) -> Self {
        Self::new(ScimType::InvalidFilter, detail)
    }

    /// Creates an `invalidPath` error.
    pub fn path(detail: impl Into<String>) -> Self {
        Self::new(ScimType::InvalidPath, detail)
    }

    /// Creates a `mutability` error.
    pub fn mutability(detail: impl Into<String>) -> Self {
        Self::new(ScimType::Mutability, detail)
    }

    /// Creates a `noTarget` error.
    pub fn no_target(detail: impl Into<String>) -> Self {
        Self::new(ScimType::NoTarget, detail)
    }

    /// Puts the location of the error before the detail, as in `Operations[2]: …`.
    #[must_use]
    pub fn within(self, place: &str) -> Self {
        Self { detail: format!("{place}: {}", self.detail), ..self }
    }
}
