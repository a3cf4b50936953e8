//! Plans: from a filter to the cheapest reads that find every resource it can match. Pure.
//!
//! A plan may find more than the filter matches, never less: the whole filter is evaluated on what was read, unless the
//! plan says that it is exact. So planning never changes an answer, only its cost.

use scim::filter::{Operand, Operator, Predicate};
use time::OffsetDateTime;

use super::{
    index::{Indexed, indexed},
    keys::{self, Kind},
};

/// Where the resources a filter can match are found.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Access<'a> {
    /// By these keys, one after the other.
    Lookups(Vec<Lookup<'a>>),
    /// The index entries from one sort key to another, both included.
    Entries {
        /// The index.
        indexed: &'static Indexed,
        /// The ends.
        between: (String, String),
    },
    /// Users: those who are members of this group.
    MembersOf(&'a str),
    /// Those created between these times, in milliseconds since 1970, both included.
    Created(u64, u64),
    /// All of them.
    Partition,
}

/// A key that leads to few resources.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Lookup<'a> {
    /// The resource of this id.
    Id(&'a str),
    /// The resources with this index entry; the value is folded unless the attribute is caseExact.
    Entry(&'static Indexed, &'a str),
    /// Groups: those this resource is a member of.
    GroupsOf(&'a str),
}

/// How to find what a filter matches.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan<'a> {
    pub(super) access: Access<'a>,
    /// Whether what is found is what matches, so that the filter need not be evaluated.
    pub(super) exact: bool,
}

/// Later than any resource.
const FOREVER: u64 = (1 << 48) - 1;

impl Access<'_> {
    /// Cheapest first.
    fn rank(&self) -> usize {
        match self {
            Self::Lookups(lookups) => lookups.len(),
            Self::Entries { .. } => 1_000,
            Self::MembersOf(_) => 1_001,
            Self::Created(..) => 1_002,
            Self::Partition => 1_003,
        }
    }
}

/// The plan of a filter.
pub(super) fn plan(kind: Kind, filter: &Predicate) -> Plan<'_> {
    let access = access(kind, filter);
    let exact = match (&access, filter) {
        // An edge is a membership, and an entry of a single-valued attribute is its value.
        (Access::MembersOf(_), Predicate::Compare { .. }) => true,
        (Access::Entries { indexed, .. }, Predicate::Compare { operator, .. }) => {
            indexed.single_valued && *operator == Operator::Sw
        }
        _ => false,
    };
    Plan { access, exact }
}

fn access(kind: Kind, filter: &Predicate) -> Access<'_> {
    match filter {
        Predicate::And(parts) => cheapest(parts.iter().map(|part| access(kind, part))),
        Predicate::Or(parts) => union(parts.iter().map(|part| access(kind, part))),
        Predicate::Compare { place, sub, operator, operand } if place.extension.is_none() => {
            comparison(kind, &place.name, sub.map_or("value", |sub| sub.name), *operator, operand)
        }
        Predicate::ValuePath { place, filter } if place.extension.is_none() => {
            element(kind, &place.name, filter)
        }
        _ => Access::Partition,
    }
}

/// The access of what is between the brackets of `attribute[…]`.
fn element<'a>(kind: Kind, attribute: &str, filter: &'a Predicate) -> Access<'a> {
    match filter {
        Predicate::And(parts) => cheapest(parts.iter().map(|part| element(kind, attribute, part))),
        Predicate::Or(parts) => union(parts.iter().map(|part| element(kind, attribute, part))),
        Predicate::Compare { place, operator, operand, .. } => {
            comparison(kind, attribute, &place.name, *operator, operand)
        }
        _ => Access::Partition,
    }
}

/// Any one part will do: all of them have to hold.
fn cheapest<'a>(parts: impl Iterator<Item = Access<'a>>) -> Access<'a> {
    parts.min_by_key(Access::rank).unwrap_or(Access::Partition)
}

/// Every part is needed, which pays only while all of them are look-ups.
fn union<'a>(parts: impl Iterator<Item = Access<'a>>) -> Access<'a> {
    let mut all = Vec::new();
    for part in parts {
        match part {
            Access::Lookups(lookups) => all.extend(lookups),
            _ => return Access::Partition,
        }
    }
    Access::Lookups(all)
}

fn comparison<'a>(
    kind: Kind,
    attribute: &str,
    sub: &str,
    operator: Operator,
    operand: &'a Operand,
) -> Access<'a> {
    match (kind, attribute, sub, operator, operand) {
        (_, "id", _, Operator::Eq, Operand::Text(id)) => Access::Lookups(vec![Lookup::Id(id)]),
        (Kind::Group, "members", "value", Operator::Eq, Operand::Text(id)) => {
            Access::Lookups(vec![Lookup::GroupsOf(id)])
        }
        (Kind::User, "groups", "value", Operator::Eq, Operand::Text(id)) => Access::MembersOf(id),
        (_, "meta", "created", _, Operand::Time(time)) => created(operator, *time),
        (_, _, _, _, Operand::Text(value)) => indexed(kind, attribute)
            .or_else(|| indexed(kind, &format!("{attribute}.{sub}")))
            .map_or(Access::Partition, |indexed| entries(indexed, operator, value)),
        _ => Access::Partition,
    }
}

fn entries<'a>(indexed: &'static Indexed, operator: Operator, value: &'a str) -> Access<'a> {
    let between = match operator {
        Operator::Eq => return Access::Lookups(vec![Lookup::Entry(indexed, value)]),
        Operator::Sw if !value.is_empty() => (value.to_owned(), keys::past_prefix(value)),
        Operator::Gt | Operator::Ge if !value.is_empty() => (value.to_owned(), keys::past_prefix("")),
        Operator::Lt | Operator::Le => (keys::LOWEST.to_owned(), keys::past_entries(value)),
        _ => return Access::Partition,
    };
    // No indexed value holds a control character, which the ends of ranges rely on; DynamoDB takes neither longer keys
    // nor ranges that end before they begin.
    if value.contains(char::is_control)
        || between.0.len().max(between.1.len()) > keys::MAX_KEY
        || between.0 > between.1
    {
        return Access::Partition;
    }
    Access::Entries { indexed, between }
}

/// Ids begin with the time of creation, so a range of times is a range of ids.
fn created<'a>(operator: Operator, time: OffsetDateTime) -> Access<'a> {
    let at = u64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or_default().min(FOREVER);
    match operator {
        Operator::Eq => Access::Created(at, at),
        Operator::Gt | Operator::Ge => Access::Created(at, FOREVER),
        Operator::Lt | Operator::Le => Access::Created(0, at),
        _ => Access::Partition,
    }
}

/// The ids that a filter compares those of `attribute` with, where it asks nothing else of that attribute: whether these
/// are among its values is then all that has to be read of it, however many there are.
pub(super) fn ids_asked_of<'a>(attribute: &str, filter: &'a Predicate) -> Option<Vec<&'a str>> {
    let mut ids = Vec::new();
    only_ids(attribute, filter, &mut ids).then_some(ids)
}

fn only_ids<'a>(attribute: &str, filter: &'a Predicate, ids: &mut Vec<&'a str>) -> bool {
    match filter {
        Predicate::And(parts) | Predicate::Or(parts) => {
            parts.iter().all(|part| only_ids(attribute, part, ids))
        }
        Predicate::Not(filter) => only_ids(attribute, filter, ids),
        _ if !filter.mentions(attribute) => true,
        Predicate::Compare {
            sub, operator: Operator::Eq | Operator::Ne, operand: Operand::Text(id), ..
        } if sub.is_none_or(|sub| sub.name == "value") => {
            ids.push(id);
            true
        }
        Predicate::ValuePath { filter, .. } => match filter.as_ref() {
            Predicate::Compare { place, operator: Operator::Eq, operand: Operand::Text(id), .. }
                if place.name == "value" =>
            {
                ids.push(id);
                true
            }
            _ => false,
        },
        _ => false,
    }
}
