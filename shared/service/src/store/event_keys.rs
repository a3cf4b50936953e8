//! Keys of events: in the outbox, and in the feed. The table of all keys is that of `keys`.

use super::keys::{Key, Keys, Partition, hash, prefix_range};
use crate::{auth::Org, event::EventId};

/// The number of partitions of the outbox. One would limit the throughput of all organisations.
const OUTBOX_SHARDS: u8 = 16;

impl Keys {
    /// Returns the partition of the outbox that has the events of the organisation.
    pub(super) fn outbox(org: &Org) -> Partition {
        outbox_shard(hash(org.as_str()) % OUTBOX_SHARDS)
    }

    /// Returns the key of the events of a transaction in the outbox.
    pub(super) fn outbox_entry(org: &Org, event: &EventId) -> Key {
        Self::outbox(org).key(format!("{org}#{event}"))
    }

    /// Returns the range of sort keys of the organisation's events in the outbox.
    pub(super) fn outbox_range(org: &Org) -> (String, String) {
        prefix_range(&format!("{org}#"))
    }

    /// Returns the partition of the organisation's feed.
    pub(super) fn feed_events(&self) -> Partition {
        self.partition("FEED")
    }

    /// Returns the key of the event of that sequence number.
    pub(super) fn feed_event(&self, sequence: u64) -> Key {
        self.feed_events().key(feed_position(sequence))
    }

    /// Returns the key of the proof that the product has applied the event of that sequence number.
    pub(super) fn proof(&self, sequence: u64) -> Key {
        self.proofs().key(feed_position(sequence))
    }

    /// Returns the partition of the proofs.
    pub(super) fn proofs(&self) -> Partition {
        self.partition("PROOF")
    }

    /// Returns the key of the head of the organisation's feed.
    pub(super) fn feed_head(&self) -> Key {
        self.feed_events().key("HEAD")
    }
}

/// Returns every partition of the outbox.
pub(super) fn outbox_shards() -> impl Iterator<Item = Partition> {
    (0..OUTBOX_SHARDS).map(outbox_shard)
}

fn outbox_shard(shard: u8) -> Partition {
    Partition(format!("OUTBOX#{shard:02}"))
}

/// Returns the sort key of an event of that sequence number.
pub(super) fn feed_position(sequence: u64) -> String {
    format!("{sequence:020}")
}
