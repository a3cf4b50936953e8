//! Pending changes: how a request that does not fit one transaction is all or nothing, also if the process is killed
//! between any two calls.
//!
//! A change of members is written down first: a *draft* and, in a partition of their own, its parts, none larger than
//! a transaction. Nothing of that has an effect. Then one transaction *commits* it: it writes the group's item, with
//! the change as its `intent`, and makes the draft a pending change. From there on it will happen: each part is carried
//! out by one transaction that also deletes the part, so exactly once whoever does it and however often; at the end
//! the intent and the pending change go together. Writers of the group refuse to pass an intent, and finish it first.
//!
//! A deletion is the same with nothing to write down: the transaction that deletes the resource leaves a *tombstone*
//! among the pending changes, and its edges are what is left to do.
//!
//! The partition of pending changes is nearly always empty; it is read beside the reads of edges. A draft whose
//! request died is taken back by whoever meets it after [`DRAFT_LIFE_MILLIS`].

use std::{collections::BTreeSet, future::Future};

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::{StreamExt, TryStreamExt, stream};
use scim::id::Id;
use tokio::time::{Duration, Instant, timeout_at};

use super::{
    CONCURRENCY, Directory,
    groups::{Difference, Edge, Edges, reverse_edge, touch},
    items::{Item, Stored, name, number, sort_key, text},
    keys::{self, Key, Kind},
    resources::{Meaning, lost_race, string},
    transaction::{Condition, MAX_ACTIONS, Refusal, Transaction},
    wire::{self, Backoff, Range},
};
use crate::Error;

/// No request lives so long: a draft of this age has lost its writer.
const DRAFT_LIFE_MILLIS: u64 = 120_000;
/// What is kept of a request's budget, to answer that a change is committed, however much of it is left.
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// What is kept of it to answer without what was to be shown.
pub(super) const SHOW_TIME: Duration = Duration::from_secs(1);
/// What is kept of it where the unfinished changes of others take longer than a request may: an organisation in which a
/// group of hundreds of thousands is on its way is answered with memberships as they are at that time.
const OWN_TIME: Duration = Duration::from_secs(10);
/// Actions of a part: one more deletes the part.
const PART_ACTIONS: usize = MAX_ACTIONS - 1;
/// Pending changes one reader takes on at a time.
const PENDING_PAGE: usize = 20;
/// Names of attributes of pending changes and their parts.
const STEP: &str = "step";
const SUBJECT: &str = "subject";
const SINCE: &str = "since";
const USERS: &str = "users";
const GROUPS: &str = "groups";
const REMOVED: &str = "removed";

/// How far a pending change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Members written down, without effect.
    Draft,
    /// Members to be changed.
    Members,
    /// A draft to be taken back.
    Abandoned,
    /// Edges of a deleted user to be removed.
    UserDeleted,
    /// Edges of a deleted group to be removed.
    GroupDeleted,
}

impl Step {
    const ALL: [Self; 5] =
        [Self::Draft, Self::Members, Self::Abandoned, Self::UserDeleted, Self::GroupDeleted];

    const fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Members => "members",
            Self::Abandoned => "abandoned",
            Self::UserDeleted => "user-deleted",
            Self::GroupDeleted => "group-deleted",
        }
    }
}

/// A change that is not finished.
#[derive(Debug, Clone)]
pub(super) struct Change {
    id: Id,
    step: Step,
    /// The group whose members change, or the resource that was deleted.
    subject: Id,
    /// When it began, in milliseconds since 1970.
    since: i64,
}

/// Changes that wait to be finished.
#[derive(Default)]
struct Waiting {
    changes: Vec<Change>,
    /// How many beside them cannot be read.
    unreadable: usize,
}

/// What was left, and is no more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Finished {
    /// How many changes there were.
    pub changes: usize,
    /// How many are there still, because they cannot be read or carried out: a defect, which the log tells of.
    pub stuck: usize,
    /// The age of the oldest, in milliseconds.
    pub oldest_millis: u64,
}

impl Change {
    fn from_item(item: &Item) -> Result<Self, Error> {
        let damaged = || Error::Internal("a pending change that cannot be read".to_owned());
        let step = text(item, STEP)?;
        Ok(Self {
            id: Id::parse(sort_key(item)?).ok_or_else(damaged)?,
            step: Step::ALL.into_iter().find(|known| known.word() == step).ok_or_else(damaged)?,
            subject: Id::parse(text(item, SUBJECT)?).ok_or_else(damaged)?,
            since: number(item, SINCE).unwrap_or_default(),
        })
    }

    fn to_item(&self) -> Item {
        Item::from([
            (STEP.to_owned(), string(self.step.word())),
            (SUBJECT.to_owned(), string(self.subject.as_str())),
            (SINCE.to_owned(), AttributeValue::N(self.since.to_string())),
        ])
    }
}

impl Directory {
    /// Writes a group's item and its members as one. `head` makes the transaction on the group, with the intent it is
    /// given. Says which conditions did not hold; nothing was written then.
    pub(super) async fn write_members(
        &self,
        group: &Id,
        difference: &Difference,
        head: impl Fn(Option<&str>) -> Transaction<Meaning>,
    ) -> Result<Result<(), Vec<Refusal<Meaning>>>, Error> {
        let mut transaction = head(None);
        if transaction.len() + difference.actions() <= MAX_ACTIONS {
            transaction.append(self.edge_actions(group, difference, Edges::MayBeThere));
            return self.transact(transaction).await;
        }
        let draft = self.draft(group, difference).await?;
        if Instant::now() + ANSWER_TIME > self.deadline {
            // Committed now, it could not be answered as done.
            self.take_back(&draft).await?;
            return Err(Error::Unavailable);
        }
        let mut transaction = head(Some(draft.id.as_str()));
        transaction.update(
            self.header(&draft),
            format!("SET {STEP} = :members"),
            vec![(":members", string(Step::Members.word()))],
            is_at(Step::Draft),
            Meaning::Part,
        );
        match self.transact(transaction).await? {
            Ok(()) => {
                self.finish_in_time(&Change { step: Step::Members, ..draft }).await;
                Ok(Ok(()))
            }
            Err(refusals) => {
                self.take_back(&draft).await?;
                Ok(Err(refusals))
            }
        }
    }

    /// Puts a tombstone into the transaction that deletes the resource.
    pub(super) fn tombstone(
        &self,
        transaction: &mut Transaction<Meaning>,
        kind: Kind,
        id: &Id,
    ) -> Result<Change, Error> {
        let step = match kind {
            Kind::User => Step::UserDeleted,
            Kind::Group => Step::GroupDeleted,
        };
        let change = self.change(step, id)?;
        transaction.put(self.header(&change), change.to_item(), None, Meaning::Unconditional);
        Ok(change)
    }

    /// Reads what a pending change may have half done: the pending changes are read beside it, and where there are
    /// any, finished, and `read` is done again.
    pub(super) async fn settled<T, F>(&self, read: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut stuck = BTreeSet::new();
        loop {
            let (value, waiting) = tokio::join!(read(), self.pending(Duration::ZERO, &stuck));
            let waiting = waiting?;
            if waiting.changes.is_empty() {
                return value;
            }
            let finishing = self.finish_each(&waiting.changes, &mut stuck);
            match timeout_at(self.deadline - OWN_TIME, finishing).await {
                Ok(finished) => finished?,
                Err(_) => return value,
            }
        }
    }

    /// Finishes these changes. One that cannot be, for a defect, keeps no other from being, and joins the `stuck`.
    async fn finish_each(&self, changes: &[Change], stuck: &mut BTreeSet<Id>) -> Result<(), Error> {
        for change in changes {
            match self.finish(change).await {
                Err(Error::Internal(cause)) => {
                    self.log_stuck(&cause);
                    stuck.insert(change.id.clone());
                }
                outcome => outcome?,
            }
        }
        Ok(())
    }

    fn log_stuck(&self, cause: &str) {
        tracing::error!(org = self.org().as_str(), cause, "a change cannot be finished");
    }

    /// The resource, with no intent on it.
    pub(super) async fn read_settled(&self, kind: Kind, id: &Id) -> Result<Stored, Error> {
        loop {
            let stored = self.read(kind, id).await?;
            match &stored.intent {
                None => return Ok(stored),
                Some(intent) => self.finish_intent(id, intent).await?,
            }
        }
    }

    /// Finishes every change that has been pending for so long, drafts without a writer included.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`] when DynamoDB does not answer: what was done stays done.
    pub async fn finish_pending(&self, min_age: Duration) -> Result<Finished, Error> {
        let mut finished = Finished::default();
        let mut stuck = BTreeSet::new();
        loop {
            let waiting = self.pending(min_age, &stuck).await?;
            if waiting.changes.is_empty() {
                return Ok(Finished { stuck: stuck.len() + waiting.unreadable, ..finished });
            }
            let oldest = waiting.changes.iter().map(|change| self.age(change)).max();
            finished.oldest_millis = finished.oldest_millis.max(oldest.unwrap_or_default());
            let before = stuck.len();
            self.finish_each(&waiting.changes, &mut stuck).await?;
            finished.changes += waiting.changes.len() - (stuck.len() - before);
        }
    }

    /// Finishes the change that a group names as its intent.
    pub(super) async fn finish_intent(&self, group: &Id, intent: &str) -> Result<(), Error> {
        if let Some(item) = self.get(&self.keys.pending().key(intent)).await? {
            return self.finish(&Change::from_item(&item)?).await;
        }
        // Finished by somebody else since, intent and all; or lost, and then the intent alone is left.
        let mut transaction = Transaction::new();
        self.end(&mut transaction, group, intent);
        self.transact(transaction).await.map(|_| ())
    }

    /// Takes the change off its group, on condition that it is there.
    fn end(&self, transaction: &mut Transaction<Meaning>, group: &Id, change: &str) {
        transaction.update(
            self.keys.resource(Kind::Group, group.as_str()),
            format!("SET {} = :change REMOVE {}", name::FINISHED, name::INTENT),
            vec![],
            Condition::expression(format!("{} = :change", name::INTENT)).with(":change", change),
            Meaning::Part,
        );
    }

    /// Carries out a change of this request as far as its time allows. It is committed, so the request has succeeded
    /// whatever comes of this; whoever meets the rest finishes it.
    pub(super) async fn finish_in_time(&self, change: &Change) {
        let left = match timeout_at(self.deadline - ANSWER_TIME, self.finish(change)).await {
            Ok(Ok(())) => return,
            Ok(Err(Error::Internal(cause))) => cause,
            Ok(Err(_)) => "DynamoDB did not answer".to_owned(),
            Err(_) => "it takes longer than a request may".to_owned(),
        };
        tracing::warn!(org = self.org().as_str(), cause = left, "a change is left to be finished");
    }

    /// Carries out what is left of a change, however much that is and whoever began it.
    pub(super) async fn finish(&self, change: &Change) -> Result<(), Error> {
        match change.step {
            Step::Draft | Step::Abandoned => self.take_back(change).await,
            Step::Members => self.finish_members(change).await,
            Step::UserDeleted => self.finish_deletion(change, Kind::User).await,
            Step::GroupDeleted => self.finish_deletion(change, Kind::Group).await,
        }
    }

    /// Changes that have waited so long to be finished, and are not `stuck`. Drafts of requests that may be alive are
    /// none of them.
    async fn pending(&self, min_age: Duration, stuck: &BTreeSet<Id>) -> Result<Waiting, Error> {
        let mut waiting = Waiting::default();
        let mut after = None;
        let partition = self.keys.pending();
        loop {
            let rows = self.query(Range::all(&partition).limit(PENDING_PAGE).after(after)).await?;
            for item in &rows.items {
                match Change::from_item(item) {
                    Ok(change)
                        if !self.is_alive(&change)
                            && u128::from(self.age(&change)) >= min_age.as_millis()
                            && !stuck.contains(&change.id) =>
                    {
                        waiting.changes.push(change);
                    }
                    Ok(_) => {}
                    // Of another release, or damaged: it must not keep everything else from being read.
                    Err(_) => {
                        self.log_stuck("a pending change that cannot be read");
                        waiting.unreadable += 1;
                    }
                }
            }
            if !waiting.changes.is_empty() || rows.next.is_none() {
                return Ok(waiting);
            }
            after = rows.next;
        }
    }

    /// The id of a draft that a request may still commit; `None` for any other pending change.
    pub(super) fn live_draft(&self, item: &Item) -> Result<Option<Id>, Error> {
        let change = Change::from_item(item)?;
        Ok(self.is_alive(&change).then_some(change.id))
    }

    fn is_alive(&self, change: &Change) -> bool {
        change.step == Step::Draft && self.age(change) <= DRAFT_LIFE_MILLIS
    }

    /// In milliseconds.
    fn age(&self, change: &Change) -> u64 {
        u64::try_from(self.now() - change.since).unwrap_or_default()
    }

    /// A new change.
    fn change(&self, step: Step, subject: &Id) -> Result<Change, Error> {
        let id = self.store.entropy.id(self.store.clock.now())?;
        Ok(Change { id, step, subject: subject.clone(), since: self.now() })
    }

    async fn draft(&self, group: &Id, difference: &Difference) -> Result<Change, Error> {
        let change = self.change(Step::Draft, group)?;
        self.write_all(vec![wire::put(&self.header(&change), change.to_item())?]).await?;
        let partition = self.keys.parts(change.id.as_str());
        let parts = parts(difference)
            .iter()
            .enumerate()
            .map(|(number, part)| wire::put(&partition.key(format!("{number:06}")), part_to_item(part)))
            .collect::<Result<_, _>>()?;
        self.write_all(parts).await?;
        Ok(change)
    }

    async fn take_back(&self, change: &Change) -> Result<(), Error> {
        let mut transaction = Transaction::new();
        let condition = Condition::expression(format!("{STEP} = :draft OR {STEP} = :abandoned"))
            .with(":draft", Step::Draft.word());
        transaction.update(
            self.header(change),
            format!("SET {STEP} = :abandoned"),
            vec![(":abandoned", string(Step::Abandoned.word()))],
            condition,
            Meaning::Part,
        );
        if let Err(refusals) = self.transact(transaction).await?
            && refusals.iter().any(|refusal| refusal.item.is_some())
        {
            // Committed after all.
            return Ok(());
        }
        // Taken back by somebody else already, it may have parts all the same: a writer whose clock is behind, or whose
        // machine slept, wrote them since.
        let parts = self.query_all(Range::all(&self.keys.parts(change.id.as_str()))).await?;
        let keys =
            parts.iter().map(|part| wire::delete(&self.part(change, part)?)).collect::<Result<_, _>>()?;
        self.write_all(keys).await?;
        self.write_all(vec![wire::delete(&self.header(change))?]).await
    }

    async fn finish_members(&self, change: &Change) -> Result<(), Error> {
        let partition = self.keys.parts(change.id.as_str());
        loop {
            let parts = self.query(Range::all(&partition)).await?;
            let work: Vec<_> = parts.items.iter().map(|part| self.carry_out(change, part)).collect();
            stream::iter(work).buffer_unordered(CONCURRENCY).try_collect::<Vec<()>>().await?;
            if parts.next.is_none() {
                break;
            }
        }
        let mut transaction = Transaction::new();
        self.end(&mut transaction, &change.subject, change.id.as_str());
        transaction.delete(self.header(change), None, Meaning::Unconditional);
        // A refusal means that somebody else came to the end first, or that the group does not know of the change.
        if self.transact(transaction).await?.is_err() {
            self.write_all(vec![wire::delete(&self.header(change))?]).await?;
        }
        Ok(())
    }

    /// Carries one part out, if nobody has.
    async fn carry_out(&self, change: &Change, part: &Item) -> Result<(), Error> {
        let key = self.part(change, part)?;
        let mut difference = part_from_item(part)?;
        let mut touches = false;
        loop {
            let mut transaction = Transaction::new();
            transaction.delete(key.clone(), Condition::exists(), Meaning::Part);
            transaction.append(self.edge_actions(&change.subject, &difference, Edges::MayBeThere));
            if touches {
                let group = self.keys.resource(Kind::Group, change.subject.as_str());
                let values = self.touched(&self.store.entropy.version()?)?;
                transaction.update(group, touch(), values, Condition::exists(), Meaning::Resource);
            }
            let Err(refusals) = self.transact(transaction).await? else { return Ok(()) };
            if refusals.iter().any(|refusal| refusal.meaning == Meaning::Part) {
                return Ok(());
            }
            // Members deleted since the change was committed: as if they had been deleted just after it, which gives the
            // group another version. Of a group that a restore lost, only the edges are left.
            touches = !lost_race(&change.subject, &refusals);
            let mut index = 0;
            difference.add.retain(|_| {
                index += 1;
                !refusals.iter().any(|refusal| refusal.meaning == Meaning::Member(index - 1))
            });
        }
    }

    async fn finish_deletion(&self, change: &Change, kind: Kind) -> Result<(), Error> {
        self.leave_groups(&change.subject).await?;
        if kind == Kind::Group {
            self.drop_members(&change.subject).await?;
        }
        self.write_all(vec![wire::delete(&self.header(change))?]).await
    }

    /// Takes a deleted resource out of the groups it was in; each of them is modified by it.
    async fn leave_groups(&self, member: &Id) -> Result<(), Error> {
        let partition = self.keys.reverse_edges();
        let range = keys::reverse_range(member.as_str(), member.as_str());
        let mut backoff = Backoff::until(self.deadline);
        loop {
            let rows = self.query(Range::between(&partition, range.clone()).limit(CONCURRENCY)).await?;
            if rows.items.is_empty() {
                return Ok(());
            }
            let work: Vec<_> = rows.items.iter().map(|item| self.leave_group(member, item)).collect();
            let all_left =
                stream::iter(work).buffer_unordered(CONCURRENCY).try_collect::<Vec<bool>>().await?;
            if all_left.contains(&false) {
                backoff.wait(&self.store).await?;
            } else if rows.next.is_none() {
                // Nobody adds who is deleted.
                return Ok(());
            }
        }
    }

    async fn leave_group(&self, member: &Id, item: &Item) -> Result<bool, Error> {
        let (_, group) = reverse_edge(item)?;
        let group = Id::parse(group)
            .ok_or_else(|| Error::Internal("a reverse edge that cannot be read".to_owned()))?;
        let leave = Difference { add: Vec::new(), remove: vec![member.clone()] };
        let mut transaction = self.edge_actions(&group, &leave, Edges::MustChange);
        let key = self.keys.resource(Kind::Group, group.as_str());
        let version = self.store.entropy.version()?;
        let values = self.touched(&version)?;
        transaction.update(key, touch(), values, Condition::exists(), Meaning::Resource);
        if self.transact(transaction).await?.is_ok() {
            return Ok(true);
        }
        // The group is being deleted as well, and only the edges are left of it; or somebody else has taken the member
        // out since, which gave it its version.
        self.transact(self.edge_actions(&group, &leave, Edges::MayBeThere)).await.map(|done| done.is_ok())
    }

    /// Removes the edges of a deleted group.
    async fn drop_members(&self, group: &Id) -> Result<(), Error> {
        let partition = self.keys.members(group.as_str());
        loop {
            let rows = self.query(Range::all(&partition).limit(CONCURRENCY * MAX_ACTIONS / 2)).await?;
            let members = rows
                .items
                .iter()
                .map(|item| {
                    Id::parse(sort_key(item)?)
                        .ok_or_else(|| Error::Internal("a member edge that cannot be read".to_owned()))
                })
                .collect::<Result<Vec<_>, _>>()?;
            if members.is_empty() {
                return Ok(());
            }
            let work: Vec<_> = members
                .chunks(MAX_ACTIONS / 2)
                .map(|chunk| {
                    let gone = Difference { add: Vec::new(), remove: chunk.to_vec() };
                    self.transact(self.edge_actions(group, &gone, Edges::MayBeThere))
                })
                .collect();
            stream::iter(work).buffer_unordered(CONCURRENCY).try_collect::<Vec<_>>().await?;
        }
    }

    fn header(&self, change: &Change) -> Key {
        self.keys.pending().key(change.id.as_str())
    }

    fn part(&self, change: &Change, part: &Item) -> Result<Key, Error> {
        Ok(self.keys.parts(change.id.as_str()).key(sort_key(part)?))
    }

    fn now(&self) -> i64 {
        i64::try_from(self.store.clock.unix_millis()).unwrap_or(i64::MAX)
    }
}

fn is_at(step: Step) -> Condition {
    Condition::expression(format!("{STEP} = :step")).with(":step", step.word())
}

/// The difference in pieces, each of which fits a transaction with its own deletion.
fn parts(difference: &Difference) -> Vec<Difference> {
    let add =
        difference.add.chunks(PART_ACTIONS / 3).map(|add| Difference { add: add.to_vec(), remove: vec![] });
    let remove = difference
        .remove
        .chunks(PART_ACTIONS / 2)
        .map(|remove| Difference { add: vec![], remove: remove.to_vec() });
    add.chain(remove).collect()
}

fn part_to_item(part: &Difference) -> Item {
    let ids = |ids: Vec<&Id>| AttributeValue::L(ids.into_iter().map(|id| string(id.as_str())).collect());
    let of = |kind| part.add.iter().filter(|edge| edge.kind == kind).map(|edge| &edge.member).collect();
    Item::from([
        (USERS.to_owned(), ids(of(Kind::User))),
        (GROUPS.to_owned(), ids(of(Kind::Group))),
        (REMOVED.to_owned(), ids(part.remove.iter().collect())),
    ])
}

fn part_from_item(item: &Item) -> Result<Difference, Error> {
    let damaged = || Error::Internal("a part of a pending change that cannot be read".to_owned());
    let ids = |name: &str| {
        let list = item.get(name).and_then(|value| value.as_l().ok()).ok_or_else(damaged)?;
        list.iter()
            .map(|id| id.as_s().ok().and_then(|id| Id::parse(id)).ok_or_else(damaged))
            .collect::<Result<Vec<Id>, Error>>()
    };
    let edges = |name, kind| ids(name).map(|ids| ids.into_iter().map(move |member| Edge { member, kind }));
    Ok(Difference {
        add: edges(USERS, Kind::User)?.chain(edges(GROUPS, Kind::Group)?).collect(),
        remove: ids(REMOVED)?,
    })
}
