//! The entry of each action, as a whole.

use axum::http::{Method, header::CONTENT_TYPE};
use expect_test::expect;
use scim::schema::ENTERPRISE_USER_URN;
use serde_json::json;
use service::auth::Scope;
use tests::{Request, encode};

use super::World;

#[tokio::test(start_paused = true)]
async fn entry_of_each_change_of_a_user_is_whole() {
    let world = World::new().await;
    let service = &world.service;
    let id = service.user("ada@example.com").await;
    let path = format!("/Users/{id}");
    let department = format!("{ENTERPRISE_USER_URN}:department");
    for operation in [
        json!({ "op": "replace", "path": "title", "value": "Countess" }),
        json!({ "op": "replace", "value": { "name.familyName": "King", "urn:example:User": { "badge": "b" } } }),
        json!({ "op": "add", "path": department, "value": "Analysis" }),
        json!({ "op": "Replace", "path": "active", "value": "False" }),
        json!({ "op": "replace", "path": "active", "value": true }),
        json!({ "op": "replace", "path": "active", "value": true }),
        json!({ "op": "replace", "path": "userName", "value": "ada.king@example.com" }),
    ] {
        world.advance(1);
        let answer = service.patch(&path, json!([operation])).await;
        assert_eq!(answer.status, 200, "{:#}", answer.body);
    }
    world.advance(1);
    service.put(&path, json!({ "userName": "ada.king@example.com", "active": false })).await;
    world.advance(1);
    service.get(&path).await;
    world.advance(1);
    service.delete(&path).await;
    expect![[r#"
        {"at":"{now}","client":"other","credential":"dff96dbd859ab374","action":"user-created","status":201,"subject":{"kind":"User","id":"{1}","name":"ada@example.com"},"millis":0}
        {"at":"2026-11-23T09:00:01.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-changed","status":200,"subject":{"kind":"User","id":"{1}","name":"ada@example.com"},"changed":["title"],"millis":0}
        {"at":"2026-11-23T09:00:02.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-changed","status":200,"subject":{"kind":"User","id":"{1}","name":"ada@example.com"},"changed":["name.familyName","urn:example:User:badge"],"millis":0}
        {"at":"2026-11-23T09:00:03.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-changed","status":200,"subject":{"kind":"User","id":"{1}","name":"ada@example.com"},"changed":["department"],"millis":0}
        {"at":"2026-11-23T09:00:04.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-deactivated","status":200,"subject":{"kind":"User","id":"{1}","name":"ada@example.com"},"changed":["active"],"millis":0}
        {"at":"2026-11-23T09:00:05.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-reactivated","status":200,"subject":{"kind":"User","id":"{1}","name":"ada@example.com"},"changed":["active"],"millis":0}
        {"at":"2026-11-23T09:00:06.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-changed","status":200,"subject":{"kind":"User","id":"{1}","name":"ada@example.com"},"millis":0}
        {"at":"2026-11-23T09:00:07.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-changed","status":200,"subject":{"kind":"User","id":"{1}","name":"ada.king@example.com"},"changed":["userName"],"millis":0}
        {"at":"2026-11-23T09:00:08.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-deactivated","status":200,"subject":{"kind":"User","id":"{1}","name":"ada.king@example.com"},"changed":["active","name.familyName","title","department","urn:example:User:badge"],"millis":0}
        {"at":"2026-11-23T09:00:09.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-read","status":200,"subject":{"kind":"User","id":"{1}","name":"ada.king@example.com"},"millis":0}
        {"at":"2026-11-23T09:00:10.123Z","client":"other","credential":"dff96dbd859ab374","action":"user-deleted","status":204,"subject":{"kind":"User","id":"{1}","name":"ada.king@example.com"},"millis":0}
    "#]].assert_eq(&world.text(20).await);
}

#[tokio::test(start_paused = true)]
async fn entry_of_each_change_of_a_group_is_whole() {
    let world = World::new().await;
    let service = &world.service;
    let (ada, bob) = (service.user("ada@example.com").await, service.user("bob@example.com").await);
    world.advance(1);
    let group = service.group("Sales", &[&ada]).await;
    let path = format!("/Groups/{group}");
    let add = |id: &str| json!({ "op": "add", "path": "members", "value": [{ "value": id }] });
    let remove = |id: &str| json!({ "op": "remove", "path": format!("members[value eq \"{id}\"]") });
    let rename = |name: &str| json!({ "op": "replace", "path": "displayName", "value": name });
    let replace = |id: &str| json!({ "op": "replace", "path": "members", "value": [{ "value": id }] });
    for operations in [
        json!([rename("Sales EMEA")]),
        json!([add(&bob)]),
        json!([remove(&ada)]),
        json!([add(&ada), remove(&bob)]),
        // The name stays, so only members change.
        json!([rename("Sales EMEA"), add(&bob)]),
        json!([rename("Sales"), add(&bob)]),
        json!([replace(&ada)]),
    ] {
        world.advance(1);
        assert!(service.patch(&path, operations).await.status < 300);
    }
    world.advance(1);
    service.put(&path, json!({ "displayName": "Sales", "members": [{ "value": bob }] })).await;
    world.advance(1);
    service.get(&path).await;
    world.advance(1);
    service.delete(&path).await;
    expect![[r#"
        {"at":"2026-11-23T09:00:01.123Z","client":"other","credential":"dff96dbd859ab374","action":"group-created","status":201,"subject":{"kind":"Group","id":"01a207a2-36e3-7c43-807d-c177b6f783f9","name":"Sales"},"added":{"ids":["{1}"],"count":1},"millis":0}
        {"at":"2026-11-23T09:00:02.123Z","client":"other","credential":"dff96dbd859ab374","action":"group-changed","status":204,"subject":{"kind":"Group","id":"01a207a2-36e3-7c43-807d-c177b6f783f9","name":"Sales EMEA"},"changed":["displayName"],"millis":0}
        {"at":"2026-11-23T09:00:03.123Z","client":"other","credential":"dff96dbd859ab374","action":"members-added","status":204,"subject":{"kind":"Group","id":"01a207a2-36e3-7c43-807d-c177b6f783f9"},"added":{"ids":["{2}"],"count":1},"millis":0}
        {"at":"2026-11-23T09:00:04.123Z","client":"other","credential":"dff96dbd859ab374","action":"members-removed","status":204,"subject":{"kind":"Group","id":"01a207a2-36e3-7c43-807d-c177b6f783f9"},"removed":{"ids":["{1}"],"count":1},"millis":0}
        {"at":"2026-11-23T09:00:05.123Z","client":"other","credential":"dff96dbd859ab374","action":"group-changed","status":204,"subject":{"kind":"Group","id":"01a207a2-36e3-7c43-807d-c177b6f783f9"},"added":{"ids":["{1}"],"count":1},"removed":{"ids":["{2}"],"count":1},"millis":0}
        {"at":"2026-11-23T09:00:06.123Z","client":"other","credential":"dff96dbd859ab374","action":"members-added","status":204,"subject":{"kind":"Group","id":"01a207a2-36e3-7c43-807d-c177b6f783f9","name":"Sales EMEA"},"added":{"ids":["{2}"],"count":1},"millis":0}
        {"at":"2026-11-23T09:00:07.123Z","client":"other","credential":"dff96dbd859ab374","action":"group-changed","status":204,"subject":{"kind":"Group","id":"01a207a2-36e3-7c43-807d-c177b6f783f9","name":"Sales"},"changed":["displayName"],"millis":0}
        {"at":"2026-11-23T09:00:08.123Z","client":"other","credential":"dff96dbd859ab374","action":"members-removed","status":204,"subject":{"kind":"Group","id":"01a207a2-36e3-7c43-807d-c177b6f783f9","name":"Sales"},"removed":{"ids":["{2}"],"count":1},"millis":0}
        {"at":"2026-11-23T09:00:09.123Z","client":"other","credential":"dff96dbd859ab374","action":"group-changed","status":200,"subject":{"kind":"Group","id":"01a207a2-36e3-7c43-807d-c177b6f783f9","name":"Sales"},"added":{"ids":["{2}"],"count":1},"removed":{"ids":["{1}"],"count":1},"millis":0}
        {"at":"2026-11-23T09:00:10.123Z","client":"other","credential":"dff96dbd859ab374","action":"group-read","status":200,"subject":{"kind":"Group","id":"01a207a2-36e3-7c43-807d-c177b6f783f9","name":"Sales"},"millis":0}
        {"at":"2026-11-23T09:00:11.123Z","client":"other","credential":"dff96dbd859ab374","action":"group-deleted","status":204,"subject":{"kind":"Group","id":"01a207a2-36e3-7c43-807d-c177b6f783f9","name":"Sales"},"millis":0}
    "#]].assert_eq(&world.text(11).await);
}

#[tokio::test(start_paused = true)]
async fn entry_of_each_read_is_whole() {
    let world = World::new().await;
    let service = &world.service;
    service.user("ada@example.com").await;
    service.group("Sales", &[]).await;
    for (agent, request) in [
        ("Azure AD", Request::get("/Users").filter("userName eq \"nobody-1@example.com\"")),
        ("Okta SCIM Client 1.0.0", Request::get("/Users").filter("userName eq \"Ada@example.com\"")),
        ("curl", Request::get("/Users")),
        ("curl", Request::get("/Groups").filter("displayName eq \"Sales\"")),
        ("curl", Request::get("/Groups").filter("externalId eq \"e-1\"")),
        ("curl", Request::post("/.search", json!({ "count": 1 }))),
        ("curl", Request::get("/Schemas")),
        ("curl", Request::get("/Me")),
    ] {
        world.advance(1);
        request.header("user-agent", agent).send(service).await;
    }
    expect![[r#"
        {"at":"2026-11-23T09:00:01.123Z","client":"entra","credential":"dff96dbd859ab374","action":"users-searched","status":200,"subject":{"kind":"User","name":"nobody-1@example.com"},"millis":0}
        {"at":"2026-11-23T09:00:02.123Z","client":"okta","credential":"dff96dbd859ab374","action":"users-searched","status":200,"subject":{"kind":"User","id":"{1}","name":"Ada@example.com"},"millis":0}
        {"at":"2026-11-23T09:00:03.123Z","client":"other","credential":"dff96dbd859ab374","action":"users-searched","status":200,"millis":0}
        {"at":"2026-11-23T09:00:04.123Z","client":"other","credential":"dff96dbd859ab374","action":"groups-searched","status":200,"subject":{"kind":"Group","id":"{2}","name":"Sales"},"millis":0}
        {"at":"2026-11-23T09:00:05.123Z","client":"other","credential":"dff96dbd859ab374","action":"groups-searched","status":200,"millis":0}
        {"at":"2026-11-23T09:00:06.123Z","client":"other","credential":"dff96dbd859ab374","action":"users-searched","status":200,"millis":0}
        {"at":"2026-11-23T09:00:07.123Z","client":"other","credential":"dff96dbd859ab374","action":"discovery-read","status":200,"millis":0}
        {"at":"2026-11-23T09:00:08.123Z","client":"other","credential":"dff96dbd859ab374","action":"other","status":501,"detail":"/Me is not supported: API keys do not belong to a user. Users are at /Users.","millis":0}
    "#]].assert_eq(&world.text(8).await);
}

#[tokio::test(start_paused = true)]
async fn bulk_request_has_an_entry_for_each_operation() {
    let world = World::new().await;
    let service = &world.service;
    let operation = |method: &str, path: &str, id: &str, data: serde_json::Value| json!({ "method": method, "path": path, "bulkId": id, "data": data });
    let answer = service
        .post(
            "/Bulk",
            json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
                "Operations": [
                    operation("POST", "/Users", "1", json!({ "userName": "ada@example.com" })),
                    operation("POST", "/Groups", "2", json!({ "displayName": "Sales", "members": [{ "value": "bulkId:1" }] })),
                    operation("POST", "/Users", "3", json!({ "userName": "" })),
                    operation("POST", "/Groups", "4", json!({ "displayName": "X", "members": [{ "value": "bulkId:9" }] })),
                ],
            }),
        )
        .await;
    assert_eq!(answer.status, 200, "{:#}", answer.body);
    let text = world.text(10).await;
    let mut lines: Vec<&str> = text.lines().collect();
    // The ids of one millisecond have no order.
    lines.sort_unstable();
    expect![[r#"
        {"at":"{now}","client":"other","credential":"dff96dbd859ab374","action":"bulk","status":200,"millis":0}
        {"at":"{now}","client":"other","credential":"dff96dbd859ab374","action":"group-created","status":201,"subject":{"kind":"Group","id":"{1}","name":"Sales"},"added":{"ids":["{2}"],"count":1},"millis":0}
        {"at":"{now}","client":"other","credential":"dff96dbd859ab374","action":"group-created","status":400,"scim_type":"invalidValue","detail":"The operation refers to a 'bulkId' that no operation of this request has, or whose operation failed.","millis":0}
        {"at":"{now}","client":"other","credential":"dff96dbd859ab374","action":"user-created","status":201,"subject":{"kind":"User","id":"{2}","name":"ada@example.com"},"millis":0}
        {"at":"{now}","client":"other","credential":"dff96dbd859ab374","action":"user-created","status":400,"scim_type":"invalidValue","detail":"Attribute 'userName' is required. Send a value that is not blank.","millis":0}
    "#]].assert_eq(&(lines.join("\n") + "\n"));
    let organisation = service.own_organisation().await;
    let hours = service.app.store.request_hours(&organisation, "").await.unwrap();
    assert_eq!(hours.iter().map(|hour| (hour.requests, hour.errors)).collect::<Vec<_>>(), [(1, 0)]);
}

#[tokio::test(start_paused = true)]
async fn token_request_is_recorded_for_a_known_client() {
    let world = World::new().await;
    let service = &world.service;
    let (client, secret) = service.oauth_client("acme", &[Scope::Read]).await;
    for (secret, scope) in [("wrong", ""), (secret.reveal(), ""), (secret.reveal(), "&scope=scim")] {
        world.advance(1);
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}{scope}",
            encode(&client),
            encode(secret)
        );
        let mut request =
            Request::new(Method::POST, "").header(CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded");
        request.target = "/oauth2/token".to_owned();
        request.body = form.into();
        request.send_as_is(service).await;
    }
    let text = world.text(10).await.replace(&client, "{client}");
    expect![[r#"
        {"at":"2026-11-23T09:00:01.123Z","client":"other","credential":"{client}","action":"token-issued","status":401,"detail":"The client is unknown, or the client_secret is wrong. Check both, and that they belong to this region.","millis":0}
        {"at":"2026-11-23T09:00:02.123Z","client":"other","credential":"{client}","action":"token-issued","status":200,"millis":0}
        {"at":"2026-11-23T09:00:03.123Z","client":"other","credential":"{client}","action":"token-issued","status":400,"detail":"The client may request the scopes 'read'.","millis":0}
    "#]].assert_eq(&text);
}
