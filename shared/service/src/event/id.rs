//! Ids of events: a hybrid logical time.

use std::{fmt, str::FromStr};

/// The id of the events of a transaction: a hybrid logical time, and the version that the transaction writes.
///
/// The time is that of the writer's clock, or that of the latest event of the resources that the transaction depends on
/// if this is later. The order of the text is the order of the ids.
///
/// # Example
///
/// ```
/// use service::event::EventId;
///
/// let first = EventId::after(None, 1_795_000_000_000, 7);
/// // The clock of the second writer is a second slow.
/// let second = EventId::after(Some(&first), 1_794_999_999_000, 8);
/// assert!(second > first);
/// assert!(second.to_string() > first.to_string());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// Milliseconds since 1970.
    millis: u64,
    /// Counts the ids of the same millisecond that depend on each other.
    counter: u32,
    /// Tells the ids of transactions that do not depend on each other apart.
    random: u64,
}

impl EventId {
    /// The number of characters of an id.
    const LENGTH: usize = 36;

    /// Returns an id that is greater than `floor`, at `millis` on the clock of the writer. `random` is a random number.
    #[must_use]
    pub fn after(floor: Option<&Self>, millis: u64, random: u64) -> Self {
        // Twelve digits end in the year 10889.
        let millis = millis.min(0xFFFF_FFFF_FFFF);
        match floor {
            Some(floor) if floor.millis >= millis => {
                let (millis, counter) = match floor.counter.checked_add(1) {
                    Some(counter) => (floor.millis, counter),
                    None => (floor.millis + 1, 0),
                };
                Self { millis, counter, random }
            }
            _ => Self { millis, counter: 0, random },
        }
    }

    /// Returns the id of a part of the change that has this id. The first part has the number 0. Ids of parts are greater
    /// than that of the change, and sorted by number.
    #[must_use]
    pub fn of_part(&self, number: u32) -> Self {
        match self.counter.checked_add(number).and_then(|counter| counter.checked_add(1)) {
            Some(counter) => Self { counter, ..*self },
            None => Self { millis: self.millis + 1, counter: number, random: self.random },
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}{:08x}{:016x}", self.millis, self.counter, self.random)
    }
}

/// The error of a text that is not the id of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is not the id of an event")]
pub struct ParseEventIdError;

impl FromStr for EventId {
    type Err = ParseEventIdError;

    fn from_str(text: &str) -> Result<Self, ParseEventIdError> {
        let is_id = text.len() == Self::LENGTH
            && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let number = |range| {
            text.get(range).and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or(ParseEventIdError)
        };
        if !is_id {
            return Err(ParseEventIdError);
        }
        let counter = u32::try_from(number(12..20)?).map_err(|_| ParseEventIdError)?;
        Ok(Self { millis: number(0..12)?, counter, random: number(20..36)? })
    }
}
