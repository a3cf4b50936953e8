//! The request log and the health of a connection.

use expect_test::expect;
use serde_json::{Value, json};
use tests::{ORG, Request};

use super::Management;

/// Returns a management API whose service has recorded a few requests.
async fn recorded() -> Management {
    let management = Management::new().await;
    let Management { service, database, .. } = management;
    let service = service.recorded();
    service.user("ada@example.com").await;
    Request::post("/Users", json!({ "userName": "ada@example.com" }))
        .header("user-agent", "Microsoft Azure AD SCIM provisioning 1.0.0")
        .send(&service)
        .await;
    service.app.store.flush_request_log().await;
    let router = service::admin::router(service.app.clone());
    Management { service, router, database }
}

#[tokio::test(start_paused = true)]
async fn log_is_listed_with_the_cause_of_an_error() {
    let management = recorded().await;
    let answer = management.get(&format!("/orgs/{ORG}/log?outcome=failed")).await;
    assert_eq!(answer.status, 200, "{:#}", answer.body);
    let mut entry = answer.body["items"][0].clone();
    entry["id"] = Value::Null;
    entry["credential"] = Value::Null;
    expect![[r#"
        {
          "id": null,
          "at": "2026-11-23T09:00:00.123Z",
          "client": "entra",
          "credential": null,
          "action": "user-created",
          "summary": "Entra could not create ada@example.com: the name is taken",
          "status": 409,
          "scimType": "uniqueness",
          "detail": "Another User already has this userName. Use another value.",
          "cause": "name-taken",
          "remedy": "Rename or delete one of the two entries with this name, or let the identity provider match the existing one by its user name.",
          "subject": {
            "kind": "User",
            "id": null,
            "name": "ada@example.com"
          },
          "endpoint": null,
          "changed": [],
          "added": {
            "ids": [],
            "count": 0
          },
          "removed": {
            "ids": [],
            "count": 0
          },
          "millis": 0,
          "request": null
        }
    "#]]
    .assert_eq(&format!("{entry:#}\n"));
    assert_eq!(answer.body["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(answer.body["next"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn filters_of_the_log_select_entries() {
    let management = recorded().await;
    let count = async |query: &str| {
        let answer = management.get(&format!("/orgs/{ORG}/log?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {:#}", answer.body);
        answer.body["items"].as_array().map(Vec::len)
    };
    for (query, expected) in [
        ("", 2),
        ("outcome=succeeded", 1),
        ("status=409", 1),
        ("status=404", 0),
        ("client=entra", 1),
        ("client=okta", 0),
        ("from=2026-11-23T09:00:00Z", 2),
        ("from=2026-11-23T10:00:01%2B01:00", 0),
        ("until=2026-11-23T09:00:00Z", 0),
        ("from=2026-11-23T09:00:00.123Z&until=2026-11-23T09:00:00.124Z", 2),
        ("person=01938000-0000-7000-8000-00000000000c", 0),
        ("group=01938000-0000-7000-8000-00000000000c", 0),
    ] {
        assert_eq!(count(query).await, Some(expected), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn faulty_parameter_of_the_log_is_named() {
    let management = recorded().await;
    for (parameter, value) in [
        ("limit", "0"),
        ("limit", "101"),
        ("cursor", "A"),
        ("from", ""),
        ("from", "yesterday"),
        ("from", "2026-11-23"),
        ("until", "2026-11-23T09:00:00"),
        ("until", "-9999-01-01T00:00:00Z"),
        ("person", "ada@example.com"),
        ("person", ""),
        ("group", "01938000-0000-7000-8000-00000000000C"),
        ("outcome", "FAILED"),
        ("status", "99"),
        ("status", "600"),
        ("status", "+200"),
        ("status", "4xx"),
        ("client", "google"),
        ("unknown", "1"),
    ] {
        let answer = management.get(&format!("/orgs/{ORG}/log?{parameter}={value}")).await;
        let named = answer.body["errors"][0]["parameter"].as_str();
        assert_eq!((answer.status, named), (400, Some(parameter)), "{parameter}={value}: {:#}", answer.body);
    }
    let cursor = management.get(&format!("/orgs/{ORG}/log?cursor=abc")).await;
    assert_eq!(cursor.status, 422);
    let twice = management.get(&format!("/orgs/{ORG}/log?status=200&status=200")).await;
    assert_eq!(twice.status, 400);
}

#[tokio::test(start_paused = true)]
async fn health_follows_from_the_log() {
    let management = recorded().await;
    let mut answer = management.get(&format!("/orgs/{ORG}/health")).await;
    assert_eq!(answer.status, 200, "{:#}", answer.body);
    // The order of two entries of one millisecond is random.
    answer.body["lastRequest"] = Value::Null;
    answer.body["nextDue"] = Value::Null;
    expect![[r#"
        {
          "state": "ok",
          "reason": "in-step",
          "lastRequest": null,
          "requests": 2,
          "errors": 1,
          "errorShare": 0.5,
          "nextDue": null,
          "quarantineNear": false
        }
    "#]]
    .assert_eq(&format!("{:#}\n", answer.body));
    management.org("globex").await;
    let never = management.get("/orgs/globex/health").await;
    assert_eq!((never.body["state"].as_str(), never.body["requests"].as_u64()), (Some("never"), Some(0)));
}
