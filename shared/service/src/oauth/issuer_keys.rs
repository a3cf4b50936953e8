//! The keys of issuers, cached by `kid`.
//!
//! The keys of an issuer are read again after an hour, and for an unknown `kid`, but at most every 30 s. While they cannot
//! be read, the cached keys stay in use. One request at a time reads the keys of an issuer, and the others wait for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::body::Bytes;
use scim::json;
use serde_json::Value;
use tokio::time::{Duration, timeout};

use super::{
    fetch::{Fetcher, Reach, SourceFailure},
    key_set::{self, IssuerKey},
};
use crate::{
    clock::Clock,
    limits::KEYS_TIMEOUT,
    trust::{Trust, Url},
};

/// The time after which keys are read again.
const FRESH: Duration = Duration::from_hours(1);
/// The shortest time between two reads of the keys of an issuer.
const PAUSE: Duration = Duration::from_secs(30);
/// The largest number of issuers whose keys are cached.
const MAX_ISSUERS: usize = 256;
/// The path of the discovery document under the issuer (OpenID Connect Discovery 1.0 §4).
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// The cached keys of all issuers. A clone shares the cache.
#[derive(Clone)]
pub(super) struct IssuerKeys {
    fetcher: Fetcher,
    clock: Clock,
    issuers: Arc<Mutex<HashMap<Source, Arc<tokio::sync::Mutex<Cached>>>>>,
}

/// The issuer, and the URL of its keys if it is registered.
type Source = (String, Option<String>);

#[derive(Default)]
struct Cached {
    keys: Option<HashMap<String, IssuerKey>>,
    /// The time at which the keys were read, in milliseconds since 1970.
    read: u64,
    /// The time of the last attempt.
    tried: Option<u64>,
    /// Why the last attempt failed, if it did.
    failure: Option<SourceFailure>,
}

impl IssuerKeys {
    pub(super) fn new(clock: Clock, reach: Reach) -> Self {
        Self { fetcher: Fetcher::new(reach), clock, issuers: Arc::default() }
    }

    /// Returns the key of that `kid`, or `None` if the issuer has no such key.
    ///
    /// # Errors
    /// The keys cannot be read, and the cache does not have the key.
    pub(super) async fn key(&self, trust: &Trust, kid: &str) -> Result<Option<IssuerKey>, SourceFailure> {
        let cached = self.cached(trust);
        let mut cached = cached.lock().await;
        let now = self.clock.unix_millis();
        let is_over = |since: u64, time: Duration| u128::from(now.saturating_sub(since)) >= time.as_millis();
        let is_known = cached.keys.as_ref().is_some_and(|keys| keys.contains_key(kid));
        let is_wanted = !is_known || is_over(cached.read, FRESH);
        if is_wanted && cached.tried.is_none_or(|tried| is_over(tried, PAUSE)) {
            cached.tried = Some(now);
            match timeout(KEYS_TIMEOUT, self.read(trust)).await.unwrap_or(Err(SourceFailure::Timeout)) {
                Ok(keys) => *cached = Cached { keys: Some(keys), read: now, tried: Some(now), failure: None },
                Err(failure) => {
                    tracing::warn!(cause = failure.word(), "the keys of an issuer cannot be read");
                    cached.failure = Some(failure);
                }
            }
        }
        let key = cached.keys.as_ref().and_then(|keys| keys.get(kid)).cloned();
        match (key, cached.failure) {
            (None, Some(failure)) => Err(failure),
            (key, _) => Ok(key),
        }
    }

    fn cached(&self, trust: &Trust) -> Arc<tokio::sync::Mutex<Cached>> {
        let source = (trust.issuer.clone(), trust.jwks_uri.clone());
        let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        if issuers.len() >= MAX_ISSUERS && !issuers.contains_key(&source) {
            // A process that serves more issuers reads their keys again.
            issuers.clear();
        }
        issuers.entry(source).or_default().clone()
    }

    async fn read(&self, trust: &Trust) -> Result<HashMap<String, IssuerKey>, SourceFailure> {
        let issuer = Url::parse(&trust.issuer).ok_or(SourceFailure::Foreign)?;
        let keys = match &trust.jwks_uri {
            Some(registered) => registered.clone(),
            None => self.discover(trust).await?,
        };
        let keys =
            Url::parse(&keys).filter(|keys| keys.origin == issuer.origin).ok_or(SourceFailure::Foreign)?;
        key_set::parse(&self.fetcher.get(&keys).await?).ok_or(SourceFailure::Content)
    }

    /// Returns the URL of the keys that the discovery document of the issuer names.
    async fn discover(&self, trust: &Trust) -> Result<String, SourceFailure> {
        let url = format!("{}{DISCOVERY}", trust.issuer.trim_end_matches('/'));
        let url = Url::parse(&url).ok_or(SourceFailure::Foreign)?;
        let document: Bytes = self.fetcher.get(&url).await?;
        let document = json::parse(&document).map_err(|_| SourceFailure::Content)?;
        if document.get("issuer").and_then(Value::as_str) != Some(&trust.issuer) {
            return Err(SourceFailure::Foreign);
        }
        document.get("jwks_uri").and_then(Value::as_str).map(str::to_owned).ok_or(SourceFailure::Content)
    }
}
