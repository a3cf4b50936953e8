//! Late calls: an attempt without an answer is carried out after its repeat, or after the death of its process.
//!
//! The first run of the writes counts the calls. Then each call that writes is made late, before each later call, after
//! the last answer, and after another process has repeated the write. Each answer and each item must be as without the
//! fault. The comparison of the items replaces the requests of `crashes.rs`, which read the same items.

use std::slice;

use dynoxide::Database;
use protocol::replay::{self, Outcome};
use serde_json::json;
use service::{config::Tables, limits::ABANDONED_AFTER};
use tests::{
    Request,
    faults::{Fault, Faults, Plan, Recorded},
};
use time::Duration;

use super::{
    crashes::{Repeat, block_on},
    world::{Command, MANY, Seen, World, Write, assert_healthy, difference, scan, sweep},
};

/// Faults of a call that the process survives.
const SURVIVED: [fn(usize) -> Fault; 2] = [Fault::Late, Fault::Delayed];

/// Makes each call of the writes late, and at last after a repeat of the last write, unless `repeat` forbids it. Returns
/// the number of faults.
pub(super) async fn check_late_calls(world: &World, writes: &[Write], repeat: Repeat) -> usize {
    let story = Story::new(world, writes).await;
    let mut count = 0;
    for call in story.writing_calls() {
        for fault in SURVIVED {
            for due in call + 1.. {
                let plan = Plan { call, fault: fault(due), lasting: false };
                count += 1;
                if story.check(plan, false).await {
                    if repeat != Repeat::Never {
                        count += 1;
                        story.check(plan, true).await;
                    }
                    break;
                }
            }
        }
    }
    count
}

/// Lets the process die at each call of a write, which is made late. Returns the number of faults.
pub(super) async fn check_calls_of_dead(world: &World, write: &Write, repeat: Repeat) -> usize {
    let writes = [write.clone()];
    let story = Story::new(world, &writes).await;
    let mut count = 0;
    for call in story.writing_calls() {
        for due in call + 1.. {
            count += 1;
            let plan = Plan { call, fault: Fault::CrashDelayed(due), lasting: false };
            if story.check_dead(plan, repeat).await {
                break;
            }
        }
    }
    count
}

/// Writes one after the other, and their result without a fault.
struct Story<'a> {
    world: &'a World,
    writes: &'a [Write],
    calls: Vec<Recorded>,
    statuses: Vec<u16>,
    after: Seen,
}

impl<'a> Story<'a> {
    async fn new(world: &'a World, writes: &'a [Write]) -> Self {
        let (database, faults) = (world.database(), Faults::default());
        let service = world.failing(&database, &faults);
        let mut statuses = Vec::new();
        for write in writes {
            statuses.push(world.send(write, &service).await.status);
        }
        let calls = faults.recorded();
        assert_healthy(&service, "without a fault").await;
        let story = Self { world, writes, calls, statuses, after: world.stored(&database) };
        story.assert_allowed("without a fault", &story.calls);
        tests::product::sequence(&service).await;
        let told = story.assert_allowed("with a sequencer", &faults.recorded());
        let own = format!("{}#", tests::ORG);
        let waiting: Vec<_> = told.waiting.iter().filter(|key| key.starts_with(&own)).collect();
        assert!(waiting.is_empty(), "{waiting:?}");
        story
    }

    /// Fails if a call is none that the model of the protocol allows at that time.
    fn assert_allowed(&self, case: &str, calls: &[Recorded]) -> replay::Told {
        let resources = Tables::default().resources;
        let items = scan(&self.world.database(), &resources);
        let of_resources = calls.iter().filter(|call| call.request.to_string().contains(&resources));
        let calls = of_resources.map(|call| replay::Recorded {
            operation: &call.operation,
            request: &call.request,
            outcome: Outcome::of(call.answer.as_ref().map(|(status, body)| (*status, body))),
        });
        let allowed = replay::allows_events(items.as_array().into_iter().flatten(), calls);
        allowed.unwrap_or_else(|why| panic!("{case}: {why}"))
    }

    /// Returns the numbers of the calls that write.
    fn writing_calls(&self) -> impl Iterator<Item = usize> {
        self.calls.iter().enumerate().filter(|(_, call)| call.is_write()).map(|(number, _)| number)
    }

    /// Runs the writes. Returns whether the late call came after the last answer. It then waits for a repeat of the last
    /// write by another process if `repeat` is set.
    async fn check(&self, plan: Plan, repeat: bool) -> bool {
        let (database, faults) = (self.world.database(), Faults::default());
        let service = self.world.failing(&database, &faults);
        faults.plan(Some(plan));
        for (write, status) in self.writes.iter().zip(&self.statuses) {
            let answer = self.world.send(write, &service).await;
            assert_eq!(answer.status, *status, "{plan:?}: {write:?}: {:#}", answer.body);
        }
        if repeat && let Some(write) = self.writes.last() {
            self.world.send(write, &self.world.process(&database, 7, Duration::ZERO)).await;
        }
        let is_last = faults.make_late_call().await;
        self.assert_after(&plan, &database).await;
        self.assert_allowed(&format!("{plan:?}"), &faults.recorded());
        is_last
    }

    /// Lets the process die. Then the janitor runs, and another process repeats the write. Returns whether the late call
    /// came after that.
    async fn check_dead(&self, plan: Plan, repeat: Repeat) -> bool {
        let (database, faults) = (self.world.database(), Faults::default());
        let service = self.world.failing(&database, &faults);
        faults.plan(Some(plan));
        tokio::select! {
            answer = self.world.send(&self.writes[0], &service) => panic!("{plan:?}: {answer:?}"),
            () = faults.crashed() => {}
        }
        drop(service);
        let other = self.world.process_on(faults.client(database.clone()), 7, later());
        sweep(&other).await;
        let again = self.world.send(&self.writes[0], &other).await;
        assert!(repeat.allows(again.status), "{plan:?}: repeated, {again:?}");
        let is_last = faults.make_late_call().await;
        self.assert_after(&plan, &database).await;
        is_last
    }

    /// Fails if the items differ from those without a fault. The janitor may finish changes first.
    async fn assert_after(&self, plan: &Plan, database: &Database) {
        let mut stored = self.world.stored(database);
        if stored != self.after {
            sweep(&self.world.process(database, 9, Duration::minutes(10))).await;
            stored = self.world.stored(database);
        }
        assert!(stored == self.after, "{plan:?}:\n{}", difference(&self.after, &stored));
    }
}

/// Makes each call of several writes late. Prints the number of faults.
fn assert_late_calls_change_nothing(name: &str, writes: impl Fn(&World) -> Vec<Write>) {
    let count = block_on(async {
        let world = World::new(name).await;
        let writes = writes(&world);
        check_late_calls(&world, &writes, Repeat::Success).await
    });
    println!("{name}: {count} faults in {} modes", SURVIVED.len());
}

/// Lets a write die after its first call that leaves a change unfinished, and after its last. Then each call of the janitor
/// is made late. Prints the number of faults.
fn assert_late_calls_of_janitor_change_nothing(name: &str, write: impl Fn(&World) -> Write) {
    let count = block_on(async {
        let world = World::new(name).await;
        let write = write(&world);
        let story = Story::new(&world, slice::from_ref(&write)).await;
        let before = world.stored(&world.database());
        let mut unfinished = Vec::new();
        for call in story.writing_calls() {
            let (database, faults) = (world.database(), Faults::default());
            let service = world.failing(&database, &faults);
            faults.plan(Some(Plan { call, fault: Fault::CrashAfter, lasting: false }));
            tokio::select! {
                answer = world.send(&write, &service) => panic!("{answer:?}"),
                () = faults.crashed() => {}
            }
            let stored = world.stored(&database);
            if stored != before && stored != story.after {
                unfinished.push(world.continued(&database, &format!("{call}.db"), later()));
            }
        }
        let mut count = 0;
        for world in [unfinished.first(), unfinished.last()].into_iter().flatten() {
            count += check_late_calls(world, &[Write::Janitor], Repeat::Success).await;
        }
        assert!(count > 0, "no change is left unfinished");
        count
    });
    println!("{name}: {count} faults in {} modes", SURVIVED.len());
}

/// The time after which the janitor finishes changes.
pub(super) fn later() -> Duration {
    Duration::try_from(ABANDONED_AFTER).expect("a time") + Duration::SECOND
}

fn edit(world: &World, group: &str, op: &str, users: impl IntoIterator<Item = usize>) -> Write {
    let operation = json!([{ "op": op, "path": "members", "value": world.ids(users) }]);
    Request::patch(world.group(group), operation).into()
}

#[test]
fn late_addition_of_removed_member_changes_nothing() {
    assert_late_calls_change_nothing("add, remove", |world| {
        vec![edit(world, "small", "add", [4]), edit(world, "small", "remove", [4])]
    });
}

#[test]
fn late_removal_of_new_member_changes_nothing() {
    assert_late_calls_change_nothing("remove, add", |world| {
        vec![edit(world, "small", "remove", [1]), edit(world, "small", "add", [1])]
    });
}

#[test]
fn late_addition_that_was_partly_refused_changes_nothing() {
    // The first transaction is refused, because one of the users is a member already.
    assert_late_calls_change_nothing("add, remove two", |world| {
        vec![edit(world, "small", "add", [1, 4]), edit(world, "small", "remove", [1, 4])]
    });
}

#[test]
fn late_addition_of_many_members_changes_nothing() {
    assert_late_calls_change_nothing("add, remove many", |world| {
        vec![edit(world, "small", "add", 2..MANY), edit(world, "small", "remove", 2..MANY)]
    });
}

#[test]
fn late_replacement_of_many_members_changes_nothing() {
    assert_late_calls_change_nothing("replace twice", |world| {
        vec![edit(world, "small", "replace", 2..MANY), edit(world, "small", "replace", [0, 1])]
    });
}

#[test]
fn late_creation_with_taken_name_changes_nothing() {
    assert_late_calls_change_nothing("create with a taken name", |world| {
        let body = json!({ "userName": "user-4" });
        vec![Request::post("/Users", body).into(), Request::delete(world.user(4)).into()]
    });
}

#[test]
fn late_rename_to_taken_name_changes_nothing() {
    assert_late_calls_change_nothing("rename to a taken name", |world| {
        let rename = json!([{ "op": "replace", "value": { "displayName": "five" } }]);
        vec![Request::patch(world.group("four"), rename).into(), Request::delete(world.group("five")).into()]
    });
}

#[test]
fn late_deactivation_of_active_user_changes_nothing() {
    assert_late_calls_change_nothing("deactivate, activate", |world| {
        let active = |active: bool| json!([{ "op": "replace", "value": { "active": active } }]);
        [false, true].map(|is| Request::patch(world.user(0), active(is)).into()).into()
    });
}

#[test]
fn late_deactivation_of_deleted_user_changes_nothing() {
    assert_late_calls_change_nothing("deactivate, delete", |world| {
        let deactivate = json!([{ "op": "replace", "value": { "active": false } }]);
        vec![Request::patch(world.user(0), deactivate).into(), Request::delete(world.user(0)).into()]
    });
}

#[test]
fn late_deletion_before_another_creation_changes_nothing() {
    assert_late_calls_change_nothing("delete, create", |world| {
        let body = json!({ "displayName": "small", "members": world.ids([0]) });
        vec![Request::delete(world.group("small")).into(), Request::post("/Groups", body).into()]
    });
}

#[test]
fn late_call_of_bulk_request_changes_nothing() {
    assert_late_calls_change_nothing("bulk", |world| {
        let user = json!({ "userName": "ada" });
        let group =
            |name: &str, member: &str| json!({ "displayName": name, "members": [{ "value": member }] });
        // Each of the groups is a member of the other.
        let operations = json!([
            { "method": "POST", "path": "/Users", "bulkId": "u", "data": user },
            { "method": "POST", "path": "/Groups", "bulkId": "a", "data": group("a", "bulkId:b") },
            { "method": "POST", "path": "/Groups", "bulkId": "b", "data": group("b", "bulkId:a") },
            { "method": "DELETE", "path": world.user(2) },
        ]);
        vec![Request::post("/Bulk", json!({ "Operations": operations })).into()]
    });
}

#[test]
fn late_disabling_of_enabled_organisation_changes_nothing() {
    assert_late_calls_change_nothing("disable, enable", |_| {
        [false, true].map(|enabled| Command::EnableOrg(enabled).into()).into()
    });
}

#[test]
fn late_creation_of_revoked_key_changes_nothing() {
    assert_late_calls_change_nothing("create, revoke key", |_| {
        [Command::CreateKey, Command::RevokeNewKey].map(Write::from).into()
    });
}

#[test]
fn late_call_of_janitor_that_adds_members_changes_nothing() {
    assert_late_calls_of_janitor_change_nothing("janitor adds", |world| edit(world, "small", "add", 2..MANY));
}

#[test]
fn late_call_of_janitor_that_leaves_groups_changes_nothing() {
    assert_late_calls_of_janitor_change_nothing("janitor deletes a nested group", |world| {
        Request::delete(world.group("looped")).into()
    });
}

#[test]
fn late_call_of_janitor_that_deletes_group_changes_nothing() {
    assert_late_calls_of_janitor_change_nothing("janitor deletes a group", |world| {
        Request::delete(world.group("large")).into()
    });
}
