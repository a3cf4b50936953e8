//! The stack that a command works on: a stack on AWS, or the local gateway.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aws_config::Region;
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use service::{
    clock::Clock,
    cloud,
    config::{self, Tables},
    entropy::Entropy,
    pepper::{Pepper, PepperSecret, Peppers, Secret},
    store::Store,
};

use crate::Failure;

/// The variable of the connection file that contains the access key of the embedded DynamoDB.
const ACCESS_KEY: &str = "AWS_ACCESS_KEY_ID";

/// A connection to a stack.
pub(crate) struct Stack {
    /// The store of the stack.
    pub(crate) store: Store,
    /// The pepper of the stack.
    pub(crate) pepper: Pepper,
    place: String,
}

/// Why a command cannot connect to a stack.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StackError {
    /// No local gateway and no stack on AWS is configured.
    #[error(
        "there is no local gateway in {}, and SCIM_PEPPER_SECRET_ID is not set. Start the gateway, name its data \
         directory with --data DIR, or set the variables of the stack on AWS (see --help).",
        .0.display()
    )]
    Nothing(PathBuf),
    /// A file of the gateway cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        cause: io::Error,
    },
}

impl Stack {
    /// Connects to the stack that the environment names, or to the local gateway of the data directory.
    pub(crate) async fn connect(data: &Path) -> Result<Self, StackError> {
        match config::env(config::PEPPER_SECRET_ID) {
            Some(secret) => Ok(Self::on_aws(secret).await),
            None => Self::local(data).await,
        }
    }

    async fn on_aws(secret: String) -> Self {
        let sdk = cloud::sdk_config().await;
        let region = sdk.region().map_or_else(|| "an unknown region".to_owned(), ToString::to_string);
        Self {
            store: Self::store(&sdk),
            pepper: Pepper::SecretsManager(PepperSecret::new(cloud::secrets_manager(&sdk), secret)),
            place: config::env(config::DYNAMODB_ENDPOINT).unwrap_or(region),
        }
    }

    async fn local(data: &Path) -> Result<Self, StackError> {
        let pepper_file = data.join("pepper");
        let pepper = match fs::read(&pepper_file) {
            Ok(pepper) => pepper,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(StackError::Nothing(data.to_owned()));
            }
            Err(cause) => return Err(StackError::Unreadable { path: pepper_file, cause }),
        };
        let endpoint = match config::env(config::DYNAMODB_ENDPOINT) {
            Some(endpoint) => endpoint,
            None => written(data, config::DYNAMODB_ENDPOINT)?,
        };
        // The embedded DynamoDB checks the access key alone. The SDK requires a region and a secret key too.
        let access_key = written(data, ACCESS_KEY)?;
        let sdk = cloud::sdk_config()
            .await
            .into_builder()
            .region(Region::new("local"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::from_keys(
                access_key, "local", None,
            )))
            .endpoint_url(&endpoint)
            .build();
        Ok(Self {
            store: Self::store(&sdk),
            pepper: Pepper::File(Peppers { current: Secret::new(pepper), previous: None }),
            place: endpoint,
        })
    }

    fn store(sdk: &aws_config::SdkConfig) -> Store {
        Store::new(&cloud::dynamodb(sdk), Tables::from_env(), Clock::system(), Entropy::system())
    }

    /// Returns the result of a store call, and adds the place of the stack to an error.
    pub(crate) fn done<T>(&self, outcome: Result<T, service::Error>) -> Result<T, Failure> {
        outcome.map_err(|error| match error {
            service::Error::Unavailable => Failure::NoAnswer(self.place.clone()),
            // The operator needs the inner cause, which is hidden from SCIM clients.
            service::Error::Internal(cause) => Failure::Store { place: self.place.clone(), cause },
            other => Failure::Store { place: self.place.clone(), cause: other.to_string() },
        })
    }
}

/// Reads a variable from the connection file in the data directory.
fn written(data: &Path, name: &str) -> Result<String, StackError> {
    let path = data.join("connection.env");
    let text = fs::read_to_string(&path).map_err(|cause| StackError::Unreadable { path, cause })?;
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        .map(str::to_owned)
        .ok_or_else(|| StackError::Nothing(data.to_owned()))
}
