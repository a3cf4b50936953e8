//! The request log: one entry for each request of an identity provider, as the owner of the organisation reads it.
//!
//! An entry has the names of users and groups, and no value of any other attribute, no key and no body. The table of requests
//! keeps it for [`RETENTION`]. `telemetry` writes other lines, for operators, which have no personal data.

use scim::{ResourceKind, id::Id};
use time::Duration;

/// The time for which an entry is kept.
pub const RETENTION: Duration = Duration::days(30);

/// The largest number of members that an entry names.
pub const MEMBERS_NAMED: usize = 20;

/// The largest number of changed attributes that an entry names.
pub(crate) const ATTRIBUTES_NAMED: usize = 20;
/// The longest detail of an error, in characters.
const DETAIL: usize = 500;
/// The longest name of a subject or of an attribute, in characters.
const NAME: usize = 200;

/// An action of a request, in the closed list of the request log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A user was created.
    UserCreated,
    /// Attributes of a user were changed, and `active` was not.
    UserChanged,
    /// A user became inactive.
    UserDeactivated,
    /// A user became active again.
    UserReactivated,
    /// A user was deleted.
    UserDeleted,
    /// A user was read.
    UserRead,
    /// Users were listed or searched. Entra tests the connection so.
    UsersSearched,
    /// A group was created.
    GroupCreated,
    /// A group was renamed or otherwise changed, with or without its members.
    GroupChanged,
    /// Members were added to a group, and nothing else was changed.
    MembersAdded,
    /// Members were removed from a group, and nothing else was changed.
    MembersRemoved,
    /// A group was deleted.
    GroupDeleted,
    /// A group was read.
    GroupRead,
    /// Groups were listed or searched.
    GroupsSearched,
    /// Several operations were sent in one request.
    Bulk,
    /// The description of the service was read.
    DiscoveryRead,
    /// An access token was requested.
    TokenIssued,
    /// Anything else, such as an unknown path.
    Other,
}

/// An entry of the request log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Entry {
    /// Its id. Ids sort by time.
    #[serde(skip)]
    pub id: String,
    /// When the request was answered.
    pub at: String,
    /// The kind of the client: `okta`, `entra` or `other`.
    pub client: String,
    /// The id of the key or of the OAuth client.
    pub credential: String,
    /// The action. For a request that failed, the action that it tried.
    pub action: Action,
    /// The HTTP status of the response.
    pub status: u16,
    /// The `scimType` of an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scim_type: Option<String>,
    /// The detail of an error, of at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The user or group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// The method and the first segment of the path, if no route serves the request: `GET /Users`, `GET unknown path`.
    /// The path `/Users/Users` is an unknown one, because no user has this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The names of the changed attributes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// The ids of the first [`MEMBERS_NAMED`] added members, and the number of all.
    #[serde(default, skip_serializing_if = "Members::is_empty")]
    pub added: Members,
    /// The ids of the first [`MEMBERS_NAMED`] removed members, and the number of all.
    #[serde(default, skip_serializing_if = "Members::is_empty")]
    pub removed: Members,
    /// The duration of the request in milliseconds.
    pub millis: u64,
    /// The id of the request in the log of the function, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// The user or group that a request is about.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Subject {
    /// Its kind.
    #[serde(with = "kind")]
    pub kind: ResourceKind,
    /// Its id, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its `userName` or `displayName` at the time of the request, if the request has read or sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Members that a request added or removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Members {
    /// The ids of the first ones.
    pub ids: Vec<String>,
    /// The number of all.
    pub count: usize,
}

impl Members {
    /// Returns the members of these ids, and names the first ones. A text that is no id is not named.
    #[must_use]
    pub fn of<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> Self {
        let count = ids.len();
        Self {
            ids: ids.filter(|id| Id::parse(id).is_some()).take(MEMBERS_NAMED).map(str::to_owned).collect(),
            count,
        }
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn has(&self, id: &str) -> bool {
        self.ids.iter().any(|known| known == id)
    }
}

/// Returns the text of a name, which a client may send in any length.
pub(crate) fn shortened(name: &str) -> String {
    name.chars().take(NAME).collect()
}

/// Returns the text of an error.
pub(crate) fn shortened_detail(detail: &str) -> String {
    detail.chars().take(DETAIL).collect()
}

/// Stores the kind of a resource by its name.
mod kind {
    use scim::ResourceKind;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires the signature")]
    pub(super) fn serialize<S: Serializer>(kind: &ResourceKind, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(kind.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ResourceKind, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = ResourceKind::ALL.into_iter().find(|kind| kind.as_str() == name);
        found.ok_or_else(|| D::Error::custom("the kind is unknown"))
    }
}

/// The entries that a page of the log shall have. `None` selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Entries from this time on, as RFC 3339 in UTC with milliseconds.
    pub from: Option<String>,
    /// Entries before this time.
    pub until: Option<String>,
    /// Entries about the user of this id, also as a member.
    pub person: Option<String>,
    /// Entries about the group of this id.
    pub group: Option<String>,
    /// Entries of requests that succeeded or failed.
    pub outcome: Option<Outcome>,
    /// Entries with this status.
    pub status: Option<u16>,
    /// Entries with a status of this class, which is its first digit.
    pub class: Option<u16>,
    /// Entries of clients of this kind.
    pub client: Option<String>,
}

impl Filter {
    /// Returns whether the entry is one of those, whatever its time.
    #[must_use]
    pub fn selects(&self, entry: &Entry) -> bool {
        let is_about = |kind: ResourceKind, id: &str| {
            entry.subject.as_ref().is_some_and(|it| it.kind == kind && it.id.as_deref() == Some(id))
        };
        let has_person =
            |id: &String| is_about(ResourceKind::User, id) || entry.added.has(id) || entry.removed.has(id);
        self.person.as_ref().is_none_or(has_person)
            && self.group.as_ref().is_none_or(|id| is_about(ResourceKind::Group, id))
            && self.outcome.is_none_or(|outcome| outcome == Outcome::of(entry.status))
            && self.status.is_none_or(|status| status == entry.status)
            && self.class.is_none_or(|class| class == entry.status / 100)
            && self.client.as_ref().is_none_or(|client| *client == entry.client)
    }
}

/// Whether a request succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The status is below 400.
    Succeeded,
    /// The status is 400 or above.
    Failed,
}

impl Outcome {
    /// Returns the outcome of a request with this status.
    #[must_use]
    pub fn of(status: u16) -> Self {
        if status < 400 { Self::Succeeded } else { Self::Failed }
    }
}

/// The requests of an organisation in one hour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hour {
    /// The start of the hour, as `2026-11-28T14`.
    pub hour: String,
    /// The number of requests.
    pub requests: u64,
    /// The number of those with a status of 400 or above.
    pub errors: u64,
    /// The number of active users at the first request of the hour, if it was counted.
    pub people: Option<u64>,
}
