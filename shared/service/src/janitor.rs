//! The janitor: finishes what a killed request left unfinished and no later request has met.
//!
//! No reader depends on it: whoever reads what an unfinished change may have half done finishes it first. It bounds how
//! long a deleted resource leaves items behind, and how long a draft without a writer does.

use futures_util::{StreamExt, stream};
use tokio::time::Duration;

use crate::{Error, auth::Caller, store::Store, telemetry::SWEEP};

/// A change of this age has been left by its request.
pub const LEFT_AFTER: Duration = Duration::from_mins(2);
/// Organisations looked at at a time.
const AT_A_TIME: usize = 8;

/// What the janitor came across.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Organisations looked at.
    pub organisations: usize,
    /// Changes finished.
    pub finished: usize,
    /// Organisations that could not be cleaned up this time.
    pub failed: usize,
    /// The age of the oldest change that was found, in milliseconds.
    pub oldest_millis: u64,
}

/// Finishes what is left in every organisation, and logs what there was. An organisation that cannot be cleaned up keeps
/// no other from being.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Throttled`] if the organisations cannot be listed.
pub async fn sweep(store: &Store) -> Result<Swept, Error> {
    let orgs = store.orgs().await?;
    let organisations = orgs.len();
    let cleaned = stream::iter(orgs)
        .map(|info| async move {
            let directory = store.directory(&Caller::operator(info.org.clone()));
            directory.finish_pending(LEFT_AFTER).await.map_err(|error| (info.org, error))
        })
        .buffer_unordered(AT_A_TIME);
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
                    tracing::error!(org = org.as_str(), cause, "unfinished changes stay");
                }
            }
            swept
        })
        .await;
    tracing::info!(
        name: SWEEP,
        organisations = swept.organisations,
        finished = swept.finished,
        failed = swept.failed,
        oldestMillis = swept.oldest_millis,
        OldestUnfinished = swept.oldest_millis,
        UnfinishedChanges = swept.finished,
        SweepFailures = swept.failed,
        "swept"
    );
    Ok(swept)
}
