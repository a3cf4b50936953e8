//! The doctor on unfinished changes: it reports those whose requests have ended, and `--finish` heals every one of them.

use std::collections::BTreeSet;

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use service::{auth::Caller, clock::Clock, entropy::Entropy};
use tests::{NOW as START, ORG, Service, load::fill, observed};
use tokio::time::{Duration, Instant, sleep, timeout};

use crate::damage::{
    Damage::{self, Put},
    ENTRY, NOW, TestOrg,
};

const HEADER: &str = "PENDING {change}";
/// The first part of the change, and the second.
const PARTS: [&str; 2] = ["PENDING#{change} 0", "PENDING#{change} {bob}"];

/// Returns a header whose change belongs to its request until that time after [`NOW`].
fn header(kind: &str, subject: &str, until: i64) -> Damage {
    Put(HEADER, json!({ "kind": kind, "subject": subject, "since": NOW - 40_000, "lease": NOW + until }))
}

fn abandoned(kind: &str, subject: &str) -> Damage {
    header(kind, subject, 0)
}

fn entry() -> Damage {
    Put(ENTRY, json!({}))
}

/// Returns two parts: they add one user each to a group, and remove a group from it.
fn parts() -> [Damage; 2] {
    [
        Put(PARTS[0], json!({ "users": ["{ann}"], "upto": "{bob}" })),
        Put(PARTS[1], json!({ "users": ["{bob}"], "removed": ["{team}"] })),
    ]
}

fn intent() -> Damage {
    Put("GROUP {company}", json!({ "intent": "{change}" }))
}

fn reservation() -> Damage {
    Put("GROUP {company}", json!({ "reservation": "{change}" }))
}

/// The members of the group before and after the change.
const BEFORE: &[&str] = &["{team}"];
const AFTER: &[&str] = &["{ann}", "{bob}"];

/// Compares the findings of the doctor. Fails unless `--finish` leaves none, no item of a change, and these members.
async fn assert_healed(damage: impl IntoIterator<Item = Damage>, members: &[&str], expected: Expect) {
    let org = TestOrg::new().await;
    org.damage(damage).await;
    expected.assert_eq(&org.findings().await);
    assert_eq!(org.findings_after_finish().await, "");
    for key in [HEADER, ENTRY].into_iter().chain(PARTS) {
        assert_eq!(org.get(key).await, None, "{key}");
    }
    let members: BTreeSet<String> = members.iter().map(|member| org.named(member)).collect();
    let group = org.service.members(&org.named("{company}")).await;
    assert_eq!(BTreeSet::from_iter(group), members);
}

#[tokio::test]
async fn change_left_before_its_commit_is_taken_back() {
    let draft = || [abandoned("members", "{company}"), entry()].into_iter().chain(parts());
    let finding = || {
        expect![[r#"
            the change {change} of GROUP {company} is unfinished
        "#]]
    };
    assert_healed(draft(), BEFORE, finding()).await;
    assert_healed(draft().chain([reservation()]), BEFORE, finding()).await;
    assert_healed([abandoned("members", "{company}"), entry(), reservation()], BEFORE, finding()).await;
    let discarded = Put(HEADER, json!({ "discarded": true }));
    assert_healed(
        draft().chain([discarded]),
        BEFORE,
        expect![[r#"
            the discarded change {change} of GROUP {company} is not removed
        "#]],
    )
    .await;
    let creation = [abandoned("members", "01938000-0000-7000-8000-000000000000"), entry()];
    assert_healed(
        creation.into_iter().chain(parts()),
        BEFORE,
        expect![[r#"
            the change {change} of GROUP 01938000-0000-7000-8000-000000000000 is unfinished
        "#]],
    )
    .await;
}

#[tokio::test]
async fn change_left_after_its_commit_is_completed() {
    let committed = || [abandoned("members", "{company}"), entry(), intent()].into_iter().chain(parts());
    assert_healed(
        committed(),
        AFTER,
        expect![[r#"
            the change {change} of GROUP {company} is unfinished
        "#]],
    )
    .await;
    let applied = [
        Put(PARTS[0], json!({ "applied": true })),
        Put("GROUP#{company} {ann}", json!({ "kind": "USER" })),
        Put("MEMBER {ann}#{company}", json!({})),
    ];
    assert_healed(
        committed().chain(applied),
        AFTER,
        expect![[r#"
            the change {change} of GROUP {company} is unfinished
        "#]],
    )
    .await;
}

/// A restore may bring back only some items of a change.
#[tokio::test]
async fn every_remainder_of_a_change_is_healed() {
    assert_healed(
        [abandoned("members", "{company}"), intent()].into_iter().chain(parts()),
        AFTER,
        expect![[r#"
            the change {change} of GROUP {company} is unfinished
            the change {change} is not in the list of unfinished changes
        "#]],
    )
    .await;
    assert_healed(
        [entry()],
        BEFORE,
        expect![[r#"
            the entry {change} in the list of unfinished changes has no header
        "#]],
    )
    .await;
    assert_healed(
        parts(),
        BEFORE,
        expect![[r#"
            2 parts of the change {change}, which has no header
        "#]],
    )
    .await;
    assert_healed(
        parts().into_iter().chain([intent()]),
        AFTER,
        expect![[r#"
            the intent {change} of GROUP {company} has no header
        "#]],
    )
    .await;
    assert_healed(
        [intent()],
        BEFORE,
        expect![[r#"
            the intent {change} of GROUP {company} has no header
            parts of the intent {change} of GROUP {company} are missing
        "#]],
    )
    .await;
    let [_, second] = parts();
    assert_healed(
        [abandoned("members", "{company}"), entry(), intent(), second],
        &["{bob}"],
        expect![[r#"
            the change {change} of GROUP {company} is unfinished
            parts of the intent {change} of GROUP {company} are missing
        "#]],
    )
    .await;
    assert_healed(
        [reservation()],
        BEFORE,
        expect![[r#"
            the reservation {change} of GROUP {company} has no header
        "#]],
    )
    .await;
}

#[tokio::test]
async fn contradictory_items_of_a_change_are_healed() {
    let org = TestOrg::new().await;
    org.damage([entry(), Put("UNFINISHED#08 acme#{change}", json!({})), header("members", "{company}", 1)])
        .await;
    expect![[r#"
        the entry {change} in the list of unfinished changes has no header
    "#]]
    .assert_eq(&org.findings().await);
    assert_eq!(org.findings_after_finish().await, "");
    assert_eq!(org.get("UNFINISHED#08 acme#{change}").await, None);

    assert_healed(
        [abandoned("members", "{company}"), entry(), intent(), reservation()].into_iter().chain(parts()),
        AFTER,
        expect![[r#"
            the change {change} of GROUP {company} is unfinished
            GROUP {company} has both an intent and a reservation
        "#]],
    )
    .await;
    assert_healed(
        [abandoned("members", "{team}"), entry(), reservation()],
        BEFORE,
        expect![[r#"
            the change {change} of GROUP {team} is unfinished
            the reservation {change} of GROUP {company} is another's change
        "#]],
    )
    .await;
}

#[tokio::test]
async fn unreadable_change_is_reported_and_kept() {
    let assert_kept = async |damage: Vec<Damage>, expected: Expect, after: Expect| {
        let org = TestOrg::new().await;
        org.damage(damage).await;
        expected.assert_eq(&org.findings().await);
        after.assert_eq(&org.findings_after_finish().await);
        for part in PARTS {
            assert!(org.get(part).await.is_some());
        }
    };
    let [first, second] = parts();
    assert_kept(
        vec![abandoned("strange", "{company}"), entry(), intent(), first, second],
        expect![[r#"
            the header {change} cannot be read
        "#]],
        expect![[r#"
            the header {change} cannot be read
        "#]],
    )
    .await;
    let [first, second] = parts();
    let damaged = Put(PARTS[1], json!({ "removed": "no ids" }));
    assert_kept(
        vec![abandoned("members", "{company}"), entry(), intent(), first, second, damaged],
        expect![[r#"
            the change {change} of GROUP {company} is unfinished
            parts of the intent {change} of GROUP {company} are missing
            a part of the change {change} cannot be read
        "#]],
        expect![[r#"
            a part of the change {change} cannot be read
            the change {change} cannot be finished: a part of a pending change cannot be read
        "#]],
    )
    .await;
    let [first, second] = parts();
    let damaged = Put(PARTS[1], json!({ "removed": "no ids" }));
    assert_kept(
        vec![intent(), first, second, damaged],
        expect![[r#"
            the intent {change} of GROUP {company} has no header
            parts of the intent {change} of GROUP {company} are missing
            a part of the change {change} cannot be read
        "#]],
        expect![[r#"
            the intent {change} of GROUP {company} has no header
            parts of the intent {change} of GROUP {company} are missing
            a part of the change {change} cannot be read
            the change {change} cannot be finished: a part of a pending change cannot be read
        "#]],
    )
    .await;
    let [first, second] = parts();
    let damaged = Put("GROUP {company}", json!({ "intent": "no id" }));
    assert_kept(
        vec![first, second, damaged],
        expect![[r#"
            GROUP {company} cannot be read
            2 parts of the change {change}, which has no header
            the group {company} of member {team} does not exist
            count GROUP#00 is 1, but 0 are there
            1 items in GROUP#displayName that belong to no resource
        "#]],
        expect![[r#"
            GROUP {company} cannot be read
            2 parts of the change {change}, which has no header
            the group {company} of member {team} does not exist
            count GROUP#00 is 1, but 0 are there
            1 items in GROUP#displayName that belong to no resource
            the parts of the change {change} are kept, because a group's intent cannot be read
        "#]],
    )
    .await;
}

/// Deletes a user and brings the memberships back, as if the process had died after the transaction that deletes the user.
async fn org_with_deletion(until: i64) -> TestOrg {
    let org = TestOrg::new().await;
    assert_eq!(org.service.delete(&org.named("/Users/{bob}")).await.status, 204);
    let edges = [Put("GROUP#{team} {bob}", json!({ "kind": "USER" })), Put("MEMBER {bob}#{team}", json!({}))];
    org.damage(edges.into_iter().chain([header("user-deleted", "{bob}", until), entry()])).await;
    org
}

#[tokio::test]
async fn interrupted_deletion_is_completed() {
    let org = org_with_deletion(0).await;
    expect![[r#"
        the deletion {change} of USER {bob} is unfinished
    "#]]
    .assert_eq(&org.findings().await);
    assert_eq!(org.findings_after_finish().await, "");
    assert_eq!(org.service.members(&org.named("{team}")).await, [org.named("{ann}")]);
    assert_eq!(org.get(ENTRY).await, None);
}

#[tokio::test]
async fn change_of_a_living_request_is_no_finding() {
    assert_eq!(org_with_deletion(1).await.findings().await, "");
    let change = || [header("members", "{company}", 1), entry()].into_iter().chain(parts());
    for holder in [None, Some(intent()), Some(reservation())] {
        let org = TestOrg::new().await;
        org.damage(change().chain(holder)).await;
        assert_eq!(org.findings().await, "");
        // The operator decides that the request does not matter.
        assert_eq!(org.findings_after_finish().await, "");
        assert_eq!(org.get(HEADER).await, None);
    }
}

/// Returns another process on the database whose calls take that time.
async fn slow(org: &TestOrg, seed: u64, takes: Duration) -> Service {
    let client = observed::client(org.database.clone(), takes, |_| ());
    Service::with(client, Clock::fixed(START), Entropy::seeded(seed)).await
}

/// At this speed the deletion of a large group takes seven minutes.
#[tokio::test(start_paused = true)]
async fn finish_ends_in_time_and_says_so() {
    let org = TestOrg::new().await;
    fill(&org.database, &org.named("{team}"), 100..5_100);
    let path = org.named("/Groups/{team}");
    let dying = slow(&org, 2, Duration::from_secs(1)).await;
    let killed = timeout(Duration::from_secs(6), dying.delete(&path)).await;
    assert!(killed.is_err(), "{killed:?}");
    let operator = slow(&org, 3, Duration::from_secs(30)).await;
    let began = Instant::now();
    let caller = Caller::operator(ORG.parse().expect("a name"));
    let left = operator.app.store.directory(&caller).finish_pending().await.expect("an end");
    assert!(began.elapsed() <= Duration::from_secs(280), "{:?}", began.elapsed());
    assert_eq!(left, ["the time ended before all changes were finished; run the command again"]);
    assert_eq!(org.findings_after_finish().await, "");
}

/// The operator takes over the change of a request that still runs. The request then fails or finds its work done.
#[tokio::test(start_paused = true)]
async fn finish_during_a_request_leaves_all_or_nothing() {
    const MANY: usize = 120;
    let mut statuses = BTreeSet::new();
    for calls_before in 3..14 {
        let org = TestOrg::new().await;
        let mut users = Vec::new();
        for number in 0..MANY {
            users.push(org.service.user(&format!("user-{number}")).await);
        }
        let members: Vec<Value> = users.iter().map(|id| json!({ "value": id })).collect();
        let body = json!({ "displayName": "Quux Company", "members": members });
        let (path, writer) = (org.named("/Groups/{company}"), slow(&org, 2, Duration::from_secs(1)).await);
        let request = async { writer.put(&path, body).await };
        let operator = async {
            sleep(Duration::from_millis(1_000 * calls_before + 500)).await;
            org.directory().finish_pending().await.expect("an end")
        };
        let (answer, _) = tokio::join!(request, operator);
        let members = org.service.members(&org.named("{company}")).await;
        let expected = match answer.status {
            200 => users.len(),
            503 => BEFORE.len(),
            other => panic!("{other}: {:#}", answer.body),
        };
        assert_eq!(members.len(), expected, "{}", answer.status);
        statuses.insert(answer.status);
        assert_eq!(org.findings_after_finish().await, "");
    }
    assert_eq!(statuses, [200, 503].into());
}
