//! Plans: from a filter to the cheapest reads that find every resource it can match. Pure.
//!
//! The whole filter is evaluated on whatever was read, so planning never changes an answer, only its cost.

use scim::filter::{Operand, Operator, Predicate};

use super::{
    index::{Indexed, indexed},
    keys::Kind,
};

/// Where the resources a filter can match are found.
#[derive(Clone, Copy)]
pub(super) enum Access<'a> {
    /// The resource of this id.
    Id(&'a str),
    /// The resources with this index entry; the value is folded unless the attribute is caseExact.
    Index { indexed: &'static Indexed, value: &'a str },
    /// Groups: those this resource is a member of.
    GroupsOf(&'a str),
    /// Users: those who are members of this group.
    MembersOf(&'a str),
    /// All of them.
    Partition,
}

impl Access<'_> {
    /// Cheapest first.
    const fn rank(self) -> u8 {
        match self {
            Self::Id(_) => 0,
            Self::Index { .. } => 1,
            Self::GroupsOf(_) => 2,
            Self::MembersOf(_) => 3,
            Self::Partition => 4,
        }
    }
}

/// How to find what the filter can match.
pub(super) fn plan(kind: Kind, filter: &Predicate) -> Access<'_> {
    match filter {
        Predicate::And(parts) => parts
            .iter()
            .map(|part| plan(kind, part))
            .min_by_key(|access| access.rank())
            .unwrap_or(Access::Partition),
        Predicate::Compare { place, sub, operator: Operator::Eq, operand: Operand::Text(value) }
            if place.extension.is_none() =>
        {
            key_lookup(kind, &place.name, sub.map_or("value", |sub| sub.name), value)
        }
        Predicate::ValuePath { place, filter } if place.extension.is_none() => {
            element(kind, &place.name, filter)
        }
        _ => Access::Partition,
    }
}

/// The plan of what is between the brackets of `attribute[…]`.
fn element<'a>(kind: Kind, attribute: &str, filter: &'a Predicate) -> Access<'a> {
    match filter {
        Predicate::And(parts) => parts
            .iter()
            .map(|part| element(kind, attribute, part))
            .min_by_key(|access| access.rank())
            .unwrap_or(Access::Partition),
        Predicate::Compare { place, operator: Operator::Eq, operand: Operand::Text(value), .. } => {
            key_lookup(kind, attribute, &place.name, value)
        }
        _ => Access::Partition,
    }
}

fn key_lookup<'a>(kind: Kind, attribute: &str, sub: &str, value: &'a str) -> Access<'a> {
    match (kind, attribute, sub) {
        (_, "id", _) => Access::Id(value),
        (Kind::Group, "members", "value") => Access::GroupsOf(value),
        (Kind::User, "groups", "value") => Access::MembersOf(value),
        _ => indexed(kind, attribute)
            .or_else(|| indexed(kind, &format!("{attribute}.{sub}")))
            .map_or(Access::Partition, |indexed| Access::Index { indexed, value }),
    }
}
