//! The item of a key or an access token.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

use super::{
    due::DUE,
    items::{Item, optional_number, optional_text, sort_key, string, text},
    keys::{KEY_PREFIX, TOKEN_PREFIX},
    transaction::Condition,
};
use crate::{
    Error,
    auth::{Org, Scope},
    credential::{Credential, Kind},
    pepper::Peppers,
};

/// Names of attributes.
pub(super) mod name {
    pub(crate) const ID: &str = "id";
    pub(crate) const LABEL: &str = "label";
    pub(crate) const SCOPES: &str = "scopes";
    pub(crate) const CREATED: &str = "created";
    pub(crate) const ENDS: &str = "ends";
    pub(crate) const REVOKED: &str = "revoked";
    pub(crate) const LAST_FOUR: &str = "lastFour";
    pub(crate) const USED: &str = "used";
    pub(crate) const USED_BY: &str = "usedBy";
    pub(crate) const REPLACES: &str = "replaces";
    pub(crate) const CLIENT: &str = "client";
    pub(crate) const SECRET: &str = "secret";
    /// The generation of the digest. Items of release 0.2 lack it and have generation 0.
    pub(crate) const GENERATION: &str = "generation";
    /// The number of changes of the item by management.
    pub(crate) const REVISION: &str = "revision";
    /// The fingerprint of the request that created the item.
    pub(crate) const REQUEST: &str = "request";
}

/// The length of a key id. The id of a key of release 0.2 is the start of its digest. With 64 bits, no two keys of an
/// organisation share an id.
const KEY_ID_DIGITS: usize = 16;

/// A key as it is stored: everything but the key. An access token has the same form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRecord {
    /// Its id.
    pub id: String,
    /// The text by which people recognise it.
    pub label: Option<String>,
    /// The operations that it permits.
    pub scopes: BTreeSet<Scope>,
    /// When it was created.
    pub created: String,
    /// When it ends, if it has an end.
    pub ends: Option<String>,
    /// When it was revoked, if it has been.
    pub revoked: Option<String>,
    /// The start of its text.
    pub prefix: String,
    /// The last four characters of its text. Keys of release 0.2 lack them.
    pub last_four: Option<String>,
    /// When it was last used, to the hour.
    pub last_used: Option<String>,
    /// The client that used it last: `okta`, `entra` or `other`.
    pub last_used_by: Option<String>,
    /// The id of the key that it replaces, if it was created by a rotation.
    pub replaces: Option<String>,
    /// The OAuth client of an access token.
    #[serde(skip)]
    pub client: Option<String>,
    /// The id of the secret that the client of an access token presented.
    #[serde(skip)]
    pub secret: Option<String>,
    /// The digest, of the generation `generation`.
    #[serde(skip)]
    pub(super) digest: String,
    #[serde(skip)]
    pub(super) generation: u32,
    #[serde(skip)]
    pub(super) revision: i64,
    /// The time of the next announcement of the end.
    #[serde(skip)]
    pub(super) due: Option<String>,
    #[serde(skip)]
    pub(super) request: Option<String>,
}

/// Returns the kind and the digest that the sort key of a key or an access token names.
pub(super) fn kind_and_digest(sk: &str) -> Option<(Kind, &str)> {
    [(KEY_PREFIX, Kind::Key), (TOKEN_PREFIX, Kind::Token)]
        .into_iter()
        .find_map(|(prefix, kind)| Some((kind, sk.strip_prefix(prefix)?)))
}

/// Returns the start of the text of a credential.
fn prefix_of(kind: Kind, org: &Org) -> String {
    format!("{}{org}_", kind.prefix())
}

/// Returns the id of a key that was created with this digest.
fn id_of(digest: &str) -> String {
    digest.chars().take(KEY_ID_DIGITS).collect()
}

impl KeyRecord {
    /// Returns the record of a new credential, without an end.
    pub(super) fn new(
        credential: &Credential,
        peppers: &Peppers,
        scopes: &BTreeSet<Scope>,
        created: String,
    ) -> Self {
        let digest = peppers.digest(credential);
        Self {
            id: id_of(&digest),
            label: None,
            scopes: scopes.clone(),
            created,
            ends: None,
            revoked: None,
            prefix: prefix_of(credential.kind(), credential.org()),
            last_four: None,
            last_used: None,
            last_used_by: None,
            replaces: None,
            client: None,
            secret: None,
            digest,
            generation: peppers.generation(),
            revision: 0,
            due: None,
            request: None,
        }
    }

    /// Reads the item of a key or an access token. Returns `None` for another item.
    pub(super) fn from_item(org: &Org, item: &Item) -> Result<Option<Self>, Error> {
        let Some((kind, digest)) = kind_and_digest(sort_key(item)?) else { return Ok(None) };
        let damaged = || Error::Internal("an API key cannot be read".to_owned());
        let scopes = item.get(name::SCOPES).and_then(|value| value.as_ss().ok()).ok_or_else(damaged)?;
        let optional = |name| Ok::<_, Error>(optional_text(item, name)?.map(str::to_owned));
        let generation = optional_number(item, name::GENERATION)?.unwrap_or_default();
        Ok(Some(Self {
            id: optional(name::ID)?.unwrap_or_else(|| id_of(digest)),
            label: optional(name::LABEL)?,
            scopes: scopes
                .iter()
                .map(|scope| scope.parse())
                .collect::<Result<_, _>>()
                .map_err(|_| damaged())?,
            created: text(item, name::CREATED)?.to_owned(),
            ends: optional(name::ENDS)?,
            revoked: optional(name::REVOKED)?,
            prefix: prefix_of(kind, org),
            last_four: optional(name::LAST_FOUR)?,
            last_used: optional(name::USED)?,
            last_used_by: optional(name::USED_BY)?,
            replaces: optional(name::REPLACES)?,
            client: optional(name::CLIENT)?,
            secret: optional(name::SECRET)?,
            digest: digest.to_owned(),
            generation: u32::try_from(generation).map_err(|_| damaged())?,
            revision: optional_number(item, name::REVISION)?.unwrap_or_default(),
            due: optional(DUE)?,
            request: optional(name::REQUEST)?,
        }))
    }

    /// Returns the item without its key.
    pub(super) fn to_item(&self) -> Item {
        let number = |number: i64| AttributeValue::N(number.to_string());
        let scopes = self.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
        let mut item = Item::from([
            (name::ID.to_owned(), string(&self.id)),
            (name::SCOPES.to_owned(), AttributeValue::Ss(scopes)),
            (name::CREATED.to_owned(), string(&self.created)),
            (name::GENERATION.to_owned(), number(self.generation.into())),
            (name::REVISION.to_owned(), number(self.revision)),
        ]);
        for (name, value) in [
            (name::LABEL, &self.label),
            (name::ENDS, &self.ends),
            (name::REVOKED, &self.revoked),
            (name::LAST_FOUR, &self.last_four),
            (name::USED, &self.last_used),
            (name::USED_BY, &self.last_used_by),
            (name::REPLACES, &self.replaces),
            (name::CLIENT, &self.client),
            (name::SECRET, &self.secret),
            (DUE, &self.due),
            (name::REQUEST, &self.request),
        ] {
            if let Some(value) = value {
                item.insert(name.to_owned(), string(value));
            }
        }
        item
    }

    /// Returns the condition that management has not changed the item since it was read.
    pub(super) fn unchanged(&self) -> Condition {
        let revision = name::REVISION;
        let expression = match self.revision {
            0 => format!("(attribute_not_exists({revision}) OR {revision} = :wasRevision)"),
            _ => format!("{revision} = :wasRevision"),
        };
        Condition::exists().and(&expression).with_number(":wasRevision", self.revision)
    }

    /// Returns whether the key is neither revoked nor at its end at this time.
    #[must_use]
    pub fn is_live(&self, now: &str) -> bool {
        self.revoked.is_none() && self.ends.as_deref().is_none_or(|ends| ends > now)
    }
}
