//! Turns: a writer of a group waits while another change holds the group, and finishes the change if its request has
//! ended.

use scim::{ResourceKind, id::Id};

use super::{
    apply::{resume_members, resume_without_header},
    change::{Change, ChangeKind, lease},
    tombstone::finish_deletion,
};
use crate::{
    Error,
    store::{directory::Directory, items::Stored, resources::read, table::Backoff},
};

/// Reads a resource that this request may write. If another change holds a group, waits for its end.
///
/// # Errors
/// [`Error::Unavailable`] if the change does not end in the time of the request.
pub(in crate::store) async fn read_in_turn(
    directory: &Directory,
    kind: ResourceKind,
    id: &Id,
    own: Option<&Id>,
) -> Result<Stored, Error> {
    let mut pause = Backoff::polling(&directory.table);
    loop {
        let stored = read(directory, kind, id).await?;
        let Some(holder) = stored.holder().filter(|holder| own != Some(*holder)) else {
            return Ok(stored);
        };
        if !help(directory, id, holder).await? {
            pause.wait().await?;
        }
    }
}

/// Finishes the change that holds a group if its request has ended. Returns whether it did.
async fn help(directory: &Directory, group: &Id, holder: &Id) -> Result<bool, Error> {
    if let Some(item) = directory.table.get(&directory.keys.pending().key(holder.as_str())).await? {
        let change = Change::from_item(&item)?;
        return Ok(change.is_abandoned(&directory.table.clock) && finish(directory, change).await?);
    }
    // The change has been finished in the meantime, or a restore lost its header.
    let stored = read(directory, ResourceKind::Group, group).await?;
    if stored.holder() == Some(holder) {
        resume_without_header(directory, group, holder).await?;
    }
    Ok(true)
}

/// Takes a change over and finishes it. Returns `false` if another request has taken it over.
pub(super) async fn finish(directory: &Directory, mut change: Change) -> Result<bool, Error> {
    if !lease(directory, &mut change).await? {
        return Ok(false);
    }
    match change.kind {
        ChangeKind::Members => resume_members(directory, &mut change).await?,
        ChangeKind::Deleted(kind) => finish_deletion(directory, &change, kind).await?,
    }
    Ok(true)
}
