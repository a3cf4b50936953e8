//! Which attributes an answer shows (RFC 7644 §3.9, RFC 7643 §7 `returned`).
//!
//! `attributes` asks for the minimum and what it names, `excludedAttributes` for the default without what it names.
//! Whatever is asked, an attribute returned `always` (`id`, `schemas`) is shown, one returned `never` is not, and neither
//! is a member of the document that the table does not know. An unknown name selects nothing, as if it had no value.
//! Elements of lists are projected one by one; what is empty afterwards is left out.
//!
//! Absent on purpose: any change to `schemas`, which lists what the resource has, not what the answer shows.

use serde_json::{Map, Value};

use crate::error::Invalid;
use crate::lookup::{AttributeRef, extension_key};
use crate::path::Target;
use crate::schema::{Attribute, ResourceType, Returned};
use crate::syntax::{Name, Path};

/// What a request asked to be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    resource_type: &'static ResourceType,
    requested: Requested,
}

/// How many names a list may have: each is looked at for each attribute of each resource.
const MAX_NAMES: usize = 200;

#[derive(Debug, Clone, PartialEq)]
enum Requested {
    Default,
    Only(Vec<Target>),
    Except(Vec<Target>),
}

/// How a request names an attribute.
enum Selection {
    None,
    SubAttributes(Vec<&'static Attribute>),
    Whole,
}

impl Projection {
    /// Reads the two parameters, lists of names divided by commas.
    ///
    /// # Errors
    /// `invalidValue` if both are there (they contradict each other, RFC 7644 §3.9) or a list has more than 200 names.
    pub fn parse(
        resource_type: &'static ResourceType,
        attributes: Option<&str>,
        excluded: Option<&str>,
    ) -> Result<Self, Invalid> {
        let given = |list: &&str| !list.trim().is_empty();
        let requested = match (attributes.filter(given), excluded.filter(given)) {
            (None, None) => Requested::Default,
            (Some(attributes), None) => Requested::Only(targets(resource_type, attributes)?),
            (None, Some(excluded)) => Requested::Except(targets(resource_type, excluded)?),
            (Some(_), Some(_)) => {
                return Err(Invalid::value(
                    "'attributes' and 'excludedAttributes' cannot be given together: choose one.",
                ));
            }
        };
        Ok(Self { resource_type, requested })
    }

    /// What is shown when nothing is asked.
    #[must_use]
    pub const fn default_for(resource_type: &'static ResourceType) -> Self {
        Self { resource_type, requested: Requested::Default }
    }

    /// Whether nothing was asked.
    #[must_use]
    pub const fn is_default(&self) -> bool {
        matches!(self.requested, Requested::Default)
    }

    /// Whether anything of a core or common attribute would be shown: if not, it need not be read.
    #[must_use]
    pub fn includes(&self, name: &str) -> bool {
        self.attribute(None, name).is_some_and(|attribute| self.shows_any(&attribute))
    }

    /// The document with what is to be shown.
    #[must_use]
    pub fn apply(&self, document: Map<String, Value>) -> Map<String, Value> {
        let members = document.into_iter().filter_map(|(key, value)| match value {
            Value::Object(members) if extension_key(&key, self.resource_type).is_some() => {
                let shown =
                    members.into_iter().filter_map(|(name, value)| self.member(Some(&key), name, value));
                let shown: Map<_, _> = shown.collect();
                (!shown.is_empty()).then_some((key, Value::Object(shown)))
            }
            value => self.member(None, key, value),
        });
        members.collect()
    }

    /// One member of the document or of an extension's object, or what is left of it.
    fn member(&self, extension: Option<&str>, key: String, value: Value) -> Option<(String, Value)> {
        let attribute = self.attribute(extension, &key)?;
        if !self.shows_any(&attribute) {
            return None;
        }
        if attribute.definition.sub_attributes.is_empty() {
            return Some((key, value));
        }
        let selection = self.selection(&attribute);
        let value = match value {
            Value::Array(elements) if elements.is_empty() => Value::Array(elements),
            Value::Array(elements) => {
                let shown = elements
                    .into_iter()
                    .filter_map(|element| self.sub_attributes(&attribute, &selection, element));
                let shown: Vec<_> = shown.collect();
                if shown.is_empty() {
                    return None;
                }
                Value::Array(shown)
            }
            value => self.sub_attributes(&attribute, &selection, value)?,
        };
        Some((key, value))
    }

    /// What is shown of one complex value.
    fn sub_attributes(&self, attribute: &AttributeRef, selection: &Selection, value: Value) -> Option<Value> {
        let Value::Object(members) = value else { return None };
        let shown = members.into_iter().filter(|(name, _)| {
            attribute.definition.sub(name).is_some_and(|sub| {
                let named = match selection {
                    Selection::None => false,
                    Selection::SubAttributes(sub_attributes) => sub_attributes.contains(&sub),
                    Selection::Whole => true,
                };
                self.shows(sub, named)
            })
        });
        let shown: Map<_, _> = shown.collect();
        (!shown.is_empty()).then_some(Value::Object(shown))
    }

    /// A key of a document, looked up as any name is.
    fn attribute(&self, extension: Option<&str>, key: &str) -> Option<AttributeRef> {
        let urn = extension.unwrap_or(self.resource_type.schema.id).to_owned();
        let name = Name { urn: Some(urn), attribute: key.to_owned(), sub: None, position: 0 };
        name.lookup(self.resource_type).map(|(attribute, _)| attribute)
    }

    fn shows_any(&self, attribute: &AttributeRef) -> bool {
        let named = match (self.selection(attribute), &self.requested) {
            (Selection::None, _) => false,
            (Selection::Whole, _) => true,
            // To exclude a part is not to exclude the whole.
            (Selection::SubAttributes(_), requested) => matches!(requested, Requested::Only(_)),
        };
        self.shows(attribute.definition, named)
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

    fn selection(&self, attribute: &AttributeRef) -> Selection {
        let (Requested::Only(targets) | Requested::Except(targets)) = &self.requested else {
            return Selection::None;
        };
        let mut sub_attributes = Vec::new();
        for target in targets {
            match target {
                Target::Extension(urn) if same(attribute.extension.as_deref(), Some(urn)) => {
                    return Selection::Whole;
                }
                Target::Attribute { attribute: named, sub, .. }
                    if same(attribute.extension.as_deref(), named.extension.as_deref())
                        && attribute.name.eq_ignore_ascii_case(&named.name) =>
                {
                    match sub {
                        None => return Selection::Whole,
                        Some(sub) => sub_attributes.push(*sub),
                    }
                }
                _ => {}
            }
        }
        if sub_attributes.is_empty() { Selection::None } else { Selection::SubAttributes(sub_attributes) }
    }
}

/// What a list names, unknown names left out.
fn targets(resource_type: &'static ResourceType, list: &str) -> Result<Vec<Target>, Invalid> {
    if list.split(',').count() > MAX_NAMES {
        return Err(Invalid::value(format!(
            "'attributes' and 'excludedAttributes' take at most {MAX_NAMES} names."
        )));
    }
    let paths =
        list.split(',').filter_map(|name| Path::parse(name).ok()).filter(|path| path.filter.is_none());
    Ok(paths.filter_map(|path| path.resolve(resource_type).ok()).collect())
}

/// Whether two keys are of the same extension: those of custom ones are kept as they were sent.
fn same(a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::error::ScimType;
    use crate::schema::{ENTERPRISE_USER_URN, GROUP_TYPE, USER_TYPE, USER_URN};

    const CUSTOM_URN: &str = "urn:ietf:params:scim:schemas:extension:Acme:2.0:User";

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

    /// Asserts that `excludedAttributes=…` leaves these pointers out, and nothing else.
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
    fn everything_is_all_but_what_is_never_shown_or_unknown() {
        let mut expected = document();
        expected.shift_remove("password");
        expected.shift_remove("unknown");
        let everything = Projection::default_for(&USER_TYPE);
        assert_eq!(everything.apply(document()), expected);
        assert_eq!(Projection::parse(&USER_TYPE, None, None), Ok(everything.clone()));
        assert_eq!(Projection::parse(&USER_TYPE, Some(""), Some(" ")), Ok(everything));
    }

    #[test]
    fn attributes_shows_what_is_named_and_no_more() {
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
    }

    #[test]
    fn excluded_attributes_hides_what_is_named_and_no_more() {
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
        assert_eq!(shown(None, Some("emails.type"))["emails"], json!([{"value": "a"}]));
    }

    #[test]
    fn what_is_never_shown_cannot_be_asked_for() {
        only("password", &json!({}));
        only("unknown,emails[type eq \"work\"],,(", &json!({}));
    }

    #[test]
    fn both_lists_at_once_and_endless_lists_are_refused() {
        for (attributes, excluded) in
            [("userName", "name"), (&*"id,".repeat(200), ""), ("", &*"id,".repeat(200))]
        {
            let error = Projection::parse(&USER_TYPE, Some(attributes), Some(excluded)).unwrap_err();
            assert_eq!(error.scim_type, ScimType::InvalidValue);
        }
    }

    #[test]
    fn it_tells_whether_an_attribute_need_be_read() {
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
    fn it_tells_whether_nothing_was_asked() {
        let default =
            |attributes, excluded| Projection::parse(&USER_TYPE, attributes, excluded).unwrap().is_default();
        assert!(default(None, None) && default(Some(""), None));
        assert!(!default(Some("foo"), None) && !default(None, Some("foo")));
    }

    #[test]
    fn an_empty_list_of_the_document_stays() {
        let group = json!({"schemas": [], "id": "g", "members": []});
        let shown = Projection::default_for(&GROUP_TYPE).apply(group.as_object().unwrap().clone());
        assert_eq!(Value::Object(shown), group);
    }

    /// Whether each member and element of `part` is in `whole`, in the same order.
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
        fn always_stays_never_goes_and_nothing_is_made_up(names in names(), exclude in any::<bool>()) {
            let (attributes, excluded) = if exclude { (None, Some(&*names)) } else { (Some(&*names), None) };
            let shown = shown(attributes, excluded);
            prop_assert_eq!(&shown["schemas"], &document()["schemas"]);
            prop_assert_eq!(&shown["id"], &document()["id"]);
            prop_assert!(shown.get("password").is_none() && shown.get("unknown").is_none());
            prop_assert!(is_part(&shown, &Value::Object(document())));
        }

        #[test]
        fn a_member_is_wanted_if_and_only_if_it_may_be_shown(names in names(), exclude in any::<bool>()) {
            let (attributes, excluded) = if exclude { (None, Some(&*names)) } else { (Some(&*names), None) };
            let projection = Projection::parse(&USER_TYPE, attributes, excluded).unwrap();
            let shown = projection.apply(document());
            for key in ["schemas", "id", "userName", "password", "name", "meta"] {
                prop_assert_eq!(projection.includes(key), shown.contains_key(key), "{}", key);
            }
        }
    }
}
