//! A model of API Gateway: it makes an event of a request, and an answer of the output of a function.
//!
//! The event is that of a REST API whose stage is the first segment of the public path, as in `template.yaml`, or that of an
//! HTTP API without a stage in its paths.

use std::str::FromStr;

use aws_smithy_types::base64;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header::HOST, request::Parts, uri::Authority};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::Answer;

/// The stage of the REST API.
const STAGE: &str = "scim";
/// The host name of the API, which is that of [`crate::BASE`].
const DOMAIN: &str = "scim.test";
/// The media types that an HTTP API passes as text. It encodes other bodies.
const TEXT: [&str; 4] = ["text/", "application/json", "application/javascript", "application/xml"];

/// The kind of API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// A REST API, with payload version 1.0.
    Rest,
    /// An HTTP API, with payload version 2.0.
    Http,
}

impl FromStr for Api {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "rest" => Ok(Self::Rest),
            "http" => Ok(Self::Http),
            other => Err(format!("the kind of API is `rest` or `http`, not `{other}`")),
        }
    }
}

/// The limit of API Gateway for the request line and headers, in bytes.
const HEAD: usize = 10_240;
/// The limit of Lambda for an event, in bytes.
pub(crate) const EVENT: usize = 6 * 1024 * 1024;

impl Api {
    /// Returns why API Gateway does not pass the request on, if it does not.
    #[must_use]
    pub fn stops(self, request: &Parts) -> Option<&'static str> {
        let headers = request.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
        let head = request.uri.to_string().len() + headers.sum::<usize>();
        let query = request.uri.query().unwrap_or_default();
        let host = request.headers.get(HOST).map(|host| Authority::try_from(host.as_bytes()));
        if head > HEAD {
            Some("API Gateway accepts up to 10,240 bytes of request line and headers")
        } else if host.is_some_and(|host| host.is_err()) {
            Some("API Gateway identifies an API by its host")
        } else if self == Self::Rest && percent_decode_str(query).decode_utf8().is_err() {
            Some("an event of a REST API has parameters in UTF-8")
        } else if self == Self::Http && has_a_header_twice(request) {
            Some("an event of an HTTP API joins the values of a header")
        } else {
            None
        }
    }

    /// Returns the event of a request.
    #[must_use]
    pub fn event(self, request: &Parts, body: &[u8]) -> Value {
        match self {
            Self::Rest => rest(request, body),
            Self::Http => http(request, body),
        }
    }
}

fn rest(request: &Parts, body: &[u8]) -> Value {
    let public = request.uri.path();
    // A path outside the stage belongs to a custom domain.
    let path = public.strip_prefix("/scim").filter(|rest| rest.starts_with('/')).unwrap_or(public);
    let query = request.uri.query().unwrap_or_default();
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty()).map(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        (decode(name), decode(value))
    });
    let headers = request.headers.iter().map(|(name, value)| (name.to_string(), text(value)));
    let (last_header, headers) = by_name(headers);
    let (last_parameter, parameters) = by_name(parameters);
    let (body, encoded) = match std::str::from_utf8(body) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (base64::encode(body), true),
    };
    json!({
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": request.method.as_str(),
        "headers": last_header,
        "multiValueHeaders": headers,
        "queryStringParameters": last_parameter,
        "multiValueQueryStringParameters": parameters,
        "pathParameters": { "proxy": path.trim_start_matches('/') },
        "stageVariables": null,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3d4e5",
            "domainName": DOMAIN,
            "httpMethod": request.method.as_str(),
            "identity": { "sourceIp": "192.0.2.1", "userAgent": "tests" },
            "path": public,
            "protocol": "HTTP/1.1",
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "resourceId": "abc123",
            "resourcePath": "/{proxy+}",
            "stage": STAGE,
        },
        "body": if body.is_empty() { Value::Null } else { body.into() },
        "isBase64Encoded": encoded,
    })
}

fn http(request: &Parts, body: &[u8]) -> Value {
    let path = request.uri.path();
    let mut headers = Map::new();
    for (name, value) in &request.headers {
        // An HTTP API joins the values of a header by commas.
        let joined = match headers.get(name.as_str()).and_then(Value::as_str) {
            Some(before) => format!("{before},{}", text(value)),
            None => text(value),
        };
        headers.insert(name.to_string(), joined.into());
    }
    let content_type = headers.get("content-type").and_then(Value::as_str).unwrap_or_default();
    let is_text = TEXT.iter().any(|prefix| content_type.starts_with(prefix));
    let (text, encoded) = match std::str::from_utf8(body) {
        Ok(text) if is_text || text.is_empty() => (text.to_owned(), false),
        _ => (base64::encode(body), true),
    };
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.uri.query().unwrap_or_default(),
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3d4e5",
            "domainName": DOMAIN,
            "domainPrefix": "scim",
            "http": {
                "method": request.method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "tests",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": "$default",
            "time": "23/Nov/2026:09:00:00 +0000",
            "timeEpoch": 1_795_424_400_123_u64,
        },
        "isBase64Encoded": encoded,
    });
    if !text.is_empty() {
        event["body"] = text.into();
    }
    event
}

/// Returns the last value and all values of each name, or nulls if there are no names.
fn by_name(pairs: impl Iterator<Item = (String, String)>) -> (Value, Value) {
    let (mut last, mut all) = (Map::new(), Map::new());
    for (name, value) in pairs {
        last.insert(name.clone(), value.clone().into());
        if let Value::Array(values) = all.entry(name).or_insert_with(|| json!([])) {
            values.push(value.into());
        }
    }
    if all.is_empty() { (Value::Null, Value::Null) } else { (last.into(), all.into()) }
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// Decodes a name or a value of a query string as a REST API does.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let decoded = digits.filter(|_| byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(decoded.unwrap_or(if byte == b'+' { b' ' } else { byte }));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn has_a_header_twice(request: &Parts) -> bool {
    request.headers.len() > request.headers.keys_len()
}

/// The methods that an emulator passes on.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
/// The headers of a connection.
const CONNECTION_HEADERS: [&str; 7] =
    ["connection", "content-length", "expect", "host", "te", "transfer-encoding", "upgrade"];

/// Returns why the gateway of an emulator treats the request differently from API Gateway, if it does.
pub(crate) fn differs(request: &Parts) -> Option<&'static str> {
    let is_special =
        |name: &HeaderName| CONNECTION_HEADERS.contains(&name.as_str()) || name.as_str().starts_with("x-amz");
    if !METHODS.contains(&request.method.as_str()) {
        Some("an emulator answers other methods itself")
    } else if ["%", "//", "/."].iter().any(|part| request.uri.path().contains(part)) {
        Some("an emulator normalises the path before it selects the function")
    } else if request.headers.keys().any(is_special) {
        Some("an emulator evaluates this header itself")
    } else if has_a_header_twice(request) {
        Some("an emulator joins the values of a header")
    } else {
        None
    }
}

/// Returns the answer of a deployed API without the headers of its gateway.
pub(crate) fn deployed(status: u16, mut headers: HeaderMap, body: &[u8]) -> Answer {
    for name in ["date", "server", "connection", "x-amzn-requestid", "x-amz-request-id"] {
        headers.remove(name);
    }
    Answer::new(status, headers, body)
}

/// Returns the answer that API Gateway makes of the output of a function.
#[must_use]
pub fn answer(given: &Value) -> Answer {
    let mut headers = HeaderMap::new();
    for (name, value) in
        [&given["headers"], &given["multiValueHeaders"]].into_iter().filter_map(Value::as_object).flatten()
    {
        let name: HeaderName = name.parse().expect("the name of a header");
        let values = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
        for value in values.iter().filter_map(Value::as_str) {
            headers.append(name.clone(), value.parse().expect("a header's value"));
        }
    }
    let body = given["body"].as_str().unwrap_or_default();
    let body = if given["isBase64Encoded"] == true {
        base64::decode(body).expect("base64")
    } else {
        body.as_bytes().to_vec()
    };
    // For other output, such as an error, the gateway answers by itself.
    let status = given["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(502);
    Answer::new(status, headers, &body)
}
