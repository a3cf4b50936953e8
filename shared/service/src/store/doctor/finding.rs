//! Findings, and the repairs of those that have one.

use aws_sdk_dynamodb::types::AttributeValue;
use scim::ResourceKind;

use crate::store::{items::name, keys::Key};

/// A violated invariant.
pub(super) struct Finding {
    /// A sentence for the operator, without personal data.
    pub(super) text: String,
    /// The repairs. None if a person must decide, if another finding has them, or if `--finish` removes the finding.
    pub(super) repairs: Vec<Repair>,
}

/// Returns the words for an attribute of a count.
pub(super) fn noun(attribute: &str) -> &'static str {
    if attribute == name::INACTIVE { "count of inactive users" } else { "count" }
}

/// A resource as the check has read it.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) kind: ResourceKind,
    pub(super) id: String,
    /// The version, or `None` if the resource does not exist.
    pub(super) version: Option<String>,
}

/// A change that removes a finding. Each is one transaction, on condition that the items are as the check has read them.
#[derive(Debug, Clone)]
pub(super) enum Repair {
    /// Puts an index entry of a resource. `wrong` is the resource that the entry names without a reason.
    PutEntry { attribute: &'static str, entry: Key, resource: Read, wrong: Option<String> },
    /// Deletes an index entry that its resource does not have.
    DeleteEntry { attribute: &'static str, entry: Key, resource: Read },
    /// Deletes both edges of a membership, an end of which does not exist.
    DeleteEdge { group: String, member: String, group_exists: bool },
    /// Puts both edges of a membership whose ends exist.
    PutEdge { group: String, member: String, kind: ResourceKind },
    /// Deletes a reverse edge without an edge.
    DeleteReverse { group: String, member: String },
    /// Sets an attribute of a count that was read as `old`.
    SetCount { count: Key, attribute: &'static str, old: Option<AttributeValue>, new: i64 },
}
