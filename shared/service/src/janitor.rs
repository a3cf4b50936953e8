//! The janitor: completes the pending changes of requests that were killed.
//!
//! Reads do not depend on the janitor, because a read completes the pending changes that it meets. The janitor limits how
//! long deleted resources and abandoned drafts keep items in the table.

use crate::{Error, auth::Caller, limits::ABANDONED_AFTER, store::Store, telemetry::SWEEP};
use futures_util::{StreamExt, stream};

/// The number of organisations that are swept at once.
const CONCURRENCY: usize = 8;

/// The result of a sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// The number of organisations.
    pub organisations: usize,
    /// The number of completed changes.
    pub finished: usize,
    /// The number of organisations with changes that could not be completed.
    pub failed: usize,
    /// The age of the oldest pending change in milliseconds.
    pub oldest_millis: u64,
}

/// Completes the abandoned changes of every organisation, and logs the result. A failure in one organisation does not stop
/// the others.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Throttled`] if the organisations cannot be listed.
pub async fn sweep(store: &Store) -> Result<Swept, Error> {
    let orgs = store.orgs().await?;
    let organisations = orgs.len();
    let cleaned = stream::iter(orgs)
        .map(|info| async move {
            let directory = store.directory(&Caller::operator(info.org.clone()));
            directory.finish_pending(ABANDONED_AFTER).await.map_err(|error| (info.org, error))
        })
        .buffer_unordered(CONCURRENCY);
    let swept = cleaned
        .fold(Swept { organisations, ..Swept::default() }, async |mut swept, cleaned| {
            match cleaned {
                Ok(finished) => {
                    swept.finished += finished.changes;
                    swept.failed += usize::from(finished.stuck > 0);
                    swept.oldest_millis = swept.oldest_millis.max(finished.oldest_millis);
                }
                Err((org, error)) => {
                    swept.failed += 1;
                    let cause = match &error {
                        Error::Internal(cause) => cause.as_str(),
                        _ => "DynamoDB did not answer",
                    };
                    tracing::error!(org = org.as_str(), cause, "pending changes remain");
                }
            }
            swept
        })
        .await;
    tracing::info!(
        name: SWEEP,
        organisations = swept.organisations,
        OldestUnfinished = swept.oldest_millis,
        UnfinishedChanges = swept.finished,
        SweepFailures = swept.failed,
        "swept"
    );
    Ok(swept)
}
