//! The pepper in Secrets Manager: asked for seldom, honoured while it is rotated, and kept while nobody answers. Time
//! stands still unless it is moved.

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
    auth::{Pepper, Peppers, Scope, Secret},
    cloud::PepperSecret,
    http,
};
use tests::{Answer, ORG, Request, Service};
use tokio::time::{Duration, advance};

/// The pepper of every test's service, with which its keys are made.
const FIRST: &str = "a pepper for tests";
const SECOND: &str = "another pepper";
const THIRD: &str = "a third pepper";
/// As long as a pepper is used without asking again.
const LIFE: Duration = Duration::from_mins(5);
/// So often it is asked for at most.
const PAUSE: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(1);

/// Secrets Manager, with one secret.
#[derive(Clone, Debug, Default)]
struct Secrets(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What it answers, by stage; of another stage, that there is none.
    versions: BTreeMap<&'static str, &'static str>,
    /// The stage it does not answer of, and all of them for "".
    silent: Option<&'static str>,
    /// How often each stage was asked for.
    asked: BTreeMap<String, usize>,
}

impl Secrets {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn are(&self, current: &'static str, previous: Option<&'static str>) {
        let previous = previous.map(|previous| ("AWSPREVIOUS", previous));
        self.state().versions = [("AWSCURRENT", current)].into_iter().chain(previous).collect();
    }

    fn silent(&self, about: Option<&'static str>) {
        self.state().silent = about;
    }

    /// What was asked since this was asked last, by stage.
    fn asked(&self) -> Vec<(String, usize)> {
        std::mem::take(&mut self.state().asked).into_iter().collect()
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

impl HttpConnector for Secrets {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let asked: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
        assert_eq!(asked["SecretId"], "the pepper");
        let stage = asked["VersionStage"].as_str().unwrap().to_owned();
        let mut secrets = self.state();
        let silent = secrets.silent.is_some_and(|about| stage.starts_with(about));
        let version = secrets.versions.get(stage.as_str()).copied();
        *secrets.asked.entry(stage).or_default() += 1;
        HttpConnectorFuture::ready(if silent {
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

/// A service whose pepper is in Secrets Manager.
async fn service(secrets: &Secrets) -> Service {
    let service = Service::embedded().await;
    let pepper = Pepper::SecretsManager(PepperSecret::new(secrets.client(), "the pepper".to_owned()));
    let router = http::router(App { pepper, ..service.app.clone() }, http::all());
    service.through(router)
}

/// A key that was made with that pepper.
async fn key(service: &Service, pepper: &str) -> String {
    let peppers = Peppers { current: Secret::new(pepper), previous: None };
    let org = ORG.parse().expect("an organisation");
    let (key, _) = service.app.store.create_key(&org, &[Scope::Scim].into(), &peppers).await.expect("a key");
    key.reveal().to_owned()
}

async fn ask(service: &Service, key: &str) -> Answer {
    Request::get("/Users").bearer(key).send(service).await
}

async fn status(service: &Service, key: &str) -> u16 {
    ask(service, key).await.status
}

fn once_each() -> Vec<(String, usize)> {
    vec![("AWSCURRENT".to_owned(), 1), ("AWSPREVIOUS".to_owned(), 1)]
}

#[tokio::test(start_paused = true)]
async fn pepper_is_read_once_in_five_minutes() {
    let secrets = Secrets::default();
    secrets.are(FIRST, None);
    let service = service(&secrets).await;
    for _ in 0..3 {
        assert_eq!(status(&service, &service.key).await, 200);
    }
    assert_eq!(secrets.asked(), once_each());
    advance(LIFE.saturating_sub(SOON)).await;
    assert_eq!(status(&service, &service.key).await, 200);
    assert_eq!(secrets.asked(), []);
    advance(SOON).await;
    assert_eq!(status(&service, &service.key).await, 200);
    assert_eq!(secrets.asked(), once_each());
}

#[tokio::test(start_paused = true)]
async fn rotated_pepper_accepts_old_and_new_keys() {
    let secrets = Secrets::default();
    secrets.are(FIRST, None);
    let service = service(&secrets).await;
    let (second, third) = (key(&service, SECOND).await, key(&service, THIRD).await);
    assert_eq!(status(&service, &service.key).await, 200);

    // Long before the five minutes are over.
    secrets.are(SECOND, Some(FIRST));
    advance(PAUSE).await;
    secrets.asked();
    assert_eq!(status(&service, &second).await, 200);
    assert_eq!(secrets.asked(), once_each());
    assert_eq!(status(&service, &service.key).await, 200);

    for _ in 0..5 {
        assert_eq!(status(&service, &third).await, 401);
    }
    advance(PAUSE.saturating_sub(SOON)).await;
    assert_eq!(status(&service, &third).await, 401);
    assert_eq!(secrets.asked(), []);

    secrets.are(THIRD, Some(SECOND));
    advance(SOON).await;
    for (key, expected) in [(&third, 200), (&second, 200), (&service.key, 401)] {
        assert_eq!(status(&service, key).await, expected);
    }
    assert_eq!(secrets.asked(), once_each());
}

#[tokio::test(start_paused = true)]
async fn secrets_manager_outage_keeps_known_keys_valid() {
    let secrets = Secrets::default();
    secrets.are(FIRST, None);
    secrets.silent(Some(""));
    let service = service(&secrets).await;
    let second = key(&service, SECOND).await;

    // Nothing is known yet.
    let answer = ask(&service, &service.key).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "2"), "{:#}", answer.body);

    secrets.silent(None);
    assert_eq!(status(&service, &service.key).await, 200);
    secrets.silent(Some(""));
    secrets.are(SECOND, Some(FIRST));
    advance(LIFE).await;
    secrets.asked();
    assert_eq!(status(&service, &service.key).await, 200);
    assert_ne!(secrets.asked(), []);
    // It may be good, and is.
    let answer = ask(&service, &second).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "2"), "{:#}", answer.body);
    assert_eq!(status(&service, &service.key).await, 200);
    assert_eq!(secrets.asked(), [], "the next time is not yet");

    secrets.silent(None);
    advance(PAUSE).await;
    assert_eq!(status(&service, &second).await, 200);
    assert_eq!(status(&service, &service.key).await, 200);
}

#[tokio::test(start_paused = true)]
async fn pepper_versions_are_replaced_together() {
    let secrets = Secrets::default();
    secrets.are(SECOND, Some(FIRST));
    for half in ["AWSCURRENT", "AWSPREVIOUS"] {
        secrets.silent(Some(half));
        let service = service(&secrets).await;
        let second = key(&service, SECOND).await;
        for key in [&service.key, &second] {
            assert_eq!(status(&service, key).await, 503, "{half}");
        }
        // Had the half been kept, one of them would be refused for five minutes.
        secrets.silent(None);
        for key in [&service.key, &second] {
            assert_eq!(status(&service, key).await, 200, "{half}");
        }
    }

    // Where a whole one is known, it is kept whole.
    let service = service(&secrets).await;
    let (second, third) = (key(&service, SECOND).await, key(&service, THIRD).await);
    assert_eq!(status(&service, &service.key).await, 200);
    secrets.are(THIRD, Some(SECOND));
    secrets.silent(Some("AWSPREVIOUS"));
    advance(LIFE).await;
    for (key, expected) in [(&service.key, 200), (&second, 200), (&third, 503)] {
        assert_eq!(status(&service, key).await, expected);
    }
    secrets.silent(None);
    advance(PAUSE).await;
    for (key, expected) in [(&third, 200), (&second, 200), (&service.key, 401)] {
        assert_eq!(status(&service, key).await, expected);
    }
}
