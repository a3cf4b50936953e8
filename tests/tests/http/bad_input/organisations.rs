//! Ids and names of another organisation.

use serde_json::json;
use tests::{BASE, Request};

use super::{OTHER, TwoOrgs};
use crate::{UNKNOWN_ID, assert_no_failures, contents};

#[tokio::test]
async fn ids_of_another_organisation_are_unknown() {
    let orgs = TwoOrgs::new().await;
    let (user, group) = (&orgs.other_user, &orgs.other_group);
    let mut table = Vec::new();
    for id in [user, group] {
        let member = json!([{ "value": id }]);
        let by_reference = json!([{ "value": id, "$ref": format!("{BASE}/Users/{id}"), "type": "User" }]);
        for members in [member, by_reference] {
            let body = json!({ "displayName": "Thieves", "members": members });
            table.push(("members", "400 invalidValue", Request::post("/Groups", &body)));
            table.push(("members", "400 invalidValue", Request::put(&orgs.group, &body)));
            for op in ["add", "replace"] {
                let operations = json!([{ "op": op, "path": "members", "value": members }]);
                table.push(("members", "400 invalidValue", Request::patch(&orgs.group, &operations)));
                let operations = json!([{ "op": op, "value": { "members": members } }]);
                table.push(("members", "400 invalidValue", Request::patch(&orgs.group, &operations)));
            }
            // The removal of a user that is not a member succeeds and changes nothing.
            let operations = json!([{ "op": "remove", "path": "members", "value": members }]);
            table.push(("members", "204", Request::patch(&orgs.group, &operations)));
        }
    }
    for path in [format!("/Users/{user}"), format!("/Groups/{group}")] {
        let body = json!({ "userName": "stolen", "displayName": "stolen" });
        let operations = json!([{ "op": "replace", "value": body }]);
        table.push(("GET", "404", Request::get(&path)));
        table.push(("PUT", "404", Request::put(&path, &body)));
        table.push(("PATCH", "404", Request::patch(&path, &operations)));
        table.push(("DELETE", "404", Request::delete(&path)));
        table.push(("DELETE", "404", Request::delete(&path).header("if-match", "*")));
    }
    for filter in [
        format!("id eq \"{user}\""),
        format!("groups.value eq \"{group}\""),
        format!("groups eq \"{group}\""),
    ] {
        table.push(("filter", "200", Request::get("/Users").filter(&filter)));
        let found = Request::get("/Users").filter(&filter).send(&orgs.service).await;
        assert_eq!(found.body["totalResults"], 0, "{filter}");
    }
    for filter in [
        format!("id eq \"{group}\""),
        format!("members.value eq \"{user}\""),
        format!("members[value eq \"{user}\"]"),
    ] {
        let found = Request::get("/Groups").filter(&filter).send(&orgs.service).await;
        assert_eq!(found.body["totalResults"], 0, "{filter}");
    }
    let everything = orgs.service.post("/.search", json!({})).await.body.to_string();
    assert!(!everything.contains(user) && !everything.contains(group) && !everything.contains("zoe@"));
    orgs.assert_verdicts(table).await;

    // A manager is a plain string. The service does not look it up in any organisation.
    let manager = json!({ "value": user });
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let operations = json!([{ "op": "add", "path": format!("{enterprise}:manager"), "value": manager }]);
    let answer = orgs.service.patch(&orgs.user, operations).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body[enterprise]["manager"], manager);
    assert_eq!(contents(&orgs.service, OTHER, &orgs.other_key).await, orgs.before[1]);
}

#[tokio::test]
async fn user_names_are_unique_per_organisation() {
    let orgs = TwoOrgs::new().await;
    let body = json!({ "userName": "zoe@example.com", "externalId": "1" });
    let created = orgs.service.post("/Users", body).await;
    assert_eq!(
        created.status, 201,
        "the user of the other organisation causes no conflict: {:#}",
        created.body
    );
    assert_ne!(created.id(), orgs.other_user);
    assert_eq!(contents(&orgs.service, OTHER, &orgs.other_key).await, orgs.before[1]);
}

#[tokio::test]
async fn external_id_is_never_used_as_an_id() {
    let orgs = TwoOrgs::new().await;
    // Grafana, CVE-2025-41115: the externalId "1" gave access to the administrator. An externalId is not an id here.
    let id = orgs.user.trim_start_matches("/Users/").to_owned();
    for external_id in ["1", "0", "-1", &id, "null", "true", UNKNOWN_ID] {
        let body = json!({ "userName": format!("x-{external_id}"), "externalId": external_id });
        let created = orgs.service.post("/Users", body).await;
        assert_eq!((created.status, &created.body["externalId"]), (201, &json!(external_id)));
        assert_ne!(created.id(), id);
        let found = Request::get("/Users")
            .filter(format!("externalId eq \"{external_id}\""))
            .send(&orgs.service)
            .await;
        assert_eq!(found.body["totalResults"], 1);
        assert_eq!(found.body["Resources"][0]["id"], created.id().as_str());
        if external_id != id {
            assert_eq!(orgs.service.get(&format!("/Users/{external_id}")).await.status, 404);
        }
    }
    orgs.service.assert_healthy().await;
}

#[tokio::test]
async fn bulk_operation_fails_like_the_single_request() {
    let orgs = TwoOrgs::new().await;
    let (user, group) = (format!("/Users/{}", orgs.other_user), format!("/Groups/{}", orgs.other_group));
    let name = json!({ "userName": "eve", "displayName": "eve" });
    let mut failures = Vec::new();
    for (status, operation) in [
        ("404", json!({ "method": "DELETE", "path": user })),
        ("404", json!({ "method": "DELETE", "path": group })),
        ("404", json!({ "method": "PUT", "path": user, "data": name })),
        (
            "404",
            json!({ "method": "PATCH", "path": group, "data": { "Operations": [{ "op": "remove", "path": "members" }] } }),
        ),
        (
            "400",
            json!({ "method": "PUT", "path": orgs.group, "data": { "displayName": "x", "members": [{ "value": orgs.other_user }] } }),
        ),
        ("400", json!({ "method": "PUT", "path": orgs.user, "data": { "userName": 1 } })),
        ("400", json!({ "method": "PUT", "path": orgs.user, "data": [] })),
        ("400", json!({ "method": "PUT", "path": orgs.user, "data": "x" })),
        (
            "409",
            json!({ "method": "POST", "path": "/Users", "bulkId": "x", "data": { "userName": "ADA@example.com" } }),
        ),
        ("412", json!({ "method": "DELETE", "path": orgs.user, "version": "W/\"x\"" })),
        ("400", json!({ "method": "DELETE", "path": orgs.user, "version": "x" })),
        ("400", json!({ "method": "DELETE", "path": orgs.user, "version": "x\r\nX-Injected: 1" })),
        ("400", json!({ "method": "DELETE", "path": orgs.user, "version": "\u{e9}" })),
        ("404", json!({ "method": "DELETE", "path": "/Users/%0d%0aX-Injected:%201" })),
        ("400", json!({ "method": "DELETE", "path": "/Users/\r\nX-Injected: 1" })),
        ("400", json!({ "method": "DELETE", "path": format!("/Users/{}", "x".repeat(70_000)) })),
        ("400", json!({ "method": "DELETE", "path": "/Users/\u{0}" })),
        ("400", json!({ "method": "DELETE", "path": "/Users/\u{202e} x" })),
        ("405", json!({ "method": "DELETE", "path": "/Users" })),
        ("400", json!({ "method": "DELETE", "path": "/Users/bulkId:nobody" })),
        ("400", json!({ "method": "PUT", "path": orgs.user, "data": { "userName": "bulkId:nobody" } })),
    ] {
        let answer = Request::post("/Bulk", json!({ "Operations": [operation] })).send(&orgs.service).await;
        let result = &answer.body["Operations"][0];
        let is_expected = result["status"] == status && result["response"]["status"] == status;
        // The location is the percent-encoded path of the operation.
        let location = result["location"].as_str().unwrap_or_default();
        let echoed =
            result["response"].to_string().contains("X-Injected") || location.contains("X-Injected: ");
        if answer.status != 200 || !is_expected || echoed {
            failures.push(format!("{operation:.90}: {status}: {}", answer.body));
        }
    }
    assert_no_failures(&failures);
    assert!(orgs.contents().await == orgs.before, "the data changed");
}
