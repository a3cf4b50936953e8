//! Extractors: the caller, the path, the body and the conditions of a request.

use std::convert::Infallible;

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{
        HeaderMap, HeaderName,
        header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH},
        request::Parts,
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use scim::{Invalid, json};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::base_path::BASE_PATH;
use crate::{
    App, Error,
    auth::{Caller, Scope},
    credential::{Credential, Kind},
    error::Refusal,
    limits::{BODY_RESERVE, GROUP_BODY},
    store::{Authenticated, Expected, RefusedKey, UnrecordedUse, representation::GROUPS_IN_VERSION},
    telemetry::{PresentedKey, RequestId, RequestRecord, client},
};

/// The public base URL of the gateway, which a Lambda function adds to each request.
#[derive(Clone)]
pub struct PublicBase(pub String);

/// The time by which the request must be answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(pub(super) Instant);

/// A caller with the scope `read`.
pub(super) struct ReadCaller(pub(super) Caller);

/// A caller with the scope `write`.
pub(super) struct WriteCaller(pub(super) Caller);

impl FromRequestParts<App> for ReadCaller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        caller(parts, app, Scope::Read).await.map(Self)
    }
}

impl FromRequestParts<App> for WriteCaller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        caller(parts, app, Scope::Write).await.map(Self)
    }
}

async fn caller(parts: &Parts, app: &App, scope: Scope) -> Result<Caller, Error> {
    let record = parts.extensions.get().cloned().unwrap_or_else(RequestRecord::default);
    // An operation of a bulk request has the caller as an extension. No client can send an extension.
    let caller = match parts.extensions.get::<Caller>() {
        Some(caller) => caller.clone(),
        None => authenticated(parts, app, &record).await?,
    };
    record.presents(PresentedKey::Accepted(caller.org().clone(), caller.key_id().to_owned()));
    // A bulk request counts once.
    if parts.extensions.get::<Caller>().is_none() {
        app.store.admit(caller.org(), caller.settings()).await?;
    }
    if caller.may(scope) { Ok(caller) } else { Err(Refusal::Scope(scope.as_str()).into()) }
}

/// Authenticates the credential in the headers, and records its use.
async fn authenticated(parts: &Parts, app: &App, record: &RequestRecord) -> Result<Caller, Error> {
    let Some(Deadline(deadline)) = parts.extensions.get().copied() else {
        return Err(Error::Internal("the request has no deadline".to_owned()));
    };
    let credential = match presented_key(&parts.headers) {
        Ok(credential) => credential,
        Err(refusal) => {
            if refusal == Refusal::Malformed {
                app.store.read_like_unknown(deadline).await;
            }
            return Err(refusal.into());
        }
    };
    record.presents(PresentedKey::Claimed(credential.org().clone()));
    match authenticate(app, &credential, deadline).await? {
        Ok(Authenticated { caller, unrecorded }) => {
            let client = client(&parts.uri, &parts.headers);
            if let Some(unrecorded) = unrecorded {
                record_use(app, unrecorded, client, deadline);
            }
            let request = parts.extensions.get().map(|RequestId(id)| id.clone());
            let permit = parts.extensions.get().cloned().unwrap_or_default();
            Ok(caller.with_permit(permit).with_origin(client, request))
        }
        Err(RefusedKey { id, refusal, .. }) => {
            if let Some(id) = id {
                record.presents(PresentedKey::Refused(credential.org().clone(), id));
            }
            Err(refusal.into())
        }
    }
}

/// Records the use of a key while the request is handled. The answer does not wait for the record. If Lambda freezes the
/// execution environment first, or the write fails, the next request records the use.
pub(super) fn record_use(app: &App, unrecorded: UnrecordedUse, client: &'static str, deadline: Instant) {
    let store = app.store.clone();
    tokio::spawn(async move {
        if let Err(error) = store.record_use(&unrecorded, client, deadline).await {
            tracing::warn!(cause = error.cause(), "the use of a key is not recorded");
        }
    });
}

/// Authenticates a credential. `deadline` is the time at which the client stops waiting. A credential is read again before
/// it is refused, because a rotation of the pepper may have moved it, or the cached pepper may be old. Each refusal takes
/// the same reads, so the time of an answer tells nothing about the credential.
///
/// # Errors
/// As [`Store::authenticate`](crate::store::Store::authenticate) and [`Pepper::peppers`](crate::pepper::Pepper::peppers).
pub(super) async fn authenticate(
    app: &App,
    credential: &Credential,
    deadline: Instant,
) -> Result<Result<Authenticated, RefusedKey>, Error> {
    let peppers = app.pepper.peppers().await?;
    let refused = match app.store.authenticate(credential, &peppers, deadline).await? {
        Err(refused) if !refused.refusal.is_of_valid_key() => refused,
        decided => return Ok(decided),
    };
    let peppers = match refused.refusal {
        Refusal::Unknown if refused.generation <= peppers.generation() => app.pepper.latest().await?,
        _ => app.pepper.at_least(refused.generation).await?,
    };
    match app.store.authenticate(credential, &peppers, deadline).await? {
        // The rotation has begun between the two reads.
        Err(refused) if refused.generation > peppers.generation() => {
            let peppers = app.pepper.at_least(refused.generation).await?;
            app.store.authenticate(credential, &peppers, deadline).await
        }
        decided => Ok(decided),
    }
}

/// Reads the credential in the Authorization header. Three forms are accepted:
///
/// - `Bearer <key>`, with the scheme in any case.
/// - `Basic`, with the key as the password and any user name, which Okta's app wizard offers.
/// - The key alone, which Okta's header authentication sends (`tests/fixtures/okta/token-without-scheme.json`).
///
/// The credential may be unknown.
///
/// # Errors
/// The reason for which the header has no credential.
pub fn presented_key(headers: &HeaderMap) -> Result<Credential, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(Refusal::Missing),
        (Some(value), None) => value.to_str().map_err(|_| Refusal::Malformed)?.trim(),
        (Some(_), Some(_)) => return Err(Refusal::Repeated),
    };
    let key = match value.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim_start().to_owned(),
        Some((scheme, pair)) if scheme.eq_ignore_ascii_case("basic") => password(pair.trim_start())?,
        Some((_, _)) => return Err(Refusal::Scheme),
        None => value.to_owned(),
    };
    if key.split_once(' ').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
        return Err(Refusal::SchemeTwice);
    }
    Credential::parse(&key)
        .filter(|key| matches!(key.kind(), Kind::Key | Kind::Token))
        .ok_or(Refusal::Malformed)
}

/// Returns the password of Basic credentials (RFC 7617 §2).
fn password(pair: &str) -> Result<String, Refusal> {
    let pair = BASE64_STANDARD.decode(pair).ok().and_then(|pair| String::from_utf8(pair).ok());
    let pair = pair.ok_or(Refusal::Malformed)?;
    pair.split_once(':').map(|(_, password)| password.to_owned()).ok_or(Refusal::Malformed)
}

/// The last segment of the path: an id or a name.
pub(super) struct PathSegment(pub(super) String);

impl FromRequestParts<App> for PathSegment {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let unreadable =
            |_| Error::NotFound("No resource has this path, because the path is not UTF-8.".to_owned());
        Path::from_request_parts(parts, app).await.map(|Path(segment)| Self(segment)).map_err(unreadable)
    }
}

/// The public base URL for `meta.location`.
pub(super) struct BaseUrl(pub(super) String);

impl FromRequestParts<App> for BaseUrl {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let of_gateway = || parts.extensions.get::<PublicBase>().map(|base| base.0.clone());
        Ok(Self(app.base_url.clone().or_else(of_gateway).unwrap_or_else(|| BASE_PATH.to_owned())))
    }
}

/// A JSON body of at most `LIMIT` bytes.
pub(super) struct Json<const LIMIT: usize>(pub(super) Value);

impl<const LIMIT: usize> FromRequest<App> for Json<LIMIT> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &App) -> Result<Self, Error> {
        Ok(Self(json::parse(&read_body(request, LIMIT).await?)?))
    }
}

/// The JSON body of a bulk request, which has several resources.
pub(super) struct BulkJson(pub(super) Value);

impl FromRequest<App> for BulkJson {
    type Rejection = Error;

    async fn from_request(request: Request, _: &App) -> Result<Self, Error> {
        Ok(Self(json::parse_bulk(&read_body(request, GROUP_BODY).await?)?))
    }
}

/// Reads a JSON body of at most `limit` bytes.
async fn read_body(request: Request, limit: usize) -> Result<Bytes, Error> {
    check_form(request.headers())?;
    collect_body(request, limit).await
}

/// Reads a body of at most `limit` bytes.
pub(super) async fn collect_body(request: Request, limit: usize) -> Result<Bytes, Error> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, limit).collect();
    let body = match parts.extensions.get() {
        Some(Deadline(deadline)) => {
            timeout_at(*deadline - BODY_RESERVE, body).await.map_err(|_| Error::BodyTimeout)?
        }
        // The body of an operation of a bulk request is in memory.
        None => body.await,
    };
    match body {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::TooLarge(limit)),
        Err(_) => Err(Invalid::syntax("The body is incomplete. Repeat the request.").into()),
    }
}

/// Checks that the body is JSON under any of its media types, without an encoding. Some clients omit the type or add a
/// charset.
fn check_form(headers: &HeaderMap) -> Result<(), Error> {
    let content_type = single(headers, &CONTENT_TYPE)?.unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(essence.as_str(), "" | "application/scim+json" | "application/json" | "text/json") {
        return Err(Error::UnsupportedMediaType(
            "The Content-Type is not supported. Use application/scim+json or application/json.".to_owned(),
        ));
    }
    let encoding = single(headers, &CONTENT_ENCODING)?.unwrap_or_default();
    if !matches!(encoding.to_ascii_lowercase().as_str(), "" | "identity") {
        return Err(Error::UnsupportedEncoding(
            "The Content-Encoding is not supported. Send the body without one.".to_owned(),
        ));
    }
    Ok(())
}

/// `If-Match` and `If-None-Match` (RFC 7644 §3.14, RFC 9110 §13.1).
pub(super) struct Conditions {
    pub(super) if_match: Option<Expected>,
    pub(super) if_none_match: Option<Expected>,
}

impl FromRequestParts<App> for Conditions {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        Ok(Self {
            if_match: entity_tags(&parts.headers, &IF_MATCH)?.map(without_groups),
            if_none_match: entity_tags(&parts.headers, &IF_NONE_MATCH)?,
        })
    }
}

impl Conditions {
    /// Returns whether the client already has this version.
    pub(super) fn has(&self, version: &str) -> bool {
        match &self.if_none_match {
            None => false,
            Some(Expected::Anything) => true,
            Some(Expected::OneOf(versions)) => versions.iter().any(|known| known == version),
        }
    }
}

/// Removes the groups from the versions, because a write to a user does not change the user's groups.
fn without_groups(expected: Expected) -> Expected {
    let of_resource = |mut version: String| {
        version.truncate(version.find(GROUPS_IN_VERSION).unwrap_or(version.len()));
        version
    };
    match expected {
        Expected::Anything => Expected::Anything,
        Expected::OneOf(versions) => Expected::OneOf(versions.into_iter().map(of_resource).collect()),
    }
}

/// Parses `*` or a list of entity tags. Weak and strong tags compare alike, because all tags of this service are weak and
/// the example in RFC 7644 §3.14 matches on a weak tag.
fn entity_tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Expected>, Error> {
    let Some(text) = single(headers, name)? else { return Ok(None) };
    if text.trim() == "*" {
        return Ok(Some(Expected::Anything));
    }
    let tags = text.split(',').map(|tag| {
        let tag = tag.trim();
        let opaque = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?;
        (!opaque.contains('"')).then(|| opaque.to_owned())
    });
    let versions = tags.collect::<Option<Vec<_>>>().ok_or_else(|| {
        Invalid::value(format!("The header {name} must be * or a list of ETags such as W/\"5a1f\"."))
    })?;
    Ok(Some(Expected::OneOf(versions)))
}

/// Returns the value of a header that may occur once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Error> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| {
            Invalid::value(format!("The header {name} contains characters that are not ASCII.")).into()
        }),
        (Some(_), Some(_)) => Err(Invalid::value(format!("The header {name} occurs more than once.")).into()),
    }
}
