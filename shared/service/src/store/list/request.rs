//! The types of a list: the request, the start of a page, and resources with their positions in the order.

use scim::{ResourceKind, filter::Predicate, id::Id, projection::Projection, sort::Sort};
use serde_json::{Map, Value};

use crate::{
    Error,
    store::{
        edges::Memberships,
        index::{INDEXED, Indexed},
        index_keys,
        items::{Packed, Stored},
        plan::{Access, Plan, plan},
        representation,
    },
};

/// A request for the resources of one kind.
pub struct ListRequest<'a> {
    /// The kind of the resources.
    pub kind: ResourceKind,
    /// The filter, if there is one.
    pub filter: Option<Predicate>,
    /// The order. Without one, resources are in the order of creation.
    pub sort: Option<Sort>,
    /// The attributes that the answer contains.
    pub projection: Projection,
    /// The base URL of the answer.
    pub base: &'a str,
}

/// The start of a page by index: a position, and the number of resources to skip after it.
#[derive(Default)]
pub(in crate::store) struct Start {
    pub(in crate::store) after: Option<String>,
    pub(in crate::store) skip: u64,
}

/// A resource of a page, with the memberships that the answer shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The kind of the resource.
    pub kind: ResourceKind,
    /// The resource.
    pub stored: Packed,
    /// Its memberships, unless the answer shows none.
    pub memberships: Memberships,
}

/// The resources of one kind on a page.
#[derive(Default)]
pub(in crate::store) struct ListPart {
    /// The resources.
    pub(in crate::store) resources: Vec<Listed>,
    /// The position before the first resource, if resources were skipped to reach it.
    pub(in crate::store) before: Option<String>,
    /// The position after which the next page begins.
    pub(in crate::store) last: Option<String>,
    /// Whether another page may follow.
    pub(in crate::store) more: bool,
    /// The number of skipped resources.
    pub(in crate::store) skipped: u64,
    /// The number of matches, if it was determined.
    pub(in crate::store) total: Option<u64>,
}

/// A resource and its position in the order.
pub(super) struct ResourceRef {
    pub(super) position: String,
    pub(super) id: Id,
    /// The resource itself. `None` if it is yet to be read. In a box, because a collection may have 100,000 references.
    pub(super) stored: Option<Box<Packed>>,
    /// Its memberships, if they were read together with it.
    pub(super) memberships: Option<Box<Memberships>>,
}

impl ListRequest<'_> {
    /// Returns the plan of the filter.
    pub(super) fn plan(&self) -> Plan<'_> {
        let everything = Plan { access: Access::Partition, exact: true };
        self.filter.as_ref().map_or(everything, |filter| plan(self.kind, filter))
    }

    /// Returns whether a page may read all resources: the filter or the order has no index.
    pub(super) fn is_expensive(&self, plan: &Plan<'_>) -> bool {
        let is_ordered = self.is_in_order_of_creation() || self.index_of_order().is_some();
        plan.access == Access::Partition && (self.filter.is_some() || !is_ordered)
    }

    /// Renders a resource as a filter sees it.
    pub(super) fn render(&self, stored: &Stored, memberships: &Memberships) -> Map<String, Value> {
        representation::render(self.kind, stored, memberships, self.base)
    }

    /// Returns the resource and its position, which is the sort key of a walk in the same order if there is one.
    pub(super) fn positioned(&self, stored: Packed) -> Result<ResourceRef, Error> {
        let position = match (&self.sort, self.index_of_order()) {
            (_, Some(index)) => index.sort_key(&stored.unpack()?),
            (Some(sort), None) if !sort.is_creation() => {
                let key = sort.key(&self.render(&stored.unpack()?, &Memberships::None));
                Some(index_keys::index_entry(&key, false, &stored.id))
            }
            _ => None,
        };
        let position = position.unwrap_or_else(|| stored.id.to_string());
        let id = stored.id.clone();
        Ok(ResourceRef { position, id, stored: Some(Box::new(stored)), memberships: None })
    }

    /// Returns whether the order is descending.
    pub(super) fn is_descending(&self) -> bool {
        self.sort.as_ref().is_some_and(|sort| sort.descending)
    }

    /// Returns whether the order is the order of creation, ascending or descending.
    pub(in crate::store) fn is_in_order_of_creation(&self) -> bool {
        self.sort.as_ref().is_none_or(Sort::is_creation)
    }

    /// Returns the index that is in the requested order. Only an index with exactly one entry for each resource
    /// qualifies.
    pub(super) fn index_of_order(&self) -> Option<&'static Indexed> {
        let attribute = self.sort.as_ref()?.attribute()?;
        INDEXED
            .iter()
            .find(|indexed| (indexed.kind, indexed.name) == (self.kind, attribute) && indexed.unique)
    }
}

impl ResourceRef {
    /// Refers to a resource that is yet to be read.
    pub(super) fn unread(position: String, id: Id) -> Self {
        Self { position, id, stored: None, memberships: None }
    }

    /// Drops the resource and keeps its position. The documents of a large collection would not fit into memory.
    pub(super) fn forget(&mut self) {
        self.stored = None;
    }
}
