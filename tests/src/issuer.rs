//! A fake identity provider: it signs assertions and serves its keys, over HTTP on a loopback address.
//!
//! The keys in `fixtures/issuer/` are for tests alone. They are in the repository, so they protect nothing.

use std::{
    fmt::Write,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_smithy_types::base64;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Response, StatusCode, header::LOCATION},
    routing,
};
use local::serve::serve;
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
        RsaPublicKeyComponents,
    },
};
use serde_json::{Value, json};
use service::clock::Clock;
use time::OffsetDateTime;
use tokio::{net::TcpListener, time::Duration};

/// The audience of the assertions.
pub const AUDIENCE: &str = "api://scim.example";
/// The subject of the assertions.
pub const SUBJECT: &str = "5f7c2d0e-provisioning";
/// The tenant of the assertions.
pub const TENANT: &str = "0f1e2d3c-tenant";
/// The application that requests the assertions.
pub const PARTY: &str = "9a8b7c6d-application";
/// The `kid` of the RSA key.
pub const RSA: &str = "rsa-1";
/// The `kid` of the P-256 key.
pub const EC: &str = "ec-1";

/// A private key.
pub enum SigningKey {
    /// For RS256 and PS256.
    Rsa(RsaKeyPair),
    /// For ES256.
    Ec(EcdsaKeyPair),
    /// For HS256.
    Secret(Vec<u8>),
}

impl SigningKey {
    /// Returns the RSA key of the issuer.
    #[must_use]
    pub fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::from_der(include_bytes!("../fixtures/issuer/rsa.der")).expect("a key"))
    }

    /// Returns an RSA key that the issuer does not have.
    #[must_use]
    pub fn foreign_rsa() -> Self {
        Self::Rsa(RsaKeyPair::from_der(include_bytes!("../fixtures/issuer/other.der")).expect("a key"))
    }

    /// Generates a P-256 key.
    #[must_use]
    pub fn ec() -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        Self::Ec(EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("a key"))
    }

    /// Returns the public key as a JSON Web Key.
    #[must_use]
    pub fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(key) => {
                let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({ "kty": "RSA", "use": "sig", "kid": kid, "n": base64url(&n), "e": base64url(&e) })
            }
            Self::Ec(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({
                    "kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "x": base64url(x), "y": base64url(y),
                })
            }
            Self::Secret(secret) => json!({ "kty": "oct", "kid": kid, "k": base64url(secret) }),
        }
    }

    /// Signs with an algorithm of the key. A key signs for any other algorithm with the one that its type suggests.
    #[must_use]
    pub fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                let signed = if algorithm == "PS256" {
                    key.sign(&RSA_PSS_SHA256, &random, message, &mut signature)
                } else {
                    key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                };
                signed.expect("a signature");
                signature
            }
            Self::Ec(key) => key.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Self::Secret(secret) => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
            }
        }
    }
}

/// Makes a JSON Web Token of a header and claims, both as JSON texts.
#[must_use]
pub fn token(header: &str, claims: &str, key: &SigningKey) -> String {
    let mut token = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
    let parsed: Value = serde_json::from_str(header).unwrap_or_default();
    let signature = key.sign(parsed["alg"].as_str().unwrap_or_default(), token.as_bytes());
    let _ = write!(token, ".{}", base64url(&signature));
    token
}

/// Encodes bytes as base64url without padding (RFC 7515 §2).
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    base64::encode(bytes).replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned()
}

/// The answer to a request for the keys.
#[derive(Debug, Clone)]
pub enum Keys {
    /// The keys of the issuer.
    Own,
    /// This text.
    Text(String),
    /// An error of this status.
    Status(u16),
    /// A redirect to this URL.
    Redirect(String),
    /// No answer.
    Never,
}

/// A running identity provider.
#[derive(Clone)]
pub struct Issuer {
    /// The URL, which is `iss`.
    pub url: String,
    /// The private RSA key, with the `kid` [`RSA`].
    pub rsa: Arc<SigningKey>,
    /// The private P-256 key, with the `kid` [`EC`].
    pub ec: Arc<SigningKey>,
    keys: Arc<Mutex<Keys>>,
    discovery: Arc<Mutex<Option<Value>>>,
    requests: Arc<AtomicUsize>,
    clock: Clock,
}

impl Issuer {
    /// Starts an issuer on a port of 127.0.0.1. With port 0, the port is a free one.
    pub async fn start(port: u16, clock: Clock) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let issuer = Self {
            url,
            rsa: Arc::new(SigningKey::rsa()),
            ec: Arc::new(SigningKey::ec()),
            keys: Arc::new(Mutex::new(Keys::Own)),
            discovery: Arc::default(),
            requests: Arc::default(),
            clock,
        };
        let router = Router::new()
            .route("/.well-known/openid-configuration", routing::get(discovery))
            .route("/keys", routing::get(keys))
            .route("/assertion", routing::get(assertion))
            .with_state(issuer.clone());
        tokio::spawn(serve(listener, router, std::future::pending()));
        issuer
    }

    /// Changes the answer to requests for the keys.
    pub fn answer_keys_with(&self, keys: Keys) {
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// Changes the discovery document.
    pub fn answer_discovery_with(&self, document: Value) {
        *self.discovery.lock().unwrap_or_else(PoisonError::into_inner) = Some(document);
    }

    /// Returns the number of requests for the keys and the discovery document.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Returns the keys of the issuer as a JSON Web Key Set.
    #[must_use]
    pub fn key_set(&self) -> Value {
        json!({ "keys": [self.rsa.jwk(RSA), self.ec.jwk(EC)] })
    }

    /// Returns the claims of an assertion that lasts an hour from now.
    #[must_use]
    pub fn claims(&self) -> Value {
        let now = self.clock.now().unix_timestamp();
        json!({
            "iss": self.url, "sub": SUBJECT, "aud": AUDIENCE, "tid": TENANT, "azp": PARTY, "ver": "2.0",
            "iat": now, "nbf": now, "exp": now + 3_600, "jti": format!("{now}"),
        })
    }

    /// Returns an assertion with these claims, signed by the key of that `kid`.
    #[must_use]
    pub fn assertion(&self, algorithm: &str, kid: &str, claims: &Value) -> String {
        let header = json!({ "alg": algorithm, "typ": "JWT", "kid": kid });
        let key = if kid == EC { &self.ec } else { &self.rsa };
        token(&header.to_string(), &claims.to_string(), key)
    }

    /// Returns the time of the clock of the issuer.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }
}

async fn discovery(State(issuer): State<Issuer>) -> Response<Body> {
    issuer.requests.fetch_add(1, Ordering::Relaxed);
    let changed = issuer.discovery.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let own = || json!({ "issuer": issuer.url, "jwks_uri": format!("{}/keys", issuer.url) });
    Response::new(changed.unwrap_or_else(own).to_string().into())
}

async fn keys(State(issuer): State<Issuer>, _: Request) -> Response<Body> {
    issuer.requests.fetch_add(1, Ordering::Relaxed);
    let answer = issuer.keys.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let status = |status: u16| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        response
    };
    match answer {
        Keys::Own => Response::new(issuer.key_set().to_string().into()),
        Keys::Text(text) => Response::new(text.into()),
        Keys::Status(error) => status(error),
        Keys::Redirect(url) => {
            // A client that accepts the status of a redirect finds the right keys in its body.
            let mut response = status(302);
            *response.body_mut() = issuer.key_set().to_string().into();
            response.headers_mut().insert(LOCATION, url.parse().expect("a URL"));
            response
        }
        Keys::Never => {
            tokio::time::sleep(Duration::from_hours(1)).await;
            status(500)
        }
    }
}

async fn assertion(State(issuer): State<Issuer>) -> String {
    issuer.assertion("ES256", EC, &issuer.claims())
}
