//! Tokens that are issued.

use expect_test::expect;
use serde_json::json;
use service::{auth::Scope, settings::Settings, store::OrgChange};
use tests::{
    Request,
    issuer::{EC, RSA},
    operator,
};

use crate::world::{World, basic, form_request, token, verdict, with_secret};

#[tokio::test]
async fn secret_in_the_form_gets_a_token() {
    let world = World::new().await;
    let answer = world.by_secret(&world.client, &world.secret).await;
    let token = token(&answer);
    assert!(token.starts_with("scimtoken_acme_"), "{token}");
    assert_eq!(answer.body["token_type"], "Bearer");
    assert_eq!(answer.body["expires_in"], 3_600);
    assert_eq!(answer.body["scope"], "scim");
    assert_eq!(world.status_of(&token).await, 200);
    let user = json!({ "userName": "ada@example.com" });
    assert_eq!(Request::post("/Users", user).bearer(&token).send(&world.service).await.status, 201);
}

#[tokio::test]
async fn secret_in_the_authorization_header_gets_a_token() {
    let world = World::new().await;
    let credentials = basic(&world.client, &world.secret);
    for (value, form) in [
        (credentials.clone(), vec![("grant_type", "client_credentials")]),
        (credentials.replacen("Basic", "bAsIc", 1), vec![("grant_type", "client_credentials")]),
        (credentials, vec![("grant_type", "client_credentials"), ("client_id", &*world.client)]),
    ] {
        let answer = form_request(&form).header("authorization", &value).send_as_is(&world.service).await;
        assert_eq!(world.status_of(&token(&answer)).await, 200);
    }
}

#[tokio::test]
async fn assertion_gets_a_token_with_each_algorithm() {
    let world = World::new().await;
    for (algorithm, kid) in [("RS256", RSA), ("PS256", RSA), ("ES256", EC)] {
        let assertion = world.issuer.assertion(algorithm, kid, &world.issuer.claims());
        let answer = world.by_assertion(&world.federated, &assertion).await;
        assert_eq!(world.status_of(&token(&answer)).await, 200, "{algorithm}");
    }
    assert_eq!(world.issuer.requests(), 2, "the discovery document and the keys are read once");
}

#[tokio::test]
async fn path_with_the_stage_leads_to_the_token_endpoint() {
    let world = World::new().await;
    for path in ["/scim/oauth2/token", "/oauth2/token/"] {
        let mut request = form_request(&with_secret(&world.client, &world.secret));
        path.clone_into(&mut request.target);
        token(&request.send_as_is(&world.service).await);
    }
    for path in ["/scim/v2/oauth2/token", "/v2/oauth2/token", "/oauth2", "/oauth2/token/x"] {
        let mut request = form_request(&with_secret(&world.client, &world.secret));
        path.clone_into(&mut request.target);
        assert_eq!(request.send_as_is(&world.service).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn token_has_the_requested_scopes() {
    let world = World::new().await;
    let (both, both_secret) = world.with_secret("acme", &[Scope::Read, Scope::Write]).await;
    let write = |token: String| {
        let request = Request::post("/Users", json!({ "userName": "a" })).bearer(&token);
        let service = &world.service;
        async move { request.send(service).await.status }
    };
    for (client, secret, scope, granted, reads, writes) in [
        (&world.client, &world.secret, "read", "read", 200, 403),
        (&world.client, &world.secret, "write", "write", 403, 201),
        (&both, &both_secret, "", "read write", 200, 409),
        (&both, &both_secret, "read", "read", 200, 403),
    ] {
        let mut form = with_secret(client, secret);
        form.push(("scope", scope));
        let answer = world.post(&form).await;
        let token = token(&answer);
        assert_eq!(answer.body["scope"], granted);
        assert_eq!(world.status_of(&token).await, reads, "{scope}");
        assert_eq!(write(token).await, writes, "{scope}");
    }
    for scope in ["scim", "read scim", "admin", "read,write"] {
        let mut form = with_secret(&both, &both_secret);
        form.push(("scope", scope));
        assert_eq!(verdict(&world.post(&form).await), "400 invalid_scope", "{scope}");
    }
}

#[tokio::test]
async fn token_lives_as_long_as_the_setting_says() {
    let world = World::new().await;
    for minutes in [5, 360] {
        let settings = Settings { token_minutes: minutes, ..Settings::default() };
        let change = OrgChange { enabled: None, settings: Some(settings) };
        world.service.app.store.change_org(&world.org(), change, &operator()).await.unwrap();
        let answer = world.by_secret(&world.client, &world.secret).await;
        let token = token(&answer);
        assert_eq!(answer.body["expires_in"], minutes * 60);
        world.advance(i64::from(minutes) * 60 - 1);
        assert_eq!(world.status_of(&token).await, 200);
        world.advance(1);
        let answer = Request::get("/Users").bearer(&token).send(&world.service).await;
        assert_eq!(answer.status, 401);
        assert!(answer.body["detail"].as_str().unwrap().contains("expired at"), "{}", answer.body);
    }
}

#[tokio::test]
async fn metadata_names_the_endpoint() {
    let world = World::new().await;
    let get = |path: &str| Request { target: path.to_owned(), ..Request::get("") };
    let answer = get("/.well-known/oauth-authorization-server").send_as_is(&world.service).await;
    expect![[r#"
        200
        {
          "issuer": "https://scim.test",
          "token_endpoint": "https://scim.test/oauth2/token",
          "grant_types_supported": [
            "client_credentials"
          ],
          "response_types_supported": [],
          "scopes_supported": [
            "scim",
            "read",
            "write"
          ],
          "token_endpoint_auth_methods_supported": [
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt"
          ],
          "token_endpoint_auth_signing_alg_values_supported": [
            "RS256",
            "PS256",
            "ES256"
          ]
        }
    "#]]
    .assert_eq(&answer.snapshot());
    assert_eq!(answer.header("content-type"), "application/json");
    let with_stage = get("/scim/.well-known/oauth-authorization-server");
    assert_eq!(with_stage.send_as_is(&world.service).await.snapshot(), answer.snapshot());
}
