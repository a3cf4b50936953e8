//! The stack that a command works on: a stack on AWS, or the local gateway.

use std::{
    error::Error,
    fs, io, iter,
    path::{Path, PathBuf},
};

use aws_config::{Region, SdkConfig};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError},
};
use service::{
    clock::Clock,
    cloud,
    config::{self, Tables},
    entropy::Entropy,
    error::{CallFailure, Reason},
    pepper::{Pepper, PepperFile, PepperSecret},
    store::{Actor, Store},
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
    /// The person who runs the command, for the audit log.
    pub(crate) actor: Actor,
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
    /// The default chain knows no region.
    #[error("there is no AWS region. Set AWS_REGION, or name a region in the profile of the AWS CLI.")]
    NoRegion,
    /// The default chain finds no credentials, or the source that it finds does not return any.
    #[error(
        "there are no AWS credentials. Log in with `aws sso login` or `aws login`, or name another profile in AWS_PROFILE. \
         `aws sts get-caller-identity` shows what the AWS CLI finds. The cause is: {0}"
    )]
    NoCredentials(String),
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
            Some(secret) => Self::on_aws(secret).await,
            None => Self::local(data).await,
        }
    }

    async fn on_aws(secret: String) -> Result<Self, StackError> {
        let sdk = cloud::sdk_config().await;
        let credentials =
            credentials(&sdk).await.map_err(|error| StackError::NoCredentials(whole(&error)))?;
        let region = sdk.region().ok_or(StackError::NoRegion)?.to_string();
        let endpoint = sdk.endpoint_url().map(str::to_owned);
        let sdk =
            sdk.into_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build();
        Ok(Self {
            store: Self::store(&sdk),
            pepper: Pepper::SecretsManager(PepperSecret::new(cloud::secrets_manager(&sdk), secret)),
            actor: actor(),
            place: config::env(config::DYNAMODB_ENDPOINT).or(endpoint).unwrap_or(region),
        })
    }

    async fn local(data: &Path) -> Result<Self, StackError> {
        let pepper_file = data.join("pepper");
        let pepper = match PepperFile::open(&pepper_file) {
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
        let access_key = match written(data, ACCESS_KEY) {
            Ok(access_key) => access_key,
            // Another emulator than the gateway's needs no key of its own.
            Err(_) if config::env(config::DYNAMODB_ENDPOINT).is_some() => "local".to_owned(),
            Err(error) => return Err(error),
        };
        let sdk = cloud::sdk_config()
            .await
            .into_builder()
            .region(Region::new("local"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::from_keys(
                access_key, "local", None,
            )))
            .endpoint_url(&endpoint)
            .build();
        Ok(Self { store: Self::store(&sdk), pepper: Pepper::File(pepper), actor: actor(), place: endpoint })
    }

    fn store(sdk: &SdkConfig) -> Store {
        Store::new(&cloud::dynamodb(sdk), Tables::from_env(), Clock::system(), Entropy::system())
    }

    /// Returns the result of a store call, and adds the place of the stack to an error.
    pub(crate) fn done<T>(&self, outcome: Result<T, service::Error>) -> Result<T, Failure> {
        outcome.map_err(|error| self.failure(error))
    }

    /// Returns the failure of a store call, with the place of the stack.
    pub(crate) fn failure(&self, error: service::Error) -> Failure {
        match error {
            service::Error::Unavailable(Reason::DynamoDb(CallFailure::Connect | CallFailure::Timeout)) => {
                Failure::NoAnswer(self.place.clone())
            }
            service::Error::Unavailable(reason @ Reason::SecretsManager(_)) => Failure::Pepper(reason),
            service::Error::Invalid(invalid) => Failure::Refused(invalid.to_string()),
            service::Error::Conflict(detail) => Failure::Refused(detail),
            // The operator needs the inner cause, which is hidden from SCIM clients.
            error => {
                let cause = error.cause().unwrap_or_else(|| error.to_string());
                Failure::Store { place: self.place.clone(), cause }
            }
        }
    }
}

/// Returns the user of the operating system, as the name of the actor.
fn actor() -> Actor {
    let user = config::env("USER").or_else(|| config::env("LOGNAME")).unwrap_or_else(|| "unknown".to_owned());
    Actor::new(&format!("scimctl:{user}"))
}

/// Reads the credentials once, before the first call. A call would give an external program or a log-in service 3 seconds,
/// and would report a missing log-in as no answer. The credentials are not renewed during the command, which takes at most
/// 280 seconds.
async fn credentials(sdk: &SdkConfig) -> Result<Credentials, CredentialsError> {
    match sdk.credentials_provider() {
        Some(provider) => provider.provide_credentials().await,
        None => Err(CredentialsError::not_loaded("the configuration names none")),
    }
}

/// Returns the text of an error and of its causes. The layers of the SDK repeat each other. The texts name files, profiles
/// and commands, and contain what an external program wrote to its standard error.
fn whole(error: &CredentialsError) -> String {
    let causes = iter::successors(error.source(), |&cause| cause.source());
    let mut texts: Vec<String> =
        iter::once(error.to_string()).chain(causes.map(ToString::to_string)).collect();
    texts.dedup();
    texts.join(": ")
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
