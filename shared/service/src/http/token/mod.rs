//! The token endpoint of OAuth clients (RFC 6749 §4.4), and its metadata (RFC 8414).
//!
//! A client authenticates with a secret or with an assertion of its identity provider, and gets an access token for the
//! SCIM endpoints. The endpoint is at the root of the public URL, beside `/v2`. An unknown client and a wrong secret get the
//! same answer after the same reads.

mod form;
mod refusal;

use std::collections::BTreeSet;

use axum::{
    Extension,
    extract::{Request, State},
    http::{Method, StatusCode},
    response::Response,
    routing,
};
use serde_json::json;
use tokio::time::Instant;

use super::{
    base_path::{TOKEN_PATH, root_url, token_url},
    request::{BaseUrl, Deadline, PublicBase},
    route::Route,
};
use crate::{
    App, Error,
    auth::Scope,
    credential::{Credential, Kind},
    oauth::{AssertionError, Assertions},
    store::{ClientId, SecretRecord, TokenClient},
    telemetry::{self, PresentedKey, RequestRecord},
    trust::Trust,
};
use form::{Proof, TokenRequest};
use refusal::{TokenError, answer};

/// The path of the metadata (RFC 8414 §3).
const METADATA_PATH: &str = "/.well-known/oauth-authorization-server";
/// The attempts to issue a token to a client that changes meanwhile.
const ATTEMPTS: usize = 3;

pub(super) fn routes(assertions: &Assertions) -> Vec<Route> {
    let issue = routing::post(issue).layer(Extension(assertions.clone()));
    vec![
        Route::new(Method::POST, TOKEN_PATH, issue),
        Route::new(Method::GET, METADATA_PATH, routing::get(metadata)),
    ]
}

async fn metadata(BaseUrl(base): BaseUrl, gateway: Option<Extension<PublicBase>>) -> Response {
    let has_stage = gateway.is_some();
    let root = root_url(&base, has_stage);
    let document = json!({
        "issuer": root,
        "token_endpoint": token_url(&base, has_stage),
        "grant_types_supported": ["client_credentials"],
        // The member is required (RFC 8414 §2), and no authorization endpoint exists.
        "response_types_supported": [],
        "scopes_supported": [Scope::Scim, Scope::Read, Scope::Write],
        "token_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256", "ES256"],
    });
    answer(StatusCode::OK, document.to_string())
}

async fn issue(
    State(app): State<App>,
    Extension(assertions): Extension<Assertions>,
    request: Request,
) -> Result<Response, TokenError> {
    let record = request.extensions().get().cloned().unwrap_or_else(RequestRecord::default);
    let Some(Deadline(deadline)) = request.extensions().get().copied() else {
        return Err(Error::Internal("the request has no deadline".to_owned()).into());
    };
    let by = telemetry::client(request.uri(), request.headers());
    let TokenRequest { client, proof, scope } = TokenRequest::read(request).await?;
    let Ok(id) = client.parse::<ClientId>() else { return Err(unknown_client()) };
    record.presents(PresentedKey::Claimed(id.org().clone()));
    for attempt in 0..ATTEMPTS {
        let (client, secret) = match &proof {
            Proof::Secret(text) => by_secret(&app, &record, &id, text, deadline).await?,
            Proof::Assertion(text) => {
                (by_assertion(&app, &record, &assertions, &id, text, deadline).await?, None)
            }
        };
        record.presents(PresentedKey::Accepted(id.org().clone(), id.to_string()));
        // Anyone can name an organisation, so a request counts once its client is proven.
        if attempt == 0 {
            app.store.admit(id.org(), client.organisation.settings).await?;
        }
        if !client.organisation.enabled {
            return Err(TokenError::unauthorized(format!(
                "SCIM is disabled for the organisation {}. Ask the operator of the service to enable it.",
                id.org()
            )));
        }
        let scopes = granted(&client.client.scopes, scope.as_deref())?;
        let peppers = app.pepper.at_least(client.organisation.generation).await?;
        if let Some(issued) =
            app.store.issue_token(&client, &scopes, secret.as_ref(), &peppers, by, deadline).await?
        {
            let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
            let document = json!({
                "access_token": issued.token.reveal(),
                "token_type": "Bearer",
                "expires_in": issued.seconds,
                "scope": scopes.join(" "),
            });
            return Ok(answer(StatusCode::OK, document.to_string()));
        }
    }
    Err(Error::Unavailable(crate::error::Reason::Conflicts).into())
}

/// Returns the client that the secret authenticates, and the secret. A client is read again before it is refused, because a
/// rotation of the pepper may have changed its secrets, or the cached pepper may be old.
async fn by_secret(
    app: &App,
    record: &RequestRecord,
    id: &ClientId,
    text: &str,
    deadline: Instant,
) -> Result<(TokenClient, Option<SecretRecord>), TokenError> {
    let credential = Credential::parse(text)
        .filter(|credential| credential.kind() == Kind::ClientSecret && credential.org() == id.org());
    let mut peppers = app.pepper.peppers().await?;
    for _ in 0..2 {
        let found = app.store.token_client(id, deadline).await?;
        if found.is_some() {
            record.presents(refused(id));
        }
        if let Some(found) = &found
            && found.client.trust.is_some()
        {
            return Err(TokenError::unauthorized(
                "The client authenticates with a client_assertion of its identity provider. Send one instead of a secret.",
            ));
        }
        if let (Some(found), Some(credential)) = (found, &credential) {
            peppers = app.pepper.at_least(found.organisation.generation).await?;
            if let Some(secret) = found.client.secret_of(credential, &peppers).cloned() {
                if secret.is_live(&app.store.clock().timestamp()?) {
                    return Ok((found, Some(secret)));
                }
                return Err(TokenError::client(
                    "expired",
                    format!("The client_secret ended at {}. Add a new secret to the client.", secret.ends),
                ));
            }
        } else if let Some(credential) = &credential {
            // The work of a comparison.
            let _ = peppers.candidates(credential);
        }
        peppers = app.pepper.latest().await?;
    }
    Err(unknown_client())
}

/// Returns the client that the assertion authenticates.
async fn by_assertion(
    app: &App,
    record: &RequestRecord,
    assertions: &Assertions,
    id: &ClientId,
    assertion: &str,
    deadline: Instant,
) -> Result<TokenClient, TokenError> {
    let found = app.store.token_client(id, deadline).await?.ok_or_else(unknown_client)?;
    record.presents(refused(id));
    let Some(trust): Option<&Trust> = found.client.trust.as_ref() else {
        return Err(TokenError::unauthorized(
            "The client authenticates with a client_secret. Create a client with an issuer for assertions.",
        ));
    };
    match assertions.verify(trust, assertion).await {
        Ok(()) => Ok(found),
        Err(AssertionError::Refused(flaw)) => Err(TokenError::client(flaw.word(), flaw.detail())),
        Err(AssertionError::NoKeys(failure)) => Err(TokenError::keys(failure)),
    }
}

/// Returns what is known about a client that exists and has not proven itself yet.
fn refused(id: &ClientId) -> PresentedKey {
    PresentedKey::Refused(id.org().clone(), id.to_string())
}

fn unknown_client() -> TokenError {
    TokenError::client(
        "unknown",
        "The client is unknown, or the client_secret is wrong. Check both, and that they belong to this region.",
    )
}

/// Returns the scopes of the token: those that are requested (RFC 6749 §3.3), or all scopes of the client.
fn granted(registered: &BTreeSet<Scope>, requested: Option<&str>) -> Result<BTreeSet<Scope>, TokenError> {
    let Some(requested) = requested else { return Ok(registered.clone()) };
    let known: Vec<&str> = registered.iter().map(|scope| scope.as_str()).collect();
    let refused = || TokenError::scope(format!("The client may request the scopes '{}'.", known.join(" ")));
    let may = |scope: &Scope| registered.contains(scope) || registered.contains(&Scope::Scim);
    let scopes = requested
        .split(' ')
        .filter(|scope| !scope.is_empty())
        .map(|scope| scope.parse::<Scope>().ok().filter(may).ok_or_else(refused));
    let scopes = scopes.collect::<Result<BTreeSet<_>, _>>()?;
    if scopes.is_empty() { Ok(registered.clone()) } else { Ok(scopes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requested_scopes_are_some_of_the_client() {
        let granted =
            |registered: &[Scope], requested| granted(&registered.iter().copied().collect(), requested);
        let (scim, read, write) = (Scope::Scim, Scope::Read, Scope::Write);
        assert_eq!(granted(&[scim], None), Ok([scim].into()));
        assert_eq!(granted(&[scim], Some(" ")), Ok([scim].into()));
        assert_eq!(granted(&[scim], Some("read")), Ok([read].into()));
        assert_eq!(granted(&[read, write], Some("write read write")), Ok([read, write].into()));
        for (registered, requested) in [
            (read, "write"),
            (read, "scim"),
            (read, "read write"),
            (scim, "admin"),
            (scim, "SCIM"),
            (scim, "scim,read"),
        ] {
            assert!(granted(&[registered], Some(requested)).is_err(), "{requested}");
        }
    }
}
