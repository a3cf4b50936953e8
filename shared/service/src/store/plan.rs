//! Plans: the cheapest reads that find every resource that a filter can match. A plan is made without I/O.
//!
//! A plan may find more resources than the filter matches, but never fewer. The whole filter is evaluated on the
//! resources, unless the plan is exact. Planning therefore changes the cost of an answer and not the answer.

use scim::{
    ResourceKind,
    filter::{Operand, Predicate},
    syntax::Operator,
};
use time::OffsetDateTime;

use super::{
    index::{Indexed, indexed},
    index_keys,
};

/// The reads that find the resources that a filter can match.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Access<'a> {
    /// A union of lookups.
    Lookups(Vec<Lookup<'a>>),
    /// A range of index entries.
    Entries {
        /// The index.
        indexed: &'static Indexed,
        /// The first and the last sort key, both included.
        between: (String, String),
    },
    /// The resources created between two times, both included, in milliseconds since 1970.
    Created(u64, u64),
    /// All resources.
    Partition,
}

/// A key that finds resources.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Lookup<'a> {
    /// The resource with this id.
    Id(&'a str),
    /// The resources with this index entry. The value is folded unless the attribute is caseExact.
    Entry(&'static Indexed, &'a str),
    /// The groups that have the resource with this id as a member.
    GroupsOf(&'a str),
    /// The users that are members of the group with this id. Their number is not limited.
    MembersOf(&'a str),
}

/// The access for a filter.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan<'a> {
    pub(super) access: Access<'a>,
    /// Whether the access finds exactly the matches, so that the filter is not evaluated.
    pub(super) exact: bool,
}

/// The latest time of an id, in milliseconds since 1970.
const MAX_MILLIS: u64 = (1 << 48) - 1;

impl<'a> Access<'a> {
    /// Ranks by cost, cheapest first: lookups, a range of an index, members of a group, a range of time, all resources.
    /// A filter has at most 200 terms, so lookups without members stay below 1,000.
    fn cost(&self) -> usize {
        match self {
            Self::Lookups(lookups) => lookups.iter().map(Lookup::cost).sum(),
            Self::Entries { .. } => 1_000,
            Self::Created(..) => 1_000_000,
            Self::Partition => usize::MAX,
        }
    }

    /// Returns the access for two conditions that must both hold: the cheaper of their accesses. Two ranges of one order
    /// become their intersection.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Created(from, to), Self::Created(begin, end)) => {
                let (from, to) = (from.max(begin), to.min(end));
                if from > to { Self::nothing() } else { Self::Created(from, to) }
            }
            // A multi-valued attribute may have one value in each range, so its ranges are not intersected.
            (Self::Entries { indexed, between }, Self::Entries { indexed: same, between: other })
                if indexed == same && indexed.single_valued =>
            {
                let between = (between.0.max(other.0), between.1.min(other.1));
                if between.0 > between.1 { Self::nothing() } else { Self::Entries { indexed, between } }
            }
            (this, other) => {
                if other.cost() < this.cost() {
                    other
                } else {
                    this
                }
            }
        }
    }

    /// Returns the access for two conditions of which one must hold. Only lookups can be combined for less than the cost
    /// of reading all resources.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Lookups(mut lookups), Self::Lookups(others)) => {
                lookups.extend(others);
                Self::Lookups(lookups)
            }
            _ => Self::Partition,
        }
    }

    fn nothing() -> Self {
        Self::Lookups(Vec::new())
    }

    /// Returns the group if the access finds the members of exactly one group.
    pub(super) fn members_of(&self) -> Option<&'a str> {
        match self {
            Self::Lookups(lookups) => match lookups.as_slice() {
                [Lookup::MembersOf(group)] => Some(group),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Lookup<'_> {
    fn cost(&self) -> usize {
        if matches!(self, Self::MembersOf(_)) { 1_001 } else { 1 }
    }
}

/// Plans a filter.
pub(super) fn plan(kind: ResourceKind, filter: &Predicate) -> Plan<'_> {
    let access = access(kind, filter);
    let exact = match (&access, filter) {
        // An edge is a membership, and the entry of a single-valued attribute is its value.
        (Access::Lookups(lookups), filter) => {
            lookups.iter().all(|lookup| matches!(lookup, Lookup::MembersOf(_)))
                && is_any_of_comparisons(filter)
        }
        (Access::Entries { indexed, .. }, Predicate::Compare { operator, .. }) => {
            indexed.single_valued && *operator == Operator::Sw
        }
        _ => false,
    };
    Plan { access, exact }
}

/// Returns whether the filter is a disjunction of comparisons. The resources that their keys find are then the matches.
fn is_any_of_comparisons(filter: &Predicate) -> bool {
    match filter {
        Predicate::Compare { .. } => true,
        Predicate::Or(parts) => parts.iter().all(is_any_of_comparisons),
        _ => false,
    }
}

fn access(kind: ResourceKind, filter: &Predicate) -> Access<'_> {
    match filter {
        Predicate::And(parts) => all_of(parts.iter().map(|part| access(kind, part))),
        Predicate::Or(parts) => any_of(parts.iter().map(|part| access(kind, part))),
        Predicate::Compare { attribute, sub, operator, operand } if attribute.extension.is_none() => {
            comparison(kind, &attribute.name, sub.map_or("value", |sub| sub.name), *operator, operand)
        }
        Predicate::ValuePath { attribute, filter } if attribute.extension.is_none() => {
            element(kind, &attribute.name, filter)
        }
        _ => Access::Partition,
    }
}

/// Returns the access for the filter inside the brackets of `attribute[…]`.
fn element<'a>(kind: ResourceKind, attribute: &str, filter: &'a Predicate) -> Access<'a> {
    match filter {
        Predicate::And(parts) => all_of(parts.iter().map(|part| element(kind, attribute, part))),
        Predicate::Or(parts) => any_of(parts.iter().map(|part| element(kind, attribute, part))),
        Predicate::Compare { attribute: sub, operator, operand, .. } => {
            comparison(kind, attribute, &sub.name, *operator, operand)
        }
        _ => Access::Partition,
    }
}

fn all_of<'a>(parts: impl Iterator<Item = Access<'a>>) -> Access<'a> {
    parts.reduce(Access::and).unwrap_or(Access::Partition)
}

fn any_of<'a>(parts: impl Iterator<Item = Access<'a>>) -> Access<'a> {
    parts.reduce(Access::or).unwrap_or(Access::Partition)
}

fn comparison<'a>(
    kind: ResourceKind,
    attribute: &str,
    sub: &str,
    operator: Operator,
    operand: &'a Operand,
) -> Access<'a> {
    match (kind, attribute, sub, operator, operand) {
        (_, "id", _, Operator::Eq, Operand::Text(id)) => Access::Lookups(vec![Lookup::Id(id)]),
        (ResourceKind::Group, "members", "value", Operator::Eq, Operand::Text(id)) => {
            Access::Lookups(vec![Lookup::GroupsOf(id)])
        }
        (ResourceKind::User, "groups", "value", Operator::Eq, Operand::Text(id)) => {
            Access::Lookups(vec![Lookup::MembersOf(id)])
        }
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
        Operator::Sw if !value.is_empty() => (value.to_owned(), index_keys::past_prefix(value)),
        Operator::Gt | Operator::Ge if !value.is_empty() => (value.to_owned(), index_keys::past_prefix("")),
        Operator::Lt | Operator::Le => (index_keys::LOWEST.to_owned(), index_keys::past_entries(value)),
        _ => return Access::Partition,
    };
    // The ends of ranges contain control characters, which indexed values do not. DynamoDB rejects longer keys, and ranges
    // that end before they begin.
    if value.contains(char::is_control)
        || between.0.len().max(between.1.len()) > index_keys::MAX_KEY
        || between.0 > between.1
    {
        return Access::Partition;
    }
    Access::Entries { indexed, between }
}

/// Returns the access for a comparison with `meta.created`. Ids begin with the time of creation, so a range of times is a
/// range of ids.
fn created<'a>(operator: Operator, time: OffsetDateTime) -> Access<'a> {
    let at = u64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or_default().min(MAX_MILLIS);
    match operator {
        Operator::Eq => Access::Created(at, at),
        Operator::Gt | Operator::Ge => Access::Created(at, MAX_MILLIS),
        Operator::Lt | Operator::Le => Access::Created(0, at),
        _ => Access::Partition,
    }
}

/// The values of a membership attribute that are read to evaluate a filter, in place of all its values.
#[derive(Debug, Default, PartialEq)]
pub(super) struct MembershipNeeds<'a> {
    /// The values with these ids, if they exist.
    pub(super) ids: Vec<&'a str>,
    /// Any one value, if one exists.
    pub(super) any: bool,
}

impl<'a> MembershipNeeds<'a> {
    /// Returns the values that the filter needs. `None` if it needs all values.
    pub(super) fn of(attribute: &str, filter: &'a Predicate) -> Option<Self> {
        let mut needs = Self::default();
        needs.add(attribute, filter).then_some(needs)
    }

    /// Adds the values that a part of the filter needs. Returns `false` if it needs all values.
    fn add(&mut self, attribute: &str, filter: &'a Predicate) -> bool {
        match filter {
            Predicate::And(parts) | Predicate::Or(parts) => {
                parts.iter().all(|part| self.add(attribute, part))
            }
            Predicate::Not(filter) => self.add(attribute, filter),
            _ if !filter.mentions(attribute) => true,
            // All values have the same sub-attributes, so any one of them shows which are present.
            Predicate::Present { .. } | Predicate::Compare { operand: Operand::Null, .. } => {
                self.any = true;
                true
            }
            Predicate::Compare {
                sub,
                operator: Operator::Eq | Operator::Ne,
                operand: Operand::Text(id),
                ..
            } if sub.is_none_or(|sub| sub.name == "value") => {
                self.ids.push(id);
                true
            }
            Predicate::ValuePath { filter, .. } => match filter.as_ref() {
                Predicate::Compare {
                    attribute, operator: Operator::Eq, operand: Operand::Text(id), ..
                } if attribute.name == "value" => {
                    self.ids.push(id);
                    true
                }
                _ => false,
            },
            Predicate::Compare { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use scim::syntax::Filter;

    use super::*;

    fn resolved(kind: ResourceKind, filter: &str) -> Predicate {
        Filter::parse(filter).unwrap().resolve(kind.resource_type()).unwrap()
    }

    /// Describes a plan in one line: its access, and whether it is exact.
    fn described(kind: ResourceKind, filter: &str) -> String {
        let filter = resolved(kind, filter);
        let Plan { access, exact } = plan(kind, &filter);
        let lookup = |lookup: &Lookup<'_>| match lookup {
            Lookup::Id(id) => format!("id {id}"),
            Lookup::Entry(indexed, value) => format!("{} {value}", indexed.name),
            Lookup::GroupsOf(id) => format!("groups of {id}"),
            Lookup::MembersOf(id) => format!("members of {id}"),
        };
        let access = match access {
            Access::Lookups(lookups) if lookups.is_empty() => "nothing".to_owned(),
            Access::Lookups(lookups) => lookups.iter().map(lookup).collect::<Vec<_>>().join(", "),
            Access::Entries { indexed, between: (from, to) } => {
                // The end of a prefix is padded to the length of the longest key.
                let to = match to.trim_end_matches('\u{10ffff}') {
                    short if short.len() < to.len() => format!("{short}…"),
                    whole => whole.to_owned(),
                };
                format!("{} {from:?} to {to:?}", indexed.name)
            }
            Access::Created(from, to) => format!("created {from} to {to}"),
            Access::Partition => "all".to_owned(),
        };
        if exact { access + ", exactly" } else { access }
    }

    #[test]
    fn filter_uses_the_cheapest_access() {
        for (filter, expected) in [
            // One lookup.
            (r#"id eq "1""#, "id 1"),
            (r#"userName eq "Ann""#, "userName ann"),
            (r#"externalId eq "Ann""#, "externalId Ann"),
            (r#"emails eq "a@b""#, "emails.value a@b"),
            (r#"emails.value eq "a@b""#, "emails.value a@b"),
            (r#"emails[type eq "work"].value eq "a@b""#, "emails.value a@b"),
            (r#"emails[type eq "work" and value eq "a@b"]"#, "emails.value a@b"),
            (r#"groups.value eq "g""#, "members of g, exactly"),
            (r#"groups[value eq "g"]"#, "members of g"),
            // The cheapest of several accesses.
            (r#"active eq true and userName eq "ann""#, "userName ann"),
            (r#"userName eq "ann" and groups.value eq "g""#, "userName ann"),
            (r#"groups.value eq "g" and userName eq "ann""#, "userName ann"),
            (r#"groups.value eq "g" and userName sw "a""#, "userName \"a\" to \"a…\""),
            (r#"userName sw "a" and groups.value eq "g""#, "userName \"a\" to \"a…\""),
            (r#"groups.value eq "g" and meta.created ge "1970-01-01T00:00:01Z""#, "members of g"),
            (r#"meta.created ge "1970-01-01T00:00:01Z" and groups.value eq "g""#, "members of g"),
            (r#"(groups.value eq "g" or groups.value eq "h") and groups.value eq "i""#, "members of i"),
            (r#"title pr and meta.created le "1970-01-01T00:00:01Z""#, "created 0 to 1000"),
            // A union of lookups.
            (r#"userName eq "a" or externalId eq "b" or id eq "c""#, "userName a, externalId b, id c"),
            (r#"groups.value eq "g" or groups.value eq "h""#, "members of g, members of h, exactly"),
            (r#"groups.value eq "g" or (groups.value eq "h" and title pr)"#, "members of g, members of h"),
            (r#"userName eq "a" or title pr"#, "all"),
            (r#"userName eq "a" or userName sw "b""#, "all"),
            (r#"emails[value eq "a" or value eq "b"]"#, "emails.value a, emails.value b"),
            // Ranges.
            (r#"userName sw "a""#, "userName \"a\" to \"a…\", exactly"),
            (r#"emails.value sw "a""#, "emails.value \"a\" to \"a…\""),
            (r#"userName gt "a""#, "userName \"a\" to \"…\""),
            (r#"userName le "a""#, "userName \"\\u{2}\" to \"a\\u{2}\""),
            (r#"userName sw """#, "all"),
            (r#"userName gt """#, "all"),
            (r#"userName sw "a\u0001""#, "all"),
            (r#"userName sw "abc" and userName sw "ab""#, "userName \"abc\" to \"abc…\""),
            (r#"userName sw "a" and userName sw "b""#, "nothing"),
            (r#"emails.value sw "a" and emails.value sw "b""#, "emails.value \"a\" to \"a…\""),
            (r#"meta.created eq "1970-01-01T00:00:01.5Z""#, "created 1500 to 1500"),
            (
                r#"meta.created ge "1970-01-01T00:00:01Z" and meta.created le "1970-01-01T00:00:01Z""#,
                "created 1000 to 1000",
            ),
            (r#"meta.created gt "1970-01-01T00:00:01Z""#, "created 1000 to 281474976710655"),
            (
                r#"meta.created ge "1970-01-01T00:00:01Z" and meta.created lt "1970-01-01T00:00:03Z""#,
                "created 1000 to 3000",
            ),
            (
                r#"meta.created gt "1970-01-01T00:00:03Z" and meta.created lt "1970-01-01T00:00:01Z""#,
                "nothing",
            ),
            // No access but the partition.
            (r#"urn:ietf:params:scim:schemas:extension:Acme:2.0:User:userName eq "ann""#, "all"),
            (r#"not (userName eq "ann")"#, "all"),
            (r#"userName ne "ann""#, "all"),
            (r#"userName co "ann""#, "all"),
            (r#"meta.lastModified gt "1970-01-01T00:00:01Z""#, "all"),
            ("groups pr", "all"),
        ] {
            assert_eq!(described(ResourceKind::User, filter), expected, "{filter}");
        }
        // The end of a range is longer than the value.
        for (length, expected) in [(1_024, true), (1_025, false)] {
            let filter = format!("userName sw \"{}\"", "a".repeat(length));
            assert_eq!(described(ResourceKind::User, &filter) != "all", expected, "{length}");
        }
        for (filter, expected) in [
            (r#"displayName eq "Team""#, "displayName team"),
            (r#"members.value eq "u""#, "groups of u"),
            (r#"members[value eq "u"]"#, "groups of u"),
            (r#"members.type eq "User""#, "all"),
        ] {
            assert_eq!(described(ResourceKind::Group, filter), expected, "{filter}");
        }
    }

    /// Describes the members that a filter needs, in one line.
    fn needs(filter: &str) -> String {
        let filter = resolved(ResourceKind::Group, filter);
        match MembershipNeeds::of("members", &filter) {
            Some(needs) => format!("{:?}{}", needs.ids, if needs.any { " and any" } else { "" }),
            None => "all".to_owned(),
        }
    }

    #[test]
    fn group_filter_needs_only_the_members_it_names() {
        for (filter, expected) in [
            (r#"displayName eq "Team""#, "[]"),
            ("members pr", "[] and any"),
            ("members eq null", "[] and any"),
            (r#"members.value eq "u""#, r#"["u"]"#),
            (r#"members eq "u""#, r#"["u"]"#),
            (r#"not (members.value ne "u")"#, r#"["u"]"#),
            (r#"members[value eq "u"]"#, r#"["u"]"#),
            (r#"members.value eq "u" or (members.value eq "v" and members pr)"#, r#"["u", "v"] and any"#),
            (r#"displayName eq "Team" and members.value co "u""#, "all"),
            (r#"members.type eq "User""#, "all"),
            (r#"members[type eq "User"]"#, "all"),
            (r#"members[value co "u"]"#, "all"),
        ] {
            assert_eq!(needs(filter), expected, "{filter}");
        }
    }

    #[test]
    fn access_names_the_group_only_if_there_is_one() {
        let members_of = |filter: &str| {
            let filter = resolved(ResourceKind::User, filter);
            plan(ResourceKind::User, &filter).access.members_of().map(str::to_owned)
        };
        assert_eq!(members_of(r#"groups.value eq "g""#), Some("g".to_owned()));
        assert_eq!(members_of(r#"groups.value eq "g" or groups.value eq "h""#), None);
        assert_eq!(members_of(r#"id eq "g""#), None);
        assert_eq!(members_of("groups pr"), None);
    }
}
