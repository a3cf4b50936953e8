//! The log of the service: one line of each kind.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use dynoxide::Database;
use local::embedded::{self, Connector};
use serde_json::{Value, json};
use service::{
    clock::Clock,
    credential::{Credential, Kind},
    entropy::Entropy,
    janitor,
    pepper::PepperSecret,
    sequencing, telemetry,
};
use tests::{
    NOW, ORG, Request, Service,
    faults::{Fault, Faults, Plan},
    intercept::{self, answer, exception},
};
use tokio::sync::OnceCell;
use tracing::Level;

/// The log lines of all threads of this process.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());
/// The parsed lines. A process has one log, so the first test that needs the lines makes them.
static LINES: OnceCell<Vec<Value>> = OnceCell::const_new();

struct Writer;

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the lines of requests that succeed, are refused and fail, of a sweep, of events, and of a pepper that cannot be
/// read.
pub(crate) async fn lines() -> &'static [Value] {
    LINES.get_or_init(written).await
}

async fn written() -> Vec<Value> {
    let subscriber =
        telemetry::subscriber(Level::INFO, Some("a stack".to_owned()), Clock::fixed(NOW), || Writer);
    tracing::subscriber::set_global_default(subscriber).expect("the only subscriber");
    let faults = Faults::default();
    let service = Service::on(faults.client(Database::memory().expect("a database"))).await;
    assert_eq!(service.get("/Users").await.status, 200);
    let unknown =
        Credential::generate(Kind::Key, &ORG.parse().expect("a name"), &Entropy::system()).expect("a key");
    assert_eq!(Request::get("/Users").bearer(unknown.reveal()).send(&service).await.status, 401);
    janitor::sweep(&service.app.store).await;
    acknowledge(&service).await;
    faults.plan(Some(Plan { call: 0, fault: Fault::Unsent, lasting: true }));
    assert_eq!(service.get("/Users").await.status, 503);
    limits().await;
    PepperSecret::new(unreachable(), "the pepper".to_owned()).peppers().await.expect_err("no answer");
    let log = LOG.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let log = String::from_utf8(log).expect("text");
    log.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect()
}

/// Ends the access of a person, moves the events, and acknowledges them.
async fn acknowledge(service: &Service) {
    let person = service.user("ada@example.com").await;
    assert_eq!(service.delete(&format!("/Users/{person}")).await.status, 204);
    sequencing::sequence_all(&service.app.store).await.expect("an answer");
    let feed = Request::get("/events/v1").at_root().send(service).await;
    let body = json!({ "seq": feed.body["last"] });
    assert_eq!(Request::post("/events/v1/ack", body).at_root().send(service).await.status, 200);
}

/// Sends requests whose limits cannot be checked, and requests beyond a limit.
async fn limits() {
    let database = Connector::new(Database::memory().expect("a database"));
    let client = intercept::client(database.clone(), |call| async move {
        if call.is_of_a_limit() {
            return answer(400, &exception("ThrottlingException"));
        }
        call.forward().await
    });
    let service = Service::on(client).await.limited();
    while LOG.lock().unwrap_or_else(PoisonError::into_inner).windows(13).all(|text| text != b"LimitFailures")
    {
        assert_eq!(service.get("/Users").await.status, 200);
    }
    let client = embedded::client_over(SharedHttpConnector::new(database));
    let service = Service::restarted(client, Clock::fixed(NOW), Entropy::seeded(3), &service.key).limited();
    while service.get("/Users").await.status == 200 {}
}

/// Returns a client of Secrets Manager without a connector.
fn unreachable() -> aws_sdk_secretsmanager::Client {
    use aws_sdk_secretsmanager::config::{BehaviorVersion, Config, Region};
    let config = Config::builder().behavior_version(BehaviorVersion::latest()).region(Region::new("local"));
    aws_sdk_secretsmanager::Client::from_conf(config.allow_no_auth().build())
}
