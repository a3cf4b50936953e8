//! The syntax trees of filters and PATCH paths (RFC 7644 figures 1 and 7), before any name is looked up.
//!
//! [`Filter::parse`] and [`Path::parse`] create them. Displaying a tree gives its canonical text.

use std::fmt;
use std::str::FromStr;

use serde_json::{Number, Value};

use crate::extension::split_at_dot;

/// An attribute name: `[urn:]attribute[.sub]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The schema URN before the attribute.
    pub urn: Option<String>,
    /// The attribute.
    pub attribute: String,
    /// The sub-attribute after the dot.
    pub sub: Option<String>,
    /// The position of the name in the text, in characters from 0.
    pub position: usize,
}

/// A PATCH path: `name`, `name[filter]` or `name[filter].sub`.
///
/// # Examples
/// ```
/// use scim::syntax::Path;
///
/// let path = Path::parse(r#"emails[type eq "work"].value"#)?;
/// assert_eq!(path.name.attribute, "emails");
/// assert_eq!(path.sub.as_deref(), Some("value"));
/// # Ok::<(), scim::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The attribute before the brackets. Without brackets, the name includes the sub-attribute.
    pub name: Name,
    /// The filter between the brackets.
    pub filter: Option<Filter>,
    /// The sub-attribute after the brackets.
    pub sub: Option<String>,
}

/// A filter.
///
/// # Examples
/// ```
/// use scim::{schema::USER_TYPE, syntax::Filter};
/// use serde_json::json;
///
/// let filter = Filter::parse(r#"userName eq "ada" and not (active eq false)"#)?;
/// let predicate = filter.resolve(&USER_TYPE)?;
/// let user = json!({ "userName": "Ada", "active": true });
/// assert!(predicate.matches(user.as_object().unwrap()));
///
/// let error = Filter::parse("nickName eq ada").unwrap_err();
/// assert_eq!(error.scim_type, scim::ScimType::InvalidFilter);
/// # Ok::<(), scim::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All of at least two filters.
    And(Vec<Filter>),
    /// Any of at least two filters.
    Or(Vec<Filter>),
    /// `not (…)`.
    Not(Box<Filter>),
    /// `name operator literal`.
    Compare {
        /// The attribute.
        name: Name,
        /// The operator.
        operator: Operator,
        /// The value to compare with.
        literal: Literal,
        /// The position of the literal, in characters from 0.
        position: usize,
    },
    /// `name pr`: the attribute has a value.
    Present(Name),
    /// `name[filter]`: one element matches the whole filter.
    ValuePath {
        /// The complex attribute.
        name: Name,
        /// The filter of its elements.
        filter: Box<Filter>,
    },
}

/// A value in a filter: `compValue` of figure 1, in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// A text in double quotes, with its escapes decoded.
    String(String),
    /// A number.
    Number(Number),
    /// `true` or `false`.
    Boolean(bool),
    /// `null`.
    Null,
}

/// A comparison operator (figure 1). `pr` is [`Filter::Present`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal: the negation of [`Operator::Eq`].
    Ne,
    /// Contains.
    Co,
    /// Starts with.
    Sw,
    /// Ends with.
    Ew,
    /// Greater, later, or after it in character order.
    Gt,
    /// Less.
    Lt,
    /// Greater or equal.
    Ge,
    /// Less or equal.
    Le,
}

/// The error for a text that is not an [`Operator`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a comparison operator")]
pub struct UnknownOperator;

impl Operator {
    pub(crate) const ALL: [Self; 9] =
        [Self::Eq, Self::Ne, Self::Co, Self::Sw, Self::Ew, Self::Gt, Self::Lt, Self::Ge, Self::Le];

    /// Returns the name of the operator in figure 1.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Co => "co",
            Self::Sw => "sw",
            Self::Ew => "ew",
            Self::Gt => "gt",
            Self::Lt => "lt",
            Self::Ge => "ge",
            Self::Le => "le",
        }
    }
}

impl FromStr for Operator {
    type Err = UnknownOperator;

    /// Reads an operator, in any case.
    fn from_str(text: &str) -> Result<Self, UnknownOperator> {
        Self::ALL
            .into_iter()
            .find(|operator| operator.as_str().eq_ignore_ascii_case(text))
            .ok_or(UnknownOperator)
    }
}

impl Name {
    /// Reads a name. Returns `None` if the text is not of the form `[urn:]attribute[.sub]`.
    ///
    /// An attribute name holds no colon, so the last colon ends the URN. A dot after the URN of a schema counts as the
    /// colon.
    pub(crate) fn parse(text: &str, position: usize) -> Option<Self> {
        let (urn, rest) = match split_at_dot(text).or_else(|| text.rsplit_once(':')) {
            Some((urn, rest)) => (Some(urn), rest),
            None => (None, text),
        };
        let (attribute, sub) = match rest.split_once('.') {
            Some((attribute, sub)) => (attribute, Some(sub)),
            None => (rest, None),
        };
        let sound = urn != Some("") && is_attribute_name(attribute) && sub.is_none_or(is_attribute_name);
        sound.then(|| Self {
            urn: urn.map(str::to_owned),
            attribute: attribute.to_owned(),
            sub: sub.map(str::to_owned),
            position,
        })
    }
}

/// Returns whether a text is an attribute name: `ATTRNAME = ALPHA *(nameChar)` (RFC 7643 §2.1), or `$ref`.
pub(crate) fn is_attribute_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '$')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$'))
}

/// Formats a position for an error detail. Positions count from 1 there.
pub(crate) fn at(position: usize) -> String {
    format!("at position {}", position + 1)
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => write!(f, "{}", Value::from(text.as_str())),
            Self::Number(number) => write!(f, "{number}"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Null => f.write_str("null"),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(filters) => self.write_joined(f, filters, " and "),
            Self::Or(filters) => self.write_joined(f, filters, " or "),
            Self::Not(filter) => write!(f, "not ({filter})"),
            Self::Compare { name, operator, literal, .. } => write!(f, "{name} {operator} {literal}"),
            Self::Present(name) => write!(f, "{name} pr"),
            Self::ValuePath { name, filter } => write!(f, "{name}[{filter}]"),
        }
    }
}

impl Filter {
    fn write_joined(&self, f: &mut fmt::Formatter<'_>, filters: &[Self], word: &str) -> fmt::Result {
        for (index, filter) in filters.iter().enumerate() {
            if index > 0 {
                f.write_str(word)?;
            }
            let bare = match filter {
                Self::Or(_) => false,
                Self::And(_) => matches!(self, Self::Or(_)),
                _ => true,
            };
            if bare { write!(f, "{filter}")? } else { write!(f, "({filter})")? }
        }
        Ok(())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = &self.urn {
            write!(f, "{urn}:")?;
        }
        f.write_str(&self.attribute)?;
        match &self.sub {
            Some(sub) => write!(f, ".{sub}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(filter) = &self.filter {
            write!(f, "[{filter}]")?;
        }
        match &self.sub {
            Some(sub) => write!(f, ".{sub}"),
            None => Ok(()),
        }
    }
}
