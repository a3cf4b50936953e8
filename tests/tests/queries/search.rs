//! Searches by `POST`, sorting, and projection.

use axum::http::Method;
use expect_test::{Expect, expect};
use serde_json::{Value, json};
use tests::{Answer, Request, Service, encode};
use time::Duration;

use super::{GROUPS, Paging, ROOT, USERS, all_of, each, resources, service_with_clock, walk};

/// Creates four users and two groups, in that order, with all attributes that queries use.
async fn directory() -> (Service, Vec<String>, Vec<String>) {
    let (service, clock) = service_with_clock().await;
    let mut users = Vec::new();
    for (name, title, mail) in [
        ("bea", "b", "z@x.example"),
        ("Ann", "B", "y@x.example"),
        ("cy", "a", "x@x.example"),
        ("dot", "", "w@x.example"),
    ] {
        clock.advance(Duration::milliseconds(1));
        let body = json!({
            "userName": name, "title": title, "externalId": name, "active": name != "cy",
            "name": { "givenName": name, "familyName": "x" }, "emails": [{ "value": mail, "type": "work" }],
        });
        users.push(service.post(USERS, body).await.id());
    }
    let mut groups = Vec::new();
    for (name, members) in [("y", &users[..2]), ("X", &users[1..3])] {
        clock.advance(Duration::milliseconds(1));
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        groups.push(service.group(name, &members).await);
    }
    (service, users, groups)
}

/// Returns the answer without the value of the next cursor, which is different each time.
fn without_cursor(mut answer: Answer) -> Value {
    if let Some(cursor) = answer.body.get_mut("nextCursor") {
        *cursor = "given".into();
    }
    json!([answer.status, answer.body])
}

#[tokio::test]
async fn search_equals_get() {
    let (service, users, groups) = directory().await;
    let member = format!("groups.value eq \"{}\"", groups[0]);
    let team = format!("members[value eq \"{}\"]", users[1]);
    let cases: [(&'static str, Vec<(&'static str, &str)>); 22] = [
        (USERS, vec![]),
        (USERS, vec![("count", "0")]),
        (USERS, vec![("count", "2"), ("startIndex", "2")]),
        (USERS, vec![("count", "-5"), ("startIndex", "-5")]),
        (USERS, vec![("startIndex", "99")]),
        (USERS, vec![("cursor", ""), ("count", "2")]),
        (USERS, vec![("cursor", "nonsense")]),
        (USERS, vec![("filter", "userName eq \"ANN\"")]),
        (USERS, vec![("filter", &member), ("sortBy", "userName")]),
        (USERS, vec![("filter", "nonsense")]),
        (USERS, vec![("filter", "title pr"), ("sortBy", "title"), ("sortOrder", "descending")]),
        (USERS, vec![("sortBy", "nonsense")]),
        (USERS, vec![("attributes", "userName,emails.type,nonsense")]),
        (USERS, vec![("attributes", "id")]),
        (USERS, vec![("excludedAttributes", "meta,name.givenName,id")]),
        (USERS, vec![("attributes", "userName"), ("excludedAttributes", "meta")]),
        (USERS, vec![("aadOptscim062020", "")]),
        (GROUPS, vec![]),
        (GROUPS, vec![("excludedAttributes", "members")]),
        (GROUPS, vec![("filter", &team), ("attributes", "displayName")]),
        (GROUPS, vec![("filter", "displayName sw \"x\""), ("count", "1")]),
        (GROUPS, vec![("filter", "userName eq \"x\"")]),
    ];
    for (path, parameters) in cases {
        let query =
            parameters.iter().fold(Request::get(path), |query, (name, value)| query.query(name, value));
        let got = without_cursor(query.send(&service).await);
        assert_eq!(without_cursor(query.to_search().send(&service).await), got, "{query:?}");
    }
}

#[tokio::test]
async fn search_takes_attributes_as_lists() {
    let (service, ..) = directory().await;
    for (body, expected) in [
        (json!({ "attributes": ["userName", "emails.value"] }), "emails,id,schemas,userName"),
        (json!({ "attributes": ["userName"], "excludedAttributes": [] }), "id,schemas,userName"),
        (
            json!({ "ATTRIBUTES": ["urn:ietf:params:scim:schemas:core:2.0:User:userName"] }),
            "id,schemas,userName",
        ),
        (json!({ "attributes": "userName,title" }), "id,schemas,title,userName"),
        (json!({ "attributes": [] }), "active,emails,externalId,groups,id,meta,name,schemas,title,userName"),
        (
            json!({ "attributes": null }),
            "active,emails,externalId,groups,id,meta,name,schemas,title,userName",
        ),
        (
            json!({ "excludedAttributes": ["meta", "groups", "emails", "name"] }),
            "active,externalId,id,schemas,title,userName",
        ),
        (json!({ "attributes": ["userName"], "excludedAttributes": ["meta"] }), "400 invalidValue"),
        (json!({ "attributes": [1] }), "400 invalidValue"),
        (json!({ "attributes": { "a": "b" } }), "400 invalidValue"),
        (json!({ "filter": true }), "400 invalidValue"),
        (json!({ "filter": "" }), "400 invalidFilter"),
        (json!({ "count": "x" }), "400 invalidValue"),
        (json!({ "startIndex": 1.5 }), "400 invalidValue"),
        (json!({ "count": 1, "Count": 2 }), "400 invalidValue"),
        (json!([]), "400 invalidSyntax"),
        (json!("x"), "400 invalidSyntax"),
    ] {
        let answer = service.post("/Users/.search", body.clone()).await;
        let shown = || {
            let first = resources(&answer.body)[0].as_object().expect("a user");
            let mut names: Vec<&str> = first.keys().map(String::as_str).collect();
            names.sort_unstable();
            names.join(",")
        };
        assert_eq!(if answer.status == 200 { shown() } else { answer.verdict() }, expected, "{body}");
    }
}

#[tokio::test]
async fn root_search_lists_users_before_groups() {
    let (service, users, groups) = directory().await;
    let all = [users, groups].concat();
    for paging in [Paging::Index, Paging::Cursor] {
        for count in 1..=7 {
            let pages = walk(&service, &Request::get(ROOT), paging, count, async || ()).await;
            assert_eq!(each(&all_of(&pages), "id"), all, "{paging:?} in pages of {count}");
            if paging == Paging::Index {
                assert!(pages.iter().all(|page| page["totalResults"] == 6), "{pages:#?}");
            }
        }
    }
    for (index, count, expected) in
        [(1, 0, 0..0), (4, 1, 3..4), (4, 2, 3..5), (5, 9, 4..6), (6, 9, 5..6), (7, 9, 6..6), (90, 9, 6..6)]
    {
        let answer = Request::get(ROOT)
            .query("startIndex", index)
            .query("count", count)
            .send_query(&service)
            .await
            .body;
        assert_eq!(each(resources(&answer), "id"), all[expected], "{count} from {index}");
        assert_eq!(answer["totalResults"], 6);
    }
}

#[tokio::test]
async fn root_filter_treats_foreign_attributes_as_absent() {
    let (service, ..) = directory().await;
    for (filter, expected) in [
        ("userName eq \"ann\" or displayName eq \"X\"", "Ann,X"),
        ("userName pr and not (title pr)", "dot"),
        ("members pr", "y,X"),
        ("not (userName pr)", "y,X"),
        ("displayName pr", "y,X"),
        ("emails.type eq \"work\" and active eq false", "cy"),
        ("meta.resourceType eq \"Group\"", "y,X"),
        ("nonsense pr", "400 invalidFilter"),
    ] {
        let answer = Request::get(ROOT).filter(filter).send_query(&service).await;
        let found = || {
            let name = |shown: &Value| {
                let name = shown.get("userName").or(shown.get("displayName")).and_then(Value::as_str);
                name.unwrap_or_default().to_owned()
            };
            resources(&answer.body).iter().map(name).collect::<Vec<_>>().join(",")
        };
        assert_eq!(if answer.status == 200 { found() } else { answer.verdict() }, expected, "{filter}");
    }
}

#[tokio::test]
async fn root_search_projects_each_resource_type() {
    let (service, ..) = directory().await;
    let bodies = [
        (
            json!({ "attributes": ["userName", "displayName", "members.value"] }),
            "id,schemas,userName",
            "displayName,id,members,schemas",
        ),
        (json!({ "attributes": ["title"] }), "id,schemas,title", "id,schemas"),
        (
            json!({ "excludedAttributes": ["members", "groups", "emails", "meta"] }),
            "active,externalId,id,name,schemas,title,userName",
            "displayName,id,schemas",
        ),
    ];
    for (body, user, group) in bodies {
        let answer = service.post("/.search", body.clone()).await.body;
        let shown: Vec<String> = [0, 4]
            .map(|index| {
                let mut names: Vec<&str> = resources(&answer)[index]
                    .as_object()
                    .expect("a resource")
                    .keys()
                    .map(String::as_str)
                    .collect();
                names.sort_unstable();
                names.join(",")
            })
            .into();
        assert_eq!(shown, [user, group], "{body}");
    }
    // Each resource type has its own order.
    let sorted = Request::get(ROOT).query("sortBy", "displayName").send_query(&service).await.body;
    assert_eq!(each(resources(&sorted), "displayName"), ["", "", "", "", "X", "y"]);
}

#[tokio::test]
async fn unsortable_attribute_is_rejected() {
    let (service, ..) = directory().await;
    for (path, by, order, expected) in [
        (USERS, "nonsense", "ascending", "400 invalidValue"),
        (USERS, "name", "ascending", "400 invalidValue"),
        (USERS, "meta", "ascending", "400 invalidValue"),
        (USERS, "password", "ascending", "400 invalidValue"),
        (USERS, "members", "ascending", "400 invalidValue"),
        (USERS, "groups", "ascending", "400 invalidValue"),
        (USERS, "groups.value", "ascending", "400 invalidValue"),
        (GROUPS, "members.value", "ascending", "400 invalidValue"),
        (USERS, "x509Certificates.value", "ascending", "400 invalidValue"),
        (USERS, "emails[type eq \"work\"].value", "ascending", "400 invalidValue"),
        (USERS, "((", "ascending", "400 invalidValue"),
        (USERS, "userName,title", "ascending", "400 invalidValue"),
        (USERS, "userName", "up", "400 invalidValue"),
        (USERS, "", "up", "400 invalidValue"),
        (USERS, "", "", "200"),
        (USERS, "USERNAME", "DESCENDING", "200"),
        (USERS, "urn:ietf:params:scim:schemas:core:2.0:User:userName", "", "200"),
        (GROUPS, "userName", "ascending", "400 invalidValue"),
        (ROOT, "userName", "ascending", "200"),
        (ROOT, "nonsense", "ascending", "400 invalidValue"),
    ] {
        let query = Request::get(path).query("sortBy", by).query("sortOrder", order);
        let paged = query.clone().query("cursor", "");
        for query in [query, paged] {
            let answer = query.send_query(&service).await;
            assert_eq!(answer.verdict(), expected, "{query:?}: {}", answer.body["detail"]);
        }
    }
}

#[tokio::test]
async fn me_endpoint_is_not_implemented() {
    let (service, ..) = directory().await;
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let has_body = method != Method::GET && method != Method::DELETE;
        let request = if has_body {
            Request::json(method.clone(), "/Me", json!({}))
        } else {
            Request::new(method.clone(), "/Me")
        };
        let answer = request.send(&service).await;
        assert_eq!(answer.status, 501, "{method}");
        assert_eq!(answer.header("content-type"), "application/scim+json");
    }
    expect![[r#"
        501
        {
          "schemas": [
            "urn:ietf:params:scim:api:messages:2.0:Error"
          ],
          "status": "501",
          "detail": "/Me is not supported: API keys do not belong to a user. Users are at /Users."
        }
    "#]]
    .assert_eq(&service.get("/Me").await.snapshot());
}

/// Compares the answers to requests about a new user or a new group with these parameters.
async fn shown(path: &str, parameters: &str, expected: Expect) {
    let service = Service::new().await;
    let member = service.user("member").await;
    let (body, changed, operations) = if path == USERS {
        let body = |title: &str| {
            json!({
                "userName": "ann", "title": title, "name": { "givenName": "Ann", "familyName": "X" },
                "emails": [{ "value": "ann@x.example", "type": "work" }],
            })
        };
        (body("a"), body("b"), json!([{ "op": "replace", "path": "title", "value": "c" }]))
    } else {
        let body = |name: &str| json!({ "displayName": name, "members": [{ "value": member }] });
        (body("a"), body("b"), json!([{ "op": "replace", "path": "displayName", "value": "c" }]))
    };
    let created = service.post(&format!("{path}?{parameters}"), body).await;
    let item = format!("{path}/{}", created.id());
    let answers = [
        ("POST", created.clone()),
        ("PUT", service.put(&format!("{item}?{parameters}"), changed).await),
        ("PATCH", service.patch(&format!("{item}?{parameters}"), operations).await),
        ("GET", service.get(&format!("{item}?{parameters}")).await),
    ];
    let lines = answers.into_iter().map(|(method, answer)| {
        let body = answer.body.to_string().replace(&created.id(), "{id}").replace(&member, "{member}");
        format!("{method} {}: {}\n", answer.status, service.named(&body))
    });
    expected.assert_eq(&lines.collect::<String>());
}

#[tokio::test]
async fn requested_attributes_are_returned() {
    shown(USERS, "attributes=title,name.givenName", expect![[r#"
        POST 201: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"{id}","name":{"givenName":"Ann"},"title":"a"}
        PUT 200: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"{id}","name":{"givenName":"Ann"},"title":"b"}
        PATCH 200: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"{id}","name":{"givenName":"Ann"},"title":"c"}
        GET 200: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"{id}","name":{"givenName":"Ann"},"title":"c"}
    "#]]).await;
    shown(USERS, "attributes=emails.type", expect![[r#"
        POST 201: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"{id}","emails":[{"type":"work"}]}
        PUT 200: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"{id}","emails":[{"type":"work"}]}
        PATCH 200: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"{id}","emails":[{"type":"work"}]}
        GET 200: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"{id}","emails":[{"type":"work"}]}
    "#]]).await;
    shown(
        GROUPS,
        "attributes=displayName",
        expect![[r#"
        POST 201: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"{id}","displayName":"a"}
        PUT 200: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"{id}","displayName":"b"}
        PATCH 200: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"{id}","displayName":"c"}
        GET 200: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"{id}","displayName":"c"}
    "#]],
    )
    .await;
    shown(GROUPS, "attributes=members.value", expect![[r#"
        POST 201: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"{id}","members":[{"value":"{member}"}]}
        PUT 200: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"{id}","members":[{"value":"{member}"}]}
        PATCH 200: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"{id}","members":[{"value":"{member}"}]}
        GET 200: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"{id}","members":[{"value":"{member}"}]}
    "#]]).await;
}

#[tokio::test]
async fn excluded_attributes_are_omitted() {
    shown(USERS, "excludedAttributes=meta,groups,name.familyName,emails,id", expect![[r#"
        POST 201: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"{id}","userName":"ann","name":{"givenName":"Ann"},"title":"a","active":true}
        PUT 200: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"{id}","userName":"ann","name":{"givenName":"Ann"},"title":"b","active":true}
        PATCH 200: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"{id}","userName":"ann","name":{"givenName":"Ann"},"title":"c","active":true}
        GET 200: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"{id}","userName":"ann","name":{"givenName":"Ann"},"title":"c","active":true}
    "#]]).await;
    shown(
        GROUPS,
        "excludedAttributes=members,meta",
        expect![[r#"
        POST 201: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"{id}","displayName":"a"}
        PUT 200: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"{id}","displayName":"b"}
        PATCH 200: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"{id}","displayName":"c"}
        GET 200: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"{id}","displayName":"c"}
    "#]],
    )
    .await;
    shown(GROUPS, "excludedAttributes=", expect![[r#"
        POST 201: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"{id}","displayName":"a","members":[{"value":"{member}","$ref":"https://scim.test/scim/v2/Users/{member}","type":"User"}],"meta":{"resourceType":"Group","created":"{now}","lastModified":"{now}","location":"https://scim.test/scim/v2/Groups/{id}","version":"W/\"{v1}\""}}
        PUT 200: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"{id}","displayName":"b","members":[{"value":"{member}","$ref":"https://scim.test/scim/v2/Users/{member}","type":"User"}],"meta":{"resourceType":"Group","created":"{now}","lastModified":"{now}","location":"https://scim.test/scim/v2/Groups/{id}","version":"W/\"{v2}\""}}
        PATCH 204: null
        GET 200: {"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"{id}","displayName":"c","members":[{"value":"{member}","$ref":"https://scim.test/scim/v2/Users/{member}","type":"User"}],"meta":{"resourceType":"Group","created":"{now}","lastModified":"{now}","location":"https://scim.test/scim/v2/Groups/{id}","version":"W/\"{v3}\""}}
    "#]]).await;
}

#[tokio::test]
async fn attributes_with_excluded_attributes_change_nothing() {
    let (service, ..) = directory().await;
    let both = "attributes=userName&excludedAttributes=title";
    let before = service.get(USERS).await.body;
    let id = before["Resources"][0]["id"].as_str().expect("an id").to_owned();
    let item = format!("/Users/{id}?{both}");
    let operations = json!([{ "op": "replace", "path": "title", "value": "c" }]);
    for answer in [
        service.post(&format!("/Users?{both}"), json!({ "userName": "new" })).await,
        service.put(&item, json!({ "userName": "new" })).await,
        service.patch(&item, operations).await,
        service.get(&item).await,
        service.get(&format!("/Users?{both}")).await,
    ] {
        assert_eq!(answer.verdict(), "400 invalidValue");
    }
    assert_eq!(service.get(USERS).await.body, before);
}

#[tokio::test]
async fn filter_accepts_any_percent_encoding() {
    let (service, ..) = directory().await;
    for filter in [
        "userName+eq+%22ann%22".to_owned(),
        "userName%20eq%20%22ann%22".to_owned(),
        encode("userName eq \"ann\""),
        encode("urn:ietf:params:scim:schemas:core:2.0:User:userName EQ \"\\u0041nn\""),
    ] {
        let answer = service.get(&format!("/Users?filter={filter}")).await;
        assert_eq!(each(resources(&answer.body), "userName"), ["Ann"], "{filter}");
    }
}
