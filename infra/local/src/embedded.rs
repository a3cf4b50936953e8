//! The embedded DynamoDB, and the connector through which the AWS SDK calls it without a socket.
//!
//! The SDK serialises and retries as with AWS. Only the HTTP client is replaced, by a call of the engine. Requests are
//! not signed: the engine checks no signature, and signing takes a fifth of the time of a call.

use std::path::Path;

use aws_sdk_dynamodb::{
    Client,
    config::{
        BehaviorVersion, Config, Region, StalledStreamProtectionConfig,
        endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint},
    },
};
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use dynoxide::{Database, DynoxideError, actions::transact_write_items::TransactWriteItemsRequest};

/// The header that names the operation, such as `DynamoDB_20120810.GetItem`.
pub(crate) const TARGET: &str = "x-amz-target";

/// The region that the SDK requires and the engine ignores.
const REGION: &str = "local";

/// Opens the database in a file, or a new database in memory.
///
/// # Errors
/// If the file cannot be opened as a database.
pub fn open(file: Option<&Path>) -> Result<Database, DynoxideError> {
    match file {
        Some(file) => Database::new(&file.to_string_lossy()),
        None => Database::memory(),
    }
}

/// Returns a client of the database.
#[must_use]
pub fn client(database: Database) -> Client {
    client_over(SharedHttpConnector::new(Connector::new(database)))
}

/// Returns a client that uses a given connector, such as a test's connector around [`Connector`].
#[must_use]
pub fn client_over(connector: SharedHttpConnector) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .allow_no_auth()
        .endpoint_resolver(NoEndpoint(Endpoint::builder().url("http://dynamodb.invalid").build()))
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build();
    Client::from_conf(config)
}

/// A resolver that returns a fixed endpoint, which the connector ignores. The SDK's own resolver evaluates the rules of
/// AWS's partitions on every call.
#[derive(Debug)]
struct NoEndpoint(Endpoint);

impl ResolveEndpoint for NoEndpoint {
    fn resolve_endpoint<'a>(&'a self, _: &'a Params) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(self.0.clone()))
    }
}

/// An HTTP connector of the SDK that calls the database.
#[derive(Clone)]
pub struct Connector {
    database: Database,
    honours_tokens: bool,
}

impl Connector {
    /// Returns a connector to the database. It ignores the client tokens of transactions.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database, honours_tokens: false }
    }

    /// Makes the connector honour client tokens, for clients that may lose a response: a repeated transaction with the
    /// same token has no further effect.
    ///
    /// Without a socket, a response is lost only in tests. The engine searches all tokens of the last ten minutes in
    /// each transaction, which makes the 24,000th transaction five times as slow as the first.
    #[must_use]
    pub fn honouring_tokens(self) -> Self {
        Self { honours_tokens: true, ..self }
    }

    /// Calls the operation that the header `x-amz-target` names, and returns the status and the body of the response.
    pub(crate) fn respond(&self, target: Option<&str>, body: &[u8]) -> (u16, String) {
        let operation = target.and_then(|target| target.rsplit('.').next()).unwrap_or_default();
        match self.dispatch(operation, body) {
            Ok(body) => (200, body),
            Err(error) => (error.status_code(), error.to_json()),
        }
    }

    fn dispatch(&self, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
        if self.honours_tokens || operation != "TransactWriteItems" {
            return dispatch(&self.database, operation, body);
        }
        let mut request: TransactWriteItemsRequest = decode(body)?;
        request.client_request_token = None;
        encode(&self.database.transact_write_items(request)?)
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().unwrap_or_default();
        let (status, body) = self.respond(request.headers().get(TARGET), body);
        HttpConnectorFuture::ready(response(status, body))
    }
}

/// Returns the response of a connector.
pub(crate) fn response(status: u16, body: String) -> Result<HttpResponse, ConnectorError> {
    StatusCode::try_from(status)
        .map(|status| HttpResponse::new(status, SdkBody::from(body)))
        .map_err(|error| ConnectorError::other(error.into(), None))
}

/// Maps the name of each operation to the engine's method. Requests and responses use DynamoDB's JSON protocol.
macro_rules! operations {
    ($database:expr, $operation:expr, $body:expr, { $($name:literal => $method:ident),+ $(,)? }) => {
        match $operation {
            $($name => encode(&$database.$method(decode($body)?)?),)+
            other => Err(DynoxideError::ValidationException(format!("The operation '{other}' is not supported."))),
        }
    };
}

/// Calls an operation of the database, and returns the body of the response.
///
/// # Errors
/// The error of the engine.
pub fn dispatch(database: &Database, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
    operations!(database, operation, body, {
        "BatchGetItem" => batch_get_item,
        "BatchWriteItem" => batch_write_item,
        "CreateTable" => create_table,
        "DeleteItem" => delete_item,
        "DeleteTable" => delete_table,
        "DescribeTable" => describe_table,
        "DescribeTimeToLive" => describe_time_to_live,
        "ExecuteStatement" => execute_statement,
        "GetItem" => get_item,
        "ListTables" => list_tables,
        "PutItem" => put_item,
        "Query" => query,
        "Scan" => scan,
        "TransactGetItems" => transact_get_items,
        "TransactWriteItems" => transact_write_items,
        "UpdateItem" => update_item,
        "UpdateTimeToLive" => update_time_to_live,
    })
}

fn decode<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, DynoxideError> {
    serde_json::from_slice(body).map_err(|error| DynoxideError::ValidationException(error.to_string()))
}

fn encode<T: serde::Serialize>(response: &T) -> Result<String, DynoxideError> {
    serde_json::to_string(response).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
