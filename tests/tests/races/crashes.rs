//! Atomicity of writes: when a call to DynamoDB fails, the write takes effect as a whole or not at all.
//!
//! Each test runs its write once to count the calls, so that a new call needs no new test. Then each call fails in each way,
//! once or permanently, and the process dies or answers the client. After one request of another process about an unrelated
//! user, the doctor finds no error, and the data is as before the write or as after it. An acknowledged write has taken
//! effect, no write fails for a wrong reason, and a repeated request succeeds. At last the process dies at many moments of
//! the write (`deaths.rs`).

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use aws_sdk_dynamodb::Client;
use dynoxide::Database;
use local::embedded;
use serde_json::{Value, json};
use service::{clock::Clock, entropy::Entropy};
use tests::{
    Answer, NOW, ORG, Request, Service,
    faults::{Fault, Faults, Plan},
};
use time::Duration;

use super::{assert_consistent, create_all, deaths::check_deaths, members};

/// The number of users.
const USERS: usize = 44;
/// A number of members that exceeds one transaction.
const MANY: usize = 40;
/// A user that no write changes.
const UNRELATED_USER: usize = USERS - 1;

/// The data before a write.
pub(super) struct World {
    key: String,
    snapshot: PathBuf,
    _directory: TempDir,
    users: Vec<String>,
    /// Groups by name: one of two members, one of many, one of a user and a group, and five of the same user.
    groups: BTreeMap<&'static str, String>,
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

/// The visible data: users and groups by name, with the relevant attributes.
pub(super) type Visible = BTreeMap<String, Value>;

impl World {
    async fn new(name: &str) -> Self {
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
        group("large", &users.iter().take(MANY).collect::<Vec<_>>()).await;
        group("parent", &[&small, &users[3]]).await;
        for name in ["one", "two", "three", "four", "five"] {
            group(name, &[&users[2]]).await;
        }
        let directory = TempDir::new(name);
        let snapshot = directory.0.join("snapshot.db");
        database.vacuum_into(&snapshot.to_string_lossy()).expect("a snapshot");
        Self { key: service.key, snapshot, _directory: directory, users, groups }
    }

    pub(super) fn database(&self) -> Database {
        let database = Database::memory().expect("a database");
        database.restore_from(&self.snapshot.to_string_lossy()).expect("a copy of the snapshot");
        database
    }

    /// Returns another process on a copy of the database, after that time.
    fn process(&self, database: &Database, seed: u64, after: Duration) -> Service {
        self.process_on(embedded::client(database.clone()), seed, after)
    }

    pub(super) fn process_on(&self, client: Client, seed: u64, after: Duration) -> Service {
        Service::restarted(client, Clock::fixed(NOW + after), Entropy::seeded(seed), &self.key)
    }

    /// Returns a process whose calls fail.
    fn failing(&self, database: &Database, faults: &Faults) -> Service {
        self.process_on(faults.client(database.clone()), 3, Duration::ZERO)
    }

    pub(super) fn unrelated_user(&self) -> String {
        self.user(UNRELATED_USER)
    }

    fn user(&self, index: usize) -> String {
        format!("/Users/{}", self.users[index])
    }

    fn group(&self, name: &str) -> String {
        format!("/Groups/{}", self.groups[name])
    }

    fn ids(&self, users: impl IntoIterator<Item = usize>) -> Value {
        members(users.into_iter().map(|user| &self.users[user]))
    }
}

pub(super) async fn visible(service: &Service) -> Visible {
    let mut seen = Visible::new();
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

/// The answers to a repeated write that has already taken effect.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Repeat {
    Success,
    Or(u16),
}

impl Repeat {
    pub(super) fn allows(self, status: u16) -> bool {
        (200..300).contains(&status) || self == Self::Or(status)
    }
}

/// Makes each call of a write fail in each way. Prints the number of faults.
fn assert_atomic(name: &str, repeat: Repeat, write: impl Fn(&World) -> Request) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let (count, deaths) = runtime.expect("a runtime").block_on(async {
        let world = World::new(name).await;
        let request = write(&world);
        let before = visible(&world.process(&world.database(), 5, Duration::ZERO)).await;
        let (calls, after) = {
            let (database, faults) = (world.database(), Faults::default());
            let service = world.failing(&database, &faults);
            faults.plan(None);
            let answer = request.send(&service).await;
            assert!((200..300).contains(&answer.status), "{:#}", answer.body);
            (faults.calls(), visible(&world.process(&database, 5, Duration::ZERO)).await)
        };
        assert_ne!(before, after, "the write changes nothing");
        let mut count = 0;
        for call in 0..calls {
            for fault in Fault::ALL {
                for lasting in [false, true] {
                    // A dead process makes no further call.
                    if fault.is_crash() && lasting {
                        continue;
                    }
                    let case =
                        Case { world: &world, request: &request, repeat, before: &before, after: &after };
                    case.check(Plan { call, fault, lasting }).await;
                    count += 1;
                }
            }
        }
        let deaths = check_deaths(&world, &request, repeat, [&before, &after]).await;
        (count, deaths)
    });
    println!("{name}: {count} faults, {deaths} deaths");
}

struct Case<'a> {
    world: &'a World,
    request: &'a Request,
    repeat: Repeat,
    before: &'a Visible,
    after: &'a Visible,
}

impl Case<'_> {
    async fn check(&self, plan: Plan) {
        let (database, faults) = (self.world.database(), Faults::default());
        let service = self.world.failing(&database, &faults);
        faults.plan(Some(plan));
        let answer: Option<Answer> = tokio::select! {
            answer = self.request.send(&service) => Some(answer),
            () = faults.crashed() => None,
        };
        drop(service);
        let other = self.world.process(&database, 7, Duration::ZERO);
        let unrelated = other.get(&self.world.unrelated_user()).await;
        assert_eq!(unrelated.status, 200, "{plan:?}: {:#}", unrelated.body);
        let report = other.examine(ORG).await;
        assert!(report.is_healthy(), "{plan:?}: {:#?}", report.findings);
        let seen = visible(&other).await;
        let happened = seen == *self.after;
        if !happened {
            self.assert_same(&plan, &seen);
        }
        match answer.as_ref().map(|answer| answer.status) {
            Some(200..300) => {
                assert!(happened, "{plan:?}: the write was acknowledged and has not taken effect");
            }
            Some(429 | 503) => {
                let seconds = answer.as_ref().map(|answer| answer.header("retry-after").parse::<u64>());
                assert!(matches!(seconds, Some(Ok(1..))), "{plan:?}: {answer:?}");
            }
            Some(_) => panic!("{plan:?}: {answer:?}"),
            None => {}
        }
        // The client repeats the request.
        let again = self.request.send(&other).await;
        let is_allowed = (200..300).contains(&again.status) || happened && self.repeat.allows(again.status);
        assert!(is_allowed, "{plan:?}: repeated, {again:?}");
        let seen = visible(&other).await;
        assert!(seen == *self.after, "{plan:?}: {}", difference(self.after, &seen));
        // The janitor leaves no draft either.
        let later = self.world.process(&database, 9, Duration::minutes(10));
        assert_consistent(&later, ORG, &later.key).await;
    }

    fn assert_same(&self, plan: &Plan, seen: &Visible) {
        assert!(
            seen == self.before,
            "{plan:?}: neither before\n{}nor after\n{}",
            difference(self.before, seen),
            difference(self.after, seen)
        );
    }
}

pub(super) fn difference(expected: &Visible, seen: &Visible) -> String {
    let names: BTreeSet<&String> = expected.keys().chain(seen.keys()).collect();
    let differing = names.into_iter().filter(|name| expected.get(*name) != seen.get(*name));
    let line = |name: &String| format!("{name}: {:?} -> {:?}", expected.get(name), seen.get(name));
    differing.map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn user_creation_is_atomic() {
    assert_atomic("create user", Repeat::Or(409), |_| {
        Request::post(
            "/Users",
            json!({ "userName": "ada", "externalId": "a", "emails": [{ "value": "ada@example.com" }] }),
        )
    });
}

#[test]
fn user_deactivation_is_atomic() {
    assert_atomic("deactivate", Repeat::Success, |world| {
        Request::patch(world.user(0), json!([{ "op": "replace", "value": { "active": false } }]))
    });
}

#[test]
fn user_replacement_with_rename_is_atomic() {
    assert_atomic("replace user", Repeat::Success, |world| {
        Request::put(world.user(2), json!({ "userName": "ada", "emails": [{ "value": "ada@example.com" }] }))
    });
}

#[test]
fn user_deletion_is_atomic() {
    assert_atomic("delete user", Repeat::Or(404), |world| Request::delete(world.user(2)));
}

#[test]
fn group_creation_with_members_is_atomic() {
    assert_atomic("create group", Repeat::Or(409), |world| {
        Request::post("/Groups", json!({ "displayName": "new", "members": world.ids([4, 5]) }))
    });
}

#[test]
fn large_group_creation_is_atomic() {
    assert_atomic("create large group", Repeat::Or(409), |world| {
        Request::post("/Groups", json!({ "displayName": "new", "members": world.ids(0..MANY) }))
    });
}

#[test]
fn member_addition_is_atomic() {
    assert_atomic("add a member", Repeat::Success, |world| {
        Request::patch(
            world.group("small"),
            json!([{ "op": "add", "path": "members", "value": world.ids([4]) }]),
        )
    });
}

#[test]
fn member_removal_is_atomic() {
    assert_atomic("remove a member", Repeat::Success, |world| {
        Request::patch(
            world.group("small"),
            json!([{ "op": "Remove", "path": "members", "value": world.ids([1]) }]),
        )
    });
}

#[test]
fn addition_of_many_members_is_atomic() {
    assert_atomic("add many members", Repeat::Success, |world| {
        Request::patch(
            world.group("small"),
            json!([{ "op": "add", "path": "members", "value": world.ids(0..MANY) }]),
        )
    });
}

#[test]
fn member_replacement_is_atomic() {
    assert_atomic("replace members", Repeat::Success, |world| {
        Request::patch(
            world.group("small"),
            json!([{ "op": "replace", "path": "members", "value": world.ids([1, 6]) }]),
        )
    });
}

#[test]
fn large_group_replacement_is_atomic() {
    assert_atomic("replace large group", Repeat::Success, |world| {
        Request::put(world.group("large"), json!({ "displayName": "renamed", "members": world.ids(38..43) }))
    });
}

#[test]
fn group_rename_with_new_member_is_atomic() {
    assert_atomic("rename and add", Repeat::Success, |world| {
        let operations = json!([
            { "op": "replace", "value": { "displayName": "renamed", "externalId": "r" } },
            { "op": "add", "path": "members", "value": world.ids([7]) },
        ]);
        Request::patch(world.group("small"), &operations)
    });
}

#[test]
fn nested_group_deletion_is_atomic() {
    assert_atomic("delete group", Repeat::Or(404), |world| Request::delete(world.group("small")));
}

#[test]
fn large_group_deletion_is_atomic() {
    assert_atomic("delete large group", Repeat::Or(404), |world| Request::delete(world.group("large")));
}
