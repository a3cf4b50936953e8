//! OAuth clients by `scimctl`, and tokens of the gateway, as README's "Let Entra in without a secret" describes.

use std::io::Read;

use serde_json::Value;
use service::clock::Clock;
use tests::issuer::{AUDIENCE, Issuer, SUBJECT, TENANT};

use crate::program::{Client, Gateway, TempDir};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

struct Setup {
    dir: TempDir,
    gateway: Gateway,
}

impl Setup {
    fn new(test: &str, arguments: &[&str]) -> Self {
        let dir = TempDir::new(test);
        let gateway = Gateway::start_with(&dir, arguments, ".scim/connection.env");
        Self { dir, gateway }
    }

    /// Runs a command line, and returns its JSON.
    fn scimctl(&self, line: &str) -> Value {
        let line = format!("{line} --output json");
        let ended = self.dir.run("scimctl", &line.split_whitespace().collect::<Vec<_>>(), &[]);
        assert_eq!(ended.code, 0, "{line}: {}", ended.snapshot());
        ended.json()
    }

    fn root(&self) -> &str {
        self.gateway.base_url.trim_end_matches("/scim/v2")
    }

    /// Requests a token, and returns the status and the answer.
    fn token(&self, form: &[(&str, &str)]) -> (u16, Value) {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
        let url = format!("{}/oauth2/token", self.root());
        let answer = agent.post(&url).send_form(form.iter().copied()).expect("an answer");
        let (parts, mut body) = answer.into_parts();
        let mut text = String::new();
        body.as_reader().read_to_string(&mut text).expect("a text");
        (parts.status.as_u16(), serde_json::from_str(&text).expect("JSON"))
    }

    fn status(&self, token: &Value) -> u16 {
        Client::new(&self.gateway.base_url, token.as_str().unwrap_or_default()).get("/Users").status
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}")).to_owned()
}

#[test]
fn client_with_a_secret_is_created_used_and_deleted() {
    let setup = Setup::new("clients", &[]);
    let created = setup.scimctl("client create --org acme --scope scim --label Entra --expires 90d");
    let (id, secret) = (text(&created, "client_id"), text(&created, "client_secret"));
    let form = |secret: &str| {
        setup.token(&[("grant_type", "client_credentials"), ("client_id", &id), ("client_secret", secret)])
    };
    let (status, answer) = form(&secret);
    assert_eq!((status, setup.status(&answer["access_token"])), (200, 200), "{answer}");

    let added = setup.scimctl(&format!("client secret add --org acme {id}"));
    let second = text(&added, "client_secret");
    let (status, of_second) = form(&second);
    assert_eq!(status, 200, "{of_second}");
    setup.scimctl(&format!("client secret end --org acme {id} {}", text(&added, "id")));
    assert_eq!((form(&second).0, setup.status(&of_second["access_token"])), (401, 401));
    assert_eq!(setup.status(&answer["access_token"]), 200);

    let listed = setup.scimctl("client list --org acme");
    assert_eq!(listed["clients"].as_array().map(Vec::len), Some(1), "{listed}");
    let shown = setup.scimctl(&format!("client show --org acme {id}"));
    assert_eq!((text(&shown, "client_id"), text(&shown, "label")), (id.clone(), "Entra".to_owned()));
    for output in [&listed, &shown] {
        assert!(!output.to_string().contains(&secret), "{output}");
    }
    setup.scimctl(&format!("client delete --org acme {id}"));
    assert_eq!((form(&secret).0, setup.status(&answer["access_token"])), (401, 401));
    let ended = setup.dir.run("scimctl", &["client", "delete", "--org", "acme", &id], &[]);
    assert_eq!(ended.code, 1, "{}", ended.snapshot());
}

#[tokio::test(flavor = "multi_thread")]
async fn client_without_a_secret_gets_a_token_for_an_assertion() {
    let issuer = Issuer::start(0, Clock::system()).await;
    for (arguments, expected) in [(&["--allow-loopback-issuers"][..], 200), (&[], 503)] {
        let issuer = issuer.clone();
        let run = move || {
            let setup = Setup::new("federation", arguments);
            let created = setup.scimctl(&format!(
                "client create --org acme --scope scim --issuer {} --audience {AUDIENCE} --subject {SUBJECT} --tid {TENANT}",
                issuer.url
            ));
            assert_eq!(created.get("client_secret"), None);
            let id = text(&created, "client_id");
            let assertion = issuer.assertion("ES256", tests::issuer::EC, &issuer.claims());
            let (status, answer) = setup.token(&[
                ("grant_type", "client_credentials"),
                ("client_id", &id),
                ("client_assertion_type", JWT_BEARER),
                ("client_assertion", &assertion),
            ]);
            assert_eq!(status, expected, "{answer}");
            if status == 200 {
                assert_eq!(setup.status(&answer["access_token"]), 200);
            }
        };
        tokio::task::spawn_blocking(run).await.expect("a run");
    }
}
