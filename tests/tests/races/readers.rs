//! The view of readers beside a change of memberships that is not finished.
//!
//! A write is interrupted after each of its calls in turn. At each of these points, every reader returns all memberships as
//! they were before the write, or all as they are after it, and all readers agree. No reader writes to DynamoDB.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use aws_sdk_dynamodb::Client;
use axum::http::Method;
use dynoxide::Database;
use expect_test::expect;
use local::embedded::{self, Connector, dispatch};
use serde_json::{Value, json};
use service::{clock::Clock, config::Tables, entropy::Entropy, limits::ABANDONED_AFTER};
use tests::{
    NOW, ORG, Request, Service,
    counting::{Cost, Counter},
    faults::{Fault, Faults, Plan},
    intercept::{self, Call},
};
use tokio::time::{Duration, Instant, sleep};

use super::{assert_consistent, create_all, members};

/// The number of users.
const USERS: usize = 120;
/// Readers of single users read one user in this number.
const SAMPLE: usize = 11;
/// The number of groups that the first user is in. They exceed the transaction of a deletion.
const GROUPS: usize = 34;

/// The content of a database, in a file that is removed at the end.
struct Snapshot(PathBuf);

impl Snapshot {
    fn of(database: &Database) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("scim-readers-{}-{number}.db", std::process::id()));
        database.vacuum_into(&path.to_string_lossy()).expect("a snapshot");
        Self(path)
    }

    fn copy(&self) -> Database {
        let database = Database::memory().expect("a database");
        database.restore_from(&self.0.to_string_lossy()).expect("a copy of the snapshot");
        database
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// An organisation before a write.
struct World {
    service: Service,
    snapshot: Snapshot,
    users: Vec<String>,
    /// A group of ten users, and a group of 60 users that contains the first group.
    small: String,
    large: String,
}

impl World {
    async fn new() -> Self {
        let database = Database::memory().expect("a database");
        let service = Service::on(embedded::client(database.clone())).await;
        let user = |number| json!({ "userName": format!("user-{number:03}"), "active": true });
        let users = create_all(&service, &service.key, "/Users", (0..USERS).map(user)).await;
        let ids = |numbers: std::ops::Range<usize>| -> Vec<&str> {
            users[numbers].iter().map(String::as_str).collect()
        };
        let small = service.group("small", &ids(0..10)).await;
        let large = service.group("large", &[ids(0..60), vec![&small]].concat()).await;
        let group =
            |number| json!({ "displayName": format!("group-{number}"), "members": members([&users[0]]) });
        create_all(&service, &service.key, "/Groups", (0..GROUPS).map(group)).await;
        let world = Self { service, snapshot: Snapshot::of(&database), users, small, large };
        assert_eq!(world.raw(&database).pending, 0);
        world
    }

    fn copy(&self) -> Database {
        self.snapshot.copy()
    }

    fn process(&self, client: Client, after: Duration) -> Service {
        Service::restarted(client, Clock::fixed(NOW + after), Entropy::seeded(7), &self.service.key)
    }

    fn some_users(&self, numbers: std::ops::Range<usize>) -> Value {
        members(&self.users[numbers])
    }

    /// Sends the request to a process that dies after that call. Returns `None` if the request has fewer calls.
    async fn interrupted(&self, request: &Request, call: usize) -> Option<Database> {
        let (database, faults) = (self.copy(), Faults::default());
        let service = self.process(faults.client(database.clone()), Duration::ZERO);
        faults.plan(Some(Plan { call, fault: Fault::CrashAfter, lasting: true }));
        tokio::select! {
            answer = request.send(&service) => {
                assert!(answer.status < 300, "{:#}", answer.body);
                None
            }
            () = faults.crashed() => Some(database),
        }
    }

    /// Interrupts the request after its first call that leaves such a state.
    async fn interrupted_in(&self, request: &Request, is_wanted: impl Fn(&Raw) -> bool) -> Database {
        for call in 0.. {
            let database = self.interrupted(request, call).await.expect("a state before the end");
            if is_wanted(&self.raw(&database)) {
                return database;
            }
        }
        unreachable!()
    }

    /// Reads the state of the changes.
    fn raw(&self, database: &Database) -> Raw {
        let scan = json!({ "TableName": Tables::default().resources, "Limit": 100_000 });
        let answer = dispatch(database, "Scan", scan.to_string().as_bytes()).expect("a scan");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        let mut raw = Raw::default();
        for item in answer["Items"].as_array().expect("items") {
            let pk = item["pk"]["S"].as_str().unwrap_or_default();
            let sk = item["sk"]["S"].as_str().unwrap_or_default();
            let is_of = |partition: &str| pk == format!("ORG#{ORG}#{partition}");
            raw.pending += usize::from(is_of("PENDING"));
            raw.parts += usize::from(pk.starts_with(&format!("ORG#{ORG}#PENDING#")));
            raw.applied += usize::from(item.get("applied").is_some());
            raw.edges += usize::from(is_of("MEMBER"));
            if is_of("GROUP") && sk == self.large || is_of("USER") && sk == self.users[0] {
                raw.exists += 1;
            }
            if is_of("GROUP") && [&self.small, &self.large].contains(&&sk.to_owned()) {
                raw.intents += usize::from(item.get("intent").is_some());
                raw.finished.insert(item["finished"].to_string());
            }
        }
        raw
    }
}

/// The stored state of changes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Raw {
    pending: usize,
    parts: usize,
    applied: usize,
    intents: usize,
    finished: BTreeSet<String>,
    /// The number of memberships.
    edges: usize,
    /// How many of the large group and the first user exist.
    exists: usize,
}

/// Everything that readers see.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    users: BTreeSet<String>,
    groups: BTreeSet<String>,
    /// The members of each group that has any.
    members: BTreeMap<String, BTreeSet<String>>,
}

impl Seen {
    /// Reads an organisation without pending changes.
    async fn settled(service: &Service) -> Self {
        let ids = async |path: &str| -> BTreeSet<String> {
            let list = service.get(&format!("{path}?attributes=id&count=1000")).await.body;
            resources(&list).map(id).collect()
        };
        let (users, groups) = (ids("/Users").await, ids("/Groups").await);
        let mut members = BTreeMap::new();
        for group in &groups {
            members.insert(group.clone(), service.members(group).await.into_iter().collect());
        }
        members.retain(|_, members: &mut BTreeSet<String>| !members.is_empty());
        Self { users, groups, members }
    }

    fn members(&self, group: &str) -> BTreeSet<String> {
        self.members.get(group).cloned().unwrap_or_default()
    }

    fn users_of(&self, group: &str) -> BTreeSet<String> {
        self.members(group).intersection(&self.users).cloned().collect()
    }

    fn groups(&self, member: &str) -> BTreeSet<String> {
        let of = self.members.iter().filter(|(_, members)| members.contains(member));
        of.map(|(group, _)| group.clone()).collect()
    }
}

fn id(resource: &Value) -> String {
    resource["id"].as_str().expect("an id").to_owned()
}

fn resources(list: &Value) -> impl Iterator<Item = &Value> {
    list["Resources"].as_array().unwrap_or_else(|| panic!("a list and not {list:#}")).iter()
}

fn values(resource: &Value, attribute: &str) -> BTreeSet<String> {
    let values = resource[attribute].as_array().map(Vec::as_slice).unwrap_or_default();
    values.iter().map(|value| value["value"].as_str().expect("an id").to_owned()).collect()
}

/// The readers of one state.
struct Readers<'a> {
    world: &'a World,
    service: Service,
    /// The writes of the readers, other than those of bookmarks.
    writes: Arc<Mutex<Vec<String>>>,
    expected: &'a Seen,
    context: String,
}

impl<'a> Readers<'a> {
    fn new(world: &'a World, database: &Database, expected: &'a Seen, context: String) -> Self {
        let writes = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&writes);
        let client = intercept::client(Connector::new(database.clone()), move |call| {
            let is_read = ["GetItem", "BatchGetItem", "Query"].contains(&call.operation.as_str());
            let text = String::from_utf8_lossy(call.body());
            let is_bookmark = ["PutItem", "BatchWriteItem"].contains(&call.operation.as_str())
                && text.contains(&format!("ORG#{ORG}#PAGE"));
            if !is_read && !is_bookmark {
                seen.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(format!("{} {text}", call.operation));
            }
            call.forward()
        });
        Self { world, service: world.process(client, Duration::ZERO), writes, expected, context }
    }

    #[track_caller]
    fn same(&self, reader: &str, seen: &BTreeSet<String>, expected: &BTreeSet<String>) {
        let missing: Vec<_> = expected.difference(seen).collect();
        let extra: Vec<_> = seen.difference(expected).collect();
        assert!(
            missing.is_empty() && extra.is_empty(),
            "{}, {reader}: without {missing:?}, and with {extra:?}",
            self.context
        );
    }

    async fn list(&self, query: Request) -> Value {
        let answer = query.send(&self.service).await;
        assert_eq!(answer.status, 200, "{}: {:#}", self.context, answer.body);
        answer.body
    }

    /// Returns the ids of the matches, all on one page.
    async fn matches(&self, path: &str, filter: &str) -> BTreeSet<String> {
        let query = Request::get(path).filter(filter).query("count", 1_000).query("attributes", "id");
        let list = self.list(query).await;
        let found: BTreeSet<String> = resources(&list).map(id).collect();
        assert_eq!(list["totalResults"], found.len(), "{}: {filter}", self.context);
        found
    }

    fn sample(&self) -> impl Iterator<Item = &String> {
        self.world.users.iter().step_by(SAMPLE)
    }

    /// The groups of changes, and one that does not change.
    fn some_groups(&self) -> Vec<String> {
        let others =
            self.expected.groups.iter().filter(|id| ![&self.world.small, &self.world.large].contains(id));
        [self.world.small.clone(), self.world.large.clone()]
            .into_iter()
            .chain(others.take(1).cloned())
            .collect()
    }

    async fn check(&self) {
        self.check_single().await;
        self.check_lists().await;
        self.check_filters().await;
        self.check_walks().await;
        let writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(writes.is_empty(), "{}: {writes:?}", self.context);
    }

    /// GET of one user and of one group, and the look-up of a user by its name.
    async fn check_single(&self) {
        for user in self.sample() {
            let answer = self.service.get(&format!("/Users/{user}")).await;
            let exists = self.expected.users.contains(user);
            assert_eq!(answer.status, if exists { 200 } else { 404 }, "{}", self.context);
            self.same("GET of a user", &values(&answer.body, "groups"), &self.expected.groups(user));
            let number = self.world.users.iter().position(|known| known == user).expect("a user");
            let by_name = Request::get("/Users").filter(format!("userName eq \"user-{number:03}\""));
            let found = self.list(by_name).await;
            assert_eq!(found["totalResults"], usize::from(exists), "{}", self.context);
            let groups = resources(&found).flat_map(|user| values(user, "groups")).collect();
            self.same("match of a user", &groups, &self.expected.groups(user));
        }
        for group in self.some_groups() {
            let answer = self.service.get(&format!("/Groups/{group}")).await;
            let exists = self.expected.groups.contains(&group);
            assert_eq!(answer.status, if exists { 200 } else { 404 }, "{}: {:#}", self.context, answer.body);
            self.same("GET of a group", &values(&answer.body, "members"), &self.expected.members(&group));
        }
    }

    /// Lists that show memberships.
    async fn check_lists(&self) {
        for sort in ["id", "userName"] {
            let list = self.list(Request::get("/Users").query("count", 1_000).query("sortBy", sort)).await;
            self.same("list of users", &resources(&list).map(id).collect(), &self.expected.users);
            for user in resources(&list) {
                self.same("a user of a list", &values(user, "groups"), &self.expected.groups(&id(user)));
            }
        }
        let list = self.list(Request::get("/Groups").query("count", 1_000)).await;
        self.same("list of groups", &resources(&list).map(id).collect(), &self.expected.groups);
        for group in resources(&list) {
            self.same("a group of a list", &values(group, "members"), &self.expected.members(&id(group)));
        }
    }

    /// Filters that compare memberships.
    async fn check_filters(&self) {
        let (all, seen) = (&self.expected.members, self.expected);
        let mut members: BTreeSet<String> = all.values().flatten().cloned().collect();
        members.retain(|id| seen.users.contains(id));
        self.same("groups pr", &self.matches("/Users", "groups pr").await, &members);
        let filled: BTreeSet<String> = all.keys().cloned().collect();
        self.same("members pr", &self.matches("/Groups", "members pr").await, &filled);
        let of_type = self.matches("/Groups", "members.type eq \"User\"").await;
        let filled = filled.into_iter().filter(|group| !seen.users_of(group).is_empty()).collect();
        self.same("members.type", &of_type, &filled);
        for member in self.sample().chain([&self.world.small]) {
            let found = self.matches("/Groups", &format!("members.value eq \"{member}\"")).await;
            self.same("members.value", &found, &seen.groups(member));
        }
        for group in self.some_groups() {
            let users = seen.users_of(&group);
            let of_group = format!("groups.value eq \"{group}\"");
            for (filter, expected) in [
                (of_group.clone(), users.clone()),
                (format!("{of_group} and active eq true"), users.clone()),
                (format!("active eq true and groups[value eq \"{group}\"]"), users.clone()),
                (format!("not ({of_group})"), seen.users.difference(&users).cloned().collect()),
                (
                    format!("{of_group} or groups.value eq \"{}\"", self.world.small),
                    users.union(&seen.users_of(&self.world.small)).cloned().collect(),
                ),
            ] {
                self.same(&filter, &self.matches("/Users", &filter).await, &expected);
            }
        }
    }

    /// Walks over the members of a group, by index and by cursor, in both directions.
    async fn check_walks(&self) {
        for group in [&self.world.small, &self.world.large] {
            let members: Vec<String> = self.expected.users_of(group).into_iter().collect();
            let query = Request::get("/Users").filter(format!("groups.value eq \"{group}\""));
            let query = query.query("attributes", "id");
            let count = self.list(query.clone().query("count", 0)).await;
            assert_eq!(count["totalResults"], members.len(), "{}", self.context);
            // Without earlier pages, the members before the index are skipped.
            let skipped = self.list(query.clone().query("startIndex", 6).query("count", 4)).await;
            let expected: Vec<String> = members.iter().skip(5).take(4).cloned().collect();
            assert_eq!(resources(&skipped).map(id).collect::<Vec<_>>(), expected, "{}", self.context);
            for order in ["ascending", "descending"] {
                let mut expected = members.clone();
                if order == "descending" {
                    expected.reverse();
                }
                let query = query.clone().query("sortBy", "id").query("sortOrder", order).query("count", 23);
                let mut by_index: Vec<String> = Vec::new();
                loop {
                    let page = self.list(query.clone().query("startIndex", by_index.len() + 1)).await;
                    by_index.extend(resources(&page).map(id));
                    if resources(&page).count() < 23 {
                        break;
                    }
                }
                assert_eq!(by_index, expected, "{}, {order}", self.context);
                let (mut by_cursor, mut cursor) = (Vec::new(), Some(String::new()));
                while let Some(next) = cursor {
                    let page = self.list(query.clone().query("cursor", next)).await;
                    by_cursor.extend(resources(&page).map(id));
                    cursor = page["nextCursor"].as_str().map(str::to_owned);
                }
                assert_eq!(by_cursor, expected, "{}, {order}", self.context);
            }
        }
    }
}

/// Interrupts the request after each of its calls, and checks every reader. `happened` says whether a state is one after
/// the write. Fails unless some state before the write, and some state after it, has a pending change.
async fn assert_seen_as_a_whole(
    world: &World,
    request: Request,
    happened: impl Fn(&Raw) -> bool,
    must_occur: &[fn(&Raw) -> bool],
) {
    let before = Seen::settled(&world.service).await;
    let finished = world.copy();
    let service = world.process(embedded::client(finished.clone()), Duration::ZERO);
    let answer = request.send(&service).await;
    assert!(answer.status < 300, "{:#}", answer.body);
    assert_eq!(world.raw(&finished).pending, 0, "the request has enough time");
    let after = Seen::settled(&service).await;
    assert_ne!(before, after);
    let mut states: Vec<Raw> = Vec::new();
    for call in 0.. {
        let Some(database) = world.interrupted(&request, call).await else { break };
        let raw = world.raw(&database);
        if states.last() == Some(&raw) {
            // The call was a read.
            continue;
        }
        let expected = if happened(&raw) { &after } else { &before };
        let context = format!("after call {call}, {raw:?}");
        Readers::new(world, &database, expected, context).check().await;
        states.push(raw);
    }
    for (index, occurs) in must_occur.iter().enumerate() {
        assert!(states.iter().any(occurs), "no state is number {index} of {states:#?}");
    }
}

/// The states of a change of members: a draft; committed and not applied; applied in part; finished and not cleaned up.
const STATES_OF_MEMBERS: [fn(&Raw) -> bool; 4] = [
    |raw| raw.pending == 1 && raw.parts > 0 && raw.intents == 0 && raw.applied == 0,
    |raw| raw.intents == 1 && raw.applied == 0,
    |raw| raw.intents == 1 && raw.applied > 0 && raw.applied < raw.parts,
    |raw| raw.intents == 0 && raw.applied > 0,
];

async fn assert_change_is_seen_as_a_whole(request: impl Fn(&World) -> Request) {
    let world = World::new().await;
    let earlier = world.raw(&world.copy()).finished;
    let happened = |raw: &Raw| raw.intents > 0 || raw.finished != earlier;
    assert_seen_as_a_whole(&world, request(&world), happened, &STATES_OF_MEMBERS).await;
}

#[tokio::test]
async fn addition_of_100_members_is_seen_as_a_whole() {
    assert_change_is_seen_as_a_whole(|world| {
        let add = json!([{ "op": "add", "path": "members", "value": world.some_users(15..115) }]);
        Request::patch(format!("/Groups/{}", world.small), add)
    })
    .await;
}

#[tokio::test]
async fn removal_of_60_members_is_seen_as_a_whole() {
    assert_change_is_seen_as_a_whole(|world| {
        let remove = json!([{ "op": "remove", "path": "members", "value": world.some_users(0..60) }]);
        Request::patch(format!("/Groups/{}", world.large), remove)
    })
    .await;
}

#[tokio::test]
async fn exchange_of_members_is_seen_as_a_whole() {
    assert_change_is_seen_as_a_whole(|world| {
        let group = json!({ "displayName": "exchanged", "members": world.some_users(40..110) });
        Request::put(format!("/Groups/{}", world.large), group)
    })
    .await;
}

/// The states of a deletion: not yet; with a tombstone and all memberships; with some of them.
fn states_of_deletion<const EDGES: usize, const LEFT: usize>() -> [fn(&Raw) -> bool; 2] {
    [
        |raw| raw.exists == 1 && raw.edges == EDGES,
        |raw| raw.exists == 1 && (LEFT + 1..EDGES).contains(&raw.edges),
    ]
}

#[tokio::test]
async fn deletion_of_user_is_seen_as_a_whole() {
    let world = World::new().await;
    let request = Request::delete(format!("/Users/{}", world.users[0]));
    // The user is in all groups, each of which has other edges too.
    let states = states_of_deletion::<{ 10 + 61 + GROUPS }, { 9 + 60 }>();
    assert_seen_as_a_whole(&world, request, |raw| raw.exists == 1, &states).await;
}

#[tokio::test]
async fn deletion_of_group_is_seen_as_a_whole() {
    let world = World::new().await;
    let request = Request::new(Method::DELETE, format!("/Groups/{}", world.large));
    let states = states_of_deletion::<{ 10 + 61 + GROUPS }, { 10 + GROUPS }>();
    assert_seen_as_a_whole(&world, request, |raw| raw.exists == 1, &states).await;
}

fn add_100(world: &World) -> Request {
    let add = json!([{ "op": "add", "path": "members", "value": world.some_users(15..115) }]);
    Request::patch(format!("/Groups/{}", world.small), add)
}

/// A deletion in one transaction leaves no tombstone, and the part of the change still names the member.
#[tokio::test]
async fn deleted_user_is_no_member_before_the_change_ends() {
    let world = World::new().await;
    let add = add_100(&world);
    for is_wanted in [STATES_OF_MEMBERS[1], STATES_OF_MEMBERS[2]] {
        let database = world.interrupted_in(&add, is_wanted).await;
        let other = world.process(embedded::client(database.clone()), Duration::ZERO);
        let finished = world.copy();
        let service = world.process(embedded::client(finished.clone()), Duration::ZERO);
        assert_eq!(add.send(&service).await.status, 204);
        for user in [&world.users[22], &world.users[66], &world.users[110]] {
            for service in [&other, &service] {
                assert_eq!(service.delete(&format!("/Users/{user}")).await.status, 204);
            }
        }
        let raw = world.raw(&database);
        assert_eq!((raw.pending, raw.intents), (1, 1));
        let expected = Seen::settled(&service).await;
        Readers::new(&world, &database, &expected, format!("{raw:?}")).check().await;
    }
}

/// The round trips and costs of a request after the look-up of its key. Each answer takes one unit of virtual time.
async fn measured(world: &World, database: &Database, request: &Request) -> (u128, Cost) {
    const ROUND_TRIP: Duration = Duration::from_millis(100);
    let counter = Counter::default();
    let service = world.process(counter.slow_client(database.clone(), ROUND_TRIP), Duration::ZERO);
    let began = Instant::now();
    let answer = request.send(&service).await;
    assert_eq!(answer.status, 200, "{:#}", answer.body);
    let round_trips = began.elapsed().as_millis() / ROUND_TRIP.as_millis() - 1;
    (round_trips, counter.take().remove(&Tables::default().resources).unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn unfinished_change_costs_a_reader_two_round_trips() {
    let world = World::new().await;
    let user = Request::get(format!("/Users/{}", world.users[50]));
    let list = Request::get("/Users").query("count", 1_000);
    let mut lines = String::new();
    for (name, request) in [("GET of a user", &user), ("list of users", &list)] {
        for (state, is_wanted) in [
            ("nothing pending", (|raw: &Raw| raw.pending == 0) as fn(&Raw) -> bool),
            ("a draft", STATES_OF_MEMBERS[0]),
            ("committed", STATES_OF_MEMBERS[1]),
            ("applied in part", STATES_OF_MEMBERS[2]),
            ("finished", STATES_OF_MEMBERS[3]),
        ] {
            let database = world.interrupted_in(&add_100(&world), is_wanted).await;
            let (round_trips, cost) = measured(&world, &database, request).await;
            let _ = writeln!(lines, "{name}, {state}: {round_trips} round trips, {cost}");
        }
    }
    expect![[r#"
        GET of a user, nothing pending: 1 round trips, GetItem 1, Query 2: 3 read, 0 written
        GET of a user, a draft: 3 round trips, GetItem 3, Query 3: 6 read, 0 written
        GET of a user, committed: 2 round trips, GetItem 2, Query 3: 5 read, 0 written
        GET of a user, applied in part: 2 round trips, GetItem 2, Query 3: 5 read, 0 written
        GET of a user, finished: 2 round trips, GetItem 1, Query 4: 5 read, 0 written
        list of users, nothing pending: 2 round trips, GetItem 1, Query 4: 13 read, 0 written
        list of users, a draft: 4 round trips, GetItem 3, Query 6: 17 read, 0 written
        list of users, committed: 3 round trips, GetItem 2, Query 6: 16 read, 0 written
        list of users, applied in part: 3 round trips, GetItem 2, Query 6: 17 read, 0 written
        list of users, finished: 3 round trips, GetItem 1, Query 6: 22 read, 0 written
    "#]]
    .assert_eq(&lines);
}

/// Returns a process for which a change ends after the headers and memberships were read, and before the answer with the
/// headers arrives.
fn late_reader(world: &World, database: &Database) -> Service {
    let late = world.process(embedded::client(database.clone()), ABANDONED_AFTER);
    let late = Arc::new(Mutex::new(Some(late)));
    let client = intercept::client(Connector::new(database.clone()), move |call: Call| {
        let late = Arc::clone(&late);
        async move {
            let reads_headers =
                call.request()["ExpressionAttributeValues"][":pk"]["S"] == format!("ORG#{ORG}#PENDING");
            let answer = call.forward().await;
            if reads_headers {
                sleep(Duration::from_millis(100)).await;
                let late = late.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(late) = late {
                    assert_consistent(&late, ORG, &late.key).await;
                }
            }
            answer
        }
    });
    world.process(client, Duration::ZERO)
}

#[tokio::test(start_paused = true)]
async fn change_that_ends_during_a_read_is_seen_as_a_whole() {
    let world = World::new().await;
    let exchange = json!({ "displayName": "exchanged", "members": world.some_users(40..110) });
    let exchange = Request::put(format!("/Groups/{}", world.large), exchange);
    let finished = world.copy();
    let service = world.process(embedded::client(finished.clone()), Duration::ZERO);
    assert_eq!(exchange.send(&service).await.status, 200);
    let after = Seen::settled(&service).await;
    let snapshot = Snapshot::of(&world.interrupted_in(&exchange, STATES_OF_MEMBERS[2]).await);
    for query in [
        Request::get(format!("/Groups/{}", world.large)),
        Request::get("/Groups").query("count", 1_000).filter("displayName eq \"exchanged\""),
        Request::get("/Groups").query("count", 1_000),
    ] {
        let copy = snapshot.copy();
        let answer = query.send(&late_reader(&world, &copy)).await;
        assert_eq!(answer.status, 200, "{query:?}: {:#}", answer.body);
        let answer = answer.body;
        let group = match answer.get("Resources") {
            Some(_) => resources(&answer).find(|group| id(group) == world.large).expect("the group").clone(),
            None => answer,
        };
        assert_eq!(values(&group, "members"), after.members(&world.large), "{query:?}");
        assert_eq!(world.raw(&copy).pending, 0, "the change has ended meanwhile");
    }
    for query in [
        Request::get("/Users").query("count", 1_000),
        Request::get("/Users").query("count", 1_000).query("sortBy", "userName"),
    ] {
        let answer = query.send(&late_reader(&world, &snapshot.copy())).await.body;
        for user in resources(&answer) {
            assert_eq!(values(user, "groups"), after.groups(&id(user)), "{query:?}");
        }
    }
    let of_group = Request::get("/Users").filter(format!("groups.value eq \"{}\"", world.large));
    for query in [of_group.clone().query("count", 1_000), of_group.query("count", 1_000).query("cursor", "")]
    {
        let answer = query.send(&late_reader(&world, &snapshot.copy())).await.body;
        assert_eq!(resources(&answer).map(id).collect::<BTreeSet<_>>(), after.users_of(&world.large));
    }
}

/// A restored backup may lack the parts of a change.
#[tokio::test]
async fn change_whose_parts_are_lost_blocks_no_reader() {
    let world = World::new().await;
    let database = world.interrupted_in(&add_100(&world), STATES_OF_MEMBERS[1]).await;
    let mut left = 0;
    let table = Tables::default().resources;
    let scan = json!({ "TableName": table, "Limit": 100_000 });
    let answer = dispatch(&database, "Scan", scan.to_string().as_bytes()).expect("a scan");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    for item in answer["Items"].as_array().expect("items") {
        if item["pk"]["S"].as_str().is_some_and(|pk| pk.contains("#PENDING#")) {
            let key = json!({ "TableName": table, "Key": { "pk": item["pk"], "sk": item["sk"] } });
            dispatch(&database, "DeleteItem", key.to_string().as_bytes()).expect("deleted");
            left += 1;
        }
    }
    assert_eq!(left, 4);
    let expected = Seen::settled(&world.service).await;
    Readers::new(&world, &database, &expected, "without parts".to_owned()).check().await;
}
