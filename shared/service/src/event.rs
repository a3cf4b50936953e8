//! Events: the changes of an organisation, as the product hears of them.
//!
//! The transaction of a change writes its events ([`store`](crate::store)). The sequencer gives each event its place in the
//! feed of the organisation. An [`EventId`] orders the events of changes that depend on each other, without trust in clocks.

use std::{fmt, str::FromStr};

use scim::{ResourceKind, id::Id, resource::Document};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The path of the feed of an organisation's events.
pub const FEED_PATH: &str = "/events/v1";

/// Every type of event.
pub const TYPES: [&str; 21] = [
    "user.created",
    "user.updated",
    "user.deactivated",
    "user.reactivated",
    "user.deleted",
    "group.created",
    "group.updated",
    "group.deleted",
    "group.members_added",
    "group.members_removed",
    "org.created",
    "org.updated",
    "key.created",
    "key.updated",
    "key.revoked",
    "client.created",
    "client.updated",
    "client.revoked",
    "gate.held",
    "gate.released",
    "gate.updated",
];

/// The largest size of the attributes of an event, in bytes of JSON. DynamoDB stores items of 400 KB, and a group of events
/// is one item before it is in the feed.
const ATTRIBUTES_SIZE: usize = 128 * 1024;

/// The id of the events of a transaction: a hybrid logical time, and the version that the transaction writes.
///
/// The time is that of the writer's clock, or that of the latest event of the resources that the transaction depends on
/// if this is later. The order of the text is the order of the ids.
///
/// # Example
///
/// ```
/// use service::event::EventId;
///
/// let first = EventId::after(None, 1_795_000_000_000, 7);
/// // The clock of the second writer is a second slow.
/// let second = EventId::after(Some(&first), 1_794_999_999_000, 8);
/// assert!(second > first);
/// assert!(second.to_string() > first.to_string());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// Milliseconds since 1970.
    millis: u64,
    /// Counts the ids of the same millisecond that depend on each other.
    counter: u32,
    /// Tells the ids of transactions that do not depend on each other apart.
    random: u64,
}

impl EventId {
    /// The number of characters of an id.
    const LENGTH: usize = 36;

    /// Returns an id that is greater than `floor`, at `millis` on the clock of the writer. `random` is a random number.
    #[must_use]
    pub fn after(floor: Option<&Self>, millis: u64, random: u64) -> Self {
        // Twelve digits end in the year 10889.
        let millis = millis.min(0xFFFF_FFFF_FFFF);
        match floor {
            Some(floor) if floor.millis >= millis => {
                let (millis, counter) = match floor.counter.checked_add(1) {
                    Some(counter) => (floor.millis, counter),
                    None => (floor.millis + 1, 0),
                };
                Self { millis, counter, random }
            }
            _ => Self { millis, counter: 0, random },
        }
    }

    /// Returns the id of a part of the change that has this id. The first part has the number 0. Ids of parts are greater
    /// than that of the change, and sorted by number.
    #[must_use]
    pub fn of_part(&self, number: u32) -> Self {
        match self.counter.checked_add(number).and_then(|counter| counter.checked_add(1)) {
            Some(counter) => Self { counter, ..*self },
            None => Self { millis: self.millis + 1, counter: number, random: self.random },
        }
    }

    /// Returns the time in milliseconds since 1970.
    #[must_use]
    pub fn millis(&self) -> u64 {
        self.millis
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}{:08x}{:016x}", self.millis, self.counter, self.random)
    }
}

/// The error of a text that is not the id of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is not the id of an event")]
pub struct ParseEventIdError;

impl FromStr for EventId {
    type Err = ParseEventIdError;

    fn from_str(text: &str) -> Result<Self, ParseEventIdError> {
        let is_id = text.len() == Self::LENGTH
            && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let number = |range| {
            text.get(range).and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or(ParseEventIdError)
        };
        if !is_id {
            return Err(ParseEventIdError);
        }
        let counter = u32::try_from(number(12..20)?).map_err(|_| ParseEventIdError)?;
        Ok(Self { millis: number(0..12)?, counter, random: number(20..36)? })
    }
}

/// An event as the feed and every delivery show it. Members without a value are absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The place in the feed of the organisation, from 1 without a gap. An event has none before it is in the feed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The id: that of the transaction, and the number of the event among those of the transaction.
    pub id: String,
    /// One of [`TYPES`].
    #[serde(rename = "type")]
    pub event_type: String,
    /// The time of the change: RFC 3339, UTC, milliseconds.
    pub time: String,
    /// The organisation.
    pub org: String,
    /// The resource that changed.
    pub resource: Subject,
    /// The values before the change of the attributes that changed. A value is null if the attribute was absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The values after the change, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// The names of the changed attributes, instead of values that are too large for an event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// The ids of the members that were added or removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// The author of the change.
    pub actor: Author,
    /// The id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// The resource that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// `User`, `Group`, `Organisation`, `Key` or `Client`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id, or the name of the organisation.
    pub id: String,
    /// The identifier from the identity provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The `userName` of a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// The `displayName` of a group. A change of members by id does not read the group, so its event has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// The author of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The id of the key or of the OAuth client, or the name of an operator.
    pub credential: String,
    /// The kind of the client: `okta`, `entra`, `other`, or `operator`.
    pub client: String,
}

/// A change of one resource, without its author and its time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) event_type: String,
    pub(crate) resource: Subject,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
    pub(crate) members: Vec<String>,
}

impl Subject {
    /// Returns a resource of which only the id is known.
    pub(crate) fn unread(kind: ResourceKind, id: &Id) -> Self {
        Self::named(kind.as_str(), id.as_str())
    }

    /// Returns what is neither a user nor a group.
    pub(crate) fn named(kind: &str, id: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            id: id.to_owned(),
            external_id: None,
            user_name: None,
            display_name: None,
        }
    }

    /// Returns a resource with the names in its document.
    pub(crate) fn of(kind: ResourceKind, id: &Id, document: &Document) -> Self {
        let name = |name: Option<&str>| name.map(str::to_owned);
        let (user_name, display_name) = match kind {
            ResourceKind::User => (name(document.user_name()), None),
            ResourceKind::Group => (None, name(document.display_name())),
        };
        Self { external_id: name(document.external_id()), user_name, display_name, ..Self::unread(kind, id) }
    }
}

impl Change {
    /// Returns the change of a new resource.
    pub(crate) fn created(kind: ResourceKind, id: &Id, document: &Document) -> Self {
        Self {
            event_type: format!("{}.created", prefix(kind)),
            resource: Subject::of(kind, id, document),
            before: None,
            after: Some(Value::Object(document.as_map().clone())),
            members: Vec::new(),
        }
    }

    /// Returns the change of a deleted resource.
    pub(crate) fn deleted(kind: ResourceKind, id: &Id, document: &Document) -> Self {
        Self {
            event_type: format!("{}.deleted", prefix(kind)),
            resource: Subject::of(kind, id, document),
            before: Some(Value::Object(document.as_map().clone())),
            after: None,
            members: Vec::new(),
        }
    }

    /// Returns the change of a document, or `None` if both are the same.
    pub(crate) fn updated(kind: ResourceKind, id: &Id, before: &Document, after: &Document) -> Option<Self> {
        let (old, new) = differing(before.as_map(), after.as_map())?;
        let verb = match (kind, before.is_active(), after.is_active()) {
            (ResourceKind::User, true, false) => "deactivated",
            (ResourceKind::User, false, true) => "reactivated",
            _ => "updated",
        };
        Some(Self {
            event_type: format!("{}.{verb}", prefix(kind)),
            resource: Subject::of(kind, id, after),
            before: Some(Value::Object(old)),
            after: Some(Value::Object(new)),
            members: Vec::new(),
        })
    }

    /// Returns the change that an action of management made.
    pub(crate) fn of_action(
        event_type: &str,
        resource: Subject,
        before: Option<Value>,
        after: Option<Value>,
    ) -> Self {
        let (before, after) = match (before, after) {
            (Some(Value::Object(before)), Some(Value::Object(after))) => match differing(&before, &after) {
                Some((old, new)) => (Some(Value::Object(old)), Some(Value::Object(new))),
                None => (None, None),
            },
            states => states,
        };
        Self { event_type: event_type.to_owned(), resource, before, after, members: Vec::new() }
    }

    /// Returns the changes of the members of a group: those that are removed, then those that are added.
    pub(crate) fn members<'a>(
        group: &Subject,
        added: impl Iterator<Item = &'a Id>,
        removed: impl Iterator<Item = &'a Id>,
    ) -> Vec<Self> {
        let change = |verb: &str, members: Vec<String>| Self {
            event_type: format!("group.members_{verb}"),
            resource: group.clone(),
            before: None,
            after: None,
            members,
        };
        let ids = |members: &mut dyn Iterator<Item = &'a Id>| {
            members.map(|id| id.as_str().to_owned()).collect::<Vec<_>>()
        };
        [("removed", ids(&mut { removed })), ("added", ids(&mut { added }))]
            .into_iter()
            .filter(|(_, members)| !members.is_empty())
            .map(|(verb, members)| change(verb, members))
            .collect()
    }

    /// Returns the event of this change: the one of this number in the transaction of this id.
    pub(crate) fn event(
        self,
        id: &EventId,
        number: usize,
        org: &str,
        time: &str,
        (author, request): (&Author, Option<&str>),
    ) -> Event {
        let Self { event_type, resource, mut before, mut after, members } = self;
        let size = |value: &Option<Value>| value.as_ref().map_or(0, |value| value.to_string().len());
        let mut changed = Vec::new();
        if size(&before) + size(&after) > ATTRIBUTES_SIZE {
            let names = [before.take(), after.take()].into_iter().flatten();
            changed = names
                .filter_map(|value| match value {
                    Value::Object(map) => Some(map.into_iter().map(|(name, _)| name)),
                    _ => None,
                })
                .flatten()
                .collect();
            changed.sort_unstable();
            changed.dedup();
        }
        Event {
            sequence: None,
            id: format!("{id}-{number:02}"),
            event_type,
            time: time.to_owned(),
            org: org.to_owned(),
            resource,
            before,
            after,
            changed,
            members,
            actor: author.clone(),
            request: request.map(str::to_owned),
        }
    }
}

const fn prefix(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::User => "user",
        ResourceKind::Group => "group",
    }
}

/// Returns the old and the new values of the attributes that differ. An absent value is null. The attributes of an
/// extension are compared one by one.
fn differing(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) -> Option<(Map<String, Value>, Map<String, Value>)> {
    let (mut old, mut new) = (Map::new(), Map::new());
    let removed = before.keys().filter(|name| !after.contains_key(*name));
    for name in after.keys().chain(removed) {
        let values = [before.get(name), after.get(name)];
        if values[0] == values[1] {
            continue;
        }
        let [was, is] = if name.contains(':') {
            let empty = Map::new();
            let [was, is] = values.map(|value| value.and_then(Value::as_object).unwrap_or(&empty));
            let Some((was, is)) = differing(was, is) else { continue };
            [Value::Object(was), Value::Object(is)]
        } else {
            values.map(|value| value.cloned().unwrap_or(Value::Null))
        };
        old.insert(name.clone(), was);
        new.insert(name.clone(), is);
    }
    (!old.is_empty()).then_some((old, new))
}
