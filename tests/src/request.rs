//! A request to the service, built step by step.

use std::{borrow::Borrow, fmt::Display};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{
        HeaderName, HeaderValue, Method, Request as HttpRequest,
        header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH},
    },
};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value, json};
use service::http::BASE_PATH;

use crate::{Answer, Service, raw, respond};

/// A request below the base path.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, with the base path and the query.
    pub target: String,
    /// The headers, in the order in which they are sent.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Bytes,
}

impl Request {
    /// Starts a request without headers and without a body.
    #[must_use]
    pub fn new(method: Method, path: impl Display) -> Self {
        Self { method, target: format!("{BASE_PATH}{path}"), headers: Vec::new(), body: Bytes::new() }
    }

    /// Starts a request whose body is sent as it is, as SCIM JSON.
    #[must_use]
    pub fn bytes(method: Method, path: impl Display, body: impl Into<Bytes>) -> Self {
        let request = Self::new(method, path).header(CONTENT_TYPE.as_str(), "application/scim+json");
        Self { body: body.into(), ..request }
    }

    /// Starts a request with a JSON body.
    #[must_use]
    pub fn json(method: Method, path: impl Display, body: impl Borrow<Value>) -> Self {
        Self::bytes(method, path, body.borrow().to_string())
    }

    /// Starts a `GET`.
    #[must_use]
    pub fn get(path: impl Display) -> Self {
        Self::new(Method::GET, path)
    }

    /// Starts a `POST`.
    #[must_use]
    pub fn post(path: impl Display, body: impl Borrow<Value>) -> Self {
        Self::json(Method::POST, path, body)
    }

    /// Starts a `PUT`.
    #[must_use]
    pub fn put(path: impl Display, body: impl Borrow<Value>) -> Self {
        Self::json(Method::PUT, path, body)
    }

    /// Starts a `PATCH` with these operations.
    #[must_use]
    pub fn patch(path: impl Display, operations: impl Borrow<Value>) -> Self {
        let schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"];
        let body = json!({ "schemas": schemas, "Operations": operations.borrow() });
        Self::json(Method::PATCH, path, body)
    }

    /// Starts a `DELETE`.
    #[must_use]
    pub fn delete(path: impl Display) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Moves the request to the root, beside the base path.
    #[must_use]
    pub fn at_root(self) -> Self {
        let target = self.target.strip_prefix(BASE_PATH).expect("a path under the base").to_owned();
        Self { target, ..self }
    }

    /// Adds a parameter to the query, percent-encoded.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl Display) -> Self {
        let separator = if self.target.contains('?') { "&" } else { "?" };
        self.target.extend([separator, name, "=", &encode(&value.to_string())]);
        self
    }

    /// Adds a filter to the query.
    #[must_use]
    pub fn filter(self, filter: impl Display) -> Self {
        self.query("filter", filter)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = name.parse().expect("the name of a header");
        self.headers.push((name, HeaderValue::from_bytes(value.as_bytes()).expect("a header's value")));
        self
    }

    /// Replaces a header.
    #[must_use]
    pub fn with_header(self, name: &str, value: &str) -> Self {
        self.without_header(name).header(name, value)
    }

    /// Removes a header.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    /// Adds the key as a bearer token.
    #[must_use]
    pub fn bearer(self, key: &str) -> Self {
        self.header(AUTHORIZATION.as_str(), &format!("Bearer {key}"))
    }

    /// Makes the request conditional on a version, if there is one.
    #[must_use]
    pub fn if_match<'a>(self, version: impl Into<Option<&'a str>>) -> Self {
        match version.into() {
            Some(version) => self.header(IF_MATCH.as_str(), version),
            None => self,
        }
    }

    /// Turns the query into a search by `POST` (RFC 7644 §3.4.3).
    ///
    /// The parameters become members of the body: those that are integers as numbers, the others as strings.
    #[must_use]
    pub fn to_search(&self) -> Self {
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let member = |parameter: &str| {
            let (name, value) = parameter.split_once('=')?;
            let value = percent_decode_str(value).decode_utf8_lossy();
            let value = value.parse::<i64>().map_or_else(|_| Value::from(&*value), Value::from);
            Some((name.to_owned(), value))
        };
        let body: Map<String, Value> = query.split('&').filter_map(member).collect();
        let search = Self::post("", Value::from(body));
        Self { target: format!("{path}/.search"), ..search }
    }

    /// Sends the request, with the organisation's key unless the request has an `Authorization` header.
    pub async fn send(&self, service: &Service) -> Answer {
        if self.headers.iter().any(|(name, _)| name == AUTHORIZATION) {
            self.send_as_is(service).await
        } else {
            self.clone().bearer(&service.key).send_as_is(service).await
        }
    }

    /// Sends the request to the router of the service, and returns the lines of the answer.
    pub async fn send_lines(&self, service: &Service) -> Vec<Value> {
        let request = self.clone().bearer(&service.key).build();
        let (status, body) = raw(service.own_router(), request).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        let line = |line: &[u8]| serde_json::from_slice(line).expect("a line of JSON");
        body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(line).collect()
    }

    /// Sends the query as a `GET`. Sends a query of the root, which has no `GET`, as a search by `POST`.
    pub async fn send_query(&self, service: &Service) -> Answer {
        if self.target.split('?').next() == Some(BASE_PATH) {
            self.to_search().send(service).await
        } else {
            self.send(service).await
        }
    }

    /// Sends the request without adding a key.
    pub async fn send_as_is(&self, service: &Service) -> Answer {
        service.send(self.build()).await
    }

    /// Sends the request to a router, without adding a key.
    pub async fn send_to(&self, router: Router) -> Answer {
        respond(router, self.build()).await
    }

    /// Builds the HTTP request.
    ///
    /// # Panics
    /// If the target is not a URI.
    #[must_use]
    pub fn build(&self) -> HttpRequest<Body> {
        let mut request = HttpRequest::builder().method(&self.method).uri(&self.target);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Body::from(self.body.clone())).expect("a request")
    }
}

/// Percent-encodes everything except ASCII letters and digits.
#[must_use]
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
