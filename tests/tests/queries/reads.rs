//! Consistent reads: each read sees every write that was answered before it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_dynamodb::Client;
use dynoxide::Database;
use expect_test::expect;
use serde_json::{Value, json};
use service::janitor;
use tests::{
    ORG, Request, Service,
    counting::table,
    exchange,
    observed::{self, Call},
};
use tokio::time::Duration;

use super::{GROUPS, Paging, USERS, walk};

/// The kinds of reads that the service made.
#[derive(Clone, Default)]
struct Reads(Arc<Mutex<BTreeSet<String>>>);

impl Reads {
    fn client(&self) -> Client {
        let reads = self.clone();
        let database = Database::memory().expect("a database in memory");
        observed::client(database, Duration::ZERO, move |call| reads.record(call))
    }

    fn record(&self, Call { operation, request, .. }: &Call) {
        let of_batch = || request["RequestItems"].as_object()?.values().next();
        let asked = match operation.as_str() {
            "GetItem" | "Query" | "Scan" => request,
            "BatchGetItem" => of_batch().expect("a table"),
            "BatchWriteItem" | "CreateTable" | "PutItem" | "TransactWriteItems" | "UpdateItem"
            | "UpdateTimeToLive" => return,
            other => panic!("is {other} a read?"),
        };
        let how = if asked["ConsistentRead"] == true { "consistent" } else { "eventually consistent" };
        let by = request["IndexName"].as_str().map(|index| format!(", by the index {index}"));
        let read = format!("{operation} of {}: {how}{}", table(request), by.unwrap_or_default());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(read);
    }
}

#[tokio::test]
async fn every_read_is_strongly_consistent() {
    let reads = Reads::default();
    for file in exchange::files() {
        let service = Service::on(reads.client()).await;
        exchange::replay(&file, &service).await.unwrap_or_else(|error| panic!("{error}"));
    }
    // Not in the exchanges: walks, searches of the root, changes that exceed a transaction, and operator commands.
    let service = Service::on(reads.client()).await;
    let mut users = Vec::new();
    for number in 0..50 {
        users.push(service.user(&format!("user-{number}")).await);
    }
    let members: Vec<&str> = users.iter().map(String::as_str).collect();
    let group = service.group("group", &members).await;
    let is_member = format!("groups.value eq \"{group}\"");
    for query in [
        Request::get(USERS),
        Request::get(USERS).filter(&is_member),
        Request::get(USERS).filter("title pr"),
        Request::get(USERS).filter("userName sw \"user\"").query("sortBy", "userName"),
        Request::get(GROUPS).filter(format!("members[value eq \"{}\"]", users[7])),
        Request::get(GROUPS).query("sortBy", "displayName"),
    ] {
        for paging in [Paging::Index, Paging::Cursor] {
            walk(&service, &query, paging, 20, async || ()).await;
        }
    }
    let search = service.post("/.search", json!({ "count": 60 })).await;
    assert_eq!(search.body["totalResults"], 51, "{:#}", search.body);
    let path = format!("/Groups/{group}");
    let answers = [
        service.put(&path, json!({ "displayName": "group", "members": [] })).await,
        service
            .patch(&path, json!([{ "op": "add", "path": "members", "value": [{ "value": users[0] }] }]))
            .await,
        service.delete(&format!("/Users/{}", users[0])).await,
        service.delete(&path).await,
    ];
    assert!(answers.iter().all(|answer| answer.status < 300), "{answers:#?}");
    janitor::sweep(&service.app.store).await;
    assert_eq!(service.app.store.orgs().await.expect("organisations").len(), 1);
    service.app.store.keys(&ORG.parse().expect("an organisation")).await.expect("its keys");
    service.assert_healthy().await;
    assert_eq!(service.get(USERS).await.body["totalResults"], Value::from(49));

    let reads = reads.0.lock().unwrap_or_else(PoisonError::into_inner);
    let lines: String = reads.iter().map(|read| read.to_owned() + "\n").collect();
    expect![[r#"
        BatchGetItem of scim-keys: consistent
        BatchGetItem of scim-resources: consistent
        GetItem of scim-keys: consistent
        GetItem of scim-resources: consistent
        Query of scim-keys: consistent
        Query of scim-resources: consistent
        Scan of scim-keys: consistent
        Scan of scim-resources: consistent
    "#]]
    .assert_eq(&lines);
}
