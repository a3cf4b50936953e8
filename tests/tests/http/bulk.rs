//! `POST /Bulk` (RFC 7644 §3.7).

use serde_json::{Value, json};
use tests::{Answer, Service};

const BULK_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

async fn bulk(service: &Service, operations: Value) -> Answer {
    service.post("/Bulk", json!({ "schemas": [BULK_REQUEST], "Operations": operations })).await
}

fn user(bulk_id: &str, name: &str) -> Value {
    json!({ "method": "POST", "path": "/Users", "bulkId": bulk_id, "data": { "userName": name } })
}

fn group(bulk_id: &str, name: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|member| json!({ "value": member })).collect();
    json!({
        "method": "POST", "path": "/Groups", "bulkId": bulk_id,
        "data": { "displayName": name, "members": members },
    })
}

/// The statuses of the operations, in their order, with the `scimType` of those that failed.
fn statuses(answer: &Answer) -> Vec<String> {
    let operations = answer.body["Operations"].as_array().expect("operations");
    let status = |operation: &Value| {
        let scim_type = operation["response"]["scimType"].as_str().unwrap_or_default();
        format!("{} {scim_type}", operation["status"].as_str().expect("a status")).trim_end().to_owned()
    };
    operations.iter().map(status).collect()
}

fn created(answer: &Answer, index: usize) -> String {
    let location = answer.body["Operations"][index]["location"].as_str().expect("a location");
    location.rsplit('/').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_group_may_refer_to_a_user_that_the_same_request_creates_before_or_after_it() {
    for user_first in [true, false] {
        let service = Service::new().await;
        let mut operations = vec![user("ada", "ada"), group("team", "Team", &["bulkId:ada"])];
        if !user_first {
            operations.reverse();
        }
        let answer = bulk(&service, Value::from(operations)).await;
        assert_eq!(statuses(&answer), ["201", "201"], "{:#}", answer.body);
        let (ada, team) = if user_first { (0, 1) } else { (1, 0) };
        assert_eq!(service.members(&created(&answer, team)).await, [created(&answer, ada)]);
        service.assert_healthy().await;
    }
}

#[tokio::test]
async fn every_operation_has_its_own_status_version_and_location() {
    let service = Service::new().await;
    let ada = service.user("ada").await;
    let bob = service.user("bob").await;
    let answer = bulk(
        &service,
        json!([
            { "method": "put", "path": format!("/Users/{ada}"), "data": { "userName": "ada", "title": "Dr" } },
            { "method": "PATCH", "path": format!("/Users/{bob}"), "version": "W/\"stale\"",
              "data": { "Operations": [{ "op": "replace", "path": "title", "value": "x" }] } },
            { "method": "DELETE", "path": format!("/Users/{bob}") },
            { "method": "POST", "path": "/Users", "bulkId": "q", "data": { "userName": "ADA" } },
            { "method": "POST", "path": "/Nowhere", "bulkId": "n", "data": {} },
        ]),
    )
    .await;
    assert_eq!(answer.status, 200);
    assert_eq!(statuses(&answer), ["200", "412", "204", "409 uniqueness", "404"]);
    let first = &answer.body["Operations"][0];
    assert_eq!(first["location"], format!("{}/Users/{ada}", tests::BASE));
    assert_eq!(first["version"], service.get(&format!("/Users/{ada}")).await.header("etag"));
    assert_eq!(answer.body["Operations"][3]["bulkId"], "q");
    service.assert_healthy().await;
}

#[tokio::test]
async fn operations_on_one_resource_keep_their_order() {
    let service = Service::new().await;
    let ada = service.user("ada").await;
    let patch = |title: usize| {
        json!({ "method": "PATCH", "path": format!("/Users/{ada}"),
                "data": { "Operations": [{ "op": "replace", "path": "title", "value": title.to_string() }] } })
    };
    let answer = bulk(&service, (0..20).map(patch).collect()).await;
    assert!(statuses(&answer).iter().all(|status| status == "200"));
    assert_eq!(service.get(&format!("/Users/{ada}")).await.body["title"], "19");
}

#[tokio::test]
async fn groups_in_one_another_are_created_and_joined() {
    let service = Service::new().await;
    let operations = json!([
        group("a", "A", &["bulkId:b"]),
        group("b", "B", &["bulkId:c"]),
        group("c", "C", &["bulkId:a"])
    ]);
    let answer = bulk(&service, operations).await;
    assert_eq!(statuses(&answer), ["201", "201", "201"], "{:#}", answer.body);
    let ids: Vec<String> = (0..3).map(|index| created(&answer, index)).collect();
    for index in 0..3 {
        assert_eq!(service.members(&ids[index]).await, [ids[(index + 1) % 3].clone()]);
    }
    service.assert_healthy().await;
}

#[tokio::test]
async fn a_circle_that_cannot_be_resolved_is_a_conflict_and_creates_nothing() {
    let service = Service::new().await;
    let managed = |id: &str, manager: &str| {
        json!({ "method": "POST", "path": "/Users", "bulkId": id, "data": {
            "userName": id,
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":
                { "manager": { "value": format!("bulkId:{manager}") } },
        } })
    };
    let answer = bulk(&service, json!([managed("a", "b"), managed("b", "a"), user("c", "c")])).await;
    assert_eq!(statuses(&answer), ["409", "409", "201"], "{:#}", answer.body);
    assert_eq!(service.get("/Users").await.body["totalResults"], 1);
}

#[tokio::test]
async fn what_refers_to_a_failed_or_unknown_operation_fails() {
    let service = Service::new().await;
    service.user("ada").await;
    let operations = json!([
        user("taken", "ADA"),
        group("one", "One", &["bulkId:taken"]),
        group("two", "Two", &["bulkId:nobody"]),
    ]);
    let answer = bulk(&service, operations).await;
    assert_eq!(statuses(&answer), ["409 uniqueness", "400 invalidValue", "400 invalidValue"]);
    assert_eq!(service.get("/Groups").await.body["totalResults"], 0);
}

#[tokio::test]
async fn a_group_whose_late_member_fails_is_not_left_behind() {
    let service = Service::new().await;
    service.group("Taken", &[]).await;
    let operations = json!([group("a", "A", &["bulkId:b"]), group("b", "taken", &["bulkId:a"])]);
    let answer = bulk(&service, operations).await;
    assert_eq!(statuses(&answer), ["400 invalidValue", "409 uniqueness"], "{:#}", answer.body);
    assert_eq!(service.get("/Groups").await.body["totalResults"], 1);
    service.assert_healthy().await;
}

#[tokio::test]
async fn fail_on_errors_ends_the_request_at_that_many_errors() {
    let service = Service::new().await;
    let operations = json!([user("1", "a"), user("2", "A"), user("3", "b"), user("4", "B"), user("5", "c")]);
    for limit in [1, 2] {
        let service = Service::new().await;
        let body = json!({ "schemas": [BULK_REQUEST], "failOnErrors": limit, "Operations": operations });
        let answer = service.post("/Bulk", body).await;
        let done = statuses(&answer);
        assert_eq!(done.len(), 2 * limit, "{done:?}");
        assert_eq!(done.iter().filter(|status| *status == "409 uniqueness").count(), limit);
    }
    let answer = bulk(&service, operations).await;
    assert_eq!(statuses(&answer).len(), 5);
}

#[tokio::test]
async fn requests_out_of_shape_are_refused_as_a_whole() {
    let service = Service::new().await;
    let operation = |patch: Value| {
        let mut operation = user("1", "never").as_object().cloned().expect("an object");
        operation.extend(patch.as_object().cloned().unwrap_or_default());
        json!({ "schemas": [BULK_REQUEST], "Operations": [operation] })
    };
    let many: Vec<Value> = (0..1001).map(|n| user(&n.to_string(), &n.to_string())).collect();
    for (body, verdict) in [
        (json!({}), "400 invalidSyntax"),
        (json!([]), "400 invalidSyntax"),
        (json!({ "Operations": {} }), "400 invalidSyntax"),
        (json!({ "Operations": [7] }), "400 invalidValue"),
        (operation(json!({ "method": "GET" })), "400 invalidValue"),
        (operation(json!({ "method": null })), "400 invalidValue"),
        (operation(json!({ "bulkId": null })), "400 invalidValue"),
        (operation(json!({ "bulkId": 7 })), "400 invalidValue"),
        (operation(json!({ "path": "Users" })), "400 invalidValue"),
        (operation(json!({ "data": null })), "400 invalidValue"),
        (json!({ "Operations": [user("1", "a"), user("1", "b")] }), "400 invalidValue"),
        (json!({ "failOnErrors": 0, "Operations": [user("1", "a")] }), "400 invalidValue"),
        (json!({ "Operations": many }), "413"),
    ] {
        assert_eq!(service.post("/Bulk", body.clone()).await.verdict(), verdict, "{body:.200}");
    }
    assert_eq!(service.get("/Users").await.body["totalResults"], 0);
}

#[tokio::test]
async fn no_operation_leaves_the_endpoints_of_users_and_groups() {
    let service = Service::new().await;
    for path in
        ["/Bulk", "/Me", "/Schemas", "/../Users", "//evil", "/Users/../Groups", "/Users?x=\r\nX-Injected: 1"]
    {
        let operation = json!({ "method": "POST", "path": path, "bulkId": "1", "data": { "userName": "x" } });
        let answer = bulk(&service, json!([operation])).await;
        let status = &statuses(&answer)[0];
        assert!(status.starts_with('4'), "{path}: {status}");
    }
    assert_eq!(service.get("/Users").await.body["totalResults"], 0);
}
