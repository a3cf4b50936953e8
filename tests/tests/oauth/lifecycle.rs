//! Clients and secrets: limits, ends, deletion, and what each does to tokens.

use service::{
    Error,
    auth::Scope,
    pepper::{Pepper, Peppers, Secret},
    store::{ClientAuthentication, MAX_CLIENTS, MAX_SECRETS, NewClient, Repeatable},
    trust::Trust,
};
use tests::{NOW, PEPPER, Request, Service, operator};
use time::Duration;

use crate::world::{World, form_request, token, verdict, with_secret};

fn new_client(authentication: ClientAuthentication) -> NewClient {
    NewClient { scopes: [Scope::Scim].into(), label: None, authentication, repeatable: None }
}

impl World {
    /// Adds a secret to the client with a secret. Returns the secret and its id.
    async fn add_secret(&self, ends: Option<time::OffsetDateTime>) -> Result<(String, String), Error> {
        let app = &self.service.app;
        let added =
            app.store.add_secret(&self.org(), &self.client, ends, None, &app.pepper, &operator()).await?;
        let (credential, record) = added.expect("the client exists");
        Ok((credential.reveal().to_owned(), record.id))
    }

    async fn create_with(&self, authentication: ClientAuthentication) -> Result<String, Error> {
        let app = &self.service.app;
        let new = new_client(authentication);
        Ok(app.store.create_client(&self.org(), &new, &app.pepper, &operator()).await?.0.id)
    }

    /// Returns the number of entries of an action in the audit log.
    async fn audited(&self, action: &str) -> usize {
        let page = self.service.app.store.audit(&self.org(), 100, None).await.unwrap();
        page.items.iter().filter(|entry| entry.action == action).count()
    }
}

#[tokio::test]
async fn deleted_client_loses_its_tokens_at_once() {
    let world = World::new().await;
    let store = &world.service.app.store;
    let issued = token(&world.by_secret(&world.client, &world.secret).await);
    let of_other = token(&world.by_assertion(&world.federated, &world.assertion()).await);
    assert_eq!(world.status_of(&issued).await, 200);

    assert!(store.delete_client(&world.org(), &world.client, &operator()).await.unwrap());
    assert_eq!(world.status_of(&issued).await, 401);
    assert_eq!(verdict(&world.by_secret(&world.client, &world.secret).await), "401 invalid_client");
    assert_eq!(world.status_of(&of_other).await, 200, "the token of another client stays");
    assert_eq!(store.client(&world.org(), &world.client).await.unwrap(), None);
    assert!(!store.delete_client(&world.org(), &world.client, &operator()).await.unwrap());

    assert!(store.delete_client(&world.org(), &world.federated, &operator()).await.unwrap());
    assert_eq!(world.status_of(&of_other).await, 401);
    assert_eq!(
        verdict(&world.by_assertion(&world.federated, &world.assertion()).await),
        "401 invalid_client"
    );
    assert_eq!((world.audited("client.create").await, world.audited("client.delete").await), (2, 2));
}

#[tokio::test]
async fn client_has_the_time_of_its_last_token() {
    let world = World::new().await;
    let store = &world.service.app.store;
    let used = async || {
        let client = store.client(&world.org(), &world.client).await.unwrap().unwrap();
        client.last_used.zip(client.last_used_by)
    };
    let at = |time: &str| Some((time.to_owned(), "other".to_owned()));
    assert_eq!(used().await, None);
    assert_eq!(verdict(&world.by_secret(&world.client, "wrong").await), "401 invalid_client");
    assert_eq!(used().await, None, "a refused request is no use");
    token(&world.by_secret(&world.client, &world.secret).await);
    assert_eq!(used().await, at("2026-11-23T09:00:00.123Z"));
    world.advance(60);
    token(&world.by_secret(&world.client, &world.secret).await);
    assert_eq!(used().await, at("2026-11-23T09:01:00.123Z"));
    // A change of the secrets keeps it.
    world.add_secret(None).await.unwrap();
    assert_eq!(used().await, at("2026-11-23T09:01:00.123Z"));
}

#[tokio::test]
async fn ended_secret_loses_its_tokens_at_once() {
    let world = World::new().await;
    let store = &world.service.app.store;
    let (second, second_id) = world.add_secret(None).await.unwrap();
    let of_first = token(&world.by_secret(&world.client, &world.secret).await);
    let of_second = token(&world.by_secret(&world.client, &second).await);

    assert!(store.end_secret(&world.org(), &world.client, &second_id, &operator()).await.unwrap());
    assert_eq!((world.status_of(&of_first).await, world.status_of(&of_second).await), (200, 401));
    let refused = world.by_secret(&world.client, &second).await;
    assert_eq!(verdict(&refused), "401 invalid_client");
    assert!(refused.body["error_description"].as_str().unwrap().contains("ended at"), "{}", refused.body);
    token(&world.by_secret(&world.client, &world.secret).await);
    assert!(!store.end_secret(&world.org(), &world.client, "none", &operator()).await.unwrap());
    assert_eq!(world.audited("client.secret.add").await, 1);
    assert_eq!(world.audited("client.secret.end").await, 1);
}

#[tokio::test]
async fn client_has_at_most_five_live_secrets() {
    let world = World::new().await;
    let store = &world.service.app.store;
    let mut ids = Vec::new();
    for _ in 1..MAX_SECRETS {
        let (secret, id) = world.add_secret(None).await.unwrap();
        token(&world.by_secret(&world.client, &secret).await);
        ids.push(id);
    }
    let refused = world.add_secret(None).await.unwrap_err().to_string();
    assert!(refused.contains("5 live secrets"), "{refused}");
    store.end_secret(&world.org(), &world.client, &ids[0], &operator()).await.unwrap();
    world.add_secret(None).await.unwrap();
    let client = store.client(&world.org(), &world.client).await.unwrap().unwrap();
    assert_eq!(client.secrets.len(), MAX_SECRETS, "the ended secret is removed");
}

#[tokio::test]
async fn secret_lives_a_year_by_default_and_three_at_most() {
    let world = World::new().await;
    let client = world.service.app.store.client(&world.org(), &world.client).await.unwrap().unwrap();
    assert_eq!(client.secrets[0].ends, "2027-11-23T09:00:00.123Z");
    for days in [0, -1, 1_097, 100_000] {
        let ends = NOW + Duration::days(days);
        let error = world.add_secret(Some(ends)).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{days}: {error}");
        let error = world.create_with(ClientAuthentication::Secret(Some(ends))).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{days}: {error}");
    }
    world.add_secret(Some(NOW + Duration::days(1_096))).await.unwrap();
    world.advance(365 * 86_400 - 1);
    let answer = world.by_secret(&world.client, &world.secret).await;
    let issued = token(&answer);
    assert_eq!(answer.body["expires_in"], 1, "the token does not outlive its secret");
    world.advance(1);
    assert_eq!(world.status_of(&issued).await, 401);
    assert_eq!(verdict(&world.by_secret(&world.client, &world.secret).await), "401 invalid_client");
}

#[tokio::test]
async fn organisation_has_at_most_100_clients() {
    let world = World::new().await;
    let existing = world.service.app.store.clients(&world.org()).await.unwrap().len();
    for _ in existing..MAX_CLIENTS {
        world.create_with(ClientAuthentication::Secret(None)).await.unwrap();
    }
    for _ in 0..3 {
        let refused = world.create_with(ClientAuthentication::Secret(None)).await.unwrap_err();
        assert!(matches!(refused, Error::Conflict(_)), "{refused}");
        assert!(refused.to_string().contains("100 clients"), "{refused}");
    }
    assert_eq!(world.service.app.store.clients(&world.org()).await.unwrap().len(), MAX_CLIENTS);
}

#[tokio::test]
async fn disabled_organisation_gets_no_token() {
    let world = World::new().await;
    let issued = token(&world.by_secret(&world.client, &world.secret).await);
    world.enable(false).await;
    for answer in [
        world.by_secret(&world.client, &world.secret).await,
        world.by_assertion(&world.federated, &world.assertion()).await,
    ] {
        assert_eq!(verdict(&answer), "400 unauthorized_client");
        assert!(answer.body["error_description"].as_str().unwrap().contains("disabled"), "{}", answer.body);
    }
    assert_eq!(verdict(&world.by_secret(&world.client, "wrong").await), "401 invalid_client");
    assert_eq!(world.status_of(&issued).await, 403);
    world.enable(true).await;
    assert_eq!(world.status_of(&issued).await, 200);
}

#[tokio::test]
async fn invalid_client_is_refused_and_not_stored() {
    let world = World::new().await;
    let store = &world.service.app.store;
    let before = store.clients(&world.org()).await.unwrap();
    let trust = |issuer: &str| Trust { issuer: issuer.to_owned(), ..world.trust() };
    for trust in [
        trust("http://issuer.example"),
        trust("https://user@issuer.example"),
        trust("not a url"),
        Trust { jwks_uri: Some("https://elsewhere.example/keys".to_owned()), ..world.trust() },
        Trust { audience: String::new(), ..world.trust() },
    ] {
        let error = world.create_with(ClientAuthentication::Federation(trust)).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
    for new in [
        NewClient { scopes: [].into(), ..new_client(ClientAuthentication::Secret(None)) },
        NewClient { label: Some("x".repeat(201)), ..new_client(ClientAuthentication::Secret(None)) },
        NewClient { label: Some("a\nb".to_owned()), ..new_client(ClientAuthentication::Secret(None)) },
    ] {
        let app = &world.service.app;
        let error = store.create_client(&world.org(), &new, &app.pepper, &operator()).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
    let app = &world.service.app;
    let new = new_client(ClientAuthentication::Secret(None));
    let unknown = store.create_client(&"unknown".parse().unwrap(), &new, &app.pepper, &operator()).await;
    assert!(matches!(unknown, Err(Error::NotFound(_))));
    let federated =
        store.add_secret(&world.org(), &world.federated, None, None, &app.pepper, &operator()).await;
    assert!(matches!(federated, Err(Error::Conflict(_))));
    assert_eq!(store.clients(&world.org()).await.unwrap(), before);
}

#[tokio::test]
async fn client_of_another_organisation_is_unknown() {
    let world = World::new().await;
    let (other, _) = world.with_secret("beta", &[Scope::Scim]).await;
    let (store, org) = (&world.service.app.store, world.org());
    assert_eq!(store.client(&org, &other).await.unwrap(), None);
    let pepper = &world.service.app.pepper;
    assert_eq!(store.add_secret(&org, &other, None, None, pepper, &operator()).await.unwrap(), None);
    assert!(!store.end_secret(&org, &other, "x", &operator()).await.unwrap());
    assert!(!store.delete_client(&org, &other, &operator()).await.unwrap());
    assert!(store.client(&"beta".parse().unwrap(), &other).await.unwrap().is_some());
}

#[tokio::test]
async fn repeated_creation_returns_the_same_client() {
    let world = World::new().await;
    let (app, org) = (&world.service.app, world.org());
    let request = |secret: u8, fingerprint: &str| Repeatable {
        secret: [secret; 32],
        fingerprint: fingerprint.to_owned(),
    };
    let new =
        |request| NewClient { repeatable: Some(request), ..new_client(ClientAuthentication::Secret(None)) };
    let create = async |request| app.store.create_client(&org, &new(request), &app.pepper, &operator()).await;
    let (first, secret) = create(request(1, "a")).await.unwrap();
    assert_eq!(create(request(1, "a")).await.unwrap(), (first.clone(), secret));
    assert!(matches!(create(request(1, "b")).await, Err(Error::IdempotencyKeyUsed)));
    let add = async |request| {
        app.store.add_secret(&org, &first.id, None, Some(&request), &app.pepper, &operator()).await
    };
    let added = add(request(2, "a")).await.unwrap();
    assert_eq!(add(request(2, "a")).await.unwrap(), added);
    assert!(matches!(add(request(2, "b")).await, Err(Error::IdempotencyKeyUsed)));
    assert_eq!(app.store.client(&org, &first.id).await.unwrap().unwrap().secrets.len(), 2);
}

#[tokio::test]
async fn rotation_of_the_pepper_ends_no_secret_and_no_token() {
    let world = World::new().await;
    let issued = token(&world.by_secret(&world.client, &world.secret).await);
    let store = world.service.app.store.clone();
    let next = Peppers::single(Secret::new(PEPPER)).with_generation(Secret::new("next"));
    // The federated client has no secret to move.
    let moved = store.rewrap(&world.org(), &next).await.unwrap();
    assert_eq!(moved, 3, "the key, the token and the client");
    assert_eq!(store.rewrap(&world.org(), &next).await.unwrap(), 0);
    let world = world.with_pepper(Pepper::Fixed(next.with_latest_only()));
    assert_eq!(world.status_of(&issued).await, 200);
    let again = token(&world.by_secret(&world.client, &world.secret).await);
    assert_eq!(world.status_of(&again).await, 200);
    store.delete_client(&world.org(), &world.client, &operator()).await.unwrap();
    assert_eq!((world.status_of(&issued).await, world.status_of(&again).await), (401, 401));
}

/// Each call to DynamoDB takes some milliseconds, so requests for tokens are at every stage when the client is ended.
#[tokio::test(start_paused = true)]
async fn token_requested_while_its_client_ends_is_refused() {
    let mut issued = 0;
    for seed in 0..10 {
        let (service, _) = Service::realistic(seed).await;
        let (client, secret) = service.oauth_client("acme", &[Scope::Scim]).await;
        let org = service.org.parse().unwrap();
        let request = form_request(&with_secret(&client, secret.reveal()));
        let end = async {
            tokio::time::sleep(tokio::time::Duration::from_millis(3 * seed)).await;
            service.app.store.delete_client(&org, &client, &operator()).await.unwrap()
        };
        let requests = (0..12).map(|number| {
            let (request, service) = (&request, &service);
            async move {
                tokio::time::sleep(tokio::time::Duration::from_millis(4 * number)).await;
                request.send_as_is(service).await
            }
        });
        let (ended, answers) = tokio::join!(end, futures_util::future::join_all(requests));
        assert!(ended);
        for answer in answers.iter().filter(|answer| answer.status == 200) {
            issued += 1;
            let status = Request::get("/Users").bearer(&token(answer)).send(&service).await.status;
            assert_eq!(status, 401, "seed {seed}");
        }
    }
    assert!(issued > 0, "no token was issued before its client ended");
}

#[tokio::test]
async fn end_of_a_secret_is_announced() {
    let world = World::new().await;
    let store = &world.service.app.store;
    let ends = Some(NOW + Duration::days(40));
    let (_, ended) = world.add_secret(ends).await.unwrap();
    store.end_secret(&world.org(), &world.client, &ended, &operator()).await.unwrap();
    let (live, id) = world.add_secret(ends).await.unwrap();
    let doomed = world.create_with(ClientAuthentication::Secret(ends)).await.unwrap();
    store.delete_client(&world.org(), &doomed, &operator()).await.unwrap();
    let mut announced = Vec::new();
    for day in 0..50 {
        for due in store.dues().await.unwrap() {
            assert_eq!(due.id(), format!("{}#{id}", world.client));
            assert_eq!(store.announced_end(&due).await.unwrap().map(|end| end.days), Some(40 - day));
            store.finish_due(&due).await.unwrap();
            announced.push(day);
        }
        if day == 20 {
            token(&world.by_secret(&world.client, &live).await);
        }
        world.advance(86_400);
    }
    assert_eq!(announced, [10, 26, 33, 39]);
}
