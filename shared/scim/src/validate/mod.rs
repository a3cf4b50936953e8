//! Validation: from client JSON to canonical JSON, by the schema table (RFC 7643 §2, §7).
//!
//! `core_attributes`, `extension_attributes` and `custom_attributes` read an object of attributes. `read_value` and
//! `sub_attributes` read one value for PATCH. `canonical_document` reads the result of a PATCH.
//! `check_document` and `check_additions` check the rules of a whole document.
//!
//! In canonical form, names and order are those of the table, and types are strict. No unassigned value is kept (§2.5):
//! null for every attribute, `""` for text, `[]` and `{}` for complex values and lists, each of them for an attribute
//! without a type. Only attributes that the client may write are present, and no element occurs twice. Reading a
//! canonical value again changes nothing.
//!
//! Unknown attributes are dropped, which RFC 7644 §3.3 leaves to the service. Unknown sub-attributes are dropped beside
//! known ones. A value with unknown sub-attributes alone is refused, because dropping all of it would erase what the
//! client means to set. The forms of references, languages, time zones and countries are not checked, because clients
//! send what their directory holds.

use serde_json::{Map, Value};

use crate::dialect::values;
use crate::error::Invalid;
use crate::extension::extension_key;
use crate::fold::{
    find_forbidden_in_display_name, find_forbidden_in_email, find_forbidden_in_user_name, fold,
    is_unassigned as is_unassigned_character,
};
use crate::json::{MAX_RESOURCE_VALUES, count_values};
use crate::schema::{
    Attribute, COMMON, CUSTOM, GROUP_URN, MEMBERS, Mutability, ResourceType, Schema, Type, USER_URN,
};
use crate::value::{
    Label, check_distinct_names, excerpt, find_control_character, get_ignore_case, is_base64, is_present,
    json_text, parse_date_time, remove_duplicates, type_mismatch,
};

mod additions;

pub(crate) use additions::check_additions;

/// The maximum number of values of a multi-valued attribute.
pub const MAX_VALUES: usize = 100;
/// The maximum number of e-mail addresses. Each one is an index entry, and a change of all of them must fit into a
/// transaction of 100 actions.
pub const MAX_EMAILS: usize = 40;
/// The maximum length of a `userName`, in characters.
pub const MAX_USER_NAME: usize = 256;
/// The maximum size of a document as JSON, in bytes. An item in DynamoDB has at most 400 KB.
pub const MAX_DOCUMENT: usize = 300 * 1024;
/// The maximum size of an indexed value that only one resource can have, in bytes: the maximum size of a key.
pub const MAX_UNIQUE_BYTES: usize = 1024;
/// The maximum size of an indexed value that several resources can have, in bytes. Its key has 44 bytes for the id.
pub const MAX_INDEXED_BYTES: usize = MAX_UNIQUE_BYTES - 44;

/// Returns whether documents hold an attribute. The client must be able to write the attribute. `password` is dropped,
/// and `members` are stored beside the document.
pub(crate) fn is_stored(attribute: &Attribute) -> bool {
    matches!(attribute.mutability, Mutability::ReadWrite | Mutability::Immutable) && attribute.name != MEMBERS
}

/// Returns the canonical form of a document that a PATCH has changed: no unassigned value, no duplicate, the order of
/// the table.
pub(crate) fn canonical_document(
    resource_type: &'static ResourceType,
    changed: &Map<String, Value>,
) -> Result<Map<String, Value>, Invalid> {
    let mut document = core_attributes(resource_type, changed)?;
    for schema in resource_type.extensions {
        if let Some(Value::Object(extension)) = changed.get(schema.id) {
            let held = extension_attributes(schema, extension)?;
            if !held.is_empty() {
                document.insert(schema.id.to_owned(), held.into());
            }
        }
    }
    for (urn, extension) in changed {
        if let Value::Object(extension) = extension
            && !document.contains_key(urn)
            && extension_key(urn, resource_type).is_some()
        {
            let held = custom_attributes(urn, extension)?;
            if !held.is_empty() {
                document.insert(urn.clone(), held.into());
            }
        }
    }
    Ok(document)
}

/// Returns the canonical common and core attributes of a body.
pub(crate) fn core_attributes(
    resource_type: &'static ResourceType,
    body: &Map<String, Value>,
) -> Result<Map<String, Value>, Invalid> {
    read_attributes(None, COMMON.iter().chain(resource_type.schema.attributes), body)
}

/// Returns the canonical attributes of a known extension.
pub(crate) fn extension_attributes(
    schema: &'static Schema,
    object: &Map<String, Value>,
) -> Result<Map<String, Value>, Invalid> {
    read_attributes(Some(schema.id), schema.attributes.iter(), object)
}

/// Returns the canonical attributes of a custom extension. Clients send labels of their directory as names, such as
/// `Business Unit`. They are kept, although no path and no filter can name them.
///
/// `tests/fixtures/other/extension-attributes-with-blanks.json`
pub(crate) fn custom_attributes(
    urn: &str,
    object: &Map<String, Value>,
) -> Result<Map<String, Value>, Invalid> {
    let mut held = Map::new();
    for (name, value) in object.iter().filter(|(name, _)| is_custom_name(name)) {
        if let Some(value) = read_value(&CUSTOM, Label::new(Some(excerpt(urn)), excerpt(name)), value)? {
            held.insert(name.clone(), value);
        }
    }
    Ok(held)
}

/// Returns whether an attribute of a custom extension may have this name.
pub(crate) fn is_custom_name(name: &str) -> bool {
    !name.is_empty() && find_control_character(name).is_none()
}

fn read_attributes(
    urn: Option<&str>,
    attributes: impl Iterator<Item = &'static Attribute>,
    object: &Map<String, Value>,
) -> Result<Map<String, Value>, Invalid> {
    let mut held = Map::new();
    for attribute in attributes.filter(|attribute| is_stored(attribute)) {
        if let Some(value) = get_ignore_case(object, attribute.name)
            && let Some(value) = read_value(attribute, Label::new(urn, attribute.name), value)?
        {
            held.insert(attribute.name.to_owned(), value);
        }
    }
    Ok(held)
}

/// Returns the canonical value of an attribute, or `None` if it is unassigned.
pub(crate) fn read_value(
    attribute: &'static Attribute,
    label: Label<'_>,
    value: &Value,
) -> Result<Option<Value>, Invalid> {
    if is_unassigned_as(attribute, value) {
        return Ok(None);
    }
    if let (true, Value::Array(values)) = (attribute.multi_valued || attribute.data_type == Type::Any, value)
    {
        check_count(max_values(attribute), label, values.len())?;
    }
    if !attribute.multi_valued {
        return read_single(attribute, label, value);
    }
    let list = values::as_list(value);
    let Value::Array(values) = &*list else {
        return Err(type_mismatch(&label, "a list", value));
    };
    let mut elements = Vec::new();
    for value in values {
        elements.extend(read_single(attribute, label, value)?);
    }
    remove_duplicates(&mut elements);
    Ok((!elements.is_empty()).then_some(Value::Array(elements)))
}

/// Returns the canonical form of a single value or of one element, or `None` if it is unassigned.
pub(crate) fn read_single(
    attribute: &'static Attribute,
    label: Label<'_>,
    value: &Value,
) -> Result<Option<Value>, Invalid> {
    // An empty list is no element of a list.
    if is_unassigned_as(attribute, value) && !(attribute.multi_valued && value.is_array()) {
        return Ok(None);
    }
    let value = &*values::normalized(attribute, value);
    let expected = match (attribute.data_type, value) {
        (Type::Complex, Value::Object(object)) => {
            let mut object = sub_attributes(attribute, label, object)?;
            let is_kept = !attribute.multi_valued || !unassigns_content(&object) || has_content(&object);
            object.retain(|_, part| !part.is_null());
            return Ok((is_kept && !object.is_empty()).then_some(Value::Object(object)));
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
            return Err(type_mismatch(
                &format!("{label} has a value of the wrong type. Each value"),
                "an object",
                value,
            ));
        }
        (Type::Complex, _) => "an object",
        (Type::String | Type::Reference, _) => "a string",
        (Type::Boolean, _) => "true or false",
        (Type::Decimal, _) => "a number",
        (Type::Integer, _) => "a number without a fraction",
        (Type::Binary, _) => "a string of base64",
        (Type::DateTime, _) => "a string such as \"2026-01-31T12:00:00Z\"",
    };
    Err(type_mismatch(&label, expected, value))
}

/// Returns whether a value means that an attribute of this type is unassigned (RFC 7643 §2.5). A value that another type
/// has, such as `{}` for a boolean, is an error of the client.
fn is_unassigned_as(attribute: &Attribute, value: &Value) -> bool {
    let is_text = matches!(
        attribute.data_type,
        Type::String | Type::Reference | Type::DateTime | Type::Binary | Type::Any
    );
    let has_parts = matches!(attribute.data_type, Type::Complex | Type::Any);
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty() && (is_text || values::is_reference(attribute)),
        Value::Array(elements) => elements.is_empty() && (attribute.multi_valued || has_parts),
        Value::Object(parts) => parts.is_empty() && has_parts,
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Returns whether a sub-attribute only describes the others. An element that has nothing else says nothing.
pub(crate) fn is_qualifier(name: &str) -> bool {
    matches!(name, "type" | "primary")
}

/// Returns whether any of these sub-attributes is content, and not a qualifier.
pub(crate) fn has_content(sub_attributes: &Map<String, Value>) -> bool {
    sub_attributes.iter().any(|(name, part)| !part.is_null() && !is_qualifier(name))
}

/// Returns whether the client unassigns any content.
pub(crate) fn unassigns_content(sub_attributes: &Map<String, Value>) -> bool {
    sub_attributes.iter().any(|(name, part)| part.is_null() && !is_qualifier(name))
}

/// Returns the writable sub-attributes of a complex value, in the order of the table. Null unassigns a sub-attribute.
///
/// # Errors
/// If the content of the value is in unknown sub-attributes alone. Names that the client may not write are known.
pub(crate) fn sub_attributes(
    attribute: &'static Attribute,
    label: Label<'_>,
    map: &Map<String, Value>,
) -> Result<Map<String, Value>, Invalid> {
    check_distinct_names(map)?;
    let mut given = Map::new();
    for sub in attribute.sub_attributes.iter().filter(|sub| is_stored(sub)) {
        if let Some(value) = get_ignore_case(map, sub.name) {
            let value = read_value(sub, label.sub(sub.name), value)?;
            given.insert(sub.name.to_owned(), value.unwrap_or(Value::Null));
        }
    }
    let is_unknown = |(name, part): (&String, &Value)| attribute.sub(name).is_none() && is_present(part);
    if !has_content(&given) && map.iter().any(is_unknown) {
        return Err(only_unknown_parts(attribute, label));
    }
    Ok(given)
}

fn only_unknown_parts(attribute: &Attribute, label: Label<'_>) -> Invalid {
    let names: Vec<_> =
        attribute.sub_attributes.iter().filter(|sub| is_stored(sub)).map(|sub| sub.name).collect();
    Invalid::value(format!(
        "{label} has a value whose content is in unknown sub-attributes. It may have {}.",
        names.join(", ")
    ))
}

/// Returns the maximum number of values of an attribute.
pub(crate) fn max_values(attribute: &Attribute) -> usize {
    if attribute.name == "emails" { MAX_EMAILS } else { MAX_VALUES }
}

pub(crate) fn check_count(most: usize, label: Label<'_>, found: usize) -> Result<(), Invalid> {
    if found > most {
        return Err(Invalid::value(format!("{label} has {found} values. Send at most {most}.")));
    }
    Ok(())
}

/// Checks the rules of a whole canonical document. [`check_additions`] checks the others.
pub(crate) fn check_document(
    resource_type: &'static ResourceType,
    document: &Map<String, Value>,
) -> Result<(), Invalid> {
    check_attributes(None, resource_type.schema.attributes, document)?;
    for schema in resource_type.extensions {
        if let Some(Value::Object(extension)) = document.get(schema.id) {
            check_attributes(Some(schema.id), schema.attributes, extension)?;
        }
    }
    for text in IndexedText::of(resource_type) {
        text.values_in(document).into_iter().try_for_each(|value| text.check_size(value))?;
    }
    // Each value takes many times the memory of its text in every request that reads the resource.
    check_values(document.values())?;
    if json_text(document).len() > MAX_DOCUMENT { Err(too_large()) } else { Ok(()) }
}

/// Refuses more values than a resource may have.
pub(crate) fn check_values<'a>(values: impl IntoIterator<Item = &'a Value>) -> Result<(), Invalid> {
    if values.into_iter().map(count_values).sum::<usize>() > MAX_RESOURCE_VALUES {
        return Err(Invalid::value(format!(
            "The resource has more than {MAX_RESOURCE_VALUES} values. Send fewer values, counting those inside of others."
        )));
    }
    Ok(())
}

pub(crate) fn too_large() -> Invalid {
    Invalid::value("The resource is larger than 300 KB. Send fewer or shorter values.")
}

fn is_required(label: Label<'_>) -> Invalid {
    Invalid::value(format!("{label} is required. Send a value that is not blank."))
}

fn check_attributes(
    urn: Option<&str>,
    attributes: &[Attribute],
    object: &Map<String, Value>,
) -> Result<(), Invalid> {
    for attribute in attributes {
        let value = object.get(attribute.name);
        if attribute.required && value.is_none() {
            return Err(is_required(Label::new(urn, attribute.name)));
        }
        let elements = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if elements.iter().filter(|element| element["primary"] == true).count() > 1 {
            let label = Label::new(urn, attribute.name);
            return Err(Invalid::value(format!(
                "{label} has more than one primary value. Set \"primary\" to true on at most one."
            )));
        }
    }
    Ok(())
}

/// An attribute whose values become keys in DynamoDB. Keys have a maximum size, and administrators must be able to
/// tell the values apart by sight.
struct IndexedText {
    /// The core schema, or `None` for a common attribute.
    schema: Option<&'static str>,
    name: &'static str,
    sub: Option<&'static str>,
    /// The maximum size in bytes, after folding unless the attribute is caseExact.
    max_bytes: usize,
    max_characters: Option<usize>,
    /// Finds the first forbidden character.
    forbidden: fn(&str) -> Option<(usize, char)>,
}

/// A key in DynamoDB has at most 1,024 bytes. If several resources may have the same value, 44 bytes are reserved for
/// the id.
const INDEXED_TEXTS: [IndexedText; 4] = [
    IndexedText {
        schema: None,
        name: "externalId",
        sub: None,
        max_bytes: MAX_INDEXED_BYTES,
        max_characters: None,
        forbidden: find_control_character,
    },
    IndexedText {
        schema: Some(USER_URN),
        name: "userName",
        sub: None,
        max_bytes: MAX_UNIQUE_BYTES,
        max_characters: Some(MAX_USER_NAME),
        forbidden: find_forbidden_in_user_name,
    },
    IndexedText {
        schema: Some(USER_URN),
        name: "emails",
        sub: Some("value"),
        max_bytes: MAX_INDEXED_BYTES,
        max_characters: None,
        forbidden: find_forbidden_in_email,
    },
    IndexedText {
        schema: Some(GROUP_URN),
        name: "displayName",
        sub: None,
        max_bytes: MAX_UNIQUE_BYTES,
        max_characters: None,
        forbidden: find_forbidden_in_display_name,
    },
];

impl IndexedText {
    fn of(resource_type: &ResourceType) -> impl Iterator<Item = &'static Self> {
        let urn = resource_type.schema.id;
        INDEXED_TEXTS.iter().filter(move |text| text.schema.is_none_or(|schema| schema == urn))
    }

    fn label(&self) -> Label<'static> {
        let label = Label::new(None, self.name);
        self.sub.map_or(label, |sub| label.sub(sub))
    }

    /// Returns the values in a document.
    fn values_in<'a>(&self, document: &'a Map<String, Value>) -> Vec<&'a str> {
        match (document.get(self.name), self.sub) {
            (Some(Value::String(text)), None) => vec![text],
            (Some(Value::Array(elements)), Some(sub)) => {
                elements.iter().filter_map(|element| element[sub].as_str()).collect()
            }
            _ => Vec::new(),
        }
    }

    fn check_size(&self, text: &str) -> Result<(), Invalid> {
        let label = self.label();
        if let Some(most) = self.max_characters
            && text.chars().nth(most).is_some()
        {
            return Err(Invalid::value(format!("{label} is too long. Use at most {most} characters.")));
        }
        // `externalId` is the only common attribute here. It is caseExact, so its bytes are stored as they are.
        let bytes = if self.schema.is_none() { text.len() } else { fold(text).len() };
        if bytes > self.max_bytes {
            return Err(Invalid::value(format!(
                "{label} is too long. Use at most {} bytes.",
                self.max_bytes
            )));
        }
        Ok(())
    }

    fn check_characters(&self, text: &str) -> Result<(), Invalid> {
        let Some((at, character)) = (self.forbidden)(text) else { return Ok(()) };
        let which = if is_unassigned_character(character) { "unassigned" } else { "invisible" };
        Err(Invalid::value(format!(
            "{} contains the {which} character U+{:04X} at position {}. Remove the character.",
            self.label(),
            u32::from(character),
            at + 1
        )))
    }
}

#[cfg(test)]
mod tests;
