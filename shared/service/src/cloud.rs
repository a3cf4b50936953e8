//! AWS itself: clients with TLS and the credential chain, and the pepper in Secrets Manager.

use std::sync::Arc;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use tokio::{
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::{
    Error,
    auth::{Peppers, Secret},
};

/// How long a pepper is used before it is asked for again.
const PEPPER_LIFE: Duration = Duration::from_mins(5);
/// How often an unknown key may make the service ask for it sooner.
const PEPPER_PAUSE: Duration = Duration::from_secs(30);

/// The SDK's configuration from the environment: region, credentials, endpoints.
pub async fn sdk_config() -> SdkConfig {
    let https = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    aws_config::defaults(BehaviorVersion::latest()).http_client(https).load().await
}

/// DynamoDB.
#[must_use]
pub fn dynamodb(sdk: &SdkConfig) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(sdk)
}

/// Secrets Manager.
#[must_use]
pub fn secrets_manager(sdk: &SdkConfig) -> aws_sdk_secretsmanager::Client {
    aws_sdk_secretsmanager::Client::new(sdk)
}

/// The pepper in Secrets Manager, cached. While the secret is being rotated its previous version is honoured too; if
/// Secrets Manager does not answer, what is known goes on being used.
#[derive(Clone)]
pub struct PepperSecret {
    client: aws_sdk_secretsmanager::Client,
    id: String,
    known: Arc<Mutex<Option<(Peppers, Instant)>>>,
}

impl PepperSecret {
    /// The secret of that name or ARN.
    #[must_use]
    pub fn new(client: aws_sdk_secretsmanager::Client, id: String) -> Self {
        Self { client, id, known: Arc::default() }
    }

    /// The peppers to try.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if Secrets Manager has never answered.
    pub async fn peppers(&self) -> Result<Peppers, Error> {
        self.no_older_than(PEPPER_LIFE).await
    }

    /// The peppers to try when a key is not known under those of before: asked for again, but not often.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if Secrets Manager has never answered.
    pub async fn renewed(&self) -> Result<Peppers, Error> {
        self.no_older_than(PEPPER_PAUSE).await
    }

    async fn no_older_than(&self, age: Duration) -> Result<Peppers, Error> {
        let mut known = self.known.lock().await;
        if let Some((peppers, since)) = &*known
            && since.elapsed() < age
        {
            return Ok(peppers.clone());
        }
        let (current, previous) = tokio::join!(self.version("AWSCURRENT"), self.version("AWSPREVIOUS"));
        match (current, &*known) {
            (Some(current), _) => {
                let peppers = Peppers { current, previous };
                *known = Some((peppers.clone(), Instant::now()));
                Ok(peppers)
            }
            (None, Some((stale, _))) => Ok(stale.clone()),
            (None, None) => Err(Error::Unavailable),
        }
    }

    async fn version(&self, stage: &str) -> Option<Secret> {
        let answer =
            self.client.get_secret_value().secret_id(&self.id).version_stage(stage).send().await.ok()?;
        answer.secret_string.map(Secret::new)
    }
}
