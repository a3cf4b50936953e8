//! The rules for what a request adds to a stored document.
//!
//! An earlier release stored values that this one refuses, and most requests contain them again: the body of a PUT is the
//! whole resource, and so is the result of a PATCH. They must not block other changes, above all the deactivation of a
//! user. These rules therefore concern only what the stored document does not have.

use std::collections::HashSet;

use serde_json::{Map, Number, Value};

use super::{IndexedText, is_required};
use crate::error::Invalid;
use crate::extension::{self, MAX_EXTENSIONS, extension_key};
use crate::schema::ResourceType;
use crate::value::{Label, excerpt, is_blank};

/// Checks what a canonical document has and the stored document has not. A new resource has no stored document.
pub(crate) fn check_additions(
    resource_type: &'static ResourceType,
    document: &Map<String, Value>,
    stored: Option<&Map<String, Value>>,
) -> Result<(), Invalid> {
    let required = resource_type.schema.attributes.iter().filter(|attribute| attribute.required);
    for name in required.map(|attribute| attribute.name) {
        let value = document.get(name);
        if value.is_some_and(is_blank) && value != stored.and_then(|stored| stored.get(name)) {
            return Err(is_required(Label::new(None, name)));
        }
    }
    for text in IndexedText::of(resource_type) {
        let known = stored.map(|stored| text.values_in(stored)).unwrap_or_default();
        let mut added = text.values_in(document).into_iter().filter(|value| !known.contains(value));
        added.try_for_each(|value| text.check_characters(value))?;
    }
    check_extensions(resource_type, document, stored)?;
    check_numbers(resource_type, document, stored)
}

/// Refuses more extensions than a resource may have.
fn check_extensions(
    resource_type: &'static ResourceType,
    document: &Map<String, Value>,
    stored: Option<&Map<String, Value>>,
) -> Result<(), Invalid> {
    let count_in = |document: &Map<String, Value>| {
        document.keys().filter(|key| extension_key(key, resource_type).is_some()).count()
    };
    let count = count_in(document);
    if count > MAX_EXTENSIONS && count > stored.map_or(0, count_in) {
        return Err(Invalid::value(format!(
            "The resource has {count} extensions. Send at most {MAX_EXTENSIONS}."
        )));
    }
    Ok(())
}

/// Refuses a number in a custom attribute that is not stored as sent: `-0`, and a whole number that a 64-bit float may
/// round. JSON has no such limits, but a number is a 64-bit integer or float here.
fn check_numbers(
    resource_type: &'static ResourceType,
    document: &Map<String, Value>,
    stored: Option<&Map<String, Value>>,
) -> Result<(), Invalid> {
    let stored = stored.into_iter().flat_map(|stored| custom_values(resource_type, stored));
    let known: HashSet<&Number> = stored.flat_map(|(_, value)| inexact_numbers(value)).collect();
    for (label, value) in custom_values(resource_type, document) {
        if inexact_numbers(value).iter().any(|number| !known.contains(number)) {
            return Err(Invalid::value(format!(
                "{label} has -0 or a whole number of more than 64 bits. Send the number as a string."
            )));
        }
    }
    Ok(())
}

/// Returns the attributes of custom extensions.
fn custom_values<'a>(
    resource_type: &'static ResourceType,
    document: &'a Map<String, Value>,
) -> impl Iterator<Item = (Label<'a>, &'a Value)> {
    let is_custom = |urn: &str| {
        extension_key(urn, resource_type).is_some() && extension::known(resource_type, urn).is_none()
    };
    let extensions = document.iter().filter(move |(urn, _)| is_custom(urn));
    extensions.filter_map(|(urn, value)| Some((urn, value.as_object()?))).flat_map(|(urn, attributes)| {
        attributes.iter().map(|(name, value)| (Label::new(Some(excerpt(urn)), excerpt(name)), value))
    })
}

fn inexact_numbers(value: &Value) -> Vec<&Number> {
    match value {
        Value::Number(number) if !is_exact(number) => vec![number],
        Value::Array(elements) => elements.iter().flat_map(inexact_numbers).collect(),
        Value::Object(members) => members.values().flat_map(inexact_numbers).collect(),
        _ => Vec::new(),
    }
}

fn is_exact(number: &Number) -> bool {
    /// From 2⁵³ on, a float may be the neighbour of the whole number that was sent.
    const FIRST_INEXACT: f64 = 9_007_199_254_740_992.0;
    let float = if number.is_f64() { number.as_f64() } else { None };
    float.is_none_or(|float| {
        let is_negative_zero = float == 0.0 && float.is_sign_negative();
        !is_negative_zero && (float.fract() != 0.0 || float.abs() < FIRST_INEXACT)
    })
}
