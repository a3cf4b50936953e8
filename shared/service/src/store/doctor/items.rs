//! The items of an organisation that the check has not explained yet.

use std::collections::BTreeMap;

use crate::{
    Error,
    store::{
        items::{Item, partition_key, sort_key},
        keys::Key,
    },
};

/// Items by partition and sort key.
pub(super) struct Unexplained(BTreeMap<String, BTreeMap<String, Item>>);

impl Unexplained {
    pub(super) fn new(items: Vec<Item>) -> Result<Self, Error> {
        let mut by_partition: BTreeMap<String, BTreeMap<String, Item>> = BTreeMap::new();
        for item in items {
            let (pk, sk) = (partition_key(&item)?.to_owned(), sort_key(&item)?.to_owned());
            by_partition.entry(pk).or_default().insert(sk, item);
        }
        Ok(Self(by_partition))
    }

    /// Removes an item.
    pub(super) fn take(&mut self, key: &Key) -> Option<Item> {
        self.0.get_mut(&key.pk)?.remove(&key.sk)
    }

    /// Removes the items of a partition.
    pub(super) fn take_partition(&mut self, partition: &str) -> BTreeMap<String, Item> {
        self.0.remove(partition).unwrap_or_default()
    }

    /// Returns the partition keys.
    pub(super) fn partitions(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}
