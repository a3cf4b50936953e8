//! Where every item lives: the one file that spells a key prefix.
//!
//! Every partition key begins with `ORG#<org>`, so nothing can be read or written without naming the organisation,
//! and IAM's `dynamodb:LeadingKeys` can fence it. Organisation names hold no `#`, so no prefix is another's.
//!
//! | item | partition key | sort key |
//! |---|---|---|
//! | resource | `ORG#o#USER`, `ORG#o#GROUP` | id |
//! | index entry | `ORG#o#USER#userName` and so on | value (unique), or value, separator, id |
//! | member edge | `ORG#o#GROUP#<group>` | member id |
//! | reverse edge | `ORG#o#MEMBER` | member id `#` group id |
//! | pending change | `ORG#o#PENDING` | change id |
//! | part of a pending change | `ORG#o#PENDING#<change>` | number |
//! | count | `ORG#o#COUNT` | kind and shard |
//! | bookmark | `ORG#o#PAGE` | cursor, or key id, query and `startIndex` |
//! | organisation (keys table) | `ORG#o` | `SETTINGS` |
//! | key (keys table) | `ORG#o` | `KEY#<digest>` |

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use scim::{ResourceType, id::Id, schema};

use crate::auth::Org;

/// The names of the key attributes of both tables.
pub(super) const PK: &str = "pk";
/// The sort key.
pub(super) const SK: &str = "sk";

/// Stands between a value that is not unique and the id of its owner. Indexed values hold no control characters, so
/// it is below anything a value can go on with: entries sort by value, then by id.
const SEPARATOR: char = '\u{1}';
/// The first character above [`SEPARATOR`]: the open end of the range of one value's entries.
const PAST_SEPARATOR: char = '\u{2}';

/// Writers of one count spread over so many items, so that concurrent creations do not conflict.
pub(super) const COUNT_SHARDS: u8 = 16;

/// What kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A person.
    User,
    /// A group of them.
    Group,
}

impl Kind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::User, Self::Group];

    /// Its entry in the schema table.
    #[must_use]
    pub fn resource_type(self) -> &'static ResourceType {
        match self {
            Self::User => &schema::USER_TYPE,
            Self::Group => &schema::GROUP_TYPE,
        }
    }

    /// The attribute that is shown with it but not kept in its document.
    #[must_use]
    pub const fn extra(self) -> &'static str {
        match self {
            Self::User => "groups",
            Self::Group => "members",
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::Group => "GROUP",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// A partition of one organisation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Partition(String);

/// An item of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    /// The key as the SDK takes it.
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

    fn partition(&self, rest: &str) -> Partition {
        Partition(format!("{}#{rest}", self.prefix))
    }

    pub(super) fn resources(&self, kind: Kind) -> Partition {
        self.partition(kind.word())
    }

    pub(super) fn resource(&self, kind: Kind, id: &str) -> Key {
        self.resources(kind).key(id)
    }

    pub(super) fn index(&self, kind: Kind, attribute: &str) -> Partition {
        self.partition(&format!("{}#{attribute}", kind.word()))
    }

    pub(super) fn members(&self, group: &str) -> Partition {
        self.partition(&format!("GROUP#{group}"))
    }

    pub(super) fn edge(&self, group: &str, member: &str) -> Key {
        self.members(group).key(member)
    }

    /// All reverse edges of the organisation are in one partition, by member: those of the users on a page, whose ids
    /// follow one another, are one range.
    pub(super) fn reverse_edges(&self) -> Partition {
        self.partition("MEMBER")
    }

    pub(super) fn reverse_edge(&self, member: &str, group: &str) -> Key {
        self.reverse_edges().key(format!("{member}#{group}"))
    }

    pub(super) fn pending(&self) -> Partition {
        self.partition("PENDING")
    }

    pub(super) fn parts(&self, change: &str) -> Partition {
        self.partition(&format!("PENDING#{change}"))
    }

    pub(super) fn counts(&self) -> Partition {
        self.partition("COUNT")
    }

    pub(super) fn bookmarks(&self) -> Partition {
        self.partition("PAGE")
    }

    /// The bookmark of a key's walk through a query, at that index.
    pub(super) fn bookmark(&self, key_id: &str, query: &str, index: u64) -> Key {
        self.bookmarks().key(format!("{key_id}#{query}#{index}"))
    }

    /// The shard of the count that the resource of this id belongs to.
    pub(super) fn count(&self, kind: Kind, id: &Id) -> Key {
        let shard = id.as_str().bytes().fold(0_u8, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte));
        self.counts().key(format!("{}#{:02}", kind.word(), shard % COUNT_SHARDS))
    }

    /// What every partition key of the organisation begins with.
    pub(super) fn prefix(&self) -> String {
        format!("{}#", self.prefix)
    }

    /// The organisation's partition in the table of keys.
    pub(super) fn organisation(org: &Org) -> Partition {
        Partition(format!("{ORG_PREFIX}{org}"))
    }

    pub(super) fn settings(org: &Org) -> Key {
        Self::organisation(org).key(SETTINGS)
    }

    pub(super) fn api_key(org: &Org, digest: &str) -> Key {
        Self::organisation(org).key(format!("{KEY_PREFIX}{digest}"))
    }
}

/// What every partition key begins with.
pub(super) const ORG_PREFIX: &str = "ORG#";
/// The sort key of an organisation's settings.
pub(super) const SETTINGS: &str = "SETTINGS";
/// What the sort key of an API key begins with.
pub(super) const KEY_PREFIX: &str = "KEY#";

/// The range of sort keys that the reverse edges of these members, and of those between them, are in.
pub(super) fn reverse_range(first: &str, last: &str) -> (String, String) {
    // `$` follows `#`.
    (format!("{first}#"), format!("{last}$"))
}

/// The member and the group that the sort key of a reverse edge names.
pub(super) fn member_and_group(reverse_edge: &str) -> Option<(&str, &str)> {
    reverse_edge.split_once('#')
}

/// The sort key of an index entry.
pub(super) fn index_entry(value: &str, unique: bool, id: &Id) -> String {
    if unique { value.to_owned() } else { format!("{value}{SEPARATOR}{id}") }
}

/// The range of sort keys that the entries of exactly this value are in, both ends included.
pub(super) fn index_range(value: &str) -> (String, String) {
    (value.to_owned(), past_entries(value))
}

/// A sort key above every entry of this value, and below those of any larger one.
pub(super) fn past_entries(value: &str) -> String {
    format!("{value}{PAST_SEPARATOR}")
}

/// A sort key above every entry of a value that begins so: as long as a key may be, of the largest character.
pub(super) fn past_prefix(prefix: &str) -> String {
    let room = MAX_KEY.saturating_sub(prefix.len()) / MAX.len_utf8();
    prefix.chars().chain(std::iter::repeat_n(MAX, room)).collect()
}

/// Below every sort key of an index.
pub(super) const LOWEST: &str = "\u{2}";
/// The longest sort key DynamoDB takes, in bytes.
pub(super) const MAX_KEY: usize = 1_024;
/// The largest character there is.
const MAX: char = '\u{10FFFF}';
