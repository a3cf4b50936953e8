//! Settings: the only place that reads the environment.

/// The environment variable with the name of the resources table.
pub const RESOURCES_TABLE: &str = "SCIM_RESOURCES_TABLE";
/// The environment variable with the name of the table of organisations and keys.
pub const KEYS_TABLE: &str = "SCIM_KEYS_TABLE";
/// The environment variable with the name of the table of the request log.
pub const REQUESTS_TABLE: &str = "SCIM_REQUESTS_TABLE";
/// The environment variable with the name or ARN of the pepper in Secrets Manager.
pub const PEPPER_SECRET_ID: &str = "SCIM_PEPPER_SECRET_ID";
/// The environment variable with the public base URL.
pub const BASE_URL: &str = "SCIM_BASE_URL";
/// The environment variable with the name of the deployed stack. Without it the log lines are not metrics.
pub const STACK: &str = "SCIM_STACK";
/// The environment variable with the AWS region, which Lambda sets.
pub const REGION: &str = "AWS_REGION";
/// The environment variable of the AWS SDK with the endpoint of an emulator of AWS.
pub const ENDPOINT: &str = "AWS_ENDPOINT_URL";
/// The environment variable of the AWS SDK with the endpoint of DynamoDB.
pub const DYNAMODB_ENDPOINT: &str = "AWS_ENDPOINT_URL_DYNAMODB";

/// The names of the three tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// The table of resources, index entries, edges, counts and pending changes.
    pub resources: String,
    /// The table of organisations and keys.
    pub keys: String,
    /// The table of the request log.
    pub requests: String,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            resources: "scim-resources".to_owned(),
            keys: "scim-keys".to_owned(),
            requests: "scim-requests".to_owned(),
        }
    }
}

impl Tables {
    /// Reads the names from the environment. A missing name defaults to that of the local gateway.
    #[must_use]
    pub fn from_env() -> Self {
        let local = Self::default();
        Self {
            resources: env(RESOURCES_TABLE).unwrap_or(local.resources),
            keys: env(KEYS_TABLE).unwrap_or(local.keys),
            requests: env(REQUESTS_TABLE).unwrap_or(local.requests),
        }
    }
}

/// Returns the value of an environment variable, or `None` if it is unset, empty or not UTF-8.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the only place that reads the environment")]
pub fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
