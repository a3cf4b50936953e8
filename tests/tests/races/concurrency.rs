//! Requests that run at the same time: every answer, and what is there at the end, is explained by some order of them.
//!
//! A history is what a seed makes of a scenario: it decides which call of DynamoDB comes next, which transactions
//! conflict, and which calls are throttled. What was answered with 503 or 429 may have happened, then or later, or not.
//!
//! On another DynamoDB than the embedded one nothing is decided: the requests are sent from several threads.

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
    Answer, Request, Service,
    history::{Operation, is_explained},
    schedule::{Faults, Schedule},
};
use tokio::runtime::Builder;

use super::{assert_whole, create_all, members};

/// Histories of a scenario.
const HISTORIES: u64 = 50;
/// Histories of a scenario that begins with hundreds of users.
const HEAVY_HISTORIES: u64 = 15;
/// Of the one that is hundreds of requests.
const HEAVIEST_HISTORIES: u64 = 6;
/// Of each, where nothing decides what they are.
const UNDECIDED_HISTORIES: u64 = 2;
/// The one history to look at, when one has failed.
const ONLY: Option<u64> = None;

/// A history in the making: a service, and the order of its calls.
struct Race {
    random: Rng,
    faults: Faults,
    schedule: Schedule,
    service: Arc<Service>,
}

/// What was sent, and what came of it.
#[derive(Clone, Debug)]
struct Event {
    sent: Request,
    answer: Answer,
    began: u64,
    over: u64,
}

impl Event {
    /// Whether nobody knows what came of it.
    fn is_unknown(&self) -> bool {
        [429, 503].contains(&self.answer.status)
    }
}

impl Race {
    async fn new(seed: u64) -> Self {
        if tests::is_embedded() {
            return Self::decided(seed).await;
        }
        let faults = Faults::default();
        let (random, schedule) = (Rng::with_seed(!seed), Schedule::new(seed, faults));
        Self { random, faults, schedule, service: Arc::new(Service::new().await) }
    }

    /// One history in three is without faults; one has conflicts; one has throttled calls beside.
    async fn decided(seed: u64) -> Self {
        let faults = match seed % 3 {
            0 => Faults::default(),
            1 => Faults { conflicts: 5, throttled: 0 },
            _ => Faults { conflicts: 8, throttled: 6 },
        };
        let schedule = Schedule::new(seed, faults);
        let service = Service::on(schedule.client(Database::memory().expect("a database in memory"))).await;
        Self { random: Rng::with_seed(!seed), faults, schedule, service: Arc::new(service) }
    }

    /// Users of these names, by one request.
    async fn users(&self, number: usize) -> Vec<String> {
        let user = |index| json!({ "userName": user_name(index) });
        create_all(&self.service, &self.service.key, "/Users", (0..number).map(user)).await
    }

    /// Several clients at once, each of which sends one request after the other.
    async fn run(&self, clients: impl IntoIterator<Item = Vec<Request>>) -> Vec<Event> {
        let clock = Arc::new(AtomicU64::new(0));
        let tick = |clock: &AtomicU64| clock.fetch_add(1, Ordering::Relaxed);
        let clients = clients.into_iter().map(|requests| {
            let (service, clock) = (Arc::clone(&self.service), Arc::clone(&clock));
            async move {
                let mut events = Vec::new();
                for sent in requests {
                    let began = tick(&clock);
                    let answer = sent.send(&service).await;
                    events.push(Event { sent, answer, began, over: tick(&clock) });
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

    /// A failure of the service has a reason, and says when to come again.
    fn assert_allowed(&self, event: &Event) {
        let Event { sent, answer, .. } = event;
        if event.is_unknown() {
            assert_ne!(self.faults, Faults::default(), "{sent:?}: {:#}", answer.body);
            let seconds = answer.header("retry-after").parse::<u64>();
            assert!(seconds.is_ok_and(|seconds| seconds > 0), "{sent:?}: {:?}", answer.headers);
        } else {
            assert!(answer.status < 500, "{sent:?}: {:#}", answer.body);
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.service.get(path).await
    }
}

/// Runs the scenario once for each seed; says which seed it was that failed.
fn histories(scenario: &impl AsyncFn(&mut Race)) {
    run(HISTORIES, scenario);
}

/// The same for scenarios that are a hundred requests each.
fn heavy_histories(scenario: &impl AsyncFn(&mut Race)) {
    run(HEAVY_HISTORIES, scenario);
}

fn run(histories: u64, scenario: &impl AsyncFn(&mut Race)) {
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    let histories = if tests::is_embedded() { histories } else { UNDECIDED_HISTORIES };
    for seed in ONLY.map_or(0..histories, |seed| seed..seed + 1) {
        let run = || {
            runtime().block_on(async {
                let mut race = Race::new(seed).await;
                scenario(&mut race).await;
                assert_whole(&race.service, &race.service.org, &race.service.key).await;
            });
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            println!("{name}: seed {seed}");
            resume_unwind(panic);
        }
    }
    println!("{name}: {histories} histories");
}

/// One thread, and a clock that goes on when everybody waits for it.
fn runtime() -> tokio::runtime::Runtime {
    if tests::is_embedded() {
        Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
    } else {
        Builder::new_multi_thread().enable_all().build().expect("a runtime")
    }
}

fn user_name(index: usize) -> String {
    format!("user-{index}")
}

/// How many answers there are of each kind.
fn verdicts(events: &[Event]) -> BTreeMap<String, usize> {
    let mut verdicts = BTreeMap::new();
    for event in events {
        *verdicts.entry(event.answer.verdict()).or_default() += 1;
    }
    verdicts
}

#[test]
fn a_seed_is_a_history() {
    let trace = |seed| {
        runtime().block_on(async {
            let race = Race::decided(seed).await;
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
fn of_50_creations_of_one_user_name_one_is_carried_out() {
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

/// What clients ask for in a world of users and one group.
#[derive(Clone, Debug)]
enum Act {
    /// PATCH of the members, operation by operation.
    Edit(Vec<Change>),
    /// PUT of the group with these members.
    Put(Vec<usize>),
    ReadGroup,
    DeleteGroup,
    /// A user of that name, beside those there are.
    Create(usize),
    /// The user, without its groups.
    ReadUser(usize),
    /// The groups of the user.
    ReadGroups(usize),
    /// PATCH of the user's name.
    Rename(usize, usize),
    /// PATCH of the user's title.
    Retitle(usize, &'static str),
    DeleteUser(usize),
    /// How many users there are.
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

/// What there is, as one who does one thing after the other has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    /// Users by number: name and title.
    users: BTreeMap<usize, (usize, &'static str)>,
    /// Names of users that were created beside them.
    others: BTreeSet<usize>,
    /// The members of the group, if there is one.
    group: Option<BTreeSet<usize>>,
}

/// What is seen.
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
    /// What the act is answered with, and what there is then.
    fn after(&self, act: &Act) -> (Seen, Self) {
        let mut next = self.clone();
        let seen = next.perform(act).unwrap_or_else(Seen::Refused);
        (seen, next)
    }

    /// What there is after the act, if it can be answered like that.
    fn after_answer(&self, act: &Act, seen: Option<&Seen>) -> Option<Self> {
        let (expected, next) = self.after(act);
        if seen.is_none_or(|seen| *seen == expected) {
            return Some(next);
        }
        // What does not fit a transaction is on its way from when its members are looked up: who is deleted after that
        // is left out.
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
            // A GET of a user is two reads: of the user and of its groups.
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

/// Users and one group, and who does what with them.
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

    /// What the answer to an act shows.
    fn seen(&self, act: &Act, answer: &Answer) -> Option<Seen> {
        let text = |name: &str| answer.body[name].as_str().unwrap_or_default();
        let ids = |name: &str| -> BTreeSet<&str> {
            let elements = answer.body[name].as_array().map(Vec::as_slice).unwrap_or_default();
            elements.iter().filter_map(|element| element["value"].as_str()).collect()
        };
        Some(match (answer.verdict().as_str(), act) {
            // Who is gone is in no group.
            ("404", ReadGroups(_)) => Seen::InGroup(false),
            ("404", _) => Seen::Refused("404"),
            ("409 uniqueness", _) => Seen::Refused("409 uniqueness"),
            ("400 invalidValue", _) => Seen::Refused("400 invalidValue"),
            ("200", ReadGroup) => {
                let number = |id| self.users.iter().position(|user| user == id).expect("a user there was");
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

    /// Lets the clients loose, and reads everything they were about afterwards; fails if no order explains it all.
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
            let seen = self.seen(&act, &answer).expect("what reading shows");
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

    /// What shows all that these acts were about.
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

/// Titles that users have.
const TITLES: [&str; 3] = ["", "x", "y"];

/// So many members fit into one transaction.
const FITS: usize = 32;
/// So many do not.
const MANY: usize = 36;

#[test]
fn additions_of_200_members_at_once_all_stay() {
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
        assert!(done.into_iter().all(|user| members.contains(user)), "somebody was lost");
    });
}

#[test]
fn of_patches_with_one_if_match_exactly_one_wins() {
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

/// Acts of which each client does some: a scenario in which an order must be found.
fn acts(users: usize, members: &[usize], clients: &[Vec<Act>]) {
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
fn additions_and_removals_of_a_member_have_an_order() {
    acts(
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
fn a_put_and_additions_have_an_order() {
    acts(
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
fn two_puts_of_60_members_have_an_order() {
    heavy_histories(&async |race| {
        let world = World::new(race, 70, [3, 65]).await;
        let clients = vec![vec![put(0..60), ReadGroup], vec![put(10..70)], vec![add([5]), ReadGroup]];
        world.race(race, clients).await;
    });
}

#[test]
fn a_large_change_is_seen_as_a_whole_or_not_at_all() {
    acts(
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
fn a_large_addition_outlives_the_deletion_of_one_of_its_members() {
    heavy_histories(&async |race| {
        let world = World::new(race, 120, [0]).await;
        let clients =
            vec![vec![add(0..120)], vec![DeleteUser(77)], vec![ReadGroup, ReadGroups(77), ReadGroup]];
        world.race(race, clients).await;
    });
}

#[test]
fn a_user_that_is_deleted_leaves_no_membership() {
    acts(
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
fn a_group_that_is_deleted_leaves_no_membership() {
    acts(
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
fn a_large_group_that_is_deleted_leaves_no_membership() {
    acts(
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
fn a_user_that_is_deleted_does_not_rise_again() {
    acts(
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
fn a_name_has_one_owner_however_it_is_fought_for() {
    acts(
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
fn creations_and_deletions_are_counted() {
    acts(
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
fn whatever_is_done_at_once_has_an_order() {
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
