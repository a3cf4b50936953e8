//! Authentication: from a presented credential to a caller.
//!
//! Authentication takes one call: a strongly consistent BatchGetItem of the credential and the organisation's settings. Its
//! result is not cached, so a revoked key is refused at once. BatchGetItem is no snapshot. A rotation of the pepper may
//! move a key while it is read, so the caller reads again before it refuses one.

use tokio::time::{Duration, Instant};

use super::{
    directory::Store,
    items::{sort_key, string},
    key_record::{KeyRecord, name},
    keys::{Key, Keys, SETTINGS},
    orgs::Organisation,
    transaction::Condition,
    update::update_if,
};
use crate::{
    Error,
    auth::{Caller, Org},
    clock::{parse_timestamp, timestamp},
    credential::{Credential, Kind},
    error::Refusal,
    pepper::Peppers,
};

/// The shortest time between two records of a key's use.
pub const USE_INTERVAL: Duration = Duration::from_hours(1);

/// An accepted credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// The caller.
    pub caller: Caller,
    /// The use of a key that is to be recorded, if none was recorded in the last hour.
    pub unrecorded: Option<UnrecordedUse>,
}

/// The use of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnrecordedUse {
    org: Org,
    digest: String,
}

/// A credential that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedKey {
    /// Its id, if the store has the credential: then the client has proven the organisation.
    pub id: Option<String>,
    /// Why it is refused.
    pub refusal: Refusal,
    /// The latest generation of the organisation's digests.
    pub generation: u32,
}

impl Store {
    /// Authenticates a credential. `deadline` is when the client stops waiting. A credential is refused if it is unknown,
    /// revoked or expired, or if SCIM is disabled for its organisation.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Throttled`] if DynamoDB does not answer: a client with a valid key never receives
    /// 401.
    pub async fn authenticate(
        &self,
        credential: &Credential,
        peppers: &Peppers,
        deadline: Instant,
    ) -> Result<Result<Authenticated, RefusedKey>, Error> {
        let org = credential.org();
        let digests = peppers.candidates(credential);
        let mut wanted: Vec<Key> =
            digests.iter().filter_map(|digest| Keys::credential(org, credential.kind(), digest)).collect();
        wanted.push(Keys::settings(org));
        let items = self.key_table(deadline).get_all(&wanted).await?;
        let mut record = None;
        let mut settings = None;
        for item in &items {
            if sort_key(item)? == SETTINGS {
                settings = Some(Organisation::from_item(item)?);
            } else {
                record = KeyRecord::from_item(org, item)?;
            }
        }
        let generation = settings.as_ref().map_or(0, |organisation| organisation.generation);
        let refused = |id, refusal| Err(RefusedKey { id, refusal, generation });
        let (Some(record), Some(organisation)) = (record, settings) else {
            return Ok(refused(None, Refusal::Unknown));
        };
        let now = self.clock.now();
        let id = record.client.clone().unwrap_or_else(|| record.id.clone());
        if record.revoked.is_some() {
            return Ok(refused(Some(id), Refusal::Revoked));
        }
        if let Some(ends) = &record.ends
            && *ends <= timestamp(now)?
        {
            let refusal = match credential.kind() {
                Kind::Token => Refusal::ExpiredToken(ends.clone()),
                _ => Refusal::Expired(ends.clone()),
            };
            return Ok(refused(Some(id), refusal));
        }
        if !organisation.enabled {
            return Ok(refused(Some(id), Refusal::Off(org.as_str().to_owned())));
        }
        let recorded = record.last_used.as_deref().map(parse_timestamp).transpose()?;
        let is_due = credential.kind() == Kind::Key && recorded.is_none_or(|at| now - at >= USE_INTERVAL);
        let unrecorded = is_due.then(|| UnrecordedUse { org: org.clone(), digest: record.digest });
        let caller = Caller::new(org.clone(), id, record.scopes, organisation.settings, deadline);
        Ok(Ok(Authenticated { caller, unrecorded }))
    }

    /// Makes the reads of [`Self::authenticate`] for an unknown key, and forgets their results. A malformed key is refused
    /// after these reads, so that the time of the answer does not tell it from an unknown key.
    pub async fn read_like_unknown(&self, deadline: Instant) {
        let table = self.key_table(deadline);
        let wanted = Keys::of_no_organisation();
        for _ in 0..2 {
            let _ = table.get_all(&wanted).await;
        }
    }

    /// Records the use of a key by a client of this kind, unless another request has recorded one in the last hour.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn record_use(
        &self,
        unrecorded: &UnrecordedUse,
        client: &'static str,
        deadline: Instant,
    ) -> Result<(), Error> {
        let UnrecordedUse { org, digest } = unrecorded;
        let Some(key) = Keys::credential(org, Kind::Key, digest) else { return Ok(()) };
        let now = self.clock.now();
        let (used, by) = (name::USED, name::USED_BY);
        let condition = Condition::exists()
            .and(&format!("(attribute_not_exists({used}) OR {used} <= :due)"))
            .with(":due", &timestamp(now - USE_INTERVAL)?);
        let expression = format!("SET {used} = :now, {by} = :client");
        let values = vec![(":now", string(&timestamp(now)?)), (":client", string(client))];
        update_if(&self.key_table(deadline), &key, expression, values, condition).await.map(|_| ())
    }
}
