//! Turns: the calls of one organisation leave time for those of others.
//!
//! The engine carries out one call at a time, and a scan, a bulk request or a change of many members makes many large ones
//! at once. Each organisation has one call in progress, and its other calls wait for their turn in the order of their
//! arrival. A call of another organisation then waits for one call of each, and not for all of them.

use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::Arc,
};

use tokio::{sync::Mutex, task::yield_now};

/// The number of queues. Organisations whose names have the same hash share one.
const QUEUES: usize = 64;

type Queue = Arc<Mutex<()>>;

tokio::task_local! {
    static QUEUE: Queue;
}

/// The queues of all organisations. Clones share them.
#[derive(Clone)]
pub struct Turns(Arc<[Queue]>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..QUEUES).map(|_| Queue::default()).collect())
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
/// The call is a task of its own, because a request may wait for many calls in one task, and would make them all without a
/// pause. It also goes on if the request ends, as a call of DynamoDB does.
///
/// # Errors
/// If the runtime is shutting down, or if the call panics.
pub async fn in_turn<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    let queue = QUEUE.try_with(Arc::clone).ok();
    let call = async move {
        let _turn = match &queue {
            Some(queue) => Some(queue.lock().await),
            None => None,
        };
        // The next call of the organisation waits outside of the scheduler meanwhile, and the calls of others run.
        yield_now().await;
        call()
    };
    tokio::spawn(call).await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn call_of_another_organisation_does_not_wait_for_all_calls() {
        let (turns, done) = (Turns::default(), Arc::new(AtomicUsize::new(0)));
        let many = tokio::spawn({
            let (turns, done) = (turns.clone(), Arc::clone(&done));
            let call = move || {
                let done = Arc::clone(&done);
                in_turn(move || done.fetch_add(1, Ordering::SeqCst))
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

    #[tokio::test]
    async fn calls_of_an_organisation_keep_their_order() {
        let (turns, order) = (Turns::default(), Arc::new(std::sync::Mutex::new(Vec::new())));
        let call = |number: usize| {
            let order = Arc::clone(&order);
            in_turn(move || order.lock().unwrap().push(number))
        };
        turns.serve("acme", join_all((0..50).map(call))).await;
        assert_eq!(*order.lock().unwrap(), (0..50).collect::<Vec<_>>());
    }
}
