//! A realistic DynamoDB for tests: calls take time, and transactions that overlap conflict.
//!
//! The embedded engine carries out each call at once and alone. This connector adds what AWS documents about calls that
//! overlap:
//!
//! - Each call takes a drawn time. The call has its effect at a drawn moment within this time, and the answer arrives at
//!   its end. A call reads or writes all of its items at that moment.
//! - A call goes on when its caller has given up.
//! - A transaction is in progress from its arrival to its answer. The items of all its actions, also of condition
//!   checks, are then closed to other writes. Another transaction is cancelled. `PutItem`, `UpdateItem` and `DeleteItem`
//!   fail. `BatchWriteItem` has no error for conflicts. It returns these items as unprocessed, as it does with every
//!   single write that fails.
//! - Reads are never refused. This includes `TransactGetItems`, which the service does not use.
//! - A transaction with the token of a successful one succeeds without effect. A cancelled transaction leaves no token.
//!
//! On a runtime of one thread with a paused clock, the seed decides all times, and waiting takes no time.

use std::{
    collections::BTreeMap,
    fmt, mem,
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector},
    orchestrator::HttpRequest,
    result::ConnectorError,
};
use dynoxide::Database;
use fastrand::Rng;
use serde_json::Value;
use tokio::time::{Duration, Instant, sleep_until};

use crate::{
    embedded::{Connector, TARGET, client_over, response},
    transactions::{Answer, Refusal, Transaction, Transactions},
};

/// The time of a call by default, in milliseconds.
const MILLIS: RangeInclusive<u64> = 4..=12;
const TRANSACTION: &str = "TransactWriteItems";

/// A realistic DynamoDB. Clones share the database, the transactions in progress and the counts.
#[derive(Clone)]
pub struct Realistic {
    engine: Connector,
    millis: RangeInclusive<u64>,
    state: Arc<Mutex<State>>,
}

struct State {
    random: Rng,
    transactions: Transactions,
    counts: Counts,
}

/// The number of calls, and of transactions that had no effect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// The calls of each operation.
    pub calls: BTreeMap<String, usize>,
    /// The transactions that were cancelled because of a conflict.
    pub conflicts: Cancelled,
    /// The transactions that the engine refused, nearly always because of a condition.
    pub refused: Cancelled,
}

/// A number of cancelled transactions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cancelled {
    /// The transactions.
    pub transactions: usize,
    /// The actions of these transactions.
    pub actions: usize,
}

impl Counts {
    /// Returns the number of transactions that were sent.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.calls.get(TRANSACTION).copied().unwrap_or_default()
    }
}

impl Cancelled {
    fn add(&mut self, actions: usize) {
        self.transactions += 1;
        self.actions += actions;
    }
}

impl Realistic {
    /// Returns a connector to the database that draws times from the seed.
    #[must_use]
    pub fn new(database: Database, seed: u64) -> Self {
        let state = State {
            random: Rng::with_seed(seed),
            transactions: Transactions::default(),
            counts: Counts::default(),
        };
        Self { engine: Connector::new(database), millis: MILLIS, state: Arc::new(Mutex::new(state)) }
    }

    /// Sets the range of the time of a call, in milliseconds.
    #[must_use]
    pub fn taking(self, millis: RangeInclusive<u64>) -> Self {
        Self { millis, ..self }
    }

    /// Returns a client of this DynamoDB.
    #[must_use]
    pub fn client(&self) -> Client {
        client_over(SharedHttpConnector::new(self.clone()))
    }

    /// Returns the counts since the last call of this function.
    #[must_use]
    pub fn take_counts(&self) -> Counts {
        mem::take(&mut self.state().counts)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out a call and returns its answer at the end of its time.
    async fn carry_out(self, target: String, body: Vec<u8>, effect: Instant, end: Instant) -> Answer {
        if operation(&target) != TRANSACTION {
            sleep_until(effect).await;
            let answer = self.perform(&target, &body);
            sleep_until(end).await;
            return answer;
        }
        match self.begin(&parse(&body)) {
            Ok(transaction) => {
                sleep_until(effect).await;
                let answer = self.engine.respond(Some(&target), &body);
                sleep_until(end).await;
                self.end(transaction, answer.0 == 200);
                answer
            }
            Err(refusal) => {
                sleep_until(end).await;
                refusal.answer()
            }
        }
    }

    fn begin(&self, request: &Value) -> Result<Transaction, Refusal> {
        let state = &mut *self.state();
        let begun = state.transactions.begin(request);
        if let Err(Refusal::Conflict(actions)) = &begun {
            state.counts.conflicts.add(actions.len());
        }
        begun
    }

    fn end(&self, transaction: Transaction, succeeded: bool) {
        let state = &mut *self.state();
        let actions = state.transactions.end(transaction, succeeded);
        if !succeeded {
            state.counts.refused.add(actions);
        }
    }

    /// Makes a call that is no transaction, without its writes to closed items.
    fn perform(&self, target: &str, body: &[u8]) -> Answer {
        match operation(target) {
            "PutItem" | "UpdateItem" | "DeleteItem" => {
                let refusal = self.state().transactions.refuse_write(&parse(body));
                refusal.unwrap_or_else(|| self.engine.respond(Some(target), body))
            }
            "BatchWriteItem" => self.perform_batch(target, parse(body)),
            _ => self.engine.respond(Some(target), body),
        }
    }

    fn perform_batch(&self, target: &str, mut request: Value) -> Answer {
        let (open, closed) = self.state().transactions.divide_batch(&request);
        let (status, answer) = if open.is_empty() && !closed.is_empty() {
            (200, "{}".to_owned())
        } else {
            request["RequestItems"] = open.into();
            self.engine.respond(Some(target), request.to_string().as_bytes())
        };
        if status != 200 || closed.is_empty() {
            return (status, answer);
        }
        let mut answer = parse(answer.as_bytes());
        answer["UnprocessedItems"] = closed.into();
        (status, answer.to_string())
    }
}

impl fmt::Debug for Realistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Realistic")
    }
}

impl HttpConnector for Realistic {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get(TARGET).unwrap_or_default().to_owned();
        let body = request.body().bytes().unwrap_or_default().to_vec();
        let (effect, time) = {
            let state = &mut *self.state();
            *state.counts.calls.entry(operation(&target).to_owned()).or_default() += 1;
            let time = state.random.u64(self.millis.clone());
            (Duration::from_millis(state.random.u64(..=time)), Duration::from_millis(time))
        };
        let arrival = Instant::now();
        // A task of its own goes on when the caller drops the future.
        let call = tokio::spawn(self.clone().carry_out(target, body, arrival + effect, arrival + time));
        HttpConnectorFuture::new(async move {
            let (status, body) = call.await.map_err(|error| ConnectorError::other(error.into(), None))?;
            response(status, body)
        })
    }
}

fn operation(target: &str) -> &str {
    target.rsplit('.').next().unwrap_or_default()
}

fn parse(body: &[u8]) -> Value {
    // `str::parse` is compiled with `serde_json`, which test builds optimise.
    str::from_utf8(body).ok().and_then(|body| body.parse().ok()).unwrap_or_default()
}
