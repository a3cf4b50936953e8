//! API keys and who they stand for.
//!
//! A key reads `scim_<organisation>_<secret><checksum>`: 256 random bits and a CRC-32 in base62, so that secret
//! scanners know one when they see it and a mistyped one is refused without a look-up. Stored is its HMAC-SHA-256
//! under a pepper; the key itself is shown once and written nowhere. Comparison is a look-up by that digest, which
//! leaks no timing about the key.

use std::{collections::BTreeSet, fmt, str::FromStr};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::time::{Duration, Instant};

use crate::{App, Error, entropy::Entropy};

/// How long the operator's work on an organisation may take: within the janitor function's 290 s.
const OPERATOR_BUDGET: Duration = Duration::from_secs(280);

const PREFIX: &str = "scim_";
const SECRET_BYTES: usize = 32;
const SECRET_DIGITS: usize = 43;
const CHECKSUM_DIGITS: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The name of an organisation: 1 to 40 of `a-z`, `0-9` and `-`, beginning and ending with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Org(String);

impl Org {
    /// The name as text.
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

/// Why a text is not the name of an organisation or of a scope.
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
                "an organisation's name is 1 to 40 lower-case letters, digits and hyphens, with no hyphen at either end"
                    .to_owned(),
            ))
        }
    }
}

/// What a key may do. Each is granted by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everything an identity provider does.
    Scim,
    /// The product's own reading.
    Read,
    /// The product's own writing.
    Write,
}

impl Scope {
    /// The word for it.
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

/// Who is calling: proof that a key of this organisation was presented. Store methods ask for one, so none can be
/// called for an organisation that was not proven. And until when the caller waits for an answer.
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

    /// The operator of the service, who acts for any organisation: `scimctl`, the janitor and the local gateway, never a
    /// request. The work may take 280 s from now.
    #[must_use]
    pub fn operator(org: Org) -> Self {
        let deadline = Instant::now() + OPERATOR_BUDGET;
        Self { org, key_id: "operator".to_owned(), scopes: [Scope::Scim].into(), deadline }
    }

    /// When the caller stops waiting.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The same caller, who stops waiting sooner.
    #[must_use]
    pub fn until(self, deadline: Instant) -> Self {
        Self { deadline: self.deadline.min(deadline), ..self }
    }

    /// The organisation.
    #[must_use]
    pub fn org(&self) -> &Org {
        &self.org
    }

    /// The key's id, which is safe to log.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Whether the key has that scope. `scim` includes the other two.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Scim)
    }
}

/// A key as the client presents it. Has no `Display` and a `Debug` that hides it.
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
    /// A new key of the organisation.
    ///
    /// # Errors
    /// [`Error::Internal`] if the system gives no random bytes.
    pub fn generate(org: &Org, entropy: &Entropy) -> Result<Self, Error> {
        let secret: [u8; SECRET_BYTES] = entropy.bytes()?;
        let mut text = format!("{PREFIX}{org}_{}", base62(&secret, SECRET_DIGITS));
        text.push_str(&checksum(&text));
        Ok(Self { org: org.clone(), text })
    }

    /// Reads a key: its form and its checksum, not whether it exists.
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

    /// The organisation it names.
    #[must_use]
    pub fn org(&self) -> &Org {
        &self.org
    }

    /// The key itself: to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What is stored of it: HMAC-SHA-256 under the pepper, in hexadecimal.
    #[must_use]
    pub fn digest(&self, pepper: &Secret) -> String {
        // HMAC takes keys of any length, so this cannot fail.
        Hmac::<Sha256>::new_from_slice(&pepper.0).map_or_else(
            |_| String::new(),
            |mut mac| {
                mac.update(self.text.as_bytes());
                hex(&mac.finalize().into_bytes())
            },
        )
    }
}

/// Hex digits of a digest that name a key to people. 64 bits: no two keys of an organisation share them.
pub(crate) const KEY_ID_DIGITS: usize = 16;

fn checksum(text: &str) -> String {
    base62(&crc32fast::hash(text.as_bytes()).to_be_bytes(), CHECKSUM_DIGITS)
}

/// The bytes in hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |text, byte| text + &format!("{byte:02x}"))
}

/// The big-endian number in exactly `digits` digits of base 62.
fn base62(bytes: &[u8], digits: usize) -> String {
    let mut number = bytes.to_vec();
    let mut text = vec![b'0'; digits];
    for digit in text.iter_mut().rev() {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = remainder * 256 + u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or_default();
            remainder = value % 62;
        }
        *digit = BASE62[remainder as usize];
    }
    String::from_utf8(text).unwrap_or_default()
}

/// Bytes nobody may see.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps the bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The peppers a digest may have been made with: new keys take the first; the second is honoured while the secret
/// is being rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peppers {
    /// The current one.
    pub current: Secret,
    /// The one before, if there is one.
    pub previous: Option<Secret>,
}

/// Where the pepper comes from.
#[derive(Clone)]
pub enum Pepper {
    /// Read once, from a file of mode 0600.
    File(Peppers),
    /// Secrets Manager, cached.
    #[cfg(feature = "cloud")]
    SecretsManager(crate::cloud::PepperSecret),
}

impl Pepper {
    /// The peppers to try.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if Secrets Manager has never answered.
    #[cfg_attr(not(feature = "cloud"), allow(clippy::unused_async, reason = "a file is read once"))]
    pub async fn peppers(&self) -> Result<Peppers, Error> {
        match self {
            Self::File(peppers) => Ok(peppers.clone()),
            #[cfg(feature = "cloud")]
            Self::SecretsManager(secret) => secret.peppers().await,
        }
    }

    /// The peppers as they are now, for a key that is not known under `tried`; `None` if they are the same.
    #[cfg_attr(not(feature = "cloud"), allow(clippy::unused_async, reason = "a file is read once"))]
    async fn newer_than(&self, tried: &Peppers) -> Result<Option<Peppers>, Error> {
        let now = match self {
            Self::File(peppers) => peppers.clone(),
            #[cfg(feature = "cloud")]
            Self::SecretsManager(secret) => secret.renewed().await?,
        };
        Ok((now != *tried).then_some(now))
    }
}

impl App {
    /// Who presents this key, and waits until then.
    ///
    /// # Errors
    /// As [`crate::store::Store::authenticate`].
    pub async fn authenticate(&self, key: &ApiKey, deadline: Instant) -> Result<Caller, Error> {
        let peppers = self.pepper.peppers().await?;
        let outcome = self.store.authenticate(key, &peppers, deadline).await;
        if matches!(outcome, Err(Error::Unauthorized(_)))
            && let Some(newer) = self.pepper.newer_than(&peppers).await?
        {
            return self.store.authenticate(key, &newer, deadline).await;
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ApiKey {
        ApiKey::generate(&"acme".parse().unwrap(), &Entropy::seeded(1)).unwrap()
    }

    #[test]
    fn a_generated_key_reads_back_with_its_organisation() {
        let key = key();
        assert_eq!(ApiKey::parse(key.reveal()), Some(key.clone()));
        assert_eq!(key.org().as_str(), "acme");
        assert_eq!(key.reveal().len(), "scim_acme_".len() + 49);
    }

    #[test]
    fn a_key_with_any_character_changed_is_refused() {
        let text = key().reveal().to_owned();
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            assert_eq!(ApiKey::parse(std::str::from_utf8(&changed).unwrap()), None, "position {at}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "scim_", "scim__", "scim_acme_", "Bearer", "non-token", "scim_ACME_x", "scim_é_ü"]
        {
            assert_eq!(ApiKey::parse(text), None, "{text}");
        }
        assert_eq!(ApiKey::parse(&key().reveal()[..58]), None);
    }

    #[test]
    fn the_digest_depends_on_key_and_pepper_and_shows_neither() {
        let (one, two) = (Secret::new(*b"pepper"), Secret::new(*b"other"));
        assert_eq!(key().digest(&one), key().digest(&one));
        assert_ne!(key().digest(&one), key().digest(&two));
        assert_eq!(key().digest(&one).len(), 64);
        assert_eq!(format!("{:?} {one:?}", key()), "ApiKey(scim_acme_…) Secret(…)");
    }

    #[test]
    fn base62_counts_like_any_base() {
        assert_eq!(base62(&[0], 3), "000");
        assert_eq!(base62(&[61], 3), "00z");
        assert_eq!(base62(&[62], 3), "010");
        assert_eq!(base62(&[255; 32], 43).len(), 43);
        assert_ne!(&base62(&[255; 32], 43)[..1], "0", "43 digits hold 256 bits and no fewer would");
    }

    #[test]
    fn an_organisation_has_a_name_that_fits_keys_and_partitions() {
        for good in ["a", "acme", "acme-2", "0"] {
            assert!(good.parse::<Org>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a#b", "a b", "é", &"a".repeat(41)] {
            assert!(bad.parse::<Org>().is_err(), "{bad}");
        }
    }
}
