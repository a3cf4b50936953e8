//! Reservations: a request that must see the members of a group before it writes them wins after a bounded number of lost
//! races.
//!
//! The request writes under the version that it read. After [`LOST_RACES`] other writers that were faster it reserves the
//! group: from then on other writers wait, and the next attempt cannot lose.

use scim::{ResourceKind, id::Id};

use super::{
    apply::remove_reservation,
    change::{Change, ChangeKind},
    turn::read_in_turn,
};
use crate::{
    Error,
    store::{
        directory::Directory,
        items::{Stored, name, string},
        resources::is_free,
        table::Backoff,
        transaction::Transaction,
        write::Guard,
    },
};

/// The number of lost races after which a request reserves the group.
const LOST_RACES: usize = 2;

/// The attempts of a request to write a group.
pub(in crate::store) struct Attempts<'a> {
    directory: &'a Directory,
    group: &'a Id,
    backoff: Backoff<'a>,
    lost: usize,
    reservation: Option<Change>,
}

impl<'a> Attempts<'a> {
    pub(in crate::store) fn new(directory: &'a Directory, group: &'a Id) -> Self {
        let backoff = Backoff::new(&directory.table);
        Self { directory, group, backoff, lost: 0, reservation: None }
    }

    /// Reads the group when no other change holds it.
    pub(in crate::store) async fn read(&self) -> Result<Stored, Error> {
        let own = self.reservation.as_ref().map(|change| &change.id);
        read_in_turn(self.directory, ResourceKind::Group, self.group, own).await
    }

    pub(in crate::store) fn reservation(&self) -> Option<&Change> {
        self.reservation.as_ref()
    }

    /// Prepares the next attempt after another writer was faster. A request that names versions with `If-Match` does not
    /// reserve the group: it fails as soon as none of them is the group's.
    pub(in crate::store) async fn lost(&mut self, names_versions: bool) -> Result<(), Error> {
        // The attempt has removed its reservation.
        self.reservation = None;
        self.lost += 1;
        if names_versions || self.lost < LOST_RACES {
            return self.backoff.wait().await;
        }
        while !self.reserve().await? {
            self.read().await?;
        }
        Ok(())
    }

    /// Reserves the group. Returns `false` if another change holds it.
    async fn reserve(&mut self) -> Result<bool, Error> {
        let Directory { table, keys, .. } = self.directory;
        let change = Change::new(self.directory, ChangeKind::Members, self.group)?;
        let mut transaction = Transaction::new();
        transaction.update(
            keys.resource(ResourceKind::Group, self.group.as_str()),
            format!("SET {} = :change", name::RESERVATION),
            vec![(":change", string(change.id.as_str()))],
            is_free(),
            Guard::Resource,
        );
        change.begin(keys, &mut transaction);
        let reserved = transaction.send(table).await?.is_ok();
        if reserved {
            self.reservation = Some(change);
        }
        Ok(reserved)
    }

    /// Removes the reservation of a request that writes nothing.
    pub(in crate::store) async fn release(self) -> Result<(), Error> {
        let Some(change) = &self.reservation else { return Ok(()) };
        let mut transaction = Transaction::new();
        remove_reservation(self.directory, &mut transaction, change);
        change.end(&self.directory.keys, &mut transaction);
        // The condition fails if another request has taken the reservation back.
        transaction.send(&self.directory.table).await.map(|_| ())
    }
}
