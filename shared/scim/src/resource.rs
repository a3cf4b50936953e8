//! Resources (RFC 7643 §3): the documents that clients write, and their representation.
//!
//! A [`Document`] is the canonical JSON of what the client may write. It does not hold `schemas`, which follows from
//! the other attributes, nor `id` and `meta`, which belong to the store. Memberships (`groups`, `members`) are stored
//! beside the document, and passwords are not stored. There is one constructor for each way to write: a body in
//! [`crate::body`], and a PATCH in [`crate::patch`]. Both end in the same check, so every document is valid. Writing
//! back the result of [`render`] changes nothing.
//!
//! A document is not a struct with a field for each attribute, because the schema table lists the attributes.
//! Accessors exist only for attributes that the service itself uses.

use serde_json::{Map, Value, json};

use crate::error::Invalid;
use crate::id::Id;
use crate::schema::{ACTIVE, Attribute, COMMON, Mutability, ResourceType, USER};
use crate::validate;
use crate::value::json_text;

/// A resource as the client wrote it, in canonical form.
///
/// Names, order and types are those of the schema table. No value is unassigned. The attributes of an extension are
/// in an object under its URN.
#[derive(Debug, Clone, PartialEq)]
pub struct Document(Map<String, Value>);

/// The attributes that the service adds to a document.
#[derive(Debug, Clone)]
pub struct Meta<'a> {
    /// The id of the resource.
    pub id: &'a Id,
    /// The version: the text of the `ETag`, without `W/""`.
    pub version: &'a str,
    /// The time of creation (RFC 3339, UTC, milliseconds).
    pub created: &'a str,
    /// The time of the last change (RFC 3339, UTC, milliseconds).
    pub last_modified: &'a str,
    /// The URI of the resource.
    pub location: String,
}

impl Document {
    /// Reads a document after a PATCH. Reading it again removes unassigned values and duplicates.
    pub(crate) fn from_patched(
        resource_type: &'static ResourceType,
        stored: &Self,
        patched: &Map<String, Value>,
    ) -> Result<Self, Invalid> {
        let patched = Self::checked(resource_type, validate::canonical_document(resource_type, patched)?)?;
        patched.check_additions(resource_type, Some(stored))?;
        Ok(patched)
    }

    /// Checks the rules of a whole document in canonical form, except those of [`Self::check_additions`].
    pub(crate) fn checked(
        resource_type: &'static ResourceType,
        document: Map<String, Value>,
    ) -> Result<Self, Invalid> {
        validate::check_document(resource_type, &document)?;
        Ok(Self(document))
    }

    /// Checks the rules that hold for what the document adds to the stored one.
    pub(crate) fn check_additions(
        &self,
        resource_type: &'static ResourceType,
        stored: Option<&Self>,
    ) -> Result<(), Invalid> {
        validate::check_additions(resource_type, &self.0, stored.map(Self::as_map))
    }

    /// Reads a document that [`Self::to_stored`] wrote.
    ///
    /// # Errors
    /// If the text is not a JSON object.
    pub fn from_stored(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }

    /// Returns the document of a new user. A user is active unless the client says otherwise.
    #[must_use]
    pub fn active_by_default(self) -> Self {
        self.with_active(Some(&Value::Bool(true)))
    }

    /// Returns the document of a user that replaces another. `active` keeps its value unless the client sends one, so
    /// that a client that does not know the attribute neither enables nor disables a user.
    pub(crate) fn keeping_active(self, current: &Self) -> Self {
        self.with_active(current.get(ACTIVE))
    }

    fn with_active(mut self, active: Option<&Value>) -> Self {
        if let Some(active) = active
            && !self.0.contains_key(ACTIVE)
        {
            let before =
                COMMON.iter().chain(USER.attributes).take_while(|attribute| attribute.name != ACTIVE);
            let place = before.filter(|attribute| self.0.contains_key(attribute.name)).count();
            self.0.shift_insert(place, ACTIVE.to_owned(), active.clone());
        }
        self
    }

    /// Returns the text to store.
    #[must_use]
    pub fn to_stored(&self) -> String {
        json_text(&self.0)
    }

    /// Returns all attributes.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Returns the attribute of a canonical name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// Returns the `userName` of a user.
    #[must_use]
    pub fn user_name(&self) -> Option<&str> {
        self.text("userName")
    }

    /// Returns the `displayName`.
    #[must_use]
    pub fn display_name(&self) -> Option<&str> {
        self.text("displayName")
    }

    /// Returns whether a user is active. A user without the attribute is.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.get(ACTIVE) != Some(&Value::Bool(false))
    }

    /// Returns the `externalId`, the identifier from the identity provider.
    #[must_use]
    pub fn external_id(&self) -> Option<&str> {
        self.text("externalId")
    }

    /// Returns the e-mail addresses.
    pub fn emails(&self) -> impl Iterator<Item = &str> {
        self.get("emails")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|email| email["value"].as_str())
    }
}

/// Renders a resource with all its attributes: `schemas`, `id`, `externalId`, the core attributes in the order of the
/// table, extensions, and `meta`.
///
/// `extra` is the membership attribute, `groups` or `members`, with its values. It is inserted at its place among the
/// attributes. If its list is empty, `groups` is left out as unassigned, because only the service writes it.
/// `members` is shown empty, because the client writes it.
#[must_use]
pub fn render(
    resource_type: &'static ResourceType,
    document: &Document,
    meta: &Meta<'_>,
    mut extra: Option<(&'static str, Vec<Value>)>,
) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("schemas".into(), json!(schemas_of(resource_type, document)));
    shown.insert("id".into(), meta.id.as_str().into());
    for attribute in COMMON.iter().chain(resource_type.schema.attributes) {
        if let Some((name, values)) = extra.take_if(|(name, _)| *name == attribute.name) {
            if !values.is_empty() || attribute.mutability != Mutability::ReadOnly {
                shown.insert(name.into(), values.into());
            }
        } else if let Some(value) = document.get(attribute.name) {
            shown.insert(attribute.name.into(), value.clone());
        }
    }
    for (urn, extension) in extensions_of(resource_type, document) {
        shown.insert(urn.clone(), extension.clone());
    }
    shown.insert(
        "meta".into(),
        json!({
            "resourceType": resource_type.name,
            "created": meta.created,
            "lastModified": meta.last_modified,
            "location": meta.location,
            "version": etag(meta.version),
        }),
    );
    shown
}

/// Formats a version as an `ETag` (RFC 7644 §3.14). The tag is weak, because the same version has many projections.
#[must_use]
pub fn etag(version: &str) -> String {
    format!("W/\"{version}\"")
}

/// Returns the schemas of a resource (RFC 7643 §3): the core schema, and each extension that has values.
#[must_use]
pub fn schemas_of<'a>(resource_type: &'static ResourceType, document: &'a Document) -> Vec<&'a str> {
    let extensions = extensions_of(resource_type, document).map(|(urn, _)| urn.as_str());
    std::iter::once(resource_type.schema.id).chain(extensions).collect()
}

/// Returns the extensions of a document. [`validate::canonical_document`] accepts no members other than core
/// attributes and extensions.
fn extensions_of<'a>(
    resource_type: &'static ResourceType,
    document: &'a Document,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    let is_core = |name: &str| {
        let named = |attribute: &Attribute| attribute.name == name;
        COMMON.iter().any(named) || resource_type.schema.attributes.iter().any(named)
    };
    document.0.iter().filter(move |(name, _)| !is_core(name))
}

#[cfg(test)]
pub(crate) mod tests {
    use expect_test::expect;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::schema::{ENTERPRISE_USER_URN, GROUP_TYPE, USER_TYPE};

    pub(crate) const CUSTOM_URN: &str = "urn:ietf:params:scim:schemas:extension:Badges:2.0:User";

    pub(crate) fn meta(id: &Id) -> Meta<'_> {
        let time = "2026-11-23T04:05:06.789Z";
        Meta {
            id,
            version: "7",
            created: time,
            last_modified: time,
            location: "https://x.example/Users/1".into(),
        }
    }

    pub(crate) fn an_id() -> Id {
        Id::v7(0, [7; 10])
    }

    /// Generates bodies from few values, so that two bodies often have values in common.
    pub(crate) fn some_body() -> impl Strategy<Value = Value> {
        let text = || select(vec![json!(null), json!(""), json!("a"), json!("B"), json!("work")]);
        let flag = || select(vec![json!(null), json!(true), json!(false), json!("True"), json!("false")]);
        let element = (text(), text(), text(), flag()).prop_map(|(value, kind, display, primary)| {
            json!({"value": value, "type": kind, "display": display, "primary": primary})
        });
        let elements = || {
            proptest::collection::vec(element.clone(), 0..4).prop_map(|mut elements| {
                let is_primary = |element: &Value| element["primary"] == true || element["primary"] == "True";
                let first = elements.iter().position(is_primary).unwrap_or_default();
                elements.iter_mut().skip(first + 1).for_each(|element| element["primary"] = false.into());
                Value::from(elements)
            })
        };
        let manager = prop_oneof![
            text(),
            text().prop_map(|id| json!({"value": id, "$ref": "r"})),
            text().prop_map(|id| json!([{"value": id}]))
        ];
        let custom = prop_oneof![text(), select(vec![json!(["a", "b"]), json!({"x": null}), json!(7)])];
        (text(), text(), text(), flag(), elements(), elements(), (manager, text(), custom)).prop_map(
            |(external_id, given_name, family_name, active, emails, roles, (manager, department, custom))| {
                json!({
                    "schemas": [], "id": "x", "userName": "bob", "externalId": external_id, "active": active,
                    "name": {"givenName": given_name, "familyName": family_name}, "emails": emails, "ROLES": roles,
                    ENTERPRISE_USER_URN: {"manager": manager, "department": department},
                    CUSTOM_URN: {"Colour": custom},
                })
            },
        )
    }

    pub(crate) fn shown(document: &Document) -> Value {
        let groups = vec![json!({"value": "g"})];
        Value::Object(render(&USER_TYPE, document, &meta(&an_id()), Some(("groups", groups))))
    }

    #[test]
    fn user_is_rendered_in_schema_order() {
        let document = Document::from_request(
            &USER_TYPE,
            &json!({
                CUSTOM_URN: {"tag": 1},
                ENTERPRISE_USER_URN: {"manager": "2"},
                "roles": [{"value": "r"}],
                "emails": [{"value": "a@x", "primary": true}],
                "active": true,
                "externalId": "e",
                "userName": "bob",
            }),
        );
        let id = an_id();
        let groups = vec![json!({"value": "g", "type": "direct"})];
        let shown = render(&USER_TYPE, &document.unwrap(), &meta(&id), Some(("groups", groups)));
        expect![[r#"
            {
              "schemas": [
                "urn:ietf:params:scim:schemas:core:2.0:User",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
                "urn:ietf:params:scim:schemas:extension:Badges:2.0:User"
              ],
              "id": "00000000-0000-7707-8707-070707070707",
              "externalId": "e",
              "userName": "bob",
              "active": true,
              "emails": [
                {
                  "value": "a@x",
                  "primary": true
                }
              ],
              "groups": [
                {
                  "value": "g",
                  "type": "direct"
                }
              ],
              "roles": [
                {
                  "value": "r"
                }
              ],
              "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
                "manager": {
                  "value": "2"
                }
              },
              "urn:ietf:params:scim:schemas:extension:Badges:2.0:User": {
                "tag": 1
              },
              "meta": {
                "resourceType": "User",
                "created": "2026-11-23T04:05:06.789Z",
                "lastModified": "2026-11-23T04:05:06.789Z",
                "location": "https://x.example/Users/1",
                "version": "W/\"7\""
              }
            }"#]]
        .assert_eq(&serde_json::to_string_pretty(&shown).unwrap());
    }

    #[test]
    fn empty_members_are_rendered_and_empty_groups_are_not() {
        let id = an_id();
        let group =
            Document::from_request(&GROUP_TYPE, &json!({"displayName": "g", "externalId": "e"})).unwrap();
        let shown = render(&GROUP_TYPE, &group, &meta(&id), Some(("members", vec![])));
        expect![[r#"
            {
              "schemas": [
                "urn:ietf:params:scim:schemas:core:2.0:Group"
              ],
              "id": "00000000-0000-7707-8707-070707070707",
              "externalId": "e",
              "displayName": "g",
              "members": [],
              "meta": {
                "resourceType": "Group",
                "created": "2026-11-23T04:05:06.789Z",
                "lastModified": "2026-11-23T04:05:06.789Z",
                "location": "https://x.example/Users/1",
                "version": "W/\"7\""
              }
            }"#]]
        .assert_eq(&serde_json::to_string_pretty(&shown).unwrap());
        assert!(!render(&GROUP_TYPE, &group, &meta(&id), None).contains_key("members"));
        let user = Document::from_request(&USER_TYPE, &json!({"userName": "u"})).unwrap();
        assert!(!render(&USER_TYPE, &user, &meta(&id), Some(("groups", vec![]))).contains_key("groups"));
    }

    #[test]
    fn accessors_return_their_attributes() {
        let body = json!({
            "userName": "bob", "displayName": "Bob", "externalId": "e",
            "emails": [{"value": "a@x"}, {"type": "home"}, {"value": "b@x"}],
        });
        let user = Document::from_request(&USER_TYPE, &body).unwrap();
        assert_eq!((user.user_name(), user.display_name()), (Some("bob"), Some("Bob")));
        assert_eq!(user.external_id(), Some("e"));
        assert_eq!(user.emails().collect::<Vec<_>>(), ["a@x", "b@x"]);
        let user = Document::from_request(&USER_TYPE, &json!({"userName": "bob"})).unwrap();
        assert_eq!((user.external_id(), user.emails().count()), (None, 0));
    }

    proptest! {
        #[test]
        fn writing_back_a_rendered_document_changes_nothing(body in some_body()) {
            let document = Document::from_request(&USER_TYPE, &body).unwrap();
            let again = Document::from_request(&USER_TYPE, &shown(&document)).unwrap();
            prop_assert_eq!(again.to_stored(), document.to_stored());
            let stored = Document::from_stored(&document.to_stored()).unwrap();
            prop_assert_eq!(stored, document);
        }

        #[test]
        fn schemas_are_the_urns_of_the_document(body in some_body()) {
            let document = Document::from_request(&USER_TYPE, &body).unwrap();
            let keys = document.as_map().keys().filter(|key| key.starts_with("urn:")).map(String::as_str);
            let expected: Vec<_> = std::iter::once(USER_TYPE.schema.id).chain(keys).collect();
            prop_assert_eq!(schemas_of(&USER_TYPE, &document), expected);
        }
    }
}
