//! The log line of a request.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::Response,
};
use scim::ScimType;
use tokio::time::Instant;
use tracing::Instrument;

use super::{
    client::client,
    emf::REQUEST,
    notes::{Answered, Notes},
    recorded::{Common, record},
};
use crate::{
    auth::Org,
    error::{Limit, Refusal},
    event::FEED_PATH,
    store::{Store, measured},
};

/// The value for a route or a method that this service does not know. A request may contain any text, but a dimension
/// has few values. It is also the route and the client of each request without a valid key, because CloudWatch charges for
/// each value of a dimension, and anyone can send such requests.
const NONE: &str = "none";
/// The duration in milliseconds from which a request counts as slow.
const SLOW: u64 = 3_000;

/// The id of the Lambda invocation, which the lines of Lambda have too. A Lambda function adds it to each request.
#[derive(Clone)]
pub struct RequestId(pub String);

/// The cause of an error that the client may not read.
#[derive(Clone)]
pub(crate) struct Cause(pub(crate) String);

/// The key of a request.
#[derive(Clone)]
pub(crate) enum PresentedKey {
    /// The text names this organisation, and its checksum is right. Anyone can make such a text.
    Claimed(Org),
    /// The store has the key, which is refused, or the OAuth client, which has not proven itself: the organisation, and the id
    /// of the key or the client.
    Refused(Org, String),
    /// The key is valid: the organisation, and the id of the key.
    Accepted(Org, String),
}

/// The key of a request, which becomes known while the request is handled.
#[derive(Clone, Default)]
pub(crate) struct RequestRecord(Arc<Mutex<Option<PresentedKey>>>);

impl RequestRecord {
    /// Records what is known about the key. A later call knows more.
    pub(crate) fn presents(&self, key: PresentedKey) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    fn key(&self) -> Option<PresentedKey> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Handles the request in a span with its id, and logs the request when it is answered.
pub async fn log_request(request: Request, next: Next) -> Response {
    in_span(None, request, next).await
}

/// Handles the request like [`log_request`], and records it in the request log of its organisation.
pub(crate) async fn record_request(State(store): State<Store>, request: Request, next: Next) -> Response {
    // The product reads the feed of events all the time. The log is of identity providers.
    let is_recorded = !is_of_feed(request.uri().path());
    in_span(Some(store).filter(|store| is_recorded && store.records_requests()), request, next).await
}

async fn in_span(store: Option<Store>, request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    // A span below the level of the log would be disabled, and its events would lose the id.
    let span = tracing::error_span!("request", requestId = id);
    answer_and_log(store, request, next).instrument(span).await
}

async fn answer_and_log(store: Option<Store>, mut request: Request, next: Next) -> Response {
    let start = Instant::now();
    let presents = RequestRecord::default();
    request.extensions_mut().insert(presents.clone());
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    let notes = if store.is_some() {
        Notes::of_request(request.method().as_str(), request.uri().path())
    } else {
        Notes::default()
    };
    request.extensions_mut().insert(notes.clone());
    let method = known_method(request.method()).unwrap_or(NONE);
    // A request of the feed may wait for an event.
    let may_wait = is_of_feed(request.uri().path());
    let pattern = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let client = client(request.uri(), request.headers());
    let (response, consumed) = measured(next.run(request)).await;
    let status = response.status();
    let presented = presents.key();
    let (org, key) = match &presented {
        Some(PresentedKey::Refused(org, key) | PresentedKey::Accepted(org, key)) => {
            (org.as_str(), key.as_str())
        }
        _ => ("", ""),
    };
    let claimed = match &presented {
        Some(PresentedKey::Claimed(org)) => Some(org.as_str()),
        _ => None,
    };
    let served = pattern.as_ref().filter(|_| status != StatusCode::METHOD_NOT_ALLOWED);
    let (route, known_client) = match (&presented, served) {
        (Some(PresentedKey::Accepted(..)), Some(pattern)) => (format!("{method} {pattern}"), client),
        _ => (NONE.to_owned(), NONE),
    };
    let refused = response.extensions().get::<Refusal>();
    let limit = response.extensions().get::<Limit>();
    let exhausted =
        limit.is_none() && matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
    let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(
        name: REQUEST,
        org,
        key,
        claimedOrg = claimed,
        refused = refused.map(Refusal::word),
        limit = limit.map(|limit| limit.word()),
        method,
        endpoint = pattern.as_deref().unwrap_or(NONE),
        status = status.as_u16(),
        scimType = response.extensions().get::<ScimType>().map(|scim_type| scim_type.as_str()),
        cause = response.extensions().get::<Cause>().map(|cause| cause.0.as_str()),
        Route = route,
        Client = known_client,
        Requests = 1,
        Duration = millis,
        Slow = u64::from(millis >= SLOW && !may_wait),
        DynamoDbCalls = consumed.calls,
        ReadUnits = consumed.read,
        WriteUnits = consumed.write,
        AuthenticationFailures = u64::from(refused.is_some()),
        Exhausted = u64::from(exhausted),
        Limited = u64::from(limit.is_some()),
        "request"
    );
    // The text of a claimed key proves nothing: anyone could fill the log of an organisation.
    if let (Some(store), Some(noted)) = (store, notes.noted())
        && let Some(PresentedKey::Refused(org, credential) | PresentedKey::Accepted(org, credential)) =
            &presented
    {
        let common = Common { org, credential, client, request: id };
        record(&store, &common, noted, Answered::of(&response), millis);
    }
    response
}

/// Returns whether the path is one of the feed of events. The router has removed the name of the stage.
fn is_of_feed(path: &str) -> bool {
    path.strip_prefix(FEED_PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the method if it is a standard one.
pub(crate) fn known_method(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_feed_are_told_from_similar_ones() {
        for path in ["/events/v1", "/events/v1/", "/events/v1/snapshot", "/events/v1/unknown"] {
            assert!(is_of_feed(path), "{path}");
        }
        for path in ["/events/v10", "/events/v1snapshot", "/events", "/Users", "/scim/v2/events/v1"] {
            assert!(!is_of_feed(path), "{path}");
        }
    }
}
