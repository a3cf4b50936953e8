//! What the black-box tests share: the service as one value, through its real router on an embedded DynamoDB, or
//! wherever the environment says it is (`target.rs`).
//!
//! The clock stands still and random bytes are a sequence, so whole answers can be compared; where the service is a
//! process of its own, they are compared with names for what it chose ([`Service::named`]). Nothing is mocked: a request
//! goes through routing, authentication, the store and the AWS SDK to the engine.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a test that cannot go on fails by panicking"
)]

pub mod counting;
pub mod exchange;
pub mod faults;
mod functions;
pub mod fuzz;
pub mod gateway;
pub mod history;
pub mod intercept;
pub mod load;
mod named;
pub mod observed;
mod request;
pub mod schedule;
mod target;

use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::Client;
use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Request as HttpRequest, StatusCode, uri::PathAndQuery},
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
    config::{self, Tables},
    http, lambda,
    store::{Store, doctor::Report},
};
use time::{OffsetDateTime, macros::datetime};
use tower::ServiceExt;

use functions::Functions;
use gateway::Api;
use named::Named;
pub use request::{Request, encode};
use target::{Target, target};

/// The organisation most tests are about.
pub const ORG: &str = "acme";
/// The base URL in `meta.location`.
pub const BASE: &str = "https://scim.test/scim/v2";
/// What names of organisations of a deployed service begin with.
const DEPLOYED_ORG: &str = "org";
/// Why a test says nothing of other targets.
const EMBEDDED: &str = "it is of the embedded DynamoDB";
/// What key digests are made with.
const PEPPER: &str = "a pepper for tests";
/// What the clock says.
pub const NOW: OffsetDateTime = datetime!(2026-11-23 09:00:00.123 UTC);

/// A service with an empty organisation.
pub struct Service {
    /// Everything behind the router; where the service is a process of its own, what an operator has of it.
    pub app: App,
    /// The organisation: [`ORG`], but of a deployed service one of the test's own.
    pub org: String,
    /// The key of the organisation, with the scope `scim`.
    pub key: String,
    client: Client,
    tables: Tables,
    peppers: Peppers,
    door: Door,
    named: Named,
}

/// How requests get in.
enum Door {
    /// To the router, in this process.
    Router(Router),
    /// As events, to Lambda functions.
    Functions(Functions, Api),
    /// Over HTTP, to a deployed API.
    Url(ureq::Agent, String),
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
    /// A service wherever the environment says it is.
    pub async fn new() -> Self {
        Self::at(None).await
    }

    /// A service here, on an embedded DynamoDB, whose every call is known and counted.
    pub async fn embedded() -> Self {
        only_here(is_embedded(), EMBEDDED);
        Self::new().await
    }

    /// The same by another clock, unless it is a process of its own; who turns the clock says so ([`turns_the_clock`]).
    pub async fn at_clock(clock: Clock) -> Self {
        Self::at(Some(clock)).await
    }

    async fn at(clock: Option<Clock>) -> Self {
        match target() {
            Target::Embedded => {
                let database = Database::memory().expect("a database in memory");
                let client = embedded::client(database);
                let clock = clock.unwrap_or_else(|| Clock::fixed(NOW));
                Self::behind_router(client, Tables::default(), clock, Entropy::seeded(1)).await
            }
            Target::DynamoDb(endpoint) => {
                // Other random bytes in each test, for the tokens of transactions are the account's, not the table's;
                // and the time, for they put ids of one millisecond into another order.
                let (client, entropy) = (endpoint.client(), Entropy::seeded(number_of_its_own()));
                let clock = clock.unwrap_or_else(Clock::system);
                Self::behind_router(client, tables_of_its_own(), clock, entropy).await
            }
            Target::Lambda(endpoint, lambda) => {
                let (clock, entropy) = (Clock::system(), Entropy::system());
                let tables = tables_of_its_own();
                let variables = vec![
                    (config::RESOURCES_TABLE, tables.resources.clone()),
                    (config::KEYS_TABLE, tables.keys.clone()),
                    (config::PEPPER_SECRET_ID, endpoint.secret(PEPPER)),
                ];
                let functions = Functions::new(lambda, endpoint, variables);
                let door = |_: &App| Door::Functions(functions, lambda.api);
                let store = Store::new(&endpoint.client(), tables.clone(), clock, entropy);
                store.create_tables().await.expect("tables");
                Self::behind(door, store, endpoint.client(), tables, PEPPER, ORG).await
            }
            Target::Deployed(endpoint, deployed) => {
                let (clock, entropy) = (Clock::system(), Entropy::system());
                let agent = ureq::Agent::config_builder()
                    .http_status_as_error(false)
                    .allow_non_standard_methods(true)
                    .proxy(None)
                    .build();
                let door = |_: &App| Door::Url(agent.new_agent(), deployed.url.clone());
                let tables = deployed.tables.clone();
                let store = Store::new(&endpoint.client(), tables.clone(), clock, entropy);
                // SAM's own gateway comes without tables and without a secret.
                store.create_tables().await.expect("tables");
                endpoint.secret(&deployed.pepper);
                let org = name_of_its_own(DEPLOYED_ORG);
                Self::behind(door, store, endpoint.client(), tables, &deployed.pepper, &org).await
            }
        }
    }

    /// A service here, on whatever that client reaches: for tests of what only the embedded DynamoDB has.
    pub async fn on(client: Client) -> Self {
        Self::on_at(client, Clock::fixed(NOW)).await
    }

    /// The same by another clock.
    pub async fn on_at(client: Client, clock: Clock) -> Self {
        Self::with(client, clock, Entropy::seeded(1)).await
    }

    /// The same by other random bytes, as another process on the same database has them.
    pub async fn with(client: Client, clock: Clock, entropy: Entropy) -> Self {
        only_here(is_embedded(), EMBEDDED);
        Self::behind_router(client, Tables::default(), clock, entropy).await
    }

    async fn behind_router(client: Client, tables: Tables, clock: Clock, entropy: Entropy) -> Self {
        let store = Store::new(&client, tables.clone(), clock, entropy);
        store.create_tables().await.expect("tables");
        let door = |app: &App| Door::Router(http::router(app.clone(), http::all()));
        Self::behind(door, store, client, tables, PEPPER, ORG).await
    }

    async fn behind(
        door: impl FnOnce(&App) -> Door,
        store: Store,
        client: Client,
        tables: Tables,
        pepper: &str,
        org: &str,
    ) -> Self {
        let peppers = Peppers { current: Secret::new(pepper), previous: None };
        let app = App { store, pepper: Pepper::File(peppers.clone()), base_url: Some(BASE.to_owned()) };
        let (org, key, named) = (org.to_owned(), String::new(), Named::default());
        let mut service = Self { door: door(&app), app, org, key, client, tables, peppers, named };
        service.key = service.organisation(&service.org, &[Scope::Scim]).await;
        service
    }

    /// Gives the service another base URL.
    pub fn rebase(&mut self, base: &str) {
        self.app.base_url = Some(base.to_owned());
        self.door = Door::Router(self.router(self.app.clone()));
    }

    /// The same service, whose requests go through that router.
    #[must_use]
    pub fn through(self, router: Router) -> Self {
        Self { door: Door::Router(router), ..self }
    }

    /// The same store by another clock.
    #[must_use]
    pub fn store_by(&self, clock: Clock) -> Store {
        let entropy = Entropy::seeded(number_of_its_own());
        Store::new(&self.client, self.tables.clone(), clock, entropy)
    }

    /// Said by a test of what only a service in this process has, and why.
    pub fn is_here(&self, why: &str) {
        only_here(matches!(self.door, Door::Router(_)), why);
    }

    /// A router of the service in this process, with something changed.
    pub fn router(&self, app: App) -> Router {
        self.is_here("it changes the service in this process");
        http::router(app, http::all())
    }

    /// The text with names for what the service chose, so that it is the same whatever was chosen: `{1}` for the first
    /// id that this test sees, `{v1}` for the first version, `{now}` for the time.
    pub fn named(&self, text: &str) -> String {
        self.named.text(text)
    }

    /// An organisation of that name, but of a deployed service one of the test's own.
    #[must_use]
    pub fn org_named(&self, name: &str) -> String {
        match self.org.strip_prefix(DEPLOYED_ORG) {
            Some(own) if name != self.org => format!("{name}{own}"),
            _ => name.to_owned(),
        }
    }

    /// Makes the organisation, if it is not there, and a key of it.
    pub async fn organisation(&self, org: &str, scopes: &[Scope]) -> String {
        let org: Org = self.org_named(org).parse().expect("an organisation's name");
        self.app.store.create_org(&org).await.expect("an organisation");
        let scopes = scopes.iter().copied().collect();
        let (key, _) = self.app.store.create_key(&org, &scopes, &self.peppers).await.expect("a key");
        key.reveal().to_owned()
    }

    /// Sends a request as it is, without a key.
    pub async fn send(&self, request: HttpRequest<Body>) -> Answer {
        match &self.door {
            Door::Router(router) => respond(router.clone(), request).await,
            Door::Functions(functions, api) => {
                let (parts, body) = request.into_parts();
                if let Some(why) = api.stops(&parts) {
                    not_here(why);
                }
                let event = api.event(&parts, &whole(body).await);
                functions.invoke(parts.uri.path(), event, None).await
            }
            Door::Url(agent, url) => {
                let (mut parts, body) = request.into_parts();
                if let Some(why) = Api::Rest.stops(&parts).or_else(|| gateway::differs(&parts)) {
                    not_here(why);
                }
                let body = whole(body).await;
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
                    Err(ureq::Error::Protocol(_)) => not_here("no HTTP client sends such a request"),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    /// Hands an event of API Gateway to the function of its path, or, in this process, to what that would hand it to,
    /// where that is the base URL.
    pub async fn invoke(&self, event: Value, base_url: Option<String>) -> Answer {
        match &self.door {
            Door::Router(_) => {
                let event = serde_json::from_value(event).expect("an event of API Gateway");
                let function = lambda::function(App { base_url, ..self.app.clone() }, http::all());
                let given = function.oneshot(LambdaEvent::new(event, Context::default())).await;
                let Ok(given) = given;
                gateway::answer(&serde_json::to_value(given).expect("JSON"))
            }
            Door::Functions(functions, _) => {
                let path = event["path"].as_str().or(event["rawPath"].as_str()).unwrap_or_default();
                let path = path.to_owned();
                functions.invoke(&path, event, base_url).await
            }
            Door::Url(..) => not_here("a deployed API makes its events itself"),
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
        let caller = Caller::operator(self.org_named(org).parse().expect("an organisation's name"));
        self.app.store.directory(&caller).examine().await.expect("an examination")
    }

    /// Fails unless the doctor finds nothing wrong with the organisation.
    pub async fn assert_healthy(&self) {
        let report = self.examine(&self.org).await;
        assert!(report.is_healthy(), "{:#?}", report.findings);
    }
}

/// When a clock begins that is turned: at [`NOW`], but not where another clock tells what has expired and is deleted.
#[must_use]
pub fn beginning() -> OffsetDateTime {
    if is_embedded() { NOW } else { Clock::system().now() }
}

/// Said by a test that turns the clock of the service.
pub fn turns_the_clock() {
    only_here(has_clock(), "it turns the clock of the service");
}

/// Whether the service goes by the clock of a test.
#[must_use]
pub fn has_clock() -> bool {
    matches!(target(), Target::Embedded | Target::DynamoDb(_))
}

/// Whether the service is here, on an embedded DynamoDB.
#[must_use]
pub fn is_embedded() -> bool {
    matches!(target(), Target::Embedded)
}

/// Sends a request to a router.
async fn respond(router: Router, request: HttpRequest<Body>) -> Answer {
    let (parts, body) = router.oneshot(request).await.expect("the router always answers").into_parts();
    Answer::new(parts.status.as_u16(), parts.headers, &whole(body).await)
}

async fn whole(body: Body) -> Bytes {
    body.collect().await.expect("a body").to_bytes()
}

/// Ends a test that says nothing of the target: `tests/deployed.sh` counts and lists these apart from failures.
fn not_here(why: &str) -> ! {
    panic!("not a test of this target: {why}")
}

fn only_here(holds: bool, why: &str) {
    if !holds {
        not_here(why);
    }
}

/// A number that no other test has, nor a test of another process.
fn number_of_its_own() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let process = u64::from(std::process::id()) << 16;
    Clock::system().unix_millis() << 24 ^ process ^ COUNT.fetch_add(1, Ordering::Relaxed)
}

fn name_of_its_own(what: &str) -> String {
    format!("{what}-{:x}", number_of_its_own())
}

fn tables_of_its_own() -> Tables {
    Tables { resources: name_of_its_own("resources"), keys: name_of_its_own("keys") }
}

/// RFC 7644, table 9, and RFC 9865 §2.1.
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

/// What is wrong with the form of an answer, whatever it says: nothing is stored or sniffed, and an error is a SCIM
/// error with its own status.
#[must_use]
pub fn form_violations(answer: &Answer) -> Vec<String> {
    let mut violations = Vec::new();
    let mut wants = |what: &str, found: &str, wanted: &str| {
        if found != wanted {
            violations.push(format!("{what} is {found:?}, not {wanted:?}"));
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
        let scim_type = body["scimType"].as_str();
        if scim_type.map_or(answer.status == 400, |word| !SCIM_TYPES.contains(&word)) {
            wants("scimType", scim_type.unwrap_or("none"), "a word of the tables");
        }
        if answer.status == 401 && !answer.header("www-authenticate").starts_with("Bearer") {
            wants("www-authenticate", answer.header("www-authenticate"), "Bearer");
        }
    }
    for name in answer.headers.keys().filter(|name| name.as_str().starts_with("access-control-")) {
        wants("a CORS header", name.as_str(), "absent");
    }
    violations
}

fn values(elements: &Value) -> Vec<String> {
    let elements = elements.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut ids: Vec<String> =
        elements.iter().map(|element| element["value"].as_str().unwrap_or_default().to_owned()).collect();
    ids.sort_unstable();
    ids
}
