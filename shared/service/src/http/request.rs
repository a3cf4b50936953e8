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
use http_body_util::{BodyExt, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use scim::{Invalid, ResourceType, ScimType, filter::Filter, json, projection::Projection, sort::Sort};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{base_path::BASE_PATH, response::GROUPS_IN_VERSION};
pub(super) use crate::limits::{GROUP_BODY, USER_BODY};
use crate::{
    App, Error,
    auth::{ApiKey, Caller, Scope},
    limits::{DEFAULT_COUNT, MAX_COUNT},
    store::Expected,
    telemetry::RequestRecord,
};

/// What a member of a SearchRequest holds.
enum Takes {
    Text,
    Names,
    Number,
}

impl Takes {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Names => "a list of attribute names",
            Self::Number => "a whole number",
        }
    }
}

/// What a SearchRequest may hold besides `schemas`.
const SEARCH_PARAMETERS: [(&str, Takes); 8] = [
    ("attributes", Takes::Names),
    ("excludedAttributes", Takes::Names),
    ("filter", Takes::Text),
    ("sortBy", Takes::Text),
    ("sortOrder", Takes::Text),
    ("startIndex", Takes::Number),
    ("count", Takes::Number),
    ("cursor", Takes::Text),
];

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
    // An operation of a bulk request has the caller as an extension. No client can send an extension.
    let caller = if let Some(caller) = parts.extensions.get::<Caller>() {
        caller.clone()
    } else {
        let Some(Deadline(deadline)) = parts.extensions.get() else {
            return Err(Error::Internal("the request has no deadline".to_owned()));
        };
        authenticate(app, &presented_key(&parts.headers)?, *deadline).await?
    };
    if let Some(record) = parts.extensions.get::<RequestRecord>() {
        record.caller(&caller);
    }
    if caller.may(scope) {
        Ok(caller)
    } else {
        Err(Error::Forbidden(format!(
            "The key does not have the scope '{scope}'. Use a key with the scope '{scope}' or 'scim'."
        )))
    }
}

/// Authenticates a key. `deadline` is the time at which the client stops waiting. An unknown key may belong to a pepper that
/// is newer than the cached one, so the pepper is refreshed before the key is refused.
///
/// # Errors
/// As [`Store::authenticate`](crate::store::Store::authenticate) and [`Pepper::peppers`](crate::pepper::Pepper::peppers).
async fn authenticate(app: &App, key: &ApiKey, deadline: Instant) -> Result<Caller, Error> {
    let peppers = app.pepper.peppers().await?;
    let outcome = app.store.authenticate(key, &peppers, deadline).await;
    if matches!(outcome, Err(Error::Unauthorized(_)))
        && let Some(newer) = app.pepper.newer_than(&peppers).await?
    {
        return app.store.authenticate(key, &newer, deadline).await;
    }
    outcome
}

/// Reads the key in the Authorization header: `Bearer <key>` with the scheme in any case, or the key alone, which Okta's
/// header authentication sends (`tests/fixtures/okta/authorization-without-scheme.json`).
fn presented_key(headers: &HeaderMap) -> Result<ApiKey, Error> {
    const INVALID_KEY: &str = "The Authorization header has no valid key. Check that the whole key was pasted. It begins with 'scim_'.";
    let refused = |detail: &str| Error::Unauthorized(detail.to_owned());
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(refused("The request has no Authorization header. Send 'Bearer <key>'.")),
        (Some(value), None) => value.to_str().map_err(|_| refused(INVALID_KEY))?.trim(),
        (Some(_), Some(_)) => {
            return Err(refused("The request has more than one Authorization header. Send one."));
        }
    };
    let key = match value.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim_start(),
        Some((_, _)) => {
            return Err(refused("The Authorization header has another scheme. Send 'Bearer <key>'."));
        }
        None => value,
    };
    if key.split_once(' ').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
        return Err(refused(
            "The Authorization header contains 'Bearer' twice. Enter the key without 'Bearer'.",
        ));
    }
    ApiKey::parse(key).ok_or_else(|| refused(INVALID_KEY))
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

/// How a client pages.
pub(super) enum Paging {
    /// By index (RFC 7644 §3.4.2.4).
    Index { start_index: u64, count: usize },
    /// By cursor (RFC 9865); none at the beginning.
    Cursor { cursor: Option<String>, count: usize },
}

/// The query parameters. Those that the service does not know (`aadOptscim062020`) are ignored wherever they stand.
pub(super) struct Parameters(Vec<(String, String)>);

impl FromRequestParts<App> for Parameters {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        let query = parts.uri.query().unwrap_or_default();
        let parameters = query.split('&').filter(|parameter| !parameter.is_empty()).map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            Ok((decode(name)?, decode(value)?))
        });
        Ok(Self(parameters.collect::<Result<_, Invalid>>()?))
    }
}

/// Decodes `%20` and `+` alike: Okta sends one, Entra the other (`tests/fixtures/entra/`, `tests/fixtures/okta/`).
fn decode(text: &str) -> Result<String, Invalid> {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8()
        .map(String::from)
        .map_err(|_| Invalid::value("the query string is not percent-encoded UTF-8"))
}

impl Parameters {
    /// The parameter of that name, in any case.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Invalid> {
        let mut values =
            self.0.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (_, Some(_)) => {
                Err(Invalid::value(format!("the query parameter '{name}' is given more than once")))
            }
            (value, None) => Ok(value.map(String::as_str)),
        }
    }

    /// `attributes` and `excludedAttributes` (RFC 7644 §3.9).
    pub(super) fn projection(&self, resource_type: &'static ResourceType) -> Result<Projection, Invalid> {
        Projection::parse(resource_type, self.one("attributes")?, self.one("excludedAttributes")?)
    }

    /// `filter` (RFC 7644 §3.4.2.2).
    pub(super) fn filter(&self) -> Result<Option<Filter>, Invalid> {
        self.one("filter")?.map(Filter::parse).transpose()
    }

    /// `sortBy` and `sortOrder` (RFC 7644 §3.4.2.3), of a query over these types.
    pub(super) fn sort(
        &self,
        resource_type: &'static ResourceType,
        all: &[&'static ResourceType],
    ) -> Result<Option<Sort>, Invalid> {
        Sort::parse(resource_type, all, self.one("sortBy")?, self.one("sortOrder")?)
    }

    /// How the client pages: by cursor if it names one, an empty one at the beginning (RFC 9865 §2).
    pub(super) fn paging(&self) -> Result<Paging, Invalid> {
        let Some(cursor) = self.one("cursor")? else {
            return Ok(Paging::Index { start_index: self.start_index()?, count: self.count()? });
        };
        if self.one("startIndex")?.is_some() {
            return Err(Invalid::value("'cursor' and 'startIndex' cannot be given together: choose one"));
        }
        let impossible = || Invalid::new(ScimType::InvalidCount, "'count' must be a whole number above 0");
        let count = self.count().map_err(|_| impossible())?;
        if count == 0 {
            return Err(impossible());
        }
        Ok(Paging::Cursor { cursor: Some(cursor.to_owned()).filter(|cursor| !cursor.is_empty()), count })
    }

    /// A name for the query these parameters make of those kinds: the same for each of its pages.
    pub(super) fn query_name(&self, kinds: &str) -> Result<String, Invalid> {
        let mut hash = Sha256::new();
        for part in [Some(kinds), self.one("filter")?, self.one("sortBy")?, self.one("sortOrder")?] {
            let part = part.unwrap_or_default();
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        Ok(hex::encode(&hash.finalize()[..16]))
    }

    /// `startIndex`: less than 1 means 1 (RFC 7644 §3.4.2.4).
    fn start_index(&self) -> Result<u64, Invalid> {
        Ok(self.number("startIndex")?.map_or(1, |number| u64::try_from(number).unwrap_or(1).max(1)))
    }

    /// `count`: less than 0 means 0, and there is an upper limit (RFC 7644 §3.4.2.4).
    fn count(&self) -> Result<usize, Invalid> {
        let asked = self.number("count")?;
        Ok(asked.map_or(DEFAULT_COUNT, |number| usize::try_from(number).unwrap_or(0)).min(MAX_COUNT))
    }

    /// The parameters of a SearchRequest (RFC 7644 §3.4.3), which are those of a query: lists of names become the
    /// comma-separated ones of a URL.
    pub(super) fn of_search(body: &Value) -> Result<Self, Invalid> {
        let Value::Object(members) = body else {
            return Err(Invalid::syntax("the body must be a JSON object: a SearchRequest"));
        };
        let parameters = members.iter().filter(|(_, value)| !value.is_null()).filter_map(|(name, value)| {
            let (known, takes) =
                SEARCH_PARAMETERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
            let text = match (takes, value) {
                (Takes::Names, Value::Array(names)) => {
                    names.iter().map(Value::as_str).collect::<Option<Vec<_>>>().map(|names| names.join(","))
                }
                (Takes::Number, Value::Number(number)) => Some(number.to_string()),
                (_, Value::String(text)) => Some(text.clone()),
                _ => None,
            };
            let wrong =
                || Invalid::value(format!("'{known}' of the SearchRequest must be {}", takes.as_str()));
            Some(text.map(|text| ((*known).to_owned(), text)).ok_or_else(wrong))
        });
        Ok(Self(parameters.collect::<Result<_, _>>()?))
    }

    /// A whole number; one that no `i64` holds is as good as the largest.
    fn number(&self, name: &str) -> Result<Option<i64>, Invalid> {
        let Some(text) = self.one(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Invalid::value(format!("the query parameter '{name}' must be a whole number")));
        }
        let number = digits.parse::<i64>().unwrap_or(i64::MAX);
        Ok(Some(if negative { -number } else { number }))
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
            Err(_) => return Err(Invalid::syntax("The body is incomplete. Repeat the request.").into()),
        };
        Ok(Self(json::parse(&bytes)?))
    }
}

/// Checks that the body is JSON under any of its media types, without an encoding. Some clients omit the type or add a
/// charset.
fn check_form(headers: &HeaderMap) -> Result<(), Error> {
    let refused = |detail: &str| Err(Error::UnsupportedMediaType(detail.to_owned()));
    let content_type = single(headers, &CONTENT_TYPE)?.unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(essence.as_str(), "" | "application/scim+json" | "application/json" | "text/json") {
        return refused("The Content-Type is not supported. Use application/scim+json or application/json.");
    }
    let encoding = single(headers, &CONTENT_ENCODING)?.unwrap_or_default();
    if !matches!(encoding.to_ascii_lowercase().as_str(), "" | "identity") {
        return refused("The Content-Encoding is not supported. Send the body without one.");
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
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text)),
            Err(_) => {
                Err(Invalid::value(format!("The header {name} contains characters that are not ASCII."))
                    .into())
            }
        },
        (Some(_), Some(_)) => Err(Invalid::value(format!("The header {name} occurs more than once.")).into()),
    }
}
