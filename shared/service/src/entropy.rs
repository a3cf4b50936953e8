//! Randomness: the only place that reads random bytes from the system.
//!
//! Tests pass a seeded sequence, so that whole answers can be compared.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use scim::id::Id;
use time::OffsetDateTime;

use crate::{Error, clock::unix_millis};

/// A source of random bytes.
#[derive(Clone)]
pub struct Entropy(Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) -> Result<(), Error> + Send + Sync;

impl Entropy {
    /// Returns the generator of the operating system.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the only place that reads random bytes")]
    pub fn system() -> Self {
        Self(Arc::new(|bytes| {
            getrandom::fill(bytes)
                .map_err(|_| Error::Internal("the system returned no random bytes".to_owned()))
        }))
    }

    /// Returns a reproducible sequence for tests. The bytes are predictable.
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

    /// Returns `N` random bytes.
    ///
    /// # Errors
    /// [`Error::Internal`] if the system returns no random bytes.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        (self.0)(&mut bytes)?;
        Ok(bytes)
    }

    /// Returns a new id with the time `now`. The id is a UUIDv7, so ids sort by creation time.
    ///
    /// # Errors
    /// [`Error::Internal`] if the system returns no random bytes.
    pub fn id(&self, now: OffsetDateTime) -> Result<Id, Error> {
        Ok(Id::v7(unix_millis(now), self.bytes()?))
    }

    /// Returns a new version of a resource. It is random, so that a write needs no read of the version before.
    ///
    /// # Errors
    /// [`Error::Internal`] if the system returns no random bytes.
    pub fn version(&self) -> Result<String, Error> {
        Ok(format!("{:016x}", u64::from_be_bytes(self.bytes()?)))
    }

    /// Returns a number below `bound` for jitter: half of `bound` if the system returns no random bytes.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.bytes().map_or(bound / 2, |bytes| u64::from_be_bytes(bytes) % bound.max(1))
    }
}
