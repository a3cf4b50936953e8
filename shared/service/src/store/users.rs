//! Requests on one user.

use scim::{Invalid, ResourceKind, id::Id, resource::Document};

use super::{
    changes::View,
    directory::Directory,
    items::Stored,
    memberships::groups_of,
    resources::{Expected, check_expected, creation, fresh, read, replacement, successor},
    table::Backoff,
    write::{lost_race, not_found, taken},
};
use crate::{Error, error::Reason};

impl Directory {
    /// Returns the user of that id and, if they are wanted, the ids of its groups.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none in this organisation.
    pub async fn user(&self, id: &str, with_groups: bool) -> Result<(Stored, Vec<String>), Error> {
        let id = Id::parse(id).ok_or_else(|| not_found(ResourceKind::User))?;
        if !with_groups {
            return Ok((read(self, ResourceKind::User, &id).await?, Vec::new()));
        }
        let view = View::new(self);
        tokio::try_join!(read(self, ResourceKind::User, &id), groups_of(&view, &id))
    }

    /// Creates a user.
    ///
    /// # Errors
    /// `uniqueness` if the userName is taken.
    pub async fn create_user(&self, document: Document) -> Result<Stored, Error> {
        let stored = fresh(&self.table, ResourceKind::User, document)?;
        match creation(&self.keys, ResourceKind::User, &stored).send(&self.table).await? {
            Ok(()) => Ok(stored),
            Err(failed) => {
                Err(taken(ResourceKind::User, &failed).unwrap_or(Error::Unavailable(Reason::Conflicts)))
            }
        }
    }

    /// Changes a user's document. Returns what [`Self::user`] returns. `change` takes the current document, and may be
    /// called again if another writer was faster. A document that `change` returns unchanged is not written: version and
    /// `lastModified` stay.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`], `uniqueness`, and the errors of `change`.
    pub async fn update_user(
        &self,
        id: &str,
        expected: Option<&Expected>,
        change: impl Fn(&Document) -> Result<Document, Invalid>,
        with_groups: bool,
    ) -> Result<(Stored, Vec<String>), Error> {
        let mut backoff = Backoff::new(&self.table);
        loop {
            let (stored, groups) = self.user(id, with_groups).await?;
            check_expected(expected, &stored)?;
            let document = change(&stored.document)?;
            if document == stored.document {
                return Ok((stored, groups));
            }
            let next = successor(&self.table, ResourceKind::User, &stored, document)?;
            match replacement(&self.keys, ResourceKind::User, &stored, &next).send(&self.table).await? {
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
