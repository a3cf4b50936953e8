//! Sorting (RFC 7644 §3.4.2.3): `sortBy` and `sortOrder` become a sort key of each resource.
//!
//! Sort keys are texts, and their order is the requested order. Keys are folded unless the attribute is caseExact.
//! For a multi-valued attribute, the primary value counts, or else the first value. Resources without a value come
//! last in ascending order.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::error::Invalid;
use crate::fold::fold_beginning;
use crate::lookup::AttributeRef;
use crate::path::Target;
use crate::schema::{Attribute, GROUPS, MEMBERS, ResourceType, Returned, Type};
use crate::syntax::Path;

/// The requested order of resources.
#[derive(Debug, Clone, PartialEq)]
pub struct Sort {
    attribute: AttributeRef,
    sub: Option<&'static Attribute>,
    /// Whether the order is descending.
    pub descending: bool,
}

/// The maximum size of a sort key, in bytes.
///
/// Keys are stored in bookmarks and kept in memory for each collected resource, so they must not grow with the value.
/// Resources with equal keys are ordered by id.
pub const MAX_KEY: usize = 512;

/// The maximum size of the beginning of a value that is folded for its key, in bytes. Apart from what folding removes,
/// it shortens text at most fourfold.
const MAX_FOLDED: usize = 8 * MAX_KEY;

/// The first character of a key for a resource that has a value.
const PRESENT: char = '0';
/// The key of a resource without a value. It sorts after all other keys.
const ABSENT: &str = "1";

impl Sort {
    /// Reads `sortBy` and `sortOrder`. Returns `None` without a `sortBy`.
    ///
    /// In a query over several resource types, any of them may have the attribute. Resources without it come last.
    ///
    /// # Errors
    /// `invalidValue` if no type has the attribute, if the attribute has no order, or if `sortOrder` is unknown.
    pub fn parse(
        resource_type: &'static ResourceType,
        all: &[&'static ResourceType],
        by: Option<&str>,
        order: Option<&str>,
    ) -> Result<Option<Self>, Invalid> {
        let descending = match order.map(str::to_ascii_lowercase).as_deref() {
            None | Some("" | "ascending") => false,
            Some("descending") => true,
            Some(_) => {
                return Err(Invalid::value("The parameter 'sortOrder' must be ascending or descending."));
            }
        };
        let Some(by) = by.filter(|by| !by.is_empty()) else { return Ok(None) };
        let unsortable =
            || Invalid::value("The parameter 'sortBy' must name a sortable attribute of these resources.");
        let path = Path::parse(by).map_err(|_| unsortable())?;
        let mut types = std::iter::once(&resource_type).chain(all);
        let target = types.find_map(|resource_type| path.resolve(resource_type).ok());
        let Some(Target::Attribute { attribute, filter: None, sub }) = target else {
            return Err(unsortable());
        };
        let sub = sub.or_else(|| attribute.definition.sub("value"));
        let sorted = sub.unwrap_or(attribute.definition);
        let hidden =
            [attribute.definition, sorted].iter().any(|definition| definition.returned == Returned::Never);
        // Memberships are stored beside the documents, and have no useful order.
        let membership = attribute.extension.is_none() && matches!(attribute.name.as_str(), GROUPS | MEMBERS);
        let has_order = match sorted.data_type {
            Type::String | Type::Reference | Type::Boolean | Type::DateTime => true,
            // Numbers would need keys whose text order is their order. No schema has an attribute that is a number.
            Type::Integer | Type::Decimal | Type::Complex | Type::Binary | Type::Any => false,
        };
        if hidden || membership || !has_order {
            return Err(unsortable());
        }
        Ok(Some(Self { attribute, sub, descending }))
    }

    /// Returns the name of the attribute, if it is a core or common attribute without sub-attributes.
    #[must_use]
    pub fn attribute(&self) -> Option<&str> {
        (self.attribute.extension.is_none() && self.sub.is_none()).then_some(self.attribute.name.as_str())
    }

    /// Returns whether the order is that of creation: by `meta.created`, or by `id`, which sorts alike.
    #[must_use]
    pub fn is_creation(&self) -> bool {
        self.attribute() == Some("id")
            || (self.attribute.name == "meta" && self.sub.is_some_and(|sub| sub.name == "created"))
    }

    /// Returns the sort key of a rendered resource. It has at most [`MAX_KEY`] bytes.
    #[must_use]
    pub fn key(&self, document: &Map<String, Value>) -> String {
        let definition = self.sub.unwrap_or(self.attribute.definition);
        let text = self.value(document).and_then(|value| match value {
            Value::String(text) if definition.case_exact || definition.data_type == Type::DateTime => {
                Some(Cow::Borrowed(text.as_str()))
            }
            Value::String(text) => Some(Cow::Owned(fold_beginning(text, MAX_FOLDED))),
            Value::Bool(value) => Some(Cow::Owned(value.to_string())),
            _ => None,
        });
        match text {
            Some(text) => format!("{PRESENT}{}", prefix(&text, MAX_KEY - PRESENT.len_utf8())),
            None => ABSENT.to_owned(),
        }
    }

    fn value<'a>(&self, document: &'a Map<String, Value>) -> Option<&'a Value> {
        let value = match self.attribute.value_in(document)? {
            Value::Array(elements) => elements
                .iter()
                .find(|element| element.get("primary") == Some(&Value::Bool(true)))
                .or_else(|| elements.first())?,
            value => value,
        };
        match self.sub {
            Some(sub) => value.get(sub.name),
            None => Some(value),
        }
    }
}

/// Returns the longest prefix of a text that has at most so many bytes.
fn prefix(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::fold::fold;
    use crate::fold::tests::awkward;
    use crate::schema::{COMMON, GROUP_TYPE, RESOURCE_TYPES, SCHEMAS, USER_TYPE};

    fn key(by: &str, document: &Value) -> String {
        let sort = Sort::parse(&USER_TYPE, &[], Some(by), None).unwrap().unwrap();
        sort.key(document.as_object().unwrap())
    }

    #[test]
    fn sort_key_is_folded_unless_case_exact() {
        assert_eq!(key("USERNAME", &json!({ "userName": "ADA" })), "0ada");
        assert_eq!(key("externalId", &json!({ "externalId": "ADA" })), "0ADA");
        assert_eq!(key("active", &json!({ "active": true })), "0true");
    }

    #[test]
    fn list_sorts_by_primary_or_first_value() {
        let first = json!({ "emails": [{ "value": "B" }, { "value": "a" }] });
        let primary = json!({ "emails": [{ "value": "B" }, { "value": "a", "primary": true }] });
        assert_eq!(key("emails", &first), "0b");
        assert_eq!(key("emails.value", &primary), "0a");
    }

    #[test]
    fn absent_value_sorts_last() {
        assert!(key("title", &json!({})) > key("title", &json!({ "title": "\u{10FFFF}" })));
    }

    #[test]
    fn unsortable_attributes_are_refused() {
        for by in [
            "password",
            "groups",
            "groups.value",
            "name",
            "nonsense",
            "emails[type eq \"work\"]",
            "((",
            "x509Certificates",
        ] {
            assert!(Sort::parse(&USER_TYPE, &[], Some(by), None).is_err(), "{by}");
        }
        assert!(Sort::parse(&USER_TYPE, &[], Some("userName"), Some("upwards")).is_err());
        assert_eq!(Sort::parse(&USER_TYPE, &[], None, Some("descending")), Ok(None));
    }

    #[test]
    fn sort_attribute_may_belong_to_one_of_several_types() {
        let sort = Sort::parse(&GROUP_TYPE, &RESOURCE_TYPES, Some("userName"), None).unwrap().unwrap();
        assert_eq!(sort.key(json!({ "displayName": "x" }).as_object().unwrap()), ABSENT);
    }

    #[test]
    fn sort_key_of_long_value_is_short() {
        let longest = |text: &str| key("title", &json!({ "title": text.repeat(120_000 / text.len()) }));
        assert_eq!(longest("x").len(), MAX_KEY);
        // NFKC makes 18 characters of one, and 33 bytes of 3.
        assert!(longest("\u{FDFA}").len() <= MAX_KEY);
        // A character of two bytes does not fit into the last byte.
        assert_eq!(longest("é"), format!("0{}", "é".repeat(255)));
        let case_exact = key("externalId", &json!({ "externalId": "É".repeat(60_000) }));
        assert_eq!(case_exact, format!("0{}", "É".repeat(255)));
    }

    #[test]
    fn schemas_have_no_numbers_to_sort_by() {
        let attributes = SCHEMAS.iter().flat_map(|schema| schema.attributes).chain(&COMMON);
        for attribute in attributes.flat_map(|attribute| attribute.sub_attributes.iter().chain([attribute])) {
            let is_number = matches!(attribute.data_type, Type::Integer | Type::Decimal);
            assert!(!is_number, "'{}' is a number: give numbers a sort key", attribute.name);
        }
    }

    proptest! {
        #[test]
        fn sort_key_is_a_prefix_of_the_folded_value(text in awkward(), count in 1_usize..2_000) {
            // Each repetition begins with a letter, so combining characters do not join across all of them.
            let value = format!("x{text}").repeat(count);
            let folded = format!("{PRESENT}{}", fold(&value));
            prop_assert_eq!(key("title", &json!({ "title": value })), prefix(&folded, MAX_KEY));
        }
    }
}
