//! The clock: the only place that reads the time from the system.
//!
//! Tests pass a fixed clock, so that whole answers can be compared.

use std::sync::Arc;

use time::{
    OffsetDateTime,
    format_description::{FormatItem, well_known::Rfc3339},
    macros::format_description,
};

use crate::Error;

const TIMESTAMP: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A source of the current time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> OffsetDateTime + Send + Sync>);

impl Clock {
    /// Returns the clock of the system.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the only place that reads the clock")]
    pub fn system() -> Self {
        Self(Arc::new(OffsetDateTime::now_utc))
    }

    /// Returns a clock that always shows the same time.
    #[must_use]
    pub fn fixed(at: OffsetDateTime) -> Self {
        Self::new(move || at)
    }

    /// Returns a clock that calls `now` for each reading.
    #[must_use]
    pub fn new(now: impl Fn() -> OffsetDateTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Returns the current time.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        (self.0)()
    }

    /// Returns the current time in milliseconds since 1970.
    #[must_use]
    pub fn unix_millis(&self) -> u64 {
        unix_millis(self.now())
    }

    /// Returns the current time in microseconds since 1970. Earlier times count as 1970.
    #[must_use]
    pub fn unix_micros(&self) -> u64 {
        u64::try_from(self.now().unix_timestamp_nanos() / 1_000).unwrap_or_default()
    }

    /// Formats the current time as in `meta.created` and `meta.lastModified`.
    ///
    /// # Errors
    /// [`Error::Internal`] if the year has more than four digits.
    pub fn timestamp(&self) -> Result<String, Error> {
        timestamp(self.now())
    }
}

/// Returns the time in milliseconds since 1970. Earlier times count as 1970.
pub(crate) fn unix_millis(time: OffsetDateTime) -> u64 {
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
}

/// Formats the time as RFC 3339 in UTC with milliseconds.
///
/// # Errors
/// [`Error::Internal`] if the year is outside of 0 to 9999.
pub fn timestamp(time: OffsetDateTime) -> Result<String, Error> {
    time.format(TIMESTAMP).map_err(|_| Error::Internal("the clock is out of range".to_owned()))
}

/// Returns whether the text is a time as [`timestamp`] formats it.
pub(crate) fn is_timestamp(text: &str) -> bool {
    time::PrimitiveDateTime::parse(text, TIMESTAMP).is_ok()
}

/// Parses a time that was formatted by [`timestamp`].
pub(crate) fn parse_timestamp(text: &str) -> Result<OffsetDateTime, Error> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| Error::Internal("a stored time is damaged".to_owned()))
}
