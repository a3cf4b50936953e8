//! The body of a POST or PUT: from client JSON to a [`Document`].
//!
//! Attributes under their own names are read directly, and so are the objects of extensions. Any other key may be a path
//! (`name.givenName`, `urn:…:enterprise:2.0:User:department`). It means the same as in a PATCH without a path, so
//! [`crate::patch`] reads it.

use serde_json::{Map, Value};

use crate::error::Invalid;
use crate::extension::{self, Declared, unwrapped};
use crate::lookup::AttributeRef;
use crate::message::are_of_another_type;
use crate::patch::KeyPatch;
use crate::resource::Document;
use crate::schema::{ResourceType, Schema};
use crate::validate::{canonical_document, core_attributes, custom_attributes, extension_attributes};
use crate::value::{check_distinct_names, get_ignore_case};

impl Document {
    /// Reads the body of a POST. Attributes that the client may not write and unknown attributes are ignored (RFC 7644
    /// §3.3).
    ///
    /// # Errors
    /// If a value does not fit its attribute, or if the document as a whole is not valid.
    pub fn from_request(resource_type: &'static ResourceType, body: &Value) -> Result<Self, Invalid> {
        let document = Self::read(resource_type, body)?;
        document.check_additions(resource_type, None)?;
        Ok(document)
    }

    fn read(resource_type: &'static ResourceType, body: &Value) -> Result<Self, Invalid> {
        let Value::Object(body) = body else {
            return Err(Invalid::syntax(format!(
                "The body must be a JSON object with the attributes of a {}.",
                resource_type.name
            )));
        };
        let body = unwrapped(resource_type.schema.id, body)?;
        check_distinct_names(&body)?;
        check_schemas(resource_type, &body)?;
        let declared = Declared::of(&body);
        let mut document = core_attributes(resource_type, &body)?;
        let mut keys = KeyPatch::new(resource_type);
        let mut extensions = Vec::new();
        for (key, value) in &*body {
            if AttributeRef::in_core(key, resource_type).is_some() {
                continue;
            }
            match declared.whole_extension(resource_type, key, value) {
                Some(urn) => {
                    if let Some(object) = extension::object(&urn, value)? {
                        let held = extension_of(resource_type, &urn, object, &mut keys)?;
                        extensions.push((urn, held));
                    }
                }
                None => keys.read(&declared.with_colon(key), value)?,
            }
        }
        extensions.retain(|(_, held)| !held.is_empty());
        extensions.sort_by_key(|(urn, _)| extension::known(resource_type, urn).is_none());
        document.extend(extensions.into_iter().map(|(urn, held)| (urn, held.into())));
        if keys.apply(&mut document)? {
            document = canonical_document(resource_type, &document)?;
        }
        Self::checked(resource_type, document)
    }
}

/// The body of a PUT. It replaces all attributes of a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Replacement {
    resource_type: &'static ResourceType,
    document: Document,
}

impl Replacement {
    /// Reads the body as [`Document::from_request`] does (RFC 7644 §3.5.1).
    ///
    /// # Errors
    /// As [`Document::from_request`], except for values that the stored resource may have.
    pub fn parse(resource_type: &'static ResourceType, body: &Value) -> Result<Self, Invalid> {
        Ok(Self { resource_type, document: Document::read(resource_type, body)? })
    }

    /// Returns the document that replaces the current one. A user without `active` keeps its value.
    ///
    /// # Errors
    /// If the body has a value that is not valid, and the current document does not have the value.
    pub fn apply(&self, current: &Document) -> Result<Document, Invalid> {
        self.document.check_additions(self.resource_type, Some(current))?;
        Ok(self.document.clone().keeping_active(current))
    }
}

/// Reads the object of an extension. Keys that are paths are left to `keys`.
fn extension_of(
    resource_type: &'static ResourceType,
    urn: &str,
    object: &Map<String, Value>,
    keys: &mut KeyPatch,
) -> Result<Map<String, Value>, Invalid> {
    let object = unwrapped(urn, object)?;
    extension::check_count(urn, object.len())?;
    check_distinct_names(&object)?;
    let Some(schema) = extension::known(resource_type, urn) else {
        return custom_attributes(urn, &object);
    };
    read_paths(schema, &object, keys)?;
    extension_attributes(schema, &object)
}

fn read_paths(schema: &Schema, object: &Map<String, Value>, keys: &mut KeyPatch) -> Result<(), Invalid> {
    let is_path = |name: &&String| schema.attribute(name).is_none() && !name.contains(':');
    for name in object.keys().filter(is_path) {
        keys.read(&format!("{}:{name}", schema.id), &object[name])?;
    }
    Ok(())
}

/// Checks the `schemas` of a body, which must be a list of strings. A URN there ends where it ends. Unknown ones have no
/// other effect, because clients leave `schemas` out (authentik), or send a schema of SCIM 1 (`OneLogin`) or one of their
/// own (Microsoft Entra). A body that states to be something else is refused.
fn check_schemas(resource_type: &ResourceType, body: &Map<String, Value>) -> Result<(), Invalid> {
    match get_ignore_case(body, "schemas") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(urns)) if are_of_another_type(resource_type, urns) => {
            Err(Invalid::syntax(format!(
                "The \"schemas\" name another type of resource or message. Send \"{}\".",
                resource_type.schema.id
            )))
        }
        Some(Value::Array(urns)) if urns.iter().all(Value::is_string) => Ok(()),
        Some(_) => Err(Invalid::syntax("Attribute 'schemas' must be a list of strings.")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::subsequence;
    use serde_json::json;

    use super::*;
    use crate::error::ScimType;
    use crate::extension::{MAX_ATTRIBUTES, MAX_EXTENSIONS, extension_key};
    use crate::members;
    use crate::patch::Patch;
    use crate::schema::{ENTERPRISE_USER_URN as ENTERPRISE, GROUP_TYPE, GROUP_URN, USER_TYPE, USER_URN};

    const BADGES: &str = "urn:ietf:params:scim:schemas:extension:Badges:2.0:User";
    const OKTA: &str = "urn:okta:acme:1.0:user:custom";

    fn read(attributes: &Value) -> Result<Document, Invalid> {
        let mut body = json!({"userName": "bob"});
        body.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
        Document::from_request(&USER_TYPE, &body)
    }

    fn patched(before: &Value, operation: &Value) -> Result<Document, Invalid> {
        Patch::parse(&USER_TYPE, &json!({ "Operations": [operation] }))?.apply(&read(before)?)
    }

    /// Asserts that a body, a PATCH without a path and the plain form mean the same.
    fn means(attributes: &Value, plain: &Value) {
        let expected = read(plain).unwrap();
        for op in ["add", "replace"] {
            let operation = json!({"op": op, "value": attributes});
            assert_eq!(patched(&json!({}), &operation).as_ref(), Ok(&expected), "{operation}");
        }
        assert_eq!(read(attributes).map(|document| document.to_stored()), Ok(expected.to_stored()));
    }

    #[test]
    fn keys_that_are_paths_mean_the_same_in_body_and_patch() {
        let department = json!({ENTERPRISE: {"department": "d"}});
        for attributes in [
            json!({format!("{ENTERPRISE}:department"): "d"}),
            json!({format!("{ENTERPRISE}.department"): "d"}),
            json!({format!("{}:Department", ENTERPRISE.to_uppercase()): "d"}),
            json!({"department": "d"}),
            json!({ENTERPRISE: {ENTERPRISE: {"department": "d"}}}),
            json!({ENTERPRISE: {ENTERPRISE.to_lowercase(): {ENTERPRISE: {"department": "d"}}}}),
            json!({ENTERPRISE: {format!("{ENTERPRISE}:department"): "d"}}),
            json!({ENTERPRISE: {format!("{ENTERPRISE}.department"): "d"}}),
            json!({USER_URN: {ENTERPRISE: {"department": "d"}}}),
        ] {
            means(&attributes, &department);
        }
        let name = json!({"name": {"givenName": "G", "familyName": "F"}, "title": "t"});
        for attributes in [
            json!({"name.givenName": "G", "NAME.familyName": "F", "title": "t"}),
            json!({"name": {"givenName": "G"}, "name.familyName": "F", "title": "t"}),
            json!({USER_URN: {"name": {"givenName": "G"}, "title": "t"}, "name.familyName": "F"}),
            json!({USER_URN: {"name.givenName": "G", "name.familyName": "F", "title": "t"}}),
            json!({format!("{USER_URN}:name"): {"givenName": "G"}, format!("{USER_URN}.name.familyName"): "F", format!("{USER_URN}.title"): "t"}),
        ] {
            means(&attributes, &name);
        }
        means(
            &json!({"emails[type eq \"work\"].value": "a", "emails[type eq \"work\"].primary": "True"}),
            &json!({"emails": [{"value": "a", "type": "work", "primary": true}]}),
        );
        means(
            &json!({ENTERPRISE: {"manager.value": "m"}}),
            &json!({ENTERPRISE: {"manager": {"value": "m"}}}),
        );
    }

    #[test]
    fn any_urn_with_an_object_is_an_extension() {
        for urn in [
            OKTA,
            BADGES,
            "urn:ietf:params:scim:schemas:extension:My App [EU]:2.0:User",
            "urn:x",
            "urn:example:1.0",
            "urn:example:schemas:2.0:User",
            "URN:Ünï:c",
            GROUP_EXTENSION,
        ] {
            let kept = json!({urn: {"Colour": "red", "sizes": [1, {"x": null}], "flag": false, "a name": 1, "ä.ö:": 2}});
            means(&kept, &kept);
            assert_eq!(read(&kept).unwrap().get(urn), kept.get(urn));
            means(&json!({urn: {urn: kept[urn]}}), &kept);
            means(
                &json!({urn: {format!("{urn}:Colour"): "red", "sizes": [1, {"x": null}], "flag": false, "a name": 1, "ä.ö:": 2}}),
                &kept,
            );
        }
        for (key, value) in [
            (GROUP_URN, json!({"displayName": "x"})),
            ("urn:", json!({"x": 1})),
            ("urn", json!({"x": 1})),
            ("urn:a b", json!({"x": 1})),
            ("urn:ietf:params:scim:schemas:core:2.0:Users", json!({"active": false})),
            ("urn:ietf:params:scim:schemas:core:2.0:Users:active", json!(false)),
            ("urn:scim:schemas:core:1.0", json!({"userName": "x"})),
            ("urn:ietf:params:scim:schemas:extension:enterprise:1.0:User", json!({"department": "x"})),
            ("urn:ietf:params:scim:api:messages:2.0:PatchOp", json!({"x": 1})),
            ("example:x", json!({"x": 1})),
        ] {
            means(&json!({key: value}), &json!({}));
        }
    }

    #[test]
    fn wrapped_body_is_copied_without_its_members() {
        let body = json!({GROUP_URN: {"displayName": "g", "members": [{"value": "a"}]}, format!("{GROUP_URN}:members"): [{"value": "a"}]});
        let copy = unwrapped(GROUP_URN, body.as_object().unwrap()).unwrap();
        assert_eq!(Value::Object(copy.into_owned()), json!({"displayName": "g"}));
    }

    const GROUP_EXTENSION: &str = "urn:ietf:params:scim:schemas:extension:Badges:2.0:Group";

    #[test]
    fn urn_ends_in_schemas_or_at_the_last_colon() {
        let kept = json!({OKTA: {"colour": "red"}});
        means(&json!({format!("{OKTA}:colour"): "red"}), &kept);
        means(&json!({"schemas": [USER_URN, OKTA], format!("{OKTA}.colour"): "red"}), &kept);
        means(&json!({"schemas": [OKTA.to_uppercase()], OKTA: {"colour": "red"}}), &kept);
        // An object under a key of a declared or known URN is an attribute.
        let object = json!({"x": 1});
        means(&json!({"schemas": [OKTA], format!("{OKTA}:size"): object}), &json!({OKTA: {"size": object}}));
        means(&json!({format!("{BADGES}:size"): object}), &json!({BADGES: {"size": object}}));
        // A URN in `schemas` needs an object.
        let invalid = read(&json!({"schemas": [OKTA], OKTA: "x"})).unwrap_err();
        assert_eq!(invalid.detail, format!("Extension '{OKTA}' must be an object, not a string."));
    }

    #[test]
    fn path_of_an_extension_takes_its_object() {
        let colour = json!({"colour": "red"});
        for (before, path, value) in [
            (json!({}), ENTERPRISE, json!({ENTERPRISE: {"department": "d"}})),
            (json!({}), ENTERPRISE, json!({format!("{ENTERPRISE}.department"): "d"})),
            (json!({}), BADGES, json!({BADGES: colour})),
            (json!({}), OKTA, json!({OKTA: colour})),
            (json!({}), OKTA, colour.clone()),
            (json!({OKTA: {"size": 1, "colour": "blue"}}), OKTA, colour.clone()),
            (json!({OKTA: {"size": 1}}), OKTA, json!({OKTA: colour})),
        ] {
            for op in ["add", "replace"] {
                let after = patched(&before, &json!({"op": op, "path": path, "value": value})).unwrap();
                let held = after.get(path).unwrap();
                let expected = if path == ENTERPRISE { json!({"department": "d"}) } else { colour.clone() };
                assert!(
                    expected.as_object().unwrap().iter().all(|(name, value)| held[name] == *value),
                    "{held}"
                );
                let keeps_size = before.get(path).is_none_or(|before| held["size"] == before["size"]);
                assert!(keeps_size, "{held}");
            }
        }
        let before = json!({OKTA: {"size": 1}});
        assert_eq!(patched(&before, &json!({"op": "remove", "path": OKTA})), read(&json!({})));
        for op in ["add", "replace"] {
            for value in [json!("x"), json!([1]), json!(""), json!([])] {
                let invalid = patched(&before, &json!({"op": op, "path": OKTA, "value": value})).unwrap_err();
                assert_eq!(invalid.scim_type, ScimType::InvalidValue);
            }
            assert_eq!(patched(&before, &json!({"op": op, "path": OKTA, "value": {}})), read(&before));
            assert_eq!(patched(&before, &json!({"op": op, "path": OKTA, "value": null})), read(&json!({})));
            let size = format!("{OKTA}:size");
            assert_eq!(patched(&before, &json!({"op": op, "path": size, "value": ""})), read(&json!({})));
        }
        let invalid = patched(&json!({}), &json!({"op": "add", "path": ENTERPRISE, "value": {"dept": "x"}}))
            .unwrap_err();
        assert_eq!(
            invalid.detail,
            format!(
                "Operations[0]: Extension '{ENTERPRISE}' has none of the attributes in the value. Correct their names."
            )
        );
    }

    #[test]
    fn attribute_under_two_names_is_refused() {
        for attributes in [
            json!({"name": {"givenName": "a"}, "name.givenName": "b"}),
            json!({"title": "a", USER_URN: {"title": "b"}}),
            json!({"title": "a", USER_URN: {"Title": "b"}}),
            json!({"title": "a", format!("{USER_URN}:title"): "b"}),
            json!({"title": "a", format!("{USER_URN}.TITLE"): "b"}),
            json!({"department": "a", format!("{ENTERPRISE}:department"): "b"}),
            json!({ENTERPRISE: {"department": "a"}, format!("{ENTERPRISE}:department"): "b"}),
            json!({ENTERPRISE: {"department": "a", format!("{ENTERPRISE}:department"): "b"}}),
            json!({ENTERPRISE: {"department": "a", ENTERPRISE: {"department": "b"}}}),
            json!({ENTERPRISE: {"manager": {"value": "a"}, "manager.value": "b"}}),
            json!({OKTA: {"colour": "a"}, format!("{OKTA}:Colour"): "b"}),
            json!({"emails": [{"value": "a", "type": "work"}], "emails[type eq \"work\"].value": "b"}),
            json!({"emails[type eq \"work\"].value": "b", "emails": [{"value": "a"}]}),
            json!({"emails": [{"value": "a"}], "emails.value": "b"}),
        ] {
            let invalid = read(&attributes).expect_err(&attributes.to_string());
            assert_eq!(invalid.scim_type, ScimType::InvalidSyntax, "{attributes}");
            let invalid = patched(&json!({}), &json!({"op": "add", "value": attributes})).unwrap_err();
            assert_eq!(invalid.scim_type, ScimType::InvalidSyntax, "{attributes}");
        }
    }

    #[test]
    fn null_or_equal_value_under_another_name_is_no_conflict() {
        let sales = json!({ENTERPRISE: {"department": "Sales", "manager": {"value": "m1"}}});
        for attributes in [
            json!({"department": null, "manager": null, ENTERPRISE: sales[ENTERPRISE]}),
            json!({ENTERPRISE: sales[ENTERPRISE], "department": null, "manager": null}),
            json!({"department": "Sales", "manager": "m1", ENTERPRISE: sales[ENTERPRISE]}),
            json!({format!("{ENTERPRISE}:manager"): [{"value": "m1"}], ENTERPRISE: sales[ENTERPRISE], "manager.value": "m1"}),
            json!({format!("{ENTERPRISE}:department"): "Sales", ENTERPRISE: {"department": null, "manager": "m1"}}),
            json!({ENTERPRISE: {"department": "Sales", format!("{ENTERPRISE}:department"): null, "manager.value": "m1", "manager.displayName": null}}),
            json!({ENTERPRISE: {"department": null, ENTERPRISE: {"department": "Sales"}, "manager": null, "manager.value": "m1"}}),
        ] {
            means(&attributes, &sales);
        }
        for attributes in [
            json!({"title": "t", USER_URN: {"title": "t"}, "name.givenName": "G", "name": null}),
            json!({"title": null, USER_URN: {"title": "t"}, "name.givenName": null, "name": {"givenName": "G"}}),
            json!({USER_URN: {"title": "t"}, "title": "t", "name.givenName": "G", "name": {"givenName": "G"}}),
        ] {
            means(&attributes, &json!({"title": "t", "name": {"givenName": "G"}}));
        }
        let emails = json!({"emails": [{"value": "a", "type": "work"}]});
        let value = "emails[type eq \"work\"].value";
        for attributes in [
            json!({"emails": null, value: "a"}),
            json!({value: "a", "emails": null}),
            json!({value: null, "emails": emails["emails"]}),
            json!({"emails[type eq \"work\"]": null, "emails": emails["emails"]}),
        ] {
            means(&attributes, &emails);
        }
        let reference = json!({ENTERPRISE: {"manager": {"value": "a", "$ref": "r"}}});
        for attributes in [
            json!({ENTERPRISE: {"manager": {"value": "a"}}, format!("{ENTERPRISE}:manager.$ref"): "r"}),
            json!({format!("{ENTERPRISE}:manager.$ref"): "r", ENTERPRISE: {"manager": {"value": "a"}}}),
            json!({"manager": "a", ENTERPRISE: {"manager": {"value": "a", "$ref": "r"}}}),
        ] {
            means(&attributes, &reference);
        }
        let colour = json!({OKTA: {"colour": "red"}});
        for attributes in [
            json!({format!("{OKTA}:colour"): "red", OKTA: {"Colour": "red"}}),
            json!({OKTA: {"colour": "red"}, format!("{OKTA}:colour"): null}),
        ] {
            let operation = json!({"op": "replace", "value": attributes});
            assert!(patched(&json!({}), &operation).is_ok() && read(&attributes).is_ok(), "{attributes}");
        }
        // In a body, a null has no effect. In a PATCH it unassigns the extension, so the order would decide.
        for extension in [OKTA, ENTERPRISE] {
            let (key, value) = if extension == OKTA { ("colour", "red") } else { ("department", "d") };
            let key = format!("{extension}:{key}");
            for attributes in
                [json!({extension: null, key.as_str(): value}), json!({key.as_str(): value, extension: null})]
            {
                assert!(read(&attributes).unwrap().get(extension).is_some());
                let operation = json!({"op": "replace", "value": attributes});
                assert_eq!(patched(&colour, &operation).unwrap_err().scim_type, ScimType::InvalidSyntax);
            }
        }
    }

    #[test]
    fn bare_extension_name_with_an_unfit_value_is_ignored_in_a_body() {
        for (name, value) in [
            ("employeeNumber", json!(4711)),
            ("organization", json!({"name": "Acme"})),
            ("costCenter", json!(["a"])),
            ("Department", json!(true)),
            ("manager", json!(7)),
            ("manager", json!({"name": "x"})),
            ("manager.value", json!(7)),
        ] {
            assert_eq!(read(&json!({name: value})), read(&json!({})), "{name}");
            for key in [format!("{ENTERPRISE}:{name}"), format!("{ENTERPRISE}.{name}")] {
                assert_eq!(read(&json!({key: value})).unwrap_err().scim_type, ScimType::InvalidValue);
            }
            let operation = json!({"op": "replace", "value": {name: value}});
            assert_eq!(patched(&json!({}), &operation).unwrap_err().scim_type, ScimType::InvalidValue);
        }
    }

    #[test]
    fn key_of_an_unknown_attribute_with_brackets_is_ignored() {
        for key in [
            "customs[type eq \"badge\"].value",
            "customs[",
            "a b[x",
            "[",
            "urn:scim:schemas:core:1.0:emails[value pr]",
        ] {
            means(&json!({key: "7"}), &json!({}));
        }
        for key in ["emails[type eq work].value", "userName[value pr]", "emails[", "name.givenName[value pr]"]
        {
            assert!(read(&json!({key: "7"})).is_err(), "{key}");
        }
    }

    #[test]
    fn empty_list_instead_of_an_object_is_unassigned() {
        let department = json!({ENTERPRISE: {"department": "d"}});
        for urn in [ENTERPRISE, BADGES, USER_URN] {
            means(&json!({urn: []}), &json!({}));
            let operation = json!({"op": "replace", "value": {urn: []}});
            assert_eq!(patched(&department, &operation), read(&department));
        }
        means(&json!({ENTERPRISE: {ENTERPRISE: [], "department": "d"}}), &department);
        means(&json!({USER_URN: "x"}), &json!({}));
        assert!(read(&json!({ENTERPRISE: ["x"]})).is_err());
        let operation = json!({"op": "replace", "path": ENTERPRISE, "value": []});
        assert_eq!(patched(&department, &operation).unwrap_err().scim_type, ScimType::InvalidValue);
    }

    #[test]
    fn members_may_be_under_the_core_urn() {
        let ids = |body: &Value| -> Vec<String> {
            let group = Document::from_request(&GROUP_TYPE, body).unwrap();
            assert_eq!(group.display_name(), Some("g"));
            members::from_body(body).unwrap().into_iter().map(|member| member.value).collect()
        };
        let members = json!([{"value": "a"}]);
        assert_eq!(ids(&json!({GROUP_URN: {"displayName": "g", "members": members}})), ["a"]);
        assert_eq!(ids(&json!({"displayName": "g", format!("{GROUP_URN}:members"): members})), ["a"]);
        let foreign = json!({"displayName": "g", ENTERPRISE: {"department": "d"}, format!("{ENTERPRISE}:division"): "v"});
        assert!(ids(&foreign).is_empty());
        assert_eq!(Document::from_request(&GROUP_TYPE, &foreign).unwrap().as_map().len(), 1);
        assert!(members::from_body(&json!({"members": [], GROUP_URN: {"MEMBERS": members}})).is_err());
        for body in [
            json!({GROUP_URN: {GROUP_URN: {"displayName": "g", "members": members}}, "members": null}),
            json!({"members": members, GROUP_URN: {"displayName": "g", "members": members}}),
        ] {
            assert_eq!(ids(&body), ["a"]);
            let operation = json!({"op": "add", "value": body});
            let patch = Patch::parse(&GROUP_TYPE, &json!({ "Operations": [operation] })).unwrap();
            assert_eq!(patch.members(), [members::MemberOperation::Add(members::from_body(&body).unwrap())]);
        }
        for empty in [json!(""), json!({})] {
            assert!(members::from_body(&json!({ "members": empty })).is_err());
        }
    }

    #[test]
    fn values_that_are_stored_block_no_other_change() {
        let stored = |text: &str| Document::from_stored(text).unwrap();
        let named =
            |name: &str| format!(r#"{{"userName":"{name}","active":true,"emails":[{{"value":"{name}"}}]}}"#);
        let numbered = |number: &str| {
            format!(r#"{{"userName":"bob","active":true,"{OKTA}":{{"level":[{{"x":{number}}},1]}}}}"#)
        };
        for text in [
            named("bob\u{378}"),
            named("\u{3164}"),
            named("a\u{200d}b"),
            numbered("1.2345678901234568e29"),
            numbered("1e300"),
            numbered("1.7976931348623157e308"),
            numbered("-0.0"),
        ] {
            let before = stored(&text);
            let body = crate::json::parse(text.replace("true", "false").as_bytes()).unwrap();
            let after = Replacement::parse(&USER_TYPE, &body).unwrap().apply(&before).unwrap();
            assert_eq!(after.to_stored(), before.to_stored().replace("true", "false"));
            for operation in [
                json!({"op": "replace", "path": "active", "value": false}),
                json!({"op": "replace", "value": body}),
            ] {
                let patch = Patch::parse(&USER_TYPE, &json!({ "Operations": [operation] })).unwrap();
                assert_eq!(patch.apply(&before), Ok(after.clone()), "{operation}");
            }
            // A new value is checked.
            let other = stored(&named("bob"));
            assert!(Replacement::parse(&USER_TYPE, &body).unwrap().apply(&other).is_err(), "{text}");
            assert!(Document::from_request(&USER_TYPE, &body).is_err(), "{text}");
        }
    }

    #[test]
    fn number_of_extensions_is_limited() {
        let extensions = |count: usize| -> Value {
            (0..count).map(|index| (format!("urn:x:{index}"), json!({"a": 1}))).collect::<Map<_, _>>().into()
        };
        let most = read(&extensions(MAX_EXTENSIONS)).unwrap();
        let detail = "The resource has 101 extensions. Send at most 100.";
        assert_eq!(read(&extensions(MAX_EXTENSIONS + 1)).unwrap_err().detail, detail);
        let add = json!({ "Operations": [{"op": "add", "path": "urn:y:b:c", "value": 1}] });
        let add = Patch::parse(&USER_TYPE, &add).unwrap();
        assert_eq!(add.apply(&most).unwrap_err().detail, detail);
        let mut more = extensions(MAX_EXTENSIONS + 1);
        more["userName"] = "bob".into();
        let stored = Document::from_stored(&more.to_string()).unwrap();
        assert!(add.apply(&stored).is_err());
        more["active"] = false.into();
        assert!(Replacement::parse(&USER_TYPE, &more).unwrap().apply(&stored).is_ok());
        let deactivate = json!({ "Operations": [{"op": "replace", "path": "active", "value": false}] });
        assert!(Patch::parse(&USER_TYPE, &deactivate).unwrap().apply(&stored).is_ok());
    }

    #[test]
    fn number_of_attributes_of_an_extension_is_limited() {
        let attributes = |from: usize, to: usize| -> Map<String, Value> {
            (from..to).map(|index| (format!("a{index}"), json!(index))).collect()
        };
        let most = json!({OKTA: attributes(0, MAX_ATTRIBUTES)});
        assert!(read(&most).is_ok());
        let more = json!({OKTA: attributes(0, MAX_ATTRIBUTES + 1)});
        let detail = format!("Extension '{OKTA}' has 1001 attributes. Send at most 1000.");
        assert_eq!(read(&more).unwrap_err().detail, detail);
        for operation in [
            json!({"op": "add", "value": {format!("{OKTA}:a1000"): 1}}),
            json!({"op": "add", "path": format!("{OKTA}:a1000"), "value": 1}),
            json!({"op": "replace", "path": OKTA, "value": {"a1000": 1}}),
        ] {
            let invalid = patched(&most, &operation).unwrap_err();
            assert_eq!(invalid.detail, format!("Operations[0]: {detail}"));
        }
        let replaced = json!({"op": "replace", "path": format!("{OKTA}:A999"), "value": 1});
        assert!(patched(&most, &replaced).is_ok());
    }

    #[test]
    fn many_keys_are_read_in_linear_time() {
        let body = |key: &dyn Fn(usize) -> (String, Value)| {
            let keys: Map<String, Value> = (0..200_000).map(key).collect();
            let mut body = json!({"displayName": "g"});
            body.as_object_mut().unwrap().extend(keys);
            Document::from_request(&GROUP_TYPE, &body)
        };
        // This takes minutes if the time of a key grows with the number of keys.
        assert!(body(&|index| (format!("x.y{index}"), json!(1))).is_ok());
        assert!(body(&|index| (format!("{OKTA}:a{index}"), json!(1))).is_err());
        assert!(body(&|index| (format!("urn:x:a{index}"), json!({"b": 1}))).is_err());
        assert!(body(&|index| (format!("urn:x:a{index}:b"), json!(1))).is_err());
        assert!(body(&|index| (format!("{GROUP_URN}:a{index}"), json!(1))).is_ok());
    }

    /// Returns attributes in several forms. Some of them exclude each other.
    fn spelled() -> Vec<(String, Value)> {
        let upper = ENTERPRISE.to_uppercase();
        vec![
            ("schemas".into(), json!([OKTA])),
            ("title".into(), json!("t")),
            (USER_URN.into(), json!({"title": "u", "name.familyName": "F", "unknown": 1})),
            (format!("{USER_URN}:nickName"), json!("n")),
            (format!("{USER_URN}.displayName"), json!("d")),
            ("name".into(), json!({"givenName": "G"})),
            ("name.givenName".into(), json!("H")),
            ("Name.middleName".into(), json!(null)),
            ("department".into(), json!(null)),
            (format!("{ENTERPRISE}:manager.value"), json!(null)),
            (format!("{USER_URN}:name"), json!(null)),
            (format!("{OKTA}.size"), json!(null)),
            ("emails".into(), json!([{"value": "a"}])),
            ("emails[type eq \"work\"].value".into(), json!("b")),
            ("emails[type eq \"home\"].value".into(), json!("c")),
            (ENTERPRISE.into(), json!({"department": "d", "manager.value": "m", "unknown": 1})),
            (upper, json!({ENTERPRISE: {"division": "v"}})),
            (format!("{ENTERPRISE}.costCenter"), json!("c")),
            (format!("{ENTERPRISE}:manager"), json!("o")),
            ("division".into(), json!("w")),
            (BADGES.into(), json!({"tag": [1, 1], "not a name": 1, "a.b": 2})),
            (format!("{BADGES}.level"), json!({"x": 1})),
            (OKTA.into(), json!({OKTA: {"colour": "red"}})),
            (format!("{OKTA}:size"), json!({"y": 2})),
            (format!("{OKTA}.weight"), json!(7)),
            ("urn:okta:acme:1.0:user:plan".into(), json!("gold")),
            ("unknown".into(), json!(1)),
            ("unknown.part".into(), json!(1)),
            ("id".into(), json!("x")),
            ("groups.value".into(), json!("x")),
            ("active".into(), json!({})),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn body_means_the_same_as_a_patch_without_path(
            entries in subsequence(spelled(), 0..8).prop_shuffle(),
        ) {
            let attributes: Value = entries.into_iter().collect::<Map<_, _>>().into();
            let by_body = read(&attributes);
            let by_patch = patched(&json!({}), &json!({"op": "replace", "value": attributes}));
            match (by_body, by_patch) {
                (Ok(by_body), Ok(by_patch)) => prop_assert_eq!(by_body, by_patch),
                (Err(by_body), Err(by_patch)) => prop_assert_eq!(by_body.scim_type, by_patch.scim_type),
                other => prop_assert!(false, "{}: {:?}", attributes, other),
            }
        }

        #[test]
        fn stored_extension_is_written_back(
            urn in prop_oneof!["urn:[a-z:.0-9]{1,12}", "urn:ietf:params:scim:schemas:extension:[a-z.:]{0,4}:2[.]0:User[:.]?[a-z]{0,3}"],
            name in "[a-z]{1,3}",
        ) {
            let body = json!({"userName": "bob", urn.as_str(): {name.as_str(): {"x": 1}}});
            let document = Document::from_request(&USER_TYPE, &body).unwrap();
            let is_kept = document.as_map().len() == 2;
            prop_assert!(is_kept || extension_key(&urn, &USER_TYPE).is_none(), "{}", body);
            let again = Document::from_request(&USER_TYPE, &Value::Object(document.as_map().clone())).unwrap();
            prop_assert_eq!(again.to_stored(), document.to_stored());
        }
    }
}
