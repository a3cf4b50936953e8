//! What can go wrong with a call to DynamoDB: a connector that lets one call fail, or every one from there on.
//!
//! An error of the connector is what makes the SDK repeat by itself, as it does when a connection breaks. A crash is that
//! no call from there on ever comes back: whoever waits is to be dropped, and what goes on is another process.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use dynoxide::Database;
use local::embedded::{Connector, client_over};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call does not reach DynamoDB.
    Unsent,
    /// It is carried out, and its answer is lost.
    Unanswered,
    /// The process dies before the call.
    CrashBefore,
    /// The process dies before the answer of a call that is carried out.
    CrashAfter,
    /// Another transaction is under way on the same items.
    Conflict,
    /// DynamoDB asks for less traffic.
    Throttled,
    /// DynamoDB answers 500.
    Broken,
    /// Of a batch, nothing is carried out: all of it comes back as unprocessed. Other calls are throttled.
    Unprocessed,
}

impl Fault {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Unsent,
        Self::Unanswered,
        Self::CrashBefore,
        Self::CrashAfter,
        Self::Conflict,
        Self::Throttled,
        Self::Broken,
        Self::Unprocessed,
    ];

    /// Whether the process dies of it.
    #[must_use]
    pub fn is_crash(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfter)
    }
}

/// When what goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The number of the call, from 0.
    pub call: usize,
    /// What happens to it.
    pub fault: Fault,
    /// Whether it happens to every later call too.
    pub lasting: bool,
}

/// Counts the calls of the client it makes, and lets them fail as planned.
#[derive(Clone, Default)]
pub struct Faults(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    crash: Notify,
}

#[derive(Default)]
struct State {
    plan: Option<Plan>,
    calls: usize,
    dead: bool,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faults")
    }
}

impl Faults {
    /// A client of the database whose calls fail as planned; none until there is a plan.
    #[must_use]
    pub fn client(&self, database: Database) -> Client {
        let connector = Connector::new(database).honouring_tokens();
        client_over(SharedHttpConnector::new(Failing { connector, faults: self.clone() }))
    }

    /// Counts from 0 again, and lets calls fail by this plan.
    pub fn plan(&self, plan: Option<Plan>) {
        *self.state() = State { plan, ..State::default() };
    }

    /// The calls since there was a plan.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.state().calls
    }

    /// Ends when the process dies.
    pub async fn crashed(&self) {
        self.0.crash.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens to the next call.
    fn next(&self) -> Option<Fault> {
        let mut state = self.state();
        let call = state.calls;
        state.calls += 1;
        let plan = state.plan?;
        let falls = if plan.lasting { call >= plan.call } else { call == plan.call };
        if state.dead {
            return Some(Fault::CrashBefore);
        }
        state.dead = falls && plan.fault.is_crash();
        falls.then_some(plan.fault)
    }

    async fn die(&self) -> ! {
        self.0.crash.notify_one();
        std::future::pending().await
    }
}

#[derive(Debug)]
struct Failing {
    connector: Connector,
    faults: Faults,
}

impl HttpConnector for Failing {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (connector, faults) = (self.connector.clone(), self.faults.clone());
        HttpConnectorFuture::new(async move {
            let lost = || Err(ConnectorError::io("the connection broke".into()));
            match faults.next() {
                None => connector.call(request).await,
                Some(Fault::Unsent) => lost(),
                Some(Fault::Unanswered) => {
                    let _ = connector.call(request).await;
                    lost()
                }
                Some(Fault::CrashBefore) => faults.die().await,
                Some(Fault::CrashAfter) => {
                    let _ = connector.call(request).await;
                    faults.die().await
                }
                Some(fault) => {
                    let target = request.headers().get("x-amz-target").unwrap_or_default();
                    let operation = target.rsplit('.').next().unwrap_or_default();
                    let body = request.body().bytes().unwrap_or_default();
                    let (status, body) =
                        refusal(fault, operation, &serde_json::from_slice(body).unwrap_or_default());
                    StatusCode::try_from(status)
                        .map(|status| HttpResponse::new(status, SdkBody::from(body.to_string())))
                        .map_err(|error| ConnectorError::other(error.into(), None))
                }
            }
        })
    }
}

/// The answer that DynamoDB gives instead of carrying the call out.
fn refusal(fault: Fault, operation: &str, request: &Value) -> (u16, Value) {
    let exception = |name: &str| json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{name}") });
    match (fault, operation) {
        (Fault::Broken, _) => (500, exception("InternalServerError")),
        (Fault::Conflict, "TransactWriteItems") => (400, cancelled("TransactionConflict", request)),
        (Fault::Throttled, "TransactWriteItems") => (400, cancelled("ThrottlingError", request)),
        // What reads and single writes are told of a conflict, and batches too.
        (Fault::Conflict, _) => (400, exception("TransactionConflictException")),
        (Fault::Unprocessed, "BatchGetItem") => {
            (200, json!({ "Responses": {}, "UnprocessedKeys": request["RequestItems"] }))
        }
        (Fault::Unprocessed, "BatchWriteItem") => {
            (200, json!({ "UnprocessedItems": request["RequestItems"] }))
        }
        _ => (400, exception("ProvisionedThroughputExceededException")),
    }
}

/// One action is the reason: the others have nothing against it.
fn cancelled(code: &str, request: &Value) -> Value {
    let actions = request["TransactItems"].as_array().map_or(0, Vec::len);
    let reasons: Vec<Value> = (0..actions)
        .map(|index| json!({ "Code": if index == actions / 2 { code } else { "None" } }))
        .collect();
    json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
        "CancellationReasons": reasons,
    })
}
