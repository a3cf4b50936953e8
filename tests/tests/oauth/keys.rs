//! The keys of an issuer: where they are read from, how often, and what happens if they cannot be read.

use serde_json::{Value, json};
use service::{oauth::Reach, trust::Trust};
use tests::{
    Answer,
    issuer::{EC, Issuer, Keys, RSA, SigningKey, token as sign},
};
use tokio::net::TcpListener;

use crate::world::{World, token, verdict, violations};

const NO_KEYS: &str = "503 temporarily_unavailable";

impl World {
    async fn ask(&self) -> Answer {
        let answer = self.by_assertion(&self.federated, &self.assertion()).await;
        let violations = violations(&answer);
        assert!(violations.is_empty(), "{violations:?} {:#}", answer.body);
        answer
    }

    async fn ask_for(&self, trust: Trust) -> Answer {
        let client = self.trusting(trust).await;
        self.by_assertion(&client, &self.assertion()).await
    }
}

#[tokio::test]
async fn keys_that_cannot_be_read_are_a_temporary_failure() {
    let large = json!({ "keys": [], "padding": "x".repeat(64 * 1024) }).to_string();
    for (name, keys) in [
        ("an error", Keys::Status(500)),
        ("not found", Keys::Status(404)),
        ("no content", Keys::Status(204)),
        ("larger than 64 KB", Keys::Text(large)),
        ("HTML", Keys::Text("<html></html>".to_owned())),
        ("nothing", Keys::Text(String::new())),
        ("no list", Keys::Text("{}".to_owned())),
        ("a list alone", Keys::Text("[]".to_owned())),
        ("a member twice", Keys::Text(r#"{"keys":[],"keys":[]}"#.to_owned())),
        ("no answer", Keys::Never),
    ] {
        let world = World::new().await;
        world.issuer.answer_keys_with(keys);
        let answer = world.ask().await;
        assert_eq!(verdict(&answer), NO_KEYS, "{name}");
        assert_eq!(answer.header("retry-after"), "30", "{name}");
        world.issuer.answer_keys_with(Keys::Own);
        world.advance(29);
        assert_eq!(verdict(&world.ask().await), NO_KEYS, "{name}: the keys are not read again for 30 s");
        world.advance(1);
        token(&world.ask().await);
    }
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let world = World::new().await;
    let other = Issuer::start(0, world.service.app.store.clock().clone()).await;
    world.issuer.answer_keys_with(Keys::Redirect(format!("{}/keys", other.url)));
    assert_eq!(verdict(&world.ask().await), NO_KEYS);
    world.advance(30);
    world.issuer.answer_keys_with(Keys::Redirect(format!("{}/keys", world.issuer.url)));
    assert_eq!(verdict(&world.ask().await), NO_KEYS, "the host does not matter");
    assert_eq!(other.requests(), 0);
}

#[tokio::test]
async fn issuer_that_is_down_is_a_temporary_failure() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let down = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let trust = Trust { issuer: down, ..world.trust() };
    assert_eq!(verdict(&world.ask_for(trust).await), NO_KEYS);
    let unresolved = Trust { issuer: "https://no-such-host.invalid".to_owned(), ..world.trust() };
    assert_eq!(verdict(&world.ask_for(unresolved).await), NO_KEYS);
}

#[tokio::test]
async fn keys_are_read_from_public_hosts_only() {
    let world = World::reaching(Reach::Internet).await;
    assert_eq!(verdict(&world.ask().await), NO_KEYS);
    assert_eq!(world.issuer.requests(), 0, "the issuer is on loopback");
    let port = world.issuer.url.rsplit(':').next().unwrap().to_owned();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "127.1",
        "2130706433",
        "0x7f000001",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "169.254.170.2",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "224.0.0.1",
        "255.255.255.255",
    ] {
        let trust = Trust { issuer: format!("https://{host}:{port}"), ..world.trust() };
        assert_eq!(verdict(&world.ask_for(trust).await), NO_KEYS, "{host}");
    }
    assert_eq!(world.issuer.requests(), 0);
}

#[tokio::test]
async fn loopback_is_read_by_permission_and_private_hosts_never() {
    let world = World::new().await;
    for host in ["10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "[fd00:ec2::254]"] {
        let trust = Trust { issuer: format!("https://{host}"), ..world.trust() };
        assert_eq!(verdict(&world.ask_for(trust).await), NO_KEYS, "{host}");
    }
    token(&world.ask().await);
}

#[tokio::test]
async fn discovery_document_must_be_of_the_issuer() {
    let evil = Issuer::start(0, service::clock::Clock::fixed(tests::NOW)).await;
    let document = |issuer: &str, keys: &str| json!({ "issuer": issuer, "jwks_uri": keys });
    for change in [
        &(|own: &str, evil: &str| document(own, &format!("{evil}/keys"))) as &dyn Fn(&str, &str) -> Value,
        &|_, evil| document(evil, &format!("{evil}/keys")),
        &|own, _| document(&format!("{own}/"), &format!("{own}/keys")),
        &|own, _| document(own, "https://169.254.169.254/keys"),
        &|own, _| document(own, &own.replacen("http://", "https://", 1)),
        &|own, _| document(own, "/keys"),
        &|own, _| document(own, "file:///etc/passwd"),
        &|own, _| json!({ "issuer": own }),
        &|own, _| json!({ "issuer": [own], "jwks_uri": format!("{own}/keys") }),
        &|_, _| json!([]),
    ] {
        let world = World::new().await;
        let document = change(&world.issuer.url, &evil.url);
        world.issuer.answer_discovery_with(document.clone());
        assert_eq!(verdict(&world.ask().await), NO_KEYS, "{document}");
        assert_eq!(world.issuer.requests(), 1, "{document}");
    }
    assert_eq!(evil.requests(), 0);
}

#[tokio::test]
async fn registered_url_of_the_keys_replaces_discovery() {
    let world = World::new().await;
    world.issuer.answer_discovery_with(json!([]));
    let jwks_uri = Some(format!("{}/keys", world.issuer.url));
    token(&world.ask_for(Trust { jwks_uri, ..world.trust() }).await);
    assert_eq!(world.issuer.requests(), 1);
}

#[tokio::test]
async fn kid_of_two_keys_is_no_key() {
    let world = World::new().await;
    let foreign = SigningKey::foreign_rsa();
    let header = json!({ "alg": "RS256", "kid": RSA }).to_string();
    let forged = sign(&header, &world.issuer.claims().to_string(), &foreign);
    let keys = [world.issuer.rsa.jwk(RSA), foreign.jwk(RSA), world.issuer.ec.jwk(EC)];
    world.issuer.answer_keys_with(Keys::Text(json!({ "keys": keys }).to_string()));
    for assertion in [forged, world.issuer.assertion("RS256", RSA, &world.issuer.claims())] {
        assert_eq!(verdict(&world.by_assertion(&world.federated, &assertion).await), "401 invalid_client");
    }
    token(&world.ask().await);
}

#[tokio::test]
async fn symmetric_key_in_the_key_set_verifies_nothing() {
    let world = World::new().await;
    let secret = SigningKey::Secret(b"a secret that the issuer publishes".to_vec());
    world.issuer.answer_keys_with(Keys::Text(json!({ "keys": [secret.jwk("oct-1")] }).to_string()));
    for algorithm in ["HS256", "RS256", "ES256"] {
        let header = json!({ "alg": algorithm, "kid": "oct-1" }).to_string();
        let forged = sign(&header, &world.issuer.claims().to_string(), &secret);
        assert_eq!(verdict(&world.by_assertion(&world.federated, &forged).await), "401 invalid_client");
    }
}

#[tokio::test]
async fn keys_are_read_once_an_hour() {
    let world = World::new().await;
    token(&world.ask().await);
    world.advance(3_599);
    token(&world.ask().await);
    assert_eq!(world.issuer.requests(), 2);
    world.advance(1);
    token(&world.ask().await);
    assert_eq!(world.issuer.requests(), 4);
}

#[tokio::test]
async fn cached_keys_are_used_while_the_issuer_is_down() {
    let world = World::new().await;
    token(&world.ask().await);
    for keys in
        [Keys::Status(500), Keys::Text(String::new()), Keys::Redirect("http://127.0.0.1:1/".to_owned())]
    {
        world.issuer.answer_keys_with(keys);
        world.advance(3_600);
        token(&world.ask().await);
    }
    // A new key cannot be told from an unknown one.
    let unknown = world.issuer.assertion("RS256", "new", &world.issuer.claims());
    assert_eq!(verdict(&world.by_assertion(&world.federated, &unknown).await), NO_KEYS);
}

#[tokio::test]
async fn unknown_kid_makes_the_service_read_keys_every_30_s_at_most() {
    let world = World::new().await;
    token(&world.ask().await);
    let rotated = world.issuer.assertion("RS256", "rsa-2", &world.issuer.claims());
    let keys = [world.issuer.rsa.jwk("rsa-2"), world.issuer.ec.jwk(EC)];
    world.issuer.answer_keys_with(Keys::Text(json!({ "keys": keys }).to_string()));
    for _ in 0..20 {
        assert_eq!(verdict(&world.by_assertion(&world.federated, &rotated).await), "401 invalid_client");
        token(&world.ask().await);
    }
    world.advance(29);
    assert_eq!(verdict(&world.by_assertion(&world.federated, &rotated).await), "401 invalid_client");
    assert_eq!(world.issuer.requests(), 2);
    world.advance(1);
    token(&world.by_assertion(&world.federated, &rotated).await);
    assert_eq!(world.issuer.requests(), 4);
    // The key that the issuer has withdrawn is no key any more.
    let withdrawn = world.issuer.assertion("RS256", RSA, &world.issuer.claims());
    assert_eq!(verdict(&world.by_assertion(&world.federated, &withdrawn).await), "401 invalid_client");
}
