//! PATCH messages and paths.

use axum::http::Method;
use serde_json::json;
use tests::{BASE, Request};

use super::{OTHER, TwoOrgs};
use crate::UNKNOWN_ID;

#[tokio::test]
async fn malformed_patch_is_rejected() {
    let orgs = TwoOrgs::new().await;
    let op = json!({ "op": "replace", "path": "title", "value": "x" });
    let mut table = Vec::new();
    for (verdict, body) in [
        ("400 invalidSyntax", json!({})),
        ("400 invalidSyntax", json!({ "userName": "eve" })),
        ("400 invalidSyntax", json!({ "Operations": [] })),
        ("400 invalidSyntax", json!({ "Operations": null })),
        ("400 invalidSyntax", json!({ "Operations": op })),
        ("400 invalidSyntax", json!({ "Operations": "replace" })),
        ("400 invalidSyntax", json!({ "Operations": [null] })),
        ("400 invalidSyntax", json!({ "Operations": ["replace"] })),
        ("400 invalidSyntax", json!({ "Operations": [[op]] })),
        ("400 invalidSyntax", json!({ "Operations": [{}] })),
        ("400 invalidSyntax", json!({ "Operations": [{ "path": "title", "value": "x" }] })),
        ("400 invalidSyntax", json!({ "Operations": [{ "op": "move", "path": "title" }] })),
        ("400 invalidSyntax", json!({ "Operations": [{ "op": "test", "path": "title", "value": "x" }] })),
        ("400 invalidSyntax", json!({ "Operations": [{ "op": "", "path": "title", "value": "x" }] })),
        ("400 invalidSyntax", json!({ "Operations": [{ "op": 1, "path": "title", "value": "x" }] })),
        ("400 invalidSyntax", json!({ "Operations": [{ "op": ["add"], "path": "title", "value": "x" }] })),
        ("400 invalidSyntax", json!({ "Operations": [{ "op": "add", "path": 1, "value": "x" }] })),
        ("400 invalidSyntax", json!({ "Operations": [{ "op": "add", "path": ["title"], "value": "x" }] })),
        ("400 invalidSyntax", json!({ "Operations": [op], "schemas": {} })),
        (
            "400 invalidSyntax",
            json!({ "Operations": [op], "schemas": "urn:ietf:params:scim:api:messages:2.0:PatchOp" }),
        ),
        (
            "400 invalidSyntax",
            json!({ "Operations": [op], "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"] }),
        ),
        ("400 invalidValue", json!({ "Operations": vec![op.clone(); 1001] })),
        ("400 invalidValue", json!({ "Operations": [{ "op": "add", "path": "title" }] })),
        ("400 invalidValue", json!({ "Operations": [{ "op": "replace" }] })),
        ("400 invalidValue", json!({ "Operations": [{ "op": "replace", "value": "title" }] })),
        ("400 invalidValue", json!({ "Operations": [{ "op": "replace", "value": 1 }] })),
        ("400 invalidValue", json!({ "Operations": [{ "op": "replace", "value": [{ "title": "x" }] }] })),
        ("400 noTarget", json!({ "Operations": [{ "op": "remove" }] })),
        ("400 noTarget", json!({ "Operations": [{ "op": "remove", "value": { "title": "x" } }] })),
        ("400 noTarget", json!({ "Operations": [{ "op": "remove", "path": "" }] })),
    ] {
        for path in [&orgs.user, &orgs.group] {
            // Groups have no `title`.
            if path == &orgs.user || verdict == "400 invalidSyntax" {
                let name: String = body.to_string().chars().take(100).collect();
                table.push((name, verdict, Request::json(Method::PATCH, path, &body)));
            }
        }
    }
    orgs.assert_verdicts(table).await;
}

#[tokio::test]
async fn patch_with_one_invalid_operation_changes_nothing() {
    let orgs = TwoOrgs::new().await;
    let good = json!({ "op": "replace", "path": "displayName", "value": "Changed" });
    let mut table = Vec::new();
    for (verdict, path, bad) in [
        ("400 invalidPath", &orgs.user, json!({ "op": "add", "path": "nonsense", "value": "x" })),
        ("400 mutability", &orgs.user, json!({ "op": "replace", "path": "id", "value": "x" })),
        ("400 invalidValue", &orgs.user, json!({ "op": "replace", "path": "userName", "value": 1 })),
        (
            "409 uniqueness",
            &orgs.user,
            json!({ "op": "replace", "path": "userName", "value": "BOB@example.com" }),
        ),
        (
            "400 noTarget",
            &orgs.user,
            json!({ "op": "replace", "path": "emails[type sw \"h\"].value", "value": "x" }),
        ),
        (
            "400 invalidValue",
            &orgs.group,
            json!({ "op": "add", "path": "members", "value": [{ "value": "nobody" }] }),
        ),
        (
            "400 mutability",
            &orgs.group,
            json!({ "op": "replace", "path": "members[value pr].type", "value": "x" }),
        ),
        ("400 invalidPath", &orgs.group, json!({ "op": "remove", "path": "members[value" })),
    ] {
        for operations in [json!([good, bad]), json!([bad, good]), json!([good, bad, good])] {
            let name = bad.to_string();
            table.push((name.clone(), verdict, Request::patch(path, &operations)));
            let with_members = json!([{ "op": "remove", "path": "members" }, good, bad]);
            if path == &orgs.group {
                table.push((name, verdict, Request::patch(path, &with_members)));
            }
        }
    }
    orgs.assert_verdicts(table).await;
}

/// Returns PATCH requests with this path in each kind of operation.
fn write_requests<'a>(verdict: &'a str, item: &str, path: &str) -> Vec<(String, &'a str, Request)> {
    [
        json!({ "op": "add", "path": path, "value": UNKNOWN_ID }),
        json!({ "op": "replace", "path": path, "value": { "isAdmin": true } }),
        json!({ "op": "remove", "path": path }),
    ]
    .into_iter()
    .map(|operation| (path.to_owned(), verdict, Request::patch(item, json!([operation]))))
    .collect()
}

#[tokio::test]
async fn patch_path_cannot_write_read_only_attributes() {
    let orgs = TwoOrgs::new().await;
    let user = "urn:ietf:params:scim:schemas:core:2.0:User";
    let group = "urn:ietf:params:scim:schemas:core:2.0:Group";
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let mut paths: Vec<(&str, String)> = Vec::new();
    #[rustfmt::skip]
    let names = [
        "id", "ID", "Id", "meta", "META", "meta.created", "meta.version", "Meta.Location",
        "meta.resourceType", "schemas", "SCHEMAS", "groups", "Groups", "groups.value",
        "groups[value eq \"x\"]", "groups[value eq \"x\"].value", "groups.$ref",
    ];
    for name in names {
        paths.push((&orgs.user, name.to_owned()));
        paths.push((&orgs.user, format!("{user}:{name}")));
        paths.push((&orgs.user, format!("{}:{name}", user.to_uppercase())));
    }
    for name in ["id", "iD", "meta", "meta.lastModified", "schemas"] {
        paths.push((&orgs.group, name.to_owned()));
        paths.push((&orgs.group, format!("{group}:{name}")));
    }
    for name in ["members.value", "members.type", "members[value pr].value", "members.$ref"] {
        paths.push((&orgs.group, name.to_owned()));
    }
    paths.push((&orgs.user, format!("{enterprise}:manager.displayName")));
    paths.push((&orgs.user, "manager.displayName".to_owned()));
    orgs.assert_verdicts(
        paths.into_iter().flat_map(|(item, path)| write_requests("400 mutability", item, &path)),
    )
    .await;
}

#[tokio::test]
async fn patch_path_of_unknown_attribute_is_rejected() {
    let orgs = TwoOrgs::new().await;
    #[rustfmt::skip]
    let names = [
        "__proto__", "__proto__.isAdmin", "__proto__[value eq \"x\"]", "constructor",
        "constructor.prototype", "constructor.prototype.isAdmin", "prototype", "toString", "valueOf",
        "hasOwnProperty", "name.__proto__", "name.constructor", "name.toString", "emails.__proto__",
        "emails[type eq \"work\"].__proto__", "emails[type eq \"work\"].constructor",
        "emails[__proto__ eq \"x\"].value", "__proto__:x",
        "urn:ietf:params:scim:schemas:core:2.0:User:__proto__",
        "urn:ietf:params:scim:schemas:core:2.0:User:constructor",
        "urn:ietf:params:scim:schemas:core:2.0:Group:displayName", "nonsense", "isAdmin", "admin", "role",
        "org", "organization.id", "tenant", "scopes", "pk", "sk", "version", "format", "intent", "document",
        "id.x", "id[x pr]", "userName[value eq \"x\"]", "name[givenName pr]", "userName.value",
        "emails.nonsense", "emails[type", "emails[type eq \"work\"]value", "emails[type eq \"work\"].",
        "emails[type eq \"work\"].value.x", "emails.", ".", "..", "/userName", "$.userName",
        "userName,title", "userName title", " ", "emails[]", "emails[0]", "emails[*]", "emails[0].value",
        "emails.0", "emails/0/value", "userName\0", "user\u{200b}Name", "urn:", ":", ":userName",
        "urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:core:2.0:User:",
    ];
    orgs.assert_verdicts(
        names.into_iter().flat_map(|name| write_requests("400 invalidPath", &orgs.user, name)),
    )
    .await;
}

#[tokio::test]
async fn read_only_and_unknown_attributes_in_bodies_are_ignored() {
    let orgs = TwoOrgs::new().await;
    let mass = json!({
        "id": UNKNOWN_ID,
        "ID": null,
        "__proto__": { "isAdmin": true },
        "constructor": { "prototype": { "isAdmin": true } },
        "toString": "x",
        "__proto__.isAdmin": true,
        "constructor.prototype.isAdmin": true,
        "name.__proto__": "x",
        "meta": { "created": "2001-01-01T00:00:00Z", "version": "W/\"x\"", "resourceType": "Admin" },
        "meta.location": "https://evil.example",
        "schemas": ["urn:evil"],
        "groups": [{ "value": orgs.group.trim_start_matches("/Groups/") }],
        "groups.value": "x",
        "password": "secret",
        "isAdmin": true,
        "admin": true,
        "org": OTHER,
        "tenant": OTHER,
        "version": "x",
        "intent": "x",
    });
    let qualified = json!({
        "urn:ietf:params:scim:schemas:core:2.0:User:id": UNKNOWN_ID,
        "urn:ietf:params:scim:schemas:core:2.0:User.groups": [],
        "URN:IETF:PARAMS:SCIM:SCHEMAS:CORE:2.0:USER:META": {},
    });
    let mut table =
        vec![("URN", "200", Request::patch(&orgs.user, json!([{ "op": "add", "value": qualified }])))];
    for op in ["add", "replace"] {
        let mut value = mass.clone();
        value.as_object_mut().unwrap().shift_remove("ID");
        table.push(("user", "200", Request::patch(&orgs.user, json!([{ "op": op, "value": value }]))));
        value.as_object_mut().unwrap().shift_remove("groups");
        table.push(("group", "204", Request::patch(&orgs.group, json!([{ "op": op, "value": value }]))));
    }
    table.push((
        "id twice",
        "400 invalidSyntax",
        Request::patch(&orgs.user, json!([{ "op": "add", "value": mass }])),
    ));
    orgs.assert_verdicts(table).await;

    // The same attributes in the bodies of a POST and a PUT.
    let mut body = mass;
    let object = body.as_object_mut().unwrap();
    object.shift_remove("ID");
    object.insert("userName".into(), "eve@example.com".into());
    for answer in [
        orgs.service.post("/Users", body.clone()).await,
        orgs.service
            .put(&orgs.user, json!({ "userName": "x", "schemas": [], "id": UNKNOWN_ID, "isAdmin": true }))
            .await,
    ] {
        assert!(answer.status < 300, "{:#}", answer.body);
        let mut names: Vec<_> = answer.body.as_object().unwrap().keys().map(String::as_str).collect();
        names.retain(|name| *name != "groups");
        names.retain(|name| *name != "active");
        assert_eq!(names, ["schemas", "id", "userName", "meta"]);
        assert_ne!(answer.id(), UNKNOWN_ID);
        assert_eq!(answer.body["schemas"], json!(["urn:ietf:params:scim:schemas:core:2.0:User"]));
        assert_eq!(orgs.service.named(answer.body["meta"]["created"].as_str().unwrap_or_default()), "{now}");
        assert_eq!(answer.body["meta"]["resourceType"], "User");
        let location = format!("{BASE}/Users/{}", answer.id());
        assert_eq!(answer.body["meta"]["location"], location.as_str());
    }
    orgs.service.assert_healthy().await;
}
