//! The entries of the request log of a request that is answered.

use super::notes::{Answered, Noted, Part};
use crate::{
    Error,
    auth::Org,
    request_log::{Entry, shortened_detail},
    store::Store,
};

/// The members that all entries of a request have.
pub(super) struct Common<'a> {
    pub(super) org: &'a Org,
    /// The id of the key or of the OAuth client, which is known to the store.
    pub(super) credential: &'a str,
    pub(super) client: &'static str,
    pub(super) request: Option<String>,
}

/// Adds the entry of the request to the request log, and the entries of its operations. The log never makes a request fail.
pub(super) fn record(store: &Store, common: &Common<'_>, noted: Noted, answered: Answered, millis: u64) {
    let Noted { parts, .. } = noted.clone();
    let whole = entry(store, common, Part { noted, answered, millis }).map(|entry| (entry, false));
    let parts = parts.into_iter().map(|part| entry(store, common, part).map(|entry| (entry, true)));
    for entry in std::iter::once(whole).chain(parts) {
        match entry {
            Ok((entry, is_part)) => store.record_request(common.org, entry, is_part),
            Err(error) => tracing::warn!(cause = error.cause(), "the request log lacks an entry"),
        }
    }
}

fn entry(store: &Store, common: &Common<'_>, part: Part) -> Result<Entry, Error> {
    let Part { noted, answered: Answered { status, scim_type, detail }, millis } = part;
    let now = store.clock().now();
    Ok(Entry {
        id: store.entropy().id(now)?.as_str().to_owned(),
        at: crate::clock::timestamp(now)?,
        client: common.client.to_owned(),
        credential: common.credential.to_owned(),
        action: noted.action(),
        status,
        scim_type: scim_type.map(|scim_type| scim_type.as_str().to_owned()),
        detail: detail.as_deref().map(shortened_detail),
        subject: noted.subject(),
        endpoint: noted.endpoint,
        changed: noted.changed,
        added: noted.added,
        removed: noted.removed,
        millis,
        request: common.request.clone(),
    })
}
