//! Limits while DynamoDB fails: requests pass.

use service::settings::Settings;
use tests::{
    instances::Instances,
    intercept::{Call, CallResult, answer, exception},
};
use tokio::time::{Duration, sleep};

use super::{match_user, scan, statuses};

/// Refuses each write of a limit.
async fn throttled(call: Call) -> CallResult {
    if call.is_of_a_limit() {
        return answer(400, &exception("ProvisionedThroughputExceededException"));
    }
    call.forward().await
}

/// Does not answer a write of a limit.
async fn silent(call: Call) -> CallResult {
    if call.is_of_a_limit() {
        sleep(Duration::from_hours(1)).await;
    }
    call.forward().await
}

#[tokio::test(start_paused = true)]
async fn requests_pass_while_limits_are_throttled() {
    let mut instances = Instances::new(0).await;
    instances.add(throttled);
    let samples = instances.send_at(200, 5, &match_user()).await;
    assert_eq!(statuses(&samples), [(200, 1_000)].into());
    let updates = instances.take_updates();
    assert!(updates <= 100, "one attempt for each lease, not {updates}");
    assert_eq!(statuses(&instances.send_at(2, 3, &scan()).await), [(200, 6)].into());
}

#[tokio::test(start_paused = true)]
async fn request_waits_a_second_at_most_for_its_limit() {
    let mut instances = Instances::new(0).await;
    instances.add(silent);
    let samples = instances.send_at(20, 2, &match_user()).await;
    assert_eq!(statuses(&samples), [(200, 40)].into());
    let slowest = samples.iter().map(|sample| sample.time).max().unwrap();
    assert!(slowest < Duration::from_millis(2_100), "{slowest:?}");
    let scan = instances.send(0, scan()).await.unwrap();
    assert_eq!(scan.answer.status, 200);
    assert!(scan.time < Duration::from_millis(2_200), "{:?}", scan.time);
}

#[tokio::test(start_paused = true)]
async fn damaged_item_of_a_limit_refuses_nothing() {
    let instances = Instances::new(1).await;
    let client = instances.db.client();
    for (sk, name) in [("BUCKET", "fullAt"), ("SLOTS", "slot0"), ("SLOTS", "slot1")] {
        let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
        let put = client.put_item().table_name(service::config::Tables::default().keys);
        let put = put.item("pk", text("ORG#acme#LIMITS")).item("sk", text(sk)).item(name, text("damaged"));
        put.send().await.expect("an item");
    }
    instances.set(Settings { at_once: 2, ..Settings::default() }).await;
    assert_eq!(statuses(&instances.send_at(100, 1, &match_user()).await), [(200, 100)].into());
    assert_eq!(scan().send(&instances.services[0]).await.status, 200);
}
