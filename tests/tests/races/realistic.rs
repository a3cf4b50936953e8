//! The realistic DynamoDB itself: times, conflicts, tokens, and callers that give up.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::{
    Client,
    error::ProvideErrorMetadata,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, CancellationReason, ConditionCheck, DeleteRequest, Put, PutRequest,
        TransactWriteItem, WriteRequest,
    },
};
use local::realistic::{Cancelled, Realistic};
use serde_json::json;
use service::config::Tables;
use tests::Service;
use tokio::time::{Duration, Instant, sleep, timeout};

use super::concurrency::runtime;

/// A DynamoDB with the tables of the service. Its transactions take longer than its other calls.
struct Db {
    realistic: Realistic,
    transactions: Client,
    others: Client,
    table: String,
}

type Refused = (String, Vec<String>);

impl Db {
    async fn new() -> Self {
        let (_, realistic) = Service::realistic(1).await;
        let _ = realistic.take_counts();
        let transactions = realistic.clone().taking(100..=100).client();
        let others = realistic.clone().taking(1..=5).client();
        Self { realistic, transactions, others, table: Tables::default().resources }
    }

    /// Sends a transaction. Returns the code of its error and the codes of the reasons.
    async fn transact(&self, token: &str, actions: &[TransactWriteItem]) -> Result<(), Refused> {
        let request = self.transactions.transact_write_items().client_request_token(token);
        let Err(error) = request.set_transact_items(Some(actions.to_vec())).send().await else {
            return Ok(());
        };
        let code = error.code().unwrap_or_default().to_owned();
        let error = error.into_service_error();
        let reasons = match &error {
            TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                cancelled.cancellation_reasons()
            }
            _ => &[],
        };
        let code_of = |reason: &CancellationReason| reason.code().unwrap_or_default().to_owned();
        Err((code, reasons.iter().map(code_of).collect()))
    }

    fn put(&self, name: &str, value: &str) -> TransactWriteItem {
        let put = Put::builder().table_name(&self.table).set_item(Some(item(name, value)));
        TransactWriteItem::builder().put(put.build().expect("a put")).build()
    }

    /// Returns a check of an item that always succeeds.
    fn check(&self, name: &str) -> TransactWriteItem {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(key(name)))
            .condition_expression("attribute_not_exists(absent)");
        TransactWriteItem::builder().condition_check(check.build().expect("a check")).build()
    }

    /// Returns the value of an item, or an empty text if the item does not exist.
    async fn value(&self, name: &str) -> String {
        let read = self.others.get_item().table_name(&self.table).set_key(Some(key(name)));
        let found = read.consistent_read(true).send().await.expect("an answer").item;
        found.and_then(|item| item["value"].as_s().ok().cloned()).unwrap_or_default()
    }
}

fn key(name: &str) -> HashMap<String, AttributeValue> {
    [("pk", "partition"), ("sk", name)]
        .map(|(name, text)| (name.to_owned(), AttributeValue::S(text.to_owned())))
        .into()
}

fn item(name: &str, value: &str) -> HashMap<String, AttributeValue> {
    let mut item = key(name);
    item.insert("value".to_owned(), AttributeValue::S(value.to_owned()));
    item
}

fn code<T, E: ProvideErrorMetadata>(result: &Result<T, E>) -> Option<&str> {
    result.as_ref().err().and_then(ProvideErrorMetadata::code)
}

fn refused(code: &str) -> Result<(), Refused> {
    Err((code.to_owned(), Vec::new()))
}

#[tokio::test(start_paused = true)]
async fn overlapping_transactions_conflict_on_shared_items() {
    let db = Db::new().await;
    let first = [db.put("a", "1"), db.check("b")];
    let second = [db.put("c", "2"), db.put("b", "2"), db.check("a"), db.check("d")];
    let apart = [db.put("e", "3")];
    let (first, conflicting, apart) =
        tokio::join!(db.transact("1", &first), db.transact("2", &second), db.transact("3", &apart));
    assert_eq!((first, apart), (Ok(()), Ok(())));
    let reasons = ["None", "TransactionConflict", "TransactionConflict", "None"].map(str::to_owned);
    assert_eq!(conflicting, Err(("TransactionCanceledException".to_owned(), reasons.into())));
    assert_eq!((db.value("b").await, db.value("c").await), (String::new(), String::new()));
    let counts = db.realistic.take_counts();
    assert_eq!(counts.transactions(), 3);
    assert_eq!(counts.conflicts, Cancelled { transactions: 1, actions: 4 });
    assert_eq!(counts.refused, Cancelled::default());
    assert_eq!(db.transact("2", &second).await, Ok(()), "a cancelled transaction leaves no token");
    assert_eq!(db.value("c").await, "2");
}

#[tokio::test(start_paused = true)]
async fn single_writes_to_items_of_a_transaction_fail() {
    let db = Db::new().await;
    let transaction = [db.put("a", "new"), db.check("b")];
    let during = async {
        sleep(Duration::from_millis(1)).await;
        let table = || db.table.as_str();
        let put = db.others.put_item().table_name(table()).set_item(Some(item("a", "other"))).send().await;
        let delete = db.others.delete_item().table_name(table()).set_key(Some(key("b"))).send().await;
        let update = db.others.update_item().table_name(table()).set_key(Some(key("a"))).send().await;
        for code in [code(&put), code(&delete), code(&update)] {
            assert_eq!(code, Some("TransactionConflictException"));
        }
        let apart = db.others.put_item().table_name(table()).set_item(Some(item("c", "other")));
        apart.send().await.expect("a write of another item");
    };
    let (outcome, ()) = tokio::join!(db.transact("1", &transaction), during);
    assert_eq!(outcome, Ok(()));
    assert_eq!((db.value("a").await, db.value("c").await), ("new".to_owned(), "other".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn batch_returns_items_of_a_transaction_unprocessed() {
    let db = Db::new().await;
    let put = |name| {
        let put = PutRequest::builder().set_item(Some(item(name, "other"))).build().expect("a put");
        WriteRequest::builder().put_request(put).build()
    };
    let delete = |name| {
        let delete = DeleteRequest::builder().set_key(Some(key(name))).build().expect("a deletion");
        WriteRequest::builder().delete_request(delete).build()
    };
    let during = async {
        sleep(Duration::from_millis(1)).await;
        for (writes, left) in [
            (vec![put("a"), put("c"), delete("b"), delete("d")], vec![put("a"), delete("b")]),
            (vec![delete("a")], vec![delete("a")]),
            (vec![put("c")], vec![]),
        ] {
            let batch = db.others.batch_write_item().request_items(&db.table, writes).send().await;
            let unprocessed = batch.expect("an answer").unprocessed_items.unwrap_or_default();
            assert_eq!(unprocessed.get(&db.table).cloned().unwrap_or_default(), left);
        }
    };
    let transaction = [db.put("a", "new"), db.check("b")];
    let (outcome, ()) = tokio::join!(db.transact("1", &transaction), during);
    assert_eq!(outcome, Ok(()));
    assert_eq!((db.value("a").await, db.value("c").await), ("new".to_owned(), "other".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn read_during_a_transaction_sees_before_or_after() {
    let db = Db::new().await;
    let reads = async {
        let mut seen = Vec::new();
        while seen.last().is_none_or(String::is_empty) {
            seen.push(db.value("a").await);
        }
        seen
    };
    let transaction = [db.put("a", "new")];
    let (outcome, seen) = tokio::join!(db.transact("1", &transaction), reads);
    assert_eq!(outcome, Ok(()));
    assert_eq!(seen.first().map(String::as_str), Some(""));
}

#[tokio::test(start_paused = true)]
async fn successful_token_has_one_effect() {
    let db = Db::new().await;
    let [one, two] = ["1", "2"].map(|value| [db.put("a", value), db.check("b")]);
    assert_eq!(db.transact("token", &one).await, Ok(()));
    assert_eq!(db.transact("later", &two).await, Ok(()));
    assert_eq!(db.transact("token", &one).await, Ok(()));
    assert_eq!(db.value("a").await, "2", "a repeated token has no effect");
    let mismatch = refused("IdempotentParameterMismatchException");
    assert_eq!(db.transact("token", &two).await, mismatch);
    sleep(Duration::from_mins(9)).await;
    assert_eq!(db.transact("token", &two).await, mismatch);
    sleep(Duration::from_mins(1)).await;
    assert_eq!(db.transact("token", &one).await, Ok(()));
    assert_eq!(db.value("a").await, "1", "the token is forgotten after ten minutes");
}

#[tokio::test(start_paused = true)]
async fn token_in_progress_is_refused() {
    let db = Db::new().await;
    let (one, two) = ([db.put("a", "1")], [db.put("b", "2")]);
    let began = Instant::now();
    let (first, repeated, other) =
        tokio::join!(db.transact("token", &one), db.transact("token", &one), db.transact("token", &two));
    assert_eq!((first, repeated), (Ok(()), Ok(())));
    assert_eq!(other, refused("IdempotentParameterMismatchException"));
    // The SDK repeats the call that is refused, until it is the repetition of a successful one.
    assert!(began.elapsed() > Duration::from_millis(200), "{:?}", began.elapsed());
    let counts = db.realistic.take_counts();
    assert_eq!((counts.transactions(), counts.conflicts), (4, Cancelled::default()));
}

#[tokio::test(start_paused = true)]
async fn failed_condition_leaves_no_token() {
    let db = Db::new().await;
    let absent = Put::builder()
        .table_name(&db.table)
        .set_item(Some(item("a", "new")))
        .condition_expression("attribute_not_exists(pk)")
        .build();
    let put = [TransactWriteItem::builder().put(absent.expect("a put")).build(), db.check("b")];
    assert_eq!(db.transact("1", &[db.put("a", "old")]).await, Ok(()));
    let reasons = ["ConditionalCheckFailed", "None"].map(str::to_owned);
    assert_eq!(
        db.transact("2", &put).await,
        Err(("TransactionCanceledException".to_owned(), reasons.into()))
    );
    assert_eq!(db.realistic.take_counts().refused, Cancelled { transactions: 1, actions: 2 });
    let removed = db.others.delete_item().table_name(&db.table).set_key(Some(key("a"))).send().await;
    assert!(removed.is_ok());
    assert_eq!(db.transact("2", &put).await, Ok(()));
    assert_eq!(db.value("a").await, "new");
}

#[tokio::test(start_paused = true)]
async fn call_goes_on_without_its_caller() {
    let db = Db::new().await;
    let transaction = [db.put("a", "new")];
    let given_up = timeout(Duration::from_millis(0), db.transact("1", &transaction)).await;
    assert!(given_up.is_err());
    let conflict = db.transact("2", &transaction).await.expect_err("a conflict");
    assert_eq!(conflict.1, ["TransactionConflict"]);
    assert_eq!(db.value("a").await, "new");
}

#[tokio::test(start_paused = true)]
async fn call_takes_4_to_12_ms() {
    let (service, db) = Service::realistic(1).await;
    let user = service.user("ada").await;
    let mut times = BTreeSet::new();
    for _ in 0..100 {
        let began = Instant::now();
        let read = db.client().get_item().table_name(Tables::default().resources).set_key(Some(key(&user)));
        read.send().await.expect("an answer");
        times.insert(began.elapsed().as_millis());
    }
    // A timer of tokio is late by up to a millisecond.
    assert!(times.iter().all(|time| (4..=13).contains(time)), "{times:?}");
    assert!(times.len() >= 9, "{times:?}");
}

#[test]
fn seed_decides_times_and_conflicts() {
    let trace = |seed| {
        runtime().block_on(async {
            // The back-off of the SDK takes its jitter from the random numbers of the thread.
            fastrand::seed(1);
            let (service, db) = Service::realistic(seed).await;
            let service = std::sync::Arc::new(service);
            let began = Instant::now();
            let create = |_| {
                let service = std::sync::Arc::clone(&service);
                tokio::spawn(async move {
                    let answer = service.post("/Users", json!({ "userName": "ada" })).await;
                    (answer.status, began.elapsed())
                })
            };
            let tasks: Vec<_> = (0..5).map(create).collect();
            let mut answers = Vec::new();
            for task in tasks {
                answers.push(task.await.expect("an answer"));
            }
            (answers, db.take_counts().conflicts.transactions)
        })
    };
    let traces: Vec<_> = (0..9).map(trace).collect();
    let distinct: BTreeSet<String> = traces.iter().map(|trace| format!("{trace:?}")).collect();
    assert_eq!(distinct.len(), 9, "each seed has its own: {traces:?}");
    assert!(traces.iter().any(|(_, conflicts)| *conflicts > 0), "{traces:?}");
    for (seed, first) in (0..9).zip(&traces) {
        assert_eq!(trace(seed), *first, "seed {seed}");
    }
}
