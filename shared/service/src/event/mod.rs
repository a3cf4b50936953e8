//! Events: the changes of an organisation, as the product hears of them.
//!
//! The transaction of a change writes its events ([`store`](crate::store)). The sequencer gives each event its place in the
//! feed of the organisation. An [`EventId`] orders the events of changes that depend on each other, without trust in clocks.

mod change;
mod id;

use scim::{ResourceKind, id::Id, resource::Document};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use change::Change;
pub use id::{EventId, ParseEventIdError};

/// The path of the feed of an organisation's events.
pub const FEED_PATH: &str = "/events/v1";

/// An event as the feed and every delivery show it. Members without a value are absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The place in the feed of the organisation, from 1 without a gap. An event has none before it is in the feed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The id: that of the transaction, and the number of the event among those of the transaction.
    pub id: String,
    /// Its type, such as `user.created`. `EVENTS.md` lists them.
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

/// The author of a change, the request that made it, and its time. A change of many members keeps them until it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Authorship {
    pub(crate) author: Author,
    pub(crate) request: Option<String>,
    /// RFC 3339, UTC, milliseconds.
    pub(crate) at: String,
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
