//! The data that the fault tests write to, and how they look at it.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    path::PathBuf,
    sync::Arc,
};

use aws_sdk_dynamodb::Client;
use axum::http::{HeaderMap, HeaderValue, header::RETRY_AFTER};
use dynoxide::Database;
use local::embedded;
use serde_json::{Value, json};
use service::{
    Error,
    auth::{Org, Scope},
    clock::Clock,
    config::Tables,
    entropy::Entropy,
    janitor,
    store::NewKey,
};
use tests::{Answer, NOW, ORG, PEPPER, Request, Service, enable_org, faults::Faults, operator, pepper_of};
use time::Duration;

use super::{create_all, members};

/// The number of users.
pub(super) const USERS: usize = 64;
/// A number of members that cannot be added in one transaction.
pub(super) const MANY: usize = 40;
/// A number of members that cannot be removed in one transaction.
const HUGE: usize = 60;
/// A user that no write changes.
const UNRELATED_USER: usize = USERS - 1;
/// The organisation that the commands of an operator change. Its requests are not tested.
const OTHER_ORG: &str = "other";

/// The data before a write.
#[derive(Clone)]
pub(super) struct World {
    key: String,
    snapshot: PathBuf,
    directory: Arc<TempDir>,
    /// The time that has passed since the first requests.
    now: Duration,
    users: Vec<String>,
    /// Groups by name: one of two members, one of many, one that is its own member, one of a user and two groups, and
    /// five of the same user.
    groups: BTreeMap<&'static str, String>,
    /// The id of the key of [`OTHER_ORG`].
    other_key: String,
}

/// A directory that is removed after the test.
struct TempDir(PathBuf);

impl TempDir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("scim-crashes-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A request of a client, a command of an operator, or a run of the janitor.
#[derive(Clone, Debug)]
pub(super) enum Write {
    Request(Request),
    Operator(Command),
    Janitor,
}

/// A command of an operator.
#[derive(Clone, Copy, Debug)]
pub(super) enum Command {
    CreateOrg,
    EnableOrg(bool),
    CreateKey,
    /// Revokes the key of [`World`].
    RevokeKey,
    /// Revokes the key that [`Self::CreateKey`] has created.
    RevokeNewKey,
}

impl From<Request> for Write {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

impl From<Command> for Write {
    fn from(command: Command) -> Self {
        Self::Operator(command)
    }
}

/// Data by name: what requests read, or the items of the tables.
pub(super) type Seen = BTreeMap<String, Value>;

impl World {
    pub(super) async fn new(name: &str) -> Self {
        let database = Database::memory().expect("a database");
        let service = Service::on(embedded::client(database.clone())).await;
        let user = |index: usize| {
            let address = format!("user-{index}@example.com");
            json!({ "userName": format!("user-{index}"), "externalId": format!("{index}"), "emails": [{ "value": address }] })
        };
        let users = create_all(&service, &service.key, "/Users", (0..USERS).map(user)).await;
        let mut groups = BTreeMap::new();
        let mut group = async |name: &'static str, ids: &[&String]| {
            let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
            let id = service.group(name, &ids).await;
            groups.insert(name, id.clone());
            id
        };
        let small = group("small", &[&users[0], &users[1]]).await;
        group("large", &users.iter().take(HUGE).collect::<Vec<_>>()).await;
        let looped = group("looped", &[&users[3]]).await;
        let itself = json!([{ "op": "add", "path": "members", "value": members([&looped]) }]);
        assert_eq!(service.patch(&format!("/Groups/{looped}"), itself).await.status, 204);
        group("parent", &[&small, &looped, &users[3]]).await;
        for name in ["one", "two", "three", "four", "five"] {
            group(name, &[&users[2]]).await;
        }
        service.organisation(OTHER_ORG, &[Scope::Scim]).await;
        let keys = service.app.store.keys(&other_org()).await.expect("keys");
        let directory = Arc::new(TempDir::new(name));
        let snapshot = directory.0.join("snapshot.db");
        database.vacuum_into(&snapshot.to_string_lossy()).expect("a snapshot");
        let (key, other_key) = (service.key, keys[0].id.clone());
        Self { key, snapshot, directory, now: Duration::ZERO, users, groups, other_key }
    }

    /// Returns the data of the database, after that time.
    pub(super) fn continued(&self, database: &Database, name: &str, now: Duration) -> Self {
        let snapshot = self.directory.0.join(name);
        database.vacuum_into(&snapshot.to_string_lossy()).expect("a snapshot");
        Self { snapshot, now, ..self.clone() }
    }

    pub(super) fn database(&self) -> Database {
        let database = Database::memory().expect("a database");
        database.restore_from(&self.snapshot.to_string_lossy()).expect("a copy of the snapshot");
        database
    }

    /// Returns another process on a copy of the database, after that time.
    pub(super) fn process(&self, database: &Database, seed: u64, after: Duration) -> Service {
        self.process_on(embedded::client(database.clone()), seed, after)
    }

    pub(super) fn process_on(&self, client: Client, seed: u64, after: Duration) -> Service {
        let clock = Clock::fixed(NOW + self.now + after);
        Service::restarted(client, clock, Entropy::seeded(seed), &self.key)
    }

    /// Returns a process whose calls fail.
    pub(super) fn failing(&self, database: &Database, faults: &Faults) -> Service {
        self.process_on(faults.client(database.clone()), 3, Duration::ZERO)
    }

    pub(super) fn user(&self, index: usize) -> String {
        format!("/Users/{}", self.users[index])
    }

    pub(super) fn unrelated_user(&self) -> String {
        self.user(UNRELATED_USER)
    }

    pub(super) fn group(&self, name: &str) -> String {
        format!("/Groups/{}", self.groups[name])
    }

    pub(super) fn ids(&self, users: impl IntoIterator<Item = usize>) -> Value {
        members(users.into_iter().map(|user| &self.users[user]))
    }

    /// Sends a write to a process.
    pub(super) async fn send(&self, write: &Write, service: &Service) -> Answer {
        match write {
            Write::Request(request) => request.send(service).await,
            Write::Operator(command) => answer(&self.command(*command, service).await),
            Write::Janitor => {
                sweep(service).await;
                answer(&Ok(true))
            }
        }
    }

    /// Returns whether the command found what it changes, or created what did not exist.
    async fn command(&self, command: Command, service: &Service) -> Result<bool, Error> {
        let (store, org) = (&service.app.store, other_org());
        match command {
            Command::CreateOrg => store.create_org(&"new".parse().expect("a name"), &operator()).await,
            Command::EnableOrg(enabled) => enable_org(store, &org, enabled).await,
            Command::CreateKey => {
                let new = NewKey { scopes: [Scope::Read].into(), ..NewKey::default() };
                store.create_key(&org, &new, &pepper_of(PEPPER), &operator()).await.map(|_| true)
            }
            Command::RevokeKey => store.revoke_key(&org, &self.other_key, &operator()).await,
            Command::RevokeNewKey => {
                let keys = store.keys(&org).await?;
                let new = keys.iter().find(|key| key.id != self.other_key).expect("a new key");
                store.revoke_key(&org, &new.id, &operator()).await
            }
        }
    }

    /// Returns what the write may change, as a process shows it if it is a request, else the items.
    pub(super) async fn look(&self, write: &Write, service: &Service, database: &Database) -> Seen {
        match write {
            Write::Request(_) => visible(service).await,
            Write::Operator(_) | Write::Janitor => self.stored(database),
        }
    }

    /// Returns every item, without bookmarks and without the attributes that differ if a change is written in another way.
    /// The ids of new resources are replaced by their names, and the counts of a kind are added up.
    pub(super) fn stored(&self, database: &Database) -> Seen {
        let mut seen = Seen::new();
        for table in [Tables::default().resources, Tables::default().keys] {
            let mut items = self.with_names(scan(database, &table));
            for item in items.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
                let text = |name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
                let (partition, key) = (text("pk"), text("sk"));
                if partition.ends_with("#PAGE") {
                    continue;
                }
                // Each change has its events once. Their ids and times are those of the attempt that was carried out. A
                // large change of members that is repeated may add the same members again.
                if partition.starts_with("OUTBOX#") {
                    let events: Vec<Value> = serde_json::from_str(&text("events")).expect("events");
                    for event in events {
                        let entry = format!("OUTBOX {}", event["type"]);
                        let is_of_members = event["members"].is_array();
                        let count = seen.get(&entry).and_then(Value::as_i64).unwrap_or_default();
                        seen.insert(entry, if is_of_members { 1 } else { count + 1 }.into());
                    }
                    continue;
                }
                // The id and the time of an entry in the audit log are those of the attempt that was carried out.
                if partition.starts_with("AUDIT#") {
                    let entry = format!("{partition} {} {}", text("action"), text("target"));
                    let count = seen.get(&entry).and_then(Value::as_i64).unwrap_or_default();
                    seen.insert(entry, (count + 1).into());
                    continue;
                }
                for changing in ["pk", "sk", "version", "created", "modified", "finished", "joins", "stamp"] {
                    item.remove(changing);
                }
                item.entry("revoked").and_modify(|time| *time = true.into());
                if partition.ends_with("#COUNT") {
                    let (kind, _) = key.split_once('#').unwrap_or((&key, ""));
                    for (name, number) in item {
                        let number = number["N"].as_str().and_then(|digits| digits.parse::<i64>().ok());
                        let sum =
                            seen.entry(format!("{partition} {kind} {name}")).or_insert_with(|| 0.into());
                        *sum = (sum.as_i64().unwrap_or_default() + number.unwrap_or_default()).into();
                    }
                    continue;
                }
                seen.insert(format!("{partition} {key}"), mem::take(item).into());
            }
        }
        seen.retain(|_, value| *value != 0);
        seen
    }

    /// Replaces the ids of new resources by their names.
    fn with_names(&self, items: Value) -> Value {
        let known: BTreeSet<&str> =
            self.users.iter().chain(self.groups.values()).map(String::as_str).collect();
        let mut names = Vec::new();
        for item in items.as_array().into_iter().flatten() {
            let id = item["sk"]["S"].as_str().unwrap_or_default();
            if let Some(document) = item["document"]["S"].as_str()
                && !known.contains(id)
            {
                let document: Value = serde_json::from_str(document).expect("a document");
                let name = document["userName"].as_str().or(document["displayName"].as_str());
                names.push((id.to_owned(), name.expect("a name").to_owned()));
            }
        }
        if names.is_empty() {
            return items;
        }
        let mut text = items.to_string();
        for (id, name) in names {
            text = text.replace(&id, &name);
        }
        serde_json::from_str(&text).expect("items")
    }
}

fn other_org() -> Org {
    OTHER_ORG.parse().expect("a name")
}

/// Runs the janitor.
pub(super) async fn sweep(service: &Service) {
    let swept = janitor::sweep(&service.app.store).await;
    assert_eq!(swept.failed, 0, "{swept:?}");
}

/// Returns the answer that a client would receive.
fn answer(outcome: &Result<bool, Error>) -> Answer {
    let status = match outcome {
        Ok(true) => 200,
        Ok(false) => 409,
        Err(Error::Throttled) => 429,
        Err(Error::Unavailable(_)) => 503,
        Err(_) => 500,
    };
    let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("1"))]);
    Answer::new(status, headers, &[])
}

pub(super) fn scan(database: &Database, table: &str) -> Value {
    let request = json!({ "TableName": table }).to_string();
    let answer = embedded::dispatch(database, "Scan", request.as_bytes()).expect("an answer");
    let mut answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer.get("LastEvaluatedKey"), None, "the table has several pages");
    answer["Items"].take()
}

pub(super) async fn visible(service: &Service) -> Seen {
    let mut seen = Seen::new();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut resources = Vec::new();
    for (path, name) in [("/Users", "userName"), ("/Groups", "displayName")] {
        let list = service.get(&format!("{path}?count=1000")).await;
        assert_eq!(list.status, 200, "{:#}", list.body);
        seen.insert(format!("total of {path}"), list.body["totalResults"].clone());
        for resource in list.body["Resources"].as_array().cloned().unwrap_or_default() {
            let text = |name: &str| resource[name].as_str().unwrap_or_default().to_owned();
            names.insert(text("id"), text(name));
            resources.push((text(name), resource));
        }
    }
    for (name, resource) in resources {
        let among = |attribute: &str| -> BTreeSet<String> {
            let elements = resource[attribute].as_array().cloned().unwrap_or_default();
            let name = |element: &Value| {
                let id = element["value"].as_str().unwrap_or_default();
                names.get(id).cloned().unwrap_or_else(|| format!("unknown {id}"))
            };
            elements.iter().map(name).collect()
        };
        let shown = json!({
            "active": resource["active"], "externalId": resource["externalId"], "emails": resource["emails"],
            "members": among("members"), "groups": among("groups"),
        });
        assert!(seen.insert(name.clone(), shown).is_none(), "two are named {name}");
    }
    seen
}

/// Returns the lines in which the data differ.
pub(super) fn difference(expected: &Seen, seen: &Seen) -> String {
    let names: BTreeSet<&String> = expected.keys().chain(seen.keys()).collect();
    let differing = names.into_iter().filter(|name| expected.get(*name) != seen.get(*name));
    let line = |name: &String| format!("{name}: {:?} -> {:?}", expected.get(name), seen.get(name));
    differing.map(line).collect::<Vec<_>>().join("\n")
}

/// Fails if the doctor finds an error.
pub(super) async fn assert_healthy(service: &Service, case: &str) {
    let report = service.examine(ORG).await;
    assert!(report.is_healthy(), "{case}: {:#?}", report.findings);
}
