//! Settings: the only place that reads the environment.

use crate::portal::Portal;

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
/// The environment variable with the public URL of the owner console.
pub const CONSOLE_URL: &str = "SCIM_CONSOLE_URL";
/// The environment variable with the URLs to which the console may lead back, separated by commas.
pub const CONSOLE_RETURN_URLS: &str = "SCIM_CONSOLE_RETURN_URLS";
/// The environment variable with the origins of pages that may embed the console, separated by commas.
pub const CONSOLE_FRAME_ANCESTORS: &str = "SCIM_CONSOLE_FRAME_ANCESTORS";
/// The environment variable with the name of the vendor's product.
pub const CONSOLE_NAME: &str = "SCIM_CONSOLE_NAME";
/// The environment variable with the URL of the vendor's logo.
pub const CONSOLE_LOGO: &str = "SCIM_CONSOLE_LOGO";
/// The environment variable with the accent colour, as `#rrggbb`.
pub const CONSOLE_ACCENT: &str = "SCIM_CONSOLE_ACCENT";
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

impl Portal {
    /// Reads the settings of the owner console from the environment.
    #[must_use]
    pub fn from_env() -> Self {
        let list = |name| {
            let entries = env(name).unwrap_or_default();
            entries.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
        };
        Self {
            url: env(CONSOLE_URL),
            return_urls: list(CONSOLE_RETURN_URLS),
            frame_ancestors: list(CONSOLE_FRAME_ANCESTORS),
            name: env(CONSOLE_NAME),
            logo: env(CONSOLE_LOGO),
            accent: env(CONSOLE_ACCENT),
        }
    }
}

/// Returns the value of an environment variable, or `None` if it is unset, empty or not UTF-8.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the only place that reads the environment")]
pub fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
