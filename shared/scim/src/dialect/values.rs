//! Values that clients send in a form of their own.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::schema::{Attribute, Type};

/// Parses a boolean from text, in any case.
///
/// Microsoft Entra sends `True` and `False` as text, in bodies and in filters (`roles[primary eq "True"]`).
///
/// `tests/fixtures/entra/disable-with-text-boolean.json`, `tests/fixtures/entra/role-by-primary-with-text-true.json`
#[must_use]
pub fn parse_boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Converts a single value to the form that its attribute has in the schema.
pub(crate) fn normalized<'v>(attribute: &Attribute, value: &'v Value) -> Cow<'v, Value> {
    let value = reference_from_list(attribute, value);
    boolean_from_text(attribute, value)
        .or_else(|| reference_from_text(attribute, value))
        .map_or(Cow::Borrowed(value), Cow::Owned)
}

/// Accepts text for a Boolean attribute: `"active": "False"`, `"primary": "True"`, and `"false"` from Keycloak. A
/// server that ignores such a value never disables a user, and Microsoft Entra does not try again.
///
/// `tests/fixtures/entra/disable-with-text-boolean.json`, `tests/fixtures/entra/create-user-with-text-boolean.json`,
/// `tests/fixtures/other/keycloak-text-boolean-without-path.json`
fn boolean_from_text(attribute: &Attribute, value: &Value) -> Option<Value> {
    match (attribute.data_type, value) {
        (Type::Boolean, Value::String(text)) => parse_boolean(text).map(Value::Bool),
        _ => None,
    }
}

/// Returns whether an attribute refers to another resource by id, as `manager` does.
pub(crate) fn is_reference(attribute: &Attribute) -> bool {
    attribute.data_type == Type::Complex && !attribute.multi_valued && attribute.sub("value").is_some()
}

/// Accepts a bare id for a manager: `"manager": "<id>"`.
///
/// `tests/fixtures/entra/manager-as-text.json`
fn reference_from_text(attribute: &Attribute, value: &Value) -> Option<Value> {
    match value {
        Value::String(id) if is_reference(attribute) => {
            Some(Map::from_iter([("value".to_owned(), id.as_str().into())]).into())
        }
        _ => None,
    }
}

/// Accepts a list of one manager: `[{"$ref": "…", "value": "<id>"}]`.
///
/// `tests/fixtures/entra/manager-as-array.json`
fn reference_from_list<'v>(attribute: &Attribute, value: &'v Value) -> &'v Value {
    match value {
        Value::Array(values) if is_reference(attribute) && values.len() == 1 => &values[0],
        _ => value,
    }
}

/// Accepts one object without a list for a multi-valued attribute, in a PATCH and in a body.
///
/// `tests/fixtures/other/add-single-email-without-list.json`,
/// `tests/fixtures/other/one-object-instead-of-a-list.json`
pub(crate) fn as_list(value: &Value) -> Cow<'_, Value> {
    match value {
        Value::Object(_) => Cow::Owned(Value::Array(vec![value.clone()])),
        _ => Cow::Borrowed(value),
    }
}
