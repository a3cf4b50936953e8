//! Shared code of the black-box tests.
//!
//! [`Service`] is the service under test: its real router on an embedded DynamoDB, or another target that the environment
//! names (`target.rs`). Nothing is mocked: a request passes through routing, authentication, the store and the AWS SDK to
//! the engine.
//!
//! The clock is fixed and random bytes come from a seed, so that tests can compare whole answers. Where the service is
//! another process, [`Service::named`] replaces the values that the service chose.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a test fails by panicking"
)]

pub mod counting;
pub mod exchange;
pub mod faults;
mod functions;
pub mod fuzz;
pub mod gateway;
pub mod history;
pub mod instances;
pub mod intercept;
pub mod issuer;
pub mod load;
mod named;
pub mod observed;
pub mod product;
mod request;
pub mod schedule;
pub mod snapshot;
mod target;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use aws_sdk_dynamodb::Client;
use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Request as HttpRequest, StatusCode, uri::PathAndQuery},
};
use dynoxide::Database;
use http_body_util::BodyExt;
use lambda_http::{Context, LambdaEvent};
use local::{embedded, realistic::Realistic};
use serde_json::{Value, json};
use service::{
    App,
    auth::{Caller, Org, Scope},
    clock::Clock,
    config::{self, Tables},
    credential::Credential,
    entropy::Entropy,
    http::{self, Route},
    lambda,
    limits::REQUEST_BUDGET,
    oauth::{Assertions, Reach},
    pepper::{Pepper, Peppers, Secret},
    store::{Actor, ClientAuthentication, NewClient, NewKey, OrgChange, Organisation, Store, doctor::Report},
};
use time::{OffsetDateTime, macros::datetime};
use tokio::time::Instant;
use tower::ServiceExt;

use functions::Functions;
use gateway::Api;
use named::Named;
pub use request::{Request, encode};
use target::{Endpoint, Target, target};

/// The organisation of most tests.
pub const ORG: &str = "acme";
/// The base URL in `meta.location`.
pub const BASE: &str = "https://scim.test/scim/v2";
/// The prefix of organisation names on a deployed service.
const DEPLOYED_ORG: &str = "org";
/// The reason for which a test applies to no other target.
const EMBEDDED: &str = "it needs the embedded DynamoDB";
/// The pepper of key digests.
pub const PEPPER: &str = "a pepper for tests";
/// The time of the fixed clock.
pub const NOW: OffsetDateTime = datetime!(2026-11-23 09:00:00.123 UTC);

/// Returns the actor of the tests' management actions.
#[must_use]
pub fn operator() -> Actor {
    Actor::new("test")
}

/// Enables or disables SCIM for an organisation. Returns `false` if it does not exist.
///
/// # Errors
/// As [`Store::change_org`].
pub async fn enable_org(store: &Store, org: &Org, enabled: bool) -> Result<bool, service::Error> {
    let change = OrgChange { enabled: Some(enabled), ..OrgChange::default() };
    Ok(store.change_org(org, change, &operator()).await?.is_some())
}

/// Returns the source of a pepper that has never been rotated.
#[must_use]
pub fn pepper_of(pepper: &str) -> Pepper {
    Pepper::Fixed(Peppers::single(Secret::new(pepper)))
}

/// A service with an empty organisation.
pub struct Service {
    /// The application behind the router. Where the service is another process, the application that an operator uses.
    pub app: App,
    /// The organisation: [`ORG`], or on a deployed service one that belongs to the test.
    pub org: String,
    /// The key of the organisation, with the scope `scim`.
    pub key: String,
    client: Client,
    tables: Tables,
    pepper: Pepper,
    transport: Transport,
    named: Named,
}

/// How a request reaches the service.
enum Transport {
    /// Through the router, in this process.
    Router(Router),
    /// As an event for Lambda functions.
    Functions(Functions, Api),
    /// Over HTTP to a deployed API.
    Url(ureq::Agent, String),
}

/// An answer of the service.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, or null if the answer has none.
    pub body: Value,
}

impl Answer {
    /// Parses the body, which is JSON unless it is empty.
    #[must_use]
    pub fn new(status: u16, headers: HeaderMap, body: &[u8]) -> Self {
        let body = match body {
            [] => Value::Null,
            body => serde_json::from_slice(body).expect("every body is JSON"),
        };
        Self { status, headers, body }
    }

    /// Returns the header as text, or an empty text if the answer has no such header.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Returns the `id` of the resource.
    #[must_use]
    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_default().to_owned()
    }

    /// Returns the status and the `scimType`, such as `400 invalidValue`.
    #[must_use]
    pub fn verdict(&self) -> String {
        let scim_type = self.body["scimType"].as_str().unwrap_or_default();
        format!("{} {scim_type}", self.status).trim_end().to_owned()
    }

    /// Returns the status and the body as text, for snapshots.
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
    /// Returns a service on the target that the environment names.
    pub async fn new() -> Self {
        Self::at(None).await
    }

    /// Returns a service in this process on an embedded DynamoDB. The test applies to no other target.
    pub async fn embedded() -> Self {
        require(is_embedded(), EMBEDDED);
        Self::new().await
    }

    /// Returns a service that uses the clock, unless it is another process. A test that advances the clock calls
    /// [`require_test_clock`].
    pub async fn with_clock(clock: Clock) -> Self {
        Self::at(Some(clock)).await
    }

    async fn at(clock: Option<Clock>) -> Self {
        match target() {
            Target::Embedded => {
                let database = Database::memory().expect("a database in memory");
                let client = embedded::client(database);
                let clock = clock.unwrap_or_else(|| Clock::fixed(NOW));
                Self::in_process(client, Tables::default(), clock, Entropy::seeded(2)).await
            }
            Target::DynamoDb(endpoint) => {
                // Each test has its own random bytes, because the tokens of transactions belong to the account and not
                // to the table. The clock advances, because random bytes decide the order of ids of one millisecond.
                let (client, entropy) = (endpoint.client().await, Entropy::seeded(unique_number()));
                let clock = clock.unwrap_or_else(Clock::system);
                Self::in_process(client, unique_tables(), clock, entropy).await
            }
            Target::Lambda(endpoint, lambda) => {
                let (clock, entropy) = (Clock::system(), Entropy::system());
                let tables = unique_tables();
                let variables = vec![
                    (config::RESOURCES_TABLE, tables.resources.clone()),
                    (config::KEYS_TABLE, tables.keys.clone()),
                    (config::REQUESTS_TABLE, tables.requests.clone()),
                    (config::PEPPER_SECRET_ID, endpoint.secret(PEPPER)),
                ];
                let functions = Functions::new(lambda, endpoint, variables);
                let transport = |_: &App| Transport::Functions(functions, lambda.api);
                let client = endpoint.client().await;
                let store = Store::new(&client, tables.clone(), clock, entropy);
                store.create_tables().await.expect("tables");
                Self::assemble(transport, store, client, tables, PEPPER, ORG).with_key().await
            }
            Target::Deployed(endpoint, deployed) => {
                let (clock, entropy) = (Clock::system(), Entropy::system());
                let transport = |_: &App| Transport::Url(deployed.agent(), deployed.url.clone());
                let tables = deployed.tables.clone();
                let client = endpoint.client().await;
                let store = Store::new(&client, tables.clone(), clock, entropy);
                // The local gateway of SAM creates neither the tables nor the secret.
                if let Endpoint::Emulator(_) = endpoint {
                    store.create_tables().await.expect("tables");
                    endpoint.secret(&deployed.pepper);
                }
                let org = unique_name(DEPLOYED_ORG);
                Self::assemble(transport, store, client, tables, &deployed.pepper, &org).with_key().await
            }
        }
    }

    /// Returns a service in this process that uses the client. The test applies to the embedded DynamoDB alone.
    pub async fn on(client: Client) -> Self {
        Self::on_with_clock(client, Clock::fixed(NOW)).await
    }

    /// Returns a service like [`Service::on`] that uses the clock.
    pub async fn on_with_clock(client: Client, clock: Clock) -> Self {
        Self::with(client, clock, Entropy::seeded(1)).await
    }

    /// Returns a service like [`Service::on`] that uses the clock and the random bytes, as another process does.
    pub async fn with(client: Client, clock: Clock, entropy: Entropy) -> Self {
        require(is_embedded(), EMBEDDED);
        Self::in_process(client, Tables::default(), clock, entropy).await
    }

    /// Returns a service on a realistic DynamoDB that draws its times from the seed, and this DynamoDB. The clock of the
    /// service advances with that of the runtime. The test applies to the embedded DynamoDB alone.
    pub async fn realistic(seed: u64) -> (Self, Realistic) {
        let db = Realistic::new(Database::memory().expect("a database in memory"), seed);
        (Self::on_with_clock(db.client(), runtime_clock()).await, db)
    }

    /// Returns a service like a new process on the database of another service. It makes no calls, because the tables,
    /// the organisation and the key exist.
    #[must_use]
    pub fn restarted(client: Client, clock: Clock, entropy: Entropy, key: &str) -> Self {
        require(is_embedded(), EMBEDDED);
        let tables = Tables::default();
        let store = Store::new(&client, tables.clone(), clock, entropy);
        Self { key: key.to_owned(), ..Self::assemble(router, store, client, tables, PEPPER, ORG) }
    }

    async fn in_process(client: Client, tables: Tables, clock: Clock, entropy: Entropy) -> Self {
        let store = Store::new(&client, tables.clone(), clock, entropy);
        store.create_tables().await.expect("tables");
        Self::assemble(router, store, client, tables, PEPPER, ORG).with_key().await
    }

    fn assemble(
        transport: impl FnOnce(&App) -> Transport,
        store: Store,
        client: Client,
        tables: Tables,
        pepper: &str,
        org: &str,
    ) -> Self {
        let pepper = pepper_of(pepper);
        // Most tests send more requests than an organisation may, at the same time of a fixed clock.
        let store = store.with_limits(false);
        let app =
            App { store, pepper: pepper.clone(), base_url: Some(BASE.to_owned()), portal: Arc::default() };
        let (org, key, named) = (org.to_owned(), String::new(), Named::default());
        Self { transport: transport(&app), app, org, key, client, tables, pepper, named }
    }

    async fn with_key(mut self) -> Self {
        self.key = self.organisation(&self.org, &[Scope::Scim]).await;
        self
    }

    /// Returns the service with the limits of organisations.
    #[must_use]
    pub fn limited(mut self) -> Self {
        self.app.store = self.app.store.with_limits(true);
        let transport = Transport::Router(self.router(self.app.clone()));
        Self { transport, ..self }
    }

    /// Returns the service with the request log.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.app.store = self.app.store.with_request_log(true);
        let transport = Transport::Router(self.router(self.app.clone()));
        Self { transport, ..self }
    }

    /// Returns the service without events.
    #[must_use]
    pub fn without_events(mut self) -> Self {
        self.app.store = self.app.store.with_events(false);
        let transport = Transport::Router(self.router(self.app.clone()));
        Self { transport, ..self }
    }

    /// Sets the base URL.
    pub fn set_base_url(&mut self, base: &str) {
        self.app.base_url = Some(base.to_owned());
        self.transport = Transport::Router(self.router(self.app.clone()));
    }

    /// Returns the service with another router.
    #[must_use]
    pub fn with_router(self, router: Router) -> Self {
        Self { transport: Transport::Router(router), ..self }
    }

    /// Returns a store on the same tables that uses the clock.
    #[must_use]
    pub fn store_with_clock(&self, clock: Clock) -> Store {
        let entropy = Entropy::seeded(unique_number());
        Store::new(&self.client, self.tables.clone(), clock, entropy)
    }

    /// Ends the test unless the service is in this process.
    pub fn require_in_process(&self, why: &str) {
        require(matches!(self.transport, Transport::Router(_)), why);
    }

    /// Returns the router that receives the requests. The test applies to a service in this process alone.
    fn own_router(&self) -> Router {
        match &self.transport {
            Transport::Router(router) => router.clone(),
            _ => not_applicable("it reads lines from the router of this process"),
        }
    }

    /// Returns the router of a changed application. The test applies to a service in this process alone.
    pub fn router(&self, app: App) -> Router {
        self.require_in_process("it changes the service in this process");
        let routes = routes(&app, Reach::Internet);
        http::router(app, routes)
    }

    /// Replaces the values that the service chose by names: the first id that the test sees by `{1}`, the first version by
    /// `{v1}`, the time by `{now}`.
    pub fn named(&self, text: &str) -> String {
        self.named.text(text)
    }

    /// Returns the name of an organisation, which on a deployed service belongs to the test.
    #[must_use]
    pub fn org_named(&self, name: &str) -> String {
        match self.org.strip_prefix(DEPLOYED_ORG) {
            Some(own) if name != self.org => format!("{name}{own}"),
            _ => name.to_owned(),
        }
    }

    /// Creates the organisation, unless it exists, and a key for it. Returns the key.
    pub async fn organisation(&self, org: &str, scopes: &[Scope]) -> String {
        let org: Org = self.org_named(org).parse().expect("an organisation's name");
        self.app.store.create_org(&org, &operator()).await.expect("an organisation");
        self.key_of(&org, scopes).await
    }

    /// Creates a key of the organisation, whose first use is recorded. The requests of a test therefore record none.
    async fn key_of(&self, org: &Org, scopes: &[Scope]) -> String {
        let new = NewKey { scopes: scopes.iter().copied().collect(), ..NewKey::default() };
        let store = &self.app.store;
        let (key, _) = store.create_key(org, &new, &self.pepper, &operator()).await.expect("a key");
        let peppers = self.pepper.peppers().await.expect("peppers");
        let deadline = Instant::now() + REQUEST_BUDGET;
        let authenticated = store.authenticate(&key, &peppers, deadline).await.expect("an answer");
        let unrecorded = authenticated.ok().and_then(|accepted| accepted.unrecorded);
        if let Some(unrecorded) = unrecorded {
            store.record_use(&unrecorded, "other", deadline).await.expect("a record");
        }
        key.reveal().to_owned()
    }

    /// Returns the organisation [`ORG`].
    pub async fn own_organisation(&self) -> Organisation {
        let org = ORG.parse().expect("an organisation's name");
        self.app.store.org(&org).await.expect("an answer").expect("the organisation")
    }

    /// Creates an OAuth client of the organisation. Returns its id and its secret.
    pub async fn oauth_client(&self, org: &str, scopes: &[Scope]) -> (String, Credential) {
        let org: Org = self.org_named(org).parse().expect("an organisation's name");
        let scopes = scopes.iter().copied().collect();
        let authentication = ClientAuthentication::Secret(None);
        let new = NewClient { scopes, label: None, authentication, repeatable: None };
        let created = self.app.store.create_client(&org, &new, &self.pepper, &operator()).await;
        let (client, secret) = created.expect("a client");
        (client.id, secret.expect("a secret"))
    }

    /// Issues an access token to a new OAuth client of the organisation, at the time of the clock. Returns the id of the
    /// client and the token.
    pub async fn access_token(&self, scopes: &[Scope], clock: &Clock) -> (String, String) {
        let (id, secret) = self.oauth_client(&self.org, scopes).await;
        let store = self.store_with_clock(clock.clone());
        let deadline = Instant::now() + REQUEST_BUDGET;
        let client = store.token_client(&id.parse().expect("an id"), deadline).await.expect("an answer");
        let client = client.expect("the client");
        let peppers = self.pepper.peppers().await.expect("peppers");
        let secret = client.client.secret_of(&secret, &peppers);
        let issued =
            store.issue_token(&client, &client.client.scopes, secret, &peppers, "other", deadline).await;
        (id, issued.expect("an answer").expect("a token").token.reveal().to_owned())
    }

    /// Sends an HTTP request.
    pub async fn send(&self, request: HttpRequest<Body>) -> Answer {
        match &self.transport {
            Transport::Router(router) => respond(router.clone(), request).await,
            Transport::Functions(functions, api) => {
                let (parts, body) = request.into_parts();
                if let Some(why) = api.stops(&parts) {
                    not_applicable(why);
                }
                let event = api.event(&parts, &read(body).await);
                functions.invoke(parts.uri.path(), event, None).await
            }
            Transport::Url(agent, url) => {
                let (mut parts, body) = request.into_parts();
                if let Some(why) = Api::Rest.stops(&parts).or_else(|| gateway::differs(&parts)) {
                    not_applicable(why);
                }
                let body = read(body).await;
                let target = parts.uri.path_and_query().map_or("", PathAndQuery::as_str);
                let target = target.strip_prefix("/scim").unwrap_or(target);
                parts.uri = format!("{url}{target}").parse().expect("a URL");
                let request = HttpRequest::from_parts(parts, body);
                let agent = agent.clone();
                let sent = tokio::task::spawn_blocking(move || {
                    let (parts, body) = request.into_parts();
                    let sent = if body.is_empty() {
                        agent.run(HttpRequest::from_parts(parts, ()))
                    } else {
                        agent.run(HttpRequest::from_parts(parts, body.to_vec()))
                    };
                    sent.map(|answer| {
                        let (parts, mut body) = answer.into_parts();
                        (parts, body.with_config().limit(64 << 20).read_to_vec().expect("a body"))
                    })
                });
                match sent.await.expect("a request") {
                    Ok((parts, body)) => gateway::deployed(parts.status.as_u16(), parts.headers, &body),
                    Err(ureq::Error::Protocol(_)) => not_applicable("no HTTP client sends such a request"),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    /// Passes an event of API Gateway to the function of its path. In this process, the function has all routes and the
    /// base URL.
    pub async fn invoke(&self, event: Value, base_url: Option<String>) -> Answer {
        match &self.transport {
            Transport::Router(_) => {
                let event = serde_json::from_value(event).expect("an event of API Gateway");
                let app = App { base_url, ..self.app.clone() };
                let routes = routes(&app, Reach::Internet);
                let function = lambda::function(app, routes);
                let given = function.oneshot(LambdaEvent::new(event, Context::default())).await;
                let Ok(given) = given;
                gateway::answer(&serde_json::to_value(given).expect("JSON"))
            }
            Transport::Functions(functions, _) => {
                let path = event["path"].as_str().or(event["rawPath"].as_str()).unwrap_or_default();
                let path = path.to_owned();
                functions.invoke(&path, event, base_url).await
            }
            Transport::Url(..) => not_applicable("a deployed API makes its events itself"),
        }
    }

    /// Sends a `GET` with the organisation's key.
    pub async fn get(&self, path: &str) -> Answer {
        Request::get(path).send(self).await
    }

    /// Sends a `POST` with the organisation's key.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        Request::post(path, body).send(self).await
    }

    /// Sends a `PUT` with the organisation's key.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        Request::put(path, body).send(self).await
    }

    /// Sends a `PATCH` of these operations with the organisation's key.
    pub async fn patch(&self, path: &str, operations: Value) -> Answer {
        Request::patch(path, operations).send(self).await
    }

    /// Sends a `DELETE` with the organisation's key.
    pub async fn delete(&self, path: &str) -> Answer {
        Request::delete(path).send(self).await
    }

    /// Creates a user and returns its id.
    pub async fn user(&self, user_name: &str) -> String {
        let answer = self.post("/Users", json!({ "userName": user_name })).await;
        assert_eq!(answer.status, StatusCode::CREATED.as_u16(), "{:?}", answer.body);
        answer.id()
    }

    /// Creates a group with members and returns its id.
    pub async fn group(&self, display_name: &str, members: &[&str]) -> String {
        let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
        let answer = self.post("/Groups", json!({ "displayName": display_name, "members": members })).await;
        assert_eq!(answer.status, StatusCode::CREATED.as_u16(), "{:?}", answer.body);
        answer.id()
    }

    /// Returns the ids of a group's members, sorted.
    pub async fn members(&self, group: &str) -> Vec<String> {
        sorted_values(&self.get(&format!("/Groups/{group}")).await.body["members"])
    }

    /// Returns the ids of a user's groups, sorted.
    pub async fn groups(&self, user: &str) -> Vec<String> {
        sorted_values(&self.get(&format!("/Users/{user}")).await.body["groups"])
    }

    /// Returns the report of the doctor on an organisation.
    pub async fn examine(&self, org: &str) -> Report {
        let caller = Caller::operator(self.org_named(org).parse().expect("an organisation's name"));
        self.app.store.directory(&caller).examine().await.expect("an examination")
    }

    /// Fails if the doctor finds an error in the organisation.
    pub async fn assert_healthy(&self) {
        let report = self.examine(&self.org).await;
        assert!(report.is_healthy(), "{:#?}", report.findings);
    }
}

/// Returns the start of a test clock: [`NOW`], or the time of the system where the target deletes expired items by its
/// own clock.
#[must_use]
pub fn start_time() -> OffsetDateTime {
    if is_embedded() { NOW } else { Clock::system().now() }
}

/// Returns a clock that starts at [`NOW`] and advances with the clock of the runtime, also while that is paused.
#[must_use]
pub fn runtime_clock() -> Clock {
    let start = Instant::now();
    Clock::new(move || NOW + start.elapsed())
}

/// Ends a test that advances the clock, unless the service uses the clock of the test.
pub fn require_test_clock() {
    require(has_clock(), "it advances the clock of the service");
}

/// Returns whether the service uses the clock of the test.
#[must_use]
pub fn has_clock() -> bool {
    matches!(target(), Target::Embedded | Target::DynamoDb(_))
}

/// Returns whether the service is in this process on an embedded DynamoDB.
#[must_use]
pub fn is_embedded() -> bool {
    matches!(target(), Target::Embedded)
}

/// Returns the routes of all functions. The token endpoint reads the keys of issuers from these hosts.
#[must_use]
pub fn routes(app: &App, reach: Reach) -> Vec<Route> {
    let assertions = Assertions::new(app.store.clock().clone(), reach);
    [http::all(), http::token(&assertions), http::events()].concat()
}

fn router(app: &App) -> Transport {
    Transport::Router(http::router(app.clone(), routes(app, Reach::Internet)))
}

/// Sends a request to a router.
async fn respond(router: Router, request: HttpRequest<Body>) -> Answer {
    let (parts, body) = router.oneshot(request).await.expect("the router always answers").into_parts();
    Answer::new(parts.status.as_u16(), parts.headers, &read(body).await)
}

/// Sends a request to a router. Returns the status and the body.
async fn raw(router: Router, request: HttpRequest<Body>) -> (u16, Bytes) {
    let (parts, body) = router.oneshot(request).await.expect("the router always answers").into_parts();
    (parts.status.as_u16(), read(body).await)
}

async fn read(body: Body) -> Bytes {
    body.collect().await.expect("a body").to_bytes()
}

/// Ends a test that does not apply to the target. `tests/deployed.sh` recognises the text and counts these tests apart
/// from failures.
fn not_applicable(why: &str) -> ! {
    panic!("not a test of this target: {why}")
}

fn require(holds: bool, why: &str) {
    if !holds {
        not_applicable(why);
    }
}

/// Returns a number that is unique among the tests of all processes.
fn unique_number() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let process = u64::from(std::process::id()) << 16;
    Clock::system().unix_millis() << 24 ^ process ^ COUNT.fetch_add(1, Ordering::Relaxed)
}

fn unique_name(what: &str) -> String {
    format!("{what}-{:x}", unique_number())
}

fn unique_tables() -> Tables {
    let [resources, keys, requests] = ["resources", "keys", "requests"].map(unique_name);
    Tables { resources, keys, requests }
}

/// The `scimType` values of RFC 7644 (table 9) and RFC 9865 (§2.1).
const SCIM_TYPES: [&str; 13] = [
    "invalidFilter",
    "tooMany",
    "uniqueness",
    "mutability",
    "invalidSyntax",
    "invalidPath",
    "noTarget",
    "invalidValue",
    "invalidVers",
    "sensitive",
    "invalidCursor",
    "expiredCursor",
    "invalidCount",
];

/// Lists the violations of the form that every answer has: an answer forbids storing and sniffing, and an error is a
/// SCIM error that repeats the status.
#[must_use]
pub fn form_violations(answer: &Answer) -> Vec<String> {
    let mut violations = Vec::new();
    let mut expect = |what: &str, found: &str, expected: &str| {
        if found != expected {
            violations.push(format!("{what} is {found:?}, not {expected:?}"));
        }
    };
    if answer.status >= 500 && answer.status != 501 {
        expect("the status", &answer.status.to_string(), "below 500");
    }
    if !answer.body.is_null() {
        expect("content-type", answer.header("content-type"), "application/scim+json");
        expect("x-content-type-options", answer.header("x-content-type-options"), "nosniff");
        expect("cache-control", answer.header("cache-control"), "no-store");
    }
    if answer.status >= 400 {
        let body = &answer.body;
        expect("schemas", &body["schemas"].to_string(), r#"["urn:ietf:params:scim:api:messages:2.0:Error"]"#);
        expect("status in the body", body["status"].as_str().unwrap_or("none"), &answer.status.to_string());
        if body["detail"].as_str().is_none_or(str::is_empty) {
            expect("detail", "none", "a sentence");
        }
        let scim_type = body["scimType"].as_str();
        if scim_type.map_or(answer.status == 400, |word| !SCIM_TYPES.contains(&word)) {
            expect("scimType", scim_type.unwrap_or("none"), "a word of the tables");
        }
        if answer.status == 401 && !answer.header("www-authenticate").starts_with("Bearer") {
            expect("www-authenticate", answer.header("www-authenticate"), "Bearer");
        }
    }
    for name in answer.headers.keys().filter(|name| name.as_str().starts_with("access-control-")) {
        expect("a CORS header", name.as_str(), "absent");
    }
    violations
}

fn sorted_values(elements: &Value) -> Vec<String> {
    let elements = elements.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut ids: Vec<String> =
        elements.iter().map(|element| element["value"].as_str().unwrap_or_default().to_owned()).collect();
    ids.sort_unstable();
    ids
}
