use serde_json::json;

use super::*;
use crate::error::ScimType;
use crate::message::{BULK_REQUEST_URN, LIST_RESPONSE_URN, PATCH_OP_URN, SEARCH_REQUEST_URN};
use crate::patch::Patch;
use crate::resource::Document;
use crate::schema::{ENTERPRISE_USER_URN, GROUP_TYPE, GROUP_URN, USER_TYPE, USER_URN};

const CUSTOM_URN: &str = "urn:ietf:params:scim:schemas:extension:Badges:2.0:User";

/// Reads a user with these attributes. Returns the document as text, because order counts.
fn read_user(attributes: &Value) -> Result<String, Invalid> {
    let mut body = json!({"userName": "bob"});
    let Value::Object(attributes) = attributes else { panic!("{attributes}") };
    body.as_object_mut().unwrap().extend(attributes.clone());
    Document::from_request(&USER_TYPE, &body).map(|document| document.to_stored())
}

fn reads(attributes: &Value, expected: &Value) {
    let mut document = json!({"userName": "bob"});
    document.as_object_mut().unwrap().extend(expected.as_object().unwrap().clone());
    assert_eq!(read_user(attributes), Ok(document.to_string()), "{attributes}");
}

fn refuses(attributes: &Value, scim_type: ScimType, detail: &str) {
    let invalid = read_user(attributes).expect_err(&attributes.to_string());
    assert_eq!((invalid.scim_type, invalid.detail.as_str()), (scim_type, detail));
}

#[test]
fn names_take_case_and_order_of_the_schema() {
    reads(
        &json!({
            "urn:IETF:params:scim:schemas:extension:ENTERPRISE:2.0:user": {"Manager": {"VALUE": "1"}, "DEPARTMENT": "x"},
            "Emails": [{"TYPE": "work", "Value": "a@x"}],
            "NAME": {"givenname": "B", "FamilyName": "O"},
        }),
        &json!({
            "name": {"familyName": "O", "givenName": "B"},
            "emails": [{"value": "a@x", "type": "work"}],
            ENTERPRISE_USER_URN: {"department": "x", "manager": {"value": "1"}},
        }),
    );
    let order =
        Document::from_request(&USER_TYPE, &json!({"title": "t", "USERNAME": "b", "EXTERNALID": "e"}));
    assert_eq!(order.unwrap().to_stored(), r#"{"externalId":"e","userName":"b","title":"t"}"#);
}

#[test]
fn read_only_and_unknown_attributes_are_dropped() {
    reads(
        &json!({
            "id": "1", "meta": {"version": "x"}, "schemas": ["urn:scim:schemas:core:1.0"], "password": "p",
            "groups": [{"value": "g"}], "members": [{"value": "m"}], "favouriteColour": "red", "__proto__": {"x": 1},
            "name": {"givenName": "B", "petName": "x"},
            ENTERPRISE_USER_URN: {"manager": {"value": "1", "displayName": "Boss"}, "badge": "x"},
        }),
        &json!({"name": {"givenName": "B"}, ENTERPRISE_USER_URN: {"manager": {"value": "1"}}}),
    );
    let group = json!({"displayName": "g", "members": [{"value": "m"}], "groups": 7, "schemas": null});
    assert_eq!(Document::from_request(&GROUP_TYPE, &group).unwrap().to_stored(), r#"{"displayName":"g"}"#);
}

#[test]
fn null_and_empty_mean_unassigned_at_every_depth() {
    reads(
        &json!({
            "title": null, "nickName": "", "active": null, "name": {"givenName": null, "middleName": ""},
            "emails": [], "addresses": null, "roles": {}, "phoneNumbers": [null, {}, {"value": null, "type": ""}],
            "photos": [{"value": "https://x", "display": null}],
            ENTERPRISE_USER_URN: {"manager": {"value": ""}, "department": null},
            CUSTOM_URN: {"colour": null, "size": "", "tags": []},
        }),
        &json!({"photos": [{"value": "https://x"}]}),
    );
    reads(&json!({ENTERPRISE_USER_URN: null, CUSTOM_URN: null}), &json!({}));
}

#[test]
fn values_of_wrong_type_are_refused_and_not_quoted() {
    use ScimType::InvalidValue;
    for (attributes, detail) in [
        (json!({"externalId": 7}), "Attribute 'externalId' must be a string, not a number."),
        (json!({"userName": true}), "Attribute 'userName' must be a string, not a boolean."),
        (json!({"userName": ["x"]}), "Attribute 'userName' must be a string, not a list."),
        (json!({"active": "yes"}), "Attribute 'active' must be true or false, not a string."),
        (json!({"active": 1}), "Attribute 'active' must be true or false, not a number."),
        (json!({"name": "Bob"}), "Attribute 'name' must be an object, not a string."),
        (
            json!({"name": {"givenName": {"x": 1}}}),
            "Attribute 'name.givenName' must be a string, not an object.",
        ),
        (json!({"emails": "a@x"}), "Attribute 'emails' must be a list, not a string."),
        (
            json!({"emails": ["a@x"]}),
            "Attribute 'emails' has a value of the wrong type. Each value must be an object, not a string.",
        ),
        (json!({"emails": [{"value": 1}]}), "Attribute 'emails.value' must be a string, not a number."),
        (
            json!({"x509Certificates": [{"value": "§"}]}),
            "Attribute 'x509Certificates.value' must be a string of base64.",
        ),
        (
            json!({ENTERPRISE_USER_URN: "x"}),
            "Extension 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User' must be an object, not a string.",
        ),
        (
            json!({ENTERPRISE_USER_URN: {"manager": [{"value": "1"}, {"value": "2"}]}}),
            "Attribute 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager' must be an object, not a list.",
        ),
    ] {
        refuses(&attributes, InvalidValue, detail);
    }
}

#[test]
fn body_must_be_object_and_schemas_a_list() {
    let no_object = Document::from_request(&GROUP_TYPE, &json!([])).unwrap_err();
    assert_eq!(no_object.detail, "The body must be a JSON object with the attributes of a Group.");
    assert_eq!(no_object.scim_type, ScimType::InvalidSyntax);
    let detail = "Attribute 'schemas' must be a list of strings.";
    refuses(&json!({"schemas": "urn"}), ScimType::InvalidSyntax, detail);
    refuses(&json!({"schemas": [7]}), ScimType::InvalidSyntax, detail);
}

#[test]
fn schemas_of_another_type_or_message_are_refused() {
    let detail = "The \"schemas\" name another type of resource or message. Send \"urn:ietf:params:scim:schemas:core:2.0:User\".";
    for other in [GROUP_URN, PATCH_OP_URN, BULK_REQUEST_URN, SEARCH_REQUEST_URN, LIST_RESPONSE_URN] {
        for schemas in [json!([other]), json!([other.to_uppercase()]), json!(["urn:x", other])] {
            refuses(&json!({ "schemas": schemas }), ScimType::InvalidSyntax, detail);
        }
        read_user(&json!({"schemas": [other, USER_URN.to_lowercase()]})).unwrap();
    }
    for schemas in
        [json!([]), json!(null), json!(["urn:scim:schemas:core:1.0"]), json!([ENTERPRISE_USER_URN])]
    {
        read_user(&json!({ "schemas": schemas })).unwrap();
    }
}

#[test]
fn one_object_stands_for_a_list_of_one() {
    let core =
        USER_TYPE.schema.attributes.iter().filter(|attribute| attribute.multi_valued && is_stored(attribute));
    for attribute in core {
        let sub = &attribute.sub_attributes[0];
        let object = json!({ sub.name: "QUJD" });
        let one = read_user(&json!({ attribute.name: object })).unwrap();
        assert_eq!(one, read_user(&json!({ attribute.name: [object] })).unwrap(), "{}", attribute.name);
        assert!(one.contains("QUJD"), "{}", attribute.name);
    }
}

#[test]
fn attribute_in_two_spellings_is_refused() {
    use ScimType::InvalidSyntax;
    let detail = "The names 'USERNAME' and 'userName' refer to the same attribute. Send it once.";
    refuses(&json!({"USERNAME": "eve"}), InvalidSyntax, detail);
    let detail = "The names 'givenName' and 'givenname' refer to the same attribute. Send it once.";
    refuses(&json!({"name": {"givenname": "a", "givenName": "b"}}), InvalidSyntax, detail);
    let detail = "The names 'Colour' and 'colour' refer to the same attribute. Send it once.";
    refuses(&json!({CUSTOM_URN: {"colour": "a", "Colour": "b"}}), InvalidSyntax, detail);
    let upper = CUSTOM_URN.to_ascii_uppercase();
    assert!(read_user(&json!({CUSTOM_URN: {"a": 1}, upper: {"a": 2}})).is_err());
}

#[test]
fn equal_elements_are_kept_once() {
    reads(
        &json!({"emails": [{"value": "a@x", "type": "work"}, {"type": "work", "VALUE": "a@x"}, {"value": "a@x"}]}),
        &json!({"emails": [{"value": "a@x", "type": "work"}, {"value": "a@x"}]}),
    );
}

#[test]
fn at_most_one_value_is_primary() {
    refuses(
        &json!({"roles": [{"value": "a", "primary": true}, {"value": "b", "primary": "True"}]}),
        ScimType::InvalidValue,
        "Attribute 'roles' has more than one primary value. Set \"primary\" to true on at most one.",
    );
    reads(
        &json!({"roles": [{"value": "a", "primary": true}, {"value": "b", "primary": false}]}),
        &json!({"roles": [{"value": "a", "primary": true}, {"value": "b", "primary": false}]}),
    );
}

#[test]
fn number_of_values_is_limited() {
    let values =
        |count: usize| (0..count).map(|index| json!({"value": index.to_string()})).collect::<Value>();
    for (name, most) in [("roles", 100), ("emails", 40)] {
        assert!(read_user(&json!({name: values(most)})).is_ok());
        let detail = format!("Attribute '{name}' has {} values. Send at most {most}.", most + 1);
        refuses(&json!({name: values(most + 1)}), ScimType::InvalidValue, &detail);
    }
    assert!(read_user(&json!({CUSTOM_URN: {"tags": values(101)}})).is_err());
}

#[test]
fn custom_extension_is_kept_as_sent() {
    let kept = json!({CUSTOM_URN: {"Colour": "red", "size": 7, "tags": ["a", "a"], "deep": {"x": [null, {"y": ""}]}}});
    reads(&kept, &kept);
    reads(
        &json!({CUSTOM_URN: {"Business Unit": 1, "größe": 1, "2fa": 1, "a.b": 1, "a:b": 1, "": 1, "a\u{7}": 1}}),
        &json!({CUSTOM_URN: {"Business Unit": 1, "größe": 1, "2fa": 1, "a.b": 1, "a:b": 1}}),
    );
    let detail = format!("Extension '{CUSTOM_URN}' must be an object, not a list.");
    refuses(&json!({CUSTOM_URN: [1]}), ScimType::InvalidValue, &detail);
}

#[test]
fn required_attributes_are_present_and_not_blank() {
    for (resource_type, name) in [(&USER_TYPE, "userName"), (&GROUP_TYPE, "displayName")] {
        for body in [json!({}), json!({name: null}), json!({name: ""}), json!({name: " \u{3000}"})] {
            let invalid = Document::from_request(resource_type, &body).unwrap_err();
            assert_eq!(invalid.scim_type, ScimType::InvalidValue);
            assert_eq!(
                invalid.detail,
                format!("Attribute '{name}' is required. Send a value that is not blank.")
            );
        }
    }
}

#[test]
fn indexed_texts_are_bounded_after_folding() {
    let user = |name: &str, text: &str| {
        read_user(&match name {
            "emails.value" => json!({"emails": [{"value": text}]}),
            name => json!({name: text}),
        })
    };
    for (name, longest) in [
        ("userName", "a".repeat(256)),
        ("userName", "é".repeat(256)),
        ("externalId", "a".repeat(980)),
        ("emails.value", "a".repeat(980)),
        // Full-width letters have three bytes, and one byte after folding.
        ("emails.value", "ａ".repeat(980)),
    ] {
        assert!(user(name, &longest).is_ok(), "{name}");
        let longer = longest.chars().next().unwrap().to_string() + &longest;
        let invalid = user(name, &longer).unwrap_err();
        assert!(invalid.detail.contains("is too long"), "{invalid}");
    }
    // This character folds to 18 characters.
    assert!(
        user("userName", &"\u{FDFA}".repeat(200)).unwrap_err().detail.ends_with("Use at most 1024 bytes.")
    );
    assert!(user("externalId", &"ａ".repeat(980)).is_err(), "caseExact is not folded");
    let group = |text: &str| Document::from_request(&GROUP_TYPE, &json!({"displayName": text}));
    assert!(group(&"a".repeat(1024)).is_ok());
    assert!(group(&"a".repeat(1025)).is_err());
}

#[test]
fn indexed_texts_have_no_invisible_characters() {
    let detail =
        "Attribute 'userName' contains the invisible character U+200B at position 3. Remove the character.";
    refuses(&json!({"userName": "bo\u{200B}b"}), ScimType::InvalidValue, detail);
    assert!(read_user(&json!({"externalId": "a\u{200B}b"})).is_ok());
    assert!(read_user(&json!({"displayName": "a\u{0}\u{200B}b"})).is_ok());
    let detail =
        "Attribute 'externalId' contains the invisible character U+0000 at position 2. Remove the character.";
    refuses(&json!({"externalId": "a\u{0}"}), ScimType::InvalidValue, detail);
    let detail = "Attribute 'emails.value' contains the invisible character U+000A at position 1. Remove the character.";
    refuses(&json!({"emails": [{"value": "\na"}]}), ScimType::InvalidValue, detail);
    // Emoji that are joined by U+200D look like one character.
    assert!(Document::from_request(&GROUP_TYPE, &json!({"displayName": "👨\u{200D}👩\u{200D}👧"})).is_ok());
    for unseen in ['\u{7}', '\u{200B}', '\u{202E}'] {
        let name = format!("a{unseen}b");
        assert!(Document::from_request(&GROUP_TYPE, &json!({"displayName": name})).is_err());
    }
}

#[test]
fn large_resources_are_refused() {
    let photos = |bytes: usize| json!({"photos": [{"value": "x".repeat(bytes)}]});
    assert!(read_user(&photos(300 * 1000)).is_ok());
    let detail = "The resource is larger than 300 KB. Send fewer or shorter values.";
    refuses(&photos(300 * 1024), ScimType::InvalidValue, detail);
}

#[test]
fn unused_data_types_are_read() {
    let read = |data_type, value: Value| {
        // The table is static, so the attribute is leaked.
        let attribute: &'static Attribute = Box::leak(Box::new(Attribute { data_type, name: "x", ..CUSTOM }));
        read_single(attribute, Label::new(None, "x"), &value).map_err(|invalid| invalid.detail)
    };
    assert_eq!(read(Type::Integer, json!(7)), Ok(Some(json!(7))));
    assert_eq!(
        read(Type::Integer, json!(7.5)),
        Err("Attribute 'x' must be a number without a fraction.".into())
    );
    assert_eq!(read(Type::Decimal, json!(7.5)), Ok(Some(json!(7.5))));
    assert_eq!(read(Type::Decimal, json!("7")), Err("Attribute 'x' must be a number, not a string.".into()));
    assert_eq!(read(Type::DateTime, json!("2026-01-31T12:00:00Z")), Ok(Some(json!("2026-01-31T12:00:00Z"))));
    assert!(read(Type::DateTime, json!("31.1.2026")).is_err());
    assert_eq!(read(Type::Binary, json!("aGk=")), Ok(Some(json!("aGk="))));
}

#[test]
fn values_inside_of_custom_values_are_counted() {
    let wide = |count: usize| json!({CUSTOM_URN: {"a": [vec![0; count]]}});
    // The userName, the extension and both lists are values too.
    assert!(read_user(&wide(MAX_RESOURCE_VALUES - 4)).is_ok());
    let detail =
        "The resource has more than 20000 values. Send fewer values, counting those inside of others.";
    refuses(&wide(MAX_RESOURCE_VALUES - 3), ScimType::InvalidValue, detail);
}

/// Returns every complex attribute of a user that a client may write, with the name of its extension.
fn complex_attributes() -> impl Iterator<Item = (Option<&'static str>, &'static Attribute)> {
    let core = USER_TYPE.schema.attributes.iter().map(|attribute| (None, attribute));
    let extensions = USER_TYPE.extensions.iter();
    let extended =
        extensions.flat_map(|schema| schema.attributes.iter().map(|attribute| (Some(schema.id), attribute)));
    core.chain(extended).filter(|(_, attribute)| is_stored(attribute) && attribute.data_type == Type::Complex)
}

/// Sets an attribute in each way in which a client can, and returns the outcomes.
fn set_in_each_way(
    urn: Option<&str>,
    name: &str,
    value: &Value,
) -> Vec<(&'static str, Result<String, Invalid>)> {
    let object = match urn {
        None => json!({ name: value }),
        Some(urn) => json!({ urn: { name: value } }),
    };
    let path = urn.map_or_else(|| name.to_owned(), |urn| format!("{urn}:{name}"));
    vec![
        ("body", read_user(&object)),
        ("key of a body", read_user(&json!({ path.as_str(): value }))),
        ("add", patched(&json!({"op": "add", "path": path, "value": value}))),
        ("replace", patched(&json!({"op": "replace", "path": path, "value": value}))),
        ("add without path", patched(&json!({"op": "add", "value": object}))),
        ("replace without path", patched(&json!({"op": "replace", "value": object}))),
        ("replace a key", patched(&json!({"op": "replace", "value": { path: value }}))),
    ]
}

#[test]
fn values_with_unknown_parts_alone_are_refused() {
    for (urn, attribute) in complex_attributes() {
        let first = attribute.sub_attributes[0].name;
        for value in [
            json!({"address": "x"}),
            json!({"address": {"x": [1]}}),
            json!({"type": "work", "address": "x"}),
            json!({"primary": true, "TYPE": "work", "address": false}),
            json!({first: "", "address": "x"}),
            json!({first: null, "address": 0}),
        ] {
            let value = if attribute.multi_valued { json!([value]) } else { value };
            for (way, outcome) in set_in_each_way(urn, attribute.name, &value) {
                let invalid = outcome.expect_err(&format!("{way}: {} {value}", attribute.name));
                assert_eq!(invalid.scim_type, ScimType::InvalidValue, "{way}: {value}");
                let parts = attribute.sub_attributes.iter().filter(|sub| is_stored(sub));
                for part in parts {
                    assert!(invalid.detail.contains(part.name), "{way}: {}", invalid.detail);
                }
            }
        }
    }
    refuses(
        &json!({"emails": [{"value": "a@x"}, {"address": "b@x"}]}),
        ScimType::InvalidValue,
        "Attribute 'emails' has a value whose content is in unknown sub-attributes. \
         It may have value, display, type, primary.",
    );
}

#[test]
fn values_with_a_known_part_are_kept_without_the_unknown() {
    for (urn, attribute) in complex_attributes() {
        let parts = attribute.sub_attributes.iter().filter(|sub| is_stored(sub));
        for part in parts.filter(|part| !is_qualifier(part.name)) {
            let list = |value: Value| if attribute.multi_valued { json!([value]) } else { value };
            let (sent, kept) = (list(json!({part.name: "x", "address": "y"})), list(json!({part.name: "x"})));
            let expected = set_in_each_way(urn, attribute.name, &kept);
            assert!(expected[0].1.as_ref().is_ok_and(|stored| stored.contains(part.name)));
            assert_eq!(set_in_each_way(urn, attribute.name, &sent), expected, "{}", attribute.name);
        }
    }
}

#[test]
fn empty_unknown_and_read_only_parts_say_nothing() {
    for value in [json!([{"address": null}]), json!([{"address": ""}, {}]), json!([null])] {
        reads(&json!({"emails": value}), &json!({}));
    }
    reads(&json!({ENTERPRISE_USER_URN: {"manager": {"displayName": "Boss"}}}), &json!({}));
    reads(
        &json!({"emails": [{"type": "work", "primary": true}]}),
        &json!({"emails": [{"type": "work", "primary": true}]}),
    );
}

#[test]
fn elements_whose_value_is_empty_are_not_kept() {
    for empty in [json!(""), json!(null)] {
        let hollow = json!({"value": empty, "type": "work", "primary": true});
        reads(&json!({"emails": [hollow]}), &json!({}));
        reads(&json!({"emails": [hollow, {"value": "a@x"}]}), &json!({"emails": [{"value": "a@x"}]}));
        reads(&json!({"addresses": [{"formatted": empty, "type": "work"}]}), &json!({}));
        let displayed = json!({"emails": [{"value": empty, "display": "A", "type": "work"}]});
        reads(&displayed, &json!({"emails": [{"display": "A", "type": "work"}]}));
    }
}

/// Returns each attribute and sub-attribute of a user with its path.
fn simple_attributes() -> Vec<(String, &'static Attribute)> {
    let mut found = Vec::new();
    let core = COMMON.iter().chain(USER_TYPE.schema.attributes).map(|attribute| (String::new(), attribute));
    let extended = USER_TYPE
        .extensions
        .iter()
        .flat_map(|schema| schema.attributes.iter().map(|attribute| (format!("{}:", schema.id), attribute)));
    for (prefix, attribute) in core.chain(extended).filter(|(_, attribute)| is_stored(attribute)) {
        let path = format!("{prefix}{}", attribute.name);
        let parts = attribute.sub_attributes.iter().filter(|sub| is_stored(sub));
        found.extend(parts.map(|sub| (format!("{path}.{}", sub.name), sub)));
        if attribute.data_type != Type::Complex {
            found.push((path, attribute));
        }
    }
    found
}

#[test]
fn empty_values_of_another_type_are_refused() {
    let attributes = simple_attributes();
    assert!(attributes.len() > 50, "{}", attributes.len());
    for (path, attribute) in attributes {
        let wrong: &[Value] = match attribute.data_type {
            Type::Boolean => &[json!({}), json!([]), json!("")],
            _ => &[json!({}), json!([])],
        };
        for value in wrong {
            for (way, outcome) in [
                ("body", read_user(&json!({ path.as_str(): value }))),
                ("path", patched(&json!({"op": "replace", "path": path, "value": value}))),
                ("pathless", patched(&json!({"op": "add", "value": { path.as_str(): value }}))),
            ] {
                let invalid = outcome.expect_err(&format!("{way}: {path} {value}"));
                assert_eq!(invalid.scim_type, ScimType::InvalidValue, "{way}: {path} {value}");
            }
        }
    }
    for (attribute, detail) in [
        (json!({"active": {}}), "Attribute 'active' must be true or false, not an object."),
        (json!({"active": ""}), "Attribute 'active' must be true or false, not a string."),
        (json!({"title": []}), "Attribute 'title' must be a string, not a list."),
        (json!({"emails": ""}), "Attribute 'emails' must be a list, not a string."),
        (json!({"name": ""}), "Attribute 'name' must be an object, not a string."),
        (
            json!({"emails": [""]}),
            "Attribute 'emails' has a value of the wrong type. Each value must be an object, not a string.",
        ),
        (
            json!({"emails": [[]]}),
            "Attribute 'emails' has a value of the wrong type. Each value must be an object, not a list.",
        ),
        (
            json!({ENTERPRISE_USER_URN: ""}),
            "Extension 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User' must be an object, not a string.",
        ),
    ] {
        refuses(&attribute, ScimType::InvalidValue, detail);
    }
}

fn patched(operation: &Value) -> Result<String, Invalid> {
    let before = Document::from_request(&USER_TYPE, &json!({"userName": "bob", "active": false}))?;
    let patch = Patch::parse(&USER_TYPE, &json!({ "Operations": [operation] }))?;
    patch.apply(&before).map(|document| document.to_stored())
}

#[test]
fn numbers_are_kept_exactly_or_refused() {
    let level = |number: &str| {
        let body = format!(r#"{{"userName":"bob","{CUSTOM_URN}":{{"level":{{"x":[{number}]}}}}}}"#);
        let body = crate::json::parse(body.as_bytes()).unwrap();
        Document::from_request(&USER_TYPE, &body).map(|document| document.to_stored())
    };
    for number in ["0", "-1", "18446744073709551615", "-9223372036854775808", "1.5", "-0.25", "1e-300", "1e3"]
    {
        let stored: Value = serde_json::from_str(&level(number).unwrap()).unwrap();
        let expected: Value = serde_json::from_str(number).unwrap();
        assert_eq!(stored[CUSTOM_URN]["level"]["x"][0], expected);
    }
    for number in
        ["-0", "18446744073709551616", "-9223372036854775809", "123456789012345678901234567890", "1e300"]
    {
        let invalid = level(number).unwrap_err();
        assert_eq!(invalid.scim_type, ScimType::InvalidValue);
        assert!(invalid.detail.ends_with("of more than 64 bits. Send the number as a string."), "{invalid}");
        let value = crate::json::parse(number.as_bytes()).unwrap();
        for operation in [
            json!({"op": "add", "path": format!("{CUSTOM_URN}:level"), "value": value}),
            json!({"op": "replace", "value": {CUSTOM_URN: {"level": [value]}}}),
            json!({"op": "replace", "value": {format!("{CUSTOM_URN}:level"): value}}),
        ] {
            assert_eq!(patched(&operation).unwrap_err().scim_type, ScimType::InvalidValue);
        }
    }
}
