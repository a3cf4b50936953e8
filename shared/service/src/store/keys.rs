//! Keys of items. No other file spells a key prefix, apart from `event_keys` for those of events.
//!
//! Every partition key of an organisation's data begins with `ORG#<org>`: no such item can be read or written without
//! naming the organisation, and an IAM condition on `dynamodb:LeadingKeys` can restrict access to one organisation.
//! Organisation names contain no `#`, so no organisation's prefix is a prefix of another's. The outbox, the list of
//! unfinished changes, and the lists of ends and of creations are the only partitions of all organisations. The outbox holds
//! events until they are in the feed. The others hold names of organisations, ids and digests. The audit log of an
//! organisation outlives the organisation.
//!
//! | item | partition key | sort key |
//! |---|---|---|
//! | resource | `ORG#o#USER`, `ORG#o#GROUP` | id |
//! | index entry | `ORG#o#USER#userName` and so on | value (unique), or value, separator, id |
//! | member edge | `ORG#o#GROUP#<group>` | member id |
//! | reverse edge | `ORG#o#MEMBER` | member id `#` group id |
//! | pending change | `ORG#o#PENDING` | change id |
//! | part of a pending change | `ORG#o#PENDING#<change>` | lowest id of its members |
//! | entry of a pending change in the list of unfinished changes | `UNFINISHED#<shard>` | organisation `#` change id |
//! | events of a transaction, in the outbox | `OUTBOX#<shard>` | organisation `#` event id |
//! | event in the feed | `ORG#o#FEED` | sequence |
//! | head of the feed | `ORG#o#FEED` | `HEAD` |
//! | proof that the product has applied an event | `ORG#o#PROOF` | sequence |
//! | count | `ORG#o#COUNT` | kind and shard |
//! | bookmark | `ORG#o#PAGE` | cursor, or key id, query and `startIndex` |
//! | organisation (keys table) | `ORG#o` | `SETTINGS` |
//! | key (keys table) | `ORG#o` | `KEY#<digest>` |
//! | access token (keys table) | `ORG#o` | `TOKEN#<digest>` |
//! | OAuth client (keys table) | `ORG#o` | `CLIENT#<id>` |
//! | set-up link, session of the owner console (keys table) | `ORG#o` | `LINK#<digest>`, `SESSION#<digest>` |
//! | request with an Idempotency-Key that created something (keys table) | `CREATION` | digest of the key, or id of a client or a secret |
//! | entry of the audit log (keys table) | `AUDIT#o` | id, sorted by time |
//! | latest generation of the pepper (keys table) | `PEPPER` | `GENERATION` |
//! | announcement of an end (keys table) | `DUE` | time `#` organisation `#` key id |
//! | requests and expensive work at this time (keys table) | `ORG#o#LIMITS` | `BUCKET`, `SLOTS` |
//! | entry of the request log (requests table) | `ORG#o#LOG` | id, sorted by time |
//! | requests in an hour (requests table) | `ORG#o#HOURS` | hour, such as `2026-11-28T14` |

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use scim::{ResourceKind, id::Id};

use crate::{auth::Org, credential::Kind};

/// The partition key of all tables.
pub(super) const PK: &str = "pk";
/// The sort key of all tables.
pub(super) const SK: &str = "sk";

/// The number of items that each count is divided into, so that concurrent creations do not conflict.
pub(super) const COUNT_SHARDS: u8 = 16;

/// The number of partitions of the list of unfinished changes. One would limit the throughput of its writes.
const UNFINISHED_SHARDS: u8 = 16;

/// A sort key before every id.
pub(super) const BEFORE_IDS: &str = "0";
/// A sort key after every id.
pub(super) const AFTER_IDS: &str = "g";

/// Returns the word that stands for a kind in keys and items.
pub(super) const fn stored_kind(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::User => "USER",
        ResourceKind::Group => "GROUP",
    }
}

/// Returns the kind that a stored word stands for.
pub(super) fn kind_from_stored(word: &str) -> Option<ResourceKind> {
    ResourceKind::ALL.into_iter().find(|kind| stored_kind(*kind) == word)
}

/// A partition of one organisation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Partition(pub(super) String);

/// The key of an item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) pk: String,
    pub(super) sk: String,
}

impl Partition {
    pub(super) fn key(&self, sk: impl Into<String>) -> Key {
        Key { pk: self.0.clone(), sk: sk.into() }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Key {
    /// Returns the key as the SDK takes it.
    pub(super) fn attributes(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            (PK.to_owned(), AttributeValue::S(self.pk.clone())),
            (SK.to_owned(), AttributeValue::S(self.sk.clone())),
        ])
    }
}

/// The partitions of one organisation in the table of resources.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn of(org: &Org) -> Self {
        Self { prefix: format!("{ORG_PREFIX}{org}") }
    }

    pub(super) fn partition(&self, rest: &str) -> Partition {
        Partition(format!("{}#{rest}", self.prefix))
    }

    pub(super) fn resources(&self, kind: ResourceKind) -> Partition {
        self.partition(stored_kind(kind))
    }

    pub(super) fn resource(&self, kind: ResourceKind, id: &str) -> Key {
        self.resources(kind).key(id)
    }

    pub(super) fn index(&self, kind: ResourceKind, attribute: &str) -> Partition {
        self.partition(&format!("{}#{attribute}", stored_kind(kind)))
    }

    pub(super) fn members(&self, group: &str) -> Partition {
        self.partition(&format!("GROUP#{group}"))
    }

    pub(super) fn edge(&self, group: &str, member: &str) -> Key {
        self.members(group).key(member)
    }

    /// Returns the partition of all reverse edges, sorted by member: those of consecutive users are in one range.
    pub(super) fn reverse_edges(&self) -> Partition {
        self.partition("MEMBER")
    }

    pub(super) fn reverse_edge(&self, member: &str, group: &str) -> Key {
        self.reverse_edges().key(format!("{member}#{group}"))
    }

    pub(super) fn pending(&self) -> Partition {
        self.partition("PENDING")
    }

    pub(super) fn parts(&self, change: &Id) -> Partition {
        self.partition(&format!("PENDING#{change}"))
    }

    /// Returns the prefix of the partition keys of all parts.
    pub(super) fn parts_prefix(&self) -> String {
        format!("{}#", self.pending().as_str())
    }

    /// Returns the change whose parts have that partition key.
    pub(super) fn change_of_parts(&self, partition: &str) -> Option<Id> {
        Id::parse(partition.strip_prefix(&self.parts_prefix())?)
    }

    /// Returns the key of a pending change in the list of unfinished changes.
    pub(super) fn unfinished(&self, change: &Id) -> Key {
        unfinished_shard(hash(change.as_str()) % UNFINISHED_SHARDS).key(format!("{}#{change}", self.org()))
    }

    /// Returns the range of sort keys of the organisation's entries in each partition of that list.
    pub(super) fn unfinished_range(&self) -> (String, String) {
        prefix_range(&format!("{}#", self.org()))
    }

    fn org(&self) -> &str {
        self.prefix.trim_start_matches(ORG_PREFIX)
    }

    pub(super) fn counts(&self) -> Partition {
        self.partition("COUNT")
    }

    pub(super) fn bookmarks(&self) -> Partition {
        self.partition("PAGE")
    }

    /// Returns the key of the bookmark that an API key left in a query, at that index.
    pub(super) fn bookmark(&self, key_id: &str, query: &str, index: u64) -> Key {
        self.bookmarks().key(format!("{key_id}#{query}#{index}"))
    }

    /// Returns the key of the count item that includes the resource of this id.
    pub(super) fn count(&self, kind: ResourceKind, id: &Id) -> Key {
        self.counts().key(format!("{}#{:02}", stored_kind(kind), hash(id.as_str()) % COUNT_SHARDS))
    }

    /// Returns the prefix of every partition key of the organisation.
    pub(super) fn prefix(&self) -> String {
        format!("{}#", self.prefix)
    }

    /// Returns the organisation's partition in the table of keys.
    pub(super) fn organisation(org: &Org) -> Partition {
        Partition(format!("{ORG_PREFIX}{org}"))
    }

    pub(super) fn settings(org: &Org) -> Key {
        Self::organisation(org).key(SETTINGS)
    }

    /// Returns the key of the item of a key or an access token. No other credential authenticates a request of SCIM.
    pub(super) fn credential(org: &Org, kind: Kind, digest: &str) -> Option<Key> {
        let prefix = match kind {
            Kind::Key => KEY_PREFIX,
            Kind::Token => TOKEN_PREFIX,
            Kind::ClientSecret | Kind::Link | Kind::Session => return None,
        };
        Some(Self::organisation(org).key(format!("{prefix}{digest}")))
    }

    pub(super) fn token(org: &Org, digest: &str) -> Key {
        Self::organisation(org).key(format!("{TOKEN_PREFIX}{digest}"))
    }

    pub(super) fn link(org: &Org, digest: &str) -> Key {
        Self::organisation(org).key(format!("{LINK_PREFIX}{digest}"))
    }

    pub(super) fn session(org: &Org, digest: &str) -> Key {
        Self::organisation(org).key(format!("{SESSION_PREFIX}{digest}"))
    }

    pub(super) fn client(org: &Org, id: &str) -> Key {
        Self::organisation(org).key(format!("{CLIENT_PREFIX}{id}"))
    }

    /// Returns the keys of a credential and the settings of no organisation. No item has them.
    pub(super) fn of_no_organisation() -> [Key; 2] {
        let partition = Partition(ORG_PREFIX.to_owned());
        [partition.key(KEY_PREFIX), partition.key(SETTINGS)]
    }

    /// Returns the key of the item with the generation that a new organisation begins with.
    pub(super) fn latest_generation() -> Key {
        Partition("PEPPER".to_owned()).key("GENERATION")
    }

    pub(super) fn audit(org: &Org) -> Partition {
        Partition(format!("AUDIT#{org}"))
    }

    /// Returns the key of a request that created an organisation, a client or a secret.
    pub(super) fn creation(request: &str) -> Key {
        Partition("CREATION".to_owned()).key(request)
    }

    pub(super) fn dues() -> Partition {
        Partition("DUE".to_owned())
    }

    pub(super) fn due(at: &str, org: &Org, key_id: &str) -> Key {
        Self::dues().key(format!("{at}#{org}#{key_id}"))
    }

    /// Returns the partition of what the limits of the organisation count. IAM lets the functions update its items.
    pub(super) fn limits(org: &Org) -> Partition {
        Partition(format!("{ORG_PREFIX}{org}#LIMITS"))
    }

    /// Returns the partitions of the request log: the entries, and the hours.
    pub(super) fn request_log(org: &Org) -> [Partition; 2] {
        ["LOG", "HOURS"].map(|rest| Self::of(org).partition(rest))
    }
}

/// Returns every partition of the list of unfinished changes.
pub(super) fn unfinished_shards() -> impl Iterator<Item = Partition> {
    (0..UNFINISHED_SHARDS).map(unfinished_shard)
}

fn unfinished_shard(shard: u8) -> Partition {
    Partition(format!("UNFINISHED#{shard:02}"))
}

/// Returns the organisation and the change that the sort key of an entry in the list of unfinished changes names.
pub(super) fn org_and_change(entry: &str) -> Option<(&str, &str)> {
    entry.split_once('#')
}

pub(super) fn hash(text: &str) -> u8 {
    text.bytes().fold(0, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte))
}

/// The prefix of every partition key of an organisation.
pub(super) const ORG_PREFIX: &str = "ORG#";
/// The sort key of an organisation's settings.
pub(super) const SETTINGS: &str = "SETTINGS";
/// The prefix of the sort key of an API key.
pub(super) const KEY_PREFIX: &str = "KEY#";
/// The prefix of the sort key of an access token.
pub(super) const TOKEN_PREFIX: &str = "TOKEN#";
/// The prefix of the sort key of a set-up link of the owner console.
pub(super) const LINK_PREFIX: &str = "LINK#";
/// The prefix of the sort key of a session of the owner console.
pub(super) const SESSION_PREFIX: &str = "SESSION#";
/// The prefix of the sort key of an OAuth client.
pub(super) const CLIENT_PREFIX: &str = "CLIENT#";

/// Returns the range of sort keys that begin with the prefix, which ends in `#`.
pub(super) fn prefix_range(prefix: &str) -> (String, String) {
    // `$` follows `#`.
    (prefix.to_owned(), format!("{}$", prefix.trim_end_matches('#')))
}

/// Returns the range of sort keys of the reverse edges of these members, and of all members between the two.
pub(super) fn reverse_range(first: &str, last: &str) -> (String, String) {
    // `$` follows `#`.
    (format!("{first}#"), format!("{last}$"))
}

/// Returns the member and the group that the sort key of a reverse edge names.
pub(super) fn member_and_group(reverse_edge: &str) -> Option<(&str, &str)> {
    reverse_edge.split_once('#')
}

/// Returns the time, the organisation and the credential that the sort key of an announcement names.
pub(super) fn due_parts(announcement: &str) -> Option<(&str, &str, &str)> {
    let (at, rest) = announcement.split_once('#')?;
    let (org, id) = rest.split_once('#')?;
    Some((at, org, id))
}
