//! The latency of an organisation beside the flood of another one.

use service::settings::Settings;
use tests::{
    instances::{Instances, Sample, percentile},
    intercept::{Call, CallResult},
};
use tokio::time::{Duration, sleep};

use super::{assert_limited, match_user, scan, statuses};

/// Makes a call. A query takes as long as the reads of a large scan.
async fn slow_queries(call: Call) -> CallResult {
    if call.operation == "Query" {
        sleep(Duration::from_secs(1)).await;
    }
    call.forward().await
}

/// Sends requests of one organisation alone, and beside requests and scans of another one, to instances that serve one
/// request at a time. Returns the p99 beside the other organisation in relation to that alone.
async fn ratio(settings: Settings) -> f64 {
    let mut instances = Instances::new(0).await;
    for _ in 0..8 {
        instances.add(slow_queries);
    }
    instances.set(settings).await;
    let quiet = match_user().bearer(&instances.organisation("quiet").await);
    let instances = instances.one_request_each();
    let alone = instances.send_at(25, 10, &quiet).await;
    let (flood, scans) = (match_user(), scan());
    let (flood, scans, beside) = tokio::join!(
        instances.send_at(100, 10, &flood),
        instances.send_at(20, 10, &scans),
        instances.send_at(25, 10, &quiet),
    );
    for samples in [&alone, &beside] {
        assert_eq!(statuses(samples), [(200, 250)].into());
    }
    let refused = |sample: &&Sample| sample.answer.status != 200;
    flood.iter().chain(&scans).filter(refused).for_each(|sample| assert_limited(&sample.answer));
    percentile(&beside, 99).as_secs_f64() / percentile(&alone, 99).as_secs_f64()
}

#[tokio::test(start_paused = true)]
async fn flood_leaves_the_latency_of_another_organisation() {
    let ratio = ratio(Settings::default()).await;
    assert!(ratio <= 1.5, "{ratio}");
}

#[tokio::test(start_paused = true)]
async fn flood_without_limits_delays_another_organisation() {
    let settings = Settings { rate: 100_000, burst: 1_000_000, at_once: 1_000, ..Settings::default() };
    let ratio = ratio(settings).await;
    assert!(ratio > 10.0, "the limits are not what keeps the latency: {ratio}");
}
