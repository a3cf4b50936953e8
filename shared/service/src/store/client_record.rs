//! The item of an OAuth client: its trust in an identity provider, or its secrets.
//!
//! Secrets are stored as digests, like keys. They are in the item of their client, so that one read decides a request for a
//! token, and one condition says that neither the client nor a secret has changed.

use std::{collections::BTreeSet, fmt, str::FromStr};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::{
    items::{Item, optional_number, optional_text, string, text},
    key_record::name,
    keys::{CLIENT_PREFIX, Key, Keys, SK},
    transaction::Condition,
};
use crate::{
    Error,
    auth::{Org, ParseNameError, Scope},
    credential::Credential,
    pepper::Peppers,
    trust::Trust,
};

const TRUST: &str = "trust";
const SECRETS: &str = "secrets";
const ENDED: &str = "ended";
/// The number of hexadecimal digits in a client id, and in the id of a secret.
pub(super) const ID_DIGITS: usize = 16;

/// The id of a client: the name of its organisation, a full stop, and 16 hexadecimal digits. The name says which partition
/// has the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientId {
    org: Org,
    text: String,
}

impl ClientId {
    /// Returns the id of the organisation's client with these digits.
    pub(super) fn new(org: &Org, digits: &str) -> Self {
        Self { org: org.clone(), text: format!("{org}.{digits}") }
    }

    /// Returns the organisation that the id names.
    #[must_use]
    pub fn org(&self) -> &Org {
        &self.org
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the key of the item.
    pub(super) fn key(&self) -> Key {
        Keys::client(&self.org, &self.text)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for ClientId {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let parts = text.split_once('.').and_then(|(org, digits)| Some((org.parse().ok()?, digits)));
        match parts {
            Some((org, digits))
                if digits.len() == ID_DIGITS
                    && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) =>
            {
                Ok(Self { org, text: text.to_owned() })
            }
            _ => Err(ParseNameError::new(
                "the id of a client is the name of its organisation, a full stop and 16 hexadecimal digits",
            )),
        }
    }
}

/// An OAuth client as it is stored: everything but its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientRecord {
    /// Its id.
    #[serde(rename = "client_id")]
    pub id: String,
    /// The text by which people recognise it.
    pub label: Option<String>,
    /// The operations that its access tokens may permit.
    pub scopes: BTreeSet<Scope>,
    /// When it was created.
    pub created: String,
    /// The trust in an identity provider, if the client has no secrets.
    pub trust: Option<Trust>,
    /// Its secrets, the oldest first. A secret that has ended stays until another one is added.
    pub secrets: Vec<SecretRecord>,
    /// When it last requested an access token. A change of its secrets at the same moment may hide this request.
    pub last_used: Option<String>,
    /// The client that requested it: `okta`, `entra` or `other`.
    pub last_used_by: Option<String>,
    /// When it was ended. An ended client has no tokens any more, or its deletion was interrupted.
    #[serde(skip)]
    pub(super) ended: Option<String>,
    #[serde(skip)]
    pub(super) revision: i64,
    /// The fingerprint of the request that created it.
    #[serde(skip)]
    pub(super) request: Option<String>,
}

/// A secret as it is stored: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretRecord {
    /// Its id.
    pub id: String,
    /// When it was created.
    pub created: String,
    /// When it ends.
    pub ends: String,
    /// The last four characters of its text.
    pub last_four: String,
    #[serde(skip)]
    pub(super) digest: String,
    #[serde(skip)]
    pub(super) generation: u32,
    /// The time of the next announcement of the end.
    #[serde(skip)]
    pub(super) due: Option<String>,
    #[serde(skip)]
    pub(super) request: Option<String>,
}

/// The stored form of [`SecretRecord`].
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredSecret {
    id: String,
    created: String,
    ends: String,
    last_four: String,
    digest: String,
    generation: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<String>,
}

impl SecretRecord {
    /// Returns whether the secret has not ended at this time.
    #[must_use]
    pub fn is_live(&self, now: &str) -> bool {
        self.ends.as_str() > now
    }

    /// Returns whether the secret has one of these digests. The time depends on their number and length alone.
    fn has(&self, digests: &[String]) -> bool {
        let differs = |digest: &String| {
            let pairs = self.digest.bytes().zip(digest.bytes());
            pairs.fold(self.digest.len() ^ digest.len(), |all, (a, b)| all | usize::from(a ^ b))
        };
        // `fold` compares all of them.
        digests.iter().fold(false, |found, digest| found | (std::hint::black_box(differs(digest)) == 0))
    }

    fn stored(&self) -> StoredSecret {
        let Self { id, created, ends, last_four, digest, generation, due, request } = self.clone();
        StoredSecret { id, created, ends, last_four, digest, generation, due, request }
    }
}

impl From<StoredSecret> for SecretRecord {
    fn from(stored: StoredSecret) -> Self {
        let StoredSecret { id, created, ends, last_four, digest, generation, due, request } = stored;
        Self { id, created, ends, last_four, digest, generation, due, request }
    }
}

impl ClientRecord {
    /// Returns the secret that the client presented, which may have ended.
    #[must_use]
    pub fn secret_of(&self, credential: &Credential, peppers: &Peppers) -> Option<&SecretRecord> {
        let digests = peppers.candidates(credential);
        self.secrets
            .iter()
            .fold(None, |found, secret| if secret.has(&digests) { Some(secret) } else { found })
    }

    /// Returns the record with the digests of the latest generation, or `None` if they are already.
    pub(super) fn wrapped(&self, peppers: &Peppers) -> Result<Option<Self>, Error> {
        let mut wrapped = self.clone();
        for secret in wrapped.secrets.iter_mut().filter(|secret| secret.generation < peppers.generation()) {
            secret.digest = peppers
                .wrap(&secret.digest, secret.generation)
                .ok_or_else(|| Error::Internal("a secret has a generation that no pepper has".to_owned()))?;
            secret.generation = peppers.generation();
        }
        Ok((wrapped != *self).then_some(wrapped))
    }

    pub(super) fn from_item(item: &Item) -> Result<Self, Error> {
        let damaged = || Error::Internal("an OAuth client cannot be read".to_owned());
        let optional = |name| Ok::<_, Error>(optional_text(item, name)?.map(str::to_owned));
        let scopes = item.get(name::SCOPES).and_then(|value| value.as_ss().ok()).ok_or_else(damaged)?;
        let scopes = scopes.iter().map(|scope| scope.parse()).collect::<Result<_, _>>();
        let trust = optional_text(item, TRUST)?.map(serde_json::from_str).transpose();
        let secrets: Vec<StoredSecret> =
            serde_json::from_str(optional_text(item, SECRETS)?.unwrap_or("[]")).map_err(|_| damaged())?;
        Ok(Self {
            id: text(item, SK)?.strip_prefix(CLIENT_PREFIX).ok_or_else(damaged)?.to_owned(),
            label: optional(name::LABEL)?,
            scopes: scopes.map_err(|_| damaged())?,
            created: text(item, name::CREATED)?.to_owned(),
            trust: trust.map_err(|_| damaged())?,
            secrets: secrets.into_iter().map(SecretRecord::from).collect(),
            last_used: optional(name::USED)?,
            last_used_by: optional(name::USED_BY)?,
            ended: optional(ENDED)?,
            revision: optional_number(item, name::REVISION)?.unwrap_or_default(),
            request: optional(name::REQUEST)?,
        })
    }

    /// Returns the item without its key.
    pub(super) fn to_item(&self) -> Result<Item, Error> {
        let unwritable = |_| Error::Internal("an OAuth client cannot be written".to_owned());
        let scopes = self.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
        let secrets: Vec<StoredSecret> = self.secrets.iter().map(SecretRecord::stored).collect();
        let trust = self.trust.as_ref().map(serde_json::to_string).transpose().map_err(unwritable)?;
        let mut item = Item::from([
            (name::SCOPES.to_owned(), AttributeValue::Ss(scopes)),
            (name::CREATED.to_owned(), string(&self.created)),
            (name::REVISION.to_owned(), AttributeValue::N(self.revision.to_string())),
            (SECRETS.to_owned(), string(&serde_json::to_string(&secrets).map_err(unwritable)?)),
        ]);
        for (name, value) in [
            (name::LABEL, &self.label),
            (TRUST, &trust),
            (name::USED, &self.last_used),
            (name::USED_BY, &self.last_used_by),
            (ENDED, &self.ended),
            (name::REQUEST, &self.request),
        ] {
            if let Some(value) = value {
                item.insert(name.to_owned(), string(value));
            }
        }
        Ok(item)
    }

    /// Returns the condition that the client is as it was read.
    pub(super) fn unchanged(&self) -> Condition {
        let expression = format!("{} = :wasRevision", name::REVISION);
        Condition::exists().and(&expression).with_number(":wasRevision", self.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{credential::Kind, entropy::Entropy, pepper::Secret};

    fn secret(seed: u64) -> Credential {
        Credential::generate(Kind::ClientSecret, &"acme".parse().unwrap(), &Entropy::seeded(seed)).unwrap()
    }

    fn client(secrets: &[&Credential], peppers: &Peppers) -> ClientRecord {
        let record = |credential: &&Credential| SecretRecord {
            id: credential.last_four().to_owned(),
            created: String::new(),
            ends: "2027".to_owned(),
            last_four: credential.last_four().to_owned(),
            digest: peppers.digest(credential),
            generation: peppers.generation(),
            due: None,
            request: None,
        };
        ClientRecord {
            id: "acme.0123456789abcdef".to_owned(),
            label: None,
            scopes: [Scope::Scim].into(),
            created: "2026".to_owned(),
            trust: None,
            secrets: secrets.iter().map(record).collect(),
            last_used: Some("2026".to_owned()),
            last_used_by: Some("entra".to_owned()),
            ended: None,
            revision: 7,
            request: None,
        }
    }

    #[test]
    fn client_id_names_its_organisation() {
        let id: ClientId = "acme-2.0123456789abcdef".parse().unwrap();
        assert_eq!((id.org().as_str(), id.as_str()), ("acme-2", "acme-2.0123456789abcdef"));
        let refused = "acme acme. acme.0123456789ABCDEF acme.0123456789abcde ac#me.0123456789abcdef \
                       acme.0123456789abcdef0 acme.0123456789abcdeg a.b.0123456789abcdef .0123456789abcdef";
        for text in refused.split(' ').chain([""]) {
            assert!(text.parse::<ClientId>().is_err(), "{text}");
        }
    }

    #[test]
    fn client_finds_the_presented_secret() {
        let peppers = Peppers::single(Secret::new("pepper"));
        let [one, two, other] = [1, 2, 3].map(secret);
        let client = client(&[&one, &two], &peppers);
        assert_eq!(client.secret_of(&one, &peppers), Some(&client.secrets[0]));
        assert_eq!(client.secret_of(&two, &peppers), Some(&client.secrets[1]));
        assert_eq!(client.secret_of(&other, &peppers), None);
    }

    #[test]
    fn wrapped_secret_is_found_under_the_new_pepper() {
        let before = Peppers::single(Secret::new("pepper"));
        let after = before.clone().with_generation(Secret::new("next")).with_latest_only();
        let one = secret(1);
        let old = client(&[&one], &before);
        assert_eq!(old.secret_of(&one, &after), None);
        let new = old.wrapped(&after).unwrap().expect("a change");
        assert_eq!(new.secret_of(&one, &after), Some(&new.secrets[0]));
        assert_eq!(new.wrapped(&after), Ok(None));
    }

    #[test]
    fn item_has_the_whole_client() {
        let peppers = Peppers::single(Secret::new("pepper"));
        let client = client(&[&secret(1)], &peppers);
        let mut item = client.to_item().unwrap();
        item.insert(SK.to_owned(), string(&format!("{CLIENT_PREFIX}{}", client.id)));
        assert_eq!(ClientRecord::from_item(&item), Ok(client));
    }
}
