//! `scimctl pepper rotate` beside requests and other commands: on the local gateway, and with a Secrets Manager that is not
//! of this project.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::{Value, json};
use service::{
    App,
    clock::Clock,
    cloud,
    config::{self, Tables},
    entropy::Entropy,
    http,
    pepper::{Pepper, PepperSecret},
    store::Store,
};
use tests::Request;

use super::program::{Client, Gateway, Output, TempDir};

/// The number of keys that exist during the rotations.
const KEYS: usize = 4;
/// The number of rotations.
const ROTATIONS: usize = 3;

fn scimctl(dir: &TempDir, line: &str, environment: &[(&str, &str)]) -> Output {
    dir.run("scimctl", &line.split_whitespace().collect::<Vec<_>>(), environment)
}

/// Runs a command in a directory of its own, because the output of a command is a file in its directory.
fn beside(name: &str, dir: &TempDir, line: &str) -> Output {
    let own = TempDir::new(name);
    let data = dir.path("data");
    let line = format!("{line} --data {}", data.display());
    scimctl(&own, &line, &[])
}

fn field(output: &Output, name: &str) -> String {
    output.json()[name].as_str().unwrap_or_default().to_owned()
}

fn ids(keys: &Value) -> Vec<String> {
    let keys = keys["keys"].as_array().cloned().unwrap_or_default();
    keys.iter().map(|key| key["id"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn rotations_beside_use_creation_and_revocation_lose_no_key() {
    let dir = TempDir::new("rotation");
    let gateway = Gateway::start(&dir);
    let create = |name: &str| {
        let created = beside(name, &dir, "key create --org acme --scope scim --output json");
        (field(&created, "key"), field(&created, "id"))
    };
    let keys: Vec<_> = (0..KEYS).map(|_| create("rotation_create").0).collect();
    let before = ids(&beside("rotation_list", &dir, "key list --org acme --output json").json());
    let rotating = AtomicBool::new(true);
    let used = AtomicUsize::new(0);
    let (created, revoked) = thread::scope(|scope| {
        scope.spawn(|| {
            while rotating.load(Ordering::Relaxed) {
                for key in keys.iter().chain([&gateway.token]) {
                    let answer = Client::new(&gateway.base_url, key).get("/Users");
                    assert_eq!(answer.status, 200, "{:#}", answer.body);
                    used.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let writer = scope.spawn(|| {
            let (mut created, mut revoked) = (Vec::new(), Vec::new());
            while rotating.load(Ordering::Relaxed) {
                let (kept, _) = create("rotation_writer");
                assert_eq!(Client::new(&gateway.base_url, &kept).get("/Users").status, 200);
                created.push(kept);
                let (ended, id) = create("rotation_writer");
                let line = format!("key revoke --org acme {id}");
                assert_eq!(beside("rotation_writer", &dir, &line).code, 0);
                assert_eq!(Client::new(&gateway.base_url, &ended).get("/Users").status, 401);
                revoked.push(ended);
            }
            (created, revoked)
        });
        for rotation in 1..=ROTATIONS {
            let rotated = beside("rotation_rotate", &dir, "pepper rotate --output json");
            assert_eq!(rotated.json()["generation"], rotation, "{}", rotated.err);
        }
        rotating.store(false, Ordering::Relaxed);
        writer.join().expect("keys")
    });
    assert!(used.load(Ordering::Relaxed) > KEYS && !created.is_empty() && !revoked.is_empty());
    for key in keys.iter().chain(&created).chain([&gateway.token]) {
        assert_eq!(Client::new(&gateway.base_url, key).get("/Users").status, 200);
    }
    for key in &revoked {
        assert_eq!(Client::new(&gateway.base_url, key).get("/Users").status, 401);
    }
    let after = ids(&beside("rotation_list", &dir, "key list --org acme --output json").json());
    assert!(before.iter().all(|id| after.contains(id)), "ids are stable");
    // A gateway that starts afterwards reads the new peppers.
    gateway.kill();
    let gateway = Gateway::start(&dir);
    for key in &keys {
        assert_eq!(Client::new(&gateway.base_url, key).get("/Users").status, 200);
    }
}

/// `.ci/run` starts ministack and sets `SCIM_TEST_DYNAMODB`.
#[tokio::test]
#[ignore = "it needs ministack"]
async fn rotations_in_secrets_manager_lose_no_key() {
    let endpoint = config::env("SCIM_TEST_DYNAMODB").expect("the address of ministack");
    let dir = TempDir::new("secrets_manager");
    let environment = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "us-east-1"),
        ("SCIM_RESOURCES_TABLE", "rotation-resources"),
        ("SCIM_KEYS_TABLE", "rotation-keys"),
        ("SCIM_REQUESTS_TABLE", "rotation-requests"),
        ("SCIM_PEPPER_SECRET_ID", "rotation-pepper"),
    ];
    let sdk = cloud::sdk_config().await.into_builder().endpoint_url(&endpoint).build();
    let secrets = cloud::secrets_manager(&sdk);
    secrets
        .create_secret()
        .name("rotation-pepper")
        .secret_string("the first pepper")
        .send()
        .await
        .expect("a secret");
    let tables = Tables {
        resources: "rotation-resources".to_owned(),
        keys: "rotation-keys".to_owned(),
        requests: "rotation-requests".to_owned(),
    };
    let store = Store::new(&cloud::dynamodb(&sdk), tables, Clock::system(), Entropy::system());
    store.create_tables().await.expect("tables");
    // This process caches the pepper for five minutes, as a function does.
    let pepper = Pepper::SecretsManager(PepperSecret::new(secrets, "rotation-pepper".to_owned()));
    let router = http::router(App { store, pepper, base_url: None, portal: Arc::default() }, http::all());

    let run = |line: &str| {
        let output = scimctl(&dir, line, &environment);
        assert_eq!(output.code, 0, "{line}: {}", output.err);
        output
    };
    run("org create acme");
    let status = async |key: &str| Request::get("/Users").bearer(key).send_to(router.clone()).await.status;
    let mut keys = Vec::new();
    for generation in 1..=ROTATIONS {
        keys.push(field(&run("key create --org acme --scope scim --output json"), "key"));
        for key in &keys {
            assert_eq!(status(key).await, 200);
        }
        let rotated = run("pepper rotate --output json").json();
        assert_eq!(
            (&rotated["generation"], &rotated["credentials"]),
            (&json!(generation), &json!(keys.len()))
        );
        for key in &keys {
            assert_eq!(status(key).await, 200, "after rotation {generation}");
        }
    }
    // If two rotations run at the same time, the second completes the first, or is told to run again.
    let own = TempDir::new("secrets_manager_second");
    let outputs = thread::scope(|scope| {
        let second = scope.spawn(|| scimctl(&own, "pepper rotate", &environment));
        [scimctl(&dir, "pepper rotate", &environment), second.join().expect("an output")]
    });
    for Output { code, err, .. } in &outputs {
        assert!(*code == 0 || err.contains("another rotation of the pepper has begun"), "{err}");
    }
    run("pepper rotate");
    keys.push(field(&run("key create --org acme --scope scim --output json"), "key"));
    for key in &keys {
        assert_eq!(status(key).await, 200);
    }
}
