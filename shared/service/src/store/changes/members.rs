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
    event::{self, EventId, Subject},
    limits::COMMIT_RESERVE,
    store::{
        directory::Directory,
        edges::{Difference, IfSatisfied, edge_actions},
        items::Stored,
        outbox::put_events,
        slots::begin_expensive,
        stamps::{Span, event_id, overtaking},
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

/// The change of a group's item, as its events tell it.
pub(in crate::store) struct GroupWrite<'a> {
    pub(in crate::store) subject: Subject,
    /// The changes apart from those of members.
    pub(in crate::store) changes: Vec<event::Change>,
    /// The latest stamp of the group and of the members to be added.
    pub(in crate::store) floor: Option<EventId>,
    /// The version that the group gets.
    pub(in crate::store) version: &'a str,
}

/// The commit of a change of members, as the group's item names it.
pub(in crate::store) struct Commit {
    /// The pending change. `None` if the change of members is in the same transaction.
    change: Option<Id>,
    pub(in crate::store) events: Span,
}

impl Commit {
    /// Returns the group with the pending change as its intent.
    pub(in crate::store) fn named_by(&self, group: &Stored) -> Stored {
        let commit = self.change.as_ref().map(|_| self.events.first);
        Stored { intent: self.change.clone(), commit, ..group.clone() }
    }
}

/// Writes a group's item and its members as one. `group_write` makes the transaction on the group for a commit. Returns the
/// conditions that failed, if any: then nothing was written.
pub(in crate::store) async fn write_members(
    directory: &Directory,
    group: &Id,
    difference: &Difference,
    reservation: Option<&Change>,
    of_group: GroupWrite<'_>,
    group_write: impl Fn(&Commit) -> Transaction<Guard>,
) -> Result<Result<(), Vec<FailedCondition<Guard>>>, Error> {
    let GroupWrite { subject, changes, mut floor, version } = of_group;
    loop {
        let event = event_id(directory, floor.as_ref(), version);
        let mut transaction = group_write(&Commit { change: None, events: Span::of_one(event) });
        if let Some(reservation) = reservation {
            reservation.end(&directory.keys, &mut transaction);
        }
        // The events take one action.
        if transaction.len() + difference.actions() >= MAX_ACTIONS {
            break;
        }
        let (if_satisfied, keys) = (IfSatisfied::Rewrite, &directory.keys);
        transaction.append(edge_actions(keys, group, difference, if_satisfied, Some(&event)));
        let changes = changes.iter().cloned().chain(difference.changes(&subject)).collect();
        put_events(directory, &mut transaction, &event, changes)?;
        let Err(failed) = transaction.send(&directory.table).await? else { return Ok(Ok(())) };
        match overtaking(&failed, &event)? {
            // The group or a member has changed since it was read. Only the id of the event has to be another.
            Some(stamp) => floor = Some(stamp),
            None => return Ok(Err(failed)),
        }
    }
    let draft = match reservation {
        Some(reservation) => Draft::under(directory, reservation, difference).await?,
        None => Draft::write(directory, group, difference).await?,
    };
    let event = event_id(directory, floor.as_ref(), version);
    let events = Span { first: event, last: draft.last_event(&event) };
    let mut transaction = group_write(&Commit { change: Some(draft.id().clone()), events });
    put_events(directory, &mut transaction, &event, changes)?;
    let committed = draft.commit(directory, transaction).await;
    match &committed {
        Ok(Ok(())) => draft.finish(directory, &event).await,
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
        let change = Change::new(directory, ChangeKind::Members, group)?;
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

    /// Returns the id of the last event of the change, if `event` is the id of its commit.
    pub(in crate::store) fn last_event(&self, event: &EventId) -> EventId {
        self.parts.last().map_or(*event, |part| part.event(event))
    }

    /// Applies the committed change as far as the time of the request allows. `event` is the id of its commit.
    pub(in crate::store) async fn finish(&self, directory: &Directory, event: &EventId) {
        finish_in_time(directory, finish_members(directory, &self.change, &self.parts, event)).await;
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
