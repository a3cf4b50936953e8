//! Assertions: signed JSON Web Tokens that prove a client (RFC 7523 §2.2, §3).
//!
//! The key decides the algorithm, and the registered trust decides whose keys. Headers that bring a key or a URL of one
//! (`jwk`, `jku`, `x5c`, `x5u`) are not read. The time comes from [`Clock`], so [`jsonwebtoken`] checks no time.
//!
//! An assertion may be used until it ends. RFC 7523 §3 leaves it to the service to remember `jti`. Entra caches its tokens,
//! presents the same one several times, and sends no `jti` that it promises to be unique. [`MAX_LIFETIME`] bounds the time
//! of a stolen assertion.

use jsonwebtoken::{Algorithm, Validation, decode, decode_header, errors::ErrorKind};
use serde::Deserialize;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::{
    fetch::{Reach, SourceFailure},
    issuer_keys::IssuerKeys,
    signature::use_ring,
};
use crate::{clock::Clock, limits::MAX_ASSERTION, trust::Trust};

/// The largest difference between the clocks of an issuer and of this service.
const LEEWAY: Duration = Duration::seconds(60);
/// The longest time until the end of an assertion. The longest tokens of Entra last 24 hours.
const MAX_LIFETIME: Duration = Duration::hours(25);

/// Verifies assertions. A clone shares the cache of keys.
#[derive(Clone)]
pub struct Assertions {
    keys: IssuerKeys,
    clock: Clock,
}

/// Why an assertion does not prove the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AssertionError {
    /// The assertion is refused.
    Refused(Flaw),
    /// The keys of the issuer cannot be read.
    NoKeys(SourceFailure),
}

/// The flaw of an assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It is not a signed JSON Web Token with a supported algorithm.
    Malformed,
    /// It has extensions that must be understood (`crit`).
    Critical,
    /// It names no key of the issuer.
    Key,
    /// The key is not for the algorithm.
    Algorithm,
    /// The signature is not of the key.
    Signature,
    /// A claim is absent or has the wrong type.
    Claims,
    /// `iss` is another one.
    Issuer,
    /// `aud` is another one, or not the only one.
    Audience,
    /// `sub` is another one.
    Subject,
    /// `tid` is another one.
    Tenant,
    /// `azp` is another one.
    Party,
    /// It has ended.
    Expired,
    /// It ends too late.
    TooLong,
    /// It is not valid yet.
    Early,
}

impl Flaw {
    /// Returns the word for the log.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Malformed => "assertion-malformed",
            Self::Critical => "assertion-crit",
            Self::Key => "assertion-kid",
            Self::Algorithm => "assertion-alg",
            Self::Signature => "assertion-signature",
            Self::Claims => "assertion-claims",
            Self::Issuer => "assertion-iss",
            Self::Audience => "assertion-aud",
            Self::Subject => "assertion-sub",
            Self::Tenant => "assertion-tid",
            Self::Party => "assertion-azp",
            Self::Expired => "assertion-expired",
            Self::TooLong => "assertion-too-long",
            Self::Early => "assertion-early",
        }
    }

    /// Returns the cause and the remedy for the client.
    pub(crate) const fn detail(self) -> &'static str {
        match self {
            Self::Malformed => {
                "The client_assertion is not a JSON Web Token that is signed with RS256, PS256 or ES256. Send the token of \
                 the registered issuer."
            }
            Self::Critical => {
                "The client_assertion has the header crit. Send it without critical extensions."
            }
            Self::Key => {
                "The header kid of the client_assertion names no key of the registered issuer. Send a token of that issuer."
            }
            Self::Algorithm => {
                "The header alg of the client_assertion is not an algorithm of the key. Use RS256 or PS256 with an RSA \
                 key, and ES256 with a P-256 key."
            }
            Self::Signature => {
                "The signature of the client_assertion is not valid. Send the token of the issuer unchanged."
            }
            Self::Claims => {
                "A claim of the client_assertion is absent or has the wrong type. Send iss, sub, aud and exp, each once."
            }
            Self::Issuer => {
                "The claim iss of the client_assertion is not the registered issuer. Register this issuer, or send a token \
                 of the registered one."
            }
            Self::Audience => {
                "The claim aud of the client_assertion is not the registered audience alone. Register this audience, or \
                 request a token for the registered one."
            }
            Self::Subject => {
                "The claim sub of the client_assertion is not the registered subject. Register this subject, or send a \
                 token of the registered one."
            }
            Self::Tenant => {
                "The claim tid of the client_assertion is not the registered tenant. Send a token of that tenant."
            }
            Self::Party => {
                "The claim azp of the client_assertion is not the registered application. Send a token of that application."
            }
            Self::Expired => "The client_assertion has expired. Request a new token from the issuer.",
            Self::TooLong => {
                "The client_assertion ends in more than 25 hours. Request a token with a shorter lifetime."
            }
            Self::Early => {
                "The client_assertion is not valid yet. Check the clock of the issuer, then repeat the request."
            }
        }
    }
}

/// The claims that are checked. A claim that occurs twice is refused.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
    tid: Option<Value>,
    azp: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    /// Returns whether this is the only audience. Each of several ones could present the assertion here.
    fn is_only(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => matches!(several.as_slice(), [one] if one == audience),
        }
    }
}

impl Assertions {
    /// Returns a verifier without cached keys.
    #[must_use]
    pub fn new(clock: Clock, reach: Reach) -> Self {
        use_ring();
        Self { keys: IssuerKeys::new(clock.clone(), reach), clock }
    }

    /// Verifies that the assertion fulfils the trust.
    pub(crate) async fn verify(&self, trust: &Trust, assertion: &str) -> Result<(), AssertionError> {
        let refused = |flaw| Err(AssertionError::Refused(flaw));
        if assertion.len() > MAX_ASSERTION {
            return refused(Flaw::Malformed);
        }
        let Ok(header) = decode_header(assertion) else { return refused(Flaw::Malformed) };
        if !matches!(header.alg, Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256) {
            return refused(Flaw::Malformed);
        }
        if header.crit.is_some() {
            return refused(Flaw::Critical);
        }
        let Some(kid) = header.kid else { return refused(Flaw::Key) };
        let key = match self.keys.key(trust, &kid).await {
            Ok(Some(key)) => key,
            Ok(None) => return refused(Flaw::Key),
            Err(failure) => return Err(AssertionError::NoKeys(failure)),
        };
        if !key.permits(header.alg) {
            return refused(Flaw::Algorithm);
        }
        let claims = match decode::<Claims>(assertion, &key.key, &signature_only(header.alg)) {
            Ok(token) => token.claims,
            Err(error) => {
                return refused(match error.kind() {
                    ErrorKind::InvalidSignature | ErrorKind::Base64(_) => Flaw::Signature,
                    _ => Flaw::Claims,
                });
            }
        };
        check(&claims, trust, self.clock.now()).map_err(AssertionError::Refused)
    }
}

/// Returns the options with which [`decode`] verifies the signature and reads the claims. [`check`] checks the claims.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

fn check(claims: &Claims, trust: &Trust, now: OffsetDateTime) -> Result<(), Flaw> {
    let differs = |claim: &Option<Value>, registered: &Option<String>| {
        registered.as_ref().is_some_and(|text| claim.as_ref().and_then(Value::as_str) != Some(text))
    };
    if claims.iss != trust.issuer {
        return Err(Flaw::Issuer);
    }
    if !claims.aud.is_only(&trust.audience) {
        return Err(Flaw::Audience);
    }
    if claims.sub != trust.subject {
        return Err(Flaw::Subject);
    }
    if differs(&claims.tid, &trust.tid) {
        return Err(Flaw::Tenant);
    }
    if differs(&claims.azp, &trust.azp) {
        return Err(Flaw::Party);
    }
    let end = since_1970(claims.exp)?;
    if end <= now - LEEWAY {
        return Err(Flaw::Expired);
    }
    if end > now + MAX_LIFETIME {
        return Err(Flaw::TooLong);
    }
    for start in [claims.nbf, claims.iat].into_iter().flatten() {
        if since_1970(start)? > now + LEEWAY {
            return Err(Flaw::Early);
        }
    }
    Ok(())
}

/// Reads a `NumericDate` (RFC 7519 §2), which may have a fraction.
fn since_1970(seconds: f64) -> Result<OffsetDateTime, Flaw> {
    let since = Duration::checked_seconds_f64(seconds).ok_or(Flaw::Claims)?;
    OffsetDateTime::UNIX_EPOCH.checked_add(since).ok_or(Flaw::Claims)
}
