//! Users and groups as clients see them live: created, read, listed, changed, gone; and what the service says of itself.
//!
//! Whole answers are compared where the form matters. Where many members are involved, both sides of each membership
//! are looked at afterwards, and the doctor looks at the rest.

use std::fmt::Write;

use axum::http::Method;
use expect_test::{Expect, expect};
use scim::schema::{Attribute, RESOURCE_TYPES, SCHEMAS, USER_URN};
use serde_json::{Value, json};
use service::{App, ambient::Clock};
use tests::{Answer, BASE, NOW, Request, Service};
use time::{Duration, macros::datetime};

use super::{UNKNOWN_ID, contents};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// Returns a user with a value for every attribute that a client can write.
pub(super) fn full_user() -> Value {
    let values = |value: &str, types: [&str; 2]| {
        json!([
            { "value": format!("{value}-1"), "display": "First", "type": types[0], "primary": true },
            { "value": format!("{value}-2"), "type": types[1] },
        ])
    };
    json!({
        "schemas": [USER_URN, ENTERPRISE],
        "externalId": "00ujl29u0le5T6Aj10h7",
        "userName": "Ada@Example.com",
        "name": {
            "formatted": "Ms. Ada B. Lovelace III",
            "familyName": "Lovelace",
            "givenName": "Ada",
            "middleName": "B.",
            "honorificPrefix": "Ms.",
            "honorificSuffix": "III",
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
        "password": "t1meMa$heen",
        "emails": values("ada@example.com", ["work", "home"]),
        "phoneNumbers": values("tel:+1-201-555-0123", ["work", "mobile"]),
        "ims": values("ada", ["xmpp", "skype"]),
        "photos": values("https://photos.example.com/ada", ["photo", "thumbnail"]),
        "addresses": [{
            "formatted": "12 St James's Square\nLondon",
            "streetAddress": "12 St James's Square",
            "locality": "London",
            "region": "Greater London",
            "postalCode": "SW1Y 4JH",
            "country": "GB",
            "type": "home",
            "primary": true,
        }],
        "entitlements": values("engine", ["a", "b"]),
        "roles": values("analyst", ["a", "b"]),
        "x509Certificates": [{ "value": "MIIDQzCCAqygAwIBAgICEAAwDQYJKoZIhvcNAQEFBQAwTjELMAkGA1UEBhMCVVMx" }],
        (ENTERPRISE): {
            "employeeNumber": "701984",
            "costCenter": "4130",
            "organization": "Analytical Engines",
            "division": "Mathematics",
            "department": "Notes",
            "manager": { "value": UNKNOWN_ID, "$ref": "../Users/26118915", "displayName": "Charles Babbage" },
        },
        "urn:ietf:params:scim:schemas:extension:Custom:2.0:User": { "tag": "x", "Nested": { "a": [1, 2.5, null] } },
    })
}

/// Returns the status, the headers of the resource and the body, for snapshots.
fn response_text(answer: &Answer) -> String {
    let mut text = String::new();
    for name in ["location", "content-location", "etag"] {
        if answer.headers.contains_key(name) {
            let _ = writeln!(text, "{name}: {}", answer.header(name));
        }
    }
    text + &answer.snapshot()
}

fn assert_response(service: &Service, answer: &Answer, expected: &Expect) {
    expected.assert_eq(&service.named(&response_text(answer)));
}

/// A service that receives requests at times that the test chooses.
struct TimedRequests(Service);

impl TimedRequests {
    async fn new() -> Self {
        Self(Service::new().await)
    }

    /// Sends the request at `minutes` past ten o'clock.
    async fn at(&self, minutes: i64, request: Request) -> Answer {
        let time = datetime!(2026-11-23 10:00 UTC) + Duration::minutes(minutes);
        let store = self.0.store_by(Clock::fixed(time));
        let router = self.0.router(App { store, ..self.0.app.clone() });
        request.bearer(&self.0.key).send_to(router).await
    }
}

fn names(list: &Value, attribute: &str) -> Vec<String> {
    let resources = list["Resources"].as_array().expect("Resources");
    resources.iter().map(|resource| resource[attribute].as_str().unwrap_or_default().to_owned()).collect()
}

/// Returns `startIndex: itemsPerPage of totalResults` and the user names.
fn page_summary(answer: &Answer) -> String {
    let body = &answer.body;
    let names = names(body, "userName").join(" ");
    format!("{}: {} of {}: {names}", body["startIndex"], body["itemsPerPage"], body["totalResults"])
        .trim_end()
        .into()
}

async fn create_users(service: &Service, count: usize) -> Vec<String> {
    let mut ids = Vec::with_capacity(count);
    for number in 0..count {
        ids.push(service.user(&format!("user-{number:03}@example.com")).await);
    }
    ids.sort_unstable();
    ids
}

fn as_members(ids: &[String]) -> Value {
    ids.iter().map(|id| json!({ "value": id })).collect()
}

/// Fails unless the group has exactly these members, and exactly these users show the group.
async fn assert_members(service: &Service, group: &str, members: &[String], others: &[String]) {
    assert_eq!(service.members(group).await, members, "members");
    let mut in_group = Vec::new();
    let list = service.get("/Users?attributes=groups.value&count=1000").await.body;
    for user in list["Resources"].as_array().expect("users") {
        let groups = user["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
        if groups.iter().any(|known| known["value"] == group) {
            in_group.push(user["id"].as_str().unwrap_or_default().to_owned());
        }
    }
    in_group.sort_unstable();
    assert_eq!(in_group, members, "users that show the group");
    for user in members.iter().chain(others).step_by(50) {
        let knows = service.groups(user).await.contains(&group.to_owned());
        assert_eq!(knows, members.contains(user), "{user}");
    }
    let filter = format!("groups.value eq \"{group}\"");
    let found = Request::get("/Users").filter(&filter).send(service).await.body;
    assert_eq!(found["totalResults"], members.len(), "by filter");
    service.assert_healthy().await;
}

// One user, one group

#[tokio::test]
async fn user_with_every_attribute_is_created_and_read() {
    let service = Service::new().await;
    let created = service.post("/Users", full_user()).await;
    assert_response(
        &service,
        &created,
        &expect![[r#"
        location: https://scim.test/scim/v2/Users/{1}
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
        etag: W/"{v1}"
        201
        {
          "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:User"
          ],
          "id": "{1}",
          "userName": "Bob",
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

// Lists

#[tokio::test]
async fn list_is_a_list_response_even_when_empty() {
    let service = Service::new().await;
    assert_response(
        &service,
        &service.get("/Users").await,
        &expect![[r#"
        200
        {
          "schemas": [
            "urn:ietf:params:scim:api:messages:2.0:ListResponse"
          ],
          "totalResults": 0,
          "startIndex": 1,
          "itemsPerPage": 0,
          "Resources": []
        }
    "#]],
    );
    assert_response(
        &service,
        &service.get("/Groups?filter=displayName%20eq%20%22x%22&startIndex=5&count=7").await,
        &expect![[r#"
        200
        {
          "schemas": [
            "urn:ietf:params:scim:api:messages:2.0:ListResponse"
          ],
          "totalResults": 0,
          "startIndex": 5,
          "itemsPerPage": 0,
          "Resources": []
        }
    "#]],
    );
    service.user("ada").await;
    assert_response(
        &service,
        &service.get("/Users").await,
        &expect![[r#"
        200
        {
          "schemas": [
            "urn:ietf:params:scim:api:messages:2.0:ListResponse"
          ],
          "totalResults": 1,
          "startIndex": 1,
          "itemsPerPage": 1,
          "Resources": [
            {
              "schemas": [
                "urn:ietf:params:scim:schemas:core:2.0:User"
              ],
              "id": "{1}",
              "userName": "ada",
              "meta": {
                "resourceType": "User",
                "created": "{now}",
                "lastModified": "{now}",
                "location": "https://scim.test/scim/v2/Users/{1}",
                "version": "W/\"{v1}\""
              }
            }
          ]
        }
    "#]],
    );
}

#[tokio::test]
async fn list_is_in_creation_order_with_exact_total() {
    let timed = TimedRequests::new().await;
    // The names are neither in alphabetical order nor in the order of the ids.
    for (minutes, name) in ["delta", "alpha", "echo", "bravo", "charlie"].into_iter().enumerate() {
        let body = json!({ "userName": name, "active": minutes % 2 == 0, "externalId": "same" });
        let created = timed.at(i64::try_from(minutes).unwrap(), Request::post("/Users", &body)).await;
        assert_eq!(created.status, 201);
    }
    let mut text = String::new();
    #[rustfmt::skip]
    let queries = [
        "", "count=2", "startIndex=1&count=2", "startIndex=3&count=2", "startIndex=5&count=2",
        "startIndex=6&count=2", "startIndex=100", "startIndex=0&count=1", "startIndex=-5&count=1",
        "count=0", "count=-3", "startIndex=4", "filter=active eq true", "filter=active eq true&count=2",
        "filter=active eq true&startIndex=2&count=2", "filter=active eq true&startIndex=4",
        "filter=active eq true&count=0", "filter=externalId eq \"same\"&count=2",
        "filter=externalId eq \"same\"&startIndex=4&count=9", "filter=userName eq \"ECHO\"",
        "filter=userName gt \"bravo\"", "filter=userName co \"a\" and active eq false",
        "filter=not (userName sw \"a\")&startIndex=2&count=2", "filter=title pr",
        "filter=userName eq \"nobody\"", "filter=meta.created ge \"2026-11-23T10:03:00Z\"",
    ];
    for query in queries {
        let answer = timed
            .at(59, Request::get(format!("/Users?{}", query.replace(' ', "%20").replace('"', "%22"))))
            .await;
        assert_eq!(answer.status, 200, "{query}");
        let _ = writeln!(text, "{query:<52} {}", page_summary(&answer));
    }
    expect![[r#"
                                                             1: 5 of 5: delta alpha echo bravo charlie
        count=2                                              1: 2 of 5: delta alpha
        startIndex=1&count=2                                 1: 2 of 5: delta alpha
        startIndex=3&count=2                                 3: 2 of 5: echo bravo
        startIndex=5&count=2                                 5: 1 of 5: charlie
        startIndex=6&count=2                                 6: 0 of 5:
        startIndex=100                                       100: 0 of 5:
        startIndex=0&count=1                                 1: 1 of 5: delta
        startIndex=-5&count=1                                1: 1 of 5: delta
        count=0                                              1: 0 of 5:
        count=-3                                             1: 0 of 5:
        startIndex=4                                         4: 2 of 5: bravo charlie
        filter=active eq true                                1: 3 of 3: delta echo charlie
        filter=active eq true&count=2                        1: 2 of 3: delta echo
        filter=active eq true&startIndex=2&count=2           2: 2 of 3: echo charlie
        filter=active eq true&startIndex=4                   4: 0 of 3:
        filter=active eq true&count=0                        1: 0 of 3:
        filter=externalId eq "same"&count=2                  1: 2 of 5: delta alpha
        filter=externalId eq "same"&startIndex=4&count=9     4: 2 of 5: bravo charlie
        filter=userName eq "ECHO"                            1: 1 of 1: echo
        filter=userName gt "bravo"                           1: 3 of 3: delta echo charlie
        filter=userName co "a" and active eq false           1: 2 of 2: alpha bravo
        filter=not (userName sw "a")&startIndex=2&count=2    2: 2 of 4: echo bravo
        filter=title pr                                      1: 0 of 0:
        filter=userName eq "nobody"                          1: 0 of 0:
        filter=meta.created ge "2026-11-23T10:03:00Z"        1: 2 of 2: bravo charlie
    "#]]
    .assert_eq(&text);
}

#[tokio::test]
async fn pages_omit_no_user_during_concurrent_changes() {
    let timed = TimedRequests::new().await;
    let mut ids = Vec::new();
    for (minutes, name) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        let body = json!({ "userName": name });
        ids.push(timed.at(i64::try_from(minutes).unwrap(), Request::post("/Users", &body)).await.id());
    }
    let first = timed.at(10, Request::get("/Users?startIndex=1&count=2")).await;
    assert_eq!(page_summary(&first), "1: 2 of 5: a b");
    timed.at(11, Request::delete(format!("/Users/{}", ids[0]))).await;
    timed.at(12, Request::post("/Users", json!({ "userName": "f" }))).await;
    let mut seen = names(&first.body, "userName");
    for start in [3, 5, 7] {
        let next = timed.at(13, Request::get(format!("/Users?startIndex={start}&count=2"))).await;
        seen.extend(names(&next.body, "userName"));
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e", "f"]);
    // A new listing shows the current users.
    let again = timed.at(14, Request::get("/Users?startIndex=1&count=9")).await;
    assert_eq!(page_summary(&again), "1: 5 of 5: b c d e f");
}

#[tokio::test]
async fn page_has_100_resources_by_default_and_1000_at_most() {
    let service = Service::new().await;
    create_users(&service, 1001).await;
    for (query, wanted) in [
        ("attributes=userName", 100),
        ("attributes=userName&count=1000", 1000),
        ("attributes=userName&count=5000", 1000),
        ("attributes=userName&count=5000&startIndex=2", 1000),
        ("attributes=userName&count=5000&startIndex=1001", 1),
        ("attributes=userName&count=5000&filter=id%20pr", 1000),
        ("attributes=userName&filter=userName%20sw%20%22user%22", 100),
        ("attributes=userName&count=1000&startIndex=1002", 0),
    ] {
        let list = service.get(&format!("/Users?{query}")).await.body;
        assert_eq!((&list["totalResults"], &list["itemsPerPage"]), (&json!(1001), &json!(wanted)), "{query}");
        assert_eq!(list["Resources"].as_array().map(Vec::len), Some(wanted), "{query}");
    }
    // The pages together contain each user once.
    let mut seen = Vec::new();
    for start in (1..=1001).step_by(300) {
        let list =
            service.get(&format!("/Users?attributes=userName&count=300&startIndex={start}")).await.body;
        seen.extend(names(&list, "userName"));
    }
    assert_eq!(seen.len(), 1001);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 1001);
}

#[tokio::test]
async fn every_filter_operator_returns_the_matching_users() {
    let service = Service::new().await;
    let mut ada = full_user();
    ada["userName"] = json!("ada");
    service.post("/Users", ada).await;
    let emails = json!([{ "value": "bob@work", "type": "work" }, { "value": "bob@home", "type": "home" }]);
    let bob =
        service.post("/Users", json!({ "userName": "bob", "emails": emails, "active": false })).await.id();
    let group = service.group("Engineers", &[&bob]).await;
    let mut text = String::new();
    #[rustfmt::skip]
    let filters = [
        "userName eq \"ADA\"", "userName ne \"ada\"", "userName co \"D\"", "userName sw \"b\"",
        "userName ew \"B\"", "userName gt \"ada\"", "userName ge \"ada\"", "userName lt \"bob\"",
        "userName le \"bob\"", "userName pr", "title pr", "title eq null", "title ne null",
        "title ne \"Analyst\"", "active eq true", "active ne true", "ACTIVE EQ FALSE",
        "active eq \"False\"", "name.familyName eq \"lovelace\"", "name pr", "emails pr",
        "emails eq \"bob@home\"", "emails.value eq \"BOB@HOME\"", "emails.type eq \"home\"",
        "emails co \"@work\"", "emails[type eq \"work\" and value co \"@home\"]",
        "emails[type eq \"home\" and value co \"@home\"]", "emails[type eq \"work\"].value eq \"bob@work\"",
        "emails[not (type eq \"work\")]", "externalId eq \"00ujl29u0le5T6Aj10h7\"",
        "externalId eq \"00UJL29U0LE5T6AJ10H7\"", "externalId pr",
        "urn:ietf:params:scim:schemas:core:2.0:User:userName eq \"ada\"",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq \"notes\"",
        "department eq \"Notes\"",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value pr", "manager pr",
        "urn:ietf:params:scim:schemas:extension:Custom:2.0:User:tag eq \"X\"",
        "schemas eq \"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\"", "groups pr",
        "groups.value eq \"GROUP\"", "groups eq \"GROUP\"", "groups[value eq \"GROUP\"]",
        "groups.type eq \"direct\"", "groups[type eq \"indirect\"]", "id eq \"BOB\"", "id ne \"BOB\"",
        "meta.resourceType eq \"User\"", "meta.location ew \"BOB\"", "meta.version pr",
        "x509Certificates pr", "x509Certificates.value ne \"x\"",
        "userName eq \"ada\" or userName eq \"bob\" and active eq true",
        "(userName eq \"ada\" or userName eq \"bob\") and active eq false",
        "not (userName eq \"ada\") and not (userName eq \"bob\")", "userName eq \"a\\u0064a\"",
        "addresses.country eq \"gb\"", "phoneNumbers.primary eq true", "roles[primary eq \"True\"]",
    ];
    for filter in filters {
        let asked = filter.replace("GROUP", &group).replace("BOB\"", &format!("{bob}\""));
        let answer = Request::get("/Users").filter(&asked).send(&service).await;
        let mut found = names(&answer.body, "userName");
        found.sort_unstable();
        assert_eq!(answer.body["totalResults"], found.len(), "{filter}");
        let found = if found.is_empty() { "nobody".to_owned() } else { found.join(" ") };
        let _ = writeln!(text, "{filter}: {found}");
    }
    expect![[r#"
        userName eq "ADA": ada
        userName ne "ada": bob
        userName co "D": ada
        userName sw "b": bob
        userName ew "B": bob
        userName gt "ada": bob
        userName ge "ada": ada bob
        userName lt "bob": ada
        userName le "bob": ada bob
        userName pr: ada bob
        title pr: ada
        title eq null: bob
        title ne null: ada
        title ne "Analyst": bob
        active eq true: ada
        active ne true: bob
        ACTIVE EQ FALSE: bob
        active eq "False": bob
        name.familyName eq "lovelace": ada
        name pr: ada
        emails pr: ada bob
        emails eq "bob@home": bob
        emails.value eq "BOB@HOME": bob
        emails.type eq "home": ada bob
        emails co "@work": bob
        emails[type eq "work" and value co "@home"]: nobody
        emails[type eq "home" and value co "@home"]: bob
        emails[type eq "work"].value eq "bob@work": bob
        emails[not (type eq "work")]: ada bob
        externalId eq "00ujl29u0le5T6Aj10h7": ada
        externalId eq "00UJL29U0LE5T6AJ10H7": nobody
        externalId pr: ada
        urn:ietf:params:scim:schemas:core:2.0:User:userName eq "ada": ada
        urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "notes": ada
        department eq "Notes": ada
        urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value pr: ada
        manager pr: ada
        urn:ietf:params:scim:schemas:extension:Custom:2.0:User:tag eq "X": ada
        schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": ada
        groups pr: bob
        groups.value eq "GROUP": bob
        groups eq "GROUP": bob
        groups[value eq "GROUP"]: bob
        groups.type eq "direct": bob
        groups[type eq "indirect"]: nobody
        id eq "BOB": bob
        id ne "BOB": ada
        meta.resourceType eq "User": ada bob
        meta.location ew "BOB": bob
        meta.version pr: ada bob
        x509Certificates pr: ada
        x509Certificates.value ne "x": ada bob
        userName eq "ada" or userName eq "bob" and active eq true: ada
        (userName eq "ada" or userName eq "bob") and active eq false: bob
        not (userName eq "ada") and not (userName eq "bob"): nobody
        userName eq "a\u0064a": ada
        addresses.country eq "gb": ada
        phoneNumbers.primary eq true: ada
        roles[primary eq "True"]: ada
    "#]]
    .assert_eq(&text);
}

#[tokio::test]
async fn time_comparison_honours_the_zone_offset() {
    tests::turns_the_clock();
    let service = Service::at_clock(Clock::fixed(NOW)).await;
    service.user("ada").await;
    for (filter, found) in [
        ("meta.created eq \"2026-11-23T10:00:00.123+01:00\"", 1),
        ("meta.created lt \"2026-11-23T09:00:00.123Z\"", 0),
    ] {
        assert_eq!(
            Request::get("/Users").filter(filter).send(&service).await.body["totalResults"],
            found,
            "{filter}"
        );
    }
}

// Requested attributes

#[tokio::test]
async fn responses_contain_the_requested_attributes() {
    let service = Service::new().await;
    let mut body = full_user();
    body["userName"] = json!("ada");
    let ada = service.post("/Users", body.clone()).await.id();
    service.group("Engineers", &[&ada]).await;
    let mut text = String::new();
    for query in [
        "attributes=userName",
        "attributes=USERNAME,name.givenName",
        "attributes=emails.value",
        "attributes=emails[type eq \"work\"]",
        "attributes=groups",
        "attributes=meta.version",
        "attributes=password",
        "attributes=nonsense",
        "attributes=manager",
        "attributes=urn:ietf:params:scim:schemas:core:2.0:User:title",
        "attributes=roles.value,entitlements.display",
        "attributes=urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        "attributes=urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        "excludedAttributes=id,schemas,userName,name,displayName,nickName,profileUrl,title,userType,preferredLanguage,locale,\
         timezone,active,emails,phoneNumbers,ims,photos,addresses,groups,entitlements,roles,x509Certificates,meta,\
         urn:ietf:params:scim:schemas:extension:enterprise:2.0:User,urn:ietf:params:scim:schemas:extension:Custom:2.0:User",
    ] {
        let query = query.replace(' ', "%20").replace('"', "%22");
        let read = service.get(&format!("/Users/{ada}?{query}")).await;
        let mut shown = read.body.clone();
        shown.as_object_mut().unwrap().shift_remove("schemas").unwrap();
        shown.as_object_mut().unwrap().shift_remove("id").unwrap();
        let _ = writeln!(text, "{}\n    {shown}", query.chars().take(90).collect::<String>());
        // Every kind of request returns the same attributes.
        let listed = service.get(&format!("/Users?{query}")).await.body["Resources"][0].clone();
        assert_eq!(listed, read.body, "{query}");
        let put = service.put(&format!("/Users/{ada}?{query}"), body.clone()).await;
        assert_eq!((put.status, put.body), (200, read.body.clone()), "{query}");
        let nothing = json!([{ "op": "add", "value": {} }]);
        assert_eq!(service.patch(&format!("/Users/{ada}?{query}"), nothing).await.body, read.body, "{query}");
    }
    expect![[r#"
        attributes=userName
            {"userName":"ada"}
        attributes=USERNAME,name.givenName
            {"userName":"ada","name":{"givenName":"Ada"}}
        attributes=emails.value
            {"emails":[{"value":"ada@example.com-1"},{"value":"ada@example.com-2"}]}
        attributes=emails[type%20eq%20%22work%22]
            {}
        attributes=groups
            {"groups":[{"value":"{1}","$ref":"https://scim.test/scim/v2/Groups/{1}","type":"direct"}]}
        attributes=meta.version
            {"meta":{"version":"W/\"{v1}\""}}
        attributes=password
            {}
        attributes=nonsense
            {}
        attributes=manager
            {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"01936f20-0000-7000-8000-000000000000","$ref":"../Users/26118915"}}}
        attributes=urn:ietf:params:scim:schemas:core:2.0:User:title
            {"title":"Analyst"}
        attributes=roles.value,entitlements.display
            {"entitlements":[{"display":"First"}],"roles":[{"value":"analyst-1"},{"value":"analyst-2"}]}
        attributes=urn:ietf:params:scim:schemas:extension:enterprise:2.0:User
            {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"701984","costCenter":"4130","organization":"Analytical Engines","division":"Mathematics","department":"Notes","manager":{"value":"01936f20-0000-7000-8000-000000000000","$ref":"../Users/26118915"}}}
        attributes=urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department
            {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Notes"}}
        excludedAttributes=id,schemas,userName,name,displayName,nickName,profileUrl,title,userType
            {"externalId":"00ujl29u0le5T6Aj10h7"}
    "#]].assert_eq(&service.named(&text));
    let created = service.post("/Users?attributes=userName", json!({ "userName": "x", "title": "y" })).await;
    assert_eq!(created.body.as_object().unwrap().keys().collect::<Vec<_>>(), ["schemas", "id", "userName"]);
    assert_eq!(created.header("location"), format!("{BASE}/Users/{}", created.id()));
}

#[tokio::test]
async fn group_members_can_be_excluded() {
    let service = Service::new().await;
    let ada = service.user("ada").await;
    let group = service.group("Engineers", &[&ada]).await;
    for path in [
        format!("/Groups/{group}?excludedAttributes=members"),
        format!("/Groups/{group}?attributes=displayName"),
    ] {
        let shown = service.get(&path).await.body;
        assert!(shown.get("members").is_none() && shown["displayName"] == "Engineers", "{path}");
    }
    let list = service
        .get("/Groups?excludedAttributes=members&filter=displayName%20eq%20%22engineers%22")
        .await
        .body;
    assert!(list["totalResults"] == 1 && list["Resources"][0].get("members").is_none());
    // A filter can use an excluded attribute.
    let filter = format!(
        "/Groups?excludedAttributes=members&filter=members.type%20eq%20%22User%22%20and%20members%20eq%20%22{ada}%22"
    );
    let list = service.get(&filter).await.body;
    assert!(list["totalResults"] == 1 && list["Resources"][0].get("members").is_none());
    let empty = service.group("Empty", &[]).await;
    assert_eq!(service.get(&format!("/Groups/{empty}")).await.body["members"], json!([]));
}

// Versions

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

// Memberships

#[tokio::test]
async fn group_members_and_user_groups_agree() {
    let service = Service::new().await;
    let all_users = create_users(&service, 4).await;
    let [a, b, c, d] = all_users.as_slice() else { unreachable!() };
    let group = service.group("Engineers", &[a, b]).await;
    let path = format!("/Groups/{group}");
    let other = service.group("Others", &[b, c]).await;
    let members = |ids: &[&String]| ids.iter().map(|id| (*id).clone()).collect::<Vec<_>>();
    let steps: [(Request, Vec<String>); 10] = [
        (
            Request::patch(&path, json!([{ "op": "add", "path": "members", "value": [{ "value": c }] }])),
            members(&[a, b, c]),
        ),
        (
            Request::patch(&path, json!([{ "op": "remove", "path": format!("members[value eq \"{a}\"]") }])),
            members(&[b, c]),
        ),
        (
            Request::patch(
                &path,
                json!([{ "op": "replace", "path": "members", "value": [{ "value": a }, { "value": d }] }]),
            ),
            members(&[a, d]),
        ),
        (
            Request::put(&path, json!({ "displayName": "E", "members": [{ "value": b }, { "value": d }] })),
            members(&[b, d]),
        ),
        (
            Request::patch(&path, json!([{ "op": "remove", "path": "members", "value": [{ "value": b }] }])),
            members(&[d]),
        ),
        (
            Request::patch(
                &path,
                json!([{ "op": "add", "value": { "members": [{ "value": a }], "displayName": "F" } }]),
            ),
            members(&[a, d]),
        ),
        (
            Request::patch(
                &path,
                json!([
                    { "op": "remove", "path": "members" },
                    { "op": "add", "path": "members", "value": [{ "value": a }, { "value": b }, { "value": c }] },
                    { "op": "remove", "path": format!("members[value eq \"{b}\"]") },
                    { "op": "add", "path": "members", "value": { "value": d } },
                ]),
            ),
            members(&[a, c, d]),
        ),
        (
            Request::patch(&path, json!([{ "op": "remove", "path": format!("members[value ne \"{c}\"]") }])),
            members(&[c]),
        ),
        (
            Request::patch(&path, json!([{ "op": "remove", "path": "members[type eq \"User\"]" }])),
            members(&[]),
        ),
        (
            Request::put(&path, json!({ "displayName": "G", "members": as_members(&all_users) })),
            all_users.clone(),
        ),
    ];
    for (request, mut expected) in steps {
        let line = String::from_utf8_lossy(&request.body).into_owned();
        let answer = request.send(&service).await;
        assert!(answer.status < 300, "{line}: {:#}", answer.body);
        expected.sort_unstable();
        assert_members(&service, &group, &expected, &all_users).await;
        let mut both = vec![b.clone(), c.clone()];
        both.sort_unstable();
        assert_members(&service, &other, &both, &all_users).await;
    }
}

#[tokio::test]
async fn groups_nest_and_cycles_are_allowed() {
    let service = Service::new().await;
    let ada = service.user("ada").await;
    let inner = service.group("Inner", &[&ada]).await;
    let outer = service.group("Outer", &[&inner]).await;
    // The members have neither `type` nor `$ref`, so the service looks up their kind.
    let add = |id: &str| json!([{ "op": "add", "path": "members", "value": [{ "value": id }] }]);
    assert_eq!(service.patch(&format!("/Groups/{inner}"), add(&outer)).await.status, 204);
    let mut both = vec![ada.clone(), outer.clone()];
    both.sort_unstable();
    assert_eq!(service.members(&inner).await, both);
    assert_eq!(service.members(&outer).await, std::slice::from_ref(&inner));
    for (member, group) in [(&inner, &outer), (&outer, &inner)] {
        let found = Request::get("/Groups")
            .filter(format!("members.value eq \"{member}\""))
            .send(&service)
            .await
            .body;
        assert_eq!((&found["totalResults"], &found["Resources"][0]["id"]), (&json!(1), &json!(group)));
        let shown = &service.get(&format!("/Groups/{group}")).await.body["members"];
        let shown = shown.as_array().unwrap().iter().find(|shown| shown["value"] == **member).unwrap();
        let reference = format!("{BASE}/Groups/{member}");
        assert_eq!((&shown["type"], &shown["$ref"]), (&json!("Group"), &json!(reference)));
    }
    // A user shows its direct groups only.
    assert_eq!(service.groups(&ada).await, std::slice::from_ref(&inner));
    service.assert_healthy().await;

    assert_eq!(service.delete(&format!("/Groups/{inner}")).await.status, 204);
    assert_eq!(service.members(&outer).await, Vec::<String>::new());
    assert_eq!(service.groups(&ada).await, Vec::<String>::new());
    service.assert_healthy().await;
}

#[tokio::test]
async fn group_can_contain_itself() {
    let service = Service::new().await;
    let mut failures = Vec::new();
    for (name, request) in [
        (
            "PATCH",
            json!({ "Operations": [{ "op": "add", "path": "members", "value": [{ "value": "ID" }] }] }),
        ),
        (
            "PATCH",
            json!({ "Operations": [{ "op": "add", "path": "members", "value": [{ "value": "ID", "type": "Group" }] }] }),
        ),
        (
            "PATCH",
            json!({ "Operations": [{ "op": "replace", "path": "members", "value": [{ "value": "ID" }] }] }),
        ),
        (
            "PATCH",
            json!({ "Operations": [{ "op": "add", "value": { "displayName": "X", "members": [{ "value": "ID" }] } }] }),
        ),
        ("PUT", json!({ "displayName": "X", "members": [{ "value": "ID", "type": "Group" }] })),
    ] {
        let group = service.group("Engineers", &[]).await;
        let path = format!("/Groups/{group}");
        let body = request.to_string().replace("ID", &group);
        let method = Method::from_bytes(name.as_bytes()).unwrap();
        let answer = Request::bytes(method, &path, body.clone()).send(&service).await;
        let members = service.members(&group).await;
        if answer.status >= 300 || members != [group.as_str()] {
            failures.push(format!("{name} {body}: {} {members:?} {}", answer.status, answer.body));
        }
        service.assert_healthy().await;
        assert_eq!(service.delete(&path).await.status, 204);
        service.assert_healthy().await;
    }
    super::assert_no_failures(&failures);
}

#[tokio::test]
async fn deleted_user_leaves_every_group() {
    let service = Service::new().await;
    let all_users = create_users(&service, 3).await;
    let ids: Vec<&str> = all_users.iter().map(String::as_str).collect();
    let groups = [
        service.group("A", &ids).await,
        service.group("B", &ids[..1]).await,
        service.group("C", &ids[1..]).await,
    ];
    assert_eq!(service.delete(&format!("/Users/{}", ids[0])).await.status, 204);
    assert_members(&service, &groups[0], &all_users[1..], &all_users[1..]).await;
    assert_members(&service, &groups[1], &[], &all_users[1..]).await;
    assert_members(&service, &groups[2], &all_users[1..], &all_users[1..]).await;
    let found =
        Request::get("/Groups").filter(format!("members.value eq \"{}\"", ids[0])).send(&service).await.body;
    assert_eq!(found["totalResults"], 0);
    // A deleted user cannot be added again.
    let add = json!([{ "op": "add", "path": "members", "value": [{ "value": ids[0] }] }]);
    assert_eq!(service.patch(&format!("/Groups/{}", groups[0]), add).await.verdict(), "400 invalidValue");
}

#[tokio::test]
async fn large_group_change_is_written_completely() {
    let service = Service::new().await;
    let all_users = create_users(&service, 351).await;
    let (first, rest) = all_users.split_at(150);
    let created =
        service.post("/Groups", json!({ "displayName": "Many", "members": as_members(first) })).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.body["members"].as_array().map(Vec::len), Some(150));
    let group = created.id();
    let path = format!("/Groups/{group}");
    assert_members(&service, &group, first, &all_users).await;

    let put = async |members: &[String]| {
        let answer =
            service.put(&path, json!({ "displayName": "Many", "members": as_members(members) })).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body["members"].as_array().map(Vec::len), Some(members.len()));
        answer.header("etag").to_owned()
    };
    put(&[]).await;
    assert_members(&service, &group, &[], &all_users).await;
    let etag = put(first).await;
    assert_members(&service, &group, first, &all_users).await;
    assert_eq!(put(first).await, etag, "nothing changed");

    let add = json!([{ "op": "add", "path": "members", "value": as_members(&rest[..200]) }]);
    let patched = service.patch(&path, add.clone()).await;
    assert_eq!(patched.status, 204);
    assert_eq!(patched.header("etag"), service.get(&path).await.header("etag"));
    assert_members(&service, &group, &all_users[..350], &all_users).await;
    assert_eq!(service.patch(&path, add).await.status, 204, "again");

    let remove: Value = all_users[..120]
        .iter()
        .map(|id| json!({ "op": "remove", "path": format!("members[value eq \"{id}\"]") }))
        .collect();
    assert_eq!(service.patch(&path, remove).await.status, 204);
    assert_members(&service, &group, &all_users[120..350], &all_users).await;

    // One request removes members, adds members and renames the group.
    let all_at_once = json!([
        { "op": "remove", "path": "members", "value": as_members(&all_users[120..240]) },
        { "op": "add", "path": "members", "value": as_members(&all_users[..100]) },
        { "op": "replace", "path": "displayName", "value": "Very many" },
    ]);
    assert_eq!(service.patch(&path, all_at_once).await.status, 204);
    let expected = [&all_users[..100], &all_users[240..350]].concat();
    assert_members(&service, &group, &expected, &all_users).await;
    assert_eq!(service.get(&path).await.body["displayName"], "Very many");

    let remove_where = json!([{ "op": "remove", "path": "members[type eq \"User\"]" }]);
    assert_eq!(service.patch(&path, remove_where).await.status, 204);
    assert_members(&service, &group, &[], &all_users).await;
}

#[tokio::test]
async fn large_group_change_that_fails_changes_nothing() {
    let service = Service::new().await;
    let all_users = create_users(&service, 200).await;
    let (inside, outside) = all_users.split_at(50);
    let ids: Vec<&str> = inside.iter().map(String::as_str).collect();
    let group = service.group("Engineers", &ids).await;
    service.group("Taken", &[]).await;
    let path = format!("/Groups/{group}");
    let stale = "W/\"stale\"";
    let with_unknown: Value = {
        let mut members = as_members(outside);
        members.as_array_mut().unwrap().insert(77, json!({ "value": UNKNOWN_ID }));
        members
    };
    let many = as_members(outside);
    let before = contents(&service, &service.org, &service.key).await;
    for (verdict, request) in [
        (
            "400 invalidValue",
            Request::post("/Groups", json!({ "displayName": "New", "members": with_unknown })),
        ),
        ("400 invalidValue", Request::put(&path, json!({ "displayName": "New", "members": with_unknown }))),
        (
            "400 invalidValue",
            Request::patch(&path, json!([{ "op": "add", "path": "members", "value": with_unknown }])),
        ),
        (
            "400 invalidValue",
            Request::patch(&path, json!([{ "op": "replace", "path": "members", "value": with_unknown }])),
        ),
        ("409 uniqueness", Request::post("/Groups", json!({ "displayName": "taken", "members": many }))),
        ("409 uniqueness", Request::put(&path, json!({ "displayName": "taken", "members": many }))),
        (
            "409 uniqueness",
            Request::patch(
                &path,
                json!([{ "op": "add", "value": { "displayName": "TAKEN", "members": many } }]),
            ),
        ),
        (
            "412",
            Request::put(&path, json!({ "displayName": "New", "members": many })).header("if-match", stale),
        ),
        (
            "412",
            Request::patch(&path, json!([{ "op": "add", "path": "members", "value": many }]))
                .header("if-match", stale),
        ),
        (
            "404",
            Request::patch(
                format!("/Groups/{UNKNOWN_ID}"),
                json!([{ "op": "add", "path": "members", "value": many }]),
            ),
        ),
        (
            "404",
            Request::put(format!("/Groups/{UNKNOWN_ID}"), json!({ "displayName": "New", "members": many })),
        ),
    ] {
        let line = format!("{} {}", request.method, request.target);
        let answer = request.send(&service).await;
        assert_eq!(answer.verdict(), verdict, "{line}: {:#}", answer.body);
        if verdict == "400 invalidValue" {
            assert!(answer.body["detail"].as_str().unwrap().contains(UNKNOWN_ID), "{:#}", answer.body);
        }
    }
    assert_eq!(contents(&service, &service.org, &service.key).await, before);
}

#[tokio::test]
async fn deletion_removes_all_memberships_of_user_and_group() {
    let service = Service::new().await;
    let all_users = create_users(&service, 150).await;
    let ada = &all_users[0];
    let mut groups = Vec::new();
    for number in 0..40 {
        groups.push(service.group(&format!("Group {number}"), &[ada, &all_users[number + 1]]).await);
    }
    assert_eq!(service.groups(ada).await.len(), 40);
    assert_eq!(service.delete(&format!("/Users/{ada}")).await.status, 204);
    for (number, group) in groups.iter().enumerate() {
        assert_eq!(service.members(group).await, [all_users[number + 1].as_str()]);
    }
    service.assert_healthy().await;

    let ids: Vec<&str> = all_users[1..].iter().map(String::as_str).collect();
    let large = service.group("Large", &ids).await;
    let around = service.group("Around", &[&large]).await;
    assert_eq!(service.delete(&format!("/Groups/{large}")).await.status, 204);
    assert_eq!(service.members(&around).await, Vec::<String>::new());
    for user in &all_users[1..] {
        assert!(!service.groups(user).await.contains(&large));
    }
    service.assert_healthy().await;
    assert_eq!(service.get("/Users?count=0").await.body["totalResults"], 149);
    assert_eq!(service.get("/Groups?count=0").await.body["totalResults"], 41);
}

// Discovery

/// Returns the names, types and characteristics of attributes in the schema table.
fn schema_lines(attributes: &[Attribute], prefix: &str) -> Vec<String> {
    attributes
        .iter()
        .flat_map(|attribute| {
            let name = format!("{prefix}{}", attribute.name);
            let below = schema_lines(attribute.sub_attributes, &format!("{name}."));
            let kind = format!("{:?}", attribute.kind);
            let kind = format!("{}{}", kind[..1].to_lowercase(), &kind[1..]);
            let line = format!(
                "{name} {kind} multi={} required={} exact={} {:?} {:?} {:?}",
                attribute.multi_valued,
                attribute.required,
                attribute.case_exact,
                attribute.mutability,
                attribute.returned,
                attribute.uniqueness
            );
            [vec![line], below].concat()
        })
        .collect()
}

/// Returns the names, types and characteristics of attributes in a published schema.
fn published_lines(attributes: &Value, prefix: &str) -> Vec<String> {
    let text = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        format!("{}{}", text[..1].to_uppercase(), &text[1..])
    };
    attributes
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|attribute| {
            let name = format!("{prefix}{}", attribute["name"].as_str().unwrap_or_default());
            let below = published_lines(&attribute["subAttributes"], &format!("{name}."));
            let line = format!(
                "{name} {} multi={} required={} exact={} {} {} {}",
                attribute["type"].as_str().unwrap_or_default(),
                attribute["multiValued"],
                attribute["required"],
                attribute["caseExact"],
                text(&attribute["mutability"]),
                text(&attribute["returned"]),
                text(&attribute["uniqueness"])
            );
            [vec![line], below].concat()
        })
        .collect()
}

#[tokio::test]
async fn schemas_are_published_with_every_attribute() {
    let service = Service::new().await;
    let list = service.get("/Schemas").await;
    assert_eq!((list.status, &list.body["totalResults"]), (200, &json!(SCHEMAS.len())));
    for (schema, shown) in SCHEMAS.iter().zip(list.body["Resources"].as_array().unwrap()) {
        assert_eq!(shown["id"], schema.id);
        assert_eq!(published_lines(&shown["attributes"], ""), schema_lines(schema.attributes, ""));
        for id in [schema.id.to_owned(), schema.id.to_uppercase(), schema.id.replace(':', "%3A")] {
            let alone = service.get(&format!("/Schemas/{id}")).await;
            assert_eq!((alone.status, &alone.body), (200, shown), "{id}");
        }
        assert_eq!(shown["meta"]["location"], format!("{BASE}/Schemas/{}", schema.id));
    }
}

#[tokio::test]
async fn resource_types_are_published_with_working_links() {
    let service = Service::new().await;
    let list = service.get("/ResourceTypes").await;
    assert_eq!((list.status, &list.body["totalResults"]), (200, &json!(RESOURCE_TYPES.len())));
    for (resource_type, shown) in RESOURCE_TYPES.iter().zip(list.body["Resources"].as_array().unwrap()) {
        let alone = service.get(&format!("/ResourceTypes/{}", resource_type.name)).await;
        assert_eq!((alone.status, &alone.body), (200, shown));
        assert_eq!(service.get(shown["endpoint"].as_str().unwrap()).await.status, 200);
        let extensions = shown["schemaExtensions"].as_array().unwrap();
        let urns = extensions.iter().map(|extension| &extension["schema"]).chain([&shown["schema"]]);
        for urn in urns {
            assert_eq!(service.get(&format!("/Schemas/{}", urn.as_str().unwrap())).await.status, 200);
        }
    }
    expect![[r#"
        {
          "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
          ],
          "id": "User",
          "name": "User",
          "description": "A person of the organisation",
          "endpoint": "/Users",
          "schema": "urn:ietf:params:scim:schemas:core:2.0:User",
          "schemaExtensions": [
            {
              "schema": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
              "required": false
            }
          ],
          "meta": {
            "resourceType": "ResourceType",
            "location": "https://scim.test/scim/v2/ResourceTypes/User"
          }
        }
    "#]]
    .assert_eq(&format!("{:#}\n", list.body["Resources"][0]));
}

#[tokio::test]
async fn discovery_rejects_filters_and_unknown_ids() {
    let service = Service::new().await;
    for path in ["/Schemas", "/ResourceTypes"] {
        for filter in ["?filter=id%20pr", "?filter=", "?FILTER=x", "?count=1&filter=name%20eq%20%22User%22"] {
            assert_eq!(service.get(&format!("{path}{filter}")).await.status, 403, "{path}{filter}");
        }
        // Discovery ignores paging and returns one page.
        let all = service.get(path).await.body;
        assert_eq!(service.get(&format!("{path}?startIndex=2&count=1")).await.body, all);
        assert_eq!(service.get(&format!("{path}/nonsense")).await.status, 404);
    }
    for path in [
        "/ResourceTypes/user",
        "/ResourceTypes/Users",
        "/Schemas/User",
        "/Schemas/urn:x",
        "/ServiceProviderConfig/x",
    ] {
        assert_eq!(service.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn service_provider_config_matches_the_behaviour() {
    let service = Service::new().await;
    let config = service.get("/ServiceProviderConfig").await;
    assert_eq!(config.status, 200);
    let config = config.body;
    assert_eq!(config["schemas"], json!(["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"]));
    assert_eq!(config["meta"]["location"], format!("{BASE}/ServiceProviderConfig"));
    let claims = |name: &str| config[name]["supported"].as_bool().unwrap_or_else(|| panic!("no {name}"));

    let created = service.post("/Users", json!({ "userName": "a", "password": "x" })).await;
    service.user("b").await;
    let path = format!("/Users/{}", created.id());
    let patched = service.patch(&path, json!([{ "op": "add", "path": "title", "value": "x" }])).await;
    assert_eq!(claims("patch"), patched.status == 200);
    assert_eq!(
        claims("etag"),
        Request::get(&path).header("if-none-match", patched.header("etag")).send(&service).await.status
            == 304
    );
    assert_eq!(
        claims("filter"),
        service.get("/Users?filter=userName%20eq%20%22b%22").await.body["totalResults"] == 1
    );
    assert_eq!(config["filter"]["maxResults"], 1000);
    let bulk = service
        .post(
            "/Bulk",
            json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [] }),
        )
        .await;
    assert_eq!(claims("bulk"), bulk.status != 501);
    let order = async |order: &str| {
        names(&service.get(&format!("/Users?sortBy=userName&sortOrder={order}")).await.body, "userName")
    };
    assert_eq!(
        claims("sort"),
        order("descending").await == ["b", "a"] && order("ascending").await == ["a", "b"]
    );
    assert!(!claims("changePassword"));
    // RFC 9865 §4: the service supports paging by cursor and by index. Index paging is the default.
    assert_eq!(
        config["pagination"],
        json!({
            "cursor": true, "index": true, "defaultPaginationMethod": "index",
            "defaultPageSize": 100, "maxPageSize": 1000, "cursorTimeout": 3600,
        })
    );
    let page = service.get("/Users?count=1").await.body;
    assert_eq!((page.get("startIndex"), page.get("nextCursor")), (Some(&json!(1)), None));
    let page = service.get("/Users?cursor=&count=1").await.body;
    assert!(page["nextCursor"].is_string() && page.get("startIndex").is_none());
    assert_eq!(service.get("/ServiceProviderConfig?filter=patch.supported%20eq%20true").await.status, 403);
    assert_eq!(service.get("/ServiceProviderConfig?count=1&sortBy=id").await.body, config);
    assert_eq!(config["authenticationSchemes"].as_array().map(Vec::len), Some(1));
    assert_eq!(config["authenticationSchemes"][0]["type"], "oauthbearertoken");
}
