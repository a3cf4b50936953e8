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
use std::fmt;

use serde_json::{Map, Number, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::dialect::boolean_text;
use crate::error::Invalid;
use crate::fold::{Folds, fold};
pub use crate::parser::{MAX_DEPTH, MAX_LENGTH, MAX_NODES};
use crate::parser::{Parser, at};
use crate::path::{Located, Name};
use crate::schema::{Attribute, ResourceType, Returned, Type};

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
    /// Reads a filter.
    ///
    /// # Errors
    /// `invalidFilter`, with the position and what was expected there.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Parser::new("filter", text)?.whole()
    }

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

/// Reads a date and time with its zone (RFC 3339; RFC 7643 §2.3.5). `t` and `z` may be lower-case.
#[must_use]
pub fn parse_date_time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(&text.to_ascii_uppercase(), &Rfc3339).ok()
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

/// Null, and empty text, lists and objects are no value (RFC 7643 §2.5), nor is what holds nothing else.
fn is_present(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(elements) => elements.iter().any(is_present),
        Value::Object(members) => members.values().any(is_present),
    }
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

/// Whole numbers exactly; as floats they would be equal to their neighbours from 2⁵³ on.
fn compare_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64()) {
        return Some(a.cmp(&b));
    }
    if let (Some(a), Some(b)) = (a.as_u64(), b.as_u64()) {
        return Some(a.cmp(&b));
    }
    a.as_f64()?.partial_cmp(&b.as_f64()?)
}

impl Operator {
    const ALL: [Self; 9] =
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

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.as_str().eq_ignore_ascii_case(word))
    }
}

impl Literal {
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        if word.eq_ignore_ascii_case("null") {
            return Some(Self::Null);
        }
        boolean_text(word).map(Self::Boolean).or_else(|| serde_json::from_str(word).ok().map(Self::Number))
    }
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

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::error::ScimType;
    use crate::fold::tests::folded_by;
    use crate::schema::{ENTERPRISE_USER_URN, GROUP_TYPE, USER_TYPE, USER_URN};

    fn document() -> Map<String, Value> {
        let document = json!({
            "schemas": [USER_URN, ENTERPRISE_USER_URN],
            "id": "0190a5b2-8a3c-7def-8123-456789abcdef",
            "externalId": "Ab1",
            "userName": "Barbara.Straße@Example.com",
            "name": {"givenName": "Barbara", "familyName": "Jensen"},
            "active": true,
            "title": "said \"hi\" \\ bye",
            "emails": [
                {"value": "b.jensen@example.com", "type": "work", "primary": true},
                {"value": "babs@home.example", "type": "home"},
            ],
            "x509Certificates": [{"value": "QUJD"}],
            "groups": [{"value": "g1", "type": "direct"}],
            ENTERPRISE_USER_URN: {"department": "Sales", "manager": {"value": "m1", "displayName": "The Boss"}},
            "urn:ietf:params:scim:schemas:extension:Acme:2.0:User": {"tag": "Blue", "level": 7, "flag": true, "list": ["a", "b"]},
            "meta": {"created": "2026-11-22T09:30:00.000Z", "version": "W/\"1\""},
        });
        document.as_object().unwrap().clone()
    }

    fn holds(filter: &str) -> bool {
        let predicate = Filter::parse(filter).and_then(|parsed| parsed.resolve(&USER_TYPE));
        predicate.unwrap_or_else(|error| panic!("{filter}: {error}")).matches(&document())
    }

    fn matching(filters: &[&str]) {
        for filter in filters {
            assert!(holds(filter), "{filter} should match");
        }
    }

    fn not_matching(filters: &[&str]) {
        for filter in filters {
            assert!(!holds(filter), "{filter} should not match");
        }
    }

    /// Asserts that each filter is `invalidFilter` and that the detail says so.
    fn refused(filters: &[(&str, &str)]) {
        for (filter, detail) in filters {
            let error = Filter::parse(filter).and_then(|parsed| parsed.resolve(&USER_TYPE)).unwrap_err();
            assert_eq!(error.scim_type, ScimType::InvalidFilter, "{filter}");
            assert!(error.detail.contains(detail), "{filter}: {}", error.detail);
        }
    }

    /// Asserts the canonical text of each filter.
    fn printed(filters: &[(&str, &str)]) {
        for (filter, canonical) in filters {
            assert_eq!(Filter::parse(filter).unwrap().to_string(), *canonical, "{filter}");
        }
    }

    #[test]
    fn every_operator_compares() {
        matching(&[
            r#"externalId eq "Ab1""#,
            r#"externalId ne "ab1""#,
            r#"name.familyName co "ens""#,
            r#"name.familyName sw "JEN""#,
            r#"name.familyName ew "SEN""#,
            r#"name.familyName gt "jensem""#,
            r#"name.familyName ge "JENSEN""#,
            r#"name.familyName lt "jensenn""#,
            r#"name.familyName le "jensen""#,
            "name.familyName pr",
        ]);
        not_matching(&[
            r#"externalId eq "ab1""#,
            r#"externalId ne "Ab1""#,
            r#"name.familyName co "x""#,
            r#"name.familyName sw "ensen""#,
            r#"name.familyName ew "jense""#,
            r#"name.familyName gt "Jensen""#,
            r#"name.familyName ge "jensenn""#,
            r#"name.familyName lt "JENSEN""#,
            r#"name.familyName le "jense""#,
            "name.middleName pr",
        ]);
    }

    #[test]
    fn text_compares_by_the_fold_unless_it_is_case_exact() {
        matching(&[
            r#"userName eq "BARBARA.STRASSE@EXAMPLE.COM""#,
            r#"userName sw "barbara.stras""#,
            r#"externalId sw "Ab""#,
            r#"externalId gt "AB1""#,
        ]);
        not_matching(&[r#"externalId sw "ab""#, r#"externalId co "B""#, r#"externalId gt "ab1""#]);
    }

    #[test]
    fn a_value_is_folded_once_however_often_it_is_compared() {
        let document = Map::from_iter([("title".to_owned(), json!("É".repeat(1000)))]);
        let filter = (0..100).map(|index| format!("title co \"{index}\"")).collect::<Vec<_>>().join(" or ");
        let predicate = Filter::parse(&filter).unwrap().resolve(&USER_TYPE).unwrap();
        assert_eq!(folded_by(|| predicate.matches(&document)), (1, false));
    }

    #[test]
    fn names_urns_operators_and_literals_come_in_any_case() {
        matching(&[
            r#"USERNAME EQ "barbara.straße@example.com""#,
            "active Eq TRUE AND NOT (nickname PR)",
            r#"URN:IETF:PARAMS:SCIM:SCHEMAS:CORE:2.0:USER:Name.GivenName eq "barbara""#,
            r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:user:DEPARTMENT eq "sales""#,
            r#"urn:ietf:params:scim:schemas:core:2.0:User:externalId eq "Ab1""#,
            "nickName eq Null",
        ]);
    }

    #[test]
    fn extensions_are_found_by_urn_or_by_the_name_alone() {
        matching(&[
            r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.displayName eq "the boss""#,
            r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "m1""#,
            r#"manager eq "m1""#,
            r#"department eq "SALES""#,
        ]);
    }

    #[test]
    fn attributes_of_custom_extensions_compare_by_what_they_hold() {
        let custom =
            |rest: &str| holds(&format!("urn:ietf:params:scim:schemas:extension:ACME:2.0:user:{rest}"));
        for yes in
            [r#"Tag eq "blue""#, "level eq 7", "level ge 6.5", "flag eq true", r#"list eq "B""#, "tag pr"]
        {
            assert!(custom(yes), "{yes}");
        }
        for no in
            [r#"tag eq "red""#, r#"level eq "7""#, "tag eq 7", "flag eq false", "other pr", "level lt 7"]
        {
            assert!(!custom(no), "{no}");
        }
    }

    #[test]
    fn absent_and_empty_are_the_same() {
        matching(&[
            "nickName eq null",
            "userName ne null",
            r#"nickName ne "x""#,
            "not (nickName pr)",
            "emails pr",
            "name pr",
            "phoneNumbers eq null",
            r#"emails[type eq "home" and primary eq null]"#,
        ]);
        not_matching(&[
            "nickName pr",
            "userName eq null",
            "nickName ne null",
            r#"nickName eq "x""#,
            "photos pr",
        ]);
        for empty in [json!(null), json!(""), json!([]), json!({}), json!([{}]), json!({"value": ""})] {
            let document = Map::from_iter([("emails".to_owned(), empty.clone())]);
            let predicate = Filter::parse("emails pr").unwrap().resolve(&USER_TYPE).unwrap();
            assert!(!predicate.matches(&document), "{empty}");
        }
    }

    #[test]
    fn any_value_of_a_list_matches_and_brackets_ask_for_one_element() {
        matching(&[
            r#"emails co "HOME.example""#,
            r#"emails.type eq "home" and emails.value eq "b.jensen@example.com""#,
            r#"emails[type eq "work" and value ew "@example.com"]"#,
            r#"emails[not (type eq "work") and primary ne true]"#,
            r#"name[givenName eq "barbara"]"#,
            r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager[value eq "m1"]"#,
            r#"schemas eq "urn:ietf:params:scim:schemas:CORE:2.0:user""#,
            r#"groups eq "g1""#,
        ]);
        not_matching(&[
            r#"emails[type eq "home" and value eq "b.jensen@example.com"]"#,
            r#"emails.type ne "home""#,
            r#"phoneNumbers[not (type eq "work")]"#,
        ]);
    }

    #[test]
    fn and_binds_closer_than_or() {
        matching(&[
            "active eq true or active eq false and nickName pr",
            "not (nickName pr) and active eq true",
        ]);
        not_matching(&[
            "(active eq true or active eq false) and nickName pr",
            "not(active eq true)or nickName pr",
        ]);
    }

    #[test]
    fn dates_compare_as_instants() {
        matching(&[
            r#"meta.created eq "2026-11-22T10:30:00+01:00""#,
            r#"meta.created gt "2026-11-22T09:29:59.999Z""#,
            r#"meta.created le "2026-11-22t09:30:00z""#,
        ]);
        not_matching(&[r#"meta.created lt "2026-11-22T10:29:00+01:00""#]);
        refused(&[
            (r#"meta.created gt "2026-11-22""#, "'meta.created' is a date: write it with time and zone"),
            (r#"meta.created gt "2026-11-22T09:30:00""#, "at position 17"),
            (r#"meta.created co "2026""#, "is a date"),
            (r#"meta.created sw "2026-11-22T09:30:00Z""#, "co, sw and ew do not apply"),
            ("meta.created eq 5", "is a date"),
        ]);
    }

    #[test]
    fn booleans_may_be_text_as_entra_writes_them() {
        matching(&[r#"emails[primary eq "True"]"#, r#"active eq "true""#, r#"active ne "False""#]);
        refused(&[(
            r#"active eq "yes""#,
            "'active' is a boolean: compare it with true or false (at position 11)",
        )]);
    }

    #[test]
    fn a_condition_after_the_brackets_is_one_of_the_element() {
        printed(&[
            (r#"emails[type eq "work"].value eq "x""#, r#"emails[type eq "work" and value eq "x"]"#),
            (
                r#"emails[type eq "a" and primary eq true].value pr"#,
                r#"emails[type eq "a" and primary eq true and value pr]"#,
            ),
            (
                r#"emails[type eq "a" or type eq "b"].value sw "x""#,
                r#"emails[(type eq "a" or type eq "b") and value sw "x"]"#,
            ),
            (r#"emails[type eq "a"].value ne "x""#, r#"not (emails[type eq "a" and value eq "x"])"#),
            (r#"emails[type eq "a"].value eq null"#, r#"not (emails[type eq "a" and value pr])"#),
            (r#"emails[type eq "a"].value ne null"#, r#"emails[type eq "a" and value pr]"#),
        ]);
        matching(&[r#"emails[type eq "work"].value eq "B.Jensen@Example.com" and active eq true"#]);
        not_matching(&[r#"emails[type eq "home"].value eq "b.jensen@example.com""#]);
        refused(&[(r#"emails[type eq "work"].foo eq "x""#, "'emails' has no sub-attribute 'foo'")]);
    }

    #[test]
    fn strings_are_json_strings() {
        matching(&[
            r#"title eq "said \"hi\" \\ bye""#,
            r#"title sw "\u0073aid""#,
            r#"title co "\u0022""#,
            r#"not (title co "\ud83d\ude00\/\b\f\n\r\t")"#,
        ]);
        refused(&[
            (r#"title eq "\ud83d""#, "a text at position 10 that is not a JSON string"),
            (r#"title eq "\ude00""#, "not a JSON string"),
            (r#"title eq "\x""#, "not a JSON string"),
            ("title eq \"a\nb\"", "not a JSON string"),
            (r#"title eq "abc"#, "a text at position 10 without a closing '\"'"),
            (r#"title eq "abc\""#, "without a closing"),
        ]);
    }

    #[test]
    fn syntax_errors_say_where_and_what_was_expected() {
        refused(&[
            ("", "ends too early: at position 1 the name of an attribute was expected"),
            ("userName", "ends too early: at position 9 an operator (eq, ne,"),
            ("userName eq", "ends too early: at position 12 a value ("),
            (
                "externalId eq jyoung",
                "at position 15 a value (a number, true, false, null, or text, which needs double quotes",
            ),
            ("externalId eq 'jyoung'", "at position 15 a value"),
            ("userName like \"x\"", "at position 10 an operator"),
            (
                "userName eq \"x\" active pr",
                "at position 17 'and', 'or' or the end of the filter was expected",
            ),
            ("userName eq \"é\" and", "at position 20 the name of an attribute"),
            ("(userName pr", "at position 13 'and', 'or' or ')' was expected"),
            ("userName pr)", "at position 12 'and', 'or' or the end"),
            ("emails[type pr", "at position 15 'and', 'or' or ']' was expected"),
            ("emails[type pr)", "at position 15 'and', 'or' or ']' was expected"),
            ("emails[]", "at position 8 the name of an attribute"),
            ("emails[type pr].1 pr", "at position 16 the name of a sub-attribute after the dot"),
            ("emails[type pr].value", "ends too early: at position 22 an operator"),
            ("not userName pr", "at position 5 '(' after 'not' was expected"),
            ("\"userName\" eq \"x\"", "at position 1 the name of an attribute"),
            ("user$Name. eq \"x\"", "at position 1 the name of an attribute"),
            ("a.b.c pr", "at position 1 the name of an attribute"),
            (":a pr", "at position 1 the name of an attribute"),
            ("__proto__ pr", "at position 1 the name of an attribute"),
        ]);
    }

    #[test]
    fn errors_do_not_repeat_values() {
        for filter in [
            "userName eq secret",
            "userName secret \"x\"",
            "active eq \"secret\"",
            "userName eq \"x\" secret",
        ] {
            let error = Filter::parse(filter).and_then(|parsed| parsed.resolve(&USER_TYPE)).unwrap_err();
            assert!(!error.detail.contains("secret"), "{}", error.detail);
        }
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        refused(&[
            ("active gt true", "'active' can be compared by eq, ne and pr only"),
            ("active co true", "eq, ne and pr only"),
            (r#"x509Certificates.value lt "QUJD""#, "eq, ne and pr only"),
            (r#"x509Certificates sw "QU""#, "eq, ne and pr only"),
            ("userName eq 5", "'userName' is text: put the value in double quotes (at position 13)"),
            ("userName eq true", "is text"),
            ("userName gt null", "by eq and ne only"),
            ("active sw null", "by eq and ne only"),
            (r#"name eq "x""#, "'name' is complex: name one of its sub-attributes"),
            (r#"addresses co "x""#, "is complex"),
            ("name eq null", "is complex"),
            ("urn:ietf:params:scim:schemas:extension:Acme:2.0:User:tag co 5", "is not text"),
            ("urn:ietf:params:scim:schemas:extension:Acme:2.0:User:tag lt true", "eq, ne and pr only"),
        ]);
        matching(&[r#"x509Certificates eq "QUJD""#]);
    }

    #[test]
    fn unknown_and_secret_attributes_are_refused_by_name() {
        refused(&[
            (
                "active eq true and foo pr",
                "User has no attribute 'foo', which the filter names at position 20",
            ),
            ("name.foo pr", "no attribute 'name.foo'"),
            ("userName.foo pr", "no attribute 'userName.foo'"),
            ("emails[foo pr]", "'emails' has no sub-attribute 'foo', which the filter names at position 8"),
            ("emails[emails.type pr]", "'emails' has no sub-attribute 'emails.type'"),
            ("emails[value[type pr]]", "'value' at position 8 has no sub-attributes to put between brackets"),
            ("userName[value pr]", "has no sub-attributes"),
            ("emails.value[type pr]", "has no sub-attributes"),
            ("password pr", "'password' at position 1 cannot be used in a filter"),
            (r#"PassWord sw "a""#, "cannot be used in a filter"),
            ("urn:ietf:params:scim:schemas:core:2.0:User:password pr", "cannot be used in a filter"),
            ("urn:ietf:params:scim:schemas:core:2.0:Group:displayName pr", "User has no attribute"),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:foo pr", "User has no attribute"),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User pr", "User has no attribute"),
            ("urn:ietf:params:scim:schemas:extension::2.0:User:tag pr", "User has no attribute"),
            ("urn:ietf:params:scim:schemas:extension:Acme:2.0:Group:tag pr", "User has no attribute"),
        ]);
    }

    #[test]
    fn filters_are_bounded_in_length_depth_and_nodes() {
        let nested = |depth: usize| format!("{}active pr{}", "(".repeat(depth), ")".repeat(depth));
        let terms = |count: usize| vec!["id pr"; count].join(" or ");
        let long = |length: usize| format!("title eq \"{}\"", "x".repeat(length - 11));
        for accepted in
            [nested(32), terms(199), long(4096), "not(".repeat(31) + "emails[type pr]" + &")".repeat(31)]
        {
            assert!(Filter::parse(&accepted).is_ok(), "{accepted}");
        }
        for (refused, detail) in [
            (nested(33), "more than 32 deep"),
            ("(".repeat(4096), "more than 32 deep"),
            ("not(".repeat(1024), "more than 32 deep"),
            ("emails[".repeat(500), "more than 32 deep"),
            ("not(".repeat(32) + "emails[type pr]" + &")".repeat(32), "more than 32 deep"),
            (terms(200), "more than 200 nodes"),
            (long(4097), "longer than 4096 characters"),
            (format!("title eq \"{}", "\\".repeat(50_000)), "longer than 4096 characters"),
            (format!("title eq \"{}", "\\".repeat(4_000)), "without a closing"),
        ] {
            let error = Filter::parse(&refused).unwrap_err();
            assert!(error.detail.contains(detail), "{}", error.detail);
        }
    }

    #[test]
    fn whole_numbers_compare_exactly() {
        let level = |stored: Value, filter: &str| {
            let document = json!({"urn:ietf:params:scim:schemas:extension:A:2.0:Group": {"level": stored}});
            let filter = format!("urn:ietf:params:scim:schemas:extension:A:2.0:Group:level {filter}");
            Filter::parse(&filter)
                .unwrap()
                .resolve(&GROUP_TYPE)
                .unwrap()
                .matches(document.as_object().unwrap())
        };
        assert!(level(json!(9_007_199_254_740_993_i64), "gt 9007199254740992"));
        assert!(level(json!(u64::MAX), "gt 18446744073709551614"));
        assert!(level(json!(-1), "lt 18446744073709551615"));
        assert!(level(json!(1), "eq 1.0"));
        assert!(level(json!(1.5), "gt -1e0"));
    }

    #[test]
    fn a_predicate_knows_which_attributes_it_depends_on() {
        let mentions = |filter: &str, attribute: &str| {
            Filter::parse(filter).unwrap().resolve(&USER_TYPE).unwrap().mentions(attribute)
        };
        assert!(mentions(r#"active eq true and not (GROUPS.value eq "g")"#, "groups"));
        assert!(mentions("groups[value pr] or id pr", "groups"));
        assert!(!mentions("emails[type pr]", "type"));
        assert!(!mentions("manager pr", "manager"));
    }

    #[test]
    fn redundant_parentheses_go_and_needed_ones_stay() {
        printed(&[
            ("((id pr))", "id pr"),
            ("id pr and (id pr or id pr)", "id pr and (id pr or id pr)"),
            ("(id pr and id pr) or id pr", "id pr and id pr or id pr"),
            ("(id pr and id pr) and id pr", "(id pr and id pr) and id pr"),
            ("NOT(id PR)", "not (id pr)"),
            ("id  EQ\t\"\\u0061\"", "id eq \"a\""),
        ]);
    }

    /// The filter with every position 0.
    pub(crate) fn placeless(filter: Filter) -> Filter {
        let name = |name| Name { position: 0, ..name };
        let all = |filters: Vec<Filter>| filters.into_iter().map(placeless).collect();
        match filter {
            Filter::And(filters) => Filter::And(all(filters)),
            Filter::Or(filters) => Filter::Or(all(filters)),
            Filter::Not(filter) => Filter::Not(Box::new(placeless(*filter))),
            Filter::Present(present) => Filter::Present(name(present)),
            Filter::Compare { name: compared, operator, literal, .. } => {
                Filter::Compare { name: name(compared), operator, literal, position: 0 }
            }
            Filter::ValuePath { name: list, filter } => {
                Filter::ValuePath { name: name(list), filter: Box::new(placeless(*filter)) }
            }
        }
    }

    pub(crate) fn any_name() -> impl Strategy<Value = Name> {
        let urn =
            prop::option::of(prop::sample::select(vec![USER_URN, ENTERPRISE_USER_URN, "urn:x:é", "foo"]));
        let word = || "[a-zA-Z$][a-zA-Z0-9_$-]{0,8}";
        let attribute = word().prop_filter("'not' is not a name", |word| !word.eq_ignore_ascii_case("not"));
        (urn, attribute, prop::option::of(word())).prop_map(|(urn, attribute, sub)| Name {
            urn: urn.map(str::to_owned),
            attribute,
            sub,
            position: 0,
        })
    }

    fn known_name() -> impl Strategy<Value = Name> {
        let names = [
            "userName",
            "externalId",
            "active",
            "emails",
            "emails.primary",
            "meta.created",
            "manager",
            "name",
        ];
        prop::sample::select(names.to_vec()).prop_filter_map("a name", |name| Name::from_word(name, 0))
    }

    fn literal() -> impl Strategy<Value = Literal> {
        prop_oneof![
            any::<String>().prop_map(Literal::String),
            any::<i64>().prop_map(|number| Literal::Number(number.into())),
            any::<u64>().prop_map(|number| Literal::Number(number.into())),
            any::<f64>().prop_filter_map("not finite", Number::from_f64).prop_map(Literal::Number),
            any::<bool>().prop_map(Literal::Boolean),
            Just(Literal::Null),
        ]
    }

    pub(crate) fn any_filter(name: BoxedStrategy<Name>) -> impl Strategy<Value = Filter> {
        let compare = (name.clone(), prop::sample::select(Operator::ALL.to_vec()), literal());
        let leaf = prop_oneof![
            name.clone().prop_map(Filter::Present),
            compare.prop_map(|(name, operator, literal)| Filter::Compare {
                name,
                operator,
                literal,
                position: 0
            }),
        ];
        leaf.prop_recursive(5, 20, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::And),
                prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::Or),
                inner.clone().prop_map(|filter| Filter::Not(Box::new(filter))),
                (name.clone(), inner)
                    .prop_map(|(name, filter)| Filter::ValuePath { name, filter: Box::new(filter) }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(filter in any_filter(any_name().boxed())) {
            let text = filter.to_string();
            prop_assume!(text.chars().count() <= MAX_LENGTH);
            prop_assert_eq!(placeless(Filter::parse(&text).unwrap()), filter);
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), words in "([()\\[\\]\" .\\\\]|eq|not|and|or|pr|userName|emails|null|1){0,40}") {
            for text in [text, words] {
                let _ = Filter::parse(&text).and_then(|filter| filter.resolve(&USER_TYPE));
            }
        }

        #[test]
        fn no_damaged_filter_makes_it_panic(
            filter in any_filter(any_name().boxed()),
            damage in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of("[()\\[\\]\" .\\\\a:]")), 1..4),
        ) {
            let mut chars: Vec<String> = filter.to_string().chars().map(String::from).collect();
            for (at, with) in damage {
                let at = at.index(chars.len());
                chars[at] = with.unwrap_or_default();
            }
            if let Ok(read) = Filter::parse(&chars.concat()) {
                prop_assert_eq!(placeless(Filter::parse(&read.to_string()).unwrap()), placeless(read));
            }
        }

        #[test]
        fn a_filter_and_its_negation_never_agree(filter in any_filter(known_name().boxed())) {
            if let Ok(predicate) = filter.resolve(&USER_TYPE) {
                let negated = Filter::Not(Box::new(filter)).resolve(&USER_TYPE).unwrap();
                prop_assert_ne!(negated.matches(&document()), predicate.matches(&document()));
            }
        }

        #[test]
        fn ne_is_not_eq(name in known_name(), literal in literal()) {
            let with = |operator| {
                let filter = Filter::Compare { name: name.clone(), operator, literal: literal.clone(), position: 0 };
                filter.resolve(&USER_TYPE).map(|predicate| predicate.matches(&document()))
            };
            prop_assert_eq!(with(Operator::Ne), with(Operator::Eq).map(|equal| !equal));
        }
    }
}
