//! Resource ids (RFC 7643 §3.1): UUIDs of version 7, which sort by creation time.
//!
//! An id has exactly one spelling: lower case, with hyphens. The attribute `id` is caseExact, so any other spelling
//! is an unknown id. The caller passes in the time and the random bytes. Reading does not check the version, because
//! imported ids may be UUIDs of another version.

use std::fmt;

use uuid::{Builder, Uuid};

/// The id of a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(String);

impl Id {
    /// Reads an id. Returns `None` unless the text is a lower-case UUID with hyphens.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let uuid = Uuid::try_parse(text).ok()?;
        let canonical = uuid.hyphenated().to_string();
        (canonical == text).then_some(Self(canonical))
    }

    /// Creates an id of version 7 from a time and ten random bytes.
    #[must_use]
    pub fn v7(unix_millis: u64, random: [u8; 10]) -> Self {
        let uuid = Builder::from_unix_timestamp_millis(unix_millis, &random).into_uuid();
        Self(uuid.hyphenated().to_string())
    }

    /// Returns the range of texts that holds the ids of version 7 created between two times, both included.
    #[must_use]
    pub fn range_created_between(from_millis: u64, to_millis: u64) -> (String, String) {
        let prefix = |millis: u64| format!("{:08x}-{:04x}", millis >> 16, millis & 0xFFFF);
        // A `-` follows the time, and `.` is the next character after `-`.
        (prefix(from_millis), format!("{}.", prefix(to_millis)))
    }

    /// Returns when an id of version 7 was created, in milliseconds since 1970.
    #[must_use]
    pub fn created_at(&self) -> u64 {
        let digits = self.0.chars().filter_map(|digit| digit.to_digit(16)).take(12);
        digits.fold(0, |millis, digit| millis << 4 | u64::from(digit))
    }

    /// Makes an id from its 16 bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes).hyphenated().to_string())
    }

    /// Returns the 16 bytes of the id.
    ///
    /// # Panics
    /// Never: the text of an id is a UUID.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the text of an id is a UUID")]
    pub fn to_bytes(&self) -> [u8; 16] {
        Uuid::try_parse(&self.0).expect("the text of an id is a UUID").into_bytes()
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Id {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_spelling() {
        let text = "0190a5b2-8a3c-7def-8123-456789abcdef";
        let id = Id::parse(text).unwrap();
        assert_eq!(id.as_str(), text);
        assert_eq!(Id::from_bytes(id.to_bytes()), id);
        for other in [
            "",
            "1",
            "0190A5B2-8A3C-7DEF-8123-456789ABCDEF",
            "0190a5b28a3c7def8123456789abcdef",
            "{0190a5b2-8a3c-7def-8123-456789abcdef}",
            "urn:uuid:0190a5b2-8a3c-7def-8123-456789abcdef",
            "0190a5b2-8a3c-7def-8123-456789abcdef ",
            "0190a5b2-8a3c-7def-8123-456789abcdeg",
            "0190a5b2-8a3c-7def-8123-456789abcdéf",
        ] {
            assert_eq!(Id::parse(other), None, "{other}");
        }
    }

    #[test]
    fn ids_sort_by_creation_time() {
        let early = Id::v7(1_700_000_000_000, [0xff; 10]);
        let late = Id::v7(1_700_000_000_001, [0; 10]);
        assert!(early < late);
        assert_eq!(early.to_string(), "018bcfe5-6800-7fff-bfff-ffffffffffff");
        assert_eq!(Id::parse(early.as_ref()), Some(early));
    }

    #[test]
    fn id_range_holds_exactly_the_ids_of_its_time() {
        let (from, to) = Id::range_created_between(1_000, 2_000);
        for (millis, inside) in [(999, false), (1_000, true), (1_500, true), (2_000, true), (2_001, false)] {
            for random in [[0; 10], [255; 10]] {
                let id = Id::v7(millis, random);
                assert_eq!((from.as_str()..=to.as_str()).contains(&id.as_str()), inside, "{millis}");
                assert_eq!(id.created_at(), millis);
            }
        }
    }
}
