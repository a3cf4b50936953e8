//! The operations of a bulk request that have not run: which are ready, and which wait for others.
//!
//! Each operation is examined when something changes for it, and not in each wave: a request of a thousand operations may
//! take a thousand waves.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::operation::{Ids, Operation};

/// The operations that wait for a `bulkId`, by index.
#[derive(Default)]
pub(super) struct Waiting {
    by_id: HashMap<String, Vec<usize>>,
    /// The number of `bulkId`s that each of them waits for.
    pending: HashMap<usize, usize>,
}

impl Waiting {
    /// Adds an operation. Returns whether it waits.
    pub(super) fn add(&mut self, index: usize, operation: &Operation, ids: &Ids) -> bool {
        let pending = operation.references.iter().filter(|reference| ids.get(*reference) == Some(&None));
        let mut count = 0;
        for reference in pending {
            self.by_id.entry(reference.clone()).or_default().push(index);
            count += 1;
        }
        if count > 0 {
            self.pending.insert(index, count);
        }
        count > 0
    }

    /// Notes that the operation of a `bulkId` has run. Returns the operations that referred to it, and whether each of them
    /// still waits.
    pub(super) fn settle(&mut self, bulk_id: &str) -> Vec<(usize, bool)> {
        let settled = self.by_id.remove(bulk_id).unwrap_or_default();
        let still_waits = |index: usize| {
            let Some(pending) = self.pending.get_mut(&index) else { return (index, false) };
            *pending -= 1;
            if *pending > 0 {
                return (index, true);
            }
            self.pending.remove(&index);
            (index, false)
        };
        settled.into_iter().map(still_waits).collect()
    }

    pub(super) fn contains(&self, index: usize) -> bool {
        self.pending.contains_key(&index)
    }

    /// Returns the operations that wait, in the given order.
    pub(super) fn indexes(&self) -> BTreeSet<usize> {
        self.pending.keys().copied().collect()
    }

    /// Returns the first operation that waits for a `bulkId`.
    fn first_of(&self, bulk_id: &str) -> Option<usize> {
        self.by_id.get(bulk_id)?.iter().copied().filter(|index| self.contains(*index)).min()
    }

    fn remove(&mut self, index: usize) {
        self.pending.remove(&index);
    }
}

/// The operations that have not run.
pub(super) struct Queue {
    left: BTreeSet<usize>,
    /// The operations that wait for no other one, and follow none that waits and has the same subject.
    ready: BTreeSet<usize>,
    pub(super) waiting: Waiting,
    /// The operations on each subject.
    by_subject: HashMap<String, BTreeSet<usize>>,
    /// The subject of each operation.
    subjects: BTreeMap<usize, String>,
}

impl Queue {
    pub(super) fn new(operations: &[Operation], ids: &Ids) -> Self {
        let mut queue = Self {
            left: (0..operations.len()).collect(),
            ready: BTreeSet::new(),
            waiting: Waiting::default(),
            by_subject: HashMap::new(),
            subjects: BTreeMap::new(),
        };
        for (index, operation) in operations.iter().enumerate() {
            queue.waiting.add(index, operation, ids);
            queue.enter(index, operation.subject(ids));
        }
        let subjects: Vec<String> = queue.by_subject.keys().cloned().collect();
        for subject in subjects {
            queue.examine(&subject, 0);
        }
        queue
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Returns all operations, in the given order.
    pub(super) fn left(&self) -> impl Iterator<Item = usize> {
        self.left.iter().copied()
    }

    /// Returns the operations that may run, in the given order.
    pub(super) fn ready(&self) -> impl Iterator<Item = usize> {
        self.ready.iter().copied()
    }

    pub(super) fn subject(&self, index: usize) -> &str {
        self.subjects.get(&index).map_or("", String::as_str)
    }

    /// Returns the first operation that waits for this one.
    pub(super) fn first_waiting_for(&self, operation: &Operation) -> Option<usize> {
        self.waiting.first_of(operation.bulk_id.as_deref()?)
    }

    /// Removes an operation that has run.
    pub(super) fn remove(&mut self, index: usize) {
        let waited = self.waiting.contains(index);
        self.waiting.remove(index);
        self.left.remove(&index);
        self.ready.remove(&index);
        let subject = self.leave(index);
        if waited {
            self.examine(&subject, index);
        }
    }

    /// Notes that the operation of a `bulkId` has run, so that those that wait for it alone are ready.
    pub(super) fn settle(&mut self, bulk_id: &str, operations: &[Operation], ids: &Ids) {
        for (index, still_waits) in self.waiting.settle(bulk_id) {
            if !self.left.contains(&index) {
                continue;
            }
            if operations[index].path_refers() {
                let before = self.leave(index);
                // Whether it is ready is decided among the operations on its new subject.
                self.ready.remove(&index);
                self.examine(&before, index);
                self.enter(index, operations[index].subject(ids));
                if still_waits {
                    self.suspend_after(index);
                }
            }
            if !still_waits {
                let subject = self.subject(index).to_owned();
                self.examine(&subject, index);
            }
        }
    }

    fn enter(&mut self, index: usize, subject: String) {
        self.by_subject.entry(subject.clone()).or_default().insert(index);
        self.subjects.insert(index, subject);
    }

    fn leave(&mut self, index: usize) -> String {
        let subject = self.subjects.remove(&index).unwrap_or_default();
        if let Some(others) = self.by_subject.get_mut(&subject) {
            others.remove(&index);
        }
        subject
    }

    /// Makes the operations on the same subject wait that follow one that waits. Its subject may have become that of
    /// operations that name the resource by its id.
    fn suspend_after(&mut self, index: usize) {
        let others = self.by_subject.get(self.subject(index));
        let later: Vec<usize> =
            others.into_iter().flat_map(|others| others.range(index..)).copied().collect();
        for index in later {
            self.ready.remove(&index);
        }
    }

    /// Finds the operations on a subject that became ready when the one of this index changed.
    fn examine(&mut self, subject: &str, from: usize) {
        let Some(indexes) = self.by_subject.get(subject) else { return };
        if let Some(before) = indexes.range(..from).next_back()
            && !self.ready.contains(before)
        {
            return;
        }
        for index in indexes.range(from..) {
            // Those after one that is ready were examined together with it.
            if self.waiting.contains(*index) || !self.ready.insert(*index) {
                return;
            }
        }
    }
}
