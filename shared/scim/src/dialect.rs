//! What clients send against the RFC, rewritten to what it means: one function for each quirk, each citing the recorded
//! exchange that forces it.
//!
//! Both dialects of Microsoft Entra (with and without `aadOptscim062020`) are understood always: nothing in a request
//! tells them apart reliably. A quirk is rewritten where it can mean one thing only; what is not understood stays an
//! error, because a client that is told 200 does not try again.
//!
//! Absent on purpose: leniency that is a rule of the RFC or of the whole service rather than of a client (names in any
//! case, unknown attributes, null for nothing, readOnly attributes in bodies): see [`crate::validate`].

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::error::Invalid;
use crate::filter::{Filter, Literal, Operator};
use crate::json;
use crate::patch::Op;
use crate::path::{Path, Target};
use crate::schema::{Attribute, ResourceType, Type};
use crate::validate::{Label, mismatch, read_one};

/// A boolean as Microsoft Entra writes it: `True` or `False`, as text, in bodies and in filters alike
/// (`roles[primary eq "True"]`).
/// `tests/fixtures/entra/disable-with-text-boolean.json`, `tests/fixtures/entra/roles-primary-eq-text-true.json`
#[must_use]
pub fn boolean_text(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// A single value in the form its attribute has in the schema table.
pub(crate) fn rewritten<'v>(attribute: &Attribute, value: &'v Value) -> Cow<'v, Value> {
    let value = reference_in_list(attribute, value);
    boolean_as_text(attribute, value)
        .or_else(|| reference_as_text(attribute, value))
        .map_or(Cow::Borrowed(value), Cow::Owned)
}

/// A Boolean attribute may come as text: `"active": "False"`, `"primary": "True"`, and from Keycloak `"false"`. A server
/// that passes over it never disables anybody, and Microsoft Entra does not try again.
/// `tests/fixtures/entra/disable-with-text-boolean.json`, `tests/fixtures/entra/create-with-text-booleans.json`,
/// `tests/fixtures/other/keycloak-disable-with-text-boolean.json`
fn boolean_as_text(attribute: &Attribute, value: &Value) -> Option<Value> {
    match (attribute.kind, value) {
        (Type::Boolean, Value::String(text)) => boolean_text(text).map(Value::Bool),
        _ => None,
    }
}

/// Whether it names another resource by its id: `manager`.
fn is_reference(attribute: &Attribute) -> bool {
    attribute.kind == Type::Complex && !attribute.multi_valued && attribute.sub("value").is_some()
}

/// A manager may come as the bare id: `"manager": "<id>"`.
/// `tests/fixtures/entra/manager-as-text.json`
fn reference_as_text(attribute: &Attribute, value: &Value) -> Option<Value> {
    match value {
        Value::String(id) if is_reference(attribute) => {
            Some(Map::from_iter([("value".to_owned(), id.as_str().into())]).into())
        }
        _ => None,
    }
}

/// A manager may come as a list of one: `[{"$ref": "…", "value": "<id>"}]`.
/// `tests/fixtures/entra/manager-as-list.json`
fn reference_in_list<'v>(attribute: &Attribute, value: &'v Value) -> &'v Value {
    match value {
        Value::Array(values) if is_reference(attribute) && values.len() == 1 => &values[0],
        _ => value,
    }
}

/// A manager is cleared by an empty id (`{"value": ""}`), whatever else is known of it.
/// `tests/fixtures/entra/manager-cleared-with-empty-value.json`
pub(crate) fn clears_reference(attribute: &Attribute, parts: &Map<String, Value>) -> bool {
    is_reference(attribute) && parts.get("value").is_some_and(Value::is_null)
}

/// Who gets another manager keeps nothing of the one before, though §3.5.2.3 would leave a `$ref` that is not sent.
/// `tests/fixtures/entra/manager-as-object.json`
pub(crate) fn forget_old_reference(attribute: &Attribute, parts: &mut Map<String, Value>) {
    if is_reference(attribute) && parts.contains_key("value") {
        for sub in attribute.sub_attributes {
            parts.entry(sub.name).or_insert(Value::Null);
        }
    }
}

/// The operation, in any case: Microsoft Entra writes `Add`, `Replace`, `Remove` without the flag.
/// `tests/fixtures/entra/unflagged-update-several.json`
pub(crate) fn operation(text: &str) -> Option<Op> {
    match text.to_ascii_lowercase().as_str() {
        "add" => Some(Op::Add),
        "replace" => Some(Op::Replace),
        "remove" => Some(Op::Remove),
        _ => None,
    }
}

/// The value of an operation without a path may be the JSON text of an object (scim-for-keycloak).
/// `tests/fixtures/other/keycloak-pathless-value-as-json-text.json`
pub(crate) fn object_in_text(value: &Value) -> Result<Cow<'_, Map<String, Value>>, Invalid> {
    match value {
        Value::Object(object) => Ok(Cow::Borrowed(object)),
        Value::String(text) if text.trim_start().starts_with('{') => match json::parse(text.as_bytes())? {
            Value::Object(object) => Ok(Cow::Owned(object)),
            other => Err(mismatch(&"The JSON text in \"value\"", "an object of attributes", &other)),
        },
        other => Err(mismatch(&"Without a \"path\", \"value\"", "an object of attributes", other)),
    }
}

/// The keys of such an object are paths: `name.givenName`, `urn:…:enterprise:2.0:User:department`, even
/// `emails[type eq "work"].value`. One that names no attribute is passed over like an unknown attribute in a POST
/// (Okta sends whatever its administrator maps); one with brackets was meant as a path and has to be one.
/// `tests/fixtures/entra/flagged-replace-several-pathless.json`, `tests/fixtures/okta/update-with-unknown-attribute.json`
pub(crate) fn key_as_path(
    resource_type: &'static ResourceType,
    key: &str,
) -> Result<Option<(Path, Target)>, Invalid> {
    let found = Path::parse(key).and_then(|path| path.resolve(resource_type).map(|target| (path, target)));
    match found {
        Err(invalid) if key.contains('[') => Err(invalid),
        found => Ok(found.ok()),
    }
}

/// A multi-valued attribute may be given one value that is not in a list.
/// `tests/fixtures/other/add-single-email-without-list.json`
pub(crate) fn as_list(value: &Value) -> Cow<'_, Value> {
    match value {
        Value::Object(_) => Cow::Owned(Value::Array(vec![value.clone()])),
        _ => Cow::Borrowed(value),
    }
}

/// What a path with a filter selects is given one value, which may come in a list of one.
/// `tests/fixtures/other/replace-filtered-email-with-list-of-one.json`
pub(crate) fn out_of_list(value: &Value) -> &Value {
    match value {
        Value::Array(values) if values.len() == 1 => &values[0],
        _ => value,
    }
}

/// The element that `emails[type eq "work"]` asks for where there is none: Microsoft Entra expects it to be created with
/// what the filter says of it, where §3.5.2.3 has `noTarget`. Values are taken as written, not folded. `None` if the
/// filter is more than `eq`s joined by `and`.
/// `tests/fixtures/entra/add-work-email-value-on-user-without.json`,
/// `tests/fixtures/entra/roles-primary-eq-text-true.json`
pub(crate) fn element_of_filter(
    attribute: &'static Attribute,
    filter: &Filter,
) -> Option<Map<String, Value>> {
    let mut element = Map::new();
    fill(attribute, filter, &mut element).then_some(element)
}

fn fill(attribute: &'static Attribute, filter: &Filter, element: &mut Map<String, Value>) -> bool {
    match filter {
        Filter::And(filters) => filters.iter().all(|filter| fill(attribute, filter, element)),
        Filter::Compare { name, operator: Operator::Eq, literal, .. } => {
            let Some(sub) = attribute.sub(&name.attribute) else { return false };
            let value = match literal {
                Literal::String(text) => text.as_str().into(),
                Literal::Number(number) => Value::Number(number.clone()),
                Literal::Boolean(boolean) => Value::Bool(*boolean),
                Literal::Null => return true,
            };
            let Ok(Some(value)) = read_one(sub, Label::new(None, sub.name), &value) else { return false };
            element.get(sub.name).is_none_or(|other| *other == value) && {
                element.insert(sub.name.to_owned(), value);
                true
            }
        }
        _ => false,
    }
}

/// A `remove` may say in its `value` which values it means, without a filter in the path: those go, and no others.
/// Microsoft Entra takes members out of a group so; §3.5.2.2, which knows no `value` here, would empty the group.
/// `null` is no value.
/// `tests/fixtures/entra/remove-member-with-value.json`
pub(crate) fn values_to_remove(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null())
}

/// Whether an element of which something was removed is nothing any more: it says what it was for, and holds no value.
/// Microsoft Entra removes `emails[type eq "work"].value` when it means the e-mail address.
/// `tests/fixtures/entra/remove-work-email-value.json`
pub(crate) fn is_hollow(element: &Map<String, Value>) -> bool {
    element.keys().all(|name| name == "type" || name == "primary")
}
