//! Deletion of one resource.

use std::collections::BTreeSet;

use scim::{ResourceKind, id::Id};

use super::{
    changes::{finish_deletion_in_time, read_without_intent, tombstone},
    counts::count_deleted,
    directory::Directory,
    index::entries,
    resources::{Expected, check_expected, index_changes, is_unchanged},
    table::Backoff,
    transaction::Transaction,
    write::{Guard, not_found},
};
use crate::Error;

impl Directory {
    /// Deletes a resource. The resource and its index entries disappear at once, for every reader. Its memberships are
    /// removed afterwards.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`].
    pub async fn delete(
        &self,
        kind: ResourceKind,
        id: &str,
        expected: Option<&Expected>,
    ) -> Result<(), Error> {
        let id = Id::parse(id).ok_or_else(|| not_found(kind))?;
        let mut backoff = Backoff::new(&self.table);
        loop {
            let stored = read_without_intent(self, kind, &id).await?;
            check_expected(expected, &stored)?;
            let mut transaction = Transaction::new();
            let key = self.keys.resource(kind, id.as_str());
            transaction.delete(key, is_unchanged(&stored), Guard::Resource);
            let old = entries(kind, &id, &stored.document);
            index_changes(&self.keys, &mut transaction, kind, &id, &old, &BTreeSet::new());
            count_deleted(&self.keys, &mut transaction, kind, &id);
            let tombstone = tombstone(self, &mut transaction, kind, &id)?;
            match transaction.send(&self.table).await? {
                Ok(()) => {
                    finish_deletion_in_time(self, &tombstone, kind).await;
                    return Ok(());
                }
                Err(_) => backoff.wait().await?,
            }
        }
    }
}
