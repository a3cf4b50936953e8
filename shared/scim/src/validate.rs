//! What a value may be: client JSON → canonical JSON, by the schema table (RFC 7643 §2, §7).
//!
//! `canonical` reads a whole body, `read` and `parts` read one value for PATCH, and `check` says what must hold
//! of a document as a whole. Canonical means: names and order as in the table, types strict, nothing unassigned kept
//! (null, `""`, `[]` and `{}` all mean unassigned, §2.5), nothing the client may not write, no element twice.
//! Reading what is canonical already changes nothing.
//!
//! Absent on purpose: judging unknown attributes (they are dropped, §3.3 of RFC 7644 leaves that to the service), and
//! the forms of references, languages, time zones and countries: clients send what their directory holds.

use std::fmt;

use serde_json::{Map, Value};

use crate::dialect;
use crate::error::Invalid;
use crate::filter::parse_date_time;
use crate::fold::{fold, forbidden_in_name, forbidden_in_title};
use crate::members::MEMBERS;
use crate::path::{extension_key, is_attribute_name};
use crate::schema::{Attribute, COMMON, CUSTOM, GROUP_URN, Mutability, ResourceType, Type, USER_URN};

/// Most values of a multi-valued attribute.
pub const MAX_VALUES: usize = 100;
/// Most e-mail addresses: each is an index entry, and replacing all of them must fit in one transaction of 100 actions.
pub const MAX_EMAILS: usize = 40;
/// Most characters of a `userName`.
pub const MAX_USER_NAME: usize = 256;
/// Most bytes of a document as JSON; an item of the store holds 400 KB.
pub const MAX_DOCUMENT: usize = 300 * 1024;

/// The name of an attribute in error details, as a PATCH path would write it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Label<'a> {
    urn: Option<&'a str>,
    name: &'a str,
    sub: Option<&'a str>,
}

impl<'a> Label<'a> {
    pub(crate) fn new(urn: Option<&'a str>, name: &'a str) -> Self {
        Self { urn, name, sub: None }
    }

    pub(crate) fn sub(self, sub: &'a str) -> Self {
        Self { sub: Some(sub), ..self }
    }
}

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attribute '")?;
        if let Some(urn) = self.urn {
            write!(f, "{urn}:")?;
        }
        f.write_str(self.name)?;
        if let Some(sub) = self.sub {
            write!(f, ".{sub}")?;
        }
        f.write_str("'")
    }
}

/// Whether a value means that there is none (RFC 7643 §2.5). An empty text is nothing too: no attribute says more by
/// being empty than by being absent, and no index can hold it.
pub(crate) fn is_unassigned(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether a document holds the attribute: the client may write it, and it is neither dropped (`password`) nor kept
/// beside the document (`members`).
pub(crate) fn is_held(attribute: &Attribute) -> bool {
    matches!(attribute.mutability, Mutability::ReadWrite | Mutability::Immutable) && attribute.name != MEMBERS
}

/// The member of that name, in any case. Of an object that [`distinct_names`] has passed there is one at most.
pub(crate) fn named<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Attribute names are case-insensitive, so `userName` beside `USERNAME` is one attribute with two values, and which of
/// them counts would be anybody's guess.
pub(crate) fn distinct_names(map: &Map<String, Value>) -> Result<(), Invalid> {
    let mut names: Vec<_> = map.keys().map(|name| (name.to_ascii_lowercase(), name)).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        None => Ok(()),
        Some(pair) => Err(Invalid::syntax(format!(
            "'{}' and '{}' are the same attribute: send it once",
            excerpt(pair[0].1),
            excerpt(pair[1].1)
        ))),
    }
}

/// Enough of a name the client made up to find it again.
pub(crate) fn excerpt(name: &str) -> &str {
    match name.char_indices().nth(100) {
        None => name,
        Some((end, _)) => &name[..end],
    }
}

/// The document in a body: what the client may write, in canonical form.
pub(crate) fn canonical(
    resource_type: &'static ResourceType,
    body: &Map<String, Value>,
) -> Result<Map<String, Value>, Invalid> {
    distinct_names(body)?;
    let core = COMMON.iter().chain(resource_type.schema.attributes);
    let mut document = attributes_of(None, core, body)?;
    for schema in resource_type.extensions {
        if let Some(value) = named(body, schema.id)
            && let Some(extension) = extension_object(schema.id, value)?
        {
            let held = attributes_of(Some(schema.id), schema.attributes.iter(), extension)?;
            if !held.is_empty() {
                document.insert(schema.id.to_owned(), held.into());
            }
        }
    }
    for (name, extension) in body {
        let is_known = || resource_type.extensions.iter().any(|schema| schema.id.eq_ignore_ascii_case(name));
        if let Some(urn) = extension_key(name, resource_type)
            && !is_known()
            && let Some(extension) = extension_object(&urn, extension)?
        {
            let mut held = Map::new();
            for (name, value) in extension.iter().filter(|(name, _)| is_attribute_name(name)) {
                if let Some(value) = read(&CUSTOM, Label::new(Some(excerpt(&urn)), excerpt(name)), value)? {
                    held.insert(name.clone(), value);
                }
            }
            if !held.is_empty() {
                document.insert(urn, held.into());
            }
        }
    }
    Ok(document)
}

/// An extension's object; `None` where it is unassigned.
pub(crate) fn extension_object<'a>(
    urn: &str,
    value: &'a Value,
) -> Result<Option<&'a Map<String, Value>>, Invalid> {
    match value {
        Value::Object(extension) => distinct_names(extension).map(|()| Some(extension)),
        value if is_unassigned(value) => Ok(None),
        value => Err(mismatch(&format!("Extension '{}'", excerpt(urn)), "an object", value)),
    }
}

fn attributes_of(
    urn: Option<&str>,
    attributes: impl Iterator<Item = &'static Attribute>,
    object: &Map<String, Value>,
) -> Result<Map<String, Value>, Invalid> {
    let mut held = Map::new();
    for attribute in attributes.filter(|attribute| is_held(attribute)) {
        if let Some(value) = named(object, attribute.name)
            && let Some(value) = read(attribute, Label::new(urn, attribute.name), value)?
        {
            held.insert(attribute.name.to_owned(), value);
        }
    }
    Ok(held)
}

/// The canonical value of an attribute; `None` is unassigned.
pub(crate) fn read(
    attribute: &'static Attribute,
    label: Label<'_>,
    value: &Value,
) -> Result<Option<Value>, Invalid> {
    if is_unassigned(value) {
        return Ok(None);
    }
    if let (true, Value::Array(values)) = (attribute.multi_valued || attribute.kind == Type::Any, value) {
        at_most(limit(attribute), label, values.len())?;
    }
    if !attribute.multi_valued {
        return read_one(attribute, label, value);
    }
    let Value::Array(values) = value else {
        return Err(mismatch(&label, "a list", value));
    };
    let mut elements = Vec::new();
    for value in values {
        elements.extend(read_one(attribute, label, value)?);
    }
    keep_distinct(&mut elements);
    Ok((!elements.is_empty()).then_some(Value::Array(elements)))
}

/// Of equal elements the first stays; the order of their parts does not matter.
pub(crate) fn keep_distinct(elements: &mut Vec<Value>) {
    let mut distinct: Vec<Value> = Vec::with_capacity(elements.len());
    for element in elements.drain(..) {
        if !distinct.contains(&element) {
            distinct.push(element);
        }
    }
    *elements = distinct;
}

/// The canonical form of a single value, or of one of many; `None` is unassigned.
pub(crate) fn read_one(
    attribute: &'static Attribute,
    label: Label<'_>,
    value: &Value,
) -> Result<Option<Value>, Invalid> {
    if is_unassigned(value) {
        return Ok(None);
    }
    let value = &*dialect::rewritten(attribute, value);
    let expected = match (attribute.kind, value) {
        (Type::Complex, Value::Object(object)) => {
            let mut object = parts(attribute, label, object)?;
            object.retain(|_, part| !part.is_null());
            return Ok((!object.is_empty()).then_some(Value::Object(object)));
        }
        (Type::Any, _)
        | (Type::String | Type::Reference, Value::String(_))
        | (Type::Boolean, Value::Bool(_))
        | (Type::Decimal, Value::Number(_)) => return Ok(Some(value.clone())),
        (Type::Integer, Value::Number(number)) if !number.is_f64() => return Ok(Some(value.clone())),
        (Type::Binary, Value::String(text)) if is_base64(text) => return Ok(Some(value.clone())),
        (Type::DateTime, Value::String(text)) if parse_date_time(text).is_some() => {
            return Ok(Some(value.clone()));
        }
        (Type::Complex, _) if attribute.multi_valued => {
            return Err(mismatch(&format!("{label}: each value"), "an object", value));
        }
        (Type::Complex, _) => "an object",
        (Type::String | Type::Reference, _) => "a string",
        (Type::Boolean, _) => "true or false",
        (Type::Decimal, _) => "a number",
        (Type::Integer, _) => "a number without a fraction",
        (Type::Binary, _) => "a string of base64",
        (Type::DateTime, _) => "a string such as \"2026-01-31T12:00:00Z\"",
    };
    Err(mismatch(&label, expected, value))
}

/// The parts of a complex value that the client gave and may write, in the order of the table; null is "unassign it".
pub(crate) fn parts(
    attribute: &'static Attribute,
    label: Label<'_>,
    map: &Map<String, Value>,
) -> Result<Map<String, Value>, Invalid> {
    distinct_names(map)?;
    let mut parts = Map::new();
    for sub in attribute.sub_attributes.iter().filter(|sub| is_held(sub)) {
        if let Some(value) = named(map, sub.name) {
            let value = read(sub, label.sub(sub.name), value)?;
            parts.insert(sub.name.to_owned(), value.unwrap_or_default());
        }
    }
    Ok(parts)
}

/// What the value should be and what it is. The value itself is never quoted: it may be personal.
pub(crate) fn mismatch(what: &dyn fmt::Display, expected: &str, value: &Value) -> Invalid {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Invalid::value(if expected.starts_with(found) {
        format!("{what} must be {expected}")
    } else {
        format!("{what} must be {expected}, not {found}")
    })
}

/// Both alphabets of RFC 4648, padded or not, wrapped or not.
fn is_base64(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/-_=\r\n".contains(&byte))
}

/// The most values an attribute may have.
pub(crate) fn limit(attribute: &Attribute) -> usize {
    if attribute.name == "emails" { MAX_EMAILS } else { MAX_VALUES }
}

pub(crate) fn at_most(most: usize, label: Label<'_>, found: usize) -> Result<(), Invalid> {
    if found > most {
        return Err(Invalid::value(format!("{label} has {found} values: at most {most} are possible")));
    }
    Ok(())
}

/// What must hold of a canonical document as a whole.
pub(crate) fn check(
    resource_type: &'static ResourceType,
    document: &Map<String, Value>,
) -> Result<(), Invalid> {
    check_attributes(None, resource_type.schema.attributes, document)?;
    for schema in resource_type.extensions {
        if let Some(Value::Object(extension)) = document.get(schema.id) {
            check_attributes(Some(schema.id), schema.attributes, extension)?;
        }
    }
    for key in KEYS.iter().filter(|key| key.schema.is_none_or(|urn| urn == resource_type.schema.id)) {
        key.check(document)?;
    }
    if serde_json::to_string(document).is_ok_and(|text| text.len() <= MAX_DOCUMENT) {
        Ok(())
    } else {
        Err(too_large())
    }
}

pub(crate) fn too_large() -> Invalid {
    Invalid::value("The resource is larger than 300 KB: send fewer or shorter values")
}

fn check_attributes(
    urn: Option<&str>,
    attributes: &[Attribute],
    object: &Map<String, Value>,
) -> Result<(), Invalid> {
    for attribute in attributes {
        let value = object.get(attribute.name);
        if attribute.required && value.is_none_or(is_blank) {
            let label = Label::new(urn, attribute.name);
            return Err(Invalid::value(format!("{label} is required: send it, and not blank")));
        }
        let elements = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if elements.iter().filter(|element| element["primary"] == true).count() > 1 {
            let label = Label::new(urn, attribute.name);
            return Err(Invalid::value(format!("{label} has more than one value with \"primary\": true")));
        }
    }
    Ok(())
}

fn is_blank(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// An attribute whose values become keys of the store, which hold so many bytes and no more, and which people have to
/// tell apart by sight.
struct Key {
    /// The core schema; `None` for common attributes.
    schema: Option<&'static str>,
    name: &'static str,
    sub: Option<&'static str>,
    /// Most bytes as compared: folded, unless the attribute is caseExact.
    max_bytes: usize,
    max_characters: Option<usize>,
    /// The first character that may not be in it.
    forbidden: fn(&str) -> Option<(usize, char)>,
}

/// A key of the store has 1,024 bytes; where several resources may have the value, 44 of them are for the id.
const KEYS: [Key; 4] = [
    Key {
        schema: None,
        name: "externalId",
        sub: None,
        max_bytes: 980,
        max_characters: None,
        forbidden: control_in,
    },
    Key {
        schema: Some(USER_URN),
        name: "userName",
        sub: None,
        max_bytes: 1024,
        max_characters: Some(MAX_USER_NAME),
        forbidden: forbidden_in_name,
    },
    Key {
        schema: Some(USER_URN),
        name: "emails",
        sub: Some("value"),
        max_bytes: 980,
        max_characters: None,
        forbidden: control_in,
    },
    Key {
        schema: Some(GROUP_URN),
        name: "displayName",
        sub: None,
        max_bytes: 1024,
        max_characters: None,
        forbidden: forbidden_in_title,
    },
];

impl Key {
    fn check(&self, document: &Map<String, Value>) -> Result<(), Invalid> {
        match (document.get(self.name), self.sub) {
            (Some(Value::String(text)), None) => self.check_text(text),
            (Some(Value::Array(elements)), Some(sub)) => elements
                .iter()
                .filter_map(|element| element[sub].as_str())
                .try_for_each(|text| self.check_text(text)),
            _ => Ok(()),
        }
    }

    fn check_text(&self, text: &str) -> Result<(), Invalid> {
        let label = Label { urn: None, name: self.name, sub: self.sub };
        if let Some(most) = self.max_characters
            && text.chars().nth(most).is_some()
        {
            return Err(Invalid::value(format!("{label} has more than {most} characters")));
        }
        if let Some((at, character)) = (self.forbidden)(text) {
            return Err(Invalid::value(format!(
                "{label} contains the invisible character U+{:04X} (character {} of it): remove it",
                u32::from(character),
                at + 1
            )));
        }
        // Only `externalId` is caseExact among them: its bytes are stored as they are.
        let bytes = if self.schema.is_none() { text.len() } else { fold(text).len() };
        if bytes > self.max_bytes {
            return Err(Invalid::value(format!("{label} is longer than {} bytes", self.max_bytes)));
        }
        Ok(())
    }
}

/// The first control character and where it is, in characters from 0.
fn control_in(text: &str) -> Option<(usize, char)> {
    text.chars().enumerate().find(|(_, character)| character.is_control())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::ScimType;
    use crate::resource::Document;
    use crate::schema::{ENTERPRISE_USER_URN, GROUP_TYPE, USER_TYPE};

    const CUSTOM_URN: &str = "urn:ietf:params:scim:schemas:extension:Badges:2.0:User";

    /// The document read from a user with these attributes, as text: order counts.
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
    fn names_are_taken_in_any_case_and_kept_in_the_case_and_order_of_the_table() {
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
    fn what_the_client_may_not_write_and_what_nobody_knows_is_dropped() {
        reads(
            &json!({
                "id": "1", "meta": {"version": "x"}, "schemas": ["urn:scim:schemas:core:1.0"], "password": "p",
                "groups": [{"value": "g"}], "members": [{"value": "m"}], "favouriteColour": "red", "__proto__": {"x": 1},
                "name": {"givenName": "B", "petName": "x"},
                ENTERPRISE_USER_URN: {"manager": {"value": "1", "displayName": "Boss"}, "badge": "x"},
                "urn:example:schemas:2.0:User": {"x": 1},
            }),
            &json!({"name": {"givenName": "B"}, ENTERPRISE_USER_URN: {"manager": {"value": "1"}}}),
        );
        let group = json!({"displayName": "g", "members": [{"value": "m"}], "groups": 7, "schemas": null});
        assert_eq!(
            Document::from_request(&GROUP_TYPE, &group).unwrap().to_stored(),
            r#"{"displayName":"g"}"#
        );
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
    fn a_value_of_another_type_is_refused_and_not_quoted() {
        use ScimType::InvalidValue;
        for (attributes, detail) in [
            (json!({"externalId": 7}), "Attribute 'externalId' must be a string, not a number"),
            (json!({"userName": true}), "Attribute 'userName' must be a string, not a boolean"),
            (json!({"userName": ["x"]}), "Attribute 'userName' must be a string, not a list"),
            (json!({"active": "yes"}), "Attribute 'active' must be true or false, not a string"),
            (json!({"active": 1}), "Attribute 'active' must be true or false, not a number"),
            (json!({"name": "Bob"}), "Attribute 'name' must be an object, not a string"),
            (
                json!({"name": {"givenName": {"x": 1}}}),
                "Attribute 'name.givenName' must be a string, not an object",
            ),
            (json!({"emails": {"value": "a@x"}}), "Attribute 'emails' must be a list, not an object"),
            (json!({"emails": ["a@x"]}), "Attribute 'emails': each value must be an object, not a string"),
            (json!({"emails": [{"value": 1}]}), "Attribute 'emails.value' must be a string, not a number"),
            (
                json!({"x509Certificates": [{"value": "§"}]}),
                "Attribute 'x509Certificates.value' must be a string of base64",
            ),
            (
                json!({ENTERPRISE_USER_URN: "x"}),
                "Extension 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User' must be an object, not a string",
            ),
            (
                json!({ENTERPRISE_USER_URN: {"manager": [{"value": "1"}, {"value": "2"}]}}),
                "Attribute 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager' must be an object, not a list",
            ),
        ] {
            refuses(&attributes, InvalidValue, detail);
        }
    }

    #[test]
    fn a_body_that_is_no_object_and_schemas_that_are_no_list_are_bad_syntax() {
        let no_object = Document::from_request(&GROUP_TYPE, &json!([])).unwrap_err();
        assert_eq!(no_object.detail, "The body must be a JSON object: the attributes of a Group");
        assert_eq!(no_object.scim_type, ScimType::InvalidSyntax);
        let detail = "Attribute 'schemas' must be a list of strings";
        refuses(&json!({"schemas": "urn"}), ScimType::InvalidSyntax, detail);
        refuses(&json!({"schemas": [7]}), ScimType::InvalidSyntax, detail);
    }

    #[test]
    fn an_attribute_sent_twice_in_different_case_is_refused() {
        use ScimType::InvalidSyntax;
        let detail = "'USERNAME' and 'userName' are the same attribute: send it once";
        refuses(&json!({"USERNAME": "eve"}), InvalidSyntax, detail);
        let detail = "'givenName' and 'givenname' are the same attribute: send it once";
        refuses(&json!({"name": {"givenname": "a", "givenName": "b"}}), InvalidSyntax, detail);
        let detail = "'Colour' and 'colour' are the same attribute: send it once";
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
            "Attribute 'roles' has more than one value with \"primary\": true",
        );
        reads(
            &json!({"roles": [{"value": "a", "primary": true}, {"value": "b", "primary": false}]}),
            &json!({"roles": [{"value": "a", "primary": true}, {"value": "b", "primary": false}]}),
        );
    }

    #[test]
    fn an_attribute_has_a_hundred_values_and_a_user_forty_e_mail_addresses_at_most() {
        let values =
            |count: usize| (0..count).map(|index| json!({"value": index.to_string()})).collect::<Value>();
        for (name, most) in [("roles", 100), ("emails", 40)] {
            assert!(read_user(&json!({name: values(most)})).is_ok());
            let detail = format!("Attribute '{name}' has {} values: at most {most} are possible", most + 1);
            refuses(&json!({name: values(most + 1)}), ScimType::InvalidValue, &detail);
        }
        assert!(read_user(&json!({CUSTOM_URN: {"tags": values(101)}})).is_err());
    }

    #[test]
    fn a_custom_extension_is_kept_as_sent_whatever_is_in_it() {
        let kept = json!({CUSTOM_URN: {"Colour": "red", "size": 7, "tags": ["a", "a"], "deep": {"x": [null, {"y": ""}]}}});
        reads(&kept, &kept);
        reads(
            &json!({CUSTOM_URN: {"not a name": 1, "a.b": 1, "tag": true}}),
            &json!({CUSTOM_URN: {"tag": true}}),
        );
        let detail = format!("Extension '{CUSTOM_URN}' must be an object, not a list");
        refuses(&json!({CUSTOM_URN: [1]}), ScimType::InvalidValue, &detail);
    }

    #[test]
    fn what_is_required_is_there_and_not_blank() {
        for (resource_type, name) in [(&USER_TYPE, "userName"), (&GROUP_TYPE, "displayName")] {
            for body in [json!({}), json!({name: null}), json!({name: ""}), json!({name: " \u{3000}"})] {
                let invalid = Document::from_request(resource_type, &body).unwrap_err();
                assert_eq!(invalid.scim_type, ScimType::InvalidValue);
                assert_eq!(invalid.detail, format!("Attribute '{name}' is required: send it, and not blank"));
            }
        }
    }

    #[test]
    fn keys_of_the_store_are_bounded_as_they_are_compared() {
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
            // Full width: three bytes each, one when folded.
            ("emails.value", "ａ".repeat(980)),
        ] {
            assert!(user(name, &longest).is_ok(), "{name}");
            let longer = longest.chars().next().unwrap().to_string() + &longest;
            let invalid = user(name, &longer).unwrap_err();
            assert!(
                invalid.detail.contains("longer than") || invalid.detail.contains("more than"),
                "{invalid}"
            );
        }
        // One character that folds to eighteen.
        assert!(
            user("userName", &"\u{FDFA}".repeat(200)).unwrap_err().detail.ends_with("longer than 1024 bytes")
        );
        assert!(user("externalId", &"ａ".repeat(980)).is_err(), "caseExact is not folded");
        let group = |text: &str| Document::from_request(&GROUP_TYPE, &json!({"displayName": text}));
        assert!(group(&"a".repeat(1024)).is_ok());
        assert!(group(&"a".repeat(1025)).is_err());
    }

    #[test]
    fn names_have_no_invisible_characters_and_no_key_has_control_characters() {
        let detail =
            "Attribute 'userName' contains the invisible character U+200B (character 3 of it): remove it";
        refuses(&json!({"userName": "bo\u{200B}b"}), ScimType::InvalidValue, detail);
        assert!(read_user(&json!({"externalId": "a\u{200B}b"})).is_ok());
        assert!(read_user(&json!({"displayName": "a\u{0}\u{200B}b"})).is_ok());
        let detail =
            "Attribute 'externalId' contains the invisible character U+0000 (character 2 of it): remove it";
        refuses(&json!({"externalId": "a\u{0}"}), ScimType::InvalidValue, detail);
        let detail =
            "Attribute 'emails.value' contains the invisible character U+000A (character 1 of it): remove it";
        refuses(&json!({"emails": [{"value": "\na"}]}), ScimType::InvalidValue, detail);
        // Joined emoji are one character to people, and several with U+200D between them to Unicode.
        assert!(
            Document::from_request(&GROUP_TYPE, &json!({"displayName": "👨\u{200D}👩\u{200D}👧"})).is_ok()
        );
        for unseen in ['\u{7}', '\u{200B}', '\u{202E}'] {
            let name = format!("a{unseen}b");
            assert!(Document::from_request(&GROUP_TYPE, &json!({"displayName": name})).is_err());
        }
    }

    #[test]
    fn a_resource_larger_than_the_store_holds_is_refused() {
        let photos = |bytes: usize| json!({"photos": [{"value": "x".repeat(bytes)}]});
        assert!(read_user(&photos(300 * 1000)).is_ok());
        let detail = "The resource is larger than 300 KB: send fewer or shorter values";
        refuses(&photos(300 * 1024), ScimType::InvalidValue, detail);
    }

    #[test]
    fn types_the_table_does_not_use_yet_are_read_too() {
        let read = |kind, value: Value| {
            // Leaked because the table is static.
            let attribute: &'static Attribute = Box::leak(Box::new(Attribute { kind, name: "x", ..CUSTOM }));
            read_one(attribute, Label::new(None, "x"), &value).map_err(|invalid| invalid.detail)
        };
        assert_eq!(read(Type::Integer, json!(7)), Ok(Some(json!(7))));
        assert_eq!(
            read(Type::Integer, json!(7.5)),
            Err("Attribute 'x' must be a number without a fraction".into())
        );
        assert_eq!(read(Type::Decimal, json!(7.5)), Ok(Some(json!(7.5))));
        assert_eq!(
            read(Type::Decimal, json!("7")),
            Err("Attribute 'x' must be a number, not a string".into())
        );
        assert_eq!(
            read(Type::DateTime, json!("2026-01-31T12:00:00Z")),
            Ok(Some(json!("2026-01-31T12:00:00Z")))
        );
        assert!(read(Type::DateTime, json!("31.1.2026")).is_err());
        assert_eq!(read(Type::Binary, json!("aGk=")), Ok(Some(json!("aGk="))));
    }
}
