//! The janitor: finishes the changes of requests that were killed.
//!
//! Neither readers nor writers depend on the janitor. It limits how long deleted resources and abandoned drafts keep items
//! in the table. It finds unfinished changes by their list, so a run costs 16 queries and the work on what they find,
//! whatever the number of organisations. It also finds the changes of organisations that are disabled or do not exist any
//! more.

use futures_util::StreamExt;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    Error,
    auth::Org,
    limits::OPERATOR_BUDGET,
    store::{AbandonedChange, ListedChange, Store},
    telemetry::SWEEP,
};

/// The number of changes that are finished at once.
const CONCURRENCY: usize = 8;

/// The result of a sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// The number of entries in the list of unfinished changes.
    pub listed: usize,
    /// The number of finished changes.
    pub finished: usize,
    /// The number of changes that could not be finished, and of partitions of the list that could not be read.
    pub failed: usize,
    /// The age of the oldest abandoned change in milliseconds.
    pub oldest_millis: u64,
}

impl Swept {
    fn failed() -> Self {
        Self { failed: 1, ..Self::default() }
    }

    fn and(self, other: Self) -> Self {
        Self {
            listed: self.listed + other.listed,
            finished: self.finished + other.finished,
            failed: self.failed + other.failed,
            oldest_millis: self.oldest_millis.max(other.oldest_millis),
        }
    }
}

/// Finishes the abandoned changes of all organisations, and logs the result. A failure of one change does not stop the
/// others. A change that takes longer than the run is continued in the next run.
pub async fn sweep(store: &Store) -> Swept {
    let deadline = Instant::now() + OPERATOR_BUDGET;
    let swept = store
        .unfinished()
        .take_until(sleep_until(deadline))
        .map(|listed| visit(store, listed, deadline))
        .buffer_unordered(CONCURRENCY)
        .fold(Swept::default(), async |swept, visited| swept.and(visited))
        .await;
    tracing::info!(
        name: SWEEP,
        listed = swept.listed,
        OldestUnfinished = swept.oldest_millis,
        UnfinishedChanges = swept.finished,
        SweepFailures = swept.failed,
        "swept"
    );
    swept
}

/// Finishes a listed change if its request has ended.
async fn visit(store: &Store, listed: Result<ListedChange, Error>, deadline: Instant) -> Swept {
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) => {
            log_failure(None, &error);
            return Swept::failed();
        }
    };
    let visited = match store.abandoned(&listed).await {
        Ok(None) => Swept::default(),
        Ok(Some(change)) => finish(listed.org(), change, deadline).await,
        Err(error) => {
            log_failure(Some(listed.org()), &error);
            Swept::failed()
        }
    };
    Swept { listed: 1, ..visited }
}

async fn finish(org: &Org, change: AbandonedChange, deadline: Instant) -> Swept {
    let oldest_millis = change.age_millis();
    let swept = match timeout_at(deadline, change.finish()).await {
        Ok(Ok(own)) => Swept { finished: usize::from(own), ..Swept::default() },
        Ok(Err(error)) => {
            log_failure(Some(org), &error);
            Swept::failed()
        }
        Err(_) => {
            let cause = "the change takes longer than a run";
            tracing::warn!(org = org.as_str(), cause, "a change is left unfinished");
            Swept::default()
        }
    };
    Swept { oldest_millis, ..swept }
}

fn log_failure(org: Option<&Org>, error: &Error) {
    let cause = error.cause().unwrap_or_else(|| "the change is not as expected".to_owned());
    tracing::error!(org = org.map(Org::as_str), cause, "a change cannot be finished");
}
