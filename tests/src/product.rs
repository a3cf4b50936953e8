//! A sample product: it follows the events of an organisation, and keeps a table of people and a table of teams that equal
//! the directory.
//!
//! The product begins with the snapshot and continues with the feed. It fails if the feed breaks a promise: an event that is
//! missing or comes twice, or an event that comes before its cause.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use service::{auth::Org, limits::SEQUENCER_BUDGET};
use tokio::time::Instant;

use crate::{Request, Service};

/// The tables of the product.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tables {
    /// The attributes of each person, by id.
    pub people: BTreeMap<String, Map<String, Value>>,
    /// The attributes of each team, by id.
    pub teams: BTreeMap<String, Map<String, Value>>,
    /// The members of each team, by id.
    pub members: BTreeMap<String, BTreeSet<String>>,
}

/// The product.
#[derive(Debug, Clone, Default)]
pub struct Product {
    /// The tables.
    pub tables: Tables,
    /// The sequence number of the last event that was applied.
    pub cursor: u64,
    /// The ids of deleted people and teams.
    deleted: BTreeSet<String>,
    /// Whether the product has begun with a snapshot. The snapshot may have changes whose events follow in the feed, and
    /// members that follow as groups.
    from_snapshot: bool,
}

impl Product {
    /// Reads the snapshot.
    pub async fn start(service: &Service) -> Self {
        let mut path = "/events/v1/snapshot".to_owned();
        let mut lines = Vec::new();
        loop {
            lines.extend(Request::get(&path).at_root().send_lines(service).await);
            let end = lines.pop().expect("a last line");
            let Some(next) = end["next"].as_str() else {
                return Self::from_snapshot(&lines, end["sequence"].as_u64().expect("a sequence number"));
            };
            path = format!("/events/v1/snapshot?cursor={next}");
        }
    }

    /// Returns a product with the lines of a snapshot, which continues after that sequence number.
    #[must_use]
    pub fn from_snapshot(lines: &[Value], cursor: u64) -> Self {
        let mut product = Self { cursor, from_snapshot: true, ..Self::default() };
        lines.iter().for_each(|line| product.apply(line));
        product
    }

    /// Applies all events of the feed after the cursor. Returns them.
    pub async fn follow(&mut self, service: &Service) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let path = format!("/events/v1?after={}&limit=1000", self.cursor);
            let answer = Request::get(&path).at_root().send(service).await;
            assert_eq!(answer.status, 200, "{:#}", answer.body);
            let events = answer.body["events"].as_array().expect("events").clone();
            if events.is_empty() {
                return all;
            }
            for event in &events {
                let sequence = event["sequence"].as_u64().expect("a sequence number");
                assert_eq!(sequence, self.cursor + 1, "the feed has a gap or repeats an event: {event:#}");
                self.apply(event);
                self.cursor = sequence;
            }
            all.extend(events);
        }
    }

    /// Applies an event, or a line of a snapshot.
    fn apply(&mut self, event: &Value) {
        let kind = event["type"].as_str().expect("a type");
        let id = event["resource"]["id"].as_str().expect("an id").to_owned();
        let attributes = || event["after"].as_object().expect("attributes").clone();
        match kind {
            "user.created" => {
                self.tables.people.insert(id, attributes());
            }
            "group.created" => {
                self.tables.members.entry(id.clone()).or_default();
                self.tables.teams.insert(id, attributes());
            }
            "user.updated" | "user.deactivated" | "user.reactivated" => {
                let person = self.tables.people.get_mut(&id);
                update(person, event, self.from_snapshot);
            }
            "group.updated" => {
                let team = self.tables.teams.get_mut(&id);
                update(team, event, self.from_snapshot);
            }
            "user.deleted" => {
                let is_known = self.tables.people.remove(&id).is_some();
                assert!(is_known || self.from_snapshot, "unknown: {event:#}");
                self.deleted.insert(id);
            }
            "group.deleted" => {
                let is_known = self.tables.teams.remove(&id).is_some();
                assert!(is_known || self.from_snapshot, "unknown: {event:#}");
                self.tables.members.remove(&id);
                self.deleted.insert(id);
            }
            "group.members_added" => {
                for member in ids(event) {
                    let is_known = self.from_snapshot
                        || self.tables.people.contains_key(&member)
                        || self.tables.teams.contains_key(&member)
                        // A deletion may come before an addition just before it.
                        || self.deleted.contains(&member);
                    assert!(is_known, "the effect comes before its cause: {event:#}");
                    self.team(&id, event).insert(member);
                }
            }
            "group.members_removed" => {
                for member in ids(event) {
                    self.team(&id, event).remove(&member);
                }
            }
            _ => {}
        }
    }

    fn team(&mut self, id: &str, event: &Value) -> &mut BTreeSet<String> {
        let is_known = self.tables.teams.contains_key(id) || self.from_snapshot;
        assert!(is_known, "unknown team: {event:#}");
        self.tables.members.entry(id.to_owned()).or_default()
    }
}

/// Applies the values after a change. Null removes an attribute.
fn update(stored: Option<&mut Map<String, Value>>, event: &Value, from_snapshot: bool) {
    let Some(stored) = stored else {
        assert!(from_snapshot, "unknown resource: {event:#}");
        return;
    };
    if !from_snapshot {
        check_before(stored, event);
    }
    for (name, old) in event["before"].as_object().expect("attributes") {
        let new = &event["after"][name];
        if name.contains(':') {
            let extension = stored.entry(name.clone()).or_insert_with(|| json!({}));
            let extension = extension.as_object_mut().expect("an extension");
            for name in old.as_object().expect("attributes of an extension").keys() {
                set(extension, name, &new[name]);
            }
            if extension.is_empty() {
                stored.remove(name);
            }
        } else {
            set(stored, name, new);
        }
    }
}

/// Fails unless the values before a change are those that are stored.
fn check_before(stored: &Map<String, Value>, event: &Value) {
    for (name, old) in event["before"].as_object().expect("attributes") {
        let is = stored.get(name).unwrap_or(&Value::Null);
        match old.as_object().filter(|_| name.contains(':')) {
            Some(extension) => {
                extension.iter().for_each(|(name, old)| assert_eq!(&is[name], old, "{event:#}"))
            }
            None => assert_eq!(is, old, "the values before differ: {event:#}"),
        }
    }
}

fn set(stored: &mut Map<String, Value>, name: &str, new: &Value) {
    if new.is_null() {
        stored.remove(name);
    } else {
        stored.insert(name.to_owned(), new.clone());
    }
}

fn ids(event: &Value) -> Vec<String> {
    let members = event["members"].as_array().expect("members");
    members.iter().map(|id| id.as_str().expect("an id").to_owned()).collect()
}

/// Moves the events to the feed, and checks that a product that follows the feed from its beginning knows the directory.
///
/// # Panics
/// If the feed breaks a promise.
pub async fn check(service: &Service) {
    let mut product = Product::default();
    sequence(service).await;
    product.follow(service).await;
    assert_eq!(product.tables, directory(service).await, "the events do not lead to the directory");
}

/// Moves the events of the organisation to its feed.
///
/// # Panics
/// If the store fails.
pub async fn sequence(service: &Service) -> u64 {
    let org: Org = service.org.parse().expect("an organisation's name");
    let until = Instant::now() + SEQUENCER_BUDGET;
    service.app.store.sequence(&org, until).await.expect("a run of the sequencer")
}

/// Returns the directory of the service in the form of the product's tables, as its API shows it.
pub async fn directory(service: &Service) -> Tables {
    let mut tables = Tables::default();
    for user in list(service, "/Users").await {
        let (id, attributes) = resource(user);
        tables.people.insert(id, attributes);
    }
    for group in list(service, "/Groups").await {
        let members = group["members"].as_array().cloned().unwrap_or_default();
        let members = members.iter().map(|member| member["value"].as_str().expect("an id").to_owned());
        let members = members.collect();
        let (id, attributes) = resource(group);
        tables.members.insert(id.clone(), members);
        tables.teams.insert(id, attributes);
    }
    tables
}

async fn list(service: &Service, path: &str) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let path = format!("{path}?count=1000&startIndex={}", all.len() + 1);
        let answer = Request::get(&path).send(service).await;
        assert_eq!(answer.status, 200, "{:#}", answer.body);
        let page = answer.body["Resources"].as_array().cloned().unwrap_or_default();
        all.extend(page);
        if all.len() as u64 >= answer.body["totalResults"].as_u64().expect("a number") {
            return all;
        }
    }
}

/// Returns the id and the attributes that clients write.
fn resource(mut shown: Value) -> (String, Map<String, Value>) {
    let attributes = shown.as_object_mut().expect("a resource");
    let id = attributes.remove("id").expect("an id").as_str().expect("a text").to_owned();
    for name in ["schemas", "meta", "groups", "members"] {
        attributes.remove(name);
    }
    (id, std::mem::take(attributes))
}
