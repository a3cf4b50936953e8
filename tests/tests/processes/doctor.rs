//! The doctor on stores whose resources, memberships and counts were damaged on purpose: it reports each damage without
//! personal data.

use aws_sdk_dynamodb::types::AttributeValue;
use expect_test::expect;
use serde_json::{Value, json};
use service::config::Tables;

use crate::{
    damage::{
        Damage::{Delete, Put},
        TestOrg, UNKNOWN_ID, assert_findings,
    },
    program::{Gateway, TempDir, credential},
};

#[tokio::test]
async fn missing_index_entry_is_reported() {
    assert_findings(
        [Delete("USER#userName zelda.quux")],
        expect![[r#"
        USER {ann} has no userName entry
    "#]],
    )
    .await;
    assert_findings(
        [Delete("USER#externalId X-Zelda\u{1}{ann}")],
        expect![[r#"
        USER {ann} has no externalId entry
    "#]],
    )
    .await;
    assert_findings(
        [Delete("USER#emails.value zelda@quux.example\u{1}{ann}")],
        expect![[r#"
        USER {ann} has no emails.value entry
    "#]],
    )
    .await;
    assert_findings(
        [Delete("GROUP#displayName quux team")],
        expect![[r#"
        GROUP {team} has no displayName entry
    "#]],
    )
    .await;
}

#[tokio::test]
async fn index_entry_without_resource_is_reported() {
    assert_findings(
        [Put("USER#userName willem.quux", json!({ "id": UNKNOWN_ID }))],
        expect![[r#"
        1 items in USER#userName that belong to no resource
    "#]],
    )
    .await;
    assert_findings(
        [Put("USER#userName willem.quux", json!({ "id": "{ann}" }))],
        expect![[r#"
        1 items in USER#userName that belong to no resource
    "#]],
    )
    .await;
    assert_findings(
        [Put("USER#emails.value willem@quux.example\u{1}{bob}", json!({ "id": "{bob}" }))],
        expect![[r#"
        1 items in USER#emails.value that belong to no resource
    "#]],
    )
    .await;
    assert_findings(
        [Put("GROUP#displayName quux club", json!({ "id": UNKNOWN_ID }))],
        expect![[r#"
        1 items in GROUP#displayName that belong to no resource
    "#]],
    )
    .await;
    assert_findings(
        [Delete("USER {bob}"), Put("MEMBER {bob}#{company}", json!({}))],
        expect![[r#"
            the member {bob} of group {team} does not exist
            the reverse edge of member {bob} and group {company} has no edge
            count USER#01 is 1, but 0 are there
            1 items in USER#userName that belong to no resource
        "#]],
    )
    .await;
}

#[tokio::test]
async fn index_entry_of_another_resource_is_reported() {
    assert_findings(
        [Put("USER#userName zelda.quux", json!({ "id": "{bob}" }))],
        expect![[r#"
        the userName entry of USER {ann} is {bob}'s
    "#]],
    )
    .await;
    assert_findings(
        [Put("GROUP#displayName quux team", json!({ "id": UNKNOWN_ID }))],
        expect![[r#"
        the displayName entry of GROUP {team} is 01938000-0000-7000-8000-000000000000's
    "#]],
    )
    .await;
}

#[tokio::test]
async fn duplicate_user_name_is_reported() {
    assert_findings(
        [Put("USER {bob}", json!({ "document": "{\"userName\":\"ZELDA.quux\"}" }))],
        expect![[r#"
            the userName entry of USER {bob} is {ann}'s
            USER {ann} has no userName entry
            1 items in USER#userName that belong to no resource
        "#]],
    )
    .await;
    assert_findings(
        [Put("USER {ann}", json!({ "document": "{\"userName\":\"YORICK.quux\"}" }))],
        expect![[r#"
            USER {ann} has no userName entry
            1 items in USER#emails.value that belong to no resource
            1 items in USER#externalId that belong to no resource
            1 items in USER#userName that belong to no resource
        "#]],
    )
    .await;
}

#[tokio::test]
async fn unreadable_resource_is_reported() {
    assert_findings(
        [Put("USER {bob}", json!({ "document": "Yorick.Quux" }))],
        expect![[r#"
            USER {bob} cannot be read
            the member {bob} of group {team} does not exist
            count USER#01 is 1, but 0 are there
            1 items in USER#userName that belong to no resource
        "#]],
    )
    .await;
    assert_findings(
        [Put("GROUP {company}", json!({ "format": 2 }))],
        expect![[r#"
            GROUP {company} cannot be read
            the group {company} of member {team} does not exist
            count GROUP#00 is 1, but 0 are there
            1 items in GROUP#displayName that belong to no resource
        "#]],
    )
    .await;
    assert_findings(
        [Put("USER junk", json!({ "format": 1 }))],
        expect![[r#"
        USER junk cannot be read
    "#]],
    )
    .await;
}

#[tokio::test]
async fn one_sided_membership_is_reported() {
    assert_findings(
        [Delete("MEMBER {ann}#{team}")],
        expect![[r#"
        the member {ann} of group {team} has no reverse edge
    "#]],
    )
    .await;
    assert_findings(
        [Delete("GROUP#{team} {ann}")],
        expect![[r#"
        the reverse edge of member {ann} and group {team} has no edge
    "#]],
    )
    .await;
    assert_findings(
        [Delete("GROUP#{company} {team}")],
        expect![[r#"
        the reverse edge of member {team} and group {company} has no edge
    "#]],
    )
    .await;
}

#[tokio::test]
async fn membership_of_missing_resource_is_reported() {
    let both = |edge: &'static str, reverse: &'static str, kind: &str| {
        [Put(edge, json!({ "kind": kind })), Put(reverse, json!({}))]
    };
    let member = "GROUP#{team} 01938000-0000-7000-8000-000000000000";
    assert_findings(
        both(member, "MEMBER 01938000-0000-7000-8000-000000000000#{team}", "USER"),
        expect![[r#"
        the member 01938000-0000-7000-8000-000000000000 of group {team} does not exist
    "#]],
    )
    .await;
    let group = "GROUP#01938000-0000-7000-8000-000000000000 {ann}";
    assert_findings(
        both(group, "MEMBER {ann}#01938000-0000-7000-8000-000000000000", "USER"),
        expect![[r#"
        the group 01938000-0000-7000-8000-000000000000 of member {ann} does not exist
    "#]],
    )
    .await;
    // The edge says that the user is a group.
    assert_findings(
        both("GROUP#{company} {ann}", "MEMBER {ann}#{company}", "GROUP"),
        expect![[r#"
        the member {ann} of group {company} does not exist
    "#]],
    )
    .await;
    assert_findings(
        [Put("GROUP#{company} {ann}", json!({})), Put("MEMBER {ann}#{company}", json!({}))],
        expect![[r#"
            the member {ann} of group {company} does not exist
        "#]],
    )
    .await;
}

#[tokio::test]
async fn wrong_count_is_reported() {
    let org = TestOrg::new().await;
    // The store decides which shard counts an id.
    let mut shards = Vec::new();
    for kind in ["USER", "GROUP"] {
        for shard in 0..16 {
            let key = format!("COUNT {kind}#{shard:02}");
            if org.get(&key).await.is_some() {
                shards.push(key);
            }
        }
    }
    let findings = async |damage: &dyn Fn(&str) -> Option<i64>| {
        let org = TestOrg::new().await;
        for key in &shards {
            if let Some(count) = damage(key) {
                org.put(key, json!({ "n": count })).await;
            }
        }
        org.findings().await
    };
    let users = |by: i64| move |key: &str| key.starts_with("COUNT USER").then_some(by);
    expect![[r#"
        count USER#01 is 7, but 1 are there
        count USER#06 is 7, but 1 are there
    "#]]
    .assert_eq(&findings(&users(7)).await);
    expect![[r#"
        count USER#01 is 0, but 1 are there
        count USER#06 is 0, but 1 are there
    "#]]
    .assert_eq(&findings(&users(0)).await);
    for key in shards.iter().filter(|key| key.starts_with("COUNT GROUP")) {
        org.delete(key).await;
    }
    expect![[r#"
        count GROUP#00 is 0, but 1 are there
        count GROUP#01 is 0, but 1 are there
    "#]]
    .assert_eq(&org.findings().await);
}

#[tokio::test]
async fn wrong_count_of_inactive_users_is_reported() {
    let org = TestOrg::new().await;
    let users: Vec<String> = (0..16).map(|shard| format!("COUNT USER#{shard:02}")).collect();
    let deactivate = json!([{ "op": "replace", "path": "active", "value": false }]);
    for user in org.service.get("/Users").await.body["Resources"].as_array().expect("users") {
        let path = format!("/Users/{}", user["id"].as_str().expect("an id"));
        assert_eq!(org.service.patch(&path, deactivate.clone()).await.status, 200);
    }
    org.service.assert_healthy().await;
    // Earlier releases do not count inactive users.
    for key in &users {
        if org.get(key).await.is_some() {
            org.delete(key).await;
            org.put(key, json!({ "n": 1, "gone": 0 })).await;
        }
    }
    expect![[r#"
        count of inactive users USER#01 is 0, but 1 are there
        count of inactive users USER#06 is 0, but 1 are there
    "#]]
    .assert_eq(&org.findings().await);
    for key in &users {
        if org.get(key).await.is_some() {
            org.put(key, json!({ "inactive": -1 })).await;
        }
    }
    expect![[r#"
        count of inactive users USER#01 is -1, but 1 are there
        count of inactive users USER#06 is -1, but 1 are there
    "#]]
    .assert_eq(&org.findings().await);
}

#[tokio::test]
async fn count_of_unused_shard_is_reported() {
    let org = TestOrg::new().await;
    let mut unused = None;
    for shard in 0..16 {
        let key = format!("COUNT USER#{shard:02}");
        if org.get(&key).await.is_none() {
            unused = Some(key);
        }
    }
    let unused = unused.expect("two users do not fill every shard");
    org.put(&unused, json!({ "n": 0 })).await;
    org.service.assert_healthy().await;
    org.put(&unused, json!({ "n": -1 })).await;
    expect![[r#"
        count USER#15 is -1, but 0 are there
    "#]]
    .assert_eq(&org.findings().await);
}

#[tokio::test]
async fn wrong_count_leaves_lists_intact() {
    let org = TestOrg::new().await;
    for count in [json!(-100), json!("not a number")] {
        for shard in 0..16 {
            org.put(&format!("COUNT USER#{shard:02}"), json!({ "n": count })).await;
        }
        let list = org.service.get("/Users").await;
        assert_eq!((list.status, list.body["totalResults"].as_u64()), (200, Some(2)), "{count}");
    }
}

#[tokio::test]
async fn damaged_bookmark_leaves_lists_intact() {
    let org = TestOrg::new().await;
    org.service.get("/Users?count=1").await;
    let bookmarks = org.partition("PAGE").await;
    assert!(!bookmarks.is_empty());
    for bookmark in bookmarks {
        let sort_key = bookmark["sk"].as_s().expect("text");
        org.put(&format!("PAGE {sort_key}"), json!({ "expires": "soon" })).await;
    }
    let page = org.service.get("/Users?startIndex=2&count=1").await;
    assert_eq!((page.status, page.body["Resources"].as_array().map(Vec::len)), (200, Some(1)));
}

#[tokio::test]
async fn unexpected_item_is_reported() {
    assert_findings(
        [Put("SOMETHING else", json!({}))],
        expect![[r#"
        1 items in SOMETHING that belong to no resource
    "#]],
    )
    .await;
    assert_findings(
        [Put("GROUP#junk junk", json!({}))],
        expect![[r#"
        1 items in GROUP#junk that belong to no resource
    "#]],
    )
    .await;
    assert_findings(
        [Put("GROUP#{team} junk", json!({ "kind": "USER" }))],
        expect![[r#"
        the member junk of group {team} does not exist
        the member junk of group {team} has no reverse edge
    "#]],
    )
    .await;
    assert_findings(
        [Put("MEMBER junk", json!({}))],
        expect![[r#"
            a reverse edge that cannot be read
        "#]],
    )
    .await;
}

#[tokio::test]
async fn damage_in_another_organisation_is_not_reported() {
    let org = TestOrg::new().await;
    for other in ["acme-2", "acm", "beta"] {
        let mut item = org.key("USER#userName willem.quux");
        item.insert("pk".to_owned(), AttributeValue::S(format!("ORG#{other}#USER#userName")));
        org.put_item(item).await;
    }
    org.service.assert_healthy().await;
    assert_eq!(
        org.service.examine("acme-2").await.findings,
        ["1 items in USER#userName that belong to no resource"]
    );
}

/// Calls an operation of the gateway's embedded DynamoDB over HTTP.
fn dynamodb(gateway: &Gateway, operation: &str, request: &Value) {
    let answer = ureq::post(&gateway.dynamodb)
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
        .header("content-type", "application/x-amz-json-1.0")
        .header("authorization", credential(&gateway.dynamodb_key))
        .header("x-amz-date", "20261123T090000Z")
        .send(request.to_string());
    assert!(answer.is_ok(), "{operation}: {answer:?}");
}

#[test]
fn scimctl_doctor_prints_findings_and_exits_with_3() {
    let dir = TempDir::new("doctor");
    let gateway = Gateway::start_with(&dir, &[], ".scim/connection.env");
    let doctor = |arguments: &[&str]| {
        dir.run("scimctl", &[&["doctor", "--org", "acme"], arguments].concat(), &[]).snapshot()
    };
    let client = gateway.client();
    let id = client.send("POST", "/Users", &json!({ "userName": "Zelda.Quux" })).id();
    client.send("POST", "/Groups", &json!({ "displayName": "Team", "members": [{ "value": id }] }));
    expect![[r#"
        exit 0
        out: acme: healthy: 1 users, 1 groups, 1 memberships
    "#]]
    .assert_eq(&doctor(&[]));
    expect![[r#"
        exit 0
        out: {
          "org": "acme",
          "healthy": true,
          "users": 1,
          "groups": 1,
          "memberships": 1,
          "findings": []
        }
    "#]]
    .assert_eq(&doctor(&["--output", "json", "--finish"]));
    let key = json!({ "pk": { "S": "ORG#acme#USER#userName" }, "sk": { "S": "zelda.quux" } });
    dynamodb(&gateway, "DeleteItem", &json!({ "TableName": Tables::default().resources, "Key": key }));
    let item = json!({ "pk": { "S": "ORG#acme#USER#userName" }, "sk": { "S": "willem.quux" }, "id": { "S": UNKNOWN_ID } });
    dynamodb(&gateway, "PutItem", &json!({ "TableName": Tables::default().resources, "Item": item }));
    expect![[r#"
        exit 3
        out: acme: NOT healthy: 1 users, 1 groups, 1 memberships
        USER <id> has no userName entry
        1 items in USER#userName that belong to no resource
    "#]]
    .assert_eq(&doctor(&[]).replace(&id, "<id>"));
    expect![[r#"
        exit 3
        out: {
          "org": "acme",
          "healthy": false,
          "users": 1,
          "groups": 1,
          "memberships": 1,
          "findings": [
            "USER <id> has no userName entry",
            "1 items in USER#userName that belong to no resource"
          ]
        }
    "#]]
    .assert_eq(&doctor(&["--output", "json", "--finish"]).replace(&id, "<id>"));
}

/// A DynamoDB backup is not isolated from transactions: a restored table may hold only some changes of a transaction.
/// No request may then wait for the missing changes.
#[test]
fn partly_restored_change_does_not_block_writers() {
    let dir = TempDir::new("restored");
    let gateway = Gateway::start_with(&dir, &[], ".scim/connection.env");
    let client = gateway.client();
    let user = client.send("POST", "/Users", &json!({ "userName": "zelda" })).id();
    let group = |name: &str| client.send("POST", "/Groups", &json!({ "displayName": name })).id();
    let (pending, intent, reservation) = (
        group("a change that the group does not name"),
        group("an intent without its change"),
        group("a reservation without its change"),
    );
    let item = json!({
        "pk": { "S": "ORG#acme#PENDING" }, "sk": { "S": "01938000-0000-7000-8000-00000000000c" },
        "kind": { "S": "members" }, "subject": { "S": pending }, "since": { "N": "1" }, "lease": { "N": "2" }
    });
    let table = Tables::default().resources;
    dynamodb(&gateway, "PutItem", &json!({ "TableName": table, "Item": item }));
    for (group, attribute, change) in [
        (&intent, "intent", UNKNOWN_ID),
        (&reservation, "reservation", "01938000-0000-7000-8000-00000000000d"),
    ] {
        let key = json!({ "pk": { "S": "ORG#acme#GROUP" }, "sk": { "S": group } });
        let update = json!({
            "TableName": table, "Key": key, "UpdateExpression": format!("SET {attribute} = :change"),
            "ExpressionAttributeValues": { ":change": { "S": change } }
        });
        dynamodb(&gateway, "UpdateItem", &update);
    }
    for group in [pending, intent, reservation] {
        let body = json!({ "displayName": group, "members": [{ "value": user }] });
        let answer = client.send("PUT", &format!("/Groups/{group}"), &body);
        assert_eq!((answer.status, &answer.body["members"][0]["value"]), (200, &json!(user)), "{answer:?}");
    }
    let doctor = dir.run("scimctl", &["doctor", "--org", "acme", "--finish"], &[]);
    assert_eq!(doctor.code, 0, "{}", doctor.snapshot());
}
