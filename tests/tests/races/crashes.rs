//! Atomicity of writes: when a call to DynamoDB fails, the write takes effect as a whole or not at all.
//!
//! Each test runs its write once to count the calls, so that a new call needs no new test. Then each call fails in each way,
//! once or permanently, and the process dies or answers the client. After one request of another process about an unrelated
//! user, the doctor finds no error, and the data is as before the write or as after it. An acknowledged write has taken
//! effect, no write fails for a wrong reason, and a repeated request succeeds. Then each call that writes is made late
//! (`late.rs`), and the process dies at many moments of the write (`deaths.rs`).

use std::slice;

use serde_json::json;
use tests::{
    Answer, Request,
    faults::{Fault, Faults, Plan},
    product,
};
use time::Duration;

use super::{
    deaths::check_deaths,
    late::{check_calls_of_dead, check_late_calls, later},
    world::{Command, MANY, Seen, World, Write, assert_healthy, difference, sweep},
};

/// The answers to a repeated write that has already taken effect.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Repeat {
    Success,
    Or(u16),
    /// The write is not repeated, because a repeat has a further effect.
    Never,
}

impl Repeat {
    pub(super) fn allows(self, status: u16) -> bool {
        (200..300).contains(&status) || self == Self::Or(status)
    }
}

/// Runs a test on a clock that passes only while all calls wait.
pub(super) fn block_on<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(test)
}

/// Makes each call of a write fail in each way. Prints the number of faults.
fn assert_atomic<W: Into<Write>>(name: &str, repeat: Repeat, write: impl Fn(&World) -> W) {
    let count = block_on(async {
        let world = World::new(name).await;
        let write = write(&world).into();
        let mut count = check_faults(&world, &write, repeat).await;
        count += check_late_calls(&world, slice::from_ref(&write), repeat).await;
        if let Write::Request(request) = &write {
            count += check_deaths(&world, request, repeat).await;
        }
        if repeat != Repeat::Never {
            count += check_calls_of_dead(&world, &write, repeat).await;
        }
        count
    });
    println!("{name}: {count} faults in {} modes", Fault::MODES);
}

/// Makes each call of a write fail in each way but late. Returns the number of faults.
async fn check_faults(world: &World, write: &Write, repeat: Repeat) -> usize {
    let database = world.database();
    let stored = world.stored(&database);
    let before = world.look(write, &world.process(&database, 5, Duration::ZERO), &database).await;
    let (database, faults) = (world.database(), Faults::default());
    let answer = world.send(write, &world.failing(&database, &faults)).await;
    assert!((200..300).contains(&answer.status), "{:#}", answer.body);
    let calls = faults.calls();
    let after = world.look(write, &world.process(&database, 5, Duration::ZERO), &database).await;
    assert_ne!(before, after, "the write changes nothing");
    let case = Case { world, write, repeat, before, after, stored: [stored, world.stored(&database)] };
    let mut count = 0;
    for call in 0..calls {
        for fault in Fault::IMMEDIATE {
            for lasting in [false, true] {
                // A dead process makes no further call.
                if fault.is_crash() && lasting {
                    continue;
                }
                case.check(Plan { call, fault, lasting }).await;
                count += 1;
            }
        }
    }
    count
}

struct Case<'a> {
    world: &'a World,
    write: &'a Write,
    repeat: Repeat,
    before: Seen,
    after: Seen,
    /// The items before and after the write.
    stored: [Seen; 2],
}

impl Case<'_> {
    async fn check(&self, plan: Plan) {
        let (database, faults) = (self.world.database(), Faults::default());
        let service = self.world.failing(&database, &faults);
        faults.plan(Some(plan));
        let answer: Option<Answer> = tokio::select! {
            answer = self.world.send(self.write, &service) => Some(answer),
            () = faults.crashed() => None,
        };
        drop(service);
        let other = self.world.process(&database, 7, Duration::ZERO);
        let unrelated = other.get(&self.world.unrelated_user()).await;
        assert_eq!(unrelated.status, 200, "{plan:?}: {:#}", unrelated.body);
        assert_healthy(&other, &format!("{plan:?}")).await;
        let seen = self.world.look(self.write, &other, &database).await;
        let happened = seen == self.after;
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
        if self.repeat != Repeat::Never {
            // The client repeats the request when the change of the dead process may be finished by others.
            let again = self.world.send(self.write, &self.world.process(&database, 8, later())).await;
            let is_allowed =
                (200..300).contains(&again.status) || happened && self.repeat.allows(again.status);
            assert!(is_allowed, "{plan:?}: repeated, {again:?}");
        }
        // The janitor leaves no draft either.
        sweep(&self.world.process(&database, 9, Duration::minutes(10))).await;
        let is_done = happened || self.repeat != Repeat::Never;
        let expected = &self.stored[usize::from(is_done)];
        let stored = self.world.stored(&database);
        assert!(stored == *expected, "{plan:?}: {}", difference(expected, &stored));
        product::check(&self.world.process(&database, 10, Duration::minutes(10))).await;
    }

    fn assert_same(&self, plan: &Plan, seen: &Seen) {
        assert!(
            *seen == self.before,
            "{plan:?}: neither before\n{}nor after\n{}",
            difference(&self.before, seen),
            difference(&self.after, seen)
        );
    }
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
fn inactive_user_creation_is_atomic() {
    assert_atomic("create inactive user", Repeat::Or(409), |_| {
        Request::post("/Users", json!({ "userName": "ada", "active": false }))
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
        let body = json!({ "displayName": "renamed", "members": world.ids(1..MANY) });
        Request::put(world.group("small"), body)
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

#[test]
fn deletion_of_group_in_itself_is_atomic() {
    assert_atomic("delete group in itself", Repeat::Or(404), |world| Request::delete(world.group("looped")));
}

#[test]
fn member_removal_by_filter_is_atomic() {
    assert_atomic("remove by filter", Repeat::Success, |world| {
        let filter = "members[type eq \"Group\"]";
        Request::patch(world.group("parent"), json!([{ "op": "remove", "path": filter }]))
    });
}

#[test]
fn addition_of_group_and_member_is_atomic() {
    // The first transaction fails: one new member is a group, and another is a member already.
    assert_atomic("add a group and a member", Repeat::Success, |world| {
        let mut members = world.ids([0, 4]);
        let one = world.group("one");
        let (_, one) = one.rsplit_once('/').expect("a path");
        members.as_array_mut().expect("members").push(json!({ "value": one }));
        Request::patch(world.group("small"), json!([{ "op": "add", "path": "members", "value": members }]))
    });
}

#[test]
fn deletion_of_user_without_groups_is_atomic() {
    assert_atomic("delete user without groups", Repeat::Or(404), |world| Request::delete(world.user(MANY)));
}

#[test]
fn organisation_creation_is_atomic() {
    assert_atomic("create organisation", Repeat::Or(409), |_| Command::CreateOrg);
}

#[test]
fn organisation_is_disabled_atomically() {
    assert_atomic("disable organisation", Repeat::Success, |_| Command::EnableOrg(false));
}

#[test]
fn key_creation_is_atomic() {
    assert_atomic("create key", Repeat::Never, |_| Command::CreateKey);
}

#[test]
fn key_revocation_is_atomic() {
    assert_atomic("revoke key", Repeat::Success, |_| Command::RevokeKey);
}
