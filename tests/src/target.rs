//! The target of the tests: the service in this process on an embedded DynamoDB, or another one that the environment names.
//! Only this file reads the environment.
//!
//! | variable | value |
//! |---|---|
//! | `SCIM_TEST_DYNAMODB` | the endpoint of another DynamoDB (and Secrets Manager) for the service |
//! | `SCIM_TEST_LAMBDA` | the directory of Lambda functions, `<name>/bootstrap`, that replace the router of this process |
//! | `SCIM_TEST_RIE` | the AWS Lambda runtime emulator, `aws-lambda-rie`, for these functions |
//! | `SCIM_TEST_EVENTS` | the API whose events the functions receive: `rest` (the default) or `http` |
//! | `SCIM_TEST_API` | the URL of the stage of a deployed API that replaces the router of this process |
//! | `SCIM_TEST_PEPPER` | the pepper of that API. The tables of the API have the same variables as in a function |
//!
//! `tests/deployed.sh` sets these variables.

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

/// A DynamoDB over HTTP.
#[derive(Debug)]
pub(crate) struct Endpoint(pub(crate) String);

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

    /// Creates the secret of the pepper, once in a process, and returns its name.
    pub(crate) fn secret(&self, pepper: &str) -> String {
        static PUT: Once = Once::new();
        PUT.call_once(|| {
            let secret = json!({ "Name": SECRET, "SecretString": pepper });
            // Another process may have created the secret.
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

    /// Returns a client like the one for AWS, but without TLS.
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
