//! Times in the viewer's zone.
//!
//! The script of the console stores the offset of the browser's zone in a cookie. Without the cookie, times are in UTC. The
//! script formats each `<time>` in the language of the page.

use texts::Language;
use time::{Date, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// The zone of the viewer, as an offset from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Zone(UtcOffset);

impl Zone {
    /// Returns UTC.
    pub(crate) const fn utc() -> Self {
        Self(UtcOffset::UTC)
    }

    /// Reads the offset in minutes east of UTC, or returns UTC.
    pub(crate) fn parse(minutes: &str) -> Self {
        let seconds = minutes
            .parse::<i32>()
            .ok()
            .filter(|minutes| (-18 * 60..=18 * 60).contains(minutes))
            .map(|minutes| minutes * 60);
        Self(
            seconds.and_then(|seconds| UtcOffset::from_whole_seconds(seconds).ok()).unwrap_or(UtcOffset::UTC),
        )
    }

    /// Returns the end of a day in this zone, or `None` if it is out of range.
    pub(crate) fn end_of(self, day: Date) -> Option<OffsetDateTime> {
        day.with_hms(23, 59, 59).ok()?.assume_offset(self.0).checked_to_offset(UtcOffset::UTC)
    }

    /// Returns the time in this zone.
    pub(crate) fn local(self, time: OffsetDateTime) -> OffsetDateTime {
        time.to_offset(self.0)
    }
}

/// A time for a template: the text for machines, and the text for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moment {
    /// RFC 3339, for the attribute `datetime`.
    pub(crate) machine: String,
    /// As people write it.
    pub(crate) text: String,
}

impl Moment {
    /// Reads a stored time. A text that is no time is shown as it is.
    pub(crate) fn new(stored: &str, zone: Zone, language: Language) -> Self {
        let Ok(time) = OffsetDateTime::parse(stored, &Rfc3339) else {
            return Self { machine: stored.to_owned(), text: stored.to_owned() };
        };
        Self { machine: stored.to_owned(), text: written(zone.local(time), language) }
    }
}

/// Writes a time as people do: `28 Nov 2026, 14:05` or `28.11.2026, 14:05`.
fn written(time: OffsetDateTime, language: Language) -> String {
    let (day, year, hour, minute) = (time.day(), time.year(), time.hour(), time.minute());
    match language {
        Language::En => {
            let month = time.month().to_string();
            format!("{day} {} {year}, {hour:02}:{minute:02}", month.get(..3).unwrap_or(&month))
        }
        Language::De => format!("{day}.{}.{year}, {hour:02}:{minute:02}", u8::from(time.month())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moment_is_in_the_zone_and_the_language() {
        let stored = "2026-11-28T23:05:00.000Z";
        let text = |minutes, language| Moment::new(stored, Zone::parse(minutes), language).text;
        assert_eq!(text("0", Language::En), "28 Nov 2026, 23:05");
        assert_eq!(text("60", Language::De), "29.11.2026, 00:05");
        assert_eq!(text("-99999", Language::En), "28 Nov 2026, 23:05");
        assert_eq!(Moment::new("soon", Zone::utc(), Language::En).text, "soon");
    }
}
