//! A service with OAuth clients, an identity provider, and a clock that tests advance.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use aws_smithy_types::base64;
use axum::{body::Bytes, http::Method};
use service::{
    App,
    auth::{Org, Scope},
    clock::Clock,
    http,
    oauth::Reach,
    pepper::Pepper,
    store::{ClientAuthentication, ClientRecord, NewClient, OrgChange},
    trust::Trust,
};
use tests::{
    Answer, NOW, Request, Service, encode,
    issuer::{AUDIENCE, EC, Issuer, PARTY, SUBJECT, TENANT},
    operator, routes,
};

/// The type of assertion (RFC 7523 §2.2).
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The form of a request with a secret.
pub(crate) type Form<'a> = Vec<(&'a str, &'a str)>;

pub(crate) struct World {
    pub(crate) service: Service,
    pub(crate) issuer: Issuer,
    /// The id of a client that trusts the issuer.
    pub(crate) federated: String,
    /// The id of a client with a secret.
    pub(crate) client: String,
    /// The secret of that client.
    pub(crate) secret: String,
    seconds: Arc<AtomicI64>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::reaching(Reach::InternetAndLoopback).await
    }

    /// Makes a world whose service reads keys from these hosts.
    pub(crate) async fn reaching(reach: Reach) -> Self {
        let seconds = Arc::<AtomicI64>::default();
        let offset = seconds.clone();
        let clock = Clock::new(move || NOW + time::Duration::seconds(offset.load(Ordering::Relaxed)));
        let service = Service::with_clock(clock.clone()).await;
        service.require_in_process("it reads keys from an issuer in this process");
        let router = http::router(service.app.clone(), routes(&service.app, reach));
        let service = service.with_router(router);
        let issuer = Issuer::start(0, clock).await;
        let mut world = Self {
            service,
            issuer,
            federated: String::new(),
            client: String::new(),
            secret: String::new(),
            seconds,
        };
        world.federated = world.trusting(world.trust()).await;
        (world.client, world.secret) = world.with_secret("acme", &[Scope::Scim]).await;
        world
    }

    /// Returns the world as a process with this pepper serves it.
    pub(crate) fn with_pepper(mut self, pepper: Pepper) -> Self {
        let app = App { pepper, ..self.service.app.clone() };
        let router = http::router(app.clone(), routes(&app, Reach::InternetAndLoopback));
        self.service.app = app;
        Self { service: self.service.with_router(router), ..self }
    }

    /// Advances the clock of the service and of the issuer.
    pub(crate) fn advance(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(crate) fn org(&self) -> Org {
        self.service.org.parse().unwrap()
    }

    /// Returns the trust in the issuer.
    pub(crate) fn trust(&self) -> Trust {
        Trust {
            issuer: self.issuer.url.clone(),
            audience: AUDIENCE.to_owned(),
            subject: SUBJECT.to_owned(),
            tid: Some(TENANT.to_owned()),
            azp: Some(PARTY.to_owned()),
            jwks_uri: None,
        }
    }

    /// Creates a client with this trust, and returns its id.
    pub(crate) async fn trusting(&self, trust: Trust) -> String {
        let (record, secret) =
            self.create(&self.org(), ClientAuthentication::Federation(trust), &[Scope::Scim]).await;
        assert_eq!(secret, None);
        record.id
    }

    /// Creates a client with a secret in an organisation, and returns its id and the secret.
    pub(crate) async fn with_secret(&self, org: &str, scopes: &[Scope]) -> (String, String) {
        self.service.app.store.create_org(&org.parse().unwrap(), &operator()).await.unwrap();
        let (record, secret) =
            self.create(&org.parse().unwrap(), ClientAuthentication::Secret(None), scopes).await;
        (record.id, secret.unwrap())
    }

    async fn create(
        &self,
        org: &Org,
        authentication: ClientAuthentication,
        scopes: &[Scope],
    ) -> (ClientRecord, Option<String>) {
        let scopes = scopes.iter().copied().collect();
        let new = NewClient { scopes, label: None, authentication, repeatable: None };
        let app = &self.service.app;
        let (record, secret) =
            app.store.create_client(org, &new, &app.pepper, &operator()).await.expect("a client");
        (record, secret.map(|secret| secret.reveal().to_owned()))
    }

    /// Enables or disables the organisation.
    pub(crate) async fn enable(&self, enabled: bool) {
        let change = OrgChange { enabled: Some(enabled), settings: None };
        self.service.app.store.change_org(&self.org(), change, &operator()).await.unwrap();
    }

    /// Sends a token request with these parameters.
    pub(crate) async fn post(&self, form: &[(&str, &str)]) -> Answer {
        form_request(form).send_as_is(&self.service).await
    }

    /// Sends a token request with a secret in the form.
    pub(crate) async fn by_secret(&self, client: &str, secret: &str) -> Answer {
        self.post(&with_secret(client, secret)).await
    }

    /// Sends a token request with an assertion.
    pub(crate) async fn by_assertion(&self, client: &str, assertion: &str) -> Answer {
        self.post(&with_assertion(client, assertion)).await
    }

    /// Returns an assertion that proves [`Self::federated`].
    pub(crate) fn assertion(&self) -> String {
        self.issuer.assertion("ES256", EC, &self.issuer.claims())
    }

    /// Returns the status of a request to `/Users` with this token.
    pub(crate) async fn status_of(&self, token: &str) -> u16 {
        Request::get("/Users").bearer(token).send(&self.service).await.status
    }
}

/// Returns the parameters of a request with a secret.
pub(crate) fn with_secret<'a>(client: &'a str, secret: &'a str) -> Form<'a> {
    vec![("grant_type", "client_credentials"), ("client_id", client), ("client_secret", secret)]
}

/// Returns the parameters of a request with an assertion.
pub(crate) fn with_assertion<'a>(client: &'a str, assertion: &'a str) -> Form<'a> {
    vec![
        ("grant_type", "client_credentials"),
        ("client_id", client),
        ("client_assertion_type", JWT_BEARER),
        ("client_assertion", assertion),
    ]
}

/// Returns a token request with these parameters.
pub(crate) fn form_request(form: &[(&str, &str)]) -> Request {
    let body: Vec<String> =
        form.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    raw_request(body.join("&"))
}

/// Returns a token request with this body.
pub(crate) fn raw_request(body: impl Into<Bytes>) -> Request {
    let request = Request { target: "/oauth2/token".to_owned(), ..Request::new(Method::POST, "") };
    Request { body: body.into(), ..request.header("content-type", "application/x-www-form-urlencoded") }
}

/// Returns the value of an Authorization header with a client and its secret.
pub(crate) fn basic(client: &str, secret: &str) -> String {
    format!("Basic {}", base64::encode(format!("{}:{}", encode(client), encode(secret))))
}

/// Returns the token in an answer, whose form is checked.
pub(crate) fn token(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{:#}", answer.body);
    let violations = violations(answer);
    assert!(violations.is_empty(), "{violations:?}");
    answer.body["access_token"].as_str().expect("a token").to_owned()
}

/// Returns the status and the error code.
pub(crate) fn verdict(answer: &Answer) -> String {
    match answer.body["error"].as_str() {
        Some(code) => format!("{} {code}", answer.status),
        None => answer.status.to_string(),
    }
}

/// Lists the violations of the form of an answer (RFC 6749 §5.1, §5.2).
pub(crate) fn violations(answer: &Answer) -> Vec<String> {
    let mut violations = Vec::new();
    let mut expect = |what: &str, found: &str, expected: &str| {
        if found != expected {
            violations.push(format!("{what} is {found:?}, not {expected:?}"));
        }
    };
    expect("content-type", answer.header("content-type"), "application/json");
    expect("cache-control", answer.header("cache-control"), "no-store");
    expect("pragma", answer.header("pragma"), "no-cache");
    expect("x-content-type-options", answer.header("x-content-type-options"), "nosniff");
    if answer.status >= 400 {
        let challenge = answer.header("www-authenticate");
        expect(
            "a challenge",
            if challenge.starts_with("Basic ") { "401" } else { "none" },
            if answer.status == 401 { "401" } else { "none" },
        );
        let description = answer.body["error_description"].as_str().unwrap_or_default();
        let is_allowed = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
        if description.is_empty() || !description.chars().all(is_allowed) {
            violations.push(format!("the description is {description:?}"));
        }
        if answer.body.get("access_token").is_some() {
            violations.push("an error has a token".to_owned());
        }
    }
    violations
}
