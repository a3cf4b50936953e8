//! The entries of requests that fail, and requests that leave none.

use axum::http::Method;
use expect_test::expect;
use serde_json::json;
use service::{auth::Scope, credential::Credential};
use tests::{Request, Service, enable_org, operator};

use super::{World, org};

#[tokio::test(start_paused = true)]
async fn entry_of_a_failure_names_what_was_tried() {
    let world = World::new().await;
    let service = &world.service;
    let ada = service.user("ada@example.com").await;
    let bob = service.user("bob@example.com").await;
    let group = service.group("Sales", &[]).await;
    let gone = "01938000-0000-7000-8000-00000000000c";
    let add = |id: &str| json!([{ "op": "add", "path": "members", "value": [{ "value": id }] }]);
    let rename = |value: &str| json!([{ "op": "replace", "path": "userName", "value": value }]);
    let requests = [
        Request::post("/Users", json!({ "userName": "ada@example.com" })),
        Request::post("/Users", json!({ "userName": 1 })),
        Request::post("/Users", json!({ "USERNAME": "carl@example.com", "emails": "x" })),
        Request::bytes(Method::POST, "/Users", "{"),
        Request::patch(format!("/Users/{bob}"), rename("ada@example.com")),
        Request::patch(format!("/Users/{gone}"), rename("x")),
        Request::get(format!("/Users/{gone}")),
        Request::get("/Users/ada@example.com"),
        Request::delete(format!("/Users/{gone}")),
        Request::patch(format!("/Groups/{group}"), add(gone)),
        Request::patch(format!("/Groups/{gone}"), add(&ada)),
        Request::post("/Groups", json!({ "displayName": "Sales" })),
        Request::get("/Users").filter("userName eq"),
        Request::delete(format!("/Users/{ada}")).if_match("W/\"other\""),
    ];
    let count = requests.len();
    for request in requests {
        world.advance(1);
        assert!(request.send(service).await.status >= 400);
    }
    expect![[r#"
        {"at":"2026-11-23T09:00:01.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-created","status":409,"scim_type":"uniqueness","detail":"Another User already has this userName. Use another value.","subject":{"kind":"User","name":"ada@example.com"},"millis":0}
        {"at":"2026-11-23T09:00:02.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-created","status":400,"scim_type":"invalidValue","detail":"Attribute 'userName' must be a string, not a number.","millis":0}
        {"at":"2026-11-23T09:00:03.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-created","status":400,"scim_type":"invalidValue","detail":"Attribute 'emails' must be a list, not a string.","subject":{"kind":"User","name":"carl@example.com"},"millis":0}
        {"at":"2026-11-23T09:00:04.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-created","status":400,"scim_type":"invalidSyntax","detail":"The request body is not valid JSON: EOF while parsing an object at line 1 column 1.","millis":0}
        {"at":"2026-11-23T09:00:05.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-changed","status":409,"scim_type":"uniqueness","detail":"Another User already has this userName. Use another value.","subject":{"kind":"User","id":"{1}","name":"bob@example.com"},"changed":["userName"],"millis":0}
        {"at":"2026-11-23T09:00:06.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-changed","status":404,"detail":"There is no User with this id. Search for it with a filter, or create it.","subject":{"kind":"User","id":"01938000-0000-7000-8000-00000000000c"},"millis":0}
        {"at":"2026-11-23T09:00:07.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-read","status":404,"detail":"There is no User with this id. Search for it with a filter, or create it.","subject":{"kind":"User","id":"01938000-0000-7000-8000-00000000000c"},"millis":0}
        {"at":"2026-11-23T09:00:08.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-read","status":404,"detail":"There is no User with this id. Search for it with a filter, or create it.","millis":0}
        {"at":"2026-11-23T09:00:09.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-deleted","status":404,"detail":"There is no User with this id. Search for it with a filter, or create it.","subject":{"kind":"User","id":"01938000-0000-7000-8000-00000000000c"},"millis":0}
        {"at":"2026-11-23T09:00:10.123Z","client":"other","credential":"dff96dbd859ab374","action":"members-added","status":400,"scim_type":"invalidValue","detail":"There is no user or group with the id 01938000-0000-7000-8000-00000000000c, so it cannot be added to 'members'. Assign it to the application first. Nothing was changed.","subject":{"kind":"Group","id":"{2}"},"added":{"ids":["01938000-0000-7000-8000-00000000000c"],"count":1},"millis":0}
        {"at":"2026-11-23T09:00:11.123Z","client":"other","credential":"dff96dbd859ab374","action":"members-added","status":404,"detail":"There is no Group with this id. Search for it with a filter, or create it.","subject":{"kind":"Group","id":"01938000-0000-7000-8000-00000000000c"},"added":{"ids":["{3}"],"count":1},"millis":0}
        {"at":"2026-11-23T09:00:12.123Z","client":"other","credential":"dff96dbd859ab374","action":"group-created","status":409,"scim_type":"uniqueness","detail":"Another Group already has this displayName. Use another value.","subject":{"kind":"Group","name":"Sales"},"millis":0}
        {"at":"2026-11-23T09:00:13.123Z","client":"other","credential":"dff96dbd859ab374","action":"users-searched","status":400,"scim_type":"invalidFilter","detail":"The filter ends too early at position 12. Expected a value (a number, true, false, null, or a text in double quotes).","millis":0}
        {"at":"2026-11-23T09:00:14.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-deleted","status":412,"detail":"The resource has changed since the version in If-Match. Read the resource again and repeat the request.","subject":{"kind":"User","id":"{3}"},"millis":0}
    "#]].assert_eq(&world.text(count).await);
}

#[tokio::test(start_paused = true)]
async fn refusal_of_a_known_key_is_recorded() {
    let world = World::new().await;
    let service = &world.service;
    let read = service.organisation("acme", &[Scope::Read]).await;
    let revoked = service.organisation("acme", &[Scope::Scim]).await;
    let post = |key: &str| Request::post("/Users", json!({ "userName": "ada@example.com" })).bearer(key);
    assert_eq!(post(&read).send_as_is(service).await.status, 403);
    world.advance(1);
    let id = key_id(service, &revoked).await;
    service.app.store.revoke_key(&org(), &id, &operator()).await.expect("a revocation");
    assert_eq!(post(&revoked).send_as_is(service).await.status, 401);
    world.advance(1);
    enable_org(&service.app.store, &org(), false).await.expect("an organisation");
    assert_eq!(post(&service.key).send_as_is(service).await.status, 403);
    expect![[r#"
        {"at":"{now}","client":"other","credential":"d7185eb26299e634","action":"user-created","status":403,"detail":"The key does not have the scope 'write'. Use a key with the scope 'write' or 'scim'.","millis":0}
        {"at":"2026-11-23T09:00:01.123Z","client":"other","credential":"67e837352626d1fb","action":"user-created","status":401,"detail":"The API key is not valid. Check that the whole key was pasted and belongs to this region, or create a new key.","millis":0}
        {"at":"2026-11-23T09:00:02.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-created","status":403,"detail":"SCIM is disabled for the organisation acme.","millis":0}
    "#]].assert_eq(&world.text(3).await);
}

async fn key_id(service: &Service, key: &str) -> String {
    let end = key[key.len() - 4..].to_owned();
    let keys = service.app.store.keys(&org()).await.expect("keys");
    keys.into_iter().find(|record| record.last_four.as_ref() == Some(&end)).expect("the key").id
}

/// Anyone can make a text that names an organisation.
#[tokio::test(start_paused = true)]
async fn unproven_key_leaves_no_entry() {
    let world = World::new().await;
    let service = &world.service;
    let other = World::new().await;
    let foreign =
        Credential::parse(&other.service.organisation("acme", &[Scope::Scim]).await).expect("a key");
    let unknown = format!("{}x", &service.key[..service.key.len() - 1]);
    let get = || Request::get("/Users");
    for request in [
        get(),
        get().bearer("x"),
        get().bearer(&unknown),
        get().bearer(foreign.reveal()),
        get().header("authorization", "Negotiate x"),
        Request::get("/nothing"),
        Request::get("/nothing").bearer(&unknown),
        Request::delete("/Users").bearer(&unknown),
    ] {
        assert!(request.send_as_is(service).await.status >= 400, "{request:?}");
    }
    assert_eq!(world.entries().await, []);
    assert_eq!(world.items().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn unserved_request_with_a_valid_key_is_recorded() {
    let world = World::new().await;
    let service = &world.service;
    let purge = Method::from_bytes(b"PURGE").expect("a method");
    let requests = [
        Request::get("/nothing"),
        Request::get("/"),
        Request::get("/ada@example.com"),
        Request::post("/Users/ada@example.com/x", json!({})),
        Request::delete("/Users"),
        Request::new(purge, "/Groups"),
    ];
    for request in &requests {
        world.advance(1);
        let recorded = request.clone().bearer(&service.key).send_as_is(service).await;
        assert!(matches!(recorded.status, 404 | 405), "{request:?}");
        // An unknown key, or no key, gets the same answer and leaves no entry.
        for other in [request.clone(), request.clone().bearer("x")] {
            let answer = other.send_as_is(service).await;
            assert_eq!((answer.status, answer.body), (recorded.status, recorded.body.clone()));
        }
    }
    expect![[r#"
        {"at":"2026-11-23T09:00:01.123Z","client":"other","credential":"dff96dbd859ab374","action":"other","status":404,"detail":"This endpoint does not exist. The base URL ends in /scim/v2, and the endpoints are /Users, /Groups, /ServiceProviderConfig, /ResourceTypes and /Schemas.","endpoint":"GET unknown path","millis":0}
        {"at":"2026-11-23T09:00:02.123Z","client":"other","credential":"dff96dbd859ab374","action":"other","status":404,"detail":"This is the base URL of a SCIM 2.0 service. The resources are at /Users and /Groups.","endpoint":"GET /","millis":0}
        {"at":"2026-11-23T09:00:03.123Z","client":"other","credential":"dff96dbd859ab374","action":"other","status":404,"detail":"This endpoint does not exist. The base URL ends in /scim/v2, and the endpoints are /Users, /Groups, /ServiceProviderConfig, /ResourceTypes and /Schemas.","endpoint":"GET unknown path","millis":0}
        {"at":"2026-11-23T09:00:04.123Z","client":"other","credential":"dff96dbd859ab374","action":"other","status":404,"detail":"This endpoint does not exist. The base URL ends in /scim/v2, and the endpoints are /Users, /Groups, /ServiceProviderConfig, /ResourceTypes and /Schemas.","endpoint":"POST /Users","millis":0}
        {"at":"2026-11-23T09:00:05.123Z","client":"other","credential":"dff96dbd859ab374","action":"other","status":405,"detail":"This endpoint does not support DELETE. The header Allow has the supported methods.","endpoint":"DELETE /Users","millis":0}
        {"at":"2026-11-23T09:00:06.123Z","client":"other","credential":"dff96dbd859ab374","action":"other","status":405,"detail":"This endpoint does not support this method. The header Allow has the supported methods.","endpoint":"unknown method /Groups","millis":0}
    "#]].assert_eq(&world.text(100).await);
}

#[tokio::test(start_paused = true)]
async fn unserved_request_with_a_refused_key_is_recorded() {
    let world = World::new().await;
    let service = &world.service;
    let revoked = service.organisation("acme", &[Scope::Scim]).await;
    let id = key_id(service, &revoked).await;
    service.app.store.revoke_key(&org(), &id, &operator()).await.expect("a revocation");
    for request in [Request::get("/nothing"), Request::delete("/Users")] {
        let expected = request.clone().send_as_is(service).await;
        let answer = request.bearer(&revoked).send_as_is(service).await;
        assert_eq!((answer.status, answer.body), (expected.status, expected.body));
    }
    let entries = world.entries().await;
    let found: Vec<_> =
        entries.iter().map(|entry| (entry.credential.as_str(), entry.endpoint.as_deref())).collect();
    assert_eq!(found, [(id.as_str(), Some("GET unknown path")), (&id, Some("DELETE /Users"))]);
    let organisation = service.own_organisation().await;
    let hours = service.app.store.request_hours(&organisation, "").await.expect("hours");
    assert_eq!((hours[0].requests, hours[0].errors), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn service_without_the_log_writes_nothing() {
    let world = World::new().await;
    let mut service = world.service;
    service.app.store = service.app.store.with_request_log(false);
    let router = service.router(service.app.clone());
    let service = service.with_router(router);
    service.user("ada@example.com").await;
    service.app.store.flush_request_log().await;
    let organisation = service.own_organisation().await;
    let page = service
        .app
        .store
        .request_log(&organisation, &service::request_log::Filter::default(), 10, None)
        .await;
    assert_eq!(page.expect("a page").items, []);
}

/// A forgotten client with an old key must not fill the log.
#[tokio::test(start_paused = true)]
async fn refusals_beyond_sixty_a_minute_are_counted_only() {
    let world = World::new().await;
    let service = &world.service;
    let revoked = service.organisation("acme", &[Scope::Scim]).await;
    let id = key_id(service, &revoked).await;
    service.app.store.revoke_key(&org(), &id, &operator()).await.expect("a revocation");
    let refused = async |times: usize| {
        for _ in 0..times {
            let request = Request::get("/Users").bearer(&revoked);
            assert_eq!(request.send_as_is(service).await.status, 401);
        }
    };
    refused(70).await;
    assert_eq!(world.entries().await.len(), 60);
    world.advance(60);
    refused(1).await;
    assert_eq!(world.entries().await.len(), 61);
    let organisation = service.own_organisation().await;
    let hours = service.app.store.request_hours(&organisation, "").await.expect("hours");
    assert_eq!((hours[0].requests, hours[0].errors), (71, 71));
}
