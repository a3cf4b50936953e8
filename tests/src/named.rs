//! Names for the values that a service chooses: ids, versions and the time. A snapshot with names is independent of the
//! values and still shows which values are equal.

use std::sync::{Mutex, PoisonError};

use scim::id::Id;
use service::ambient::Clock;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::NOW;

/// The lengths of an id, a time with milliseconds, a version, and the part of a user's groups after a version.
const ID: usize = 36;
const TIME: usize = 24;
const VERSION: usize = 16;
const GROUPS: usize = 8;
/// The prefixes of a version. In JSON, the quotation mark is escaped.
const WEAK: [&str; 2] = ["W/\"", "W/\\\""];

/// The values in the order of their first appearance.
#[derive(Debug, Default)]
pub(crate) struct Named {
    ids: Mutex<Vec<String>>,
    versions: Mutex<Vec<String>>,
    groups: Mutex<Vec<String>>,
}

impl Named {
    /// Replaces the values in a text by names.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut named = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let (length, name) = self.name(rest).unwrap_or_else(|| (first.len_utf8(), first.to_string()));
            named.push_str(&name);
            rest = &rest[length..];
        }
        named
    }

    /// Returns the name of the value at the start of the text, and the length of the value.
    fn name(&self, text: &str) -> Option<(usize, String)> {
        if let Some(id) = text.get(..ID).and_then(Id::parse).filter(|id| is_now(made_at(id))) {
            return Some((ID, format!("{{{}}}", number(&self.ids, id.as_str()))));
        }
        if text.get(..TIME).and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok()).is_some_and(is_now) {
            return Some((TIME, "{now}".to_owned()));
        }
        let weak = WEAK.into_iter().find(|weak| text.starts_with(weak))?;
        let version = digits(&text[weak.len()..], VERSION)?;
        let named = format!("{weak}{{v{}}}", number(&self.versions, version));
        let rest = &text[weak.len() + VERSION..];
        match rest.strip_prefix('.').and_then(|rest| digits(rest, GROUPS)) {
            Some(groups) => {
                let length = text.len() - rest.len() + 1 + GROUPS;
                Some((length, format!("{named}.{{g{}}}", number(&self.groups, groups))))
            }
            None => Some((text.len() - rest.len(), named)),
        }
    }
}

/// Returns the hexadecimal digits at the start of the text, if there are that many.
fn digits(text: &str, count: usize) -> Option<&str> {
    text.get(..count).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn made_at(id: &Id) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(i64::try_from(id.made_at()).unwrap_or_default())
}

/// Returns the number of a value, counted from 1.
fn number(seen: &Mutex<Vec<String>>, text: &str) -> usize {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let known = seen.iter().position(|known| known == text);
    known.unwrap_or_else(|| {
        seen.push(text.to_owned());
        seen.len() - 1
    }) + 1
}

/// Returns whether this is the time of the fixed clock or a time of the system since the start of a test.
fn is_now(time: OffsetDateTime) -> bool {
    time == NOW || (Duration::ZERO..Duration::minutes(10)).contains(&(Clock::system().now() - time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_equal_names() {
        let named = Named::default();
        let [first, second] =
            ["01a207a2-32fb-71c1-8690-ee42c90b71bb", "01a207a2-32fb-7917-98de-357e3da8cb43"];
        let text = format!(
            "{first} and {second}, {first}; W/\"0123456789abcdef\" W/\\\"0123456789abcdef\\\"\nW/\"fedcba9876543210\" \
             W/\"fedcba9876543210.01234567\" 2026-11-23T09:00:00.123Z"
        );
        let expected = "{1} and {2}, {1}; W/\"{v1}\" W/\\\"{v1}\\\"\nW/\"{v2}\" W/\"{v2}.{g1}\" {now}";
        assert_eq!(named.text(&text), expected);
        assert_eq!(named.text(second), "{2}");
    }

    #[test]
    fn foreign_values_are_unchanged() {
        let text = "01936f20-0000-7000-8000-000000000000 2026-11-23T09:00:00.124Z W/\"x\" W/\"0123\" é 1";
        assert_eq!(Named::default().text(text), text);
    }
}
