//! The log: one line per request with a fixed set of members, and no personal data or secrets.

use std::{
    collections::BTreeSet,
    io, panic,
    path::PathBuf,
    sync::{
        Arc, Mutex, Once, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use aws_credential_types::provider::{self, ProvideCredentials, error::CredentialsError};
use aws_sdk_dynamodb::{Client, config::timeout::TimeoutConfig};
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use axum::{Router, extract, http::Method};
use dynoxide::Database;
use expect_test::expect;
use local::embedded::{Connector, client_over};
use serde_json::{Map, Value, json};
use service::{
    App,
    auth::Scope,
    clock::Clock,
    config::Tables,
    credential::{Credential, Kind},
    entropy::Entropy,
    http, janitor,
    store::Store,
    telemetry,
};
use tests::{
    NOW, ORG, Request, Service,
    counting::Counter,
    enable_org, exchange,
    faults::{Fault, Faults, Plan},
    intercept, operator,
};
use tokio::time::{Duration, sleep};
use tower::{ServiceBuilder, ServiceExt, util::MapRequestLayer};
use tracing::{Level, subscriber::DefaultGuard};

use super::assert_no_failures;

/// The stack name in these tests.
const STACK: &str = "scim-test";
/// The values of `refused`, as the alarm `authentication-failures` describes them.
const REFUSED: [&str; 9] =
    ["missing", "repeated", "scheme", "malformed", "unknown", "revoked", "expired", "off", "scope"];
/// The reason for which a test does not apply to a service in another process.
const NEEDS_LOG: &str = "it reads the log of this process";

/// Installs the subscriber of threads that have no other subscriber.
static FALLBACK: Once = Once::new();

/// The log of this thread until the value is dropped.
pub(super) struct Log {
    written: Arc<Mutex<Vec<u8>>>,
    _guard: DefaultGuard,
}

struct Writer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub(super) fn new(level: Level, stack: Option<&str>) -> Self {
        // With a single subscriber, the first thread that reaches an event decides for all threads whether the event is
        // enabled, because tracing caches the decision. Every thread therefore needs a subscriber.
        FALLBACK.call_once(|| {
            let nowhere = telemetry::subscriber(Level::TRACE, None, Clock::fixed(NOW), io::sink);
            tracing::subscriber::set_global_default(nowhere).expect("no other global subscriber");
        });
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let writer = written.clone();
        let stack = stack.map(str::to_owned);
        let subscriber =
            telemetry::subscriber(level, stack, Clock::fixed(NOW), move || Writer(writer.clone()));
        Self { written, _guard: tracing::subscriber::set_default(subscriber) }
    }

    fn text(&self) -> String {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(written.clone()).expect("a log is text")
    }

    pub(super) fn lines(&self) -> Vec<Map<String, Value>> {
        self.text().lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect()
    }

    fn requests(&self) -> Vec<Map<String, Value>> {
        self.lines().into_iter().filter(|line| line["message"] == "request").collect()
    }

    /// Returns the log since the last call.
    pub(super) fn take(&self) -> String {
        let text = self.text();
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clear();
        text
    }
}

/// Returns the service with a counter of the requests that it receives.
fn count_requests(service: Service, sent: &Arc<AtomicUsize>) -> Service {
    let sent = sent.clone();
    let count = move |request: extract::Request| {
        sent.fetch_add(1, Ordering::Relaxed);
        request
    };
    let router = service.router(service.app.clone());
    let layers = ServiceBuilder::new().layer(MapRequestLayer::new(count));
    service.with_router(Router::new().fallback_service(layers.service(router)))
}

/// Returns the service with the id of a Lambda invocation on every request.
fn add_request_id(service: Service) -> Service {
    let identify = |mut request: extract::Request| {
        request.extensions_mut().insert(telemetry::RequestId("request-1".to_owned()));
        request
    };
    let router = service.router(service.app.clone());
    let layers = ServiceBuilder::new().layer(MapRequestLayer::new(identify));
    service.with_router(Router::new().fallback_service(layers.service(router)))
}

/// Returns the members of a line that are unknown or have an unexpected value.
fn unexpected_members(line: &Map<String, Value>) -> Vec<String> {
    let routes = http::all();
    let is_pattern = |text: &str| text == "none" || routes.iter().any(|route| route.path == text);
    let is_route = |text: &str| {
        let of = |(method, path): (&str, &str)| {
            routes.iter().any(|route| {
                route.path == path
                    && (route.method == *method || (method, &route.method) == ("HEAD", &Method::GET))
            })
        };
        text == "none" || text.split_once(' ').is_some_and(of)
    };
    let among = |text: &str, words: &[&str]| words.contains(&text);
    let is_hex = |text: &str| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let unexpected = |(name, value): (&String, &Value)| {
        let text = value.as_str();
        let known = match name.as_str() {
            "timestamp" => value == "2026-11-23T09:00:00.123Z",
            "level" => text.is_some_and(|text| among(text, &["TRACE", "DEBUG", "INFO", "WARN", "ERROR"])),
            "org" => text.is_some_and(|text| among(text, &["", ORG])),
            "claimedOrg" => text == Some(ORG),
            "refused" => text.is_some_and(|text| among(text, &REFUSED)),
            "limit" => text.is_some_and(|text| among(text, &["requests", "work"])),
            "key" => text.is_some_and(|text| text.is_empty() || is_hex(text)),
            "method" => text.is_some_and(|text| {
                among(text, &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "none"])
            }),
            "endpoint" => text.is_some_and(is_pattern),
            "Route" => text.is_some_and(is_route),
            "Client" => text.is_some_and(|text| among(text, &["okta", "entra", "other", "none"])),
            "scimType" => text.is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_alphabetic())),
            // Texts of the service. The tests search them for planted data.
            "cause" | "message" => text.is_some(),
            "Stack" => value == STACK,
            "_aws" => value.is_object(),
            "status"
            | "Requests"
            | "Duration"
            | "Slow"
            | "DynamoDbCalls"
            | "ReadUnits"
            | "WriteUnits"
            | "AuthenticationFailures"
            | "Exhausted"
            | "Limited"
            | "LimitFailures"
            | "listed"
            | "OldestUnfinished"
            | "UnfinishedChanges"
            | "SweepFailures"
            | "PepperFailures" => value.is_number(),
            _ => false,
        };
        (!known).then(|| format!("{name}: {value}"))
    };
    line.iter().filter_map(unexpected).collect()
}

/// Dimensions, and the metrics under them: names and units.
type Directive<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);

/// Fails unless CloudWatch extracts these metrics from the line: `_aws` declares them, each is a number, and each
/// dimension is a string.
pub(super) fn assert_metrics(line: &Map<String, Value>, directives: &[Directive<'_>]) {
    let directive = |(dimensions, metrics): &Directive<'_>| {
        let declared: Vec<Value> =
            metrics.iter().map(|(name, unit)| json!({ "Name": name, "Unit": unit })).collect();
        json!({ "Namespace": "Scim", "Dimensions": [dimensions], "Metrics": declared })
    };
    let expected = json!({
        "Timestamp": 1_795_424_400_123_u64,
        "CloudWatchMetrics": directives.iter().map(directive).collect::<Vec<_>>(),
    });
    assert_eq!(line["_aws"], expected);
    for (dimensions, metrics) in directives {
        for (name, _) in *metrics {
            assert!(line[*name].is_number(), "{name} of {line:?}");
        }
        for name in *dimensions {
            let value = line[*name].as_str().expect("a dimension is text");
            assert!(!value.is_empty() && value.is_ascii() && value.len() <= 1_024, "{name}: {value}");
        }
    }
}

fn assert_request_metrics(line: &Map<String, Value>) {
    let metrics = [
        ("Requests", "Count"),
        ("Duration", "Milliseconds"),
        ("Slow", "Count"),
        ("DynamoDbCalls", "Count"),
        ("ReadUnits", "None"),
        ("WriteUnits", "None"),
        ("AuthenticationFailures", "Count"),
        ("Exhausted", "Count"),
        ("Limited", "Count"),
    ];
    let by_route = [("Requests", "Count"), ("Duration", "Milliseconds")];
    assert_metrics(line, &[(&["Stack"], &metrics), (&["Stack", "Route", "Client"], &by_route)]);
    let status = line["status"].as_u64().unwrap();
    assert_eq!(line["Requests"], 1);
    assert_eq!(line["Slow"], u64::from(line["Duration"].as_u64().unwrap() >= 3_000));
    assert_eq!(line["AuthenticationFailures"], u64::from(line.contains_key("refused")));
    assert_eq!(line["Exhausted"], u64::from([429, 503].contains(&status)));
    assert_eq!(line.contains_key("cause"), status == 429 || status >= 500, "{line:?}");
    // A request without a valid key creates no metric: its dimensions are the same for all.
    let is_authenticated =
        line["org"] != "" && ["revoked", "off"].iter().all(|word| line.get("refused") != Some(&json!(word)));
    assert!(
        is_authenticated || (&line["Route"], &line["Client"]) == (&json!("none"), &json!("none")),
        "{line:?}"
    );
    assert!(status != 401 || line["refused"].is_string());
}

/// Returns the members of a request's line that say who was refused and why.
fn refusal(line: &Map<String, Value>) -> String {
    let text = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    let key = if text("key").is_empty() { "no key" } else { "key" };
    format!(
        "{} {}: org {:?}, {key}, claimedOrg {}, {} by {}",
        line["status"],
        text("refused"),
        text("org"),
        text("claimedOrg"),
        text("Route"),
        text("Client"),
    )
}

#[tokio::test]
async fn token_request_is_logged_without_its_secrets() {
    let log = Log::new(Level::INFO, Some(STACK));
    let service = Service::new().await;
    service.require_in_process(NEEDS_LOG);
    let (client, secret) = service.oauth_client(ORG, &[Scope::Scim]).await;
    let send = async |secret: &str| {
        log.take();
        let form = format!("grant_type=client_credentials&client_id={client}&client_secret={secret}");
        let request =
            Request::new(Method::POST, "").header("content-type", "application/x-www-form-urlencoded");
        let request = Request { target: "/oauth2/token".to_owned(), body: form.into(), ..request };
        let answer = request.send_as_is(&service).await;
        let line = log.requests().remove(0);
        assert!(!log.text().contains(secret), "{}", log.text());
        (answer, line)
    };
    let (answer, line) = send(secret.reveal()).await;
    let token = answer.body["access_token"].as_str().expect("a token");
    assert!(!log.text().contains(token));
    assert_eq!((&line["org"], &line["key"]), (&json!(ORG), &json!(client)));
    assert_eq!((&line["endpoint"], &line["Route"]), (&json!("/oauth2/token"), &json!("POST /oauth2/token")));
    assert_eq!(line["AuthenticationFailures"], 0);

    let (_, line) = send("scimsecret_acme_wrong").await;
    // The client exists, so its organisation is proven, and nothing else.
    assert_eq!((&line["org"], &line["key"]), (&json!(ORG), &json!(client)));
    assert_eq!((&line["Route"], line.contains_key("claimedOrg")), (&json!("none"), false));
    assert_eq!((&line["refused"], &line["AuthenticationFailures"]), (&json!("unknown"), &json!(1)));
}

#[tokio::test]
async fn refused_line_names_organisation_and_reason() {
    let log = Log::new(Level::INFO, Some(STACK));
    let service = Service::new().await;
    service.require_in_process(NEEDS_LOG);
    let store = &service.app.store;
    let org = ORG.parse().unwrap();
    let [revoked, read] =
        [service.organisation(ORG, &[Scope::Scim]).await, service.organisation(ORG, &[Scope::Read]).await];
    let keys = store.keys(&org).await.unwrap();
    for key in keys.iter().filter(|key| key.scopes == [Scope::Scim].into()) {
        store.revoke_key(&org, &key.id, &operator()).await.unwrap();
    }
    let unknown = Credential::generate(Kind::Key, &org, &Entropy::system()).unwrap();
    let mut found = Vec::new();
    let mut send = async |request: Request| {
        log.take();
        request.send_as_is(&service).await;
        let line = log.requests().remove(0);
        assert_request_metrics(&line);
        assert_eq!(unexpected_members(&line), [""; 0]);
        found.push(refusal(&line));
    };
    let get = || Request::get("/Users?aadOptscim062020");
    send(get()).await;
    send(get().bearer(&read).header("authorization", "Bearer x")).await;
    send(get().header("authorization", "Digest eA==")).await;
    send(get().header("authorization", &format!("Bearer Bearer {read}"))).await;
    send(get().bearer(&read[..40])).await;
    send(get().bearer(unknown.reveal())).await;
    send(get().bearer(&revoked)).await;
    send(Request::post("/Users", json!({})).bearer(&read)).await;
    // RFC 7644 §4 forbids this request, whatever the key is.
    send(Request::get("/Schemas").filter("id pr").bearer(&read)).await;
    enable_org(store, &org, false).await.unwrap();
    send(get().bearer(&read)).await;
    expect![[r#"
        [
            "401 missing: org \"\", no key, claimedOrg -, none by none",
            "401 repeated: org \"\", no key, claimedOrg -, none by none",
            "401 scheme: org \"\", no key, claimedOrg -, none by none",
            "401 scheme: org \"\", no key, claimedOrg -, none by none",
            "401 malformed: org \"\", no key, claimedOrg -, none by none",
            "401 unknown: org \"\", no key, claimedOrg acme, none by none",
            "401 revoked: org \"acme\", key, claimedOrg -, none by none",
            "403 scope: org \"acme\", key, claimedOrg -, POST /Users by other",
            "403 -: org \"acme\", key, claimedOrg -, GET /Schemas by other",
            "403 off: org \"acme\", key, claimedOrg -, none by none",
        ]
    "#]]
    .assert_debug_eq(&found);
}

/// Returns a client whose credentials provider has none.
fn client_without_credentials() -> Client {
    #[derive(Debug)]
    struct Nothing;

    impl ProvideCredentials for Nothing {
        fn provide_credentials<'a>(&'a self) -> provider::future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            provider::future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("no profile")))
        }
    }

    let connector = SharedHttpConnector::new(Connector::new(Database::memory().unwrap()));
    let config = client_over(connector).config().to_builder().credentials_provider(Nothing);
    Client::from_conf(config.build())
}

/// Returns a client whose calls are never answered, and time out.
fn client_without_answers() -> Client {
    let silent = intercept::client(Connector::new(Database::memory().unwrap()), async |call| {
        std::future::pending::<()>().await;
        call.forward().await
    });
    let timeouts = TimeoutConfig::builder().operation_timeout(Duration::from_secs(8)).build();
    Client::from_conf(silent.config().to_builder().timeout_config(timeouts).build())
}

#[tokio::test(start_paused = true)]
async fn unavailable_line_names_its_cause() {
    let log = Log::new(Level::INFO, Some(STACK));
    let faults = Faults::default();
    let service = Service::on(faults.client(Database::memory().unwrap())).await;
    let user = service.user("ada").await;
    let mut found = BTreeSet::new();
    let mut last = |what: &str| {
        let line = log.requests().pop().unwrap();
        assert_request_metrics(&line);
        assert_eq!(unexpected_members(&line), [""; 0]);
        let text = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
        let known = if text("org").is_empty() {
            format!("claimedOrg {}", text("claimedOrg"))
        } else {
            format!("org {}", text("org"))
        };
        found.insert(format!("{what}: {} {}, {known}", line["status"], text("cause")));
        log.take();
    };
    for fault in [Fault::Unsent, Fault::Broken, Fault::Throttled, Fault::Unprocessed, Fault::Conflict] {
        // Call 0 reads the key. The next call is the one of the operation.
        for call in [0, 1] {
            faults.plan(Some(Plan { call, fault, lasting: true }));
            let request = match fault {
                Fault::Conflict if call == 0 => continue,
                Fault::Conflict => Request::post("/Users", json!({ "userName": "bob" })),
                _ => Request::get(format!("/Users/{user}")),
            };
            request.send(&service).await;
            last(&format!("{fault:?} from call {call}"));
        }
    }
    faults.plan(None);
    for (what, client) in
        [("no credentials", client_without_credentials()), ("no answer", client_without_answers())]
    {
        let store = Store::new(&client, Tables::default(), Clock::fixed(NOW), Entropy::seeded(1));
        let router = service.router(App { store, ..service.app.clone() });
        router.oneshot(Request::get("/Users").bearer(&service.key).build()).await.unwrap();
        last(what);
    }
    expect![[r#"
        {
            "Broken from call 0: 503 dynamodb server-error, claimedOrg acme",
            "Broken from call 1: 503 dynamodb server-error, org acme",
            "Conflict from call 1: 503 conflicts, org acme",
            "Throttled from call 0: 429 dynamodb throttled, claimedOrg acme",
            "Throttled from call 1: 429 dynamodb throttled, org acme",
            "Unprocessed from call 0: 503 dynamodb throttled, claimedOrg acme",
            "Unprocessed from call 1: 429 dynamodb throttled, org acme",
            "Unsent from call 0: 503 dynamodb connect, claimedOrg acme",
            "Unsent from call 1: 503 dynamodb connect, org acme",
            "no answer: 503 dynamodb timeout, claimedOrg acme",
            "no credentials: 503 dynamodb credentials, claimedOrg acme",
        }
    "#]]
    .assert_debug_eq(&found);
}

#[tokio::test(start_paused = true)]
async fn request_that_takes_its_whole_time_has_cause_budget() {
    let log = Log::new(Level::INFO, Some(STACK));
    let silent = Arc::new(AtomicBool::new(false));
    let is_silent = silent.clone();
    let client = intercept::client(Connector::new(Database::memory().unwrap()), move |call| {
        let is_silent = is_silent.load(Ordering::Relaxed);
        async move {
            if is_silent {
                std::future::pending::<()>().await;
            }
            call.forward().await
        }
    });
    let service = Service::on(client).await;
    silent.store(true, Ordering::Relaxed);
    let answer = service.get("/Users").await;
    let line = log.requests().pop().unwrap();
    assert_request_metrics(&line);
    assert_eq!((answer.status, &line["cause"], &line["Slow"]), (503, &json!("budget"), &json!(1)));
}

#[tokio::test(start_paused = true)]
async fn request_of_3_seconds_counts_as_slow() {
    let log = Log::new(Level::INFO, Some(STACK));
    for (millis, slow) in [(2_999, 0), (3_000, 1)] {
        let client = intercept::client(Connector::new(Database::memory().unwrap()), move |call| async move {
            // Only the key is read by such a call.
            if call.operation == "BatchGetItem" {
                sleep(Duration::from_millis(millis)).await;
            }
            call.forward().await
        });
        let service = Service::on(client).await;
        log.take();
        service.get("/Schemas").await;
        let line = log.requests().remove(0);
        assert_eq!((&line["Duration"], &line["Slow"]), (&json!(millis), &json!(slow)));
        assert_request_metrics(&line);
    }
}

#[tokio::test(start_paused = true)]
async fn request_that_waits_for_an_event_is_not_slow() {
    let log = Log::new(Level::INFO, Some(STACK));
    let service = Service::embedded().await;
    for path in ["/events/v1?wait=5", "/scim/events/v1?wait=5"] {
        log.take();
        let request = Request { target: path.to_owned(), ..Request::get("") };
        assert_eq!(request.send(&service).await.status, 200, "{path}");
        let line = log.requests().remove(0);
        assert!(line["Duration"].as_u64().expect("a number") >= 5_000, "{line:?}");
        assert_eq!(line["Slow"], 0, "{path}");
    }
}

/// Collects every string in a JSON value, including member names.
fn texts(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => drop(found.insert(text.clone())),
        Value::Array(elements) => elements.iter().for_each(|element| texts(element, found)),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            found.insert(name.clone());
            texts(value, found);
        }),
        _ => {}
    }
}

#[tokio::test]
async fn request_writes_one_line_with_metrics_in_a_stack() {
    let service = Service::embedded().await;
    let id = service.user("ada@example.com").await;
    for (stack, expected) in [
        (
            None,
            expect![[r#"
                {
                  "timestamp": "2026-11-23T09:00:00.123Z",
                  "level": "INFO",
                  "message": "request",
                  "org": "acme",
                  "key": "bd5ae0ac06e16a59",
                  "method": "GET",
                  "endpoint": "/Users/{id}",
                  "status": 200,
                  "Route": "GET /Users/{id}",
                  "Client": "entra",
                  "Requests": 1,
                  "Duration": 0,
                  "Slow": 0,
                  "DynamoDbCalls": 4,
                  "ReadUnits": 5.0,
                  "WriteUnits": 0.0,
                  "AuthenticationFailures": 0,
                  "Exhausted": 0,
                  "Limited": 0
                }
            "#]],
        ),
        (
            Some(STACK),
            expect![[r#"
                {
                  "timestamp": "2026-11-23T09:00:00.123Z",
                  "level": "INFO",
                  "message": "request",
                  "org": "acme",
                  "key": "bd5ae0ac06e16a59",
                  "method": "GET",
                  "endpoint": "/Users/{id}",
                  "status": 200,
                  "Route": "GET /Users/{id}",
                  "Client": "entra",
                  "Requests": 1,
                  "Duration": 0,
                  "Slow": 0,
                  "DynamoDbCalls": 4,
                  "ReadUnits": 5.0,
                  "WriteUnits": 0.0,
                  "AuthenticationFailures": 0,
                  "Exhausted": 0,
                  "Limited": 0,
                  "Stack": "scim-test"
                }
            "#]],
        ),
    ] {
        let log = Log::new(Level::INFO, stack);
        Request::get(format!("/Users/{id}?aadOptscim062020")).send(&service).await;
        let mut lines = log.lines();
        assert_eq!(lines.len(), 1);
        if stack.is_some() {
            assert_request_metrics(&lines[0]);
            lines[0].remove("_aws");
        }
        assert!(lines[0]["Duration"].is_u64());
        lines[0]["Duration"] = 0.into();
        expected.assert_eq(&format!("{:#}\n", Value::Object(lines.remove(0))));
    }
}

#[tokio::test]
async fn request_line_names_client_and_route() {
    let log = Log::new(Level::INFO, Some(STACK));
    let service = Service::new().await;
    service.require_in_process(NEEDS_LOG);
    let get = |path: &str| Request::get(path);
    let agent = |agent: &str| Request::get("/Users").header("user-agent", agent);
    let method = |method: &str| Request::new(method.parse().unwrap(), "/Users");
    let mut failures = Vec::new();
    for (request, expected) in [
        (agent("Okta SCIM Client 1.0.0"), "GET /Users by okta: 200"),
        (agent("OKTA SCIM Integration"), "GET /Users by okta: 200"),
        (agent("Microsoft Azure AD SCIM provisioning 1.0.0"), "GET /Users by entra: 200"),
        (agent("Apache-HttpClient/4.5.13 (Java/11.0.20)"), "GET /Users by other: 200"),
        (agent("ada@example.com"), "GET /Users by other: 200"),
        (get("/Users?aadOptscim062020"), "GET /Users by entra: 200"),
        (get("/Users?count=1&AADOPTSCIM062020=true"), "GET /Users by entra: 200"),
        (get("/Users?AzureAdScimPatch062020"), "GET /Users by entra: 200"),
        (get("/Users?filter=userName+eq+%22aadOptscim062020%22"), "GET /Users by other: 200"),
        (get("/Users/ada@example.com"), "GET /Users/{id} by other: 404"),
        (get("/Users/"), "GET /Users by other: 200"),
        (get("/ada@example.com"), "none by none: 404"),
        (method("HEAD"), "HEAD /Users by other: 200"),
        (method("OPTIONS"), "none by none: 405"),
        (method("ADA.EXAMPLE"), "none by none: 405"),
        (method("DELETE"), "none by none: 405"),
        (agent("Okta SCIM Client 1.0.0").bearer("no key"), "none by none: 401"),
        (get("/Users?aadOptscim062020").bearer("no key"), "none by none: 401"),
    ] {
        log.take();
        request.send(&service).await;
        let line = log.requests().remove(0);
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let found = format!("{} by {}: {}", text("Route"), text("Client"), line["status"]);
        if found != expected {
            failures.push(format!("{found}, not {expected}"));
        }
        assert_eq!(unexpected_members(&line), [""; 0]);
        assert!(!log.take().contains("ada"), "{line:?}");
    }
    assert_no_failures(&failures);
}

#[tokio::test]
async fn request_line_reports_dynamodb_usage() {
    let log = Log::new(Level::INFO, None);
    let counter = Counter::default();
    let service = Service::on(counter.client(Database::memory().unwrap())).await;
    let mut users = Vec::new();
    for number in 0..60 {
        users.push(service.user(&format!("user-{number}")).await);
    }
    let members: Vec<&str> = users.iter().map(String::as_str).collect();
    let group = service.group("all", &members).await;
    let path = format!("/Groups/{group}");
    let bulk = json!({ "Operations": [
        { "method": "POST", "path": "/Users", "bulkId": "a", "data": { "userName": "bulk" } },
        { "method": "DELETE", "path": format!("/Users/{}", users[0]) },
    ] });
    let remove = json!([{ "op": "remove", "path": format!("members[value eq \"{}\"]", users[1]) }]);
    for request in [
        Request::get("/Users?count=10"),
        Request::get("/Users?count=10&cursor"),
        Request::get("/Users?sortBy=userName"),
        Request::get("/Users").filter("userName eq \"user-7\""),
        Request::get("/Users").filter("title pr"),
        Request::get(&path),
        Request::get("/Users/nobody"),
        Request::get("/Schemas"),
        Request::post("/Users", json!({ "userName": "user-7" })),
        Request::put(&path, json!({ "displayName": "few", "members": [{ "value": users[2] }] })),
        Request::patch(&path, &remove),
        Request::post("/Bulk", &bulk),
        Request::delete(&path),
        Request::get("/Users").bearer("no key"),
    ] {
        let label = format!("{} {}", request.method, request.target);
        let _ = (log.take(), counter.take());
        request.send(&service).await;
        let line = log.requests().remove(0);
        let costs: Vec<_> = counter.take().into_values().collect();
        let calls: usize = costs.iter().flat_map(|cost| cost.calls.values()).sum();
        let read: f64 = costs.iter().map(|cost| cost.read).sum();
        let write: f64 = costs.iter().map(|cost| cost.write).sum();
        assert_eq!(line["DynamoDbCalls"], calls, "{label}");
        assert_eq!(line["ReadUnits"], read, "{label}");
        assert_eq!(line["WriteUnits"], write, "{label}");
        assert!(calls > 0 || line["status"] == 401, "{label}");
    }
}

/// The SDK retries by itself. Each attempt counts as a call.
#[tokio::test(start_paused = true)]
async fn request_line_counts_retries_as_calls() {
    let log = Log::new(Level::INFO, Some(STACK));
    let faults = Faults::default();
    let service = Service::on(faults.client(Database::memory().unwrap())).await;
    let id = service.user("ada").await;
    for (fault, lasting, status) in [
        (Fault::Unsent, false, 200),
        (Fault::Unsent, true, 503),
        (Fault::Broken, false, 200),
        (Fault::Broken, true, 503),
        (Fault::Throttled, true, 429),
    ] {
        log.take();
        faults.plan(Some(Plan { call: 1, fault, lasting }));
        let answer = Request::get(format!("/Users/{id}")).send(&service).await;
        assert_eq!(answer.status, status, "{fault:?}");
        let line = log.requests().remove(0);
        assert_eq!(line["DynamoDbCalls"], faults.calls(), "{fault:?}");
        assert!(faults.calls() > 4, "the SDK did not retry");
        assert_request_metrics(&line);
    }
}

#[tokio::test(start_paused = true)]
async fn sweep_writes_one_line_with_metrics() {
    let log = Log::new(Level::INFO, Some(STACK));
    let service = Service::new().await;
    service.require_in_process(NEEDS_LOG);
    log.take();
    janitor::sweep(&service.app.store).await;
    let lines = log.lines();
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let metrics =
        [("OldestUnfinished", "Milliseconds"), ("UnfinishedChanges", "Count"), ("SweepFailures", "Count")];
    assert_metrics(line, &[(&["Stack"], &metrics)]);
    assert_eq!(unexpected_members(line), [""; 0]);
}

/// Above INFO the log has no request lines and therefore no metrics.
#[tokio::test]
async fn warn_level_omits_request_lines() {
    let log = Log::new(Level::WARN, Some(STACK));
    let service = Service::new().await;
    service.require_in_process(NEEDS_LOG);
    service.get("/Users").await;
    assert_eq!(log.text(), "");
}

/// A panic message, which can contain personal data.
const PANIC_TEXT: &str = "no reading of planted.user@example.com";

#[tokio::test(start_paused = true)]
async fn panic_is_a_scim_error_and_logs_only_its_location() {
    // The hook of a deployed function handles this panic. Any other panic is a failed test.
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| match info.payload_as_str() {
        Some(PANIC_TEXT) => telemetry::log_panic(info),
        _ => before(info),
    }));
    let log = Log::new(Level::TRACE, Some(STACK));
    // A read of a resource panics.
    let connector = Connector::new(Database::memory().unwrap());
    let client = intercept::client(connector, async |call| {
        let body = String::from_utf8_lossy(call.body());
        let is_resource = body.contains(&Tables::default().resources);
        assert!(call.operation != "GetItem" || !is_resource, "{PANIC_TEXT}");
        call.forward().await
    });
    let service = add_request_id(Service::on(client).await);
    let id = service.user("ada").await;
    let path = format!("/Users/{id}");
    log.take();

    expect![[r#"
        500
        {
          "schemas": [
            "urn:ietf:params:scim:api:messages:2.0:Error"
          ],
          "status": "500",
          "detail": "Internal error. The log of the service has the cause."
        }
    "#]]
    .assert_eq(&Request::get(&path).send(&service).await.snapshot());
    let lines = log.lines();
    let [panic, request] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!([&panic["requestId"], &request["requestId"]], ["request-1"; 2]);
    let place = panic["place"].as_str().unwrap();
    assert!(place.contains("logs.rs:"), "{place}");
    assert_eq!(
        (&panic["message"], &request["status"], &request["cause"]),
        (&json!("panic"), &json!(500), &json!("a handler panicked"))
    );

    // A panic in a bulk request fails one operation.
    let operations = json!([
        { "method": "PATCH", "path": path, "data": { "Operations": [{ "op": "remove", "path": "title" }] } },
        { "method": "POST", "path": "/Users", "bulkId": "b", "data": { "userName": "bob" } },
    ]);
    let bulk = Request::post("/Bulk", json!({ "Operations": operations })).send(&service).await;
    let statuses: Vec<_> =
        bulk.body["Operations"].as_array().unwrap().iter().map(|operation| &operation["status"]).collect();
    assert_eq!(statuses, ["500", "201"], "{:#}", bulk.body);

    // The next request succeeds.
    let list = Request::get("/Users?startIndex=1&count=0").send(&service).await;
    assert_eq!(list.body["totalResults"], 2, "{:#}", list.body);
    assert!(!log.text().contains("planted"), "{}", log.text());
}

/// Sends every recorded exchange, and requests with planted data that fail in every way, at the most verbose level.
#[tokio::test(start_paused = true)]
async fn log_contains_no_personal_data_or_secrets() {
    let log = Log::new(Level::TRACE, Some(STACK));
    let sent = Arc::new(AtomicUsize::new(0));
    let mut planted = BTreeSet::from([tests::PEPPER.to_owned()]);

    // Events of API Gateway bypass the counter, so this test skips them.
    let has_requests = |file: &PathBuf| !file.parent().is_some_and(|source| source.ends_with("events"));
    for file in exchange::files().into_iter().filter(has_requests) {
        let service = count_requests(Service::embedded().await, &sent);
        planted.insert(service.key.clone());
        exchange::replay(&file, &service).await.unwrap_or_else(|error| panic!("{error}"));
        let recorded = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        texts(&recorded, &mut planted);
    }
    // Keeps the personal data of the exchanges. Log lines contain words of the protocol.
    planted.retain(|text| text.contains('@') || text.contains(char::is_whitespace) || text.len() > 40);
    assert!(planted.len() > 300, "{}", planted.len());

    let secrets = [
        "planted.user@example.com",
        "planted.mail@example.com",
        "+1-202-555-0142",
        "Planted Group",
        "Planted-Given",
        "planted-external",
        "planted-password",
        "planted-agent",
        "planted-cookie",
        "planted-if-match",
        "planted-forwarded",
        "planted-query",
        "planted-path",
        "scim_acme_PLANTEDPLANTEDPLANTEDPLANTEDPLANTEDPLANTEDPLANT",
        "UExBTlRFRA==",
    ];
    let [user_name, mail, phone, group_name, given, external, password, ..] = secrets;
    let faults = Faults::default();
    let database = Database::memory().unwrap();
    let client = faults.client(database);
    let service = count_requests(Service::on(client.clone()).await, &sent);
    let reader = service.organisation(ORG, &[Scope::Read]).await;
    planted.extend([service.key.clone(), reader.clone()]);
    let user = json!({
        "userName": user_name, "externalId": external, "password": password,
        "name": { "givenName": given, "familyName": given, "formatted": given },
        "emails": [{ "value": mail, "type": "work", "primary": true }],
        "phoneNumbers": [{ "value": phone, "type": "mobile" }],
    });
    let id = Request::post("/Users", &user).send(&service).await.id();
    let group = json!({ "displayName": group_name, "members": [{ "value": id, "display": given }] });
    let group_id = Request::post("/Groups", &group).send(&service).await.id();
    let (path, group_path) = (format!("/Users/{id}"), format!("/Groups/{group_id}"));
    let with = |mut value: Value, name: &str, other: Value| {
        value[name] = other;
        value
    };
    let requests = || {
        [
            Request::get(&path),
            Request::get("/planted-path?planted-query=planted-query"),
            Request::get("/Users/planted.user@example.com"),
            Request::get(&path).header("if-match", "planted-if-match"),
            Request::get(&path).header("if-none-match", "planted-if-match"),
            Request::get(&path).header("if-none-match", "*"),
            Request::get("/Users?count=planted-query"),
            Request::get("/Users").filter(format!("userName eq \"{user_name}\"")),
            Request::get("/Users").filter(format!("emails.value co \"{mail}\"")),
            Request::get("/Users").filter(format!("planted-query eq \"{phone}\"")),
            Request::get("/Users").filter(format!("name.familyName sw \"{given}\" and title pr")),
            Request::get("/Groups").filter(format!("displayName eq \"{group_name}\"")),
            Request::post("/Users/.search", json!({ "filter": format!("userName eq \"{user_name}\"") })),
            Request::post("/.search", json!({ "filter": format!("externalId eq \"{external}\"") })),
            Request::post("/Users", &user),
            Request::post("/Users", with(user.clone(), "userName", json!(7))),
            Request::post("/Users", with(user.clone(), "planted-query", json!(mail))),
            Request::post("/Groups", &group),
            Request::bytes(Method::POST, "/Users", format!("{{\"userName\":\"{user_name}\"")),
            Request::bytes(Method::POST, "/Users", format!("\"{mail}\"").repeat(100_000)),
            Request::post("/Users", &user).with_header("content-type", "text/planted-agent"),
            Request::put(&path, &user),
            Request::put(&path, &user).header("if-match", "W/\"planted-if-match\""),
            Request::patch(&path, json!([{ "op": "replace", "path": mail, "value": phone }])),
            Request::patch(&path, json!([{ "op": "replace", "path": "title", "value": given }])),
            Request::patch(
                &group_path,
                json!([{ "op": "add", "path": "members", "value": [{ "value": mail }] }]),
            ),
            Request::new("PLANTED-PATH".parse().unwrap(), "/Users"),
            Request::post(
                "/Bulk",
                json!({ "Operations": [
                { "method": "POST", "path": "/Users", "bulkId": mail, "data": user },
                { "method": "PLANTED", "path": mail },
            ] }),
            ),
            Request::post(
                "/Bulk",
                json!({ "Operations": [
                { "method": "POST", "path": "/Users", "bulkId": mail, "data": user },
                { "method": "DELETE", "path": "/Users/planted-path" },
            ] }),
            ),
        ]
        .map(|request| {
            request
                .header("user-agent", "planted-agent")
                .header("cookie", "planted-cookie")
                .header("x-forwarded-for", "planted-forwarded")
        })
    };
    let store = &service.app.store;
    let org = ORG.parse().unwrap();
    let unknown = Credential::generate(Kind::Key, &org, &Entropy::system()).unwrap().reveal().to_owned();
    let revoked = service.organisation(ORG, &[Scope::Write]).await;
    for key in store.keys(&org).await.unwrap().iter().filter(|key| key.scopes == [Scope::Write].into()) {
        store.revoke_key(&org, &key.id, &operator()).await.unwrap();
    }
    planted.extend([unknown.clone(), revoked.clone()]);
    for key in [&service.key, &reader, secrets[13], "not a key: planted-path", &unknown, &revoked] {
        for request in requests() {
            request.bearer(key).send(&service).await;
        }
    }
    enable_org(store, &org, false).await.unwrap();
    for request in requests() {
        request.send(&service).await;
    }
    enable_org(store, &org, true).await.unwrap();
    for request in requests() {
        request.header("authorization", "Digest UExBTlRFRA==").send_as_is(&service).await;
    }
    for fault in Fault::IMMEDIATE.into_iter().filter(|fault| !fault.is_crash()) {
        for call in 0..4 {
            for request in requests() {
                faults.plan(Some(Plan { call, fault, lasting: true }));
                request.send(&service).await;
            }
        }
    }
    faults.plan(None);
    // An unreadable item, whose cause is logged.
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let item = [("pk", "ORG#acme#USER"), ("sk", &id), ("doc", mail), ("version", mail), ("planted", phone)]
        .map(|(name, value)| (name.to_owned(), text(value)));
    let put = client.put_item().table_name(Tables::default().resources).set_item(Some(item.into()));
    put.send().await.expect("an answer");
    let answer = Request::get(&path).send(&service).await;
    assert_eq!(answer.status, 500, "{:#}", answer.body);
    janitor::sweep(&service.app.store).await;

    planted.extend(secrets.map(str::to_owned));
    let text = log.text();
    let found: Vec<_> = planted.iter().filter(|planted| text.contains(planted.as_str())).collect();
    assert_eq!(found, [""; 0]);
    assert!(!text.to_lowercase().contains("planted"));
    let requests = log.requests();
    assert_eq!(requests.len(), sent.load(Ordering::Relaxed));
    requests.iter().for_each(assert_request_metrics);
    let unexpected: BTreeSet<String> = log.lines().iter().flat_map(unexpected_members).collect();
    assert_eq!(unexpected, BTreeSet::new());
    let statuses: BTreeSet<u64> = requests.iter().filter_map(|line| line["status"].as_u64()).collect();
    for status in [200, 201, 204, 304, 400, 401, 403, 404, 405, 409, 412, 413, 415, 429, 500, 503] {
        assert!(statuses.contains(&status), "{status} is not among {statuses:?}");
    }
    let words = |name: &str| -> BTreeSet<&str> {
        requests.iter().filter_map(|line| line.get(name)?.as_str()).collect()
    };
    assert_eq!(words("refused"), ["malformed", "off", "revoked", "scheme", "scope", "unknown"].into());
    expect![[r#"
        {
            "conflicts",
            "dynamodb connect",
            "dynamodb server-error",
            "dynamodb throttled",
            "the attribute 'format' of an item is absent or of the wrong type",
        }
    "#]]
    .assert_debug_eq(&words("cause"));
}
