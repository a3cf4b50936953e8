//! Turns: the calls of one organisation leave time for those of others.
//!
//! The engine carries out one call at a time, and a scan, a bulk request or a change of many members makes many large ones
//! at once. After a slow call, the calls of its organisation wait in a queue, of which one is in progress. A call of another
//! organisation then waits for one call of each, and not for all of them. Other calls are made at once, and every eighth
//! yields: a queue and a yield cost more than they take.

use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    sync::Mutex,
    task::{JoinError, yield_now},
    time::{Duration, Instant},
};

/// The number of queues. Organisations whose names have the same hash share one.
const QUEUES: usize = 64;
/// The time from which a call is slow. Reads and writes of one resource take less.
const SLOW: Duration = Duration::from_millis(1);
/// The number of calls of an organisation after which one yields.
const CALLS: usize = 8;

/// The calls of an organisation.
#[derive(Default)]
struct Queue {
    calls: AtomicUsize,
    turn: Mutex<()>,
    /// Whether the last call was slow.
    is_slow: AtomicBool,
}

tokio::task_local! {
    static QUEUE: Arc<Queue>;
}

/// The queues of all organisations. Clones share them.
#[derive(Clone)]
pub struct Turns(Arc<[Arc<Queue>]>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..QUEUES).map(|_| Arc::default()).collect())
    }
}

impl Turns {
    /// Serves a request of an organisation: the calls that its future makes with [`in_turn`] wait for their turn.
    pub async fn serve<T>(&self, organisation: &str, request: impl Future<Output = T>) -> T {
        let hash = BuildHasherDefault::<DefaultHasher>::new().hash_one(organisation);
        let index = usize::try_from(hash % QUEUES as u64).unwrap_or_default();
        QUEUE.scope(Arc::clone(&self.0[index]), request).await
    }
}

/// Makes a call in the turn of the organisation whose request is served. Outside of a request, the call has no queue.
///
/// A call in the queue is a task of its own. A request may wait for many calls in one task, and would make them all without
/// a pause. Such a task goes on if the request ends, as a call of DynamoDB does.
///
/// # Errors
/// If the runtime is shutting down, or if the call panics.
pub async fn in_turn<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    let Ok(queue) = QUEUE.try_with(Arc::clone) else {
        yield_now().await;
        return Ok(call());
    };
    if queue.calls.fetch_add(1, Ordering::Relaxed) % CALLS == 0 {
        yield_now().await;
    }
    if !queue.is_slow.load(Ordering::Relaxed) {
        return Ok(queue.timed(call));
    }
    let call = async move {
        let _turn = queue.turn.lock().await;
        // The next call of the organisation waits outside of the scheduler meanwhile, and the calls of others run.
        yield_now().await;
        queue.timed(call)
    };
    tokio::spawn(call).await
}

impl Queue {
    fn timed<T>(&self, call: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let result = call();
        self.is_slow.store(began.elapsed() >= SLOW, Ordering::Relaxed);
        result
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn call_of_another_organisation_does_not_wait_for_all_calls() {
        let (turns, done) = (Turns::default(), Arc::new(AtomicUsize::new(0)));
        let many = tokio::spawn({
            let (turns, done) = (turns.clone(), Arc::clone(&done));
            let call = move || {
                let done = Arc::clone(&done);
                in_turn(move || {
                    std::thread::sleep(SLOW);
                    done.fetch_add(1, Ordering::SeqCst)
                })
            };
            async move { turns.serve("acme", join_all((0..100).map(|_| call()))).await }
        });
        while done.load(Ordering::SeqCst) == 0 {
            yield_now().await;
        }
        for _ in 0..4 {
            turns.serve("globex", in_turn(|| ())).await.unwrap();
        }
        let before = done.load(Ordering::SeqCst);
        assert!(before < 50, "{before} calls of the first organisation were earlier");
        many.await.unwrap();
        assert_eq!(done.load(Ordering::SeqCst), 100);
    }
}
