//! Changes: what a transaction does to a resource, and the events that tell it.

use scim::{ResourceKind, id::Id, resource::Document};
use serde_json::{Map, Value, json};

use super::{Authorship, Event, EventId, Subject};

/// The largest size of the attributes of an event, in bytes of JSON. DynamoDB stores items of 400 KB, and a group of events
/// is one item before it is in the feed.
const ATTRIBUTES_SIZE: usize = 128 * 1024;

/// A change of one resource, without its author and its time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) event_type: String,
    pub(crate) resource: Subject,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
    pub(crate) members: Vec<String>,
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

    /// Returns the changes that an action of management made. A rotation changes one key and creates another one. The deletion
    /// of an organisation deletes its feed, and has no change. Neither has an action that leaves all attributes as they were.
    pub(crate) fn of_action(action: &str, target: &str, before: &Value, after: &Value) -> Vec<Self> {
        let change = |event_type: &str, target: &str, before: &Value, after: &Value| {
            let kind = match event_type.split('.').next() {
                Some("org") => "Organisation",
                Some("key") => "Key",
                _ => "Client",
            };
            let (before, after) = match (before, after) {
                (Value::Object(before), Value::Object(after)) => {
                    let (old, new) = differing(before, after)?;
                    (Some(Value::Object(old)), Some(Value::Object(new)))
                }
                (Value::Null, after) => (None, Some(after.clone())),
                (before, _) => (Some(before.clone()), None),
            };
            let (event_type, resource) = (event_type.to_owned(), Subject::named(kind, target));
            Some(Self { event_type, resource, before, after, members: Vec::new() })
        };
        let changes = match action {
            "org.create" => vec![change("org.created", target, before, after)],
            "org.change" => vec![change("org.updated", target, before, after)],
            // These end the work that holds the organisation. Their results are reports.
            "org.import" | "org.empty" => {
                let word = if action == "org.import" { "import" } else { "deletion" };
                let (held, free) = (json!({ "work": word }), json!({ "work": null }));
                vec![change("org.updated", target, &held, &free)]
            }
            "key.create" => vec![change("key.created", target, before, after)],
            "key.change" => vec![change("key.updated", target, before, after)],
            "key.rotate" => {
                let new = after[1]["id"].as_str().unwrap_or_default();
                vec![
                    change("key.updated", target, &before[0], &after[0]),
                    change("key.created", new, &Value::Null, &after[1]),
                ]
            }
            "key.revoke" => vec![change("key.revoked", target, before, after)],
            "client.create" => vec![change("client.created", target, before, after)],
            "client.delete" => vec![change("client.revoked", target, before, after)],
            action if action.starts_with("client.") => {
                vec![change("client.updated", target, before, after)]
            }
            _ => Vec::new(),
        };
        changes.into_iter().flatten().collect()
    }

    /// Returns the changes of the members of a group: those that are removed, then those that are added.
    pub(crate) fn members<'a>(
        group: &Subject,
        added: impl Iterator<Item = &'a Id>,
        removed: impl Iterator<Item = &'a Id>,
    ) -> Vec<Self> {
        let change = |(verb, members): (&str, Vec<String>)| Self {
            event_type: format!("group.members_{verb}"),
            resource: group.clone(),
            before: None,
            after: None,
            members,
        };
        let (removed, added) = (removed.map(Id::to_string).collect(), added.map(Id::to_string).collect());
        let changes = [("removed", removed), ("added", added)].into_iter();
        changes.filter(|(_, members): &(&str, Vec<String>)| !members.is_empty()).map(change).collect()
    }

    /// Returns the event of this change: the one of this number in the transaction of this id.
    pub(crate) fn event(self, id: &EventId, number: usize, org: &str, by: &Authorship) -> Event {
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
            time: by.at.clone(),
            org: org.to_owned(),
            resource,
            before,
            after,
            changed,
            members,
            actor: by.author.clone(),
            request: by.request.clone(),
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
