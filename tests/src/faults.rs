//! What can go wrong with a call to DynamoDB: a connector that lets one call fail, or every one from there on.
//!
//! An error of the connector is what makes the SDK repeat by itself, as it does when a connection breaks. A crash is that
//! no call from there on ever comes back: whoever waits is to be dropped, and what goes on is another process.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::result::ConnectorError;
use dynoxide::Database;
use local::embedded::Connector;
use serde_json::json;
use tokio::sync::Notify;

use crate::intercept::{self, Call, CallResult, answer, cancelled, exception};

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
        let faults = self.clone();
        let connector = Connector::new(database).honouring_tokens();
        intercept::client(connector, move |call| faults.clone().handle(call))
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

/// Answers as DynamoDB does when it refuses a call.
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
