//! Memberships: the members of groups and the groups of users agree, also after large changes.
//!
//! The tests compare both sides of each membership. The doctor then checks the stored items.

use axum::http::Method;
use serde_json::{Value, json};
use tests::{BASE, Request, Service};

use super::{UNKNOWN_ID, as_members, assert_members, assert_no_failures, contents, create_users};

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
    assert_no_failures(&failures);
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
