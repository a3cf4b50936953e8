//! The target of the tests: the service in this process on an embedded DynamoDB, or another one that the environment names.
//! Only this file reads the environment.
//!
//! | variable | value |
//! |---|---|
//! | `SCIM_TEST_DYNAMODB` | the endpoint of an emulator of DynamoDB (and Secrets Manager) for the service; `aws`: the DynamoDB that the environment of the AWS SDK selects |
//! | `SCIM_TEST_LAMBDA` | the directory of Lambda functions, `<name>/bootstrap`, that replace the router of this process |
//! | `SCIM_TEST_RIE` | the AWS Lambda runtime emulator, `aws-lambda-rie`, for these functions |
//! | `SCIM_TEST_EVENTS` | the API whose events the functions receive: `rest` (the default) or `http` |
//! | `SCIM_TEST_API` | the URL of the stage of a deployed API that replaces the router of this process, with or without TLS |
//! | `SCIM_TEST_PEPPER` | the pepper of that API. The tables of the API have the same variables as in a function |
//!
//! `tests/deployed.sh` and `tests/aws.sh` set these variables.

use std::{
    path::PathBuf,
    sync::{Arc, LazyLock, Once},
};

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Config, Region, StalledStreamProtectionConfig},
};
use aws_smithy_http_client::Builder;
use rustls::crypto::{CryptoProvider, ring};
use serde_json::json;
use service::{
    cloud,
    config::{Tables, env},
};
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig},
};

use crate::gateway::Api;

/// The name of the secret that functions read the pepper from.
const SECRET: &str = "scim-test-pepper";

/// The service under test and its DynamoDB.
#[derive(Debug)]
pub(crate) enum Target {
    /// This process, with an embedded DynamoDB for each test.
    Embedded,
    /// This process, with tables for each test in that DynamoDB.
    DynamoDb(Endpoint),
    /// Lambda functions, with tables for each test in that DynamoDB.
    Lambda(Endpoint, Lambda),
    /// A deployed service, with an organisation for each test.
    Deployed(Endpoint, Deployed),
}

/// A DynamoDB outside of this process.
#[derive(Debug)]
pub(crate) enum Endpoint {
    /// An emulator at a URL, without TLS. Any credentials are valid.
    Emulator(String),
    /// DynamoDB, with region, credentials and endpoint from the environment or the profile of the AWS SDK.
    Aws,
}

/// Functions as deployed.
#[derive(Debug)]
pub(crate) struct Lambda {
    /// The directory of the functions.
    pub(crate) functions: PathBuf,
    /// The runtime emulator.
    pub(crate) emulator: PathBuf,
    /// The API whose events the functions receive.
    pub(crate) api: Api,
}

/// A deployed API.
#[derive(Debug)]
pub(crate) struct Deployed {
    /// The URL of the stage, without `/v2`.
    pub(crate) url: String,
    /// The pepper of key digests.
    pub(crate) pepper: String,
    /// The tables.
    pub(crate) tables: Tables,
}

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let named = |name: &str| env(name).unwrap_or_else(|| panic!("{name} is not set"));
    let endpoint = match env("SCIM_TEST_DYNAMODB") {
        None => return Target::Embedded,
        Some(name) if name == "aws" => Endpoint::Aws,
        Some(url) => Endpoint::Emulator(url),
    };
    if let Some(functions) = env("SCIM_TEST_LAMBDA") {
        let api = env("SCIM_TEST_EVENTS").map_or(Ok(Api::Rest), |api| api.parse()).expect("SCIM_TEST_EVENTS");
        let emulator = named("SCIM_TEST_RIE").into();
        Target::Lambda(endpoint, Lambda { functions: functions.into(), emulator, api })
    } else if let Some(url) = env("SCIM_TEST_API") {
        let pepper = named("SCIM_TEST_PEPPER");
        Target::Deployed(endpoint, Deployed { url, pepper, tables: Tables::from_env() })
    } else {
        Target::DynamoDb(endpoint)
    }
});

/// Returns the target that the environment names.
pub(crate) fn target() -> &'static Target {
    &TARGET
}

impl Endpoint {
    /// The credentials that an emulator accepts, in this process and in functions.
    pub(crate) const CREDENTIALS: &str = "test";
    /// A signature that an emulator accepts. The emulator reads its scope.
    const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=test/20261125/us-east-1/secretsmanager/aws4_request, \
                          SignedHeaders=host, Signature=test";
    /// The region that an emulator accepts.
    pub(crate) const REGION: &str = "us-east-1";

    /// Returns the URL of the emulator.
    ///
    /// # Panics
    /// If the endpoint is AWS.
    pub(crate) fn emulator(&self) -> &str {
        match self {
            Self::Emulator(url) => url,
            Self::Aws => panic!("SCIM_TEST_DYNAMODB is not an emulator"),
        }
    }

    /// Creates the secret of the pepper in the emulator, once in a process, and returns its name.
    pub(crate) fn secret(&self, pepper: &str) -> String {
        static PUT: Once = Once::new();
        PUT.call_once(|| {
            let secret = json!({ "Name": SECRET, "SecretString": pepper });
            // Another process may have created the secret.
            let answer = ureq::post(self.emulator())
                .config()
                .http_status_as_error(false)
                .build()
                .header("content-type", "application/x-amz-json-1.1")
                .header("x-amz-target", "secretsmanager.CreateSecret")
                .header("authorization", Self::SIGNED)
                .send(secret.to_string());
            let text = answer.expect("an answer").body_mut().read_to_string().expect("a text");
            assert!(text.contains("ARN") || text.contains("ResourceExistsException"), "{text}");
        });
        SECRET.to_owned()
    }

    /// Returns a client of this DynamoDB.
    pub(crate) async fn client(&self) -> Client {
        let Self::Emulator(url) = self else { return cloud::dynamodb(&cloud::sdk_config().await) };
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(Self::REGION))
            .credentials_provider(Credentials::new(Self::CREDENTIALS, Self::CREDENTIALS, None, None, "tests"))
            .endpoint_url(url)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client(Builder::new().build_http())
            .build();
        Client::from_conf(config)
    }
}

impl Deployed {
    /// Returns an HTTP client for the API. A URL with `https` has a certificate of an authority that the system trusts.
    ///
    /// # Panics
    /// If the certificates of the system cannot be read.
    pub(crate) fn agent(&self) -> Agent {
        let mut config =
            Agent::config_builder().http_status_as_error(false).allow_non_standard_methods(true).proxy(None);
        if self.url.starts_with("https://") {
            config = config.tls_config(TLS.clone());
        }
        config.build().new_agent()
    }
}

/// TLS with ring, as in the functions, and the root certificates of the system, which are read once.
static TLS: LazyLock<TlsConfig> = LazyLock::new(|| {
    let roots = rustls_native_certs::load_native_certs();
    assert!(!roots.certs.is_empty(), "no root certificates: {:?}", roots.errors);
    let roots: Vec<_> = roots.certs.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(provider)
        .build()
});
