//! `POST /Bulk` (RFC 7644 §3.7).

use dynoxide::Database;
use local::embedded::Connector;
use serde_json::{Value, json};
use tests::{Answer, BASE, Service, intercept};
use tokio::time::{Duration, sleep};

const BULK_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

/// Returns a service that delays each transaction by the seconds that `wait` returns for its body. A paused clock skips
/// the delay when all tasks wait.
async fn slow_service(wait: impl Fn(&str) -> u64 + Send + Sync + 'static) -> Service {
    let database = Database::memory().expect("a database in memory");
    let client = intercept::client(Connector::new(database), move |call| {
        let is_transaction = call.operation == "TransactWriteItems";
        let seconds = is_transaction.then(|| wait(&String::from_utf8_lossy(call.body())));
        async move {
            if let Some(seconds) = seconds {
                sleep(Duration::from_secs(seconds)).await;
            }
            call.forward().await
        }
    });
    Service::on(client).await
}

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

/// Returns the statuses of the operations in order, with the `scimType` of failed operations.
fn statuses(answer: &Answer) -> Vec<String> {
    let operations = answer.body["Operations"].as_array().expect("operations");
    let status = |operation: &Value| {
        let scim_type = operation["response"]["scimType"].as_str().unwrap_or_default();
        format!("{} {scim_type}", operation["status"].as_str().expect("a status")).trim_end().to_owned()
    };
    operations.iter().map(status).collect()
}

fn delete(path: &str) -> Value {
    json!({ "method": "DELETE", "path": path })
}

/// Returns a `PATCH` with one operation.
fn patch(path: &str, operation: &Value) -> Value {
    json!({ "method": "PATCH", "path": path, "data": { "Operations": [operation] } })
}

fn put(path: &str, user_name: &str) -> Value {
    json!({ "method": "PUT", "path": path, "data": { "userName": user_name } })
}

fn created(answer: &Answer, index: usize) -> String {
    let location = answer.body["Operations"][index]["location"].as_str().expect("a location");
    location.rsplit('/').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn operation_does_not_overtake_one_on_the_same_user() {
    let service = Service::new().await;
    let id = service.user("ada").await;
    let title = |path: &str, title: &str, manager: Option<&str>| {
        json!({
            "method": "PATCH", "path": path,
            "data": { "Operations": [{ "op": "replace", "value": { "title": title, "manager": manager } }] },
        })
    };
    let mut first = title(&format!("/Users/{id}"), "first", None);
    first["bulkId"] = "x".into();
    let second = title("/Users/bulkId:x", "second", Some("bulkId:grace"));
    let third = title(&format!("/Users/{id}"), "third", None);
    let answer = bulk(&service, json!([first, second, third, user("grace", "grace")])).await;
    let statuses = answer.body["Operations"].as_array().expect("a list").iter();
    assert_eq!(statuses.map(|outcome| &outcome["status"]).collect::<Vec<_>>(), ["200", "200", "200", "201"]);
    assert_eq!(service.get(&format!("/Users/{id}")).await.body["title"], "third");
}

/// Operations on `bulkId:x` join those on the user's id once the first one has run. One of those waits for `bulkId:y`.
#[tokio::test]
async fn operations_that_join_a_resource_keep_their_order() {
    for last in ["200", "204"] {
        let service = Service::new().await;
        let (a, d) = (service.user("ada").await, service.user("dan").await);
        let title = |path: &str, title: &str| {
            patch(path, &json!({ "op": "replace", "path": "title", "value": title }))
        };
        let named = |bulk_id: &str, mut operation: Value| {
            operation["bulkId"] = bulk_id.into();
            operation
        };
        let manager = json!({ "op": "replace", "path": "manager", "value": "bulkId:y" });
        let end = if last == "204" { delete("/Users/bulkId:x") } else { title("/Users/bulkId:x", "fourth") };
        let operations = json!([
            named("x", title(&format!("/Users/{a}"), "first")),
            named("y", title(&format!("/Users/{d}"), "other")),
            patch(&format!("/Users/{a}"), &manager),
            title("/Users/bulkId:x", "third"),
            end,
            title(&format!("/Users/{a}"), "last"),
        ]);
        let answer = bulk(&service, operations).await;
        let after = if last == "204" { "404" } else { "200" };
        assert_eq!(statuses(&answer), ["200", "200", "200", "200", last, after]);
    }
}

#[tokio::test]
async fn bulk_id_resolves_before_and_after_the_creation() {
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
async fn operations_have_their_own_status_version_and_location() {
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
async fn operations_on_one_resource_run_in_order() {
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
async fn circular_group_references_are_resolved() {
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
async fn circular_user_references_are_409_and_create_nothing() {
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
    let body = json!({ "failOnErrors": 1, "Operations": [managed("a", "b"), managed("b", "a")] });
    assert_eq!(statuses(&service.post("/Bulk", body).await), ["409"]);
}

#[tokio::test]
async fn reference_to_failed_or_unknown_operation_fails() {
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
async fn group_with_failed_circular_member_is_deleted() {
    let service = Service::new().await;
    service.group("Taken", &[]).await;
    let operations = json!([group("a", "A", &["bulkId:b"]), group("b", "taken", &["bulkId:a"])]);
    let answer = bulk(&service, operations).await;
    assert_eq!(statuses(&answer), ["400 invalidValue", "409 uniqueness"], "{:#}", answer.body);
    let failed = &answer.body["Operations"][0];
    assert!(failed.get("location").is_none() && failed.get("version").is_none(), "{failed:#}");
    assert_eq!(service.get("/Groups").await.body["totalResults"], 1);
    service.assert_healthy().await;
}

#[tokio::test]
async fn fail_on_errors_stops_at_the_given_number() {
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
async fn malformed_bulk_request_is_rejected_as_a_whole() {
    let service = Service::new().await;
    let many: Vec<Value> = (0..1001).map(|n| user(&n.to_string(), &n.to_string())).collect();
    for (body, verdict) in [
        (json!({}), "400 invalidSyntax"),
        (json!([]), "400 invalidSyntax"),
        (json!("x"), "400 invalidSyntax"),
        (json!({ "Operations": {} }), "400 invalidSyntax"),
        (json!({ "Operations": [], "operations": [] }), "400 invalidSyntax"),
        (json!({ "failOnErrors": 0, "Operations": [user("1", "a")] }), "400 invalidValue"),
        (json!({ "failOnErrors": "1", "Operations": [user("1", "a")] }), "400 invalidValue"),
        (json!({ "Operations": many }), "413"),
        (json!({ "Operations": [user("1", &"x".repeat(6 * 1024 * 1024))] }), "413"),
    ] {
        assert_eq!(service.post("/Bulk", body.clone()).await.verdict(), verdict, "{body:.200}");
    }
    assert_eq!(service.get("/Users").await.body["totalResults"], 0);
    let most: Vec<Value> = (0..1000).map(|n| delete(&format!("/Users/{n}"))).collect();
    assert!(statuses(&bulk(&service, Value::from(most)).await).iter().all(|status| status == "404"));
}

#[tokio::test]
async fn malformed_operation_fails_alone() {
    let service = Service::new().await;
    let with = |members: Value| {
        let mut operation = user("1", "never").as_object().cloned().expect("an object");
        operation.extend(members.as_object().cloned().unwrap_or_default());
        Value::Object(operation)
    };
    let broken = [
        json!(7),
        json!({}),
        with(json!({ "method": "GET" })),
        with(json!({ "method": null })),
        with(json!({ "method": 7 })),
        with(json!({ "bulkId": null })),
        with(json!({ "bulkId": 7 })),
        with(json!({ "bulkId": "x".repeat(2_000) })),
        with(json!({ "path": "Users" })),
        with(json!({ "path": null })),
        with(json!({ "data": null })),
        with(json!({ "DATA": {} })),
        with(json!({ "method": "PUT", "path": "/Users/1", "version": 7 })),
    ];
    for operation in broken {
        let operations = json!([user("a", "ada"), operation, delete("/Users/bulkId:a")]);
        let answer = bulk(&service, operations).await;
        let found = statuses(&answer);
        assert_eq!((&*found[0], &*found[2]), ("201", "204"), "{operation:.200}");
        assert!(found[1].starts_with("400 invalid"), "{operation:.200}: {}", found[1]);
        assert_eq!(answer.body["Operations"][1]["response"]["status"], "400");
    }
    let fail_on_errors = json!({ "failOnErrors": 1, "Operations": [{}, user("b", "bob")] });
    assert_eq!(statuses(&service.post("/Bulk", fail_on_errors).await), ["400 invalidValue"]);
    assert_eq!(service.get("/Users").await.body["totalResults"], 0);
}

#[tokio::test]
async fn duplicate_bulk_id_fails_both_operations_and_references() {
    let service = Service::new().await;
    let operations = json!([user("1", "a"), user("2", "b"), user("1", "c"), group("g", "G", &["bulkId:1"])]);
    let answer = bulk(&service, operations).await;
    assert_eq!(statuses(&answer), ["400 invalidValue", "201", "400 invalidValue", "400 invalidValue"]);
    assert_eq!(answer.body["Operations"][2]["bulkId"], "1");
}

#[tokio::test]
async fn member_names_ignore_case_and_paths_ignore_slashes() {
    let service = Service::new().await;
    let operations = json!([
        { "Method": "post", "PATH": "/Users/", "bulkid": "ada", "Data": { "USERNAME": "ada" } },
        { "METHOD": "Post", "Path": "/scim/v2/Groups", "BulkId": "a", "DATA":
            { "displayname": "A", "Members": [{ "VALUE": "bulkId:ada" }, { "Value": "bulkId:b" }] } },
        { "method": "POST", "path": "//Groups", "bulkId": "b", "data":
            { "displayName": "B", "MEMBERS": [{ "value": "bulkId:a" }] } },
    ]);
    let answer = service.post("/Bulk", json!({ "operations": operations, "FailOnErrors": 1 })).await;
    assert_eq!(statuses(&answer), ["201", "201", "201"], "{:#}", answer.body);
    let mut members = [created(&answer, 0), created(&answer, 2)];
    members.sort_unstable();
    assert_eq!(service.members(&created(&answer, 1)).await, members);
    let gone =
        bulk(&service, json!([delete(&format!("/Users/{}/", members[0])), delete("/Groups/x/")])).await;
    assert_eq!(statuses(&gone).len(), 2);
    assert_eq!(gone.body["Operations"][1]["location"], format!("{BASE}/Groups/x"));
}

#[tokio::test]
async fn location_is_present_except_for_failed_creations() {
    let service = Service::new().await;
    let (ada, bob) = (service.user("ada").await, service.user("bob").await);
    let team = service.group("Team", &[]).await;
    let title = json!({ "op": "replace", "path": "title", "value": "x" });
    let mut stale = patch(&format!("/Users/{ada}?attributes=id"), &title);
    stale["version"] = json!("W/\"stale\"");
    let expected = [
        (
            patch(
                &format!("/Groups/{team}"),
                &json!({ "op": "add", "path": "members", "value": [{ "value": ada }] }),
            ),
            "204",
            format!("/Groups/{team}"),
        ),
        (stale, "412", format!("/Users/{ada}")),
        (put("/Users/nobody", "x"), "404", "/Users/nobody".to_owned()),
        (put(&format!("/Users/{ada}"), ""), "400 invalidValue", format!("/Users/{ada}")),
        (
            patch("/Groups/nobody", &json!({ "op": "add", "path": "displayName", "value": "x" })),
            "404",
            "/Groups/nobody".to_owned(),
        ),
        (delete("/scim/v2/Users/nobody/"), "404", "/Users/nobody".to_owned()),
        (delete(&format!("/Users/{bob}")), "204", format!("/Users/{bob}")),
        (
            json!({ "method": "PUT", "path": format!("/Users/{ada}") }),
            "400 invalidValue",
            format!("/Users/{ada}"),
        ),
        (
            json!({ "method": "POST", "path": "/Users", "bulkId": "c", "data": { "userName": "cy" } }),
            "201",
            "/Users/*".to_owned(),
        ),
        (patch("/Users/bulkId:c", &title), "200", "/Users/*".to_owned()),
        (delete("/Users/bulkId:c"), "204", "/Users/*".to_owned()),
    ];
    let answer = bulk(&service, expected.iter().map(|(operation, ..)| operation.clone()).collect()).await;
    let found = statuses(&answer);
    for (index, (operation, status, location)) in expected.iter().enumerate() {
        assert_eq!(found[index], *status, "{operation}");
        let place = location.replace('*', &created(&answer, 8));
        assert_eq!(answer.body["Operations"][index]["location"], format!("{BASE}{place}"), "{operation}");
    }
    let without = bulk(&service, json!([user("1", "ADA"), delete("/Users/bulkId:1"), delete("x")])).await;
    assert_eq!(statuses(&without), ["409 uniqueness", "400 invalidValue", "400 invalidValue"]);
    let operations = without.body["Operations"].as_array().expect("operations");
    assert!(operations.iter().all(|operation| operation.get("location").is_none()), "{:#}", without.body);
}

#[tokio::test]
async fn search_is_rejected_as_an_operation() {
    let service = Service::new().await;
    for path in ["/Users/.search", "/Groups/.search", "/.search"] {
        let operation = json!({ "method": "POST", "path": path, "bulkId": "1", "data": {} });
        let status = statuses(&bulk(&service, json!([operation])).await).remove(0);
        assert!(["404", "405"].contains(&&*status), "{path}: {status}");
    }
}

#[tokio::test]
async fn patch_resolves_bulk_ids_in_values_and_paths() {
    let service = Service::new().await;
    let ada = service.user("ada").await;
    let team = service.group("Team", &[&ada]).await;
    let path = format!("/Groups/{team}");
    let answer = bulk(
        &service,
        json!([
            patch(&path, &json!({ "op": "add", "path": "members", "value": [{ "value": "bulkId:b" }, { "value": "bulkId:c" }] })),
            user("b", "bob"),
            user("c", "cy"),
            // A figure of RFC 7644 §3.7.3 has the list of operations as `data`.
            { "method": "PATCH", "path": path, "data": [
                { "op": "remove", "path": "members[value eq \"bulkId:b\"]" },
            ] },
            patch(&path, &json!({ "op": "remove", "path": format!("members[value eq \"{ada}\" or value eq \"bulkId:none\"]") })),
        ]),
    )
    .await;
    assert_eq!(statuses(&answer), ["204", "201", "201", "204", "400 invalidValue"], "{:#}", answer.body);
    let mut members = [ada, created(&answer, 2)];
    members.sort_unstable();
    assert_eq!(service.members(&team).await, members);
    service.assert_healthy().await;
}

#[tokio::test]
async fn operation_with_current_version_succeeds() {
    let service = Service::new().await;
    let path = format!("/Users/{}", service.user("ada").await);
    let version = service.get(&path).await.header("etag").to_owned();
    let mut operation = put(&path, "lovelace");
    operation["version"] = json!(version);
    let answer = bulk(&service, json!([operation, operation])).await;
    assert_eq!(statuses(&answer), ["200", "412"], "{:#}", answer.body);
    assert_eq!(answer.body["Operations"][0]["version"], service.get(&path).await.header("etag"));
}

#[tokio::test(start_paused = true)]
async fn released_name_is_available_to_the_next_operation() {
    // The operation that releases the name is slow, so a concurrent operation would find the name in use.
    let service =
        slow_service(|body| u64::from(!body.contains("\"Put\"") || body.contains("released"))).await;
    for release_by in ["DELETE", "PATCH", "PUT"] {
        for take_by in ["POST", "PATCH", "PUT"] {
            let name = format!("{release_by}-{take_by}");
            let first = format!("/Users/{}", service.user(&name).await);
            let second = format!("/Users/{}", service.user(&format!("{name}-2")).await);
            let rename = |path: &str, name: &str| {
                patch(path, &json!({ "op": "replace", "value": { "USERNAME": name } }))
            };
            let release = match release_by {
                "DELETE" => delete(&first),
                "PATCH" => rename(&first, &format!("released-{name}")),
                _ => put(&first, &format!("released-{name}")),
            };
            let take = match take_by {
                "POST" => user("1", &name),
                "PATCH" => rename(&second, &name),
                _ => put(&second, &name),
            };
            let answer = bulk(&service, json!([release, take])).await;
            let found = statuses(&answer);
            assert!(found.iter().all(|status| status.starts_with('2')), "{name}: {found:?}");
        }
    }
    service.assert_healthy().await;
}

#[tokio::test]
async fn operations_do_not_overtake_one_with_a_reference() {
    let service = Service::new().await;
    let mut release = put(&format!("/Users/{}", service.user("ada").await), "lovelace");
    release["data"]["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] =
        json!({ "manager": { "value": "bulkId:1" } });
    let answer = bulk(&service, json!([user("1", "bob"), release, user("2", "ada")])).await;
    assert_eq!(statuses(&answer), ["201", "200", "201"], "{:#}", answer.body);
}

#[tokio::test(start_paused = true)]
async fn first_creation_of_a_name_wins() {
    let service = slow_service(|body| u64::from(body.contains("Ada") || body.contains("Team"))).await;
    let operations =
        json!([user("1", "Ada"), user("2", "aDA"), group("3", "Team", &[]), group("4", "team", &[])]);
    assert_eq!(
        statuses(&bulk(&service, operations).await),
        ["201", "409 uniqueness", "201", "409 uniqueness"]
    );
    // The first creation wins even if it refers to a later operation.
    let operations = json!([group("5", "Crew", &["bulkId:7"]), group("6", "crew", &[]), user("7", "bob")]);
    assert_eq!(statuses(&bulk(&service, operations).await), ["201", "409 uniqueness", "201"]);
}

#[tokio::test(start_paused = true)]
async fn query_string_does_not_change_the_order_of_operations() {
    let service = slow_service(|body| u64::from(body.contains("first"))).await;
    let ada = service.user("ada").await;
    let title = |query: &str, title: &str| {
        patch(&format!("/Users/{ada}{query}"), &json!({ "op": "replace", "path": "title", "value": title }))
    };
    let answer =
        bulk(&service, json!([title("?attributes=id", "first"), title("/", "second"), title("", "third")]))
            .await;
    assert_eq!(statuses(&answer), ["200", "200", "200"]);
    assert_eq!(service.get(&format!("/Users/{ada}")).await.body["title"], "third");
}

#[tokio::test(start_paused = true)]
async fn deletion_waits_for_earlier_operations_on_the_resource() {
    let service = slow_service(|body| u64::from(body.contains("slow"))).await;
    let ada = service.user("ada").await;
    let operations =
        json!([user("1", "slow"), group("g", "G", &[&ada, "bulkId:1"]), delete(&format!("/Users/{ada}"))]);
    let answer = bulk(&service, operations).await;
    assert_eq!(statuses(&answer), ["201", "201", "204"]);
    assert_eq!(service.members(&created(&answer, 1)).await, [created(&answer, 0)]);
}

#[tokio::test(start_paused = true)]
async fn fail_on_errors_keeps_operations_parallel() {
    // Sequential operations would need 60 s.
    let service = slow_service(|_| 1).await;
    let operations: Vec<Value> = (0..60).map(|n| user(&n.to_string(), &n.to_string())).collect();
    let body = json!({ "failOnErrors": 8, "Operations": operations });
    assert_eq!(statuses(&service.post("/Bulk", body).await), vec!["201"; 60]);
}

#[tokio::test(start_paused = true)]
async fn operations_past_the_deadline_are_503() {
    // Seven waves take two seconds each. One operation of the eighth wave hangs. The ninth wave does not start.
    let service = slow_service(|body| if body.contains("hangs") { 60 } else { 2 }).await;
    let mut operations: Vec<Value> = (0..56).map(|n| user(&n.to_string(), &n.to_string())).collect();
    operations.push(user("hangs", "hangs"));
    operations.extend((57..80).map(|n| user(&n.to_string(), &n.to_string())));
    operations.push(json!({}));
    operations.push(group("g", "G", &["bulkId:h"]));
    operations.push(group("h", "H", &["bulkId:g"]));
    let answer = bulk(&service, Value::from(operations)).await;
    assert_eq!(answer.status, 200, "{:#}", answer.body);
    let mut expected = vec!["201"; 56];
    expected.push("503");
    expected.extend(vec!["201"; 7]);
    expected.extend(vec!["503"; 16]);
    expected.extend(["400 invalidValue", "503", "503"]);
    assert_eq!(statuses(&answer), expected);
    assert_eq!(service.get("/Users").await.body["totalResults"], 63);
    service.assert_healthy().await;
}

#[tokio::test(start_paused = true)]
async fn incomplete_group_is_deleted_or_reported_at_the_deadline() {
    // Both groups exist after 16 s. The change that joins them would end after 24 s.
    let circle = || json!([group("a", "A", &["bulkId:b"]), group("b", "B", &["bulkId:a"])]);
    for deletion in [0, 8] {
        let service = slow_service(move |body| if body.contains("\"Delete\"") { deletion } else { 8 }).await;
        let answer = bulk(&service, circle()).await;
        assert_eq!(statuses(&answer), ["503", "201"], "{:#}", answer.body);
        let failed = &answer.body["Operations"][0];
        let detail = failed["response"]["detail"].as_str().expect("a detail");
        let is_left = deletion != 0;
        assert_eq!(detail.contains("could not be deleted"), is_left, "{detail}");
        assert_eq!(failed.get("location").is_some(), is_left);
        assert_eq!(failed.get("version"), None);
        if is_left {
            let path = format!("/Groups/{}", created(&answer, 0));
            assert_eq!(service.get(&path).await.body["displayName"], "A");
        }
        assert_eq!(service.get("/Groups").await.body["totalResults"], if is_left { 2 } else { 1 });
        service.assert_healthy().await;
    }
}

#[tokio::test]
async fn failed_circular_member_counts_toward_fail_on_errors() {
    let operations = json!([
        group("a", "A", &["bulkId:b"]),
        group("b", "taken", &["bulkId:a"]),
        group("c", "C", &["bulkId:d"]),
        group("d", "D", &["bulkId:c"]),
    ]);
    let all = ["400 invalidValue", "409 uniqueness", "201", "201"];
    for (limit, reached) in [(1, 2), (2, 2), (3, 4)] {
        let service = Service::new().await;
        service.group("Taken", &[]).await;
        let answer = service.post("/Bulk", json!({ "failOnErrors": limit, "Operations": operations })).await;
        assert_eq!(statuses(&answer), all[..reached], "{limit}: {:#}", answer.body);
        assert_eq!(service.get("/Groups").await.body["totalResults"], reached - 1);
        service.assert_healthy().await;
    }
}

#[tokio::test]
async fn panic_in_one_operation_leaves_the_others_unaffected() {
    let service = slow_service(|body| {
        assert!(!body.contains("boom"), "boom");
        0
    })
    .await;
    let answer = bulk(&service, json!([user("1", "ada"), user("2", "boom"), user("3", "cy")])).await;
    assert_eq!(statuses(&answer), ["201", "500", "201"], "{:#}", answer.body);
    assert_eq!(answer.body["Operations"][1]["response"]["status"], "500");
}

#[tokio::test]
async fn operations_accept_only_user_and_group_endpoints() {
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
