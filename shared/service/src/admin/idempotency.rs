//! Repeats of a creation with the same `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).
//!
//! No response and no secret is stored. The secret bytes of a credential are derived from the pepper, the organisation, the
//! kind of request and the key, so a repeat derives the same credential. The item has a fingerprint of the request, which
//! tells a repeat from another request with the same key.

use serde::Serialize;
use time::Duration;

use super::problem::{Fault, Problem};
use crate::{App, Error, auth::Org, clock::parse_timestamp, pepper::Secret, store::Repeatable};

/// The label of the derived secret.
const LABEL: &str = "idempotency";
/// The time for which a repeat gets the response again.
const LIFETIME: Duration = Duration::hours(24);

/// Returns how the store recognises a repeat of this request, if the request has an idempotency key.
pub(super) async fn repeatable(
    app: &App,
    key: Option<&str>,
    org: &Org,
    kind: &str,
    body: &impl Serialize,
) -> Result<Option<Repeatable>, Error> {
    let Some(key) = key else { return Ok(None) };
    // An organisation of the same name that is created later does not revive a credential.
    let created = app.store.org(org).await?.map(|organisation| organisation.created).unwrap_or_default();
    let secret = app.pepper.peppers().await?.derive(LABEL);
    let body =
        serde_json::to_string(body).map_err(|_| Error::Internal("a request is not JSON".to_owned()))?;
    Ok(Some(Repeatable {
        secret: mac(&secret, &["secret", org.as_str(), &created, kind, key]),
        fingerprint: hex::encode(mac(&secret, &["request", org.as_str(), kind, key, &body])),
    }))
}

/// Returns the name under which the store keeps an idempotency key that creates an organisation.
pub(super) async fn name(app: &App, key: Option<&str>) -> Result<Option<String>, Error> {
    let Some(key) = key else { return Ok(None) };
    let secret = app.pepper.peppers().await?.derive(LABEL);
    Ok(Some(hex::encode(mac(&secret, &["organisation", key]))))
}

/// Authenticates the parts. None of them but the last contains a control character, so no two lists are alike.
fn mac(secret: &Secret, parts: &[&str]) -> [u8; 32] {
    secret.hmac(parts.join("\0").as_bytes())
}

/// Checks that what a repeat finds is not older than [`LIFETIME`].
///
/// # Errors
/// The problem of a key that was used before that time.
pub(super) fn check_age(app: &App, created: &str) -> Result<(), Problem> {
    if app.store.clock().now() - parse_timestamp(created)? <= LIFETIME {
        return Ok(());
    }
    let detail =
        "A request has used this Idempotency-Key more than 24 hours ago. Send a new Idempotency-Key.";
    Err(Fault::header("Idempotency-Key", detail).unprocessable())
}
