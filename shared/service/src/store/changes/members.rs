//! Changes of a group's members: one transaction if they fit, a draft and its commit if they do not.

use scim::id::Id;
use tokio::time::Instant;

use super::{
    apply::{clean, finish_members, part_keys, take_back},
    change::{Change, ChangeKind, finish_in_time},
    part::{Part, parts},
};
use crate::{
    Error,
    error::Reason,
    limits::COMMIT_RESERVE,
    store::{
        directory::Directory,
        edges::{Difference, IfSatisfied, edge_actions},
        slots::begin_expensive,
        transaction::{FailedCondition, MAX_ACTIONS, Transaction},
        write::Guard,
    },
};

/// A change of members that is written and has no effect yet.
pub(in crate::store) struct Draft {
    change: Change,
    parts: Vec<Part>,
    /// Whether the group names the change as its reservation.
    reserved: bool,
}

/// Writes a group's item and its members as one. `group_write` makes the transaction on the group, with the intent that
/// it is passed. Returns the conditions that failed, if any: then nothing was written.
pub(in crate::store) async fn write_members(
    directory: &Directory,
    group: &Id,
    difference: &Difference,
    reservation: Option<&Change>,
    group_write: impl Fn(Option<&Id>) -> Transaction<Guard>,
) -> Result<Result<(), Vec<FailedCondition<Guard>>>, Error> {
    let mut transaction = group_write(None);
    if let Some(reservation) = reservation {
        reservation.end(&directory.keys, &mut transaction);
    }
    if transaction.len() + difference.actions() <= MAX_ACTIONS {
        transaction.append(edge_actions(&directory.keys, group, difference, IfSatisfied::Rewrite));
        return transaction.send(&directory.table).await;
    }
    let draft = match reservation {
        Some(reservation) => Draft::under(directory, reservation, difference).await?,
        None => Draft::write(directory, group, difference).await?,
    };
    let committed = draft.commit(directory, group_write(Some(draft.id()))).await;
    match &committed {
        Ok(Ok(())) => draft.finish(directory).await,
        _ => draft.discard(directory).await,
    }
    committed
}

impl Draft {
    /// Writes the header and the parts.
    pub(in crate::store) async fn write(
        directory: &Directory,
        group: &Id,
        difference: &Difference,
    ) -> Result<Self, Error> {
        begin_expensive(directory).await?;
        let change = Change::new(&directory.table, ChangeKind::Members, group)?;
        let mut transaction = Transaction::new();
        change.begin(&directory.keys, &mut transaction);
        let draft = Self { change, parts: parts(difference), reserved: false };
        draft.write_parts(directory, transaction).await?;
        Ok(draft)
    }

    /// Writes the parts under the header of the reservation.
    async fn under(
        directory: &Directory,
        reservation: &Change,
        difference: &Difference,
    ) -> Result<Self, Error> {
        begin_expensive(directory).await?;
        let draft = Self { change: reservation.clone(), parts: parts(difference), reserved: true };
        draft.write_parts(directory, draft.next_transaction(directory)).await?;
        Ok(draft)
    }

    /// Puts the parts, as many as fit into each transaction. The transactions follow one another, because all of them check
    /// the header.
    async fn write_parts(
        &self,
        directory: &Directory,
        mut transaction: Transaction<Guard>,
    ) -> Result<(), Error> {
        let partition = directory.keys.parts(&self.change.id);
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            part.put(&partition, &mut transaction);
            if transaction.len() == MAX_ACTIONS || parts.peek().is_none() {
                let full = std::mem::replace(&mut transaction, self.next_transaction(directory));
                // The condition fails if this request was suspended for so long that another has taken the draft back.
                full.send(&directory.table).await?.map_err(|_| Error::Unavailable(Reason::Conflicts))?;
            }
        }
        Ok(())
    }

    fn next_transaction(&self, directory: &Directory) -> Transaction<Guard> {
        let mut transaction = Transaction::new();
        self.change.check_open(&directory.keys, &mut transaction);
        transaction
    }

    pub(in crate::store) fn id(&self) -> &Id {
        &self.change.id
    }

    /// Sends the transaction that names the change as the group's intent. Returns the conditions that failed, if any: then
    /// nothing was written.
    pub(in crate::store) async fn commit(
        &self,
        directory: &Directory,
        mut transaction: Transaction<Guard>,
    ) -> Result<Result<(), Vec<FailedCondition<Guard>>>, Error> {
        if Instant::now() + COMMIT_RESERVE > directory.table.deadline {
            // The client would not receive the answer to a change that is committed now.
            return Err(Error::Unavailable(Reason::Budget));
        }
        self.change.check_open(&directory.keys, &mut transaction);
        transaction.send(&directory.table).await
    }

    /// Applies the committed change as far as the time of the request allows.
    pub(in crate::store) async fn finish(&self, directory: &Directory) {
        finish_in_time(directory, finish_members(directory, &self.change, &self.parts)).await;
    }

    /// Takes the draft back, unless it has been committed although the answer was lost. If DynamoDB does not answer, the
    /// janitor takes it back.
    pub(in crate::store) async fn discard(&self, directory: &Directory) {
        if let Ok(true) = take_back(directory, &self.change, self.reserved).await {
            let parts = part_keys(directory, &self.change, &self.parts);
            finish_in_time(directory, clean(directory, &self.change, parts)).await;
        }
    }
}
