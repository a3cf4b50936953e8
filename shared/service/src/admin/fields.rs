//! Strict reading of the members of a JSON body.
//!
//! The parser refuses malformed JSON and duplicate names (`scim::json`). [`Fields`] then takes the members one by one and
//! collects every fault, so that one answer names them all. A member that no reader has taken is unknown, and refused.

use std::{collections::BTreeSet, ops::RangeInclusive};

use scim::json;
use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use super::problem::{Fault, Kind, Problem};
use crate::{auth::Scope, store::MAX_LABEL};

/// The longest name of an unknown member that an answer repeats, in characters.
const MAX_QUOTED: usize = 64;

/// Why a value is refused. `below` is the rest of the JSON pointer, such as `/0`.
pub(super) struct Refused {
    below: String,
    detail: String,
    kind: Kind,
}

impl Refused {
    /// Refuses a value of a wrong type or form (400).
    pub(super) fn form(detail: impl Into<String>) -> Self {
        Self { below: String::new(), detail: detail.into(), kind: Kind::InvalidRequest }
    }

    /// Refuses a well-formed value that the service cannot use (422).
    pub(super) fn meaning(detail: impl Into<String>) -> Self {
        Self { below: String::new(), detail: detail.into(), kind: Kind::Unprocessable }
    }

    fn of_element(self, index: usize) -> Self {
        Self { below: format!("/{index}{}", self.below), ..self }
    }
}

/// The members of an object that are not read yet, and the faults of the others.
pub(super) struct Fields {
    pointer: String,
    members: Map<String, Value>,
    known: Vec<&'static str>,
    faults: Vec<(Kind, Fault)>,
}

impl Fields {
    /// Parses a body, which must be one JSON object.
    ///
    /// # Errors
    /// A problem with the position of the first syntax error.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Problem> {
        let value =
            json::parse(body).map_err(|invalid| Problem::new(Kind::InvalidRequest, invalid.detail))?;
        match value {
            Value::Object(members) => Ok(Self::of("#".to_owned(), members)),
            _ => Err(Fault::member("#", "The body is not a JSON object. Send a JSON object.").into()),
        }
    }

    fn of(pointer: String, members: Map<String, Value>) -> Self {
        Self { pointer, members, known: Vec::new(), faults: Vec::new() }
    }

    /// Reads a member that the body may leave out. Null counts as left out.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value) -> Result<T, Refused>,
    ) -> Option<T> {
        self.take(name).filter(|value| !value.is_null()).and_then(|value| self.checked(name, read(value)))
    }

    /// Reads a member that the body must have.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value) -> Result<T, Refused>,
    ) -> Option<T> {
        if let Some(value) = self.take(name) {
            self.checked(name, read(value))
        } else {
            self.refuse(name, Refused::form(format!("The member '{name}' is missing. Add it.")));
            None
        }
    }

    /// Reads a member of a change: `None` if the body leaves it out, `Some(None)` if it is null.
    #[expect(clippy::option_option, reason = "left out, null, or a value")]
    pub(super) fn nullable<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value) -> Result<T, Refused>,
    ) -> Option<Option<T>> {
        match self.take(name)? {
            Value::Null => Some(None),
            value => self.checked(name, read(value)).map(Some),
        }
    }

    /// Reads a member of a change that cannot be removed: null is a fault.
    pub(super) fn change<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value) -> Result<T, Refused>,
    ) -> Option<T> {
        let value = self.take(name)?;
        self.checked(name, read(value))
    }

    /// Reads a member that is an object, if the body has it.
    pub(super) fn object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        match self.take(name)? {
            Value::Object(members) => {
                let mut inner = Self::of(format!("{}/{name}", self.pointer), members);
                let value = read(&mut inner);
                inner.refuse_unknown();
                self.faults.append(&mut inner.faults);
                value
            }
            _ => self.checked(name, Err(Refused::form("The value is not an object. Send a JSON object."))),
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// All faults of the body. The status is 422 if all of them are about meaning, or else 400.
    pub(super) fn finish<T>(mut self, value: Option<T>) -> Result<T, Problem> {
        self.refuse_unknown();
        if let (Some(value), true) = (value, self.faults.is_empty()) {
            return Ok(value);
        }
        let only_meaning = self.faults.iter().all(|(kind, _)| *kind == Kind::Unprocessable);
        let kind = if only_meaning { Kind::Unprocessable } else { Kind::InvalidRequest };
        Err(Problem::of_faults(kind, self.faults.into_iter().map(|(_, fault)| fault).collect()))
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.members.shift_remove(name)
    }

    fn checked<T>(&mut self, name: &str, outcome: Result<T, Refused>) -> Option<T> {
        outcome.map_err(|refused| self.refuse(name, refused)).ok()
    }

    /// Records the fault of a member.
    pub(super) fn refuse(&mut self, name: &str, refused: Refused) {
        let pointer = format!("{}/{name}{}", self.pointer, refused.below);
        self.faults.push((refused.kind, Fault::member(pointer, refused.detail)));
    }

    fn refuse_unknown(&mut self) {
        let known = self.known.join(", ");
        for (name, _) in std::mem::take(&mut self.members) {
            let is_plain = |name: &str| {
                name.len() <= MAX_QUOTED
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            };
            let pointer =
                if is_plain(&name) { format!("{}/{name}", self.pointer) } else { self.pointer.clone() };
            let detail = if known.is_empty() {
                "The object has an unknown member. It has no members. Remove it.".to_owned()
            } else {
                format!("The object has an unknown member. Remove it. The members are {known}.")
            };
            self.faults.push((Kind::InvalidRequest, Fault::member(pointer, detail)));
        }
    }
}

/// Reads a text.
pub(super) fn text(value: Value) -> Result<String, Refused> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(Refused::form("The value is not a string. Send a string.")),
    }
}

/// Reads true or false.
#[expect(clippy::needless_pass_by_value, reason = "every reader takes the value")]
pub(super) fn boolean(value: Value) -> Result<bool, Refused> {
    match value {
        Value::Bool(value) => Ok(value),
        _ => Err(Refused::form("The value is not true or false. Send true or false.")),
    }
}

/// Returns a reader of whole numbers of that range.
pub(super) fn whole(range: RangeInclusive<u32>) -> impl FnOnce(Value) -> Result<u32, Refused> {
    move |value| {
        let (least, most) = (range.start(), range.end());
        // JSON has one kind of numbers: 60.0 is a whole number too.
        let number = value.as_f64().filter(|number| number.fract() == 0.0);
        number
            .filter(|number| (f64::from(*least)..=f64::from(*most)).contains(number))
            .and_then(|number| format!("{number}").parse().ok())
            .ok_or_else(|| {
                Refused::form(format!(
                    "The value is not a whole number from {least} to {most}. Send a number of this range."
                ))
            })
    }
}

/// Reads a label: 1 to [`MAX_LABEL`] characters without control characters, and not only blanks.
pub(super) fn label(value: Value) -> Result<String, Refused> {
    let label = text(value)?;
    match label.chars().count() {
        _ if label.trim().is_empty() => {
            Err(Refused::form("The label is empty. Leave it out, or send a text."))
        }
        count if count > MAX_LABEL => {
            Err(Refused::form(format!("The label has more than {MAX_LABEL} characters. Send a shorter one.")))
        }
        _ if label.chars().any(char::is_control) => {
            Err(Refused::form("The label has control characters. Send it without them."))
        }
        _ => Ok(label),
    }
}

/// Reads a list of scopes, which has at least one and each at most once.
pub(super) fn scopes(value: Value) -> Result<BTreeSet<Scope>, Refused> {
    let Value::Array(elements) = value else {
        return Err(Refused::form("The value is not a list. Send a list of scopes: scim, read, write."));
    };
    if elements.is_empty() {
        return Err(Refused::form("The list of scopes is empty. Send at least one of scim, read, write."));
    }
    let mut scopes = BTreeSet::new();
    for (index, element) in elements.into_iter().enumerate() {
        let scope: Scope = text(element)
            .and_then(|text| {
                text.parse().map_err(|_| {
                    Refused::form("This scope does not exist. The scopes are scim, read and write.")
                })
            })
            .map_err(|refused| refused.of_element(index))?;
        if !scopes.insert(scope) {
            let refused = Refused::form("This scope is given twice. Send each scope once.");
            return Err(refused.of_element(index));
        }
    }
    Ok(scopes)
}

/// Returns a reader of a time after `now`, and at most `longest` after it.
pub(super) fn end(
    now: OffsetDateTime,
    longest: Duration,
) -> impl FnOnce(Value) -> Result<OffsetDateTime, Refused> {
    move |value| {
        let end = text(value)?;
        let end = OffsetDateTime::parse(&end, &Rfc3339).map_err(|_| {
            Refused::form("The value is not a time of RFC 3339. Send a time such as 2027-01-31T09:00:00Z.")
        })?;
        let end = end
            .checked_to_offset(UtcOffset::UTC)
            .ok_or_else(|| Refused::meaning("The time is out of range. Send an earlier time."))?;
        if end <= now {
            return Err(Refused::meaning("The end is in the past. Send a time in the future."));
        }
        if end - now > longest {
            return Err(Refused::meaning(format!(
                "The end is more than {} days from now. Send an earlier time.",
                longest.whole_days()
            )));
        }
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-23 09:00 UTC);

    fn faults(body: &str) -> Vec<String> {
        let mut fields = Fields::parse(body.as_bytes()).unwrap();
        let scopes = fields.required("scopes", scopes);
        fields.optional("label", label);
        fields.nullable("ends", end(NOW, Duration::days(9)));
        fields.object("settings", |settings| settings.change("rate", whole(1..=10)));
        let problem = fields.finish(scopes).unwrap_err();
        let text = serde_json::to_value(problem).unwrap();
        let name = |fault: &Value| format!("{} {}", fault["pointer"].as_str().unwrap(), text["status"]);
        text["errors"].as_array().unwrap().iter().map(name).collect()
    }

    #[test]
    fn every_fault_is_named() {
        let body =
            json!({ "label": 1, "ends": "tomorrow", "settings": { "rate": 1.5, "x": 1 }, "y": 1, "#/": 1 });
        let expected = [
            "#/scopes 400",
            "#/label 400",
            "#/ends 400",
            "#/settings/rate 400",
            "#/settings/x 400",
            "#/y 400",
            "# 400",
        ];
        assert_eq!(faults(&body.to_string()), expected);
    }

    #[test]
    fn fault_of_an_element_has_its_index() {
        assert_eq!(faults(r#"{"scopes":["read","admin"]}"#), ["#/scopes/1 400"]);
        assert_eq!(faults(r#"{"scopes":["read","read"]}"#), ["#/scopes/1 400"]);
        assert_eq!(faults(r#"{"scopes":[]}"#), ["#/scopes 400"]);
    }

    #[test]
    fn past_end_is_well_formed() {
        let body = |ends: &str| format!(r#"{{"scopes":["read"],"ends":"{ends}"}}"#);
        assert_eq!(faults(&body("2026-11-23T09:00:00Z")), ["#/ends 422"]);
        assert_eq!(faults(&body("2026-12-03T09:00:00Z")), ["#/ends 422"]);
        assert_eq!(faults(&body("9999-12-31T23:59:59-23:00")), ["#/ends 422"]);
        assert_eq!(faults(&body("2026-13-01T00:00:00Z")), ["#/ends 400"]);
    }

    #[test]
    fn numbers_are_whole_and_in_range() {
        let read = |value: Value| whole(5..=360)(value).ok();
        assert_eq!(read(json!(5)), Some(5));
        assert_eq!(read(json!(60.0)), Some(60));
        assert_eq!(read(json!(360)), Some(360));
        for refused in [json!(4), json!(361), json!(5.5), json!(-5), json!("5"), json!(1e300), json!(null)] {
            assert_eq!(read(refused), None);
        }
    }

    #[test]
    fn label_has_printable_characters() {
        assert!(label(json!("é".repeat(MAX_LABEL))).is_ok());
        for refused in [
            json!(""),
            json!(" "),
            json!("é".repeat(MAX_LABEL + 1)),
            json!("a\nb"),
            json!("\u{7f}"),
            json!(1),
        ] {
            assert!(label(refused).is_err());
        }
    }
}
