//! Strict parsing of request bodies (RFC 8259, and I-JSON, RFC 7493 §2.3).
//!
//! `serde_json` alone keeps the last of two members with the same name, so a check of the first member could be
//! bypassed. This parser refuses an object that has a name twice, at any depth. It also refuses nesting deeper than
//! [`MAX_DEPTH`], trailing bytes, invalid UTF-8, and numbers out of range. A byte order mark is ignored, as RFC 8259
//! §8.1 allows (`tests/fixtures/other/body-with-byte-order-mark.json`). Every error is `invalidSyntax`, with line and
//! column unless the body is empty. The only part of a body that an error quotes is a short member name.
//!
//! A value takes many times the memory of its text: `[0]` becomes 150 bytes. The number of values is therefore limited,
//! and counted while they are read.
//!
//! Names that differ only in case are distinct in JSON. `check_distinct_names` applies SCIM's rule.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::error::Invalid;
use crate::fold::find_forbidden_in_user_name;
use crate::schema::MEMBERS;

/// The maximum depth of arrays and objects. The outermost one is the first level.
pub const MAX_DEPTH: usize = 32;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The maximum number of values in a body: texts, numbers, booleans, nulls, arrays and objects. A body of 5.5 MB with
/// 115,000 members has 230,000, or 345,000 if each member has a short type.
pub const MAX_VALUES: usize = 400_000;

/// The maximum number of values in a body outside of lists that may hold members: `members`, and the `value` of a PATCH
/// operation. It is also the maximum number of values of a resource.
pub const MAX_RESOURCE_VALUES: usize = 20_000;

/// The maximum length of a member name that errors quote, in characters.
const MAX_QUOTED: usize = 64;

/// Parses the body of a request for one resource.
///
/// # Errors
/// `invalidSyntax`, with line and column unless the body is empty.
pub fn parse(bytes: &[u8]) -> Result<Value, Invalid> {
    parse_within(bytes, MAX_RESOURCE_VALUES)
}

/// Parses the body of a request for many resources. Each of them may have [`MAX_RESOURCE_VALUES`], all together
/// [`MAX_VALUES`].
///
/// # Errors
/// As [`parse`].
pub fn parse_bulk(bytes: &[u8]) -> Result<Value, Invalid> {
    parse_within(bytes, MAX_VALUES)
}

/// Returns the number of values in a value, which counts too.
#[must_use]
pub fn count_values(value: &Value) -> usize {
    let inner: usize = match value {
        Value::Array(elements) => elements.iter().map(count_values).sum(),
        Value::Object(members) => members.values().map(count_values).sum(),
        _ => 0,
    };
    1 + inner
}

fn parse_within(bytes: &[u8], outside_members: usize) -> Result<Value, Invalid> {
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
    let left = Left { all: Cell::new(MAX_VALUES), outside_members: Cell::new(outside_members) };
    ValueAtDepth { depth: 0, in_members: false, left: &left, most: outside_members }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| Invalid::syntax(format!("The request body is not valid JSON: {error}.")))
}

fn line_and_column(before: &[u8]) -> (usize, usize) {
    let line = before.split(|byte| *byte == b'\n').count();
    let since_newline = before.iter().rev().take_while(|byte| **byte != b'\n').count();
    (line, since_newline + 1)
}

/// The numbers of values that may still follow.
struct Left {
    all: Cell<usize>,
    outside_members: Cell<usize>,
}

/// Reads one value that is inside `depth` arrays and objects.
#[derive(Clone, Copy)]
struct ValueAtDepth<'l> {
    depth: usize,
    /// Whether the value is inside of a list that may hold members.
    in_members: bool,
    left: &'l Left,
    /// The maximum number of values outside of such lists.
    most: usize,
}

impl ValueAtDepth<'_> {
    /// Counts the value that is read next.
    fn count<E: de::Error>(self) -> Result<(), E> {
        let take = |left: &Cell<usize>, most: usize| {
            let rest = left.get().checked_sub(1).ok_or_else(|| {
                E::custom(format_args!("the body has more than {most} values outside of 'members'"))
            })?;
            left.set(rest);
            Ok(())
        };
        if !self.in_members {
            take(&self.left.outside_members, self.most)?;
        }
        match self.left.all.get() {
            0 => Err(E::custom(format_args!("the body has more than {MAX_VALUES} values"))),
            left => {
                self.left.all.set(left - 1);
                Ok(())
            }
        }
    }

    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("arrays and objects nest more than {MAX_DEPTH} deep")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    /// Returns the reader of the value of a name.
    fn of_name(self, name: &str) -> Self {
        let may_hold_members = name.eq_ignore_ascii_case(MEMBERS) || name.eq_ignore_ascii_case("value");
        Self { in_members: self.in_members || may_hold_members, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for ValueAtDepth<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueAtDepth<'_> {
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
        // Most arrays of a large body are short, and an array has room for four elements at least.
        array.shrink_to_fit();
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        // Most objects of a large body are members with one name. Without a capacity there would be room for three.
        let mut object = Map::with_capacity(1);
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(duplicate(&name));
            }
            let value = members.next_value_seed(inner.of_name(&name))?;
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
    fn number_of_values_is_limited() {
        let list = |name: &str, count: usize| format!(r#"{{"{name}":[{}0]}}"#, "0,".repeat(count - 1));
        // The object and the list are values too.
        assert!(parse(list("x", MAX_RESOURCE_VALUES - 2).as_bytes()).is_ok());
        refused(list("x", MAX_RESOURCE_VALUES - 1), "more than 20000 values outside of 'members' at line 1");
        for name in ["members", "Members", "value"] {
            assert!(parse(list(name, MAX_VALUES - 2).as_bytes()).is_ok(), "{name}");
            refused(list(name, MAX_VALUES - 1), "the body has more than 400000 values at line 1");
        }
        let bulk = |count| parse_bulk(list("x", count).as_bytes());
        assert!(bulk(MAX_VALUES - 2).is_ok());
        assert!(bulk(MAX_VALUES - 1).is_err());
        assert_eq!(count_values(&bulk(10).unwrap()), 12);
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
