//! A seeded order of calls to DynamoDB.
//!
//! Each call waits twice, before it is made and before its answer arrives, until a seeded choice selects it. Concurrent
//! requests therefore interleave between any two calls, in an order that the seed alone decides. Transactions conflict and
//! calls are throttled, which the embedded engine never does by itself.
//!
//! A schedule needs a runtime of one thread with a paused clock: time passes at once when every task waits for it.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_sdk_dynamodb::Client;
use dynoxide::Database;
use fastrand::Rng;
use local::embedded::Connector;
use serde_json::Value;
use tokio::{
    sync::{Notify, oneshot},
    task::{JoinHandle, yield_now},
    time::{Duration, sleep},
};

use crate::intercept::{self, Call, CallResult, answer, cancelled, exception};

/// How often the scheduler yields to the other tasks before it selects a call.
const SETTLE: usize = 4;
/// Time passes before one choice in this number, for the tasks that wait for it.
const TIME_PASSES: u64 = 8;
/// The longest time that passes then, in milliseconds.
const MILLIS: u64 = 12;

/// How often calls fail: one in this number, or none if 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Transactions that are cancelled because of a conflict.
    pub conflicts: u64,
    /// Calls that are throttled.
    pub throttled: u64,
}

/// The order of calls. Outside [`Schedule::run`], each call is made at once.
#[derive(Clone)]
pub struct Schedule(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    arrived: Notify,
}

struct State {
    random: Rng,
    faults: Faults,
    running: bool,
    arrivals: u64,
    /// The waiting calls by a random number, which is the order in which they continue if no other call arrives.
    waiting: BTreeMap<(u64, u64), oneshot::Sender<()>>,
    trace: Vec<String>,
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schedule")
    }
}

impl Schedule {
    /// Returns the order of a seed.
    #[must_use]
    pub fn new(seed: u64, faults: Faults) -> Self {
        // The back-off of the SDK takes its jitter from the random numbers of the thread.
        fastrand::seed(seed);
        let state = State {
            random: Rng::with_seed(seed),
            faults,
            running: false,
            arrivals: 0,
            waiting: BTreeMap::new(),
            trace: Vec::new(),
        };
        Self(Arc::new(Shared { state: Mutex::new(state), arrived: Notify::new() }))
    }

    /// Returns a client of the database whose calls are in this order.
    #[must_use]
    pub fn client(&self, database: Database) -> Client {
        let schedule = self.clone();
        intercept::client(Connector::new(database), move |call| schedule.clone().handle(call))
    }

    /// Runs the tasks concurrently and returns their results.
    pub async fn run<T: Send + 'static>(
        &self,
        tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
    ) -> Vec<T> {
        self.state().running = true;
        let tasks: Vec<JoinHandle<T>> = tasks.into_iter().map(tokio::spawn).collect();
        let scheduler = tokio::spawn(self.clone().choose());
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.expect("a task that does not panic"));
        }
        scheduler.abort();
        self.state().running = false;
        outcomes
    }

    /// Returns the calls in the order in which they were made or failed.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.state().trace.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Selects one call after another.
    async fn choose(self) {
        loop {
            for _ in 0..SETTLE {
                yield_now().await;
            }
            let pause = {
                let mut state = self.state();
                (state.random.u64(..TIME_PASSES) == 0).then(|| state.random.u64(1..=MILLIS))
            };
            if let Some(millis) = pause {
                sleep(Duration::from_millis(millis)).await;
            }
            let next = self.state().waiting.pop_first();
            match next {
                // The call may have been dropped since.
                Some((_, waiting)) => drop(waiting.send(())),
                None => self.0.arrived.notified().await,
            }
        }
    }

    /// Waits until the scheduler selects this call.
    async fn turn(&self) {
        let turn = {
            let mut state = self.state();
            if !state.running {
                return;
            }
            let (go, turn) = oneshot::channel();
            let order = (state.random.u64(..), state.arrivals);
            state.arrivals += 1;
            state.waiting.insert(order, go);
            turn
        };
        self.0.arrived.notify_one();
        // Without a scheduler, no call waits.
        turn.await.unwrap_or_default();
    }

    async fn handle(self, call: Call) -> CallResult {
        self.turn().await;
        let failure = self.failure(&call);
        let outcome = if failure.is_some() { " fails" } else { "" };
        self.state().trace.push(format!("{}{outcome}", call.operation));
        let answer = match failure {
            Some(failure) => answer(400, &failure),
            None => call.forward().await,
        };
        self.turn().await;
        answer
    }

    /// Chooses whether the call fails, and returns the error that answers it.
    fn failure(&self, call: &Call) -> Option<Value> {
        let mut state = self.state();
        if !state.running {
            return None;
        }
        let Faults { conflicts, throttled } = state.faults;
        let mut falls = |one_in: u64| one_in != 0 && state.random.u64(..one_in) == 0;
        if falls(throttled) {
            return Some(exception("ThrottlingException"));
        }
        if call.operation != "TransactWriteItems" || !falls(conflicts) {
            return None;
        }
        let loser = |actions: usize| state.random.usize(..actions.max(1));
        Some(cancelled(&call.request(), loser, "TransactionConflict"))
    }
}
