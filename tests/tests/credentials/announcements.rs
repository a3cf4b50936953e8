//! Announcements of the ends of keys.

use dynoxide::Database;
use service::{announcements::announce, store::KeyChange};
use tests::{counting::Counter, operator};
use time::Duration;

use crate::world::{World, org};

/// Runs the announcements once a day. Returns the days on which one was made.
async fn announced_days(world: &World, days: i64) -> Vec<i64> {
    let mut announced = Vec::new();
    for day in 0..days {
        for _ in 0..announce(world.store()).await.expect("an answer") {
            announced.push(day);
        }
        world.advance(Duration::days(1));
    }
    announced
}

#[tokio::test]
async fn end_is_announced_60_30_14_7_and_1_days_before() {
    let world = World::new().await;
    world.key_until(Some(world.now() + Duration::days(90))).await;
    assert_eq!(announced_days(&world, 100).await, [30, 60, 76, 83, 89]);
}

#[tokio::test]
async fn short_life_has_only_the_announcements_that_fit() {
    let world = World::new().await;
    world.key_until(Some(world.now() + Duration::days(10))).await;
    assert_eq!(announced_days(&world, 20).await, [3, 9]);
}

#[tokio::test]
async fn revoked_key_is_not_announced() {
    let world = World::new().await;
    let (_, record) = world.key_until(Some(world.now() + Duration::days(90))).await;
    world.store().revoke_key(&org(), &record.id, &operator()).await.expect("an answer");
    assert_eq!(announced_days(&world, 100).await, [0; 0]);
}

#[tokio::test]
async fn changed_end_moves_the_announcements() {
    let world = World::new().await;
    let (_, record) = world.key_until(Some(world.now() + Duration::days(90))).await;
    let ends = Some(Some(world.now() + Duration::days(9)));
    let change = KeyChange { ends, ..KeyChange::default() };
    world.store().change_key(&org(), &record.id, &change, &operator()).await.expect("an answer");
    assert_eq!(announced_days(&world, 100).await, [2, 8]);
}

#[tokio::test]
async fn late_run_announces_once() {
    let world = World::new().await;
    world.key_until(Some(world.now() + Duration::days(90))).await;
    world.advance(Duration::days(80));
    // Only the last of the missed announcements is made.
    assert_eq!(announced_days(&world, 20).await, [0, 3, 9]);
}

#[tokio::test]
async fn run_without_due_announcements_makes_one_query() {
    let database = Database::memory().expect("a database in memory");
    let counter = Counter::default();
    let world = World::on(database.clone(), counter.client(database)).await;
    for days in 70..80 {
        world.key_until(Some(world.now() + Duration::days(days))).await;
    }
    let _ = counter.take();
    assert_eq!(announce(world.store()).await, Ok(0));
    let costs: Vec<_> = counter.take().into_values().map(|cost| cost.to_string()).collect();
    assert_eq!(costs, ["Query 1: 1 read, 0 written"]);
}
