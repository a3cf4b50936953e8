//! The pepper in Secrets Manager: its cache, its rotation, and an outage of Secrets Manager. The clock is paused and
//! moves only by `advance`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_sdk_secretsmanager::{
    Client,
    config::{BehaviorVersion, Config, Region},
};
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use expect_test::expect;
use serde_json::{Value, json};
use service::{
    App,
    auth::Scope,
    http,
    pepper::{Pepper, PepperSecret},
    store::NewKey,
};
use tests::{Answer, ORG, Request, Service, operator, pepper_of};
use tokio::time::{Duration, advance};
use tracing::Level;

use super::logs::{Log, assert_metrics};

/// The pepper of every test service. The service creates its keys with this pepper.
const FIRST: &str = tests::PEPPER;
const SECOND: &str = "another pepper";
const THIRD: &str = "a third pepper";
/// The time for which a pepper is cached.
const PEPPER_TTL: Duration = Duration::from_mins(5);
/// The shortest time between two reads of the pepper.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);
const ONE_SECOND: Duration = Duration::from_secs(1);

/// A fake Secrets Manager with one secret.
#[derive(Clone, Debug, Default)]
struct FakeSecretsManager(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The secret's versions by stage. Other stages do not exist.
    versions: BTreeMap<&'static str, &'static str>,
    /// Requests for this stage fail. The empty string stands for all stages.
    failing: Option<&'static str>,
    /// The exception that a request which fails gets. Without one, its connection breaks.
    exception: Option<&'static str>,
    /// The number of reads of each stage.
    reads: BTreeMap<String, usize>,
}

impl FakeSecretsManager {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_versions(&self, current: &'static str, previous: Option<&'static str>) {
        let previous = previous.map(|previous| ("AWSPREVIOUS", previous));
        self.state().versions = [("AWSCURRENT", current)].into_iter().chain(previous).collect();
    }

    fn fail(&self, stage: Option<&'static str>) {
        self.state().failing = stage;
    }

    /// Returns the number of reads of each stage since the last call.
    fn take_reads(&self) -> Vec<(String, usize)> {
        std::mem::take(&mut self.state().reads).into_iter().collect()
    }

    fn client(&self) -> Client {
        let connector = SharedHttpConnector::new(self.clone());
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("local"))
            .allow_no_auth()
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .build();
        Client::from_conf(config)
    }
}

impl HttpConnector for FakeSecretsManager {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
        assert_eq!(body["SecretId"], "the pepper");
        let stage = body["VersionStage"].as_str().unwrap().to_owned();
        let mut secrets = self.state();
        let fails = secrets.failing.is_some_and(|failing| stage.starts_with(failing));
        let version = secrets.versions.get(stage.as_str()).copied();
        *secrets.reads.entry(stage).or_default() += 1;
        HttpConnectorFuture::ready(if fails && secrets.exception.is_none() {
            Err(ConnectorError::io("the connection broke".into()))
        } else {
            let (status, body) = match (secrets.exception.filter(|_| fails), version) {
                (Some("InternalServiceError"), _) => (500, json!({ "__type": "InternalServiceError" })),
                (Some(exception), _) => (400, json!({ "__type": exception, "message": "planted" })),
                (None, Some(version)) => (200, json!({ "Name": "the pepper", "SecretString": version })),
                (None, None) => (400, json!({ "__type": "ResourceNotFoundException" })),
            };
            let status = StatusCode::try_from(status).expect("a status");
            Ok(HttpResponse::new(status, SdkBody::from(body.to_string())))
        })
    }
}

/// Returns a service that reads its pepper from this Secrets Manager.
async fn service_with(secrets: &FakeSecretsManager) -> Service {
    let service = Service::embedded().await;
    let pepper = Pepper::SecretsManager(PepperSecret::new(secrets.client(), "the pepper".to_owned()));
    let router = http::router(App { pepper, ..service.app.clone() }, http::all());
    service.with_router(router)
}

/// Creates a key with this pepper.
async fn create_key(service: &Service, pepper: &str) -> String {
    let org = ORG.parse().expect("an organisation");
    let new = NewKey { scopes: [Scope::Scim].into(), ..NewKey::default() };
    let store = &service.app.store;
    let (key, _) = store.create_key(&org, &new, &pepper_of(pepper), &operator()).await.expect("a key");
    key.reveal().to_owned()
}

async fn list_users(service: &Service, key: &str) -> Answer {
    Request::get("/Users").bearer(key).send(service).await
}

async fn status(service: &Service, key: &str) -> u16 {
    list_users(service, key).await.status
}

fn one_read_each() -> Vec<(String, usize)> {
    vec![("AWSCURRENT".to_owned(), 1), ("AWSPREVIOUS".to_owned(), 1)]
}

#[tokio::test(start_paused = true)]
async fn pepper_is_read_once_in_five_minutes() {
    let secrets = FakeSecretsManager::default();
    secrets.set_versions(FIRST, None);
    let service = service_with(&secrets).await;
    for _ in 0..3 {
        assert_eq!(status(&service, &service.key).await, 200);
    }
    assert_eq!(secrets.take_reads(), one_read_each());
    advance(PEPPER_TTL.saturating_sub(ONE_SECOND)).await;
    assert_eq!(status(&service, &service.key).await, 200);
    assert_eq!(secrets.take_reads(), []);
    advance(ONE_SECOND).await;
    assert_eq!(status(&service, &service.key).await, 200);
    assert_eq!(secrets.take_reads(), one_read_each());
}

#[tokio::test(start_paused = true)]
async fn rotated_pepper_accepts_old_and_new_keys() {
    let secrets = FakeSecretsManager::default();
    secrets.set_versions(FIRST, None);
    let service = service_with(&secrets).await;
    let (second, third) = (create_key(&service, SECOND).await, create_key(&service, THIRD).await);
    assert_eq!(status(&service, &service.key).await, 200);

    // The first pepper is still cached.
    secrets.set_versions(SECOND, Some(FIRST));
    advance(RETRY_INTERVAL).await;
    secrets.take_reads();
    assert_eq!(status(&service, &second).await, 200);
    assert_eq!(secrets.take_reads(), one_read_each());
    assert_eq!(status(&service, &service.key).await, 200);

    for _ in 0..5 {
        assert_eq!(status(&service, &third).await, 401);
    }
    advance(RETRY_INTERVAL.saturating_sub(ONE_SECOND)).await;
    assert_eq!(status(&service, &third).await, 401);
    assert_eq!(secrets.take_reads(), []);

    secrets.set_versions(THIRD, Some(SECOND));
    advance(ONE_SECOND).await;
    for (key, expected) in [(&third, 200), (&second, 200), (&service.key, 401)] {
        assert_eq!(status(&service, key).await, expected);
    }
    assert_eq!(secrets.take_reads(), one_read_each());
}

#[tokio::test(start_paused = true)]
async fn secrets_manager_outage_keeps_known_keys_valid() {
    let secrets = FakeSecretsManager::default();
    secrets.set_versions(FIRST, None);
    secrets.fail(Some(""));
    let service = service_with(&secrets).await;
    let second = create_key(&service, SECOND).await;

    // No pepper has been read yet.
    let answer = list_users(&service, &service.key).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "2"), "{:#}", answer.body);

    secrets.fail(None);
    assert_eq!(status(&service, &service.key).await, 200);
    secrets.fail(Some(""));
    secrets.set_versions(SECOND, Some(FIRST));
    advance(PEPPER_TTL).await;
    secrets.take_reads();
    assert_eq!(status(&service, &service.key).await, 200);
    assert_ne!(secrets.take_reads(), []);
    // The key is valid, but the service cannot verify the key yet.
    let answer = list_users(&service, &second).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "2"), "{:#}", answer.body);
    assert_eq!(status(&service, &service.key).await, 200);
    assert_eq!(secrets.take_reads(), [], "the retry interval has not passed");

    secrets.fail(None);
    advance(RETRY_INTERVAL).await;
    assert_eq!(status(&service, &second).await, 200);
    assert_eq!(status(&service, &service.key).await, 200);
}

#[tokio::test(start_paused = true)]
async fn pepper_versions_are_replaced_together() {
    let secrets = FakeSecretsManager::default();
    secrets.set_versions(SECOND, Some(FIRST));
    for stage in ["AWSCURRENT", "AWSPREVIOUS"] {
        secrets.fail(Some(stage));
        let service = service_with(&secrets).await;
        let second = create_key(&service, SECOND).await;
        for key in [&service.key, &second] {
            assert_eq!(status(&service, key).await, 503, "{stage}");
        }
        // A cached half of the secret would reject one of the keys for five minutes.
        secrets.fail(None);
        for key in [&service.key, &second] {
            assert_eq!(status(&service, key).await, 200, "{stage}");
        }
    }

    // A failed read keeps both cached versions.
    let service = service_with(&secrets).await;
    let (second, third) = (create_key(&service, SECOND).await, create_key(&service, THIRD).await);
    assert_eq!(status(&service, &service.key).await, 200);
    secrets.set_versions(THIRD, Some(SECOND));
    secrets.fail(Some("AWSPREVIOUS"));
    advance(PEPPER_TTL).await;
    for (key, expected) in [(&service.key, 200), (&second, 200), (&third, 503)] {
        assert_eq!(status(&service, key).await, expected);
    }
    secrets.fail(None);
    advance(RETRY_INTERVAL).await;
    for (key, expected) in [(&third, 200), (&second, 200), (&service.key, 401)] {
        assert_eq!(status(&service, key).await, expected);
    }
}

/// Returns the lines of the log that say that the pepper cannot be read, and the line of the last request.
fn failures_and_cause(log: &Log) -> (usize, String) {
    let lines = log.lines();
    let failures: Vec<_> =
        lines.iter().filter(|line| line["message"] == "the pepper cannot be read").collect();
    for line in &failures {
        assert_metrics(line, &[(&["Stack"], &[("PepperFailures", "Count")])]);
        assert_eq!(line["level"], "ERROR");
    }
    let request = lines.iter().rfind(|line| line["message"] == "request").expect("a request");
    let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    let causes: BTreeSet<_> = failures.iter().map(|line| line["cause"].as_str().expect("a cause")).collect();
    assert!(request["status"] == 200 || causes == [text("cause").as_str()].into(), "{lines:#?}");
    (failures.len(), format!("{} {}, claimedOrg {}", request["status"], text("cause"), text("claimedOrg")))
}

#[tokio::test(start_paused = true)]
async fn unreadable_pepper_is_logged_with_its_cause() {
    let log = Log::new(Level::INFO, Some("scim-test"));
    let mut found = Vec::new();
    for exception in [
        "AccessDeniedException",
        "ResourceNotFoundException",
        "InvalidRequestException",
        "DecryptionFailure",
        "ThrottlingException",
        "ExpiredTokenException",
        "UnrecognizedClientException",
        "InternalServiceError",
        "InvalidParameterException",
        "",
    ] {
        let secrets = FakeSecretsManager::default();
        secrets.set_versions(FIRST, None);
        secrets.fail(Some(""));
        secrets.state().exception = Some(exception).filter(|exception| !exception.is_empty());
        let service = service_with(&secrets).await;
        log.take();
        assert_eq!(status(&service, &service.key).await, 503);
        let (failures, cause) = failures_and_cause(&log);
        assert_eq!(failures, 1);
        assert!(!log.take().contains("planted"));
        found.push(format!("{exception}: {cause}"));
    }
    expect![[r#"
        [
            "AccessDeniedException: 503 secrets-manager access-denied, claimedOrg acme",
            "ResourceNotFoundException: 503 secrets-manager not-found, claimedOrg acme",
            "InvalidRequestException: 503 secrets-manager deleted, claimedOrg acme",
            "DecryptionFailure: 503 secrets-manager decryption, claimedOrg acme",
            "ThrottlingException: 503 secrets-manager throttled, claimedOrg acme",
            "ExpiredTokenException: 503 secrets-manager credentials, claimedOrg acme",
            "UnrecognizedClientException: 503 secrets-manager credentials, claimedOrg acme",
            "InternalServiceError: 503 secrets-manager server-error, claimedOrg acme",
            "InvalidParameterException: 503 secrets-manager other, claimedOrg acme",
            ": 503 secrets-manager connect, claimedOrg acme",
        ]
    "#]]
    .assert_debug_eq(&found);
}

/// The cached pepper stays in use, so no request fails. The alarm is raised nevertheless.
#[tokio::test(start_paused = true)]
async fn failed_refresh_of_the_pepper_is_logged() {
    let log = Log::new(Level::INFO, Some("scim-test"));
    let secrets = FakeSecretsManager::default();
    secrets.set_versions(FIRST, None);
    let service = service_with(&secrets).await;
    assert_eq!(status(&service, &service.key).await, 200);
    secrets.fail(Some(""));
    advance(PEPPER_TTL).await;
    log.take();
    for _ in 0..3 {
        assert_eq!(status(&service, &service.key).await, 200);
    }
    assert_eq!(failures_and_cause(&log).0, 1, "one request to Secrets Manager in 30 seconds");
}
