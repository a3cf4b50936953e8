//! The lifecycle of users and groups: creation, reads, PUT, PATCH and deletion. Snapshots compare whole responses.

use expect_test::expect;
use scim::schema::RESOURCE_TYPES;
use serde_json::{Value, json};
use tests::{Request, Service};

use super::{ENTERPRISE, TimedRequests, UNKNOWN_ID, assert_members, assert_response, full_user};

#[tokio::test]
async fn user_with_every_attribute_is_created_and_read() {
    let service = Service::new().await;
    let created = service.post("/Users", full_user()).await;
    assert_response(
        &service,
        &created,
        &expect![[r#"
            location: https://scim.test/scim/v2/Users/{1}
            content-location: https://scim.test/scim/v2/Users/{1}
            etag: W/"{v1}"
            201
            {
              "schemas": [
                "urn:ietf:params:scim:schemas:core:2.0:User",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
                "urn:ietf:params:scim:schemas:extension:Custom:2.0:User"
              ],
              "id": "{1}",
              "externalId": "00ujl29u0le5T6Aj10h7",
              "userName": "Ada@Example.com",
              "name": {
                "formatted": "Ms. Ada B. Lovelace III",
                "familyName": "Lovelace",
                "givenName": "Ada",
                "middleName": "B.",
                "honorificPrefix": "Ms.",
                "honorificSuffix": "III"
              },
              "displayName": "Ada Lovelace",
              "nickName": "Countess",
              "profileUrl": "https://login.example.com/ada",
              "title": "Analyst",
              "userType": "Employee",
              "preferredLanguage": "en-GB",
              "locale": "en-GB",
              "timezone": "Europe/London",
              "active": true,
              "emails": [
                {
                  "value": "ada@example.com-1",
                  "display": "First",
                  "type": "work",
                  "primary": true
                },
                {
                  "value": "ada@example.com-2",
                  "type": "home"
                }
              ],
              "phoneNumbers": [
                {
                  "value": "tel:+1-201-555-0123-1",
                  "display": "First",
                  "type": "work",
                  "primary": true
                },
                {
                  "value": "tel:+1-201-555-0123-2",
                  "type": "mobile"
                }
              ],
              "ims": [
                {
                  "value": "ada-1",
                  "display": "First",
                  "type": "xmpp",
                  "primary": true
                },
                {
                  "value": "ada-2",
                  "type": "skype"
                }
              ],
              "photos": [
                {
                  "value": "https://photos.example.com/ada-1",
                  "display": "First",
                  "type": "photo",
                  "primary": true
                },
                {
                  "value": "https://photos.example.com/ada-2",
                  "type": "thumbnail"
                }
              ],
              "addresses": [
                {
                  "formatted": "12 St James's Square\nLondon",
                  "streetAddress": "12 St James's Square",
                  "locality": "London",
                  "region": "Greater London",
                  "postalCode": "SW1Y 4JH",
                  "country": "GB",
                  "type": "home",
                  "primary": true
                }
              ],
              "entitlements": [
                {
                  "value": "engine-1",
                  "display": "First",
                  "type": "a",
                  "primary": true
                },
                {
                  "value": "engine-2",
                  "type": "b"
                }
              ],
              "roles": [
                {
                  "value": "analyst-1",
                  "display": "First",
                  "type": "a",
                  "primary": true
                },
                {
                  "value": "analyst-2",
                  "type": "b"
                }
              ],
              "x509Certificates": [
                {
                  "value": "MIIDQzCCAqygAwIBAgICEAAwDQYJKoZIhvcNAQEFBQAwTjELMAkGA1UEBhMCVVMx"
                }
              ],
              "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
                "employeeNumber": "701984",
                "costCenter": "4130",
                "organization": "Analytical Engines",
                "division": "Mathematics",
                "department": "Notes",
                "manager": {
                  "value": "01936f20-0000-7000-8000-000000000000",
                  "$ref": "../Users/26118915"
                }
              },
              "urn:ietf:params:scim:schemas:extension:Custom:2.0:User": {
                "tag": "x",
                "Nested": {
                  "a": [
                    1,
                    2.5,
                    null
                  ]
                }
              },
              "meta": {
                "resourceType": "User",
                "created": "{now}",
                "lastModified": "{now}",
                "location": "https://scim.test/scim/v2/Users/{1}",
                "version": "W/\"{v1}\""
              }
            }
        "#]],
    );
    let read = service.get(&format!("/Users/{}", created.id())).await;
    assert_eq!((read.status, &read.body), (200, &created.body));
    assert_eq!(read.header("etag"), created.header("etag"));
    assert_eq!(read.header("content-location"), created.header("location"));
    let listed = service.get("/Users").await.body;
    assert_eq!(listed["Resources"], json!([created.body]));
    for attribute in RESOURCE_TYPES[0].schema.attributes {
        let shown = !created.body[attribute.name].is_null();
        assert_eq!(shown, !["password", "groups"].contains(&attribute.name), "{}", attribute.name);
    }
    service.assert_healthy().await;
}

#[tokio::test]
async fn put_of_the_read_resource_changes_nothing() {
    let service = Service::new().await;
    let created = service.post("/Users", full_user()).await;
    let group = service.group("Engineers", &[&created.id()]).await;
    for path in [format!("/Users/{}", created.id()), format!("/Groups/{group}")] {
        let before = service.get(&path).await;
        let after = service.put(&path, before.body.clone()).await;
        assert_eq!((after.status, &after.body), (200, &before.body));
        assert_eq!(after.header("etag"), before.header("etag"));
    }
    service.assert_healthy().await;
}

#[tokio::test]
async fn user_with_only_a_user_name_is_created() {
    let service = Service::new().await;
    let created = service.post("/Users", json!({ "userName": "Bob" })).await;
    assert_response(
        &service,
        &created,
        &expect![[r#"
            location: https://scim.test/scim/v2/Users/{1}
            content-location: https://scim.test/scim/v2/Users/{1}
            etag: W/"{v1}"
            201
            {
              "schemas": [
                "urn:ietf:params:scim:schemas:core:2.0:User"
              ],
              "id": "{1}",
              "userName": "Bob",
              "active": true,
              "meta": {
                "resourceType": "User",
                "created": "{now}",
                "lastModified": "{now}",
                "location": "https://scim.test/scim/v2/Users/{1}",
                "version": "W/\"{v1}\""
              }
            }
        "#]],
    );
}

#[tokio::test]
async fn put_replaces_every_attribute() {
    let service = Service::new().await;
    let id = service.post("/Users", full_user()).await.id();
    service.group("Engineers", &[&id]).await;
    let replaced = service.put(&format!("/Users/{id}"), json!({ "userName": "bob", "active": false })).await;
    assert_response(
        &service,
        &replaced,
        &expect![[r#"
            content-location: https://scim.test/scim/v2/Users/{1}
            etag: W/"{v1}.{g1}"
            200
            {
              "schemas": [
                "urn:ietf:params:scim:schemas:core:2.0:User"
              ],
              "id": "{1}",
              "userName": "bob",
              "active": false,
              "groups": [
                {
                  "value": "{2}",
                  "$ref": "https://scim.test/scim/v2/Groups/{2}",
                  "type": "direct"
                }
              ],
              "meta": {
                "resourceType": "User",
                "created": "{now}",
                "lastModified": "{now}",
                "location": "https://scim.test/scim/v2/Users/{1}",
                "version": "W/\"{v1}.{g1}\""
              }
            }
        "#]],
    );
    let found = service.get("/Users?filter=externalId%20pr%20or%20emails%20pr").await.body;
    assert_eq!(found["totalResults"], 0);
    service.assert_healthy().await;
}

#[tokio::test]
async fn patch_changes_only_named_attributes() {
    let service = Service::new().await;
    let id = service.post("/Users", json!({ "userName": "ada", "title": "x", "externalId": "1" })).await.id();
    let operations = json!([
        { "op": "replace", "path": "userName", "value": "ada.lovelace" },
        { "op": "add", "path": "emails", "value": [{ "value": "ada@example.com", "type": "work" }] },
        { "op": "replace", "path": "name.familyName", "value": "Lovelace" },
        { "op": "remove", "path": "title" },
        { "op": "add", "path": format!("{ENTERPRISE}:department"), "value": "Notes" },
        { "op": "replace", "value": { "active": false } },
    ]);
    let patched = service.patch(&format!("/Users/{id}"), operations).await;
    assert_response(
        &service,
        &patched,
        &expect![[r#"
            content-location: https://scim.test/scim/v2/Users/{1}
            etag: W/"{v1}"
            200
            {
              "schemas": [
                "urn:ietf:params:scim:schemas:core:2.0:User",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
              ],
              "id": "{1}",
              "externalId": "1",
              "userName": "ada.lovelace",
              "name": {
                "familyName": "Lovelace"
              },
              "active": false,
              "emails": [
                {
                  "value": "ada@example.com",
                  "type": "work"
                }
              ],
              "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
                "department": "Notes"
              },
              "meta": {
                "resourceType": "User",
                "created": "{now}",
                "lastModified": "{now}",
                "location": "https://scim.test/scim/v2/Users/{1}",
                "version": "W/\"{v1}\""
              }
            }
        "#]],
    );
    assert_eq!(service.get(&format!("/Users/{id}")).await.body, patched.body);
    for (filter, found) in [
        ("userName eq \"ada\"", 0),
        ("userName eq \"ada.lovelace\"", 1),
        ("emails eq \"ADA@example.com\"", 1),
    ] {
        assert_eq!(
            Request::get("/Users").filter(filter).send(&service).await.body["totalResults"],
            found,
            "{filter}"
        );
    }
    service.assert_healthy().await;
}

#[tokio::test]
async fn deactivated_user_is_readable_and_keeps_its_groups() {
    let service = Service::new().await;
    let id = service.user("ada").await;
    let group = service.group("Engineers", &[&id]).await;
    let patched = service
        .patch(&format!("/Users/{id}"), json!([{ "op": "replace", "value": { "active": false } }]))
        .await;
    assert_eq!((patched.status, &patched.body["active"]), (200, &json!(false)));
    assert_eq!(service.get(&format!("/Users/{id}")).await.status, 200);
    assert_eq!(service.get("/Users?filter=userName%20eq%20%22ada%22").await.body["totalResults"], 1);
    assert_eq!(service.get("/Users?filter=active%20eq%20false").await.body["totalResults"], 1);
    assert_eq!(service.get("/Users?filter=active%20eq%20true").await.body["totalResults"], 0);
    assert_members(&service, &group, &[id], &[]).await;
}

#[tokio::test]
async fn group_with_every_attribute_is_created_read_and_listed() {
    let service = Service::new().await;
    let ada = service.user("ada").await;
    let nested = service.group("Nested", &[]).await;
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "Engineers",
        "externalId": "group-1",
        "members": [
            { "value": nested, "type": "Group" },
            { "value": ada, "display": "Ada", "$ref": null },
            { "value": ada },
        ],
    });
    let created = service.post("/Groups", body).await;
    assert_response(
        &service,
        &created,
        &expect![[r#"
            location: https://scim.test/scim/v2/Groups/{1}
            content-location: https://scim.test/scim/v2/Groups/{1}
            etag: W/"{v1}"
            201
            {
              "schemas": [
                "urn:ietf:params:scim:schemas:core:2.0:Group"
              ],
              "id": "{1}",
              "externalId": "group-1",
              "displayName": "Engineers",
              "members": [
                {
                  "value": "{2}",
                  "$ref": "https://scim.test/scim/v2/Users/{2}",
                  "type": "User"
                },
                {
                  "value": "{3}",
                  "$ref": "https://scim.test/scim/v2/Groups/{3}",
                  "type": "Group"
                }
              ],
              "meta": {
                "resourceType": "Group",
                "created": "{now}",
                "lastModified": "{now}",
                "location": "https://scim.test/scim/v2/Groups/{1}",
                "version": "W/\"{v1}\""
              }
            }
        "#]],
    );
    let read = service.get(&format!("/Groups/{}", created.id())).await;
    assert_eq!((read.status, &read.body), (200, &created.body));
    let listed = Request::get("/Groups").filter("displayName eq \"ENGINEERS\"").send(&service).await.body;
    assert_eq!(listed["Resources"], json!([created.body]));
    assert_response(
        &service,
        &service.get(&format!("/Users/{ada}")).await,
        &expect![[r#"
            content-location: https://scim.test/scim/v2/Users/{2}
            etag: W/"{v2}.{g1}"
            200
            {
              "schemas": [
                "urn:ietf:params:scim:schemas:core:2.0:User"
              ],
              "id": "{2}",
              "userName": "ada",
              "active": true,
              "groups": [
                {
                  "value": "{1}",
                  "$ref": "https://scim.test/scim/v2/Groups/{1}",
                  "type": "direct"
                }
              ],
              "meta": {
                "resourceType": "User",
                "created": "{now}",
                "lastModified": "{now}",
                "location": "https://scim.test/scim/v2/Users/{2}",
                "version": "W/\"{v2}.{g1}\""
              }
            }
        "#]],
    );
}

#[tokio::test]
async fn group_patch_is_204_unless_attributes_are_requested() {
    let service = Service::new().await;
    let ada = service.user("ada").await;
    let group = service.group("Engineers", &[]).await;
    let path = format!("/Groups/{group}");
    let add = json!([{ "op": "add", "path": "members", "value": [{ "value": ada }] }]);
    assert_response(
        &service,
        &service.patch(&path, add.clone()).await,
        &expect![[r#"
            etag: W/"{v1}"
            204
        "#]],
    );
    assert_response(
        &service,
        &service.patch(&format!("{path}?attributes=members.value"), add.clone()).await,
        &expect![[r#"
            content-location: https://scim.test/scim/v2/Groups/{1}
            etag: W/"{v1}"
            200
            {
              "schemas": [
                "urn:ietf:params:scim:schemas:core:2.0:Group"
              ],
              "id": "{1}",
              "members": [
                {
                  "value": "{2}"
                }
              ]
            }
        "#]],
    );
    assert_response(
        &service,
        &service.patch(&format!("{path}?excludedAttributes=members"), add).await,
        &expect![[r#"
            content-location: https://scim.test/scim/v2/Groups/{1}
            etag: W/"{v1}"
            200
            {
              "schemas": [
                "urn:ietf:params:scim:schemas:core:2.0:Group"
              ],
              "id": "{1}",
              "displayName": "Engineers",
              "meta": {
                "resourceType": "Group",
                "created": "{now}",
                "lastModified": "{now}",
                "location": "https://scim.test/scim/v2/Groups/{1}",
                "version": "W/\"{v1}\""
              }
            }
        "#]],
    );
    let rename = json!([{ "op": "replace", "path": "displayName", "value": "Builders" }]);
    assert_response(
        &service,
        &service.patch(&path, rename).await,
        &expect![[r#"
            etag: W/"{v2}"
            204
        "#]],
    );
    assert_eq!(service.get(&path).await.body["displayName"], "Builders");
}

#[tokio::test]
async fn deleted_resource_is_404_and_its_names_are_available() {
    let service = Service::new().await;
    let ada = service.post("/Users", full_user()).await.id();
    let group = service.group("Engineers", &[&ada]).await;
    for (collection, id) in [("/Users", &ada), ("/Groups", &group)] {
        let path = format!("{collection}/{id}");
        let deleted = service.delete(&path).await;
        assert_eq!((deleted.status, &deleted.body), (204, &Value::Null));
        let body = json!({ "userName": "x", "displayName": "x" });
        for request in [
            Request::get(&path),
            Request::put(&path, &body),
            Request::patch(&path, json!([{ "op": "replace", "value": body }])),
            Request::patch(&path, json!([{ "op": "add", "value": {} }])),
            Request::delete(&path),
        ] {
            let line = format!("{} {path}", request.method);
            assert_eq!(request.send(&service).await.status, 404, "{line}");
        }
        let list = service.get(collection).await.body;
        assert_eq!((&list["totalResults"], &list["Resources"]), (&json!(0), &json!([])));
        for filter in ["id pr".to_owned(), format!("id eq \"{id}\""), "externalId pr".to_owned()] {
            assert_eq!(
                Request::get(collection).filter(&filter).send(&service).await.body["totalResults"],
                0,
                "{filter}"
            );
        }
    }
    for filter in ["userName eq \"ada@example.com\"", "externalId eq \"00ujl29u0le5T6Aj10h7\"", "emails pr"] {
        assert_eq!(
            Request::get("/Users").filter(filter).send(&service).await.body["totalResults"],
            0,
            "{filter}"
        );
    }
    let again = service.post("/Users", full_user()).await;
    assert_eq!(again.status, 201);
    assert_ne!(again.id(), ada);
    assert_ne!(service.group("ENGINEERS", &[]).await, group);
    service.assert_healthy().await;
}

#[tokio::test]
async fn meta_times_record_creation_and_last_change() {
    let timed = TimedRequests::new().await;
    let user = timed.at(0, Request::post("/Users", json!({ "userName": "ada" }))).await.id();
    let group = timed.at(1, Request::post("/Groups", json!({ "displayName": "Engineers" }))).await.id();
    let (user_path, group_path) = (format!("/Users/{user}"), format!("/Groups/{group}"));
    let meta = async |path: &str| {
        let meta = timed.at(59, Request::get(path)).await.body["meta"].clone();
        ["created", "lastModified"].map(|name| meta[name].as_str().unwrap_or_default()[11..16].to_owned())
    };
    assert_eq!(meta(&user_path).await, ["10:00", "10:00"]);
    assert_eq!(meta(&group_path).await, ["10:01", "10:01"]);

    let patch = |path: &str, operation: Value| Request::patch(path, json!([operation]));
    let title = json!({ "op": "add", "path": "title", "value": "x" });
    let member = json!({ "op": "add", "path": "members", "value": [{ "value": user }] });
    timed.at(2, patch(&user_path, title.clone())).await;
    timed.at(3, patch(&group_path, member.clone())).await;
    assert_eq!(meta(&user_path).await, ["10:00", "10:02"]);
    assert_eq!(meta(&group_path).await, ["10:01", "10:03"]);

    // Requests without a change keep `lastModified`.
    timed.at(4, patch(&user_path, title)).await;
    timed.at(4, patch(&group_path, member)).await;
    timed.at(4, Request::put(&user_path, json!({ "userName": "ada", "title": "x" }))).await;
    let members = json!([{ "value": user }]);
    timed.at(4, Request::put(&group_path, json!({ "displayName": "Engineers", "members": members }))).await;
    timed
        .at(
            4,
            patch(
                &group_path,
                json!({ "op": "remove", "path": "members", "value": [{ "value": UNKNOWN_ID }] }),
            ),
        )
        .await;
    assert_eq!(meta(&user_path).await, ["10:00", "10:02"]);
    assert_eq!(meta(&group_path).await, ["10:01", "10:03"]);

    // The deletion of a member changes the group.
    timed.at(5, Request::delete(&user_path)).await;
    assert_eq!(meta(&group_path).await, ["10:01", "10:05"]);
    let found = timed
        .at(6, Request::get("/Groups").filter("meta.lastModified gt \"2026-11-23T11:04:59+01:00\""))
        .await;
    assert_eq!(found.body["totalResults"], 1);
}
