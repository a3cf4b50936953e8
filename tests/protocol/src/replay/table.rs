//! The table that recorded calls are carried out on.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    action::Table,
    item::{Change, Difference, Id, Item, Key, Member, Part},
    rules::Listing,
};

/// Members that a recorded call adds and removes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Members {
    pub(super) add: BTreeSet<Member>,
    pub(super) remove: BTreeSet<Id>,
}

impl Difference for Members {
    fn adds(&self) -> impl Iterator<Item = Member> {
        self.add.iter().copied()
    }

    fn removes(&self) -> impl Iterator<Item = Id> {
        self.remove.iter().copied()
    }
}

/// Items by key.
#[derive(Debug, Clone, Default)]
pub(super) struct Items(BTreeMap<Key, Item<Members>>);

impl Table<Members> for Items {
    fn get(&self, key: Key) -> Option<Item<Members>> {
        self.0.get(&key).cloned()
    }

    fn set(&mut self, key: Key, item: Option<Item<Members>>) {
        match item {
            Some(item) => self.0.insert(key, item),
            None => self.0.remove(&key),
        };
    }
}

impl Listing<Members> for Items {
    fn parts(&self, change: Change) -> Vec<(Id, Part<Members>)> {
        let part = |(key, item): (&Key, &Item<Members>)| match (key, item) {
            (Key::Part(of, lower), Item::Part(part)) if *of == change => Some((*lower, part.clone())),
            _ => None,
        };
        self.0.iter().filter_map(part).collect()
    }

    fn members(&self, group: Id) -> Vec<Id> {
        let member = |key: &Key| match key {
            Key::Edge { group: of, member } if *of == group => Some(*member),
            _ => None,
        };
        self.0.keys().filter_map(member).collect()
    }

    fn groups(&self, member: Id) -> Vec<Id> {
        let group = |key: &Key| match key {
            Key::Reverse { group, member: of } if *of == member => Some(*group),
            _ => None,
        };
        self.0.keys().filter_map(group).collect()
    }
}
