//! The environment: the one place that reads it.

/// Environment variable: the table of resources.
pub const RESOURCES_TABLE: &str = "SCIM_RESOURCES_TABLE";
/// Environment variable: the table of organisations and keys.
pub const KEYS_TABLE: &str = "SCIM_KEYS_TABLE";
/// Environment variable: the name or ARN of the pepper in Secrets Manager.
pub const PEPPER_SECRET_ID: &str = "SCIM_PEPPER_SECRET_ID";
/// Environment variable: the public base URL.
pub const BASE_URL: &str = "SCIM_BASE_URL";
/// Environment variable: the name of the stack this is deployed as. Where there is none, there are no metrics.
pub const STACK: &str = "SCIM_STACK";
/// Environment variable of every Lambda function: where it is.
pub const REGION: &str = "AWS_REGION";
/// Environment variable of the AWS SDK: where AWS is, if it is an emulator.
pub const ENDPOINT: &str = "AWS_ENDPOINT_URL";
/// Environment variable of the AWS SDK: where DynamoDB is.
pub const DYNAMODB_ENDPOINT: &str = "AWS_ENDPOINT_URL_DYNAMODB";

/// The names of the two tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// Resources, index entries, edges, counts, pending changes.
    pub resources: String,
    /// Organisations and keys.
    pub keys: String,
}

impl Default for Tables {
    fn default() -> Self {
        Self { resources: "scim-resources".to_owned(), keys: "scim-keys".to_owned() }
    }
}

impl Tables {
    /// The names from the environment, the local ones where it says nothing.
    #[must_use]
    pub fn from_env() -> Self {
        let local = Self::default();
        Self {
            resources: env(RESOURCES_TABLE).unwrap_or(local.resources),
            keys: env(KEYS_TABLE).unwrap_or(local.keys),
        }
    }
}

/// The value of an environment variable; unset, empty and not UTF-8 are all `None`.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
