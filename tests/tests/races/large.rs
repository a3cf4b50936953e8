//! Deletions that take longer than a request may. The request is answered in time or killed, readers see the deletion as
//! complete, and the janitor completes it. Time is virtual and passes only during calls.

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, Select},
};
use dynoxide::Database;
use local::embedded;
use serde_json::{Value, json};
use service::{
    clock::Clock,
    config::Tables,
    entropy::Entropy,
    janitor::{self, Swept},
    limits::{ABANDONED_AFTER, REQUEST_BUDGET},
};
use tests::{NOW, ORG, Service, load::fill, observed};
use tokio::time::{Duration, Instant, timeout};

use super::{create_all, members};

/// Returns a process on the database, after that time. Each of its calls takes the given time.
async fn process(database: &Database, seed: u64, after: Duration, takes: Duration) -> Service {
    let client = observed::client(database.clone(), takes, |_| ());
    Service::with(client, Clock::fixed(NOW + after), Entropy::seeded(seed)).await
}

/// Counts the items of a partition.
async fn count(db: &Client, partition: &str) -> usize {
    let mut count = 0;
    let mut after = None;
    loop {
        let query = db
            .query()
            .table_name(Tables::default().resources)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(format!("ORG#{ORG}#{partition}")))
            .select(Select::Count)
            .limit(10_000)
            .set_exclusive_start_key(after);
        let page = query.send().await.expect("a page");
        count += usize::try_from(page.count).expect("a number");
        match page.last_evaluated_key {
            Some(next) => after = Some(next),
            None => return count,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn deletion_of_user_in_1000_groups_is_completed() {
    const GROUPS: usize = 1_000;
    let database = Database::memory().expect("a database in memory");
    let service = process(&database, 1, Duration::ZERO, Duration::ZERO).await;
    let users = create_all(
        &service,
        &service.key,
        "/Users",
        ["ann", "bob", "cy"].map(|name| json!({ "userName": name })),
    )
    .await;
    let body =
        |number: usize| json!({ "displayName": format!("group-{number}"), "members": members(&users) });
    let groups = create_all(&service, &service.key, "/Groups", (0..GROUPS).map(body)).await;
    let [ann, bob, cy] = users.as_slice() else { panic!("{users:?}") };
    let db = embedded::client(database.clone());
    assert_eq!(count(&db, "MEMBER").await, 3 * GROUPS);

    // At this speed the deletion takes 50 seconds.
    let slow = process(&database, 2, Duration::ZERO, Duration::from_millis(400)).await;
    let began = Instant::now();
    let deleted = slow.delete(&format!("/Users/{ann}")).await;
    assert_eq!(deleted.status, 204, "{:#}", deleted.body);
    assert!(began.elapsed() < REQUEST_BUDGET, "{:?}", began.elapsed());
    let left = count(&db, "MEMBER").await - 2 * GROUPS;
    assert!((1..GROUPS).contains(&left), "{left}");
    // Readers leave the deleted user out, and leave the deletion to the janitor.
    let mut stay = [bob.clone(), cy.clone()];
    stay.sort_unstable();
    assert_eq!(service.members(&groups[GROUPS - 1]).await, stay);
    assert_eq!(count(&db, "MEMBER").await, left + 2 * GROUPS);
    let later = process(&database, 4, ABANDONED_AFTER, Duration::ZERO).await;
    assert_eq!(janitor::sweep(&later.app.store).await.finished, 1);
    assert_eq!(count(&db, "MEMBER").await, 2 * GROUPS);
    service.assert_healthy().await;

    let killed = timeout(Duration::from_secs(9), slow.delete(&format!("/Users/{bob}"))).await;
    assert!(killed.is_err(), "{killed:?}");
    let left = count(&db, "MEMBER").await - GROUPS;
    assert!((1..GROUPS).contains(&left), "{left}");
    let later = process(&database, 3, ABANDONED_AFTER, Duration::ZERO).await;
    let swept = janitor::sweep(&later.app.store).await;
    let age = u64::try_from(ABANDONED_AFTER.as_millis()).expect("a number");
    assert_eq!(swept, Swept { listed: 1, finished: 1, failed: 0, oldest_millis: age });
    assert_eq!(count(&db, "MEMBER").await, GROUPS);
    service.assert_healthy().await;
    let list = service.get("/Groups?count=1000").await.body;
    let shown = list["Resources"].as_array().expect("groups");
    assert_eq!(shown.len(), GROUPS);
    assert!(shown.iter().all(|group| group["members"].as_array().is_some_and(|members| members.len() == 1)));

    // With enough time, the request completes the deletion itself.
    assert_eq!(service.delete(&format!("/Users/{cy}")).await.status, 204);
    assert_eq!(count(&db, "MEMBER").await, 0);
    service.assert_healthy().await;
}

#[tokio::test(start_paused = true)]
#[ignore = "it takes two minutes; `.ci/run` has a step for it"]
async fn interrupted_deletion_of_200000_members_completes() {
    const MEMBERS: usize = 200_000;
    let database = Database::memory().expect("a database in memory");
    let service = process(&database, 1, Duration::ZERO, Duration::ZERO).await;
    let ann = service.user("ann").await;
    let group = service.group("group", &[&ann]).await;
    fill(&database, &group, 0..MEMBERS - 1);
    let db = embedded::client(database.clone());
    let edges = format!("GROUP#{group}");
    let left = async || {
        let left = count(&db, "MEMBER").await;
        assert_eq!(count(&db, &edges).await, left, "an edge without its reverse");
        left
    };
    assert_eq!(left().await, MEMBERS);

    // At this speed the deletion takes 50 seconds.
    let slow = process(&database, 2, Duration::ZERO, Duration::from_millis(100)).await;
    let (path, user) = (format!("/Groups/{group}"), format!("/Users/{ann}"));
    let killed = timeout(Duration::from_secs(5), slow.delete(&path)).await;
    assert!(killed.is_err(), "{killed:?}");
    let after_the_kill = left().await;
    assert!((1..MEMBERS).contains(&after_the_kill), "{after_the_kill}");

    // Readers leave the deletion to the janitor.
    assert_eq!(slow.get(&path).await.status, 404);
    assert_eq!(left().await, after_the_kill);
    let later = process(&database, 3, ABANDONED_AFTER, Duration::ZERO).await;
    assert_eq!(janitor::sweep(&later.app.store).await.finished, 1);
    assert_eq!(left().await, 0);
    service.assert_healthy().await;
    assert_eq!(service.get(&user).await.body.get("groups"), None::<&Value>);
    assert_eq!(service.get("/Groups?count=0").await.body["totalResults"], 0);
}
