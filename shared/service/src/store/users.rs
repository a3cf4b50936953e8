//! Requests on one user.

use scim::{Invalid, ResourceKind, id::Id, resource::Document};

use super::{
    changes::View,
    directory::Directory,
    edges::{Memberships, too_many_groups},
    items::Stored,
    memberships::groups_of,
    outbox::put_events,
    resources::{Expected, check_expected, fresh, read, replacement, successor, told_creation},
    stamps::{Span, event_id},
    table::Backoff,
    write::{lost_race, not_found, taken},
};
use crate::{Error, error::Reason, event::Change, limits::MEMBERS_SHOWN};

impl Directory {
    /// Returns the user of that id and, if they are wanted, its groups.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none in this organisation, `tooMany` if it is in more than [`MEMBERS_SHOWN`] groups.
    pub async fn user(&self, id: &str, with_groups: bool) -> Result<(Stored, Memberships), Error> {
        match read_user(self, id, with_groups).await? {
            (stored, Some(groups)) => Ok((stored, Memberships::Groups(groups))),
            (_, None) if with_groups => Err(too_many_groups()),
            (stored, None) => Ok((stored, Memberships::None)),
        }
    }

    /// Creates a user.
    ///
    /// # Errors
    /// `uniqueness` if the userName is taken.
    pub async fn create_user(&self, document: Document) -> Result<Stored, Error> {
        let stored = fresh(&self.table, ResourceKind::User, document)?;
        let event = event_id(self, None, &stored.version);
        let transaction = told_creation(self, ResourceKind::User, &stored, &event)?;
        match transaction.send(&self.table).await? {
            Ok(()) => Ok(stored),
            Err(failed) => {
                Err(taken(ResourceKind::User, &failed).unwrap_or(Error::Unavailable(Reason::Conflicts)))
            }
        }
    }

    /// Changes a user's document. Returns the user and, if they are wanted and not too many to show, its groups. `change`
    /// takes the current document, and may be called again if another writer was faster. A document that `change` returns
    /// unchanged is not written: version and `lastModified` stay.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`], `uniqueness`, and the errors of `change`.
    pub async fn update_user(
        &self,
        id: &str,
        expected: Option<&Expected>,
        change: impl Fn(&Document) -> Result<Document, Invalid>,
        with_groups: bool,
    ) -> Result<(Stored, Memberships), Error> {
        let mut backoff = Backoff::new(&self.table);
        loop {
            let (stored, groups) = read_user(self, id, with_groups).await?;
            let groups = groups.map_or(Memberships::None, Memberships::Groups);
            check_expected(expected, &stored)?;
            let document = change(&stored.document)?;
            if document == stored.document {
                return Ok((stored, groups));
            }
            let next = successor(&self.table, ResourceKind::User, &stored, document)?;
            let event = event_id(self, stored.stamp.as_ref(), &next.version);
            let mut transaction =
                replacement(&self.keys, ResourceKind::User, &stored, &next, Some(Span::of_one(event)));
            let updated = Change::updated(ResourceKind::User, &stored.id, &stored.document, &next.document);
            put_events(self, &mut transaction, &event, updated.into_iter().collect())?;
            match transaction.send(&self.table).await? {
                Ok(()) => return Ok((next, groups)),
                Err(failed) if lost_race(&stored.id, &failed) => backoff.wait().await?,
                Err(failed) => {
                    return Err(
                        taken(ResourceKind::User, &failed).unwrap_or(Error::Unavailable(Reason::Conflicts))
                    );
                }
            }
        }
    }
}

/// Reads a user and, if they are wanted and not more than [`MEMBERS_SHOWN`], the ids of its groups.
async fn read_user(
    directory: &Directory,
    id: &str,
    with_groups: bool,
) -> Result<(Stored, Option<Vec<String>>), Error> {
    let id = Id::parse(id).ok_or_else(|| not_found(ResourceKind::User))?;
    if !with_groups {
        return Ok((read(directory, ResourceKind::User, &id).await?, None));
    }
    let view = View::new(directory);
    tokio::try_join!(read(directory, ResourceKind::User, &id), groups_of(&view, &id, MEMBERS_SHOWN))
}
