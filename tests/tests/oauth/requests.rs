//! Requests that are malformed, and credentials that are wrong.

use axum::http::Method;
use service::auth::Scope;
use tests::{Request, encode, operator};

use crate::world::{
    JWT_BEARER, World, basic, form_request, raw_request, token, verdict, violations, with_assertion,
    with_secret,
};

#[tokio::test]
async fn malformed_request_is_refused() {
    let world = World::new().await;
    let (id, secret) = (&*world.client, &*world.secret);
    let assertion = world.assertion();
    let good = with_secret(id, secret);
    let with = |more: &[(&'static str, &str)]| {
        let pairs =
            good.iter().chain(more).map(|(name, value)| format!("{}={}", encode(name), encode(value)));
        raw_request(pairs.collect::<Vec<_>>().join("&"))
    };
    let header = basic(id, secret);
    let grant = [("grant_type", "client_credentials")];
    let invalid = "400 invalid_request";
    for (name, request, expected) in [
        ("no body", raw_request(""), invalid),
        ("not a form", raw_request("{}"), invalid),
        ("not UTF-8", raw_request(b"grant_type=\xff".to_vec()), invalid),
        ("not UTF-8, encoded", raw_request("grant_type=%FF"), invalid),
        ("grant_type absent", form_request(&good[1..]), invalid),
        ("grant_type empty", form_request(&[("grant_type", ""), good[1], good[2]]), invalid),
        ("grant_type twice", with(&[("grant_type", "client_credentials")]), invalid),
        ("client_id twice", with(&[("client_id", id)]), invalid),
        ("client_secret twice", with(&[("client_secret", secret)]), invalid),
        ("client_secret twice, once empty", with(&[("client_secret", "")]), invalid),
        ("scope twice", with(&[("scope", "scim"), ("scope", "scim")]), invalid),
        ("unknown parameter twice", with(&[("x", "1"), ("x", "2")]), invalid),
        ("client_id absent", form_request(&[good[0], good[2]]), invalid),
        ("secret in both places", with(&[]).header("authorization", &header), invalid),
        (
            "secret and assertion",
            with(&[("client_assertion", &assertion), ("client_assertion_type", JWT_BEARER)]),
            invalid,
        ),
        (
            "Basic and assertion",
            form_request(&with_assertion(&world.federated, &assertion)).header("authorization", &header),
            invalid,
        ),
        (
            "Basic and another client_id",
            form_request(&[grant[0], ("client_id", &world.federated)]).header("authorization", &header),
            invalid,
        ),
        (
            "two Authorization headers",
            form_request(&grant).header("authorization", &header).header("authorization", &header),
            invalid,
        ),
        (
            "assertion without its type",
            form_request(&[grant[0], ("client_id", id), ("client_assertion", &assertion)]),
            invalid,
        ),
        (
            "type without an assertion",
            form_request(&[grant[0], ("client_id", id), ("client_assertion_type", JWT_BEARER)]),
            invalid,
        ),
        (
            "another type of assertion",
            form_request(&[
                grant[0],
                ("client_id", id),
                ("client_assertion", &assertion),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"),
            ]),
            "401 invalid_client",
        ),
        ("no credentials", form_request(&[grant[0], ("client_id", id)]), "401 invalid_client"),
        (
            "empty secret",
            form_request(&[grant[0], ("client_id", id), ("client_secret", "")]),
            "401 invalid_client",
        ),
        (
            "another grant",
            form_request(&[("grant_type", "password"), good[1], good[2]]),
            "400 unsupported_grant_type",
        ),
        (
            "grant in capitals",
            form_request(&[("grant_type", "CLIENT_CREDENTIALS"), good[1], good[2]]),
            "400 unsupported_grant_type",
        ),
        (
            "grant of an assertion",
            form_request(&[("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), good[1], good[2]]),
            "400 unsupported_grant_type",
        ),
        ("JSON", with(&[]).with_header("content-type", "application/json"), invalid),
        ("no Content-Type", with(&[]).without_header("content-type"), invalid),
        ("two Content-Types", with(&[]).header("content-type", "text/plain"), invalid),
        ("compressed", with(&[]).header("content-encoding", "gzip"), invalid),
        ("larger than 64 KB", with(&[("x", &"x".repeat(64 * 1024))]), "413 invalid_request"),
    ] {
        let answer = request.send_as_is(&world.service).await;
        assert_eq!(verdict(&answer), expected, "{name}: {:#}", answer.body);
        let violations = violations(&answer);
        assert!(violations.is_empty(), "{name}: {violations:?} {:#}", answer.body);
    }
    for (name, request) in [
        (
            "a charset",
            with(&[]).with_header("content-type", "application/x-www-form-urlencoded; charset=UTF-8"),
        ),
        ("an unknown parameter", with(&[("resource", "x")])),
        ("an empty parameter", with(&[("scope", "")])),
        (
            "ampersands",
            raw_request(format!("&&grant_type=client_credentials&client_id={id}&client_secret={secret}&")),
        ),
    ] {
        let answer = request.send_as_is(&world.service).await;
        assert_eq!(answer.status, 200, "{name}: {:#}", answer.body);
    }
    // Parameters of the URL are not read.
    let mut url = form_request(&grant);
    url.target = format!("/oauth2/token?client_id={id}&client_secret={secret}");
    assert_eq!(verdict(&url.send_as_is(&world.service).await), "401 invalid_client");
}

#[tokio::test]
async fn malformed_basic_credentials_are_refused() {
    let world = World::new().await;
    let good = basic(&world.client, &world.secret);
    let base64 = |text: &str| format!("Basic {}", aws_smithy_types::base64::encode(text));
    for (name, value) in [
        ("another scheme", good.replacen("Basic", "Bearer", 1)),
        ("no scheme", good.replacen("Basic ", "", 1)),
        ("no credentials", "Basic".to_owned()),
        ("not Base64", "Basic !!!".to_owned()),
        ("no colon", base64("client")),
        ("no client", base64(&format!(":{}", world.secret))),
        ("no secret", base64(&format!("{}:", world.client))),
        ("not UTF-8", format!("Basic {}", aws_smithy_types::base64::encode(b"a:\xff"))),
        ("an API key", base64(&format!("{}:{}", world.client, world.service.key))),
        ("swapped", base64(&format!("{}:{}", world.secret, world.client))),
    ] {
        let request = form_request(&[("grant_type", "client_credentials")]).header("authorization", &value);
        let answer = request.send_as_is(&world.service).await;
        assert_eq!(verdict(&answer), "401 invalid_client", "{name}: {:#}", answer.body);
        assert!(violations(&answer).is_empty(), "{name}: {:#}", answer.body);
    }
}

#[tokio::test]
async fn wrong_secret_and_unknown_client_get_the_same_answer() {
    let world = World::new().await;
    let (beta, beta_secret) = world.with_secret("beta", &[Scope::Scim]).await;
    let (twin, twin_secret) = world.with_secret("acme", &[Scope::Scim]).await;
    let access = token(&world.by_secret(&world.client, &world.secret).await);
    let mut mistyped = world.secret.clone();
    let last = mistyped.pop().unwrap();
    mistyped.push(if last == '0' { '1' } else { '0' });
    let unknown = "acme.0000000000000000";
    let expected = world.by_secret(unknown, &world.secret).await.snapshot();
    assert!(expected.starts_with("401\n"), "{expected}");
    for (name, client, secret) in [
        ("unknown client of an unknown organisation", "nobody.0000000000000000", &*world.secret),
        ("malformed client", "acme", &world.secret),
        ("client of a path", "acme#KEY.0000000000000000", &world.secret),
        ("wrong secret", &world.client, &twin_secret),
        ("secret of another organisation", &world.client, &beta_secret),
        ("client of another organisation", &beta, &world.secret),
        ("mistyped secret", &world.client, &mistyped),
        ("secret in capitals", &world.client, &world.secret.to_uppercase()),
        ("half a secret", &world.client, &world.secret[..30]),
        ("blank", &world.client, " "),
        ("an API key", &world.client, &world.service.key),
        ("an access token", &world.client, &access),
        ("the id of the client", &world.client, &world.client),
        ("the other client", &twin, &world.secret),
    ] {
        let answer = world.by_secret(client, secret).await;
        assert_eq!(answer.snapshot(), expected, "{name}");
    }
    token(&world.by_secret(&world.client, &world.secret).await);
    token(&world.by_secret(&beta, &beta_secret).await);
}

#[tokio::test]
async fn federated_client_has_no_secret() {
    let world = World::new().await;
    let answer = world.by_secret(&world.federated, &world.secret).await;
    assert_eq!(verdict(&answer), "400 unauthorized_client");
    assert!(
        answer.body["error_description"].as_str().unwrap().contains("client_assertion"),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn secret_and_token_open_only_their_own_doors() {
    let world = World::new().await;
    assert_eq!(world.status_of(&world.secret).await, 401, "a secret is no key");
    let access = token(&world.by_secret(&world.client, &world.secret).await);
    let other = access.replacen("scimtoken_acme", "scimtoken_beta", 1);
    assert_eq!(world.status_of(&other).await, 401);
    assert_eq!(world.status_of(&access.replacen("scimtoken_", "scim_", 1)).await, 401);
    let disguised = world.secret.replacen("scimsecret_", "scimtoken_", 1);
    assert_eq!(world.status_of(&disguised).await, 401);
}

#[tokio::test]
async fn other_methods_are_refused() {
    let world = World::new().await;
    for (method, path) in [
        (Method::GET, "/oauth2/token"),
        (Method::PUT, "/oauth2/token"),
        (Method::DELETE, "/oauth2/token"),
        (Method::POST, "/.well-known/oauth-authorization-server"),
    ] {
        let request = Request { target: path.to_owned(), ..Request::new(method.clone(), "") };
        assert_eq!(request.send_as_is(&world.service).await.status, 405, "{method} {path}");
    }
}

#[tokio::test]
async fn refused_request_stores_nothing() {
    let world = World::new().await;
    let store = &world.service.app.store;
    let before =
        (store.clients(&world.org()).await.unwrap(), store.audit(&world.org(), 100, None).await.unwrap());
    for _ in 0..3 {
        world.by_secret(&world.client, "wrong").await;
        world.by_assertion(&world.federated, "wrong").await;
    }
    let after =
        (store.clients(&world.org()).await.unwrap(), store.audit(&world.org(), 100, None).await.unwrap());
    assert_eq!(after, before);
    assert!(store.delete_client(&world.org(), &world.client, &operator()).await.unwrap());
}
