//! Interception of calls to the embedded DynamoDB.

use std::{fmt, future::Future};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use local::embedded::client_over;
use serde_json::{Value, json};

/// The result of a call, as the SDK receives it.
pub type CallResult = Result<HttpResponse, ConnectorError>;

/// A call that has not reached DynamoDB yet.
pub struct Call {
    /// The operation, such as `GetItem`.
    pub operation: String,
    http: HttpRequest,
    connector: SharedHttpConnector,
}

impl Call {
    /// Returns the text of the request.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.http.body().bytes().unwrap_or_default()
    }

    /// Parses the request.
    #[must_use]
    pub fn request(&self) -> Value {
        serde_json::from_slice(self.body()).unwrap_or_default()
    }

    /// Returns whether the call counts a request or expensive work of an organisation for its limits.
    #[must_use]
    pub fn is_of_a_limit(&self) -> bool {
        self.request()["Key"]["pk"]["S"].as_str().is_some_and(|pk| pk.ends_with("#LIMITS"))
    }

    /// Returns a copy, which can be made at another time.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            operation: self.operation.clone(),
            http: self.http.try_clone().expect("the SDK sends no streams to DynamoDB"),
            connector: self.connector.clone(),
        }
    }

    /// Makes the call.
    ///
    /// # Errors
    /// If the connector fails.
    pub async fn forward(self) -> CallResult {
        self.connector.call(self.http).await
    }
}

/// Returns a client whose calls get the results that `handle` returns. The connector makes the calls that `handle`
/// forwards.
pub fn client<F, R>(connector: impl HttpConnector + 'static, handle: F) -> Client
where
    F: Fn(Call) -> R + Send + Sync + 'static,
    R: Future<Output = CallResult> + Send + 'static,
{
    let connector = SharedHttpConnector::new(connector);
    client_over(SharedHttpConnector::new(Interceptor { connector, handle }))
}

struct Interceptor<F> {
    connector: SharedHttpConnector,
    handle: F,
}

impl<F> fmt::Debug for Interceptor<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interceptor")
    }
}

impl<F, R> HttpConnector for Interceptor<F>
where
    F: Fn(Call) -> R + Send + Sync + 'static,
    R: Future<Output = CallResult> + Send + 'static,
{
    fn call(&self, http: HttpRequest) -> HttpConnectorFuture {
        let target = http.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        HttpConnectorFuture::new((self.handle)(Call { operation, http, connector: self.connector.clone() }))
    }
}

/// Answers a call without making it.
///
/// # Errors
/// If the status is no HTTP status.
pub fn answer(status: u16, body: &Value) -> CallResult {
    StatusCode::try_from(status)
        .map(|status| HttpResponse::new(status, SdkBody::from(body.to_string())))
        .map_err(|error| ConnectorError::other(error.into(), None))
}

/// Returns the body of an error of DynamoDB.
#[must_use]
pub fn exception(name: &str) -> Value {
    json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{name}") })
}

/// Returns the body of a cancelled transaction. `index` selects the action that is the reason from the number of
/// actions.
#[must_use]
pub fn cancelled(request: &Value, index: impl FnOnce(usize) -> usize, code: &str) -> Value {
    let actions = request["TransactItems"].as_array().map_or(0, Vec::len);
    let reason = index(actions);
    let code = |index| if index == reason { code } else { "None" };
    let reasons: Vec<Value> = (0..actions).map(|index| json!({ "Code": code(index) })).collect();
    let mut body = exception("TransactionCanceledException");
    body["Message"] = "Transaction cancelled, please refer cancellation reasons for specific reasons".into();
    body["CancellationReasons"] = reasons.into();
    body
}
