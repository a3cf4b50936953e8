//! Versions and conditional requests.

use serde_json::{Value, json};
use tests::{Request, Service};

use super::{UNKNOWN_ID, contents, full_user};

#[tokio::test]
async fn version_changes_only_when_the_resource_changes() {
    let service = Service::new().await;
    let ada = service.post("/Users", full_user()).await.id();
    let bob = service.user("bob").await;
    let group = service.group("Engineers", &[&ada]).await;
    let (user, group) = (format!("/Users/{ada}"), format!("/Groups/{group}"));
    let mut body = full_user();
    let change = |body: &mut Value| body["title"] = json!("Countess");
    change(&mut body);
    let group_body = |members: Value| json!({ "displayName": "Engineers", "members": members });
    let member = |op: &str, id: &str| json!([{ "op": op, "path": "members", "value": [{ "value": id }] }]);
    for (changes, request) in [
        (false, Request::put(&user, full_user())),
        (false, Request::patch(&user, json!([{ "op": "add", "value": {} }]))),
        (false, Request::patch(&user, json!([{ "op": "replace", "path": "title", "value": "Analyst" }]))),
        (
            false,
            Request::patch(
                &user,
                json!([{ "op": "add", "path": "emails", "value": [{ "value": "ada@example.com-2", "type": "home" }] }]),
            ),
        ),
        (false, Request::patch(&user, json!([{ "op": "remove", "path": "emails[type eq \"other\"]" }]))),
        (false, Request::patch(&user, json!([{ "op": "replace", "path": "password", "value": "x" }]))),
        (
            false,
            Request::patch(
                &user,
                json!([{ "op": "add", "path": "title", "value": "x" }, { "op": "add", "path": "title", "value": "Analyst" }]),
            ),
        ),
        (true, Request::put(&user, &body)),
        (
            true,
            Request::patch(
                &user,
                json!([{ "op": "replace", "path": "userName", "value": "ADA@example.com" }]),
            ),
        ),
        (true, Request::patch(&user, json!([{ "op": "remove", "path": "title" }]))),
        (false, Request::patch(&user, json!([{ "op": "remove", "path": "title" }]))),
        (false, Request::put(&group, group_body(json!([{ "value": ada }])))),
        (false, Request::patch(&group, member("add", &ada))),
        (false, Request::patch(&group, member("remove", &bob))),
        (false, Request::patch(&group, member("remove", UNKNOWN_ID))),
        (false, Request::patch(&group, member("replace", &ada))),
        (
            false,
            Request::patch(&group, json!([{ "op": "replace", "path": "displayName", "value": "Engineers" }])),
        ),
        (false, Request::patch(&group, json!([{ "op": "remove", "path": "members[type eq \"Group\"]" }]))),
        (true, Request::patch(&group, member("add", &bob))),
        (true, Request::patch(&group, member("remove", &bob))),
        (true, Request::put(&group, group_body(json!([])))),
        (false, Request::put(&group, group_body(json!(null)))),
        (
            true,
            Request::patch(&group, json!([{ "op": "replace", "path": "displayName", "value": "ENGINEERS" }])),
        ),
    ] {
        let path = if request.target.contains("/Users") { &user } else { &group };
        let line = format!("{} {}", request.method, String::from_utf8_lossy(&request.body));
        let before = service.get(path).await.header("etag").to_owned();
        let answer = request.send(&service).await;
        assert!(answer.status < 300, "{line}: {:#}", answer.body);
        let after = service.get(path).await.header("etag").to_owned();
        assert!(after.starts_with("W/\"") && after.len() > 6, "{after}");
        assert_eq!(before != after, changes, "{line}");
        if answer.headers.contains_key("etag") {
            assert_eq!(answer.header("etag"), after, "{line}");
        }
    }
}

#[tokio::test]
async fn matching_if_none_match_is_304() {
    let service = Service::new().await;
    let ada = service.user("ada").await;
    let group = service.group("Engineers", &[&ada]).await;
    for path in [format!("/Users/{ada}"), format!("/Groups/{group}")] {
        let etag = service.get(&path).await.header("etag").to_owned();
        let again = Request::get(&path).header("if-none-match", &etag).send(&service).await;
        assert_eq!((again.status, again.header("etag"), &again.body), (304, etag.as_str(), &Value::Null));
        let other = Request::get(&path).header("if-none-match", "W/\"x\"").send(&service).await;
        assert_eq!((other.status, other.header("etag")), (200, etag.as_str()));
        service.patch(&path, json!([{ "op": "add", "path": "externalId", "value": "x" }])).await;
        let changed = Request::get(&path).header("if-none-match", &etag).send(&service).await;
        assert_eq!(changed.status, 200, "the resource has changed");
    }
}

/// The version of a user covers the `groups` attribute.
#[tokio::test]
async fn membership_change_invalidates_the_user_version() {
    let service = Service::new().await;
    let ada = service.user("ada").await;
    let before = service.get(&format!("/Users/{ada}")).await;
    service.group("Engineers", &[&ada]).await;
    let request = Request::get(format!("/Users/{ada}")).header("if-none-match", before.header("etag"));
    let after = request.send(&service).await;
    assert_eq!(after.status, 200, "`groups` has changed");
}

#[tokio::test]
async fn if_match_change_is_applied_once() {
    let service = Service::new().await;
    let ada = service.user("ada").await;
    let bob = service.user("bob").await;
    let group = service.group("Engineers", &[&ada]).await;
    let title = json!([{ "op": "replace", "value": { "externalId": "2" } }]);
    let member = json!([{ "op": "add", "path": "members", "value": [{ "value": bob }] }]);
    for (path, first) in [(format!("/Users/{ada}"), &title), (format!("/Groups/{group}"), &member)] {
        let etag = service.get(&path).await.header("etag").to_owned();
        let bound = |request: Request| request.header("if-match", &etag);
        let answer = bound(Request::patch(&path, first)).send(&service).await;
        assert!(answer.status < 300, "{:#}", answer.body);
        let before = contents(&service, &service.org, &service.key).await;
        for request in [
            bound(Request::patch(&path, first)),
            bound(Request::patch(&path, json!([{ "op": "remove", "path": "externalId" }]))),
            bound(Request::put(&path, json!({ "userName": "x", "displayName": "x" }))),
            bound(Request::delete(&path)),
        ] {
            let line = format!("{} {path}", request.method);
            let answer = request.send(&service).await;
            assert_eq!(answer.status, 412, "{line}");
        }
        assert_eq!(contents(&service, &service.org, &service.key).await, before);
        let current = service.get(&path).await.header("etag").to_owned();
        assert_ne!(current, etag);
        let deleted = Request::delete(&path).header("if-match", &current).send(&service).await;
        assert_eq!(deleted.status, 204);
    }
    service.assert_healthy().await;
}
