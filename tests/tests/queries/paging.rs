//! Walks through lists that change between their pages: who is there during the whole walk is shown exactly once.
//!
//! What a change moves within the order asked for, or out of what is asked for, is not there during the whole walk.

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

use super::{GROUPS, Hands, ROOT, USERS, Way, all_of, each, resources, walk, with_hands};

/// Directories that each walk goes through.
const DIRECTORIES: u32 = 6;

/// What happens between two pages.
#[derive(Clone, Debug)]
enum Change {
    Insert(String),
    Delete(Index),
    Rename(Index, String),
    Retitle(Index),
    Join(Index),
    Leave(Index),
}

/// What a walk may depend on, so that a change of it moves a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Name,
    Title,
    Membership,
}

/// A directory that changes.
struct World {
    service: Arc<Service>,
    hands: Hands,
    users: Vec<String>,
    team: String,
    /// Who is not there all the time.
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
    /// Twelve users, some of them with a title and some in a team; three groups.
    async fn new() -> Self {
        let (service, hands) = with_hands().await;
        let team = service.group("team", &[]).await;
        let mut world =
            Self { service: Arc::new(service), hands, users: Vec::new(), team, moved: BTreeSet::new() };
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
        self.hands.advance(Duration::milliseconds(i64::from(name.len() != 1)));
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

    /// Walks while the changes are made, two at a time; what was wrong with the walk.
    async fn disturb(
        &mut self,
        query: &Request,
        way: Way,
        count: usize,
        on: &[On],
        changes: &[Change],
    ) -> Vec<String> {
        let all = query.clone().query("count", 1_000).send_query(&self.service).await;
        let there = each(resources(&all.body), "id");
        let mut changes = changes.chunks(2);
        let service = Arc::clone(&self.service);
        let pages = walk(&service, query, way, count, async || {
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
        let missed = missed.map(|id| format!("{id} is missed"));
        let twice = shown.iter().filter(|(id, times)| **times > 1 && !self.moved.contains(*id));
        missed.chain(twice.map(|(id, times)| format!("{id} is shown {times} times"))).collect()
    }
}

/// Nobody is missed and nobody shown twice on such a walk, whatever happens meanwhile.
fn is_exact(way: Way, on: &[On], query: impl Fn(&World) -> Request) {
    let runtime = Runtime::new().expect("a runtime");
    let config =
        Config { failure_persistence: None, max_shrink_iters: 100, ..Config::with_cases(DIRECTORIES) };
    let outcome = TestRunner::new(config).run(&(1..5_usize, vec(change(), 0..20)), |(count, changes)| {
        runtime.block_on(async {
            let mut world = World::new().await;
            let query = query(&world);
            let wrong = world.disturb(&query, way, count, on, &changes).await;
            prop_assert!(wrong.is_empty(), "{:?} {:?}: {:#?}", way, query, wrong);
            Ok(())
        })
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, case)) => panic!("{why}\n{case:?}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

fn in_order_of_creation(way: Way) {
    is_exact(way, &[], |_| Request::get(USERS));
    is_exact(way, &[], |_| {
        Request::get(USERS).query("sortBy", "meta.created").query("sortOrder", "descending")
    });
}

fn in_order_of_user_name(way: Way) {
    for order in ["ascending", "descending"] {
        is_exact(way, &[On::Name], |_| {
            Request::get(USERS).query("sortBy", "userName").query("sortOrder", order)
        });
    }
}

fn through_members(way: Way) {
    is_exact(way, &[On::Membership], |world| {
        Request::get(USERS).filter(format!("groups.value eq \"{}\"", world.team))
    });
}

fn through_everything(way: Way) {
    is_exact(way, &[], |_| Request::get(ROOT));
}

#[test]
fn a_walk_by_cursor_in_order_of_creation_is_exact() {
    in_order_of_creation(Way::Cursor);
}

#[test]
fn a_walk_by_cursor_in_order_of_user_name_is_exact() {
    in_order_of_user_name(Way::Cursor);
}

#[test]
fn a_walk_by_cursor_through_the_members_of_a_group_is_exact() {
    through_members(Way::Cursor);
}

#[test]
fn a_walk_by_cursor_through_users_and_groups_is_exact() {
    through_everything(Way::Cursor);
}

#[test]
fn a_walk_by_cursor_with_a_filter_is_exact() {
    for (on, filter) in [
        (&[On::Title][..], "title eq \"x\""),
        (&[On::Name], "userName sw \"u\""),
        (
            &[],
            "meta.created ge \"2026-11-23T09:00:00.125Z\" and meta.created lt \"2026-11-23T09:00:00.130Z\"",
        ),
        (&[On::Membership], "groups pr"),
    ] {
        is_exact(Way::Cursor, on, |_| Request::get(USERS).filter(filter));
    }
}

#[test]
fn a_walk_by_cursor_in_another_order_is_exact() {
    is_exact(Way::Cursor, &[On::Title], |_| Request::get(USERS).query("sortBy", "title"));
    is_exact(Way::Cursor, &[On::Name], |_| {
        Request::get(USERS).filter("userName sw \"u\"").query("sortBy", "userName")
    });
    is_exact(Way::Cursor, &[On::Name, On::Title], |_| {
        Request::get(USERS)
            .filter("title eq \"x\"")
            .query("sortBy", "userName")
            .query("sortOrder", "descending")
    });
}

#[test]
fn a_walk_by_index_with_a_filter_is_exact() {
    for (on, filter) in [
        (&[On::Title][..], "title eq \"x\""),
        (&[On::Name], "userName sw \"u\""),
        (&[On::Name], "userName ge \"b\" and userName lt \"v\""),
        (&[On::Membership], "groups pr"),
    ] {
        is_exact(Way::Index, on, |_| Request::get(USERS).filter(filter));
    }
    is_exact(Way::Index, &[On::Membership, On::Name], |world| {
        Request::get(USERS).filter(format!("groups.value eq \"{}\" or userName sw \"u\"", world.team))
    });
}

#[test]
fn a_walk_by_index_in_another_order_is_exact() {
    is_exact(Way::Index, &[On::Title], |_| Request::get(USERS).query("sortBy", "title"));
    for order in ["ascending", "descending"] {
        is_exact(Way::Index, &[On::Name], |_| {
            Request::get(USERS)
                .filter("userName sw \"u\"")
                .query("sortBy", "userName")
                .query("sortOrder", order)
        });
    }
    is_exact(Way::Index, &[On::Name, On::Title], |_| {
        Request::get(USERS)
            .filter("title eq \"x\"")
            .query("sortBy", "userName")
            .query("sortOrder", "descending")
    });
}

#[test]
fn a_walk_by_index_in_order_of_creation_is_exact() {
    in_order_of_creation(Way::Index);
}

#[test]
fn a_walk_by_index_in_order_of_user_name_is_exact() {
    in_order_of_user_name(Way::Index);
}

#[test]
fn a_walk_by_index_through_the_members_of_a_group_is_exact() {
    through_members(Way::Index);
}

#[test]
fn a_walk_by_index_through_users_and_groups_is_exact() {
    through_everything(Way::Index);
}

/// A service with users of these names, one made after the other.
async fn users(names: &[&str]) -> (Service, Hands, Vec<String>) {
    let (service, hands) = with_hands().await;
    let mut ids = Vec::new();
    for name in names {
        hands.advance(Duration::milliseconds(1));
        ids.push(service.user(name).await);
    }
    (service, hands, ids)
}

#[tokio::test]
async fn a_client_that_goes_by_the_total_misses_nobody_when_those_it_has_seen_are_deleted() {
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
async fn a_walk_ends_where_it_ended_when_somebody_comes_before_its_beginning() {
    let (service, _, ids) = users(&["a", "b"]).await;
    let query = Request::get(USERS).query("sortBy", "userName").query("sortOrder", "descending");
    let mut newcomers = ["d", "c"].into_iter();
    let pages = walk(&service, &query, Way::Index, 1, async || {
        if let Some(name) = newcomers.next() {
            service.user(name).await;
        }
    })
    .await;
    assert_eq!(each(&all_of(&pages), "id"), [&*ids[1], &*ids[0]]);
}

#[tokio::test]
async fn a_search_of_everything_misses_nobody_when_those_it_has_seen_are_deleted() {
    let (service, _, ids) = users(&["a", "b", "c", "d"]).await;
    let mut all = ids.clone();
    for name in ["x", "y"] {
        all.push(service.group(name, &[]).await);
    }
    all[4..].sort_unstable();
    let mut seen = ids.iter().take(2);
    let pages = walk(&service, &Request::get(ROOT), Way::Index, 2, async || {
        if let Some(id) = seen.next() {
            assert_eq!(service.delete(&format!("/Users/{id}")).await.status, 204);
        }
    })
    .await;
    assert_eq!(each(&all_of(&pages), "id"), all);
}

#[tokio::test]
async fn an_index_past_the_end_shows_nobody_whatever_an_earlier_walk_left_there() {
    let (service, _, ids) = users(&["a", "b", "c", "d", "e", "f"]).await;
    let query = Request::get(USERS);
    let earlier = walk(&service, &query, Way::Index, 2, async || ()).await;
    assert_eq!(each(&all_of(&earlier), "id"), ids);
    for id in &ids[..3] {
        assert_eq!(service.delete(&format!("/Users/{id}")).await.status, 204);
    }
    // A client that adds what it asked for, not what it got, and ends with an empty page.
    let mut seen = Vec::new();
    for index in [1, 3, 5] {
        let page = query.clone().query("count", 2).query("startIndex", index).send_query(&service).await.body;
        seen.extend(each(resources(&page), "id"));
    }
    assert_eq!(seen, ids[3..]);
}

#[tokio::test]
async fn a_page_asked_for_by_itself_is_right_whoever_was_created_or_deleted_since() {
    let (service, hands, mut ids) = users(&["a", "b", "c", "d", "e", "f"]).await;
    let page = Request::get(USERS).query("count", 2).query("startIndex", 3);
    for newcomer in ["g", "h", "i"] {
        for _ in 0..2 {
            let answer = page.send_query(&service).await.body;
            assert_eq!(each(resources(&answer), "id"), ids[2..4], "before {newcomer}");
            assert_eq!(answer["totalResults"], 6);
        }
        assert_eq!(service.delete(&format!("/Users/{}", ids.remove(0))).await.status, 204);
        hands.advance(Duration::milliseconds(1));
        ids.push(service.user(newcomer).await);
    }
}

#[tokio::test]
async fn a_filtered_walk_keeps_the_total_it_began_with() {
    let (service, _, ids) = users(&["a", "b", "c", "d", "e", "f"]).await;
    let query = Request::get(USERS).filter("not (title pr)");
    let mut deleted = ids.iter();
    let pages = walk(&service, &query, Way::Index, 2, async || {
        if let Some(id) = deleted.next() {
            assert_eq!(service.delete(&format!("/Users/{id}")).await.status, 204);
        }
    })
    .await;
    assert_eq!(each(&all_of(&pages), "id"), ids);
    assert!(pages.iter().all(|page| page["totalResults"] == 6), "{pages:#?}");
}

#[tokio::test]
async fn a_second_walk_through_users_and_groups_shows_what_the_first_did() {
    let (service, hands) = with_hands().await;
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    for name in ["a", "b", "c", "d", "e", "f"] {
        hands.advance(Duration::milliseconds(1));
        groups.push(service.group(name, &[]).await);
    }
    for name in ["a", "b", "c", "d"] {
        hands.advance(Duration::milliseconds(1));
        users.push(service.user(name).await);
    }
    let all = [users, groups].concat();
    for count in [2, 2, 3, 2] {
        let pages = walk(&service, &Request::get(ROOT), Way::Index, count, async || ()).await;
        assert_eq!(each(&all_of(&pages), "id"), all, "in pages of {count}");
    }
}

#[tokio::test]
async fn a_page_of_groups_shows_their_members_and_a_page_of_users_their_groups() {
    let (service, _, users) = users(&["a", "b"]).await;
    let group = service.group("g", &[&users[0], &users[1]]).await;
    let members = Request::get(GROUPS).send_query(&service).await.body;
    assert_eq!(resources(&members)[0]["members"].as_array().map(Vec::len), Some(2));
    let groups = Request::get(USERS).send_query(&service).await.body;
    for user in resources(&groups) {
        assert_eq!(user["groups"][0]["value"], group);
    }
}
