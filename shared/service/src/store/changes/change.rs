//! Pending changes as items.

use std::{future::Future, str::FromStr};

use aws_sdk_dynamodb::types::AttributeValue;
use scim::id::Id;
use tokio::time::timeout_at;

use crate::{
    Error,
    clock::Clock,
    limits::{ABANDONED_AFTER, COMMIT_RESERVE},
    store::{
        directory::Directory,
        items::{Item, number, sort_key, string, text},
        keys::{Key, Keys},
        table::{Table, delete_request},
    },
};

/// The attribute with the step of a change.
pub(super) const STEP: &str = "step";
const SUBJECT: &str = "subject";
const SINCE: &str = "since";

/// The progress of a pending change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A change of members that is written down and has no effect yet.
    Draft,
    /// A committed change of members.
    Members,
    /// A draft that is being removed.
    Abandoned,
    /// A deleted user, whose edges are to be removed.
    UserDeleted,
    /// A deleted group, whose edges are to be removed.
    GroupDeleted,
}

impl Step {
    const ALL: [Self; 5] =
        [Self::Draft, Self::Members, Self::Abandoned, Self::UserDeleted, Self::GroupDeleted];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Members => "members",
            Self::Abandoned => "abandoned",
            Self::UserDeleted => "user-deleted",
            Self::GroupDeleted => "group-deleted",
        }
    }
}

impl FromStr for Step {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|step| step.as_str() == text).ok_or_else(damaged)
    }
}

/// A change that is not finished.
#[derive(Debug, Clone)]
pub(in crate::store) struct Change {
    pub(super) id: Id,
    pub(super) step: Step,
    /// The group whose members change, or the resource that was deleted.
    pub(super) subject: Id,
    /// When the change began, in milliseconds since 1970.
    since: u64,
}

impl Change {
    /// Begins a change.
    pub(super) fn new(table: &Table, step: Step, subject: &Id) -> Result<Self, Error> {
        let id = table.entropy.id(table.clock.now())?;
        Ok(Self { id, step, subject: subject.clone(), since: table.clock.unix_millis() })
    }

    pub(super) fn from_item(item: &Item) -> Result<Self, Error> {
        Ok(Self {
            id: Id::parse(sort_key(item)?).ok_or_else(damaged)?,
            step: text(item, STEP)?.parse()?,
            subject: Id::parse(text(item, SUBJECT)?).ok_or_else(damaged)?,
            since: u64::try_from(number(item, SINCE)?).map_err(|_| damaged())?,
        })
    }

    pub(super) fn to_item(&self) -> Item {
        Item::from([
            (STEP.to_owned(), string(self.step.as_str())),
            (SUBJECT.to_owned(), string(self.subject.as_str())),
            (SINCE.to_owned(), AttributeValue::N(self.since.to_string())),
        ])
    }

    pub(super) fn key(&self, keys: &Keys) -> Key {
        keys.pending().key(self.id.as_str())
    }

    /// Returns the age in milliseconds.
    pub(super) fn age(&self, clock: &Clock) -> u64 {
        clock.unix_millis().saturating_sub(self.since)
    }

    /// Returns whether the change is a draft that its request may still commit.
    pub(super) fn is_live_draft(&self, clock: &Clock) -> bool {
        self.step == Step::Draft && u128::from(self.age(clock)) <= ABANDONED_AFTER.as_millis()
    }
}

/// Returns the id of a draft that its request may still commit, and `None` for any other pending change.
pub(in crate::store) fn live_draft(clock: &Clock, item: &Item) -> Result<Option<Id>, Error> {
    let change = Change::from_item(item)?;
    Ok(change.is_live_draft(clock).then_some(change.id))
}

/// Removes a change from the pending changes.
pub(super) async fn remove(directory: &Directory, change: &Change) -> Result<(), Error> {
    directory.table.write_all(vec![delete_request(&change.key(&directory.keys))?]).await
}

/// Continues a change of this request as far as its time allows. The change is committed, so the request has succeeded
/// in any case. A later request finishes the rest.
pub(super) async fn finish_in_time(
    directory: &Directory,
    finishing: impl Future<Output = Result<(), Error>>,
) {
    let cause = match timeout_at(directory.table.deadline - COMMIT_RESERVE, finishing).await {
        Ok(Ok(())) => return,
        Ok(Err(Error::Internal(cause))) => cause,
        Ok(Err(_)) => "DynamoDB did not answer".to_owned(),
        Err(_) => "the change takes longer than the request may".to_owned(),
    };
    tracing::warn!(org = directory.org().as_str(), cause, "a change is left unfinished");
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
        let item = |since| {
            Item::from([
                (SK.to_owned(), string(id)),
                (STEP.to_owned(), string("draft")),
                (SUBJECT.to_owned(), string(id)),
                (SINCE.to_owned(), since),
            ])
        };
        let number = |digits: &str| AttributeValue::N(digits.to_owned());
        assert_eq!(Change::from_item(&item(number("7"))).map(|change| change.since), Ok(7));
        for since in [number("-1"), number("7.5"), string("7")] {
            assert!(matches!(Change::from_item(&item(since)), Err(Error::Internal(_))));
        }
    }
}
