//! What the black-box tests share: the service as one value, through its real router on an embedded DynamoDB.
//!
//! The clock stands still and random bytes are a sequence, so whole answers can be compared. Nothing is mocked: a
//! request goes through routing, authentication, the store and the AWS SDK to the engine.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a test that cannot go on fails by panicking"
)]

pub mod counting;
pub mod exchange;
pub mod faults;
pub mod fuzz;
pub mod gateway;
pub mod history;
pub mod load;
pub mod observed;
pub mod schedule;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header::AUTHORIZATION},
};
use dynoxide::Database;
use http_body_util::BodyExt;
use lambda_http::{Context, LambdaEvent};
use local::embedded;
use serde_json::{Value, json};
use service::{
    App,
    ambient::{Clock, Entropy},
    auth::{Caller, Org, Pepper, Peppers, Scope, Secret},
    config::Tables,
    http::{self, BASE_PATH},
    lambda,
    store::{Store, doctor::Report},
};
use time::{OffsetDateTime, macros::datetime};
use tower::ServiceExt;

/// The organisation most tests are about.
pub const ORG: &str = "acme";
/// The base URL in `meta.location`.
pub const BASE: &str = "https://scim.test/scim/v2";
/// What the clock says.
pub const NOW: OffsetDateTime = datetime!(2026-11-23 09:00:00.123 UTC);

/// A service with an empty organisation.
pub struct Service {
    /// Everything behind the router.
    pub app: App,
    /// The key of [`ORG`], with the scope `scim`.
    pub key: String,
    router: Router,
    peppers: Peppers,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; null where there is none.
    pub body: Value,
}

impl Answer {
    /// Reads the body, which is JSON if there is one.
    #[must_use]
    pub fn new(status: u16, headers: HeaderMap, body: &[u8]) -> Self {
        let body = match body {
            [] => Value::Null,
            body => serde_json::from_slice(body).expect("every body is JSON"),
        };
        Self { status, headers, body }
    }

    /// The header as text; empty where it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The `id` of the resource.
    #[must_use]
    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_default().to_owned()
    }

    /// Status and `scimType`: `400 invalidValue`.
    #[must_use]
    pub fn verdict(&self) -> String {
        let scim_type = self.body["scimType"].as_str().unwrap_or_default();
        format!("{} {scim_type}", self.status).trim_end().to_owned()
    }

    /// Status and body as text, for snapshots.
    #[must_use]
    pub fn snapshot(&self) -> String {
        if self.body.is_null() {
            format!("{}\n", self.status)
        } else {
            format!("{}\n{:#}\n", self.status, self.body)
        }
    }
}

impl Service {
    /// A service on a new database in memory.
    pub async fn new() -> Self {
        let database = Database::memory().expect("a database in memory");
        Self::on(embedded::client(database)).await
    }

    /// A service on whatever that client reaches.
    pub async fn on(client: aws_sdk_dynamodb::Client) -> Self {
        Self::on_at(client, Clock::fixed(NOW)).await
    }

    /// The same by another clock.
    pub async fn on_at(client: aws_sdk_dynamodb::Client, clock: Clock) -> Self {
        Self::with(client, clock, Entropy::seeded(1)).await
    }

    /// The same by other random bytes, as another process on the same database has them.
    pub async fn with(client: aws_sdk_dynamodb::Client, clock: Clock, entropy: Entropy) -> Self {
        let store = Store::new(&client, Tables::default(), clock, entropy);
        store.create_tables().await.expect("tables");
        let peppers = Peppers { current: Secret::new(*b"a pepper for tests"), previous: None };
        let app = App { store, pepper: Pepper::File(peppers.clone()), base_url: Some(BASE.to_owned()) };
        let router = http::router(app.clone(), http::all());
        let mut service = Self { app, key: String::new(), router, peppers };
        service.key = service.organisation(ORG, &[Scope::Scim]).await;
        service
    }

    /// Gives the service another base URL.
    pub fn rebase(&mut self, base: &str) {
        self.app.base_url = Some(base.to_owned());
        self.router = http::router(self.app.clone(), http::all());
    }

    /// The same service, whose requests go through that router.
    #[must_use]
    pub fn through(self, router: Router) -> Self {
        Self { router, ..self }
    }

    /// Makes the organisation, if it is not there, and a key of it.
    pub async fn organisation(&self, org: &str, scopes: &[Scope]) -> String {
        let org: Org = org.parse().expect("an organisation's name");
        self.app.store.create_org(&org).await.expect("an organisation");
        let scopes = scopes.iter().copied().collect();
        let (key, _) = self.app.store.create_key(&org, &scopes, &self.peppers).await.expect("a key");
        key.reveal().to_owned()
    }

    /// Sends a request as it is, without a key.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("the router always answers");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Answer::new(parts.status.as_u16(), parts.headers, &body)
    }

    /// Hands an event of API Gateway to what the Lambda functions hand theirs to, where that is the base URL.
    pub async fn invoke(&self, event: Value, base_url: Option<String>) -> Answer {
        let event = serde_json::from_value(event).expect("an event of API Gateway");
        let function = lambda::function(App { base_url, ..self.app.clone() }, http::all());
        let given = function.oneshot(LambdaEvent::new(event, Context::default())).await;
        let Ok(given) = given;
        gateway::answer(&serde_json::to_value(given).expect("JSON"))
    }

    /// Sends a request under the base path, with the key of [`ORG`]; a body that is not null as SCIM JSON.
    pub async fn request(&self, method: Method, path: &str, body: Value) -> Answer {
        self.request_as(&self.key, method, path, body).await
    }

    /// The same with another key.
    pub async fn request_as(&self, key: &str, method: Method, path: &str, body: Value) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{BASE_PATH}{path}"))
            .header(AUTHORIZATION, format!("Bearer {key}"));
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header("content-type", "application/scim+json; charset=utf-8");
            Body::from(body.to_string())
        };
        self.send(request.body(body).expect("a request")).await
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, Value::Null).await
    }

    /// `POST`.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.request(Method::POST, path, body).await
    }

    /// `PUT`.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.request(Method::PUT, path, body).await
    }

    /// `PATCH` with these operations.
    pub async fn patch(&self, path: &str, operations: Value) -> Answer {
        let body =
            json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations });
        self.request(Method::PATCH, path, body).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.request(Method::DELETE, path, Value::Null).await
    }

    /// Creates a user of that name; gives its id.
    pub async fn user(&self, user_name: &str) -> String {
        let answer = self.post("/Users", json!({ "userName": user_name })).await;
        assert_eq!(answer.status, StatusCode::CREATED.as_u16(), "{:?}", answer.body);
        answer.id()
    }

    /// Creates a group of that name with those members; gives its id.
    pub async fn group(&self, display_name: &str, members: &[&str]) -> String {
        let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
        let answer = self.post("/Groups", json!({ "displayName": display_name, "members": members })).await;
        assert_eq!(answer.status, StatusCode::CREATED.as_u16(), "{:?}", answer.body);
        answer.id()
    }

    /// The ids of a group's members, sorted.
    pub async fn members(&self, group: &str) -> Vec<String> {
        values(&self.get(&format!("/Groups/{group}")).await.body["members"])
    }

    /// The ids of a user's groups, sorted.
    pub async fn groups(&self, user: &str) -> Vec<String> {
        values(&self.get(&format!("/Users/{user}")).await.body["groups"])
    }

    /// What the doctor says of an organisation.
    pub async fn examine(&self, org: &str) -> Report {
        let caller = Caller::operator(org.parse().expect("an organisation's name"));
        self.app.store.directory(&caller).examine().await.expect("an examination")
    }

    /// Fails unless the doctor finds nothing wrong with [`ORG`].
    pub async fn assert_healthy(&self) {
        let report = self.examine(ORG).await;
        assert!(report.is_healthy(), "{:#?}", report.findings);
    }
}

/// What is wrong with the form of an answer, whatever it says: nothing is stored or sniffed, and an error is a SCIM
/// error with its own status.
#[must_use]
pub fn faults(answer: &Answer) -> Vec<String> {
    let mut faults = Vec::new();
    let mut wants = |what: &str, found: &str, wanted: &str| {
        if found != wanted {
            faults.push(format!("{what} is {found:?}, not {wanted:?}"));
        }
    };
    if answer.status >= 500 && answer.status != 501 {
        wants("the status", &answer.status.to_string(), "below 500");
    }
    if !answer.body.is_null() {
        wants("content-type", answer.header("content-type"), "application/scim+json");
        wants("x-content-type-options", answer.header("x-content-type-options"), "nosniff");
        wants("cache-control", answer.header("cache-control"), "no-store");
    }
    if answer.status >= 400 {
        let body = &answer.body;
        wants("schemas", &body["schemas"].to_string(), r#"["urn:ietf:params:scim:api:messages:2.0:Error"]"#);
        wants("status in the body", body["status"].as_str().unwrap_or("none"), &answer.status.to_string());
        if body["detail"].as_str().is_none_or(str::is_empty) {
            wants("detail", "none", "a sentence");
        }
        if answer.status == 400 && body["scimType"].as_str().is_none_or(str::is_empty) {
            wants("scimType", "none", "a word of table 9");
        }
        if answer.status == 401 && !answer.header("www-authenticate").starts_with("Bearer") {
            wants("www-authenticate", answer.header("www-authenticate"), "Bearer");
        }
    }
    for name in answer.headers.keys().filter(|name| name.as_str().starts_with("access-control-")) {
        wants("a CORS header", name.as_str(), "absent");
    }
    faults
}

fn values(elements: &Value) -> Vec<String> {
    let elements = elements.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut ids: Vec<String> =
        elements.iter().map(|element| element["value"].as_str().unwrap_or_default().to_owned()).collect();
    ids.sort_unstable();
    ids
}
