//! Changes of a group's members: one transaction if they fit, a pending change if they do not.

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::{StreamExt, TryStreamExt, stream};
use scim::{ResourceKind, id::Id};
use tokio::time::Instant;

use super::change::{Change, STEP, Step, finish_in_time, remove};
use crate::{
    Error,
    limits::COMMIT_RESERVE,
    store::{
        directory::Directory,
        edges::{Difference, Edge, IfSatisfied, edge_actions},
        items::{Item, name, sort_key, string},
        keys::{Key, Keys},
        resources::{bump_version_expression, bump_version_values},
        table::{CONCURRENCY, KeyRange, delete_request, put_request},
        transaction::{Condition, FailedCondition, MAX_ACTIONS, Transaction},
        write::{Guard, lost_race},
    },
};

/// The number of actions that apply a chunk. One more deletes the chunk.
const CHUNK_ACTIONS: usize = MAX_ACTIONS - 1;
const USERS: &str = "users";
const GROUPS: &str = "groups";
const REMOVED: &str = "removed";

/// Writes a group's item and its members as one. `group_write` makes the transaction on the group, with the intent that
/// it is passed. Returns the conditions that failed, if any: then nothing was written.
pub(in crate::store) async fn write_members(
    directory: &Directory,
    group: &Id,
    difference: &Difference,
    group_write: impl Fn(Option<&str>) -> Transaction<Guard>,
) -> Result<Result<(), Vec<FailedCondition<Guard>>>, Error> {
    let mut transaction = group_write(None);
    if transaction.len() + difference.actions() <= MAX_ACTIONS {
        transaction.append(edge_actions(&directory.keys, group, difference, IfSatisfied::Rewrite));
        return transaction.send(&directory.table).await;
    }
    let draft = write_draft(directory, group, difference).await?;
    if Instant::now() + COMMIT_RESERVE > directory.table.deadline {
        // The client would not receive the answer to a change that is committed now.
        abandon(directory, &draft).await?;
        return Err(Error::Unavailable);
    }
    let mut transaction = group_write(Some(draft.id.as_str()));
    transaction.update(
        draft.key(&directory.keys),
        format!("SET {STEP} = :members"),
        vec![(":members", string(Step::Members.as_str()))],
        Condition::expression(format!("{STEP} = :draft")).with(":draft", Step::Draft.as_str()),
        Guard::StillPending,
    );
    match transaction.send(&directory.table).await? {
        Ok(()) => {
            finish_in_time(directory, finish_members(directory, &draft)).await;
            Ok(Ok(()))
        }
        Err(failed) => {
            abandon(directory, &draft).await?;
            Ok(Err(failed))
        }
    }
}

async fn write_draft(directory: &Directory, group: &Id, difference: &Difference) -> Result<Change, Error> {
    let change = Change::new(&directory.table, Step::Draft, group)?;
    let header = put_request(&change.key(&directory.keys), change.to_item())?;
    directory.table.write_all(vec![header]).await?;
    let partition = directory.keys.chunks(change.id.as_str());
    let puts = chunks(difference)
        .iter()
        .enumerate()
        .map(|(number, chunk)| put_request(&partition.key(format!("{number:06}")), chunk_to_item(chunk)))
        .collect::<Result<_, _>>()?;
    directory.table.write_all(puts).await?;
    Ok(change)
}

/// Removes a draft, unless it has been committed.
pub(super) async fn abandon(directory: &Directory, change: &Change) -> Result<(), Error> {
    let mut transaction = Transaction::new();
    let condition = Condition::expression(format!("{STEP} = :draft OR {STEP} = :abandoned"))
        .with(":draft", Step::Draft.as_str());
    transaction.update(
        change.key(&directory.keys),
        format!("SET {STEP} = :abandoned"),
        vec![(":abandoned", string(Step::Abandoned.as_str()))],
        condition,
        Guard::StillPending,
    );
    if let Err(failed) = transaction.send(&directory.table).await?
        && failed.iter().any(|condition| condition.item.is_some())
    {
        // It has been committed.
        return Ok(());
    }
    // A draft that another request has removed may still have chunks, if its writer has a slow clock or was suspended:
    // the writer wrote them since.
    let chunks = directory.table.query_all(KeyRange::all(&directory.keys.chunks(change.id.as_str()))).await?;
    let deletions = chunks
        .iter()
        .map(|chunk| delete_request(&chunk_key(&directory.keys, change, chunk)?))
        .collect::<Result<_, _>>()?;
    directory.table.write_all(deletions).await?;
    remove(directory, change).await
}

/// Applies every chunk of a committed change, and clears the intent of the group.
pub(super) async fn finish_members(directory: &Directory, change: &Change) -> Result<(), Error> {
    let partition = directory.keys.chunks(change.id.as_str());
    loop {
        let page = directory.table.query(KeyRange::all(&partition)).await?;
        let work: Vec<_> = page.items.iter().map(|chunk| apply_chunk(directory, change, chunk)).collect();
        stream::iter(work).buffer_unordered(CONCURRENCY).try_collect::<Vec<()>>().await?;
        if page.next.is_none() {
            break;
        }
    }
    let mut transaction = Transaction::new();
    clear_intent(&directory.keys, &mut transaction, &change.subject, change.id.as_str());
    transaction.delete(change.key(&directory.keys), None, Guard::Unconditional);
    // The condition fails if another request finished the change first, or if the group does not name the change.
    if transaction.send(&directory.table).await?.is_err() {
        remove(directory, change).await?;
    }
    Ok(())
}

/// Adds the action that removes the intent from the group, on condition that the group still has it.
pub(super) fn clear_intent(keys: &Keys, transaction: &mut Transaction<Guard>, group: &Id, change: &str) {
    transaction.update(
        keys.resource(ResourceKind::Group, group.as_str()),
        format!("SET {} = :change REMOVE {}", name::FINISHED, name::INTENT),
        vec![],
        Condition::expression(format!("{} = :change", name::INTENT)).with(":change", change),
        Guard::StillPending,
    );
}

/// Applies one chunk, unless another request has applied it.
async fn apply_chunk(directory: &Directory, change: &Change, chunk: &Item) -> Result<(), Error> {
    let Directory { table, keys, .. } = directory;
    let key = chunk_key(keys, change, chunk)?;
    let mut difference = chunk_from_item(chunk)?;
    let mut bumps_version = false;
    loop {
        let mut transaction = Transaction::new();
        transaction.delete(key.clone(), Condition::exists(), Guard::StillPending);
        transaction.append(edge_actions(keys, &change.subject, &difference, IfSatisfied::Rewrite));
        if bumps_version {
            let group = keys.resource(ResourceKind::Group, change.subject.as_str());
            let values = bump_version_values(table, &table.entropy.version()?)?;
            let expression = bump_version_expression();
            transaction.update(group, expression, values, Condition::exists(), Guard::Resource);
        }
        let Err(failed) = transaction.send(table).await? else { return Ok(()) };
        if failed.iter().any(|condition| condition.guard == Guard::StillPending) {
            return Ok(());
        }
        // A member was deleted after the change was committed. The result is that of a deletion after the whole change,
        // which gives the group another version. If a restore lost the group, only the edges are written.
        bumps_version = !lost_race(&change.subject, &failed);
        let mut index = 0;
        difference.add.retain(|_| {
            index += 1;
            !failed.iter().any(|condition| condition.guard == Guard::MemberExists(index - 1))
        });
    }
}

fn chunk_key(keys: &Keys, change: &Change, chunk: &Item) -> Result<Key, Error> {
    Ok(keys.chunks(change.id.as_str()).key(sort_key(chunk)?))
}

/// Divides the difference into chunks, each of which fits into a transaction together with its own deletion.
fn chunks(difference: &Difference) -> Vec<Difference> {
    let add =
        difference.add.chunks(CHUNK_ACTIONS / 3).map(|add| Difference { add: add.to_vec(), remove: vec![] });
    let remove = difference
        .remove
        .chunks(CHUNK_ACTIONS / 2)
        .map(|remove| Difference { add: vec![], remove: remove.to_vec() });
    add.chain(remove).collect()
}

fn chunk_to_item(chunk: &Difference) -> Item {
    let ids = |ids: Vec<&Id>| AttributeValue::L(ids.into_iter().map(|id| string(id.as_str())).collect());
    let of = |kind| chunk.add.iter().filter(|edge| edge.kind == kind).map(|edge| &edge.member).collect();
    Item::from([
        (USERS.to_owned(), ids(of(ResourceKind::User))),
        (GROUPS.to_owned(), ids(of(ResourceKind::Group))),
        (REMOVED.to_owned(), ids(chunk.remove.iter().collect())),
    ])
}

fn chunk_from_item(item: &Item) -> Result<Difference, Error> {
    let damaged = || Error::Internal("a chunk of a pending change cannot be read".to_owned());
    let ids = |name: &str| {
        let list = item.get(name).and_then(|value| value.as_l().ok()).ok_or_else(damaged)?;
        list.iter()
            .map(|id| id.as_s().ok().and_then(|id| Id::parse(id)).ok_or_else(damaged))
            .collect::<Result<Vec<Id>, Error>>()
    };
    let edges = |name, kind| ids(name).map(|ids| ids.into_iter().map(move |member| Edge { member, kind }));
    Ok(Difference {
        add: edges(USERS, ResourceKind::User)?.chain(edges(GROUPS, ResourceKind::Group)?).collect(),
        remove: ids(REMOVED)?,
    })
}
