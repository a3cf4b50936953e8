//! The answers of every operation, under the fixed clock.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use expect_test::expect;
use serde_json::{Value, json};
use service::{
    clock::Clock,
    store::{Actor, Deletion},
};
use tests::{NOW, ORG, Request};
use tokio::time::Instant;

use super::{Management, text};

#[tokio::test]
async fn organisation_is_created_shown_and_changed() {
    let management = Management::new().await;
    let created = management.post("/orgs", json!({ "org": "globex" })).await;
    assert_eq!(created.header("location"), "/admin/v1/orgs/globex");
    expect![[r#"
        201
        {
          "org": "globex",
          "enabled": true,
          "created": "2026-11-23T09:00:00.123Z",
          "settings": {
            "tokenMinutes": 60,
            "rate": 50,
            "burst": 200,
            "atOnce": 4
          }
        }
    "#]]
    .assert_eq(&created.snapshot());
    let shown = management.get("/orgs/globex").await;
    assert_eq!(shown.body, created.body);
    let settings = json!({ "tokenMinutes": 360, "rate": 25 });
    let changed = management.patch("/orgs/globex", json!({ "enabled": false, "settings": settings })).await;
    expect![[r#"
        200
        {
          "org": "globex",
          "enabled": false,
          "created": "2026-11-23T09:00:00.123Z",
          "settings": {
            "tokenMinutes": 360,
            "rate": 25,
            "burst": 200,
            "atOnce": 4
          }
        }
    "#]]
    .assert_eq(&changed.snapshot());
    assert_eq!(management.patch("/orgs/globex", json!({})).await.body, changed.body);
    assert_eq!(management.get("/orgs/globex").await.body, changed.body);
    let listed = management.get("/orgs").await;
    expect![[r#"
        200
        {
          "items": [
            {
              "org": "acme",
              "enabled": true,
              "created": "2026-11-23T09:00:00.123Z",
              "settings": {
                "tokenMinutes": 60,
                "rate": 50,
                "burst": 200,
                "atOnce": 4
              }
            },
            {
              "org": "globex",
              "enabled": false,
              "created": "2026-11-23T09:00:00.123Z",
              "settings": {
                "tokenMinutes": 360,
                "rate": 25,
                "burst": 200,
                "atOnce": 4
              }
            }
          ],
          "next": null
        }
    "#]]
    .assert_eq(&listed.snapshot());
}

#[tokio::test]
async fn disabled_organisation_is_refused_at_once() {
    let management = Management::new().await;
    assert_eq!(management.service.get("/Users").await.status, 200);
    management.patch(&format!("/orgs/{ORG}"), json!({ "enabled": false })).await;
    assert_eq!(management.service.get("/Users").await.status, 403);
    management.patch(&format!("/orgs/{ORG}"), json!({ "enabled": true })).await;
    assert_eq!(management.service.get("/Users").await.status, 200);
}

#[tokio::test]
async fn key_is_created_shown_and_changed() {
    let management = Management::new().await;
    let body = json!({ "scopes": ["write", "read"], "label": "Okta", "ends": "2027-11-23T10:00:00+01:00" });
    let created = management.post(&format!("/orgs/{ORG}/keys"), body).await;
    expect![[r#"
        201
        {
          "id": "133e8fa2afa0d136",
          "label": "Okta",
          "scopes": [
            "read",
            "write"
          ],
          "created": "2026-11-23T09:00:00.123Z",
          "ends": "2027-11-23T09:00:00.000Z",
          "revoked": null,
          "prefix": "scim_acme_",
          "lastFour": "FMRG",
          "lastUsed": null,
          "lastUsedBy": null,
          "replaces": null,
          "key": "scim_acme_akdyxTwvGFWcHV8asOfuUA4ofZBTSJ1BcwwS1w56oNk1WFMRG"
        }
    "#]]
    .assert_eq(&created.snapshot());
    let path = format!("/orgs/{ORG}/keys/{}", text(&created, "id"));
    assert_eq!(created.header("location"), format!("/admin/v1{path}"));
    let shown = management.get(&path).await;
    let mut without_secret = created.body.clone();
    without_secret.as_object_mut().unwrap().remove("key");
    assert_eq!(shown.body, without_secret);
    let change = json!({ "scopes": ["scim"], "label": null, "ends": null });
    let changed = management.patch(&path, change).await;
    expect![[r#"
        200
        {
          "id": "133e8fa2afa0d136",
          "label": null,
          "scopes": [
            "scim"
          ],
          "created": "2026-11-23T09:00:00.123Z",
          "ends": null,
          "revoked": null,
          "prefix": "scim_acme_",
          "lastFour": "FMRG",
          "lastUsed": null,
          "lastUsedBy": null,
          "replaces": null
        }
    "#]]
    .assert_eq(&changed.snapshot());
    let listed = management.get(&format!("/orgs/{ORG}/keys")).await;
    assert!(listed.body["items"].as_array().unwrap().contains(&changed.body), "{:#}", listed.body);
}

#[tokio::test]
async fn created_key_works_until_it_is_revoked() {
    let management = Management::new().await;
    let (id, key) = management.key(ORG).await;
    let users = Request::get("/Users").bearer(&key);
    assert_eq!(users.send(&management.service).await.status, 200);
    let revoked = management.post(&format!("/orgs/{ORG}/keys/{id}/revoke"), Value::Null).await;
    expect![[r#"
        200
        {
          "id": "133e8fa2afa0d136",
          "label": null,
          "scopes": [
            "scim"
          ],
          "created": "2026-11-23T09:00:00.123Z",
          "ends": null,
          "revoked": "2026-11-23T09:00:00.123Z",
          "prefix": "scim_acme_",
          "lastFour": "FMRG",
          "lastUsed": null,
          "lastUsedBy": null,
          "replaces": null
        }
    "#]]
    .assert_eq(&revoked.snapshot());
    assert_eq!(users.send(&management.service).await.status, 401);
    let again = management.post(&format!("/orgs/{ORG}/keys/{id}/revoke"), Value::Null).await;
    assert_eq!(again.body, revoked.body);
}

#[tokio::test]
async fn rotated_key_and_its_successor_both_work() {
    let management = Management::new().await;
    let (id, old) = management.key(ORG).await;
    let path = format!("/orgs/{ORG}/keys/{id}");
    let rotated = management.post(&format!("{path}/rotate"), json!({ "overlapHours": 24 })).await;
    expect![[r#"
        201
        {
          "id": "faa1a418a44884c2",
          "label": null,
          "scopes": [
            "scim"
          ],
          "created": "2026-11-23T09:00:00.123Z",
          "ends": null,
          "revoked": null,
          "prefix": "scim_acme_",
          "lastFour": "4foP",
          "lastUsed": null,
          "lastUsedBy": null,
          "replaces": "133e8fa2afa0d136",
          "key": "scim_acme_rgMnjpNtoDaeibyXg224CKf3LPhWUDBTEyDDvatcM3x3N4foP"
        }
    "#]]
    .assert_eq(&rotated.snapshot());
    for key in [&old, &text(&rotated, "key")] {
        assert_eq!(Request::get("/Users").bearer(key).send(&management.service).await.status, 200);
    }
    let old = management.get(&path).await;
    assert_eq!(old.body["ends"], "2026-11-24T09:00:00.123Z");
    let default =
        management.post(&format!("/orgs/{ORG}/keys/{}/rotate", text(&rotated, "id")), json!({})).await;
    assert_eq!(default.status, 201);
    let replaced = management.get(&format!("/orgs/{ORG}/keys/{}", text(&rotated, "id"))).await;
    assert_eq!(replaced.body["ends"], "2026-11-30T09:00:00.123Z");
}

#[tokio::test]
async fn client_is_created_shown_and_deleted() {
    let management = Management::new().await;
    let clients = format!("/orgs/{ORG}/clients");
    let created = management.post(&clients, json!({ "scopes": ["scim"], "label": "Entra" })).await;
    expect![[r#"
        201
        {
          "id": "acme.284893d11331c00e",
          "label": "Entra",
          "scopes": [
            "scim"
          ],
          "created": "2026-11-23T09:00:00.123Z",
          "lastUsed": null,
          "lastUsedBy": null,
          "trust": null,
          "secrets": [
            {
              "id": "56fc120298676161",
              "created": "2026-11-23T09:00:00.123Z",
              "ends": "2027-11-23T09:00:00.123Z",
              "lastFour": "WQe9"
            }
          ],
          "clientSecret": "scimsecret_acme_akdyxTwvGFWcHV8asOfuUA4ofZBTSJ1BcwwS1w56oNk1xWQe9"
        }
    "#]]
    .assert_eq(&created.snapshot());
    let path = format!("{clients}/{}", text(&created, "id"));
    assert_eq!(created.header("location"), format!("/admin/v1{path}"));
    let added = management.post(&format!("{path}/secrets"), json!({ "ends": "2027-01-01T00:00:00Z" })).await;
    expect![[r#"
        201
        {
          "id": "b40ff17c14c4b068",
          "created": "2026-11-23T09:00:00.123Z",
          "ends": "2027-01-01T00:00:00.000Z",
          "lastFour": "U4CA",
          "clientSecret": "scimsecret_acme_rgMnjpNtoDaeibyXg224CKf3LPhWUDBTEyDDvatcM3x2LU4CA"
        }
    "#]]
    .assert_eq(&added.snapshot());
    let ended = management.delete(&format!("{path}/secrets/{}", text(&added, "id"))).await;
    assert_eq!((ended.status, ended.body.is_null()), (204, true));
    let shown = management.get(&path).await;
    expect![[r#"
        200
        {
          "id": "acme.284893d11331c00e",
          "label": "Entra",
          "scopes": [
            "scim"
          ],
          "created": "2026-11-23T09:00:00.123Z",
          "lastUsed": null,
          "lastUsedBy": null,
          "trust": null,
          "secrets": [
            {
              "id": "56fc120298676161",
              "created": "2026-11-23T09:00:00.123Z",
              "ends": "2027-11-23T09:00:00.123Z",
              "lastFour": "WQe9"
            },
            {
              "id": "b40ff17c14c4b068",
              "created": "2026-11-23T09:00:00.123Z",
              "ends": "2026-11-23T09:00:00.123Z",
              "lastFour": "U4CA"
            }
          ]
        }
    "#]]
    .assert_eq(&shown.snapshot());
    assert_eq!(management.get(&clients).await.body["items"], json!([shown.body]));
    assert_eq!(management.delete(&path).await.status, 204);
    assert_eq!((management.get(&path).await.status, management.delete(&path).await.status), (404, 404));
}

#[tokio::test]
async fn federated_client_has_a_trust_and_no_secret() {
    let management = Management::new().await;
    let clients = format!("/orgs/{ORG}/clients");
    let trust =
        json!({ "issuer": "https://issuer.example", "audience": "api://scim/.default", "subject": "s" });
    let created = management.post(&clients, json!({ "scopes": ["scim"], "trust": trust })).await;
    expect![[r#"
        201
        {
          "id": "acme.284893d11331c00e",
          "label": null,
          "scopes": [
            "scim"
          ],
          "created": "2026-11-23T09:00:00.123Z",
          "lastUsed": null,
          "lastUsedBy": null,
          "trust": {
            "issuer": "https://issuer.example",
            "audience": "api://scim",
            "subject": "s",
            "tid": null,
            "azp": null,
            "jwksUri": null
          },
          "secrets": [],
          "clientSecret": null
        }
    "#]]
    .assert_eq(&created.snapshot());
    let secrets = format!("{clients}/{}/secrets", text(&created, "id"));
    assert_eq!(management.post(&secrets, json!({})).await.status, 409);
}

#[tokio::test]
async fn problems_are_documents() {
    let management = Management::new().await;
    let faulty = json!({ "scopes": ["admin"], "label": "", "unknown": 1 });
    let faulty = management.post(&format!("/orgs/{ORG}/keys"), faulty).await;
    expect![[r##"
        400
        {
          "type": "urn:problem-type:scim-admin:invalid-request",
          "title": "The request is invalid.",
          "status": 400,
          "detail": "Several parts of the request are wrong. Correct each of them as 'errors' says.",
          "errors": [
            {
              "pointer": "#/scopes/0",
              "detail": "This scope does not exist. The scopes are scim, read and write."
            },
            {
              "pointer": "#/label",
              "detail": "The label is empty. Leave it out, or send a text."
            },
            {
              "pointer": "#/unknown",
              "detail": "The object has an unknown member. Remove it. The members are scopes, label, ends."
            }
          ]
        }
    "##]]
    .assert_eq(&faulty.snapshot());
    let unknown = management.get("/orgs/nobody").await;
    expect![[r#"
        404
        {
          "type": "urn:problem-type:scim-admin:not-found",
          "title": "The resource does not exist.",
          "status": 404,
          "detail": "There is no organisation with this name. GET /admin/v1/orgs lists the organisations."
        }
    "#]]
    .assert_eq(&unknown.snapshot());
    let taken = management.post("/orgs", json!({ "org": ORG })).await;
    expect![[r#"
        409
        {
          "type": "urn:problem-type:scim-admin:conflict",
          "title": "The current state does not allow the request.",
          "status": 409,
          "detail": "The organisation acme exists already. Choose another name."
        }
    "#]]
    .assert_eq(&taken.snapshot());
}

#[tokio::test]
async fn organisation_is_deleted_by_repeated_requests() {
    let seconds = Arc::new(AtomicI64::new(0));
    let now = seconds.clone();
    let clock = Clock::new(move || NOW + time::Duration::seconds(now.load(Ordering::Relaxed)));
    let management = Management::with_clock(clock).await;
    management.service.user("ada@example.com").await;
    management.org("acme-2").await;
    let (_, neighbour) = management.key("acme-2").await;
    let path = format!("/orgs/{ORG}");
    let first = management.delete(&path).await;
    assert_eq!((first.status, first.header("retry-after")), (202, "36"), "{:#}", first.body);
    assert_eq!(Request::get("/Users").send(&management.service).await.status, 403);
    assert_eq!(management.patch(&path, json!({ "enabled": true })).await.status, 409, "it cannot be stopped");
    seconds.store(36, Ordering::Relaxed);
    let statuses = [management.delete(&path).await.status, management.delete(&path).await.status];
    assert_eq!((statuses, management.get(&path).await.status), ([204, 404], 404));
    let items = management.items().await;
    assert!(
        !items.iter().any(|item| item.contains("ORG#acme\"") || item.contains("ORG#acme#")),
        "{items:#?}"
    );
    let of_neighbour = Request::get("/Users").bearer(&neighbour).send(&management.service).await;
    assert_eq!(of_neighbour.status, 200);
}

#[tokio::test]
async fn deletion_continues_where_the_last_request_ended() {
    let seconds = Arc::new(AtomicI64::new(0));
    let now = seconds.clone();
    let clock = Clock::new(move || NOW + time::Duration::seconds(now.load(Ordering::Relaxed)));
    let management = Management::with_clock(clock).await;
    for number in 0..300 {
        management.service.user(&format!("user-{number}@example.com")).await;
    }
    let (store, org, actor) = (&management.service.app.store, ORG.parse().unwrap(), Actor::new("ada"));
    let mut parts = 0;
    // No part has the time for more than one page of the table.
    while store.advance_deletion(&org, &actor, Instant::now()).await.unwrap() != Deletion::Done {
        parts += 1;
        seconds.fetch_add(10, Ordering::Relaxed);
        assert!(parts < 100, "the deletion makes no progress");
    }
    assert!(parts > 3, "{parts}");
    let items = management.items().await;
    assert!(
        !items.iter().any(|item| item.contains("ORG#acme\"") || item.contains("ORG#acme#")),
        "{items:#?}"
    );
}
