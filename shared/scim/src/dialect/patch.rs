//! PATCH requests that clients send in a form of their own.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::values::is_reference;
use crate::error::Invalid;
use crate::json;
use crate::message::Op;
use crate::path::Target;
use crate::schema::{Attribute, ResourceType};
use crate::syntax::{Filter, Literal, Operator, Path};
use crate::validate::read_single;
use crate::value::{Label, type_mismatch};

/// A manager is cleared by an empty id (`{"value": ""}`), whatever else is known of it.
/// `tests/fixtures/entra/manager-cleared-with-empty-text.json`
pub(crate) fn clears_reference(attribute: &Attribute, values: &Map<String, Value>) -> bool {
    is_reference(attribute) && values.get("value").is_some_and(Value::is_null)
}

/// Who gets another manager keeps nothing of the one before, though §3.5.2.3 would leave a `$ref` that is not sent.
/// `tests/fixtures/entra/manager-as-object.json`
pub(crate) fn clear_old_reference(attribute: &Attribute, values: &mut Map<String, Value>) {
    if is_reference(attribute) && values.contains_key("value") {
        for sub in attribute.sub_attributes {
            values.entry(sub.name).or_insert(Value::Null);
        }
    }
}

/// The operation, in any case: Microsoft Entra writes `Add`, `Replace`, `Remove` without the flag.
/// `tests/fixtures/entra/operations-and-names-in-any-case.json`
pub(crate) fn parse_op(text: &str) -> Option<Op> {
    text.to_ascii_lowercase().parse().ok()
}

/// The value of an operation without a path may be the JSON text of an object (scim-for-keycloak).
/// `tests/fixtures/other/keycloak-value-as-json-text.json`
pub(crate) fn object_from_text(value: &Value) -> Result<Cow<'_, Map<String, Value>>, Invalid> {
    match value {
        Value::Object(object) => Ok(Cow::Borrowed(object)),
        Value::String(text) if text.trim_start().starts_with('{') => match json::parse(text.as_bytes())? {
            Value::Object(object) => Ok(Cow::Owned(object)),
            other => Err(type_mismatch(&"The JSON text in \"value\"", "an object of attributes", &other)),
        },
        other => Err(type_mismatch(&"Without a \"path\", \"value\"", "an object of attributes", other)),
    }
}

/// The keys of such an object are paths: `name.givenName`, `urn:…:enterprise:2.0:User:department`, even
/// `emails[type eq "work"].value`. One that names no attribute is passed over like an unknown attribute in a POST
/// (Okta sends whatever its administrator maps); one with brackets was meant as a path and has to be one.
/// `tests/fixtures/entra/replace-several-in-one-pathless-operation.json`,
/// `tests/fixtures/okta/create-user-with-mapped-unknown-attributes.json`
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

/// The element that `emails[type eq "work"]` asks for where there is none: Microsoft Entra expects it to be created with
/// what the filter says of it, where §3.5.2.3 has `noTarget`. Values are taken as written, not folded. `None` if the
/// filter is more than `eq`s joined by `and`.
/// `tests/fixtures/entra/add-by-filter-on-absent-elements.json`,
/// `tests/fixtures/entra/role-by-primary-with-text-true.json`
pub(crate) fn element_from_filter(
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
            let Ok(Some(value)) = read_single(sub, Label::new(None, sub.name), &value) else { return false };
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
/// `tests/fixtures/entra/remove-members-by-value-array.json`
pub(crate) fn values_to_remove(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null())
}

/// Whether an element of which something was removed is nothing any more: it says what it was for, and holds no value.
/// Microsoft Entra removes `emails[type eq "work"].value` when it means the e-mail address.
/// `tests/fixtures/entra/remove-the-value-of-a-filtered-element.json`
pub(crate) fn has_no_value(element: &Map<String, Value>) -> bool {
    element.keys().all(|name| name == "type" || name == "primary")
}
