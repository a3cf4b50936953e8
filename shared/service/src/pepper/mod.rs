//! The pepper: the secrets that digests of credentials are made with, and the sources they are read from.
//!
//! The digest of generation 0 is the HMAC-SHA-256 of a credential's text under the first secret. The digest of generation
//! *n* is the HMAC-SHA-256 of the digest of generation *n* - 1 under secret *n*. A rotation adds a secret and wraps the
//! stored digests once more. It needs no credential, ends none, and can be repeated. An item says the generation of its
//! digest, and the settings of an organisation say the latest generation of its items.

mod rotation;
mod source;

use std::{fmt, mem, slice};

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

pub use rotation::StoredPeppers;
#[cfg(feature = "cloud")]
pub use source::PepperSecret;
pub(crate) use source::UNREADABLE;
pub use source::{Pepper, PepperFile};

use crate::{Error, credential::Credential};

/// Secret bytes. `Debug` hides them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps the bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the HMAC-SHA-256 of a message under this secret.
    #[must_use]
    #[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "HMAC takes a key of any length")]
    pub fn hmac(&self, message: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The secrets of all generations.
///
/// ```
/// use service::{credential::{Credential, Kind}, entropy::Entropy, pepper::{Peppers, Secret}};
///
/// let key = Credential::generate(Kind::Key, &"acme".parse()?, &Entropy::system())?;
/// let before = Peppers::single(Secret::new("first"));
/// let after = before.clone().with_generation(Secret::new("second"));
/// assert_eq!(after.wrap(&before.digest(&key), 0).as_deref(), Some(after.digest(&key).as_str()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peppers {
    /// The secrets of generation 0. There are two if the pepper was replaced before release 0.3, which kept the secret
    /// before the last one. New digests begin with the first of them.
    first: Vec<Secret>,
    /// The secrets of the generations after 0.
    wraps: Vec<Secret>,
    /// The lowest generation that an item may still have.
    oldest: u32,
}

/// The form of several secrets in the stored text. A text that does not begin with `{` is the secret of generation 0.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PeppersText {
    first: Vec<String>,
    wraps: Vec<String>,
    oldest: u32,
}

impl Peppers {
    /// Returns the peppers of a service whose pepper has never been rotated.
    #[must_use]
    pub fn single(secret: Secret) -> Self {
        Self { first: vec![secret], wraps: Vec::new(), oldest: 0 }
    }

    /// Adds a secret of generation 0 that digests may have been made with too.
    #[must_use]
    pub fn or(mut self, secret: Secret) -> Self {
        self.first.push(secret);
        self
    }

    /// Adds a generation. Items of the latest generation before remain valid.
    #[must_use]
    pub fn with_generation(mut self, secret: Secret) -> Self {
        self.wraps.push(secret);
        self
    }

    /// Declares that every item has the latest generation.
    #[must_use]
    pub fn with_latest_only(self) -> Self {
        Self { oldest: self.generation(), ..self }
    }

    /// Returns the latest generation.
    #[must_use]
    #[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "a secret holds at most 64 KB")]
    pub fn generation(&self) -> u32 {
        u32::try_from(self.wraps.len()).expect("a secret of 64 KB holds fewer generations")
    }

    /// Returns the lowest generation that an item may have.
    #[must_use]
    pub fn oldest(&self) -> u32 {
        self.oldest
    }

    /// Returns the digest of the latest generation, in hexadecimal. New items have this digest.
    #[must_use]
    pub fn digest(&self, credential: &Credential) -> String {
        chain(&chain(credential.reveal(), &self.first[..1]), &self.wraps)
    }

    /// Returns each digest that the item of the credential may have.
    #[must_use]
    pub fn candidates(&self, credential: &Credential) -> Vec<String> {
        let oldest = self.oldest as usize;
        let mut candidates = Vec::new();
        for secret in &self.first {
            let (before, live) = self.wraps.split_at(oldest);
            let mut digest = chain(&chain(credential.reveal(), slice::from_ref(secret)), before);
            for wrap in live {
                let next = chain(&digest, slice::from_ref(wrap));
                candidates.push(mem::replace(&mut digest, next));
            }
            candidates.push(digest);
        }
        candidates
    }

    /// Returns each digest of this generation that the credential may have, or `None` if these peppers do not have the
    /// generation.
    #[must_use]
    pub fn digests_at(&self, credential: &Credential, generation: u32) -> Option<Vec<String>> {
        let wraps = self.wraps.get(..generation as usize)?;
        let digest = |first| chain(&chain(credential.reveal(), slice::from_ref(first)), wraps);
        Some(self.first.iter().map(digest).collect())
    }

    /// Returns the digest of the latest generation for a digest of the generation `from`, or `None` if these peppers do
    /// not have that generation.
    #[must_use]
    pub fn wrap(&self, digest: &str, from: u32) -> Option<String> {
        let wraps = self.wraps.get(from as usize..)?;
        Some(chain(digest, wraps))
    }

    /// Derives a secret for another purpose (HKDF, RFC 5869). It is the same after a rotation.
    #[must_use]
    #[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "HKDF makes up to 8,160 bytes")]
    pub fn derive(&self, label: &str) -> Secret {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, self.first[0].as_bytes())
            .expand(label.as_bytes(), &mut key)
            .expect("32 bytes are fewer than 8,160");
        Secret::new(key)
    }

    /// Parses a stored text. `previous` is the text that was stored before. It counts if neither text has generations,
    /// because releases before 0.3 replaced the secret in a rotation and accepted the one before.
    ///
    /// # Errors
    /// [`Error::Internal`] if the text has generations and cannot be read.
    pub fn parse(current: &[u8], previous: Option<&[u8]>) -> Result<Self, Error> {
        if !current.starts_with(b"{") {
            let peppers = Self::single(Secret::new(current));
            return Ok(match previous.filter(|previous| !previous.starts_with(b"{")) {
                Some(previous) => peppers.or(Secret::new(previous)),
                None => peppers,
            });
        }
        let damaged = || Error::Internal("the secret with the peppers cannot be read".to_owned());
        let stored: PeppersText = serde_json::from_slice(current).map_err(|_| damaged())?;
        if stored.first.is_empty() || stored.oldest as usize > stored.wraps.len() {
            return Err(damaged());
        }
        let secrets = |texts: Vec<String>| texts.into_iter().map(Secret::new).collect();
        Ok(Self { first: secrets(stored.first), wraps: secrets(stored.wraps), oldest: stored.oldest })
    }

    /// Returns the text to store, which [`Self::parse`] reads.
    ///
    /// # Errors
    /// [`Error::Internal`] if a secret is not UTF-8. Every secret that was read from a text is.
    pub fn to_stored(&self) -> Result<String, Error> {
        let damaged = |_| Error::Internal("a pepper is not UTF-8".to_owned());
        let texts = |secrets: &[Secret]| {
            secrets.iter().map(|secret| String::from_utf8(secret.0.clone())).collect::<Result<_, _>>()
        };
        let stored = PeppersText {
            first: texts(&self.first).map_err(damaged)?,
            wraps: texts(&self.wraps).map_err(damaged)?,
            oldest: self.oldest,
        };
        serde_json::to_string(&stored)
            .map_err(|_| Error::Internal("the peppers cannot be written".to_owned()))
    }
}

/// Returns the HMAC of a text under each secret in turn, each in hexadecimal.
fn chain(text: &str, secrets: &[Secret]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| hex::encode(secret.hmac(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{credential::Kind, entropy::Entropy};

    fn key() -> Credential {
        Credential::generate(Kind::Key, &"acme".parse().unwrap(), &Entropy::seeded(1)).unwrap()
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text)
    }

    #[test]
    fn digest_depends_on_credential_and_pepper() {
        let (one, two) = (Peppers::single(secret("pepper")), Peppers::single(secret("other")));
        assert_eq!(one.digest(&key()), one.digest(&key()));
        assert_ne!(one.digest(&key()), two.digest(&key()));
        assert_eq!(one.digest(&key()).len(), 64);
        assert_eq!(one.candidates(&key()), [one.digest(&key())]);
        assert!(!format!("{one:?}").contains("pepper\""));
    }

    #[test]
    fn wrapped_digest_equals_the_digest_of_the_credential() {
        let zero = Peppers::single(secret("zero"));
        let one = zero.clone().with_generation(secret("one"));
        let two = one.clone().with_generation(secret("two"));
        assert_eq!(two.generation(), 2);
        for (from, digest) in [(0, zero.digest(&key())), (1, one.digest(&key())), (2, two.digest(&key()))] {
            assert_eq!(two.wrap(&digest, from), Some(two.digest(&key())));
        }
        assert_eq!(two.wrap("", 3), None);
        assert_eq!(two.digests_at(&key(), 1), Some(vec![one.digest(&key())]));
        assert_eq!(two.digests_at(&key(), 3), None);
    }

    #[test]
    fn candidates_are_the_generations_in_use() {
        let two = Peppers::single(secret("zero"))
            .with_generation(secret("one"))
            .with_latest_only()
            .with_generation(secret("two"));
        let one = Peppers::single(secret("zero")).with_generation(secret("one"));
        assert_eq!(two.candidates(&key()), [one.digest(&key()), two.digest(&key())]);
        assert_eq!(two.clone().with_latest_only().candidates(&key()), [two.digest(&key())]);
    }

    #[test]
    fn stored_text_parses_to_the_same_peppers() {
        let peppers = Peppers::single(secret("a\"b")).or(secret("old")).with_generation(secret("one"));
        let text = peppers.to_stored().unwrap();
        assert_eq!(Peppers::parse(text.as_bytes(), Some(b"plain")), Ok(peppers));
    }

    #[test]
    fn plain_text_is_the_pepper_of_generation_0() {
        assert_eq!(Peppers::parse(b"plain", None), Ok(Peppers::single(secret("plain"))));
        let both = Peppers::single(secret("plain")).or(secret("old"));
        assert_eq!(Peppers::parse(b"plain", Some(b"old")), Ok(both));
        for damaged in
            ["{", "{}", r#"{"first":[],"wraps":[],"oldest":0}"#, r#"{"first":["a"],"wraps":[],"oldest":1}"#]
        {
            assert!(Peppers::parse(damaged.as_bytes(), None).is_err(), "{damaged}");
        }
    }

    #[test]
    fn derived_secret_survives_a_rotation() {
        let before = Peppers::single(secret("zero"));
        let after = before.clone().with_generation(secret("one")).with_latest_only();
        assert_eq!(before.derive("a"), after.derive("a"));
        assert_ne!(before.derive("a"), before.derive("b"));
    }
}
