//! Times in the viewer's zone.
//!
//! The script of the console stores the name of the browser's zone (`Europe/Berlin`) in a cookie. Without a known name, times
//! are in UTC. The script formats each `<time>` in the language of the page.

use jiff::{Timestamp, civil, tz::TimeZone};
use texts::Language;
use time::{Date, Duration, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// The longest name of a zone in bytes. Names of the IANA database are shorter.
const LONGEST_NAME: usize = 64;

/// The zone of the viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    /// Returns UTC.
    pub(crate) const fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Reads a name of the IANA time zone database. Returns UTC if the name is not known.
    pub(crate) fn parse(name: &str) -> Self {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-' | b'+');
        let known = (name.len() <= LONGEST_NAME && name.bytes().all(is_plain)).then(|| TimeZone::get(name));
        let zone = known.and_then(Result::ok).filter(|zone| !zone.is_unknown());
        zone.map_or_else(Self::utc, Self)
    }

    /// Returns the name of the zone.
    pub(crate) fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// Returns the time at which a day begins in this zone, or `None` if it is out of range.
    pub(crate) fn start_of(&self, day: Date) -> Option<OffsetDateTime> {
        let (year, month, number) = day.to_calendar_date();
        let (month, number) = (u8::from(month).try_into().ok()?, number.try_into().ok()?);
        let day = civil::Date::new(year.try_into().ok()?, month, number).ok()?;
        let start = self.0.to_timestamp(day.at(0, 0, 0, 0)).ok()?;
        OffsetDateTime::from_unix_timestamp(start.as_second()).ok()
    }

    /// Returns the last second of a day in this zone, or `None` if it is out of range.
    pub(crate) fn end_of(&self, day: Date) -> Option<OffsetDateTime> {
        Some(self.start_of(day.next_day()?)? - Duration::SECOND)
    }

    /// Returns the time in this zone.
    pub(crate) fn local(&self, time: OffsetDateTime) -> OffsetDateTime {
        let offset = Timestamp::from_second(time.unix_timestamp()).map(|at| self.0.to_offset(at).seconds());
        let offset = offset.ok().and_then(|seconds| UtcOffset::from_whole_seconds(seconds).ok());
        time.to_offset(offset.unwrap_or(UtcOffset::UTC))
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
    pub(crate) fn new(stored: &str, zone: &Zone, language: Language) -> Self {
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
    use time::macros::date;

    use super::*;

    #[test]
    fn moment_is_in_the_zone_and_the_language() {
        let text = |stored, zone, language| Moment::new(stored, &Zone::parse(zone), language).text;
        let winter = "2026-11-28T23:05:00.000Z";
        assert_eq!(text(winter, "UTC", Language::En), "28 Nov 2026, 23:05");
        assert_eq!(text(winter, "Europe/Berlin", Language::De), "29.11.2026, 00:05");
        assert_eq!(text("2026-07-28T22:05:00.000Z", "Europe/Berlin", Language::De), "29.7.2026, 00:05");
        assert_eq!(text("soon", "UTC", Language::En), "soon");
    }

    #[test]
    fn unknown_zone_is_utc() {
        let long = "x".repeat(5_000);
        for name in ["", "60", "-120", "Europe/Nowhere", "Etc/Unknown", "../../etc/passwd", "<script>", &long]
        {
            assert_eq!((Zone::parse(name), Zone::parse(name).name()), (Zone::utc(), "UTC"), "{name}");
        }
        for name in ["Europe/Berlin", "Asia/Calcutta", "America/Argentina/Buenos_Aires", "Etc/GMT+5"] {
            assert_eq!(Zone::parse(name).name(), name);
        }
    }

    #[test]
    fn day_has_23_or_25_hours_when_the_clock_changes() {
        let zone = Zone::parse("Europe/Berlin");
        let text = |time: Option<OffsetDateTime>| time.and_then(|time| time.format(&Rfc3339).ok()).unwrap();
        for (day, start, end) in [
            (date!(2026 - 03 - 29), "2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z"),
            (date!(2026 - 07 - 01), "2026-06-30T22:00:00Z", "2026-07-01T21:59:59Z"),
            (date!(2026 - 10 - 25), "2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z"),
        ] {
            assert_eq!(
                (text(zone.start_of(day)), text(zone.end_of(day))),
                (start.to_owned(), end.to_owned())
            );
        }
    }
}
