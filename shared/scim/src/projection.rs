//! Projection: the attributes that a response returns (RFC 7644 §3.9, and `returned`, RFC 7643 §7).
//!
//! `attributes` requests the minimum and the named attributes. `excludedAttributes` requests the default without the
//! named attributes. In any case, a response has every attribute that is returned `always` (`id`, `schemas`), none
//! that is returned `never`, and no member that the schema table does not have. Unknown names are ignored, like
//! attributes without a value. Each element of a list is projected. Values that are empty afterwards are left out.
//!
//! `schemas` never changes, because it lists what the resource has and not what the response returns.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::error::Invalid;
use crate::extension::{self, extension_key};
use crate::lookup::AttributeRef;
use crate::path::Target;
use crate::schema::{Attribute, CUSTOM, ResourceType, Returned, Schema};
use crate::syntax::Path;

/// The attributes that a request wants to see.
///
/// # Examples
/// ```
/// use scim::{projection::Projection, schema::USER_TYPE};
/// use serde_json::json;
///
/// let projection = Projection::parse(&USER_TYPE, Some("userName,name.givenName"), None)?;
/// assert!(!projection.includes("groups"));
///
/// let user = json!({
///     "id": "1",
///     "userName": "ada",
///     "name": { "givenName": "Ada", "familyName": "Lovelace" },
///     "active": true,
/// });
/// let shown = projection.apply(user.as_object().unwrap().clone());
/// let expected = json!({ "id": "1", "userName": "ada", "name": { "givenName": "Ada" } });
/// assert_eq!(shown, *expected.as_object().unwrap());
/// # Ok::<(), scim::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    resource_type: &'static ResourceType,
    requested: Requested,
}

/// The maximum number of names in a list.
pub const MAX_NAMES: usize = 200;

#[derive(Debug, Clone, PartialEq)]
enum Requested {
    Default,
    Only(Named),
    Except(Named),
}

/// The attributes that a request names. All keys are in lower case, because names compare in any case. A resource may have
/// thousands of attributes, so each is looked up and not compared with each name.
#[derive(Debug, Clone, Default, PartialEq)]
struct Named {
    /// The core and common attributes.
    core: HashMap<String, Selection>,
    /// The extensions, by URN.
    extensions: HashMap<String, NamedInExtension>,
}

/// The attributes of an extension that a request names.
#[derive(Debug, Clone, Default, PartialEq)]
struct NamedInExtension {
    /// Whether the request names the whole extension.
    whole: bool,
    attributes: HashMap<String, Selection>,
}

/// The part of an attribute that a request names.
#[derive(Debug, Clone, PartialEq)]
enum Selection {
    SubAttributes(Vec<&'static Attribute>),
    Whole,
}

/// An extension of a document.
struct Extension<'a> {
    /// The schema. `None` for a custom extension.
    schema: Option<&'static Schema>,
    /// The attributes that the request names in it.
    named: Option<&'a NamedInExtension>,
}

impl Projection {
    /// Reads the two parameters, which are comma-separated lists of names.
    ///
    /// # Errors
    /// `invalidValue` if both parameters are present, because they exclude each other (RFC 7644 §3.9), or if a list
    /// has more than 200 names.
    pub fn parse(
        resource_type: &'static ResourceType,
        attributes: Option<&str>,
        excluded: Option<&str>,
    ) -> Result<Self, Invalid> {
        let given = |list: &&str| !list.trim().is_empty();
        let requested = match (attributes.filter(given), excluded.filter(given)) {
            (None, None) => Requested::Default,
            (Some(attributes), None) => Requested::Only(named(resource_type, attributes)?),
            (None, Some(excluded)) => Requested::Except(named(resource_type, excluded)?),
            (Some(_), Some(_)) => {
                return Err(Invalid::value(
                    "The parameters 'attributes' and 'excludedAttributes' exclude each other. Send one of them.",
                ));
            }
        };
        Ok(Self { resource_type, requested })
    }

    /// Creates the projection for a request without either parameter.
    #[must_use]
    pub const fn default_for(resource_type: &'static ResourceType) -> Self {
        Self { resource_type, requested: Requested::Default }
    }

    /// Creates the projection for a client that may not read: `schemas`, `id` and `meta`.
    #[must_use]
    pub fn identity_of(resource_type: &'static ResourceType) -> Self {
        let meta = HashMap::from([("meta".to_owned(), Selection::Whole)]);
        Self { resource_type, requested: Requested::Only(Named { core: meta, ..Named::default() }) }
    }

    /// Returns whether the request has neither parameter.
    #[must_use]
    pub const fn is_default(&self) -> bool {
        matches!(self.requested, Requested::Default)
    }

    /// Returns whether the response includes anything of a core or common attribute. If not, the service need not
    /// read it.
    #[must_use]
    pub fn includes(&self, name: &str) -> bool {
        self.core(name).is_some_and(|definition| self.shows_any(definition, self.named_in_core(name)))
    }

    /// Returns the parts of a document that the response includes.
    #[must_use]
    pub fn apply(&self, document: Map<String, Value>) -> Map<String, Value> {
        let members = document.into_iter().filter_map(|(key, value)| match value {
            Value::Object(members) if extension_key(&key, self.resource_type).is_some() => {
                let extension = self.extension(&key);
                let shown = members
                    .into_iter()
                    .filter_map(|(name, value)| self.in_extension(&extension, name, value));
                let shown: Map<_, _> = shown.collect();
                (!shown.is_empty()).then_some((key, Value::Object(shown)))
            }
            value => {
                let definition = self.core(&key)?;
                let selection = self.named_in_core(&key);
                self.attribute(definition, selection, key, value)
            }
        });
        members.collect()
    }

    /// Projects one attribute of an extension.
    fn in_extension(&self, extension: &Extension<'_>, name: String, value: Value) -> Option<(String, Value)> {
        let definition = match extension.schema {
            Some(schema) => schema.attribute(&name)?,
            None => &CUSTOM,
        };
        let selection = match extension.named {
            None => None,
            Some(named) if named.whole => Some(&Selection::Whole),
            Some(named) => named.attributes.get(&name.to_ascii_lowercase()),
        };
        self.attribute(definition, selection, name, value)
    }

    /// Projects one attribute.
    fn attribute(
        &self,
        definition: &'static Attribute,
        selection: Option<&Selection>,
        key: String,
        value: Value,
    ) -> Option<(String, Value)> {
        if !self.shows_any(definition, selection) {
            return None;
        }
        if definition.sub_attributes.is_empty() {
            return Some((key, value));
        }
        let value = match value {
            Value::Array(elements) if elements.is_empty() => Value::Array(elements),
            Value::Array(elements) => {
                let shown = elements
                    .into_iter()
                    .filter_map(|element| self.sub_attributes(definition, selection, element));
                let shown: Vec<_> = shown.collect();
                if shown.is_empty() {
                    return None;
                }
                Value::Array(shown)
            }
            value => self.sub_attributes(definition, selection, value)?,
        };
        Some((key, value))
    }

    /// Projects one complex value.
    fn sub_attributes(
        &self,
        definition: &'static Attribute,
        selection: Option<&Selection>,
        value: Value,
    ) -> Option<Value> {
        let Value::Object(members) = value else { return None };
        let shown = members.into_iter().filter(|(name, _)| {
            definition.sub(name).is_some_and(|sub| {
                let named = match selection {
                    None => false,
                    Some(Selection::SubAttributes(sub_attributes)) => sub_attributes.contains(&sub),
                    Some(Selection::Whole) => true,
                };
                self.shows(sub, named)
            })
        });
        let shown: Map<_, _> = shown.collect();
        (!shown.is_empty()).then_some(Value::Object(shown))
    }

    /// Looks up a core or common attribute.
    fn core(&self, name: &str) -> Option<&'static Attribute> {
        AttributeRef::in_core(name, self.resource_type).map(|attribute| attribute.definition)
    }

    fn extension(&self, urn: &str) -> Extension<'_> {
        let schema = extension::known(self.resource_type, urn);
        let named = self.named().and_then(|named| named.extensions.get(&urn.to_ascii_lowercase()));
        Extension { schema, named }
    }

    fn named(&self) -> Option<&Named> {
        match &self.requested {
            Requested::Default => None,
            Requested::Only(named) | Requested::Except(named) => Some(named),
        }
    }

    fn named_in_core(&self, name: &str) -> Option<&Selection> {
        self.named()?.core.get(&name.to_ascii_lowercase())
    }

    fn shows_any(&self, definition: &Attribute, selection: Option<&Selection>) -> bool {
        let named = match (selection, &self.requested) {
            (None, _) => false,
            (Some(Selection::Whole), _) => true,
            // Excluding a sub-attribute does not exclude the attribute.
            (Some(Selection::SubAttributes(_)), requested) => matches!(requested, Requested::Only(_)),
        };
        self.shows(definition, named)
    }

    fn shows(&self, attribute: &Attribute, named: bool) -> bool {
        match (attribute.returned, &self.requested) {
            (Returned::Always, _) | (Returned::Default, Requested::Default) => true,
            (Returned::Never, _) => false,
            (Returned::Request, requested) => named && matches!(requested, Requested::Only(_)),
            (Returned::Default, Requested::Only(_)) => named,
            (Returned::Default, Requested::Except(_)) => !named,
        }
    }
}

/// Resolves the names of a list. Unknown names are ignored.
fn named(resource_type: &'static ResourceType, list: &str) -> Result<Named, Invalid> {
    if list.split(',').count() > MAX_NAMES {
        return Err(Invalid::value(format!(
            "The parameters 'attributes' and 'excludedAttributes' take at most {MAX_NAMES} names. Send fewer names."
        )));
    }
    let mut named = Named::default();
    let paths =
        list.split(',').filter_map(|name| Path::parse(name).ok()).filter(|path| path.filter.is_none());
    for target in paths.filter_map(|path| path.resolve(resource_type).ok()) {
        match target {
            Target::Extension(urn) => {
                named.extensions.entry(urn.to_ascii_lowercase()).or_default().whole = true;
            }
            Target::Attribute { attribute, sub, .. } => {
                if let (Some(urn), None) = (&attribute.extension, sub) {
                    // A path divides the URN of a custom extension at its last colon.
                    let whole = format!("{urn}:{}", attribute.name).to_ascii_lowercase();
                    named.extensions.entry(whole).or_default().whole = true;
                }
                let attributes = match attribute.extension {
                    None => &mut named.core,
                    Some(urn) => {
                        &mut named.extensions.entry(urn.to_ascii_lowercase()).or_default().attributes
                    }
                };
                let none = Selection::SubAttributes(Vec::new());
                let selection = attributes.entry(attribute.name.to_ascii_lowercase()).or_insert(none);
                match (&mut *selection, sub) {
                    (Selection::SubAttributes(sub_attributes), Some(sub)) => sub_attributes.push(sub),
                    (_, None) => *selection = Selection::Whole,
                    (Selection::Whole, Some(_)) => {}
                }
            }
        }
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::error::ScimType;
    use crate::schema::{ENTERPRISE_USER_URN, GROUP_TYPE, USER_TYPE, USER_URN};

    const CUSTOM_URN: &str = "urn:ietf:params:scim:schemas:extension:Acme:2.0:User";
    const FREE_URN: &str = "urn:okta:acme:1.0:user:custom";

    fn document() -> Map<String, Value> {
        let document = json!({
            "schemas": [USER_URN, ENTERPRISE_USER_URN, CUSTOM_URN],
            "id": "i",
            "userName": "u",
            "password": "p",
            "unknown": 1,
            "name": {"givenName": "g", "familyName": "f"},
            "emails": [{"value": "a", "type": "work"}, {"type": "home"}],
            ENTERPRISE_USER_URN: {"department": "d", "manager": {"value": "m", "displayName": "b"}},
            CUSTOM_URN: {"Tag": "t", "level": 1},
            FREE_URN: {"a": 1, "b": 2},
            "meta": {"version": "v", "resourceType": "User"},
        });
        document.as_object().unwrap().clone()
    }

    fn shown(attributes: Option<&str>, excluded: Option<&str>) -> Value {
        Value::Object(Projection::parse(&USER_TYPE, attributes, excluded).unwrap().apply(document()))
    }

    /// Asserts that `attributes=…` shows these members beside `schemas` and `id`.
    fn only(attributes: &str, expected: &Value) {
        let mut shown = shown(Some(attributes), None);
        let shown = shown.as_object_mut().unwrap();
        assert!(shown.shift_remove("schemas").is_some() && shown.shift_remove("id").is_some());
        assert_eq!(Value::Object(shown.clone()), *expected, "{attributes}");
    }

    /// Asserts that `excludedAttributes=…` leaves out only these pointers.
    fn without(excluded: &str, pointers: &[&[&str]]) {
        let mut expected = shown(None, None);
        for pointer in pointers {
            let [parents @ .., last] = pointer else { panic!("an empty pointer") };
            let holder = parents.iter().fold(&mut expected, |value, key| &mut value[key]);
            match holder {
                Value::Array(elements) => elements.iter_mut().for_each(|element| {
                    element.as_object_mut().unwrap().shift_remove(*last);
                }),
                holder => assert!(holder.as_object_mut().unwrap().shift_remove(*last).is_some()),
            }
        }
        assert_eq!(shown(None, Some(excluded)), expected, "{excluded}");
    }

    #[test]
    fn default_projection_hides_secret_and_unknown_members() {
        let mut expected = document();
        expected.shift_remove("password");
        expected.shift_remove("unknown");
        let everything = Projection::default_for(&USER_TYPE);
        assert_eq!(everything.apply(document()), expected);
        assert_eq!(Projection::parse(&USER_TYPE, None, None), Ok(everything.clone()));
        assert_eq!(Projection::parse(&USER_TYPE, Some(""), Some(" ")), Ok(everything));
    }

    #[test]
    fn attributes_includes_only_the_named() {
        only("userName", &json!({"userName": "u"}));
        only(" USERNAME , meta.version,", &json!({"userName": "u", "meta": {"version": "v"}}));
        only("name.givenName", &json!({"name": {"givenName": "g"}}));
        only("name.givenName,name", &json!({"name": {"givenName": "g", "familyName": "f"}}));
        only("emails.value", &json!({"emails": [{"value": "a"}]}));
        only("emails.primary", &json!({}));
        only("id", &json!({}));
        only("urn:ietf:params:scim:schemas:core:2.0:User:userName", &json!({"userName": "u"}));
        only(
            &format!("{ENTERPRISE_USER_URN}:Department"),
            &json!({ENTERPRISE_USER_URN: {"department": "d"}}),
        );
        only("manager.value", &json!({ENTERPRISE_USER_URN: {"manager": {"value": "m"}}}));
        only(
            &ENTERPRISE_USER_URN.to_uppercase(),
            &json!({ENTERPRISE_USER_URN: {"department": "d", "manager": {"value": "m", "displayName": "b"}}}),
        );
        only(&CUSTOM_URN.to_uppercase(), &json!({CUSTOM_URN: {"Tag": "t", "level": 1}}));
        only(&format!("{CUSTOM_URN}:tag"), &json!({CUSTOM_URN: {"Tag": "t"}}));
        only(&format!("{CUSTOM_URN}.tag"), &json!({CUSTOM_URN: {"Tag": "t"}}));
        only(FREE_URN, &json!({FREE_URN: {"a": 1, "b": 2}}));
        only(&format!("{}:A", FREE_URN.to_uppercase()), &json!({FREE_URN: {"a": 1}}));
    }

    #[test]
    fn excluded_attributes_hides_only_the_named() {
        without("userName,NAME", &[&["userName"], &["name"]]);
        without("name.givenName", &[&["name", "givenName"]]);
        without("name.givenName,name.familyName", &[&["name"]]);
        without("emails.value", &[&["emails", "value"]]);
        without("id,schemas,foo", &[]);
        without(ENTERPRISE_USER_URN, &[&[ENTERPRISE_USER_URN]]);
        without(
            "department,manager.value",
            &[&[ENTERPRISE_USER_URN, "department"], &[ENTERPRISE_USER_URN, "manager", "value"]],
        );
        without("department,manager", &[&[ENTERPRISE_USER_URN]]);
        without(&format!("{CUSTOM_URN}:TAG"), &[&[CUSTOM_URN, "Tag"]]);
        without(FREE_URN, &[&[FREE_URN]]);
        assert_eq!(shown(None, Some("emails.type"))["emails"], json!([{"value": "a"}]));
    }

    #[test]
    fn never_returned_attributes_cannot_be_requested() {
        only("password", &json!({}));
        only("unknown,emails[type eq \"work\"],,(", &json!({}));
    }

    #[test]
    fn both_lists_and_long_lists_are_refused() {
        for (attributes, excluded) in
            [("userName", "name"), (&*"id,".repeat(200), ""), ("", &*"id,".repeat(200))]
        {
            let error = Projection::parse(&USER_TYPE, Some(attributes), Some(excluded)).unwrap_err();
            assert_eq!(error.scim_type, ScimType::InvalidValue);
        }
    }

    #[test]
    fn projection_includes_requested_attributes() {
        let includes = |attributes, excluded| {
            Projection::parse(&GROUP_TYPE, attributes, excluded).unwrap().includes("members")
        };
        assert!(includes(None, None));
        assert!(includes(Some("displayName,members.value"), None));
        assert!(!includes(Some("displayName"), None));
        assert!(!includes(Some("foo"), None));
        assert!(!includes(None, Some("Members")));
        assert!(includes(None, Some("members.type")));
        let everything = Projection::default_for(&USER_TYPE);
        assert!(
            everything.includes("groups")
                && !everything.includes("password")
                && !everything.includes("members")
        );
    }

    #[test]
    fn projection_without_parameters_is_default() {
        let default =
            |attributes, excluded| Projection::parse(&USER_TYPE, attributes, excluded).unwrap().is_default();
        assert!(default(None, None) && default(Some(""), None));
        assert!(!default(Some("foo"), None) && !default(None, Some("foo")));
    }

    #[test]
    fn empty_list_is_kept() {
        let group = json!({"schemas": [], "id": "g", "members": []});
        let shown = Projection::default_for(&GROUP_TYPE).apply(group.as_object().unwrap().clone());
        assert_eq!(Value::Object(shown), group);
    }

    /// Returns whether each member and element of `part` is in `whole`, in the same order.
    fn is_part(part: &Value, whole: &Value) -> bool {
        match (part, whole) {
            (Value::Object(part), Value::Object(whole)) => {
                part.iter().all(|(key, value)| whole.get(key).is_some_and(|whole| is_part(value, whole)))
            }
            (Value::Array(part), Value::Array(whole)) => {
                let mut rest = whole.iter();
                part.iter().all(|element| rest.any(|whole| is_part(element, whole)))
            }
            _ => part == whole,
        }
    }

    fn names() -> impl Strategy<Value = String> {
        let name = prop_oneof![
            prop::sample::select(vec![
                "schemas",
                "id",
                "password",
                "PASSWORD",
                "userName",
                "name",
                "name.givenName",
                "emails.type",
                "meta",
                "manager",
                "manager.value",
                ENTERPRISE_USER_URN,
                CUSTOM_URN,
                USER_URN,
                "emails",
                "unknown",
                "urn:ietf:params:scim:schemas:core:2.0:User:password",
                "urn:ietf:params:scim:schemas:core:2.0:User:id",
            ])
            .prop_map(str::to_owned),
            any::<String>(),
        ];
        prop::collection::vec(name, 0..6).prop_map(|names| names.join(","))
    }

    proptest! {
        #[test]
        fn returned_always_stays_and_never_goes(names in names(), exclude in any::<bool>()) {
            let (attributes, excluded) = if exclude { (None, Some(&*names)) } else { (Some(&*names), None) };
            let shown = shown(attributes, excluded);
            prop_assert_eq!(&shown["schemas"], &document()["schemas"]);
            prop_assert_eq!(&shown["id"], &document()["id"]);
            prop_assert!(shown.get("password").is_none() && shown.get("unknown").is_none());
            prop_assert!(is_part(&shown, &Value::Object(document())));
        }

        #[test]
        fn includes_agrees_with_apply(names in names(), exclude in any::<bool>()) {
            let (attributes, excluded) = if exclude { (None, Some(&*names)) } else { (Some(&*names), None) };
            let projection = Projection::parse(&USER_TYPE, attributes, excluded).unwrap();
            let shown = projection.apply(document());
            for key in ["schemas", "id", "userName", "password", "name", "meta"] {
                prop_assert_eq!(projection.includes(key), shown.contains_key(key), "{}", key);
            }
        }
    }
}
