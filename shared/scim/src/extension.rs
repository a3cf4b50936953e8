//! Extensions (RFC 7643 §3.3): which texts are URNs of extensions, and how clients name attributes with them.
//!
//! Any text that begins with `urn:` may be the URN of an extension, because Okta's namespace of custom attributes is free
//! text (`urn:okta:acme:1.0:user:custom`). A resource holds the attributes of an extension in an object under its URN.
//! Clients also join URN and attribute in one key. Two rules tell which part of a key is the URN:
//!
//! - The URN of a schema (`is_schema_urn`) and a URN in the `schemas` of the same body end where they end.
//! - Any other URN ends at the last colon, or is the whole key if its value is an object.
//!
//! The namespaces of the RFC's own schemas and messages are reserved. A text there that is no schema of the service is
//! mistyped or belongs to SCIM 1, so it is no extension.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::error::Invalid;
use crate::schema::{MEMBERS, RESOURCE_TYPES, ResourceType, SCHEMAS, Schema};
use crate::value::{excerpt, get_ignore_case, type_mismatch};

/// The maximum number of attributes of an extension. Each attribute that a request names is compared with each attribute
/// that the resource has.
pub const MAX_ATTRIBUTES: usize = 1000;

/// The maximum number of extensions of a resource. Each of them is compared with each key that names one.
pub const MAX_EXTENSIONS: usize = 100;

/// The URN of a custom extension in the form that Microsoft Entra requires begins with this text. A name, `:2.0:` and
/// the resource type follow.
const ENTRA_PREFIX: &str = "urn:ietf:params:scim:schemas:extension:";

/// The namespaces of the schemas and messages of SCIM 2.0 (RFC 7643 §10, RFC 7644 §8) and of SCIM 1.
const RESERVED: [&str; 4] = [
    "urn:ietf:params:scim:schemas:core",
    "urn:ietf:params:scim:schemas:extension:enterprise",
    "urn:ietf:params:scim:api",
    "urn:scim:schemas:core",
];

/// Returns the key of an extension in a document, or `None` if the text cannot be the URN of an extension.
///
/// The key is the canonical URN of a known extension, and the URN as written of a custom extension. A custom extension
/// has no schema here. The schema of another resource type, an attribute of a schema, a text in a reserved namespace and
/// a text that no filter can name are no extensions. The form of Microsoft Entra is always accepted, because release 0.2
/// stored every name in it.
#[must_use]
pub fn extension_key(urn: &str, resource_type: &ResourceType) -> Option<String> {
    if let Some(schema) = known(resource_type, urn) {
        return Some(schema.id.to_owned());
    }
    let name = strip_prefix(urn, "urn:")?;
    let is_nameable = |c: char| !c.is_whitespace() && !c.is_control() && !"()[]\"".contains(c);
    let is_extension = if is_schema_urn(urn) {
        !SCHEMAS.iter().any(|schema| schema.id.eq_ignore_ascii_case(urn))
    } else {
        !name.is_empty() && urn.chars().all(is_nameable) && !is_reserved(urn) && !is_inside_schema(urn)
    };
    is_extension.then(|| urn.to_owned())
}

fn is_reserved(urn: &str) -> bool {
    let is_in = |namespace: &&str| {
        strip_prefix(urn, namespace).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    };
    RESERVED.iter().any(is_in)
}

/// Returns the schema of an extension, or `None` for a custom extension.
pub(crate) fn known(resource_type: &ResourceType, urn: &str) -> Option<&'static Schema> {
    resource_type.extensions.iter().find(|schema| schema.id.eq_ignore_ascii_case(urn)).copied()
}

/// Returns whether a text is the URN of a schema, and not an attribute with its URN: the URN of a schema of the service,
/// or a URN in the form of Microsoft Entra, `urn:ietf:params:scim:schemas:extension:<Name>:2.0:<resource type>`.
pub(crate) fn is_schema_urn(text: &str) -> bool {
    let has_form_of_entra = |resource_type: &&ResourceType| {
        let rest = strip_prefix(text, ENTRA_PREFIX).and_then(|rest| strip_suffix(rest, resource_type.name));
        rest.and_then(|rest| rest.strip_suffix(":2.0:")).is_some_and(|name| !name.is_empty())
    };
    SCHEMAS.iter().any(|schema| schema.id.eq_ignore_ascii_case(text))
        || RESOURCE_TYPES.iter().any(has_form_of_entra)
}

/// Returns whether a text begins with the URN of a schema and a separator.
fn is_inside_schema(text: &str) -> bool {
    let mut separators = text.match_indices([':', '.']);
    strip_prefix(text, "urn:ietf:params:scim:schemas:").is_some()
        && separators.any(|(at, _)| is_schema_urn(&text[..at]))
}

/// Divides a name at the dot that stands where the colon after the URN of a schema belongs:
/// `urn:…:enterprise:2.0:User.department`. Administrators type it when they map attributes.
///
/// `tests/fixtures/other/dot-after-the-urn.json`
pub(crate) fn split_at_dot(text: &str) -> Option<(&str, &str)> {
    let (urn, name) = at_last_dot_after_colon(text)?;
    is_schema_urn(urn).then_some((urn, name))
}

/// Divides a text at the first dot after its last colon.
fn at_last_dot_after_colon(text: &str) -> Option<(&str, &str)> {
    let start = text.rfind(':')?;
    let dot = start + text[start..].find('.')?;
    Some((&text[..dot], &text[dot + 1..]))
}

/// Returns whether a key is a URN, a colon and a name.
pub(crate) fn is_joined(key: &str, urn: &str, name: &str) -> bool {
    strip_prefix(key, urn)
        .and_then(|rest| rest.strip_prefix(':'))
        .is_some_and(|rest| rest.eq_ignore_ascii_case(name))
}

/// Returns the object of an extension, or `None` if it is unassigned. PHP writes an empty object as an empty list.
///
/// `tests/fixtures/other/empty-list-instead-of-an-object.json`
pub(crate) fn object<'a>(urn: &str, value: &'a Value) -> Result<Option<&'a Map<String, Value>>, Invalid> {
    match value {
        Value::Null => Ok(None),
        Value::Array(elements) if elements.is_empty() => Ok(None),
        Value::Object(object) => Ok(Some(object)),
        value => Err(not_an_object(urn, value)),
    }
}

/// Creates the error for an extension that is no object.
pub(crate) fn not_an_object(urn: &str, value: &Value) -> Invalid {
    type_mismatch(&format!("Extension '{}'", excerpt(urn)), "an object", value)
}

/// Refuses more attributes than an extension may have.
pub(crate) fn check_count(urn: &str, count: usize) -> Result<(), Invalid> {
    if count > MAX_ATTRIBUTES {
        return Err(Invalid::value(format!(
            "Extension '{}' has {count} attributes. Send at most {MAX_ATTRIBUTES}.",
            excerpt(urn)
        )));
    }
    Ok(())
}

/// Returns the attributes of a schema's object, without the URN that the client repeats inside: the members of
/// `{"<URN>": {…}}`, and `department` for `<URN>:department`.
///
/// The object of the core schema is the resource itself. Any other value under its URN is ignored like an unknown
/// attribute. A copy lacks `members`, which may be a hundred thousand. [`crate::members::in_body`] finds them.
///
/// `tests/fixtures/other/extension-names-itself.json`
///
/// # Errors
/// If a name has two values, or if the value under the URN of an extension is no object.
pub(crate) fn unwrapped<'a>(
    urn: &str,
    object: &'a Map<String, Value>,
) -> Result<Cow<'a, Map<String, Value>>, Invalid> {
    if !object.keys().any(|key| after_urn(urn, key).is_some()) {
        return Ok(Cow::Borrowed(object));
    }
    let mut attributes = Map::new();
    unwrap_into(&mut attributes, urn, object)?;
    Ok(Cow::Owned(attributes))
}

fn unwrap_into(
    attributes: &mut Map<String, Value>,
    urn: &str,
    given: &Map<String, Value>,
) -> Result<(), Invalid> {
    for (key, value) in given {
        match after_urn(urn, key) {
            Some("") => {
                let inner = if is_core(urn) { value.as_object() } else { object(urn, value)? };
                if let Some(inner) = inner {
                    unwrap_into(attributes, urn, inner)?;
                }
            }
            name => {
                let name = name.unwrap_or(key);
                if is_core(urn) && name.eq_ignore_ascii_case(MEMBERS) {
                    continue;
                }
                match attributes.get(name) {
                    Some(held) if value.is_null() || held == value => {}
                    Some(held) if !held.is_null() => return Err(named_twice(key)),
                    _ => drop(attributes.insert(name.to_owned(), value.clone())),
                }
            }
        }
    }
    Ok(())
}

/// Returns whether the URN is that of a core schema, as written in the table.
fn is_core(urn: &str) -> bool {
    RESOURCE_TYPES.iter().any(|resource_type| resource_type.schema.id == urn)
}

/// Returns the text after a URN and its separator. It is empty if the key is the URN.
pub(crate) fn after_urn<'k>(urn: &str, key: &'k str) -> Option<&'k str> {
    let rest = strip_prefix(key, urn)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix([':', '.']).filter(|name| !name.is_empty()) }
}

/// Creates the error for an attribute that one body names in two ways.
pub(crate) fn named_twice(name: &str) -> Invalid {
    Invalid::syntax(format!(
        "The name '{}' refers to an attribute that has another value in the same object. Send one of the values.",
        excerpt(name)
    ))
}

/// The URNs in the `schemas` of a body, in lower case.
#[derive(Default)]
pub(crate) struct Declared(HashSet<String>);

impl Declared {
    /// Reads the `schemas`. Anything other than a text has no effect here.
    pub(crate) fn of(body: &Map<String, Value>) -> Self {
        let schemas = get_ignore_case(body, "schemas").and_then(Value::as_array);
        let urns = schemas.into_iter().flatten().filter_map(Value::as_str);
        Self(urns.map(str::to_ascii_lowercase).collect())
    }

    fn has(&self, urn: &str) -> bool {
        self.0.contains(&urn.to_ascii_lowercase())
    }

    /// Returns the key of the extension that a member of a body is, or `None` if the member is an attribute.
    pub(crate) fn whole_extension(
        &self,
        resource_type: &ResourceType,
        key: &str,
        value: &Value,
    ) -> Option<String> {
        let urn = extension_key(key, resource_type)?;
        let ends_before = |(urn, _): (&str, &str)| is_schema_urn(urn) || self.has(urn);
        let is_attribute = || {
            key.rsplit_once(':').is_some_and(ends_before)
                || at_last_dot_after_colon(key).is_some_and(ends_before)
        };
        let is_whole = is_schema_urn(key) || self.has(key) || value.is_object() && !is_attribute();
        is_whole.then_some(urn)
    }

    /// Returns the key with a colon instead of the dot after a URN in the `schemas`.
    pub(crate) fn with_colon<'k>(&self, key: &'k str) -> Cow<'k, str> {
        match at_last_dot_after_colon(key) {
            Some((urn, name)) if self.has(urn) => Cow::Owned(format!("{urn}:{name}")),
            _ => Cow::Borrowed(key),
        }
    }
}

fn strip_prefix<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

fn strip_suffix<'t>(text: &'t str, suffix: &str) -> Option<&'t str> {
    let start = text.len().checked_sub(suffix.len())?;
    text.get(start..)?.eq_ignore_ascii_case(suffix).then(|| &text[..start])
}
