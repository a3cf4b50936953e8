//! The check of unfinished changes: headers, parts, intents, reservations, and entries of the list.
//!
//! A change that still belongs to its request is no finding. Each other change is a finding until it is finished.

use std::collections::{BTreeMap, BTreeSet};

use scim::id::Id;

use super::items::Unexplained;
use crate::store::{
    changes::{Change, ChangeKind, Part, are_complete},
    directory::Directory,
    items::{Item, Stored},
    keys::{Key, org_and_change, stored_kind},
};

/// The items of unfinished changes.
pub(super) struct Unfinished<'a> {
    directory: &'a Directory,
    /// The headers by sort key: `None` if a header cannot be read.
    headers: BTreeMap<String, Option<Change>>,
    parts: BTreeMap<Id, BTreeMap<String, Item>>,
    listed: BTreeSet<Key>,
    /// The deleted resources whose memberships are yet to be removed.
    deleted: BTreeSet<Id>,
}

impl<'a> Unfinished<'a> {
    /// Takes the items of changes. `listed` are the organisation's entries in the list of unfinished changes.
    pub(super) fn take(directory: &'a Directory, left: &mut Unexplained, listed: BTreeSet<Key>) -> Self {
        let headers = left.take_partition(directory.keys.pending().as_str());
        let headers: BTreeMap<String, Option<Change>> =
            headers.into_iter().map(|(sk, item)| (sk, Change::from_item(&item).ok())).collect();
        let deletions = headers.values().flatten().filter(|change| change.kind != ChangeKind::Members);
        let deleted = deletions.map(|change| change.subject.clone()).collect();
        let of_parts =
            |partition: &str| Some((directory.keys.change_of_parts(partition)?, partition.to_owned()));
        let partitions: Vec<(Id, String)> = left.partitions().filter_map(of_parts).collect();
        let parts = partitions
            .into_iter()
            .map(|(change, partition)| (change, left.take_partition(&partition)))
            .collect();
        Self { directory, headers, parts, listed, deleted }
    }

    /// Returns the deleted resources whose memberships are yet to be removed.
    pub(super) fn deleted(&self) -> &BTreeSet<Id> {
        &self.deleted
    }

    /// Returns the findings. `groups` are the groups that can be read.
    pub(super) fn findings(&self, groups: &BTreeMap<String, Stored>) -> Vec<String> {
        let mut findings = Vec::new();
        self.check_headers(&mut findings);
        for group in groups.values() {
            self.check_group(group, &mut findings);
        }
        self.check_parts(groups, &mut findings);
        self.check_list(&mut findings);
        findings
    }

    /// Returns whether the request of the change may still run.
    fn is_under_way(&self, change: &Change) -> bool {
        !change.is_abandoned(&self.directory.table.clock)
    }

    fn check_headers(&self, findings: &mut Vec<String>) {
        for (sk, header) in &self.headers {
            let Some(change) = header else {
                findings.push(format!("the header {} cannot be read", id_or_nothing(sk)));
                continue;
            };
            if self.is_under_way(change) {
                continue;
            }
            let Change { id, subject, discarded, .. } = change;
            findings.push(match change.kind {
                ChangeKind::Members if *discarded => {
                    format!("the discarded change {id} of GROUP {subject} is not removed")
                }
                ChangeKind::Members => format!("the change {id} of GROUP {subject} is unfinished"),
                ChangeKind::Deleted(kind) => {
                    format!("the deletion {id} of {} {subject} is unfinished", stored_kind(kind))
                }
            });
            if !self.listed.contains(&self.directory.keys.unfinished(id)) {
                findings.push(format!("the change {id} is not in the list of unfinished changes"));
            }
        }
    }

    fn check_group(&self, group: &Stored, findings: &mut Vec<String>) {
        for (role, change) in [("intent", &group.intent), ("reservation", &group.reservation)] {
            let Some(change) = change else { continue };
            match self.headers.get(change.as_str()) {
                None => findings.push(format!("the {role} {change} of GROUP {} has no header", group.id)),
                Some(Some(header)) if header.kind != ChangeKind::Members || header.subject != group.id => {
                    findings.push(format!("the {role} {change} of GROUP {} is another's change", group.id));
                }
                Some(_) => {}
            }
        }
        let Some(intent) = &group.intent else { return };
        if group.reservation.is_some() {
            findings.push(format!("GROUP {} has both an intent and a reservation", group.id));
        }
        let header = self.headers.get(intent.as_str()).and_then(Option::as_ref);
        if header.is_none_or(|change| !self.is_under_way(change)) && !are_complete(&self.parts_of(intent)) {
            findings.push(format!("parts of the intent {intent} of GROUP {} are missing", group.id));
        }
    }

    fn parts_of(&self, change: &Id) -> Vec<Part> {
        let items = self.parts.get(change).into_iter().flat_map(BTreeMap::values);
        items.filter_map(|item| Part::from_item(item).ok()).collect()
    }

    fn check_parts(&self, groups: &BTreeMap<String, Stored>, findings: &mut Vec<String>) {
        let intents: BTreeSet<&Id> = groups.values().filter_map(|group| group.intent.as_ref()).collect();
        for (change, items) in &self.parts {
            if !self.headers.contains_key(change.as_str()) && !intents.contains(change) {
                findings.push(format!("{} parts of the change {change}, which has no header", items.len()));
            } else if items.values().any(|item| Part::from_item(item).is_err()) {
                findings.push(format!("a part of the change {change} cannot be read"));
            }
        }
    }

    fn check_list(&self, findings: &mut Vec<String>) {
        for entry in &self.listed {
            let change = org_and_change(&entry.sk).map_or("", |(_, change)| change);
            let is_entry_of = |change: Id| self.directory.keys.unfinished(&change) == *entry;
            if !self.headers.contains_key(change) || !Id::parse(change).is_some_and(is_entry_of) {
                let change = id_or_nothing(change);
                findings.push(format!("the entry {change} in the list of unfinished changes has no header"));
            }
        }
    }
}

/// Returns the text if it is an id. Any other text is not repeated in a finding.
fn id_or_nothing(text: &str) -> &str {
    if Id::parse(text).is_some() { text } else { "(no id)" }
}
