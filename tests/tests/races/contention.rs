//! Requests beside many others, on a realistic DynamoDB with virtual time: a large change beside small ones, and a large
//! deletion beside readers. The numbers of transactions are asserted. BENCHMARKS.md has the times.

use std::sync::Arc;

use dynoxide::Database;
use local::realistic::{Counts, Realistic};
use serde_json::{Value, json};
use service::clock::Clock;
use tests::{Answer, NOW, Service, load::fill};
use tokio::time::{Duration, interval};

use super::{concurrency::runtime, create_all, members};

/// The time between two small edits of a group.
const EDIT_EVERY: Duration = Duration::from_millis(50);
/// The time between two reads of one reader.
const READ_EVERY: Duration = Duration::from_millis(50);

/// Sends a request beside requests that `other` makes again and again. Returns the answer. All other requests must succeed.
async fn beside<O: Future<Output = Answer> + Send + 'static>(
    service: &Arc<Service>,
    others: usize,
    every: Duration,
    other: impl Fn(Arc<Service>, usize, usize) -> O + Clone + Send + 'static,
    request: impl Future<Output = Answer>,
) -> Answer {
    let tasks: Vec<_> = (0..others)
        .map(|number| {
            let (service, other) = (Arc::clone(service), other.clone());
            tokio::spawn(async move {
                let mut timer = interval(every);
                for round in 0.. {
                    timer.tick().await;
                    let answer = other(Arc::clone(&service), number, round).await;
                    assert!(answer.status < 300, "{:#}", answer.body);
                }
            })
        })
        .collect();
    let answer = request.await;
    for task in tasks {
        assert!(!task.is_finished(), "{:?}", task.await);
        task.abort();
    }
    answer
}

fn edit(op: &str, ids: &[String]) -> Value {
    json!([{ "op": op, "path": "members", "value": members(ids) }])
}

/// A group of a few members that small edits change 20 times a second.
struct Busy {
    service: Arc<Service>,
    realistic: Realistic,
    group: String,
    users: Vec<String>,
}

impl Busy {
    async fn new(users: usize) -> Self {
        let (service, realistic) = Service::realistic(3).await;
        let user = |index| json!({ "userName": format!("user-{index}") });
        let users = create_all(&service, &service.key, "/Users", (0..users).map(user)).await;
        let group = service.group("busy", &[&users[0], &users[1]]).await;
        let _ = realistic.take_counts();
        Self { service: Arc::new(service), realistic, group: format!("/Groups/{group}"), users }
    }

    /// Sends the request while that number of other members join and leave the group.
    async fn send(
        &self,
        others: usize,
        every: Duration,
        request: impl Future<Output = Answer>,
    ) -> (Answer, Counts) {
        let (path, users) = (self.group.clone(), self.users.clone());
        let other = move |service: Arc<Service>, number: usize, round: usize| {
            let operation =
                edit(if round.is_multiple_of(2) { "remove" } else { "add" }, &users[number..=number]);
            let path = path.clone();
            async move { service.patch(&path, operation).await }
        };
        let answer = beside(&self.service, others, every, other, request).await;
        (answer, self.realistic.take_counts())
    }
}

#[test]
fn large_addition_succeeds_beside_small_edits() {
    runtime().block_on(async {
        let busy = Busy::new(700).await;
        let addition = busy.service.patch(&busy.group, edit("add", &busy.users[2..]));
        let (answer, counts) = busy.send(1, EDIT_EVERY, addition).await;
        assert_eq!(answer.status, 204, "{:#}", answer.body);
        let members = busy.service.members(busy.group.trim_start_matches("/Groups/")).await;
        assert!(members.len() >= 699, "{}", members.len());
        // 698 additions are 22 parts. The draft is written once, and the other transactions are small edits.
        assert!(counts.transactions() < 60, "{counts:?}");
        busy.service.assert_healthy().await;
    });
}

#[test]
fn replacement_of_members_succeeds_beside_small_edits() {
    runtime().block_on(async {
        let busy = Busy::new(700).await;
        for last in [5, 700, 5] {
            let body = json!({ "displayName": "busy", "members": members(&busy.users[1..last]) });
            // Without a pause between small edits, an attempt without a reservation loses.
            let put = busy.service.put(&busy.group, body);
            let (answer, counts) = busy.send(4, Duration::from_millis(1), put).await;
            assert_eq!(answer.status, 200, "{:#}", answer.body);
            // Other seeds of the times need 11 to 466 transactions, most of them of small edits.
            assert!(counts.transactions() < 200, "{counts:?}");
        }
        busy.service.assert_healthy().await;
    });
}

#[test]
fn readers_add_no_transaction_to_a_large_deletion() {
    const MEMBERS: usize = 2_000;
    let transactions = |readers: usize| {
        runtime().block_on(async {
            let database = Database::memory().expect("a database in memory");
            let realistic = Realistic::new(database.clone(), 1);
            let service = Service::on_with_clock(realistic.client(), Clock::fixed(NOW)).await;
            let ann = service.user("ann").await;
            let group = service.group("group", &[&ann]).await;
            fill(&database, &group, 0..MEMBERS - 1);
            let service = Arc::new(service);
            let _ = realistic.take_counts();
            let path = format!("/Users/{ann}");
            let other = move |service: Arc<Service>, _, _| {
                let path = path.clone();
                async move { service.get(&path).await }
            };
            let path = format!("/Groups/{group}");
            let answer = beside(&service, readers, READ_EVERY, other, service.delete(&path)).await;
            assert_eq!(answer.status, 204, "{:#}", answer.body);
            let counts = realistic.take_counts();
            assert_eq!(counts.conflicts.transactions, 0, "{counts:?}");
            service.assert_healthy().await;
            counts.transactions()
        })
    };
    assert_eq!(transactions(16), transactions(0));
}
