//! Filters (RFC 7644 §3.4.2.2, figure 1): text → [`Filter`], the syntax with positions → [`Predicate`], the same
//! resolved against the schema table → true or false for a document.
//!
//! A filter is bounded before anything is built of it: [`MAX_LENGTH`] characters, [`MAX_DEPTH`] levels of nesting,
//! [`MAX_NODES`] nodes. Each character is looked at once. Whatever a filter says that has no meaning (an unknown
//! attribute, `gt` on a boolean) is `invalidFilter`; nothing is ever read as "everything".
//! `ne` is exactly `not (… eq …)`: true for the absent, and for lists in which no element is equal.
//!
//! Absent on purpose: evaluation of names; a predicate holds places in the table, so that it cannot meet an unknown one.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Number, Value};
use time::OffsetDateTime;

use crate::dialect::values::boolean_text;
use crate::error::Invalid;
use crate::fold::{Folds, fold};
use crate::place::Located;
use crate::schema::{Attribute, ResourceType, Returned, Type};
use crate::syntax::{Filter, Literal, Name, Operator, at};
use crate::value::{compare_numbers, is_present, parse_date_time};

/// A filter whose names are places in the schema table and whose values are of the right type.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    /// All of them.
    And(Vec<Predicate>),
    /// Any of them.
    Or(Vec<Predicate>),
    /// Not this.
    Not(Box<Predicate>),
    /// Any value there compares so with the operand.
    Compare {
        /// The attribute; inside [`Predicate::ValuePath`], the sub-attribute.
        place: Located,
        /// Its sub-attribute.
        sub: Option<&'static Attribute>,
        /// How it compares.
        operator: Operator,
        /// With what.
        operand: Operand,
    },
    /// Any value there is not empty.
    Present {
        /// The attribute; inside [`Predicate::ValuePath`], the sub-attribute.
        place: Located,
        /// Its sub-attribute.
        sub: Option<&'static Attribute>,
    },
    /// Any element there meets the filter.
    ValuePath {
        /// The complex attribute.
        place: Located,
        /// Over its sub-attributes.
        filter: Box<Predicate>,
    },
}

/// What values compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// Text, folded already unless the attribute is caseExact. As written it is in [`Filter::Compare`].
    Text(String),
    /// With `eq` and `ne` only.
    Boolean(bool),
    /// Whole numbers compare exactly.
    Number(Number),
    /// Compares as an instant, whatever the time zone.
    Time(OffsetDateTime),
    /// With `eq` (absent) and `ne` (present) only.
    Null,
}

impl Filter {
    /// Looks up every name among the attributes of a resource type.
    ///
    /// # Errors
    /// `invalidFilter`, naming the attribute that is unknown or cannot be compared so.
    pub fn resolve(&self, resource_type: &'static ResourceType) -> Result<Predicate, Invalid> {
        self.resolve_for(Scope::Resource(resource_type, &[]))
    }

    /// The same for a query over several resource types: an attribute that only others of them have is one without a
    /// value (RFC 7644 §3.4.2.1).
    ///
    /// # Errors
    /// As [`Filter::resolve`], if none of them has the attribute.
    pub fn resolve_among(
        &self,
        resource_type: &'static ResourceType,
        all: &'static [&'static ResourceType],
    ) -> Result<Predicate, Invalid> {
        self.resolve_for(Scope::Resource(resource_type, all))
    }

    /// Looks up every name among the sub-attributes of a complex attribute: what stands between brackets. The predicate
    /// is for one element: its [`Located`] are the sub-attributes.
    ///
    /// # Errors
    /// As [`Filter::resolve`].
    pub fn resolve_in(&self, attribute: &'static Attribute) -> Result<Predicate, Invalid> {
        self.resolve_for(Scope::Element(attribute))
    }

    // The recursion is bounded: no parsed filter nests deeper than `MAX_DEPTH`.
    fn resolve_for(&self, scope: Scope) -> Result<Predicate, Invalid> {
        let all = |filters: &[Self]| {
            filters.iter().map(|filter| filter.resolve_for(scope)).collect::<Result<_, _>>()
        };
        Ok(match self {
            Self::And(filters) => Predicate::And(all(filters)?),
            Self::Or(filters) => Predicate::Or(all(filters)?),
            Self::Not(filter) => Predicate::Not(Box::new(filter.resolve_for(scope)?)),
            Self::Present(name) => {
                let (place, sub) = scope.locate(name)?;
                Predicate::Present { place, sub }
            }
            Self::Compare { name, operator, literal, position } => {
                let (place, sub) = scope.locate(name)?;
                let sub = sub.or_else(|| place.attribute.sub("value"));
                let attribute = sub.unwrap_or(place.attribute);
                let operand = operand(name, attribute, *operator, literal, *position)?;
                Predicate::Compare { place, sub, operator: *operator, operand }
            }
            Self::ValuePath { name, filter } => {
                let (place, sub) = scope.locate(name)?;
                if sub.is_some() || place.attribute.kind != Type::Complex {
                    return Err(Invalid::filter(format!(
                        "'{name}' {} has no sub-attributes to put between brackets: write a comparison instead.",
                        at(name.position)
                    )));
                }
                let filter = Box::new(filter.resolve_in(place.attribute)?);
                Predicate::ValuePath { place, filter }
            }
        })
    }
}

/// Where names are looked up.
#[derive(Clone, Copy)]
enum Scope {
    /// A resource type, and others whose attributes may be named.
    Resource(&'static ResourceType, &'static [&'static ResourceType]),
    Element(&'static Attribute),
}

impl Scope {
    fn locate(self, name: &Name) -> Result<(Located, Option<&'static Attribute>), Invalid> {
        let found = match self {
            Self::Resource(resource_type, others) => std::iter::once(&resource_type)
                .chain(others)
                .find_map(|resource_type| name.locate(resource_type)),
            Self::Element(attribute) => name.locate_in(attribute).map(|place| (place, None)),
        };
        let Some((place, sub)) = found else {
            return Err(Invalid::filter(format!("{} {}.", self.unknown(name), at(name.position))));
        };
        if [Some(place.attribute), sub].into_iter().flatten().any(|found| found.returned == Returned::Never) {
            return Err(Invalid::filter(format!(
                "'{name}' {} cannot be used in a filter.",
                at(name.position)
            )));
        }
        Ok((place, sub))
    }

    fn unknown(self, name: &Name) -> String {
        match self {
            Self::Resource(resource_type, _) => {
                format!("{} has no attribute '{name}', which the filter names", resource_type.name)
            }
            Self::Element(attribute) => {
                format!("'{}' has no sub-attribute '{name}', which the filter names", attribute.name)
            }
        }
    }
}

/// The literal as the attribute's type has it, if the type can be compared so.
fn operand(
    name: &Name,
    attribute: &'static Attribute,
    operator: Operator,
    literal: &Literal,
    position: usize,
) -> Result<Operand, Invalid> {
    let wrong = |what: &str| Err(Invalid::filter(format!("'{name}' {what} ({}).", at(position))));
    let operand = match (attribute.kind, literal) {
        (Type::Complex, _) => None,
        (_, Literal::Null) => Some(Operand::Null),
        (Type::Any | Type::String | Type::Reference | Type::Binary, Literal::String(text)) => {
            Some(Operand::Text(if attribute.case_exact { text.clone() } else { fold(text) }))
        }
        (Type::Any | Type::Boolean, Literal::Boolean(value)) => Some(Operand::Boolean(*value)),
        (Type::Boolean, Literal::String(text)) => boolean_text(text).map(Operand::Boolean),
        (Type::Any | Type::Integer | Type::Decimal, Literal::Number(number)) => {
            Some(Operand::Number(number.clone()))
        }
        (Type::DateTime, Literal::String(text)) => parse_date_time(text).map(Operand::Time),
        _ => None,
    };
    let Some(operand) = operand else {
        return wrong(match attribute.kind {
            Type::Complex => "is complex: name one of its sub-attributes, or use pr",
            Type::Boolean => "is a boolean: compare it with true or false",
            Type::Integer | Type::Decimal => "is a number: compare it with a number, without quotes",
            Type::DateTime => "is a date: write it with time and zone, as in \"2026-11-22T09:30:00Z\"",
            Type::String | Type::Reference | Type::Binary | Type::Any => {
                "is text: put the value in double quotes"
            }
        });
    };
    let applies = match operator {
        Operator::Eq | Operator::Ne => true,
        Operator::Co | Operator::Sw | Operator::Ew => {
            matches!(operand, Operand::Text(_)) && attribute.kind != Type::Binary
        }
        Operator::Gt | Operator::Lt | Operator::Ge | Operator::Le => {
            !matches!(operand, Operand::Boolean(_) | Operand::Null) && attribute.kind != Type::Binary
        }
    };
    if applies {
        return Ok(operand);
    }
    match operand {
        Operand::Null => wrong("can be compared with null by eq and ne only"),
        Operand::Number(_) | Operand::Time(_) => wrong("is not text: co, sw and ew do not apply to it"),
        Operand::Text(_) | Operand::Boolean(_) => wrong("can be compared by eq, ne and pr only"),
    }
}

impl Predicate {
    /// Whether it holds for a document (of [`Filter::resolve_in`]: for an element).
    #[must_use]
    pub fn matches(&self, document: &Map<String, Value>) -> bool {
        self.meets(document, &mut Folds::default())
    }

    /// The same where more is compared, before it or after it, with the same values.
    pub(crate) fn meets(&self, document: &Map<String, Value>, folds: &mut Folds) -> bool {
        match self {
            Self::And(all) => all.iter().all(|predicate| predicate.meets(document, folds)),
            Self::Or(any) => any.iter().any(|predicate| predicate.meets(document, folds)),
            Self::Not(predicate) => !predicate.meets(document, folds),
            Self::Present { place, sub } => values(document, place, *sub).any(is_present),
            Self::Compare { place, sub, operator, operand: Operand::Null } => {
                values(document, place, *sub).any(is_present) == (*operator == Operator::Ne)
            }
            Self::Compare { place, sub, operator, operand } => {
                let attribute = sub.unwrap_or(place.attribute);
                let mut any = |operator| {
                    values(document, place, *sub)
                        .any(|value| compares(attribute, value, operator, operand, folds))
                };
                if *operator == Operator::Ne { !any(Operator::Eq) } else { any(*operator) }
            }
            Self::ValuePath { place, filter } => values(document, place, None)
                .filter_map(Value::as_object)
                .any(|element| filter.meets(element, folds)),
        }
    }

    /// Whether the answer depends on the core or common attribute of that canonical name.
    #[must_use]
    pub fn mentions(&self, attribute: &str) -> bool {
        match self {
            Self::And(predicates) | Self::Or(predicates) => {
                predicates.iter().any(|predicate| predicate.mentions(attribute))
            }
            Self::Not(predicate) => predicate.mentions(attribute),
            Self::Compare { place, .. } | Self::Present { place, .. } | Self::ValuePath { place, .. } => {
                place.extension.is_none() && place.name == attribute
            }
        }
    }
}

/// The values at a place: the elements of a list, or the one value; of each the sub-attribute, where one is named.
fn values<'a>(
    document: &'a Map<String, Value>,
    place: &Located,
    sub: Option<&'static Attribute>,
) -> impl Iterator<Item = &'a Value> + use<'a> {
    let elements = match place.value_in(document) {
        None => &[],
        Some(Value::Array(elements)) => elements.as_slice(),
        Some(value) => std::slice::from_ref(value),
    };
    elements.iter().filter_map(move |element| match sub {
        None => Some(element),
        Some(sub) => element.get(sub.name),
    })
}

/// Whether one value compares so with the operand. Values of different types never do.
fn compares(
    attribute: &Attribute,
    value: &Value,
    operator: Operator,
    operand: &Operand,
    folds: &mut Folds,
) -> bool {
    match (value, operand) {
        (Value::String(text), Operand::Text(operand)) => {
            let text = if attribute.case_exact { Cow::Borrowed(text.as_str()) } else { folds.fold(text) };
            match operator {
                Operator::Co => text.contains(operand),
                Operator::Sw => text.starts_with(operand),
                Operator::Ew => text.ends_with(operand),
                _ => orders(text.as_ref().cmp(operand), operator),
            }
        }
        (Value::String(text), Operand::Time(operand)) => {
            parse_date_time(text).is_some_and(|time| orders(time.cmp(operand), operator))
        }
        (Value::Number(number), Operand::Number(operand)) => {
            compare_numbers(number, operand).is_some_and(|ordering| orders(ordering, operator))
        }
        (Value::Bool(value), Operand::Boolean(operand)) => orders(value.cmp(operand), operator),
        _ => false,
    }
}

fn orders(ordering: Ordering, operator: Operator) -> bool {
    match operator {
        Operator::Eq => ordering.is_eq(),
        Operator::Ne => ordering.is_ne(),
        Operator::Gt => ordering.is_gt(),
        Operator::Lt => ordering.is_lt(),
        Operator::Ge => ordering.is_ge(),
        Operator::Le => ordering.is_le(),
        Operator::Co | Operator::Sw | Operator::Ew => false,
    }
}

#[cfg(test)]
mod tests;
