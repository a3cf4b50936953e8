//! The work of `scimctl doctor --finish` after an upgrade: replaces the index entries that release 0.2 folded.

use scim::ResourceKind;

use crate::{
    Error,
    store::{
        directory::Directory, index::is_folded_alike, items::Stored, key_range::KeyRange, keys::stored_kind,
        resources::replacement, write::taken,
    },
};

impl Directory {
    /// Replaces the index entries that release 0.2 made and that this release folds differently. Gives the resources
    /// another version. Returns why entries are left, one sentence each.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`] if DynamoDB does not answer. Entries that were replaced until then
    /// stay replaced.
    pub async fn refold(&self) -> Result<Vec<String>, Error> {
        let mut left = Vec::new();
        for kind in ResourceKind::ALL {
            let partition = self.keys.resources(kind);
            let mut after = None;
            loop {
                let page = self.table.query(KeyRange::all(&partition).after(after)).await?;
                for item in &page.items {
                    // The doctor reports an item that cannot be read.
                    if let Ok(stored) = Stored::from_item(item)
                        && has_old_entries(kind, &stored)
                    {
                        left.extend(self.refold_one(kind, &stored).await?);
                    }
                }
                match page.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
        Ok(left)
    }

    /// Replaces the entries of one resource. Returns why they are left.
    async fn refold_one(&self, kind: ResourceKind, stored: &Stored) -> Result<Option<String>, Error> {
        let name = stored_kind(kind);
        if stored.holder().is_some() {
            return Ok(Some(format!("{name} {} has an unfinished change; run the command again", stored.id)));
        }
        let version = self.table.entropy.version()?;
        let next = Stored { version, is_folded: true, ..stored.clone() };
        Ok(match replacement(&self.keys, kind, stored, &next, None).send(&self.table).await? {
            Ok(()) => None,
            Err(failed) if taken(kind, &failed).is_some() => Some(format!(
                "{name} {} has the same name as another {name}; rename one of the two",
                stored.id
            )),
            Err(_) => Some(format!("{name} {} was changed meanwhile; run the command again", stored.id)),
        })
    }
}

/// Returns whether release 0.2 made the index entries, and this release folds them differently.
pub(super) fn has_old_entries(kind: ResourceKind, stored: &Stored) -> bool {
    !stored.is_folded && !is_folded_alike(kind, &stored.id, &stored.document)
}
