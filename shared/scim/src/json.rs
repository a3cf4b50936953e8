//! Strict parsing of request bodies (RFC 8259, and I-JSON, RFC 7493 §2.3).
//!
//! `serde_json` alone keeps the last of two members with the same name, so a check of the first member could be
//! bypassed. This parser refuses an object that has a name twice, at any depth. It also refuses nesting deeper than
//! [`MAX_DEPTH`], trailing bytes, invalid UTF-8, and numbers out of range. A byte order mark is ignored, as RFC 8259
//! §8.1 allows (`tests/fixtures/other/body-with-byte-order-mark.json`). Every error is `invalidSyntax`, with line and column unless the body is empty. The only part of a body that an error quotes is a
//! short member name.
//!
//! Names that differ only in case are distinct in JSON. `check_distinct_names` applies SCIM's rule.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::error::Invalid;
use crate::fold::find_forbidden_in_user_name;

/// The maximum depth of arrays and objects. The outermost one is the first level.
pub const MAX_DEPTH: usize = 32;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The maximum length of a member name that errors quote, in characters.
const MAX_QUOTED: usize = 64;

/// Parses a request body.
///
/// # Errors
/// `invalidSyntax`, with line and column unless the body is empty.
pub fn parse(bytes: &[u8]) -> Result<Value, Invalid> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    if bytes.trim_ascii().is_empty() {
        return Err(Invalid::syntax("The request has no body. Send a JSON object."));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let (line, column) = line_and_column(&bytes[..error.valid_up_to()]);
        Invalid::syntax(format!(
            "The request body is not UTF-8 at line {line} column {column}. Send it as UTF-8."
        ))
    })?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    ValueAtDepth { depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| Invalid::syntax(format!("The request body is not valid JSON: {error}.")))
}

fn line_and_column(before: &[u8]) -> (usize, usize) {
    let line = before.split(|byte| *byte == b'\n').count();
    let since_newline = before.iter().rev().take_while(|byte| **byte != b'\n').count();
    (line, since_newline + 1)
}

/// Reads one value that is inside `depth` arrays and objects.
#[derive(Clone, Copy)]
struct ValueAtDepth {
    depth: usize,
}

impl ValueAtDepth {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("arrays and objects nest more than {MAX_DEPTH} deep")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for ValueAtDepth {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueAtDepth {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(duplicate(&name));
            }
            let value = members.next_value_seed(inner)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

fn duplicate<E: de::Error>(name: &str) -> E {
    if name.chars().count() <= MAX_QUOTED && find_forbidden_in_user_name(name).is_none() {
        E::custom(format_args!("the member '{name}' occurs twice in one object"))
    } else {
        E::custom("a member occurs twice in one object")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::error::ScimType;

    /// Asserts that the body is refused and that the detail contains a text.
    fn refused(body: impl AsRef<[u8]>, detail: &str) {
        let error = parse(body.as_ref()).unwrap_err();
        assert_eq!(error.scim_type, ScimType::InvalidSyntax);
        assert!(error.detail.contains(detail), "{}", error.detail);
    }

    fn nested(depth: usize) -> String {
        format!("{}{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn valid_json_is_read() {
        let body =
            r#" {"a": [1, -2, 1.5, true, null, "\u00e9\n"], "A": {"a": {}}, "big": 18446744073709551615} "#;
        let expected = json!({"a": [1, -2, 1.5, true, null, "é\n"], "A": {"a": {}}, "big": u64::MAX});
        assert_eq!(parse(body.as_bytes()), Ok(expected));
        assert_eq!(parse(b"\"text\""), Ok(json!("text")));
        assert_eq!(parse("\u{feff}{\"a\": \"\u{feff}\"}".as_bytes()), Ok(json!({"a": "\u{feff}"})));
    }

    #[test]
    fn member_order_is_kept() {
        assert_eq!(parse(br#"{"b":1,"a":2}"#).unwrap().to_string(), r#"{"b":1,"a":2}"#);
    }

    #[test]
    fn duplicate_members_are_refused_at_any_depth() {
        refused(
            r#"{"active":true,"active":false}"#,
            "the member 'active' occurs twice in one object at line 1 column 23",
        );
        refused("{\"a\":[{\n\"b\":{\"c\":1,\"c\":1}}]}", "'c' occurs twice in one object at line 2");
        refused(r#"{"a":1,"\u0061":2}"#, "'a' occurs twice");
        refused(r#"{"a":1,"a":}"#, "'a' occurs twice");
        assert!(parse(br#"[{"a":1},{"a":1}]"#).is_ok());
    }

    #[test]
    fn long_and_invisible_names_are_not_quoted() {
        let long = "x".repeat(65);
        refused(format!(r#"{{"{long}":1,"{long}":2}}"#), "a member occurs twice");
        refused(r#"{"a\u202e":1,"a\u202e":2}"#, "a member occurs twice");
    }

    #[test]
    fn nesting_is_limited_to_32_levels() {
        assert!(parse(nested(32).as_bytes()).is_ok());
        refused(nested(33), "nest more than 32 deep");
        refused("[".repeat(500_000), "nest more than 32 deep");
        refused(r#"{"a":"#.repeat(33), "nest more than 32 deep");
    }

    #[test]
    fn malformed_json_is_refused_with_position() {
        refused("", "The request has no body");
        refused(" \n", "The request has no body");
        refused("\u{feff}", "no body");
        refused("\u{feff}\u{feff}{}", "not valid JSON");
        refused("{}\u{feff}", "not valid JSON");
        refused(b"{\"a\":\n\"x\xff\"}", "not UTF-8 at line 2 column 3");
        refused("{} {}", "trailing characters at line 1 column 4");
        refused("{\"a\":1,}", "line 1 column 8");
        refused("{\"a\":\n", "line 2 column 0");
        refused("[NaN]", "line 1");
        refused("[1e400]", "number out of range at line 1");
        refused(r#"["\ud800"]"#, "line 1");
        refused("{'a':1}", "line 1 column 2");
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn parser_agrees_with_serde_json(value in value()) {
            let text = serde_json::to_vec_pretty(&value).unwrap();
            prop_assert_eq!(parse(&text).unwrap(), serde_json::from_slice::<Value>(&text).unwrap());
        }

        #[test]
        fn parser_accepts_no_more_than_serde_json(value in value(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut text = serde_json::to_vec(&value).unwrap();
            let at = at.index(text.len());
            text[at] = byte;
            if let Ok(read) = parse(&text) {
                prop_assert_eq!(read, serde_json::from_slice::<Value>(&text).unwrap());
            }
        }

        #[test]
        fn numbers_keep_their_value(number in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL) {
            prop_assert_eq!(parse(json!(number).to_string().as_bytes()).unwrap().as_f64(), Some(number));
        }

        #[test]
        fn parser_does_not_panic_on_any_bytes(bytes in any::<Vec<u8>>()) {
            let _ = parse(&bytes);
        }
    }
}
