//! The doctor on stores that were damaged on purpose: it reports each damage without personal data.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, DeleteRequest, WriteRequest},
};
use dynoxide::Database;
use expect_test::{Expect, expect};
use local::embedded;
use serde_json::{Value, json};
use service::{auth::Caller, config::Tables};
use tests::{ORG, Service};
use tokio::time::Duration;

use crate::program::{Gateway, TempDir};

/// An id that no resource has.
const UNKNOWN_ID: &str = "01938000-0000-7000-8000-000000000000";
/// The id of a pending change.
const CHANGE_ID: &str = "01938000-0000-7000-8000-00000000000c";
/// The fixed time of [`Service`], in milliseconds since 1970.
const NOW: i64 = 1_795_424_400_123;

/// An organisation of two users, a group of both users and a group that contains this group. Tests damage its items.
struct TestOrg {
    service: Service,
    db: Client,
    ids: Vec<(&'static str, String)>,
}

impl TestOrg {
    async fn new() -> Self {
        let database = Database::memory().expect("a database in memory");
        let service = Service::on(embedded::client(database.clone())).await;
        let user = json!({
            "userName": "Zelda.Quux", "externalId": "X-Zelda", "displayName": "Zelda Quux",
            "emails": [{ "value": "zelda@quux.example" }]
        });
        let ann = service.post("/Users", user).await.id();
        let bob = service.user("Yorick.Quux").await;
        let team = service.group("Quux Team", &[&ann, &bob]).await;
        let company = service.group("Quux Company", &[&team]).await;
        let ids = vec![("ann", ann), ("bob", bob), ("team", team), ("company", company)];
        let org = Self { service, db: embedded::client(database), ids };
        org.service.assert_healthy().await;
        org
    }

    /// Replaces `{name}` by the id of that name.
    fn named(&self, text: &str) -> String {
        self.ids.iter().fold(text.to_owned(), |text, (name, id)| text.replace(&format!("{{{name}}}"), id))
    }

    /// Returns a key of the organisation from partition and sort key, such as `USER {ann}`.
    fn key(&self, key: &str) -> HashMap<String, AttributeValue> {
        let (partition, sort) = key.split_once(' ').expect("two parts");
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.named(&format!("ORG#acme#{partition}")))),
            ("sk".to_owned(), AttributeValue::S(self.named(sort))),
        ])
    }

    async fn get(&self, key: &str) -> Option<HashMap<String, AttributeValue>> {
        let table = Tables::default().resources;
        let got = self.db.get_item().table_name(table).set_key(Some(self.key(key))).send();
        got.await.expect("an answer").item
    }

    /// Deletes an item. Fails unless the item exists, so that a wrong key in a test is noticed.
    async fn delete(&self, key: &str) {
        assert!(self.get(key).await.is_some(), "{key} does not exist");
        // The embedded connector supports only the operations of the service, which deletes in batches.
        let request = DeleteRequest::builder().set_key(Some(self.key(key))).build().expect("a request");
        let write = WriteRequest::builder().delete_request(request).build();
        let batch = self.db.batch_write_item().request_items(Tables::default().resources, vec![write]);
        batch.send().await.expect("an answer");
    }

    /// Puts an item with these attributes: strings, numbers and lists of strings. Other attributes of the item stay.
    async fn put(&self, key: &str, attributes: Value) {
        let mut item = self.get(key).await.unwrap_or_default();
        item.extend(self.key(key));
        for (name, value) in attributes.as_object().expect("an object") {
            item.insert(name.clone(), self.attribute(value));
        }
        let put = self.db.put_item().table_name(Tables::default().resources).set_item(Some(item));
        put.send().await.expect("an answer");
    }

    fn attribute(&self, value: &Value) -> AttributeValue {
        match value {
            Value::Number(number) => AttributeValue::N(number.to_string()),
            Value::Array(list) => AttributeValue::L(list.iter().map(|value| self.attribute(value)).collect()),
            other => AttributeValue::S(self.named(other.as_str().expect("text"))),
        }
    }

    /// Returns the findings of the doctor, one per line, with names in place of ids.
    async fn findings(&self) -> String {
        let findings = self.service.examine(ORG).await.findings;
        let text: String = findings.iter().flat_map(|finding| [finding, "\n"]).collect();
        for personal in ["zelda", "yorick", "willem", "quux"] {
            assert!(!text.to_lowercase().contains(personal), "{personal} in {text}");
        }
        self.ids.iter().fold(text, |text, (name, id)| text.replace(id, &format!("{{{name}}}")))
    }

    /// Finishes pending changes as `scimctl doctor --finish` does, and returns the remaining findings.
    async fn findings_after_finish(&self) -> String {
        let caller = Caller::operator(ORG.parse().expect("a name"));
        self.service.app.store.directory(&caller).finish_pending(Duration::ZERO).await.expect("an end");
        self.findings().await
    }
}

/// A change that damages the store.
enum Damage {
    /// Deletes this item.
    Delete(&'static str),
    /// Puts this item, or these attributes of an existing item.
    Put(&'static str, Value),
}
use Damage::{Delete, Put};

/// Compares the findings of the doctor on a store with this damage.
async fn assert_findings(damage: impl IntoIterator<Item = Damage>, expected: Expect) {
    let org = TestOrg::new().await;
    for damage in damage {
        match damage {
            Delete(key) => org.delete(key).await,
            Put(key, attributes) => org.put(key, attributes).await,
        }
    }
    expected.assert_eq(&org.findings().await);
}

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
            count USER#13 is not 0, but nothing is there
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
            USER {bob} has no userName entry
            1 items in USER#userName that belong to no resource
        "#]],
    )
    .await;
    assert_findings(
        [Put("USER {ann}", json!({ "document": "{\"userName\":\"YORICK.quux\"}" }))],
        expect![[r#"
            the userName entry of USER {ann} is {bob}'s
            USER {bob} has no userName entry
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
            count USER#13 is not 0, but nothing is there
            1 items in USER#userName that belong to no resource
        "#]],
    )
    .await;
    assert_findings(
        [Put("GROUP {company}", json!({ "format": 2 }))],
        expect![[r#"
            GROUP {company} cannot be read
            the group {company} of member {team} does not exist
            count GROUP#04 is not 0, but nothing is there
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
        count USER#02 is 7, but 1 are there
        count USER#13 is 7, but 1 are there
    "#]]
    .assert_eq(&findings(&users(7)).await);
    expect![[r#"
        count USER#02 is 0, but 1 are there
        count USER#13 is 0, but 1 are there
    "#]]
    .assert_eq(&findings(&users(0)).await);
    for key in shards.iter().filter(|key| key.starts_with("COUNT GROUP")) {
        org.delete(key).await;
    }
    expect![[r#"
        count GROUP#02 is 0, but 1 are there
        count GROUP#04 is 0, but 1 are there
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
        count USER#15 is not 0, but nothing is there
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
    let query = org.db.query().table_name(Tables::default().resources).key_condition_expression("pk = :pk");
    let query = query.expression_attribute_values(":pk", AttributeValue::S("ORG#acme#PAGE".to_owned()));
    let bookmarks = query.send().await.expect("an answer").items.expect("items");
    assert!(!bookmarks.is_empty());
    for bookmark in bookmarks {
        let sort_key = bookmark["sk"].as_s().expect("text");
        org.put(&format!("PAGE {sort_key}"), json!({ "expires": "soon" })).await;
    }
    let page = org.service.get("/Users?startIndex=2&count=1").await;
    assert_eq!((page.status, page.body["Resources"].as_array().map(Vec::len)), (200, Some(1)));
}

#[tokio::test]
async fn unfinished_change_is_reported() {
    let pending = || json!({ "step": "members", "subject": "{team}", "since": NOW });
    let part = || json!({ "users": ["{ann}"], "groups": [], "removed": [] });
    assert_findings(
        [Put("PENDING 01938000-0000-7000-8000-00000000000c", pending())],
        expect![[r#"
        1 items of an unfinished change in PENDING
    "#]],
    )
    .await;
    assert_findings(
        [Put("PENDING#01938000-0000-7000-8000-00000000000c 000000", part())],
        expect![[r#"
        1 items of an unfinished change in PENDING#01938000-0000-7000-8000-00000000000c
    "#]],
    )
    .await;
    assert_findings(
        [Put("GROUP {team}", json!({ "intent": CHANGE_ID }))],
        expect![[r#"
        GROUP {team} has the unfinished change 01938000-0000-7000-8000-00000000000c
    "#]],
    )
    .await;
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
        let put = org.db.put_item().table_name(Tables::default().resources).set_item(Some(item));
        put.send().await.expect("an answer");
    }
    org.service.assert_healthy().await;
    assert_eq!(
        org.service.examine("acme-2").await.findings,
        ["1 items in USER#userName that belong to no resource"]
    );
}

#[tokio::test]
async fn finish_completes_an_interrupted_member_change() {
    let org = TestOrg::new().await;
    org.put(
        "PENDING 01938000-0000-7000-8000-00000000000c",
        json!({ "step": "members", "subject": "{company}", "since": NOW }),
    )
    .await;
    let part = json!({ "users": ["{ann}", "{bob}"], "groups": [], "removed": ["{team}"] });
    org.put("PENDING#01938000-0000-7000-8000-00000000000c 000000", part).await;
    org.put("GROUP {company}", json!({ "intent": CHANGE_ID })).await;
    expect![[r#"
        GROUP {company} has the unfinished change 01938000-0000-7000-8000-00000000000c
        1 items of an unfinished change in PENDING
        1 items of an unfinished change in PENDING#01938000-0000-7000-8000-00000000000c
    "#]]
    .assert_eq(&org.findings().await);
    assert_eq!(org.findings_after_finish().await, "");
    let members = org.service.members(&org.named("{company}")).await;
    let mut expected = [org.named("{ann}"), org.named("{bob}")];
    expected.sort_unstable();
    assert_eq!(members, expected);
}

/// Returns an organisation in which the process died after the transaction that deletes a user: the user's edges are
/// left.
async fn org_with_deletion(age_millis: i64) -> TestOrg {
    let org = TestOrg::new().await;
    let path = org.named("/Users/{bob}");
    assert_eq!(org.service.delete(&path).await.status, 204);
    org.put("GROUP#{team} {bob}", json!({ "kind": "USER" })).await;
    org.put("MEMBER {bob}#{team}", json!({})).await;
    let tombstone = json!({ "step": "user-deleted", "subject": "{bob}", "since": NOW - age_millis });
    org.put("PENDING 01938000-0000-7000-8000-00000000000c", tombstone).await;
    org
}

/// The findings on such an organisation.
const DELETION_FINDINGS: &str = "\
the member {bob} of group {team} does not exist
1 items of an unfinished change in PENDING
";

#[tokio::test]
async fn finish_completes_an_interrupted_deletion() {
    let org = org_with_deletion(0).await;
    assert_eq!(org.findings().await, DELETION_FINDINGS);
    assert_eq!(org.findings_after_finish().await, "");
    let team = org.named("{team}");
    assert_eq!(org.service.members(&team).await, [org.named("{ann}")]);
}

/// Returns an organisation with a draft of this age. A draft has no effect: its request was killed before it committed
/// the change, or is about to commit it.
async fn org_with_draft(age_millis: i64) -> TestOrg {
    let org = TestOrg::new().await;
    let draft = json!({ "step": "draft", "subject": "{company}", "since": NOW - age_millis });
    org.put("PENDING 01938000-0000-7000-8000-00000000000c", draft).await;
    let part = json!({ "users": ["{ann}"], "groups": [], "removed": [] });
    org.put("PENDING#01938000-0000-7000-8000-00000000000c 000000", part).await;
    org
}

#[tokio::test]
async fn abandoned_draft_is_reported_and_removed_by_finish() {
    let org = org_with_draft(121_000).await;
    expect![[r#"
        1 items of an unfinished change in PENDING
        1 items of an unfinished change in PENDING#01938000-0000-7000-8000-00000000000c
    "#]]
    .assert_eq(&org.findings().await);
    assert_eq!(org.findings_after_finish().await, "");
    assert_eq!(org.service.members(&org.named("{company}")).await, [org.named("{team}")]);
}

/// A recent draft is no finding: a gateway that was killed a minute ago leaves drafts that `--finish` must not remove
/// yet.
#[tokio::test]
async fn recent_draft_is_kept_and_not_reported() {
    let org = org_with_draft(1_000).await;
    assert_eq!(org.findings().await, "");
    assert_eq!(org.findings_after_finish().await, "");
    assert!(org.get("PENDING 01938000-0000-7000-8000-00000000000c").await.is_some());
}

/// Calls an operation of the gateway's embedded DynamoDB over HTTP.
fn dynamodb(gateway: &Gateway, operation: &str, request: &Value) {
    let answer = ureq::post(&gateway.dynamodb)
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
        .header("content-type", "application/x-amz-json-1.0")
        .header("authorization", "AWS4-HMAC-SHA256 Credential=local/20261123/local/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
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
    let (pending, intent) =
        (group("a pending change that the group does not name"), group("an intent without a pending change"));
    let item = json!({
        "pk": { "S": "ORG#acme#PENDING" }, "sk": { "S": CHANGE_ID },
        "step": { "S": "members" }, "subject": { "S": pending }, "since": { "N": "1" }
    });
    let table = Tables::default().resources;
    dynamodb(&gateway, "PutItem", &json!({ "TableName": table, "Item": item }));
    let key = json!({ "pk": { "S": "ORG#acme#GROUP" }, "sk": { "S": intent } });
    let values = json!({ ":intent": { "S": UNKNOWN_ID } });
    let set = "SET intent = :intent";
    let update = json!({ "TableName": table, "Key": key, "UpdateExpression": set, "ExpressionAttributeValues": values });
    dynamodb(&gateway, "UpdateItem", &update);
    for group in [pending, intent] {
        let body = json!({ "displayName": group, "members": [{ "value": user }] });
        let answer = client.send("PUT", &format!("/Groups/{group}"), &body);
        assert_eq!((answer.status, &answer.body["members"][0]["value"]), (200, &json!(user)), "{answer:?}");
    }
    let doctor = dir.run("scimctl", &["doctor", "--org", "acme", "--finish"], &[]);
    assert_eq!(doctor.code, 0, "{}", doctor.snapshot());
}
