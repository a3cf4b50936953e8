//! Limits on answers and on waiting: every committed write is answered, and a page ends before it is too large.

use std::collections::BTreeSet;

use axum::body::Body;
use dynoxide::Database;
use expect_test::expect;
use http_body_util::BodyExt;
use local::embedded;
use serde_json::{Value, json};
use service::{
    auth::Scope,
    limits::{ANSWER_BYTES, BULK_DETAIL_BYTES},
};
use tests::{
    ORG, Request, Service,
    counting::Counter,
    load::{import, item, member_id},
};

use super::{UNKNOWN_ID, create_users};

const EXTENSION: &str = "urn:ietf:params:scim:schemas:extension:Wide:2.0:User";

/// Returns a service with one user, in the groups with these numbers. The groups need not exist.
async fn user_in_groups(groups: usize) -> (Service, String) {
    let database = Database::memory().expect("a database in memory");
    let service = Service::on(embedded::client(database.clone())).await;
    let user = service.user("ada").await;
    join(&database, &user, groups);
    (service, format!("/Users/{user}"))
}

fn join(database: &Database, user: &str, groups: usize) {
    let edge = |number| {
        let group = member_id(number);
        item([("pk", format!("ORG#{ORG}#MEMBER")), ("sk", format!("{user}#{group}"))])
    };
    import(database, (0..groups).map(edge));
}

/// Returns the size of a body in Lambda's envelope, in which it is a JSON string.
fn enveloped(body: &Value) -> usize {
    Value::from(body.to_string()).to_string().len()
}

#[tokio::test]
async fn user_in_many_groups_is_shown_with_their_ids() {
    let (service, path) = user_in_groups(40_000).await;
    let title = |title: &str| json!([{ "op": "replace", "path": "title", "value": title }]);
    for request in [
        Request::get(&path),
        Request::put(&path, json!({ "userName": "ada", "title": "Countess" })),
        Request::patch(&path, title("Dr")),
        Request::get("/Users"),
        Request::get("/Users").filter("userName eq \"ada\""),
    ] {
        let answer = request.send(&service).await;
        assert_eq!(answer.status, 200, "{request:?}");
        assert!(enveloped(&answer.body) <= ANSWER_BYTES);
        let user = answer.body.pointer("/Resources/0").unwrap_or(&answer.body);
        assert_eq!(user["groups"].as_array().map(Vec::len), Some(40_000), "{request:?}");
        assert_eq!(user["groups"][7], json!({ "value": member_id(7) }));
    }
    assert_eq!(service.get(&path).await.body["title"], "Dr");
}

#[tokio::test]
async fn write_of_user_in_too_many_groups_is_answered() {
    let (service, path) = user_in_groups(115_001).await;
    let answer = service.get(&path).await;
    expect![[r#"
        400
        {
          "schemas": [
            "urn:ietf:params:scim:api:messages:2.0:Error"
          ],
          "status": "400",
          "scimType": "tooMany",
          "detail": "The answer would show more than 115000 groups of users. Request fewer users with 'count', or leave the groups out with excludedAttributes=groups, and read them page by page from /Groups with the filter members.value eq \"<id of the user>\"."
        }
    "#]]
    .assert_eq(&answer.snapshot());
    let title = json!([{ "op": "replace", "path": "title", "value": "Countess" }]);
    let answer = service.patch(&path, title).await;
    assert_eq!((answer.status, &answer.body["title"]), (200, &json!("Countess")));
    assert_eq!(answer.body.get("groups"), None);
    let put = service.put(&path, json!({ "userName": "ada" })).await;
    assert_eq!((put.status, put.body.get("groups")), (200, None));
    let without = service.get(&format!("{path}?excludedAttributes=groups")).await;
    assert_eq!(without.status, 200);
    assert_eq!(service.get("/Users").await.verdict(), "400 tooMany");
}

#[tokio::test]
async fn write_whose_answer_would_be_too_large_is_answered() {
    let (service, path) = user_in_groups(114_500).await;
    let user = json!({ "userName": "ada", "title": "x".repeat(290_000) });
    let put = service.put(&path, user.clone()).await;
    assert_eq!((put.status, &put.body["title"], put.body.get("groups")), (200, &user["title"], None));
    assert_eq!(service.get(&path).await.verdict(), "400 tooMany");
    assert_eq!(service.get(&format!("{path}?attributes=title")).await.body["title"], user["title"]);
}

#[tokio::test]
async fn cursor_page_with_many_groups_is_short() {
    let database = Database::memory().expect("a database in memory");
    let service = Service::on(embedded::client(database.clone())).await;
    let users = create_users(&service, 4).await;
    for user in &users {
        join(&database, user, 30_000);
    }
    assert_eq!(service.get("/Users").await.verdict(), "400 tooMany");
    for query in ["attributes=groups.value", "attributes=groups.value&sortBy=id&sortOrder=descending"] {
        let pages = walk(&service, query).await;
        assert!(pages.len() > 1, "{query}");
        let shown: Vec<&String> = pages.iter().flatten().collect();
        assert_eq!(shown.len(), users.len(), "{query}");
        assert_eq!(shown.into_iter().collect::<BTreeSet<_>>(), users.iter().collect(), "{query}");
    }
}

#[tokio::test]
async fn page_of_large_users_is_short_or_refused() {
    let service = Service::embedded().await;
    let mut users = BTreeSet::new();
    for number in 0..30 {
        let wide = json!({ "a": "x".repeat(290_000) });
        let user = json!({ "userName": format!("user-{number:02}"), EXTENSION: wide });
        users.insert(service.post("/Users", user).await.id());
    }
    for query in
        ["attributes=userName", "attributes=userName&sortBy=userName", "attributes=userName&sortBy=title"]
    {
        let refused = service.get(&format!("/Users?{query}")).await;
        assert_eq!(refused.verdict(), "400 tooMany", "{query}");
        let first = service.get(&format!("/Users?{query}&count=20")).await;
        assert_eq!((first.status, &first.body["itemsPerPage"]), (200, &json!(20)), "{query}");
        let pages = walk(&service, query).await;
        assert_eq!(pages.len(), 4, "{query}");
        assert_eq!(pages.into_iter().flatten().collect::<BTreeSet<_>>(), users, "{query}");
    }
}

/// Returns the ids on each page of all users by cursor.
async fn walk(service: &Service, query: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = service.get(&format!("/Users?{query}&cursor={cursor}&count=1000")).await;
        assert_eq!(answer.status, 200, "{:#}", answer.body);
        let resources = answer.body["Resources"].as_array().expect("a list").iter();
        pages.push(resources.map(|user| user["id"].as_str().expect("an id").to_owned()).collect());
        match answer.body["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn bulk_answer_of_longest_texts_fits() {
    let service = Service::embedded().await;
    let id = |number: usize| format!("{number:04}{}", "\"".repeat(124));
    let path = "n".repeat(4_000);
    let operations: Vec<Value> = (0..1_000)
        .map(|number| match number {
            0..100 => json!({ "method": "POST", "path": "/Users", "bulkId": id(number), "data": { "userName": id(number) } }),
            _ => json!({
                "method": "PATCH", "path": format!("/Users/{UNKNOWN_ID}"), "bulkId": id(number),
                "data": { "Operations": [{ "op": "add", "path": path, "value": 1 }] },
            }),
        })
        .collect();
    let answer = service.post("/Bulk", json!({ "Operations": operations })).await;
    assert_eq!(answer.status, 200);
    let outcomes = answer.body["Operations"].as_array().expect("a list");
    assert_eq!(outcomes.len(), 1_000);
    assert_eq!((&outcomes[0]["status"], &outcomes[999]["status"]), (&json!("201"), &json!("400")));
    let detail = outcomes[999]["response"]["detail"].as_str().expect("a detail");
    assert!(detail.len() <= BULK_DETAIL_BYTES + '…'.len_utf8() && detail.ends_with('…'), "{}", detail.len());
    assert!(enveloped(&answer.body) <= ANSWER_BYTES, "{}", enveloped(&answer.body));
}

#[tokio::test]
async fn bulk_texts_over_128_bytes_are_refused() {
    let service = Service::new().await;
    let long = "x".repeat(129);
    for (name, value) in
        [("method", &long), ("bulkId", &long), ("version", &long), ("path", &format!("/{long}"))]
    {
        let mut operation =
            json!({ "method": "POST", "path": "/Users", "bulkId": "b", "data": { "userName": name } });
        operation[name] = value.as_str().into();
        let answer = service.post("/Bulk", json!({ "Operations": [operation] })).await;
        let detail = &answer.body["Operations"][0]["response"]["detail"];
        assert_eq!(*detail, format!("The value of '{name}' must be a string of at most 128 bytes."));
    }
    let query = format!("attributes={}", "userName,".repeat(50));
    let operation = json!({ "method": "POST", "path": format!("/Users?{query}"), "bulkId": "b", "data": { "userName": "a" } });
    let answer = service.post("/Bulk", json!({ "Operations": [operation] })).await;
    assert_eq!(answer.body["Operations"][0]["status"], "201");
}

#[tokio::test]
async fn key_that_may_only_write_sees_ids_alone() {
    let service = Service::new().await;
    let key = service.organisation(&service.org, &[Scope::Write]).await;
    let send = async |request: Request| {
        let answer = request.bearer(&key).send(&service).await;
        assert!(answer.status < 300, "{:#}", answer.body);
        let names = answer.body.as_object().into_iter().flat_map(|body| body.keys().cloned());
        (answer.id(), names.collect::<Vec<_>>())
    };
    let shown = ["schemas", "id", "meta"].map(str::to_owned);
    let body = json!({ "userName": "ada", "title": "Countess", "externalId": "e" });
    let (user, names) = send(Request::post("/Users?attributes=userName", &body)).await;
    assert_eq!(names, shown);
    let (group, names) =
        send(Request::post("/Groups", json!({ "displayName": "g", "members": [{ "value": user }] }))).await;
    assert_eq!(names, shown);
    let (user, group) = (format!("/Users/{user}"), format!("/Groups/{group}"));
    let nothing = json!([{ "op": "add", "value": {} }]);
    for request in [
        Request::put(&user, &body),
        Request::patch(&user, &nothing),
        Request::patch(format!("{user}?excludedAttributes=groups"), &nothing),
        Request::put(&group, json!({ "displayName": "g" })),
        Request::patch(
            format!("{group}?attributes=displayName"),
            json!([{ "op": "replace", "path": "displayName", "value": "h" }]),
        ),
    ] {
        assert_eq!(send(request.clone()).await.1, shown, "{request:?}");
    }
    let patched = Request::patch(&group, json!([{ "op": "replace", "path": "displayName", "value": "i" }]));
    assert_eq!(patched.bearer(&key).send(&service).await.status, 204);
}

#[tokio::test]
async fn unknown_member_ends_the_look_up() {
    let counter = Counter::default();
    let service = Service::on(counter.client(Database::memory().expect("a database in memory"))).await;
    let members: Vec<Value> = (0..20_000).map(|number| json!({ "value": member_id(number) })).collect();
    let _ = counter.take();
    let answer = service.post("/Groups", json!({ "displayName": "g", "members": members })).await;
    assert_eq!(answer.verdict(), "400 invalidValue");
    let calls: usize = counter.take().values().filter_map(|cost| cost.calls.get("BatchGetItem")).sum();
    // One for the key, and at most two for each of the sixteen batches in flight.
    assert!(calls <= 33, "{calls}");
}

#[tokio::test(start_paused = true)]
async fn body_that_stops_is_answered_408() {
    let service = Service::embedded().await;
    // The end of the body never arrives.
    let pending = Body::new(Body::from("{").with_trailers(std::future::pending()));
    let request = Request::bytes(axum::http::Method::POST, "/Users", "").bearer(&service.key).build();
    let (parts, _) = request.into_parts();
    let answer = service.send(axum::http::Request::from_parts(parts, pending)).await;
    expect![[r#"
        408
        {
          "schemas": [
            "urn:ietf:params:scim:api:messages:2.0:Error"
          ],
          "status": "408",
          "detail": "The request body was not complete in time. Repeat the request."
        }
    "#]]
    .assert_eq(&answer.snapshot());
    assert_eq!(answer.header("retry-after"), "");
}
