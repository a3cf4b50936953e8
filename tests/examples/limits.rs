//! The latency of an organisation beside the flood of another one, on the realistic DynamoDB. Prints the table of
//! BENCHMARKS.md, "Limits of organisations".
//!
//! `cargo run --release --package tests --example limits`. Time is virtual, and the seed decides all times, so the figures
//! are the same on each machine.

#![allow(clippy::expect_used, reason = "the program fails by panicking")]
#![allow(clippy::print_stdout, reason = "the program prints a table")]

use service::settings::Settings;
use tests::{
    Request,
    instances::{Instances, Sample, percentile},
    intercept::{Call, CallResult},
};
use tokio::{
    runtime::Builder,
    time::{Duration, sleep},
};

/// The seed of the jitter of the SDK.
const SEED: u64 = 1;
/// The number of instances, each of which serves one request at a time.
const INSTANCES: usize = 8;
/// The length of a measurement in seconds.
const SECONDS: u32 = 20;
/// The requests a second of the measured organisation, which are those of Entra.
const ENTRA: u32 = 25;

fn main() {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        fastrand::seed(SEED);
        println!(
            "| requests of acme a second | scans of acme a second | limits | served | 429 | writes of limits a second | p50 | \
             p99 | slowest | p99 to that alone |\n|---|---|---|---|---|---|---|---|---|---|"
        );
        let mut alone = None;
        for (requests, scans, is_limited) in [
            (0, 0, true),
            (50, 0, true),
            (400, 0, true),
            (600, 0, true),
            (0, 20, true),
            (100, 20, true),
            (600, 0, false),
            (100, 20, false),
        ] {
            row(requests, scans, is_limited, &mut alone).await;
        }
        hundred().await;
    });
}

/// Measures an organisation beside the requests of acme, and prints a row.
async fn row(requests: u32, scans: u32, is_limited: bool, alone: &mut Option<f64>) {
    let mut instances = Instances::new(0).await;
    for _ in 0..INSTANCES {
        instances.add(slow_queries);
    }
    if !is_limited {
        let settings = Settings { rate: 100_000, burst: 1_000_000, at_once: 1_000, ..Settings::default() };
        instances.set(settings).await;
    }
    let quiet = by_name().bearer(&instances.organisation("quiet").await);
    let instances = instances.one_request_each();
    let (cheap, scan) = (by_name(), Request::get("/Users").filter("title pr"));
    let flood =
        async { if requests > 0 { instances.send_at(requests, SECONDS, &cheap).await } else { Vec::new() } };
    let scans_sent =
        async { if scans > 0 { instances.send_at(scans, SECONDS, &scan).await } else { Vec::new() } };
    let (mut flood, scanned, beside) =
        tokio::join!(flood, scans_sent, instances.send_at(ENTRA, SECONDS, &quiet));
    assert!(beside.iter().all(|sample| sample.answer.status == 200), "the other organisation is served");
    flood.extend(scanned);
    let of = |status: u16| flood.iter().filter(|sample| sample.answer.status == status).count();
    let p99 = percentile(&beside, 99).as_secs_f64();
    let ratio = p99 / *alone.get_or_insert(p99);
    println!(
        "| {requests} | {scans} | {} | {} | {} | {:.1} | {} | {} | {} | {ratio:.2} |",
        if is_limited { "default" } else { "none" },
        of(200),
        of(429),
        f64::from(u32::try_from(instances.take_updates()).expect("a number")) / f64::from(SECONDS),
        millis(&beside, 50),
        millis(&beside, 99),
        millis(&beside, 100),
    );
}

/// Makes a call. A query takes as long as the reads of a large scan.
async fn slow_queries(call: Call) -> CallResult {
    if call.operation == "Query" {
        sleep(Duration::from_secs(1)).await;
    }
    call.forward().await
}

/// Serves 100 organisations at the rate of Entra.
async fn hundred() {
    let instances = Instances::new(INSTANCES).await;
    let mut requests = Vec::new();
    for number in 0..100 {
        requests.push(by_name().bearer(&instances.organisation(&format!("org-{number}")).await));
    }
    let sent = requests.iter().map(|request| instances.send_at(ENTRA, SECONDS / 2, request));
    let samples: Vec<Sample> = futures_util::future::join_all(sent).await.into_iter().flatten().collect();
    let refused = samples.iter().filter(|sample| sample.answer.status != 200).count();
    println!(
        "\n100 organisations at {ENTRA} requests a second for {} s: {} requests, {refused} refused, p50 {} ms, p99 {} \
         ms, {:.2} writes of limits a second for each organisation",
        SECONDS / 2,
        samples.len(),
        millis(&samples, 50),
        millis(&samples, 99),
        f64::from(u32::try_from(instances.take_updates()).expect("a number"))
            / f64::from(SECONDS / 2)
            / 100.0,
    );
}

fn by_name() -> Request {
    Request::get("/Users").filter("userName eq \"nobody\"")
}

fn millis(samples: &[Sample], percent: usize) -> String {
    format!("{:.0}", percentile(samples, percent).as_secs_f64() * 1_000.0)
}
