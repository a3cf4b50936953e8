//! The clock and the source of randomness: the one place each is read from the system.
//!
//! Tests pass a fixed clock and seeded bytes, so that whole answers can be compared.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use scim::id::Id;
use time::{OffsetDateTime, format_description::FormatItem, macros::format_description};

use crate::Error;

const TIMESTAMP: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Tells the time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> OffsetDateTime + Send + Sync>);

impl Clock {
    /// The system's clock.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn system() -> Self {
        Self(Arc::new(OffsetDateTime::now_utc))
    }

    /// A clock that is always at the same time.
    #[must_use]
    pub fn fixed(at: OffsetDateTime) -> Self {
        Self::new(move || at)
    }

    /// A clock that says what it is told to.
    #[must_use]
    pub fn new(now: impl Fn() -> OffsetDateTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        (self.0)()
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn unix_millis(&self) -> u64 {
        unix_millis(self.now())
    }

    /// Now, as `meta.created` and `meta.lastModified` show it.
    ///
    /// # Errors
    /// [`Error::Internal`] if the year has more than four digits.
    pub fn timestamp(&self) -> Result<String, Error> {
        timestamp(self.now())
    }
}

/// The time in milliseconds since 1970.
pub(crate) fn unix_millis(time: OffsetDateTime) -> u64 {
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
}

/// The time in RFC 3339, UTC, with milliseconds.
pub(crate) fn timestamp(time: OffsetDateTime) -> Result<String, Error> {
    time.format(TIMESTAMP).map_err(|_| Error::Internal("the clock is out of range".to_owned()))
}

/// Gives random bytes.
#[derive(Clone)]
pub struct Entropy(Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) -> Result<(), Error> + Send + Sync;

impl Entropy {
    /// The operating system's generator.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the one place that asks for random bytes")]
    pub fn system() -> Self {
        Self(Arc::new(|bytes| {
            getrandom::fill(bytes).map_err(|_| Error::Internal("no random bytes from the system".to_owned()))
        }))
    }

    /// A reproducible sequence, for tests: a counter mixed with the seed. Never unpredictable.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let counter = AtomicU64::new(seed);
        Self(Arc::new(move |bytes| {
            for chunk in bytes.chunks_mut(8) {
                // splitmix64
                let mut z = counter.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
                z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                chunk.copy_from_slice(&(z ^ (z >> 31)).to_be_bytes()[..chunk.len()]);
            }
            Ok(())
        }))
    }

    /// `N` random bytes.
    ///
    /// # Errors
    /// [`Error::Internal`] if the system gives none.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        (self.0)(&mut bytes)?;
        Ok(bytes)
    }

    /// A new id made at that time: a UUIDv7, so that ids sort in the order of creation.
    ///
    /// # Errors
    /// [`Error::Internal`] if the system gives no random bytes.
    pub fn id(&self, now: OffsetDateTime) -> Result<Id, Error> {
        Ok(Id::v7(unix_millis(now), self.bytes()?))
    }

    /// A new version of a resource, chosen by the writer: it takes no read to make one.
    ///
    /// # Errors
    /// [`Error::Internal`] if the system gives no random bytes.
    pub fn version(&self) -> Result<String, Error> {
        Ok(format!("{:016x}", u64::from_be_bytes(self.bytes()?)))
    }

    /// A number below `bound`, for jitter.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.bytes().map_or(bound / 2, |bytes| u64::from_be_bytes(bytes) % bound.max(1))
    }
}
