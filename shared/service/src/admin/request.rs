//! Extractors: the operator, the path, the query, the body and the idempotency key of a request.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{
        HeaderMap, HeaderName,
        header::{CONTENT_ENCODING, CONTENT_TYPE},
        request::Parts,
    },
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use tokio::time::timeout;
use utoipa::IntoParams;

use super::{
    fields::Fields,
    problem::{Fault, Kind, Problem},
};
use crate::{
    App, Error,
    auth::Org,
    limits::{BODY_RESERVE, REQUEST_BUDGET},
    store::Actor,
};

/// The longest body, in bytes.
pub(super) const MAX_BODY: usize = 64 * 1024;
/// The time for the body.
const BODY_TIMEOUT: Duration = REQUEST_BUDGET.saturating_sub(BODY_RESERVE);
/// The number of entries on a page if the client gives no limit.
const DEFAULT_LIMIT: usize = 50;
/// The largest number of entries on a page.
pub(super) const MAX_LIMIT: usize = 100;
/// The longest cursor, in characters.
const MAX_CURSOR: usize = 512;
/// The header with the idempotency key.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// The longest idempotency key, in characters.
const MAX_IDEMPOTENCY_KEY: usize = 128;

/// The authenticated operator of a request. The Lambda function adds it from the IAM identity of the request, and the local
/// gateway after it has checked the operator token. No client can send an extension.
#[derive(Clone)]
pub struct Operator(pub Actor);

/// The operator, for handlers. Each has it, so that none runs without one.
pub(super) struct By(pub(super) Actor);

impl FromRequestParts<App> for By {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let operator = parts.extensions.get().cloned();
        operator.map(|Operator(actor)| Self(actor)).ok_or_else(unauthenticated)
    }
}

/// Returns the problem of a request without an operator.
pub(super) fn unauthenticated() -> Problem {
    Problem::new(
        Kind::Unauthorized,
        "The request has no operator credential. On AWS, sign the request with Signature Version 4. On the local gateway, \
         send 'Authorization: Bearer' with SCIM_ADMIN_TOKEN of connection.env.",
    )
}

/// The organisation that the path names.
pub(super) struct InOrg(pub(super) Org);

impl FromRequestParts<App> for InOrg {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let [org] = segments(parts, app).await?;
        Ok(Self(organisation(&org)?))
    }
}

/// An organisation, and the id of what belongs to it.
pub(super) struct OfOrg(pub(super) Org, pub(super) String);

impl FromRequestParts<App> for OfOrg {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let [org, id] = segments(parts, app).await?;
        Ok(Self(organisation(&org)?, id))
    }
}

/// An organisation, the id of a client, and the id of a secret of the client.
pub(super) struct OfClient(pub(super) Org, pub(super) String, pub(super) String);

impl FromRequestParts<App> for OfClient {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let [org, id, secret] = segments(parts, app).await?;
        Ok(Self(organisation(&org)?, id, secret))
    }
}

/// Returns the values of the parameters of the path.
async fn segments<const N: usize>(parts: &mut Parts, app: &App) -> Result<[String; N], Problem> {
    let unreadable =
        || Problem::new(Kind::NotFound, "Nothing has this path. Check its ids and its encoding.");
    let Path(segments) =
        Path::<Vec<String>>::from_request_parts(parts, app).await.map_err(|_| unreadable())?;
    segments.try_into().map_err(|_| unreadable())
}

fn organisation(name: &str) -> Result<Org, Problem> {
    name.parse().map_err(|_| no_such_org())
}

/// Returns the problem of an organisation that does not exist.
pub(super) fn no_such_org() -> Problem {
    Problem::new(
        Kind::NotFound,
        "There is no organisation with this name. GET /admin/v1/orgs lists the organisations.",
    )
}

/// The part of a list that a request asks for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct List {
    /// The largest number of entries on the page.
    #[param(minimum = 1, maximum = 100, default = 50, required = false)]
    pub(super) limit: usize,
    /// `next` of the page before. Without a cursor, the list begins with its first entry.
    #[param(min_length = 1, max_length = 512, pattern = "^[0-9a-z.-]+$", required = false)]
    pub(super) cursor: Option<String>,
}

impl FromRequestParts<App> for List {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let [limit, cursor] = query(parts, ["limit", "cursor"])?;
        Self::read(limit, cursor)
    }
}

impl List {
    /// Reads the parameters of a page.
    pub(super) fn read(limit: Option<String>, cursor: Option<String>) -> Result<Self, Problem> {
        let limit = match limit {
            None => DEFAULT_LIMIT,
            Some(text) => number(&text).filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(|| {
                let detail =
                    format!("The limit is not a whole number from 1 to {MAX_LIMIT}. Send such a number.");
                Fault::parameter("limit", detail)
            })?,
        };
        let is_cursor = |text: &String| {
            (1..=MAX_CURSOR).contains(&text.len())
                && text
                    .bytes()
                    .all(|b| b.is_ascii_digit() || b.is_ascii_lowercase() || matches!(b, b'.' | b'-'))
        };
        if cursor.as_ref().is_some_and(|cursor| !is_cursor(cursor)) {
            return Err(Fault::parameter(
                "cursor",
                "The cursor is not one of this list. Send 'next' of the page before, or no cursor.",
            )
            .into());
        }
        Ok(Self { limit, cursor })
    }

    /// Returns the entries after the cursor, and the cursor of the next page. A cursor is the id of the entry before.
    pub(super) fn page<T>(
        &self,
        entries: Vec<T>,
        id: impl Fn(&T) -> &String,
    ) -> Result<(Vec<T>, Option<String>), Problem> {
        let start = match &self.cursor {
            None => 0,
            Some(cursor) => {
                1 + entries.iter().position(|entry| id(entry) == cursor).ok_or_else(Self::unknown_cursor)?
            }
        };
        let more = entries.len() > start + self.limit;
        let page: Vec<T> = entries.into_iter().skip(start).take(self.limit).collect();
        let next = page.last().filter(|_| more).map(|entry| id(entry).clone());
        Ok((page, next))
    }

    /// Returns the problem of a cursor that this list has not made.
    pub(super) fn unknown_cursor() -> Problem {
        let detail = "The cursor belongs to another list. Send 'next' of the page before, or no cursor.";
        Fault::parameter("cursor", detail).unprocessable()
    }
}

/// Reads decimal digits.
fn number(text: &str) -> Option<usize> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The query of an operation that has no parameters.
pub(super) struct NoQuery;

impl FromRequestParts<App> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        query(parts, []).map(|[]| Self)
    }
}

/// Reads the query: each of the known parameters at most once, and no others.
pub(super) fn query<const N: usize>(
    parts: &Parts,
    known: [&'static str; N],
) -> Result<[Option<String>; N], Problem> {
    let mut values = [const { None }; N];
    let mut faults = Vec::new();
    let query = parts.uri.query().unwrap_or_default();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let decoded = percent_decode_str(value).decode_utf8();
        match (known.iter().position(|known| *known == name), decoded) {
            (Some(index), Ok(_)) if values[index].is_some() => {
                faults.push(Fault::parameter(known[index], "The parameter is given twice. Send it once."));
            }
            (Some(index), Ok(value)) => values[index] = Some(value.into_owned()),
            (Some(index), Err(_)) => {
                faults.push(Fault::parameter(known[index], "The value is not UTF-8. Encode it as UTF-8."));
            }
            (None, _) => {
                let name: String = name.chars().take(64).collect();
                let detail = match known.join(", ") {
                    known if known.is_empty() => "The parameter is unknown. Remove it.".to_owned(),
                    known => format!("The parameter is unknown. Remove it. The parameters are {known}."),
                };
                faults.push(Fault::parameter(name, detail));
            }
        }
    }
    if faults.is_empty() { Ok(values) } else { Err(Problem::of_faults(Kind::InvalidRequest, faults)) }
}

/// The `Idempotency-Key` of a request that creates (draft-ietf-httpapi-idempotency-key-header): a text that the client
/// chooses, with or without the quotation marks of a structured field.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct IdempotencyKey {
    /// A text that the client chooses for this creation, such as a UUID. Within 24 hours, a repeat with the same key and the
    /// same body has the same response, and a repeat with another body is refused.
    #[param(rename = "Idempotency-Key", pattern = "^(\"[!#-~]{1,128}\"|[!#-~]{1,128})$", required = false)]
    pub(super) key: Option<String>,
}

impl FromRequestParts<App> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let fault = |detail: &str| Fault::header(IDEMPOTENCY_KEY, detail);
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let value = match (values.next(), values.next()) {
            (None, _) => return Ok(Self { key: None }),
            (Some(value), None) => value.to_str().unwrap_or_default(),
            (Some(_), Some(_)) => {
                return Err(fault("The header is given more than once. Send it once.").into());
            }
        };
        let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let key = quoted.unwrap_or(value);
        // A quotation mark inside of the key would need an escape.
        let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"';
        if !(1..=MAX_IDEMPOTENCY_KEY).contains(&key.len()) || !key.bytes().all(allowed) {
            return Err(fault(
                "The key does not have 1 to 128 printable ASCII characters without blanks. Send a UUID.",
            )
            .into());
        }
        Ok(Self { key: Some(key.to_owned()) })
    }
}

/// A type of body.
pub(super) trait Fill: Sized {
    /// Reads the members. Returns `None` if one of them is missing or wrong, which `fields` then records.
    fn read(fields: &mut Fields, app: &App) -> Option<Self>;
}

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: Fill> FromRequest<App> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let mut fields = Fields::parse(&read_body(request).await?)?;
        let value = T::read(&mut fields, app);
        fields.finish(value).map(Self)
    }
}

async fn read_body(request: Request) -> Result<Bytes, Problem> {
    let (parts, body) = request.into_parts();
    check_form(&parts.headers)?;
    let body = Limited::new(body, MAX_BODY).collect();
    match timeout(BODY_TIMEOUT, body).await.map_err(|_| Error::BodyTimeout)? {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::TooLarge(MAX_BODY).into()),
        Err(_) => Err(Problem::new(Kind::InvalidRequest, "The body is incomplete. Repeat the request.")),
    }
}

/// Checks that the body is JSON without an encoding.
fn check_form(headers: &HeaderMap) -> Result<(), Problem> {
    let content_type = single(headers, &CONTENT_TYPE)?;
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(
            Kind::UnsupportedMediaType,
            "The Content-Type is not supported. Send the body as application/json.",
        ));
    }
    if !matches!(single(headers, &CONTENT_ENCODING)?, "" | "identity") {
        return Err(Problem::new(
            Kind::UnsupportedMediaType,
            "The Content-Encoding is not supported. Send the body without one.",
        ));
    }
    Ok(())
}

/// Returns the value of a header that may occur once, or an empty text.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(""),
        (Some(value), None) => Ok(value.to_str().unwrap_or("?")),
        (Some(_), Some(_)) => Err(Problem::new(
            Kind::InvalidRequest,
            format!("The header {name} is given more than once. Send it once."),
        )),
    }
}
