//! Pages and filters of the log, the hours, and the end of entries.

use std::collections::BTreeSet;

use serde_json::json;
use service::{
    health::{self, State},
    request_log::{Filter, Outcome, RETENTION},
    store::Deletion,
};
use tests::{NOW, ORG, Request, enable_org, operator};
use tokio::time::{Duration, Instant};

use super::{World, org};

/// Makes a log of 40 entries about several resources, by several clients.
async fn logged() -> (World, String, String) {
    let world = World::new().await;
    let service = &world.service;
    let ada = service.user("ada@example.com").await;
    let group = service.group("Sales", &[]).await;
    let add = json!([{ "op": "add", "path": "members", "value": [{ "value": ada }] }]);
    for turn in 0..38 {
        world.advance(60);
        let request = match turn % 5 {
            0 => Request::get(format!("/Users/{ada}")).header("user-agent", "okta"),
            1 => Request::patch(format!("/Groups/{group}"), add.clone()),
            2 => Request::post("/Users", json!({ "userName": "ada@example.com" })),
            3 => Request::get(format!("/Groups/{group}?aadOptscim062020")),
            _ => Request::get("/Users"),
        };
        request.send(service).await;
    }
    (world, ada, group)
}

#[tokio::test(start_paused = true)]
async fn walk_returns_each_selected_entry_once() {
    let (world, ada, group) = logged().await;
    let all = { world.entries().await };
    assert_eq!(all.len(), 40);
    assert!(all.is_sorted_by(|a, b| a.at <= b.at));
    let time = |index: usize| Some(all[index].at.clone());
    let store = &world.service.app.store;
    let organisation = world.service.own_organisation().await;
    for filter in [
        Filter::default(),
        Filter { person: Some(ada.clone()), ..Filter::default() },
        Filter { group: Some(group), ..Filter::default() },
        Filter { outcome: Some(Outcome::Failed), ..Filter::default() },
        Filter { outcome: Some(Outcome::Succeeded), ..Filter::default() },
        Filter { status: Some(409), ..Filter::default() },
        Filter { client: Some("entra".to_owned()), ..Filter::default() },
        Filter { from: time(10), ..Filter::default() },
        Filter { until: time(10), ..Filter::default() },
        Filter { from: time(10), until: time(20), client: Some("okta".to_owned()), ..Filter::default() },
        Filter { from: time(20), until: time(20), ..Filter::default() },
        Filter { person: Some("nobody".to_owned()), ..Filter::default() },
    ] {
        let within = |at: &String| {
            filter.from.as_ref().is_none_or(|from| at >= from)
                && filter.until.as_ref().is_none_or(|until| at < until)
        };
        let expected: Vec<_> =
            all.iter().rev().filter(|entry| filter.selects(entry) && within(&entry.at)).cloned().collect();
        for limit in [1, 3, 39, 40, 41] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page =
                    store.request_log(&organisation, &filter, limit, after.as_deref()).await.expect("a page");
                assert!(page.items.len() <= limit);
                found.extend(page.items);
                match page.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            assert_eq!(found, expected, "{filter:?} {limit}");
        }
    }
    let entry = store.request_log_entry(&organisation, &all[7].id).await.expect("an answer");
    assert_eq!(entry.as_ref(), Some(&all[7]));
    for unknown in ["x", &ada] {
        assert_eq!(store.request_log_entry(&organisation, unknown).await.expect("an answer"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn time_that_is_none_is_refused() {
    let world = World::new().await;
    let filter = Filter { from: Some("yesterday".to_owned()), ..Filter::default() };
    let organisation = world.service.own_organisation().await;
    let page = world.service.app.store.request_log(&organisation, &filter, 1, None).await;
    assert!(matches!(page, Err(service::Error::Invalid(_))), "{page:?}");
}

#[tokio::test(start_paused = true)]
async fn hours_count_requests_errors_and_people() {
    let (world, ..) = logged().await;
    world.service.app.store.flush_request_log().await;
    let organisation = world.service.own_organisation().await;
    let hours = world.service.app.store.request_hours(&organisation, "").await.expect("hours");
    let hours: Vec<_> = hours.iter().map(|h| (h.hour.as_str(), h.requests, h.errors, h.people)).collect();
    assert_eq!(hours, [("2026-11-23T09", 40, 8, Some(1))]);
    let now = NOW + time::Duration::minutes(40);
    let hours =
        world.service.app.store.request_hours(&organisation, &health::hour(now)).await.expect("hours");
    let newest = world.select(&Filter::default()).await;
    let health = health::health(&hours, &newest, now);
    assert_eq!((health.state, health.requests, health.errors), (State::Ok, 40, 8));
}

#[tokio::test(start_paused = true)]
async fn people_of_an_hour_are_active_users() {
    let world = World::new().await;
    let service = &world.service;
    let active = |active: bool| json!([{ "op": "replace", "path": "active", "value": active }]);
    let (ada, bob) = (service.user("ada").await, service.user("bob").await);
    service.user("cyd").await;
    let eve = json!({ "userName": "eve", "active": false });
    service.post("/Users", eve).await;
    let (mut people, organisation) = (Vec::new(), service.own_organisation().await);
    for request in [
        Request::get("/Users"),
        Request::patch(format!("/Users/{ada}"), active(false)),
        Request::delete(format!("/Users/{ada}")),
        Request::put(format!("/Users/{bob}"), json!({ "userName": "bob", "active": false })),
        Request::patch(format!("/Users/{bob}"), active(true)),
    ] {
        world.advance(3_600);
        request.send(service).await;
        service.app.store.flush_request_log().await;
        let hours = service.app.store.request_hours(&organisation, "").await.expect("hours");
        people.extend(hours.last().and_then(|hour| hour.people));
    }
    assert_eq!(people, [3, 2, 2, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn entries_and_hours_end_after_thirty_days() {
    let world = World::new().await;
    world.service.user("ada@example.com").await;
    assert_eq!(world.entries().await.len(), 1);
    let ends: BTreeSet<String> =
        world.items().iter().map(|item| item["expires"]["N"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ends, BTreeSet::from([(NOW + RETENTION).unix_timestamp().to_string()]));
    assert_eq!(world.items().len(), 2);
    // DynamoDB deletes expired items some days late.
    world.advance(RETENTION.whole_seconds());
    assert_eq!(world.entries().await, []);
}

#[tokio::test(start_paused = true)]
async fn deletion_of_the_organisation_deletes_its_log() {
    let (world, ..) = logged().await;
    let store = &world.service.app.store;
    world.service.organisation("globex", &[service::auth::Scope::Scim]).await;
    assert_eq!(world.entries().await.len(), 40);
    enable_org(store, &org(), false).await.expect("an answer");
    world.advance(3_600);
    loop {
        let until = Instant::now() + Duration::from_secs(1);
        match store.advance_deletion(&org(), &operator(), until).await.expect("an answer") {
            Deletion::Waiting(_) => world.advance(60),
            Deletion::Done => break,
            Deletion::NoOrg => panic!("the organisation {ORG} exists"),
        }
    }
    assert_eq!(world.items().len(), 0);
}
