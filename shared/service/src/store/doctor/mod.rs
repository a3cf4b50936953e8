//! The doctor: a consistency check of everything that an organisation stores.
//!
//! It checks these invariants: every resource has exactly the index entries of its document, folded by this release,
//! every edge has its reverse edge, both ends of an edge exist, the counts are the numbers of resources and of inactive
//! users, and no change is left unfinished.
//!
//! The check reads the whole table and writes nothing. It is for operators and tests, not for requests. Writes during
//! the check may appear as findings.

mod finding;
mod items;
mod refold;
mod repair;
mod unfinished;

use std::collections::{BTreeMap, BTreeSet};

use scim::{ResourceKind, id::Id};

use super::{
    counts::is_inactive,
    directory::Directory,
    index::{Entry, INDEXED, Indexed, entries},
    items::{Item, Stored, name, optional_number, sort_key, text},
    key_range::KeyRange,
    keys::{self, Key, kind_from_stored, stored_kind, unfinished_shards},
};
use crate::Error;
use finding::{Finding, Read, Repair, noun};
use items::Unexplained;
use refold::has_old_entries;
use repair::carry_out;
use unfinished::Unfinished;

/// The number of times that the check is repeated after repairs: a repair may uncover another finding.
const MOST_ROUNDS: usize = 3;

/// The resources of each kind, by id.
type Resources = BTreeMap<ResourceKind, BTreeMap<String, Stored>>;

/// The attributes of a count.
const COUNTED: [&str; 2] = [name::COUNT, name::INACTIVE];

/// The numbers that a count must have, in the order of [`COUNTED`].
type Expected = [i64; 2];

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
        let (report, findings) = examine(self).await?;
        Ok(Report { findings: findings.into_iter().map(|finding| finding.text).collect(), ..report })
    }

    /// Repairs the index entries, memberships and counts that the check finds inconsistent. Unfinished changes and index
    /// entries of release 0.2 are to be finished before. Returns the changes, one sentence each.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`] if DynamoDB does not answer. Repairs until then stay.
    pub async fn repair(&self) -> Result<Vec<String>, Error> {
        let mut changes = Vec::new();
        for _ in 0..MOST_ROUNDS {
            let before = changes.len();
            let (_, findings) = examine(self).await?;
            for repair in findings.into_iter().flat_map(|finding| finding.repairs) {
                changes.extend(carry_out(self, repair).await?);
            }
            if changes.len() == before {
                break;
            }
        }
        Ok(changes)
    }
}

async fn examine(directory: &Directory) -> Result<(Report, Vec<Finding>), Error> {
    let mut left = Unexplained::new(
        directory.table.scan_prefix(&directory.keys.prefix(), Some(&directory.keys.feed_events())).await?,
    )?;
    let unfinished = Unfinished::take(directory, &mut left, listed_changes(directory).await?);
    let (report, findings) = (Report::default(), Vec::new());
    let mut examination = Examination { directory, left, report, findings, unreadable: BTreeSet::new() };
    let resources = examination.resources();
    if let Some(groups) = resources.get(&ResourceKind::Group) {
        for finding in unfinished.findings(groups) {
            examination.finding(finding, None);
        }
    }
    examination.edges(&resources, unfinished.deleted());
    examination.counts(&resources);
    examination.leftovers(&resources);
    Ok((examination.report, examination.findings))
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

/// The items that the check has not explained yet, and the findings so far.
struct Examination<'a> {
    directory: &'a Directory,
    left: Unexplained,
    report: Report,
    findings: Vec<Finding>,
    /// The ids of resources that cannot be read. Their index entries and memberships are not repaired.
    unreadable: BTreeSet<String>,
}

impl Examination<'_> {
    fn finding(&mut self, text: String, repairs: impl IntoIterator<Item = Repair>) {
        self.findings.push(Finding { text, repairs: repairs.into_iter().collect() });
    }

    fn resources(&mut self) -> Resources {
        let mut all = BTreeMap::new();
        for kind in ResourceKind::ALL {
            let partition = self.directory.keys.resources(kind);
            let mut of_kind = BTreeMap::new();
            for (id, item) in self.left.take_partition(partition.as_str()) {
                if let Ok(stored) = Stored::from_item(&item) {
                    of_kind.insert(id, stored);
                } else {
                    self.finding(format!("{} {id} cannot be read", stored_kind(kind)), None);
                    self.unreadable.insert(id);
                }
            }
            for stored in of_kind.values() {
                self.resource(kind, stored, &of_kind);
            }
            all.insert(kind, of_kind);
        }
        self.report.users = all.get(&ResourceKind::User).map_or(0, BTreeMap::len);
        self.report.groups = all.get(&ResourceKind::Group).map_or(0, BTreeMap::len);
        all
    }

    fn resource(&mut self, kind: ResourceKind, stored: &Stored, of_kind: &BTreeMap<String, Stored>) {
        let name = stored_kind(kind);
        if has_old_entries(kind, stored) {
            self.finding(format!("{name} {} has index entries of release 0.2", stored.id), None);
        }
        for entry in entries(kind, stored) {
            let key = self.directory.keys.index(kind, entry.attribute).key(&entry.sk);
            let attribute = entry.attribute;
            let owner = self.left.take(&key).map(|item| text(&item, name::ID).ok().map(str::to_owned));
            let put = |wrong| Repair::PutEntry { attribute, entry: key, resource: read(kind, stored), wrong };
            match owner {
                None | Some(None) => {
                    let text = format!("{name} {} has no {attribute} entry", stored.id);
                    self.finding(text, Some(put(None)));
                }
                Some(Some(owner)) if owner != stored.id.as_str() => {
                    let has_right = of_kind.get(&owner).is_some_and(|owner| has_entry(kind, owner, &entry));
                    let is_wrong = !has_right && !self.unreadable.contains(&owner);
                    let text = format!("the {attribute} entry of {name} {} is {owner}'s", stored.id);
                    self.finding(text, is_wrong.then(|| put(Some(owner))));
                }
                Some(Some(_)) => {}
            }
        }
    }

    fn edges(&mut self, resources: &Resources, deleted: &BTreeSet<Id>) {
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
                let is_known = [&group, &member]
                    .iter()
                    .all(|id| !self.unreadable.contains(id.as_str()) && !is_deleted(id));
                let actual = ResourceKind::ALL.into_iter().find(|kind| exists(*kind, &member));
                let mut repair = is_known.then(|| {
                    let (group, member) = (group.clone(), member.clone());
                    match actual {
                        Some(kind) if has_group => Repair::PutEdge { group, member, kind },
                        _ => Repair::DeleteEdge { group, member, group_exists: has_group },
                    }
                });
                if !has_group && !is_deleted(&group) {
                    self.finding(
                        format!("the group {group} of member {member} does not exist"),
                        repair.take(),
                    );
                }
                if !has_member && !is_deleted(&member) {
                    self.finding(
                        format!("the member {member} of group {group} does not exist"),
                        repair.take(),
                    );
                }
                self.report.memberships += usize::from(has_group && has_member);
                if self.left.take(&self.directory.keys.reverse_edge(&member, &group)).is_none() {
                    let text = format!("the member {member} of group {group} has no reverse edge");
                    self.finding(text, repair.take());
                }
            }
        }
        let reverse = self.directory.keys.reverse_edges();
        for sk in self.left.take_partition(reverse.as_str()).into_keys() {
            match keys::member_and_group(&sk) {
                Some((member, group)) => {
                    let text = format!("the reverse edge of member {member} and group {group} has no edge");
                    let (group, member) = (group.to_owned(), member.to_owned());
                    self.finding(text, Some(Repair::DeleteReverse { group, member }));
                }
                None => self.finding("a reverse edge that cannot be read".to_owned(), None),
            }
        }
    }

    fn counts(&mut self, resources: &Resources) {
        for kind in ResourceKind::ALL {
            let mut expected: BTreeMap<String, (Key, Expected)> = BTreeMap::new();
            for stored in resources.get(&kind).into_iter().flat_map(BTreeMap::values) {
                let key = self.directory.keys.count(kind, &stored.id);
                let (_, expected) = expected.entry(key.sk.clone()).or_insert((key, [0, 0]));
                expected[0] += 1;
                expected[1] += i64::from(is_inactive(kind, stored));
            }
            for (key, expected) in expected.into_values() {
                let item = self.left.take(&key);
                self.count(&key, item.as_ref(), expected);
            }
        }
        let counts = self.directory.keys.counts();
        for (shard, item) in self.left.take_partition(counts.as_str()) {
            self.count(&counts.key(&shard), Some(&item), [0, 0]);
        }
    }

    /// Compares a count with the numbers of resources. The count may include a resource that cannot be read.
    fn count(&mut self, key: &Key, item: Option<&Item>, expected: Expected) {
        for (attribute, expected) in COUNTED.into_iter().zip(expected) {
            let counted = item.map_or(Ok(None), |item| optional_number(item, attribute));
            let counted = counted.map(Option::unwrap_or_default);
            if counted == Ok(expected) {
                continue;
            }
            let counted = counted.map_or_else(|_| "not a number".to_owned(), |counted| counted.to_string());
            let old = item.and_then(|item| item.get(attribute).cloned());
            let text = format!("{} {} is {counted}, but {expected} are there", noun(attribute), key.sk);
            let repair = Repair::SetCount { count: key.clone(), attribute, old, new: expected };
            let repair = self.unreadable.is_empty().then_some(repair);
            self.finding(text, repair);
        }
    }

    fn leftovers(&mut self, resources: &Resources) {
        // Bookmarks and proofs expire by themselves.
        self.left.take_partition(self.directory.keys.bookmarks().as_str());
        self.left.take_partition(self.directory.keys.proofs().as_str());
        let partitions: Vec<String> = self.left.partitions().map(str::to_owned).collect();
        for pk in partitions {
            let items = self.left.take_partition(&pk);
            if items.is_empty() {
                continue;
            }
            let partition = pk.strip_prefix(&self.directory.keys.prefix()).unwrap_or(&pk);
            // Sort keys of index entries are names of people: the finding states only their number.
            let text = format!("{} items in {partition} that belong to no resource", items.len());
            let repairs = self.deletions(&pk, items, resources);
            self.finding(text, repairs);
        }
    }

    /// Makes the repairs that delete index entries, if the partition is one of an index.
    fn deletions(&self, pk: &str, items: BTreeMap<String, Item>, resources: &Resources) -> Vec<Repair> {
        let keys = &self.directory.keys;
        let is_index = |index: &&Indexed| keys.index(index.kind, index.name).as_str() == pk;
        let Some(Indexed { kind, name: attribute, .. }) = INDEXED.iter().find(is_index) else {
            return Vec::new();
        };
        let partition = keys.index(*kind, attribute);
        let deletion = |(sk, item): (String, Item)| {
            let id = text(&item, name::ID).ok().filter(|id| !self.unreadable.contains(*id))?.to_owned();
            let stored = resources.get(kind).and_then(|of_kind| of_kind.get(&id));
            let version = stored.map(|stored| stored.version.clone());
            let resource = Read { kind: *kind, id, version };
            Some(Repair::DeleteEntry { attribute, entry: partition.key(sk), resource })
        };
        items.into_iter().filter_map(deletion).collect()
    }

    /// Returns the rest of each partition key that begins with the prefix.
    fn partitions(&self, prefix: &str) -> Vec<String> {
        let prefix = format!("{}{prefix}", self.directory.keys.prefix());
        self.left.partitions().filter_map(|pk| pk.strip_prefix(&prefix)).map(str::to_owned).collect()
    }
}

fn read(kind: ResourceKind, stored: &Stored) -> Read {
    Read { kind, id: stored.id.to_string(), version: Some(stored.version.clone()) }
}

fn has_entry(kind: ResourceKind, stored: &Stored, entry: &Entry) -> bool {
    entries(kind, stored).contains(entry)
}
