//! Linearizability of concurrent requests: some order of the requests explains all answers and the final data.
//!
//! A history is the run of a scenario with a seed. There are histories of two kinds. In the first, the seed decides the
//! order of calls to DynamoDB, the transactions that conflict, and the calls that are throttled. In the second, the seed
//! decides how long each call takes on the realistic DynamoDB, where transactions that overlap conflict. A request with
//! the answer 503 or 429 takes effect at that time, later, or never.
//!
//! On another DynamoDB than the embedded one, no seed decides: several threads send the requests.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use dynoxide::Database;
use fastrand::Rng;
use serde_json::{Value, json};
use tests::{
    Answer, ORG, Request, Service,
    history::{Operation, is_explained},
    schedule::{Faults, Schedule},
};
use tokio::runtime::Builder;

use super::{assert_consistent, create_all, members};

/// The number of histories of a scenario.
const HISTORIES: u64 = 50;
/// The number of histories of a scenario with many users or requests.
const HEAVY_HISTORIES: u64 = 15;
/// The number of histories of the scenario with 200 requests.
const HEAVIEST_HISTORIES: u64 = 6;
/// The number of histories if no seed decides them.
const UNDECIDED_HISTORIES: u64 = 2;
/// The number of histories on the embedded engine for each one on the realistic DynamoDB.
const FEWER_REALISTIC: u64 = 5;
/// A history to run alone after it has failed.
const ONLY: Option<(Engine, u64)> = None;

/// The inputs that decide a history.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Engine {
    /// A schedule of the calls to the embedded engine.
    Scheduled,
    /// The times of the calls to the realistic DynamoDB.
    Realistic,
    /// Nothing: the DynamoDB is another one.
    Undecided,
}

/// A running history: a service and the order of its calls.
struct Race {
    random: Rng,
    faults: Faults,
    schedule: Schedule,
    service: Arc<Service>,
}

/// A request and its answer.
#[derive(Clone, Debug)]
struct Event {
    request: Request,
    answer: Answer,
    began: u64,
    over: u64,
}

impl Event {
    /// Returns whether the outcome is unknown.
    fn is_unknown(&self) -> bool {
        [429, 503].contains(&self.answer.status)
    }
}

impl Race {
    async fn new(engine: Engine, seed: u64) -> Self {
        let faults = match engine {
            Engine::Scheduled => Self::faults(seed),
            Engine::Realistic | Engine::Undecided => Faults::default(),
        };
        let schedule = Schedule::new(seed, faults);
        let service = match engine {
            Engine::Scheduled => {
                Service::on(schedule.client(Database::memory().expect("a database in memory"))).await
            }
            Engine::Realistic => Service::realistic(seed).await.0,
            Engine::Undecided => Service::new().await,
        };
        Self { random: Rng::with_seed(!seed), faults, schedule, service: Arc::new(service) }
    }

    /// Returns the faults of a seed. A third of the histories have no faults, a third have conflicts, and a third have
    /// conflicts and throttled calls.
    fn faults(seed: u64) -> Faults {
        match seed % 3 {
            0 => Faults::default(),
            1 => Faults { conflicts: 5, throttled: 0 },
            _ => Faults { conflicts: 8, throttled: 6 },
        }
    }

    /// Creates that number of users with one request and returns their ids.
    async fn users(&self, number: usize) -> Vec<String> {
        let user = |index| json!({ "userName": user_name(index) });
        create_all(&self.service, &self.service.key, "/Users", (0..number).map(user)).await
    }

    /// Runs the clients concurrently. Each client sends its requests one after another.
    async fn run(&self, clients: impl IntoIterator<Item = Vec<Request>>) -> Vec<Event> {
        let clock = Arc::new(AtomicU64::new(0));
        let tick = |clock: &AtomicU64| clock.fetch_add(1, Ordering::Relaxed);
        let clients = clients.into_iter().map(|requests| {
            let (service, clock) = (Arc::clone(&self.service), Arc::clone(&clock));
            async move {
                let mut events = Vec::new();
                for request in requests {
                    let began = tick(&clock);
                    let answer = request.send(&service).await;
                    events.push(Event { request, answer, began, over: tick(&clock) });
                }
                events
            }
        });
        let events: Vec<Event> = self.schedule.run(clients).await.into_iter().flatten().collect();
        for event in &events {
            self.assert_allowed(event);
        }
        events
    }

    /// Fails on a server error without an injected fault or without `Retry-After`.
    fn assert_allowed(&self, event: &Event) {
        let Event { request, answer, .. } = event;
        if event.is_unknown() {
            assert_ne!(self.faults, Faults::default(), "{request:?}: {:#}", answer.body);
            let seconds = answer.header("retry-after").parse::<u64>();
            assert!(seconds.is_ok_and(|seconds| seconds > 0), "{request:?}: {:?}", answer.headers);
        } else {
            assert!(answer.status < 500, "{request:?}: {:#}", answer.body);
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.service.get(path).await
    }
}

/// Runs the scenario once for each seed. Prints the seed that fails.
fn histories(scenario: &impl AsyncFn(&mut Race)) {
    run(HISTORIES, scenario);
}

/// Runs a scenario with many users or requests once for each seed.
fn heavy_histories(scenario: &impl AsyncFn(&mut Race)) {
    run(HEAVY_HISTORIES, scenario);
}

fn run(histories: u64, scenario: &impl AsyncFn(&mut Race)) {
    if !tests::is_embedded() {
        return run_on(Engine::Undecided, UNDECIDED_HISTORIES, scenario);
    }
    run_on(Engine::Scheduled, histories, scenario);
    run_on(Engine::Realistic, histories / FEWER_REALISTIC, scenario);
}

fn run_on(engine: Engine, histories: u64, scenario: &impl AsyncFn(&mut Race)) {
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    let seeds = match ONLY {
        Some((only, seed)) if only == engine => seed..seed + 1,
        Some(_) => 0..0,
        None => 0..histories,
    };
    for seed in seeds {
        let run = || {
            runtime().block_on(async {
                let mut race = Race::new(engine, seed).await;
                scenario(&mut race).await;
                assert_consistent(&race.service, &race.service.org, &race.service.key).await;
            });
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            println!("{name}: {engine:?}, seed {seed}");
            resume_unwind(panic);
        }
    }
    println!("{name}: {histories} histories, {engine:?}");
}

/// Returns a runtime of one thread. Its clock advances when every task waits for it.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    if tests::is_embedded() {
        Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
    } else {
        Builder::new_multi_thread().enable_all().build().expect("a runtime")
    }
}

fn user_name(index: usize) -> String {
    format!("user-{index}")
}

/// Counts the answers by verdict.
fn verdicts(events: &[Event]) -> BTreeMap<String, usize> {
    let mut verdicts = BTreeMap::new();
    for event in events {
        *verdicts.entry(event.answer.verdict()).or_default() += 1;
    }
    verdicts
}

#[test]
fn seed_decides_the_history() {
    let trace = |seed| {
        runtime().block_on(async {
            let race = Race::new(Engine::Scheduled, seed).await;
            let create =
                |_| vec![Request::post("/Users", json!({ "userName": "ada" })), Request::get("/Users")];
            race.run((0..5).map(create)).await;
            race.schedule.trace()
        })
    };
    let traces: BTreeSet<_> = (0..9).map(trace).collect();
    assert_eq!(traces.len(), 9, "each seed has its own");
    for seed in 0..9 {
        assert!(traces.contains(&trace(seed)), "seed {seed} has one");
    }
}

#[test]
fn one_of_50_concurrent_creations_of_a_name_succeeds() {
    heavy_histories(&async |race| {
        let create = |_| vec![Request::post("/Users", json!({ "userName": "Ada" }))];
        let events = race.run((0..50).map(create)).await;
        let created = events.iter().filter(|event| event.answer.status == 201).count();
        let refused = events.iter().filter(|event| event.answer.verdict() == "409 uniqueness").count();
        let unknown = events.iter().filter(|event| event.is_unknown()).count();
        assert_eq!((created + refused + unknown, created), (50, 1), "{:?}", verdicts(&events));
        assert_eq!(race.get("/Users").await.body["totalResults"], 1);
    });
}

/// An action of a client in a world of users and one group.
#[derive(Clone, Debug)]
enum Act {
    /// PATCH of the members with these operations.
    Edit(Vec<Change>),
    /// PUT of the group with these members.
    Put(Vec<usize>),
    ReadGroup,
    DeleteGroup,
    /// POST of a further user with that name.
    Create(usize),
    /// GET of the user without groups.
    ReadUser(usize),
    /// GET of the user's groups.
    ReadGroups(usize),
    /// PATCH of the user's name.
    Rename(usize, usize),
    /// PATCH of the user's title.
    Retitle(usize, &'static str),
    DeleteUser(usize),
    /// GET of the number of users.
    Count,
}
use Act::{
    Count, Create, DeleteGroup, DeleteUser, Edit, Put, ReadGroup, ReadGroups, ReadUser, Rename, Retitle,
};

/// A PATCH operation on members.
#[derive(Clone, Debug)]
enum Change {
    Add(Vec<usize>),
    Remove(Vec<usize>),
    Replace(Vec<usize>),
}
use Change::{Add, Remove, Replace};

/// The state of a sequential model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    /// Users by number: name and title.
    users: BTreeMap<usize, (usize, &'static str)>,
    /// The names of further users.
    others: BTreeSet<usize>,
    /// The members of the group, if the group exists.
    group: Option<BTreeSet<usize>>,
}

/// The content of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Refused(&'static str),
    Done,
    Members(BTreeSet<usize>),
    User(usize, &'static str),
    /// Whether the user is in the group.
    InGroup(bool),
    Total(usize),
}

impl State {
    /// Returns the answer to the act and the state after it.
    fn after(&self, act: &Act) -> (Seen, Self) {
        let mut next = self.clone();
        let seen = next.perform(act).unwrap_or_else(Seen::Refused);
        (seen, next)
    }

    /// Returns the state after the act if the act allows the answer.
    fn after_answer(&self, act: &Act, seen: Option<&Seen>) -> Option<Self> {
        let (expected, next) = self.after(act);
        if seen.is_none_or(|seen| *seen == expected) {
            return Some(next);
        }
        // A change that exceeds a transaction is pending after the look-up of its members. The change omits a member
        // that is deleted after the look-up.
        match act {
            Edit(changes) if *seen? == Seen::Done => match changes.as_slice() {
                [Add(users)] if users.len() > FITS => {
                    let there = users.iter().copied().filter(|user| self.users.contains_key(user)).collect();
                    self.after_answer(&Edit(vec![Add(there)]), seen)
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn perform(&mut self, act: &Act) -> Result<Seen, &'static str> {
        const GONE: &str = "404";
        let taken = |state: &Self, name: &usize, but: Option<&usize>| {
            let mut users = state.users.iter().filter(|(user, _)| Some(*user) != but);
            users.any(|(_, (other, _))| other == name) || state.others.contains(name)
        };
        match act {
            Edit(changes) => {
                let members = self.group.clone().ok_or(GONE)?;
                self.group =
                    Some(changes.iter().try_fold(members, |members, change| self.changed(members, change))?);
                Ok(Seen::Done)
            }
            Put(members) => {
                self.group.as_ref().ok_or(GONE)?;
                self.group = Some(self.changed(BTreeSet::new(), &Add(members.clone()))?);
                Ok(Seen::Done)
            }
            ReadGroup => self.group.clone().map(Seen::Members).ok_or(GONE),
            DeleteGroup => self.group.take().map(|_| Seen::Done).ok_or(GONE),
            Create(name) if taken(self, name, None) => Err("409 uniqueness"),
            Create(name) => {
                self.others.insert(*name);
                Ok(Seen::Done)
            }
            ReadUser(user) => self.users.get(user).map(|(name, title)| Seen::User(*name, title)).ok_or(GONE),
            // A GET of a user reads the user and its groups separately.
            ReadGroups(user) => {
                Ok(Seen::InGroup(self.group.as_ref().is_some_and(|group| group.contains(user))))
            }
            Rename(user, name) => {
                self.users.get(user).ok_or(GONE)?;
                if taken(self, name, Some(user)) {
                    return Err("409 uniqueness");
                }
                self.users.entry(*user).and_modify(|user| user.0 = *name);
                Ok(Seen::Done)
            }
            Retitle(user, title) => {
                self.users.get_mut(user).ok_or(GONE)?.1 = title;
                Ok(Seen::Done)
            }
            DeleteUser(user) => {
                self.users.remove(user).ok_or(GONE)?;
                if let Some(members) = &mut self.group {
                    members.remove(user);
                }
                Ok(Seen::Done)
            }
            Count => Ok(Seen::Total(self.users.len() + self.others.len())),
        }
    }

    fn changed(
        &self,
        mut members: BTreeSet<usize>,
        change: &Change,
    ) -> Result<BTreeSet<usize>, &'static str> {
        if matches!(change, Replace(_)) {
            members.clear();
        }
        match change {
            Add(users) | Replace(users) if !users.iter().all(|user| self.users.contains_key(user)) => {
                return Err("400 invalidValue");
            }
            Add(users) | Replace(users) => members.extend(users),
            Remove(users) => members.retain(|member| !users.contains(member)),
        }
        Ok(members)
    }
}

/// Users and one group.
struct World {
    users: Vec<String>,
    group: String,
    initial: State,
}

impl World {
    async fn new(race: &Race, users: usize, members: impl IntoIterator<Item = usize>) -> Self {
        let ids = race.users(users).await;
        let members: BTreeSet<usize> = members.into_iter().collect();
        let body = json!({ "displayName": "Team", "members": super::members(members.iter().map(|user| &ids[*user])) });
        let group = create_all(&race.service, &race.service.key, "/Groups", [body]).await.remove(0);
        let users = (0..users).map(|user| (user, (user, ""))).collect();
        Self { users: ids, group, initial: State { users, others: BTreeSet::new(), group: Some(members) } }
    }

    fn members(&self, users: &[usize]) -> Value {
        members(users.iter().map(|user| &self.users[*user]))
    }

    fn request(&self, act: &Act) -> Request {
        let group = format!("/Groups/{}", self.group);
        let user = |user: &usize| format!("/Users/{}", self.users[*user]);
        let replace = |path: &str, value: &str| json!([{ "op": "replace", "path": path, "value": value }]);
        match act {
            Edit(changes) => {
                let operation = |change: &Change| match change {
                    Add(users) => json!({ "op": "add", "path": "members", "value": self.members(users) }),
                    Remove(users) => {
                        json!({ "op": "remove", "path": "members", "value": self.members(users) })
                    }
                    Replace(users) => {
                        json!({ "op": "replace", "path": "members", "value": self.members(users) })
                    }
                };
                Request::patch(group, changes.iter().map(operation).collect::<Value>())
            }
            Put(users) => {
                Request::put(group, json!({ "displayName": "Team", "members": self.members(users) }))
            }
            ReadGroup => Request::get(group),
            DeleteGroup => Request::delete(group),
            Create(name) => Request::post("/Users", json!({ "userName": user_name(*name) })),
            ReadUser(of) => Request::get(format!("{}?excludedAttributes=groups", user(of))),
            ReadGroups(of) => Request::get(user(of)),
            Rename(who, name) => Request::patch(user(who), replace("userName", &user_name(*name))),
            Retitle(who, title) => Request::patch(user(who), replace("title", title)),
            DeleteUser(who) => Request::delete(user(who)),
            Count => Request::get("/Users?count=0"),
        }
    }

    /// Returns the content of the answer to an act.
    fn seen(&self, act: &Act, answer: &Answer) -> Option<Seen> {
        let text = |name: &str| answer.body[name].as_str().unwrap_or_default();
        let ids = |name: &str| -> BTreeSet<&str> {
            let elements = answer.body[name].as_array().map(Vec::as_slice).unwrap_or_default();
            elements.iter().filter_map(|element| element["value"].as_str()).collect()
        };
        Some(match (answer.verdict().as_str(), act) {
            // A deleted user is in no group.
            ("404", ReadGroups(_)) => Seen::InGroup(false),
            ("404", _) => Seen::Refused("404"),
            ("409 uniqueness", _) => Seen::Refused("409 uniqueness"),
            ("400 invalidValue", _) => Seen::Refused("400 invalidValue"),
            ("200", ReadGroup) => {
                let number = |id| self.users.iter().position(|user| user == id).expect("a known user");
                Seen::Members(ids("members").into_iter().map(number).collect())
            }
            ("200", ReadUser(_)) => {
                let title = TITLES.into_iter().find(|title| *title == text("title"))?;
                Seen::User(text("userName").strip_prefix("user-")?.parse().ok()?, title)
            }
            ("200", ReadGroups(_)) => Seen::InGroup(ids("groups").contains(self.group.as_str())),
            ("200", Count) => Seen::Total(usize::try_from(answer.body["totalResults"].as_u64()?).ok()?),
            ("200", Put(_) | Rename(..) | Retitle(..))
            | ("201", Create(_))
            | ("204", Edit(_) | DeleteGroup | DeleteUser(_)) => Seen::Done,
            _ => return None,
        })
    }

    /// Runs the clients, then reads all that they changed. Fails if no order explains the history.
    async fn race(&self, race: &Race, clients: Vec<Vec<Act>>) {
        let requests = |acts: &Vec<Act>| acts.iter().map(|act| self.request(act)).collect();
        let events = race.run(clients.iter().map(requests)).await;
        let mut history: Vec<Operation<(Act, Option<Seen>)>> = Vec::new();
        let acts: Vec<Act> = clients.into_iter().flatten().collect();
        for (act, event) in acts.iter().zip(&events) {
            let seen = (!event.is_unknown()).then(|| {
                let seen = self.seen(act, &event.answer);
                seen.unwrap_or_else(|| panic!("{act:?}: {} {:#}", event.answer.status, event.answer.body))
            });
            let over = seen.is_some().then_some(event.over);
            history.push(Operation { began: event.began, over, what: (act.clone(), seen) });
        }
        let mut now = events.iter().map(|event| event.over).max().unwrap_or_default();
        for act in Self::readings(&acts) {
            let answer = self.request(&act).send(&race.service).await;
            let seen = self.seen(&act, &answer).expect("the content of a read");
            history.push(Operation { began: now + 1, over: Some(now + 2), what: (act, Some(seen)) });
            now += 2;
        }
        let explained = is_explained(&self.initial, &history, |state, operation| {
            let (act, seen) = &operation.what;
            state.after_answer(act, seen.as_ref())
        });
        history.sort_by_key(|operation| operation.began);
        let line = |Operation { began, over, what: (act, seen) }: &Operation<_>| {
            format!("{began}..{over:?} {act:?} {seen:?}\n")
        };
        let lines: String = history.iter().map(line).collect();
        assert!(explained, "no order explains this, from {:?}:\n{lines}", self.initial.group);
    }

    /// Returns the reads of all data that the acts are about.
    fn readings(acts: &[Act]) -> Vec<Act> {
        let mut users = BTreeSet::new();
        for act in acts {
            match act {
                ReadUser(user) | ReadGroups(user) | Rename(user, _) | Retitle(user, _) | DeleteUser(user) => {
                    users.insert(*user);
                }
                _ => {}
            }
        }
        let of_user = users.into_iter().flat_map(|user| [ReadUser(user), ReadGroups(user)]);
        of_user.chain([ReadGroup, Count]).collect()
    }
}

/// The titles of users.
const TITLES: [&str; 3] = ["", "x", "y"];

/// A number of members that fits into one transaction.
const FITS: usize = 32;
/// A number of members that exceeds one transaction.
const MANY: usize = 36;

#[test]
fn all_200_concurrent_member_additions_persist() {
    run(HEAVIEST_HISTORIES, &async |race| {
        let world = World::new(race, 200, []).await;
        let add = |user| vec![world.request(&Edit(vec![Add(vec![user])]))];
        let events = race.run((0..200).map(add)).await;
        let done: BTreeSet<&String> = world
            .users
            .iter()
            .zip(&events)
            .filter(|(_, event)| event.answer.status == 204)
            .map(|(user, _)| user)
            .collect();
        let unknown = events.iter().filter(|event| event.is_unknown()).count();
        assert_eq!(done.len() + unknown, 200, "{:?}", verdicts(&events));
        let members = race.service.members(&world.group).await;
        assert!(done.into_iter().all(|user| members.contains(user)), "a member was lost");
    });
}

#[test]
fn one_of_several_patches_with_if_match_succeeds() {
    histories(&async |race| {
        let world = World::new(race, 3, [0]).await;
        for path in [format!("/Users/{}", world.users[0]), format!("/Groups/{}", world.group)] {
            let version = race.get(&path).await.header("etag").to_owned();
            let patch = |index: usize| {
                let operation =
                    json!([{ "op": "replace", "path": "externalId", "value": format!("by {index}") }]);
                vec![Request::patch(&path, &operation).if_match(&*version)]
            };
            let events = race.run((0..6).map(patch)).await;
            let won: Vec<_> =
                (0..6).filter(|index| [200, 204].contains(&events[*index].answer.status)).collect();
            let lost = events.iter().filter(|event| event.answer.status == 412).count();
            let unknown = events.iter().filter(|event| event.is_unknown()).count();
            assert_eq!(won.len() + lost + unknown, 6, "{:?}", verdicts(&events));
            assert!(won.len() == 1 || won.is_empty() && unknown > 0, "{:?}", verdicts(&events));
            let stands = race.get(&path).await.body["externalId"].clone();
            assert!(won.iter().all(|winner| stands == format!("by {winner}")), "{stands}");
        }
    });
}

/// Runs histories of these clients. Each client has a list of acts.
fn assert_linearizable(users: usize, members: &[usize], clients: &[Vec<Act>]) {
    histories(&async |race| {
        World::new(race, users, members.iter().copied()).await.race(race, clients.to_vec()).await;
    });
}

fn add(users: impl IntoIterator<Item = usize>) -> Act {
    Edit(vec![Add(users.into_iter().collect())])
}

fn remove(users: impl IntoIterator<Item = usize>) -> Act {
    Edit(vec![Remove(users.into_iter().collect())])
}

fn put(users: impl IntoIterator<Item = usize>) -> Act {
    Put(users.into_iter().collect())
}

#[test]
fn member_additions_and_removals_are_linearizable() {
    assert_linearizable(
        2,
        &[1],
        &[
            vec![add([0]), ReadGroup, remove([0, 1])],
            vec![remove([0]), add([0, 1])],
            vec![ReadGroup, ReadGroups(0)],
            vec![Edit(vec![Remove(vec![1]), Add(vec![0])]), ReadGroup],
        ],
    );
}

#[test]
fn put_and_additions_are_linearizable() {
    assert_linearizable(
        4,
        &[0],
        &[
            vec![put([2])],
            vec![add([0, 1])],
            vec![add([3, 0]), ReadGroup],
            vec![Edit(vec![Replace(vec![1, 2])]), ReadGroup],
        ],
    );
}

#[test]
fn concurrent_puts_of_60_members_are_linearizable() {
    heavy_histories(&async |race| {
        let world = World::new(race, 70, [3, 65]).await;
        let clients = vec![vec![put(0..60), ReadGroup], vec![put(10..70)], vec![add([5]), ReadGroup]];
        world.race(race, clients).await;
    });
}

#[test]
fn large_change_becomes_visible_as_a_whole() {
    assert_linearizable(
        MANY,
        &[3, 4],
        &[
            vec![put((0..MANY).filter(|user| *user != 3))],
            vec![ReadGroup, ReadGroups(0), ReadGroups(MANY - 1)],
            vec![ReadGroups(MANY - 1), ReadGroup, ReadGroups(3)],
            vec![ReadGroup, ReadGroup, ReadGroup],
        ],
    );
}

#[test]
fn large_addition_survives_deletion_of_one_member() {
    heavy_histories(&async |race| {
        let world = World::new(race, 120, [0]).await;
        let clients =
            vec![vec![add(0..120)], vec![DeleteUser(77)], vec![ReadGroup, ReadGroups(77), ReadGroup]];
        world.race(race, clients).await;
    });
}

#[test]
fn deleted_user_leaves_no_membership() {
    assert_linearizable(
        2,
        &[],
        &[
            vec![DeleteUser(0), ReadGroup],
            vec![add([0, 1])],
            vec![add([0]), ReadGroup],
            vec![put([0]), ReadUser(0)],
        ],
    );
}

#[test]
fn deleted_group_leaves_no_membership() {
    assert_linearizable(
        3,
        &[0],
        &[
            vec![DeleteGroup, ReadGroup, ReadGroups(0)],
            vec![add([1]), ReadGroups(1)],
            vec![put([0, 2]), ReadGroup],
        ],
    );
}

#[test]
fn deleted_large_group_leaves_no_membership() {
    assert_linearizable(
        MANY,
        &[0],
        &[
            vec![DeleteGroup, ReadGroups(1)],
            vec![put(0..MANY), ReadGroup],
            vec![add([1]), ReadGroups(1), ReadGroup],
        ],
    );
}

#[test]
fn deleted_user_does_not_reappear() {
    assert_linearizable(
        1,
        &[0],
        &[
            vec![DeleteUser(0), ReadUser(0), Count],
            vec![Retitle(0, "x"), ReadUser(0)],
            vec![Rename(0, 5), Retitle(0, "y")],
        ],
    );
}

#[test]
fn name_has_one_owner_after_concurrent_renames() {
    assert_linearizable(
        3,
        &[],
        &[
            vec![Rename(0, 9), Rename(0, 1)],
            vec![Rename(1, 9), Rename(1, 0), ReadUser(1)],
            vec![Create(9), Create(0)],
            vec![Rename(2, 1), ReadUser(2)],
        ],
    );
}

#[test]
fn creations_and_deletions_are_counted_exactly() {
    assert_linearizable(
        4,
        &[0, 1],
        &[
            vec![Create(7), Count, Create(8)],
            vec![DeleteUser(0), DeleteUser(1), Count],
            vec![DeleteUser(1), Create(1)],
            vec![Count, DeleteUser(2), Count],
        ],
    );
}

#[test]
fn concurrent_deactivations_are_counted_exactly() {
    histories(&async |race| {
        let users = race.users(3).await;
        let active = |active: bool| json!([{ "op": "replace", "path": "active", "value": active }]);
        let patch = |user: usize, is: bool| Request::patch(format!("/Users/{}", users[user]), active(is));
        let inactive = json!({ "userName": "new", "active": false });
        race.run([
            vec![patch(0, false), patch(0, true), patch(1, false)],
            vec![patch(0, true), patch(0, false), patch(1, false)],
            vec![patch(2, false), Request::delete(format!("/Users/{}", users[1])), patch(2, true)],
            vec![Request::post("/Users", inactive), patch(0, false), patch(2, false)],
        ])
        .await;
        // The doctor compares the counts with the users.
        assert_consistent(&race.service, ORG, &race.service.key).await;
    });
}

#[test]
fn concurrent_random_operations_are_linearizable() {
    histories(&async |race| {
        let world = World::new(race, 4, [0, 1]).await;
        let random = &mut race.random.clone();
        let some = |random: &mut Rng| (0..4).filter(|_| random.bool()).collect::<Vec<_>>();
        let act = |random: &mut Rng| match random.u32(..20) {
            0..=3 => add(some(random)),
            4..=6 => remove(some(random)),
            7 => Edit(vec![Remove(some(random)), Add(some(random))]),
            8 => Edit(vec![Replace(some(random))]),
            9 | 10 => put(some(random)),
            11..=13 => ReadGroup,
            14 => ReadGroups(random.usize(..4)),
            15 => ReadUser(random.usize(..4)),
            16 => Rename(random.usize(..4), random.usize(..6)),
            17 => DeleteUser(random.usize(..4)),
            18 => Create(random.usize(..6)),
            _ if random.u32(..4) == 0 => DeleteGroup,
            _ => Count,
        };
        let clients = (0..4).map(|_| (0..3).map(|_| act(random)).collect()).collect();
        world.race(race, clients).await;
    });
}
