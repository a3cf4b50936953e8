//! The import of users and groups with their ids.

use std::collections::HashMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use scim::{ResourceKind, id::Id};

use super::outcome::{Outcome, Outcomes};
use crate::{
    Error,
    store::{
        directory::Directory,
        items::{Item, Stored, partition_key, sort_key},
        keys::Key,
        resources::told_creation,
        stamps::event_id_of,
        table::CONCURRENCY,
        transaction::FailedCondition,
        write::{Guard, taken},
    },
};

/// A resource and the number of its line.
pub(super) type Numbered = (u64, Box<Stored>);

/// Creates the resources that do not exist yet, each with its index entries and its count in one transaction. A resource
/// that exists already is skipped if it equals the line.
pub(super) async fn create_all(
    directory: &Directory,
    kind: ResourceKind,
    batch: &[Numbered],
) -> Result<Outcomes, Error> {
    let keys: Vec<Key> = batch
        .iter()
        .flat_map(|(_, resource)| {
            ResourceKind::ALL.map(|kind| directory.keys.resource(kind, resource.id.as_str()))
        })
        .collect();
    let mut existing: HashMap<Key, Item> = HashMap::new();
    for item in directory.table.get_all(&keys).await? {
        let key = Key { pk: partition_key(&item)?.to_owned(), sk: sort_key(&item)?.to_owned() };
        existing.insert(key, item);
    }
    let work: Vec<_> =
        batch.iter().map(|(line, resource)| create(directory, kind, *line, resource, &existing)).collect();
    stream::iter(work).buffer_unordered(CONCURRENCY).try_collect().await
}

async fn create(
    directory: &Directory,
    kind: ResourceKind,
    line: u64,
    resource: &Stored,
    existing: &HashMap<Key, Item>,
) -> Result<(u64, Outcome), Error> {
    let id = &resource.id;
    let other = if kind == ResourceKind::User { ResourceKind::Group } else { ResourceKind::User };
    let key = directory.keys.resource(kind, id.as_str());
    let outcome = if existing.contains_key(&directory.keys.resource(other, id.as_str())) {
        Outcome::Refused(format!("{} {id}: A {} has this id.", kind.as_str(), other.as_str()))
    } else if let Some(item) = existing.get(&key) {
        compare(kind, resource, Some(item))
    } else {
        let event = event_id_of(directory, None, id, &resource.version);
        match told_creation(directory, kind, resource, &event)?.send(&directory.table).await? {
            Ok(()) => Outcome::Written,
            Err(failed) if is_there(&failed) => {
                compare(kind, resource, directory.table.get(&key).await?.as_ref())
            }
            Err(failed) => Outcome::Refused(refusal(kind, id, &failed)),
        }
    };
    Ok((line, outcome))
}

/// Returns whether the resource exists. Its unique values are taken then, too.
fn is_there(failed: &[FailedCondition<Guard>]) -> bool {
    failed.iter().any(|condition| condition.guard == Guard::Resource)
}

fn compare(kind: ResourceKind, resource: &Stored, item: Option<&Item>) -> Outcome {
    let is_same = item.and_then(|item| Stored::from_item(item).ok()).is_some_and(|there| {
        (&there.document, &there.version, &there.created, &there.modified)
            == (&resource.document, &resource.version, &resource.created, &resource.modified)
    });
    if is_same {
        return Outcome::Skipped;
    }
    Outcome::Refused(format!(
        "{} {}: It exists already and differs from the line. The stored one is kept.",
        kind.as_str(),
        resource.id
    ))
}

fn refusal(kind: ResourceKind, id: &Id, failed: &[FailedCondition<Guard>]) -> String {
    let name = kind.as_str();
    match taken(kind, failed) {
        Some(error) => format!("{name} {id}: {error}"),
        None => format!("{name} {id}: It cannot be created. Run doctor."),
    }
}
