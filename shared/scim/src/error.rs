//! What a client can do wrong: the error vocabulary of RFC 7644 §3.12, table 9 (with RFC 9865's additions).

/// The `scimType` of an error response (RFC 7644 §3.12 table 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScimType {
    /// The filter does not parse, or compares what cannot be compared.
    InvalidFilter,
    /// The answer would be larger than the server is willing to work out.
    TooMany,
    /// A value is already in use by another resource.
    Uniqueness,
    /// A readOnly or required attribute, or an immutable one that has a value, was to be changed.
    Mutability,
    /// The body is not the JSON structure the request asks for.
    InvalidSyntax,
    /// A PATCH path does not parse or names no attribute.
    InvalidPath,
    /// A PATCH path selects nothing that could be changed.
    NoTarget,
    /// A value is missing, of the wrong type, or not permitted.
    InvalidValue,
    /// The protocol version is not supported.
    InvalidVers,
    /// The request would put personal data into a URI.
    Sensitive,
    /// The cursor was not given for this query (RFC 9865 §2.1).
    InvalidCursor,
    /// The cursor is too old (RFC 9865 §2.1).
    ExpiredCursor,
    /// The `count` of a page by cursor is not possible (RFC 9865 §2.1).
    InvalidCount,
}

impl ScimType {
    /// The word on the wire.
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

    /// The HTTP status table 9 gives it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Uniqueness => 409,
            Self::Sensitive => 403,
            _ => 400,
        }
    }
}

/// A request that cannot be carried out as sent, with what the administrator at the client needs to mend it:
/// which attribute, which operation, which position. Never holds a secret; values are quoted only where they
/// are names (attributes, ids, operators).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Invalid {
    /// What kind of mistake.
    pub scim_type: ScimType,
    /// What was wrong, where, and what to do.
    pub detail: String,
}

impl Invalid {
    /// A mistake of the given kind.
    pub fn new(scim_type: ScimType, detail: impl Into<String>) -> Self {
        Self { scim_type, detail: detail.into() }
    }

    /// A value that is missing, of the wrong type, or not permitted.
    pub fn value(detail: impl Into<String>) -> Self {
        Self::new(ScimType::InvalidValue, detail)
    }

    /// A body that is not the JSON structure asked for.
    pub fn syntax(detail: impl Into<String>) -> Self {
        Self::new(ScimType::InvalidSyntax, detail)
    }

    /// A filter that does not parse or compares what cannot be compared.
    pub fn filter(detail: impl Into<String>) -> Self {
        Self::new(ScimType::InvalidFilter, detail)
    }

    /// A path that does not parse or names no attribute.
    pub fn path(detail: impl Into<String>) -> Self {
        Self::new(ScimType::InvalidPath, detail)
    }

    /// A change of what may not change.
    pub fn mutability(detail: impl Into<String>) -> Self {
        Self::new(ScimType::Mutability, detail)
    }

    /// A path that selects nothing.
    pub fn no_target(detail: impl Into<String>) -> Self {
        Self::new(ScimType::NoTarget, detail)
    }

    /// The same mistake, with where it was made put before its detail (`Operations[2]: …`).
    #[must_use]
    pub fn within(self, place: &str) -> Self {
        Self { detail: format!("{place}: {}", self.detail), ..self }
    }
}
