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
use percent_encoding::percent_decode_str;
use scim::{Invalid, ResourceType, ScimType, json, projection::Projection, sort::Sort, syntax::Filter};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{BASE_PATH, response::GROUPS_IN_VERSION};
use crate::{
    App, Error,
    auth::{ApiKey, Caller, Scope, hex},
    store::{Expected, REQUEST_BUDGET},
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
        Ok(hex(&hash.finalize()[..16]))
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
