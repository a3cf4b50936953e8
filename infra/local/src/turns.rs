//! Turns: the requests of one organisation leave time for those of others.
//!
//! The requests share the engine and a few threads. A request yields before each call of the engine. After eight calls, a
//! request is heavy: a scan, a bulk request, a change of many members. At most two heavy requests of an organisation
//! proceed at once, and the others wait. A request that makes no call for a while leaves its turn to others, because it may
//! wait for one of them.

use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    sync::{Semaphore, watch},
    task::yield_now,
    time::{Duration, sleep},
};

/// The number of calls after which a request is heavy.
const LIGHT_CALLS: usize = 8;
/// The number of heavy requests of an organisation that proceed at once.
const HEAVY_AT_ONCE: usize = 2;
/// The number of semaphores. Organisations whose names have the same hash share one.
const SEMAPHORES: usize = 64;
/// The time without a call after which a heavy request leaves its turn to others.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

tokio::task_local! {
    static REQUEST: Arc<Request>;
}

/// The turns of the requests of all organisations. Clones share them.
#[derive(Clone)]
pub struct Turns(Arc<[Arc<Semaphore>]>);

/// A request that is served.
struct Request {
    calls: AtomicUsize,
    state: watch::Sender<State>,
    heavy: Arc<Semaphore>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The request has no permit of its organisation, and does not wait for one.
    Idle,
    Waiting,
    Permitted,
}

impl Default for Turns {
    fn default() -> Self {
        Self((0..SEMAPHORES).map(|_| Arc::new(Semaphore::new(HEAVY_AT_ONCE))).collect())
    }
}

impl Turns {
    /// Serves a request of an organisation: the future waits for turns in [`turn`].
    pub async fn serve<T>(&self, organisation: &str, request: impl Future<Output = T>) -> T {
        let hash = BuildHasherDefault::<DefaultHasher>::new().hash_one(organisation);
        let index = usize::try_from(hash % SEMAPHORES as u64).unwrap_or_default();
        let heavy = Arc::clone(&self.0[index]);
        let (calls, state) = (AtomicUsize::new(0), watch::Sender::new(State::Idle));
        REQUEST.scope(Arc::new(Request { calls, state, heavy }), request).await
    }
}

/// Waits for the turn of the next call of the request that is served. Outside of a request, the function yields once.
pub async fn turn() {
    if let Ok(request) = REQUEST.try_with(Arc::clone) {
        request.turn().await;
    }
    yield_now().await;
}

impl Request {
    async fn turn(self: Arc<Self>) {
        if self.calls.fetch_add(1, Ordering::Relaxed) < LIGHT_CALLS {
            return;
        }
        let mut state = self.state.subscribe();
        loop {
            let begins = self.state.send_if_modified(|state| {
                let begins = *state == State::Idle;
                if begins {
                    *state = State::Waiting;
                }
                begins
            });
            if begins {
                // A task of its own has the permit. The calls of a request are futures of one task, which may poll one of
                // them only after the end of another. Such a future would never use a permit that it was given.
                tokio::spawn(hold(Arc::downgrade(&self), Arc::clone(&self.heavy)));
            }
            // An error is impossible: the sender is part of the request.
            let state = state.wait_for(|state| *state != State::Waiting).await;
            if state.is_ok_and(|state| *state == State::Permitted) {
                return;
            }
        }
    }
}

/// Acquires a permit, and holds it until the request ends or makes no call for a while.
async fn hold(request: Weak<Request>, heavy: Arc<Semaphore>) {
    let Ok(_permit) = heavy.acquire_owned().await else { return };
    let mut calls = None;
    while let Some(request) = request.upgrade() {
        let before = calls.replace(request.calls.load(Ordering::Relaxed));
        let is_over = before == calls;
        request.state.send_replace(if is_over { State::Idle } else { State::Permitted });
        if is_over {
            return;
        }
        drop(request);
        sleep(LONGEST_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use futures_util::{StreamExt, stream};
    use tokio::sync::{Mutex, Notify};

    use super::*;

    /// Makes calls in a request of the organisation. The gate stops each request at its last call.
    async fn request(turns: &Turns, organisation: &str, calls: usize, at_end: impl Future<Output = ()>) {
        let work = async {
            for _ in 0..calls {
                turn().await;
            }
            at_end.await;
        };
        turns.serve(organisation, work).await;
    }

    #[tokio::test(start_paused = true)]
    async fn heavy_requests_of_an_organisation_are_bounded() {
        let (turns, gate) = (Turns::default(), Arc::new(Notify::new()));
        let arrived = Arc::new(Mutex::new(BTreeSet::new()));
        let spawn = |organisation: &'static str, number: usize, calls: usize| {
            let (turns, gate, arrived) = (turns.clone(), Arc::clone(&gate), Arc::clone(&arrived));
            let at_end = async move {
                arrived.lock().await.insert((organisation, number));
                gate.notified().await;
            };
            tokio::spawn(async move { request(&turns, organisation, calls, at_end).await })
        };
        let heavy: Vec<_> = (0..5).map(|number| spawn("acme", number, LIGHT_CALLS + 1)).collect();
        let light: Vec<_> = (0..5).map(|number| spawn("acme", 10 + number, LIGHT_CALLS)).collect();
        let other = spawn("globex", 0, LIGHT_CALLS + 1);
        for _ in 0..1_000 {
            yield_now().await;
        }
        let waiting = arrived.lock().await.clone();
        let of = |heavy: bool| {
            waiting.iter().filter(move |(org, number)| *org == "acme" && (*number < 10) == heavy)
        };
        assert_eq!((of(true).count(), of(false).count()), (HEAVY_AT_ONCE, 5), "{waiting:?}");
        assert!(waiting.contains(&("globex", 0)));
        // Each end lets the next request proceed.
        for task in light.into_iter().chain(heavy).chain([other]) {
            while !task.is_finished() {
                gate.notify_waiters();
                sleep(LONGEST_PAUSE).await;
            }
        }
        assert_eq!(arrived.lock().await.len(), 11);
    }

    /// Two writers wait for a group that a third one holds. It needs a permit to let go of the group.
    #[tokio::test(start_paused = true)]
    async fn request_that_waits_leaves_its_turn_to_others() {
        let (turns, released) = (Turns::default(), Arc::new(Notify::new()));
        let waiting: Vec<_> = (0..HEAVY_AT_ONCE)
            .map(|_| {
                let (turns, released) = (turns.clone(), Arc::clone(&released));
                let calls = LIGHT_CALLS + 1;
                tokio::spawn(async move { request(&turns, "acme", calls, released.notified()).await })
            })
            .collect();
        while turns.0.iter().all(|heavy| heavy.available_permits() > 0) {
            yield_now().await;
        }
        request(&turns, "acme", LIGHT_CALLS + 1, async { released.notify_waiters() }).await;
        for task in waiting {
            task.await.unwrap();
        }
        // A request that goes on has a turn again.
        request(&turns, "acme", 3 * LIGHT_CALLS, sleep(3 * LONGEST_PAUSE)).await;
    }

    /// The futures of a stream make no progress while the loop over it makes other calls.
    #[tokio::test(start_paused = true)]
    async fn calls_of_a_request_do_not_wait_for_each_other() {
        let turns = Turns::default();
        let work = async {
            let mut reads = stream::iter((0..40).map(|_| turn())).buffered(10);
            while reads.next().await.is_some() {
                turn().await;
            }
        };
        turns.serve("acme", work).await;
        sleep(2 * LONGEST_PAUSE).await;
        assert!(turns.0.iter().all(|heavy| heavy.available_permits() == HEAVY_AT_ONCE));
    }
}
