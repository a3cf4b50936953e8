use serde_json::{Value, json};

use super::patch::{element_from_filter, parse_op};
use super::values::parse_boolean;
use crate::members::MemberOperation;
use crate::message::Op;
use crate::patch::Patch;
use crate::resource::Document;
use crate::schema::{ENTERPRISE_USER_URN as ENTERPRISE, GROUP_TYPE, USER_TYPE};
use crate::syntax::Filter;

fn user(attributes: &Value) -> Document {
    let mut body = json!({"userName": "bob"});
    body.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
    Document::from_request(&USER_TYPE, &body).unwrap()
}

/// Asserts that the operations change one user to the other, and that repeating them changes nothing.
fn makes(before: &Value, operations: &Value, after: &Value) {
    let patch = Patch::parse(&USER_TYPE, &json!({ "Operations": operations }))
        .unwrap_or_else(|invalid| panic!("{operations}: {invalid}"));
    let document = patch.apply(&user(before)).unwrap_or_else(|invalid| panic!("{operations}: {invalid}"));
    assert_eq!(document.to_stored(), user(after).to_stored(), "{operations}");
    assert_eq!(patch.apply(&document), Ok(document), "{operations} repeated");
}

#[test]
fn booleans_may_be_text_in_any_case() {
    for (text, boolean) in [
        ("True", Some(true)),
        ("false", Some(false)),
        ("FALSE", Some(false)),
        ("yes", None),
        ("", None),
        (" true", None),
    ] {
        assert_eq!(parse_boolean(text), boolean);
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
    // Text attributes keep the text.
    makes(&json!({}), &json!([{"op": "Add", "path": "title", "value": "True"}]), &json!({"title": "True"}));
}

#[test]
fn operations_may_be_in_any_case() {
    for text in ["add", "Add", "ADD"] {
        assert_eq!(parse_op(text), Some(Op::Add));
    }
    assert_eq!(
        (parse_op("Replace"), parse_op("REMOVE"), parse_op("move")),
        (Some(Op::Replace), Some(Op::Remove), None)
    );
}

#[test]
fn manager_may_be_text_object_or_list_of_one() {
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
fn manager_is_cleared_by_removal_or_empty_value() {
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
fn operations_on_one_absent_element_create_one() {
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
fn element_is_created_only_from_eq_joined_by_and() {
    let roles = USER_TYPE.schema.attribute("roles").unwrap();
    let of = |filter: &str| element_from_filter(roles, &Filter::parse(filter).unwrap()).map(Value::Object);
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
fn element_without_value_is_removed() {
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
    // An element that never had a value stays as sent.
    let hollow = json!({"emails": [{"type": "work"}]});
    makes(&hollow, &json!([{"op": "Remove", "path": "emails[type eq \"work\"].value"}]), &hollow);
}

#[test]
fn value_without_path_may_be_json_text() {
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
fn single_value_needs_no_list() {
    for op in ["add", "replace"] {
        let operations = json!([{"op": op, "path": "emails", "value": {"value": "a@x"}}]);
        makes(&json!({}), &operations, &json!({"emails": [{"value": "a@x"}]}));
    }
}

#[test]
fn remove_with_value_removes_only_those_members() {
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
    for value in [
        json!({"members": [{"value": "a"}]}),
        json!({"Members": [{"value": "a", "$ref": null}]}),
        json!({"members": {"value": "a"}}),
    ] {
        for operation in [
            json!({"op": "remove", "path": "members", "value": value}),
            json!({"op": "Remove", "value": value}),
            json!({"op": "remove", "path": "", "value": value}),
        ] {
            assert_eq!(members(operation), [MemberOperation::Remove(vec!["a".into()])]);
        }
    }
    let empty = json!({"op": "remove", "value": {"members": []}});
    assert_eq!(members(empty), [MemberOperation::Remove(vec![])]);
    for value in [
        json!({"members": null}),
        json!({"members": [{"value": "a"}], "displayName": "x"}),
        json!({"members": "a"}),
        json!({"displayName": "x"}),
    ] {
        for operation in [
            json!({"op": "remove", "value": value}),
            json!({"op": "remove", "path": "members", "value": value}),
        ] {
            let refused = Patch::parse(&GROUP_TYPE, &json!({"Operations": [operation]}));
            assert!(refused.is_err(), "{operation}");
        }
    }
}

#[test]
fn role_as_json_text_is_stored_as_sent() {
    let text = "{\"id\":\"18d14569\",\"value\":\"Admin\",\"displayName\":\"Admin\"}";
    makes(
        &json!({}),
        &json!([{"op": "Add", "path": "roles", "value": [{"value": text}]}]),
        &json!({"roles": [{"value": text}]}),
    );
}

#[test]
fn users_of_okta_and_entra_are_accepted() {
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
