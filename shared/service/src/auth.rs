//! API keys, their scopes, and the caller that a key authenticates.
//!
//! A key reads `scim_<organisation>_<secret><checksum>`, with a secret of 256 random bits and a CRC-32, both in base62.
//! The prefix and the checksum let secret scanners recognise a key. A mistyped key fails its checksum and costs no
//! database read. The store holds the HMAC-SHA-256 of the key under a [pepper](crate::pepper) and looks keys up by it, so
//! a lookup leaks no timing about the key. The key itself is shown once and never stored.
//!
//! ```
//! use service::{auth::ApiKey, entropy::Entropy};
//!
//! let key = ApiKey::generate(&"acme".parse()?, &Entropy::system())?;
//! assert!(key.reveal().starts_with("scim_acme_"));
//! assert_eq!(ApiKey::parse(key.reveal()), Some(key));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{collections::BTreeSet, fmt, str::FromStr};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::time::Instant;

use crate::{Error, entropy::Entropy, limits::OPERATOR_BUDGET, pepper::Secret};

const PREFIX: &str = "scim_";
const SECRET_BYTES: usize = 32;
const SECRET_DIGITS: usize = 43;
const CHECKSUM_DIGITS: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The name of an organisation: 1 to 40 characters of `a-z`, `0-9` and `-`, with no hyphen at either end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Org(String);

impl Org {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Org {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The error of a text that is not the name of an organisation or of a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseNameError(String);

impl FromStr for Org {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if (1..=40).contains(&text.len())
            && text.chars().all(allowed)
            && !text.starts_with('-')
            && !text.ends_with('-')
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseNameError(
                "the name of an organisation has 1 to 40 lower-case letters, digits and hyphens, and no hyphen at either end"
                    .to_owned(),
            ))
        }
    }
}

/// A permission of a key. A key has at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// All requests of an identity provider. Includes the other two scopes.
    Scim,
    /// Reads by the product.
    Read,
    /// Writes by the product.
    Write,
}

impl Scope {
    /// Returns the name of the scope.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scim => "scim",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        [Self::Scim, Self::Read, Self::Write]
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| ParseNameError("a scope is one of scim, read, write".to_owned()))
    }
}

/// An authenticated caller: the proof that the client presented a key of this organisation, and the time at which the
/// client stops waiting. The store needs a caller to open the organisation's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    org: Org,
    key_id: String,
    scopes: BTreeSet<Scope>,
    deadline: Instant,
}

impl Caller {
    pub(crate) fn new(org: Org, key_id: String, scopes: BTreeSet<Scope>, deadline: Instant) -> Self {
        Self { org, key_id, scopes, deadline }
    }

    /// Returns the operator of the service as a caller of any organisation, with a deadline of [`OPERATOR_BUDGET`] from
    /// now. `scimctl`, the janitor and the local gateway act as the operator. A request never does.
    #[must_use]
    pub fn operator(org: Org) -> Self {
        let deadline = Instant::now() + OPERATOR_BUDGET;
        Self { org, key_id: "operator".to_owned(), scopes: [Scope::Scim].into(), deadline }
    }

    /// Returns the time at which the client stops waiting.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Returns the same caller with the earlier of its own deadline and `deadline`.
    #[must_use]
    pub fn until(self, deadline: Instant) -> Self {
        Self { deadline: self.deadline.min(deadline), ..self }
    }

    /// Returns the organisation.
    #[must_use]
    pub fn org(&self) -> &Org {
        &self.org
    }

    /// Returns the id of the key, which is safe to log.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Returns whether the key has that scope.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Scim)
    }
}

/// An API key as the client presents it. `Debug` hides the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    org: Org,
    text: String,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey(scim_{}_…)", self.org)
    }
}

impl ApiKey {
    /// Generates a key of the organisation.
    ///
    /// # Errors
    /// [`Error::Internal`] if the system returns no random bytes.
    pub fn generate(org: &Org, entropy: &Entropy) -> Result<Self, Error> {
        let secret: [u8; SECRET_BYTES] = entropy.bytes()?;
        let mut text = format!("{PREFIX}{org}_{}", base62(&secret, SECRET_DIGITS));
        text.push_str(&checksum(&text));
        Ok(Self { org: org.clone(), text })
    }

    /// Parses a key and checks its checksum. The key may still be unknown or revoked.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (org, secret) = text.strip_prefix(PREFIX)?.rsplit_once('_')?;
        let org = org.parse().ok()?;
        if secret.len() != SECRET_DIGITS + CHECKSUM_DIGITS
            || !secret.bytes().all(|b| b.is_ascii_alphanumeric())
        {
            return None;
        }
        let (body, sum) = text.split_at(text.len() - CHECKSUM_DIGITS);
        (checksum(body) == sum).then(|| Self { org, text: text.to_owned() })
    }

    /// Returns the organisation that the key names.
    #[must_use]
    pub fn org(&self) -> &Org {
        &self.org
    }

    /// Returns the key as text, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Returns the form of the key that is stored: its HMAC-SHA-256 under the pepper, in hexadecimal.
    #[must_use]
    #[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "HMAC takes a key of any length")]
    pub fn digest(&self, pepper: &Secret) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(pepper.as_bytes()).expect("HMAC takes a key of any length");
        mac.update(self.text.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }
}

/// The length of a key id, which is the start of the digest. With 64 bits, no two keys of an organisation share an id.
pub(crate) const KEY_ID_DIGITS: usize = 16;

fn checksum(text: &str) -> String {
    base62(&crc32fast::hash(text.as_bytes()).to_be_bytes(), CHECKSUM_DIGITS)
}

/// Formats a big-endian number in exactly `digits` digits of base 62.
#[expect(clippy::expect_used, reason = "a remainder below 62 makes the next quotient fit a byte")]
fn base62(bytes: &[u8], digits: usize) -> String {
    let mut number = bytes.to_vec();
    let mut text = vec!['0'; digits];
    for digit in text.iter_mut().rev() {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = remainder * 256 + u32::from(*byte);
            *byte = u8::try_from(value / 62).expect("61 * 256 + 255 is below 256 * 62");
            remainder = value % 62;
        }
        *digit = char::from(BASE62[remainder as usize]);
    }
    text.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ApiKey {
        ApiKey::generate(&"acme".parse().unwrap(), &Entropy::seeded(1)).unwrap()
    }

    #[test]
    fn generated_key_parses_to_itself() {
        let key = key();
        assert_eq!(ApiKey::parse(key.reveal()), Some(key.clone()));
        assert_eq!(key.org().as_str(), "acme");
        assert_eq!(key.reveal().len(), "scim_acme_".len() + 49);
    }

    #[test]
    fn key_with_one_changed_character_is_refused() {
        let text = key().reveal().to_owned();
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            assert_eq!(ApiKey::parse(std::str::from_utf8(&changed).unwrap()), None, "position {at}");
        }
    }

    #[test]
    fn text_that_is_not_a_key_is_refused() {
        for text in ["", "scim_", "scim__", "scim_acme_", "Bearer", "non-token", "scim_ACME_x", "scim_é_ü"]
        {
            assert_eq!(ApiKey::parse(text), None, "{text}");
        }
        assert_eq!(ApiKey::parse(&key().reveal()[..58]), None);
    }

    #[test]
    fn digest_depends_on_key_and_pepper() {
        let (one, two) = (Secret::new(*b"pepper"), Secret::new(*b"other"));
        assert_eq!(key().digest(&one), key().digest(&one));
        assert_ne!(key().digest(&one), key().digest(&two));
        assert_eq!(key().digest(&one).len(), 64);
        assert_eq!(format!("{:?} {one:?}", key()), "ApiKey(scim_acme_…) Secret(…)");
    }

    #[test]
    fn base62_has_a_fixed_number_of_digits() {
        assert_eq!(base62(&[0], 3), "000");
        assert_eq!(base62(&[61], 3), "00z");
        assert_eq!(base62(&[62], 3), "010");
        assert_eq!(base62(&[255; 32], 43).len(), 43);
        assert_ne!(&base62(&[255; 32], 43)[..1], "0", "256 bits need all 43 digits");
    }

    #[test]
    fn organisation_name_allows_only_safe_characters() {
        for good in ["a", "acme", "acme-2", "0"] {
            assert!(good.parse::<Org>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a#b", "a b", "é", &"a".repeat(41)] {
            assert!(bad.parse::<Org>().is_err(), "{bad}");
        }
    }
}
