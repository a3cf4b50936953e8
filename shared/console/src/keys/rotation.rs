//! Rotations of keys: pairs of an old key and the new one that replaces it.

use service::{
    auth::Org,
    store::{Actor, KeyChange, KeyRecord, Store},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::page::Refusal;

/// A rotation whose keys are both valid.
pub(super) struct Rotation<'a> {
    pub(super) old: &'a KeyRecord,
    pub(super) new: &'a KeyRecord,
}

/// Returns the rotations among an organisation's keys, the oldest first. A key is in at most one of them.
pub(super) fn rotations<'a>(keys: &'a [KeyRecord], now: &str) -> Vec<Rotation<'a>> {
    let mut taken: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for new in keys.iter().rev().filter(|key| key.is_live(now)) {
        let old = keys.iter().find(|old| new.replaces.as_ref() == Some(&old.id) && old.is_live(now));
        if let Some(old) = old
            && !taken.contains(&new.id.as_str())
            && !taken.contains(&old.id.as_str())
        {
            taken.extend([new.id.as_str(), &old.id]);
            found.push(Rotation { old, new });
        }
    }
    found.reverse();
    found
}

impl Rotation<'_> {
    /// Ends the new key, and gives the old one the end that it had before. The new key has no end if the old one had none,
    /// and otherwise the same lifetime.
    pub(super) async fn cancel(&self, store: &Store, org: &Org, actor: &Actor) -> Result<(), Refusal> {
        let time = |text: &str| OffsetDateTime::parse(text, &Rfc3339).map_err(|_| Refusal::Internal);
        let Self { old, new } = self;
        let ends = match &new.ends {
            Some(ends) => Some(time(&old.created)? + (time(ends)? - time(&new.created)?)),
            None => None,
        };
        if ends.is_none_or(|ends| ends > store.clock().now()) {
            let change = KeyChange { ends: Some(ends), ..KeyChange::default() };
            store.change_key(org, &old.id, &change, actor).await?.ok_or(Refusal::NotFound)?;
        }
        store.revoke_key(org, &new.id, actor).await?;
        Ok(())
    }
}
