//! What handlers take: the caller, the parameters, the body, the condition. Each is read in one place and refused with
//! a SCIM error that says what to do.

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
use http_body_util::{BodyExt, LengthLimitError, Limited};
use scim::{Invalid, json};
use serde_json::Value;
use tokio::time::Instant;

use super::BASE_PATH;
use crate::{
    App, Error,
    auth::{ApiKey, Caller, Scope},
    store::{Expected, REQUEST_BUDGET, representation::GROUPS_IN_VERSION},
    telemetry::RequestRecord,
};

/// Resources on a page that asks for no number.
pub(super) const DEFAULT_COUNT: usize = 100;
/// Resources on a page at most (`filter.maxResults` of ServiceProviderConfig).
pub(super) const MAX_COUNT: usize = 1_000;
/// The body of a user, in bytes.
pub(super) const USER_BODY: usize = 1024 * 1024;
/// The body of a group, in bytes: what Lambda takes, less its envelope.
pub(super) const GROUP_BODY: usize = 5 * 1024 * 1024 + 512 * 1024;

/// The public base URL as the gateway in front knows it; a Lambda function puts it on each request.
#[derive(Clone)]
pub struct PublicBase(pub String);

/// When the request has to be answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(pub(super) Instant);

/// A caller who may read.
pub(super) struct Reader(pub(super) Caller);

/// A caller who may write.
pub(super) struct Writer(pub(super) Caller);

impl FromRequestParts<App> for Reader {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        caller(parts, app, Scope::Read).await.map(Self)
    }
}

impl FromRequestParts<App> for Writer {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        caller(parts, app, Scope::Write).await.map(Self)
    }
}

async fn caller(parts: &Parts, app: &App, scope: Scope) -> Result<Caller, Error> {
    // An operation of a bulk request, whose caller is known. No request from outside carries an extension.
    let caller = if let Some(caller) = parts.extensions.get::<Caller>() {
        caller.clone()
    } else {
        let deadline = parts.extensions.get::<Deadline>().map(|deadline| deadline.0);
        let deadline = deadline.unwrap_or_else(|| Instant::now() + REQUEST_BUDGET);
        app.authenticate(&presented_key(&parts.headers)?, deadline).await?
    };
    if let Some(record) = parts.extensions.get::<RequestRecord>() {
        record.caller(&caller);
    }
    if caller.may(scope) {
        Ok(caller)
    } else {
        Err(Error::Forbidden(format!(
            "this key does not have the scope '{scope}'; use a key with the scope '{scope}' or 'scim'"
        )))
    }
}

/// The key in the Authorization header: `Bearer <key>` with the scheme in any case, or the key alone, as Okta's header
/// authentication sends it (`tests/fixtures/okta/authorization-without-scheme.json`).
fn presented_key(headers: &HeaderMap) -> Result<ApiKey, Error> {
    let refused = |detail: &str| Error::Unauthorized(detail.to_owned());
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(refused("an Authorization header is required: 'Bearer <key>'")),
        (Some(value), None) => value.to_str().unwrap_or_default().trim(),
        (Some(_), Some(_)) => return Err(refused("the request has more than one Authorization header")),
    };
    let key = match value.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim_start(),
        Some((_, _)) => return Err(refused("the Authorization header must be 'Bearer <key>'")),
        None => value,
    };
    if key.split_once(' ').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
        return Err(refused(
            "the Authorization header says 'Bearer' twice; enter the key alone, without 'Bearer'",
        ));
    }
    ApiKey::parse(key).ok_or_else(|| {
        refused("this is not a key of this service; check that it was pasted whole: it begins with 'scim_'")
    })
}

/// The last segment of the path: an id, a name.
pub(super) struct Segment(pub(super) String);

impl FromRequestParts<App> for Segment {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let unreadable = |_| Error::NotFound("there is nothing at this path, which is not UTF-8".to_owned());
        Path::from_request_parts(parts, app).await.map(|Path(segment)| Self(segment)).map_err(unreadable)
    }
}

/// The base URL that `meta.location` begins with.
pub(super) struct Base(pub(super) String);

impl FromRequestParts<App> for Base {
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
        let (parts, body) = request.into_parts();
        check_form(&parts.headers)?;
        let bytes: Bytes = match Limited::new(body, LIMIT).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(Error::TooLarge(LIMIT)),
            Err(_) => return Err(Invalid::syntax("the body was not received to its end").into()),
        };
        Ok(Self(json::parse(&bytes)?))
    }
}

/// JSON by any of its names, in no encoding. Clients leave the type out, or add a charset.
fn check_form(headers: &HeaderMap) -> Result<(), Error> {
    let refused = |detail: &str| Err(Error::UnsupportedMediaType(detail.to_owned()));
    let content_type = single(headers, &CONTENT_TYPE)?.unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(essence.as_str(), "" | "application/scim+json" | "application/json" | "text/json") {
        return refused("the Content-Type must be application/scim+json or application/json");
    }
    let encoding = single(headers, &CONTENT_ENCODING)?.unwrap_or_default();
    if !matches!(encoding.to_ascii_lowercase().as_str(), "" | "identity") {
        return refused("the body must be sent without a Content-Encoding");
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
            if_match: entity_tags(&parts.headers, &IF_MATCH)?.map(of_resource),
            if_none_match: entity_tags(&parts.headers, &IF_NONE_MATCH)?,
        })
    }
}

impl Conditions {
    /// Whether the client has this version already.
    pub(super) fn has(&self, version: &str) -> bool {
        match &self.if_none_match {
            None => false,
            Some(Expected::Anything) => true,
            Some(Expected::OneOf(versions)) => versions.iter().any(|known| known == version),
        }
    }
}

/// A write changes nothing of a user's groups, so it is not bound to them.
fn of_resource(expected: Expected) -> Expected {
    let of_resource =
        |version: String| version.split(GROUPS_IN_VERSION).next().unwrap_or_default().to_owned();
    match expected {
        Expected::Anything => Expected::Anything,
        Expected::OneOf(versions) => Expected::OneOf(versions.into_iter().map(of_resource).collect()),
    }
}

/// `*` or a list of entity tags. Weak and strong ones compare alike: all tags of this service are weak, and the RFC's
/// own example (§3.14) matches on one.
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
        Invalid::value(format!("the header {name} must be * or a list of ETags such as W/\"5a1f\""))
    })?;
    Ok(Some(Expected::OneOf(versions)))
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Error> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text)),
            Err(_) => {
                Err(Invalid::value(format!("the header {name} has characters that are not ASCII")).into())
            }
        },
        (Some(_), Some(_)) => {
            Err(Invalid::value(format!("the header {name} is given more than once")).into())
        }
    }
}
