//! Announcements of the ends of credentials, 60, 30, 14, 7 and 1 days before.
//!
//! A run reads the announcements that are due. A run that finds none makes one query, whatever the number of
//! organisations. Each announcement is a log line with the metric `ExpiringCredentials`. The line is written before the
//! announcement is removed, so a run that is killed in between writes it again.

use crate::{Error, store::Store, telemetry::EXPIRING};

/// Announces the ends that are due. Returns the number of announcements.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Throttled`]. The next run announces the rest.
pub async fn announce(store: &Store) -> Result<usize, Error> {
    let mut announced = 0;
    for due in store.dues().await? {
        if let Some(end) = store.announced_end(&due).await? {
            tracing::warn!(
                name: EXPIRING,
                org = due.org().as_str(),
                key = due.id(),
                ends = end.at,
                days = end.days,
                ExpiringCredentials = 1,
                "a credential ends soon"
            );
            announced += 1;
        }
        store.finish_due(&due).await?;
    }
    Ok(announced)
}
