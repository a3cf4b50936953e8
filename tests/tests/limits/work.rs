//! The slots of expensive requests.

use expect_test::expect;
use serde_json::{Value, json};
use service::settings::Settings;
use tests::{
    Request,
    instances::{Instances, Sample},
    intercept::{Call, CallResult},
};
use tokio::time::{Duration, sleep, timeout};

use super::{assert_limited, match_user, scan, statuses};

/// The time of a query to DynamoDB, so that scans overlap.
const QUERY: Duration = Duration::from_secs(1);

/// Makes a call. A query takes longer than other calls.
async fn slow_queries(call: Call) -> CallResult {
    if call.operation == "Query" {
        sleep(QUERY).await;
    }
    call.forward().await
}

async fn slow_instances(number: usize, at_once: u32) -> Instances {
    let mut instances = Instances::new(0).await;
    for _ in 0..number {
        instances.add(slow_queries);
    }
    instances.set(Settings { at_once, ..Settings::default() }).await;
    instances
}

/// Sends these requests at the same time, each to an instance of its own.
async fn at_once(instances: &Instances, requests: impl IntoIterator<Item = Request>) -> Vec<Sample> {
    let requests = requests.into_iter().enumerate();
    let sent: Vec<_> = requests.map(|(instance, request)| instances.send(instance, request)).collect();
    let mut samples = Vec::new();
    for sample in sent {
        samples.push(sample.await.expect("an answer"));
    }
    samples
}

fn members(ids: &[String]) -> Value {
    ids.iter().map(|id| json!({ "value": id })).collect()
}

#[tokio::test(start_paused = true)]
async fn fifth_scan_at_the_same_time_is_refused() {
    let instances = slow_instances(6, 4).await;
    let other = instances.organisation("other").await;
    let scans = (0..5).map(|_| scan()).chain([scan().bearer(&other)]);
    let samples = at_once(&instances, scans).await;
    assert_eq!(statuses(&samples[..5]), [(200, 4), (429, 1)].into());
    assert_eq!(samples[5].answer.status, 200, "another organisation has slots of its own");
    let refused = samples.iter().find(|sample| sample.answer.status == 429).unwrap();
    assert_limited(&refused.answer);
    assert!(refused.time < QUERY, "{:?}", refused.time);
    expect![[r#"
        429
        {
          "schemas": [
            "urn:ietf:params:scim:api:messages:2.0:Error"
          ],
          "status": "429",
          "detail": "The organisation has too many expensive requests at the same time. Expensive are bulk requests, filters and sorts without an index, and large changes of members. Repeat the request after the time in Retry-After."
        }
    "#]].assert_eq(&refused.answer.snapshot());
    sleep(Duration::from_secs(2)).await;
    let samples = at_once(&instances, (0..4).map(|_| scan())).await;
    assert_eq!(statuses(&samples), [(200, 4)].into(), "the answered requests have freed their slots");
}

#[tokio::test(start_paused = true)]
async fn one_slot_admits_one_expensive_request_at_a_time() {
    let instances = slow_instances(3, 1).await;
    let samples = at_once(&instances, (0..3).map(|_| scan())).await;
    assert_eq!(statuses(&samples), [(200, 1), (429, 2)].into());
    let cheap = at_once(&instances, [scan(), match_user(), match_user()]).await;
    assert_eq!(statuses(&cheap[1..]), [(200, 2)].into());
}

#[tokio::test(start_paused = true)]
async fn slot_of_a_killed_request_ends_after_its_time() {
    let instances = slow_instances(2, 1).await;
    let killed = instances.services[0].get("/Users?filter=title%20pr");
    timeout(QUERY / 2, killed).await.expect_err("it is killed");
    for _ in 0..11 {
        let answer = scan().send(&instances.services[1]).await;
        assert_limited(&answer);
        sleep(Duration::from_secs(2)).await;
    }
    sleep(Duration::from_secs(4)).await;
    assert_eq!(scan().send(&instances.services[1]).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn local_flood_of_scans_costs_no_calls() {
    let instances = slow_instances(1, 2).await;
    let samples = at_once(&instances, (0..20).map(|_| scan())).await;
    assert_eq!(statuses(&samples), [(200, 2), (429, 18)].into());
    // Two slots, at most one attempt in vain, and the leases of 20 requests.
    let updates = instances.take_updates();
    assert!(updates <= 2 * 2 + 1 + 2, "{updates}");
}

#[tokio::test(start_paused = true)]
async fn only_expensive_requests_take_a_slot() {
    let instances = Instances::new(1).await;
    instances.set(Settings { rate: 1_000, ..Settings::default() }).await;
    let service = &instances.services[0];
    let mut users = Vec::new();
    for number in 0..60 {
        users.push(instances.setup.user(&format!("user-{number}")).await);
    }
    let (large, small) =
        (instances.setup.group("large", &[]).await, instances.setup.group("small", &[]).await);
    let add = |ids: &[String]| json!([{ "op": "add", "path": "members", "value": members(ids) }]);
    let user = format!("/Users/{}", users[0]);
    let cheap = [
        match_user(),
        Request::get("/Users"),
        Request::get("/Users?count=2&cursor"),
        Request::get("/Users?sortBy=userName"),
        Request::get("/Users?sortBy=userName&cursor"),
        Request::get("/Users").filter("userName sw \"user\""),
        Request::get("/Groups?excludedAttributes=members"),
        Request::get(&user),
        Request::patch(&user, json!([{ "op": "replace", "path": "active", "value": false }])),
        Request::post("/Groups", json!({ "displayName": "new", "members": members(&users[..3]) })),
        Request::patch(format!("/Groups/{small}"), add(&users[..20])),
        Request::delete(format!("/Groups/{small}")),
    ];
    let operation = json!({ "method": "DELETE", "path": format!("/Users/{}", users[59]) });
    let expensive = [
        scan(),
        scan().query("cursor", ""),
        Request::get("/Users?sortBy=title"),
        Request::get("/Users?sortBy=title&cursor"),
        Request::post("/.search", json!({ "filter": "meta.lastModified pr" })),
        Request::post("/Groups", json!({ "displayName": "other", "members": members(&users) })),
        Request::patch(format!("/Groups/{large}"), add(&users)),
        Request::put(format!("/Groups/{large}"), json!({ "displayName": "large", "members": [] })),
        Request::patch(format!("/Groups/{large}"), add(&users)),
        Request::delete(format!("/Groups/{large}")),
        Request::post("/Bulk", json!({ "Operations": [operation] })),
    ];
    for (requests, updates) in [(&cheap[..], 0), (&expensive[..], 2)] {
        for request in requests {
            let _ = instances.take_updates();
            let answer = request.clone().send(service).await;
            assert!(answer.status < 300, "{request:?}: {:#}", answer.body);
            assert_eq!(instances.take_updates(), updates, "{request:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn operations_of_a_bulk_request_share_its_slot() {
    let instances = Instances::new(1).await;
    instances.set(Settings { at_once: 1, ..Settings::default() }).await;
    let mut users = Vec::new();
    for number in 0..40 {
        users.push(instances.setup.user(&format!("user-{number}")).await);
    }
    let group = |number: usize| {
        let data = json!({ "displayName": format!("group-{number}"), "members": members(&users) });
        json!({ "method": "POST", "path": "/Groups", "bulkId": number.to_string(), "data": data })
    };
    let operations: Vec<Value> = (0..3).map(group).collect();
    let answer = instances.services[0].post("/Bulk", json!({ "Operations": operations })).await;
    assert_eq!(answer.status, 200, "{:#}", answer.body);
    for operation in answer.body["Operations"].as_array().unwrap() {
        assert_eq!(operation["status"], "201", "{operation:#}");
    }
    assert_eq!(instances.take_updates(), 2);
}

#[tokio::test(start_paused = true)]
async fn refused_change_of_members_changes_nothing() {
    let mut instances = slow_instances(1, 1).await;
    instances.add(Call::forward);
    let mut users = Vec::new();
    for number in 0..40 {
        users.push(instances.setup.user(&format!("user-{number}")).await);
    }
    let group = instances.setup.group("group", &[&users[0]]).await;
    let path = format!("/Groups/{group}");
    let scan = instances.send(0, scan());
    sleep(QUERY / 2).await;
    for request in [
        Request::put(&path, json!({ "displayName": "renamed", "members": members(&users) })),
        Request::patch(&path, json!([{ "op": "add", "path": "members", "value": members(&users) }])),
        Request::post("/Groups", json!({ "displayName": "new", "members": members(&users) })),
    ] {
        assert_limited(&request.send(&instances.services[1]).await);
    }
    assert_eq!(scan.await.unwrap().answer.status, 200);
    assert_eq!(instances.setup.members(&group).await, [users[0].clone()]);
    let groups = instances.setup.get("/Groups").await.body;
    assert_eq!(
        (&groups["totalResults"], &groups["Resources"][0]["displayName"]),
        (&json!(1), &json!("group"))
    );
    instances.setup.assert_healthy().await;
}

#[tokio::test(start_paused = true)]
async fn slot_is_freed_when_the_time_of_a_request_is_over() {
    let mut instances = Instances::new(0).await;
    instances.add(|call: Call| async move {
        if call.operation == "Query" {
            sleep(Duration::from_mins(1)).await;
        }
        call.forward().await
    });
    instances.add(Call::forward);
    instances.set(Settings { at_once: 1, ..Settings::default() }).await;
    assert_eq!(scan().send(&instances.services[0]).await.status, 503);
    assert_eq!(scan().send(&instances.services[1]).await.status, 200);
    assert!(!has_a_slot_in_use(&instances).await);
}

/// Returns whether an item of the organisation's slots has a slot.
async fn has_a_slot_in_use(instances: &Instances) -> bool {
    let keys = instances.db.client().scan().table_name(service::config::Tables::default().keys).send().await;
    let items = keys.expect("items").items.unwrap_or_default();
    items.iter().any(|item| item.keys().any(|name| name.starts_with("slot")))
}
