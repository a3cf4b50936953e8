//! The pepper: the secret that digests of API keys are made with, and the sources it is read from.

use std::fmt;
#[cfg(feature = "cloud")]
use std::sync::Arc;

#[cfg(feature = "cloud")]
use aws_sdk_secretsmanager::{Client, error::ProvideErrorMetadata};
#[cfg(feature = "cloud")]
use tokio::{
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::Error;
#[cfg(feature = "cloud")]
use crate::{
    error::{CallFailure, Reason},
    limits::SECRET_TIMEOUT,
    sdk_failure::call_failure,
};

/// The name of the event that Secrets Manager did not return the pepper.
pub(crate) const UNREADABLE: &str = "unreadable pepper";

/// How long a pepper is used before Secrets Manager is asked again.
#[cfg(feature = "cloud")]
const PEPPER_TTL: Duration = Duration::from_mins(5);
/// The shortest time between two requests to Secrets Manager: after an unknown key or a failed request.
#[cfg(feature = "cloud")]
const PEPPER_RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// Secret bytes. `Debug` hides them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps the bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Returns the bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The peppers that a digest may have been made with. New keys use the current pepper. The previous pepper stays valid
/// while the secret is being rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peppers {
    /// The current pepper.
    pub current: Secret,
    /// The previous pepper, if the secret has one.
    pub previous: Option<Secret>,
}

/// The source of the peppers.
#[derive(Clone)]
pub enum Pepper {
    /// Peppers that were read from a file at the start.
    File(Peppers),
    /// A secret in Secrets Manager, cached.
    #[cfg(feature = "cloud")]
    SecretsManager(PepperSecret),
}

impl Pepper {
    /// Returns the peppers to try.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if Secrets Manager has never answered.
    #[cfg_attr(
        not(feature = "cloud"),
        expect(clippy::unused_async, reason = "only Secrets Manager is awaited")
    )]
    pub async fn peppers(&self) -> Result<Peppers, Error> {
        match self {
            Self::File(peppers) => Ok(peppers.clone()),
            #[cfg(feature = "cloud")]
            Self::SecretsManager(secret) => secret.peppers().await,
        }
    }

    /// Returns the latest peppers for a key that is unknown under `tried`, or `None` if the peppers are the same.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if Secrets Manager does not answer.
    #[cfg_attr(
        not(feature = "cloud"),
        expect(clippy::unused_async, reason = "only Secrets Manager is awaited")
    )]
    pub(crate) async fn newer_than(&self, tried: &Peppers) -> Result<Option<Peppers>, Error> {
        let now = match self {
            Self::File(peppers) => peppers.clone(),
            #[cfg(feature = "cloud")]
            Self::SecretsManager(secret) => secret.refreshed().await?,
        };
        Ok((now != *tried).then_some(now))
    }
}

/// A secret in Secrets Manager that holds the pepper, with a cache. The previous version of the secret stays valid while
/// the secret is being rotated. If Secrets Manager does not answer, the cached peppers stay in use.
#[cfg(feature = "cloud")]
#[derive(Clone)]
pub struct PepperSecret {
    client: Client,
    id: String,
    cache: Arc<Mutex<Option<CachedPeppers>>>,
}

/// The peppers of the last answer.
#[cfg(feature = "cloud")]
#[derive(Clone)]
struct CachedPeppers {
    peppers: Peppers,
    /// The time of the last request.
    requested: Instant,
    /// Why the last request failed, if it did.
    failure: Option<CallFailure>,
}

#[cfg(feature = "cloud")]
impl PepperSecret {
    /// Returns the secret with that name or ARN.
    #[must_use]
    pub fn new(client: Client, id: String) -> Self {
        Self { client, id, cache: Arc::default() }
    }

    /// Returns the peppers to try.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if Secrets Manager has never answered.
    pub async fn peppers(&self) -> Result<Peppers, Error> {
        let mut cache = self.cache.lock().await;
        let ttl = |cached: &CachedPeppers| {
            if cached.failure.is_none() { PEPPER_TTL } else { PEPPER_RETRY_INTERVAL }
        };
        match &*cache {
            Some(fresh) if fresh.requested.elapsed() < ttl(fresh) => Ok(fresh.peppers.clone()),
            _ => self.request(&mut cache).await.map(|cached| cached.peppers),
        }
    }

    /// Returns the peppers to try for a key that is unknown under the cached ones. Asks Secrets Manager again, but at
    /// most once per [`PEPPER_RETRY_INTERVAL`].
    ///
    /// # Errors
    /// [`Error::Unavailable`] if Secrets Manager does not answer, because the key may be valid.
    async fn refreshed(&self) -> Result<Peppers, Error> {
        let mut cache = self.cache.lock().await;
        let cached = match &*cache {
            Some(fresh) if fresh.requested.elapsed() < PEPPER_RETRY_INTERVAL => fresh.clone(),
            _ => self.request(&mut cache).await?,
        };
        cached.failure.map_or(Ok(cached.peppers), |failure| Err(unavailable(failure)))
    }

    async fn request(&self, cache: &mut Option<CachedPeppers>) -> Result<CachedPeppers, Error> {
        let versions = async { tokio::join!(self.version("AWSCURRENT"), self.version("AWSPREVIOUS")) };
        let requested = Instant::now();
        // One version alone is not an answer: keys under the other version would count as unknown.
        let failure = match tokio::time::timeout(SECRET_TIMEOUT, versions).await {
            Ok((Ok(Some(current)), Ok(previous))) => {
                let peppers = Peppers { current, previous };
                return Ok(cache.insert(CachedPeppers { peppers, requested, failure: None }).clone());
            }
            Ok((Ok(None), Ok(_))) => CallFailure::NotFound,
            Ok((Err(failure), _) | (_, Err(failure))) => failure,
            Err(_) => CallFailure::Timeout,
        };
        let error = unavailable(failure);
        tracing::error!(name: UNREADABLE, cause = error.cause(), PepperFailures = 1, "the pepper cannot be read");
        let stale = cache.take().ok_or(error)?;
        Ok(cache.insert(CachedPeppers { requested, failure: Some(failure), ..stale }).clone())
    }

    /// Reads the version of the secret with that label, if there is one.
    async fn version(&self, stage: &str) -> Result<Option<Secret>, CallFailure> {
        match self.client.get_secret_value().secret_id(&self.id).version_stage(stage).send().await {
            Ok(answer) => Ok(answer.secret_string.map(Secret::new)),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(call_failure(&error)),
        }
    }
}

#[cfg(feature = "cloud")]
fn unavailable(failure: CallFailure) -> Error {
    Error::Unavailable(Reason::SecretsManager(failure))
}
