//! The doctor: a consistency check of everything that an organisation stores.
//!
//! It checks these invariants: every resource has exactly the index entries of its document, folded by this release,
//! every edge has its reverse edge, both ends of an edge exist, the counts are the numbers of resources, and no change
//! is left unfinished.
//!
//! The check reads the whole table and writes nothing. It is for operators and tests, not for requests. Writes during
//! the check may appear as findings.

mod items;
mod refold;
mod unfinished;

use std::collections::{BTreeMap, BTreeSet};

use scim::{ResourceKind, id::Id};

use super::{
    directory::Directory,
    index::entries,
    items::{Stored, name, number, sort_key, text},
    key_range::KeyRange,
    keys::{self, Key, kind_from_stored, stored_kind, unfinished_shards},
};
use crate::Error;
use items::Unexplained;
use refold::has_old_entries;
use unfinished::Unfinished;

/// The result of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// The number of users.
    pub users: usize,
    /// The number of groups.
    pub groups: usize,
    /// The number of memberships.
    pub memberships: usize,
    /// The violated invariants, one sentence each.
    pub findings: Vec<String>,
}

impl Report {
    /// Returns whether no invariant is violated.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.findings.is_empty()
    }
}

impl Directory {
    /// Checks the organisation.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn examine(&self) -> Result<Report, Error> {
        let mut left = Unexplained::new(self.table.scan_prefix(&self.keys.prefix()).await?)?;
        let unfinished = Unfinished::take(self, &mut left, listed_changes(self).await?);
        let mut examination = Examination { directory: self, left, report: Report::default() };
        let resources = examination.resources();
        if let Some(groups) = resources.get(&ResourceKind::Group) {
            examination.report.findings.extend(unfinished.findings(groups));
        }
        examination.edges(&resources, unfinished.deleted());
        examination.counts(&resources);
        examination.leftovers();
        Ok(examination.report)
    }
}

/// Returns the keys of the organisation's entries in the list of unfinished changes.
async fn listed_changes(directory: &Directory) -> Result<BTreeSet<Key>, Error> {
    let mut listed = BTreeSet::new();
    for shard in unfinished_shards() {
        let range = KeyRange::between(&shard, directory.keys.unfinished_range());
        for item in directory.table.query_all(range).await? {
            listed.insert(shard.key(sort_key(&item)?));
        }
    }
    Ok(listed)
}

/// The items that the check has not explained yet, by partition and sort key.
struct Examination<'a> {
    directory: &'a Directory,
    left: Unexplained,
    report: Report,
}

impl Examination<'_> {
    fn finding(&mut self, finding: String) {
        self.report.findings.push(finding);
    }

    fn resources(&mut self) -> BTreeMap<ResourceKind, BTreeMap<String, Stored>> {
        let mut all = BTreeMap::new();
        for kind in ResourceKind::ALL {
            let partition = self.directory.keys.resources(kind);
            let mut of_kind = BTreeMap::new();
            for (id, item) in self.left.take_partition(partition.as_str()) {
                match Stored::from_item(&item) {
                    Ok(stored) => {
                        of_kind.insert(id, stored);
                    }
                    Err(_) => self.finding(format!("{} {id} cannot be read", stored_kind(kind))),
                }
            }
            for stored in of_kind.values() {
                self.resource(kind, stored);
            }
            all.insert(kind, of_kind);
        }
        self.report.users = all.get(&ResourceKind::User).map_or(0, BTreeMap::len);
        self.report.groups = all.get(&ResourceKind::Group).map_or(0, BTreeMap::len);
        all
    }

    fn resource(&mut self, kind: ResourceKind, stored: &Stored) {
        if has_old_entries(kind, stored) {
            self.finding(format!("{} {} has index entries of release 0.2", stored_kind(kind), stored.id));
        }
        for entry in entries(kind, stored) {
            let key = self.directory.keys.index(kind, entry.attribute).key(entry.sk);
            let owner = self.left.take(&key).and_then(|item| text(&item, name::ID).ok().map(str::to_owned));
            match owner {
                None => {
                    self.finding(format!(
                        "{} {} has no {} entry",
                        stored_kind(kind),
                        stored.id,
                        entry.attribute
                    ));
                }
                Some(owner) if owner != stored.id.as_str() => {
                    self.finding(format!(
                        "the {} entry of {} {} is {owner}'s",
                        entry.attribute,
                        stored_kind(kind),
                        stored.id
                    ));
                }
                Some(_) => {}
            }
        }
    }

    fn edges(
        &mut self,
        resources: &BTreeMap<ResourceKind, BTreeMap<String, Stored>>,
        deleted: &BTreeSet<Id>,
    ) {
        let exists = |kind: ResourceKind, id: &str| {
            resources.get(&kind).is_some_and(|of_kind| of_kind.contains_key(id))
        };
        let is_deleted = |id: &str| Id::parse(id).is_some_and(|id| deleted.contains(&id));
        let groups: BTreeSet<String> =
            self.partitions("GROUP#").into_iter().filter(|rest| Id::parse(rest).is_some()).collect();
        for group in groups {
            let partition = self.directory.keys.members(&group);
            for (member, item) in self.left.take_partition(partition.as_str()) {
                let kind = text(&item, name::KIND).ok().and_then(kind_from_stored);
                let has_group = exists(ResourceKind::Group, &group);
                let has_member = kind.is_some_and(|kind| exists(kind, &member));
                if !has_group && !is_deleted(&group) {
                    self.finding(format!("the group {group} of member {member} does not exist"));
                }
                if !has_member && !is_deleted(&member) {
                    self.finding(format!("the member {member} of group {group} does not exist"));
                }
                self.report.memberships += usize::from(has_group && has_member);
                if self.left.take(&self.directory.keys.reverse_edge(&member, &group)).is_none() {
                    self.finding(format!("the member {member} of group {group} has no reverse edge"));
                }
            }
        }
        let reverse = self.directory.keys.reverse_edges();
        for sk in self.left.take_partition(reverse.as_str()).into_keys() {
            match keys::member_and_group(&sk) {
                Some((member, group)) => {
                    self.finding(format!(
                        "the reverse edge of member {member} and group {group} has no edge"
                    ));
                }
                None => self.finding("a reverse edge that cannot be read".to_owned()),
            }
        }
    }

    fn counts(&mut self, resources: &BTreeMap<ResourceKind, BTreeMap<String, Stored>>) {
        for kind in ResourceKind::ALL {
            let mut expected: BTreeMap<String, (Key, i64)> = BTreeMap::new();
            for stored in resources.get(&kind).into_iter().flat_map(BTreeMap::values) {
                let key = self.directory.keys.count(kind, &stored.id);
                expected.entry(key.sk.clone()).or_insert((key, 0)).1 += 1;
            }
            for (key, expected) in expected.into_values() {
                let counted =
                    self.left.take(&key).and_then(|item| number(&item, name::COUNT).ok()).unwrap_or_default();
                if counted != expected {
                    self.finding(format!("count {} is {counted}, but {expected} are there", key.sk));
                }
            }
        }
        let counts = self.directory.keys.counts();
        for (shard, item) in self.left.take_partition(counts.as_str()) {
            if number(&item, name::COUNT).ok() != Some(0) {
                self.finding(format!("count {shard} is not 0, but nothing is there"));
            }
        }
    }

    fn leftovers(&mut self) {
        // Bookmarks expire by themselves.
        self.left.take_partition(self.directory.keys.bookmarks().as_str());
        for (pk, items) in self.left.counts().filter(|(_, items)| *items > 0) {
            let partition = pk.strip_prefix(&self.directory.keys.prefix()).unwrap_or(pk);
            // Sort keys of index entries are names of people: the finding states only their number.
            self.report.findings.push(format!("{items} items in {partition} that belong to no resource"));
        }
    }

    /// Returns the rest of each partition key that begins with the prefix.
    fn partitions(&self, prefix: &str) -> Vec<String> {
        let prefix = format!("{}{prefix}", self.directory.keys.prefix());
        self.left.partitions().filter_map(|pk| pk.strip_prefix(&prefix)).map(str::to_owned).collect()
    }
}
