//! The text of credentials: API keys, access tokens and the secrets of OAuth clients.
//!
//! A key reads `scim_<organisation>_<secret><checksum>`, with a secret of 256 random bits and a CRC-32, both in base62. An
//! access token begins with `scimtoken_`, the secret of a client with `scimsecret_`, and a link and a session of the owner
//! console with `scimlink_` and `scimsession_`. The prefix and the checksum let
//! secret scanners recognise a credential. The store holds a digest of each credential (see [`Peppers`](crate::pepper::Peppers))
//! and looks it up by the digest, so a lookup leaks no timing about the text. The text is shown once and never stored.
//!
//! ```
//! use service::{credential::{Credential, Kind}, entropy::Entropy};
//!
//! let key = Credential::generate(Kind::Key, &"acme".parse()?, &Entropy::system())?;
//! assert!(key.reveal().starts_with("scim_acme_"));
//! assert_eq!(Credential::parse(key.reveal()), Some(key));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;

use crate::{Error, auth::Org, entropy::Entropy};

/// The number of random bytes in a credential.
pub const SECRET_BYTES: usize = 32;
const SECRET_DIGITS: usize = 43;
const CHECKSUM_DIGITS: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The kind of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An API key, which an administrator enters at the identity provider.
    Key,
    /// An access token, which the token endpoint issues to an OAuth client.
    Token,
    /// A secret of an OAuth client. It gives access to the token endpoint alone.
    ClientSecret,
    /// A set-up link of the owner console. It starts one session.
    Link,
    /// A session of the owner console, in a cookie.
    Session,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Key, Self::Token, Self::ClientSecret, Self::Link, Self::Session];

    /// Returns the text with which every credential of the kind begins.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Key => "scim_",
            Self::Token => "scimtoken_",
            Self::ClientSecret => "scimsecret_",
            Self::Link => "scimlink_",
            Self::Session => "scimsession_",
        }
    }
}

/// A credential as the client presents it. `Debug` hides the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    kind: Kind,
    org: Org,
    text: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({}{}_…)", self.kind.prefix(), self.org)
    }
}

impl Credential {
    /// Generates a credential of the organisation.
    ///
    /// # Errors
    /// [`Error::Internal`] if the system returns no random bytes.
    pub fn generate(kind: Kind, org: &Org, entropy: &Entropy) -> Result<Self, Error> {
        Ok(Self::from_secret(kind, org, &entropy.bytes()?))
    }

    /// Returns the credential of the organisation with these secret bytes.
    #[must_use]
    pub fn from_secret(kind: Kind, org: &Org, secret: &[u8; SECRET_BYTES]) -> Self {
        let mut text = format!("{}{org}_{}", kind.prefix(), base62(secret, SECRET_DIGITS));
        text.push_str(&checksum(&text));
        Self { kind, org: org.clone(), text }
    }

    /// Parses a credential and checks its checksum. The credential may still be unknown, expired or revoked.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let kind = Kind::ALL.into_iter().find(|kind| text.starts_with(kind.prefix()))?;
        let (org, secret) = text.strip_prefix(kind.prefix())?.rsplit_once('_')?;
        let org = org.parse().ok()?;
        if secret.len() != SECRET_DIGITS + CHECKSUM_DIGITS
            || !secret.bytes().all(|b| b.is_ascii_alphanumeric())
        {
            return None;
        }
        let (body, sum) = text.split_at(text.len() - CHECKSUM_DIGITS);
        (checksum(body) == sum).then(|| Self { kind, org, text: text.to_owned() })
    }

    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the organisation that the credential names.
    #[must_use]
    pub fn org(&self) -> &Org {
        &self.org
    }

    /// Returns the credential as text, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Returns the last four characters, which are stored so that an administrator can recognise the credential.
    #[must_use]
    pub fn last_four(&self) -> &str {
        &self.text[self.text.len() - 4..]
    }
}

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

    fn credential(kind: Kind) -> Credential {
        Credential::generate(kind, &"acme".parse().unwrap(), &Entropy::seeded(1)).unwrap()
    }

    #[test]
    fn generated_credential_parses_to_itself() {
        for kind in Kind::ALL {
            let credential = credential(kind);
            assert_eq!(Credential::parse(credential.reveal()), Some(credential.clone()));
            assert_eq!((credential.kind(), credential.org().as_str()), (kind, "acme"));
            assert_eq!(credential.reveal().len(), kind.prefix().len() + "acme_".len() + 49);
            assert!(credential.reveal().ends_with(credential.last_four()));
        }
    }

    #[test]
    fn same_secret_makes_another_text_of_each_kind() {
        let texts: std::collections::BTreeSet<_> =
            Kind::ALL.into_iter().map(|kind| credential(kind).reveal()[20..].to_owned()).collect();
        assert_eq!(texts.len(), Kind::ALL.len());
    }

    #[test]
    fn credential_with_one_changed_character_is_refused() {
        for kind in Kind::ALL {
            let text = credential(kind).reveal().to_owned();
            for at in 0..text.len() {
                let mut changed = text.clone().into_bytes();
                changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(Credential::parse(&changed), None, "position {at}");
            }
        }
    }

    #[test]
    fn text_that_is_not_a_credential_is_refused() {
        for text in ["", "scim_", "scim__", "scim_acme_", "Bearer", "non-token", "scim_ACME_x", "scim_é_ü"]
        {
            assert_eq!(Credential::parse(text), None, "{text}");
        }
        assert_eq!(Credential::parse(&credential(Kind::Key).reveal()[..58]), None);
    }

    #[test]
    fn debug_hides_the_secret() {
        assert_eq!(format!("{:?}", credential(Kind::Key)), "Credential(scim_acme_…)");
    }

    #[test]
    fn base62_has_a_fixed_number_of_digits() {
        assert_eq!(base62(&[0], 3), "000");
        assert_eq!(base62(&[61], 3), "00z");
        assert_eq!(base62(&[62], 3), "010");
        assert_eq!(base62(&[255; 32], 43).len(), 43);
        assert_ne!(&base62(&[255; 32], 43)[..1], "0", "256 bits need all 43 digits");
    }
}
