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
/// `tests/fixtures/entra/disable-with-text-boolean.json`, `tests/fixtures/entra/role-by-primary-with-text-true.json`
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
/// `tests/fixtures/entra/disable-with-text-boolean.json`, `tests/fixtures/entra/create-user-with-text-boolean.json`,
/// `tests/fixtures/other/keycloak-text-boolean-without-path.json`
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
/// `tests/fixtures/entra/manager-as-array.json`
fn reference_in_list<'v>(attribute: &Attribute, value: &'v Value) -> &'v Value {
    match value {
        Value::Array(values) if is_reference(attribute) && values.len() == 1 => &values[0],
        _ => value,
    }
}

/// A manager is cleared by an empty id (`{"value": ""}`), whatever else is known of it.
/// `tests/fixtures/entra/manager-cleared-with-empty-text.json`
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
/// `tests/fixtures/entra/operations-and-names-in-any-case.json`
pub(crate) fn operation(text: &str) -> Option<Op> {
    match text.to_ascii_lowercase().as_str() {
        "add" => Some(Op::Add),
        "replace" => Some(Op::Replace),
        "remove" => Some(Op::Remove),
        _ => None,
    }
}

/// The value of an operation without a path may be the JSON text of an object (scim-for-keycloak).
/// `tests/fixtures/other/keycloak-value-as-json-text.json`
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

/// A multi-valued attribute may be given one value that is not in a list.
/// `tests/fixtures/other/add-single-email-without-list.json`
pub(crate) fn as_list(value: &Value) -> Cow<'_, Value> {
    match value {
        Value::Object(_) => Cow::Owned(Value::Array(vec![value.clone()])),
        _ => Cow::Borrowed(value),
    }
}

/// The element that `emails[type eq "work"]` asks for where there is none: Microsoft Entra expects it to be created with
/// what the filter says of it, where §3.5.2.3 has `noTarget`. Values are taken as written, not folded. `None` if the
/// filter is more than `eq`s joined by `and`.
/// `tests/fixtures/entra/add-by-filter-on-absent-elements.json`,
/// `tests/fixtures/entra/role-by-primary-with-text-true.json`
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
/// `tests/fixtures/entra/remove-members-by-value-array.json`
pub(crate) fn values_to_remove(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null())
}

/// Whether an element of which something was removed is nothing any more: it says what it was for, and holds no value.
/// Microsoft Entra removes `emails[type eq "work"].value` when it means the e-mail address.
/// `tests/fixtures/entra/remove-the-value-of-a-filtered-element.json`
pub(crate) fn is_hollow(element: &Map<String, Value>) -> bool {
    element.keys().all(|name| name == "type" || name == "primary")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::members::MemberOperation;
    use crate::patch::Patch;
    use crate::resource::Document;
    use crate::schema::{ENTERPRISE_USER_URN as ENTERPRISE, GROUP_TYPE, USER_TYPE};

    fn user(attributes: &Value) -> Document {
        let mut body = json!({"userName": "bob"});
        body.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
        Document::from_request(&USER_TYPE, &body).unwrap()
    }

    /// What the client sends makes one of the other, and sent again changes nothing.
    fn makes(before: &Value, operations: &Value, after: &Value) {
        let patch = Patch::parse(&USER_TYPE, &json!({ "Operations": operations }))
            .unwrap_or_else(|invalid| panic!("{operations}: {invalid}"));
        let document = patch.apply(&user(before)).unwrap_or_else(|invalid| panic!("{operations}: {invalid}"));
        assert_eq!(document.to_stored(), user(after).to_stored(), "{operations}");
        assert_eq!(patch.apply(&document), Ok(document), "{operations} repeated");
    }

    #[test]
    fn booleans_may_be_text_in_any_case_and_nothing_else() {
        for (text, boolean) in [
            ("True", Some(true)),
            ("false", Some(false)),
            ("FALSE", Some(false)),
            ("yes", None),
            ("", None),
            (" true", None),
        ] {
            assert_eq!(boolean_text(text), boolean);
        }
        for (text, boolean) in [("True", true), ("False", false), ("false", false)] {
            makes(
                &json!({}),
                &json!([{"op": "Replace", "path": "active", "value": text}]),
                &json!({"active": boolean}),
            );
            makes(
                &json!({}),
                &json!([{"op": "replace", "value": {"active": text}}]),
                &json!({"active": boolean}),
            );
        }
        makes(
            &json!({}),
            &json!([{"op": "Add", "path": "roles", "value": [{"value": "r", "primary": "True"}]}]),
            &json!({"roles": [{"value": "r", "primary": true}]}),
        );
        // Text attributes keep such text.
        makes(
            &json!({}),
            &json!([{"op": "Add", "path": "title", "value": "True"}]),
            &json!({"title": "True"}),
        );
    }

    #[test]
    fn operations_may_be_in_any_case() {
        for text in ["add", "Add", "ADD"] {
            assert_eq!(operation(text), Some(Op::Add));
        }
        assert_eq!(
            (operation("Replace"), operation("REMOVE"), operation("move")),
            (Some(Op::Replace), Some(Op::Remove), None)
        );
    }

    #[test]
    fn a_manager_may_be_text_an_object_or_a_list_of_one_and_replaces_the_one_before() {
        let path = format!("{ENTERPRISE}:manager");
        let old = json!({ENTERPRISE: {"manager": {"value": "old", "$ref": "https://x.example/Users/old"}}});
        for (value, manager) in [
            (json!("new"), json!({"value": "new"})),
            (json!({"value": "new"}), json!({"value": "new"})),
            (json!([{"$ref": null, "Value": "new"}]), json!({"value": "new"})),
            (json!([{"$ref": "r", "value": "new"}]), json!({"value": "new", "$ref": "r"})),
            (json!({"displayName": "New", "value": "new"}), json!({"value": "new"})),
        ] {
            for op in ["Add", "replace"] {
                let operations = json!([{"op": op, "path": path, "value": value}]);
                makes(&old, &operations, &json!({ENTERPRISE: {"manager": manager}}));
                makes(&json!({}), &operations, &json!({ENTERPRISE: {"manager": manager}}));
            }
            makes(
                &old,
                &json!([{"op": "add", "value": {ENTERPRISE: {"manager": value}}}]),
                &json!({ENTERPRISE: {"manager": manager}}),
            );
            assert_eq!(
                user(&json!({ENTERPRISE: {"manager": value}})),
                user(&json!({ENTERPRISE: {"manager": manager}}))
            );
        }
    }

    #[test]
    fn a_manager_is_cleared_by_removal_or_an_empty_value_in_any_form() {
        let path = format!("{ENTERPRISE}:manager");
        let old = json!({ENTERPRISE: {"manager": {"value": "old", "$ref": "https://x.example/Users/old"}}});
        for value in [
            json!(""),
            json!(null),
            json!([]),
            json!({"value": ""}),
            json!({"value": null}),
            json!([{"value": ""}]),
        ] {
            makes(&old, &json!([{"op": "replace", "path": path, "value": value}]), &json!({}));
        }
        makes(&old, &json!([{"op": "Remove", "path": path}]), &json!({}));
        makes(&old, &json!([{"op": "remove", "path": format!("{path}.value")}]), &json!({}));
        makes(&old, &json!([{"op": "replace", "path": format!("{path}.value"), "value": ""}]), &json!({}));
    }

    #[test]
    fn several_operations_on_one_absent_element_make_one_element() {
        makes(
            &json!({}),
            &json!([
                {"op": "Add", "path": "roles[primary eq \"True\"].display", "value": "d"},
                {"op": "Add", "path": "roles[primary eq \"True\"].value", "value": "v"},
                {"op": "Replace", "path": "roles[primary eq \"True\"].type", "value": "t"},
                {"op": "Replace", "path": "phoneNumbers[type eq \"Mobile\"].value", "value": "+1 (555) 01"},
                {"op": "Add", "path": "addresses[type eq \"work\"].locality", "value": "Ulm"},
                {"op": "Add", "path": "addresses[Type eq \"WORK\"].country", "value": "DE"},
            ]),
            &json!({
                "roles": [{"value": "v", "display": "d", "type": "t", "primary": true}],
                "phoneNumbers": [{"type": "Mobile", "value": "+1 (555) 01"}],
                "addresses": [{"type": "work", "locality": "Ulm", "country": "DE"}],
            }),
        );
    }

    #[test]
    fn an_element_is_made_of_eqs_joined_by_and_and_of_nothing_else() {
        let roles = USER_TYPE.schema.attribute("roles").unwrap();
        let of = |filter: &str| element_of_filter(roles, &Filter::parse(filter).unwrap()).map(Value::Object);
        assert_eq!(of("type eq \"Work\""), Some(json!({"type": "Work"})));
        assert_eq!(
            of("TYPE eq \"w\" and (primary eq \"True\" and value eq \"v\")"),
            Some(json!({"type": "w", "primary": true, "value": "v"}))
        );
        assert_eq!(of("type eq \"w\" and display eq null"), Some(json!({"type": "w"})));
        assert_eq!(of("type eq \"w\" and type eq \"w\""), Some(json!({"type": "w"})));
        for filter in [
            "type ne \"w\"",
            "type sw \"w\"",
            "type pr",
            "not (type eq \"w\")",
            "type eq \"a\" or type eq \"b\"",
            "type eq \"a\" and type eq \"b\"",
            "type eq \"a\" and value pr",
        ] {
            assert_eq!(of(filter), None, "{filter}");
        }
    }

    #[test]
    fn an_element_that_holds_nothing_any_more_goes() {
        let before = json!({"emails": [{"value": "a@x", "type": "work", "primary": true}, {"value": "b@x"}]});
        let after = json!({"emails": [{"value": "b@x"}]});
        makes(&before, &json!([{"op": "Remove", "path": "emails[type eq \"work\"].value"}]), &after);
        makes(
            &before,
            &json!([{"op": "Replace", "path": "emails[type eq \"work\"].value", "value": ""}]),
            &after,
        );
        let with_display = json!({"emails": [{"value": "a@x", "type": "work", "display": "A"}]});
        let display = json!({"emails": [{"type": "work", "display": "A"}]});
        makes(&with_display, &json!([{"op": "Remove", "path": "emails[type eq \"work\"].value"}]), &display);
        // What never held anything is left as it was sent.
        let hollow = json!({"emails": [{"type": "work"}]});
        makes(&hollow, &json!([{"op": "Remove", "path": "emails[type eq \"work\"].value"}]), &hollow);
    }

    #[test]
    fn a_value_without_a_path_may_be_json_text() {
        makes(
            &json!({}),
            &json!([{"op": "replace", "value": " {\"active\": \"false\", \"title\": \"t\"}"}]),
            &json!({"active": false, "title": "t"}),
        );
        for text in ["active", "[]", "{", "{\"a\": 1, \"a\": 2}"] {
            let message = json!({"Operations": [{"op": "replace", "value": text}]});
            assert!(Patch::parse(&USER_TYPE, &message).is_err(), "{text}");
        }
    }

    #[test]
    fn one_value_needs_no_list() {
        for op in ["add", "replace"] {
            let operations = json!([{"op": op, "path": "emails", "value": {"value": "a@x"}}]);
            makes(&json!({}), &operations, &json!({"emails": [{"value": "a@x"}]}));
        }
    }

    #[test]
    fn members_named_in_a_removal_are_all_that_go() {
        let members = |operation: Value| {
            let patch = Patch::parse(&GROUP_TYPE, &json!({"Operations": [operation]})).unwrap();
            patch.members().to_vec()
        };
        let operation = json!({"op": "Remove", "path": "members", "value": [{"$ref": null, "value": "a"}]});
        assert_eq!(members(operation), [MemberOperation::Remove(vec!["a".into()])]);
        assert_eq!(
            members(json!({"op": "remove", "path": "members", "value": []})),
            [MemberOperation::Remove(vec![])]
        );
        assert_eq!(members(json!({"op": "remove", "path": "members"})), [MemberOperation::Replace(vec![])]);
    }

    #[test]
    fn a_role_as_json_text_is_stored_as_sent() {
        let text = "{\"id\":\"18d14569\",\"value\":\"Admin\",\"displayName\":\"Admin\"}";
        makes(
            &json!({}),
            &json!([{"op": "Add", "path": "roles", "value": [{"value": text}]}]),
            &json!({"roles": [{"value": text}]}),
        );
    }

    #[test]
    fn what_okta_and_entra_create_users_with_is_taken() {
        let okta = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "test.user@okta.local",
            "name": {"givenName": "Test", "familyName": "User"},
            "emails": [{"primary": true, "value": "test.user@okta.local", "type": "work"}],
            "displayName": "Test User", "locale": "en-US", "externalId": "00ujl29u0le5T6Aj10h7",
            "groups": [], "password": "1mz050nq", "active": true,
        });
        let document = Document::from_request(&USER_TYPE, &okta).unwrap();
        assert_eq!(document.emails().collect::<Vec<_>>(), ["test.user@okta.local"]);
        assert!(!document.to_stored().contains("1mz050nq"));
        let entra = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE], "userName": "Test_User_ab64",
            "externalId": "0a21f0f2", "active": "True", "addresses": null, "manager": null, "profileUrl": "MFGMUGTYPBKA",
            "meta": {"resourceType": "User"}, "roles": [{"primary": "True", "display": "d", "value": "v", "type": "t"}],
            "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User": {"tag": "x"},
        });
        let document = Document::from_request(&USER_TYPE, &entra).unwrap();
        assert_eq!(
            document.to_stored(),
            r#"{"externalId":"0a21f0f2","userName":"Test_User_ab64","profileUrl":"MFGMUGTYPBKA","active":true,"roles":[{"value":"v","display":"d","type":"t","primary":true}],"urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User":{"tag":"x"}}"#
        );
    }
}
