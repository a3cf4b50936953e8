//! Operations on JSON values that several stages share: labels for errors, unassigned values, and the comparison of
//! dates and numbers.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;

use serde_json::{Map, Number, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::Invalid;
use crate::fold::is_blank_text;

/// The name of an attribute in error details, spelled as in a PATCH path.
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

/// Returns whether a value counts as unassigned (RFC 7643 §2.5). An empty text counts too: it says no more than an
/// absent attribute, and no index can hold it.
pub(crate) fn is_unassigned(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Returns whether a value counts as present in a filter. Null and empty values do not (RFC 7643 §2.5), nor do lists
/// and objects that hold nothing else.
pub(crate) fn is_present(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(elements) => elements.iter().any(is_present),
        Value::Object(members) => members.values().any(is_present),
    }
}

pub(crate) fn is_blank(value: &Value) -> bool {
    value.as_str().is_some_and(is_blank_text)
}

/// Returns the member of a name, in any case. An object that passed [`check_distinct_names`] has at most one.
pub(crate) fn get_ignore_case<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Refuses names that differ only in case. Attribute names are case-insensitive, so `userName` beside `USERNAME`
/// would be one attribute with two values.
pub(crate) fn check_distinct_names(map: &Map<String, Value>) -> Result<(), Invalid> {
    // A group may have a hundred thousand members, each of which is a small object.
    if map.len() <= 1 {
        return Ok(());
    }
    let mut names: Vec<_> = map.keys().map(|name| (name.to_ascii_lowercase(), name)).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        None => Ok(()),
        Some(pair) => Err(Invalid::syntax(format!(
            "The names '{}' and '{}' refer to the same attribute. Send it once.",
            excerpt(pair[0].1),
            excerpt(pair[1].1)
        ))),
    }
}

/// Returns the JSON text of an object.
#[expect(
    clippy::expect_used,
    reason = "an object of JSON values has a JSON text: its keys are text, its numbers finite"
)]
pub(crate) fn json_text(object: &Map<String, Value>) -> String {
    serde_json::to_string(object).expect("a JSON object has a JSON text")
}

/// Shortens a name from the client for an error detail.
pub(crate) fn excerpt(name: &str) -> &str {
    match name.char_indices().nth(100) {
        None => name,
        Some((end, _)) => &name[..end],
    }
}

/// Creates the error for a value of the wrong type. The detail names the expected and the actual type. It never
/// quotes the value, which may be personal data.
pub(crate) fn type_mismatch(what: &dyn fmt::Display, expected: &str, value: &Value) -> Invalid {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Invalid::value(if expected.starts_with(found) {
        format!("{what} must be {expected}.")
    } else {
        format!("{what} must be {expected}, not {found}.")
    })
}

/// Removes all but the first of equal elements. The order of their sub-attributes does not matter.
pub(crate) fn remove_duplicates(elements: &mut Vec<Value>) {
    // A thousand operations of a PATCH may each change a list, so elements are compared by hash.
    let mut seen = HashSet::with_capacity(elements.len());
    let distinct: Vec<bool> = elements.iter().map(|element| seen.insert(element)).collect();
    let mut distinct = distinct.into_iter();
    elements.retain(|_| distinct.next() == Some(true));
}

/// Returns whether a text has only the characters of base64: either alphabet of RFC 4648, padding and line breaks.
pub(crate) fn is_base64(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/-_=\r\n".contains(&byte))
}

/// Finds the first control character and its position in characters from 0.
pub(crate) fn find_control_character(text: &str) -> Option<(usize, char)> {
    text.chars().enumerate().find(|(_, character)| character.is_control())
}

/// Parses a date and time with its zone (RFC 3339; RFC 7643 §2.3.5). `t` and `z` may be lower case.
pub(crate) fn parse_date_time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(&text.to_ascii_uppercase(), &Rfc3339).ok()
}

/// Compares two numbers, integers exactly. As floats, integers from 2⁵³ on would equal their neighbours.
pub(crate) fn compare_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64()) {
        return Some(a.cmp(&b));
    }
    if let (Some(a), Some(b)) = (a.as_u64(), b.as_u64()) {
        return Some(a.cmp(&b));
    }
    a.as_f64()?.partial_cmp(&b.as_f64()?)
}
