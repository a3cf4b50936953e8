//! Something goes wrong at one call of DynamoDB, whichever: what was asked for has happened then, or has not.
//!
//! For each write, the calls it makes are counted by running it once, so a new call is covered without a new test. Then
//! each call fails in each way there is, once or from there on; the process dies of it, or the client is answered. After
//! one more request of another process, about somebody else, the doctor finds nothing, and all that can be seen is as it
//! was before or as it is after a success. What was answered as done is done, nothing is refused for a wrong reason, and
//! the client that repeats its request gets where it wanted.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use dynoxide::Database;
use local::embedded;
use serde_json::{Value, json};
use service::ambient::{Clock, Entropy};
use tests::{
    Answer, NOW, ORG, Request, Service,
    faults::{Fault, Faults, Plan},
};
use time::Duration;

use super::{assert_whole, create_all, members};

/// Users there are.
const USERS: usize = 44;
/// So many members do not fit one transaction.
const MANY: usize = 40;
/// Whom no write is about.
const BYSTANDER: usize = USERS - 1;

/// Everything there is before a write.
struct World {
    snapshot: PathBuf,
    _directory: Scratch,
    users: Vec<String>,
    /// By name: of two, of many, of the first, and five of one and the same.
    groups: BTreeMap<&'static str, String>,
}

/// A directory that goes when the test does.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("scim-crashes-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What can be seen: users and groups by name, with what is of interest.
type Seen = BTreeMap<String, Value>;

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
        let directory = Scratch::new(name);
        let snapshot = directory.0.join("snapshot.db");
        database.vacuum_into(&snapshot.to_string_lossy()).expect("a snapshot");
        Self { snapshot, _directory: directory, users, groups }
    }

    fn database(&self) -> Database {
        let database = Database::memory().expect("a database");
        database.restore_from(&self.snapshot.to_string_lossy()).expect("a copy of the snapshot");
        database
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

/// Another process on the same database, so long after.
async fn process(database: &Database, seed: u64, after: Duration) -> Service {
    Service::with(embedded::client(database.clone()), Clock::fixed(NOW + after), Entropy::seeded(seed)).await
}

async fn look(service: &Service) -> Seen {
    let mut seen = Seen::new();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut resources = Vec::new();
    for (path, name) in [("/Users", "userName"), ("/Groups", "displayName")] {
        let list = service.get(&format!("{path}?count=1000")).await;
        assert_eq!(list.status, 200, "{:#}", list.body);
        seen.insert(format!("how many {path}"), list.body["totalResults"].clone());
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
                names.get(id).cloned().unwrap_or_else(|| format!("nobody {id}"))
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

/// What a repeat of a write that was carried out already is answered with, beside success.
#[derive(Clone, Copy, PartialEq)]
enum Repeat {
    Success,
    Or(u16),
}

/// Lets everything go wrong with that write; says how many ways there were.
fn every_fault(name: &str, repeat: Repeat, write: impl Fn(&World) -> Request) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let triples = runtime.expect("a runtime").block_on(async {
        let world = World::new(name).await;
        let sent = write(&world);
        let before = look(&process(&world.database(), 5, Duration::ZERO).await).await;
        let (calls, after) = {
            let (database, faults) = (world.database(), Faults::default());
            let service = faulty(&database, &faults).await;
            faults.plan(None);
            let answer = sent.send(&service).await;
            assert!((200..300).contains(&answer.status), "{:#}", answer.body);
            (faults.calls(), look(&process(&database, 5, Duration::ZERO).await).await)
        };
        assert_ne!(before, after, "it does something");
        let mut triples = 0;
        for call in 0..calls {
            for fault in Fault::ALL {
                for lasting in [false, true] {
                    // The dead make no second call.
                    if fault.is_crash() && lasting {
                        continue;
                    }
                    let case = Case { world: &world, sent: &sent, repeat, before: &before, after: &after };
                    case.check(Plan { call, fault, lasting }).await;
                    triples += 1;
                }
            }
        }
        triples
    });
    println!("{name}: {triples} faults");
}

async fn faulty(database: &Database, faults: &Faults) -> Service {
    Service::with(faults.client(database.clone()), Clock::fixed(NOW), Entropy::seeded(3)).await
}

struct Case<'a> {
    world: &'a World,
    sent: &'a Request,
    repeat: Repeat,
    before: &'a Seen,
    after: &'a Seen,
}

impl Case<'_> {
    async fn check(&self, plan: Plan) {
        let (database, faults) = (self.world.database(), Faults::default());
        let service = faulty(&database, &faults).await;
        faults.plan(Some(plan));
        let answer: Option<Answer> = tokio::select! {
            answer = self.sent.send(&service) => Some(answer),
            () = faults.crashed() => None,
        };
        drop(service);
        let other = process(&database, 7, Duration::ZERO).await;
        let bystander = other.get(&self.world.user(BYSTANDER)).await;
        assert_eq!(bystander.status, 200, "{plan:?}: {:#}", bystander.body);
        let report = other.examine(ORG).await;
        assert!(report.is_healthy(), "{plan:?}: {:#?}", report.findings);
        let seen = look(&other).await;
        let happened = seen == *self.after;
        if !happened {
            self.assert_same(&plan, &seen);
        }
        match answer.as_ref().map(|answer| answer.status) {
            Some(200..300) => assert!(happened, "{plan:?}: it was answered as done"),
            Some(429 | 503) => {
                let seconds = answer.as_ref().map(|answer| answer.header("retry-after").parse::<u64>());
                assert!(matches!(seconds, Some(Ok(1..))), "{plan:?}: {answer:?}");
            }
            Some(_) => panic!("{plan:?}: {answer:?}"),
            None => {}
        }
        // Whoever was not told that it is done asks again.
        let again = self.sent.send(&other).await;
        match (again.status, self.repeat) {
            (200..300, _) => {}
            (status, Repeat::Or(allowed)) if status == allowed && happened => {}
            _ => panic!("{plan:?}: repeated, {again:?}"),
        }
        let seen = look(&other).await;
        assert!(seen == *self.after, "{plan:?}: {}", difference(self.after, &seen));
        // And nothing is left, of drafts neither.
        let later = process(&database, 9, Duration::minutes(10)).await;
        assert_whole(&later, ORG, &later.key).await;
    }

    fn assert_same(&self, plan: &Plan, seen: &Seen) {
        assert!(
            seen == self.before,
            "{plan:?}: neither before\n{}nor after\n{}",
            difference(self.before, seen),
            difference(self.after, seen)
        );
    }
}

fn difference(expected: &Seen, seen: &Seen) -> String {
    let names: BTreeSet<&String> = expected.keys().chain(seen.keys()).collect();
    let differing = names.into_iter().filter(|name| expected.get(*name) != seen.get(*name));
    let line = |name: &String| format!("{name}: {:?} -> {:?}", expected.get(name), seen.get(name));
    differing.map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_user_is_created_or_not() {
    every_fault("create user", Repeat::Or(409), |_| {
        Request::post(
            "/Users",
            json!({ "userName": "ada", "externalId": "a", "emails": [{ "value": "ada@example.com" }] }),
        )
    });
}

#[test]
fn a_user_is_deactivated_or_not() {
    every_fault("deactivate", Repeat::Success, |world| {
        Request::patch(world.user(0), json!([{ "op": "replace", "value": { "active": false } }]))
    });
}

#[test]
fn a_user_is_replaced_and_renamed_or_not() {
    every_fault("replace user", Repeat::Success, |world| {
        Request::put(world.user(2), json!({ "userName": "ada", "emails": [{ "value": "ada@example.com" }] }))
    });
}

#[test]
fn a_user_in_many_groups_is_deleted_or_not() {
    every_fault("delete user", Repeat::Or(404), |world| Request::delete(world.user(2)));
}

#[test]
fn a_group_is_created_with_its_members_or_not() {
    every_fault("create group", Repeat::Or(409), |world| {
        Request::post("/Groups", json!({ "displayName": "new", "members": world.ids([4, 5]) }))
    });
}

#[test]
fn a_large_group_is_created_with_all_its_members_or_not() {
    every_fault("create large group", Repeat::Or(409), |world| {
        Request::post("/Groups", json!({ "displayName": "new", "members": world.ids(0..MANY) }))
    });
}

#[test]
fn a_member_is_added_or_not() {
    every_fault("add a member", Repeat::Success, |world| {
        Request::patch(
            world.group("small"),
            json!([{ "op": "add", "path": "members", "value": world.ids([4]) }]),
        )
    });
}

#[test]
fn a_member_is_removed_or_not() {
    every_fault("remove a member", Repeat::Success, |world| {
        Request::patch(
            world.group("small"),
            json!([{ "op": "Remove", "path": "members", "value": world.ids([1]) }]),
        )
    });
}

#[test]
fn many_members_are_all_added_or_none() {
    every_fault("add many members", Repeat::Success, |world| {
        Request::patch(
            world.group("small"),
            json!([{ "op": "add", "path": "members", "value": world.ids(0..MANY) }]),
        )
    });
}

#[test]
fn members_are_exchanged_or_not() {
    every_fault("replace members", Repeat::Success, |world| {
        Request::patch(
            world.group("small"),
            json!([{ "op": "replace", "path": "members", "value": world.ids([1, 6]) }]),
        )
    });
}

#[test]
fn a_large_group_is_replaced_or_not() {
    every_fault("replace large group", Repeat::Success, |world| {
        Request::put(world.group("large"), json!({ "displayName": "renamed", "members": world.ids(38..43) }))
    });
}

#[test]
fn a_group_is_renamed_and_joined_or_neither() {
    every_fault("rename and add", Repeat::Success, |world| {
        let operations = json!([
            { "op": "replace", "value": { "displayName": "renamed", "externalId": "r" } },
            { "op": "add", "path": "members", "value": world.ids([7]) },
        ]);
        Request::patch(world.group("small"), &operations)
    });
}

#[test]
fn a_group_in_a_group_is_deleted_or_not() {
    every_fault("delete group", Repeat::Or(404), |world| Request::delete(world.group("small")));
}

#[test]
fn a_large_group_is_deleted_or_not() {
    every_fault("delete large group", Repeat::Or(404), |world| Request::delete(world.group("large")));
}
