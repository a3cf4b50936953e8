//! Guards: the meaning of each condition of a write, and the errors for those that failed.

use scim::{Invalid, ResourceKind, ScimType, id::Id};

use super::{
    items::{Item, name, text},
    transaction::FailedCondition,
};
use crate::Error;

/// The state that a condition of a write requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// The resource exists, has not changed since it was read, and, as a group, has no unfinished change.
    Resource,
    /// No other resource has this value of a unique attribute.
    Unique(&'static str),
    /// The resource that this index of the difference adds as a member exists.
    MemberExists(usize),
    /// The member that this index of the difference adds is not a member yet.
    NotYetMember(usize),
    /// The member that this index of the difference removes is still a member.
    StillMember(usize),
    /// A group that the resource leaves exists.
    OfGroup,
    /// A membership that already matched the request still does.
    StillAsRequested,
    /// The pending change, or the part of it, has not been completed by another request.
    StillPending,
    /// The action has no condition.
    Unconditional,
}

/// Returns the error for a resource that does not exist or belongs to another organisation. The answer does not tell the
/// two apart.
pub(super) fn not_found(kind: ResourceKind) -> Error {
    let name = kind.as_str();
    Error::NotFound(format!("There is no {name} with this id. Search for it with a filter, or create it."))
}

/// Returns the error for the first unique attribute whose value another resource has.
pub(super) fn taken(kind: ResourceKind, failed: &[FailedCondition<Guard>]) -> Option<Error> {
    failed.iter().find_map(|condition| match condition.guard {
        Guard::Unique(attribute) => Some(Error::Invalid(Invalid::new(
            ScimType::Uniqueness,
            format!("Another {} already has this {attribute}. Use another value.", kind.as_str()),
        ))),
        _ => None,
    })
}

/// Returns whether another writer was faster: the resource changed, or has by now the unique value that this write
/// gives it.
pub(super) fn lost_race(id: &Id, failed: &[FailedCondition<Guard>]) -> bool {
    let is_own = |item: &Item| text(item, name::ID).is_ok_and(|owner| owner == id.as_str());
    failed.iter().any(|condition| match condition.guard {
        Guard::Resource => true,
        Guard::Unique(_) => condition.item.as_ref().is_some_and(is_own),
        _ => false,
    })
}
