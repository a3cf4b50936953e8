//! Adding and removing named members without reading the group.
//!
//! The cost is the same for every size of group, and concurrent writers of different members do not undo each other. The
//! transaction checks that each new member exists, and its conditions say whether any membership changes.

use std::collections::BTreeSet;

use scim::{
    ResourceKind,
    id::Id,
    members::{self, MemberEdit, MemberOperation},
};

use super::{
    changes::finish_intent,
    directory::Directory,
    edges::{Difference, Edge, IfSatisfied, edge_actions, parse_members, unknown_member},
    items::{name, optional_text},
    keys::Keys,
    resources::{bump_version_expression, bump_version_values, read},
    table::Backoff,
    transaction::{Condition, FailedCondition, MAX_ACTIONS, Transaction},
    write::{Guard, not_found},
};
use crate::Error;

/// Returns the members that the operations name. Returns `None` if the operations depend on the current members, or do
/// not fit into one transaction.
pub(super) fn named_members(operations: &[MemberOperation]) -> Result<Option<Difference>, Error> {
    let Some(MemberEdit { clear: false, add, remove }) = members::combine(operations) else {
        return Ok(None);
    };
    // A member without a type is taken for a user, until that proves wrong: identity providers send users, without
    // their type.
    let add = parse_members(&add)?
        .into_iter()
        .map(|(id, kind)| Edge { member: id, kind: kind.unwrap_or(ResourceKind::User) });
    let requested =
        Difference { add: add.collect(), remove: remove.iter().filter_map(|id| Id::parse(id)).collect() };
    Ok((requested.actions() < MAX_ACTIONS).then_some(requested))
}

/// Adds and removes members in one transaction, without reading. Returns the group's new version, or `None` if the
/// members were as requested already.
pub(super) async fn edit_members(
    directory: &Directory,
    id: &Id,
    requested: Difference,
) -> Result<Option<String>, Error> {
    let Directory { table, keys, .. } = directory;
    let mut difference = requested.clone();
    let mut backoff = Backoff::new(table);
    loop {
        if difference.is_empty() {
            read(directory, ResourceKind::Group, id).await?;
            return Ok(None);
        }
        let version = table.entropy.version()?;
        let mut transaction = Transaction::new();
        transaction.update(
            keys.resource(ResourceKind::Group, id.as_str()),
            bump_version_expression(),
            bump_version_values(table, &version)?,
            Condition::expression(format!(
                "attribute_exists({}) AND attribute_not_exists({})",
                name::VERSION,
                name::INTENT
            )),
            Guard::Resource,
        );
        transaction.append(edge_actions(keys, id, &difference, IfSatisfied::Fail));
        check_still_as_requested(keys, &mut transaction, id, &requested, &difference);
        let Err(failed) = transaction.send(table).await? else {
            return Ok(Some(version));
        };
        if let Some(group) = failed.iter().find(|condition| condition.guard == Guard::Resource) {
            let group = group.item.as_ref().ok_or_else(|| not_found(ResourceKind::Group))?;
            let intent = optional_text(group, name::INTENT)?.ok_or_else(|| not_found(ResourceKind::Group))?;
            finish_intent(directory, id, intent).await?;
            backoff.wait().await?;
        } else if failed.iter().any(|condition| condition.guard == Guard::StillAsRequested) {
            difference.clone_from(&requested);
            backoff.wait().await?;
        } else {
            drop_satisfied(directory, &mut difference, &failed).await?;
        }
    }
}

/// Checks that the memberships that already matched the request still do. The request thus takes effect at one time, and
/// not partly earlier and partly later.
fn check_still_as_requested(
    keys: &Keys,
    transaction: &mut Transaction<Guard>,
    group: &Id,
    requested: &Difference,
    difference: &Difference,
) {
    let added: BTreeSet<&Id> = difference.add.iter().map(|edge| &edge.member).collect();
    let removed: BTreeSet<&Id> = difference.remove.iter().collect();
    let members = requested.add.iter().map(|edge| &edge.member).filter(|member| !added.contains(member));
    let others = requested.remove.iter().filter(|member| !removed.contains(member));
    let conditions =
        members.map(|id| (id, Condition::exists())).chain(others.map(|id| (id, Condition::absent())));
    for (member, condition) in conditions {
        let edge = keys.edge(group.as_str(), member.as_str());
        transaction.check(edge, condition, Guard::StillAsRequested);
    }
}

/// Removes from the difference the memberships that are as requested, and corrects the kind of members that are groups.
///
/// # Errors
/// `invalidValue` if a member to be added does not exist.
async fn drop_satisfied(
    directory: &Directory,
    difference: &mut Difference,
    failed: &[FailedCondition<Guard>],
) -> Result<(), Error> {
    let has_failed = |guard: Guard| failed.iter().any(|condition| condition.guard == guard);
    let mut add = Vec::new();
    for (index, edge) in std::mem::take(&mut difference.add).into_iter().enumerate() {
        let is_member = has_failed(Guard::NotYetMember(index));
        if !has_failed(Guard::MemberExists(index)) {
            add.extend((!is_member).then_some(edge));
            continue;
        }
        let group =
            directory.table.get(&directory.keys.resource(ResourceKind::Group, edge.member.as_str())).await?;
        if edge.kind == ResourceKind::Group || group.is_none() {
            return Err(unknown_member(edge.member.as_str()));
        }
        add.extend((!is_member).then_some(Edge { kind: ResourceKind::Group, ..edge }));
    }
    difference.add = add;
    let remove = std::mem::take(&mut difference.remove).into_iter().enumerate();
    difference.remove =
        remove.filter(|(index, _)| !has_failed(Guard::StillMember(*index))).map(|(_, id)| id).collect();
    Ok(())
}
