//! Filters (RFC 7644 §3.4.2.2): resolving a [`Filter`] against the schema, and evaluating the resulting
//! [`Predicate`].
//!
//! A filter without a meaning, such as one with an unknown attribute or `gt` on a boolean, is `invalidFilter`. No
//! filter is ever ignored. `ne` is exactly `not (… eq …)`: it matches absent values, and lists without an equal
//! element. A predicate refers to attributes in the schema, so evaluation meets no unknown names.

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

/// A resolved filter: its names are attributes in the schema, and its values have the right types.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    /// All of them match.
    And(Vec<Predicate>),
    /// Any of them matches.
    Or(Vec<Predicate>),
    /// The inner predicate does not match.
    Not(Box<Predicate>),
    /// Any value of the attribute compares with the operand as requested.
    Compare {
        /// The attribute. Inside [`Predicate::ValuePath`], the sub-attribute.
        attribute: AttributeRef,
        /// The sub-attribute.
        sub: Option<&'static Attribute>,
        /// The operator.
        operator: Operator,
        /// The operand.
        operand: Operand,
    },
    /// Any value of the attribute is not empty.
    Present {
        /// The attribute. Inside [`Predicate::ValuePath`], the sub-attribute.
        attribute: AttributeRef,
        /// The sub-attribute.
        sub: Option<&'static Attribute>,
    },
    /// Any element of the attribute matches the filter.
    ValuePath {
        /// The complex attribute.
        attribute: AttributeRef,
        /// The filter of its sub-attributes.
        filter: Box<Predicate>,
    },
}

/// The value that a comparison compares with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// A text, folded unless the attribute is caseExact. [`Filter::Compare`] has the text as written.
    Text(String),
    /// A boolean, for `eq` and `ne`.
    Boolean(bool),
    /// A number. Integers compare exactly.
    Number(Number),
    /// A time. It compares as an instant, whatever its zone.
    Time(OffsetDateTime),
    /// Null, for `eq` (absent) and `ne` (present).
    Null,
}

impl Filter {
    /// Resolves the filter for a resource type.
    ///
    /// # Errors
    /// `invalidFilter` for an unknown attribute, or one that cannot be compared as requested.
    pub fn resolve(&self, resource_type: &'static ResourceType) -> Result<Predicate, Invalid> {
        self.resolve_for(Scope::Resource(resource_type, &[]))
    }

    /// Resolves the filter for one resource type of a query over several.
    ///
    /// An attribute that only the other types have counts as absent (RFC 7644 §3.4.2.1).
    ///
    /// # Errors
    /// As [`Filter::resolve`], if none of the types has the attribute.
    pub fn resolve_among(
        &self,
        resource_type: &'static ResourceType,
        all: &'static [&'static ResourceType],
    ) -> Result<Predicate, Invalid> {
        self.resolve_for(Scope::Resource(resource_type, all))
    }

    /// Resolves the filter of a value path. The predicate applies to one element, so each [`AttributeRef`] in it is a
    /// sub-attribute.
    ///
    /// # Errors
    /// As [`Filter::resolve`].
    pub fn resolve_in(&self, attribute: &'static Attribute) -> Result<Predicate, Invalid> {
        self.resolve_for(Scope::Element(attribute))
    }

    // The parser limits the depth of a filter, so the recursion is bounded.
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
                        "Attribute '{name}' {} has no sub-attributes. Write a comparison instead of brackets.",
                        at(name.position)
                    )));
                }
                let filter = Box::new(filter.resolve_in(attribute.definition)?);
                Predicate::ValuePath { attribute, filter }
            }
        })
    }
}

/// The attributes that names can refer to.
#[derive(Clone, Copy)]
enum Scope {
    /// A resource type, and others whose attributes may be named too.
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
            return Err(Invalid::filter(format!(
                "{} Correct the filter {}.",
                self.unknown(name),
                at(name.position)
            )));
        };
        if [Some(attribute.definition), sub]
            .into_iter()
            .flatten()
            .any(|found| found.returned == Returned::Never)
        {
            return Err(Invalid::filter(format!(
                "Attribute '{name}' cannot be used in a filter. Remove it {}.",
                at(name.position)
            )));
        }
        Ok((attribute, sub))
    }

    fn unknown(self, name: &Name) -> String {
        match self {
            Self::Resource(resource_type, _) => {
                format!("{} has no attribute '{name}'.", resource_type.name)
            }
            Self::Element(attribute) => {
                format!("Attribute '{}' has no sub-attribute '{name}'.", attribute.name)
            }
        }
    }
}

/// Converts a literal to the data type of the attribute, if the operator applies to that type.
fn operand(
    name: &Name,
    attribute: &'static Attribute,
    operator: Operator,
    literal: &Literal,
    position: usize,
) -> Result<Operand, Invalid> {
    let wrong = |what: &str| Err(Invalid::filter(format!("Attribute '{name}' {what} ({}).", at(position))));
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
            Type::Complex => "is complex. Name one of its sub-attributes, or use pr",
            Type::Boolean => "is a boolean. Compare it with true or false",
            Type::Integer | Type::Decimal => "is a number. Compare it with a number without quotes",
            Type::DateTime => {
                "is a date. Compare it with a date, time and zone such as \"2026-11-22T09:30:00Z\""
            }
            Type::String | Type::Reference | Type::Binary | Type::Any => {
                "is text. Put the value in double quotes"
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
        Operand::Null => wrong("is compared with null. Use eq or ne"),
        Operand::Number(_) | Operand::Time(_) => {
            wrong("is not text. Use an operator other than co, sw and ew")
        }
        Operand::Text(_) | Operand::Boolean(_) => wrong("supports only some operators. Use eq, ne or pr"),
    }
}

impl Predicate {
    /// Returns whether a document matches. For a predicate from [`Filter::resolve_in`], the document is an element.
    #[must_use]
    pub fn matches(&self, document: &Map<String, Value>) -> bool {
        self.matches_with(document, &mut FoldCache::default())
    }

    /// Does the same as [`Self::matches`] with a cache that is shared with other comparisons of the same values.
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

    /// Returns whether the result depends on a core or common attribute. `name` is its canonical name.
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

/// Returns the values of an attribute: the elements of a list, or the single value. If a sub-attribute is given,
/// returns the sub-attribute of each.
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

/// Compares one value with the operand. Values of another type do not match.
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
