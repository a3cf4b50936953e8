//! The repairs of `scimctl doctor --repair`.
//!
//! The document of a resource decides about its index entries, the edge of a group about a membership, and the resources
//! about the counts. A reverse edge without an edge is deleted, because the repair must not give a user more groups than
//! the group has members.

use aws_sdk_dynamodb::types::AttributeValue;
use scim::{ResourceKind, id::Id};

use super::finding::{Read, Repair, noun};
use crate::{
    Error,
    event::Subject,
    store::{
        directory::Directory,
        edges::{Difference, Edge, IfSatisfied, edge_actions},
        items::{Item, name, optional_event_id, string},
        keys::stored_kind,
        outbox::put_events,
        resources::{bump_version_expression, bump_version_values},
        stamps::{event_id, is_later},
        transaction::{Condition, Transaction},
        write::Guard,
    },
};

/// Carries a repair out. Returns the change as a sentence, or `None` if the items have changed since the check.
pub(super) async fn carry_out(directory: &Directory, repair: Repair) -> Result<Option<String>, Error> {
    let keys = &directory.keys;
    let mut transaction = Transaction::new();
    let done = match repair {
        Repair::PutEntry { attribute, entry, resource, wrong } => {
            check(directory, &mut transaction, &resource);
            let condition = match &wrong {
                Some(owner) => Condition::expression(format!("{} = :owner", name::ID)).with(":owner", owner),
                None => Condition::absent(),
            };
            let item = Item::from([(name::ID.to_owned(), string(&resource.id))]);
            transaction.put(entry, item, condition, Guard::Unconditional);
            format!("put the {attribute} entry of {} {}", stored_kind(resource.kind), resource.id)
        }
        Repair::DeleteEntry { attribute, entry, resource } => {
            check(directory, &mut transaction, &resource);
            let unchanged =
                Condition::expression(format!("{} = :owner", name::ID)).with(":owner", &resource.id);
            transaction.delete(entry, unchanged, Guard::Unconditional);
            format!(
                "deleted an entry of {attribute} that {} {} does not have",
                stored_kind(resource.kind),
                resource.id
            )
        }
        Repair::DeleteEdge { group, member, group_exists } => {
            transaction.delete(keys.edge(&group, &member), Condition::exists(), Guard::Unconditional);
            transaction.delete(keys.reverse_edge(&member, &group), None, Guard::Unconditional);
            if group_exists {
                let (Some(group), Some(left)) = (Id::parse(&group), Id::parse(&member)) else {
                    return Ok(None);
                };
                let remove = Difference { add: Vec::new(), remove: vec![left] };
                bump(directory, &mut transaction, &group, &remove).await?;
                for kind in ResourceKind::ALL {
                    let absent = Condition::absent();
                    transaction.check(keys.resource(kind, &member), absent, Guard::Unconditional);
                }
            } else {
                let key = keys.resource(ResourceKind::Group, &group);
                transaction.check(key, Condition::absent(), Guard::Unconditional);
            }
            format!("removed member {member} from group {group}")
        }
        Repair::PutEdge { group, member, kind } => {
            let (Some(group), Some(member)) = (Id::parse(&group), Id::parse(&member)) else {
                return Ok(None);
            };
            let text = format!("put both edges of member {member} and group {group}");
            let add = Difference { add: vec![Edge { member, kind }], remove: Vec::new() };
            transaction.append(edge_actions(keys, &group, &add, IfSatisfied::Rewrite, None));
            bump(directory, &mut transaction, &group, &add).await?;
            text
        }
        Repair::DeleteReverse { group, member } => {
            transaction.check(keys.edge(&group, &member), Condition::absent(), Guard::Unconditional);
            transaction.delete(keys.reverse_edge(&member, &group), Condition::exists(), Guard::Unconditional);
            format!("deleted the reverse edge of member {member} and group {group}")
        }
        Repair::SetCount { count, attribute, old, new } => {
            let condition = match old {
                Some(old) => Condition::expression(format!("{attribute} = :old")).with_value(":old", old),
                None => Condition::expression(format!("attribute_not_exists({attribute})")),
            };
            let text = format!("set {} {} to {new}", noun(attribute), count.sk);
            let values = vec![(":new", AttributeValue::N(new.to_string()))];
            let expression = format!("SET {attribute} = :new");
            transaction.update(count, expression, values, condition, Guard::Unconditional);
            text
        }
    };
    Ok(transaction.send(&directory.table).await?.is_ok().then_some(done))
}

/// Adds the check that the resource is as it was read.
fn check(directory: &Directory, transaction: &mut Transaction<Guard>, resource: &Read) {
    let condition = match &resource.version {
        Some(version) => {
            Condition::expression(format!("{} = :version", name::VERSION)).with(":version", version)
        }
        None => Condition::absent(),
    };
    let key = directory.keys.resource(resource.kind, &resource.id);
    transaction.check(key, condition, Guard::Resource);
}

/// Adds the update that gives a group another version, because its members change, and the events of this.
async fn bump(
    directory: &Directory,
    transaction: &mut Transaction<Guard>,
    group: &Id,
    difference: &Difference,
) -> Result<(), Error> {
    let table = &directory.table;
    let key = directory.keys.resource(ResourceKind::Group, group.as_str());
    let item = table.get(&key).await?.unwrap_or_default();
    let version = table.entropy.version()?;
    let event = event_id(directory, optional_event_id(&item, name::STAMP)?.as_ref(), &version);
    let values = bump_version_values(table, &version, &event)?;
    let exists = is_later(Condition::exists(), &event);
    transaction.update(key, bump_version_expression(), values, exists, Guard::OfGroup);
    let group = Subject::unread(ResourceKind::Group, group);
    put_events(directory, transaction, &event, difference.changes(&group))
}
