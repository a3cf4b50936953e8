//! The doctor on stores that were damaged on purpose: it says of each damage what is wrong, and names nobody. And the
//! janitor, who cures what a kill leaves.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, DeleteRequest, WriteRequest},
};
use axum::http::Method;
use dynoxide::Database;
use expect_test::{Expect, expect};
use local::embedded;
use serde_json::{Value, json};
use service::{
    auth::{Caller, Scope},
    config::Tables,
    janitor::{self, Swept},
};
use tests::{ORG, Service};
use tokio::time::Duration;

use crate::program::{Gateway, TempDir};

/// Ids that nothing has.
const NOBODY: &str = "01938000-0000-7000-8000-000000000000";
const CHANGE: &str = "01938000-0000-7000-8000-00000000000c";
/// The clock of [`Service`] stands here: milliseconds since 1970.
const NOW: i64 = 1_795_424_400_123;

/// An organisation of two users, a group of both and a group of that group, and what damages it.
struct Patient {
    service: Service,
    db: Client,
    ids: Vec<(&'static str, String)>,
}

impl Patient {
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
        let patient = Self { service, db: embedded::client(database), ids };
        patient.service.assert_healthy().await;
        patient
    }

    /// `{name}` stands for the id of that name.
    fn named(&self, text: &str) -> String {
        self.ids.iter().fold(text.to_owned(), |text, (name, id)| text.replace(&format!("{{{name}}}"), id))
    }

    /// A key of the organisation: `USER {ann}`, partition and sort key.
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

    /// Deletes an item, which must be there: the names of keys that this test knows are the right ones.
    async fn delete(&self, key: &str) {
        assert!(self.get(key).await.is_some(), "there is no {key}");
        // The connector to the embedded DynamoDB wires what the service uses, and that deletes in batches.
        let request = DeleteRequest::builder().set_key(Some(self.key(key))).build().expect("a request");
        let write = WriteRequest::builder().delete_request(request).build();
        let batch = self.db.batch_write_item().request_items(Tables::default().resources, vec![write]);
        batch.send().await.expect("an answer");
    }

    /// Puts an item of these attributes: text, numbers and lists of text; those it has beside them stay.
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

    /// What the doctor says, a sentence a line, with names for ids.
    async fn findings(&self) -> String {
        let findings = self.service.examine(ORG).await.findings;
        let text: String = findings.iter().flat_map(|finding| [finding, "\n"]).collect();
        for personal in ["zelda", "yorick", "willem", "quux"] {
            assert!(!text.to_lowercase().contains(personal), "{personal} in {text}");
        }
        self.ids.iter().fold(text, |text, (name, id)| text.replace(id, &format!("{{{name}}}")))
    }

    /// Finishes what is pending, as `scimctl doctor --finish` does; gives what the doctor says then.
    async fn findings_after_finishing(&self) -> String {
        let caller = Caller::operator(ORG.parse().expect("a name"));
        self.service.app.store.directory(&caller).finish_pending(Duration::ZERO).await.expect("an end");
        self.findings().await
    }
}

/// What is done to a store.
enum Damage {
    /// This item is deleted.
    Delete(&'static str),
    /// This item is put, or these attributes of it.
    Put(&'static str, Value),
}
use Damage::{Delete, Put};

/// Fails unless the doctor says this, and no more, of a store that was damaged so.
async fn finds(damage: impl IntoIterator<Item = Damage>, expected: Expect) {
    let patient = Patient::new().await;
    for damage in damage {
        match damage {
            Delete(key) => patient.delete(key).await,
            Put(key, attributes) => patient.put(key, attributes).await,
        }
    }
    expected.assert_eq(&patient.findings().await);
}

#[tokio::test]
async fn missing_index_entry_is_reported() {
    finds(
        [Delete("USER#userName zelda.quux")],
        expect![[r#"
        USER {ann} has no userName entry
    "#]],
    )
    .await;
    finds(
        [Delete("USER#externalId X-Zelda\u{1}{ann}")],
        expect![[r#"
        USER {ann} has no externalId entry
    "#]],
    )
    .await;
    finds(
        [Delete("USER#emails.value zelda@quux.example\u{1}{ann}")],
        expect![[r#"
        USER {ann} has no emails.value entry
    "#]],
    )
    .await;
    finds(
        [Delete("GROUP#displayName quux team")],
        expect![[r#"
        GROUP {team} has no displayName entry
    "#]],
    )
    .await;
}

#[tokio::test]
async fn index_entry_without_resource_is_reported() {
    finds(
        [Put("USER#userName willem.quux", json!({ "id": NOBODY }))],
        expect![[r#"
        1 items in USER#userName that belong to no resource
    "#]],
    )
    .await;
    finds(
        [Put("USER#userName willem.quux", json!({ "id": "{ann}" }))],
        expect![[r#"
        1 items in USER#userName that belong to no resource
    "#]],
    )
    .await;
    finds(
        [Put("USER#emails.value willem@quux.example\u{1}{bob}", json!({ "id": "{bob}" }))],
        expect![[r#"
        1 items in USER#emails.value that belong to no resource
    "#]],
    )
    .await;
    finds(
        [Put("GROUP#displayName quux club", json!({ "id": NOBODY }))],
        expect![[r#"
        1 items in GROUP#displayName that belong to no resource
    "#]],
    )
    .await;
    finds(
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
    finds(
        [Put("USER#userName zelda.quux", json!({ "id": "{bob}" }))],
        expect![[r#"
        the userName entry of USER {ann} is {bob}'s
    "#]],
    )
    .await;
    finds(
        [Put("GROUP#displayName quux team", json!({ "id": NOBODY }))],
        expect![[r#"
        the displayName entry of GROUP {team} is 01938000-0000-7000-8000-000000000000's
    "#]],
    )
    .await;
}

#[tokio::test]
async fn duplicate_user_name_is_reported() {
    finds(
        [Put("USER {bob}", json!({ "document": "{\"userName\":\"ZELDA.quux\"}" }))],
        expect![[r#"
            USER {bob} has no userName entry
            1 items in USER#userName that belong to no resource
        "#]],
    )
    .await;
    finds(
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
    finds(
        [Put("USER {bob}", json!({ "document": "Yorick.Quux" }))],
        expect![[r#"
            USER {bob} cannot be read
            the member {bob} of group {team} does not exist
            count USER#13 is not 0, but nothing is there
            1 items in USER#userName that belong to no resource
        "#]],
    )
    .await;
    finds(
        [Put("GROUP {company}", json!({ "format": 2 }))],
        expect![[r#"
            GROUP {company} cannot be read
            the group {company} of member {team} does not exist
            count GROUP#04 is not 0, but nothing is there
            1 items in GROUP#displayName that belong to no resource
        "#]],
    )
    .await;
    finds(
        [Put("USER junk", json!({ "format": 1 }))],
        expect![[r#"
        USER junk cannot be read
    "#]],
    )
    .await;
}

#[tokio::test]
async fn one_sided_membership_is_reported() {
    finds(
        [Delete("MEMBER {ann}#{team}")],
        expect![[r#"
        the member {ann} of group {team} has no reverse edge
    "#]],
    )
    .await;
    finds(
        [Delete("GROUP#{team} {ann}")],
        expect![[r#"
        the reverse edge of member {ann} and group {team} has no edge
    "#]],
    )
    .await;
    finds(
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
    finds(
        both(member, "MEMBER 01938000-0000-7000-8000-000000000000#{team}", "USER"),
        expect![[r#"
        the member 01938000-0000-7000-8000-000000000000 of group {team} does not exist
    "#]],
    )
    .await;
    let group = "GROUP#01938000-0000-7000-8000-000000000000 {ann}";
    finds(
        both(group, "MEMBER {ann}#01938000-0000-7000-8000-000000000000", "USER"),
        expect![[r#"
        the group 01938000-0000-7000-8000-000000000000 of member {ann} does not exist
    "#]],
    )
    .await;
    // A user that the edge says is a group.
    finds(
        both("GROUP#{company} {ann}", "MEMBER {ann}#{company}", "GROUP"),
        expect![[r#"
        the member {ann} of group {company} does not exist
    "#]],
    )
    .await;
    finds(
        [Put("GROUP#{company} {ann}", json!({})), Put("MEMBER {ann}#{company}", json!({}))],
        expect![[r#"
            the member {ann} of group {company} does not exist
        "#]],
    )
    .await;
}

#[tokio::test]
async fn wrong_count_is_reported() {
    let patient = Patient::new().await;
    // Which of the shards an id counts in is the store's own affair.
    let mut shards = Vec::new();
    for kind in ["USER", "GROUP"] {
        for shard in 0..16 {
            let key = format!("COUNT {kind}#{shard:02}");
            if patient.get(&key).await.is_some() {
                shards.push(key);
            }
        }
    }
    let findings = async |damage: &dyn Fn(&str) -> Option<i64>| {
        let patient = Patient::new().await;
        for key in &shards {
            if let Some(count) = damage(key) {
                patient.put(key, json!({ "n": count })).await;
            }
        }
        patient.findings().await
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
        patient.delete(key).await;
    }
    expect![[r#"
        count GROUP#02 is 0, but 1 are there
        count GROUP#04 is 0, but 1 are there
    "#]]
    .assert_eq(&patient.findings().await);
}

#[tokio::test]
async fn count_of_unused_shard_is_reported() {
    let patient = Patient::new().await;
    let mut unused = None;
    for shard in 0..16 {
        let key = format!("COUNT USER#{shard:02}");
        if patient.get(&key).await.is_none() {
            unused = Some(key);
        }
    }
    let unused = unused.expect("two users do not fill every shard");
    patient.put(&unused, json!({ "n": 0 })).await;
    patient.service.assert_healthy().await;
    patient.put(&unused, json!({ "n": -1 })).await;
    expect![[r#"
        count USER#15 is not 0, but nothing is there
    "#]]
    .assert_eq(&patient.findings().await);
}

#[tokio::test]
async fn unfinished_change_is_reported() {
    let pending = || json!({ "step": "members", "subject": "{team}", "since": NOW });
    let part = || json!({ "users": ["{ann}"], "groups": [], "removed": [] });
    finds(
        [Put("PENDING 01938000-0000-7000-8000-00000000000c", pending())],
        expect![[r#"
        1 items of an unfinished change in PENDING
    "#]],
    )
    .await;
    finds(
        [Put("PENDING#01938000-0000-7000-8000-00000000000c 000000", part())],
        expect![[r#"
        1 items of an unfinished change in PENDING#01938000-0000-7000-8000-00000000000c
    "#]],
    )
    .await;
    finds(
        [Put("GROUP {team}", json!({ "intent": CHANGE }))],
        expect![[r#"
        GROUP {team} has the unfinished change 01938000-0000-7000-8000-00000000000c
    "#]],
    )
    .await;
}

#[tokio::test]
async fn unexpected_item_is_reported() {
    finds(
        [Put("SOMETHING else", json!({}))],
        expect![[r#"
        1 items in SOMETHING that belong to no resource
    "#]],
    )
    .await;
    finds(
        [Put("GROUP#junk junk", json!({}))],
        expect![[r#"
        1 items in GROUP#junk that belong to no resource
    "#]],
    )
    .await;
    finds(
        [Put("GROUP#{team} junk", json!({ "kind": "USER" }))],
        expect![[r#"
        the member junk of group {team} does not exist
        the member junk of group {team} has no reverse edge
    "#]],
    )
    .await;
    finds(
        [Put("MEMBER junk", json!({}))],
        expect![[r#"
            a reverse edge that cannot be read
        "#]],
    )
    .await;
}

#[tokio::test]
async fn damage_in_another_organisation_is_not_reported() {
    let patient = Patient::new().await;
    for other in ["acme-2", "acm", "beta"] {
        let mut item = patient.key("USER#userName willem.quux");
        item.insert("pk".to_owned(), AttributeValue::S(format!("ORG#{other}#USER#userName")));
        let put = patient.db.put_item().table_name(Tables::default().resources).set_item(Some(item));
        put.send().await.expect("an answer");
    }
    patient.service.assert_healthy().await;
    assert_eq!(
        patient.service.examine("acme-2").await.findings,
        ["1 items in USER#userName that belong to no resource"]
    );
}

#[tokio::test]
async fn finish_completes_an_interrupted_member_change() {
    let patient = Patient::new().await;
    patient
        .put(
            "PENDING 01938000-0000-7000-8000-00000000000c",
            json!({ "step": "members", "subject": "{company}", "since": NOW }),
        )
        .await;
    let part = json!({ "users": ["{ann}", "{bob}"], "groups": [], "removed": ["{team}"] });
    patient.put("PENDING#01938000-0000-7000-8000-00000000000c 000000", part).await;
    patient.put("GROUP {company}", json!({ "intent": CHANGE })).await;
    expect![[r#"
        GROUP {company} has the unfinished change 01938000-0000-7000-8000-00000000000c
        1 items of an unfinished change in PENDING
        1 items of an unfinished change in PENDING#01938000-0000-7000-8000-00000000000c
    "#]]
    .assert_eq(&patient.findings().await);
    assert_eq!(patient.findings_after_finishing().await, "");
    let members = patient.service.members(&patient.named("{company}")).await;
    let mut expected = [patient.named("{ann}"), patient.named("{bob}")];
    expected.sort_unstable();
    assert_eq!(members, expected);
}

/// An organisation in which the process died so long ago, after the transaction that deletes a user: its edges are left.
async fn with_a_deletion(age_millis: i64) -> Patient {
    let patient = Patient::new().await;
    let path = patient.named("/Users/{bob}");
    assert_eq!(patient.service.request(Method::DELETE, &path, Value::Null).await.status, 204);
    patient.put("GROUP#{team} {bob}", json!({ "kind": "USER" })).await;
    patient.put("MEMBER {bob}#{team}", json!({})).await;
    let tombstone = json!({ "step": "user-deleted", "subject": "{bob}", "since": NOW - age_millis });
    patient.put("PENDING 01938000-0000-7000-8000-00000000000c", tombstone).await;
    patient
}

/// What the doctor says of it.
const DELETION: &str = "\
the member {bob} of group {team} does not exist
1 items of an unfinished change in PENDING
";

#[tokio::test]
async fn finish_completes_an_interrupted_deletion() {
    let patient = with_a_deletion(0).await;
    assert_eq!(patient.findings().await, DELETION);
    assert_eq!(patient.findings_after_finishing().await, "");
    let team = patient.named("{team}");
    assert_eq!(patient.service.members(&team).await, [patient.named("{ann}")]);
}

#[tokio::test]
async fn janitor_finishes_changes_of_an_idle_organisation() {
    let patient = with_a_deletion(120_000).await;
    let swept = janitor::sweep(&patient.service.app.store).await.expect("a sweep");
    let expected = Swept { organisations: 1, finished: 1, failed: 0, oldest_millis: 120_000 };
    assert_eq!(swept, expected);
    assert_eq!(patient.findings().await, "");
    let again = janitor::sweep(&patient.service.app.store).await.expect("a sweep");
    assert_eq!(again, Swept { organisations: 1, ..Swept::default() });
}

#[tokio::test]
async fn janitor_leaves_a_change_while_its_request_may_run() {
    let patient = with_a_deletion(119_999).await;
    let swept = janitor::sweep(&patient.service.app.store).await.expect("a sweep");
    assert_eq!(swept, Swept { organisations: 1, ..Swept::default() });
    assert_eq!(patient.findings().await, DELETION);
}

#[tokio::test]
async fn janitor_continues_after_a_damaged_organisation() {
    let patient = with_a_deletion(200_000).await;
    patient.service.organisation("aardvark", &[Scope::Read]).await;
    let mut damaged = patient.key("PENDING 01938000-0000-7000-8000-00000000000c");
    damaged.insert("pk".to_owned(), AttributeValue::S("ORG#aardvark#PENDING".to_owned()));
    let put = patient.db.put_item().table_name(Tables::default().resources).set_item(Some(damaged));
    put.send().await.expect("an answer");
    let swept = janitor::sweep(&patient.service.app.store).await.expect("a sweep");
    assert_eq!(swept, Swept { organisations: 2, finished: 1, failed: 1, oldest_millis: 200_000 });
    assert_eq!(patient.findings().await, "");
}

/// An organisation with a draft of that age. A draft has no effect: its request was killed before it committed the
/// change, or is about to commit it.
async fn with_a_draft(age_millis: i64) -> Patient {
    let patient = Patient::new().await;
    let draft = json!({ "step": "draft", "subject": "{company}", "since": NOW - age_millis });
    patient.put("PENDING 01938000-0000-7000-8000-00000000000c", draft).await;
    let part = json!({ "users": ["{ann}"], "groups": [], "removed": [] });
    patient.put("PENDING#01938000-0000-7000-8000-00000000000c 000000", part).await;
    patient
}

#[tokio::test]
async fn abandoned_draft_is_reported_and_removed_by_finish() {
    let patient = with_a_draft(121_000).await;
    expect![[r#"
        1 items of an unfinished change in PENDING
        1 items of an unfinished change in PENDING#01938000-0000-7000-8000-00000000000c
    "#]]
    .assert_eq(&patient.findings().await);
    assert_eq!(patient.findings_after_finishing().await, "");
    assert_eq!(patient.service.members(&patient.named("{company}")).await, [patient.named("{team}")]);
}

/// Or else a gateway that was killed a minute ago cannot be found healthy, whatever is finished.
#[tokio::test]
async fn recent_draft_is_kept_and_not_reported() {
    let patient = with_a_draft(1_000).await;
    assert_eq!(patient.findings().await, "");
    assert_eq!(patient.findings_after_finishing().await, "");
    assert!(patient.get("PENDING 01938000-0000-7000-8000-00000000000c").await.is_some());
}

/// Calls an operation of the gateway's own DynamoDB, as any tool does.
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
    let item = json!({ "pk": { "S": "ORG#acme#USER#userName" }, "sk": { "S": "willem.quux" }, "id": { "S": NOBODY } });
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

/// Backups of DynamoDB take transactions up gradually: a restored table may hold some of the changes of one and not the
/// others. Then no request may wait for what never comes.
#[test]
fn partly_restored_change_does_not_block_writers() {
    let dir = TempDir::new("restored");
    let gateway = Gateway::start_with(&dir, &[], ".scim/connection.env");
    let client = gateway.client();
    let user = client.send("POST", "/Users", &json!({ "userName": "zelda" })).id();
    let group = |name: &str| client.send("POST", "/Groups", &json!({ "displayName": name })).id();
    let (pending, intent) =
        (group("a pending change that the group does not name"), group("the other way round"));
    let item = json!({
        "pk": { "S": "ORG#acme#PENDING" }, "sk": { "S": CHANGE },
        "step": { "S": "members" }, "subject": { "S": pending }, "since": { "N": "1" }
    });
    let table = Tables::default().resources;
    dynamodb(&gateway, "PutItem", &json!({ "TableName": table, "Item": item }));
    let key = json!({ "pk": { "S": "ORG#acme#GROUP" }, "sk": { "S": intent } });
    let values = json!({ ":intent": { "S": NOBODY } });
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
