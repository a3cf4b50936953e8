//! An organisation whose stored items tests damage.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    primitives::Blob,
    types::{AttributeValue, DeleteRequest, WriteRequest},
};
use dynoxide::Database;
use expect_test::Expect;
use local::embedded;
use scim::id::Id;
use serde_json::{Value, json};
use service::{auth::Caller, config::Tables, store::Directory};
use tests::{ORG, Service};

/// An id that no resource has.
pub(crate) const UNKNOWN_ID: &str = "01938000-0000-7000-8000-000000000000";
/// The id of a change, whose name is `{change}`.
const CHANGE_ID: &str = "01938000-0000-7000-8000-00000000000c";
/// The entry of that change in the list of unfinished changes.
pub(crate) const ENTRY: &str = "UNFINISHED#07 acme#{change}";
/// The fixed time of [`Service`], in milliseconds since 1970.
pub(crate) const NOW: i64 = 1_795_424_400_123;

/// An organisation of two users, a group of both users and a group that contains this group. Tests damage its items.
pub(crate) struct TestOrg {
    pub(crate) service: Service,
    pub(crate) database: Database,
    db: Client,
    ids: Vec<(&'static str, String)>,
}

impl TestOrg {
    pub(crate) async fn new() -> Self {
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
        let change = CHANGE_ID.to_owned();
        let ids = vec![("ann", ann), ("bob", bob), ("team", team), ("company", company), ("change", change)];
        let org = Self { service, db: embedded::client(database.clone()), database, ids };
        org.service.assert_healthy().await;
        org
    }

    pub(crate) fn directory(&self) -> Directory {
        self.service.app.store.directory(&Caller::operator(ORG.parse().expect("a name")))
    }

    /// Replaces `{name}` by the id of that name.
    pub(crate) fn named(&self, text: &str) -> String {
        self.ids.iter().fold(text.to_owned(), |text, (name, id)| text.replace(&format!("{{{name}}}"), id))
    }

    /// Returns a key from partition and sort key, such as `USER {ann}`. The partition belongs to the organisation, unless
    /// it is one of the list of unfinished changes.
    pub(crate) fn key(&self, key: &str) -> HashMap<String, AttributeValue> {
        let (partition, sort) = key.split_once(' ').expect("two parts");
        let org = if partition.starts_with("UNFINISHED#") { "" } else { "ORG#acme#" };
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.named(&format!("{org}{partition}")))),
            ("sk".to_owned(), AttributeValue::S(self.named(sort))),
        ])
    }

    pub(crate) async fn get(&self, key: &str) -> Option<HashMap<String, AttributeValue>> {
        let table = Tables::default().resources;
        let got = self.db.get_item().table_name(table).set_key(Some(self.key(key))).send();
        got.await.expect("an answer").item
    }

    /// Returns the items of a partition.
    pub(crate) async fn partition(&self, partition: &str) -> Vec<HashMap<String, AttributeValue>> {
        let pk = AttributeValue::S(format!("ORG#acme#{partition}"));
        let query =
            self.db.query().table_name(Tables::default().resources).key_condition_expression("pk = :pk");
        let answer = query.expression_attribute_values(":pk", pk).send().await.expect("an answer");
        answer.items.expect("items")
    }

    /// Deletes an item. Fails unless the item exists, so that a wrong key in a test is noticed.
    pub(crate) async fn delete(&self, key: &str) {
        assert!(self.get(key).await.is_some(), "{key} does not exist");
        // The embedded connector supports only the operations of the service, which deletes in batches.
        let request = DeleteRequest::builder().set_key(Some(self.key(key))).build().expect("a request");
        let write = WriteRequest::builder().delete_request(request).build();
        let batch = self.db.batch_write_item().request_items(Tables::default().resources, vec![write]);
        batch.send().await.expect("an answer");
    }

    /// Puts an item with these attributes. A list is a list of ids, stored as their bytes. Other attributes of the item
    /// stay.
    pub(crate) async fn put(&self, key: &str, attributes: Value) {
        let mut item = self.get(key).await.unwrap_or_default();
        item.extend(self.key(key));
        for (name, value) in attributes.as_object().expect("an object") {
            item.insert(name.clone(), self.attribute(value));
        }
        self.put_item(item).await;
    }

    pub(crate) async fn put_item(&self, item: HashMap<String, AttributeValue>) {
        let put = self.db.put_item().table_name(Tables::default().resources).set_item(Some(item));
        put.send().await.expect("an answer");
    }

    fn attribute(&self, value: &Value) -> AttributeValue {
        let id =
            |text: &Value| Id::parse(&self.named(text.as_str().expect("text"))).expect("an id").to_bytes();
        match value {
            Value::Bool(value) => AttributeValue::Bool(*value),
            Value::Number(number) => AttributeValue::N(number.to_string()),
            Value::Array(ids) => AttributeValue::B(Blob::new(ids.iter().flat_map(id).collect::<Vec<u8>>())),
            other => AttributeValue::S(self.named(other.as_str().expect("text"))),
        }
    }

    pub(crate) async fn damage(&self, damage: impl IntoIterator<Item = Damage>) {
        for damage in damage {
            match damage {
                Damage::Delete(key) => self.delete(key).await,
                Damage::Put(key, attributes) => self.put(key, attributes).await,
            }
        }
    }

    /// Returns the findings of the doctor, one per line, with names in place of ids.
    pub(crate) async fn findings(&self) -> String {
        let findings = self.service.examine(ORG).await.findings;
        self.lines(&findings)
    }

    /// Finishes changes and returns the remaining findings, as `scimctl doctor --finish` prints them.
    pub(crate) async fn findings_after_finish(&self) -> String {
        let left = self.directory().finish_pending().await.expect("an end");
        self.findings().await + &self.lines(&left)
    }

    fn lines(&self, findings: &[String]) -> String {
        let text: String = findings.iter().flat_map(|finding| [finding, "\n"]).collect();
        for personal in ["zelda", "yorick", "willem", "quux"] {
            assert!(!text.to_lowercase().contains(personal), "{personal} in {text}");
        }
        self.ids.iter().fold(text, |text, (name, id)| text.replace(id, &format!("{{{name}}}")))
    }
}

/// A change that damages the store.
pub(crate) enum Damage {
    /// Deletes this item.
    Delete(&'static str),
    /// Puts this item, or these attributes of an existing item.
    Put(&'static str, Value),
}

/// Compares the findings of the doctor on a store with this damage.
pub(crate) async fn assert_findings(damage: impl IntoIterator<Item = Damage>, expected: Expect) {
    let org = TestOrg::new().await;
    org.damage(damage).await;
    expected.assert_eq(&org.findings().await);
}
