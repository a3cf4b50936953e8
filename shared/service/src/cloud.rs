//! AWS itself: clients with TLS and the credential chain, and the pepper in Secrets Manager.

use std::sync::Arc;

use aws_config::{
    BehaviorVersion, Region, SdkConfig, environment::EnvironmentVariableCredentialsProvider,
    timeout::TimeoutConfig,
};
use aws_sdk_secretsmanager::{
    config::{SharedCredentialsProvider, SharedHttpClient},
    error::ProvideErrorMetadata,
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use tokio::{
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::{
    Error,
    auth::{Peppers, Secret},
    config::{self, ENDPOINT, REGION},
};

/// How long a pepper is used before it is asked for again.
const PEPPER_LIFE: Duration = Duration::from_mins(5);
/// How often it is asked for sooner: because of an unknown key, or because Secrets Manager did not answer.
const PEPPER_PAUSE: Duration = Duration::from_secs(30);
/// How long Secrets Manager may take to answer.
const PEPPER_PATIENCE: Duration = Duration::from_secs(5);

/// How long one attempt of a call may take: a connection that leads nowhere is left, and the call repeated.
const ATTEMPT: Duration = Duration::from_secs(3);
/// How long a call may take with its repeats.
const CALL: Duration = Duration::from_secs(8);

/// The SDK's configuration wherever an operator is: region, credentials and endpoints from the environment, a profile,
/// or what a machine in AWS says of itself.
pub async fn sdk_config() -> SdkConfig {
    let https = https(TlsContext::default());
    aws_config::defaults(BehaviorVersion::latest()).http_client(https).timeout_config(timeouts()).load().await
}

/// The same in a Lambda function, whose environment has all of it. To look nowhere else saves the code that would. And it
/// trusts Amazon's own roots alone: reading all that a system trusts takes longer than the rest of a start.
#[must_use]
pub fn function_config() -> SdkConfig {
    let amazon = TrustStore::empty().with_pem_certificate(include_bytes!("amazon.pem"));
    let tls = TlsContext::builder().with_trust_store(amazon).build().unwrap_or_default();
    let credentials = SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new());
    let mut sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(config::env(REGION).map(Region::new))
        .credentials_provider(credentials)
        .http_client(https(tls))
        .timeout_config(timeouts());
    sdk.set_endpoint_url(config::env(ENDPOINT));
    sdk.build()
}

fn https(tls: TlsContext) -> SharedHttpClient {
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls).build_https()
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).operation_timeout(CALL).build()
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
    known: Arc<Mutex<Option<Known>>>,
}

/// What is known of the secret.
#[derive(Clone)]
struct Known {
    peppers: Peppers,
    /// When it was last asked for.
    asked: Instant,
    /// Whether there was an answer.
    answered: bool,
}

/// Secrets Manager did not say.
struct NoAnswer;

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
        let mut known = self.known.lock().await;
        let life = |known: &Known| if known.answered { PEPPER_LIFE } else { PEPPER_PAUSE };
        match &*known {
            Some(fresh) if fresh.asked.elapsed() < life(fresh) => Ok(fresh.peppers.clone()),
            _ => self.ask(&mut known).await.map(|known| known.peppers),
        }
    }

    /// The peppers to try when a key is not known under those of before: asked for again, but not often.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if Secrets Manager does not say: the key may be good.
    pub async fn renewed(&self) -> Result<Peppers, Error> {
        let mut known = self.known.lock().await;
        let known = match &*known {
            Some(fresh) if fresh.asked.elapsed() < PEPPER_PAUSE => fresh.clone(),
            _ => self.ask(&mut known).await?,
        };
        if known.answered { Ok(known.peppers) } else { Err(Error::Unavailable) }
    }

    async fn ask(&self, known: &mut Option<Known>) -> Result<Known, Error> {
        let versions = async { tokio::join!(self.version("AWSCURRENT"), self.version("AWSPREVIOUS")) };
        let asked = Instant::now();
        let now = match (tokio::time::timeout(PEPPER_PATIENCE, versions).await, known.take()) {
            (Ok((Ok(Some(current)), Ok(previous))), _) => {
                Known { peppers: Peppers { current, previous }, asked, answered: true }
            }
            // Half an answer is none: a key under the version that is missing would seem to be nobody's.
            (_, Some(stale)) => Known { asked, answered: false, ..stale },
            (_, None) => return Err(Error::Unavailable),
        };
        Ok(known.insert(now).clone())
    }

    /// That version of the secret, if there is one.
    async fn version(&self, stage: &str) -> Result<Option<Secret>, NoAnswer> {
        match self.client.get_secret_value().secret_id(&self.id).version_stage(stage).send().await {
            Ok(answer) => Ok(answer.secret_string.map(Secret::new)),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(_) => Err(NoAnswer),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_config::retry::RetryConfig;

    use super::*;

    #[tokio::test]
    async fn the_roots_that_a_function_trusts_can_be_read() {
        let nowhere = function_config()
            .into_builder()
            .region(Region::from_static("us-east-1"))
            .endpoint_url("https://127.0.0.1:1")
            .retry_config(RetryConfig::disabled())
            .build();
        // They are read when the connector is made, which panics where they cannot be.
        assert!(dynamodb(&nowhere).list_tables().send().await.is_err());
    }
}
