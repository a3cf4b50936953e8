use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::*;
use crate::error::ScimType;
use crate::fold::tests::folded_by;
use crate::message::BULK_REQUEST_URN;
use crate::resource::tests::{CUSTOM_URN, shown, some_body};
use crate::schema::{ENTERPRISE_USER_URN as ENTERPRISE, GROUP_TYPE, USER_TYPE, USER_URN};

fn patch(operations: &Value) -> Result<Patch, Invalid> {
    Patch::parse(&USER_TYPE, &json!({"schemas": [PATCH_OP_URN], "Operations": operations}))
}

fn user(attributes: &Value) -> Document {
    let mut body = json!({"userName": "bob"});
    body.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
    Document::from_request(&USER_TYPE, &body).unwrap()
}

fn patched(before: &Value, operations: &Value) -> Result<Document, Invalid> {
    patch(operations)?.apply(&user(before))
}

/// Asserts that the operations change one user to the other, and that repeating them changes nothing.
fn makes(before: Value, operations: Value, after: &Value) {
    let document = patched(&before, &operations).unwrap_or_else(|invalid| panic!("{operations}: {invalid}"));
    assert_eq!(document.to_stored(), user(after).to_stored(), "{operations} on {before}");
    let again = patch(&operations).unwrap().apply(&document);
    assert_eq!(again.as_ref(), Ok(&document), "{operations} repeated");
    drop((before, operations));
}

fn refuses(before: &Value, operations: &Value, scim_type: ScimType, detail: &str) {
    let invalid = patched(before, operations).expect_err(&operations.to_string());
    assert_eq!((invalid.scim_type, invalid.detail.as_str()), (scim_type, detail), "{operations}");
}

#[test]
fn add_and_replace_set_a_single_attribute() {
    for op in ["add", "replace"] {
        makes(
            json!({"title": "a"}),
            json!([{"op": op, "path": "title", "value": "b"}]),
            &json!({"title": "b"}),
        );
        makes(
            json!({}),
            json!([{"op": op, "path": "externalId", "value": "e"}]),
            &json!({"externalId": "e"}),
        );
        makes(
            json!({}),
            json!([{"op": op, "path": "name.givenName", "value": "B"}]),
            &json!({"name": {"givenName": "B"}}),
        );
        let path = format!("{ENTERPRISE}:department");
        makes(
            json!({}),
            json!([{"op": op, "path": path, "value": "x"}]),
            &json!({ENTERPRISE: {"department": "x"}}),
        );
    }
}

#[test]
fn unsent_sub_attributes_stay_and_null_unassigns() {
    let before = json!({"name": {"givenName": "B", "familyName": "O", "middleName": "M"}});
    let value = json!({"GIVENNAME": "C", "middleName": null, "petName": "x"});
    for op in ["add", "replace"] {
        let after = json!({"name": {"familyName": "O", "givenName": "C"}});
        makes(before.clone(), json!([{"op": op, "path": "name", "value": value}]), &after);
        makes(before.clone(), json!([{"op": op, "value": {"name": value}}]), &after);
    }
    makes(before.clone(), json!([{"op": "replace", "path": "name", "value": {}}]), &before);
    makes(before, json!([{"op": "replace", "path": "name", "value": null}]), &json!({}));
}

#[test]
fn null_and_empty_values_unassign() {
    for value in [json!(null), json!("")] {
        makes(json!({"title": "a"}), json!([{"op": "replace", "path": "title", "value": value}]), &json!({}));
        makes(json!({"title": "a"}), json!([{"op": "add", "value": {"title": value}}]), &json!({}));
    }
    let emails = json!({"emails": [{"value": "a"}]});
    for value in [json!(null), json!([]), json!({})] {
        makes(emails.clone(), json!([{"op": "replace", "path": "emails", "value": value}]), &json!({}));
        makes(emails.clone(), json!([{"op": "add", "path": "emails", "value": value}]), &emails);
    }
    makes(
        json!({ENTERPRISE: {"department": "x"}}),
        json!([{"op": "replace", "path": ENTERPRISE, "value": null}]),
        &json!({}),
    );
}

#[test]
fn remove_works_at_every_level() {
    let before = json!({
        "title": "a", "name": {"givenName": "B", "familyName": "O"}, "nickName": "n",
        "emails": [{"value": "a", "type": "work"}, {"value": "b", "type": "home"}],
        ENTERPRISE: {"department": "x", "division": "y"}, CUSTOM_URN: {"Colour": "red", "Size": 1},
    });
    let without = |path: &str, name: &str| {
        let mut after = before.clone();
        match name.split_once('/') {
            Some((outer, inner)) => after[outer].as_object_mut().unwrap().shift_remove(inner),
            None => after.as_object_mut().unwrap().shift_remove(name),
        };
        makes(before.clone(), json!([{"op": "remove", "path": path}]), &after);
    };
    without("Title", "title");
    without("name", "name");
    without("name.GIVENNAME", "name/givenName");
    without("emails", "emails");
    without(ENTERPRISE, ENTERPRISE);
    without(&ENTERPRISE.to_ascii_uppercase(), ENTERPRISE);
    without(&format!("{ENTERPRISE}:Division"), &format!("{ENTERPRISE}/division"));
    without(&CUSTOM_URN.to_ascii_lowercase(), CUSTOM_URN);
    without(&format!("{}:colour", CUSTOM_URN.to_ascii_lowercase()), &format!("{CUSTOM_URN}/Colour"));
    let mut after = before.clone();
    after["emails"] = json!([{"value": "b", "type": "home"}]);
    makes(before.clone(), json!([{"op": "remove", "path": "emails[type eq \"WORK\"]"}]), &after);
    after["emails"] = json!([{"value": "a", "type": "work"}, {"value": "b"}]);
    makes(before.clone(), json!([{"op": "remove", "path": "emails[type eq \"home\"].type"}]), &after);
    after.as_object_mut().unwrap().shift_remove("emails");
    makes(before.clone(), json!([{"op": "remove", "path": "emails[value pr]"}]), &after);
    makes(before.clone(), json!([{"op": "remove", "path": "emails.value"}]), &after);
}

#[test]
fn remove_of_absent_attribute_succeeds() {
    for path in [
        "title",
        "name.givenName",
        "emails",
        "emails[type eq \"work\"]",
        "emails[type eq \"work\"].value",
        "emails.type",
        ENTERPRISE,
    ] {
        makes(json!({}), json!([{"op": "remove", "path": path}]), &json!({}));
    }
}

#[test]
fn add_appends_only_new_elements() {
    let before = json!({"emails": [{"value": "a", "type": "work"}]});
    let add = |value: Value| json!([{"op": "add", "path": "emails", "value": value}]);
    makes(before.clone(), add(json!([{"type": "work", "value": "a"}])), &before);
    makes(
        before.clone(),
        add(json!([{"value": "b"}, {"value": "b"}])),
        &json!({"emails": [{"value": "a", "type": "work"}, {"value": "b"}]}),
    );
    makes(
        before.clone(),
        add(json!([{"value": "a", "type": "home"}])),
        &json!({"emails": [{"value": "a", "type": "work"}, {"value": "a", "type": "home"}]}),
    );
    makes(
        before,
        add(json!([{"value": "a", "type": "work", "display": "d"}])),
        &json!({"emails": [{"value": "a", "type": "work", "display": "d"}]}),
    );
}

#[test]
fn replace_of_list_replaces_every_element() {
    let before = json!({"emails": [{"value": "a", "type": "work"}, {"value": "b"}]});
    let after = json!({"emails": [{"value": "c", "primary": true}]});
    makes(
        before.clone(),
        json!([{"op": "replace", "path": "emails", "value": [{"value": "c", "primary": "True"}]}]),
        &after,
    );
    makes(before, json!([{"op": "replace", "value": {"Emails": [{"value": "c", "primary": true}]}}]), &after);
}

#[test]
fn filter_selects_elements_to_change() {
    let before =
        json!({"emails": [{"value": "a", "type": "work", "primary": true}, {"value": "b", "type": "home"}]});
    let with = |first: Value| json!({"emails": [first, {"value": "b", "type": "home"}]});
    let at = |op: &str, path: &str, value: Value| json!([{"op": op, "path": path, "value": value}]);
    let work = "emails[type eq \"Work\"]";
    for op in ["add", "replace"] {
        makes(
            before.clone(),
            at(op, "emails[type eq \"work\"].value", json!("c")),
            &with(json!({"value": "c", "type": "work", "primary": true})),
        );
    }
    makes(
        before.clone(),
        at("add", work, json!({"display": "d"})),
        &with(json!({"value": "a", "display": "d", "type": "work", "primary": true})),
    );
    makes(
        before.clone(),
        at("replace", work, json!({"value": "c"})),
        &with(json!({"value": "c", "type": "Work"})),
    );
    let everywhere = json!({"emails": [{"value": "a", "type": "work", "primary": true, "display": "d"}, {"value": "b", "type": "home", "display": "d"}]});
    makes(before.clone(), at("replace", "emails.display", json!("d")), &everywhere);
    makes(before.clone(), at("replace", "emails[value pr].display", json!("d")), &everywhere);
    makes(json!({}), at("add", "emails.value", json!("c")), &json!({"emails": [{"value": "c"}]}));
    for nothing in [json!(null), json!([]), json!("")] {
        makes(before.clone(), at("add", work, nothing.clone()), &before);
        let home = json!({"emails": [{"value": "b", "type": "home"}]});
        makes(before.clone(), at("replace", work, nothing), &home);
    }
}

#[test]
fn filter_without_match_or_template_has_no_target() {
    let detail = "Operations[0]: Attribute 'emails' has no value that matches the filter in the path. \
         A value can only be created from a filter such as [type eq \"work\"].";
    for filter in [
        "type ne \"work\"",
        "value sw \"a\"",
        "type eq \"a\" or type eq \"b\"",
        "not (type pr)",
        "type eq \"a\" and type eq \"b\"",
    ] {
        for path in [format!("emails[{filter}].display"), format!("emails[{filter}]")] {
            let value = if path.ends_with(']') { json!({"display": "d"}) } else { json!("d") };
            let before = if filter.contains("ne") || filter.contains("not") {
                json!({"emails": [{"type": "work"}]})
            } else {
                json!({})
            };
            refuses(
                &before,
                &json!([{"op": "replace", "path": path, "value": value}]),
                ScimType::NoTarget,
                detail,
            );
        }
    }
}

#[test]
fn created_element_matches_the_path() {
    let detail = "Operations[0]: Attribute 'emails' has no value that matches the filter in the path. \
         To create one, send a \"value\" that does not contradict the filter.";
    for (path, value) in [
        ("emails[type eq \"work\"].type", json!("home")),
        ("emails[type eq \"work\"]", json!({"type": "home"})),
    ] {
        for op in ["add", "replace"] {
            let operations = json!([{"op": op, "path": path, "value": value}]);
            refuses(&json!({}), &operations, ScimType::NoTarget, detail);
            // An existing element may change so that the path no longer selects it.
            let moved = patched(&json!({"emails": [{"type": "work", "display": "a"}]}), &operations).unwrap();
            let emails = moved.get("emails").unwrap();
            assert_eq!((emails[0]["type"].as_str(), emails[1].as_str()), (Some("home"), None));
        }
    }
}

#[test]
fn new_primary_value_replaces_the_old_one() {
    let before =
        json!({"emails": [{"value": "a", "type": "work", "primary": true}, {"value": "b", "type": "home"}]});
    let after = json!({"emails": [{"value": "a", "type": "work", "primary": false}, {"value": "b", "type": "home", "primary": true}]});
    for operation in [
        json!({"op": "replace", "path": "emails[type eq \"home\"].primary", "value": "True"}),
        json!({"op": "add", "path": "emails[type eq \"home\"]", "value": {"primary": true}}),
        json!({"op": "replace", "path": "emails[type eq \"home\"]", "value": {"value": "b", "primary": true}}),
        json!({"op": "add", "path": "emails", "value": [{"value": "b", "type": "home", "primary": true}]}),
    ] {
        makes(before.clone(), json!([operation]), &after);
    }
    let detail =
        "Attribute 'emails' has more than one primary value. Set \"primary\" to true on at most one.";
    refuses(
        &before,
        &json!([{"op": "replace", "path": "emails.primary", "value": true}]),
        ScimType::InvalidValue,
        detail,
    );
}

#[test]
fn value_without_path_changes_each_attribute() {
    makes(
        json!({"title": "t", "name": {"familyName": "O"}}),
        json!([{"op": "replace", "value": {
            "displayName": "D", "name.givenName": "G", "NAME.familyName": "F", format!("{ENTERPRISE}:employeeNumber"): "1",
            ENTERPRISE: {"department": "d", "manager": "m", "unknown": 1}, "emails[type eq \"work\"].value": "e",
            CUSTOM_URN: {"tag": 1}, format!("{CUSTOM_URN}:tog"): [2], "title": null, "unknown": 1, "not a name": 2,
            "urn:ietf:params:scim:schemas:core:2.0:User:nickName": "n",
        }}]),
        &json!({
            "displayName": "D", "nickName": "n", "name": {"givenName": "G", "familyName": "F"}, "emails": [{"value": "e", "type": "work"}],
            ENTERPRISE: {"employeeNumber": "1", "department": "d", "manager": {"value": "m"}}, CUSTOM_URN: {"tag": 1, "tog": [2]},
        }),
    );
    for twice in [
        json!({ENTERPRISE: null, format!("{ENTERPRISE}:department"): "d"}),
        json!({format!("{ENTERPRISE}:department"): "d", ENTERPRISE: null}),
        json!({"name.givenName": "a", format!("{}:name", crate::schema::USER_URN): {"givenName": "b"}}),
    ] {
        let invalid = patch(&json!([{"op": "replace", "value": twice}])).unwrap_err();
        assert_eq!(invalid.scim_type, ScimType::InvalidSyntax, "{twice}");
    }
    let bad = patch(&json!([{"op": "add", "value": {"emails[type eq work].value": "e"}}])).unwrap_err();
    assert_eq!(bad.scim_type, ScimType::InvalidPath);
    let twice = patch(&json!([{"op": "add", "value": {"title": "e", "TITLE": "f"}}])).unwrap_err();
    assert_eq!(twice.scim_type, ScimType::InvalidSyntax);
}

#[test]
fn read_only_is_ignored_in_values_and_refused_in_paths() {
    let ignored = json!({"id": "x", "schemas": [], "meta": {"version": "1"}, "groups": [{"value": "g"}], "password": "p"});
    makes(json!({}), json!([{"op": "replace", "value": ignored}]), &json!({}));
    assert!(!patch(&json!([{"op": "replace", "value": ignored}])).unwrap().changes_document());
    for path in [
        "id",
        "ID",
        "schemas",
        "meta",
        "meta.version",
        "groups",
        "groups[value eq \"1\"]",
        "groups.value",
        &format!("{ENTERPRISE}:manager.displayName"),
    ] {
        for op in ["add", "replace", "remove"] {
            let invalid = patch(&json!([{"op": op, "path": path, "value": "x"}])).unwrap_err();
            assert_eq!(invalid.scim_type, ScimType::Mutability, "{op} {path}");
        }
    }
    for op in ["add", "replace", "remove"] {
        makes(json!({}), json!([{"op": op, "path": "password", "value": "p"}]), &json!({}));
    }
}

#[test]
fn required_attributes_cannot_be_removed() {
    let detail =
        "Operations[0]: Attribute 'userName' is required and cannot be removed. Replace its value instead.";
    refuses(&json!({}), &json!([{"op": "remove", "path": "userName"}]), ScimType::Mutability, detail);
    let detail = "Operations[0]: Attribute 'userName' is required and cannot be unassigned. Send a value.";
    refuses(
        &json!({}),
        &json!([{"op": "replace", "path": "userName", "value": null}]),
        ScimType::InvalidValue,
        detail,
    );
    refuses(&json!({}), &json!([{"op": "add", "value": {"userName": ""}}]), ScimType::InvalidValue, detail);
    let detail = "Attribute 'userName' is required. Send a value that is not blank.";
    refuses(
        &json!({}),
        &json!([{"op": "add", "path": "userName", "value": " "}]),
        ScimType::InvalidValue,
        detail,
    );
}

#[test]
fn malformed_messages_are_refused_with_index() {
    use ScimType::{InvalidPath, InvalidSyntax, InvalidValue, NoTarget};
    for (operations, scim_type, detail) in [
        (json!([]), InvalidSyntax, "The \"Operations\" must be a list with at least one operation."),
        (json!({}), InvalidSyntax, "The \"Operations\" must be a list with at least one operation."),
        (
            json!(["add"]),
            InvalidSyntax,
            "Operations[0]: An operation must be an object with \"op\", \"path\" and \"value\".",
        ),
        (
            json!([{"path": "title", "value": "x"}]),
            InvalidSyntax,
            "Operations[0]: The \"op\" must be \"add\", \"replace\" or \"remove\".",
        ),
        (
            json!([{"op": "move", "path": "title"}]),
            InvalidSyntax,
            "Operations[0]: The \"op\" must be \"add\", \"replace\" or \"remove\".",
        ),
        (json!([{"op": "add", "path": 1}]), InvalidSyntax, "Operations[0]: The \"path\" must be a string."),
        (
            json!([{"op": "remove"}]),
            NoTarget,
            "Operations[0]: An operation \"remove\" needs a \"path\". Name the attribute to remove.",
        ),
        (
            json!([{"op": "remove", "path": "", "value": {"title": 1}}]),
            NoTarget,
            "Operations[0]: An operation \"remove\" needs a \"path\". Name the attribute to remove.",
        ),
        (
            json!([{"op": "remove", "path": "title"}, {"op": "add", "path": "title"}]),
            InvalidValue,
            "Operations[1]: The \"value\" is missing. Send the value to add or replace, or use \"remove\".",
        ),
        (
            json!([{"op": "add"}]),
            InvalidValue,
            "Operations[0]: The \"value\" is missing. Send the value to add or replace, or use \"remove\".",
        ),
        (
            json!([{"op": "add", "value": "x"}]),
            InvalidValue,
            "Operations[0]: Without a \"path\", \"value\" must be an object of attributes, not a string.",
        ),
        (
            json!([{"op": "add", "path": "title", "value": 7}]),
            InvalidValue,
            "Operations[0]: Attribute 'title' must be a string, not a number.",
        ),
        (
            json!([{"op": "add", "path": "emails[type eq \"work\"]", "value": "a@x"}]),
            InvalidValue,
            "Operations[0]: Attribute 'emails' must be an object, not a string.",
        ),
        (
            json!([{"op": "add", "path": "emails", "value": "a@x"}]),
            InvalidValue,
            "Operations[0]: Attribute 'emails' must be a list, not a string.",
        ),
        (
            json!([{"op": "add", "path": "colour", "value": 7}]),
            InvalidPath,
            "Operations[0]: User has no attribute 'colour'. Correct the path.",
        ),
    ] {
        refuses(&json!({}), &operations, scim_type, detail);
    }
    assert_eq!(Patch::parse(&USER_TYPE, &json!([])).unwrap_err().scim_type, InvalidSyntax);
    let operations = json!([{"op": "add", "path": "title", "value": "x"}]);
    for schemas in [json!("x"), json!({}), json!([7]), json!(["urn:x"]), json!([BULK_REQUEST_URN, USER_URN])]
    {
        let message = json!({"schemas": schemas, "Operations": operations});
        assert_eq!(Patch::parse(&USER_TYPE, &message).unwrap_err().scim_type, InvalidSyntax);
    }
    for message in [
        json!({"operations": operations}),
        json!({"schemas": null, "OPERATIONS": operations}),
        json!({"schemas": [], "Operations": operations}),
        json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:PatchOp"], "Operations": operations}),
        json!({"schemas": ["urn:x", PATCH_OP_URN], "Operations": operations}),
        json!({"schemas": [PATCH_OP_URN.to_uppercase()], "Operations": operations}),
        json!({"Operations": [{"OP": "ADD", "Path": "title", "VALUE": "x"}]}),
    ] {
        assert_eq!(Patch::parse(&USER_TYPE, &message), patch(&operations));
    }
}

#[test]
fn operations_changes_and_comparisons_are_limited() {
    let operations = |count| vec![json!({"op": "add", "path": "title", "value": "x"}); count];
    assert!(patch(&operations(1000).into()).is_ok());
    assert_eq!(patch(&operations(1001).into()).unwrap_err().scim_type, ScimType::InvalidValue);
    let filter = ["value pr"; 101].join(" or ");
    for path in [format!("emails[{filter}]"), format!("emails[not ({filter})].type")] {
        let operations = |count| patch(&vec![json!({"op": "remove", "path": path}); count].into());
        assert!(operations(9).is_ok());
        assert_eq!(operations(10).unwrap_err().scim_type, ScimType::InvalidFilter);
    }
    let path = format!("emails[{}]", ["value pr"; 100].join(" or "));
    assert!(patch(&vec![json!({"op": "remove", "path": path}); 10].into()).is_ok());
    let tags: Map<_, _> = (0..1001).map(|index| (format!("tag{index}"), json!(1))).collect();
    assert_eq!(
        patch(&json!([{"op": "add", "value": {CUSTOM_URN: tags}}])).unwrap_err().scim_type,
        ScimType::InvalidValue
    );
}

#[test]
fn operation_sees_the_result_of_the_one_before() {
    let emails = json!({"emails": [{"value": "a"}, {"value": "b"}]});
    let operations = json!([
        {"op": "remove", "path": "emails.value"},
        {"op": "add", "path": "emails.display", "value": "d"},
    ]);
    assert_eq!(patched(&emails, &operations), Ok(user(&json!({"emails": [{"display": "d"}]}))));
    // The first operation makes two elements equal, so one of them is removed.
    let roles = json!({"roles": [{"value": "a", "display": "d", "primary": true}, {"value": "a", "display": "d", "primary": false}]});
    let operations = json!([
        {"op": "add", "path": "roles", "value": [{"value": "a", "type": "t", "primary": true}]},
        {"op": "add", "path": "roles", "value": [{"value": "a", "primary": true}]},
    ]);
    let after = json!({"roles": [{"value": "a", "display": "d", "primary": true}, {"value": "a", "type": "t", "primary": false}]});
    assert_eq!(patched(&roles, &operations), Ok(user(&after)));
}

#[test]
fn failed_operation_changes_nothing() {
    let before = user(&json!({"title": "a"}));
    let operations = json!([
        {"op": "replace", "path": "title", "value": "b"},
        {"op": "replace", "path": "emails[value sw \"x\"].display", "value": "c"},
    ]);
    let invalid = patch(&operations).unwrap().apply(&before).unwrap_err();
    assert!(invalid.detail.starts_with("Operations[1]: "), "{invalid}");
    assert_eq!(before, user(&json!({"title": "a"})));
}

#[test]
fn number_of_values_is_checked_after_each_operation() {
    let values = |from: usize, to: usize| {
        (from..to).map(|index| json!({"value": index.to_string()})).collect::<Value>()
    };
    let before = json!({"emails": values(0, 30)});
    let detail = "Operations[0]: Attribute 'emails' has 41 values. Send at most 40.";
    refuses(
        &before,
        &json!([{"op": "add", "path": "emails", "value": values(30, 41)}]),
        ScimType::InvalidValue,
        detail,
    );
    makes(
        before,
        json!([{"op": "add", "path": "emails", "value": values(0, 40)}]),
        &json!({"emails": values(0, 40)}),
    );
}

#[test]
fn remove_matches_values_by_value_and_type() {
    let before = json!({
        "emails": [{"value": "a@x", "type": "work"}, {"value": "a@x", "type": "home"}, {"value": "b@x", "display": "b"}],
        CUSTOM_URN: {"tags": ["a", "b"], "tag": "a"},
    });
    let without = |value: Value, left: Value| {
        let mut after = before.clone();
        after["emails"] = left;
        makes(before.clone(), json!([{"op": "remove", "path": "emails", "value": value}]), &after);
    };
    without(
        json!([{"value": "A@x", "type": "work", "display": null}]),
        json!([before["emails"][1], before["emails"][2]]),
    );
    without(json!([{"value": "a@X"}]), json!([before["emails"][2]]));
    without(json!({"value": "b@x"}), json!([before["emails"][0], before["emails"][1]]));
    without(json!([]), before["emails"].clone());
    without(json!([{"type": "work"}]), before["emails"].clone());
    without(json!(null), json!([]));
    for (path, value, name, left) in [
        ("tags", json!(["a"]), "tags", json!(["b"])),
        ("TAGS", json!("a"), "tags", json!(null)),
        ("tag", json!(["a"]), "tag", json!(null)),
        ("tag", json!(["b"]), "tag", json!("a")),
    ] {
        let mut after = before.clone();
        after[CUSTOM_URN][name] = left;
        makes(
            before.clone(),
            json!([{"op": "remove", "path": format!("{CUSTOM_URN}:{path}"), "value": value}]),
            &after,
        );
    }
}

#[test]
fn add_of_list_to_custom_attribute_appends() {
    let path = format!("{}:Tags", CUSTOM_URN.to_ascii_uppercase());
    let at = |op: &str, value: Value| json!([{"op": op, "path": path, "value": value}]);
    let holds = |value: Value| json!({CUSTOM_URN: {"tags": value}});
    makes(holds(json!(["a", "b"])), at("add", json!(["b", "c"])), &holds(json!(["a", "b", "c"])));
    makes(holds(json!(["a"])), at("replace", json!(["b"])), &holds(json!(["b"])));
    makes(holds(json!(["a"])), at("add", json!("b")), &holds(json!("b")));
    // `value` and `primary` have no special meaning in a custom attribute.
    let (one, other) = (json!({"value": 1, "primary": true}), json!({"value": 1, "primary": true, "x": 2}));
    makes(holds(json!([one])), at("add", json!([other])), &holds(json!([one, other])));
}

#[test]
fn members_become_member_operations() {
    let parse = |operations: Value| Patch::parse(&GROUP_TYPE, &json!({ "Operations": operations }));
    let member = |id: &str| crate::members::Member { value: id.into(), member_type: None };
    let patch = parse(json!([
        {"op": "remove", "path": "members[value eq \"a\"]"},
        {"op": "Add", "path": "MEMBERS", "value": [{"value": "b", "display": null, "$ref": null}]},
        {"op": "Remove", "path": "members", "value": [{"value": "c"}]},
        {"op": "replace", "value": {"id": "x", "members": [], "displayName": "g"}},
        {"op": "add", "value": {"members": {"value": "d"}}},
        {"op": "remove", "path": "members", "value": []},
        {"op": "remove", "path": "members"},
        {"op": "add", "path": "urn:ietf:params:scim:schemas:core:2.0:Group:members", "value": null},
    ]))
    .unwrap();
    assert!(patch.changes_document());
    assert_eq!(
        patch.members(),
        [
            MemberOperation::Remove(vec!["a".into()]),
            MemberOperation::Add(vec![member("b")]),
            MemberOperation::Remove(vec!["c".into()]),
            MemberOperation::Replace(vec![]),
            MemberOperation::Add(vec![member("d")]),
            MemberOperation::Remove(vec![]),
            MemberOperation::Replace(vec![]),
            MemberOperation::Add(vec![]),
        ]
    );
    let only_members = parse(json!([{"op": "add", "path": "members", "value": [{"value": "a"}]}])).unwrap();
    assert!(!only_members.changes_document());
    for operation in [
        json!({"op": "replace", "path": "members[value eq \"a\"].value", "value": "b"}),
        json!({"op": "add", "path": "members[value eq \"a\"]", "value": {"value": "b"}}),
        json!({"op": "remove", "path": "members.value"}),
    ] {
        assert_eq!(parse(json!([operation])).unwrap_err().scim_type, ScimType::Mutability);
    }
    for value in [json!("a"), json!(["a"]), json!([{"display": "a"}]), json!([{"value": 1}])] {
        for op in ["add", "remove", "replace"] {
            let invalid = parse(json!([{"op": op, "path": "members", "value": value}])).unwrap_err();
            assert_eq!(invalid.scim_type, ScimType::InvalidValue, "{op} {value}");
        }
    }
}

#[test]
fn element_whose_value_becomes_empty_is_removed() {
    let before = json!({"emails": [{"value": "a", "type": "work", "primary": true}, {"value": "b"}]});
    let after = json!({"emails": [{"value": "b"}]});
    let path = "emails[type eq \"work\"]";
    for empty in [json!(""), json!(null)] {
        let hollow = json!({"value": empty, "type": "work", "primary": true});
        for op in ["add", "replace"] {
            makes(before.clone(), json!([{"op": op, "path": path, "value": hollow}]), &after);
            makes(json!({}), json!([{"op": op, "path": path, "value": hollow}]), &json!({}));
        }
        makes(before.clone(), json!([{"op": "replace", "path": "emails", "value": [hollow]}]), &json!({}));
        makes(before.clone(), json!([{"op": "add", "path": "emails", "value": [hollow]}]), &before);
    }
    let detail = "Operations[0]: Attribute 'emails' has a value whose content is in unknown sub-attributes. \
         It may have value, display, type, primary.";
    for op in ["add", "replace"] {
        let operations = json!([{"op": op, "path": path, "value": {"address": "c", "type": "work"}}]);
        refuses(&before, &operations, ScimType::InvalidValue, detail);
    }
    let operations = json!([{"op": "remove", "path": "emails", "value": [{"address": "a"}]}]);
    refuses(&before, &operations, ScimType::InvalidValue, detail);
}

/// Returns roles with as much text as possible, none of it ASCII.
fn long_roles() -> Value {
    (0..100).map(|index| json!({"value": "é".repeat(1300), "type": format!("ü{index}")})).collect()
}

#[test]
fn patch_folds_each_text_once() {
    let document = user(&json!({"roles": long_roles()}));
    let operations = (0..1000).map(|index| match index % 2 {
        0 => json!({"op": "remove", "path": format!("roles[value co \"x{index}\"]")}),
        _ => json!({"op": "remove", "path": "roles", "value": [{"value": format!("x{index}")}]}),
    });
    let (folded, patched) = folded_by(|| patch(&operations.collect()).unwrap().apply(&document));
    assert_eq!(patched.as_ref(), Ok(&document));
    assert_eq!(folded, 1, "all values are one text");
    let operations = json!([
        {"op": "remove", "path": "roles[type eq \"x\" or type eq \"y\"]"},
        {"op": "remove", "path": "roles[type eq \"z\"]"},
    ]);
    let (folded, _) = folded_by(|| patch(&operations).unwrap().apply(&document));
    assert_eq!(folded, 100, "no two types are");
}

#[test]
fn large_intermediate_values_are_refused() {
    let long = "x".repeat(3100);
    let too_large = "Operations[0]: The resource is larger than 300 KB. Send fewer or shorter values.";
    for operation in [
        json!({"op": "replace", "path": "roles.display", "value": long}),
        json!({"op": "add", "path": "roles[type pr]", "value": {"display": long}}),
        json!({"op": "replace", "path": "roles[type pr]", "value": {"value": "a", "display": long}}),
        json!({"op": "replace", "path": "photos", "value": [{"value": "x".repeat(300 * 1024)}, {"value": "y"}]}),
        json!({"op": "add", "path": "photos", "value": [{"value": "x".repeat(300 * 1024)}, {"value": "y"}]}),
    ] {
        let undone =
            json!([operation, {"op": "remove", "path": "roles"}, {"op": "remove", "path": "photos"}]);
        let roles: Value = (0..100).map(|index| json!({"type": format!("{index}")})).collect();
        refuses(&json!({"roles": roles}), &undone, ScimType::InvalidValue, too_large);
    }
}

#[test]
fn comparisons_of_members_are_limited() {
    let removals = |path: &str, count| {
        let operations: Value = vec![json!({"op": "remove", "path": path}); count].into();
        Patch::parse(&GROUP_TYPE, &json!({"Operations": operations}))
    };
    assert!(removals("members[type eq \"Group\" and value sw \"a\"]", 25).is_ok());
    assert!(removals("members[value eq \"a\" or value eq \"b\"]", 1000).is_ok());
    let invalid = removals("members[type eq \"Group\" and value sw \"a\"]", 26).unwrap_err();
    assert_eq!(invalid.scim_type, ScimType::InvalidFilter);
    assert!(invalid.detail.contains("more than 50 comparisons of members"), "{}", invalid.detail);
}

fn some_path() -> impl Strategy<Value = String> {
    let paths = [
        "userName",
        "externalId",
        "active",
        "name",
        "name.givenName",
        "emails",
        "emails.value",
        "emails.primary",
        "emails[type eq \"work\"]",
        "emails[type eq \"work\"].value",
        "emails[value eq \"a\" and primary eq \"True\"].display",
        "emails[type eq \"B\"].type",
        "emails[primary eq true]",
        "emails[not (type pr)].value",
        "roles[primary eq \"True\"].value",
        "roles",
        "roles[value sw \"a\"]",
        "manager",
        "id",
        "password",
        "colour",
        "emails[",
        "",
    ];
    prop_oneof![
        select(paths.to_vec()).prop_map(str::to_owned),
        select(&["", ":manager", ":manager.value", ":manager.$ref", ":department"][..])
            .prop_map(|rest| format!("{ENTERPRISE}{rest}")),
        select(&["", ":colour", ":Tags"][..]).prop_map(|rest| format!("{CUSTOM_URN}{rest}")),
        ".{0,12}",
    ]
}

fn some_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![select(vec![
        json!(null),
        json!(true),
        json!("True"),
        json!(1),
        json!("a"),
        json!("B"),
        json!(""),
        json!("work"),
        json!([]),
        json!({}),
        json!({"value": "a"}),
        json!({"value": "a", "type": "work"}),
        json!({"value": "B", "primary": "True"}),
        json!({"value": ""}),
        json!({"givenName": "a", "familyName": null}),
        json!({"type": "work", "display": "B"}),
        json!({"value": "a", "$ref": "r"}),
    ])];
    prop_oneof![
        leaf.clone(),
        proptest::collection::vec(leaf.clone(), 1..3).prop_map(Value::from),
        proptest::collection::btree_map(some_path(), leaf, 1..4).prop_map(|map| map.into_iter().collect()),
    ]
}

/// Generates an operation with a value that fits its path.
fn a_sound_operation() -> impl Strategy<Value = Value> {
    let text = || select(vec![json!("a"), json!("B"), json!("work"), json!(""), json!(null)]);
    let flag = || select(vec![json!(true), json!(false), json!("True"), json!("FALSE")]);
    let element = (text(), text(), flag())
        .prop_map(|(value, kind, primary)| json!({"value": value, "type": kind, "primary": primary}));
    let with = |paths: &[&str], values: BoxedStrategy<Value>| {
        let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
        (select(paths), values).prop_map(|(path, value)| (Some(path), value)).boxed()
    };
    let manager = format!("{ENTERPRISE}:manager");
    let (filtered, part) = ("emails[type eq \"work\"]", "emails[type eq \"B\"].value");
    let single = ["externalId", "title", "name.givenName", "emails.value", part, manager.as_str()];
    prop_oneof![
        with(&single, text().boxed()),
        with(
            &["active", "emails[value eq \"a\"].primary", "roles[primary eq \"True\"].primary"],
            flag().boxed()
        ),
        with(&[filtered, "roles[primary eq \"True\"]", &manager], element.clone().boxed()),
        with(
            &["emails", "roles"],
            proptest::collection::vec(element.clone(), 0..3).prop_map(Value::from).boxed()
        ),
        (text(), flag(), element).prop_map(|(text, flag, element)| (
            None,
            json!({"title": text, "active": flag, "name.familyName": text, "roles": element, "id": "x"})
        )),
    ]
    .prop_flat_map(|(path, value)| {
        let ops = if path.is_some() { vec!["add", "Replace", "remove"] } else { vec!["add", "replace"] };
        select(ops).prop_map(move |op| json!({"op": op, "path": path, "value": value}))
    })
}

fn a_wild_operation() -> impl Strategy<Value = Value> {
    let op = select(vec!["add", "Replace", "remove"]);
    (op, proptest::option::of(some_path()), proptest::option::weighted(0.9, some_value())).prop_map(
        |(op, path, value)| {
            let mut operation = json!({"op": op, "path": path});
            if let Some(value) = value {
                operation["value"] = value;
            }
            operation
        },
    )
}

fn some_operations() -> impl Strategy<Value = Vec<Value>> {
    proptest::collection::vec(prop_oneof![4 => a_sound_operation(), 1 => a_wild_operation()], 1..6)
}

fn some_user() -> impl Strategy<Value = Document> {
    some_body().prop_map(|body| Document::from_request(&USER_TYPE, &body).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn patch_result_can_be_written_back(
        before in some_user(),
        operations in some_operations(),
    ) {
        let text = before.to_stored();
        if let Ok(after) = patch(&operations.into()).and_then(|patch| patch.apply(&before)) {
            let written_back = Document::from_request(&USER_TYPE, &shown(&after)).unwrap();
            prop_assert_eq!(written_back.to_stored(), after.to_stored());
        }
        prop_assert_eq!(before.to_stored(), text);
    }

    #[test]
    fn add_is_idempotent(
        before in some_user(),
        // Several changes in one operation may undo each other's selection. One change does not.
        operation in prop_oneof![
            a_sound_operation(),
            a_wild_operation().prop_filter("one change", |wild| wild["path"].as_str().is_some_and(|path| !path.is_empty())),
        ],
    ) {
        let mut add = operation;
        add["op"] = "add".into();
        if let Ok(add) = patch(&json!([add]))
            && let Ok(once) = add.apply(&before)
        {
            match add.apply(&once) {
                // The operation changed an element so that its path no longer selects it.
                Err(invalid) => prop_assert_eq!(invalid.scim_type, ScimType::NoTarget),
                twice => prop_assert_eq!(twice, Ok(once)),
            }
        }
    }

    #[test]
    fn operations_apply_in_sequence(before in some_user(), operations in some_operations()) {
        let one_by_one = operations.iter().try_fold(before.clone(), |document, operation| {
            patch(&json!([operation])).and_then(|patch| patch.apply(&document))
        });
        if let Ok(expected) = one_by_one {
            prop_assert_eq!(patch(&operations.into()).unwrap().apply(&before), Ok(expected));
        }
    }
}
