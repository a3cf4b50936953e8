//! Filters and PATCH paths as written (RFC 7644 figures 1 and 7): the syntax, before any name is looked up.

use std::fmt;
use std::str::FromStr;

use serde_json::{Number, Value};

/// An attribute name as written, `[urn:]attribute[.sub]`, not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The schema URN before the name, as written.
    pub urn: Option<String>,
    /// The attribute.
    pub attribute: String,
    /// The sub-attribute after the dot.
    pub sub: Option<String>,
    /// Where it begins in the text, in characters from 0.
    pub position: usize,
}

/// A PATCH path as written: `name`, `name[filter]`, `name[filter].sub`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The attribute before the bracket. Holds the sub-attribute where there is no bracket.
    pub name: Name,
    /// What is between the brackets.
    pub filter: Option<Filter>,
    /// The sub-attribute after the bracket.
    pub sub: Option<String>,
}

/// A filter as written, not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All of at least two.
    And(Vec<Filter>),
    /// Any of at least two.
    Or(Vec<Filter>),
    /// `not (…)`.
    Not(Box<Filter>),
    /// `name operator literal`.
    Compare {
        /// The attribute.
        name: Name,
        /// How it compares.
        operator: Operator,
        /// With what.
        literal: Literal,
        /// Where the literal begins, in characters from 0.
        position: usize,
    },
    /// `name pr`: it has a value.
    Present(Name),
    /// `name[filter]`: one element meets the whole filter.
    ValuePath {
        /// The complex attribute.
        name: Name,
        /// What its element has to meet.
        filter: Box<Filter>,
    },
}

/// A value as written: `compValue` of figure 1, JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// Text in double quotes, its escapes decoded.
    String(String),
    /// A number.
    Number(Number),
    /// `true` or `false`.
    Boolean(bool),
    /// `null`.
    Null,
}

/// How a comparison compares (figure 1). `pr` compares nothing: see [`Filter::Present`].
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
    /// Greater, later, or after it in the order of characters.
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

    /// The word of figure 1.
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
    /// Reads one word; `None` if it is not `[urn:]attribute[.sub]`.
    pub(crate) fn parse(text: &str, position: usize) -> Option<Self> {
        let (urn, rest) = match text.rsplit_once(':') {
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

/// `ATTRNAME = ALPHA *(nameChar)` (RFC 7643 §2.1), and `$ref`.
pub(crate) fn is_attribute_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '$')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$'))
}

/// A position as errors have it.
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
