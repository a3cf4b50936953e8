//! Faults of calls to DynamoDB: one call fails, or one and every later call.
//!
//! After an error of the connector the service or the SDK repeats the call, as after a broken connection. After a crash
//! no call of the client returns any more: the test drops the request and continues with another process, which has
//! another client. A call without an answer may be made later than its repeat.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::{http::HttpConnector, result::ConnectorError};
use dynoxide::Database;
use local::embedded::Connector;
use serde_json::{Value, json};
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
    /// The call succeeds, its answer is lost, and it is made once more, before the call of this number.
    Late(usize),
    /// The call does not reach DynamoDB in time, and is made before the call of this number.
    Delayed(usize),
    /// The process dies, and the call is made before the call of this number.
    CrashDelayed(usize),
}

impl Fault {
    /// The faults without a late call.
    pub const IMMEDIATE: [Self; 8] = [
        Self::Unsent,
        Self::Unanswered,
        Self::CrashBefore,
        Self::CrashAfter,
        Self::Conflict,
        Self::Throttled,
        Self::Broken,
        Self::Unprocessed,
    ];

    /// The number of faults.
    pub const MODES: usize = Self::IMMEDIATE.len() + 3;

    /// Returns whether the process dies.
    #[must_use]
    pub fn is_crash(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfter | Self::CrashDelayed(_))
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

/// A call that a client tried to make, or a late call.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The client, counted from 0 in the order of [`Faults::client`].
    pub client: usize,
    /// The operation, such as `GetItem`.
    pub operation: String,
    /// The request.
    pub request: Value,
    /// The status and the body with which DynamoDB answered. `None` if the call did not reach DynamoDB.
    pub answer: Option<(u16, Value)>,
    /// The effect on the client.
    pub receipt: Receipt,
}

/// The effect of a call on its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// The client receives the answer.
    Received,
    /// The client receives an error of the connection, or dies.
    Lost,
    /// The client has given up the call before it is made.
    Late,
}

impl Recorded {
    /// Returns whether the operation writes.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !matches!(self.operation.as_str(), "BatchGetItem" | "GetItem" | "Query" | "Scan" | "TransactGetItems")
    }
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
    clients: usize,
    plan: Option<Plan>,
    calls: usize,
    /// The client whose process is dead.
    dead: Option<usize>,
    /// The late call, and its client.
    late: Option<(usize, Call)>,
    record: Vec<Attempt>,
}

/// A [`Recorded`] call that is not parsed yet, because most records are not read.
struct Attempt {
    client: usize,
    operation: String,
    request: Vec<u8>,
    answer: Option<(u16, Vec<u8>)>,
    receipt: Receipt,
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
        let number = self.state().clients;
        self.state().clients += 1;
        intercept::client(connector, move |call| faults.clone().handle(number, call))
    }

    /// Sets the plan, forgets every recorded call, and counts calls from 0.
    pub fn plan(&self, plan: Option<Plan>) {
        let mut state = self.state();
        *state = State { clients: state.clients, plan, ..State::default() };
    }

    /// Returns the number of calls since the plan was set.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.state().calls
    }

    /// Returns the calls since the plan was set, in the order in which DynamoDB answered or the client gave up.
    #[must_use]
    pub fn recorded(&self) -> Vec<Recorded> {
        self.state().record.iter().map(Attempt::parsed).collect()
    }

    /// Waits until the process dies.
    pub async fn crashed(&self) {
        self.0.crash.notified().await;
    }

    /// Makes the late call. Returns `false` if it has been made already.
    pub async fn make_late_call(&self) -> bool {
        let late = self.state().late.take();
        let Some((client, call)) = late else { return false };
        let _ = self.forward(client, call, Receipt::Late).await;
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of the next call of a client, and its fault.
    fn next(&self, client: usize) -> (usize, Option<Fault>) {
        let mut state = self.state();
        let call = state.calls;
        state.calls += 1;
        if state.dead == Some(client) {
            return (call, Some(Fault::CrashBefore));
        }
        let Some(plan) = state.plan else { return (call, None) };
        let falls = if plan.lasting { call >= plan.call } else { call == plan.call };
        if falls && plan.fault.is_crash() {
            state.dead = Some(client);
        }
        (call, falls.then_some(plan.fault))
    }

    async fn handle(self, client: usize, call: Call) -> CallResult {
        let (number, fault) = self.next(client);
        self.make_due_call(number).await;
        let lost = || Err(ConnectorError::io("the connection broke".into()));
        match fault {
            None => self.forward(client, call, Receipt::Received).await,
            Some(Fault::Unsent) => {
                self.record(client, &call, None, Receipt::Lost);
                lost()
            }
            Some(Fault::Unanswered) => {
                let _ = self.forward(client, call, Receipt::Lost).await;
                lost()
            }
            Some(Fault::CrashBefore) => {
                self.record(client, &call, None, Receipt::Lost);
                self.die().await
            }
            Some(Fault::CrashAfter) => {
                let _ = self.forward(client, call, Receipt::Lost).await;
                self.die().await
            }
            Some(Fault::Late(_)) => {
                self.state().late = Some((client, call.copy()));
                let _ = self.forward(client, call, Receipt::Lost).await;
                lost()
            }
            Some(Fault::Delayed(_)) => {
                self.record(client, &call, None, Receipt::Lost);
                self.state().late = Some((client, call));
                lost()
            }
            Some(Fault::CrashDelayed(_)) => {
                self.record(client, &call, None, Receipt::Lost);
                self.state().late = Some((client, call));
                self.die().await
            }
            Some(fault) => {
                let refused = refuse(fault, &call);
                self.record(client, &call, Some(&refused), Receipt::Received);
                refused
            }
        }
    }

    /// Makes the late call if it is planned before the call of that number.
    async fn make_due_call(&self, number: usize) {
        let fault = self.state().plan.map(|plan| plan.fault);
        let is_due = match fault {
            Some(Fault::Late(due) | Fault::Delayed(due) | Fault::CrashDelayed(due)) => number >= due,
            _ => false,
        };
        if is_due {
            self.make_late_call().await;
        }
    }

    async fn forward(&self, client: usize, call: Call, receipt: Receipt) -> CallResult {
        let result = call.copy().forward().await;
        self.record(client, &call, Some(&result), receipt);
        result
    }

    fn record(&self, client: usize, call: &Call, result: Option<&CallResult>, receipt: Receipt) {
        let answer = result.and_then(|result| result.as_ref().ok());
        let answer = answer
            .map(|answer| (answer.status().as_u16(), answer.body().bytes().unwrap_or_default().to_vec()));
        let (operation, request) = (call.operation.clone(), call.body().to_vec());
        self.state().record.push(Attempt { client, operation, request, answer, receipt });
    }

    async fn die(&self) -> ! {
        self.0.crash.notify_one();
        std::future::pending().await
    }
}

impl Attempt {
    fn parsed(&self) -> Recorded {
        let parsed = |json: &[u8]| serde_json::from_slice(json).unwrap_or_default();
        Recorded {
            client: self.client,
            operation: self.operation.clone(),
            request: parsed(&self.request),
            answer: self.answer.as_ref().map(|(status, body)| (*status, parsed(body))),
            receipt: self.receipt,
        }
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
