//! The pepper in Secrets Manager: its cache, its rotation, and an outage of Secrets Manager. The clock is paused and
//! moves only by `advance`.

use std::{
    collections::BTreeMap,
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
use serde_json::{Value, json};
use service::{
    App,
    auth::Scope,
    http,
    pepper::{Pepper, PepperSecret, Peppers, Secret},
};
use tests::{Answer, ORG, Request, Service};
use tokio::time::{Duration, advance};

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
        HttpConnectorFuture::ready(if fails {
            Err(ConnectorError::io("the connection broke".into()))
        } else {
            let (status, body) = match version {
                Some(version) => (200, json!({ "Name": "the pepper", "SecretString": version })),
                None => (400, json!({ "__type": "ResourceNotFoundException" })),
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
    let peppers = Peppers { current: Secret::new(pepper), previous: None };
    let org = ORG.parse().expect("an organisation");
    let (key, _) = service.app.store.create_key(&org, &[Scope::Scim].into(), &peppers).await.expect("a key");
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
