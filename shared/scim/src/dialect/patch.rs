//! PATCH requests that clients send in a form of their own.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::values::is_reference;
use crate::error::Invalid;
use crate::json;
use crate::message::Op;
use crate::path::Target;
use crate::schema::{Attribute, MEMBERS, ResourceType};
use crate::syntax::{Filter, Literal, Operator, Path};
use crate::validate::{is_qualifier, read_single, read_value};
use crate::value::{Label, type_mismatch};

/// The URN of a PATCH request in drafts of RFC 7644. Clients that were written before the RFC still send it.
///
/// `tests/fixtures/other/patch-with-the-urn-of-a-draft.json`
pub(crate) const OLD_PATCH_OP_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:PatchOp";

/// Returns whether a PATCH clears a manager. An empty id (`{"value": ""}`) clears the manager, whatever else is set.
///
/// `tests/fixtures/entra/manager-cleared-with-empty-text.json`
pub(crate) fn clears_reference(attribute: &Attribute, sub_attributes: &Map<String, Value>) -> bool {
    is_reference(attribute) && sub_attributes.get("value").is_some_and(Value::is_null)
}

/// Unassigns the sub-attributes of the old manager when a PATCH sets a new one. §3.5.2.3 would keep a `$ref` that is
/// not sent.
///
/// `tests/fixtures/entra/manager-as-object.json`
pub(crate) fn clear_old_reference(attribute: &Attribute, sub_attributes: &mut Map<String, Value>) {
    if is_reference(attribute) && sub_attributes.contains_key("value") {
        for sub in attribute.sub_attributes {
            sub_attributes.entry(sub.name).or_insert(Value::Null);
        }
    }
}

/// Reads an operation in any case. Without `aadOptscim062020`, Microsoft Entra sends `Add`, `Replace` and `Remove`.
///
/// `tests/fixtures/entra/operations-and-names-in-any-case.json`
pub(crate) fn parse_op(text: &str) -> Option<Op> {
    text.to_ascii_lowercase().parse().ok()
}

/// Accepts the JSON text of an object as the value of an operation without a path. scim-for-keycloak sends it.
///
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

/// Reads a key of an object as a path: `name.givenName`, `urn:…:enterprise:2.0:User:department`, or `emails[type eq
/// "work"].value`.
///
/// A key that names no attribute is ignored like an unknown attribute in a POST, because Okta sends all that its
/// administrator maps. A key with an attribute before brackets must be a valid path.
///
/// `tests/fixtures/entra/replace-several-in-one-pathless-operation.json`,
/// `tests/fixtures/okta/create-user-with-mapped-unknown-attributes.json`
pub(crate) fn key_as_path(
    resource_type: &'static ResourceType,
    key: &str,
) -> Result<Option<(Path, Target)>, Invalid> {
    let read = |key: &str| {
        Path::parse(key).and_then(|path| path.resolve(resource_type).map(|target| (path, target)))
    };
    let is_attribute = |name: &str| read(name).is_ok();
    match read(key) {
        Err(invalid) if key.split_once('[').is_some_and(|(name, _)| is_attribute(name)) => Err(invalid),
        found => Ok(found.ok()),
    }
}

/// Returns whether a key of a POST or PUT body has the bare name of an attribute of an extension and a value that does not
/// fit it. It is then an unknown attribute of the same name, such as a number in `employeeNumber`. Okta sends all that its
/// administrator maps.
///
/// `tests/fixtures/okta/create-user-with-mapped-unknown-attributes.json`
pub(crate) fn is_another_attribute(resource_type: &'static ResourceType, key: &str, value: &Value) -> bool {
    if key.contains(':') {
        return false;
    }
    match key_as_path(resource_type, key) {
        Ok(Some((_, Target::Attribute { attribute, sub, .. }))) if attribute.extension.is_some() => {
            read_value(sub.unwrap_or(attribute.definition), attribute.label(), value).is_err()
        }
        _ => false,
    }
}

/// Returns the element to create if a filter such as `emails[type eq "work"]` selects none.
///
/// Microsoft Entra expects an element with the values of the filter. §3.5.2.3 would fail with `noTarget`. The values
/// are stored as written, not folded. Returns `None` unless the filter consists of `eq` comparisons joined by `and`.
///
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

/// Returns the values that a `remove` without a filter is limited to.
///
/// Microsoft Entra removes members of a group by `value`. §3.5.2.2 has no `value` here, and would remove all members.
/// Null counts as no value.
///
/// `tests/fixtures/entra/remove-members-by-value-array.json`
pub(crate) fn values_to_remove(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null())
}

/// Returns the values that a `remove` of `members` is limited to. The list of members may be in an object, as in an
/// operation without a path: `{"members": [{"value": "<id>"}]}`.
///
/// `tests/fixtures/other/remove-members-by-object.json`
pub(crate) fn members_to_remove(value: Option<&Value>) -> Option<&Value> {
    values_to_remove(value).map(|value| members_in_object(value).unwrap_or(value))
}

/// Returns the list of members in `{"members": [{"value": "<id>"}]}`. The list may be one member, but must not be null.
/// Such an operation would remove all members.
///
/// `tests/fixtures/other/remove-members-by-object.json`
pub(crate) fn members_in_object(value: &Value) -> Option<&Value> {
    let mut attributes = value.as_object()?.iter();
    match (attributes.next(), attributes.next()) {
        (Some((name, members @ (Value::Array(_) | Value::Object(_)))), None)
            if name.eq_ignore_ascii_case(MEMBERS) =>
        {
            Some(members)
        }
        _ => None,
    }
}

/// Returns whether an element has nothing but `type` and `primary`. Such an element is removed.
///
/// Microsoft Entra removes `emails[type eq "work"].value` to remove the whole e-mail address.
///
/// `tests/fixtures/entra/remove-the-value-of-a-filtered-element.json`
pub(crate) fn has_no_value(element: &Map<String, Value>) -> bool {
    element.keys().all(|name| is_qualifier(name))
}
