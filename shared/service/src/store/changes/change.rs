//! Headers: pending changes as items.
//!
//! A header says who works on the change and what is left to remove. It never says whether a change of members is
//! committed: only the group says so.

use std::{future::Future, str::FromStr};

use aws_sdk_dynamodb::types::AttributeValue;
use scim::{ResourceKind, id::Id};
use tokio::time::timeout_at;

use crate::{
    Error,
    clock::Clock,
    event::Authorship,
    limits::{ABANDONED_AFTER, COMMIT_RESERVE},
    store::{
        directory::Directory,
        items::{Item, number, optional_text, sort_key, string, text},
        keys::{Key, Keys},
        outbox::authorship,
        transaction::{Condition, Transaction},
        write::Guard,
    },
};

const KIND: &str = "kind";
const SUBJECT: &str = "subject";
const SINCE: &str = "since";
/// Not `until`: that is a word of DynamoDB's expressions.
const UNTIL: &str = "lease";
const DISCARDED: &str = "discarded";
const BY: &str = "author";

/// The kind of a pending change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum ChangeKind {
    /// A change of a group's members.
    Members,
    /// The tombstone of a user or group, whose edges are to be removed.
    Deleted(ResourceKind),
}

impl ChangeKind {
    const ALL: [Self; 3] =
        [Self::Members, Self::Deleted(ResourceKind::User), Self::Deleted(ResourceKind::Group)];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Deleted(ResourceKind::User) => "user-deleted",
            Self::Deleted(ResourceKind::Group) => "group-deleted",
        }
    }
}

impl FromStr for ChangeKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(damaged)
    }
}

/// A change that is not finished.
#[derive(Debug, Clone)]
pub(in crate::store) struct Change {
    pub(in crate::store) id: Id,
    pub(in crate::store) kind: ChangeKind,
    /// The group whose members change, or the resource that was deleted.
    pub(in crate::store) subject: Id,
    /// The author of the change. A change of release 0.2 has none.
    by: Option<Authorship>,
    /// Whether the change has no effect any more, and only its parts are to be removed.
    pub(in crate::store) discarded: bool,
    /// When the change began, in milliseconds since 1970.
    since: u64,
    /// When the change stops belonging to the request that works on it, likewise.
    until: u64,
}

impl Change {
    /// Makes a change that belongs to this request.
    pub(super) fn new(directory: &Directory, kind: ChangeKind, subject: &Id) -> Result<Self, Error> {
        let table = &directory.table;
        let since = table.clock.unix_millis();
        let id = table.entropy.id(table.clock.now())?;
        let (subject, by) = (subject.clone(), Some(authorship(directory)?));
        Ok(Self { id, kind, subject, by, discarded: false, since, until: lease_end(since) })
    }

    /// Makes the change of a group's members whose header is lost.
    pub(super) fn lost(group: &Id, id: &Id) -> Self {
        let (id, subject) = (id.clone(), group.clone());
        Self { id, kind: ChangeKind::Members, subject, by: None, discarded: false, since: 0, until: 0 }
    }

    pub(in crate::store) fn from_item(item: &Item) -> Result<Self, Error> {
        let millis = |name| u64::try_from(number(item, name)?).map_err(|_| damaged());
        Ok(Self {
            id: Id::parse(sort_key(item)?).ok_or_else(damaged)?,
            kind: text(item, KIND)?.parse()?,
            subject: Id::parse(text(item, SUBJECT)?).ok_or_else(damaged)?,
            by: optional_text(item, BY)?.map(serde_json::from_str).transpose().map_err(|_| damaged())?,
            discarded: item.contains_key(DISCARDED),
            since: millis(SINCE)?,
            until: millis(UNTIL)?,
        })
    }

    fn to_item(&self) -> Item {
        let millis = |millis: u64| AttributeValue::N(millis.to_string());
        let by = self.by.as_ref().and_then(|by| serde_json::to_string(by).ok());
        let by = by.map(|by| (BY.to_owned(), AttributeValue::S(by)));
        let item = Item::from([
            (KIND.to_owned(), string(self.kind.as_str())),
            (SUBJECT.to_owned(), string(self.subject.as_str())),
            (SINCE.to_owned(), millis(self.since)),
            (UNTIL.to_owned(), millis(self.until)),
        ]);
        item.into_iter().chain(by).collect()
    }

    /// Returns who makes the change: the request that began it, or this one if that is not known.
    pub(super) fn by(&self, directory: &Directory) -> Result<Authorship, Error> {
        self.by.clone().map_or_else(|| authorship(directory), Ok)
    }

    pub(in crate::store) fn key(&self, keys: &Keys) -> Key {
        keys.pending().key(self.id.as_str())
    }

    /// Returns the age in milliseconds.
    pub(super) fn age(&self, clock: &Clock) -> u64 {
        clock.unix_millis().saturating_sub(self.since)
    }

    /// Returns whether the request that worked on the change has ended, so that another may finish it.
    pub(in crate::store) fn is_abandoned(&self, clock: &Clock) -> bool {
        self.until <= clock.unix_millis()
    }

    /// Adds the actions that put the header, and its entry in the list of unfinished changes.
    pub(super) fn begin(&self, keys: &Keys, transaction: &mut Transaction<Guard>) {
        transaction.put(self.key(keys), self.to_item(), Condition::absent(), Guard::StillPending);
        transaction.put(keys.unfinished(&self.id), Item::new(), None, Guard::Unconditional);
    }

    /// Adds the check that the change may still be committed.
    pub(super) fn check_open(&self, keys: &Keys, transaction: &mut Transaction<Guard>) {
        let open = Condition::expression(format!(
            "attribute_exists({SUBJECT}) AND attribute_not_exists({DISCARDED})"
        ));
        transaction.check(self.key(keys), open, Guard::StillPending);
    }

    /// Adds the action after which the parts have no effect.
    pub(super) fn discard(&self, keys: &Keys, transaction: &mut Transaction<Guard>) {
        transaction.update(
            self.key(keys),
            format!("SET {DISCARDED} = :true"),
            vec![(":true", AttributeValue::Bool(true))],
            Condition::expression(format!("attribute_exists({SUBJECT})")),
            Guard::StillPending,
        );
    }

    /// Adds the actions that delete the header, and its entry in the list of unfinished changes.
    pub(super) fn end(&self, keys: &Keys, transaction: &mut Transaction<Guard>) {
        transaction.delete(self.key(keys), None, Guard::Unconditional);
        transaction.delete(keys.unfinished(&self.id), None, Guard::Unconditional);
    }
}

/// Takes over an abandoned change, or extends the time of one's own. Returns `false` if another request did so since the
/// change was read.
pub(super) async fn lease(directory: &Directory, change: &mut Change) -> Result<bool, Error> {
    let until = lease_end(directory.table.clock.unix_millis()).max(change.until + 1);
    let number = |millis: u64| AttributeValue::N(millis.to_string());
    let mut transaction = Transaction::new();
    transaction.update(
        change.key(&directory.keys),
        format!("SET {UNTIL} = :new"),
        vec![(":new", number(until)), (":old", number(change.until))],
        Condition::expression(format!("{UNTIL} = :old")),
        Guard::StillPending,
    );
    let taken = transaction.send(&directory.table).await?.is_ok();
    if taken {
        change.until = until;
    }
    Ok(taken)
}

/// Continues a change of this request as far as its time allows. The change is committed, so the request has succeeded
/// in any case. Another request finishes the rest.
pub(super) async fn finish_in_time(
    directory: &Directory,
    finishing: impl Future<Output = Result<(), Error>>,
) {
    let cause = match timeout_at(directory.table.deadline - COMMIT_RESERVE, finishing).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.cause().unwrap_or_else(|| "the change is not as expected".to_owned()),
        Err(_) => "the change takes longer than the request may".to_owned(),
    };
    tracing::warn!(org = directory.org().as_str(), cause, "a change is left unfinished");
}

fn lease_end(now: u64) -> u64 {
    now.saturating_add(u64::try_from(ABANDONED_AFTER.as_millis()).unwrap_or(u64::MAX))
}

fn damaged() -> Error {
    Error::Internal("a pending change cannot be read".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::keys::SK;

    #[test]
    fn damaged_time_is_an_error() {
        let id = "0197a5e2-8c00-7000-8000-000000000000";
        let number = |digits: &str| AttributeValue::N(digits.to_owned());
        let item = |since| {
            Item::from([
                (SK.to_owned(), string(id)),
                (KIND.to_owned(), string("members")),
                (SUBJECT.to_owned(), string(id)),
                (SINCE.to_owned(), since),
                (UNTIL.to_owned(), number("9")),
            ])
        };
        assert_eq!(Change::from_item(&item(number("7"))).map(|change| change.since), Ok(7));
        for since in [number("-1"), number("7.5"), string("7")] {
            assert!(matches!(Change::from_item(&item(since)), Err(Error::Internal(_))));
        }
    }
}
