//! An organisation with every kind of data, and the calls of an operator.

use dynoxide::Database;
use local::embedded;
use serde_json::{Value, json};
use service::{
    auth::{Org, Scope},
    clock::Clock,
    config::Tables,
    entropy::Entropy,
    store::{
        OrgChange, Store,
        transfer::{ExportError, Import, ImportError, Imported, PeopleImport, Refused},
    },
};
use tests::{NOW, ORG, Request, Service, operator};

/// An extension that no schema describes.
pub(crate) const BADGES: &str = "urn:ietf:params:scim:schemas:extension:Badges:2.0:User";

/// A service, and its database.
pub(crate) struct World {
    pub(crate) service: Service,
    pub(crate) database: Database,
}

impl World {
    /// Returns an organisation without users.
    pub(crate) async fn empty() -> Self {
        let database = Database::memory().expect("a database in memory");
        let service = Service::on(embedded::client(database.clone())).await;
        Self { service, database }
    }

    /// Returns an organisation with users, nested groups, a group that is its own member, extensions and names in several
    /// scripts.
    pub(crate) async fn new() -> Self {
        let world = Self::empty().await;
        let service = &world.service;
        let mut users = Vec::new();
        for body in [
            json!({ "userName": "Zoë.Łukasz@exämple.com", "name": { "givenName": "Zoë", "familyName": "Łukasz" } }),
            json!({ "userName": "李小龍", "displayName": "李小龍 \u{1F409}", "emails": [{ "value": "ID@x.example", "primary": true }] }),
            json!({
                "userName": "ada", "externalId": "e-1", "active": false, "title": "\u{2028}\"\\ and \n",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "Maths" },
                BADGES: { "Colour": ["red", 7, 1.5, { "deep": [true] }], "Number": 9_007_199_254_740_991_i64 },
            }),
            json!({ "userName": "straße" }),
        ] {
            let answer = service.post("/Users", body).await;
            assert_eq!(answer.status, 201, "{:?}", answer.body);
            users.push(answer.id());
        }
        let inner = service.group("Inner", &[&users[0], &users[1]]).await;
        let outer = service.group("Größe", &[&inner, &users[2]]).await;
        service.group("empty", &[]).await;
        let members =
            json!([{ "op": "add", "path": "members", "value": [{ "value": outer }, { "value": users[3] }] }]);
        assert_eq!(service.patch(&format!("/Groups/{outer}"), members).await.status, 204);
        let title = json!([{ "op": "add", "path": "title", "value": "Head" }]);
        assert_eq!(service.patch(&format!("/Users/{}", users[3]), title).await.status, 200);
        // A deleted user leaves nothing behind.
        let gone = service.user("gone").await;
        service.group("of gone", &[&gone]).await;
        assert_eq!(service.delete(&format!("/Users/{gone}")).await.status, 204);
        service.assert_healthy().await;
        world
    }

    /// Adds an organisation whose name begins with that of the other. Returns its items.
    pub(crate) async fn neighbour(&self) -> Vec<Value> {
        let key = self.service.organisation("acme-2", &[Scope::Scim]).await;
        let user = Request::post("/Users", json!({ "userName": "ada" })).bearer(&key);
        let user = user.send(&self.service).await.id();
        let group = json!({ "displayName": "Inner", "members": [{ "value": user }] });
        assert_eq!(Request::post("/Groups", group).bearer(&key).send(&self.service).await.status, 201);
        self.items("acme-2")
    }

    pub(crate) fn store(&self) -> &Store {
        &self.service.app.store
    }

    pub(crate) async fn export(&self) -> String {
        export(self.store()).await.expect("an export")
    }

    pub(crate) async fn delete(&self) -> Option<u64> {
        self.store().delete_org(&org(), false, &operator(), |_| {}).await.expect("a deletion")
    }

    pub(crate) async fn disable(&self) {
        self.set_enabled(false).await;
    }

    pub(crate) async fn set_enabled(&self, enabled: bool) {
        let change = OrgChange { enabled: Some(enabled), ..OrgChange::default() };
        let changed = self.store().change_org(&org(), change, &operator()).await.expect("an answer");
        assert!(changed.is_some());
    }

    /// Imports an export. Fails unless every line is written or there already.
    pub(crate) async fn import(&self, text: &str) -> Imported {
        let (refused, imported) = import(self.store(), text).await.expect("an import");
        assert_eq!(refused, []);
        imported
    }

    /// Makes a call of DynamoDB's JSON protocol.
    pub(crate) fn call(&self, operation: &str, request: &Value) -> Value {
        let answer = embedded::dispatch(&self.database, operation, request.to_string().as_bytes());
        serde_json::from_str(&answer.expect("an answer")).expect("JSON")
    }

    /// Returns the items of both tables whose partition key is that of the organisation, or begins with it and `#`, and its
    /// entries in the list of unfinished changes.
    pub(crate) fn items(&self, org: &str) -> Vec<Value> {
        items(&self.database, org)
    }
}

pub(crate) fn org() -> Org {
    ORG.parse().expect("a name")
}

/// Returns a store like that of another process on the database.
pub(crate) fn store(client: &aws_sdk_dynamodb::Client, seed: u64) -> Store {
    Store::new(client, Tables::default(), Clock::fixed(NOW), Entropy::seeded(seed))
}

pub(crate) async fn export(store: &Store) -> Result<String, ExportError> {
    let mut out = Vec::new();
    store.export(&org(), &mut out, |_| {}).await?;
    Ok(String::from_utf8(out).expect("UTF-8"))
}

/// Imports an export. Returns the refused lines and the numbers.
pub(crate) async fn import(store: &Store, text: &str) -> Result<(Vec<Refused>, Imported), ImportError> {
    import_as(store, "acme", text).await
}

pub(crate) async fn import_as(
    store: &Store,
    org: &str,
    text: &str,
) -> Result<(Vec<Refused>, Imported), ImportError> {
    let mut import = Import::new(store, &org.parse().expect("a name"), &operator());
    let mut refused = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        refused.extend(import.line(number, line.as_bytes()).await?);
    }
    let (last, imported) = import.finish().await?;
    refused.extend(last);
    refused.sort_by_key(|refused| refused.line);
    Ok((refused, imported))
}

/// Imports bodies of users, one a line.
pub(crate) async fn import_people(store: &Store, text: &str) -> (Vec<Refused>, Imported) {
    let mut import = PeopleImport::new(store, &org());
    let mut refused = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        refused.extend(import.line(number, line.as_bytes()).await.expect("an answer"));
    }
    let (last, imported) = import.finish().await.expect("an answer");
    refused.extend(last);
    refused.sort_by_key(|refused| refused.line);
    (refused, imported)
}

pub(crate) fn items(database: &Database, org: &str) -> Vec<Value> {
    let Tables { resources, keys, .. } = Tables::default();
    let mut found = Vec::new();
    for table in [resources, keys] {
        let mut after = Value::Null;
        loop {
            let mut scan = json!({ "TableName": table });
            if !after.is_null() {
                scan["ExclusiveStartKey"] = after;
            }
            let answer = embedded::dispatch(database, "Scan", scan.to_string().as_bytes()).expect("a scan");
            let answer: Value = serde_json::from_str(&answer).expect("JSON");
            for item in answer["Items"].as_array().into_iter().flatten() {
                let (pk, sk) = (&item["pk"]["S"], &item["sk"]["S"]);
                let (pk, sk) = (pk.as_str().unwrap_or_default(), sk.as_str().unwrap_or_default());
                let of_org = pk.strip_prefix("ORG#").and_then(|rest| rest.strip_prefix(org));
                let is_own = of_org.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'));
                let is_shared = pk.starts_with("UNFINISHED#") || pk.starts_with("OUTBOX#");
                let is_listed = is_shared && sk.starts_with(&format!("{org}#"));
                if is_own || is_listed {
                    found.push(item.clone());
                }
            }
            after = answer["LastEvaluatedKey"].clone();
            if after.is_null() {
                break;
            }
        }
    }
    found
}

/// Returns the number of records of a kind.
pub(crate) fn count_lines(text: &str, record: &str) -> usize {
    text.lines().filter(|line| line.starts_with(&format!("{{\"{record}\":"))).count()
}
