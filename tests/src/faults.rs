//! Faults of calls to DynamoDB: one call fails, or one and every later call.
//!
//! After an error of the connector the SDK retries, as it does after a broken connection. After a crash no call returns
//! any more: the test drops the request and continues with another process.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::{http::HttpConnector, result::ConnectorError};
use dynoxide::Database;
use local::embedded::Connector;
use serde_json::json;
use tokio::sync::Notify;

use crate::intercept::{self, Call, CallResult, answer, cancelled, exception};

/// A fault of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call does not reach DynamoDB.
    Unsent,
    /// The call succeeds, and its answer is lost.
    Unanswered,
    /// The process dies before the call.
    CrashBefore,
    /// The process dies after the call and before its answer.
    CrashAfter,
    /// Another transaction is in progress on the same items.
    Conflict,
    /// DynamoDB throttles the call.
    Throttled,
    /// DynamoDB answers 500.
    Broken,
    /// A batch comes back unprocessed as a whole. Other calls are throttled.
    Unprocessed,
}

impl Fault {
    /// All faults.
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

    /// Returns whether the process dies.
    #[must_use]
    pub fn is_crash(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfter)
    }
}

/// The call that fails, and its fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The number of the call, counted from 0.
    pub call: usize,
    /// The fault.
    pub fault: Fault,
    /// Whether every later call fails too.
    pub lasting: bool,
}

/// A counter of the calls of its clients, which fail as planned.
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
    /// Returns a client of the database whose calls fail as planned. Without a plan, no call fails.
    #[must_use]
    pub fn client(&self, database: Database) -> Client {
        self.client_over(Connector::new(database).honouring_tokens())
    }

    /// Returns a client like [`Self::client`] whose calls the connector makes.
    #[must_use]
    pub fn client_over(&self, connector: impl HttpConnector + 'static) -> Client {
        let faults = self.clone();
        intercept::client(connector, move |call| faults.clone().handle(call))
    }

    /// Sets the plan and counts calls from 0.
    pub fn plan(&self, plan: Option<Plan>) {
        *self.state() = State { plan, ..State::default() };
    }

    /// Returns the number of calls since the plan was set.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.state().calls
    }

    /// Waits until the process dies.
    pub async fn crashed(&self) {
        self.0.crash.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the fault of the next call.
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

    async fn handle(self, call: Call) -> CallResult {
        let lost = || Err(ConnectorError::io("the connection broke".into()));
        match self.next() {
            None => call.forward().await,
            Some(Fault::Unsent) => lost(),
            Some(Fault::Unanswered) => {
                let _ = call.forward().await;
                lost()
            }
            Some(Fault::CrashBefore) => self.die().await,
            Some(Fault::CrashAfter) => {
                let _ = call.forward().await;
                self.die().await
            }
            Some(fault) => refuse(fault, &call),
        }
    }

    async fn die(&self) -> ! {
        self.0.crash.notify_one();
        std::future::pending().await
    }
}

/// Answers a call as DynamoDB does when it rejects one.
fn refuse(fault: Fault, call: &Call) -> CallResult {
    match (fault, call.operation.as_str()) {
        (Fault::Broken, _) => answer(500, &exception("InternalServerError")),
        (Fault::Conflict, "TransactWriteItems") => cancel(call, "TransactionConflict"),
        (Fault::Throttled, "TransactWriteItems") => cancel(call, "ThrottlingError"),
        // Reads, single writes and batches fail with this error if a transaction is in progress.
        (Fault::Conflict, _) => answer(400, &exception("TransactionConflictException")),
        (Fault::Unprocessed, "BatchGetItem") => {
            answer(200, &json!({ "Responses": {}, "UnprocessedKeys": call.request()["RequestItems"] }))
        }
        (Fault::Unprocessed, "BatchWriteItem") => {
            answer(200, &json!({ "UnprocessedItems": call.request()["RequestItems"] }))
        }
        _ => answer(400, &exception("ProvisionedThroughputExceededException")),
    }
}

fn cancel(call: &Call, code: &str) -> CallResult {
    answer(400, &cancelled(&call.request(), |actions| actions / 2, code))
}
