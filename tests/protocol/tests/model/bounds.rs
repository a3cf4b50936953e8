//! The scenarios that are explored, and their bounds.
//!
//! Users are 0, 1 and 2, and groups are `G` and `H`. One member fits into one transaction unless a scenario says
//! otherwise, so a change of two members takes two parts.

use protocol::item::Id;

use crate::{
    scenario::{Request, Scenario, mask},
    table::{GROUP, Mask, OTHER_GROUP},
};

pub(crate) const G: Id = GROUP;
pub(crate) const H: Id = OTHER_GROUP;
/// Three users and the first group.
pub(crate) const ONE_GROUP: Mask = 0b0_1111;
/// Three users and both groups.
pub(crate) const TWO_GROUPS: Mask = 0b1_1111;
/// Three users.
pub(crate) const NO_GROUP: Mask = 0b0_0111;

pub(crate) const JANITOR: Request = Request::Janitor;

pub(crate) fn add(members: &[Id]) -> Request {
    Request::Edit { group: G, add: mask(members), remove: 0 }
}

pub(crate) fn remove(members: &[Id]) -> Request {
    Request::Edit { group: G, add: 0, remove: mask(members) }
}

pub(crate) fn put(members: &[Id]) -> Request {
    Request::Put { group: G, members: mask(members), if_match: false }
}

pub(crate) fn put_if_match(members: &[Id]) -> Request {
    Request::Put { group: G, members: mask(members), if_match: true }
}

pub(crate) fn create(id: Id, members: &[Id]) -> Request {
    Request::Create { id, members: mask(members) }
}

pub(crate) fn delete(id: Id) -> Request {
    Request::Delete { id }
}

pub(crate) fn get_group() -> Request {
    Request::GetGroup { group: G }
}

pub(crate) fn get_users(users: &[Id]) -> Request {
    Request::GetUsers { users: mask(users) }
}

/// Makes a scenario on one group with these members.
pub(crate) fn one_group(name: &'static str, members: &[Id], requests: &[Request]) -> Scenario {
    Scenario::new(name, ONE_GROUP, [mask(members), 0], requests)
}

/// Makes a scenario on two groups with these members.
pub(crate) fn two_groups(name: &'static str, members: [&[Id]; 2], requests: &[Request]) -> Scenario {
    Scenario::new(name, TWO_GROUPS, members.map(mask), requests)
}

/// The scenario with the most states. One of its processes dies at most.
pub(crate) const LARGEST: &str = "get users, many, remove many";

/// Returns every scenario without the restored tables.
pub(crate) fn all() -> Vec<Scenario> {
    [edits(), puts(), deletions(), creations(), group_readers(), user_readers()].concat()
}

/// Additions and removals by id.
fn edits() -> Vec<Scenario> {
    vec![
        one_group("one, one", &[2], &[add(&[0]), remove(&[0]), JANITOR]),
        one_group("one, one, one", &[2], &[add(&[0]), remove(&[0]), add(&[0])]),
        one_group("many, one", &[2], &[add(&[0, 1]), remove(&[0]), JANITOR]),
        one_group("many, one, one", &[2], &[add(&[0, 1]), remove(&[0]), add(&[2]), JANITOR]),
        one_group("many, many", &[2], &[add(&[0, 1]), remove(&[0, 2]), JANITOR]),
        one_group("swap, swap", &[2], &[swap(&[0], &[2]), swap(&[2], &[0]), JANITOR]).fits(2),
        one_group("many in several drafts, many", &[2], &[add(&[0, 1]), remove(&[0, 2]), JANITOR])
            .with(|scenario| scenario.parts = 1),
    ]
}

fn swap(add: &[Id], remove: &[Id]) -> Request {
    Request::Edit { group: G, add: mask(add), remove: mask(remove) }
}

/// Replacements of all members.
fn puts() -> Vec<Scenario> {
    vec![
        one_group("put, one", &[2], &[put(&[0, 1]), add(&[1]), JANITOR]),
        one_group("put, one, one", &[], &[put(&[0]), add(&[1]), add(&[2]), JANITOR]),
        one_group("put, put, one", &[], &[put(&[0]), put(&[1]), add(&[2]), JANITOR]).fits(2),
        one_group("put in parts, one, one", &[2], &[put(&[0, 1]), add(&[1]), remove(&[2]), JANITOR]),
        one_group("put, many", &[2], &[put(&[0]), add(&[0, 1]), JANITOR]),
        one_group("put, put", &[2], &[put(&[0, 1]), put(&[0]), JANITOR]),
        one_group("put with If-Match, one", &[2], &[put_if_match(&[0, 1]), add(&[1]), JANITOR]),
        one_group("put, delete user, one", &[0], &[put(&[1, 2]), delete(0), add(&[2]), JANITOR]),
    ]
}

/// Deletions.
fn deletions() -> Vec<Scenario> {
    vec![
        one_group("delete user, add it", &[], &[delete(0), add(&[0]), JANITOR]),
        one_group("delete user, many", &[2], &[delete(0), add(&[0, 1]), JANITOR]),
        one_group("delete member, many", &[0], &[delete(0), remove(&[0, 1]), JANITOR]),
        two_groups("delete user in two groups, many", [&[0], &[0]], &[delete(0), add(&[0, 1]), JANITOR]),
        two_groups("delete user in two groups, put", [&[0], &[0]], &[delete(0), put(&[0, 1]), JANITOR]),
        two_groups("delete user, delete its group", [&[0], &[0]], &[delete(0), delete(G), JANITOR]),
        two_groups("delete user at once, delete its group", [&[0], &[0]], &[delete(0), delete(G), JANITOR])
            .fits(2),
        one_group("modify user, delete it, add it", &[], &[Request::Modify { id: 0 }, delete(0), add(&[0])]),
        one_group("delete group, many", &[0], &[delete(G), add(&[0, 1]), JANITOR]),
        one_group("delete large group, many", &[0, 1], &[delete(G), remove(&[0, 1]), JANITOR]),
        one_group("delete large group, put", &[0, 1], &[delete(G), put(&[2]), JANITOR]),
        one_group("delete large group, delete member", &[0, 1], &[delete(G), delete(0), JANITOR]),
        one_group("delete group twice", &[0, 1], &[delete(G), delete(G), JANITOR]),
        two_groups("delete member group, add it", [&[], &[0]], &[delete(H), add(&[H]), JANITOR]),
        two_groups("delete large member group, add it", [&[], &[0, 1]], &[delete(H), add(&[0, H]), JANITOR]),
        two_groups("delete member group at once", [&[H], &[0]], &[delete(H), remove(&[H]), JANITOR]).fits(2),
    ]
}

/// Creations.
fn creations() -> Vec<Scenario> {
    let groups = |name, requests: &[Request]| Scenario::new(name, NO_GROUP, [0; 2], requests);
    let same_name = |scenario: Scenario| scenario.with(|it| it.names = [0, 0, 2, 3, 3]);
    vec![
        groups("create group, delete user", &[create(G, &[0, 1]), delete(0), JANITOR]),
        groups("create group, delete it", &[create(G, &[0, 1]), delete(G), JANITOR]),
        groups("create group, edit it", &[create(G, &[0, 1]), remove(&[0]), JANITOR]),
        same_name(Scenario::new(
            "create groups of one name",
            0b101,
            [0; 2],
            &[create(G, &[0, 2]), create(H, &[0]), JANITOR],
        )),
        same_name(Scenario::new("create users of one name", 0, [0; 2], &[create(0, &[]), create(1, &[])])),
        same_name(Scenario::new(
            "delete user, create its name",
            0b1,
            [0; 2],
            &[delete(0), create(1, &[]), JANITOR],
        )),
    ]
}

/// Readers of a group.
fn group_readers() -> Vec<Scenario> {
    vec![
        one_group("get group, many", &[2], &[add(&[0, 1]), get_group(), JANITOR]),
        one_group("get group, many, one", &[2], &[add(&[0, 1]), get_group(), remove(&[0]), JANITOR]),
        one_group("get group, many, delete user", &[], &[add(&[0, 1]), get_group(), delete(0), JANITOR]),
        one_group("get group, put, one", &[2], &[put(&[0, 1]), get_group(), add(&[2]), JANITOR]),
        one_group("get group, small put", &[1], &[put(&[0]), get_group()])
            .fits(2)
            .with(|scenario| scenario.torn = true),
        one_group("get group, delete it", &[0, 1], &[delete(G), get_group(), JANITOR]),
        two_groups("get group, delete user", [&[0], &[0]], &[delete(0), get_group(), JANITOR]),
    ]
}

/// Readers of users.
fn user_readers() -> Vec<Scenario> {
    let other = Request::Edit { group: H, add: mask(&[0, 2]), remove: 0 };
    vec![
        one_group("get users, many", &[2], &[add(&[0, 1]), get_users(&[0, 1]), JANITOR]),
        two_groups("get user, many, many", [&[], &[]], &[add(&[0, 1]), get_users(&[0]), other, JANITOR]),
        one_group(
            "get users, many, remove many",
            &[2],
            &[add(&[0, 1]), get_users(&[0, 1]), remove(&[0, 2]), JANITOR],
        ),
        one_group("get users, many in several drafts", &[2], &[add(&[0, 1]), get_users(&[0, 1]), JANITOR])
            .with(|scenario| scenario.parts = 1),
        one_group("get users, put, one", &[2], &[put(&[0, 1]), get_users(&[0, 1]), add(&[0]), JANITOR]),
        two_groups("get user, delete it", [&[0], &[0]], &[delete(0), get_users(&[0]), JANITOR]),
        one_group("get user, many, delete user", &[], &[add(&[0, 1]), get_users(&[0]), delete(0), JANITOR]),
        one_group("get users, delete group", &[0, 1], &[delete(G), get_users(&[0, 1]), JANITOR]),
    ]
}

/// Tables from which a restored backup has left out a header.
pub(crate) fn restored() -> Vec<Scenario> {
    // The change 4 belongs to the third process, which only reads.
    let lost =
        |name, requests: &[Request], holder: fn(&mut Scenario)| one_group(name, &[2], requests).with(holder);
    let requests = [add(&[0]), put(&[2]), get_group()];
    vec![
        lost("intent without header", &requests, |scenario| scenario.restore(4, true)),
        lost("reservation without header", &requests, |scenario| scenario.restore(4, false)),
    ]
}
