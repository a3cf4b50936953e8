//! Runs of the sequencer: every organisation that has events in the outbox, or those that a bell names.
//!
//! A record of the stream of the table is a bell: an organisation has new events. A schedule is the second bell, for records
//! that are lost. The table decides: a bell without events does nothing.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use crate::{Error, auth::Org, limits::SEQUENCER_BUDGET, store::Store, telemetry::SEQUENCED};

/// The number of organisations that are visited at once.
const CONCURRENCY: usize = 4;

/// The result of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sequenced {
    /// The number of events that were moved to feeds.
    pub events: u64,
    /// The organisations whose events could not be moved.
    pub failed: BTreeSet<Org>,
}

/// Moves the events of every organisation that has any to its feed, and logs the result.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Throttled`], [`Error::Internal`] if a partition of the outbox cannot be read. The events
/// of the organisations that were found are moved.
pub async fn sequence_all(store: &Store) -> Result<Sequenced, Error> {
    let found: Vec<Result<Org, Error>> = store.orgs_with_events().collect().await;
    let (mut orgs, mut failure) = (Vec::new(), None);
    for org in found {
        match org {
            Ok(org) => orgs.push(org),
            Err(error) => {
                tracing::error!(cause = error.cause(), "the outbox cannot be read");
                failure = Some(error);
            }
        }
    }
    let sequenced = sequence(store, orgs).await;
    failure.map_or(Ok(sequenced), Err)
}

/// Moves the events of these organisations to their feeds until [`SEQUENCER_BUDGET`] has passed, and logs the result. A failure
/// of one organisation does not stop the others. The next run moves the rest.
pub async fn sequence(store: &Store, orgs: impl IntoIterator<Item = Org>) -> Sequenced {
    let until = Instant::now() + SEQUENCER_BUDGET;
    let visits = stream::iter(orgs).map(|org| async move {
        let moved = Box::pin(store.sequence(&org, until)).await;
        (org, moved)
    });
    let add = async |mut sum: Sequenced, (org, moved): (Org, Result<u64, Error>)| {
        match moved {
            Ok(events) => sum.events += events,
            Err(error) => {
                tracing::error!(org = org.as_str(), cause = error.cause(), "events are not in the feed");
                sum.failed.insert(org);
            }
        }
        sum
    };
    let sequenced = visits.buffer_unordered(CONCURRENCY).fold(Sequenced::default(), add).await;
    if sequenced.events > 0 || !sequenced.failed.is_empty() {
        tracing::info!(
            name: SEQUENCED,
            Events = sequenced.events,
            SequencerFailures = sequenced.failed.len(),
            "sequenced"
        );
    }
    sequenced
}
