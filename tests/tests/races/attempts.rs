//! Attempts of a transaction: what the service does when an answer is lost, and what a late attempt does then.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::{Client, config::timeout::TimeoutConfig};
use aws_smithy_runtime_api::client::result::ConnectorError;
use dynoxide::Database;
use local::embedded::{self, Connector};
use serde_json::{Value, json};
use service::{clock::Clock, entropy::Entropy};
use tests::{
    Answer, NOW, Request, Service,
    faults::{Fault, Faults, Plan, Recorded},
    intercept::{self, Call, CallResult, answer, exception},
};
use tokio::time::sleep;

/// The call of a request that writes. The first call reads the key.
const WRITE: usize = 1;
/// A call that no test makes.
const NEVER: usize = usize::MAX;

fn database() -> Database {
    Database::memory().expect("a database in memory")
}

fn ada() -> Request {
    Request::post("/Users", json!({ "userName": "ada" }))
}

/// Returns the transactions of a record.
fn transactions(faults: &Faults) -> Vec<Recorded> {
    let mut calls = faults.recorded();
    calls.retain(|call| call.operation == "TransactWriteItems");
    calls
}

/// Returns the status of the answer of DynamoDB, or 0 without an answer.
fn status(call: &Recorded) -> u16 {
    call.answer.as_ref().map_or(0, |(status, _)| *status)
}

/// Returns a service with the user `ada`, whose later transactions are handled by a function with their number.
async fn service_with<F, R>(database: &Database, handle: F) -> Service
where
    F: Fn(usize, Call) -> R + Send + Sync + 'static,
    R: Future<Output = CallResult> + Send + 'static,
{
    let first = Service::on(embedded::client(database.clone())).await;
    first.user("ada").await;
    another(handled(database, handle), &first)
}

/// Returns a client whose transactions are handled by a function with their number.
fn handled<F, R>(database: &Database, handle: F) -> Client
where
    F: Fn(usize, Call) -> R + Send + Sync + 'static,
    R: Future<Output = CallResult> + Send + 'static,
{
    let (handle, count) = (Arc::new(handle), Arc::new(AtomicUsize::new(0)));
    let connector = Connector::new(database.clone()).honouring_tokens();
    intercept::client(connector, move |call| {
        let is_transaction = call.operation == "TransactWriteItems";
        let number = if is_transaction { count.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let handle = Arc::clone(&handle);
        async move { if is_transaction { handle(number, call).await } else { call.forward().await } }
    })
}

/// Returns another process on the database of a service.
fn another(client: Client, first: &Service) -> Service {
    Service::restarted(client, Clock::fixed(NOW), Entropy::seeded(9), &first.key)
}

fn lost() -> CallResult {
    Err(ConnectorError::io("the connection broke".into()))
}

/// Returns whether a transaction only uses up its token.
fn uses_up_token(request: &Value) -> bool {
    request["TransactItems"].as_array().is_some_and(|actions| {
        actions.len() == 1 && actions[0]["Delete"]["ConditionExpression"] == "attribute_not_exists(pk)"
    })
}

async fn users_named_ada(service: &Service) -> Vec<Value> {
    let list = Request::get("/Users").filter("userName eq \"ada\"").send(service).await;
    list.body["Resources"].as_array().cloned().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn refusal_after_lost_answer_uses_up_the_token() {
    let faults = Faults::default();
    let service = Service::on(faults.client(database())).await;
    let id = service.user("ada").await;
    for fault in [Fault::Delayed(NEVER), Fault::Late(NEVER)] {
        faults.plan(Some(Plan { call: WRITE, fault, lasting: false }));
        assert_eq!(ada().send(&service).await.status, 409);
        let calls = transactions(&faults);
        let [first, second, third] = calls.as_slice() else { panic!("{calls:#?}") };
        assert_eq!(first.request, second.request);
        assert_eq!(first.request["ClientRequestToken"], third.request["ClientRequestToken"]);
        assert_eq!((status(second), status(third)), (400, 200));
        assert!(uses_up_token(&third.request), "{:#}", third.request);
        // The token is the key of the absent item, in the partition of the first action.
        let key = &third.request["TransactItems"][0]["Delete"]["Key"];
        assert_eq!(key["sk"]["S"], third.request["ClientRequestToken"]);
        assert_eq!(key["pk"], first.request["TransactItems"][0]["Put"]["Item"]["pk"]);

        // The name is free by the time that the first attempt arrives.
        let renamed = json!([{ "op": "replace", "path": "userName", "value": "bob" }]);
        let back = json!([{ "op": "replace", "path": "userName", "value": "ada" }]);
        let path = format!("/Users/{id}");
        assert_eq!(service.patch(&path, renamed).await.status, 200);
        assert!(faults.make_late_call().await);
        let calls = transactions(&faults);
        let (_, body) = calls.last().and_then(|call| call.answer.clone()).expect("an answer");
        let kind = body["__type"].as_str().expect("a type");
        assert!(kind.ends_with("#IdempotentParameterMismatchException"), "{kind}");
        assert_eq!(users_named_ada(&service).await, [Value::Null; 0]);
        assert_eq!(service.patch(&path, back).await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn refusal_without_lost_answer_is_one_transaction() {
    let faults = Faults::default();
    let service = Service::on(faults.client(database())).await;
    service.user("ada").await;
    faults.plan(None);
    assert_eq!(ada().send(&service).await.status, 409);
    assert_eq!(transactions(&faults).len(), 1);
    // DynamoDB has not carried out a transaction that it answers with a conflict.
    for fault in [Fault::Conflict, Fault::Throttled] {
        faults.plan(Some(Plan { call: WRITE, fault, lasting: false }));
        assert_eq!(ada().send(&service).await.status, 409);
        assert_eq!(transactions(&faults).len(), 2, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn attempt_carried_out_after_its_refused_repeat_succeeds() {
    let database = database();
    let first = Service::on(embedded::client(database.clone())).await;
    first.user("ada").await;
    let other = Arc::new(another(embedded::client(database.clone()), &first));
    let delayed = Arc::new(Mutex::new(None));
    let client = handled(&database, move |number, call| {
        let (delayed, other) = (Arc::clone(&delayed), Arc::clone(&other));
        async move {
            if number == 0 {
                *delayed.lock().unwrap() = Some(call);
                return lost();
            }
            if uses_up_token(&call.request()) {
                // The name becomes free after the refusal, and the first attempt arrives.
                let holder = users_named_ada(&other).await[0]["id"].as_str().unwrap().to_owned();
                assert_eq!(other.delete(&format!("/Users/{holder}")).await.status, 204);
                let first: Option<Call> = delayed.lock().unwrap().take();
                assert_eq!(first.unwrap().forward().await.unwrap().status().as_u16(), 200);
            }
            call.forward().await
        }
    });
    let service = another(client, &first);
    let created = ada().send(&service).await;
    assert_eq!(created.status, 201, "{:#}", created.body);
    let users = users_named_ada(&service).await;
    assert_eq!(users.len(), 1);
    assert_eq!(users[0]["id"], created.id());
    service.assert_healthy().await;
}

#[tokio::test(start_paused = true)]
async fn refusal_is_unknown_if_the_token_is_not_used_up() {
    let database = database();
    let service = service_with(&database, |number, call| async move {
        if number == 0 || uses_up_token(&call.request()) { lost() } else { call.forward().await }
    })
    .await;
    assert_unavailable(&ada().send(&service).await, 503);
}

#[tokio::test(start_paused = true)]
async fn transaction_without_answer_is_attempted_three_times() {
    for fault in [Fault::Unsent, Fault::Unanswered, Fault::Broken] {
        let faults = Faults::default();
        let service = Service::on(faults.client(database())).await;
        faults.plan(Some(Plan { call: WRITE, fault, lasting: true }));
        assert_unavailable(&ada().send(&service).await, 503);
        let calls = transactions(&faults);
        assert_eq!(calls.len(), 3, "{fault:?}");
        assert!(calls.iter().all(|call| call.request == calls[0].request), "{fault:?}");
        faults.plan(None);
        let created = usize::from(fault == Fault::Unanswered);
        assert_eq!(users_named_ada(&service).await.len(), created, "{fault:?}");
        service.assert_healthy().await;
    }
}

#[tokio::test(start_paused = true)]
async fn conflicts_and_throttling_are_repeated_to_the_deadline() {
    for (fault, expected) in [(Fault::Conflict, 503), (Fault::Throttled, 429)] {
        let faults = Faults::default();
        let service = Service::on(faults.client(database())).await;
        faults.plan(Some(Plan { call: WRITE, fault, lasting: true }));
        assert_unavailable(&ada().send(&service).await, expected);
        assert!(transactions(&faults).len() > 20, "{fault:?}");
    }
    for (name, expected) in [
        ("ThrottlingException", 429),
        ("ProvisionedThroughputExceededException", 429),
        ("RequestLimitExceeded", 429),
        ("TransactionInProgressException", 503),
        ("TransactionConflictException", 503),
    ] {
        let refused = async move |_, _| answer(400, &exception(name));
        let service = service_with(&database(), refused).await;
        assert_unavailable(&ada().send(&service).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn attempt_in_progress_is_awaited() {
    let database = database();
    let service = service_with(&database, |number, call| async move {
        match number {
            // The first attempt is carried out while the service repeats it.
            0 => {
                call.forward().await?;
                lost()
            }
            1..5 => answer(400, &exception("TransactionInProgressException")),
            _ => call.forward().await,
        }
    })
    .await;
    let created = service.post("/Users", json!({ "userName": "bob" })).await;
    assert_eq!(created.status, 201, "{:#}", created.body);
    service.assert_healthy().await;
}

#[tokio::test(start_paused = true)]
async fn attempt_that_times_out_is_repeated() {
    let database = database();
    let first = Service::on(embedded::client(database.clone())).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let connector = Connector::new(database).honouring_tokens();
    let client = intercept::client(connector, move |call| {
        let is_first = call.operation == "TransactWriteItems" && count.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            if is_first {
                sleep(Duration::from_mins(1)).await;
            }
            call.forward().await
        }
    });
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(3)).build();
    let client = Client::from_conf(client.config().to_builder().timeout_config(timeouts).build());
    assert_eq!(ada().send(&another(client, &first)).await.status, 201);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

/// DynamoDB refuses a repeat with other bytes, if it compares bytes.
#[tokio::test(start_paused = true)]
async fn repeats_of_a_transaction_have_the_same_bytes() {
    let database = database();
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&bodies);
    let service = service_with(&database, move |number, call| {
        seen.lock().unwrap().push(call.body().to_vec());
        async move {
            if number < 2 { answer(500, &exception("InternalServerError")) } else { call.forward().await }
        }
    })
    .await;
    let user = json!({
        "userName": "bob", "externalId": "b", "emails": [{ "value": "b@example.com" }, { "value": "c@example.com" }],
    });
    assert_eq!(service.post("/Users", user).await.status, 201);
    let bodies = bodies.lock().unwrap();
    assert_eq!(bodies.len(), 3);
    assert!(bodies.iter().all(|body| *body == bodies[0]));
}

fn assert_unavailable(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{:#}", answer.body);
    assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0), "{answer:?}");
}
