//! Walks through lists that change between their pages. A resource that is in the list during the whole walk appears exactly
//! once.
//!
//! A resource is not in the list during the whole walk if a change moves it within the order or out of the filter.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{Config, TestError, TestRunner},
};
use serde_json::{Value, json};
use tests::{Request, Service};
use time::Duration;
use tokio::runtime::Runtime;

use super::{GROUPS, Paging, ROOT, TestClock, USERS, all_of, each, resources, service_with_clock, walk};

/// The number of directories for each walk.
const DIRECTORIES: u32 = 6;

/// A change between two pages.
#[derive(Clone, Debug)]
enum Change {
    Insert(String),
    Delete(Index),
    Rename(Index, String),
    Retitle(Index),
    Join(Index),
    Leave(Index),
}

/// The data that an order or a filter depends on, so that a change of the data moves a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Name,
    Title,
    Membership,
}

/// A directory that changes.
struct World {
    service: Arc<Service>,
    clock: TestClock,
    users: Vec<String>,
    team: String,
    /// Users that are not in the list during the whole walk.
    moved: BTreeSet<String>,
}

fn change() -> impl Strategy<Value = Change> {
    let name = || "[a-z]{1,3}";
    prop_oneof![
        3 => name().prop_map(Change::Insert),
        3 => any::<Index>().prop_map(Change::Delete),
        2 => (any::<Index>(), name()).prop_map(|(who, name)| Change::Rename(who, name)),
        1 => any::<Index>().prop_map(Change::Retitle),
        1 => any::<Index>().prop_map(Change::Join),
        1 => any::<Index>().prop_map(Change::Leave),
    ]
}

impl World {
    /// Creates twelve users, some with a title and some in a team, and three groups.
    async fn new() -> Self {
        let (service, clock) = service_with_clock().await;
        let team = service.group("team", &[]).await;
        let mut world =
            Self { service: Arc::new(service), clock, users: Vec::new(), team, moved: BTreeSet::new() };
        for name in ["m", "u1", "c", "u2", "zz", "u3", "é", "u4", "b", "u5", "a", "u6"] {
            world.insert(name).await;
        }
        let members: Vec<Value> = world.users[..9].iter().map(|id| json!({ "value": id })).collect();
        world.edit_team(&json!([{ "op": "add", "path": "members", "value": members }])).await;
        let part = world.service.group("part", &[&world.users[0]]).await;
        world.edit_team(&json!([{ "op": "add", "path": "members", "value": [{ "value": part }] }])).await;
        world.service.group("whole", &[&world.team]).await;
        world
    }

    async fn insert(&mut self, name: &str) {
        self.clock.advance(Duration::milliseconds(i64::from(name.len() != 1)));
        let title = (!self.users.len().is_multiple_of(3)).then_some("x");
        let answer = self.service.post(USERS, json!({ "userName": name, "title": title })).await;
        if answer.status == 201 {
            self.users.push(answer.id());
        } else {
            assert_eq!(answer.verdict(), "409 uniqueness");
        }
    }

    async fn edit_team(&self, operations: &Value) {
        let answer = self.service.patch(&format!("/Groups/{}", self.team), operations.clone()).await;
        assert!([200, 204].contains(&answer.status), "{:#}", answer.body);
    }

    async fn edit(&self, user: &str, attribute: &str, value: &str) {
        let operations = json!([{ "op": "replace", "path": attribute, "value": value }]);
        let answer = self.service.patch(&format!("/Users/{user}"), operations).await;
        assert!(["200", "409 uniqueness"].contains(&answer.verdict().as_str()), "{:#}", answer.body);
    }

    async fn make(&mut self, change: &Change, on: &[On]) {
        if let Change::Insert(name) = change {
            return self.insert(name).await;
        }
        let (Change::Delete(who)
        | Change::Rename(who, _)
        | Change::Retitle(who)
        | Change::Join(who)
        | Change::Leave(who)) = change
        else {
            return;
        };
        if self.users.is_empty() {
            return;
        }
        let index = who.index(self.users.len());
        let user = self.users[index].clone();
        let moves = match change {
            Change::Insert(_) | Change::Delete(_) => {
                assert_eq!(self.service.delete(&format!("/Users/{user}")).await.status, 204);
                self.users.remove(index);
                self.moved.insert(user);
                return;
            }
            Change::Rename(_, name) => {
                self.edit(&user, "userName", name).await;
                On::Name
            }
            Change::Retitle(_) => {
                self.edit(&user, "title", "y").await;
                On::Title
            }
            Change::Join(_) => {
                self.edit_team(&json!([{ "op": "add", "path": "members", "value": [{ "value": user }] }]))
                    .await;
                On::Membership
            }
            Change::Leave(_) => {
                self.edit_team(&json!([{ "op": "remove", "path": format!("members[value eq \"{user}\"]") }]))
                    .await;
                On::Membership
            }
        };
        if on.contains(&moves) {
            self.moved.insert(user);
        }
    }

    /// Walks, makes two changes after each page, and returns the errors of the walk.
    async fn disturb(
        &mut self,
        query: &Request,
        paging: Paging,
        count: usize,
        on: &[On],
        changes: &[Change],
    ) -> Vec<String> {
        let all = query.clone().query("count", 1_000).send_query(&self.service).await;
        let there = each(resources(&all.body), "id");
        let mut changes = changes.chunks(2);
        let service = Arc::clone(&self.service);
        let pages = walk(&service, query, paging, count, async || {
            for change in changes.next().unwrap_or_default() {
                self.make(change, on).await;
            }
        })
        .await;
        let mut shown: BTreeMap<String, usize> = BTreeMap::new();
        for id in each(&all_of(&pages), "id") {
            *shown.entry(id).or_default() += 1;
        }
        let missed = there.iter().filter(|id| !self.moved.contains(*id) && !shown.contains_key(*id));
        let missed = missed.map(|id| format!("{id} is missing"));
        let twice = shown.iter().filter(|(id, times)| **times > 1 && !self.moved.contains(*id));
        missed.chain(twice.map(|(id, times)| format!("{id} appears {times} times"))).collect()
    }
}

/// Fails if a walk omits a resource or repeats one, whatever changes between the pages.
fn assert_exact(paging: Paging, on: &[On], query: impl Fn(&World) -> Request) {
    let runtime = Runtime::new().expect("a runtime");
    let config =
        Config { failure_persistence: None, max_shrink_iters: 100, ..Config::with_cases(DIRECTORIES) };
    let outcome = TestRunner::new(config).run(&(1..5_usize, vec(change(), 0..20)), |(count, changes)| {
        runtime.block_on(async {
            let mut world = World::new().await;
            let query = query(&world);
            let wrong = world.disturb(&query, paging, count, on, &changes).await;
            prop_assert!(wrong.is_empty(), "{:?} {:?}: {:#?}", paging, query, wrong);
            Ok(())
        })
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, case)) => panic!("{why}\n{case:?}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

fn in_order_of_creation(paging: Paging) {
    assert_exact(paging, &[], |_| Request::get(USERS));
    assert_exact(paging, &[], |_| {
        Request::get(USERS).query("sortBy", "meta.created").query("sortOrder", "descending")
    });
}

fn in_order_of_user_name(paging: Paging) {
    for order in ["ascending", "descending"] {
        assert_exact(paging, &[On::Name], |_| {
            Request::get(USERS).query("sortBy", "userName").query("sortOrder", order)
        });
    }
}

fn through_members(paging: Paging) {
    assert_exact(paging, &[On::Membership], |world| {
        Request::get(USERS).filter(format!("groups.value eq \"{}\"", world.team))
    });
}

fn through_everything(paging: Paging) {
    assert_exact(paging, &[], |_| Request::get(ROOT));
}

#[test]
fn cursor_walk_by_creation_is_exact() {
    in_order_of_creation(Paging::Cursor);
}

#[test]
fn cursor_walk_by_user_name_is_exact() {
    in_order_of_user_name(Paging::Cursor);
}

#[test]
fn cursor_walk_of_group_members_is_exact() {
    through_members(Paging::Cursor);
}

#[test]
fn cursor_walk_of_the_root_is_exact() {
    through_everything(Paging::Cursor);
}

#[test]
fn cursor_walk_with_filter_is_exact() {
    for (on, filter) in [
        (&[On::Title][..], "title eq \"x\""),
        (&[On::Name], "userName sw \"u\""),
        (
            &[],
            "meta.created ge \"2026-11-23T09:00:00.125Z\" and meta.created lt \"2026-11-23T09:00:00.130Z\"",
        ),
        (&[On::Membership], "groups pr"),
    ] {
        assert_exact(Paging::Cursor, on, |_| Request::get(USERS).filter(filter));
    }
}

#[test]
fn cursor_walk_by_attribute_is_exact() {
    assert_exact(Paging::Cursor, &[On::Title], |_| Request::get(USERS).query("sortBy", "title"));
    assert_exact(Paging::Cursor, &[On::Name], |_| {
        Request::get(USERS).filter("userName sw \"u\"").query("sortBy", "userName")
    });
    assert_exact(Paging::Cursor, &[On::Name, On::Title], |_| {
        Request::get(USERS)
            .filter("title eq \"x\"")
            .query("sortBy", "userName")
            .query("sortOrder", "descending")
    });
}

#[test]
fn index_walk_with_filter_is_exact() {
    for (on, filter) in [
        (&[On::Title][..], "title eq \"x\""),
        (&[On::Name], "userName sw \"u\""),
        (&[On::Name], "userName ge \"b\" and userName lt \"v\""),
        (&[On::Membership], "groups pr"),
    ] {
        assert_exact(Paging::Index, on, |_| Request::get(USERS).filter(filter));
    }
    assert_exact(Paging::Index, &[On::Membership, On::Name], |world| {
        Request::get(USERS).filter(format!("groups.value eq \"{}\" or userName sw \"u\"", world.team))
    });
}

#[test]
fn index_walk_by_attribute_is_exact() {
    assert_exact(Paging::Index, &[On::Title], |_| Request::get(USERS).query("sortBy", "title"));
    for order in ["ascending", "descending"] {
        assert_exact(Paging::Index, &[On::Name], |_| {
            Request::get(USERS)
                .filter("userName sw \"u\"")
                .query("sortBy", "userName")
                .query("sortOrder", order)
        });
    }
    assert_exact(Paging::Index, &[On::Name, On::Title], |_| {
        Request::get(USERS)
            .filter("title eq \"x\"")
            .query("sortBy", "userName")
            .query("sortOrder", "descending")
    });
}

#[test]
fn index_walk_by_creation_is_exact() {
    in_order_of_creation(Paging::Index);
}

#[test]
fn index_walk_by_user_name_is_exact() {
    in_order_of_user_name(Paging::Index);
}

#[test]
fn index_walk_of_group_members_is_exact() {
    through_members(Paging::Index);
}

#[test]
fn index_walk_of_the_root_is_exact() {
    through_everything(Paging::Index);
}

/// Returns a service with users of these names in the order of creation.
async fn users(names: &[&str]) -> (Service, TestClock, Vec<String>) {
    let (service, clock) = service_with_clock().await;
    let mut ids = Vec::new();
    for name in names {
        clock.advance(Duration::milliseconds(1));
        ids.push(service.user(name).await);
    }
    (service, clock, ids)
}

#[tokio::test]
async fn index_walk_by_total_omits_no_user_after_deletions() {
    let (service, _, ids) = users(&["a", "b", "c", "d", "e", "f"]).await;
    let mut seen = Vec::new();
    let mut index = 1;
    loop {
        let page =
            Request::get(USERS).query("count", 2).query("startIndex", index).send_query(&service).await.body;
        seen.extend(each(resources(&page), "id"));
        if index == 1 {
            for id in &ids[..2] {
                assert_eq!(service.delete(&format!("/Users/{id}")).await.status, 204);
            }
        }
        index += resources(&page).len() as u64;
        if resources(&page).is_empty() || Some(index) > page["totalResults"].as_u64() {
            break;
        }
    }
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn index_walk_ignores_users_created_before_its_start() {
    let (service, _, ids) = users(&["a", "b"]).await;
    let query = Request::get(USERS).query("sortBy", "userName").query("sortOrder", "descending");
    let mut newcomers = ["d", "c"].into_iter();
    let pages = walk(&service, &query, Paging::Index, 1, async || {
        if let Some(name) = newcomers.next() {
            service.user(name).await;
        }
    })
    .await;
    assert_eq!(each(&all_of(&pages), "id"), [&*ids[1], &*ids[0]]);
}

#[tokio::test]
async fn root_search_omits_no_user_after_deletions() {
    let (service, _, ids) = users(&["a", "b", "c", "d"]).await;
    let mut all = ids.clone();
    for name in ["x", "y"] {
        all.push(service.group(name, &[]).await);
    }
    all[4..].sort_unstable();
    let mut seen = ids.iter().take(2);
    let pages = walk(&service, &Request::get(ROOT), Paging::Index, 2, async || {
        if let Some(id) = seen.next() {
            assert_eq!(service.delete(&format!("/Users/{id}")).await.status, 204);
        }
    })
    .await;
    assert_eq!(each(&all_of(&pages), "id"), all);
}

#[tokio::test]
async fn index_past_the_end_is_empty_after_an_earlier_walk() {
    let (service, _, ids) = users(&["a", "b", "c", "d", "e", "f"]).await;
    let query = Request::get(USERS);
    let earlier = walk(&service, &query, Paging::Index, 2, async || ()).await;
    assert_eq!(each(&all_of(&earlier), "id"), ids);
    for id in &ids[..3] {
        assert_eq!(service.delete(&format!("/Users/{id}")).await.status, 204);
    }
    // The client adds the requested count to the index and stops at an empty page.
    let mut seen = Vec::new();
    for index in [1, 3, 5] {
        let page = query.clone().query("count", 2).query("startIndex", index).send_query(&service).await.body;
        seen.extend(each(resources(&page), "id"));
    }
    assert_eq!(seen, ids[3..]);
}

#[tokio::test]
async fn index_page_is_correct_after_creations_and_deletions() {
    let (service, clock, mut ids) = users(&["a", "b", "c", "d", "e", "f"]).await;
    let page = Request::get(USERS).query("count", 2).query("startIndex", 3);
    for newcomer in ["g", "h", "i"] {
        for _ in 0..2 {
            let answer = page.send_query(&service).await.body;
            assert_eq!(each(resources(&answer), "id"), ids[2..4], "before {newcomer}");
            assert_eq!(answer["totalResults"], 6);
        }
        assert_eq!(service.delete(&format!("/Users/{}", ids.remove(0))).await.status, 204);
        clock.advance(Duration::milliseconds(1));
        ids.push(service.user(newcomer).await);
    }
}

#[tokio::test]
async fn filtered_walk_keeps_its_first_total() {
    let (service, _, ids) = users(&["a", "b", "c", "d", "e", "f"]).await;
    let query = Request::get(USERS).filter("not (title pr)");
    let mut deleted = ids.iter();
    let pages = walk(&service, &query, Paging::Index, 2, async || {
        if let Some(id) = deleted.next() {
            assert_eq!(service.delete(&format!("/Users/{id}")).await.status, 204);
        }
    })
    .await;
    assert_eq!(each(&all_of(&pages), "id"), ids);
    assert!(pages.iter().all(|page| page["totalResults"] == 6), "{pages:#?}");
}

#[tokio::test]
async fn second_root_walk_equals_the_first() {
    let (service, clock) = service_with_clock().await;
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    for name in ["a", "b", "c", "d", "e", "f"] {
        clock.advance(Duration::milliseconds(1));
        groups.push(service.group(name, &[]).await);
    }
    for name in ["a", "b", "c", "d"] {
        clock.advance(Duration::milliseconds(1));
        users.push(service.user(name).await);
    }
    let all = [users, groups].concat();
    for count in [2, 2, 3, 2] {
        let pages = walk(&service, &Request::get(ROOT), Paging::Index, count, async || ()).await;
        assert_eq!(each(&all_of(&pages), "id"), all, "in pages of {count}");
    }
}

#[tokio::test]
async fn pages_show_members_and_groups() {
    let (service, _, users) = users(&["a", "b"]).await;
    let group = service.group("g", &[&users[0], &users[1]]).await;
    let members = Request::get(GROUPS).send_query(&service).await.body;
    assert_eq!(resources(&members)[0]["members"].as_array().map(Vec::len), Some(2));
    let groups = Request::get(USERS).send_query(&service).await.body;
    for user in resources(&groups) {
        assert_eq!(user["groups"][0]["value"], group);
    }
}

/// U+FDFA folds to 18 characters, so each of these titles folds to more bytes than an item of DynamoDB may have.
#[tokio::test]
async fn sorting_by_long_titles_pages_through_all_users() {
    let (service, clock) = service_with_clock().await;
    let mut ids = Vec::new();
    for name in ["u0", "u1"] {
        clock.advance(Duration::milliseconds(1));
        let user = json!({ "userName": name, "title": "\u{FDFA}".repeat(40_000) });
        let answer = service.post(USERS, user).await;
        assert_eq!(answer.status, 201, "{:#}", answer.body);
        ids.push(answer.id());
    }
    for paging in [Paging::Index, Paging::Cursor] {
        let query = Request::get(USERS).query("sortBy", "title");
        let pages = walk(&service, &query, paging, 1, async || ()).await;
        assert_eq!(each(&all_of(&pages), "id"), ids, "{paging:?}");
    }
}
