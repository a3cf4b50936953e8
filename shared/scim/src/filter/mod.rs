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

use crate::dialect::values::parse_boolean;
use crate::error::Invalid;
use crate::fold::{FoldCache, fold};
use crate::lookup::AttributeRef;
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
        attribute: AttributeRef,
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
        attribute: AttributeRef,
        /// Its sub-attribute.
        sub: Option<&'static Attribute>,
    },
    /// Any element there meets the filter.
    ValuePath {
        /// The complex attribute.
        attribute: AttributeRef,
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
    /// is for one element: its [`AttributeRef`] are the sub-attributes.
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
                let (attribute, sub) = scope.lookup(name)?;
                Predicate::Present { attribute, sub }
            }
            Self::Compare { name, operator, literal, position } => {
                let (attribute, sub) = scope.lookup(name)?;
                let sub = sub.or_else(|| attribute.definition.sub("value"));
                let definition = sub.unwrap_or(attribute.definition);
                let operand = operand(name, definition, *operator, literal, *position)?;
                Predicate::Compare { attribute, sub, operator: *operator, operand }
            }
            Self::ValuePath { name, filter } => {
                let (attribute, sub) = scope.lookup(name)?;
                if sub.is_some() || attribute.definition.data_type != Type::Complex {
                    return Err(Invalid::filter(format!(
                        "'{name}' {} has no sub-attributes to put between brackets: write a comparison instead.",
                        at(name.position)
                    )));
                }
                let filter = Box::new(filter.resolve_in(attribute.definition)?);
                Predicate::ValuePath { attribute, filter }
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
    fn lookup(self, name: &Name) -> Result<(AttributeRef, Option<&'static Attribute>), Invalid> {
        let found = match self {
            Self::Resource(resource_type, others) => std::iter::once(&resource_type)
                .chain(others)
                .find_map(|resource_type| name.lookup(resource_type)),
            Self::Element(attribute) => name.lookup_in(attribute).map(|found| (found, None)),
        };
        let Some((attribute, sub)) = found else {
            return Err(Invalid::filter(format!("{} {}.", self.unknown(name), at(name.position))));
        };
        if [Some(attribute.definition), sub]
            .into_iter()
            .flatten()
            .any(|found| found.returned == Returned::Never)
        {
            return Err(Invalid::filter(format!(
                "'{name}' {} cannot be used in a filter.",
                at(name.position)
            )));
        }
        Ok((attribute, sub))
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
    let operand = match (attribute.data_type, literal) {
        (Type::Complex, _) => None,
        (_, Literal::Null) => Some(Operand::Null),
        (Type::Any | Type::String | Type::Reference | Type::Binary, Literal::String(text)) => {
            Some(Operand::Text(if attribute.case_exact { text.clone() } else { fold(text) }))
        }
        (Type::Any | Type::Boolean, Literal::Boolean(value)) => Some(Operand::Boolean(*value)),
        (Type::Boolean, Literal::String(text)) => parse_boolean(text).map(Operand::Boolean),
        (Type::Any | Type::Integer | Type::Decimal, Literal::Number(number)) => {
            Some(Operand::Number(number.clone()))
        }
        (Type::DateTime, Literal::String(text)) => parse_date_time(text).map(Operand::Time),
        _ => None,
    };
    let Some(operand) = operand else {
        return wrong(match attribute.data_type {
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
            matches!(operand, Operand::Text(_)) && attribute.data_type != Type::Binary
        }
        Operator::Gt | Operator::Lt | Operator::Ge | Operator::Le => {
            !matches!(operand, Operand::Boolean(_) | Operand::Null) && attribute.data_type != Type::Binary
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
        self.matches_with(document, &mut FoldCache::default())
    }

    /// The same where more is compared, before it or after it, with the same values.
    pub(crate) fn matches_with(&self, document: &Map<String, Value>, folds: &mut FoldCache) -> bool {
        match self {
            Self::And(all) => all.iter().all(|predicate| predicate.matches_with(document, folds)),
            Self::Or(any) => any.iter().any(|predicate| predicate.matches_with(document, folds)),
            Self::Not(predicate) => !predicate.matches_with(document, folds),
            Self::Present { attribute, sub } => values(document, attribute, *sub).any(is_present),
            Self::Compare { attribute, sub, operator, operand: Operand::Null } => {
                values(document, attribute, *sub).any(is_present) == (*operator == Operator::Ne)
            }
            Self::Compare { attribute, sub, operator, operand } => {
                let definition = sub.unwrap_or(attribute.definition);
                let mut any = |operator| {
                    values(document, attribute, *sub)
                        .any(|value| matches_operand(definition, value, operator, operand, folds))
                };
                if *operator == Operator::Ne { !any(Operator::Eq) } else { any(*operator) }
            }
            Self::ValuePath { attribute, filter } => values(document, attribute, None)
                .filter_map(Value::as_object)
                .any(|element| filter.matches_with(element, folds)),
        }
    }

    /// Whether the answer depends on the core or common attribute of that canonical name.
    #[must_use]
    pub fn mentions(&self, name: &str) -> bool {
        match self {
            Self::And(predicates) | Self::Or(predicates) => {
                predicates.iter().any(|predicate| predicate.mentions(name))
            }
            Self::Not(predicate) => predicate.mentions(name),
            Self::Compare { attribute, .. }
            | Self::Present { attribute, .. }
            | Self::ValuePath { attribute, .. } => attribute.extension.is_none() && attribute.name == name,
        }
    }
}

/// The values at a place: the elements of a list, or the one value; of each the sub-attribute, where one is named.
fn values<'a>(
    document: &'a Map<String, Value>,
    attribute: &AttributeRef,
    sub: Option<&'static Attribute>,
) -> impl Iterator<Item = &'a Value> + use<'a> {
    let elements = match attribute.value_in(document) {
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
fn matches_operand(
    attribute: &Attribute,
    value: &Value,
    operator: Operator,
    operand: &Operand,
    folds: &mut FoldCache,
) -> bool {
    match (value, operand) {
        (Value::String(text), Operand::Text(operand)) => {
            let text = if attribute.case_exact { Cow::Borrowed(text.as_str()) } else { folds.fold(text) };
            match operator {
                Operator::Co => text.contains(operand),
                Operator::Sw => text.starts_with(operand),
                Operator::Ew => text.ends_with(operand),
                _ => satisfies(text.as_ref().cmp(operand), operator),
            }
        }
        (Value::String(text), Operand::Time(operand)) => {
            parse_date_time(text).is_some_and(|time| satisfies(time.cmp(operand), operator))
        }
        (Value::Number(number), Operand::Number(operand)) => {
            compare_numbers(number, operand).is_some_and(|ordering| satisfies(ordering, operator))
        }
        (Value::Bool(value), Operand::Boolean(operand)) => satisfies(value.cmp(operand), operator),
        _ => false,
    }
}

fn satisfies(ordering: Ordering, operator: Operator) -> bool {
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
