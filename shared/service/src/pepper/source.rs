//! The sources of the peppers: a file, or a secret in Secrets Manager.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex as SyncMutex, PoisonError},
};

#[cfg(feature = "cloud")]
use aws_sdk_secretsmanager::{Client, error::ProvideErrorMetadata};
#[cfg(feature = "cloud")]
use tokio::{
    sync::Mutex,
    time::{Duration, Instant},
};

use super::Peppers;
use crate::{
    Error,
    error::{CallFailure, Reason},
};
#[cfg(feature = "cloud")]
use crate::{limits::SECRET_TIMEOUT, sdk_failure::call_failure};

/// The name of the event that Secrets Manager did not return the pepper.
pub(crate) const UNREADABLE: &str = "unreadable pepper";

/// How long a pepper is used before Secrets Manager is asked again.
#[cfg(feature = "cloud")]
const PEPPER_TTL: Duration = Duration::from_mins(5);
/// The shortest time between two requests to Secrets Manager: after an unknown key or a failed request.
#[cfg(feature = "cloud")]
const PEPPER_RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// The source of the peppers.
#[derive(Clone)]
pub enum Pepper {
    /// Peppers that do not change.
    Fixed(Peppers),
    /// A file, which a rotation replaces.
    File(PepperFile),
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
            Self::Fixed(peppers) => Ok(peppers.clone()),
            Self::File(file) => Ok(file.peppers()),
            #[cfg(feature = "cloud")]
            Self::SecretsManager(secret) => secret.peppers().await,
        }
    }

    /// Returns peppers that have this generation. An organisation whose items have it proves that it exists.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the source does not answer, or does not have the generation yet.
    #[cfg_attr(
        not(feature = "cloud"),
        expect(clippy::unused_async, reason = "only Secrets Manager is awaited")
    )]
    pub async fn at_least(&self, generation: u32) -> Result<Peppers, Error> {
        let cached = self.peppers().await?;
        if cached.generation() >= generation {
            return Ok(cached);
        }
        let latest = match self {
            Self::Fixed(peppers) => peppers.clone(),
            Self::File(file) => file.reread()?,
            #[cfg(feature = "cloud")]
            Self::SecretsManager(secret) => secret.reread().await?,
        };
        if latest.generation() >= generation { Ok(latest) } else { Err(unavailable(CallFailure::NotFound)) }
    }

    /// Returns the latest peppers for a key that is unknown under `tried`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if Secrets Manager does not answer.
    #[cfg_attr(
        not(feature = "cloud"),
        expect(clippy::unused_async, reason = "only Secrets Manager is awaited")
    )]
    pub(crate) async fn latest(&self) -> Result<Peppers, Error> {
        match self {
            Self::Fixed(peppers) => Ok(peppers.clone()),
            Self::File(file) => Ok(file.peppers()),
            #[cfg(feature = "cloud")]
            Self::SecretsManager(secret) => secret.refreshed().await,
        }
    }
}

/// A file that holds the peppers, with a cache.
#[derive(Clone)]
pub struct PepperFile {
    pub(super) path: PathBuf,
    cache: Arc<SyncMutex<Peppers>>,
}

impl PepperFile {
    /// Reads the file.
    ///
    /// # Errors
    /// The error of the file system, or [`io::ErrorKind::InvalidData`] if the file does not hold peppers.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), cache: Arc::new(SyncMutex::new(read(path)?)) })
    }

    fn peppers(&self) -> Peppers {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn reread(&self) -> Result<Peppers, Error> {
        let peppers = read(&self.path)
            .map_err(|_| Error::Internal("the file with the peppers cannot be read".to_owned()))?;
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&peppers);
        Ok(peppers)
    }
}

pub(super) fn read(path: &Path) -> io::Result<Peppers> {
    Peppers::parse(&fs::read(path)?, None).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// A secret in Secrets Manager that holds the peppers, with a cache. If Secrets Manager does not answer, the cached peppers
/// stay in use.
#[cfg(feature = "cloud")]
#[derive(Clone)]
pub struct PepperSecret {
    pub(super) client: Client,
    pub(super) id: String,
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

    /// Returns the peppers after a request to Secrets Manager. An item of a later generation than the cached peppers has
    /// proven that there are others, so no interval applies.
    async fn reread(&self) -> Result<Peppers, Error> {
        let cached = self.request(&mut *self.cache.lock().await).await?;
        cached.failure.map_or(Ok(cached.peppers), |failure| Err(unavailable(failure)))
    }

    async fn request(&self, cache: &mut Option<CachedPeppers>) -> Result<CachedPeppers, Error> {
        let versions = async { tokio::join!(self.version("AWSCURRENT"), self.version("AWSPREVIOUS")) };
        let requested = Instant::now();
        // One version alone is not an answer: keys under the other version would count as unknown.
        let failure = match tokio::time::timeout(SECRET_TIMEOUT, versions).await {
            Ok((Ok(Some(current)), Ok(previous))) => {
                match Peppers::parse(current.as_bytes(), previous.as_ref().map(String::as_bytes)) {
                    Ok(peppers) => {
                        return Ok(cache.insert(CachedPeppers { peppers, requested, failure: None }).clone());
                    }
                    Err(_) => CallFailure::Other,
                }
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
    async fn version(&self, stage: &str) -> Result<Option<String>, CallFailure> {
        match self.client.get_secret_value().secret_id(&self.id).version_stage(stage).send().await {
            Ok(answer) => Ok(answer.secret_string),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(call_failure(&error)),
        }
    }
}

pub(super) fn unavailable(failure: CallFailure) -> Error {
    Error::Unavailable(Reason::SecretsManager(failure))
}
