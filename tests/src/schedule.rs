//! Which call of DynamoDB comes next: a connector that holds every call back, before it is carried out and again before
//! its answer arrives, until a seeded choice falls on it. So requests that run at the same time interleave, between any
//! two calls, in an order that the seed alone decides; and transactions conflict and calls are throttled, which the
//! embedded engine never does by itself.
//!
//! It needs a runtime of one thread whose clock is paused: time passes when everybody waits for it, and then at once.

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

/// Times the scheduler lets everybody else go on before it looks who waits.
const SETTLE: usize = 4;
/// One choice in so many is that time passes, for those who wait for that.
const TIME_PASSES: u64 = 8;
/// And so long, at most.
const MILLIS: u64 = 12;

/// What goes wrong: one transaction or call in so many, none if 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Transactions that are cancelled for a conflict with another.
    pub conflicts: u64,
    /// Calls that are throttled.
    pub throttled: u64,
}

/// The order of calls. Until it is run, calls are carried out at once.
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
    /// By a random number: who waits, in the order in which they go on if nobody else comes.
    waiting: BTreeMap<(u64, u64), oneshot::Sender<()>>,
    trace: Vec<String>,
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schedule")
    }
}

impl Schedule {
    /// The order that follows from this seed.
    #[must_use]
    pub fn new(seed: u64, faults: Faults) -> Self {
        // The SDK's own back-off is jittered by the numbers of the thread.
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

    /// A client of the database whose calls are in this order.
    #[must_use]
    pub fn client(&self, database: Database) -> Client {
        let schedule = self.clone();
        intercept::client(Connector::new(database), move |call| schedule.clone().handle(call))
    }

    /// Runs these at the same time; gives what they come to.
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

    /// The calls in the order in which they were carried out or failed.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.state().trace.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets one after the other go on.
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
                // Whoever waited may have been given up since.
                Some((_, waiting)) => drop(waiting.send(())),
                None => self.0.arrived.notified().await,
            }
        }
    }

    /// Waits for its turn.
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
        // The scheduler that is gone holds nobody back.
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

    /// Chooses whether the call fails, and returns the error that answers it then.
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
