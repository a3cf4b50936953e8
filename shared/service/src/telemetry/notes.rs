//! Notes for the request log, taken while a request is handled.
//!
//! The action and the id follow from the method and the path, so that they are known of a request that fails early. The
//! handlers add what they read and change. A note has names of resources and of attributes, and no other values.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    extract::FromRequestParts,
    http::{Method, request::Parts},
    response::Response,
};
use scim::{
    ResourceKind, ScimType, id::Id, members::MemberOperation, resource::Document, schema::ENTERPRISE_USER_URN,
};
use serde_json::{Map, Value};

use crate::request_log::{ATTRIBUTES_NAMED, Action, Members, Subject, shortened};

/// The detail of an error, for the request log.
#[derive(Clone)]
pub(crate) struct Detail(pub(crate) String);

/// The notes of a request. Clones share them. Without the request log nothing is noted.
#[derive(Clone, Default)]
pub(crate) struct Notes(Option<Arc<Mutex<Noted>>>);

/// The facts that are known about a request.
#[derive(Clone, Default)]
pub(crate) struct Noted {
    action: Option<Action>,
    kind: Option<ResourceKind>,
    id: Option<String>,
    name: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) changed: Vec<String>,
    pub(crate) added: Members,
    pub(crate) removed: Members,
    /// The operations of a bulk request.
    pub(crate) parts: Vec<Part>,
}

/// An operation of a bulk request.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) noted: Noted,
    pub(crate) answered: Answered,
    pub(crate) millis: u64,
}

/// The outcome of a request, as its response says it.
#[derive(Clone)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) scim_type: Option<ScimType>,
    pub(crate) detail: Option<String>,
}

impl Answered {
    /// Reads a response.
    pub(crate) fn of(response: &Response) -> Self {
        let extensions = response.extensions();
        Self {
            status: response.status().as_u16(),
            scim_type: extensions.get().copied(),
            detail: extensions.get().map(|Detail(detail)| detail.clone()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Notes {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

impl Notes {
    /// Returns the notes of a request with this method and this path under the base.
    pub(crate) fn of_request(method: &str, path: &str) -> Self {
        let (action, kind, id) = action(method, path);
        // A base URL that ends in /Users leads to /Users/Users, which has the form of a user's path.
        let endpoint = id.filter(|id| matches!(*id, "Users" | "Groups"));
        let endpoint = endpoint.map(|_| format!("{method} unknown path"));
        let id = id.and_then(Id::parse).map(|id| id.as_str().to_owned());
        let noted = Noted { action: Some(action), kind, id, endpoint, ..Noted::default() };
        Self(Some(Arc::new(Mutex::new(noted))))
    }

    /// Returns whether anything is noted.
    pub(crate) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Returns what is noted.
    pub(crate) fn noted(&self) -> Option<Noted> {
        self.lock().map(|noted| noted.clone())
    }

    /// Notes that no route serves the request.
    pub(crate) fn unserved(&self, endpoint: String) {
        self.note(|noted| noted.endpoint = Some(endpoint));
    }

    /// Notes the name in the body of a new resource, which may be invalid.
    pub(crate) fn sent(&self, body: &Value) {
        self.note(|noted| {
            let attribute = if noted.kind == Some(ResourceKind::Group) { "displayName" } else { "userName" };
            let mut members = body.as_object().into_iter().flatten();
            let name = members.find(|(name, _)| name.eq_ignore_ascii_case(attribute));
            let name = name.and_then(|(_, value)| value.as_str()).filter(|name| !name.is_empty());
            noted.name = name.map(shortened);
        });
    }

    /// Notes the name that a search selects by.
    pub(crate) fn searched(&self, name: Option<&str>) {
        self.note(|noted| noted.name = name.map(shortened));
    }

    /// Notes the only resource that a search found.
    pub(crate) fn found(&self, id: &Id) {
        self.note(|noted| noted.id = Some(id.as_str().to_owned()));
    }

    /// Notes the resource that was read or written.
    pub(crate) fn resource(&self, id: &Id, document: &Document) {
        self.note(|noted| {
            noted.id = Some(id.as_str().to_owned());
            noted.named(document);
        });
    }

    /// Notes the change of a document. A change that is tried again replaces the one before.
    pub(crate) fn changes(&self, before: &Document, after: Option<&Document>) {
        self.note(|noted| {
            noted.named(before);
            let Some(after) = after else { return };
            noted.changed = changed(before.as_map(), after.as_map());
            if noted.kind == Some(ResourceKind::User) {
                noted.action = Some(match (before.is_active(), after.is_active()) {
                    (true, false) => Action::UserDeactivated,
                    (false, true) => Action::UserReactivated,
                    _ => Action::UserChanged,
                });
            }
        });
    }

    /// Notes the members that a request names to be added and removed.
    pub(crate) fn names_members(&self, operations: &[MemberOperation]) {
        let added = operations.iter().flat_map(|operation| match operation {
            MemberOperation::Add(members) => members.as_slice(),
            _ => &[],
        });
        let removed = operations.iter().flat_map(|operation| match operation {
            MemberOperation::Remove(ids) => ids.as_slice(),
            _ => &[],
        });
        let added: Vec<&str> = added.map(|member| member.value.as_str()).collect();
        let removed: Vec<&str> = removed.map(String::as_str).collect();
        self.members(&Members::of(added.into_iter()), &Members::of(removed.into_iter()));
    }

    /// Notes the members that were added and removed.
    pub(crate) fn members(&self, added: &Members, removed: &Members) {
        self.note(|noted| {
            noted.added = added.clone();
            noted.removed = removed.clone();
        });
    }

    /// Notes an operation of a bulk request.
    pub(crate) fn part(&self, part: Part) {
        self.note(|noted| noted.parts.push(part));
    }

    fn note(&self, note: impl FnOnce(&mut Noted)) {
        if let Some(mut noted) = self.lock() {
            note(&mut noted);
        }
    }

    fn lock(&self) -> Option<MutexGuard<'_, Noted>> {
        self.0.as_ref().map(|noted| noted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Noted {
    /// Returns the action. A change of a group that changes nothing but members is one of these.
    pub(crate) fn action(&self) -> Action {
        if self.endpoint.is_some() {
            return Action::Other;
        }
        let has_only_members = self.changed.is_empty();
        match self.action.unwrap_or(Action::Other) {
            Action::GroupChanged if has_only_members => {
                match (self.added.is_empty(), self.removed.is_empty()) {
                    (false, true) => Action::MembersAdded,
                    (true, false) => Action::MembersRemoved,
                    _ => Action::GroupChanged,
                }
            }
            action => action,
        }
    }

    /// Returns the subject, if its id or its name is known.
    pub(crate) fn subject(&self) -> Option<Subject> {
        let (id, name) = (self.id.clone(), self.name.clone());
        let kind = self.kind.filter(|_| id.is_some() || name.is_some())?;
        Some(Subject { kind, id, name })
    }

    fn named(&mut self, document: &Document) {
        let name = match self.kind {
            Some(ResourceKind::Group) => document.display_name(),
            _ => document.user_name(),
        };
        self.name = name.map(shortened);
    }
}

/// Returns the action of a request that succeeds, the kind of its subject, and the text of the subject's id.
fn action<'a>(method: &str, path: &'a str) -> (Action, Option<ResourceKind>, Option<&'a str>) {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let is_read = method == Method::GET.as_str() || method == Method::HEAD.as_str();
    let by_kind = |collection: &str| match collection {
        "Users" => Some((
            ResourceKind::User,
            [Action::UserCreated, Action::UserRead, Action::UserChanged, Action::UserDeleted],
            Action::UsersSearched,
        )),
        "Groups" => Some((
            ResourceKind::Group,
            [Action::GroupCreated, Action::GroupRead, Action::GroupChanged, Action::GroupDeleted],
            Action::GroupsSearched,
        )),
        _ => None,
    };
    match (method, segments.as_slice()) {
        ("POST", ["Bulk"]) => return (Action::Bulk, None, None),
        ("POST", ["oauth2", "token"]) => return (Action::TokenIssued, None, None),
        ("POST", [".search"]) => return (Action::UsersSearched, None, None),
        (_, ["ServiceProviderConfig" | "ResourceTypes" | "Schemas", ..]) if is_read => {
            return (Action::DiscoveryRead, None, None);
        }
        _ => {}
    }
    let Some((kind, [created, read, changed, deleted], searched)) =
        segments.first().and_then(|collection| by_kind(collection))
    else {
        return (Action::Other, None, None);
    };
    let (action, id) = match (method, &segments[1..]) {
        ("POST", []) => (created, None),
        (_, []) if is_read => (searched, None),
        ("POST", [".search"]) => (searched, None),
        (_, [id]) if is_read => (read, Some(*id)),
        ("PUT" | "PATCH", [id]) => (changed, Some(*id)),
        ("DELETE", [id]) => (deleted, Some(*id)),
        _ => (Action::Other, None),
    };
    (action, Some(kind), id)
}

/// Returns the names of the attributes that differ. Sub-attributes of a complex attribute with one value, and attributes of
/// an extension, have names of their own.
fn changed(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let mut names = Vec::new();
    for name in differing(before, after) {
        let inner = [before.get(name), after.get(name)].map(|value| value.and_then(Value::as_object));
        if let [None, None] = inner {
            names.push(name.to_owned());
            continue;
        }
        let none = Map::new();
        let [old, new] = inner.map(|object| object.unwrap_or(&none));
        let prefix = match name {
            ENTERPRISE_USER_URN => String::new(),
            name if name.contains(':') => format!("{name}:"),
            name => format!("{name}."),
        };
        names.extend(differing(old, new).map(|sub| format!("{prefix}{sub}")));
    }
    names.iter().take(ATTRIBUTES_NAMED).map(|name| shortened(name)).collect()
}

fn differing<'a>(
    before: &'a Map<String, Value>,
    after: &'a Map<String, Value>,
) -> impl Iterator<Item = &'a str> {
    let removed = before.keys().filter(|name| !after.contains_key(*name));
    let changed = after.iter().filter(|(name, value)| before.get(*name) != Some(value)).map(|(name, _)| name);
    changed.chain(removed).map(String::as_str)
}
