//! The token bucket of requests.

use axum::http::Method;
use expect_test::expect;
use serde_json::Value;
use service::{
    auth::Scope,
    credential::{Credential, Kind},
    entropy::Entropy,
    http,
    settings::Settings,
};
use tests::{ORG, Request, instances::Instances};
use tokio::time::{Duration, sleep};

use super::{assert_limited, match_user, statuses};

#[tokio::test(start_paused = true)]
async fn flood_of_one_organisation_is_limited_and_no_other() {
    let instances = Instances::new(3).await;
    let other = instances.organisation("other").await;
    let (flood, quiet) = (match_user(), match_user().bearer(&other));
    let (flood, quiet) = tokio::join!(instances.send_at(150, 8, &flood), instances.send_at(25, 8, &quiet));
    assert_eq!(statuses(&quiet), [(200, 200)].into());
    let statuses = statuses(&flood);
    let admitted = statuses[&200];
    // The burst and 8 seconds of the rate, and 20 for each instance (`bucket`).
    assert!((560..=200 + 8 * 50 + 3 * 20).contains(&admitted), "{admitted}");
    assert_eq!(statuses.len(), 2, "{statuses:?}");
    flood
        .iter()
        .filter(|sample| sample.answer.status != 200)
        .for_each(|sample| assert_limited(&sample.answer));
}

#[tokio::test(start_paused = true)]
async fn refusal_names_the_cause_and_the_remedy() {
    let instances = Instances::new(1).await;
    instances.set(Settings { rate: 1, burst: 1, ..Settings::default() }).await;
    instances.send_at(10, 1, &match_user()).await;
    let answer = match_user().send(&instances.services[0]).await;
    assert_limited(&answer);
    expect![[r#"
        429
        {
          "schemas": [
            "urn:ietf:params:scim:api:messages:2.0:Error"
          ],
          "status": "429",
          "detail": "The organisation sends more requests than its limit allows. Repeat the request after the time in Retry-After."
        }
    "#]]
    .assert_eq(&answer.snapshot());
    let seconds = answer.header("retry-after").parse().expect("a number");
    sleep(Duration::from_secs(seconds)).await;
    assert_eq!(match_user().send(&instances.services[0]).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn hundred_organisations_at_25_a_second_are_served() {
    let instances = Instances::new(8).await;
    let mut keys = Vec::new();
    for number in 0..100 {
        keys.push(instances.organisation(&format!("org-{number}")).await);
    }
    let requests: Vec<Request> =
        keys.iter().map(|key| Request::get("/ServiceProviderConfig").bearer(key)).collect();
    let sent = requests.iter().map(|request| instances.send_at(25, 3, request));
    for samples in futures_util::future::join_all(sent).await {
        assert_eq!(statuses(&samples), [(200, 75)].into());
    }
}

#[tokio::test(start_paused = true)]
async fn initial_cycle_of_entra_is_never_limited() {
    let instances = Instances::new(2).await;
    let samples = instances.send_at(25, 40, &match_user()).await;
    assert_eq!(statuses(&samples), [(200, 1_000)].into());
    let updates = instances.take_updates();
    assert!(updates <= 100, "at most 5 writes in 2 seconds, not {updates} in 40 seconds");
}

#[tokio::test(start_paused = true)]
async fn tenth_of_the_rate_costs_no_call() {
    let instances = Instances::new(1).await;
    let samples = instances.send_at(5, 20, &match_user()).await;
    assert_eq!(statuses(&samples), [(200, 100)].into());
    assert_eq!(instances.take_updates(), 0);
}

#[tokio::test(start_paused = true)]
async fn refusal_costs_the_look_up_of_the_key_only() {
    let instances = Instances::new(1).await;
    instances.send_at(1_000, 1, &match_user()).await;
    let _ = (instances.take_updates(), instances.db.take_counts());
    let refused = instances.send_at(1_000, 1, &match_user()).await;
    let refused = statuses(&refused)[&429];
    let counts = instances.db.take_counts();
    assert!(refused > 900, "{refused}");
    assert_eq!(counts.calls["BatchGetItem"], 1_000);
    assert_eq!(counts.calls["GetItem"], 1_000 - refused);
    assert!(instances.take_updates() <= 20);
}

#[tokio::test(start_paused = true)]
async fn every_endpoint_is_limited() {
    let instances = Instances::new(1).await;
    instances.set(Settings { rate: 1, burst: 1, ..Settings::default() }).await;
    instances.send_at(10, 1, &match_user()).await;
    for route in http::all() {
        let path = route.path.replace("{id}", "0").replace("{name}", "User").replace("{urn}", "0");
        let answer = Request::new(route.method.clone(), path).send(&instances.services[0]).await;
        assert_limited(&answer);
    }
    let head = Request::new(Method::HEAD, "/Users").send(&instances.services[0]).await;
    assert_eq!((head.status, head.body), (429, Value::Null));
}

#[tokio::test(start_paused = true)]
async fn token_endpoint_counts_the_requests_of_proven_clients() {
    let instances = Instances::new(1).await;
    let (id, secret) = instances.setup.oauth_client(ORG, &[Scope::Scim]).await;
    instances.set(Settings { rate: 1, burst: 1, ..Settings::default() }).await;
    let form = |secret: &str| {
        let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        Request { target: http::TOKEN_PATH.to_owned(), body: body.into(), ..Request::new(Method::POST, "") }
            .header("content-type", "application/x-www-form-urlencoded")
    };
    for _ in 0..20 {
        assert_eq!(form("wrong").send_as_is(&instances.services[0]).await.status, 401);
    }
    assert_eq!(form(secret.reveal()).send_as_is(&instances.services[0]).await.status, 200);
    instances.send_at(10, 1, &match_user()).await;
    let answer = form(secret.reveal()).send_as_is(&instances.services[0]).await;
    assert_eq!((answer.status, &answer.body["error"]), (429, &"temporarily_unavailable".into()));
    assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn unknown_key_takes_no_token_of_its_organisation() {
    let instances = Instances::new(1).await;
    let unknown = Credential::generate(Kind::Key, &ORG.parse().unwrap(), &Entropy::seeded(99)).unwrap();
    let flood = instances.send_at(1_000, 1, &match_user().bearer(unknown.reveal())).await;
    assert_eq!(statuses(&flood), [(401, 1_000)].into());
    assert_eq!(instances.take_updates(), 0);
    let burst = instances.send_at(1_000, 1, &match_user()).await;
    assert!(statuses(&burst)[&200] >= 200);
}

#[tokio::test(start_paused = true)]
async fn changed_limit_applies_to_the_next_requests() {
    let instances = Instances::new(2).await;
    instances.send_at(500, 2, &match_user()).await;
    instances.set(Settings { rate: 1_000, burst: 1_000, ..Settings::default() }).await;
    // The item has the time at which the bucket is full at the old rate, which is 4 seconds after it was empty.
    sleep(Duration::from_secs(5)).await;
    assert_eq!(statuses(&instances.send_at(500, 2, &match_user()).await), [(200, 1_000)].into());
    instances.set(Settings { rate: 10, burst: 10, ..Settings::default() }).await;
    let samples = instances.send_at(100, 5, &match_user()).await;
    let admitted = statuses(&samples)[&200];
    assert!((40..=10 + 5 * 10 + 2 * 4).contains(&admitted), "{admitted}");
}
