//! Where the tests find the service: here, on an embedded DynamoDB, unless the environment names something else. This
//! is the one place of the tests that reads it.
//!
//! | variable | says |
//! |---|---|
//! | `SCIM_TEST_DYNAMODB` | the endpoint of a DynamoDB (and Secrets Manager) that the service works on instead |
//! | `SCIM_TEST_LAMBDA` | the directory of Lambda functions, `<name>/bootstrap`, that answer instead of the router here |
//! | `SCIM_TEST_RIE` | AWS's Lambda runtime emulator, `aws-lambda-rie`, in which they run |
//! | `SCIM_TEST_EVENTS` | whose events they are sent: `rest` (the default) or `http` |
//! | `SCIM_TEST_API` | the URL of a deployed API's stage, which answers instead of the router here |
//! | `SCIM_TEST_PEPPER` | the pepper of that API; its tables are named as they are for a function |
//!
//! `tests/deployed.sh` sets them.

use std::{
    path::PathBuf,
    sync::{LazyLock, Once},
};

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Config, Region, StalledStreamProtectionConfig},
};
use aws_smithy_http_client::Builder;
use serde_json::json;
use service::config::{Tables, env};

use crate::gateway::Api;

/// The name of the secret that functions read the pepper from.
const SECRET: &str = "scim-test-pepper";

/// Where the service is, and on what.
#[derive(Debug)]
pub(crate) enum Target {
    /// Here, on an embedded DynamoDB of each test's own.
    Embedded,
    /// Here, on tables of each test's own in that DynamoDB.
    DynamoDb(Endpoint),
    /// In Lambda functions, on tables of each test's own in that DynamoDB.
    Lambda(Endpoint, Lambda),
    /// Wherever it was deployed to: each test has an organisation of its own.
    Deployed(Endpoint, Deployed),
}

/// A DynamoDB over HTTP.
#[derive(Debug)]
pub(crate) struct Endpoint(pub(crate) String);

/// Functions as they are deployed.
#[derive(Debug)]
pub(crate) struct Lambda {
    /// Where each has its `bootstrap`.
    pub(crate) functions: PathBuf,
    /// The runtime emulator.
    pub(crate) emulator: PathBuf,
    /// Whose events they are sent.
    pub(crate) api: Api,
}

/// A deployed API.
#[derive(Debug)]
pub(crate) struct Deployed {
    /// The URL of its stage, below which is `/v2`.
    pub(crate) url: String,
    /// What its key digests are made with.
    pub(crate) pepper: String,
    /// Its tables.
    pub(crate) tables: Tables,
}

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let named = |name: &str| env(name).unwrap_or_else(|| panic!("{name} is not set"));
    let Some(endpoint) = env("SCIM_TEST_DYNAMODB").map(Endpoint) else { return Target::Embedded };
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

/// What the environment names.
pub(crate) fn target() -> &'static Target {
    &TARGET
}

impl Endpoint {
    /// What an emulator takes for credentials, here and in the environment of functions.
    pub(crate) const CREDENTIALS: &str = "test";
    /// What an emulator takes for a signature, of which it reads the scope.
    const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=test/20261125/us-east-1/secretsmanager/aws4_request, \
                          SignedHeaders=host, Signature=test";
    /// Likewise the region.
    pub(crate) const REGION: &str = "us-east-1";

    /// Puts the pepper into Secrets Manager, once in a process; gives the secret's name.
    pub(crate) fn secret(&self, pepper: &str) -> String {
        static PUT: Once = Once::new();
        PUT.call_once(|| {
            let secret = json!({ "Name": SECRET, "SecretString": pepper });
            // Another process may have done it.
            let answer = ureq::post(&self.0)
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

    /// A client of it, as it is made against AWS but for TLS.
    pub(crate) fn client(&self) -> Client {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(Self::REGION))
            .credentials_provider(Credentials::new(Self::CREDENTIALS, Self::CREDENTIALS, None, None, "tests"))
            .endpoint_url(&self.0)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client(Builder::new().build_http())
            .build();
        Client::from_conf(config)
    }
}
