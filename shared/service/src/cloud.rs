//! AWS clients with TLS, timeouts and credentials.

use aws_config::{
    BehaviorVersion, Region, SdkConfig, environment::EnvironmentVariableCredentialsProvider,
    timeout::TimeoutConfig,
};
use aws_sdk_secretsmanager::config::{SharedCredentialsProvider, SharedHttpClient};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};

use crate::{
    config::{self, ENDPOINT, REGION},
    limits::{ATTEMPT_TIMEOUT, OPERATION_TIMEOUT},
};

/// Returns the SDK configuration for an operator's machine. Region, credentials and endpoints come from the default
/// chain: the environment, a profile, or the metadata of an instance.
pub async fn sdk_config() -> SdkConfig {
    let https = https(TlsContext::default());
    aws_config::defaults(BehaviorVersion::latest()).http_client(https).timeout_config(timeouts()).load().await
}

/// Returns the SDK configuration for a Lambda function, where region and credentials are always in the environment.
/// Skipping the default chain keeps its code out of the binary. Only the root certificates of Amazon are trusted, because
/// reading those of the system takes longer than the rest of a cold start.
#[must_use]
#[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "the certificates are part of the binary")]
pub fn function_config() -> SdkConfig {
    let roots = TrustStore::empty().with_pem_certificate(include_bytes!("amazon.pem"));
    let tls =
        TlsContext::builder().with_trust_store(roots).build().expect("amazon.pem holds valid certificates");
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
    TimeoutConfig::builder()
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

/// Returns a client of DynamoDB.
#[must_use]
pub fn dynamodb(sdk: &SdkConfig) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(sdk)
}

/// Returns a client of Secrets Manager.
#[must_use]
pub fn secrets_manager(sdk: &SdkConfig) -> aws_sdk_secretsmanager::Client {
    aws_sdk_secretsmanager::Client::new(sdk)
}

#[cfg(test)]
mod tests {
    use aws_config::retry::RetryConfig;

    use super::*;

    #[tokio::test]
    async fn root_certificates_of_a_function_are_readable() {
        let nowhere = function_config()
            .into_builder()
            .region(Region::from_static("us-east-1"))
            .endpoint_url("https://127.0.0.1:1")
            .retry_config(RetryConfig::disabled())
            .build();
        // The connector parses the certificates at its first use and panics if one is invalid.
        assert!(dynamodb(&nowhere).list_tables().send().await.is_err());
    }
}
