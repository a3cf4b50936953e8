//! Organisations, scopes, and the caller that a credential authenticates.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

use tokio::{
    sync::{Mutex, MutexGuard, OwnedSemaphorePermit},
    time::Instant,
};

use crate::{event::Author, limits::OPERATOR_BUDGET, settings::Settings};

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

impl ParseNameError {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

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

/// The permit of a request for expensive work. All clones of a request's caller share it.
#[derive(Debug, Clone, Default)]
pub struct Permit(Arc<Mutex<Option<Slot>>>);

impl Permit {
    /// Returns the slot, once no other operation of the request is about to take one.
    pub(crate) async fn lock(&self) -> MutexGuard<'_, Option<Slot>> {
        self.0.lock().await
    }
}

impl PartialEq for Permit {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Permit {}

/// A slot of an organisation for expensive work.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) org: Org,
    /// The number of the slot and its end, in milliseconds since 1970. `None` if the slot could not be taken, because
    /// DynamoDB did not answer.
    pub(crate) taken: Option<(u32, u64)>,
    /// The share of this process.
    pub(crate) _share: OwnedSemaphorePermit,
}

/// An authenticated caller: the proof that the client presented a credential of this organisation, and the time at which
/// the client stops waiting. The store needs a caller to open the organisation's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    org: Org,
    key_id: String,
    scopes: BTreeSet<Scope>,
    settings: Settings,
    deadline: Instant,
    permit: Option<Permit>,
    origin: Origin,
}

/// The program that sent a request, and the id of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    /// `okta`, `entra`, `other` or `operator`.
    client: &'static str,
    request: Option<String>,
}

impl Default for Origin {
    fn default() -> Self {
        Self { client: "other", request: None }
    }
}

impl Caller {
    pub(crate) fn new(
        org: Org,
        key_id: String,
        scopes: BTreeSet<Scope>,
        settings: Settings,
        deadline: Instant,
    ) -> Self {
        Self { org, key_id, scopes, settings, deadline, permit: None, origin: Origin::default() }
    }

    /// Returns the same caller with the kind of its client and the id of its request.
    pub(crate) fn with_origin(self, client: &'static str, request: Option<String>) -> Self {
        Self { origin: Origin { client, request }, ..self }
    }

    /// Returns the author of the caller's changes, and the id of the request.
    pub(crate) fn author(&self) -> (Author, Option<&str>) {
        let author = Author { credential: self.key_id.clone(), client: self.origin.client.to_owned() };
        (author, self.origin.request.as_deref())
    }

    /// Returns the same caller with the permit of its request. The limits of the organisation apply to such a caller.
    pub(crate) fn with_permit(self, permit: Permit) -> Self {
        Self { permit: Some(permit), ..self }
    }

    /// Returns the operator of the service as a caller of any organisation, with a deadline of [`OPERATOR_BUDGET`] from
    /// now. `scimctl`, the janitor and the local gateway act as the operator. A request never does.
    #[must_use]
    pub fn operator(org: Org) -> Self {
        let deadline = Instant::now() + OPERATOR_BUDGET;
        let (key_id, scopes) = ("operator".to_owned(), [Scope::Scim].into());
        let origin = Origin { client: "operator", request: None };
        Self { org, key_id, scopes, settings: Settings::default(), deadline, permit: None, origin }
    }

    /// Returns the permit of the request. The operator has none.
    pub(crate) fn permit(&self) -> Option<&Permit> {
        self.permit.as_ref()
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

    /// Returns the id of the key, or of the OAuth client of an access token. The id is safe to log.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Returns the settings of the organisation.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Returns whether the key has that scope.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Scim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
